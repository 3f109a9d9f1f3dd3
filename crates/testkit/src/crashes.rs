//! Crash points: a voter ends at its n-th change or sync of one kind of files while clients work, or while it opens
//! them; the last changes are then durable, lost, or torn; it opens again by itself, and everything that was ever
//! acknowledged is compared with what the cluster says (`history`).
//!
//! The points are all numbers of changes that the workload was seen to make, in every area, for a leader, a follower
//! and a voter that starts, each with every fate of the last changes. A seed orders them, so that a slice of them is a
//! fair sample and slices of one seed add up to the whole. How processes interleave differs from run to run, so a
//! number may not be reached; the report says so.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::data;
use crate::powercut::Loss;
use crate::random::Random;
use crate::rounds::{Failed, Stage, ingest_words, said};
use crate::shim::{Moment, Rule};

/// A cluster is replaced by a new one after so many points.
const POINTS_OF_A_CLUSTER: usize = 40;
/// The voters of a cluster as `dev up` makes it.
const VOTERS: [&str; 3] = ["n1", "n2", "n3"];
/// The workload is played so often at most until a point is reached: a snapshot is not made in each.
const ATTEMPTS: usize = 12;
/// The fewest that a node takes.
const RAFT: &str = "\n[raft]\nsnapshot-after-entries = 100\n";

/// A kind of files, and what their paths hold behind the node's name.
const AREAS: [(&str, &str); 5] = [
    ("shards", "/disk0/"),
    ("log", "/data/meta/raft-log/"),
    ("state", "/data/meta/state"),
    ("snapshots", "/data/meta/snapshots/"),
    ("guard", "/keys/guard"),
];

/// Areas that change where a snapshot is made: the state goes to its tables then.
const WITH_SNAPSHOTS: [usize; 2] = [2, 3];

/// Whose process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Leader,
    Follower,
    /// A follower that opens what it has.
    Starting,
}

/// What becomes of the last changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The change was made, and everything that was written is there: the process alone has ended.
    Persisted,
    /// The change was not made, and what was not synced is gone.
    Lost,
    /// The change was made, and the power went while it was: of each file's last write the end is missing.
    Torn,
}

impl Fate {
    /// On which side of the change the process ends.
    pub(crate) const fn moment(self) -> Moment {
        match self {
            Self::Lost => Moment::Before,
            Self::Persisted | Self::Torn => Moment::After,
        }
    }

    /// What the power takes along; none where it stays.
    pub(crate) const fn loss(self) -> Option<Loss> {
        match self {
            Self::Persisted => None,
            Self::Lost => Some(Loss::All),
            Self::Torn => Some(Loss::Torn),
        }
    }
}

/// Where a process ends.
#[derive(Clone, Copy, Debug)]
struct Point {
    victim: Victim,
    area: usize,
    number: u32,
    fate: Fate,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {} {}, {:?}", self.victim, AREAS[self.area].0, self.number, self.fate)
    }
}

/// Which of all points to play.
#[derive(Clone, Debug)]
pub struct Slice {
    /// Puts them in order.
    pub seed: u64,
    /// From this position on ...
    pub from: usize,
    /// ... so many.
    pub count: usize,
    /// These points alone, by what is told of them, one after the other. Empty for all.
    pub only: Vec<String>,
    /// All of it so often.
    pub times: usize,
}

impl Default for Slice {
    fn default() -> Self {
        Self { seed: 1, from: 0, count: usize::MAX, only: Vec::new(), times: 1 }
    }
}

impl Slice {
    /// The chosen ones of all points, with their positions in the order of the seed.
    pub(crate) fn of<P: fmt::Display + Clone>(&self, points: Vec<P>) -> Vec<(usize, P)> {
        let ordered: Vec<_> = shuffled(points, self.seed).into_iter().enumerate().collect();
        let named = |told: &String| {
            let found = ordered.iter().filter(|(_, point)| point.to_string().eq_ignore_ascii_case(told)).cloned();
            let found: Vec<_> = found.collect();
            assert!(!found.is_empty(), "there is no point {told:?}");
            found
        };
        let chosen: Vec<_> = if self.only.is_empty() {
            ordered.into_iter().skip(self.from).take(self.count).collect()
        } else {
            self.only.iter().flat_map(named).collect()
        };
        chosen.iter().cycle().take(chosen.len() * self.times).cloned().collect()
    }
}

/// What all points came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Points that there are.
    pub points: usize,
    /// How many of them, by whose process ends and in which area.
    pub areas: BTreeMap<String, usize>,
    /// Points that were played.
    pub played: usize,
    /// Of these, where a process did end.
    pub reached: usize,
    /// Items acknowledged.
    pub items: usize,
}

/// Plays points of `slice`, telling each; stops at the first that fails.
///
/// # Errors
/// The point that failed.
pub fn play(binary: &Path, slice: &Slice, mut tell: impl FnMut(usize, &str)) -> Result<Summary, Failed> {
    let mut scene = None;
    let mut summary = Summary::default();
    let points = guarded(&mut scene, slice.from, |scene| scene.insert(Scene::new(binary)).points())?;
    summary.points = points.len();
    for point in &points {
        *summary.areas.entry(format!("{:?} at {}", point.victim, AREAS[point.area].0)).or_default() += 1;
    }
    for (position, point) in guarded(&mut scene, slice.from, |_| slice.of(points))? {
        let start = Instant::now();
        let reached = guarded(&mut scene, position, |scene| {
            if scene.as_ref().is_none_or(|scene| scene.played == POINTS_OF_A_CLUSTER) {
                *scene = None;
            }
            let scene = scene.get_or_insert_with(|| Scene::new(binary));
            let reached = scene.play(point, &mut Random::new(slice.seed ^ position as u64));
            summary.items += scene.newly;
            reached
        })
        .map_err(|failed| Failed { why: format!("{point}: {}", failed.why), ..failed })?;
        summary.played += 1;
        summary.reached += usize::from(reached);
        let reached = if reached { "" } else { ", not reached" };
        tell(position, &format!("{point}{reached}, {:.1} s", start.elapsed().as_secs_f32()));
    }
    Ok(summary)
}

fn guarded<T>(
    scene: &mut Option<Scene>,
    position: usize,
    act: impl FnOnce(&mut Option<Scene>) -> T,
) -> Result<T, Failed> {
    catch_unwind(AssertUnwindSafe(|| act(scene))).map_err(|panic| Failed {
        round: position as u64,
        why: said(&*panic),
        folder: scene.as_mut().map(|scene| scene.stage.cluster.keep()),
    })
}

fn shuffled<P>(mut points: Vec<P>, seed: u64) -> Vec<P> {
    let mut random = Random::new(seed);
    for end in (1..points.len()).rev() {
        points.swap(end, random.position(end + 1));
    }
    points
}

/// A cluster at work.
struct Scene {
    stage: Stage,
    /// Points played, and workloads.
    played: usize,
    workloads: usize,
    /// Items of the point that is played.
    newly: usize,
}

impl Scene {
    fn new(binary: &Path) -> Self {
        let stage = Stage::new(binary);
        let cluster = &stage.cluster;
        cluster.done(&["dev", "down", "--dir", &cluster.dir()]);
        for voter in VOTERS {
            let path = cluster.file(&format!("nodes/{voter}/node.toml"));
            let text = fs::read_to_string(&path).expect("reads a configuration") + RAFT;
            fs::write(path, text).expect("writes a configuration");
        }
        cluster.bring_up();
        Self { stage, played: 0, workloads: 0, newly: 0 }
    }

    /// Every point that was seen: the changes of a leader and of a follower under the workload, long enough for a
    /// snapshot, and of a follower that starts.
    fn points(&mut self) -> Vec<Point> {
        let (leader, follower) = self.roles();
        let shim = &self.stage.shim;
        shim.set_rules(&[Rule::Trace]);
        self.workload();
        let shim = &self.stage.shim;
        let mut traces = vec![
            (Victim::Leader, leader.clone(), shim.take_trace(&leader)),
            (Victim::Follower, follower.clone(), shim.take_trace(&follower)),
        ];
        // What changes with a snapshot alone is of use from the rest.
        for _ in 0..ATTEMPTS {
            self.workload();
        }
        let shim = &self.stage.shim;
        for (_, node, trace) in &mut traces {
            let changed = shim.take_trace(node);
            trace
                .extend(changed.into_iter().filter(|path| WITH_SNAPSHOTS.iter().any(|at| path.contains(AREAS[*at].1))));
        }
        self.stage.kill(std::slice::from_ref(&follower));
        let _ = self.stage.shim.take_trace(&follower);
        self.stage.cluster.bring_up();
        traces.push((Victim::Starting, follower.clone(), self.stage.shim.take_trace(&follower)));
        self.stage.shim.set_rules(&[]);
        let points: Vec<_> = traces.iter().flat_map(|(victim, node, trace)| points_of(*victim, node, trace)).collect();
        for (area, (name, _)) in AREAS.iter().enumerate() {
            assert!(points.iter().any(|point| point.area == area), "the workload never changes {name}");
        }
        points
    }

    fn roles(&self) -> (String, String) {
        let status = self.stage.cluster.json(&["dev", "status", "--dir", &self.stage.cluster.dir()]);
        let leader = status["leader"].as_str().expect("a leader").to_owned();
        let follower = VOTERS.into_iter().find(|name| *name != leader).expect("three voters").to_owned();
        (leader, follower)
    }

    /// Plays one point; whether a process ended there.
    fn play(&mut self, point: Point, random: &mut Random) -> bool {
        let (leader, follower) = self.roles();
        let victim = if point.victim == Victim::Leader { leader } else { follower };
        let path = format!("/{victim}{}", AREAS[point.area].1);
        let rule = [Rule::Kill { number: point.number, moment: point.fate.moment(), path: &path }];
        self.newly = 0;
        let mut files = Vec::new();
        if point.victim == Victim::Starting {
            self.stage.kill(std::slice::from_ref(&victim));
            self.stage.shim.set_rules(&rule);
            // It ends while it starts, or comes into service where the point is not reached.
            let _ = self.stage.cluster.run(&["dev", "start", &victim, "--dir", &self.stage.cluster.dir()]);
        } else {
            self.stage.shim.set_rules(&rule);
            for _ in 0..if WITH_SNAPSHOTS.contains(&point.area) { ATTEMPTS } else { 1 } {
                files.extend(self.workload());
                if !self.stage.runs(&victim) {
                    break;
                }
            }
        }
        let reached = !self.stage.runs(&victim);
        self.stage.shim.set_rules(&[]);
        if reached && let Some(loss) = point.fate.loss() {
            self.stage.shim.cut(&victim, loss, random);
        }
        self.stage.cluster.bring_up();
        if files.is_empty() {
            files = self.workload();
        }
        self.stage.check(&files, random);
        self.played += 1;
        reached
    }

    /// A small original in one call, one of two chunks, and labels. All of it succeeds: at most one voter is away.
    fn workload(&mut self) -> Vec<PathBuf> {
        self.workloads += 1;
        let stage = &mut self.stage;
        let mut files = Vec::new();
        for (name, length) in [("small", 3000), ("large", (4 << 20) + 500)] {
            let file = stage.cluster.path(&format!("{name}-{}", self.workloads));
            let seed = u64::try_from(self.workloads * 2 + files.len()).expect("small");
            fs::write(&file, data::bytes(length, seed)).expect("writes an original");
            let item = stage.cluster.json(&ingest_words(&file))[0].clone();
            stage.history.acknowledge(&file, &item);
            stage.cluster.done(&["item", "label", item["item"].as_str().expect("an item"), "place=gate"]);
            files.push(file);
        }
        self.newly += files.len();
        files
    }
}

/// The points of one trace: every number that was reached, with every fate.
fn points_of(victim: Victim, node: &str, trace: &[String]) -> Vec<Point> {
    let mut points = Vec::new();
    for (area, (_, text)) in AREAS.iter().enumerate() {
        let path = format!("/{node}{text}");
        let changes = trace.iter().filter(|found| found.contains(&path)).count();
        for number in 1..=u32::try_from(changes).expect("a workload is short") {
            points.extend([Fate::Persisted, Fate::Lost, Fate::Torn].map(|fate| Point { victim, area, number, fate }));
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_of_a_trace_is_a_point_with_every_fate() {
        let trace = ["/x/n2/disk0/a", "/x/n2/data/meta/raft-log/b", "/x/n2/disk0/a", "/x/n2/tls/c"].map(str::to_owned);
        let points = points_of(Victim::Leader, "n2", &trace);
        let told: Vec<_> = points.iter().map(Point::to_string).collect();
        assert_eq!(told.len(), 9, "{told:?}");
        assert!(told.contains(&"Leader at shards 2, Torn".to_owned()), "{told:?}");
        let mut again: Vec<_> = shuffled(points.clone(), 7).iter().map(Point::to_string).collect();
        assert_eq!(again, shuffled(points, 7).iter().map(Point::to_string).collect::<Vec<_>>());
        again.sort();
        let mut told = told;
        told.sort();
        assert_eq!(again, told);
    }
}

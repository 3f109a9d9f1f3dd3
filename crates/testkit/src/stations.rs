//! Crash points of a station: `ingest` ends at its n-th change or sync of its own files, which are the state of the upload
//! and the receipt; the last changes are then durable, lost or torn; and the same `ingest` is done again. There must be one item,
//! and a receipt that verifies and outlives a power cut.
//!
//! Where the process alone was gone, a second run may end as well: what it found unsynced, it must not have relied on.
//! All of it is in one process and one folder, so the same point always comes to the same.

use std::fmt;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::cluster::{Cluster, Shape};
use crate::crashes::{Fate, Slice, Summary};
use crate::data;
use crate::history::History;
use crate::powercut::Loss;
use crate::random::Random;
use crate::rounds::{Failed, ingest_words, said};
use crate::shim::{Rule, Shim};

/// Holds the folders of the stations.
const STATIONS: &str = "stations";
/// A run that finds a state or a receipt syncs it and its folder: so many more changes than in an undisturbed run.
const MORE_OF_A_SECOND_RUN: u32 = 2;
const SIGKILL: i32 = 9;

/// How an original travels.
#[derive(Clone, Copy, Debug)]
enum Travel {
    /// In one call.
    Whole,
    /// In a stream.
    Streamed,
}

impl Travel {
    const fn bytes(self) -> usize {
        match self {
            Self::Whole => 3000,
            Self::Streamed => (4 << 20) + 500,
        }
    }
}

/// Where a run ends.
#[derive(Clone, Copy, Debug)]
struct End {
    number: u32,
    fate: Fate,
}

/// Where the runs of one original end.
#[derive(Clone, Debug)]
struct Point {
    travel: Travel,
    ends: Vec<End>,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Station, {:?}", self.travel)?;
        self.ends.iter().try_for_each(|end| write!(f, ", at {} {:?}", end.number, end.fate))
    }
}

/// Plays points of `slice`, telling each; stops at the first that fails.
///
/// # Errors
/// The point that failed.
pub fn play(binary: &Path, slice: &Slice, mut tell: impl FnMut(usize, &str)) -> Result<Summary, Failed> {
    let mut dock: Option<Dock> = None;
    let mut summary = Summary::default();
    let points = guarded(&mut dock, 0, |dock| dock.insert(Dock::new(binary)).points())?;
    summary.points = points.len();
    summary.areas.insert("Station at receipts".to_owned(), points.len());
    for (position, point) in guarded(&mut dock, slice.from, |_| slice.of(points))? {
        let reached = guarded(&mut dock, position, |dock| {
            dock.as_mut().expect("made above").play(&point, &mut Random::new(slice.seed ^ position as u64))
        })
        .map_err(|failed| Failed { why: format!("{point}: {}", failed.why), ..failed })?;
        summary.played += 1;
        summary.items += 1;
        summary.reached += usize::from(reached);
        let reached = if reached { "" } else { ", not reached" };
        tell(position, &format!("{point}{reached}"));
    }
    guarded(&mut dock, summary.played, |dock| dock.as_mut().expect("made above").check_ledger())?;
    Ok(summary)
}

fn guarded<T>(dock: &mut Option<Dock>, position: usize, act: impl FnOnce(&mut Option<Dock>) -> T) -> Result<T, Failed> {
    catch_unwind(AssertUnwindSafe(|| act(dock))).map_err(|panic| Failed {
        round: position as u64,
        why: said(&*panic),
        folder: dock.as_mut().map(|dock| dock.cluster.keep()),
    })
}

/// A cluster and its stations.
struct Dock {
    cluster: Cluster,
    shim: Shim,
    history: History,
    stations: u64,
}

/// A station with one original. Each has a folder of its own, so that no cut reaches into what was before.
struct Station {
    name: String,
    file: PathBuf,
}

impl Station {
    fn receipt(&self) -> PathBuf {
        self.file.with_extension("receipt")
    }
}

impl Dock {
    fn new(binary: &Path) -> Self {
        let cluster = Cluster::up(binary, Shape::default());
        let stations = cluster.path(STATIONS);
        fs::create_dir_all(&stations).expect("a folder for the stations");
        let shim = Shim::new(&cluster.path("shim"), &stations);
        Self { cluster, shim, history: History::default(), stations: 0 }
    }

    /// Every change that an undisturbed run makes, with each fate; and after a run whose process alone was gone, every
    /// change of a second one.
    fn points(&mut self) -> Vec<Point> {
        [Travel::Whole, Travel::Streamed]
            .into_iter()
            .flat_map(|travel| points_of(travel, self.changes(travel)))
            .collect()
    }

    fn changes(&mut self, travel: Travel) -> u32 {
        let station = self.station(travel);
        self.shim.set_rules(&[Rule::Trace]);
        let item = self.ingested(&station);
        self.shim.set_rules(&[]);
        let changes = self.shim.take_trace(&station.name).len();
        self.finish(&station, &item);
        u32::try_from(changes).expect("a run is short")
    }

    /// Plays one point; whether every run ended where it says.
    fn play(&mut self, point: &Point, random: &mut Random) -> bool {
        let station = self.station(point.travel);
        let done = point.ends.iter().find_map(|end| self.run_to(&station, *end, random));
        let item = done.clone().unwrap_or_else(|| self.ingested(&station));
        self.finish(&station, &item);
        self.history.check_catalogue(&self.cluster);
        done.is_none()
    }

    /// A run that ends there. One that ends before has ingested the original.
    fn run_to(&self, station: &Station, end: End, random: &mut Random) -> Option<Value> {
        let path = format!("/{STATIONS}/");
        self.shim.set_rules(&[Rule::Kill { number: end.number, moment: end.fate.moment(), path: &path }]);
        let output = self.ingest(station);
        self.shim.set_rules(&[]);
        if output.status.success() {
            return Some(item_of(&output));
        }
        assert_eq!(output.status.signal(), Some(SIGKILL), "{}", String::from_utf8_lossy(&output.stderr));
        if let Some(loss) = end.fate.loss() {
            self.shim.cut(&station.name, loss, random);
        }
        if station.receipt().exists() {
            self.history.check_receipts(&self.cluster, std::slice::from_ref(&station.file));
        }
        None
    }

    /// What was acknowledged is there after a power cut, and done again it changes nothing.
    fn finish(&mut self, station: &Station, item: &Value) {
        self.history.acknowledge(&station.file, item);
        self.shim.cut(&station.name, Loss::All, &mut Random::new(0));
        let again = self.ingested(station);
        assert_eq!(again["already_ingested"], true, "the receipt is gone: {again:#}");
        assert_eq!(again["item"], item["item"], "one original, two items");
        self.history.check_receipts(&self.cluster, std::slice::from_ref(&station.file));
        let folder = station.file.parent().expect("a folder");
        let mut left: Vec<_> = fs::read_dir(folder).expect("lists").map(|it| it.expect("an entry").path()).collect();
        left.sort();
        assert_eq!(left, [station.file.clone(), station.receipt()], "something was left behind");
    }

    fn station(&mut self, travel: Travel) -> Station {
        self.stations += 1;
        let name = format!("s{}", self.stations);
        let folder = self.cluster.path(STATIONS).join(&name);
        fs::create_dir(&folder).expect("a folder");
        let file = folder.join("original");
        fs::write(&file, data::bytes(travel.bytes(), self.stations)).expect("writes an original");
        Station { name, file }
    }

    fn ingest(&self, station: &Station) -> Output {
        let words = [ingest_words(&station.file), vec!["--output", "json"]].concat();
        self.cluster.command(&words).envs(self.shim.environment(None)).output().expect("the binary runs")
    }

    fn ingested(&self, station: &Station) -> Value {
        let output = self.ingest(station);
        assert!(output.status.success(), "{}: {}", station.name, String::from_utf8_lossy(&output.stderr));
        item_of(&output)
    }

    fn check_ledger(&mut self) {
        self.history.check_ledger(&self.cluster);
    }
}

fn item_of(output: &Output) -> Value {
    let printed: Value = serde_json::from_slice(&output.stdout).expect("JSON on stdout");
    printed[0].clone()
}

fn points_of(travel: Travel, changes: u32) -> Vec<Point> {
    let mut points = Vec::new();
    for number in 1..=changes {
        for fate in [Fate::Persisted, Fate::Lost, Fate::Torn] {
            points.push(Point { travel, ends: vec![End { number, fate }] });
        }
        let first = End { number, fate: Fate::Persisted };
        for number in 1..=changes + MORE_OF_A_SECOND_RUN {
            for fate in [Fate::Lost, Fate::Torn] {
                points.push(Point { travel, ends: vec![first, End { number, fate }] });
            }
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_a_point_with_every_fate_alone_and_before_a_second_run() {
        let told: Vec<_> = points_of(Travel::Whole, 2).iter().map(Point::to_string).collect();
        assert_eq!(told.len(), 2 * 3 + 2 * 4 * 2, "{told:?}");
        assert!(told.contains(&"Station, Whole, at 2 Torn".to_owned()), "{told:?}");
        assert!(told.contains(&"Station, Whole, at 1 Persisted, at 4 Lost".to_owned()), "{told:?}");
    }
}

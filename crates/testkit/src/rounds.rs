//! Fault rounds: clients work on a cluster under the disk shim, something goes wrong at a moment that the seed chose, the
//! cluster comes back, and everything it ever acknowledged is compared with what it says now (`history`).
//!
//! What a round does follows from the seed and the round's number alone; how the processes interleave does not, so a
//! failing seed may have to be played a few times. A round that fails panics.

use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cluster::{Cluster, Shape};
use crate::data;
use crate::history::History;
use crate::powercut::Loss;
use crate::random::Random;
use crate::shim::{Rule, Shim};

/// A cluster is replaced by a new one after so many rounds.
const ROUNDS_OF_A_CLUSTER: u64 = 50;
const NODES: usize = 6;
const CLIENTS: usize = 3;
const MIB: u64 = 1 << 20;
/// No client needs longer, faults and all.
const CLIENT_PATIENCE: Duration = Duration::from_secs(60);
const AS_JSON: [&str; 2] = ["--output", "json"];
/// Exit code of a command line that was not understood.
const USAGE: i32 = 2;
const LOOK_PERIOD: Duration = Duration::from_millis(5);

/// What goes wrong in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    KillAll,
    KillLeader,
    KillDistrict(u64),
    Pause(usize),
    CutAll(Loss),
    CutOne(usize, Loss),
    KillClient(usize),
}

impl Fault {
    fn draw(random: &mut Random) -> Self {
        let node = random.position(NODES);
        let loss = *random.one_of(&[Loss::All, Loss::Some, Loss::Torn]);
        match random.below(12) {
            0 | 1 => Self::KillAll,
            2 => Self::KillLeader,
            3 => Self::KillDistrict(random.below(3)),
            4 => Self::Pause(node),
            5..=8 => Self::CutAll(loss),
            9 | 10 => Self::CutOne(node, loss),
            _ => Self::KillClient(random.position(CLIENTS)),
        }
    }
}

/// What a round did.
#[derive(Debug)]
pub struct Report {
    fault: Fault,
    new: usize,
    read: usize,
    elapsed: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f32();
        write!(f, "{:?}, {} new items, {} read back, {seconds:.1} s", self.fault, self.new, self.read)
    }
}

/// What all rounds did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Rounds that passed.
    pub rounds: u64,
    /// Items acknowledged in them.
    pub items: usize,
    /// Times that an item was read back.
    pub read: usize,
}

/// A round that failed.
#[derive(Debug)]
pub struct Failed {
    /// Its number.
    pub round: u64,
    /// What was wrong.
    pub why: String,
    /// The cluster's folder and the clients' files, kept. None where no cluster came up.
    pub folder: Option<PathBuf>,
}

/// Plays the rounds of `range`, telling each; stops at the first that fails.
///
/// # Errors
/// The round that failed.
pub fn play(
    binary: &Path,
    seed: u64,
    range: std::ops::RangeInclusive<u64>,
    mut tell: impl FnMut(u64, &Report),
) -> Result<Summary, Failed> {
    let mut summary = Summary::default();
    let mut stage: Option<Stage> = None;
    for round in range {
        let played = catch_unwind(AssertUnwindSafe(|| {
            if stage.as_ref().is_none_or(|stage| stage.rounds == ROUNDS_OF_A_CLUSTER) {
                stage = None;
                stage = Some(Stage::new(binary));
            }
            let random = Random::new(Random::new(seed).number() ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            stage.as_mut().expect("made above").play(round, random)
        }));
        match played {
            Ok(report) => {
                tell(round, &report);
                summary.rounds += 1;
                summary.items += report.new;
                summary.read += report.read;
            }
            Err(panic) => {
                let folder = stage.as_mut().map(|stage| stage.cluster.keep());
                return Err(Failed { round, why: said(&*panic), folder });
            }
        }
    }
    Ok(summary)
}

/// Whether the checks find what a disk that lies about syncs loses: an item is acknowledged, the power of all nodes
/// is cut, and the item is looked for.
#[must_use]
pub fn is_kept_through_cut(binary: &Path, syncs_count: bool) -> bool {
    let mut stage = Stage::new(binary);
    if !syncs_count {
        stage.shim.set_rules(&[Rule::IgnoreSync]);
    }
    let (file, item) = stage.cluster.ingest_bytes("acknowledged", &data::bytes(9 << 20, 1));
    stage.history.acknowledge(&file, &item);
    stage.cut(&stage.cluster.names(), Loss::All, &mut Random::new(1));
    stage.shim.set_rules(&[]);
    catch_unwind(AssertUnwindSafe(|| {
        stage.cluster.bring_up();
        stage.check(&[file], &mut Random::new(1));
    }))
    .is_ok()
}

pub(crate) fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// A cluster, its shim and its history.
pub(crate) struct Stage {
    pub(crate) history: History,
    pub(crate) cluster: Cluster,
    pub(crate) shim: Shim,
    rounds: u64,
}

/// A file that a client is to ingest, and what it printed when it did.
struct Errand {
    file: PathBuf,
    acknowledged: Option<Value>,
}

impl Stage {
    pub(crate) fn new(binary: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let shim = Shim::new(&folder.path().join("shim"), &folder.path().join("cluster/nodes"));
        let profile = folder.path().join("profile.toml");
        let text = include_str!("../../../profiles/dev.toml").replace("uses = 10", "uses = 1");
        fs::write(&profile, text).expect("writes");
        let shape = Shape { nodes: NODES, profile: Some(profile), ..Shape::default() };
        let cluster = Cluster::up_in(folder, binary, shape, shim.environment(Some("node run")));
        Self { history: History::default(), cluster, shim, rounds: 0 }
    }

    fn play(&mut self, round: u64, mut random: Random) -> Report {
        let start = Instant::now();
        let fault = Fault::draw(&mut random);
        let moment = Duration::from_millis(random.below(700));
        let errands = self.work(round, fault, moment, &mut random);
        self.cluster.bring_up();
        let files = self.finish(errands);
        let read = self.check(&files, &mut random);
        self.rounds += 1;
        Report { fault, new: files.len(), read, elapsed: start.elapsed() }
    }

    /// Clients at work, and the fault among them.
    fn work(&mut self, round: u64, fault: Fault, moment: Duration, random: &mut Random) -> Vec<Errand> {
        let killed = AtomicBool::new(false);
        let mut queues: Vec<Vec<Errand>> =
            (0..CLIENTS).map(|client| errands(&self.cluster, round, client, random)).collect();
        let mut chance = random.branch();
        let items = self.history.some(&[], 2, random);
        let this = &*self;
        thread::scope(|scope| {
            for (client, queue) in queues.iter_mut().enumerate() {
                let killed = (fault == Fault::KillClient(client)).then_some(&killed);
                scope.spawn(move || this.ingest_all(queue, killed));
            }
            scope.spawn(|| this.read_meanwhile(&items, round));
            thread::sleep(moment);
            this.strike(fault, &killed, &mut chance);
        });
        queues.into_iter().flatten().collect()
    }

    fn ingest_all(&self, queue: &mut [Errand], killed: Option<&AtomicBool>) {
        for errand in queue {
            let mut command = self.cluster.command(&ingest_words(&errand.file));
            let mut client =
                command.args(AS_JSON).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a client starts");
            let start = Instant::now();
            while client.try_wait().expect("asks").is_none() {
                let shot = killed.is_some_and(|killed| killed.swap(false, Ordering::Relaxed));
                if shot || start.elapsed() > CLIENT_PATIENCE {
                    client.kill().expect("kills");
                }
                thread::sleep(LOOK_PERIOD);
            }
            let output = client.wait_with_output().expect("its output");
            assert_ne!(output.status.code(), Some(USAGE), "the round asks wrongly");
            if output.status.success() {
                let printed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
                errand.acknowledged = Some(printed[0].clone());
            }
        }
    }

    /// A request, its approval and its copy-out during the fault. Each may fail; what is copied must be right.
    fn read_meanwhile(&self, items: &[String], round: u64) {
        if items.is_empty() {
            return;
        }
        let submitted = self.cluster.command(&submit_words(items)).args(AS_JSON).output().expect("runs");
        assert_ne!(submitted.status.code(), Some(USAGE), "the round asks wrongly");
        if !submitted.status.success() {
            return;
        }
        let request: Value = serde_json::from_slice(&submitted.stdout).expect("JSON");
        let request = request["request"].as_str().expect("a number");
        if !self.cluster.run(&["--as", "approver", "request", "approve", request]).status.success() {
            return;
        }
        let to = self.cluster.path(&format!("meanwhile-{round}"));
        let words = ["--as", "archivist", "copy-out", request, "--to", to.to_str().expect("UTF-8"), "--output", "json"];
        let copied = self.cluster.run(&words);
        if copied.status.success() {
            self.history.compare_copies(&serde_json::from_slice(&copied.stdout).expect("JSON"), items);
        }
    }

    fn strike(&self, fault: Fault, client: &AtomicBool, random: &mut Random) {
        let names = self.cluster.names();
        match fault {
            Fault::KillAll => self.kill(&names),
            Fault::KillLeader => {
                let status = self.cluster.json(&["dev", "status", "--dir", &self.cluster.dir()]);
                self.kill(&[status["leader"].as_str().unwrap_or("n1").to_owned()]);
            }
            Fault::KillDistrict(district) => {
                let district = usize::try_from(district).expect("small");
                self.kill(&[names[district].clone(), names[district + 3].clone()]);
            }
            Fault::Pause(node) => {
                let pids = self.pids(&names[node..=node]);
                signal("STOP", &pids);
                thread::sleep(Duration::from_millis(500 + random.below(2500)));
                signal("CONT", &pids);
            }
            Fault::CutAll(loss) => self.cut(&names, loss, random),
            Fault::CutOne(node, loss) => self.cut(&names[node..=node], loss, random),
            Fault::KillClient(_) => client.store(true, Ordering::Relaxed),
        }
        // What was killed starts again while the clients still try.
        self.cluster.bring_up();
    }

    fn cut(&self, nodes: &[String], loss: Loss, random: &mut Random) {
        self.kill(nodes);
        for node in nodes {
            self.shim.cut(node, loss, random);
        }
    }

    /// All at the same moment, and returns when they are gone.
    pub(crate) fn kill(&self, nodes: &[String]) {
        signal("KILL", &self.pids(nodes));
        self.cluster.on("kill", &nodes.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// Whether the node's process runs.
    pub(crate) fn runs(&self, node: &str) -> bool {
        let status = self.cluster.json(&["dev", "status", "--dir", &self.cluster.dir()]);
        let nodes = status["nodes"].as_array().expect("nodes");
        nodes.iter().any(|found| found["name"] == node && found["running"] == true)
    }

    fn pids(&self, nodes: &[String]) -> Vec<String> {
        let pid = |node: &String| fs::read_to_string(self.cluster.file(&format!("nodes/{node}/pid")));
        nodes.iter().map(|node| pid(node).expect("a pid file").trim().to_owned()).collect()
    }

    /// Ingests what no client finished, and some that one did: that changes nothing. Answers all files.
    fn finish(&mut self, errands: Vec<Errand>) -> Vec<PathBuf> {
        for (position, errand) in errands.iter().enumerate() {
            if let Some(item) = &errand.acknowledged {
                self.history.acknowledge(&errand.file, item);
            }
            if errand.acknowledged.is_none() || position == 0 {
                let item = self.cluster.json(&ingest_words(&errand.file))[0].clone();
                assert!(errand.acknowledged.is_none() || item["already_ingested"] == true, "{item:#}");
                self.history.acknowledge(&errand.file, &item);
            }
        }
        errands.into_iter().map(|errand| errand.file).collect()
    }

    /// Everything that was acknowledged, against what the cluster says now. Answers how many items were read.
    pub(crate) fn check(&mut self, files: &[PathBuf], random: &mut Random) -> usize {
        let others = if self.rounds + 1 == ROUNDS_OF_A_CLUSTER { self.history.len() * 3 } else { 3 };
        let items = self.history.some(files, others, random);
        self.history.check_receipts(&self.cluster, files);
        self.copy_out_once(&items);
        self.history.check_catalogue(&self.cluster);
        self.history.check_ledger(&self.cluster);
        let status = self.cluster.status();
        assert_eq!(status["bad_shards"], Value::Array(Vec::new()), "synced shards went bad");
        for node in self.cluster.names() {
            let log = fs::read(self.cluster.file(&format!("nodes/{node}/node.log"))).expect("reads a log");
            let log = String::from_utf8_lossy(&log);
            let line = log.lines().find(|line| line.contains("panicked"));
            assert_eq!(line, None, "{node} panicked");
        }
        items.len()
    }

    fn copy_out_once(&self, items: &[String]) {
        let request = self.cluster.json(&submit_words(items))["request"].as_str().expect("a number").to_owned();
        self.cluster.done(&["--as", "approver", "request", "approve", &request]);
        let folder = self.cluster.path("out");
        let to = folder.to_str().expect("UTF-8");
        let copied = self.cluster.json(&["--as", "archivist", "copy-out", &request, "--to", to]);
        self.history.compare_copies(&copied, items);
        let again = self.cluster.path(&format!("again-{request}"));
        self.cluster.refused(3, &["--as", "archivist", "copy-out", &request, "--to", again.to_str().expect("UTF-8")]);
        fs::remove_dir_all(folder).expect("removes the copies");
    }
}

/// The originals of one client: mostly small ones of one call, some of a few chunks, now and then one so long that its
/// manifest grows in steps and an upload resumes in its middle.
fn errands(cluster: &Cluster, round: u64, client: usize, random: &mut Random) -> Vec<Errand> {
    let count = 1 + random.below(3);
    (0..count)
        .map(|number| {
            let length = match random.below(16) {
                0..=6 => random.below(9000),
                7..=10 => random.below(MIB),
                11..=14 => 4 * MIB - 1 + random.below(8 * MIB),
                _ => 66 * MIB + random.below(MIB),
            };
            let file = cluster.path(&format!("r{round}-c{client}-{number}"));
            // Two empty originals would be one item.
            let length = usize::try_from(length).expect("small").max(8);
            fs::write(&file, data::bytes(length, random.number())).expect("writes an original");
            Errand { file, acknowledged: None }
        })
        .collect()
}

pub(crate) fn ingest_words(file: &Path) -> Vec<&str> {
    let mut words = vec!["ingest", file.to_str().expect("UTF-8"), "--device", "D1", "--unit", "U1", "--recorded-start"];
    words.extend(["2026-03-01T09:30:00+08:00", "--recorded-end", "2026-03-01T09:31:00+08:00"]);
    words
}

fn submit_words(items: &[String]) -> Vec<&str> {
    let mut words = vec!["--as", "legal", "request", "submit", "--act", "copy", "--reason", "a round"];
    words.extend(items.iter().flat_map(|item| ["--item", item.as_str()]));
    words
}

fn signal(name: &str, pids: &[String]) {
    // One that has ended meanwhile is no failure of the round.
    let _ = Command::new("sh")
        .args(["-c", "name=$1; shift; kill -s \"$name\" \"$@\"", "signal", name])
        .args(pids)
        .stderr(Stdio::null())
        .status()
        .expect("a shell runs");
}

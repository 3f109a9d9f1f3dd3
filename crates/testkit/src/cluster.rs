//! A cluster of node processes on this machine, driven through the command line. It is ended and deleted with the value,
//! however the test ends.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A cluster that is in service looks so from every node after this long.
const SETTLE_PATIENCE: Duration = Duration::from_secs(15);
const LOOK_PERIOD: Duration = Duration::from_millis(100);
/// A new leader is there after this long, or never.
const ELECTION_PATIENCE: Duration = Duration::from_secs(40);
/// Somebody who has not been answered by a node after this long is not answered by it.
const PROBE_PATIENCE: Duration = Duration::from_secs(8);

/// What `dev up` is asked for.
#[derive(Clone, Debug)]
pub struct Shape {
    /// How many nodes.
    pub nodes: usize,
    /// Over how many districts.
    pub districts: usize,
    /// Such as `4+2`.
    pub scheme: &'static str,
    /// A profile file in place of the built-in one.
    pub profile: Option<PathBuf>,
    /// Profiles of further agencies, which get the units `U2` and on. They need `profile`, which stands before them.
    pub further_profiles: Vec<PathBuf>,
}

impl Default for Shape {
    fn default() -> Self {
        Self { nodes: 6, districts: 3, scheme: "4+2", profile: None, further_profiles: Vec::new() }
    }
}

/// A local cluster with one identity for each role, unit `U1` and device `D1`.
#[derive(Debug)]
pub struct Cluster {
    binary: PathBuf,
    shape: Shape,
    folder: tempfile::TempDir,
    environment: Vec<(OsString, OsString)>,
    kept: bool,
}

impl Cluster {
    /// Brings a cluster up with the binary at `binary` and checks that it is in service.
    ///
    /// # Panics
    /// Where it does not come up: all methods panic where something that must succeed does not.
    #[must_use]
    pub fn up(binary: impl Into<PathBuf>, shape: Shape) -> Self {
        Self::up_with(binary, shape, [])
    }

    /// As [`Cluster::up`], with variables in the environment of every node, for shims that are preloaded.
    #[must_use]
    pub fn up_with(
        binary: impl Into<PathBuf>,
        shape: Shape,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let environment = environment.into_iter().collect();
        Self::up_in(tempfile::tempdir().expect("a folder"), binary, shape, environment)
    }

    /// As [`Cluster::up_with`], in a folder that is there already; the cluster's own is `cluster` below it.
    #[must_use]
    pub fn up_in(
        folder: tempfile::TempDir,
        binary: impl Into<PathBuf>,
        shape: Shape,
        environment: Vec<(OsString, OsString)>,
    ) -> Self {
        let cluster = Self { binary: binary.into(), shape, folder, environment, kept: false };
        cluster.bring_up();
        cluster
    }

    /// Ends the nodes, and leaves the folder to whoever looks for what went wrong in it.
    pub fn keep(&mut self) -> PathBuf {
        self.kept = true;
        self.folder.disable_cleanup(true);
        self.done(&["dev", "down", "--dir", &self.dir()]);
        self.folder.path().to_owned()
    }

    /// Starts every node that does not run and waits until all is in service.
    pub fn bring_up(&self) {
        let nodes = self.shape.nodes.to_string();
        let districts = self.shape.districts.to_string();
        let dir = self.dir();
        let mut words = vec!["dev", "up", "--dir", &dir, "--nodes", &nodes, "--districts", &districts];
        words.extend(["--scheme", self.shape.scheme]);
        let profiles = self.shape.profile.iter().chain(&self.shape.further_profiles);
        let profiles: Vec<_> = profiles.map(|path| path.display().to_string()).collect();
        words.extend(profiles.iter().flat_map(|profile| ["--profile", profile]));
        let places = self.json(&words);
        assert_eq!(places["unit"], "U1");
        let named = places["nodes"].as_array().expect("nodes").len();
        // `dev up` has asked each node once; one may lose sight of another for a moment while the machine is busy.
        let start = Instant::now();
        loop {
            let status = self.status();
            let nodes = status["nodes"].as_array().expect("nodes");
            let leaders = nodes.iter().filter(|node| node["raft_role"] == "leader").count();
            if nodes.len() == named && leaders == 1 && nodes.iter().all(|node| node["state"] == "healthy") {
                return;
            }
            assert!(start.elapsed() < SETTLE_PATIENCE, "{status:#}");
            thread::sleep(LOOK_PERIOD);
        }
    }

    /// The cluster's folder.
    #[must_use]
    pub fn dir(&self) -> String {
        self.path("cluster").display().to_string()
    }

    /// A place for the test's own files, deleted with the cluster.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of the cluster's folder, such as `identities/ops.pem`.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path("cluster").join(name)
    }

    /// The names of the nodes that the cluster began with.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        (1..=self.shape.nodes).map(|number| format!("n{number}")).collect()
    }

    /// The binary with `words`, ready to run against this cluster.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(words).env("STRONGROOM_CONTEXT", self.file("context.toml")).env("LANG", "C");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the binary and answers what it did, whatever that was.
    #[must_use]
    pub fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("the binary runs")
    }

    /// What a command that must succeed prints as JSON.
    pub fn json(&self, words: &[&str]) -> Value {
        let output = self.run(&[words, &["--output", "json"]].concat());
        assert!(output.status.success(), "{words:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON on stdout")
    }

    /// Runs a command that must succeed.
    pub fn done(&self, words: &[&str]) {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }

    /// What a command that must fail with `code` says.
    pub fn refused(&self, code: i32, words: &[&str]) -> String {
        let output = self.run(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        said
    }

    /// `cluster status` as ops sees it.
    #[must_use]
    pub fn status(&self) -> Value {
        self.json(&["cluster", "status"])
    }

    /// Nodes of the cluster: the leader, and the others.
    #[must_use]
    pub fn leader_and_others(&self) -> (String, Vec<String>) {
        let status = self.json(&["dev", "status", "--dir", &self.dir()]);
        let leader = status["leader"].as_str().expect("a leader").to_owned();
        let others = self.names().into_iter().filter(|name| *name != leader).collect();
        (leader, others)
    }

    /// A context that knows these nodes alone.
    #[must_use]
    pub fn context_of(&self, nodes: &[&str]) -> PathBuf {
        let status = self.json(&["dev", "status", "--dir", &self.dir()]);
        let addresses: Vec<String> = status["nodes"]
            .as_array()
            .expect("nodes")
            .iter()
            .filter(|node| nodes.contains(&node["name"].as_str().expect("a name")))
            .map(|node| node["client"].to_string())
            .collect();
        let text = std::fs::read_to_string(self.file("context.toml")).expect("reads");
        let begin = text.find("endpoints = [").expect("endpoints");
        let end = begin + text[begin..].find(']').expect("their end") + 1;
        let text = format!("{}endpoints = [{}]{}", &text[..begin], addresses.join(", "), &text[end..]);
        let path = self.file(&format!("context-{}.toml", nodes.join("-")));
        std::fs::write(&path, text).expect("writes");
        path
    }

    /// Runs the binary with another context.
    #[must_use]
    pub fn run_in(&self, context: &Path, words: &[&str]) -> Output {
        self.command(words).env("STRONGROOM_CONTEXT", context).output().expect("the binary runs")
    }

    /// Waits until nodes agree on a leader among these, as whoever has this context sees it.
    pub fn wait_for_leader(&self, context: &Path, among: &[String]) -> String {
        let start = Instant::now();
        loop {
            let output = self.run_in(context, &["cluster", "status", "--output", "json"]);
            if let Ok(status) = serde_json::from_slice::<Value>(&output.stdout) {
                let leader = status["leader"].as_str().unwrap_or_default();
                if among.iter().any(|name| name == leader) {
                    return leader.to_owned();
                }
            }
            assert!(start.elapsed() < ELECTION_PATIENCE, "no leader: {output:?}");
            thread::sleep(LOOK_PERIOD);
        }
    }

    /// Which of these commands succeed within a while with another context; none of them waits for another.
    #[must_use]
    pub fn succeed(&self, context: &Path, commands: &[&[&str]]) -> Vec<bool> {
        let start = Instant::now();
        let begin = |words: &&[&str]| {
            let mut command = self.command(words);
            command.env("STRONGROOM_CONTEXT", context).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().expect("the binary runs")
        };
        let mut probes: Vec<_> = commands.iter().map(begin).collect();
        while start.elapsed() < PROBE_PATIENCE
            && probes.iter_mut().any(|probe| probe.try_wait().expect("asks").is_none())
        {
            thread::sleep(LOOK_PERIOD);
        }
        let end = |mut probe: std::process::Child| {
            let _ = probe.kill();
            probe.wait().expect("its end").success()
        };
        probes.into_iter().map(end).collect()
    }

    /// `dev stop`, `dev start` or `dev kill` of nodes.
    pub fn on(&self, verb: &str, nodes: &[&str]) {
        self.done(&[&["dev", verb], nodes, &["--dir", &self.dir()]].concat());
    }

    /// Ingests a file as the station; answers the item as `ingest` prints it.
    #[must_use]
    pub fn ingest(&self, file: &Path) -> Value {
        let file = file.to_str().expect("UTF-8");
        let times = ["--recorded-start", "2026-03-01T09:30:00+08:00", "--recorded-end", "2026-03-01T09:31:00"];
        let words = [&["ingest", file, "--device", "D1", "--unit", "U1", "--label", "place=gate"], &times[..]].concat();
        self.json(&words)[0].clone()
    }

    /// Writes `content` to a file of the test and ingests it; answers the file and the item.
    #[must_use]
    pub fn ingest_bytes(&self, name: &str, content: &[u8]) -> (PathBuf, Value) {
        let file = self.path(name);
        std::fs::write(&file, content).expect("writes");
        let item = self.ingest(&file);
        (file, item)
    }

    /// Submits a request for a copy of one item as legal; answers its number.
    #[must_use]
    pub fn submit(&self, item: &str) -> String {
        let submitted =
            self.json(&["--as", "legal", "request", "submit", "--act", "copy", "--item", item, "--reason", "a test"]);
        assert_eq!(submitted["state"], "pending");
        assert!(!submitted["missing"].as_array().expect("a list").is_empty());
        submitted["request"].as_str().expect("a number").to_owned()
    }

    /// Submits, approves and copies out one item; answers the file.
    #[must_use]
    pub fn copy_out(&self, item: &str, folder: &str) -> PathBuf {
        let request = self.submit(item);
        self.done(&["--as", "approver", "request", "approve", &request]);
        let to = self.path(folder);
        let copied = self.json(&["--as", "archivist", "copy-out", &request, "--to", to.to_str().expect("UTF-8")]);
        PathBuf::from(copied["items"][0]["path"].as_str().expect("a path"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let output = self.run(&["dev", "down", "--delete", "--dir", &self.dir()]);
        if std::thread::panicking() {
            return;
        }
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!self.path("cluster").exists());
    }
}

//! The whole path over six real node processes in three districts at 4+2, with a client in a process of its own.
//!
//! Originals and copies lie in memory (`/dev/shm`, where there is one), so that the disk is the nodes' alone. CPU time
//! of the nodes is what the kernel counted for their processes between the client's start and its end: heartbeats and
//! everything else that a node does meanwhile are in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use strongroom_testkit::{Cluster, Shape, bytes};
use strongroom_types::limits::PROGRESS_BYTES;
use tempfile::TempDir;

use crate::{Scale, client::Took, say, stages::GIB, sys};

const MIB: f64 = (1 << 20) as f64;
const MEMORY: &str = "/dev/shm";

/// What one job took.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) name: &'static str,
    pub(crate) took: Took,
    /// Of all nodes.
    pub(crate) nodes_cpu: Duration,
}

impl Run {
    pub(crate) fn mib_s(&self) -> f64 {
        gib(self.took.bytes) * 1024.0 / self.took.wall_s
    }

    pub(crate) fn nodes_cpu_s_per_gib(&self) -> f64 {
        self.nodes_cpu.as_secs_f64() / gib(self.took.bytes)
    }

    pub(crate) fn client_cpu_s_per_gib(&self) -> f64 {
        self.took.cpu_s / gib(self.took.bytes)
    }

    /// What the nodes spent on one original, in milliseconds.
    pub(crate) fn nodes_cpu_ms_per_item(&self) -> f64 {
        self.nodes_cpu.as_secs_f64() * 1000.0 / self.count()
    }

    /// What the client spent on one original, in milliseconds.
    pub(crate) fn client_cpu_ms_per_item(&self) -> f64 {
        self.took.cpu_s * 1000.0 / self.count()
    }

    /// Originals in a second.
    pub(crate) fn per_s(&self) -> f64 {
        self.count() / self.took.wall_s
    }

    fn count(&self) -> f64 {
        f64::from(u32::try_from(self.took.items.len()).expect("fewer than four billion"))
    }
}

fn gib(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1024).expect("below 4 TiB")) * 1024.0 / GIB
}

/// All jobs.
#[derive(Clone, Debug)]
pub(crate) struct Whole {
    pub(crate) ingest: Run,
    pub(crate) ingest_many: Run,
    pub(crate) ingest_many_by_four: Run,
    pub(crate) seals: Run,
    /// Labels one after the other: what an entry of the log costs, with its call, its record and its checkpoint.
    pub(crate) commits: Run,
    pub(crate) read: Run,
    pub(crate) degraded_read: Run,
    /// Four large originals through four gateways at once: what memory is measured under.
    pub(crate) ingest_large_by_four: Run,
    /// The most memory that any node ever had.
    pub(crate) node_rss_max_mib: f64,
}

/// Brings a cluster up, measures, and takes it down.
pub(crate) fn measure(binary: &Path, scale: Scale) -> Result<Whole> {
    let bench = Bench::up(binary)?;
    let large = usize::try_from(PROGRESS_BYTES)? * scale.pick(16, 2);
    let (many, many_bytes) = scale.pick((64, 16 << 20), (8, 16 << 20));
    let ingest = bench.ingest("ingest, one original", 1, Files { count: 1, bytes: large })?;
    let files = Files { count: many, bytes: many_bytes };
    let ingest_many = bench.ingest("ingest, many originals", 1, files)?;
    let ingest_many_by_four = bench.ingest("ingest, many, 4 clients", 4, files)?;
    let seals = bench.seals(scale)?;
    let large_by_four = Files { count: 4, bytes: usize::try_from(PROGRESS_BYTES)? * scale.pick(32, 1) };
    let ingest_large_by_four = bench.ingest("ingest, 4 large, 4 clients", 4, large_by_four)?;
    let item = ingest.took.items.first().context("one was ingested")?;
    let commits = bench.run("labels, one after the other", &["label", item, &scale.pick(500, 50).to_string()])?;
    let read = bench.copy_out("read", item)?;
    let node_rss_max_mib = bench.resident_max()?;
    bench.lose_two_nodes()?;
    let degraded_read = bench.copy_out("read, two nodes lost", item)?;
    Ok(Whole {
        ingest,
        ingest_many,
        ingest_many_by_four,
        seals,
        commits,
        read,
        degraded_read,
        ingest_large_by_four,
        node_rss_max_mib,
    })
}

/// Brings a cluster up for small originals alone, and takes it down.
pub(crate) fn measure_seals(binary: &Path, scale: Scale) -> Result<Run> {
    Bench::up(binary)?.seals(scale)
}

fn memory_folder() -> Result<TempDir> {
    let folder = if Path::new(MEMORY).is_dir() { PathBuf::from(MEMORY) } else { std::env::temp_dir() };
    tempfile::tempdir_in(&folder).with_context(|| format!("could not make a folder in {}", folder.display()))
}

#[derive(Clone, Copy)]
struct Files {
    count: usize,
    bytes: usize,
}

struct Bench {
    cluster: Cluster,
    files: TempDir,
}

impl Bench {
    fn up(binary: &Path) -> Result<Self> {
        ensure!(binary.is_file(), "{} is not there: build strongroom-cli first", binary.display());
        say("e2e: six nodes come up");
        Ok(Self { cluster: Cluster::up(binary, Shape::default()), files: memory_folder()? })
    }

    fn seals(&self, scale: Scale) -> Result<Run> {
        self.ingest("ingest, 4 KiB, 16 clients", 16, Files { count: scale.pick(2048, 256), bytes: 4096 })
    }

    fn ingest(&self, name: &'static str, clients: usize, files: Files) -> Result<Run> {
        let folder = self.files.path().join("originals");
        std::fs::create_dir(&folder)?;
        for number in 0..files.count {
            let content = bytes(files.bytes, number as u64 * 64 + clients as u64);
            std::fs::write(folder.join(format!("{number:04}.mp4")), content)?;
        }
        let run = self.run(name, &["ingest", "--clients", &clients.to_string(), path(&folder)?])?;
        ensure!(run.took.items.len() == files.count, "{name}: {} of {}", run.took.items.len(), files.count);
        std::fs::remove_dir_all(folder)?;
        Ok(run)
    }

    fn copy_out(&self, name: &'static str, item: &str) -> Result<Run> {
        let request = self.cluster.submit(item);
        self.cluster.done(&["--as", "approver", "request", "approve", &request]);
        let folder = self.files.path().join("copies");
        let run = self.run(name, &["copy-out", &request, path(&folder)?])?;
        std::fs::remove_dir_all(&folder)?;
        Ok(run)
    }

    /// The client's job in a process of its own.
    fn run(&self, name: &'static str, words: &[&str]) -> Result<Run> {
        say(&format!("e2e: {name}"));
        let before = self.nodes_cpu()?;
        let output = Command::new(std::env::current_exe()?)
            .args(["client", "--context", path(&self.cluster.file("context.toml"))?])
            .args(words)
            .output()
            .context("could not start a client")?;
        let nodes_cpu = since(&before, &self.nodes_cpu()?);
        ensure!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let took = serde_json::from_slice(&output.stdout).context("could not understand the client")?;
        Ok(Run { name, took, nodes_cpu })
    }

    fn nodes_cpu(&self) -> Result<BTreeMap<u32, Duration>> {
        self.processes()?.into_iter().map(|pid| Ok((pid, sys::cpu_of(pid)?))).collect()
    }

    fn resident_max(&self) -> Result<f64> {
        let all = self.processes()?.into_iter().map(sys::resident_max_of).collect::<Result<Vec<_>>>()?;
        let most = all.into_iter().max().context("there are nodes")?;
        Ok(f64::from(u32::try_from(most / 1024)?) * 1024.0 / MIB)
    }

    /// The nodes that run.
    fn processes(&self) -> Result<Vec<u32>> {
        let mut processes = Vec::new();
        for name in self.cluster.names() {
            let file = self.cluster.file(&format!("nodes/{name}/pid"));
            let text = std::fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
            let pid = text.trim().parse().with_context(|| format!("{} holds no number", file.display()))?;
            if Path::new(&format!("/proc/{pid}")).exists() {
                processes.push(pid);
            }
        }
        Ok(processes)
    }

    /// Two nodes that do not vote: metadata goes on, and what is read costs only what the lost shards cost.
    fn lose_two_nodes(&self) -> Result<()> {
        let status = self.cluster.status();
        let nodes = status["nodes"].as_array().context("the status lists nodes")?;
        let learners = nodes.iter().rev().filter(|node| node["raft_role"] == "learner");
        let lost: Vec<&str> = learners.filter_map(|node| node["name"].as_str()).take(2).collect();
        ensure!(lost.len() == 2, "no two nodes to lose in {status:#}");
        say(&format!("e2e: {} are killed", lost.join(" and ")));
        self.cluster.on("kill", &lost);
        Ok(())
    }
}

/// What the processes that are still there have used. One that was killed may be shown for a moment longer.
fn since(before: &BTreeMap<u32, Duration>, after: &BTreeMap<u32, Duration>) -> Duration {
    after.iter().filter_map(|(pid, cpu)| cpu.checked_sub(*before.get(pid)?)).sum()
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("paths here are UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ended_meanwhile_is_not_counted() {
        let at = |pairs: [(u32, u64); 2]| pairs.map(|(pid, seconds)| (pid, Duration::from_secs(seconds))).into();
        let after = [(1, Duration::from_secs(8))].into();
        assert_eq!(since(&at([(1, 5), (2, 9)]), &after), Duration::from_secs(3));
        assert_eq!(since(&at([(1, 5), (2, 9)]), &at([(1, 5), (2, 10)])), Duration::from_secs(1));
    }
}

//! Disks that are full or slow, and nodes that stand still: lived with while it lasts, and used again afterwards.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use strongroom_testkit::shim::{Call, Rule};
use strongroom_testkit::{Cluster, bytes};

use crate::{LOOK_PERIOD, MIB, comes_back, finish, memory_is_bounded, pids_of, signal, start_ingest, up};

const ENOSPC: i32 = 28;
/// Longer than a disk or node is avoided after it was well again.
const AGAIN_PATIENCE: Duration = Duration::from_secs(120);

/// The volumes that took bytes between two looks, each with its nodes.
fn grown(before: &Value, after: &Value) -> Vec<BTreeSet<String>> {
    let volumes = |status: &Value| status["volumes"].as_array().expect("volumes").clone();
    let bytes_of = |volume: &Value| volume["user_bytes"].as_u64().expect("bytes");
    let then = volumes(before);
    let grew = |volume: &&Value| {
        let old = then.iter().find(|old| old["volume"] == volume["volume"]);
        bytes_of(volume) > old.map_or(0, bytes_of)
    };
    let nodes = |volume: &Value| {
        let names = volume["nodes"].as_array().expect("nodes").iter();
        names.map(|name| name.as_str().expect("a name").to_owned()).collect()
    };
    volumes(after).iter().filter(grew).map(nodes).collect()
}

/// Ingests an original and answers the nodes of each volume that it went to.
fn ingested_to(cluster: &Cluster, name: &str, length: usize, seed: u64) -> (Kept, Vec<BTreeSet<String>>) {
    let before = cluster.status();
    let (file, client) = start_ingest(cluster, name, &bytes(length, seed));
    let item = finish(client);
    let volumes = grown(&before, &cluster.status());
    assert!(!volumes.is_empty(), "{name} went nowhere");
    (Kept { file, item, copy: format!("{name}-copy") }, volumes)
}

/// Something that must come back.
struct Kept {
    file: std::path::PathBuf,
    item: Value,
    copy: String,
}

impl Kept {
    fn comes_back(&self, cluster: &Cluster) {
        comes_back(cluster, &self.item, &self.file, &self.copy);
    }
}

/// Ingests until a volume of all six nodes takes something.
fn is_used_again(cluster: &Cluster, what: &str, seed: u64) {
    let begun = Instant::now();
    for attempt in 0.. {
        let (kept, volumes) = ingested_to(cluster, &format!("{what}-{attempt}"), 5000, seed + attempt);
        if volumes.iter().any(|nodes| nodes.len() == cluster.names().len()) {
            return kept.comes_back(cluster);
        }
        assert!(begun.elapsed() < AGAIN_PATIENCE, "{what}: not used again, {:#}", cluster.status());
        thread::sleep(LOOK_PERIOD);
    }
}

#[test]
fn a_full_disk_is_waited_for_and_used_again_without_a_restart() {
    let (cluster, shim) = up();
    let pids = pids_of(&cluster);
    // The index lives in the reserve that puts leave alone, so only segments meet the end of the disk; unless somebody
    // else fills the file system, then it meets both. One disk is full: chunks go to narrower volumes without it.
    for (what, path, seed) in
        [("segments", "/n5/disk0/segments/", 100), ("index", "/n5/disk0/index/", 200), ("all of it", "/n5/disk0/", 300)]
    {
        shim.set_rules(&[Rule::Fail { call: Call::Write, error: ENOSPC, path }]);
        let (kept, volumes) = ingested_to(&cluster, &format!("one-is-full-{seed}"), 9 * MIB, seed);
        assert!(volumes.iter().all(|nodes| !nodes.contains("n5")), "{what}: {volumes:?}");
        shim.set_rules(&[]);
        is_used_again(&cluster, &format!("again-{seed}"), seed + 1);
        kept.comes_back(&cluster);
    }
    // All are: nothing is acknowledged, and the client is told to come back, which it does.
    shim.set_rules(&[Rule::Fail { call: Call::Write, error: ENOSPC, path: "/disk0/segments/" }]);
    let (file, mut client) = start_ingest(&cluster, "all-are-full", &bytes(9 * MIB, 2));
    thread::sleep(Duration::from_secs(4));
    assert!(client.try_wait().expect("asks").is_none(), "a client gave up, or was acknowledged by full disks");
    assert!(!cluster.path("all-are-full.receipt").exists());
    shim.set_rules(&[]);
    comes_back(&cluster, &finish(client), &file, "all-are-full-copy");
    is_used_again(&cluster, "after-all-were-full", 400);
    memory_is_bounded(&cluster, &pids);
    cluster.bring_up();
}

#[test]
fn a_slow_disk_or_a_node_that_stands_still_is_avoided_for_a_while_and_used_again() {
    let (cluster, shim) = up();
    let pids = pids_of(&cluster);
    // A little slower than the others: lived with.
    shim.set_rules(&[
        Rule::Delay { call: Call::Write, microseconds: 50_000, path: "/n4/disk0/" },
        Rule::Delay { call: Call::Sync, microseconds: 300_000, path: "/n4/disk0/" },
    ]);
    let (kept, _) = ingested_to(&cluster, "one-is-a-little-slow", 17 * MIB, 3);
    shim.set_rules(&[]);
    kept.comes_back(&cluster);

    // So slow that no chunk waits for it, while its node answers every ping.
    shim.set_rules(&[Rule::Delay { call: Call::Sync, microseconds: 6_000_000, path: "/n4/disk0/segments/" }]);
    let (kept, volumes) = ingested_to(&cluster, "one-is-slow", 41 * MIB, 4);
    assert!(volumes.iter().all(|nodes| !nodes.contains("n4")), "{volumes:?}");
    shim.set_rules(&[]);
    is_used_again(&cluster, "no-longer-slow", 500);
    kept.comes_back(&cluster);

    let pid = fs::read_to_string(cluster.file("nodes/n6/pid")).expect("a pid file");
    signal("STOP", pid.trim());
    let (kept, volumes) = ingested_to(&cluster, "one-stands-still", 41 * MIB, 5);
    assert!(volumes.iter().all(|nodes| !nodes.contains("n6")), "{volumes:?}");
    signal("CONT", pid.trim());
    is_used_again(&cluster, "no-longer-still", 600);
    kept.comes_back(&cluster);
    memory_is_bounded(&cluster, &pids);
    cluster.bring_up();
}

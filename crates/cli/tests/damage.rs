//! Shards that are damaged or forged on disk under a running cluster: reads stay right, `cluster status` names whoever
//! holds the bad shard, and the shard waits for repair.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use serde_json::Value;
use strongroom_testkit::{
    Cluster, Shape, bytes,
    damage::{StoredShard, shards_of},
};

const CHUNK: usize = 4 << 20;
const DEADLINE: Duration = Duration::from_secs(20);

type Harm = fn(&StoredShard, &[StoredShard]);

/// Each way to harm a shard, and what it is then called. The other shards are those of another item.
const HARMS: [(&str, Harm, &str); 5] = [
    ("forged", |shard, _| shard.forge(), "lying"),
    ("flipped", |shard, _| shard.flip(), "corrupt"),
    ("zeroed", |shard, _| shard.zero(), "corrupt"),
    ("swapped", swap, "corrupt"),
    ("cut", |shard, _| shard.truncate(), "corrupt"),
];

fn swap(shard: &StoredShard, others: &[StoredShard]) {
    shard.replace_by(others.iter().find(|other| other.node == shard.node).expect("a shard on each node"));
}

fn bad_shards_of(status: &Value, item: &str) -> BTreeSet<(String, u64, String)> {
    let bad = status["bad_shards"].as_array().expect("a list").iter().filter(|bad| bad["item"] == item);
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    bad.map(|bad| (text(&bad["node"]), bad["slot"].as_u64().expect("a slot"), text(&bad["fault"]))).collect()
}

fn named(shards: &[StoredShard], fault: &str) -> BTreeSet<(String, u64, String)> {
    shards.iter().map(|shard| (shard.node.clone(), u64::from(shard.slot), fault.to_owned())).collect()
}

/// Waits until the queue holds exactly these shards of the item.
fn wait_until_queued(cluster: &Cluster, item: &str, expected: &BTreeSet<(String, u64, String)>, what: &str) -> Value {
    let begun = Instant::now();
    loop {
        let status = cluster.status();
        if bad_shards_of(&status, item) == *expected {
            return status;
        }
        assert!(begun.elapsed() < DEADLINE, "{what}: expected {expected:?} in {:#}", status["bad_shards"]);
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn fault_records(cluster: &Cluster, item: &str) -> usize {
    let history = cluster.json(&["item", "history", item]);
    history.as_array().expect("records").iter().filter(|record| record["act"] == "shard.fault").count()
}

/// SeaweedFS #5959: corrupt bytes came back although a healthy copy was there. Ozone #10702: what waited to be rebuilt was forgotten.
#[test]
fn bad_shards_on_two_nodes_are_read_around_named_and_queued_and_on_three_the_read_ends_with_an_error() {
    let cluster = Cluster::up(env!("CARGO_BIN_EXE_strongroom"), Shape::default());
    let mut waiting = 0;
    for (seed, (what, harm, fault)) in (1..).zip(HARMS) {
        let (_, other) = cluster.ingest_bytes(&format!("other-{what}"), &bytes(CHUNK, 100 + seed));
        let (file, item) = cluster.ingest_bytes(&format!("file-{what}"), &bytes(CHUNK, seed));
        let item = item["item"].as_str().expect("an item");
        let others = shards_of(&cluster, other["item"].as_str().expect("an item"));
        let shards = shards_of(&cluster, item);
        assert_eq!(shards.len(), 6, "{what}");
        // Slots 0 and 1 hold data: a reader that is not lucky asks both.
        for shard in &shards[..2] {
            harm(shard, &others);
        }
        for copy in ["first", "second"] {
            let copy = cluster.copy_out(item, &format!("{what}-{copy}"));
            assert!(fs::read(copy).expect("reads") == fs::read(&file).expect("reads"), "{what}: the copy differs");
        }
        let status = wait_until_queued(&cluster, item, &named(&shards[..2], fault), what);
        waiting += 2;
        assert_eq!(status["repair_queue"], waiting, "{what}: {status:#}");
        let on_nodes: u64 =
            status["nodes"].as_array().expect("nodes").iter().map(|node| node["bad_shards"].as_u64().expect("n")).sum();
        assert_eq!(on_nodes, waiting, "{what}: {status:#}");
        assert_eq!(fault_records(&cluster, item), 2, "{what}: one record for each bad shard, not for each read");

        harm(&shards[2], &others);
        let request = cluster.submit(item);
        cluster.done(&["--as", "approver", "request", "approve", &request]);
        let to = cluster.path(&format!("{what}-third"));
        let said =
            cluster.refused(1, &["--as", "archivist", "copy-out", &request, "--to", to.to_str().expect("UTF-8")]);
        assert!(said.contains("cannot be read now"), "{what}: {said}");
        let left = fs::read_dir(&to).into_iter().flatten().filter_map(Result::ok);
        let left: Vec<_> =
            left.filter(|entry| entry.file_name().to_string_lossy().ends_with(&format!("file-{what}"))).collect();
        assert!(left.is_empty(), "{what}: {left:?}");
        // Where more lie than there is parity, nothing tells who does: nobody new is named. A checksum that does not fit
        // speaks for itself.
        let found = if fault == "lying" { 2 } else { 3 };
        wait_until_queued(&cluster, item, &named(&shards[..found], fault), what);
        waiting += found as u64 - 2;
    }
}

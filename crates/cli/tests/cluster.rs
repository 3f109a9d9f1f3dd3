//! The binary against a real cluster of node processes on this machine: what it promises on its command line.
//!
//! One test, because a cluster is expensive to bring up; it goes through its steps in order and names each in its
//! failures. The cluster is ended and deleted however the test ends.

use std::{fs, path::Path, thread, time::Duration};

use serde_json::Value;
use strongroom_testkit::{Cluster, Shape, bytes};

const NODES: [&str; 6] = ["n1", "n2", "n3", "n4", "n5", "n6"];
const CHUNK: usize = 4 << 20;

fn id(item: &Value) -> &str {
    item["item"].as_str().expect("an item")
}

#[test]
fn a_cluster_of_processes_keeps_what_it_promises() {
    let cluster = Cluster::up(env!("CARGO_BIN_EXE_strongroom"), Shape::default());

    // Every length that could be special comes in, with the digests that others compute, and a receipt.
    let lengths = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 40 * (1 << 20) + 12_345];
    let mut kept = Vec::new();
    for (seed, length) in (1..).zip(lengths) {
        let file = cluster.path(&format!("original-{length}.bin"));
        let original = bytes(length, seed);
        fs::write(&file, &original).expect("writes");
        let item = cluster.ingest(&file);
        assert_eq!(item["size_bytes"], length, "{item:#}");
        assert_eq!(item["blake3"], blake3::hash(&original).to_hex().as_str(), "{item:#}");
        assert!(item["sealed_at"].as_str().expect("a time").ends_with("+08:00"), "{item:#}");
        assert_eq!(item["receipt"], format!("{}.receipt", file.display()));
        let shown = cluster.json(&["item", "show", id(&item)]);
        assert_eq!((&shown["sha256"], &shown["blake3"]), (&item["sha256"], &item["blake3"]));
        assert!(shown["retention"]["kept_until"].is_string(), "{shown:#}");
        kept.push((file, item));
    }
    let again = cluster.ingest(&kept[1].0);
    assert_eq!((id(&again), &again["already_ingested"]), (id(&kept[1].1), &Value::Bool(true)));

    a_receipt_proves_the_file_and_nothing_else(&cluster, &kept[2].0);
    nothing_leaves_without_approval(&cluster, id(&kept[1].1));

    for (position, (file, item)) in kept.iter().enumerate() {
        let copy = cluster.copy_out(id(item), &format!("copy-{position}"));
        assert!(fs::read(&copy).expect("reads") == fs::read(file).expect("reads"), "{}", copy.display());
    }
    let folder = cluster.path("copy-5");
    cluster.done(&["verify", folder.to_str().expect("UTF-8")]);

    the_ledger_proves_itself(&cluster, &kept[0].1);

    // One node is gone: everything goes on. The last is a voter, so that the others may have to elect.
    cluster.on("kill", &["n3"]);
    let file = cluster.path("while-one-is-gone.bin");
    fs::write(&file, bytes(5 << 20, 77)).expect("writes");
    let item = cluster.ingest(&file);
    let copy = cluster.copy_out(id(&item), "copy-while-one-is-gone");
    assert!(fs::read(copy).expect("reads") == fs::read(&file).expect("reads"));
    let copy = cluster.copy_out(id(&kept[5].1), "old-copy-while-one-is-gone");
    assert!(fs::read(copy).expect("reads") == fs::read(&kept[5].0).expect("reads"));
    cluster.on("start", &["n3"]);
    kept.push((file, item));

    // The cluster grows by a node in a district of its own, which then holds shards.
    let added = cluster.json(&["dev", "add-node", "--district", "d4", "--dir", &cluster.dir()]);
    assert_eq!((&added["name"], &added["state"]), (&"n7".into(), &"healthy".into()), "{added:#}");
    assert_eq!(cluster.status()["nodes"].as_array().expect("nodes").len(), 7);

    // Power loss everywhere: what was acknowledged is there.
    cluster.on("kill", &[&NODES[..], &["n7"]].concat());
    cluster.bring_up();
    for (position, (file, item)) in kept.iter().enumerate() {
        let copy = cluster.copy_out(id(item), &format!("copy-after-power-loss-{position}"));
        assert!(fs::read(copy).expect("reads") == fs::read(file).expect("reads"), "{}", file.display());
    }
}

fn a_receipt_proves_the_file_and_nothing_else(cluster: &Cluster, file: &Path) {
    let name = file.to_str().expect("UTF-8");
    let verified = cluster.json(&["verify", name]);
    assert_eq!((&verified[0]["verified"], &verified[0]["trust"]), (&Value::Bool(true), &"trusted".into()));
    let copy = cluster.path("tampered.bin");
    let receipt = cluster.path("tampered.bin.receipt");
    let good_receipt = fs::read(format!("{name}.receipt")).expect("reads");
    let mut changed = fs::read(file).expect("reads");
    fs::write(&receipt, &good_receipt).expect("writes");
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write(&copy, &changed).expect("writes");
    cluster.refused(1, &["verify", copy.to_str().expect("UTF-8")]);
    changed[middle] ^= 1;
    fs::write(&copy, &changed).expect("writes");
    cluster.done(&["verify", copy.to_str().expect("UTF-8")]);
    let mut changed = good_receipt;
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write(&receipt, &changed).expect("writes");
    cluster.refused(1, &["verify", copy.to_str().expect("UTF-8")]);
}

fn nothing_leaves_without_approval(cluster: &Cluster, item: &str) {
    let request = cluster.submit(item);
    let to = cluster.path("refused");
    let to = to.to_str().expect("UTF-8");
    let said = cluster.refused(3, &["--as", "archivist", "copy-out", &request, "--to", to]);
    assert!(said.contains("APPROVAL_MISSING") && said.contains("hint:"), "{said}");
    let said = cluster.refused(3, &["--as", "legal", "request", "approve", &request]);
    assert!(said.contains("why:"), "{said}");
    cluster.refused(3, &["--as", "ops", "item", "show", item]);
    let said = cluster.refused(3, &["--as", "security", "item", "delete", item]);
    assert!(said.contains("NO_SUCH_ACT") && said.contains("rule"), "{said}");
    cluster.done(&["--as", "approver", "request", "reject", &request, "--reason", "not needed"]);
    cluster.refused(3, &["--as", "archivist", "copy-out", &request, "--to", to]);
    cluster.refused(2, &["request", "submit", "--act", "copy", "--item", item]);
}

fn the_ledger_proves_itself(cluster: &Cluster, item: &Value) {
    assert_eq!(cluster.json(&["ledger", "policy"])["same_as_context"], true);
    let old = cluster.path("checkpoint");
    let old = old.to_str().expect("UTF-8");
    cluster.done(&["ledger", "checkpoint", "--to", old]);
    let record = item["record"].to_string();
    let proof = cluster.json(&["ledger", "prove", &record]);
    assert_eq!(proof["trust"], "trusted");
    cluster.done(&["item", "label", id(item), "place=bridge"]);
    let history = cluster.json(&["item", "history", id(item)]);
    assert!(history.as_array().expect("records").iter().any(|record| record["act"] == "item.label"), "{history:#}");
    let newer = cluster.json(&["ledger", "checkpoint", "--since", old]);
    assert!(newer["consistent_since"].as_u64() <= newer["size"].as_u64(), "{newer:#}");
    let records = cluster.json(&["ledger", "records", "--limit", "10000"]);
    let refusals = records.as_array().expect("records").iter().filter(|record| record["result"] != "done").count();
    assert!(refusals > 0, "refusals are records, too");
}

#[test]
fn a_voter_that_lost_its_metadata_does_not_vote_as_if_it_had_never_voted() {
    let shape = Shape { nodes: 3, scheme: "1+2", ..Shape::default() };
    let cluster = Cluster::up(env!("CARGO_BIN_EXE_strongroom"), shape);
    let _ = cluster.ingest_bytes("original.bin", &bytes(1000, 1));
    let dir = cluster.dir();
    // By then the clocks of all three were read.
    thread::sleep(Duration::from_secs(8));
    cluster.on("stop", &["n3"]);
    let (data, guard) = (cluster.file("nodes/n3/data"), cluster.file("nodes/n3/keys/guard.cbor"));
    let (kept, kept_guard) = (cluster.path("data"), cluster.path("guard"));
    fs::rename(&data, &kept).expect("moves");
    fs::rename(&guard, &kept_guard).expect("moves");

    let said = cluster.refused(1, &["dev", "start", "n3", "--dir", &dir]);
    assert!(said.contains("n3 ended") && said.contains("has taken part"), "{said}");
    let said = cluster.refused(1, &["dev", "start", "n3", "--dir", &dir]);
    assert!(said.contains("has taken part"), "a second start is not believed either: {said}");

    // What it had is what it needs.
    fs::remove_dir_all(&data).expect("deletes");
    fs::rename(&kept, &data).expect("moves");
    fs::rename(&kept_guard, &guard).expect("moves");
    cluster.on("start", &["n3"]);
}

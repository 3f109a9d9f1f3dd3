//! A real cluster whose network fails between nodes: what was acknowledged stays, who is cut off promises nothing and
//! shows nothing old, and one slow node holds up nobody.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use strongroom_testkit::{Cluster, Link, Network, Shape, bytes};

const BINARY: &str = env!("CARGO_BIN_EXE_strongroom");
const MIB: usize = 1 << 20;

fn id(item: &Value) -> &str {
    item["item"].as_str().expect("an item")
}

fn texts(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// Writes an original and ingests it through the nodes of a context; answers the file and the item.
fn ingest(cluster: &Cluster, context: &Path, name: &str, content: &[u8]) -> (PathBuf, Value) {
    let file = cluster.path(name);
    fs::write(&file, content).expect("writes");
    let words = ingest_words(&file);
    let words: Vec<&str> = words.iter().map(String::as_str).chain(["--output", "json"]).collect();
    let output = cluster.command(&words).env("STRONGROOM_CONTEXT", context).output().expect("the binary runs");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let item: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    (file, item[0].clone())
}

fn ingest_words(file: &Path) -> Vec<String> {
    let words = ["ingest", file.to_str().expect("UTF-8"), "--device", "D1", "--unit", "U1"];
    let times = ["--recorded-start", "2026-03-01T09:30:00+08:00", "--recorded-end", "2026-03-01T09:31:00+08:00"];
    words.into_iter().chain(times).map(str::to_owned).collect()
}

/// Ingests originals one after the other; answers what was acknowledged.
fn ingest_all(cluster: &Cluster, context: &Path, client: usize, count: usize) -> Vec<(PathBuf, Value)> {
    (0..count)
        .map(|number| {
            let length = if number % 4 == 0 { 9 * MIB } else { 20_000 };
            let seed = u64::try_from(client * 100 + number).expect("small");
            ingest(cluster, context, &format!("original-{client}-{number}"), &bytes(length, seed))
        })
        .collect()
}

fn all_are_kept(cluster: &Cluster, kept: &[(PathBuf, Value)]) {
    let listed = cluster.json(&["item", "list", "--limit", "1000"]);
    let listed: Vec<_> = listed.as_array().expect("items").iter().map(id).collect();
    for (position, (file, item)) in kept.iter().enumerate() {
        assert_eq!(listed.iter().filter(|other| **other == id(item)).count(), 1, "{}", file.display());
        cluster.done(&["verify", file.to_str().expect("UTF-8")]);
        // The long ones; reading all of them back would be a test of patience.
        if item["size_bytes"].as_u64() > Some(20_000) {
            let copy = cluster.copy_out(id(item), &format!("copy-{position}"));
            assert!(fs::read(copy).expect("reads") == fs::read(file).expect("reads"), "{}", file.display());
        }
    }
}

#[test]
fn a_leader_that_is_cut_off_promises_nothing_and_shows_nothing_old() {
    let cluster = Cluster::up(BINARY, Shape::default());
    let network = Network::between(&cluster);
    assert!(network.connections() > 10, "the nodes do not speak through the relay");
    let (_, item) = cluster.ingest_bytes("before", &bytes(5 * MIB, 1));
    let granted = cluster.submit(id(&item));
    cluster.done(&["--as", "approver", "request", "approve", &granted]);
    let pending = cluster.submit(id(&item));
    let (leader, others) = cluster.leader_and_others();
    let (alone, rest) = (cluster.context_of(&[&leader]), cluster.context_of(&texts(&others)));
    let (everybody, file) = (cluster.file("context.toml"), cluster.path("to-the-old-leader"));

    let mut kept = vec![];
    thread::scope(|scope| {
        let (cluster, everybody, rest, alone, file) = (&cluster, &everybody, &rest, &alone, &file);
        // The second client may find the old leader at its first endpoint, and has to leave it.
        let clients = [
            scope.spawn(move || ingest_all(cluster, rest, 1, 9)),
            scope.spawn(move || ingest_all(cluster, everybody, 2, 2)),
        ];
        thread::sleep(Duration::from_millis(400));
        network.between_all(&[&leader], &texts(&others), Link::Silent);
        let new_leader = cluster.wait_for_leader(rest, &others);
        assert_ne!(new_leader, leader);

        // What the others do now, the old leader cannot know.
        let on_rest = |words: &[&str]| {
            let output = cluster.command(words).env("STRONGROOM_CONTEXT", rest).output().expect("runs");
            assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        on_rest(&["item", "label", id(&item), "place=bridge"]);
        on_rest(&["--as", "approver", "request", "reject", &pending, "--reason", "not needed"]);

        fs::write(file, bytes(1000, 99)).expect("writes");
        let (sent, to) = (ingest_words(file), cluster.path("from-the-old-leader"));
        let probes = [
            &["item", "show", id(&item)][..],
            &["item", "list"],
            &texts(&sent),
            &["--as", "approver", "request", "approve", &pending],
            &["--as", "archivist", "copy-out", &granted, "--to", to.to_str().expect("UTF-8")],
        ];
        let answered = cluster.succeed(alone, &probes);
        assert_eq!(answered, [false; 5], "what the old leader answered, of {probes:?}");
        assert!(!cluster.path("to-the-old-leader.receipt").exists(), "a receipt from a leader that leads nobody");

        for client in clients {
            kept.extend(client.join().expect("every client is served by the others"));
        }
    });
    network.heal();
    cluster.bring_up();
    all_are_kept(&cluster, &kept);
    let show =
        cluster.command(&["item", "show", id(&item), "--output", "json"]).env("STRONGROOM_CONTEXT", &alone).output();
    let shown: Value = serde_json::from_slice(&show.expect("runs").stdout).expect("JSON");
    assert!(shown.to_string().contains("bridge"), "the old leader has caught up: {shown:#}");
    cluster.refused(3, &["--as", "approver", "request", "approve", &pending]);
}

#[test]
fn a_leader_that_is_heard_and_hears_nobody_does_not_hold_the_cluster() {
    let cluster = Cluster::up(BINARY, Shape::default());
    let network = Network::between(&cluster);
    let (leader, others) = cluster.leader_and_others();
    network.set(&texts(&others), &[&leader], Link::Silent);
    let rest = cluster.context_of(&texts(&others));
    cluster.wait_for_leader(&rest, &others);
    let kept = ingest_all(&cluster, &rest, 1, 4);
    network.heal();
    cluster.bring_up();
    all_are_kept(&cluster, &kept);
}

#[test]
fn a_node_that_is_slow_or_silent_stalls_no_upload() {
    let cluster = Cluster::up(BINARY, Shape::default());
    let network = Network::between(&cluster);
    let (_, others) = cluster.leader_and_others();
    let (slow, fast) = others.split_last().expect("several");
    let context = cluster.context_of(&texts(fast));
    let everybody: Vec<_> = cluster.names().into_iter().filter(|name| name != slow).collect();
    let ingest = |name: &str, seed: u64| {
        let start = Instant::now();
        let kept = ingest(&cluster, &context, name, &bytes(24 * MIB, seed));
        (kept, start.elapsed())
    };
    let (undisturbed, _) = ingest("undisturbed", 1);
    network.between_all(&[slow], &texts(&everybody), Link::Delay(Duration::from_millis(500)));
    let (delayed, while_slow) = ingest("while-slow", 2);
    network.between_all(&[slow], &texts(&everybody), Link::Silent);
    let (silent, while_silent) = ingest("while-silent", 3);
    network.between_all(&[slow], &texts(&everybody), Link::Lossy { percent: 30 });
    let (lossy, while_lossy) = ingest("while-lossy", 4);
    eprintln!(
        "24 MiB: {while_slow:?} beside a slow node, {while_silent:?} beside a silent, {while_lossy:?} a lossy one"
    );
    for elapsed in [while_slow, while_silent, while_lossy] {
        assert!(elapsed < Duration::from_secs(25), "an upload was stalled: {elapsed:?}");
    }
    network.between_all(&[slow], &texts(&everybody), Link::Reset);
    let (reset, _) = ingest("while-reset", 5);
    network.heal();
    cluster.bring_up();
    for (position, (file, item)) in [undisturbed, delayed, silent, lossy, reset].iter().enumerate() {
        let copy = cluster.copy_out(id(item), &format!("copy-{position}"));
        assert!(fs::read(copy).expect("reads") == fs::read(file).expect("reads"), "{}", file.display());
    }
}

//! The only delete on a real cluster: refused while it must be, then done by two offices, on every disk, with a
//! certificate that verifies offline. A node that was away erases before the batch can be closed.
//!
//! Months pass by the clock of a trial cluster.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use strongroom_testkit::{Cluster, Shape, bytes};

const PATIENCE: Duration = Duration::from_secs(240);
const LOOK_PERIOD: Duration = Duration::from_millis(500);

/// The development profile with the shortest floor that there can be.
fn profile() -> tempfile::NamedTempFile {
    let text = include_str!("../../../profiles/dev.toml").replace("months = 6", "months = 1");
    let file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file");
    fs::write(file.path(), text).expect("writes");
    file
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().expect("a text")
}

#[track_caller]
fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} did not come about");
        thread::sleep(LOOK_PERIOD);
    }
}

fn let_pass(cluster: &Cluster, days: &str) {
    cluster.done(&["cluster", "advance-clock", "--days", days, "--reason", "a test"]);
}

fn shown(cluster: &Cluster) -> Value {
    cluster.json(&["disposal", "show", "DSP-1"])
}

fn pending(cluster: &Cluster) -> usize {
    let shown = shown(cluster);
    shown["parts"].as_array().expect("parts").iter().filter(|part| part["state"] == "pending").count()
}

/// G2: a period that ended makes an item eligible; people dispose of it.
#[test]
fn an_item_is_disposed_of_only_when_it_may_be_and_then_everywhere() {
    let profile = profile();
    let shape = Shape { profile: Some(profile.path().to_owned()), ..Shape::default() };
    let cluster = Cluster::up(env!("CARGO_BIN_EXE_strongroom"), shape);
    let (_, gone) = cluster.ingest_bytes("gone", &bytes(6 << 20, 1));
    let (kept_file, kept) = cluster.ingest_bytes("kept", &bytes(100_000, 2));
    let (gone, kept) = (text(&gone, "item"), text(&kept, "item"));
    let propose =
        |item| vec!["--as", "archivist", "disposal", "propose", "--item", item, "--basis", "retention has run out"];

    let said = cluster.refused(3, &propose(gone));
    assert!(said.contains("is kept: profile dev@1"), "{said}");
    let planned = cluster.json(&[&propose(gone)[..], &["--dry-run"]].concat());
    assert_eq!(
        (planned[0]["eligible"].as_bool(), text(&planned[0]["verdict"], "reason")),
        (Some(false), "RETENTION_ACTIVE")
    );

    let_pass(&cluster, "34");
    let planned = cluster.json(&[&propose(gone)[..], &["--dry-run"]].concat());
    assert_eq!(planned[0]["eligible"], true, "{planned:#}");
    let batch = cluster.json(&propose(gone));
    assert_eq!((text(&batch, "batch"), text(&batch, "state")), ("DSP-1", "proposed"));
    let approve = |who| vec!["--as", who, "disposal", "approve", "DSP-1"];
    let said = cluster.refused(3, &approve("legal"));
    assert!(said.contains("waits for objections"), "{said}");

    let_pass(&cluster, "8");
    let execute =
        ["--as", "custodian", "disposal", "execute", "DSP-1", "--supervisor", "inspector", "--supervisor", "unit-head"];
    cluster.refused(3, &execute);
    cluster.done(&approve("legal"));
    cluster.done(&approve("head"));
    cluster.on("kill", &["n6"]);
    cluster.done(&execute);
    let said = cluster.refused(3, &["item", "show", gone]);
    assert!(said.contains("is already disposed of"), "{said}");

    // Everybody else erases; the node that is away is waited for, its disk and its replica.
    wait_for("the erasure on the five nodes that run", || pending(&cluster) <= 2);
    let sign = |who| vec!["--as", who, "disposal", "sign", "DSP-1"];
    let said = cluster.refused(3, &sign("inspector"));
    assert!(said.contains("is not gone yet"), "{said}");
    cluster.refused(3, &["disposal", "certificate", "DSP-1"]);
    cluster.on("start", &["n6"]);
    wait_for("the erasure on the node that was away", || pending(&cluster) == 0);
    let erased: u64 =
        shown(&cluster)["parts"].as_array().expect("parts").iter().filter_map(|part| part["shards"].as_u64()).sum();
    assert_eq!(erased, 12, "two chunks of six shards each");

    cluster.done(&sign("inspector"));
    cluster.done(&sign("unit-head"));
    assert_eq!(text(&shown(&cluster), "state"), "closed");
    let path = cluster.path("DSP-1.certificate").display().to_string();
    let fetch = ["disposal", "certificate", "DSP-1", "--to", &path];
    wait_for("the certificate", || cluster.run(&fetch).status.success());
    let verified = cluster.json(&["verify", &path]);
    let verdict = &verified[0];
    assert_eq!((text(verdict, "kind"), text(verdict, "trust")), ("certificate", "trusted"), "{verdict:#}");
    assert_eq!((verdict["disposed"].as_u64(), verdict["replicas_clean"].as_u64()), (Some(1), Some(6)));
    let mut forged = fs::read_to_string(&path).expect("reads");
    forged = forged.replace("retention has run out", "retention had run out");
    fs::write(&path, forged).expect("writes");
    assert!(!cluster.run(&["verify", &path]).status.success(), "a forged basis was taken");

    let copied = cluster.copy_out(kept, "out");
    assert_eq!(fs::read(copied).expect("reads"), fs::read(kept_file).expect("reads"), "the other item is whole");
}

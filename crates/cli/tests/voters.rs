//! A voter of a real cluster is killed, wiped and replaced by a spare node (semantics C2, C3): nothing becomes eligible early,
//! compliance time goes on, disposal works with permits of the voters of now, and receipts from before and after verify.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use strongroom_testkit::{Cluster, Shape, bytes};

const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_PERIOD: Duration = Duration::from_millis(300);
const OLD: &str = "n1";
const NEW: &str = "n4";

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("a text {name:?} in {value:#}"))
}

#[track_caller]
fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} did not come about");
        thread::sleep(LOOK_PERIOD);
    }
}

fn role(cluster: &Cluster, name: &str) -> String {
    let status = cluster.json(&["cluster", "status"]);
    let nodes = status["nodes"].as_array().expect("nodes");
    let node = nodes.iter().find(|node| node["name"] == name).expect("a node");
    text(node, "raft_role").to_owned()
}

fn let_pass(cluster: &Cluster, days: &str) {
    cluster.done(&["cluster", "advance-clock", "--days", days, "--reason", "a test"]);
}

fn outages_ms(cluster: &Cluster) -> i64 {
    cluster.json(&["cluster", "clock"])["outages_ms"].as_i64().expect("a number")
}

#[test]
fn c3_a_voter_is_killed_wiped_and_replaced_and_everything_goes_on() {
    let profile = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file");
    let short = include_str!("../../../profiles/dev.toml").replace("months = 6", "months = 1");
    fs::write(profile.path(), short).expect("writes");
    let shape = Shape { nodes: 3, scheme: "1+2", profile: Some(profile.path().to_owned()), ..Shape::default() };
    let cluster = Cluster::up(env!("CARGO_BIN_EXE_strongroom"), shape);
    let (before_file, before) = cluster.ingest_bytes("before", &bytes(300_000, 1));
    let before_id = text(&before, "item").to_owned();
    let first_policy = cluster.path("first.tlog-policy").display().to_string();
    fs::copy(cluster.file("policy.tlog-policy"), &first_policy).expect("copies");

    cluster.done(&["dev", "add-node", "--can-vote", "--dir", &cluster.dir()]);
    let outages = outages_ms(&cluster);
    cluster.on("kill", &[OLD]);
    fs::remove_dir_all(cluster.file(&format!("nodes/{OLD}/data"))).expect("wiped");
    let replace = |more: &[&str]| {
        let words = ["cluster", "voter", "replace", OLD, NEW, "--reason", "主板损坏"];
        [&words[..], more].concat().iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()
    };
    fn words(owned: &[String]) -> Vec<&str> {
        owned.iter().map(String::as_str).collect()
    }
    let plan = replace(&["--dry-run"]);
    wait_for("a spare node that could vote", || cluster.json(&words(&plan))["possible"] == true);
    let planned = cluster.json(&words(&plan));
    assert_eq!(planned["voters_after"], serde_json::json!(["n2", "n3", "n4"]), "{planned:#}");

    // Two people, of two offices.
    cluster.refused(3, &[&["--as", "security"][..], &words(&replace(&[]))].concat());
    let proposed = cluster.json(&words(&replace(&[])));
    let number = text(&proposed, "proposal").to_owned();
    cluster.refused(3, &["--as", "ops", "cluster", "voter", "approve", &number]);
    cluster.done(&["--as", "security", "cluster", "voter", "approve", &number]);
    wait_for("the cosignatures of the voters before", || {
        cluster.json(&["cluster", "voter", "list"])[0]["state"] == "settled"
    });
    wait_for("the vote of the new node", || role(&cluster, NEW) != "learner");
    assert_eq!(role(&cluster, OLD), "learner");

    // Nothing is due early, and compliance time goes on without an outage.
    let plan = ["--as", "archivist", "disposal", "propose", "--item", &before_id, "--basis", "到期", "--dry-run"];
    assert_eq!(cluster.json(&plan)[0]["verdict"]["reason"], "RETENTION_ACTIVE");
    let clock = text(&cluster.json(&["cluster", "clock"]), "clock").to_owned();
    wait_for("a tick of the voters of now", || text(&cluster.json(&["cluster", "clock"]), "clock") > clock.as_str());
    assert!(outages_ms(&cluster) - outages < 60_000, "no outage was recorded: a majority ran all the time");

    // Receipts of before and after verify under the policy of before; the new one also under that of now.
    let (after_file, _) = cluster.ingest_bytes("after", &bytes(300_000, 2));
    let told: Value =
        serde_json::from_slice(&cluster.run(&["ledger", "policy", "--output", "json"]).stdout).expect("JSON");
    assert_eq!(told["same_as_context"], false, "{told:#}");
    let next_policy = cluster.path("next.tlog-policy").display().to_string();
    fs::write(&next_policy, text(&told, "tlog_policy")).expect("writes");
    for (file, policy, good) in [
        (&before_file, &first_policy, true),
        (&after_file, &first_policy, true),
        (&after_file, &next_policy, true),
        (&before_file, &next_policy, false),
    ] {
        let name = file.display().to_string();
        let ran = cluster.run(&["verify", &name, "--policy", policy]);
        assert_eq!(ran.status.success(), good, "{name} under {policy}: {}", String::from_utf8_lossy(&ran.stderr));
    }

    // Disposal goes on: the disks that believed the voters before take the permits of those of now.
    fs::copy(&next_policy, cluster.file("policy.tlog-policy")).expect("copies");
    let_pass(&cluster, "34");
    let propose = ["--as", "archivist", "disposal", "propose", "--item", &before_id, "--basis", "到期鉴定"];
    cluster.done(&propose);
    let_pass(&cluster, "8");
    for who in ["legal", "head"] {
        cluster.done(&["--as", who, "disposal", "approve", "DSP-1"]);
    }
    cluster.done(&[
        "--as",
        "custodian",
        "disposal",
        "execute",
        "DSP-1",
        "--supervisor",
        "inspector",
        "--supervisor",
        "unit-head",
    ]);
    let parts = |state: &str| {
        let shown = cluster.json(&["disposal", "show", "DSP-1"]);
        let parts = shown["parts"].as_array().expect("parts").clone();
        parts.into_iter().filter(|part| part["state"] == state).collect::<Vec<_>>()
    };
    wait_for("the erasure everywhere but on the node that is gone", || parts("pending").len() == 2);
    let of_node = |part: &Value| part["node"] == OLD;
    assert!(parts("pending").iter().all(of_node), "only what is gone is waited for: {:#?}", parts("pending"));
    assert!(parts("erased").iter().any(|part| part["shards"].as_u64() > Some(0)), "disks erased");

    // What is gone for good is closed as lost by two people; then the supervisors sign, and the certificate speaks for the
    // voters of now.
    let sign = |who| vec!["--as", who, "disposal", "sign", "DSP-1"];
    let said = cluster.refused(3, &sign("inspector"));
    assert!(said.contains("is not gone yet"), "{said}");
    for part in parts("pending") {
        let what = part["disk"].as_str().map_or(["--replica", OLD], |disk| ["--disk", disk]);
        let close = |who| [&["--as", who, "disposal", "close-lost"][..], &what, &["--reason", "主板损坏"]].concat();
        cluster.done(&close("legal"));
        cluster.refused(3, &close("legal"));
        cluster.done(&close("head"));
    }
    assert_eq!((parts("pending").len(), parts("lost").len()), (0, 2));
    for who in ["inspector", "unit-head"] {
        cluster.done(&sign(who));
    }
    let certificate = cluster.path("DSP-1.certificate").display().to_string();
    let fetch = ["disposal", "certificate", "DSP-1", "--to", &certificate];
    wait_for("the certificate", || cluster.run(&fetch).status.success());
    let verified = cluster.json(&["verify", &certificate, "--policy", &next_policy]);
    assert_eq!((text(&verified[0], "trust"), verified[0]["disposed"].as_u64()), ("trusted", Some(1)), "{verified:#}");
    let ran = cluster.run(&["verify", &certificate, "--policy", &first_policy]);
    assert!(!ran.status.success(), "the voters of before did not cosign it");
}

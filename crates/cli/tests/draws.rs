//! Draws for spot checks on a real cluster: what two voters gave survives the death of the leader between its commitment
//! and its share, nothing is drawn without that share, and the sample can be drawn again without any server.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use strongroom_testkit::{Cluster, Shape, bytes};

const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_PERIOD: Duration = Duration::from_millis(200);

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} of {value:#} is no text"))
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text")).collect()
}

fn shown(cluster: &Cluster, draw: &str) -> Value {
    cluster.json(&["draw", "show", draw])
}

/// Looks at a draw until it is so. A cluster that has no leader for a moment does not answer.
#[track_caller]
fn wait_for(cluster: &Cluster, draw: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let answer = cluster.run(&["draw", "show", draw, "--output", "json"]);
        if let Ok(value) = serde_json::from_slice(&answer.stdout)
            && is_so(&value)
        {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "it did not come about: {answer:?}");
        thread::sleep(LOOK_PERIOD);
    }
}

fn given(draw: &Value, what: &str) -> Vec<String> {
    let voters = draw["voters"].as_array().expect("voters");
    voters.iter().filter(|voter| voter[what].is_string()).map(|voter| text(voter, "node").to_owned()).collect()
}

/// R-000-27, R-003-6d, C7.
#[test]
fn a_draw_survives_its_leader_and_waits_for_every_share_that_was_committed_to() {
    let shape = Shape { nodes: 3, districts: 3, scheme: "1+2", ..Shape::default() };
    let cluster = Cluster::up(env!("CARGO_BIN_EXE_strongroom"), shape);
    let items: Vec<_> = (0..5_u64)
        .map(|number| {
            let (_, item) = cluster.ingest_bytes(&format!("original-{number}"), &bytes(20_000, number));
            text(&item, "item").to_owned()
        })
        .collect();
    let period = ["--from", "2026-01-01T00:00:00+08:00", "--to", "2099-01-01T00:00:00+08:00"];
    let record = |more: &[&'static str]| [&["draw", "record", "--unit", "U1"], &period[..], more].concat();

    let counted = cluster.json(&record(&["--ratio", "30", "--dry-run"]));
    assert_eq!((counted["items"].as_u64(), counted["sample_size"].as_u64()), (Some(5), Some(2)), "{counted:#}");
    assert_eq!((text(&counted, "rule"), text(&counted, "role")), ("R-003-6d", "inspector"));
    let said = cluster.refused(3, &[&["--as", "head"], &record(&["--ratio", "30"])[..]].concat());
    assert!(said.contains("督察部门"), "{said}");
    cluster.refused(2, &record(&["--ratio", "0"]));

    // One voter is away, so the two others commit and wait for it.
    let leader = text(&cluster.status(), "leader").to_owned();
    let mut others = cluster.names();
    others.retain(|name| *name != leader);
    cluster.on("kill", &[&others[0]]);
    let draw = cluster.json(&record(&["--ratio", "30"]));
    assert_eq!((text(&draw, "draw"), text(&draw, "state")), ("DRAW-1", "committing"));
    let waiting = wait_for(&cluster, "DRAW-1", |draw| given(draw, "commitment").len() == 2);
    assert_eq!((text(&waiting, "state"), texts(&waiting["missing"])), ("committing", vec![others[0].as_str()]));
    assert!(given(&waiting, "share").is_empty(), "a share was shown before commitments stood: {waiting:#}");
    cluster.refused(3, &["draw", "export", "DRAW-1"]);

    // The leader dies after its commitment and before its share.
    cluster.on("kill", &[&leader]);
    cluster.on("start", &[&others[0]]);
    let waiting = wait_for(&cluster, "DRAW-1", |draw| given(draw, "share").len() == 2);
    assert_eq!((text(&waiting, "state"), texts(&waiting["missing"])), ("revealing", vec![leader.as_str()]));
    assert!(waiting["seed"].is_null() && texts(&waiting["sample"]).is_empty(), "{waiting:#}");
    cluster.done(&["cluster", "advance-clock", "--days", "1", "--reason", "a test"]);
    let waiting = wait_for(&cluster, "DRAW-1", |draw| draw["state"] != "revealing");
    assert_eq!((text(&waiting, "state"), texts(&waiting["missing"])), ("overdue", vec![leader.as_str()]));

    // It has its share on disk, and shows it.
    cluster.on("start", &[&leader]);
    let completed = wait_for(&cluster, "DRAW-1", |draw| draw["state"] == "completed");
    assert_eq!(given(&completed, "share").len(), 3);
    let sample = texts(&completed["sample"]);
    assert!(sample.len() == 2 && sample.iter().all(|item| items.iter().any(|own| own == item)), "{sample:?}");

    let path = cluster.path("DRAW-1.draw").display().to_string();
    let start = Instant::now();
    while !cluster.run(&["draw", "export", "DRAW-1", "--to", &path]).status.success() {
        assert!(start.elapsed() < PATIENCE, "there is no proof of the draw");
        thread::sleep(LOOK_PERIOD);
    }
    let online = cluster.json(&["draw", "verify", "DRAW-1"]);
    assert_eq!((text(&online, "trust"), texts(&online["sample"])), ("trusted", sample.clone()), "{online:#}");

    // A repetition gives a reason and is marked, and its shares are drawn anew.
    let said = cluster.refused(2, &record(&["--ratio", "30"]));
    assert!(said.contains("DRAW-1 (completed)"), "{said}");
    let again = cluster.json(&record(&["--ratio", "30", "--reason", "复查"]));
    assert_eq!((text(&again, "draw"), text(&again, "repeats")), ("DRAW-2", "DRAW-1"));
    let again = wait_for(&cluster, "DRAW-2", |draw| draw["state"] == "completed");
    assert_ne!(text(&again, "seed"), text(&completed, "seed"));
    assert_eq!(text(&shown(&cluster, "DRAW-1"), "seed"), text(&completed, "seed"));
    let listed = cluster.json(&["draw", "list"]);
    assert_eq!(
        listed.as_array().expect("draws").iter().map(|draw| text(draw, "draw")).collect::<Vec<_>>(),
        ["DRAW-2", "DRAW-1"]
    );

    let complained = ["inspection", "target", "--item", &items[0], "--complaint", "12345-7", "--reason", "投诉"];
    cluster.done(&complained);
    let targets = cluster.json(&["inspection", "list"]);
    assert_eq!((text(&targets[0], "way"), texts(&targets[0]["items"])), ("targeted", vec![items[0].as_str()]));

    // Without any server: the same sample from the records alone, and no other passes for it.
    let policy = cluster.file("policy.tlog-policy").display().to_string();
    let mut names = cluster.names();
    names.retain(|name| *name != leader);
    cluster.on("kill", &names.iter().map(String::as_str).chain([leader.as_str()]).collect::<Vec<_>>());
    let offline = cluster.json(&["draw", "verify", &path, "--policy", &policy]);
    assert_eq!((text(&offline, "trust"), texts(&offline["sample"])), ("trusted", sample.clone()));
    assert_eq!(text(&offline, "seed"), text(&completed, "seed"));
    let proof = fs::read_to_string(&path).expect("reads");
    let other = sample[0].replace(&sample[0][..2], if sample[0].starts_with("00") { "01" } else { "00" });
    fs::write(&path, proof.replace(sample[0], &other)).expect("writes");
    assert!(!cluster.run(&["draw", "verify", &path]).status.success(), "another item passed for one that was drawn");
}

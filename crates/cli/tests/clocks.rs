//! A real cluster in which one node's wall clock is ten years off: seal times, records and retention stay where the
//! other clocks are. The leader's is the one that is set, because it stamps what it proposes and ticks the compliance
//! clock.
//!
//! The clock is moved by libfaketime under a running node, by a file in the node's own folder. Where the library is not
//! installed (`scripts/bootstrap.sh --test` tries to), the test says so and checks nothing.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use strongroom_testkit::{Cluster, Shape, bytes};

/// A command's wall time may run ahead of the newest tick by ten minutes (`custody::clock`), and tests take a while.
const LATEST_MINUTES: i64 = 12;
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_PERIOD: Duration = Duration::from_millis(200);

fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path().join("faketime"));
    let places = folders.chain([PathBuf::from("/usr/lib/faketime"), PathBuf::from("/usr/local/lib/faketime")]);
    places.map(|folder| folder.join("libfaketimeMT.so.1")).find(|path| path.exists())
}

/// Minutes since 2000 of a time such as `2026-11-24T03:15:21.123+08:00`, whatever the offset: all of them have the same.
fn minutes(time: &str) -> i64 {
    let number = |from: usize, to: usize| time[from..to].parse::<i64>().expect("a number");
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    // Months count as 31 days: a difference within one month is right, and one of years stays one of years.
    (((year - 2000) * 12 + month) * 31 + day) * 24 * 60 + number(11, 13) * 60 + number(14, 16)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().expect("a text")
}

fn shown(cluster: &Cluster, item: &Value) -> Value {
    cluster.json(&["item", "show", text(item, "item")])
}

/// Waits until the node's log has a line from about ten years after or before this year.
fn wait_for_year(cluster: &Cluster, node: &str, year: i64) {
    let start = Instant::now();
    let log = cluster.file(&format!("nodes/{node}/node.log"));
    let is_there = |line: &str| {
        line.get(..4).and_then(|text| text.parse::<i64>().ok()).is_some_and(|found| (found - year).abs() <= 1)
    };
    while !fs::read_to_string(&log).expect("reads a log").lines().any(is_there) {
        assert!(start.elapsed() < PATIENCE, "the clock of {node} was not moved to {year}");
        thread::sleep(LOOK_PERIOD);
    }
}

#[test]
fn a_clock_that_is_ten_years_off_moves_no_seal_no_record_and_no_retention() {
    let Some(library) = library() else {
        eprintln!("SKIPPED: libfaketime is not installed (Debian: apt-get install faketime)");
        return;
    };
    let variables: [(&str, OsString); 4] = [
        ("LD_PRELOAD", library.into()),
        // Looked for in the folder that a process runs in: each node has its own, and clients have none.
        ("FAKETIME_TIMESTAMP_FILE", "clock-offset".into()),
        ("FAKETIME_NO_CACHE", "1".into()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
    ];
    let variables = variables.map(|(name, value)| (OsString::from(name), value));
    let cluster = Cluster::up_with(env!("CARGO_BIN_EXE_strongroom"), Shape::default(), variables);
    let (_, first) = cluster.ingest_bytes("first", &bytes(5000, 1));
    let begin = minutes(text(&first, "sealed_at"));
    let kept_until = minutes(text(&shown(&cluster, &first)["retention"], "kept_until"));
    let year: i64 = text(&first, "sealed_at")[..4].parse().expect("a year");

    let mut kept = vec![first];
    for (offset, shifted) in [("+3650d", year + 10), ("-3650d", year - 10)] {
        let status = cluster.json(&["dev", "status", "--dir", &cluster.dir()]);
        let leader = text(&status, "leader").to_owned();
        let file = cluster.file(&format!("nodes/{leader}/clock-offset"));
        fs::write(&file, offset).expect("writes");
        // Something for the leader to note in its log, with the time that it believes.
        cluster.on("kill", &["n6"]);
        wait_for_year(&cluster, &leader, shifted);
        for number in 0..4 {
            // Over more than one tick of the compliance clock.
            thread::sleep(Duration::from_secs(2));
            let seed = u64::try_from(kept.len() + 1).expect("small");
            kept.push(cluster.ingest_bytes(&format!("item{offset}-{number}"), &bytes(5000, seed)).1);
        }
        fs::write(&file, "+0").expect("writes");
        cluster.bring_up();
    }

    for item in &kept {
        let off = minutes(text(item, "sealed_at")) - begin;
        assert!((0..=LATEST_MINUTES).contains(&off), "sealed {off} minutes after the first: {item:#}");
        let shown = shown(&cluster, item);
        let later = minutes(text(&shown["retention"], "kept_until")) - kept_until;
        assert!((0..=24 * 60).contains(&later), "kept {later} minutes longer than the first: {shown:#}");
    }
    let records = cluster.json(&["ledger", "records", "--limit", "10000"]);
    for record in records.as_array().expect("records") {
        let off = minutes(text(record, "when")) - begin;
        assert!(
            (-LATEST_MINUTES..=LATEST_MINUTES).contains(&off),
            "recorded {off} minutes after the first seal: {record:#}"
        );
    }
    let clock = minutes(text(&cluster.json(&["cluster", "clock"]), "clock")) - begin;
    assert!((-LATEST_MINUTES..=LATEST_MINUTES).contains(&clock), "the compliance clock is {clock} minutes off");
}

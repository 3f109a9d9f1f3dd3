//! What an auditor and an inspector take home from a real cluster: the hourly digests, made anew from records alone and
//! compared with the rows of every node, after one was killed and came back.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use strongroom_testkit::{Cluster, Shape, bytes};

const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_PERIOD: Duration = Duration::from_millis(200);

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} of {value:#} is no text"))
}

fn digests(cluster: &Cluster) -> usize {
    cluster.json(&["ledger", "digest", "list"]).as_array().expect("a list").len()
}

/// Waits until a digest more is recorded than there were.
fn next_digest(cluster: &Cluster, before: usize) {
    let start = Instant::now();
    while digests(cluster) <= before {
        assert!(start.elapsed() < PATIENCE, "no digest was recorded");
        thread::sleep(LOOK_PERIOD);
    }
}

/// Exports until the checkpoint covers all records that the rows are of.
fn export(cluster: &Cluster, records: &str) {
    cluster.done(&["ledger", "export", "--to", records]);
}

/// Writes a file with one line changed.
fn altered(from: &Path, to: &Path, line_with: &str, change: impl Fn(&str) -> String) {
    let text = fs::read_to_string(from).expect("reads");
    let mut found = false;
    let lines = text.lines().map(|line| {
        if !found && line.contains(line_with) {
            found = true;
            change(line)
        } else {
            line.to_owned()
        }
    });
    let lines = lines.collect::<Vec<_>>().join("\n");
    assert!(found, "no line holds {line_with}");
    fs::write(to, lines + "\n").expect("writes");
}

/// C3.
#[test]
fn an_auditor_makes_anew_from_records_what_every_node_holds_and_finds_what_was_altered() {
    let shape = Shape { nodes: 3, districts: 3, scheme: "1+2", ..Shape::default() };
    let cluster = Cluster::up(env!("CARGO_BIN_EXE_strongroom"), shape);
    let (_, first) = cluster.ingest_bytes("first", &bytes(20_000, 1));
    let (_, second) = cluster.ingest_bytes("second", &bytes(20_000, 2));
    let (first, second) = (text(&first, "item").to_owned(), text(&second, "item").to_owned());
    let hold = ["hold", "place", "H-1", "--authority", "市法院", "--reason", "审理", "--item", &first];
    cluster.done(&hold);
    cluster.done(&["item", "extend", &second, "--until", "2099-01-01T00:00:00", "--reason", "复议"]);
    let before = digests(&cluster);
    cluster.done(&["cluster", "advance-clock", "--days", "1", "--reason", "a test"]);
    next_digest(&cluster, before);

    // A voter that was away takes the digests up where the others are.
    let (leader, _) = cluster.leader_and_others();
    cluster.on("kill", &[&leader]);
    let start = Instant::now();
    while !cluster
        .run(&["item", "extend", &first, "--until", "2098-01-01T00:00:00", "--reason", "复查"])
        .status
        .success()
    {
        assert!(start.elapsed() < PATIENCE, "no other node leads");
        thread::sleep(LOOK_PERIOD);
    }
    cluster.on("start", &[&leader]);
    let before = digests(&cluster);
    cluster.done(&["cluster", "advance-clock", "--days", "1", "--reason", "a test"]);
    next_digest(&cluster, before);

    let path = |name: &str| cluster.path(name).display().to_string();
    for name in cluster.names() {
        let context = cluster.context_of(&[&name]);
        let start = Instant::now();
        while !cluster.run_in(&context, &["ledger", "rows", "--to", &path(&name)]).status.success() {
            assert!(start.elapsed() < PATIENCE, "{name} does not answer");
            thread::sleep(LOOK_PERIOD);
        }
    }
    export(&cluster, &path("records"));
    let policy = cluster.file("policy.tlog-policy").display().to_string();
    for name in cluster.names() {
        let words = ["ledger", "recompute", &path("records"), "--rows", &path(&name), "--policy", &policy];
        let found = cluster.json(&words);
        assert_eq!(text(&found, "trust"), "trusted", "{found:#}");
        assert_eq!(found["rows"], found["rows_compared"], "{name}: {found:#}");
        assert!(found["digests"].as_array().expect("digests").len() >= 2, "{found:#}");
    }
    let latest = cluster.json(&["ledger", "digest", "latest"]);
    let listed = cluster.json(&["ledger", "digest", "list", "--limit", "1"]);
    assert_eq!(listed[0]["digest"], latest["digest"]);

    // One row is not what the records say: it is named.
    let recompute = |records: &str, rows: &str| {
        cluster.refused(1, &["ledger", "recompute", &path(records), "--rows", &path(rows), "--policy", &policy])
    };
    let (rows, bad) = (cluster.path(&leader), cluster.path("bad-rows"));
    altered(&rows, &bad, &format!("14{first}"), |line| {
        let rows = serde_json::from_str::<Value>(line).expect("a line");
        let mut rows = rows;
        let key = format!("14{first}");
        let row = rows["rows"].as_array_mut().expect("rows").iter_mut().find(|row| row[0] == key.as_str());
        let row = row.expect("what was said of the item");
        let value = row[1].as_str().expect("hexadecimal").replace("e5a48de69fa5", "e5a48de8aeae");
        row[1] = Value::from(value);
        rows.to_string()
    });
    let said = recompute("records", "bad-rows");
    assert!(said.contains(&format!("keeping {first} differs")) && said.contains("复查"), "{said}");
    // A hold whose index row is gone holds nothing; it is missed.
    altered(&rows, &bad, &format!("19{first}"), |line| {
        let mut rows = serde_json::from_str::<Value>(line).expect("a line");
        let key = format!("19{first}");
        rows["rows"].as_array_mut().expect("rows").retain(|row| !row[0].as_str().expect("a key").starts_with(&key));
        rows.to_string()
    });
    let said = recompute("records", "bad-rows");
    assert!(said.contains(&format!("holds_by_item {first} H-1")) && said.contains("no such row"), "{said}");

    // One record is altered: it does not open its leaf. One is left out. The leaf is altered with it: the tree is another.
    let records = cluster.path("records");
    let bad = cluster.path("bad-records");
    let hex: String = "复查".bytes().map(|byte| format!("{byte:02x}")).collect();
    let other: String = "复议".bytes().map(|byte| format!("{byte:02x}")).collect();
    altered(&records, &bad, &hex, |line| line.replace(&hex, &other));
    let said = cluster.refused(1, &["ledger", "recompute", &path("bad-records")]);
    assert!(said.contains("is not what its leaf commits to"), "{said}");
    altered(&records, &bad, "\"seq\":5,", |_| String::new());
    let lines =
        fs::read_to_string(&bad).expect("reads").lines().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    fs::write(&bad, lines).expect("writes");
    let said = cluster.refused(1, &["ledger", "recompute", &path("bad-records")]);
    assert!(said.contains("record #5 is missing"), "{said}");
    cluster.refused(3, &["--as", "ops", "ledger", "rows", "--to", &path("none")]);
}

/// R-000-27, R-003-6d: the sheet of a draw, entered item by item.
#[test]
fn an_inspection_is_complete_when_each_drawn_item_has_its_result() {
    let shape = Shape { nodes: 3, districts: 3, scheme: "1+2", ..Shape::default() };
    let cluster = Cluster::up(env!("CARGO_BIN_EXE_strongroom"), shape);
    for number in 0..3_u64 {
        drop(cluster.ingest_bytes(&format!("original-{number}"), &bytes(20_000, number)));
    }
    let period = ["--from", "2026-01-01T00:00:00+08:00", "--to", "2099-01-01T00:00:00+08:00"];
    cluster.json(&[&["draw", "record", "--unit", "U1", "--ratio", "60"], &period[..]].concat());
    let start = Instant::now();
    let drawn = loop {
        let shown = cluster.json(&["draw", "show", "DRAW-1"]);
        if text(&shown, "state") == "completed" {
            break shown;
        }
        assert!(start.elapsed() < PATIENCE, "{shown:#}");
        thread::sleep(LOOK_PERIOD);
    };
    let sample: Vec<_> =
        drawn["sample"].as_array().expect("a list").iter().map(|id| id.as_str().expect("an id")).collect();
    let [first, second] = sample.as_slice() else { panic!("60 % of three: {sample:?}") };

    let sheet = cluster.json(&["inspection", "sheet", "DRAW-1"]);
    assert_eq!((sheet["missing"].as_u64(), sheet["complete"].as_bool()), (Some(2), Some(false)), "{sheet:#}");
    let result = |item: &str, head: &str, more: &[&str]| {
        [&["inspection", "result", "DRAW-1", "--item", item, "--head", head], more]
            .concat()
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let words = |owned: &[String]| owned.iter().map(String::as_str).map(str::to_owned).collect::<Vec<_>>();
    let run = |owned: Vec<String>| cluster.json(&words(&owned).iter().map(String::as_str).collect::<Vec<_>>());
    let refused =
        |code, owned: Vec<String>| cluster.refused(code, &owned.iter().map(String::as_str).collect::<Vec<_>>());
    let said = refused(2, result(first, "weather=met", &[]));
    assert!(said.contains("use 执法记录仪的使用"), "the heads are told: {said}");
    let asked =
        ["--problem", "未佩戴", "--measure", "培训", "--responsible", "recorder", "--due", "2098-01-01T00:00:00"];
    let entered = run(result(first, "use=not met: 未佩戴", &asked));
    run(result(second, "use=met", &["--report-period", "2026Q1"]));
    let entry = entered["record"].to_string();
    cluster.done(&[
        "--as",
        "recorder",
        "inspection",
        "rectified",
        "DRAW-1",
        "--item",
        first,
        "--entry",
        &entry,
        "--done",
        "已培训",
    ]);
    let sheet = cluster.json(&["inspection", "sheet", "DRAW-1"]);
    assert_eq!(sheet["complete"].as_bool(), Some(true), "{sheet:#}");
    let line = sheet["lines"].as_array().expect("lines").iter().find(|line| line["item"] == **first).expect("there");
    assert_eq!(line["entries"][0]["rectification"]["state"], "answered", "{line:#}");
    let csv = cluster.run(&["inspection", "sheet", "DRAW-1", "--output", "csv", "--lang", "zh"]);
    let csv = String::from_utf8(csv.stdout).expect("text");
    assert!(csv.contains("整改措施") && csv.contains("未佩戴") && csv.contains("2026Q1"), "{csv}");
}

//! Devices and activities against a real cluster, as the people of a unit would keep them: every step by whoever takes
//! it, what is refused, and the lists that come out.

use std::fs;

use serde_json::Value;
use strongroom_testkit::{Cluster, Shape, bytes};

const BEGUN: &str = "2026-03-01T09:00:00";
/// Exit code of a mistake in the request.
const FIX: i32 = 2;
const ENDED: &str = "2026-03-01T10:00:00";

/// R-003-6a: the ledgers of devices and of recordings, as a person keeps and exports them.
#[test]
fn a_unit_keeps_its_devices_and_its_activities() {
    let cluster = Cluster::up(env!("CARGO_BIN_EXE_strongroom"), Shape::default());
    the_device_changes_hands_in_two_steps(&cluster);
    let items = the_activity_is_recorded_with_a_gap(&cluster);
    the_gap_is_explained(&cluster, &items);
    an_activity_without_footage_is_exempt(&cluster);
    nobody_leaves_who_owes(&cluster);
    lists_are_for_spreadsheets_too(&cluster);
}

fn the_device_changes_hands_in_two_steps(cluster: &Cluster) {
    cluster.done(&["device", "issue", "D1", "--to", "recorder", "--accessories", "充电座"]);
    let said = cluster.refused(3, &["--as", "legal", "device", "accept", "D1"]);
    assert!(said.contains("recorder accepts it"), "{said}");
    cluster.done(&["--as", "recorder", "device", "accept", "D1"]);
    let shown = cluster.json(&["device", "show", "D1"]);
    assert_eq!((&shown["place"], &shown["holder"]), (&"person".into(), &"recorder".into()), "{shown:#}");
    let out = cluster.json(&["device", "not-collected"]);
    assert_eq!(out[0]["device"], "D1", "R-004-16: {out:#}");
    // The station sees that its clock is a minute and a half fast, and that two recordings are on it.
    cluster.done(&["device", "dock-check", "D1", "--offset-ms", "90000", "--un-ingested", "2"]);
    let said = cluster.refused(3, &["device", "clearance", "recorder"]);
    assert!(said.contains("D1 is not returned"), "{said}");
}

fn the_activity_is_recorded_with_a_gap(cluster: &Cluster) -> Vec<String> {
    let open = |party| {
        let words = ["activity", "open", "A-1", "--unit", "U1", "--kind", "现场检查", "--place", "南门市场"];
        let rest = ["--officer", "张三:ZF001", "--officer", "李四:ZF002", "--started", BEGUN, "--party", party];
        [words.as_slice(), &rest].concat()
    };
    let said = cluster.refused(FIX, &open(" "));
    assert!(said.contains("拒不提供"), "{said}");
    cluster.done(&open("无特定相对人"));
    cluster.done(&["activity", "phase", "A-1", "现场检查", "--place", "南门", "--started", BEGUN]);
    cluster.done(&["activity", "end", "A-1", "--at", ENDED]);

    // By the device's clock, which is a minute and a half fast.
    let first = ingest(cluster, "first", "2026-03-01T09:01:30", "2026-03-01T09:21:30");
    let second = ingest(cluster, "second", "2026-03-01T09:41:30", "2026-03-01T10:01:30");
    cluster.done(&["device", "dock-check", "D1", "--offset-ms", "90000", "--un-ingested", "0"]);
    let shown = cluster.json(&["activity", "show", "A-1"]);
    assert_eq!(shown["preservation"], "gaps_open", "{shown:#}");
    let item = &shown["items"].as_array().expect("items").iter().find(|item| item["item"] == first.as_str());
    let item = item.expect("the first");
    assert!(item["recorded_start"].as_str().expect("a time").starts_with("2026-03-01T09:01:30"), "{item:#}");
    assert!(item["corrected_start"].as_str().expect("a time").starts_with("2026-03-01T09:00:00"), "{item:#}");
    let listed = cluster.json(&["activity", "list"]);
    assert_eq!((&listed[0]["activity"], &listed[0]["item_count"]), (&"A-1".into(), &2.into()), "{listed:#}");
    let gaps = cluster.json(&["activity", "gaps"]);
    assert_eq!(gaps.as_array().map(Vec::len), Some(1), "{gaps:#}");
    assert!(gaps[0]["from"].as_str().expect("a time").starts_with("2026-03-01T09:20:00"), "{gaps:#}");
    vec![first, second]
}

fn ingest(cluster: &Cluster, name: &str, start: &str, end: &str) -> String {
    let file = cluster.path(name);
    fs::write(&file, bytes(100_000, u64::try_from(name.len()).expect("short"))).expect("writes");
    let file = file.display().to_string();
    let ingested = cluster.json(&[
        "ingest",
        &file,
        "--device",
        "D1",
        "--unit",
        "U1",
        "--activity",
        "A-1",
        "--recorded-start",
        start,
        "--recorded-end",
        end,
    ]);
    item(&ingested)
}

fn item(ingested: &Value) -> String {
    let one = if ingested.is_array() { &ingested[0] } else { ingested };
    one["item"].as_str().unwrap_or_else(|| panic!("no item: {ingested:#}")).to_owned()
}

fn the_gap_is_explained(cluster: &Cluster, items: &[String]) {
    let mut words = vec!["activity", "interruption", "A-1", "--from", "2026-03-01T09:20:00", "--to"];
    words.extend(["2026-03-01T09:40:00", "--cause", "battery_low"]);
    let said = cluster.refused(3, &words);
    assert!(said.contains("the gap stays open") && said.contains("B10"), "{said}");
    let note = format!("{}@2.5", items[1]);
    words.extend(["--voice-note", &note]);
    cluster.done(&words);
    let shown = cluster.json(&["activity", "show", "A-1"]);
    assert_eq!((&shown["preservation"], &shown["bad_shards"]), (&"complete".into(), &0.into()), "{shown:#}");
    // A corrected end takes a reason, and both stay.
    let said = cluster.refused(FIX, &["activity", "end", "A-1", "--at", "2026-03-01T10:00:01"]);
    assert!(said.contains("C1"), "{said}");
    cluster.done(&["activity", "end", "A-1", "--at", "2026-03-01T10:00:01", "--reason", "记录有误"]);
    let shown = cluster.json(&["activity", "show", "A-1"]);
    assert_eq!(shown["moments"].as_array().map(Vec::len), Some(2), "{shown:#}");
    assert_ne!(shown["ingest_due"]["first"], shown["ingest_due"]["current"]);
    assert_eq!(shown["ingest"], "late", "it ended long ago: a finding, and no reason to refuse");
}

fn an_activity_without_footage_is_exempt(cluster: &Cluster) {
    cluster.done(&[
        "activity",
        "open",
        "A-2",
        "--unit",
        "U1",
        "--kind",
        "送达",
        "--place",
        "室内",
        "--officer",
        "张三:ZF001",
        "--started",
        BEGUN,
        "--party",
        "某某商行",
    ]);
    cluster.done(&["activity", "end", "A-2", "--at", ENDED]);
    let overdue = cluster.json(&["activity", "overdue", "--person", "张三"]);
    assert!(overdue.as_array().expect("a list").iter().any(|row| row["activity"] == "A-2"), "{overdue:#}");
    let exempt = |basis| {
        let words =
            ["activity", "exempt", "A-2", "--cause", "evidence_need", "--text", "取证需要", "--legal-basis", basis];
        [words.as_slice(), &["--consented-by", "张三", "--office", "on_scene"]].concat()
    };
    let said = cluster.refused(FIX, &exempt(" "));
    assert!(said.contains("R-002-7"), "{said}");
    cluster.done(&exempt("第十六条"));
    let shown = cluster.json(&["activity", "show", "A-2"]);
    assert_eq!(shown["preservation"], "exempt", "{shown:#}");
    let findings: Vec<_> = shown["findings"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    for finding in ["SECOND_OFFICER_MISSING", "EXEMPTION_LATE", "EXEMPTION_SELF_CONSENTED", "WORK_RECORD_MISSING"] {
        assert!(findings.contains(&finding), "{finding}: {findings:?}");
    }
    let notices = cluster.json(&["register", "notices"]);
    let number = notices[0]["number"].to_string();
    cluster.done(&["register", "acknowledge", "U1", &number, "--opinion", "已阅"]);
    assert_eq!(cluster.json(&["register", "notices"]), Value::Array(Vec::new()));
}

fn nobody_leaves_who_owes(cluster: &Cluster) {
    cluster.done(&["device", "return", "D1", "--un-ingested", "0", "--content", "一起检查"]);
    cluster.refused(3, &["--as", "recorder", "device", "accept", "D1"]);
    cluster.done(&["device", "accept", "D1"]);
    cluster.done(&["device", "clearance", "recorder"]);
    let checked = cluster.json(&["device", "clearance", "recorder", "--check"]);
    assert_eq!(checked["devices"], Value::Array(Vec::new()), "{checked:#}");
    assert!(checked["cleared_at"].is_string(), "{checked:#}");
}

fn lists_are_for_spreadsheets_too(cluster: &Cluster) {
    for words in [
        ["device", "ledger", "D1"].as_slice(),
        &["device", "not-collected"],
        &["device", "list"],
        &["activity", "list"],
        &["activity", "gaps"],
        &["activity", "overdue"],
        &["register", "interruptions"],
        &["register", "exemptions"],
        &["register", "notices", "--all"],
    ] {
        let output = cluster.run(&[words, &["--output", "csv"]].concat());
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(output.status.success() && text.starts_with('\u{feff}'), "{words:?}: {text}");
        let columns = |line: &str| line.split(',').count();
        assert!(columns(text.lines().next().expect("heads")) > 3, "{words:?}: {text}");
        cluster.done(words);
    }
    let ledger = cluster.json(&["device", "ledger", "D1"]);
    let what: Vec<_> = ledger.as_array().expect("entries").iter().filter_map(|entry| entry["what"].as_str()).collect();
    let expected = ["registered", "issue", "accepted", "docked", "docked", "return", "accepted"];
    assert_eq!(what, expected, "R-001-9: {ledger:#}");
    let said = cluster.refused(2, &["device", "show", "D1", "--output", "csv"]);
    assert!(said.contains("no list"), "{said}");
}

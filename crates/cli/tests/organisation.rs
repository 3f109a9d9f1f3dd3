//! Everyday life on a real cluster: units are renamed, merged and divided, a case goes from one agency to another, and
//! somebody leaves. Every step by whoever takes it, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use strongroom_testkit::{Cluster, Shape, bytes};

const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_PERIOD: Duration = Duration::from_millis(200);
/// Exit code of what the rules refuse.
const REFUSED: i32 = 3;
const BASIS: &str = "编办〔2026〕4号";

fn profile(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../profiles").join(name)
}

/// A certificate for somebody of one unit, registered and usable by `--as`.
fn register(cluster: &Cluster, name: &str, role: &str, unit: &str) {
    let (authorities, to) =
        (cluster.file("pki").display().to_string(), cluster.file("identities").display().to_string());
    cluster.done(&["pki", "issue-client", name, "--authorities", &authorities, "--to", &to]);
    let certificate = cluster.file(&format!("identities/{name}.pem")).display().to_string();
    cluster.done(&["principal", "register", name, "--certificate", &certificate, "--role", role, "--unit", unit]);
    let context = cluster.file("context.toml");
    let text = fs::read_to_string(&context).expect("reads");
    let files = format!("certificate = \"identities/{name}.pem\"\nkey = \"identities/{name}.key\"\n");
    fs::write(&context, format!("{text}\n[identities.{name}]\n{files}")).expect("writes");
}

fn ingest(cluster: &Cluster, unit: &str, seed: u64) -> String {
    let file = cluster.path(&format!("original-{seed}"));
    fs::write(&file, bytes(5000, seed)).expect("writes");
    let file = file.display().to_string();
    let times = ["--recorded-start", "2026-03-01T09:30:00+08:00", "--recorded-end", "2026-03-01T09:31:00"];
    let words = [&["ingest", &file, "--device", "D1", "--unit", unit], &times[..]].concat();
    text(&cluster.json(&words)[0], "item")
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} of {value:#}")).to_owned()
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

fn unit(cluster: &Cluster, name: &str) -> Value {
    cluster.json(&["unit", "show", name])
}

fn label<'a>(who: &'a str, item: &'a str) -> Vec<&'a str> {
    vec!["--as", who, "item", "label", item, "place=gate"]
}

#[test]
fn b10_units_cases_and_people_change_and_what_was_made_stays() {
    let shape = Shape {
        nodes: 3,
        districts: 3,
        scheme: "1+2",
        further_profiles: vec![profile("qidong-chengguan.toml"), profile("renfang.toml")],
        profile: Some(profile("dev.toml")),
    };
    let cluster = Cluster::up(env!("CARGO_BIN_EXE_strongroom"), shape);
    let item = ingest(&cluster, "U1", 1);
    cluster.done(&["unit", "add", "U9", "--name", "综合执法大队", "--profile", "dev"]);
    for (name, role, unit) in [
        ("head-1", "unit-head", "U1"),
        ("head-3", "unit-head", "U3"),
        ("head-9", "unit-head", "U9"),
        ("keeper-9", "custodian", "U9"),
    ] {
        register(&cluster, name, role, unit);
    }
    cluster.done(&["--as", "head-1", "case", "open", "C-1", "--unit", "U1", "--title", "占道经营"]);
    cluster.done(&["--as", "head-1", "case", "bind", "C-1", "--item", &item]);

    a_name_changes_at_once(&cluster);
    a_merger_is_counted_proposed_approved_and_in_effect_at_its_time(&cluster, &item);
    a_case_goes_to_another_agency_by_a_receipt_of_two_sides(&cluster, &item);
    somebody_leaves(&cluster);
    lists_are_for_spreadsheets_too(&cluster);
}

fn a_name_changes_at_once(cluster: &Cluster) {
    let before = text(&unit(cluster, "U1"), "name");
    cluster.done(&["unit", "rename", "U1", "--name", "执法一中队", "--basis", BASIS]);
    wait_for("the new name", || unit(cluster, "U1")["name"] == "执法一中队");
    assert_eq!(unit(cluster, "U1")["former_names"][0]["name"], before.as_str());
}

fn a_merger_is_counted_proposed_approved_and_in_effect_at_its_time(cluster: &Cluster, item: &str) {
    let merge = ["unit", "merge", "U1", "--into", "U9", "--basis", BASIS];
    let planned = cluster.json(&[&merge[..], &["--dry-run"]].concat());
    // The station and the head of U1, its one device and its one case.
    let counts = ["people", "devices", "cases", "requests", "notices"].map(|name| planned[0][name].as_u64());
    assert_eq!(counts, [Some(2), Some(1), Some(1), Some(0), Some(0)], "{planned:#}");
    assert_eq!(cluster.json(&["unit", "waiting"]), Value::Array(Vec::new()), "a count proposes nothing");
    let said = cluster.refused(REFUSED, &[&["--as", "legal"], &merge[..]].concat());
    assert!(said.contains("security"), "{said}");

    let proposal = cluster.json(&merge)["record"].to_string();
    let said = cluster.refused(REFUSED, &merge);
    assert!(said.contains(&format!("unit withdraw {proposal}")), "{said}");
    let waiting = cluster.json(&["unit", "waiting"]);
    assert_eq!((&waiting[0]["change"], &waiting[0]["effective_at"]), (&"merge".into(), &Value::Null), "{waiting:#}");
    cluster.refused(REFUSED, &label("head-9", item));
    cluster.done(&["--as", "head", "unit", "approve", &proposal]);
    cluster.refused(REFUSED, &label("head-9", item));
    let_pass(cluster, "2");
    wait_for("the merger", || unit(cluster, "U1")["until"].is_string());

    assert_eq!(unit(cluster, "U1")["successors"], serde_json::json!(["U9"]));
    assert_eq!(unit(cluster, "U9")["former_units"], serde_json::json!(["U1"]));
    cluster.done(&label("head-9", item));
    cluster.done(&label("head-1", item));
    let shown = cluster.json(&["--as", "head-9", "item", "show", item]);
    assert_eq!(shown["unit"], "U1", "no item is rewritten: {shown:#}");
    let said = cluster.refused(REFUSED, &["--as", "head-9", "case", "open", "C-2", "--unit", "U1", "--title", "x"]);
    assert!(said.contains("U9"), "{said}");
    // The station goes on as it is set up, and its footage is taken.
    let later = ingest(cluster, "U1", 2);
    cluster.done(&label("head-9", &later));
}

fn a_case_goes_to_another_agency_by_a_receipt_of_two_sides(cluster: &Cluster, item: &str) {
    let until = |who: &str| cluster.json(&["--as", who, "item", "show", item])["retention"]["kept_until"].clone();
    let offer = ["case", "transfer", "C-1", "--to", "U3", "--reason", "管辖变更", "--document", "移字〔2026〕3号"];
    let said = cluster.refused(REFUSED, &[&["--as", "head-3"], &offer[..]].concat());
    assert!(said.contains("U1"), "{said}");
    let record = cluster.json(&[&["--as", "head-9"], &offer[..]].concat())["record"].to_string();
    let accept = |who: &'static str| vec!["--as", who, "case", "accept", "C-1", "--record", &record];
    cluster.refused(REFUSED, &accept("head-9"));
    cluster.refused(REFUSED, &["--as", "head-3", "item", "show", item]);
    let offered = cluster.json(&["--as", "head-3", "case", "transfers"]);
    assert_eq!((&offered[0]["case"], &offered[0]["state"]), (&"C-1".into(), &"offered".into()), "{offered:#}");
    cluster.done(&accept("head-3"));

    let receipt = cluster.json(&["--as", "head-3", "case", "transfers", "C-1"]);
    let sides = ["offered", "answered"].map(|side| (text(&receipt[0][side], "by"), receipt[0][side]["items"].as_u64()));
    assert_eq!(sides, [("head-9".to_owned(), Some(1)), ("head-3".to_owned(), Some(1))], "{receipt:#}");
    assert_eq!(receipt[0]["profile"], "renfang@1");
    let close =
        |who: &'static str| vec!["--as", who, "case", "close", "C-1", "--outcome", "结案", "--reason", "决定 5"];
    cluster.refused(REFUSED, &close("head-9"));
    cluster.done(&close("head-3"));
    cluster.done(&label("head-3", item));
    // Archived for a month: six months by the profile of who made it, two years by that of who took it.
    let archive = ["case", "archive", "C-1", "--date", "2026-03-01T00:00:00", "--term-months", "1"];
    cluster.done(&archive);
    let why = cluster.json(&["--as", "head-3", "item", "explain", item]).to_string();
    assert!(why.contains("profile renfang with case C-1, which changed hands"), "{why}");
    let kept = until("head-3");
    let own = cluster.json(&["--as", "head-9", "item", "list", "--unit", "U1"]);
    let other = own.as_array().expect("items").iter().find(|other| other["item"] != item).expect("the later one");
    assert!(kept.as_str() > other["retention"]["kept_until"].as_str(), "{kept} is the longer: {other:#}");
}

fn somebody_leaves(cluster: &Cluster) {
    cluster.done(&["--as", "head-9", "unit", "custodian", "U9", "keeper-9"]);
    let leave = ["principal", "leave", "keeper-9", "--to", "custodian", "--reason", "调离"];
    cluster.done(&["--as", "keeper-9", "device", "issue", "D1", "--to", "head-9"]);
    cluster.done(&["--as", "head-9", "device", "accept", "D1"]);
    let tasks = cluster.json(&["principal", "tasks", "head-9"]);
    let first = &tasks["tasks"][0];
    assert_eq!((&first["task"], &first["settle_first"]), (&"device".into(), &true.into()), "{tasks:#}");
    let said = cluster.refused(REFUSED, &["principal", "leave", "head-9", "--to", "head-1", "--reason", "调离"]);
    assert!(said.contains("D1 is not returned") && said.contains("R-001-9"), "{said}");

    let planned = cluster.json(&[&leave[..], &["--dry-run"]].concat());
    assert_eq!((&planned["refusal"], &planned["leaves_on"]), (&Value::Null, &Value::Null), "{planned:#}");
    assert!(planned["tasks"].to_string().contains("custodian"), "{planned:#}");
    cluster.done(&[&leave[..], &["--on", "2199-01-01T00:00:00"]].concat());
    cluster.done(&["principal", "stay", "keeper-9", "--reason", "日期有误"]);
    cluster.done(&leave);
    wait_for("the end of access", || cluster.json(&["principal", "tasks", "keeper-9"])["left"] == true);
    let said = cluster.refused(REFUSED, &["--as", "keeper-9", "device", "list"]);
    assert!(said.contains("ended"), "{said}");
    let keepers = cluster.json(&["unit", "keepers", "U9"]);
    let current = keepers.as_array().expect("terms").iter().find(|term| term["current"] == true).expect("one");
    assert_eq!(current["principal"], "custodian", "{keepers:#}");
    let ledger = cluster.json(&["device", "ledger", "D1"]).to_string();
    assert!(ledger.contains("keeper-9"), "names stay: {ledger}");
}

fn lists_are_for_spreadsheets_too(cluster: &Cluster) {
    for words in [
        ["unit", "list"].as_slice(),
        &["unit", "waiting"],
        &["case", "transfers"],
        &["unit", "merge", "U9", "--into", "U3", "--basis", BASIS, "--dry-run"],
    ] {
        let output = cluster.run(&[words, &["--output", "csv"]].concat());
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(output.status.success() && text.starts_with('\u{feff}'), "{words:?}: {text}");
        cluster.done(words);
    }
    let said = cluster.run(&["--lang", "zh", "unit", "list"]);
    let said = String::from_utf8(said.stdout).expect("UTF-8");
    assert!(said.contains("承继单位") && said.contains("执法一中队"), "{said}");
}

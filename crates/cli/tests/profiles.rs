//! Three agencies under three regulations in one real cluster: each act goes the way of its own text, and a new version
//! of a profile goes the way of all of them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use strongroom_testkit::{Cluster, Shape, bytes};

/// Exit code of what the rules refuse.
const REFUSED: i32 = 3;
const TRANSFER: [&str; 12] = [
    "--reason",
    "移送法院",
    "--field",
    "recipient_kind=court",
    "--field",
    "agent_id=110",
    "--field",
    "letter_no=法函7号",
    "--field",
    "receiving_org=人民法院",
    "--field",
    "receiver=李四",
];

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

/// Ingests an original of a unit; answers its item.
fn ingest(cluster: &Cluster, station: &str, unit: &str, seed: u64) -> String {
    let file = cluster.path(&format!("original-{seed}"));
    fs::write(&file, bytes(5000, seed)).expect("writes");
    let file = file.display().to_string();
    let times = ["--recorded-start", "2026-03-01T09:30:00+08:00", "--recorded-end", "2026-03-01T09:31:00"];
    let words = [&["--as", station, "ingest", &file, "--device", "D1", "--unit", unit], &times[..]].concat();
    cluster.json(&words)[0]["item"].as_str().expect("an item").to_owned()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} of {value}"))
}

#[test]
fn agencies_with_their_own_regulations_live_in_one_cluster() {
    let shape = Shape {
        nodes: 3,
        districts: 3,
        scheme: "1+2",
        further_profiles: vec![profile("qidong-chengguan.toml"), profile("renfang.toml")],
        profile: Some(profile("dev.toml")),
    };
    let cluster = Cluster::up(env!("CARGO_BIN_EXE_strongroom"), shape);
    let units = cluster.json(&["unit", "list"]);
    let units: Vec<_> = units.as_array().expect("units").iter().map(|unit| text(unit, "profile")).collect();
    assert_eq!(units, ["dev", "qidong-chengguan", "renfang"]);
    for (name, role, unit) in
        [("station-q", "station", "U2"), ("keeper-q", "custodian", "U2"), ("station-r", "station", "U3")]
    {
        register(&cluster, name, role, unit);
    }

    a_transfer_goes_the_way_of_its_article(&cluster);
    what_a_text_leaves_open_is_refused(&cluster);
    a_version_is_previewed_proposed_approved_and_withdrawn(&cluster);
    mistakes_are_told_by_line(&cluster);
}

fn a_transfer_goes_the_way_of_its_article(cluster: &Cluster) {
    let item = ingest(cluster, "station-q", "U2", 1);
    let submit = |pairs: &[&str]| -> Value {
        cluster.json(&[&["--as", "legal", "request", "submit", "--act", "transfer", "--item", &item], pairs].concat())
    };
    let request = submit(&TRANSFER);
    assert_eq!(request["missing"], serde_json::json!(["approval by head"]));
    let request = text(&request, "request");
    let to = cluster.path("transfer").display().to_string();
    let copy_out = |who: &'static str| vec!["--as", who, "copy-out", request, "--to", &to];
    let said = cluster.refused(REFUSED, &copy_out("keeper-q"));
    assert!(said.contains("R-000-25b"), "{said}");
    cluster.done(&["--as", "head", "request", "approve", request]);
    // The keeper of the whole agency is not of the unit that owns the footage.
    let said = cluster.refused(REFUSED, &copy_out("custodian"));
    assert!(said.contains("R-000-25b") && said.contains("U2"), "{said}");
    cluster.done(&copy_out("keeper-q"));
    // Without the receiver the register is not complete, and no byte leaves.
    let request = submit(&TRANSFER[..10]);
    assert_eq!(request["missing"], serde_json::json!(["approval by head", "receiver in transfer_register"]));
    let request = text(&request, "request");
    cluster.done(&["--as", "head", "request", "approve", request]);
    let other = cluster.path("unregistered");
    let said = cluster.refused(2, &["--as", "keeper-q", "copy-out", request, "--to", &other.display().to_string()]);
    assert!(said.contains("transfer_register") && said.contains("receiver"), "{said}");
    // The note by which a copy-out is resumed is written before anything is asked for; nothing else is.
    let files = fs::read_dir(&other).expect("reads").map(|entry| entry.expect("an entry").file_name());
    assert_eq!(files.collect::<Vec<_>>(), [".strongroom-copy-out"]);
}

fn what_a_text_leaves_open_is_refused(cluster: &Cluster) {
    let item = ingest(cluster, "station-r", "U3", 2);
    let words = ["--as", "legal", "request", "submit", "--act", "copy", "--item", &item, "--reason", "案件"];
    let said = cluster.refused(REFUSED, &words);
    assert!(said.contains("R-001-15") && said.contains("按相关程序审批"), "{said}");
    let explained = cluster.json(&["item", "explain", &item]);
    assert!(explained.to_string().contains("R-001-14b"), "{explained}");
    cluster.done(&["--as", "custodian", "item", "label", &item, "place=gate"]);
}

fn a_version_is_previewed_proposed_approved_and_withdrawn(cluster: &Cluster) {
    ingest(cluster, "station", "U1", 3);
    let changed = |name: &str, floor: &str| {
        let text = fs::read_to_string(profile("dev.toml")).expect("reads");
        let path = cluster.path(name);
        fs::write(&path, text.replace("months = 6", floor)).expect("writes");
        path.display().to_string()
    };
    let (longer, shorter) = (changed("longer.toml", "months = 24"), changed("shorter.toml", "months = 3"));
    let preview = cluster.json(&["profile", "preview", &longer]);
    assert_eq!((&preview["version"], text(&preview["units"][0], "unit")), (&2.into(), "U1"));
    assert_eq!((&preview["units"][0]["lengthened"], &preview["units"][0]["left"]), (&1.into(), &0.into()));
    let refused = cluster.json(&["profile", "preview", &shorter]);
    assert!(
        text(&refused, "refusal").contains("POLICY_LOOSEN_REFUSED") && refused["units"][0]["left"] == 1,
        "{refused}"
    );
    let said = cluster.refused(REFUSED, &["profile", "propose", &shorter]);
    assert!(said.contains("future-items-only"), "{said}");

    let proposal = cluster.json(&["profile", "propose", &longer]);
    let record = proposal["record"].to_string();
    assert_eq!((&proposal["version"], text(&proposal, "proposed_by")), (&2.into(), "security"));
    cluster.refused(REFUSED, &["--as", "security", "profile", "approve", "dev", "--record", &record]);
    cluster.refused(REFUSED, &["--as", "head", "profile", "approve", "dev", "--record", "0"]);
    let shown = cluster.json(&["profile", "show", "dev", "--proposed"]);
    assert!(text(&shown, "toml").contains("months = 24") && shown["record"] == proposal["record"]);
    let approved = cluster.json(&["--as", "head", "profile", "approve", "dev", "--record", &record]);
    assert!(text(&approved, "approved_by") == "head" && approved["effective_at"].is_string(), "{approved}");
    let listed = cluster.json(&["profile", "list"]);
    assert_eq!((&listed[0]["version"], &listed[0]["waiting"]["version"]), (&1.into(), &2.into()), "it waits for a day");
    cluster.done(&["profile", "withdraw", "dev", "--reason", "报批未完成"]);
    assert!(cluster.json(&["profile", "list"])[0]["waiting"].is_null());

    let new = profile("xiamen-chengguan.toml").display().to_string();
    cluster.done(&["profile", "propose", &new]);
    let listed = cluster.json(&["profile", "list"]);
    let names: Vec<_> = listed.as_array().expect("a list").iter().map(|profile| text(profile, "name")).collect();
    assert_eq!(names, ["dev", "qidong-chengguan", "renfang", "xiamen-chengguan"]);
    assert!(listed[3]["version"].is_null(), "no version of it is in force");
}

fn mistakes_are_told_by_line(cluster: &Cluster) {
    let path = cluster.path("broken.toml");
    fs::write(&path, "name = \"city\"\nagency = \"局\"\n[floor]\nmonths = 0\nrule = \"x\"\n[acts.sell]\n")
        .expect("writes");
    let said = cluster.refused(1, &["profile", "check", &path.display().to_string()]);
    assert!(said.contains("broken.toml:4:10: floor.months") && said.contains(":6:7: acts.sell: is no act"), "{said}");
    for name in ["qidong-chengguan", "renfang", "shier-shi-zhujian", "xiamen-chengguan", "neiqiu-weijian", "dev"] {
        let file = profile(&format!("{name}.toml")).display().to_string();
        for (lang, head) in [("zh", "未规定，不作推定"), ("en", "left open, so nothing is guessed")] {
            let output = cluster.run(&["profile", "check", &file, "--lang", lang]);
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success() && said.contains(head), "{said}");
        }
        let checked = cluster.json(&["profile", "check", &file]);
        assert_eq!(text(&checked, "name"), name);
    }
}

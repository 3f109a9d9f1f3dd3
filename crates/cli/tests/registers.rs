//! Devices and activities against a real cluster, as the people of a unit would keep them: every step by whoever takes
//! it, what is refused, and the lists that come out.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use strongroom_testkit::{
    Cluster, Shape, bytes,
    damage::{StoredShard, shards_of},
};

const BEGUN: &str = "2026-03-01T09:00:00";
/// Exit code of a mistake in the request.
const FIX: i32 = 2;
/// Exit code of what could not be done.
const FAILED: i32 = 1;
/// Exit code of what the rules refuse.
const REFUSED: i32 = 3;
const PATIENCE: Duration = Duration::from_secs(120);
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
    b10_a_state_secret_leaves_for_a_carrier_and_no_byte_of_it_stays(&cluster, &items);
    lists_are_for_spreadsheets_too(&cluster);
    b10_a_sealed_device_is_a_finding(&cluster);
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
    assert!(said.contains("the gap stays open") && said.contains("R-000-13"), "{said}");
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
    assert!(said.contains("R-000-16"), "{said}");
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

/// B10 (保密法): found to be a state secret after it was sealed, an original goes to a classified carrier and nowhere else.
fn b10_a_state_secret_leaves_for_a_carrier_and_no_byte_of_it_stays(cluster: &Cluster, items: &[String]) {
    let item = items[0].as_str();
    let path = |name: &str| cluster.path(name).display().to_string();
    let (keys, carrier, signature) = (path("keys"), path("carrier"), path("RMV-1.signature"));
    cluster.done(&["secret", "key", "lisi", "--to", &keys]);
    let public = format!("{keys}/lisi.pub");
    let propose = [
        &["--as", "legal", "secret", "propose", "--item", item, "--organ", "市国家保密局", "--receiver", "李四"][..],
        &["--receiver-key", &public, "--carrier", "JM-2026-014", "--executor", "archivist"],
        &["--basis", "保密审查意见", "--copy", "备份磁带 B12=信息中心"],
    ]
    .concat();
    let said = cluster.refused(REFUSED, &propose);
    assert!(said.contains("is not restricted"), "{said}");
    let restrict = ["item", "restrict", item, "--kind", "suspected-secret", "--reason", "疑似国家秘密"];
    cluster.done(&[&["--as", "secrecy"], &restrict[..]].concat());
    let matter =
        ["--as", "legal", "hold", "place", "matter", "--authority", "监委", "--reason", "调查", "--item", item];
    cluster.done(&matter);
    let planned = cluster.json(&[&propose[..], &["--dry-run"]].concat());
    assert_eq!(planned[0]["eligible"], true, "{planned:#}");
    let follows = |planned: &Value| -> Vec<String> {
        let all = planned["obligations"].as_array().expect("a list");
        all.iter().map(|one| one["by"].as_str().expect("a text").to_owned()).collect()
    };
    assert_eq!(follows(&planned[0]), ["floor", "hold matter"], "{planned:#}");

    let removal = cluster.json(&propose);
    assert_eq!((&removal["removal"], &removal["state"]), (&"RMV-1".into(), &"proposed".into()));
    let approve = |who| vec!["--as", who, "secret", "approve", "RMV-1"];
    let execute = [
        &["--as", "archivist", "secret", "execute", "RMV-1"][..],
        &["--supervisor", "inspector", "--supervisor", "unit-head"],
    ]
    .concat();
    let hand_over = ["--as", "archivist", "secret", "hand-over", "RMV-1", "--to", &carrier];
    cluster.refused(REFUSED, &approve("head"));
    cluster.refused(REFUSED, &hand_over);
    cluster.done(&approve("secrecy"));
    cluster.done(&approve("head"));
    cluster.refused(REFUSED, &execute);

    // The carrier is compared before anything is signed: a file that was exchanged is found.
    let handed = cluster.json(&hand_over);
    let file = handed["items"][0]["path"].as_str().expect("a path");
    let bytes = fs::read(file).expect("reads");
    let sign = ["secret", "sign", &carrier, "--key", &format!("{keys}/lisi.key"), "--to", &signature];
    fs::write(file, b"something else").expect("writes");
    let said = cluster.refused(FAILED, &sign);
    assert!(said.contains("nothing was signed"), "{said}");
    fs::write(file, &bytes).expect("writes");
    cluster.done(&sign);
    let filed = ["--as", "archivist", "secret", "file-signature", "RMV-1", "--signature", &signature];
    let good = fs::read(&signature).expect("reads");
    let mut bent = good.clone();
    bent[9] ^= 1;
    fs::write(&signature, &bent).expect("writes");
    let said = cluster.refused(REFUSED, &filed);
    assert!(said.contains("is not the signature of 李四"), "{said}");
    fs::write(&signature, &good).expect("writes");
    cluster.done(&filed);

    let before = shards_of(cluster, item);
    let is_gone = |shard: &StoredShard| shard.payload().iter().all(|byte| *byte == 0);
    assert!(!before.is_empty() && before.iter().all(|shard| !is_gone(shard)));
    let other: Vec<_> = shards_of(cluster, &items[1]).iter().map(StoredShard::payload).collect();
    let plan = cluster.json(&[&execute[..], &["--dry-run"]].concat());
    assert_eq!((&plan["state"], &plan["missing"][0]), (&"signed".into(), &"execution by archivist".into()), "{plan:#}");
    assert!(before.iter().all(|shard| !is_gone(shard)), "a plan changes nothing");
    cluster.done(&execute);
    cluster.refused(REFUSED, &execute);

    let show = || cluster.json(&["--as", "legal", "secret", "show", "RMV-1"]);
    let start = Instant::now();
    while show()["disks_pending"] != 0 || show()["replicas_pending"] != 0 {
        assert!(start.elapsed() < PATIENCE, "it was not erased: {:#}", show());
        thread::sleep(Duration::from_millis(200));
    }
    // Of each record its header stays, and of what it held nothing.
    assert!(shards_of(cluster, item).iter().chain(&before).all(is_gone), "a shard stayed");
    let still: Vec<_> = shards_of(cluster, &items[1]).iter().map(StoredShard::payload).collect();
    assert_eq!(still, other, "the other item is whole");
    // Every disk was told by the same record, and whoever shows a disk the permit again does nothing.
    let shown = show();
    let erased: u64 = shown["parts"].as_array().expect("parts").iter().filter_map(|part| part["shards"].as_u64()).sum();
    assert_eq!(erased, before.len() as u64, "{shown:#}");

    // Where it is, is told wherever it is asked for.
    let where_it_is = cluster.json(&["--as", "legal", "item", "show", item]);
    assert_eq!(where_it_is["removed"]["carrier"], "JM-2026-014", "{where_it_is:#}");
    let explained = cluster.json(&["--as", "legal", "item", "explain", item]);
    assert_eq!(explained["removed"]["organ"], "市国家保密局", "{explained:#}");
    assert_eq!(explained["reasons"].as_array().expect("reasons").len(), 2);
    let hold = cluster.json(&["--as", "legal", "hold", "show", "matter"]);
    assert_eq!(hold["removed"][0]["removal"], "RMV-1", "{hold:#}");
    let said = cluster.refused(REFUSED, &[&["--as", "legal", "hold", "place", "later"], &matter[5..]].concat());
    assert!(said.contains("transferred to carrier JM-2026-014"), "{said}");

    // It is complete when every copy is ticked off, and not before.
    let close = |who| vec!["--as", who, "secret", "close", "RMV-1"];
    let said = cluster.refused(REFUSED, &close("inspector"));
    assert!(said.contains("copies are open"), "{said}");
    let copies = shown["copy_list"].as_array().expect("copies");
    assert_eq!((&copies[0]["keeper"], copies.len()), (&"信息中心".into(), 2), "{copies:#?}");
    assert!(copies[1]["place"].as_str().expect("a place").contains("spool of station"), "{copies:#?}");
    for number in ["0", "1"] {
        let tick = ["secret", "copies", "RMV-1", "--destroyed", number, "--note", "已清除"];
        cluster.done(&[&["--as", "custodian"], &tick[..]].concat());
    }
    cluster.done(&close("inspector"));
    cluster.done(&close("unit-head"));
    let certificate = path("RMV-1.certificate");
    let fetch = ["--as", "legal", "secret", "certificate", "RMV-1", "--to", &certificate];
    let start = Instant::now();
    while !cluster.run(&fetch).status.success() {
        assert!(start.elapsed() < PATIENCE, "there is no certificate");
        thread::sleep(Duration::from_millis(200));
    }
    let verified = cluster.json(&["verify", &certificate]);
    assert_eq!((&verified[0]["kind"], &verified[0]["trust"]), (&"removal-certificate".into(), &"trusted".into()));
    assert_eq!(follows(&verified[0]["items"][0]), ["floor", "hold matter"], "{verified:#}");
    for (from, to) in [("hold matter", "hold nothing"), ("removal-certificate/1", "certificate/1")] {
        let forged = fs::read_to_string(&certificate).expect("reads").replacen(from, to, 1);
        let other = path("forged.certificate");
        fs::write(&other, forged).expect("writes");
        assert!(!cluster.run(&["verify", &other]).status.success(), "{from} was forged and taken");
    }
    let table = cluster.run(&["--lang", "zh", "--as", "legal", "secret", "show", "RMV-1"]);
    let table = String::from_utf8(table.stdout).expect("text");
    assert!(table.contains("涉密载体") && table.contains("销毁责任人"), "{table}");
}

/// B10: at the station nothing is uploaded, and the device is sealed by hand.
fn b10_a_sealed_device_is_a_finding(cluster: &Cluster) {
    let seal = ["--as", "station", "secret", "seal-device", "D1", "--envelope", "MF-0031", "--found-by", "recorder"];
    cluster.done(&[&seal[..], &["--reason", "疑似国家秘密，未上传"]].concat());
    let device = cluster.json(&["--as", "custodian", "device", "show", "D1"]);
    assert_eq!(device["place"], "sealed", "{device:#}");
    let restore = ["device", "restore", "D1", "--note", "已排除"];
    cluster.refused(REFUSED, &[&["--as", "custodian"], &restore[..]].concat());
    cluster.done(&[&["--as", "secrecy"], &restore[..]].concat());
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

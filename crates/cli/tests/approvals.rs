//! A request from its beginning to its end on a real cluster, by every hand that the texts let decide: a deputy by
//! appointment, a lent right, a signed form, and the ways in which a request ends before its uses are spent.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use strongroom_testkit::{Cluster, Shape, bytes};
use strongroom_types::UnixMillis;

const PATIENCE: Duration = Duration::from_secs(240);
const LOOK_PERIOD: Duration = Duration::from_millis(500);
/// Exit code of what the rules refuse.
const REFUSED: i32 = 3;
const JUDICIAL: [(&str, &str); 6] = [
    ("purpose", "judicial"),
    ("recipient_kind", "court"),
    ("letter_no", "法函7号"),
    ("viewer_org", "人民法院"),
    ("viewer", "李四"),
    ("reason", "办理案件"),
];
const INTERNAL: [(&str, &str); 4] =
    [("purpose", "internal_department"), ("viewer_dept", "监察室"), ("viewer", "王五"), ("reason", "工作")];
const TRANSFER: [(&str, &str); 6] = [
    ("recipient_kind", "court"),
    ("agent_id", "110"),
    ("letter_no", "法函7号"),
    ("receiving_org", "人民法院"),
    ("receiver", "李四"),
    ("reason", "移送法院"),
];

/// A cluster whose one unit is under the regulation of Qidong, with people besides the one of each role.
struct Office {
    cluster: Cluster,
    items: [String; 2],
}

fn profile(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../profiles").join(name)
}

impl Office {
    fn open() -> Self {
        let shape = Shape {
            nodes: 3,
            districts: 3,
            scheme: "1+2",
            further_profiles: Vec::new(),
            profile: Some(profile("qidong-chengguan.toml")),
        };
        let cluster = Cluster::up(env!("CARGO_BIN_EXE_strongroom"), shape);
        let items = [1, 2].map(|seed| {
            let file = cluster.path(&format!("original-{seed}"));
            fs::write(&file, bytes(5000, seed)).expect("writes");
            let file = file.display().to_string();
            let times = ["--recorded-start", "2026-03-01T09:30:00+08:00", "--recorded-end", "2026-03-01T09:31:00"];
            let words = [&["ingest", &file, "--device", "D1", "--unit", "U1"], &times[..]].concat();
            cluster.json(&words)[0]["item"].as_str().expect("an item").to_owned()
        });
        let office = Self { cluster, items };
        for (name, role, unit) in [("legal-2", "legal", None), ("keeper", "custodian", Some("U1"))] {
            office.register(name, role, unit);
        }
        office
    }

    /// A certificate for somebody more, registered and usable by `--as`.
    fn register(&self, name: &str, role: &str, unit: Option<&str>) {
        let cluster = &self.cluster;
        let (authorities, to) =
            (cluster.file("pki").display().to_string(), cluster.file("identities").display().to_string());
        cluster.done(&["pki", "issue-client", name, "--authorities", &authorities, "--to", &to]);
        let certificate = cluster.file(&format!("identities/{name}.pem")).display().to_string();
        let mut words = vec!["principal", "register", name, "--certificate", &certificate, "--role", role];
        words.extend(unit.into_iter().flat_map(|unit| ["--unit", unit]));
        cluster.done(&words);
        let context = cluster.file("context.toml");
        let text = fs::read_to_string(&context).expect("reads");
        let files = format!("certificate = \"identities/{name}.pem\"\nkey = \"identities/{name}.key\"\n");
        fs::write(&context, format!("{text}\n[identities.{name}]\n{files}")).expect("writes");
    }

    fn json(&self, who: &str, words: &[&str]) -> Value {
        self.cluster.json(&[&["--as", who], words].concat())
    }

    #[track_caller]
    fn refused(&self, who: &str, words: &[&str]) -> String {
        self.cluster.refused(REFUSED, &[&["--as", who], words].concat())
    }

    /// A time in a month, by the clock of this machine, which the cluster's follows.
    fn until(&self) -> String {
        let status = self.cluster.json(&["cluster", "clock"]);
        let wall: UnixMillis = text(&status, "wall").parse().expect("an instant");
        wall.plus_ms(30 * 24 * 3600 * 1000).to_string()
    }

    fn copy_out(&self, who: &str, request: &str, folder: &str) {
        let to = self.cluster.path(folder).display().to_string();
        self.json(who, &["copy-out", request, "--to", &to]);
    }

    fn submit(&self, who: &str, act: &str, form: &[(&str, &str)]) -> String {
        let fields: Vec<_> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut words = vec!["request", "submit", "--act", act, "--item", &self.items[0]];
        fields.iter().for_each(|field| words.extend(["--field", field]));
        text(&self.json(who, &words), "request").to_owned()
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} of {value}"))
}

fn acts(request: &Value) -> Vec<&str> {
    request["steps"].as_array().expect("steps").iter().map(|step| text(step, "act")).collect()
}

/// R-000-25a, R-000-26.
#[test]
fn requests_are_decided_by_every_hand_that_the_text_allows_and_end_in_every_way() {
    let office = Office::open();
    a_deputy_is_head_by_a_document_that_two_people_have_seen(&office);
    a_lent_right_decides_what_the_article_lets_it(&office);
    a_signed_form_is_an_approval_when_a_second_person_has_seen_it(&office);
    what_is_withdrawn_or_revoked_is_over(&office);
    time_ends_what_nobody_decides(&office);
}

fn a_deputy_is_head_by_a_document_that_two_people_have_seen(office: &Office) {
    let term = office.until();
    let given = office.json("security", &["mandate", "appoint", "approver", "--until", &term, "--document", "任字7号"]);
    let record = given["record"].to_string();
    let request = office.submit("legal", "transfer", &TRANSFER);
    let said = office.refused("approver", &["request", "approve", &request]);
    assert!(said.contains("unconfirmed") && said.contains("R-000-25b"), "{said}");
    office.json("legal-2", &["mandate", "confirm", "approver", "--record", &record]);
    let approved = office.json("approver", &["request", "approve", &request]);
    let approval = &approved["approvals"][0];
    assert_eq!((text(approval, "role"), text(approval, "mandate_kind")), ("head", "appointment"));
    assert_eq!(approval["mandate"].to_string(), record);
    assert_eq!(text(&approved, "state"), "approved");
    office.copy_out("keeper", &request, "by-appointment");
    let listed = office.json("auditor", &["mandate", "list"]);
    assert_eq!((text(&listed[0], "holder"), text(&listed[0], "state")), ("approver", "in force"));
    assert_eq!((text(&listed[0], "document"), text(&listed[0], "confirmed_by")), ("任字7号", "legal-2"));
    office.json("security", &["mandate", "revoke", "approver", "--record", &record, "--reason", "回任"]);
    let request = office.submit("legal", "transfer", &TRANSFER);
    office.refused("approver", &["request", "approve", &request]);
}

fn a_lent_right_decides_what_the_article_lets_it(office: &Office) {
    let term = office.until();
    let words = ["mandate", "delegate", "unit-head", "--act", "view", "--act", "transfer", "--unit", "U1", "--until"];
    let given = office.json("head", &[&words[..], &[&term]].concat());
    let record = given["record"].to_string();
    let request = office.submit("recorder", "view", &INTERNAL);
    let approved = office.json("unit-head", &["request", "approve", &request]);
    assert_eq!(text(&approved["approvals"][0], "mandate_given_by"), "head");
    for (act, form, rule) in [("view", &JUDICIAL[..], "R-000-25a"), ("transfer", &TRANSFER[..], "R-000-25b")] {
        let request = office.submit("legal", act, form);
        let said = office.refused("unit-head", &["request", "approve", &request]);
        assert!(said.contains(rule) && said.contains("局主要领导批准"), "{said}");
    }
    let said = office.refused("approver", &["mandate", "revoke", "unit-head", "--record", &record, "--reason", "x"]);
    assert!(said.contains("NOT_YOUR_STEP") && said.contains("head can revoke it"), "{said}");
    office.json("head", &["mandate", "revoke", "unit-head", "--record", &record, "--reason", "回任"]);
    let request = office.submit("recorder", "view", &INTERNAL);
    office.refused("unit-head", &["request", "approve", &request]);
}

fn a_signed_form_is_an_approval_when_a_second_person_has_seen_it(office: &Office) {
    let form = office.items[1].clone();
    let request = office.submit("legal", "transfer", &TRANSFER);
    let file = ["request", "file-paper", &request, "--form", &form, "--approver", "head"];
    let said = office.refused("legal", &file);
    assert!(said.contains("SAME_PERSON"), "{said}");
    let filed = office.json("legal-2", &file);
    let paper = filed["paper"]["record"].to_string();
    assert_eq!((text(&filed["paper"], "form"), text(&filed, "state")), (form.as_str(), "pending"));
    let attest = ["request", "attest", &request, "--paper", &paper];
    office.refused("legal-2", &attest);
    let approved = office.json("archivist", &attest);
    let approval = &approved["approvals"][0];
    assert_eq!((text(approval, "approver"), text(approval, "witness")), ("head", "archivist"));
    assert_eq!((text(approval, "form"), text(&approved, "state")), (form.as_str(), "approved"));
    let notices = office.json("head", &["register", "notices", "--unit", "U1"]);
    assert_eq!((text(&notices[0], "finding"), text(&notices[0], "request")), ("PAPER_APPROVAL", request.as_str()));
    office.copy_out("keeper", &request, "by-paper");
    // None of the five texts lets anybody approve by word of mouth.
    let request = office.submit("legal", "transfer", &TRANSFER);
    let entry = ["request", "enter-oral", &request, "--approver", "head", "--witness", "keeper"];
    let words = ["--said-at", "2026-03-01T21:40:00", "--reason", "现场等候"];
    let said = office.refused("legal-2", &[&entry[..], &words[..]].concat());
    assert!(said.contains("APPROVAL_MISSING") && said.contains("R-000-25b"), "{said}");
}

fn what_is_withdrawn_or_revoked_is_over(office: &Office) {
    let request = office.submit("legal", "transfer", &TRANSFER);
    let said = office.refused("legal-2", &["request", "withdraw", &request, "--reason", "x"]);
    assert!(said.contains("legal can withdraw it"), "{said}");
    let row = office.json("legal", &["request", "withdraw", &request, "--reason", "已由当事人提供"]);
    assert_eq!((text(&row, "state"), text(&row, "rejection")), ("withdrawn", "legal: 已由当事人提供"));
    let request = office.submit("legal", "transfer", &TRANSFER);
    office.json("head", &["request", "approve", &request]);
    let row = office.json("head", &["request", "revoke", &request, "--reason", "误批"]);
    assert_eq!(acts(&row), ["request.submit", "request.approve", "request.revoke"]);
    let to = office.cluster.path("revoked").display().to_string();
    let said = office.refused("keeper", &["copy-out", &request, "--to", &to]);
    assert!(said.contains("GRANT_ENDED") && said.contains("误批"), "{said}");
    let page = office.cluster.run(&["request", "show", &request]);
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.contains("request.revoke") && page.contains("submit another"), "{page}");
}

fn time_ends_what_nobody_decides(office: &Office) {
    let request = office.submit("legal", "transfer", &TRANSFER);
    let row = office.json("legal", &["request", "show", &request]);
    assert!(row["next"].to_string().contains("lapses at"), "{row}");
    office.cluster.done(&["cluster", "advance-clock", "--days", "31", "--reason", "a test"]);
    let start = Instant::now();
    loop {
        let row = office.json("legal", &["request", "show", &request]);
        assert_eq!(text(&row, "state"), "lapsed");
        // The record of it comes with the next tick of the clock.
        if acts(&row) == ["request.submit", "request.lapse"] {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "no record of the end: {row}");
        thread::sleep(LOOK_PERIOD);
    }
    office.refused("head", &["request", "approve", &request]);
}

//! The chains of the five profiles at work: purposes, registers before the first byte, the owning unit, standing views.

use strongroom_custody::{
    Command,
    command::{AddUnit, ApproveRequest, BeginSession, RegisterPrincipal, Under},
    keeping::{Class, ClassifyItem},
    profile::RequestAct,
    request::{RequestRow, rule_of_row, still_missing},
};
use strongroom_types::{Reason, RequestId, Role};

use crate::fixture::{Cluster, created, id, item, key, session, small, submit};

const PROFILES: [&str; 5] = [
    include_str!("../../../../profiles/qidong-chengguan.toml"),
    include_str!("../../../../profiles/renfang.toml"),
    include_str!("../../../../profiles/shier-shi-zhujian.toml"),
    include_str!("../../../../profiles/xiamen-chengguan.toml"),
    include_str!("../../../../profiles/neiqiu-weijian.toml"),
];
/// Unit of each agency, and its profile. Item n is of the unit with the n-th.
const UNITS: [(&str, &str); 5] = [
    ("Q1", "qidong-chengguan"),
    ("R1", "renfang"),
    ("S1", "shier-shi-zhujian"),
    ("X1", "xiamen-chengguan"),
    ("N1", "neiqiu-weijian"),
];
pub(crate) const QIDONG: u8 = 1;
pub(crate) const RENFANG: u8 = 2;
pub(crate) const SHIER: u8 = 3;
pub(crate) const XIAMEN: u8 = 4;
pub(crate) const NEIQIU: u8 = 5;
pub(crate) const JUDICIAL: [(&str, &str); 7] = [
    ("reason", "办理案件"),
    ("purpose", "judicial"),
    ("recipient_kind", "court"),
    ("letter_no", "法函7号"),
    ("viewer_org", "人民法院"),
    ("viewer", "李四"),
    ("note", "x"),
];

/// All five agencies in one cluster, an item of each, and a keeper of each unit.
pub(crate) fn five() -> Cluster {
    five_and(Vec::new())
}

/// The same with people besides.
pub(crate) fn five_and(people: Vec<RegisterPrincipal>) -> Cluster {
    let mut create = created();
    create.principals.extend(people);
    create.profiles.extend(PROFILES.map(str::to_owned));
    for (unit, profile) in UNITS {
        create.units.push(AddUnit { unit: id(unit), full_name: unit.to_owned(), profile: id(profile) });
        let keeper = format!("keeper {unit}");
        create.principals.push(RegisterPrincipal {
            principal: id(&keeper),
            key: key(&keeper),
            roles: vec![Role::Custodian],
            unit: Some(id(unit)),
        });
    }
    let mut cluster = Cluster::from(create);
    for (number, (unit, _)) in (1..).zip(UNITS) {
        cluster.done("station", Command::SealOriginal(small(number, unit)));
    }
    cluster
}

fn asked(act: RequestAct, of: u8, pairs: &[(&str, &str)]) -> Command {
    Command::SubmitRequest(submit(act, &[of], pairs))
}

pub(crate) fn view(number: u8, request: RequestId, of: u8) -> Command {
    Command::BeginSession(BeginSession { session: session(number), under: Under::View(request, item(of)) })
}

pub(crate) fn standing(number: u8, of: u8) -> Command {
    let under = Under::StandingView(item(of), "日常检查".to_owned());
    Command::BeginSession(BeginSession { session: session(number), under })
}

pub(crate) fn without<'a>(pairs: &[(&'a str, &'a str)], name: &str) -> Vec<(&'a str, &'a str)> {
    pairs.iter().filter(|(own, _)| *own != name).copied().collect()
}

#[test]
fn a_judicial_view_in_qidong_goes_from_legal_to_the_head_to_the_owning_unit_r_000_25a() {
    let mut cluster = five();
    let request = cluster.request("legal", submit(RequestAct::View, &[QIDONG], &JUDICIAL));
    for (who, reason) in [("approver", Reason::RoleNotAllowed), ("legal-2", Reason::RoleNotAllowed)] {
        let command = Command::ApproveRequest(strongroom_custody::command::ApproveRequest { request });
        assert_eq!(cluster.refused(who, command, reason).rule, "R-000-25a");
    }
    cluster.approve("head", request);
    let refusal = cluster.refused("custodian", view(1, request, QIDONG), Reason::OutsideUnit);
    assert!(refusal.rule == "R-000-25a" && refusal.remedy.contains("Q1"), "the owning unit provides: {refusal:?}");
    cluster.refused("keeper X1", view(1, request, QIDONG), Reason::OutsideUnit);
    cluster.done("keeper Q1", view(1, request, QIDONG));
}

#[test]
fn nothing_is_shown_before_the_register_is_filled_in_r_000_25a_r_002_16_r_004_18() {
    for (of, keeper, leaders, form) in [
        (QIDONG, "keeper Q1", &["head"][..], JUDICIAL.to_vec()),
        (
            SHIER,
            "keeper S1",
            &["legal", "approver"],
            vec![("reason", "研判"), ("purpose", "case_study"), ("viewer", "李四")],
        ),
        (NEIQIU, "keeper N1", &["head"], JUDICIAL.to_vec()),
    ] {
        let who = if of == SHIER { "recorder" } else { "legal" };
        for complete in [false, true] {
            let mut cluster = five();
            let pairs = if complete { form.clone() } else { without(&form, "viewer") };
            let request = cluster.request(who, submit(RequestAct::View, &[of], &pairs));
            for leader in leaders {
                cluster.approve(leader, request);
            }
            if complete {
                cluster.done(keeper, view(1, request, of));
            } else {
                let refusal = cluster.refused(keeper, view(1, request, of), Reason::FieldMissing);
                assert!(refusal.message.contains("viewer") && refusal.rule.starts_with("R-00"), "{refusal:?}");
            }
        }
    }
}

#[test]
fn a_purpose_is_named_where_the_text_tells_several_apart() {
    let mut cluster = five();
    for pairs in
        [without(&JUDICIAL, "purpose"), [&without(&JUDICIAL, "purpose")[..], &[("purpose", "private")]].concat()]
    {
        let refusal = cluster.refused("legal", asked(RequestAct::View, QIDONG, &pairs), Reason::FieldMissing);
        assert!(refusal.remedy.contains("judicial, internal_department"), "{refusal:?}");
    }
    let internal =
        [("reason", "工作"), ("purpose", "internal_department"), ("viewer_dept", "监察室"), ("viewer", "王五")];
    let request = cluster.request("recorder", submit(RequestAct::View, &[QIDONG], &internal));
    cluster.approve("head", request);
    cluster.done("keeper Q1", view(1, request, QIDONG));
    // The same person may not ask for another purpose.
    cluster.refused("recorder", asked(RequestAct::View, QIDONG, &JUDICIAL), Reason::RoleNotAllowed);
}

#[test]
fn a_recipient_is_one_whom_the_article_names() {
    let mut cluster = five();
    for given in [vec![], vec![("recipient_kind", "lawyer")]] {
        let pairs = [&without(&JUDICIAL, "recipient_kind")[..], &given].concat();
        let refusal = cluster.refused("legal", asked(RequestAct::View, QIDONG, &pairs), Reason::FieldMissing);
        assert!(refusal.remedy.contains("police, procuratorate, court"), "{refusal:?}");
    }
}

#[test]
fn either_approval_alone_is_none_in_the_12th_division_r_002_16() {
    for order in [["legal", "approver"], ["approver", "legal"]] {
        let mut cluster = five();
        let form = [("reason", "监督"), ("purpose", "supervision"), ("viewer", "李四")];
        let request = cluster.request("inspector", submit(RequestAct::View, &[SHIER], &form));
        let row = cluster.approve(order[0], request);
        let rule = rule_of_row(&cluster.rows, &row).expect("a rule");
        assert_eq!(still_missing(&row, &rule), [format!("approval by {}", order[1])]);
        let refusal = cluster.refused("keeper S1", view(1, request, SHIER), Reason::ApprovalMissing);
        assert_eq!(refusal.rule, "R-002-17");
        cluster.approve(order[1], request);
        cluster.done("keeper S1", view(1, request, SHIER));
    }
}

#[test]
fn what_a_text_leaves_open_is_refused_by_its_own_article() {
    let mut cluster = five();
    let why = [("reason", "x"), ("purpose", "evidence")];
    for (act, of, rule, words) in [
        (RequestAct::Copy, QIDONG, "R-000-22", "按照有关要求"),
        (RequestAct::View, RENFANG, "R-001-15", "按相关程序审批"),
        (RequestAct::Copy, RENFANG, "R-001-15", "按相关程序审批"),
        (RequestAct::Provide, RENFANG, "R-001-15", "未经批准"),
        (RequestAct::Copy, SHIER, "R-002-15", "按照有关要求"),
        (RequestAct::Provide, SHIER, "R-002-18", "未经批准"),
        (RequestAct::Transfer, XIAMEN, "R-003-6e", "未经规定程序"),
        (RequestAct::Provide, NEIQIU, "R-004-15", "未经批准"),
    ] {
        let refusal = cluster.refused("legal", asked(act, of, &why), Reason::ActUnspecified);
        assert_eq!(refusal.rule, rule, "{refusal:?}");
        assert!(refusal.message.contains(words), "the refusal quotes the text: {refusal:?}");
    }
    // Bringing in and labelling go on.
    cluster.done("station", Command::SealOriginal(small(9, "R1")));
}

#[test]
fn xiamen_hands_out_by_the_archivist_against_a_slip_r_003_6c() {
    let mut cluster = five();
    let slip = [("reason", "案件"), ("slip_no", "调2026-1"), ("applicant", "王五"), ("applicant_unit", "法制处")];
    cluster.refused("legal", asked(RequestAct::Copy, XIAMEN, &without(&slip, "slip_no")), Reason::FieldMissing);
    let request = cluster.request("legal", submit(RequestAct::Copy, &[XIAMEN], &slip));
    cluster.approve("approver", request);
    let copy =
        |number| Command::BeginSession(BeginSession { session: session(number), under: Under::CopyOut(request) });
    cluster.refused("keeper X1", copy(1), Reason::RoleNotAllowed);
    cluster.done("archivist", copy(1));
}

#[test]
fn neiqiu_publishes_by_either_of_two_heads_r_004_17() {
    for who in ["approver", "head"] {
        let mut cluster = five();
        let form = [
            ("reason", "宣传"),
            ("recipient_kind", "society"),
            ("content", "x"),
            ("channel", "网站"),
            ("clearance", "无"),
        ];
        let request = cluster.request("legal", submit(RequestAct::Publish, &[NEIQIU], &form));
        let row = cluster.approve(who, request);
        let rule = rule_of_row(&cluster.rows, &row).expect("a rule");
        assert!(still_missing(&row, &rule).is_empty(), "{who}");
    }
}

fn classify(of: u8, class: Class) -> Command {
    Command::ClassifyItem(ClassifyItem { item: item(of), class, basis: "定密".to_owned() })
}

fn approve(request: RequestId) -> Command {
    Command::ApproveRequest(ApproveRequest { request })
}

#[test]
fn r_004_17_what_is_secret_is_published_by_nobody() {
    let form = [("reason", "宣传"), ("recipient_kind", "society"), ("channel", "网站"), ("clearance", "x")];
    for (of, class, rule) in [
        (NEIQIU, Class::StateSecret, "R-004-19"),
        (NEIQIU, Class::TradeSecret, "R-004-19"),
        // The text does not speak of it, and it is a class all the same.
        (NEIQIU, Class::PersonalPrivacy, "G11"),
        (QIDONG, Class::StateSecret, "R-000-24"),
    ] {
        let mut cluster = five();
        // Classed while the request waits, it is refused at the next step; before that, at once.
        let request = cluster.request("legal", submit(RequestAct::Publish, &[of], &form));
        cluster.done("legal-2", classify(of, class));
        for command in [asked(RequestAct::Publish, of, &form), approve(request)] {
            let who = if matches!(command, Command::ApproveRequest(_)) { "head" } else { "legal" };
            let refusal = cluster.refused(who, command, Reason::Restricted);
            assert!(refusal.rule == rule && refusal.message.contains(class.name()), "{refusal:?}");
        }
        cluster.done("legal-2", classify(of, Class::Open));
        cluster.approve("head", request);
    }
}

#[test]
fn g11_a_class_adds_its_approvals_whenever_it_was_set() {
    let toml = PROFILES[0].replacen(
        "[acts.provide]\nrequesters = [\"legal\"]\napprovers = \"head\"",
        "[acts.provide]\nrequesters = [\"legal\"]\napprovers = \"approver\"",
        1,
    );
    assert_ne!(toml, PROFILES[0]);
    let form = [
        ("reason", "申请"),
        ("recipient_kind", "party"),
        ("receiving_org", "当事人"),
        ("receiver", "王某"),
        ("agent_id", "1"),
        ("letter_no", "2"),
    ];
    let missing =
        |cluster: &Cluster, row: &RequestRow| still_missing(row, &rule_of_row(&cluster.rows, row).expect("a rule"));
    let copy = |number, request| {
        Command::BeginSession(BeginSession { session: session(number), under: Under::CopyOut(request) })
    };
    for classed_first in [true, false] {
        let mut cluster = Cluster::under(&toml);
        cluster.done(
            "security",
            Command::RegisterPrincipal(RegisterPrincipal {
                principal: id("keeper U5"),
                key: key("keeper U5"),
                roles: vec![Role::Custodian],
                unit: Some(id("U5")),
            }),
        );
        cluster.done("station", Command::SealOriginal(small(1, "U5")));
        if classed_first {
            cluster.done("legal-2", classify(1, Class::TradeSecret));
        }
        let request = cluster.request("legal", submit(RequestAct::Provide, &[1], &form));
        let row = cluster.approve("approver", request);
        if classed_first {
            assert_eq!(missing(&cluster, &row), ["approval by head"]);
            cluster.refused("keeper U5", copy(1, request), Reason::ApprovalMissing);
            cluster.approve("head", request);
            cluster.done("keeper U5", copy(2, request));
        } else {
            assert_eq!(missing(&cluster, &row), [""; 0]);
            cluster.done("legal-2", classify(1, Class::TradeSecret));
            let refusal = cluster.refused("keeper U5", copy(1, request), Reason::ApprovalMissing);
            assert!(refusal.remedy.contains("approval by head"), "{refusal:?}");
        }
    }
}

#[test]
fn r_000_22_r_002_15_a_production_note_is_complete_before_the_first_byte_and_dated_by_the_cluster() {
    for (number, act, note) in [
        (
            0,
            "[acts.copy]",
            vec![
                ("production_method", "刻录"),
                ("produced_by", "张三"),
                ("purpose_of_proof", "x"),
                ("transcript", "y"),
            ],
        ),
        (
            2,
            "[[acts.copy]]\npurpose = { code = \"evidence\", words = \"作为证据使用\" }",
            vec![("produced_by", "张三"), ("extracted_by", "李四")],
        ),
    ] {
        let rule = "requesters = [\"legal\"]\napprovers = \"head\"\nexecutors = [\"custodian\"]\nregister = \"production_note\"\nvalid-days = 30\nuses = 1";
        let toml = PROFILES[number].replacen(&format!("{act}\nunspecified = true"), &format!("{act}\n{rule}"), 1);
        assert_ne!(toml, PROFILES[number]);
        let mut cluster = Cluster::under(&toml);
        cluster.done("station", Command::SealOriginal(small(1, "U5")));
        let purpose = [("reason", "案件"), ("purpose", "evidence")];
        for (session_number, missing) in (1..).zip(note.iter().map(|(name, _)| Some(*name)).chain([None])) {
            let pairs = [&purpose[..], &missing.map_or_else(|| note.clone(), |name| without(&note, name))].concat();
            let request = cluster.request("legal", submit(RequestAct::Copy, &[1], &pairs));
            cluster.approve("head", request);
            let under = Under::CopyOut(request);
            let begin = Command::BeginSession(BeginSession { session: session(session_number), under });
            match missing {
                Some(name) => {
                    let refusal = cluster.refused("custodian", begin, Reason::FieldMissing);
                    assert!(refusal.message.contains(name), "{refusal:?}");
                }
                None => {
                    cluster.done("custodian", begin);
                }
            }
        }
    }
}

#[test]
fn standing_views_are_given_where_the_text_gives_them_and_nowhere_else() {
    let mut cluster = five();
    for (number, who, of) in [(1, "unit-head", QIDONG), (2, "legal", NEIQIU), (3, "unit-head", NEIQIU)] {
        cluster.done(who, standing(number, of));
    }
    for (who, of, rule) in [
        // Nothing says yet whose activity it is, what was drawn or what was handed over.
        ("recorder", QIDONG, "R-000-20"),
        ("inspector", QIDONG, "R-000-27"),
        ("inspector", XIAMEN, "R-003-6d"),
        ("legal", XIAMEN, "R-003-5d"),
        ("legal", QIDONG, "C5"),
        ("legal", RENFANG, "R-001-15"),
        ("legal", SHIER, "R-002-16"),
        ("unit-head", SHIER, "R-002-16"),
    ] {
        let refusal = cluster.refused(who, standing(9, of), Reason::ApprovalMissing);
        assert_eq!(refusal.rule, rule, "{who}: {refusal:?}");
    }
}

//! Extensions, long-term triggers, restrictions, classes and the way out of quarantine.

use strongroom_custody::{
    Command, Fact,
    case::{BindCase, OpenCase},
    command::{BeginSession, ReleaseQuarantine, Under},
    keeping::{self, Class, ClassifyItem, ExtendItem, RestrictItem, RestrictionKind, TriggerItem},
    retention::{self, KeepReason, Keeper},
    tables::KEEPING,
};
use strongroom_types::{Reason, UnixMillis, limits};

use crate::fixture::{Cluster, DAY, START, id, item, session, small};

fn extend(number: u8, until: UnixMillis) -> Command {
    Command::ExtendItem(ExtendItem { item: item(number), until, reason: "appeal expected".to_owned() })
}

fn trigger(number: u8, code: &str) -> Command {
    let basis = "投诉登记 7 号".to_owned();
    Command::TriggerItem(TriggerItem { item: item(number), code: code.to_owned(), basis })
}

fn restrict(number: u8, kind: Option<RestrictionKind>) -> Command {
    Command::RestrictItem(RestrictItem { item: item(number), kind, reason: "the person asked".to_owned() })
}

fn classify(number: u8, class: Class) -> Command {
    Command::ClassifyItem(ClassifyItem { item: item(number), class, basis: "a face".to_owned() })
}

#[test]
fn g3_an_extension_only_ever_lengthens() {
    let mut cluster = Cluster::with_items();
    let floor = START.plus_months_rounded_up(6);
    for until in [START, floor, floor.plus_ms(-1)] {
        let refusal = cluster.refused("legal", extend(1, until), Reason::RetentionShortenRefused);
        assert_eq!(refusal.rule, "G3");
    }
    let later = floor.plus_ms(DAY);
    cluster.done("custodian", extend(1, later));
    assert_eq!(retention::effective_until(&cluster.kept(1)), Some(later));
    cluster.refused("legal", extend(1, later), Reason::RetentionShortenRefused);
    cluster.done("legal", extend(1, later.plus_ms(DAY)));
    assert_eq!(cluster.last_record().time(Fact::Until), Some(later.plus_ms(DAY)));
    assert_eq!(retention::effective_until(&cluster.kept(1)), Some(later.plus_ms(DAY)));
}

#[test]
fn g3_an_item_that_is_kept_without_end_can_be_extended_for_when_the_end_comes() {
    let mut cluster = Cluster::with_items();
    cluster.done("legal", extend(5, START.plus_ms(DAY)));
    assert_eq!(retention::effective_until(&cluster.kept(5)), None, "the floor is unspecified");
}

#[test]
fn an_extension_needs_a_reason_and_somebody_of_the_unit() {
    let mut cluster = Cluster::with_items();
    let mut empty = ExtendItem { item: item(1), until: START.plus_ms(900 * DAY), reason: "  ".to_owned() };
    cluster.refused("legal", Command::ExtendItem(empty.clone()), Reason::FieldMissing);
    empty.reason = "x".repeat(limits::TEXT_BYTES_MAX + 1);
    cluster.refused("legal", Command::ExtendItem(empty), Reason::InvalidArgument);
    cluster.refused("legal-u2", extend(1, START.plus_ms(900 * DAY)), Reason::OutsideUnit);
    cluster.refused("legal", extend(9, START.plus_ms(900 * DAY)), Reason::NotFound);
    cluster.refused("head", extend(1, START.plus_ms(900 * DAY)), Reason::RoleNotAllowed);
}

#[test]
fn g7_a_trigger_keeps_without_end_and_cannot_be_set_twice() {
    let mut cluster = Cluster::with_items();
    cluster.done("unit-head", trigger(1, "t2"));
    cluster.pass_months(1100);
    let refusal = cluster.refusal_to_dispose(1).expect("kept");
    assert_eq!((refusal.reason, refusal.rule.as_str()), (Reason::RetentionActive, "G7"));
    let refusal = cluster.refused("legal", trigger(1, "t2"), Reason::AlreadyExists);
    assert!(refusal.message.contains("t2"), "{refusal:?}");
    cluster.done("legal", trigger(1, "t4"));
    let triggers = cluster.kept(1).into_iter().filter(|kept| matches!(kept.by, Keeper::Trigger(..))).count();
    assert_eq!(triggers, 2);
    let reasons = retention::explain(&cluster.rows, &cluster.item(1), cluster.kept(1)).expect("reads");
    assert!(
        reasons.iter().any(|reason| reason.rule == "G7" && reason.text_zh.contains("投诉登记 7 号")),
        "{reasons:?}"
    );
}

/// R-000-21b, R-004-7 of triggers, R-003-5e and R-000-22 of evidence, R-004-RET of what the text leaves open.
#[test]
fn what_keeps_an_item_is_told_by_the_article_of_its_own_text() {
    const QIDONG: &str = include_str!("../../../../profiles/qidong-chengguan.toml");
    const XIAMEN: &str = include_str!("../../../../profiles/xiamen-chengguan.toml");
    const NEIQIU: &str = include_str!("../../../../profiles/neiqiu-weijian.toml");
    let complaint = || Some(trigger(1, "objection_complaint_petition"));
    for (toml, said, rule, words) in [
        (QIDONG, complaint(), "R-000-21b", "异议或者投诉、上访"),
        (NEIQIU, complaint(), "R-004-7", "异议或者投诉、上访"),
        (NEIQIU, None, "R-004-RET", "完整留存"),
        (XIAMEN, None, "R-003-5e", "案卷保存期限相同"),
        (QIDONG, None, "R-000-22", "刻盘存储后附卷"),
    ] {
        let mut cluster = Cluster::under(toml);
        cluster.done("station", Command::SealOriginal(small(1, "U5")));
        match said {
            Some(trigger) => cluster.done("legal", trigger),
            None => {
                cluster.done(
                    "legal",
                    Command::OpenCase(OpenCase { case: id("C-9"), unit: id("U5"), title: "x".to_owned() }),
                );
                cluster.done("legal", Command::BindCase(BindCase { case: id("C-9"), items: vec![item(1)] }))
            }
        };
        let reasons = retention::explain(&cluster.rows, &cluster.item(1), cluster.kept(1)).expect("reads");
        let tells = |reason: &KeepReason| {
            reason.rule == rule && reason.text_zh.contains(words) && reason.text_en.contains(words)
        };
        assert!(reasons.iter().any(tells), "{reasons:?}");
        if rule != "R-004-RET" {
            let refusal = cluster.refusal_to_dispose(1).expect("kept");
            assert!(refusal.rule == rule && refusal.message.contains(words), "{refusal:?}");
        }
    }
}

#[test]
fn marks_of_an_item_have_a_limit() {
    let mut cluster = Cluster::with_items();
    for count in 0..limits::ITEM_MARKS_MAX {
        cluster.done("legal", trigger(1, &format!("t{count}")));
    }
    cluster.refused("legal", trigger(1, "one more"), Reason::InvalidArgument);
}

#[test]
fn a_restricted_item_is_viewed_in_a_lawful_chain_only() {
    let mut cluster = Cluster::with_items();
    let view = |number| {
        let under = Under::StandingView(item(1), "labelling".to_owned());
        Command::BeginSession(BeginSession { session: session(number), under })
    };
    cluster.done("recorder", view(1));
    cluster.done("custodian", restrict(1, Some(RestrictionKind::PersonalInformation)));
    let refusal = cluster.refused("recorder", view(2), Reason::Restricted);
    assert!(refusal.remedy.contains("request submit"), "{refusal:?}");
    assert_eq!(retention::effective_until(&cluster.kept(1)), Some(START.plus_months_rounded_up(6)), "it stays stored");
    cluster.refused("head", restrict(1, None), Reason::RoleNotAllowed);
    cluster.done("legal", restrict(1, None));
    assert_eq!(cluster.last_record().text(Fact::Before), Some("personal-information"));
    cluster.refused("legal", restrict(1, None), Reason::WrongState);
    cluster.done("recorder", view(3));
}

#[test]
fn g11_a_class_is_raised_by_many_and_lowered_by_the_legal_office() {
    let mut cluster = Cluster::with_items();
    cluster.done("custodian", classify(1, Class::TradeSecret));
    let refusal = cluster.refused("custodian", classify(1, Class::Open), Reason::RoleNotAllowed);
    assert!(refusal.message.contains("trade-secret"), "{refusal:?}");
    cluster.done("custodian", classify(1, Class::StateSecret));
    cluster.done("legal", classify(1, Class::PersonalPrivacy));
    let row = keeping::read(&cluster.rows, item(1)).expect("reads");
    assert_eq!(row.class.map(|set| set.class), Some(Class::PersonalPrivacy));
    assert!(KEEPING.read(&cluster.rows, &item(2)).expect("reads").is_none(), "only what was said has a row");
}

#[test]
fn r_001_5_two_offices_release_an_item_from_quarantine() {
    let mut cluster = Cluster::new();
    let mut seal = small(1, "U1");
    seal.open.description.device = id("stranger");
    cluster.done("station", Command::SealOriginal(seal));
    cluster.done("station", Command::SealOriginal(small(2, "U1")));
    let release =
        |number| Command::ReleaseQuarantine(ReleaseQuarantine { item: item(number), reason: "ours".to_owned() });
    cluster.refused("custodian", release(2), Reason::WrongState);
    cluster.refused("legal", release(1), Reason::RoleNotAllowed);
    cluster.done("custodian", release(1));
    assert!(cluster.item(1).quarantined, "one office alone releases nothing");
    cluster.refused("custodian", release(1), Reason::SamePerson);
    cluster.done("unit-head", release(1));
    assert!(!cluster.item(1).quarantined);
    assert_eq!(cluster.item(1).findings, ["UNREGISTERED_DEVICE"], "what was found stays written");
    cluster.refused("unit-head", release(1), Reason::WrongState);
}

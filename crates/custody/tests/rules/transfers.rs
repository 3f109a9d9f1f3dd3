//! Cases change hands by a receipt of two sides, and nothing is kept for less because of it.

use strongroom_custody::{
    Act, Answer, Command, Fact,
    case::{self, ArchiveCase, CloseCase, Outcome, Term},
    command::{LabelItem, RegisterPrincipal},
    correction::RoleStepRow,
    hold::{HoldScope, PlaceHold},
    profile::RequestAct,
    retention::{self, Keeper, TakenWith},
    tables::CASE_OFFERS,
    transfer::{AnswerCase, OfferCase, Receipt, TransferRow, TransferState, of_case},
    unit_change::{ApproveUnitChange, ProposeUnitChange, UnitChange},
};
use strongroom_types::{Reason, RecordSeq, Role, limits};

use crate::{
    cases::{bind, open},
    fixture::{Cluster, DAY, START, id, item, key, submit, unit},
    golden,
};

fn offer(case: &str, to: &str) -> Command {
    Command::OfferCase(OfferCase {
        case: id(case),
        to: unit(to),
        reason: "管辖变更".to_owned(),
        document: "移字〔2026〕3号".to_owned(),
    })
}

/// Offers a case; the record by which it is taken.
#[track_caller]
pub(crate) fn give(cluster: &mut Cluster, name: &str, case: &str, to: &str) -> RecordSeq {
    match cluster.done(name, offer(case, to)) {
        Answer::Recorded(seq) => seq,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn take(case: &str, offer: RecordSeq) -> Command {
    Command::AnswerCase(AnswerCase { case: id(case), offer, declined: None })
}

fn decline(case: &str, offer: RecordSeq) -> Command {
    Command::AnswerCase(AnswerCase { case: id(case), offer, declined: Some("材料不全".to_owned()) })
}

fn label(number: u8) -> Command {
    Command::LabelItem(LabelItem { item: item(number), name: "place".to_owned(), value: "gate".to_owned() })
}

fn close(case: &str) -> Command {
    Command::CloseCase(CloseCase { case: id(case), outcome: Outcome::Transferred, reason: "decision 5".to_owned() })
}

fn archive(cluster: &mut Cluster, case: &str) {
    let archive = ArchiveCase { case: id(case), date: START, term: Some(Term::Months(1)) };
    cluster.done("archivist", Command::ArchiveCase(archive));
}

/// C-1 of U1 with item 1, under `dev` (6 months); U2 is under `strict` (12), U3 under `unset`, U4 under `dev`.
fn with_case() -> Cluster {
    let mut cluster = Cluster::with_items();
    for (name, role, of) in [
        ("head-u1", Role::UnitHead, "U1"),
        ("head-u2", Role::UnitHead, "U2"),
        ("rec-u2", Role::Recorder, "U2"),
        ("head-u3", Role::UnitHead, "U3"),
        ("head-u4", Role::UnitHead, "U4"),
        ("rec-u4", Role::Recorder, "U4"),
    ] {
        let register =
            RegisterPrincipal { principal: id(name), key: key(name), roles: vec![role], unit: Some(unit(of)) };
        cluster.done("security", Command::RegisterPrincipal(register));
    }
    cluster.done("head-u1", open("C-1", "U1"));
    cluster.done("head-u1", bind("C-1", &[1]));
    cluster
}

fn owner(cluster: &Cluster) -> String {
    case::read(&cluster.rows, &id("C-1")).expect("a case").unit.to_string()
}

#[test]
fn b10_the_giver_keeps_a_case_until_the_receiver_takes_it() {
    let mut cluster = with_case();
    let seq = give(&mut cluster, "head-u1", "C-1", "U4");
    let record = cluster.last_record();
    assert_eq!((record.act, record.text(Fact::Case)), (Act::CaseOffer, Some("C-1")));
    assert_eq!((record.text(Fact::Unit), record.text(Fact::ToUnit)), (Some("U1"), Some("U4")));
    assert_eq!((record.number(Fact::Count), record.text(Fact::Role)), (Some(1), Some("unit-head")));
    assert_eq!(owner(&cluster), "U1");
    cluster.refused("head-u4", close("C-1"), Reason::OutsideUnit);
    cluster.refused("head-u4", label(1), Reason::OutsideUnit);
    cluster.done("head-u1", bind("C-1", &[2]));

    cluster.done("head-u4", take("C-1", seq));
    let record = cluster.last_record();
    assert_eq!((record.act, record.text(Fact::State)), (Act::CaseAccept, Some("taken")));
    assert_eq!((record.number(Fact::Count), record.number(Fact::Proposal)), (Some(2), Some(seq.0)));
    assert_eq!(record.text(Fact::Profile), Some("dev@1"));
    assert_eq!(owner(&cluster), "U4");
    cluster.refused("head-u1", close("C-1"), Reason::OutsideUnit);
    cluster.done("head-u4", close("C-1"));
    let told = of_case(&cluster.rows, &id("C-1")).expect("reads");
    let [transfer] = told.as_slice() else { panic!("{told:?}") };
    let receipt = transfer.state.receipt().expect("a receipt");
    assert_eq!((transfer.items, receipt.items), (1, 2), "each side signed for what was bound when it signed");
    assert_eq!((transfer.offered.by.as_str(), receipt.taken.by.as_str()), ("head-u1", "head-u4"));
    assert!(CASE_OFFERS.read(&cluster.rows, &id("C-1")).expect("reads").is_none());
}

#[test]
fn b10_who_takes_a_case_reaches_its_items_and_who_made_them_still_does() {
    let mut cluster = with_case();
    let before = cluster.item(1);
    let seq = give(&mut cluster, "head-u1", "C-1", "U4");
    cluster.done("head-u4", take("C-1", seq));
    for name in ["head-u4", "rec-u4", "head-u1"] {
        cluster.done(name, label(1));
    }
    cluster.refused("head-u4", label(2), Reason::OutsideUnit);
    cluster.refused("rec-u2", label(1), Reason::OutsideUnit);
    let held = PlaceHold {
        hold: id("H-1"),
        authority: "检察院".to_owned(),
        document: String::new(),
        reason: "inquiry".to_owned(),
        scope: HoldScope { items: vec![item(1)], ..HoldScope::default() },
    };
    cluster.done("head-u4", Command::PlaceHold(Box::new(held)));
    cluster.request("rec-u4", submit(RequestAct::View, &[1], &[("reason", "复核"), ("viewer", "李")]));
    let after = cluster.item(1);
    assert_eq!((after.description, after.retention), (before.description, before.retention), "no item is rewritten");
    // The case goes on, and with it the way to its items.
    let seq = give(&mut cluster, "head-u4", "C-1", "U2");
    cluster.done("head-u2", take("C-1", seq));
    cluster.done("rec-u2", label(1));
    cluster.refused("rec-u4", label(1), Reason::OutsideUnit);
}

#[test]
fn c5_binding_alone_opens_no_way_to_another_units_items() {
    let mut cluster = with_case();
    cluster.done("head-u4", open("C-4", "U4"));
    cluster.done("legal", bind("C-4", &[2]));
    cluster.refused("head-u4", label(2), Reason::OutsideUnit);
}

#[test]
fn b10_what_cannot_be_is_refused_with_what_would_mend_it() {
    let mut cluster = with_case();
    cluster.refused("head-u4", offer("C-1", "U4"), Reason::OutsideUnit);
    cluster.refused("head-u1", offer("C-1", "U1"), Reason::InvalidArgument);
    cluster.refused("head-u1", offer("C-1", "U9"), Reason::NotFound);
    cluster.refused("head-u1", offer("C-9", "U4"), Reason::NotFound);
    let refusal = cluster.refused("head-u4", take("C-1", RecordSeq(1)), Reason::WrongState);
    assert!(refusal.remedy.contains("case transfer"), "{refusal:?}");
    let seq = give(&mut cluster, "head-u1", "C-1", "U4");
    let refusal = cluster.refused("head-u1", offer("C-1", "U2"), Reason::WrongState);
    assert!(refusal.message.contains("U4") && refusal.message.contains(&format!("record {seq}")), "{refusal:?}");
    cluster.refused("head-u4", take("C-1", RecordSeq(seq.0 + 1)), Reason::WrongState);
    cluster.refused("head-u2", take("C-1", seq), Reason::OutsideUnit);
    cluster.refused("head-u1", take("C-1", seq), Reason::OutsideUnit);
    cluster.refused("head-u2", decline("C-1", seq), Reason::OutsideUnit);
    assert_eq!(owner(&cluster), "U1");
    // Somebody of the whole agency speaks for either side, and not for both.
    cluster.done("head-u1", decline("C-1", seq));
    let seq = give(&mut cluster, "legal", "C-1", "U4");
    assert_eq!(cluster.refused("legal", take("C-1", seq), Reason::SamePerson).rule, "G8");
    let mut empty = decline("C-1", seq);
    if let Command::AnswerCase(answer) = &mut empty {
        answer.declined = Some(" ".to_owned());
    }
    cluster.refused("head-u4", empty, Reason::FieldMissing);
    cluster.done("head-u4", decline("C-1", seq));
    assert_eq!(cluster.last_record().text(Fact::State), Some("declined"));
    assert_eq!(owner(&cluster), "U1", "what is declined stays");
    cluster.refused("head-u4", take("C-1", seq), Reason::WrongState);
    let told = of_case(&cluster.rows, &id("C-1")).expect("reads");
    assert_eq!(told.iter().map(|row| row.state.name()).collect::<Vec<_>>(), ["declined", "declined"]);
}

#[test]
fn g3_between_profiles_the_longer_retention_wins_and_stays_when_the_case_moves_on() {
    let mut cluster = with_case();
    let mut apart = cluster.clone();
    archive(&mut apart, "C-1");
    let own = retention::effective_until(&apart.kept(1)).expect("an end");
    let strict = retention::effective_until(&cluster.kept(3)).expect("an end of an item of U2");
    assert!(strict > own, "the receiver's floor is the longer one");
    let seq = give(&mut cluster, "head-u1", "C-1", "U2");
    cluster.done("head-u2", take("C-1", seq));
    let seq = give(&mut cluster, "head-u2", "C-1", "U4");
    cluster.done("head-u4", take("C-1", seq));
    archive(&mut cluster, "C-1");
    assert_eq!(retention::effective_until(&cluster.kept(1)), Some(strict));
    let with = |kept: retention::Kept| match kept.by {
        Keeper::Taken(TakenWith::Case(case), profile) => Some((case.to_string(), profile.to_string())),
        _ => None,
    };
    let with: Vec<_> = cluster.kept(1).into_iter().filter_map(with).collect();
    assert_eq!(with, [("C-1".to_owned(), "strict".to_owned())], "its own profile is no further one");
    assert_eq!(retention::effective_until(&cluster.kept(2)), Some(own), "what is not bound is not touched");
    cluster.pass_months(7);
    let refusal = cluster.refusal_to_dispose(1).expect("kept");
    assert_eq!((refusal.reason, refusal.rule.as_str()), (Reason::RetentionActive, "G3"));
    assert!(refusal.message.contains("strict") && refusal.message.contains("C-1"), "{refusal:?}");
    cluster.pass_months(7);
    assert_eq!(cluster.refusal_to_dispose(1), None);
}

#[test]
fn g3_a_receiver_without_a_floor_keeps_without_end_and_a_shorter_one_shortens_nothing() {
    let mut cluster = with_case();
    let seq = give(&mut cluster, "head-u1", "C-1", "U3");
    cluster.done("head-u3", take("C-1", seq));
    archive(&mut cluster, "C-1");
    assert_eq!(retention::effective_until(&cluster.kept(1)), None);
    assert_eq!(cluster.refusal_to_dispose(1).expect("kept").reason, Reason::FloorUnspecified);

    let mut cluster = with_case();
    cluster.done("head-u2", open("C-2", "U2"));
    cluster.done("head-u2", bind("C-2", &[3]));
    archive(&mut cluster, "C-2");
    let before = retention::effective_until(&cluster.kept(3));
    let seq = give(&mut cluster, "head-u2", "C-2", "U1");
    cluster.done("head-u1", take("C-2", seq));
    assert_eq!(retention::effective_until(&cluster.kept(3)), before);
}

#[test]
fn b10_an_offer_to_a_unit_that_ends_is_its_successors_to_take() {
    let mut cluster = with_case();
    let seq = give(&mut cluster, "head-u1", "C-1", "U4");
    let change = UnitChange::Abolish(unit("U4"), unit("U2"));
    let propose = ProposeUnitChange { change, from: None, basis: "编办".to_owned() };
    let Answer::Recorded(proposal) = cluster.done("security", Command::ProposeUnitChange(Box::new(propose))) else {
        panic!("no record");
    };
    cluster.done("head", Command::ApproveUnitChange(ApproveUnitChange { proposal }));
    cluster.pass(DAY);
    cluster.refused("head-u3", take("C-1", seq), Reason::OutsideUnit);
    cluster.done("head-u2", take("C-1", seq));
    assert_eq!(owner(&cluster), "U2");
    cluster.done("head-u4", close("C-1"));
}

#[test]
fn a_case_is_offered_so_often_and_no_more() {
    let mut cluster = with_case();
    for _ in 0..limits::CASE_TRANSFERS_MAX {
        let seq = give(&mut cluster, "head-u1", "C-1", "U4");
        cluster.done("head-u4", decline("C-1", seq));
    }
    let refusal = cluster.refused("head-u1", offer("C-1", "U4"), Reason::InvalidArgument);
    assert!(refusal.message.contains("at most"), "{refusal:?}");
}

#[test]
fn rows_are_stored_as_they_always_were() {
    let step = |by: &str, seq| RoleStepRow { by: id(by), role: Role::UnitHead, at: START, seq: RecordSeq(seq) };
    let receipt = || Receipt { taken: step("head-u4", 9), items: 2, profile: id("strict"), version: 3 };
    let row = |state| TransferRow {
        case: id("C-1"),
        from: unit("U1"),
        to: unit("U4"),
        reason: "管辖变更".to_owned(),
        document: "移字〔2026〕3号".to_owned(),
        items: 1,
        offered: step("head-u1", 8),
        state,
    };
    let declined = TransferState::Declined(step("head-u4", 9), "材料不全".to_owned());
    let lines = vec![
        golden::line("case_offers", &row(TransferState::Offered)),
        golden::line("case_transfers taken", &row(TransferState::Taken(receipt()))),
        golden::line("case_transfers declined", &row(declined)),
        golden::line("case_transfers divided", &row(TransferState::Divided(receipt()))),
    ];
    golden::check("transfers", lines);
}

//! Corrections: two offices, seven days, both values kept, and never below what else keeps an item.

use strongroom_custody::{
    Answer, Command, Fact,
    case::{Archive, Term},
    correction::{self, ApproveCorrection, Mistake, ProposeCorrection, WithdrawCorrection},
    keeping::{self, ExtendItem, TriggerItem},
    retention::{self, Keeper},
};
use strongroom_types::{CorrectionId, Reason, RecordSeq, UnixMillis, limits};

use crate::{
    cases::{archive, bind, with_case},
    fixture::{Cluster, DAY, START, id, item},
    holds::on_items,
};

fn propose(mistake: Mistake) -> Command {
    Command::ProposeCorrection(ProposeCorrection { mistake, reason: "a wrong line".to_owned() })
}

fn approve(number: u64) -> Command {
    Command::ApproveCorrection(ApproveCorrection { correction: CorrectionId(number) })
}

fn withdraw(number: u64) -> Command {
    let reason = "it was right".to_owned();
    Command::WithdrawCorrection(WithdrawCorrection { correction: CorrectionId(number), reason })
}

fn recorded(answer: Answer) -> RecordSeq {
    match answer {
        Answer::Recorded(seq) => seq,
        other => panic!("no record but {other:?}"),
    }
}

fn far() -> UnixMillis {
    START.plus_ms(9000 * DAY)
}

/// Item 1 extended, triggered and bound to an archived case by mistake, with the four corrections of that.
fn mistaken() -> (Cluster, [Mistake; 4]) {
    let mut cluster = with_case();
    let extend = ExtendItem { item: item(1), until: far(), reason: "typing".to_owned() };
    let extension = recorded(cluster.done("legal", Command::ExtendItem(extend)));
    let set = TriggerItem { item: item(1), code: "t1".to_owned(), basis: "typing".to_owned() };
    let trigger = recorded(cluster.done("legal", Command::TriggerItem(set)));
    let archived = recorded(cluster.done("legal", archive("C-1", START, Some(Term::Permanent))));
    let right = Archive { date: START, term: Term::Months(12) };
    let mistakes = [
        Mistake::Extension(item(1), extension),
        Mistake::Trigger(item(1), trigger),
        Mistake::Archive(id("C-1"), archived, right),
        Mistake::Binding(id("C-1"), item(1)),
    ];
    (cluster, mistakes)
}

fn until(cluster: &Cluster) -> Option<UnixMillis> {
    retention::effective_until(&cluster.kept(1))
}

#[test]
fn c1_every_kind_of_mistake_is_corrected_by_two_offices_after_seven_days() {
    let (mut cluster, mistakes) = mistaken();
    for (mistake, number) in mistakes.into_iter().zip(1..) {
        cluster.done("legal", propose(mistake));
        let refusal = cluster.refused("legal-2", approve(number), Reason::ApprovalMissing);
        assert!(refusal.remedy.contains("head"), "{refusal:?}");
        cluster.done("head", approve(number));
    }
    assert_eq!(until(&cluster), None, "none is in force yet");
    cluster.pass(limits::CORRECTION_MS - 1);
    assert_eq!(until(&cluster), None);
    cluster.pass(1);
    assert_eq!(until(&cluster), Some(START.plus_months_rounded_up(6)), "what else keeps it goes on");
    let said = keeping::read(&cluster.rows, item(1)).expect("reads");
    assert_eq!((said.extensions[0].until, said.triggers[0].code.as_str()), (far(), "t1"), "both values are kept");
}

#[test]
fn c1_a_corrected_term_counts_from_its_entry() {
    let (mut cluster, [.., archived, _]) = mistaken();
    let Mistake::Archive(case, seq, _) = archived else { panic!("an archive") };
    let early = Archive { date: START.plus_ms(-9000 * DAY), term: Term::Months(12) };
    cluster.pass(100 * DAY);
    cluster.done("head", propose(Mistake::Archive(case, seq, early)));
    cluster.done("legal", approve(1));
    cluster.pass(limits::CORRECTION_MS);
    let dated = cluster.kept(1).into_iter().find(|kept| matches!(kept.by, Keeper::ArchivedCase(_))).expect("bound");
    assert_eq!(dated.until, Some(START.plus_months_rounded_up(12)), "no term starts before it was entered");
}

#[test]
fn c1_one_person_with_both_roles_takes_one_step_only() {
    let (mut cluster, [extension, ..]) = mistaken();
    cluster.done("legal", propose(extension));
    cluster.refused("legal", approve(1), Reason::SamePerson);
}

#[test]
fn c1_a_correction_is_withdrawn_until_it_is_in_force_and_not_after() {
    let (mut cluster, [extension, trigger, ..]) = mistaken();
    cluster.done("legal", propose(extension.clone()));
    cluster.done("head", approve(1));
    cluster.done("head", withdraw(1));
    cluster.refused("legal", withdraw(1), Reason::WrongState);
    cluster.refused("legal", approve(1), Reason::WrongState);
    cluster.pass(30 * DAY);
    assert!(cluster.kept(1).iter().any(|kept| kept.until == Some(far())), "the extension stands");
    cluster.done("legal", propose(extension));
    cluster.done("legal", propose(trigger));
    cluster.done("head", approve(2));
    cluster.pass(limits::CORRECTION_MS);
    let refusal = cluster.refused("legal", withdraw(2), Reason::WrongState);
    assert!(refusal.message.contains("in-force"), "{refusal:?}");
    cluster.done("legal", withdraw(3));
    let row = correction::read(&cluster.rows, CorrectionId(3)).expect("a row");
    assert_eq!(correction::state_name(&row, cluster.wall), "withdrawn");
}

#[test]
fn c1_a_mistake_is_corrected_once_and_must_have_been_made() {
    let (mut cluster, [extension, ..]) = mistaken();
    cluster.done("legal", propose(extension.clone()));
    assert_eq!(cluster.last_record().text(Fact::Mistake), Some("extension"));
    cluster.refused("head", propose(extension), Reason::AlreadyExists);
    for (mistake, reason) in [
        (Mistake::Extension(item(1), RecordSeq(1)), Reason::NotFound),
        (Mistake::Extension(item(9), RecordSeq(1)), Reason::NotFound),
        (Mistake::Trigger(item(2), RecordSeq(1)), Reason::NotFound),
        (Mistake::Binding(id("C-1"), item(2)), Reason::NotFound),
        (Mistake::Binding(id("C-9"), item(1)), Reason::NotFound),
        (Mistake::Archive(id("C-1"), RecordSeq(1), Archive { date: START, term: Term::Permanent }), Reason::NotFound),
        (
            Mistake::Archive(id("C-1"), RecordSeq(1), Archive { date: START, term: Term::Months(0) }),
            Reason::InvalidArgument,
        ),
    ] {
        cluster.refused("legal", propose(mistake), reason);
    }
    cluster.refused("legal-u2", propose(Mistake::Binding(id("C-1"), item(1))), Reason::OutsideUnit);
    cluster.refused("custodian", propose(Mistake::Binding(id("C-1"), item(1))), Reason::RoleNotAllowed);
    cluster.refused("head", approve(9), Reason::NotFound);
}

#[test]
fn correcting_a_binding_takes_nothing_out_of_a_hold_on_its_case() {
    let (mut cluster, [.., binding]) = mistaken();
    let scope = strongroom_custody::hold::HoldScope { cases: vec![id("C-1")], ..Default::default() };
    cluster.done(
        "legal",
        Command::PlaceHold(Box::new(strongroom_custody::hold::PlaceHold {
            hold: id("H-1"),
            authority: "法院".to_owned(),
            document: String::new(),
            reason: "suit".to_owned(),
            scope,
        })),
    );
    cluster.done("legal", propose(binding));
    cluster.done("head", approve(1));
    cluster.pass(limits::CORRECTION_MS);
    assert_eq!(cluster.refusal_to_dispose(1).map(|refusal| refusal.reason), Some(Reason::HoldActive));
}

#[test]
fn a_corrected_binding_can_be_made_again() {
    let (mut cluster, [.., binding]) = mistaken();
    cluster.done("legal", on_items("H-1", &[2]));
    cluster.done("legal", propose(binding));
    cluster.done("head", approve(1));
    cluster.pass(limits::CORRECTION_MS);
    let bound = |cluster: &Cluster| cluster.kept(1).iter().any(|kept| matches!(kept.by, Keeper::ArchivedCase(_)));
    assert!(!bound(&cluster));
    cluster.done("legal", bind("C-1", &[1]));
    assert!(bound(&cluster));
}

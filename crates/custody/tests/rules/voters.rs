//! A voter is replaced by two people, and the record of it leads from one policy to the next.

use strongroom_custody::{
    Act, Answer, Command, Fact,
    voters::{self, ApproveVoter, ProposeVoter, VotersNow, WithdrawVoter},
};
use strongroom_types::{NodeId, Reason, RecordSeq};

use crate::fixture::Cluster;

const OLD: NodeId = NodeId(2);
const NEW: NodeId = NodeId(4);

/// Three voters, one of which has gone, and a node in service besides.
fn now() -> VotersNow {
    VotersNow {
        voters: vec![NodeId(1), OLD, NodeId(3)],
        serving: vec![NodeId(1), NodeId(3), NEW],
        unsettled: false,
        policy: "the next policy".to_owned(),
        policy_digest: [0xdd; 32],
    }
}

fn propose(old: NodeId, new: NodeId, now: VotersNow) -> Command {
    Command::ProposeVoter(Box::new(ProposeVoter { old, new, reason: "主板损坏".to_owned(), now }))
}

fn approve(change: RecordSeq, now: VotersNow) -> Command {
    Command::ApproveVoter(Box::new(ApproveVoter { change, now }))
}

fn withdraw(change: RecordSeq) -> Command {
    Command::WithdrawVoter(WithdrawVoter { change, reason: "已修复".to_owned() })
}

fn proposed(cluster: &mut Cluster) -> RecordSeq {
    match cluster.done("ops", propose(OLD, NEW, now())) {
        Answer::Recorded(seq) => seq,
        other => panic!("no record but {other:?}"),
    }
}

#[test]
fn c3_a_voter_is_replaced_by_two_people_and_the_record_names_the_next_policy() {
    let mut cluster = Cluster::new();
    let change = proposed(&mut cluster);
    assert_eq!(voters::waiting(&cluster.rows).expect("reads").map(|row| row.seq), Some(change));
    cluster.done("security", approve(change, now()));
    let record = cluster.last_record();
    assert_eq!((record.act, record.rule.as_str()), (Act::VoterApprove, "C3"));
    assert_eq!((record.text(Fact::Before), record.text(Fact::After)), (Some("n1 n2 n3"), Some("n1 n3 n4")));
    assert_eq!(record.text(Fact::PolicyText), Some("the next policy"));
    assert_eq!(voters::next_policy(&record.to_bytes()), Ok([0xdd; 32]));
    assert_eq!(voters::waiting(&cluster.rows).expect("reads"), None);
    let end = voters::read(&cluster.rows, change).expect("a row").end.expect("approved");
    assert_eq!((end.by.as_str(), end.withdrawn), ("security", None));
}

#[test]
fn c3_neither_one_person_nor_another_office_replaces_a_voter() {
    let mut cluster = Cluster::new();
    for name in ["security", "legal", "head", "auditor", "custodian"] {
        cluster.refused(name, propose(OLD, NEW, now()), Reason::RoleNotAllowed);
    }
    let change = proposed(&mut cluster);
    for name in ["ops", "legal", "head", "auditor"] {
        cluster.refused(name, approve(change, now()), Reason::RoleNotAllowed);
    }
    cluster.refused("security-u2", approve(change, now()), Reason::OutsideUnit);
    let refusal = cluster.refused("ops", propose(OLD, NEW, now()), Reason::AlreadyExists);
    assert!(refusal.remedy.contains(&format!("voter withdraw {}", change.0)), "{refusal:?}");
    cluster.done("security-2", withdraw(change));
    assert_eq!(cluster.last_record().act, Act::VoterWithdraw);
    cluster.refused("security", approve(change, now()), Reason::WrongState);
    cluster.refused("ops", withdraw(change), Reason::WrongState);
    cluster.refused("ops", withdraw(RecordSeq(1)), Reason::NotFound);
    proposed(&mut cluster);
}

#[test]
fn c3_what_cannot_be_is_refused_when_it_is_proposed_and_when_it_is_approved() {
    let none = VotersNow { policy: String::new(), ..now() };
    let gone = VotersNow { serving: vec![NodeId(1), NodeId(3)], ..now() };
    let draining = VotersNow { serving: vec![NodeId(1), NEW], ..now() };
    let unsettled = VotersNow { unsettled: true, ..now() };
    for (old, new, state, told) in [
        (NEW, NodeId(5), now(), "n4 does not vote"),
        (OLD, NodeId(3), now(), "n3 votes already"),
        (OLD, NodeId(9), now(), "n9 is not in service"),
        (OLD, NEW, gone.clone(), "n4 is not in service"),
        (OLD, NEW, draining.clone(), "voter n3 is not in service"),
        (OLD, NEW, unsettled.clone(), "not cosigned yet"),
        (OLD, NEW, none.clone(), "no policy"),
    ] {
        let refusal = Cluster::new().refused("ops", propose(old, new, state), Reason::WrongState);
        assert!(refusal.message.contains(told) && refusal.rule == "C3" && !refusal.remedy.is_empty(), "{refusal:?}");
    }
    for state in [gone, draining, unsettled, none] {
        let mut cluster = Cluster::new();
        let change = proposed(&mut cluster);
        cluster.refused("security", approve(change, state), Reason::WrongState);
        cluster.done("security", approve(change, now()));
    }
}

#[test]
fn no_other_record_leads_to_a_policy() {
    let mut cluster = Cluster::new();
    proposed(&mut cluster);
    let proposal = cluster.last_record().to_bytes();
    assert!(voters::next_policy(&proposal).is_err(), "one person's word");
    cluster.refused("head", approve(RecordSeq(1), now()), Reason::RoleNotAllowed);
    assert!(voters::next_policy(&cluster.last_record().to_bytes()).is_err(), "a refusal");
    assert!(voters::next_policy(b"nonsense").is_err());
}

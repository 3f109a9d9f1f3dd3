//! Decisions carry the signature of whoever takes them: without it nothing is decided, and none counts twice (ADR 0020).

use std::collections::BTreeSet;

use strongroom_custody::{
    Act, Command, Fact,
    assent::asked,
    command::{RegisterPrincipal, RotatePrincipal},
    disposal::ApproveDisposal,
    hold::{HoldScope, ReleaseHold},
};
use strongroom_types::{BatchId, ClusterId, Reason, RecordSeq, Role};

use crate::{
    disposals,
    fixture::{Cluster, DAY, HOUR, START, Signing, id, item, key, signed, small},
    holds, samples,
};

/// What ends retention or opens footage, or says who may: all of it and nothing else is signed.
#[test]
fn what_is_signed_is_what_ends_retention_opens_footage_or_says_who_may() {
    let rows = &Cluster::with_items().rows;
    let mut acts = BTreeSet::new();
    for command in samples::of_clients().into_iter().chain(samples::of_secrets()) {
        let Some(assent) = asked(rows, &command).expect("reads") else { continue };
        acts.insert(assent.act());
    }
    let expected = [
        Act::RequestApprove,
        Act::PaperAttest,
        Act::OralEnter,
        Act::OralConfirm,
        Act::HoldRelease,
        Act::CorrectionApprove,
        Act::DisposalApprove,
        Act::DisposalExecute,
        Act::DisposalSign,
        Act::ProfileApprove,
        Act::PrincipalRegister,
        Act::PrincipalRotate,
        Act::MandateAppoint,
        Act::MandateDelegate,
        Act::MandateConfirm,
        Act::UnitApprove,
        Act::VoterApprove,
        Act::SecretApprove,
        Act::SecretExecute,
        Act::DisposalCloseLost,
        Act::CaseArchive,
        Act::QuarantineRelease,
    ];
    let known: BTreeSet<_> = expected.map(Act::name).into_iter().collect();
    assert!(acts.is_subset(&known), "{acts:?}");
    // What names rows that a fresh cluster has not asks for nothing yet.
    let absent = [Act::RequestApprove, Act::VoterApprove, Act::SecretApprove, Act::SecretExecute].map(Act::name);
    let missing: Vec<_> = known.difference(&acts).filter(|act| !absent.contains(act)).collect();
    assert!(missing.is_empty(), "a sample of each: {missing:?}");
}

#[test]
fn a_decision_without_its_signature_is_refused_and_recorded_and_changes_nothing() {
    let mut cluster = Cluster::with_items();
    let scope = HoldScope { items: vec![item(1)], ..HoldScope::default() };
    cluster.done("legal", holds::place("H-1", scope));
    cluster.signing = Signing::Never;
    let release = || Command::ReleaseHold(ReleaseHold { hold: id("H-1"), reason: "已结案".to_owned() });
    let refusal = cluster.refused("legal", release(), Reason::AssentMissing);
    assert_eq!(refusal.rule, "C5");
    // Roles are asked first: who may not decide is not told to sign.
    cluster.refused("recorder", release(), Reason::RoleNotAllowed);
    let new = RegisterPrincipal { principal: id("mallory"), key: key("mallory"), roles: vec![Role::Head], unit: None };
    cluster.refused("security", Command::RegisterPrincipal(new), Reason::AssentMissing);
    let rotate = RotatePrincipal { principal: id("head"), key: key("mallory") };
    cluster.refused("security", Command::RotatePrincipal(rotate), Reason::AssentMissing);

    cluster.signing = Signing::Each;
    cluster.done("legal", release());
    let record = cluster.last_record();
    assert_eq!(
        (record.bytes(Fact::AssentBy), record.bytes(Fact::AssentSignature)),
        (Some(&[0x30][..]), Some(&[0x31][..]))
    );
    assert!(record.text(Fact::AssentKey).is_some(), "the record holds what an outsider needs to check it");
}

/// An assent that somebody kept opens nothing later: the hold was placed again, and its release was not decided again.
#[test]
fn an_assent_counts_once() {
    let mut cluster = Cluster::with_items();
    let scope = || HoldScope { items: vec![item(1)], ..HoldScope::default() };
    cluster.done("legal", holds::place("H-1", scope()));
    let release = || Command::ReleaseHold(ReleaseHold { hold: id("H-1"), reason: "已结案".to_owned() });
    cluster.signing = Signing::Again(signed(RecordSeq(7_000), START));
    cluster.done("legal", release());
    cluster.refused("legal", release(), Reason::IdempotencyKeyReused);
    // The key is the caller's own: another person's call may be called the same.
    cluster.done("head", release());
}

/// What was signed long ago, or is dated for later, decides nothing; clocks need not agree to the minute.
#[test]
fn an_assent_is_good_for_an_hour() {
    let mut cluster = Cluster::with_items();
    let scope = HoldScope { items: vec![item(1)], ..HoldScope::default() };
    cluster.done("legal", holds::place("H-1", scope));
    let release = || Command::ReleaseHold(ReleaseHold { hold: id("H-1"), reason: "已结案".to_owned() });
    for off in [-2 * HOUR, 2 * HOUR, -400 * DAY] {
        cluster.signing = Signing::Again(signed(RecordSeq(8_000), START.plus_ms(off)));
        let refusal = cluster.refused("legal", release(), Reason::AssentMissing);
        assert!(refusal.message.contains("was signed at"), "{refusal:?}");
    }
    cluster.signing = Signing::Again(signed(RecordSeq(8_000), START.plus_ms(-HOUR / 2)));
    cluster.done("legal", release());
}

/// What is approved is what was shown: another list is another assent.
#[test]
fn the_assent_to_a_disposal_names_each_item_with_its_basis() {
    let mut cluster = Cluster::new();
    cluster.done("station", Command::SealOriginal(small(1, "U1")));
    cluster.pass(400 * DAY);
    cluster.done("archivist", disposals::propose(&[1]));
    let approve = Command::ApproveDisposal(ApproveDisposal { batch: BatchId(1) });
    let assent = asked(&cluster.rows, &approve).expect("reads").expect("is signed");
    let text = assent.text(ClusterId::new([0xc1; 16]), &id("k"), START);
    assert!(text.contains(&format!("batch DSP-1\nitem {} ", item(1))), "{text}");
}

//! What a receipt is made of, and what it refuses.

use proptest::prelude::*;
use strongroom_types::{ItemId, UnixMillis};

use super::*;
use crate::testing::{Cluster, Reader, change, sealed, sealed_before_two_changes};

fn issued() -> Receipt {
    Receipt::issue(sealed().1, Vec::new(), &Reader).expect("proves")
}

fn text(receipt: &Receipt) -> String {
    String::from_utf8(receipt.to_bytes()).expect("JSON")
}

fn parse(text: &str) -> Result<Receipt, ReceiptError> {
    Receipt::parse_canonical(text.as_bytes(), &Reader)
}

#[test]
fn a_receipt_has_fixed_bytes() {
    let shown = text(&issued());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write("tests/golden/sample.receipt", &shown).expect("writes");
    }
    assert_eq!(shown, include_str!("../../tests/golden/sample.receipt"));
    assert_eq!(parse(&shown).expect("reads"), issued());
}

#[test]
fn a_receipt_carries_the_files_that_other_tools_read() {
    let receipt = issued();
    let json: serde_json::Value = serde_json::from_slice(&receipt.to_bytes()).expect("JSON");
    let field = |name: &str| json[name].as_str().expect("a text").to_owned();
    assert_eq!(field("tlog_proof"), receipt.seal().proof.to_string());
    assert_eq!(field("tlog_policy"), receipt.seal().policy.to_string());
    assert_eq!(field("format"), FORMAT);
    assert_eq!(json["voter_changes"], serde_json::json!([]));
}

#[test]
fn a_text_that_differs_from_the_record_is_named() {
    let original = text(&issued());
    for (from, to, field) in [
        (r#""trial": false"#, r#""trial": true"#, "trial"),
        (r#""item": "1717"#, r#""item": "1817"#, "item"),
        (r#""size_bytes": 34"#, r#""size_bytes": 35"#, "size_bytes"),
        ("001", "002", "file_name"),
        ("2026-01-01T08", "2026-01-01T09", "sealed_at"),
        ("BWC-0042", "BWC-0043", "device"),
        ("一中队", "二中队", "unit"),
        (r#""cluster": "c1"#, r#""cluster": "c2"#, "cluster"),
    ] {
        let changed = original.replacen(from, to, 1);
        assert_ne!(changed, original, "{from}");
        let error = parse(&changed).expect_err(from);
        assert!(matches!(error, ReceiptError::FieldDiffers { field: found, .. } if found == field), "{error}");
    }
}

#[test]
fn a_second_spelling_of_a_receipt_is_refused() {
    let original = text(&issued());
    for changed in [
        original.trim_end().to_owned(),
        format!("{original}\n"),
        format!(" {original}"),
        original.replacen("  ", "\t", 1),
        original.replacen("执", "\\u6267", 1),
        original.replacen("strongroom-receipt/1", "strongroom-receipt\\/1", 1),
        original.replacen(r#""size_bytes": 34"#, r#""size_bytes":  34"#, 1),
        serde_json::from_str::<serde_json::Value>(&original).expect("JSON").to_string(),
    ] {
        assert_ne!(changed, original);
        assert!(matches!(parse(&changed), Err(ReceiptError::NotCanonical)), "{changed}");
    }
    let further = original.replacen("{\n", "{\n  \"note\": \"\",\n", 1);
    let twice = original.replacen("{\n", "{\n  \"trial\": false,\n", 1);
    let without = original.replacen("  \"trial\": false,\n", "", 1);
    for changed in [further, twice, without, String::new(), "null".to_owned(), "[".repeat(10_000)] {
        assert!(matches!(parse(&changed), Err(ReceiptError::NotAReceipt(_))), "{changed}");
    }
    let later = original.replacen("receipt/1", "receipt/2", 1);
    assert!(matches!(parse(&later), Err(ReceiptError::UnknownFormat(_))));
    let long = vec![b' '; RECEIPT_BYTES_MAX + 1];
    assert!(matches!(Receipt::parse_canonical(&long, &Reader), Err(ReceiptError::TooLong(_))));
}

#[test]
fn evidence_of_another_record_is_refused() {
    let (cluster, seal) = sealed();
    let other = cluster.evidence(strongroom_types::RecordSeq(0));
    let other_record = Evidence { record: other.record.clone(), ..seal.clone() };
    let error = Receipt::issue(other_record, Vec::new(), &Reader).expect_err("another record");
    assert!(matches!(error, ReceiptError::Seal(EvidenceError::OtherRecord(_))), "{error}");
    let other_leaf = Evidence { leaf: other.leaf, record: other.record, salt: other.salt, ..seal.clone() };
    let error = Receipt::issue(other_leaf, Vec::new(), &Reader).expect_err("another leaf");
    assert!(matches!(error, ReceiptError::Seal(EvidenceError::Proof(_))), "{error}");
    let other_salt = Evidence { salt: Salt::new([0; 32]), ..seal };
    let error = Receipt::issue(other_salt, Vec::new(), &Reader).expect_err("another salt");
    assert!(matches!(error, ReceiptError::Seal(EvidenceError::OtherRecord(_))), "{error}");
}

#[test]
fn a_record_of_something_else_is_no_seal() {
    let mut cluster = Cluster::new();
    let policy = cluster.policy();
    let seq = cluster.record_voter_change(&policy);
    let error = Receipt::issue(cluster.evidence(seq), Vec::new(), &Reader).expect_err("no seal");
    assert!(matches!(error, ReceiptError::Record(_)), "{error}");
}

#[test]
fn a_log_of_another_cluster_is_refused() {
    let mut cluster = Cluster::new();
    let facts = SealFacts { cluster: ClusterId::new([0xc2; 16]), ..cluster.facts() };
    let seq = cluster.seal(&facts);
    let error = Receipt::issue(cluster.evidence(seq), Vec::new(), &Reader).expect_err("another cluster");
    assert!(matches!(error, ReceiptError::OtherCluster { .. }), "{error}");
    let mut nameless = Cluster::of_origin("strongroom.example".parse().expect("a name"), cluster.id);
    let facts = nameless.facts();
    let seq = nameless.seal(&facts);
    let error = Receipt::issue(nameless.evidence(seq), Vec::new(), &Reader).expect_err("a log without cluster");
    assert!(matches!(error, ReceiptError::OtherCluster { .. }), "{error}");
}

#[test]
fn the_policy_of_the_record_must_be_in_the_chain() {
    let mut cluster = Cluster::new();
    let facts = SealFacts { policy: PolicyFingerprint::new([7; 32]), ..cluster.facts() };
    let seq = cluster.seal(&facts);
    let error = Receipt::issue(cluster.evidence(seq), Vec::new(), &Reader).expect_err("an unknown policy");
    assert!(matches!(error, ReceiptError::PolicyMissing(_)), "{error}");

    let (seal, changes, _) = sealed_before_two_changes();
    let error = Receipt::issue(seal.clone(), Vec::new(), &Reader).expect_err("no chain");
    assert!(matches!(error, ReceiptError::PolicyMissing(_)), "{error}");
    let receipt = Receipt::issue(seal, changes, &Reader).expect("with its chain");
    assert_eq!(parse(&text(&receipt)).expect("reads"), receipt);
}

#[test]
fn a_chain_with_a_gap_a_swap_or_a_stranger_is_refused() {
    let (seal, changes, _) = sealed_before_two_changes();
    let [first, second] = <[Evidence; 2]>::try_from(changes).expect("two");
    let issue = |changes: Vec<Evidence>| match Receipt::issue(seal.clone(), changes, &Reader) {
        Err(ReceiptError::VoterChange { number, source }) => (number, source),
        other => panic!("{other:?}"),
    };
    let is_other_next = |source: &VoterChangeError| matches!(source, VoterChangeError::OtherNext { .. });

    let (number, source) = issue(vec![first.clone()]);
    assert!(number == 1 && is_other_next(&source), "a gap: {source}");
    let (number, source) = issue(vec![second.clone(), first.clone()]);
    assert!(number == 1 && is_other_next(&source), "a swap: {source}");
    let (number, source) = issue(vec![first.clone(), first.clone(), second.clone()]);
    assert!(number == 1 && is_other_next(&source), "a repetition: {source}");

    // The change is under a checkpoint that voters other than the old ones cosigned.
    let by_strangers = Evidence { proof: second.proof.clone(), ..first.clone() };
    let (number, source) = issue(vec![by_strangers, second.clone()]);
    assert!(number == 1 && matches!(source, VoterChangeError::Evidence(_)), "strangers: {source}");
    let not_a_change = Evidence { policy: first.policy.clone(), ..sealed().1 };
    let (number, source) = issue(vec![not_a_change, second]);
    assert!(number == 1 && matches!(source, VoterChangeError::Record(_)), "no change: {source}");
}

#[test]
fn a_chain_may_come_back_to_old_voters_but_never_to_an_old_record() {
    let (mut cluster, _) = sealed();
    let (there, _) = change(&mut cluster, 20);
    let (back, _) = change(&mut cluster, 10);
    let (again, _) = change(&mut cluster, 20);
    let seal = cluster.evidence(strongroom_types::RecordSeq(1));
    Receipt::issue(seal.clone(), vec![there.clone(), back.clone(), again], &Reader).expect("in order");
    match Receipt::issue(seal, vec![there.clone(), back, there], &Reader) {
        Err(ReceiptError::VoterChange { number: 3, source: VoterChangeError::OutOfOrder }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_and_times_of_any_kind_survive_the_json() {
    for file_name in ["", "a\"b\\c", "line\nbreak\u{0}\u{7f}", "执法记录\u{202e}4pm.", "\u{1f4f9}"] {
        let mut cluster = Cluster::new();
        let item = ItemId::new([0xff; 16]);
        let sealed_at = UnixMillis(i64::MAX);
        let facts = SealFacts { file_name: file_name.to_owned(), item, sealed_at, ..cluster.facts() };
        let seq = cluster.seal(&facts);
        let receipt = Receipt::issue(cluster.evidence(seq), Vec::new(), &Reader).expect("proves");
        assert_eq!(parse(&text(&receipt)).expect("reads").facts(), &facts);
    }
}

proptest! {
    #[test]
    fn damaged_receipts_do_not_panic(
        at in 0usize..6000,
        len in 0usize..80,
        with in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let original = include_bytes!("../../tests/golden/sample.receipt");
        let mut bytes = original.to_vec();
        let at = at.min(bytes.len());
        let end = (at + len).min(bytes.len());
        bytes.splice(at..end, with);
        let holds = Receipt::parse_canonical(&bytes, &Reader).is_ok_and(|receipt| receipt.verify(&Reader).is_ok());
        prop_assert_eq!(holds, bytes == original);
    }

    #[test]
    fn foreign_bytes_are_no_receipt(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Receipt::parse_canonical(&bytes, &Reader).is_err());
    }
}

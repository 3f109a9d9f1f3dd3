//! Verdicts, and every single bit that must not be flipped.

use super::*;
use crate::testing::{Cluster, FILE, Reader, each_flip, one_flip_a_byte, sealed, sealed_before_two_changes};

fn sample() -> (Vec<u8>, String) {
    let (cluster, seal) = sealed();
    let receipt = Receipt::issue(seal, Vec::new(), &Reader).expect("proves");
    (receipt.to_bytes(), cluster.policy().to_string())
}

fn verify(receipt: &[u8], file: Option<&[u8]>, policy: Option<&str>) -> Result<ReceiptVerdict, ReceiptError> {
    match file {
        Some(mut file) => verify_receipt(receipt, Some(&mut file), policy, &Reader),
        None => verify_receipt(receipt, None, policy, &Reader),
    }
}

#[test]
fn a_receipt_with_its_file_and_policy_is_trusted_and_says_what_matched() {
    let (receipt, policy) = sample();
    let verdict = verify(&receipt, Some(FILE), Some(&policy)).expect("verifies");
    let fingerprint = Policy::parse_canonical(&policy).expect("a policy").fingerprint();
    assert_eq!(verdict.trust, Trust::Trusted { policy: fingerprint, voter_changes: 0 });
    assert_eq!(verdict.facts, Cluster::new().facts());
    assert_eq!(verdict.file, Some(FileDigests::of(&mut { FILE }).expect("reads")));
    assert_eq!((verdict.seq, verdict.clock), (RecordSeq(1), UnixMillis(1_767_225_600_000)));
    assert_eq!(verdict.checkpoint.head().size, 3);
    assert_eq!(verdict.checkpoint.existed_by(), UnixMillis(1_767_225_601_000));
    let cosigners: Vec<&str> = verdict.checkpoint.cosigned_by().iter().map(|by| by.name.as_str()).collect();
    assert_eq!(cosigners.len(), 2);
    assert!(cosigners[0].ends_with("/n1") && cosigners[1].ends_with("/n2"), "{cosigners:?}");
}

#[test]
fn without_a_policy_a_receipt_is_self_consistent_and_no_more() {
    let (receipt, policy) = sample();
    let verdict = verify(&receipt, Some(FILE), None).expect("verifies");
    let fingerprint = Policy::parse_canonical(&policy).expect("a policy").fingerprint();
    assert_eq!(verdict.trust, Trust::SelfConsistent { policy: fingerprint });
    let shown = verdict.trust.to_string();
    assert!(shown.starts_with("self-consistent only") && shown.contains(&fingerprint.to_string()), "{shown}");
    assert_eq!(verify(&receipt, None, None).expect("verifies").file, None);
}

#[test]
fn a_policy_from_elsewhere_that_differs_is_refused() {
    let (receipt, policy) = sample();
    let mut others = Cluster::new();
    others.change_voters(60);
    let error = verify(&receipt, None, Some(&others.policy().to_string())).expect_err("other voters");
    assert!(matches!(error, ReceiptError::OtherPolicy { .. }), "{error}");
    let error = verify(&receipt, None, Some(policy.trim_end())).expect_err("another spelling");
    assert!(matches!(error, ReceiptError::GivenPolicy(_)), "{error}");
}

#[test]
fn any_policy_of_the_chain_judges_and_the_verdict_counts_the_changes() {
    let (seal, changes, policies) = sealed_before_two_changes();
    let receipt = Receipt::issue(seal, changes, &Reader).expect("proves").to_bytes();
    for (policy, voter_changes) in policies.iter().zip([2, 1, 0]) {
        let verdict = verify(&receipt, Some(FILE), Some(&policy.to_string())).expect("verifies");
        assert_eq!(verdict.trust, Trust::Trusted { policy: policy.fingerprint(), voter_changes });
        assert_eq!(verdict.checkpoint.policy(), policies[2].fingerprint());
    }
}

#[test]
fn another_file_is_refused_with_the_reason() {
    let (receipt, _) = sample();
    let (shorter, longer) = (&FILE[1..], [FILE, b"!"].concat());
    for (file, size) in [(shorter, 33), (&[][..], 0), (&longer, 35)] {
        let error = verify(&receipt, Some(file), None).expect_err("another length");
        assert!(matches!(error, ReceiptError::FileSize { sealed: 34, found } if found == size), "{error}");
    }
    let mut endless = std::io::repeat(b'x');
    let error = verify_receipt(&receipt, Some(&mut endless), None, &Reader).expect_err("endless");
    assert!(matches!(error, ReceiptError::FileSize { sealed: 34, found: 35 }), "{error}");
}

#[test]
fn both_digests_are_compared() {
    for (wrong_blake3, digest) in [(true, "BLAKE3"), (false, "SHA-256")] {
        let mut cluster = Cluster::new();
        let mut facts = cluster.facts();
        if wrong_blake3 {
            facts.blake3 = strongroom_types::ItemDigest::new([0; 32]);
        } else {
            facts.sha256 = strongroom_types::Sha256Digest::new([0; 32]);
        }
        let seq = cluster.seal(&facts);
        let receipt = Receipt::issue(cluster.evidence(seq), Vec::new(), &Reader).expect("proves").to_bytes();
        let error = verify(&receipt, Some(FILE), None).expect_err(digest);
        assert!(matches!(error, ReceiptError::FileDigest { digest: found, .. } if found == digest), "{error}");
    }
}

#[test]
fn every_flipped_bit_of_a_receipt_is_found() {
    let (receipt, _) = sample();
    each_flip(&receipt, |receipt| verify(receipt, Some(FILE), None).is_err());
}

#[test]
fn a_flipped_bit_in_any_byte_of_a_receipt_with_voter_changes_is_found() {
    let (seal, changes, _) = sealed_before_two_changes();
    let receipt = Receipt::issue(seal, changes, &Reader).expect("proves").to_bytes();
    one_flip_a_byte(&receipt, |receipt| verify(receipt, None, None).is_err());
}

#[test]
fn every_flipped_bit_of_the_file_is_found() {
    let (receipt, policy) = sample();
    each_flip(FILE, |file| verify(&receipt, Some(file), Some(&policy)).is_err());
}

#[test]
fn every_flipped_bit_of_the_given_policy_is_found() {
    let (receipt, policy) = sample();
    each_flip(policy.as_bytes(), |policy| {
        std::str::from_utf8(policy).map_or(true, |policy| verify(&receipt, None, Some(policy)).is_err())
    });
}

//! The offline verifier of receipts: a receipt, the file if there is one, a policy if there is one.

use std::{fmt, io::Read};

use strongroom_ledger::{Policy, PolicyFingerprint, VerifiedCheckpoint};
use strongroom_types::{RecordSeq, UnixMillis};

use crate::{FileDigests, Receipt, ReceiptError, RecordFacts, SealFacts};

/// What a receipt was found to prove. Only [`verify_receipt`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceiptVerdict {
    /// What was sealed, when, by which device and unit.
    pub facts: SealFacts,
    /// The record of the seal.
    pub seq: RecordSeq,
    /// The compliance clock at the seal.
    pub clock: UnixMillis,
    /// The checkpoint that holds it, and who cosigned that when.
    pub checkpoint: VerifiedCheckpoint,
    /// The file's length and digests, all equal to the sealed original's; none where no file was given.
    pub file: Option<FileDigests>,
    /// How far this can be believed.
    pub trust: Trust,
}

/// Whose word a verdict rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// No policy was given: the receipt agrees with itself, and whoever wrote it could have chosen the keys.
    SelfConsistent {
        /// The policy in the receipt.
        policy: PolicyFingerprint,
    },
    /// The policy that was given from elsewhere is that of the receipt, or leads to it.
    Trusted {
        /// The given policy.
        policy: PolicyFingerprint,
        /// Changes of the voter set between it and the checkpoint, each cosigned by a majority of the set before.
        voter_changes: usize,
    },
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SelfConsistent { policy } => {
                write!(f, "self-consistent only: no policy was given to check against the receipt's own, {policy}")
            }
            Self::Trusted { policy, voter_changes: 0 } => write!(f, "trusted under the given policy {policy}"),
            Self::Trusted { policy, voter_changes } => {
                write!(f, "trusted under the given policy {policy}, after {voter_changes} changes of the voters")
            }
        }
    }
}

/// Verifies a receipt: that it reads, that its fields say what its record says, that the record is in the ledger, that
/// the checkpoint counts under the receipt's policy, that this policy is the given one or follows from it, and that the
/// file is the sealed original.
///
/// `policy` must have come from somewhere else than the receipt: published, printed on a stamped letter, or kept.
///
/// # Errors
/// [`ReceiptError`] naming the first thing that is wrong.
pub fn verify_receipt(
    receipt: &[u8],
    file: Option<&mut dyn Read>,
    policy: Option<&str>,
    reader: &impl RecordFacts,
) -> Result<ReceiptVerdict, ReceiptError> {
    let receipt = Receipt::parse_canonical(receipt, reader)?;
    let checkpoint = receipt.verify(reader)?;
    let trust = trust(&receipt, policy)?;
    let file = file.map(|file| check_file(receipt.facts(), file)).transpose()?;
    let leaf = receipt.seal().leaf;
    Ok(ReceiptVerdict { facts: receipt.facts().clone(), seq: leaf.seq, clock: leaf.clock, checkpoint, file, trust })
}

fn trust(receipt: &Receipt, given: Option<&str>) -> Result<Trust, ReceiptError> {
    let own = receipt.seal().policy.fingerprint();
    let Some(given) = given else { return Ok(Trust::SelfConsistent { policy: own }) };
    let given = Policy::parse_canonical(given).map_err(ReceiptError::GivenPolicy)?;
    let policy = given.fingerprint();
    match receipt.policies().rev().position(|held| *held == given) {
        Some(voter_changes) => Ok(Trust::Trusted { policy, voter_changes }),
        None => Err(ReceiptError::OtherPolicy { given: policy, receipt: own }),
    }
}

fn check_file(facts: &SealFacts, file: &mut dyn Read) -> Result<FileDigests, ReceiptError> {
    // One byte more than was sealed is enough to know, however long the file is.
    let mut bounded = file.take(facts.size_bytes.saturating_add(1));
    let digests = FileDigests::of(&mut bounded).map_err(ReceiptError::ReadFile)?;
    if digests.size_bytes != facts.size_bytes {
        return Err(ReceiptError::FileSize { sealed: facts.size_bytes, found: digests.size_bytes });
    }
    if digests.sha256 != facts.sha256 {
        let (sealed, found) = (facts.sha256.to_string(), digests.sha256.to_string());
        return Err(ReceiptError::FileDigest { digest: "SHA-256", sealed, found });
    }
    if digests.blake3 != facts.blake3 {
        let (sealed, found) = (facts.blake3.to_string(), digests.blake3.to_string());
        return Err(ReceiptError::FileDigest { digest: "BLAKE3", sealed, found });
    }
    Ok(digests)
}

#[cfg(test)]
mod tests;

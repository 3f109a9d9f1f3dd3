//! A record with everything that proves it to be in the ledger.

use strongroom_ledger::{Leaf, Policy, ProofError, Salt, TlogProof, VerifiedCheckpoint, commitment};

/// A record, what opens its commitment, its leaf, the way up to a checkpoint, and whom to believe about that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The exact bytes of the record.
    pub record: Vec<u8>,
    /// The salt of its commitment.
    pub salt: Salt,
    /// Its leaf.
    pub leaf: Leaf,
    /// From the leaf to a signed checkpoint.
    pub proof: TlogProof,
    /// The policy that the checkpoint satisfies.
    pub policy: Policy,
}

/// Why a record is not proved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Record and salt do not open the leaf.
    #[error("the record is not the one that leaf {0} commits to")]
    OtherRecord(strongroom_types::RecordSeq),
    /// The leaf is not in the log.
    #[error("the leaf is not proved to be in the ledger")]
    Proof(#[from] ProofError),
}

impl Evidence {
    /// Whether the record is in the ledger of its policy.
    ///
    /// # Errors
    /// [`EvidenceError`] naming the first thing that is wrong.
    pub fn verify(&self) -> Result<VerifiedCheckpoint, EvidenceError> {
        if commitment::commit(&self.salt, &self.record) != self.leaf.commitment {
            return Err(EvidenceError::OtherRecord(self.leaf.seq));
        }
        Ok(self.proof.verify(&self.leaf, &self.policy)?)
    }
}

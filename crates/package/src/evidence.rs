//! A record with everything that proves it to be in the ledger.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
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

/// A record with its proof as files of several records have it; the policy stands there once.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordForm {
    record: String,
    salt: String,
    leaf: String,
    tlog_proof: String,
}

impl RecordForm {
    pub(crate) fn of(evidence: &Evidence) -> Self {
        Self {
            record: BASE64_STANDARD.encode(&evidence.record),
            salt: BASE64_STANDARD.encode(evidence.salt.as_bytes()),
            leaf: BASE64_STANDARD.encode(evidence.leaf.to_bytes()),
            tlog_proof: evidence.proof.to_string(),
        }
    }

    /// The evidence, or the name of the field that does not decode.
    pub(crate) fn read(&self, policy: &Policy) -> Result<Evidence, &'static str> {
        let bytes = |name, text: &str| BASE64_STANDARD.decode(text).map_err(|_| name);
        let salt = <[u8; 32]>::try_from(bytes("salt", &self.salt)?).map_err(|_| "salt")?;
        let leaf = Leaf::parse_canonical(&bytes("leaf", &self.leaf)?).map_err(|_| "leaf")?;
        let proof = TlogProof::parse_canonical(&self.tlog_proof).map_err(|_| "tlog_proof")?;
        let record = bytes("record", &self.record)?;
        Ok(Evidence { record, salt: Salt::new(salt), leaf, proof, policy: policy.clone() })
    }
}

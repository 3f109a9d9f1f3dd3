//! What a record says, as far as receipts need to know. `custody` owns the records and reads them for us.

use strongroom_ledger::PolicyFingerprint;
use strongroom_types::{ClusterId, DeviceId, ItemDigest, ItemId, Sha256Digest, UnitId, UnixMillis};

/// What the record of a seal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealFacts {
    /// The cluster that sealed it.
    pub cluster: ClusterId,
    /// Whether it is a trial cluster.
    pub trial: bool,
    /// The item.
    pub item: ItemId,
    /// The file's name as the station gave it.
    pub file_name: String,
    /// Length in bytes.
    pub size_bytes: u64,
    /// BLAKE3 of the original.
    pub blake3: ItemDigest,
    /// SHA-256 of the original.
    pub sha256: Sha256Digest,
    /// When it was sealed.
    pub sealed_at: UnixMillis,
    /// The recording device.
    pub device: DeviceId,
    /// The unit.
    pub unit: UnitId,
    /// The policy that was in force.
    pub policy: PolicyFingerprint,
}

/// What the record of a change of the voter set says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoterChangeFacts {
    /// The policy in force from then on.
    pub next_policy: PolicyFingerprint,
}

/// Why record bytes do not say what they were taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FactsError(pub String);

/// Reads record bytes. An implementation takes only a record's canonical bytes, and only those of an act that was
/// done: the record of a refused seal is no seal.
pub trait RecordFacts {
    /// What a seal's record says.
    ///
    /// # Errors
    /// [`FactsError`] where the bytes are not the record of a seal.
    fn seal(&self, record: &[u8]) -> Result<SealFacts, FactsError>;

    /// What a voter change's record says.
    ///
    /// # Errors
    /// [`FactsError`] where the bytes are not the record of a voter change.
    fn voter_change(&self, record: &[u8]) -> Result<VoterChangeFacts, FactsError>;
}

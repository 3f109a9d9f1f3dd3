//! What may be erased. The only delete there is starts with a permit, and nobody can write one down: it is checked.
//!
//! ```text
//!  list ─ root, count ─▶ record ─ salt ─▶ leaf ─ inclusion ─▶ checkpoint ─ cosignatures ─▶ the voters that the disk pinned
//!                                                                └─ consistency ─▶ the newest checkpoint that it verified
//! ```

use strongroom_custody::erasure::{NoPermit, PermitKind, Permitted, permitted};
use strongroom_ledger::{ConsistencyProof, Leaf, ProofError, Salt, TlogProof, TreeHead, commitment};
use strongroom_types::{
    ChunkIndex, ClusterId, DiskId, EraseList, EraseTarget, ErrorKind, ItemId, PlacementEpoch, Reason, RecordSeq,
    ShardIndex, UploadEpoch, VolumeId,
};

use crate::{DiskTrust, ShardAddress, TrustError};

/// Which shards of a disk are to go, and stay gone: later puts of anything that a scope covers are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EraseScope {
    /// Every shard of an item: a disposal, or an upload that expired before its seal.
    Item(ItemId),
    /// What one upload stream left of an item, from a chunk on: progress that was never committed.
    Upload {
        /// The item.
        item: ItemId,
        /// The stream.
        upload_epoch: UploadEpoch,
        /// The first chunk that goes; those before it are referenced.
        chunks_from: ChunkIndex,
    },
    /// A slot that moved away, as it was written up to a placement epoch (inclusive).
    Slot {
        /// The volume.
        volume: VolumeId,
        /// The slot that moved.
        slot: ShardIndex,
        /// The last placement epoch that the released disk served.
        placement_epoch: PlacementEpoch,
    },
    /// One shard that nothing refers to.
    Shard(ShardAddress),
}

impl EraseScope {
    /// Whether a shard is among those that go.
    #[must_use]
    pub fn covers(&self, address: &ShardAddress) -> bool {
        match self {
            Self::Item(item) => address.item == *item,
            Self::Upload { item, upload_epoch, chunks_from } => {
                address.item == *item && address.upload_epoch == *upload_epoch && address.index >= *chunks_from
            }
            Self::Slot { volume, slot, placement_epoch } => {
                address.volume == *volume && address.slot == *slot && address.placement_epoch <= *placement_epoch
            }
            Self::Shard(only) => address == only,
        }
    }
}

impl From<EraseTarget> for EraseScope {
    fn from(target: EraseTarget) -> Self {
        match target {
            EraseTarget::Item(item) => Self::Item(item),
            EraseTarget::Upload(item, upload_epoch, chunks_from) => Self::Upload { item, upload_epoch, chunks_from },
        }
    }
}

/// A committed decision to erase, with everything by which a disk checks it. Nothing in it is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermitProof {
    /// Of which kind the order is: its record has to be of the same.
    pub kind: PermitKind,
    /// What goes.
    pub list: EraseList,
    /// The exact bytes of the record that commits to the list.
    pub record: Vec<u8>,
    /// The salt of its commitment.
    pub salt: Salt,
    /// Its leaf.
    pub leaf: Leaf,
    /// From the leaf to a signed checkpoint.
    pub proof: TlogProof,
    /// From the newest checkpoint that the disk has verified to that one.
    pub consistency: ConsistencyProof,
}

/// A checkpoint of the ledger with what proves that it continues the newest one that a disk has verified. Nothing in it
/// is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointProof {
    /// The exact bytes of the checkpoint, with its cosignatures.
    pub note: Vec<u8>,
    /// From the newest checkpoint that the disk has verified to this one.
    pub consistency: ConsistencyProof,
}

/// That a voter was replaced, with everything by which a disk that believes the voters before checks it. Nothing in it is
/// believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoterChangeProof {
    /// The exact bytes of the record, which names the next policy by its fingerprint.
    pub record: Vec<u8>,
    /// The salt of its commitment.
    pub salt: Salt,
    /// Its leaf.
    pub leaf: Leaf,
    /// From the leaf to a checkpoint that the voters before cosigned.
    pub proof: TlogProof,
    /// Text of the next policy.
    pub next: String,
    /// From the newest checkpoint that the disk has verified to that one.
    pub consistency: ConsistencyProof,
}

/// Why a permit is none. Nothing was erased.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PermitError {
    /// No such disk here.
    #[error("disk {disk} is not on this node")]
    UnknownDisk {
        /// As asked.
        disk: DiskId,
    },
    /// The disk does not know whom to believe.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The record permits nothing.
    #[error("the record is no permit")]
    Record(#[from] NoPermit),
    /// The record is of another cluster.
    #[error("the permit is of cluster {found}, the disk is of {expected}")]
    OtherCluster {
        /// The disk's.
        expected: ClusterId,
        /// The record's.
        found: ClusterId,
    },
    /// The record is of another kind than the order: a disposal is none by a removal's record, nor the other way round.
    #[error("the order is of a {ordered}, the record permits a {found}", ordered = ordered.name(), found = found.name())]
    OtherKind {
        /// The order's.
        ordered: PermitKind,
        /// The record's.
        found: PermitKind,
    },
    /// The list is not the one that was decided.
    #[error("the list of what is erased is not the one that record {seq} commits to")]
    OtherList {
        /// The record.
        seq: RecordSeq,
    },
    /// Record and salt do not open the leaf.
    #[error("the record is not the one that leaf {seq} commits to")]
    OtherRecord {
        /// The leaf.
        seq: RecordSeq,
    },
    /// It is not of a ledger that a majority of the pinned voters cosigned.
    #[error("it is not proved under the voters that the disk has pinned")]
    NotProved(#[source] ProofError),
    /// The checkpoint is not a continuation of what the disk has verified: older, or of a fork.
    #[error("the checkpoint of {found} records does not continue the one of {newest} that the disk has verified")]
    NotContinued {
        /// Size of the newest checkpoint that it verified.
        newest: u64,
        /// Size of the permit's.
        found: u64,
        /// What does not fit.
        #[source]
        source: ProofError,
    },
    /// The record does not lead from the pinned voters to the ones that are told.
    #[error("record {seq} does not lead to these voters: {why}")]
    NoVoterChange {
        /// The record.
        seq: RecordSeq,
        /// What does not fit.
        why: String,
    },
    /// The store is shutting down.
    #[error("could not reach the shard store: {why}")]
    Unavailable {
        /// What happened.
        why: String,
    },
}

impl PermitError {
    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::UnknownDisk { .. } => Reason::NotFound,
            Self::Trust(_) => Reason::DiskUnavailable,
            Self::Record(_)
            | Self::OtherCluster { .. }
            | Self::OtherKind { .. }
            | Self::OtherList { .. }
            | Self::OtherRecord { .. }
            | Self::NotProved(_)
            | Self::NotContinued { .. }
            | Self::NoVoterChange { .. } => Reason::PermitInvalid,
            Self::Unavailable { .. } => Reason::Overloaded,
        }
    }

    /// What the caller should do.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.reason().kind()
    }
}

/// A committed decision to erase, verified on this node for one disk. Only [`ErasePermit::verify`] makes one: whoever
/// holds it has had the decision's record, proof and cosignatures checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasePermit {
    disk: Option<DiskId>,
    scopes: Vec<EraseScope>,
}

impl ErasePermit {
    /// Checks a permit for the disk whose trust this is. Answers also the checkpoint that was verified, which the disk
    /// has to remember, durably, before it erases.
    ///
    /// A permit that was used before verifies again: what it names is gone, and erasing it again does nothing.
    ///
    /// # Errors
    /// [`PermitError`] naming the first thing that is wrong.
    pub fn verify(trust: &DiskTrust, proof: &PermitProof) -> Result<(Self, TreeHead), PermitError> {
        let seq = proof.leaf.seq;
        let Permitted { cluster, root, count, kind } = permitted(&proof.record)?;
        if cluster != trust.cluster || trust.policy.origin().cluster() != Some(cluster) {
            return Err(PermitError::OtherCluster { expected: trust.cluster, found: cluster });
        }
        if kind != proof.kind {
            return Err(PermitError::OtherKind { ordered: proof.kind, found: kind });
        }
        if (proof.list.root(), proof.list.count()) != (root, count) {
            return Err(PermitError::OtherList { seq });
        }
        if commitment::commit(&proof.salt, &proof.record) != proof.leaf.commitment {
            return Err(PermitError::OtherRecord { seq });
        }
        let verified = proof.proof.verify(&proof.leaf, &trust.policy).map_err(PermitError::NotProved)?;
        let head = verified.head();
        trust.check_continued(head, &proof.consistency)?;
        let scopes = proof.list.targets().iter().copied().map(EraseScope::from).collect();
        Ok((Self { disk: Some(trust.disk), scopes }, head))
    }

    /// The one disk that it is good for; none: every disk.
    #[must_use]
    pub const fn disk(&self) -> Option<DiskId> {
        self.disk
    }

    /// What goes.
    #[must_use]
    pub fn scopes(&self) -> &[EraseScope] {
        &self.scopes
    }

    #[cfg(test)]
    pub(crate) fn for_test(disk: Option<DiskId>, scopes: impl Into<Vec<EraseScope>>) -> Self {
        Self { disk, scopes: scopes.into() }
    }
}

/// What an erase did on one disk. It is durable when it is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erasure {
    /// Shards that went with this call; none where it had been done before.
    pub shards: u64,
    /// Bytes of payload that were punched out.
    pub payload_bytes: u64,
}

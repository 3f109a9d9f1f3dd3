//! What may be erased. The only delete there is starts with a permit, and nobody can write one down: it is checked.

use strongroom_types::{ChunkIndex, DiskId, ItemId, PlacementEpoch, ShardIndex, UploadEpoch, VolumeId};

use crate::ShardAddress;

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

/// A committed decision to erase, verified on this node. It has no public constructor: whoever holds one has had
/// the decision's record, proof and cosignatures checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasePermit {
    disk: Option<DiskId>,
    scopes: Vec<EraseScope>,
}

impl ErasePermit {
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

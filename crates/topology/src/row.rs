//! The stored rows and their tables. Numbers of tables and fields are never reused; golden bytes are in `tests.rs`.

use std::{collections::BTreeMap, fmt};

use strongroom_types::{
    ChunkIndex, DiskId, DistrictName, ErasureScheme, ItemId, KeyHash, NodeId, PlacementEpoch, ShardIndex, UnixMillis,
    VolumeId,
    rows::{Key, Table},
};

use crate::{name::ClassName, promise::Promise};

/// Every node that was ever registered.
pub(crate) const NODES: Table<NodeId, NodeRow> = Table::new(100, "nodes");
/// Every class.
pub(crate) const CLASSES: Table<ClassName, ClassRow> = Table::new(101, "classes");
/// Every volume that was ever opened.
pub(crate) const VOLUMES: Table<VolumeId, VolumeRow> = Table::new(102, "volumes");
/// The volumes that stand open, by class: an index over [`VOLUMES`].
pub(crate) const OPEN_VOLUMES: Table<(ClassName, VolumeId), VolumeId> = Table::new(103, "open-volumes");
/// What each disk carries: a sum over [`VOLUMES`], so that placement need not read them all.
pub(crate) const DISK_USE: Table<(NodeId, DiskId), DiskUseRow> = Table::new(104, "disk-use");
/// Counters.
pub(crate) const META: Table<(), MetaRow> = Table::new(105, "topology-meta");
/// Bad shards that wait for repair.
pub(crate) const REPAIRS: Table<RepairKey, RepairRow> = Table::new(106, "repairs");
/// How many of [`REPAIRS`] are on a node.
pub(crate) const BAD_ON_NODE: Table<NodeId, u64> = Table::new(107, "bad-on-node");
/// How many of [`REPAIRS`] are of a volume, by who reported them.
pub(crate) const QUEUED_IN_VOLUME: Table<(VolumeId, NodeId), u64> = Table::new(108, "queued-in-volume");
/// How many of [`REPAIRS`] a node reported.
pub(crate) const QUEUED_BY: Table<NodeId, u64> = Table::new(109, "queued-by");

/// A node's life: in service → draining → drained → removed, reversible until removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum NodeState {
    /// Takes new volumes.
    #[n(0)]
    InService,
    /// Takes no new volume; its slots are being moved elsewhere.
    #[n(1)]
    Draining,
    /// Holds no slot of any volume.
    #[n(2)]
    Drained,
    /// Gone for good; the row stays so that the id is never reused.
    #[n(3)]
    Removed,
}

impl NodeState {
    /// The name used on the wire, in messages and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InService => "in-service",
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::Removed => "removed",
        }
    }
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a disk may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum DiskState {
    /// Takes new volumes.
    #[n(0)]
    InService,
    /// Takes no new volume; its slots are being moved elsewhere.
    #[n(1)]
    Draining,
    /// Stopped by a fault: it takes nothing, and what it held is repaired elsewhere.
    #[n(2)]
    Failed,
}

impl DiskState {
    /// The name used on the wire and in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InService => "in-service",
            Self::Draining => "draining",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for DiskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A disk of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct DiskRow {
    /// As in the disk's marker.
    #[n(0)]
    pub id: DiskId,
    /// What it may be used for.
    #[n(1)]
    pub state: DiskState,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct NodeRow {
    /// Also its Raft id.
    #[n(0)]
    pub id: NodeId,
    /// The failure domain it stands in, for its whole life.
    #[n(1)]
    pub district: DistrictName,
    /// Where it is in its life.
    #[n(2)]
    pub state: NodeState,
    /// Where clients reach it, as `host:port`.
    #[n(3)]
    pub client_address: String,
    /// Where peers reach it, as `host:port`.
    #[n(4)]
    pub peer_address: String,
    /// The key of its peer certificate.
    #[n(5)]
    pub peer_key: KeyHash,
    /// Free facts for people: rack, machine, contract.
    #[n(6)]
    pub labels: BTreeMap<String, String>,
    /// Its disks, by id.
    #[n(7)]
    pub disks: Vec<DiskRow>,
    /// Whether it is a voter of the metadata group.
    #[n(8)]
    pub voter: bool,
    /// The verifier key of its checkpoint cosignatures, as a C2SP vkey line.
    #[n(9)]
    pub cosigner_vkey: String,
    /// The verifier key of its compliance-clock readings, as a C2SP vkey line.
    #[n(10)]
    pub clock_vkey: String,
}

/// A class: what it promises and the widest scheme to keep it by.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ClassRow {
    /// What it is called.
    #[n(0)]
    pub name: ClassName,
    /// The loss that its chunks survive.
    #[n(1)]
    pub promise: Promise,
    /// The scheme on a whole cluster; narrower ones with the same parity are used when nodes are missing.
    #[n(2)]
    pub widest: ErasureScheme,
}

/// Where one shard of every chunk of a volume lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
pub struct Slot {
    /// The node.
    #[n(0)]
    pub node: NodeId,
    /// Its disk.
    #[n(1)]
    pub disk: DiskId,
}

/// Why a volume takes no more chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum CloseReason {
    /// It reached its size.
    #[n(0)]
    Full,
    /// The node or disk of this slot takes no more shards.
    #[n(1)]
    DeadSlot {
        /// Which one.
        #[n(0)]
        slot: ShardIndex,
    },
    /// A volume of a wider scheme, or of the class as it was redefined, took its place.
    #[n(2)]
    Superseded,
}

/// Whether a volume takes new chunks. Closed is for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum VolumeState {
    /// It does.
    #[n(0)]
    Open,
    /// It does not; chunks that were on their way when it closed still count.
    #[n(1)]
    Closed {
        /// Why.
        #[n(0)]
        why: CloseReason,
    },
}

/// A placement group.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct VolumeRow {
    /// Counted from 1.
    #[n(0)]
    pub id: VolumeId,
    /// Whose promise it keeps.
    #[n(1)]
    pub class: ClassName,
    /// For every chunk in it, for good.
    #[n(2)]
    pub scheme: ErasureScheme,
    /// k data slots, then m parity slots.
    #[n(3)]
    pub slots: Vec<Slot>,
    /// Whether it takes new chunks.
    #[n(4)]
    pub state: VolumeState,
    /// Raised when a slot moves.
    #[n(5)]
    pub placement_epoch: PlacementEpoch,
    /// Bytes of originals in it.
    #[n(6)]
    pub user_bytes: u64,
}

impl VolumeRow {
    /// Whether it takes new chunks.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self.state {
            VolumeState::Open => true,
            VolumeState::Closed { .. } => false,
        }
    }

    /// Bytes that each slot carries, but for padding and headers.
    #[must_use]
    pub fn slot_bytes(&self) -> u64 {
        let data = u64::try_from(self.scheme.data()).expect("at most 16");
        self.user_bytes.div_ceil(data)
    }

    /// The slot on this node, if there is one.
    #[must_use]
    pub fn slot_on(&self, node: NodeId) -> Option<ShardIndex> {
        let position = self.slots.iter().position(|slot| slot.node == node)?;
        Some(ShardIndex(u8::try_from(position).expect("at most 20 slots")))
    }
}

/// What a disk carries. The row is gone when it carries nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub(crate) struct DiskUseRow {
    /// The disk.
    #[n(0)]
    pub disk: DiskId,
    /// Volumes, open or closed, with a slot on it.
    #[n(1)]
    pub volumes: u64,
    /// Bytes of the closed ones. Those of open volumes grow with every step of an upload and are read there.
    #[n(2)]
    pub closed_bytes: u64,
}

/// Counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub(crate) struct MetaRow {
    /// The next volume's id.
    #[n(0)]
    pub next_volume: VolumeId,
}

/// What is wrong with a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum FaultKind {
    /// The node answers that it has no such shard.
    #[n(0)]
    Missing,
    /// Its checksum or header does not fit.
    #[n(1)]
    Corrupt,
    /// Its checksum fits, but it is not the shard of the chunk.
    #[n(2)]
    Lying,
}

impl FaultKind {
    /// The word that people and scripts see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Corrupt => "corrupt",
            Self::Lying => "lying",
        }
    }
}

/// A bad shard that waits for repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RepairRow {
    /// The volume.
    #[n(0)]
    pub volume: VolumeId,
    /// The slot.
    #[n(1)]
    pub slot: ShardIndex,
    /// Whose chunk.
    #[n(2)]
    pub item: ItemId,
    /// Which chunk.
    #[n(3)]
    pub chunk: ChunkIndex,
    /// The node that holds the slot.
    #[n(4)]
    pub node: NodeId,
    /// Its disk.
    #[n(5)]
    pub disk: DiskId,
    /// What was wrong when it was first seen.
    #[n(6)]
    pub kind: FaultKind,
    /// The node that found it.
    #[n(7)]
    pub reporter: NodeId,
    /// When.
    #[n(8)]
    pub first_seen: UnixMillis,
}

/// The shard of a chunk in a slot: what is repaired at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RepairKey {
    pub(crate) volume: VolumeId,
    pub(crate) slot: ShardIndex,
    pub(crate) item: ItemId,
    pub(crate) chunk: ChunkIndex,
}

impl Key for RepairKey {
    fn write_to(&self, bytes: &mut Vec<u8>) {
        self.volume.write_to(bytes);
        bytes.push(self.slot.0);
        self.item.write_to(bytes);
        self.chunk.write_to(bytes);
    }
}

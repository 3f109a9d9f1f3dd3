//! What can be asked of the topology, what it answers, and what becomes a ledger record.

use std::collections::BTreeMap;

use strongroom_types::{
    ChunkIndex, DiskId, DistrictName, ErasureScheme, ItemId, KeyHash, NodeId, PlacementEpoch, ShardIndex, UnixMillis,
    UploadEpoch, VolumeId,
};

use crate::{
    name::ClassName,
    promise::Promise,
    row::{ClassRow, CloseReason, DiskRow, FaultKind, NodeState, RepairRow, Slot, VolumeRow},
};

/// A change of the topology, as it stands in the Raft log.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Command {
    /// A new node enters service. Repeating it with the same facts changes nothing, whatever became of the node.
    #[n(0)]
    RegisterNode(#[n(0)] Registration),
    /// New addresses, labels or disks of a node.
    #[n(1)]
    UpdateNode(#[n(0)] NodeUpdate),
    /// One step of a node's life.
    #[n(2)]
    SetNodeState {
        /// The node.
        #[n(0)]
        node: NodeId,
        /// The state after it.
        #[n(1)]
        state: NodeState,
    },
    /// The whole new voter set: 1, 3 or 5 nodes in service.
    #[n(3)]
    SetVoters {
        /// In any order.
        #[n(0)]
        voters: Vec<NodeId>,
    },
    /// A new class, or a stronger promise for one that exists.
    #[n(4)]
    DefineClass(#[n(0)] ClassRow),
    /// Asks for open volumes that new chunks can go to now, opening what is missing.
    #[n(5)]
    EnsureVolume {
        /// The class.
        #[n(0)]
        class: ClassName,
        /// Nodes that the caller cannot reach.
        #[n(1)]
        avoid: Vec<NodeId>,
    },
    /// The volume takes no more chunks. Closing it again changes nothing.
    #[n(6)]
    CloseVolume {
        /// The volume.
        #[n(0)]
        volume: VolumeId,
        /// Why.
        #[n(1)]
        why: CloseReason,
    },
    /// Bytes of originals that were committed into the volume; closes it when it is full.
    #[n(7)]
    AddVolumeBytes {
        /// The volume.
        #[n(0)]
        volume: VolumeId,
        /// How many more.
        #[n(1)]
        bytes: u64,
    },
    /// A slot of a closed volume now lives elsewhere: its shards were copied there and verified.
    #[n(8)]
    MoveSlot(#[n(0)] SlotMove),
    /// A shard was found bad and waits for repair. Saying it again changes nothing.
    #[n(9)]
    NoteShardFault(#[n(0)] ShardFault),
}

/// The facts that a node brings with it.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Registration {
    /// Counted from 1 and never used before.
    #[n(0)]
    pub id: NodeId,
    /// The failure domain it stands in.
    #[n(1)]
    pub district: DistrictName,
    /// Where clients reach it, as `host:port`.
    #[n(2)]
    pub client_address: String,
    /// Where peers reach it, as `host:port`.
    #[n(3)]
    pub peer_address: String,
    /// The key of its peer certificate; one node each.
    #[n(4)]
    pub peer_key: KeyHash,
    /// Free facts for people.
    #[n(5)]
    pub labels: BTreeMap<String, String>,
    /// Its disks; none for a node that only holds metadata.
    #[n(6)]
    pub disks: Vec<DiskId>,
    /// The verifier key of its checkpoint cosignatures.
    #[n(7)]
    pub cosigner_vkey: String,
    /// The verifier key of its compliance-clock readings.
    #[n(8)]
    pub clock_vkey: String,
}

/// What may change about a node while it lives. Each part replaces what was there.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct NodeUpdate {
    /// The node.
    #[n(0)]
    pub node: NodeId,
    /// Where clients reach it.
    #[n(1)]
    pub client_address: String,
    /// Where peers reach it.
    #[n(2)]
    pub peer_address: String,
    /// Free facts for people.
    #[n(3)]
    pub labels: BTreeMap<String, String>,
    /// All its disks. One that carries a slot cannot be left out.
    #[n(4)]
    pub disks: Vec<DiskRow>,
}

/// A slot's new place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct SlotMove {
    /// The volume.
    #[n(0)]
    pub volume: VolumeId,
    /// Which slot.
    #[n(1)]
    pub slot: ShardIndex,
    /// The volume's epoch when the move was planned; the command is refused when it has changed since.
    #[n(2)]
    pub planned_epoch: PlacementEpoch,
    /// Where it lives now.
    #[n(3)]
    pub to: Slot,
}

/// A shard that a node found bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ShardFault {
    /// Whose chunk.
    #[n(0)]
    pub item: ItemId,
    /// Which chunk.
    #[n(1)]
    pub chunk: ChunkIndex,
    /// The stream that wrote it.
    #[n(2)]
    pub upload_epoch: UploadEpoch,
    /// The volume.
    #[n(3)]
    pub volume: VolumeId,
    /// Its placement epoch when the chunk was written.
    #[n(4)]
    pub placement_epoch: PlacementEpoch,
    /// The slot.
    #[n(5)]
    pub slot: ShardIndex,
    /// The disk that was asked.
    #[n(6)]
    pub disk: DiskId,
    /// What is wrong.
    #[n(7)]
    pub kind: FaultKind,
    /// Who says so.
    #[n(8)]
    pub reporter: NodeId,
    /// When it was seen.
    #[n(9)]
    pub seen_at: UnixMillis,
}

/// What an accepted command comes to.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Applied {
    /// For the caller.
    #[n(0)]
    pub answer: Answer,
    /// For the ledger, in order. Empty where nothing changed, and for volumes, which are no facts of custody.
    #[n(1)]
    pub events: Vec<Event>,
}

/// The answer to an accepted command.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Answer {
    /// It is so.
    #[n(0)]
    Done,
    /// The volume as it is now.
    #[n(1)]
    Volume(#[n(0)] VolumeRow),
    /// Open volumes of the widest scheme possible now, at least one, by id. Spread new uploads over them.
    #[n(2)]
    Volumes(#[n(0)] Vec<VolumeRow>),
}

/// A change of nodes or classes, or a fault, that the ledger records.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Event {
    /// A node was registered.
    #[n(0)]
    NodeRegistered {
        /// The node.
        #[n(0)]
        node: NodeId,
        /// Where it stands.
        #[n(1)]
        district: DistrictName,
        /// Its peer certificate's key.
        #[n(2)]
        peer_key: KeyHash,
        /// Its cosigner key.
        #[n(3)]
        cosigner_vkey: String,
        /// Its clock key.
        #[n(4)]
        clock_vkey: String,
    },
    /// A node's addresses, labels or disks changed.
    #[n(1)]
    NodeUpdated {
        /// The node.
        #[n(0)]
        node: NodeId,
        /// Its disks now.
        #[n(1)]
        disks: Vec<DiskRow>,
    },
    /// A node took a step of its life.
    #[n(2)]
    NodeStateChanged {
        /// The node.
        #[n(0)]
        node: NodeId,
        /// Before.
        #[n(1)]
        from: NodeState,
        /// After.
        #[n(2)]
        to: NodeState,
    },
    /// The voter set changed; a majority of `from` must cosign this record.
    #[n(3)]
    VoterSetChanged {
        /// Before, by id.
        #[n(0)]
        from: Vec<NodeId>,
        /// After, by id.
        #[n(1)]
        to: Vec<NodeId>,
    },
    /// A class was defined or strengthened.
    #[n(4)]
    ClassDefined {
        /// The class.
        #[n(0)]
        name: ClassName,
        /// Its promise.
        #[n(1)]
        promise: Promise,
        /// Its widest scheme.
        #[n(2)]
        widest: ErasureScheme,
    },
    /// A shard was found bad for the first time.
    #[n(5)]
    ShardFaultFound(#[n(0)] RepairRow),
}

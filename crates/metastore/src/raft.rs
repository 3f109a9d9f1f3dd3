//! The types that openraft is told to work with. None of them leaves this crate.
//!
//! A log entry is a [`Batch`] of opaque commands and is answered by as many opaque [`Outcomes`]. The `serde`
//! implementations exist because openraft asks for them; what is stored and sent is in [`crate::encoding`].

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use openraft::{EntryPayload, TokioRuntime};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::snapshot::SnapshotFolder;

pub(crate) type LogId = openraft::LogId<u64>;
pub(crate) type Vote = openraft::Vote<u64>;
pub(crate) type Entry = openraft::Entry<TypeConfig>;
pub(crate) type Payload = EntryPayload<TypeConfig>;
pub(crate) type RaftMembership = openraft::Membership<u64, PeerNode>;
pub(crate) type StoredMembership = openraft::StoredMembership<u64, PeerNode>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<u64, PeerNode>;
pub(crate) type StorageError = openraft::StorageError<u64>;
pub(crate) type StorageIoError = openraft::StorageIOError<u64>;
pub(crate) type Raft = openraft::Raft<TypeConfig>;

openraft::declare_raft_types!(
    /// Ties openraft to our entries, peers and snapshots.
    pub(crate) TypeConfig:
        D = Batch,
        R = Outcomes,
        NodeId = u64,
        Node = PeerNode,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = SnapshotData,
        AsyncRuntime = TokioRuntime,
);

/// Opaque bytes of one command or one outcome.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Opaque(pub(crate) Bytes);

impl fmt::Debug for Opaque {
    /// The length alone: commands carry personal data and wrapped keys, which no log line may show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Opaque {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Opaque {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<u8>::deserialize(deserializer).map(|bytes| Self(bytes.into()))
    }
}

/// The commands of one entry.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) commands: Vec<Opaque>,
    /// Raised when the entry reaches this node's log store; never stored.
    ///
    /// openraft answers "forward to the leader" both when it refused a batch and when it took the batch and later
    /// cut it from the log. Only the first is certain: a cut entry may live on in another node's log and still be
    /// committed. The mark tells the two apart.
    #[serde(skip)]
    pub(crate) logged: LoggedMark,
}

impl Batch {
    pub(crate) fn new(commands: Vec<Opaque>) -> Self {
        Self { commands, logged: LoggedMark::default() }
    }
}

/// Whether a batch reached the log store.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoggedMark(Arc<AtomicBool>);

impl LoggedMark {
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// One outcome for each command of the entry, in order; none for an entry without commands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcomes(pub(crate) Vec<Opaque>);

/// Where a member is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PeerNode {
    pub(crate) address: String,
}

/// A snapshot as openraft hands it around: a folder on this node's disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct SnapshotData {
    /// None only between openraft's `begin_receiving_snapshot` and the end of that reception.
    pub(crate) folder: Option<Arc<SnapshotFolder>>,
}

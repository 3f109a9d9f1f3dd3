//! The seam: what the rest of the system asks of shards, wherever they are.

use std::path::PathBuf;

use async_trait::async_trait;
use strongroom_types::{DiskId, ErrorKind, Reason};

use crate::{Corruption, ErasePermit, Erasure, PutShard, ShardAddress, ShardHeader, VerifiedShard};

/// Shards by disk: on this node ([`crate::LocalShards`]), on a peer (`RemoteShards` in `net`), or in memory
/// ([`crate::MemoryShards`]).
#[async_trait]
pub trait ShardStore: Send + Sync {
    /// Stores a shard; durable when `Ok`. The same shard again is `Ok` again.
    ///
    /// A put whose future is dropped may still be stored.
    ///
    /// # Errors
    /// [`PutError`]; the shard is then not acknowledged, though parts of it may have reached the disk.
    async fn put(&self, shard: PutShard) -> Result<(), PutError>;

    /// Reads a shard and verifies it.
    ///
    /// # Errors
    /// [`GetError`]; never other bytes than those that were put.
    async fn get(&self, disk: DiskId, address: &ShardAddress) -> Result<VerifiedShard, GetError>;
}

/// What is asked only of disks that are at hand: each node keeps its own.
#[async_trait]
pub trait DiskKeeper: ShardStore {
    /// Reads a shard from the medium, whatever memory remembers of it, verifies it and leaves it where it is.
    ///
    /// # Errors
    /// [`GetError`].
    async fn scrub(&self, disk: DiskId, address: &ShardAddress) -> Result<ShardHeader, GetError>;

    /// Up to `limit` shards of a disk in the order of their addresses, from `after` (exclusive) on.
    ///
    /// # Errors
    /// [`ListError`].
    async fn list(
        &self,
        disk: DiskId,
        after: Option<ShardAddress>,
        limit: usize,
    ) -> Result<Vec<ListedShard>, ListError>;

    /// The disks and how they are.
    fn stat(&self) -> Vec<DiskStat>;

    /// Erases what the permit names from one disk and remembers it, so that it can never be put again. Durable when
    /// `Ok`; may be repeated.
    ///
    /// # Errors
    /// [`EraseError`]; it may then be half done and is to be repeated. A restart completes what had begun.
    async fn erase(&self, disk: DiskId, permit: &ErasePermit) -> Result<Erasure, EraseError>;
}

/// Why a shard was not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// No such disk here.
    #[error("disk {disk} is not on this node")]
    UnknownDisk {
        /// As asked.
        disk: DiskId,
    },
    /// Empty or larger than any shard.
    #[error("a shard has 1 to {max} bytes, this one has {found}")]
    PayloadSize {
        /// As it came.
        found: usize,
        /// The most.
        max: usize,
    },
    /// The bytes changed on their way.
    #[error("payload of {address} came with checksum {found:08x} instead of {announced:08x}")]
    ChecksumMismatch {
        /// The shard.
        address: ShardAddress,
        /// The sender's.
        announced: u32,
        /// That of what came.
        found: u32,
    },
    /// The address holds other content; it stays.
    #[error("{address} is stored with other content")]
    Conflict {
        /// The shard.
        address: ShardAddress,
    },
    /// It was erased for good.
    #[error("{address} was erased and cannot be stored again")]
    Erased {
        /// The shard.
        address: ShardAddress,
    },
    /// No space above the reserve. Reads go on, and puts again when there is space.
    #[error("disk {disk} is full: {needed_bytes} bytes needed, {free_bytes} free above the reserve")]
    DiskFull {
        /// The disk.
        disk: DiskId,
        /// What the record takes.
        needed_bytes: u64,
        /// What there is.
        free_bytes: u64,
    },
    /// The disk takes no more writes until a human has looked at it.
    #[error("disk {disk} failed: {why}")]
    DiskFailed {
        /// The disk.
        disk: DiskId,
        /// What happened first.
        why: String,
    },
    /// The store cannot be reached or is shutting down.
    #[error("could not reach the shard store: {why}")]
    Unavailable {
        /// What happened.
        why: String,
    },
}

impl PutError {
    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::UnknownDisk { .. } => Reason::NotFound,
            Self::PayloadSize { .. } => Reason::InvalidArgument,
            Self::ChecksumMismatch { .. } => Reason::DigestMismatch,
            Self::Conflict { .. } => Reason::AlreadyExists,
            Self::Erased { .. } => Reason::WrongState,
            Self::DiskFull { .. } | Self::DiskFailed { .. } => Reason::DiskUnavailable,
            Self::Unavailable { .. } => Reason::Overloaded,
        }
    }

    /// What the caller should do.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.reason().kind()
    }
}

/// Why a shard was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GetError {
    /// No such disk here.
    #[error("disk {disk} is not on this node")]
    UnknownDisk {
        /// As asked.
        disk: DiskId,
    },
    /// The disk does not hold it.
    #[error("{address} is not on disk {disk}")]
    NotFound {
        /// The disk.
        disk: DiskId,
        /// As asked.
        address: ShardAddress,
    },
    /// It was erased for good: neither missing nor corrupt, and not to be repaired.
    #[error("{address} was erased from disk {disk}")]
    Erased {
        /// The disk.
        disk: DiskId,
        /// As asked.
        address: ShardAddress,
    },
    /// The disk held it and what is there now is not it. To be repaired from the other shards.
    #[error("{address} on disk {disk} is corrupt: {what}")]
    Corrupt {
        /// The disk.
        disk: DiskId,
        /// As asked.
        address: ShardAddress,
        /// What does not fit.
        what: Corruption,
    },
    /// The disk does not answer.
    #[error("disk {disk} could not be read: {why}")]
    DiskUnavailable {
        /// The disk.
        disk: DiskId,
        /// What happened.
        why: String,
    },
    /// The store cannot be reached or is shutting down.
    #[error("could not reach the shard store: {why}")]
    Unavailable {
        /// What happened.
        why: String,
    },
}

impl GetError {
    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::UnknownDisk { .. } | Self::NotFound { .. } => Reason::NotFound,
            Self::Erased { .. } => Reason::WrongState,
            Self::Corrupt { .. } => Reason::Corrupt,
            Self::DiskUnavailable { .. } => Reason::DiskUnavailable,
            Self::Unavailable { .. } => Reason::Overloaded,
        }
    }

    /// What the caller should do.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.reason().kind()
    }
}

/// Why shards were not listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// No such disk here.
    #[error("disk {disk} is not on this node")]
    UnknownDisk {
        /// As asked.
        disk: DiskId,
    },
    /// The disk does not answer.
    #[error("disk {disk} could not be listed: {why}")]
    DiskUnavailable {
        /// The disk.
        disk: DiskId,
        /// What happened.
        why: String,
    },
    /// The store cannot be reached or is shutting down.
    #[error("could not reach the shard store: {why}")]
    Unavailable {
        /// What happened.
        why: String,
    },
}

impl ListError {
    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::UnknownDisk { .. } => Reason::NotFound,
            Self::DiskUnavailable { .. } => Reason::DiskUnavailable,
            Self::Unavailable { .. } => Reason::Overloaded,
        }
    }

    /// What the caller should do.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.reason().kind()
    }
}

/// Why an erase did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EraseError {
    /// No such disk here.
    #[error("disk {disk} is not on this node")]
    UnknownDisk {
        /// As asked.
        disk: DiskId,
    },
    /// The permit is for another disk.
    #[error("the permit is for disk {permitted}, not for {disk}")]
    OtherDisk {
        /// As asked.
        disk: DiskId,
        /// As permitted.
        permitted: DiskId,
    },
    /// Not even the reserve has room for the tombstone.
    #[error("disk {disk} has no room for a tombstone")]
    DiskFull {
        /// The disk.
        disk: DiskId,
    },
    /// The disk takes no more writes until a human has looked at it.
    #[error("disk {disk} failed: {why}")]
    DiskFailed {
        /// The disk.
        disk: DiskId,
        /// What happened first.
        why: String,
    },
    /// The store cannot be reached or is shutting down.
    #[error("could not reach the shard store: {why}")]
    Unavailable {
        /// What happened.
        why: String,
    },
}

impl EraseError {
    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::UnknownDisk { .. } => Reason::NotFound,
            Self::OtherDisk { .. } => Reason::InvalidArgument,
            Self::DiskFull { .. } | Self::DiskFailed { .. } => Reason::DiskUnavailable,
            Self::Unavailable { .. } => Reason::Overloaded,
        }
    }

    /// What the caller should do.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.reason().kind()
    }
}

/// A shard as the index knows it, unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedShard {
    /// Where it belongs.
    pub address: ShardAddress,
    /// Length of its payload.
    pub payload_bytes: u32,
    /// crc32c of its payload.
    pub payload_crc32c: u32,
}

/// Whether a disk takes shards.
///
/// ```text
///  InService ⇄ Full        space comes and goes
///  InService, Full → Failed      for good, until the disk is opened again
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskState {
    /// It does.
    InService,
    /// It does not, for want of space; it is read and erased from.
    Full,
    /// It does not, since a write or sync failed; what can be read is read.
    Failed {
        /// What happened first.
        why: String,
    },
}

/// One disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskStat {
    /// Which one.
    pub disk: DiskId,
    /// Its folder.
    pub path: PathBuf,
    /// Whether it takes shards.
    pub state: DiskState,
    /// Bytes in segments; holes are not counted.
    pub used_bytes: u64,
    /// Bytes that can still be put: what is kept back is already taken off.
    pub free_bytes: u64,
    /// Size of the disk, or of the share of it that the configuration allows.
    pub total_bytes: u64,
    /// Shards in the index.
    pub shards: u64,
}

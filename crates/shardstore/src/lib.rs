//! Shards on local disks: durable put, verified read, scrub, permit-checked erase.
//!
//! What it promises:
//!
//! - **Nothing is acknowledged before it is durable.** `put` answers `Ok` after an fdatasync that covers the record
//!   (and an fsync of the folder when the segment is new). A failed write or sync stops the disk for writes.
//! - **Nothing acknowledged is altered.** Segments are append-only; an address is written once; other content under
//!   the same address is a conflict. After a restart a store appends to a new segment, never to an old tail.
//! - **No unverified byte comes out.** What is read is a [`VerifiedShard`]: checksums of header and payload fit and the
//!   header names the shard that was asked for.
//! - **Nothing is erased without an [`ErasePermit`]**, and what was erased stays refused, also after a restart and
//!   after the index was rebuilt.
//! - **When in doubt, keep.** Recovery discards only what no synced group covers; a bad record before that is
//!   reported, stepped over and left where it is.
//!
//! ```text
//!  put ─ crc ─ queue (bounded in bytes) ─ writer thread ─ segment: header + payload, … ─ fdatasync ─ index ─ Ok
//!  get ─ index ─ segment: one read ─ header, address, crc ─ VerifiedShard
//!  erase ─ writer thread: tombstone ─ fdatasync ─ punch holes ─ fdatasync ─ drop index rows ─ Erasure
//! ```
//!
//! The index (RocksDB) is derived: it is not synced on the path and can always be rebuilt from the segments.
//! `layout.rs` draws the bytes; `docs/formats/shardstore.md` is the same for people without the source.
//! It knows nothing of keys, manifests, placement or networks.

#![deny(unsafe_code)]

mod shard;
mod store;

mod local;
mod memory;

mod disk;
mod marker;
mod permit;
mod trust;

mod recovery;
mod shared;
mod writer;

mod index;
mod layout;
mod queue;
mod reading;
mod segment;
mod sys;

#[cfg(test)]
mod tests;

pub use disk::{Disk, DiskConfig, OpenError, StoreSettings};
pub use local::LocalShards;
pub use marker::{DiskMarker, ExpectedMarker, MarkerError};
pub use memory::{MemoryFault, MemoryShards};
pub use permit::{CheckpointProof, ErasePermit, EraseScope, Erasure, PermitError, PermitProof, VoterChangeProof};
pub use recovery::{DamagedRange, RecoveryReport};
pub use shard::{Corruption, PAYLOAD_BYTES_MAX, PutShard, ShardAddress, ShardHeader, VerifiedShard, crc32c};
pub use store::{DiskKeeper, DiskStat, DiskState, EraseError, GetError, ListError, ListedShard, PutError, ShardStore};
pub use trust::{DiskTrust, TrustError};

//! Raft metadata: a replicated log of opaque commands, and rows that they change.
//!
//! This crate is all there is of openraft and RocksDB metadata. Below [`catalog`] it knows nothing of what commands mean: an [`Applier`] turns
//! the commands of an entry into row changes and outcomes, and this crate promises that every replica applies the
//! same entries in the same order, each whole or not at all; that what is acknowledged is on the disks of a majority;
//! that a replica which was put back in time does not open; and that replicas can be compared by digest.
//!
//! ```text
//!   propose ──► proposer ──► openraft ──► log store (RocksDB, synced)
//!                  │ not the leader ──► Propose RPC      │ committed
//!                                                        ▼
//!   view ◄── live state (RocksDB) ◄── state machine ◄── Applier
//!                                        │ every so many entries
//!                                        ▼
//!                                    snapshots (checkpoints, by hard links) ──► InstallSnapshot RPC
//! ```
//!
//! What stops the node: an entry that cannot be applied, a log or state that cannot be written, a failed sync. It
//! calls the [`FatalHook`], which aborts the process unless a test says otherwise. `docs/formats/metastore.md`
//! says what lies on disk.

mod applier;
pub mod catalog;
mod config;
mod core;
mod digest;
mod durable;
mod encoding;
mod guard;
mod live;
mod log_store;
mod metastore;
mod network;
mod proposer;
mod raft;
mod read_once;
mod reader;
mod recent;
mod reception;
mod rocks;
mod snapshot;
mod state_machine;
mod store_error;

#[cfg(test)]
mod tests;

pub use applier::{Applier, EntryPosition, Members};
pub use config::{FatalHook, MetastoreConfig, RaftTiming, abort_process};
pub use durable::{FileError, FormatError};
pub use encoding::EncodingError;
pub use guard::{CosignError, GuardError};
pub use live::{KEY_TABLE, ReadRows, StateView};
pub use metastore::{
    ChangeError, ForgetError, Forgotten, HandleError, Metastore, MetastoreMetrics, OpenError, RaftRole,
};
pub use network::{ChannelError, PeerChannels};
pub use proposer::{Committed, ProposeError};
pub use reader::ReadError;
pub use reception::ReceiveError;
pub use store_error::StoreError;

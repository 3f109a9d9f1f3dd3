//! The use cases, one file each: how an original comes in, is proved, is read and handed out.
//!
//! The engine knows neither tonic nor openraft: it sees metadata through [`Catalog`] and bytes through
//! `shardstore::ShardStore`. Order of every ingest: *shards durable → metadata committed → receipt.* What a crash
//! between two steps leaves behind is said where the step is taken.
//!
//! [`machine`] is the composition of custody, topology and ledger that every replica applies alike.

pub mod cache;
pub mod catalog;
pub mod disposal;
pub mod draw;
pub mod faults;
pub mod genesis;
pub mod health;
pub mod ingest;
pub mod machine;
pub mod memory;
pub mod place;
pub mod policies;
mod puts;
pub mod read;
pub mod readings;
pub mod receipt;
pub mod removal;
pub mod shards;
pub mod system;

pub use catalog::{Catalog, Snapshot};
pub use genesis::Genesis;
pub use machine::{Answer, Command, Envelope, Idempotency, Machine, Outcome};
pub use shards::Shards;
pub use system::{Engine, System};

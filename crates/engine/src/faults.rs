//! Shards that reading found missing, corrupt or lying: shown to operators, and the queue that repair works from.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use strongroom_shardstore::ShardAddress;
use strongroom_types::NodeId;

/// Faults that are kept; more are only recorded in the ledger.
const FAULTS_MAX: usize = 10_000;

/// What is wrong with a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The node answers that it has no such shard.
    Missing,
    /// Its checksum or header does not fit.
    Corrupt,
    /// Its checksum fits, but it decodes to another chunk.
    Lying,
}

impl Fault {
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

/// A bad shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadShard {
    /// Which.
    pub address: ShardAddress,
    /// Node that holds it.
    pub node: NodeId,
    /// What is wrong.
    pub fault: Fault,
}

/// Bad shards by address.
#[derive(Debug, Default)]
pub struct Faults {
    found: Mutex<BTreeMap<ShardAddress, BadShard>>,
}

impl Faults {
    /// Notes a bad shard; true where it was not known.
    pub fn note(&self, bad: BadShard) -> bool {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= FAULTS_MAX && !found.contains_key(&bad.address) {
            return true;
        }
        found.insert(bad.address, bad).is_none()
    }

    /// Up to `limit` of them.
    #[must_use]
    pub fn list(&self, limit: usize) -> Vec<BadShard> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).values().take(limit).copied().collect()
    }
}

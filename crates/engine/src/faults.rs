//! Shards that reading found missing, corrupt or lying, on their way to the repair queue.
//!
//! A reader only leaves a note here and goes on; [`Engine::report_faults`] brings the notes to the catalog, one
//! command for each bad shard. What the rules refuse is dropped; what could not be said now is said again later.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use strongroom_custody::Actor;
use strongroom_shardstore::ShardAddress;
use strongroom_topology::{Command, FaultKind, ShardFault};
use strongroom_types::{DiskId, NodeId, Reason, Refusal};
use tokio::sync::Notify;
use tracing::warn;

use crate::system::Engine;

/// Bad shards that are remembered, said or not. When all are said, the memory begins anew; the catalog knows what it
/// was told.
const FAULTS_MAX: usize = 10_000;

/// A bad shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadShard {
    /// Which.
    pub address: ShardAddress,
    /// Node that holds it.
    pub node: NodeId,
    /// Its disk.
    pub disk: DiskId,
    /// What is wrong.
    pub fault: FaultKind,
}

/// Bad shards by address.
#[derive(Debug, Default)]
pub struct Faults {
    notes: Mutex<Notes>,
    added: Notify,
}

#[derive(Debug, Default)]
struct Notes {
    found: BTreeMap<ShardAddress, BadShard>,
    unsaid: BTreeSet<ShardAddress>,
    /// Since the process began, by kind.
    counts: BTreeMap<FaultKind, u64>,
}

impl Faults {
    /// Notes a bad shard; true where it was not known. One that finds no room is found again by a later reader.
    pub fn note(&self, bad: BadShard) -> bool {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.found.contains_key(&bad.address) {
            return false;
        }
        if notes.found.len() >= FAULTS_MAX {
            if !notes.unsaid.is_empty() {
                return false;
            }
            notes.found.clear();
        }
        notes.found.insert(bad.address, bad);
        notes.unsaid.insert(bad.address);
        *notes.counts.entry(bad.fault).or_default() += 1;
        drop(notes);
        self.added.notify_one();
        true
    }

    /// Up to `limit` of them.
    #[must_use]
    pub fn list(&self, limit: usize) -> Vec<BadShard> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).found.values().take(limit).copied().collect()
    }

    /// How many were found since the process began, by what is wrong.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<FaultKind, u64> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).counts.clone()
    }

    /// Comes back once something was noted since the last time.
    pub async fn added(&self) {
        self.added.notified().await;
    }

    /// How many the catalog has not been told.
    #[must_use]
    pub fn unsaid_count(&self) -> usize {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).unsaid.len()
    }

    fn unsaid(&self) -> Vec<BadShard> {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.unsaid.iter().filter_map(|address| notes.found.get(address)).copied().collect()
    }

    fn said(&self, bad: &BadShard) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).unsaid.remove(&bad.address);
    }
}

impl Engine {
    /// Tells the catalog of every bad shard that it has not been told of.
    ///
    /// # Errors
    /// Why the catalog cannot be told now; what is left is told the next time.
    pub async fn report_faults(&self) -> Result<(), Refusal> {
        for bad in self.faults.unsaid() {
            let command = Command::NoteShardFault(self.fault(&bad));
            match self.catalog.submit(Actor::Node(self.node), command.into(), None).await {
                Ok(_) => {}
                Err(refusal) if matches!(refusal.reason, Reason::NoLeader | Reason::Overloaded) => return Err(refusal),
                Err(refusal) => warn!(error = %refusal, shard = %bad.address, "bad shard was not queued for repair"),
            }
            self.faults.said(&bad);
        }
        Ok(())
    }

    fn fault(&self, bad: &BadShard) -> ShardFault {
        ShardFault {
            item: bad.address.item,
            chunk: bad.address.index,
            upload_epoch: bad.address.upload_epoch,
            volume: bad.address.volume,
            placement_epoch: bad.address.placement_epoch,
            slot: bad.address.slot,
            disk: bad.disk,
            kind: bad.fault,
            reporter: self.node,
            seen_at: self.system.clock.wall(),
        }
    }
}

//! Which peers answer. A guess, good for choosing whom to ask first; never for deciding what is durable.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use strongroom_types::NodeId;

/// A peer that failed is avoided for this long, unless it answers a ping before.
const AVOID_MS: i64 = 15_000;

/// What this node knows of its peers.
#[derive(Debug, Default)]
pub struct Health {
    /// Boot time until which each is avoided.
    avoided_until: Mutex<BTreeMap<NodeId, i64>>,
}

impl Health {
    /// Notes that a call to `node` failed or took too long.
    pub fn failed(&self, node: NodeId, boottime_ms: i64) {
        self.lock().insert(node, boottime_ms + AVOID_MS);
    }

    /// Notes that `node` answered.
    pub fn answered(&self, node: NodeId) {
        self.lock().remove(&node);
    }

    /// Whether `node` is worth asking first.
    #[must_use]
    pub fn is_up(&self, node: NodeId, boottime_ms: i64) -> bool {
        self.lock().get(&node).is_none_or(|until| *until <= boottime_ms)
    }

    /// The nodes to avoid now.
    #[must_use]
    pub fn avoided(&self, boottime_ms: i64) -> Vec<NodeId> {
        self.lock().iter().filter(|(_, until)| **until > boottime_ms).map(|(node, _)| *node).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<NodeId, i64>> {
        // The map is whole after every step, so a panic elsewhere leaves nothing half done.
        self.avoided_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

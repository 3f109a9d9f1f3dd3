//! Where shards are put and fetched: this node's disks, and every peer's.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use strongroom_shardstore::ShardStore;
use strongroom_types::NodeId;

/// A shard store for each node. A node that stores a shard itself does so without the network.
#[derive(Default)]
pub struct Shards {
    stores: RwLock<BTreeMap<NodeId, Arc<dyn ShardStore>>>,
}

impl Shards {
    /// Sets the store of a node.
    pub fn set(&self, node: NodeId, store: Arc<dyn ShardStore>) {
        self.stores.write().unwrap_or_else(PoisonError::into_inner).insert(node, store);
    }

    /// The store of a node, where one is known.
    #[must_use]
    pub fn of(&self, node: NodeId) -> Option<Arc<dyn ShardStore>> {
        self.stores.read().unwrap_or_else(PoisonError::into_inner).get(&node).cloned()
    }
}

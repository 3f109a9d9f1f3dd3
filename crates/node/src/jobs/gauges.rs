//! What changes without an event: Raft's position and the disks.

use std::{sync::Arc, time::Duration};

use strongroom_shardstore::ShardStore;

use crate::{metrics, node::Node};

const PACE: Duration = Duration::from_secs(2);

pub(super) async fn run(node: Arc<Node>) {
    loop {
        metrics::raft(node.id, &node.metastore.metrics());
        match node.local.stat().await {
            Ok(disks) => disks.iter().for_each(metrics::disk),
            Err(error) => tracing::error!(%error, "disks could not be looked at"),
        }
        metrics::upkeep();
        tokio::time::sleep(PACE).await;
    }
}

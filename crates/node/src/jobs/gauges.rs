//! What changes without an event: Raft's position and the disks.

use std::{sync::Arc, time::Duration};

use crate::{metrics, node::Node};

const PACE: Duration = Duration::from_secs(2);

pub(super) async fn run(node: Arc<Node>) {
    loop {
        metrics::raft(node.id, &node.metastore.metrics());
        node.local.stat().iter().for_each(metrics::disk);
        metrics::upkeep();
        tokio::time::sleep(PACE).await;
    }
}

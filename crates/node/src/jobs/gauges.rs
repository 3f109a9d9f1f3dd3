//! What changes without an event: Raft's position, the disks and the repair queue.

use std::{sync::Arc, time::Duration};

use strongroom_topology::faults;

use crate::{metrics, node::Node};

const PACE: Duration = Duration::from_secs(2);

pub(super) async fn run(node: Arc<Node>) {
    loop {
        metrics::raft(node.id, &node.metastore.metrics());
        node.local.stat().iter().for_each(metrics::disk);
        metrics::shard_faults(&node.engine.faults().counts());
        repair_queue(&node);
        metrics::upkeep();
        tokio::time::sleep(PACE).await;
    }
}

fn repair_queue(node: &Node) {
    let view = node.metastore.view();
    match faults::queued(&*view.rows()) {
        Ok(queued) => metrics::repair_queue(queued),
        Err(error) => tracing::error!(%error, "the repair queue could not be read"),
    }
}

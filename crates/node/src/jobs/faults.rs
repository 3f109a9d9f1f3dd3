//! Brings the bad shards that reading found on this node into the repair queue, apart from any read.

use std::{sync::Arc, time::Duration};

use crate::node::Node;

/// Between two tries where the cluster cannot be told now.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) async fn run(node: Arc<Node>) {
    let faults = Arc::clone(node.engine.faults());
    loop {
        faults.added().await;
        while let Err(refusal) = node.engine.report_faults().await {
            tracing::warn!(error = %refusal, waiting = faults.unsaid_count(), "bad shards are not queued for repair yet");
            tokio::time::sleep(AGAIN).await;
        }
    }
}

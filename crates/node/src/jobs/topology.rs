//! Follows the rows of nodes: who they are and where their shards are reached.

use std::{sync::Arc, time::Duration};

use crate::node::Node;

/// At most one look in this time, however fast entries come.
const PACE: Duration = Duration::from_millis(500);

pub(super) async fn run(node: Arc<Node>) {
    let mut applied = node.metastore.applied_watch();
    loop {
        applied.borrow_and_update();
        refresh(&node);
        tokio::time::sleep(PACE).await;
        if applied.changed().await.is_err() {
            // The metastore has stopped, and so will this job.
            std::future::pending::<()>().await;
        }
    }
}

fn refresh(node: &Node) {
    let view = node.metastore.view();
    match node.directory.refresh(&*view.rows()) {
        Ok(true) => {
            node.connect_shards();
            tracing::info!(nodes = node.directory.nodes().len(), "nodes changed");
        }
        Ok(false) => {}
        Err(error) => tracing::error!(%error, "rows of nodes could not be read"),
    }
}

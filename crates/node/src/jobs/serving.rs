//! Says on the health service whether this node can serve: it has the cluster's state, no older one than its disks know of,
//! and knows a leader.

use std::{sync::Arc, time::Duration};

use strongroom_custody::tables::CLUSTER;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::node::Node;

const PACE: Duration = Duration::from_millis(200);

pub(super) async fn run(node: Arc<Node>, health: HealthReporter) {
    let mut said = None;
    loop {
        let serving = can_serve(&node);
        if said != Some(serving) {
            health.set_service_status("", status(serving)).await;
            tracing::info!(node_id = %node.id, serving, "node's health");
            said = Some(serving);
        }
        tokio::time::sleep(PACE).await;
    }
}

pub(crate) const fn status(serving: bool) -> ServingStatus {
    if serving { ServingStatus::Serving } else { ServingStatus::NotServing }
}

fn can_serve(node: &Node) -> bool {
    let view = node.metastore.view();
    let created = CLUSTER.read(&*view.rows(), &()).is_ok_and(|row| row.is_some());
    created && node.settled.is_known() && node.metastore.metrics().leader.is_some()
}

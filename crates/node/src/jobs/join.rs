//! A node that is not in the genesis file asks to be taken in, and a known one tells of new addresses and disks.

use std::{sync::Arc, time::Duration};

use strongroom_proto::peer::JoinRequest;
use strongroom_types::rows::encode;

use crate::node::Node;

/// Between two rounds of asking.
const PACE: Duration = Duration::from_secs(1);
/// One call.
const DEADLINE: Duration = Duration::from_secs(5);

pub(super) async fn run(node: Arc<Node>) {
    let Some(registration) = &node.registration else { return };
    let row = encode(registration);
    loop {
        for other in node.directory.others(node.id) {
            let Some(mut client) = node.meta_client(&other) else { continue };
            let request = JoinRequest { node_row_cbor: row.clone().into() };
            match tokio::time::timeout(DEADLINE, client.join(request)).await {
                Ok(Ok(_)) => {
                    tracing::info!(node_id = %node.id, peer_id = %other.id, "this node is registered");
                    return;
                }
                Ok(Err(status)) => tracing::warn!(peer_id = %other.id, error = status.message(), "not taken in"),
                Err(_) => tracing::warn!(peer_id = %other.id, error = "no answer in time", "not taken in"),
            }
        }
        tokio::time::sleep(PACE).await;
    }
}

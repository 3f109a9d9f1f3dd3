//! Once an hour the leader proposes to expire uploads without progress; which ones is decided in `apply`.

use std::{sync::Arc, time::Duration};

use strongroom_custody::{Actor, command::ExpireUploads};
use strongroom_engine::Catalog;

use crate::node::Node;

const PACE: Duration = Duration::from_secs(3600);
/// Uploads that one command expires at most.
const LIMIT: u32 = 500;

pub(super) async fn run(node: Arc<Node>) {
    loop {
        tokio::time::sleep(PACE).await;
        if !node.leads() {
            continue;
        }
        let command = strongroom_custody::Command::ExpireUploads(ExpireUploads { limit: LIMIT });
        match node.catalog.submit(Actor::Node(node.id), command.into(), None).await {
            Ok(answer) => tracing::info!(?answer, "uploads without progress are expired"),
            Err(refusal) => tracing::warn!(error = %refusal, "uploads were not expired"),
        }
    }
}

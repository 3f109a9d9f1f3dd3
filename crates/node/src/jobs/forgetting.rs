//! Makes this node's replica forget the keys of disposed items, and gives its word for it.
//!
//! The word is given only after the log is purged past the execution, older snapshots are deleted and the column of keys
//! is compacted to its bottom level (`Metastore::forget_through`). One look covers all batches that wait by then.

use std::{sync::Arc, time::Duration};

use strongroom_custody::{
    Actor,
    erasure::{self, AttestKeys, Keeper},
};
use strongroom_engine::{Catalog, catalog::broken};
use strongroom_types::{BatchId, Refusal, limits};

use crate::node::Node;

const PACE: Duration = Duration::from_secs(2);
/// One try may take so long.
const WITHIN: Duration = Duration::from_secs(120);
/// After a try that failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn run(node: Arc<Node>) {
    loop {
        tokio::time::sleep(PACE).await;
        if let Err(error) = forget(&node).await {
            tracing::warn!(error, "keys of disposed items are not forgotten yet");
            tokio::time::sleep(PATIENCE).await;
        }
    }
}

async fn forget(node: &Node) -> Result<(), String> {
    let (batches, applied) = waiting(node).map_err(|refusal| refusal.to_string())?;
    if batches.is_empty() {
        return Ok(());
    }
    // The rows show the batches as executed, so that everything up to this entry is past their keys.
    let forgotten = node.metastore.forget_through(applied, WITHIN).await.map_err(|error| error.to_string())?;
    let cluster = node.genesis.create.cluster.cluster;
    for batch in batches {
        let mut word =
            AttestKeys { batch, purged_to: forgotten.through, signature: Vec::new().into(), vkey: String::new() };
        word.signature = node.clock_key.sign(&erasure::keys_message(cluster, node.id, &word)).into();
        let command = strongroom_custody::Command::AttestKeys(Box::new(word));
        let said = node.catalog.submit(Actor::Node(node.id), command.into(), None).await;
        said.map_err(|refusal| refusal.to_string())?;
        tracing::info!(%batch, purged_to = forgotten.through, "keys of a disposed batch are forgotten");
    }
    Ok(())
}

/// The batches whose keys this replica may still hold, and the entry after which the rows say so.
fn waiting(node: &Node) -> Result<(Vec<BatchId>, u64), Refusal> {
    let view = node.metastore.view();
    let rows = view.rows();
    let waiting = erasure::pending(&*rows, Keeper::Replica(node.id), limits::PAGE_ROWS_MAX);
    let waiting = waiting.map_err(|error| broken(&error))?;
    let applied = rows.applied_index().map_err(|error| broken(&error))?;
    Ok((waiting.into_iter().map(|(_, batch)| batch).collect(), applied))
}

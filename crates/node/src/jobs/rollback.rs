//! Holds this node's disks and its metadata against each other, so that metadata that was put back as it was before is
//! found also where all of it was, on every voter and with the guards: whoever keeps a disk still knows better.
//!
//! Each disk is shown the newest checkpoint now and then, verifies it and remembers it. A ledger that is shorter than what a
//! disk has verified, or another one, was put back or forked: the process ends, and neither votes nor appends nor answers.
//! Until the two were compared after a start, clients are sent to another node ([`crate::node::Settled`]).
//!
//! ```text
//!  disk: N records, root ─┬─ ledger here has N or more: its root at N is the same ──▶ settled
//!                         ├─ its root at N is another ──────────────────────────────▶ end
//!                         └─ it has fewer ─ ask the leader ─ now it has N ──────────▶ settled
//!                                                          └ it still has fewer ────▶ end
//! ```

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use strongroom_engine::{Catalog, catalog::broken, disposal::checkpoint_proof, policies};
use strongroom_ledger::{TreeHead, tree};
use strongroom_metastore::FatalHook;
use strongroom_shardstore::PermitError;
use strongroom_types::{
    DiskId, Refusal,
    rows::{RowError, Rows},
};

use crate::node::Node;

/// Between two looks before the first comparison: clients wait for it.
const FIRST_PACE: Duration = Duration::from_millis(100);
const PACE: Duration = Duration::from_secs(1);
/// A disk syncs what it is shown.
const SHOWN_EVERY: Duration = Duration::from_secs(5);
/// After a disk that did not follow: whatever is wrong is not mended in seconds.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn run(node: Arc<Node>, on_fatal: FatalHook) {
    let mut next = Instant::now() + SHOWN_EVERY;
    loop {
        match compare(&node).await {
            Ok(None) => node.settled.becomes_known(),
            Ok(Some(suspicion)) => return on_fatal(&suspicion),
            Err(refusal) => tracing::debug!(error = %refusal, "disks and ledger are not compared yet"),
        }
        if node.settled.is_known() && Instant::now() >= next {
            next = Instant::now() + if show(&node).await { SHOWN_EVERY } else { PATIENCE };
        }
        tokio::time::sleep(if node.settled.is_known() { PACE } else { FIRST_PACE }).await;
    }
}

/// What the disks have verified; one that believes nobody says so where it is asked to erase.
fn verified(node: &Node) -> Vec<(DiskId, TreeHead)> {
    let disks = node.local.0.as_ref();
    node.local.stat().iter().filter_map(|stat| Some((stat.disk, disks.trusted(stat.disk).ok()?))).collect()
}

/// Why the metadata of this node must be older than its disks, or of another past; nothing where all of them fit.
async fn compare(node: &Node) -> Result<Option<String>, Refusal> {
    let verified = verified(node);
    let standing = |rows: &dyn Rows, newest| standing(rows, newest).map_err(|error| broken(&error));
    for (disk, newest) in verified {
        let here = standing(&*node.catalog.read_here()?, newest)?;
        // What this node has not applied yet, the leader has, if anybody does.
        let found =
            if matches!(here, Standing::Shorter(_)) { standing(&*node.catalog.read().await?, newest)? } else { here };
        let what = match found {
            Standing::Continues => continue,
            Standing::Shorter(size) => format!("this metadata knows {size}"),
            Standing::Other => "this metadata has others in their place".to_owned(),
        };
        return Ok(Some(format!(
            "rollback suspected on node {}: its disk {disk} has verified a ledger of {} records, and {what}; the metadata of \
             the voters was put back, or is another's: find out who did it, and put back what is newer",
            node.id, newest.size
        )));
    }
    Ok(None)
}

/// How a ledger stands to the newest checkpoint that a disk has verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It continues it.
    Continues,
    /// It has fewer records: so many.
    Shorter(u64),
    /// It has other records.
    Other,
}

fn standing(rows: &dyn Rows, newest: TreeHead) -> Result<Standing, RowError> {
    let size = tree::size(rows)?;
    if size < newest.size {
        return Ok(Standing::Shorter(size));
    }
    match tree::root(rows, newest.size) {
        Ok(root) if root == newest.root => Ok(Standing::Continues),
        Err(tree::TreeError::Rows(error)) => Err(error),
        Ok(_) | Err(_) => Ok(Standing::Other),
    }
}

/// Shows each disk the newest checkpoint that the voters cosigned; whether all of them follow.
async fn show(node: &Node) -> bool {
    let mut all_follow = true;
    for (disk, newest) in verified(node) {
        let newest = match lead(node, disk, newest).await {
            Ok(newest) => newest,
            Err(error) => {
                tracing::error!(%disk, %error, "a disk does not follow the voters to those after them");
                all_follow = false;
                continue;
            }
        };
        let proof = node.catalog.read_here().and_then(|rows| checkpoint_proof(&*rows, newest));
        let proof = match proof {
            Ok(Some(proof)) => proof,
            Ok(None) => continue,
            Err(error) => {
                tracing::error!(%disk, %error, "there is no checkpoint to show to a disk");
                all_follow = false;
                continue;
            }
        };
        let disks = Arc::clone(&node.local.0);
        let followed = tokio::task::spawn_blocking(move || disks.follow(disk, &proof)).await;
        match followed.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())) {
            Ok(()) => {}
            Err(error) => {
                // A full disk, for one, keeps what it had.
                tracing::warn!(%disk, %error, "a disk does not follow the ledger");
                all_follow = false;
            }
        }
    }
    all_follow
}

/// Why a disk was not led to the voters of today.
#[derive(Debug, thiserror::Error)]
pub(super) enum LeadError {
    /// The proof could not be made.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The disk does not believe it.
    #[error("{0}")]
    Permit(#[from] PermitError),
}

/// Leads a disk from the voters that it believes to those after them, one replacement after the other; answers what it
/// has verified then.
pub(super) async fn lead(node: &Node, disk: DiskId, mut newest: TreeHead) -> Result<TreeHead, LeadError> {
    loop {
        let disks = Arc::clone(&node.local.0);
        let pinned = disks.policy(disk)?;
        let Some(change) = policies::next_for_disk(&*node.catalog.read_here()?, pinned, newest.size)? else {
            return Ok(newest);
        };
        let seq = change.leaf.seq;
        let succeeded = tokio::task::spawn_blocking(move || disks.succeed(disk, &change).map(|()| disks)).await;
        let disks = succeeded.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        tracing::info!(%disk, record = %seq, "a disk believes the voters after a replacement");
        newest = disks.trusted(disk)?;
    }
}

#[cfg(test)]
mod tests {
    use strongroom_types::{UnixMillis, rows::MemoryRows};

    use super::*;

    fn ledger(records: &[&str]) -> MemoryRows {
        let mut rows = MemoryRows::default();
        for record in records {
            tree::append_record(&mut rows, UnixMillis(1), &[1; 32], record.as_bytes().to_vec()).expect("appends");
        }
        rows
    }

    #[test]
    fn a_shorter_ledger_and_another_one_are_not_what_a_disk_has_verified() {
        let newest = tree::head(&ledger(&["a", "b", "a hold"])).expect("reads");
        for (records, expected) in [
            (&["a", "b", "a hold"][..], Standing::Continues),
            (&["a", "b", "a hold", "c"], Standing::Continues),
            (&["a", "b"], Standing::Shorter(2)),
            (&["a", "b", "a disposal"], Standing::Other),
            (&["a", "b", "a disposal", "c"], Standing::Other),
        ] {
            assert_eq!(standing(&ledger(records), newest).expect("reads"), expected, "{records:?}");
        }
        assert_eq!(standing(&ledger(&[]), TreeHead::EMPTY).expect("reads"), Standing::Continues, "a new disk");
    }
}

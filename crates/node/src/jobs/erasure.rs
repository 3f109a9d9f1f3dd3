//! Follows what was committed to be erased, on the disks of this node.
//!
//! Each disk is taken through the orders in their order: the permit is built from this replica's rows, verified by the
//! disk itself, and only then erased against; what was done is signed and committed. A disk that was away goes on where
//! it stopped. A permit that does not verify is refused by the disk, recorded, and tried again later: nothing goes.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use strongroom_custody::{
    Act, Actor,
    command::NoteRefusal,
    erasure::{self, EraseOrderRow, NoteErasure, SweepDisposed},
    tables::UNSWEPT,
};
use strongroom_engine::{Catalog, catalog::broken, disposal::permit_proof};
use strongroom_shardstore::{DiskKeeper, DiskStat, DiskState, Erasure, PermitError};
use strongroom_types::{DiskId, ErrorKind, RecordSeq, Refusal, limits};

use super::rollback::{self, LeadError};
use crate::{metrics, node::Node};

const PACE: Duration = Duration::from_secs(1);
/// After a refused permit, or an erase that failed: whatever is wrong is not mended in a second.
const PATIENCE: Duration = Duration::from_secs(60);
/// Orders that one look takes.
const ORDERS_PER_LOOK: usize = 64;

pub(super) async fn run(node: Arc<Node>) {
    let mut disks = Disks::default();
    loop {
        tokio::time::sleep(PACE).await;
        for stat in node.local.stat() {
            if disks.resting.get(&stat.disk).is_some_and(|until| *until > Instant::now()) {
                continue;
            }
            if let Err(failure) = follow(&node, &stat, &mut disks.unsaid).await {
                failure.tell(&node, stat.disk).await;
                disks.resting.insert(stat.disk, Instant::now() + PATIENCE);
            }
        }
        if node.leads() {
            sweep(&node).await;
        }
    }
}

/// What the job knows of this node's disks between two looks.
#[derive(Default)]
struct Disks {
    /// Until when a disk that did not get on is left alone.
    resting: BTreeMap<DiskId, Instant>,
    unsaid: Unsaid,
}

/// What was erased and could not be told yet: erased again, there is nothing left to count.
type Unsaid = BTreeMap<(DiskId, RecordSeq), Erasure>;

/// Why a disk did not get on.
enum Failure {
    /// The disk refused the permit.
    Permit(RecordSeq, PermitError),
    /// The disk could not erase.
    Erase(RecordSeq, String),
    /// The cluster could not be asked or told.
    Cluster(Refusal),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Cluster(refusal)
    }
}

impl Failure {
    async fn tell(self, node: &Node, disk: DiskId) {
        match self {
            Self::Permit(order, error) => {
                metrics::permit_refused();
                tracing::error!(%disk, %order, %error, "a disk refused a permit: nothing was erased");
                record_refused_permit(node, disk, order, &error).await;
            }
            Self::Erase(order, error) => tracing::error!(%disk, %order, error, "a disk could not erase"),
            Self::Cluster(refusal) if refusal.reason.kind() == ErrorKind::TryAgain => {
                tracing::info!(%disk, error = %refusal, "orders to erase wait for the cluster");
            }
            Self::Cluster(refusal) => tracing::error!(%disk, error = %refusal, "orders to erase are not followed"),
        }
    }
}

/// Follows the orders that a disk has not followed yet, as far as the voters have cosigned them.
async fn follow(node: &Node, stat: &DiskStat, unsaid: &mut Unsaid) -> Result<(), Failure> {
    if matches!(stat.state, DiskState::Failed { .. }) {
        return Ok(());
    }
    for (seq, order) in next_orders(node, stat)? {
        let Some(now) = erase(node, stat.disk, seq, &order).await? else { return Ok(()) };
        let erased = unsaid.entry((stat.disk, seq)).or_default();
        erased.shards += now.shards;
        erased.payload_bytes += now.payload_bytes;
        let command = strongroom_custody::Command::NoteErasure(Box::new(receipt(node, stat.disk, seq, erased)));
        node.catalog.submit(Actor::Node(node.id), command.into(), None).await?;
        unsaid.remove(&(stat.disk, seq));
        tracing::info!(disk = %stat.disk, order = %seq, "an order to erase was followed");
    }
    Ok(())
}

fn next_orders(node: &Node, stat: &DiskStat) -> Result<Vec<(RecordSeq, EraseOrderRow)>, Refusal> {
    let view = node.metastore.view();
    let rows = &*view.rows();
    let read = |error: &dyn std::error::Error| broken(error);
    let followed = erasure::followed(rows, stat.disk).map_err(|error| read(&error))?;
    let orders = erasure::orders(rows, followed, ORDERS_PER_LOOK).map_err(|error| read(&error))?;
    let owes = erasure::pending(rows, erasure::Keeper::Disk(stat.disk), 1).map_err(|error| read(&error))?;
    if followed.is_none() && owes.is_empty() && stat.shards == 0 {
        // A new disk: what was erased before it came was never on it. The last order tells where it begins.
        return Ok(orders.into_iter().next_back().into_iter().collect());
    }
    Ok(orders)
}

/// Erases one order on one disk; nothing where no cosigned checkpoint covers it yet.
async fn erase(node: &Node, disk: DiskId, seq: RecordSeq, order: &EraseOrderRow) -> Result<Option<Erasure>, Failure> {
    let disks = &node.local.0;
    let newest = disks.trusted(disk).map_err(|error| Failure::Permit(seq, error))?;
    // An order of today's voters means nothing to a disk that still believes those before.
    let newest = rollback::lead(node, disk, newest).await.map_err(|error| match error {
        LeadError::Refused(refusal) => Failure::from(refusal),
        LeadError::Permit(error) => Failure::Permit(seq, error),
    })?;
    let proof = {
        let view = node.metastore.view();
        let proof = permit_proof(&*view.rows(), seq, order, newest)?;
        let Some(proof) = proof else { return Ok(None) };
        proof
    };
    let keeper = Arc::clone(disks);
    let permit = tokio::task::spawn_blocking(move || keeper.admit(disk, &proof))
        .await
        .map_err(|error| Failure::Erase(seq, error.to_string()))?
        .map_err(|error| Failure::Permit(seq, error))?;
    disks.erase(disk, &permit).await.map(Some).map_err(|error| Failure::Erase(seq, error.to_string()))
}

/// What this node says of an erasure, signed.
fn receipt(node: &Node, disk: DiskId, order: RecordSeq, erased: &Erasure) -> NoteErasure {
    let mut note = NoteErasure {
        disk,
        order,
        shards: erased.shards,
        payload_bytes: erased.payload_bytes,
        signature: Vec::new().into(),
        vkey: String::new(),
    };
    let cluster = node.genesis.create.cluster.cluster;
    note.signature = node.clock_key.sign(&erasure::receipt_message(cluster, node.id, &note)).into();
    note
}

async fn record_refused_permit(node: &Node, disk: DiskId, order: RecordSeq, error: &PermitError) {
    let refusal = Refusal::new(
        error.reason(),
        "C4",
        format!("disk {disk} refused the permit of record {order}: {error}"),
        "an operator must look at this node",
    );
    if refusal.reason.kind() == ErrorKind::TryAgain {
        return;
    }
    let note = NoteRefusal {
        key: None,
        act: Act::PermitShow,
        call: format!("erase {order}"),
        source: node.id.to_string(),
        count: 1,
        refusal,
        item: None,
    };
    let command = strongroom_custody::Command::NoteRefusal(note);
    if let Err(refusal) = node.catalog.submit(Actor::Node(node.id), command.into(), None).await {
        tracing::warn!(error = %refusal, "a refused permit was not recorded");
    }
}

/// Has rows swept that disposed items left, a bounded number at a time.
async fn sweep(node: &Node) {
    let waits = UNSWEPT.scan(&*node.metastore.view().rows(), &(), None, 1).is_ok_and(|rows| !rows.is_empty());
    if !waits {
        return;
    }
    let limit = u32::try_from(limits::SWEEP_ROWS_MAX).expect("small");
    let command = strongroom_custody::Command::SweepDisposed(SweepDisposed { limit });
    if let Err(refusal) = node.catalog.submit(Actor::Node(node.id), command.into(), None).await {
        tracing::warn!(error = %refusal, "rows of disposed items were not swept");
    }
}

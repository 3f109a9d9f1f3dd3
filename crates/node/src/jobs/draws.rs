//! This voter's part in draws 抽样: commits to a share, and reveals it when commitments stand.
//!
//! The share is on disk before its commitment leaves, and goes only when this replica knows that the draw has ended: a
//! restart in between finds it. It is revealed only when a checkpoint that a majority cosigned covers the record by which
//! commitments stand, so that nobody who shows this node another history gets its share out of it early.

use std::{sync::Arc, time::Duration};

use strongroom_custody::{
    self as custody, Actor,
    access::Stop,
    draw::{
        self, CommitDraw, RevealDraw,
        row::{DrawRow, DrawState},
        sample,
    },
};
use strongroom_engine::{Catalog, catalog::broken, machine::CHECKPOINT};
use strongroom_types::{DrawShare, ErrorKind, Refusal, rows::RowError};

use crate::{draw_shares::ShareError, node::Node};

const PACE: Duration = Duration::from_millis(500);
/// After a step that failed for a reason that does not pass by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why this voter did not take its part.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the share is not kept: {0}")]
    Share(#[from] ShareError),
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error("what this voter committed to in {0} is not its share: the share was lost, or another spoke in its name")]
    NotOurs(strongroom_types::DrawId),
}

pub(super) async fn run(node: Arc<Node>) {
    loop {
        tokio::time::sleep(PACE).await;
        match take_part(&node).await {
            Ok(()) => {}
            Err(Failure::Refused(refusal)) if refusal.reason.kind() == ErrorKind::TryAgain => {
                tracing::debug!(error = %refusal, "a step of a draw waits");
            }
            // Such as a commitment that came when commitments stood already: the draw goes on without it.
            Err(Failure::Refused(refusal)) if refusal.reason.kind() == ErrorKind::RefusedByPolicy => {
                tracing::warn!(error = %refusal, "a step of a draw was refused");
                tokio::time::sleep(PATIENCE).await;
            }
            Err(failure) => {
                tracing::error!(error = %failure, "this voter does not take its part in a draw");
                tokio::time::sleep(PATIENCE).await;
            }
        }
    }
}

async fn take_part(node: &Arc<Node>) -> Result<(), Failure> {
    let (open, cosigned) = under_way(node).map_err(|error| broken(&error))?;
    for row in &open {
        let Some(own) = row.voters().iter().find(|voter| voter.node == node.id) else { continue };
        match (&row.state, own.committed) {
            (DrawState::Committing(_), None) => commit(node, row).await?,
            (DrawState::Revealing(closed, _) | DrawState::Overdue(closed, _), Some((committed, _)))
                if own.revealed.is_none() && cosigned > closed.0 =>
            {
                let share = node.draw_shares.share(row.id, row.digest)?;
                let ours = share.filter(|share| sample::commitment(row.digest, node.id, *share) == committed);
                reveal(node, row, ours.ok_or(Failure::NotOurs(row.id))?).await?;
            }
            _ => {}
        }
    }
    forget_ended(node)
}

/// Draws that are under way, and how many records are cosigned, as far as this replica knows.
fn under_way(node: &Node) -> Result<(Vec<DrawRow>, u64), RowError> {
    let view = node.metastore.view();
    let rows = view.rows();
    let cosigned = CHECKPOINT.read(&*rows, &())?.map_or(0, |checkpoint| checkpoint.size);
    Ok((draw::open(&*rows)?, cosigned))
}

async fn commit(node: &Arc<Node>, row: &DrawRow) -> Result<(), Failure> {
    let (keeper, id, digest) = (Arc::clone(node), row.id, row.digest);
    // It syncs: other tasks of this thread must not wait for the disk.
    let kept =
        tokio::task::spawn_blocking(move || keeper.draw_shares.keep(id, digest, DrawShare::new(keeper.system.draw())));
    let share = kept.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    let mut commit = CommitDraw {
        draw: row.id,
        commitment: sample::commitment(row.digest, node.id, share),
        signature: Vec::new().into(),
        vkey: String::new(),
    };
    let cluster = node.genesis.create.cluster.cluster;
    commit.signature = node.clock_key.sign(&draw::commit_message(cluster, node.id, &commit)).into();
    submit(node, custody::Command::CommitDraw(Box::new(commit))).await?;
    tracing::info!(draw = %row.id, "this voter has committed to its share of a draw");
    Ok(())
}

async fn reveal(node: &Node, row: &DrawRow, share: DrawShare) -> Result<(), Failure> {
    submit(node, custody::Command::RevealDraw(RevealDraw { draw: row.id, share })).await?;
    tracing::info!(draw = %row.id, "this voter has revealed its share of a draw");
    Ok(())
}

async fn submit(node: &Node, command: custody::Command) -> Result<(), Refusal> {
    node.catalog.submit(Actor::Node(node.id), command.into(), None).await.map(|_| ())
}

/// Forgets shares of draws that this replica knows to have ended. One that it does not know may only be new to it.
fn forget_ended(node: &Node) -> Result<(), Failure> {
    for (id, digest) in node.draw_shares.kept()? {
        let known = draw::read(&*node.metastore.view().rows(), id);
        match known {
            Ok(row) if row.digest == digest && !row.state.is_open() => node.draw_shares.forget(id, digest)?,
            Ok(_) | Err(Stop::Refused(_)) => {}
            Err(Stop::Rows(error)) => return Err(broken(&error).into()),
        }
    }
    Ok(())
}

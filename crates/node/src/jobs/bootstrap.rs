//! The first minutes of a cluster: the first voter makes the group, and whoever leads proposes the genesis. Every step
//! may be taken again after a crash without changing anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use strongroom_custody::{Actor, tables::CLUSTER};
use strongroom_engine::Catalog;
use strongroom_metastore::{ChangeError, FatalHook};
use strongroom_proto::peer::PingRequest;
use strongroom_topology::read;
use strongroom_types::{NodeId, rows::RowError};

use crate::node::Node;

/// Between two looks.
const PACE: Duration = Duration::from_millis(100);
/// After a command that was refused: the same again changes little, and each refusal is a record.
const AFTER_REFUSAL: Duration = Duration::from_secs(5);
/// A voter is asked whether it knows a cluster; one that does not answer does not.
const ASK_DEADLINE: Duration = Duration::from_secs(1);

pub(super) async fn run(node: Arc<Node>, on_fatal: FatalHook) {
    let is_pristine = match node.metastore.is_initialized().await {
        Ok(is_initialized) => !is_initialized,
        Err(error) => return on_fatal(&format!("could not ask whether there is a cluster: {error}")),
    };
    if is_voter(&node) && is_pristine && !is_new(&node, &on_fatal).await {
        return;
    }
    node.history.becomes_known();
    if is_first_voter(&node) && is_pristine {
        initialize(&node, &on_fatal).await;
    }
    loop {
        match is_created(&node) {
            Ok(true) => return,
            Ok(false) if node.leads() => propose(&node).await,
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "rows could not be read"),
        }
        tokio::time::sleep(PACE).await;
    }
}

fn is_voter(node: &Node) -> bool {
    node.genesis.voters.contains(&node.id)
}

/// Asks the other voters whose clocks the cluster has read, until enough have answered that a tick that was committed
/// cannot have been missed. A voter shows its clock only when it takes part, so one whose clock was read had metadata,
/// and lost it.
async fn is_new(node: &Node, on_fatal: &FatalHook) -> bool {
    let voters = &node.genesis.voters;
    // A committed tick is on a majority, this voter perhaps among them.
    let enough = (voters.len() - voters.len() / 2).min(voters.len() - 1);
    let mut answered = BTreeSet::new();
    while answered.len() < enough {
        for voter in node.directory.others(node.id).iter().filter(|other| other.voter) {
            let Some(mut client) = node.meta_client(voter) else { continue };
            let ask = client.ping(PingRequest { with_clocks_read: true });
            let Ok(Ok(answer)) = tokio::time::timeout(ASK_DEADLINE, ask).await else { continue };
            if answer.get_ref().clocks_read.contains(&node.id.0) {
                on_fatal(&format!(
                    "{} is empty, but {} knows that it has taken part: its metadata and its guard were lost, and it must \
                     not vote as if it had never voted; let it rejoin under a new id",
                    node.id, voter.id
                ));
                return false;
            }
            answered.insert(voter.id);
        }
        if answered.len() < enough {
            tokio::time::sleep(PACE).await;
        }
    }
    true
}

fn is_first_voter(node: &Node) -> bool {
    node.genesis.voters.iter().min() == Some(&node.id)
}

/// Only this node makes the group, so if another voter has state, this one had it too and lost it: it must not vote
/// as if it had never voted.
async fn initialize(node: &Node, on_fatal: &FatalHook) {
    if let Some(other) = voter_with_state(node).await {
        on_fatal(&format!(
            "{} is empty, but {other} has the cluster's metadata: this node was wiped; let it rejoin under a new id",
            node.id
        ));
        return;
    }
    let address = |voter: &NodeId| Some((*voter, node.directory.node(*voter)?.peer_address));
    let voters: BTreeMap<_, _> = node.genesis.voters.iter().filter_map(address).collect();
    match node.metastore.initialize(voters).await {
        Ok(()) => tracing::info!(node_id = %node.id, "the cluster's first voters are set"),
        Err(ChangeError::AlreadyInitialized) => {}
        Err(error) => on_fatal(&format!("could not set the first voters: {error}")),
    }
}

async fn voter_with_state(node: &Node) -> Option<NodeId> {
    for voter in node.directory.others(node.id).iter().filter(|other| other.voter) {
        let Some(mut client) = node.meta_client(voter) else { continue };
        if let Ok(Ok(answer)) = tokio::time::timeout(ASK_DEADLINE, client.ping(PingRequest::default())).await
            && answer.get_ref().applied_index > 0
        {
            return Some(voter.id);
        }
    }
    None
}

/// The last command of the genesis sets the voters.
fn is_created(node: &Node) -> Result<bool, RowError> {
    let view = node.metastore.view();
    let rows = view.rows();
    Ok(CLUSTER.read(&*rows, &())?.is_some() && !read::voters(&*rows)?.is_empty())
}

async fn propose(node: &Node) {
    for (command, idempotency) in node.genesis.commands() {
        if let Err(refusal) = node.catalog.submit(Actor::Node(node.id), command, Some(idempotency)).await {
            tracing::error!(error = %refusal, "a command of the genesis was not applied");
            tokio::time::sleep(AFTER_REFUSAL).await;
            return;
        }
    }
    tracing::info!(node_id = %node.id, cluster = %node.genesis.create.cluster.cluster, "the cluster is created");
}

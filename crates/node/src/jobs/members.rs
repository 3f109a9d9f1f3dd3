//! The leader's care for the Raft group: every registered node is a member, at the address that its row says, and those vote
//! whom the rows name. A replaced voter is a record first, cosigned by the voters before; only then the group changes, and
//! only when the new voter has caught up.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use strongroom_engine::policies;
use strongroom_metastore::ChangeError;
use strongroom_topology::{NodeRow, NodeState};
use strongroom_types::NodeId;

use crate::node::Node;

const PACE: Duration = Duration::from_millis(500);
/// A node that is this little behind gets its vote: there is always an entry on its way.
const ENTRIES_BEHIND_MAX: u64 = 64;

pub(super) async fn run(node: Arc<Node>) {
    loop {
        tokio::time::sleep(PACE).await;
        if node.leads() {
            take_care(&node).await;
        }
    }
}

async fn take_care(node: &Node) {
    let members = node.metastore.members();
    // Before the first voters are committed there is no group to add to.
    if members.voters.is_empty() || members.changing {
        return;
    }
    for row in node.directory.nodes().iter().filter(|row| row.state != NodeState::Removed) {
        let outcome = match members.addresses.get(&row.id) {
            Some(address) if *address == row.peer_address => continue,
            Some(_) => node.metastore.move_member(row.id, &row.peer_address).await,
            None => node.metastore.add_learner(row.id, &row.peer_address).await,
        };
        report(row, outcome);
    }
    give_votes(node).await;
}

async fn give_votes(node: &Node) {
    let metrics = node.metastore.metrics();
    let members = metrics.members;
    let wanted: BTreeSet<_> = node.directory.nodes().iter().filter(|row| row.voter).map(|row| row.id).collect();
    let all_known = wanted.iter().all(|voter| members.addresses.contains_key(voter));
    if wanted.is_empty() || wanted == members.voters || members.changing || !all_known {
        return;
    }
    match policies::unsettled(&*node.metastore.view().rows()) {
        Ok(None) => {}
        Ok(Some(_)) => return,
        Err(error) => return tracing::error!(%error, "rows could not be read"),
    }
    let has_caught_up = |voter: &NodeId| {
        let replicated = metrics.replicated.get(voter).copied().unwrap_or_default();
        replicated.saturating_add(ENTRIES_BEHIND_MAX) >= metrics.last_log_index
    };
    if let Some(behind) = wanted.difference(&members.voters).find(|voter| !has_caught_up(voter)) {
        return tracing::debug!(peer_id = %behind, "a voter to come has not caught up yet");
    }
    match node.metastore.change_voters(wanted).await {
        Ok(log_index) => tracing::info!(log_index, "the voters of the group are those of the rows again"),
        Err(error) => tracing::warn!(%error, "the voters of the group do not change yet"),
    }
}

fn report(row: &NodeRow, outcome: Result<u64, ChangeError>) {
    match outcome {
        Ok(log_index) => {
            tracing::info!(peer_id = %row.id, address = row.peer_address, log_index, "member is added or moved");
        }
        Err(error) => tracing::warn!(peer_id = %row.id, %error, "member is not added or moved yet"),
    }
}

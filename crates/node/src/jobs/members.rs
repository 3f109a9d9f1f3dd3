//! The leader's care for the Raft group: every registered node is a member, at the address that its row says.

use std::{sync::Arc, time::Duration};

use strongroom_metastore::ChangeError;
use strongroom_topology::{NodeRow, NodeState};

use crate::node::Node;

const PACE: Duration = Duration::from_millis(500);

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
}

fn report(row: &NodeRow, outcome: Result<u64, ChangeError>) {
    match outcome {
        Ok(log_index) => {
            tracing::info!(peer_id = %row.id, address = row.peer_address, log_index, "member is added or moved");
        }
        Err(error) => tracing::warn!(peer_id = %row.id, %error, "member is not added or moved yet"),
    }
}

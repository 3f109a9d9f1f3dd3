//! Asks every node how it is, once a second. Answers feed the choice of nodes for new chunks, the clock and the status.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use strongroom_proto::peer::{PingRequest, PingResponse};
use strongroom_topology::NodeRow;
use strongroom_types::NodeId;

use crate::node::{IN_SERVICE, Node};

const PACE: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(1);

pub(super) async fn run(node: Arc<Node>) {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        let own = node.ping();
        note(&node, node.id, Some(own));
        join_all(node.directory.others(node.id).iter().map(|other| ask(&node, other))).await;
    }
}

async fn ask(node: &Node, other: &NodeRow) {
    let Some(mut client) = node.meta_client(other) else { return };
    let answer = match tokio::time::timeout(DEADLINE, client.ping(PingRequest::default())).await {
        Ok(Ok(answer)) => Some(answer.into_inner()),
        Ok(Err(status)) => {
            tracing::debug!(peer_id = %other.id, error = status.message(), "ping failed");
            None
        }
        Err(_) => None,
    };
    note(node, other.id, answer);
}

/// A node with a disk that takes nothing is avoided like one that does not answer.
fn note(node: &Node, of: NodeId, answer: Option<PingResponse>) {
    let now = node.boottime_ms();
    let health = node.engine.health();
    let was_up = health.is_up(of, now);
    let takes_shards = answer.as_ref().is_some_and(|answer| answer.disks.iter().all(|disk| disk.state == IN_SERVICE));
    if takes_shards {
        health.answered(of);
    } else {
        health.failed(of, now);
    }
    if was_up != takes_shards {
        tracing::warn!(peer_id = %of, answered = answer.is_some(), takes_shards, "a node's health changed");
    }
    if let Some(answer) = answer {
        node.beats.answered(of, now, answer);
    }
}

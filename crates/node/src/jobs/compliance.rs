//! The leader ticks the compliance clock with what a majority of voters read and signed (semantics C2).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use minicbor::bytes::ByteVec;
use strongroom_custody::Actor;
use strongroom_engine::{Catalog, Command, readings};
use strongroom_ledger::VerifierKey;
use strongroom_topology::NodeRow;

use crate::node::Node;

const PACE: Duration = Duration::from_secs(5);
/// Between two looks for a voter whose clock was never read: until it is, nothing says that this voter has taken part.
const LOOK: Duration = Duration::from_millis(500);

pub(super) async fn run(node: Arc<Node>) {
    let mut ticked = Instant::now();
    loop {
        tokio::time::sleep(LOOK).await;
        if node.leads() && (ticked.elapsed() >= PACE || is_first_reading_due(&node)) {
            tick(&node).await;
            ticked = Instant::now();
        }
    }
}

fn is_first_reading_due(node: &Node) -> bool {
    let read = node.clocks_read().unwrap_or_default();
    let nodes = node.directory.nodes();
    // The first tick of all waits for the cluster to be created.
    !read.is_empty()
        && nodes.iter().filter(|row| row.voter && !read.contains(&row.id.0)).any(|voter| reading(node, voter).is_some())
}

async fn tick(node: &Node) {
    let nodes = node.directory.nodes();
    let voters: Vec<_> = nodes.iter().filter(|row| row.voter).collect();
    let signed: Vec<ByteVec> =
        voters.iter().filter_map(|voter| reading(node, voter)).map(|bytes| bytes.to_vec().into()).collect();
    if signed.len() <= voters.len() / 2 {
        let (readings, voters) = (signed.len(), voters.len());
        tracing::warn!(readings, voters, "no majority of clock readings: the clock stands");
        return;
    }
    if let Err(refusal) = node.catalog.submit(Actor::Node(node.id), Command::Tick(signed), None).await {
        tracing::warn!(error = %refusal, "the clock was not ticked");
    }
}

/// What a voter read a moment ago for the next tick, where its signature is good. Every replica looks again.
fn reading(node: &Node, voter: &NodeRow) -> Option<Bytes> {
    let signed =
        if voter.id == node.id { node.reading() } else { node.beats.fresh(voter.id, node.boottime_ms())?.reading_cbor };
    // A voter that does not know yet what it signed before signs nothing.
    if signed.is_empty() {
        return None;
    }
    let vkey: VerifierKey = voter
        .clock_vkey
        .parse()
        .inspect_err(|error| tracing::error!(peer_id = %voter.id, %error, "clock key of a node does not parse"))
        .ok()?;
    let reading = readings::verify(voter.id, &vkey, &signed)
        .inspect_err(|error| tracing::error!(peer_id = %voter.id, %error, "clock reading of a node does not verify"))
        .ok()?;
    // It answered before it heard of the newest tick: its next answer counts.
    (reading.tick == node.ticks().ok()?).then_some(signed)
}

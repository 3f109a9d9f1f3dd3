//! What the other nodes last said of themselves. A cache for status pages, clock ticks and comparisons; never for
//! deciding what is durable.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use strongroom_proto::peer::PingResponse;
use strongroom_types::NodeId;

/// State digests that are remembered of each node: more than are made between two comparisons.
const DIGESTS_MAX: usize = 64;
/// A node that has not answered for this long counts as unreachable.
const REACHABLE_MS: i64 = 4000;

/// Digest of all rows after an entry.
pub(crate) type StateDigest = [u8; 64];

/// What every node last said.
#[derive(Default)]
pub(crate) struct Beats {
    nodes: Mutex<BTreeMap<NodeId, Beat>>,
}

struct Beat {
    answered_at_ms: i64,
    answer: PingResponse,
    digests: VecDeque<(u64, StateDigest)>,
}

impl Beats {
    /// Notes an answer.
    pub(crate) fn answered(&self, node: NodeId, boottime_ms: i64, answer: PingResponse) {
        let digest =
            StateDigest::try_from(answer.state_digest.as_ref()).ok().map(|digest| (answer.digest_index, digest));
        let mut nodes = self.lock();
        let digests = nodes.remove(&node).map(|beat| beat.digests).unwrap_or_default();
        let mut beat = Beat { answered_at_ms: boottime_ms, answer, digests };
        if let Some(digest) = digest
            && beat.digests.back() != Some(&digest)
        {
            beat.digests.push_back(digest);
        }
        while beat.digests.len() > DIGESTS_MAX {
            beat.digests.pop_front();
        }
        nodes.insert(node, beat);
    }

    /// What a node said, where that was lately.
    pub(crate) fn fresh(&self, node: NodeId, boottime_ms: i64) -> Option<PingResponse> {
        let nodes = self.lock();
        let beat = nodes.get(&node)?;
        (boottime_ms - beat.answered_at_ms <= REACHABLE_MS).then(|| beat.answer.clone())
    }

    /// Every digest that is remembered, by entry.
    pub(crate) fn digests(&self) -> BTreeMap<u64, Vec<(NodeId, StateDigest)>> {
        let mut by_index: BTreeMap<u64, Vec<_>> = BTreeMap::new();
        for (node, beat) in &*self.lock() {
            for (index, digest) in &beat.digests {
                by_index.entry(*index).or_default().push((*node, *digest));
            }
        }
        by_index
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Beat>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(index: u64) -> PingResponse {
        PingResponse { digest_index: index, state_digest: vec![1; 64].into(), ..PingResponse::default() }
    }

    #[test]
    fn an_answer_is_fresh_for_a_moment_and_its_digest_is_kept() {
        let beats = Beats::default();
        for index in 0..100 {
            beats.answered(NodeId(2), 1000, answer(index));
            beats.answered(NodeId(2), 1000, answer(index));
        }
        assert!(beats.fresh(NodeId(2), 1000 + REACHABLE_MS).is_some());
        assert!(beats.fresh(NodeId(2), 1001 + REACHABLE_MS).is_none());
        assert!(beats.fresh(NodeId(3), 1000).is_none());
        assert_eq!(beats.digests().len(), DIGESTS_MAX);
        assert!(beats.digests().values().all(|known| known.len() == 1));
    }
}

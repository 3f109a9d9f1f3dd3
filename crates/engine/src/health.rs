//! Which peers answer, which disks refuse and whose puts are slow. A guess, good for choosing whom to ask first; never
//! for deciding what is durable. Every doubt ends by itself, so that a node which recovers is used again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use strongroom_types::NodeId;

/// A peer that did not answer, or whose disk refused a shard, is avoided for this long.
const AVOID_MS: i64 = 15_000;
/// A peer whose puts were far slower than those of the others is avoided for this long. Then a chunk tries it again,
/// which costs that chunk a moment if it is still slow.
const SLOW_MS: i64 = 30_000;

/// What speaks against a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Doubt {
    /// It did not answer, or says itself that it takes no shards. Its next good answer ends this.
    Silent,
    /// Its disk refused a shard. A ping may not know why, so only time ends this, or a shard that was put.
    Refused,
    /// Its puts take far longer than those of the others. A ping knows nothing of that, and one quick put proves
    /// little, so only time ends this.
    Slow,
}

/// The nodes that new chunks should not go to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Avoided {
    /// They take nothing now.
    pub unable: BTreeSet<NodeId>,
    /// They would take a chunk, late.
    pub slow: BTreeSet<NodeId>,
}

impl Avoided {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<NodeId> {
        self.unable.union(&self.slow).copied().collect()
    }
}

/// What this node knows of its peers.
#[derive(Debug, Default)]
pub struct Health {
    /// Boot time at which each doubt ends.
    doubts: Mutex<BTreeMap<(NodeId, Doubt), i64>>,
}

impl Health {
    /// Notes that a call to `node` failed or took too long. Answers whether that is news, as the next two do.
    pub fn failed(&self, node: NodeId, boottime_ms: i64) -> bool {
        self.doubt(node, Doubt::Silent, boottime_ms, AVOID_MS)
    }

    /// Notes that a disk of `node` refused a shard.
    pub fn refused(&self, node: NodeId, boottime_ms: i64) -> bool {
        self.doubt(node, Doubt::Refused, boottime_ms, AVOID_MS)
    }

    /// Notes that a put to `node` took far longer than the same chunk's puts to others.
    pub fn lagged(&self, node: NodeId, boottime_ms: i64) -> bool {
        self.doubt(node, Doubt::Slow, boottime_ms, SLOW_MS)
    }

    /// Notes that `node` answered.
    pub fn answered(&self, node: NodeId) {
        self.lock().remove(&(node, Doubt::Silent));
    }

    /// Notes that `node` made a shard durable.
    pub fn stored(&self, node: NodeId) {
        let mut doubts = self.lock();
        doubts.remove(&(node, Doubt::Silent));
        doubts.remove(&(node, Doubt::Refused));
    }

    /// Whether `node` seems to answer.
    #[must_use]
    pub fn is_up(&self, node: NodeId, boottime_ms: i64) -> bool {
        !self.is_doubted(node, Doubt::Silent, boottime_ms)
    }

    /// Whether puts to `node` were far slower than to others a while ago.
    #[must_use]
    pub fn is_slow(&self, node: NodeId, boottime_ms: i64) -> bool {
        self.is_doubted(node, Doubt::Slow, boottime_ms)
    }

    /// The nodes to avoid now.
    #[must_use]
    pub fn avoided(&self, boottime_ms: i64) -> Avoided {
        let mut avoided = Avoided::default();
        for ((node, doubt), until) in &*self.lock() {
            if *until > boottime_ms {
                match doubt {
                    Doubt::Silent | Doubt::Refused => avoided.unable.insert(*node),
                    Doubt::Slow => avoided.slow.insert(*node),
                };
            }
        }
        avoided
    }

    fn doubt(&self, node: NodeId, doubt: Doubt, boottime_ms: i64, lasts_ms: i64) -> bool {
        let before = self.lock().insert((node, doubt), boottime_ms + lasts_ms);
        before.is_none_or(|until| until <= boottime_ms)
    }

    fn is_doubted(&self, node: NodeId, doubt: Doubt, boottime_ms: i64) -> bool {
        self.lock().get(&(node, doubt)).is_some_and(|until| *until > boottime_ms)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(NodeId, Doubt), i64>> {
        // The map is whole after every step, so a panic elsewhere leaves nothing half done.
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(3);

    #[test]
    fn each_doubt_ends_by_what_disproves_it_and_all_of_them_by_time() {
        type Note = fn(&Health) -> bool;
        let silent: Note = |health| health.failed(NODE, 0);
        let refused: Note = |health| health.refused(NODE, 0);
        let slow: Note = |health| health.lagged(NODE, 0);
        for (note, ends_by_answer, ends_by_put, ends_at) in
            [(silent, true, true, AVOID_MS), (refused, false, true, AVOID_MS), (slow, false, false, SLOW_MS)]
        {
            let health = Health::default();
            let avoids = |at| health.avoided(at).all() == [NODE];
            assert!(note(&health), "news");
            assert!(avoids(0) && avoids(ends_at - 1) && !avoids(ends_at), "by time");
            health.answered(NODE);
            assert_eq!(!avoids(0), ends_by_answer, "by an answer");
            note(&health);
            health.stored(NODE);
            assert_eq!(!avoids(0), ends_by_put, "by a put");
        }
    }

    #[test]
    fn a_slow_node_is_up_and_may_be_had_where_an_unable_one_may_not() {
        let health = Health::default();
        assert!(health.lagged(NODE, 0) && !health.lagged(NODE, 1), "news once");
        assert!(health.is_up(NODE, 2) && health.is_slow(NODE, 2));
        assert!(health.avoided(2).unable.is_empty());
        health.refused(NODE, 2);
        assert!(health.is_up(NODE, 2), "a full disk is read from");
        assert_eq!(health.avoided(2), Avoided { unable: [NODE].into(), slow: [NODE].into() });
        assert!(health.lagged(NODE, 1 + SLOW_MS), "news again");
    }
}

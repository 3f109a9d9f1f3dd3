//! The head of a tree that is read leaf by leaf and stored nowhere: one hash for each complete subtree, largest first.

use sha2::{Digest, Sha256};
use strongroom_types::TreeHash;
use tlog_tiles::Hash;

use crate::TreeHead;

/// The right edge of a tree (RFC 6962).
#[derive(Clone, Debug, Default)]
pub struct Frontier {
    size: u64,
    complete: Vec<Hash>,
}

impl Frontier {
    /// Appends the hash of the next leaf.
    pub fn push(&mut self, leaf: TreeHash) {
        let mut hash = Hash(*leaf.as_bytes());
        // As many subtrees are completed by this leaf as the size has ones at its end.
        for _ in 0..self.size.trailing_ones() {
            let left = self.complete.pop().expect("one for each one of the size");
            hash = tlog_tiles::node_hash(left, hash);
        }
        self.complete.push(hash);
        self.size += 1;
    }

    /// The head of the leaves so far.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        let root = self.complete.iter().rev().copied().reduce(|right, left| tlog_tiles::node_hash(left, right));
        let root = root.map_or_else(|| Sha256::digest([]).into(), |root| root.0);
        TreeHead { size: self.size, root: TreeHash::new(root) }
    }
}

#[cfg(test)]
mod tests {
    use strongroom_types::{UnixMillis, rows::MemoryRows};

    use super::*;
    use crate::tree;

    #[test]
    fn it_has_the_head_of_the_stored_tree_at_every_size() {
        let (mut frontier, mut rows) = (Frontier::default(), MemoryRows::default());
        for size in 0..200_u64 {
            assert_eq!(frontier.head(), tree::head(&rows).expect("reads"), "size {size}");
            let record = size.to_be_bytes().to_vec();
            let leaf = tree::append_record(&mut rows, UnixMillis(0), &[7; 32], record).expect("appends");
            frontier.push(leaf.hash());
        }
    }
}

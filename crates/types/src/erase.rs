//! What a committed decision lets disks erase, as the decision's record commits to it.
//!
//! ```text
//!  leaf   SHA-256(0x00 ‖ "strongroom erase target v1" ‖ CBOR of the target)      sorted, each once
//!  node   SHA-256(0x01 ‖ left ‖ right)                                           as RFC 6962 splits
//!  root   SHA-256("strongroom erase list v1" ‖ count as u64 big-endian ‖ top)
//! ```
//!
//! The record of the decision holds the root and the count. Whoever is shown the record and a list can tell whether
//! the list is the one that was decided.

use sha2::{Digest, Sha256};

use crate::{ChunkIndex, ItemId, TreeHash, UploadEpoch, limits};

const TARGET_DOMAIN: &[u8] = b"strongroom erase target v1";
const LIST_DOMAIN: &[u8] = b"strongroom erase list v1";

/// One thing to erase. Numbers are stored and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
pub enum EraseTarget {
    /// Every shard of an item: a disposal, or an upload that expired before its seal.
    #[n(0)]
    Item(#[n(0)] ItemId),
    /// What a superseded stream of an upload left of an item, from a chunk on.
    #[n(1)]
    Upload(#[n(0)] ItemId, #[n(1)] UploadEpoch, #[n(2)] ChunkIndex),
}

/// Targets in order, each once; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EraseList(Vec<EraseTarget>);

/// Why targets are no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EraseListError {
    /// There is none.
    #[error("a list of what is erased names at least one thing")]
    Empty,
    /// More than one decision takes.
    #[error("a list of what is erased names at most {max} things, found {found}")]
    TooMany {
        /// How many there are.
        found: usize,
        /// How many there may be.
        max: usize,
    },
    /// Not sorted, or one of them twice.
    #[error("a list of what is erased is in order and names each thing once")]
    OutOfOrder,
}

impl EraseList {
    /// Sorts targets and leaves out what is there twice.
    ///
    /// # Errors
    /// [`EraseListError`] where there is none, or too many.
    pub fn new(targets: impl IntoIterator<Item = EraseTarget>) -> Result<Self, EraseListError> {
        let mut targets: Vec<_> = targets.into_iter().collect();
        targets.sort_unstable();
        targets.dedup();
        Self::check(&targets)?;
        Ok(Self(targets))
    }

    /// The targets in order.
    #[must_use]
    pub fn targets(&self) -> &[EraseTarget] {
        &self.0
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// What the record commits to.
    #[must_use]
    pub fn root(&self) -> TreeHash {
        let leaves: Vec<_> = self.0.iter().map(leaf).collect();
        let digest =
            Sha256::new().chain_update(LIST_DOMAIN).chain_update(self.count().to_be_bytes()).chain_update(top(&leaves));
        TreeHash::new(digest.finalize().into())
    }

    fn check(targets: &[EraseTarget]) -> Result<(), EraseListError> {
        let (found, max) = (targets.len(), limits::ERASE_TARGETS_MAX);
        if found == 0 {
            return Err(EraseListError::Empty);
        }
        if found > max {
            return Err(EraseListError::TooMany { found, max });
        }
        if targets.is_sorted_by(|a, b| a < b) { Ok(()) } else { Err(EraseListError::OutOfOrder) }
    }
}

impl<C> minicbor::Encode<C> for EraseList {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        context: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        minicbor::Encode::encode(&self.0, encoder, context)
    }
}

impl<'b, C> minicbor::Decode<'b, C> for EraseList {
    fn decode(decoder: &mut minicbor::Decoder<'b>, context: &mut C) -> Result<Self, minicbor::decode::Error> {
        let position = decoder.position();
        let targets = Vec::<EraseTarget>::decode(decoder, context)?;
        Self::check(&targets).map_err(|error| minicbor::decode::Error::message(error).at(position))?;
        Ok(Self(targets))
    }
}

fn leaf(target: &EraseTarget) -> [u8; 32] {
    let bytes = crate::rows::encode(target);
    Sha256::new().chain_update([0]).chain_update(TARGET_DOMAIN).chain_update(bytes).finalize().into()
}

/// The top of a tree of at least one leaf.
fn top(leaves: &[[u8; 32]]) -> [u8; 32] {
    if let [only] = leaves {
        return *only;
    }
    // The greatest power of two that leaves something for the right side.
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    Sha256::new().chain_update([1]).chain_update(top(left)).chain_update(top(right)).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(number: u8) -> EraseTarget {
        EraseTarget::Item(ItemId::new([number; 16]))
    }

    fn list(numbers: &[u8]) -> EraseList {
        EraseList::new(numbers.iter().copied().map(item)).expect("a list")
    }

    // Computed with Python's hashlib from the drawing above.
    #[test]
    fn roots_are_fixed() {
        assert_eq!(list(&[1]).root().to_string(), "2d5f8dd1cd2a17c59c66438d2201d0fe6771430246d099e2f662b36c5f05560c");
        assert_eq!(
            list(&[1, 2, 3]).root().to_string(),
            "d86793425296e90933a368c68f3c098689ada933cd13590755263dd47c3ba143"
        );
        let upload = EraseTarget::Upload(ItemId::new([1; 16]), UploadEpoch(2), ChunkIndex(16));
        assert_eq!(
            EraseList::new([upload]).expect("a list").root().to_string(),
            "8764674a62a3cf61db8f8593c120275138aec3f0db1e1e548cd742bcfb26f37a"
        );
    }

    #[test]
    fn order_and_repetition_do_not_matter_and_everything_else_does() {
        assert_eq!(list(&[3, 1, 2, 1]), list(&[1, 2, 3]));
        let mut roots: Vec<_> = [&[1][..], &[2], &[1, 2], &[1, 3], &[1, 2, 3], &[1, 2, 3, 4]]
            .iter()
            .map(|numbers| list(numbers).root())
            .collect();
        roots.sort_unstable();
        roots.dedup();
        assert_eq!(roots.len(), 6);
    }

    #[test]
    fn nothing_and_too_much_are_no_list() {
        assert_eq!(EraseList::new([]), Err(EraseListError::Empty));
        let many = (0..=limits::ERASE_TARGETS_MAX)
            .map(|n| EraseTarget::Upload(ItemId::new([1; 16]), UploadEpoch(1), ChunkIndex(n as u64)));
        assert!(matches!(EraseList::new(many), Err(EraseListError::TooMany { .. })));
    }

    #[test]
    fn stored_lists_read_back_and_unordered_ones_are_refused() {
        let bytes = minicbor::to_vec(list(&[1, 2])).expect("encodes");
        assert_eq!(minicbor::decode::<EraseList>(&bytes).expect("decodes"), list(&[1, 2]));
        for wrong in [vec![item(2), item(1)], vec![item(1), item(1)], Vec::new()] {
            let bytes = minicbor::to_vec(&wrong).expect("encodes");
            assert!(minicbor::decode::<EraseList>(&bytes).is_err(), "{wrong:?} was taken");
        }
    }
}

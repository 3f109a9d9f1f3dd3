//! The BLAKE3 tree of an original, chunk by chunk: the merged values are exactly what `b3sum` prints.
//!
//! A chunk is a power of two, so it is a whole subtree and its value is computed alone, in any order and on any
//! machine; only the last may be shorter. The one exception is an original of a single chunk, whose value is the
//! plain hash: BLAKE3 finishes a root in another way than a subtree. While bytes still arrive nobody knows whether
//! chunk 0 is the only one, so [`first_chunk_values`] gives both from one pass.

use blake3::{
    Hasher,
    hazmat::{self, HasherExt, Mode},
};
use strongroom_types::{ChunkIndex, ItemDigest, SubtreeValue, limits::CHUNK_BYTES};

use crate::chunker::chunk_count;

const CHUNK: u64 = CHUNK_BYTES as u64;

/// Why values are not those of an original of this size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// As many values as the size asks for, or no digest.
    #[error("could not merge {found} subtree values: {size_bytes} bytes are {expected} chunks")]
    WrongCount {
        /// Size of the original.
        size_bytes: u64,
        /// Chunks of that size.
        expected: u64,
        /// Values that came.
        found: u64,
    },
}

/// Plain bytes that are not the chunk they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("plain chunk {index} has subtree value {found} instead of {expected}")]
pub struct WrongChunk {
    /// Position of the chunk.
    pub index: ChunkIndex,
    /// The value in the manifest.
    pub expected: SubtreeValue,
    /// The value of the bytes.
    pub found: SubtreeValue,
}

/// Both values that chunk 0 may turn out to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkValues {
    /// Its value if more chunks follow (it is full then).
    pub subtree: SubtreeValue,
    /// Its value if it is the whole original.
    pub plain_hash: SubtreeValue,
}

impl ChunkValues {
    /// The right one of the two, once it is known whether more followed.
    #[must_use]
    pub const fn settle(self, is_only_chunk: bool) -> SubtreeValue {
        if is_only_chunk { self.plain_hash } else { self.subtree }
    }
}

/// The value of the chunk at `index`, of 1 to [`CHUNK_BYTES`] bytes.
#[must_use]
pub fn chunk_value(index: ChunkIndex, is_only_chunk: bool, bytes: &[u8]) -> SubtreeValue {
    assert!(index.0 == 0 || !is_only_chunk, "an only chunk is the first");
    let hasher = hash_at(index, bytes);
    SubtreeValue::new(if is_only_chunk { *hasher.finalize().as_bytes() } else { hasher.finalize_non_root() })
}

/// Both values of chunk 0, of 1 to [`CHUNK_BYTES`] bytes, from one pass over it.
#[must_use]
pub fn first_chunk_values(bytes: &[u8]) -> ChunkValues {
    let hasher = hash_at(ChunkIndex(0), bytes);
    ChunkValues {
        subtree: SubtreeValue::new(hasher.finalize_non_root()),
        plain_hash: SubtreeValue::new(*hasher.finalize().as_bytes()),
    }
}

fn hash_at(index: ChunkIndex, bytes: &[u8]) -> Hasher {
    assert!(!bytes.is_empty(), "no chunk is empty");
    assert!(bytes.len() <= CHUNK_BYTES, "a chunk is one subtree");
    let mut hasher = Hasher::new();
    hasher.set_input_offset(index.0 * CHUNK).update(bytes);
    hasher
}

/// Compares plain bytes with the value that the manifest has for them.
///
/// # Errors
/// [`WrongChunk`] if they are other bytes, or bytes of another position.
pub fn verify_chunk_value(
    index: ChunkIndex,
    is_only_chunk: bool,
    bytes: &[u8],
    expected: &SubtreeValue,
) -> Result<(), WrongChunk> {
    let found = chunk_value(index, is_only_chunk, bytes);
    if found == *expected { Ok(()) } else { Err(WrongChunk { index, expected: *expected, found }) }
}

/// Merges the values of all chunks, in order, into the digest of the original.
///
/// # Errors
/// [`TreeError::WrongCount`] if there are more or fewer values than an original of this size has chunks.
pub fn item_digest(values: &[SubtreeValue], size_bytes: u64) -> Result<ItemDigest, TreeError> {
    let (expected, found) = (chunk_count(size_bytes), values.len() as u64);
    if expected != found {
        return Err(TreeError::WrongCount { size_bytes, expected, found });
    }
    Ok(ItemDigest::new(match values {
        [] => *blake3::hash(&[]).as_bytes(),
        [only] => *only.as_bytes(),
        more => {
            let (left, right) = children(more);
            *hazmat::merge_subtrees_root(&left, &right, Mode::Hash).as_bytes()
        }
    }))
}

/// Values of the two children of the node above these chunks (two or more). At most 18 levels deep for 1 TiB.
fn children(values: &[SubtreeValue]) -> ([u8; 32], [u8; 32]) {
    // The left child is the largest whole subtree that leaves something to the right. That depends on the number
    // of chunks alone, because the tail, however ragged, is never empty.
    let (left, right) = values.split_at(values.len().div_ceil(2).next_power_of_two());
    (subtree(left), subtree(right))
}

fn subtree(values: &[SubtreeValue]) -> [u8; 32] {
    if let [only] = values {
        return *only.as_bytes();
    }
    let (left, right) = children(values);
    hazmat::merge_subtrees_non_root(&left, &right, Mode::Hash)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::pattern;

    fn values_of(original: &[u8]) -> Vec<SubtreeValue> {
        let is_only_chunk = original.len() <= CHUNK_BYTES;
        let chunks = original.chunks(CHUNK_BYTES).zip(0..);
        chunks.map(|(bytes, index)| chunk_value(ChunkIndex(index), is_only_chunk, bytes)).collect()
    }

    #[track_caller]
    fn check(original: &[u8]) {
        let digest = item_digest(&values_of(original), original.len() as u64).expect("the count fits");
        assert_eq!(digest.as_bytes(), blake3::hash(original).as_bytes(), "{} bytes", original.len());
    }

    #[test]
    fn merged_values_are_the_plain_hash_for_every_ragged_tail() {
        let original = pattern(9 * CHUNK_BYTES + 1);
        for chunks in 0..=9 {
            for tail in [0, 1, 63, 1024, 1025, 65_537, CHUNK_BYTES - 1] {
                let size = chunks * CHUNK_BYTES + tail;
                if size <= original.len() {
                    check(&original[..size]);
                }
            }
        }
    }

    #[test]
    fn the_digest_of_nothing_is_the_one_b3sum_prints() {
        let digest = item_digest(&[], 0).expect("no chunks");
        assert_eq!(digest.to_string(), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
    }

    #[test]
    fn chunk_0_has_both_values_from_one_pass() {
        let original = pattern(CHUNK_BYTES + 1);
        let full = &original[..CHUNK_BYTES];
        let values = first_chunk_values(full);
        assert_eq!(values.settle(true), chunk_value(ChunkIndex(0), true, full));
        assert_eq!(values.settle(false), chunk_value(ChunkIndex(0), false, full));
        assert_ne!(values.subtree, values.plain_hash);
        assert_eq!(values.plain_hash.as_bytes(), blake3::hash(full).as_bytes());
        assert_eq!(values.subtree, values_of(&original)[0]);
    }

    #[test]
    fn a_changed_bit_and_a_moved_chunk_are_found() {
        let mut bytes = pattern(CHUNK_BYTES).to_vec();
        let value = chunk_value(ChunkIndex(3), false, &bytes);
        assert_eq!(verify_chunk_value(ChunkIndex(3), false, &bytes, &value), Ok(()));
        let moved = verify_chunk_value(ChunkIndex(4), false, &bytes, &value).expect_err("another position");
        assert_eq!((moved.index, moved.expected), (ChunkIndex(4), value));
        bytes[CHUNK_BYTES - 1] ^= 1;
        assert!(verify_chunk_value(ChunkIndex(3), false, &bytes, &value).is_err());
    }

    #[test]
    fn values_missing_or_left_over_give_no_digest() {
        let values = values_of(&pattern(2 * CHUNK_BYTES));
        let error = item_digest(&values, 2 * CHUNK + 1).expect_err("a value is missing");
        assert_eq!(error, TreeError::WrongCount { size_bytes: 2 * CHUNK + 1, expected: 3, found: 2 });
        assert!(item_digest(&values, CHUNK).is_err());
        assert!(item_digest(&values, 0).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn any_size_merges_to_the_plain_hash(size in 0..6 * CHUNK_BYTES) {
            check(&pattern(size));
        }
    }
}

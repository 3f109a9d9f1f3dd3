//! One leaf of the ledger: where, when, and a commitment to what.
//!
//! The canonical CBOR bytes are the leaf data of the tree; their RFC 6962 hash is what proofs are about.

use strongroom_types::{RecordSeq, TreeHash, UnixMillis};

use crate::commitment::Commitment;

/// Largest encoding of a leaf in bytes: an array head, two integers of nine and a byte string of 34.
pub const LEAF_BYTES_MAX: usize = 1 + 9 + 9 + 34;

/// A leaf of the tree. Stored for good; holds nothing about anyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Leaf {
    /// Position in the tree, from 0.
    #[n(0)]
    pub seq: RecordSeq,
    /// The compliance clock T when the record was appended.
    #[n(1)]
    pub clock: UnixMillis,
    /// Salted commitment to the record's bytes.
    #[n(2)]
    pub commitment: Commitment,
}

/// Bytes that are not a leaf, or not its one spelling.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not read the leaf: {0}")]
pub struct LeafError(String);

impl Leaf {
    /// The leaf data of the tree.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        strongroom_types::rows::encode(self)
    }

    /// Reads leaf data; only the canonical bytes are taken.
    ///
    /// # Errors
    /// [`LeafError`] for anything that [`Leaf::to_bytes`] does not write.
    pub fn parse_canonical(bytes: &[u8]) -> Result<Self, LeafError> {
        let leaf: Self = minicbor::decode(bytes).map_err(|error| LeafError(error.to_string()))?;
        if leaf.to_bytes() == bytes { Ok(leaf) } else { Err(LeafError("not in canonical form".to_owned())) }
    }

    /// The RFC 6962 leaf hash: SHA-256(0x00 ‖ leaf data).
    #[must_use]
    pub fn hash(&self) -> TreeHash {
        TreeHash::new(tlog_tiles::record_hash(&self.to_bytes()).0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaf() -> Leaf {
        Leaf { seq: RecordSeq(300), clock: UnixMillis(1_767_225_600_123), commitment: Commitment::new([0xc0; 32]) }
    }

    #[test]
    fn the_bytes_and_the_hash_of_a_leaf_are_fixed() {
        // Array of three; 300; 1 767 225 600 123; byte string of 32.
        let bytes = format!("8319012c1b0000019b76daa87b5820{}", "c0".repeat(32));
        assert_eq!(hex::encode(leaf().to_bytes()), bytes);
        assert_eq!(
            leaf().hash().to_string(),
            "57f1d85fb5549bd0060d60b21ee3830b81d5b8a41ca35a41093089cceabb39d3",
            "SHA-256 of a zero byte and these bytes"
        );
        assert!(leaf().to_bytes().len() <= LEAF_BYTES_MAX);
    }

    #[test]
    fn a_second_spelling_of_a_leaf_is_refused() {
        let bytes = leaf().to_bytes();
        let longer_integer = [&[0x83, 0x1a, 0, 0, 0x01, 0x2c], &bytes[4..]].concat();
        let indefinite = [&[0x9f], &bytes[1..], &[0xff]].concat();
        let trailing = [&bytes[..], &[0]].concat();
        let wider = [&[0x84], &bytes[1..], &[0]].concat();
        for other in [longer_integer, indefinite, trailing, wider, bytes[..bytes.len() - 1].to_vec(), vec![]] {
            assert!(Leaf::parse_canonical(&other).is_err(), "{} was taken", hex::encode(&other));
        }
        assert_eq!(Leaf::parse_canonical(&bytes), Ok(leaf()));
    }

    #[test]
    fn every_flipped_bit_is_refused_or_gives_another_hash() {
        crate::testing::each_flip(&leaf().to_bytes(), |bytes| {
            Leaf::parse_canonical(bytes).map_or(true, |other| other.hash() != leaf().hash())
        });
    }

    proptest! {
        #[test]
        fn leaves_round_trip(seq: u64, clock: i64, commitment: [u8; 32]) {
            let leaf = Leaf { seq: RecordSeq(seq), clock: UnixMillis(clock), commitment: Commitment::new(commitment) };
            prop_assert!(leaf.to_bytes().len() <= LEAF_BYTES_MAX);
            prop_assert_eq!(Leaf::parse_canonical(&leaf.to_bytes()), Ok(leaf));
        }

        #[test]
        fn random_bytes_are_a_leaf_only_if_they_are_its_bytes(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(leaf) = Leaf::parse_canonical(&bytes) {
                prop_assert_eq!(leaf.to_bytes(), bytes);
            }
        }
    }
}

//! Digest of the whole state, kept up to date row by row, so that replicas can be compared at the same entry.
//!
//! It is a sum: each row counts as a 512-bit number (BLAKE3 of table, key and value, extended), and the state as
//! their sum modulo 2^512. A changed row costs one subtraction and one addition, and the order of changes does not
//! matter. It finds replicas that drifted apart. It is no commitment against somebody who chooses rows with
//! that in mind; the ledger is for that.

use std::collections::VecDeque;

use strongroom_types::rows::TableId;

/// Entries whose digest is remembered, so that replicas a little apart can still be compared.
const REMEMBERED: usize = 4096;

/// Sum over all rows, as a little-endian number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StateDigest([u64; 8]);

impl StateDigest {
    /// The digest of no rows.
    pub(crate) const EMPTY: Self = Self([0; 8]);

    pub(crate) fn from_bytes(bytes: &[u8; 64]) -> Self {
        let mut limbs = [0; 8];
        for (limb, chunk) in limbs.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *limb = u64::from_le_bytes(*chunk);
        }
        Self(limbs)
    }

    pub(crate) fn to_bytes(self) -> [u8; 64] {
        let mut bytes = [0; 64];
        for (chunk, limb) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *chunk = limb.to_le_bytes();
        }
        bytes
    }

    /// Takes a row in.
    pub(crate) fn add(&mut self, table: TableId, key: &[u8], value: &[u8]) {
        let mut carry = false;
        for (limb, term) in self.0.iter_mut().zip(row_number(table, key, value).0) {
            let (sum, over) = limb.overflowing_add(term);
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            *limb = sum;
            carry = over || over_again;
        }
    }

    /// Takes a row out.
    pub(crate) fn subtract(&mut self, table: TableId, key: &[u8], value: &[u8]) {
        let mut borrow = false;
        for (limb, term) in self.0.iter_mut().zip(row_number(table, key, value).0) {
            let (rest, under) = limb.overflowing_sub(term);
            let (rest, under_again) = rest.overflowing_sub(u64::from(borrow));
            *limb = rest;
            borrow = under || under_again;
        }
    }
}

fn row_number(table: TableId, key: &[u8], value: &[u8]) -> StateDigest {
    let mut hasher = blake3::Hasher::new_derive_key("strongroom 2026 state digest row");
    hasher.update(&[table.0]);
    hasher.update(&u64::try_from(key.len()).expect("a length fits 64 bits").to_be_bytes());
    hasher.update(key);
    hasher.update(value);
    let mut bytes = [0; 64];
    hasher.finalize_xof().fill(&mut bytes);
    StateDigest::from_bytes(&bytes)
}

/// The digests after the latest entries.
#[derive(Debug, Default)]
pub(crate) struct RecentDigests {
    digests: VecDeque<(u64, [u8; 64])>,
}

impl RecentDigests {
    pub(crate) fn push(&mut self, index: u64, digest: StateDigest) {
        if self.digests.len() == REMEMBERED {
            self.digests.pop_front();
        }
        self.digests.push_back((index, digest.to_bytes()));
    }

    pub(crate) fn clear(&mut self) {
        self.digests.clear();
    }

    pub(crate) fn at(&self, index: u64) -> Option<[u8; 64]> {
        let position = self.digests.binary_search_by_key(&index, |(index, _)| *index).ok()?;
        Some(self.digests[position].1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_state_is_zero_and_one_row_has_its_golden_digest() {
        assert_eq!(StateDigest::EMPTY.to_bytes(), [0; 64]);
        let mut digest = StateDigest::EMPTY;
        digest.add(TableId(7), b"key", b"value");
        assert_eq!(
            digest.to_bytes().map(|byte| format!("{byte:02x}")).concat(),
            "7ff3f7c7b2d0ebe6f49404616e21300acd1e0002eafe838b36cc8c89a6a9dd48\
             42dc9481f5219c5086c53fb89d95bb8ba38e76f9dfcb4d787be7dd0b4a43108e",
        );
    }

    #[test]
    fn the_boundary_between_key_and_value_counts() {
        let of = |key: &[u8], value: &[u8]| {
            let mut digest = StateDigest::EMPTY;
            digest.add(TableId(7), key, value);
            digest
        };
        assert_ne!(of(b"ab", b"c"), of(b"a", b"bc"));
    }

    #[test]
    fn only_the_latest_digests_are_remembered() {
        let mut recent = RecentDigests::default();
        for index in 0..=u64::try_from(REMEMBERED).unwrap() {
            recent.push(index, StateDigest([index; 8]));
        }
        assert_eq!(recent.at(0), None);
        assert_eq!(recent.at(1), Some(StateDigest([1; 8]).to_bytes()));
    }

    proptest! {
        #[test]
        fn the_order_of_changes_does_not_matter_and_taking_out_undoes_putting_in(
            rows in proptest::collection::btree_map(any::<Vec<u8>>(), any::<Vec<u8>>(), 0..20),
            removed in any::<proptest::sample::Index>(),
        ) {
            let mut forward = StateDigest::EMPTY;
            let mut backward = StateDigest::EMPTY;
            rows.iter().for_each(|(key, value)| forward.add(TableId(1), key, value));
            rows.iter().rev().for_each(|(key, value)| backward.add(TableId(1), key, value));
            prop_assert_eq!(forward, backward);
            prop_assert_eq!(StateDigest::from_bytes(&forward.to_bytes()), forward);
            if !rows.is_empty() {
                let (key, value) = rows.iter().nth(removed.index(rows.len())).unwrap();
                forward.subtract(TableId(1), key, value);
                let mut others = StateDigest::EMPTY;
                rows.iter().filter(|(other, _)| *other != key).for_each(|(k, v)| others.add(TableId(1), k, v));
                prop_assert_eq!(forward, others);
            }
        }
    }
}

//! The hash of a set of rows, kept up to date row by row: what counts is which rows there are, not in which order they came.
//!
//! It is LtHash (Bellare and Micciancio, EUROCRYPT 1997; Lewi, Kim, Maykov and Weis, ePrint 2019/227) with 1024 lanes
//! of 16 bits: each row counts as a vector of 1024 numbers, its BLAKE3 extended to 2048 bytes, and a set as their sum, lane
//! by lane modulo 2^16. A changed row costs one subtraction and one addition. Whoever finds two sets with one sum has
//! solved a short-integer-solution problem of that size, which is out of reach; a sum of 512 bits, or XOR, would not be.

use strongroom_types::rows::TableId;

/// Lanes of the sum.
const LANES: usize = 1024;
/// Bytes of the sum as it is stored.
pub const SUM_BYTES: usize = LANES * 2;

/// The sum over a set of rows.
#[derive(Clone, PartialEq, Eq)]
pub struct SetHash(Box<[u16; LANES]>);

impl Default for SetHash {
    /// Of no rows.
    fn default() -> Self {
        Self(Box::new([0; LANES]))
    }
}

impl std::fmt::Debug for SetHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SetHash({})", strongroom_types::ItemDigest::new(self.digest()))
    }
}

impl SetHash {
    /// Takes a row in.
    pub fn add(&mut self, table: TableId, key: &[u8], value: &[u8]) {
        self.each(table, key, value, u16::wrapping_add);
    }

    /// Takes a row out.
    pub fn subtract(&mut self, table: TableId, key: &[u8], value: &[u8]) {
        self.each(table, key, value, u16::wrapping_sub);
    }

    /// The sum as it is stored: the lanes in order, little-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|lane| lane.to_le_bytes()).collect()
    }

    /// Reads a stored sum; none where it has another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (lanes, rest) = bytes.as_chunks::<2>();
        let lanes: Vec<_> = lanes.iter().map(|lane| u16::from_le_bytes(*lane)).collect();
        rest.is_empty().then_some(())?;
        Some(Self(Box::new(<[u16; LANES]>::try_from(lanes).ok()?)))
    }

    /// What a record says of the set: BLAKE3 of the sum.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        blake3::derive_key("strongroom 2026 retention digest", &self.to_bytes())
    }

    fn each(&mut self, table: TableId, key: &[u8], value: &[u8], change: fn(u16, u16) -> u16) {
        let mut hasher = blake3::Hasher::new_derive_key("strongroom 2026 retention row");
        hasher.update(&[table.0]);
        // The length parts key from value.
        hasher.update(&u64::try_from(key.len()).expect("a length fits 64 bits").to_be_bytes());
        hasher.update(key);
        hasher.update(value);
        let mut bytes = [0; SUM_BYTES];
        hasher.finalize_xof().fill(&mut bytes);
        for (lane, term) in self.0.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *lane = change(*lane, u16::from_le_bytes(*term));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TABLE: TableId = TableId(8);

    fn of(rows: &[(&[u8], &[u8])]) -> SetHash {
        let mut sum = SetHash::default();
        rows.iter().for_each(|(key, value)| sum.add(TABLE, key, value));
        sum
    }

    #[test]
    fn bytes_are_fixed() {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let one = of(&[(b"key", b"value")]);
        assert_eq!(one.to_bytes().len(), SUM_BYTES);
        let told = [hex(&one.to_bytes()[..16]), hex(&one.digest()), hex(&SetHash::default().digest())];
        let expected = [
            "f20d40a00befff17bc379bc25b2c6ba1",
            "366a8c9724c03db1260c8b2728b733f67bb03ba07358ec1d8b4ac25415412b4c",
            "ef752e2fee23d8bb217ccd745e57c0a45d2d009c027be9e0d54ab55f3816b17d",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn table_key_and_value_each_count() {
        let mut other = SetHash::default();
        other.add(TableId(9), b"ab", b"c");
        let one = of(&[(b"ab", b"c")]);
        assert_ne!(one, other);
        assert_ne!(one, of(&[(b"a", b"bc")]));
        assert_ne!(one, of(&[(b"ab", b"d")]));
        // Taking a row twice is no way to hide it, as it would be with XOR.
        assert_ne!(of(&[(b"ab", b"c"), (b"ab", b"c")]), SetHash::default());
    }

    #[test]
    fn only_bytes_of_the_right_length_are_a_sum() {
        let sum = of(&[(b"key", b"value")]);
        assert_eq!(SetHash::from_bytes(&sum.to_bytes()), Some(sum.clone()));
        for length in [0, SUM_BYTES - 2, SUM_BYTES - 1] {
            assert_eq!(SetHash::from_bytes(&sum.to_bytes()[..length]), None);
        }
        assert_eq!(SetHash::from_bytes(&[sum.to_bytes(), vec![0]].concat()), None);
    }

    proptest! {
        #[test]
        fn the_order_does_not_count_and_taking_out_undoes_taking_in(
            rows in proptest::collection::btree_map(any::<Vec<u8>>(), any::<Vec<u8>>(), 1..12),
            removed in any::<proptest::sample::Index>(),
        ) {
            let rows: Vec<_> = rows.iter().map(|(key, value)| (key.as_slice(), value.as_slice())).collect();
            let mut sum = of(&rows);
            let reversed: Vec<_> = rows.iter().rev().copied().collect();
            prop_assert_eq!(&sum, &of(&reversed));
            let gone = removed.index(rows.len());
            sum.subtract(TABLE, rows[gone].0, rows[gone].1);
            let others: Vec<_> = rows.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, row)| *row).collect();
            prop_assert_eq!(sum, of(&others));
        }
    }
}

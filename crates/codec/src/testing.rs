//! Bytes for tests: cheap to make, never periodic at a chunk or shard boundary.

use bytes::Bytes;

/// `len` pseudo-random bytes, always the same.
pub(crate) fn pattern(len: usize) -> Bytes {
    seeded(len, 0x9e37_79b9_7f4a_7c15)
}

/// `len` pseudo-random bytes, the same for the same seed (xorshift64*).
pub(crate) fn seeded(len: usize, seed: u64) -> Bytes {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}

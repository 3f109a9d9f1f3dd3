//! Originals for tests.

/// Bytes that differ from place to place and from seed to seed, and do not compress.
#[must_use]
pub fn bytes(length: usize, seed: u64) -> Vec<u8> {
    // xorshift64, spread over all seeds by an odd multiplier.
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_be_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn lengths_are_exact_and_seeds_differ() {
        assert!([0, 1, 7, 8, 9, 4096].iter().all(|&length| bytes(length, 3).len() == length));
        assert_eq!(bytes(100, 3), bytes(100, 3));
        assert_ne!(bytes(100, 2), bytes(100, 3));
    }
}

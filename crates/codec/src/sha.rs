//! SHA-256 of a whole original, the digest that courts ask for, as a stream that can be broken off and resumed.
//!
//! The state after a whole number of 64-byte blocks (a midstate) is committed with each step of progress, so that
//! another node goes on hashing where the first stopped. The compression function is that of `sha2`, which uses the
//! processor's SHA instructions where it has them.

use sha2::block_api::compress256;
use strongroom_types::Sha256Digest;

/// Bytes that one compression takes.
pub const BLOCK_BYTES: usize = 64;

const LENGTH_AT: usize = BLOCK_BYTES - size_of::<u64>();

/// Initial state: FIPS 180-4, 5.3.3.
const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The state after a whole number of blocks.
///
/// Stored as CBOR: `[state as 32 bytes big-endian, bytes hashed so far]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sha256Midstate {
    state: [u32; 8],
    bytes: u64,
}

impl Sha256Midstate {
    /// The state before the first byte.
    pub const START: Self = Self { state: START, bytes: 0 };

    /// The state after `bytes` bytes; none if these are not whole blocks.
    #[must_use]
    pub const fn new(state: [u32; 8], bytes: u64) -> Option<Self> {
        if bytes.is_multiple_of(BLOCK_BYTES as u64) { Some(Self { state, bytes }) } else { None }
    }

    /// The eight words.
    #[must_use]
    pub const fn state(&self) -> [u32; 8] {
        self.state
    }

    /// How many bytes went in.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Hashes bytes as they come.
#[derive(Clone, Debug)]
pub struct Sha256Stream {
    state: [u32; 8],
    bytes: u64,
    // The first `bytes % BLOCK_BYTES` bytes are those of the block that is not yet full.
    partial: [u8; BLOCK_BYTES],
}

impl Default for Sha256Stream {
    fn default() -> Self {
        Self::new()
    }
}

impl Sha256Stream {
    /// Starts at the first byte.
    #[must_use]
    pub const fn new() -> Self {
        Self::resume(Sha256Midstate::START)
    }

    /// Goes on where the midstate was taken.
    #[must_use]
    pub const fn resume(from: Sha256Midstate) -> Self {
        Self { state: from.state, bytes: from.bytes, partial: [0; BLOCK_BYTES] }
    }

    /// How many bytes went in, those before the midstate included.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        let filled = self.filled();
        self.bytes += bytes.len() as u64;
        if filled > 0 {
            let taken = bytes.len().min(BLOCK_BYTES - filled);
            self.partial[filled..filled + taken].copy_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if filled + taken < BLOCK_BYTES {
                return;
            }
            compress256(&mut self.state, &[self.partial]);
        }
        let (blocks, rest) = bytes.as_chunks::<BLOCK_BYTES>();
        compress256(&mut self.state, blocks);
        self.partial[..rest.len()].copy_from_slice(rest);
    }

    /// The state here, if this is the end of a block.
    #[must_use]
    pub const fn midstate(&self) -> Option<Sha256Midstate> {
        Sha256Midstate::new(self.state, self.bytes)
    }

    /// The digest of all bytes.
    #[must_use]
    pub fn finish(mut self) -> Sha256Digest {
        let filled = self.filled();
        // A one bit, zeros, and the length in bits (modulo 2^64, as FIPS 180-4 bounds it) at the end of a block.
        self.partial[filled] = 0x80;
        self.partial[filled + 1..].fill(0);
        if filled >= LENGTH_AT {
            compress256(&mut self.state, &[self.partial]);
            self.partial.fill(0);
        }
        self.partial[LENGTH_AT..].copy_from_slice(&self.bytes.wrapping_mul(8).to_be_bytes());
        compress256(&mut self.state, &[self.partial]);
        Sha256Digest::new(to_bytes(&self.state))
    }

    fn filled(&self) -> usize {
        // Below 64, so nothing is cut off.
        self.bytes.to_le_bytes()[0] as usize % BLOCK_BYTES
    }
}

fn to_bytes(state: &[u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (four, word) in bytes.chunks_exact_mut(4).zip(state) {
        four.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}

fn from_bytes(bytes: &[u8; 32]) -> [u32; 8] {
    let (words, _) = bytes.as_chunks::<4>();
    std::array::from_fn(|at| u32::from_be_bytes(words[at]))
}

#[derive(minicbor::Encode, minicbor::Decode)]
struct StoredMidstate {
    #[cbor(n(0), with = "minicbor::bytes")]
    state: [u8; 32],
    #[n(1)]
    bytes: u64,
}

impl<C> minicbor::Encode<C> for Sha256Midstate {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        context: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        StoredMidstate { state: to_bytes(&self.state), bytes: self.bytes }.encode(encoder, context)
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Sha256Midstate {
    fn decode(decoder: &mut minicbor::Decoder<'b>, context: &mut C) -> Result<Self, minicbor::decode::Error> {
        let position = decoder.position();
        let stored = StoredMidstate::decode(decoder, context)?;
        Self::new(from_bytes(&stored.state), stored.bytes)
            .ok_or_else(|| minicbor::decode::Error::message("a midstate is taken between blocks").at(position))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::Digest;

    use super::*;
    use crate::testing::pattern;

    fn digest_of(bytes: &[u8]) -> Sha256Digest {
        let mut stream = Sha256Stream::new();
        stream.update(bytes);
        stream.finish()
    }

    fn plain(bytes: &[u8]) -> Sha256Digest {
        Sha256Digest::new(sha2::Sha256::digest(bytes).into())
    }

    #[test]
    fn fixed_vectors_are_what_sha256sum_prints() {
        for (text, expected) in [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
        ] {
            assert_eq!(digest_of(text.as_bytes()).to_string(), expected, "{text:?}");
        }
    }

    #[test]
    fn every_length_around_the_padding_agrees_with_sha2() {
        let bytes = pattern(200);
        for len in 0..=bytes.len() {
            assert_eq!(digest_of(&bytes[..len]), plain(&bytes[..len]), "{len} bytes");
        }
    }

    #[test]
    fn there_is_a_midstate_between_blocks_only() {
        let mut stream = Sha256Stream::new();
        assert_eq!(stream.midstate(), Some(Sha256Midstate::START));
        stream.update(&[7; 63]);
        assert_eq!(stream.midstate(), None);
        stream.update(&[7]);
        assert_eq!(stream.midstate().map(|midstate| midstate.bytes()), Some(64));
        assert_eq!(Sha256Midstate::new(START, 65), None);
    }

    #[test]
    fn the_stored_midstate_has_these_bytes() {
        let mut stream = Sha256Stream::new();
        stream.update(&[0x61; 128]);
        let midstate = stream.midstate().expect("two blocks");
        let stored = minicbor::to_vec(midstate).expect("encodes");
        // The state was calculated apart from this crate, from the text of FIPS 180-4.
        assert_eq!(
            hex::encode(&stored),
            concat!("82", "5820eac1afff7e2fe3745215a1576aea3c451df0539e97f91d40f96170a75b4dc721", "1880")
        );
        assert_eq!(minicbor::decode::<Sha256Midstate>(&stored).expect("decodes"), midstate);
    }

    #[test]
    fn a_stored_midstate_inside_a_block_does_not_decode() {
        let stored = minicbor::to_vec(StoredMidstate { state: [1; 32], bytes: 100 }).expect("encodes");
        assert!(minicbor::decode::<Sha256Midstate>(&stored).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn pieces_and_a_resume_agree_with_sha2(
            len in 0..5000_usize,
            pieces in prop::collection::vec(1..300_usize, 1..20),
            resume_block in 0..80_usize,
        ) {
            let bytes = pattern(len);
            let split = (resume_block * BLOCK_BYTES).min(len / BLOCK_BYTES * BLOCK_BYTES);
            let mut first = Sha256Stream::new();
            first.update(&bytes[..split]);
            let stored = minicbor::to_vec(first.midstate().expect("between blocks")).expect("encodes");
            let mut second = Sha256Stream::resume(minicbor::decode(&stored).expect("decodes"));
            let (mut rest, mut sizes) = (&bytes[split..], pieces.into_iter().cycle());
            while !rest.is_empty() {
                let (piece, later) = rest.split_at(sizes.next().expect("cycles").min(rest.len()));
                second.update(piece);
                rest = later;
            }
            prop_assert_eq!(second.bytes(), len as u64);
            prop_assert_eq!(second.finish(), plain(&bytes));
        }
    }
}

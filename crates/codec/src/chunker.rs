//! Cuts the incoming bytes of an original into chunks of [`CHUNK_BYTES`], whatever the sizes they arrive in.
//!
//! Every byte is copied once, into a buffer that is later sealed and cut into shards where it stands: each buffer
//! carries room for the zeros that make it divisible by any scheme. A chunk is handed out as soon as it is full; the
//! last one, usually shorter, at [`Chunker::finish`]. No chunk is ever empty, so an empty original has none.

use bytes::{Buf, Bytes, BytesMut};
use strongroom_types::{ChunkIndex, limits::CHUNK_BYTES};

use crate::erasure;

const CHUNK: u64 = CHUNK_BYTES as u64;

/// How many chunks an original of this size has.
#[must_use]
pub const fn chunk_count(size_bytes: u64) -> u64 {
    size_bytes.div_ceil(CHUNK)
}

/// How many plain bytes the chunk at `index` of an original of this size has; none if there is no such chunk.
#[must_use]
pub fn chunk_bytes(size_bytes: u64, index: ChunkIndex) -> Option<usize> {
    let start = index.0.checked_mul(CHUNK)?;
    let left = size_bytes.checked_sub(start).filter(|left| *left > 0)?;
    Some(usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES)))
}

/// A chunk of an original before it is sealed.
#[derive(Debug, PartialEq, Eq)]
pub struct PlainChunk {
    /// Its position.
    pub index: ChunkIndex,
    /// Its bytes, with room behind them for [`erasure::PADDING_BYTES_MAX`] zeros.
    pub bytes: BytesMut,
}

/// Collects pieces of one original, in order, into chunks.
#[derive(Debug, Default)]
pub struct Chunker {
    next: ChunkIndex,
    filling: BytesMut,
}

impl Chunker {
    /// Starts at the first byte of an original.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on at the first byte of the chunk at `next`, all before it being stored already.
    #[must_use]
    pub fn resume(next: ChunkIndex) -> Self {
        Self { next, filling: BytesMut::new() }
    }

    /// Bytes of the original up to here: the position of the next byte to push.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.next.0 * CHUNK + self.filling.len() as u64
    }

    /// Takes the next piece and gives the chunks that it filled, none or many.
    pub fn push(&mut self, mut piece: Bytes) -> impl Iterator<Item = PlainChunk> + use<> {
        let mut full = Vec::new();
        while !piece.is_empty() {
            if self.filling.capacity() == 0 {
                self.filling = erasure::chunk_buffer();
            }
            let taken = piece.len().min(CHUNK_BYTES - self.filling.len());
            self.filling.extend_from_slice(&piece[..taken]);
            piece.advance(taken);
            if self.filling.len() == CHUNK_BYTES {
                full.push(self.cut());
            }
        }
        full.into_iter()
    }

    /// Ends the original and gives its last chunk, unless that was full and handed out already.
    #[must_use]
    pub fn finish(mut self) -> Option<PlainChunk> {
        (!self.filling.is_empty()).then(|| self.cut())
    }

    fn cut(&mut self) -> PlainChunk {
        let index = self.next;
        self.next.0 += 1;
        PlainChunk { index, bytes: std::mem::take(&mut self.filling) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::pattern;

    fn chunks_of(original: &Bytes, piece_sizes: impl Iterator<Item = usize>) -> Vec<PlainChunk> {
        let (mut chunker, mut chunks, mut at) = (Chunker::new(), Vec::new(), 0);
        for size in piece_sizes {
            let end = (at + size).min(original.len());
            chunks.extend(chunker.push(original.slice(at..end)));
            at = end;
            assert_eq!(chunker.offset(), at as u64);
            if at == original.len() {
                break;
            }
        }
        chunks.extend(chunker.finish());
        chunks
    }

    #[track_caller]
    fn check(original: &Bytes, piece_sizes: impl Iterator<Item = usize>) {
        let chunks = chunks_of(original, piece_sizes);
        let size_bytes = original.len() as u64;
        assert_eq!(chunks.len() as u64, chunk_count(size_bytes));
        for (index, (chunk, expected)) in chunks.iter().zip(original.chunks(CHUNK_BYTES)).enumerate() {
            assert_eq!(chunk.index, ChunkIndex(index as u64));
            assert_eq!(Some(chunk.bytes.len()), chunk_bytes(size_bytes, chunk.index));
            assert!(chunk.bytes == expected, "chunk {index} holds other bytes");
            assert!(chunk.bytes.capacity() >= chunk.bytes.len() + erasure::PADDING_BYTES_MAX);
        }
    }

    #[test]
    fn sizes_around_a_chunk_are_cut_where_they_should_be() {
        for size in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES] {
            let original = pattern(size);
            for piece in [1 << 20, CHUNK_BYTES, 3 * CHUNK_BYTES] {
                check(&original, std::iter::repeat(piece));
            }
        }
    }

    #[test]
    fn a_resumed_original_goes_on_counting() {
        let mut chunker = Chunker::resume(ChunkIndex(16));
        assert_eq!(chunker.offset(), 16 * CHUNK);
        assert_eq!(chunker.push(Bytes::from_static(b"on")).count(), 0);
        assert_eq!(chunker.offset(), 16 * CHUNK + 2);
        let last = chunker.finish().expect("two bytes are a chunk");
        assert_eq!((last.index, &last.bytes[..]), (ChunkIndex(16), b"on".as_slice()));
    }

    #[test]
    fn lengths_outside_an_original_do_not_exist() {
        for (size_bytes, index, expected) in [
            (0, 0, None),
            (1, 0, Some(1)),
            (1, 1, None),
            (CHUNK, 1, None),
            (CHUNK + 5, 1, Some(5)),
            (u64::MAX, u64::MAX, None),
            (u64::MAX, 0, Some(CHUNK_BYTES)),
        ] {
            assert_eq!(chunk_bytes(size_bytes, ChunkIndex(index)), expected, "chunk {index} of {size_bytes}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn pieces_of_any_sizes_give_the_same_chunks(
            size in 0..3 * CHUNK_BYTES,
            pieces in prop::collection::vec(0..2 * CHUNK_BYTES, 1..6),
        ) {
            prop_assume!(pieces.iter().any(|piece| *piece > 0));
            check(&pattern(size), pieces.into_iter().cycle());
        }
    }
}

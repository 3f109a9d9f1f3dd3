//! Erasure coding: a sealed chunk to k + m equal shards, and back from any k of them.
//!
//! The data shards are the sealed chunk itself, cut; behind its end come zeros, at most [`PADDING_BYTES_MAX`] in
//! all. Encoding copies no full data shard, and none at all where the buffer has room for the zeros
//! ([`chunk_buffer`] makes such buffers). Decoding writes the chunk once, into a buffer that is then opened in place.
//!
//! [`decode_verified`] is the way back for everything that is read: it believes no shard. What it returns has the name
//! that was asked for, and shards that are not those of that chunk are named as liars. [`reconstruct`] and
//! [`reconstruct_shard`] only calculate; their callers compare names themselves.

use bytes::{Bytes, BytesMut};
use strongroom_types::{
    ErasureScheme, ShardIndex,
    limits::{CHUNK_BYTES, DATA_SHARDS_MAX},
};

mod code;
mod verified;

pub use verified::{COMBINATIONS_MAX, DecodeError, Decoded, decode_verified, decode_verified_within};

use code::Code;

/// Most zeros behind a sealed chunk that make it divisible by a scheme.
pub const PADDING_BYTES_MAX: usize = DATA_SHARDS_MAX as usize - 1;

/// Why shards do not give what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReconstructError {
    /// One place for each shard of the scheme, or it is unclear which is which.
    #[error("could not reconstruct: {found} places for the {expected} shards of {scheme}")]
    WrongCount {
        /// The scheme.
        scheme: ErasureScheme,
        /// Its k + m.
        expected: usize,
        /// Places that came.
        found: usize,
    },
    /// Fewer shards than k.
    #[error("could not reconstruct: {scheme} needs {} shards, found {found}", scheme.data())]
    TooFew {
        /// The scheme.
        scheme: ErasureScheme,
        /// Shards that came.
        found: usize,
    },
    /// A shard of another length than the others, or than the chunk's.
    #[error("could not reconstruct: shard {index} has {found} bytes instead of {expected}")]
    WrongLength {
        /// The shard.
        index: ShardIndex,
        /// What it should have.
        expected: usize,
        /// What it has.
        found: usize,
    },
    /// A shard that the scheme does not have.
    #[error("could not reconstruct: {scheme} has no shard {index}")]
    NoSuchShard {
        /// The scheme.
        scheme: ErasureScheme,
        /// The shard asked for.
        index: ShardIndex,
    },
}

/// An empty buffer for one chunk, with room for the zeros behind it.
#[must_use]
pub fn chunk_buffer() -> BytesMut {
    BytesMut::with_capacity(CHUNK_BYTES + PADDING_BYTES_MAX)
}

/// Cuts a sealed chunk (not empty) into k data shards and calculates m parity shards, in this order.
///
/// Data shards share the chunk's memory, except the few that reach past its end. A
/// [`SealedChunk`](crate::seal::SealedChunk) cuts itself without this exception.
#[must_use]
pub fn encode(scheme: ErasureScheme, sealed: &Bytes) -> Vec<Bytes> {
    encode_padded(scheme, sealed, sealed.len())
}

/// The same for a chunk of `sealed_bytes` that may have zeros behind it.
pub(crate) fn encode_padded(scheme: ErasureScheme, padded: &Bytes, sealed_bytes: usize) -> Vec<Bytes> {
    assert!(sealed_bytes > 0, "no chunk is empty");
    assert!(padded[sealed_bytes..].iter().all(|byte| *byte == 0), "padding is zeros");
    let shard_bytes = scheme.shard_bytes(sealed_bytes);
    let mut shards: Vec<Bytes> =
        (0..scheme.data()).map(|index| cut(padded, index * shard_bytes, shard_bytes)).collect();
    let mut parity = BytesMut::zeroed(scheme.parity() * shard_bytes);
    let inputs: Vec<&[u8]> = shards.iter().map(AsRef::as_ref).collect();
    let mut outputs: Vec<&mut [u8]> = parity.chunks_exact_mut(shard_bytes).collect();
    code::combine(Code::of(scheme).parity_rows(), &inputs, &mut outputs);
    let mut parity = parity.freeze();
    shards.extend((0..scheme.parity()).map(|_| parity.split_to(shard_bytes)));
    shards
}

fn cut(padded: &Bytes, start: usize, len: usize) -> Bytes {
    if start + len <= padded.len() {
        return padded.slice(start..start + len);
    }
    let mut shard = BytesMut::with_capacity(len);
    shard.extend_from_slice(&padded[start.min(padded.len())..]);
    shard.resize(len, 0);
    shard.freeze()
}

/// Adds zeros behind a chunk where the buffer has room for them; never moves it.
pub(crate) fn pad_in_place(mut chunk: BytesMut) -> Bytes {
    if chunk.capacity() - chunk.len() >= PADDING_BYTES_MAX {
        chunk.resize(chunk.len() + PADDING_BYTES_MAX, 0);
    }
    chunk.freeze()
}

/// The sealed chunk of `sealed_bytes` (> 0) from any k of its shards; `shards[i]` is shard i, if it is there.
///
/// The result is not verified: that is for [`decode_verified`].
///
/// # Errors
/// [`ReconstructError`] if fewer than k shards are there or one has the wrong length.
pub fn reconstruct(
    scheme: ErasureScheme,
    shards: &[Option<Bytes>],
    sealed_bytes: usize,
) -> Result<BytesMut, ReconstructError> {
    assert!(sealed_bytes > 0, "no chunk is empty");
    let chosen = choose(scheme, shards, Some(scheme.shard_bytes(sealed_bytes)))?;
    let mut sealed = BytesMut::new();
    decode_into(&mut sealed, scheme, &chosen);
    sealed.truncate(sealed_bytes);
    Ok(sealed)
}

/// One shard from any k others, without the whole chunk: what repair needs. A shard that is there is returned as it is.
///
/// # Errors
/// [`ReconstructError`] if fewer than k shards are there, their lengths differ or the scheme has no such shard.
pub fn reconstruct_shard(
    scheme: ErasureScheme,
    shards: &[Option<Bytes>],
    index: ShardIndex,
) -> Result<Bytes, ReconstructError> {
    let wanted = usize::from(index.0);
    if wanted >= scheme.total() {
        return Err(ReconstructError::NoSuchShard { scheme, index });
    }
    let chosen = choose(scheme, shards, None)?;
    if let Some(shard) = &shards[wanted] {
        return Ok(shard.clone());
    }
    let (present, inputs): (Vec<usize>, Vec<&[u8]>) = chosen.into_iter().unzip();
    let mut shard = BytesMut::zeroed(inputs[0].len());
    code::combine(&Code::of(scheme).rows_from(&present, &[wanted]), &inputs, &mut [&mut shard]);
    Ok(shard.freeze())
}

/// The first k shards that are there, with their indexes: data before parity. All that are there are measured,
/// against each other if no length is asked for.
fn choose(
    scheme: ErasureScheme,
    shards: &[Option<Bytes>],
    shard_bytes: Option<usize>,
) -> Result<Vec<(usize, &[u8])>, ReconstructError> {
    if shards.len() != scheme.total() {
        return Err(ReconstructError::WrongCount { scheme, expected: scheme.total(), found: shards.len() });
    }
    let there = || (0_u8..).zip(shards).filter_map(|(index, shard)| shard.as_ref().map(|shard| (index, shard)));
    let found = there().count();
    if found < scheme.data() {
        return Err(ReconstructError::TooFew { scheme, found });
    }
    let expected = shard_bytes.or_else(|| there().next().map(|(_, first)| first.len())).unwrap_or(0);
    if let Some((index, shard)) = there().find(|(_, shard)| shard.len() != expected) {
        return Err(ReconstructError::WrongLength { index: ShardIndex(index), expected, found: shard.len() });
    }
    Ok(there().take(scheme.data()).map(|(index, shard)| (usize::from(index), shard.as_ref())).collect())
}

/// Writes the data shards, one behind the other, from k shards of equal length (not empty) in the order of their
/// indexes. What is there is copied, what is missing is calculated.
fn decode_into(buffer: &mut BytesMut, scheme: ErasureScheme, chosen: &[(usize, &[u8])]) {
    let shard_bytes = chosen[0].1.len();
    buffer.clear();
    buffer.reserve(scheme.data() * shard_bytes);
    let mut missing = Vec::new();
    for index in 0..scheme.data() {
        match chosen.iter().find(|(there, _)| *there == index) {
            Some((_, shard)) => buffer.extend_from_slice(shard),
            None => {
                missing.push(index);
                buffer.resize(buffer.len() + shard_bytes, 0);
            }
        }
    }
    if missing.is_empty() {
        return;
    }
    let (present, inputs): (Vec<usize>, Vec<&[u8]>) = chosen.iter().copied().unzip();
    let slots = buffer.chunks_exact_mut(shard_bytes).enumerate();
    let mut outputs: Vec<&mut [u8]> =
        slots.filter_map(|(index, slot)| missing.contains(&index).then_some(slot)).collect();
    code::combine(&Code::of(scheme).rows_from(&present, &missing), &inputs, &mut outputs);
}

#[cfg(test)]
mod tests;

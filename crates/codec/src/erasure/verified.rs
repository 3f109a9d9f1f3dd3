//! Decoding that believes no shard: the chunk has the name that was asked for, and liars are named.

use bytes::{Bytes, BytesMut};
use strongroom_types::{ChunkDigest, ErasureScheme, ShardIndex};

use super::{
    code::{self, Code},
    decode_into,
};
use crate::seal::{GcmTag, Namer};

/// Combinations of shards that [`decode_verified`] tries: about a second of one core. All of them for schemes up to
/// 8+4; for wider ones every way in which two shards can lie.
pub const COMBINATIONS_MAX: usize = 512;

/// A sealed chunk of the right name, ready to be opened in place.
#[derive(Debug)]
pub struct Decoded {
    /// The ciphertext.
    pub sealed: BytesMut,
    /// Its tag.
    pub tag: GcmTag,
    /// Shards that are not those of this chunk, by bytes, length, tag or index, in the order of their indexes. Their
    /// nodes lie or their records are mixed up: repair them and tell a human.
    pub liars: Vec<ShardIndex>,
}

/// Why shards do not give the chunk of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer shards of the right length than k. More of them may help.
    #[error(
        "could not decode chunk {}: {scheme} needs {} shards, found {found} and {} of wrong length or index",
        name.short(), scheme.data(), unfit.len()
    )]
    TooFew {
        /// The chunk.
        name: ChunkDigest,
        /// The scheme.
        scheme: ErasureScheme,
        /// Shards that fit.
        found: usize,
        /// Shards that did not.
        unfit: Vec<ShardIndex>,
    },
    /// Two shards under one index: the caller chooses one.
    #[error("could not decode chunk {}: shard {index} came twice", name.short())]
    Repeated {
        /// The chunk.
        name: ChunkDigest,
        /// The shard.
        index: ShardIndex,
    },
    /// Every combination was tried: among these shards are no k of this chunk. More of them may help.
    #[error("could not decode chunk {}: none of {tried} combinations of {found} shards of {scheme} has its name", name.short())]
    NoCombination {
        /// The chunk.
        name: ChunkDigest,
        /// The scheme.
        scheme: ErasureScheme,
        /// Shards that fit.
        found: usize,
        /// Combinations tried.
        tried: usize,
    },
    /// The limit was reached before every combination was tried.
    #[error("could not decode chunk {}: gave up on {found} shards of {scheme} after {tried} combinations", name.short())]
    GaveUp {
        /// The chunk.
        name: ChunkDigest,
        /// The scheme.
        scheme: ErasureScheme,
        /// Shards that fit.
        found: usize,
        /// Combinations tried.
        tried: usize,
    },
}

struct Shard {
    index: usize,
    bytes: Bytes,
    tag: GcmTag,
}

/// The sealed chunk of `sealed_bytes` (> 0) called `name`, from k or more of its shards (index, bytes, the tag in its
/// header), at most [`COMBINATIONS_MAX`] combinations of which are tried.
///
/// # Errors
/// [`DecodeError`] if the chunk cannot be had from these shards.
pub fn decode_verified(
    scheme: ErasureScheme,
    shards: Vec<(ShardIndex, Bytes, GcmTag)>,
    sealed_bytes: usize,
    name: &ChunkDigest,
) -> Result<Decoded, DecodeError> {
    decode_verified_within(scheme, shards, sealed_bytes, name, COMBINATIONS_MAX)
}

/// The same with another limit: repair and restore may take the time for all 4845 combinations of 16+4.
///
/// # Errors
/// [`DecodeError`] if the chunk cannot be had from these shards within this limit.
pub fn decode_verified_within(
    scheme: ErasureScheme,
    shards: Vec<(ShardIndex, Bytes, GcmTag)>,
    sealed_bytes: usize,
    name: &ChunkDigest,
    combinations_max: usize,
) -> Result<Decoded, DecodeError> {
    assert!(sealed_bytes > 0, "no chunk is empty");
    let (shards, unfit) = sort_out(scheme, shards, sealed_bytes, name)?;
    let found = shards.len();
    if found < scheme.data() {
        return Err(DecodeError::TooFew { name: *name, scheme, found, unfit });
    }
    let tags = tags_by_votes(&shards);
    let mut buffer = BytesMut::new();
    let mut tried = 0;
    for combination in combinations(scheme.data(), found) {
        if tried == combinations_max {
            return Err(DecodeError::GaveUp { name: *name, scheme, found, tried });
        }
        tried += 1;
        decode_into(&mut buffer, scheme, &pick(&shards, combination));
        let namer = Namer::new(&buffer[..sealed_bytes]);
        if let Some(tag) = tags.iter().find(|tag| namer.with(tag) == *name) {
            let mut liars = unfit;
            liars.extend(liars_among(&shards, combination, scheme, &mut buffer, sealed_bytes, *tag));
            liars.sort_unstable();
            buffer.truncate(sealed_bytes);
            return Ok(Decoded { sealed: buffer, tag: *tag, liars });
        }
    }
    Err(DecodeError::NoCombination { name: *name, scheme, found, tried })
}

/// Shards that may be the chunk's, in the order of their indexes, and those that cannot be.
fn sort_out(
    scheme: ErasureScheme,
    mut shards: Vec<(ShardIndex, Bytes, GcmTag)>,
    sealed_bytes: usize,
    name: &ChunkDigest,
) -> Result<(Vec<Shard>, Vec<ShardIndex>), DecodeError> {
    shards.sort_by_key(|(index, _, _)| *index);
    if let Some(pair) = shards.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(DecodeError::Repeated { name: *name, index: pair[0].0 });
    }
    let shard_bytes = scheme.shard_bytes(sealed_bytes);
    let (mut fit, mut unfit) = (Vec::with_capacity(shards.len()), Vec::new());
    for (index, bytes, tag) in shards {
        let position = usize::from(index.0);
        if position < scheme.total() && bytes.len() == shard_bytes {
            fit.push(Shard { index: position, bytes, tag });
        } else {
            unfit.push(index);
        }
    }
    Ok((fit, unfit))
}

/// The different tags in the headers, most votes first: usually one, and any may be the right one.
fn tags_by_votes(shards: &[Shard]) -> Vec<GcmTag> {
    let votes = |tag: &GcmTag| shards.iter().filter(|shard| shard.tag == *tag).count();
    let mut tags: Vec<GcmTag> = shards.iter().map(|shard| shard.tag).collect();
    tags.sort_by_key(|tag| (std::cmp::Reverse(votes(tag)), *tag));
    tags.dedup();
    tags
}

/// A set of positions in a list of at most 20 shards, as bits.
type Positions = u32;

/// All choices of `chosen` out of `count`: first the first ones, then those with one of them replaced, then with two.
///
/// Replacements vary slowest, so that one liar is found after at most `chosen` tries more.
fn combinations(chosen: usize, count: usize) -> impl Iterator<Item = Positions> {
    let spare = count - chosen;
    let first: Positions = (1 << chosen) - 1;
    (0..=spare.min(chosen)).flat_map(move |replaced| {
        subsets(spare, replaced)
            .flat_map(move |added| subsets(chosen, replaced).map(move |dropped| (first & !dropped) | (added << chosen)))
    })
}

/// All sets of `size` out of `count` positions.
fn subsets(count: usize, size: usize) -> impl Iterator<Item = Positions> {
    (0..1 << count).filter(move |positions: &Positions| positions.count_ones() as usize == size)
}

fn holds(positions: Positions, position: usize) -> bool {
    (positions >> position) & 1 == 1
}

fn pick(shards: &[Shard], positions: Positions) -> Vec<(usize, &[u8])> {
    let picked = shards.iter().enumerate().filter(|(position, _)| holds(positions, *position));
    picked.map(|(_, shard)| (shard.index, shard.bytes.as_ref())).collect()
}

/// Compares each shard with what the chunk in `buffer` (verified, padding behind it) is encoded to.
fn liars_among(
    shards: &[Shard],
    used: Positions,
    scheme: ErasureScheme,
    buffer: &mut BytesMut,
    sealed_bytes: usize,
    tag: GcmTag,
) -> Vec<ShardIndex> {
    // The name does not cover the padding. If that came out as zeros too, the k shards used are exactly those of the
    // chunk, since no other k shards decode to it; otherwise any of them may be wrong there.
    let padding = &mut buffer[sealed_bytes..];
    let used_are_right = padding.iter().all(|byte| *byte == 0);
    padding.fill(0);
    let is_right = |position: usize, shard: &Shard| {
        shard.tag == tag && ((used_are_right && holds(used, position)) || is_shard_of(scheme, buffer, shard))
    };
    let wrong = shards.iter().enumerate().filter(|(position, shard)| !is_right(*position, shard));
    wrong.map(|(_, shard)| ShardIndex(u8::try_from(shard.index).expect("a scheme has at most 20 shards"))).collect()
}

fn is_shard_of(scheme: ErasureScheme, chunk: &[u8], shard: &Shard) -> bool {
    let data: Vec<&[u8]> = chunk.chunks_exact(shard.bytes.len()).collect();
    let Some(parity) = shard.index.checked_sub(scheme.data()) else {
        return shard.bytes == data[shard.index];
    };
    let mut expected = vec![0; shard.bytes.len()];
    code::combine(&Code::of(scheme).parity_rows()[parity..=parity], &data, &mut [&mut expected]);
    shard.bytes == expected
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_combination_comes_once_and_the_least_replaced_first() {
        for (chosen, count, expected) in [(1, 1, 1), (4, 4, 1), (1, 5, 5), (4, 6, 15), (2, 6, 15), (16, 20, 4845)] {
            let all: Vec<Positions> = combinations(chosen, count).collect();
            assert_eq!(all.len(), expected, "{chosen} of {count}");
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), expected);
            let replaced = |positions: &Positions| (positions >> chosen).count_ones();
            assert!(all.iter().all(|positions| positions.count_ones() as usize == chosen));
            assert!(all.is_sorted_by_key(replaced));
        }
    }

    #[test]
    fn the_limit_covers_any_two_liars_in_any_scheme() {
        for (chosen, spare) in (1..=16).flat_map(|chosen| (2..=4).map(move |spare| (chosen, spare))) {
            for liars in subsets(chosen + spare, 2) {
                let honest = combinations(chosen, chosen + spare).position(|positions| positions & liars == 0);
                let tried = honest.expect("k honest shards are left") + 1;
                assert!(tried <= COMBINATIONS_MAX, "{chosen}+{spare} with liars {liars:b} takes {tried}");
            }
        }
        assert!([(4, 6), (6, 9), (8, 12)].iter().all(|(k, n)| combinations(*k, *n).count() <= COMBINATIONS_MAX));
    }
}

use proptest::prelude::*;
use strongroom_types::ChunkDigest;

use super::*;
use crate::{
    seal::{self, GcmTag},
    testing::{pattern, seeded},
};

const TAG: GcmTag = GcmTag::new([0x5a; 16]);

fn scheme(data: u8, parity: u8) -> ErasureScheme {
    ErasureScheme::new(data, parity).expect("within bounds")
}

fn every_scheme() -> impl Iterator<Item = ErasureScheme> {
    (1..=16).flat_map(|data| (1..=4).map(move |parity| scheme(data, parity)))
}

/// All sets of `size` out of `count` indexes.
fn subsets(count: usize, size: usize) -> impl Iterator<Item = Vec<usize>> {
    (0_u32..1 << count)
        .filter(move |set| set.count_ones() as usize == size)
        .map(move |set| (0..count).filter(|index| (set >> index) & 1 == 1).collect())
}

fn only(shards: &[Bytes], kept: &[usize]) -> Vec<Option<Bytes>> {
    shards.iter().enumerate().map(|(index, shard)| kept.contains(&index).then(|| shard.clone())).collect()
}

fn shard_index(index: usize) -> ShardIndex {
    ShardIndex(u8::try_from(index).expect("below 20"))
}

/// Shards as they come from their nodes, all honest.
fn given(shards: &[Bytes]) -> Vec<(ShardIndex, Bytes, GcmTag)> {
    shards.iter().enumerate().map(|(index, shard)| (shard_index(index), shard.clone(), TAG)).collect()
}

fn name_of(sealed: &[u8]) -> ChunkDigest {
    seal::name_of(sealed, &TAG)
}

fn change_byte(shard: &mut Bytes, at: usize) {
    let mut bytes = shard.to_vec();
    bytes[at] ^= 0x40;
    *shard = bytes.into();
}

#[test]
fn shards_are_what_the_library_encodes_in_every_scheme() {
    for scheme in every_scheme() {
        for len in [1, 2, 15, 16, 17, 1000, 40_007] {
            let sealed = pattern(len);
            let shards = encode(scheme, &sealed);
            assert_eq!(shards.len(), scheme.total());
            let mut expected: Vec<Vec<u8>> = vec![vec![0; scheme.shard_bytes(len)]; scheme.total()];
            for (slot, bytes) in expected.iter_mut().zip(sealed.chunks(scheme.shard_bytes(len))) {
                slot[..bytes.len()].copy_from_slice(bytes);
            }
            reed_solomon_erasure::galois_8::ReedSolomon::new(scheme.data(), scheme.parity())
                .and_then(|codec| codec.encode(&mut expected))
                .expect("encodes");
            assert!(shards == expected, "{scheme} of {len} bytes");
        }
    }
}

#[test]
fn parity_has_these_bytes() {
    // Stored for decades: a new version of the library must give the same ones. Calculated apart from it, from the
    // Vandermonde matrix modulo x⁸ + x⁴ + x³ + x² + 1 times the inverse of its upper square.
    let sealed = Bytes::from_static(b"an original, sealed");
    let hex_of = |scheme| encode(scheme, &sealed).iter().map(hex::encode).collect::<Vec<_>>();
    assert_eq!(
        hex_of(scheme(4, 2)),
        ["616e206f72", "6967696e61", "6c2c207365", "616c656400", "4b6aa20a6e", "5dc8c37f54"]
    );
    assert_eq!(hex_of(scheme(1, 1)), vec![hex::encode(&sealed); 2]);
    assert_eq!(hex_of(scheme(2, 2))[2..], ["7bea20575c7971717aa3", "76a8204b4b717a7d70c2"]);
}

#[test]
fn any_k_shards_give_the_chunk_and_every_other_shard() {
    for scheme in every_scheme().filter(|scheme| scheme.total() <= 8) {
        for len in [1, scheme.data() * 3, 101] {
            let sealed = pattern(len);
            let shards = encode(scheme, &sealed);
            for kept in subsets(scheme.total(), scheme.data()) {
                let some = only(&shards, &kept);
                assert_eq!(reconstruct(scheme, &some, len).expect("k shards"), sealed, "{scheme} from {kept:?}");
                for (index, shard) in shards.iter().enumerate() {
                    let rebuilt = reconstruct_shard(scheme, &some, shard_index(index)).expect("k shards");
                    assert_eq!(rebuilt, shard, "{scheme}: shard {index} from {kept:?}");
                }
            }
        }
    }
}

#[test]
fn full_chunks_and_their_windows_survive_in_every_width() {
    for (data, parity) in [(1, 1), (2, 2), (3, 2), (4, 2), (6, 3), (16, 4)] {
        let (scheme, sealed) = (scheme(data, parity), pattern(CHUNK_BYTES));
        let shards = encode(scheme, &sealed);
        let lost_first: Vec<usize> = (scheme.parity()..scheme.total()).collect();
        let chunk = reconstruct(scheme, &only(&shards, &lost_first), CHUNK_BYTES).expect("k shards");
        assert!(chunk == sealed, "{scheme}");
    }
}

#[test]
fn no_full_data_shard_is_copied() {
    let sealed = pattern(CHUNK_BYTES);
    for shards in [encode(scheme(4, 2), &sealed), encode(scheme(16, 4), &sealed)] {
        let data = shards.iter().take_while(|shard| sealed.as_ptr_range().contains(&shard.as_ptr()));
        assert_eq!(data.map(Bytes::len).sum::<usize>(), CHUNK_BYTES);
    }
    // 3 does not divide a chunk: the last shard is copied, unless the buffer has room for the zeros.
    let shards = encode(scheme(3, 2), &sealed);
    let inside = |shard: &Bytes, of: &Bytes| of.as_ptr_range().contains(&shard.as_ptr());
    assert_eq!(shards[..3].iter().map(|shard| inside(shard, &sealed)).collect::<Vec<_>>(), [true, true, false]);
    let mut buffer = chunk_buffer();
    buffer.extend_from_slice(&sealed);
    let padded = pad_in_place(buffer);
    let in_place = encode_padded(scheme(3, 2), &padded, CHUNK_BYTES);
    assert!(in_place[..3].iter().all(|shard| inside(shard, &padded)));
    assert!(in_place == shards);
}

#[test]
fn shards_that_cannot_give_anything_are_refused() {
    let (scheme, sealed) = (scheme(4, 2), pattern(100));
    let shards = encode(scheme, &sealed);
    let three = only(&shards, &[0, 2, 5]);
    assert_eq!(reconstruct(scheme, &three, 100), Err(ReconstructError::TooFew { scheme, found: 3 }));
    assert_eq!(reconstruct_shard(scheme, &three, ShardIndex(0)), Err(ReconstructError::TooFew { scheme, found: 3 }));
    let mut all = only(&shards, &[0, 1, 2, 3, 4, 5]);
    assert_eq!(
        reconstruct(scheme, &all[..5], 100),
        Err(ReconstructError::WrongCount { scheme, expected: 6, found: 5 })
    );
    assert_eq!(
        reconstruct_shard(scheme, &all, ShardIndex(6)),
        Err(ReconstructError::NoSuchShard { scheme, index: ShardIndex(6) })
    );
    all[3] = Some(pattern(24));
    let error = ReconstructError::WrongLength { index: ShardIndex(3), expected: 25, found: 24 };
    assert_eq!(reconstruct(scheme, &all, 100), Err(error));
    assert_eq!(reconstruct_shard(scheme, &all, ShardIndex(5)), Err(error));
}

#[test]
fn honest_shards_decode_whichever_k_come() {
    let (scheme, sealed) = (scheme(4, 2), pattern(1001));
    let all = given(&encode(scheme, &sealed));
    for count in 4..=6 {
        for kept in subsets(6, count) {
            let some = kept.iter().rev().map(|index| all[*index].clone()).collect();
            let decoded = decode_verified(scheme, some, 1001, &name_of(&sealed)).expect("honest");
            assert_eq!((decoded.sealed, decoded.tag, decoded.liars), (BytesMut::from(sealed.as_ref()), TAG, vec![]));
        }
    }
}

#[test]
fn as_many_liars_as_parity_shards_are_named() {
    for (scheme, len) in [(scheme(4, 2), 1001), (scheme(2, 2), 64), (scheme(3, 3), 50), (scheme(1, 4), 9)] {
        let sealed = pattern(len);
        for liars in (0..=scheme.parity()).flat_map(|count| subsets(scheme.total(), count)) {
            let mut shards = given(&encode(scheme, &sealed));
            for (turn, liar) in liars.iter().enumerate() {
                let bytes = &mut shards[*liar].1;
                let at = (turn * 7) % bytes.len();
                change_byte(bytes, at);
            }
            let decoded = decode_verified(scheme, shards, len, &name_of(&sealed)).expect("k honest shards");
            assert!(decoded.sealed == sealed, "{scheme} with liars {liars:?}");
            assert_eq!(decoded.liars, liars.iter().map(|liar| shard_index(*liar)).collect::<Vec<_>>());
        }
    }
}

#[test]
fn liars_that_agree_with_each_other_do_not_win() {
    // Two nodes serve shards of another chunk, tag included; together with two honest ones they decode to a third.
    let (scheme, sealed, other) = (scheme(4, 2), pattern(1000), seeded(1000, 99));
    let false_shards = encode(scheme, &other);
    let mut shards = given(&encode(scheme, &sealed));
    for liar in [1, 4] {
        shards[liar].1 = false_shards[liar].clone();
        shards[liar].2 = GcmTag::new([1; 16]);
    }
    let decoded = decode_verified(scheme, shards, 1000, &name_of(&sealed)).expect("four honest shards");
    assert!(decoded.sealed == sealed);
    assert_eq!((decoded.tag, decoded.liars), (TAG, vec![ShardIndex(1), ShardIndex(4)]));
}

#[test]
fn a_false_tag_is_a_lie_even_in_the_majority() {
    let (scheme, sealed) = (scheme(4, 2), pattern(1000));
    let mut shards = given(&encode(scheme, &sealed));
    for shard in &mut shards[..5] {
        shard.2 = GcmTag::new([0xee; 16]);
    }
    let decoded = decode_verified(scheme, shards.clone(), 1000, &name_of(&sealed)).expect("one tag is right");
    assert_eq!((decoded.tag, decoded.liars), (TAG, (0..5).map(ShardIndex).collect()));
    shards.truncate(5);
    let error = decode_verified(scheme, shards, 1000, &name_of(&sealed)).expect_err("no tag is right");
    assert_eq!(error, DecodeError::NoCombination { name: name_of(&sealed), scheme, found: 5, tried: 5 });
}

#[test]
fn lies_in_the_padding_are_found_too() {
    // 17 bytes in 4+2: the last data shard holds 2 bytes and 3 zeros that no name covers.
    let (scheme, sealed) = (scheme(4, 2), pattern(17));
    let honest = given(&encode(scheme, &sealed));
    for (liar, kept) in
        [(3, vec![0, 1, 2, 3, 4, 5]), (3, vec![0, 1, 2, 3]), (4, vec![0, 1, 2, 4, 5]), (5, vec![0, 1, 3, 4, 5])]
    {
        let mut shards = honest.clone();
        change_byte(&mut shards[liar].1, 4);
        let some = kept.iter().map(|index| shards[*index].clone()).collect();
        let decoded = decode_verified(scheme, some, 17, &name_of(&sealed)).expect("k honest shards or harmless lies");
        assert!(decoded.sealed == sealed);
        assert_eq!(decoded.liars, [shard_index(liar)], "among {kept:?}");
    }
}

#[test]
fn unfit_shards_are_liars_and_too_few_or_repeated_ones_are_refused() {
    let (scheme, sealed) = (scheme(4, 2), pattern(1000));
    let (name, mut shards) = (name_of(&sealed), given(&encode(scheme, &sealed)));
    shards[1].1.truncate(249);
    shards[5].0 = ShardIndex(6);
    let decoded = decode_verified(scheme, shards.clone(), 1000, &name).expect("four fit");
    assert_eq!(decoded.liars, [ShardIndex(1), ShardIndex(6)]);
    shards.remove(0);
    let unfit = vec![ShardIndex(1), ShardIndex(6)];
    let error = decode_verified(scheme, shards.clone(), 1000, &name).expect_err("three fit");
    assert_eq!(error, DecodeError::TooFew { name, scheme, found: 3, unfit });
    shards[1].0 = ShardIndex(4);
    let error = decode_verified(scheme, shards, 1000, &name).expect_err("4 twice");
    assert_eq!(error, DecodeError::Repeated { name, index: ShardIndex(4) });
}

#[test]
fn the_search_ends_at_its_limit_and_a_larger_one_goes_on() {
    let (scheme, sealed) = (scheme(16, 4), pattern(160));
    let mut shards = given(&encode(scheme, &sealed));
    for shard in &mut shards[12..16] {
        change_byte(&mut shard.1, 0);
    }
    let name = name_of(&sealed);
    let error = decode_verified(scheme, shards.clone(), 160, &name).expect_err("four liars of twenty");
    assert_eq!(error, DecodeError::GaveUp { name, scheme, found: 20, tried: COMBINATIONS_MAX });
    let decoded = decode_verified_within(scheme, shards, 160, &name, 4845).expect("all combinations");
    assert!(decoded.sealed == sealed);
    assert_eq!(decoded.liars, (12..16).map(ShardIndex).collect::<Vec<_>>());
}

#[test]
fn more_liars_than_parity_give_nothing() {
    let (scheme, sealed) = (scheme(2, 1), pattern(100));
    let mut shards = given(&encode(scheme, &sealed));
    change_byte(&mut shards[0].1, 3);
    change_byte(&mut shards[2].1, 4);
    let error = decode_verified(scheme, shards, 100, &name_of(&sealed)).expect_err("one honest shard of two");
    assert_eq!(error, DecodeError::NoCombination { name: name_of(&sealed), scheme, found: 3, tried: 3 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_was_sealed_comes_back_from_what_is_left(
        data in 1..=16_u8,
        parity in 1..=4_u8,
        len in 1..100_000_usize,
        order in any::<u64>(),
    ) {
        let (scheme, sealed) = (scheme(data, parity), pattern(len));
        let mut shards = given(&encode(scheme, &sealed));
        // Lose as many as may be lost, then let none, or the only spare one, lie.
        let keys = seeded(shards.len(), order);
        let mut ranks: Vec<usize> = (0..shards.len()).collect();
        ranks.sort_by_key(|index| keys[*index]);
        let liar = ranks[0];
        change_byte(&mut shards[liar].1, usize::from(keys[liar]) % scheme.shard_bytes(len));
        let lost = &ranks[1..scheme.parity()];
        let left = shards.into_iter().filter(|(index, _, _)| !lost.contains(&usize::from(index.0))).collect();
        let decoded = decode_verified(scheme, left, len, &name_of(&sealed)).expect("k honest shards");
        prop_assert!(decoded.sealed == sealed);
        prop_assert_eq!(decoded.liars, vec![shard_index(liar)]);
    }
}

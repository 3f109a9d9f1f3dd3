//! How a sample follows from a draw's record and the voters' shares: pure, and the same wherever it is computed.
//!
//! ```text
//!  population = BLAKE3(domain ‖ count ‖ item ids, sorted)
//!  commitment = BLAKE3(domain ‖ draw's record ‖ voter ‖ share)
//!  seed       = BLAKE3(domain ‖ draw's record ‖ (voter ‖ share) by voter)
//!  rank       = BLAKE3(domain ‖ seed ‖ item)             the sample is what ranks first
//! ```
//!
//! Numbers are eight bytes, big-endian. Every domain is a line of its own, so that no value stands for another.

use strongroom_types::{DrawCommitment, DrawDigest, DrawSeed, DrawShare, ItemId, NodeId, PopulationDigest};

const RECORD_DOMAIN: &[u8] = b"strongroom draw record 1\n";
const POPULATION_DOMAIN: &[u8] = b"strongroom draw population 1\n";
const COMMITMENT_DOMAIN: &[u8] = b"strongroom draw commitment 1\n";
const SEED_DOMAIN: &[u8] = b"strongroom draw seed 1\n";
const RANK_DOMAIN: &[u8] = b"strongroom draw rank 1\n";

/// What a draw is known by: the digest of the record that it begins with.
#[must_use]
pub fn digest(record: &[u8]) -> DrawDigest {
    DrawDigest::new(hashed(RECORD_DOMAIN, [record]))
}

/// The digest of what is selected from. The ids come sorted.
#[must_use]
pub fn population(items: &[ItemId]) -> PopulationDigest {
    let count = (items.len() as u64).to_be_bytes();
    let ids = items.iter().map(|item| item.as_bytes().as_slice());
    PopulationDigest::new(hashed(POPULATION_DOMAIN, [count.as_slice()].into_iter().chain(ids)))
}

/// What a voter says before it shows its share.
#[must_use]
pub fn commitment(draw: DrawDigest, voter: NodeId, share: DrawShare) -> DrawCommitment {
    let voter = voter.0.to_be_bytes();
    DrawCommitment::new(hashed(COMMITMENT_DOMAIN, [draw.as_bytes().as_slice(), &voter, share.as_bytes()]))
}

/// What all shares come to. They come sorted by voter.
#[must_use]
pub fn seed(draw: DrawDigest, shares: &[(NodeId, DrawShare)]) -> DrawSeed {
    let mut hasher = blake3::Hasher::new();
    hasher.update(SEED_DOMAIN).update(draw.as_bytes());
    for (voter, share) in shares {
        hasher.update(&voter.0.to_be_bytes()).update(share.as_bytes());
    }
    DrawSeed::new(*hasher.finalize().as_bytes())
}

/// How many of `count` items `percent` of a hundred are: rounded up, and at least one.
#[must_use]
pub fn size(count: usize, percent: u32) -> usize {
    (count * percent as usize).div_ceil(100).max(1).min(count)
}

/// The `size` items that rank first, in the order of their ranks.
#[must_use]
pub fn select(seed: DrawSeed, items: &[ItemId], size: usize) -> Vec<ItemId> {
    let rank = |item: &ItemId| hashed(RANK_DOMAIN, [seed.as_bytes().as_slice(), item.as_bytes()]);
    let mut ranked: Vec<_> = items.iter().map(|item| (rank(item), *item)).collect();
    ranked.sort_unstable();
    ranked.into_iter().take(size).map(|(_, item)| item).collect()
}

fn hashed<'a>(domain: &[u8], parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(domain);
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn items(count: u32) -> Vec<ItemId> {
        (0..count).map(|number| ItemId::new(u128::from(number).to_be_bytes())).collect()
    }

    #[test]
    fn a_share_of_the_items_is_rounded_up() {
        for (count, percent, expected) in
            [(1, 1, 1), (100, 1, 1), (101, 1, 2), (10, 25, 3), (7, 100, 7), (3, 34, 2), (1000, 10, 100)]
        {
            assert_eq!(size(count, percent), expected, "{percent} % of {count}");
        }
    }

    #[test]
    fn digests_are_fixed() {
        let draw = digest(b"record");
        let share = DrawShare::new([7; 32]);
        let two = [(NodeId(1), share), (NodeId(3), DrawShare::new([8; 32]))];
        let told = [
            draw.to_string(),
            population(&items(2)).to_string(),
            commitment(draw, NodeId(1), share).to_string(),
            seed(draw, &two).to_string(),
        ];
        let plain = |parts: &[&[u8]]| blake3::hash(&parts.concat()).to_string();
        let expected = [
            plain(&[b"strongroom draw record 1\n", b"record"]),
            plain(&[
                b"strongroom draw population 1\n",
                &2_u64.to_be_bytes(),
                &0_u128.to_be_bytes(),
                &1_u128.to_be_bytes(),
            ]),
            plain(&[b"strongroom draw commitment 1\n", draw.as_bytes(), &1_u64.to_be_bytes(), &[7; 32]]),
            plain(&[
                b"strongroom draw seed 1\n",
                draw.as_bytes(),
                &1_u64.to_be_bytes(),
                &[7; 32],
                &3_u64.to_be_bytes(),
                &[8; 32],
            ]),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn every_share_and_every_voter_changes_the_seed() {
        let share = |byte| DrawShare::new([byte; 32]);
        let draw = digest(b"record");
        let whole = seed(draw, &[(NodeId(1), share(1)), (NodeId(2), share(2)), (NodeId(3), share(3))]);
        for other in [
            seed(draw, &[(NodeId(1), share(1)), (NodeId(2), share(2))]),
            seed(draw, &[(NodeId(1), share(1)), (NodeId(2), share(2)), (NodeId(3), share(4))]),
            seed(draw, &[(NodeId(1), share(1)), (NodeId(2), share(2)), (NodeId(4), share(3))]),
            seed(digest(b"another"), &[(NodeId(1), share(1)), (NodeId(2), share(2)), (NodeId(3), share(3))]),
        ] {
            assert_ne!(whole, other);
        }
    }

    /// Ids are drawn at random in a cluster; here they are counted up, so that a selection that follows them shows.
    #[test]
    fn no_place_in_the_order_of_ids_is_favoured() {
        const ITEMS: u32 = 40;
        const DRAWS: u32 = 4000;
        let population = items(ITEMS);
        let mut taken = vec![0_u32; population.len()];
        for number in 0..DRAWS {
            let mut share = [0; 32];
            share[..4].copy_from_slice(&number.to_be_bytes());
            let seed = seed(digest(b"record"), &[(NodeId(1), DrawShare::new(share))]);
            for item in select(seed, &population, 10) {
                taken[usize::try_from(u128::from_be_bytes(*item.as_bytes())).expect("small")] += 1;
            }
        }
        // Each is taken 1000 times of 4000, with a deviation of 27: six of them off is no chance. The seeds are fixed, so
        // this holds always or never.
        assert_eq!(taken.iter().sum::<u32>(), DRAWS * 10);
        for (place, times) in taken.iter().enumerate() {
            assert!(times.abs_diff(1000) < 6 * 27, "place {place} is taken {times} times of {DRAWS}");
        }
        let half = |range: std::ops::Range<usize>| taken[range].iter().sum::<u32>();
        assert!(half(0..20).abs_diff(half(20..40)) < 1000, "one half of the ids is favoured");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_sample_is_of_the_population_without_repetition_and_follows_no_order(
            count in 1..200_u32,
            percent in 1..=100_u32,
            bytes: [u8; 32],
        ) {
            let population = items(count);
            let size = size(population.len(), percent);
            let sample = select(DrawSeed::new(bytes), &population, size);
            prop_assert_eq!(sample.len(), size);
            let mut sorted = sample.clone();
            sorted.sort_unstable();
            sorted.dedup();
            prop_assert_eq!(sorted.len(), size);
            prop_assert!(sorted.iter().all(|item| population.contains(item)));
            // However the items are listed, the same are drawn; a larger sample only adds.
            let mut backwards = population.clone();
            backwards.reverse();
            prop_assert_eq!(&select(DrawSeed::new(bytes), &backwards, size), &sample);
            let larger = select(DrawSeed::new(bytes), &population, population.len());
            prop_assert_eq!(&larger[..size], &sample[..]);
        }
    }
}

//! What a class promises, and the one predicate that says whether durable shards keep it.

use std::{fmt, str::FromStr};

use strongroom_types::{DistrictName, ErasureScheme, NodeId};

/// The loss that a class's chunks survive. The loss of any one node is survived in every class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Promise {
    /// Any one node.
    #[n(0)]
    SurviveNode,
    /// Any one whole district and, separately, any one node.
    #[n(1)]
    SurviveDistrict,
}

impl Promise {
    /// Every promise, the weakest first.
    pub const ALL: [Self; 2] = [Self::SurviveNode, Self::SurviveDistrict];

    /// The name used in configuration and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SurviveNode => "survive-node",
            Self::SurviveDistrict => "survive-district",
        }
    }
}

/// Text that names no promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a promise; promises are {all}", all = Promise::ALL.map(Promise::name).join(", "))]
pub struct PromiseError(String);

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Promise {
    type Err = PromiseError;

    fn from_str(text: &str) -> Result<Self, PromiseError> {
        Self::ALL.into_iter().find(|promise| promise.name() == text).ok_or_else(|| PromiseError(text.to_owned()))
    }
}

/// Whether a chunk counts: after the loss of any one node, and under [`Promise::SurviveDistrict`] after the loss
/// of any one whole district, at least k of its durable shards are left. `slots` says where each shard of the
/// stripe lives, in slot order; `durable` which of them are fsynced.
///
/// # Panics
/// Where `slots` or `durable` does not have one entry for each shard of the scheme: that would be a mistake of the
/// caller's, and guessing could acknowledge a chunk that is not safe.
#[must_use]
pub fn meets(promise: Promise, scheme: ErasureScheme, slots: &[(NodeId, DistrictName)], durable: &[bool]) -> bool {
    assert_eq!(slots.len(), scheme.total(), "a volume has one slot for each shard");
    assert_eq!(durable.len(), scheme.total(), "each shard is durable or not");
    let left_without = |lost: &dyn Fn(&(NodeId, DistrictName)) -> bool| {
        slots.iter().zip(durable).filter(|(slot, durable)| **durable && !lost(slot)).count()
    };
    slots.iter().all(|(node, district)| {
        let without_node = left_without(&|slot| slot.0 == *node);
        let without_district = match promise {
            Promise::SurviveNode => without_node,
            Promise::SurviveDistrict => left_without(&|slot| slot.1 == *district),
        };
        without_node >= scheme.data() && without_district >= scheme.data()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn district(number: usize) -> DistrictName {
        format!("d{number}").parse().expect("a name")
    }

    fn slots(places: &[(u64, usize)]) -> Vec<(NodeId, DistrictName)> {
        places.iter().map(|(node, place)| (NodeId(*node), district(*place))).collect()
    }

    fn scheme(text: &str) -> ErasureScheme {
        text.parse().expect("a scheme")
    }

    const PAIRS: [(u64, usize); 6] = [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (6, 3)];

    #[test]
    fn four_plus_two_over_three_pairs_needs_every_shard_for_a_district_and_five_for_a_node() {
        for (missing, district, node) in [(0, true, true), (1, false, true), (2, false, false)] {
            let durable: Vec<bool> = (0..6).map(|slot| slot >= missing).collect();
            let check = |promise| meets(promise, scheme("4+2"), &slots(&PAIRS), &durable);
            assert_eq!(check(Promise::SurviveDistrict), district, "{missing} missing");
            assert_eq!(check(Promise::SurviveNode), node, "{missing} missing");
        }
    }

    #[test]
    fn two_shards_on_one_node_count_as_one_loss() {
        let spread = slots(&[(1, 1), (2, 2), (3, 3)]);
        let doubled = slots(&[(1, 1), (1, 2), (3, 3)]);
        let check = |slots: &[_]| meets(Promise::SurviveDistrict, scheme("2+1"), slots, &[true; 3]);
        assert!(check(&spread));
        assert!(!check(&doubled));
    }

    #[test]
    fn the_predicate_agrees_with_losing_everything_that_can_be_lost() {
        // Every layout of up to five shards over three nodes and three districts, every durable subset.
        let mut cases = 0;
        for total in 2..=5_usize {
            for layout in 0..9_usize.pow(u32::try_from(total).expect("small")) {
                let places: Vec<(u64, usize)> = (0..total)
                    .map(|slot| layout / 9_usize.pow(u32::try_from(slot).expect("small")) % 9)
                    .map(|place| (u64::try_from(place / 3).expect("small"), place % 3))
                    .collect();
                if total == 5 && layout % 7 != 0 {
                    continue;
                }
                for parity in 1..total.min(4) {
                    cases += check_all_subsets(&slots(&places), &places, total - parity, parity);
                }
            }
        }
        assert!(cases > 500_000, "{cases} cases");
    }

    fn check_all_subsets(slots: &[(NodeId, DistrictName)], places: &[(u64, usize)], data: usize, parity: usize) -> u64 {
        let scheme = scheme(&format!("{data}+{parity}"));
        let mut cases = 0;
        for subset in 0..1_u32 << places.len() {
            let durable: Vec<bool> = (0..places.len()).map(|slot| subset >> slot & 1 == 1).collect();
            for promise in Promise::ALL {
                let expected = brute_force(promise, data, places, &durable);
                assert_eq!(meets(promise, scheme, slots, &durable), expected, "{promise} {places:?} {durable:?}");
                cases += 1;
            }
        }
        cases
    }

    /// Removes each thing that may be lost, one after the other, and counts what is left.
    fn brute_force(promise: Promise, data: usize, places: &[(u64, usize)], durable: &[bool]) -> bool {
        let left: Vec<(u64, usize)> =
            places.iter().zip(durable).filter(|(_, durable)| **durable).map(|(place, _)| *place).collect();
        let nodes_ok = (0..3).all(|lost| left.iter().filter(|place| place.0 != lost).count() >= data);
        let districts_ok = (0..3).all(|lost| left.iter().filter(|place| place.1 != lost).count() >= data);
        match promise {
            Promise::SurviveNode => nodes_ok,
            Promise::SurviveDistrict => nodes_ok && districts_ok,
        }
    }

    #[test]
    #[should_panic(expected = "each shard is durable or not")]
    fn a_short_list_of_durable_shards_is_a_mistake_and_not_a_no() {
        let _ = meets(Promise::SurviveNode, scheme("1+1"), &slots(&[(1, 1), (2, 2)]), &[true]);
    }

    #[test]
    fn names_read_back() {
        for promise in Promise::ALL {
            assert_eq!(promise.name().parse(), Ok(promise));
        }
        assert!("survive-everything".parse::<Promise>().is_err());
    }
}

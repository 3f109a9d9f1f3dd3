//! Compares this replica's state with the others'. Identical logs must give identical rows: whoever stands alone
//! against a majority stops, for its rows can no longer be trusted.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use strongroom_metastore::FatalHook;
use strongroom_types::NodeId;

use crate::{beats::StateDigest, node::Node};

const PACE: Duration = Duration::from_secs(10);
/// Fewer known digests give no verdict.
const KNOWN_MIN: usize = 3;

pub(super) async fn run(node: Arc<Node>, on_fatal: FatalHook) {
    loop {
        tokio::time::sleep(PACE).await;
        for (index, mut known) in node.beats.digests() {
            known.retain(|(of, _)| *of != node.id);
            let Some(own) = node.metastore.digest_at(index) else { continue };
            match verdict(&own, &known) {
                Verdict::Agreed => {}
                Verdict::Differ => {
                    tracing::error!(node_id = %node.id, index, "replicas differ, and no majority says which is right");
                }
                Verdict::Alone => on_fatal(&format!(
                    "the rows of {} differ from those of a majority after entry {index}: they cannot be trusted",
                    node.id
                )),
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Agreed,
    Differ,
    Alone,
}

fn verdict(own: &StateDigest, others: &[(NodeId, StateDigest)]) -> Verdict {
    let mut groups: BTreeMap<&StateDigest, usize> = BTreeMap::from([(own, 1)]);
    for (_, digest) in others {
        *groups.entry(digest).or_default() += 1;
    }
    let known = others.len() + 1;
    let majority = groups.iter().find(|(_, count)| **count > known / 2).map(|(digest, _)| *digest);
    match majority {
        _ if groups.len() == 1 => Verdict::Agreed,
        Some(majority) if known >= KNOWN_MIN && majority != own => Verdict::Alone,
        Some(majority) if known >= KNOWN_MIN && majority == own => Verdict::Agreed,
        Some(_) | None => Verdict::Differ,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Databend #19794: replicas drifted apart with identical logs.
    #[test]
    fn only_a_minority_of_at_least_three_is_alone() {
        let (a, b, c) = ([1; 64], [2; 64], [3; 64]);
        for (own, others, expected) in [
            (a, vec![], Verdict::Agreed),
            (a, vec![a], Verdict::Agreed),
            (a, vec![b], Verdict::Differ),
            (a, vec![a, b], Verdict::Agreed),
            (a, vec![b, b], Verdict::Alone),
            (a, vec![b, c], Verdict::Differ),
            (a, vec![a, b, b], Verdict::Differ),
            (a, vec![a, b, b, b], Verdict::Alone),
        ] {
            let others: Vec<_> = others.into_iter().map(|digest| (NodeId(9), digest)).collect();
            assert_eq!(verdict(&own, &others), expected, "{} others", others.len());
        }
    }
}

//! Refusals of callers without a known key: one record per source and minute says how many there were and why.

use std::collections::BTreeMap;

use strongroom_types::NodeId;

use crate::world::{Record, World};

/// What one node must have counted.
pub(crate) struct Counted {
    node: NodeId,
    faults: BTreeMap<&'static str, u64>,
}

impl Counted {
    pub(crate) const fn at(node: NodeId) -> Self {
        Self { node, faults: BTreeMap::new() }
    }

    pub(crate) fn expect(&mut self, fault: &'static str) {
        *self.faults.entry(fault).or_default() += 1;
    }
}

/// Stops the nodes, which makes them record what they counted, and looks whether it is there.
pub(crate) async fn strangers_were_counted_and_recorded(world: &World, from: u64, counted: &[Counted]) {
    let names: Vec<_> = counted.iter().map(|counted| counted.node.to_string()).collect();
    world.cluster.on("stop", &names.iter().map(String::as_str).collect::<Vec<_>>());
    world
        .recorded(from, |records| {
            let wrong: Vec<_> = counted.iter().filter_map(|counted| differs(records, counted)).collect();
            if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
        })
        .await;
}

fn differs(records: &[Record], counted: &Counted) -> Option<String> {
    let node = counted.node.to_string();
    let mut found = BTreeMap::new();
    let (mut total, mut said, mut notes) = (0, 0, 0);
    let fits = |record: &&Record| {
        record.act == "connect" && record.result == "UNAUTHENTICATED" && record.facts.get("by_node") == Some(&node)
    };
    for record in records.iter().filter(fits) {
        assert_eq!(record.facts["source"], "127.0.0.1", "{record:?}");
        notes += 1;
        total += record.facts["count"].parse::<u64>().expect("a number");
        for part in record.facts["call"].split("; ") {
            let (fault, count) = part.rsplit_once(" ×").expect("a fault and how often");
            let count: u64 = count.parse().expect("a number");
            *found.entry(fault.to_owned()).or_insert(0) += count;
            said += count;
        }
    }
    let as_expected = found.len() == counted.faults.len()
        && counted.faults.iter().all(|(fault, count)| found.get(*fault) == Some(count))
        && total == said
        && notes < total;
    (!as_expected).then(|| format!("{node} counted {found:?} ({total}), not {:?}", counted.faults))
}

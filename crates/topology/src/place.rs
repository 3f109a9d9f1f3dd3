//! Choosing slots: which nodes and disks a new volume takes, and how wide it can be. Pure.
//!
//! Each slot goes to the district that has the fewest so far, and there to the least loaded node and disk. Ties go to
//! the lesser load, then the lesser name or id: the same rows always give the same slots.
//!
//! No cap on a district is needed to keep the promise. A scheme fits when the districts, each counted with at most m
//! nodes, hold k+m slots; filling all of them evenly then ends before any has taken m+1.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_types::{DiskId, DistrictName, ErasureScheme, NodeId, Reason, Refusal};

use crate::{
    promise::Promise,
    row::{ClassRow, DiskRow, DiskState, DiskUseRow, NodeRow, NodeState, Slot, VolumeRow},
};

/// Names in a refusal's remedy, beyond which the rest is counted.
const NAMED_NODES_MAX: usize = 8;

/// The nodes that can take a slot now: in service, with a disk in service, and reachable for the caller.
pub(crate) struct Candidates<'a> {
    nodes: Vec<&'a NodeRow>,
}

impl<'a> Candidates<'a> {
    pub(crate) fn among(nodes: &'a [NodeRow], avoid: &[NodeId]) -> Self {
        Self { nodes: nodes.iter().filter(|node| obstacle(node, avoid).is_none()).collect() }
    }

    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Whether this slot's node and disk are among them.
    pub(crate) fn hold(&self, slot: &Slot) -> bool {
        self.nodes
            .iter()
            .find(|node| node.id == slot.node)
            .is_some_and(|node| disks_in_service(node).any(|disk| disk.id == slot.disk))
    }

    /// The widest scheme of the class that they can carry and that keeps its promise; none if even 1+m does not fit.
    pub(crate) fn widest(&self, class: &ClassRow) -> Option<ErasureScheme> {
        let slots_max: usize = match class.promise {
            Promise::SurviveNode => self.count(),
            Promise::SurviveDistrict => {
                self.by_district().values().map(|nodes| nodes.len().min(class.widest.parity())).sum()
            }
        };
        let data = class.widest.data().min(slots_max.saturating_sub(class.widest.parity()));
        let data = u8::try_from(data).expect("at most 16");
        let parity = u8::try_from(class.widest.parity()).expect("at most 4");
        ErasureScheme::new(data, parity).ok()
    }

    /// The slots of a new volume.
    ///
    /// Panics where the scheme does not fit; [`Self::widest`] says which one does.
    pub(crate) fn choose(&self, scheme: ErasureScheme, load: &Load) -> Vec<Slot> {
        let mut queues: Vec<DistrictQueue> =
            self.by_district().into_values().map(|nodes| DistrictQueue::new(&nodes, load)).collect();
        (0..scheme.total())
            .map(|_| {
                let next = queues.iter_mut().filter(|queue| !queue.is_exhausted()).min_by_key(|queue| queue.rank());
                next.expect("the scheme fits these nodes").take()
            })
            .collect()
    }

    fn by_district(&self) -> BTreeMap<&'a DistrictName, Vec<&'a NodeRow>> {
        let mut districts: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for node in &self.nodes {
            districts.entry(&node.district).or_default().push(*node);
        }
        districts
    }
}

/// What a disk carries, in the order in which it matters: open volumes share its bandwidth now, bytes its space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct DiskLoad {
    open: u64,
    bytes: u64,
    volumes: u64,
}

/// The load of every disk that carries anything.
#[derive(Debug, Default)]
pub(crate) struct Load {
    disks: BTreeMap<DiskId, DiskLoad>,
}

impl Load {
    pub(crate) fn new(used: &[DiskUseRow], open: &[VolumeRow]) -> Self {
        let mut load = Self::default();
        for row in used {
            load.disks.insert(row.disk, DiskLoad { open: 0, bytes: row.closed_bytes, volumes: row.volumes });
        }
        for volume in open {
            for slot in &volume.slots {
                let disk = load.disks.entry(slot.disk).or_default();
                disk.open += 1;
                disk.bytes = disk.bytes.saturating_add(volume.slot_bytes());
            }
        }
        load
    }

    /// Counts a volume that was just opened, empty.
    pub(crate) fn add(&mut self, opened: &VolumeRow) {
        for slot in &opened.slots {
            let disk = self.disks.entry(slot.disk).or_default();
            disk.open += 1;
            disk.volumes += 1;
        }
    }

    fn of(&self, disk: DiskId) -> DiskLoad {
        self.disks.get(&disk).copied().unwrap_or_default()
    }
}

/// The nodes of one district, least loaded first, each with its least loaded disk.
struct DistrictQueue {
    nodes: Vec<(DiskLoad, Slot)>,
    taken: usize,
}

impl DistrictQueue {
    fn new(nodes: &[&NodeRow], load: &Load) -> Self {
        let best_disk = |node: &&NodeRow| {
            let disks = disks_in_service(node).map(|disk| (load.of(disk.id), Slot { node: node.id, disk: disk.id }));
            disks.min()
        };
        let mut nodes: Vec<_> = nodes.iter().filter_map(best_disk).collect();
        nodes.sort();
        Self { nodes, taken: 0 }
    }

    fn is_exhausted(&self) -> bool {
        self.taken == self.nodes.len()
    }

    /// The lesser is served first. The list of districts is in name order, which settles what is equal here.
    fn rank(&self) -> (usize, DiskLoad) {
        (self.taken, self.nodes[self.taken].0)
    }

    fn take(&mut self) -> Slot {
        self.taken += 1;
        self.nodes[self.taken - 1].1
    }
}

/// Says what is missing where no scheme of the class fits, and who could be brought back.
pub(crate) fn promise_unmet(class: &ClassRow, nodes: &[NodeRow], avoid: &[NodeId]) -> Refusal {
    let known: Vec<&NodeRow> = nodes.iter().filter(|node| node.state != NodeState::Removed).collect();
    let candidates = Candidates::among(nodes, avoid);
    let districts = candidates.by_district().len();
    let districts_known: BTreeSet<_> = known.iter().map(|node| &node.district).collect();
    let message = format!(
        "class {} ({}, {} or narrower) needs {}: {} of {} can take shards, in {} of {}",
        class.name,
        class.promise,
        class.widest,
        missing(class, candidates.count(), districts),
        candidates.count(),
        counted(known.len(), "node"),
        districts,
        counted(districts_known.len(), "district"),
    );
    Refusal::new(Reason::PromiseUnmet, "", message, remedy(&known, avoid))
}

/// What the narrowest scheme of the class, 1+m, lacks.
fn missing(class: &ClassRow, nodes: usize, districts: usize) -> String {
    let nodes_short = (class.widest.parity() + 1).saturating_sub(nodes);
    let districts_short = match class.promise {
        Promise::SurviveNode => 0,
        // Any two districts can hold 1+m between them, if there are nodes enough.
        Promise::SurviveDistrict => 2_usize.saturating_sub(districts),
    };
    let more = |count: usize| counted(count, "more node");
    match (nodes_short.max(districts_short), districts_short) {
        (nodes, 0) => more(nodes),
        (1, 1) => "a node in at least 1 more district".to_owned(),
        (nodes, 1) => format!("{}, at least 1 of them in another district", more(nodes)),
        (nodes, districts) => format!("{} in at least {districts} districts", more(nodes)),
    }
}

fn remedy(known: &[&NodeRow], avoid: &[NodeId]) -> String {
    let away: Vec<String> =
        known.iter().filter_map(|node| Some(format!("{} ({})", node.id, obstacle(node, avoid)?))).collect();
    if away.is_empty() {
        return "register more nodes".to_owned();
    }
    let named = away[..away.len().min(NAMED_NODES_MAX)].join(", ");
    let rest = match away.len().saturating_sub(NAMED_NODES_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("bring back {named}{rest}, or register more nodes")
}

/// Why a node can take no slot now.
fn obstacle(node: &NodeRow, avoid: &[NodeId]) -> Option<&'static str> {
    if node.state != NodeState::InService {
        Some(node.state.name())
    } else if avoid.contains(&node.id) {
        Some("not reachable")
    } else if disks_in_service(node).next().is_none() {
        Some("no disk in service")
    } else {
        None
    }
}

fn disks_in_service(node: &NodeRow) -> impl Iterator<Item = &DiskRow> {
    node.disks.iter().filter(|disk| disk.state == DiskState::InService)
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

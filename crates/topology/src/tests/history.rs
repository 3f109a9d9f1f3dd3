//! Random histories: what must hold after any sequence of commands, and an exhaustive oracle for the scheme.

use proptest::{prelude::*, sample::Index};

use strongroom_types::ShardIndex;

use super::*;
use crate::{Slot, SlotMove};

/// A command with its subjects still open: they are drawn from what exists when it is applied.
#[derive(Clone, Debug)]
enum Step {
    Register { place: usize, disks: u64 },
    Node(Index, NodeState),
    Disk(Index, Index, DiskState),
    Ensure(Vec<Index>),
    Close(Index),
    Add(Index, u64),
    Move { volume: Index, slot: Index, node: Index, disk: Index },
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<Index>;
    let node_state = prop::sample::select(vec![
        NodeState::InService,
        NodeState::InService,
        NodeState::Draining,
        NodeState::Drained,
        NodeState::Removed,
    ]);
    let disk_state = prop::sample::select(vec![DiskState::InService, DiskState::Draining, DiskState::Failed]);
    prop_oneof![
        3 => (1..5_usize, 0..3_u64).prop_map(|(place, disks)| Step::Register { place, disks }),
        2 => (any(), node_state).prop_map(|(node, state)| Step::Node(node, state)),
        1 => (any(), any(), disk_state).prop_map(|(node, disk, state)| Step::Disk(node, disk, state)),
        5 => prop::collection::vec(any(), 0..4).prop_map(Step::Ensure),
        1 => any().prop_map(Step::Close),
        2 => (any(), 0..300_u64 << 30).prop_map(|(volume, bytes)| Step::Add(volume, bytes)),
        2 => (any(), any(), any(), any())
            .prop_map(|(volume, slot, node, disk)| Step::Move { volume, slot, node, disk }),
    ]
}

/// The command that a step comes to; none where there is nothing to act on yet.
fn command(rows: &MemoryRows, step: &Step) -> Option<Command> {
    let nodes = read::nodes(rows).expect("reads");
    let volumes = read::volumes(rows, None, 1000).expect("reads");
    let pick_node = |index: &Index| (!nodes.is_empty()).then(|| index.get(&nodes));
    let pick_volume = |index: &Index| (!volumes.is_empty()).then(|| index.get(&volumes));
    Some(match step {
        Step::Register { place, disks } => {
            let next = u64::try_from(nodes.len()).expect("small") + 1;
            Command::RegisterNode(registration(next, *place, *disks))
        }
        Step::Node(node, state) => Command::SetNodeState { node: pick_node(node)?.id, state: *state },
        Step::Disk(node, disk, state) => {
            let mut update = update_of(rows, pick_node(node)?.id.0);
            if update.disks.is_empty() {
                return None;
            }
            let position = disk.index(update.disks.len());
            update.disks[position].state = *state;
            Command::UpdateNode(update)
        }
        Step::Ensure(avoid) => Command::EnsureVolume {
            class: class_name(),
            avoid: avoid.iter().filter_map(|node| Some(pick_node(node)?.id)).collect(),
        },
        Step::Close(volume) => Command::CloseVolume { volume: pick_volume(volume)?.id, why: CloseReason::Full },
        Step::Add(volume, bytes) => Command::AddVolumeBytes { volume: pick_volume(volume)?.id, bytes: *bytes },
        Step::Move { volume, slot, node, disk } => {
            let volume = pick_volume(volume)?;
            let target = pick_node(node)?;
            if target.disks.is_empty() {
                return None;
            }
            Command::MoveSlot(SlotMove {
                volume: volume.id,
                slot: ShardIndex(u8::try_from(slot.index(volume.slots.len())).expect("small")),
                planned_epoch: volume.placement_epoch,
                to: Slot { node: target.id, disk: disk.get(&target.disks).id },
            })
        }
    })
}

fn check_invariants(rows: &MemoryRows, promise: Promise) {
    let nodes = read::nodes(rows).expect("reads");
    let volumes = read::volumes(rows, None, 1000).expect("reads");
    let open: Vec<VolumeRow> = volumes.iter().filter(|volume| volume.is_open()).cloned().collect();
    assert_eq!(read::open_volumes(rows, &class_name()).expect("reads"), open, "the index is the truth");
    for volume in &volumes {
        check_volume(rows, promise, volume);
    }
    let in_service = |slot: &Slot| {
        let node = nodes.iter().find(|node| node.id == slot.node).expect("registered");
        let disk = node.disks.iter().find(|disk| disk.id == slot.disk).expect("kept while it carries a slot");
        node.state == NodeState::InService && disk.state == DiskState::InService
    };
    assert!(open.iter().all(|volume| volume.slots.iter().all(in_service)), "open volumes take shards everywhere");

    let mut recount: BTreeMap<(NodeId, DiskId), DiskUseRow> = BTreeMap::new();
    for volume in &volumes {
        for slot in &volume.slots {
            let row = recount.entry((slot.node, slot.disk));
            let row = row.or_insert(DiskUseRow { disk: slot.disk, volumes: 0, closed_bytes: 0 });
            row.volumes += 1;
            row.closed_bytes += if volume.is_open() { 0 } else { volume.slot_bytes() };
        }
    }
    let used = read::all(&DISK_USE, rows, &()).expect("reads");
    assert_eq!(used, recount.into_values().collect::<Vec<_>>(), "the sums are the sums");
    for node in nodes.iter().filter(|node| matches!(node.state, NodeState::Drained | NodeState::Removed)) {
        assert!(volumes.iter().all(|volume| volume.slot_on(node.id).is_none()), "{} holds a slot", node.id);
    }
}

/// The widest scheme by trying every set of usable nodes.
fn widest_by_trying(rows: &MemoryRows, class: &ClassRow, avoid: &[NodeId]) -> Option<ErasureScheme> {
    let usable: Vec<(NodeId, DistrictName)> = read::nodes(rows)
        .expect("reads")
        .into_iter()
        .filter(|node| node.state == NodeState::InService && !avoid.contains(&node.id))
        .filter(|node| node.disks.iter().any(|disk| disk.state == DiskState::InService))
        .map(|node| (node.id, node.district))
        .collect();
    assert!(usable.len() <= 14, "too many sets to try");
    let possible = |scheme: ErasureScheme| {
        (0..1_u32 << usable.len())
            .filter(|set| usize::try_from(set.count_ones()).expect("small") == scheme.total())
            .any(|set| {
                let places: Vec<_> =
                    (0..usable.len()).filter(|bit| set >> bit & 1 == 1).map(|bit| usable[bit].clone()).collect();
                meets(class.promise, scheme, &places, &vec![true; places.len()])
            })
    };
    (1..=class.widest.data())
        .rev()
        .map(|data| scheme(&format!("{data}+{}", class.widest.parity())))
        .find(|scheme| possible(*scheme))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_keeps_the_promise_the_index_and_the_sums(
        first in prop::collection::vec((1..5_usize, 0..3_u64), 0..8),
        steps in prop::collection::vec(step(), 1..40),
        district_promise in any::<bool>(),
        widest in prop::sample::select(vec!["1+1", "2+1", "4+2", "3+3", "6+2"]),
    ) {
        let promise = if district_promise { Promise::SurviveDistrict } else { Promise::SurviveNode };
        let mut rows = cluster(&[], promise, widest);
        let class = read::class(&rows, &class_name()).expect("reads").expect("defined");
        let register = first.iter().map(|(place, disks)| Step::Register { place: *place, disks: *disks });
        for step in register.chain(steps) {
            if matches!(step, Step::Register { .. }) && read::nodes(&rows).expect("reads").len() >= 12 {
                continue;
            }
            let Some(command) = command(&rows, &step) else { continue };
            let outcome = run(&mut rows, &command);
            if let Command::EnsureVolume { avoid, .. } = &command {
                let expected = widest_by_trying(&rows, &class, avoid);
                match outcome {
                    Err(refusal) => {
                        prop_assert_eq!(refusal.reason, Reason::PromiseUnmet);
                        prop_assert_eq!(expected, None, "refused what is possible: {}", refusal);
                    }
                    Ok(Applied { answer: Answer::Volumes(volumes), .. }) => {
                        prop_assert!(!volumes.is_empty());
                        for volume in volumes {
                            prop_assert_eq!(Some(volume.scheme), expected);
                            prop_assert!(volume.is_open());
                            prop_assert!(volume.slots.iter().all(|slot| !avoid.contains(&slot.node)));
                        }
                    }
                    Ok(other) => prop_assert!(false, "not volumes: {:?}", other),
                }
            }
            check_invariants(&rows, promise);
        }
    }

    #[test]
    fn the_same_cluster_described_in_another_order_gets_the_same_volumes(
        seed in any::<u64>(),
        districts in prop::collection::vec(1..8_usize, 2..6),
    ) {
        let nodes: usize = districts.iter().sum();
        let places: Vec<usize> = districts.iter().enumerate().flat_map(|(place, count)| vec![place; *count]).collect();
        let mut order: Vec<u64> = (1..=u64::try_from(nodes).expect("small")).collect();
        let build = |order: &[u64]| {
            let mut rows = cluster(&[], Promise::SurviveDistrict, "4+2");
            for node in order {
                let place = places[usize::try_from(*node).expect("small") - 1];
                accept(&mut rows, &Command::RegisterNode(registration(*node, place, 2)));
            }
            let outcome = run(&mut rows, &ensure_command(&[]));
            (rows, outcome)
        };
        let straight = build(&order);
        order.sort_by_key(|node| (node ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        prop_assert_eq!(build(&order), straight);
    }
}

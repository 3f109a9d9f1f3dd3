//! Cluster shapes and the life of volumes and nodes in them.

use strongroom_types::{PlacementEpoch, ShardIndex, limits, rows::RowError};

use super::*;
use crate::{OPEN_VOLUMES_MAX, Slot, SlotMove, row::OPEN_VOLUMES};

/// A shape, the nodes out of reach, and the scheme that must come of it.
struct Shape {
    districts: &'static [usize],
    promise: Promise,
    widest: &'static str,
    avoid: &'static [u64],
    expected: &'static str,
}

#[test]
fn each_shape_gets_the_widest_scheme_that_keeps_the_promise() {
    use Promise::{SurviveDistrict, SurviveNode};
    let shape = |districts, promise, widest, avoid, expected| Shape { districts, promise, widest, avoid, expected };
    for shape in [
        shape(&[3], SurviveNode, "4+2", &[], "1+2"),
        shape(&[3], SurviveNode, "2+1", &[], "2+1"),
        shape(&[3], SurviveNode, "2+1", &[2], "1+1"),
        shape(&[2, 2, 2], SurviveDistrict, "4+2", &[], "4+2"),
        shape(&[2, 2, 2], SurviveDistrict, "4+2", &[4], "3+2"),
        shape(&[2, 2, 2], SurviveDistrict, "4+2", &[3, 4], "2+2"),
        shape(&[2, 2, 2], SurviveDistrict, "4+2", &[1, 3], "2+2"),
        shape(&[2, 2, 2], SurviveDistrict, "4+2", &[1, 3, 5], "1+2"),
        shape(&[2, 2, 2], SurviveNode, "4+2", &[3, 4], "2+2"),
        shape(&[1, 1, 1, 1, 1], SurviveDistrict, "3+2", &[], "3+2"),
        shape(&[1, 1, 1, 1, 1], SurviveDistrict, "4+2", &[], "3+2"),
        shape(&[4, 1, 1], SurviveDistrict, "4+2", &[], "2+2"),
        shape(&[4, 1, 1], SurviveNode, "4+2", &[], "4+2"),
        shape(&[4, 1, 1], SurviveDistrict, "4+1", &[], "2+1"),
        shape(&[4, 4, 4, 4, 4], SurviveDistrict, "16+4", &[], "16+4"),
        shape(&[4, 4, 4, 4, 4], SurviveDistrict, "16+4", &[20], "15+4"),
        shape(&[10, 10], SurviveDistrict, "16+4", &[], "4+4"),
        shape(&[20], SurviveNode, "16+4", &[], "16+4"),
        shape(&[1, 1], SurviveDistrict, "1+1", &[], "1+1"),
    ] {
        let mut rows = cluster(shape.districts, shape.promise, shape.widest);
        let context = format!("{:?} {} {} without {:?}", shape.districts, shape.promise, shape.widest, shape.avoid);
        for volume in ensure(&mut rows, shape.avoid) {
            assert_eq!(volume.scheme, scheme(shape.expected), "{context}");
            assert!(nodes_of(&volume).iter().all(|node| !shape.avoid.contains(node)), "{context}: {volume:?}");
            check_volume(&rows, shape.promise, &volume);
        }
    }
}

#[test]
fn four_plus_two_on_three_pairs_takes_all_six_nodes() {
    let mut rows = cluster(&[2, 2, 2], Promise::SurviveDistrict, "4+2");
    let volume = ensure_one(&mut rows, &[]);
    assert_eq!(nodes_of(&volume), BTreeSet::from([1, 2, 3, 4, 5, 6]));
    assert_eq!(volume.id, VolumeId(1));
    assert!(volume.is_open());
}

#[test]
fn an_impossible_promise_is_refused_with_what_is_missing_and_whom_to_bring_back() {
    use Promise::{SurviveDistrict, SurviveNode};
    for (districts, promise, widest, avoid, message, remedy) in [
        (
            &[2, 2, 2][..],
            SurviveDistrict,
            "4+2",
            &[3_u64, 4, 5, 6][..],
            "needs a node in at least 1 more district",
            "bring back n3 (not reachable), n4",
        ),
        (
            &[3],
            SurviveDistrict,
            "4+2",
            &[],
            "needs a node in at least 1 more district: 3 of 3 nodes can take shards, in 1 of 1 district",
            "register more nodes",
        ),
        (
            &[2, 2],
            SurviveDistrict,
            "4+2",
            &[1, 3],
            "needs 1 more node: 2 of 4 nodes can take shards, in 2 of 2 districts",
            "bring back n1",
        ),
        (
            &[2, 2, 2],
            SurviveDistrict,
            "4+2",
            &[1, 2, 3, 4, 5],
            "needs 2 more nodes, at least 1 of them in another district: 1 of 6 nodes",
            "n5 (not reachable), or register more nodes",
        ),
        (&[], SurviveDistrict, "4+2", &[], "needs 3 more nodes in at least 2 districts: 0 of 0 nodes", "register"),
        (&[3], SurviveNode, "2+2", &[1, 2, 3], "needs 3 more nodes: 0 of 3 nodes", "bring back n1"),
        (&[12], SurviveNode, "2+2", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], "needs 1 more node: 2 of 12", "and 2 more"),
    ] {
        let mut rows = cluster(districts, promise, widest);
        let refusal = refuse(&mut rows, &ensure_command(avoid));
        assert_eq!(refusal.reason, Reason::PromiseUnmet);
        assert!(refusal.message.contains(message), "{:?} lacks {message:?}", refusal.message);
        assert!(refusal.remedy.contains(remedy), "{:?} lacks {remedy:?}", refusal.remedy);
    }
}

#[test]
fn a_node_that_drains_or_has_no_disk_in_service_is_named_in_the_remedy() {
    let mut rows = cluster(&[1, 1], Promise::SurviveDistrict, "1+1");
    accept(&mut rows, &set_state(1, NodeState::Draining));
    let mut update = update_of(&rows, 2);
    update.disks[0].state = DiskState::Failed;
    accept(&mut rows, &Command::UpdateNode(update));
    let refusal = refuse(&mut rows, &ensure_command(&[]));
    assert_eq!(refusal.remedy, "bring back n1 (draining), n2 (no disk in service), or register more nodes");
}

#[test]
fn a_volume_of_an_unknown_class_is_not_found() {
    let mut rows = MemoryRows::default();
    assert_eq!(refuse(&mut rows, &ensure_command(&[])).reason, Reason::NotFound);
}

#[test]
fn asking_again_returns_the_same_volumes_and_writes_nothing() {
    let mut rows = cluster(&[2, 2, 2], Promise::SurviveDistrict, "4+2");
    let first = ensure(&mut rows, &[]);
    let before = rows.clone();
    assert_eq!(ensure(&mut rows, &[]), first);
    assert_eq!(rows, before);
}

#[test]
fn a_large_cluster_keeps_several_volumes_open_on_different_nodes() {
    for (districts, widest, expected) in
        [(&[4, 4, 4][..], "4+2", 2), (&[20, 20, 20], "4+2", 10), (&[12, 12, 12, 12, 12], "16+4", 3)]
    {
        let mut rows = cluster(districts, Promise::SurviveDistrict, widest);
        let volumes = ensure(&mut rows, &[]);
        assert_eq!(volumes.len(), expected);
        let nodes: BTreeSet<u64> = volumes.iter().flat_map(nodes_of).collect();
        assert_eq!(nodes.len(), expected * scheme(widest).total(), "no node is in two of them");
    }
}

#[test]
fn slots_spread_evenly_over_the_districts() {
    for (districts, promise, widest, expected) in [
        (&[4, 4, 4, 4, 4][..], Promise::SurviveDistrict, "4+2", &[1, 1, 1, 1, 2][..]),
        (&[9, 9, 9], Promise::SurviveNode, "4+2", &[2, 2, 2]),
        (&[9, 2, 2], Promise::SurviveNode, "6+2", &[2, 2, 4]),
        (&[9, 9], Promise::SurviveDistrict, "16+4", &[4, 4]),
    ] {
        let mut rows = cluster(districts, promise, widest);
        for volume in ensure(&mut rows, &[]) {
            let places = read::slot_places(&rows, &volume).expect("reads");
            let mut counts: BTreeMap<&DistrictName, usize> = BTreeMap::new();
            places.iter().for_each(|(_, district)| *counts.entry(district).or_default() += 1);
            let mut counts: Vec<usize> = counts.into_values().collect();
            counts.sort_unstable();
            assert_eq!(counts, expected, "{districts:?} {widest}");
        }
    }
}

#[test]
fn disks_that_are_being_written_are_spared_before_those_that_are_fuller() {
    let mut rows = cluster(&[5], Promise::SurviveNode, "2+1");
    let full = ensure_one(&mut rows, &[]);
    accept(&mut rows, &Command::AddVolumeBytes { volume: full.id, bytes: limits::VOLUME_BYTES_MAX });
    let busy = ensure_one(&mut rows, &[]);
    let idle: BTreeSet<u64> = (1..=5).filter(|node| !nodes_of(&busy).contains(node)).collect();
    assert!(idle.is_subset(&nodes_of(&full)), "the empty nodes came first");

    let other: ClassName = "other".parse().expect("a name");
    let class = ClassRow { name: other.clone(), promise: Promise::SurviveNode, widest: scheme("2+1") };
    accept(&mut rows, &Command::DefineClass(class));
    accept(&mut rows, &Command::EnsureVolume { class: other.clone(), avoid: vec![] });
    let volume = read::open_volumes(&rows, &other).expect("reads").remove(0);
    assert!(idle.is_subset(&nodes_of(&volume)), "{volume:?} leaves {idle:?} idle");
}

#[test]
fn a_volume_as_wide_on_other_nodes_stays_open_for_others() {
    let mut rows = cluster(&[7], Promise::SurviveNode, "4+2");
    let first = ensure_one(&mut rows, &[]);
    let missing = first.slots[0].node.0;
    let second = ensure_one(&mut rows, &[missing]);
    assert_eq!(second.scheme, first.scheme);
    assert!(stored(&rows, first.id).is_open());
}

#[test]
fn one_gateway_that_cannot_reach_a_node_does_not_close_the_volumes_of_others() {
    let mut rows = cluster(&[2, 2, 2], Promise::SurviveDistrict, "4+2");
    let wide = ensure_one(&mut rows, &[]);
    let narrow = ensure_one(&mut rows, &[6]);
    assert_ne!(wide.id, narrow.id);
    for _ in 0..3 {
        assert_eq!(ensure_one(&mut rows, &[]).id, wide.id);
        assert_eq!(ensure_one(&mut rows, &[6]).id, narrow.id);
    }
}

#[test]
fn a_wider_volume_supersedes_the_narrower_ones() {
    let mut rows = cluster(&[2, 2], Promise::SurviveDistrict, "4+2");
    let narrow = ensure_one(&mut rows, &[]);
    assert_eq!(narrow.scheme, scheme("2+2"));
    for node in [5, 6] {
        accept(&mut rows, &Command::RegisterNode(registration(node, 3, 1)));
    }
    assert_eq!(ensure_one(&mut rows, &[]).scheme, scheme("4+2"));
    assert_eq!(stored(&rows, narrow.id).state, closed(CloseReason::Superseded));
}

#[test]
fn a_volume_closes_at_its_size_and_the_next_one_takes_the_less_used_disks() {
    let mut rows = cluster_with_disks(&[1, 1, 1], 2, Promise::SurviveDistrict, "2+1");
    let first = ensure_one(&mut rows, &[]);
    let add = |bytes| Command::AddVolumeBytes { volume: first.id, bytes };
    accept(&mut rows, &add(limits::VOLUME_BYTES_MAX - 1));
    assert!(stored(&rows, first.id).is_open());
    accept(&mut rows, &add(1));
    assert_eq!(stored(&rows, first.id).state, closed(CloseReason::Full));
    let second = ensure_one(&mut rows, &[]);
    let disks = |volume: &VolumeRow| volume.slots.iter().map(|slot| slot.disk).collect::<BTreeSet<_>>();
    assert!(disks(&first).is_disjoint(&disks(&second)));
    // What was on its way when the volume closed still counts, and does not open it again.
    accept(&mut rows, &add(7));
    assert_eq!(stored(&rows, first.id).user_bytes, limits::VOLUME_BYTES_MAX + 7);
    assert_eq!(stored(&rows, first.id).state, closed(CloseReason::Full));
}

#[test]
fn data_slots_change_places_from_volume_to_volume() {
    let mut rows = cluster(&[2, 2, 2], Promise::SurviveDistrict, "4+2");
    let mut first_nodes = BTreeSet::new();
    for _ in 0..6 {
        let volume = ensure_one(&mut rows, &[]);
        first_nodes.insert(volume.slots[0].node);
        accept(&mut rows, &Command::CloseVolume { volume: volume.id, why: CloseReason::Full });
    }
    assert_eq!(first_nodes.len(), 6);
}

#[test]
fn a_closed_volume_keeps_its_first_reason() {
    let mut rows = cluster(&[2, 2, 2], Promise::SurviveDistrict, "4+2");
    let volume = ensure_one(&mut rows, &[]).id;
    let dead = CloseReason::DeadSlot { slot: ShardIndex(5) };
    accept(&mut rows, &Command::CloseVolume { volume, why: dead });
    accept(&mut rows, &Command::CloseVolume { volume, why: CloseReason::Full });
    assert_eq!(stored(&rows, volume).state, closed(dead));
    let beyond = CloseReason::DeadSlot { slot: ShardIndex(6) };
    assert_eq!(refuse(&mut rows, &Command::CloseVolume { volume, why: beyond }).reason, Reason::NotFound);
    let other = VolumeId(99);
    for command in [
        Command::CloseVolume { volume: other, why: CloseReason::Full },
        Command::AddVolumeBytes { volume: other, bytes: 1 },
    ] {
        assert_eq!(refuse(&mut rows, &command).reason, Reason::NotFound);
    }
}

#[test]
fn open_volumes_close_when_a_node_or_disk_of_theirs_leaves_service() {
    let mut rows = cluster(&[2, 2, 2], Promise::SurviveDistrict, "4+2");
    let volume = ensure_one(&mut rows, &[]);
    accept(&mut rows, &set_state(4, NodeState::Draining));
    let slot = volume.slot_on(NodeId(4)).expect("all six nodes");
    assert_eq!(stored(&rows, volume.id).state, closed(CloseReason::DeadSlot { slot }));

    let narrower = ensure_one(&mut rows, &[]);
    assert_eq!(narrower.scheme, scheme("3+2"));
    let mut update = update_of(&rows, 1);
    update.disks[0].state = DiskState::Failed;
    accept(&mut rows, &Command::UpdateNode(update));
    let slot = narrower.slot_on(NodeId(1)).expect("all five nodes");
    assert_eq!(stored(&rows, narrower.id).state, closed(CloseReason::DeadSlot { slot }));
    assert_eq!(read::open_volumes_of_all_classes(&rows).expect("reads"), []);
}

#[test]
fn open_volumes_stay_bounded_however_the_callers_see_the_cluster() {
    let mut rows = cluster(&[7, 7], Promise::SurviveDistrict, "2+2");
    for avoid in 0..1_u64 << 9 {
        let out: Vec<u64> = (0..14).filter(|bit| ((avoid * 31) >> bit) & 1 == 1).map(|bit| bit + 1).collect();
        let _ = run(&mut rows, &ensure_command(&out));
        assert!(read::open_volumes(&rows, &class_name()).expect("reads").len() <= OPEN_VOLUMES_MAX);
    }
    assert!(read::volumes(&rows, Some(VolumeId(OPEN_VOLUMES_MAX as u64)), 1).expect("reads").len() == 1);
}

#[test]
fn a_node_takes_only_the_steps_of_its_life() {
    use NodeState::{Drained, Draining, InService, Removed};
    let paths: [(NodeState, &[NodeState]); 4] = [
        (InService, &[]),
        (Draining, &[Draining]),
        (Drained, &[Draining, Drained]),
        (Removed, &[Draining, Drained, Removed]),
    ];
    let allowed =
        [(InService, Draining), (Draining, InService), (Draining, Drained), (Drained, InService), (Drained, Removed)];
    for (from, path) in paths {
        for to in [InService, Draining, Drained, Removed] {
            let mut rows = cluster(&[1], Promise::SurviveNode, "1+1");
            path.iter().for_each(|state| drop(accept(&mut rows, &set_state(1, *state))));
            let outcome = run(&mut rows, &set_state(1, to));
            match outcome {
                Ok(applied) if from == to => assert_eq!(applied.events, []),
                Ok(applied) => {
                    assert!(allowed.contains(&(from, to)), "{from} became {to}");
                    assert_eq!(applied.events, [Event::NodeStateChanged { node: NodeId(1), from, to }]);
                }
                Err(refusal) => {
                    assert!(from != to && !allowed.contains(&(from, to)), "{from} could not become {to}");
                    assert_eq!(refusal.reason, Reason::WrongState);
                    assert!(!refusal.remedy.is_empty());
                }
            }
        }
    }
}

#[test]
fn a_node_is_drained_only_when_it_holds_no_slot_and_does_not_vote() {
    let mut rows = cluster(&[2, 2, 2], Promise::SurviveDistrict, "2+1");
    let volume = ensure(&mut rows, &[]).remove(0);
    let position = 0;
    let node = volume.slots[position].node.0;
    accept(&mut rows, &Command::SetVoters { voters: vec![NodeId(node)] });
    accept(&mut rows, &set_state(node, NodeState::Draining));

    let refusal = refuse(&mut rows, &set_state(node, NodeState::Drained));
    assert!(refusal.message.contains("is a voter"), "{refusal}");
    let other = NodeId(if node == 1 { 2 } else { 1 });
    let applied = accept(&mut rows, &Command::SetVoters { voters: vec![other] });
    assert_eq!(applied.events, [Event::VoterSetChanged { from: vec![NodeId(node)], to: vec![other] }]);

    let refusal = refuse(&mut rows, &set_state(node, NodeState::Drained));
    assert!(refusal.message.contains("still holds 1 slots"), "{refusal}");
    let to = free_slot_in_the_district_of(&rows, &volume, node);
    accept(&mut rows, &move_command(&volume, position, to));
    accept(&mut rows, &set_state(node, NodeState::Drained));
    accept(&mut rows, &set_state(node, NodeState::Removed));
    let again = Command::RegisterNode(registration(node, 1, 1));
    assert_eq!(refuse(&mut rows, &again).reason, Reason::AlreadyExists, "ids are never reused");
    let update = Command::UpdateNode(update_of(&rows, node));
    assert_eq!(refuse(&mut rows, &update).reason, Reason::WrongState);
}

fn free_slot_in_the_district_of(rows: &MemoryRows, volume: &VolumeRow, node: u64) -> Slot {
    let nodes = read::nodes(rows).expect("reads");
    let home = &nodes.iter().find(|row| row.id.0 == node).expect("registered").district;
    let free = nodes.iter().find(|row| row.district == *home && volume.slot_on(row.id).is_none());
    let free = free.expect("two nodes in each district, one slot");
    Slot { node: free.id, disk: free.disks[0].id }
}

fn move_command(volume: &VolumeRow, position: usize, to: Slot) -> Command {
    Command::MoveSlot(SlotMove {
        volume: volume.id,
        slot: ShardIndex(u8::try_from(position).expect("small")),
        planned_epoch: volume.placement_epoch,
        to,
    })
}

/// MinIO #21718, RustFS #6510: a rebalance lost data or coded it anew.
#[test]
fn a_slot_moves_only_as_planned_and_never_against_the_promise() {
    let mut rows = cluster_with_disks(&[3, 2, 2], 2, Promise::SurviveDistrict, "4+2");
    let open = ensure_one(&mut rows, &[]);
    let spare = (1..=7).find(|node| !nodes_of(&open).contains(node)).expect("seven nodes, six slots");
    assert!(spare <= 3, "the spare stands in the largest district");
    let to = |node, number| Slot { node: NodeId(node), disk: disk(node, number) };
    let far = open.slots.iter().position(|slot| slot.node.0 > 3).expect("a slot elsewhere");
    let near = open.slots.iter().position(|slot| slot.node.0 <= 3).expect("a slot there");
    let near_node = open.slots[near].node.0;

    let early = refuse(&mut rows, &move_command(&open, near, to(spare, 0)));
    assert_eq!(early.reason, Reason::WrongState, "{early}");
    accept(&mut rows, &Command::CloseVolume { volume: open.id, why: CloseReason::Full });
    let mut stale = open.clone();
    stale.placement_epoch = PlacementEpoch(3);
    for (command, reason) in [
        (move_command(&stale, near, to(spare, 0)), Reason::OutOfOrder),
        (move_command(&open, 6, to(spare, 0)), Reason::NotFound),
        (move_command(&open, near, to(99, 0)), Reason::NotFound),
        (move_command(&open, near, to(spare, 9)), Reason::WrongState),
        (move_command(&open, near, open.slots[near]), Reason::InvalidArgument),
        (move_command(&open, far, to(near_node, 1)), Reason::InvalidArgument),
        (move_command(&open, far, to(spare, 0)), Reason::PromiseUnmet),
    ] {
        assert_eq!(refuse(&mut rows, &command).reason, reason, "{command:?}");
    }
    accept(&mut rows, &move_command(&open, near, to(spare, 0)));
    let moved = stored(&rows, open.id);
    assert_eq!(moved.placement_epoch, PlacementEpoch(1));
    assert_eq!(moved.slots[near], to(spare, 0));
    let within = moved.slots[far].node.0;
    accept(&mut rows, &move_command(&moved, far, to(within, 1)));
    check_volume(&rows, Promise::SurviveDistrict, &stored(&rows, open.id));
}

#[test]
fn registration_is_idempotent_and_takes_no_ones_id_key_or_disk() {
    let mut rows = cluster(&[1, 1], Promise::SurviveNode, "1+1");
    accept(&mut rows, &Command::SetVoters { voters: vec![NodeId(1)] });
    accept(&mut rows, &set_state(1, NodeState::Draining));
    let before = rows.clone();
    assert_eq!(accept(&mut rows, &Command::RegisterNode(registration(1, 1, 1))).events, []);
    assert_eq!(rows, before, "it stays what it has become");
    let with = |change: &dyn Fn(&mut Registration)| {
        let mut fresh = registration(3, 3, 1);
        change(&mut fresh);
        Command::RegisterNode(fresh)
    };
    for (command, reason) in [
        (Command::RegisterNode(registration(1, 2, 1)), Reason::AlreadyExists),
        (Command::RegisterNode(registration(1, 1, 2)), Reason::AlreadyExists),
        (with(&|node| node.peer_key = registration(1, 1, 1).peer_key), Reason::AlreadyExists),
        (with(&|node| node.disks = vec![disk(1, 0)]), Reason::AlreadyExists),
        (with(&|node| node.disks = vec![disk(3, 0), disk(3, 0)]), Reason::InvalidArgument),
        (with(&|node| node.disks = (0..65).map(|number| disk(3, number)).collect()), Reason::InvalidArgument),
        (with(&|node| node.id = NodeId(0)), Reason::InvalidArgument),
        (with(&|node| node.client_address = "nowhere".to_owned()), Reason::InvalidArgument),
        (with(&|node| node.client_address = "host:0".to_owned()), Reason::InvalidArgument),
        (with(&|node| node.peer_address = "host:+80".to_owned()), Reason::InvalidArgument),
        (with(&|node| node.peer_address = "ho st:80".to_owned()), Reason::InvalidArgument),
        (with(&|node| node.cosigner_vkey = String::new()), Reason::InvalidArgument),
        (with(&|node| node.clock_vkey = "two\nlines".to_owned()), Reason::InvalidArgument),
        (with(&|node| node.labels = BTreeMap::from([(String::new(), String::new())])), Reason::InvalidArgument),
    ] {
        assert_eq!(refuse(&mut rows, &command).reason, reason, "{command:?}");
    }
    let applied = accept(&mut rows, &with(&|_| {}));
    assert!(matches!(&applied.events[..], [Event::NodeRegistered { node: NodeId(3), .. }]));
}

#[test]
fn a_disk_that_carries_a_slot_cannot_be_left_out() {
    let mut rows = cluster_with_disks(&[1, 1, 1], 2, Promise::SurviveDistrict, "2+1");
    let volume = ensure_one(&mut rows, &[]);
    let used = volume.slots[0];
    let mut update = update_of(&rows, used.node.0);
    update.disks.retain(|disk| disk.id != used.disk);
    assert_eq!(refuse(&mut rows, &Command::UpdateNode(update)).reason, Reason::WrongState);
    let mut update = update_of(&rows, used.node.0);
    update.disks.retain(|disk| disk.id == used.disk);
    update.disks.push(DiskRow { id: disk(77, 7), state: DiskState::InService });
    let applied = accept(&mut rows, &Command::UpdateNode(update.clone()));
    assert!(matches!(&applied.events[..], [Event::NodeUpdated { .. }]));
    assert!(stored(&rows, volume.id).is_open(), "its disk is still in service");
    update.disks.reverse();
    assert_eq!(accept(&mut rows, &Command::UpdateNode(update)).events, [], "the order of disks says nothing");
}

#[test]
fn the_voter_set_is_one_three_or_five_different_nodes_in_service() {
    let mut rows = cluster(&[2, 2, 2], Promise::SurviveDistrict, "4+2");
    let set = |voters: &[u64]| Command::SetVoters { voters: voters.iter().copied().map(NodeId).collect() };
    accept(&mut rows, &set_state(6, NodeState::Draining));
    for (voters, reason) in [
        (&[][..], Reason::InvalidArgument),
        (&[1, 2], Reason::InvalidArgument),
        (&[1, 2, 2], Reason::InvalidArgument),
        (&[1, 2, 3, 4], Reason::InvalidArgument),
        (&[1, 2, 9], Reason::NotFound),
        (&[1, 2, 6], Reason::WrongState),
    ] {
        assert_eq!(refuse(&mut rows, &set(voters)).reason, reason, "{voters:?}");
    }
    accept(&mut rows, &set(&[5, 1, 3]));
    assert_eq!(read::voters(&rows).expect("reads"), [NodeId(1), NodeId(3), NodeId(5)]);
    assert_eq!(accept(&mut rows, &set(&[1, 3, 5])).events, []);
}

#[test]
fn a_class_is_only_strengthened_and_its_open_volumes_end() {
    let mut rows = cluster(&[2, 2, 2], Promise::SurviveNode, "4+1");
    let volume = ensure_one(&mut rows, &[]);
    let class =
        |promise, widest| Command::DefineClass(ClassRow { name: class_name(), promise, widest: scheme(widest) });
    assert_eq!(accept(&mut rows, &class(Promise::SurviveNode, "4+1")).events, []);
    assert!(stored(&rows, volume.id).is_open());
    let applied = accept(&mut rows, &class(Promise::SurviveDistrict, "4+2"));
    assert!(matches!(&applied.events[..], [Event::ClassDefined { .. }]));
    assert_eq!(stored(&rows, volume.id).state, closed(CloseReason::Superseded));
    for weaker in [class(Promise::SurviveNode, "4+2"), class(Promise::SurviveDistrict, "4+1")] {
        assert_eq!(refuse(&mut rows, &weaker).reason, Reason::AlreadyExists);
    }
}

#[test]
fn a_list_longer_than_a_page_is_read_to_its_end() {
    let mut rows = MemoryRows::default();
    let count = limits::PAGE_ROWS_MAX as u64 + 1;
    for number in 1..=count {
        OPEN_VOLUMES.write(&mut rows, &(class_name(), VolumeId(number)), &VolumeId(number));
    }
    let found = read::all(&OPEN_VOLUMES, &rows, &class_name()).expect("reads");
    assert_eq!(found, (1..=count).map(VolumeId).collect::<Vec<_>>());
}

#[test]
fn rows_that_contradict_each_other_are_an_error_and_not_an_answer() {
    let mut rows = cluster(&[2, 2, 2], Promise::SurviveDistrict, "4+2");
    OPEN_VOLUMES.write(&mut rows, &(class_name(), VolumeId(5)), &VolumeId(5));
    assert!(matches!(apply(&mut rows, &ensure_command(&[])), Err(RowError::Corrupt { table: "open-volumes", .. })));
}

#[test]
fn volumes_are_paged_by_id() {
    let mut rows = cluster(&[20, 20, 20], Promise::SurviveDistrict, "4+2");
    assert_eq!(ensure(&mut rows, &[]).len(), 10);
    let ids = |after, limit| -> Vec<u64> {
        read::volumes(&rows, after, limit).expect("reads").iter().map(|volume| volume.id.0).collect()
    };
    assert_eq!(ids(None, 3), [1, 2, 3]);
    assert_eq!(ids(Some(VolumeId(3)), 3), [4, 5, 6]);
    assert_eq!(ids(Some(VolumeId(9)), 3), [10]);
}

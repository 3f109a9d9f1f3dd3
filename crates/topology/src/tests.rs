//! The rules as tables of cluster shapes, the refused half, golden bytes, and random histories against an oracle.

mod faults;
mod golden;
mod history;
mod shapes;

use std::collections::{BTreeMap, BTreeSet};

use strongroom_types::{
    DiskId, DistrictName, ErasureScheme, KeyHash, NodeId, Reason, Refusal, VolumeId, rows::MemoryRows,
};

use crate::{
    Answer, Applied, ClassName, ClassRow, CloseReason, Command, DiskRow, DiskState, Event, NodeState, NodeUpdate,
    Promise, Registration, VolumeRow, VolumeState, apply, meets, read,
    row::{DISK_USE, DiskUseRow},
};

fn scheme(text: &str) -> ErasureScheme {
    text.parse().expect("a scheme")
}

fn class_name() -> ClassName {
    "evidence".parse().expect("a name")
}

fn district(number: usize) -> DistrictName {
    format!("d{number}").parse().expect("a name")
}

fn disk(node: u64, number: u64) -> DiskId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&node.to_be_bytes());
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    DiskId::new(bytes)
}

fn registration(node: u64, place: usize, disks: u64) -> Registration {
    let mut key = [0; 32];
    key[24..].copy_from_slice(&node.to_be_bytes());
    Registration {
        id: NodeId(node),
        district: district(place),
        client_address: format!("10.0.0.{node}:7400"),
        peer_address: format!("10.0.0.{node}:7401"),
        peer_key: KeyHash::new(key),
        labels: BTreeMap::new(),
        disks: (0..disks).map(|number| disk(node, number)).collect(),
        cosigner_vkey: format!("n{node}+01+cosigner"),
        clock_vkey: format!("n{node}+01+clock"),
    }
}

fn update_of(rows: &MemoryRows, node: u64) -> NodeUpdate {
    let row = read::node(rows, NodeId(node)).expect("reads").expect("registered");
    NodeUpdate {
        node: row.id,
        client_address: row.client_address,
        peer_address: row.peer_address,
        labels: row.labels,
        disks: row.disks,
    }
}

/// Applies, and checks that a refusal wrote nothing and that a second replica does the same to the byte.
fn run(rows: &mut MemoryRows, command: &Command) -> Result<Applied, Refusal> {
    let before = rows.clone();
    let mut replica = rows.clone();
    let outcome = apply(rows, command).expect("rows read");
    assert_eq!(apply(&mut replica, command).expect("rows read"), outcome, "replicas answer alike");
    assert_eq!(*rows, replica, "replicas write alike");
    if outcome.is_err() {
        assert_eq!(*rows, before, "a refusal wrote rows: {command:?}");
    }
    outcome
}

fn accept(rows: &mut MemoryRows, command: &Command) -> Applied {
    run(rows, command).unwrap_or_else(|refusal| panic!("{command:?} was refused: {refusal}, {}", refusal.remedy))
}

fn refuse(rows: &mut MemoryRows, command: &Command) -> Refusal {
    run(rows, command).expect_err("must be refused")
}

/// One district for each entry, with so many nodes of one disk each, counted through from n1.
fn cluster(nodes_in_districts: &[usize], promise: Promise, widest: &str) -> MemoryRows {
    cluster_with_disks(nodes_in_districts, 1, promise, widest)
}

fn cluster_with_disks(nodes_in_districts: &[usize], disks: u64, promise: Promise, widest: &str) -> MemoryRows {
    let mut rows = MemoryRows::default();
    let places = nodes_in_districts.iter().enumerate().flat_map(|(place, nodes)| vec![place + 1; *nodes]);
    for (node, place) in (1..).zip(places) {
        accept(&mut rows, &Command::RegisterNode(registration(node, place, disks)));
    }
    let class = ClassRow { name: class_name(), promise, widest: scheme(widest) };
    accept(&mut rows, &Command::DefineClass(class));
    rows
}

fn ensure_command(avoid: &[u64]) -> Command {
    Command::EnsureVolume { class: class_name(), avoid: avoid.iter().copied().map(NodeId).collect() }
}

fn ensure(rows: &mut MemoryRows, avoid: &[u64]) -> Vec<VolumeRow> {
    let applied = accept(rows, &ensure_command(avoid));
    assert_eq!(applied.events, [], "volumes are no facts of custody");
    match applied.answer {
        Answer::Volumes(volumes) => volumes,
        other @ (Answer::Done | Answer::Volume(_)) => panic!("not volumes: {other:?}"),
    }
}

fn ensure_one(rows: &mut MemoryRows, avoid: &[u64]) -> VolumeRow {
    let mut volumes = ensure(rows, avoid);
    assert_eq!(volumes.len(), 1, "one volume fits: {volumes:?}");
    volumes.remove(0)
}

fn nodes_of(volume: &VolumeRow) -> BTreeSet<u64> {
    volume.slots.iter().map(|slot| slot.node.0).collect()
}

fn stored(rows: &MemoryRows, volume: VolumeId) -> VolumeRow {
    read::volume(rows, volume).expect("reads").expect("a volume")
}

fn closed(why: CloseReason) -> VolumeState {
    VolumeState::Closed { why }
}

fn set_state(node: u64, state: NodeState) -> Command {
    Command::SetNodeState { node: NodeId(node), state }
}

/// What every volume in hand must be: its slots on different nodes, and safe when all its shards are durable.
fn check_volume(rows: &MemoryRows, promise: Promise, volume: &VolumeRow) {
    assert_eq!(volume.slots.len(), volume.scheme.total());
    assert_eq!(nodes_of(volume).len(), volume.slots.len(), "one slot for each node: {volume:?}");
    let places = read::slot_places(rows, volume).expect("reads");
    assert!(meets(promise, volume.scheme, &places, &vec![true; places.len()]), "{promise} by {volume:?} at {places:?}");
}

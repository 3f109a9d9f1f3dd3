//! The bytes of every stored form. A change here is a change of the format: new fields take new numbers.

use std::fmt::Debug;

use strongroom_types::{PlacementEpoch, ShardIndex, rows};

use super::*;
use crate::{
    NodeRow, Slot, SlotMove,
    row::{CLASSES, META, MetaRow, NODES, OPEN_VOLUMES, VOLUMES},
};

fn check<T>(value: &T, golden: &str)
where
    T: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()> + PartialEq + Debug,
{
    let bytes = rows::encode(value);
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(text, golden, "{value:?}");
    assert_eq!(minicbor::decode::<T>(&bytes).expect("decodes"), *value);
}

fn slot() -> Slot {
    Slot { node: NodeId(1), disk: DiskId::new([0xd1; 16]) }
}

fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([("rack".to_owned(), "r7".to_owned())])
}

fn volume_row() -> VolumeRow {
    VolumeRow {
        id: VolumeId(7),
        class: class_name(),
        scheme: scheme("1+1"),
        slots: vec![slot(), Slot { node: NodeId(2), disk: DiskId::new([0xd2; 16]) }],
        state: VolumeState::Open,
        placement_epoch: PlacementEpoch(3),
        user_bytes: 4096,
    }
}

fn class_row() -> ClassRow {
    ClassRow { name: class_name(), promise: Promise::SurviveDistrict, widest: scheme("4+2") }
}

#[test]
fn rows_have_these_bytes() {
    let node = NodeRow {
        id: NodeId(1),
        district: district(1),
        state: NodeState::Draining,
        client_address: "a:1".to_owned(),
        peer_address: "a:2".to_owned(),
        peer_key: KeyHash::new([0xee; 32]),
        labels: labels(),
        disks: vec![DiskRow { id: DiskId::new([0xd1; 16]), state: DiskState::Failed }],
        voter: true,
        cosigner_vkey: "c".to_owned(),
        clock_vkey: "k".to_owned(),
    };
    check(
        &node,
        "8b016264310163613a3163613a325820eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\
         eeeeeeeeeeeeeeeeeeeeeeeea1647261636b627237818250d1d1d1d1d1d1d1d1d1d1d1d1\
         d1d1d1d102f56163616b",
    );
    check(&class_row(), "836865766964656e636501820402");
    check(
        &volume_row(),
        "87076865766964656e636582010182820150d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d18202\
         50d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d282008003191000",
    );
    for (why, golden) in [
        (CloseReason::Full, "820181820080"),
        (CloseReason::DeadSlot { slot: ShardIndex(5) }, "82018182018105"),
        (CloseReason::Superseded, "820181820280"),
    ] {
        check(&closed(why), golden);
    }
    check(
        &DiskUseRow { disk: DiskId::new([0xd1; 16]), volumes: 2, closed_bytes: 300 },
        "8350d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d10219012c",
    );
    check(&MetaRow { next_volume: VolumeId(8) }, "8108");
}

#[test]
fn keys_sort_as_their_ids_and_tables_keep_their_numbers() {
    let mut store = MemoryRows::default();
    CLASSES.write(&mut store, &class_name(), &class_row());
    VOLUMES.write(&mut store, &VolumeId(7), &volume_row());
    OPEN_VOLUMES.write(&mut store, &(class_name(), VolumeId(7)), &VolumeId(7));
    let used = DiskUseRow { disk: slot().disk, volumes: 1, closed_bytes: 0 };
    DISK_USE.write(&mut store, &(NodeId(1), slot().disk), &used);
    META.write(&mut store, &(), &MetaRow { next_volume: VolumeId(8) });
    let keys: Vec<String> = store
        .iter()
        .map(|(table, key, _)| format!("{} {}", table.0, key.iter().map(|b| format!("{b:02x}")).collect::<String>()))
        .collect();
    assert_eq!(
        keys,
        [
            "101 65766964656e636500",
            "102 0000000000000007",
            "103 65766964656e6365000000000000000007",
            "104 0000000000000001d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1",
            "105 ",
        ]
    );
    assert_eq!(NODES.id.0, 100);
}

#[test]
fn commands_have_these_bytes() {
    let mut registration = registration(1, 1, 0);
    registration.peer_key = KeyHash::new([0xee; 32]);
    registration.disks = vec![slot().disk];
    registration.labels = labels();
    let update = NodeUpdate {
        node: NodeId(1),
        client_address: "a:1".to_owned(),
        peer_address: "a:2".to_owned(),
        labels: labels(),
        disks: vec![DiskRow { id: slot().disk, state: DiskState::InService }],
    };
    let slot_move = SlotMove { volume: VolumeId(7), slot: ShardIndex(1), planned_epoch: PlacementEpoch(3), to: slot() };
    for (command, golden) in [
        (
            Command::RegisterNode(registration),
            "82008189016264316d31302e302e302e313a373430306d31302e302e302e313a37343031\
         5820eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeea164\
         7261636b6272378150d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d16e6e312b30312b636f7369\
         676e65726b6e312b30312b636c6f636b",
        ),
        (
            Command::UpdateNode(update),
            "820181850163613a3163613a32a1647261636b627237818250d1d1d1d1d1d1d1d1d1d1d1\
         d1d1d1d1d100",
        ),
        (set_state(1, NodeState::Removed), "8202820103"),
        (Command::SetVoters { voters: vec![NodeId(1), NodeId(2)] }, "820381820102"),
        (Command::DefineClass(class_row()), "820481836865766964656e636501820402"),
        (ensure_command(&[4, 5]), "8205826865766964656e6365820405"),
        (Command::CloseVolume { volume: VolumeId(7), why: CloseReason::Full }, "82068207820080"),
        (Command::AddVolumeBytes { volume: VolumeId(7), bytes: 4096 }, "82078207191000"),
        (Command::MoveSlot(slot_move), "82088184070103820150d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1"),
    ] {
        check(&command, golden);
    }
}

#[test]
fn answers_and_events_have_these_bytes() {
    let registered = Event::NodeRegistered {
        node: NodeId(1),
        district: district(1),
        peer_key: KeyHash::new([0xee; 32]),
        cosigner_vkey: "c".to_owned(),
        clock_vkey: "k".to_owned(),
    };
    let disks = vec![DiskRow { id: slot().disk, state: DiskState::Draining }];
    let defined = Event::ClassDefined { name: class_name(), promise: Promise::SurviveNode, widest: scheme("2+1") };
    for (answer, event, golden) in [
        (
            Answer::Done,
            registered,
            "8282008081820085016264315820eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\
         eeeeeeeeeeeeeeeeeeee6163616b",
        ),
        (
            Answer::Done,
            Event::NodeUpdated { node: NodeId(1), disks },
            "828200808182018201818250d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d101",
        ),
        (
            Answer::Done,
            Event::NodeStateChanged { node: NodeId(1), from: NodeState::InService, to: NodeState::Drained },
            "8282008081820283010002",
        ),
        (
            Answer::Done,
            Event::VoterSetChanged { from: vec![NodeId(1)], to: vec![NodeId(2), NodeId(3)] },
            "82820080818203828101820203",
        ),
        (Answer::Done, defined, "82820080818204836865766964656e636500820201"),
    ] {
        check(&Applied { answer, events: vec![event] }, golden);
    }
    check(
        &Answer::Volume(volume_row()),
        "82018187076865766964656e636582010182820150d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1\
         d1820250d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d282008003191000",
    );
    check(
        &Answer::Volumes(vec![volume_row()]),
        "8202818187076865766964656e636582010182820150d1d1d1d1d1d1d1d1d1d1d1d1d1d1\
         d1d1820250d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d282008003191000",
    );
}

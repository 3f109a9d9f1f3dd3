//! Bad shards: whom they blame, that nothing is queued twice, and what one reporter can queue at most.

use strongroom_types::{ChunkIndex, ItemId, ShardIndex, UnixMillis, UploadEpoch};

use super::*;
use crate::{FaultKind, REPAIRS_PER_VOLUME_AND_REPORTER_MAX, REPAIRS_PER_VOLUME_MAX, ShardFault, faults, read};

fn fault(volume: &VolumeRow, chunk: u64, reporter: u64) -> ShardFault {
    ShardFault {
        item: ItemId::new([7; 16]),
        chunk: ChunkIndex(chunk),
        upload_epoch: UploadEpoch(1),
        volume: volume.id,
        placement_epoch: volume.placement_epoch,
        slot: ShardIndex(1),
        disk: volume.slots[1].disk,
        kind: FaultKind::Lying,
        reporter: NodeId(reporter),
        seen_at: UnixMillis(1_000),
    }
}

fn note(fault: ShardFault) -> Command {
    Command::NoteShardFault(fault)
}

#[test]
fn a_fault_blames_the_node_that_holds_the_slot_and_is_recorded_once_whoever_says_it_again() {
    let mut rows = cluster(&[2, 2, 2], Promise::SurviveDistrict, "4+2");
    let volume = ensure_one(&mut rows, &[]);
    let first = accept(&mut rows, &note(fault(&volume, 3, 5)));
    let [Event::ShardFaultFound(row)] = first.events.as_slice() else { panic!("{first:?}") };
    assert_eq!((row.node, row.disk, row.reporter), (volume.slots[1].node, volume.slots[1].disk, NodeId(5)));
    let again = ShardFault { kind: FaultKind::Missing, seen_at: UnixMillis(2_000), ..fault(&volume, 3, 4) };
    let before = rows.clone();
    assert_eq!(accept(&mut rows, &note(again)).events, []);
    assert_eq!(rows, before);
    assert_eq!(faults::queue(&rows, 10).expect("reads"), [*row]);
    assert_eq!(faults::bad_on_node(&rows, row.node).expect("reads"), 1);
    assert_eq!(faults::queued(&rows).expect("reads"), 1);
    let bad = |item| read::bad_shards_of(&rows, volume.id, ItemId::new([item; 16])).expect("reads");
    assert_eq!((bad(7), bad(6), bad(8)), (1, 0, 0), "of that item and no other");
}

#[test]
fn faults_of_what_is_not_there_are_refused() {
    let mut rows = cluster(&[2, 2, 2], Promise::SurviveDistrict, "4+2");
    let volume = ensure_one(&mut rows, &[]);
    let good = fault(&volume, 3, 5);
    for (bad, reason) in [
        (ShardFault { volume: VolumeId(99), ..good }, Reason::NotFound),
        (ShardFault { slot: ShardIndex(6), ..good }, Reason::NotFound),
        (ShardFault { reporter: NodeId(99), ..good }, Reason::NotFound),
        (ShardFault { disk: volume.slots[2].disk, ..good }, Reason::WrongState),
    ] {
        assert_eq!(refuse(&mut rows, &note(bad)).reason, reason, "{bad:?}");
    }
}

#[test]
fn one_reporter_cannot_fill_a_volumes_queue_and_all_together_cannot_grow_it_without_bound() {
    let mut rows = cluster(&[2, 2, 2], Promise::SurviveDistrict, "4+2");
    let volume = ensure_one(&mut rows, &[]);
    let mut taken = 0;
    for reporter in 1..=6 {
        for chunk in 0..=REPAIRS_PER_VOLUME_AND_REPORTER_MAX {
            let fault = fault(&volume, reporter * 10_000 + chunk, reporter);
            taken += u64::from(apply(&mut rows, &note(fault)).expect("reads").is_ok());
        }
        let most = (reporter * REPAIRS_PER_VOLUME_AND_REPORTER_MAX).min(REPAIRS_PER_VOLUME_MAX);
        assert_eq!(taken, most, "after n{reporter}");
    }
}

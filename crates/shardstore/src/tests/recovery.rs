use std::os::unix::fs::FileExt;

use super::*;
use crate::{
    Corruption, DamagedRange,
    index::{Index, Opened, Row},
};

/// What an index holds, read while no disk is open.
fn rows(lab: &Lab) -> Vec<Row> {
    match Index::open(&lab.path().join("index"), DISK).expect("opens") {
        Opened::Ready(index) => index.rows(),
        Opened::Unusable(why) => panic!("{why}"),
    }
}

async fn close(disk: Disk) {
    disk.shutdown().await;
}

fn corruption(error: GetError) -> Corruption {
    match error {
        GetError::Corrupt { what, .. } => what,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_lost_index_is_rebuilt_and_equals_the_old_one() {
    let lab = Lab::with_small_segments();
    let disk = lab.open();
    let shards: Vec<_> = (1..=20).map(|n| shard(n, 3000 + usize::from(n) * 700)).collect();
    put_all(&disk, &shards).await;
    disk.erase(&permit(&[EraseScope::Item(shards[3].address.item)])).await.expect("erases");
    close(disk).await;
    // A second run, so that there are segments of both.
    let disk = lab.open();
    let more: Vec<_> = (30..=35).map(|n| shard(n, 9000)).collect();
    put_all(&disk, &more).await;
    disk.erase(&permit(&[EraseScope::Item(more[2].address.item)])).await.expect("erases");
    close(disk).await;
    let before = rows(&lab);

    lab.lose_index();
    let disk = lab.open();
    assert_eq!(disk.recovery().rebuilt.as_deref(), Some("there is none"));
    assert_eq!((disk.recovery().shards_indexed, disk.recovery().tombstones_indexed), (26, 2));
    assert_eq!(disk.recovery().damaged, []);
    assert_eq!(disk.recovery().torn_bytes, 0);
    close(disk).await;
    assert_eq!(rows(&lab), before);

    let disk = Disk::open_and_rebuild_index(&lab.config(), &EXPECTED, &lab.settings).expect("opens");
    assert!(disk.recovery().rebuilt.is_some());
    close(disk).await;
    assert_eq!(rows(&lab), before);
    let kept: Vec<_> = shards.into_iter().chain(more).filter(|shard| ![4, 32].contains(&shard.tag[0])).collect();
    assert_holds(&lab.open(), &kept).await;
}

#[tokio::test]
async fn an_index_that_cannot_be_read_or_is_of_another_disk_is_rebuilt() {
    let lab = Lab::new();
    let disk = lab.open();
    put_all(&disk, &[shard(1, 100), shard(2, 100)]).await;
    close(disk).await;

    fs::write(lab.path().join("index").join("CURRENT"), "nonsense\n").expect("writes");
    let disk = lab.open();
    assert!(disk.recovery().rebuilt.is_some());
    assert_holds(&disk, &[shard(1, 100), shard(2, 100)]).await;
    close(disk).await;

    lab.lose_index();
    let other = DiskId::new([0xee; 16]);
    let index = Index::create(&lab.path().join("index"), other).expect("creates");
    index.complete(other).expect("writes");
    drop(index);
    let disk = lab.open();
    assert_eq!(disk.recovery().rebuilt.as_deref(), Some("its marker does not fit"));
    assert_holds(&disk, &[shard(1, 100), shard(2, 100)]).await;
    close(disk).await;

    // Half built: the marker is written last.
    lab.lose_index();
    drop(Index::create(&lab.path().join("index"), DISK).expect("creates"));
    let disk = lab.open();
    assert!(disk.recovery().rebuilt.is_some());
    assert_holds(&disk, &[shard(1, 100), shard(2, 100)]).await;
}

#[tokio::test]
async fn what_a_killed_process_had_acknowledged_is_there() {
    let lab = Lab::with_small_segments();
    let disk = lab.open();
    let shards: Vec<_> = (1..=9).map(|n| shard(n, 9000)).collect();
    put_all(&disk, &shards).await;
    let killed = lab.copy();
    let found = killed.open();
    assert_eq!(found.recovery().rebuilt, None);
    assert_holds(&found, &shards).await;
    // It goes on in a segment of its own and never in an old tail.
    let segments = fs::read_dir(killed.path().join("segments")).expect("lists").count();
    let tail = fs::read(killed.segment(segments.try_into().expect("few"))).expect("reads");
    put_all(&found, &[shard(10, 9000)]).await;
    assert_eq!(fs::read(killed.segment(segments.try_into().expect("few"))).expect("reads"), tail);
    assert_holds(&found, &shards).await;
}

#[tokio::test]
async fn an_index_that_is_behind_the_segments_catches_up() {
    let lab = Lab::with_small_segments();
    let disk = lab.open();
    put_all(&disk, &[shard(1, 20_000), shard(2, 20_000)]).await;
    close(disk).await;
    let disk = lab.open();
    put_all(&disk, &[shard(3, 20_000)]).await;
    // As RocksDB comes back when the machine went down with its last writes unsynced.
    let behind = lab.copy();
    put_all(&disk, &(4..=12).map(|n| shard(n, 20_000)).collect::<Vec<_>>()).await;
    disk.erase(&permit(&[EraseScope::Item(address(2, 0).item)])).await.expect("erases");
    close(disk).await;
    let whole = rows(&lab);

    lab.lose_index();
    copy_folder(&behind.path().join("index"), &lab.path().join("index")).expect("copies");
    let disk = lab.open();
    assert_eq!(disk.recovery().rebuilt, None);
    assert_eq!((disk.recovery().shards_indexed, disk.recovery().tombstones_indexed), (9, 1));
    assert_eq!(disk.recovery().damaged, []);
    close(disk).await;
    assert_eq!(rows(&lab), whole);
}

/// Cuts the last record of three at every 1024 bytes, once by length and once by zeros.
#[tokio::test]
async fn a_torn_last_record_is_discarded_and_earlier_ones_survive() {
    let lab = Lab::new();
    let disk = lab.open();
    let shards = [shard(1, 8000), shard(2, 8000), shard(3, 8000)];
    put_all(&disk, &shards).await;
    close(disk).await;
    lab.lose_index();
    let (start, end) = (offset_of(2, 8000), offset_of(3, 8000));
    assert_eq!(fs::read(lab.segment(1)).expect("reads").len(), end);
    for cut in (start..end).step_by(1024) {
        for zeros in [false, true] {
            let torn = lab.copy();
            patch(&torn.segment(1), |bytes| {
                bytes.truncate(cut);
                if zeros {
                    bytes.resize(end, 0);
                }
            });
            let disk = torn.open();
            let report = disk.recovery();
            assert_eq!(report.damaged, [], "cut at {cut}");
            let whole = if zeros || cut > start { u64::try_from(end - start).expect("small") } else { 0 };
            assert!(report.torn_bytes <= whole && (whole == 0 || report.torn_bytes > 0), "cut at {cut}: {report:?}");
            assert_holds(&disk, &shards[..2]).await;
            assert!(matches!(disk.get(&shards[2].address).await, Err(GetError::NotFound { .. })), "cut at {cut}");
            // The sender, which had no answer, comes again.
            disk.put(shards[2].clone()).await.expect("stored");
            assert_holds(&disk, &shards).await;
            close(disk).await;
            // And once its segment was left, the debris is no damage whatever happens to the index.
            torn.lose_index();
            let disk = torn.open();
            assert_eq!(disk.recovery().damaged, [], "cut at {cut}");
            assert_holds(&disk, &shards).await;
        }
    }
}

#[tokio::test]
async fn a_torn_record_does_not_hide_good_ones_after_it() {
    let lab = Lab::new();
    let files = Arc::new(FaultyFiles::default());
    let disk = lab.open_on(&files);
    disk.put(shard(1, 8000)).await.expect("stored");
    files.set(|plan| plan.hold_syncs = true);
    let mut first = Box::pin(disk.put(shard(2, 8000)));
    assert!(poll_once(&mut first).is_pending());
    files.wait_for_held_sync();
    let group = [shard(3, 8000), shard(4, 8000), shard(5, 8000)];
    let mut puts: Vec<_> = group.iter().map(|shard| Box::pin(disk.put(shard.clone()))).collect();
    for put in &mut puts {
        assert!(poll_once(put).is_pending());
    }
    files.set(|plan| plan.hold_syncs = false);
    first.await.expect("stored");
    for put in puts {
        put.await.expect("stored");
    }
    close(disk).await;
    lab.lose_index();
    // Of the last group, the medium lost a block of the first's payload and the header of the second.
    patch(&lab.segment(1), |bytes| {
        bytes[offset_of(2, 8000) + 4096..][..4096].fill(0);
        bytes[offset_of(3, 8000)..][..4096].fill(0);
    });
    let disk = lab.open();
    assert_eq!(disk.recovery().damaged, []);
    assert_eq!(disk.recovery().torn_bytes, 2 * record_bytes(8000));
    assert_holds(&disk, &[shard(1, 8000), shard(2, 8000), shard(5, 8000)]).await;
    for lost in [&group[0], &group[1]] {
        assert!(matches!(disk.get(&lost.address).await, Err(GetError::NotFound { .. })));
    }
}

#[tokio::test]
async fn a_flipped_byte_is_found_by_every_read_and_neighbours_are_not_affected() {
    let lab = Lab::new();
    let disk = lab.open();
    let shards = [shard(1, 8000), shard(2, 8000), shard(3, 8000)];
    put_all(&disk, &shards).await;
    close(disk).await;
    let start = offset_of(1, 8000);
    let payload_at = offset_of(2, 8000) - 8000;
    for at in [start, start + 9, start + 40, start + 60, start + 117, start + 191, payload_at, payload_at + 7999] {
        let flipped = lab.copy();
        patch(&flipped.segment(1), |bytes| bytes[at] ^= 0x10);
        let disk = flipped.open();
        for through in ["get", "scrub"] {
            let error = match through {
                "get" => disk.get(&shards[1].address).await.map(|_| ()),
                _ => disk.scrub(&shards[1].address).await.map(|_| ()),
            };
            corruption(error.expect_err("never wrong bytes"));
        }
        assert_holds(&disk, &[shards[0].clone(), shards[2].clone()]).await;
        close(disk).await;

        flipped.lose_index();
        let disk = flipped.open();
        assert_holds(&disk, &[shards[0].clone(), shards[2].clone()]).await;
        let error = disk.get(&shards[1].address).await.expect_err("never wrong bytes");
        if at >= payload_at {
            // Its header is good, so it is known to be there and to be bad.
            assert!(matches!(corruption(error), Corruption::PayloadChecksum { .. }), "at {at}");
            assert_eq!(disk.recovery().damaged, []);
        } else {
            assert!(matches!(error, GetError::NotFound { .. }), "at {at}");
            let offset = u64::try_from(start).expect("small");
            assert_eq!(disk.recovery().damaged, [DamagedRange { segment: 1, offset, length: record_bytes(8000) }]);
        }
    }
}

#[tokio::test]
async fn a_corrupt_shard_is_mended_by_putting_it_again() {
    let lab = Lab::new();
    let disk = lab.open();
    let shards = [shard(1, 8000), shard(2, 8000)];
    put_all(&disk, &shards).await;
    let at = u64::try_from(offset_of(1, 8000) - 1).expect("small");
    let file = fs::OpenOptions::new().read(true).write(true).open(lab.segment(1)).expect("opens");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("reads");
    file.write_all_at(&[byte[0] ^ 1], at).expect("writes");
    file.sync_all().expect("syncs");
    corruption(disk.scrub(&shards[0].address).await.expect_err("corrupt"));

    let mut other = shards[0].clone();
    other.payload = shard(9, 8000).payload;
    assert!(disk.put(other).await.is_err(), "other content stays refused, corrupt or not");
    disk.put(shards[0].clone()).await.expect("stored");
    assert_holds(&disk, &shards).await;
    assert_eq!(disk.stat().shards, 2);
    close(disk).await;
    let before = rows(&lab);
    lab.lose_index();
    let disk = lab.open();
    assert_holds(&disk, &shards).await;
    close(disk).await;
    assert_eq!(rows(&lab), before, "the later copy wins in a rebuild, too");
}

#[tokio::test]
async fn swapped_records_are_found() {
    let lab = Lab::new();
    let disk = lab.open();
    let shards = [shard(1, 8000), shard(2, 8000), shard(3, 8000)];
    put_all(&disk, &shards).await;
    close(disk).await;
    let (first, second, end) = (offset_of(0, 8000), offset_of(1, 8000), offset_of(2, 8000));
    patch(&lab.segment(1), |bytes| {
        let (head, tail) = bytes.split_at_mut(second);
        head[first..].swap_with_slice(&mut tail[..end - second]);
    });
    let disk = lab.open();
    for shard in &shards[..2] {
        let what = corruption(disk.get(&shard.address).await.expect_err("not this shard"));
        assert!(matches!(what, Corruption::Misplaced { segment: 1, .. }), "{what}");
    }
    assert_holds(&disk, &shards[2..]).await;
    close(disk).await;
    lab.lose_index();
    let disk = lab.open();
    let length = 2 * record_bytes(8000);
    assert_eq!(disk.recovery().damaged, [DamagedRange { segment: 1, offset: 4096, length }]);
    assert_holds(&disk, &shards[2..]).await;
}

#[tokio::test]
async fn a_payload_under_another_shards_header_is_found() {
    let lab = Lab::new();
    let disk = lab.open();
    let shards = [shard(1, 8000), shard(2, 8000)];
    put_all(&disk, &shards).await;
    close(disk).await;
    let (second, end) = (offset_of(1, 8000), offset_of(2, 8000));
    patch(&lab.segment(1), |bytes| bytes.copy_within(second - 8000..second, end - 8000));
    let what = corruption(lab.open().get(&shards[1].address).await.expect_err("not its payload"));
    assert!(matches!(what, Corruption::PayloadChecksum { .. }), "{what}");
}

#[tokio::test]
async fn a_segment_that_was_cut_off_or_lost_is_reported_and_the_rest_is_read() {
    let lab = Lab::with_small_segments();
    let disk = lab.open();
    let shards: Vec<_> = (1..=7).map(|n| shard(n, 20_000)).collect();
    put_all(&disk, &shards).await;
    close(disk).await;

    let cut = lab.copy();
    patch(&cut.segment(1), |bytes| bytes.truncate(offset_of(1, 20_000) + 5000));
    let offset = u64::try_from(offset_of(1, 20_000) + 5000).expect("small");
    let length = 4096 + 3 * record_bytes(20_000) - offset;
    let disk = cut.open();
    assert_eq!(disk.recovery().damaged, [DamagedRange { segment: 1, offset, length }]);
    assert_eq!(corruption(disk.get(&shards[1].address).await.expect_err("cut")), Corruption::Short);
    assert_eq!(corruption(disk.scrub(&shards[2].address).await.expect_err("cut")), Corruption::Short);
    assert_holds(&disk, &shards[..1]).await;
    assert_holds(&disk, &shards[3..]).await;
    close(disk).await;
    cut.lose_index();
    let disk = cut.open();
    assert_eq!(disk.recovery().damaged, [DamagedRange { segment: 1, offset, length }]);
    assert_eq!(corruption(disk.get(&shards[1].address).await.expect_err("cut")), Corruption::Short);
    assert_holds(&disk, &shards[3..]).await;
    close(disk).await;

    let lost = lab.copy();
    fs::remove_file(lost.segment(2)).expect("removes");
    let disk = lost.open();
    assert_eq!(disk.recovery().segments_missing, [2]);
    let what = corruption(disk.get(&shards[4].address).await.expect_err("lost"));
    assert_eq!(what, Corruption::SegmentMissing { segment: 2 });
    assert_holds(&disk, &shards[..3]).await;
    // What repair brings goes to a new segment: a number is never used twice.
    disk.put(shards[4].clone()).await.expect("stored");
    assert_holds(&disk, &shards[4..5]).await;
    assert!(!lost.segment(2).exists());
    close(disk).await;
    lost.lose_index();
    let disk = lost.open();
    assert_eq!(disk.recovery().segments_missing, [2]);
    assert_holds(&disk, &[shards[0].clone(), shards[4].clone(), shards[6].clone()]).await;
}

#[tokio::test]
async fn a_segment_whose_name_is_damaged_is_still_read() {
    let lab = Lab::with_small_segments();
    let disk = lab.open();
    let shards: Vec<_> = (1..=7).map(|n| shard(n, 20_000)).collect();
    put_all(&disk, &shards).await;
    close(disk).await;
    lab.lose_index();
    for number in 1..=3 {
        patch(&lab.segment(number), |bytes| bytes[..4096].fill(0xff));
    }
    let disk = lab.open();
    assert_holds(&disk, &shards).await;
}

#[tokio::test]
async fn an_empty_segment_of_a_crash_is_left_alone() {
    let lab = Lab::new();
    let disk = lab.open();
    put_all(&disk, &[shard(1, 100), shard(2, 100)]).await;
    close(disk).await;
    // Created, and the machine went down before its first group was written.
    fs::write(lab.segment(2), "").expect("writes");
    let disk = lab.open();
    put_all(&disk, &[shard(3, 100)]).await;
    close(disk).await;
    assert_eq!(fs::metadata(lab.segment(2)).expect("is there").len(), 0);
    assert!(lab.segment(3).exists());
    // The third names the first, so damage there is known as such without the index.
    lab.lose_index();
    patch(&lab.segment(1), |bytes| bytes[offset_of(1, 100) + 20] ^= 1);
    let disk = lab.open();
    let offset = u64::try_from(offset_of(1, 100)).expect("small");
    assert_eq!(disk.recovery().damaged, [DamagedRange { segment: 1, offset, length: 4096 }]);
    assert_holds(&disk, &[shard(1, 100), shard(3, 100)]).await;
}

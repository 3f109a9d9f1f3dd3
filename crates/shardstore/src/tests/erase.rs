use super::*;
use crate::{EraseError, Erasure, PutError};

fn erased(address: ShardAddress) -> PutError {
    PutError::Erased { address }
}

/// The payload range of the n-th of equal records in the first segment.
fn payload_range(position: u64, size: u32) -> std::ops::Range<usize> {
    let end = offset_of(position + 1, size);
    end - usize::try_from(size).expect("small")..end
}

#[tokio::test]
async fn erased_bytes_are_gone_and_stay_refused_after_restart_and_rebuild() {
    let lab = Lab::new();
    let disk = lab.open();
    let shards = [shard(1, 8000), shard(2, 8000), shard(3, 8000)];
    put_all(&disk, &shards).await;
    let used = disk.stat().used_bytes;
    let gone = shards[1].address;
    let erasure = disk.erase(&permit(&[EraseScope::Item(gone.item)])).await.expect("erases");
    assert_eq!(erasure, Erasure { shards: 1, payload_bytes: 8000 });
    assert_eq!(disk.stat().used_bytes, used + 4096 - 4096, "a block for the tombstone, a block of the hole");
    assert_eq!(disk.stat().shards, 2);

    let bytes = fs::read(lab.segment(1)).expect("reads");
    assert!(bytes[payload_range(1, 8000)].iter().all(|byte| *byte == 0));
    assert_eq!(bytes[payload_range(0, 8000)], shards[0].payload);
    assert_eq!(bytes[payload_range(2, 8000)], shards[2].payload);

    let again = disk.erase(&permit(&[EraseScope::Item(gone.item)])).await.expect("erases");
    assert_eq!(again, Erasure::default(), "it had been done");
    assert_eq!(fs::read(lab.segment(1)).expect("reads").len(), bytes.len(), "and takes no second tombstone");

    let check = async |disk: &Disk| {
        assert!(matches!(disk.get(&gone).await, Err(GetError::Erased { .. })));
        assert!(matches!(disk.scrub(&gone).await, Err(GetError::Erased { .. })));
        assert_eq!(disk.put(shards[1].clone()).await, Err(erased(gone)));
        let moved = ShardAddress { volume: VolumeId(77), upload_epoch: UploadEpoch(5), ..gone };
        let moved = PutShard { address: moved, ..shards[1].clone() };
        assert!(matches!(disk.put(moved).await, Err(PutError::Erased { .. })));
        assert_holds(disk, &[shards[0].clone(), shards[2].clone()]).await;
        assert_eq!(disk.list(None, 10).await.expect("lists").len(), 2);
        assert_eq!(disk.recovery().damaged, [], "a tombstoned record is never corrupt");
    };
    check(&disk).await;
    disk.shutdown().await;
    drop(disk);
    let disk = lab.open();
    check(&disk).await;
    disk.shutdown().await;
    drop(disk);
    lab.lose_index();
    let disk = lab.open();
    assert!(disk.recovery().rebuilt.is_some());
    check(&disk).await;
    assert_eq!(disk.stat().shards, 2);
}

#[tokio::test]
async fn an_item_that_was_never_here_can_be_erased_and_is_refused_then() {
    let lab = Lab::new();
    let disk = lab.open();
    let erasure = disk.erase(&permit(&[EraseScope::Item(address(1, 0).item)])).await.expect("erases");
    assert_eq!(erasure, Erasure::default());
    assert_eq!(disk.put(shard(1, 100)).await, Err(erased(address(1, 0))));
}

/// MinIO #21718: a rebalance lost data. What a move left is erased with its own placement epoch and no other.
#[tokio::test]
async fn each_scope_takes_what_it_covers_and_nothing_else() {
    let here = address(1, 5);
    let variants = [
        here,
        ShardAddress { index: ChunkIndex(4), ..here },
        ShardAddress { index: ChunkIndex(6), ..here },
        ShardAddress { upload_epoch: UploadEpoch(2), ..here },
        ShardAddress { volume: VolumeId(10), ..here },
        ShardAddress { placement_epoch: PlacementEpoch(1), ..here },
        ShardAddress { placement_epoch: PlacementEpoch(2), ..here },
        ShardAddress { slot: ShardIndex(3), ..here },
        ShardAddress { item: ItemId::new([2; 16]), ..here },
    ];
    let (item, upload_epoch) = (here.item, here.upload_epoch);
    let scopes = [
        EraseScope::Item(item),
        EraseScope::Upload { item, upload_epoch, chunks_from: ChunkIndex(5) },
        EraseScope::Upload { item, upload_epoch, chunks_from: ChunkIndex(0) },
        EraseScope::Slot { volume: here.volume, slot: here.slot, placement_epoch: PlacementEpoch(1) },
        EraseScope::Shard(here),
    ];
    let expected = [8, 6, 7, 6, 1];
    for (scope, expected) in scopes.into_iter().zip(expected) {
        let lab = Lab::new();
        let disk = lab.open();
        for address in variants {
            disk.put(PutShard { address, ..shard(1, 100) }).await.expect("stored");
        }
        let erasure = disk.erase(&permit(&[scope])).await.expect("erases");
        assert_eq!(erasure, Erasure { shards: expected, payload_bytes: expected * 100 }, "{scope:?}");
        for address in variants {
            let put = disk.put(PutShard { address, ..shard(1, 100) }).await;
            let got = disk.get(&address).await;
            if scope.covers(&address) {
                assert_eq!(put, Err(erased(address)), "{scope:?}");
                assert!(matches!(got, Err(GetError::Erased { .. })), "{scope:?}");
            } else {
                assert_eq!(put, Ok(()), "{scope:?}");
                assert!(got.is_ok(), "{scope:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_wider_scope_replaces_a_narrower_one_and_never_the_reverse() {
    let lab = Lab::new();
    let disk = lab.open();
    let at = |index| PutShard { address: address(1, index), ..shard(1, 100) };
    put_all(&disk, &[at(1), at(3), at(5)]).await;
    let from = |chunk| EraseScope::Upload {
        item: address(1, 0).item,
        upload_epoch: UploadEpoch(1),
        chunks_from: ChunkIndex(chunk),
    };
    assert_eq!(disk.erase(&permit(&[from(5)])).await.expect("erases").shards, 1);
    assert_eq!(disk.erase(&permit(&[from(3), from(4)])).await.expect("erases").shards, 1);
    assert_eq!(disk.erase(&permit(&[from(4)])).await.expect("erases").shards, 0);
    assert_eq!(disk.put(at(3)).await, Err(erased(address(1, 3))));
    assert_holds(&disk, &[at(1)]).await;
    disk.shutdown().await;
    drop(disk);
    lab.lose_index();
    let disk = lab.open();
    assert_eq!(disk.put(at(3)).await, Err(erased(address(1, 3))));
    assert_holds(&disk, &[at(1)]).await;
}

#[tokio::test]
async fn an_erase_that_a_crash_interrupted_is_completed_at_the_next_open() {
    let lab = Lab::new();
    let files = Arc::new(FaultyFiles::default());
    let disk = lab.open_on(&files);
    put_all(&disk, &[shard(1, 8000), shard(2, 8000)]).await;
    files.set(|plan| plan.hold_syncs = true);
    let permit = permit(&[EraseScope::Item(address(1, 0).item)]);
    let mut erase = Box::pin(disk.erase(&permit));
    assert!(poll_once(&mut erase).is_pending());
    files.wait_for_held_sync();
    // The tombstone is written and the process is killed: neither the holes nor the index know of it.
    let killed = lab.copy();
    let bytes = fs::read(killed.segment(1)).expect("reads");
    assert!(bytes[payload_range(0, 8000)].iter().any(|byte| *byte != 0), "the copy was made before the hole");

    let found = killed.open();
    assert_eq!(found.recovery().tombstones_indexed, 1);
    assert!(matches!(found.get(&address(1, 0)).await, Err(GetError::Erased { .. })));
    assert_eq!(found.put(shard(1, 8000)).await, Err(erased(address(1, 0))));
    let bytes = fs::read(killed.segment(1)).expect("reads");
    assert!(bytes[payload_range(0, 8000)].iter().all(|byte| *byte == 0));
    assert_holds(&found, &[shard(2, 8000)]).await;

    files.set(|plan| plan.hold_syncs = false);
    assert_eq!(erase.await.expect("erases").shards, 1);
}

#[tokio::test]
async fn a_bad_copy_that_a_repair_replaced_is_erased_with_the_good_one() {
    let lab = Lab::new();
    let disk = lab.open();
    put_all(&disk, &[shard(1, 8000), shard(2, 8000)]).await;
    disk.shutdown().await;
    drop(disk);
    patch(&lab.segment(1), |bytes| bytes[payload_range(0, 8000).start] ^= 1);
    let disk = lab.open();
    disk.put(shard(1, 8000)).await.expect("mended");
    assert_holds(&disk, &[shard(1, 8000)]).await;
    disk.erase(&permit(&[EraseScope::Slot {
        volume: VolumeId(9),
        slot: ShardIndex(2),
        placement_epoch: PlacementEpoch(0),
    }]))
    .await
    .expect("erases");
    for segment in [1, 2] {
        let bytes = fs::read(lab.segment(segment)).expect("reads");
        assert!(bytes[payload_range(0, 8000)].iter().all(|byte| *byte == 0), "segment {segment}");
    }
}

#[tokio::test]
async fn the_debris_of_a_torn_write_is_erased_with_its_item() {
    let lab = Lab::new();
    let disk = lab.open();
    put_all(&disk, &[shard(1, 8000), shard(2, 20_000)]).await;
    disk.shutdown().await;
    drop(disk);
    lab.lose_index();
    patch(&lab.segment(1), |bytes| {
        let end = bytes.len();
        bytes[end - 4096..].fill(0);
    });
    let disk = lab.open();
    assert!(matches!(disk.get(&address(2, 0)).await, Err(GetError::NotFound { .. })));
    disk.erase(&permit(&[EraseScope::Item(address(2, 0).item)])).await.expect("erases");
    let bytes = fs::read(lab.segment(1)).expect("reads");
    assert!(bytes[offset_of(1, 8000) + 4096..].iter().all(|byte| *byte == 0));
}

#[tokio::test]
async fn many_scopes_share_one_tombstone() {
    let lab = Lab::new();
    let disk = lab.open();
    disk.put(shard(1, 100)).await.expect("stored");
    let before = fs::metadata(lab.segment(1)).expect("is there").len();
    let items: Vec<_> = (0..200_u8).map(|n| EraseScope::Item(ItemId::new([n; 16]))).collect();
    assert_eq!(disk.erase(&permit(&items)).await.expect("erases").shards, 1);
    assert_eq!(fs::metadata(lab.segment(1)).expect("is there").len(), before + 4096);
    disk.shutdown().await;
    drop(disk);
    lab.lose_index();
    let disk = lab.open();
    for n in [0, 1, 199] {
        assert_eq!(disk.put(shard(n, 100)).await, Err(erased(address(n, 0))));
    }
    disk.put(shard(200, 100)).await.expect("stored");
}

#[tokio::test]
async fn a_permit_for_another_disk_erases_nothing() {
    let lab = Lab::new();
    let disk = lab.open();
    disk.put(shard(1, 100)).await.expect("stored");
    let other = DiskId::new([0xee; 16]);
    let scope = EraseScope::Item(address(1, 0).item);
    let refused = disk.erase(&ErasePermit::for_test(Some(other), [scope])).await;
    assert_eq!(refused, Err(EraseError::OtherDisk { disk: DISK, permitted: other }));
    assert_holds(&disk, &[shard(1, 100)]).await;
    let erasure = disk.erase(&ErasePermit::for_test(Some(DISK), [scope])).await.expect("erases");
    assert_eq!(erasure.shards, 1);
}

#[tokio::test]
async fn bytes_of_another_shard_are_never_punched() {
    let lab = Lab::new();
    let disk = lab.open();
    put_all(&disk, &[shard(1, 8000), shard(2, 8000)]).await;
    disk.shutdown().await;
    drop(disk);
    // An index row that points at a good record of another item.
    let crate::index::Opened::Ready(index) = crate::index::Index::open(&lab.path().join("index"), DISK).expect("opens")
    else {
        panic!("the index was closed cleanly");
    };
    let other = index.location(&address(2, 0)).expect("reads").expect("is there");
    index.commit(&crate::index::Change { shards: vec![(address(1, 0), other)], ..Default::default() }).expect("writes");
    drop(index);
    let disk = lab.open();
    assert!(matches!(disk.get(&address(1, 0)).await, Err(GetError::Corrupt { .. })));
    disk.erase(&permit(&[EraseScope::Item(address(1, 0).item)])).await.expect("erases");
    assert_holds(&disk, &[shard(2, 8000)]).await;
}

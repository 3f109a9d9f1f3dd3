use tokio::task::JoinSet;

use super::*;
use crate::{DiskKeeper, DiskState, LocalShards, MarkerError, PAYLOAD_BYTES_MAX, PutError, ShardStore, crc32c};

#[tokio::test]
async fn what_was_put_is_got_whatever_its_size_and_after_a_restart() {
    let lab = Lab::new();
    let sizes = [1, 100, 3904, 3905, 4096, 8000, 65_536, 1 << 20, (1 << 20) + 5, PAYLOAD_BYTES_MAX];
    let shards: Vec<_> = (1..).zip(sizes).map(|(n, size)| shard(n, size)).collect();
    let disk = lab.open();
    put_all(&disk, &shards).await;
    assert_holds(&disk, &shards).await;
    assert_eq!(disk.stat().shards, 10);
    disk.shutdown().await;
    drop(disk);

    let disk = lab.open();
    assert_eq!(disk.recovery().rebuilt, None);
    assert_eq!(disk.recovery().damaged, []);
    assert_eq!(disk.recovery().torn_bytes, 0);
    assert_holds(&disk, &shards).await;
    for shard in &shards {
        assert_eq!(disk.scrub(&shard.address).await.expect("good").chunk, shard.chunk);
    }
    assert_eq!(disk.stat().shards, 10);
}

#[tokio::test]
async fn the_same_shard_again_is_fine_and_other_content_is_a_conflict() {
    let lab = Lab::new();
    let disk = lab.open();
    let first = shard(1, 5000);
    disk.put(first.clone()).await.expect("stored");
    disk.put(first.clone()).await.expect("stored already");
    let mut others = vec![shard(2, 5000), shard(1, 5001), shard(1, 5000), shard(1, 5000), shard(1, 5000)];
    others[0].address = first.address;
    others[2].chunk = ChunkDigest::new([7; 32]);
    others[3].tag = [7; 16];
    others[4].sealed_bytes += 1;
    for other in others {
        assert_eq!(disk.put(other).await, Err(PutError::Conflict { address: first.address }));
    }
    assert_holds(&disk, &[first]).await;
    assert_eq!(disk.stat().shards, 1);
}

#[tokio::test]
async fn the_same_and_conflicting_shards_are_told_apart_within_one_group() {
    let lab = Lab::new();
    let files = Arc::new(FaultyFiles::default());
    let disk = lab.open_on(&files);
    files.set(|plan| plan.hold_syncs = true);
    let mut first = Box::pin(disk.put(shard(1, 100)));
    assert!(poll_once(&mut first).is_pending());
    files.wait_for_held_sync();

    let mut conflicting = shard(3, 100);
    conflicting.address = shard(2, 100).address;
    let mut puts: Vec<_> =
        [shard(2, 100), shard(2, 100), conflicting, shard(2, 100)].map(|shard| Box::pin(disk.put(shard))).into();
    for put in &mut puts {
        assert!(poll_once(put).is_pending());
    }
    files.set(|plan| plan.hold_syncs = false);
    first.await.expect("stored");
    let mut results = Vec::new();
    for put in puts {
        results.push(put.await);
    }
    assert_eq!(results, [Ok(()), Ok(()), Err(PutError::Conflict { address: address(2, 0) }), Ok(())]);
    assert_holds(&disk, &[shard(1, 100), shard(2, 100)]).await;
    assert_eq!(disk.stat().shards, 2);
}

#[tokio::test]
async fn puts_that_wait_together_share_one_sync() {
    let lab = Lab::new();
    let files = Arc::new(FaultyFiles::default());
    let disk = lab.open_on(&files);
    files.set(|plan| plan.hold_syncs = true);
    let mut first = Box::pin(disk.put(shard(0, 5000)));
    assert!(poll_once(&mut first).is_pending());
    files.wait_for_held_sync();
    let mut rest: Vec<_> = (1..=20).map(|n| Box::pin(disk.put(shard(n, 5000)))).collect();
    for put in &mut rest {
        assert!(poll_once(put).is_pending());
    }
    files.set(|plan| plan.hold_syncs = false);
    first.await.expect("stored");
    for put in rest {
        put.await.expect("stored");
    }
    assert_eq!(files.syncs(), 2);
}

#[tokio::test]
async fn puts_wait_outside_when_the_queue_is_full() {
    let mut lab = Lab::new();
    lab.settings.queue_bytes = 0;
    let files = Arc::new(FaultyFiles::default());
    let disk = lab.open_on(&files);
    files.set(|plan| plan.hold_syncs = true);
    let mut first = Box::pin(disk.put(shard(1, PAYLOAD_BYTES_MAX)));
    assert!(poll_once(&mut first).is_pending());
    files.wait_for_held_sync();
    // The first fills the least queue that there is. What waits outside and is given up was never taken; had it been
    // in the queue, it would be written all the same.
    let mut outside = Box::pin(disk.put(shard(2, 100)));
    assert!(poll_once(&mut outside).is_pending());
    drop(outside);
    let mut third = Box::pin(disk.put(shard(3, 100)));
    assert!(poll_once(&mut third).is_pending());
    files.set(|plan| plan.hold_syncs = false);
    first.await.expect("stored");
    third.await.expect("stored");
    assert!(matches!(disk.get(&address(2, 0)).await, Err(GetError::NotFound { .. })));
}

#[tokio::test]
async fn a_put_whose_caller_went_away_harms_nobody() {
    let lab = Lab::new();
    let disk = lab.open();
    {
        let mut forgotten = Box::pin(disk.put(shard(1, 100)));
        assert!(poll_once(&mut forgotten).is_pending());
    }
    disk.put(shard(2, 100)).await.expect("stored");
    assert_holds(&disk, &[shard(2, 100)]).await;
    disk.put(shard(1, 100)).await.expect("stored, or stored already");
}

#[tokio::test]
async fn bytes_that_changed_on_their_way_are_refused() {
    let lab = Lab::new();
    let disk = lab.open();
    let good = shard(1, 100);
    let announced = crc32c(&good.payload) ^ 1;
    let error = disk.put(PutShard { payload_crc32c: Some(announced), ..good.clone() }).await.expect_err("refused");
    assert!(matches!(error, PutError::ChecksumMismatch { .. }), "{error}");
    assert!(matches!(disk.get(&good.address).await, Err(GetError::NotFound { .. })));
    let right = PutShard { payload_crc32c: Some(crc32c(&good.payload)), ..good.clone() };
    disk.put(right).await.expect("stored");
    assert_holds(&disk, &[good]).await;
}

#[tokio::test]
async fn empty_and_oversized_payloads_are_refused() {
    let lab = Lab::new();
    let disk = lab.open();
    for size in [0, PAYLOAD_BYTES_MAX + 1] {
        assert!(matches!(disk.put(shard(1, size)).await, Err(PutError::PayloadSize { found, .. }) if found == size));
    }
}

#[tokio::test]
async fn segments_are_left_when_they_are_full() {
    let lab = Lab::with_small_segments();
    let disk = lab.open();
    // 64 KiB segments take 15 blocks of records: one of these is 5 blocks, and the big one is larger than a segment.
    let mut shards: Vec<_> = (1..=7).map(|n| shard(n, 20_000)).collect();
    shards.push(shard(8, 100_000));
    shards.push(shard(9, 20_000));
    put_all(&disk, &shards).await;
    assert_holds(&disk, &shards).await;
    disk.shutdown().await;
    drop(disk);
    let lengths: Vec<u64> =
        (1..=5).map(|number| fs::metadata(lab.segment(number)).expect("is there").len() / 4096).collect();
    assert_eq!(lengths, [16, 16, 6, 26, 6]);
    assert!(!lab.segment(6).exists());
    assert_holds(&lab.open(), &shards).await;
}

#[tokio::test]
async fn a_group_is_spread_over_segments() {
    let lab = Lab::with_small_segments();
    let files = Arc::new(FaultyFiles::default());
    let disk = lab.open_on(&files);
    files.set(|plan| plan.hold_syncs = true);
    let mut first = Box::pin(disk.put(shard(0, 20_000)));
    assert!(poll_once(&mut first).is_pending());
    files.wait_for_held_sync();
    let shards: Vec<_> = (1..=8).map(|n| shard(n, 20_000)).collect();
    let mut puts: Vec<_> = shards.iter().map(|shard| Box::pin(disk.put(shard.clone()))).collect();
    for put in &mut puts {
        assert!(poll_once(put).is_pending());
    }
    files.set(|plan| plan.hold_syncs = false);
    first.await.expect("stored");
    for put in puts {
        put.await.expect("stored");
    }
    assert_eq!(files.syncs(), 4, "one for the first, then one for each segment");
    assert_holds(&disk, &shards).await;
}

#[tokio::test]
async fn shards_are_listed_in_order_and_by_page() {
    let lab = Lab::new();
    let disk = lab.open();
    let mut addresses = BTreeSet::new();
    for n in [5, 3, 9] {
        for index in [1, 0, 300] {
            let shard = PutShard { address: address(n, index), ..shard(n, 10) };
            addresses.insert(shard.address);
            disk.put(shard).await.expect("stored");
        }
    }
    let mut found = Vec::new();
    loop {
        let page = disk.list(found.last().copied(), 4).await.expect("lists");
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 4);
        assert!(page.iter().all(|shard| shard.payload_bytes == 10));
        found.extend(page.iter().map(|shard| shard.address));
    }
    assert_eq!(found, addresses.into_iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_parallel_puts_and_gets_do_not_mix() {
    let lab = Lab::with_small_segments();
    let store = Arc::new(LocalShards::open(&[lab.config()], &EXPECTED, &lab.settings).expect("opens"));
    let mut tasks = JoinSet::new();
    for n in 0..8_u8 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for index in 0..40 {
                let shard = PutShard { address: address(n, index), ..shard(n ^ 0x40, 500 + usize::from(n) * 900) };
                store.put(shard.clone()).await.expect("stored");
                let found = store.get(DISK, &shard.address).await.expect("found");
                assert_eq!(found.payload(), &shard.payload);
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("no panic");
    }
    assert_eq!(store.stat()[0].shards, 320);
    store.shutdown().await;
    drop(store);
    let disk = lab.open();
    assert_eq!(disk.stat().shards, 320);
    for n in 0..8_u8 {
        for index in 0..40 {
            let found = payload(&disk, &address(n, index)).await.expect("found");
            assert_eq!(found, shard(n ^ 0x40, 500 + usize::from(n) * 900).payload);
        }
    }
}

#[tokio::test]
async fn a_node_routes_by_disk_and_refuses_unknown_ones() {
    let first = Lab::new();
    let folder = tempfile::tempdir().expect("a folder");
    let other = DiskId::new([0xd2; 16]);
    Disk::format(folder.path(), &DiskMarker { disk: other, ..MARKER }).expect("formats");
    let second = DiskConfig { path: folder.path().to_owned(), capacity_bytes: None };
    let store =
        LocalShards::open(&[first.config(), second.clone()], &EXPECTED, &StoreSettings::default()).expect("opens");
    let here = shard(1, 100);
    let there = PutShard { disk: other, ..shard(2, 100) };
    store.put(here.clone()).await.expect("stored");
    store.put(there.clone()).await.expect("stored");
    assert!(matches!(store.get(other, &here.address).await, Err(GetError::NotFound { .. })));
    assert_eq!(store.get(other, &there.address).await.expect("found").payload(), &there.payload);
    let stranger = DiskId::new([0; 16]);
    assert_eq!(store.get(stranger, &here.address).await, Err(GetError::UnknownDisk { disk: stranger }));
    assert_eq!(
        store.put(PutShard { disk: stranger, ..here.clone() }).await,
        Err(PutError::UnknownDisk { disk: stranger })
    );
    let stats = store.stat();
    assert_eq!(stats.iter().map(|stat| (stat.disk, stat.shards)).collect::<Vec<_>>(), [(DISK, 1), (other, 1)]);
    assert!(stats.iter().all(|stat| stat.state == DiskState::InService && stat.free_bytes < stat.total_bytes));

    let again = LocalShards::open(&[second], &EXPECTED, &StoreSettings::default());
    assert!(matches!(again, Err(OpenError::Marker(MarkerError::InUse { .. }))));
    store.shutdown().await;
    assert!(matches!(store.put(here).await, Err(PutError::Unavailable { .. })));
}

#[tokio::test]
async fn a_node_does_not_start_with_a_wrong_or_doubled_disk() {
    let lab = Lab::new();
    let wrong = ExpectedMarker { node: NodeId(2), ..EXPECTED };
    let settings = StoreSettings::default();
    assert!(matches!(
        LocalShards::open(&[lab.config()], &wrong, &settings),
        Err(OpenError::Marker(MarkerError::Mismatch { field: "node", .. }))
    ));
    let copy = lab.copy();
    assert!(matches!(
        LocalShards::open(&[lab.config(), copy.config()], &EXPECTED, &settings),
        Err(OpenError::Twice { disk: DISK })
    ));
    let empty = DiskConfig { path: lab.folder.path().to_owned(), capacity_bytes: None };
    assert!(matches!(
        LocalShards::open(&[lab.config(), empty], &EXPECTED, &settings),
        Err(OpenError::Marker(MarkerError::Missing { .. }))
    ));
    LocalShards::open(&[lab.config()], &EXPECTED, &settings).expect("opens");
}

#[tokio::test]
async fn a_disk_whose_files_fail_does_not_keep_the_others_from_serving() {
    let good = Lab::new();
    let folder = tempfile::tempdir().expect("a folder");
    let other = DiskId::new([0xd2; 16]);
    Disk::format(folder.path(), &DiskMarker { disk: other, ..MARKER }).expect("formats");
    fs::remove_dir(folder.path().join("segments")).expect("removes");
    let bad = DiskConfig { path: folder.path().to_owned(), capacity_bytes: None };
    let store = LocalShards::open(&[bad, good.config()], &EXPECTED, &StoreSettings::default()).expect("opens");
    store.put(shard(1, 100)).await.expect("stored");
    let refused = store.put(PutShard { disk: other, ..shard(1, 100) }).await;
    assert!(matches!(refused, Err(PutError::DiskFailed { .. })));
    assert!(matches!(store.get(other, &address(1, 0)).await, Err(GetError::DiskUnavailable { .. })));
    let stats = store.stat();
    assert!(matches!(&stats[1].state, DiskState::Failed { why } if why.contains("segments")));
}

use super::*;
use crate::{DiskState, EraseError, PutError};

fn is_failed(disk: &Disk) -> bool {
    matches!(disk.stat().state, DiskState::Failed { .. })
}

#[tokio::test]
async fn a_failed_sync_stops_the_disk_for_writes_and_reads_go_on() {
    let lab = Lab::new();
    let files = Arc::new(FaultyFiles::default());
    let disk = lab.open_on(&files);
    disk.put(shard(1, 8000)).await.expect("stored");
    files.set(|plan| plan.hold_syncs = true);
    let mut waiting: Vec<_> = (2..=4).map(|n| Box::pin(disk.put(shard(n, 8000)))).collect();
    for put in &mut waiting {
        assert!(poll_once(put).is_pending());
    }
    files.wait_for_held_sync();
    // Even a disk that is full must be taken for failed once it says so in a sync.
    files.set(|plan| {
        plan.fail_sync = Some(libc::ENOSPC);
        plan.hold_syncs = false;
    });
    for put in waiting {
        let error = put.await.expect_err("not acknowledged");
        assert!(matches!(error, PutError::DiskFailed { disk: DISK, .. }), "{error}");
    }
    assert!(is_failed(&disk));
    // It stays failed although syncs would succeed again: nobody knows what was lost.
    files.set(|plan| plan.fail_sync = None);
    assert!(matches!(disk.put(shard(5, 8000)).await, Err(PutError::DiskFailed { .. })));
    assert!(matches!(
        disk.erase(&permit(&[EraseScope::Item(address(1, 0).item)])).await,
        Err(EraseError::DiskFailed { .. })
    ));
    assert_holds(&disk, &[shard(1, 8000)]).await;
    for n in 2..=5 {
        assert!(matches!(disk.get(&address(n, 0)).await, Err(GetError::NotFound { .. })));
    }
    disk.shutdown().await;
    drop(disk);
    let disk = lab.open();
    assert_holds(&disk, &[shard(1, 8000)]).await;
    put_all(&disk, &(2..=5).map(|n| shard(n, 8000)).collect::<Vec<_>>()).await;
    assert_eq!(disk.stat().state, DiskState::InService);
}

#[tokio::test]
async fn a_failed_write_stops_the_disk() {
    for (create, write, truncate) in [
        (Some(libc::EIO), None, None),
        (None, Some(libc::EIO), None),
        // No space, and what was written cannot be cut off again.
        (None, Some(libc::ENOSPC), Some(libc::EIO)),
    ] {
        let lab = Lab::new();
        let files = Arc::new(FaultyFiles::default());
        let disk = lab.open_on(&files);
        files.set(|plan| {
            plan.fail_create = create;
            plan.fail_write = write;
            plan.fail_truncate = truncate;
        });
        let error = disk.put(shard(1, 8000)).await.expect_err("not acknowledged");
        assert!(matches!(error, PutError::DiskFailed { .. }), "{error}");
        assert!(is_failed(&disk));
    }
}

#[tokio::test]
async fn a_write_that_finds_no_space_is_refused_and_the_disk_goes_on() {
    let lab = Lab::new();
    let files = Arc::new(FaultyFiles::default());
    let disk = lab.open_on(&files);
    files.set(|plan| plan.fail_create = Some(libc::ENOSPC));
    assert!(matches!(disk.put(shard(1, 100_000)).await, Err(PutError::DiskFull { .. })));
    files.set(|plan| {
        plan.fail_create = None;
        plan.fail_write = Some(libc::ENOSPC);
    });
    for n in 1..=2 {
        assert!(matches!(disk.put(shard(n, 100_000)).await, Err(PutError::DiskFull { .. })));
        assert_eq!(fs::metadata(lab.segment(1)).expect("is there").len(), 0, "cut off again");
    }
    files.set(|plan| plan.fail_write = None);
    disk.put(shard(3, 100_000)).await.expect("stored");
    let length = fs::metadata(lab.segment(1)).expect("is there").len();
    files.set(|plan| plan.fail_write = Some(libc::EDQUOT));
    assert!(matches!(disk.put(shard(4, 100_000)).await, Err(PutError::DiskFull { .. })));
    assert_eq!(fs::metadata(lab.segment(1)).expect("is there").len(), length);
    files.set(|plan| plan.fail_write = None);
    disk.put(shard(4, 100_000)).await.expect("stored");
    assert_eq!(disk.stat().state, DiskState::InService);
    disk.shutdown().await;
    drop(disk);
    lab.lose_index();
    let disk = lab.open();
    assert_eq!(disk.recovery().damaged, []);
    assert_holds(&disk, &[shard(3, 100_000), shard(4, 100_000)]).await;
    assert!(matches!(disk.get(&address(1, 0)).await, Err(GetError::NotFound { .. })));
}

#[tokio::test]
async fn a_full_disk_refuses_puts_keeps_its_reserve_and_recovers() {
    let mut lab = Lab::new();
    // 100 blocks, of which 5 are the reserve and one is the segment's name.
    lab.capacity_bytes = Some(100 * 4096);
    let disk = lab.open();
    let total = disk.stat().total_bytes;
    assert_eq!(total, 100 * 4096);
    // Eleven blocks each: eight fit into 94, a ninth does not.
    let shards: Vec<_> = (1..=8).map(|n| shard(n, 44_000)).collect();
    put_all(&disk, &shards).await;
    let error = disk.put(shard(9, 44_000)).await.expect_err("full");
    assert!(matches!(error, PutError::DiskFull { needed_bytes, .. } if needed_bytes == record_bytes(44_000)));
    let stat = disk.stat();
    assert_eq!(stat.state, DiskState::Full);
    assert_eq!(stat.used_bytes, (1 + 8 * 11) * 4096);
    assert_eq!(stat.free_bytes, total - total / 100 * 5 - stat.used_bytes);
    disk.put(shards[0].clone()).await.expect("what is stored already needs no space");
    disk.put(shard(10, 100)).await.expect("a smaller one fits");
    assert_holds(&disk, &shards).await;
    disk.shutdown().await;
    drop(disk);

    let disk = lab.open();
    assert_eq!(disk.stat().used_bytes, stat.used_bytes + 4096);
    assert!(matches!(disk.put(shard(9, 44_000)).await, Err(PutError::DiskFull { .. })));
    // The reserve is there for this.
    disk.erase(&permit(&[EraseScope::Item(shards[0].address.item)])).await.expect("erases");
    disk.put(shard(9, 44_000)).await.expect("stored");
    assert_eq!(disk.stat().state, DiskState::InService);
    assert_holds(&disk, &shards[1..]).await;
}

#[tokio::test]
async fn an_erase_works_when_no_put_does() {
    let mut lab = Lab::new();
    lab.capacity_bytes = Some(20 * 4096);
    let disk = lab.open();
    // 19 blocks are above the reserve (5 % of 81,920 is below a block), one of them names the segment.
    put_all(&disk, &(1..=18).map(|n| shard(n, 100)).collect::<Vec<_>>()).await;
    assert!(matches!(disk.put(shard(19, 100)).await, Err(PutError::DiskFull { .. })));
    for n in 1..=18 {
        let erasure = disk.erase(&permit(&[EraseScope::Item(address(n, 0).item)])).await.expect("erases");
        assert_eq!(erasure.shards, 1);
    }
    assert_eq!(disk.stat().shards, 0);
}

#[tokio::test]
async fn closing_writes_what_waits_and_refuses_the_rest() {
    let lab = Lab::new();
    let files = Arc::new(FaultyFiles::default());
    let disk = lab.open_on(&files);
    files.set(|plan| plan.hold_syncs = true);
    let mut waiting: Vec<_> = (1..=5).map(|n| Box::pin(disk.put(shard(n, 8000)))).collect();
    for put in &mut waiting {
        assert!(poll_once(put).is_pending());
    }
    disk.close();
    assert!(matches!(disk.put(shard(6, 8000)).await, Err(PutError::Unavailable { .. })));
    files.set(|plan| plan.hold_syncs = false);
    for put in waiting {
        put.await.expect("stored");
    }
    disk.shutdown().await;
    assert_holds(&disk, &(1..=5).map(|n| shard(n, 8000)).collect::<Vec<_>>()).await;
}

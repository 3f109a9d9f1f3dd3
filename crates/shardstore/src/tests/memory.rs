use std::time::Duration;

use super::*;
use crate::{Corruption, DiskKeeper, DiskState, MemoryFault, MemoryShards, PutError, ShardStore};

#[tokio::test]
async fn memory_answers_as_a_disk_does() {
    let store = MemoryShards::new([DISK]);
    let first = shard(1, 100);
    store.put(first.clone()).await.expect("stored");
    store.put(first.clone()).await.expect("stored already");
    let other = PutShard { address: first.address, ..shard(2, 100) };
    assert_eq!(store.put(other).await, Err(PutError::Conflict { address: first.address }));
    assert_eq!(store.get(DISK, &first.address).await.expect("found").payload(), &first.payload);
    assert_eq!(store.list(DISK, None, 10).await.expect("lists").len(), 1);
    assert_eq!(store.list(DISK, Some(first.address), 10).await.expect("lists").len(), 0);
    assert_eq!(store.calls(DISK), (3, 1));
    store.erase(DISK, &permit(&[EraseScope::Item(first.address.item)])).await.expect("erases");
    assert_eq!(store.put(first.clone()).await, Err(PutError::Erased { address: first.address }));
    assert!(matches!(store.get(DISK, &first.address).await, Err(GetError::Erased { .. })));
}

#[tokio::test]
async fn faults_are_seen_and_can_be_lifted() {
    let store = MemoryShards::new([DISK]);
    let (first, second) = (shard(1, 100), shard(2, 100));
    store.put(first.clone()).await.expect("stored");
    store.set_fault(DISK, MemoryFault::Full);
    assert!(matches!(store.put(second.clone()).await, Err(PutError::DiskFull { .. })));
    assert!(store.get(DISK, &first.address).await.is_ok());
    store.set_fault(DISK, MemoryFault::Failed);
    assert!(matches!(store.put(second.clone()).await, Err(PutError::DiskFailed { .. })));
    assert!(matches!(store.stat()[0].state, DiskState::Failed { .. }));
    store.set_fault(DISK, MemoryFault::Unreachable);
    assert!(matches!(store.get(DISK, &first.address).await, Err(GetError::Unavailable { .. })));
    store.set_fault(DISK, MemoryFault::Stalled);
    let mut put = Box::pin(store.put(second.clone()));
    assert!(poll_once(&mut put).is_pending());
    store.set_fault(DISK, MemoryFault::None);
    put.await.expect("stored");
}

#[tokio::test(start_paused = true)]
async fn a_slow_disk_answers_in_its_own_time() {
    let store = MemoryShards::new([DISK]);
    store.set_fault(DISK, MemoryFault::Slow(Duration::from_secs(30)));
    let start = tokio::time::Instant::now();
    store.put(shard(1, 100)).await.expect("stored");
    assert_eq!(start.elapsed(), Duration::from_secs(30));
}

#[tokio::test]
async fn damage_is_found_unless_it_is_a_forgery() {
    let store = MemoryShards::new([DISK]);
    let first = shard(1, 100);
    store.put(first.clone()).await.expect("stored");
    assert!(store.corrupt(DISK, &first.address));
    assert!(matches!(
        store.get(DISK, &first.address).await,
        Err(GetError::Corrupt { what: Corruption::PayloadChecksum { .. }, .. })
    ));
    store.put(first.clone()).await.expect("mended");
    assert!(store.get(DISK, &first.address).await.is_ok());
    assert!(store.forge(DISK, &first.address, shard(9, 100).payload));
    assert_eq!(store.get(DISK, &first.address).await.expect("looks good").payload(), &shard(9, 100).payload);
    assert!(store.remove(DISK, &first.address));
    assert!(!store.remove(DISK, &first.address));
    assert!(matches!(store.get(DISK, &first.address).await, Err(GetError::NotFound { .. })));
}

//! Shards in memory, for tests of the crates above: the same answers, and faults on demand.

use std::{
    collections::BTreeMap,
    ops::Bound,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use strongroom_types::DiskId;
use tokio::{sync::watch, time};

use crate::{
    DiskKeeper, DiskStat, DiskState, EraseError, ErasePermit, EraseScope, Erasure, GetError, ListError, ListedShard,
    PAYLOAD_BYTES_MAX, PutError, PutShard, ShardAddress, ShardHeader, ShardStore, VerifiedShard, crc32c,
};

/// How a disk misbehaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemoryFault {
    /// It does not.
    #[default]
    None,
    /// It takes no shard for want of space.
    Full,
    /// It takes no shard and no erase; it is read.
    Failed,
    /// Nothing can be asked of it.
    Unreachable,
    /// Calls are answered this much later.
    Slow(Duration),
    /// Calls are not answered until the fault is lifted.
    Stalled,
}

/// Disks in memory. Clones of nothing: share it in an `Arc`.
pub struct MemoryShards {
    disks: BTreeMap<DiskId, MemoryDisk>,
}

struct MemoryDisk {
    state: Mutex<MemoryState>,
    fault: watch::Sender<MemoryFault>,
}

#[derive(Default)]
struct MemoryState {
    shards: BTreeMap<ShardAddress, (ShardHeader, Bytes)>,
    erased: Vec<EraseScope>,
    puts: u64,
    gets: u64,
}

impl MemoryShards {
    /// Empty disks.
    #[must_use]
    pub fn new(disks: impl IntoIterator<Item = DiskId>) -> Self {
        let empty = || MemoryDisk { state: Mutex::default(), fault: watch::Sender::new(MemoryFault::None) };
        Self { disks: disks.into_iter().map(|id| (id, empty())).collect() }
    }

    /// Lets a disk misbehave, or behave again.
    pub fn set_fault(&self, disk: DiskId, fault: MemoryFault) {
        self.disk(disk).fault.send_replace(fault);
    }

    /// Flips a bit of a stored payload: reads find it corrupt. False if there is no such shard.
    pub fn corrupt(&self, disk: DiskId, address: &ShardAddress) -> bool {
        self.change(disk, address, |(_, payload)| {
            let mut bytes = payload.to_vec();
            bytes[0] ^= 1;
            *payload = bytes.into();
        })
    }

    /// Replaces a stored payload and its checksum: reads find nothing wrong. False if there is no such shard.
    pub fn forge(&self, disk: DiskId, address: &ShardAddress, forged: Bytes) -> bool {
        self.change(disk, address, |(header, payload)| {
            header.payload_bytes = u32::try_from(forged.len()).expect("a payload is small");
            header.payload_crc32c = crc32c(&forged);
            *payload = forged;
        })
    }

    /// Loses a shard. False if there is no such shard.
    pub fn remove(&self, disk: DiskId, address: &ShardAddress) -> bool {
        self.disk(disk).lock().shards.remove(address).is_some()
    }

    /// Loses all shards of a disk and all memory of erased ones: another disk in its place.
    pub fn wipe(&self, disk: DiskId) {
        *self.disk(disk).lock() = MemoryState::default();
    }

    /// What a disk holds, in order.
    #[must_use]
    pub fn addresses(&self, disk: DiskId) -> Vec<ShardAddress> {
        self.disk(disk).lock().shards.keys().copied().collect()
    }

    /// Puts and gets that reached a disk so far.
    #[must_use]
    pub fn calls(&self, disk: DiskId) -> (u64, u64) {
        let state = self.disk(disk).lock();
        (state.puts, state.gets)
    }

    fn change(&self, disk: DiskId, address: &ShardAddress, change: impl FnOnce(&mut (ShardHeader, Bytes))) -> bool {
        self.disk(disk).lock().shards.get_mut(address).map(change).is_some()
    }

    fn disk(&self, disk: DiskId) -> &MemoryDisk {
        self.disks.get(&disk).expect("tests name disks that they made")
    }
}

impl MemoryDisk {
    fn lock(&self) -> MutexGuard<'_, MemoryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as the fault asks, and says which fault is left to be answered.
    async fn pass(&self) -> MemoryFault {
        let mut faults = self.fault.subscribe();
        let fault = match faults.wait_for(|fault| *fault != MemoryFault::Stalled).await {
            Ok(fault) => *fault,
            Err(_) => MemoryFault::Unreachable,
        };
        if let MemoryFault::Slow(delay) = fault {
            time::sleep(delay).await;
        }
        fault
    }

    fn put(&self, shard: PutShard) -> Result<(), PutError> {
        let PutShard { disk: _, address, chunk, tag, sealed_bytes, payload, payload_crc32c } = shard;
        let length = payload.len();
        let payload_bytes = match u32::try_from(length) {
            Ok(bytes) if (1..=PAYLOAD_BYTES_MAX).contains(&length) => bytes,
            Ok(_) | Err(_) => return Err(PutError::PayloadSize { found: length, max: PAYLOAD_BYTES_MAX }),
        };
        let found = crc32c(&payload);
        match payload_crc32c {
            Some(announced) if announced != found => {
                return Err(PutError::ChecksumMismatch { address, announced, found });
            }
            Some(_) | None => {}
        }
        let header = ShardHeader { address, chunk, tag, sealed_bytes, payload_bytes, payload_crc32c: found };
        let mut state = self.lock();
        state.puts += 1;
        if state.erased.iter().any(|scope| scope.covers(&address)) {
            return Err(PutError::Erased { address });
        }
        match state.shards.get(&address) {
            Some((stored, _)) if *stored != header => Err(PutError::Conflict { address }),
            // Written anew if it was corrupt, as a disk does.
            Some(_) | None => {
                state.shards.insert(address, (header, payload));
                Ok(())
            }
        }
    }

    fn get(&self, disk: DiskId, address: ShardAddress) -> Result<VerifiedShard, GetError> {
        let mut state = self.lock();
        state.gets += 1;
        if state.erased.iter().any(|scope| scope.covers(&address)) {
            return Err(GetError::Erased { disk, address });
        }
        let (header, payload) = state.shards.get(&address).cloned().ok_or(GetError::NotFound { disk, address })?;
        VerifiedShard::verify(&address, header, payload).map_err(|what| GetError::Corrupt { disk, address, what })
    }

    fn erase(&self, scopes: &[EraseScope]) -> Erasure {
        let mut state = self.lock();
        let mut erasure = Erasure::default();
        state.shards.retain(|address, (header, _)| {
            let goes = scopes.iter().any(|scope| scope.covers(address));
            if goes {
                erasure.shards += 1;
                erasure.payload_bytes += u64::from(header.payload_bytes);
            }
            !goes
        });
        for scope in scopes {
            if !state.erased.contains(scope) {
                state.erased.push(*scope);
            }
        }
        erasure
    }
}

fn unreachable() -> String {
    "the disk is set to be unreachable".to_owned()
}

fn set_to_fail() -> String {
    "the disk is set to fail".to_owned()
}

#[async_trait]
impl ShardStore for MemoryShards {
    async fn put(&self, shard: PutShard) -> Result<(), PutError> {
        let id = shard.disk;
        let disk = self.disks.get(&id).ok_or(PutError::UnknownDisk { disk: id })?;
        match disk.pass().await {
            MemoryFault::Full => {
                let needed_bytes = u64::try_from(shard.payload.len()).expect("a payload is small");
                Err(PutError::DiskFull { disk: id, needed_bytes, free_bytes: 0 })
            }
            MemoryFault::Failed => Err(PutError::DiskFailed { disk: id, why: set_to_fail() }),
            MemoryFault::Unreachable => Err(PutError::Unavailable { why: unreachable() }),
            MemoryFault::None | MemoryFault::Slow(_) | MemoryFault::Stalled => disk.put(shard),
        }
    }

    async fn get(&self, id: DiskId, address: &ShardAddress) -> Result<VerifiedShard, GetError> {
        let disk = self.disks.get(&id).ok_or(GetError::UnknownDisk { disk: id })?;
        match disk.pass().await {
            MemoryFault::Unreachable => Err(GetError::Unavailable { why: unreachable() }),
            MemoryFault::None
            | MemoryFault::Full
            | MemoryFault::Failed
            | MemoryFault::Slow(_)
            | MemoryFault::Stalled => disk.get(id, *address),
        }
    }
}

#[async_trait]
impl DiskKeeper for MemoryShards {
    async fn scrub(&self, id: DiskId, address: &ShardAddress) -> Result<ShardHeader, GetError> {
        self.get(id, address).await.map(|shard| *shard.header())
    }

    async fn list(&self, id: DiskId, after: Option<ShardAddress>, limit: usize) -> Result<Vec<ListedShard>, ListError> {
        let disk = self.disks.get(&id).ok_or(ListError::UnknownDisk { disk: id })?;
        if disk.pass().await == MemoryFault::Unreachable {
            return Err(ListError::Unavailable { why: unreachable() });
        }
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let state = disk.lock();
        let shards = state.shards.range((from, Bound::Unbounded)).take(limit);
        Ok(shards
            .map(|(address, (header, _))| ListedShard {
                address: *address,
                payload_bytes: header.payload_bytes,
                payload_crc32c: header.payload_crc32c,
            })
            .collect())
    }

    fn stat(&self) -> Vec<DiskStat> {
        let stat = |(id, disk): (&DiskId, &MemoryDisk)| {
            let state = disk.lock();
            let used_bytes = state.shards.values().map(|(header, _)| u64::from(header.payload_bytes)).sum();
            let fault = *disk.fault.borrow();
            DiskStat {
                disk: *id,
                path: PathBuf::from("memory"),
                state: match fault {
                    MemoryFault::None | MemoryFault::Slow(_) | MemoryFault::Stalled => DiskState::InService,
                    MemoryFault::Full => DiskState::Full,
                    MemoryFault::Failed => DiskState::Failed { why: set_to_fail() },
                    MemoryFault::Unreachable => DiskState::Failed { why: unreachable() },
                },
                used_bytes,
                free_bytes: if fault == MemoryFault::Full { 0 } else { u64::MAX - used_bytes },
                total_bytes: u64::MAX,
                shards: u64::try_from(state.shards.len()).expect("a count in memory fits"),
            }
        };
        self.disks.iter().map(stat).collect()
    }

    async fn erase(&self, id: DiskId, permit: &ErasePermit) -> Result<Erasure, EraseError> {
        let disk = self.disks.get(&id).ok_or(EraseError::UnknownDisk { disk: id })?;
        match permit.disk() {
            Some(permitted) if permitted != id => return Err(EraseError::OtherDisk { disk: id, permitted }),
            Some(_) | None => {}
        }
        match disk.pass().await {
            MemoryFault::Failed => Err(EraseError::DiskFailed { disk: id, why: set_to_fail() }),
            MemoryFault::Unreachable => Err(EraseError::Unavailable { why: unreachable() }),
            MemoryFault::None | MemoryFault::Full | MemoryFault::Slow(_) | MemoryFault::Stalled => {
                Ok(disk.erase(permit.scopes()))
            }
        }
    }
}

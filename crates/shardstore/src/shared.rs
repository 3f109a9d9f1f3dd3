//! What the writer thread and the readers of one disk share: index, segments, space, and whether it failed.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::PathBuf,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use strongroom_types::{
    DiskId,
    limits::{DISK_BLOCK_BYTES, DISK_RESERVE_PERCENT},
};

use crate::{
    Corruption, DiskStat, DiskState, EraseError, EraseScope, Erasure, GetError, ListError, ListedShard, ShardAddress,
    VerifiedShard,
    index::{Change, Index, IndexError, Location},
    layout::{Body, Place, payload_offset, record_bytes},
    reading::{self, ReadFault, Source},
    segment::Segments,
    sys,
};

/// Index rows that an erase takes at once.
const ERASE_PAGE: usize = 1024;

/// One open disk.
pub(crate) struct Shared {
    pub(crate) disk: DiskId,
    pub(crate) path: PathBuf,
    pub(crate) index: Index,
    pub(crate) segments: Segments,
    pub(crate) capacity_bytes: Option<u64>,
    /// What happened first; set once and for good.
    pub(crate) failed: OnceLock<String>,
    /// Bytes that segments take on the medium.
    pub(crate) used_bytes: AtomicU64,
    /// Size of the last record that was refused for want of space; 0: none was, or there was space since.
    pub(crate) refused_bytes: AtomicU64,
    /// One erase punches at a time.
    pub(crate) erasing: Mutex<()>,
    /// Keeps other processes away.
    pub(crate) _lock: File,
}

/// What may be put, and what there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) free_bytes: u64,
    pub(crate) total_bytes: u64,
}

impl Shared {
    /// Stops the disk for writes. Only the first reason is kept; it is what is answered.
    pub(crate) fn fail(&self, why: String) -> String {
        tracing::error!(disk = %self.disk, path = %self.path.display(), error = why, "disk stopped for writes");
        self.failed.get_or_init(|| why).clone()
    }

    pub(crate) fn room(&self) -> io::Result<Room> {
        let space = sys::space(&self.path)?;
        let capacity = self.capacity_bytes.unwrap_or(u64::MAX);
        let total_bytes = space.total_bytes.min(capacity);
        let unused = capacity.saturating_sub(self.used_bytes.load(Ordering::Relaxed));
        let reserve = total_bytes / 100 * DISK_RESERVE_PERCENT;
        Ok(Room { free_bytes: space.available_bytes.min(unused).saturating_sub(reserve), total_bytes })
    }

    pub(crate) fn stat(&self) -> DiskStat {
        let room = self.room();
        let state = match (self.failed.get(), &room) {
            (Some(why), _) => DiskState::Failed { why: why.clone() },
            (None, Err(error)) => DiskState::Failed { why: format!("could not ask for its free space: {error}") },
            (None, Ok(room)) => {
                let needed = self.refused_bytes.load(Ordering::Relaxed).max(DISK_BLOCK_BYTES);
                if room.free_bytes < needed { DiskState::Full } else { DiskState::InService }
            }
        };
        DiskStat {
            disk: self.disk,
            path: self.path.clone(),
            state,
            used_bytes: self.used_bytes.load(Ordering::Relaxed),
            free_bytes: room.as_ref().map_or(0, |room| room.free_bytes),
            total_bytes: room.as_ref().map_or(0, |room| room.total_bytes),
            shards: self.index.totals().shards,
        }
    }

    /// The shard, verified.
    pub(crate) fn read_verified(&self, address: &ShardAddress, source: Source) -> Result<VerifiedShard, GetError> {
        let (disk, address) = (self.disk, *address);
        let mut location = self.find(&address)?;
        loop {
            let what = match self.read_at(&address, &location, source) {
                Ok(shard) => return Ok(shard),
                Err(ReadFault::Corrupt(what)) => what,
                Err(ReadFault::Io(error)) => {
                    return Err(GetError::DiskUnavailable { disk, why: error.to_string() });
                }
            };
            // An erase or a repair may have come between the index and the segment.
            let again = self.find(&address)?;
            if again == location {
                tracing::warn!(%disk, shard = %address, error = %what, "shard is corrupt");
                return Err(GetError::Corrupt { disk, address, what });
            }
            location = again;
        }
    }

    pub(crate) fn list(&self, after: Option<&ShardAddress>, limit: usize) -> Result<Vec<ListedShard>, ListError> {
        self.index
            .list(after, limit)
            .map_err(|error| ListError::DiskUnavailable { disk: self.disk, why: error.to_string() })
    }

    /// The record at a location, as the shard that it must be.
    pub(crate) fn read_at(
        &self,
        address: &ShardAddress,
        location: &Location,
        source: Source,
    ) -> Result<VerifiedShard, ReadFault> {
        let (record, payload) = reading::record(&self.segments, self.disk, location, source)?;
        match record.body {
            Body::Shard(header) => VerifiedShard::verify(address, header, payload).map_err(ReadFault::Corrupt),
            Body::Tombstone { .. } => Err(ReadFault::Corrupt(Corruption::BadField { field: "kind" })),
        }
    }

    fn find(&self, address: &ShardAddress) -> Result<Location, GetError> {
        let (disk, address) = (self.disk, *address);
        let broken = |error: IndexError| GetError::DiskUnavailable { disk, why: error.to_string() };
        // The row first: an erase writes its scope before it drops rows.
        let location = self.index.location(&address).map_err(broken)?;
        if self.index.is_erased(&address).map_err(broken)? {
            return Err(GetError::Erased { disk, address });
        }
        location.ok_or(GetError::NotFound { disk, address })
    }

    /// Punches out whatever scopes cover, syncs, and drops the rows. Their tombstones are synced before this is called.
    pub(crate) fn finish_erasure(&self, scopes: &[EraseScope]) -> Result<Erasure, EraseError> {
        let _one_at_a_time = self.erasing.lock().unwrap_or_else(PoisonError::into_inner);
        self.erase_rows(scopes).map_err(|error| match error {
            PunchError::Index(IndexError::NoSpace { .. }) => EraseError::DiskFull { disk: self.disk },
            PunchError::Index(_) | PunchError::Segment { .. } => {
                EraseError::DiskFailed { disk: self.disk, why: self.fail(error.to_string()) }
            }
        })
    }

    fn erase_rows(&self, scopes: &[EraseScope]) -> Result<Erasure, PunchError> {
        let mut erasure = Erasure::default();
        for scope in scopes {
            loop {
                let shards = self.index.shards_in(scope, ERASE_PAGE)?;
                if shards.is_empty() {
                    break;
                }
                self.punch(&shards)?;
                for (_, location) in &shards {
                    erasure.shards += 1;
                    erasure.payload_bytes += u64::from(location.payload_bytes);
                }
                let dropped_shards = shards.into_iter().map(|(address, _)| address).collect();
                self.index.commit(&Change { dropped_shards, ..Change::default() })?;
            }
            loop {
                let dropped_copies = self.index.copies_in(scope, ERASE_PAGE)?;
                if dropped_copies.is_empty() {
                    break;
                }
                self.punch(&dropped_copies)?;
                self.index.commit(&Change { dropped_copies, ..Change::default() })?;
            }
        }
        self.index.commit(&Change { erasures_done: scopes.to_vec(), ..Change::default() })?;
        Ok(erasure)
    }

    /// Gives the payloads back to the file system and waits until that is on the medium.
    fn punch(&self, shards: &[(ShardAddress, Location)]) -> Result<(), PunchError> {
        let mut by_segment: BTreeMap<u64, Vec<&(ShardAddress, Location)>> = BTreeMap::new();
        for shard in shards {
            by_segment.entry(shard.1.segment).or_default().push(shard);
        }
        for (segment, shards) in by_segment {
            let failed = |source| PunchError::Segment { segment, source };
            let file = match self.segments.open_to_punch(segment) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    tracing::warn!(disk = %self.disk, segment, "erased shards were in a segment that is missing");
                    continue;
                }
                Err(error) => return Err(failed(error)),
            };
            for (address, location) in shards {
                self.punch_one(&file, address, location).map_err(failed)?;
            }
            file.sync_data().map_err(failed)?;
        }
        Ok(())
    }

    /// The header stays: a scan then knows what the hole is and steps over it.
    fn punch_one(&self, file: &File, address: &ShardAddress, location: &Location) -> io::Result<()> {
        let Location { segment, offset, payload_bytes, .. } = *location;
        match reading::header(&self.segments, Place { disk: self.disk, segment, offset }) {
            Ok(record) if !is_shard_at(&record.body, address, payload_bytes) => {
                // The index is wrong about this place, and what is there is somebody else's.
                tracing::error!(disk = %self.disk, segment, offset, shard = %address, "erased shard is not where the index says");
                return Ok(());
            }
            // A damaged header does not keep its payload alive: the index has checksums of its own.
            Ok(_) | Err(ReadFault::Corrupt(_)) => {}
            Err(ReadFault::Io(error)) => return Err(error),
        }
        let start = offset + payload_offset(payload_bytes);
        let end = offset + record_bytes(payload_bytes);
        sys::punch_hole(file, start, end - start)?;
        let freed = end.saturating_sub(start.next_multiple_of(DISK_BLOCK_BYTES));
        self.used_bytes.update(Ordering::Relaxed, Ordering::Relaxed, |used| used.saturating_sub(freed));
        Ok(())
    }
}

fn is_shard_at(body: &Body, address: &ShardAddress, payload_bytes: u32) -> bool {
    match body {
        Body::Shard(header) => header.address == *address && header.payload_bytes == payload_bytes,
        Body::Tombstone { .. } => false,
    }
}

/// Why an erase stopped half way.
#[derive(Debug, thiserror::Error)]
enum PunchError {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("could not punch a hole into segment {segment}: {source}")]
    Segment { segment: u64, source: io::Error },
}

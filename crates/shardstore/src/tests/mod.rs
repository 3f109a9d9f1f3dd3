//! Tests of the store as a whole, on real files.

mod erase;
mod failure;
mod memory;
mod model;
mod permit;
mod recovery;
mod round_trip;
pub(crate) mod voters;

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Condvar, Mutex},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use strongroom_types::{
    ChunkDigest, ChunkIndex, ClusterId, DiskId, ItemId, NodeId, PlacementEpoch, ShardIndex, UploadEpoch, VolumeId,
};
use tempfile::TempDir;

use crate::{
    Disk, DiskConfig, DiskMarker, ErasePermit, EraseScope, ExpectedMarker, GetError, OpenError, PutShard, ShardAddress,
    StoreSettings,
    layout::record_bytes,
    segment::{RealFiles, SegmentFile, SegmentFiles},
};

const DISK: DiskId = DiskId::new([0xd1; 16]);
const MARKER: DiskMarker = DiskMarker {
    format_version: DiskMarker::FORMAT_VERSION,
    cluster: ClusterId::new([0xc1; 16]),
    node: NodeId(1),
    disk: DISK,
    genesis: [0x9e; 32],
    trial: true,
};
const EXPECTED: ExpectedMarker = ExpectedMarker { cluster: MARKER.cluster, node: MARKER.node, genesis: MARKER.genesis };

/// A formatted disk in a folder of its own.
struct Lab {
    folder: TempDir,
    capacity_bytes: Option<u64>,
    settings: StoreSettings,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Disk::format(&folder.path().join("disk"), &MARKER).expect("formats");
        Self { folder, capacity_bytes: None, settings: StoreSettings::default() }
    }

    /// Segments so small that a few shards fill one.
    fn with_small_segments() -> Self {
        let mut lab = Self::new();
        lab.settings.segment_bytes = 64 << 10;
        lab
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    fn config(&self) -> DiskConfig {
        DiskConfig { path: self.path(), capacity_bytes: self.capacity_bytes }
    }

    fn try_open(&self) -> Result<Disk, OpenError> {
        Disk::open(&self.config(), &EXPECTED, &self.settings)
    }

    fn open(&self) -> Disk {
        self.try_open().expect("opens")
    }

    fn open_on(&self, files: &Arc<FaultyFiles>) -> Disk {
        let files: Arc<dyn SegmentFiles> = Arc::clone(files) as _;
        Disk::open_on(&self.config(), &EXPECTED, &self.settings, files, None).expect("opens")
    }

    fn segment(&self, number: u64) -> PathBuf {
        self.path().join("segments").join(format!("{number:08}.seg"))
    }

    fn lose_index(&self) {
        fs::remove_dir_all(self.path().join("index")).expect("removes");
    }

    /// The disk as it would be found had the process been killed now, in a folder of its own.
    ///
    /// RocksDB tidies up behind its back: a copy during which files came or went is no picture of one moment.
    fn copy(&self) -> Self {
        for _ in 0..1000 {
            let folder = tempfile::tempdir().expect("a folder");
            let before = names(&self.path());
            let copied = copy_folder(&self.path(), &folder.path().join("disk"));
            if names(&self.path()) == before {
                copied.expect("copies");
                return Self { folder, capacity_bytes: self.capacity_bytes, settings: self.settings.clone() };
            }
        }
        panic!("the disk does not come to rest");
    }
}

/// Every file below a folder.
fn names(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("lists") {
        let path = entry.expect("lists").path();
        if path.is_dir() {
            found.extend(names(&path));
        }
        found.insert(path);
    }
    found
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Changes the bytes of a file in place.
fn patch(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("reads");
    change(&mut bytes);
    fs::write(path, bytes).expect("writes");
}

/// The shard of item `n`, with `size` bytes that are all its own.
fn shard(n: u8, size: usize) -> PutShard {
    let bytes: Vec<u8> =
        (0..size).map(|i| u8::try_from((i * 7 + i / 251 + usize::from(n) * 13) % 256).expect("small")).collect();
    PutShard {
        disk: DISK,
        address: address(n, 0),
        chunk: ChunkDigest::new([n; 32]),
        tag: [n; 16],
        sealed_bytes: 4 * u64::try_from(size).expect("small"),
        payload: bytes.into(),
        payload_crc32c: None,
    }
}

fn address(n: u8, index: u64) -> ShardAddress {
    ShardAddress {
        item: ItemId::new([n; 16]),
        index: ChunkIndex(index),
        upload_epoch: UploadEpoch(1),
        volume: VolumeId(9),
        placement_epoch: PlacementEpoch(0),
        slot: ShardIndex(2),
    }
}

/// Where the n-th of equal records begins in the first segment.
fn offset_of(position: u64, size: u32) -> usize {
    usize::try_from(4096 + position * record_bytes(size)).expect("small")
}

async fn payload(disk: &Disk, address: &ShardAddress) -> Result<Bytes, GetError> {
    disk.get(address).await.map(|shard| shard.into_parts().1)
}

/// Puts shards one after the other, each in a group of its own.
async fn put_all(disk: &Disk, shards: &[PutShard]) {
    for shard in shards {
        disk.put(shard.clone()).await.expect("stored");
    }
}

async fn assert_holds(disk: &Disk, shards: &[PutShard]) {
    for shard in shards {
        let found = disk.get(&shard.address).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(found.payload(), &shard.payload, "{}", shard.address);
        assert_eq!(found.header().chunk, shard.chunk);
        assert_eq!(found.header().tag, shard.tag);
        assert_eq!(found.header().sealed_bytes, shard.sealed_bytes);
    }
}

fn permit(scopes: &[EraseScope]) -> ErasePermit {
    ErasePermit::for_test(None, scopes)
}

/// Starts a future without waiting for it.
fn poll_once<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Files that fail or wait when told to.
#[derive(Default)]
struct FaultyFiles {
    plan: Arc<Plan>,
}

#[derive(Default)]
struct Plan {
    state: Mutex<PlanState>,
    changed: Condvar,
}

#[derive(Default)]
struct PlanState {
    fail_create: Option<i32>,
    /// The next write stores the first half of its bytes and then fails.
    fail_write: Option<i32>,
    fail_sync: Option<i32>,
    fail_truncate: Option<i32>,
    hold_syncs: bool,
    syncs_held: usize,
    syncs: usize,
}

impl FaultyFiles {
    fn set(&self, change: impl FnOnce(&mut PlanState)) {
        change(&mut self.plan.state.lock().expect("lock"));
        self.plan.changed.notify_all();
    }

    fn syncs(&self) -> usize {
        self.plan.state.lock().expect("lock").syncs
    }

    /// Returns when the writer waits in a sync.
    fn wait_for_held_sync(&self) {
        let state = self.plan.state.lock().expect("lock");
        drop(self.plan.changed.wait_while(state, |state| state.syncs_held == 0).expect("lock"));
    }
}

struct FaultyFile {
    inner: Box<dyn SegmentFile>,
    plan: Arc<Plan>,
}

impl SegmentFiles for FaultyFiles {
    fn create(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        if let Some(error) = self.plan.state.lock().expect("lock").fail_create {
            return Err(io::Error::from_raw_os_error(error));
        }
        Ok(Box::new(FaultyFile { inner: RealFiles.create(path)?, plan: Arc::clone(&self.plan) }))
    }
}

impl SegmentFile for FaultyFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.plan.state.lock().expect("lock").fail_write {
            Some(error) => {
                self.inner.write_at(&bytes[..bytes.len() / 8192 * 4096], offset)?;
                Err(io::Error::from_raw_os_error(error))
            }
            None => self.inner.write_at(bytes, offset),
        }
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.plan.state.lock().expect("lock");
        state.syncs += 1;
        state.syncs_held += 1;
        self.plan.changed.notify_all();
        state = self.plan.changed.wait_while(state, |state| state.hold_syncs).expect("lock");
        state.syncs_held -= 1;
        match state.fail_sync {
            Some(error) => Err(io::Error::from_raw_os_error(error)),
            None => self.inner.sync(),
        }
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        match self.plan.state.lock().expect("lock").fail_truncate {
            Some(error) => Err(io::Error::from_raw_os_error(error)),
            None => self.inner.truncate(length),
        }
    }
}

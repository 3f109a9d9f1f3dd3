//! One disk: formatting, opening, and the asynchronous face of its writer thread and its reads.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::AtomicU64},
    thread::{self, JoinHandle},
};

use strongroom_ledger::{Policy, PolicyFingerprint, TreeHead};
use strongroom_types::{ClusterId, DiskId, limits};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    task,
};

use crate::{
    CheckpointProof, DiskMarker, DiskStat, DiskTrust, EraseError, ErasePermit, Erasure, ExpectedMarker, GetError,
    ListError, ListedShard, MarkerError, PAYLOAD_BYTES_MAX, PermitError, PermitProof, PutError, PutShard,
    RecoveryReport, ShardAddress, ShardHeader, TrustError, VerifiedShard, VoterChangeProof, crc32c,
    index::{Index, Opened},
    marker,
    queue::{Closed, EraseJob, Job, PutJob, Queue},
    reading::Source,
    recovery,
    segment::{RealFiles, SegmentFiles, Segments},
    shared::Shared,
    trust,
    writer::{Start, Writer},
};

/// Bytes of queue that one permit of its semaphore stands for.
const ROOM_UNIT: usize = 4096;

/// A disk of this node, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskConfig {
    /// Its folder, with the marker.
    pub path: PathBuf,
    /// Bytes of it that may be used; none: all of it.
    pub capacity_bytes: Option<u64>,
}

/// Sizes that hold for each disk of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Size at which a segment is left for a new one.
    pub segment_bytes: u64,
    /// Payload bytes that may wait for the writer of one disk; then puts wait outside. At least one shard's.
    pub queue_bytes: usize,
    /// Payload bytes after which a group is written without taking more.
    pub group_bytes: usize,
    /// Segment descriptors kept open for reading.
    pub open_segments: usize,
    /// Reads of one disk at once.
    pub reads: usize,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            segment_bytes: limits::SEGMENT_BYTES,
            queue_bytes: 64 << 20,
            group_bytes: 32 << 20,
            open_segments: 64,
            reads: 32,
        }
    }
}

/// Why a disk was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is not the disk that it should be.
    #[error(transparent)]
    Marker(#[from] MarkerError),
    /// Two folders say that they are the same disk.
    #[error("disk {disk} is configured twice")]
    Twice {
        /// Which one.
        disk: DiskId,
    },
    /// Its files could not be used.
    #[error("could not open disk {disk} at {}: {why}", path.display())]
    Unusable {
        /// Which one.
        disk: DiskId,
        /// Its folder.
        path: PathBuf,
        /// What happened.
        why: String,
    },
}

/// An open disk.
pub struct Disk {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    room: Arc<Semaphore>,
    room_units: usize,
    reads: Arc<Semaphore>,
    writer: Mutex<Option<JoinHandle<()>>>,
    recovery: RecoveryReport,
    cluster: ClusterId,
    /// Whom it believes, as its file says; why it believes nobody, otherwise.
    trust: Mutex<Result<DiskTrust, TrustError>>,
}

impl Disk {
    /// Makes an empty folder a disk. The folder is created if there is none; a `lost+found` in it does not count.
    ///
    /// # Errors
    /// [`MarkerError`] where the folder holds anything, a marker above all.
    pub fn format(path: &Path, marker: &DiskMarker) -> Result<(), MarkerError> {
        marker::format(path, marker)
    }

    /// Reads a disk's marker, whoever's it is.
    ///
    /// # Errors
    /// [`MarkerError`] where there is none or it is damaged.
    pub fn read_marker(path: &Path) -> Result<DiskMarker, MarkerError> {
        marker::read(path).map(|(marker, _)| marker)
    }

    /// Opens a disk and brings its index up to its segments. Blocks; seconds to minutes if the index is lost.
    ///
    /// # Errors
    /// [`OpenError`] where the marker is another's, another process has the disk, or its files fail.
    pub fn open(config: &DiskConfig, expected: &ExpectedMarker, settings: &StoreSettings) -> Result<Self, OpenError> {
        Self::open_on(config, expected, settings, Arc::new(RealFiles), None)
    }

    /// As [`Self::open`], with an index built anew whether or not there is a good one.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_and_rebuild_index(
        config: &DiskConfig,
        expected: &ExpectedMarker,
        settings: &StoreSettings,
    ) -> Result<Self, OpenError> {
        Self::open_on(config, expected, settings, Arc::new(RealFiles), Some("it was asked for".to_owned()))
    }

    pub(crate) fn open_on(
        config: &DiskConfig,
        expected: &ExpectedMarker,
        settings: &StoreSettings,
        files: Arc<dyn SegmentFiles>,
        rebuild: Option<String>,
    ) -> Result<Self, OpenError> {
        let path = config.path.clone();
        let (DiskMarker { disk, cluster, .. }, lock) = marker::open(&path, expected)?;
        let trust = trust::read(&path, disk, cluster).and_then(|pinned| pinned.ok_or(TrustError::NotPinned { disk }));
        if let Err(error @ (TrustError::Damaged { .. } | TrustError::Io { .. })) = &trust {
            // It is read and written as before; it only erases nothing until somebody has looked at it.
            tracing::error!(%disk, %error, "disk believes nobody and erases nothing");
        }
        let unusable = |why: String| OpenError::Unusable { disk, path: config.path.clone(), why };
        let segments = Segments::new(path.join(marker::SEGMENTS_FOLDER), settings.open_segments);
        let mut report = RecoveryReport { rebuilt: rebuild, ..RecoveryReport::default() };
        let index = open_index(&path, disk, &mut report).map_err(unusable)?;
        let resume =
            recovery::recover(disk, &segments, &index, &mut report).map_err(|error| unusable(error.to_string()))?;
        if report.rebuilt.is_some() {
            index.complete(disk).map_err(|error| unusable(error.to_string()))?;
        }
        tell(disk, &path, &report);

        let shared = Arc::new(Shared {
            disk,
            path,
            index,
            segments,
            capacity_bytes: config.capacity_bytes,
            failed: OnceLock::new(),
            used_bytes: AtomicU64::new(resume.used_bytes),
            refused_bytes: AtomicU64::new(0),
            erasing: Mutex::default(),
            _lock: lock,
        });
        // What an interrupted erase left: its tombstone is synced, its bytes may still be there. If they cannot be
        // punched out the disk has failed by now, which keeps it from writes and not from being read.
        let pending = shared.index.pending_erasures().map_err(|error| unusable(error.to_string()))?;
        if let Err(error) = shared.finish_erasure(&pending) {
            tracing::error!(%disk, %error, "erase that was interrupted is not complete");
        }
        let believed = (cluster, Mutex::new(trust));
        let start = Start {
            next_segment: resume.next_segment,
            previous: resume.previous,
            segment_bytes: settings.segment_bytes,
            group_bytes: settings.group_bytes,
        };
        let mut disk =
            Self::start(shared, files, &start, settings, believed).map_err(|error| unusable(error.to_string()))?;
        disk.recovery = report;
        Ok(disk)
    }

    /// What opening it found.
    #[must_use]
    pub const fn recovery(&self) -> &RecoveryReport {
        &self.recovery
    }

    /// Which one it is.
    #[must_use]
    pub fn id(&self) -> DiskId {
        self.shared.disk
    }

    /// How it is.
    #[must_use]
    pub fn stat(&self) -> DiskStat {
        self.shared.stat()
    }

    /// See [`crate::ShardStore::put`].
    ///
    /// # Errors
    /// As there.
    pub async fn put(&self, shard: PutShard) -> Result<(), PutError> {
        let disk = self.shared.disk;
        if let Some(why) = self.shared.failed.get().cloned() {
            return Err(PutError::DiskFailed { disk, why });
        }
        let (header, payload) = checked(shard)?;
        let room = self.enter(payload.len()).await?;
        let (answer, answered) = oneshot::channel();
        let job = Job::Put(PutJob { header, payload, answer, room });
        self.queue.push(job).map_err(|Closed| PutError::Unavailable { why: self.why_closed() })?;
        answered.await.unwrap_or_else(|_| Err(PutError::Unavailable { why: self.why_closed() }))
    }

    /// See [`crate::ShardStore::get`].
    ///
    /// # Errors
    /// As there.
    pub async fn get(&self, address: &ShardAddress) -> Result<VerifiedShard, GetError> {
        self.read(address, Source::Any).await
    }

    /// See [`crate::DiskKeeper::scrub`].
    ///
    /// # Errors
    /// As there.
    pub async fn scrub(&self, address: &ShardAddress) -> Result<ShardHeader, GetError> {
        self.read(address, Source::Medium).await.map(|shard| *shard.header())
    }

    /// See [`crate::DiskKeeper::list`].
    ///
    /// # Errors
    /// As there.
    pub async fn list(&self, after: Option<ShardAddress>, limit: usize) -> Result<Vec<ListedShard>, ListError> {
        let shared = Arc::clone(&self.shared);
        self.blocking(move || shared.list(after.as_ref(), limit))
            .await
            .unwrap_or_else(|why| Err(ListError::Unavailable { why }))
    }

    /// See [`crate::DiskKeeper::erase`].
    ///
    /// # Errors
    /// As there.
    pub async fn erase(&self, permit: &ErasePermit) -> Result<Erasure, EraseError> {
        let disk = self.shared.disk;
        match permit.disk() {
            Some(permitted) if permitted != disk => return Err(EraseError::OtherDisk { disk, permitted }),
            Some(_) | None => {}
        }
        let (answer, answered) = oneshot::channel();
        let job = Job::Erase(EraseJob { scopes: permit.scopes().to_vec(), answer });
        self.queue.push(job).map_err(|Closed| EraseError::Unavailable { why: self.why_closed() })?;
        answered.await.unwrap_or_else(|_| Err(EraseError::Unavailable { why: self.why_closed() }))?;
        let (shared, scopes) = (Arc::clone(&self.shared), permit.scopes().to_vec());
        self.blocking(move || shared.finish_erasure(&scopes))
            .await
            .unwrap_or_else(|why| Err(EraseError::Unavailable { why }))
    }

    /// Pins the voters of the cluster, from the genesis file whose digest the marker holds; durable when it returns.
    /// What is pinned already stays.
    ///
    /// # Errors
    /// [`TrustError`] where the file is damaged or cannot be written, or other voters are pinned.
    pub fn pin(&self, policy: &Policy) -> Result<(), TrustError> {
        let disk = self.shared.disk;
        let mut trust = self.trust.lock().unwrap_or_else(PoisonError::into_inner);
        match &*trust {
            Ok(trust) if trust.pinned == policy.fingerprint() => Ok(()),
            Ok(_) => Err(TrustError::OtherPolicy { disk }),
            Err(TrustError::NotPinned { .. }) => {
                let pinned = DiskTrust::pinned(disk, self.cluster, policy.clone());
                trust::write(&self.shared.path, &pinned)?;
                *trust = Ok(pinned);
                Ok(())
            }
            Err(error) => Err(error.clone()),
        }
    }

    /// The newest checkpoint that it has verified: a permit must prove that its own continues it.
    ///
    /// # Errors
    /// [`TrustError`] where it believes nobody.
    pub fn trusted(&self) -> Result<TreeHead, TrustError> {
        let trust = self.trust.lock().unwrap_or_else(PoisonError::into_inner);
        trust.as_ref().map(|trust| trust.newest).map_err(Clone::clone)
    }

    /// The policy that it believes now.
    ///
    /// # Errors
    /// [`TrustError`] where it believes nobody.
    pub fn policy(&self) -> Result<PolicyFingerprint, TrustError> {
        let trust = self.trust.lock().unwrap_or_else(PoisonError::into_inner);
        trust.as_ref().map(|trust| trust.policy.fingerprint()).map_err(Clone::clone)
    }

    /// Shows it that a voter was replaced, which it verifies under the voters before and remembers; durable when it
    /// returns. Blocks for a sync.
    ///
    /// # Errors
    /// [`PermitError`]; then it believes whom it did before.
    pub fn succeed(&self, change: &VoterChangeProof) -> Result<(), PermitError> {
        let mut trust = self.trust.lock().unwrap_or_else(PoisonError::into_inner);
        let next = trust.as_ref().map_err(Clone::clone)?.succeeded(change)?;
        trust::write(&self.shared.path, &next)?;
        *trust = Ok(next);
        Ok(())
    }

    /// Verifies a permit and remembers its checkpoint; durable when it returns. Blocks for a sync.
    ///
    /// # Errors
    /// [`PermitError`]; then nothing may be erased.
    pub fn admit(&self, proof: &PermitProof) -> Result<ErasePermit, PermitError> {
        let mut trust = self.trust.lock().unwrap_or_else(PoisonError::into_inner);
        let pinned = trust.as_ref().map_err(Clone::clone)?;
        let (permit, newest) = ErasePermit::verify(pinned, proof)?;
        if newest != pinned.newest {
            let next = DiskTrust { newest, ..pinned.clone() };
            trust::write(&self.shared.path, &next)?;
            *trust = Ok(next);
        }
        Ok(permit)
    }

    /// Shows it a newer checkpoint, which it verifies and remembers; durable when it returns. Blocks for a sync.
    ///
    /// # Errors
    /// [`PermitError`]; then it remembers what it did before.
    pub fn follow(&self, proof: &CheckpointProof) -> Result<(), PermitError> {
        let mut trust = self.trust.lock().unwrap_or_else(PoisonError::into_inner);
        let next = trust.as_ref().map_err(Clone::clone)?.followed(proof)?;
        trust::write(&self.shared.path, &next)?;
        *trust = Ok(next);
        Ok(())
    }

    /// Takes no more puts, writes those that wait, and closes the index cleanly.
    pub async fn shutdown(&self) {
        self.close();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let shared = Arc::clone(&self.shared);
        let ended = task::spawn_blocking(move || {
            if writer.is_some_and(|writer| writer.join().is_err()) {
                tracing::error!(disk = %shared.disk, "writer thread had panicked");
            }
            if let Err(error) = shared.index.flush() {
                tracing::warn!(disk = %shared.disk, %error, "index was not closed cleanly and will be replayed");
            }
        });
        if let Err(error) = ended.await {
            tracing::error!(disk = %self.shared.disk, %error, "shutdown did not end");
        }
    }

    /// Takes no more puts. What waits in the queue is still written.
    pub(crate) fn close(&self) {
        self.room.close();
        self.queue.close();
    }

    fn start(
        shared: Arc<Shared>,
        files: Arc<dyn SegmentFiles>,
        start: &Start,
        settings: &StoreSettings,
        (cluster, trust): (ClusterId, Mutex<Result<DiskTrust, TrustError>>),
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let writer = Writer::new(Arc::clone(&shared), Arc::clone(&queue), files, start);
        let thread =
            thread::Builder::new().name(format!("disk-{}", shared.disk.short())).spawn(move || writer.run())?;
        let room_units = settings.queue_bytes.max(PAYLOAD_BYTES_MAX).div_ceil(ROOM_UNIT);
        Ok(Self {
            shared,
            queue,
            room: Arc::new(Semaphore::new(room_units)),
            room_units,
            reads: Arc::new(Semaphore::new(settings.reads.max(1))),
            writer: Mutex::new(Some(thread)),
            recovery: RecoveryReport::default(),
            cluster,
            trust,
        })
    }

    /// Waits for room in the queue.
    async fn enter(&self, bytes: usize) -> Result<OwnedSemaphorePermit, PutError> {
        let units = bytes.div_ceil(ROOM_UNIT).min(self.room_units);
        let units = u32::try_from(units).expect("the largest payload has few units");
        Arc::clone(&self.room)
            .acquire_many_owned(units)
            .await
            .map_err(|_| PutError::Unavailable { why: self.why_closed() })
    }

    async fn read(&self, address: &ShardAddress, source: Source) -> Result<VerifiedShard, GetError> {
        let (shared, address) = (Arc::clone(&self.shared), *address);
        self.blocking(move || shared.read_verified(&address, source))
            .await
            .unwrap_or_else(|why| Err(GetError::Unavailable { why }))
    }

    /// Runs `work` off the async threads, a bounded number at once.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
        let turn = Arc::clone(&self.reads).acquire_owned().await.map_err(|error| error.to_string())?;
        let worked = task::spawn_blocking(move || {
            // Held here and not outside: work goes on when its caller goes away.
            let _turn = turn;
            work()
        });
        worked.await.map_err(|error| error.to_string())
    }

    fn why_closed(&self) -> String {
        self.shared.failed.get().cloned().unwrap_or_else(|| "the disk is closed".to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.close();
    }
}

/// The header that a put asks for, with a checksum that fits the bytes in hand.
fn checked(shard: PutShard) -> Result<(ShardHeader, bytes::Bytes), PutError> {
    let PutShard { disk: _, address, chunk, tag, sealed_bytes, payload, payload_crc32c } = shard;
    let found = payload.len();
    let payload_bytes = match u32::try_from(found) {
        Ok(bytes) if (1..=PAYLOAD_BYTES_MAX).contains(&found) => bytes,
        Ok(_) | Err(_) => return Err(PutError::PayloadSize { found, max: PAYLOAD_BYTES_MAX }),
    };
    let computed = crc32c(&payload);
    match payload_crc32c {
        Some(announced) if announced != computed => {
            return Err(PutError::ChecksumMismatch { address, announced, found: computed });
        }
        Some(_) | None => {}
    }
    let header = ShardHeader { address, chunk, tag, sealed_bytes, payload_bytes, payload_crc32c: computed };
    Ok((header, payload))
}

/// The index, or an empty one and the reason for it in the report.
fn open_index(path: &Path, disk: DiskId, report: &mut RecoveryReport) -> Result<Index, String> {
    let folder = path.join(marker::INDEX_FOLDER);
    if report.rebuilt.is_none() {
        match Index::open(&folder, disk).map_err(|error| error.to_string())? {
            Opened::Ready(index) => return Ok(index),
            Opened::Unusable(why) => report.rebuilt = Some(why),
        }
    }
    Index::create(&folder, disk).map_err(|error| error.to_string())
}

fn tell(disk: DiskId, path: &Path, report: &RecoveryReport) {
    let path = path.display();
    if let Some(why) = &report.rebuilt {
        tracing::info!(%disk, %path, why, shards = report.shards_indexed, "index was built from the segments");
    }
    if report.torn_bytes > 0 {
        tracing::info!(%disk, %path, bytes = report.torn_bytes, "unacknowledged writes of a crash were discarded");
    }
    for range in &report.damaged {
        let crate::DamagedRange { segment, offset, length } = range;
        tracing::error!(%disk, %path, segment, offset, bytes = length, "acknowledged records are damaged");
    }
    for segment in &report.segments_missing {
        tracing::error!(%disk, %path, segment, "segment is missing");
    }
}

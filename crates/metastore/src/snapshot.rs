//! Snapshots: checkpoints of the state in folders of their own, with a manifest of every file's digest.
//!
//! ```text
//! snapshots/s-00000007/manifest     snapshot id, last entry, membership, state digest, files with BLAKE3
//! snapshots/s-00000007/db/*         the files of a RocksDB checkpoint, hard links to the live ones
//! snapshots/r-00000008.tmp/…        one being written or received
//! ```
//! A folder appears under its final name only when all of it is synced. It is removed when a newer one has taken
//! its place *and* nobody reads it any more, so that a transfer under way is never cut.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

use crate::{
    digest::StateDigest,
    durable::{self, FileError},
    encoding::{self, FileRow, ManifestRow},
    live::{Applied, Live},
    raft::LogId,
    store_error::StoreError,
};

const MAGIC: &[u8; 8] = b"SRSNAP01";
const MANIFEST_FILE: &str = "manifest";
const DB_FOLDER: &str = "db";
/// Most files of a snapshot that is received.
const FILES_MAX: usize = 1 << 16;

/// A finished snapshot on disk.
#[derive(Debug)]
pub(crate) struct SnapshotFolder {
    path: PathBuf,
    number: u64,
    origin: Origin,
    manifest: ManifestRow,
    obsolete: AtomicBool,
}

/// Where a snapshot comes from, as far as this run of the node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Built,
    Received,
    FoundAtOpen,
}

impl SnapshotFolder {
    pub(crate) fn manifest(&self) -> &ManifestRow {
        &self.manifest
    }

    /// The manifest as it is stored and sent.
    pub(crate) fn sealed_manifest(&self) -> Vec<u8> {
        encoding::seal(MAGIC, &self.manifest)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(DB_FOLDER).join(name)
    }

    /// Counts up with each snapshot that this node begins to make or receive.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether this run of the node made it from its own state.
    pub(crate) fn was_built_here(&self) -> bool {
        self.origin == Origin::Built
    }

    /// Reads every file and compares it with the manifest.
    pub(crate) fn verify(&self) -> Result<(), StoreError> {
        self.manifest.files.iter().try_for_each(|expected| {
            let path = self.file(&expected.name);
            let found = describe(&path, &expected.name)?;
            compare(&path, expected, &found)
        })
    }

    /// Makes a state folder from this snapshot: tables are linked, the rest copied, all synced.
    pub(crate) fn unpack(&self, to: &Path) -> Result<(), StoreError> {
        durable::remove_folder(to)?;
        durable::create_folder(to)?;
        link_files(&self.path.join(DB_FOLDER), to, &self.manifest)?;
        Ok(durable::sync(to)?)
    }
}

impl Drop for SnapshotFolder {
    fn drop(&mut self) {
        if self.obsolete.load(Ordering::Acquire)
            && let Err(error) = durable::remove_folder(&self.path)
        {
            tracing::warn!(%error, "an old snapshot stays until the next start");
        }
    }
}

/// All snapshots of one node: the newest, and what is being written.
pub(crate) struct Snapshots {
    folder: PathBuf,
    next: AtomicU64,
    newest: Mutex<Option<Arc<SnapshotFolder>>>,
    durable: watch::Sender<Option<LogId>>,
}

impl Snapshots {
    /// Opens `folder`, keeps the newest snapshot and removes older ones and leftovers.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        durable::create_folder(folder)?;
        let mut found = Vec::new();
        let mut leftovers = Vec::new();
        let mut last_number = 0;
        for name in durable::names_in(folder)?.iter().filter(|name| *name != "FORMAT") {
            let number = name.strip_prefix("s-").and_then(|number| number.parse::<u64>().ok());
            match number.map(|number| load(&folder.join(name), number)) {
                Some(Ok(snapshot)) => {
                    last_number = last_number.max(snapshot.number);
                    found.push(snapshot);
                }
                // A damaged snapshot is of no use to anybody; the state and the log are still there.
                Some(Err(error)) => {
                    tracing::warn!(%error, name, "a damaged snapshot is removed");
                    leftovers.push(folder.join(name));
                }
                None => leftovers.push(folder.join(name)),
            }
        }
        found.sort_by_key(|snapshot| (snapshot.manifest.last_log_id(), snapshot.number));
        let newest = found.pop().map(Arc::new);
        leftovers.extend(found.into_iter().map(|snapshot| snapshot.path.clone()));
        for leftover in leftovers {
            durable::remove_folder(&leftover)?;
        }
        let (durable, _) = watch::channel(newest.as_ref().and_then(|snapshot| snapshot.manifest.last_log_id()));
        Ok(Self {
            folder: folder.to_owned(),
            next: AtomicU64::new(last_number + 1),
            newest: Mutex::new(newest),
            durable,
        })
    }

    pub(crate) fn newest(&self) -> Option<Arc<SnapshotFolder>> {
        self.lock().clone()
    }

    /// Last entry of the newest durable snapshot.
    pub(crate) fn durable(&self) -> watch::Receiver<Option<LogId>> {
        self.durable.subscribe()
    }

    /// Whether a folder of an older snapshot is still on disk.
    pub(crate) fn has_older(&self) -> Result<bool, FileError> {
        let folders = durable::names_in(&self.folder)?.iter().filter(|name| name.starts_with("s-")).count();
        Ok(folders > 1)
    }

    /// Makes a snapshot of `live` as it is now.
    pub(crate) fn build(&self, live: &Live) -> Result<Arc<SnapshotFolder>, StoreError> {
        let number = self.take_number();
        let draft = self.draft(number);
        let db = draft.join(DB_FOLDER);
        durable::remove_folder(&draft)?;
        durable::create_folder(&draft)?;
        live.checkpoint(&db)?;
        // Asked of the checkpoint itself: entries may have been applied to the live state meanwhile.
        let applied = Live::applied_in_checkpoint(&db)?;
        let files = self.describe_files(&db)?;
        let manifest = manifest_of(&applied, number, files);
        for file in &manifest.files {
            durable::sync(&db.join(&file.name))?;
        }
        durable::sync(&db)?;
        self.finish(&draft, number, Origin::Built, manifest)
    }

    /// The number of the next snapshot that begins.
    pub(crate) fn next_number(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Begins to receive a snapshot whose sealed manifest came first.
    pub(crate) fn receive(&self, sealed_manifest: &[u8]) -> Result<Reception, StoreError> {
        let manifest = encoding::unseal::<ManifestRow>("a snapshot's manifest", MAGIC, sealed_manifest)?;
        let number = self.take_number();
        let draft = self.draft(number);
        if let Some(bad) = manifest.files.iter().find(|file| !is_file_name(&file.name)) {
            return Err(StoreError::SnapshotFile { path: draft.join(&bad.name), detail: "not a file name".to_owned() });
        }
        if manifest.files.len() > FILES_MAX {
            return Err(StoreError::SnapshotFile { path: draft, detail: "too many files".to_owned() });
        }
        durable::remove_folder(&draft)?;
        durable::create_folder(&draft.join(DB_FOLDER))?;
        Ok(Reception { draft, number, manifest, keep: false })
    }

    /// Takes a received snapshot in: from here on it is durable under its own name.
    pub(crate) fn adopt(&self, mut reception: Reception) -> Result<Arc<SnapshotFolder>, StoreError> {
        let db = reception.draft.join(DB_FOLDER);
        durable::sync(&db)?;
        let applied = Live::applied_in_checkpoint(&db)?;
        let manifest = reception.manifest.clone();
        if applied.last != manifest.last_log_id() || applied.digest.to_bytes() != manifest.digest {
            return Err(StoreError::SnapshotState { snapshot_id: manifest.snapshot_id });
        }
        reception.keep = true;
        self.finish(&reception.draft.clone(), reception.number, Origin::Received, manifest)
    }

    /// Makes a snapshot of another folder this node's own.
    pub(crate) fn import(&self, foreign: &SnapshotFolder) -> Result<Arc<SnapshotFolder>, StoreError> {
        let reception = self.receive(&foreign.sealed_manifest())?;
        link_files(&foreign.path.join(DB_FOLDER), &reception.draft.join(DB_FOLDER), &reception.manifest)?;
        self.adopt(reception)
    }

    /// Whether `snapshot` is one of this node's own.
    pub(crate) fn owns(&self, snapshot: &SnapshotFolder) -> bool {
        snapshot.path.parent() == Some(&self.folder)
    }

    fn finish(
        &self,
        draft: &Path,
        number: u64,
        origin: Origin,
        manifest: ManifestRow,
    ) -> Result<Arc<SnapshotFolder>, StoreError> {
        durable::replace_file(&draft.join(MANIFEST_FILE), &encoding::seal(MAGIC, &manifest))?;
        durable::sync(draft)?;
        let path = self.folder.join(format!("s-{number:08}"));
        durable::rename_folder(draft, &path)?;
        let snapshot = Arc::new(SnapshotFolder { path, number, origin, manifest, obsolete: AtomicBool::new(false) });
        self.publish(&snapshot);
        Ok(snapshot)
    }

    /// Makes `snapshot` the newest, unless a later one came first; whichever loses goes with its last reader.
    fn publish(&self, snapshot: &Arc<SnapshotFolder>) {
        let mut newest = self.lock();
        let last = snapshot.manifest.last_log_id();
        if newest.as_ref().is_some_and(|newest| newest.manifest.last_log_id() > last) {
            snapshot.obsolete.store(true, Ordering::Release);
            return;
        }
        if let Some(older) = newest.replace(Arc::clone(snapshot)) {
            older.obsolete.store(true, Ordering::Release);
        }
        self.durable.send_replace(last);
    }

    /// Every file of a checkpoint with its digest. A table that the last snapshot links too is not read again:
    /// tables never change once written.
    fn describe_files(&self, db: &Path) -> Result<Vec<FileRow>, StoreError> {
        let newest = self.newest();
        let known = newest.iter().flat_map(|newest| {
            newest.manifest.files.iter().filter_map(|file| {
                let metadata = fs::metadata(newest.file(&file.name)).ok()?;
                file.name.ends_with(".sst").then_some(((metadata.dev(), metadata.ino()), file))
            })
        });
        let known = known.collect::<BTreeMap<_, _>>();
        let names = durable::names_in(db)?;
        let wanted = names.iter().filter(|name| !name.starts_with("LOG"));
        wanted
            .map(|name| {
                let path = db.join(name);
                let metadata =
                    fs::metadata(&path).map_err(|source| FileError { act: "look at", path: path.clone(), source })?;
                match known.get(&(metadata.dev(), metadata.ino())) {
                    Some(file) if file.size_bytes == metadata.len() => {
                        Ok(FileRow { name: name.clone(), ..(*file).clone() })
                    }
                    Some(_) | None => describe(&path, name),
                }
            })
            .collect()
    }

    fn take_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn draft(&self, number: u64) -> PathBuf {
        self.folder.join(format!("r-{number:08}.tmp"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<SnapshotFolder>>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A snapshot that is being received; removed again unless it is adopted.
#[derive(Debug)]
pub(crate) struct Reception {
    draft: PathBuf,
    number: u64,
    manifest: ManifestRow,
    keep: bool,
}

impl Reception {
    pub(crate) fn manifest(&self) -> &ManifestRow {
        &self.manifest
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.draft.join(DB_FOLDER).join(name)
    }
}

impl Drop for Reception {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = durable::remove_folder(&self.draft)
        {
            tracing::warn!(%error, "a broken-off snapshot stays until the next start");
        }
    }
}

/// Compares what a file is with what it should be.
pub(crate) fn compare(path: &Path, expected: &FileRow, found: &FileRow) -> Result<(), StoreError> {
    let detail = if found.size_bytes != expected.size_bytes {
        format!("it has {} bytes, not {}", found.size_bytes, expected.size_bytes)
    } else if found.blake3 != expected.blake3 {
        "its BLAKE3 digest is another".to_owned()
    } else {
        return Ok(());
    };
    Err(StoreError::SnapshotFile { path: path.to_owned(), detail })
}

fn load(path: &Path, number: u64) -> Result<SnapshotFolder, StoreError> {
    let bytes = durable::read_file(&path.join(MANIFEST_FILE))?.unwrap_or_default();
    let manifest = encoding::unseal::<ManifestRow>("a snapshot's manifest", MAGIC, &bytes)?;
    let (origin, obsolete) = (Origin::FoundAtOpen, AtomicBool::new(false));
    Ok(SnapshotFolder { path: path.to_owned(), number, origin, manifest, obsolete })
}

fn manifest_of(applied: &Applied, number: u64, files: Vec<FileRow>) -> ManifestRow {
    let position = applied.last.map_or_else(|| "none".to_owned(), |id| id.to_string());
    ManifestRow {
        snapshot_id: format!("{position}-{number}"),
        last: applied.last.map(Into::into),
        membership: (&applied.membership).into(),
        digest: StateDigest::to_bytes(applied.digest),
        files,
    }
}

fn describe(path: &Path, name: &str) -> Result<FileRow, StoreError> {
    let read = || {
        let mut file = File::open(path)?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; 1 << 20];
        let mut size_bytes = 0_u64;
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                return Ok((size_bytes, *hasher.finalize().as_bytes()));
            }
            hasher.update(&buffer[..count]);
            size_bytes += u64::try_from(count).expect("a buffer's length fits 64 bits");
        }
    };
    let (size_bytes, blake3) = read().map_err(|source| FileError { act: "read", path: path.to_owned(), source })?;
    Ok(FileRow { name: name.to_owned(), size_bytes, blake3 })
}

fn link_files(from: &Path, to: &Path, manifest: &ManifestRow) -> Result<(), FileError> {
    for file in &manifest.files {
        let (source, target) = (from.join(&file.name), to.join(&file.name));
        // RocksDB writes tables once; what else there is it may append to, so that gets a copy.
        if file.name.ends_with(".sst") {
            durable::link_or_copy(&source, &target)?;
        } else {
            durable::copy(&source, &target)?;
        }
    }
    durable::sync(to)
}

fn is_file_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

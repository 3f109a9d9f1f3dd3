//! The Raft log and the vote, in a RocksDB of their own.
//!
//! Promises that a vote, an append, a truncation and a purge are on disk before they are answered; that a purge
//! never passes the durable snapshot; and that what is read is what was appended, without gaps. The `committed`
//! mark alone is not written by itself: it is a hint that spares replay, the next append carries it to disk, and
//! losing it loses nothing that a majority holds.
//!
//! A damaged write-ahead log is refused at open unless the damage is a torn last record: silently dropping synced
//! votes or entries would break what this node has promised to others.

use std::{
    fmt::Debug,
    ops::{Bound, RangeBounds},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use openraft::{
    LogState, OptionalSend, RaftLogReader,
    storage::{LogFlushed, RaftLogStorage},
};
use rocksdb::{
    BottommostLevelCompaction, ColumnFamily, CompactOptions, DB, DBCompressionType, DBRecoveryMode, Direction,
    FlushOptions, IteratorMode, Options, ReadOptions, WriteBatch, WriteOptions,
};
use strongroom_types::NodeId;
use tokio::sync::watch;

use crate::{
    durable,
    encoding::{self, EntryRow, LogIdRow, VoteRow},
    guard::Guard,
    raft::{Entry, LogId, Payload, StorageError, TypeConfig, Vote},
    recent::RecentEntries,
    rocks::base_options,
    store_error::{StoreError, Tried, blocking, reading_logs, writing_logs},
};

const META: &str = "meta";
const LOG: &str = "log";
const KEY_NODE: &[u8] = b"node";
const KEY_VOTE: &[u8] = b"vote";
const KEY_PURGED: &[u8] = b"purged";
const KEY_COMMITTED: &[u8] = b"committed";

/// Stored bytes of entries in one answer to replication; a single larger entry goes alone.
const REPLICATION_BYTES: usize = 1 << 20;

/// The log of one node. Clones share it.
#[derive(Clone)]
pub(crate) struct LogStore {
    log: Arc<Log>,
}

struct Log {
    db: DB,
    guard: Arc<Guard>,
    /// Last entry of the newest durable snapshot; none where purges are not held back (a test of the log alone).
    durable_snapshot: Option<watch::Receiver<Option<LogId>>>,
    tail: Mutex<Tail>,
    recent: Mutex<RecentEntries>,
    /// The mark as it was last told, until a write carries it.
    committed: Mutex<Option<Option<LogId>>>,
}

/// Both ends of the log.
#[derive(Clone, Copy)]
struct Tail {
    purged: Option<LogId>,
    last: Option<LogId>,
}

impl LogStore {
    /// Opens or creates the log in `folder`, which has been claimed.
    pub(crate) fn open(
        folder: &Path,
        node: NodeId,
        guard: Arc<Guard>,
        durable_snapshot: Option<watch::Receiver<Option<LogId>>>,
    ) -> Result<Self, StoreError> {
        let db_folder = folder.join("db");
        durable::create_folder(&db_folder)?;
        let db = DB::open_cf_with_opts(
            &database_options(),
            &db_folder,
            [("default", Options::default()), (META, Options::default()), (LOG, log_options())],
        )
        .tried("open the log")?;
        let log = Log {
            db,
            guard,
            durable_snapshot,
            tail: Mutex::new(Tail { purged: None, last: None }),
            recent: Mutex::default(),
            committed: Mutex::default(),
        };
        log.claim(node)?;
        let purged = log.read_meta::<LogIdRow>(KEY_PURGED)?.map(LogId::from);
        let last = log.last_entry()?.map(|entry| entry.log_id).or(purged);
        *log.tail() = Tail { purged, last };
        Ok(Self { log: Arc::new(log) })
    }

    pub(crate) fn vote(&self) -> Result<Option<Vote>, StoreError> {
        Ok(self.log.read_meta::<VoteRow>(KEY_VOTE)?.map(Into::into))
    }

    pub(crate) fn last(&self) -> Option<LogId> {
        self.log.tail().last
    }

    pub(crate) fn purged(&self) -> Option<LogId> {
        self.log.tail().purged
    }

    /// Cuts off what conflicts with a snapshot that was installed without openraft's help. Nothing from a
    /// conflicting entry on was ever committed.
    pub(crate) fn cut_conflict(&self, installed: LogId) -> Result<(), StoreError> {
        let there = self.log.entries(installed.index, installed.index.saturating_add(1), usize::MAX)?;
        if there.first().is_some_and(|entry| entry.log_id != installed) {
            self.log.truncate(installed.index)?;
        }
        Ok(())
    }

    /// Removes the bytes of purged entries from the files of the database.
    pub(crate) fn compact(&self) -> Result<(), StoreError> {
        let cf = self.log.cf(LOG)?;
        // Flushed first, and all of it: the write-ahead log, which holds the entries too, goes with the memtables.
        self.log.db.flush_cfs_opt(&[cf, self.log.cf(META)?], &FlushOptions::default()).tried("flush the log")?;
        let mut options = CompactOptions::default();
        options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        self.log.db.compact_range_cf_opt(cf, None::<&[u8]>, None::<&[u8]>, &options);
        Ok(())
    }

    /// What was appended lately comes from memory, on the asking thread.
    async fn entries(&self, start: u64, end: u64, bytes_max: usize) -> Result<Vec<Entry>, StoreError> {
        let recent = if std::env::var_os("X_NO_RECENT").is_some() { None } else { self.log.recent().range(start, end, bytes_max) };
        match recent {
            Some(entries) => Ok(entries),
            None => self.run(move |log| log.entries(start, end, bytes_max)).await,
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Log) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let log = Arc::clone(&self.log);
        blocking(move || work(&log)).await
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        let (start, end) = half_open(&range);
        self.entries(start, end, usize::MAX).await.map_err(reading_logs)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, StorageError> {
        self.entries(start, end, REPLICATION_BYTES).await.map_err(reading_logs)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let tail = *self.log.tail();
        Ok(LogState { last_purged_log_id: tail.purged, last_log_id: tail.last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let vote = *vote;
        self.run(move |log| log.save_vote(vote)).await.map_err(writing_logs)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        self.vote().map_err(reading_logs)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        *self.log.committed() = Some(committed);
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        let told = *self.log.committed();
        match told {
            Some(committed) => Ok(committed),
            None => Ok(self.log.read_meta::<LogIdRow>(KEY_COMMITTED).map_err(reading_logs)?.map(Into::into)),
        }
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut forms = Vec::new();
        for entry in entries {
            if let Payload::Normal(batch) = &entry.payload {
                batch.logged.raise();
            }
            let form = encoding::to_bytes(&EntryRow::from(&entry));
            forms.push((entry, form));
        }
        match self.run(move |log| log.append(forms)).await {
            Ok(()) => {
                callback.log_io_completed(Ok(()));
                Ok(())
            }
            Err(error) => {
                callback.log_io_completed(Err(std::io::Error::other(error.to_string())));
                Err(writing_logs(error))
            }
        }
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.run(move |log| log.truncate(log_id.index)).await.map_err(writing_logs)
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.run(move |log| log.purge(log_id)).await.map_err(writing_logs)
    }
}

impl Log {
    fn claim(&self, node: NodeId) -> Result<(), StoreError> {
        match self.read_meta::<u64>(KEY_NODE)? {
            Some(found) if found == node.0 => Ok(()),
            Some(found) => Err(StoreError::OtherNode { found, expected: node.0 }),
            None => self.write_synced("claim the log", |batch| {
                batch.put_cf(self.cf(META)?, KEY_NODE, encoding::to_bytes(&node.0));
                Ok(())
            }),
        }
    }

    fn save_vote(&self, vote: Vote) -> Result<(), StoreError> {
        self.write_synced("save the vote", |batch| {
            batch.put_cf(self.cf(META)?, KEY_VOTE, encoding::to_bytes(&VoteRow::from(vote)));
            Ok(())
        })?;
        Ok(self.guard.record_vote(vote)?)
    }

    fn append(&self, forms: Vec<(Entry, Vec<u8>)>) -> Result<(), StoreError> {
        let Some(last) = forms.last().map(|(entry, _)| entry.log_id) else { return Ok(()) };
        self.write_synced("append to the log", |batch| {
            let cf = self.cf(LOG)?;
            for (entry, form) in &forms {
                batch.put_cf(cf, entry.log_id.index.to_be_bytes(), form);
            }
            Ok(())
        })?;
        let mut recent = self.recent();
        forms.into_iter().for_each(|(entry, form)| recent.push(entry, form.len()));
        drop(recent);
        self.tail().last = Some(last);
        Ok(())
    }

    fn truncate(&self, from: u64) -> Result<(), StoreError> {
        self.recent().truncate(from);
        self.write_synced("truncate the log", |batch| {
            batch.delete_range_cf(self.cf(LOG)?, from.to_be_bytes(), u64::MAX.to_be_bytes());
            Ok(())
        })?;
        let last = self.last_entry()?.map(|entry| entry.log_id);
        let mut tail = self.tail();
        tail.last = last.or(tail.purged);
        Ok(())
    }

    fn purge(&self, upto: LogId) -> Result<(), StoreError> {
        self.check_snapshot_covers(upto)?;
        self.recent().purge(upto.index);
        self.write_synced("purge the log", |batch| {
            batch.delete_range_cf(self.cf(LOG)?, 0_u64.to_be_bytes(), (upto.index + 1).to_be_bytes());
            batch.put_cf(self.cf(META)?, KEY_PURGED, encoding::to_bytes(&LogIdRow::from(upto)));
            Ok(())
        })?;
        let mut tail = self.tail();
        tail.purged = Some(upto);
        tail.last = tail.last.max(Some(upto));
        Ok(())
    }

    /// openraft 0.9 purges as soon as it has *asked* for a snapshot to be installed. Whoever receives one makes it
    /// durable before openraft hears of it; this is where that order is enforced.
    fn check_snapshot_covers(&self, upto: LogId) -> Result<(), StoreError> {
        let Some(durable) = self.durable_snapshot.as_ref().map(|durable| *durable.borrow()) else { return Ok(()) };
        if durable >= Some(upto) {
            return Ok(());
        }
        let durable = durable.map_or_else(|| "nothing".to_owned(), |id| id.to_string());
        Err(StoreError::PurgeBeyondSnapshot { asked: upto.to_string(), durable })
    }

    /// Entries with index in `[start, end)`, as many as fit into `bytes_max`, but at least one if there is one.
    fn entries(&self, start: u64, end: u64, bytes_max: usize) -> Result<Vec<Entry>, StoreError> {
        if start >= end {
            return Ok(Vec::new());
        }
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(end.to_be_bytes());
        let first = start.to_be_bytes();
        let mode = IteratorMode::From(&first, Direction::Forward);
        let mut entries: Vec<Entry> = Vec::new();
        let mut bytes_total = 0_usize;
        for row in self.db.iterator_cf_opt(self.cf(LOG)?, options, mode) {
            let (key, form) = row.tried("read the log")?;
            bytes_total = bytes_total.saturating_add(form.len());
            if bytes_total > bytes_max && !entries.is_empty() {
                break;
            }
            let entry = decode_entry(&key, &form)?;
            if let Some(previous) = entries.last().filter(|previous| previous.log_id.index + 1 != entry.log_id.index) {
                return Err(StoreError::LogGap { expected: previous.log_id.index + 1, found: entry.log_id.index });
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    fn last_entry(&self) -> Result<Option<Entry>, StoreError> {
        let Some(row) = self.db.iterator_cf(self.cf(LOG)?, IteratorMode::End).next() else { return Ok(None) };
        let (key, form) = row.tried("read the log")?;
        decode_entry(&key, &form).map(Some)
    }

    fn read_meta<T: for<'b> minicbor::Decode<'b, ()>>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        let bytes = self.db.get_cf(self.cf(META)?, key).tried("read the log's meta row")?;
        Ok(bytes.map(|bytes| encoding::from_bytes("a meta row of the log", &bytes)).transpose()?)
    }

    fn write_synced(
        &self,
        act: &'static str,
        fill: impl FnOnce(&mut WriteBatch) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        fill(&mut batch)?;
        let told = self.committed().take();
        match told {
            Some(Some(id)) => batch.put_cf(self.cf(META)?, KEY_COMMITTED, encoding::to_bytes(&LogIdRow::from(id))),
            Some(None) => batch.delete_cf(self.cf(META)?, KEY_COMMITTED),
            None => {}
        }
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.db.write_opt(batch, &options).tried(act)
    }

    fn cf(&self, name: &'static str) -> Result<&ColumnFamily, StoreError> {
        self.db.cf_handle(name).ok_or(StoreError::ColumnFamily(name))
    }

    fn committed(&self) -> std::sync::MutexGuard<'_, Option<Option<LogId>>> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, RecentEntries> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tail(&self) -> std::sync::MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn decode_entry(key: &[u8], form: &[u8]) -> Result<Entry, StoreError> {
    let entry = Entry::from(encoding::from_bytes::<EntryRow>("a log entry", form)?);
    let found = entry.log_id.index;
    match <[u8; 8]>::try_from(key).map(u64::from_be_bytes) {
        Ok(index) if index == found => Ok(entry),
        Ok(expected) => Err(StoreError::LogGap { expected, found }),
        Err(_) => Err(StoreError::LogGap { expected: u64::MAX, found }),
    }
}

fn half_open(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

fn database_options() -> Options {
    let mut options = base_options();
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_max_total_wal_size(128 << 20);
    options.set_max_open_files(256);
    options
}

fn log_options() -> Options {
    let mut options = Options::default();
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_write_buffer_size(32 << 20);
    options
}

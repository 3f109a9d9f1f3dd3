//! The live state database and consistent views of it.
//!
//! Rows live in two column families: `keys` for the wrapped item keys (so that they can be compacted away when an
//! item is disposed of), `rows` for everything else; a stored key is the table's byte, then the row's key. What
//! the state knows of itself is one row of `meta`. All three change in one write batch per entry, so that a crash
//! leaves the state after some entry, never in between.
//!
//! There is no write-ahead log: the Raft log is one. RocksDB skips a zeroed piece of its own without a word, so that a
//! power cut between blocks could leave a state with rows missing in its middle. Tables are synced before they count
//! and all column families are flushed as one, so what a crash leaves is the state at a flush: a snapshot flushes, and so
//! does closing.
//!
//! A [`StateView`] keeps the database that it was taken from open, even when a snapshot from the leader replaces it
//! meanwhile; the replaced folder is removed with the last view.

use std::{
    ops::{Bound, Deref},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, BottommostLevelCompaction, Cache, ColumnFamily, CompactOptions, DB,
    DBCompressionType, FlushOptions, Options, ReadOptions, SnapshotWithThreadMode, WriteBatch, WriteOptions,
    checkpoint::Checkpoint,
};
use strongroom_types::rows::{RowError, Rows, TableId};

use crate::{
    digest::StateDigest,
    durable,
    encoding::{self, AppliedRow, LogIdRow, StoredMembershipRow},
    raft::{LogId, StoredMembership},
    rocks::base_options,
    store_error::{StoreError, Tried, is_damage},
};

/// The table of wrapped item keys, which has a column family of its own.
pub const KEY_TABLE: TableId = TableId(9);

const ROWS: &str = "rows";
const KEYS: &str = "keys";
const META: &str = "meta";
const KEY_APPLIED: &[u8] = b"applied";
const KEY_VERSION: &[u8] = b"version";

/// Keys and values in key order.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// How far the state is, and what it adds up to.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub(crate) last: Option<LogId>,
    pub(crate) membership: StoredMembership,
    pub(crate) digest: StateDigest,
}

impl Applied {
    /// Index of the last applied entry; 0 before the first.
    pub(crate) fn index(&self) -> u64 {
        self.last.map_or(0, |id| id.index)
    }
}

/// One row that an entry changed.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) table: TableId,
    pub(crate) key: Vec<u8>,
    pub(crate) old: Option<Vec<u8>>,
    pub(crate) new: Option<Vec<u8>>,
}

/// An open state database and its folder.
pub(crate) struct Live {
    // Dropped in this order: closed first, then removed if it has been replaced.
    db: DB,
    folder: LiveFolder,
}

struct LiveFolder {
    path: PathBuf,
    replaced: AtomicBool,
}

impl Drop for LiveFolder {
    fn drop(&mut self) {
        if self.replaced.load(Ordering::Acquire)
            && let Err(error) = durable::remove_folder(&self.path)
        {
            tracing::warn!(%error, "a replaced state folder stays until the next start");
        }
    }
}

impl Live {
    /// Opens the database in `path`, or creates an empty one.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let db = match DB::open_cf_with_opts(&database_options(), path, column_families()) {
            Err(source) if is_damage(&source) => {
                return Err(StoreError::StateDamaged { path: path.to_owned(), source });
            }
            opened => opened.tried("open the state")?,
        };
        let live = Self { db, folder: LiveFolder { path: path.to_owned(), replaced: AtomicBool::new(false) } };
        live.check_version()?;
        Ok(live)
    }

    /// Opens a checkpoint for reading alone, to learn what is in it.
    pub(crate) fn applied_in_checkpoint(path: &Path) -> Result<Applied, StoreError> {
        let db = DB::open_cf_with_opts_for_read_only(&base_options(), path, column_families(), false)
            .tried("open a checkpoint of the state")?;
        let cf = db.cf_handle(META).ok_or(StoreError::ColumnFamily(META))?;
        decode_applied(db.get_cf(cf, KEY_APPLIED).tried("read the state's meta row")?)
    }

    /// How far this database is.
    pub(crate) fn applied(&self) -> Result<Applied, StoreError> {
        decode_applied(self.db.get_cf(self.cf(META)?, KEY_APPLIED).tried("read the state's meta row")?)
    }

    /// Writes the changes of one entry together with how far the state then is.
    ///
    /// In memory until a flush: the log is synced, and replays what a crash takes from the state.
    pub(crate) fn write(&self, changes: &[Change], applied: &Applied) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        for change in changes {
            let cf = self.table_cf(change.table)?;
            let key = stored_key(change.table, &change.key);
            match &change.new {
                Some(value) => batch.put_cf(cf, key, value),
                None => batch.delete_cf(cf, key),
            }
        }
        batch.put_cf(self.cf(META)?, KEY_APPLIED, encode_applied(applied));
        self.db.write_opt(batch, &without_wal()).tried("write an entry's rows")
    }

    /// Writes a checkpoint of the whole database into a new folder, by hard links.
    pub(crate) fn checkpoint(&self, path: &Path) -> Result<(), StoreError> {
        let checkpoint = Checkpoint::new(&self.db).tried("begin a checkpoint of the state")?;
        checkpoint.create_checkpoint(path).tried("write a checkpoint of the state")
    }

    /// Rewrites the column of wrapped keys to its bottom level, so that removed keys leave the disk.
    pub(crate) fn compact_keys(&self) -> Result<(), StoreError> {
        let cf = self.cf(KEYS)?;
        let all = [self.cf(ROWS)?, cf, self.cf(META)?];
        self.db.flush_cfs_opt(&all, &FlushOptions::default()).tried("flush the state")?;
        let mut options = CompactOptions::default();
        options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        self.db.compact_range_cf_opt(cf, None::<&[u8]>, None::<&[u8]>, &options);
        Ok(())
    }

    /// Recomputes the digest of all rows, with the entry after which they stand so.
    pub(crate) fn recompute_digest(&self) -> Result<(u64, StateDigest), StoreError> {
        let snapshot = self.db.snapshot();
        let applied = decode_applied(snapshot.get_cf(self.cf(META)?, KEY_APPLIED).tried("read the state's meta row")?)?;
        let mut digest = StateDigest::EMPTY;
        for name in [ROWS, KEYS] {
            for row in snapshot.iterator_cf(self.cf(name)?, rocksdb::IteratorMode::Start) {
                let (key, value) = row.tried("read all rows")?;
                if let Some((table, key)) = key.split_first() {
                    digest.add(TableId(*table), key, &value);
                }
            }
        }
        Ok((applied.index(), digest))
    }

    /// The folder is removed once nobody reads it any more.
    pub(crate) fn mark_replaced(&self) {
        self.folder.replaced.store(true, Ordering::Release);
    }

    fn check_version(&self) -> Result<(), StoreError> {
        let cf = self.cf(META)?;
        match self.db.get_cf(cf, KEY_VERSION).tried("read the state's version")? {
            None => self
                .db
                .put_cf_opt(cf, KEY_VERSION, encoding::to_bytes(&durable::DATA_VERSION), &without_wal())
                .tried("write the state's version"),
            Some(bytes) => match encoding::from_bytes::<u32>("the state's version", &bytes)? {
                durable::DATA_VERSION => Ok(()),
                found => Err(durable::FormatError::Unknown {
                    path: self.folder.path.clone(),
                    found: format!("strongroom state {found}"),
                    expected: format!("strongroom state {}", durable::DATA_VERSION),
                }
                .into()),
            },
        }
    }

    fn table_cf(&self, table: TableId) -> Result<&ColumnFamily, StoreError> {
        self.cf(if table == KEY_TABLE { KEYS } else { ROWS })
    }

    fn cf(&self, name: &'static str) -> Result<&ColumnFamily, StoreError> {
        self.db.cf_handle(name).ok_or(StoreError::ColumnFamily(name))
    }
}

/// The state as it is now or later: take [`StateView::rows`] for rows that belong together.
#[derive(Clone)]
pub struct StateView {
    pub(crate) live: Arc<Live>,
}

impl StateView {
    /// A consistent view of all rows at this moment.
    #[must_use]
    pub fn rows(&self) -> ReadRows<'_> {
        ReadRows { rows: SnapshotRows { live: &self.live, snapshot: self.live.db.snapshot() } }
    }
}

/// Rows as they stood after one entry. Derefs to `dyn Rows` behind a shared reference, so that nothing can be
/// written through it; to try changes out, put an [`strongroom_types::rows::Overlay`] on top.
pub struct ReadRows<'a> {
    rows: SnapshotRows<'a>,
}

impl ReadRows<'_> {
    /// Index of the entry after which the rows stood so; 0 before the first.
    ///
    /// # Errors
    /// [`RowError`] where the store fails.
    pub fn applied_index(&self) -> Result<u64, RowError> {
        let read = || {
            let cf = self.rows.live.cf(META)?;
            let row = self.rows.snapshot.get_cf(cf, KEY_APPLIED).tried("read the state's meta row")?;
            Ok(decode_applied(row)?.index())
        };
        read().map_err(|error: StoreError| RowError::Store(error.to_string()))
    }
}

impl<'a> Deref for ReadRows<'a> {
    type Target = dyn Rows + 'a;

    fn deref(&self) -> &Self::Target {
        &self.rows
    }
}

/// The only implementation of [`Rows`] here. Private, and handed out only behind shared references: its two
/// writing methods cannot be reached.
struct SnapshotRows<'a> {
    live: &'a Live,
    snapshot: SnapshotWithThreadMode<'a, DB>,
}

impl SnapshotRows<'_> {
    fn read(&self, table: TableId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let cf = self.live.table_cf(table)?;
        self.snapshot.get_cf(cf, stored_key(table, key)).tried("read a row")
    }

    fn scan(&self, table: TableId, from: &[u8], to: Bound<&[u8]>, limit: usize) -> Result<Pairs, StoreError> {
        let mut options = ReadOptions::default();
        if let Some(end) = scan_end(table, to) {
            options.set_iterate_upper_bound(end);
        }
        let mut rows = Vec::new();
        let mut iterator = self.snapshot.raw_iterator_cf_opt(self.live.table_cf(table)?, options);
        iterator.seek(stored_key(table, from));
        while rows.len() < limit
            && let Some((key, value)) = iterator.item()
        {
            rows.push((key[1..].to_vec(), value.to_vec()));
            iterator.next();
        }
        iterator.status().tried("scan rows")?;
        Ok(rows)
    }
}

impl Rows for SnapshotRows<'_> {
    fn read(&self, table: TableId, key: &[u8]) -> Result<Option<Vec<u8>>, RowError> {
        SnapshotRows::read(self, table, key).map_err(|error| RowError::Store(error.to_string()))
    }

    fn scan(
        &self,
        table: TableId,
        from: &[u8],
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, RowError> {
        SnapshotRows::scan(self, table, from, to, limit).map_err(|error| RowError::Store(error.to_string()))
    }

    // A snapshot has no writes, and nobody outside this module can hold it mutably.
    fn write(&mut self, _: TableId, _: &[u8], _: Vec<u8>) {}
    fn remove(&mut self, _: TableId, _: &[u8]) {}
}

fn stored_key(table: TableId, key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.len() + 1);
    bytes.push(table.0);
    bytes.extend_from_slice(key);
    bytes
}

/// First stored key past the scan; none if the scan ends with the column family.
fn scan_end(table: TableId, to: Bound<&[u8]>) -> Option<Vec<u8>> {
    match to {
        Bound::Excluded(end) => Some(stored_key(table, end)),
        Bound::Included(last) => {
            let mut end = stored_key(table, last);
            end.push(0);
            Some(end)
        }
        Bound::Unbounded => table.0.checked_add(1).map(|next| vec![next]),
    }
}

fn encode_applied(applied: &Applied) -> Vec<u8> {
    encoding::to_bytes(&AppliedRow {
        last: applied.last.map(LogIdRow::from),
        membership: StoredMembershipRow::from(&applied.membership),
        digest: applied.digest.to_bytes(),
    })
}

fn decode_applied(bytes: Option<Vec<u8>>) -> Result<Applied, StoreError> {
    let Some(bytes) = bytes else {
        return Ok(Applied { last: None, membership: StoredMembership::default(), digest: StateDigest::EMPTY });
    };
    let row = encoding::from_bytes::<AppliedRow>("the state's meta row", &bytes)?;
    Ok(Applied {
        last: row.last.map(Into::into),
        membership: row.membership.into(),
        digest: StateDigest::from_bytes(&row.digest),
    })
}

fn without_wal() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.disable_wal(true);
    options
}

fn database_options() -> Options {
    let mut options = base_options();
    // The column families are flushed together: no crash can leave one ahead of another.
    options.set_atomic_flush(true);
    options.set_max_open_files(512);
    options
}

fn column_families() -> [(&'static str, Options); 4] {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&Cache::new_lru_cache(128 << 20));
    blocks.set_bloom_filter(10.0, false);
    // In parts of 4 KiB. The filter of a whole table outgrows its share of the cache (2 MiB of 128) at some hundred
    // thousand items, and is then read and checked anew for every row that is looked up.
    blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    blocks.set_partition_filters(true);
    blocks.set_pin_top_level_index_and_filter(true);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let table = || {
        let mut options = Options::default();
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_bottommost_compression_type(DBCompressionType::Zstd);
        options.set_write_buffer_size(32 << 20);
        options.set_block_based_table_factory(&blocks);
        options
    };
    [("default", Options::default()), (ROWS, table()), (KEYS, table()), (META, Options::default())]
}

#[cfg(test)]
mod tests {
    use strongroom_types::rows::{MemoryRows, Overlay};

    use super::*;

    fn view(live: Live) -> StateView {
        StateView { live: Arc::new(live) }
    }

    fn put(table: u8, key: &[u8], value: &[u8]) -> Change {
        Change { table: TableId(table), key: key.to_vec(), old: None, new: Some(value.to_vec()) }
    }

    #[test]
    fn reads_and_scans_agree_with_rows_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let live = Live::open(dir.path()).unwrap();
        let mut memory = MemoryRows::default();
        let keys: [(u8, &[u8]); 9] = [
            (0, b""),
            (7, b"a"),
            (7, b"a\0"),
            (7, b"b"),
            (7, b"\xff\xff"),
            (8, b""),
            (9, b"k"),
            (255, b"a"),
            (255, b"\xff"),
        ];
        let changes = keys.map(|(table, key)| put(table, key, &[table, 1]));
        for change in &changes {
            memory.write(change.table, &change.key, change.new.clone().unwrap());
        }
        live.write(&changes, &live.applied().unwrap()).unwrap();
        let view = view(live);
        let rows = view.rows();
        for table in [0, 7, 8, 9, 10, 255] {
            for from in [b"".as_slice(), b"a", b"a\0", b"b", b"\xff"] {
                for to in [
                    Bound::Unbounded,
                    Bound::Included(b"b".as_slice()),
                    Bound::Excluded(b"b".as_slice()),
                    Bound::Included(b"".as_slice()),
                ] {
                    for limit in [0, 1, 9] {
                        let table = TableId(table);
                        assert_eq!(
                            rows.scan(table, from, to, limit).unwrap(),
                            memory.scan(table, from, to, limit).unwrap(),
                            "{table:?} from {from:?} to {to:?}, {limit} at most",
                        );
                    }
                }
            }
        }
        assert_eq!(rows.read(KEY_TABLE, b"k").unwrap(), Some(vec![9, 1]));
        assert_eq!(rows.read(TableId(7), b"k").unwrap(), None);
    }

    #[test]
    fn a_view_of_rows_stands_still_and_an_overlay_on_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let view = view(Live::open(dir.path()).unwrap());
        let before = view.rows();
        view.live.write(&[put(7, b"a", b"1")], &view.live.applied().unwrap()).unwrap();
        assert_eq!(before.read(TableId(7), b"a").unwrap(), None);
        let after = view.rows();
        let mut overlay = Overlay::new(&*after);
        overlay.write(TableId(7), b"a", b"2".to_vec());
        assert_eq!(overlay.read(TableId(7), b"a").unwrap(), Some(b"2".to_vec()));
        assert_eq!(after.read(TableId(7), b"a").unwrap(), Some(b"1".to_vec()));
    }

    /// What is on disk at some moment, and of every log a page that never got there.
    fn crash_image(from: &Path, to: &Path) {
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let mut bytes = std::fs::read(entry.path()).unwrap();
            if entry.path().extension().is_some_and(|end| end == "log") && bytes.len() > 8192 {
                bytes[4096..8192].fill(0);
            }
            std::fs::write(to.join(entry.file_name()), bytes).unwrap();
        }
    }

    #[test]
    fn a_crash_leaves_the_state_after_some_entry_whatever_pages_got_to_the_disk() {
        let (dir, image) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let live = Live::open(dir.path()).unwrap();
        let mut applied = live.applied().unwrap();
        for index in 1..=1500_u64 {
            // Longer from entry to entry, so that pages begin at all places of one.
            let value = vec![7; usize::try_from(index).unwrap() % 500];
            let change = put(if index % 3 == 0 { KEY_TABLE.0 } else { 7 }, &index.to_be_bytes(), &value);
            applied.digest.add(change.table, &change.key, &value);
            applied.last = Some(LogId { leader_id: openraft::CommittedLeaderId::new(1, 1), index });
            live.write(&[change], &applied).unwrap();
            if index == 700 {
                live.checkpoint(&dir.path().join("snapshot")).unwrap();
                std::fs::remove_dir_all(dir.path().join("snapshot")).unwrap();
            }
        }
        crash_image(dir.path(), image.path());
        let left = Live::open(image.path()).unwrap();
        assert_eq!(left.recompute_digest().unwrap().1.to_bytes(), left.applied().unwrap().digest.to_bytes());
        assert!(left.applied().unwrap().index() >= 700, "what a snapshot holds is in tables");
        drop(live);
        assert_eq!(Live::open(dir.path()).unwrap().applied().unwrap().index(), 1500, "closing flushes");
    }

    #[test]
    fn a_state_of_a_newer_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let live = Live::open(dir.path()).unwrap();
        live.db.put_cf(live.cf(META).unwrap(), KEY_VERSION, encoding::to_bytes(&2_u32)).unwrap();
        drop(live);
        assert!(matches!(Live::open(dir.path()), Err(StoreError::Format(_))));
    }

    #[test]
    fn a_replaced_folder_goes_with_its_last_view() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("live");
        let view = view(Live::open(&path).unwrap());
        let other = view.clone();
        view.live.mark_replaced();
        drop(view);
        assert_eq!(other.rows().read(TableId(1), b"").unwrap(), None, "still readable");
        drop(other);
        assert!(!path.exists());
    }
}

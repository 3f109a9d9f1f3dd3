//! The index of a disk: which shard is where, which scopes were erased, and how far each segment is indexed.
//!
//! Everything here is derived from the segments, so nothing is synced on the path of a put: after a crash RocksDB
//! comes back as it was some batches ago, and since a batch holds both rows and the watermark of their segment, what
//! is missing is exactly what lies past the watermark. An index that cannot be read is thrown away and built anew.
//!
//! ```text
//! key (big-endian)                                                        value
//! m                                                                       CBOR IndexMeta
//! t                                                                       shards u64 ‖ payload bytes u64
//! g  segment u64                                                          CBOR SegmentRow
//! s  item ‖ chunk index ‖ upload epoch ‖ volume ‖ placement epoch ‖ slot  segment u64 ‖ offset u64 ‖ length u32 ‖ crc32c u32
//! v  volume ‖ slot ‖ placement epoch ‖ item ‖ chunk index ‖ upload epoch  (empty)
//! o  as in s ‖ segment u64 ‖ offset u64                                   length u32 ‖ crc32c u32
//! e  1 ‖ item                                                             phase u8
//! e  2 ‖ item ‖ upload epoch                                              phase u8 ‖ first chunk u64
//! e  3 ‖ volume ‖ slot                                                    phase u8 ‖ last placement epoch u32
//! e  4 ‖ as in s                                                          phase u8
//! ```
//!
//! After a write that found no space RocksDB takes no other, even when there is space again. So it is then opened anew,
//! before the next write; what it holds must be what it held. Meanwhile it is read.
//!
//! `o` rows are copies that no read uses: a torn record, or a bad one that a repair replaced. Erase punches them too.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use rocksdb::{BlockBasedOptions, Cache, DB, DBCompressionType, Direction, IteratorMode, Options, WriteBatch};
use strongroom_types::{ChunkIndex, DiskId, ItemId, PlacementEpoch, ShardIndex, UploadEpoch, VolumeId};

use crate::{
    EraseScope, ListedShard, ShardAddress,
    layout::{self, ADDRESS_BYTES, take},
};

const META: u8 = b'm';
const TOTALS: u8 = b't';
const SEGMENT: u8 = b'g';
const SHARD: u8 = b's';
const BY_SLOT: u8 = b'v';
const COPY: u8 = b'o';
const ERASED: u8 = b'e';
const PENDING: u8 = 0;
const DONE: u8 = 1;
const FORMAT_VERSION: u32 = 1;
/// How RocksDB says it: its interface hands out the text and no number.
const NO_SPACE: &str = "No space left on device";
/// Whether there is space again is tried with this much, in a file that is removed.
const PROBE_BYTES: usize = 1 << 20;
const PROBE_FILE: &str = "space.tmp";

/// Key and value as RocksDB gives them.
pub(crate) type Row = (Box<[u8]>, Box<[u8]>);

/// What the index could not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IndexError {
    #[error("could not {what} the index: {why}")]
    Store { what: &'static str, why: String },
    /// Nothing was written. It may be tried again when there is space.
    #[error("could not write the index for want of space: {why}")]
    NoSpace { why: String },
    #[error("an index row of kind {kind:?} does not decode")]
    Row { kind: char },
}

/// Where a record is and what its payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Location {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) payload_bytes: u32,
    pub(crate) payload_crc32c: u32,
}

/// How far a segment is indexed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub(crate) struct SegmentRow {
    /// Every good record before this offset is in the index.
    #[n(0)]
    pub(crate) indexed_to: u64,
    /// Every record before this offset was synced before it was indexed.
    #[n(1)]
    pub(crate) proven_to: u64,
    /// Nothing is appended any more: `indexed_to` is the end.
    #[n(2)]
    pub(crate) closed: bool,
}

#[derive(Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
struct IndexMeta {
    #[n(0)]
    format_version: u32,
    #[n(1)]
    disk: DiskId,
    /// False while the index is being built.
    #[n(2)]
    complete: bool,
}

/// Shards in the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) shards: u64,
    pub(crate) payload_bytes: u64,
}

/// Rows that change together.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// Shards and where they are now. A row that pointed elsewhere becomes a copy.
    pub(crate) shards: Vec<(ShardAddress, Location)>,
    /// Records that no read uses.
    pub(crate) copies: Vec<(ShardAddress, Location)>,
    /// Rows to drop: their bytes are gone.
    pub(crate) dropped_shards: Vec<ShardAddress>,
    /// Copies to drop: their bytes are gone.
    pub(crate) dropped_copies: Vec<(ShardAddress, Location)>,
    /// Scopes whose tombstone is synced.
    pub(crate) erased: Vec<EraseScope>,
    /// Scopes whose bytes are gone.
    pub(crate) erasures_done: Vec<EraseScope>,
    /// Watermarks.
    pub(crate) segments: Vec<(u64, SegmentRow)>,
}

/// What opening came to.
pub(crate) enum Opened {
    Ready(Index),
    /// Missing, damaged, of another disk or half built: to be built anew.
    Unusable(String),
}

/// The index.
pub(crate) struct Index {
    path: PathBuf,
    /// None only where it was closed to be opened anew, and that failed.
    db: RwLock<Option<DB>>,
    /// A write found no space: it is opened anew before the next one.
    is_stuck: AtomicBool,
    /// Guards every write, so that totals and merged rows are read and written as one.
    totals: Mutex<Totals>,
}

impl Index {
    pub(crate) fn open(path: &Path, disk: DiskId) -> Result<Opened, IndexError> {
        if !path.join("CURRENT").exists() {
            return Ok(Opened::Unusable("there is none".to_owned()));
        }
        let db = match DB::open(&options(), path) {
            Ok(db) => db,
            Err(error) => match error.kind() {
                rocksdb::ErrorKind::Corruption
                | rocksdb::ErrorKind::InvalidArgument
                | rocksdb::ErrorKind::NotFound
                | rocksdb::ErrorKind::NotSupported => return Ok(Opened::Unusable(error.into_string())),
                _ => return Err(store("open")(error)),
            },
        };
        let wanted = IndexMeta { format_version: FORMAT_VERSION, disk, complete: true };
        let meta = db.get([META]).map_err(store("read"))?;
        if !meta.is_some_and(|bytes| minicbor::decode::<IndexMeta>(&bytes).is_ok_and(|meta| meta == wanted)) {
            return Ok(Opened::Unusable("its marker does not fit".to_owned()));
        }
        let totals = read_totals(&db)?;
        Ok(Opened::Ready(Self::over(db, path, totals)))
    }

    /// An empty index in place of whatever is there, to be filled and then declared [`Self::complete`].
    pub(crate) fn create(path: &Path, disk: DiskId) -> Result<Self, IndexError> {
        let failed = |error: io::Error| IndexError::Store { what: "clear away", why: error.to_string() };
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        let mut options = options();
        options.create_if_missing(true);
        options.set_error_if_exists(true);
        let db = DB::open(&options, path).map_err(store("create"))?;
        let meta = IndexMeta { format_version: FORMAT_VERSION, disk, complete: false };
        db.put([META], encode(&meta)).map_err(store("write"))?;
        Ok(Self::over(db, path, Totals::default()))
    }

    fn over(db: DB, path: &Path, totals: Totals) -> Self {
        let (path, db) = (path.to_owned(), RwLock::new(Some(db)));
        Self { path, db, is_stuck: AtomicBool::new(false), totals: Mutex::new(totals) }
    }

    /// Declares a new index usable.
    pub(crate) fn complete(&self, disk: DiskId) -> Result<(), IndexError> {
        self.flush()?;
        let meta = IndexMeta { format_version: FORMAT_VERSION, disk, complete: true };
        self.with_db(|db| db.put([META], encode(&meta)).map_err(store("write")))
    }

    /// Everything to the medium, so that the next open has nothing to replay.
    pub(crate) fn flush(&self) -> Result<(), IndexError> {
        self.with_db(|db| {
            db.flush_wal(true).map_err(store("sync"))?;
            db.flush().map_err(store("flush"))
        })
    }

    pub(crate) fn totals(&self) -> Totals {
        *self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn location(&self, address: &ShardAddress) -> Result<Option<Location>, IndexError> {
        self.read(&shard_key(address), |bytes| decode_location(bytes).ok_or(IndexError::Row { kind: 's' }))
    }

    /// Whether a shard is covered by a scope that was erased.
    pub(crate) fn is_erased(&self, address: &ShardAddress) -> Result<bool, IndexError> {
        for key in erased_keys_of(address) {
            if let Some((scope, _)) = self.erased_row(&key)?
                && scope.covers(address)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a tombstone for all of this scope is synced.
    pub(crate) fn remembers(&self, scope: &EraseScope) -> Result<bool, IndexError> {
        Ok(self.erased_row(&erased_key(scope))?.is_some_and(|(row, _)| !is_wider(scope, &row)))
    }

    /// Scopes whose bytes may not all be gone yet.
    pub(crate) fn pending_erasures(&self) -> Result<Vec<EraseScope>, IndexError> {
        self.scan(vec![ERASED], vec![ERASED], |rows| {
            let mut pending = Vec::new();
            for row in rows {
                let (key, value) = row?;
                let (scope, phase) = decode_erased(&key, &value).ok_or(IndexError::Row { kind: 'e' })?;
                if phase == PENDING {
                    pending.push(scope);
                }
            }
            Ok(pending)
        })
    }

    pub(crate) fn segments(&self) -> Result<BTreeMap<u64, SegmentRow>, IndexError> {
        let broken = || IndexError::Row { kind: 'g' };
        self.scan(vec![SEGMENT], vec![SEGMENT], |rows| {
            rows.map(|row| {
                let (key, value) = row?;
                let number = key[1..].try_into().map(u64::from_be_bytes).map_err(|_| broken())?;
                Ok((number, minicbor::decode(&value).map_err(|_| broken())?))
            })
            .collect()
        })
    }

    pub(crate) fn list(&self, after: Option<&ShardAddress>, limit: usize) -> Result<Vec<ListedShard>, IndexError> {
        let from = after.map_or_else(|| vec![SHARD], |address| [&shard_key(address)[..], &[0]].concat());
        self.scan(from, vec![SHARD], |rows| {
            rows.take(limit)
                .map(|row| {
                    let (address, location) = decode_shard(row?)?;
                    let Location { payload_bytes, payload_crc32c, .. } = location;
                    Ok(ListedShard { address, payload_bytes, payload_crc32c })
                })
                .collect()
        })
    }

    /// Up to `limit` shards that a scope covers.
    pub(crate) fn shards_in(
        &self,
        scope: &EraseScope,
        limit: usize,
    ) -> Result<Vec<(ShardAddress, Location)>, IndexError> {
        match scope {
            EraseScope::Item(item) | EraseScope::Upload { item, .. } => {
                let prefix = [&[SHARD], item.as_bytes().as_slice()].concat();
                self.scan(prefix.clone(), prefix, |rows| {
                    rows.map(|row| decode_shard(row?))
                        .filter(|row| row.as_ref().is_ok_and(|(address, _)| scope.covers(address)) || row.is_err())
                        .take(limit)
                        .collect()
                })
            }
            EraseScope::Slot { volume, slot, .. } => {
                let mut prefix = vec![BY_SLOT];
                prefix.extend_from_slice(&volume.0.to_be_bytes());
                prefix.push(slot.0);
                let broken = || IndexError::Row { kind: 'v' };
                let found: Vec<ShardAddress> = self.scan(prefix.clone(), prefix, |rows| {
                    rows.map(|row| decode_slot_key(&row?.0).ok_or_else(broken))
                        .take_while(|address| address.as_ref().map_or(true, |address| scope.covers(address)))
                        .take(limit)
                        .collect()
                })?;
                found.into_iter().map(|address| Ok((address, self.location(&address)?.ok_or_else(broken)?))).collect()
            }
            EraseScope::Shard(address) => Ok(self.location(address)?.map(|at| (*address, at)).into_iter().collect()),
        }
    }

    /// Up to `limit` copies that a scope covers.
    pub(crate) fn copies_in(
        &self,
        scope: &EraseScope,
        limit: usize,
    ) -> Result<Vec<(ShardAddress, Location)>, IndexError> {
        // Copies are few: only a slot's need a walk through all of them.
        let mut prefix = vec![COPY];
        match scope {
            EraseScope::Item(item) | EraseScope::Upload { item, .. } => prefix.extend_from_slice(item.as_bytes()),
            EraseScope::Slot { .. } => {}
            EraseScope::Shard(address) => layout::write_address(address, &mut prefix),
        }
        self.scan(prefix.clone(), prefix, |rows| {
            rows.map(|row| {
                let (key, value) = row?;
                decode_copy(&key, &value).ok_or(IndexError::Row { kind: 'o' })
            })
            .filter(|row| row.as_ref().is_ok_and(|(address, _)| scope.covers(address)) || row.is_err())
            .take(limit)
            .collect()
        })
    }

    /// Writes rows that belong together as one; on an error, none of them.
    pub(crate) fn commit(&self, change: &Change) -> Result<(), IndexError> {
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_stuck.load(Ordering::Acquire) {
            self.open_anew(*totals)?;
        }
        let mut batch = WriteBatch::default();
        let mut after = *totals;
        self.add_shards(&change.shards, &mut batch, &mut after)?;
        for (address, location) in &change.copies {
            batch.put(copy_key(address, location), encode_content(location));
        }
        for address in &change.dropped_shards {
            if let Some(location) = self.location(address)? {
                after.shards = after.shards.saturating_sub(1);
                after.payload_bytes = after.payload_bytes.saturating_sub(u64::from(location.payload_bytes));
                batch.delete(shard_key(address));
                batch.delete(slot_key(address));
            }
        }
        for (address, location) in &change.dropped_copies {
            batch.delete(copy_key(address, location));
        }
        self.merge_erased(change, &mut batch)?;
        for (number, row) in &change.segments {
            batch.put(segment_key(*number), encode(row));
        }
        if after != *totals {
            batch.put([TOTALS], encode_totals(&after));
        }
        let written = self.with_db(|db| db.write(batch).map_err(no_space_or("write")));
        if matches!(written, Err(IndexError::NoSpace { .. })) {
            self.is_stuck.store(true, Ordering::Release);
        }
        written?;
        *totals = after;
        Ok(())
    }

    /// Opens it anew where there is space, and finds in it what was there.
    fn open_anew(&self, totals: Totals) -> Result<(), IndexError> {
        probe_space(&self.path)?;
        let mut place = self.db.write().unwrap_or_else(PoisonError::into_inner);
        // Closed first: RocksDB locks its folder.
        *place = None;
        let db = match DB::open(&options(), &self.path) {
            Ok(db) => db,
            Err(error) => {
                *place = Some(DB::open_for_read_only(&options(), &self.path, false).map_err(store("read"))?);
                return Err(no_space_or("open")(error));
            }
        };
        let found = read_totals(&db)?;
        *place = Some(db);
        if found != totals {
            let why = format!("it counts {found:?} and counted {totals:?}");
            return Err(IndexError::Store { what: "trust", why });
        }
        self.is_stuck.store(false, Ordering::Release);
        Ok(())
    }

    fn add_shards(
        &self,
        shards: &[(ShardAddress, Location)],
        batch: &mut WriteBatch,
        totals: &mut Totals,
    ) -> Result<(), IndexError> {
        let mut here: HashMap<ShardAddress, Location> = HashMap::with_capacity(shards.len());
        for (address, location) in shards {
            let before = match here.get(address) {
                Some(before) => Some(*before),
                None => self.location(address)?,
            };
            match before {
                Some(before) if before == *location => continue,
                Some(before) => {
                    batch.put(copy_key(address, &before), encode_content(&before));
                    totals.payload_bytes = totals.payload_bytes.saturating_sub(u64::from(before.payload_bytes));
                }
                None => totals.shards += 1,
            }
            totals.payload_bytes += u64::from(location.payload_bytes);
            batch.put(shard_key(address), encode_location(location));
            batch.put(slot_key(address), []);
            here.insert(*address, *location);
        }
        Ok(())
    }

    /// A scope that is wider than the row it shares replaces it; a narrower one changes nothing.
    fn merge_erased(&self, change: &Change, batch: &mut WriteBatch) -> Result<(), IndexError> {
        let mut rows: BTreeMap<Vec<u8>, (EraseScope, u8)> = BTreeMap::new();
        let read = |rows: &BTreeMap<Vec<u8>, (EraseScope, u8)>, key: &Vec<u8>| match rows.get(key) {
            Some(row) => Ok(Some(*row)),
            None => self.erased_row(key),
        };
        for scope in &change.erased {
            let key = erased_key(scope);
            let row = match read(&rows, &key)? {
                Some(row) if !is_wider(scope, &row.0) => row,
                Some(_) | None => (*scope, PENDING),
            };
            rows.insert(key, row);
        }
        for scope in &change.erasures_done {
            let key = erased_key(scope);
            // A wider scope that came meanwhile has still to be done.
            if let Some((row, _)) = read(&rows, &key)?
                && row == *scope
            {
                rows.insert(key, (row, DONE));
            }
        }
        for (key, (scope, phase)) in rows {
            batch.put(key, encode_erased(&scope, phase));
        }
        Ok(())
    }

    fn erased_row(&self, key: &[u8]) -> Result<Option<(EraseScope, u8)>, IndexError> {
        self.read(key, |bytes| decode_erased(key, bytes).ok_or(IndexError::Row { kind: 'e' }))
    }

    fn read<T>(
        &self,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> Result<T, IndexError>,
    ) -> Result<Option<T>, IndexError> {
        self.with_db(|db| db.get_pinned(key).map_err(store("read"))?.map(|bytes| decode(&bytes)).transpose())
    }

    fn with_db<T>(&self, work: impl FnOnce(&DB) -> Result<T, IndexError>) -> Result<T, IndexError> {
        let closed = || IndexError::Store { what: "use", why: "it could not be opened again".to_owned() };
        work(self.db.read().unwrap_or_else(PoisonError::into_inner).as_ref().ok_or_else(closed)?)
    }

    /// Gives the rows from a key on, as far as they have the prefix. What takes them must not ask the index anything.
    fn scan<T>(
        &self,
        from: Vec<u8>,
        prefix: Vec<u8>,
        take: impl FnOnce(&mut dyn Iterator<Item = Result<Row, IndexError>>) -> Result<T, IndexError>,
    ) -> Result<T, IndexError> {
        self.with_db(|db| {
            let rows = db.iterator(IteratorMode::From(&from, Direction::Forward)).map(|row| row.map_err(store("read")));
            take(&mut rows.take_while(|row| row.as_ref().map_or(true, |(key, _)| key.starts_with(&prefix))))
        })
    }

    /// Every row but the watermarks of segments, for comparing two indexes.
    #[cfg(test)]
    pub(crate) fn rows(&self) -> Vec<Row> {
        [TOTALS, SHARD, BY_SLOT, COPY, ERASED]
            .iter()
            .flat_map(|kind| {
                self.scan(vec![*kind], vec![*kind], |rows| rows.collect::<Result<Vec<_>, _>>()).expect("reads")
            })
            .collect()
    }
}

fn options() -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&Cache::new_lru_cache(16 << 20));
    table.set_bloom_filter(10.0, false);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_write_buffer_size(16 << 20);
    options.set_max_total_wal_size(64 << 20);
    options.set_max_open_files(128);
    options.set_max_background_jobs(2);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(4 << 20);
    options
}

/// Nothing is tried in RocksDB before the file system takes something again.
fn probe_space(folder: &Path) -> Result<(), IndexError> {
    let path = folder.join(PROBE_FILE);
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(&vec![0; PROBE_BYTES])?;
        file.sync_all()
    });
    let removed = fs::remove_file(&path);
    written.and(removed).map_err(|error| IndexError::NoSpace { why: error.to_string() })
}

fn read_totals(db: &DB) -> Result<Totals, IndexError> {
    db.get([TOTALS]).map_err(store("read"))?.map_or_else(|| Ok(Totals::default()), |bytes| decode_totals(&bytes))
}

fn no_space_or(what: &'static str) -> impl FnOnce(rocksdb::Error) -> IndexError {
    move |error| match error.into_string() {
        why if why.contains(NO_SPACE) => IndexError::NoSpace { why },
        why => IndexError::Store { what, why },
    }
}

fn store(what: &'static str) -> impl FnOnce(rocksdb::Error) -> IndexError {
    move |error| IndexError::Store { what, why: error.into_string() }
}

fn encode<T: minicbor::Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("encoding into memory cannot fail")
}

fn segment_key(number: u64) -> Vec<u8> {
    [&[SEGMENT], number.to_be_bytes().as_slice()].concat()
}

fn shard_key(address: &ShardAddress) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + ADDRESS_BYTES);
    key.push(SHARD);
    layout::write_address(address, &mut key);
    key
}

fn decode_shard((key, value): Row) -> Result<(ShardAddress, Location), IndexError> {
    layout::read_address(&mut &key[1..]).zip(decode_location(&value)).ok_or(IndexError::Row { kind: 's' })
}

fn slot_key(address: &ShardAddress) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + ADDRESS_BYTES);
    key.push(BY_SLOT);
    key.extend_from_slice(&address.volume.0.to_be_bytes());
    key.push(address.slot.0);
    key.extend_from_slice(&address.placement_epoch.0.to_be_bytes());
    key.extend_from_slice(address.item.as_bytes());
    key.extend_from_slice(&address.index.0.to_be_bytes());
    key.extend_from_slice(&address.upload_epoch.0.to_be_bytes());
    key
}

fn decode_slot_key(key: &[u8]) -> Option<ShardAddress> {
    let bytes = &mut &key[1..];
    let volume = VolumeId(u64::from_be_bytes(take(bytes)?));
    let slot = ShardIndex(u8::from_be_bytes(take(bytes)?));
    let placement_epoch = PlacementEpoch(u32::from_be_bytes(take(bytes)?));
    let item = ItemId::new(take(bytes)?);
    let index = ChunkIndex(u64::from_be_bytes(take(bytes)?));
    let upload_epoch = UploadEpoch(u32::from_be_bytes(take(bytes)?));
    Some(ShardAddress { item, index, upload_epoch, volume, placement_epoch, slot })
}

fn copy_key(address: &ShardAddress, location: &Location) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + ADDRESS_BYTES + 16);
    key.push(COPY);
    layout::write_address(address, &mut key);
    key.extend_from_slice(&location.segment.to_be_bytes());
    key.extend_from_slice(&location.offset.to_be_bytes());
    key
}

fn decode_copy(key: &[u8], value: &[u8]) -> Option<(ShardAddress, Location)> {
    let (key, value) = (&mut &key[1..], &mut &value[..]);
    let address = layout::read_address(key)?;
    let location = Location {
        segment: u64::from_be_bytes(take(key)?),
        offset: u64::from_be_bytes(take(key)?),
        payload_bytes: u32::from_be_bytes(take(value)?),
        payload_crc32c: u32::from_be_bytes(take(value)?),
    };
    Some((address, location))
}

fn encode_content(location: &Location) -> Vec<u8> {
    [location.payload_bytes.to_be_bytes(), location.payload_crc32c.to_be_bytes()].concat()
}

fn encode_location(location: &Location) -> Vec<u8> {
    let mut bytes = [location.segment.to_be_bytes(), location.offset.to_be_bytes()].concat();
    bytes.extend(encode_content(location));
    bytes
}

fn decode_location(mut bytes: &[u8]) -> Option<Location> {
    let bytes = &mut bytes;
    Some(Location {
        segment: u64::from_be_bytes(take(bytes)?),
        offset: u64::from_be_bytes(take(bytes)?),
        payload_bytes: u32::from_be_bytes(take(bytes)?),
        payload_crc32c: u32::from_be_bytes(take(bytes)?),
    })
}

fn encode_totals(totals: &Totals) -> Vec<u8> {
    [totals.shards.to_be_bytes(), totals.payload_bytes.to_be_bytes()].concat()
}

fn decode_totals(mut bytes: &[u8]) -> Result<Totals, IndexError> {
    take(&mut bytes)
        .zip(take(&mut bytes))
        .map(|(shards, payload)| Totals {
            shards: u64::from_be_bytes(shards),
            payload_bytes: u64::from_be_bytes(payload),
        })
        .ok_or(IndexError::Row { kind: 't' })
}

fn erased_key(scope: &EraseScope) -> Vec<u8> {
    let mut key = vec![ERASED];
    match scope {
        EraseScope::Item(item) => {
            key.push(1);
            key.extend_from_slice(item.as_bytes());
        }
        EraseScope::Upload { item, upload_epoch, .. } => {
            key.push(2);
            key.extend_from_slice(item.as_bytes());
            key.extend_from_slice(&upload_epoch.0.to_be_bytes());
        }
        EraseScope::Slot { volume, slot, .. } => {
            key.push(3);
            key.extend_from_slice(&volume.0.to_be_bytes());
            key.push(slot.0);
        }
        EraseScope::Shard(address) => {
            key.push(4);
            layout::write_address(address, &mut key);
        }
    }
    key
}

/// The rows that may cover a shard.
fn erased_keys_of(address: &ShardAddress) -> [Vec<u8>; 4] {
    let ShardAddress { item, index, upload_epoch, volume, placement_epoch, slot } = *address;
    [
        erased_key(&EraseScope::Item(item)),
        erased_key(&EraseScope::Upload { item, upload_epoch, chunks_from: index }),
        erased_key(&EraseScope::Slot { volume, slot, placement_epoch }),
        erased_key(&EraseScope::Shard(*address)),
    ]
}

fn encode_erased(scope: &EraseScope, phase: u8) -> Vec<u8> {
    let mut value = vec![phase];
    match scope {
        EraseScope::Item(_) | EraseScope::Shard(_) => {}
        EraseScope::Upload { chunks_from, .. } => value.extend_from_slice(&chunks_from.0.to_be_bytes()),
        EraseScope::Slot { placement_epoch, .. } => value.extend_from_slice(&placement_epoch.0.to_be_bytes()),
    }
    value
}

fn decode_erased(key: &[u8], value: &[u8]) -> Option<(EraseScope, u8)> {
    let (key, value) = (&mut &key[1..], &mut &value[..]);
    let [kind] = take(key)?;
    let [phase] = take(value)?;
    let scope = match kind {
        1 => EraseScope::Item(ItemId::new(take(key)?)),
        2 => EraseScope::Upload {
            item: ItemId::new(take(key)?),
            upload_epoch: UploadEpoch(u32::from_be_bytes(take(key)?)),
            chunks_from: ChunkIndex(u64::from_be_bytes(take(value)?)),
        },
        3 => EraseScope::Slot {
            volume: VolumeId(u64::from_be_bytes(take(key)?)),
            slot: ShardIndex(u8::from_be_bytes(take(key)?)),
            placement_epoch: PlacementEpoch(u32::from_be_bytes(take(value)?)),
        },
        4 => EraseScope::Shard(layout::read_address(key)?),
        _ => return None,
    };
    (phase == PENDING || phase == DONE).then_some((scope, phase))
}

/// Whether `scope` covers more than a row under the same key.
fn is_wider(scope: &EraseScope, row: &EraseScope) -> bool {
    match (scope, row) {
        (EraseScope::Upload { chunks_from, .. }, EraseScope::Upload { chunks_from: before, .. }) => {
            chunks_from < before
        }
        (EraseScope::Slot { placement_epoch, .. }, EraseScope::Slot { placement_epoch: before, .. }) => {
            placement_epoch > before
        }
        (
            EraseScope::Item(_) | EraseScope::Upload { .. } | EraseScope::Slot { .. } | EraseScope::Shard(_),
            EraseScope::Item(_) | EraseScope::Upload { .. } | EraseScope::Slot { .. } | EraseScope::Shard(_),
        ) => false,
    }
}

//! The row seam: ordered bytes by table, with typed views on top. `apply` sees state only through this.
//!
//! The real side is a RocksDB write batch over a snapshot (in `metastore`); [`MemoryRows`] is the other.
//! A table's number is stored and never reused; keys are big-endian so that byte order is the order of the keys.

use std::collections::BTreeMap;
use std::ops::Bound;

/// What reading or writing rows can come to. Any of these stops the node: state that cannot be read is not guessed.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// The store below failed.
    #[error("could not reach the row store: {0}")]
    Store(String),
    /// Bytes that are not the row they should be.
    #[error("row of table {table} is corrupt: {detail}")]
    Corrupt {
        /// The table's name.
        table: &'static str,
        /// What the decoder said.
        detail: String,
    },
}

/// Key and value of a row as they are stored.
pub type StoredRow = (Vec<u8>, Vec<u8>);

/// Ordered byte rows, by table.
pub trait Rows {
    /// The value under `key`.
    ///
    /// # Errors
    /// [`RowError::Store`] where the store below fails.
    fn read(&self, table: TableId, key: &[u8]) -> Result<Option<Vec<u8>>, RowError>;

    /// Up to `limit` rows with keys in `[from, to)` in key order.
    ///
    /// # Errors
    /// [`RowError::Store`] where the store below fails.
    fn scan(&self, table: TableId, from: &[u8], to: Bound<&[u8]>, limit: usize) -> Result<Vec<StoredRow>, RowError>;

    /// Sets the value under `key`; seen by later reads of the same apply.
    fn write(&mut self, table: TableId, key: &[u8], value: Vec<u8>);

    /// Removes the row, if there is one.
    fn remove(&mut self, table: TableId, key: &[u8]);
}

/// Number of a table; the first byte of its stored keys. `custody` owns 1 to 99, `topology` 100 to 149, the
/// ledger 150 to 169, the composition (idempotency, meta) 170 to 199.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableId(pub u8);

/// A key with a big-endian byte form whose order is the key's order.
pub trait Key {
    /// Appends the byte form.
    fn write_to(&self, bytes: &mut Vec<u8>);

    /// The byte form.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32);
        self.write_to(&mut bytes);
        bytes
    }
}

macro_rules! int_key {
    ($($name:ty),*) => { $(impl Key for $name {
        fn write_to(&self, bytes: &mut Vec<u8>) { bytes.extend_from_slice(&self.0.to_be_bytes()); }
    })* };
}
macro_rules! bytes_key {
    ($($name:ty),*) => { $(impl Key for $name {
        fn write_to(&self, bytes: &mut Vec<u8>) { bytes.extend_from_slice(self.as_bytes()); }
    })* };
}
macro_rules! text_key {
    ($($name:ty),*) => { $(impl Key for $name {
        /// Text ends with a zero byte, which no name holds, so that a pair of texts keeps its order.
        fn write_to(&self, bytes: &mut Vec<u8>) { bytes.extend_from_slice(self.as_str().as_bytes()); bytes.push(0); }
    })* };
}
int_key!(
    crate::NodeId,
    crate::VolumeId,
    crate::RequestId,
    crate::BatchId,
    crate::RemovalId,
    crate::DrawId,
    crate::RecordSeq,
    crate::ChunkIndex,
    crate::UploadEpoch
);
bytes_key!(crate::ItemId, crate::DiskId, crate::SessionId, crate::KeyHash, crate::NameDigest);
text_key!(
    crate::PrincipalId,
    crate::ProfileName,
    crate::UnitId,
    crate::DeviceId,
    crate::CaseId,
    crate::HoldId,
    crate::ActivityId,
    crate::DistrictName,
    crate::IdempotencyKey
);

impl Key for () {
    fn write_to(&self, _: &mut Vec<u8>) {}
}
impl Key for u64 {
    fn write_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_be_bytes());
    }
}
impl Key for crate::UnixMillis {
    /// Offset binary, so that instants before 1970 sort first.
    fn write_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&(self.0 ^ i64::MIN).to_be_bytes());
    }
}
impl<A: Key, B: Key> Key for (A, B) {
    fn write_to(&self, bytes: &mut Vec<u8>) {
        self.0.write_to(bytes);
        self.1.write_to(bytes);
    }
}
impl<A: Key, B: Key, C: Key> Key for (A, B, C) {
    fn write_to(&self, bytes: &mut Vec<u8>) {
        self.0.write_to(bytes);
        self.1.write_to(bytes);
        self.2.write_to(bytes);
    }
}
impl<A: Key, B: Key, C: Key, D: Key> Key for (A, B, C, D) {
    fn write_to(&self, bytes: &mut Vec<u8>) {
        self.0.write_to(bytes);
        self.1.write_to(bytes);
        self.2.write_to(bytes);
        self.3.write_to(bytes);
    }
}
impl<K: Key> Key for &K {
    fn write_to(&self, bytes: &mut Vec<u8>) {
        (*self).write_to(bytes);
    }
}

/// A table of values `V` under keys `K`.
#[derive(Debug)]
pub struct Table<K, V> {
    /// Stored number.
    pub id: TableId,
    /// For error messages.
    pub name: &'static str,
    marker: std::marker::PhantomData<fn(K) -> V>,
}

impl<K: Key, V> Table<K, V>
where
    V: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
{
    /// Names a table. Meant for constants.
    #[must_use]
    pub const fn new(id: u8, name: &'static str) -> Self {
        Self { id: TableId(id), name, marker: std::marker::PhantomData }
    }

    /// The row under `key`.
    ///
    /// # Errors
    /// [`RowError`] where the store fails or the row does not decode.
    pub fn read(&self, rows: &(impl Rows + ?Sized), key: &K) -> Result<Option<V>, RowError> {
        rows.read(self.id, &key.to_bytes())?.map(|bytes| self.decode(&bytes)).transpose()
    }

    /// Sets the row under `key`.
    pub fn write(&self, rows: &mut (impl Rows + ?Sized), key: &K, value: &V) {
        rows.write(self.id, &key.to_bytes(), encode(value));
    }

    /// Removes the row under `key`.
    pub fn remove(&self, rows: &mut (impl Rows + ?Sized), key: &K) {
        rows.remove(self.id, &key.to_bytes());
    }

    /// Up to `limit` rows whose key starts with `prefix`, from byte key `after` (exclusive) where given.
    /// Each comes with its byte key, which serves as the next page's `after`.
    ///
    /// # Errors
    /// [`RowError`] where the store fails or a row does not decode.
    pub fn scan(
        &self,
        rows: &(impl Rows + ?Sized),
        prefix: &impl Key,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, V)>, RowError> {
        let prefix = prefix.to_bytes();
        let end = prefix_end(&prefix);
        let from = match after {
            Some(after) => [after, &[0]].concat(),
            None => prefix,
        };
        let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        rows.scan(self.id, &from, to, limit)?.into_iter().map(|(key, bytes)| Ok((key, self.decode(&bytes)?))).collect()
    }

    /// The row that these stored bytes are.
    ///
    /// # Errors
    /// [`RowError::Corrupt`] where they are none.
    pub fn decode(&self, bytes: &[u8]) -> Result<V, RowError> {
        minicbor::decode(bytes).map_err(|error| RowError::Corrupt { table: self.name, detail: error.to_string() })
    }
}

/// The canonical bytes of a stored value.
#[must_use]
pub fn encode<V: minicbor::Encode<()>>(value: &V) -> Vec<u8> {
    minicbor::to_vec(value).expect("encoding into memory cannot fail")
}

/// The first key after all that start with `prefix`; none if there is no such key.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// Changes over a base that stays as it is until they are taken: how one command is applied whole or not at all.
pub struct Overlay<'a> {
    base: &'a dyn Rows,
    changes: BTreeMap<(TableId, Vec<u8>), Option<Vec<u8>>>,
}

impl<'a> Overlay<'a> {
    /// No changes yet.
    #[must_use]
    pub const fn new(base: &'a dyn Rows) -> Self {
        Self { base, changes: BTreeMap::new() }
    }

    /// The changes in order of table and key; none means removed.
    #[must_use]
    pub fn into_changes(self) -> BTreeMap<(TableId, Vec<u8>), Option<Vec<u8>>> {
        self.changes
    }
}

impl Rows for Overlay<'_> {
    fn read(&self, table: TableId, key: &[u8]) -> Result<Option<Vec<u8>>, RowError> {
        match self.changes.get(&(table, key.to_vec())) {
            Some(change) => Ok(change.clone()),
            None => self.base.read(table, key),
        }
    }

    fn scan(&self, table: TableId, from: &[u8], to: Bound<&[u8]>, limit: usize) -> Result<Vec<StoredRow>, RowError> {
        let inside = |key: &[u8]| match to {
            Bound::Included(end) => key <= end,
            Bound::Excluded(end) => key < end,
            Bound::Unbounded => true,
        };
        let mut changed = self
            .changes
            .range((table, from.to_vec())..)
            .take_while(|((other, key), _)| *other == table && inside(key))
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect::<BTreeMap<_, _>>();
        // Each removed row can cost the base one of its places, so as many more are asked for.
        let removed = changed.values().filter(|value| value.is_none()).count();
        for (key, value) in self.base.scan(table, from, to, limit.saturating_add(removed))? {
            changed.entry(key).or_insert(Some(value));
        }
        Ok(changed.into_iter().filter_map(|(key, value)| Some((key, value?))).take(limit).collect())
    }

    fn write(&mut self, table: TableId, key: &[u8], value: Vec<u8>) {
        self.changes.insert((table, key.to_vec()), Some(value));
    }

    fn remove(&mut self, table: TableId, key: &[u8]) {
        self.changes.insert((table, key.to_vec()), None);
    }
}

/// Rows in memory, for tests and reference models.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryRows {
    rows: BTreeMap<(u8, Vec<u8>), Vec<u8>>,
}

impl MemoryRows {
    /// Every row in order: the whole state, for comparing two replicas.
    pub fn iter(&self) -> impl Iterator<Item = (TableId, &[u8], &[u8])> {
        self.rows.iter().map(|((table, key), value)| (TableId(*table), key.as_slice(), value.as_slice()))
    }
}

impl Rows for MemoryRows {
    fn read(&self, table: TableId, key: &[u8]) -> Result<Option<Vec<u8>>, RowError> {
        Ok(self.rows.get(&(table.0, key.to_vec())).cloned())
    }

    fn scan(&self, table: TableId, from: &[u8], to: Bound<&[u8]>, limit: usize) -> Result<Vec<StoredRow>, RowError> {
        let end = match to {
            Bound::Included(key) => Bound::Included((table.0, key.to_vec())),
            Bound::Excluded(key) => Bound::Excluded((table.0, key.to_vec())),
            Bound::Unbounded if table.0 == u8::MAX => Bound::Unbounded,
            Bound::Unbounded => Bound::Excluded((table.0 + 1, Vec::new())),
        };
        let start = (table.0, from.to_vec());
        if matches!(&end, Bound::Included(last) | Bound::Excluded(last) if *last < start) {
            return Ok(Vec::new());
        }
        Ok(self
            .rows
            .range((Bound::Included(start), end))
            .take(limit)
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect())
    }

    fn write(&mut self, table: TableId, key: &[u8], value: Vec<u8>) {
        self.rows.insert((table.0, key.to_vec()), value);
    }

    fn remove(&mut self, table: TableId, key: &[u8]) {
        self.rows.remove(&(table.0, key.to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NodeId, UnitId};

    #[test]
    fn scans_stay_inside_their_prefix_and_page() {
        const PAIRS: Table<(UnitId, NodeId), u64> = Table::new(7, "pairs");
        let mut rows = MemoryRows::default();
        let unit = |name: &str| name.parse::<UnitId>().expect("a name");
        for (name, node) in [("a", 1), ("a", 2), ("a", 3), ("ab", 4), ("b", 5)] {
            PAIRS.write(&mut rows, &(unit(name), NodeId(node)), &node);
        }
        let first = PAIRS.scan(&rows, &unit("a"), None, 2).expect("reads");
        assert_eq!(first.iter().map(|row| row.1).collect::<Vec<_>>(), [1, 2]);
        let rest = PAIRS.scan(&rows, &unit("a"), Some(&first[1].0), 9).expect("reads");
        assert_eq!(rest.iter().map(|row| row.1).collect::<Vec<_>>(), [3], "\"ab\" is another unit");
    }

    #[test]
    fn an_overlay_shows_its_changes_and_leaves_the_base_alone() {
        const NUMBERS: Table<NodeId, u64> = Table::new(7, "numbers");
        let mut base = MemoryRows::default();
        for node in [1, 2, 3, 5] {
            NUMBERS.write(&mut base, &NodeId(node), &node);
        }
        let before = base.clone();
        let mut overlay = Overlay::new(&base);
        NUMBERS.remove(&mut overlay, &NodeId(1));
        NUMBERS.write(&mut overlay, &NodeId(4), &4);
        NUMBERS.write(&mut overlay, &NodeId(2), &20);
        let seen = NUMBERS.scan(&overlay, &(), None, 3).expect("reads");
        assert_eq!(seen.iter().map(|row| row.1).collect::<Vec<_>>(), [20, 3, 4]);
        assert_eq!(NUMBERS.read(&overlay, &NodeId(1)).expect("reads"), None);
        assert_eq!(overlay.into_changes().len(), 3);
        assert_eq!(base, before);
    }

    #[test]
    fn a_row_that_does_not_decode_is_an_error_and_not_an_absence() {
        const TABLE: Table<(), NodeId> = Table::new(9, "nodes");
        let mut rows = MemoryRows::default();
        rows.write(TableId(9), &[], vec![0xff]);
        assert!(matches!(TABLE.read(&rows, &()), Err(RowError::Corrupt { table: "nodes", .. })));
    }
}

//! Rows that stand still while an entry is applied, each of them read from the database once: the commands of one entry
//! ask for the same rows again and again, and at its end every changed row is compared with what it was.

use std::{cell::RefCell, collections::BTreeMap, ops::Bound};

use strongroom_types::rows::{RowError, Rows, StoredRow, TableId};

type Known = BTreeMap<TableId, BTreeMap<Vec<u8>, Option<Vec<u8>>>>;

/// Remembers every row that was read, and that there was none. For as long as one entry: nothing is ever let go.
pub(crate) struct ReadOnce<'a> {
    below: &'a dyn Rows,
    known: RefCell<Known>,
}

impl<'a> ReadOnce<'a> {
    /// Nothing is known yet. What is below must not change meanwhile.
    pub(crate) fn new(below: &'a dyn Rows) -> Self {
        Self { below, known: RefCell::default() }
    }
}

impl Rows for ReadOnce<'_> {
    fn read(&self, table: TableId, key: &[u8]) -> Result<Option<Vec<u8>>, RowError> {
        if let Some(row) = self.known.borrow().get(&table).and_then(|rows| rows.get(key)) {
            return Ok(row.clone());
        }
        let row = self.below.read(table, key)?;
        self.known.borrow_mut().entry(table).or_default().insert(key.to_vec(), row.clone());
        Ok(row)
    }

    fn scan(&self, table: TableId, from: &[u8], to: Bound<&[u8]>, limit: usize) -> Result<Vec<StoredRow>, RowError> {
        self.below.scan(table, from, to, limit)
    }

    fn write(&mut self, _: TableId, _: &[u8], _: Vec<u8>) {
        unreachable!("what is read once is not written: changes go into an overlay");
    }

    fn remove(&mut self, _: TableId, _: &[u8]) {
        unreachable!("what is read once is not written: changes go into an overlay");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use strongroom_types::rows::MemoryRows;

    use super::*;

    /// Counts what is read.
    struct Counted {
        rows: MemoryRows,
        reads: Cell<usize>,
    }

    impl Rows for Counted {
        fn read(&self, table: TableId, key: &[u8]) -> Result<Option<Vec<u8>>, RowError> {
            self.reads.set(self.reads.get() + 1);
            self.rows.read(table, key)
        }

        fn scan(
            &self,
            table: TableId,
            from: &[u8],
            to: Bound<&[u8]>,
            limit: usize,
        ) -> Result<Vec<StoredRow>, RowError> {
            self.rows.scan(table, from, to, limit)
        }

        fn write(&mut self, table: TableId, key: &[u8], value: Vec<u8>) {
            self.rows.write(table, key, value);
        }

        fn remove(&mut self, table: TableId, key: &[u8]) {
            self.rows.remove(table, key);
        }
    }

    #[test]
    fn a_row_and_its_absence_are_read_once() {
        let mut below = Counted { rows: MemoryRows::default(), reads: Cell::new(0) };
        below.write(TableId(1), b"a", b"1".to_vec());
        below.write(TableId(2), b"a", b"2".to_vec());
        let once = ReadOnce::new(&below);
        for _ in 0..3 {
            assert_eq!(once.read(TableId(1), b"a").unwrap(), Some(b"1".to_vec()));
            assert_eq!(once.read(TableId(2), b"a").unwrap(), Some(b"2".to_vec()));
            assert_eq!(once.read(TableId(1), b"b").unwrap(), None);
        }
        assert_eq!(below.reads.get(), 3);
        assert_eq!(once.scan(TableId(1), b"", Bound::Unbounded, 9).unwrap(), [(b"a".to_vec(), b"1".to_vec())]);
    }
}

//! The retention digest (semantics C3): once an hour a record commits to every row that decides how long anything is kept.
//!
//! [`crate::apply()`] keeps the sum ([`SetHash`]) as rows change, in the entry that changes them, so that the hourly record
//! costs the same for ten items and for a million. The sum is a row itself: it goes with snapshots, and every replica has
//! the same. A digest says how the rows stood after every record before its own. [`crate::replay`] makes them anew.

use std::collections::BTreeMap;

use minicbor::bytes::ByteVec;
use strongroom_types::{
    RecordSeq, UnixMillis,
    rows::{RowError, Rows, TableId},
};

use crate::{
    Act, Fact, Value, access::Stop, apply::Decision, clock, retained, set_hash::SetHash, tables::RETENTION_DIGEST,
};

/// How often a digest is recorded, by compliance time.
pub const EVERY_MS: i64 = 3600 * 1000;
/// Rows that are read at once where the sum has to be made anew.
const PAGE_ROWS: usize = 1000;

/// The sum, and the newest record of it.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct DigestRow {
    /// The sum over all rows that count, as [`SetHash::to_bytes`] gives it.
    #[n(0)]
    pub sum: ByteVec,
    /// How many there are.
    #[n(1)]
    pub rows: u64,
    /// The newest record of it.
    #[n(2)]
    pub newest: Option<NewestDigest>,
}

/// The newest record of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct NewestDigest {
    /// The record.
    #[n(0)]
    pub seq: RecordSeq,
    /// Compliance time.
    #[n(1)]
    pub t: UnixMillis,
}

/// The sum and the number of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// The sum.
    pub hash: SetHash,
    /// How many rows.
    pub rows: u64,
}

impl Sum {
    /// Takes a row in, or the row that it replaces out.
    pub fn change(&mut self, table: TableId, key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.hash.subtract(table, key, old);
            self.rows -= 1;
        }
        if let Some(new) = new {
            self.hash.add(table, key, new);
            self.rows += 1;
        }
    }
}

/// The digest row, where there is one.
///
/// # Errors
/// [`RowError`] where it cannot be read.
pub fn read(rows: &(impl Rows + ?Sized)) -> Result<Option<DigestRow>, RowError> {
    RETENTION_DIGEST.read(rows, &())
}

/// The sum over all rows, from the rows themselves: what the kept one is compared with.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn recompute(rows: &(impl Rows + ?Sized)) -> Result<Sum, RowError> {
    let (mut sum, mut after) = (Sum::default(), Vec::new());
    loop {
        let page = retained::page(rows, &after, PAGE_ROWS)?;
        let Some((last, _)) = page.last() else { return Ok(sum) };
        after.clone_from(last);
        for (key, value) in &page {
            let (table, key) = key.split_first().expect("a stored key begins with its table");
            sum.change(TableId(*table), key, None, Some(value));
        }
    }
}

/// The kept sum. A state from before there was one has none: it is made once, from all rows.
///
/// # Errors
/// [`RowError`] where it is not what it should be.
pub fn sum(rows: &(impl Rows + ?Sized)) -> Result<Sum, RowError> {
    match read(rows)? {
        Some(row) => of(&row),
        None => recompute(rows),
    }
}

/// The sum that a row holds.
///
/// # Errors
/// [`RowError`] where it is none.
pub fn of(row: &DigestRow) -> Result<Sum, RowError> {
    let hash = SetHash::from_bytes(&row.sum).ok_or_else(|| RowError::Corrupt {
        table: RETENTION_DIGEST.name,
        detail: format!("a sum has {} bytes", row.sum.len()),
    })?;
    Ok(Sum { hash, rows: row.rows })
}

/// What a command changes of the sum, from the rows before it and its changes.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub(crate) fn changed(
    rows: &dyn Rows,
    changes: &BTreeMap<(TableId, Vec<u8>), Option<Vec<u8>>>,
) -> Result<Option<Sum>, RowError> {
    let mut sum = None;
    for ((table, key), new) in changes {
        if !retained::counts(*table) {
            continue;
        }
        let kept = |bytes: Option<&[u8]>| bytes.map(|bytes| retained::of_row(*table, bytes)).transpose();
        let old = kept(rows.read(*table, key)?.as_deref())?.flatten();
        let new = kept(new.as_deref())?.flatten();
        if old != new {
            let sum = match &mut sum {
                Some(sum) => sum,
                none => none.insert(self::sum(rows)?),
            };
            sum.change(*table, key, old.as_deref(), new.as_deref());
        }
    }
    Ok(sum)
}

/// Writes the sum as it is after a command, beside what the command wrote of it.
///
/// # Errors
/// [`RowError`] where the row cannot be read.
pub(crate) fn write(rows: &mut dyn Rows, sum: &Sum) -> Result<(), RowError> {
    let newest = read(&*rows)?.and_then(|row| row.newest);
    put(rows, sum, newest);
    Ok(())
}

/// Records the digest where an hour has begun since the last. Every tick of the clock does this before anything else: the
/// digest is of the rows after all records before this tick.
pub(crate) fn record_hourly(decision: &mut Decision<'_>) -> Result<(), Stop> {
    let t = clock::read(&*decision.rows)?.t;
    let row = read(&*decision.rows)?;
    let newest = row.as_ref().and_then(|row| row.newest);
    let hour = |t: UnixMillis| t.0.div_euclid(EVERY_MS);
    if newest.is_some_and(|newest| hour(newest.t) >= hour(t)) {
        return Ok(());
    }
    let sum = match &row {
        Some(row) => of(row)?,
        None => recompute(&*decision.rows)?,
    };
    let mut facts =
        BTreeMap::from([(Fact::Digest, Value::from(sum.hash.digest().as_slice())), (Fact::Count, sum.rows.into())]);
    if let Some(newest) = newest {
        facts.insert(Fact::EarlierDigest, newest.seq.0.into());
    }
    let seq = decision.record(Act::LedgerDigest, "C3", Vec::new(), facts);
    put(decision.rows, &sum, Some(NewestDigest { seq, t }));
    Ok(())
}

fn put(rows: &mut dyn Rows, sum: &Sum, newest: Option<NewestDigest>) {
    let row = DigestRow { sum: sum.hash.to_bytes().into(), rows: sum.rows, newest };
    RETENTION_DIGEST.write(rows, &(), &row);
}

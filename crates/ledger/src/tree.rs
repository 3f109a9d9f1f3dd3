//! The tree as rows: leaves, their RFC 6962 hashes, and the records behind them.
//!
//! ```text
//!  150 ledger-size     ()  → number of leaves
//!  151 ledger-hashes   u64 → hash, by stored-hash index (each hash once, written with the leaf that completes it)
//!  152 ledger-leaves   seq → leaf
//!  153 ledger-records  seq → salt and record bytes; the only rows here that may be erased
//! ```
//!
//! Appending costs two hash rows on average, one leaf row and the size row, and about one read; nothing that was
//! written is written again. A hash that is missing or does not decode is corruption and stops the node: the
//! rows are never patched up from what is left.
//!
//! Everything that reads takes a tree size, so that an answer is about a checkpoint and not about "now".

use std::cell::RefCell;

use strongroom_types::{
    RecordSeq, TreeHash, UnixMillis,
    rows::{RowError, Rows, Table},
};
use tlog_tiles::{Hash, HashReader};

use crate::{
    ConsistencyProof, InclusionProof, Leaf, TREE_SIZE_MAX, TreeHead,
    commitment::{self, Salt},
};

const SIZE: Table<(), u64> = Table::new(150, "ledger-size");
const HASHES: Table<u64, TreeHash> = Table::new(151, "ledger-hashes");
const LEAVES: Table<RecordSeq, Leaf> = Table::new(152, "ledger-leaves");
const RECORDS: Table<RecordSeq, StoredRecord> = Table::new(153, "ledger-records");

/// A record with what opens its commitment. Both go when the record is erased; the leaf stays.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct StoredRecord {
    /// The salt of its commitment.
    #[n(0)]
    pub salt: Salt,
    /// The exact bytes committed to.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub record: Vec<u8>,
}

/// Why a leaf could not be appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The leaf names another position than the next one.
    #[error("leaf {found} cannot follow a tree of {size} leaves")]
    OutOfOrder {
        /// The tree's size.
        size: u64,
        /// The leaf's sequence.
        found: RecordSeq,
    },
    /// The tree has [`TREE_SIZE_MAX`] leaves.
    #[error("the ledger is full at {TREE_SIZE_MAX} leaves")]
    Full,
    /// Rows could not be read.
    #[error("could not read the ledger's rows")]
    Rows(#[from] RowError),
}

/// Why the tree could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The tree is not that large yet.
    #[error("the ledger has {size} leaves, asked about {asked}")]
    BeyondSize {
        /// The size that was asked about.
        asked: u64,
        /// The size that there is.
        size: u64,
    },
    /// The record is not in a tree of that size.
    #[error("record {seq} is not in a tree of {size} leaves")]
    NotInTree {
        /// The record.
        seq: RecordSeq,
        /// The tree's size.
        size: u64,
    },
    /// The older of two sizes is the larger.
    #[error("a tree of {old_size} leaves is not older than one of {new_size}")]
    NotOlder {
        /// The size taken as old.
        old_size: u64,
        /// The size taken as new.
        new_size: u64,
    },
    /// Rows could not be read.
    #[error("could not read the ledger's rows")]
    Rows(#[from] RowError),
}

/// Appends a record: derives its salt from the command's `seed`, commits, and stores leaf, salt and record.
///
/// # Errors
/// [`AppendError`]; nothing is written then.
pub fn append_record(
    rows: &mut dyn Rows,
    clock: UnixMillis,
    seed: &[u8; 32],
    record: Vec<u8>,
) -> Result<Leaf, AppendError> {
    let seq = RecordSeq(size(rows)?);
    let salt = commitment::salt(seed, seq);
    let leaf = Leaf { seq, clock, commitment: commitment::commit(&salt, &record) };
    append(rows, &leaf)?;
    RECORDS.write(rows, &seq, &StoredRecord { salt, record });
    Ok(leaf)
}

/// Appends a leaf and the hashes that it completes; answers its hash.
///
/// # Errors
/// [`AppendError`]; nothing is written then.
pub fn append(rows: &mut dyn Rows, leaf: &Leaf) -> Result<TreeHash, AppendError> {
    let size = size(rows)?;
    if leaf.seq.0 != size {
        return Err(AppendError::OutOfOrder { size, found: leaf.seq });
    }
    let hash = leaf.hash();
    append_hash(rows, size, hash)?;
    LEAVES.write(rows, &leaf.seq, leaf);
    Ok(hash)
}

/// The number of leaves.
///
/// # Errors
/// [`RowError`] where the row cannot be read or is not a size.
pub fn size(rows: &dyn Rows) -> Result<u64, RowError> {
    let size = SIZE.read(rows, &())?.unwrap_or(0);
    if size > TREE_SIZE_MAX {
        return Err(RowError::Corrupt { table: SIZE.name, detail: format!("{size} is beyond any tree") });
    }
    Ok(size)
}

/// The head of the whole tree.
///
/// # Errors
/// [`RowError`] where rows cannot be read.
pub fn head(rows: &dyn Rows) -> Result<TreeHead, RowError> {
    let size = size(rows)?;
    let root = with_hashes(rows, |hashes| tlog_tiles::tree_hash(size, hashes))?;
    Ok(TreeHead { size, root: TreeHash::new(root.0) })
}

/// The root of the first `size` leaves.
///
/// # Errors
/// [`TreeError`] where the tree is smaller or rows cannot be read.
pub fn root(rows: &dyn Rows, size: u64) -> Result<TreeHash, TreeError> {
    check_size(rows, size)?;
    let root = with_hashes(rows, |hashes| tlog_tiles::tree_hash(size, hashes))?;
    Ok(TreeHash::new(root.0))
}

/// The proof that record `seq` is in the tree of the first `size` leaves.
///
/// # Errors
/// [`TreeError`] where it is not, the tree is smaller, or rows cannot be read.
pub fn inclusion_proof(rows: &dyn Rows, seq: RecordSeq, size: u64) -> Result<InclusionProof, TreeError> {
    check_size(rows, size)?;
    if seq.0 >= size {
        return Err(TreeError::NotInTree { seq, size });
    }
    let hashes = with_hashes(rows, |hashes| tlog_tiles::prove_record(size, seq.0, hashes))?;
    Ok(InclusionProof { seq, hashes: ours(hashes) })
}

/// The proof that the tree of `new_size` leaves begins with the tree of `old_size` leaves.
///
/// # Errors
/// [`TreeError`] where the sizes are the wrong way round or too large, or rows cannot be read.
pub fn consistency_proof(rows: &dyn Rows, old_size: u64, new_size: u64) -> Result<ConsistencyProof, TreeError> {
    check_size(rows, new_size)?;
    if old_size > new_size {
        return Err(TreeError::NotOlder { old_size, new_size });
    }
    // Everything begins with the empty tree; RFC 6962 has no proof for it and needs none.
    if old_size == 0 {
        return Ok(ConsistencyProof { old_size, new_size, hashes: Vec::new() });
    }
    let hashes = with_hashes(rows, |hashes| tlog_tiles::prove_tree(new_size, old_size, hashes))?;
    Ok(ConsistencyProof { old_size, new_size, hashes: ours(hashes) })
}

/// The leaf of record `seq`.
///
/// # Errors
/// [`RowError`] where the row cannot be read.
pub fn leaf(rows: &dyn Rows, seq: RecordSeq) -> Result<Option<Leaf>, RowError> {
    LEAVES.read(rows, &seq)
}

/// Record `seq` with its salt, if it is there and was not erased.
///
/// # Errors
/// [`RowError`] where the row cannot be read or no longer opens the leaf's commitment.
pub fn record(rows: &dyn Rows, seq: RecordSeq) -> Result<Option<StoredRecord>, RowError> {
    let Some(stored) = RECORDS.read(rows, &seq)? else { return Ok(None) };
    let opens =
        leaf(rows, seq)?.is_some_and(|leaf| leaf.commitment == commitment::commit(&stored.salt, &stored.record));
    if opens {
        Ok(Some(stored))
    } else {
        Err(RowError::Corrupt { table: RECORDS.name, detail: format!("record {seq} does not open its leaf") })
    }
}

/// Forgets record `seq` and its salt. The tree and every proof stay as they are.
pub fn erase_record(rows: &mut dyn Rows, seq: RecordSeq) {
    RECORDS.remove(rows, &seq);
}

/// The leaf of a record that is in the tree: its absence is corruption.
pub(crate) fn stored_leaf(rows: &dyn Rows, seq: RecordSeq) -> Result<Leaf, RowError> {
    leaf(rows, seq)?.ok_or_else(|| RowError::Corrupt { table: LEAVES.name, detail: format!("leaf {seq} is missing") })
}

/// Runs one of `tlog_tiles`' functions over the stored hashes, and gives back the row error that stopped it.
pub(crate) fn with_hashes<T>(
    rows: &dyn Rows,
    ask: impl FnOnce(&StoredHashes<'_>) -> Result<T, tlog_tiles::Error>,
) -> Result<T, RowError> {
    let hashes = StoredHashes { rows, failure: RefCell::new(None) };
    ask(&hashes).map_err(|error| {
        hashes
            .failure
            .into_inner()
            .unwrap_or_else(|| RowError::Corrupt { table: HASHES.name, detail: error.to_string() })
    })
}

pub(crate) fn check_size(rows: &dyn Rows, asked: u64) -> Result<(), TreeError> {
    let size = size(rows)?;
    if asked <= size { Ok(()) } else { Err(TreeError::BeyondSize { asked, size }) }
}

/// Stored hashes as `tlog_tiles` reads them. Its error type has no room for ours, which waits in `failure`.
pub(crate) struct StoredHashes<'a> {
    rows: &'a dyn Rows,
    failure: RefCell<Option<RowError>>,
}

impl StoredHashes<'_> {
    fn read(&self, index: u64) -> Result<Hash, RowError> {
        HASHES
            .read(self.rows, &index)?
            .map(|hash| Hash(*hash.as_bytes()))
            .ok_or_else(|| RowError::Corrupt { table: HASHES.name, detail: format!("stored hash {index} is missing") })
    }
}

impl HashReader for StoredHashes<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        indexes.iter().map(|index| self.read(*index)).collect::<Result<_, _>>().map_err(|error| {
            self.failure.replace(Some(error));
            tlog_tiles::Error::IndexesNotInTree
        })
    }
}

fn append_hash(rows: &mut dyn Rows, size: u64, hash: TreeHash) -> Result<(), AppendError> {
    if size == TREE_SIZE_MAX {
        return Err(AppendError::Full);
    }
    let completed =
        with_hashes(rows, |hashes| tlog_tiles::stored_hashes_for_record_hash(size, Hash(*hash.as_bytes()), hashes))?;
    let first = tlog_tiles::stored_hash_index(0, size);
    for (index, hash) in (first..).zip(completed) {
        HASHES.write(rows, &index, &TreeHash::new(hash.0));
    }
    SIZE.write(rows, &(), &(size + 1));
    Ok(())
}

fn ours(hashes: Vec<Hash>) -> Vec<TreeHash> {
    hashes.into_iter().map(|hash| TreeHash::new(hash.0)).collect()
}

#[cfg(test)]
mod tests;

//! What can go wrong with the databases. Any of these, met while Raft runs, stops the node.

use std::path::PathBuf;

use strongroom_types::rows::RowError;

use crate::{
    durable::{FileError, FormatError},
    encoding::EncodingError,
    raft::{StorageError, StorageIoError},
};

/// A failure of the log, the state or a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// RocksDB failed.
    #[error("could not {act}: {source}")]
    Database {
        /// What was tried.
        act: &'static str,
        /// What RocksDB said.
        source: rocksdb::Error,
    },
    /// The state's files are not what was written.
    #[error(
        "the state in {} is damaged: {source}; keep this folder elsewhere and start again without it: the state is made \
         anew from the snapshot and the log",
        path.display()
    )]
    StateDamaged {
        /// The folder of the database.
        path: PathBuf,
        /// What RocksDB said.
        source: rocksdb::Error,
    },
    /// The log's files are not what was written. Nothing can be made of what is left: a promise may be missing.
    #[error(
        "the log in {} is damaged: {source}; what this node has promised is not known any more: keep its metadata for \
         inquiry and let it rejoin under a new id",
        path.display()
    )]
    LogDamaged {
        /// The folder of the database.
        path: PathBuf,
        /// What RocksDB said.
        source: rocksdb::Error,
    },
    /// A file failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A folder of another version.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Stored bytes that are not what they should be.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// A column family is missing.
    #[error("column family {0} is missing")]
    ColumnFamily(&'static str),
    /// The log does not hold the entries it should.
    #[error("the log is damaged: after entry {expected} was expected, found {found}")]
    LogGap {
        /// The index that should come.
        expected: u64,
        /// The index that came.
        found: u64,
    },
    /// Entries would be purged that no durable snapshot holds.
    #[error("could not purge the log to {asked}: the durable snapshot ends at {durable}")]
    PurgeBeyondSnapshot {
        /// Where the purge would end.
        asked: String,
        /// Where the snapshot ends.
        durable: String,
    },
    /// An entry could not be applied.
    #[error("could not apply entry {index}: {source}")]
    Apply {
        /// Its log index.
        index: u64,
        /// What the rules' row access came to.
        source: RowError,
    },
    /// The rules gave another number of outcomes than there were commands.
    #[error("entry {index} has {commands} commands, but {outcomes} outcomes were given")]
    OutcomeCount {
        /// Its log index.
        index: u64,
        /// How many commands.
        commands: usize,
        /// How many outcomes.
        outcomes: usize,
    },
    /// A file of a snapshot is not what its manifest says.
    #[error("snapshot file {} is corrupt: {detail}", path.display())]
    SnapshotFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The database in a snapshot is not the one that its manifest speaks of.
    #[error("the snapshot {snapshot_id} does not hold the state that its manifest names")]
    SnapshotState {
        /// The snapshot.
        snapshot_id: String,
    },
    /// A snapshot without a folder.
    #[error("a snapshot was to be installed, but none was received")]
    SnapshotAbsent,
    /// The state is behind the purged log, and no snapshot fills the gap.
    #[error(
        "the state stands at {applied} and the log begins after {purged}, but no snapshot covers what is between; \
         wipe this node's metadata and let it rejoin under a new id"
    )]
    StateLost {
        /// Last entry in the state.
        applied: String,
        /// Last entry purged from the log.
        purged: String,
    },
    /// The log belongs to another node.
    #[error("this is the log of node n{found}, not of n{expected}")]
    OtherNode {
        /// Whose it is.
        found: u64,
        /// Who opens it.
        expected: u64,
    },
    /// The pointer to the live state is gone or nonsense.
    #[error("{} does not name a state folder", path.display())]
    Pointer {
        /// The file.
        path: PathBuf,
    },
    /// A task died.
    #[error("a storage task died: {0}")]
    TaskDied(String),
}

/// Whether files are not what was written, rather than out of reach.
pub(crate) fn is_damage(error: &rocksdb::Error) -> bool {
    error.kind() == rocksdb::ErrorKind::Corruption
}

/// Says what was tried when RocksDB failed.
pub(crate) trait Tried<T> {
    fn tried(self, act: &'static str) -> Result<T, StoreError>;
}

impl<T> Tried<T> for Result<T, rocksdb::Error> {
    fn tried(self, act: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Database { act, source })
    }
}

/// Runs file and database work where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StoreError::TaskDied(error.to_string())),
    }
}

pub(crate) fn reading_logs(error: StoreError) -> StorageError {
    StorageIoError::read_logs(&error).into()
}

pub(crate) fn writing_logs(error: StoreError) -> StorageError {
    StorageIoError::write_logs(&error).into()
}

pub(crate) fn writing_state(error: StoreError) -> StorageError {
    StorageIoError::write_state_machine(&error).into()
}

pub(crate) fn writing_snapshot(error: StoreError) -> StorageError {
    StorageIoError::write_snapshot(None, &error).into()
}

//! The receiving end of a snapshot: every file is checked against the manifest as it arrives, and synced.

use std::path::PathBuf;

use futures::{Stream, StreamExt};
use strongroom_proto::peer::{InstallSnapshotRequest, SnapshotFile, install_snapshot_request::Part};
use strongroom_types::limits;
use tokio::{fs::File, io::AsyncWriteExt};
use tonic::Status;

use crate::{
    durable::FileError,
    encoding::{self, EncodingError, FileRow, SnapshotHeaderRow},
    raft::Vote,
    snapshot::{self, Reception, Snapshots},
    store_error::StoreError,
};

/// Longest silence of the sender.
const SILENCE_MAX: std::time::Duration = std::time::Duration::from_secs(30);

/// Why a snapshot was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The stream broke off.
    #[error("the snapshot broke off: {0}")]
    BrokenOff(Status),
    /// The sender fell silent.
    #[error("nothing of the snapshot came for {} seconds", SILENCE_MAX.as_secs())]
    Silent,
    /// A message that does not belong where it came.
    #[error("could not make sense of the snapshot: {0}")]
    OutOfOrder(&'static str),
    /// The header does not decode.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// A file is not what the manifest says, or could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The messages of one snapshot, in order.
pub(crate) struct Parts<S> {
    stream: S,
}

impl<S> Parts<S>
where
    S: Stream<Item = Result<InstallSnapshotRequest, Status>> + Unpin,
{
    pub(crate) fn new(stream: S) -> Self {
        Self { stream }
    }

    /// The header: whose snapshot it is, and its sealed manifest.
    pub(crate) async fn header(&mut self) -> Result<(Vote, SnapshotHeaderRow), ReceiveError> {
        match self.next().await? {
            Some(Part::HeaderCbor(form)) => {
                let header = encoding::from_bytes::<SnapshotHeaderRow>("a snapshot's header", &form)?;
                Ok((header.vote.into(), header))
            }
            Some(Part::File(_) | Part::Data(_)) | None => {
                Err(ReceiveError::OutOfOrder("it does not begin with a header"))
            }
        }
    }

    /// All files, each complete and as the manifest says, and nothing after them.
    pub(crate) async fn files(
        &mut self,
        snapshots: &Snapshots,
        header: &SnapshotHeaderRow,
    ) -> Result<Reception, ReceiveError> {
        let reception = snapshots.receive(&header.manifest.0)?;
        let mut begun = self.next().await?;
        for expected in &reception.manifest().files {
            let Some(Part::File(file)) = begun else {
                return Err(ReceiveError::OutOfOrder("a file is missing"));
            };
            check_announced(&file, expected)?;
            begun = self.file(reception.file(&expected.name), expected).await?;
        }
        match begun {
            None => Ok(reception),
            Some(_) => Err(ReceiveError::OutOfOrder("there is more than the manifest lists")),
        }
    }

    /// Writes one file; gives the message after its last piece.
    async fn file(&mut self, path: PathBuf, expected: &FileRow) -> Result<Option<Part>, ReceiveError> {
        let fail = |act, source| StoreError::from(FileError { act, path: path.clone(), source });
        let mut target = File::create_new(&path).await.map_err(|error| fail("create", error))?;
        let mut hasher = blake3::Hasher::new();
        let mut size_bytes = 0_u64;
        let next = loop {
            let data = match self.next().await? {
                Some(Part::Data(data)) => data,
                other => break other,
            };
            size_bytes = size_bytes.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
            if size_bytes > expected.size_bytes || data.len() > limits::MESSAGE_DATA_BYTES {
                return Err(ReceiveError::OutOfOrder("a file is longer than announced"));
            }
            hasher.update(&data);
            target.write_all(&data).await.map_err(|error| fail("write", error))?;
        };
        target.sync_all().await.map_err(|error| fail("sync", error))?;
        let found = FileRow { name: expected.name.clone(), size_bytes, blake3: *hasher.finalize().as_bytes() };
        snapshot::compare(&path, expected, &found)?;
        Ok(next)
    }

    async fn next(&mut self) -> Result<Option<Part>, ReceiveError> {
        let message = tokio::time::timeout(SILENCE_MAX, self.stream.next()).await.map_err(|_| ReceiveError::Silent)?;
        match message {
            None => Ok(None),
            Some(Err(status)) => Err(ReceiveError::BrokenOff(status)),
            Some(Ok(InstallSnapshotRequest { part: Some(part) })) => Ok(Some(part)),
            Some(Ok(InstallSnapshotRequest { part: None })) => Err(ReceiveError::OutOfOrder("a message is empty")),
        }
    }
}

fn check_announced(announced: &SnapshotFile, expected: &FileRow) -> Result<(), ReceiveError> {
    let same = announced.name == expected.name
        && announced.size_bytes == expected.size_bytes
        && announced.blake3 == expected.blake3.as_slice();
    if same { Ok(()) } else { Err(ReceiveError::OutOfOrder("a file is not the one that the manifest lists next")) }
}

//! An approved request into a folder: every file verified before it gets its name.
//!
//! ```text
//!  state file ─ BeginCopyOut ─ per item: NAME.part ─ stream, resumed ─ digests fit ─ fsync ─ read again ─ NAME
//!             ─ receipts, sums, request.json ─ EndSession ─ state gone
//! ```
//!
//! The state file holds the idempotency key of the session: running again goes on with the same session and the bytes
//! that are there, and spends no second use. A file under its final name has had its length, BLAKE3 and SHA-256
//! compared with what the cluster granted; whatever else comes is thrown away.

mod name;
mod paper;
mod part;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use strongroom_proto::access::access_service_client::AccessServiceClient;
use strongroom_proto::access::{BeginCopyOutResponse, GrantedItem};
use strongroom_proto::convert::fixed;
use strongroom_types::{
    IdempotencyKey, ItemDigest, ItemId, RecordSeq, Refusal, RemovalId, RequestId, SessionId, Sha256Digest, limits,
};
use tokio::sync::mpsc;
use tonic::Status;

use crate::call::{Attempts, Client, Endpoint, new_key};
use crate::error::{ClientError, ExitKind};
use crate::file;
use crate::services::read_request;
use part::{Part, Wanted};

pub(crate) use paper::act_name;

const STATE_FILE: &str = ".strongroom-copy-out";
/// Pieces that came and are not yet written.
const PIECES_AHEAD: usize = 4;
/// Without any progress for this long, at any node, copying ends. It can be begun again, and goes on.
const STALL_TIMEOUT: Duration = Duration::from_secs(300);
/// A stream that says nothing for this long is given up for another.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOutProgress {
    /// The item under way.
    pub item: ItemId,
    /// Its final name.
    pub name: String,
    /// Its position among the granted items, from 0.
    pub index: usize,
    /// How many items there are.
    pub count: usize,
    /// Bytes of this item that are here.
    pub done_bytes: u64,
    /// Bytes of this item.
    pub total_bytes: u64,
}

/// One file that is here and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedItem {
    /// The item.
    pub item: ItemId,
    /// Its file.
    pub path: PathBuf,
    /// Its length.
    pub size_bytes: u64,
    /// Its BLAKE3.
    pub blake3: ItemDigest,
    /// Its SHA-256.
    pub sha256: Sha256Digest,
    /// Its receipt's file; none where the cluster had not cosigned it yet.
    pub receipt: Option<PathBuf>,
}

/// A copy-out that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedOut {
    /// The request that granted it.
    pub request: RequestId,
    /// The session on the ledger.
    pub session: SessionId,
    /// Ledger position of its beginning.
    pub begun: RecordSeq,
    /// Ledger position of its end.
    pub ended: RecordSeq,
    /// The files, in the order of the grant.
    pub items: Vec<CopiedItem>,
}

/// A hand-over that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedOver {
    /// The removal.
    pub removal: RemovalId,
    /// The session on the ledger.
    pub session: SessionId,
    /// Ledger position of its beginning.
    pub begun: RecordSeq,
    /// Ledger position of its end.
    pub ended: RecordSeq,
    /// The files, in the order of the removal.
    pub items: Vec<CopiedItem>,
    /// What the receiver signs.
    pub statement: PathBuf,
}

/// Why a copy-out did not end.
#[derive(Debug, thiserror::Error)]
pub enum CopyOutError {
    /// The cluster refused or could not be reached.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A file could not be read or written.
    #[error("could not {doing} {path}")]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The folder holds another copy-out, or this one, complete.
    #[error("{folder} holds a copy-out of {found} already: choose an empty folder")]
    FolderTaken {
        /// The folder.
        folder: PathBuf,
        /// Which request.
        found: String,
    },
    /// A file with the final name is there, and it is not the granted item. It is left alone.
    #[error("{path} is there already and is not item {item}: {detail}")]
    InTheWay {
        /// The file.
        path: PathBuf,
        /// The item that should be there.
        item: ItemId,
        /// How it differs.
        detail: String,
    },
    /// The bytes that came, twice, are not the granted original. Nothing was left under its name.
    #[error("item {item} came with other bytes than were sealed: {detail}")]
    WrongBytes {
        /// The item.
        item: ItemId,
        /// How they differ.
        detail: String,
    },
    /// Nothing moved for too long.
    #[error("made no progress for {waited:?} at {done_bytes} of {total_bytes} bytes of item {item}, last: {detail}")]
    Stalled {
        /// The item.
        item: ItemId,
        /// How long.
        waited: Duration,
        /// Bytes that are here.
        done_bytes: u64,
        /// Bytes of the item.
        total_bytes: u64,
        /// What went wrong last.
        detail: String,
    },
}

impl CopyOutError {
    /// What a tool's exit code should say.
    #[must_use]
    pub const fn exit_kind(&self) -> ExitKind {
        match self {
            Self::Client(error) => error.exit_kind(),
            Self::FolderTaken { .. } => ExitKind::Usage,
            Self::File { .. } | Self::InTheWay { .. } | Self::WrongBytes { .. } | Self::Stalled { .. } => {
                ExitKind::Failed
            }
        }
    }

    fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { doing, path: path.to_owned(), source }
    }
}

impl Client {
    /// Copies everything that a request grants into a folder; see the module. `progress` is called on the way, on
    /// this task.
    ///
    /// # Errors
    /// [`CopyOutError`]. Whatever it is, doing it again with the same folder goes on where it was.
    pub async fn copy_out(
        &self,
        request: RequestId,
        folder: &Path,
        mut progress: impl FnMut(CopyOutProgress) + Send,
    ) -> Result<CopiedOut, CopyOutError> {
        std::fs::create_dir_all(folder).map_err(CopyOutError::file("create", folder))?;
        let state = State::begin(self, &request.to_string(), folder)?;
        let begun = self.begin_copy_out(&state.key, request).await?;
        let (session, items) = self.fetch_all(&begun, folder, &mut progress).await?;
        let shown = self.show_request(request).await?;
        paper::write(folder, &shown, session, RecordSeq(begun.record_seq), &items)?;
        let ended = self.end_session(&state.end_key(), session, true).await?;
        state.finish()?;
        Ok(CopiedOut { request, session, begun: RecordSeq(begun.record_seq), ended, items })
    }

    /// Writes the originals of an approved removal into a folder, which is then put on the classified carrier, with the
    /// statement that its receiver compares and signs. As [`Self::copy_out`] otherwise.
    ///
    /// # Errors
    /// [`CopyOutError`]. Whatever it is, doing it again with the same folder goes on where it was.
    pub async fn hand_over(
        &self,
        removal: RemovalId,
        folder: &Path,
        mut progress: impl FnMut(CopyOutProgress) + Send,
    ) -> Result<HandedOver, CopyOutError> {
        std::fs::create_dir_all(folder).map_err(CopyOutError::file("create", folder))?;
        let state = State::begin(self, &removal.to_string(), folder)?;
        let begun = self.begin_hand_over(&state.key, removal).await?;
        let (session, items) = self.fetch_all(&begun, folder, &mut progress).await?;
        let shown = self.show_removal(removal).await?;
        let statement = paper::write_removal(folder, removal, &shown.statement, &items)?;
        let ended = self.end_session(&state.end_key(), session, true).await?;
        state.finish()?;
        Ok(HandedOver { removal, session, begun: RecordSeq(begun.record_seq), ended, items, statement })
    }

    /// Everything that a session may read, verified, into a folder.
    async fn fetch_all(
        &self,
        begun: &BeginCopyOutResponse,
        folder: &Path,
        progress: &mut (impl FnMut(CopyOutProgress) + Send),
    ) -> Result<(SessionId, Vec<CopiedItem>), CopyOutError> {
        let session = fixed("session_id", &begun.session_id).map_err(wrong_answer)?;
        let names = name::plan(&begun.items);
        let mut items = Vec::with_capacity(begun.items.len());
        for (index, (granted, name)) in begun.items.iter().zip(names).enumerate() {
            let wanted = wanted(granted)?;
            let path = folder.join(&name);
            let fetch = Fetch { client: self, session, wanted, path: &path };
            let count = begun.items.len();
            let mut tell = |done_bytes| {
                let (item, total_bytes) = (wanted.item, wanted.size_bytes);
                progress(CopyOutProgress { item, name: name.clone(), index, count, done_bytes, total_bytes });
            };
            fetch.run(&mut tell).await?;
            let receipt = keep_receipt(&path, &granted.receipt)?;
            items.push(CopiedItem {
                item: wanted.item,
                path,
                size_bytes: wanted.size_bytes,
                blake3: wanted.blake3,
                sha256: wanted.sha256,
                receipt,
            });
        }
        Ok((session, items))
    }
}

/// Which session this folder's copy-out is.
struct State {
    path: PathBuf,
    key: IdempotencyKey,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    cluster: String,
    request: String,
    key: String,
}

impl State {
    fn begin(client: &Client, granted_by: &str, folder: &Path) -> Result<Self, CopyOutError> {
        let path = folder.join(STATE_FILE);
        let taken = |found: String| CopyOutError::FolderTaken { folder: folder.to_owned(), found };
        let (cluster, request) = (client.cluster().to_string(), granted_by.to_owned());
        if let Some(bytes) = file::read_durable(&path).map_err(CopyOutError::file("read", &path))? {
            let malformed = |detail: String| {
                CopyOutError::file("understand", &path)(io::Error::new(io::ErrorKind::InvalidData, detail))
            };
            let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
            if stored.cluster != cluster || stored.request != request {
                return Err(taken(stored.request));
            }
            let key = stored.key.parse().map_err(|_| malformed("the key is none".to_owned()))?;
            return Ok(Self { path, key });
        }
        if folder.join(paper::REQUEST_FILE).exists() || folder.join(paper::SUMS_FILE).exists() {
            return Err(taken("a request".to_owned()));
        }
        let key = new_key();
        let stored = Stored { cluster, request, key: key.to_string() };
        let bytes = serde_json::to_vec_pretty(&stored).expect("strings have a JSON form");
        file::replace(&path, &bytes).map_err(CopyOutError::file("write", &path))?;
        Ok(Self { path, key })
    }

    fn end_key(&self) -> IdempotencyKey {
        format!("{}-end", self.key).parse().expect("a name and a suffix are a name")
    }

    fn finish(self) -> Result<(), CopyOutError> {
        file::remove(&self.path).map_err(CopyOutError::file("remove", &self.path))
    }
}

/// One item on its way.
struct Fetch<'a> {
    client: &'a Client,
    session: SessionId,
    wanted: Wanted,
    path: &'a Path,
}

impl Fetch<'_> {
    async fn run(&self, progress: &mut (impl FnMut(u64) + Send)) -> Result<(), CopyOutError> {
        if self.path.exists() {
            return self.check_present(progress).await;
        }
        // What an earlier run left may be damaged (it was not synced): then everything is fetched once more.
        match self.fetch(progress).await {
            Err(CopyOutError::WrongBytes { .. }) => self.fetch(progress).await,
            outcome => outcome,
        }
    }

    /// An earlier run finished this one.
    async fn check_present(&self, progress: &mut (impl FnMut(u64) + Send)) -> Result<(), CopyOutError> {
        let (path, wanted) = (self.path.to_owned(), self.wanted);
        let differs = blocking(move || part::compare_file(&path, &wanted))
            .await?
            .map_err(CopyOutError::file("read", self.path))?;
        match differs {
            None => {
                progress(self.wanted.size_bytes);
                Ok(())
            }
            Some(detail) => Err(CopyOutError::InTheWay { path: self.path.to_owned(), item: self.wanted.item, detail }),
        }
    }

    async fn fetch(&self, progress: &mut (impl FnMut(u64) + Send)) -> Result<(), CopyOutError> {
        let part_path = file::beside(self.path, ".part");
        let writing = || CopyOutError::file("write", &part_path);
        let (open_path, size_bytes) = (part_path.clone(), self.wanted.size_bytes);
        let part = blocking(move || Part::open(&open_path, size_bytes)).await?.map_err(writing())?;
        let here = part.written_bytes();
        let (pieces, to_write) = mpsc::channel(PIECES_AHEAD);
        let writer = tokio::task::spawn_blocking(move || part.write_all(to_write));
        let received = self.receive(here, pieces, progress).await;
        // Whatever came is written, also where receiving failed: the next run goes on from there.
        let part = writer.await.map_err(|_| ClientError::protocol("the writing thread died"))?.map_err(writing())?;
        received?;
        let (wanted, path) = (self.wanted, self.path.to_owned());
        let differs = blocking(move || part.finish(&wanted, &path)).await?.map_err(writing())?;
        match differs {
            None => Ok(()),
            Some(detail) => Err(CopyOutError::WrongBytes { item: self.wanted.item, detail }),
        }
    }

    /// Streams from `offset` to the end, over as many nodes as it takes.
    async fn receive(
        &self,
        offset: u64,
        pieces: mpsc::Sender<Bytes>,
        progress: &mut (impl FnMut(u64) + Send),
    ) -> Result<(), CopyOutError> {
        let mut at = offset;
        let mut attempts = Attempts::new(STALL_TIMEOUT, 1);
        progress(at);
        while at < self.wanted.size_bytes {
            let before = at;
            let endpoint = self.client.endpoint()?;
            let status = match self.stream(&endpoint, &mut at, &pieces, progress).await? {
                StreamEnd::Complete | StreamEnd::NotWritten => return Ok(()),
                StreamEnd::Broken(status) => status,
            };
            if at > before {
                attempts.refresh();
            }
            self.client.recover(&mut attempts, &endpoint, &status).await.map_err(|error| match error {
                ClientError::Unreachable { waited, detail, .. } => CopyOutError::Stalled {
                    item: self.wanted.item,
                    waited,
                    done_bytes: at,
                    total_bytes: self.wanted.size_bytes,
                    detail,
                },
                other => other.into(),
            })?;
        }
        Ok(())
    }

    /// One stream at one node, to its end.
    async fn stream(
        &self,
        endpoint: &Endpoint,
        at: &mut u64,
        pieces: &mpsc::Sender<Bytes>,
        progress: &mut (impl FnMut(u64) + Send),
    ) -> Result<StreamEnd, CopyOutError> {
        let mut client =
            AccessServiceClient::new(endpoint.channel.clone()).max_decoding_message_size(limits::MESSAGE_BYTES_MAX);
        let silence = || StreamEnd::Broken(Status::deadline_exceeded("the node fell silent"));
        let begin = client.read(read_request(self.session, self.wanted.item, *at, 0));
        let mut answers = match tokio::time::timeout(SILENCE_MAX, begin).await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return Ok(StreamEnd::Broken(status)),
            Err(_) => return Ok(silence()),
        };
        while *at < self.wanted.size_bytes {
            let message = match tokio::time::timeout(SILENCE_MAX, answers.message()).await {
                Ok(Ok(Some(message))) => message,
                Ok(Ok(None)) => {
                    let early = "the stream ended before everything was received";
                    return Ok(StreamEnd::Broken(Status::unavailable(early)));
                }
                Ok(Err(status)) => return Ok(StreamEnd::Broken(status)),
                Err(_) => return Ok(silence()),
            };
            if message.offset_bytes != *at || message.data.len() as u64 > self.wanted.size_bytes - *at {
                let (offset, length) = (message.offset_bytes, message.data.len());
                let detail = format!("it sent {length} bytes at {offset}, asked for those at {at}");
                return Err(ClientError::protocol(detail).into());
            }
            *at += message.data.len() as u64;
            if pieces.send(message.data).await.is_err() {
                return Ok(StreamEnd::NotWritten);
            }
            progress(*at);
        }
        Ok(StreamEnd::Complete)
    }
}

enum StreamEnd {
    Complete,
    /// The writing thread has ended; its own error says why.
    NotWritten,
    Broken(Status),
}

fn wanted(granted: &GrantedItem) -> Result<Wanted, ClientError> {
    Ok(Wanted {
        item: fixed("item_id", &granted.item_id).map_err(wrong_answer)?,
        size_bytes: granted.size_bytes,
        blake3: fixed("blake3", &granted.blake3).map_err(wrong_answer)?,
        sha256: fixed("sha256", &granted.sha256).map_err(wrong_answer)?,
    })
}

fn keep_receipt(path: &Path, receipt: &Bytes) -> Result<Option<PathBuf>, CopyOutError> {
    if receipt.is_empty() {
        return Ok(None);
    }
    let path = file::beside(path, ".receipt");
    file::replace(&path, receipt).map_err(CopyOutError::file("write", &path))?;
    Ok(Some(path))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ClientError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ClientError::protocol("a file thread died"))
}

fn wrong_answer(refusal: Refusal) -> ClientError {
    ClientError::protocol(refusal.message)
}

#[cfg(test)]
mod tests;

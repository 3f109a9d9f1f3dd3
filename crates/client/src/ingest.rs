//! One file into the cluster: read once, hashed as it is read, sent from where the cluster says, sealed, its receipt
//! verified and stored.
//!
//! ```text
//!  state file ─ OpenUpload ─┬─ hash what is committed ─ stream ─┬─ Seal ─ receipt ─ verify ─ FILE.receipt ─ state gone
//!                           └──────── broken: another node ─────┘
//! ```
//!
//! The state file (`FILE.strongroom-upload`) is written before the first call and holds the idempotency key: whoever
//! dies in between goes on with the same upload, and a file that is ingested twice by accident is still one item. The
//! BLAKE3 that the seal announces, and that the receipt must show, is of the bytes that this process read.

mod reading;
mod state;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use strongroom_proto::convert::{fixed, required};
use strongroom_proto::ingest::upload_request::Part as Sent;
use strongroom_proto::ingest::upload_response::Part as Told;
use strongroom_proto::ingest::{
    IngestOriginalRequest, OpenUploadRequest, OriginalDescription, SealRequest, UploadHeader, UploadRequest,
    UploadResponse,
};
use strongroom_types::{
    ActivityId, DeviceId, IdempotencyKey, ItemDigest, ItemId, MediaType, Reason, RecordSeq, Refusal, Sha256Digest,
    UnitId, UnixMillis, limits,
};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::{Status, Streaming};

use crate::call::{Attempts, Client, Endpoint};
use crate::error::{ClientError, ExitKind};
use crate::file;
use crate::services::id;
use reading::{Reader, Sending};
use state::UploadState;
use wire::Outgoing;

/// Pieces that are read and not yet sent.
const PIECES_AHEAD: usize = 4;
/// How often a stream that says nothing is looked at.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// What is known about an original before its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// Register number of the recording device.
    pub device: DeviceId,
    /// Unit that recorded it.
    pub unit: UnitId,
    /// File name on the device.
    pub file_name: String,
    /// Start by the device's clock.
    pub recorded_start: UnixMillis,
    /// End by the device's clock.
    pub recorded_end: UnixMillis,
    /// Enforcement activity, where known.
    pub activity: Option<ActivityId>,
    /// Labels known now.
    pub labels: BTreeMap<String, String>,
    /// What it is made of, where known.
    pub media_type: Option<MediaType>,
    /// What the device signed or computed of it: in which form, and its bytes.
    pub device_proof: Option<(String, Bytes)>,
}

/// Where the receipt goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ReceiptFile {
    /// `FILE.receipt`.
    #[default]
    Beside,
    /// This file.
    At(PathBuf),
    /// Nowhere: the caller keeps the bytes. The state file then stays until the caller calls
    /// [`forget_upload`], so that a death before the receipt is kept does not upload again.
    Nowhere,
}

/// How to ingest.
#[derive(Clone, Debug)]
pub struct IngestOptions {
    /// Where the receipt goes.
    pub receipt: ReceiptFile,
    /// Folder of the state file; none means beside the original, which must then be a folder that can be written.
    pub state_folder: Option<PathBuf>,
    /// Also compute SHA-256 here and announce it (0.65 CPU-seconds per GiB). The cluster computes it anyway, and BLAKE3
    /// compares the bytes from end to end.
    pub sha256: bool,
    /// Without any progress for this long, at any node, ingesting ends. It can be begun again, and goes on.
    pub stall_timeout: Duration,
    /// The receipt may be this long in coming.
    pub receipt_patience: Duration,
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self {
            receipt: ReceiptFile::Beside,
            state_folder: None,
            sha256: false,
            stall_timeout: Duration::from_secs(300),
            receipt_patience: Duration::from_secs(120),
        }
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngestProgress {
    /// Reading again what an earlier attempt has committed, for the digest.
    Hashing {
        /// Bytes read.
        done_bytes: u64,
        /// Bytes of the file.
        total_bytes: u64,
    },
    /// Bytes that are durable in the cluster.
    Committed {
        /// Bytes that a later attempt will not send again.
        done_bytes: u64,
        /// Bytes of the file.
        total_bytes: u64,
    },
    /// Everything is there; the seal and its receipt are under way.
    Sealing,
}

/// What a verified receipt says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptFacts {
    /// The item.
    pub item: ItemId,
    /// Length of the original.
    pub size_bytes: u64,
    /// BLAKE3 of the original.
    pub blake3: ItemDigest,
    /// SHA-256 of the original.
    pub sha256: Sha256Digest,
    /// When it was sealed.
    pub sealed_at: UnixMillis,
    /// Ledger position of the seal.
    pub record: RecordSeq,
}

/// Verifies a receipt offline and says what it says; the error is told to people as it is.
pub type VerifyReceipt = dyn Fn(&[u8]) -> Result<ReceiptFacts, String> + Send + Sync;

/// A file that is in the cluster, by a receipt that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestedItem {
    /// The item.
    pub item: ItemId,
    /// Length of the original.
    pub size_bytes: u64,
    /// BLAKE3 of the original.
    pub blake3: ItemDigest,
    /// SHA-256 of the original.
    pub sha256: Sha256Digest,
    /// When it was sealed.
    pub sealed_at: UnixMillis,
    /// Ledger position of the seal.
    pub record: RecordSeq,
    /// The receipt file, byte for byte.
    pub receipt: Bytes,
    /// Where the receipt was stored.
    pub receipt_path: Option<PathBuf>,
    /// True where the file's receipt was there already and nothing was sent.
    pub already_ingested: bool,
}

/// Why a file was not ingested.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The cluster refused or could not be reached.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The file, its state or its receipt could not be read or written.
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
    /// Somebody wrote to the file meanwhile. Nothing was sealed.
    #[error("{path} changed while it was read; nothing was sealed")]
    FileChanged {
        /// The file.
        path: PathBuf,
    },
    /// The cluster has other bytes than were read here. Nothing was sealed by this client.
    #[error("the cluster holds other bytes than {path} has: {what} is {theirs} there and {ours} here")]
    DigestMismatch {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// The cluster's.
        theirs: String,
        /// Ours.
        ours: String,
    },
    /// The receipt does not verify, or is not this file's. The device must not be cleared.
    #[error("could not accept the receipt of item {item}: {detail}; keep {path}")]
    ReceiptRejected {
        /// The file.
        path: PathBuf,
        /// The item.
        item: ItemId,
        /// What is wrong with it.
        detail: String,
    },
    /// A receipt is there already, and it is not this file's.
    #[error("{receipt} is there already and is not the receipt of this file: {detail}")]
    ReceiptInTheWay {
        /// The receipt's file.
        receipt: PathBuf,
        /// Why not.
        detail: String,
    },
    /// Nothing moved for too long.
    #[error("made no progress for {waited:?} at {done_bytes} of {total_bytes} bytes, last: {detail}")]
    Stalled {
        /// How long.
        waited: Duration,
        /// Bytes committed.
        done_bytes: u64,
        /// Bytes of the file.
        total_bytes: u64,
        /// What went wrong last.
        detail: String,
    },
}

impl IngestError {
    /// What a tool's exit code should say.
    #[must_use]
    pub const fn exit_kind(&self) -> ExitKind {
        match self {
            Self::Client(error) => error.exit_kind(),
            Self::File { .. }
            | Self::FileChanged { .. }
            | Self::DigestMismatch { .. }
            | Self::ReceiptRejected { .. }
            | Self::ReceiptInTheWay { .. }
            | Self::Stalled { .. } => ExitKind::Failed,
        }
    }

    fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { doing, path: path.to_owned(), source }
    }
}

/// Forgets how far an upload was: only for a caller with [`ReceiptFile::Nowhere`], once it has kept the receipt.
///
/// # Errors
/// [`IngestError::File`] where the state file cannot be removed.
pub fn forget_upload(path: &Path, options: &IngestOptions) -> Result<(), IngestError> {
    UploadState::remove(&state::path_of(path, options))
}

impl Client {
    /// Ingests a file; see the module. `progress` is called on the way, on this task.
    ///
    /// # Errors
    /// [`IngestError`]. Whatever it is, doing it again is safe and goes on where it was.
    pub async fn ingest_file(
        &self,
        path: &Path,
        original: &Original,
        options: &IngestOptions,
        verify: &VerifyReceipt,
        mut progress: impl FnMut(IngestProgress) + Send,
    ) -> Result<IngestedItem, IngestError> {
        let reader = Reader::open(path, options.sha256).map_err(IngestError::file("read", path))?;
        let receipt_path = match &options.receipt {
            ReceiptFile::Beside => Some(file::beside(path, ".receipt")),
            ReceiptFile::At(receipt) => Some(receipt.clone()),
            ReceiptFile::Nowhere => None,
        };
        let state_path = state::path_of(path, options);
        let job = Ingest { client: self, path, original, options, verify, receipt_path, state_path, reader };
        if let Some(done) = job.find_receipt(&mut progress).await? {
            return Ok(done);
        }
        match job.run(&mut progress).await {
            // The upload of an earlier attempt has expired: its bytes are gone, so it begins anew, once.
            Err(IngestError::Client(error)) if error.is(Reason::UploadExpired) => {
                UploadState::remove(&job.state_path)?;
                job.run(&mut progress).await
            }
            outcome => outcome,
        }
    }
}

struct Ingest<'a> {
    client: &'a Client,
    path: &'a Path,
    original: &'a Original,
    options: &'a IngestOptions,
    verify: &'a VerifyReceipt,
    receipt_path: Option<PathBuf>,
    state_path: PathBuf,
    reader: Reader,
}

impl Ingest<'_> {
    /// The file may have been ingested before: then its receipt stands beside it, and says so.
    async fn find_receipt(
        &self,
        progress: &mut (impl FnMut(IngestProgress) + Send),
    ) -> Result<Option<IngestedItem>, IngestError> {
        let Some(receipt_path) = self.receipt_path.clone() else { return Ok(None) };
        let there = file::read_durable(&receipt_path).map_err(IngestError::file("read", &receipt_path))?;
        let Some(receipt) = there else { return Ok(None) };
        let in_the_way = |detail| IngestError::ReceiptInTheWay { receipt: receipt_path.clone(), detail };
        let facts = (self.verify)(&receipt).map_err(in_the_way)?;
        self.hash_to(self.reader.size_bytes(), progress).await?;
        let digests = self.digests()?;
        digests.agree_with(&facts).map_err(in_the_way)?;
        UploadState::remove(&self.state_path)?;
        Ok(Some(IngestedItem { already_ingested: true, ..item_of(&facts, receipt.into(), self.receipt_path.clone()) }))
    }

    async fn run(&self, progress: &mut (impl FnMut(IngestProgress) + Send)) -> Result<IngestedItem, IngestError> {
        let look = self.reader.look();
        let state = UploadState::begin(&self.state_path, self.client.cluster(), look, self.original)?;
        let small = limits::SMALL_ORIGINAL_BYTES_MAX as u64;
        let (item, receipt) = if self.reader.size_bytes() <= small {
            self.ingest_small(&state.key, progress).await?
        } else {
            self.ingest_large(&state, progress).await?
        };
        let receipt = match receipt {
            Some(receipt) => receipt,
            None => self.wait_for_receipt(item).await?,
        };
        self.keep_receipt(item, receipt)
    }

    async fn ingest_small(
        &self,
        key: &IdempotencyKey,
        progress: &mut (impl FnMut(IngestProgress) + Send),
    ) -> Result<(ItemId, Option<Bytes>), IngestError> {
        let data = self.on_reader(Reader::read_all).await?;
        let digests = self.digests()?;
        progress(IngestProgress::Sealing);
        let request = IngestOriginalRequest {
            idempotency_key: key.to_string(),
            original: Some(self.description()),
            data,
            blake3: Bytes::copy_from_slice(digests.blake3.as_bytes()),
            sha256: digests.sha256_bytes(),
        };
        let sealed = self.client.ingest_original(request).await?;
        let theirs = fixed::<ItemDigest>("blake3", &sealed.blake3).map_err(wrong_answer)?;
        self.compare("BLAKE3", &theirs, &digests.blake3)?;
        let item = fixed("item_id", &sealed.item_id).map_err(wrong_answer)?;
        Ok((item, Some(sealed.receipt).filter(|receipt| !receipt.is_empty())))
    }

    async fn ingest_large(
        &self,
        state: &UploadState,
        progress: &mut (impl FnMut(IngestProgress) + Send),
    ) -> Result<(ItemId, Option<Bytes>), IngestError> {
        let total = self.reader.size_bytes();
        let item = match self.upload(&state.key, progress).await? {
            Uploaded::Received(item) => item,
            // By an attempt that died before its receipt was kept: only the receipt is missing.
            Uploaded::Sealed(item) => {
                self.hash_to(total, progress).await?;
                return Ok((item, None));
            }
        };
        let digests = self.digests()?;
        progress(IngestProgress::Sealing);
        let sealed = self
            .client
            .seal(SealRequest {
                idempotency_key: state.seal_key().to_string(),
                item_id: id(item.as_bytes()),
                size_bytes: total,
                blake3: Bytes::copy_from_slice(digests.blake3.as_bytes()),
                sha256: digests.sha256_bytes(),
            })
            .await?;
        Ok((item, Some(sealed.receipt).filter(|receipt| !receipt.is_empty())))
    }

    /// Streams until everything is received, or the item turns out to be sealed already.
    async fn upload(
        &self,
        key: &IdempotencyKey,
        progress: &mut (impl FnMut(IngestProgress) + Send),
    ) -> Result<Uploaded, IngestError> {
        let total = self.reader.size_bytes();
        let mut attempts = Attempts::new(self.options.stall_timeout, 1);
        let mut reached = Reached::default();
        loop {
            // Asked anew for each stream: only the cluster knows what is committed, and whether it is sealed.
            let open = self.open(key).await?;
            if open.sealed {
                return Ok(Uploaded::Sealed(open.item));
            }
            self.hash_to(open.committed_bytes, progress).await?;
            let before = reached;
            let endpoint = self.client.endpoint()?;
            match self.stream(&endpoint, open.item, &mut reached, progress).await? {
                StreamEnd::Received => return Ok(Uploaded::Received(open.item)),
                StreamEnd::Broken(status) => {
                    if reached != before {
                        attempts.refresh();
                    }
                    self.client.recover(&mut attempts, &endpoint, &status).await.map_err(|error| match error {
                        ClientError::Unreachable { waited, detail, .. } => IngestError::Stalled {
                            waited,
                            done_bytes: reached.committed_bytes,
                            total_bytes: total,
                            detail,
                        },
                        other => other.into(),
                    })?;
                }
            }
        }
    }

    async fn open(&self, key: &IdempotencyKey) -> Result<Open, IngestError> {
        let total = self.reader.size_bytes();
        let opened = self
            .client
            .open_upload(OpenUploadRequest {
                idempotency_key: key.to_string(),
                original: Some(self.description()),
                size_bytes: Some(total),
            })
            .await?;
        if opened.committed_bytes > total {
            return Err(too_much(opened.committed_bytes, total).into());
        }
        let item = fixed("item_id", &opened.item_id).map_err(wrong_answer)?;
        Ok(Open { item, committed_bytes: opened.committed_bytes, sealed: opened.sealed })
    }

    /// One stream at one node, to its end.
    async fn stream(
        &self,
        endpoint: &Endpoint,
        item: ItemId,
        reached: &mut Reached,
        progress: &mut (impl FnMut(IngestProgress) + Send),
    ) -> Result<StreamEnd, IngestError> {
        let (send, requests) = mpsc::channel(PIECES_AHEAD);
        let header = UploadRequest { part: Some(Sent::Header(UploadHeader { item_id: id(item.as_bytes()) })) };
        send.try_send(Outgoing::Message(header)).expect("a new channel has room");
        let deadline = self.client.settings().call_deadline;
        let begun = tokio::time::timeout(deadline, async {
            let mut answers = wire::upload(endpoint.channel.clone(), requests).await?;
            let first = answers.message().await?;
            Ok::<_, Status>((answers, first))
        });
        let (answers, first) = match begun.await {
            Ok(Ok(begun)) => begun,
            Ok(Err(status)) => return Ok(StreamEnd::Broken(status)),
            Err(_) => return Ok(StreamEnd::Broken(Status::deadline_exceeded("the upload was not accepted in time"))),
        };
        let from = match first.and_then(|message| message.part) {
            Some(Told::Accepted(accepted)) => accepted.offset_bytes,
            Some(Told::Progress(_) | Told::Received(_)) => {
                return Err(ClientError::protocol("the upload did not begin with its acceptance").into());
            }
            None => return Ok(StreamEnd::Broken(ended_early())),
        };
        let total = self.reader.size_bytes();
        if from > total {
            return Err(too_much(from, total).into());
        }
        reached.commit(from);
        progress(IngestProgress::Committed { done_bytes: from, total_bytes: total });
        self.hash_to(from, progress).await?;
        self.send_and_listen(from, send, answers, reached, progress).await
    }

    /// Reads, hashes and sends on a thread of its own, while this task listens.
    async fn send_and_listen(
        &self,
        from: u64,
        send: mpsc::Sender<Outgoing>,
        mut answers: Streaming<UploadResponse>,
        reached: &mut Reached,
        progress: &mut (impl FnMut(IngestProgress) + Send),
    ) -> Result<StreamEnd, IngestError> {
        let sending = Arc::new(Sending::from(from));
        // Also where this future is dropped: a thread that nobody waits for must not go on.
        let _stop = sending.stop_when_dropped();
        let (reader, told) = (self.reader.clone(), Arc::clone(&sending));
        let thread = tokio::task::spawn_blocking(move || reader.send(from, &send, &told));
        let total = self.reader.size_bytes();
        let end = listen(&mut answers, total, &sending, self.options.stall_timeout, reached, progress).await;
        sending.stop();
        thread
            .await
            .map_err(|_| ClientError::protocol("the reading thread died"))?
            .map_err(|error| self.read_error(error))?;
        let received = match end? {
            Listened::Broken(status) => return Ok(StreamEnd::Broken(status)),
            Listened::Received(received) => received,
        };
        let digests = self.digests()?;
        let theirs = fixed::<ItemDigest>("blake3", &received.blake3).map_err(wrong_answer)?;
        self.compare("the length", &received.size_bytes, &total)?;
        self.compare("BLAKE3", &theirs, &digests.blake3)?;
        Ok(StreamEnd::Received)
    }

    async fn wait_for_receipt(&self, item: ItemId) -> Result<Bytes, IngestError> {
        let begun = Instant::now();
        loop {
            match self.client.fetch_receipt(item).await {
                Ok(receipt) => return Ok(receipt),
                Err(error) if error.is(Reason::ReceiptPending) && begun.elapsed() < self.options.receipt_patience => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Only a receipt that verifies and speaks of these very bytes is kept; only then is the upload's state forgotten.
    fn keep_receipt(&self, item: ItemId, receipt: Bytes) -> Result<IngestedItem, IngestError> {
        let rejected = |detail| IngestError::ReceiptRejected { path: self.path.to_owned(), item, detail };
        let facts = (self.verify)(&receipt).map_err(rejected)?;
        if facts.item != item {
            return Err(rejected(format!("it is of item {}", facts.item)));
        }
        self.digests()?.agree_with(&facts).map_err(rejected)?;
        if let Some(path) = &self.receipt_path {
            file::replace(path, &receipt).map_err(IngestError::file("write", path))?;
            UploadState::remove(&self.state_path)?;
        }
        Ok(item_of(&facts, receipt, self.receipt_path.clone()))
    }

    /// Brings the digests up to `end`, reading without sending.
    async fn hash_to(&self, end: u64, progress: &mut (impl FnMut(IngestProgress) + Send)) -> Result<(), IngestError> {
        let total_bytes = self.reader.size_bytes();
        while self.reader.hashed_bytes() < end {
            let next = end.min(self.reader.hashed_bytes() + limits::PROGRESS_BYTES);
            self.on_reader(move |reader| reader.hash_to(next)).await?;
            progress(IngestProgress::Hashing { done_bytes: next, total_bytes });
        }
        Ok(())
    }

    async fn on_reader<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader) -> io::Result<T> + Send + 'static,
    ) -> Result<T, IngestError> {
        let reader = self.reader.clone();
        tokio::task::spawn_blocking(move || work(&reader))
            .await
            .map_err(|_| ClientError::protocol("the reading thread died"))?
            .map_err(|error| self.read_error(error))
    }

    /// The digests of the whole file, provided that it is still the file that was opened.
    fn digests(&self) -> Result<reading::Digests, IngestError> {
        self.reader.finish().map_err(|error| self.read_error(error))
    }

    fn read_error(&self, error: io::Error) -> IngestError {
        if reading::is_change(&error) {
            IngestError::FileChanged { path: self.path.to_owned() }
        } else {
            IngestError::File { doing: "read", path: self.path.to_owned(), source: error }
        }
    }

    fn compare<T: PartialEq + std::fmt::Display>(
        &self,
        what: &'static str,
        theirs: &T,
        ours: &T,
    ) -> Result<(), IngestError> {
        if theirs == ours {
            return Ok(());
        }
        Err(IngestError::DigestMismatch {
            path: self.path.to_owned(),
            what,
            theirs: theirs.to_string(),
            ours: ours.to_string(),
        })
    }

    fn description(&self) -> OriginalDescription {
        let original = self.original;
        OriginalDescription {
            device_id: original.device.to_string(),
            unit_id: original.unit.to_string(),
            file_name: original.file_name.clone(),
            recorded_start_unix_ms: original.recorded_start.0,
            recorded_end_unix_ms: original.recorded_end.0,
            activity_id: original.activity.as_ref().map(ToString::to_string).unwrap_or_default(),
            labels: original.labels.clone().into_iter().collect(),
            media_type: original.media_type.map_or("", MediaType::name).to_owned(),
            device_proof: original
                .device_proof
                .clone()
                .map(|(scheme, value)| strongroom_proto::ingest::DeviceProof { scheme, value }),
        }
    }
}

struct Open {
    item: ItemId,
    committed_bytes: u64,
    sealed: bool,
}

enum Uploaded {
    Received(ItemId),
    Sealed(ItemId),
}

enum StreamEnd {
    Received,
    Broken(Status),
}

/// The farthest that this upload has come: a change is progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reached {
    committed_bytes: u64,
    sent_bytes: u64,
}

impl Reached {
    fn commit(&mut self, bytes: u64) {
        self.committed_bytes = self.committed_bytes.max(bytes);
    }
}

enum Listened {
    Received(strongroom_proto::ingest::UploadReceived),
    Broken(Status),
}

/// Listens until the node has everything, the stream breaks, or neither side has moved for `stall_timeout`.
async fn listen(
    answers: &mut Streaming<UploadResponse>,
    total: u64,
    sending: &Sending,
    stall_timeout: Duration,
    reached: &mut Reached,
    progress: &mut (impl FnMut(IngestProgress) + Send),
) -> Result<Listened, IngestError> {
    let mut moved = Instant::now();
    let mut sent_before = sending.sent_bytes();
    loop {
        let answer = tokio::time::timeout(LOOK_PERIOD, answers.message()).await;
        let sent = sending.sent_bytes();
        reached.sent_bytes = reached.sent_bytes.max(sent);
        if sent != sent_before {
            (moved, sent_before) = (Instant::now(), sent);
        }
        match answer {
            Ok(Ok(Some(message))) => match required("part", message.part).map_err(wrong_answer)? {
                Told::Progress(told) => {
                    if told.committed_bytes > total {
                        return Err(too_much(told.committed_bytes, total).into());
                    }
                    moved = Instant::now();
                    reached.commit(told.committed_bytes);
                    progress(IngestProgress::Committed { done_bytes: told.committed_bytes, total_bytes: total });
                }
                Told::Received(received) => return Ok(Listened::Received(received)),
                Told::Accepted(_) => return Err(ClientError::protocol("the upload was accepted twice").into()),
            },
            Ok(Ok(None)) => return Ok(Listened::Broken(ended_early())),
            Ok(Err(status)) => return Ok(Listened::Broken(status)),
            Err(_) if moved.elapsed() >= stall_timeout => {
                return Ok(Listened::Broken(Status::deadline_exceeded("the upload stands still")));
            }
            Err(_) => {}
        }
    }
}

fn item_of(facts: &ReceiptFacts, receipt: Bytes, receipt_path: Option<PathBuf>) -> IngestedItem {
    IngestedItem {
        item: facts.item,
        size_bytes: facts.size_bytes,
        blake3: facts.blake3,
        sha256: facts.sha256,
        sealed_at: facts.sealed_at,
        record: facts.record,
        receipt,
        receipt_path,
        already_ingested: false,
    }
}

fn ended_early() -> Status {
    Status::unavailable("the stream ended before everything was received")
}

fn too_much(bytes: u64, total: u64) -> ClientError {
    ClientError::protocol(format!("it says that it has {bytes} bytes of a file of {total}"))
}

fn wrong_answer(refusal: Refusal) -> ClientError {
    ClientError::protocol(refusal.message)
}

#[cfg(test)]
mod tests;

//! Reads an original in pieces and hashes each byte once, however often it is sent.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use strongroom_proto::ingest::upload_request::Part;
use strongroom_proto::ingest::{UploadData, UploadRequest};
use strongroom_types::{ItemDigest, Sha256Digest, limits};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::ReceiptFacts;
use super::wire::Outgoing;
use crate::file::Look;

/// What the whole file hashes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) size_bytes: u64,
    pub(super) blake3: ItemDigest,
    pub(super) sha256: Option<Sha256Digest>,
}

impl Digests {
    pub(super) fn sha256_bytes(&self) -> Bytes {
        self.sha256.map(|digest| Bytes::copy_from_slice(digest.as_bytes())).unwrap_or_default()
    }

    /// Whether a receipt speaks of these bytes; the error says what differs.
    pub(super) fn agree_with(&self, facts: &ReceiptFacts) -> Result<(), String> {
        if facts.size_bytes != self.size_bytes {
            return Err(format!("it is of {} bytes, the file has {}", facts.size_bytes, self.size_bytes));
        }
        if facts.blake3 != self.blake3 {
            return Err(format!("its BLAKE3 is {}, the file's is {}", facts.blake3, self.blake3));
        }
        match self.sha256 {
            Some(ours) if ours != facts.sha256 => Err(format!("its SHA-256 is {}, the file's is {ours}", facts.sha256)),
            Some(_) | None => Ok(()),
        }
    }
}

/// How far a stream's sending is; also stops it.
pub(super) struct Sending {
    sent_bytes: AtomicU64,
    stopped: CancellationToken,
}

impl Sending {
    pub(super) fn from(offset: u64) -> Self {
        Self { sent_bytes: AtomicU64::new(offset), stopped: CancellationToken::new() }
    }

    /// Position behind the last byte that was given to the stream.
    pub(super) fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn stop(&self) {
        self.stopped.cancel();
    }

    pub(super) fn stop_when_dropped(&self) -> DropGuard {
        self.stopped.clone().drop_guard()
    }
}

/// An original, opened. Clones share the file and the digests.
#[derive(Clone)]
pub(super) struct Reader {
    look: Look,
    core: Arc<Mutex<Core>>,
}

struct Core {
    file: File,
    look: Look,
    hashed_bytes: u64,
    blake3: blake3::Hasher,
    sha256: Option<Sha256>,
}

impl Reader {
    /// Opens a file and keeps other ingesting processes off it.
    pub(super) fn open(path: &Path, sha256: bool) -> io::Result<Self> {
        let file = File::open(path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process is ingesting it"));
            }
            // Some file systems know no locks; the idempotency key still makes it one item.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let look = Look::of(&metadata);
        let core =
            Core { file, look, hashed_bytes: 0, blake3: blake3::Hasher::new(), sha256: sha256.then(Sha256::new) };
        Ok(Self { look, core: Arc::new(Mutex::new(core)) })
    }

    pub(super) const fn look(&self) -> Look {
        self.look
    }

    pub(super) const fn size_bytes(&self) -> u64 {
        self.look.size_bytes
    }

    pub(super) fn hashed_bytes(&self) -> u64 {
        self.core().hashed_bytes
    }

    /// Brings the digests up to `end`. Blocks.
    pub(super) fn hash_to(&self, end: u64) -> io::Result<()> {
        let mut core = self.core();
        let start = core.hashed_bytes;
        core.read_pieces(start, end, |_, _| Ok(()))
    }

    /// The whole file at once, for one that fits a message. Blocks.
    pub(super) fn read_all(&self) -> io::Result<Bytes> {
        let mut whole = Vec::new();
        self.core().read_pieces(0, self.look.size_bytes, |_, piece| {
            whole.extend_from_slice(&piece);
            Ok(())
        })?;
        Ok(whole.into())
    }

    /// Sends the file from `offset` to its end, and says so when it got there with the file unchanged. Ends early
    /// without an error where nobody listens any more. Blocks, on a thread of the runtime's.
    pub(super) fn send(&self, offset: u64, to: &mpsc::Sender<Outgoing>, sending: &Sending) -> io::Result<()> {
        let mut core = self.core();
        let put = |outgoing: Outgoing| {
            Handle::current().block_on(async {
                tokio::select! {
                    biased;
                    () = sending.stopped.cancelled() => Err(not_listening()),
                    sent = to.send(outgoing) => sent.map_err(|_| not_listening()),
                }
            })
        };
        let outcome = core.read_pieces(offset, self.look.size_bytes, |offset_bytes, data| {
            let end = offset_bytes + data.len() as u64;
            let message = UploadRequest { part: Some(Part::Data(UploadData { offset_bytes, data })) };
            put(Outgoing::Message(message))?;
            sending.sent_bytes.store(end, Ordering::Relaxed);
            Ok(())
        });
        match outcome.and_then(|()| core.check_unchanged()).and_then(|()| put(Outgoing::Finished)) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            outcome => outcome,
        }
    }

    /// The digests, provided that everything was hashed and the file is still what it was.
    pub(super) fn finish(&self) -> io::Result<Digests> {
        let core = self.core();
        core.check_unchanged()?;
        if core.hashed_bytes != self.look.size_bytes {
            return Err(changed());
        }
        Ok(Digests {
            size_bytes: self.look.size_bytes,
            blake3: ItemDigest::new(core.blake3.finalize().into()),
            sha256: core.sha256.as_ref().map(|hash| Sha256Digest::new(hash.clone().finalize().into())),
        })
    }

    /// A thread that died while hashing leaves digests that fit nothing, which the cluster's would show.
    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    fn read_pieces(
        &mut self,
        start: u64,
        end: u64,
        mut each: impl FnMut(u64, Bytes) -> io::Result<()>,
    ) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(start))?;
        let mut offset = start;
        while offset < end {
            let length = (end - offset).min(limits::MESSAGE_DATA_BYTES as u64);
            let mut piece = Vec::with_capacity(limits::MESSAGE_DATA_BYTES);
            (&mut self.file).take(length).read_to_end(&mut piece)?;
            if piece.len() as u64 != length {
                return Err(changed());
            }
            let piece = Bytes::from(piece);
            self.hash(offset, &piece);
            each(offset, piece)?;
            offset += length;
        }
        Ok(())
    }

    /// Hashes what of the piece was not hashed before. Nothing is ever left out: reading begins at or before
    /// `hashed_bytes`.
    fn hash(&mut self, offset: u64, piece: &Bytes) {
        assert!(offset <= self.hashed_bytes, "bytes between {} and {offset} were not hashed", self.hashed_bytes);
        let known = self.hashed_bytes - offset;
        let Some(new) = usize::try_from(known).ok().and_then(|known| piece.get(known..)) else { return };
        self.blake3.update(new);
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(new);
        }
        self.hashed_bytes += new.len() as u64;
    }

    fn check_unchanged(&self) -> io::Result<()> {
        if Look::of(&self.file.metadata()?) == self.look { Ok(()) } else { Err(changed()) }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("it changed while it was read")]
struct Changed;

fn changed() -> io::Error {
    io::Error::other(Changed)
}

/// Whether reading failed because somebody wrote to the file.
pub(super) fn is_change(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Changed>())
}

fn not_listening() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

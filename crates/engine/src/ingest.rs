//! How an original comes in: open, stream, seal.
//!
//! One stream owns an upload at a time (its epoch). Chunks are hashed and sealed in order on blocking threads, put
//! to their volumes several at once, and committed in steps of 64 MiB in order. A crash before a step leaves shards
//! that no manifest names; a crash after it loses nothing: the next stream starts at what is committed.

use std::{collections::BTreeMap, mem};

use bytes::Bytes;
use minicbor::bytes::ByteVec;
use strongroom_codec::{
    chunker::{Chunker, PlainChunk},
    seal::{self, ChunkPosition, ItemKey, SealedChunk},
    sha::{Sha256Midstate, Sha256Stream},
    tree::{self, ChunkValues},
};
use strongroom_custody::{
    self as custody, Actor,
    command::{CommitProgress, OpenUpload, ResumeUpload, Seal, SealOriginal},
    tables::{ChunkEntry, Description, ITEMS, ManifestRun, ManifestStep, UploadEnd},
    upload,
};
use strongroom_types::{
    ChunkIndex, ItemDigest, ItemId, Reason, RecordSeq, Refusal, Sha256Digest, SubtreeValue, UnixMillis, UploadEpoch,
    limits, rows::encode,
};
use tokio::{sync::OwnedSemaphorePermit, task::JoinSet};

use crate::{
    catalog::{Snapshot, broken, refusal_of},
    machine::{Answer, Idempotency, Outcome, remembered},
    place::{ChunkId, Placed},
    system::{Engine, off_the_runtime},
};

/// An upload as its caller finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The item.
    pub item: ItemId,
    /// Where to send from.
    pub committed_bytes: u64,
    /// Whether it is sealed already.
    pub sealed: bool,
}

/// A sealed item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The item.
    pub item: ItemId,
    /// Record of the seal.
    pub seq: RecordSeq,
    /// Wall time of the seal.
    pub sealed_at: UnixMillis,
}

/// Digests that the caller computed, where it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// BLAKE3.
    pub blake3: Option<ItemDigest>,
    /// SHA-256.
    pub sha256: Option<Sha256Digest>,
}

impl Engine {
    /// Opens an upload, or finds the one that the same key opened before.
    ///
    /// # Errors
    /// What `custody` refuses, or `NO_LEADER`.
    pub async fn open_upload(
        &self,
        actor: Actor,
        description: Description,
        idempotency: Idempotency,
    ) -> Result<Opened, Refusal> {
        // What this node's own rows do not know yet, `apply` does; what they know may be told no more.
        let before = match remembered_in(&self.catalog.read_here()?, &actor, &idempotency)? {
            None => None,
            Some(_) => remembered_in(&self.catalog.read().await?, &actor, &idempotency)?,
        };
        let (answer, drawn) = match before {
            Some(Outcome::Done(answer)) => (answer, None),
            // A key that was used for something else is refused where that becomes a record: by `apply`.
            Some(Outcome::Refused(_)) | None => {
                let open = self.new_item(description).await?;
                let drawn = open.item;
                let command = custody::Command::OpenUpload(open).into();
                (self.catalog.submit(actor, command, Some(idempotency)).await?, Some(drawn))
            }
        };
        match answer {
            // Opened by this very command: nobody can have sent anything.
            Answer::Custody(custody::Answer::UploadOpened(item)) if drawn == Some(item) => {
                Ok(Opened { item, committed_bytes: 0, sealed: false })
            }
            Answer::Custody(custody::Answer::UploadOpened(item)) => self.find_upload(item).await,
            other => Err(unexpected(&other)),
        }
    }

    /// Takes an upload over with a new stream. Every older stream can commit nothing more.
    ///
    /// # Errors
    /// What `custody` refuses, or `NO_LEADER`.
    pub async fn resume_upload(&self, actor: Actor, item: ItemId) -> Result<UploadStream, Refusal> {
        let resume = ResumeUpload { item, gateway: self.node };
        let epoch = match self.catalog.submit(actor, custody::Command::ResumeUpload(resume).into(), None).await? {
            Answer::Custody(custody::Answer::UploadResumed(epoch)) => epoch,
            other => return Err(unexpected(&other)),
        };
        let key = self.catalog.upload_key(item, epoch).await?;
        let rows = self.catalog.read().await?;
        let row = upload::check_owner(&*rows, item, epoch, self.node).map_err(refusal_of)?;
        let mut values = Vec::new();
        for step in upload::manifest(&*rows, item).map_err(|error| broken(&error))? {
            values.extend(step.runs.iter().flat_map(|run| run.chunks.iter().map(|chunk| chunk.value)));
        }
        let sha256 = match row.sha256_midstate.as_slice() {
            [] => Sha256Stream::new(),
            bytes => Sha256Stream::resume(minicbor::decode::<Sha256Midstate>(bytes).map_err(|error| broken(&error))?),
        };
        Ok(UploadStream {
            engine: self.clone(),
            id: StreamId { item, epoch },
            chunker: Chunker::resume(row.chunks),
            stage: Some(Stage { key, at: StreamId { item, epoch }, sha256 }),
            values,
            committed: row.chunks,
            committed_bytes: row.committed_bytes,
            end: row.end,
            staged: BTreeMap::new(),
            puts: JoinSet::new(),
            only: None,
        })
    }

    /// Seals a received upload.
    ///
    /// # Errors
    /// `DIGEST_MISMATCH` where the announced digests differ, `WRONG_STATE` where bytes are missing, or what
    /// `custody` refuses.
    pub async fn seal(
        &self,
        actor: Actor,
        item: ItemId,
        size_bytes: u64,
        announced: Announced,
        idempotency: Idempotency,
    ) -> Result<Sealed, Refusal> {
        let seal = Seal { item, size_bytes, blake3: announced.blake3, sha256: announced.sha256 };
        sealed(self.catalog.submit(actor, custody::Command::Seal(seal).into(), Some(idempotency)).await?)
    }

    /// Opens, stores and seals a small original in one go.
    ///
    /// # Errors
    /// As [`Self::seal`]; `INVALID_ARGUMENT` where it is larger than 1 MiB.
    pub async fn ingest_original(
        &self,
        actor: Actor,
        description: Description,
        data: Bytes,
        announced: Announced,
        idempotency: Idempotency,
    ) -> Result<(Sealed, UploadEnd), Refusal> {
        if data.len() > limits::SMALL_ORIGINAL_BYTES_MAX {
            return Err(Refusal::invalid(format!(
                "an original of {} bytes is too large for one call: open an upload for more than {} bytes",
                data.len(),
                limits::SMALL_ORIGINAL_BYTES_MAX
            )));
        }
        if !self.is_new_here(&actor, &idempotency)? {
            let rows = self.catalog.read().await?;
            match remembered_in(&rows, &actor, &idempotency)? {
                Some(Outcome::Done(answer)) => {
                    let sealed = sealed(answer)?;
                    let item = custody::item::sealed(&*rows, sealed.item).map_err(refusal_of)?;
                    return Ok((sealed, item.original));
                }
                // As above, and nothing is stored for such a key.
                Some(Outcome::Refused(refusal)) => {
                    drop(rows);
                    self.open_upload(actor, description, idempotency).await?;
                    return Err(refusal);
                }
                None => {}
            }
            // Who may not open an upload is refused before any byte is stored.
            refuse_early(&*rows, &actor)?;
        }
        let permit = self.chunk_permit().await;
        let (key, open) = self.new_item_with_key(description).await?;
        let (step, end) = self.place_small(open.item, key, data).await?;
        check_announced(&end, announced)?;
        drop(permit);
        let seal = custody::Command::SealOriginal(SealOriginal { open, step, end });
        Ok((sealed(self.catalog.submit(actor, seal.into(), Some(idempotency)).await?)?, end))
    }

    /// Whether this node's own rows know nothing against a new item under this key. They may be a moment old, which
    /// costs nothing but shards that nobody names: `apply` knows the key and the caller's rights as they are then.
    fn is_new_here(&self, actor: &Actor, idempotency: &Idempotency) -> Result<bool, Refusal> {
        let rows = self.catalog.read_here()?;
        let before = remembered_in(&rows, actor, idempotency)?;
        Ok(before.is_none() && refuse_early(&*rows, actor).is_ok())
    }

    async fn place_small(&self, item: ItemId, key: ItemKey, data: Bytes) -> Result<(ManifestStep, UploadEnd), Refusal> {
        let mut chunker = Chunker::new();
        let none_full = chunker.push(data).count();
        debug_assert_eq!(none_full, 0, "a small original is less than one chunk");
        let id = StreamId { item, epoch: UploadEpoch(0) };
        let mut stage = Stage { key, at: id, sha256: Sha256Stream::new() };
        let Some(plain) = chunker.finish() else {
            let end = UploadEnd { size_bytes: 0, blake3: empty_digest(), sha256: stage.sha256.finish() };
            return Ok((ManifestStep { runs: Vec::new() }, end));
        };
        let size_bytes = plain.bytes.len() as u64;
        let (done, sha256) = off_the_runtime(plain.bytes.len(), move || {
            let done = stage.run(plain);
            (done, stage.sha256.finish())
        })
        .await;
        let placed = self.place(id.chunk(ChunkIndex(0)), &done.sealed).await?;
        let value = done.value.settle(true);
        let entry = ChunkEntry { name: done.sealed.name, value };
        let run = run_of(id.epoch, ChunkIndex(0), entry, &placed);
        let blake3 = tree::item_digest(&[value], size_bytes).map_err(|error| broken(&error))?;
        Ok((ManifestStep { runs: vec![run] }, UploadEnd { size_bytes, blake3, sha256 }))
    }

    async fn find_upload(&self, item: ItemId) -> Result<Opened, Refusal> {
        let rows = self.catalog.read().await?;
        if ITEMS.read(&*rows, &item).map_err(|error| broken(&error))?.is_some() {
            return Ok(Opened { item, committed_bytes: 0, sealed: true });
        }
        let row = upload::read_upload(&*rows, item).map_err(refusal_of)?;
        Ok(Opened { item, committed_bytes: row.committed_bytes, sealed: false })
    }

    async fn new_item(&self, description: Description) -> Result<OpenUpload, Refusal> {
        Ok(self.new_item_with_key(description).await?.1)
    }

    async fn new_item_with_key(&self, description: Description) -> Result<(ItemKey, OpenUpload), Refusal> {
        let item = ItemId::new(self.system.draw());
        let (key, wrapped) = self.catalog.new_item_key(item).await?;
        let wrapped_key = ByteVec::from(encode(&wrapped));
        Ok((key, OpenUpload { item, description, wrapped_key, gateway: self.node }))
    }

    /// Waits for room to hold one more chunk: this is where a fast client is slowed down.
    pub(crate) async fn chunk_permit(&self) -> OwnedSemaphorePermit {
        std::sync::Arc::clone(&self.chunks).acquire_owned().await.expect("the semaphore is never closed")
    }
}

/// A stream that owns an upload.
pub struct UploadStream {
    engine: Engine,
    id: StreamId,
    chunker: Chunker,
    /// Absent only while a chunk is being hashed and sealed elsewhere.
    stage: Option<Stage>,
    /// Subtree values of every chunk so far, committed or not.
    values: Vec<SubtreeValue>,
    /// Chunks committed.
    committed: ChunkIndex,
    committed_bytes: u64,
    /// Present where an earlier stream received everything.
    end: Option<UploadEnd>,
    /// Chunks that are sealed, in order; those with a place are durable.
    staged: BTreeMap<ChunkIndex, StagedChunk>,
    /// Puts on their way.
    puts: JoinSet<(ChunkIndex, Result<Placed, Refusal>)>,
    /// Value of chunk 0 in case nothing follows it.
    only: Option<ChunkValues>,
}

#[derive(Clone, Copy)]
struct StreamId {
    item: ItemId,
    epoch: UploadEpoch,
}

impl StreamId {
    const fn chunk(self, index: ChunkIndex) -> ChunkId {
        ChunkId { item: self.item, epoch: self.epoch, index }
    }
}

struct StagedChunk {
    entry: ChunkEntry,
    bytes: u64,
    /// After this chunk; absent behind the ragged last one.
    midstate: Option<Sha256Midstate>,
    placed: Option<Placed>,
}

impl UploadStream {
    /// Position of the next byte that the stream takes; the end, where an earlier stream received everything.
    #[must_use]
    pub fn offset(&self) -> u64 {
        // The last chunk may be ragged: behind it, chunks no longer say how many bytes there are.
        self.end.map_or_else(|| self.chunker.offset(), |end| end.size_bytes)
    }

    /// Bytes committed so far.
    #[must_use]
    pub const fn committed_bytes(&self) -> u64 {
        self.committed_bytes
    }

    /// Whether everything was received by an earlier stream: nothing more is taken.
    #[must_use]
    pub const fn is_received(&self) -> bool {
        self.end.is_some()
    }

    /// Takes the next bytes. Returns when there is room for more.
    ///
    /// # Errors
    /// `OUT_OF_ORDER` where they do not follow, `UPLOAD_SUPERSEDED`, `PROMISE_UNMET`, or what `custody` refuses; the
    /// stream is over then, and the upload can be resumed.
    pub async fn push(&mut self, offset_bytes: u64, data: Bytes) -> Result<(), Refusal> {
        if offset_bytes != self.offset() || self.end.is_some() {
            return Err(Refusal::new(
                Reason::OutOfOrder,
                "",
                format!("bytes from {offset_bytes} on do not follow {}", self.offset()),
                "resume and send from where the node says",
            ));
        }
        if offset_bytes.saturating_add(data.len() as u64) > limits::ORIGINAL_BYTES_MAX {
            return Err(Refusal::invalid(format!("an original takes at most {} bytes", limits::ORIGINAL_BYTES_MAX)));
        }
        let full: Vec<_> = self.chunker.push(data).collect();
        for chunk in full {
            self.take(chunk).await?;
        }
        Ok(())
    }

    /// Ends the stream: everything is durable and committed when this returns.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub async fn finish(mut self) -> Result<UploadEnd, Refusal> {
        if let Some(end) = self.end {
            return Ok(end);
        }
        if let Some(last) = mem::take(&mut self.chunker).finish() {
            self.take(last).await?;
        }
        while !self.puts.is_empty() {
            self.put_done().await?;
        }
        while self.full_step() {
            self.commit(limits::PROGRESS_CHUNKS, None).await?;
        }
        let end = self.settle_end()?;
        self.commit(self.staged.len(), Some(end)).await?;
        Ok(end)
    }

    /// Hashes and seals a chunk in order, and starts to put it.
    async fn take(&mut self, plain: PlainChunk) -> Result<(), Refusal> {
        while self.puts.len() >= limits::UPLOAD_CHUNKS_IN_FLIGHT {
            self.put_done().await?;
        }
        let permit = self.engine.chunk_permit().await;
        let (index, bytes) = (plain.index, plain.bytes.len() as u64);
        let mut stage = self.stage.take().expect("a stream stages one chunk at a time");
        let (stage, done) = off_the_runtime(plain.bytes.len(), move || {
            let done = stage.run(plain);
            (stage, done)
        })
        .await;
        let midstate = stage.sha256.midstate();
        self.stage = Some(stage);
        let value = done.value.settle(false);
        if index.0 == 0 {
            self.only = Some(done.value);
        }
        self.values.push(value);
        let entry = ChunkEntry { name: done.sealed.name, value };
        self.staged.insert(index, StagedChunk { entry, bytes, midstate, placed: None });
        let (engine, chunk) = (self.engine.clone(), self.id.chunk(index));
        self.puts.spawn(async move {
            let placed = engine.place(chunk, &done.sealed).await;
            drop(permit);
            (index, placed)
        });
        Ok(())
    }

    /// Waits for one put, and commits a step where one is complete.
    async fn put_done(&mut self) -> Result<(), Refusal> {
        let Some(joined) = self.puts.join_next().await else { return Ok(()) };
        let (index, placed) = joined.map_err(|error| broken(&error))?;
        if let Some(chunk) = self.staged.get_mut(&index) {
            chunk.placed = Some(placed?);
        }
        // The newest chunk stays out of a step until another follows: it may be the last one.
        if self.full_step() && self.staged.len() > limits::PROGRESS_CHUNKS {
            self.commit(limits::PROGRESS_CHUNKS, None).await?;
        }
        Ok(())
    }

    fn full_step(&self) -> bool {
        self.staged.len() >= limits::PROGRESS_CHUNKS
            && self.staged.values().take(limits::PROGRESS_CHUNKS).all(|chunk| {
                chunk.placed.is_some() && chunk.midstate.is_some() && chunk.bytes == limits::CHUNK_BYTES as u64
            })
    }

    /// Commits the first `count` staged chunks; all of them are durable.
    async fn commit(&mut self, count: usize, end: Option<UploadEnd>) -> Result<(), Refusal> {
        let step: Vec<_> = self.staged.keys().take(count).copied().collect();
        let chunks: Vec<_> = step.iter().filter_map(|index| self.staged.remove(index)).collect();
        let bytes = chunks.iter().map(|chunk| chunk.bytes).sum();
        let midstate = chunks.last().and_then(|chunk| chunk.midstate).filter(|_| end.is_none());
        let progress = CommitProgress {
            item: self.id.item,
            epoch: self.id.epoch,
            first: self.committed,
            step: ManifestStep { runs: runs_of(self.id.epoch, self.committed, &chunks) },
            bytes,
            sha256_midstate: ByteVec::from(midstate.map(|midstate| encode(&midstate)).unwrap_or_default()),
            end,
        };
        let count = progress.step.chunk_count();
        let actor = Actor::Node(self.engine.node);
        match self.engine.catalog.submit(actor, custody::Command::CommitProgress(progress).into(), None).await? {
            Answer::Custody(custody::Answer::ProgressCommitted(committed_bytes)) => {
                self.committed = ChunkIndex(self.committed.0 + count);
                self.committed_bytes = committed_bytes;
                Ok(())
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Digests of the whole; what chunk 0 is worth depends on whether it is the only one.
    fn settle_end(&mut self) -> Result<UploadEnd, Refusal> {
        let staged_bytes: u64 = self.staged.values().map(|chunk| chunk.bytes).sum();
        let size_bytes = self.committed_bytes + staged_bytes;
        if let ([value], Some(values)) = (self.values.as_mut_slice(), self.only) {
            *value = values.settle(true);
            if let Some(chunk) = self.staged.get_mut(&ChunkIndex(0)) {
                chunk.entry.value = *value;
            }
        }
        let blake3 = tree::item_digest(&self.values, size_bytes).map_err(|error| broken(&error))?;
        let stage = self.stage.take().expect("nothing is being staged at the end");
        Ok(UploadEnd { size_bytes, blake3, sha256: stage.sha256.finish() })
    }
}

/// What is done to the plain bytes of a stream, in order.
struct Stage {
    key: ItemKey,
    at: StreamId,
    sha256: Sha256Stream,
}

struct Done {
    sealed: SealedChunk,
    value: ChunkValues,
}

impl Stage {
    fn run(&mut self, plain: PlainChunk) -> Done {
        self.sha256.update(&plain.bytes);
        let value = if plain.index.0 == 0 {
            tree::first_chunk_values(&plain.bytes)
        } else {
            let subtree = tree::chunk_value(plain.index, false, &plain.bytes);
            ChunkValues { subtree, plain_hash: subtree }
        };
        let position = ChunkPosition { item: self.at.item, upload_epoch: self.at.epoch, index: plain.index };
        Done { sealed: seal::seal(&self.key, position, plain.bytes), value }
    }
}

fn runs_of(epoch: UploadEpoch, first: ChunkIndex, chunks: &[StagedChunk]) -> Vec<ManifestRun> {
    let mut runs: Vec<ManifestRun> = Vec::new();
    for (index, chunk) in (first.0..).map(ChunkIndex).zip(chunks) {
        let placed = chunk.placed.clone().expect("only durable chunks are committed");
        match runs.last_mut() {
            Some(run) if run.volume == placed.volume && run.placement_epoch == placed.placement_epoch => {
                run.chunks.push(chunk.entry);
                run.absent.extend(placed.shards.absent(index));
            }
            Some(_) | None => runs.push(run_of(epoch, index, chunk.entry, &placed)),
        }
    }
    runs
}

fn run_of(epoch: UploadEpoch, first: ChunkIndex, entry: ChunkEntry, placed: &Placed) -> ManifestRun {
    ManifestRun {
        first,
        epoch,
        volume: placed.volume,
        placement_epoch: placed.placement_epoch,
        chunks: vec![entry],
        absent: placed.shards.absent(first),
    }
}

fn check_announced(end: &UploadEnd, announced: Announced) -> Result<(), Refusal> {
    let blake3_fits = announced.blake3.is_none_or(|blake3| blake3 == end.blake3);
    let sha256_fits = announced.sha256.is_none_or(|sha256| sha256 == end.sha256);
    if blake3_fits && sha256_fits {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::DigestMismatch,
        "G1",
        format!("what arrived has BLAKE3 {} and SHA-256 {}, which is not what was announced", end.blake3, end.sha256),
        "send the file again",
    ))
}

fn remembered_in(rows: &Snapshot, actor: &Actor, idempotency: &Idempotency) -> Result<Option<Outcome>, Refusal> {
    remembered(&**rows, actor, idempotency).map_err(|error| broken(&error))
}

fn refuse_early(rows: &dyn strongroom_types::rows::Rows, actor: &Actor) -> Result<(), Refusal> {
    match actor {
        Actor::Client(key) => {
            custody::access::authorize(rows, key, custody::Act::ItemSeal).map(|_| ()).map_err(refusal_of)
        }
        Actor::Node(_) => Ok(()),
    }
}

fn sealed(answer: Answer) -> Result<Sealed, Refusal> {
    match answer {
        Answer::Custody(custody::Answer::Sealed(item, seq, sealed_at)) => Ok(Sealed { item, seq, sealed_at }),
        other => Err(unexpected(&other)),
    }
}

/// An answer that does not belong to its question is a fault of ours.
pub(crate) fn unexpected(answer: &Answer) -> Refusal {
    Refusal::new(Reason::Internal, "", format!("the catalog gave an answer of another kind: {answer:?}"), "")
}

fn empty_digest() -> ItemDigest {
    tree::item_digest(&[], 0).expect("no chunks make an empty original")
}

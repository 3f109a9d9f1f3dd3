//! How footage goes out: a ticket under a committed session, any k shards, and no byte that was not verified.
//!
//! A chunk is fetched from the slots that answer first, decoded, compared with its name, opened, and compared with
//! its subtree value. A bad shard is reported and read around. When shards with fitting checksums decode to a wrong
//! chunk, other combinations are tried and the liar is named.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream, stream::FuturesUnordered};
use strongroom_codec::{
    chunker::{chunk_bytes, chunk_count},
    erasure::{self, DecodeError, Decoded},
    seal::{self, ChunkPosition, GcmTag, ItemKey},
    tree,
};
use strongroom_custody::{
    self as custody, Actor,
    command::{BeginSession, EndSession, Under},
    session,
    tables::{ChunkEntry, ItemRow, ManifestRun, ManifestStep},
    upload,
};
use strongroom_shardstore::{GetError, ShardAddress, VerifiedShard};
use strongroom_topology::{FaultKind, VolumeRow, read};
use strongroom_types::{
    ChunkIndex, ItemId, KeyHash, Reason, RecordSeq, Refusal, SessionId, ShardIndex, VolumeId, limits,
};
use tokio::task::JoinSet;
use tracing::warn;

use crate::{
    catalog::{broken, refusal_of},
    faults::BadShard,
    ingest::unexpected,
    machine::{Answer, Idempotency},
    system::Engine,
};

/// A shard that has not come after this long is hedged with another.
const HEDGE_AFTER: Duration = Duration::from_millis(250);
/// A shard that has not come after this long does not come.
const GET_DEADLINE: Duration = Duration::from_secs(5);
/// Chunks fetched ahead of the reader.
const READ_AHEAD: usize = 2;

/// A session that has begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The session.
    pub session: SessionId,
    /// Record of its beginning.
    pub seq: RecordSeq,
    /// What it may read.
    pub items: Vec<ItemId>,
}

/// Leave to read one item on this node. Only [`Engine::open_item`] makes one, under a committed session.
pub struct Ticket {
    reader: KeyHash,
    session: SessionId,
    item: ItemId,
    key: ItemKey,
    size_bytes: u64,
    steps: Vec<ManifestStep>,
    volumes: Vec<VolumeRow>,
    /// Boot time at which it is worth nothing.
    ends_at_ms: i64,
    rechecked_at_ms: std::sync::atomic::AtomicI64,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").field("session", &self.session).field("item", &self.item).finish_non_exhaustive()
    }
}

impl Ticket {
    /// Length of the original.
    #[must_use]
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

impl Engine {
    /// Begins a session. The record of it is committed before this returns.
    ///
    /// # Errors
    /// What `custody::session` refuses, or `NO_LEADER`.
    pub async fn begin(&self, actor: Actor, under: Under, idempotency: Idempotency) -> Result<Begun, Refusal> {
        let begin = BeginSession { session: SessionId::new(self.system.draw()), under };
        let answer =
            self.catalog.submit(actor, custody::Command::BeginSession(begin).into(), Some(idempotency)).await?;
        let Answer::Custody(custody::Answer::SessionBegun(session, seq)) = answer else {
            return Err(unexpected(&answer));
        };
        let rows = self.catalog.read().await?;
        let row = custody::tables::SESSIONS
            .read(&*rows, &session)
            .map_err(|error| broken(&error))?
            .ok_or_else(|| Refusal::not_found(format!("session {session}")))?;
        Ok(Begun { session, seq, items: row.items })
    }

    /// Ends a session.
    ///
    /// # Errors
    /// What `custody::session` refuses, or `NO_LEADER`.
    pub async fn end(
        &self,
        actor: Actor,
        session: SessionId,
        complete: bool,
        idempotency: Idempotency,
    ) -> Result<RecordSeq, Refusal> {
        let end = EndSession { session, complete };
        match self.catalog.submit(actor, custody::Command::EndSession(end).into(), Some(idempotency)).await? {
            Answer::Custody(custody::Answer::Recorded(seq)) => Ok(seq),
            other => Err(unexpected(&other)),
        }
    }

    /// Mints a ticket for one item of a session that `reader` began.
    ///
    /// # Errors
    /// What `custody::session::check_read` refuses, or `NO_LEADER`.
    pub async fn open_item(&self, reader: KeyHash, session: SessionId, item: ItemId) -> Result<Ticket, Refusal> {
        let rows = self.catalog.read().await?;
        session::check_read(&*rows, &reader, session, item).map_err(refusal_of)?;
        let row: ItemRow = custody::item::sealed(&*rows, item).map_err(refusal_of)?;
        let steps = upload::manifest(&*rows, item).map_err(|error| broken(&error))?;
        let ids: BTreeSet<VolumeId> = steps.iter().flat_map(|step| step.runs.iter().map(|run| run.volume)).collect();
        let volume = |id: VolumeId| {
            read::volume(&*rows, id)
                .map_err(|error| broken(&error))?
                .ok_or_else(|| Refusal::not_found(format!("volume {id}")))
        };
        let volumes = ids.into_iter().map(volume).collect::<Result<_, Refusal>>()?;
        drop(rows);
        let key = self.catalog.session_key(session, item).await?;
        let now = self.system.clock.boottime_ms();
        Ok(Ticket {
            reader,
            session,
            item,
            key,
            size_bytes: row.original.size_bytes,
            steps,
            volumes,
            ends_at_ms: now + limits::TICKET_MS,
            rechecked_at_ms: now.into(),
        })
    }

    /// The bytes of a range, in order, in pieces of at most a chunk.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` where the range is outside; each piece may be refused later on.
    pub fn read_range(
        &self,
        ticket: Arc<Ticket>,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> Result<impl Stream<Item = Result<(u64, Bytes), Refusal>> + Send + use<>, Refusal> {
        let size = ticket.size_bytes;
        let end = if length_bytes == 0 { size } else { offset_bytes.saturating_add(length_bytes) };
        if offset_bytes > size || end > size {
            return Err(Refusal::invalid(format!(
                "the range {offset_bytes}..{end} is outside an original of {size} bytes"
            )));
        }
        let chunk = limits::CHUNK_BYTES as u64;
        let indices = if offset_bytes == end { 0..0 } else { offset_bytes / chunk..end.div_ceil(chunk) };
        let engine = self.clone();
        let pieces = stream::iter(indices).map(move |index| {
            let (engine, ticket) = (engine.clone(), Arc::clone(&ticket));
            // A task of its own, ended with the stream: a reader who stands still asks for nothing, and what is under
            // way would keep its permit and run into its deadlines, for which other nodes would be blamed.
            let mut reading = JoinSet::new();
            reading.spawn(async move {
                let _permit = engine.chunk_permit().await;
                engine.recheck(&ticket).await?;
                engine.read_chunk(&ticket, ChunkIndex(index)).await
            });
            async move {
                let read = reading.join_next().await.expect("a task was spawned");
                let bytes = read.map_err(|error| broken(&error))??;
                let start = index * chunk;
                let from = usize::try_from(offset_bytes.saturating_sub(start)).unwrap_or(bytes.len());
                let to = usize::try_from(end - start).map_or(bytes.len(), |to| to.min(bytes.len()));
                Ok((start + from as u64, bytes.slice(from..to)))
            }
        });
        Ok(pieces.buffered(READ_AHEAD))
    }

    /// A ticket is good for a while, and only while its reader and session are.
    async fn recheck(&self, ticket: &Ticket) -> Result<(), Refusal> {
        use std::sync::atomic::Ordering;
        let now = self.system.clock.boottime_ms();
        if now >= ticket.ends_at_ms {
            return Err(Refusal::new(
                Reason::GrantEnded,
                "C5",
                "the ticket for this read has run out",
                "read on from where it stopped: the session spends no second use",
            ));
        }
        if now - ticket.rechecked_at_ms.load(Ordering::Relaxed) >= limits::TICKET_RECHECK_MS {
            let rows = self.catalog.read().await?;
            session::check_read(&*rows, &ticket.reader, ticket.session, ticket.item).map_err(refusal_of)?;
            ticket.rechecked_at_ms.store(now, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn read_chunk(&self, ticket: &Ticket, index: ChunkIndex) -> Result<Bytes, Refusal> {
        let sought = Sought::of(ticket, index)?;
        let decoded = self.gather(&sought).await?;
        let (at, plain_bytes, value) = (sought.position(), sought.plain_bytes, sought.entry.value);
        let only = chunk_count(ticket.size_bytes) == 1;
        for slot in &decoded.liars {
            self.report(&sought, *slot, FaultKind::Lying);
        }
        let key = ticket.key.clone();
        let plain = tokio::task::spawn_blocking(move || {
            let plain =
                seal::open(&key, at, plain_bytes, decoded.sealed, &decoded.tag).map_err(|error| error.to_string())?;
            tree::verify_chunk_value(index, only, &plain, &value).map_err(|error| error.to_string())?;
            Ok::<_, String>(plain)
        })
        .await
        .map_err(|error| broken(&error))?;
        plain.map_err(|why| {
            Refusal::new(Reason::Corrupt, "G1", why, "an operator must look: no wrong byte was handed out")
        })
    }

    /// Collects good shards until they decode: k to begin with, more where one is slow, bad, or where they do not fit.
    async fn gather(&self, sought: &Sought) -> Result<Decoded, Refusal> {
        let needed = sought.volume.scheme.data();
        let mut waiting: Vec<_> = self.by_preference(sought);
        waiting.reverse();
        let mut running = FuturesUnordered::new();
        let mut good: Vec<(ShardIndex, VerifiedShard)> = Vec::new();
        let start = |running: &FuturesUnordered<_>, waiting: &mut Vec<ShardIndex>| {
            if let Some(slot) = waiting.pop() {
                running.push(self.fetch(sought, slot));
            }
        };
        for _ in 0..needed {
            start(&running, &mut waiting);
        }
        while good.len() < needed && !running.is_empty() {
            match tokio::time::timeout(HEDGE_AFTER, running.next()).await {
                Ok(Some((slot, Some(shard)))) => good.push((slot, shard)),
                Ok(Some((_, None))) | Err(_) => start(&running, &mut waiting),
                Ok(None) => break,
            }
        }
        // The usual case, and the only time that the chunk is put together and named.
        let error = match sought.decode(&good).await {
            Ok(decoded) => return Ok(decoded),
            Err(error) if good.len() < needed => return Err(self.unreadable(sought, good.len(), &error)),
            Err(error) => error,
        };
        // Somebody lies: the more shards there are, the surer it is who.
        let found = good.len();
        while !waiting.is_empty() {
            start(&running, &mut waiting);
        }
        while let Some((slot, shard)) = running.next().await {
            good.extend(shard.map(|shard| (slot, shard)));
        }
        if good.len() == found {
            return Err(self.unreadable(sought, found, &error));
        }
        sought.decode(&good).await.map_err(|error| self.unreadable(sought, good.len(), &error))
    }

    /// This node's own slot first, even a parity slot: calculating a shard costs a tenth of what fetching one does. Then
    /// data slots, since they need no decoding; those that do not answer or take long last.
    fn by_preference(&self, sought: &Sought) -> Vec<ShardIndex> {
        let now = self.system.clock.boottime_ms();
        let data = sought.volume.scheme.data();
        let mut slots: Vec<_> = (0_u8..).zip(&sought.volume.slots).collect();
        slots.sort_by_key(|(index, slot)| {
            let absent = sought.run.absent.iter().any(|absent| absent.chunk == sought.index && absent.slot.0 == *index);
            let doubted = !self.health.is_up(slot.node, now) || self.health.is_slow(slot.node, now);
            (absent, doubted, slot.node != self.node, usize::from(*index) >= data, *index)
        });
        slots.into_iter().map(|(index, _)| ShardIndex(index)).collect()
    }

    async fn fetch(&self, sought: &Sought, slot: ShardIndex) -> (ShardIndex, Option<VerifiedShard>) {
        let place = sought.volume.slots[usize::from(slot.0)];
        let address = sought.address(slot);
        let Some(store) = self.shards.of(place.node) else { return (slot, None) };
        let got = tokio::time::timeout(GET_DEADLINE, store.get(place.disk, &address)).await;
        let shard = match got {
            Ok(Ok(shard)) if sought.fits(&shard) => Some(shard),
            Ok(Ok(_)) => {
                self.report(sought, slot, FaultKind::Lying);
                None
            }
            Ok(Err(error)) => {
                self.get_failed(sought, slot, &error);
                None
            }
            Err(_) => {
                self.health.failed(place.node, self.system.clock.boottime_ms());
                None
            }
        };
        (slot, shard)
    }

    fn get_failed(&self, sought: &Sought, slot: ShardIndex, error: &GetError) {
        let node = sought.volume.slots[usize::from(slot.0)].node;
        match error.reason() {
            Reason::Corrupt => self.report(sought, slot, FaultKind::Corrupt),
            Reason::NotFound => self.report(sought, slot, FaultKind::Missing),
            _ => {
                self.health.failed(node, self.system.clock.boottime_ms());
            }
        }
    }

    /// Leaves a note of a bad shard, once. The reader does not wait: it is about the shard, not about the read.
    fn report(&self, sought: &Sought, slot: ShardIndex, fault: FaultKind) {
        let place = sought.volume.slots[usize::from(slot.0)];
        let address = sought.address(slot);
        if self.faults.note(BadShard { address, node: place.node, disk: place.disk, fault }) {
            warn!(node_id = %place.node, shard = %address, fault = fault.name(), "bad shard was read around");
        }
    }

    fn unreadable(&self, sought: &Sought, found: usize, error: &DecodeError) -> Refusal {
        warn!(item_id = %sought.item, chunk = sought.index.0, found, %error, "chunk cannot be read");
        Refusal::new(
            Reason::ShardsMissing,
            "G1",
            format!(
                "chunk {} of item {} cannot be read now: {found} good shards of volume {} answered, {} are needed ({error})",
                sought.index,
                sought.item,
                sought.volume.id,
                sought.volume.scheme.data()
            ),
            "bring nodes of the volume back, or let an operator repair it; no wrong byte was handed out",
        )
    }
}

/// A chunk that is being read.
struct Sought {
    item: ItemId,
    index: ChunkIndex,
    run: ManifestRun,
    entry: ChunkEntry,
    volume: VolumeRow,
    plain_bytes: usize,
}

impl Sought {
    fn of(ticket: &Ticket, index: ChunkIndex) -> Result<Self, Refusal> {
        let lost = || {
            Refusal::new(
                Reason::Corrupt,
                "G1",
                format!("the manifest of item {} has no chunk {index}", ticket.item),
                "an operator must look",
            )
        };
        let mut runs = ticket.steps.iter().flat_map(|step| &step.runs);
        let run =
            runs.find(|run| run.first <= index && index.0 < run.first.0 + run.chunks.len() as u64).ok_or_else(lost)?;
        let position = usize::try_from(index.0 - run.first.0).map_err(|_| lost())?;
        let volume = ticket.volumes.iter().find(|volume| volume.id == run.volume).ok_or_else(lost)?;
        Ok(Self {
            item: ticket.item,
            index,
            entry: run.chunks[position],
            plain_bytes: chunk_bytes(ticket.size_bytes, index).ok_or_else(lost)?,
            volume: volume.clone(),
            run: run.clone(),
        })
    }

    const fn position(&self) -> ChunkPosition {
        ChunkPosition { item: self.item, upload_epoch: self.run.epoch, index: self.index }
    }

    const fn address(&self, slot: ShardIndex) -> ShardAddress {
        ShardAddress {
            item: self.item,
            index: self.index,
            upload_epoch: self.run.epoch,
            volume: self.run.volume,
            placement_epoch: self.run.placement_epoch,
            slot,
        }
    }

    /// Whether a shard claims to be of this chunk and has its length.
    fn fits(&self, shard: &VerifiedShard) -> bool {
        shard.header().chunk == self.entry.name
            && shard.payload().len() == self.volume.scheme.shard_bytes(self.plain_bytes)
    }

    /// The chunk, verified by its name.
    async fn decode(&self, shards: &[(ShardIndex, VerifiedShard)]) -> Result<Decoded, DecodeError> {
        let pieces: Vec<_> = shards
            .iter()
            .map(|(slot, shard)| (*slot, shard.payload().clone(), GcmTag::new(shard.header().tag)))
            .collect();
        let (scheme, plain_bytes, name) = (self.volume.scheme, self.plain_bytes, self.entry.name);
        tokio::task::spawn_blocking(move || erasure::decode_verified(scheme, pieces, plain_bytes, &name))
            .await
            .expect("decoding does not panic")
    }
}

//! The puts of one chunk: how long the last of them are waited for, and what is learnt of their nodes.
//!
//! ```text
//!  all at once ─┬─ all answered ────────────────────────────────────┐
//!               ├─ the promise is met, or out of reach ─ GRACE ─────┤
//!               ├─ most are durable, the rest takes far longer ─────┼─► judged by what is durable
//!               └─ PUT_DEADLINE ────────────────────────────────────┘
//! ```
//!
//! A chunk that counts before all of its puts have ended leaves the rest to themselves for a while: each shard that
//! becomes durable before the manifest is written is in it. One that does so later is listed as absent, which costs a
//! look of the repair and nothing else. No shard is ever listed as durable that is not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use strongroom_codec::seal::SealedChunk;
use strongroom_custody::tables::AbsentShard;
use strongroom_shardstore::{PutError, PutShard, ShardAddress};
use strongroom_topology::Slot;
use strongroom_types::{ChunkIndex, NodeId, ShardIndex};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};
use tracing::warn;

use crate::{
    cache::OpenVolume,
    place::ChunkId,
    system::{Engine, off_the_runtime},
};

/// A put that takes longer than this counts as failed; the shard may become durable all the same.
const PUT_DEADLINE: Duration = Duration::from_secs(4);
/// The same in a volume with a node that is known to be slow, since there is none without it. Below what the calls
/// between nodes allow, so that this says how long.
const SLOW_PUT_DEADLINE: Duration = Duration::from_secs(9);
/// Once it is settled whether the chunk counts, puts that are about to end have this long.
const GRACE: Duration = Duration::from_millis(200);
/// A put is slow that takes so many times as long as the middle one of its chunk, and this much longer besides. Disks
/// that share a machine or flush a cache differ by less.
const SLOW_FACTOR: u32 = 3;
const SLOW_BY: Duration = Duration::from_millis(1500);

/// Which shards of a chunk are durable. A put that ends late still sets its own.
#[derive(Clone, Debug)]
pub(crate) struct DurableShards(Arc<[AtomicBool]>);

impl DurableShards {
    fn none_of(total: usize) -> Self {
        Self((0..total).map(|_| AtomicBool::new(false)).collect())
    }

    fn set(&self, index: usize) {
        self.0[index].store(true, Ordering::Release);
    }

    /// As it is now, in slot order.
    pub(crate) fn flags(&self) -> Vec<bool> {
        self.0.iter().map(|durable| durable.load(Ordering::Acquire)).collect()
    }

    /// What the manifest must say is absent, as it is now.
    pub(crate) fn absent(&self, chunk: ChunkIndex) -> Vec<AbsentShard> {
        let slots = self.flags().into_iter().zip(0_u8..);
        slots.filter(|(durable, _)| !durable).map(|(_, slot)| AbsentShard { chunk, slot: ShardIndex(slot) }).collect()
    }
}

/// One put that has ended.
struct Ended {
    index: usize,
    node: NodeId,
    took: Duration,
    durable: bool,
}

type Puts = FuturesUnordered<BoxFuture<'static, Ended>>;

impl Engine {
    /// Puts all shards at once. Returns when it is settled whether the chunk counts, or when waiting is over.
    pub(crate) async fn put_shards(
        &self,
        chunk: ChunkId,
        sealed: &SealedChunk,
        volume: &Arc<OpenVolume>,
    ) -> DurableShards {
        let scheme = volume.row.scheme;
        let of_chunk = sealed.clone();
        let shards = off_the_runtime(sealed.bytes.len(), move || of_chunk.shards(scheme)).await;
        let mut race = Race::new(Arc::clone(volume), self.patience(volume));
        let durable = race.durable.clone();
        let mut puts: Puts = shards
            .into_iter()
            .zip(&volume.row.slots)
            .zip(0_u8..)
            .map(|((payload, slot), index)| {
                let put = PutShard {
                    disk: slot.disk,
                    address: address(chunk, volume, ShardIndex(index)),
                    chunk: sealed.name,
                    tag: *sealed.tag.as_bytes(),
                    sealed_bytes: sealed.bytes.len() as u64,
                    payload,
                    payload_crc32c: None,
                };
                self.clone().put_one(*slot, put, durable.clone()).boxed()
            })
            .collect();
        self.follow(&mut race, &mut puts, Race::waits_until).await;
        self.note_unanswered(&race);
        // Late puts of a chunk that does not count are debris either way, and end here.
        if race.may_finish_late() && !puts.is_empty() {
            tokio::spawn(self.clone().finish_late(race, puts));
        }
        durable
    }

    /// Takes note of puts as they end.
    async fn follow(&self, race: &mut Race, puts: &mut Puts, until: fn(&Race) -> Instant) {
        while let Ok(Some(ended)) = timeout_at(until(race), puts.next()).await {
            race.note(&ended, &self.late_chunks);
            if ended.durable && race.slow_after().is_some_and(|after| ended.took >= after) {
                self.note_slow(ended.node);
            }
        }
    }

    /// What is left of a chunk that counts already.
    async fn finish_late(self, mut race: Race, mut puts: Puts) {
        self.follow(&mut race, &mut puts, Race::is_slow_from).await;
        self.note_unanswered(&race);
        self.follow(&mut race, &mut puts, Race::ends_at).await;
    }

    fn patience(&self, volume: &OpenVolume) -> Patience {
        let now = self.system.clock.boottime_ms();
        if volume.row.slots.iter().any(|slot| self.health.is_slow(slot.node, now)) {
            Patience::Long
        } else {
            Patience::Short
        }
    }

    async fn put_one(self, slot: Slot, shard: PutShard, durable: DurableShards) -> Ended {
        let (began, index) = (Instant::now(), usize::from(shard.address.slot.0));
        let stored = self.put(slot, shard).await;
        if stored {
            durable.set(index);
        }
        Ended { index, node: slot.node, took: began.elapsed(), durable: stored }
    }

    async fn put(&self, slot: Slot, shard: PutShard) -> bool {
        let Some(store) = self.shards.of(slot.node) else {
            self.avoid(slot.node, "no address is known");
            return false;
        };
        match store.put(shard).await {
            Ok(()) => {
                self.health.stored(slot.node);
                true
            }
            Err(error) => {
                self.put_failed(slot, &error);
                false
            }
        }
    }

    /// A full or failed disk and an unreachable node are avoided for a while; a refused shard says nothing of its node.
    fn put_failed(&self, slot: Slot, error: &PutError) {
        match error {
            PutError::Unavailable { .. } => self.avoid(slot.node, &error.to_string()),
            PutError::DiskFull { .. } | PutError::DiskFailed { .. } | PutError::UnknownDisk { .. } => {
                if self.health.refused(slot.node, self.system.clock.boottime_ms()) {
                    warn!(node_id = %slot.node, %error, "node is avoided for new chunks");
                }
            }
            PutError::PayloadSize { .. }
            | PutError::ChecksumMismatch { .. }
            | PutError::Conflict { .. }
            | PutError::Erased { .. } => warn!(node_id = %slot.node, %error, "shard was refused"),
        }
    }

    fn avoid(&self, node: NodeId, why: &str) {
        if self.health.failed(node, self.system.clock.boottime_ms()) {
            warn!(node_id = %node, error = why, "node is avoided for new chunks");
        }
    }

    /// Judges those that said nothing for as long as they could have.
    fn note_unanswered(&self, race: &Race) {
        let waited = race.began.elapsed();
        for node in race.unanswered() {
            if waited >= race.patience.longest() {
                self.avoid(node, "no answer in time");
            } else if race.slow_after().is_some_and(|after| waited >= after) {
                self.note_slow(node);
            }
        }
    }

    fn note_slow(&self, node: NodeId) {
        if self.health.lagged(node, self.system.clock.boottime_ms()) {
            warn!(node_id = %node, "node is far slower than the others and avoided for new chunks");
        }
    }
}

const fn address(chunk: ChunkId, volume: &OpenVolume, slot: ShardIndex) -> ShardAddress {
    ShardAddress {
        item: chunk.item,
        index: chunk.index,
        upload_epoch: chunk.epoch,
        volume: volume.row.id,
        placement_epoch: volume.row.placement_epoch,
        slot,
    }
}

/// How long the puts of a chunk are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// A node that turns out to be slow is left for a volume without it.
    Short,
    /// The volume has a node that is known to be slow: there is none without it.
    Long,
}

impl Patience {
    const fn longest(self) -> Duration {
        match self {
            Self::Short => PUT_DEADLINE,
            Self::Long => SLOW_PUT_DEADLINE,
        }
    }
}

/// Whether the chunk counts, whatever becomes of the puts that are still under way.
enum Settled {
    /// It does, and it may be held for the late ones.
    Met { _held: OwnedSemaphorePermit },
    /// Too much failed.
    OutOfReach,
}

/// The puts of a chunk against each other and the clock.
struct Race {
    volume: Arc<OpenVolume>,
    patience: Patience,
    began: Instant,
    durable: DurableShards,
    answered: Vec<bool>,
    /// How long each durable one took: ascending, since all began at once.
    took: Vec<Duration>,
    settled: Option<(Settled, Instant)>,
}

impl Race {
    fn new(volume: Arc<OpenVolume>, patience: Patience) -> Self {
        let total = volume.row.scheme.total();
        Self {
            volume,
            patience,
            began: Instant::now(),
            durable: DurableShards::none_of(total),
            answered: vec![false; total],
            took: Vec::new(),
            settled: None,
        }
    }

    /// Counts a put that has ended. A chunk for whose late shards there is no room waits for them.
    fn note(&mut self, ended: &Ended, late_chunks: &Arc<Semaphore>) {
        self.answered[ended.index] = true;
        if ended.durable {
            self.took.push(ended.took);
        }
        if self.settled.is_none() {
            let settled = if self.volume.counts(&self.durable.flags()) {
                Arc::clone(late_chunks).try_acquire_owned().ok().map(|held| Settled::Met { _held: held })
            } else {
                (!self.volume.counts(&self.hoped_for())).then_some(Settled::OutOfReach)
            };
            self.settled = settled.map(|settled| (settled, Instant::now()));
        }
    }

    const fn may_finish_late(&self) -> bool {
        matches!(self.settled, Some((Settled::Met { .. }, _)))
    }

    /// What is durable if all that is under way ends well.
    fn hoped_for(&self) -> Vec<bool> {
        self.durable.flags().iter().zip(&self.answered).map(|(durable, answered)| *durable || !answered).collect()
    }

    fn waits_until(&self) -> Instant {
        let longest = self.began + self.patience.longest();
        let until = match (&self.settled, self.patience) {
            (Some((_, at)), _) => *at + GRACE,
            (None, Patience::Short) => self.is_slow_from(),
            (None, Patience::Long) => longest,
        };
        until.min(longest)
    }

    /// From when on a put that has not ended is slow.
    fn is_slow_from(&self) -> Instant {
        self.slow_after().map_or_else(|| self.ends_at(), |after| self.began + after)
    }

    fn ends_at(&self) -> Instant {
        self.began + SLOW_PUT_DEADLINE
    }

    /// How long a put of this chunk takes that is slow. Unknown before more than half of them are durable: if most take
    /// long, it is not their nodes that are slow.
    fn slow_after(&self) -> Option<Duration> {
        self.took.get(self.answered.len() / 2).map(|middle| *middle * SLOW_FACTOR + SLOW_BY)
    }

    fn unanswered(&self) -> impl Iterator<Item = NodeId> {
        let slots = self.volume.row.slots.iter().zip(&self.answered);
        slots.filter(|(_, answered)| !**answered).map(|(slot, _)| slot.node)
    }
}

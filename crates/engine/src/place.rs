//! Puts a sealed chunk where it counts: durable shards that survive what the class promises and, separately, any
//! one node. A peer that is slow or dead does not stall the camera: the chunk goes to a narrower volume, for good.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use strongroom_codec::seal::SealedChunk;
use strongroom_custody::tables::AbsentShard;
use strongroom_shardstore::{PutError, PutShard, ShardAddress};
use strongroom_topology::{self as topology, Slot};
use strongroom_types::{
    ChunkIndex, ItemId, NodeId, PlacementEpoch, Reason, Refusal, ShardIndex, UploadEpoch, VolumeId,
};
use tracing::warn;

use crate::{
    cache::OpenVolume,
    system::{Engine, off_the_runtime},
};

/// A put that takes longer than this counts as failed; the shard may become durable all the same.
const PUT_DEADLINE: Duration = Duration::from_secs(4);
/// Volumes that are tried for one chunk before the upload is told to come back.
const ATTEMPTS_MAX: u64 = 8;
/// Pause between two attempts that found no volume: a peer may be restarting.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(400);

/// Which chunk of which stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChunkId {
    pub(crate) item: ItemId,
    pub(crate) epoch: UploadEpoch,
    pub(crate) index: ChunkIndex,
}

/// Where a chunk is durable.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) volume: VolumeId,
    pub(crate) placement_epoch: PlacementEpoch,
    pub(crate) absent: Vec<AbsentShard>,
}

impl Engine {
    /// Makes the chunk durable in some open volume.
    pub(crate) async fn place(&self, chunk: ChunkId, sealed: &SealedChunk) -> Result<Placed, Refusal> {
        let mut last = None;
        for attempt in 0..ATTEMPTS_MAX {
            let spread = chunk.index.0.wrapping_add(u64::from(chunk.item.as_bytes()[15])).wrapping_add(attempt);
            match self.volumes.open_volume(spread, self.system.clock.boottime_ms()).await {
                Ok(volume) => match self.place_in(chunk, sealed, &volume).await {
                    Ok(placed) => return Ok(placed),
                    Err(refusal) => last = Some(refusal),
                },
                Err(refusal) if refusal.reason.kind() != strongroom_types::ErrorKind::TryAgain => return Err(refusal),
                Err(refusal) => {
                    last = Some(refusal);
                    tokio::time::sleep(ATTEMPT_PAUSE).await;
                }
            }
        }
        Err(last.unwrap_or_else(|| Refusal::new(Reason::PromiseUnmet, "C4", "no volume took the chunk", "try again")))
    }

    async fn place_in(
        &self,
        chunk: ChunkId,
        sealed: &SealedChunk,
        volume: &Arc<OpenVolume>,
    ) -> Result<Placed, Refusal> {
        let durable = self.put_shards(chunk, sealed, volume).await;
        if topology::meets(volume.promise, volume.row.scheme, &volume.places, &durable) {
            let absent = durable.iter().zip(0_u8..).filter(|(durable, _)| !**durable);
            return Ok(Placed {
                volume: volume.row.id,
                placement_epoch: volume.row.placement_epoch,
                absent: absent.map(|(_, slot)| AbsentShard { chunk: chunk.index, slot: ShardIndex(slot) }).collect(),
            });
        }
        // The shards that did become durable are debris of this volume: the manifest will name another, and a
        // committed permit erases them after the upload is sealed or expired.
        self.volumes.forget();
        let count = durable.iter().filter(|durable| **durable).count();
        Err(Refusal::new(
            Reason::PromiseUnmet,
            "C4",
            format!(
                "{count} of {} shards of a chunk became durable in volume {}, which does not keep the promise {}",
                durable.len(),
                volume.row.id,
                volume.promise
            ),
            "try again: a volume that avoids the nodes which did not answer is opened where there is one",
        ))
    }

    /// Puts all shards at once and says which became durable.
    async fn put_shards(&self, chunk: ChunkId, sealed: &SealedChunk, volume: &OpenVolume) -> Vec<bool> {
        let scheme = volume.row.scheme;
        let of_chunk = sealed.clone();
        let shards = off_the_runtime(sealed.bytes.len(), move || of_chunk.shards(scheme)).await;
        let mut puts: FuturesUnordered<_> = shards
            .into_iter()
            .zip(volume.row.slots.iter())
            .zip(0_u8..)
            .map(|((payload, slot), index)| {
                let address = ShardAddress {
                    item: chunk.item,
                    index: chunk.index,
                    upload_epoch: chunk.epoch,
                    volume: volume.row.id,
                    placement_epoch: volume.row.placement_epoch,
                    slot: ShardIndex(index),
                };
                let put = PutShard {
                    disk: slot.disk,
                    address,
                    chunk: sealed.name,
                    tag: *sealed.tag.as_bytes(),
                    sealed_bytes: sealed.bytes.len() as u64,
                    payload,
                    payload_crc32c: None,
                };
                async move { (usize::from(index), self.put(*slot, put).await) }
            })
            .collect();
        let mut durable = vec![false; scheme.total()];
        while let Some((index, done)) = puts.next().await {
            durable[index] = done;
        }
        durable
    }

    async fn put(&self, slot: Slot, shard: PutShard) -> bool {
        let Some(store) = self.shards.of(slot.node) else {
            self.avoid(slot.node, "no address is known");
            return false;
        };
        match tokio::time::timeout(PUT_DEADLINE, store.put(shard)).await {
            Ok(Ok(())) => {
                self.health.answered(slot.node);
                true
            }
            Ok(Err(error)) => {
                self.put_failed(slot, &error);
                false
            }
            Err(_) => {
                self.avoid(slot.node, "no answer in time");
                false
            }
        }
    }

    /// A full or failed disk and an unreachable node are avoided for a while; a refused shard says nothing of its node.
    fn put_failed(&self, slot: Slot, error: &PutError) {
        match error {
            PutError::DiskFull { .. }
            | PutError::DiskFailed { .. }
            | PutError::Unavailable { .. }
            | PutError::UnknownDisk { .. } => {
                self.avoid(slot.node, &error.to_string());
            }
            PutError::PayloadSize { .. }
            | PutError::ChecksumMismatch { .. }
            | PutError::Conflict { .. }
            | PutError::Erased { .. } => warn!(node_id = %slot.node, %error, "shard was refused"),
        }
    }

    fn avoid(&self, node: NodeId, why: &str) {
        let now = self.system.clock.boottime_ms();
        if self.health.is_up(node, now) {
            warn!(node_id = %node, error = why, "node is avoided for new chunks");
        }
        self.health.failed(node, now);
    }
}

//! Puts a sealed chunk where it counts: durable shards that survive what the class promises and, separately, any
//! one node. A peer that is slow or dead does not stall the camera: the chunk goes to a narrower volume, for good. How
//! long the shards of one volume are waited for is in `puts`.

use std::{sync::Arc, time::Duration};

use strongroom_codec::seal::SealedChunk;
use strongroom_types::{ChunkIndex, ItemId, PlacementEpoch, Reason, Refusal, UploadEpoch, VolumeId};

use crate::{cache::OpenVolume, puts::DurableShards, system::Engine};

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
    pub(crate) shards: DurableShards,
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
        let shards = self.put_shards(chunk, sealed, volume).await;
        let durable = shards.flags();
        if volume.counts(&durable) {
            return Ok(Placed { volume: volume.row.id, placement_epoch: volume.row.placement_epoch, shards });
        }
        // The shards that did become durable are debris of this volume: the manifest will name another, and a
        // committed permit erases them after the upload is sealed or expired.
        self.volumes.forget();
        let count = durable.iter().filter(|durable| **durable).count();
        Err(Refusal::new(
            Reason::PromiseUnmet,
            "C4",
            format!(
                "{count} of {} shards of a chunk became durable in time in volume {}, which does not keep the promise {}",
                durable.len(),
                volume.row.id,
                volume.promise
            ),
            "try again: a volume that avoids the nodes which did not answer is opened where there is one",
        ))
    }
}

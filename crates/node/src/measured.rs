//! This node's disks, with a stopwatch.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use strongroom_shardstore::{
    DiskKeeper, DiskStat, GetError, LocalShards, PutError, PutShard, ShardAddress, ShardStore, VerifiedShard,
};
use strongroom_types::DiskId;

use crate::metrics;

/// [`LocalShards`] whose puts and gets are measured.
pub(crate) struct MeasuredShards(pub(crate) Arc<LocalShards>);

impl MeasuredShards {
    pub(crate) fn stat(&self) -> Vec<DiskStat> {
        self.0.stat()
    }
}

#[async_trait]
impl ShardStore for MeasuredShards {
    async fn put(&self, shard: PutShard) -> Result<(), PutError> {
        let (begun, bytes) = (Instant::now(), shard.payload.len());
        let outcome = self.0.put(shard).await;
        metrics::shard_put(begun.elapsed(), bytes, outcome.is_ok());
        outcome
    }

    async fn get(&self, disk: DiskId, address: &ShardAddress) -> Result<VerifiedShard, GetError> {
        let begun = Instant::now();
        let outcome = self.0.get(disk, address).await;
        metrics::shard_get(begun.elapsed(), outcome.is_ok());
        outcome
    }
}

//! This node's disks, with a stopwatch.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use strongroom_shardstore::{
    DiskStat, EraseError, ErasePermit, Erasure, GetError, ListError, ListedShard, LocalShards, PutError, PutShard,
    ShardAddress, ShardHeader, ShardStore, StatError, VerifiedShard,
};
use strongroom_types::DiskId;

use crate::metrics;

/// [`LocalShards`] whose puts and gets are measured.
pub(crate) struct MeasuredShards(pub(crate) Arc<LocalShards>);

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

    async fn scrub(&self, disk: DiskId, address: &ShardAddress) -> Result<ShardHeader, GetError> {
        self.0.scrub(disk, address).await
    }

    async fn list(
        &self,
        disk: DiskId,
        after: Option<ShardAddress>,
        limit: usize,
    ) -> Result<Vec<ListedShard>, ListError> {
        self.0.list(disk, after, limit).await
    }

    async fn stat(&self) -> Result<Vec<DiskStat>, StatError> {
        self.0.stat().await
    }

    async fn erase(&self, disk: DiskId, permit: &ErasePermit) -> Result<Erasure, EraseError> {
        self.0.erase(disk, permit).await
    }
}

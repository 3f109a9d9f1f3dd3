//! Shards into and out of a [`LocalShards`] on the disk of the temporary folder: 1 MiB each, as many at once as one
//! gateway has under way, each acknowledged only when it is durable.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use bytes::Bytes;
use strongroom_shardstore::{
    Disk, DiskConfig, DiskMarker, ExpectedMarker, LocalShards, PutShard, ShardAddress, ShardStore, StoreSettings,
};
use strongroom_types::{
    ChunkDigest, ChunkIndex, ClusterId, DiskId, ItemId, NodeId, PlacementEpoch, ShardIndex, UploadEpoch, VolumeId,
};
use tokio::task::JoinSet;

use super::{Stages, median, per_gib};
use crate::{Scale, one_worker, sys};

const DISK: DiskId = DiskId::new([1; 16]);
const SHARD_BYTES: usize = 1 << 20;
const AT_ONCE: usize = 16;

pub(super) fn measure(scale: Scale, stages: &mut Stages) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let runtime = one_worker()?;
    let store = Arc::new(open(folder.path().join("disk"))?);
    let (rounds, shards) = (scale.pick(5, 3), scale.pick(256, 64));
    let (mut append, mut rate, mut read) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let (first, bytes) = (round * shards, shards * SHARD_BYTES);
        let (cpu, clock) = (sys::process_cpu(), Instant::now());
        runtime.block_on(for_each(first..first + shards, |index| put(Arc::clone(&store), index)));
        append.push(per_gib(sys::process_cpu() - cpu, bytes));
        rate.push(f64::from(u32::try_from(shards)?) / clock.elapsed().as_secs_f64());
        let cpu = sys::process_cpu();
        runtime.block_on(for_each(first..first + shards, |index| read_back(Arc::clone(&store), index)));
        read.push(per_gib(sys::process_cpu() - cpu, bytes));
    }
    runtime.block_on(store.shutdown());
    (stages.shard_append, stages.shard_append_mib_s, stages.shard_read) = (median(append), median(rate), median(read));
    Ok(())
}

fn open(path: std::path::PathBuf) -> Result<LocalShards> {
    let marker = DiskMarker {
        format_version: DiskMarker::FORMAT_VERSION,
        cluster: ClusterId::new([2; 16]),
        node: NodeId(1),
        disk: DISK,
        genesis: [3; 32],
        trial: true,
    };
    Disk::format(&path, &marker)?;
    let expected = ExpectedMarker { cluster: marker.cluster, node: marker.node, genesis: marker.genesis };
    Ok(LocalShards::open(&[DiskConfig { path, capacity_bytes: None }], &expected, &StoreSettings::default())?)
}

async fn for_each<F>(indexes: std::ops::Range<usize>, work: impl Fn(usize) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for index in indexes {
        if tasks.len() == AT_ONCE {
            tasks.join_next().await.expect("some run").expect("no panic");
        }
        tasks.spawn(work(index));
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("no panic");
    }
}

async fn put(store: Arc<LocalShards>, index: usize) {
    // As from a network buffer: not aligned to anything.
    static SOURCE: [u8; SHARD_BYTES + 4096] = [0x5a; SHARD_BYTES + 4096];
    let start = index % 4000 + 1;
    let shard = PutShard {
        disk: DISK,
        address: address(index),
        chunk: ChunkDigest::new([4; 32]),
        tag: [5; 16],
        sealed_bytes: 4 << 20,
        payload: Bytes::from_static(&SOURCE[start..start + SHARD_BYTES]),
        payload_crc32c: None,
    };
    store.put(shard).await.expect("stored");
}

async fn read_back(store: Arc<LocalShards>, index: usize) {
    assert_eq!(store.get(DISK, &address(index)).await.expect("found").payload().len(), SHARD_BYTES);
}

fn address(index: usize) -> ShardAddress {
    ShardAddress {
        item: ItemId::new([6; 16]),
        index: ChunkIndex(index as u64),
        upload_epoch: UploadEpoch(1),
        volume: VolumeId(1),
        placement_epoch: PlacementEpoch(0),
        slot: ShardIndex(0),
    }
}

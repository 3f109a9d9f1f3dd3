//! What one disk does with 1 MiB shards: MiB/s and CPU-seconds per GiB, by how many puts are under way at once.
//!
//! `cargo bench -p strongroom-shardstore [-- FOLDER]`; the folder should be on the disk in question.

#![allow(clippy::print_stdout)]

use std::{fs, path::PathBuf, sync::Arc, time::Instant};

use bytes::Bytes;
use strongroom_shardstore::{
    Disk, DiskConfig, DiskKeeper, DiskMarker, ExpectedMarker, LocalShards, PutShard, ShardAddress, ShardStore,
    StoreSettings, crc32c,
};
use strongroom_types::{
    ChunkDigest, ChunkIndex, ClusterId, DiskId, ItemId, NodeId, PlacementEpoch, ShardIndex, UploadEpoch, VolumeId,
};
use tokio::{runtime::Builder, task::JoinSet};

const DISK: DiskId = DiskId::new([1; 16]);
const SHARDS: u64 = 1024;

fn main() {
    let base =
        std::env::args().skip(1).find(|arg| !arg.starts_with('-')).map_or_else(std::env::temp_dir, PathBuf::from);
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    for parallel in [1, 4, 8, 24, 64] {
        let folder = tempfile::tempdir_in(&base).expect("a folder");
        let store = Arc::new(open(folder.path().join("disk")));
        let put = measure(|| runtime.block_on(in_parallel(parallel, &store, put)));
        let cold = measure(|| runtime.block_on(in_parallel(parallel, &store, get)));
        let warm = measure(|| runtime.block_on(in_parallel(parallel, &store, get)));
        let scrub = measure(|| runtime.block_on(in_parallel(parallel, &store, scrub)));
        println!("{parallel:3} at once: put {put} · get {cold} · again {warm} · scrub {scrub}");
        runtime.block_on(store.shutdown());
    }
}

fn open(path: PathBuf) -> LocalShards {
    let marker = DiskMarker {
        format_version: DiskMarker::FORMAT_VERSION,
        cluster: ClusterId::new([2; 16]),
        node: NodeId(1),
        disk: DISK,
        genesis: [3; 32],
        trial: true,
    };
    Disk::format(&path, &marker).expect("formats");
    let expected = ExpectedMarker { cluster: marker.cluster, node: marker.node, genesis: marker.genesis };
    let config = DiskConfig { path, capacity_bytes: None };
    LocalShards::open(&[config], &expected, &StoreSettings::default()).expect("opens")
}

async fn in_parallel<F>(parallel: u64, store: &Arc<LocalShards>, work: fn(Arc<LocalShards>, u64) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for index in 0..SHARDS {
        if u64::try_from(tasks.len()).expect("few") == parallel {
            tasks.join_next().await.expect("some run").expect("no panic");
        }
        tasks.spawn(work(Arc::clone(store), index));
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("no panic");
    }
}

async fn put(store: Arc<LocalShards>, index: u64) {
    // As from a network buffer: not aligned to anything.
    static SOURCE: [u8; (1 << 20) + 4096] = [0x5a; (1 << 20) + 4096];
    let start = usize::try_from(index % 4000).expect("small") + 1;
    let payload = Bytes::from_static(&SOURCE[start..start + (1 << 20)]);
    let payload_crc32c = Some(crc32c(&payload));
    let shard = PutShard {
        disk: DISK,
        address: address(index),
        chunk: ChunkDigest::new([4; 32]),
        tag: [5; 16],
        sealed_bytes: 4 << 20,
        payload,
        payload_crc32c,
    };
    store.put(shard).await.expect("stored");
}

async fn get(store: Arc<LocalShards>, index: u64) {
    assert_eq!(store.get(DISK, &address(index)).await.expect("found").payload().len(), 1 << 20);
}

async fn scrub(store: Arc<LocalShards>, index: u64) {
    store.scrub(DISK, &address(index)).await.expect("good");
}

fn address(index: u64) -> ShardAddress {
    ShardAddress {
        item: ItemId::new([6; 16]),
        index: ChunkIndex(index),
        upload_epoch: UploadEpoch(1),
        volume: VolumeId(1),
        placement_epoch: PlacementEpoch(0),
        slot: ShardIndex(0),
    }
}

fn measure(work: impl FnOnce()) -> String {
    let (start, cpu) = (Instant::now(), cpu_seconds());
    work();
    let seconds = start.elapsed().as_secs_f64();
    let mebibytes = f64::from(u32::try_from(SHARDS).expect("small"));
    format!("{:5.0} MiB/s {:.2} CPU-s/GiB", mebibytes / seconds, (cpu_seconds() - cpu) * 1024.0 / mebibytes)
}

/// User and system time of this process, from `/proc` in ticks of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("a Linux machine");
    let after_name = stat.rsplit(')').next().expect("a name in parentheses");
    after_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().expect("a number") / 100.0).sum()
}

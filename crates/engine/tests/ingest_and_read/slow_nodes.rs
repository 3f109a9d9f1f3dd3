//! Nodes that take long, in memory: the camera does not wait for them, what it is told is durable is so, and they are
//! used again. Time is tokio's own and stands still while anybody works, so that nothing here depends on speed.

use std::time::Duration;

use strongroom_custody::{tables::ManifestRun, upload};
use strongroom_engine::Catalog;
use strongroom_shardstore::{MemoryFault, ShardAddress};
use strongroom_topology::{Promise, VolumeRow, read};
use strongroom_types::{ChunkIndex, ItemId, NodeId, ShardIndex, limits::CHUNK_BYTES};

use crate::cluster::{Cluster, disk};
use crate::footage;

/// Longer than any node is avoided.
const LATER_MS: i64 = 60_000;
/// A put is far slower than the others then, and would still be answered in time.
const SLOW: Duration = Duration::from_millis(2500);

fn set_fault(cluster: &Cluster, node: u64, fault: MemoryFault) {
    cluster.disks[usize::try_from(node - 1).expect("few")].set_fault(disk(node), fault);
}

/// The runs of an original, each with its volume.
async fn runs_of(cluster: &Cluster, item: ItemId) -> Vec<(ManifestRun, VolumeRow)> {
    let rows = cluster.catalog.read().await.expect("reads");
    let steps = upload::manifest(&*rows, item).expect("reads");
    let runs = steps.into_iter().flat_map(|step| step.runs);
    runs.map(|run| {
        let volume = read::volume(&*rows, run.volume).expect("reads").expect("a volume");
        (run, volume)
    })
    .collect()
}

/// The schemes of an original's volumes, and whether any of them has a slot on a node.
async fn placed(cluster: &Cluster, item: ItemId, node: u64) -> (Vec<String>, bool) {
    let volumes: Vec<_> = runs_of(cluster, item).await.into_iter().map(|(_, volume)| volume).collect();
    let has_node = volumes.iter().any(|volume| volume.slots.iter().any(|slot| slot.node.0 == node));
    (volumes.iter().map(|volume| volume.scheme.to_string()).collect(), has_node)
}

#[tokio::test(start_paused = true)]
async fn a_slow_node_is_left_for_narrower_volumes_and_used_again_later() {
    let cluster = Cluster::new().await;
    let engine = cluster.engine();
    for fault in [MemoryFault::Slow(SLOW), MemoryFault::Stalled] {
        set_fault(&cluster, 3, fault);
        let bytes = footage(6 * CHUNK_BYTES + 5);
        let (item, ..) = cluster.ingest(&engine, &bytes).await.expect("ingests");
        assert_eq!(placed(&cluster, item, 3).await, (vec!["3+2".to_owned()], false), "{fault:?}");
        set_fault(&cluster, 3, MemoryFault::None);
        assert_eq!(cluster.copy_out(&engine, item).await.expect("reads"), bytes, "{fault:?}");
        let (item, ..) = cluster.ingest(&engine, b"soon").await.expect("ingests");
        assert_eq!(placed(&cluster, item, 3).await, (vec!["3+2".to_owned()], false), "not at once, {fault:?}");
        cluster.clock.advance(LATER_MS);
        let (item, ..) = cluster.ingest(&engine, b"later").await.expect("ingests");
        assert_eq!(placed(&cluster, item, 3).await, (vec!["4+2".to_owned()], true), "used again, {fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_far_behind_is_waited_for() {
    let cluster = Cluster::new().await;
    let engine = cluster.engine();
    set_fault(&cluster, 3, MemoryFault::Slow(Duration::from_millis(400)));
    let (item, ..) = cluster.ingest(&engine, &footage(3 * CHUNK_BYTES)).await.expect("ingests");
    assert_eq!(placed(&cluster, item, 3).await, (vec!["4+2".to_owned()], true));
    assert!(engine.health().avoided(0).all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn where_most_nodes_take_long_it_is_not_their_fault() {
    let cluster = Cluster::new().await;
    let engine = cluster.engine();
    for node in [1, 2, 3] {
        set_fault(&cluster, node, MemoryFault::Slow(SLOW));
    }
    let (item, ..) = cluster.ingest(&engine, &footage(3 * CHUNK_BYTES)).await.expect("ingests");
    assert_eq!(placed(&cluster, item, 3).await, (vec!["4+2".to_owned()], true));
    assert!(engine.health().avoided(0).all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_slow_node_that_the_promise_needs_is_waited_for() {
    let cluster = Cluster::new().await;
    let engine = cluster.engine();
    // Three nodes are left, of which two are in one district: no chunk survives that district without the third.
    for node in [1, 4, 6] {
        set_fault(&cluster, node, MemoryFault::Unreachable);
    }
    set_fault(&cluster, 3, MemoryFault::Slow(Duration::from_secs(6)));
    let bytes = footage(3 * CHUNK_BYTES);
    let (item, ..) = cluster.ingest(&engine, &bytes).await.expect("ingests");
    assert_eq!(placed(&cluster, item, 3).await, (vec!["1+2".to_owned()], true));
    assert_eq!(cluster.copy_out(&engine, item).await.expect("reads"), bytes);
}

/// Whether a shard is on its disk.
fn is_there(cluster: &Cluster, item: ItemId, run: &ManifestRun, volume: &VolumeRow, chunk: u64, slot: u8) -> bool {
    let address = ShardAddress {
        item,
        index: ChunkIndex(chunk),
        upload_epoch: run.epoch,
        volume: run.volume,
        placement_epoch: run.placement_epoch,
        slot: ShardIndex(slot),
    };
    let place = volume.slots[usize::from(slot)];
    let store = &cluster.disks[usize::try_from(place.node.0 - 1).expect("few")];
    store.addresses(place.disk).contains(&address)
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_counts_goes_on_and_its_late_shards_count_from_when_they_are_durable() {
    for fault in [MemoryFault::Slow(Duration::from_millis(700)), MemoryFault::Stalled] {
        // Any five shards of six survive any one node.
        let cluster = Cluster::promising(Promise::SurviveNode).await;
        let engine = cluster.engine();
        set_fault(&cluster, 3, fault);
        let bytes = footage(17 * CHUNK_BYTES + 9);
        let (item, ..) = cluster.ingest(&engine, &bytes).await.expect("ingests");
        let runs = runs_of(&cluster, item).await;
        let mut absent = 0;
        for (run, volume) in &runs {
            for chunk in run.first.0..run.first.0 + run.chunks.len() as u64 {
                for slot in 0..u8::try_from(volume.slots.len()).expect("few") {
                    let listed = run.absent.iter().any(|shard| (shard.chunk.0, shard.slot.0) == (chunk, slot));
                    absent += usize::from(listed);
                    let there = is_there(&cluster, item, run, volume, chunk, slot);
                    assert!(listed || there, "{fault:?}: shard {slot} of chunk {chunk} is named and not durable");
                    assert!(!listed || volume.slots[usize::from(slot)].node.0 == 3, "{fault:?}: only the slow one's");
                }
            }
        }
        let first = &runs[0].0;
        let first_is_whole = !first.absent.iter().any(|shard| shard.chunk == first.first);
        if fault == MemoryFault::Stalled {
            assert!(!first_is_whole, "nothing was stored on node 3");
            let narrower = placed(&cluster, item, 3).await.0.contains(&"3+2".to_owned());
            assert!(narrower, "in the end it is avoided");
        } else {
            assert!(first_is_whole && absent > 0, "{absent} absent");
        }
        set_fault(&cluster, 3, MemoryFault::None);
        assert_eq!(cluster.copy_out(&engine, item).await.expect("reads"), bytes, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_was_full_is_used_again_whatever_its_node_says_meanwhile() {
    let cluster = Cluster::new().await;
    let engine = cluster.engine();
    set_fault(&cluster, 5, MemoryFault::Full);
    let (item, ..) = cluster.ingest(&engine, b"full").await.expect("ingests");
    assert_eq!(placed(&cluster, item, 5).await, (vec!["3+2".to_owned()], false));
    // It answers every ping.
    engine.health().answered(NodeId(5));
    let (puts, _) = cluster.disks[4].calls(disk(5));
    let (item, ..) = cluster.ingest(&engine, b"still full").await.expect("ingests");
    assert_eq!(placed(&cluster, item, 5).await, (vec!["3+2".to_owned()], false));
    assert_eq!(cluster.disks[4].calls(disk(5)).0, puts, "not tried with every chunk");
    set_fault(&cluster, 5, MemoryFault::None);
    cluster.clock.advance(LATER_MS);
    let (item, ..) = cluster.ingest(&engine, b"free").await.expect("ingests");
    assert_eq!(placed(&cluster, item, 5).await, (vec!["4+2".to_owned()], true));
}

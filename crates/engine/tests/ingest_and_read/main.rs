//! The data path end to end, in memory: what goes in comes out, whatever the shards do, or a clear error does.

mod cluster;
#[path = "../people/mod.rs"]
mod people;
mod slow_nodes;

use bytes::Bytes;
use cluster::{Cluster, client, description, disk};
use people::key;
use strongroom_custody::{command::Under, tables::ManifestStep, upload};
use strongroom_engine::{Catalog, Idempotency, ingest::Announced, receipt::CustodyRecords};
use strongroom_ledger::tree;
use strongroom_package::verify_receipt;
use strongroom_shardstore::{MemoryFault, ShardAddress};
use strongroom_topology::read;
use strongroom_types::{
    ChunkIndex, CommandDigest, ItemId, NodeId, Reason, Role, Sha256Digest, ShardIndex, limits::CHUNK_BYTES,
};

fn footage(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect()
}

/// Every shard of a chunk, with the node that holds it.
async fn shards_of(cluster: &Cluster, item: ItemId, index: u64) -> Vec<(u64, ShardAddress)> {
    let rows = cluster.catalog.read().await.expect("reads");
    let steps: Vec<ManifestStep> = upload::manifest(&*rows, item).expect("reads");
    let run = steps
        .iter()
        .flat_map(|step| &step.runs)
        .find(|run| run.first.0 <= index && index < run.first.0 + run.chunks.len() as u64)
        .expect("a run");
    let volume = read::volume(&*rows, run.volume).expect("reads").expect("a volume");
    (0..)
        .zip(&volume.slots)
        .map(|(slot, place)| {
            let address = ShardAddress {
                item,
                index: ChunkIndex(index),
                upload_epoch: run.epoch,
                volume: run.volume,
                placement_epoch: run.placement_epoch,
                slot: ShardIndex(slot),
            };
            (place.node.0, address)
        })
        .collect()
}

#[tokio::test]
async fn originals_of_every_awkward_size_come_back_identical() {
    let cluster = Cluster::new().await;
    let engine = cluster.engine();
    for size in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 17 * CHUNK_BYTES + 12_345] {
        let bytes = footage(size);
        let (item, end, _) = cluster.ingest(&engine, &bytes).await.expect("ingests");
        assert_eq!(end.blake3.as_bytes(), blake3::hash(&bytes).as_bytes(), "{size}");
        assert_eq!(end.sha256, sha256(&bytes), "{size}");
        assert_eq!(cluster.copy_out(&engine, item).await.expect("reads"), bytes, "{size}");
    }
}

#[tokio::test]
async fn an_original_in_one_call_is_the_same_as_a_streamed_one() {
    let cluster = Cluster::new().await;
    let engine = cluster.engine();
    for size in [0, 1, 4096, 1 << 20] {
        let bytes = footage(size);
        let data = Bytes::from(bytes.clone());
        let once = cluster.once();
        let ingest = |once| {
            engine.ingest_original(client(Role::Station), description(), data.clone(), Announced::default(), once)
        };
        let (sealed, end) = ingest(once.clone()).await.expect("ingests");
        assert_eq!(end.blake3.as_bytes(), blake3::hash(&bytes).as_bytes(), "{size}");
        assert_eq!(end.sha256, sha256(&bytes), "{size}");
        assert_eq!(ingest(once).await.expect("answers again"), (sealed, end), "the same key is the same item");
        assert_eq!(cluster.copy_out(&engine, sealed.item).await.expect("reads"), bytes, "{size}");
    }
    let wrong = Announced { sha256: Some(Sha256Digest::new([0; 32])), blake3: None };
    let refused = engine
        .ingest_original(client(Role::Station), description(), Bytes::from_static(b"x"), wrong, cluster.once())
        .await;
    assert_eq!(refused.expect_err("another digest").reason, Reason::DigestMismatch);
}

#[tokio::test]
async fn a_key_that_was_used_for_something_else_is_refused_and_the_refusal_is_a_record() {
    let cluster = Cluster::new().await;
    let engine = cluster.engine();
    let other = |mut once: Idempotency| {
        once.request = CommandDigest::new([0xee; 32]);
        once
    };
    let records = || {
        let rows = cluster.catalog.read_here().expect("reads");
        tree::head(&*rows).expect("reads").size
    };
    let station = client(Role::Station);

    let once = cluster.once();
    engine.open_upload(station.clone(), description(), once.clone()).await.expect("opens");
    let before = records();
    let refused = engine.open_upload(station.clone(), description(), other(once)).await.expect_err("another upload");
    assert_eq!((refused.reason, records()), (Reason::IdempotencyKeyReused, before + 1));

    let once = cluster.once();
    let small = Bytes::from_static(b"small");
    let ingest =
        |once| engine.ingest_original(station.clone(), description(), small.clone(), Announced::default(), once);
    ingest(once.clone()).await.expect("ingests");
    let before = records();
    let refused = ingest(other(once)).await.expect_err("another original");
    assert_eq!((refused.reason, records()), (Reason::IdempotencyKeyReused, before + 1));
}

#[tokio::test]
async fn a_newer_stream_takes_over_and_sends_nothing_committed_again() {
    let cluster = Cluster::new().await;
    let engine = cluster.engine();
    let bytes = footage(40 * CHUNK_BYTES + 7);
    let station = client(Role::Station);
    let opened = engine.open_upload(station.clone(), description(), cluster.once()).await.expect("opens");
    let mut first = engine.resume_upload(station.clone(), opened.item).await.expect("resumes");
    let sent = 39 * CHUNK_BYTES;
    first.push(0, Bytes::copy_from_slice(&bytes[..sent])).await.expect("takes");
    assert_eq!(first.committed_bytes(), 32 * CHUNK_BYTES as u64, "two steps of 64 MiB");

    // Another gateway: nothing of the first stream's memory is there.
    let other = cluster.engine();
    let mut second = other.resume_upload(station.clone(), opened.item).await.expect("resumes");
    assert_eq!(second.offset(), 32 * CHUNK_BYTES as u64);
    let superseded = first.finish().await.expect_err("the first stream is over");
    assert_eq!(superseded.reason, Reason::UploadSuperseded);
    let from = 32 * CHUNK_BYTES;
    second.push(from as u64, Bytes::copy_from_slice(&bytes[from..])).await.expect("takes");
    let end = second.finish().await.expect("finishes");
    assert_eq!((end.blake3.as_bytes(), end.sha256), (blake3::hash(&bytes).as_bytes(), sha256(&bytes)));
    other.seal(station, opened.item, end.size_bytes, Announced::default(), cluster.once()).await.expect("seals");
    assert_eq!(cluster.copy_out(&other, opened.item).await.expect("reads"), bytes);
}

#[tokio::test]
async fn a_stream_that_finds_everything_received_takes_nothing_and_stands_at_the_end() {
    let cluster = Cluster::new().await;
    let engine = cluster.engine();
    let station = client(Role::Station);
    for length in [0, 1, CHUNK_BYTES, CHUNK_BYTES + 7] {
        let bytes = footage(length);
        let opened = engine.open_upload(station.clone(), description(), cluster.once()).await.expect("opens");
        let mut first = engine.resume_upload(station.clone(), opened.item).await.expect("resumes");
        first.push(0, bytes.into()).await.expect("takes");
        // Committed, and the answer is lost with the gateway.
        let end = first.finish().await.expect("finishes");
        let again = engine.resume_upload(station.clone(), opened.item).await.expect("resumes");
        assert!(again.is_received());
        assert_eq!((again.offset(), again.committed_bytes()), (end.size_bytes, end.size_bytes), "{length} bytes");
        assert_eq!(again.finish().await.expect("finishes"), end);
    }
}

#[tokio::test]
async fn bytes_that_do_not_follow_are_refused() {
    let cluster = Cluster::new().await;
    let engine = cluster.engine();
    let station = client(Role::Station);
    let opened = engine.open_upload(station.clone(), description(), cluster.once()).await.expect("opens");
    let mut stream = engine.resume_upload(station, opened.item).await.expect("resumes");
    let refused = stream.push(1, Bytes::from_static(b"x")).await.expect_err("a gap");
    assert_eq!(refused.reason, Reason::OutOfOrder);
}

#[tokio::test(start_paused = true)]
async fn a_dead_node_or_district_sends_new_chunks_to_a_narrower_volume() {
    for (dead, scheme) in [(vec![4], "3+2"), (vec![1, 4], "2+2")] {
        let cluster = Cluster::new().await;
        let engine = cluster.engine();
        let before = footage(CHUNK_BYTES + 5);
        let (old, ..) = cluster.ingest(&engine, &before).await.expect("ingests");
        for node in &dead {
            cluster.disks[usize::try_from(node - 1).expect("few")].set_fault(disk(*node), MemoryFault::Unreachable);
        }
        let bytes = footage(3 * CHUNK_BYTES);
        let (item, ..) = cluster.ingest(&engine, &bytes).await.expect("ingests with {dead:?} dead");
        let rows = cluster.catalog.read().await.expect("reads");
        let volume = upload::manifest(&*rows, item).expect("reads")[0].runs[0].volume;
        let volume = read::volume(&*rows, volume).expect("reads").expect("a volume");
        assert_eq!(volume.scheme.to_string(), scheme, "{dead:?} dead");
        assert!(volume.slots.iter().all(|slot| !dead.contains(&slot.node.0)));
        assert_eq!(cluster.copy_out(&engine, item).await.expect("reads"), bytes);
        assert_eq!(cluster.copy_out(&engine, old).await.expect("reads what was there"), before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_answer_does_not_stall_the_camera() {
    let cluster = Cluster::new().await;
    let engine = cluster.engine();
    cluster.disks[2].set_fault(disk(3), MemoryFault::Stalled);
    let bytes = footage(2 * CHUNK_BYTES);
    let (item, ..) = cluster.ingest(&engine, &bytes).await.expect("ingests");
    assert_eq!(cluster.copy_out(&engine, item).await.expect("reads"), bytes);
}

/// MinIO: a write was acknowledged with k shards and none to spare.
#[tokio::test(start_paused = true)]
async fn without_two_districts_nothing_is_acknowledged_and_the_refusal_says_what_is_missing() {
    let cluster = Cluster::new().await;
    let engine = cluster.engine();
    for node in [1, 4, 2, 5] {
        cluster.disks[usize::try_from(node - 1_u64).expect("few")].set_fault(disk(node), MemoryFault::Full);
    }
    let refused = cluster.ingest(&engine, &footage(100)).await.expect_err("one district is left");
    assert_eq!(refused.reason, Reason::PromiseUnmet, "{refused:?}");
    assert!(refused.message.contains("district"), "{refused:?}");
}

#[tokio::test]
async fn bad_shards_on_two_nodes_are_read_around_and_named_and_three_are_a_clear_error() {
    type Harm = fn(&Cluster, u64, &ShardAddress);
    let corrupt: Harm = |cluster, node, address| {
        assert!(cluster.disks[usize::try_from(node - 1).expect("few")].corrupt(disk(node), address));
    };
    let forge: Harm = |cluster, node, address| {
        let forged = Bytes::from(vec![7; CHUNK_BYTES / 4]);
        assert!(cluster.disks[usize::try_from(node - 1).expect("few")].forge(disk(node), address, forged));
    };
    for (harm, fault) in [(corrupt, "corrupt"), (forge, "lying")] {
        let cluster = Cluster::new().await;
        let engine = cluster.engine();
        let bytes = footage(CHUNK_BYTES);
        let (item, ..) = cluster.ingest(&engine, &bytes).await.expect("ingests");
        let shards = shards_of(&cluster, item, 0).await;
        for (node, address) in &shards[..2] {
            harm(&cluster, *node, address);
        }
        assert_eq!(cluster.copy_out(&engine, item).await.expect("reads"), bytes, "two {fault}");
        let named: Vec<_> = engine.faults().list(10).into_iter().map(|bad| (bad.node, bad.fault.name())).collect();
        let mut expected: Vec<_> = shards[..2].iter().map(|(node, _)| (NodeId(*node), fault)).collect();
        expected.sort_unstable();
        let mut named = named;
        named.sort_unstable();
        assert_eq!(named, expected, "each bad shard is named");
        for _ in 0..2 {
            engine.report_faults().await.expect("the catalog answers");
        }
        let rows = cluster.catalog.read().await.expect("reads");
        let queued = strongroom_topology::faults::queue(&*rows, 10).expect("reads");
        let mut queued: Vec<_> = queued.into_iter().map(|bad| (bad.node, bad.kind.name())).collect();
        queued.sort_unstable();
        assert_eq!(queued, expected, "each waits for repair, once");
        drop(rows);
        harm(&cluster, shards[2].0, &shards[2].1);
        let refused = cluster.copy_out(&engine, item).await.expect_err("three bad shards");
        assert_eq!(refused.reason, Reason::ShardsMissing, "{refused:?}");
    }
}

#[tokio::test]
async fn ranges_are_what_a_player_asked_for() {
    use futures::StreamExt;
    let cluster = Cluster::new().await;
    let engine = cluster.engine();
    let bytes = footage(2 * CHUNK_BYTES + 100);
    let (item, ..) = cluster.ingest(&engine, &bytes).await.expect("ingests");
    let once = cluster.once();
    let under = Under::StandingView(item, "labelling".to_owned());
    let begun = engine.begin(client(Role::Legal), under, once).await.expect("a standing view");
    let size = bytes.len() as u64;
    let chunk = CHUNK_BYTES as u64;
    for (offset, length) in [(0, 1), (chunk - 1, 2), (chunk, chunk), (size - 1, 1), (5, 0), (size, 0)] {
        let ticket = engine.open_item(key(Role::Legal), begun.session, item).await.expect("a ticket").into();
        let pieces: Vec<_> = engine.read_range(ticket, offset, length).expect("inside").collect().await;
        let read: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.expect("reads").1).collect();
        let from = usize::try_from(offset).expect("small");
        let to = if length == 0 { bytes.len() } else { from + usize::try_from(length).expect("small") };
        assert_eq!(read, bytes[from..to], "{offset}+{length}");
    }
    let ticket = engine.open_item(key(Role::Legal), begun.session, item).await.expect("a ticket").into();
    assert!(engine.read_range(ticket, 0, size + 1).is_err());
}

#[tokio::test]
async fn nobody_reads_outside_a_session_of_their_own() {
    let cluster = Cluster::new().await;
    let engine = cluster.engine();
    let (item, ..) = cluster.ingest(&engine, b"footage").await.expect("ingests");
    let (other, ..) = cluster.ingest(&engine, b"other footage").await.expect("ingests");
    let begun = engine
        .begin(client(Role::Legal), Under::StandingView(item, "labelling".to_owned()), cluster.once())
        .await
        .expect("a standing view");
    for role in Role::ALL {
        let outcome = engine.open_item(key(role), begun.session, item).await;
        assert_eq!(outcome.is_ok(), role == Role::Legal, "{role}");
    }
    let outside = engine.open_item(key(Role::Legal), begun.session, other).await.expect_err("another item");
    assert_eq!(outside.reason, Reason::OutsideGrant);
    engine.end(client(Role::Legal), begun.session, true, cluster.once()).await.expect("ends");
    let ended = engine.open_item(key(Role::Legal), begun.session, item).await.expect_err("the session has ended");
    assert_eq!(ended.reason, Reason::GrantEnded);
}

#[tokio::test]
async fn a_receipt_proves_the_seal_offline() {
    let cluster = Cluster::new().await;
    let engine = cluster.engine();
    let bytes = footage(5000);
    let (item, end, sealed) = cluster.ingest(&engine, &bytes).await.expect("ingests");
    let receipt = engine.receipt(item, sealed.seq).await.expect("a receipt");
    let verdict = verify_receipt(&receipt, Some(&mut bytes.as_slice()), None, &CustodyRecords).expect("verifies");
    assert_eq!((verdict.facts.item, verdict.facts.blake3, verdict.seq), (item, end.blake3, sealed.seq));
    let mut other = bytes;
    other[17] ^= 1;
    assert!(verify_receipt(&receipt, Some(&mut other.as_slice()), None, &CustodyRecords).is_err());
}

fn sha256(bytes: &[u8]) -> Sha256Digest {
    use sha2::Digest;
    Sha256Digest::new(sha2::Sha256::digest(bytes).into())
}

#[tokio::test]
async fn committed_bytes_are_counted_into_their_volume_and_a_closed_volume_takes_no_new_chunks() {
    let cluster = Cluster::new().await;
    let engine = cluster.engine();
    let volume_of = |item| {
        let catalog = cluster.catalog.clone();
        async move {
            let rows = catalog.read().await.expect("reads");
            let id = upload::manifest(&*rows, item).expect("reads")[0].runs[0].volume;
            read::volume(&*rows, id).expect("reads").expect("a volume")
        }
    };
    let size = 17 * CHUNK_BYTES + 9;
    let (first, ..) = cluster.ingest(&engine, &footage(size)).await.expect("ingests");
    let filled = volume_of(first).await;
    assert_eq!(filled.user_bytes, size as u64);
    let close =
        strongroom_topology::Command::CloseVolume { volume: filled.id, why: strongroom_topology::CloseReason::Full };
    let node = strongroom_custody::Actor::Node(NodeId(1));
    cluster.catalog.submit(node, close.into(), None).await.expect("closes");
    let (second, ..) = cluster.ingest(&engine, b"more").await.expect("ingests");
    assert_ne!(volume_of(second).await.id, filled.id);
}

//! Shards of another node, over real connections, against a store in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{PATIENCE, Pki, channels, serve, time, trust};
use bytes::Bytes;
use futures::{future::join_all, poll};
use strongroom_net::listen::AcceptLimits;
use strongroom_net::remote_shards::{
    RemoteShards, ShardDeadlines, get_request_from_proto, get_response, put_all, put_request, put_request_from_proto,
    status_from_get_error, status_from_put_error,
};
use strongroom_net::tls;
use strongroom_proto::peer::shard_service_server::ShardService;
use strongroom_proto::peer::{
    GetShardRequest, GetShardResponse, PutShardRequest, PutShardResponse, PutShardsRequest, PutShardsResponse,
};
use strongroom_proto::status::from_refusal;
use strongroom_shardstore::{
    GetError, MemoryShards, PAYLOAD_BYTES_MAX, PutError, PutShard, ShardAddress, ShardStore, crc32c,
};
use strongroom_types::{
    ChunkDigest, ChunkIndex, DiskId, ItemId, NodeId, PlacementEpoch, Reason, ShardIndex, UploadEpoch, VolumeId, limits,
};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

const DISK: DiskId = DiskId::new([9; 16]);

/// A node's handler, as thin as it should be.
struct Handler(Arc<MemoryShards>);

#[tonic::async_trait]
impl ShardService for Handler {
    async fn put_shard(&self, request: Request<PutShardRequest>) -> Result<Response<PutShardResponse>, Status> {
        let shard = put_request_from_proto(request.into_inner()).map_err(|refusal| from_refusal(&refusal))?;
        self.0.put(shard).await.map_err(|error| status_from_put_error(&error))?;
        Ok(Response::new(PutShardResponse {}))
    }

    async fn put_shards(&self, request: Request<PutShardsRequest>) -> Result<Response<PutShardsResponse>, Status> {
        let stored = put_all(&*self.0, request.into_inner()).await;
        stored.map(Response::new).map_err(|refusal| from_refusal(&refusal))
    }

    async fn get_shard(&self, request: Request<GetShardRequest>) -> Result<Response<GetShardResponse>, Status> {
        let (disk, address) = get_request_from_proto(request.into_inner()).map_err(|refusal| from_refusal(&refusal))?;
        let shard = self.0.get(disk, &address).await.map_err(|error| status_from_get_error(&error))?;
        Ok(Response::new(get_response(shard)))
    }
}

fn address(slot: u8) -> ShardAddress {
    ShardAddress {
        item: ItemId::new([1; 16]),
        index: ChunkIndex(2),
        upload_epoch: UploadEpoch(3),
        volume: VolumeId(4),
        placement_epoch: PlacementEpoch(5),
        slot: ShardIndex(slot),
    }
}

fn shard(slot: u8, payload: Bytes) -> PutShard {
    PutShard {
        disk: DISK,
        address: address(slot),
        chunk: ChunkDigest::new([6; 32]),
        tag: [7; 16],
        sealed_bytes: payload.len() as u64,
        payload_crc32c: Some(crc32c(&payload)),
        payload,
    }
}

async fn remote() -> RemoteShards {
    remote_of(Handler(Arc::new(MemoryShards::new([DISK])))).await
}

async fn remote_of(handler: impl ShardService) -> RemoteShards {
    let pki = Pki::new();
    let tls = tls::server(pki.peer(NodeId(1)), &trust(&pki.peers), time()).expect("a server");
    let running = serve(handler, tls, AcceptLimits::default()).await;
    let channels = channels(pki.peer(NodeId(2)), &pki.peers);
    let channel = channels.peer(NodeId(1), &running.address.to_string()).expect("an address");
    RemoteShards::new(channel, ShardDeadlines { put: PATIENCE, get: PATIENCE })
}

#[tokio::test]
async fn shards_of_every_size_come_back_as_they_were_put() {
    let remote = remote().await;
    for (slot, size) in [(0, 1), (1, 1 << 20), (2, PAYLOAD_BYTES_MAX)] {
        let payload: Bytes = (0..size).map(|index| u8::try_from(index % 251).expect("small")).collect();
        remote.put(shard(slot, payload.clone())).await.expect("put");
        remote.put(shard(slot, payload.clone())).await.expect("put again");
        let back = remote.get(DISK, &address(slot)).await.expect("got");
        assert_eq!(
            (back.payload(), back.header().tag, back.header().chunk),
            (&payload, [7; 16], ChunkDigest::new([6; 32]))
        );
    }
}

#[tokio::test]
async fn the_stores_errors_come_through_as_they_are() {
    let remote = remote().await;
    let (one, other) = (Bytes::from_static(b"one"), Bytes::from_static(b"other"));
    let elsewhere = DiskId::new([8; 16]);
    assert_eq!(remote.get(DISK, &address(0)).await, Err(GetError::NotFound { disk: DISK, address: address(0) }));
    assert_eq!(remote.get(elsewhere, &address(0)).await, Err(GetError::UnknownDisk { disk: elsewhere }));
    remote.put(shard(0, one.clone())).await.expect("put");
    assert_eq!(remote.put(shard(0, other)).await, Err(PutError::Conflict { address: address(0) }));
    let spoilt = PutShard { payload_crc32c: Some(0), ..shard(1, one.clone()) };
    let refused = remote.put(spoilt).await;
    let (announced, found) = (0, crc32c(&one));
    assert_eq!(refused, Err(PutError::ChecksumMismatch { address: address(1), announced, found }));
    let empty = remote.put(shard(1, Bytes::new())).await;
    assert_eq!(empty, Err(PutError::PayloadSize { found: 0, max: PAYLOAD_BYTES_MAX }));
}

/// Holds each call of several shards back until it is let go, and notes how many shards it brought.
struct Gated {
    store: MemoryShards,
    gate: Arc<Gate>,
}

struct Gate {
    calls: Mutex<Vec<usize>>,
    entered: Semaphore,
    may_go: Semaphore,
}

#[tonic::async_trait]
impl ShardService for Gated {
    async fn put_shard(&self, _: Request<PutShardRequest>) -> Result<Response<PutShardResponse>, Status> {
        Err(Status::unimplemented("small shards go together"))
    }

    async fn put_shards(&self, request: Request<PutShardsRequest>) -> Result<Response<PutShardsResponse>, Status> {
        self.gate.calls.lock().expect("unpoisoned").push(request.get_ref().shards.len());
        self.gate.entered.add_permits(1);
        self.gate.may_go.acquire().await.expect("open").forget();
        let stored = put_all(&self.store, request.into_inner()).await;
        stored.map(Response::new).map_err(|refusal| from_refusal(&refusal))
    }

    async fn get_shard(&self, _: Request<GetShardRequest>) -> Result<Response<GetShardResponse>, Status> {
        Err(Status::unimplemented("nothing is read"))
    }
}

#[tokio::test]
async fn small_shards_that_come_while_a_call_is_under_way_share_the_next_and_are_answered_each_for_itself() {
    let gate = Gate { calls: Mutex::default(), entered: Semaphore::new(0), may_go: Semaphore::new(0) };
    let gate = Arc::new(gate);
    let remote = remote_of(Gated { store: MemoryShards::new([DISK]), gate: Arc::clone(&gate) }).await;
    let (one, other) = (Bytes::from_static(b"one"), Bytes::from_static(b"other"));
    let mut first = Box::pin(remote.put(shard(0, one.clone())));
    let under_way = tokio::time::timeout(PATIENCE, gate.entered.acquire());
    tokio::select! {
        permit = under_way => permit.expect("in time").expect("open").forget(),
        _ = &mut first => panic!("answered before it was let go"),
    }
    let elsewhere = DiskId::new([8; 16]);
    let shards = [
        shard(1, one.clone()),
        shard(0, other),
        PutShard { payload_crc32c: Some(0), ..shard(2, one.clone()) },
        PutShard { disk: elsewhere, ..shard(3, one.clone()) },
        shard(4, one.clone()),
    ];
    let mut rest = Box::pin(join_all(shards.map(|shard| remote.put(shard))));
    // Asked once, all of them wait in the queue.
    assert!(poll!(&mut rest).is_pending());
    gate.may_go.add_permits(2);
    let done = tokio::time::timeout(PATIENCE, async { (first.await, rest.await) }).await.expect("in time");
    let (announced, found) = (0, crc32c(&one));
    assert_eq!(done.0, Ok(()));
    assert_eq!(
        done.1,
        [
            Ok(()),
            Err(PutError::Conflict { address: address(0) }),
            Err(PutError::ChecksumMismatch { address: address(2), announced, found }),
            Err(PutError::UnknownDisk { disk: elsewhere }),
            Ok(()),
        ]
    );
    assert_eq!(*gate.calls.lock().expect("unpoisoned"), [1, 5]);
}

#[tokio::test]
async fn a_call_with_too_many_shards_stores_none() {
    let store = MemoryShards::new([DISK]);
    let shards = vec![put_request(shard(0, Bytes::from_static(b"x"))); limits::PUT_SHARDS_MAX + 1];
    let refused = put_all(&store, PutShardsRequest { shards }).await.expect_err("too many");
    assert_eq!(refused.reason, Reason::InvalidArgument);
    assert_eq!(store.get(DISK, &address(0)).await, Err(GetError::NotFound { disk: DISK, address: address(0) }));
}

#[tokio::test]
async fn a_node_that_does_not_answer_is_unavailable_by_the_deadline() {
    let pki = Pki::new();
    // Takes connections and never says a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let channels = channels(pki.peer(NodeId(2)), &pki.peers);
    let channel = channels.peer(NodeId(1), &silent.local_addr().expect("bound").to_string()).expect("an address");
    let deadline = Duration::from_millis(100);
    let remote = RemoteShards::new(channel, ShardDeadlines { put: deadline, get: deadline });
    let put = tokio::time::timeout(PATIENCE, remote.put(shard(0, Bytes::from_static(b"x"))));
    assert!(matches!(put.await.expect("in time"), Err(PutError::Unavailable { .. })));
    let asked = address(0);
    let get = tokio::time::timeout(PATIENCE, remote.get(DISK, &asked));
    assert!(matches!(get.await.expect("in time"), Err(GetError::Unavailable { .. })));
}

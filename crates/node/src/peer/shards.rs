//! Shards on this node's disks, for other nodes.

use std::sync::Arc;

use strongroom_net::remote_shards::{
    get_request_from_proto, get_response, put_all, put_request_from_proto, status_from_get_error, status_from_put_error,
};
use strongroom_proto::{
    peer::{
        GetShardRequest, GetShardResponse, PutShardRequest, PutShardResponse, PutShardsRequest, PutShardsResponse,
        shard_service_server::ShardService,
    },
    status,
};
use strongroom_shardstore::ShardStore;
use tonic::{Request, Response, Status};

use crate::node::Node;

pub(super) struct Shards(pub(super) Arc<Node>);

#[tonic::async_trait]
impl ShardService for Shards {
    async fn put_shard(&self, request: Request<PutShardRequest>) -> Result<Response<PutShardResponse>, Status> {
        let shard = put_request_from_proto(request.into_inner()).map_err(|refusal| status::from_refusal(&refusal))?;
        self.0.local.put(shard).await.map_err(|error| status_from_put_error(&error))?;
        Ok(Response::new(PutShardResponse {}))
    }

    async fn put_shards(&self, request: Request<PutShardsRequest>) -> Result<Response<PutShardsResponse>, Status> {
        let stored = put_all(&*self.0.local, request.into_inner()).await;
        stored.map(Response::new).map_err(|refusal| status::from_refusal(&refusal))
    }

    async fn get_shard(&self, request: Request<GetShardRequest>) -> Result<Response<GetShardResponse>, Status> {
        let (disk, address) =
            get_request_from_proto(request.into_inner()).map_err(|refusal| status::from_refusal(&refusal))?;
        let shard = self.0.local.get(disk, &address).await.map_err(|error| status_from_get_error(&error))?;
        Ok(Response::new(get_response(shard)))
    }
}

//! Raft's messages, what only voters can do, and being taken in.

use std::sync::Arc;

use strongroom_custody::Actor;
use strongroom_engine::Catalog;
use strongroom_net::listen::identity_of;
use strongroom_proto::{
    peer::{
        AppendRequest, AppendResponse, CosignRequest, CosignResponse, InstallSnapshotRequest, InstallSnapshotResponse,
        JoinRequest, JoinResponse, NewItemKeyRequest, NewItemKeyResponse, PingRequest, PingResponse, ProposeRequest,
        ProposeResponse, ReadIndexRequest, ReadIndexResponse, UnwrapSessionKeyRequest, UnwrapSessionKeyResponse,
        UnwrapUploadKeyRequest, UnwrapUploadKeyResponse, VoteRequest, VoteResponse, meta_service_server::MetaService,
    },
    status,
};
use strongroom_topology::{self as topology, DiskRow, DiskState, NodeRow, NodeUpdate, Registration, read};
use strongroom_types::{NodeId, Reason, Refusal};
use tonic::{Request, Response, Status, Streaming};

use super::caller;
use crate::{
    edge::fault,
    node::Node,
    refusals::{PeerFault, Refusals},
};

pub(super) struct Meta {
    pub(super) node: Arc<Node>,
    pub(super) refusals: Arc<Refusals>,
}

#[tonic::async_trait]
impl MetaService for Meta {
    async fn append(&self, request: Request<AppendRequest>) -> Result<Response<AppendResponse>, Status> {
        let leader = self.voter(&request)?;
        Ok(Response::new(self.node.metastore.handle_append(leader, request.into_inner()).await?))
    }

    async fn vote(&self, request: Request<VoteRequest>) -> Result<Response<VoteResponse>, Status> {
        let candidate = self.voter(&request)?;
        Ok(Response::new(self.node.metastore.handle_vote(candidate, request.into_inner()).await?))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<InstallSnapshotRequest>>,
    ) -> Result<Response<InstallSnapshotResponse>, Status> {
        let leader = self.voter(&request)?;
        Ok(Response::new(self.node.metastore.handle_install_snapshot(leader, request.into_inner()).await?))
    }

    async fn propose(&self, request: Request<ProposeRequest>) -> Result<Response<ProposeResponse>, Status> {
        let from = caller(&request)?;
        Ok(Response::new(self.node.metastore.handle_propose(from, request.into_inner()).await?))
    }

    async fn read_index(&self, request: Request<ReadIndexRequest>) -> Result<Response<ReadIndexResponse>, Status> {
        Ok(Response::new(self.node.metastore.handle_read_index(request.into_inner()).await?))
    }

    async fn new_item_key(&self, request: Request<NewItemKeyRequest>) -> Result<Response<NewItemKeyResponse>, Status> {
        respond(self.node.catalog.handle_new_item_key(request.get_ref()))
    }

    async fn unwrap_upload_key(
        &self,
        request: Request<UnwrapUploadKeyRequest>,
    ) -> Result<Response<UnwrapUploadKeyResponse>, Status> {
        let node = caller(&request)?;
        respond(self.node.catalog.handle_unwrap_upload_key(node, request.get_ref()).await)
    }

    async fn unwrap_session_key(
        &self,
        request: Request<UnwrapSessionKeyRequest>,
    ) -> Result<Response<UnwrapSessionKeyResponse>, Status> {
        respond(self.node.catalog.handle_unwrap_session_key(request.get_ref()).await)
    }

    async fn cosign(&self, request: Request<CosignRequest>) -> Result<Response<CosignResponse>, Status> {
        respond(self.node.catalog.handle_cosign(request.get_ref()).await)
    }

    async fn ping(&self, request: Request<PingRequest>) -> Result<Response<PingResponse>, Status> {
        let mut answer = self.node.ping();
        if request.get_ref().with_clocks_read {
            answer.clocks_read = self.node.clocks_read().map_err(|error| fault(&error))?;
        }
        Ok(Response::new(answer))
    }

    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinResponse>, Status> {
        let identity = identity_of(&request)?;
        let registration: Registration = minicbor::decode(&request.get_ref().node_row_cbor)
            .map_err(|error| status::from_refusal(&Refusal::invalid(format!("node_row_cbor: {error}"))))?;
        if registration.peer_key != identity.key {
            self.refusals.peer(identity.address.ip(), PeerFault::JoinsAsAnother);
            return Err(status::from_refusal(&Refusal::new(
                Reason::RoleNotAllowed,
                "",
                "a node asks for itself: the registration names another key than the certificate",
                "register with the node's own peer certificate",
            )));
        }
        respond(self.take_in(registration).await)
    }
}

impl Meta {
    /// Only a voter can lead or stand for election, whatever a call says of itself.
    fn voter<T>(&self, request: &Request<T>) -> Result<NodeId, Status> {
        let node = caller(request)?;
        if !self.node.history.is_known() {
            return Err(Status::unavailable(format!("{} does not know yet whether it has voted before", self.node.id)));
        }
        if self.node.directory.node(node).is_some_and(|row| row.voter) {
            return Ok(node);
        }
        let refusal = Refusal::new(Reason::RoleNotAllowed, "", format!("{node} is no voter and cannot lead"), "");
        tracing::error!(error = %refusal, "a node asks for what only voters do: it may have been taken over");
        Err(status::from_refusal(&refusal))
    }

    /// Registers a node, or notes what changed about one. The leader makes it a member of the Raft group when it sees
    /// the row.
    async fn take_in(&self, registration: Registration) -> Result<JoinResponse, Refusal> {
        let known = {
            let rows = self.node.catalog.read().await?;
            read::node(&*rows, registration.id).map_err(|error| strongroom_engine::catalog::broken(&error))?
        };
        let command = match known {
            Some(row) if row.peer_key == registration.peer_key => {
                topology::Command::UpdateNode(update(&row, registration))
            }
            // Another key under a known id is refused by the topology.
            Some(_) | None => topology::Command::RegisterNode(registration),
        };
        self.node.catalog.submit(Actor::Node(self.node.id), command.into(), None).await?;
        Ok(JoinResponse { log_index: self.node.metastore.metrics().last_applied })
    }
}

/// Addresses and labels as the node says; its disks are those that are known and those that are new.
fn update(row: &NodeRow, said: Registration) -> NodeUpdate {
    let mut disks = row.disks.clone();
    for id in said.disks {
        if disks.iter().all(|disk| disk.id != id) {
            disks.push(DiskRow { id, state: DiskState::InService });
        }
    }
    NodeUpdate {
        node: row.id,
        client_address: said.client_address,
        peer_address: said.peer_address,
        labels: said.labels,
        disks,
    }
}

fn respond<T>(outcome: Result<T, Refusal>) -> Result<Response<T>, Status> {
    outcome.map(Response::new).map_err(|refusal| status::from_refusal(&refusal))
}

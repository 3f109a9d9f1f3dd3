//! Raft's messages to the other members, over `MetaService`.
//!
//! Owns the trait [`PeerChannels`]: who connects, with which certificates, is the node's affair.

use std::{error::Error, future::Future, io, sync::Arc, time::Duration};

use bytes::Bytes;
use openraft::{
    RPCTypes, RaftNetwork, RaftNetworkFactory, Snapshot,
    error::{Fatal, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError, Timeout, Unreachable},
    network::{Backoff, RPCOption},
    raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse},
};
use strongroom_proto::peer::{
    self, InstallSnapshotRequest, install_snapshot_request::Part, meta_service_client::MetaServiceClient,
};
use strongroom_types::{NodeId, limits};
use tokio::{io::AsyncReadExt, sync::mpsc};
use tonic::{Code, transport::Channel};

use crate::{
    encoding::{self, AppendAnswerRow, AppendRow, SnapshotAnswerRow, SnapshotHeaderRow, VoteAnswerRow, VoteAskRow},
    raft::{Opaque, PeerNode, StorageIoError, TypeConfig, Vote},
    snapshot::SnapshotFolder,
    store_error::blocking,
};

/// A peer that no channel can be made for.
#[derive(Debug, thiserror::Error)]
#[error("could not make a channel to node {node} at {address}: {detail}")]
pub struct ChannelError {
    /// The peer.
    pub node: NodeId,
    /// Where it should be.
    pub address: String,
    /// Why not.
    pub detail: String,
}

/// Gives channels to other members. Implementations keep and share them, and connect lazily.
pub trait PeerChannels: Send + Sync + 'static {
    /// A channel to `node`, which proves to be that node when it connects.
    ///
    /// # Errors
    /// [`ChannelError`] where the address does not parse or the node is not to be spoken to.
    fn channel(&self, node: NodeId, address: &str) -> Result<Channel, ChannelError>;
}

/// The client of a peer's `MetaService`.
pub(crate) fn client(
    channels: &dyn PeerChannels,
    node: NodeId,
    address: &str,
) -> Result<MetaServiceClient<Channel>, ChannelError> {
    let channel = channels.channel(node, address)?;
    Ok(MetaServiceClient::new(channel)
        .max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
        .max_encoding_message_size(limits::MESSAGE_BYTES_MAX))
}

/// A transfer has this long for each step, and this much more for each mebibyte.
const SNAPSHOT_BASE: Duration = Duration::from_secs(60);
const SNAPSHOT_PER_MEBIBYTE: Duration = Duration::from_secs(1);
/// Messages of a snapshot that wait to be sent.
const SNAPSHOT_QUEUE: usize = 4;
/// An unreachable peer is tried again after this.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Makes a [`Peer`] for each member.
pub(crate) struct Network {
    node: NodeId,
    channels: Arc<dyn PeerChannels>,
}

impl Network {
    pub(crate) fn new(node: NodeId, channels: Arc<dyn PeerChannels>) -> Self {
        Self { node, channels }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &PeerNode) -> Peer {
        Peer {
            node: self.node,
            target: NodeId(target),
            address: node.address.clone(),
            channels: Arc::clone(&self.channels),
        }
    }
}

/// One other member.
pub(crate) struct Peer {
    node: NodeId,
    target: NodeId,
    address: String,
    channels: Arc<dyn PeerChannels>,
}

type RaftRpcError = RPCError<u64, PeerNode, RaftError<u64>>;

impl RaftNetwork<TypeConfig> for Peer {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RaftRpcError> {
        let request_cbor = Bytes::from(encoding::to_bytes(&AppendRow::from(&request)));
        let answer = self.client().map_err(unreachable)?.append(peer::AppendRequest { request_cbor }).await;
        let form = answer.map_err(unreachable)?.into_inner().response_cbor;
        encoding::from_bytes::<AppendAnswerRow>("an answer to append", &form).map(Into::into).map_err(garbled)
    }

    async fn vote(&mut self, request: VoteRequest<u64>, _: RPCOption) -> Result<VoteResponse<u64>, RaftRpcError> {
        let request_cbor = Bytes::from(encoding::to_bytes(&VoteAskRow::from(&request)));
        let answer = self.client().map_err(unreachable)?.vote(peer::VoteRequest { request_cbor }).await;
        let form = answer.map_err(unreachable)?.into_inner().response_cbor;
        encoding::from_bytes::<VoteAnswerRow>("an answer to vote", &form).map(Into::into).map_err(garbled)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<TypeConfig>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<TypeConfig, Fatal<u64>>> {
        let Some(folder) = snapshot.snapshot.folder else {
            let absent = io::Error::other("the snapshot has no folder");
            return Err(StreamingError::StorageError(StorageIoError::read_snapshot(None, &absent).into()));
        };
        let deadline = snapshot_deadline(&folder);
        let timeout =
            Timeout { action: RPCTypes::InstallSnapshot, id: self.node.0, target: self.target.0, timeout: deadline };
        tokio::select! {
            sent = tokio::time::timeout(deadline, self.send_snapshot(vote, folder)) => {
                sent.unwrap_or(Err(StreamingError::Timeout(timeout)))
            }
            closed = cancel => Err(StreamingError::Closed(closed)),
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(RETRY_AFTER))
    }
}

impl Peer {
    fn client(&self) -> Result<MetaServiceClient<Channel>, ChannelError> {
        client(&*self.channels, self.target, &self.address)
    }

    async fn send_snapshot(
        &self,
        vote: Vote,
        folder: Arc<SnapshotFolder>,
    ) -> Result<SnapshotResponse<u64>, StreamingError<TypeConfig, Fatal<u64>>> {
        let mut client = self.client().map_err(|error| StreamingError::Unreachable(Unreachable::new(&error)))?;
        let (parts, mut queue) = mpsc::channel(SNAPSHOT_QUEUE);
        let stream = futures::stream::poll_fn(move |context| queue.poll_recv(context));
        // Read and sent at once; when the call ends early, the queue closes and the reading with it.
        let (read, answer) = tokio::join!(read_parts(vote, &folder, parts), client.install_snapshot(stream));
        if let Err(error) = read {
            return Err(StreamingError::StorageError(StorageIoError::read_snapshot(None, &error).into()));
        }
        let form = match answer {
            Ok(answer) => answer.into_inner().response_cbor,
            Err(status) => {
                if status.code() == Code::DataLoss {
                    own_files_are_good(folder).await?;
                }
                return Err(StreamingError::Unreachable(Unreachable::new(&status)));
            }
        };
        let row = encoding::from_bytes::<SnapshotAnswerRow>("an answer to a snapshot", &form);
        row.map(|row| SnapshotResponse::new(row.vote.into()))
            .map_err(|error| StreamingError::Network(NetworkError::new(&error)))
    }
}

/// A peer found bytes that do not fit the manifest. If they are ours, the live tables are damaged too, which share
/// them: then this node stops, instead of offering the same bytes for ever.
async fn own_files_are_good(folder: Arc<SnapshotFolder>) -> Result<(), StreamingError<TypeConfig, Fatal<u64>>> {
    let verified = blocking(move || folder.verify()).await;
    verified.map_err(|error| StreamingError::StorageError(StorageIoError::read_snapshot(None, &error).into()))
}

/// Puts a snapshot into the queue: header, then each file and its data.
async fn read_parts(
    vote: Vote,
    folder: &SnapshotFolder,
    parts: mpsc::Sender<InstallSnapshotRequest>,
) -> io::Result<()> {
    let header = SnapshotHeaderRow { vote: vote.into(), manifest: Opaque(folder.sealed_manifest().into()) };
    let send = async |part| parts.send(InstallSnapshotRequest { part: Some(part) }).await.is_ok();
    if !send(Part::HeaderCbor(encoding::to_bytes(&header).into())).await {
        return Ok(());
    }
    for file in &folder.manifest().files {
        let begun = peer::SnapshotFile {
            name: file.name.clone(),
            size_bytes: file.size_bytes,
            blake3: Bytes::copy_from_slice(&file.blake3),
        };
        if !send(Part::File(begun)).await {
            return Ok(());
        }
        let mut source = tokio::fs::File::open(folder.file(&file.name)).await?;
        loop {
            let mut data = Vec::with_capacity(limits::MESSAGE_DATA_BYTES);
            let piece = u64::try_from(limits::MESSAGE_DATA_BYTES).expect("a mebibyte fits 64 bits");
            if (&mut source).take(piece).read_to_end(&mut data).await? == 0 {
                break;
            }
            if !send(Part::Data(data.into())).await {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn snapshot_deadline(folder: &SnapshotFolder) -> Duration {
    let bytes = folder.manifest().files.iter().map(|file| file.size_bytes).sum::<u64>();
    let mebibytes = u32::try_from(bytes >> 20).unwrap_or(u32::MAX);
    SNAPSHOT_BASE.saturating_add(SNAPSHOT_PER_MEBIBYTE.saturating_mul(mebibytes))
}

fn unreachable<E: Error + 'static>(error: E) -> RaftRpcError {
    RPCError::Unreachable(Unreachable::new(&error))
}

fn garbled<E: Error + 'static>(error: E) -> RaftRpcError {
    RPCError::Network(NetworkError::new(&error))
}

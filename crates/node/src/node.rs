//! One node's parts, as its handlers and jobs see them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use strongroom_custody::clock;
use strongroom_engine::{Catalog, Engine, Genesis, Shards, System};
use strongroom_metastore::{Metastore, RaftRole, catalog::RaftCatalog};
use strongroom_net::{
    channel::Channels,
    remote_shards::{RemoteShards, ShardDeadlines},
    tls::CertificateFiles,
};
use strongroom_proto::peer::{PingDisk, PingResponse, meta_service_client::MetaServiceClient};
use strongroom_shardstore::DiskState;
use strongroom_topology::NodeRow;
use strongroom_types::{NodeId, limits, rows::RowError};
use tonic::transport::Channel;

use crate::{beats::Beats, directory::Directory, draw_shares::DrawShares, keys::ClockKey, measured::MeasuredShards};

/// A running node.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) genesis: Genesis,
    /// Of a node that joins later.
    pub(crate) registration: Option<strongroom_topology::Registration>,
    pub(crate) system: System,
    pub(crate) metastore: Arc<Metastore>,
    pub(crate) catalog: Arc<RaftCatalog>,
    pub(crate) engine: Engine,
    pub(crate) shards: Arc<Shards>,
    pub(crate) local: Arc<MeasuredShards>,
    pub(crate) channels: Channels,
    pub(crate) certificates: [Arc<CertificateFiles>; 2],
    pub(crate) directory: Directory,
    pub(crate) beats: Beats,
    pub(crate) clock_key: ClockKey,
    pub(crate) history: History,
    pub(crate) settled: Settled,
    pub(crate) draw_shares: DrawShares,
}

/// Whether this node knows of everything that it has promised as a voter. An empty voter is a new one, or one that was
/// wiped and would vote as if it had never voted: until it has asked the others, it takes no part.
#[derive(Debug, Default)]
pub(crate) struct History(AtomicBool);

impl History {
    pub(crate) fn is_known(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn becomes_known(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Whether this node's metadata was compared with its disks since the start, and continues what they have verified. Until
/// then it may be metadata from before, and no client is answered from it. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settled(Arc<AtomicBool>);

impl Settled {
    pub(crate) fn is_known(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn becomes_known(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Node {
    pub(crate) fn leads(&self) -> bool {
        self.metastore.metrics().role == RaftRole::Leader
    }

    pub(crate) fn boottime_ms(&self) -> i64 {
        self.system.clock.boottime_ms()
    }

    /// The metadata as this node has it, as the seam that everything above uses.
    pub(crate) fn catalog(&self) -> Arc<dyn Catalog> {
        Arc::clone(&self.catalog) as Arc<dyn Catalog>
    }

    /// A client of another node's `MetaService`.
    pub(crate) fn meta_client(&self, node: &NodeRow) -> Option<MetaServiceClient<Channel>> {
        self.meta_client_at(node.id, &node.peer_address)
    }

    pub(crate) fn meta_client_at(&self, node: NodeId, address: &str) -> Option<MetaServiceClient<Channel>> {
        match self.channels.peer(node, address) {
            Ok(channel) => Some(MetaServiceClient::new(channel).max_decoding_message_size(limits::MESSAGE_BYTES_MAX)),
            Err(error) => {
                tracing::error!(peer_id = %node, %error, "peer has an address that cannot be called");
                None
            }
        }
    }

    /// Makes the shards of every other node reachable at its present address.
    pub(crate) fn connect_shards(&self) {
        for node in self.directory.others(self.id) {
            match self.channels.peer(node.id, &node.peer_address) {
                Ok(channel) => {
                    let store = RemoteShards::new(channel, ShardDeadlines::default());
                    self.shards.set(node.id, Arc::new(store));
                }
                Err(error) => tracing::error!(peer_id = %node.id, %error, "peer has an address that cannot be called"),
            }
        }
    }

    /// The voters whose clocks the cluster has read, as far as this node knows.
    pub(crate) fn clocks_read(&self) -> Result<Vec<u64>, RowError> {
        let clock = clock::read(&*self.metastore.view().rows())?;
        Ok(clock.readings.iter().map(|reading| reading.node.0).collect())
    }

    /// Ticks of the compliance clock, as far as this node knows.
    pub(crate) fn ticks(&self) -> Result<u64, RowError> {
        Ok(clock::read(&*self.metastore.view().rows())?.ticks)
    }

    /// What this node's clocks say for the next tick, signed; nothing where it cannot know which one that is.
    pub(crate) fn reading(&self) -> Bytes {
        match self.ticks() {
            Ok(tick) => self.clock_key.read(self.id, &self.system, tick).into(),
            Err(error) => {
                tracing::error!(%error, "could not read the clock's row");
                Bytes::new()
            }
        }
    }

    /// How this node is, as it tells others.
    pub(crate) fn ping(&self) -> PingResponse {
        let disks = self.local.stat();
        let (digest_index, digest) = self.metastore.state_digest();
        // The reading is what the others remember of a voter, so one that may have forgotten shows none.
        let votes = self.history.is_known() && self.directory.node(self.id).is_some_and(|node| node.voter);
        PingResponse {
            node_id: self.id.0,
            applied_index: self.metastore.metrics().last_applied,
            reading_cbor: if votes { self.reading() } else { Bytes::new() },
            disks: disks
                .iter()
                .map(|stat| PingDisk {
                    disk_id: Bytes::copy_from_slice(stat.disk.as_bytes()),
                    state: state_name(&stat.state).to_owned(),
                    used_bytes: stat.used_bytes,
                    total_bytes: stat.total_bytes,
                    shards: stat.shards,
                })
                .collect(),
            state_digest: Bytes::copy_from_slice(&digest),
            digest_index,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            clocks_read: Vec::new(),
        }
    }
}

/// A disk that takes shards says so with this word.
pub(crate) const IN_SERVICE: &str = "in-service";

const fn state_name(state: &DiskState) -> &'static str {
    match state {
        DiskState::InService => IN_SERVICE,
        DiskState::Full => "full",
        DiskState::Failed { .. } => "failed",
    }
}

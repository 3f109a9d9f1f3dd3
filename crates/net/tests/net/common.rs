//! A cluster's authorities in a temporary folder, and a server on loopback that remembers one shard.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use strongroom_net::channel::Channels;
use strongroom_net::listen::{AcceptLimits, HandshakeFault, PeerIdentity, RefusedHandshake, identity_of, incoming};
use strongroom_net::pki::{Authority, AuthorityKind, Issued, Validity, write_private, write_public};
use strongroom_net::tls::{self, CertificateFiles, TlsTime, TrustedAuthority};
use strongroom_net::tuning::{NetTuning, tune_server};
use strongroom_proto::peer::shard_service_server::{ShardService, ShardServiceServer};
use strongroom_proto::peer::{
    GetShardRequest, GetShardResponse, PutShardRequest, PutShardResponse, PutShardsRequest, PutShardsResponse,
};
use strongroom_types::{Clock, ClusterId, NodeId, UnixMillis, limits};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// What every clock here says.
pub(crate) const NOW: UnixMillis = UnixMillis(1_780_000_000_000);
/// No wait here takes longer than this unless something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct FixedClock;

impl Clock for FixedClock {
    fn wall(&self) -> UnixMillis {
        NOW
    }

    fn boottime_ms(&self) -> i64 {
        0
    }

    fn boot_id(&self) -> [u8; 16] {
        [0; 16]
    }
}

impl rustls::time_provider::TimeProvider for FixedClock {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        Some(rustls::pki_types::UnixTime::since_unix_epoch(Duration::from_millis(NOW.0.unsigned_abs())))
    }
}

pub(crate) fn time() -> TlsTime {
    TlsTime::of(Arc::new(FixedClock))
}

pub(crate) struct Pki {
    pub(crate) folder: TempDir,
    pub(crate) clients: Authority,
    pub(crate) peers: Authority,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let cluster = ClusterId::new([1; 16]);
        let authority = |kind| Authority::create(kind, cluster, NOW).expect("an authority");
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            clients: authority(AuthorityKind::Client),
            peers: authority(AuthorityKind::Peer),
        }
    }

    pub(crate) fn write(&self, name: &str, issued: &Issued) -> Arc<CertificateFiles> {
        let (certificate, key) = self.paths(name);
        write_public(&certificate, &issued.certificate_pem).expect("writes");
        write_private(&key, &issued.key_pem).expect("writes");
        CertificateFiles::open(&certificate, &key).expect("opens")
    }

    pub(crate) fn paths(&self, name: &str) -> (PathBuf, PathBuf) {
        (self.folder.path().join(format!("{name}.pem")), self.folder.path().join(format!("{name}.key")))
    }

    pub(crate) fn client(&self, name: &str) -> Arc<CertificateFiles> {
        self.write(name, &self.clients.issue_client(name, year()).expect("issued"))
    }

    pub(crate) fn server(&self) -> Arc<CertificateFiles> {
        self.write("server", &self.clients.issue_server("n1", &["127.0.0.1".to_owned()], year()).expect("issued"))
    }

    pub(crate) fn peer(&self, node: NodeId) -> Arc<CertificateFiles> {
        self.write(&node.to_string(), &self.peers.issue_peer(node, &[], year()).expect("issued"))
    }
}

pub(crate) fn year() -> Validity {
    Validity::days_from(NOW, 365)
}

pub(crate) fn trust(authority: &Authority) -> TrustedAuthority {
    TrustedAuthority::from_pem(authority.certificate_pem().as_bytes()).expect("an authority")
}

/// Remembers the last shard put and who put it.
#[derive(Clone, Default)]
pub(crate) struct OneShard {
    last: Arc<Mutex<Option<PutShardRequest>>>,
    pub(crate) callers: Arc<Mutex<Vec<PeerIdentity>>>,
}

#[tonic::async_trait]
impl ShardService for OneShard {
    async fn put_shard(&self, request: Request<PutShardRequest>) -> Result<Response<PutShardResponse>, Status> {
        self.callers.lock().expect("unpoisoned").push(identity_of(&request)?);
        *self.last.lock().expect("unpoisoned") = Some(request.into_inner());
        Ok(Response::new(PutShardResponse {}))
    }

    async fn put_shards(&self, _: Request<PutShardsRequest>) -> Result<Response<PutShardsResponse>, Status> {
        Err(Status::unimplemented("one at a time"))
    }

    async fn get_shard(&self, _: Request<GetShardRequest>) -> Result<Response<GetShardResponse>, Status> {
        let last = self.last.lock().expect("unpoisoned").clone().ok_or_else(|| Status::not_found("nothing put"))?;
        Ok(Response::new(GetShardResponse {
            chunk_digest: last.chunk_digest,
            tag: last.tag,
            sealed_bytes: last.sealed_bytes,
            payload_crc32c: last.payload_crc32c,
            payload: last.payload,
        }))
    }
}

/// A server on loopback; ends with its runtime.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) refused: mpsc::Receiver<RefusedHandshake>,
}

impl Running {
    pub(crate) async fn next_refusal(&mut self) -> (IpAddr, HandshakeFault) {
        let RefusedHandshake { source, why } =
            tokio::time::timeout(PATIENCE, self.refused.recv()).await.expect("in time").expect("the server runs");
        (source, why)
    }
}

pub(crate) async fn serve<S: ShardService>(
    service: S,
    tls: Arc<rustls::ServerConfig>,
    limits: AcceptLimits,
) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound");
    let (tell, refused) = mpsc::channel(64);
    let connections = incoming(listener, tls, limits, move |refusal| tell.try_send(refusal).expect("room"));
    let service = ShardServiceServer::new(service)
        .max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
        .max_encoding_message_size(limits::MESSAGE_BYTES_MAX);
    let server = tune_server(Server::builder(), &NetTuning::LAN).add_service(service);
    tokio::spawn(async move { server.serve_with_incoming(connections).await.expect("serves") });
    Running { address, refused }
}

pub(crate) fn channels(own: Arc<CertificateFiles>, servers: &Authority) -> Channels {
    Channels::new(tls::client(own, &trust(servers), time()).expect("a client"), NetTuning::LAN)
}

//! Runs a node from its configuration until it is told to stop.
//!
//! Everything is opened and checked before anything is answered; a wrong key, marker or guard stops the start. Every
//! start is the same start: what was done before is found done. At the end the node stops accepting, finishes what is
//! under way for a bounded time, and closes its metadata and disks.

use std::{future::Future, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, bail, ensure};
use strongroom_codec::wrap::KeyEncryptionKey;
use strongroom_engine::{Engine, Genesis, Shards, System, health::Health};
use strongroom_ledger::{CosignerKey, KeyName, LogKey, Policy, VerifierKey};
use strongroom_metastore::{
    Metastore, MetastoreConfig,
    catalog::{MachineApplier, RaftCatalog, VoterSecrets},
};
use strongroom_net::{
    channel::Channels,
    listen::{AcceptLimits, incoming},
    tls::{self, CertificateFiles, TlsTime, TrustedAuthority},
    tuning::{NetTuning, tune_server},
};
use strongroom_shardstore::{ExpectedMarker, LocalShards, StoreSettings};
use strongroom_topology::{NodeRow, Registration};
use tokio::{net::TcpListener, sync::watch};
use tonic::{service::Routes, transport::Server};

use crate::{
    beats::Beats,
    clock,
    config::{Config, VoterKeyPaths},
    directory::{Directory, RaftChannels, row_of},
    draw_shares::DrawShares,
    edge::Edge,
    handlers, jobs,
    jobs::Jobs,
    keys::{ClockKey, read_secret},
    measured::MeasuredShards,
    metrics,
    node::{History, Node, Settled},
    peer, refusals,
    refusals::Refusals,
};

/// Streams under way at the end have this long.
const DRAIN: Duration = Duration::from_secs(10);
/// Refusals that wait to be recorded at the end have this long.
const RECORD_DRAIN: Duration = Duration::from_secs(3);
/// Peers' calls at the end have this long.
const PEER_DRAIN: Duration = Duration::from_secs(2);

/// Sockets that are bound already, so that a port may be chosen by the system.
pub struct Listeners {
    /// For clients.
    pub client: TcpListener,
    /// For peers.
    pub peer: TcpListener,
    /// For Prometheus.
    pub metrics: Option<TcpListener>,
}

impl Listeners {
    /// Binds what the configuration names.
    ///
    /// # Errors
    /// Where an address is taken or not this machine's.
    pub async fn bind(config: &Config) -> anyhow::Result<Self> {
        let metrics = match config.listen.metrics {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        Ok(Self { client: bind(config.listen.client).await?, peer: bind(config.listen.peer).await?, metrics })
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("could not listen on {address}"))
}

/// Runs a node until `shutdown` is ready.
///
/// # Errors
/// Where anything it needs cannot be opened or is not what it must be.
pub async fn run(config: Config, shutdown: impl Future<Output = ()> + Send) -> anyhow::Result<()> {
    let listeners = Listeners::bind(&config).await?;
    run_on(config, listeners, shutdown).await
}

/// Runs a node on sockets that are bound already, until `shutdown` is ready.
///
/// # Errors
/// As [`run`].
pub async fn run_on(
    config: Config,
    listeners: Listeners,
    shutdown: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    let (stop, stopped) = watch::channel(false);
    let on_fatal: strongroom_metastore::FatalHook = Arc::new(strongroom_metastore::abort_process);
    let metrics_handle = metrics::install();
    let (refusals, waiting) = Refusals::new();
    let time = TlsTime::system();
    let opened = Box::pin(open(&config, time.clone())).await?;
    let Opened { node, disks, client_ca, peer_ca } = opened;

    let jobs = Jobs::new(stopped.clone(), on_fatal);
    let recorder = refusals::record(node.catalog(), node.id, Arc::clone(&refusals), waiting, stopped.clone());
    let mut recorder = tokio::spawn(recorder);
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    if let (Some(listener), Some(handle)) = (listeners.metrics, metrics_handle) {
        jobs.once("metrics", metrics::serve(listener, handle, stopped.clone()));
    }

    let edge = Edge::new(node.engine.clone(), node.system.clone(), Arc::clone(&refusals), node.settled.clone());
    let [server_files, peer_files] = node.certificates.clone();
    // Clients stop first, while jobs still run and peers can still take what is under way.
    let (stop_clients, clients_stopped) = watch::channel(false);
    let (stop_peers, peers_stopped) = watch::channel(false);
    let client_port = Port {
        listener: listeners.client,
        tls: tls::server(server_files, &client_ca, time.clone())?,
        routes: handlers::routes(&node, edge, health_service)?,
        refusals: Arc::clone(&refusals),
    };
    let peer_port = Port {
        listener: listeners.peer,
        tls: tls::server(peer_files, &peer_ca, time)?,
        routes: peer::routes(&node, &refusals),
        refusals,
    };
    let mut clients = tokio::spawn(client_port.serve(clients_stopped));
    let mut peers = tokio::spawn(peer_port.serve(peers_stopped));
    jobs::start(&node, &jobs, health.clone());
    tracing::info!(node_id = %node.id, client = %config.listen.client, peer = %config.listen.peer, "node runs");

    let ended = tokio::select! {
        () = shutdown => Ok(()),
        ended = &mut clients => Err(anyhow::anyhow!("the client port is no longer served: {ended:?}")),
        ended = &mut peers => Err(anyhow::anyhow!("the peer port is no longer served: {ended:?}")),
    };
    tracing::info!(node_id = %node.id, "node stops");
    health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    stop_clients.send_replace(true);
    if ended.is_ok() && tokio::time::timeout(DRAIN, &mut clients).await.is_err() {
        tracing::warn!("streams were still open when the time to finish them was over");
    }
    stop.send_replace(true);
    if tokio::time::timeout(RECORD_DRAIN, &mut recorder).await.is_err() {
        recorder.abort();
        tracing::error!("refusals were not recorded before the node stopped");
    }
    stop_peers.send_replace(true);
    if ended.is_ok() && tokio::time::timeout(PEER_DRAIN, &mut peers).await.is_err() {
        tracing::debug!("peers were still calling");
    }
    node.metastore.shutdown().await;
    disks.shutdown().await;
    ended
}

/// A listener with what it serves.
struct Port {
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    routes: Routes,
    refusals: Arc<Refusals>,
}

impl Port {
    async fn serve(self, mut stop: watch::Receiver<bool>) -> Result<(), tonic::transport::Error> {
        let refusals = self.refusals;
        let connections =
            incoming(self.listener, self.tls, AcceptLimits::default(), move |refused| refusals.handshake(&refused));
        let stopped = async move {
            let _ = stop.wait_for(|stop| *stop).await;
        };
        tune_server(Server::builder(), &NetTuning::LAN)
            .add_routes(self.routes)
            .serve_with_incoming_shutdown(connections, stopped)
            .await
    }
}

/// A node before it answers anything.
struct Opened {
    node: Arc<Node>,
    disks: Arc<LocalShards>,
    client_ca: TrustedAuthority,
    peer_ca: TrustedAuthority,
}

async fn open(config: &Config, time: TlsTime) -> anyhow::Result<Opened> {
    let system = clock::system().context("could not read this machine's clocks")?;
    let genesis = read_genesis(&config.genesis)?;
    let registration = config.registration.as_deref().map(read_registration).transpose()?;
    let own = own_row(config, &genesis, registration.as_ref())?;
    let server_files = CertificateFiles::open(&config.tls.server_certificate, &config.tls.server_key)?;
    let peer_files = CertificateFiles::open(&config.tls.peer_certificate, &config.tls.peer_key)?;
    ensure!(
        peer_files.facts().key_hash == own.peer_key,
        "{} has another key than the one that {} is registered with",
        config.tls.peer_certificate.display(),
        own.id
    );
    let client_ca = TrustedAuthority::from_file(&config.tls.client_ca)?;
    let peer_ca = TrustedAuthority::from_file(&config.tls.peer_ca)?;
    let clock_key = open_clock_key(config, &own)?;
    let secrets = open_secrets(config, &genesis, &own)?;

    let disks = open_disks(config, &genesis).await?;
    pin_voters(&disks, &genesis)?;
    let local = Arc::new(MeasuredShards(Arc::clone(&disks)));
    let directory = Directory::new(&genesis);
    let tls = tls::client(Arc::clone(&peer_files), &peer_ca, time)?;
    let channels = Channels::new(tls, NetTuning::LAN);
    let raft_channels = Arc::new(RaftChannels(channels.clone()));
    let metastore = open_metastore(config, Arc::clone(&raft_channels)).await?;
    let catalog = RaftCatalog::new(config.node, Arc::clone(&metastore), system.clone(), secrets, raft_channels);
    let shards = Arc::new(Shards::default());
    shards.set(config.node, Arc::clone(&local) as Arc<dyn strongroom_shardstore::ShardStore>);
    let engine = new_engine(config, &catalog, &shards, &system);
    let node = Arc::new(Node {
        id: config.node,
        genesis,
        registration,
        system,
        metastore,
        catalog,
        engine,
        shards,
        local,
        channels,
        certificates: [server_files, peer_files],
        directory,
        beats: Beats::default(),
        clock_key,
        history: History::default(),
        settled: Settled::default(),
        draw_shares: DrawShares::open(&config.draws_dir)?,
    });
    node.directory.refresh(&*node.metastore.view().rows()).context("could not read the rows of nodes")?;
    node.connect_shards();
    Ok(Opened { node, disks, client_ca, peer_ca })
}

fn new_engine(config: &Config, catalog: &Arc<RaftCatalog>, shards: &Arc<Shards>, system: &System) -> Engine {
    let catalog = Arc::clone(catalog) as Arc<dyn strongroom_engine::Catalog>;
    Engine::new(config.node, catalog, Arc::clone(shards), system.clone(), Arc::new(Health::default()))
}

/// Reads a genesis file.
pub(crate) fn read_genesis(path: &Path) -> anyhow::Result<Genesis> {
    let bytes = std::fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
    Genesis::from_bytes(&bytes).map_err(|error| anyhow::anyhow!("could not use {}: {error}", path.display()))
}

/// Reads a node's registration.
pub(crate) fn read_registration(path: &Path) -> anyhow::Result<Registration> {
    let bytes = std::fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
    minicbor::decode(&bytes)
        .map_err(|error| anyhow::anyhow!("could not use {}: it is no registration: {error}", path.display()))
}

/// What this node is registered as: by the genesis file, or by the registration that it joins with.
pub(crate) fn own_row(
    config: &Config,
    genesis: &Genesis,
    registration: Option<&Registration>,
) -> anyhow::Result<NodeRow> {
    let own = registration.or_else(|| genesis.nodes.iter().find(|node| node.id == config.node));
    let Some(own) = own else {
        bail!("{} is not in the genesis file, and the configuration names no registration to join with", config.node)
    };
    ensure!(own.id == config.node, "the registration is that of {}, not of {}", own.id, config.node);
    Ok(row_of(own, genesis.voters.contains(&config.node)))
}

pub(crate) fn open_clock_key(config: &Config, own: &NodeRow) -> anyhow::Result<ClockKey> {
    let path = &config.keys.clock;
    let key = ClockKey::from_seed(&*read_secret(path)?)
        .with_context(|| format!("could not make a key of {}", path.display()))?;
    let vkey: VerifierKey = own.clock_vkey.parse().context("could not read the clock key that is registered")?;
    ensure!(key.is_of(&vkey), "{} is not the clock key that {} is registered with", path.display(), own.id);
    Ok(key)
}

/// Every node has a cosigner key. A voter has the others besides, and so has one that is to take a voter's place: it holds
/// them ready and uses them for nobody's footage until it votes.
pub(crate) fn open_secrets(config: &Config, genesis: &Genesis, own: &NodeRow) -> anyhow::Result<Option<VoterSecrets>> {
    let registered: VerifierKey =
        own.cosigner_vkey.parse().context("could not read the cosigner key that is registered")?;
    let cosigner = CosignerKey::from_seed(registered.name().clone(), read_secret(&config.keys.cosigner)?)?;
    ensure!(
        *cosigner.verifier() == registered,
        "{} is not the cosigner key that {} is registered with",
        config.keys.cosigner.display(),
        own.id
    );
    match (&config.keys.voter, own.voter) {
        (Some(paths), _) => Ok(Some(open_voter_secrets(paths, genesis, cosigner)?)),
        (None, false) => Ok(None),
        (None, true) => bail!("{} is a voter: the configuration must name key-encryption-key and log", own.id),
    }
}

fn open_voter_secrets(paths: &VoterKeyPaths, genesis: &Genesis, cosigner: CosignerKey) -> anyhow::Result<VoterSecrets> {
    let cluster = &genesis.create.cluster;
    let origin: KeyName = cluster.origin.parse().context("could not read the log's name in the genesis file")?;
    let log = LogKey::from_seed(origin, read_secret(&paths.log)?)?;
    let policy = Policy::parse_canonical(&cluster.policy).context("could not read the policy in the genesis file")?;
    let named = format!("log {}", log.verifier());
    ensure!(
        policy.to_string().lines().any(|line| line == named),
        "{} is not the log key that the cluster's policy names",
        paths.log.display()
    );
    let kek = KeyEncryptionKey::from_bytes(*read_secret(&paths.kek)?);
    Ok(VoterSecrets { kek, log, cosigner })
}

async fn open_disks(config: &Config, genesis: &Genesis) -> anyhow::Result<Arc<LocalShards>> {
    let expected = expected_marker(config, genesis);
    let disks = config.disks.clone();
    let opened =
        tokio::task::spawn_blocking(move || LocalShards::open(&disks, &expected, &StoreSettings::default())).await?;
    Ok(Arc::new(opened.context("could not open the disks")?))
}

/// Tells the disks whom to believe. One that cannot keep it serves all the same, and erases nothing.
fn pin_voters(disks: &LocalShards, genesis: &Genesis) -> anyhow::Result<()> {
    let policy = Policy::parse_canonical(&genesis.create.cluster.policy)
        .context("could not read the policy in the genesis file")?;
    if let Err(error) = disks.pin(&policy) {
        tracing::error!(%error, "a disk has other voters pinned, or none: it erases nothing");
    }
    Ok(())
}

/// What the marker of each disk must say.
pub(crate) fn expected_marker(config: &Config, genesis: &Genesis) -> ExpectedMarker {
    ExpectedMarker { cluster: genesis.create.cluster.cluster, node: config.node, genesis: genesis.digest() }
}

async fn open_metastore(config: &Config, channels: Arc<RaftChannels>) -> anyhow::Result<Arc<Metastore>> {
    let mut settings = MetastoreConfig::new(&config.meta_dir, config.node, &config.keys.guard);
    settings.timing = config.raft;
    settings.snapshot_after = config.snapshot_after;
    let opened = Metastore::open(settings, Arc::new(MachineApplier), channels).await;
    Ok(Arc::new(opened.context("could not open the metadata")?))
}

//! Nodes on loopback, each with a runtime of its own so that it can be killed, and a small set of rules.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future::Future,
    net::{SocketAddr, TcpListener},
    ops::Bound,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use strongroom_proto::peer::{
    self,
    meta_service_server::{MetaService, MetaServiceServer},
};
use strongroom_types::{
    NodeId, limits,
    rows::{RowError, Rows, TableId},
};
use tempfile::TempDir;
use tokio::{runtime::Runtime, time::Instant};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Channel, Endpoint, Server},
};

use crate::{
    Applier, ChannelError, EntryPosition, KEY_TABLE, Members, Metastore, MetastoreConfig, OpenError, PeerChannels,
    RaftTiming,
};

pub(super) const DEADLINE: Duration = Duration::from_secs(30);
pub(super) const ROWS: TableId = TableId(1);
pub(super) const MEMBERS: TableId = TableId(2);

/// Rules for tests: `put K V`, `del K`, `key K V` answer what was there before; `add` counts; `break` fails.
pub(super) struct Ledger;

impl Applier for Ledger {
    fn apply(&self, rows: &mut dyn Rows, _: EntryPosition, commands: &[Bytes]) -> Result<Vec<Vec<u8>>, RowError> {
        commands.iter().map(|command| apply_one(rows, command)).collect()
    }

    fn admit(&self, from: NodeId, command: &Bytes) -> Result<(), String> {
        if &command[..] == b"break" { Err(format!("{from} would break everything")) } else { Ok(()) }
    }

    fn members_changed(&self, rows: &mut dyn Rows, at: EntryPosition, members: &Members) -> Result<(), RowError> {
        rows.write(MEMBERS, &at.index.to_be_bytes(), format!("{:?}", members.voters).into_bytes());
        Ok(())
    }
}

fn apply_one(rows: &mut dyn Rows, command: &[u8]) -> Result<Vec<u8>, RowError> {
    let text = String::from_utf8_lossy(command);
    let words = text.split(' ').collect::<Vec<_>>();
    let (table, key, new) = match words.as_slice() {
        ["put", key, value] => (ROWS, *key, Some((*value).to_owned())),
        ["key", key, value] => (KEY_TABLE, *key, Some((*value).to_owned())),
        ["del", key] => (ROWS, *key, None),
        ["delkey", key] => (KEY_TABLE, *key, None),
        ["add"] => {
            let count = rows.read(ROWS, b"count")?.map_or(0, |count| number(&count)) + 1;
            rows.write(ROWS, b"count", count.to_string().into_bytes());
            return Ok(count.to_string().into_bytes());
        }
        _ => return Err(RowError::Store("told to break".to_owned())),
    };
    let old = rows.read(table, key.as_bytes())?.unwrap_or_else(|| b"-".to_vec());
    match new {
        Some(value) => rows.write(table, key.as_bytes(), value.into_bytes()),
        None => rows.remove(table, key.as_bytes()),
    }
    Ok(old)
}

pub(super) fn number(bytes: &[u8]) -> u64 {
    String::from_utf8_lossy(bytes).parse().unwrap()
}

/// Pairs of nodes that cannot speak with each other.
#[derive(Clone, Default)]
pub(super) struct Cuts(Arc<Mutex<BTreeSet<(NodeId, NodeId)>>>);

impl Cuts {
    pub(super) fn isolate(&self, node: NodeId, others: &[NodeId]) {
        let mut cuts = self.0.lock().unwrap();
        others.iter().for_each(|other| {
            cuts.extend([(node, *other), (*other, node)]);
        });
    }

    pub(super) fn heal(&self) {
        self.0.lock().unwrap().clear();
    }

    fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.0.lock().unwrap().contains(&(from, to))
    }
}

struct Loopback {
    node: NodeId,
    cuts: Cuts,
    channels: Mutex<HashMap<String, Channel>>,
}

impl PeerChannels for Loopback {
    fn channel(&self, node: NodeId, address: &str) -> Result<Channel, ChannelError> {
        let fail = |detail: String| ChannelError { node, address: address.to_owned(), detail };
        if self.cuts.is_cut(self.node, node) {
            return Err(fail("the network is cut".to_owned()));
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .and_then(|endpoint| endpoint.user_agent(self.node.to_string()))
            .map_err(|error| fail(error.to_string()))?;
        let mut channels = self.channels.lock().unwrap();
        Ok(channels.entry(address.to_owned()).or_insert_with(|| endpoint.connect_lazy()).clone())
    }
}

/// Who calls, as [`Loopback`] says; a certificate says it elsewhere.
fn caller<T>(request: &Request<T>) -> NodeId {
    let agent = request.metadata().get("user-agent").unwrap().to_str().unwrap();
    agent.split(' ').next().unwrap().parse().unwrap()
}

struct Service(Metastore);

#[tonic::async_trait]
impl MetaService for Service {
    async fn append(&self, request: Request<peer::AppendRequest>) -> Result<Response<peer::AppendResponse>, Status> {
        Ok(Response::new(self.0.handle_append(caller(&request), request.into_inner()).await?))
    }

    async fn vote(&self, request: Request<peer::VoteRequest>) -> Result<Response<peer::VoteResponse>, Status> {
        Ok(Response::new(self.0.handle_vote(caller(&request), request.into_inner()).await?))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<peer::InstallSnapshotRequest>>,
    ) -> Result<Response<peer::InstallSnapshotResponse>, Status> {
        Ok(Response::new(self.0.handle_install_snapshot(caller(&request), request.into_inner()).await?))
    }

    async fn propose(&self, request: Request<peer::ProposeRequest>) -> Result<Response<peer::ProposeResponse>, Status> {
        Ok(Response::new(self.0.handle_propose(caller(&request), request.into_inner()).await?))
    }

    async fn read_index(
        &self,
        request: Request<peer::ReadIndexRequest>,
    ) -> Result<Response<peer::ReadIndexResponse>, Status> {
        Ok(Response::new(self.0.handle_read_index(request.into_inner()).await?))
    }

    async fn new_item_key(
        &self,
        _: Request<peer::NewItemKeyRequest>,
    ) -> Result<Response<peer::NewItemKeyResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn unwrap_upload_key(
        &self,
        _: Request<peer::UnwrapUploadKeyRequest>,
    ) -> Result<Response<peer::UnwrapUploadKeyResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn unwrap_session_key(
        &self,
        _: Request<peer::UnwrapSessionKeyRequest>,
    ) -> Result<Response<peer::UnwrapSessionKeyResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn cosign(&self, _: Request<peer::CosignRequest>) -> Result<Response<peer::CosignResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn ping(&self, _: Request<peer::PingRequest>) -> Result<Response<peer::PingResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn join(&self, _: Request<peer::JoinRequest>) -> Result<Response<peer::JoinResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

/// A node that runs.
pub(super) struct Node {
    pub(super) store: Metastore,
    pub(super) fatal: Arc<Mutex<Vec<String>>>,
    runtime: Runtime,
}

impl Node {
    /// Ends it like a killed process: no shutdown, no flush; all its tasks are dropped where they stand.
    pub(super) async fn kill(self) {
        let Self { store, runtime, .. } = self;
        tokio::task::spawn_blocking(move || {
            runtime.shutdown_timeout(DEADLINE);
            drop(store);
        })
        .await
        .unwrap();
    }
}

/// Folders, addresses and the nodes that run.
pub(super) struct Cluster {
    pub(super) cuts: Cuts,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    addresses: BTreeMap<NodeId, SocketAddr>,
    dir: TempDir,
    change: fn(&mut MetastoreConfig),
}

impl Cluster {
    pub(super) fn new(change: fn(&mut MetastoreConfig)) -> Self {
        Self {
            cuts: Cuts::default(),
            nodes: BTreeMap::new(),
            addresses: BTreeMap::new(),
            dir: tempfile::tempdir().unwrap(),
            change,
        }
    }

    /// `count` voters that have a leader.
    pub(super) async fn of(count: u64, change: fn(&mut MetastoreConfig)) -> Self {
        let mut cluster = Self::new(change);
        for node in 1..=count {
            cluster.start(NodeId(node)).await.unwrap();
        }
        let voters = cluster.addresses.iter().map(|(node, address)| (*node, address.to_string())).collect();
        cluster.store(NodeId(1)).initialize(voters).await.unwrap();
        cluster.leader().await;
        cluster
    }

    pub(super) fn folder(&self, node: NodeId) -> PathBuf {
        self.dir.path().join(node.to_string())
    }

    pub(super) fn guard(&self, node: NodeId) -> PathBuf {
        self.dir.path().join("keys").join(format!("{node}.guard"))
    }

    pub(super) fn address(&self, node: NodeId) -> String {
        self.addresses[&node].to_string()
    }

    pub(super) fn store(&self, node: NodeId) -> &Metastore {
        &self.nodes[&node].store
    }

    pub(super) async fn start(&mut self, node: NodeId) -> Result<(), OpenError> {
        let wanted = self.addresses.get(&node).copied().unwrap_or_else(|| "127.0.0.1:0".parse().unwrap());
        let listener = TcpListener::bind(wanted).unwrap();
        self.addresses.insert(node, listener.local_addr().unwrap());
        let fatal = Arc::new(Mutex::new(Vec::new()));
        let mut config = config(&self.folder(node), node, &self.guard(node));
        let seen = Arc::clone(&fatal);
        config.on_fatal = Arc::new(move |reason| seen.lock().unwrap().push(reason.to_owned()));
        (self.change)(&mut config);
        let channels = Loopback { node, cuts: self.cuts.clone(), channels: Mutex::default() };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let opened = runtime
            .spawn(async move {
                let store = Metastore::open(config, Arc::new(Ledger), Arc::new(channels)).await?;
                serve(listener, store.clone());
                Ok(store)
            })
            .await
            .unwrap();
        match opened {
            Ok(store) => {
                self.nodes.insert(node, Node { store, fatal, runtime });
                Ok(())
            }
            Err(error) => {
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    pub(super) async fn kill(&mut self, node: NodeId) {
        self.nodes.remove(&node).unwrap().kill().await;
    }

    pub(super) async fn end(self) {
        for node in self.nodes.into_values() {
            node.kill().await;
        }
    }

    /// A running node that leads and is confirmed by a majority.
    pub(super) async fn leader(&self) -> NodeId {
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            for (node, running) in &self.nodes {
                let metrics = running.store.metrics();
                if metrics.leader == Some(*node) && running.store.read_index().await.is_ok() {
                    return *node;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no leader within {DEADLINE:?}");
    }

    /// Waits until all running nodes have applied the same last entry, and compares their digests and rows.
    pub(super) async fn agree(&self) -> (u64, [u8; 64]) {
        let digests = || self.nodes.values().map(|node| node.store.state_digest()).collect::<Vec<_>>();
        eventually("all nodes stand at the same entry", || {
            let digests = digests();
            let last = self.nodes.values().map(|node| node.store.metrics().last_log_index).max();
            digests.iter().all(|(index, _)| *index == digests[0].0) && Some(digests[0].0) == last
        })
        .await;
        let all = digests();
        assert!(all.iter().all(|digest| *digest == all[0]), "the digests differ: {all:?}");
        let rows = self.nodes.values().map(|node| all_rows(&node.store)).collect::<Vec<_>>();
        assert!(rows.iter().all(|other| *other == rows[0]), "the rows differ");
        for node in self.nodes.values() {
            assert_eq!(node.store.recompute_digest().await.unwrap(), all[0]);
            assert_eq!(node.store.digest_at(all[0].0), Some(all[0].1));
        }
        all[0]
    }
}

fn serve(listener: TcpListener, store: Metastore) {
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let service = MetaServiceServer::new(Service(store))
        .max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
        .max_encoding_message_size(limits::MESSAGE_BYTES_MAX);
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
}

pub(super) fn config(folder: &Path, node: NodeId, guard: &Path) -> MetastoreConfig {
    let mut config = MetastoreConfig::new(folder, node, guard);
    config.timing = RaftTiming {
        heartbeat: Duration::from_millis(100),
        election_min: Duration::from_millis(500),
        election_max: Duration::from_millis(900),
    };
    config
}

pub(super) fn all_rows(store: &Metastore) -> BTreeMap<(u8, Vec<u8>), Vec<u8>> {
    let view = store.view();
    let rows = view.rows();
    [ROWS, MEMBERS, KEY_TABLE]
        .into_iter()
        .flat_map(|table| {
            let found = rows.scan(table, &[], Bound::Unbounded, usize::MAX).unwrap();
            found.into_iter().map(move |(key, value)| ((table.0, key), value))
        })
        .collect()
}

pub(super) fn row(store: &Metastore, key: &str) -> Option<String> {
    let value = store.view().rows().read(ROWS, key.as_bytes()).unwrap();
    value.map(|value| String::from_utf8(value).unwrap())
}

/// Waits for a condition, with a deadline.
pub(super) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Gives a future a deadline.
pub(super) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("not within {DEADLINE:?}: {what}"))
}

//! A cluster of real nodes in one process: loopback, mutual TLS, disks in a temporary folder.

use std::{
    collections::{BTreeMap, HashMap},
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread::JoinHandle,
    time::Duration,
};

use strongroom_custody::{
    command::{AddDevice, AddUnit, CreateCluster, RegisterPrincipal},
    tables::{ClusterRow, DeviceType},
};
use strongroom_engine::Genesis;
use strongroom_ledger::{CosignerKey, KeyName, LogKey, OutsideRule, Policy};
use strongroom_net::{
    channel::Channels,
    pki::{Authority, AuthorityKind, Issued, Validity, key_hash_of_certificate, write_private, write_public},
    tls::{self, CertificateFiles, TlsTime, TrustedAuthority},
    tuning::NetTuning,
};
use strongroom_node::{
    Config, Listeners, RawConfig,
    clock::SystemClock,
    config::{RawDisk, RawKeys, RawListen, RawRaft, RawTls},
    run_on,
};
use strongroom_proto::ASSENT_HEADER;
use strongroom_shardstore::{Disk, DiskMarker};
use strongroom_topology::{ClassRow, Promise, Registration};
use strongroom_types::{Assent, Clock, ClusterId, DiskId, NodeId, Role, UnixMillis};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tonic::{Request, metadata::MetadataValue, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// No wait takes longer than this unless something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const CLUSTER: ClusterId = ClusterId::new([0xc1; 16]);
const PEOPLE: [(&str, Role); 7] = [
    ("station", Role::Station),
    ("legal", Role::Legal),
    ("approver", Role::Approver),
    ("archivist", Role::Archivist),
    ("ops", Role::Ops),
    ("auditor", Role::Auditor),
    ("security", Role::Security),
];

pub(crate) struct Cluster {
    folder: TempDir,
    clients: Authority,
    peers: Authority,
    addresses: Vec<Addresses>,
    nodes: Vec<Option<Running>>,
    channels: HashMap<String, Channels>,
}

#[derive(Clone, Copy)]
struct Addresses {
    client: SocketAddr,
    peer: SocketAddr,
}

/// A node on a thread and a runtime of its own: when it has ended, nothing of it is left, as with a process.
struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<anyhow::Result<()>>,
}

/// Sockets that belong to no runtime yet.
struct Bound {
    client: TcpListener,
    peer: TcpListener,
}

fn now() -> UnixMillis {
    SystemClock::new().expect("a clock").wall()
}

impl Cluster {
    /// Three nodes in three districts, each a voter; originals are cut 2+1.
    pub(crate) async fn start() -> Self {
        strongroom_node::logging::start(strongroom_node::logging::LogFormat::Text);
        let folder = tempfile::tempdir().expect("a folder");
        let authority = |kind| Authority::create(kind, CLUSTER, now()).expect("an authority");
        let (clients, peers) = (authority(AuthorityKind::Client), authority(AuthorityKind::Peer));
        let bound = [bound(), bound(), bound()];
        let addresses: Vec<_> = bound.iter().map(addresses_of).collect();
        let mut cluster = Self { folder, clients, peers, addresses, nodes: Vec::new(), channels: HashMap::new() };
        cluster.write_files();
        for (position, bound) in bound.into_iter().enumerate() {
            let running = cluster.run(position, bound);
            cluster.nodes.push(Some(running));
        }
        cluster
    }

    pub(crate) async fn stop(&mut self, position: usize) {
        let Running { stop, thread } = self.nodes[position].take().expect("it runs");
        stop.send(()).expect("it waits");
        let ended = tokio::task::spawn_blocking(move || thread.join());
        let ended = tokio::time::timeout(PATIENCE, ended).await.expect("in time").expect("joins");
        ended.expect("no panic").expect("a clean end");
    }

    pub(crate) async fn restart(&mut self, position: usize) {
        let Addresses { client, peer } = self.addresses[position];
        let bound = Bound { client: rebind(client).await, peer: rebind(peer).await };
        let running = self.run(position, bound);
        self.nodes[position] = Some(running);
    }

    fn run(&self, position: usize, bound: Bound) -> Running {
        let config = Config::load(&self.node_folder(position).join("node.toml")).expect("a good configuration");
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(async {
                let listeners = Listeners { client: adopt(bound.client)?, peer: adopt(bound.peer)?, metrics: None };
                let ended = run_on(config, listeners, async {
                    let _ = stopped.await;
                });
                ended.await
            })
        });
        Running { stop, thread }
    }

    /// Waits until a node says that it serves.
    pub(crate) async fn serving(&mut self, position: usize) {
        let mut health = HealthClient::new(self.channel("ops", position));
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            match health.check(HealthCheckRequest { service: String::new() }).await {
                Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => return,
                answer => {
                    assert!(tokio::time::Instant::now() < deadline, "n{} does not serve: {answer:?}", position + 1)
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A channel of one person to one node's client port.
    pub(crate) fn channel(&mut self, person: &str, position: usize) -> Channel {
        let address = self.addresses[position].client.to_string();
        let (clients, folder) = (&self.clients, self.folder.path());
        let channels = self.channels.entry(person.to_owned()).or_insert_with(|| {
            let base = folder.join("identities");
            channels(&base.join(format!("{person}.pem")), &base.join(format!("{person}.key")), clients)
        });
        channels.channel(&address).expect("an address")
    }

    /// A request with what somebody signed.
    pub(crate) fn signed<T>(&self, person: &str, assent: &Assent, key: &str, message: T) -> Request<T> {
        let base = self.folder.path().join("identities");
        let own = CertificateFiles::open(&base.join(format!("{person}.pem")), &base.join(format!("{person}.key")));
        let now = TlsTime::system().now();
        let text = assent.text(CLUSTER, &key.parse().expect("a key"), now);
        let signature = own.expect("opens").sign(text.as_bytes()).expect("signs");
        let signature = [&now.0.to_be_bytes(), &signature[..]].concat();
        let mut request = Request::new(message);
        request.metadata_mut().insert_bin(ASSENT_HEADER, MetadataValue::from_bytes(&signature));
        request
    }

    /// A channel to a node's peer port, with a certificate of the peer authority for a node that nobody registered.
    pub(crate) fn stranger(&self, position: usize) -> Channel {
        let issued = self.peers.issue_peer(NodeId(9), &[], year()).expect("issued");
        let (certificate, key) = write(&self.folder.path().join("stranger"), "peer", &issued);
        let channels = channels(&certificate, &key, &self.peers);
        let node = NodeId(u64::try_from(position).expect("small") + 1);
        channels.peer(node, &self.addresses[position].peer.to_string()).expect("an address")
    }

    pub(crate) fn policy(&self) -> Policy {
        let text = std::fs::read_to_string(self.folder.path().join("policy")).expect("reads");
        Policy::parse_canonical(&text).expect("a policy")
    }

    pub(crate) fn node_folder(&self, position: usize) -> PathBuf {
        self.folder.path().join("nodes").join(format!("n{}", position + 1))
    }

    fn write_files(&self) {
        let folder = self.folder.path();
        std::fs::create_dir_all(folder.join("pki")).expect("creates");
        write_public(&folder.join("pki/client-ca.pem"), self.clients.certificate_pem()).expect("writes");
        write_public(&folder.join("pki/peer-ca.pem"), self.peers.certificate_pem()).expect("writes");
        let principals = PEOPLE.map(|(name, role)| {
            let issued = self.clients.issue_client(name, year()).expect("issued");
            write(&folder.join("identities"), name, &issued);
            RegisterPrincipal {
                principal: name.parse().expect("a name"),
                key: key_hash_of_certificate(issued.certificate_pem.as_bytes()).expect("a certificate"),
                roles: vec![role],
                unit: (role == Role::Station).then(|| "U1".parse().expect("a name")),
            }
        });
        let origin = KeyName::of_cluster("strongroom.local", CLUSTER).expect("a name");
        let nodes: Vec<_> = (0..3).map(|position| self.write_node(position, &origin)).collect();
        let voters = nodes.iter().map(|node| node.cosigner_vkey.parse().expect("a key")).collect();
        let log = LogKey::from_seed(origin.clone(), [0x10; 32].into()).expect("a key").verifier().clone();
        let policy = Policy::new(log, voters, Vec::new(), OutsideRule::Optional).expect("a policy");
        std::fs::write(folder.join("policy"), policy.to_string()).expect("writes");
        let genesis = self.genesis(&origin, &policy, principals.to_vec(), nodes);
        std::fs::write(folder.join("genesis.cbor"), genesis.to_bytes()).expect("writes");
        for registration in &genesis.nodes {
            let marker = DiskMarker {
                format_version: DiskMarker::FORMAT_VERSION,
                cluster: CLUSTER,
                node: registration.id,
                disk: registration.disks[0],
                genesis: genesis.digest(),
                trial: true,
            };
            let position = usize::try_from(registration.id.0).expect("small") - 1;
            Disk::format(&self.node_folder(position).join("disk0"), &marker).expect("formats");
        }
    }

    fn genesis(
        &self,
        origin: &KeyName,
        policy: &Policy,
        principals: Vec<RegisterPrincipal>,
        nodes: Vec<Registration>,
    ) -> Genesis {
        let cluster = ClusterRow {
            cluster: CLUSTER,
            trial: true,
            created_at: now(),
            policy: policy.to_string(),
            policy_digest: *policy.fingerprint().as_bytes(),
            class: "default".to_owned(),
            origin: origin.to_string(),
        };
        let unit = AddUnit {
            unit: "U1".parse().expect("a name"),
            full_name: "一中队".to_owned(),
            profile: "dev".parse().expect("a name"),
        };
        let device = AddDevice {
            device: "D1".parse().expect("a name"),
            unit: "U1".parse().expect("a name"),
            device_type: DeviceType::Bwc,
            brand_model: "test".to_owned(),
            asset: None,
        };
        Genesis {
            create: CreateCluster {
                cluster,
                profiles: vec![include_str!("../../../../profiles/dev.toml").to_owned()],
                units: vec![unit],
                devices: vec![device],
                principals,
                genesis: [0; 32],
            },
            class: ClassRow {
                name: "default".parse().expect("a name"),
                promise: Promise::SurviveDistrict,
                widest: "2+1".parse().expect("a scheme"),
            },
            voters: nodes.iter().map(|node| node.id).collect(),
            nodes,
            extension: None,
        }
    }

    fn write_node(&self, position: usize, origin: &KeyName) -> Registration {
        let (folder, number) = (self.node_folder(position), u8::try_from(position).expect("small") + 1);
        let id = NodeId(u64::from(number));
        let server = self.clients.issue_server(&id.to_string(), &["127.0.0.1".to_owned()], year()).expect("issued");
        write(&folder.join("tls"), "server", &server);
        let peer = self.peers.issue_peer(id, &[], year()).expect("issued");
        write(&folder.join("tls"), "peer", &peer);
        let seeds =
            [("cosigner.seed", 0x20 + number), ("clock.seed", 0x30 + number), ("kek", 0x40), ("log.seed", 0x10)];
        std::fs::create_dir_all(folder.join("keys")).expect("creates");
        for (name, byte) in seeds {
            let path = folder.join("keys").join(name);
            std::fs::write(&path, hex::encode([byte; 32])).expect("writes");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("sets");
        }
        std::fs::write(folder.join("node.toml"), self.raw_config(position).to_toml()).expect("writes");
        let vkey = |byte: u8| {
            let name = origin.of_voter(id).expect("a name");
            CosignerKey::from_seed(name, [byte; 32].into()).expect("a key").verifier().to_string()
        };
        Registration {
            id,
            district: format!("d{number}").parse().expect("a name"),
            client_address: self.addresses[position].client.to_string(),
            peer_address: self.addresses[position].peer.to_string(),
            peer_key: key_hash_of_certificate(peer.certificate_pem.as_bytes()).expect("a certificate"),
            labels: BTreeMap::new(),
            disks: vec![DiskId::new([number; 16])],
            cosigner_vkey: vkey(0x20 + number),
            clock_vkey: vkey(0x30 + number),
        }
    }

    fn raw_config(&self, position: usize) -> RawConfig {
        RawConfig {
            node_id: u64::try_from(position).expect("small") + 1,
            data_dir: "data".into(),
            genesis: "../../genesis.cbor".into(),
            registration: None,
            listen: RawListen {
                client: self.addresses[position].client.to_string(),
                peer: self.addresses[position].peer.to_string(),
                metrics: None,
            },
            tls: RawTls {
                client_ca: "../../pki/client-ca.pem".into(),
                server_certificate: "tls/server.pem".into(),
                server_key: "tls/server.key".into(),
                peer_ca: "../../pki/peer-ca.pem".into(),
                peer_certificate: "tls/peer.pem".into(),
                peer_key: "tls/peer.key".into(),
            },
            keys: RawKeys {
                cosigner: "keys/cosigner.seed".into(),
                clock: "keys/clock.seed".into(),
                key_encryption_key: Some("keys/kek".into()),
                log: Some("keys/log.seed".into()),
                guard: "keys/guard.cbor".into(),
            },
            disks: vec![RawDisk { path: "disk0".into(), capacity: None }],
            raft: Some(RawRaft::default()),
        }
    }
}

fn year() -> Validity {
    Validity::days_from(now(), 365)
}

fn write(folder: &Path, name: &str, issued: &Issued) -> (PathBuf, PathBuf) {
    std::fs::create_dir_all(folder).expect("creates");
    let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    write_public(&certificate, &issued.certificate_pem).expect("writes");
    write_private(&key, &issued.key_pem).expect("writes");
    (certificate, key)
}

fn channels(certificate: &Path, key: &Path, servers: &Authority) -> Channels {
    let own = CertificateFiles::open(certificate, key).expect("opens");
    let trusted = TrustedAuthority::from_pem(servers.certificate_pem().as_bytes()).expect("an authority");
    Channels::new(tls::client(own, &trusted, TlsTime::system()).expect("a client"), NetTuning::LAN)
}

fn bound() -> Bound {
    let any = || TcpListener::bind("127.0.0.1:0").expect("binds");
    Bound { client: any(), peer: any() }
}

fn addresses_of(bound: &Bound) -> Addresses {
    let address = |listener: &TcpListener| listener.local_addr().expect("bound");
    Addresses { client: address(&bound.client), peer: address(&bound.peer) }
}

fn adopt(listener: TcpListener) -> std::io::Result<tokio::net::TcpListener> {
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
}

/// A port of ours may still be held by connections that are closing.
async fn rebind(address: SocketAddr) -> TcpListener {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(error) => {
                assert!(tokio::time::Instant::now() < deadline, "could not listen on {address} again: {error}")
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

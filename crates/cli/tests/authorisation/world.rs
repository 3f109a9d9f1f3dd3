//! The cluster under test, and whoever may turn up at its ports: people of every role, strangers, forgers, nodes.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use strongroom_engine::Genesis;
use strongroom_net::channel::Channels;
use strongroom_net::pki::{Authority, Issued, Validity, write_private, write_public};
use strongroom_net::tls::{self, CertificateFiles, TlsTime, TrustedAuthority};
use strongroom_net::tuning::NetTuning;
use strongroom_proto::cluster::{ShowStatusRequest, ShowStatusResponse};
use strongroom_testkit::{Cluster, Shape};
use strongroom_types::{NodeId, Role, UnixMillis};
use tonic::transport::Channel;

use crate::wire::ask;

/// What is noted in the background is on the ledger within this.
const RECORDED_WITHIN: Duration = Duration::from_secs(20);

/// A certificate with its key, as files.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// A record as `ledger records` shows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) actor: String,
    pub(crate) act: String,
    pub(crate) result: String,
    pub(crate) facts: BTreeMap<String, String>,
}

/// A cluster with its authorities' keys.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) genesis: Genesis,
    pub(crate) clients: Authority,
    pub(crate) peers: Authority,
    pub(crate) now: UnixMillis,
    drawn: AtomicU64,
}

impl World {
    /// Brings it up.
    pub(crate) fn up() -> Self {
        let cluster = Cluster::up(env!("CARGO_BIN_EXE_strongroom"), Shape::default());
        let genesis = fs::read(cluster.file("genesis.cbor")).expect("a genesis file");
        let authority = |name: &str| {
            let read = |end: &str| fs::read_to_string(cluster.file(&format!("pki/{name}.{end}"))).expect("reads");
            Authority::load(&read("pem"), &read("key")).expect("an authority")
        };
        Self {
            genesis: Genesis::from_bytes(&genesis).expect("a genesis"),
            clients: authority("client-ca"),
            peers: authority("peer-ca"),
            cluster,
            now: wall(),
            drawn: AtomicU64::new(0),
        }
    }

    /// How many nodes there are.
    pub(crate) fn nodes(&self) -> usize {
        self.genesis.nodes.len()
    }

    /// A name or key that nobody had before.
    pub(crate) fn fresh(&self, what: &str) -> String {
        format!("{what}-{}", self.drawn.fetch_add(1, Ordering::Relaxed))
    }

    /// The certificate of the demo's only principal of a role.
    pub(crate) fn of_role(&self, role: Role) -> Shown {
        self.shown(&format!("identities/{role}"))
    }

    /// A certificate and key of the cluster's folder.
    pub(crate) fn shown(&self, stem: &str) -> Shown {
        Shown { certificate: self.cluster.file(&format!("{stem}.pem")), key: self.cluster.file(&format!("{stem}.key")) }
    }

    /// What was issued, written to files.
    pub(crate) fn write(&self, issued: &Issued) -> Shown {
        let name = self.fresh("shown");
        let files = Shown {
            certificate: self.cluster.path(&format!("{name}.pem")),
            key: self.cluster.path(&format!("{name}.key")),
        };
        write_public(&files.certificate, &issued.certificate_pem).expect("writes");
        write_private(&files.key, &issued.key_pem).expect("writes");
        files
    }

    /// Good from a while ago for a day.
    pub(crate) fn day(&self) -> Validity {
        Validity::days_from(self.now, 1)
    }

    /// A good certificate of a key that nobody registered.
    pub(crate) fn stranger(&self) -> Shown {
        self.write(&self.clients.issue_client("stranger", self.day()).expect("issued"))
    }

    /// Registers somebody new through the command line; answers name and certificate.
    pub(crate) fn register(&self, roles: &[Role], unit: Option<&str>) -> (String, Shown) {
        let (name, shown) = (self.fresh("person"), self.stranger());
        let certificate = shown.certificate.display().to_string();
        let mut words = vec!["principal", "register", &name, "--certificate", &certificate];
        for role in roles {
            words.extend(["--role", role.name()]);
        }
        words.extend(unit.iter().flat_map(|unit| ["--unit", unit]));
        self.cluster.done(&words);
        (name, shown)
    }

    /// Ends somebody's access through the command line.
    pub(crate) fn revoke(&self, name: &str) {
        self.cluster.done(&["principal", "revoke", name, "--reason", "a test"]);
    }

    /// A new connection to a node's client port; nodes are counted from 0.
    pub(crate) fn client(&self, shown: &Shown, node: usize) -> Channel {
        let channels = channels(shown, &self.clients);
        channels.channel(&self.genesis.nodes[node].client_address).expect("an address")
    }

    /// A new connection to a node's client port by the demo's principal of a role.
    pub(crate) fn role(&self, role: Role, node: usize) -> Channel {
        self.client(&self.of_role(role), node)
    }

    /// A new connection to a node's client port that shows no certificate.
    pub(crate) fn anonymous(&self, node: usize) -> Channel {
        let mut roots = rustls::RootCertStore::empty();
        let authority = fs::read(self.cluster.file("pki/client-ca.pem")).expect("reads");
        for certificate in rustls::pki_types::pem::PemObject::pem_slice_iter(&authority) {
            roots.add(certificate.expect("a certificate")).expect("an authority");
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let channels = Channels::new(Arc::new(config), NetTuning::LAN);
        channels.channel(&self.genesis.nodes[node].client_address).expect("an address")
    }

    /// A new connection to a node's peer port.
    pub(crate) fn peer(&self, shown: &Shown, node: usize) -> Channel {
        let to = &self.genesis.nodes[node];
        channels(shown, &self.peers).peer(to.id, &to.peer_address).expect("an address")
    }

    /// A node's own peer certificate.
    pub(crate) fn of_node(&self, node: NodeId) -> Shown {
        self.shown(&format!("nodes/{node}/tls/peer"))
    }

    /// The cluster as ops sees it.
    pub(crate) async fn status(&self) -> ShowStatusResponse {
        let path = "/strongroom.cluster.v1.ClusterService/ShowStatus";
        ask(&self.role(Role::Ops, 0), path, ShowStatusRequest {}).await.expect("ops may")
    }

    /// Records from a position on, as the auditor reads them.
    pub(crate) fn records(&self, from: u64) -> Vec<Record> {
        let listed = self.cluster.json(&["ledger", "records", "--from", &from.to_string(), "--limit", "100000"]);
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let record = |value: &serde_json::Value| Record {
            actor: text(&value["actor"]),
            act: text(&value["act"]),
            result: text(&value["result"]),
            facts: value["facts"]
                .as_object()
                .expect("facts")
                .iter()
                .map(|(name, fact)| (name.clone(), text(fact)))
                .collect(),
        };
        listed.as_array().expect("records").iter().map(record).collect()
    }

    /// Looks at the records from a position on until they are as they must be.
    pub(crate) async fn recorded<T>(&self, from: u64, look: impl Fn(&[Record]) -> Result<T, String>) -> T {
        let deadline = Instant::now() + RECORDED_WITHIN;
        loop {
            match look(&self.records(from)) {
                Ok(found) => return found,
                Err(missing) => assert!(Instant::now() < deadline, "not on the ledger: {missing}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Ingests an original through the command line.
    pub(crate) fn ingest(&self, content: &[u8]) -> Bytes {
        let (_, item) = self.cluster.ingest_bytes(&self.fresh("original"), content);
        hex::decode(item["item"].as_str().expect("an item")).expect("hexadecimal").into()
    }
}

/// This machine's wall clock, by which certificates are judged; the cluster's own is behind it by up to a tick.
#[expect(clippy::disallowed_methods, reason = "there is nobody to inject a clock here")]
pub(crate) fn wall() -> UnixMillis {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    UnixMillis(i64::try_from(since_1970.as_millis()).expect("before the year 292 million"))
}

fn channels(shown: &Shown, servers: &Authority) -> Channels {
    let own = CertificateFiles::open(&shown.certificate, &shown.key).expect("a certificate and its key");
    let servers = TrustedAuthority::from_pem(servers.certificate_pem().as_bytes()).expect("an authority");
    Channels::new(tls::client(own, &servers, TlsTime::system()).expect("a client"), NetTuning::LAN)
}

//! One node of a local cluster: its keys and certificates, its registration, its folder with a formatted disk. A node
//! is made in the same way with the cluster and later, when it joins with its registration.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use strongroom_client::ContextFile;
use strongroom_engine::{Genesis, System};
use strongroom_ledger::{CosignerKey, KeyName};
use strongroom_net::pki::{self, Authority, AuthorityKind, Validity};
use strongroom_node::RawConfig;
use strongroom_node::config::{RawDisk, RawKeys, RawListen, RawTls};
use strongroom_shardstore::{Disk, DiskMarker};
use strongroom_topology::Registration;
use strongroom_types::{DiskId, NodeId, rows};
use zeroize::Zeroizing;

use super::create::{key_failure, make_folder, write, write_secret};
use super::folder::{DevFolder, DevNode};
use super::ports;
use crate::commands::{CERTIFICATE_DAYS, load_authority, write_new};
use crate::failure::Failure;

/// Client, peer and metrics.
pub(super) const PORTS: usize = 3;
const HOSTS: [&str; 2] = ["127.0.0.1", "localhost"];
const REGISTRATION: &str = "registration.cbor";

/// Which node it will be.
pub(super) struct Seat {
    pub(super) node: NodeId,
    pub(super) district: String,
    pub(super) voter: bool,
}

/// Who vouches for nodes.
pub(super) struct Authorities<'a> {
    pub(super) clients: &'a Authority,
    pub(super) peers: &'a Authority,
}

/// What was drawn for one node.
pub(super) struct NodeParts {
    pub(super) id: NodeId,
    pub(super) dev: DevNode,
    disk: DiskId,
    cosigner_seed: Zeroizing<[u8; 32]>,
    clock_seed: Zeroizing<[u8; 32]>,
    peer: pki::Issued,
    server: pki::Issued,
}

impl NodeParts {
    /// Draws keys and ids; `ports` are three.
    pub(super) fn draw(
        authorities: &Authorities<'_>,
        seat: Seat,
        ports: &[u16],
        system: &System,
    ) -> Result<Self, Failure> {
        let Seat { node: id, district, voter } = seat;
        let hosts = HOSTS.map(str::to_owned);
        let validity = Validity::days_from(system.clock.wall(), CERTIFICATE_DAYS);
        let address = |port: u16| format!("127.0.0.1:{port}");
        Ok(Self {
            id,
            dev: DevNode {
                name: id.to_string(),
                district,
                voter,
                client: address(ports[0]),
                peer: address(ports[1]),
                metrics: address(ports[2]),
            },
            disk: DiskId::new(system.draw()),
            cosigner_seed: Zeroizing::new(system.draw()),
            clock_seed: Zeroizing::new(system.draw()),
            peer: authorities.peers.issue_peer(id, &hosts, validity)?,
            server: authorities.clients.issue_server(&id.to_string(), &hosts, validity)?,
        })
    }

    fn key(&self, origin: &KeyName, seed: &Zeroizing<[u8; 32]>) -> Result<CosignerKey, Failure> {
        let name = origin.of_voter(self.id).map_err(key_failure)?;
        CosignerKey::from_seed(name, seed.clone()).map_err(key_failure)
    }

    /// The key that it cosigns checkpoints with.
    pub(super) fn cosigner(&self, origin: &KeyName) -> Result<CosignerKey, Failure> {
        self.key(origin, &self.cosigner_seed)
    }

    /// What the cluster is told of it.
    pub(super) fn registration(&self, origin: &KeyName) -> Result<Registration, Failure> {
        Ok(Registration {
            id: self.id,
            district: self
                .dev
                .district
                .parse()
                .map_err(|error| Failure::usage(format!("district {:?}: {error}", self.dev.district)))?,
            client_address: self.dev.client.clone(),
            peer_address: self.dev.peer.clone(),
            peer_key: pki::key_hash_of_certificate(self.peer.certificate_pem.as_bytes())?,
            labels: BTreeMap::new(),
            disks: vec![self.disk],
            cosigner_vkey: self.cosigner(origin)?.verifier().to_string(),
            clock_vkey: self.key(origin, &self.clock_seed)?.verifier().to_string(),
        })
    }

    /// Writes everything that is the node's own, formats its disk, and answers the folder.
    /// With a registration the node asks to be taken in when it starts; without, it is in the genesis file.
    pub(super) fn write_folder(
        &self,
        root: &Path,
        genesis: &Genesis,
        registration: Option<&Registration>,
    ) -> Result<PathBuf, Failure> {
        let folder = root.join("nodes").join(&self.dev.name);
        let (tls, keys) = (folder.join("tls"), folder.join("keys"));
        for path in [&folder, &folder.join("data"), &tls, &keys] {
            make_folder(path)?;
        }
        write_new(&tls, "server", &self.server.certificate_pem, &self.server.key_pem)?;
        write_new(&tls, "peer", &self.peer.certificate_pem, &self.peer.key_pem)?;
        write_seed(&keys.join("cosigner.seed"), &self.cosigner_seed)?;
        write_seed(&keys.join("clock.seed"), &self.clock_seed)?;
        let marker = DiskMarker {
            format_version: DiskMarker::FORMAT_VERSION,
            cluster: genesis.create.cluster.cluster,
            node: self.id,
            disk: self.disk,
            genesis: genesis.digest(),
            trial: true,
        };
        Disk::format(&folder.join("disk0"), &marker)
            .map_err(|error| Failure::caused_by(format!("could not format the disk of {}", self.id), &error))?;
        if let Some(registration) = registration {
            write(&folder.join(REGISTRATION), &rows::encode(registration))?;
        }
        let config = self.config(registration.map(|_| REGISTRATION.into()), self.dev.voter);
        write(&folder.join("node.toml"), config.to_toml().as_bytes())?;
        Ok(folder)
    }

    /// The node's configuration; every path is relative to its folder.
    fn config(&self, registration: Option<PathBuf>, holds_keys: bool) -> RawConfig {
        let voters = |name: &str| holds_keys.then(|| PathBuf::from("keys").join(name));
        RawConfig {
            node_id: self.id.0,
            data_dir: "data".into(),
            genesis: "../../genesis.cbor".into(),
            registration,
            listen: RawListen {
                client: self.dev.client.clone(),
                peer: self.dev.peer.clone(),
                metrics: Some(self.dev.metrics.clone()),
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
                key_encryption_key: voters("kek"),
                log: voters("log.seed"),
                guard: "keys/guard.cbor".into(),
            },
            disks: vec![RawDisk { path: "disk0".into(), capacity: None }],
            raft: None,
        }
    }
}

/// A secret of 32 bytes, readable by its owner alone.
pub(super) fn write_seed(path: &Path, seed: &[u8; 32]) -> Result<(), Failure> {
    write_secret(path, &Zeroizing::new(hex::encode(seed)))
}

/// A node to add.
pub(crate) struct NewNode {
    /// District that it stands in; the one with the fewest nodes where none is named.
    pub(crate) district: Option<String>,
    /// Whether it holds a voter's keys ready, so that it can take a voter's place.
    pub(crate) can_vote: bool,
}

/// Makes one more node, which joins by its registration when it starts, and notes it in the cluster's files. The new
/// node stores shards and holds a copy of the metadata; it does not vote.
pub(crate) fn add(cluster: &mut DevFolder, new: NewNode, system: &System) -> Result<String, Failure> {
    let root = cluster.root().to_owned();
    let path = root.join("genesis.cbor");
    let bytes = fs::read(&path).map_err(Failure::file("read", &path))?;
    let genesis = Genesis::from_bytes(&bytes)
        .map_err(|error| Failure::failed(format!("could not use {}: {error}", path.display())))?;
    let origin: KeyName = genesis.create.cluster.origin.parse().map_err(key_failure)?;
    let authority = |kind| load_authority(&root.join("pki"), kind);
    let authorities =
        Authorities { clients: &authority(AuthorityKind::Client)?, peers: &authority(AuthorityKind::Peer)? };

    // A node's number is used once, so the list only grows.
    let number = cluster.file.nodes.len() + 1;
    let districts: Vec<_> = cluster.file.nodes.iter().map(|node| node.district.clone()).collect();
    let seat = Seat {
        node: NodeId(u64::try_from(number).expect("a count of nodes")),
        district: new.district.unwrap_or_else(|| fewest(&districts)),
        voter: false,
    };
    let parts = NodeParts::draw(&authorities, seat, &ports::free(PORTS, system)?, system)?;
    let registration = parts.registration(&origin)?;

    let folder = root.join("nodes").join(&parts.dev.name);
    if folder.exists() {
        // Left by an attempt that did not come as far as the list of nodes; it was never started.
        fs::remove_dir_all(&folder).map_err(Failure::file("delete", &folder))?;
    }
    parts.write_folder(&root, &genesis, Some(&registration))?;
    if new.can_vote {
        hold_keys(cluster, &parts, &folder)?;
    }

    let path = cluster.context_file();
    let text = fs::read_to_string(&path).map_err(Failure::file("read", &path))?;
    let mut context: ContextFile = toml::from_str(&text)
        .map_err(|error| Failure::failed(format!("could not understand {}: {error}", path.display())))?;
    context.endpoints.push(parts.dev.client.clone());
    write(&path, toml::to_string(&context).expect("names and paths have a TOML form").as_bytes())?;

    let name = parts.dev.name.clone();
    let mut file = cluster.file.clone();
    file.nodes.push(parts.dev);
    *cluster = DevFolder::complete(&root, file)?;
    Ok(name)
}

/// Gives a node a voter's keys, as an operator would carry them to it.
fn hold_keys(cluster: &DevFolder, parts: &NodeParts, folder: &Path) -> Result<(), Failure> {
    let voter = cluster.nodes().find(|node| node.node.voter).ok_or_else(|| Failure::failed("there is no voter"))?;
    for name in ["kek", "log.seed"] {
        let from = cluster.root().join("nodes").join(&voter.node.name).join("keys").join(name);
        let text = Zeroizing::new(fs::read_to_string(&from).map_err(Failure::file("read", &from))?);
        write_secret(&folder.join("keys").join(name), text.trim_end())?;
    }
    let config = parts.config(Some(REGISTRATION.into()), true);
    write(&folder.join("node.toml"), config.to_toml().as_bytes())
}

/// The district with the fewest nodes, the first of them where there are several.
fn fewest(districts: &[String]) -> String {
    let mut counts = BTreeMap::<&str, usize>::new();
    for district in districts {
        *counts.entry(district).or_default() += 1;
    }
    let least = counts.iter().min_by_key(|&(_, count)| count);
    least.map_or_else(|| "d1".to_owned(), |(district, _)| (*district).to_owned())
}

#[cfg(test)]
mod tests {
    use strongroom_client::Context;
    use strongroom_node::Config;

    use super::super::create::{self, Plan};
    use super::*;

    #[test]
    fn a_node_is_added_to_the_files_of_a_cluster() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("cluster");
        let system = crate::clock::system().expect("a system");
        let scheme = "2+1".parse().expect("a scheme");
        let plan = Plan::new(3, 3, scheme, create::default_profiles()).expect("a plan");
        let mut cluster = create::create(&root, &plan, &system).expect("made");

        assert_eq!(add(&mut cluster, NewNode { district: None, can_vote: false }, &system).expect("added"), "n4");
        fs::create_dir_all(root.join("nodes/n5/tls")).expect("a left folder");
        assert_eq!(
            add(&mut cluster, NewNode { district: Some("d9".to_owned()), can_vote: true }, &system).expect("added"),
            "n5"
        );

        let cluster = DevFolder::open(&root).expect("complete");
        let districts: Vec<_> = cluster.file.nodes.iter().map(|node| node.district.as_str()).collect();
        assert_eq!(districts, ["d1", "d2", "d3", "d1", "d9"]);
        let config = Config::load(&cluster.node("n5").expect("there").config()).expect("a configuration");
        assert!(config.registration.expect("joins").exists());
        let ready = config.keys.voter.expect("a voter's keys").kek;
        let of_voter = root.join("nodes/n1/keys/kek");
        assert_eq!(fs::read(ready).expect("reads"), fs::read(of_voter).expect("reads"));
        let config = Config::load(&cluster.node("n4").expect("there").config()).expect("a configuration");
        assert!(config.keys.voter.is_none());
        assert_eq!(Context::load(&cluster.context_file()).expect("a context").endpoints.len(), 5);
        assert_eq!(
            add(&mut cluster.clone(), NewNode { district: Some(String::new()), can_vote: false }, &system)
                .expect_err("no name")
                .exit_code(),
            2
        );
    }
}

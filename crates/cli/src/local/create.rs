//! Makes a local cluster: ids, keys, authorities, certificates, genesis, formatted disks, configurations, identities.
//!
//! Everything that a real installation would keep apart (authorities' keys, recovery shares, people's keys) lies in one
//! folder here. So it is a trial cluster, by its genesis, and says so in every receipt.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use strongroom_client::{ContextFile, IdentityFiles};
use strongroom_codec::{shares, wrap::KeyEncryptionKey};
use strongroom_custody::command::{AddDevice, AddUnit, CreateCluster, RegisterPrincipal};
use strongroom_custody::profile::Profile;
use strongroom_custody::tables::{ClusterRow, DeviceType};
use strongroom_engine::{Genesis, System};
use strongroom_ledger::{KeyName, LogKey, OutsideRule, Policy};
use strongroom_net::pki::{self, Authority, AuthorityKind, Validity};
use strongroom_topology::{ClassRow, Promise};
use strongroom_types::{ClusterId, ErasureScheme, NodeId, Role, UnitId, UnixMillis};
use zeroize::Zeroizing;

use super::folder::{DevFile, DevFolder};
use super::node::{self, Authorities, NodeParts, PORTS, Seat};
use super::ports;
use crate::commands::{CERTIFICATE_DAYS, file_stem, write_new};
use crate::failure::Failure;

/// The built-in profile.
const DEFAULT_PROFILE: &str = include_str!("../../../../profiles/dev.toml");
/// The unit that every local cluster begins with.
pub(crate) const UNIT: &str = "U1";
/// Its device.
pub(crate) const DEVICE: &str = "D1";

const SHARES_NEEDED: u8 = 2;
const SHARES: u8 = 3;

/// What to make.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    nodes: u64,
    districts: u64,
    scheme: ErasureScheme,
    promise: Promise,
    profiles: Vec<(Profile, String)>,
}

impl Plan {
    /// A plan that can keep its promise.
    ///
    /// Each profile gets a unit of its own, `U1` and on; the first is where the device and the station are.
    pub(crate) fn new(
        nodes: u64,
        districts: u64,
        scheme: ErasureScheme,
        profiles: Vec<(Profile, String)>,
    ) -> Result<Self, Failure> {
        for (position, (profile, _)) in profiles.iter().enumerate() {
            if profiles[..position].iter().any(|(other, _)| other.name == profile.name) {
                return Err(Failure::usage(format!("profile {} is given twice", profile.name)));
            }
        }
        if nodes == 0 || nodes > 64 || districts == 0 || districts > nodes {
            return Err(Failure::usage(format!(
                "{nodes} nodes in {districts} districts: there are 1 to 64 nodes, and a node in every district"
            )));
        }
        let promise = promise(nodes, districts, scheme).ok_or_else(|| {
            let least = scheme.parity() + 1;
            Failure::usage(format!("{nodes} nodes cannot survive the loss of one with scheme {scheme}"))
                .hint(format!("{scheme} takes at least {least} nodes; 1+1 takes two"))
        })?;
        Ok(Self { nodes, districts, scheme, promise, profiles })
    }

    fn district(&self, node: u64) -> String {
        format!("d{}", (node - 1) % self.districts + 1)
    }

    /// One voter in a small cluster, three in any other: the first three nodes stand in different districts where
    /// there are three.
    const fn is_voter(&self, node: u64) -> bool {
        if self.nodes < 3 { node == 1 } else { node <= 3 }
    }
}

/// The strongest promise that these nodes can keep, with the scheme or a narrower one of the same parity.
fn promise(nodes: u64, districts: u64, scheme: ErasureScheme) -> Option<Promise> {
    let needed = u64::try_from(scheme.parity()).unwrap_or(u64::MAX) + 1;
    let in_district = |district: u64| (nodes + districts - 1 - district) / districts;
    let spread: u64 = (0..districts).map(|district| in_district(district).min(needed - 1)).sum();
    if districts > 1 && spread >= needed {
        Some(Promise::SurviveDistrict)
    } else if nodes >= needed {
        Some(Promise::SurviveNode)
    } else {
        None
    }
}

/// Makes the cluster in `root`, which is absent or empty.
pub(crate) fn create(root: &Path, plan: &Plan, system: &System) -> Result<DevFolder, Failure> {
    make_folder(root)?;
    if fs::read_dir(root).map_err(Failure::file("read", root))?.next().is_some() {
        return Err(Failure::failed(format!("{} is not empty, and holds no complete cluster", root.display()))
            .hint("choose an empty folder"));
    }
    let root = root.canonicalize().map_err(Failure::file("open", root))?;
    let maker = Maker::new(&root, plan, system)?;
    let policy = maker.write_policy()?;
    let identities = maker.write_identities()?;
    let genesis = maker.genesis(&policy, &identities)?;
    write(&root.join("genesis.cbor"), &genesis.to_bytes())?;
    maker.write_shares()?;
    for node in &maker.nodes {
        let folder = node.write_folder(&root, &genesis, None)?;
        if node.dev.voter {
            node::write_seed(&folder.join("keys/kek"), &maker.kek)?;
            node::write_seed(&folder.join("keys/log.seed"), &maker.log_seed)?;
        }
    }
    maker.write_context(&identities)?;
    let nodes = maker.nodes.iter().map(|node| node.dev.clone()).collect();
    let (cluster, scheme) = (maker.cluster.to_string(), plan.scheme.to_string());
    DevFolder::complete(&root, DevFile { cluster, scheme, nodes })
}

/// Everything that was drawn for the cluster.
struct Maker<'a> {
    root: &'a Path,
    plan: &'a Plan,
    system: &'a System,
    now: UnixMillis,
    cluster: ClusterId,
    origin: KeyName,
    clients: Authority,
    peers: Authority,
    kek: Zeroizing<[u8; 32]>,
    log_seed: Zeroizing<[u8; 32]>,
    nodes: Vec<NodeParts>,
}

/// Somebody's certificate.
struct Identity {
    name: &'static str,
    role: Role,
    issued: pki::Issued,
}

impl<'a> Maker<'a> {
    fn new(root: &'a Path, plan: &'a Plan, system: &'a System) -> Result<Self, Failure> {
        let now = system.clock.wall();
        let cluster = ClusterId::new(system.draw());
        let origin = KeyName::of_cluster("strongroom.local", cluster).map_err(key_failure)?;
        let clients = Authority::create(AuthorityKind::Client, cluster, now)?;
        let peers = Authority::create(AuthorityKind::Peer, cluster, now)?;
        let count = usize::try_from(plan.nodes).expect("at most 64 nodes");
        let ports = ports::free(count * PORTS, system)?;
        let authorities = Authorities { clients: &clients, peers: &peers };
        let nodes = (1..=plan.nodes)
            .zip(ports.chunks_exact(PORTS))
            .map(|(number, ports)| {
                let seat = Seat { node: NodeId(number), district: plan.district(number), voter: plan.is_voter(number) };
                NodeParts::draw(&authorities, seat, ports, system)
            })
            .collect::<Result<_, Failure>>()?;
        let (kek, log_seed) = (Zeroizing::new(system.draw()), Zeroizing::new(system.draw()));
        Ok(Self { root, plan, system, now, cluster, origin, clients, peers, kek, log_seed, nodes })
    }

    fn write_policy(&self) -> Result<Policy, Failure> {
        let log = LogKey::from_seed(self.origin.clone(), self.log_seed.clone()).map_err(key_failure)?;
        let voters = self
            .nodes
            .iter()
            .filter(|node| node.dev.voter)
            .map(|node| Ok(node.cosigner(&self.origin)?.verifier().clone()))
            .collect::<Result<_, Failure>>()?;
        let policy = Policy::new(log.verifier().clone(), voters, Vec::new(), OutsideRule::Optional)
            .map_err(|error| Failure::caused_by("could not make the policy", &error))?;
        write(&self.root.join("policy.tlog-policy"), policy.to_string().as_bytes())?;
        Ok(policy)
    }

    /// The authorities, and one identity for each role, named as the role.
    fn write_identities(&self) -> Result<Vec<Identity>, Failure> {
        let folder = self.root.join("pki");
        make_folder(&folder)?;
        for authority in [&self.clients, &self.peers] {
            write_new(&folder, file_stem(authority.kind()), authority.certificate_pem(), authority.key_pem())?;
        }
        let folder = self.root.join("identities");
        make_folder(&folder)?;
        Role::ALL
            .into_iter()
            .map(|role| {
                let name = role.name();
                let issued = self.clients.issue_client(name, Validity::days_from(self.now, CERTIFICATE_DAYS))?;
                write_new(&folder, name, &issued.certificate_pem, &issued.key_pem)?;
                Ok(Identity { name, role, issued })
            })
            .collect()
    }

    fn genesis(&self, policy: &Policy, identities: &[Identity]) -> Result<Genesis, Failure> {
        let class = ClassRow {
            name: "evidence".parse().expect("a name"),
            promise: self.plan.promise,
            widest: self.plan.scheme,
        };
        let unit: UnitId = UNIT.parse().expect("a name");
        let principals = identities
            .iter()
            .map(|identity| {
                Ok(RegisterPrincipal {
                    principal: identity.name.parse().expect("a role's name is a name"),
                    key: pki::key_hash_of_certificate(identity.issued.certificate_pem.as_bytes())?,
                    roles: vec![identity.role],
                    // A station sends for its own unit; everybody else is there for the whole agency.
                    unit: (identity.role == Role::Station).then(|| unit.clone()),
                })
            })
            .collect::<Result<_, Failure>>()?;
        let create = CreateCluster {
            cluster: ClusterRow {
                cluster: self.cluster,
                trial: true,
                created_at: self.now,
                policy: policy.to_string(),
                policy_digest: *policy.fingerprint().as_bytes(),
                class: class.name.to_string(),
                origin: self.origin.to_string(),
            },
            profiles: self.plan.profiles.iter().map(|(_, text)| text.clone()).collect(),
            units: (1..).zip(&self.plan.profiles).map(|(number, (profile, _))| first_unit(number, profile)).collect(),
            devices: vec![AddDevice {
                device: DEVICE.parse().expect("a name"),
                unit,
                device_type: DeviceType::Bwc,
                brand_model: "Strongroom dev".to_owned(),
                asset: None,
            }],
            principals,
            genesis: [0; 32],
        };
        let nodes = self.nodes.iter().map(|node| node.registration(&self.origin)).collect::<Result<_, Failure>>()?;
        let voters = self.nodes.iter().filter(|node| node.dev.voter).map(|node| node.id).collect();
        Ok(Genesis { create, class, nodes, voters, extension: None })
    }

    fn write_shares(&self) -> Result<(), Failure> {
        let folder = self.root.join("recovery-shares");
        make_folder(&folder)?;
        let kek = KeyEncryptionKey::from_bytes(*self.kek);
        let shares = shares::split(&kek, SHARES_NEEDED, SHARES, |bytes| (self.system.random)(bytes))
            .map_err(|error| Failure::caused_by("could not make the recovery shares", &error))?;
        for share in shares {
            let text = share.to_text();
            write_secret(&folder.join(format!("share-{}.txt", share.index())), &text)?;
        }
        Ok(())
    }

    fn write_context(&self, identities: &[Identity]) -> Result<(), Failure> {
        let folder = Path::new("identities");
        let files = |identity: &Identity| {
            let files = IdentityFiles {
                certificate: folder.join(format!("{}.pem", identity.name)),
                key: folder.join(format!("{}.key", identity.name)),
            };
            (identity.name.to_owned(), files)
        };
        let context = ContextFile {
            cluster: self.cluster.to_string(),
            endpoints: self.nodes.iter().map(|node| node.dev.client.clone()).collect(),
            ca: PathBuf::from("pki/client-ca.pem"),
            policy: Some(PathBuf::from("policy.tlog-policy")),
            default_identity: None,
            server_name: None,
            identities: identities.iter().map(files).collect(),
        };
        let text = toml::to_string(&context).expect("names and paths have a TOML form");
        write(&self.root.join("context.toml"), text.as_bytes())
    }
}

/// The unit that a profile's agency begins with.
fn first_unit(number: usize, profile: &Profile) -> AddUnit {
    AddUnit {
        unit: format!("U{number}").parse().expect("a name"),
        full_name: profile.agency.clone(),
        profile: profile.name.clone(),
    }
}

/// The profile of a cluster that is given none.
pub(crate) fn default_profiles() -> Vec<(Profile, String)> {
    let profile = Profile::from_toml(DEFAULT_PROFILE).expect("the built-in profile is checked by a test");
    vec![(profile, DEFAULT_PROFILE.to_owned())]
}

/// Only its owner may look inside: keys of people and nodes are below.
pub(super) fn make_folder(path: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Failure::file("create", path))
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes).map_err(Failure::file("write", path))
}

pub(super) fn write_secret(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    let failed = || Failure::file("write", path);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed())?;
    file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(failed())
}

pub(super) fn key_failure(error: strongroom_ledger::key::KeyError) -> Failure {
    Failure::caused_by("could not make a key of the ledger", &error)
}

#[cfg(test)]
mod tests {
    use strongroom_client::Context;
    use strongroom_node::Config;
    use strongroom_shardstore::Disk;

    use super::*;

    fn scheme(text: &str) -> ErasureScheme {
        text.parse().expect("a scheme")
    }

    #[test]
    fn the_promise_is_the_strongest_that_the_nodes_can_keep() {
        for (nodes, districts, text, expected) in [
            (6, 3, "4+2", Some(Promise::SurviveDistrict)),
            (6, 1, "4+2", Some(Promise::SurviveNode)),
            (4, 2, "2+2", Some(Promise::SurviveDistrict)),
            (3, 3, "4+2", Some(Promise::SurviveDistrict)),
            (3, 2, "4+2", Some(Promise::SurviveDistrict)),
            (2, 2, "1+1", Some(Promise::SurviveDistrict)),
            (2, 1, "1+1", Some(Promise::SurviveNode)),
            (2, 2, "4+2", None),
            (1, 1, "1+1", None),
        ] {
            assert_eq!(promise(nodes, districts, scheme(text)), expected, "{nodes} nodes, {districts}, {text}");
        }
    }

    #[test]
    fn a_plan_that_makes_no_sense_is_a_usage_error() {
        for (nodes, districts) in [(0, 1), (3, 4), (65, 3), (1, 1)] {
            let plan = Plan::new(nodes, districts, scheme("4+2"), default_profiles());
            assert_eq!(plan.expect_err("no sense").exit_code(), 2);
        }
    }

    #[test]
    fn a_cluster_is_made_whole_and_reads_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("cluster");
        let plan = Plan::new(6, 3, scheme("4+2"), default_profiles()).expect("a plan");
        let system = crate::clock::system().expect("a system");
        create(&root, &plan, &system).expect("made");

        let cluster = DevFolder::open(&root).expect("complete");
        let districts: Vec<_> = cluster.file.nodes.iter().map(|node| node.district.as_str()).collect();
        assert_eq!(districts, ["d1", "d2", "d3", "d1", "d2", "d3"]);
        let genesis = fs::read(root.join("genesis.cbor")).expect("there");
        let genesis = Genesis::from_bytes(&genesis).expect("a genesis");
        assert_eq!(genesis.voters, [NodeId(1), NodeId(2), NodeId(3)]);
        for node in cluster.nodes() {
            let config = Config::load(&node.config()).expect("a configuration");
            assert_eq!(config.keys.voter.is_some(), node.node.voter);
            assert_eq!(Disk::read_marker(&node.disk()).expect("formatted").genesis, genesis.digest());
        }
        let policy = fs::read_to_string(cluster.policy_file()).expect("there");
        let policy = Policy::parse_canonical(&policy).expect("canonical");
        assert_eq!(*policy.fingerprint().as_bytes(), genesis.create.cluster.policy_digest);
        let context = Context::load(&cluster.context_file()).expect("a context");
        assert_eq!(context.identity_names().count(), Role::ALL.len());

        let shares: Vec<shares::Share> = ["share-3.txt", "share-1.txt"]
            .map(|name| fs::read_to_string(root.join("recovery-shares").join(name)).expect("there"))
            .iter()
            .map(|text| text.parse().expect("a share"))
            .collect();
        let kek = fs::read_to_string(root.join("nodes/n2/keys/kek")).expect("there");
        assert_eq!(hex::encode(shares::combine(&shares).expect("two suffice").expose()), kek.trim());

        assert!(create(&root, &plan, &system).is_err(), "a cluster is never made over another");
    }
}

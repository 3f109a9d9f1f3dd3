//! Attacks on a real cluster: old metadata put back on one voter and on all, a leader that nobody follows any more, and
//! whoever finds the way to where the shards lie. No byte of an item that is kept is lost, what was approved once is
//! carried out once, what a hold forbids does not happen, and every attempt that reaches somebody is on the ledger.
//!
//! One test, because all of it is done to one cluster, step by step; months pass by the clock of a trial cluster. Permits
//! that are forged, spoilt, or of another cluster cannot be handed to a node from outside, because no call takes one: how a disk
//! refuses them is in `crates/shardstore/src/tests/permit.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use minicbor::bytes::ByteVec;
use serde_json::Value;
use strongroom_custody::{Actor, assent::Signature, hold::ReleaseHold};
use strongroom_engine::{Envelope, Genesis, Idempotency, Outcome};
use strongroom_net::channel::{Channels, is_connection_failure};
use strongroom_net::pki::{key_hash_of_certificate, public_key_of_certificate};
use strongroom_net::tls::{self, CertificateFiles, TlsTime, TrustedAuthority};
use strongroom_net::tuning::NetTuning;
use strongroom_proto::peer::meta_service_client::MetaServiceClient;
use strongroom_proto::peer::shard_service_client::ShardServiceClient;
use strongroom_proto::peer::{GetShardRequest, ProposeRequest, PutShardRequest, ShardAddress};
use strongroom_proto::status::to_refusal;
use strongroom_shardstore::crc32c;
use strongroom_testkit::damage::{StoredShard, shards_of};
use strongroom_testkit::{Cluster, Link, Network, Shape, bytes};
use strongroom_topology as topology;
use strongroom_types::{Assent, CommandDigest, IdempotencyKey, NodeId, Reason, UnixMillis, limits};
use tonic::transport::Channel;
use tonic::{Code, Status};

const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_PERIOD: Duration = Duration::from_millis(200);
/// The node whose shards people try to reach. It is no voter.
const TRIED: &str = "n6";
/// One is disposed of, one comes under a hold after its disposal was approved, one is copied out once, one is left alone.
const ITEMS: [(&str, usize); 4] = [("disposed", 100_000), ("held", 5 << 20), ("copied", 70_000), ("quiet", 9 << 20)];
/// The batches, in the order of their proposal.
const OF_DISPOSED: &str = "DSP-1";
const OF_HELD: &str = "DSP-2";

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("a text {name:?} in {value:#}"))
}

fn texts(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

#[track_caller]
fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} did not come about");
        thread::sleep(LOOK_PERIOD);
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("lists") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copies");
        }
    }
}

/// The cluster under attack, and its items by name.
struct Stage {
    cluster: Cluster,
    network: Network,
    items: BTreeMap<&'static str, (PathBuf, String)>,
    /// A request whose grant is good for one copy of the item `copied`.
    granted: String,
}

impl Stage {
    /// Both disposals and the copy are approved, and nothing is done yet.
    fn set() -> Self {
        let profile = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file");
        let dev = include_str!("../../../profiles/dev.toml");
        let short = dev.replace("months = 6", "months = 1").replace("uses = 10", "uses = 1");
        fs::write(profile.path(), short).expect("writes");
        let shape = Shape { profile: Some(profile.path().to_owned()), ..Shape::default() };
        let cluster = Cluster::up(env!("CARGO_BIN_EXE_strongroom"), shape);
        let network = Network::between(&cluster);
        let mut items = BTreeMap::new();
        for (seed, (name, length)) in (1..).zip(ITEMS) {
            let (file, item) = cluster.ingest_bytes(name, &bytes(length, seed));
            items.insert(name, (file, text(&item, "item").to_owned()));
        }
        let let_pass = |days| cluster.done(&["cluster", "advance-clock", "--days", days, "--reason", "a test"]);
        let_pass("34");
        for (name, batch) in [("disposed", OF_DISPOSED), ("held", OF_HELD)] {
            let propose =
                ["--as", "archivist", "disposal", "propose", "--item", &items[name].1, "--basis", "it is due"];
            assert_eq!(text(&cluster.json(&propose), "batch"), batch);
        }
        let_pass("8");
        for (office, batch) in [("legal", OF_DISPOSED), ("head", OF_DISPOSED), ("legal", OF_HELD), ("head", OF_HELD)] {
            cluster.done(&["--as", office, "disposal", "approve", batch]);
        }
        let granted = cluster.submit(&items["copied"].1);
        cluster.done(&["--as", "approver", "request", "approve", &granted]);
        Self { cluster, network, items, granted }
    }

    fn item(&self, name: &str) -> &str {
        &self.items[name].1
    }

    fn execute(batch: &str) -> [&str; 9] {
        let supervisors = ["--supervisor", "inspector", "--supervisor", "unit-head"];
        let [a, b, c, d] = supervisors;
        ["--as", "custodian", "disposal", "execute", batch, a, b, c, d]
    }

    /// Items that must be there come back byte for byte.
    fn reads_back(&self, names: &[&str], when: &str) {
        for name in names {
            let copy = self.cluster.copy_out(self.item(name), &format!("{name}-{when}"));
            let original = fs::read(&self.items[name].0).expect("reads");
            assert!(fs::read(copy).expect("reads") == original, "{name} differs, {when}");
        }
    }

    /// The wall time of the cluster, which its trial clock has set ahead.
    fn now(&self) -> UnixMillis {
        let clock = self.cluster.json(&["cluster", "clock"]);
        text(&clock, "clock").parse().expect("an instant")
    }

    fn records(&self) -> Vec<Value> {
        let records = self.cluster.json(&["ledger", "records", "--limit", "100000"]);
        records.as_array().expect("records").clone()
    }

    /// Whether somebody's attempt is on the ledger with how it ended.
    fn is_recorded(&self, act: &str, result: &str) -> bool {
        self.records().iter().any(|record| record["act"] == act && record["result"] == result)
    }

    fn metadata(&self, node: &str) -> PathBuf {
        self.cluster.file(&format!("nodes/{node}/data"))
    }

    fn guard(&self, node: &str) -> PathBuf {
        self.cluster.file(&format!("nodes/{node}/keys/guard.cbor"))
    }

    fn down(&self) {
        self.cluster.done(&["dev", "down", "--dir", &self.cluster.dir()]);
    }

    /// Copies the metadata and the guard of every node to a folder, as a backup of the machines would. They do not run.
    fn image(&self, name: &str) -> PathBuf {
        let image = self.cluster.path(name);
        for node in self.cluster.names() {
            copy_folder(&self.metadata(&node), &image.join(&node).join("data"));
            fs::copy(self.guard(&node), image.join(&node).join("guard")).expect("copies");
        }
        image
    }

    /// Puts metadata, and guards where told to, in place of what nodes have. They do not run.
    fn put_back(&self, image: &Path, nodes: &[&str], what: &PutBack) {
        for node in nodes {
            fs::remove_dir_all(self.metadata(node)).expect("deletes");
            copy_folder(&image.join(node).join("data"), &self.metadata(node));
            if *what == PutBack::MetadataAndGuards {
                fs::copy(image.join(node).join("guard"), self.guard(node)).expect("copies");
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum PutBack {
    Metadata,
    MetadataAndGuards,
}

/// A leader that was cut off disposes of nothing and hands out nothing, also not when the others hear it again.
fn a_stale_leader_carries_nothing_out(stage: &Stage) {
    let cluster = &stage.cluster;
    let refused = cluster.submit(stage.item("quiet"));
    let (leader, others) = cluster.leader_and_others();
    let (alone, rest) = (cluster.context_of(&[&leader]), cluster.context_of(&texts(&others)));
    stage.network.between_all(&[&leader], &texts(&others), Link::Silent);
    assert_ne!(cluster.wait_for_leader(&rest, &others), leader);
    let on_rest = |words: &[&str]| {
        let output = cluster.run_in(&rest, words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let hold = ["--as", "legal", "hold", "place", "H1", "--authority", "a court", "--reason", "a case"];
    on_rest(&[&hold[..], &["--item", stage.item("held")]].concat());
    on_rest(&["--as", "approver", "request", "reject", &refused, "--reason", "not needed"]);
    let to = cluster.path("first-copy").display().to_string();
    on_rest(&["--as", "archivist", "copy-out", &stage.granted, "--to", &to]);

    let again = cluster.path("stale-copy").display().to_string();
    let probes = [
        &Stage::execute(OF_HELD)[..],
        &["--as", "archivist", "copy-out", &stage.granted, "--to", &again],
        &["--as", "approver", "request", "approve", &refused],
        &["--as", "head", "hold", "release", "H1", "--reason", "no case"],
    ];
    assert_eq!(cluster.succeed(&alone, &probes), [false; 4], "what the old leader answered, of {probes:?}");
    stage.network.heal();
    cluster.bring_up();
    what_is_over_is_over(stage, "after a stale leader");
    cluster.refused(3, &["--as", "approver", "request", "approve", &refused]);
}

/// The hold stands in the way, and the grant is spent.
fn what_is_over_is_over(stage: &Stage, when: &str) {
    let said = stage.cluster.refused(3, &Stage::execute(OF_HELD));
    assert!(said.contains("HOLD_ACTIVE"), "{when}: {said}");
    let to = stage.cluster.path("second-copy").display().to_string();
    let said = stage.cluster.refused(3, &["--as", "archivist", "copy-out", &stage.granted, "--to", &to]);
    assert!(said.contains("GRANT_ENDED"), "{when}: {said}");
    let left = fs::read_dir(&to).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().ends_with("copied")).collect();
    assert!(left.is_empty(), "{when}: {left:?}");
    assert!(stage.is_recorded("disposal.execute", "HOLD_ACTIVE"), "{when}");
    assert!(stage.is_recorded("copy-out.begin", "GRANT_ENDED"), "{when}");
}

/// Size of the newest ledger that the disk of a node has verified (`docs/formats/shardstore.md`, Trust).
fn verified_by_disk(stage: &Stage, node: &str) -> u64 {
    let bytes = fs::read(stage.cluster.file(&format!("nodes/{node}/disk0/strongroom-trust.cbor"))).expect("reads");
    let mut decoder = minicbor::Decoder::new(&bytes);
    decoder.array().expect("an array");
    (0..3).for_each(|_| decoder.skip().expect("a field"));
    decoder.u64().expect("a size")
}

/// Old metadata on every node, with the guards, so that no node knows better by itself: the disks do. What was approved
/// before cannot be carried out a second time, nor what a hold has forbidden since.
fn metadata_of_all_put_back_with_their_guards_is_found_by_the_disks(stage: &Stage, image: &Path) {
    let size = stage.cluster.status()["ledger_size"].as_u64().expect("a size");
    wait_for("that every disk follows the ledger", || {
        stage.cluster.names().iter().all(|node| verified_by_disk(stage, node) >= size)
    });
    stage.down();
    let newest = stage.image("newest");
    let names = stage.cluster.names();
    stage.put_back(image, &texts(&names), &PutBack::MetadataAndGuards);
    let said = stage.cluster.refused(1, &["dev", "up", "--dir", &stage.cluster.dir()]);
    assert!(said.contains("rollback suspected on node"), "{said}");
    assert!(said.contains("has verified a ledger of"), "found by a disk: {said}");
    stage.put_back(&newest, &texts(&names), &PutBack::MetadataAndGuards);
    stage.cluster.bring_up();
    what_is_over_is_over(stage, "after all metadata was put back with the guards");
}

/// Old metadata on every node, and the guards know better.
fn metadata_of_all_put_back_is_found_by_the_guards(stage: &Stage, image: &Path) {
    stage.down();
    let newest = stage.image("newest-again");
    let names = stage.cluster.names();
    stage.put_back(image, &texts(&names), &PutBack::Metadata);
    let said = stage.cluster.refused(1, &["dev", "up", "--dir", &stage.cluster.dir()]);
    assert!(said.contains("rollback suspected on node"), "{said}");
    stage.put_back(&newest, &texts(&names), &PutBack::MetadataAndGuards);
    stage.cluster.bring_up();
    what_is_over_is_over(stage, "after all metadata was put back");
}

/// Old metadata on one voter: it neither votes nor appends, and the others go on without it.
fn metadata_of_one_voter_put_back_is_found_and_the_others_go_on(stage: &Stage, image: &Path) {
    let cluster = &stage.cluster;
    let (leader, _) = cluster.leader_and_others();
    let voter = if leader == "n2" { "n3" } else { "n2" };
    cluster.on("stop", &[voter]);
    let newest = cluster.path("newest-of-one");
    copy_folder(&stage.metadata(voter), &newest.join(voter).join("data"));
    stage.put_back(image, &[voter], &PutBack::Metadata);
    for _ in 0..2 {
        let said = cluster.refused(1, &["dev", "start", voter, "--dir", &cluster.dir()]);
        assert!(said.contains(&format!("rollback suspected on node {voter}")), "{said}");
        assert!(said.contains("let it rejoin under a new id"), "{said}");
    }
    // Two of three voters are enough, so the one that is away has no part in this.
    cluster.done(&["item", "label", stage.item("quiet"), "place=bridge"]);
    stage.reads_back(&["quiet"], "while one voter is away");
    stage.put_back(&newest, &[voter], &PutBack::Metadata);
    cluster.on("start", &[voter]);
}

/// Who calls a node's peer port.
enum Caller<'a> {
    /// A person or a node, by the stem of certificate and key.
    Holder(&'a str),
    Anonymous,
}

/// A connection to the peer port of [`TRIED`], past the relay that only nodes may use.
fn connect(cluster: &Cluster, caller: &Caller<'_>) -> Channel {
    connect_to(cluster, TRIED, caller)
}

fn connect_to(cluster: &Cluster, node: &str, caller: &Caller<'_>) -> Channel {
    let genesis = Genesis::from_bytes(&fs::read(cluster.file("genesis.cbor")).expect("reads")).expect("a genesis");
    let row = genesis.nodes.iter().find(|row| row.id.to_string() == node).expect("a node");
    let authority = fs::read(cluster.file("pki/peer-ca.pem")).expect("reads");
    let config = match caller {
        Caller::Holder(stem) => {
            let file = |end: &str| cluster.file(&format!("{stem}.{end}"));
            let own = CertificateFiles::open(&file("pem"), &file("key")).expect("a certificate and its key");
            let servers = TrustedAuthority::from_pem(&authority).expect("an authority");
            tls::client(own, &servers, TlsTime::system()).expect("a client")
        }
        Caller::Anonymous => {
            let mut roots = rustls::RootCertStore::empty();
            for certificate in rustls::pki_types::pem::PemObject::pem_slice_iter(&authority) {
                roots.add(certificate.expect("a certificate")).expect("an authority");
            }
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let config = rustls::ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(&[&rustls::version::TLS13])
                .expect("TLS 1.3")
                .with_root_certificates(roots);
            Arc::new(config.with_no_client_auth())
        }
    };
    let behind = row.peer_address.replace("127.0.0.1", "127.0.0.2");
    Channels::new(config, NetTuning::LAN).peer(row.id, &behind).expect("an address")
}

/// How a shard that lies on a disk is asked for.
fn asked(shard: &StoredShard) -> GetShardRequest {
    let header = shard.header();
    let bytes = |at: usize, length: usize| Bytes::copy_from_slice(&header[at..at + length]);
    let number =
        |at: usize, length: usize| header[at..at + length].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let small = |at: usize, length: usize| u32::try_from(number(at, length)).expect("four bytes");
    let address = ShardAddress {
        item_id: bytes(16, 16),
        chunk_index: number(32, 8),
        upload_epoch: small(12, 4),
        volume_id: number(40, 8),
        placement_epoch: small(48, 4),
        slot: small(11, 1),
    };
    GetShardRequest { disk_id: bytes(120, 16), address: Some(address) }
}

/// The same shard as it would be put again, with these bytes.
fn put_again(shard: &StoredShard, payload: Vec<u8>) -> PutShardRequest {
    let (header, asked) = (shard.header(), asked(shard));
    PutShardRequest {
        disk_id: asked.disk_id,
        address: asked.address,
        chunk_digest: Bytes::copy_from_slice(&header[56..88]),
        tag: Bytes::copy_from_slice(&header[88..104]),
        sealed_bytes: u64::from_be_bytes(header[104..112].try_into().expect("eight")),
        payload_crc32c: crc32c(&payload),
        payload: payload.into(),
    }
}

fn reason(status: &Status) -> Reason {
    assert!(!status.details().is_empty(), "{status:?}");
    to_refusal(status).reason
}

/// People do not get to the shards at all; a node gets to them, and can neither replace nor delete one.
fn shards_are_reached_by_nodes_alone_and_replaced_by_nobody(stage: &Stage) {
    let of_tried = |name: &str| {
        let shards = shards_of(&stage.cluster, stage.item(name));
        shards.into_iter().find(|shard| shard.node == TRIED).expect("a shard on each node")
    };
    let shard = of_tried("held");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let people = ["ops", "station", "legal", "head", "custodian"].map(|role| format!("identities/{role}"));
        let holders = people.iter().map(|stem| Caller::Holder(stem));
        for caller in holders.chain([Caller::Holder("nodes/n1/tls/server"), Caller::Anonymous]) {
            let mut client = ShardServiceClient::new(connect(&stage.cluster, &caller));
            let status = client.get_shard(asked(&shard)).await.expect_err("a shard was read");
            assert!(is_connection_failure(&status), "{status:?}");
            let status = client.put_shard(put_again(&shard, vec![0; 1000])).await.expect_err("a shard was put");
            assert!(is_connection_failure(&status), "{status:?}");
        }
        let of_node = connect(&stage.cluster, &Caller::Holder("nodes/n5/tls/peer"));
        let mut node = ShardServiceClient::new(of_node.clone()).max_decoding_message_size(limits::MESSAGE_BYTES_MAX);
        let answer = node.get_shard(asked(&shard)).await.expect("nodes read each other's shards").into_inner();
        let original = fs::read(&stage.items["held"].0).expect("reads");
        let piece = &answer.payload[..64];
        assert!(original.windows(piece.len()).all(|window| window != piece), "a shard is a piece of the original");
        let mut other = answer.payload.to_vec();
        other[0] ^= 1;
        let status = node.put_shard(put_again(&shard, other)).await.expect_err("a shard was replaced");
        assert_eq!(reason(&status), Reason::AlreadyExists);
        for call in ["DeleteShard", "EraseShard", "FormatDisk"] {
            let path = format!("/strongroom.peer.v1.ShardService/{call}").parse().expect("a path");
            let mut grpc = tonic::client::Grpc::new(of_node.clone());
            grpc.ready().await.expect("ready");
            let codec = tonic_prost::ProstCodec::<GetShardRequest, ()>::default();
            let answer = grpc.unary(tonic::Request::new(asked(&shard)), path, codec).await;
            assert_eq!(answer.expect_err("there is no such call").code(), Code::Unimplemented, "{call}");
        }
    });
    assert_eq!(of_tried("held").payload(), shard.payload(), "it lies there as it lay");
    // A node that stops records whom it turned away.
    stage.cluster.on("stop", &[TRIED]);
    stage.cluster.on("start", &[TRIED]);
    let turned_away = |record: &&Value| {
        record["act"] == "connect" && record["result"] == "UNAUTHENTICATED" && record["facts"]["by_node"] == TRIED
    };
    let records = stage.records();
    let count = |record: &Value| text(&record["facts"], "count").parse::<u64>().expect("a number");
    let counted: u64 = records.iter().filter(turned_away).map(count).sum();
    assert!(counted >= 7, "{counted} were turned away");
}

/// The stored form in which commands travel between nodes.
#[derive(minicbor::Encode, minicbor::Decode)]
struct Batch {
    #[n(0)]
    items: Vec<ByteVec>,
}

/// What the leader answers to a command that n6 brings.
async fn propose(cluster: &Cluster, leader: &str, envelope: Envelope) -> Outcome {
    let channel = connect_to(cluster, leader, &Caller::Holder("nodes/n6/tls/peer"));
    let batch = Batch { items: vec![minicbor::to_vec(envelope).expect("encodes").into()] };
    let batch_cbor = minicbor::to_vec(batch).expect("encodes").into();
    let answer = MetaServiceClient::new(channel).propose(ProposeRequest { batch_cbor }).await;
    let answer = answer.expect("a node may propose").into_inner();
    let outcomes: Batch = minicbor::decode(&answer.outcomes_cbor).expect("a batch");
    minicbor::decode(&outcomes.items[0]).expect("an outcome")
}

/// Root of a node has the node's certificate and tells the leader whose a command is. For what somebody decides that is not
/// enough: neither without their signature, nor with the node's own, nor with the one that they gave for something else.
fn a_node_decides_nothing_in_anybodys_name(stage: &Stage) {
    let cluster = &stage.cluster;
    let identity = |stem: &str| {
        let file = |end: &str| cluster.file(&format!("{stem}.{end}"));
        let pem = fs::read(file("pem")).expect("reads");
        let own = CertificateFiles::open(&file("pem"), &file("key")).expect("a certificate and its key");
        (own, key_hash_of_certificate(&pem).expect("a key"), public_key_of_certificate(&pem).expect("a key"))
    };
    let (head, by_head, key_of_head) = identity("identities/head");
    let (node, _, key_of_node) = identity("nodes/n6/tls/peer");
    let rows = Genesis::from_bytes(&fs::read(cluster.file("genesis.cbor")).expect("reads")).expect("a genesis");
    let cluster_id = rows.create.cluster.cluster;
    let release = |reason: &str| ReleaseHold { hold: "H1".parse().expect("a name"), reason: reason.to_owned() };
    let signature = |own: &CertificateFiles, spki: &[u8], reason: &str, key: &IdempotencyKey| {
        let at = TlsTime::system().now();
        let text = Assent::release_hold(&release(reason).hold, reason).text(cluster_id, key, at);
        let value = own.sign(text.as_bytes()).expect("signs");
        Signature { public_key: spki.to_vec().into(), value: value.into(), at }
    };
    let key = |name: &str| -> IdempotencyKey { name.parse().expect("a key") };
    let nodes_own = signature(&node, &key_of_node, "no case", &key("forged-2"));
    let of_another = signature(&head, &key_of_head, "another matter", &key("forged-3"));
    let of_another_call = signature(&head, &key_of_head, "no case", &key("forged-4-elsewhere"));
    let (leader, _) = cluster.leader_and_others();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for (name, assent) in [
        ("forged-1", None),
        ("forged-2", Some(nodes_own)),
        ("forged-3", Some(of_another)),
        ("forged-4", Some(of_another_call)),
    ] {
        let idempotency = Idempotency { key: key(name), request: CommandDigest::new([1; 32]), assent };
        let envelope = Envelope {
            command: strongroom_custody::Command::ReleaseHold(release("no case")).into(),
            actor: Actor::Client(by_head),
            wall: stage.now(),
            seed: [7; 32],
            idempotency: Some(idempotency),
        };
        let outcome = runtime.block_on(propose(cluster, &leader, envelope));
        let Outcome::Refused(refusal) = outcome else { panic!("{name}: the hold was released: {outcome:?}") };
        assert_eq!(refusal.reason, Reason::AssentMissing, "{name}: {refusal:?}");
    }
    // Nor does it say who votes, which would be worth more than any decision.
    let alone = topology::Command::SetVoters { voters: vec![NodeId(6)] };
    let envelope = Envelope {
        command: alone.into(),
        actor: Actor::Node(NodeId(6)),
        wall: stage.now(),
        seed: [8; 32],
        idempotency: None,
    };
    let outcome = runtime.block_on(propose(cluster, &leader, envelope));
    let Outcome::Refused(refusal) = outcome else { panic!("a node votes alone: {outcome:?}") };
    assert_eq!(refusal.reason, Reason::RoleNotAllowed, "{refusal:?}");
    assert!(stage.is_recorded("node.change", "ROLE_NOT_ALLOWED"), "the attempt is on the ledger");
    assert!(stage.is_recorded("hold.release", "ASSENT_MISSING"), "each attempt is on the ledger");
    what_is_over_is_over(stage, "after a node spoke in the head's name");
}

/// What was approved and is under no hold goes, once, and cannot be put there again.
fn what_may_go_goes_once_and_for_good(stage: &Stage) {
    let cluster = &stage.cluster;
    let stolen: Vec<_> = shards_of(cluster, stage.item("disposed"))
        .iter()
        .filter(|shard| shard.node == TRIED)
        .map(|shard| put_again(shard, shard.payload()))
        .collect();
    assert!(!stolen.is_empty());
    cluster.done(&Stage::execute(OF_DISPOSED));
    let is_pending = |part: &Value| part["state"] == "pending";
    wait_for("the erasure on every disk", || {
        let shown = cluster.json(&["disposal", "show", OF_DISPOSED]);
        !shown["parts"].as_array().expect("parts").iter().any(is_pending)
    });
    let said = cluster.refused(3, &Stage::execute(OF_DISPOSED));
    assert!(said.contains("WRONG_STATE"), "{said}");
    let said = cluster.refused(3, &["item", "show", stage.item("disposed")]);
    assert!(said.contains("is already disposed of"), "{said}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut node = ShardServiceClient::new(connect(cluster, &Caller::Holder("nodes/n5/tls/peer")));
        for shard in stolen {
            let status = node.put_shard(shard).await.expect_err("a shard was put where it was erased");
            assert_eq!(reason(&status), Reason::WrongState);
        }
    });
}

/// C3 and C4. RustFS #4293, NooBaa #9868: what a lock forbids, no way round deletes either.
#[test]
fn c4_nobody_disposes_twice_or_past_a_hold_by_old_metadata_an_old_leader_or_the_peer_port() {
    let stage = Stage::set();
    stage.down();
    let image = stage.image("old");
    stage.cluster.bring_up();
    a_stale_leader_carries_nothing_out(&stage);
    shards_are_reached_by_nodes_alone_and_replaced_by_nobody(&stage);
    a_node_decides_nothing_in_anybodys_name(&stage);
    metadata_of_all_put_back_with_their_guards_is_found_by_the_disks(&stage, &image);
    metadata_of_all_put_back_is_found_by_the_guards(&stage, &image);
    metadata_of_one_voter_put_back_is_found_and_the_others_go_on(&stage, &image);
    what_may_go_goes_once_and_for_good(&stage);
    stage.reads_back(&["held", "copied", "quiet"], "at the end");
}

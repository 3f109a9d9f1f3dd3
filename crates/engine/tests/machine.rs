//! The replicated machine from the outside: what it answers twice, what it records, and which checkpoints it takes.

mod people;

use std::{collections::BTreeMap, fmt::Debug, str::FromStr};

use aws_lc_rs::signature::Ed25519KeyPair;
use people::key;
use proptest::prelude::*;
use strongroom_custody::{
    Act, Actor, Fact, Record,
    clock::{self, Reading},
    command::{
        AddUnit, AdvanceClock, ApproveRequest, BeginSession, CreateCluster, LabelItem, OpenUpload, RegisterPrincipal,
        RevokePrincipal, SealOriginal, SubmitRequest, Tick, Under,
    },
    draw::{self, CommitDraw, RecordDraw, RevealDraw, row::DrawRow, sample},
    hold::HoldQuery,
    profile::RequestAct,
    tables::{
        ChunkEntry, ClusterRow, Description, ITEMS, ManifestRun, ManifestStep, PROFILES, RECORDS_BY_ITEM, SESSIONS,
        UploadEnd,
    },
};
use strongroom_engine::{
    Answer, Command, Envelope, Genesis, Idempotency, Machine, Outcome,
    machine::{CHECKPOINT, remembered},
    readings,
    receipt::{CustodyRecords, evidence},
};
use strongroom_ledger::{CosignerKey, KeyName, LogKey, OutsideRule, Policy, TreeHead, tree};
use strongroom_package::{DrawProof, Evidence};
use strongroom_topology::{self as topology, ClassRow, NodeState, Promise, Registration};
use strongroom_types::{
    ChunkDigest, ChunkIndex, ClusterId, CommandDigest, DiskId, DrawId, DrawShare, ItemDigest, ItemId, KeyHash, NodeId,
    PlacementEpoch, Reason, RecordSeq, Refusal, Role, SessionId, Sha256Digest, SubtreeValue, TreeHash, UnixMillis,
    UploadEpoch, VolumeId, limits,
    rows::{MemoryRows, RowError, Rows, StoredRow, TableId, encode},
};

const START: UnixMillis = UnixMillis(1_772_328_600_000);
const DAY: i64 = 24 * 3600 * 1000;

fn id<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().expect("a name")
}

fn client(role: Role) -> Actor {
    Actor::Client(key(role))
}

fn item(number: u8) -> ItemId {
    ItemId::new([number; 16])
}

/// Keys of a log with three voters.
struct Keys {
    log: LogKey,
    voters: Vec<CosignerKey>,
}

impl Keys {
    fn new(first_seed: u8) -> Self {
        let origin = KeyName::of_cluster("test.local", ClusterId::new([9; 16])).expect("a name");
        let voter = |node: u8| {
            let name = origin.of_voter(NodeId(node.into())).expect("a name");
            CosignerKey::from_seed(name, [first_seed + node; 32].into()).expect("a key")
        };
        let voters = (1..=3).map(voter).collect();
        Self { log: LogKey::from_seed(origin, [first_seed; 32].into()).expect("a key"), voters }
    }

    fn policy(&self) -> Policy {
        let voters = self.voters.iter().map(|voter| voter.verifier().clone()).collect();
        Policy::new(self.log.verifier().clone(), voters, Vec::new(), OutsideRule::Optional).expect("a policy")
    }

    fn sign(&self, head: TreeHead, cosignatures: usize) -> Vec<u8> {
        let mut signed = self.log.sign(head).expect("signs");
        for voter in &self.voters[..cosignatures] {
            let cosignature = voter.cosign(signed.checkpoint(), START).expect("cosigns");
            signed = signed.with_cosignature(cosignature).expect("joins");
        }
        signed.to_bytes()
    }
}

fn genesis(keys: &Keys) -> Genesis {
    let principal =
        |role: Role| RegisterPrincipal { principal: id(role.name()), key: key(role), roles: vec![role], unit: None };
    let node = |number: u8| Registration {
        id: NodeId(number.into()),
        district: id(&format!("d{number}")),
        client_address: format!("127.0.0.1:{}", 4000 + u16::from(number)),
        peer_address: format!("127.0.0.1:{}", 5000 + u16::from(number)),
        peer_key: KeyHash::new([number; 32]),
        labels: BTreeMap::new(),
        disks: vec![DiskId::new([number; 16])],
        cosigner_vkey: keys.voters[usize::from(number) - 1].verifier().to_string(),
        clock_vkey: keys.voters[usize::from(number) - 1].verifier().to_string(),
    };
    let policy = keys.policy();
    Genesis {
        create: CreateCluster {
            cluster: ClusterRow {
                cluster: ClusterId::new([9; 16]),
                trial: true,
                created_at: START,
                policy: policy.to_string(),
                policy_digest: *policy.fingerprint().as_bytes(),
                class: "standard".to_owned(),
                origin: policy.origin().as_str().to_owned(),
            },
            profiles: vec![include_str!("../../../profiles/dev.toml").to_owned()],
            units: vec![AddUnit { unit: id("U1"), full_name: "一中队".to_owned(), profile: id("dev") }],
            devices: Vec::new(),
            principals: Role::ALL.into_iter().map(principal).collect(),
            genesis: [0; 32],
        },
        class: ClassRow { name: id("standard"), promise: Promise::SurviveDistrict, widest: id("2+1") },
        nodes: (1..=3).map(node).collect(),
        voters: (1..=3).map(NodeId).collect(),
        extension: None,
    }
}

fn seal(number: u8) -> Command {
    let entry = ChunkEntry { name: ChunkDigest::new([3; 32]), value: SubtreeValue::new([4; 32]) };
    let run = ManifestRun {
        first: ChunkIndex(0),
        epoch: UploadEpoch(0),
        volume: VolumeId(1),
        placement_epoch: PlacementEpoch(0),
        chunks: vec![entry],
        absent: Vec::new(),
    };
    let description = Description {
        device: id("D1"),
        unit: id("U1"),
        file_name: "MOV1.mp4".to_owned(),
        recorded_start: START,
        recorded_end: START,
        activity: None,
        labels: BTreeMap::new(),
        media_type: None,
        device_proof: None,
    };
    let end = UploadEnd { size_bytes: 9, blake3: ItemDigest::new([5; 32]), sha256: Sha256Digest::new([6; 32]) };
    let open = OpenUpload { item: item(number), description, wrapped_key: vec![1].into(), gateway: NodeId(1) };
    strongroom_custody::Command::SealOriginal(SealOriginal { open, step: ManifestStep { runs: vec![run] }, end }).into()
}

fn label(number: u8, value: &str) -> Command {
    let label = LabelItem { item: item(number), name: "place".to_owned(), value: value.to_owned() };
    strongroom_custody::Command::LabelItem(label).into()
}

fn once(key: &str, request: u8) -> Idempotency {
    Idempotency { key: id(key), request: CommandDigest::new([request; 32]), assent: None }
}

struct Cluster {
    rows: MemoryRows,
    keys: Keys,
    wall: UnixMillis,
    draws: u8,
}

impl Cluster {
    fn empty() -> Self {
        Self { rows: MemoryRows::default(), keys: Keys::new(1), wall: START, draws: 0 }
    }

    fn new() -> Self {
        let mut cluster = Self::empty();
        for (command, idempotency) in genesis(&cluster.keys).commands() {
            cluster.done(&Actor::Node(NodeId(1)), command, Some(idempotency));
        }
        cluster.pass(0);
        cluster
    }

    /// With D1 unregistered, items would be in quarantine; this one registers it first.
    fn with_items() -> Self {
        let mut cluster = Self::new();
        let device = strongroom_custody::command::AddDevice {
            device: id("D1"),
            unit: id("U1"),
            device_type: strongroom_custody::tables::DeviceType::Bwc,
            brand_model: "X1".to_owned(),
            asset: None,
        };
        cluster.done(&client(Role::Custodian), strongroom_custody::Command::AddDevice(device).into(), None);
        for number in 1..=2 {
            cluster.done(&client(Role::Station), seal(number), None);
        }
        cluster
    }

    fn envelope(&mut self, actor: &Actor, command: Command, idempotency: Option<Idempotency>) -> Envelope {
        self.draws = self.draws.wrapping_add(1);
        let fresh = format!("draw-{}-{}", self.wall.0, self.draws);
        let idempotency = people::signing(&self.rows, actor, &command, idempotency, &fresh);
        Envelope { command, actor: actor.clone(), wall: self.wall, seed: [self.draws; 32], idempotency }
    }

    /// Applies in the stored form, as a replica does.
    fn apply(&mut self, actor: &Actor, command: Command, idempotency: Option<Idempotency>) -> Outcome {
        let stored = encode(&self.envelope(actor, command, idempotency));
        let outcome = Machine.apply_bytes(&mut self.rows, &stored).expect("reads");
        minicbor::decode(&outcome).expect("an outcome")
    }

    #[track_caller]
    fn done(&mut self, actor: &Actor, command: Command, idempotency: Option<Idempotency>) -> Answer {
        let told = format!("{command:?}");
        self.apply(actor, command, idempotency).into_result().unwrap_or_else(|refusal| panic!("{told}: {refusal:?}"))
    }

    #[track_caller]
    fn refused(
        &mut self,
        actor: &Actor,
        command: Command,
        idempotency: Option<Idempotency>,
        reason: Reason,
    ) -> Refusal {
        let told = format!("{command:?}");
        let refusal = self.apply(actor, command, idempotency).into_result().expect_err(&told);
        assert_eq!(refusal.reason, reason, "{told}: {refusal:?}");
        refusal
    }

    /// Lets this much time pass, and ticks. More than a tick credits is let pass at once, as a trial can.
    fn pass(&mut self, ms: i64) {
        if ms > limits::CLOCK_GAP_MS_MAX {
            let advance = AdvanceClock { by_ms: ms, reason: "a test".to_owned() };
            let command = strongroom_custody::Command::AdvanceClock(advance);
            self.done(&client(Role::Ops), command.into(), None);
        } else {
            self.wall = self.wall.plus_ms(ms);
        }
        let signed = (1..=3).map(|node| self.signed(node, node)).collect();
        self.done(&Actor::Node(NodeId(1)), Command::Tick(signed), None);
    }

    /// What a voter reads now, signed with the key of `signer`.
    fn signed(&self, voter: u8, signer: u8) -> minicbor::bytes::ByteVec {
        let reading = Reading {
            node: NodeId(voter.into()),
            boot_id: [1; 16],
            boottime_ms: self.wall.since_ms(START),
            wall: self.wall,
            tick: clock::read(&self.rows).expect("reads").ticks,
        };
        let pair = Ed25519KeyPair::from_seed_unchecked(&[1 + signer; 32]).expect("a key");
        readings::sign(&pair, &reading).into()
    }

    fn t(&self) -> UnixMillis {
        clock::read(&self.rows).expect("reads").t
    }

    fn size(&self) -> u64 {
        tree::size(&self.rows).expect("reads")
    }

    fn record(&self, seq: RecordSeq) -> Record {
        let stored = tree::record(&self.rows, seq).expect("reads").expect("a record");
        Record::from_bytes(&stored.record).expect("canonical")
    }

    fn last_record(&self) -> Record {
        self.record(RecordSeq(self.size() - 1))
    }

    fn publish(&mut self, note: Vec<u8>) -> Outcome {
        self.apply(&Actor::Node(NodeId(1)), Command::PublishCheckpoint(note.into()), None)
    }

    fn head(&self) -> TreeHead {
        tree::head(&self.rows).expect("reads")
    }
}

/// Rows other than the ledger's and the index of its records.
fn state(rows: &MemoryRows) -> Vec<(TableId, Vec<u8>, Vec<u8>)> {
    rows.iter()
        .filter(|(table, ..)| !(150..170).contains(&table.0) && *table != RECORDS_BY_ITEM.id)
        .map(|(table, key, value)| (table, key.to_vec(), value.to_vec()))
        .collect()
}

#[test]
fn genesis_said_twice_changes_nothing() {
    let mut cluster = Cluster::new();
    let before = cluster.rows.clone();
    for (command, idempotency) in genesis(&cluster.keys).commands() {
        cluster.done(&Actor::Node(NodeId(2)), command, Some(idempotency));
    }
    assert_eq!(cluster.rows, before);
}

#[test]
fn genesis_said_again_after_its_keys_are_forgotten_changes_nothing_but_the_ledger() {
    let mut cluster = Cluster::new();
    cluster.pass(8 * DAY);
    let before = state(&cluster.rows);
    for (step, (command, _)) in genesis(&cluster.keys).commands().into_iter().enumerate() {
        let refused = cluster.apply(&Actor::Node(NodeId(1)), command, None).into_result().is_err();
        assert_eq!(refused, step == 0, "only the creation is an act that cannot be said twice; step {step}");
    }
    assert_eq!(state(&cluster.rows), before);
}

#[test]
fn another_genesis_cannot_take_the_place_of_the_first() {
    let mut cluster = Cluster::new();
    let before = state(&cluster.rows);
    let mut other = genesis(&Keys::new(7));
    other.create.principals.clear();
    let (command, idempotency) = other.commands().remove(0);
    cluster.refused(&Actor::Node(NodeId(1)), command.clone(), Some(idempotency), Reason::IdempotencyKeyReused);
    cluster.refused(&Actor::Node(NodeId(1)), command, None, Reason::AlreadyExists);
    assert_eq!(state(&cluster.rows), before);
}

#[test]
fn sequences_in_rows_are_the_ledgers() {
    let mut cluster = Cluster::with_items();
    for number in 1..=2 {
        let row = ITEMS.read(&cluster.rows, &item(number)).expect("reads").expect("sealed");
        let record = cluster.record(row.seq);
        assert_eq!((record.act, record.items.as_slice()), (Act::ItemSeal, [item(number)].as_slice()));
        assert!(RECORDS_BY_ITEM.read(&cluster.rows, &(item(number), row.seq)).expect("reads").is_some());
    }
    let profile = PROFILES.read(&cluster.rows, &(id("dev"), 1)).expect("reads").expect("is there");
    assert_eq!(cluster.record(profile.seq).act, Act::ProfileActivate);
    cluster.done(&client(Role::Legal), label(1, "gate"), None);
    let values = ITEMS.read(&cluster.rows, &item(1)).expect("reads").expect("sealed").labels.remove("place");
    assert_eq!(cluster.record(values.expect("a label")[0].seq).act, Act::ItemLabel);
    let submit = SubmitRequest {
        act: RequestAct::Copy,
        items: vec![item(1), item(2)],
        fields: BTreeMap::from([("reason".to_owned(), "case 5".to_owned())]),
    };
    cluster.done(&client(Role::Legal), strongroom_custody::Command::SubmitRequest(submit).into(), None);
    let approve = ApproveRequest { request: id("REQ-1") };
    let answer = cluster.done(&client(Role::Head), strongroom_custody::Command::ApproveRequest(approve).into(), None);
    let Answer::Custody(strongroom_custody::Answer::Request(row)) = answer else { panic!("{answer:?}") };
    assert_eq!(cluster.record(row.approvals[0].seq).act, Act::RequestApprove);
    let session = SessionId::new([1; 16]);
    let begin = BeginSession { session, under: Under::CopyOut(row.id) };
    cluster.done(&client(Role::Archivist), strongroom_custody::Command::BeginSession(begin).into(), None);
    let row = SESSIONS.read(&cluster.rows, &session).expect("reads").expect("begun");
    assert_eq!(cluster.record(row.seq).act, Act::CopyOutBegin);
    for number in 1..=2 {
        let indexed = RECORDS_BY_ITEM.scan(&cluster.rows, &item(number), None, 100).expect("reads");
        let named = (0..cluster.size()).filter(|seq| cluster.record(RecordSeq(*seq)).items.contains(&item(number)));
        assert_eq!(indexed.len(), named.count(), "the index of item {number} is whole");
    }
}

#[test]
fn a_repeated_command_is_answered_the_same_and_done_once() {
    let mut cluster = Cluster::with_items();
    let first = cluster.done(&client(Role::Legal), label(1, "gate"), Some(once("k", 1)));
    let after = cluster.rows.clone();
    for _ in 0..2 {
        assert_eq!(cluster.done(&client(Role::Legal), label(1, "gate"), Some(once("k", 1))), first);
        assert_eq!(cluster.rows, after);
    }
    let told = remembered(&cluster.rows, &client(Role::Legal), &once("k", 1)).expect("reads");
    assert_eq!(told, Some(Outcome::Done(first)));
    assert_eq!(remembered(&cluster.rows, &client(Role::Legal), &once("other", 1)).expect("reads"), None);
}

#[test]
fn a_key_used_for_another_request_is_refused_and_recorded() {
    let mut cluster = Cluster::with_items();
    cluster.done(&client(Role::Legal), label(1, "gate"), Some(once("k", 1)));
    let (before, size) = (state(&cluster.rows), cluster.size());
    cluster.refused(&client(Role::Legal), label(2, "gate"), Some(once("k", 2)), Reason::IdempotencyKeyReused);
    assert_eq!((state(&cluster.rows), cluster.size()), (before, size + 1));
    let record = cluster.last_record();
    assert_eq!((record.act, record.refused), (Act::ItemLabel, Some(Reason::IdempotencyKeyReused)));
    assert_eq!((record.items, record.stamp.principal), (vec![item(2)], Some(id("legal"))));
    let told = remembered(&cluster.rows, &client(Role::Legal), &once("k", 2)).expect("reads").expect("an outcome");
    assert_eq!(told.into_result().expect_err("refused").reason, Reason::IdempotencyKeyReused);
}

#[test]
fn two_people_may_use_the_same_key() {
    let mut cluster = Cluster::with_items();
    let first = cluster.done(&client(Role::Legal), label(1, "gate"), Some(once("k", 1)));
    let second = cluster.done(&client(Role::Recorder), label(1, "bridge"), Some(once("k", 2)));
    assert_ne!(first, second);
}

#[test]
fn nothing_is_repeated_to_whoever_has_lost_their_access() {
    let mut cluster = Cluster::with_items();
    let legal = client(Role::Legal);
    cluster.done(&legal, label(1, "gate"), Some(once("k", 1)));
    assert!(remembered(&cluster.rows, &legal, &once("k", 1)).expect("reads").is_some());
    let revoke = RevokePrincipal { principal: id("legal"), reason: "left".to_owned() };
    cluster.done(&client(Role::Security), strongroom_custody::Command::RevokePrincipal(revoke).into(), None);
    for request in [1, 2] {
        let size = cluster.size();
        cluster.refused(&legal, label(1, "gate"), Some(once("k", request)), Reason::PrincipalRevoked);
        assert_eq!((cluster.size(), cluster.last_record().refused), (size + 1, Some(Reason::PrincipalRevoked)));
        assert_eq!(remembered(&cluster.rows, &legal, &once("k", request)).expect("reads"), None);
    }
}

#[test]
fn a_refusal_is_not_remembered_so_that_it_can_be_mended() {
    let mut cluster = Cluster::with_items();
    let size = cluster.size();
    cluster.refused(&client(Role::Legal), label(3, "gate"), Some(once("k", 1)), Reason::NotFound);
    cluster.refused(&client(Role::Legal), label(3, "gate"), Some(once("k", 1)), Reason::NotFound);
    assert_eq!(cluster.size(), size + 2, "each attempt is an event");
    cluster.done(&client(Role::Station), seal(3), None);
    cluster.done(&client(Role::Legal), label(3, "gate"), Some(once("k", 1)));
}

#[test]
fn an_outcome_is_forgotten_seven_days_of_t_later_and_not_before() {
    let mut cluster = Cluster::with_items();
    let legal = client(Role::Legal);
    let told = |cluster: &Cluster| remembered(&cluster.rows, &client(Role::Legal), &once("k", 1)).expect("reads");
    let first = cluster.done(&legal, label(1, "gate"), Some(once("k", 1)));
    cluster.pass(7 * DAY);
    assert_eq!(told(&cluster), Some(Outcome::Done(first.clone())));
    // Wall clocks alone forget nothing.
    cluster.wall = cluster.wall.plus_ms(1000 * DAY);
    assert_eq!(cluster.done(&legal, label(1, "gate"), Some(once("k", 1))), first);
    cluster.wall = START.plus_ms(7 * DAY);
    cluster.pass(1);
    assert_eq!(told(&cluster), None);
    let again = cluster.done(&legal, label(1, "gate"), Some(once("k", 1)));
    assert_ne!(again, first);
    assert_eq!(told(&cluster), Some(Outcome::Done(again)));
}

#[test]
fn a_tick_forgets_what_is_due_and_nothing_else_even_when_much_is() {
    let mut cluster = Cluster::with_items();
    for number in 0..600 {
        let command = Command::Topology(topology::Command::DefineClass(class("standard")));
        cluster.done(&Actor::Node(NodeId(1)), command, Some(once(&format!("old {number}"), 1)));
    }
    cluster.pass(DAY);
    cluster.done(&client(Role::Legal), label(1, "gate"), Some(once("young", 1)));
    cluster.pass(6 * DAY + 1);
    let kept = |cluster: &Cluster| cluster.rows.iter().filter(|(table, ..)| *table == TableId(170)).count();
    // 600 of this test, 6 of genesis, 1 young.
    assert_eq!(kept(&cluster), 107, "500 a tick");
    cluster.pass(1);
    assert_eq!(kept(&cluster), 1);
    assert!(remembered(&cluster.rows, &client(Role::Legal), &once("young", 1)).expect("reads").is_some());
}

fn class(name: &str) -> ClassRow {
    ClassRow { name: id(name), promise: Promise::SurviveDistrict, widest: id("2+1") }
}

#[test]
fn a_checkpoint_is_taken_where_it_verifies_and_never_goes_back() {
    let mut cluster = Cluster::with_items();
    let old = cluster.keys.sign(cluster.head(), 3);
    let old_size = cluster.size();
    cluster.done(&client(Role::Legal), label(1, "gate"), None);
    let note = cluster.keys.sign(cluster.head(), 2);
    let size = cluster.size();
    assert_eq!(cluster.publish(note.clone()), Outcome::Done(Answer::Checkpoint(size)), "a majority cosigned");
    let published = cluster.rows.clone();
    assert_eq!(cluster.publish(old), Outcome::Done(Answer::Checkpoint(size)), "older than {size}: {old_size}");
    assert_eq!(cluster.publish(note.clone()), Outcome::Done(Answer::Checkpoint(size)));
    assert_eq!(cluster.rows, published);
    let row = CHECKPOINT.read(&cluster.rows, &()).expect("reads").expect("published");
    assert_eq!((row.size, row.note.to_vec()), (size, note));
}

#[test]
fn a_checkpoint_that_does_not_verify_or_is_of_another_tree_is_refused() {
    let mut cluster = Cluster::with_items();
    let head = cluster.head();
    let mut flipped = cluster.keys.sign(head, 3);
    let last = flipped.len() - 3;
    flipped[last] ^= 1;
    let other_root = TreeHead { root: TreeHash::new([0; 32]), ..head };
    let beyond = TreeHead { size: head.size + 1, ..head };
    for (name, note, reason) in [
        ("nothing", Vec::new(), Reason::InvalidArgument),
        ("no text", vec![0xff; 40], Reason::InvalidArgument),
        ("a flipped bit", flipped, Reason::InvalidArgument),
        ("one cosignature", cluster.keys.sign(head, 1), Reason::InvalidArgument),
        ("other people's keys", Keys::new(7).sign(head, 3), Reason::InvalidArgument),
        ("another root", cluster.keys.sign(other_root, 3), Reason::Corrupt),
        ("a size beyond the tree", cluster.keys.sign(beyond, 3), Reason::Corrupt),
    ] {
        let before = cluster.rows.clone();
        let refusal = cluster.publish(note).into_result().expect_err(name);
        assert_eq!(refusal.reason, reason, "{name}: {refusal:?}");
        assert_eq!(cluster.rows, before, "{name}");
    }
    let mut empty = Cluster::empty();
    let note = empty.keys.sign(head, 3);
    assert_eq!(empty.publish(note).into_result().expect_err("no cluster").reason, Reason::NotFound);
}

#[test]
fn people_neither_publish_checkpoints_nor_change_the_topology() {
    let mut cluster = Cluster::with_items();
    let note = cluster.keys.sign(cluster.head(), 3);
    for role in Role::ALL {
        for (command, act) in [
            (Command::PublishCheckpoint(note.clone().into()), Act::NoSuchCall),
            (topology::Command::DefineClass(class("other")).into(), Act::NodeChange),
        ] {
            let (before, size) = (state(&cluster.rows), cluster.size());
            cluster.refused(&client(role), command, None, Reason::RoleNotAllowed);
            assert_eq!((state(&cluster.rows), cluster.size()), (before, size + 1));
            let record = cluster.last_record();
            assert_eq!((record.act, record.stamp.principal), (act, Some(id(role.name()))));
        }
    }
}

#[test]
fn changes_of_the_topology_are_recorded_and_so_are_their_refusals() {
    let mut cluster = Cluster::new();
    let node = Actor::Node(NodeId(2));
    let size = cluster.size();
    cluster.done(&node, topology::Command::DefineClass(class("other")).into(), None);
    let record = cluster.last_record();
    assert_eq!((cluster.size(), record.act, record.stamp.node), (size + 1, Act::NodeChange, Some(NodeId(2))));
    assert!(record.text(Fact::State).expect("a state").contains("class other"), "{record:?}");
    let before = state(&cluster.rows);
    let voters = topology::Command::SetVoters { voters: vec![NodeId(1), NodeId(2)] };
    let refusal = cluster.apply(&node, voters.into(), None).into_result().expect_err("two voters");
    let record = cluster.last_record();
    assert_eq!((cluster.size(), record.refused), (size + 2, Some(refusal.reason)));
    assert_eq!(state(&cluster.rows), before);
    // Who has a node's certificate changes neither who votes nor what other nodes are.
    for command in [
        topology::Command::SetVoters { voters: vec![NodeId(2)] },
        topology::Command::SetVoters { voters: vec![NodeId(1)] },
        topology::Command::SetNodeState { node: NodeId(1), state: NodeState::Drained },
        topology::Command::UpdateNode(topology::NodeUpdate {
            node: NodeId(1),
            client_address: "127.0.0.1:1".to_owned(),
            peer_address: "127.0.0.1:2".to_owned(),
            labels: BTreeMap::new(),
            disks: Vec::new(),
        }),
    ] {
        let (before, size) = (state(&cluster.rows), cluster.size());
        cluster.refused(&node, command.into(), None, Reason::RoleNotAllowed);
        assert_eq!((state(&cluster.rows), cluster.size()), (before, size + 1), "refused, and on the ledger");
    }
    let size = cluster.size() - 2;
    // Housekeeping of volumes is no event, granted or not.
    let ensure = topology::Command::CloseVolume { volume: VolumeId(99), why: topology::CloseReason::Full };
    let outcome = cluster.apply(&node, ensure.into(), None).into_result();
    assert!(outcome.is_err(), "{outcome:?}");
    assert_eq!(cluster.size(), size + 2);
}

#[test]
fn a_refused_command_changes_the_ledger_alone_by_one_record() {
    let mut cluster = Cluster::with_items();
    for (actor, command, reason) in [
        (client(Role::Ops), seal(5), Reason::RoleNotAllowed),
        (client(Role::Station), seal(1), Reason::OriginalImmutable),
        (client(Role::Legal), label(9, "x"), Reason::NotFound),
        (Actor::Client(KeyHash::new([0x77; 32])), seal(5), Reason::UnknownPrincipal),
        (Actor::Node(NodeId(1)), seal(5), Reason::RoleNotAllowed),
    ] {
        let (before, size) = (state(&cluster.rows), cluster.size());
        cluster.refused(&actor, command, Some(once("k", 1)), reason);
        assert_eq!((state(&cluster.rows), cluster.size()), (before, size + 1));
        assert_eq!(cluster.last_record().refused, Some(reason));
    }
}

/// Rows of which one table cannot be read.
struct Broken<'a> {
    rows: &'a mut MemoryRows,
    table: TableId,
}

impl Rows for Broken<'_> {
    fn read(&self, table: TableId, key: &[u8]) -> Result<Option<Vec<u8>>, RowError> {
        if table == self.table { Err(RowError::Store("gone".to_owned())) } else { self.rows.read(table, key) }
    }
    fn scan(
        &self,
        table: TableId,
        from: &[u8],
        to: std::ops::Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<StoredRow>, RowError> {
        if table == self.table {
            Err(RowError::Store("gone".to_owned()))
        } else {
            self.rows.scan(table, from, to, limit)
        }
    }
    fn write(&mut self, table: TableId, key: &[u8], value: Vec<u8>) {
        self.rows.write(table, key, value);
    }
    fn remove(&mut self, table: TableId, key: &[u8]) {
        self.rows.remove(table, key);
    }
}

#[test]
fn rows_that_cannot_be_read_stop_the_node_instead_of_refusing() {
    let mut cluster = Cluster::with_items();
    let note = cluster.keys.sign(cluster.head(), 3);
    let publish = cluster.envelope(&Actor::Node(NodeId(1)), Command::PublishCheckpoint(note.into()), None);
    let hashes: Vec<_> = (150..170).map(TableId).filter(|id| cluster.rows.iter().any(|(t, ..)| t == *id)).collect();
    let stops = |table: TableId, cluster: &mut Cluster| {
        let mut broken = Broken { rows: &mut cluster.rows, table };
        Machine.apply(&mut broken, &publish).is_err()
    };
    let stopped = hashes.iter().filter(|table| stops(**table, &mut cluster)).count();
    assert!(stopped >= 2, "size and hashes are both needed, {stopped} of {} tables stopped it", hashes.len());
    let label = cluster.envelope(&client(Role::Legal), label(1, "x"), None);
    let mut broken = Broken { rows: &mut cluster.rows, table: ITEMS.id };
    assert!(Machine.apply(&mut broken, &label).is_err());
    assert!(Machine.apply_bytes(&mut cluster.rows, &[0xff]).is_err(), "a command that does not decode stops it too");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replicas_of_one_log_are_the_same_bytes_with_the_same_root(
        life in prop::collection::vec((0..12_usize, 0..5_u8, 1..5_u8, 0..4_u8), 0..60)
    ) {
        let (mut one, mut other) = (Cluster::new(), Cluster::new());
        for (who, what, number, key) in life {
            let command = match what {
                0 | 1 => seal(number),
                2 => label(number, "x"),
                3 => topology::Command::DefineClass(class(&format!("c{number}"))).into(),
                _ => Command::PublishCheckpoint(one.keys.sign(one.head(), 3).into()),
            };
            let actor = if what >= 3 { Actor::Node(NodeId(1)) } else { client(Role::ALL[who]) };
            let idempotency = (key > 0).then(|| once(&format!("k{key}"), number));
            let told = one.apply(&actor, command.clone(), idempotency.clone());
            prop_assert_eq!(told, other.apply(&actor, command, idempotency));
        }
        prop_assert_eq!(&one.rows, &other.rows);
        prop_assert_eq!(one.head(), other.head());
    }
}

#[test]
fn c2_a_leader_makes_up_no_reading_and_a_tick_without_signatures_is_refused() {
    let mut cluster = Cluster::new();
    let before = cluster.t();
    cluster.wall = cluster.wall.plus_ms(1000);
    let (node, unsigned) = (Actor::Node(NodeId(1)), Tick { readings: Vec::new(), voters: 1 });
    let command: Command = strongroom_custody::Command::Tick(unsigned).into();
    cluster.refused(&node, command, None, Reason::RoleNotAllowed);
    assert_eq!(cluster.last_record().act, Act::ClockTick);
    let own: Vec<_> = (1..=3).map(|voter| cluster.signed(voter, 1)).collect();
    cluster.refused(&client(Role::Ops), Command::Tick(own.clone()), None, Reason::RoleNotAllowed);
    for signed in [
        own,
        vec![cluster.signed(1, 1); 3],
        vec![cluster.signed(1, 1), cluster.signed(9, 1), vec![0xff].into()],
        Vec::new(),
    ] {
        cluster.done(&node, Command::Tick(signed), None);
        assert_eq!(cluster.t(), before, "one voter is no majority, whatever it says of the others");
    }
    let two = vec![cluster.signed(1, 1), cluster.signed(3, 3)];
    cluster.done(&node, Command::Tick(two.clone()), None);
    assert_eq!(cluster.t(), before.plus_ms(1000));
    cluster.done(&node, Command::Tick(two), None);
    assert_eq!(cluster.t(), before.plus_ms(1000), "what counted once counts no more");
}

/// A draw of half of the items of U1. What its proposer says of voters is not looked at.
fn a_draw(cluster: &mut Cluster) -> DrawRow {
    let query = HoldQuery {
        unit: Some(id("U1")),
        from: Some(START.plus_ms(-DAY)),
        to: Some(START.plus_ms(DAY)),
        ..HoldQuery::default()
    };
    let record = RecordDraw { query, ratio_percent: Some(50), reason: String::new(), voters: vec![NodeId(9)] };
    let command = strongroom_custody::Command::RecordDraw(Box::new(record));
    drawn(cluster.done(&client(Role::Inspector), command.into(), None))
}

fn drawn(answer: Answer) -> DrawRow {
    match answer {
        Answer::Custody(strongroom_custody::Answer::Draw(row)) => *row,
        other => panic!("no draw but {other:?}"),
    }
}

const fn share(voter: u8) -> DrawShare {
    DrawShare::new([0x50 + voter; 32])
}

/// The commitment of a voter, signed with the key of `signer`.
fn commitment(row: &DrawRow, voter: u8, signer: u8) -> Command {
    let node = NodeId(voter.into());
    let commitment = sample::commitment(row.digest, node, share(voter));
    let mut commit = CommitDraw { draw: row.id, commitment, signature: Vec::new().into(), vkey: "a lie".to_owned() };
    let pair = Ed25519KeyPair::from_seed_unchecked(&[1 + signer; 32]).expect("a key");
    let message = draw::commit_message(ClusterId::new([9; 16]), node, &commit);
    commit.signature = pair.sign(&message).as_ref().to_vec().into();
    strongroom_custody::Command::CommitDraw(Box::new(commit)).into()
}

#[test]
fn a_commitment_counts_only_with_the_signature_of_its_own_voter() {
    let mut cluster = Cluster::with_items();
    let row = a_draw(&mut cluster);
    assert_eq!(row.voters().iter().map(|voter| voter.node).collect::<Vec<_>>(), [NodeId(1), NodeId(2), NodeId(3)]);
    let one = Actor::Node(NodeId(1));
    // A leader that speaks for another voter has no key of it.
    cluster.refused(&one, commitment(&row, 1, 2), None, Reason::InvalidArgument);
    cluster.refused(&Actor::Node(NodeId(2)), commitment(&row, 1, 1), None, Reason::InvalidArgument);
    cluster.refused(&client(Role::Inspector), commitment(&row, 1, 1), None, Reason::RoleNotAllowed);
    cluster.done(&one, commitment(&row, 1, 1), None);
    let record = cluster.last_record();
    assert_eq!(record.text(Fact::SignerKey), Some(cluster.keys.voters[0].verifier().to_string().as_str()));
}

/// R-000-27, C7: the proof is the records, and drawing again from them gives the same sample.
#[test]
fn a_draw_is_drawn_again_from_its_records_and_a_forged_proof_is_found_out() {
    let mut cluster = Cluster::with_items();
    let row = a_draw(&mut cluster);
    let node = |voter: u8| Actor::Node(NodeId(voter.into()));
    let proof = |cluster: &Cluster| strongroom_engine::draw::proof(&cluster.rows, row.id);
    for voter in 1..=3 {
        cluster.done(&node(voter), commitment(&row, voter, voter), None);
    }
    assert_eq!(proof(&cluster).expect_err("not drawn").reason, Reason::WrongState);
    let reveal = |voter| strongroom_custody::Command::RevealDraw(RevealDraw { draw: row.id, share: share(voter) });
    for voter in 1..=3 {
        cluster.done(&node(voter), reveal(voter).into(), None);
    }
    assert_eq!(proof(&cluster).expect_err("not cosigned").reason, Reason::ReceiptPending);
    let note = cluster.keys.sign(cluster.head(), 2);
    cluster.publish(note).into_result().expect("publishes");

    let bytes = proof(&cluster).expect("a proof");
    let verdict = DrawProof::parse_canonical(&bytes).expect("reads").verify(&CustodyRecords).expect("holds");
    let stands = draw::read(&cluster.rows, row.id).expect("is there");
    assert_eq!(verdict.sample, draw::drawn(&cluster.rows, &stands).expect("reads"));
    assert_eq!((verdict.sample.len(), verdict.shares.len(), verdict.steps.len()), (1, 3, 9));
    assert_eq!((verdict.recorded.ratio_percent, verdict.recorded.items), (50, 2));

    let taken =
        |bytes: &[u8]| DrawProof::parse_canonical(bytes).is_ok_and(|proof| proof.verify(&CustodyRecords).is_ok());
    assert!(taken(&bytes) && !taken(&[&bytes[..], b"\n"].concat()), "another spelling was taken");
    // Bytes a prime apart, so that every kind of field is met.
    for position in (0..bytes.len()).step_by(13) {
        let mut flipped = bytes.clone();
        flipped[position] ^= 1 << (position % 8);
        assert!(!taken(&flipped), "a flipped bit of byte {position} was taken");
    }
    let checkpoint = CHECKPOINT.read(&cluster.rows, &()).expect("reads").expect("published");
    let evidence = |seq| evidence(&cluster.rows, seq, checkpoint.size, &checkpoint.note).expect("evidence");
    let records: Vec<_> = stands.records().into_iter().map(evidence).collect();
    let items = [item(1), item(2)];
    let holds = |draw, items: &[ItemId], records: Vec<Evidence>| {
        DrawProof::issue(draw, items.to_vec(), records, &CustodyRecords).is_ok()
    };
    assert!(holds(row.id, &items, records.clone()));
    for left_out in 0..records.len() {
        let mut fewer = records.clone();
        fewer.remove(left_out);
        assert!(!holds(row.id, &items, fewer), "record {left_out} was not missed");
    }
    for step in 1..records.len() {
        let mut other = records.clone();
        other.swap(step - 1, step);
        assert!(!holds(row.id, &items, other), "record {step} passed in another place");
    }
    assert!(!holds(DrawId(2), &items, records.clone()), "it passed for another draw");
    for other in [vec![item(1)], vec![item(2), item(1)], vec![item(1), item(2), item(3)], vec![item(1), item(3)]] {
        assert!(!holds(row.id, &other, records.clone()), "{other:?} passed for what was selected from");
    }
}

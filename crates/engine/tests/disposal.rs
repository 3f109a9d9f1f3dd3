//! A disposal from the proposal to the certificate, through the replicated machine and real disks: what is proved where,
//! and what is refused on the way.

mod people;

use std::{collections::BTreeMap, fmt::Debug, path::Path, str::FromStr};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use people::key;
use strongroom_custody::{
    Actor, Command as Custody,
    clock::{self, Reading},
    command::{
        AddUnit, AdvanceClock, BeginSession, CreateCluster, EndSession, OpenUpload, RegisterPrincipal, ResumeUpload,
        SealOriginal, Under,
    },
    disposal::{
        ApproveDisposal, BatchState, ExecuteDisposal, ProposeDisposal, ProposedItem, SignDisposal, read as read_batch,
    },
    erasure::{self, AttestKeys, EraseOrderRow, NoteErasure},
    keeping::{RestrictItem, RestrictionKind},
    removal::{self, CopyAt, ExecuteRemoval, ProposeRemoval, RemovalForm, RemovalStep, StepRemoval},
    tables::{ChunkEntry, ClusterRow, Description, ITEM_KEYS, ITEMS, ManifestRun, ManifestStep, UploadEnd},
    voters::{ApproveVoter, ProposeVoter, VotersNow},
};
use strongroom_engine::{
    Answer, Command, Envelope, Genesis, Machine, Outcome,
    disposal::{certificate, permit_proof},
    machine::CHECKPOINT,
    policies, readings,
    receipt::{CustodyRecords, evidence},
    removal::{certificate as removal_certificate, copies as copies_of},
};
use strongroom_ledger::{CosignerKey, KeyName, LogKey, OutsideRule, Policy, TreeHead, tree};
use strongroom_package::{Certificate, Receipt, RemovalCertificate, Trust, verify_receipt};
use strongroom_shardstore::{
    Disk, DiskConfig, DiskMarker, ExpectedMarker, PermitError, PutError, PutShard, ShardAddress, StoreSettings,
    VoterChangeProof,
};
use strongroom_topology::{self as topology, ClassRow, Promise, Registration};
use strongroom_types::{
    BatchId, ChunkDigest, ChunkIndex, ClusterId, DiskId, EraseList, EraseTarget, ItemDigest, ItemId, KeyHash, NodeId,
    PlacementEpoch, Reason, RecordSeq, Refusal, RemovalId, Role, SessionId, Sha256Digest, ShardIndex, SubtreeValue,
    UnixMillis, UploadEpoch, VolumeId, rows::MemoryRows,
};

const START: UnixMillis = UnixMillis(1_772_328_600_000);
const DAY: i64 = 24 * 3600 * 1000;
const CLUSTER: ClusterId = ClusterId::new([9; 16]);
const GENESIS: [u8; 32] = [0x9e; 32];
const BATCH: BatchId = BatchId(1);
const REMOVAL: RemovalId = RemovalId(1);

fn id<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().expect("a name")
}

fn item(number: u8) -> ItemId {
    ItemId::new([number; 16])
}

fn disk_id(node: u8) -> DiskId {
    DiskId::new([node; 16])
}

const fn clock_seed(node: u8) -> [u8; 32] {
    [100 + node; 32]
}

/// The machine with its keys and clocks, and the ledger's voters.
struct World {
    rows: MemoryRows,
    wall: UnixMillis,
    log: LogKey,
    voters: Vec<CosignerKey>,
    draws: u8,
}

impl World {
    /// Items 1 and 2 are sealed, and their retention has run out.
    fn new() -> Self {
        let origin = KeyName::of_cluster("test.local", CLUSTER).expect("a name");
        let voter = |node: u8| {
            let name = origin.of_voter(NodeId(node.into())).expect("a name");
            CosignerKey::from_seed(name, [node; 32].into()).expect("a key")
        };
        let voters = (1..=3).map(voter).collect();
        let log = LogKey::from_seed(origin, [50; 32].into()).expect("a key");
        let mut world = Self { rows: MemoryRows::default(), wall: START, log, voters, draws: 0 };
        for (command, _) in world.genesis().commands() {
            world.by_node(1, command).expect("creates");
        }
        world.pass(0);
        for number in 1..=2 {
            world.by(Role::Station, Custody::SealOriginal(small(number))).expect("seals");
        }
        world.pass(200 * DAY);
        world
    }

    fn policy(&self) -> Policy {
        let voters = self.voters.iter().map(|voter| voter.verifier().clone()).collect();
        Policy::new(self.log.verifier().clone(), voters, Vec::new(), OutsideRule::Optional).expect("a policy")
    }

    fn genesis(&self) -> Genesis {
        let principal = |role: Role| RegisterPrincipal {
            principal: id(role.name()),
            key: key(role),
            roles: vec![role],
            unit: None,
        };
        let node = |number: u8| Registration {
            id: NodeId(number.into()),
            district: id(&format!("d{number}")),
            client_address: format!("127.0.0.1:{}", 4000 + u16::from(number)),
            peer_address: format!("127.0.0.1:{}", 5000 + u16::from(number)),
            peer_key: KeyHash::new([number; 32]),
            labels: BTreeMap::new(),
            disks: vec![disk_id(number)],
            cosigner_vkey: self.voters[usize::from(number) - 1].verifier().to_string(),
            clock_vkey: CosignerKey::from_seed(id("clock"), clock_seed(number).into())
                .expect("a key")
                .verifier()
                .to_string(),
        };
        let policy = self.policy();
        Genesis {
            create: CreateCluster {
                cluster: ClusterRow {
                    cluster: CLUSTER,
                    trial: true,
                    created_at: START,
                    policy: policy.to_string(),
                    policy_digest: *policy.fingerprint().as_bytes(),
                    class: "standard".to_owned(),
                    origin: policy.origin().as_str().to_owned(),
                },
                profiles: vec![include_str!("../../../profiles/dev.toml").to_owned()],
                units: vec![AddUnit { unit: id("U1"), full_name: "一中队".to_owned(), profile: id("dev") }],
                devices: vec![strongroom_custody::command::AddDevice {
                    device: id("D1"),
                    unit: id("U1"),
                    device_type: strongroom_custody::tables::DeviceType::Bwc,
                    brand_model: "X1".to_owned(),
                    asset: None,
                }],
                principals: Role::ALL.into_iter().map(principal).collect(),
                genesis: [0; 32],
            },
            class: ClassRow { name: id("standard"), promise: Promise::SurviveDistrict, widest: id("2+1") },
            nodes: (1..=3).map(node).collect(),
            voters: (1..=3).map(NodeId).collect(),
            extension: None,
        }
    }

    fn apply(&mut self, actor: Actor, command: Command) -> Result<Answer, Refusal> {
        self.draws = self.draws.wrapping_add(1);
        let fresh = format!("draw-{}-{}", self.wall.0, self.draws);
        let idempotency = people::signing(&self.rows, &actor, &command, None, &fresh);
        let envelope = Envelope { command, actor, wall: self.wall, seed: [self.draws; 32], idempotency };
        match Machine.apply(&mut self.rows, &envelope).expect("rows can be read") {
            Outcome::Done(answer) => Ok(answer),
            Outcome::Refused(refusal) => Err(refusal),
        }
    }

    fn by(&mut self, role: Role, command: Custody) -> Result<Answer, Refusal> {
        self.apply(Actor::Client(key(role)), command.into())
    }

    fn by_node(&mut self, node: u8, command: impl Into<Command>) -> Result<Answer, Refusal> {
        self.apply(Actor::Node(NodeId(node.into())), command.into())
    }

    /// Lets this much time pass at once, as a trial can, and ticks.
    fn pass(&mut self, ms: i64) {
        if ms > 0 {
            let advance = AdvanceClock { by_ms: ms, reason: "a test".to_owned() };
            self.by(Role::Ops, Custody::AdvanceClock(advance)).expect("lets time pass");
        }
        let tick = clock::read(&self.rows).expect("reads").ticks;
        let signed = |node: u8| {
            let boottime_ms = self.wall.since_ms(START);
            let reading = Reading { node: NodeId(node.into()), boot_id: [1; 16], boottime_ms, wall: self.wall, tick };
            let pair = Ed25519KeyPair::from_seed_unchecked(&clock_seed(node)).expect("a key");
            readings::sign(&pair, &reading).into()
        };
        let signed = (1..=3).map(signed).collect();
        self.by_node(1, Command::Tick(signed)).expect("ticks");
    }

    /// The voters cosign what there is.
    fn publish(&mut self) {
        let note = self.signed_by(&[0, 1, 2]);
        self.by_node(1, Command::PublishCheckpoint(note.into())).expect("publishes");
    }

    /// A checkpoint of what there is, cosigned by these of the voters.
    fn signed_by(&self, voters: &[usize]) -> Vec<u8> {
        let head = tree::head(&self.rows).expect("reads");
        let mut signed = self.log.sign(head).expect("signs");
        for voter in voters {
            let cosignature = self.voters[*voter].cosign(signed.checkpoint(), self.wall).expect("cosigns");
            signed = signed.with_cosignature(cosignature).expect("joins");
        }
        signed.to_bytes()
    }

    /// Node 4 registers, and two people give it the vote of node 1. Answers the cosigner that has gone.
    fn replace_voter(&mut self) -> CosignerKey {
        let name = self.policy().origin().of_voter(NodeId(4)).expect("a name");
        let cosigner = CosignerKey::from_seed(name, [4; 32].into()).expect("a key");
        let mut registration = self.genesis().nodes[0].clone();
        registration.id = NodeId(4);
        registration.peer_key = KeyHash::new([4; 32]);
        registration.disks = vec![disk_id(4)];
        registration.cosigner_vkey = cosigner.verifier().to_string();
        let clock = CosignerKey::from_seed(id("clock"), clock_seed(4).into()).expect("a key");
        registration.clock_vkey = clock.verifier().to_string();
        self.by_node(2, topology::Command::RegisterNode(registration)).expect("registers");
        let (old, new, now) = (NodeId(1), NodeId(4), VotersNow::default());
        let propose = ProposeVoter { old, new, reason: "主板损坏".to_owned(), now: now.clone() };
        let change = match self.by(Role::Ops, Custody::ProposeVoter(Box::new(propose))).expect("proposes") {
            Answer::Custody(strongroom_custody::Answer::Recorded(seq)) => seq,
            other => panic!("no record but {other:?}"),
        };
        let approve = ApproveVoter { change, now };
        self.by(Role::Security, Custody::ApproveVoter(Box::new(approve))).expect("approves");
        std::mem::replace(&mut self.voters[0], cosigner)
    }

    /// A receipt of a sealed item under the newest checkpoint.
    fn seal_receipt(&self, number: u8) -> Vec<u8> {
        let seq = ITEMS.read(&self.rows, &item(number)).expect("reads").expect("is sealed").seq;
        let checkpoint = CHECKPOINT.read(&self.rows, &()).expect("reads").expect("published");
        let seal = evidence(&self.rows, seq, checkpoint.size, &checkpoint.note).expect("evidence");
        let changes = policies::chain(&self.rows, checkpoint.size).expect("a chain");
        Receipt::issue(seal, changes, &CustodyRecords).expect("a receipt").to_bytes()
    }

    fn execute(&mut self) {
        let items = (1..=2).map(|number| ProposedItem { item: item(number), basis: String::new() }).collect();
        let propose = Custody::ProposeDisposal(ProposeDisposal { items, basis: "到期鉴定".to_owned() });
        self.by(Role::Archivist, propose).expect("proposes");
        self.pass(7 * DAY);
        let approve = || Custody::ApproveDisposal(ApproveDisposal { batch: BATCH });
        self.by(Role::Legal, approve()).expect("approves");
        self.by(Role::Head, approve()).expect("approves");
        let execute = ExecuteDisposal {
            batch: BATCH,
            supervisors: vec![id("inspector"), id("unit-head")],
            // Whatever a proposer writes here: the machine knows better.
            disks: Vec::new(),
            replicas: vec![NodeId(77)],
        };
        self.by(Role::Custodian, Custody::ExecuteDisposal(Box::new(execute))).expect("executes");
    }

    fn order(&self) -> (RecordSeq, EraseOrderRow) {
        erasure::orders(&self.rows, None, 1).expect("reads").remove(0)
    }

    fn receipt(&self, node: u8, disk: DiskId, shards: u64) -> NoteErasure {
        let mut note = NoteErasure {
            disk,
            order: self.order().0,
            shards,
            payload_bytes: shards * 8000,
            signature: Vec::new().into(),
            vkey: String::new(),
        };
        let message = erasure::receipt_message(CLUSTER, NodeId(node.into()), &note);
        note.signature = signed_by(node, &message).into();
        note
    }

    fn word(&self, node: u8) -> AttestKeys {
        let mut word = AttestKeys { batch: BATCH, purged_to: 900, signature: Vec::new().into(), vkey: String::new() };
        word.signature = signed_by(node, &erasure::keys_message(CLUSTER, NodeId(node.into()), &word)).into();
        word
    }

    fn sign(&mut self, role: Role) -> Result<Answer, Refusal> {
        self.by(role, Custody::SignDisposal(SignDisposal { batch: BATCH }))
    }

    /// Every disk and replica has done its part, and both supervisors have signed.
    fn close(&mut self) {
        for node in 1..=3 {
            let receipt = self.receipt(node, disk_id(node), 1);
            self.by_node(node, Custody::NoteErasure(Box::new(receipt))).expect("notes");
            let word = self.word(node);
            self.by_node(node, Custody::AttestKeys(Box::new(word))).expect("takes its word");
        }
        self.sign(Role::Inspector).expect("signs");
        self.sign(Role::UnitHead).expect("signs");
    }
}

fn signed_by(node: u8, message: &[u8]) -> Vec<u8> {
    let pair = Ed25519KeyPair::from_seed_unchecked(&clock_seed(node)).expect("a key");
    pair.sign(message).as_ref().to_vec()
}

fn small(number: u8) -> SealOriginal {
    let entry = ChunkEntry { name: ChunkDigest::new([3; 32]), value: SubtreeValue::new([4; 32]) };
    let run = ManifestRun {
        first: ChunkIndex(0),
        epoch: UploadEpoch(0),
        volume: VolumeId(1),
        placement_epoch: PlacementEpoch(0),
        chunks: vec![entry],
        absent: Vec::new(),
    };
    let end = UploadEnd { size_bytes: 7, blake3: ItemDigest::new([5; 32]), sha256: Sha256Digest::new([6; 32]) };
    SealOriginal { open: open(number), step: ManifestStep { runs: vec![run] }, end }
}

fn open(number: u8) -> OpenUpload {
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
    OpenUpload { item: item(number), description, wrapped_key: vec![number].into(), gateway: NodeId(1) }
}

/// A disk of node 1 that believes the world's voters and holds a shard of each of three items.
async fn disk(folder: &Path, policy: &Policy) -> Disk {
    let marker = DiskMarker {
        format_version: DiskMarker::FORMAT_VERSION,
        cluster: CLUSTER,
        node: NodeId(1),
        disk: disk_id(1),
        genesis: GENESIS,
        trial: true,
    };
    Disk::format(folder, &marker).expect("formats");
    let config = DiskConfig { path: folder.to_owned(), capacity_bytes: None };
    let expected = ExpectedMarker { cluster: CLUSTER, node: NodeId(1), genesis: GENESIS };
    let disk = Disk::open(&config, &expected, &StoreSettings::default()).expect("opens");
    disk.pin(policy).expect("pins");
    for number in 1..=3 {
        disk.put(shard(number)).await.expect("stores");
    }
    disk
}

fn shard(number: u8) -> PutShard {
    PutShard {
        disk: disk_id(1),
        address: ShardAddress {
            item: item(number),
            index: ChunkIndex(0),
            upload_epoch: UploadEpoch(1),
            volume: VolumeId(1),
            placement_epoch: PlacementEpoch(0),
            slot: ShardIndex(0),
        },
        chunk: ChunkDigest::new([number; 32]),
        tag: [number; 16],
        sealed_bytes: 8000,
        payload: vec![number; 8000].into(),
        payload_crc32c: None,
    }
}

#[tokio::test]
async fn a_disk_erases_what_the_ledger_proves_and_the_certificate_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new();
    let disk = disk(&folder.path().join("disk"), &world.policy()).await;
    world.execute();
    let (seq, order) = world.order();
    assert!(ITEMS.read(&world.rows, &item(1)).expect("reads").is_none());
    assert!(ITEM_KEYS.read(&world.rows, &item(1)).expect("reads").is_none());

    // Committed is not yet cosigned: there is no permit to show.
    let newest = disk.trusted().expect("is pinned");
    assert_eq!(permit_proof(&world.rows, seq, &order, newest), Ok(None));
    world.publish();
    let proof = permit_proof(&world.rows, seq, &order, newest).expect("reads").expect("is cosigned");
    let permit = disk.admit(&proof).expect("verifies");
    assert_eq!(disk.erase(&permit).await.expect("erases").shards, 2);
    assert!(matches!(disk.put(shard(1)).await, Err(PutError::Erased { .. })));
    disk.get(&shard(3).address).await.expect("is there");

    // A longer list than was decided, with the real record and proof.
    let three = EraseList::new((1..=3).map(|number| EraseTarget::Item(item(number)))).expect("a list");
    let wider = EraseOrderRow { list: three, ..order.clone() };
    let forged = permit_proof(&world.rows, seq, &wider, disk.trusted().expect("is pinned"));
    let error = disk.admit(&forged.expect("reads").expect("is cosigned")).expect_err("another list");
    assert!(matches!(error, PermitError::OtherList { .. }), "{error:?}");
    disk.get(&shard(3).address).await.expect("is still there");

    let incomplete = certificate(&world.rows, BATCH).expect_err("is not closed");
    assert_eq!(incomplete.reason, Reason::DisposalIncomplete);
    world.close();
    assert_eq!(read_batch(&world.rows, BATCH).expect("is there").state, BatchState::Closed);
    assert_eq!(certificate(&world.rows, BATCH).expect_err("is not cosigned").reason, Reason::ReceiptPending);
    world.publish();
    let bytes = certificate(&world.rows, BATCH).expect("is certified");
    let verdict = Certificate::parse_canonical(&bytes).expect("reads").verify(&CustodyRecords).expect("verifies");
    assert_eq!((verdict.disposed, verdict.dropped, verdict.disks_erased, verdict.replicas_clean), (2, 0, 3, 3));
    assert_eq!(verdict.batch, BATCH);
    let steps: Vec<_> = verdict.steps.iter().map(|(step, by, ..)| format!("{step} by {by}")).collect();
    assert_eq!(
        steps,
        [
            "proposed by archivist",
            "approved as legal by legal",
            "approved as head by head",
            "executed by custodian",
            "signed as supervisor by inspector",
            "signed as supervisor by unit-head",
        ]
    );
}

#[test]
fn nodes_speak_for_their_own_disks_and_with_their_own_keys() {
    let mut world = World::new();
    world.execute();
    let note = |note| Custody::NoteErasure(Box::new(note));
    let anothers_disk = world.receipt(1, disk_id(2), 1);
    assert_eq!(world.by_node(1, note(anothers_disk)).expect_err("not its disk").reason, Reason::NotFound);
    let anothers_key = world.receipt(2, disk_id(1), 1);
    assert_eq!(world.by_node(1, note(anothers_key)).expect_err("not its key").reason, Reason::InvalidArgument);
    let honest = world.receipt(1, disk_id(1), 1);
    let altered = NoteErasure { shards: 9, ..honest.clone() };
    assert_eq!(world.by_node(1, note(altered)).expect_err("not what it signed").reason, Reason::InvalidArgument);
    let asked = world.by(Role::Security, note(honest.clone())).expect_err("is no node");
    assert_eq!(asked.reason, Reason::RoleNotAllowed);
    world.by_node(1, note(honest)).expect("notes");

    let word = world.word(2);
    let said = world.by_node(3, Custody::AttestKeys(Box::new(word.clone())));
    assert_eq!(said.expect_err("not its word").reason, Reason::InvalidArgument);
    world.by_node(2, Custody::AttestKeys(Box::new(word))).expect("takes its word");
    let waits = read_batch(&world.rows, BATCH).expect("is there").execution.expect("is executed");
    assert_eq!((waits.disks_pending, waits.replicas_pending), (2, 2), "three nodes with a disk each");
}

#[test]
fn a_certificate_with_anything_altered_does_not_verify() {
    let mut world = World::new();
    world.execute();
    world.close();
    world.publish();
    let good = certificate(&world.rows, BATCH).expect("is certified");
    let text = String::from_utf8(good.clone()).expect("is text");
    let value: serde_json::Value = serde_json::from_slice(&good).expect("is JSON");
    let refused = |bytes: &[u8], why: &str| {
        let verified = Certificate::parse_canonical(bytes).and_then(|read| read.verify(&CustodyRecords));
        assert!(verified.is_err(), "{why} was taken");
    };
    let changed = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value = value.clone();
        change(&mut value);
        rendered(&value)
    };
    assert_eq!(rendered(&value), good, "only what is changed differs");
    refused(&changed(&|value| value["batch"] = "DSP-2".into()), "another batch");
    refused(&changed(&|value| value["items"][0]["item"] = "aa".repeat(16).into()), "another item");
    refused(&changed(&|value| value["items"][0]["basis"] = "another".into()), "another basis");
    refused(&changed(&|value| value["items"][0]["disposed"] = false.into()), "an item that did not go");
    let records = value["records"].as_array().expect("records").len();
    assert_eq!(records, 12, "four steps, three disks, three replicas, two signatures");
    for position in 0..records {
        let without = changed(&|value| {
            value["records"].as_array_mut().expect("records").remove(position);
        });
        refused(&without, &format!("a certificate without its record {position}"));
    }
    refused(&changed(&|value| value["records"].as_array_mut().expect("records").swap(0, 3)), "another order");
    for position in (0..text.len()).step_by(97) {
        let mut bad = good.clone();
        bad[position] ^= 1;
        refused(&bad, &format!("a flipped bit in byte {position}"));
    }
}

/// A removal of item 1, every step but its execution: handed over by the archivist and signed for by the receiver.
fn signed_for(world: &mut World) {
    let restrict =
        RestrictItem {
            item: item(1), kind: Some(RestrictionKind::SuspectedSecret), reason: "疑似国家秘密".to_owned()
        };
    world.by(Role::Secrecy, Custody::RestrictItem(restrict)).expect("restricts");
    let receiver = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
    let propose = ProposeRemoval {
        items: vec![item(1)],
        form: RemovalForm {
            organ: "市国家保密局".to_owned(),
            receiver: "李四".to_owned(),
            receiver_key: receiver.public_key().as_ref().try_into().expect("32 bytes"),
            carrier: "JM-2026-014".to_owned(),
            basis: "保密审查意见".to_owned(),
        },
        executor: id("archivist"),
        copies: Vec::new(),
    };
    world.by(Role::Legal, Custody::ProposeRemoval(Box::new(propose))).expect("proposes");
    world.by(Role::Secrecy, removal_step(RemovalStep::Approve)).expect("approves");
    world.by(Role::Head, removal_step(RemovalStep::Approve)).expect("approves");
    let session = SessionId::new([5; 16]);
    let begin = BeginSession { session, under: Under::Removal(REMOVAL) };
    world.by(Role::Archivist, Custody::BeginSession(begin)).expect("begins");
    world.by(Role::Archivist, Custody::EndSession(EndSession { session, complete: true })).expect("ends");
    let row = removal::read(&world.rows, REMOVAL).expect("is there");
    let statement = removal::statement_of(&world.rows, CLUSTER, &row).expect("reads").to_bytes();
    let signature = receiver.sign(&statement).as_ref().to_vec();
    world.by(Role::Archivist, removal_step(RemovalStep::FileSignature(signature.into()))).expect("files");
}

fn removal_step(step: RemovalStep) -> Custody {
    Custody::StepRemoval(StepRemoval { removal: REMOVAL, step })
}

fn execute_removal(world: &mut World) {
    let execute = ExecuteRemoval {
        removal: REMOVAL,
        supervisors: vec![id("inspector"), id("unit-head")],
        // Whatever a proposer writes here: the machine knows better.
        disks: Vec::new(),
        replicas: vec![NodeId(77)],
        copies: vec![CopyAt { place: "nowhere".to_owned(), keeper: "nobody".to_owned(), seq: None }],
    };
    world.by(Role::Archivist, Custody::ExecuteRemoval(Box::new(execute))).expect("executes");
}

/// Disks, replicas, copies and supervisors of a removal.
fn close_removal(world: &mut World) {
    for node in 1..=3 {
        let receipt = world.receipt(node, disk_id(node), 1);
        world.by_node(node, Custody::NoteErasure(Box::new(receipt))).expect("notes");
        let mut word = AttestKeys {
            batch: removal::number(REMOVAL),
            purged_to: 900,
            signature: Vec::new().into(),
            vkey: String::new(),
        };
        word.signature = signed_by(node, &erasure::keys_message(CLUSTER, NodeId(node.into()), &word)).into();
        world.by_node(node, Custody::AttestKeys(Box::new(word))).expect("takes its word");
    }
    let destroyed = RemovalStep::DestroyCopy(0, START, "已清除".to_owned());
    world.by(Role::Custodian, removal_step(destroyed)).expect("ticks off");
    world.by(Role::Inspector, removal_step(RemovalStep::Close)).expect("signs");
    world.by(Role::UnitHead, removal_step(RemovalStep::Close)).expect("signs");
}

#[tokio::test]
async fn b10_a_disk_erases_a_removal_by_its_own_kind_of_permit_and_its_certificate_says_where_it_went() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new();
    let disk = disk(&folder.path().join("disk"), &world.policy()).await;
    signed_for(&mut world);
    execute_removal(&mut world);
    world.publish();
    let (seq, order) = world.order();
    let newest = disk.trusted().expect("is pinned");
    let proof = permit_proof(&world.rows, seq, &order, newest).expect("reads").expect("is cosigned");
    // An order that was bent to be of a disposal, and a replayed one for an item that nobody signed for.
    let bent = EraseOrderRow { removal: None, ..order.clone() };
    let forged = permit_proof(&world.rows, seq, &bent, newest).expect("reads").expect("is cosigned");
    let error = disk.admit(&forged).expect_err("another kind");
    assert!(matches!(error, PermitError::OtherKind { .. }), "{error:?}");
    let two = EraseList::new([EraseTarget::Item(item(2))]).expect("a list");
    let replayed = EraseOrderRow { list: two, ..order.clone() };
    let forged = permit_proof(&world.rows, seq, &replayed, newest).expect("reads").expect("is cosigned");
    assert!(matches!(disk.admit(&forged), Err(PermitError::OtherList { .. })));
    for number in 1..=3 {
        disk.get(&shard(number).address).await.expect("is there");
    }
    let permit = disk.admit(&proof).expect("verifies");
    assert_eq!(disk.erase(&permit).await.expect("erases").shards, 1);
    assert!(matches!(disk.put(shard(1)).await, Err(PutError::Erased { .. })));
    disk.get(&shard(2).address).await.expect("is there");
    let again = permit_proof(&world.rows, seq, &order, disk.trusted().expect("is pinned")).expect("reads");
    let again = disk.admit(&again.expect("is cosigned")).expect("verifies");
    assert_eq!(disk.erase(&again).await.expect("erases").shards, 0, "replayed, it does nothing");

    // The machine has listed the copies that the ledger tells of, and not those that the proposer made up.
    let copies = removal::copies(&world.rows, REMOVAL).expect("reads");
    let places: Vec<_> = copies.iter().map(|copy| (copy.at.place.as_str(), copy.at.keeper.as_str())).collect();
    assert_eq!(places, [("spool of station station and memory of device D1", "station")]);

    let early = removal_certificate(&world.rows, REMOVAL).expect_err("is not closed");
    assert_eq!(early.reason, Reason::DisposalIncomplete);
    close_removal(&mut world);
    assert_eq!(removal_certificate(&world.rows, REMOVAL).expect_err("is not cosigned").reason, Reason::ReceiptPending);
    world.publish();
    let bytes = removal_certificate(&world.rows, REMOVAL).expect("is certified");
    let verified =
        |bytes: &[u8]| RemovalCertificate::parse_canonical(bytes).and_then(|read| read.verify(&CustodyRecords));
    let verdict = verified(&bytes).expect("verifies");
    assert_eq!((verdict.disks_erased, verdict.replicas_clean, verdict.execution.copies), (3, 3, 1));
    assert_eq!(verdict.execution.carrier, "JM-2026-014");
    let follows: Vec<_> = verdict.items[0].obligations.iter().map(|one| one.by.as_str()).collect();
    assert_eq!(follows, ["floor"]);
    let steps: Vec<_> = verdict.steps.iter().map(|(step, by, ..)| format!("{step} by {by}")).collect();
    assert_eq!(
        steps,
        [
            "proposed by legal",
            "approved as secrecy by secrecy",
            "approved as head by head",
            "signed for by the receiver, filed by archivist",
            "executed by archivist",
            "copy 0 destroyed by custodian",
            "signed as supervisor by inspector",
            "signed as supervisor by unit-head",
        ]
    );

    // A certificate of one kind is none of the other, and with anything altered it does not verify.
    assert!(Certificate::parse_canonical(&bytes).is_err());
    let text = String::from_utf8(bytes.clone()).expect("text");
    for (from, to) in [("\"by\": \"floor\"", "\"by\": \"hold\""), ("RMV-1", "RMV-2"), ("removal-cert", "cert")] {
        let forged = text.replacen(from, to, 1);
        assert_ne!(forged, text);
        assert!(verified(forged.as_bytes()).is_err(), "{to} was taken");
    }
    for position in (0..bytes.len()).step_by(499) {
        let mut bad = bytes.clone();
        bad[position] ^= 1;
        assert!(verified(&bad).is_err(), "a flipped bit in byte {position}");
    }
}

#[test]
fn b10_copies_that_were_handed_out_before_are_listed() {
    let mut world = World::new();
    signed_for(&mut world);
    world.by(Role::Legal, removal_step(RemovalStep::Withdraw("已解密".to_owned()))).expect("withdraws");
    let places: Vec<_> =
        copies_of(&world.rows, RemovalId(1)).expect("reads").into_iter().map(|copy| copy.place).collect();
    assert_eq!(places, ["spool of station station and memory of device D1"], "its own carrier is no copy to destroy");
    let propose = ProposeRemoval {
        items: vec![item(1)],
        form: removal::read(&world.rows, REMOVAL).expect("is there").form,
        executor: id("archivist"),
        copies: Vec::new(),
    };
    world.by(Role::Legal, Custody::ProposeRemoval(Box::new(propose))).expect("proposes");
    let copies = copies_of(&world.rows, RemovalId(2)).expect("reads");
    let carrier = copies.last().expect("two");
    assert_eq!((copies.len(), carrier.place.as_str()), (2, "carrier JM-2026-014 of RMV-1"));
    assert_eq!(carrier.keeper, "市国家保密局");
}

/// A certificate as it is written: `serde_json` by itself would put the fields in another order.
fn rendered(value: &serde_json::Value) -> Vec<u8> {
    let list = |name: &str, fields: &[&str]| {
        let entry = |entry: &serde_json::Value| {
            let lines: Vec<_> = fields.iter().map(|field| format!("      \"{field}\": {}", entry[*field])).collect();
            format!("    {{\n{}\n    }}", lines.join(",\n"))
        };
        let entries: Vec<_> = value[name].as_array().expect("a list").iter().map(entry).collect();
        format!("  \"{name}\": [\n{}\n  ]", entries.join(",\n"))
    };
    let text = |name: &str| format!("  \"{name}\": {}", value[name]);
    let parts = [
        text("format"),
        text("batch"),
        list("items", &["item", "basis", "disposed"]),
        list("records", &["record", "salt", "leaf", "tlog_proof"]),
        text("tlog_policy"),
    ];
    format!("{{\n{}\n}}\n", parts.join(",\n")).into_bytes()
}

#[test]
fn the_debris_of_a_superseded_stream_is_ordered_away_under_the_same_proof() {
    let mut world = World::new();
    world.by(Role::Station, Custody::OpenUpload(open(5))).expect("opens");
    for _ in 0..2 {
        let resume = ResumeUpload { item: item(5), gateway: NodeId(1) };
        world.by(Role::Station, Custody::ResumeUpload(resume)).expect("resumes");
    }
    world.publish();
    let (seq, order) = world.order();
    assert_eq!(order.list.targets(), [EraseTarget::Upload(item(5), UploadEpoch(1), ChunkIndex(0))]);
    let proof = permit_proof(&world.rows, seq, &order, TreeHead::EMPTY).expect("reads").expect("is cosigned");
    let trust = strongroom_shardstore::DiskTrust::pinned(disk_id(1), CLUSTER, world.policy());
    let (permit, head) = strongroom_shardstore::ErasePermit::verify(&trust, &proof).expect("verifies");
    assert_eq!((permit.scopes().len(), head), (1, tree::head(&world.rows).expect("reads")));
}

/// C3: a permit of the voters after a replacement erases on a disk that was pinned before it, and receipts of either side
/// are judged by the policy of either.
#[tokio::test]
async fn c3_a_voter_is_replaced_and_disks_receipts_and_the_clock_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("disk");
    let mut world = World::new();
    let first = world.policy();
    let disk = disk(&path, &first).await;
    world.publish();
    let before = world.seal_receipt(1);
    let old = world.replace_voter();
    let next = world.policy();
    assert_eq!(topology::read::voters(&world.rows).expect("reads"), [NodeId(2), NodeId(3), NodeId(4)]);

    // Until the voters before have cosigned the record, they are the ones who count.
    let note = world.signed_by(&[0, 1]);
    world.by_node(2, Command::PublishCheckpoint(note.into())).expect_err("of the voter to come");
    assert_eq!(policies::current(&world.rows).expect("reads"), Some(first.to_string()));
    let propose =
        ProposeVoter { old: NodeId(2), new: NodeId(1), reason: "another".to_owned(), now: VotersNow::default() };
    let refusal = world.by(Role::Ops, Custody::ProposeVoter(Box::new(propose))).expect_err("unsettled");
    assert_eq!(refusal.reason, Reason::WrongState);
    let note = world.signed_by(&[1, 2]);
    world.by_node(2, Command::PublishCheckpoint(note.into())).expect("the two who stayed are a majority of either");
    assert_eq!(policies::current(&world.rows).expect("reads"), Some(next.to_string()));
    let at_the_step = world.seal_receipt(1);

    // The clock goes on with the voters of now, and the one who has gone cosigns no more.
    let t = clock::read(&world.rows).expect("reads").t;
    world.pass(30_000);
    assert_eq!(clock::read(&world.rows).expect("reads").t, t.plus_ms(30_000));
    world.by(Role::Station, Custody::SealOriginal(small(3))).expect("seals");
    let gone = std::mem::replace(&mut world.voters[0], old);
    let note = world.signed_by(&[0, 1]);
    world.by_node(2, Command::PublishCheckpoint(note.into())).expect_err("of the voter who has gone");
    world.voters[0] = gone;
    world.publish();
    let after = world.seal_receipt(3);
    let trust = |receipt: &[u8], policy: &Policy| {
        verify_receipt(receipt, None, Some(&policy.to_string()), &CustodyRecords).map(|verdict| verdict.trust)
    };
    for (name, receipt, policy, voter_changes) in [
        ("before", &before, &first, 0),
        ("at the step", &at_the_step, &first, 0),
        ("after", &after, &first, 1),
        ("after", &after, &next, 0),
    ] {
        let trusted = Trust::Trusted { policy: policy.fingerprint(), voter_changes };
        assert_eq!(trust(receipt, policy).expect(name), trusted, "{name}");
    }

    // A disk that believes the voters before takes the permit of those after only when it was led to them.
    world.execute();
    world.publish();
    let (seq, order) = world.order();
    let permit = |world: &World, disk: &Disk| {
        let newest = disk.trusted().expect("is pinned");
        permit_proof(&world.rows, seq, &order, newest).expect("reads").expect("is cosigned")
    };
    let error = disk.admit(&permit(&world, &disk)).expect_err("of voters that it does not know");
    assert!(matches!(error, PermitError::NotProved(_)), "{error:?}");
    let change = policies::next_for_disk(&world.rows, disk.policy().expect("pinned"), 0).expect("reads");
    let change = change.expect("one replacement");
    let forged = VoterChangeProof { next: first.to_string(), ..change.clone() };
    assert!(matches!(disk.succeed(&forged), Err(PermitError::NoVoterChange { .. })));
    let forged = VoterChangeProof { record: b"nonsense".to_vec(), ..change.clone() };
    assert!(matches!(disk.succeed(&forged), Err(PermitError::OtherRecord { .. })));
    disk.succeed(&change).expect("its own voters cosigned it");
    assert!(disk.succeed(&change).is_err(), "it is no step from the voters of now");
    assert_eq!(policies::next_for_disk(&world.rows, disk.policy().expect("pinned"), 0), Ok(None));
    disk.shutdown().await;
    drop(disk);
    let config = DiskConfig { path, capacity_bytes: None };
    let expected = ExpectedMarker { cluster: CLUSTER, node: NodeId(1), genesis: GENESIS };
    let disk = Disk::open(&config, &expected, &StoreSettings::default()).expect("opens");
    disk.pin(&first).expect("the genesis file is the same");
    assert_eq!(disk.policy(), Ok(next.fingerprint()), "whom it was led to outlives a restart");
    let permit = disk.admit(&permit(&world, &disk)).expect("verifies");
    assert_eq!(disk.erase(&permit).await.expect("erases").shards, 2);
}

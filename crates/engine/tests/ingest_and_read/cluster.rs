//! Six nodes in three districts, all in memory: the engine's real use cases over the catalog's and shards' other side.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use strongroom_custody::{
    Actor,
    command::{AddDevice, AddUnit, ApproveRequest, CreateCluster, RegisterPrincipal, SubmitRequest, Under},
    profile::RequestAct,
    tables::{ClusterRow, Description, DeviceType, UploadEnd},
};
use strongroom_engine::{
    Answer, Catalog, Command, Engine, Genesis, Idempotency, Shards, System, health::Health, ingest::Announced,
    ingest::Sealed, memory::MemoryCatalog,
};
use strongroom_ledger::{CosignerKey, KeyName, LogKey, OutsideRule, Policy};
use strongroom_shardstore::{MemoryShards, ShardStore};
use strongroom_topology::{ClassRow, Promise, Registration};
use strongroom_types::{Clock, ClusterId, CommandDigest, DiskId, ItemId, KeyHash, NodeId, Refusal, Role, UnixMillis};

use crate::people::{self, key};

/// A tick for each look at it, so that no two are equal.
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn wall(&self) -> UnixMillis {
        UnixMillis(1_790_000_000_000 + self.0.fetch_add(1, Ordering::Relaxed))
    }
    fn boottime_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
    fn boot_id(&self) -> [u8; 16] {
        [1; 16]
    }
}

pub(crate) struct Cluster {
    pub(crate) catalog: Arc<MemoryCatalog>,
    pub(crate) disks: Vec<Arc<MemoryShards>>,
    pub(crate) system: System,
    pub(crate) clock: Arc<TestClock>,
    shards: Arc<Shards>,
    calls: AtomicU64,
}

pub(crate) const NODES: u64 = 6;

pub(crate) fn disk(node: u64) -> DiskId {
    DiskId::new([u8::try_from(node).expect("few nodes"); 16])
}

pub(crate) fn client(role: Role) -> Actor {
    Actor::Client(key(role))
}

impl Cluster {
    pub(crate) async fn new() -> Self {
        Self::promising(Promise::SurviveDistrict).await
    }

    pub(crate) async fn promising(promise: Promise) -> Self {
        let drawn = AtomicU64::new(1);
        let clock = Arc::new(TestClock(AtomicI64::new(0)));
        let system = System {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            // Distinct and the same in every run; nothing here needs them to be secret.
            random: Arc::new(move |bytes: &mut [u8]| {
                let number = drawn.fetch_add(1, Ordering::Relaxed);
                for (position, byte) in bytes.iter_mut().enumerate() {
                    *byte = (number >> (8 * (position % 8))).to_le_bytes()[0].wrapping_add(position.to_le_bytes()[0]);
                }
            }),
        };
        let cluster = ClusterId::new([9; 16]);
        let origin = KeyName::of_cluster("test.local", cluster).expect("a name");
        let log = LogKey::from_seed(origin.clone(), [1; 32].into()).expect("a key");
        let voter = |node| {
            CosignerKey::from_seed(
                origin.of_voter(NodeId(node)).expect("a name"),
                [u8::try_from(node).expect("few") + 1; 32].into(),
            )
            .expect("a key")
        };
        let cosigners: Vec<_> = (1..=3).map(voter).collect();
        let policy = Policy::new(
            log.verifier().clone(),
            cosigners.iter().map(|cosigner| cosigner.verifier().clone()).collect(),
            Vec::new(),
            OutsideRule::Optional,
        )
        .expect("a policy");
        let genesis = genesis(promise, cluster, &origin, &policy, &cosigners);
        let catalog = MemoryCatalog::new(NodeId(1), system.clone(), log, cosigners);
        for (command, idempotency) in genesis.commands() {
            catalog.submit(Actor::Node(NodeId(1)), command, Some(idempotency)).await.expect("genesis is taken");
        }
        let disks: Vec<_> = (1..=NODES).map(|node| Arc::new(MemoryShards::new([disk(node)]))).collect();
        let shards = Arc::new(Shards::default());
        for (node, store) in (1..).zip(&disks) {
            shards.set(NodeId(node), Arc::clone(store) as Arc<dyn ShardStore>);
        }
        Self { catalog, disks, system, clock, shards, calls: AtomicU64::new(0) }
    }

    pub(crate) fn engine(&self) -> Engine {
        let catalog = Arc::clone(&self.catalog) as Arc<dyn Catalog>;
        Engine::new(NodeId(1), catalog, Arc::clone(&self.shards), self.system.clone(), Arc::new(Health::default()))
    }

    pub(crate) fn once(&self) -> Idempotency {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        Idempotency {
            key: format!("k{number}").parse().expect("a name"),
            request: CommandDigest::new([3; 32]),
            assent: None,
        }
    }

    pub(crate) async fn submit(&self, actor: Actor, command: strongroom_custody::Command) -> Result<Answer, Refusal> {
        let command = Command::Custody(command);
        let rows = self.catalog.read_here()?;
        let once = people::signing(&*rows, &actor, &command, Some(self.once()), "");
        self.catalog.submit(actor, command, once).await
    }

    /// Streams `bytes` in odd pieces and seals them.
    pub(crate) async fn ingest(&self, engine: &Engine, bytes: &[u8]) -> Result<(ItemId, UploadEnd, Sealed), Refusal> {
        let station = client(Role::Station);
        let opened = engine.open_upload(station.clone(), description(), self.once()).await?;
        let mut stream = engine.resume_upload(station.clone(), opened.item).await?;
        let mut offset = 0;
        for piece in bytes.chunks(777_777) {
            stream.push(offset, Bytes::copy_from_slice(piece)).await?;
            offset += piece.len() as u64;
        }
        let end = stream.finish().await?;
        let announced = Announced {
            blake3: Some(strongroom_types::ItemDigest::new(*blake3::hash(bytes).as_bytes())),
            sha256: None,
        };
        let sealed = engine.seal(station, opened.item, end.size_bytes, announced, self.once()).await?;
        Ok((opened.item, end, sealed))
    }

    /// Asks for a copy, approves it, begins, and reads all of it.
    pub(crate) async fn copy_out(&self, engine: &Engine, item: ItemId) -> Result<Vec<u8>, Refusal> {
        let submit = SubmitRequest {
            act: RequestAct::Copy,
            items: vec![item],
            fields: BTreeMap::from([("reason".to_owned(), "复议".to_owned())]),
        };
        let request = match self.submit(client(Role::Legal), strongroom_custody::Command::SubmitRequest(submit)).await?
        {
            Answer::Custody(strongroom_custody::Answer::Request(request)) => request.id,
            other => panic!("{other:?}"),
        };
        let approve = strongroom_custody::Command::ApproveRequest(ApproveRequest { request });
        self.submit(client(Role::Approver), approve).await?;
        let begun = engine.begin(client(Role::Archivist), Under::CopyOut(request), self.once()).await?;
        self.read(engine, begun.session, item).await
    }

    pub(crate) async fn read(
        &self,
        engine: &Engine,
        session: strongroom_types::SessionId,
        item: ItemId,
    ) -> Result<Vec<u8>, Refusal> {
        use futures::StreamExt;
        let ticket = Arc::new(engine.open_item(key(Role::Archivist), session, item).await?);
        let mut pieces = std::pin::pin!(engine.read_range(ticket, 0, 0)?);
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await {
            let (offset, piece) = piece?;
            assert_eq!(offset, bytes.len() as u64, "pieces come in order");
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}

pub(crate) fn description() -> Description {
    Description {
        device: "D1".parse().expect("a name"),
        unit: "U1".parse().expect("a name"),
        file_name: "clip.mp4".to_owned(),
        recorded_start: UnixMillis(1_789_000_000_000),
        recorded_end: UnixMillis(1_789_000_060_000),
        activity: None,
        labels: BTreeMap::new(),
        media_type: None,
        device_proof: None,
    }
}

fn genesis(
    promise: Promise,
    cluster: ClusterId,
    origin: &KeyName,
    policy: &Policy,
    cosigners: &[CosignerKey],
) -> Genesis {
    let principal = |role: Role| RegisterPrincipal {
        principal: role.name().parse().expect("a name"),
        key: key(role),
        roles: vec![role],
        unit: None,
    };
    let node = |id: u64| Registration {
        id: NodeId(id),
        district: format!("d{}", (id - 1) % 3 + 1).parse().expect("a name"),
        client_address: format!("127.0.0.1:{}", 4000 + id),
        peer_address: format!("127.0.0.1:{}", 5000 + id),
        peer_key: KeyHash::new([u8::try_from(id).expect("few"); 32]),
        labels: BTreeMap::new(),
        disks: vec![disk(id)],
        cosigner_vkey: cosigners[usize::try_from((id - 1) % 3).expect("few")].verifier().to_string(),
        clock_vkey: String::from("clock"),
    };
    Genesis {
        create: CreateCluster {
            cluster: ClusterRow {
                cluster,
                trial: true,
                created_at: UnixMillis(1_789_999_000_000),
                policy: policy.to_string(),
                policy_digest: *policy.fingerprint().as_bytes(),
                class: "standard".to_owned(),
                origin: origin.as_str().to_owned(),
            },
            profiles: vec![include_str!("../../../../profiles/dev.toml").to_owned()],
            units: vec![AddUnit {
                unit: "U1".parse().expect("a name"),
                full_name: "一中队".to_owned(),
                profile: "dev".parse().expect("a name"),
            }],
            devices: vec![AddDevice {
                device: "D1".parse().expect("a name"),
                unit: "U1".parse().expect("a name"),
                device_type: DeviceType::Bwc,
                brand_model: "X".to_owned(),
                asset: None,
            }],
            principals: Role::ALL.into_iter().map(principal).collect(),
            genesis: [0; 32],
        },
        class: ClassRow {
            name: "standard".parse().expect("a name"),
            promise,
            widest: "4+2".parse().expect("a scheme"),
        },
        nodes: (1..=NODES).map(node).collect(),
        voters: (1..=3).map(NodeId).collect(),
        extension: None,
    }
}

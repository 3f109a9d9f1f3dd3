//! [`Catalog`] over Raft: the engine's commands proposed, its rows read, and what only a voter can do for it.
//!
//! Item keys are wrapped by a key that voters alone hold in memory. A voter unwraps one only for the stream that owns
//! an upload or for a committed session, both looked up in a linearizable read of its own; raw keys go to the asking
//! node over mTLS and never into the log. Checkpoints are signed by the leader and cosigned by each voter after it has
//! compared them with its own tree, and remembered outside the database before the cosignature leaves.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream::FuturesUnordered};
use self_cell::self_cell;
use strongroom_codec::{
    seal::ItemKey,
    wrap::{self, KeyEncryptionKey, WrappedKey},
};
use strongroom_custody::{Actor, session, tables::ITEM_KEYS, upload};
use strongroom_engine::{
    Answer, Catalog, Command, Envelope, Idempotency, Machine, Outcome, Snapshot, System,
    catalog::{broken, refusal_of},
    machine::CHECKPOINT,
    policies,
};
use strongroom_ledger::{Cosignature, CosignerKey, LogKey, SignedCheckpoint, TreeHead, tree};
use strongroom_proto::{
    convert,
    peer::{
        CosignRequest, CosignResponse, NewItemKeyRequest, NewItemKeyResponse, UnwrapSessionKeyRequest,
        UnwrapSessionKeyResponse, UnwrapUploadKeyRequest, UnwrapUploadKeyResponse,
        meta_service_client::MetaServiceClient,
    },
    status,
};
use strongroom_types::{
    CommandDigest, ItemId, NodeId, Reason, Refusal, SessionId, TreeHash, UploadEpoch,
    rows::{RowError, Rows, StoredRow, TableId, encode},
};
use tokio::{sync::watch, time::Instant};
use tonic::{Request, transport::Channel};
use tracing::{debug, warn};

use crate::{Applier, EntryPosition, Metastore, PeerChannels, ProposeError, RaftRole, ReadRows, StateView, network};

/// A command whose fate stays unknown is proposed again for this long.
const SUBMIT_DEADLINE: Duration = Duration::from_secs(30);
/// One call to another node.
const CALL_DEADLINE: Duration = Duration::from_secs(3);
/// The leader looks this often for records without a checkpoint, besides being told.
const CHECKPOINT_PACE: Duration = Duration::from_millis(200);

/// Checkpoints begin at least this far apart: each costs an entry and a synced cosignature of every voter, and covers
/// all that came before it. The first record after a pause is not held up.
const CHECKPOINT_GAP: Duration = Duration::from_millis(15);

/// The composed rules as the log's applier.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineApplier;

impl Applier for MachineApplier {
    fn apply(&self, rows: &mut dyn Rows, _: EntryPosition, commands: &[Bytes]) -> Result<Vec<Vec<u8>>, RowError> {
        commands.iter().map(|command| Machine.apply_bytes(rows, command)).collect()
    }

    fn admit(&self, from: NodeId, command: &Bytes) -> Result<(), String> {
        let envelope: Envelope = minicbor::decode(command).map_err(|error| format!("it is no command: {error}"))?;
        match envelope.actor {
            Actor::Node(node) if node != from => Err(format!("it is in the name of {node}")),
            Actor::Node(_) | Actor::Client(_) => Ok(()),
        }
    }
}

/// What a voter holds in memory.
pub struct VoterSecrets {
    /// Wraps item keys.
    pub kek: KeyEncryptionKey,
    /// Signs checkpoints; the same key on every voter.
    pub log: LogKey,
    /// Cosigns checkpoints; this voter's own.
    pub cosigner: CosignerKey,
}

/// The catalog of one node.
pub struct RaftCatalog {
    node: NodeId,
    metastore: Arc<Metastore>,
    system: System,
    secrets: Option<VoterSecrets>,
    channels: Arc<dyn PeerChannels>,
    /// Size of the newest published checkpoint that this node has applied.
    checkpoint: watch::Receiver<u64>,
}

impl RaftCatalog {
    /// The catalog over `metastore`; `secrets` on voters only.
    #[must_use]
    pub fn new(
        node: NodeId,
        metastore: Arc<Metastore>,
        system: System,
        secrets: Option<VoterSecrets>,
        channels: Arc<dyn PeerChannels>,
    ) -> Arc<Self> {
        let (sender, checkpoint) = watch::channel(0);
        tokio::spawn(follow_checkpoints(Arc::clone(&metastore), sender));
        Arc::new(Self { node, metastore, system, secrets, channels, checkpoint })
    }

    // --- What this node does for others ---

    /// Makes and wraps a key.
    ///
    /// # Errors
    /// `NO_LEADER` where this node is no voter.
    pub fn handle_new_item_key(&self, request: &NewItemKeyRequest) -> Result<NewItemKeyResponse, Refusal> {
        let (key, wrapped) = self.new_key_here(convert::fixed("item_id", &request.item_id)?)?;
        Ok(NewItemKeyResponse { key: Bytes::copy_from_slice(key.expose()), wrapped_key: encode(&wrapped).into() })
    }

    /// Unwraps the key of an open upload for the node that serves its newest stream.
    ///
    /// # Errors
    /// `UPLOAD_SUPERSEDED` where that is not `caller`; `NO_LEADER`.
    pub async fn handle_unwrap_upload_key(
        &self,
        caller: NodeId,
        request: &UnwrapUploadKeyRequest,
    ) -> Result<UnwrapUploadKeyResponse, Refusal> {
        let item = convert::fixed("item_id", &request.item_id)?;
        let key = self.upload_key_here(caller, item, UploadEpoch(request.upload_epoch)).await?;
        Ok(UnwrapUploadKeyResponse { key: Bytes::copy_from_slice(key.expose()) })
    }

    /// Unwraps a key for a committed session.
    ///
    /// # Errors
    /// What `custody::session::check_session` refuses; `NO_LEADER`.
    pub async fn handle_unwrap_session_key(
        &self,
        request: &UnwrapSessionKeyRequest,
    ) -> Result<UnwrapSessionKeyResponse, Refusal> {
        let session = convert::fixed("session_id", &request.session_id)?;
        let item = convert::fixed("item_id", &request.item_id)?;
        let key = self.session_key_here(session, item).await?;
        Ok(UnwrapSessionKeyResponse { key: Bytes::copy_from_slice(key.expose()) })
    }

    /// Cosigns a checkpoint that the log's key signed and that is of this voter's own tree.
    ///
    /// # Errors
    /// `CORRUPT` where it is not, `ROLLBACK_SUSPECTED` where this voter cosigned something else before, `NO_LEADER`
    /// where it is no voter or too far behind.
    pub async fn handle_cosign(&self, request: &CosignRequest) -> Result<CosignResponse, Refusal> {
        let signed = SignedCheckpoint::parse_canonical(&request.checkpoint)
            .map_err(|error| Refusal::invalid(error.to_string()))?;
        let cosignature = if request.probe { self.could_cosign(&signed).await? } else { self.cosign(&signed).await? };
        Ok(CosignResponse { signature_line: cosignature.to_string() })
    }

    /// Whether a node that does not vote yet holds what a voter holds: the log's key and the key-encryption key of this
    /// cluster, its own cosigner key, and the ledger as far as it is published.
    ///
    /// # Errors
    /// `WRONG_STATE`, with what is missing.
    pub async fn could_vote(&self, node: NodeId) -> Result<(), Refusal> {
        let cannot = |why: String| {
            Refusal::new(
                Reason::WrongState,
                "C3",
                format!("node {node} cannot vote yet: {why}"),
                "put the cluster's key-encryption-key and log key on it, name both in its configuration, restart it, and let it \
                 catch up",
            )
        };
        let (note, vkey) = {
            let view = self.metastore.view();
            let rows = view.rows();
            let note = CHECKPOINT.read(&*rows, &()).map_err(|error| broken(&error))?.map(|row| row.note.to_vec());
            (note, policies::cosigner_of(&*rows, node).map_err(|error| broken(&error))?)
        };
        let (Some(note), Some(vkey)) = (note, vkey) else {
            return Err(cannot("it is not registered, or no checkpoint is published".to_owned()));
        };
        let published = SignedCheckpoint::parse_canonical(&note).map_err(|error| broken(&error))?;
        let asked = published.by_log_alone();
        let cosignature = if node == self.node {
            self.could_cosign(&asked).await.map_err(|refusal| cannot(refusal.message))?
        } else {
            let members = self.metastore.members();
            let address = members.addresses.get(&node).ok_or_else(|| cannot("it is no member yet".to_owned()))?;
            let request = CosignRequest { checkpoint: asked.to_bytes().into(), probe: true };
            let answer = self.client(node, address)?.cosign(timed(request)).await;
            let answer = answer.map_err(|status| cannot(status::to_refusal(&status).message))?.into_inner();
            Cosignature::parse_canonical(&answer.signature_line).map_err(|error| cannot(error.to_string()))?
        };
        if vkey.verifies_cosignature(published.checkpoint(), &cosignature) {
            Ok(())
        } else {
            Err(cannot("it does not cosign with the key that it is registered with".to_owned()))
        }
    }

    /// As [`Self::cosign`], for a node that may come to vote: nothing is remembered, since it promises nothing by it.
    async fn could_cosign(&self, signed: &SignedCheckpoint) -> Result<Cosignature, Refusal> {
        let secrets = self.secrets()?;
        self.compare(signed).await?;
        let first = {
            let view = self.metastore.view();
            ITEM_KEYS.scan(&*view.rows(), &(), None, 1).map_err(|error| broken(&error))?
        };
        if let Some((key, wrapped)) = first.first() {
            let item = key.as_slice().try_into().map(ItemId::new).map_err(|_| not_ours_key())?;
            let wrapped: WrappedKey = minicbor::decode(wrapped).map_err(|error| broken(&error))?;
            wrap::unwrap(&secrets.kek, item, &wrapped).map_err(|_| not_ours_key())?;
        }
        secrets.cosigner.cosign(signed.checkpoint(), self.system.clock.wall()).map_err(|error| broken(&error))
    }

    async fn cosign(&self, signed: &SignedCheckpoint) -> Result<Cosignature, Refusal> {
        let secrets = self.secrets()?;
        let root = self.compare(signed).await?;
        let size = signed.checkpoint().head().size;
        self.metastore.record_cosigned(size, *root.as_bytes()).await.map_err(|error| {
            Refusal::new(Reason::RollbackSuspected, "C3", error.to_string(), "an operator must look at this voter")
        })?;
        secrets.cosigner.cosign(signed.checkpoint(), self.system.clock.wall()).map_err(|error| broken(&error))
    }

    /// Whether a checkpoint is signed by the log's key and of this node's own tree; the root that both have.
    async fn compare(&self, signed: &SignedCheckpoint) -> Result<TreeHash, Refusal> {
        let secrets = self.secrets()?;
        let head = signed.checkpoint().head();
        // The log's key is on every voter and its signatures are deterministic: the same bytes or not the log's.
        let expected = secrets.log.sign(head).map_err(|error| broken(&error))?;
        if expected.to_bytes() != signed.to_bytes() {
            return Err(not_ours(head, "it is not signed by the log's key alone"));
        }
        self.wait_for_tree(head.size).await?;
        let view = self.metastore.view();
        let root = tree::root(&*view.rows(), head.size).map_err(|error| broken(&error))?;
        if root != head.root {
            return Err(not_ours(head, "this voter's tree has another root at that size"));
        }
        Ok(root)
    }

    async fn wait_for_tree(&self, size: u64) -> Result<(), Refusal> {
        let mut applied = self.metastore.applied_watch();
        let deadline = Instant::now() + CALL_DEADLINE;
        loop {
            applied.borrow_and_update();
            let here = tree::size(&*self.metastore.view().rows()).map_err(|error| broken(&error))?;
            if here >= size {
                return Ok(());
            }
            if tokio::time::timeout_at(deadline, applied.changed()).await.is_err() {
                return Err(no_leader(format!("this voter has {here} records, the checkpoint {size}")));
            }
        }
    }

    // --- The leader's loop ---

    /// While this node leads, publishes a checkpoint as soon as there are records without one. Returns when `stop`
    /// becomes true.
    pub async fn publish_checkpoints(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut applied = self.metastore.applied_watch();
        while !*stop.borrow() {
            let next = Instant::now() + CHECKPOINT_GAP;
            applied.borrow_and_update();
            if self.leads()
                && let Err(refusal) = self.publish_one().await
            {
                debug!(error = %refusal, "no checkpoint was published");
                tokio::time::sleep(CHECKPOINT_PACE).await;
            }
            tokio::select! {
                _ = applied.changed() => {}
                () = tokio::time::sleep(CHECKPOINT_PACE) => {}
                _ = stop.changed() => {}
            }
            if self.leads() {
                tokio::time::sleep_until(next).await;
            }
        }
    }

    fn leads(&self) -> bool {
        self.secrets.is_some() && self.metastore.metrics().role == RaftRole::Leader
    }

    async fn publish_one(&self) -> Result<(), Refusal> {
        let secrets = self.secrets()?;
        let head = {
            let view = self.metastore.view();
            let rows = view.rows();
            let published = CHECKPOINT.read(&*rows, &()).map_err(|error| broken(&error))?.map_or(0, |row| row.size);
            let head = tree::head(&*rows).map_err(|error| broken(&error))?;
            if head.size <= published {
                return Ok(());
            }
            head
        };
        let mut signed = secrets.log.sign(head).map_err(|error| broken(&error))?;
        for cosignature in self.collect_cosignatures(&signed).await? {
            signed = signed.with_cosignature(cosignature).map_err(|error| broken(&error))?;
        }
        let command = Command::PublishCheckpoint(signed.to_bytes().into());
        self.submit(Actor::Node(self.node), command, None).await.map(|_| ())
    }

    /// The cosignatures of a majority of the voters that the policy names, or of as many as answer.
    async fn collect_cosignatures(&self, signed: &SignedCheckpoint) -> Result<Vec<Cosignature>, Refusal> {
        let members = self.metastore.members();
        let (voters, majority) = {
            let view = self.metastore.view();
            policies::cosigners(&*view.rows()).map_err(|error| broken(&error))?
        };
        let mut asked: FuturesUnordered<_> =
            voters.iter().map(|voter| self.ask_cosignature(*voter, &members.addresses, signed)).collect();
        let mut given = Vec::new();
        while given.len() < majority
            && let Some(answer) = asked.next().await
        {
            match answer {
                Ok(cosignature) => given.push(cosignature),
                Err(refusal) => debug!(error = %refusal, "a voter did not cosign"),
            }
        }
        Ok(given)
    }

    async fn ask_cosignature(
        &self,
        voter: NodeId,
        addresses: &BTreeMap<NodeId, String>,
        signed: &SignedCheckpoint,
    ) -> Result<Cosignature, Refusal> {
        if voter == self.node {
            return self.cosign(signed).await;
        }
        let address = addresses.get(&voter).ok_or_else(|| no_leader(format!("node {voter} has no address")))?;
        let request = CosignRequest { checkpoint: signed.to_bytes().into(), probe: false };
        let answer =
            self.client(voter, address)?.cosign(timed(request)).await.map_err(|status| status::to_refusal(&status))?;
        Cosignature::parse_canonical(&answer.into_inner().signature_line).map_err(|error| broken(&error))
    }

    // --- Keys ---

    fn secrets(&self) -> Result<&VoterSecrets, Refusal> {
        self.secrets.as_ref().ok_or_else(|| no_leader(format!("node {} is no voter: it holds no keys", self.node)))
    }

    /// The keys of a node that votes. One that only holds them ready, or has lost its vote, uses them for nobody's footage.
    fn keys(&self) -> Result<&VoterSecrets, Refusal> {
        if self.metastore.members().voters.contains(&self.node) {
            return self.secrets();
        }
        Err(no_leader(format!("node {} does not vote", self.node)))
    }

    fn new_key_here(&self, item: ItemId) -> Result<(ItemKey, WrappedKey), Refusal> {
        let key = ItemKey::generate(self.system.draw());
        let wrapped = wrap::wrap(&self.keys()?.kek, item, &key, self.system.draw());
        Ok((key, wrapped))
    }

    async fn upload_key_here(&self, stream: NodeId, item: ItemId, epoch: UploadEpoch) -> Result<ItemKey, Refusal> {
        self.keys()?;
        let rows = self.read().await?;
        upload::check_owner(&*rows, item, epoch, stream).map_err(refusal_of)?;
        self.unwrap(&*rows, item)
    }

    async fn session_key_here(&self, session: SessionId, item: ItemId) -> Result<ItemKey, Refusal> {
        self.keys()?;
        let rows = self.read().await?;
        session::check_session(&*rows, session, item).map_err(refusal_of)?;
        self.unwrap(&*rows, item)
    }

    fn unwrap(&self, rows: &dyn Rows, item: ItemId) -> Result<ItemKey, Refusal> {
        let bytes = ITEM_KEYS
            .read(rows, &item)
            .map_err(|error| broken(&error))?
            .ok_or_else(|| Refusal::not_found(format!("key of item {item}")))?;
        let wrapped: WrappedKey = minicbor::decode(&bytes).map_err(|error| broken(&error))?;
        wrap::unwrap(&self.keys()?.kek, item, &wrapped).map_err(|error| broken(&error))
    }

    // --- Calls to voters ---

    fn client(&self, node: NodeId, address: &str) -> Result<MetaServiceClient<Channel>, Refusal> {
        network::client(&*self.channels, node, address).map_err(|error| no_leader(error.to_string()))
    }

    /// The voters that can be asked for keys, the leader first.
    fn voters(&self) -> Vec<(NodeId, String)> {
        let metrics = self.metastore.metrics();
        let mut voters: Vec<_> = metrics
            .members
            .voters
            .iter()
            .filter(|voter| **voter != self.node)
            .filter_map(|voter| Some((*voter, metrics.members.addresses.get(voter)?.clone())))
            .collect();
        voters.sort_by_key(|(voter, _)| Some(*voter) != metrics.leader);
        voters
    }

    /// Asks voters in turn until one answers; a refusal by the rules is an answer.
    async fn ask_voters<T, F>(&self, mut ask: impl FnMut(MetaServiceClient<Channel>) -> F) -> Result<T, Refusal>
    where
        F: Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    {
        let mut last = no_leader("no voter is known".to_owned());
        for (voter, address) in self.voters() {
            match ask(self.client(voter, &address)?).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) if status::may_retry(&status) => last = status::to_refusal(&status),
                Err(status) => return Err(status::to_refusal(&status)),
            }
        }
        Err(last)
    }

    async fn propose(&self, envelope: Bytes, may_repeat: bool) -> Result<Bytes, Refusal> {
        let deadline = Instant::now() + SUBMIT_DEADLINE;
        loop {
            let error = match self.metastore.propose(envelope.clone()).await {
                Ok(committed) => return Ok(committed.outcome),
                Err(error) => error,
            };
            match &error {
                ProposeError::Unknown { .. } if may_repeat && Instant::now() < deadline => {
                    warn!(%error, "a command is proposed again under its idempotency key");
                }
                ProposeError::Unknown { .. } | ProposeError::NoLeader { .. } => {
                    return Err(no_leader(error.to_string()));
                }
                ProposeError::Overloaded => {
                    return Err(Refusal::new(Reason::Overloaded, "", error.to_string(), "try again in a moment"));
                }
                ProposeError::TooLarge { .. } => return Err(Refusal::invalid(error.to_string())),
                ProposeError::Stopped { .. } => return Err(broken(&error)),
            }
        }
    }
}

#[async_trait]
impl Catalog for RaftCatalog {
    async fn submit(
        &self,
        actor: Actor,
        command: Command,
        idempotency: Option<Idempotency>,
    ) -> Result<Answer, Refusal> {
        // A node's own command gets a key of its own, so that it may be proposed again; a tick may not, and need not.
        let once = matches!(command, Command::Tick(_) | Command::PublishCheckpoint(_));
        let idempotency = match (idempotency, &actor) {
            (Some(idempotency), _) => Some(idempotency),
            (None, Actor::Node(_) | Actor::Client(_)) if once => None,
            (None, Actor::Node(_) | Actor::Client(_)) => Some(self.own_key()),
        };
        let may_repeat = idempotency.is_some();
        let envelope =
            Envelope { command, actor, wall: self.system.clock.wall(), seed: self.system.draw(), idempotency };
        let outcome = self.propose(encode(&envelope).into(), may_repeat).await?;
        minicbor::decode::<Outcome>(&outcome).map_err(|error| broken(&error))?.into_result()
    }

    async fn read(&self) -> Result<Snapshot, Refusal> {
        match self.metastore.view_linearizable().await {
            Ok(view) => Ok(snapshot(view)),
            Err(error) => Err(no_leader(error.to_string())),
        }
    }

    fn read_here(&self) -> Result<Snapshot, Refusal> {
        Ok(snapshot(self.metastore.view()))
    }

    async fn new_item_key(&self, item: ItemId) -> Result<(ItemKey, WrappedKey), Refusal> {
        if self.keys().is_ok() {
            return self.new_key_here(item);
        }
        let request = NewItemKeyRequest { item_id: Bytes::copy_from_slice(item.as_bytes()) };
        let answer = self
            .ask_voters(|mut client| {
                let request = timed(request.clone());
                async move { client.new_item_key(request).await }
            })
            .await?;
        Ok((raw_key(&answer.key)?, minicbor::decode(&answer.wrapped_key).map_err(|error| broken(&error))?))
    }

    async fn upload_key(&self, item: ItemId, epoch: UploadEpoch) -> Result<ItemKey, Refusal> {
        if self.keys().is_ok() {
            return self.upload_key_here(self.node, item, epoch).await;
        }
        let request =
            UnwrapUploadKeyRequest { item_id: Bytes::copy_from_slice(item.as_bytes()), upload_epoch: epoch.0 };
        let answer = self
            .ask_voters(|mut client| {
                let request = timed(request.clone());
                async move { client.unwrap_upload_key(request).await }
            })
            .await?;
        raw_key(&answer.key)
    }

    async fn session_key(&self, session: SessionId, item: ItemId) -> Result<ItemKey, Refusal> {
        if self.keys().is_ok() {
            return self.session_key_here(session, item).await;
        }
        let request = UnwrapSessionKeyRequest {
            session_id: Bytes::copy_from_slice(session.as_bytes()),
            item_id: Bytes::copy_from_slice(item.as_bytes()),
        };
        let answer = self
            .ask_voters(|mut client| {
                let request = timed(request.clone());
                async move { client.unwrap_session_key(request).await }
            })
            .await?;
        raw_key(&answer.key)
    }

    async fn checkpoint_covers(&self, size: u64, wait_ms: u64) -> bool {
        let mut checkpoint = self.checkpoint.clone();
        let covered = checkpoint.wait_for(|published| *published >= size);
        matches!(tokio::time::timeout(Duration::from_millis(wait_ms), covered).await, Ok(Ok(_)))
    }
}

impl RaftCatalog {
    fn own_key(&self) -> Idempotency {
        let drawn: [u8; 16] = self.system.draw();
        let text: String = drawn.iter().map(|byte| format!("{byte:02x}")).collect();
        let key = text.parse().expect("hexadecimal digits are a name");
        Idempotency { key, request: CommandDigest::new([0; 32]), assent: None }
    }
}

self_cell! {
    /// A consistent look at the rows, with the database it looks at.
    struct HeldRows {
        owner: StateView,
        #[covariant]
        dependent: ReadRows,
    }
}

/// Only ever handed out as a [`Snapshot`], behind a shared reference: its writing methods cannot be reached.
struct SnapshotRows(HeldRows);

impl Rows for SnapshotRows {
    fn read(&self, table: TableId, key: &[u8]) -> Result<Option<Vec<u8>>, RowError> {
        self.0.borrow_dependent().read(table, key)
    }

    fn scan(
        &self,
        table: TableId,
        from: &[u8],
        to: std::ops::Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<StoredRow>, RowError> {
        self.0.borrow_dependent().scan(table, from, to, limit)
    }

    fn write(&mut self, _: TableId, _: &[u8], _: Vec<u8>) {
        unreachable!("a snapshot is never held mutably");
    }

    fn remove(&mut self, _: TableId, _: &[u8]) {
        unreachable!("a snapshot is never held mutably");
    }
}

fn snapshot(view: StateView) -> Snapshot {
    Snapshot::new(SnapshotRows(HeldRows::new(view, |view| view.rows())))
}

/// Tells waiters of each checkpoint that this node has applied.
async fn follow_checkpoints(metastore: Arc<Metastore>, sender: watch::Sender<u64>) {
    let mut applied = metastore.applied_watch();
    loop {
        applied.borrow_and_update();
        let size = {
            let view = metastore.view();
            CHECKPOINT.read(&*view.rows(), &()).ok().flatten().map_or(0, |row| row.size)
        };
        sender.send_if_modified(|published| std::mem::replace(published, size) != size);
        // Nobody follows any more: go, and with this the last handle on the database may go.
        tokio::select! {
            changed = applied.changed() => if changed.is_err() { return },
            () = sender.closed() => return,
        }
    }
}

fn raw_key(bytes: &[u8]) -> Result<ItemKey, Refusal> {
    <[u8; 32]>::try_from(bytes)
        .map(ItemKey::from_bytes)
        .map_err(|_| Refusal::new(Reason::Internal, "", "a voter sent a key of the wrong length", ""))
}

fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_DEADLINE);
    request
}

fn not_ours(head: TreeHead, why: &str) -> Refusal {
    Refusal::new(Reason::Corrupt, "C3", format!("the checkpoint of size {} is not cosigned: {why}", head.size), "")
}

fn not_ours_key() -> Refusal {
    Refusal::new(Reason::Corrupt, "C3", "its key-encryption key does not open the cluster's item keys", "")
}

fn no_leader(why: String) -> Refusal {
    Refusal::new(Reason::NoLeader, "", why, "try again: a leader is elected while a majority of the voters is up")
}

#[cfg(test)]
mod tests {
    use strongroom_types::KeyHash;

    use super::*;

    fn admit(from: u64, actor: Actor) -> Result<(), String> {
        let command = Command::PublishCheckpoint(Vec::new().into());
        let wall = strongroom_types::UnixMillis(0);
        let envelope = Envelope { command, actor, wall, seed: [0; 32], idempotency: None };
        MachineApplier.admit(NodeId(from), &encode(&envelope).into())
    }

    #[test]
    fn a_node_brings_its_own_commands_and_those_of_its_clients() {
        assert_eq!(admit(2, Actor::Node(NodeId(2))), Ok(()));
        assert_eq!(admit(2, Actor::Client(KeyHash::new([7; 32]))), Ok(()));
        let refused = admit(2, Actor::Node(NodeId(1))).expect_err("in another's name");
        assert!(refused.contains("n1"), "{refused}");
        assert!(MachineApplier.admit(NodeId(2), &Bytes::from_static(b"nonsense")).is_err());
    }
}

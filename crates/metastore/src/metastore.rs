//! One node's replica of the metadata: opening, proposing, reading, members, and the handlers of `MetaService`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures::Stream;
use openraft::{
    ChangeMembers, ServerState, Snapshot,
    error::{ChangeMembershipError, ClientWriteError, Fatal, InitializeError, RaftError},
    raft::{AppendEntriesRequest, ClientWriteResponse},
};
use strongroom_proto::{
    peer::{
        AppendRequest, AppendResponse, InstallSnapshotRequest, InstallSnapshotResponse, ProposeRequest,
        ProposeResponse, ReadIndexRequest, ReadIndexResponse, VoteRequest, VoteResponse,
    },
    status,
};
use strongroom_types::{ErrorKind, NodeId, Reason, Refusal, limits};
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};
use tonic::Status;

use crate::{
    applier::{Applier, Members},
    config::{FatalHook, MetastoreConfig},
    core::Core,
    durable::{self, FormatError},
    encoding::{
        self, AppendAnswerRow, AppendRow, EncodingError, OpaquesRow, SnapshotAnswerRow, VoteAnswerRow, VoteAskRow,
    },
    guard::{CosignError, Guard, GuardError},
    live::StateView,
    log_store::LogStore,
    network::{Network, PeerChannels},
    proposer::{Committed, ProposeError, Proposer},
    raft::{PeerNode, Raft, SnapshotData, TypeConfig, Vote},
    reader::{Ask, ReadError, Reader},
    reception::{Parts, ReceiveError},
    state_machine::StateMachine,
    store_error::{StoreError, blocking},
};

/// Why a node's metadata does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A folder of an unknown version.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The rollback guard forbids it.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// A database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration makes no sense.
    #[error("could not use the Raft configuration: {0}")]
    Config(String),
    /// Raft did not start.
    #[error("could not start raft: {0}")]
    Raft(String),
}

/// Why the members did not change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Only the leader changes members.
    #[error("this node does not lead; {}", leader.map_or_else(|| "nobody does".to_owned(), |leader| format!("{leader} does")))]
    NotLeader {
        /// Who does, as far as is known.
        leader: Option<NodeId>,
    },
    /// Another change is under way.
    #[error("another change of members is under way")]
    InProgress,
    /// The cluster has members already.
    #[error("this node belongs to a cluster already")]
    AlreadyInitialized,
    /// The change makes no sense.
    #[error("could not change the members: {0}")]
    Refused(String),
    /// The change may or may not come about; look at the members.
    #[error("the fate of the change is unknown: {0}")]
    Unknown(String),
}

impl ChangeError {
    /// What the caller should do.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotLeader { .. } | Self::InProgress | Self::Unknown(_) => ErrorKind::TryAgain,
            Self::AlreadyInitialized | Self::Refused(_) => ErrorKind::FixYourRequest,
        }
    }
}

/// Why a peer's call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// The payload does not decode.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// More than a batch may hold.
    #[error("a batch of {commands} commands and {bytes} bytes is too large")]
    BatchTooLarge {
        /// How many commands.
        commands: usize,
        /// How many bytes.
        bytes: usize,
    },
    /// The batch holds what its sender may not propose, or nobody could apply.
    #[error("a command from {from} is not taken: {why}")]
    NotAdmitted {
        /// Who sent it.
        from: NodeId,
        /// What is wrong.
        why: String,
    },
    /// A node speaks in another's name.
    #[error("{from} is not {claimed}, in whose name it asks")]
    NotTheSender {
        /// Who called.
        from: NodeId,
        /// Whose vote the call carries.
        claimed: NodeId,
    },
    /// Nobody took the batch, or its fate is unknown.
    #[error(transparent)]
    Propose(#[from] ProposeError),
    /// No read index.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The snapshot was not taken.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    /// A snapshot is being received already.
    #[error("another snapshot is being received")]
    Receiving,
    /// This node's Raft has stopped.
    #[error("raft has stopped: {0}")]
    Stopped(String),
}

impl From<HandleError> for Status {
    /// `NO_LEADER` with details promises the caller that nothing was proposed; a bare status promises nothing.
    fn from(error: HandleError) -> Self {
        let message = error.to_string();
        match error {
            HandleError::Propose(
                ProposeError::NoLeader { .. } | ProposeError::Stopped { .. } | ProposeError::Overloaded,
            )
            | HandleError::Read(_) => status::from_refusal(&Refusal::new(Reason::NoLeader, "", message, "")),
            HandleError::Propose(ProposeError::Unknown { .. }) => Self::unknown(message),
            HandleError::Encoding(_)
            | HandleError::BatchTooLarge { .. }
            | HandleError::NotAdmitted { .. }
            | HandleError::Propose(ProposeError::TooLarge { .. }) => Self::invalid_argument(message),
            HandleError::NotTheSender { .. } => Self::permission_denied(message),
            HandleError::Receive(_) => Self::data_loss(message),
            HandleError::Receiving | HandleError::Stopped(_) => Self::unavailable(message),
        }
    }
}

/// What this node is in the Raft group at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaftRole {
    /// Has no vote.
    Learner,
    /// Votes and follows.
    Follower,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
    /// Has stopped.
    Stopped,
}

/// A look at Raft, for status pages and plans. Never for decisions that must be linearizable.
#[derive(Clone, Debug)]
pub struct MetastoreMetrics {
    /// Who leads, as far as this node knows.
    pub leader: Option<NodeId>,
    /// The term.
    pub term: u64,
    /// What this node is.
    pub role: RaftRole,
    /// Last entry in this node's log.
    pub last_log_index: u64,
    /// Last entry in this node's state.
    pub last_applied: u64,
    /// Last entry in the newest snapshot.
    pub snapshot_index: u64,
    /// Last entry that was purged from the log.
    pub purged_index: u64,
    /// The members; for a change under way, as they will be once it is committed.
    pub members: Members,
    /// On the leader: milliseconds since a majority last confirmed it.
    pub quorum_age_ms: Option<u64>,
    /// On the leader: last entry that each other member has.
    pub replicated: BTreeMap<NodeId, u64>,
}

/// Proof that this node holds nothing any more of what was removed up to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// The entry.
    pub through: u64,
}

/// Why a node could not forget yet.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// The state, the snapshot or the purge did not get there in time.
    #[error("{what} did not reach entry {through} in time")]
    TooSlow {
        /// What lags.
        what: &'static str,
        /// The entry.
        through: u64,
    },
    /// An older snapshot is still being sent to another node.
    #[error("an older snapshot is still being read")]
    SnapshotInUse,
    /// A snapshot from the leader came in between; its files are another node's.
    #[error("the state was replaced by a snapshot meanwhile")]
    Replaced,
    /// A database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This node's Raft has stopped.
    #[error("raft has stopped: {0}")]
    Stopped(String),
}

/// One node's replica. Cheap to clone; the last clone dropped stops it.
#[derive(Clone)]
pub struct Metastore {
    inner: Arc<Inner>,
}

struct Inner {
    core: Arc<Core>,
    proposer: Proposer,
    reader: Reader,
    /// Questions of other nodes share rounds too: each round costs a call to every voter.
    reader_for_peers: Reader,
    /// One snapshot is received at a time.
    receiving: tokio::sync::Mutex<()>,
    runtime: tokio::runtime::Handle,
}

impl Drop for Inner {
    /// openraft does not stop by being dropped.
    fn drop(&mut self) {
        if !self.core.stopping.swap(true, Ordering::AcqRel) {
            let raft = self.core.raft.clone();
            self.runtime.spawn(async move { raft.shutdown().await });
        }
    }
}

impl Metastore {
    /// Opens or creates this node's metadata and starts Raft. A new node waits to be taken in by a leader, unless
    /// [`Metastore::initialize`] makes it the first.
    ///
    /// # Errors
    /// [`OpenError`]; above all, where the rollback guard finds the databases behind what this node has promised.
    pub async fn open(
        config: MetastoreConfig,
        applier: Arc<dyn Applier>,
        channels: Arc<dyn PeerChannels>,
    ) -> Result<Self, OpenError> {
        let raft_config = Arc::new(config.raft().map_err(OpenError::Config)?);
        let folders = Folders::new(&config);
        let node = config.node;
        let opened = tokio::task::spawn_blocking(move || folders.open(node, applier)).await;
        let (guard, state, log) = opened.map_err(|error| StoreError::TaskDied(error.to_string()))??;
        let network = Network::new(node, Arc::clone(&channels));
        let raft = Raft::new(node.0, raft_config, network, log.clone(), state.clone()).await;
        let raft = raft.map_err(|fatal| OpenError::Raft(fatal.to_string()))?;
        let core = Arc::new(Core {
            node,
            raft,
            state,
            log,
            guard,
            channels,
            propose_timeout: config.propose_timeout,
            leader_patience: config.leader_patience,
            lease: config.timing.election_max,
            stopping: false.into(),
        });
        tokio::spawn(watch_raft(Arc::clone(&core), config.on_fatal));
        let inner = Inner {
            proposer: Proposer::start(Arc::clone(&core)),
            reader: Reader::start(Arc::clone(&core), Ask::Leader),
            reader_for_peers: Reader::start(Arc::clone(&core), Ask::Here),
            core,
            receiving: tokio::sync::Mutex::default(),
            runtime: tokio::runtime::Handle::current(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Stops Raft and waits until it has. What was acknowledged is on disk either way.
    pub async fn shutdown(&self) {
        self.core().stopping.store(true, Ordering::Release);
        if let Err(error) = self.core().raft.shutdown().await {
            tracing::warn!(%error, "raft ended badly");
        }
    }

    /// This node.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.core().node
    }

    // --- Members ---

    /// Makes this node, with other empty ones, the first voters of a new cluster. Called on one of them, once.
    ///
    /// # Errors
    /// [`ChangeError::AlreadyInitialized`] where this node has seen a cluster.
    pub async fn initialize(&self, voters: BTreeMap<NodeId, String>) -> Result<(), ChangeError> {
        let voters = voters.into_iter().map(|(node, address)| (node.0, PeerNode { address }));
        match self.core().raft.initialize(voters.collect::<BTreeMap<_, _>>()).await {
            Ok(()) => Ok(()),
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Err(ChangeError::AlreadyInitialized),
            Err(RaftError::APIError(InitializeError::NotInMembers(error))) => {
                Err(ChangeError::Refused(error.to_string()))
            }
            Err(RaftError::Fatal(fatal)) => Err(ChangeError::Unknown(fatal.to_string())),
        }
    }

    /// Whether this node has ever seen a cluster. Raft itself is asked: its metrics say nothing yet right after a start.
    ///
    /// # Errors
    /// [`ChangeError::Unknown`] where Raft has stopped.
    pub async fn is_initialized(&self) -> Result<bool, ChangeError> {
        self.core().raft.is_initialized().await.map_err(|fatal| ChangeError::Unknown(fatal.to_string()))
    }

    /// Takes a node in without a vote. It catches up by log or snapshot; a known node keeps its address.
    ///
    /// # Errors
    /// [`ChangeError`]; only the leader does this.
    pub async fn add_learner(&self, node: NodeId, address: &str) -> Result<u64, ChangeError> {
        let peer = PeerNode { address: address.to_owned() };
        self.change(ChangeMembers::AddNodes(BTreeMap::from([(node.0, peer)]))).await
    }

    /// Gives a member its new address.
    ///
    /// # Errors
    /// [`ChangeError`]; only the leader does this.
    pub async fn move_member(&self, node: NodeId, address: &str) -> Result<u64, ChangeError> {
        let members = self.metrics().members;
        if !members.addresses.contains_key(&node) {
            return Err(ChangeError::Refused(format!("{node} is no member")));
        }
        let peer = PeerNode { address: address.to_owned() };
        self.change(ChangeMembers::SetNodes(BTreeMap::from([(node.0, peer)]))).await
    }

    /// Replaces the set of voters by members that are learners or voters now; those who lose their vote go on as
    /// learners. Two entries, the first of which needs majorities of both sets.
    ///
    /// openraft 0.9 lets a leader without a vote go on leading. Ours must not: keys are in voters' memory alone. So
    /// it takes no more commands and falls silent, and the voters elect one of theirs within an election timeout.
    ///
    /// # Errors
    /// [`ChangeError`]; only the leader does this.
    pub async fn change_voters(&self, voters: BTreeSet<NodeId>) -> Result<u64, ChangeError> {
        if voters.is_empty() {
            return Err(ChangeError::Refused("there must be voters".to_owned()));
        }
        self.change(ChangeMembers::ReplaceAllVoters(voters.into_iter().map(|node| node.0).collect())).await
    }

    /// Removes a learner. Its id is never used again.
    ///
    /// # Errors
    /// [`ChangeError`]; only the leader does this, and a voter must lose its vote first.
    pub async fn remove_learner(&self, node: NodeId) -> Result<u64, ChangeError> {
        self.change(ChangeMembers::RemoveNodes(BTreeSet::from([node.0]))).await
    }

    async fn change(&self, change: ChangeMembers<u64, PeerNode>) -> Result<u64, ChangeError> {
        let changed = timeout(self.core().propose_timeout, self.core().raft.change_membership(change, true)).await;
        let changed = changed.map_err(|_| ChangeError::Unknown("it was not committed in time".to_owned()))?;
        let changed = changed.map(|ClientWriteResponse { log_id, .. }| log_id).map_err(|error| match error {
            RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
                ChangeError::NotLeader { leader: forward.leader_id.map(NodeId) }
            }
            RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => match error {
                ChangeMembershipError::InProgress(_) => ChangeError::InProgress,
                ChangeMembershipError::EmptyMembership(_) | ChangeMembershipError::LearnerNotFound(_) => {
                    ChangeError::Refused(error.to_string())
                }
            },
            RaftError::Fatal(fatal) => ChangeError::Unknown(fatal.to_string()),
        })?;
        // Raft answers before it publishes what changed; whoever asks next must find it.
        let mut metrics = self.core().raft.metrics();
        let published = metrics.wait_for(|metrics| *metrics.membership_config.log_id() >= Some(changed));
        match timeout(self.core().propose_timeout, published).await {
            Ok(Ok(_)) => Ok(changed.index),
            Ok(Err(_)) | Err(_) => Err(ChangeError::Unknown("it was committed, and the node stops".to_owned())),
        }
    }

    // --- Proposing ---

    /// Proposes a command, here or through the leader, and waits until it is applied by the node that took it.
    ///
    /// # Errors
    /// [`ProposeError`]; after [`ProposeError::Unknown`] ask again under the same idempotency key.
    pub async fn propose(&self, command: impl Into<Bytes>) -> Result<Committed, ProposeError> {
        self.inner.proposer.propose(command.into()).await
    }

    // --- Reading ---

    /// The entry that a linearizable read which begins now must have seen.
    ///
    /// # Errors
    /// [`ReadError`] where no leader confirms itself in time.
    pub async fn read_index(&self) -> Result<u64, ReadError> {
        self.inner.reader.read_index().await
    }

    /// Waits until this node's state has seen entry `index`.
    ///
    /// # Errors
    /// [`ReadError::Behind`] if that takes longer than `within`.
    pub async fn wait_applied(&self, index: u64, within: Duration) -> Result<(), ReadError> {
        let mut applied = self.applied_watch();
        let reached = timeout(within, applied.wait_for(|applied| *applied >= index)).await;
        match reached {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(ReadError::Stopped { detail: "the state is closed".to_owned() }),
            Err(_) => Err(ReadError::Behind { applied: *self.applied_watch().borrow(), wanted: index }),
        }
    }

    /// The state as this node has it, which may lag. Take [`StateView::rows`] for a consistent look.
    #[must_use]
    pub fn view(&self) -> StateView {
        self.core().state.view()
    }

    /// The state with everything that was acknowledged to anybody before this call.
    ///
    /// # Errors
    /// [`ReadError`] where no leader confirms itself, or this node does not catch up in time.
    pub async fn view_linearizable(&self) -> Result<StateView, ReadError> {
        let index = self.read_index().await?;
        self.wait_applied(index, self.core().propose_timeout).await?;
        Ok(self.view())
    }

    /// Index of the last applied entry, as it grows.
    #[must_use]
    pub fn applied_watch(&self) -> watch::Receiver<u64> {
        self.core().state.applied_index()
    }

    // --- State of the replica ---

    /// A look at Raft.
    #[must_use]
    pub fn metrics(&self) -> MetastoreMetrics {
        let metrics = self.core().raft.metrics();
        let metrics = metrics.borrow();
        let index = |id: &Option<openraft::LogId<u64>>| id.map_or(0, |id| id.index);
        MetastoreMetrics {
            leader: metrics.current_leader.map(NodeId),
            term: metrics.current_term,
            role: match metrics.state {
                ServerState::Learner => RaftRole::Learner,
                ServerState::Follower => RaftRole::Follower,
                ServerState::Candidate => RaftRole::Candidate,
                ServerState::Leader => RaftRole::Leader,
                ServerState::Shutdown => RaftRole::Stopped,
            },
            last_log_index: metrics.last_log_index.unwrap_or(0),
            last_applied: index(&metrics.last_applied),
            snapshot_index: index(&metrics.snapshot),
            purged_index: index(&metrics.purged),
            members: Members::from(metrics.membership_config.membership()),
            quorum_age_ms: metrics.millis_since_quorum_ack,
            replicated: metrics.replication.iter().flatten().map(|(node, id)| (NodeId(*node), index(id))).collect(),
        }
    }

    /// The members as of the last applied entry: what the rules may rely on.
    #[must_use]
    pub fn members(&self) -> Members {
        self.core().state.members()
    }

    /// The last applied entry, and the digest of all rows after it.
    #[must_use]
    pub fn state_digest(&self) -> (u64, [u8; 64]) {
        self.core().state.digest()
    }

    /// The digest of all rows after entry `index`, if that was lately.
    #[must_use]
    pub fn digest_at(&self, index: u64) -> Option<[u8; 64]> {
        self.core().state.digest_at(index)
    }

    /// Reads all rows and computes their digest anew, with the entry after which they stand so. Differs from the
    /// digest that is kept only if the database is damaged.
    ///
    /// # Errors
    /// [`StoreError`] where the database fails.
    pub async fn recompute_digest(&self) -> Result<(u64, [u8; 64]), StoreError> {
        let view = self.view();
        blocking(move || view.live.recompute_digest().map(|(index, digest)| (index, digest.to_bytes()))).await
    }

    /// Remembers outside the databases what is about to be cosigned. Call it before the cosignature leaves.
    ///
    /// # Errors
    /// [`CosignError`]: then nothing may be signed.
    pub async fn record_cosigned(&self, size: u64, root: [u8; 32]) -> Result<(), CosignError> {
        let core = Arc::clone(self.core());
        let recorded =
            tokio::task::spawn_blocking(move || core.guard.record_cosigned(size, root, core.state.last_applied()));
        recorded.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// The checkpoint that this node cosigned last.
    #[must_use]
    pub fn last_cosigned(&self) -> Option<(u64, [u8; 32])> {
        self.core().guard.cosigned()
    }

    /// Writes a snapshot now.
    ///
    /// # Errors
    /// [`ForgetError`] where none is written in time.
    pub async fn snapshot_now(&self, within: Duration) -> Result<(), ForgetError> {
        self.new_snapshot(Instant::now() + within).await
    }

    /// Makes this node forget what the state no longer holds after entry `through` – wrapped keys above all: the
    /// column of keys is compacted to its bottom level, a snapshot is written after that, older ones are deleted,
    /// and the log is purged and compacted. Run it on each metadata replica before a disposal is certified.
    ///
    /// # Errors
    /// [`ForgetError`]; it may be asked again.
    pub async fn forget_through(&self, through: u64, within: Duration) -> Result<Forgotten, ForgetError> {
        let deadline = Instant::now() + within;
        let behind = |_| ForgetError::TooSlow { what: "the state", through };
        self.wait_applied(through, within).await.map_err(behind)?;
        let compacted = self.view();
        let view = compacted.clone();
        blocking(move || view.live.compact_keys()).await?;
        self.new_snapshot(deadline).await?;
        self.purge_log(through, deadline).await?;
        let core = self.core();
        let shared = Arc::clone(core);
        blocking(move || shared.log.compact()).await?;
        if !Arc::ptr_eq(&compacted.live, &self.view().live) {
            return Err(ForgetError::Replaced);
        }
        let in_use = core.state.snapshots().has_older().map_err(StoreError::from)?;
        if in_use { Err(ForgetError::SnapshotInUse) } else { Ok(Forgotten { through }) }
    }

    async fn new_snapshot(&self, deadline: Instant) -> Result<(), ForgetError> {
        let core = self.core();
        let snapshots = core.state.snapshots();
        let through = *self.applied_watch().borrow();
        // Numbers are taken when a build begins: one that is under way now has a smaller one and does not count.
        let first = snapshots.next_number();
        while !snapshots.newest().is_some_and(|newest| newest.was_built_here() && newest.number() >= first) {
            if Instant::now() >= deadline {
                return Err(ForgetError::TooSlow { what: "the snapshot", through });
            }
            // A build that was under way may end without a trigger of ours being heard, so it is repeated.
            core.raft.trigger().snapshot().await.map_err(|fatal| ForgetError::Stopped(fatal.to_string()))?;
            let mut metrics = core.raft.data_metrics();
            metrics.borrow_and_update();
            let until = deadline.min(Instant::now() + Duration::from_millis(50));
            // Either way it is time to look again.
            let _ = timeout_at(until, metrics.changed()).await;
        }
        Ok(())
    }

    async fn purge_log(&self, through: u64, deadline: Instant) -> Result<(), ForgetError> {
        let core = self.core();
        let mut metrics = core.raft.data_metrics();
        while metrics.borrow_and_update().purged.is_none_or(|id| id.index < through) {
            if Instant::now() >= deadline {
                return Err(ForgetError::TooSlow { what: "the purge of the log", through });
            }
            // Raft purges no further than the snapshot that it knows of, and it may learn of the new one only after we
            // do. What it was asked before that is lost, so it is asked again.
            core.raft.trigger().purge_log(through).await.map_err(|fatal| ForgetError::Stopped(fatal.to_string()))?;
            let until = deadline.min(Instant::now() + Duration::from_millis(50));
            let _ = timeout_at(until, metrics.changed()).await;
        }
        Ok(())
    }

    // --- Handlers of MetaService, called by the node's gRPC service ---

    /// `Append`.
    ///
    /// # Errors
    /// [`HandleError`], which turns into a status.
    pub async fn handle_append(&self, from: NodeId, request: AppendRequest) -> Result<AppendResponse, HandleError> {
        let row = encoding::from_bytes::<AppendRow>("an append", &request.request_cbor)?;
        let request = AppendEntriesRequest::from(row);
        speaks_for_itself(from, &request.vote)?;
        let answer = self.core().raft.append_entries(request).await.map_err(has_stopped)?;
        Ok(AppendResponse { response_cbor: encoding::to_bytes(&AppendAnswerRow::from(answer)).into() })
    }

    /// `Vote`.
    ///
    /// # Errors
    /// [`HandleError`], which turns into a status.
    pub async fn handle_vote(&self, from: NodeId, request: VoteRequest) -> Result<VoteResponse, HandleError> {
        let row = encoding::from_bytes::<VoteAskRow>("a vote", &request.request_cbor)?;
        let request = openraft::raft::VoteRequest::from(row);
        speaks_for_itself(from, &request.vote)?;
        let answer = self.core().raft.vote(request).await.map_err(has_stopped)?;
        Ok(VoteResponse { response_cbor: encoding::to_bytes(&VoteAnswerRow::from(answer)).into() })
    }

    /// `InstallSnapshot`: receives, checks, makes durable, and only then lets Raft know.
    ///
    /// # Errors
    /// [`HandleError`], which turns into a status.
    pub async fn handle_install_snapshot<S>(
        &self,
        from: NodeId,
        parts: S,
    ) -> Result<InstallSnapshotResponse, HandleError>
    where
        S: Stream<Item = Result<InstallSnapshotRequest, Status>> + Send + Unpin,
    {
        let _one_at_a_time = self.inner.receiving.try_lock().map_err(|_| HandleError::Receiving)?;
        let core = self.core();
        let mut parts = Parts::new(parts);
        let (vote, header) = parts.header().await?;
        speaks_for_itself(from, &vote)?;
        let own_vote = core.raft.server_metrics().borrow().vote;
        if vote < own_vote {
            return Ok(snapshot_answer(own_vote));
        }
        let reception = parts.files(core.state.snapshots(), &header).await?;
        let shared = Arc::clone(core);
        let folder = blocking(move || shared.state.snapshots().adopt(reception)).await.map_err(ReceiveError::from)?;
        let snapshot = Snapshot::<TypeConfig> {
            meta: folder.manifest().meta(),
            snapshot: Box::new(SnapshotData { folder: Some(folder) }),
        };
        let answer = core.raft.install_full_snapshot(vote, snapshot).await;
        answer.map(|answer| snapshot_answer(answer.vote)).map_err(|fatal| HandleError::Stopped(fatal.to_string()))
    }

    /// `Propose`: takes the batch if this node leads, and never sends it on.
    ///
    /// # Errors
    /// [`HandleError`], which turns into a status.
    pub async fn handle_propose(&self, from: NodeId, request: ProposeRequest) -> Result<ProposeResponse, HandleError> {
        let commands = encoding::from_bytes::<OpaquesRow>("a batch", &request.batch_cbor)?.items;
        let bytes = commands.iter().map(|command| command.0.len()).sum::<usize>();
        if commands.len() > limits::BATCH_COMMANDS_MAX || bytes > limits::BATCH_BYTES_MAX {
            return Err(HandleError::BatchTooLarge { commands: commands.len(), bytes });
        }
        for command in &commands {
            let admitted = self.core().state.admit(from, &command.0);
            admitted.map_err(|why| HandleError::NotAdmitted { from, why })?;
        }
        let done = self.inner.proposer.place_here(commands).await?;
        let outcomes_cbor = encoding::to_bytes(&OpaquesRow { items: done.outcomes }).into();
        Ok(ProposeResponse { outcomes_cbor, log_index: done.log_index })
    }

    /// `ReadIndex`: answers if this node leads, and never asks on.
    ///
    /// # Errors
    /// [`HandleError`], which turns into a status.
    pub async fn handle_read_index(&self, _: ReadIndexRequest) -> Result<ReadIndexResponse, HandleError> {
        let log_index = self.inner.reader_for_peers.read_index().await?;
        Ok(ReadIndexResponse { log_index })
    }

    fn core(&self) -> &Arc<Core> {
        &self.inner.core
    }
}

/// Raft believes what the vote in a call says about its leader or candidate: it has to be the caller.
fn speaks_for_itself(from: NodeId, vote: &Vote) -> Result<(), HandleError> {
    let claimed = NodeId(vote.leader_id.node_id);
    if from == claimed { Ok(()) } else { Err(HandleError::NotTheSender { from, claimed }) }
}

/// Where things are.
struct Folders {
    log: PathBuf,
    state: PathBuf,
    snapshots: PathBuf,
    guard: PathBuf,
}

impl Folders {
    fn new(config: &MetastoreConfig) -> Self {
        Self {
            log: config.dir.join("raft-log"),
            state: config.dir.join("state"),
            snapshots: config.dir.join("snapshots"),
            guard: config.guard_file.clone(),
        }
    }

    /// Versions first, then the guard, then the databases, then the guard's verdict.
    fn open(&self, node: NodeId, applier: Arc<dyn Applier>) -> Result<(Arc<Guard>, StateMachine, LogStore), OpenError> {
        durable::claim_folder(&self.log, "raft-log")?;
        durable::claim_folder(&self.state, "state")?;
        durable::claim_folder(&self.snapshots, "snapshots")?;
        let empty = !self.log.join("db").exists() && !self.state.join("CURRENT").exists();
        let guard = Arc::new(Guard::open(&self.guard, node, empty)?);
        let state = StateMachine::open(&self.state, &self.snapshots, applier)?;
        let log = LogStore::open(&self.log, node, Arc::clone(&guard), Some(state.snapshots().durable()))?;
        // A snapshot may have been installed just before the log was purged to it: its entries count as logged.
        let last = log.last().max(state.last_applied());
        guard.check(log.vote()?, last)?;
        if let Some(installed) = state.catch_up_with_snapshot(log.purged())? {
            log.cut_conflict(installed)?;
        }
        Ok((guard, state, log))
    }
}

/// Calls the hook when Raft ends by anything but a shutdown, and silences a leader that has lost its vote.
async fn watch_raft(core: Arc<Core>, on_fatal: FatalHook) {
    let mut metrics = core.raft.metrics();
    let mut silent = false;
    let reason = loop {
        {
            let metrics = metrics.borrow_and_update();
            match &metrics.running_state {
                Err(Fatal::Stopped) => return,
                Err(fatal) => break fatal.to_string(),
                Ok(()) => {}
            }
            let membership = &metrics.membership_config;
            let voteless = metrics.state == ServerState::Leader
                && *membership.log_id() <= metrics.last_applied
                && membership.voter_ids().all(|voter| voter != core.node.0);
            if voteless != silent {
                silent = voteless;
                core.raft.runtime_config().heartbeat(!silent);
                tracing::info!(silent, "leading without a vote");
            }
        }
        if metrics.changed().await.is_err() {
            break "raft ended without a word".to_owned();
        }
    };
    if !core.is_stopping() {
        on_fatal(&reason);
    }
}

fn has_stopped<E: std::error::Error>(error: E) -> HandleError {
    HandleError::Stopped(error.to_string())
}

fn snapshot_answer(vote: crate::raft::Vote) -> InstallSnapshotResponse {
    InstallSnapshotResponse { response_cbor: encoding::to_bytes(&SnapshotAnswerRow { vote: vote.into() }).into() }
}

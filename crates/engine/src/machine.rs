//! The replicated state machine: custody, topology and ledger composed, applied alike on every replica.
//!
//! A command is applied whole or refused whole. What it records goes into the ledger's tree in the same step, so
//! that nothing is done without its record and nothing is recorded that was not done.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::bytes::ByteVec;
use strongroom_custody::{
    Act, Actor, Context, Fact, Record, Stamp, Value,
    access::{self, Stop},
    assent::{self, Signature, Signed},
    clock,
    disposal::{DiskOfNode, ExecuteDisposal},
    draw::{self, CommitDraw, RecordDraw},
    erasure::{self, AttestKeys, NoteErasure},
    removal::ExecuteRemoval,
    tables,
    tables::{CLUSTER, ManifestRun, ManifestStep},
    upload,
    voters::{self, ApproveVoter, ProposeVoter, VotersNow},
};
use strongroom_ledger::{
    Policy, TreeHead, VerifierKey,
    tree::{self, AppendError, TreeError},
};
use strongroom_topology::{self as topology, NodeRow, NodeState, ShardFault};
use strongroom_types::{
    ClusterId, CommandDigest, DiskId, IdempotencyKey, KeyHash, NodeId, Reason, RecordSeq, Refusal, UnixMillis, limits,
    rows::{Overlay, RowError, Rows, Table},
};

use crate::{
    policies::{self, POLICY_CHANGES, PolicyChangeRow},
    readings, removal,
};

/// Outcomes by caller and idempotency key.
const OUTCOMES: Table<(KeyHash, IdempotencyKey), OutcomeRow> = Table::new(170, "outcomes");
/// The same by the compliance time at which they are forgotten.
const OUTCOMES_BY_END: Table<(UnixMillis, (KeyHash, IdempotencyKey)), ()> = Table::new(171, "outcomes_by_end");
/// The newest cosigned checkpoint.
pub const CHECKPOINT: Table<(), CheckpointRow> = Table::new(172, "checkpoint");
/// Outcomes that one tick forgets at most.
const FORGET_PER_TICK: usize = 500;

/// A command with what its proposer brings: who asks, when, and randomness. Stored in log entries.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Envelope {
    /// What is asked.
    #[n(0)]
    pub command: Command,
    /// Who asks.
    #[n(1)]
    pub actor: Actor,
    /// Wall clock of the proposing node.
    #[n(2)]
    pub wall: UnixMillis,
    /// Seed of the records' salts; not kept.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub seed: [u8; 32],
    /// Makes a repeated proposal the same proposal.
    #[n(4)]
    pub idempotency: Option<Idempotency>,
}

/// An idempotency key, bound to what it was first used for.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Idempotency {
    /// Chosen by the caller.
    #[n(0)]
    pub key: IdempotencyKey,
    /// Digest of the request as the caller made it.
    #[n(1)]
    pub request: CommandDigest,
    /// The caller's signature over what they decide, where they decide something (ADR 0020).
    #[n(2)]
    pub assent: Option<Signature>,
}

/// Everything that can be asked of the state.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Command {
    /// Of custody.
    #[n(0)]
    Custody(#[n(0)] strongroom_custody::Command),
    /// Of the topology; only nodes of the cluster ask.
    #[n(1)]
    Topology(#[n(0)] topology::Command),
    /// Publishes a cosigned checkpoint.
    #[n(2)]
    PublishCheckpoint(#[n(0)] ByteVec),
    /// Ticks the compliance clock with readings that voters signed.
    #[n(3)]
    Tick(#[n(0)] Vec<ByteVec>),
}

impl From<strongroom_custody::Command> for Command {
    fn from(command: strongroom_custody::Command) -> Self {
        Self::Custody(command)
    }
}

impl From<topology::Command> for Command {
    fn from(command: topology::Command) -> Self {
        Self::Topology(command)
    }
}

/// What a command is answered.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Answer {
    /// By custody.
    #[n(0)]
    Custody(#[n(0)] strongroom_custody::Answer),
    /// By the topology.
    #[n(1)]
    Topology(#[n(0)] topology::Answer),
    /// Size of the newest published checkpoint.
    #[n(2)]
    Checkpoint(#[n(0)] u64),
}

/// Answer or refusal, as it is stored and sent.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Outcome {
    /// Granted.
    #[n(0)]
    Done(#[n(0)] Answer),
    /// Refused.
    #[n(1)]
    Refused(#[n(0)] Refusal),
}

impl Outcome {
    /// As a result.
    ///
    /// # Errors
    /// The refusal, where it was refused.
    pub fn into_result(self) -> Result<Answer, Refusal> {
        match self {
            Self::Done(answer) => Ok(answer),
            Self::Refused(refusal) => Err(refusal),
        }
    }
}

/// A remembered outcome.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
struct OutcomeRow {
    #[n(0)]
    request: CommandDigest,
    #[n(1)]
    answer: Answer,
}

/// The newest cosigned checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct CheckpointRow {
    /// Records that it covers.
    #[n(0)]
    pub size: u64,
    /// The signed note, byte for byte.
    #[n(1)]
    pub note: ByteVec,
}

/// Applies log entries. Holds no state of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

impl Machine {
    /// Applies one command in its stored form and returns its outcome in stored form.
    ///
    /// # Errors
    /// [`RowError`] where state or command cannot be read: the node stops.
    pub fn apply_bytes(self, rows: &mut dyn Rows, command: &[u8]) -> Result<Vec<u8>, RowError> {
        let envelope: Envelope =
            minicbor::decode(command).map_err(|error| RowError::Corrupt { table: "log", detail: error.to_string() })?;
        Ok(strongroom_types::rows::encode(&self.apply(rows, &envelope)?))
    }

    /// Applies one command.
    ///
    /// # Errors
    /// [`RowError`] where state cannot be read: the node stops.
    pub fn apply(self, rows: &mut dyn Rows, envelope: &Envelope) -> Result<Outcome, RowError> {
        let Some(idempotency) = &envelope.idempotency else { return decide(rows, envelope) };
        let key = (scope(&envelope.actor), idempotency.key.clone());
        if let Some(row) = OUTCOMES.read(rows, &key)? {
            // What was answered once is no right to hear it again.
            if let Some(refusal) = access_ended(rows, &envelope.actor)? {
                return refuse(rows, envelope, refusal);
            }
            return if row.request == idempotency.request {
                Ok(Outcome::Done(row.answer))
            } else {
                refuse(rows, envelope, reused(&key.1))
            };
        }
        let outcome = decide(rows, envelope)?;
        if let Outcome::Done(answer) = &outcome {
            let end = clock::read(rows)?.t.plus_ms(limits::IDEMPOTENCY_MS);
            OUTCOMES.write(rows, &key, &OutcomeRow { request: idempotency.request, answer: answer.clone() });
            OUTCOMES_BY_END.write(rows, &(end, key), &());
        }
        Ok(outcome)
    }
}

/// What a caller's earlier call under this key was answered, where it is remembered. For a caller whose access ended
/// nothing is: they are refused, and recorded, where a new call would be.
///
/// # Errors
/// [`RowError`] where the row cannot be read.
pub fn remembered(rows: &dyn Rows, actor: &Actor, idempotency: &Idempotency) -> Result<Option<Outcome>, RowError> {
    let row = OUTCOMES.read(rows, &(scope(actor), idempotency.key.clone()))?;
    if row.is_some() && access_ended(rows, actor)?.is_some() {
        return Ok(None);
    }
    Ok(row.map(|row| {
        if row.request == idempotency.request {
            Outcome::Done(row.answer)
        } else {
            Outcome::Refused(reused(&idempotency.key))
        }
    }))
}

/// Why a caller may ask for nothing at all any more, where that is so.
fn access_ended(rows: &dyn Rows, actor: &Actor) -> Result<Option<Refusal>, RowError> {
    let Actor::Client(key) = actor else { return Ok(None) };
    match access::identify(rows, key) {
        Ok(_) => Ok(None),
        Err(Stop::Refused(refusal)) => Ok(Some(refusal)),
        Err(Stop::Rows(error)) => Err(error),
    }
}

fn decide(rows: &mut dyn Rows, envelope: &Envelope) -> Result<Outcome, RowError> {
    match &envelope.command {
        // A tick that was made of readings already could be made of anything.
        Command::Custody(strongroom_custody::Command::Tick(_)) => {
            refuse(rows, envelope, only_nodes("tick the clock, with readings that voters signed"))
        }
        Command::Custody(command) => decide_custody(rows, envelope, command),
        Command::Tick(signed) => match &envelope.actor {
            Actor::Node(_) => {
                let tick = readings::counted(rows, signed)?;
                decide_custody(rows, envelope, &strongroom_custody::Command::Tick(tick))
            }
            Actor::Client(_) => refuse(rows, envelope, only_nodes("tick the clock")),
        },
        Command::Topology(command) => decide_topology(rows, envelope, command),
        Command::PublishCheckpoint(note) => match &envelope.actor {
            Actor::Node(_) => publish(rows, note),
            Actor::Client(_) => refuse(rows, envelope, only_nodes("publish a checkpoint")),
        },
    }
}

fn decide_custody(
    rows: &mut dyn Rows,
    envelope: &Envelope,
    command: &strongroom_custody::Command,
) -> Result<Outcome, RowError> {
    let filled = match filled_in(rows, &envelope.actor, command)? {
        Ok(filled) => filled,
        Err(refusal) => return refuse(rows, envelope, refusal),
    };
    let command = filled.as_ref().unwrap_or(command);
    let context = Context { signed: signed(rows, envelope, command)?, ..context_of(rows, envelope)? };
    let applied = strongroom_custody::apply(rows, &context, command)?;
    append(rows, &envelope.seed, &applied.records)?;
    if applied.outcome.is_ok() {
        follow_up(rows, command)?;
    }
    Ok(match applied.outcome {
        Ok(answer) => Outcome::Done(Answer::Custody(answer)),
        Err(refusal) => Outcome::Refused(refusal),
    })
}

/// The command with what custody cannot know, where it takes any: what keeps shards and keys, who votes, and by which key
/// a node has signed.
fn filled_in(
    rows: &dyn Rows,
    actor: &Actor,
    command: &strongroom_custody::Command,
) -> Result<Result<Option<strongroom_custody::Command>, Refusal>, RowError> {
    use strongroom_custody::Command as Of;
    if let Of::ExecuteDisposal(told) = command {
        let (disks, replicas) = keepers(rows)?;
        let filled = ExecuteDisposal { disks, replicas, ..(**told).clone() };
        return Ok(Ok(Some(Of::ExecuteDisposal(Box::new(filled)))));
    }
    if let Of::ExecuteRemoval(told) = command {
        let (disks, replicas) = keepers(rows)?;
        let copies = removal::copies(rows, told.removal)?;
        let filled = ExecuteRemoval { disks, replicas, copies, ..(**told).clone() };
        return Ok(Ok(Some(Of::ExecuteRemoval(Box::new(filled)))));
    }
    if let Of::NoteErasure(told) = command {
        let signed = |cluster, node| erasure::receipt_message(cluster, node, told);
        let signer = signer(rows, actor, signed, &told.signature, Some(told.disk))?;
        return Ok(signer.map(|vkey| Some(Of::NoteErasure(Box::new(NoteErasure { vkey, ..(**told).clone() })))));
    }
    if let Of::AttestKeys(told) = command {
        let signed = |cluster, node| erasure::keys_message(cluster, node, told);
        let signer = signer(rows, actor, signed, &told.signature, None)?;
        return Ok(signer.map(|vkey| Some(Of::AttestKeys(Box::new(AttestKeys { vkey, ..(**told).clone() })))));
    }
    if let Of::RecordDraw(told) = command {
        let voters = topology::read::voters(rows)?;
        return Ok(Ok(Some(Of::RecordDraw(Box::new(RecordDraw { voters, ..(**told).clone() })))));
    }
    if let Of::ProposeVoter(told) = command {
        let now = voters_now(rows, told.old, told.new)?;
        return Ok(Ok(Some(Of::ProposeVoter(Box::new(ProposeVoter { now, ..(**told).clone() })))));
    }
    if let Of::ApproveVoter(told) = command {
        // Custody says where there is no such proposal.
        let now = match voters::read(rows, told.change) {
            Ok(row) => voters_now(rows, row.old, row.new)?,
            Err(Stop::Refused(_)) => VotersNow::default(),
            Err(Stop::Rows(error)) => return Err(error),
        };
        return Ok(Ok(Some(Of::ApproveVoter(Box::new(ApproveVoter { now, ..(**told).clone() })))));
    }
    if let Of::CommitDraw(told) = command {
        let signed = |cluster, node| draw::commit_message(cluster, node, told);
        let signer = signer(rows, actor, signed, &told.signature, None)?;
        return Ok(signer.map(|vkey| Some(Of::CommitDraw(Box::new(CommitDraw { vkey, ..(**told).clone() })))));
    }
    Ok(Ok(None))
}

/// What custody has to know of voters to let one be replaced by another.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn voters_now(rows: &dyn Rows, old: NodeId, new: NodeId) -> Result<VotersNow, RowError> {
    let nodes = topology::read::nodes(rows)?;
    let policy = policies::with_voter(rows, old, new)?;
    Ok(VotersNow {
        voters: topology::read::voters(rows)?,
        serving: nodes.iter().filter(|node| node.state == NodeState::InService).map(|node| node.id).collect(),
        unsettled: policies::unsettled(rows)?.is_some(),
        policy_digest: policy.as_ref().map_or([0; 32], |policy| *policy.fingerprint().as_bytes()),
        policy: policy.map_or_else(String::new, |policy| policy.to_string()),
    })
}

/// What keeps shards, and what keeps keys.
fn keepers(rows: &dyn Rows) -> Result<(Vec<DiskOfNode>, Vec<NodeId>), RowError> {
    let nodes = living(rows)?;
    let of = |node: &NodeRow| {
        let keeps = node.id;
        node.disks.iter().map(|disk| DiskOfNode { disk: disk.id, node: keeps }).collect::<Vec<_>>()
    };
    Ok((nodes.iter().flat_map(of).collect(), nodes.iter().map(|node| node.id).collect()))
}

/// Every node that is not gone for good.
fn living(rows: &dyn Rows) -> Result<Vec<NodeRow>, RowError> {
    let mut nodes = topology::read::nodes(rows)?;
    nodes.retain(|node| node.state != NodeState::Removed);
    Ok(nodes)
}

/// The registered key of the node that speaks, where it signed what it says and the disk is one of its own.
fn signer(
    rows: &dyn Rows,
    actor: &Actor,
    message: impl Fn(ClusterId, NodeId) -> Vec<u8>,
    signature: &[u8],
    disk: Option<DiskId>,
) -> Result<Result<String, Refusal>, RowError> {
    let Actor::Node(speaks) = actor else {
        return Ok(Err(only_nodes("speak for themselves, their disks and replicas")));
    };
    let (Some(cluster), Some(node)) = (tables::CLUSTER.read(rows, &())?, topology::read::node(rows, *speaks)?) else {
        return Ok(Err(Refusal::not_found(format!("node {speaks}"))));
    };
    if let Some(disk) = disk.filter(|disk| node.disks.iter().all(|own| own.id != *disk)) {
        return Ok(Err(Refusal::not_found(format!("disk {disk} of {speaks}"))));
    }
    let is_signed = node
        .clock_vkey
        .parse::<VerifierKey>()
        .is_ok_and(|key| key.verifies_statement(&message(cluster.cluster, *speaks), signature));
    Ok(if is_signed {
        Ok(node.clock_vkey)
    } else {
        Err(Refusal::invalid(format!("what {speaks} says is not signed by its registered key")))
    })
}

fn decide_topology(rows: &mut dyn Rows, envelope: &Envelope, command: &topology::Command) -> Result<Outcome, RowError> {
    let node = match &envelope.actor {
        Actor::Node(node) => *node,
        Actor::Client(_) => return refuse(rows, envelope, only_nodes("change the topology")),
    };
    if let Some(refusal) = not_its_own(rows, node, command)? {
        return refuse(rows, envelope, refusal);
    }
    let wall = clock::read(rows)?.bounded_wall(envelope.wall);
    let fault;
    let command = match command {
        topology::Command::NoteShardFault(told) => {
            if let Some(refusal) = fault_not_of_a_chunk(rows, node, told)? {
                return refuse(rows, envelope, refusal);
            }
            fault = topology::Command::NoteShardFault(ShardFault { seen_at: wall, ..*told });
            &fault
        }
        other => other,
    };
    let mut overlay = Overlay::new(&*rows);
    let applied = match topology::apply(&mut overlay, command)? {
        Ok(applied) => applied,
        Err(refusal) => return refuse(rows, envelope, refusal),
    };
    for ((table, key), value) in overlay.into_changes() {
        match value {
            Some(value) => rows.write(table, &key, value),
            None => rows.remove(table, &key),
        }
    }
    let records: Vec<_> = applied.events.iter().map(|event| event_record(event, node, wall)).collect();
    append(rows, &envelope.seed, &records)?;
    Ok(Outcome::Done(Answer::Topology(applied.answer)))
}

/// Why a node may not say this, though it has a certificate. Who votes is for two people to change once somebody does (ADR 0019);
/// a node's state is its own to say; whoever passes on what a joining node says takes none of its disks away; and no slot moves
/// in this release.
fn not_its_own(rows: &dyn Rows, by: NodeId, command: &topology::Command) -> Result<Option<Refusal>, RowError> {
    let refusal = |what: &str, remedy: &str| Some(Refusal::new(Reason::RoleNotAllowed, "C3", what, remedy));
    Ok(match command {
        topology::Command::SetVoters { voters } if !is_first_or_same(rows, voters)? => {
            let remedy = "two people replace a voter: `strongroom cluster voter replace`";
            refusal("no node says who votes, once somebody does", remedy)
        }
        topology::Command::SetNodeState { node, .. } if *node != by => {
            refusal("the state of a node is not another node's to say", "")
        }
        topology::Command::UpdateNode(update) if update.node != by => {
            let known = topology::read::node(rows, update.node)?.map(|row| row.disks).unwrap_or_default();
            let keeps = known.iter().all(|disk| update.disks.contains(disk));
            if keeps { None } else { refusal("a node's disks are not another node's to change", "") }
        }
        topology::Command::MoveSlot(_) => refusal("no slot of a volume moves in this release", ""),
        topology::Command::SetVoters { .. }
        | topology::Command::SetNodeState { .. }
        | topology::Command::UpdateNode(_)
        | topology::Command::RegisterNode(_)
        | topology::Command::DefineClass(_)
        | topology::Command::EnsureVolume { .. }
        | topology::Command::CloseVolume { .. }
        | topology::Command::AddVolumeBytes { .. }
        | topology::Command::NoteShardFault(_) => None,
    })
}

/// Whether nobody votes yet, or exactly these do: the genesis may be said again.
fn is_first_or_same(rows: &dyn Rows, wanted: &[NodeId]) -> Result<bool, RowError> {
    let voters = topology::read::nodes(rows)?.into_iter().filter(|node| node.voter).map(|node| node.id);
    let (voters, wanted): (BTreeSet<_>, BTreeSet<_>) = (voters.collect(), wanted.iter().copied().collect());
    Ok(voters.is_empty() || voters == wanted)
}

/// Why a report is not of a shard that a sealed item's manifest names, or not in the name of the node that made it.
fn fault_not_of_a_chunk(rows: &dyn Rows, by: NodeId, told: &ShardFault) -> Result<Option<Refusal>, RowError> {
    if told.reporter != by {
        return Ok(Some(only_nodes("report bad shards, and each in its own name")));
    }
    let sealed = tables::ITEMS.read(rows, &told.item)?.is_some();
    let run = upload::run_of(rows, told.item, told.chunk)?;
    let is_of = |run: &ManifestRun| {
        (run.epoch, run.volume, run.placement_epoch) == (told.upload_epoch, told.volume, told.placement_epoch)
    };
    if sealed && run.as_ref().is_some_and(is_of) {
        return Ok(None);
    }
    Ok(Some(Refusal::not_found(format!("chunk {} of item {} in volume {}", told.chunk, told.item, told.volume))))
}

/// Refuses what custody was not asked, and records it: nothing is refused without its record either.
fn refuse(rows: &mut dyn Rows, envelope: &Envelope, refusal: Refusal) -> Result<Outcome, RowError> {
    let context = context_of(rows, envelope)?;
    let record = match &envelope.command {
        Command::Custody(command) => strongroom_custody::apply::refused(rows, &context, command, &refusal)?,
        Command::Topology(command) if is_recorded(command) => {
            strongroom_custody::apply::refused_act(rows, &context, Act::NodeChange, &refusal)?
        }
        // Who asks for a machine's call asks for a call that people do not have.
        Command::PublishCheckpoint(_) => {
            strongroom_custody::apply::refused_act(rows, &context, Act::NoSuchCall, &refusal)?
        }
        Command::Tick(_) => strongroom_custody::apply::refused_act(rows, &context, Act::ClockTick, &refusal)?,
        Command::Topology(_) => None,
    };
    append(rows, &envelope.seed, record.as_slice())?;
    Ok(Outcome::Refused(refusal))
}

/// Whether a granted command of this kind leaves a record; then its refusal leaves one as well. Where chunks go is
/// housekeeping, decided thousands of times a day.
const fn is_recorded(command: &topology::Command) -> bool {
    match command {
        topology::Command::RegisterNode(_)
        | topology::Command::UpdateNode(_)
        | topology::Command::SetNodeState { .. }
        | topology::Command::SetVoters { .. }
        | topology::Command::DefineClass(_) => true,
        topology::Command::EnsureVolume { .. }
        | topology::Command::CloseVolume { .. }
        | topology::Command::AddVolumeBytes { .. }
        | topology::Command::MoveSlot(_)
        // A node that reports nonsense must not be able to fill the ledger with it.
        | topology::Command::NoteShardFault(_) => false,
    }
}

fn context_of(rows: &dyn Rows, envelope: &Envelope) -> Result<Context, RowError> {
    Ok(Context {
        actor: envelope.actor.clone(),
        wall: envelope.wall,
        next_seq: RecordSeq(tree::size(rows)?),
        signed: None,
    })
}

/// The caller's signature, where it is theirs and over exactly this decision.
fn signed(
    rows: &dyn Rows,
    envelope: &Envelope,
    command: &strongroom_custody::Command,
) -> Result<Option<Signed>, RowError> {
    let (Actor::Client(by), Some(idempotency)) = (&envelope.actor, &envelope.idempotency) else { return Ok(None) };
    let (Some(signature), Some(cluster)) = (&idempotency.assent, CLUSTER.read(rows, &())?) else { return Ok(None) };
    let Some(asked) = assent::asked(rows, command)? else { return Ok(None) };
    let text = asked.text(cluster.cluster, &idempotency.key, signature.at);
    let signed = || Signed { key: idempotency.key.clone(), signature: signature.clone() };
    Ok(assent::is_signed(by, &text, signature).then(signed))
}

fn only_nodes(what: &str) -> Refusal {
    Refusal::new(Reason::RoleNotAllowed, "C5", format!("only nodes {what}"), "")
}

/// What a granted command means for the other parts of the state.
fn follow_up(rows: &mut dyn Rows, command: &strongroom_custody::Command) -> Result<(), RowError> {
    if let strongroom_custody::Command::Tick(_) = command {
        forget_outcomes(rows)?;
    }
    if let strongroom_custody::Command::ApproveVoter(approved) = command {
        replace_voter(rows, approved)?;
    }
    if let strongroom_custody::Command::CommitProgress(progress) = command {
        fill_volumes(rows, &progress.step, progress.bytes)?;
    }
    if let strongroom_custody::Command::SealOriginal(seal) = command {
        fill_volumes(rows, &seal.step, seal.end.size_bytes)?;
    }
    Ok(())
}

/// Gives one node the vote of another, in the rows of nodes and for the policy that follows once this is cosigned.
fn replace_voter(rows: &mut dyn Rows, approved: &ApproveVoter) -> Result<(), RowError> {
    let corrupt = |detail: String| RowError::Corrupt { table: tables::VOTER_CHANGES.name, detail };
    let change = voters::read(rows, approved.change).map_err(|stop| match stop {
        Stop::Rows(error) => error,
        Stop::Refused(refusal) => corrupt(refusal.message),
    })?;
    let Some(end) = &change.end else { return Err(corrupt(format!("{} is not decided", change.seq))) };
    let before = policies::current(rows)?.ok_or_else(|| corrupt("there is no cluster".to_owned()))?;
    let row = PolicyChangeRow { seq: end.seq, before, after: approved.now.policy.clone(), settled: None };
    POLICY_CHANGES.write(rows, &row.seq, &row);
    let after = |voter: &NodeId| if *voter == change.old { change.new } else { *voter };
    let voters = approved.now.voters.iter().map(after).collect();
    // The record of the approval says it; custody has looked at what the topology would refuse.
    match topology::apply(rows, &topology::Command::SetVoters { voters })? {
        Ok(_) => Ok(()),
        Err(refusal) => Err(corrupt(refusal.message)),
    }
}

/// Counts committed bytes into their volumes, which close when they are full. All chunks of a step are full but,
/// perhaps, the last.
fn fill_volumes(rows: &mut dyn Rows, step: &ManifestStep, bytes: u64) -> Result<(), RowError> {
    let mut left = bytes;
    for run in &step.runs {
        let bytes = left.min(run.chunks.len() as u64 * limits::CHUNK_BYTES as u64);
        left -= bytes;
        // A volume that is gone or closed meanwhile refuses nothing that is durable: the bytes just are not counted.
        let _ = topology::apply(rows, &topology::Command::AddVolumeBytes { volume: run.volume, bytes })?;
    }
    Ok(())
}

/// Appends records to the tree and to the index of each item that they name.
fn append(rows: &mut dyn Rows, seed: &[u8; 32], records: &[Record]) -> Result<(), RowError> {
    let t = clock::read(rows)?.t;
    for record in records {
        let leaf = tree::append_record(rows, t, seed, record.to_bytes()).map_err(append_error)?;
        for item in &record.items {
            tables::RECORDS_BY_ITEM.write(rows, &(*item, leaf.seq), &());
        }
    }
    Ok(())
}

fn append_error(error: AppendError) -> RowError {
    match error {
        AppendError::Rows(error) => error,
        AppendError::OutOfOrder { .. } | AppendError::Full => {
            RowError::Corrupt { table: "ledger", detail: error.to_string() }
        }
    }
}

/// Takes a checkpoint where it satisfies the policy, is of this tree, and is newer than the one before.
fn publish(rows: &mut dyn Rows, note: &[u8]) -> Result<Outcome, RowError> {
    let known = CHECKPOINT.read(rows, &())?.map_or(0, |row| row.size);
    let Some(policy) = policies::current(rows)? else {
        return Ok(Outcome::Refused(Refusal::not_found("cluster")));
    };
    let policy = Policy::parse_canonical(&policy)
        .map_err(|error| RowError::Corrupt { table: "cluster", detail: error.to_string() })?;
    let verified = match policy.verify(note) {
        Ok(verified) => verified,
        Err(error) => {
            return Ok(Outcome::Refused(Refusal::invalid(format!("the checkpoint does not verify: {error}"))));
        }
    };
    let TreeHead { size, root } = verified.head();
    let ours = match tree::root(rows, size) {
        Ok(ours) => Some(ours),
        // Rows that cannot be read stop this node: refusing here would part it from the others.
        Err(TreeError::Rows(error)) => return Err(error),
        Err(TreeError::BeyondSize { .. } | TreeError::NotInTree { .. } | TreeError::NotOlder { .. }) => None,
    };
    if ours != Some(root) {
        return Ok(Outcome::Refused(Refusal::new(
            Reason::Corrupt,
            "C3",
            format!("the checkpoint of size {size} is not of this ledger"),
            "",
        )));
    }
    if size > known {
        let row = CheckpointRow { size, note: note.to_vec().into() };
        if let Some(change) = policies::unsettled(rows)?.filter(|change| change.seq.0 < size) {
            let settled = PolicyChangeRow { settled: Some(row.clone()), ..change };
            POLICY_CHANGES.write(rows, &settled.seq, &settled);
        }
        CHECKPOINT.write(rows, &(), &row);
    }
    Ok(Outcome::Done(Answer::Checkpoint(size.max(known))))
}

fn forget_outcomes(rows: &mut dyn Rows) -> Result<(), RowError> {
    let now = clock::read(rows)?.t;
    let due = OUTCOMES_BY_END.scan(rows, &(), None, FORGET_PER_TICK)?;
    let end = strongroom_types::rows::Key::to_bytes(&now);
    for (key, ()) in due {
        if key[..8] >= end[..] {
            break;
        }
        rows.remove(OUTCOMES.id, &key[8..]);
        rows.remove(OUTCOMES_BY_END.id, &key);
    }
    Ok(())
}

/// Keys of two callers never meet; those of the cluster's own nodes are drawn at random.
fn scope(actor: &Actor) -> KeyHash {
    match actor {
        Actor::Client(key) => *key,
        Actor::Node(_) => KeyHash::new([0; 32]),
    }
}

fn reused(key: &IdempotencyKey) -> Refusal {
    Refusal::new(
        Reason::IdempotencyKeyReused,
        "",
        format!("idempotency key {key} was used before for another request"),
        "draw a new key for a new request",
    )
}

fn event_record(event: &topology::Event, by: NodeId, wall: UnixMillis) -> Record {
    use topology::Event;
    let text = |nodes: &[NodeId]| nodes.iter().map(NodeId::to_string).collect::<Vec<_>>().join(" ");
    let facts: BTreeMap<Fact, Value> = match event {
        Event::NodeRegistered { node, district, peer_key, cosigner_vkey, clock_vkey } => BTreeMap::from([
            (Fact::Node, node.to_string().into()),
            (Fact::District, district.as_str().into()),
            (Fact::Key, peer_key.as_bytes().as_slice().into()),
            (Fact::Policy, format!("{cosigner_vkey}\n{clock_vkey}").into()),
            (Fact::State, "registered".into()),
        ]),
        Event::NodeUpdated { node, disks } => BTreeMap::from([
            (Fact::Node, node.to_string().into()),
            (Fact::State, format!("{} disks", disks.len()).into()),
        ]),
        Event::NodeStateChanged { node, from, to } => {
            BTreeMap::from([(Fact::Node, node.to_string().into()), (Fact::State, format!("{from} to {to}").into())])
        }
        Event::VoterSetChanged { from, to } => BTreeMap::from([
            (Fact::Node, text(to).into()),
            (Fact::State, format!("voters, before {}", text(from)).into()),
        ]),
        Event::ClassDefined { name, promise, widest } => {
            BTreeMap::from([(Fact::State, format!("class {name}: {promise}, {widest}").into())])
        }
        Event::ShardFaultFound(bad) => BTreeMap::from([
            (Fact::Node, bad.node.to_string().into()),
            (Fact::Finding, bad.kind.name().into()),
            (Fact::State, format!("chunk {} {} slot {} disk {}", bad.chunk, bad.volume, bad.slot, bad.disk).into()),
        ]),
    };
    let (act, items) = match event {
        Event::ShardFaultFound(bad) => (Act::ShardFault, vec![bad.item]),
        Event::NodeRegistered { .. }
        | Event::NodeUpdated { .. }
        | Event::NodeStateChanged { .. }
        | Event::VoterSetChanged { .. }
        | Event::ClassDefined { .. } => (Act::NodeChange, Vec::new()),
    };
    Record {
        wall,
        stamp: Stamp { principal: None, key: None, node: Some(by) },
        act,
        refused: None,
        rule: String::new(),
        items,
        facts,
    }
}

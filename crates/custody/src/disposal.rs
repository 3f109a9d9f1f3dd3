//! Disposal 销毁: the only delete (semantics C4). A batch is proposed, waits, is approved by two offices, executed,
//! and closed by two supervisors 监销人 when every disk has erased and every replica has lost the keys.
//!
//! ```text
//!  Proposed ──7 days of T──▶ legal ──▶ LegalApproved ──▶ head ──▶ Approved ──▶ execute ──▶ Executed ──▶ Closed
//!     └────────────────────────────────┴── withdraw ─────────┴──────▶ Withdrawn
//! ```
//!
//! What may go is decided by [`refuse_kept`] alone: at the proposal, and again for each item at the execution. That
//! entry is the point of no return. In it the items, their keys and their index rows go, tombstones come, and the record
//! commits to the list of what goes: it is the permit that each disk verifies for itself ([`crate::erasure`]).

use std::collections::{BTreeMap, BTreeSet};

use minicbor::bytes::ByteVec;
use strongroom_types::{
    BatchId, DiskId, EraseList, EraseTarget, ItemId, NodeId, PrincipalId, Reason, RecordSeq, Refusal, Role, UnitId,
    UnixMillis, limits,
    rows::{RowError, Rows, encode},
};

use crate::{
    Act, Answer, Fact, Value,
    access::{self, Stop, different_person, role_refused, within_unit},
    apply::Decision,
    clock,
    erasure::{self, Tombstone},
    item::{refuse_quarantined, sealed},
    removal, retention,
    tables::{
        COUNTERS, DISPOSAL_BY_ITEM, DISPOSAL_ITEMS, DISPOSALS, ITEM_KEYS, ITEMS, ITEMS_BY_UNIT, ItemRow, NAME_NUMBERS,
        PrincipalRow, newest_first,
    },
    upload::check_text,
};

/// Roles whose holders may supervise a disposal.
const SUPERVISORS: &[Role] = Act::DisposalSign.roles();
/// How many supervisors there are.
pub(crate) const SUPERVISORS_COUNT: usize = 2;

/// Proposes a batch.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ProposeDisposal {
    /// The items, each with its basis; an empty one stands for the batch's.
    #[n(0)]
    pub items: Vec<ProposedItem>,
    /// Why the batch may go.
    #[n(1)]
    pub basis: String,
}

/// An item with the basis for its disposal.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ProposedItem {
    /// The item.
    #[n(0)]
    pub item: ItemId,
    /// Why it may go; empty where the batch's basis is its own.
    #[n(1)]
    pub basis: String,
}

/// Approves a batch, in the one office that is missing.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ApproveDisposal {
    /// The batch.
    #[n(0)]
    pub batch: BatchId,
}

/// Withdraws a batch that is not executed.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct WithdrawDisposal {
    /// The batch.
    #[n(0)]
    pub batch: BatchId,
    /// Why.
    #[n(1)]
    pub reason: String,
}

/// Executes an approved batch.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ExecuteDisposal {
    /// The batch.
    #[n(0)]
    pub batch: BatchId,
    /// The two who supervise it.
    #[n(1)]
    pub supervisors: Vec<PrincipalId>,
    /// Every disk of the cluster. Filled in by the composition above: what a proposer wrote here is not looked at.
    #[n(2)]
    pub disks: Vec<DiskOfNode>,
    /// Every replica of the metadata; filled in likewise.
    #[n(3)]
    pub replicas: Vec<NodeId>,
}

/// A disk and the node that keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct DiskOfNode {
    /// The disk.
    #[n(0)]
    pub disk: DiskId,
    /// Its node.
    #[n(1)]
    pub node: NodeId,
}

/// A supervisor signs that the batch is gone.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct SignDisposal {
    /// The batch.
    #[n(0)]
    pub batch: BatchId,
}

/// A batch.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct BatchRow {
    /// Its number.
    #[n(0)]
    pub id: BatchId,
    /// Who proposed it.
    #[n(1)]
    pub proposer: PrincipalId,
    /// Why it may go.
    #[n(2)]
    pub basis: String,
    /// Wall time of the proposal.
    #[n(3)]
    pub proposed_at: UnixMillis,
    /// Compliance time before which nobody can approve it.
    #[n(4)]
    pub not_before: UnixMillis,
    /// Units whose items are in it: the notice to their heads.
    #[n(5)]
    pub units: Vec<UnitId>,
    /// Items in it.
    #[n(6)]
    pub items: u32,
    /// Where it stands.
    #[n(7)]
    pub state: BatchState,
    /// Approvals so far: legal, then head.
    #[n(8)]
    pub approvals: Vec<DisposalStepRow>,
    /// Record of the proposal.
    #[n(9)]
    pub seq: RecordSeq,
    /// Its execution.
    #[n(10)]
    pub execution: Option<Box<ExecutionRow>>,
}

/// Where a batch stands.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum BatchState {
    /// Waiting for objections, then for the legal office.
    #[n(0)]
    Proposed,
    /// Waiting for the head.
    #[n(1)]
    LegalApproved,
    /// Waiting to be executed.
    #[n(2)]
    Approved,
    /// The items are gone; disks and replicas do their part.
    #[n(3)]
    Executed,
    /// Nothing is left, and two supervisors have signed.
    #[n(4)]
    Closed,
    /// Withdrawn, by whom and why.
    #[n(5)]
    Withdrawn(#[n(0)] PrincipalId, #[n(1)] String),
}

impl BatchState {
    /// Its name on the wire, in records and on the command line.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::LegalApproved => "legal-approved",
            Self::Approved => "approved",
            Self::Executed => "executed",
            Self::Closed => "closed",
            Self::Withdrawn(..) => "withdrawn",
        }
    }
}

/// A step that a person took.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct DisposalStepRow {
    /// Who.
    #[n(0)]
    pub by: PrincipalId,
    /// When.
    #[n(1)]
    pub at: UnixMillis,
    /// Its record.
    #[n(2)]
    pub seq: RecordSeq,
}

/// An execution and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ExecutionRow {
    /// Who, when, by which record: the permit.
    #[n(0)]
    pub step: DisposalStepRow,
    /// The two who supervise it.
    #[n(1)]
    pub supervisors: Vec<PrincipalId>,
    /// Items that went.
    #[n(2)]
    pub disposed: u32,
    /// Items that dropped out.
    #[n(3)]
    pub dropped: u32,
    /// Disks that have not erased yet.
    #[n(4)]
    pub disks_pending: u32,
    /// Replicas that may still hold keys.
    #[n(5)]
    pub replicas_pending: u32,
    /// Signatures of the supervisors.
    #[n(6)]
    pub signatures: Vec<DisposalStepRow>,
}

/// One item of a batch. Kept for good.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct BatchItemRow {
    /// Its basis.
    #[n(0)]
    pub basis: String,
    /// Its unit.
    #[n(1)]
    pub unit: UnitId,
    /// What came of it.
    #[n(2)]
    pub fate: ItemFate,
}

/// What came of an item in a batch.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum ItemFate {
    /// It is in the batch.
    #[n(0)]
    Listed,
    /// It went.
    #[n(1)]
    Disposed,
    /// It dropped out at the execution, and why.
    #[n(2)]
    Dropped(#[n(0)] Refusal),
}

/// Says why an item has to be kept at `now`, where it has to be. Every rule that keeps an item is asked here and
/// nowhere else; anything that is not certain keeps it.
///
/// # Errors
/// [`Stop`] with the reason that keeps it: the rule, the record and the date.
pub fn refuse_kept(rows: &(impl Rows + ?Sized), id: ItemId, item: &ItemRow, now: UnixMillis) -> Result<(), Stop> {
    refuse_quarantined(id, item)?;
    retention::refuse_kept(rows, id, item, &retention::kept(rows, id, item)?, now)
}

/// The time by which expiry is judged (semantics C2), where the clock can be trusted.
///
/// # Errors
/// [`Stop`] with `CLOCK_UNTRUSTED`.
pub fn now(rows: &(impl Rows + ?Sized)) -> Result<UnixMillis, Stop> {
    let clock = clock::read(rows)?;
    clock::trusted(&clock)?;
    Ok(clock.t.min(clock.wall))
}

/// What a proposal of this item would be told: everything that is checked of one item.
///
/// # Errors
/// [`Stop`] with the first reason against it.
pub fn check_proposed(
    rows: &(impl Rows + ?Sized),
    principal: &PrincipalRow,
    id: ItemId,
    now: UnixMillis,
) -> Result<ItemRow, Stop> {
    let item = sealed(rows, id)?;
    within_unit(principal, &item.description.unit)?;
    refuse_in_batch(rows, id)?;
    refuse_kept(rows, id, &item, now)?;
    Ok(item)
}

/// Refuses an item that is in a batch or a removal that is not decided yet.
pub(crate) fn refuse_in_batch(rows: &(impl Rows + ?Sized), id: ItemId) -> Result<(), Stop> {
    let Some(batch) = DISPOSAL_BY_ITEM.read(rows, &id)? else { return Ok(()) };
    let (what, verb) = match removal::numbered(rows, batch)? {
        Some(removal) => (format!("removal {}", removal.id), format!("secret withdraw {}", removal.id)),
        None => (format!("batch {batch}"), format!("disposal withdraw {batch}")),
    };
    Err(Refusal::new(
        Reason::InDisposal,
        "C4",
        format!("item {id} is in {what} already"),
        format!("withdraw that first: `strongroom {verb}`"),
    )
    .into())
}

/// Proposes a batch, where every item in it may go.
pub(crate) fn propose(decision: &mut Decision<'_>, command: &ProposeDisposal) -> Result<Answer, Stop> {
    let proposer = decision.authorize(Act::DisposalPropose)?;
    check_form(command)?;
    let now = now(&*decision.rows)?;
    let id = BatchId(erasure::next_number(&*decision.rows)?);
    let mut units = BTreeSet::new();
    for proposed in &command.items {
        let item = check_proposed(&*decision.rows, &proposer, proposed.item, now)?;
        let basis = if proposed.basis.trim().is_empty() { &command.basis } else { &proposed.basis };
        let unit = item.description.unit;
        units.insert(unit.clone());
        let row = BatchItemRow { basis: basis.clone(), unit, fate: ItemFate::Listed };
        DISPOSAL_ITEMS.write(decision.rows, &(id, proposed.item), &row);
        DISPOSAL_BY_ITEM.write(decision.rows, &proposed.item, &id);
    }
    let row = BatchRow {
        id,
        proposer: proposer.id,
        basis: command.basis.clone(),
        proposed_at: decision.wall,
        not_before: now.plus_ms(limits::DISPOSAL_COOLING_MS),
        units: units.into_iter().collect(),
        items: u32::try_from(command.items.len()).expect("at most DISPOSAL_ITEMS_MAX"),
        state: BatchState::Proposed,
        approvals: Vec::new(),
        seq: decision.next_seq(),
        execution: None,
    };
    write(decision.rows, &row);
    let mut facts = facts(&row);
    facts.insert(Fact::ReasonGiven, row.basis.as_str().into());
    facts.insert(Fact::BasisList, basis_list(&*decision.rows, id)?.into());
    facts.insert(Fact::NotBefore, row.not_before.into());
    // This record is the notice to the heads of these units, and their lists show the batch from here on.
    facts.insert(Fact::Unit, row.units.iter().map(UnitId::as_str).collect::<Vec<_>>().join(" ").into());
    let items = command.items.iter().map(|proposed| proposed.item).collect();
    decision.record(Act::DisposalPropose, "C4", items, facts);
    Ok(Answer::Disposal(Box::new(row)))
}

/// Approves a batch: first the legal office, then the head, after the time for objections.
pub(crate) fn approve(decision: &mut Decision<'_>, command: &ApproveDisposal) -> Result<Answer, Stop> {
    let approver = decision.authorize(Act::DisposalApprove)?;
    let mut row = read(&*decision.rows, command.batch)?;
    let items = about_items(decision, &row)?;
    let (role, next) = match &row.state {
        BatchState::Proposed => (Role::Legal, BatchState::LegalApproved),
        BatchState::LegalApproved => (Role::Head, BatchState::Approved),
        BatchState::Approved | BatchState::Executed | BatchState::Closed | BatchState::Withdrawn(..) => {
            return Err(wrong_state(&row, "only a proposed batch is approved").into());
        }
    };
    if !approver.roles.contains(&role) {
        let what = format!("approve batch {} now: {} is next", row.id, role.name());
        return Err(role_refused(&approver, &what, &[role], "C4").into());
    }
    check_person(&approver, &row)?;
    let now = now(&*decision.rows)?;
    if now < row.not_before {
        return Err(Refusal::new(
            Reason::CoolingOff,
            "C4",
            format!("batch {} waits for objections until {}; compliance time is {now}", row.id, row.not_before),
            "its time cannot be shortened; whoever objects can place a hold or withdraw it",
        )
        .into());
    }
    row.approvals.push(DisposalStepRow { by: approver.id, at: decision.wall, seq: decision.next_seq() });
    row.state = next;
    write(decision.rows, &row);
    let mut facts = facts(&row);
    facts.insert(Fact::Role, role.name().into());
    decision.record(Act::DisposalApprove, "C4", items, facts);
    Ok(Answer::Disposal(Box::new(row)))
}

/// Withdraws a batch, at any time before its execution.
pub(crate) fn withdraw(decision: &mut Decision<'_>, command: &WithdrawDisposal) -> Result<Answer, Stop> {
    let by = decision.authorize(Act::DisposalWithdraw)?;
    check_reason(&command.reason)?;
    let mut row = read(&*decision.rows, command.batch)?;
    let items = about_items(decision, &row)?;
    if !row.is_open() {
        return Err(wrong_state(&row, "what was executed cannot be taken back").into());
    }
    within_units(&by, &row)?;
    row.state = BatchState::Withdrawn(by.id, command.reason.clone());
    items.iter().for_each(|item| DISPOSAL_BY_ITEM.remove(decision.rows, item));
    write(decision.rows, &row);
    let mut facts = facts(&row);
    facts.insert(Fact::ReasonGiven, command.reason.as_str().into());
    decision.record(Act::DisposalWithdraw, "C4", items, facts);
    Ok(Answer::Disposal(Box::new(row)))
}

/// Executes an approved batch. Each item is checked again; what has to be kept by now drops out.
pub(crate) fn execute(decision: &mut Decision<'_>, command: &ExecuteDisposal) -> Result<Answer, Stop> {
    let executor = decision.authorize(Act::DisposalExecute)?;
    let mut row = read(&*decision.rows, command.batch)?;
    about_items(decision, &row)?;
    if row.state != BatchState::Approved {
        return Err(wrong_state(&row, "only a batch that legal and head approved is executed").into());
    }
    check_person(&executor, &row)?;
    check_supervisors(decision, (&row.units, &row.proposer), &executor, &command.supervisors)?;
    let now = now(&*decision.rows)?;
    let judged = judge(decision, row.id, now)?;
    let targets = judged.going.iter().map(|(id, ..)| EraseTarget::Item(*id));
    let Ok(list) = EraseList::new(targets) else {
        return Err(nothing_left(&row, judged.dropped.first()).into());
    };

    let seq = decision.next_seq();
    let step = DisposalStepRow { by: executor.id, at: decision.wall, seq };
    for (id, item, listed) in &judged.going {
        take_out(decision, *id, item, &Tombstone::disposed(item, row.id, &step))?;
        let gone = BatchItemRow { fate: ItemFate::Disposed, ..listed.clone() };
        DISPOSAL_ITEMS.write(decision.rows, &(row.id, *id), &gone);
    }
    for (id, listed, refusal) in &judged.dropped {
        DISPOSAL_BY_ITEM.remove(decision.rows, id);
        let dropped = BatchItemRow { fate: ItemFate::Dropped(refusal.clone()), ..listed.clone() };
        DISPOSAL_ITEMS.write(decision.rows, &(row.id, *id), &dropped);
    }
    row.state = BatchState::Executed;
    let pending = erasure::expect(decision.rows, seq, row.id, &command.disks, &command.replicas)?;
    row.execution = Some(Box::new(ExecutionRow {
        step,
        supervisors: command.supervisors.clone(),
        disposed: u32::try_from(judged.going.len()).expect("at most DISPOSAL_ITEMS_MAX"),
        dropped: u32::try_from(judged.dropped.len()).expect("at most DISPOSAL_ITEMS_MAX"),
        disks_pending: pending.disks,
        replicas_pending: pending.replicas,
        signatures: Vec::new(),
    }));
    write(decision.rows, &row);

    let mut facts = facts(&row);
    facts.extend(erasure::permit_facts(decision, Fact::EraseRoot, &list)?);
    facts.insert(Fact::DiskCount, (command.disks.len() as u64).into());
    facts.insert(Fact::ReplicaCount, (command.replicas.len() as u64).into());
    facts.insert(Fact::Dropped, (judged.dropped.len() as u64).into());
    facts.insert(Fact::Supervisors, names(&command.supervisors).into());
    erasure::order(decision.rows, seq, Some(row.id), list);
    let items = judged.going.into_iter().map(|(id, ..)| id).collect();
    decision.record(Act::DisposalExecute, "C4", items, facts);
    for (id, _, refusal) in judged.dropped {
        let facts = BTreeMap::from([(Fact::Batch, row.id.into())]);
        decision.record_left_out(Act::DisposalExecute, &refusal, id, facts);
    }
    Ok(Answer::Disposal(Box::new(row)))
}

/// A supervisor signs that nothing is left; the second one closes the batch.
pub(crate) fn sign(decision: &mut Decision<'_>, command: &SignDisposal) -> Result<Answer, Stop> {
    let supervisor = decision.authorize(Act::DisposalSign)?;
    let mut row = read(&*decision.rows, command.batch)?;
    let (BatchState::Executed, Some(mut execution)) = (row.state.clone(), row.execution.take()) else {
        return Err(wrong_state(&row, "supervisors sign what was executed").into());
    };
    check_signing(&format!("batch {}", row.id), &execution, &supervisor)?;
    if execution.disks_pending > 0 || execution.replicas_pending > 0 {
        return Err(Refusal::new(
            Reason::DisposalIncomplete,
            "C4",
            format!(
                "batch {} is not gone yet: {} disks have not erased, {} replicas may hold keys",
                row.id, execution.disks_pending, execution.replicas_pending
            ),
            format!(
                "`strongroom disposal show {}` lists them; two people can close a lost disk: `strongroom disposal close-lost`",
                row.id
            ),
        )
        .into());
    }
    let seq = decision.next_seq();
    execution.signatures.push(DisposalStepRow { by: supervisor.id, at: decision.wall, seq });
    if execution.signatures.len() == SUPERVISORS_COUNT {
        row.state = BatchState::Closed;
    }
    let mut facts = facts(&row);
    facts.insert(Fact::Supervisors, names(&execution.supervisors).into());
    facts.insert(Fact::EraseCount, u64::from(execution.disposed).into());
    facts.insert(Fact::Order, execution.step.seq.0.into());
    row.execution = Some(execution);
    write(decision.rows, &row);
    decision.record(Act::DisposalSign, "C4", Vec::new(), facts);
    Ok(Answer::Disposal(Box::new(row)))
}

/// Refuses a signature of somebody who does not supervise it, or has signed already.
pub(crate) fn check_signing(what: &str, execution: &ExecutionRow, supervisor: &PrincipalRow) -> Result<(), Refusal> {
    if !execution.supervisors.contains(&supervisor.id) {
        return Err(Refusal::new(
            Reason::RoleNotAllowed,
            "C4",
            format!("{} does not supervise {what}", supervisor.id),
            format!("its supervisors are {}", names(&execution.supervisors)),
        ));
    }
    if execution.signatures.iter().any(|signed| signed.by == supervisor.id) {
        return Err(Refusal::new(
            Reason::SamePerson,
            "C4",
            format!("{} has signed {what} already", supervisor.id),
            "the other supervisor signs next",
        ));
    }
    Ok(())
}

/// The batch of this number.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`.
pub fn read(rows: &(impl Rows + ?Sized), id: BatchId) -> Result<BatchRow, Stop> {
    DISPOSALS.read(rows, &newest_first(id.0))?.ok_or_else(|| Refusal::not_found(format!("disposal {id}")).into())
}

/// Its items, by id.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn items(rows: &(impl Rows + ?Sized), id: BatchId) -> Result<Vec<(ItemId, BatchItemRow)>, RowError> {
    let stored = DISPOSAL_ITEMS.scan(rows, &id, None, limits::DISPOSAL_ITEMS_MAX)?;
    stored.into_iter().map(|(key, row)| Ok((erasure::last_item(DISPOSAL_ITEMS.name, &key)?, row))).collect()
}

/// The digest by which a proposal's record binds every item with its basis, in the order of their ids: SHA-256 of the CBOR
/// of [`ProposedItem`]s.
#[must_use]
pub fn basis_digest(listed: impl Iterator<Item = (ItemId, String)>) -> [u8; 32] {
    let listed: Vec<_> = listed.map(|(item, basis)| ProposedItem { item, basis }).collect();
    erasure::sha256(&encode(&listed))
}

impl BatchRow {
    /// Whether it can still be withdrawn.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        match self.state {
            BatchState::Proposed | BatchState::LegalApproved | BatchState::Approved => true,
            BatchState::Executed | BatchState::Closed | BatchState::Withdrawn(..) => false,
        }
    }

    /// Everybody who took a step of it, with what the step was.
    pub(crate) fn people(&self) -> impl Iterator<Item = (&PrincipalId, &'static str)> {
        std::iter::once((&self.proposer, "proposed"))
            .chain(self.approvals.iter().map(|step| (&step.by, "approved")))
            .chain(self.execution.iter().map(|execution| (&execution.step.by, "executed")))
    }
}

pub(crate) fn write(rows: &mut dyn Rows, row: &BatchRow) {
    DISPOSALS.write(rows, &newest_first(row.id.0), row);
}

fn facts(row: &BatchRow) -> BTreeMap<Fact, Value> {
    BTreeMap::from([(Fact::Batch, row.id.into()), (Fact::State, row.state.name().into())])
}

pub(crate) fn names(people: &[PrincipalId]) -> String {
    // No name holds a slash.
    people.iter().map(PrincipalId::as_str).collect::<Vec<_>>().join(" / ")
}

fn check_form(command: &ProposeDisposal) -> Result<(), Refusal> {
    check_reason(&command.basis)?;
    let (count, max) = (command.items.len(), limits::DISPOSAL_ITEMS_MAX);
    if count == 0 || count > max {
        return Err(Refusal::invalid(format!("a batch names 1 to {max} items, not {count}")));
    }
    if let Some(long) = command.items.iter().find(|proposed| proposed.basis.len() > limits::BASIS_BYTES_MAX) {
        let max = limits::BASIS_BYTES_MAX;
        return Err(Refusal::invalid(format!("the basis of item {} takes at most {max} bytes", long.item)));
    }
    let distinct: BTreeSet<_> = command.items.iter().map(|proposed| proposed.item).collect();
    if distinct.len() == count { Ok(()) } else { Err(Refusal::invalid("a batch names each item once")) }
}

pub(crate) fn check_reason(reason: &str) -> Result<(), Refusal> {
    check_text("the reason", reason)?;
    if reason.len() > limits::BASIS_BYTES_MAX {
        return Err(Refusal::invalid(format!("the reason takes at most {} bytes", limits::BASIS_BYTES_MAX)));
    }
    if reason.trim().is_empty() {
        return Err(Refusal::new(Reason::FieldMissing, "C4", "no reason was given", "say why"));
    }
    Ok(())
}

/// The items that are still in the batch; a refusal and the record name them.
fn about_items(decision: &mut Decision<'_>, row: &BatchRow) -> Result<Vec<ItemId>, Stop> {
    let items: Vec<_> = items(&*decision.rows, row.id)?.into_iter().map(|(id, _)| id).collect();
    decision.about_all(&items);
    Ok(items)
}

fn check_person(principal: &PrincipalRow, row: &BatchRow) -> Result<(), Refusal> {
    within_units(principal, row)?;
    for (other, step) in row.people() {
        different_person(&principal.id, other, &format!("{other} {step} batch {}", row.id))?;
    }
    Ok(())
}

fn within_units(principal: &PrincipalRow, row: &BatchRow) -> Result<(), Refusal> {
    row.units.iter().try_for_each(|unit| within_unit(principal, unit))
}

/// Two people with a role of their own, neither of whom proposed it or carries it out, and whose rights reach its units.
pub(crate) fn check_supervisors(
    decision: &Decision<'_>,
    (units, proposer): (&[UnitId], &PrincipalId),
    executor: &PrincipalRow,
    supervisors: &[PrincipalId],
) -> Result<(), Stop> {
    let [first, second] = supervisors else {
        return Err(Refusal::new(
            Reason::FieldMissing,
            "C4",
            format!("a disposal takes {SUPERVISORS_COUNT} supervisors, not {}", supervisors.len()),
            "name two: `--supervisor NAME --supervisor NAME`",
        )
        .into());
    };
    different_person(first, second, "two supervisors are two people")?;
    for name in supervisors {
        let known = access::principal(&*decision.rows, name)?.filter(|known| known.revoked_at.is_none());
        let supervisor = known.ok_or_else(|| Refusal::not_found(format!("principal {name} with access")))?;
        if !supervisor.roles.iter().any(|role| SUPERVISORS.contains(role)) {
            return Err(role_refused(&supervisor, "supervise a disposal", SUPERVISORS, "C4").into());
        }
        units.iter().try_for_each(|unit| within_unit(&supervisor, unit))?;
        different_person(name, &executor.id, "who executes a batch does not supervise it")?;
        different_person(name, proposer, "who proposed a batch does not supervise it")?;
    }
    Ok(())
}

/// The items of a batch as they are judged at its execution.
struct Judged {
    going: Vec<(ItemId, ItemRow, BatchItemRow)>,
    dropped: Vec<(ItemId, BatchItemRow, Refusal)>,
}

fn judge(decision: &Decision<'_>, batch: BatchId, now: UnixMillis) -> Result<Judged, Stop> {
    let mut judged = Judged { going: Vec::new(), dropped: Vec::new() };
    for (id, listed) in items(&*decision.rows, batch)? {
        let checked =
            sealed(&*decision.rows, id).and_then(|item| refuse_kept(&*decision.rows, id, &item, now).map(|()| item));
        match checked {
            Ok(item) => judged.going.push((id, item, listed)),
            Err(Stop::Refused(refusal)) => judged.dropped.push((id, listed, refusal)),
            Err(stop @ Stop::Rows(_)) => return Err(stop),
        }
    }
    Ok(judged)
}

/// Takes an item out of the catalogue, with its key. Its manifest is swept later: it can have thousands of rows.
pub(crate) fn take_out(
    decision: &mut Decision<'_>,
    id: ItemId,
    item: &ItemRow,
    tombstone: &Tombstone,
) -> Result<(), RowError> {
    ITEMS.remove(decision.rows, &id);
    NAME_NUMBERS.remove(decision.rows, &id);
    ITEMS_BY_UNIT.remove(decision.rows, &(item.description.unit.clone(), newest_first(item.seq.0)));
    ITEM_KEYS.remove(decision.rows, &id);
    DISPOSAL_BY_ITEM.remove(decision.rows, &id);
    erasure::bury(decision.rows, id, tombstone);
    let mut counters = COUNTERS.read(&*decision.rows, &())?.unwrap_or_default();
    counters.items -= 1;
    COUNTERS.write(decision.rows, &(), &counters);
    Ok(())
}

fn basis_list(rows: &dyn Rows, id: BatchId) -> Result<ByteVec, RowError> {
    let listed = items(rows, id)?.into_iter().map(|(item, row)| (item, row.basis));
    Ok(basis_digest(listed).to_vec().into())
}

fn nothing_left(row: &BatchRow, first: Option<&(ItemId, BatchItemRow, Refusal)>) -> Refusal {
    first.map_or_else(
        || Refusal::invalid(format!("batch {} has no items", row.id)),
        |(_, _, refusal)| Refusal {
            message: format!("nothing of batch {} may go any more: {}", row.id, refusal.message),
            ..refusal.clone()
        },
    )
}

fn wrong_state(row: &BatchRow, remedy: &str) -> Refusal {
    let state = match &row.state {
        BatchState::Withdrawn(by, why) => format!("withdrawn by {by}: {why}"),
        BatchState::Proposed
        | BatchState::LegalApproved
        | BatchState::Approved
        | BatchState::Executed
        | BatchState::Closed => row.state.name().to_owned(),
    };
    let reason = match row.state {
        BatchState::Proposed | BatchState::LegalApproved => Reason::ApprovalMissing,
        BatchState::Approved | BatchState::Executed | BatchState::Closed | BatchState::Withdrawn(..) => {
            Reason::WrongState
        }
    };
    Refusal::new(reason, "C4", format!("batch {} is {state}", row.id), remedy)
}

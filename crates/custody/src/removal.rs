//! Removal 移交涉密载体: what may be a state secret leaves the cluster, and only to a classified carrier (requirements B10).
//!
//! ```text
//!  Proposed ─ secrecy ─▶ SecrecyApproved ─ head ─▶ Approved ─ handed over, receiver signs ─▶ Signed ─▶ execute ─▶ Executed ─▶ Closed
//!     └───────────────────────┴──────────────────────┴─────── withdraw ───────────────────────┴──▶ Withdrawn
//! ```
//!
//! Such an item must not stay, so that nothing is waited for and nothing that keeps it holds it back: holds, cases,
//! triggers and the end of retention follow the bytes. They are written on the removal, and the receiver has them. In
//! exchange nothing goes before the receiver has signed the digests of everything that is on the carrier. The execution
//! is an entry of its own kind: its record is a permit that is read as that of no disposal, and the other way round.
//!
//! No period is counted here, so that a clock that cannot be trusted (`CLOCK_UNTRUSTED`) freezes nothing. A rollback
//! (`ROLLBACK_SUSPECTED`) does: a voter that is behind what it promised neither votes nor appends, and a disk refuses a
//! permit that does not continue the newest checkpoint that it has verified. A state that was put back may lack the
//! withdrawal, and nothing may be erased under it.

mod statement;

use std::collections::{BTreeMap, BTreeSet};

use minicbor::bytes::ByteVec;
use strongroom_types::{
    BatchId, HoldId, ItemId, NodeId, PrincipalId, Reason, RecordSeq, Refusal, RemovalId, Role, UnitId, UnixMillis,
    limits,
    rows::{RowError, Rows, encode},
};

use crate::{
    Act, Answer, Fact, Value,
    access::{self, Stop, different_person, role_refused, within_unit},
    apply::Decision,
    device::refuse_future,
    disposal::{self, DiskOfNode, DisposalStepRow, ExecutionRow, check_reason, names},
    erasure::{self, Tombstone},
    item::sealed,
    keeping::{self, Class, RestrictionKind},
    leave,
    retention::{self, Keeper},
    tables::{
        DISPOSAL_BY_ITEM, ItemRow, PrincipalRow, REMOVAL_ITEMS, REMOVALS, SECRET_COPIES, UploadEnd, newest_first,
    },
};

pub use statement::{NotAStatement, StatedItem, Statement, is_signed};

/// Proposes a removal.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ProposeRemoval {
    /// The items.
    #[n(0)]
    pub items: Vec<ItemId>,
    /// To whom and why.
    #[n(1)]
    pub form: RemovalForm,
    /// Who alone hands the bytes over and executes it.
    #[n(2)]
    pub executor: PrincipalId,
    /// Copies that the proposer knows of: discs, backups.
    #[n(3)]
    pub copies: Vec<CopyAt>,
}

/// To whom something is removed, on what, and why.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RemovalForm {
    /// The receiving organ 接收单位.
    #[n(0)]
    pub organ: String,
    /// Who receives it 接收人.
    #[n(1)]
    pub receiver: String,
    /// The receiver's Ed25519 key.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub receiver_key: [u8; 32],
    /// Number of the classified carrier 涉密载体编号.
    #[n(3)]
    pub carrier: String,
    /// What it rests on 依据.
    #[n(4)]
    pub basis: String,
}

/// A place with a copy of what is removed.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct CopyAt {
    /// Where.
    #[n(0)]
    pub place: String,
    /// Who must destroy it.
    #[n(1)]
    pub keeper: String,
    /// The record that tells of it; none for what the proposer told.
    #[n(2)]
    pub seq: Option<RecordSeq>,
}

/// One step of a removal.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct StepRemoval {
    /// The removal.
    #[n(0)]
    pub removal: RemovalId,
    /// The step.
    #[n(1)]
    pub step: RemovalStep,
}

/// Steps of a removal besides its execution.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum RemovalStep {
    /// Approves, in the one office that is missing.
    #[n(0)]
    Approve,
    /// Withdraws it before its execution, and why.
    #[n(1)]
    Withdraw(#[n(0)] String),
    /// Files the receiver's signature over the [`Statement`].
    #[n(2)]
    FileSignature(#[n(0)] ByteVec),
    /// Ticks a copy off as destroyed: which, when, and how.
    #[n(3)]
    DestroyCopy(#[n(0)] u64, #[n(1)] UnixMillis, #[n(2)] String),
    /// A supervisor signs that nothing is left.
    #[n(4)]
    Close,
}

/// Executes a removal.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ExecuteRemoval {
    /// The removal.
    #[n(0)]
    pub removal: RemovalId,
    /// The two who supervise it.
    #[n(1)]
    pub supervisors: Vec<PrincipalId>,
    /// Every disk of the cluster. Filled in by the composition above: what a proposer wrote here is not looked at.
    #[n(2)]
    pub disks: Vec<DiskOfNode>,
    /// Every replica of the metadata; filled in likewise.
    #[n(3)]
    pub replicas: Vec<NodeId>,
    /// Copies that the ledger tells of; filled in likewise.
    #[n(4)]
    pub copies: Vec<CopyAt>,
}

/// A removal.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RemovalRow {
    /// Its number.
    #[n(0)]
    pub id: RemovalId,
    /// Who proposed it.
    #[n(1)]
    pub proposer: PrincipalId,
    /// Wall time of the proposal.
    #[n(2)]
    pub proposed_at: UnixMillis,
    /// Record of the proposal.
    #[n(3)]
    pub seq: RecordSeq,
    /// To whom and why.
    #[n(4)]
    pub form: RemovalForm,
    /// Who alone hands the bytes over and executes it.
    #[n(5)]
    pub executor: PrincipalId,
    /// Units whose items are in it.
    #[n(6)]
    pub units: Vec<UnitId>,
    /// Items in it.
    #[n(7)]
    pub items: u32,
    /// Where it stands.
    #[n(8)]
    pub state: RemovalState,
    /// Approvals so far: the secrecy office, then the head.
    #[n(9)]
    pub approvals: Vec<DisposalStepRow>,
    /// The end of a session in which everything was handed over and verified.
    #[n(10)]
    pub handed: Option<DisposalStepRow>,
    /// The receiver's signature, and who filed it.
    #[n(11)]
    pub signed: Option<SignedRow>,
    /// Its execution.
    #[n(12)]
    pub execution: Option<Box<ExecutionRow>>,
    /// Copies that are listed.
    #[n(13)]
    pub copies: u32,
    /// Those of them that nobody has ticked off.
    #[n(14)]
    pub copies_open: u32,
}

/// The receiver's signature.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct SignedRow {
    /// Ed25519 over the statement.
    #[n(0)]
    pub signature: ByteVec,
    /// Who filed it, when, by which record.
    #[n(1)]
    pub step: DisposalStepRow,
}

/// Where a removal stands.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum RemovalState {
    /// Waiting for the secrecy office.
    #[n(0)]
    Proposed,
    /// Waiting for the head.
    #[n(1)]
    SecrecyApproved,
    /// The bytes are handed over; the receiver signs.
    #[n(2)]
    Approved,
    /// Waiting to be executed.
    #[n(3)]
    Signed,
    /// The items are gone; disks, replicas and keepers of copies do their part.
    #[n(4)]
    Executed,
    /// Nothing is left here, no copy is open, and two supervisors have signed.
    #[n(5)]
    Closed,
    /// Withdrawn, by whom and why.
    #[n(6)]
    Withdrawn(#[n(0)] PrincipalId, #[n(1)] String),
}

impl RemovalState {
    /// Its name on the wire, in records and on the command line.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::SecrecyApproved => "secrecy-approved",
            Self::Approved => "approved",
            Self::Signed => "signed",
            Self::Executed => "executed",
            Self::Closed => "closed",
            Self::Withdrawn(..) => "withdrawn",
        }
    }
}

/// One item of a removal. Kept for good.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RemovalItemRow {
    /// Its unit.
    #[n(0)]
    pub unit: UnitId,
    /// Length and digests.
    #[n(1)]
    pub original: UploadEnd,
    /// What kept it when it went, and goes with it; empty before.
    #[n(2)]
    pub obligations: Vec<Obligation>,
}

/// Something that kept an item when it was removed, and follows the bytes.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Obligation {
    /// What it is, such as `hold 专案一`.
    #[n(0)]
    pub by: String,
    /// Rule or article id.
    #[n(1)]
    pub rule: String,
    /// In Chinese.
    #[n(2)]
    pub text_zh: String,
    /// In English.
    #[n(3)]
    pub text_en: String,
    /// Until when; none where it has no end.
    #[n(4)]
    pub until: Option<UnixMillis>,
    /// Record that set it.
    #[n(5)]
    pub seq: RecordSeq,
}

/// A copy that a removal lists.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct CopyRow {
    /// Where it is, and who must destroy it.
    #[n(0)]
    pub at: CopyAt,
    /// Present once somebody has ticked it off.
    #[n(1)]
    pub destroyed: Option<DestroyedRow>,
}

/// That a copy is gone.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct DestroyedRow {
    /// When it was destroyed.
    #[n(0)]
    pub on: UnixMillis,
    /// How.
    #[n(1)]
    pub note: String,
    /// Who ticked it off.
    #[n(2)]
    pub step: DisposalStepRow,
}

/// What a proposal of this item would be told: everything that is checked of one item.
///
/// # Errors
/// [`Stop`] with the first reason against it.
pub fn check_proposed(rows: &(impl Rows + ?Sized), principal: &PrincipalRow, id: ItemId) -> Result<ItemRow, Stop> {
    let item = sealed(rows, id)?;
    within_unit(principal, &item.description.unit)?;
    disposal::refuse_in_batch(rows, id)?;
    refuse_not_secret(rows, id)?;
    Ok(item)
}

/// Refuses what is not restricted, or restricted for another reason than that it is or may be a state secret.
///
/// # Errors
/// [`Stop`] with `WRONG_STATE`.
pub fn refuse_not_secret(rows: &(impl Rows + ?Sized), id: ItemId) -> Result<(), Stop> {
    let said = keeping::read(rows, id)?;
    let refuse = |message, remedy: &str| Err(Refusal::new(Reason::WrongState, "B10", message, remedy).into());
    let Some(restriction) = said.restriction else {
        return refuse(
            format!("item {id} is not restricted: only what is restricted leaves this way"),
            "legal or custodian restrict it first: `strongroom item restrict --kind suspected-secret`",
        );
    };
    let class = said.class.map_or(Class::Open, |set| set.class);
    if restriction.kind == RestrictionKind::SuspectedSecret || class == Class::StateSecret {
        return Ok(());
    }
    refuse(
        format!(
            "item {id} is restricted as {} and classed {}: it is no state secret and not suspected to be one",
            restriction.kind.name(),
            class.name()
        ),
        "what is not secret is disposed of when its time has come: `strongroom disposal propose`",
    )
}

/// Proposes a removal.
pub(crate) fn propose(decision: &mut Decision<'_>, command: &ProposeRemoval) -> Result<Answer, Stop> {
    let proposer = decision.authorize(Act::SecretPropose)?;
    check_form(command)?;
    check_executor(&*decision.rows, &proposer, &command.executor)?;
    let id = RemovalId(erasure::next_number(&*decision.rows)?);
    let mut units = BTreeSet::new();
    for item in &command.items {
        let row = check_proposed(&*decision.rows, &proposer, *item)?;
        let unit = row.description.unit;
        units.insert(unit.clone());
        let listed = RemovalItemRow { unit, original: row.original, obligations: Vec::new() };
        REMOVAL_ITEMS.write(decision.rows, &(id, *item), &listed);
        DISPOSAL_BY_ITEM.write(decision.rows, item, &number(id));
    }
    let mut row = RemovalRow {
        id,
        proposer: proposer.id,
        proposed_at: decision.wall,
        seq: decision.next_seq(),
        form: command.form.clone(),
        executor: command.executor.clone(),
        units: units.into_iter().collect(),
        items: u32::try_from(command.items.len()).expect("at most REMOVAL_ITEMS_MAX"),
        state: RemovalState::Proposed,
        approvals: Vec::new(),
        handed: None,
        signed: None,
        execution: None,
        copies: 0,
        copies_open: 0,
    };
    for told in &command.copies {
        list_copy(decision.rows, &mut row, CopyAt { seq: None, ..told.clone() });
    }
    write(decision.rows, &row);
    let mut facts = facts(&row);
    facts.insert(Fact::Basis, row.form.basis.as_str().into());
    facts.insert(Fact::Authority, row.form.organ.as_str().into());
    facts.insert(Fact::Receiver, row.form.receiver.as_str().into());
    facts.insert(Fact::ReceiverKey, row.form.receiver_key.as_slice().into());
    facts.insert(Fact::Carrier, row.form.carrier.as_str().into());
    facts.insert(Fact::Principal, row.executor.as_str().into());
    facts.insert(Fact::Unit, row.units.iter().map(UnitId::as_str).collect::<Vec<_>>().join(" ").into());
    decision.record(Act::SecretPropose, "B10", command.items.clone(), facts);
    Ok(Answer::Removal(Box::new(row)))
}

/// Takes one step of a removal.
pub(crate) fn step(decision: &mut Decision<'_>, command: &StepRemoval) -> Result<Answer, Stop> {
    let by = decision.authorize(step_act(&command.step))?;
    let mut row = read(&*decision.rows, command.removal)?;
    let items = about_items(decision, &row)?;
    within_units(&by, &row)?;
    match &command.step {
        RemovalStep::Approve => approve(decision, &mut row, &by, items)?,
        RemovalStep::Withdraw(reason) => withdraw(decision, &mut row, &by, items, reason)?,
        RemovalStep::FileSignature(signature) => file_signature(decision, &mut row, &by, items, signature)?,
        RemovalStep::DestroyCopy(copy, on, note) => {
            destroy_copy(decision, &mut row, &by, *copy, (*on, note))?;
        }
        RemovalStep::Close => close(decision, &mut row, &by)?,
    }
    Ok(Answer::Removal(Box::new(row)))
}

/// Which act a step is.
pub(crate) const fn step_act(step: &RemovalStep) -> Act {
    match step {
        RemovalStep::Approve => Act::SecretApprove,
        RemovalStep::Withdraw(_) => Act::SecretWithdraw,
        RemovalStep::FileSignature(_) => Act::SecretSign,
        RemovalStep::DestroyCopy(..) => Act::SecretCopy,
        RemovalStep::Close => Act::DisposalSign,
    }
}

/// First the secrecy office, then the head: what nobody has looked at for secrecy never comes before the head.
fn approve(
    decision: &mut Decision<'_>,
    row: &mut RemovalRow,
    by: &PrincipalRow,
    items: Vec<ItemId>,
) -> Result<(), Stop> {
    let (role, next) = match &row.state {
        RemovalState::Proposed => (Role::Secrecy, RemovalState::SecrecyApproved),
        RemovalState::SecrecyApproved => (Role::Head, RemovalState::Approved),
        RemovalState::Approved
        | RemovalState::Signed
        | RemovalState::Executed
        | RemovalState::Closed
        | RemovalState::Withdrawn(..) => return Err(wrong_state(row, "only a proposed removal is approved").into()),
    };
    if !by.roles.contains(&role) {
        let what = format!("approve removal {} now: {} is next", row.id, role.name());
        return Err(role_refused(by, &what, &[role], "B10").into());
    }
    check_person(&by.id, row)?;
    different_person(&by.id, &row.executor, "who executes a removal does not approve it")?;
    items.iter().try_for_each(|item| refuse_not_secret(&*decision.rows, *item))?;
    row.approvals.push(DisposalStepRow { by: by.id.clone(), at: decision.wall, seq: decision.next_seq() });
    row.state = next;
    write(decision.rows, row);
    let mut facts = facts(row);
    facts.insert(Fact::Role, role.name().into());
    decision.record(Act::SecretApprove, "B10", items, facts);
    Ok(())
}

fn withdraw(
    decision: &mut Decision<'_>,
    row: &mut RemovalRow,
    by: &PrincipalRow,
    items: Vec<ItemId>,
    reason: &str,
) -> Result<(), Stop> {
    check_reason(reason)?;
    if !row.is_open() {
        return Err(wrong_state(row, "what was executed cannot be taken back").into());
    }
    row.state = RemovalState::Withdrawn(by.id.clone(), reason.to_owned());
    items.iter().for_each(|item| DISPOSAL_BY_ITEM.remove(decision.rows, item));
    write(decision.rows, row);
    let mut facts = facts(row);
    facts.insert(Fact::ReasonGiven, reason.into());
    decision.record(Act::SecretWithdraw, "B10", items, facts);
    Ok(())
}

/// Files what the receiver signed. It is verified here, on every replica alike.
fn file_signature(
    decision: &mut Decision<'_>,
    row: &mut RemovalRow,
    by: &PrincipalRow,
    items: Vec<ItemId>,
    signature: &ByteVec,
) -> Result<(), Stop> {
    only_executor(row, by, "files what the receiver signed")?;
    if row.state != RemovalState::Approved {
        return Err(too_early(row, "the receiver signs what was approved and handed over").into());
    }
    if row.handed.is_none() {
        return Err(Refusal::new(
            Reason::WrongState,
            "B10",
            format!("the originals of {} are not handed over yet: there is nothing to sign for", row.id),
            format!("{} hands them over first: `strongroom secret hand-over {}`", row.executor, row.id),
        )
        .into());
    }
    let statement = statement(decision, row)?.to_bytes();
    if !is_signed(&row.form.receiver_key, &statement, signature) {
        return Err(Refusal::new(
            Reason::SignatureInvalid,
            "B10",
            format!("this is not the signature of {} over the statement of {}", row.form.receiver, row.id),
            format!(
                "the receiver compares the carrier with the statement and signs it: `strongroom secret sign`; another key or \
                 carrier takes a removal of its own: `strongroom secret withdraw {}`",
                row.id
            ),
        )
        .into());
    }
    let step = DisposalStepRow { by: by.id.clone(), at: decision.wall, seq: decision.next_seq() };
    row.signed = Some(SignedRow { signature: signature.clone(), step });
    row.state = RemovalState::Signed;
    write(decision.rows, row);
    let mut facts = facts(row);
    facts.insert(Fact::Statement, statement.as_slice().into());
    facts.insert(Fact::ReceiverKey, row.form.receiver_key.as_slice().into());
    facts.insert(Fact::Signature, signature.as_slice().into());
    decision.record(Act::SecretSign, "B10", items, facts);
    Ok(())
}

/// Executes a removal: the point of no return. An item that is no longer what was approved stops all of it: the
/// receiver has signed for exactly these.
pub(crate) fn execute(decision: &mut Decision<'_>, command: &ExecuteRemoval) -> Result<Answer, Stop> {
    let executor = decision.authorize(Act::SecretExecute)?;
    let mut row = read(&*decision.rows, command.removal)?;
    about_items(decision, &row)?;
    within_units(&executor, &row)?;
    let Some(signed) = row.signed.clone().filter(|_| row.state == RemovalState::Signed) else {
        return Err(too_early(&row, "only what was approved, handed over and signed for is executed").into());
    };
    only_executor(&row, &executor, "executes it")?;
    let among = (&row.units[..], &row.proposer);
    disposal::check_supervisors(decision, among, &executor, &command.supervisors)?;
    let mut listed = items(&*decision.rows, row.id)?;
    let mut going = Vec::new();
    for (id, of) in &mut listed {
        refuse_not_secret(&*decision.rows, *id)?;
        let item = sealed(&*decision.rows, *id)?;
        of.obligations = obligations(&*decision.rows, *id, &item)?;
        going.push((*id, item));
    }
    let statement = statement(decision, &row)?;
    let text = statement.to_bytes();
    let list = statement.erase_list().filter(|_| is_signed(&row.form.receiver_key, &text, &signed.signature));
    let list = list.ok_or_else(|| {
        let message = format!("what {} signed is not the statement of {}", row.form.receiver, row.id);
        Refusal::new(Reason::SignatureInvalid, "B10", message, "withdraw it and propose it again")
    })?;

    let seq = decision.next_seq();
    let step = DisposalStepRow { by: executor.id, at: decision.wall, seq };
    for (id, item) in &going {
        disposal::take_out(decision, *id, item, &Tombstone::removed(item, &row, &step))?;
    }
    listed.iter().for_each(|(id, of)| REMOVAL_ITEMS.write(decision.rows, &(row.id, *id), of));
    for found in &command.copies {
        list_copy(decision.rows, &mut row, found.clone());
    }
    row.state = RemovalState::Executed;
    let pending = erasure::expect(decision.rows, seq, number(row.id), &command.disks, &command.replicas)?;
    row.execution = Some(Box::new(ExecutionRow {
        step,
        supervisors: command.supervisors.clone(),
        disposed: row.items,
        dropped: 0,
        disks_pending: pending.disks,
        replicas_pending: pending.replicas,
        signatures: Vec::new(),
    }));
    write(decision.rows, &row);

    let mut facts = facts(&row);
    facts.extend(erasure::permit_facts(decision, Fact::RemovalRoot, &list)?);
    facts.insert(Fact::Statement, text.as_slice().into());
    facts.insert(Fact::ReceiverKey, row.form.receiver_key.as_slice().into());
    facts.insert(Fact::Signature, signed.signature.as_slice().into());
    facts.insert(Fact::DiskCount, (command.disks.len() as u64).into());
    facts.insert(Fact::ReplicaCount, (command.replicas.len() as u64).into());
    facts.insert(Fact::Count, u64::from(row.copies).into());
    facts.insert(Fact::Supervisors, names(&command.supervisors).into());
    let bound = obligations_digest(listed.iter().map(|(id, of)| (*id, of.obligations.clone())));
    facts.insert(Fact::Obligations, bound.as_slice().into());
    erasure::order_removal(decision.rows, seq, row.id, list);
    decision.record(Act::SecretExecute, "B10", going.into_iter().map(|(id, _)| id).collect(), facts);
    Ok(Answer::Removal(Box::new(row)))
}

/// Ticks one copy off.
fn destroy_copy(
    decision: &mut Decision<'_>,
    row: &mut RemovalRow,
    by: &PrincipalRow,
    copy: u64,
    (on, note): (UnixMillis, &str),
) -> Result<(), Stop> {
    check_reason(note)?;
    refuse_future(on, decision.wall)?;
    if row.state != RemovalState::Executed {
        return Err(wrong_state(row, "copies are ticked off when it is executed: only then they are all listed").into());
    }
    let key = (row.id, copy);
    let listed = SECRET_COPIES.read(&*decision.rows, &key)?;
    let mut listed = listed.ok_or_else(|| Refusal::not_found(format!("copy {copy} of {}", row.id)))?;
    if let Some(destroyed) = &listed.destroyed {
        return Err(Refusal::new(
            Reason::WrongState,
            "B10",
            format!("{} has ticked copy {copy} of {} off already", destroyed.step.by, row.id),
            "nothing needs to be done",
        )
        .into());
    }
    let step = DisposalStepRow { by: by.id.clone(), at: decision.wall, seq: decision.next_seq() };
    listed.destroyed = Some(DestroyedRow { on, note: note.to_owned(), step });
    SECRET_COPIES.write(decision.rows, &key, &listed);
    row.copies_open -= 1;
    write(decision.rows, row);
    let mut facts = facts(row);
    facts.insert(Fact::Entry, copy.into());
    facts.insert(Fact::At, on.into());
    facts.insert(Fact::Holder, listed.at.keeper.as_str().into());
    facts.insert(Fact::ReasonGiven, note.into());
    decision.record(Act::SecretCopy, "B10", Vec::new(), facts);
    Ok(())
}

/// A supervisor signs that nothing is left; the second one closes the removal.
fn close(decision: &mut Decision<'_>, row: &mut RemovalRow, by: &PrincipalRow) -> Result<(), Stop> {
    let (RemovalState::Executed, Some(mut execution)) = (row.state.clone(), row.execution.take()) else {
        return Err(wrong_state(row, "supervisors sign what was executed").into());
    };
    disposal::check_signing(&row.id.to_string(), &execution, by)?;
    if execution.disks_pending > 0 || execution.replicas_pending > 0 || row.copies_open > 0 {
        return Err(Refusal::new(
            Reason::DisposalIncomplete,
            "B10",
            format!(
                "removal {} is not complete: {} disks have not erased, {} replicas may hold keys, {} copies are open",
                row.id, execution.disks_pending, execution.replicas_pending, row.copies_open
            ),
            format!("`strongroom secret show {0}` lists them; `strongroom secret copies {0}` ticks a copy off", row.id),
        )
        .into());
    }
    let seq = decision.next_seq();
    execution.signatures.push(DisposalStepRow { by: by.id.clone(), at: decision.wall, seq });
    if execution.signatures.len() == disposal::SUPERVISORS_COUNT {
        row.state = RemovalState::Closed;
    }
    let mut facts = facts(row);
    facts.insert(Fact::Supervisors, names(&execution.supervisors).into());
    facts.insert(Fact::EraseCount, u64::from(execution.disposed).into());
    facts.insert(Fact::Order, execution.step.seq.0.into());
    row.execution = Some(execution);
    write(decision.rows, row);
    decision.record(Act::DisposalSign, "B10", Vec::new(), facts);
    Ok(())
}

/// What its executor hands over, where `by` is who may.
pub(crate) fn handing_over(
    rows: &(impl Rows + ?Sized),
    id: RemovalId,
    by: &PrincipalRow,
) -> Result<(RemovalRow, Vec<ItemId>), Stop> {
    let row = read(rows, id)?;
    only_executor(&row, by, "hands its originals over")?;
    within_units(by, &row)?;
    if row.state != RemovalState::Approved {
        return Err(
            too_early(&row, "originals are handed over when it is approved, until the receiver has signed").into()
        );
    }
    let items: Vec<_> = items(rows, id)?.into_iter().map(|(item, _)| item).collect();
    items.iter().try_for_each(|item| refuse_not_secret(rows, *item))?;
    Ok((row, items))
}

/// Notes that everything was handed over and verified.
pub(crate) fn handed_over(rows: &mut dyn Rows, id: RemovalId, step: DisposalStepRow) -> Result<(), Stop> {
    let mut row = read(&*rows, id)?;
    row.handed = Some(step);
    write(rows, &row);
    Ok(())
}

/// Refuses to read on for a removal that is not under way any more.
pub(crate) fn refuse_ended(rows: &(impl Rows + ?Sized), id: RemovalId) -> Result<(), Stop> {
    let row = read(rows, id)?;
    if matches!(row.state, RemovalState::Approved | RemovalState::Signed) {
        return Ok(());
    }
    let message = format!("removal {id} is {}: nothing is handed over under it", row.state.name());
    Err(Refusal::new(Reason::GrantEnded, "B10", message, "propose another").into())
}

/// The removal of this number.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`.
pub fn read(rows: &(impl Rows + ?Sized), id: RemovalId) -> Result<RemovalRow, Stop> {
    REMOVALS.read(rows, &newest_first(id.0))?.ok_or_else(|| Refusal::not_found(format!("removal {id}")).into())
}

/// The removal that has a number of the sequence that it shares with batches; none where a batch has it.
///
/// # Errors
/// [`RowError`] where the row cannot be read.
pub fn numbered(rows: &(impl Rows + ?Sized), number: BatchId) -> Result<Option<RemovalRow>, RowError> {
    REMOVALS.read(rows, &newest_first(number.0))
}

/// Under which number the parts of a removal are kept.
#[must_use]
pub const fn number(id: RemovalId) -> BatchId {
    BatchId(id.0)
}

/// Its items, by id.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn items(rows: &(impl Rows + ?Sized), id: RemovalId) -> Result<Vec<(ItemId, RemovalItemRow)>, RowError> {
    let stored = REMOVAL_ITEMS.scan(rows, &id, None, limits::REMOVAL_ITEMS_MAX)?;
    stored.into_iter().map(|(key, row)| Ok((erasure::last_item(REMOVAL_ITEMS.name, &key)?, row))).collect()
}

/// The copies that it lists, in order; those that the ledger tells of are found at the execution.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn copies(rows: &(impl Rows + ?Sized), id: RemovalId) -> Result<Vec<CopyRow>, RowError> {
    let stored = SECRET_COPIES.scan(rows, &id, None, limits::COPIES_MAX)?;
    Ok(stored.into_iter().map(|(_, row)| row).collect())
}

/// The items that were under a hold when they were removed, with their removal: a hold still tells of them.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn removed_under(rows: &(impl Rows + ?Sized), hold: &HoldId) -> Result<Vec<(ItemId, RemovalId)>, RowError> {
    let (name, mut found) = (format!("hold {hold}"), Vec::new());
    for (_, row) in REMOVALS.scan(rows, &(), None, limits::PAGE_ROWS_MAX)? {
        let under = |of: &RemovalItemRow| of.obligations.iter().any(|one| one.by == name);
        found.extend(items(rows, row.id)?.into_iter().filter(|(_, of)| under(of)).map(|(item, _)| (item, row.id)));
    }
    Ok(found)
}

/// What the receiver signs.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn statement_of(
    rows: &(impl Rows + ?Sized),
    cluster: strongroom_types::ClusterId,
    row: &RemovalRow,
) -> Result<Statement, RowError> {
    let stated = |(item, of): (ItemId, RemovalItemRow)| StatedItem {
        item,
        size_bytes: of.original.size_bytes,
        sha256: of.original.sha256,
        blake3: of.original.blake3,
    };
    Ok(Statement {
        cluster,
        removal: row.id,
        carrier: row.form.carrier.clone(),
        organ: row.form.organ.clone(),
        receiver: row.form.receiver.clone(),
        items: items(rows, row.id)?.into_iter().map(stated).collect(),
    })
}

/// Everything that keeps an item, as it would follow the bytes.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn obligations(rows: &(impl Rows + ?Sized), id: ItemId, item: &ItemRow) -> Result<Vec<Obligation>, RowError> {
    let kept = retention::kept(rows, id, item)?;
    let named: Vec<_> = kept.iter().map(|one| name_of(&one.by)).collect();
    let told = retention::explain(rows, item, kept)?;
    let obligation = |(by, told): (String, retention::KeepReason)| Obligation {
        by,
        rule: told.rule,
        text_zh: told.text_zh,
        text_en: told.text_en,
        until: told.until,
        seq: told.seq,
    };
    Ok(named.into_iter().zip(told).map(obligation).collect())
}

fn name_of(by: &Keeper) -> String {
    match by {
        Keeper::Floor => "floor".to_owned(),
        Keeper::Extension(who, _) => format!("extension by {who}"),
        Keeper::Trigger(code, _) => format!("trigger {code}"),
        Keeper::OpenCase(case) | Keeper::ArchivedCase(case) => format!("case {case}"),
        Keeper::Hold(hold, _) => format!("hold {hold}"),
        Keeper::Taken(_, profile) => format!("profile {profile}"),
    }
}

/// The digest by which an execution's record binds what follows its items: SHA-256 of the CBOR of items with their
/// obligations, by id. A certificate shows them in full.
#[must_use]
pub fn obligations_digest(listed: impl Iterator<Item = (ItemId, Vec<Obligation>)>) -> [u8; 32] {
    erasure::sha256(&encode(&listed.collect::<Vec<_>>()))
}

impl RemovalRow {
    /// Whether it can still be withdrawn.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        match self.state {
            RemovalState::Proposed | RemovalState::SecrecyApproved | RemovalState::Approved | RemovalState::Signed => {
                true
            }
            RemovalState::Executed | RemovalState::Closed | RemovalState::Withdrawn(..) => false,
        }
    }

    /// What is still missing before it is complete, in words that name who can give it.
    #[must_use]
    pub fn still_missing(&self) -> Vec<String> {
        let offices = ["approval by secrecy", "approval by head"];
        let before = match self.state {
            RemovalState::Proposed => 0,
            RemovalState::SecrecyApproved => 1,
            RemovalState::Approved => 2,
            RemovalState::Signed => 3,
            RemovalState::Executed => {
                let execution = self.execution.as_deref();
                let waits = [
                    (execution.map_or(0, |execution| execution.disks_pending), "disks to erase"),
                    (execution.map_or(0, |execution| execution.replicas_pending), "replicas with keys"),
                    (self.copies_open, "copies to be destroyed"),
                ];
                let mut missing: Vec<_> =
                    waits.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
                let unsigned = |name: &&PrincipalId| {
                    execution.is_some_and(|execution| execution.signatures.iter().all(|step| step.by != **name))
                };
                let supervisors = execution.map_or(&[][..], |execution| &execution.supervisors[..]);
                missing
                    .extend(supervisors.iter().filter(unsigned).map(|name| format!("signature of supervisor {name}")));
                return missing;
            }
            RemovalState::Closed | RemovalState::Withdrawn(..) => return Vec::new(),
        };
        let mut missing: Vec<_> = offices.iter().skip(before).map(|office| (*office).to_owned()).collect();
        if before < 3 {
            if self.handed.is_none() {
                missing.push(format!("hand-over by {}", self.executor));
            }
            missing.push(format!("signature of {}", self.form.receiver));
        }
        missing.push(format!("execution by {}", self.executor));
        missing
    }

    fn people(&self) -> impl Iterator<Item = (&PrincipalId, &'static str)> {
        std::iter::once((&self.proposer, "proposed")).chain(self.approvals.iter().map(|step| (&step.by, "approved")))
    }
}

pub(crate) fn write(rows: &mut dyn Rows, row: &RemovalRow) {
    REMOVALS.write(rows, &newest_first(row.id.0), row);
}

/// Lists a copy, up to a bound: the last row says that there are more.
fn list_copy(rows: &mut dyn Rows, row: &mut RemovalRow, at: CopyAt) {
    let count = u64::from(row.copies);
    if count >= limits::COPIES_MAX as u64 {
        return;
    }
    let at = if count + 1 == limits::COPIES_MAX as u64 {
        let place = "further copies: `strongroom item records` tells of them".to_owned();
        CopyAt { place, keeper: row.executor.to_string(), seq: None }
    } else {
        at
    };
    SECRET_COPIES.write(rows, &(row.id, count), &CopyRow { at, destroyed: None });
    row.copies += 1;
    row.copies_open += 1;
}

fn statement(decision: &Decision<'_>, row: &RemovalRow) -> Result<Statement, Stop> {
    let cluster = decision.cluster()?.cluster;
    Ok(statement_of(&*decision.rows, cluster, row)?)
}

fn facts(row: &RemovalRow) -> BTreeMap<Fact, Value> {
    BTreeMap::from([(Fact::Removal, row.id.into()), (Fact::State, row.state.name().into())])
}

/// The items of a removal; a refusal and the record name them.
fn about_items(decision: &mut Decision<'_>, row: &RemovalRow) -> Result<Vec<ItemId>, Stop> {
    let items: Vec<_> = items(&*decision.rows, row.id)?.into_iter().map(|(id, _)| id).collect();
    decision.about_all(&items);
    Ok(items)
}

fn check_form(command: &ProposeRemoval) -> Result<(), Refusal> {
    let form = &command.form;
    for (what, text) in
        [("the receiving organ", &form.organ), ("the receiver", &form.receiver), ("the carrier", &form.carrier)]
    {
        check_line(what, text)?;
    }
    check_reason(&form.basis)?;
    let (count, max) = (command.items.len(), limits::REMOVAL_ITEMS_MAX);
    if count == 0 || count > max {
        return Err(Refusal::invalid(format!("a removal names 1 to {max} items, not {count}")));
    }
    let distinct: BTreeSet<_> = command.items.iter().collect();
    if distinct.len() != count {
        return Err(Refusal::invalid("a removal names each item once"));
    }
    if command.copies.len() > limits::REMOVAL_ITEMS_MAX {
        return Err(Refusal::invalid(format!("a proposal tells of at most {max} copies")));
    }
    for copy in &command.copies {
        check_line("the place of a copy", &copy.place)?;
        check_line("who must destroy a copy", &copy.keeper)?;
    }
    Ok(())
}

/// One line of text: it stands in a statement that a person reads and signs.
fn check_line(what: &str, text: &str) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::new(Reason::FieldMissing, "B10", format!("{what} is empty"), "fill it in"));
    }
    let max = limits::BASIS_BYTES_MAX;
    if text.len() > max || text.trim() != text || text.chars().any(char::is_control) {
        return Err(Refusal::invalid(format!("{what} is one line of at most {max} bytes without outer spaces")));
    }
    Ok(())
}

/// Whoever is named to hand over and execute can do both, and has not proposed it.
fn check_executor(rows: &(impl Rows + ?Sized), proposer: &PrincipalRow, name: &PrincipalId) -> Result<(), Stop> {
    let known = access::principal(rows, name)?.filter(|known| known.revoked_at.is_none());
    let executor = known.ok_or_else(|| Refusal::not_found(format!("principal {name} with access")))?;
    different_person(name, &proposer.id, "who proposes a removal does not execute it")?;
    leave::refuse_leaving(rows, name)?;
    if executor.roles.iter().any(|role| Act::SecretExecute.roles().contains(role)) {
        return Ok(());
    }
    Err(role_refused(&executor, "execute a removal", Act::SecretExecute.roles(), "B10").into())
}

fn check_person(who: &PrincipalId, row: &RemovalRow) -> Result<(), Refusal> {
    row.people()
        .try_for_each(|(other, step)| different_person(who, other, &format!("{other} {step} removal {}", row.id)))
}

fn only_executor(row: &RemovalRow, by: &PrincipalRow, what: &str) -> Result<(), Refusal> {
    if by.id == row.executor {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::NotYourStep,
        "B10",
        format!("{} is not the executor of removal {}: {} {what}", by.id, row.id, row.executor),
        format!("ask {}", row.executor),
    ))
}

fn within_units(principal: &PrincipalRow, row: &RemovalRow) -> Result<(), Refusal> {
    row.units.iter().try_for_each(|unit| within_unit(principal, unit))
}

fn wrong_state(row: &RemovalRow, remedy: &str) -> Refusal {
    let state = match &row.state {
        RemovalState::Withdrawn(by, why) => format!("withdrawn by {by}: {why}"),
        RemovalState::Proposed
        | RemovalState::SecrecyApproved
        | RemovalState::Approved
        | RemovalState::Signed
        | RemovalState::Executed
        | RemovalState::Closed => row.state.name().to_owned(),
    };
    Refusal::new(Reason::WrongState, "B10", format!("removal {} is {state}", row.id), remedy)
}

/// As [`wrong_state`], for what comes later than where it stands: says what is missing, and by whom.
fn too_early(row: &RemovalRow, remedy: &str) -> Refusal {
    let reason = match row.state {
        RemovalState::Proposed | RemovalState::SecrecyApproved => Reason::ApprovalMissing,
        RemovalState::Approved => Reason::SignatureInvalid,
        RemovalState::Signed | RemovalState::Executed | RemovalState::Closed | RemovalState::Withdrawn(..) => {
            return wrong_state(row, remedy);
        }
    };
    let missing = row.still_missing().join(", ");
    Refusal::new(reason, "B10", format!("removal {} is {}; missing: {missing}", row.id, row.state.name()), remedy)
}

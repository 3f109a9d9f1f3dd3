//! People leave 离岗 (requirements B10, R-000-3): what waits for them is another's from a date, their access ends, and
//! their name stays wherever it stands.
//!
//! ```text
//!  leave(security: date, successor) ──▶ noted ──tick at the date──▶ left
//!                                         └──stay──▶ (as before)
//! ```
//! Nobody leaves who holds a device or owes recordings, who has to sign a disposal, or who alone holds an office that
//! decides. Posts that carry a name, of custodians and deputies, go to the successor at the date. What is decided by
//! office waits for whoever else holds the office: a request names no approver. Mandates that they hold or lent end with
//! their access, and the record names them: a right of somebody who is gone is nobody's.

use std::collections::BTreeMap;

use strongroom_types::{
    BatchId, DeviceId, PrincipalId, Reason, RecordSeq, Refusal, RemovalId, RequestId, Role, UnitId, UnixMillis,
    rows::{RowError, Rows},
};

use crate::{
    Act, Answer, Fact,
    access::{self, Stop, different_person, within_unit},
    apply::Decision,
    clearance, clock,
    correction::RoleStepRow,
    device::{self, Tie, What, finding_fact},
    disposal::{BatchState, ExecutionRow},
    item::unit_of,
    keeper::KeeperTerm,
    keeping::check_given,
    mandate::{self, Mandate, MandateEnd},
    notice, register,
    removal::RemovalState,
    request::{self, RequestState},
    tables::{DEVICES, DISPOSALS, KEEPERS, LEAVES, LEAVES_DUE, PRINCIPALS, PrincipalRow, REMOVALS, REQUESTS, UNITS},
    transfer::reaches_item,
    unit_change::{each, every, not_past},
};

/// Most people whose access one tick ends; the next tick goes on.
const PER_TICK: usize = 16;
/// Offices that decide something: one of them is never left empty.
const OFFICES: [Role; 8] = [
    Role::Custodian,
    Role::UnitHead,
    Role::Legal,
    Role::Archivist,
    Role::Approver,
    Role::Head,
    Role::Security,
    Role::Secrecy,
];

/// Somebody who leaves, or has left.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct LeaveRow {
    /// Who.
    #[n(0)]
    pub person: PrincipalId,
    /// Who has their posts afterwards.
    #[n(1)]
    pub to: PrincipalId,
    /// The date.
    #[n(2)]
    pub on: UnixMillis,
    /// Why.
    #[n(3)]
    pub reason: String,
    /// Who noted it.
    #[n(4)]
    pub noted: RoleStepRow,
    /// What became of it; none before the date.
    #[n(5)]
    pub left: Option<LeftRow>,
}

/// The end of somebody's access at the date.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct LeftRow {
    /// When.
    #[n(0)]
    pub at: UnixMillis,
    /// Its record.
    #[n(1)]
    pub seq: RecordSeq,
    /// Posts of custodians and deputies that went to the successor.
    #[n(2)]
    pub posts: u64,
    /// Devices that did.
    #[n(3)]
    pub devices: u64,
    /// Findings, such as `DEVICES_OUTSTANDING`.
    #[n(4)]
    pub findings: Vec<String>,
    /// Mandates that they held or lent, and that ended.
    #[n(5)]
    pub mandates: u64,
}

/// Notes that somebody leaves.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct LeavePrincipal {
    /// Who.
    #[n(0)]
    pub person: PrincipalId,
    /// From when; none means at once.
    #[n(1)]
    pub on: Option<UnixMillis>,
    /// Who has their posts afterwards.
    #[n(2)]
    pub to: PrincipalId,
    /// Why.
    #[n(3)]
    pub reason: String,
}

/// Takes back that somebody leaves, before the date.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct StayPrincipal {
    /// Who.
    #[n(0)]
    pub person: PrincipalId,
    /// Why.
    #[n(1)]
    pub reason: String,
}

pub(crate) fn leave(decision: &mut Decision<'_>, command: &LeavePrincipal) -> Result<Answer, Stop> {
    let security = decision.authorize(Act::PrincipalLeave)?;
    check_given("the reason", &command.reason, "B10")?;
    let person = register::active(decision, &command.person)?;
    register::reaches(&security, person.unit.as_ref())?;
    let on = check(decision.rows, &security.id, &person, command, decision.wall)?;
    let seq = decision.next_seq();
    let noted = RoleStepRow { by: security.id, role: Role::Security, at: decision.wall, seq };
    let row = LeaveRow {
        person: person.id.clone(),
        to: command.to.clone(),
        on,
        reason: command.reason.clone(),
        noted,
        left: None,
    };
    LEAVES.write(decision.rows, &row.person, &row);
    LEAVES_DUE.write(decision.rows, &(on, row.person.clone()), &row.person);
    let facts = BTreeMap::from([
        (Fact::Principal, row.person.as_str().into()),
        (Fact::Receiver, row.to.as_str().into()),
        (Fact::EffectiveAt, on.into()),
        (Fact::ReasonGiven, row.reason.as_str().into()),
    ]);
    decision.record(Act::PrincipalLeave, "B10", Vec::new(), facts);
    Ok(Answer::Recorded(seq))
}

pub(crate) fn stay(decision: &mut Decision<'_>, command: &StayPrincipal) -> Result<Answer, Stop> {
    let security = decision.authorize(Act::PrincipalLeave)?;
    check_given("the reason", &command.reason, "G9")?;
    let person = register::active(decision, &command.person)?;
    register::reaches(&security, person.unit.as_ref())?;
    let row = waiting(decision.rows, &command.person)?
        .ok_or_else(|| Refusal::not_found(format!("date on which {} leaves", command.person)))?;
    LEAVES.remove(decision.rows, &row.person);
    LEAVES_DUE.remove(decision.rows, &(row.on, row.person.clone()));
    let facts = BTreeMap::from([
        (Fact::Principal, row.person.as_str().into()),
        (Fact::State, "stays".into()),
        (Fact::ReasonGiven, command.reason.as_str().into()),
    ]);
    Ok(Answer::Recorded(decision.record(Act::PrincipalLeave, "B10", Vec::new(), facts)))
}

/// Whether this person can leave in favour of that one; from when.
///
/// # Errors
/// [`Stop`] with the first reason against it.
fn check(
    rows: &(impl Rows + ?Sized),
    by: &PrincipalId,
    person: &PrincipalRow,
    command: &LeavePrincipal,
    now: UnixMillis,
) -> Result<UnixMillis, Stop> {
    different_person(by, &person.id, "nobody notes that they leave themselves")?;
    different_person(&person.id, &command.to, "who leaves is not their own successor")?;
    let on = not_past(command.on, now, "somebody would have left")?;
    if let Some(row) = waiting(rows, &person.id)? {
        return Err(Refusal::new(
            Reason::WrongState,
            "B10",
            format!("it is noted already that {} leaves on {} (record {})", person.id, row.on, row.noted.seq),
            format!("take it back first: `strongroom principal stay {}`", person.id),
        )
        .into());
    }
    clearance::refuse_owing(rows, &person.id, "leave")?;
    let tasks = tasks(rows, person)?;
    if let Some(batch) = tasks.batches.first() {
        return Err(Refusal::new(
            Reason::WrongState,
            "C4",
            format!("{} supervises the disposal {batch} and has not signed it", person.id),
            "nobody else can: sign it first, `strongroom disposal sign`",
        )
        .into());
    }
    if let Some(removal) = tasks.removals.first() {
        return Err(Refusal::new(
            Reason::WrongState,
            "B10",
            format!("{} executes or supervises the removal {removal}, which is not closed", person.id),
            "nobody else can: finish it first, or withdraw it: `strongroom secret show`",
        )
        .into());
    }
    if let Some(other) = tasks.successor_of.first() {
        return Err(Refusal::new(
            Reason::WrongState,
            "B10",
            format!("{other} leaves too, and their posts go to {}", person.id),
            format!("name another successor of {other} first: `strongroom principal stay {other}`"),
        )
        .into());
    }
    check_successor(rows, person, &command.to, &tasks)?;
    refuse_empty_office(rows, person)?;
    Ok(on)
}

/// The successor has access, reaches what the person reached, and can hold their posts.
fn check_successor(
    rows: &(impl Rows + ?Sized),
    person: &PrincipalRow,
    id: &PrincipalId,
    tasks: &Tasks,
) -> Result<(), Stop> {
    let known = access::principal(rows, id)?.filter(|known| known.revoked_at.is_none());
    let to = known.ok_or_else(|| Refusal::not_found(format!("principal {id} with access")))?;
    refuse_leaving(rows, id)?;
    match &person.unit {
        Some(unit) => within_unit(&to, unit)?,
        None => access::whole_agency(&to)?,
    }
    let posts = !tasks.posts.is_empty() || !tasks.device_posts.is_empty();
    if posts && !to.roles.contains(&Role::Custodian) {
        let what = format!("keep what {} keeps", person.id);
        return Err(access::role_refused(&to, &what, &[Role::Custodian], "C5").into());
    }
    Ok(())
}

/// An office that decides is not left empty: what waits for it would wait for ever.
fn refuse_empty_office(rows: &(impl Rows + ?Sized), person: &PrincipalRow) -> Result<(), Stop> {
    let mut empty: Vec<Role> = OFFICES.into_iter().filter(|role| person.roles.contains(role)).collect();
    for other in every(&PRINCIPALS, rows)? {
        if empty.is_empty() {
            return Ok(());
        }
        if other.id == person.id || other.revoked_at.is_some() || waiting(rows, &other.id)?.is_some() {
            continue;
        }
        if other.unit.is_none() || other.unit == person.unit {
            empty.retain(|role| !other.roles.contains(role));
        }
    }
    let Some(role) = empty.first() else { return Ok(()) };
    let place = person.unit.as_ref().map_or_else(|| "the whole agency".to_owned(), |unit| format!("unit {unit}"));
    Err(Refusal::new(
        Reason::WrongState,
        "B10",
        format!("nobody but {} is {role} for {place}: what waits for that office would wait for ever", person.id),
        format!("the security officer registers somebody first: `strongroom principal register --role {role}`"),
    )
    .into())
}

/// Ends the access of those whose date has come. Every tick of the clock does this.
pub(crate) fn take_effect(decision: &mut Decision<'_>) -> Result<(), Stop> {
    // By the calendar: the compliance clock, which an outage sets behind for good, would let them in for longer.
    let now = decision.wall;
    for (_, person) in LEAVES_DUE.scan(decision.rows, &(), None, PER_TICK)? {
        let corrupt = || RowError::Corrupt { table: LEAVES.name, detail: format!("{person} is due and not there") };
        let row = LEAVES.read(decision.rows, &person)?.ok_or_else(corrupt)?;
        if row.on > now {
            break;
        }
        LEAVES_DUE.remove(decision.rows, &(row.on, person.clone()));
        end(decision, row)?;
    }
    Ok(())
}

/// Ends it whatever has come up since it was noted: access that is to end does, and the rest is a finding.
fn end(decision: &mut Decision<'_>, mut row: LeaveRow) -> Result<(), Stop> {
    let corrupt = || RowError::Corrupt { table: PRINCIPALS.name, detail: format!("{} is not there", row.person) };
    let mut person = PRINCIPALS.read(decision.rows, &row.person)?.ok_or_else(corrupt)?;
    let mut findings = Vec::new();
    if clearance::ties(decision.rows, &row.person)?.iter().any(|(_, tie)| tie.is_owed()) {
        findings.push("DEVICES_OUTSTANDING".to_owned());
    }
    let stands = PRINCIPALS.read(decision.rows, &row.to)?.is_some_and(|to| to.revoked_at.is_none());
    let (mut posts, mut devices) = (0, 0);
    if stands {
        posts = hand_over_posts(decision, &row)?;
        devices = hand_over_devices(decision, &row)?;
    } else {
        findings.push("SUCCESSOR_GONE".to_owned());
    }
    if let (Some(unit), false) = (&person.unit, findings.is_empty()) {
        notice::give(decision, unit, &findings.join(" "), None, None)?;
    }
    if person.revoked_at.is_none() {
        person.revoked_at = Some(decision.wall);
        PRINCIPALS.write(decision.rows, &row.person, &person);
    }
    let mut facts = BTreeMap::from([
        (Fact::Principal, row.person.as_str().into()),
        (Fact::Key, person.key.as_bytes().as_slice().into()),
        (Fact::Receiver, row.to.as_str().into()),
        (Fact::Count, (posts + devices).into()),
        (Fact::Proposal, row.noted.seq.0.into()),
    ]);
    finding_fact(&mut facts, &findings);
    let ended = mandate::of_leaver(decision.rows, &row.person, decision.wall)?;
    if !ended.is_empty() {
        let line = |(holder, mandate): &(PrincipalId, Mandate)| format!("{holder} {}", mandate.seq);
        facts.insert(Fact::MandatesEnded, ended.iter().map(line).collect::<Vec<_>>().join("\n").into());
    }
    let seq = decision.record(Act::PrincipalLeft, "B10", Vec::new(), facts);
    for (holder, mandate) in &ended {
        let (by, reason) = (row.noted.by.clone(), row.reason.clone());
        mandate::end(decision.rows, holder, mandate.seq, MandateEnd { by, at: decision.wall, reason, seq })?;
    }
    let mandates = ended.len() as u64;
    row.left = Some(LeftRow { at: decision.wall, seq, posts, devices, findings, mandates });
    LEAVES.write(decision.rows, &row.person, &row);
    Ok(())
}

fn hand_over_posts(decision: &mut Decision<'_>, row: &LeaveRow) -> Result<u64, Stop> {
    let (now, seq) = (decision.wall, decision.next_seq());
    let mut moved = 0;
    for unit in every(&UNITS, &*decision.rows)? {
        let Some(mut keepers) = KEEPERS.read(decision.rows, &unit.id)? else { continue };
        let held: Vec<_> = keepers.held_by(&row.person, now).cloned().collect();
        if held.is_empty() {
            continue;
        }
        keepers.terms.retain(|term| !held.contains(term));
        for term in &held {
            keepers.terms.push(KeeperTerm {
                principal: row.to.clone(),
                from: term.from.max(now),
                until: term.until,
                seq,
            });
        }
        moved += held.len() as u64;
        KEEPERS.write(decision.rows, &unit.id, &keepers);
    }
    Ok(moved)
}

fn hand_over_devices(decision: &mut Decision<'_>, row: &LeaveRow) -> Result<u64, Stop> {
    let mut moved = 0;
    for id in kept_by(&*decision.rows, &row.person)? {
        let mut custody = device::custody(decision.rows, &id)?;
        custody.custodian = Some(row.to.clone());
        device::enter(decision, &id, &mut custody, None, What::Keeper(row.to.clone()));
        device::write(decision.rows, &id, &custody);
        moved += 1;
    }
    Ok(moved)
}

/// Devices that have this person as a custodian of their own.
fn kept_by(rows: &(impl Rows + ?Sized), person: &PrincipalId) -> Result<Vec<DeviceId>, Stop> {
    let mut kept = Vec::new();
    for row in every(&DEVICES, rows)? {
        if device::custody(rows, &row.id)?.custodian.as_ref() == Some(person) {
            kept.push(row.id);
        }
    }
    Ok(kept)
}

/// Refuses to give something new to somebody who is about to leave.
///
/// # Errors
/// [`Stop`] with `WRONG_STATE`.
pub(crate) fn refuse_leaving(rows: &(impl Rows + ?Sized), id: &PrincipalId) -> Result<(), Stop> {
    let Some(row) = waiting(rows, id)? else { return Ok(()) };
    Err(Refusal::new(
        Reason::WrongState,
        "B10",
        format!("{id} leaves on {} (record {})", row.on, row.noted.seq),
        format!("name {}, who has their posts then, or another", row.to),
    )
    .into())
}

/// That somebody leaves, where it is noted and the date has not come.
fn waiting(rows: &(impl Rows + ?Sized), id: &PrincipalId) -> Result<Option<LeaveRow>, RowError> {
    Ok(LEAVES.read(rows, id)?.filter(|row| row.left.is_none()))
}

/// What waits for somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tasks {
    /// Devices that they hold, owe recordings on or lost.
    pub devices: Vec<(DeviceId, Tie)>,
    /// Posts of custodians and deputies that run or are to come.
    pub posts: Vec<(UnitId, KeeperTerm)>,
    /// Mandates that they hold, or lent of their own, with their holders: these end with their access.
    pub mandates: Vec<(PrincipalId, Mandate)>,
    /// Devices that have them as a custodian of their own.
    pub device_posts: Vec<DeviceId>,
    /// Disposals that they supervise and have not signed.
    pub batches: Vec<BatchId>,
    /// Removals that they are to execute, or supervise and have not signed.
    pub removals: Vec<RemovalId>,
    /// People who leave in their favour.
    pub successor_of: Vec<PrincipalId>,
}

/// What waits for somebody by name.
///
/// # Errors
/// [`Stop`] where a row cannot be read.
pub fn tasks(rows: &(impl Rows + ?Sized), person: &PrincipalRow) -> Result<Tasks, Stop> {
    let id = &person.id;
    let now = clock::read(rows)?.wall;
    let mut tasks = Tasks {
        devices: clearance::ties(rows, id)?,
        device_posts: kept_by(rows, id)?,
        mandates: mandate::of_leaver(rows, id, now)?,
        ..Tasks::default()
    };
    for unit in every(&UNITS, rows)? {
        if let Some(keepers) = KEEPERS.read(rows, &unit.id)? {
            tasks.posts.extend(keepers.held_by(id, now).map(|term| (unit.id.clone(), term.clone())));
        }
    }
    each(&DISPOSALS, rows, |batch| {
        if let (BatchState::Executed, Some(execution)) = (&batch.state, &batch.execution) {
            let signed = execution.signatures.iter().any(|step| step.by == *id);
            if execution.supervisors.contains(id) && !signed {
                tasks.batches.push(batch.id);
            }
        }
        Ok(())
    })?;
    each(&REMOVALS, rows, |removal| {
        let unsigned = |execution: &ExecutionRow| {
            execution.supervisors.contains(id) && execution.signatures.iter().all(|step| step.by != *id)
        };
        let signs = removal.state == RemovalState::Executed && removal.execution.as_deref().is_some_and(unsigned);
        if signs || (removal.is_open() && removal.executor == *id) {
            tasks.removals.push(removal.id);
        }
        Ok(())
    })?;
    for row in every(&LEAVES, rows)? {
        if row.to == *id && row.left.is_none() {
            tasks.successor_of.push(row.person);
        }
    }
    Ok(tasks)
}

/// Requests that wait and that this person could decide now; others who hold the office can too.
///
/// # Errors
/// [`Stop`] where a row cannot be read.
pub fn decidable(rows: &(impl Rows + ?Sized), person: &PrincipalRow) -> Result<Vec<RequestId>, Stop> {
    let mut found = Vec::new();
    each(&REQUESTS, rows, |row| {
        let spoken = row.approvals.iter().any(|approval| approval.approver == person.id);
        if row.state != RequestState::Pending || row.requester == person.id || spoken {
            return Ok(());
        }
        let given: Vec<_> = row.approvals.iter().map(|approval| approval.role).collect();
        let open = request::rule_of_row(rows, &row)?.approvers.open_roles(&given);
        if open.iter().any(|role| person.roles.contains(role)) && reaches_all(rows, person, &row.items)? {
            found.push(row.id);
        }
        Ok(())
    })?;
    Ok(found)
}

fn reaches_all(
    rows: &(impl Rows + ?Sized),
    person: &PrincipalRow,
    items: &[strongroom_types::ItemId],
) -> Result<bool, Stop> {
    for id in items {
        let Some(unit) = unit_of(rows, *id)? else { continue };
        match reaches_item(rows, person, *id, &unit) {
            Ok(()) => {}
            Err(Stop::Refused(_)) => return Ok(false),
            Err(error @ Stop::Rows(_)) => return Err(error),
        }
    }
    Ok(true)
}

/// What stands against somebody's leaving in favour of another now; nothing where nothing does. Nothing is written.
///
/// # Errors
/// [`Stop`] where a row cannot be read.
pub fn against(
    rows: &(impl Rows + ?Sized),
    by: &PrincipalId,
    command: &LeavePrincipal,
) -> Result<Option<Refusal>, Stop> {
    let known = access::principal(rows, &command.person)?.filter(|known| known.revoked_at.is_none());
    let person = known.ok_or_else(|| Refusal::not_found(format!("principal {} with access", command.person)))?;
    match check(rows, by, &person, command, clock::read(rows)?.wall) {
        Ok(_) => Ok(None),
        Err(Stop::Refused(refusal)) => Ok(Some(refusal)),
        Err(error @ Stop::Rows(_)) => Err(error),
    }
}

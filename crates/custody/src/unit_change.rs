//! What becomes of units: a new name, a merger 合并, a split 拆分, an abolition 撤销 (requirements B10).
//!
//! ```text
//!  propose(security) ──▶ waits ──approve(legal or head, another person)──▶ due ──tick at the date──▶ in effect
//!                          └──────────────withdraw──────────────────────────┘
//! ```
//! Where powers move, a second person approves, and for 24 hours of compliance time after that anybody who may approve
//! can withdraw; a new name moves nothing and takes one person. At the date people move with their rights; cases,
//! devices and people that a split names go where it says, the rest goes to the main successor. Items, requests and
//! records keep the unit that made them.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_types::{
    CaseId, DeviceId, PrincipalId, Reason, RecordSeq, Refusal, Role, UnitId, UnixMillis, limits,
    rows::{RowError, Rows, Table},
};

use crate::{
    Act, Answer, Fact, Value,
    access::{Stop, different_person, whole_agency},
    apply::Decision,
    case::{self, CaseState},
    clock,
    correction::RoleStepRow,
    device::{self, What},
    item::unit_of,
    keeping::check_given,
    proposal::{ProposalApproval, WITHDRAWABLE_MS},
    request::RequestState,
    tables::{CASES, DEVICES, NOTICES, PRINCIPALS, REQUESTS, UNIT_CHANGES, UNIT_FORMERS, UNIT_NAMES, UNITS},
    transfer,
    unit::{self, FormerName, UnitEnd},
    upload::newest_profile,
};

/// Most changes that one tick puts in effect; the next tick goes on.
const PER_TICK: usize = 4;

/// What becomes of units.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum UnitChange {
    /// A unit takes a new full name; its short name is for good.
    #[n(0)]
    Rename(#[n(0)] UnitId, #[n(1)] String),
    /// Units become part of another, which is there already.
    #[n(1)]
    Merge(#[n(0)] Vec<UnitId>, #[n(1)] UnitId),
    /// A unit is divided among others, the main one first; what is named goes where it says.
    #[n(2)]
    Split(#[n(0)] UnitId, #[n(1)] Vec<UnitId>, #[n(2)] Vec<Moved>),
    /// A unit ends, and another has its powers.
    #[n(3)]
    Abolish(#[n(0)] UnitId, #[n(1)] UnitId),
}

/// Something that goes to a successor which is not the main one.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Moved {
    /// What.
    #[n(0)]
    pub what: Subject,
    /// Where.
    #[n(1)]
    pub to: UnitId,
}

/// What a split can name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, minicbor::Encode, minicbor::Decode)]
pub enum Subject {
    /// A case.
    #[n(0)]
    Case(#[n(0)] CaseId),
    /// A device.
    #[n(1)]
    Device(#[n(0)] DeviceId),
    /// A person or a station.
    #[n(2)]
    Person(#[n(0)] PrincipalId),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Case(case) => write!(f, "case {case}"),
            Self::Device(device) => write!(f, "device {device}"),
            Self::Person(person) => write!(f, "person {person}"),
        }
    }
}

impl UnitChange {
    /// As one word.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Rename(..) => "rename",
            Self::Merge(..) => "merge",
            Self::Split(..) => "split",
            Self::Abolish(..) => "abolish",
        }
    }

    /// Units that end with it.
    #[must_use]
    pub fn ending(&self) -> &[UnitId] {
        match self {
            Self::Rename(..) => &[],
            Self::Merge(units, _) => units,
            Self::Split(unit, ..) | Self::Abolish(unit, _) => std::slice::from_ref(unit),
        }
    }

    /// Units that have their powers afterwards, the main one first.
    #[must_use]
    pub fn successors(&self) -> &[UnitId] {
        match self {
            Self::Rename(..) => &[],
            Self::Split(_, successors, _) => successors,
            Self::Merge(_, successor) | Self::Abolish(_, successor) => std::slice::from_ref(successor),
        }
    }

    /// What goes to another than the main successor.
    #[must_use]
    pub fn moved(&self) -> &[Moved] {
        match self {
            Self::Split(_, _, moved) => moved,
            Self::Rename(..) | Self::Merge(..) | Self::Abolish(..) => &[],
        }
    }

    /// Units that nothing else may become of while it waits.
    fn subjects(&self) -> &[UnitId] {
        match self {
            Self::Rename(unit, _) => std::slice::from_ref(unit),
            Self::Merge(..) | Self::Split(..) | Self::Abolish(..) => self.ending(),
        }
    }
}

/// A change that waits.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct UnitChangeRow {
    /// What becomes of which units.
    #[n(0)]
    pub change: UnitChange,
    /// Not before this date.
    #[n(1)]
    pub from: UnixMillis,
    /// The decision that it rests on 依据.
    #[n(2)]
    pub basis: String,
    /// Who proposed it.
    #[n(3)]
    pub proposed_by: PrincipalId,
    /// When.
    #[n(4)]
    pub proposed_at: UnixMillis,
    /// Record of the proposal, by which an approval names it.
    #[n(5)]
    pub seq: RecordSeq,
    /// Its approval; a new name needs none.
    #[n(6)]
    pub approval: Option<ProposalApproval>,
}

impl UnitChangeRow {
    /// The earliest that it takes effect; none while an approval is missing.
    #[must_use]
    pub fn effective_at(&self) -> Option<UnixMillis> {
        match &self.change {
            UnitChange::Rename(..) => Some(self.from),
            UnitChange::Merge(..) | UnitChange::Split(..) | UnitChange::Abolish(..) => {
                self.approval.as_ref().map(|approval| approval.effective_at.max(self.from))
            }
        }
    }

    /// The date is one of the calendar, the time in which it can be withdrawn one of the compliance clock, which an
    /// outage sets behind for good.
    fn is_due(&self, wall: UnixMillis, t: UnixMillis) -> bool {
        let past_withdrawing = match &self.change {
            UnitChange::Rename(..) => true,
            UnitChange::Merge(..) | UnitChange::Split(..) | UnitChange::Abolish(..) => {
                self.approval.as_ref().is_some_and(|approval| approval.effective_at <= t)
            }
        };
        self.from <= wall && past_withdrawing
    }
}

/// Proposes what becomes of units.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ProposeUnitChange {
    /// What.
    #[n(0)]
    pub change: UnitChange,
    /// From when; none means as soon as it may.
    #[n(1)]
    pub from: Option<UnixMillis>,
    /// The decision that it rests on.
    #[n(2)]
    pub basis: String,
}

/// Approves a change that waits.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ApproveUnitChange {
    /// Record of the proposal that the approver has read.
    #[n(0)]
    pub proposal: RecordSeq,
}

/// Withdraws a change before it takes effect.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct WithdrawUnitChange {
    /// Record of the proposal.
    #[n(0)]
    pub proposal: RecordSeq,
    /// Why.
    #[n(1)]
    pub reason: String,
}

pub(crate) fn propose(decision: &mut Decision<'_>, command: &ProposeUnitChange) -> Result<Answer, Stop> {
    let security = decision.authorize(Act::UnitPropose)?;
    whole_agency(&security)?;
    check_given("the basis", &command.basis, "B10")?;
    check(decision.rows, &command.change)?;
    let from = not_past(command.from, decision.wall, "powers would have moved")?;
    let seq = decision.next_seq();
    let row = UnitChangeRow {
        change: command.change.clone(),
        from,
        basis: command.basis.clone(),
        proposed_by: security.id,
        proposed_at: decision.wall,
        seq,
        approval: None,
    };
    UNIT_CHANGES.write(decision.rows, &row.seq, &row);
    let mut facts = facts(&row);
    facts.insert(Fact::From, from.into());
    facts.insert(Fact::Basis, row.basis.as_str().into());
    if let UnitChange::Rename(_, name) = &row.change {
        facts.insert(Fact::After, name.as_str().into());
    }
    decision.record(Act::UnitPropose, "B10", Vec::new(), facts);
    Ok(Answer::Recorded(seq))
}

pub(crate) fn approve(decision: &mut Decision<'_>, command: &ApproveUnitChange) -> Result<Answer, Stop> {
    let approver = decision.authorize(Act::UnitApprove)?;
    whole_agency(&approver)?;
    let mut row = waiting(decision.rows, command.proposal)?;
    if let Some(due) = row.effective_at() {
        let why = match &row.approval {
            Some(approval) => format!("{} approved it before; it takes effect at {due}", approval.approver),
            None => format!("a new name takes no approval; it takes effect at {due}"),
        };
        return Err(Refusal::new(Reason::WrongState, "B10", why, "withdraw it, if it is wrong").into());
    }
    different_person(&approver.id, &row.proposed_by, "who proposes what becomes of a unit does not approve it")?;
    let able = |role: &Role| Act::UnitApprove.roles().contains(role);
    let role =
        approver.roles.iter().copied().find(able).expect("the table of acts let somebody without a role through");
    let effective_at = clock::read(decision.rows)?.t.plus_ms(WITHDRAWABLE_MS);
    let seq = decision.next_seq();
    row.approval = Some(ProposalApproval { approver: approver.id, role, at: decision.wall, seq, effective_at });
    UNIT_CHANGES.write(decision.rows, &row.seq, &row);
    let mut facts = facts(&row);
    facts.insert(Fact::Role, role.name().into());
    facts.insert(Fact::EffectiveAt, effective_at.max(row.from).into());
    decision.record(Act::UnitApprove, "B10", Vec::new(), facts);
    Ok(Answer::Recorded(seq))
}

pub(crate) fn withdraw(decision: &mut Decision<'_>, command: &WithdrawUnitChange) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::UnitWithdraw)?;
    whole_agency(&who)?;
    check_given("the reason", &command.reason, "G9")?;
    let row = waiting(decision.rows, command.proposal)?;
    UNIT_CHANGES.remove(decision.rows, &row.seq);
    let mut facts = facts(&row);
    facts.insert(Fact::ReasonGiven, command.reason.as_str().into());
    Ok(Answer::Recorded(decision.record(Act::UnitWithdraw, "B10", Vec::new(), facts)))
}

/// The change that waits under this record.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`.
pub fn waiting(rows: &(impl Rows + ?Sized), proposal: RecordSeq) -> Result<UnitChangeRow, Stop> {
    let found = UNIT_CHANGES.read(rows, &proposal)?;
    found.ok_or_else(|| Refusal::not_found(format!("change of units that waits under record {proposal}")).into())
}

/// Every change that waits, oldest first.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn all_waiting(rows: &(impl Rows + ?Sized)) -> Result<Vec<UnitChangeRow>, RowError> {
    let found = UNIT_CHANGES.scan(rows, &(), None, limits::UNIT_CHANGES_MAX)?;
    Ok(found.into_iter().map(|(_, row)| row).collect())
}

/// Puts in effect what is due. Every tick of the clock does this.
pub(crate) fn take_effect(decision: &mut Decision<'_>) -> Result<(), Stop> {
    let t = clock::read(decision.rows)?.t;
    let due = all_waiting(decision.rows)?.into_iter().filter(|row| row.is_due(decision.wall, t)).take(PER_TICK);
    for row in due.collect::<Vec<_>>() {
        UNIT_CHANGES.remove(decision.rows, &row.seq);
        match &row.change {
            UnitChange::Rename(unit, name) => name_anew(decision, &row, unit, name)?,
            UnitChange::Merge(..) | UnitChange::Split(..) | UnitChange::Abolish(..) => end(decision, &row)?,
        }
    }
    Ok(())
}

fn name_anew(decision: &mut Decision<'_>, row: &UnitChangeRow, id: &UnitId, name: &str) -> Result<(), Stop> {
    let mut unit = unit::known(decision.rows, id)?;
    let mut facts = facts(row);
    facts.insert(Fact::Before, unit.full_name.as_str().into());
    facts.insert(Fact::After, name.into());
    let seq = decision.record(Act::UnitChange, "B10", Vec::new(), facts);
    let before = std::mem::replace(&mut unit.full_name, name.to_owned());
    let former = FormerName { name: before, until: decision.wall, seq };
    UNIT_NAMES.write(decision.rows, &(id.clone(), seq), &former);
    UNITS.write(decision.rows, id, &unit);
    Ok(())
}

/// Ends units. What a split names may have gone elsewhere meanwhile, by an act of its own: it stays there.
fn end(decision: &mut Decision<'_>, row: &UnitChangeRow) -> Result<(), Stop> {
    let now = decision.wall;
    let successors = row.change.successors().to_vec();
    let main = successors.first().ok_or_else(|| corrupt("a unit ends without a successor".to_owned()))?;
    let profile = unit::known(decision.rows, main)?.profile;
    let (version, _) = newest_profile(decision.rows, &profile)?;
    let seq = decision.next_seq();
    let named: BTreeMap<&Subject, &UnitId> = row.change.moved().iter().map(|moved| (&moved.what, &moved.to)).collect();
    let mut divided = Vec::new();
    for (what, to) in &named {
        divided.extend(move_named(decision, row, what, to)?);
    }
    let mut people = 0u64;
    for id in row.change.ending() {
        people += move_people(decision.rows, id, main, &named)?;
        inherit(decision.rows, id, main)?;
        let mut unit = unit::known(decision.rows, id)?;
        unit.ended = Some(UnitEnd { at: now, successors: successors.clone(), seq, profile: profile.clone(), version });
        UNITS.write(decision.rows, id, &unit);
    }
    let mut facts = facts(row);
    facts.insert(Fact::Count, people.into());
    facts.insert(Fact::At, now.into());
    facts.insert(Fact::Profile, format!("{profile}@{version}").into());
    if !divided.is_empty() {
        facts.insert(Fact::Divided, divided.join("\n").into());
    }
    decision.record(Act::UnitChange, "B10", Vec::new(), facts);
    Ok(())
}

/// Gives a case or a device its new unit; of a case, what the record says of it. People move with everybody else.
fn move_named(
    decision: &mut Decision<'_>,
    row: &UnitChangeRow,
    what: &Subject,
    to: &UnitId,
) -> Result<Option<String>, Stop> {
    let ending = row.change.ending();
    match what {
        Subject::Case(id) => {
            let mut case = case::read(decision.rows, id)?;
            if ending.contains(&unit::current(decision.rows, &case.unit)?.id) {
                let receipt = transfer::divide(decision, &mut case, to, steps(row)?, &row.basis)?;
                return Ok(Some(format!("{}@{}\t{to}\t{id}", receipt.profile, receipt.version)));
            }
        }
        Subject::Device(id) => {
            let Some(mut device) = DEVICES.read(decision.rows, id)? else { return Ok(None) };
            if ending.contains(&unit::current(decision.rows, &device.unit)?.id) {
                let before = std::mem::replace(&mut device.unit, to.clone());
                DEVICES.write(decision.rows, id, &device);
                let mut custody = device::custody(decision.rows, id)?;
                device::enter(decision, id, &mut custody, None, What::UnitMoved(before, to.clone()));
                device::write(decision.rows, id, &custody);
            }
        }
        Subject::Person(_) => {}
    }
    Ok(None)
}

/// The two people who decided a change, as the two sides of what it hands over.
fn steps(row: &UnitChangeRow) -> Result<(RoleStepRow, RoleStepRow), RowError> {
    let approval = row.approval.as_ref().ok_or_else(|| corrupt("what was not approved is in effect".to_owned()))?;
    let proposed = RoleStepRow { by: row.proposed_by.clone(), role: Role::Security, at: row.proposed_at, seq: row.seq };
    let ProposalApproval { approver, role, at, seq, .. } = approval.clone();
    Ok((proposed, RoleStepRow { by: approver, role, at, seq }))
}

/// Moves the people of a unit who have access; how many.
fn move_people(
    rows: &mut dyn Rows,
    from: &UnitId,
    main: &UnitId,
    named: &BTreeMap<&Subject, &UnitId>,
) -> Result<u64, Stop> {
    let mut moved = 0;
    for mut person in every(&PRINCIPALS, rows)? {
        // Who has left has no powers that could move, and their name stays where it was.
        if person.unit.as_ref() != Some(from) || person.revoked_at.is_some() {
            continue;
        }
        let to = named.get(&Subject::Person(person.id.clone())).copied().unwrap_or(main);
        person.unit = Some(to.clone());
        PRINCIPALS.write(rows, &person.id, &person);
        moved += 1;
    }
    Ok(moved)
}

/// The powers of a unit, and those that it had from others, go to its main successor.
fn inherit(rows: &mut dyn Rows, from: &UnitId, main: &UnitId) -> Result<(), RowError> {
    for former in unit::formers(rows, from)? {
        UNIT_FORMERS.remove(rows, &(from.clone(), former.clone()));
        UNIT_FORMERS.write(rows, &(main.clone(), former.clone()), &former);
    }
    UNIT_FORMERS.write(rows, &(main.clone(), from.clone()), from);
    Ok(())
}

/// Whether a change can be proposed now.
///
/// # Errors
/// [`Stop`] with the first reason against it.
pub fn check(rows: &(impl Rows + ?Sized), change: &UnitChange) -> Result<(), Stop> {
    match change {
        UnitChange::Rename(unit, name) => {
            check_given("the name", name, "B10")?;
            if unit::live(rows, unit)?.full_name == *name {
                return Err(Refusal::invalid(format!("unit {unit} is called so already")).into());
            }
        }
        UnitChange::Merge(..) | UnitChange::Split(..) | UnitChange::Abolish(..) => {
            check_units(rows, change)?;
            check_moved(rows, change)?;
        }
    }
    refuse_crossing(rows, change)
}

fn check_units(rows: &(impl Rows + ?Sized), change: &UnitChange) -> Result<(), Stop> {
    let max = limits::UNITS_OF_CHANGE_MAX;
    let (ending, successors) = (change.ending(), change.successors());
    let least = if matches!(change, UnitChange::Split(..)) { 2 } else { 1 };
    if ending.is_empty() || successors.len() < least || ending.len() + successors.len() > max {
        let told = format!("a {} names at least {least} successors and at most {max} units", change.name());
        return Err(Refusal::invalid(told).into());
    }
    let mut seen = BTreeSet::new();
    for id in ending.iter().chain(successors) {
        unit::live(rows, id)?;
        if !seen.insert(id) {
            return Err(Refusal::invalid(format!("unit {id} is named twice: a unit does not succeed itself")).into());
        }
    }
    let main = successors.first().expect("there is one at least");
    let mut formers = unit::formers(rows, main)?.len() + ending.len();
    for id in ending {
        formers += unit::formers(rows, id)?.len();
    }
    if formers > max {
        let told = format!("unit {main} would succeed {formers} units; one unit succeeds at most {max}");
        return Err(Refusal::invalid(told).into());
    }
    Ok(())
}

/// What a split names is of the unit that it divides, and goes to one of its successors.
fn check_moved(rows: &(impl Rows + ?Sized), change: &UnitChange) -> Result<(), Stop> {
    let moved = change.moved();
    if moved.len() > limits::UNIT_MOVES_MAX {
        let max = limits::UNIT_MOVES_MAX;
        return Err(Refusal::invalid(format!("a split names at most {max} cases, devices and people")).into());
    }
    let mut seen = BTreeSet::new();
    for Moved { what, to } in moved {
        if !change.successors().contains(to) {
            return Err(Refusal::invalid(format!("{what} goes to {to}, which is no successor of this split")).into());
        }
        if !seen.insert(what) {
            return Err(Refusal::invalid(format!("{what} is named twice")).into());
        }
        let unit = match what {
            Subject::Case(id) => Some(case::read(rows, id)?.unit),
            Subject::Device(id) => {
                Some(DEVICES.read(rows, id)?.ok_or_else(|| Refusal::not_found(format!("device {id}")))?.unit)
            }
            Subject::Person(id) => {
                PRINCIPALS.read(rows, id)?.ok_or_else(|| Refusal::not_found(format!("principal {id}")))?.unit
            }
        };
        let current = unit.as_ref().map(|unit| unit::current(rows, unit)).transpose()?;
        if !current.as_ref().is_some_and(|current| change.ending().contains(&current.id)) {
            let whose = current.map_or_else(|| "the whole agency".to_owned(), |unit| format!("unit {}", unit.id));
            return Err(Refusal::new(
                Reason::OutsideUnit,
                "B10",
                format!("{what} is of {whose}, which this does not divide"),
                "name what the unit has; a case of another unit is transferred: `strongroom case transfer`",
            )
            .into());
        }
    }
    Ok(())
}

/// Of one unit one change waits at a time, and none waits to go to a unit that is about to end: so the order in which
/// they take effect cannot matter.
fn refuse_crossing(rows: &(impl Rows + ?Sized), change: &UnitChange) -> Result<(), Stop> {
    let waiting = all_waiting(rows)?;
    let crosses = |row: &&UnitChangeRow| {
        let other = &row.change;
        let hit = |unit: &UnitId| other.subjects().contains(unit) || other.successors().contains(unit);
        change.subjects().iter().any(hit) || change.successors().iter().any(|unit| other.ending().contains(unit))
    };
    if let Some(row) = waiting.iter().find(crosses) {
        return Err(Refusal::new(
            Reason::WrongState,
            "B10",
            format!(
                "a {} of the same units waits already (record {}), proposed by {}",
                row.change.name(),
                row.seq,
                row.proposed_by
            ),
            format!("wait until it is in effect, or withdraw it: `strongroom unit withdraw {}`", row.seq.0),
        )
        .into());
    }
    if waiting.len() >= limits::UNIT_CHANGES_MAX {
        let max = limits::UNIT_CHANGES_MAX;
        return Err(Refusal::invalid(format!("at most {max} changes of units wait at once")).into());
    }
    Ok(())
}

/// Nothing happens at a time that has passed.
pub(crate) fn not_past(given: Option<UnixMillis>, now: UnixMillis, what: &str) -> Result<UnixMillis, Refusal> {
    match given {
        Some(given) if given < now => Err(Refusal::new(
            Reason::InvalidArgument,
            "B10",
            format!("{what} at {given}, which has passed"),
            "leave the date out for as soon as it may; the date of the decision belongs to its words",
        )),
        given => Ok(given.unwrap_or(now)),
    }
}

/// How much goes from one unit to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Unit that ends.
    pub from: UnitId,
    /// Successor.
    pub to: UnitId,
    /// What goes to it.
    pub counts: Counts,
}

/// What moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// People and stations with access.
    pub people: u64,
    /// Devices.
    pub devices: u64,
    /// Cases that are not archived.
    pub cases: u64,
    /// Requests that nobody has decided.
    pub requests: u64,
    /// Notices that nobody has seen.
    pub notices: u64,
}

/// What a change would move, counted. Nothing is written.
///
/// # Errors
/// [`Stop`] with what a proposal would be refused for.
pub fn plan(rows: &(impl Rows + ?Sized), change: &UnitChange) -> Result<Vec<Share>, Stop> {
    check(rows, change)?;
    let mut shares: BTreeMap<(UnitId, UnitId), Counts> = BTreeMap::new();
    for from in change.ending() {
        for to in change.successors() {
            shares.insert((from.clone(), to.clone()), Counts::default());
        }
    }
    let mut counting = Counting { rows, change, shares };
    for person in every(&PRINCIPALS, rows)? {
        if let (None, Some(unit)) = (person.revoked_at, &person.unit) {
            counting.count(unit, Some(Subject::Person(person.id)), |counts| &mut counts.people)?;
        }
    }
    for device in every(&DEVICES, rows)? {
        counting.count(&device.unit, Some(Subject::Device(device.id)), |counts| &mut counts.devices)?;
    }
    each(&CASES, rows, |case| match case.state {
        CaseState::Open(_) | CaseState::Closed(..) => {
            counting.count(&case.unit, Some(Subject::Case(case.id)), |counts| &mut counts.cases)
        }
        CaseState::Archived => Ok(()),
    })?;
    each(&REQUESTS, rows, |request| {
        let first = request.items.first().filter(|_| request.state == RequestState::Pending);
        match first.map(|item| unit_of(rows, *item)).transpose()?.flatten() {
            Some(unit) => counting.count(&unit, None, |counts| &mut counts.requests),
            None => Ok(()),
        }
    })?;
    each(&NOTICES, rows, |notice| match notice.seen {
        None => counting.count(&notice.unit, None, |counts| &mut counts.notices),
        Some(_) => Ok(()),
    })?;
    Ok(counting.shares.into_iter().map(|((from, to), counts)| Share { from, to, counts }).collect())
}

struct Counting<'a, R: ?Sized> {
    rows: &'a R,
    change: &'a UnitChange,
    shares: BTreeMap<(UnitId, UnitId), Counts>,
}

impl<R: Rows + ?Sized> Counting<'_, R> {
    fn count(
        &mut self,
        unit: &UnitId,
        what: Option<Subject>,
        field: impl FnOnce(&mut Counts) -> &mut u64,
    ) -> Result<(), Stop> {
        let from = unit::current(self.rows, unit)?.id;
        if !self.change.ending().contains(&from) {
            return Ok(());
        }
        let named = what.and_then(|what| self.change.moved().iter().find(|moved| moved.what == what));
        let Some(to) = named.map(|moved| &moved.to).or_else(|| self.change.successors().first()) else { return Ok(()) };
        *field(self.shares.entry((from, to.clone())).or_default()) += 1;
        Ok(())
    }
}

/// Looks at every row of a table, page by page.
pub(crate) fn each<K: strongroom_types::rows::Key, V>(
    table: &Table<K, V>,
    rows: &(impl Rows + ?Sized),
    mut look: impl FnMut(V) -> Result<(), Stop>,
) -> Result<(), Stop>
where
    V: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
{
    let mut after = None::<Vec<u8>>;
    loop {
        let page = table.scan(rows, &(), after.as_deref(), limits::PAGE_ROWS_MAX)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        page.into_iter().try_for_each(|(_, row)| look(row))?;
    }
}

/// Every row of a register: these are small.
pub(crate) fn every<K: strongroom_types::rows::Key, V>(
    table: &Table<K, V>,
    rows: &(impl Rows + ?Sized),
) -> Result<Vec<V>, Stop>
where
    V: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
{
    let mut found = Vec::new();
    each(table, rows, |row| {
        found.push(row);
        Ok(())
    })?;
    Ok(found)
}

fn facts(row: &UnitChangeRow) -> BTreeMap<Fact, Value> {
    let mut facts = attempted(&row.change);
    facts.insert(Fact::Proposal, row.seq.0.into());
    facts
}

/// What a change says, also one that is refused: what is too long is refused, and its record need not be as long.
pub(crate) fn attempted(change: &UnitChange) -> BTreeMap<Fact, Value> {
    let lines = |units: &[UnitId]| {
        let names = units.iter().take(limits::UNITS_OF_CHANGE_MAX).map(UnitId::as_str);
        Value::from(names.collect::<Vec<_>>().join("\n"))
    };
    let mut facts = BTreeMap::from([(Fact::Way, Value::from(change.name())), (Fact::Unit, lines(change.subjects()))]);
    if !change.successors().is_empty() {
        facts.insert(Fact::Successor, lines(change.successors()));
    }
    if !change.moved().is_empty() {
        let told = |moved: &Moved| format!("{} {}", moved.to, moved.what);
        let moved = change.moved().iter().take(limits::UNIT_MOVES_MAX).map(told);
        facts.insert(Fact::Moved, moved.collect::<Vec<_>>().join("\n").into());
    }
    facts
}

fn corrupt(detail: String) -> RowError {
    RowError::Corrupt { table: UNIT_CHANGES.name, detail }
}

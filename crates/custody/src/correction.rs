//! Corrections 更正: how a mistake about the keeping of an item, or an outage that a wrong clock recorded, is made good
//! without editing anything (semantics C1, C2).
//!
//! One of two offices proposes, the other approves, and for seven days of the compliance clock either can withdraw. Both
//! values stay: the corrected row names its correction, the correction says what it was about. Whatever else keeps
//! an item goes on keeping it. A correction of outages says no more than what the clock is compared with (`crate::outage`).

use std::collections::BTreeMap;

use strongroom_types::{
    CaseId, CorrectionId, ItemId, PrincipalId, Reason, RecordSeq, Refusal, Role, UnixMillis, limits,
    rows::{RowError, Rows},
};

use crate::{
    Act, Answer, Fact, Value,
    access::{Stop, different_person, whole_agency, within_unit},
    apply::Decision,
    case::{self, Archive, CaseRow, Term},
    clock,
    item::sealed,
    keeping::{self, KeepingRow, check_given},
    outage::{self, RightOutage},
    tables::{CASE_ITEMS, CASES, CORRECTIONS, KEEPING, OUTAGE_CORRECTION, PrincipalRow, newest_first},
};

/// The two offices; each gives one of the two steps.
const OFFICES: [Role; 2] = [Role::Legal, Role::Head];

/// A correction.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct CorrectionRow {
    /// Its number.
    #[n(0)]
    pub id: CorrectionId,
    /// What is mistaken.
    #[n(1)]
    pub mistake: Mistake,
    /// Why.
    #[n(2)]
    pub reason: String,
    /// Who proposed it.
    #[n(3)]
    pub proposed: RoleStepRow,
    /// Who approved it, and when it comes into force.
    #[n(4)]
    pub approved: Option<ApprovedRow>,
    /// Who withdrew it.
    #[n(5)]
    pub withdrawn: Option<RoleStepRow>,
    /// The record that put a correction of outages in force; a tick of the clock does that, where the sum still fits.
    #[n(6)]
    pub effected: Option<RecordSeq>,
}

/// One person's step, taken in a role.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RoleStepRow {
    /// Who took it.
    #[n(0)]
    pub by: PrincipalId,
    /// In which role.
    #[n(1)]
    pub role: Role,
    /// When, by the wall clock.
    #[n(2)]
    pub at: UnixMillis,
    /// Its record.
    #[n(3)]
    pub seq: RecordSeq,
}

/// An approval and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ApprovedRow {
    /// The approval.
    #[n(0)]
    pub step: RoleStepRow,
    /// Compliance time from which the correction is in force.
    #[n(1)]
    pub in_force: UnixMillis,
}

/// What is mistaken.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Mistake {
    /// The extension that this record set.
    #[n(0)]
    Extension(#[n(0)] ItemId, #[n(1)] RecordSeq),
    /// The long-term trigger that this record set.
    #[n(1)]
    Trigger(#[n(0)] ItemId, #[n(1)] RecordSeq),
    /// That the item is evidence of the case.
    #[n(2)]
    Binding(#[n(0)] CaseId, #[n(1)] ItemId),
    /// Date and term that this record archived the case with, and what is right.
    #[n(3)]
    Archive(#[n(0)] CaseId, #[n(1)] RecordSeq, #[n(2)] Archive),
    /// The lengths of these outages of the compliance clock.
    #[n(150)]
    Outages(#[n(0)] Vec<RightOutage>),
}

impl Mistake {
    /// As one word.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Extension(..) => "extension",
            Self::Trigger(..) => "trigger",
            Self::Binding(..) => "binding",
            Self::Archive(..) => "archive",
            Self::Outages(_) => "outages",
        }
    }

    /// The paragraph that lets it be corrected.
    const fn rule(&self) -> &'static str {
        match self {
            Self::Extension(..) | Self::Trigger(..) | Self::Binding(..) | Self::Archive(..) => "C1",
            Self::Outages(_) => "C2",
        }
    }

    /// The item that it is about, where it is about one.
    #[must_use]
    pub const fn item(&self) -> Option<ItemId> {
        match self {
            Self::Extension(item, _) | Self::Trigger(item, _) | Self::Binding(_, item) => Some(*item),
            Self::Archive(..) | Self::Outages(_) => None,
        }
    }

    /// The record that set what is mistaken, where it is named by it.
    #[must_use]
    pub const fn record(&self) -> Option<RecordSeq> {
        match self {
            Self::Extension(_, seq) | Self::Trigger(_, seq) | Self::Archive(_, seq, _) => Some(*seq),
            Self::Binding(..) | Self::Outages(_) => None,
        }
    }

    /// The case that it is about, where it is about one.
    #[must_use]
    pub const fn case(&self) -> Option<&CaseId> {
        match self {
            Self::Extension(..) | Self::Trigger(..) | Self::Outages(_) => None,
            Self::Binding(case, _) | Self::Archive(case, ..) => Some(case),
        }
    }
}

/// Proposes a correction.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ProposeCorrection {
    /// What is mistaken.
    #[n(0)]
    pub mistake: Mistake,
    /// Why.
    #[n(1)]
    pub reason: String,
}

/// Approves a correction.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ApproveCorrection {
    /// The correction.
    #[n(0)]
    pub correction: CorrectionId,
}

/// Withdraws a correction that is not yet in force.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct WithdrawCorrection {
    /// The correction.
    #[n(0)]
    pub correction: CorrectionId,
    /// Why.
    #[n(1)]
    pub reason: String,
}

/// Where a correction stands at compliance time `t`, as one word.
#[must_use]
pub fn state_name(row: &CorrectionRow, t: UnixMillis) -> &'static str {
    let waits = |approved: &ApprovedRow| match row.mistake {
        Mistake::Extension(..) | Mistake::Trigger(..) | Mistake::Binding(..) | Mistake::Archive(..) => {
            t < approved.in_force
        }
        Mistake::Outages(_) => row.effected.is_none(),
    };
    match (&row.withdrawn, &row.approved) {
        (Some(_), _) => "withdrawn",
        (None, None) => "proposed",
        (None, Some(approved)) if waits(approved) => "approved",
        (None, Some(_)) => "in-force",
    }
}

/// The correction of this number.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`.
pub fn read(rows: &(impl Rows + ?Sized), id: CorrectionId) -> Result<CorrectionRow, Stop> {
    CORRECTIONS.read(rows, &newest_first(id.0))?.ok_or_else(|| Refusal::not_found(format!("correction {id}")).into())
}

/// Whether the correction that a row names takes effect at `t`. In doubt it does not, and the row goes on keeping.
pub(crate) fn in_force(rows: &(impl Rows + ?Sized), id: Option<CorrectionId>, t: UnixMillis) -> Result<bool, RowError> {
    Ok(standing(rows, id, t)?.is_some())
}

/// What is right instead of an archived date and term, where its correction takes effect at `t`.
pub(crate) fn archive_in_force(
    rows: &(impl Rows + ?Sized),
    id: Option<CorrectionId>,
    t: UnixMillis,
) -> Result<Option<Archive>, RowError> {
    Ok(standing(rows, id, t)?.and_then(|row| match row.mistake {
        Mistake::Archive(_, _, right) => Some(right),
        Mistake::Extension(..) | Mistake::Trigger(..) | Mistake::Binding(..) | Mistake::Outages(_) => None,
    }))
}

fn standing(
    rows: &(impl Rows + ?Sized),
    id: Option<CorrectionId>,
    t: UnixMillis,
) -> Result<Option<CorrectionRow>, RowError> {
    let Some(id) = id else { return Ok(None) };
    let row = CORRECTIONS.read(rows, &newest_first(id.0))?;
    Ok(row.filter(|row| state_name(row, t) == "in-force"))
}

pub(crate) fn propose(decision: &mut Decision<'_>, command: &ProposeCorrection) -> Result<Answer, Stop> {
    let by = decision.authorize(Act::CorrectionPropose)?;
    check_given("the reason", &command.reason, "C1")?;
    reaches(decision.rows, &by, &command.mistake)?;
    refuse_unfit(decision.rows, &command.mistake)?;
    let id = next_id(decision.rows)?;
    let before = mark(decision, &command.mistake, id)?;
    let role = office(&by, None);
    let proposed = step(decision, &by, role);
    let row = CorrectionRow {
        id,
        mistake: command.mistake.clone(),
        reason: command.reason.clone(),
        proposed,
        approved: None,
        withdrawn: None,
        effected: None,
    };
    write(decision.rows, &row);
    let mut facts = facts(&row);
    facts.insert(Fact::Before, before.into());
    facts.insert(Fact::ReasonGiven, command.reason.as_str().into());
    match &row.mistake {
        Mistake::Extension(..) | Mistake::Trigger(..) | Mistake::Binding(..) => {}
        Mistake::Archive(_, _, right) => facts.extend(case::archive_facts(right)),
        Mistake::Outages(right) => {
            facts.insert(Fact::After, outage::told(right, |one| Ok(one.right_ms))?.into());
        }
    }
    if let Some(corrects) = row.mistake.record() {
        facts.insert(Fact::Corrects, corrects.0.into());
    }
    record(decision, Act::CorrectionPropose, &row, facts);
    Ok(Answer::Correction(id, row.proposed.seq))
}

pub(crate) fn approve(decision: &mut Decision<'_>, command: &ApproveCorrection) -> Result<Answer, Stop> {
    let by = decision.authorize(Act::CorrectionApprove)?;
    let mut row = deciding(decision, &by, command.correction)?;
    if row.approved.is_some() || row.withdrawn.is_some() {
        return Err(wrong_state(decision, &row, "only a proposed correction is approved")?.into());
    }
    different_person(&by.id, &row.proposed.by, "one office proposes a correction, another approves it")?;
    let role = other_office(&by, &row)?;
    refuse_unfit(decision.rows, &row.mistake)?;
    let in_force = clock::read(decision.rows)?.t.plus_ms(limits::CORRECTION_MS);
    let step = step(decision, &by, role);
    let seq = step.seq;
    row.approved = Some(ApprovedRow { step, in_force });
    write(decision.rows, &row);
    let mut facts = facts(&row);
    facts.insert(Fact::InForce, in_force.into());
    record(decision, Act::CorrectionApprove, &row, facts);
    Ok(Answer::Correction(row.id, seq))
}

pub(crate) fn withdraw(decision: &mut Decision<'_>, command: &WithdrawCorrection) -> Result<Answer, Stop> {
    let by = decision.authorize(Act::CorrectionWithdraw)?;
    check_given("the reason", &command.reason, "C1")?;
    let mut row = deciding(decision, &by, command.correction)?;
    let t = clock::read(decision.rows)?.t;
    if matches!(state_name(&row, t), "withdrawn" | "in-force") {
        return Err(wrong_state(decision, &row, "what it took back can be set again")?.into());
    }
    let step = step(decision, &by, office(&by, None));
    let seq = step.seq;
    row.withdrawn = Some(step);
    write(decision.rows, &row);
    unmark(decision, &row)?;
    let mut facts = facts(&row);
    facts.insert(Fact::ReasonGiven, command.reason.as_str().into());
    record(decision, Act::CorrectionWithdraw, &row, facts);
    Ok(Answer::Correction(row.id, seq))
}

/// Names the correction in the row that it corrects. Returns what that row says, in words.
fn mark(decision: &mut Decision<'_>, mistake: &Mistake, id: CorrectionId) -> Result<String, Stop> {
    let (before, slot) = edit(decision, mistake, |slot| {
        let before = *slot;
        if before.is_none() {
            *slot = Some(id);
        }
        before
    })?;
    match slot {
        None => Ok(before),
        Some(earlier) => Err(Refusal::new(
            Reason::AlreadyExists,
            mistake.rule(),
            format!("it is corrected already, or a correction waits: {earlier}"),
            format!("see `strongroom correction show {earlier}`"),
        )
        .into()),
    }
}

fn unmark(decision: &mut Decision<'_>, row: &CorrectionRow) -> Result<(), Stop> {
    edit(decision, &row.mistake, |slot| {
        if *slot == Some(row.id) {
            *slot = None;
        }
    })
    .map(|_| ())
}

/// Finds the mistaken row, lets `change` see which correction it names, and writes it.
fn edit<T>(
    decision: &mut Decision<'_>,
    mistake: &Mistake,
    change: impl FnOnce(&mut Option<CorrectionId>) -> T,
) -> Result<(String, T), Stop> {
    match mistake {
        Mistake::Extension(item, seq) => edit_keeping(decision, *item, |row| {
            let one = row.extensions.iter_mut().find(|one| one.seq == *seq).ok_or_else(|| unset("extension", *seq))?;
            Ok((format!("kept until {}", one.until), change(&mut one.corrected)))
        }),
        Mistake::Trigger(item, seq) => edit_keeping(decision, *item, |row| {
            let one = row.triggers.iter_mut().find(|one| one.seq == *seq).ok_or_else(|| unset("trigger", *seq))?;
            Ok((format!("trigger {}", one.code), change(&mut one.corrected)))
        }),
        Mistake::Binding(case, item) => {
            let key = (case.clone(), *item);
            let mut row = CASE_ITEMS
                .read(decision.rows, &key)?
                .ok_or_else(|| Refusal::not_found(format!("binding of item {item} to case {case}")))?;
            let changed = change(&mut row.corrected);
            CASE_ITEMS.write(decision.rows, &key, &row);
            Ok((format!("bound by record {}", row.seq), changed))
        }
        Mistake::Archive(case, seq, right) => {
            case::checked_term(Some(right.term))?;
            let mut row: CaseRow = case::read(decision.rows, case)?;
            let one = row.archives.iter_mut().find(|one| one.seq == *seq).ok_or_else(|| unset("archiving", *seq))?;
            let told = format!("archived {} for {}", one.archive.date, told_term(one.archive.term));
            let changed = change(&mut one.corrected);
            CASES.write(decision.rows, case, &row);
            Ok((told, changed))
        }
        Mistake::Outages(right) => {
            let counts_ms = |one: &RightOutage| match one.outage {
                Some(seq) => outage::read(&*decision.rows, seq).map(|row| row.right_ms),
                None => Ok(0),
            };
            let told = outage::told(right, counts_ms)?;
            // One correction of them waits at a time: the next is planned with what it came to.
            let mut waits = OUTAGE_CORRECTION.read(decision.rows, &())?;
            let changed = change(&mut waits);
            match waits {
                Some(id) => OUTAGE_CORRECTION.write(decision.rows, &(), &id),
                None => OUTAGE_CORRECTION.remove(decision.rows, &()),
            }
            Ok((told, changed))
        }
    }
}

fn edit_keeping<T>(
    decision: &mut Decision<'_>,
    item: ItemId,
    change: impl FnOnce(&mut KeepingRow) -> Result<T, Refusal>,
) -> Result<T, Stop> {
    let mut row = keeping::read(decision.rows, item)?;
    let changed = change(&mut row)?;
    KEEPING.write(decision.rows, &item, &row);
    Ok(changed)
}

fn unset(what: &str, seq: RecordSeq) -> Refusal {
    Refusal::not_found(format!("{what} that record {seq} set"))
}

fn told_term(term: Term) -> String {
    term.to_string()
}

/// Refuses what is outside the unit of whoever asks; the clock is the whole agency's.
fn reaches(rows: &dyn Rows, by: &PrincipalRow, mistake: &Mistake) -> Result<(), Stop> {
    let unit = match mistake {
        Mistake::Extension(item, _) | Mistake::Trigger(item, _) => sealed(rows, *item)?.description.unit,
        Mistake::Binding(case, _) | Mistake::Archive(case, ..) => case::read(rows, case)?.unit,
        Mistake::Outages(_) => return Ok(whole_agency(by)?),
    };
    Ok(within_unit(by, &unit)?)
}

fn refuse_unfit(rows: &dyn Rows, mistake: &Mistake) -> Result<(), Stop> {
    match mistake {
        Mistake::Extension(..) | Mistake::Trigger(..) | Mistake::Binding(..) | Mistake::Archive(..) => Ok(()),
        Mistake::Outages(right) => Ok(outage::refuse_unfit(&clock::read(rows)?, outage::plan(rows, right)?)?),
    }
}

fn deciding(decision: &mut Decision<'_>, by: &PrincipalRow, id: CorrectionId) -> Result<CorrectionRow, Stop> {
    let row = read(decision.rows, id)?;
    if let Some(item) = row.mistake.item() {
        decision.about(item);
    }
    reaches(decision.rows, by, &row.mistake)?;
    Ok(row)
}

/// The office that this person acts for: not the one that has spoken already, where they belong to both.
fn office(by: &PrincipalRow, taken: Option<Role>) -> Role {
    let open = OFFICES.iter().filter(|role| by.roles.contains(role));
    let free = open.clone().find(|role| Some(**role) != taken);
    *free.or_else(|| open.clone().next()).expect("the table lets only these offices in")
}

fn other_office(by: &PrincipalRow, row: &CorrectionRow) -> Result<Role, Refusal> {
    let role = office(by, Some(row.proposed.role));
    if role != row.proposed.role {
        return Ok(role);
    }
    let missing = OFFICES.iter().find(|office| **office != role).expect("there are two");
    Err(Refusal::new(
        Reason::ApprovalMissing,
        row.mistake.rule(),
        format!("correction {} was proposed by {role}, and one office alone corrects nothing", row.id),
        format!("missing: approval by {missing}"),
    ))
}

fn step(decision: &Decision<'_>, by: &PrincipalRow, role: Role) -> RoleStepRow {
    RoleStepRow { by: by.id.clone(), role, at: decision.wall, seq: decision.next_seq() }
}

fn record(decision: &mut Decision<'_>, act: Act, row: &CorrectionRow, facts: BTreeMap<Fact, Value>) {
    decision.record(act, row.mistake.rule(), row.mistake.item().into_iter().collect(), facts);
}

fn facts(row: &CorrectionRow) -> BTreeMap<Fact, Value> {
    let mut facts =
        BTreeMap::from([(Fact::Correction, Value::from(row.id.0)), (Fact::Mistake, row.mistake.name().into())]);
    if let Some(case) = row.mistake.case() {
        facts.insert(Fact::Case, case.as_str().into());
    }
    facts
}

fn wrong_state(decision: &Decision<'_>, row: &CorrectionRow, remedy: &str) -> Result<Refusal, RowError> {
    let state = state_name(row, clock::read(&*decision.rows)?.t);
    Ok(Refusal::new(Reason::WrongState, row.mistake.rule(), format!("correction {} is {state}", row.id), remedy))
}

pub(crate) fn write(rows: &mut dyn Rows, row: &CorrectionRow) {
    CORRECTIONS.write(rows, &newest_first(row.id.0), row);
}

fn next_id(rows: &dyn Rows) -> Result<CorrectionId, RowError> {
    let newest = CORRECTIONS.scan(rows, &(), None, 1)?;
    Ok(CorrectionId(newest.first().map_or(0, |(_, row)| row.id.0) + 1))
}

//! Results of inspections 抽查记录 (R-000-27, R-003-6d, R-004-20, R-004-22): what was found of each item that was drawn or
//! named, under the heads that the profile's text has, and what is put right by when.
//!
//! Results are entered for the items of the draw or of the targeted inspection and for no other, and an inspection is
//! complete only when each of them has one: nobody leaves out what was drawn. An entry is never changed; a later one
//! stands beside it, says why, and is the one that counts. What is to be put right has a date and somebody who answers
//! for it; when the date passes without an answer that is a finding, and the head of the unit is told.

use std::collections::BTreeMap;

use strongroom_types::{
    DrawId, ItemId, PrincipalId, Reason, RecordSeq, Refusal, Role, UnitId, UnixMillis, limits,
    rows::{Key, RowError, Rows},
};

use crate::{
    Act, Answer, Fact, Value,
    access::{self, Stop},
    apply::Decision,
    draw::{self, row::DrawState},
    item,
    keeping::check_given,
    notice,
    profile::Inspection,
    request::form,
    tables::{INSPECTION_RESULTS, RECTIFICATIONS_DUE, TARGETS, newest_first},
    transfer::reaches_item,
    upload::check_text,
};

/// Most that one tick finds overdue; the next tick goes on.
const PER_TICK: usize = 64;

/// An inspection: a draw, or a targeted inspection by its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, minicbor::Encode, minicbor::Decode)]
pub enum InspectionOf {
    /// What was drawn.
    #[n(0)]
    Draw(#[n(0)] DrawId),
    /// What was named.
    #[n(1)]
    Target(#[n(0)] RecordSeq),
}

impl Key for InspectionOf {
    fn write_to(&self, bytes: &mut Vec<u8>) {
        let (kind, number) = match self {
            Self::Draw(draw) => (0_u64, draw.0),
            Self::Target(seq) => (1, seq.0),
        };
        kind.write_to(bytes);
        number.write_to(bytes);
    }
}

impl std::fmt::Display for InspectionOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Draw(draw) => draw.fmt(f),
            Self::Target(seq) => write!(f, "#{seq}"),
        }
    }
}

/// What was found under one head.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct HeadResult {
    /// Whether it is as it should be.
    #[n(0)]
    pub met: bool,
    /// What was seen; may be empty.
    #[n(1)]
    pub note: String,
}

/// What is to be put right 整改.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Rectification {
    /// What is to be done.
    #[n(0)]
    pub measure: String,
    /// Who answers for it.
    #[n(1)]
    pub responsible: PrincipalId,
    /// By when.
    #[n(2)]
    pub due: UnixMillis,
}

/// Enters what was found of one item.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RecordResult {
    /// The inspection.
    #[n(0)]
    pub of: InspectionOf,
    /// The item.
    #[n(1)]
    pub item: ItemId,
    /// By the codes of the profile's heads, each once.
    #[n(2)]
    pub heads: BTreeMap<String, HeadResult>,
    /// The problem 问题; given where a head is not met.
    #[n(3)]
    pub problem: String,
    /// What is to be put right.
    #[n(4)]
    pub rectification: Option<Rectification>,
    /// Period of the report 通报期 that it goes into; may be empty.
    #[n(5)]
    pub report_period: String,
    /// The entry that this one corrects, by its record; given where there is one.
    #[n(6)]
    pub corrects: Option<RecordSeq>,
    /// Why it is corrected.
    #[n(7)]
    pub reason: String,
}

/// Says that what was to be put right is put right.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct AnswerRectification {
    /// The inspection.
    #[n(0)]
    pub of: InspectionOf,
    /// The item.
    #[n(1)]
    pub item: ItemId,
    /// The entry that asked for it.
    #[n(2)]
    pub entry: RecordSeq,
    /// What was done.
    #[n(3)]
    pub done: String,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ResultRow {
    /// What was found under each head.
    #[n(0)]
    pub heads: BTreeMap<String, HeadResult>,
    /// The problem.
    #[n(1)]
    pub problem: String,
    /// What is to be put right.
    #[n(2)]
    pub rectification: Option<Rectification>,
    /// Period of the report.
    #[n(3)]
    pub report_period: String,
    /// Who entered it.
    #[n(4)]
    pub by: PrincipalId,
    /// In which role.
    #[n(5)]
    pub role: Role,
    /// When.
    #[n(6)]
    pub at: UnixMillis,
    /// Its record.
    #[n(7)]
    pub seq: RecordSeq,
    /// The entry that it corrects, and why.
    #[n(8)]
    pub corrects: Option<(RecordSeq, String)>,
    /// What was done about it: by whom, when, by which record.
    #[n(9)]
    pub answered: Option<Answered>,
    /// When it was found overdue.
    #[n(10)]
    pub overdue_since: Option<UnixMillis>,
    /// The heads' article.
    #[n(11)]
    pub rule: String,
}

/// What was done about a problem.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Answered {
    /// What.
    #[n(0)]
    pub done: String,
    /// Who says so.
    #[n(1)]
    pub by: PrincipalId,
    /// When.
    #[n(2)]
    pub at: UnixMillis,
    /// Its record.
    #[n(3)]
    pub seq: RecordSeq,
}

/// Something that is to be put right by a date.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct DueRow {
    /// The inspection.
    #[n(0)]
    pub of: InspectionOf,
    /// The item.
    #[n(1)]
    pub item: ItemId,
}

impl ResultRow {
    /// Where its rectification stands at wall time `now`, as one word; none where nothing is to be put right.
    #[must_use]
    pub fn state(&self, now: UnixMillis) -> Option<&'static str> {
        let asked = self.rectification.as_ref()?;
        Some(match &self.answered {
            Some(answered) if answered.at > asked.due => "answered-late",
            Some(_) => "answered",
            None if now > asked.due => "overdue",
            None => "open",
        })
    }
}

/// What an inspection is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its items: all of them, in the order in which they were drawn or named.
    pub items: Vec<ItemId>,
    /// Who inspects.
    pub inspector: PrincipalId,
    /// Unit of it; none for the whole agency.
    pub unit: Option<UnitId>,
}

/// The sheet 抽查记录 of an inspection.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// What it is of.
    pub subject: Subject,
    /// Each item with its entries, oldest first; the last one counts. An item without one has no result yet.
    pub lines: Vec<(ItemId, Vec<ResultRow>)>,
}

impl Sheet {
    /// Items that have no result yet.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.lines.iter().filter(|(_, entries)| entries.is_empty()).count()
    }
}

/// What an inspection is of. A draw has items once it is drawn.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`, or `WRONG_STATE` where it is not drawn.
pub fn subject(rows: &(impl Rows + ?Sized), of: InspectionOf) -> Result<Subject, Stop> {
    match of {
        InspectionOf::Draw(id) => {
            let row = draw::read(rows, id)?;
            let DrawState::Completed(..) = row.state else {
                let message = format!("{id} is {}: there is no sample to enter results of", row.state.name());
                return Err(Refusal::new(Reason::WrongState, "C7", message, "wait until it is drawn").into());
            };
            Ok(Subject { items: draw::drawn(rows, &row)?, inspector: row.inspector, unit: row.query.unit })
        }
        InspectionOf::Target(seq) => {
            let row = TARGETS.read(rows, &newest_first(seq.0))?;
            let row = row.ok_or_else(|| Refusal::not_found(format!("targeted inspection with record {seq}")))?;
            Ok(Subject { items: row.items, inspector: row.inspector, unit: row.unit })
        }
    }
}

/// The sheet of an inspection.
///
/// # Errors
/// [`Stop`] as [`subject`], or where a row cannot be read.
pub fn sheet(rows: &(impl Rows + ?Sized), of: InspectionOf) -> Result<Sheet, Stop> {
    let subject = subject(rows, of)?;
    let lines = subject.items.iter().map(|item| Ok((*item, entries(rows, of, *item)?)));
    let lines = lines.collect::<Result<Vec<_>, RowError>>()?;
    Ok(Sheet { subject, lines })
}

/// The entries of one item, oldest first.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn entries(rows: &(impl Rows + ?Sized), of: InspectionOf, item: ItemId) -> Result<Vec<ResultRow>, RowError> {
    let found = INSPECTION_RESULTS.scan(rows, &(of, item), None, limits::INSPECTION_ENTRIES_MAX)?;
    Ok(found.into_iter().map(|(_, row)| row).collect())
}

pub(crate) fn record(decision: &mut Decision<'_>, command: &RecordResult) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::InspectionResult)?;
    let subject = subject(&*decision.rows, command.of)?;
    draw::reaches(&who, subject.unit.as_ref())?;
    if !subject.items.contains(&command.item) {
        return Err(Refusal::new(
            Reason::NotFound,
            "C7",
            format!("item {} was neither drawn nor named by {}", command.item, command.of),
            format!("results are entered of its own items: `strongroom inspection sheet {}`", command.of),
        )
        .into());
    }
    let inspection = inspection(&*decision.rows, command.item)?;
    let (role, rule) = draw::role_in(&who, &inspection, "enter results of an inspection")?;
    check_heads(&inspection, &rule, command)?;
    check_rectification(decision, command, &rule)?;
    let corrects = check_correction(decision, command)?;
    let mut told = facts(command.of);
    told.insert(Fact::Form, heads_form(command).into());
    told.insert(Fact::Role, role.name().into());
    if !command.problem.trim().is_empty() {
        told.insert(Fact::Problem, command.problem.as_str().into());
    }
    if let Some(asked) = &command.rectification {
        told.insert(Fact::Basis, asked.measure.as_str().into());
        told.insert(Fact::Receiver, asked.responsible.as_str().into());
        told.insert(Fact::ConfirmBy, asked.due.into());
    }
    if let Some((seq, why)) = &corrects {
        told.insert(Fact::Corrects, seq.0.into());
        told.insert(Fact::ReasonGiven, why.as_str().into());
    }
    let seq = decision.record(Act::InspectionResult, &rule, vec![command.item], told);
    let row = ResultRow {
        heads: command.heads.clone(),
        problem: command.problem.clone(),
        rectification: command.rectification.clone(),
        report_period: command.report_period.clone(),
        by: who.id,
        role,
        at: decision.wall,
        seq,
        corrects,
        answered: None,
        overdue_since: None,
        rule,
    };
    INSPECTION_RESULTS.write(decision.rows, &(command.of, command.item, seq), &row);
    if let Some(asked) = &command.rectification {
        let due = DueRow { of: command.of, item: command.item };
        RECTIFICATIONS_DUE.write(decision.rows, &(asked.due, seq), &due);
    }
    Ok(Answer::Recorded(seq))
}

/// Whoever answers for it, or the head of a unit that the item belongs to, says that it is put right.
pub(crate) fn answer(decision: &mut Decision<'_>, command: &AnswerRectification) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::InspectionRectify)?;
    let key = (command.of, command.item, command.entry);
    let unknown = || Refusal::not_found(format!("entry {} of item {} in {}", command.entry, command.item, command.of));
    let mut row = INSPECTION_RESULTS.read(decision.rows, &key)?.ok_or_else(unknown)?;
    let rule = row.rule.clone();
    check_given("what was done", &command.done, &rule)?;
    let Some(asked) = &row.rectification else {
        let message = format!("entry {} asks for nothing to be put right", command.entry);
        return Err(Refusal::new(Reason::WrongState, &rule, message, "nothing needs to be done").into());
    };
    if let Some(answered) = &row.answered {
        let message = format!("{} has answered it at {} (record {})", answered.by, answered.at, answered.seq);
        return Err(Refusal::new(Reason::WrongState, &rule, message, "the inspector enters what is found now").into());
    }
    if asked.responsible != who.id {
        if !who.roles.contains(&Role::UnitHead) {
            let message = format!("{} does not answer for it: {} does", who.id, asked.responsible);
            let remedy = format!("{} or the head of the unit: `strongroom inspection rectified`", asked.responsible);
            return Err(Refusal::new(Reason::NotYourStep, &rule, message, remedy).into());
        }
        if let Some(unit) = item::unit_of(&*decision.rows, command.item)? {
            reaches_item(&*decision.rows, &who, command.item, &unit)?;
        }
    }
    let late = decision.wall > asked.due;
    RECTIFICATIONS_DUE.remove(decision.rows, &(asked.due, command.entry));
    let mut told = facts(command.of);
    told.insert(Fact::Order, command.entry.0.into());
    told.insert(Fact::ReasonGiven, command.done.as_str().into());
    if late {
        told.insert(Fact::Finding, "RECTIFIED_LATE".into());
    }
    let seq = decision.record(Act::InspectionRectify, &rule, vec![command.item], told);
    row.answered = Some(Answered { done: command.done.clone(), by: who.id, at: decision.wall, seq });
    INSPECTION_RESULTS.write(decision.rows, &key, &row);
    Ok(Answer::Recorded(seq))
}

/// What was to be put right by now and was not is a finding. Every tick of the clock does this.
pub(crate) fn come_due(decision: &mut Decision<'_>) -> Result<(), Stop> {
    let now = decision.wall;
    for (key, due) in RECTIFICATIONS_DUE.scan(decision.rows, &(), None, PER_TICK)? {
        let (at, entry) = due_of(&key)?;
        if at >= now {
            break;
        }
        RECTIFICATIONS_DUE.remove(decision.rows, &(at, entry));
        let of = (due.of, due.item, entry);
        let Some(mut row) = INSPECTION_RESULTS.read(decision.rows, &of)? else { continue };
        row.overdue_since = Some(at);
        if let Some(unit) = item::unit_of(&*decision.rows, due.item)? {
            notice::give(decision, &unit, "RECTIFICATION_OVERDUE", None, None)?;
        }
        let mut told = facts(due.of);
        told.insert(Fact::Order, entry.0.into());
        told.insert(Fact::Finding, "RECTIFICATION_OVERDUE".into());
        if let Some(asked) = &row.rectification {
            told.insert(Fact::Receiver, asked.responsible.as_str().into());
        }
        decision.record(Act::InspectionOverdue, &row.rule, vec![due.item], told);
        INSPECTION_RESULTS.write(decision.rows, &of, &row);
    }
    Ok(())
}

/// The section on inspection of the profile that an item is under, also of one that is gone.
fn inspection(rows: &(impl Rows + ?Sized), item: ItemId) -> Result<Inspection, Stop> {
    draw::inspection_of(rows, &item::sealed(rows, item)?.retention.profile)
}

/// Each head of the text once, and no other.
fn check_heads(inspection: &Inspection, rule: &str, command: &RecordResult) -> Result<(), Refusal> {
    let told = || {
        let heads = inspection.heads.iter().map(|head| format!("{} {}", head.code, head.words));
        heads.collect::<Vec<_>>().join("; ")
    };
    let refuse =
        |reason, message: String| Err(Refusal::new(reason, rule, message, format!("the heads are: {}", told())));
    if let Some(unknown) = command.heads.keys().find(|code| inspection.heads.iter().all(|head| head.code != **code)) {
        return refuse(Reason::InvalidArgument, format!("the text has no head {unknown:?}"));
    }
    if let Some(missing) = inspection.heads.iter().find(|head| !command.heads.contains_key(&head.code)) {
        return refuse(Reason::FieldMissing, format!("nothing is said under {} {}", missing.code, missing.words));
    }
    for head in command.heads.values() {
        check_text("a note", &head.note)?;
    }
    check_text("the problem", &command.problem)?;
    check_text("the period of the report", &command.report_period)?;
    let unmet = command.heads.values().any(|head| !head.met);
    if unmet && command.problem.trim().is_empty() {
        return Err(Refusal::new(
            Reason::FieldMissing,
            rule,
            "a head is not met, and no problem is named",
            "say what is wrong: `--problem`",
        ));
    }
    if !unmet && command.rectification.is_some() {
        return Err(Refusal::invalid("every head is met: there is nothing to put right"));
    }
    Ok(())
}

fn check_rectification(decision: &Decision<'_>, command: &RecordResult, rule: &str) -> Result<(), Stop> {
    let Some(asked) = &command.rectification else { return Ok(()) };
    check_given("the measure", &asked.measure, rule)?;
    if asked.due <= decision.wall {
        return Err(
            Refusal::invalid(format!("what is to be put right by {} would be overdue already", asked.due)).into()
        );
    }
    let known = access::principal(&*decision.rows, &asked.responsible)?.filter(|known| known.revoked_at.is_none());
    known.map(drop).ok_or_else(|| Refusal::not_found(format!("principal {} with access", asked.responsible)).into())
}

/// A second entry names the newest one and says why: both stay.
fn check_correction(decision: &Decision<'_>, command: &RecordResult) -> Result<Option<(RecordSeq, String)>, Stop> {
    let before = entries(&*decision.rows, command.of, command.item)?;
    if before.len() >= limits::INSPECTION_ENTRIES_MAX {
        let max = limits::INSPECTION_ENTRIES_MAX;
        return Err(Refusal::invalid(format!("an item has at most {max} entries in one inspection")).into());
    }
    match (before.last(), command.corrects) {
        (None, None) => Ok(None),
        (Some(newest), Some(corrects)) if newest.seq == corrects => {
            check_given("the reason", &command.reason, "C7")?;
            Ok(Some((corrects, command.reason.clone())))
        }
        (Some(newest), _) => Err(Refusal::new(
            Reason::AlreadyExists,
            "C7",
            format!("item {} has a result already, by record {}", command.item, newest.seq),
            format!("a further entry corrects it, and both stay: `--corrects {} --reason`", newest.seq),
        )
        .into()),
        (None, Some(_)) => Err(Refusal::not_found(format!("result of item {} to correct", command.item)).into()),
    }
}

pub(crate) fn facts(of: InspectionOf) -> BTreeMap<Fact, Value> {
    BTreeMap::from([match of {
        InspectionOf::Draw(draw) => (Fact::Draw, draw.into()),
        InspectionOf::Target(seq) => (Fact::Entry, seq.0.into()),
    }])
}

fn heads_form(command: &RecordResult) -> String {
    let told = |(code, head): (&String, &HeadResult)| {
        let met = if head.met { "met" } else { "not met" };
        let note = if head.note.is_empty() { met.to_owned() } else { format!("{met}: {}", head.note) };
        (code.clone(), note)
    };
    let mut fields: BTreeMap<_, _> = command.heads.iter().map(told).collect();
    if !command.report_period.is_empty() {
        fields.insert("report_period".to_owned(), command.report_period.clone());
    }
    form(&fields).unwrap_or_default()
}

/// The date and the entry of a key of [`RECTIFICATIONS_DUE`].
fn due_of(key: &[u8]) -> Result<(UnixMillis, RecordSeq), RowError> {
    let number = |at: usize| key.get(at..at + 8).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    let (Some(due), Some(seq)) = (number(0), number(8)) else {
        return Err(RowError::Corrupt { table: RECTIFICATIONS_DUE.name, detail: "a key is too short".to_owned() });
    };
    Ok((UnixMillis(i64::from_be_bytes(due) ^ i64::MIN), RecordSeq(u64::from_be_bytes(seq))))
}

//! Cases 案件: items as evidence of one matter. The dossier decides their retention (G6).
//!
//! ```text
//!  open ──close(outcome)──▶ closed ──archive(date, term)──▶ archived
//!    └───────────────archive(date, term)───────────────────▶   │
//!    ◀───────────────────────reopen────────────────────────────┘
//! ```
//! A case that is open or closed holds its items without end; an archived one until its term ends. Archived again, the
//! longest of its terms counts.

use std::collections::BTreeMap;

use strongroom_types::{
    CaseId, CorrectionId, ItemId, PrincipalId, Reason, RecordSeq, Refusal, UnitId, UnixMillis, limits,
    rows::{RowError, Rows},
};

use crate::{
    Act, Answer, Fact, Value,
    access::{Stop, within_unit},
    apply::Decision,
    clock, correction,
    item::{refuse_quarantined, sealed},
    keeping::check_given,
    tables::{CASE_ITEMS, CASES, CASES_BY_ITEM, PrincipalRow},
    transfer::within_item,
    unit,
};

/// A case.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct CaseRow {
    /// Its number 案号.
    #[n(0)]
    pub id: CaseId,
    /// Unit that handles it.
    #[n(1)]
    pub unit: UnitId,
    /// What it is about 案由.
    #[n(2)]
    pub title: String,
    /// Who opened it.
    #[n(3)]
    pub opened_by: PrincipalId,
    /// Record of its opening.
    #[n(4)]
    pub seq: RecordSeq,
    /// Items that were ever bound to it.
    #[n(5)]
    pub items: u64,
    /// Where it stands.
    #[n(6)]
    pub state: CaseState,
    /// Every time that its file was archived, oldest first.
    #[n(7)]
    pub archives: Vec<ArchiveRow>,
}

/// Where a case stands.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum CaseState {
    /// Under way; since this record.
    #[n(0)]
    Open(#[n(0)] RecordSeq),
    /// Ended so; its file is not yet archived.
    #[n(1)]
    Closed(#[n(0)] Outcome, #[n(1)] RecordSeq),
    /// Its file is archived: the newest of [`CaseRow::archives`].
    #[n(2)]
    Archived,
}

impl CaseState {
    /// As one word.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Closed(..) => "closed",
            Self::Archived => "archived",
        }
    }
}

/// How a case ended (requirements B10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Outcome {
    /// 不予立案.
    #[n(0)]
    NotFiled,
    /// 撤案.
    #[n(1)]
    Withdrawn,
    /// 不予处罚.
    #[n(2)]
    NotPunished,
    /// 移送.
    #[n(3)]
    Transferred,
    /// 结案.
    #[n(4)]
    Concluded,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 5] = [Self::NotFiled, Self::Withdrawn, Self::NotPunished, Self::Transferred, Self::Concluded];

    /// The name on the wire and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotFiled => "not-filed",
            Self::Withdrawn => "withdrawn",
            Self::NotPunished => "not-punished",
            Self::Transferred => "transferred",
            Self::Concluded => "concluded",
        }
    }

    /// The Chinese term.
    #[must_use]
    pub const fn name_zh(self) -> &'static str {
        match self {
            Self::NotFiled => "不予立案",
            Self::Withdrawn => "撤案",
            Self::NotPunished => "不予处罚",
            Self::Transferred => "移送",
            Self::Concluded => "结案",
        }
    }

    /// The outcome of this name, in either language.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name || outcome.name_zh() == name)
    }
}

/// One archiving of a case's file.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ArchiveRow {
    /// Date and term.
    #[n(0)]
    pub archive: Archive,
    /// When it was entered, by the later of the compliance clock and the voters' wall clocks: no term starts before.
    #[n(1)]
    pub entered: UnixMillis,
    /// Who entered it.
    #[n(2)]
    pub by: PrincipalId,
    /// Its record.
    #[n(3)]
    pub seq: RecordSeq,
    /// The correction that replaces date and term, in force or not yet.
    #[n(4)]
    pub corrected: Option<CorrectionId>,
}

impl ArchiveRow {
    /// End of `archive`, entered when this was; none where it has none.
    #[must_use]
    pub fn end(&self, archive: Archive) -> Option<UnixMillis> {
        archive.term.end(archive.date.max(self.entered))
    }
}

/// When a case's file was archived 归档日期, and for how long it is kept 案卷保存期限.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Archive {
    /// The date.
    #[n(0)]
    pub date: UnixMillis,
    /// The term.
    #[n(1)]
    pub term: Term,
}

/// How long a dossier is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Term {
    /// Calendar months.
    #[n(0)]
    Months(#[n(0)] u32),
    /// 永久.
    #[n(1)]
    Permanent,
}

impl Term {
    /// End of a term that starts at `start`; none where it has none.
    #[must_use]
    pub fn end(self, start: UnixMillis) -> Option<UnixMillis> {
        match self {
            Self::Months(months) => Some(start.plus_months_rounded_up(months)),
            Self::Permanent => None,
        }
    }
}

impl std::fmt::Display for Term {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Months(months) => write!(f, "{months} months"),
            Self::Permanent => f.write_str("permanent"),
        }
    }
}

/// That an item is evidence of a case.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct BindingRow {
    /// Who bound it.
    #[n(0)]
    pub by: PrincipalId,
    /// Its record.
    #[n(1)]
    pub seq: RecordSeq,
    /// The correction that takes it back, in force or not yet.
    #[n(2)]
    pub corrected: Option<CorrectionId>,
}

/// Opens a case.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct OpenCase {
    /// Its number.
    #[n(0)]
    pub case: CaseId,
    /// Unit that handles it.
    #[n(1)]
    pub unit: UnitId,
    /// What it is about.
    #[n(2)]
    pub title: String,
}

/// Binds items to a case.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct BindCase {
    /// The case.
    #[n(0)]
    pub case: CaseId,
    /// The items.
    #[n(1)]
    pub items: Vec<ItemId>,
}

/// Says how a case ended. It holds its items until its file is archived.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct CloseCase {
    /// The case.
    #[n(0)]
    pub case: CaseId,
    /// How it ended.
    #[n(1)]
    pub outcome: Outcome,
    /// Why, or on what decision.
    #[n(2)]
    pub reason: String,
}

/// Archives a case's file. The term is asked for by `apply`, so that its absence is a refusal on the record.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ArchiveCase {
    /// The case.
    #[n(0)]
    pub case: CaseId,
    /// The date of archiving.
    #[n(1)]
    pub date: UnixMillis,
    /// The term.
    #[n(2)]
    pub term: Option<Term>,
}

/// Takes an archived or closed case up again.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ReopenCase {
    /// The case.
    #[n(0)]
    pub case: CaseId,
    /// Why.
    #[n(1)]
    pub reason: String,
}

/// The case of this number.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`.
pub fn read(rows: &(impl Rows + ?Sized), id: &CaseId) -> Result<CaseRow, Stop> {
    CASES.read(rows, id)?.ok_or_else(|| Refusal::not_found(format!("case {id}")).into())
}

/// Until when a case keeps its items at time `t`; none where it has no end.
///
/// # Errors
/// [`RowError`] where a correction cannot be read.
pub fn until(rows: &(impl Rows + ?Sized), case: &CaseRow, t: UnixMillis) -> Result<Option<UnixMillis>, RowError> {
    if !matches!(case.state, CaseState::Archived) {
        return Ok(None);
    }
    let mut longest = UnixMillis(i64::MIN);
    for archived in &case.archives {
        match archived_until(rows, archived, t)? {
            Some(until) => longest = longest.max(until),
            None => return Ok(None),
        }
    }
    Ok(Some(longest))
}

fn archived_until(
    rows: &(impl Rows + ?Sized),
    archived: &ArchiveRow,
    t: UnixMillis,
) -> Result<Option<UnixMillis>, RowError> {
    let corrected = correction::archive_in_force(rows, archived.corrected, t)?;
    Ok(archived.end(corrected.unwrap_or(archived.archive)))
}

/// Every case that an item was ever bound to, and its binding.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn ever_of_item(rows: &(impl Rows + ?Sized), item: ItemId) -> Result<Vec<(CaseRow, BindingRow)>, RowError> {
    let (mut cases, mut after) = (Vec::new(), None::<Vec<u8>>);
    loop {
        let page = CASES_BY_ITEM.scan(rows, &item, after.as_deref(), limits::PAGE_ROWS_MAX)?;
        let Some((last, _)) = page.last() else { return Ok(cases) };
        after = Some(last.clone());
        for (_, case) in page {
            let missing = || RowError::Corrupt {
                table: CASES_BY_ITEM.name,
                detail: format!("case {case} is listed but not there"),
            };
            let binding = CASE_ITEMS.read(rows, &(case.clone(), item))?.ok_or_else(missing)?;
            cases.push((CASES.read(rows, &case)?.ok_or_else(missing)?, binding));
        }
    }
}

/// A case that this person opened and that is not archived, of which the item is evidence because another person said so:
/// nobody opens footage to themselves.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn own_of(rows: &(impl Rows + ?Sized), who: &PrincipalId, item: ItemId) -> Result<Option<CaseId>, RowError> {
    for (_, id) in CASES_BY_ITEM.scan(rows, &item, None, limits::PAGE_ROWS_MAX)? {
        let binding = CASE_ITEMS.read(rows, &(id.clone(), item))?;
        let case = CASES.read(rows, &id)?;
        let bound = binding.is_some_and(|binding| binding.by != *who && binding.corrected.is_none());
        if bound && case.is_some_and(|case| case.opened_by == *who && case.state != CaseState::Archived) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

pub(crate) fn open(decision: &mut Decision<'_>, command: &OpenCase) -> Result<Answer, Stop> {
    let by = decision.authorize(Act::CaseOpen)?;
    within_unit(&by, &command.unit)?;
    check_given("the title", &command.title, "G6")?;
    unit::live(decision.rows, &command.unit)?;
    if CASES.read(decision.rows, &command.case)?.is_some() {
        return Err(Refusal::new(
            Reason::AlreadyExists,
            "G6",
            format!("case {} exists already", command.case),
            "bind items to it: `strongroom case bind`",
        )
        .into());
    }
    let seq = decision.next_seq();
    let row = CaseRow {
        id: command.case.clone(),
        unit: command.unit.clone(),
        title: command.title.clone(),
        opened_by: by.id,
        seq,
        items: 0,
        state: CaseState::Open(seq),
        archives: Vec::new(),
    };
    CASES.write(decision.rows, &command.case, &row);
    let facts = facts(&row, &[(Fact::Unit, row.unit.as_str().into()), (Fact::Title, row.title.as_str().into())]);
    Ok(Answer::Recorded(decision.record(Act::CaseOpen, "G6", Vec::new(), facts)))
}

/// Binds items. One that is bound already stays as it is, so that a list can be given again.
pub(crate) fn bind(decision: &mut Decision<'_>, command: &BindCase) -> Result<Answer, Stop> {
    let (by, mut row) = subject(decision, Act::CaseBind, &command.case)?;
    check_list(&command.items)?;
    let t = clock::read(decision.rows)?.t;
    let seq = decision.next_seq();
    let mut bound = Vec::new();
    for id in &command.items {
        let item = sealed(decision.rows, *id)?;
        within_item(decision.rows, &by, *id, &item)?;
        refuse_quarantined(*id, &item)?;
        let key = (command.case.clone(), *id);
        let before = CASE_ITEMS.read(decision.rows, &key)?;
        if let Some(binding) = &before
            && !correction::in_force(decision.rows, binding.corrected, t)?
        {
            continue;
        }
        CASE_ITEMS.write(decision.rows, &key, &BindingRow { by: by.id.clone(), seq, corrected: None });
        CASES_BY_ITEM.write(decision.rows, &(*id, command.case.clone()), &command.case);
        row.items += u64::from(before.is_none());
        bound.push(*id);
    }
    CASES.write(decision.rows, &command.case, &row);
    let count = Value::from(bound.len() as u64);
    let facts = facts(&row, &[(Fact::Count, count)]);
    Ok(Answer::Recorded(decision.record(Act::CaseBind, "G6", command.items.clone(), facts)))
}

pub(crate) fn close(decision: &mut Decision<'_>, command: &CloseCase) -> Result<Answer, Stop> {
    let (_, mut row) = subject(decision, Act::CaseClose, &command.case)?;
    check_given("the reason", &command.reason, "G6")?;
    if !matches!(row.state, CaseState::Open(_)) {
        return Err(wrong_state(&row, "only an open case is closed").into());
    }
    let more =
        [(Fact::Outcome, Value::from(command.outcome.name())), (Fact::ReasonGiven, command.reason.as_str().into())];
    let seq = decision.record(Act::CaseClose, "G6", Vec::new(), facts(&row, &more));
    row.state = CaseState::Closed(command.outcome, seq);
    CASES.write(decision.rows, &command.case, &row);
    Ok(Answer::Recorded(seq))
}

pub(crate) fn archive(decision: &mut Decision<'_>, command: &ArchiveCase) -> Result<Answer, Stop> {
    let (by, mut row) = subject(decision, Act::CaseArchive, &command.case)?;
    let archive = Archive { date: command.date, term: checked_term(command.term)? };
    if matches!(row.state, CaseState::Archived) {
        return Err(wrong_state(&row, "a mistaken date or term is corrected: `strongroom correction propose`").into());
    }
    if row.archives.len() >= limits::CASE_ARCHIVES_MAX {
        let max = limits::CASE_ARCHIVES_MAX;
        return Err(Refusal::invalid(format!("a case is archived at most {max} times")).into());
    }
    let entered = clock::read(decision.rows)?.start(decision.wall);
    let seq = decision.next_seq();
    let archived = ArchiveRow { archive, entered, by: by.id, seq, corrected: None };
    let mut more = archive_facts(&archive);
    if let Some(until) = archived.end(archive) {
        more.push((Fact::Until, until.into()));
    }
    row.archives.push(archived);
    row.state = CaseState::Archived;
    CASES.write(decision.rows, &command.case, &row);
    let facts = facts(&row, &more);
    Ok(Answer::Recorded(decision.record(Act::CaseArchive, "G6", Vec::new(), facts)))
}

pub(crate) fn reopen(decision: &mut Decision<'_>, command: &ReopenCase) -> Result<Answer, Stop> {
    let (_, mut row) = subject(decision, Act::CaseReopen, &command.case)?;
    check_given("the reason", &command.reason, "G6")?;
    if matches!(row.state, CaseState::Open(_)) {
        return Err(wrong_state(&row, "it needs no reopening").into());
    }
    let facts = facts(&row, &[(Fact::ReasonGiven, command.reason.as_str().into())]);
    let seq = decision.record(Act::CaseReopen, "G6", Vec::new(), facts);
    row.state = CaseState::Open(seq);
    CASES.write(decision.rows, &command.case, &row);
    Ok(Answer::Recorded(seq))
}

/// The term, where there is one that can be.
///
/// # Errors
/// `TERM_MISSING`, or `INVALID_ARGUMENT` where it is out of bounds.
pub fn checked_term(term: Option<Term>) -> Result<Term, Refusal> {
    match term {
        Some(term @ (Term::Months(1..=1200) | Term::Permanent)) => Ok(term),
        Some(Term::Months(months)) => Err(Refusal::invalid(format!("a term takes 1 to 1200 months, not {months}"))),
        None => Err(Refusal::new(
            Reason::TermMissing,
            "G6",
            "a case file is archived for a term: items are kept as long as it is",
            "give the term of the dossier: `--term-months N` or `--permanent`",
        )),
    }
}

/// Date and term as facts.
pub(crate) fn archive_facts(archive: &Archive) -> Vec<(Fact, Value)> {
    vec![(Fact::ArchiveDate, archive.date.into()), (Fact::Term, archive.term.to_string().into())]
}

/// A list of items that one command takes: some, not too many, each once.
pub(crate) fn check_list(items: &[ItemId]) -> Result<(), Refusal> {
    let max = limits::BATCH_ITEMS_MAX;
    if items.is_empty() || items.len() > max {
        return Err(Refusal::invalid(format!("one command takes 1 to {max} items, not {}", items.len())));
    }
    let mut sorted = items.to_vec();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Refusal::invalid(format!("item {} is named twice", pair[0]))),
        None => Ok(()),
    }
}

fn subject(decision: &mut Decision<'_>, act: Act, id: &CaseId) -> Result<(PrincipalRow, CaseRow), Stop> {
    let by = decision.authorize(act)?;
    let row = read(decision.rows, id)?;
    within_unit(&by, &row.unit)?;
    Ok((by, row))
}

fn facts(row: &CaseRow, more: &[(Fact, Value)]) -> BTreeMap<Fact, Value> {
    [(Fact::Case, row.id.as_str().into())].into_iter().chain(more.iter().cloned()).collect()
}

fn wrong_state(row: &CaseRow, remedy: &str) -> Refusal {
    Refusal::new(Reason::WrongState, "G6", format!("case {} is {}", row.id, row.state.name()), remedy)
}

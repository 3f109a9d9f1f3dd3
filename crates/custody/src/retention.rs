//! Why an item is kept and until when (semantics C1): the longest of everything that applies (G3).
//!
//! Everything that keeps an item is looked up when it is asked, from the rows that decide it: there is no second copy
//! that could be older than a hold.

use strongroom_types::{
    CaseId, HoldId, ItemId, PrincipalId, ProfileName, RecordSeq, Refusal, UnitId, UnixMillis,
    rows::{RowError, Rows},
};

use crate::{
    access::Stop,
    case::{self, CaseState},
    clock, correction, floors,
    hold::{self, HoldRow},
    keeping,
    tables::{ItemRow, PROFILES, ProfileRow, Retention},
    transfer, unit,
};

/// One thing that keeps an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What it is.
    pub by: Keeper,
    /// Until when; none where it has no end.
    pub until: Option<UnixMillis>,
    /// Record that set it.
    pub seq: RecordSeq,
}

/// What keeps an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// The profile's floor, or that it names none.
    Floor,
    /// Somebody's extension, and their reason.
    Extension(PrincipalId, String),
    /// A long-term trigger, and what it rests on.
    Trigger(String, String),
    /// A case that is not archived.
    OpenCase(CaseId),
    /// An archived case.
    ArchivedCase(CaseId),
    /// A hold, and the authority that asked for it.
    Hold(HoldId, String),
    /// The floor of a profile that it came under later, because something of it changed hands.
    Taken(TakenWith, ProfileName),
}

/// With what an item came under a further profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakenWith {
    /// With its unit, whose powers this one has.
    Unit(UnitId),
    /// With a case that changed hands.
    Case(CaseId),
}

impl std::fmt::Display for TakenWith {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unit(unit) => write!(f, "its unit, which {unit} succeeded"),
            Self::Case(case) => write!(f, "case {case}, which changed hands"),
        }
    }
}

impl TakenWith {
    fn told_zh(&self) -> String {
        match self {
            Self::Unit(unit) => format!("单位并入 {unit} "),
            Self::Case(case) => format!("案件 {case} 移交"),
        }
    }
}

/// One reason to keep an item, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepReason {
    /// Rule or article id.
    pub rule: String,
    /// In Chinese.
    pub text_zh: String,
    /// In English.
    pub text_en: String,
    /// Until when; none where it has no end.
    pub until: Option<UnixMillis>,
    /// Record that set it.
    pub seq: RecordSeq,
}

/// Looks items' keepers up against one state: what they share is read once.
pub struct Keepers<'a, R: ?Sized> {
    rows: &'a R,
    t: UnixMillis,
    by_query: Vec<HoldRow>,
}

impl<'a, R: Rows + ?Sized> Keepers<'a, R> {
    /// Reads what all items share.
    ///
    /// # Errors
    /// [`RowError`] where a row cannot be read.
    pub fn load(rows: &'a R) -> Result<Self, RowError> {
        Ok(Self { rows, t: clock::read(rows)?.t, by_query: hold::by_query(rows)? })
    }

    /// Everything that keeps an item, the floor first and holds last.
    ///
    /// # Errors
    /// [`RowError`] where a row cannot be read.
    pub fn of(&self, id: ItemId, item: &ItemRow) -> Result<Vec<Kept>, RowError> {
        let (rows, t) = (self.rows, self.t);
        let mut kept = vec![floor_of(rows, item)?];
        for end in unit::ends(rows, &item.description.unit)? {
            if let Some(by) = end.successors.into_iter().next().map(TakenWith::Unit) {
                kept.extend(taken(rows, item, by, end.profile, end.version, end.seq)?);
            }
        }
        let said = keeping::read(rows, id)?;
        for one in keeping::extensions(rows, &said, t)? {
            let by = Keeper::Extension(one.by.clone(), one.reason.clone());
            kept.push(Kept { by, until: Some(one.until), seq: one.seq });
        }
        for one in keeping::triggers(rows, &said, t)? {
            kept.push(Kept { by: Keeper::Trigger(one.code.clone(), one.basis.clone()), until: None, seq: one.seq });
        }
        let cases = case::ever_of_item(rows, id)?;
        for (case, binding) in &cases {
            if correction::in_force(rows, binding.corrected, t)? {
                continue;
            }
            kept.extend(with_case(rows, item, &case.id)?);
            let (by, seq) = match (&case.state, case.archives.last()) {
                (CaseState::Archived, Some(archived)) => (Keeper::ArchivedCase(case.id.clone()), archived.seq),
                (CaseState::Archived | CaseState::Open(_) | CaseState::Closed(..), _) => {
                    (Keeper::OpenCase(case.id.clone()), binding.seq)
                }
            };
            kept.push(Kept { by, until: case::until(rows, case, t)?, seq });
        }
        // A hold on a case covers what was ever bound to it: correcting a binding takes nothing out of a hold.
        let ids = cases.into_iter().map(|(case, _)| case.id);
        for hold in hold::over(rows, &self.by_query, id, item, ids)? {
            kept.push(Kept { by: Keeper::Hold(hold.id, hold.authority), until: None, seq: hold.seq });
        }
        Ok(kept)
    }

    /// Whether a hold stands over an item, and which.
    ///
    /// # Errors
    /// [`RowError`] where a row cannot be read.
    pub fn holds(&self, id: ItemId, item: &ItemRow) -> Result<Vec<HoldId>, RowError> {
        let cases = case::ever_of_item(self.rows, id)?.into_iter().map(|(case, _)| case.id);
        let holds = hold::over(self.rows, &self.by_query, id, item, cases)?;
        Ok(holds.into_iter().map(|hold| hold.id).collect())
    }
}

/// Retention of an item that is sealed under `profile` and starts at `start`, which [`clock::ClockRow::start`] gives.
#[must_use]
pub fn at_seal(profile: &ProfileRow, version: u64, start: UnixMillis) -> Retention {
    Retention {
        start,
        profile: profile.profile.name.clone(),
        version,
        floor_until: profile.profile.floor.as_ref().map(|floor| start.plus_months_rounded_up(floor.months)),
    }
}

/// The floor of an item: of the version that sealed it, or of a later one that is higher.
fn floor_of(rows: &(impl Rows + ?Sized), item: &ItemRow) -> Result<Kept, RowError> {
    let governing = floors::governing(rows, &item.retention)?;
    // What the sealing version says was recorded with the seal, what a later one says with its activation.
    let sealing = governing.version.version == item.retention.version;
    let seq = if sealing { item.seq } else { governing.version.seq };
    Ok(Kept { by: Keeper::Floor, until: governing.until, seq })
}

/// The floors of every profile that a case came under when it changed hands.
fn with_case(rows: &(impl Rows + ?Sized), item: &ItemRow, case: &CaseId) -> Result<Vec<Kept>, RowError> {
    let mut kept = Vec::new();
    for transfer in transfer::of_case(rows, case)? {
        let Some(receipt) = transfer.state.receipt() else { continue };
        let with = || TakenWith::Case(case.clone());
        kept.extend(taken(rows, item, with(), receipt.profile.clone(), receipt.version, receipt.taken.seq)?);
        for end in unit::ends(rows, &transfer.to)? {
            kept.extend(taken(rows, item, with(), end.profile, end.version, end.seq)?);
        }
    }
    Ok(kept)
}

/// The floor of a profile that an item came under with something else: the longer one counts, so that nothing that
/// changes hands is kept for less (G3). Its own profile keeps it anyhow.
fn taken(
    rows: &(impl Rows + ?Sized),
    item: &ItemRow,
    by: TakenWith,
    profile: ProfileName,
    version: u64,
    seq: RecordSeq,
) -> Result<Option<Kept>, RowError> {
    if profile == item.retention.profile {
        return Ok(None);
    }
    let under = Retention { start: item.retention.start, profile, version, floor_until: None };
    let until = floors::until(rows, &under)?;
    Ok(Some(Kept { by: Keeper::Taken(by, under.profile), until, seq }))
}

/// Everything that keeps an item.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn kept(rows: &(impl Rows + ?Sized), id: ItemId, item: &ItemRow) -> Result<Vec<Kept>, RowError> {
    Keepers::load(rows)?.of(id, item)
}

/// The end of retention: the latest of all; none where one has no end.
#[must_use]
pub fn effective_until(kept: &[Kept]) -> Option<UnixMillis> {
    // Nothing at all keeps no item, which cannot be: there is always the floor.
    kept.iter().map(|one| one.until).try_fold(UnixMillis(i64::MIN), |latest, until| Some(latest.max(until?)))
}

/// Refuses what would end an item that something keeps at `now`, by the strongest reason.
///
/// # Errors
/// [`Stop`] with `HOLD_ACTIVE`, `FLOOR_UNSPECIFIED` or `RETENTION_ACTIVE`.
pub fn refuse_kept(
    rows: &(impl Rows + ?Sized),
    id: ItemId,
    item: &ItemRow,
    kept: &[Kept],
    now: UnixMillis,
) -> Result<(), Stop> {
    use strongroom_types::Reason::{FloorUnspecified, HoldActive, RetentionActive};
    let refuse = |reason, rule: &str, why: String, remedy: String| {
        Err(Refusal::new(reason, rule, format!("item {id} is kept: {why}"), remedy).into())
    };
    let strongest = kept
        .iter()
        .filter(|one| one.until.is_none_or(|until| now < until))
        .max_by_key(|one| (matches!(one.by, Keeper::Hold(..)), one.until.is_none(), one.until));
    let Some(one) = strongest else { return Ok(()) };
    let until = one.until.map_or_else(|| "without end".to_owned(), |until| format!("until {until}"));
    let since = format!("record {}", one.seq);
    match &one.by {
        Keeper::Hold(hold, authority) => refuse(
            HoldActive,
            "G3",
            format!("hold {hold} of {authority} stands over it ({since})"),
            "legal and head release a hold together: `strongroom hold release`".to_owned(),
        ),
        Keeper::Floor => {
            let told = told_floor(rows, item, one.clone())?;
            let why = format!("{} ({until}, {since})", told.text_en);
            match one.until {
                Some(_) => {
                    refuse(RetentionActive, &told.rule, why, "wait until then; nobody can shorten it".to_owned())
                }
                None => refuse(
                    FloorUnspecified,
                    &told.rule,
                    why,
                    "everything is kept until the agency names a floor from a higher source".to_owned(),
                ),
            }
        }
        Keeper::Extension(by, _) => refuse(
            RetentionActive,
            "C1",
            format!("{by} extended its retention {until} ({since})"),
            "a mistaken extension is corrected by legal and head: `strongroom correction propose`".to_owned(),
        ),
        Keeper::Trigger(code, _) => {
            let cited = cited(rows, item, &one.by, "G7")?;
            refuse(
                RetentionActive,
                &cited.rule,
                format!("trigger {code} keeps it {until} ({since}){}", cited.words),
                "a mistaken trigger is corrected by legal and head: `strongroom correction propose`".to_owned(),
            )
        }
        Keeper::OpenCase(case) => {
            let cited = cited(rows, item, &one.by, "G6")?;
            refuse(
                RetentionActive,
                &cited.rule,
                format!("case {case} is not archived, which keeps it {until} ({since}){}", cited.words),
                "archive the case's file with its term: `strongroom case archive`".to_owned(),
            )
        }
        Keeper::ArchivedCase(case) => {
            let cited = cited(rows, item, &one.by, "G6")?;
            refuse(
                RetentionActive,
                &cited.rule,
                format!("the file of case {case} is kept {until} ({since}){}", cited.words),
                "an item is kept as long as the case file is".to_owned(),
            )
        }
        Keeper::Taken(with, profile) => refuse(
            if one.until.is_some() { RetentionActive } else { FloorUnspecified },
            "G3",
            format!("it came under profile {profile} with {with}, which keeps it {until} ({since})"),
            "the longest of all periods counts; nobody can shorten it".to_owned(),
        ),
    }
}

/// What keeps the item, in words.
///
/// # Errors
/// [`RowError`] where the profile that sealed it cannot be read.
pub fn explain(rows: &(impl Rows + ?Sized), item: &ItemRow, kept: Vec<Kept>) -> Result<Vec<KeepReason>, RowError> {
    kept.into_iter().map(|one| told(rows, item, one)).collect()
}

/// Where the item's profile says so: its rule, and the article's words to be put behind a text.
struct Cited {
    rule: String,
    words: String,
}

/// What the profile of an item says of what keeps it, as it is now; `or` is the rule where the profile says nothing.
fn cited(rows: &(impl Rows + ?Sized), item: &ItemRow, by: &Keeper, or: &str) -> Result<Cited, RowError> {
    let name = &item.retention.profile;
    let newest = floors::versions(rows, name)?.newest().map(|newest| newest.version);
    let row = newest.map(|version| PROFILES.read(rows, &(name.clone(), version))).transpose()?.flatten();
    let source = row.as_ref().and_then(|row| match by {
        Keeper::Trigger(code, _) => {
            let mut triggers = row.profile.long_term.iter().flat_map(|long_term| &long_term.triggers);
            triggers.find(|trigger| trigger.code == *code).map(|trigger| &trigger.source)
        }
        Keeper::OpenCase(_) | Keeper::ArchivedCase(_) => row.profile.evidence.as_ref().map(|evidence| &evidence.source),
        Keeper::Floor | Keeper::Extension(..) | Keeper::Hold(..) | Keeper::Taken(..) => None,
    });
    Ok(match source.filter(|source| !source.rule.is_empty()) {
        Some(source) => Cited { rule: source.rule.clone(), words: words(&source.article) },
        None => Cited { rule: or.to_owned(), words: String::new() },
    })
}

fn words(article: &str) -> String {
    if article.is_empty() { String::new() } else { format!("; {article}") }
}

fn told(rows: &(impl Rows + ?Sized), item: &ItemRow, one: Kept) -> Result<KeepReason, RowError> {
    let or = if matches!(one.by, Keeper::Trigger(..)) { "G7" } else { "G6" };
    let cited = cited(rows, item, &one.by, or)?;
    let words = cited.words.as_str();
    let (rule, text_zh, text_en) = match one.by {
        Keeper::Floor => return told_floor(rows, item, one),
        Keeper::Extension(by, why) => {
            ("C1", format!("{by} 延长了保存期限：{why}"), format!("{by} extended its retention: {why}"))
        }
        Keeper::Trigger(code, basis) => (
            cited.rule.as_str(),
            format!("符合长期留存情形 {code}，长期保存。依据：{basis}{words}"),
            format!("long-term trigger {code} keeps it without end; basis: {basis}{words}"),
        ),
        Keeper::OpenCase(case) => (
            cited.rule.as_str(),
            format!("案件 {case} 尚未归档，归档前一律保存{words}"),
            format!("case {case} is not archived: until it is, its evidence is kept{words}"),
        ),
        Keeper::ArchivedCase(case) => (
            cited.rule.as_str(),
            format!("随案件 {case} 的案卷保存期限保存{words}"),
            format!("it is kept as long as the file of case {case}{words}"),
        ),
        Keeper::Hold(hold, authority) => (
            "G3",
            format!("暂缓销毁事项 {hold}（{authority}）未解除"),
            format!("hold {hold} of {authority} stands over it"),
        ),
        Keeper::Taken(with, profile) => (
            "G3",
            format!("随{}纳入管理制度 {profile}，从其较长的保存期限", with.told_zh()),
            format!("it came under profile {profile} with {with}: the longer period counts"),
        ),
    };
    Ok(KeepReason { rule: rule.to_owned(), text_zh, text_en, until: one.until, seq: one.seq })
}

fn told_floor(rows: &(impl Rows + ?Sized), item: &ItemRow, one: Kept) -> Result<KeepReason, RowError> {
    let retention = &item.retention;
    let version = floors::governing(rows, retention)?.version.version;
    let profile = PROFILES.read(rows, &(retention.profile.clone(), version))?;
    let floor = profile.as_ref().and_then(|row| row.profile.floor.as_ref());
    let named = format!("{}@{version}", retention.profile);
    let (rule, text_zh, text_en) = match (floor, one.until) {
        (Some(floor), Some(_)) => (
            floor.source.rule.clone(),
            format!(
                "管理制度 {named} 规定保存不少于{}个月，自 {} 起算。{}",
                floor.months, retention.start, floor.source.article
            ),
            format!(
                "profile {named} keeps it for at least {} months from {}; {}",
                floor.months, retention.start, floor.source.article
            ),
        ),
        (Some(_) | None, _) => {
            let open = profile.as_ref().and_then(|row| row.profile.open.get("floor"));
            let open = open.filter(|source| !source.rule.is_empty());
            let words = open.map_or_else(String::new, |source| words(&source.article));
            (
                profile.as_ref().map_or("G2", |row| row.profile.open_floor_rule()).to_owned(),
                format!("管理制度 {named} 未规定保存期限：在规定之前一律保存{words}"),
                format!("profile {named} names no floor: everything is kept until one is set{words}"),
            )
        }
    };
    Ok(KeepReason { rule, text_zh, text_en, until: one.until, seq: one.seq })
}

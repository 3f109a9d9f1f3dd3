//! Holds 暂缓销毁: named legal matters that forbid disposal of what they cover.
//!
//! A hold covers items, cases and queries. What it covers is looked up when an item is looked at, never written into
//! each item: a hold on a case of a hundred thousand items is one row, in force when it is answered, and covers
//! what is bound or sealed later too. A query matches what an item was sealed with and every label that it ever had, so
//! that no later label takes an item out of a hold. One person places a hold, two offices release it.

use std::collections::BTreeMap;

use strongroom_types::{
    ActivityId, CaseId, DeviceId, HoldId, ItemId, PrincipalId, Reason, RecordSeq, Refusal, Role, UnitId, UnixMillis,
    limits,
    rows::{RowError, Rows},
};

use crate::{
    Act, Answer, Fact, Value,
    access::{Stop, different_person, within_unit},
    apply::Decision,
    case,
    correction::RoleStepRow,
    item::sealed,
    keeping::check_given,
    tables::{HOLDS, HOLDS_BY_CASE, HOLDS_BY_ITEM, ItemRow, PrincipalRow, QUERY_HOLDS},
    transfer::within_item,
    upload::{check_label_name, check_text},
};

/// The offices that release a hold together.
const OFFICES: [Role; 2] = [Role::Legal, Role::Head];

/// A hold.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct HoldRow {
    /// The matter's name 事项名称.
    #[n(0)]
    pub id: HoldId,
    /// Authority that asks for it 依据.
    #[n(1)]
    pub authority: String,
    /// Number of its letter 来函文号.
    #[n(2)]
    pub document: String,
    /// Why.
    #[n(3)]
    pub reason: String,
    /// Who placed it.
    #[n(4)]
    pub placed_by: PrincipalId,
    /// Unit of whoever placed it; none means the whole agency.
    #[n(5)]
    pub unit: Option<UnitId>,
    /// When, by the wall clock.
    #[n(6)]
    pub placed_at: UnixMillis,
    /// Record of its placing.
    #[n(7)]
    pub seq: RecordSeq,
    /// Items that were named one by one.
    #[n(8)]
    pub items: u64,
    /// Cases that it covers, with what is bound to them at any time.
    #[n(9)]
    pub cases: Vec<CaseId>,
    /// Queries that it covers, with what matches at any time.
    #[n(10)]
    pub queries: Vec<HoldQuery>,
    /// Where it stands.
    #[n(11)]
    pub state: HoldState,
}

/// Where a hold stands.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum HoldState {
    /// It forbids disposal.
    #[n(0)]
    Standing,
    /// It forbids disposal; one office has asked for its release, for this reason.
    #[n(1)]
    Releasing(#[n(0)] RoleStepRow, #[n(1)] String),
    /// Released by two offices.
    #[n(2)]
    Released(#[n(0)] RoleStepRow, #[n(1)] RoleStepRow, #[n(2)] String),
}

impl HoldRow {
    /// Whether it forbids disposal.
    #[must_use]
    pub const fn stands(&self) -> bool {
        match self.state {
            HoldState::Standing | HoldState::Releasing(..) => true,
            HoldState::Released(..) => false,
        }
    }
}

/// What a hold by query covers: items that meet every condition it names.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct HoldQuery {
    /// Recorded by this unit.
    #[n(0)]
    pub unit: Option<UnitId>,
    /// Recorded with this device.
    #[n(1)]
    pub device: Option<DeviceId>,
    /// Recorded in this activity.
    #[n(2)]
    pub activity: Option<ActivityId>,
    /// Ever labelled so.
    #[n(3)]
    pub labels: BTreeMap<String, String>,
    /// Recorded or sealed at this instant or later.
    #[n(4)]
    pub from: Option<UnixMillis>,
    /// Recorded or sealed before this instant.
    #[n(5)]
    pub to: Option<UnixMillis>,
}

impl HoldQuery {
    /// Whether it covers an item. Where clocks disagree about when it was recorded, it does.
    #[must_use]
    pub fn covers(&self, item: &ItemRow) -> bool {
        let about = &item.description;
        let latest = about.recorded_end.max(item.sealed_at);
        let earliest = about.recorded_start.min(item.sealed_at);
        let labelled = |(name, text): (&String, &String)| {
            item.labels.get(name).is_some_and(|values| values.iter().any(|value| value.value == *text))
        };
        self.unit.as_ref().is_none_or(|unit| about.unit == *unit)
            && self.device.as_ref().is_none_or(|device| about.device == *device)
            && self.activity.as_ref().is_none_or(|activity| about.activity.as_ref() == Some(activity))
            && self.from.is_none_or(|from| latest >= from)
            && self.to.is_none_or(|to| earliest < to)
            && self.labels.iter().all(labelled)
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a hold is placed on.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct HoldScope {
    /// Items.
    #[n(0)]
    pub items: Vec<ItemId>,
    /// Cases.
    #[n(1)]
    pub cases: Vec<CaseId>,
    /// Queries.
    #[n(2)]
    pub queries: Vec<HoldQuery>,
}

/// Places a hold, or widens one that stands.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct PlaceHold {
    /// The matter's name.
    #[n(0)]
    pub hold: HoldId,
    /// Authority that asks for it.
    #[n(1)]
    pub authority: String,
    /// Number of its letter; may be empty.
    #[n(2)]
    pub document: String,
    /// Why.
    #[n(3)]
    pub reason: String,
    /// On what.
    #[n(4)]
    pub scope: HoldScope,
}

/// Takes one of the two steps that release a hold.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ReleaseHold {
    /// The matter's name.
    #[n(0)]
    pub hold: HoldId,
    /// Why.
    #[n(1)]
    pub reason: String,
}

/// The hold of this name.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`.
pub fn read(rows: &(impl Rows + ?Sized), id: &HoldId) -> Result<HoldRow, Stop> {
    HOLDS.read(rows, id)?.ok_or_else(|| Refusal::not_found(format!("hold {id}")).into())
}

/// Holds by query that stand; read once for many items.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn by_query(rows: &(impl Rows + ?Sized)) -> Result<Vec<HoldRow>, RowError> {
    let ids = QUERY_HOLDS.scan(rows, &(), None, limits::QUERY_HOLDS_MAX)?;
    ids.into_iter().map(|(_, id)| listed(rows, &id)).collect()
}

/// Holds that stand over an item of these cases.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn over(
    rows: &(impl Rows + ?Sized),
    by_query: &[HoldRow],
    id: ItemId,
    item: &ItemRow,
    cases: impl Iterator<Item = CaseId>,
) -> Result<Vec<HoldRow>, RowError> {
    let covers = |hold: &&HoldRow| hold.queries.iter().any(|query| query.covers(item));
    let mut holds: BTreeMap<HoldId, HoldRow> =
        by_query.iter().filter(covers).map(|hold| (hold.id.clone(), hold.clone())).collect();
    let mut named = every(|after| HOLDS_BY_ITEM.scan(rows, &id, after, limits::PAGE_ROWS_MAX))?;
    for case in cases {
        named.extend(every(|after| HOLDS_BY_CASE.scan(rows, &case, after, limits::PAGE_ROWS_MAX))?);
    }
    for id in named {
        if let std::collections::btree_map::Entry::Vacant(place) = holds.entry(id) {
            let hold = listed(rows, place.key())?;
            place.insert(hold);
        }
    }
    Ok(holds.into_values().filter(HoldRow::stands).collect())
}

/// Every value of an index, however many pages: a hold that is not read is a hold that does not hold.
fn every<T>(page: impl Fn(Option<&[u8]>) -> Result<Vec<(Vec<u8>, T)>, RowError>) -> Result<Vec<T>, RowError> {
    let (mut values, mut after) = (Vec::new(), None::<Vec<u8>>);
    loop {
        let rows = page(after.as_deref())?;
        let Some((last, _)) = rows.last() else { return Ok(values) };
        after = Some(last.clone());
        values.extend(rows.into_iter().map(|(_, value)| value));
    }
}

fn listed(rows: &(impl Rows + ?Sized), id: &HoldId) -> Result<HoldRow, RowError> {
    HOLDS
        .read(rows, id)?
        .ok_or_else(|| RowError::Corrupt { table: HOLDS.name, detail: format!("hold {id} is listed but is not there") })
}

pub(crate) fn place(decision: &mut Decision<'_>, command: &PlaceHold) -> Result<Answer, Stop> {
    let by = decision.authorize(Act::HoldPlace)?;
    check_given("the authority", &command.authority, "G3")?;
    check_given("the reason", &command.reason, "G3")?;
    check_text("the document", &command.document)?;
    check_scope(decision, &by, &command.scope)?;
    let seq = decision.next_seq();
    let mut row = match HOLDS.read(decision.rows, &command.hold)? {
        Some(row) => widened(&by, command, row)?,
        None => HoldRow {
            id: command.hold.clone(),
            authority: command.authority.clone(),
            document: command.document.clone(),
            reason: command.reason.clone(),
            placed_by: by.id.clone(),
            unit: by.unit.clone(),
            placed_at: decision.wall,
            seq,
            items: 0,
            cases: Vec::new(),
            queries: Vec::new(),
            state: HoldState::Standing,
        },
    };
    cover(decision, &mut row, &command.scope)?;
    let facts = placed_facts(command);
    decision.record(Act::HoldPlace, "G3", command.scope.items.clone(), facts);
    Ok(Answer::Hold(Box::new(row), seq))
}

/// One office asks, the other agrees: only then the hold ends, and only this one.
pub(crate) fn release(decision: &mut Decision<'_>, command: &ReleaseHold) -> Result<Answer, Stop> {
    let by = decision.authorize(Act::HoldRelease)?;
    check_given("the reason", &command.reason, "C1")?;
    let mut row = read(decision.rows, &command.hold)?;
    reaches(&by, &row)?;
    let seq = decision.next_seq();
    let now = decision.wall;
    let step = |role| RoleStepRow { by: by.id.clone(), role, at: now, seq };
    row.state = match row.state {
        HoldState::Released(..) => {
            return Err(Refusal::new(
                Reason::WrongState,
                "C1",
                format!("hold {} is released already", row.id),
                "other holds on the same items go on",
            )
            .into());
        }
        HoldState::Releasing(first, why) if now.since_ms(first.at) < limits::SECOND_STEP_MS => {
            different_person(&by.id, &first.by, "a hold is released by two people")?;
            let role = second_office(&by, &row.id, first.role)?;
            HoldState::Released(first, step(role), why)
        }
        // An office that asked so long ago has to ask again.
        HoldState::Standing | HoldState::Releasing(..) => {
            let role = OFFICES.into_iter().find(|role| by.roles.contains(role)).expect("the table lets these in");
            HoldState::Releasing(step(role), command.reason.clone())
        }
    };
    let done = !row.stands();
    if done && !row.queries.is_empty() {
        QUERY_HOLDS.remove(decision.rows, &row.id);
    }
    HOLDS.write(decision.rows, &row.id, &row);
    let facts = BTreeMap::from([
        (Fact::Hold, Value::from(row.id.as_str())),
        (Fact::ReasonGiven, command.reason.as_str().into()),
        (Fact::State, state_name(&row).into()),
    ]);
    decision.record(Act::HoldRelease, "C1", Vec::new(), facts);
    Ok(Answer::Hold(Box::new(row), seq))
}

/// Where a hold stands, as one word.
#[must_use]
pub const fn state_name(row: &HoldRow) -> &'static str {
    match row.state {
        HoldState::Standing => "standing",
        HoldState::Releasing(..) => "releasing",
        HoldState::Released(..) => "released",
    }
}

/// What is still missing before a hold ends, in words that name who can give it.
#[must_use]
pub fn still_missing(row: &HoldRow) -> Vec<String> {
    let offices = |taken: Option<Role>| {
        OFFICES.iter().filter(move |role| Some(**role) != taken).map(|role| format!("release by {role}")).collect()
    };
    match &row.state {
        HoldState::Standing => offices(None),
        HoldState::Releasing(first, _) => offices(Some(first.role)),
        HoldState::Released(..) => Vec::new(),
    }
}

fn second_office(by: &PrincipalRow, hold: &HoldId, first: Role) -> Result<Role, Refusal> {
    OFFICES.into_iter().find(|role| *role != first && by.roles.contains(role)).ok_or_else(|| {
        let other = OFFICES.into_iter().find(|role| *role != first).expect("there are two");
        Refusal::new(
            Reason::ApprovalMissing,
            "C1",
            format!("{first} has asked for the release of hold {hold}; one office alone releases nothing"),
            format!("missing: release by {other}"),
        )
    })
}

fn widened(by: &PrincipalRow, command: &PlaceHold, row: HoldRow) -> Result<HoldRow, Refusal> {
    reaches(by, &row)?;
    if !row.stands() {
        return Err(Refusal::new(
            Reason::AlreadyExists,
            "G3",
            format!("hold {} was released", row.id),
            "a new matter takes a name of its own",
        ));
    }
    if row.authority != command.authority {
        return Err(Refusal::new(
            Reason::AlreadyExists,
            "G3",
            format!("hold {} was placed for {}, not for {}", row.id, row.authority, command.authority),
            "name the same authority to widen it, or choose another name",
        ));
    }
    Ok(row)
}

/// Writes what the hold covers now. What it covered before stays.
fn cover(decision: &mut Decision<'_>, row: &mut HoldRow, scope: &HoldScope) -> Result<(), Stop> {
    for item in &scope.items {
        let key = (*item, row.id.clone());
        if HOLDS_BY_ITEM.read(decision.rows, &key)?.is_none() {
            HOLDS_BY_ITEM.write(decision.rows, &key, &row.id);
            row.items += 1;
        }
    }
    for case in &scope.cases {
        if !row.cases.contains(case) {
            HOLDS_BY_CASE.write(decision.rows, &(case.clone(), row.id.clone()), &row.id);
            row.cases.push(case.clone());
        }
    }
    let first_query = row.queries.is_empty();
    for query in &scope.queries {
        if !row.queries.contains(query) {
            row.queries.push(query.clone());
        }
    }
    let max = limits::HOLD_SCOPES_MAX;
    if row.cases.len() > max || row.queries.len() > max {
        return Err(Refusal::invalid(format!("a hold covers at most {max} cases and {max} queries")).into());
    }
    if first_query && !row.queries.is_empty() {
        let standing = QUERY_HOLDS.scan(decision.rows, &(), None, limits::QUERY_HOLDS_MAX)?.len();
        if standing >= limits::QUERY_HOLDS_MAX {
            let message = format!("{standing} holds by query stand already, as many as may");
            let remedy = "hold the items or the case, or release a hold by query whose matter has ended";
            return Err(Refusal::new(Reason::Overloaded, "G3", message, remedy).into());
        }
        QUERY_HOLDS.write(decision.rows, &row.id, &row.id);
    }
    HOLDS.write(decision.rows, &row.id, row);
    Ok(())
}

fn check_scope(decision: &Decision<'_>, by: &PrincipalRow, scope: &HoldScope) -> Result<(), Stop> {
    if scope.items.is_empty() && scope.cases.is_empty() && scope.queries.is_empty() {
        return Err(Refusal::invalid("a hold covers at least one item, case or query").into());
    }
    if !scope.items.is_empty() {
        case::check_list(&scope.items)?;
    }
    for item in &scope.items {
        within_item(&*decision.rows, by, *item, &sealed(&*decision.rows, *item)?)?;
    }
    for id in &scope.cases {
        within_unit(by, &case::read(&*decision.rows, id)?.unit)?;
    }
    for query in &scope.queries {
        check_query(by, query)?;
    }
    Ok(())
}

pub(crate) fn check_query(by: &PrincipalRow, query: &HoldQuery) -> Result<(), Refusal> {
    if query.is_empty() {
        return Err(Refusal::invalid("a query names at least one condition"));
    }
    if query.labels.len() > limits::LABELS_MAX {
        return Err(Refusal::invalid(format!("a query names at most {} labels", limits::LABELS_MAX)));
    }
    for (name, text) in &query.labels {
        check_label_name(name)?;
        check_text(name, text)?;
    }
    if query.from.zip(query.to).is_some_and(|(from, to)| from >= to) {
        return Err(Refusal::invalid("a query's time ends after it starts"));
    }
    match (&by.unit, &query.unit) {
        (None, _) => Ok(()),
        (Some(_), Some(unit)) => within_unit(by, unit),
        (Some(own), None) => Err(Refusal::new(
            Reason::OutsideUnit,
            "C5",
            format!("{} belongs to unit {own}, this query covers every unit", by.id),
            format!("name the unit: `--unit {own}`"),
        )),
    }
}

/// Rights are scoped by unit: a hold that somebody of the whole agency placed is theirs to change.
fn reaches(by: &PrincipalRow, row: &HoldRow) -> Result<(), Refusal> {
    match (&row.unit, &by.unit) {
        (Some(unit), _) => within_unit(by, unit),
        (None, None) => Ok(()),
        (None, Some(own)) => Err(Refusal::new(
            Reason::OutsideUnit,
            "C5",
            format!("{} belongs to unit {own}, hold {} covers the whole agency", by.id, row.id),
            "ask somebody of the agency",
        )),
    }
}

fn placed_facts(command: &PlaceHold) -> BTreeMap<Fact, Value> {
    let mut facts = BTreeMap::from([
        (Fact::Hold, Value::from(command.hold.as_str())),
        (Fact::Authority, command.authority.as_str().into()),
        (Fact::ReasonGiven, command.reason.as_str().into()),
    ]);
    if !command.document.is_empty() {
        facts.insert(Fact::Document, command.document.as_str().into());
    }
    let cases: Vec<_> = command.scope.cases.iter().map(CaseId::as_str).collect();
    if !cases.is_empty() {
        facts.insert(Fact::Case, cases.join("\n").into());
    }
    if !command.scope.queries.is_empty() {
        let told: Vec<_> = command.scope.queries.iter().map(told).collect();
        facts.insert(Fact::Query, told.join("\n").into());
    }
    facts
}

/// A query in one line, as records and people see it.
#[must_use]
pub fn told(query: &HoldQuery) -> String {
    let mut parts = Vec::new();
    let mut part =
        |name: &str, value: String| parts.push(format!("{name}={}", value.replace('\\', "\\\\").replace('\n', "\\n")));
    if let Some(unit) = &query.unit {
        part("unit", unit.to_string());
    }
    if let Some(device) = &query.device {
        part("device", device.to_string());
    }
    if let Some(activity) = &query.activity {
        part("activity", activity.to_string());
    }
    for (name, text) in &query.labels {
        part(&format!("label:{name}"), text.clone());
    }
    if let Some(from) = query.from {
        part("from", from.to_string());
    }
    if let Some(to) = query.to {
        part("to", to.to_string());
    }
    parts.join(" ")
}

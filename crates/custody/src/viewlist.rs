//! Viewing lists 查阅清单: items that one person hands to another to look at, where the profile gives the other a standing
//! view of such lists: a case handed over to the legal office for review 案审. Whoever views never makes the list, and a list
//! gives no file. What a complaint names is a targeted inspection (`crate::draw`), and no list.

use std::collections::BTreeMap;

use strongroom_types::{
    ItemId, PrincipalId, Reason, RecordSeq, Refusal, Role, UnixMillis, limits,
    rows::{RowError, Rows},
};

use crate::{
    Act, Answer, Fact, Value,
    access::{self, Stop, different_person, role_refused, within_unit},
    apply::Decision,
    item::{refuse_quarantined, sealed},
    keeping::check_given,
    profile::Over,
    tables::{LISTED, PrincipalRow, VIEW_LISTS, newest_first},
    upload::newest_profile,
};

/// A list. Its number is the position of the record that gave it.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ViewListRow {
    // 0 was the kind of list, when a complaint had one too.
    /// Who may look.
    #[n(1)]
    pub viewer: PrincipalId,
    /// At what.
    #[n(2)]
    pub items: Vec<ItemId>,
    /// Number of the dossier.
    #[n(3)]
    pub document: String,
    /// Who gave it.
    #[n(4)]
    pub given_by: PrincipalId,
    /// When.
    #[n(5)]
    pub at: UnixMillis,
    /// Until when it is open.
    #[n(6)]
    pub until: UnixMillis,
    /// Its record.
    #[n(7)]
    pub seq: RecordSeq,
    /// Who closed it before its time.
    #[n(8)]
    pub closed: Option<ListClosed>,
}

/// The end of a list before its time.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ListClosed {
    /// Who closed it.
    #[n(0)]
    pub by: PrincipalId,
    /// When.
    #[n(1)]
    pub at: UnixMillis,
    /// What came of it.
    #[n(2)]
    pub result: String,
    /// Its record.
    #[n(3)]
    pub seq: RecordSeq,
}

/// Gives a list.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct GiveList {
    // 0 was the kind of list, when a complaint had one too.
    /// Who may look.
    #[n(1)]
    pub viewer: PrincipalId,
    /// At what.
    #[n(2)]
    pub items: Vec<ItemId>,
    /// Number of the dossier.
    #[n(3)]
    pub document: String,
    /// Until when it is open.
    #[n(4)]
    pub until: UnixMillis,
}

/// Closes a list before its time.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct CloseList {
    /// Whose.
    #[n(0)]
    pub viewer: PrincipalId,
    /// Record that gave it.
    #[n(1)]
    pub list: RecordSeq,
    /// What came of it.
    #[n(2)]
    pub result: String,
}

impl ViewListRow {
    /// Whether it is open at `now`.
    #[must_use]
    pub fn is_open(&self, now: UnixMillis) -> bool {
        self.closed.is_none() && now < self.until
    }
}

pub(crate) fn give(decision: &mut Decision<'_>, command: &GiveList) -> Result<Answer, Stop> {
    let giver = decision.authorize(Act::ListGive)?;
    let id = &command.viewer;
    let viewer = access::principal(decision.rows, id)?.ok_or_else(|| Refusal::not_found(format!("principal {id}")))?;
    different_person(&giver.id, &viewer.id, "nobody makes the list that they look at")?;
    check_given("the document", &command.document, "C5")?;
    check_until(command.until, decision.wall)?;
    if command.items.is_empty() || command.items.len() > limits::REQUEST_ITEMS_MAX {
        return Err(Refusal::invalid(format!("a list names 1 to {} items", limits::REQUEST_ITEMS_MAX)).into());
    }
    let mut rule = String::new();
    for item in &command.items {
        rule = check_item(decision.rows, &giver, &viewer, *item)?;
    }
    let seq = decision.next_seq();
    let row = ViewListRow {
        viewer: viewer.id,
        items: command.items.clone(),
        document: command.document.clone(),
        given_by: giver.id,
        at: decision.wall,
        until: command.until,
        seq,
        closed: None,
    };
    for item in &row.items {
        LISTED.write(decision.rows, &(row.viewer.clone(), *item, newest_first(seq.0)), &());
    }
    VIEW_LISTS.write(decision.rows, &(row.viewer.clone(), newest_first(seq.0)), &row);
    let mut facts = facts(&row);
    facts.insert(Fact::ValidUntil, row.until.into());
    decision.record(Act::ListGive, &rule, row.items.clone(), facts);
    Ok(Answer::Recorded(seq))
}

pub(crate) fn close(decision: &mut Decision<'_>, command: &CloseList) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::ListClose)?;
    check_given("the result", &command.result, "C5")?;
    let key = (command.viewer.clone(), newest_first(command.list.0));
    let row = VIEW_LISTS.read(decision.rows, &key)?;
    let mut row = row.ok_or_else(|| Refusal::not_found(format!("list {} of {}", command.list, command.viewer)))?;
    decision.about_all(&row.items);
    if ![&row.viewer, &row.given_by].contains(&&who.id) && !who.roles.contains(&Role::Legal) {
        let message = format!("list {} was given by {} to {}", row.seq, row.given_by, row.viewer);
        return Err(Refusal::new(Reason::NotYourStep, "C5", message, "either of them or legal can close it").into());
    }
    if !row.is_open(decision.wall) {
        let message = format!("list {} is closed", row.seq);
        return Err(Refusal::new(Reason::WrongState, "C5", message, "nothing needs to be done").into());
    }
    let mut facts = facts(&row);
    facts.insert(Fact::Entry, row.seq.0.into());
    facts.insert(Fact::Outcome, command.result.as_str().into());
    let seq = decision.record(Act::ListClose, "C5", row.items.clone(), facts);
    row.closed = Some(ListClosed { by: who.id, at: decision.wall, result: command.result.clone(), seq });
    VIEW_LISTS.write(decision.rows, &key, &row);
    Ok(Answer::Recorded(seq))
}

/// The newest open list that hands the item to the viewer.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn open_with(
    rows: &(impl Rows + ?Sized),
    viewer: &PrincipalId,
    item: ItemId,
    now: UnixMillis,
) -> Result<Option<ViewListRow>, RowError> {
    for (key, ()) in LISTED.scan(rows, &(viewer.clone(), item), None, limits::PAGE_ROWS_MAX)? {
        let Some(number) = key.last_chunk::<8>() else { continue };
        let row = VIEW_LISTS.read(rows, &(viewer.clone(), u64::from_be_bytes(*number)))?;
        if let Some(row) = row.filter(|row| row.is_open(now)) {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// The rule of the standing view that reaches such a list, of one item on it.
fn check_item(
    rows: &(impl Rows + ?Sized),
    giver: &PrincipalRow,
    viewer: &PrincipalRow,
    item: ItemId,
) -> Result<String, Stop> {
    let sealed = sealed(rows, item)?;
    within_unit(giver, &sealed.description.unit)?;
    within_unit(viewer, &sealed.description.unit)?;
    refuse_quarantined(item, &sealed)?;
    let (_, profile) = newest_profile(rows, &sealed.retention.profile)?;
    let views = profile.profile.standing_views.iter().filter(|view| view.over == Over::HandedOver);
    let roles: Vec<Role> = views.clone().flat_map(|view| view.roles.iter().copied()).collect();
    let view = views.into_iter().find(|view| view.roles.iter().any(|role| viewer.roles.contains(role)));
    if let Some(view) = view {
        return Ok(view.source.rule.clone());
    }
    let what = format!("be handed a list for review under profile {}", profile.profile.name);
    Err(role_refused(viewer, &what, &roles, "C5").into())
}

fn check_until(until: UnixMillis, now: UnixMillis) -> Result<(), Refusal> {
    if until > now && until.since_ms(now) <= limits::MANDATE_MS_MAX {
        return Ok(());
    }
    Err(Refusal::invalid(format!("a list is open until a time to come, for a year at most, and not until {until}")))
}

fn facts(row: &ViewListRow) -> BTreeMap<Fact, Value> {
    BTreeMap::from([(Fact::Principal, row.viewer.as_str().into()), (Fact::Document, row.document.as_str().into())])
}

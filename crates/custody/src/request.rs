//! Requests 调取使用申请 and their chains of approval (semantics C5): requester, approver and executor are different people.

use std::collections::BTreeMap;

use strongroom_types::{
    ItemId, PrincipalId, ProfileName, Reason, RecordSeq, Refusal, RequestId, Role, UnixMillis, limits,
    rows::{RowError, Rows},
};

use crate::{
    Act, Answer, Fact, Value,
    access::{Stop, different_person, role_refused},
    apply::Decision,
    command::{ApproveRequest, RejectRequest, SubmitRequest},
    item::{refuse_quarantined, sealed, unit_of},
    profile::{ActRule, NoRule, RequestAct, Source},
    tables::{COUNTERS, PROFILES, PrincipalRow, REQUESTS, newest_first},
    transfer::{reaches_item, within_item},
    upload::{check_label_name, check_text, newest_profile},
};

const DAY_MS: i64 = 24 * 3600 * 1000;
/// The field of a form that says for which purpose.
pub const PURPOSE: &str = "purpose";
/// The field of a form that says what kind of recipient it is for.
pub const RECIPIENT_KIND: &str = "recipient_kind";
/// Fields of registers that the record of a session itself fills in: when, and what.
const STAMPED: [&str; 6] =
    ["viewed_at", "transferred_at", "provided_at", "content_viewed", "content_copied", "copy_id"];

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RequestRow {
    /// Its number.
    #[n(0)]
    pub id: RequestId,
    /// What is asked for.
    #[n(1)]
    pub act: RequestAct,
    /// Of which items.
    #[n(2)]
    pub items: Vec<ItemId>,
    /// The form.
    #[n(3)]
    pub fields: BTreeMap<String, String>,
    /// Who asks.
    #[n(4)]
    pub requester: PrincipalId,
    /// When.
    #[n(5)]
    pub submitted_at: UnixMillis,
    /// Profile and version whose chain applies.
    #[n(6)]
    pub profile: ProfileName,
    /// Its version.
    #[n(7)]
    pub version: u64,
    /// Where it stands.
    #[n(8)]
    pub state: RequestState,
    /// Approvals so far.
    #[n(9)]
    pub approvals: Vec<ApprovalRow>,
    /// Sessions begun.
    #[n(10)]
    pub uses: u32,
}

/// Where a request stands.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum RequestState {
    /// Approvals are missing.
    #[n(0)]
    Pending,
    /// Granted until this instant.
    #[n(1)]
    Approved(#[n(0)] UnixMillis),
    /// Rejected, by whom and why.
    #[n(2)]
    Rejected(#[n(0)] PrincipalId, #[n(1)] String),
}

/// An approval that was given.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ApprovalRow {
    /// By whom.
    #[n(0)]
    pub approver: PrincipalId,
    /// In which role.
    #[n(1)]
    pub role: Role,
    /// When.
    #[n(2)]
    pub at: UnixMillis,
    /// Its record.
    #[n(3)]
    pub seq: RecordSeq,
}

pub(crate) fn submit(decision: &mut Decision<'_>, command: &SubmitRequest) -> Result<Answer, Stop> {
    let requester = decision.authorize(Act::RequestSubmit)?;
    check_items(&command.items)?;
    let (profile, version) = one_profile(decision, &requester, &command.items)?;
    let rule = rule_of(decision.rows, &profile, version, command.act, &command.fields)?;
    if !requester.roles.iter().any(|role| rule.requesters.contains(role)) {
        let what = format!("ask for {} under profile {profile}", command.act.name());
        return Err(role_refused(&requester, &what, &rule.requesters, &rule.source.rule).into());
    }
    check_fields(&command.fields, &rule)?;
    check_recipient(&command.fields, &rule)?;
    let row = RequestRow {
        id: next_id(decision.rows)?,
        act: command.act,
        items: command.items.clone(),
        fields: command.fields.clone(),
        requester: requester.id,
        submitted_at: decision.wall,
        profile,
        version,
        state: RequestState::Pending,
        approvals: Vec::new(),
        uses: 0,
    };
    write(decision.rows, &row);
    let mut facts = facts(&row);
    facts.insert(Fact::RequestAct, row.act.name().into());
    facts.insert(Fact::ReasonGiven, row.fields.get("reason").map_or("", String::as_str).into());
    if let Some(form) = form(&row.fields) {
        facts.insert(Fact::Form, form.into());
    }
    decision.record(Act::RequestSubmit, &rule.source.rule, row.items.clone(), facts);
    Ok(Answer::Request(Box::new(row)))
}

pub(crate) fn approve(decision: &mut Decision<'_>, command: &ApproveRequest) -> Result<Answer, Stop> {
    let approver = decision.authorize(Act::RequestApprove)?;
    let mut row = pending(decision, command.request)?;
    let rule = rule_of_row(decision.rows, &row)?;
    check_deciding(decision, &approver, &row)?;
    let role = approving_role(&approver, &row, &rule)?;
    let seq = decision.next_seq();
    row.approvals.push(ApprovalRow { approver: approver.id, role, at: decision.wall, seq });
    let mut facts = facts(&row);
    facts.insert(Fact::Role, role.name().into());
    if still_missing(&row, &rule).is_empty() {
        let valid_until = decision.wall.plus_ms(i64::from(rule.valid_days) * DAY_MS);
        row.state = RequestState::Approved(valid_until);
        facts.insert(Fact::ValidUntil, valid_until.into());
    }
    facts.insert(Fact::State, state_name(&row, &rule, decision.wall).into());
    write(decision.rows, &row);
    decision.record(Act::RequestApprove, &rule.source.rule, row.items.clone(), facts);
    Ok(Answer::Request(Box::new(row)))
}

pub(crate) fn reject(decision: &mut Decision<'_>, command: &RejectRequest) -> Result<Answer, Stop> {
    let approver = decision.authorize(Act::RequestReject)?;
    check_text("the reason", &command.reason)?;
    if command.reason.trim().is_empty() {
        return Err(field_missing("reason", "G9").into());
    }
    let mut row = pending(decision, command.request)?;
    let rule = rule_of_row(decision.rows, &row)?;
    check_deciding(decision, &approver, &row)?;
    approving_role(&approver, &row, &rule)?;
    row.state = RequestState::Rejected(approver.id, command.reason.clone());
    write(decision.rows, &row);
    let mut facts = facts(&row);
    facts.insert(Fact::ReasonGiven, command.reason.as_str().into());
    decision.record(Act::RequestReject, &rule.source.rule, row.items.clone(), facts);
    Ok(Answer::Request(Box::new(row)))
}

/// The request of this number.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`.
pub fn read(rows: &(impl Rows + ?Sized), id: RequestId) -> Result<RequestRow, Stop> {
    REQUESTS.read(rows, &newest_first(id.0))?.ok_or_else(|| Refusal::not_found(format!("request {id}")).into())
}

pub(crate) fn write(rows: &mut dyn Rows, row: &RequestRow) {
    REQUESTS.write(rows, &newest_first(row.id.0), row);
}

/// The rule that applies to a request of this act under this profile. Where the text tells purposes apart, the form's
/// field `purpose` says which.
///
/// # Errors
/// [`Stop`] with `ACT_UNSPECIFIED` where the profile leaves the act out, `FIELD_MISSING` where no purpose is named.
pub fn rule_of(
    rows: &(impl Rows + ?Sized),
    profile: &ProfileName,
    version: u64,
    act: RequestAct,
    fields: &BTreeMap<String, String>,
) -> Result<ActRule, Stop> {
    let row = PROFILES.read(rows, &(profile.clone(), version))?.ok_or_else(|| RowError::Corrupt {
        table: PROFILES.name,
        detail: format!("there is no {profile}@{version}"),
    })?;
    match row.profile.rule(act, fields.get(PURPOSE).map(String::as_str)) {
        Ok(rule) => Ok(rule.clone()),
        Err(NoRule::Open(source)) => Err(unspecified(profile, act, &source).into()),
        Err(NoRule::Purpose(purposes)) => Err(Refusal::new(
            Reason::FieldMissing,
            "C5",
            format!(
                "profile {profile} tells purposes of {} apart, and the field {PURPOSE:?} names none of them",
                act.name()
            ),
            format!("say which: `--field {PURPOSE}=…`, one of {}", purposes.join(", ")),
        )
        .into()),
    }
}

/// Like [`rule_of`], for a request that was submitted.
///
/// # Errors
/// Those of [`rule_of`].
pub fn rule_of_row(rows: &(impl Rows + ?Sized), row: &RequestRow) -> Result<ActRule, Stop> {
    rule_of(rows, &row.profile, row.version, row.act, &row.fields)
}

/// `ACT_UNSPECIFIED`, with the words that leave it open where the profile quotes them.
fn unspecified(profile: &ProfileName, act: RequestAct, source: &Source) -> Refusal {
    let rule = if source.rule.is_empty() { "C1" } else { source.rule.as_str() };
    let words =
        if source.article.is_empty() { String::new() } else { format!("; the text says only: {}", source.article) };
    Refusal::new(
        Reason::ActUnspecified,
        rule,
        format!("profile {profile} names no approver for {}{words}", act.name()),
        "the agency must name one in its profile; ingest, labels and holds go on",
    )
}

/// Approvals that are still missing, in words that name who can give them.
#[must_use]
pub fn still_missing(row: &RequestRow, rule: &ActRule) -> Vec<String> {
    rule.approvers.missing(&roles_given(row))
}

fn roles_given(row: &RequestRow) -> Vec<Role> {
    row.approvals.iter().map(|approval| approval.role).collect()
}

/// Fields of the register that must be filled in before the first byte, and are not. What the cluster itself knows it
/// writes down itself: nobody can date a viewing back.
#[must_use]
pub fn unregistered(row: &RequestRow, rule: &ActRule) -> Vec<String> {
    let empty = |name: &&String| {
        !STAMPED.contains(&name.as_str()) && row.fields.get(*name).is_none_or(|text| text.trim().is_empty())
    };
    rule.registered.iter().filter(empty).cloned().collect()
}

/// Where a request stands at `now`, as one word.
#[must_use]
pub fn state_name(row: &RequestRow, rule: &ActRule, now: UnixMillis) -> &'static str {
    match &row.state {
        RequestState::Pending => "pending",
        RequestState::Rejected(..) => "rejected",
        RequestState::Approved(_) if row.uses >= rule.uses => "spent",
        RequestState::Approved(until) if now >= *until => "expired",
        RequestState::Approved(_) => "approved",
    }
}

/// Facts that every record of a request holds.
pub(crate) fn facts(row: &RequestRow) -> BTreeMap<Fact, Value> {
    BTreeMap::from([(Fact::Request, row.id.into())])
}

/// The fields besides the reason, one `name=text` a line. What would end a name or a line is escaped, so that no text
/// can pass for another field.
pub(crate) fn form(fields: &BTreeMap<String, String>) -> Option<String> {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('\n', "\\n");
    let line = |(name, text): (&String, &String)| format!("{}={}", escaped(name).replace('=', "\\="), escaped(text));
    let lines: Vec<_> = fields.iter().filter(|(name, _)| *name != "reason").map(line).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn check_items(items: &[ItemId]) -> Result<(), Refusal> {
    if items.is_empty() || items.len() > limits::REQUEST_ITEMS_MAX {
        return Err(Refusal::invalid(format!("a request names 1 to {} items", limits::REQUEST_ITEMS_MAX)));
    }
    let mut sorted = items.to_vec();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Refusal::invalid("a request names each item once"));
    }
    Ok(())
}

/// All items of a request fall under one profile, so that one chain decides.
fn one_profile(
    decision: &Decision<'_>,
    requester: &PrincipalRow,
    items: &[ItemId],
) -> Result<(ProfileName, u64), Stop> {
    let mut found: Option<ProfileName> = None;
    for id in items {
        let item = sealed(&*decision.rows, *id)?;
        within_item(&*decision.rows, requester, *id, &item)?;
        refuse_quarantined(*id, &item)?;
        match &found {
            Some(profile) if *profile != item.retention.profile => {
                return Err(Refusal::invalid(format!(
                    "items of one request fall under one profile: {profile} and {} differ; submit one request each",
                    item.retention.profile
                ))
                .into());
            }
            Some(_) => {}
            None => found = Some(item.retention.profile.clone()),
        }
    }
    let profile = found.ok_or_else(|| Refusal::invalid("a request names at least one item"))?;
    let (version, _) = newest_profile(&*decision.rows, &profile)?;
    Ok((profile, version))
}

/// Where the text names recipients, the form says which of them it is for.
fn check_recipient(fields: &BTreeMap<String, String>, rule: &ActRule) -> Result<(), Refusal> {
    let given = fields.get(RECIPIENT_KIND).map(String::as_str);
    if rule.recipients.is_empty() || rule.recipients.iter().any(|kind| given == Some(kind.name())) {
        return Ok(());
    }
    let names: Vec<_> = rule.recipients.iter().map(|kind| kind.name()).collect();
    Err(Refusal::new(
        Reason::FieldMissing,
        &rule.source.rule,
        format!("the field {RECIPIENT_KIND:?} names none of the recipients that the rule is for"),
        format!("say which: `--field {RECIPIENT_KIND}=…`, one of {}", names.join(", ")),
    ))
}

fn check_fields(fields: &BTreeMap<String, String>, rule: &ActRule) -> Result<(), Refusal> {
    if fields.len() > limits::LABELS_MAX {
        return Err(Refusal::invalid(format!("a form takes at most {} fields", limits::LABELS_MAX)));
    }
    for (name, text) in fields {
        check_label_name(name)?;
        check_text(name, text)?;
    }
    match rule.fields.iter().find(|name| fields.get(*name).is_none_or(|text| text.trim().is_empty())) {
        Some(name) => Err(field_missing(name, &rule.source.rule)),
        None => Ok(()),
    }
}

pub(crate) fn field_missing(name: &str, rule: &str) -> Refusal {
    Refusal::new(
        Reason::FieldMissing,
        rule,
        format!("the field {name:?} is empty"),
        format!("fill it in: `--field {name}=…`"),
    )
}

fn pending(decision: &mut Decision<'_>, id: RequestId) -> Result<RequestRow, Stop> {
    let row = read(&*decision.rows, id)?;
    row.items.iter().for_each(|item| decision.about(*item));
    if row.state == RequestState::Pending {
        return Ok(row);
    }
    let rule = rule_of_row(&*decision.rows, &row)?;
    let state = state_name(&row, &rule, decision.wall);
    Err(Refusal::new(Reason::WrongState, "C5", format!("request {id} is {state}"), "only a pending request is decided")
        .into())
}

fn check_deciding(decision: &Decision<'_>, approver: &PrincipalRow, row: &RequestRow) -> Result<(), Stop> {
    different_person(&approver.id, &row.requester, "requester and approver differ")?;
    for approval in &row.approvals {
        different_person(&approver.id, &approval.approver, "two approvals come from two people")?;
    }
    for id in &row.items {
        if let Some(unit) = unit_of(&*decision.rows, *id)? {
            reaches_item(&*decision.rows, approver, *id, &unit)?;
        }
    }
    Ok(())
}

/// The role in which this person can still approve.
fn approving_role(approver: &PrincipalRow, row: &RequestRow, rule: &ActRule) -> Result<Role, Refusal> {
    let open = rule.approvers.open_roles(&roles_given(row));
    open.into_iter().find(|role| approver.roles.contains(role)).ok_or_else(|| {
        let what = format!(
            "decide request {} ({}): still missing is {}",
            row.id,
            row.act.name(),
            still_missing(row, rule).join(", ")
        );
        role_refused(approver, &what, &rule.approvers.roles(), &rule.source.rule)
    })
}

fn next_id(rows: &mut dyn Rows) -> Result<RequestId, RowError> {
    let mut counters = COUNTERS.read(rows, &())?.unwrap_or_default();
    counters.requests += 1;
    COUNTERS.write(rows, &(), &counters);
    Ok(RequestId(counters.requests))
}

//! Requests 调取使用申请 and their chains of approval (semantics C5): requester, approver and executor are different people.
//!
//! ```text
//!             ┌── approve, or a paper attested, or an oral approval: one of the chain ──┐
//!  submit ──▶ pending ◀────────────────────────────────────────────────────────────────┘
//!               │  └──────── the chain is complete ────────▶ approved ──uses──▶ spent
//!               ├── reject, by an approver ──▶ rejected         ├── time ─────▶ expired
//!               ├── withdraw, by the requester ─▶ withdrawn     └─┐
//!               ├── time ─────────────────────▶ lapsed            ▼
//!               └── revoke, by whoever approved; an approved one also by legal ─▶ revoked
//! ```
//! Every arrow is a record. What is no longer pending or approved never becomes so again: somebody submits another.

use std::collections::BTreeMap;

use strongroom_types::{
    ItemId, PrincipalId, ProfileName, Reason, RecordSeq, Refusal, RequestId, Role, UnitId, UnixMillis, limits,
    rows::{RowError, Rows},
};

use crate::{
    Act, Answer, Fact, Value,
    access::{Stop, different_person, role_refused},
    apply::Decision,
    approval::{self, ApprovalRow, PaperRow},
    clock,
    command::{ApproveRequest, RejectRequest, RevokeRequest, SubmitRequest, WithdrawRequest},
    confidentiality,
    item::{refuse_quarantined, sealed, unit_of},
    keeping::check_given,
    mandate::{self, UnderMandate},
    profile::{ActRule, NoRule, Profile, RecipientKind, RequestAct, Source},
    tables::{COUNTERS, PROFILES, PrincipalRow, REQUESTS, REQUESTS_DUE, newest_first},
    transfer::{reaches_item, within_item},
    upload::{check_label_name, check_text, newest_profile},
};

const DAY_MS: i64 = 24 * 3600 * 1000;
/// Most ends that one tick records; the next tick goes on.
const PER_TICK: usize = 16;
/// The field of a form that says for which purpose.
pub const PURPOSE: &str = "purpose";
/// The field of a form that says what kind of recipient it is for.
pub const RECIPIENT_KIND: &str = "recipient_kind";
/// The field of a form with the number of the letter 来函/介绍信文号.
pub const LETTER_NO: &str = "letter_no";
/// The field of a form with the papers of whoever comes for it 经办人证件.
pub const AGENT_ID: &str = "agent_id";
/// Fields of registers that the record of a session itself fills in: when, and what.
const STAMPED: [&str; 8] = [
    "viewed_at",
    "transferred_at",
    "provided_at",
    "produced_at",
    "extracted_at",
    "content_viewed",
    "content_copied",
    "copy_id",
];

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
    /// Every step that was taken, oldest first.
    #[n(11)]
    #[cbor(default)]
    pub steps: Vec<RequestStep>,
    /// A signed form that waits for its attestation.
    #[n(12)]
    pub paper: Option<PaperRow>,
}

/// A step of a request.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RequestStep {
    /// What was done.
    #[n(0)]
    pub act: Act,
    /// By whom; none where time did it.
    #[n(1)]
    pub by: Option<PrincipalId>,
    /// When.
    #[n(2)]
    pub at: UnixMillis,
    /// Its record.
    #[n(3)]
    pub seq: RecordSeq,
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
    /// Withdrawn by the requester, and why.
    #[n(3)]
    Withdrawn(#[n(0)] PrincipalId, #[n(1)] String),
    /// Taken back, by whom and why.
    #[n(4)]
    Revoked(#[n(0)] PrincipalId, #[n(1)] String),
    /// Nobody decided it in time: since this instant.
    #[n(5)]
    Lapsed(#[n(0)] UnixMillis),
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
    check_handed_on(command.act, &command.fields)?;
    let stated = profile_at(decision.rows, &profile, version)?;
    confidentiality::refuse_forbidden(&*decision.rows, &stated, command.act, &command.items)?;
    let mut row = RequestRow {
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
        steps: Vec::new(),
        paper: None,
    };
    step(decision, &mut row, Act::RequestSubmit);
    REQUESTS_DUE.write(decision.rows, &(decide_by(&row, &rule), row.id), &());
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
    let (mut row, rule) = pending(decision, command.request)?;
    refuse_forbidden(&*decision.rows, &row)?;
    check_deciding(decision, &approver, &row)?;
    let office = office(decision, &approver, &row, &rule)?;
    let approval = ApprovalRow {
        approver: approver.id,
        role: office.role,
        at: decision.wall,
        seq: decision.next_seq(),
        mandate: office.mandate,
        paper: None,
        oral: None,
    };
    grant(decision, &mut row, &rule, Act::RequestApprove, approval);
    Ok(Answer::Request(Box::new(row)))
}

/// Adds an approval, and grants what was asked for where nothing is missing any more. Writes the row and the record.
pub(crate) fn grant(
    decision: &mut Decision<'_>,
    row: &mut RequestRow,
    rule: &ActRule,
    act: Act,
    approval: ApprovalRow,
) -> RecordSeq {
    let mut facts = facts(row);
    approval.tell(act, &mut facts);
    let items = row.items.iter().copied().chain(approval.paper.as_ref().map(|paper| paper.form)).collect();
    row.approvals.push(approval);
    if still_missing(row, rule).is_empty() {
        let valid_until = decision.wall.plus_ms(i64::from(rule.valid_days) * DAY_MS);
        row.state = RequestState::Approved(valid_until);
        row.paper = None;
        facts.insert(Fact::ValidUntil, valid_until.into());
        REQUESTS_DUE.write(decision.rows, &(valid_until, row.id), &());
    }
    facts.insert(Fact::State, state_name(row, rule, decision.wall).into());
    step(decision, row, act);
    write(decision.rows, row);
    decision.record(act, &rule.source.rule, items, facts)
}

pub(crate) fn reject(decision: &mut Decision<'_>, command: &RejectRequest) -> Result<Answer, Stop> {
    let approver = decision.authorize(Act::RequestReject)?;
    check_given("the reason", &command.reason, "G9")?;
    let (mut row, rule) = pending(decision, command.request)?;
    check_deciding(decision, &approver, &row)?;
    let office = office(decision, &approver, &row, &rule)?;
    let mut facts = facts(&row);
    facts.insert(Fact::Role, office.role.name().into());
    if let Some(under) = &office.mandate {
        facts.insert(Fact::Mandate, under.mandate.0.into());
    }
    row.state = RequestState::Rejected(approver.id, command.reason.clone());
    end(decision, row, &rule, Act::RequestReject, &command.reason, facts)
}

/// Whoever asked asks no longer.
pub(crate) fn withdraw(decision: &mut Decision<'_>, command: &WithdrawRequest) -> Result<Answer, Stop> {
    let requester = decision.authorize(Act::RequestWithdraw)?;
    check_given("the reason", &command.reason, "G9")?;
    let (mut row, rule) = pending(decision, command.request)?;
    if row.requester != requester.id {
        return Err(not_yours(&requester, "withdraw", &row, &rule, decision.wall).into());
    }
    row.state = RequestState::Withdrawn(requester.id, command.reason.clone());
    let facts = facts(&row);
    end(decision, row, &rule, Act::RequestWithdraw, &command.reason, facts)
}

/// Takes an approval back, and with it the request: whoever gave one, or in whose right it was given, may, and legal may
/// end a grant. What was begun under it ends at its next read.
pub(crate) fn revoke(decision: &mut Decision<'_>, command: &RevokeRequest) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::RequestRevoke)?;
    check_given("the reason", &command.reason, "G9")?;
    let mut row = named(decision, command.request)?;
    let rule = rule_of_row(&*decision.rows, &row)?;
    let granted = match row.state {
        RequestState::Pending if decision.wall < decide_by(&row, &rule) => false,
        // Spent or not: what was begun under it may still be read.
        RequestState::Approved(until) if decision.wall < until => true,
        _ => return Err(wrong_state(&row, &rule, decision.wall).into()),
    };
    check_units(decision, &who, &row)?;
    let own = row.approvals.iter().any(|approval| approval.approver == who.id || approval.lent_by() == Some(&who.id));
    let may = own || granted && who.roles.contains(&Role::Legal);
    if !may {
        return Err(not_yours(&who, "revoke", &row, &rule, decision.wall).into());
    }
    row.state = RequestState::Revoked(who.id, command.reason.clone());
    let facts = facts(&row);
    end(decision, row, &rule, Act::RequestRevoke, &command.reason, facts)
}

/// Writes a request that is decided for good, and its record.
fn end(
    decision: &mut Decision<'_>,
    mut row: RequestRow,
    rule: &ActRule,
    act: Act,
    reason: &str,
    mut facts: BTreeMap<Fact, Value>,
) -> Result<Answer, Stop> {
    row.paper = None;
    facts.insert(Fact::ReasonGiven, reason.into());
    facts.insert(Fact::State, state_name(&row, rule, decision.wall).into());
    step(decision, &mut row, act);
    write(decision.rows, &row);
    decision.record(act, &rule.source.rule, row.items.clone(), facts);
    Ok(Answer::Request(Box::new(row)))
}

/// Notes a step under the record that comes next.
pub(crate) fn step(decision: &Decision<'_>, row: &mut RequestRow, act: Act) {
    row.steps.push(RequestStep { act, by: decision.principal(), at: decision.wall, seq: decision.next_seq() });
}

/// Records what time has ended: requests that nobody decided, grants that ran out, oral approvals that nobody confirmed.
/// Every tick of the clock does this.
pub(crate) fn come_due(decision: &mut Decision<'_>) -> Result<(), Stop> {
    for (key, ()) in REQUESTS_DUE.scan(decision.rows, &(), None, PER_TICK)? {
        let (due, id) = due_of(&key)?;
        if due > decision.wall {
            break;
        }
        REQUESTS_DUE.remove(decision.rows, &(due, id));
        let mut row = read(decision.rows, id)?;
        let rule = rule_of_row(decision.rows, &row)?;
        approval::overdue(decision, &mut row, &rule, due)?;
        match row.state {
            RequestState::Pending if due == decide_by(&row, &rule) => row.state = RequestState::Lapsed(due),
            RequestState::Approved(until) if due == until => {}
            _ => continue,
        }
        row.paper = None;
        let mut facts = facts(&row);
        facts.insert(Fact::State, state_name(&row, &rule, decision.wall).into());
        step(decision, &mut row, Act::RequestLapse);
        write(decision.rows, &row);
        decision.record(Act::RequestLapse, &rule.source.rule, row.items.clone(), facts);
    }
    Ok(())
}

/// A key of [`REQUESTS_DUE`]: the instant in offset binary, and the number.
fn due_of(key: &[u8]) -> Result<(UnixMillis, RequestId), RowError> {
    let (parts, []) = key.as_chunks::<8>() else { return Err(corrupt()) };
    let [due, id] = parts else { return Err(corrupt()) };
    Ok((UnixMillis(i64::from_be_bytes(*due) ^ i64::MIN), RequestId(u64::from_be_bytes(*id))))
}

fn corrupt() -> RowError {
    RowError::Corrupt { table: REQUESTS_DUE.name, detail: "a key is no instant and number".to_owned() }
}

/// When a request lapses that nobody has decided: it waits as long as its grant would be good.
#[must_use]
pub fn decide_by(row: &RequestRow, rule: &ActRule) -> UnixMillis {
    row.submitted_at.plus_ms(i64::from(rule.valid_days) * DAY_MS)
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
    match profile_at(rows, profile, version)?.rule(act, fields.get(PURPOSE).map(String::as_str)) {
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

/// Like [`rule_of`], for a request that was submitted, with the approvals that the classes of its items add (G11).
///
/// # Errors
/// Those of [`rule_of`].
pub fn rule_of_row(rows: &(impl Rows + ?Sized), row: &RequestRow) -> Result<ActRule, Stop> {
    let rule = rule_of(rows, &row.profile, row.version, row.act, &row.fields)?;
    Ok(confidentiality::raised(rows, &profile_at(rows, &row.profile, row.version)?, rule, &row.items)?)
}

/// Refuses what the class of an item forbids, whenever it was set.
///
/// # Errors
/// [`Stop`] with `RESTRICTED`.
pub(crate) fn refuse_forbidden(rows: &(impl Rows + ?Sized), row: &RequestRow) -> Result<(), Stop> {
    confidentiality::refuse_forbidden(rows, &profile_at(rows, &row.profile, row.version)?, row.act, &row.items)
}

fn profile_at(rows: &(impl Rows + ?Sized), name: &ProfileName, version: u64) -> Result<Profile, RowError> {
    let row = PROFILES.read(rows, &(name.clone(), version))?;
    let missing = || RowError::Corrupt { table: PROFILES.name, detail: format!("there is no {name}@{version}") };
    Ok(row.ok_or_else(missing)?.profile)
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
        RequestState::Pending if now >= decide_by(row, rule) => "lapsed",
        RequestState::Pending => "pending",
        RequestState::Rejected(..) => "rejected",
        RequestState::Withdrawn(..) => "withdrawn",
        RequestState::Revoked(..) => "revoked",
        RequestState::Lapsed(_) => "lapsed",
        RequestState::Approved(_) if row.uses >= rule.uses => "spent",
        RequestState::Approved(until) if is_over(*until, rule, now) => "expired",
        RequestState::Approved(_) => "approved",
    }
}

/// Whether a grant that ends at `until` has ended.
pub(crate) fn is_over(until: UnixMillis, rule: &ActRule, now: UnixMillis) -> bool {
    clock::is_over(until, i64::from(rule.valid_days) * DAY_MS, now)
}

/// Who can do what with a request next.
#[must_use]
pub fn next_steps(row: &RequestRow, rule: &ActRule, now: UnixMillis) -> Vec<String> {
    let names = |roles: &[Role]| roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(" or ");
    match state_name(row, rule, now) {
        "pending" => {
            let mut next = still_missing(row, rule);
            if let Some(paper) = &row.paper {
                next.push(format!("attestation of paper {} by a second person", paper.seq));
            }
            let (requester, until) = (&row.requester, decide_by(row, rule));
            next.push(format!("until it lapses at {until}, {requester} can withdraw it"));
            next
        }
        "approved" => {
            let mut next: Vec<_> = row.approvals.iter().filter_map(|approval| approval.unconfirmed()).collect();
            let left = rule.uses - row.uses;
            next.push(format!("{left} of {} uses by {}", rule.uses, names(&rule.executors)));
            next.push("whoever approved, or legal, can revoke it".to_owned());
            next
        }
        _ => vec!["somebody who still needs it can submit another".to_owned()],
    }
}

fn wrong_state(row: &RequestRow, rule: &ActRule, now: UnixMillis) -> Refusal {
    let message = format!("request {} is {}", row.id, state_name(row, rule, now));
    Refusal::new(Reason::WrongState, "C5", message, next_steps(row, rule, now).join("; "))
}

fn not_yours(who: &PrincipalRow, what: &str, row: &RequestRow, rule: &ActRule, now: UnixMillis) -> Refusal {
    let state = state_name(row, rule, now);
    let message = format!("request {} of {} is {state}: {} cannot {what} it", row.id, row.requester, who.id);
    Refusal::new(Reason::NotYourStep, "C5", message, next_steps(row, rule, now).join("; "))
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

/// Whatever leaves the agency says to what kind of recipient, by which letter and by whose hand (G8), whether or not the
/// profile asks for it too.
fn check_handed_on(act: RequestAct, fields: &BTreeMap<String, String>) -> Result<(), Refusal> {
    match act {
        RequestAct::View | RequestAct::Copy | RequestAct::Publish => return Ok(()),
        RequestAct::Transfer | RequestAct::Provide => {}
    }
    let empty = |name: &&&str| fields.get(**name).is_none_or(|text| text.trim().is_empty());
    if let Some(name) = [RECIPIENT_KIND, LETTER_NO, AGENT_ID].iter().find(empty) {
        return Err(field_missing(name, "G8"));
    }
    let kind = fields.get(RECIPIENT_KIND).map(String::as_str);
    if RecipientKind::ALL.iter().any(|known| kind == Some(known.name())) {
        return Ok(());
    }
    let names: Vec<_> = RecipientKind::ALL.iter().map(|kind| kind.name()).collect();
    let message = format!("the field {RECIPIENT_KIND:?} names no kind of recipient");
    Err(Refusal::new(Reason::FieldMissing, "G8", message, format!("one of {}", names.join(", "))))
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

/// The request, noted as what the command is about.
pub(crate) fn named(decision: &mut Decision<'_>, id: RequestId) -> Result<RequestRow, Stop> {
    let row = read(&*decision.rows, id)?;
    row.items.iter().for_each(|item| decision.about(*item));
    Ok(row)
}

/// The request and its rule, where it waits for decisions.
pub(crate) fn pending(decision: &mut Decision<'_>, id: RequestId) -> Result<(RequestRow, ActRule), Stop> {
    let row = named(decision, id)?;
    let rule = rule_of_row(&*decision.rows, &row)?;
    match state_name(&row, &rule, decision.wall) {
        "pending" => Ok((row, rule)),
        _ => Err(wrong_state(&row, &rule, decision.wall).into()),
    }
}

/// Whoever decides has taken no other step of the request, and their rights reach all its items.
pub(crate) fn check_deciding(decision: &Decision<'_>, approver: &PrincipalRow, row: &RequestRow) -> Result<(), Stop> {
    different_person(&approver.id, &row.requester, "requester and approver differ")?;
    for who in row.approvals.iter().flat_map(ApprovalRow::people) {
        different_person(&approver.id, who, "two approvals come from two people")?;
    }
    check_units(decision, approver, row)
}

pub(crate) fn check_units(decision: &Decision<'_>, who: &PrincipalRow, row: &RequestRow) -> Result<(), Stop> {
    for id in &row.items {
        if let Some(unit) = unit_of(&*decision.rows, *id)? {
            reaches_item(&*decision.rows, who, *id, &unit)?;
        }
    }
    Ok(())
}

/// Units of a request's items, each once.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn units(rows: &(impl Rows + ?Sized), row: &RequestRow) -> Result<Vec<UnitId>, RowError> {
    let mut units = Vec::new();
    for id in &row.items {
        if let Some(unit) = unit_of(rows, *id)?
            && !units.contains(&unit)
        {
            units.push(unit);
        }
    }
    Ok(units)
}

/// What somebody decides in: an office of their own, or one that a mandate gives them.
pub(crate) struct Office {
    pub(crate) role: Role,
    pub(crate) mandate: Option<UnderMandate>,
}

/// The office in which this person can still decide.
pub(crate) fn office(
    decision: &Decision<'_>,
    approver: &PrincipalRow,
    row: &RequestRow,
    rule: &ActRule,
) -> Result<Office, Stop> {
    let open = rule.approvers.open_roles(&roles_given(row));
    if let Some(role) = open.iter().copied().find(|role| approver.roles.contains(role)) {
        return Ok(Office { role, mandate: None });
    }
    let units = units(&*decision.rows, row)?;
    let asked = mandate::Asked { row, rule, units: &units, now: decision.wall };
    if let Some((role, under)) = mandate::serving(&*decision.rows, &approver.id, &asked, &open)? {
        return Ok(Office { role, mandate: Some(under) });
    }
    let what = format!(
        "decide request {} ({}): still missing is {}",
        row.id,
        row.act.name(),
        still_missing(row, rule).join(", ")
    );
    Err(role_refused(approver, &what, &rule.approvers.roles(), &rule.source.rule).into())
}

fn next_id(rows: &mut dyn Rows) -> Result<RequestId, RowError> {
    let mut counters = COUNTERS.read(rows, &())?.unwrap_or_default();
    counters.requests += 1;
    COUNTERS.write(rows, &(), &counters);
    Ok(RequestId(counters.requests))
}

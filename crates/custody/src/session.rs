//! Sessions of reading: begun under a grant or a standing view, on the ledger before the first byte leaves.

use std::collections::BTreeMap;

use strongroom_types::{
    ItemId, KeyHash, PrincipalId, Reason, RecordSeq, Refusal, RemovalId, RequestId, SessionId, UnitId, UnixMillis,
    limits,
    rows::{RowError, Rows},
};

use crate::{
    Act, Answer, Fact,
    access::{self, Stop, different_person, role_refused},
    activity,
    apply::Decision,
    approval::{self, ApprovalRow},
    case, clock,
    command::{BeginSession, EndSession, Under},
    disposal::DisposalStepRow,
    draw, erasure,
    item::{refuse_quarantined, sealed},
    keeping,
    profile::{ActRule, Over, Profile, RequestAct, StandingView},
    removal,
    request::{self, RequestRow, RequestState},
    tables::{ItemRow, PRINCIPALS, PrincipalRow, SESSIONS},
    transfer::within_item,
    upload::newest_profile,
    viewlist,
};

/// A session ends by itself after this long; a longer copy-out begins another.
const SESSION_MS: i64 = 24 * 3600 * 1000;

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct SessionRow {
    /// What it may read.
    #[n(0)]
    pub items: Vec<ItemId>,
    /// Who reads.
    #[n(1)]
    pub principal: PrincipalId,
    /// The request that granted it; none for a standing view.
    #[n(2)]
    pub request: Option<RequestId>,
    /// Record of its beginning.
    #[n(3)]
    pub seq: RecordSeq,
    /// When it ends by itself.
    #[n(4)]
    pub ends_at: UnixMillis,
    /// Record of its end.
    #[n(5)]
    pub ended: Option<RecordSeq>,
    /// The removal whose originals it hands over.
    #[n(6)]
    pub removal: Option<RemovalId>,
}

/// The act that a beginning is recorded as.
#[must_use]
pub const fn act_of(under: &Under) -> Act {
    match under {
        Under::CopyOut(_) | Under::Removal(_) => Act::CopyOutBegin,
        Under::View(..) | Under::StandingView(..) => Act::ViewBegin,
    }
}

pub(crate) fn begin(decision: &mut Decision<'_>, command: &BeginSession) -> Result<Answer, Stop> {
    let reader = decision.authorize(act_of(&command.under))?;
    if SESSIONS.read(decision.rows, &command.session)?.is_some() {
        return Err(Refusal::invalid("a new session takes a new id").into());
    }
    match &command.under {
        Under::CopyOut(id) => begin_granted(decision, command.session, &reader, *id, None),
        Under::View(id, item) => begin_granted(decision, command.session, &reader, *id, Some(*item)),
        Under::StandingView(item, reason) => begin_standing(decision, command.session, &reader, *item, reason),
        Under::Removal(id) => begin_removal(decision, command.session, &reader, *id),
    }
}

pub(crate) fn end(decision: &mut Decision<'_>, command: &EndSession) -> Result<Answer, Stop> {
    let reader = decision.authorize(Act::SessionEnd)?;
    let mut session = read(decision.rows, command.session)?;
    session.items.iter().for_each(|item| decision.about(*item));
    refuse_foreign(&session, command.session, &reader.id)?;
    if let Some(seq) = session.ended {
        return Ok(Answer::Recorded(seq));
    }
    let mut facts = BTreeMap::from([
        (Fact::Session, command.session.as_bytes().as_slice().into()),
        (Fact::Complete, command.complete.into()),
    ]);
    if let Some(request) = session.request {
        facts.insert(Fact::Request, request.into());
    }
    if let Some(removal) = session.removal {
        facts.insert(Fact::Removal, removal.into());
    }
    let seq = decision.record(Act::SessionEnd, "C5", session.items.clone(), facts);
    if let Some(removal) = session.removal.filter(|_| command.complete) {
        removal::handed_over(decision.rows, removal, DisposalStepRow { by: reader.id, at: decision.wall, seq })?;
    }
    session.ended = Some(seq);
    SESSIONS.write(decision.rows, &command.session, &session);
    Ok(Answer::Recorded(seq))
}

/// What the holder of `key` may read in `session` now, of `item`. The check behind every byte of footage: it is
/// made again by the leader before it unwraps a key.
///
/// # Errors
/// [`Stop`] with `GRANT_ENDED`, `OUTSIDE_GRANT`, or what [`access::authorize`] refuses.
pub fn check_read(
    rows: &(impl Rows + ?Sized),
    key: &KeyHash,
    session: SessionId,
    item: ItemId,
) -> Result<SessionRow, Stop> {
    let reader = access::authorize(rows, key, Act::SessionRead)?;
    let row = read(rows, session)?;
    refuse_foreign(&row, session, &reader.id)?;
    check_running(rows, session, &row)?;
    if !row.items.contains(&item) {
        return Err(outside(item, "the session").into());
    }
    Ok(row)
}

/// Like [`check_read`], for a node that asks on behalf of a session whose reader it has authenticated.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`, `GRANT_ENDED` or `OUTSIDE_GRANT`.
pub fn check_session(rows: &(impl Rows + ?Sized), session: SessionId, item: ItemId) -> Result<SessionRow, Stop> {
    let row = read(rows, session)?;
    let reader = PRINCIPALS
        .read(rows, &row.principal)?
        .ok_or_else(|| Refusal::not_found(format!("principal {}", row.principal)))?;
    access::authorize(rows, &reader.key, Act::SessionRead)?;
    check_running(rows, session, &row)?;
    if let Some(tombstone) = erasure::tombstone(rows, item)? {
        return Err(tombstone.refusal(item).into());
    }
    if row.items.contains(&item) { Ok(row) } else { Err(outside(item, "the session").into()) }
}

fn begin_granted(
    decision: &mut Decision<'_>,
    id: SessionId,
    reader: &PrincipalRow,
    request: RequestId,
    only: Option<ItemId>,
) -> Result<Answer, Stop> {
    let mut row = request::read(decision.rows, request)?;
    row.items.iter().for_each(|item| decision.about(*item));
    let rule = request::rule_of_row(decision.rows, &row)?;
    check_act(&row, only)?;
    request::refuse_forbidden(&*decision.rows, &row)?;
    let until = granted_until(&row, &rule, decision.wall)?;
    check_requester(decision.rows, &row)?;
    if !reader.roles.iter().any(|role| rule.executors.contains(role)) {
        let what = format!("carry out request {request}");
        return Err(role_refused(reader, &what, &rule.executors, &rule.source.rule).into());
    }
    different_person(&reader.id, &row.requester, "requester and executor differ")?;
    for who in row.approvals.iter().flat_map(ApprovalRow::people) {
        different_person(&reader.id, who, "approver and executor differ")?;
    }
    for item in &row.items {
        let sealed = sealed(decision.rows, *item)?;
        within_item(decision.rows, reader, *item, &sealed)?;
        if rule.owning_unit {
            of_owning_unit(reader, &sealed.description.unit, &rule.source.rule)?;
        }
        refuse_quarantined(*item, &sealed)?;
    }
    check_registered(&row, &rule)?;
    approval::refuse_unconfirmed(&row, &rule, decision.wall)?;
    let items = match only {
        Some(item) if row.items.contains(&item) => vec![item],
        Some(item) => return Err(outside(item, "the grant").into()),
        None => row.items.clone(),
    };
    row.uses += 1;
    request::write(decision.rows, &row);
    let mut facts = request::facts(&row);
    facts.insert(Fact::RequestAct, row.act.name().into());
    facts.insert(Fact::Count, u64::from(row.uses).into());
    let act = if only.is_some() { Act::ViewBegin } else { Act::CopyOutBegin };
    let ends_at = until.min(decision.wall.plus_ms(SESSION_MS));
    let seq = write_session(decision, id, reader, Some(request), items, ends_at, act, &rule.source.rule, facts);
    Ok(Answer::SessionBegun(id, seq))
}

fn begin_standing(
    decision: &mut Decision<'_>,
    id: SessionId,
    reader: &PrincipalRow,
    item: ItemId,
    reason: &str,
) -> Result<Answer, Stop> {
    decision.about(item);
    let sealed = sealed(decision.rows, item)?;
    within_item(decision.rows, reader, item, &sealed)?;
    refuse_quarantined(item, &sealed)?;
    keeping::refuse_restricted(decision.rows, item)?;
    let (_, profile) = newest_profile(decision.rows, &sealed.retention.profile)?;
    let (standing, tie) = standing_view(decision.rows, &profile.profile, reader, item, &sealed, decision.wall)?;
    if reason.trim().is_empty() || reason.len() > limits::TEXT_BYTES_MAX {
        return Err(Refusal::new(
            Reason::FieldMissing,
            "C5",
            "a view without a request takes a reason",
            "say why: `--reason`",
        )
        .into());
    }
    let facts = BTreeMap::from([(Fact::ReasonGiven, reason.into()), (Fact::Basis, tie.into())]);
    let ends_at = decision.wall.plus_ms(SESSION_MS);
    let seq =
        write_session(decision, id, reader, None, vec![item], ends_at, Act::ViewBegin, &standing.source.rule, facts);
    Ok(Answer::SessionBegun(id, seq))
}

/// Hands the originals of an approved removal over, by its executor alone. No grant is spent: until the receiver has
/// signed, a hand-over that broke off is begun again.
fn begin_removal(
    decision: &mut Decision<'_>,
    id: SessionId,
    reader: &PrincipalRow,
    removal: RemovalId,
) -> Result<Answer, Stop> {
    decision
        .about_all(&removal::items(&*decision.rows, removal)?.into_iter().map(|(item, _)| item).collect::<Vec<_>>());
    let (row, items) = removal::handing_over(&*decision.rows, removal, reader)?;
    let facts = BTreeMap::from([
        (Fact::Session, id.as_bytes().as_slice().into()),
        (Fact::Removal, removal.into()),
        (Fact::Carrier, row.form.carrier.as_str().into()),
        (Fact::Authority, row.form.organ.as_str().into()),
    ]);
    let seq = decision.record(Act::CopyOutBegin, "B10", items.clone(), facts);
    let ends_at = decision.wall.plus_ms(SESSION_MS);
    let principal = reader.id.clone();
    let row = SessionRow { items, principal, request: None, seq, ends_at, ended: None, removal: Some(removal) };
    SESSIONS.write(decision.rows, &id, &row);
    Ok(Answer::SessionBegun(id, seq))
}

/// The standing view that this person has of an item, and what ties the item to them.
fn standing_view(
    rows: &(impl Rows + ?Sized),
    profile: &Profile,
    reader: &PrincipalRow,
    item: ItemId,
    row: &ItemRow,
    now: UnixMillis,
) -> Result<(StandingView, String), Stop> {
    let of_role = |view: &&StandingView| reader.roles.iter().any(|role| view.roles.contains(role));
    for view in profile.standing_views.iter().filter(of_role) {
        if let Some(tie) = tie(rows, view.over, &reader.id, item, row, now)? {
            return Ok((view.clone(), tie));
        }
    }
    let narrower = profile.standing_views.iter().find(of_role);
    let rule = match (narrower, profile.open.get("standing-view")) {
        (Some(view), _) => view.source.rule.as_str(),
        (None, Some(source)) if !source.rule.is_empty() => source.rule.as_str(),
        (None, _) => "C5",
    };
    let message = match narrower {
        Some(view) => format!("{} may view {} only, and nothing says that this item is", reader.id, view.over.name()),
        None => format!("profile {} gives {} no standing view", profile.name, reader.id),
    };
    let remedy = "submit a request to view: `strongroom request submit --act view`";
    Err(Refusal::new(Reason::ApprovalMissing, rule, message, remedy).into())
}

/// What ties an item to a person, where a standing view over such items reaches it.
fn tie(
    rows: &(impl Rows + ?Sized),
    over: Over,
    who: &PrincipalId,
    item: ItemId,
    row: &ItemRow,
    now: UnixMillis,
) -> Result<Option<String>, RowError> {
    match over {
        Over::Unit | Over::Agency => Ok(Some(over.name().to_owned())),
        Over::OwnActivity => Ok(activity::own_of(rows, who, item, row)?.map(|activity| format!("activity {activity}"))),
        Over::OwnCase => Ok(case::own_of(rows, who, item)?.map(|case| format!("case {case}"))),
        Over::Draw => Ok(draw::covers(rows, who, item)?.then(|| over.name().to_owned())),
        Over::HandedOver => {
            let list = viewlist::open_with(rows, who, item, now)?;
            Ok(list.map(|list| format!("review {} in list {}", list.document, list.seq)))
        }
    }
}

/// Where the text says 由使用部门, nobody carries it out for the whole agency.
fn of_owning_unit(reader: &PrincipalRow, unit: &UnitId, rule: &str) -> Result<(), Refusal> {
    if reader.unit.is_some() && reader.covers(unit) {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::OutsideUnit,
        rule,
        format!("{} is not of unit {unit}, which owns the footage and hands it out itself", reader.id),
        format!("somebody of unit {unit} in the executor's role can"),
    ))
}

/// The register is filled in before the first byte (后，方可查阅).
fn check_registered(row: &RequestRow, rule: &ActRule) -> Result<(), Refusal> {
    let missing = request::unregistered(row, rule);
    let (Some(first), Some(register)) = (missing.first(), &rule.register) else { return Ok(()) };
    Err(Refusal::new(
        Reason::FieldMissing,
        &rule.source.rule,
        format!("{register} of request {} is not filled in: {}", row.id, missing.join(", ")),
        format!("submit a request whose form has it: `--field {first}=…`"),
    ))
}

#[expect(clippy::too_many_arguments, reason = "one straight write of a row and its record")]
fn write_session(
    decision: &mut Decision<'_>,
    id: SessionId,
    reader: &PrincipalRow,
    request: Option<RequestId>,
    items: Vec<ItemId>,
    ends_at: UnixMillis,
    act: Act,
    rule: &str,
    mut facts: BTreeMap<Fact, crate::Value>,
) -> RecordSeq {
    facts.insert(Fact::Session, id.as_bytes().as_slice().into());
    let seq = decision.record(act, rule, items.clone(), facts);
    let row = SessionRow { items, principal: reader.id.clone(), request, seq, ends_at, ended: None, removal: None };
    SESSIONS.write(decision.rows, &id, &row);
    seq
}

fn check_act(row: &RequestRow, only: Option<ItemId>) -> Result<(), Refusal> {
    let fits = match row.act {
        RequestAct::View => only.is_some(),
        RequestAct::Copy | RequestAct::Transfer | RequestAct::Provide => only.is_none(),
        RequestAct::Publish => return Err(only_masked(row)),
    };
    if fits {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::OutsideGrant,
        "G8",
        format!("request {} is for {}: no act implies another", row.id, row.act.name()),
        "submit a request for the act that you need",
    ))
}

/// Publishing takes a masked derived item, and every item that is kept here is an original.
fn only_masked(row: &RequestRow) -> Refusal {
    let items: Vec<_> = row.items.iter().map(ToString::to_string).collect();
    Refusal::new(
        Reason::OutsideGrant,
        "G8",
        format!("request {} would publish originals: {}", row.id, items.join(" ")),
        "only a masked derived item is published; originals go out by `strongroom request submit --act provide`",
    )
}

fn granted_until(row: &RequestRow, rule: &ActRule, now: UnixMillis) -> Result<UnixMillis, Refusal> {
    let refuse =
        |reason, message: String, remedy: String| Err(Refusal::new(reason, &rule.source.rule, message, remedy));
    match &row.state {
        RequestState::Pending if now >= request::decide_by(row, rule) => refuse(
            Reason::GrantEnded,
            format!("request {} lapsed at {}: nobody decided it", row.id, request::decide_by(row, rule)),
            "submit another".to_owned(),
        ),
        RequestState::Pending => {
            let missing = request::still_missing(row, rule).join(", ");
            refuse(
                Reason::ApprovalMissing,
                format!("request {} is not approved", row.id),
                format!("missing: {missing}"),
            )
        }
        RequestState::Rejected(by, why) => refuse(
            Reason::GrantEnded,
            format!("request {} was rejected by {by}: {why}", row.id),
            "submit another".to_owned(),
        ),
        RequestState::Withdrawn(by, why) => refuse(
            Reason::GrantEnded,
            format!("request {} was withdrawn by {by}: {why}", row.id),
            "submit another".to_owned(),
        ),
        RequestState::Revoked(by, why) => Err(revoked(row, by, why)),
        RequestState::Lapsed(at) => refuse(
            Reason::GrantEnded,
            format!("request {} lapsed at {at}: nobody decided it", row.id),
            "submit another".to_owned(),
        ),
        RequestState::Approved(until) if request::is_over(*until, rule, now) => refuse(
            Reason::GrantEnded,
            format!("the grant of request {} ended at {until}", row.id),
            "submit another".to_owned(),
        ),
        RequestState::Approved(_) if row.uses >= rule.uses => refuse(
            Reason::GrantEnded,
            format!("the grant of request {} is spent: {} of {} uses", row.id, row.uses, rule.uses),
            "submit another".to_owned(),
        ),
        // A class that was set since may ask for more than was given.
        RequestState::Approved(_) if !request::still_missing(row, rule).is_empty() => refuse(
            Reason::ApprovalMissing,
            format!("request {} was approved before its items were classified", row.id),
            format!("missing: {}; submit another", request::still_missing(row, rule).join(", ")),
        ),
        RequestState::Approved(until) => Ok(*until),
    }
}

fn read(rows: &(impl Rows + ?Sized), id: SessionId) -> Result<SessionRow, Stop> {
    SESSIONS.read(rows, &id)?.ok_or_else(|| Refusal::not_found(format!("session {id}")).into())
}

fn refuse_foreign(row: &SessionRow, id: SessionId, reader: &PrincipalId) -> Result<(), Refusal> {
    if row.principal == *reader {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::OutsideGrant,
        "C5",
        format!("session {id} belongs to somebody else"),
        "begin a session of your own",
    ))
}

fn check_running(rows: &(impl Rows + ?Sized), id: SessionId, row: &SessionRow) -> Result<(), Stop> {
    let now = clock::read(rows)?.now();
    if row.ended.is_some() || clock::is_over(row.ends_at, SESSION_MS, now) {
        let message = format!("session {id} has ended");
        return Err(Refusal::new(Reason::GrantEnded, "C5", message, "begin another under the grant").into());
    }
    if let Some(removal) = row.removal {
        return removal::refuse_ended(rows, removal);
    }
    let Some(request) = row.request else { return Ok(()) };
    let request = request::read(rows, request)?;
    if let RequestState::Revoked(by, why) = &request.state {
        return Err(revoked(&request, by, why).into());
    }
    check_requester(rows, &request)
}

/// An approval that was taken back ends what is read under it.
fn revoked(request: &RequestRow, by: &PrincipalId, why: &str) -> Refusal {
    let message = format!("request {} was revoked by {by}: {why}", request.id);
    Refusal::new(Reason::GrantEnded, "C5", message, "somebody who still needs it can submit another")
}

/// Footage goes to the requester by the executor's hand: where the requester's access has ended, nobody is left whom
/// it was approved for.
fn check_requester(rows: &(impl Rows + ?Sized), request: &RequestRow) -> Result<(), Stop> {
    let ended = PRINCIPALS.read(rows, &request.requester)?.and_then(|requester| requester.revoked_at);
    let Some(at) = ended else { return Ok(()) };
    Err(Refusal::new(
        Reason::GrantEnded,
        "C5",
        format!("request {} was made by {}, whose access ended at {at}", request.id, request.requester),
        "somebody who still needs it can submit another",
    )
    .into())
}

fn outside(item: ItemId, what: &str) -> Refusal {
    Refusal::new(Reason::OutsideGrant, "G8", format!("item {item} is outside {what}"), "submit a request that names it")
}

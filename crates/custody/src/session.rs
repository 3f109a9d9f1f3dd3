//! Sessions of reading: begun under a grant or a standing view, on the ledger before the first byte leaves.

use std::collections::BTreeMap;

use strongroom_types::{
    ItemId, KeyHash, PrincipalId, Reason, RecordSeq, Refusal, RequestId, SessionId, UnitId, UnixMillis, limits,
    rows::Rows,
};

use crate::{
    Act, Answer, Fact,
    access::{self, Stop, different_person, role_refused, within_unit},
    apply::Decision,
    clock,
    command::{BeginSession, EndSession, Under},
    draw, erasure,
    item::{refuse_quarantined, sealed},
    keeping,
    profile::{ActRule, Over, Profile, RequestAct, StandingView},
    request::{self, RequestRow, RequestState},
    tables::{PRINCIPALS, PrincipalRow, SESSIONS},
    upload::newest_profile,
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
}

/// The act that a beginning is recorded as.
#[must_use]
pub const fn act_of(under: &Under) -> Act {
    match under {
        Under::CopyOut(_) => Act::CopyOutBegin,
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
    let seq = decision.record(Act::SessionEnd, "C5", session.items.clone(), facts);
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
    let until = granted_until(&row, &rule, decision.wall)?;
    check_requester(decision.rows, &row)?;
    if !reader.roles.iter().any(|role| rule.executors.contains(role)) {
        let what = format!("carry out request {request}");
        return Err(role_refused(reader, &what, &rule.executors, &rule.source.rule).into());
    }
    different_person(&reader.id, &row.requester, "requester and executor differ")?;
    for approval in &row.approvals {
        different_person(&reader.id, &approval.approver, "approver and executor differ")?;
    }
    for item in &row.items {
        let sealed = sealed(decision.rows, *item)?;
        within_unit(reader, &sealed.description.unit)?;
        if rule.owning_unit {
            of_owning_unit(reader, &sealed.description.unit, &rule.source.rule)?;
        }
        refuse_quarantined(*item, &sealed)?;
    }
    check_registered(&row, &rule)?;
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
    within_unit(reader, &sealed.description.unit)?;
    refuse_quarantined(item, &sealed)?;
    keeping::refuse_restricted(decision.rows, item)?;
    let (_, profile) = newest_profile(decision.rows, &sealed.retention.profile)?;
    let drawn = draw::covers(decision.rows, &reader.id, item)?;
    let standing = standing_view(&profile.profile, reader, drawn)?;
    if reason.trim().is_empty() || reason.len() > limits::TEXT_BYTES_MAX {
        return Err(Refusal::new(
            Reason::FieldMissing,
            "C5",
            "a view without a request takes a reason",
            "say why: `--reason`",
        )
        .into());
    }
    let facts = BTreeMap::from([(Fact::ReasonGiven, reason.into())]);
    let ends_at = decision.wall.plus_ms(SESSION_MS);
    let seq =
        write_session(decision, id, reader, None, vec![item], ends_at, Act::ViewBegin, &standing.source.rule, facts);
    Ok(Answer::SessionBegun(id, seq))
}

/// The standing view that this person has of items of their unit.
fn standing_view(profile: &Profile, reader: &PrincipalRow, drawn: bool) -> Result<StandingView, Refusal> {
    let of_role = |view: &&StandingView| reader.roles.iter().any(|role| view.roles.contains(role));
    // Whose activity or case it is and what was handed over is not known here: no such view is given.
    let reaches =
        |view: &&StandingView| matches!(view.over, Over::Unit | Over::Agency) || view.over == Over::Draw && drawn;
    if let Some(view) = profile.standing_views.iter().filter(of_role).find(reaches) {
        return Ok(view.clone());
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
    Err(Refusal::new(Reason::ApprovalMissing, rule, message, remedy))
}

/// Where the text says 由使用部门, nobody carries it out for the whole agency.
fn of_owning_unit(reader: &PrincipalRow, unit: &UnitId, rule: &str) -> Result<(), Refusal> {
    if reader.unit.as_ref() == Some(unit) {
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
    let row = SessionRow { items, principal: reader.id.clone(), request, seq, ends_at, ended: None };
    SESSIONS.write(decision.rows, &id, &row);
    seq
}

fn check_act(row: &RequestRow, only: Option<ItemId>) -> Result<(), Refusal> {
    let fits = match row.act {
        RequestAct::View => only.is_some(),
        RequestAct::Copy | RequestAct::Transfer | RequestAct::Provide => only.is_none(),
        // Publishing takes a masked derived item, never an original.
        RequestAct::Publish => false,
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

fn granted_until(row: &RequestRow, rule: &ActRule, now: UnixMillis) -> Result<UnixMillis, Refusal> {
    let refuse =
        |reason, message: String, remedy: String| Err(Refusal::new(reason, &rule.source.rule, message, remedy));
    match &row.state {
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
        RequestState::Approved(until) if now >= *until => refuse(
            Reason::GrantEnded,
            format!("the grant of request {} ended at {until}", row.id),
            "submit another".to_owned(),
        ),
        RequestState::Approved(_) if row.uses >= rule.uses => refuse(
            Reason::GrantEnded,
            format!("the grant of request {} is spent: {} of {} uses", row.id, row.uses, rule.uses),
            "submit another".to_owned(),
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
    let now = clock::read(rows)?.wall;
    if row.ended.is_some() || now >= row.ends_at {
        let message = format!("session {id} has ended");
        return Err(Refusal::new(Reason::GrantEnded, "C5", message, "begin another under the grant").into());
    }
    match row.request {
        Some(request) => check_requester(rows, &request::read(rows, request)?),
        None => Ok(()),
    }
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

//! Mandates 授权: dated rows by which somebody decides requests in an office that is not their own.
//!
//! ```text
//!  appointment   given by security ──confirmed by legal or head──▶ counts from … until ──▶ over
//!  delegation    given by whose right it is ─────────────────────▶ counts from … until ──▶ over
//!                                     └────── revoked, at any time ──────┘
//! ```
//! An **appointment** 主持工作的副职 makes a deputy the head. Security enters it with the number of the document, and it counts
//! when a second person has compared it with the document: of the readings that requirements B10 leaves open, the
//! stricter. A **delegation** 经授权的负责人 lends one's own right for named acts. Neither gives a role: whoever holds a
//! mandate also holds a role that may decide requests, and a mandate is never passed on. Whether one counts for a
//! request is what the article of that request says.
//!
//! Who leaves takes along what they hold and what they lent of their own. An appointment that they only entered stands:
//! its right comes from the document.

use std::collections::BTreeMap;

use strongroom_types::{
    PrincipalId, ProfileName, Reason, RecordSeq, Refusal, Role, UnitId, UnixMillis, limits,
    rows::{RowError, Rows},
};

use crate::{
    Act, Answer, Fact, Value,
    access::{self, Stop, different_person, role_refused, within_unit},
    apply::Decision,
    correction::RoleStepRow,
    keeping::check_given,
    profile::{ActRule, RequestAct},
    request::RequestRow,
    tables::{MANDATES, PRINCIPALS, PrincipalRow, UNITS},
    unit_change::every,
    upload::{check_text, newest_profile},
};

/// The mandates of one person: those that count, wait or are to come. Those that are over go with the next one that is
/// given, and stay in the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct MandatesRow {
    /// Oldest first.
    #[n(0)]
    pub mandates: Vec<Mandate>,
}

/// A mandate. Its number is the position of the record that gave it.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Mandate {
    /// Which of the two.
    #[n(0)]
    pub kind: MandateKind,
    /// The office in which its holder decides.
    #[n(1)]
    pub role: Role,
    /// For what.
    #[n(2)]
    pub scope: MandateScope,
    /// From when.
    #[n(3)]
    pub from: UnixMillis,
    /// Until when.
    #[n(4)]
    pub until: UnixMillis,
    /// Number of the document 文号; empty for a delegation without one.
    #[n(5)]
    pub document: String,
    /// Who gave it: of a delegation, whose right it is.
    #[n(6)]
    pub given_by: PrincipalId,
    /// When.
    #[n(7)]
    pub at: UnixMillis,
    /// Its record.
    #[n(8)]
    pub seq: RecordSeq,
    /// Who compared an appointment with its document.
    #[n(9)]
    pub confirmed: Option<RoleStepRow>,
    /// Who ended it, and why.
    #[n(10)]
    pub revoked: Option<MandateEnd>,
}

/// The two kinds of mandate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum MandateKind {
    /// 主持工作的副职.
    #[n(0)]
    Appointment,
    /// 经授权的负责人.
    #[n(1)]
    Delegation,
}

impl MandateKind {
    /// The name on the wire and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Appointment => "appointment",
            Self::Delegation => "delegation",
        }
    }
}

/// For what a mandate counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct MandateScope {
    /// Acts; none named means every act, which only an appointment has.
    #[n(0)]
    pub acts: Vec<RequestAct>,
    /// Only footage of this unit.
    #[n(1)]
    pub unit: Option<UnitId>,
    /// Only footage under this agency's profile.
    #[n(2)]
    pub profile: Option<ProfileName>,
}

/// The end of a mandate before its time.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct MandateEnd {
    /// Who ended it.
    #[n(0)]
    pub by: PrincipalId,
    /// When.
    #[n(1)]
    pub at: UnixMillis,
    /// Why.
    #[n(2)]
    pub reason: String,
    /// Its record.
    #[n(3)]
    pub seq: RecordSeq,
}

/// The mandate that an approval was given under.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct UnderMandate {
    /// Record that gave it.
    #[n(0)]
    pub mandate: RecordSeq,
    /// Which of the two.
    #[n(1)]
    pub kind: MandateKind,
    /// Who gave it.
    #[n(2)]
    pub given_by: PrincipalId,
}

/// Gives a mandate.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct GiveMandate {
    /// Which of the two.
    #[n(0)]
    pub kind: MandateKind,
    /// To whom.
    #[n(1)]
    pub holder: PrincipalId,
    /// For which office.
    #[n(2)]
    pub role: Role,
    /// For what.
    #[n(3)]
    pub scope: MandateScope,
    /// From when; none means at once.
    #[n(4)]
    pub from: Option<UnixMillis>,
    /// Until when.
    #[n(5)]
    pub until: UnixMillis,
    /// Number of the document.
    #[n(6)]
    pub document: String,
}

/// Says that an appointment is what its document says.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ConfirmMandate {
    /// Whose.
    #[n(0)]
    pub holder: PrincipalId,
    /// Record that gave it.
    #[n(1)]
    pub mandate: RecordSeq,
}

/// Ends a mandate before its time.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RevokeMandate {
    /// Whose.
    #[n(0)]
    pub holder: PrincipalId,
    /// Record that gave it.
    #[n(1)]
    pub mandate: RecordSeq,
    /// Why.
    #[n(2)]
    pub reason: String,
}

impl Mandate {
    /// Where it stands at `now`, as one word.
    #[must_use]
    pub fn state_name(&self, now: UnixMillis) -> &'static str {
        match (&self.revoked, self.kind, &self.confirmed) {
            (Some(_), ..) => "revoked",
            _ if now >= self.until => "over",
            (None, MandateKind::Appointment, None) => "unconfirmed",
            _ if now < self.from => "to come",
            _ => "in force",
        }
    }

    fn under(&self) -> UnderMandate {
        UnderMandate { mandate: self.seq, kind: self.kind, given_by: self.given_by.clone() }
    }
}

/// The act that giving a mandate is recorded as.
#[must_use]
pub const fn give_act(kind: MandateKind) -> Act {
    match kind {
        MandateKind::Appointment => Act::MandateAppoint,
        MandateKind::Delegation => Act::MandateDelegate,
    }
}

pub(crate) fn give(decision: &mut Decision<'_>, command: &GiveMandate) -> Result<Answer, Stop> {
    let giver = decision.authorize(give_act(command.kind))?;
    let holder = check_holder(decision.rows, &giver, command)?;
    match command.kind {
        MandateKind::Appointment => check_appointment(command)?,
        MandateKind::Delegation => check_delegation(&giver, command)?,
    }
    check_scope(decision.rows, &giver, &holder, &command.scope)?;
    let from = check_dates(command, decision.wall)?;
    let mut row = MANDATES.read(decision.rows, &holder.id)?.unwrap_or_default();
    row.mandates.retain(|mandate| !matches!(mandate.state_name(decision.wall), "over" | "revoked"));
    if row.mandates.len() >= limits::MANDATES_MAX {
        return Err(Refusal::invalid(format!("a person holds at most {} mandates", limits::MANDATES_MAX)).into());
    }
    let mandate = Mandate {
        kind: command.kind,
        role: command.role,
        scope: command.scope.clone(),
        from,
        until: command.until,
        document: command.document.clone(),
        given_by: giver.id,
        at: decision.wall,
        seq: decision.next_seq(),
        confirmed: None,
        revoked: None,
    };
    let facts = facts(&holder.id, &mandate);
    row.mandates.push(mandate);
    MANDATES.write(decision.rows, &holder.id, &row);
    Ok(Answer::Recorded(decision.record(give_act(command.kind), RULE, Vec::new(), facts)))
}

pub(crate) fn confirm(decision: &mut Decision<'_>, command: &ConfirmMandate) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::MandateConfirm)?;
    let (mut row, at) = find(decision.rows, &command.holder, command.mandate)?;
    let mandate = &mut row.mandates[at];
    let state = mandate.state_name(decision.wall);
    if state != "unconfirmed" {
        let message = format!("{} {} of {} is {state}", mandate.kind.name(), mandate.seq, command.holder);
        return Err(
            Refusal::new(Reason::WrongState, "C5", message, "only an appointment that waits is confirmed").into()
        );
    }
    within_scope(&who, &mandate.scope)?;
    different_person(&who.id, &mandate.given_by, "who enters an appointment does not confirm it")?;
    different_person(&who.id, &command.holder, "nobody confirms their own appointment")?;
    let able = |role: &Role| Act::MandateConfirm.roles().contains(role);
    let role = who.roles.iter().copied().find(able).expect("the table of acts let somebody without a role through");
    let mut facts = facts(&command.holder, mandate);
    facts.insert(Fact::Entry, mandate.seq.0.into());
    let seq = decision.record(Act::MandateConfirm, RULE, Vec::new(), facts);
    mandate.confirmed = Some(RoleStepRow { by: who.id, role, at: decision.wall, seq });
    MANDATES.write(decision.rows, &command.holder, &row);
    Ok(Answer::Recorded(seq))
}

pub(crate) fn revoke(decision: &mut Decision<'_>, command: &RevokeMandate) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::MandateRevoke)?;
    check_given("the reason", &command.reason, "G9")?;
    let (mut row, at) = find(decision.rows, &command.holder, command.mandate)?;
    let mandate = &mut row.mandates[at];
    let state = mandate.state_name(decision.wall);
    if matches!(state, "revoked" | "over") {
        let message = format!("{} {} of {} is {state}", mandate.kind.name(), mandate.seq, command.holder);
        return Err(Refusal::new(Reason::WrongState, "C5", message, "nothing needs to be done").into());
    }
    may_revoke(&who, mandate)?;
    let mut facts = facts(&command.holder, mandate);
    facts.insert(Fact::Entry, mandate.seq.0.into());
    facts.insert(Fact::ReasonGiven, command.reason.as_str().into());
    let seq = decision.record(Act::MandateRevoke, RULE, Vec::new(), facts);
    mandate.revoked = Some(MandateEnd { by: who.id, at: decision.wall, reason: command.reason.clone(), seq });
    MANDATES.write(decision.rows, &command.holder, &row);
    Ok(Answer::Recorded(seq))
}

/// What ends when somebody leaves: mandates that they hold, and what they lent of their own, each with its holder.
///
/// # Errors
/// [`Stop`] where a row cannot be read.
pub(crate) fn of_leaver(
    rows: &(impl Rows + ?Sized),
    person: &PrincipalId,
    now: UnixMillis,
) -> Result<Vec<(PrincipalId, Mandate)>, Stop> {
    let mut found = Vec::new();
    for holder in every(&PRINCIPALS, rows)? {
        let row = MANDATES.read(rows, &holder.id)?.unwrap_or_default();
        let ends = |mandate: &Mandate| {
            let own = mandate.kind == MandateKind::Delegation && mandate.given_by == *person;
            (holder.id == *person || own) && !matches!(mandate.state_name(now), "revoked" | "over")
        };
        found.extend(row.mandates.into_iter().filter(ends).map(|mandate| (holder.id.clone(), mandate)));
    }
    Ok(found)
}

/// Ends a mandate of `holder`.
pub(crate) fn end(rows: &mut dyn Rows, holder: &PrincipalId, mandate: RecordSeq, how: MandateEnd) -> Result<(), Stop> {
    let (mut row, at) = find(rows, holder, mandate)?;
    row.mandates[at].revoked = Some(how);
    MANDATES.write(rows, holder, &row);
    Ok(())
}

/// The mandate under which `holder` can decide this request in one of the `open` roles, and that role.
///
/// # Errors
/// [`Stop`] with `ROLE_NOT_ALLOWED` or `SAME_PERSON`, where there is one for such a role and it does not count here.
pub(crate) fn serving(
    rows: &(impl Rows + ?Sized),
    holder: &PrincipalId,
    request: &Asked<'_>,
    open: &[Role],
) -> Result<Option<(Role, UnderMandate)>, Stop> {
    let row = MANDATES.read(rows, holder)?.unwrap_or_default();
    let mut told = None;
    // The newest first: what was given last is what people speak of.
    for mandate in row.mandates.iter().rev().filter(|mandate| open.contains(&mandate.role)) {
        match refuse_unfit(rows, holder, mandate, request) {
            Ok(()) => return Ok(Some((mandate.role, mandate.under()))),
            Err(Stop::Refused(refusal)) => told = told.or(Some(refusal)),
            Err(stop @ Stop::Rows(_)) => return Err(stop),
        }
    }
    told.map_or(Ok(None), |refusal| Err(refusal.into()))
}

/// A request that somebody would decide under a mandate.
pub(crate) struct Asked<'a> {
    pub(crate) row: &'a RequestRow,
    pub(crate) rule: &'a ActRule,
    /// Units of its items.
    pub(crate) units: &'a [UnitId],
    pub(crate) now: UnixMillis,
}

fn refuse_unfit(
    rows: &(impl Rows + ?Sized),
    holder: &PrincipalId,
    mandate: &Mandate,
    request: &Asked<'_>,
) -> Result<(), Stop> {
    let named = format!("{} {} of {holder}", mandate.kind.name(), mandate.seq);
    let unfit = |why: String, remedy: &str| -> Result<(), Stop> {
        let message = format!("{named} does not count for request {}: {why}", request.row.id);
        Err(Refusal::new(Reason::RoleNotAllowed, &request.rule.source.rule, message, remedy).into())
    };
    let in_person = format!("the {} can decide in person: `strongroom request approve`", mandate.role);
    let allowed = match mandate.kind {
        MandateKind::Appointment => request.rule.appointment,
        MandateKind::Delegation => request.rule.delegation,
    };
    if !allowed {
        let article = &request.rule.source.article;
        let says = if article.is_empty() { String::new() } else { format!(": {article}") };
        return unfit(format!("the rule lets no {} decide{says}", mandate.kind.name()), &in_person);
    }
    if mandate.kind == MandateKind::Delegation {
        different_person(&mandate.given_by, &request.row.requester, "nobody's own right decides what they ask for")?;
    }
    let state = mandate.state_name(request.now);
    if state != "in force" {
        let dates = format!("it is {state} (from {} until {})", mandate.from, mandate.until);
        return unfit(dates, &in_person);
    }
    let MandateScope { acts, unit, profile } = &mandate.scope;
    if !acts.is_empty() && !acts.contains(&request.row.act) {
        return unfit(format!("it is not for {}", request.row.act.name()), &in_person);
    }
    if unit.as_ref().is_some_and(|unit| request.units.iter().any(|of| of != unit))
        || profile.as_ref().is_some_and(|profile| *profile != request.row.profile)
    {
        return unfit("it is for other footage".to_owned(), &in_person);
    }
    if mandate.kind == MandateKind::Delegation && !still_holds(rows, mandate, request.units)? {
        return unfit(format!("{} no longer has the right that was lent", mandate.given_by), &in_person);
    }
    Ok(())
}

/// Whether whoever delegated still holds what they delegated.
fn still_holds(rows: &(impl Rows + ?Sized), mandate: &Mandate, units: &[UnitId]) -> Result<bool, RowError> {
    let giver = access::principal(rows, &mandate.given_by)?;
    Ok(giver.is_some_and(|giver| {
        giver.revoked_at.is_none() && giver.roles.contains(&mandate.role) && units.iter().all(|unit| giver.covers(unit))
    }))
}

fn check_holder(
    rows: &(impl Rows + ?Sized),
    giver: &PrincipalRow,
    command: &GiveMandate,
) -> Result<PrincipalRow, Stop> {
    let id = &command.holder;
    let holder = access::principal(rows, id)?.ok_or_else(|| Refusal::not_found(format!("principal {id}")))?;
    different_person(&giver.id, id, "nobody gives a mandate to themselves")?;
    let deciding = Act::RequestApprove.roles();
    if holder.revoked_at.is_some() || !holder.roles.iter().any(|role| deciding.contains(role)) {
        return Err(Refusal::new(
            Reason::InvalidArgument,
            RULE,
            format!("{id} is nobody in charge 负责人: a mandate widens an office and gives none"),
            "name somebody who is unit-head, legal, approver or head",
        )
        .into());
    }
    if holder.roles.contains(&command.role) {
        return Err(Refusal::invalid(format!("{id} is {} already", command.role)).into());
    }
    Ok(holder)
}

/// 主持工作的副职: only the head's office, by a document, for whatever the head decides.
fn check_appointment(command: &GiveMandate) -> Result<(), Refusal> {
    check_given("the document", &command.document, RULE)?;
    if command.role != Role::Head || !command.scope.acts.is_empty() {
        return Err(Refusal::invalid("an appointment is to the office of the head, for every act"));
    }
    Ok(())
}

/// Nobody lends what they do not hold themselves, and what one has under a mandate one does not hold.
fn check_delegation(giver: &PrincipalRow, command: &GiveMandate) -> Result<(), Refusal> {
    check_text("the document", &command.document)?;
    if !Act::MandateDelegate.roles().contains(&command.role) || !giver.roles.contains(&command.role) {
        let what = format!("delegate the right of {}, which they do not hold themselves", command.role);
        return Err(role_refused(giver, &what, &[command.role], RULE));
    }
    let acts = &command.scope.acts;
    if acts.is_empty() || acts.iter().enumerate().any(|(at, act)| acts[..at].contains(act)) {
        return Err(Refusal::invalid("a delegation names its acts, and each once"));
    }
    Ok(())
}

fn check_scope(
    rows: &(impl Rows + ?Sized),
    giver: &PrincipalRow,
    holder: &PrincipalRow,
    scope: &MandateScope,
) -> Result<(), Stop> {
    if let Some(unit) = &scope.unit {
        UNITS.read(rows, unit)?.ok_or_else(|| Refusal::not_found(format!("unit {unit}")))?;
        within_unit(holder, unit)?;
    }
    if let Some(profile) = &scope.profile {
        newest_profile(rows, profile)?;
    }
    Ok(within_scope(giver, scope)?)
}

/// Somebody of one unit speaks for that unit only.
fn within_scope(who: &PrincipalRow, scope: &MandateScope) -> Result<(), Refusal> {
    match (&who.unit, &scope.unit) {
        (None, _) => Ok(()),
        (Some(_), Some(unit)) => within_unit(who, unit),
        (Some(_), None) => crate::access::whole_agency(who),
    }
}

/// Nobody is put in charge of a time that has passed, and no mandate outlives a year without being given again.
fn check_dates(command: &GiveMandate, now: UnixMillis) -> Result<UnixMillis, Refusal> {
    let from = command.from.unwrap_or(now);
    let wrong = |message: String, remedy: &str| Err(Refusal::new(Reason::InvalidArgument, RULE, message, remedy));
    if from < now {
        return wrong(
            format!("a mandate from {from} on would begin in the past"),
            "leave the date out to begin at once",
        );
    }
    if command.until <= from || command.until.since_ms(from) > limits::MANDATE_MS_MAX {
        let message = format!("a mandate from {from} until {} has no length or more than a year", command.until);
        return wrong(message, "a longer one is given again when it ends");
    }
    Ok(from)
}

/// A delegation is taken back by whose right it is; legal, head and security end any mandate.
fn may_revoke(who: &PrincipalRow, mandate: &Mandate) -> Result<(), Refusal> {
    within_scope(who, &mandate.scope)?;
    let offices = [Role::Legal, Role::Head, Role::Security];
    if who.id == mandate.given_by || who.roles.iter().any(|role| offices.contains(role)) {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::NotYourStep,
        "C5",
        format!("{} {} was given by {}", mandate.kind.name(), mandate.seq, mandate.given_by),
        format!("{} can revoke it, and so can legal, head and security", mandate.given_by),
    ))
}

fn find(rows: &(impl Rows + ?Sized), holder: &PrincipalId, mandate: RecordSeq) -> Result<(MandatesRow, usize), Stop> {
    let row = MANDATES.read(rows, holder)?.unwrap_or_default();
    let at = row.mandates.iter().position(|own| own.seq == mandate);
    let at = at.ok_or_else(|| Refusal::not_found(format!("mandate {mandate} of {holder}")))?;
    Ok((row, at))
}

/// A mandate is a dated row with a scope, whatever the text that it is used under: that one says whether it counts.
const RULE: &str = "C5";

fn facts(holder: &PrincipalId, mandate: &Mandate) -> BTreeMap<Fact, Value> {
    let mut facts = BTreeMap::from([
        (Fact::Principal, holder.as_str().into()),
        (Fact::Role, mandate.role.name().into()),
        (Fact::From, mandate.from.into()),
        (Fact::ValidUntil, mandate.until.into()),
    ]);
    let MandateScope { acts, unit, profile } = &mandate.scope;
    if !acts.is_empty() {
        facts.insert(Fact::RequestAct, acts.iter().map(|act| act.name()).collect::<Vec<_>>().join(" ").into());
    }
    if let Some(unit) = unit {
        facts.insert(Fact::Unit, unit.as_str().into());
    }
    if let Some(profile) = profile {
        facts.insert(Fact::Profile, profile.as_str().into());
    }
    if !mandate.document.is_empty() {
        facts.insert(Fact::Document, mandate.document.as_str().into());
    }
    facts
}

//! Approvals of requests that do not come from the approver's own hand (requirements B10): a signed form that legal files
//! and a second person attests to having seen, and an oral approval in urgent cases that legal enters with a witness.
//!
//! Both count as the approval of the person who is named, and only where the article of the request allows them. The
//! named approver, whoever files or enters, whoever attests or witnesses, the requester and the executor are all
//! different people, and the head is told each time. An oral approval is confirmed within a day: after that nothing more
//! is handed out under it until it is, and the delay stays a finding.

use std::collections::BTreeMap;

use strongroom_types::{
    ItemId, PrincipalId, Reason, RecordSeq, Refusal, RequestId, Role, UnixMillis, limits, rows::Rows,
};

use crate::{
    Act, Answer, Fact, Value,
    access::{self, Stop, different_person, role_refused, within_unit},
    apply::Decision,
    correction::RoleStepRow,
    item::{refuse_quarantined, sealed},
    keeping::check_given,
    mandate::{MandateKind, UnderMandate},
    notice,
    profile::ActRule,
    request::{self, RequestRow},
    tables::{PAPER_FORMS, PrincipalRow, REQUESTS_DUE},
};

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
    /// Under which mandate, where the role is not the approver's own.
    #[n(4)]
    pub mandate: Option<UnderMandate>,
    /// On which paper, where it was signed.
    #[n(5)]
    pub paper: Option<PaperApproval>,
    /// How it was said, where it was.
    #[n(6)]
    pub oral: Option<OralApproval>,
}

/// A signed form that somebody attested.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct PaperApproval {
    /// The form, as an item.
    #[n(0)]
    pub form: ItemId,
    /// Who filed it.
    #[n(1)]
    pub filed_by: PrincipalId,
    /// Who attests to having seen it.
    #[n(2)]
    pub attested_by: PrincipalId,
}

/// An oral approval.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct OralApproval {
    /// Who entered it.
    #[n(0)]
    pub entered_by: PrincipalId,
    /// Who heard it too.
    #[n(1)]
    pub witness: PrincipalId,
    /// When it was said.
    #[n(2)]
    pub said_at: UnixMillis,
    /// Why it could not wait.
    #[n(3)]
    pub reason: String,
    /// By when it has to be confirmed.
    #[n(4)]
    pub confirm_by: UnixMillis,
    /// Who confirmed it.
    #[n(5)]
    pub confirmed: Option<RoleStepRow>,
}

/// A signed form that waits for its attestation. Its number is the position of the record that filed it.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct PaperRow {
    /// The form, as an item.
    #[n(0)]
    pub form: ItemId,
    /// Who signed it.
    #[n(1)]
    pub approver: PrincipalId,
    /// Who filed it.
    #[n(2)]
    pub filed_by: PrincipalId,
    /// When.
    #[n(3)]
    pub at: UnixMillis,
    /// Its record.
    #[n(4)]
    pub seq: RecordSeq,
}

/// Files a signed form.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct FilePaper {
    /// The request.
    #[n(0)]
    pub request: RequestId,
    /// The form, as an item.
    #[n(1)]
    pub form: ItemId,
    /// Who signed it.
    #[n(2)]
    pub approver: PrincipalId,
}

/// Attests to having seen a signed form.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct AttestPaper {
    /// The request.
    #[n(0)]
    pub request: RequestId,
    /// Record that filed the form.
    #[n(1)]
    pub paper: RecordSeq,
}

/// Enters an oral approval.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct EnterOral {
    /// The request.
    #[n(0)]
    pub request: RequestId,
    /// Who gave it.
    #[n(1)]
    pub approver: PrincipalId,
    /// Who heard it too.
    #[n(2)]
    pub witness: PrincipalId,
    /// When it was said.
    #[n(3)]
    pub said_at: UnixMillis,
    /// Why it could not wait.
    #[n(4)]
    pub reason: String,
}

/// Confirms an oral approval.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ConfirmOral {
    /// The request.
    #[n(0)]
    pub request: RequestId,
}

impl ApprovalRow {
    /// Everybody who took a step of it.
    #[must_use]
    pub fn people(&self) -> Vec<&PrincipalId> {
        let paper = self.paper.iter().flat_map(|paper| [&paper.filed_by, &paper.attested_by]);
        let oral = self.oral.iter().flat_map(|oral| [&oral.entered_by, &oral.witness]);
        std::iter::once(&self.approver).chain(self.lent_by()).chain(paper).chain(oral).collect()
    }

    /// Whose right it was given in, where that was delegated.
    #[must_use]
    pub fn lent_by(&self) -> Option<&PrincipalId> {
        self.mandate.as_ref().filter(|under| under.kind == MandateKind::Delegation).map(|under| &under.given_by)
    }

    /// What is still to be done about an oral approval, in words that name who can.
    #[must_use]
    pub fn unconfirmed(&self) -> Option<String> {
        let oral = self.oral.as_ref().filter(|oral| oral.confirmed.is_none())?;
        Some(format!("confirmation by {} until {} of what was said", self.approver, oral.confirm_by))
    }

    /// Facts that tell of it.
    pub(crate) fn tell(&self, act: Act, facts: &mut BTreeMap<Fact, Value>) {
        facts.insert(Fact::Role, self.role.name().into());
        if act != Act::RequestApprove {
            facts.insert(Fact::Principal, self.approver.as_str().into());
        }
        if let Some(under) = &self.mandate {
            facts.insert(Fact::Mandate, under.mandate.0.into());
            facts.insert(Fact::Basis, format!("{} by {}", under.kind.name(), under.given_by).into());
        }
        if let Some(oral) = &self.oral {
            facts.insert(Fact::Witness, oral.witness.as_str().into());
            facts.insert(Fact::At, oral.said_at.into());
            facts.insert(Fact::ReasonGiven, oral.reason.as_str().into());
            facts.insert(Fact::ConfirmBy, oral.confirm_by.into());
        }
    }
}

pub(crate) fn file(decision: &mut Decision<'_>, command: &FilePaper) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::PaperFile)?;
    decision.about(command.form);
    let (mut row, rule) = request::pending(decision, command.request)?;
    refuse_unless(rule.paper, "a signed form is no approval here", &rule)?;
    request::check_units(decision, &who, &row)?;
    let approver = named(decision.rows, &command.approver)?;
    apart(&[(&who.id, "files the form"), (&approver.id, "signed it")], &row)?;
    // Whether the named person could approve at all is asked now, so that nobody attests in vain, and again then.
    request::check_deciding(decision, &approver, &row)?;
    let office = request::office(decision, &approver, &row, &rule)?;
    check_form(decision, &who, &row, command.form)?;
    let seq = decision.next_seq();
    let (filed_by, at) = (who.id, decision.wall);
    row.paper = Some(PaperRow { form: command.form, approver: approver.id, filed_by, at, seq });
    request::step(decision, &mut row, Act::PaperFile);
    request::write(decision.rows, &row);
    let mut facts = request::facts(&row);
    facts.insert(Fact::Principal, command.approver.as_str().into());
    facts.insert(Fact::Role, office.role.name().into());
    let items = row.items.iter().copied().chain([command.form]).collect();
    decision.record(Act::PaperFile, &rule.source.rule, items, facts);
    Ok(Answer::Request(Box::new(row)))
}

pub(crate) fn attest(decision: &mut Decision<'_>, command: &AttestPaper) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::PaperAttest)?;
    let (mut row, rule) = request::pending(decision, command.request)?;
    let paper = row.paper.take().filter(|paper| paper.seq == command.paper).ok_or_else(|| {
        let message = format!("no paper {} waits with request {}", command.paper, command.request);
        let remedy =
            "look at what waits: `strongroom request show`; legal files a form: `strongroom request file-paper`";
        Refusal::new(Reason::WrongState, "C5", message, remedy)
    })?;
    request::check_units(decision, &who, &row)?;
    let approver = named(decision.rows, &paper.approver)?;
    apart(&[(&who.id, "attests"), (&paper.filed_by, "files the form"), (&approver.id, "signed it")], &row)?;
    request::check_deciding(decision, &approver, &row)?;
    let office = request::office(decision, &approver, &row, &rule)?;
    check_form(decision, &who, &row, paper.form)?;
    PAPER_FORMS.write(decision.rows, &paper.form, &row.id);
    tell_head(decision, &row, "PAPER_APPROVAL")?;
    let approval = ApprovalRow {
        approver: approver.id,
        role: office.role,
        at: decision.wall,
        seq: decision.next_seq(),
        mandate: office.mandate,
        paper: Some(PaperApproval { form: paper.form, filed_by: paper.filed_by, attested_by: who.id }),
        oral: None,
    };
    request::grant(decision, &mut row, &rule, Act::PaperAttest, approval);
    Ok(Answer::Request(Box::new(row)))
}

pub(crate) fn enter_oral(decision: &mut Decision<'_>, command: &EnterOral) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::OralEnter)?;
    let (mut row, rule) = request::pending(decision, command.request)?;
    refuse_unless(rule.urgent_oral, "an oral approval is none here", &rule)?;
    check_given("the reason", &command.reason, &rule.source.rule)?;
    check_said(command.said_at, &row, decision.wall)?;
    request::check_units(decision, &who, &row)?;
    let approver = named(decision.rows, &command.approver)?;
    let witness = named(decision.rows, &command.witness)?;
    apart(&[(&who.id, "enters it"), (&witness.id, "heard it too"), (&approver.id, "said it")], &row)?;
    request::check_deciding(decision, &approver, &row)?;
    let office = request::office(decision, &approver, &row, &rule)?;
    let confirm_by = command.said_at.plus_ms(limits::ORAL_CONFIRM_MS);
    REQUESTS_DUE.write(decision.rows, &(confirm_by, row.id), &());
    tell_head(decision, &row, "ORAL_APPROVAL")?;
    let approval = ApprovalRow {
        approver: approver.id,
        role: office.role,
        at: decision.wall,
        seq: decision.next_seq(),
        mandate: office.mandate,
        paper: None,
        oral: Some(OralApproval {
            entered_by: who.id,
            witness: witness.id,
            said_at: command.said_at,
            reason: command.reason.clone(),
            confirm_by,
            confirmed: None,
        }),
    };
    request::grant(decision, &mut row, &rule, Act::OralEnter, approval);
    Ok(Answer::Request(Box::new(row)))
}

/// Confirms what was said: whoever said it, or the head. Late is better than never, and stays a finding.
pub(crate) fn confirm_oral(decision: &mut Decision<'_>, command: &ConfirmOral) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::OralConfirm)?;
    let mut row = request::named(decision, command.request)?;
    let rule = request::rule_of_row(&*decision.rows, &row)?;
    request::check_units(decision, &who, &row)?;
    let waits = |approval: &ApprovalRow| approval.oral.as_ref().is_some_and(|oral| oral.confirmed.is_none());
    let own = row.approvals.iter().position(|approval| waits(approval) && approval.approver == who.id);
    let Some(at) = own.or_else(|| row.approvals.iter().position(waits)) else {
        let message = format!("nothing that was said waits with request {}", row.id);
        return Err(Refusal::new(Reason::WrongState, "C5", message, "nothing needs to be done").into());
    };
    if own.is_none() {
        confirms_as_head(&who, &row, &row.approvals[at], &rule)?;
    }
    let seq = decision.next_seq();
    let approval = &mut row.approvals[at];
    let confirmed = RoleStepRow { by: who.id, role: approval.role, at: decision.wall, seq };
    let mut late = false;
    if let Some(oral) = &mut approval.oral {
        late = decision.wall >= oral.confirm_by;
        oral.confirmed = Some(confirmed);
    }
    let mut facts = request::facts(&row);
    facts.insert(Fact::Principal, row.approvals[at].approver.as_str().into());
    if late {
        facts.insert(Fact::Finding, "ORAL_CONFIRMED_LATE".into());
    }
    request::step(decision, &mut row, Act::OralConfirm);
    request::write(decision.rows, &row);
    decision.record(Act::OralConfirm, &rule.source.rule, row.items.clone(), facts);
    Ok(Answer::Request(Box::new(row)))
}

/// Another than whoever said it: the head, where they had no part in it.
fn confirms_as_head(
    who: &PrincipalRow,
    row: &RequestRow,
    approval: &ApprovalRow,
    rule: &ActRule,
) -> Result<(), Refusal> {
    if !who.roles.contains(&Role::Head) {
        let what = format!("confirm what {} said of request {}", approval.approver, row.id);
        return Err(role_refused(who, &what, &[Role::Head], &rule.source.rule));
    }
    different_person(&who.id, &row.requester, "who asks does not confirm the approval")?;
    for person in approval.people() {
        different_person(&who.id, person, "who enters or hears an approval does not confirm it")?;
    }
    Ok(())
}

/// Records that nobody confirmed in time what was said, where that is what came due.
pub(crate) fn overdue(
    decision: &mut Decision<'_>,
    row: &mut RequestRow,
    rule: &ActRule,
    due: UnixMillis,
) -> Result<(), Stop> {
    let late = |oral: &OralApproval| oral.confirmed.is_none() && oral.confirm_by == due;
    let Some(approval) = row.approvals.iter().find(|approval| approval.oral.as_ref().is_some_and(late)) else {
        return Ok(());
    };
    let mut facts = request::facts(row);
    facts.insert(Fact::Principal, approval.approver.as_str().into());
    facts.insert(Fact::Finding, "ORAL_UNCONFIRMED".into());
    tell_head(decision, row, "ORAL_UNCONFIRMED")?;
    request::step(decision, row, Act::OralOverdue);
    request::write(decision.rows, row);
    decision.record(Act::OralOverdue, &rule.source.rule, row.items.clone(), facts);
    Ok(())
}

/// Refuses to hand anything out while what was said is not confirmed and its day is over.
pub(crate) fn refuse_unconfirmed(row: &RequestRow, rule: &ActRule, now: UnixMillis) -> Result<(), Refusal> {
    let late = |oral: &OralApproval| oral.confirmed.is_none() && now >= oral.confirm_by;
    let Some(approval) = row.approvals.iter().find(|approval| approval.oral.as_ref().is_some_and(late)) else {
        return Ok(());
    };
    Err(Refusal::new(
        Reason::ApprovalMissing,
        &rule.source.rule,
        format!("request {} was approved orally by {}, and not confirmed within a day", row.id, approval.approver),
        format!("missing: confirmation by {} or the head: `strongroom request confirm-oral`", approval.approver),
    ))
}

fn refuse_unless(allowed: bool, what: &str, rule: &ActRule) -> Result<(), Refusal> {
    if allowed {
        return Ok(());
    }
    let article = &rule.source.article;
    let says = if article.is_empty() { String::new() } else { format!("; the article says: {article}") };
    Err(Refusal::new(
        Reason::ApprovalMissing,
        &rule.source.rule,
        format!("{what}: the profile does not allow it{says}"),
        format!("missing: approval by {} in person: `strongroom request approve`", rule.approvers),
    ))
}

/// Each of these people takes their one step: none of them asked, or had a part in an approval before.
fn apart(people: &[(&PrincipalId, &str)], row: &RequestRow) -> Result<(), Refusal> {
    for (at, (who, step)) in people.iter().enumerate() {
        for (other, their) in &people[..at] {
            different_person(who, other, &format!("one {their}, another {step}"))?;
        }
        different_person(who, &row.requester, &format!("one asks, another {step}"))?;
        for other in row.approvals.iter().flat_map(ApprovalRow::people) {
            different_person(who, other, &format!("one had a part in an approval, another {step}"))?;
        }
    }
    Ok(())
}

/// A person who is named: registered, with access that has not ended.
fn named(rows: &(impl Rows + ?Sized), id: &PrincipalId) -> Result<PrincipalRow, Stop> {
    let row = access::principal(rows, id)?.ok_or_else(|| Refusal::not_found(format!("principal {id}")))?;
    match row.revoked_at {
        None => Ok(row),
        Some(at) => Err(Refusal::new(
            Reason::PrincipalRevoked,
            "C5",
            format!("access of {id} ended at {at}"),
            "name somebody who is there",
        )
        .into()),
    }
}

/// The form is a sealed item of its own, and it speaks for one request only.
fn check_form(decision: &Decision<'_>, who: &PrincipalRow, row: &RequestRow, form: ItemId) -> Result<(), Stop> {
    if row.items.contains(&form) {
        return Err(Refusal::invalid(format!("item {form} is what is asked for, and no form")).into());
    }
    let item = sealed(&*decision.rows, form)?;
    within_unit(who, &item.description.unit)?;
    refuse_quarantined(form, &item)?;
    match PAPER_FORMS.read(&*decision.rows, &form)? {
        Some(other) if other != row.id => Err(Refusal::new(
            Reason::AlreadyExists,
            "C5",
            format!("form {form} speaks for request {other}"),
            "each request has a form of its own",
        )
        .into()),
        Some(_) | None => Ok(()),
    }
}

/// What was said was said after it was asked for, and not longer ago than it may wait for its confirmation.
fn check_said(said_at: UnixMillis, row: &RequestRow, now: UnixMillis) -> Result<(), Refusal> {
    if said_at >= row.submitted_at && said_at <= now && now.since_ms(said_at) < limits::ORAL_CONFIRM_MS {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "what was said at {said_at} was said before it was asked for, more than a day ago, or is still to be said"
    )))
}

fn tell_head(decision: &mut Decision<'_>, row: &RequestRow, finding: &str) -> Result<(), Stop> {
    for unit in request::units(&*decision.rows, row)? {
        notice::give_of_request(decision, &unit, finding, row.id)?;
    }
    Ok(())
}

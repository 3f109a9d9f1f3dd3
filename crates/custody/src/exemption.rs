//! Exemptions 免录: why there is lawfully no recording of an activity, on what basis, and who agreed. Late consent and
//! one's own are taken and marked, and the head of the unit is told (R-000-16).

use strongroom_types::{ActivityId, ItemId, PrincipalId, Reason, RecordSeq, Refusal, UnixMillis, limits};

use crate::{
    Act, Answer, Fact,
    access::Stop,
    activity::{self, ActivityRow, Moment},
    apply::Decision,
    device::{finding_fact, refuse_future, required},
    notice,
    profile::Profile,
    statement::{self, Filed},
    tables::{ACTIVITIES, EXEMPTIONS, newest_first},
    upload::check_text,
};

/// In which office somebody agreed that nothing was recorded (R-000-16, R-004-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum ConsentOffice {
    /// 现场负责人.
    #[n(0)]
    OnScene,
    /// 办案部门领导.
    #[n(1)]
    CaseUnit,
}

impl ConsentOffice {
    /// Both.
    pub const ALL: [Self; 2] = [Self::OnScene, Self::CaseUnit];

    /// The name on the wire and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OnScene => "on_scene",
            Self::CaseUnit => "case_unit",
        }
    }

    /// The office of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|office| office.name() == name)
    }
}

/// An exemption. Its number is the position of its record.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ExemptionRow {
    /// Activity.
    #[n(0)]
    pub activity: ActivityId,
    // 1 was one of five causes. Each text names its own, and the number stays free.
    /// Why, in words.
    #[n(2)]
    pub text: String,
    /// On what basis.
    #[n(3)]
    pub legal_basis: String,
    /// Who agreed.
    #[n(4)]
    pub consented_by: String,
    /// In which office.
    #[n(5)]
    pub consent_office: ConsentOffice,
    /// When they did.
    #[n(6)]
    pub consented_at: UnixMillis,
    /// The work record 工作记录.
    #[n(7)]
    pub work_record: Option<ItemId>,
    /// To whom it was reported.
    #[n(8)]
    pub reported_to: String,
    /// Who recorded it.
    #[n(9)]
    pub by: PrincipalId,
    /// When.
    #[n(10)]
    pub at: UnixMillis,
    /// Its record.
    #[n(11)]
    pub seq: RecordSeq,
    /// Findings: late, or agreed to by whoever recorded it.
    #[n(12)]
    pub findings: Vec<String>,
    /// Statements that were filed afterwards.
    #[n(13)]
    pub filed: Vec<Filed>,
    /// Why: the code of a reason of the profile.
    #[n(14)]
    pub cause: String,
    /// Why, in the words of the text.
    #[n(15)]
    pub cause_words: String,
}

impl ExemptionRow {
    /// Whether the work record is on file: until then people are reminded of it (R-002-7).
    #[must_use]
    pub fn has_work_record(&self) -> bool {
        self.work_record.is_some() || !self.filed.is_empty()
    }
}

/// Records why there is no recording at all.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RecordExemption {
    /// Activity.
    #[n(0)]
    pub activity: ActivityId,
    // 1 was one of five causes. Each text names its own, and the number stays free.
    /// Why, in words.
    #[n(2)]
    pub text: String,
    /// On what basis.
    #[n(3)]
    pub legal_basis: String,
    /// Who agreed.
    #[n(4)]
    pub consented_by: String,
    /// In which office.
    #[n(5)]
    pub consent_office: ConsentOffice,
    /// When they did.
    #[n(6)]
    pub consented_at: UnixMillis,
    /// The work record.
    #[n(7)]
    pub work_record: Option<ItemId>,
    /// To whom it was reported.
    #[n(8)]
    pub reported_to: String,
    /// Why: the code of a reason of the profile.
    #[n(9)]
    pub cause: String,
}

/// Records that there is lawfully no recording. Late consent and one's own are taken, marked, and the head is told.
pub(crate) fn record(decision: &mut Decision<'_>, command: &RecordExemption) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::ActivityExempt)?;
    let mut activity = activity::own(decision, &who, &command.activity)?;
    let profile = activity::profile_of(&*decision.rows, &activity.unit)?;
    let cause_words = check_asked(&profile, command)?;
    check_text("reported-to", &command.reported_to)?;
    refuse_future(command.consented_at, decision.wall)?;
    activity::room_for(&activity.exemptions, limits::ACTIVITY_EXEMPTIONS_MAX, "exemptions")?;
    if let Some(work_record) = command.work_record {
        statement::check(decision, &activity, work_record)?;
    }
    let findings = exemption_findings(command, &activity, &who.id, decision.wall);
    // One notice for each record is enough: it names the first finding, the row has them all.
    if let Some(finding) = findings.first() {
        notice::give(decision, &activity.unit, finding, Some(&command.activity), None)?;
    }
    let mut facts = activity::facts(&activity.id, &activity.unit);
    facts.insert(Fact::Cause, command.cause.as_str().into());
    facts.insert(Fact::ReasonGiven, command.text.as_str().into());
    facts.insert(Fact::LegalBasis, command.legal_basis.as_str().into());
    facts.insert(Fact::ConsentedBy, command.consented_by.as_str().into());
    facts.insert(Fact::Role, command.consent_office.name().into());
    facts.insert(Fact::At, command.consented_at.into());
    facts.insert(Fact::ReportedTo, command.reported_to.as_str().into());
    finding_fact(&mut facts, &findings);
    let items = command.work_record.into_iter().collect();
    let seq = decision.record(Act::ActivityExempt, profile.exemption_rule(), items, facts);
    let row = ExemptionRow {
        activity: command.activity.clone(),
        text: command.text.clone(),
        legal_basis: command.legal_basis.clone(),
        consented_by: command.consented_by.clone(),
        consent_office: command.consent_office,
        consented_at: command.consented_at,
        work_record: command.work_record,
        reported_to: command.reported_to.clone(),
        by: who.id,
        at: decision.wall,
        seq,
        findings,
        filed: Vec::new(),
        cause: command.cause.clone(),
        cause_words,
    };
    EXEMPTIONS.write(decision.rows, &(activity.unit.clone(), newest_first(seq.0)), &row);
    activity.exemptions.push(seq);
    ACTIVITIES.write(decision.rows, &command.activity, &activity);
    Ok(Answer::Recorded(seq))
}

/// What the text asks of an exemption: one of its reasons, and what it has written down. A text that knows no exemption
/// lets no recording be left out. Answers its words for the reason.
fn check_asked(profile: &Profile, command: &RecordExemption) -> Result<String, Refusal> {
    let rule = profile.exemption_rule();
    let Some(asked) = &profile.exemption else {
        let article = profile.open.get("exemption").map_or("", |source| &source.article);
        let words = if article.is_empty() { String::new() } else { format!("; the text says: {article}") };
        return Err(Refusal::new(
            Reason::InvalidArgument,
            rule,
            format!("profile {} lets no recording be left out{words}", profile.name),
            "record why there is none as an interruption: `strongroom activity interruption`",
        ));
    };
    let Some(reason) = asked.reasons.iter().find(|reason| reason.code == command.cause) else {
        let known: Vec<_> = asked.reasons.iter().map(|reason| format!("{} {}", reason.code, reason.words)).collect();
        return Err(Refusal::new(
            Reason::InvalidArgument,
            rule,
            format!(
                "profile {} knows no reason {:?} for leaving a recording out; the text says: {}",
                profile.name, command.cause, asked.source.article
            ),
            format!("one of: {}", known.join("; ")),
        ));
    };
    required("the reason", &command.text, rule)?;
    check_text("the legal basis", &command.legal_basis)?;
    if asked.required.iter().any(|field| field.name == "legal_basis") {
        required("the legal basis", &command.legal_basis, rule)?;
    }
    check_text("consented-by", &command.consented_by)?;
    if !asked.consent.is_empty() {
        required("consented-by", &command.consented_by, rule)?;
    }
    Ok(reason.words.clone())
}

fn exemption_findings(
    command: &RecordExemption,
    activity: &ActivityRow,
    by: &PrincipalId,
    now: UnixMillis,
) -> Vec<String> {
    let mut findings = Vec::new();
    let ended = activity.moment(Moment::ActivityEnded);
    if ended.is_some_and(|ended| now > ended || command.consented_at > ended) {
        findings.push("EXEMPTION_LATE".to_owned());
    }
    let recorder = activity.officers.first().map(|officer| officer.name.as_str());
    if command.consented_by == by.as_str() || recorder == Some(command.consented_by.as_str()) {
        findings.push("EXEMPTION_SELF_CONSENTED".to_owned());
    }
    findings
}

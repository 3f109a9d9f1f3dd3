//! Interruptions 中断记录: why recording stopped, and what explains it. The gap itself is open until a record covers it.

use std::collections::BTreeMap;

use strongroom_types::{
    ActivityId, ItemId, PrincipalId, Reason, RecordSeq, Refusal, Role, UnixMillis, limits, rows::Rows,
};

use crate::{
    Act, Answer, Fact, Value,
    access::Stop,
    activity::{self, ActivityRow},
    apply::Decision,
    device::{refuse_future, required},
    exemption::ExemptionRow,
    gaps::{GAP_TOLERANCE_MS, Recording},
    profile::{self, Code, Profile},
    statement::{self, Filed},
    tables::{ACTIVITIES, EXEMPTIONS, INTERRUPTIONS, PRINCIPALS, newest_first},
    upload::check_text,
};

/// The cause that no text describes: it is given in words 等客观原因.
const OTHER: &str = "other";

/// What a profile asks of an interruption. One that does not speak of them asks what R-000-13 and R-001-10 ask together.
struct Asked {
    profile: Profile,
}

impl Asked {
    const fn stated(&self) -> Option<&profile::Interruption> {
        self.profile.interruption.as_ref()
    }

    fn rule(&self) -> &str {
        self.profile.interruption_rule()
    }

    fn keeper_rule(&self) -> &str {
        self.profile.interruption_rule()
    }

    /// The article's words, to be put behind a message.
    fn article(&self) -> String {
        let article = self.stated().map_or("", |stated| &stated.source.article);
        if article.is_empty() { String::new() } else { format!("; the text says: {article}") }
    }

    /// Whether the text takes the cause without an explanation (R-000-12).
    fn is_gap(&self, cause: &str) -> bool {
        self.stated().is_some_and(|stated| named(&stated.gaps, cause).is_some())
    }

    fn voice_note(&self) -> bool {
        self.stated().is_none_or(|stated| stated.voice_note)
    }

    fn statement(&self) -> bool {
        self.stated().is_none_or(|stated| stated.statement)
    }

    fn report(&self) -> bool {
        self.stated().is_none_or(|stated| stated.report_to.is_some())
    }

    fn keeper(&self) -> bool {
        self.stated().is_none_or(|stated| stated.kept_by.is_some())
    }

    /// The words of the text for a cause that it names. One that says nothing of causes takes any, in the caller's words.
    fn words_of(&self, cause: &str) -> Result<String, Refusal> {
        let Some(stated) = self.stated() else { return Ok(String::new()) };
        if let Some(code) = named(&stated.causes, cause).or_else(|| named(&stated.gaps, cause)) {
            return Ok(code.words.clone());
        }
        let known = stated.causes.iter().chain(&stated.gaps);
        let known: Vec<_> = known.map(|known| format!("{} {}", known.code, known.words)).collect();
        Err(Refusal::new(
            Reason::InvalidArgument,
            self.rule(),
            format!("profile {} knows no cause {cause:?} of an interruption{}", self.profile.name, self.article()),
            format!("one of: {}", known.join("; ")),
        ))
    }

    fn not_explained(&self, rule: &str, what: &str) -> Refusal {
        let voice = "`--voice-note ITEM@SECONDS` of the resumed recording";
        let report = if self.report() { " --reported-to WHOM" } else { "" };
        let written = format!("`--statement ITEM{report}`");
        let keeper = if self.keeper() { ", and `--kept-by CUSTODIAN` where recording did not resume" } else { "" };
        let give = match (self.voice_note(), self.statement()) {
            (true, true) => format!("{voice}, or {written}"),
            (true, false) => voice.to_owned(),
            (false, _) => written,
        };
        Refusal::new(
            Reason::StatementMissing,
            rule,
            format!("the interruption cannot be closed: {what}{}", self.article()),
            format!("give {give}{keeper}; until then the gap stays open"),
        )
    }
}

fn named<'a>(codes: &'a [Code], cause: &str) -> Option<&'a Code> {
    codes.iter().find(|code| code.code == cause)
}

/// Where the officer says why, on the recording that resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct VoiceNote {
    /// The item.
    #[n(0)]
    pub item: ItemId,
    /// How far into it.
    #[n(1)]
    pub offset_ms: u64,
}

/// An interruption record. Its number is the position of its record.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct InterruptionRow {
    /// Activity.
    #[n(0)]
    pub activity: ActivityId,
    /// When recording stopped.
    #[n(1)]
    pub from: UnixMillis,
    /// When it resumed, or the activity ended.
    #[n(2)]
    pub to: UnixMillis,
    // 3 was one of eight causes. Each text names its own, and the number stays free.
    /// Why, in words.
    #[n(4)]
    pub text: String,
    /// Where it is said on the recording.
    #[n(5)]
    pub voice_note: Option<VoiceNote>,
    /// The written statement.
    #[n(6)]
    pub statement: Option<ItemId>,
    /// To whom it was reported.
    #[n(7)]
    pub reported_to: String,
    /// Who keeps the report (R-001-10).
    #[n(8)]
    pub kept_by: Option<PrincipalId>,
    /// Who recorded it.
    #[n(9)]
    pub by: PrincipalId,
    /// When.
    #[n(10)]
    pub at: UnixMillis,
    /// Its record.
    #[n(11)]
    pub seq: RecordSeq,
    /// Statements that were filed afterwards.
    #[n(12)]
    pub filed: Vec<Filed>,
    /// Why: the code of a cause of the profile.
    #[n(13)]
    pub cause: String,
    /// Why, in the words of the text.
    #[n(14)]
    pub cause_words: String,
}

/// Records why recording stopped.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RecordInterruption {
    /// Activity.
    #[n(0)]
    pub activity: ActivityId,
    /// When recording stopped.
    #[n(1)]
    pub from: UnixMillis,
    /// When it resumed, or the activity ended.
    #[n(2)]
    pub to: UnixMillis,
    // 3 was one of eight causes. Each text names its own, and the number stays free.
    /// Why, in words.
    #[n(4)]
    pub text: String,
    /// Where it is said on the recording.
    #[n(5)]
    pub voice_note: Option<VoiceNote>,
    /// The written statement.
    #[n(6)]
    pub statement: Option<ItemId>,
    /// To whom it was reported.
    #[n(7)]
    pub reported_to: String,
    /// Who keeps the report.
    #[n(8)]
    pub kept_by: Option<PrincipalId>,
    /// Why: the code of a cause of the profile.
    #[n(9)]
    pub cause: String,
}

impl RecordInterruption {
    /// Items that it names, each once.
    #[must_use]
    pub fn items(&self) -> Vec<ItemId> {
        let mut items: Vec<_> = self.statement.into_iter().chain(self.voice_note.map(|note| note.item)).collect();
        items.dedup();
        items
    }
}

/// Records an interruption, where what it must hold is there. The gap that it explains is open until then.
pub(crate) fn record(decision: &mut Decision<'_>, command: &RecordInterruption) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::ActivityInterruption)?;
    let mut activity = activity::own(decision, &who, &command.activity)?;
    check_text("reported-to", &command.reported_to)?;
    if command.to <= command.from {
        return Err(Refusal::invalid("an interruption ends after it begins").into());
    }
    refuse_future(command.to, decision.wall)?;
    let asked = Asked { profile: activity::profile_of(&*decision.rows, &activity.unit)? };
    required("the cause", &command.cause, asked.rule())?;
    check_text("the cause", &command.cause)?;
    let cause_words = asked.words_of(&command.cause)?;
    if command.cause == OTHER || cause_words.is_empty() {
        required("the cause in words", &command.text, asked.rule())?;
    }
    check_text("the text", &command.text)?;
    activity::room_for(&activity.interruptions, limits::ACTIVITY_INTERRUPTIONS_MAX, "interruptions")?;
    if let Some(statement) = command.statement {
        statement::check(decision, &activity, statement)?;
    }
    if let Some(keeper) = &command.kept_by {
        check_keeper(decision, &asked, keeper)?;
    }
    if !asked.is_gap(&command.cause) {
        check_explanation(decision, &asked, &activity, command)?;
    }
    let facts = interruption_facts(command, &activity);
    let seq = decision.record(Act::ActivityInterruption, asked.rule(), command.items(), facts);
    let row = InterruptionRow {
        activity: command.activity.clone(),
        from: command.from,
        to: command.to,
        text: command.text.clone(),
        voice_note: command.voice_note,
        statement: command.statement,
        reported_to: command.reported_to.clone(),
        kept_by: command.kept_by.clone(),
        by: who.id,
        at: decision.wall,
        seq,
        filed: Vec::new(),
        cause: command.cause.clone(),
        cause_words,
    };
    INTERRUPTIONS.write(decision.rows, &(activity.unit.clone(), newest_first(seq.0)), &row);
    activity.interruptions.push(seq);
    ACTIVITIES.write(decision.rows, &command.activity, &activity);
    Ok(Answer::Recorded(seq))
}

fn check_keeper(decision: &Decision<'_>, asked: &Asked, id: &PrincipalId) -> Result<(), Stop> {
    let row = PRINCIPALS.read(&*decision.rows, id)?;
    if row.is_some_and(|row| row.roles.contains(&Role::Custodian) && row.revoked_at.is_none()) {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::InvalidArgument,
        asked.keeper_rule(),
        format!("{id} is no custodian: the report is kept by the unit's custodian"),
        "name a custodian: `--kept-by`",
    )
    .into())
}

/// A voice note on the recording that resumed, where the text lets it do; or else a report with its written statement,
/// kept by the custodian where recording never resumed (R-001-10).
fn check_explanation(
    decision: &Decision<'_>,
    asked: &Asked,
    activity: &ActivityRow,
    command: &RecordInterruption,
) -> Result<(), Stop> {
    if let Some(note) = command.voice_note {
        check_voice_note(decision, asked, activity, command, note)?;
        if asked.voice_note() {
            return Ok(());
        }
    }
    let refuse = |rule, what| Err(asked.not_explained(rule, what).into());
    match (asked.voice_note(), asked.statement()) {
        (true, false) => return refuse(asked.rule(), "no voice note explains it"),
        (true, true) if command.statement.is_none() => {
            return refuse(asked.rule(), "neither a voice note nor a written statement explains it");
        }
        (false, true) if command.statement.is_none() => {
            return refuse(asked.rule(), "no written statement explains it");
        }
        (_, _) => {}
    }
    if asked.report() && command.reported_to.trim().is_empty() {
        return refuse(asked.rule(), "it is not said to whom it was reported");
    }
    if asked.keeper() && command.kept_by.is_none() && !resumed(decision, activity, command.to)? {
        return refuse(
            asked.keeper_rule(),
            "recording did not resume, and it is not said which custodian keeps the report",
        );
    }
    Ok(())
}

fn check_voice_note(
    decision: &Decision<'_>,
    asked: &Asked,
    activity: &ActivityRow,
    command: &RecordInterruption,
    note: VoiceNote,
) -> Result<(), Stop> {
    let recording = activity::recording_of(&*decision.rows, activity, note.item)?.ok_or_else(|| {
        Refusal::new(
            Reason::InvalidArgument,
            asked.rule(),
            format!("item {} does not belong to activity {}", note.item, activity.id),
            "attach it: `strongroom activity attach`",
        )
    })?;
    let length_ms = u64::try_from(recording.end.since_ms(recording.start)).unwrap_or(0);
    if recording.end <= command.to || note.offset_ms > length_ms {
        return Err(Refusal::new(
            Reason::InvalidArgument,
            asked.rule(),
            "a voice note is spoken on the recording that resumed, within its length",
            "give the item that follows the interruption, and how far into it the officer says why",
        )
        .into());
    }
    Ok(())
}

/// Whether something was recorded after `at`.
fn resumed(decision: &Decision<'_>, activity: &ActivityRow, at: UnixMillis) -> Result<bool, Stop> {
    let recordings = activity::recordings(&*decision.rows, activity)?;
    let begins_after = |recording: &Recording| recording.start.plus_ms(GAP_TOLERANCE_MS) >= at;
    Ok(recordings.recordings.iter().any(begins_after))
}

fn interruption_facts(command: &RecordInterruption, activity: &ActivityRow) -> BTreeMap<Fact, Value> {
    let mut facts = activity::facts(&activity.id, &activity.unit);
    facts.insert(Fact::From, command.from.into());
    facts.insert(Fact::To, command.to.into());
    facts.insert(Fact::Cause, command.cause.as_str().into());
    facts.insert(Fact::ReasonGiven, command.text.as_str().into());
    facts.insert(Fact::ReportedTo, command.reported_to.as_str().into());
    if let Some(note) = command.voice_note {
        facts.insert(Fact::VoiceNoteMs, note.offset_ms.into());
    }
    if let Some(keeper) = &command.kept_by {
        facts.insert(Fact::KeptBy, keeper.as_str().into());
    }
    facts
}

/// Interruptions and exemptions of an activity, oldest first.
///
/// # Errors
/// [`Stop`] where a row cannot be read.
pub fn of_activity(
    rows: &(impl Rows + ?Sized),
    activity: &ActivityRow,
) -> Result<(Vec<InterruptionRow>, Vec<ExemptionRow>), Stop> {
    let key = |seq: &RecordSeq| (activity.unit.clone(), newest_first(seq.0));
    let (mut interruptions, mut exemptions) = (Vec::new(), Vec::new());
    for seq in &activity.interruptions {
        interruptions.extend(INTERRUPTIONS.read(rows, &key(seq))?);
    }
    for seq in &activity.exemptions {
        exemptions.extend(EXEMPTIONS.read(rows, &key(seq))?);
    }
    Ok((interruptions, exemptions))
}

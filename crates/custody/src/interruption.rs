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
    statement::{self, Filed},
    tables::{ACTIVITIES, EXEMPTIONS, INTERRUPTIONS, PRINCIPALS, newest_first},
    upload::check_text,
};

/// Why recording stopped (R-000-13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Cause {
    /// 设备故障、损坏.
    #[n(0)]
    DeviceFault,
    /// 天气恶劣.
    #[n(1)]
    BadWeather,
    /// 电量不足.
    #[n(2)]
    BatteryLow,
    /// 存储空间不足.
    #[n(3)]
    StorageFull,
    /// 检查场所变化.
    #[n(4)]
    PlaceChanged,
    /// 其他客观原因, in words.
    #[n(5)]
    Other,
    /// 同一执法环节在不同地点或时间: intermittent recording that needs no report (R-000-12).
    #[n(6)]
    SamePhaseElsewhere,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 7] = [
        Self::DeviceFault,
        Self::BadWeather,
        Self::BatteryLow,
        Self::StorageFull,
        Self::PlaceChanged,
        Self::Other,
        Self::SamePhaseElsewhere,
    ];

    /// The name on the wire and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DeviceFault => "device_fault",
            Self::BadWeather => "bad_weather",
            Self::BatteryLow => "battery_low",
            Self::StorageFull => "storage_full",
            Self::PlaceChanged => "place_changed",
            Self::Other => "other",
            Self::SamePhaseElsewhere => "art12_same_phase_different_place_time",
        }
    }

    /// The words of the text.
    #[must_use]
    pub const fn chinese(self) -> &'static str {
        match self {
            Self::DeviceFault => "设备故障、损坏",
            Self::BadWeather => "天气恶劣",
            Self::BatteryLow => "电量不足",
            Self::StorageFull => "存储空间不足",
            Self::PlaceChanged => "检查场所变化",
            Self::Other => "其他",
            Self::SamePhaseElsewhere => "同一执法环节在不同地点或时间断续记录",
        }
    }

    /// The cause of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.name() == name)
    }

    const fn needs_explanation(self) -> bool {
        !matches!(self, Self::SamePhaseElsewhere)
    }
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
    /// Why.
    #[n(3)]
    pub cause: Cause,
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
    /// Why.
    #[n(3)]
    pub cause: Cause,
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
    if command.cause == Cause::Other {
        required("the cause in words", &command.text, "R-000-13")?;
    }
    check_text("the text", &command.text)?;
    activity::room_for(&activity.interruptions, limits::ACTIVITY_INTERRUPTIONS_MAX, "interruptions")?;
    if let Some(statement) = command.statement {
        statement::check(decision, &activity, statement)?;
    }
    if let Some(keeper) = &command.kept_by {
        check_keeper(decision, keeper)?;
    }
    if command.cause.needs_explanation() {
        check_explanation(decision, &activity, command)?;
    }
    let seq =
        decision.record(Act::ActivityInterruption, "R-000-13", command.items(), interruption_facts(command, &activity));
    let row = InterruptionRow {
        activity: command.activity.clone(),
        from: command.from,
        to: command.to,
        cause: command.cause,
        text: command.text.clone(),
        voice_note: command.voice_note,
        statement: command.statement,
        reported_to: command.reported_to.clone(),
        kept_by: command.kept_by.clone(),
        by: who.id,
        at: decision.wall,
        seq,
        filed: Vec::new(),
    };
    INTERRUPTIONS.write(decision.rows, &(activity.unit.clone(), newest_first(seq.0)), &row);
    activity.interruptions.push(seq);
    ACTIVITIES.write(decision.rows, &command.activity, &activity);
    Ok(Answer::Recorded(seq))
}

fn check_keeper(decision: &Decision<'_>, id: &PrincipalId) -> Result<(), Stop> {
    let row = PRINCIPALS.read(&*decision.rows, id)?;
    if row.is_some_and(|row| row.roles.contains(&Role::Custodian) && row.revoked_at.is_none()) {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::InvalidArgument,
        "R-001-10",
        format!("{id} is no custodian: the report is kept by the unit's custodian"),
        "name a custodian: `--kept-by`",
    )
    .into())
}

/// A voice note on the recording that resumed; or else a report with its written statement (R-000-13), kept by the
/// custodian where recording never resumed (R-001-10).
fn check_explanation(
    decision: &Decision<'_>,
    activity: &ActivityRow,
    command: &RecordInterruption,
) -> Result<(), Stop> {
    if let Some(note) = command.voice_note {
        return check_voice_note(decision, activity, command, note);
    }
    if command.statement.is_none() {
        return Err(not_explained("R-000-13", "neither a voice note nor a written statement explains it").into());
    }
    if command.reported_to.trim().is_empty() {
        return Err(not_explained("R-000-13", "it is not said to whom it was reported").into());
    }
    if command.kept_by.is_none() && !resumed(decision, activity, command.to)? {
        return Err(not_explained(
            "R-001-10",
            "recording did not resume, and it is not said which custodian keeps the report",
        )
        .into());
    }
    Ok(())
}

fn check_voice_note(
    decision: &Decision<'_>,
    activity: &ActivityRow,
    command: &RecordInterruption,
    note: VoiceNote,
) -> Result<(), Stop> {
    let recording = activity::recording_of(&*decision.rows, activity, note.item)?.ok_or_else(|| {
        Refusal::new(
            Reason::InvalidArgument,
            "R-000-13",
            format!("item {} does not belong to activity {}", note.item, activity.id),
            "attach it: `strongroom activity attach`",
        )
    })?;
    let length_ms = u64::try_from(recording.end.since_ms(recording.start)).unwrap_or(0);
    if recording.end <= command.to || note.offset_ms > length_ms {
        return Err(Refusal::new(
            Reason::InvalidArgument,
            "R-000-13",
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

fn not_explained(rule: &str, what: &str) -> Refusal {
    Refusal::new(
        Reason::StatementMissing,
        rule,
        format!("the interruption cannot be closed: {what}"),
        "give `--voice-note ITEM@SECONDS` of the resumed recording, or `--statement ITEM --reported-to WHOM`, and \
         `--kept-by CUSTODIAN` where recording did not resume; until then the gap stays open",
    )
}

fn interruption_facts(command: &RecordInterruption, activity: &ActivityRow) -> BTreeMap<Fact, Value> {
    let mut facts = activity::facts(&activity.id, &activity.unit);
    facts.insert(Fact::From, command.from.into());
    facts.insert(Fact::To, command.to.into());
    facts.insert(Fact::Cause, command.cause.name().into());
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

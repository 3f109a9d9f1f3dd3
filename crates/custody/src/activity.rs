//! Activities 执法活动: the piece of enforcement work that recordings belong to, with its phases and the instants that
//! deadlines are counted from. What was said first stays visible; corrections are added to it.
//!
//! A station knows an activity by its number only and may send items before anybody opens it: they wait under that
//! number. Items are never refused for what an activity says.

mod row;

use std::collections::BTreeMap;

use strongroom_types::{
    ActivityId, DeviceId, ItemId, PrincipalId, Reason, RecordSeq, Refusal, UnitId, UnixMillis, limits,
    rows::{RowError, Rows},
};

use crate::{
    Act, Answer, Fact, Value,
    access::{Stop, within_unit},
    apply::Decision,
    deadline::{self, IngestDeadlines},
    device::{self, finding_fact, refuse_future, required},
    gaps::Recording,
    item::{refuse_quarantined, sealed},
    profile::{Profile, Topic},
    tables::{
        ACTIVITIES, ACTIVITIES_BY_UNIT, ACTIVITY_ITEMS, Description, ITEM_TIMES, ITEMS, ItemRow, PrincipalRow,
        newest_first,
    },
    unit,
    upload::{check_label_name, check_text, newest_profile},
};

pub use row::{
    ActivityRow, AddPhase, AttachItem, AttachedRow, CorrectActivity, Corrected, Correction, DelayReason, Detached,
    Document, ItemTimesRow, Moment, MomentValue, Officer, OpenActivity, Phase, SetMoment,
};

/// Whether a profile knows this kind of activity. A profile without a list takes any word.
///
/// # Errors
/// `FIELD_MISSING` where it is empty.
fn check_kind(profile: &Profile, kind: &str) -> Result<(), Refusal> {
    required("the kind", kind, profile.kinds_rule())?;
    let Some(activities) = &profile.activities else { return Ok(()) };
    if activities.kinds.iter().any(|known| known.code == kind) {
        return Ok(());
    }
    let known: Vec<_> = activities.kinds.iter().map(|known| format!("{} {}", known.code, known.words)).collect();
    Err(Refusal::new(
        Reason::InvalidArgument,
        &activities.source.rule,
        format!("profile {} knows no kind of activity {kind:?}", profile.name),
        format!("one of: {}", known.join("; ")),
    ))
}

pub(crate) fn open(decision: &mut Decision<'_>, command: &OpenActivity) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::ActivityOpen)?;
    within_unit(&who, &command.unit)?;
    unit::live(decision.rows, &command.unit)?;
    let profile = profile_of(decision.rows, &command.unit)?;
    check_kind(&profile, &command.kind)?;
    check_content(&profile, command)?;
    refuse_future(command.started_at, decision.wall)?;
    if ACTIVITIES.read(decision.rows, &command.activity)?.is_some() {
        return Err(Refusal::new(
            Reason::AlreadyExists,
            "",
            format!("activity {} exists already", command.activity),
            "correct it, or choose another number: `strongroom activity correct`",
        )
        .into());
    }
    let seq = decision.next_seq();
    let row = ActivityRow {
        id: command.activity.clone(),
        unit: command.unit.clone(),
        kind: command.kind.clone(),
        officers: command.officers.clone(),
        place: command.place.clone(),
        started_at: command.started_at,
        matter: command.matter.clone(),
        party: command.party.clone(),
        document: command.document.clone(),
        angles: command.angles.clone(),
        opened_by: who.id,
        opened_at: decision.wall,
        seq,
        phases: Vec::new(),
        moments: BTreeMap::new(),
        corrections: Vec::new(),
        interruptions: Vec::new(),
        exemptions: Vec::new(),
        earliest_start: command.started_at,
        sealed: Vec::new(),
    };
    ACTIVITIES.write(decision.rows, &row.id, &row);
    ACTIVITIES_BY_UNIT.write(decision.rows, &(row.unit.clone(), newest_first(seq.0)), &row.id);
    let mut facts = facts(&row.id, &row.unit);
    facts.insert(Fact::ActivityKind, row.kind.as_str().into());
    facts.insert(Fact::From, row.started_at.into());
    facts.insert(Fact::Form, opening_form(&row).into());
    finding_fact(&mut facts, &row.findings());
    Ok(Answer::Recorded(decision.record(Act::ActivityOpen, profile.rule_on(Topic::Phases), Vec::new(), facts)))
}

pub(crate) fn add_phase(decision: &mut Decision<'_>, command: &AddPhase) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::ActivityPhase)?;
    let mut row = own(decision, &who, &command.activity)?;
    let rule = rule_of(decision.rows, &row.unit, Topic::Phases)?;
    required("the phase", &command.name, &rule)?;
    check_text("the place", &command.place)?;
    if command.ended_at.is_some_and(|ended| ended < command.started_at) {
        return Err(Refusal::invalid("a phase ends after it begins").into());
    }
    room(row.phases.len(), limits::ACTIVITY_PHASES_MAX, "phases")?;
    let mut facts = facts(&row.id, &row.unit);
    facts.insert(Fact::Phase, command.name.as_str().into());
    facts.insert(Fact::From, command.started_at.into());
    if let Some(ended) = command.ended_at {
        facts.insert(Fact::To, ended.into());
    }
    let seq = decision.record(Act::ActivityPhase, &rule, Vec::new(), facts);
    row.phases.push(Phase {
        name: command.name.clone(),
        place: command.place.clone(),
        started_at: command.started_at,
        ended_at: command.ended_at,
        seq,
    });
    ACTIVITIES.write(decision.rows, &command.activity, &row);
    Ok(Answer::Recorded(seq))
}

/// Says when something happened. A second value takes a reason and stands beside the first (R-003-5a, R-000-19).
pub(crate) fn set_moment(decision: &mut Decision<'_>, command: &SetMoment) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::ActivityMoment)?;
    let mut row = own(decision, &who, &command.activity)?;
    let profile = profile_of(decision.rows, &row.unit)?;
    let rule = profile.ingest_rule();
    check_text("the reason", &command.reason)?;
    refuse_future(command.at, decision.wall)?;
    if command.at < row.earliest_start {
        return Err(Refusal::invalid(format!("the activity began at {}, after that", row.earliest_start)).into());
    }
    if command.delay.is_some() && command.moment != Moment::ReturnedToUnit {
        return Err(Refusal::invalid("a reason for delay goes with the return to the unit").into());
    }
    let values = row.moments.entry(command.moment).or_default();
    room(values.len(), limits::ACTIVITY_CORRECTIONS_MAX, "values of one instant")?;
    if !values.is_empty() {
        required("the reason for another value", &command.reason, rule)?;
    }
    let before = values.last().map(|value| value.at);
    values.push(MomentValue {
        at: command.at,
        by: who.id,
        entered_at: decision.wall,
        reason: command.reason.clone(),
        delay: command.delay,
        seq: decision.next_seq(),
    });
    let mut facts = facts(&row.id, &row.unit);
    facts.insert(Fact::Field, command.moment.name().into());
    facts.insert(Fact::At, command.at.into());
    if let Some(before) = before {
        facts.insert(Fact::Before, before.to_string().into());
        facts.insert(Fact::ReasonGiven, command.reason.as_str().into());
    }
    if let Some(delay) = command.delay {
        facts.insert(Fact::Cause, delay.name().into());
    }
    ACTIVITIES.write(decision.rows, &command.activity, &row);
    Ok(Answer::Recorded(decision.record(Act::ActivityMoment, rule, Vec::new(), facts)))
}

pub(crate) fn correct(decision: &mut Decision<'_>, command: &CorrectActivity) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::ActivityCorrect)?;
    let mut row = own(decision, &who, &command.activity)?;
    let profile = profile_of(decision.rows, &row.unit)?;
    let rule = profile.rule_on(Topic::Archive);
    required("the reason", &command.reason, rule)?;
    room(row.corrections.len(), limits::ACTIVITY_CORRECTIONS_MAX, "corrections")?;
    let before = shown(&row, &command.to);
    match &command.to {
        Corrected::Kind(kind) => {
            check_kind(&profile, kind)?;
            row.kind.clone_from(kind);
        }
        Corrected::Place(place) => {
            required("the place", place, rule)?;
            row.place.clone_from(place);
        }
        Corrected::Matter(matter) => {
            check_text("the matter", matter)?;
            row.matter.clone_from(matter);
        }
        Corrected::Party(party) => {
            check_party(&profile, party)?;
            row.party.clone_from(party);
        }
        Corrected::StartedAt(at) => {
            refuse_future(*at, decision.wall)?;
            row.started_at = *at;
            row.earliest_start = row.earliest_start.min(*at);
        }
        Corrected::Document(document) => {
            check_document(&profile, document)?;
            row.document = Some(document.clone());
        }
        Corrected::Officers(officers) => {
            check_officers(&profile, officers)?;
            row.officers.clone_from(officers);
        }
    }
    let after = shown(&row, &command.to);
    let mut facts = facts(&row.id, &row.unit);
    facts.insert(Fact::Field, command.to.field().into());
    facts.insert(Fact::Before, before.as_str().into());
    facts.insert(Fact::FieldValue, after.as_str().into());
    facts.insert(Fact::ReasonGiven, command.reason.as_str().into());
    let seq = decision.record(Act::ActivityCorrect, rule, Vec::new(), facts);
    let (field, reason, at) = (command.to.field().to_owned(), command.reason.clone(), decision.wall);
    row.corrections.push(Correction { field, before, after, reason, by: who.id, at, seq });
    ACTIVITIES.write(decision.rows, &command.activity, &row);
    Ok(Answer::Recorded(seq))
}

/// Gives an item its place in an activity. What does not fit is a finding, never a reason to turn an item away.
pub(crate) fn attach(decision: &mut Decision<'_>, command: &AttachItem) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::ActivityAttach)?;
    let row = own(decision, &who, &command.activity)?;
    let rule = rule_of(decision.rows, &row.unit, Topic::Phases)?;
    let item = sealed(decision.rows, command.item)?;
    within_unit(&who, &item.description.unit)?;
    refuse_quarantined(command.item, &item)?;
    check_place(decision.rows, &row, &item, command)?;
    let key = (command.activity.clone(), command.item);
    let present = ACTIVITY_ITEMS.read(decision.rows, &key)?;
    let mut facts = facts(&row.id, &row.unit);
    let seq = decision.next_seq();
    let attached = match (&command.detach, present) {
        (Some(why), Some(mut attached)) if attached.detached.is_none() => {
            required("why it does not belong here", why, &rule)?;
            facts.insert(Fact::State, "detached".into());
            facts.insert(Fact::ReasonGiven, why.as_str().into());
            attached.detached = Some(Detached { reason: why.clone(), by: who.id, at: decision.wall, seq });
            attached
        }
        (Some(_), _) => {
            return Err(Refusal::not_found(format!("item {} in activity {}", command.item, row.id)).into());
        }
        (None, present) => {
            if present.is_none() {
                check_room(decision.rows, &row.id)?;
            }
            let times = times(decision.rows, command.item)?;
            let started = times.corrected(item.description.recorded_start);
            finding_fact(&mut facts, &backfill(&row, started));
            facts.insert(Fact::State, "attached".into());
            let (by, at) = (Some(who.id), decision.wall);
            AttachedRow { phase: command.phase, angle: command.angle.clone(), by, at, seq, detached: None }
        }
    };
    ACTIVITY_ITEMS.write(decision.rows, &key, &attached);
    Ok(Answer::Recorded(decision.record(Act::ActivityAttach, &rule, vec![command.item], facts)))
}

/// The activity of an item, where it is this person's own: the station sent the item with its number, and they opened it
/// before that or another person says that they are one of its officers. Nobody makes footage their own afterwards.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn own_of(
    rows: &(impl Rows + ?Sized),
    who: &PrincipalId,
    id: ItemId,
    item: &ItemRow,
) -> Result<Option<ActivityId>, RowError> {
    let Some(number) = &item.description.activity else { return Ok(None) };
    let (Some(row), Some(attached)) =
        (ACTIVITIES.read(rows, number)?, ACTIVITY_ITEMS.read(rows, &(number.clone(), id))?)
    else {
        return Ok(None);
    };
    let officers_by_themselves = row.opened_by == *who
        || row.corrections.iter().any(|correction| correction.field == "officers" && correction.by == *who);
    let is_officer = row.officers.iter().any(|officer| officer.name == who.as_str()) && !officers_by_themselves;
    let opened_before = row.opened_by == *who && row.seq < item.seq;
    let own = row.unit == item.description.unit && attached.detached.is_none() && (opened_before || is_officer);
    Ok(own.then(|| number.clone()))
}

/// What a seal adds to an item's findings, by what is known of its device and its activity.
pub(crate) fn findings_at_seal(
    rows: &(impl Rows + ?Sized),
    about: &Description,
    profile: &Profile,
    sealed_at: UnixMillis,
) -> Result<Vec<String>, RowError> {
    let Some(id) = &about.activity else { return Ok(Vec::new()) };
    let Some(activity) = ACTIVITIES.read(rows, id)? else { return Ok(Vec::new()) };
    if !unit::same(rows, &activity.unit, &about.unit)? {
        return Ok(vec!["ACTIVITY_OF_OTHER_UNIT".to_owned()]);
    }
    let times = times_at_seal(rows, about)?;
    let mut findings = backfill(&activity, times.corrected(about.recorded_start));
    let due = deadline::ingest(&deadline::of_profile(profile), &activity);
    if deadline::standing(due.as_ref(), Some(sealed_at), sealed_at) == deadline::Standing::Late {
        findings.push("LATE_INGEST".to_owned());
    }
    Ok(findings)
}

/// Notes a sealed item under its activity, and its device's clock with it.
pub(crate) fn note_seal(rows: &mut dyn Rows, id: ItemId, item: &ItemRow, profile: &Profile) -> Result<(), RowError> {
    if let Some(activity) = &item.description.activity {
        let (at, seq) = (item.sealed_at, item.seq);
        let attached = AttachedRow { phase: None, angle: None, by: None, at, seq, detached: None };
        ACTIVITY_ITEMS.write(rows, &(activity.clone(), id), &attached);
    }
    let mut times = times_at_seal(rows, &item.description)?;
    if is_labelled(&deadline::of_profile(profile), item) {
        times.labelled_at = Some(item.sealed_at);
        times.labelled_seq = Some(item.seq);
    }
    if times != ItemTimesRow::default() {
        ITEM_TIMES.write(rows, &id, &times);
    }
    Ok(())
}

/// Notes the instant from which an item has every label that it needs. It is never taken back: labels only grow.
pub(crate) fn note_label(
    rows: &mut dyn Rows,
    id: ItemId,
    item: &ItemRow,
    at: UnixMillis,
    seq: RecordSeq,
) -> Result<(), Stop> {
    let mut times = times(rows, id)?;
    if times.labelled_at.is_some() {
        return Ok(());
    }
    let (_, profile) = newest_profile(rows, &item.retention.profile)?;
    if is_labelled(&deadline::of_profile(&profile.profile), item) {
        times.labelled_at = Some(at);
        times.labelled_seq = Some(seq);
        ITEM_TIMES.write(rows, &id, &times);
    }
    Ok(())
}

/// Whether an item has every label that it needs (R-000-20). 无特定相对人 and the like are values; blanks are none.
#[must_use]
pub fn is_labelled(rules: &IngestDeadlines, item: &ItemRow) -> bool {
    labels_missing(rules, item).is_empty()
}

/// Labels that an item needs and does not have.
#[must_use]
pub fn labels_missing(rules: &IngestDeadlines, item: &ItemRow) -> Vec<String> {
    let newest = |name: &String| item.labels.get(name).and_then(|values| values.last());
    let missing = |name: &&String| newest(name).is_none_or(|label| label.value.trim().is_empty());
    rules.labels_required.iter().filter(missing).cloned().collect()
}

/// What is known of an item's times.
///
/// # Errors
/// [`RowError`] where the row cannot be read.
pub fn times(rows: &(impl Rows + ?Sized), item: ItemId) -> Result<ItemTimesRow, RowError> {
    Ok(ITEM_TIMES.read(rows, &item)?.unwrap_or_default())
}

/// The activity, where the caller's unit covers it.
/// Notes that a device which recorded an activity was sealed: the record that follows explains what is missing.
pub(crate) fn note_sealed(
    decision: &mut Decision<'_>,
    unit: &UnitId,
    id: &ActivityId,
    device: &DeviceId,
) -> Result<(), Stop> {
    let mut row = read(&*decision.rows, id)?;
    if !unit::same(&*decision.rows, unit, &row.unit)? {
        return Err(Refusal::invalid(format!("activity {id} is of unit {}, device {device} is not", row.unit)).into());
    }
    if row.sealed.len() >= limits::ACTIVITY_ANGLES_MAX {
        return Err(
            Refusal::invalid(format!("{} devices of activity {id} are sealed already", row.sealed.len())).into()
        );
    }
    row.sealed.push((device.clone(), decision.next_seq()));
    ACTIVITIES.write(decision.rows, id, &row);
    Ok(())
}

pub(crate) fn own(decision: &Decision<'_>, who: &PrincipalRow, id: &ActivityId) -> Result<ActivityRow, Stop> {
    let row = read(&*decision.rows, id)?;
    within_unit(who, &row.unit)?;
    Ok(row)
}

/// The activity of this number.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`.
pub fn read(rows: &(impl Rows + ?Sized), id: &ActivityId) -> Result<ActivityRow, Stop> {
    ACTIVITIES.read(rows, id)?.ok_or_else(|| {
        Refusal::new(
            Reason::NotFound,
            "B10",
            format!("activity {id} is not open"),
            "open it: `strongroom activity open`; items that a station sent for it are waiting",
        )
        .into()
    })
}

/// Items under an activity's number, with what is known of each.
#[derive(Clone, Debug, Default)]
pub struct Attached {
    /// Every item that was ever attached, detached ones and other units' too.
    pub rows: Vec<(ItemId, AttachedRow)>,
    /// What counts as recorded.
    pub recordings: Vec<Recording>,
    /// False where there are more than were looked at.
    pub whole: bool,
}

/// Items of an activity.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn recordings(rows: &(impl Rows + ?Sized), activity: &ActivityRow) -> Result<Attached, RowError> {
    let page = ACTIVITY_ITEMS.scan(rows, &activity.id, None, limits::ACTIVITY_ITEMS_MAX)?;
    let mut attached = Attached { whole: page.len() < limits::ACTIVITY_ITEMS_MAX, ..Attached::default() };
    for (key, row) in page {
        let start = key.len().saturating_sub(16);
        let id = ItemId::try_from(&key[start..])
            .map_err(|error| RowError::Corrupt { table: ACTIVITY_ITEMS.name, detail: error.to_string() })?;
        if row.detached.is_none() {
            attached.recordings.extend(recorded(rows, activity, id)?);
        }
        attached.rows.push((id, row));
    }
    Ok(attached)
}

/// What an item recorded of an activity; none where it does not belong to it.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn recording_of(
    rows: &(impl Rows + ?Sized),
    activity: &ActivityRow,
    item: ItemId,
) -> Result<Option<Recording>, RowError> {
    match ACTIVITY_ITEMS.read(rows, &(activity.id.clone(), item))? {
        Some(row) if row.detached.is_none() => recorded(rows, activity, item),
        Some(_) | None => Ok(None),
    }
}

/// Another unit's items, and those in quarantine, close no gap.
fn recorded(rows: &(impl Rows + ?Sized), activity: &ActivityRow, id: ItemId) -> Result<Option<Recording>, RowError> {
    let Some(item) = ITEMS.read(rows, &id)? else { return Ok(None) };
    if item.quarantined || !unit::same(rows, &item.description.unit, &activity.unit)? {
        return Ok(None);
    }
    let times = times(rows, id)?;
    Ok(Some(Recording {
        item: id,
        start: times.corrected(item.description.recorded_start),
        end: times.corrected(item.description.recorded_end),
    }))
}

/// Recorded after the activity's end, and yet of it: 事后补录. Every end that was ever given counts.
#[must_use]
pub fn backfill(activity: &ActivityRow, started: UnixMillis) -> Vec<String> {
    let ended = activity.moments_of(Moment::ActivityEnded).iter().map(|value| value.at).min();
    if ended.is_some_and(|ended| started > ended) { vec!["SUSPECTED_BACKFILL".to_owned()] } else { Vec::new() }
}

/// The profile that governs a unit now.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`.
pub fn profile_of(rows: &(impl Rows + ?Sized), unit: &UnitId) -> Result<Profile, Stop> {
    let (_, profile) = newest_profile(rows, &unit::current(rows, unit)?.profile)?;
    Ok(profile.profile)
}

/// The rule by which a unit's own text speaks of a topic, or the general one.
pub(crate) fn rule_of(rows: &(impl Rows + ?Sized), unit: &UnitId, topic: Topic) -> Result<String, Stop> {
    Ok(profile_of(rows, unit)?.rule_on(topic).to_owned())
}

pub(crate) fn facts(id: &ActivityId, unit: &UnitId) -> BTreeMap<Fact, Value> {
    BTreeMap::from([(Fact::Activity, id.as_str().into()), (Fact::Unit, unit.as_str().into())])
}

fn times_at_seal(rows: &(impl Rows + ?Sized), about: &Description) -> Result<ItemTimesRow, RowError> {
    Ok(ItemTimesRow { clock: device::custody(rows, &about.device)?.clock, ..ItemTimesRow::default() })
}

fn check_content(profile: &Profile, command: &OpenActivity) -> Result<(), Refusal> {
    required("the place", &command.place, profile.rule_on(Topic::Archive))?;
    check_text("the matter", &command.matter)?;
    check_party(profile, &command.party)?;
    check_officers(profile, &command.officers)?;
    command.document.as_ref().map_or(Ok(()), |document| check_document(profile, document))?;
    if command.angles.len() > limits::ACTIVITY_ANGLES_MAX {
        return Err(Refusal::invalid(format!("an activity takes at most {} angles", limits::ACTIVITY_ANGLES_MAX)));
    }
    command.angles.iter().try_for_each(|angle| check_label_name(angle))
}

fn check_party(profile: &Profile, party: &str) -> Result<(), Refusal> {
    check_text("the party", party)?;
    if party.trim().is_empty() {
        return Err(Refusal::new(
            Reason::FieldMissing,
            profile.rule_on(Topic::Archive),
            "it is not said whom the activity concerned",
            "give a name, or one of 无特定相对人, 身份不明, 拒不提供: these are values, an empty field is none",
        ));
    }
    Ok(())
}

fn check_officers(profile: &Profile, officers: &[Officer]) -> Result<(), Refusal> {
    if officers.is_empty() || officers.len() > limits::ACTIVITY_OFFICERS_MAX {
        return Err(Refusal::new(
            Reason::FieldMissing,
            profile.rule_on(Topic::Archive),
            format!("an activity names 1 to {} officers", limits::ACTIVITY_OFFICERS_MAX),
            "name them: `--officer NAME:CERTIFICATE`, the one who records first",
        ));
    }
    for officer in officers {
        required("an officer's name", &officer.name, profile.rule_on(Topic::Archive))?;
        required("an officer's certificate number", &officer.certificate, profile.rule_on(Topic::Certificates))?;
    }
    Ok(())
}

fn check_document(profile: &Profile, document: &Document) -> Result<(), Refusal> {
    required("the document's name", &document.name, profile.rule_on(Topic::Documents))?;
    match (document.start, document.end) {
        (Some(start), Some(end)) if end < start => Err(Refusal::invalid("a document's times end after they begin")),
        (_, _) => Ok(()),
    }
}

fn check_place(
    rows: &(impl Rows + ?Sized),
    row: &ActivityRow,
    item: &ItemRow,
    command: &AttachItem,
) -> Result<(), Stop> {
    if !unit::same(rows, &item.description.unit, &row.unit)? {
        return Err(Refusal::new(
            Reason::OutsideUnit,
            "C5",
            format!(
                "item {} is of unit {}, activity {} of unit {}",
                command.item, item.description.unit, row.id, row.unit
            ),
            "open an activity of that unit",
        )
        .into());
    }
    let phases = u32::try_from(row.phases.len()).unwrap_or(u32::MAX);
    if command.phase.is_some_and(|phase| phase == 0 || phase > phases) {
        return Err(Refusal::invalid(format!("activity {} has phases 1 to {phases}", row.id)).into());
    }
    Ok(command.angle.as_deref().map_or(Ok(()), check_label_name)?)
}

fn check_room(rows: &(impl Rows + ?Sized), activity: &ActivityId) -> Result<(), Stop> {
    let present = ACTIVITY_ITEMS.scan(rows, activity, None, limits::ACTIVITY_ITEMS_MAX)?.len();
    Ok(room(present + 1, limits::ACTIVITY_ITEMS_MAX, "items")?)
}

fn room(present: usize, most: usize, what: &str) -> Result<(), Refusal> {
    if present < most {
        return Ok(());
    }
    Err(Refusal::invalid(format!("an activity takes at most {most} {what}: open another")))
}

/// Refuses one record more than an activity takes.
pub(crate) fn room_for(present: &[RecordSeq], most: usize, what: &str) -> Result<(), Refusal> {
    room(present.len(), most, what)
}

fn opening_form(row: &ActivityRow) -> String {
    let mut form = BTreeMap::from([
        ("officers".to_owned(), officers_text(&row.officers)),
        ("place".to_owned(), row.place.clone()),
        ("matter".to_owned(), row.matter.clone()),
        ("party".to_owned(), row.party.clone()),
    ]);
    if let Some(document) = &row.document {
        form.insert("document".to_owned(), document_text(document));
    }
    if !row.angles.is_empty() {
        form.insert("angles".to_owned(), row.angles.join(", "));
    }
    crate::request::form(&form).unwrap_or_default()
}

/// The value of what a correction changes, as people read it.
fn shown(row: &ActivityRow, field: &Corrected) -> String {
    match field {
        Corrected::Kind(_) => row.kind.clone(),
        Corrected::Place(_) => row.place.clone(),
        Corrected::Matter(_) => row.matter.clone(),
        Corrected::Party(_) => row.party.clone(),
        Corrected::StartedAt(_) => row.started_at.to_string(),
        Corrected::Document(_) => row.document.as_ref().map_or_else(String::new, document_text),
        Corrected::Officers(_) => officers_text(&row.officers),
    }
}

fn officers_text(officers: &[Officer]) -> String {
    officers.iter().map(|officer| format!("{}:{}", officer.name, officer.certificate)).collect::<Vec<_>>().join(", ")
}

fn document_text(document: &Document) -> String {
    let time = |time: Option<UnixMillis>| time.map_or_else(|| "?".to_owned(), |time| time.to_string());
    format!("{} {} – {}", document.name, time(document.start), time(document.end))
}

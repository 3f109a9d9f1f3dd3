//! Deadlines 入库与标注期限: when footage must be in the cluster and labelled. Lateness is a finding and never a reason to
//! refuse. Who corrects an instant that a deadline starts from sees both results, and what was overdue stays overdue.

use strongroom_types::{RecordSeq, UnixMillis};

use crate::{
    activity::{ActivityRow, DelayReason, Moment, MomentValue},
    profile::{self, Profile},
};

const HOUR_MS: i64 = 3600 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Beijing time is ahead of UTC by this.
const CHINA_MS: i64 = 8 * HOUR_MS;

/// What a profile says of deadlines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestDeadlines {
    /// What ingest is counted from. A text that offers a choice (003) has the later start here.
    pub start: Moment,
    /// What a warning is counted from, and ingest too while `start` is not known.
    pub warn_start: Option<Moment>,
    /// How long after it.
    pub due: Due,
    /// What a reason for delay gives.
    pub exception: Option<DelayException>,
    /// When labels are due; none where the text names no time.
    pub label: Option<LabelDue>,
    /// Labels without which an item is not labelled (R-000-20).
    pub labels_required: Vec<String>,
    /// Where it says so.
    pub rule: String,
}

/// How long after its start a deadline is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// By the end of the same day in Beijing; what ended after 22:00 is due at 02:00 (R-000-19).
    SameDay,
    /// So many hours later.
    Hours(i64),
}

/// What a reason for delay gives: so many hours from another start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelayException {
    /// Reasons that count.
    pub reasons: Vec<DelayReason>,
    /// What it is counted from.
    pub start: Moment,
    /// How many hours.
    pub hours: i64,
}

/// When labels are due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelDue {
    /// What they are counted from.
    pub start: Moment,
    /// Hours from there.
    pub hours: i64,
    /// Hours after which a warning is shown.
    pub warn_hours: Vec<i64>,
}

impl IngestDeadlines {
    /// What applies where a profile says nothing: a day from the end of the activity, and another for labels. Nothing
    /// is refused for being late, so the shorter reading asks for more.
    #[must_use]
    pub fn usual() -> Self {
        Self {
            start: Moment::ActivityEnded,
            warn_start: None,
            due: Due::Hours(24),
            exception: Some(DelayException {
                reasons: DelayReason::ALL.to_vec(),
                start: Moment::ReturnedToUnit,
                hours: 24,
            }),
            label: Some(LabelDue { start: Moment::ActivityEnded, hours: 48, warn_hours: vec![36, 44] }),
            labels_required: vec!["officer".to_owned(), "content".to_owned()],
            rule: "C1".to_owned(),
        }
    }
}

/// The deadlines of a profile.
#[must_use]
pub fn of_profile(profile: &Profile) -> IngestDeadlines {
    let usual = IngestDeadlines { rule: profile.ingest_rule().to_owned(), ..IngestDeadlines::usual() };
    let Some(ingest) = &profile.ingest else { return usual };
    let hours = |hours: &u32| i64::from(*hours);
    // The texts that make exceptions let all of them run from the same start for the same time.
    let exception = ingest.exceptions.first().map(|first| DelayException {
        reasons: DelayReason::ALL.to_vec(),
        start: moment(first.start),
        hours: hours(&first.hours),
    });
    let labels = profile.labels.as_ref();
    let required = |labels: &profile::Labels| labels.required.iter().map(|field| field.name.clone()).collect();
    IngestDeadlines {
        start: moment(ingest.deadline.start),
        warn_start: ingest.deadline.warn_start.map(moment),
        due: due(ingest.deadline.due),
        exception,
        label: labels.and_then(|labels| labels.deadline.as_ref()).and_then(|deadline| match deadline.due {
            profile::Due::Hours(until) => Some(LabelDue {
                start: moment(deadline.start),
                hours: i64::from(until),
                warn_hours: deadline.warn_hours.iter().map(hours).collect(),
            }),
            profile::Due::SameDay => None,
        }),
        labels_required: labels.map_or(usual.labels_required, required),
        rule: ingest.source.rule.clone(),
    }
}

const fn moment(start: profile::Start) -> Moment {
    match start {
        profile::Start::ActivityEnd => Moment::ActivityEnded,
        profile::Start::WorkDayEnd => Moment::WorkDayEnded,
        profile::Start::MatterEnd => Moment::MatterEnded,
        profile::Start::ReturnedToUnit => Moment::ReturnedToUnit,
    }
}

fn due(due: profile::Due) -> Due {
    match due {
        profile::Due::SameDay => Due::SameDay,
        profile::Due::Hours(hours) => Due::Hours(i64::from(hours)),
    }
}

/// One deadline with everything that it was ever computed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// From the instant that was given first.
    pub first: UnixMillis,
    /// From the instant that stands.
    pub current: UnixMillis,
    /// The earliest of all: a correction hides nothing (R-003-5a).
    pub earliest: UnixMillis,
    /// Record of the instant that stands.
    pub seq: RecordSeq,
    /// Warnings on the way to it.
    pub warnings: Vec<UnixMillis>,
}

/// How something stands to its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// What it is counted from is not known yet.
    Open,
    /// Not done, and there is time.
    Due,
    /// Not done, and a warning has passed.
    Warned,
    /// Done in time.
    OnTime,
    /// Done, but after it.
    Late,
    /// Not done, and it has passed.
    Overdue,
}

impl Standing {
    /// The word that people and scripts see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Due => "due",
            Self::Warned => "warned",
            Self::OnTime => "on_time",
            Self::Late => "late",
            Self::Overdue => "overdue",
        }
    }
}

/// When footage of an activity must be ingested; none while nobody has said what it is counted from.
#[must_use]
pub fn ingest(rules: &IngestDeadlines, activity: &ActivityRow) -> Option<Deadline> {
    let values = started_from(rules, activity);
    let hours = |hours: i64| move |value: &MomentValue| value.at.plus_ms(hours * HOUR_MS);
    if let Some(exception) = excepted(rules, activity) {
        // The text itself puts this deadline in the place of the usual one, whose first value is shown beside it.
        let due = deadline(activity.moments_of(exception.start), hours(exception.hours), &[])?;
        let usual = values.first().map(|value| usual_due(rules.due, value.at));
        return Some(Deadline { first: usual.unwrap_or(due.first), ..due });
    }
    let warnings: Vec<_> = match (rules.warn_start, rules.due) {
        (Some(start), Due::Hours(hours)) => {
            activity.moments_of(start).last().map(|value| value.at.plus_ms(hours * HOUR_MS)).into_iter().collect()
        }
        (Some(_) | None, _) => Vec::new(),
    };
    deadline(values, |value| usual_due(rules.due, value.at), &warnings)
}

/// When items of an activity must be labelled; none where the text names no time or its start is not known.
#[must_use]
pub fn label(rules: &IngestDeadlines, activity: &ActivityRow) -> Option<Deadline> {
    let due = rules.label.as_ref()?;
    let values = activity.moments_of(due.start);
    let start = values.last()?.at;
    let warnings: Vec<_> = due.warn_hours.iter().map(|hours| start.plus_ms(hours * HOUR_MS)).collect();
    deadline(values, |value| value.at.plus_ms(due.hours * HOUR_MS), &warnings)
}

/// How something that was done at `done`, or not yet, stands at `now`.
#[must_use]
pub fn standing(deadline: Option<&Deadline>, done: Option<UnixMillis>, now: UnixMillis) -> Standing {
    match (deadline, done) {
        (None, _) => Standing::Open,
        (Some(deadline), Some(done)) if done <= deadline.earliest => Standing::OnTime,
        (Some(_), Some(_)) => Standing::Late,
        (Some(deadline), None) if now > deadline.earliest => Standing::Overdue,
        (Some(deadline), None) if deadline.warnings.iter().any(|warning| now > *warning) => Standing::Warned,
        (Some(_), None) => Standing::Due,
    }
}

fn usual_due(due: Due, at: UnixMillis) -> UnixMillis {
    match due {
        Due::SameDay => end_of_day(at),
        Due::Hours(hours) => at.plus_ms(hours * HOUR_MS),
    }
}

fn started_from<'a>(rules: &IngestDeadlines, activity: &'a ActivityRow) -> &'a [MomentValue] {
    let values = activity.moments_of(rules.start);
    match rules.warn_start {
        Some(start) if values.is_empty() => activity.moments_of(start),
        Some(_) | None => values,
    }
}

/// The exception, where the newest word on the return names a reason that counts.
fn excepted<'a>(rules: &'a IngestDeadlines, activity: &ActivityRow) -> Option<&'a DelayException> {
    let exception = rules.exception.as_ref()?;
    let reason = activity.moments_of(exception.start).last()?.delay?;
    exception.reasons.contains(&reason).then_some(exception)
}

fn deadline(
    values: &[MomentValue],
    due: impl Fn(&MomentValue) -> UnixMillis,
    warnings: &[UnixMillis],
) -> Option<Deadline> {
    let (first, last) = (values.first()?, values.last()?);
    let current = due(last);
    Some(Deadline {
        first: due(first),
        current,
        earliest: values.iter().map(&due).min().unwrap_or(current),
        seq: last.seq,
        warnings: warnings.to_vec(),
    })
}

/// Midnight in Beijing after `at`; after 22:00, two hours past it.
fn end_of_day(at: UnixMillis) -> UnixMillis {
    let local = at.0.saturating_add(CHINA_MS);
    let midnight = (local.div_euclid(DAY_MS) + 1).saturating_mul(DAY_MS).saturating_sub(CHINA_MS);
    let after_22 = local.rem_euclid(DAY_MS) > 22 * HOUR_MS;
    UnixMillis(midnight).plus_ms(if after_22 { 2 * HOUR_MS } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_day_ends_at_midnight_in_beijing_and_after_22_at_two() {
        for (ended, due) in [
            ("2026-03-01T09:30:00", "2026-03-02T00:00:00"),
            ("2026-03-01T22:00:00", "2026-03-02T00:00:00"),
            ("2026-03-01T22:00:00.001", "2026-03-02T02:00:00"),
            ("2026-03-01T23:59:59.999", "2026-03-02T02:00:00"),
            ("2026-02-28T00:00:00", "2026-03-01T00:00:00"),
            ("1969-12-31T20:00:00", "1970-01-01T00:00:00"),
        ] {
            let at = |text: &str| text.parse::<UnixMillis>().expect("a time");
            assert_eq!(end_of_day(at(ended)), at(due), "R-000-19: {ended}");
        }
    }
}

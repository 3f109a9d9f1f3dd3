//! What an activity comes to: its items with corrected times, gaps, deadlines and findings. Computed whenever somebody
//! looks, so that it is never older than what it is computed from.

use std::collections::BTreeSet;

use strongroom_types::{
    ItemId, UnixMillis,
    rows::{RowError, Rows},
};

use crate::{
    access::Stop,
    activity::{self, ActivityRow, AttachedRow, ItemTimesRow, Moment},
    deadline::{self, Deadline, Standing},
    exemption::ExemptionRow,
    gaps::{self, Covered, GAP_TOLERANCE_MS, Gap, Recording},
    interruption::{self, InterruptionRow},
    tables::{ITEMS, ItemRow},
    unit,
};

/// The times of a document and of its recordings may differ by this (R-000-10).
const DOCUMENT_TOLERANCE_MS: u64 = 60_000;

/// 记录保存情况, as far as times tell it. Whether the bytes are good is another matter: both make an activity complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preservation {
    /// Its end is not known yet.
    InProgress,
    /// No gap is open.
    Complete,
    /// Gaps are open.
    Gaps(usize),
    /// Nothing was recorded, and an exemption says why.
    Exempt,
    /// Recordings are on a sealed device and never come here (B10).
    Sealed,
    /// Nothing was recorded, and nothing says why.
    NoFootage,
    /// It has more items than are looked at together.
    TooManyItems,
}

impl Preservation {
    /// The word that people and scripts see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Complete => "complete",
            Self::Gaps(_) => "gaps_open",
            Self::Exempt => "exempt",
            Self::Sealed => "sealed",
            Self::NoFootage => "no_footage",
            Self::TooManyItems => "too_many_items",
        }
    }
}

/// One item of an activity.
#[derive(Clone, Debug)]
pub struct ItemReport {
    /// The item.
    pub id: ItemId,
    /// Its row.
    pub item: ItemRow,
    /// Its place in the activity.
    pub attached: AttachedRow,
    /// Its clock and labels.
    pub times: ItemTimesRow,
    /// Whether it counts as a recording of this activity.
    pub counts: bool,
    /// How it stands to the deadline of ingest.
    pub ingest: Standing,
    /// How it stands to the deadline of labels.
    pub label: Standing,
    /// Findings of the item within this activity.
    pub findings: Vec<String>,
}

/// What an activity comes to.
#[derive(Clone, Debug)]
pub struct ActivityReport {
    /// Its items.
    pub items: Vec<ItemReport>,
    /// Its gaps, closed ones too.
    pub gaps: Vec<Gap>,
    /// Its interruption records.
    pub interruptions: Vec<InterruptionRow>,
    /// Its exemptions.
    pub exemptions: Vec<ExemptionRow>,
    /// Angles that were expected and are not there (R-000-17).
    pub missing_angles: Vec<String>,
    /// When it must be ingested.
    pub ingest_due: Option<Deadline>,
    /// When it must be labelled.
    pub label_due: Option<Deadline>,
    /// How the activity as a whole stands to the deadline of ingest.
    pub ingest: Standing,
    /// What its times come to.
    pub preservation: Preservation,
    /// Findings of the activity.
    pub findings: Vec<String>,
}

/// Looks at an activity as a whole.
///
/// # Errors
/// [`Stop`] where a row cannot be read.
pub fn of(rows: &(impl Rows + ?Sized), activity: &ActivityRow, now: UnixMillis) -> Result<ActivityReport, Stop> {
    let rules = deadline::of_profile(&activity::profile_of(rows, &activity.unit)?);
    let (interruptions, exemptions) = interruption::of_activity(rows, activity)?;
    let attached = activity::recordings(rows, activity)?;
    let recordings = attached.recordings;
    let (ingest_due, label_due) = (deadline::ingest(&rules, activity), deadline::label(&rules, activity));
    let due = (ingest_due.as_ref(), label_due.as_ref());
    let counts: BTreeSet<ItemId> = recordings.iter().map(|recording| recording.item).collect();
    let mut items = Vec::new();
    for (id, row) in attached.rows {
        items.extend(item_report(rows, activity, (id, row), counts.contains(&id), due, now)?);
    }
    let gaps = gaps_of(activity, &recordings, &interruptions);
    let preservation = preservation(activity, &recordings, &gaps, &exemptions, attached.whole);
    let ingest = whole_standing(ingest_due.as_ref(), &items, explained(activity, &exemptions), now);
    let missing_angles = missing_angles(activity, &items);
    let findings = findings(activity, &recordings, &exemptions, &missing_angles, preservation);
    Ok(ActivityReport {
        items,
        gaps,
        interruptions,
        exemptions,
        missing_angles,
        ingest_due,
        label_due,
        ingest,
        preservation,
        findings,
    })
}

fn gaps_of(activity: &ActivityRow, recordings: &[Recording], interruptions: &[InterruptionRow]) -> Vec<Gap> {
    let mut covered: Vec<_> =
        interruptions.iter().map(|row| Covered { seq: row.seq, from: row.from, to: row.to }).collect();
    // What a sealed device has is nowhere else, and what it has nobody knows: it explains whatever is missing, as a finding.
    let whole = |seq| Covered { seq, from: activity.started_at, to: UnixMillis(i64::MAX / 2) };
    covered.splice(0..0, activity.sealed.iter().map(|(_, seq)| whole(*seq)));
    let ended = activity.moment(Moment::ActivityEnded);
    gaps::find(activity.started_at, ended, recordings, &covered, GAP_TOLERANCE_MS)
}

fn item_report(
    rows: &(impl Rows + ?Sized),
    activity: &ActivityRow,
    (id, attached): (ItemId, AttachedRow),
    counts: bool,
    (ingest_due, label_due): (Option<&Deadline>, Option<&Deadline>),
    now: UnixMillis,
) -> Result<Option<ItemReport>, RowError> {
    let Some(item) = ITEMS.read(rows, &id)? else { return Ok(None) };
    let times = activity::times(rows, id)?;
    let ingest = deadline::standing(ingest_due, Some(item.sealed_at), now);
    let label = deadline::standing(label_due, times.labelled_at, now);
    let mut findings = activity::backfill(activity, times.corrected(item.description.recorded_start));
    if ingest == Standing::Late {
        findings.push("LATE_INGEST".to_owned());
    }
    if !unit::same(rows, &item.description.unit, &activity.unit)? {
        findings.push("ACTIVITY_OF_OTHER_UNIT".to_owned());
    }
    for finding in &item.findings {
        if !findings.contains(finding) {
            findings.push(finding.clone());
        }
    }
    Ok(Some(ItemReport { id, item, attached, times, counts, ingest, label, findings }))
}

/// Whether something says why there is no recording.
fn explained(activity: &ActivityRow, exemptions: &[ExemptionRow]) -> bool {
    !exemptions.is_empty() || !activity.sealed.is_empty()
}

/// Late as soon as one item is; not done while nothing was ingested and nothing says why.
fn whole_standing(due: Option<&Deadline>, items: &[ItemReport], explained: bool, now: UnixMillis) -> Standing {
    let newest = items.iter().filter(|item| item.counts).map(|item| item.item.sealed_at).max();
    if newest.is_none() && explained {
        return Standing::OnTime;
    }
    deadline::standing(due, newest, now)
}

fn preservation(
    activity: &ActivityRow,
    recordings: &[Recording],
    gaps: &[Gap],
    exemptions: &[ExemptionRow],
    whole: bool,
) -> Preservation {
    let open = gaps.iter().filter(|gap| gap.is_open()).count();
    if !whole {
        Preservation::TooManyItems
    } else if recordings.is_empty() && !exemptions.is_empty() {
        Preservation::Exempt
    } else if recordings.is_empty() && !activity.sealed.is_empty() {
        Preservation::Sealed
    } else if activity.moment(Moment::ActivityEnded).is_none() {
        Preservation::InProgress
    } else if recordings.is_empty() {
        Preservation::NoFootage
    } else if open > 0 {
        Preservation::Gaps(open)
    } else {
        Preservation::Complete
    }
}

fn missing_angles(activity: &ActivityRow, items: &[ItemReport]) -> Vec<String> {
    let there: BTreeSet<&str> =
        items.iter().filter(|item| item.counts).filter_map(|item| item.attached.angle.as_deref()).collect();
    activity.angles.iter().filter(|angle| !there.contains(angle.as_str())).cloned().collect()
}

fn findings(
    activity: &ActivityRow,
    recordings: &[Recording],
    exemptions: &[ExemptionRow],
    missing_angles: &[String],
    preservation: Preservation,
) -> Vec<String> {
    let mut findings = activity.findings();
    if document_differs(activity, recordings) {
        findings.push("DOCUMENT_TIME_MISMATCH".to_owned());
    }
    if !missing_angles.is_empty() {
        findings.push("ANGLE_MISSING".to_owned());
    }
    if exemptions.iter().any(|exemption| !exemption.has_work_record()) {
        findings.push("WORK_RECORD_MISSING".to_owned());
    }
    for finding in exemptions.iter().flat_map(|exemption| &exemption.findings) {
        if !findings.contains(finding) {
            findings.push(finding.clone());
        }
    }
    match preservation {
        Preservation::NoFootage => findings.push("NO_FOOTAGE_NO_EXEMPTION".to_owned()),
        Preservation::Gaps(_) => findings.push("GAP_OPEN".to_owned()),
        Preservation::InProgress
        | Preservation::Complete
        | Preservation::Exempt
        | Preservation::Sealed
        | Preservation::TooManyItems => {}
    }
    if !activity.sealed.is_empty() {
        findings.push("SUSPECTED_SECRET_NOT_UPLOADED".to_owned());
    }
    findings
}

/// Both values are kept and shown; neither is made to fit the other.
fn document_differs(activity: &ActivityRow, recordings: &[Recording]) -> bool {
    let Some(document) = &activity.document else { return false };
    let start = recordings.iter().map(|recording| recording.start).min();
    let end = recordings.iter().map(|recording| recording.end).max();
    let far = |said: Option<UnixMillis>, seen: Option<UnixMillis>| match (said, seen) {
        (Some(said), Some(seen)) => said.since_ms(seen).unsigned_abs() > DOCUMENT_TOLERANCE_MS,
        (_, _) => false,
    };
    far(document.start, start) || far(document.end, end)
}

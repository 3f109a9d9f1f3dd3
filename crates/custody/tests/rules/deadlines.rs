//! Deadlines as the five texts count them, from what an activity says of its instants.

use strongroom_custody::{
    activity::{ActivityRow, DelayReason, Moment, MomentValue},
    deadline::{self, DelayException, Due, IngestDeadlines, LabelDue, Standing},
    profile::Profile,
};
use strongroom_types::{RecordSeq, UnixMillis};

use crate::{
    activities::{activity, opened},
    fixture::id,
};

fn at(text: &str) -> UnixMillis {
    text.parse().expect("a time")
}

/// An activity of which exactly these instants are known.
fn with(moments: &[(Moment, &str, Option<DelayReason>)]) -> ActivityRow {
    let mut row = activity(&opened());
    row.moments.clear();
    for (moment, text, delay) in moments {
        let (by, reason) = (id("recorder"), String::new());
        let value = MomentValue { at: at(text), by, entered_at: at(text), reason, delay: *delay, seq: RecordSeq(1) };
        row.moments.entry(*moment).or_default().push(value);
    }
    row
}

/// R-000-19 and R-002-13: the same day, or a day from the return.
fn same_day() -> IngestDeadlines {
    IngestDeadlines { due: Due::SameDay, label: None, ..IngestDeadlines::usual() }
}

/// R-001-14a: a day from the end of the activity.
fn from_activity() -> IngestDeadlines {
    IngestDeadlines { exception: None, label: None, ..IngestDeadlines::usual() }
}

/// R-003-5a: warned from the end of the activity, due from the end of the working day, labels after 48 hours.
fn from_work_day() -> IngestDeadlines {
    IngestDeadlines {
        start: Moment::WorkDayEnded,
        warn_start: Some(Moment::ActivityEnded),
        exception: None,
        label: Some(LabelDue { start: Moment::ActivityEnded, hours: 48, warn_hours: vec![36, 44] }),
        ..IngestDeadlines::usual()
    }
}

/// R-004-16: a day from the end of the matter.
fn from_matter() -> IngestDeadlines {
    IngestDeadlines { start: Moment::MatterEnded, exception: None, label: None, ..IngestDeadlines::usual() }
}

#[test]
fn ingest_is_due_as_each_text_counts() {
    use Moment::{ActivityEnded, MatterEnded, ReturnedToUnit, WorkDayEnded};
    type Case<'a> = (&'a str, IngestDeadlines, &'a [(Moment, &'a str, Option<DelayReason>)], Option<&'a str>);
    let remote = Some(DelayReason::Remote);
    let ended = (ActivityEnded, "2026-03-01T15:00:00", None);
    let cases: [Case<'_>; 11] = [
        ("R-000-19 the same day", same_day(), &[ended], Some("2026-03-02T00:00:00")),
        (
            "R-000-19 after 22:00",
            same_day(),
            &[(ActivityEnded, "2026-03-01T22:30:00", None)],
            Some("2026-03-02T02:00:00"),
        ),
        (
            "R-002-13 a day from the return with a reason",
            same_day(),
            &[ended, (ReturnedToUnit, "2026-03-03T08:00:00", remote)],
            Some("2026-03-04T08:00:00"),
        ),
        (
            "R-000-19 a return without a reason changes nothing",
            same_day(),
            &[ended, (ReturnedToUnit, "2026-03-03T08:00:00", None)],
            Some("2026-03-02T00:00:00"),
        ),
        ("R-001-14a", from_activity(), &[ended], Some("2026-03-02T15:00:00")),
        (
            "R-001-14a knows no delay",
            from_activity(),
            &[ended, (ReturnedToUnit, "2026-03-03T08:00:00", remote)],
            Some("2026-03-02T15:00:00"),
        ),
        (
            "R-003-5a the end of the working day",
            from_work_day(),
            &[ended, (WorkDayEnded, "2026-03-01T18:00:00", None)],
            Some("2026-03-02T18:00:00"),
        ),
        ("R-003-5a while that is not known", from_work_day(), &[ended], Some("2026-03-02T15:00:00")),
        (
            "R-004-16 the matter",
            from_matter(),
            &[(MatterEnded, "2026-03-05T10:00:00", None)],
            Some("2026-03-06T10:00:00"),
        ),
        ("R-004-16 the activity is not the matter", from_matter(), &[ended], None),
        ("nothing has ended", from_activity(), &[], None),
    ];
    for (name, rules, moments, expected) in cases {
        let due = deadline::ingest(&rules, &with(moments)).map(|due| due.current);
        assert_eq!(due, expected.map(at), "{name}");
    }
}

#[test]
fn r_003_5a_labels_are_due_after_48_hours_with_two_warnings() {
    let row = with(&[
        (Moment::ActivityEnded, "2026-03-01T15:00:00", None),
        (Moment::WorkDayEnded, "2026-03-01T18:00:00", None),
    ]);
    let due = deadline::label(&from_work_day(), &row).expect("known, and not from the later start of ingest");
    for (now, expected) in [
        ("2026-03-03T03:00:00", Standing::Due),
        ("2026-03-03T03:00:00.001", Standing::Warned),
        ("2026-03-03T15:00:00", Standing::Warned),
        ("2026-03-03T15:00:00.001", Standing::Overdue),
    ] {
        assert_eq!(deadline::standing(Some(&due), None, at(now)), expected, "{now}");
    }
    assert_eq!(due.warnings, [at("2026-03-03T03:00:00"), at("2026-03-03T11:00:00")], "36 and 44 hours");
    assert_eq!(deadline::label(&same_day(), &row), None, "000 names no time");
    let xiamen = Profile::from_toml(include_str!("../../../../profiles/xiamen-chengguan.toml")).expect("a profile");
    assert_eq!(deadline::of_profile(&xiamen).label, from_work_day().label);
}

#[test]
fn r_003_5a_ingest_is_warned_of_from_the_end_of_the_activity() {
    let row = with(&[
        (Moment::ActivityEnded, "2026-03-01T15:00:00", None),
        (Moment::WorkDayEnded, "2026-03-01T18:00:00", None),
    ]);
    let due = deadline::ingest(&from_work_day(), &row).expect("known");
    for (now, expected) in [
        ("2026-03-02T15:00:00", Standing::Due),
        ("2026-03-02T15:00:00.001", Standing::Warned),
        ("2026-03-02T18:00:00.001", Standing::Overdue),
    ] {
        assert_eq!(deadline::standing(Some(&due), None, at(now)), expected, "{now}");
    }
}

#[test]
fn what_is_done_stays_on_time_or_late_whenever_somebody_looks() {
    let row = with(&[(Moment::ActivityEnded, "2026-03-01T15:00:00", None)]);
    let due = deadline::ingest(&from_activity(), &row).expect("known");
    let now = at("2030-01-01T00:00:00");
    for (done, expected) in [("2026-03-02T15:00:00", Standing::OnTime), ("2026-03-02T15:00:00.001", Standing::Late)] {
        assert_eq!(deadline::standing(Some(&due), Some(at(done)), now), expected, "{done}");
    }
    assert_eq!(deadline::standing(None, Some(now), now), Standing::Open);
}

#[test]
fn r_003_5a_a_corrected_end_never_hides_what_was_overdue() {
    let row = with(&[
        (Moment::ActivityEnded, "2026-03-01T15:00:00", None),
        (Moment::ActivityEnded, "2026-03-09T15:00:00", None),
    ]);
    for rules in [from_activity(), same_day(), from_work_day()] {
        let due = deadline::ingest(&rules, &row).expect("known");
        assert!(due.first < due.current && due.earliest == due.first, "both are shown");
        assert_eq!(deadline::standing(Some(&due), None, at("2026-03-03T00:00:00")), Standing::Overdue);
    }
}

#[test]
fn r_000_19_a_corrected_return_counts_by_its_earliest_value_too() {
    let remote = Some(DelayReason::Remote);
    let row = with(&[
        (Moment::ActivityEnded, "2026-03-01T15:00:00", None),
        (Moment::ReturnedToUnit, "2026-03-02T08:00:00", remote),
        (Moment::ReturnedToUnit, "2026-03-05T08:00:00", remote),
    ]);
    let due = deadline::ingest(&same_day(), &row).expect("known");
    assert_eq!((due.earliest, due.current), (at("2026-03-03T08:00:00"), at("2026-03-06T08:00:00")));
    assert_eq!(due.first, at("2026-03-02T00:00:00"), "the usual deadline is shown beside it");
    let only = IngestDeadlines {
        exception: Some(DelayException {
            reasons: vec![DelayReason::Elsewhere],
            start: Moment::ReturnedToUnit,
            hours: 24,
        }),
        ..same_day()
    };
    let due = deadline::ingest(&only, &row).expect("known");
    assert_eq!(due.current, at("2026-03-02T00:00:00"), "a reason that does not count gives nothing");
}

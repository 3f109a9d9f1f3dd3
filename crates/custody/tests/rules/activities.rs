//! Activities: what is said of one stays visible, items are never refused for it, and gaps are found in what was
//! recorded.

use strongroom_custody::{
    Command, Fact,
    activity::{
        self, ActivityRow, AddPhase, AttachItem, AttachedRow, CorrectActivity, Corrected, Correction, DelayReason,
        Detached, Document, ItemTimesRow, Moment, MomentValue, Officer, Phase, SetMoment,
    },
    command::LabelItem,
    deadline::Standing,
    device::ClockOffset,
    report::{self, ActivityReport, Preservation},
    tables::{ACTIVITIES, ACTIVITY_ITEMS, ITEM_TIMES},
};
use strongroom_types::{ActivityId, Reason, RecordSeq, UnixMillis, limits};

use crate::{
    devices::{dock, staffed},
    fixture::{Cluster, DAY, HOUR, MINUTE, START, id, item, small},
    golden,
    samples::opening,
};

/// Two hours before the start of the test: when activities begin.
const BEGUN: UnixMillis = UnixMillis(START.0 - 2 * HOUR);

pub(crate) fn open(name: &str, unit: &str) -> Command {
    Command::OpenActivity(Box::new(opening(name, unit)))
}

pub(crate) fn set(moment: Moment, at: UnixMillis, reason: &str) -> Command {
    Command::SetMoment(SetMoment { activity: id("A-7"), moment, at, delay: None, reason: reason.to_owned() })
}

/// Seals an item of activity A-7 that was recorded from one minute to another, counted from its beginning.
pub(crate) fn record(cluster: &mut Cluster, number: u8, from: i64, to: i64) {
    let mut seal = small(number, "U1");
    seal.open.description.recorded_start = BEGUN.plus_ms(from * MINUTE);
    seal.open.description.recorded_end = BEGUN.plus_ms(to * MINUTE);
    cluster.done("station", Command::SealOriginal(seal));
}

/// With activity A-7 of an hour, opened and ended, and nothing recorded yet.
pub(crate) fn opened() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.done("recorder", open("A-7", "U1"));
    cluster.done("recorder", set(Moment::ActivityEnded, BEGUN.plus_ms(HOUR), ""));
    cluster
}

pub(crate) fn activity(cluster: &Cluster) -> ActivityRow {
    ACTIVITIES.read(&cluster.rows, &id("A-7")).expect("reads").expect("is open")
}

pub(crate) fn report(cluster: &Cluster) -> ActivityReport {
    report::of(&cluster.rows, &activity(cluster), cluster.wall).expect("reads")
}

fn attach(number: u8, phase: Option<u32>, angle: Option<&str>, detach: Option<&str>) -> Command {
    Command::AttachItem(AttachItem {
        activity: id("A-7"),
        item: item(number),
        phase,
        angle: angle.map(str::to_owned),
        detach: detach.map(str::to_owned),
    })
}

fn gaps(cluster: &Cluster) -> Vec<(i64, i64)> {
    let minutes = |at: UnixMillis| at.since_ms(BEGUN) / MINUTE;
    report(cluster).gaps.iter().map(|gap| (minutes(gap.from), minutes(gap.to))).collect()
}

#[test]
fn r_000_20_an_activity_says_who_where_and_whom_it_concerned() {
    type Change = fn(&mut strongroom_custody::activity::OpenActivity);
    let cases: [(&str, Change, Reason, &str); 9] = [
        ("no kind", |o| o.kind = " ".to_owned(), Reason::FieldMissing, "B10"),
        ("no place", |o| o.place.clear(), Reason::FieldMissing, "R-000-20"),
        ("no party", |o| o.party = " ".to_owned(), Reason::FieldMissing, "R-000-20"),
        ("no officer", |o| o.officers.clear(), Reason::FieldMissing, "R-000-20"),
        ("an officer without a number", |o| o.officers[1].certificate.clear(), Reason::FieldMissing, "R-002-8"),
        ("a document without a name", |o| document(o).name.clear(), Reason::FieldMissing, "R-000-10"),
        ("a document that ends first", |o| document(o).end = Some(UnixMillis(0)), Reason::InvalidArgument, ""),
        ("it begins tomorrow", |o| o.started_at = START.plus_ms(DAY), Reason::InvalidArgument, ""),
        ("too many angles", |o| o.angles = vec!["a".to_owned(); 33], Reason::InvalidArgument, ""),
    ];
    for (name, change, reason, rule) in cases {
        let mut opening = opening("A-7", "U1");
        change(&mut opening);
        let refusal = Cluster::new().refused("recorder", Command::OpenActivity(Box::new(opening)), reason);
        assert_eq!(refusal.rule, rule, "{name}: {refusal:?}");
    }
    for party in ["无特定相对人", "身份不明", "拒不提供", "某某商行"] {
        let mut opening = opening("A-7", "U1");
        opening.party = party.to_owned();
        Cluster::new().done("recorder", Command::OpenActivity(Box::new(opening)));
    }
}

fn document(opening: &mut strongroom_custody::activity::OpenActivity) -> &mut Document {
    opening.document.as_mut().expect("the sample has one")
}

#[test]
fn an_activity_is_opened_once_within_its_unit() {
    let mut cluster = staffed();
    cluster.refused("recorder-u2", open("A-7", "U1"), Reason::OutsideUnit);
    cluster.refused("recorder", open("A-7", "U99"), Reason::NotFound);
    cluster.done("recorder-u2", open("A-8", "U2"));
    cluster.done("recorder", open("A-7", "U1"));
    cluster.refused("recorder", open("A-7", "U1"), Reason::AlreadyExists);
    cluster.refused("recorder-u2", set(Moment::ActivityEnded, START, ""), Reason::OutsideUnit);
}

#[test]
fn a_station_sends_items_of_an_activity_that_nobody_has_opened() {
    let mut cluster = Cluster::new();
    record(&mut cluster, 1, 0, 60);
    assert!(cluster.item(1).findings.is_empty());
    let unknown = set(Moment::ActivityEnded, START, "");
    let refusal = cluster.refused("recorder", unknown, Reason::NotFound);
    assert!(refusal.remedy.contains("activity open"), "{refusal:?}");
    cluster.done("recorder", open("A-7", "U1"));
    cluster.done("recorder", set(Moment::ActivityEnded, BEGUN.plus_ms(HOUR), ""));
    let report = report(&cluster);
    assert_eq!((report.items.len(), report.preservation), (1, Preservation::Complete), "they were waiting");
}

#[test]
fn r_000_12_phases_follow_and_say_where() {
    let mut cluster = opened();
    let phase = |name: &str, from: i64, to: Option<i64>| {
        Command::AddPhase(AddPhase {
            activity: id("A-7"),
            name: name.to_owned(),
            place: "南门".to_owned(),
            started_at: BEGUN.plus_ms(from * MINUTE),
            ended_at: to.map(|to| BEGUN.plus_ms(to * MINUTE)),
        })
    };
    cluster.done("recorder", phase("现场检查", 0, Some(30)));
    cluster.done("recorder", phase("询问", 30, None));
    cluster.refused("recorder", phase("x", 30, Some(20)), Reason::InvalidArgument);
    cluster.refused("recorder", phase(" ", 30, None), Reason::FieldMissing);
    let row = activity(&cluster);
    let at = |minute: i64| row.phase_at(BEGUN.plus_ms(minute * MINUTE));
    assert_eq!((at(-1), at(10), at(45)), (None, Some(1), Some(2)));
    for _ in 2..limits::ACTIVITY_PHASES_MAX {
        cluster.done("recorder", phase("x", 0, None));
    }
    cluster.refused("recorder", phase("x", 0, None), Reason::InvalidArgument);
}

#[test]
fn r_000_11_gaps_are_found_in_what_was_recorded() {
    let mut cluster = opened();
    assert_eq!(report(&cluster).preservation, Preservation::NoFootage);
    record(&mut cluster, 1, 5, 20);
    record(&mut cluster, 2, 30, 60);
    assert_eq!(gaps(&cluster), [(0, 5), (20, 30)]);
    let found = report(&cluster);
    assert_eq!(found.preservation, Preservation::Gaps(2), "R-003-5c: complete only when no gap is open");
    assert!(found.findings.contains(&"GAP_OPEN".to_owned()), "{:?}", found.findings);
    assert_eq!(found.gaps[1].before, Some(item(2)));
    record(&mut cluster, 3, 0, 30);
    assert_eq!((gaps(&cluster), report(&cluster).preservation), (Vec::new(), Preservation::Complete));
}

#[test]
fn r_000_7_gaps_are_found_by_corrected_time_and_the_devices_own_stays() {
    let mut cluster = opened();
    // The device is ten minutes fast: what it calls 10 to 70 was 0 to 60.
    cluster.done("station", dock(10 * MINUTE, 0));
    record(&mut cluster, 1, 10, 70);
    assert_eq!(gaps(&cluster), []);
    let row = cluster.item(1);
    assert_eq!(row.description.recorded_start, BEGUN.plus_ms(10 * MINUTE), "the original time stays");
    let times = ITEM_TIMES.read(&cluster.rows, &item(1)).expect("reads").expect("was noted");
    assert_eq!(times.corrected(row.description.recorded_start), BEGUN);
    // What is measured later explains later items only.
    cluster.done("station", dock(0, 0));
    assert_eq!(gaps(&cluster), []);
}

#[test]
fn items_of_another_unit_or_in_quarantine_close_no_gap() {
    let mut cluster = opened();
    let mut foreign = small(1, "U2");
    foreign.open.description.recorded_start = BEGUN;
    foreign.open.description.recorded_end = BEGUN.plus_ms(HOUR);
    cluster.done("station", Command::SealOriginal(foreign.clone()));
    assert_eq!(cluster.item(1).findings, ["ACTIVITY_OF_OTHER_UNIT"]);
    let mut unknown = small(2, "U1");
    unknown.open.description = foreign.open.description;
    unknown.open.description.unit = id("U1");
    unknown.open.description.device = id("stranger");
    cluster.done("station", Command::SealOriginal(unknown));
    let report = report(&cluster);
    assert_eq!((report.items.len(), report.preservation), (2, Preservation::NoFootage));
    assert!(report.items.iter().all(|item| !item.counts));
}

#[test]
fn r_000_13_what_was_recorded_after_the_end_is_taken_and_marked() {
    let mut cluster = opened();
    record(&mut cluster, 1, 0, 60);
    record(&mut cluster, 2, 61, 65);
    assert_eq!(cluster.item(2).findings, ["SUSPECTED_BACKFILL"], "事后补录");
    // A later end does not wash it off.
    cluster.done("recorder", set(Moment::ActivityEnded, BEGUN.plus_ms(70 * MINUTE), "记错"));
    assert_eq!(report(&cluster).items[1].findings, ["SUSPECTED_BACKFILL"]);
    record(&mut cluster, 3, 66, 70);
    assert_eq!(cluster.item(3).findings, ["SUSPECTED_BACKFILL"], "every end that was given counts");
}

#[test]
fn r_000_13_what_was_uploaded_late_is_taken_and_marked() {
    let mut cluster = opened();
    cluster.pass(23 * HOUR + 30 * MINUTE);
    record(&mut cluster, 1, 0, 60);
    assert_eq!(cluster.item(1).findings, ["LATE_INGEST"]);
    let report = report(&cluster);
    assert_eq!((report.items[0].ingest, report.ingest), (Standing::Late, Standing::Late));
}

#[test]
fn r_000_10_a_document_whose_times_differ_is_a_finding_and_both_stay() {
    for (from, to, mismatch) in [(0, 60, false), (1, 60, false), (2, 60, true), (0, 58, true)] {
        let mut cluster = opened();
        record(&mut cluster, 1, from, to);
        let findings = report(&cluster).findings;
        assert_eq!(findings.contains(&"DOCUMENT_TIME_MISMATCH".to_owned()), mismatch, "{from} to {to}");
        assert_eq!(activity(&cluster).document, opening("A-7", "U1").document);
        assert_eq!(cluster.item(1).description.recorded_start, BEGUN.plus_ms(from * MINUTE));
    }
}

#[test]
fn a_missing_second_officer_is_a_finding() {
    let mut cluster = Cluster::new();
    let mut alone = opening("A-7", "U1");
    alone.officers.truncate(1);
    cluster.done("recorder", Command::OpenActivity(Box::new(alone)));
    assert_eq!(cluster.last_record().text(Fact::Finding), Some("SECOND_OFFICER_MISSING"));
    assert!(report(&cluster).findings.contains(&"SECOND_OFFICER_MISSING".to_owned()));
}

#[test]
fn r_000_17_an_expected_angle_that_is_not_there_is_shown() {
    let mut cluster = opened();
    record(&mut cluster, 1, 0, 60);
    record(&mut cluster, 2, 0, 60);
    assert_eq!(report(&cluster).missing_angles, ["left", "right"]);
    cluster.done("recorder", attach(1, None, Some("left"), None));
    assert_eq!(report(&cluster).missing_angles, ["right"]);
    cluster.done("recorder", attach(2, None, Some("right"), None));
    assert!(report(&cluster).missing_angles.is_empty());
    assert!(!report(&cluster).findings.contains(&"ANGLE_MISSING".to_owned()));
}

#[test]
fn an_item_is_attached_within_its_unit_and_taken_out_with_a_reason() {
    let mut cluster = Cluster::with_items();
    cluster.done("recorder", open("A-8", "U1"));
    let attach = |number: u8, phase, detach: Option<&str>| {
        Command::AttachItem(AttachItem {
            activity: id("A-8"),
            item: item(number),
            phase,
            angle: None,
            detach: detach.map(str::to_owned),
        })
    };
    cluster.refused("recorder", attach(3, None, None), Reason::OutsideUnit);
    cluster.refused("recorder", attach(9, None, None), Reason::NotFound);
    cluster.refused("recorder", attach(1, Some(1), None), Reason::InvalidArgument);
    cluster.refused("recorder", attach(1, None, Some("x")), Reason::NotFound);
    cluster.done("recorder", attach(1, None, None));
    cluster.refused("recorder", attach(1, None, Some(" ")), Reason::FieldMissing);
    cluster.done("recorder", attach(1, None, Some("另一起")));
    cluster.refused("recorder", attach(1, None, Some("x")), Reason::NotFound);
    let row = ACTIVITY_ITEMS.read(&cluster.rows, &(id("A-8"), item(1))).expect("reads").expect("stays");
    assert_eq!(row.detached.map(|detached| detached.reason).as_deref(), Some("另一起"), "both are shown");
    assert_eq!(cluster.item(1).description.activity, Some(id("A-7")), "what the station said stays");
}

#[test]
fn r_003_5a_a_second_value_takes_a_reason_and_hides_nothing() {
    let mut cluster = opened();
    let later = BEGUN.plus_ms(2 * HOUR);
    let refusal = cluster.refused("recorder", set(Moment::ActivityEnded, later, " "), Reason::FieldMissing);
    assert_eq!(refusal.rule, "C1");
    cluster.refused("recorder", set(Moment::ActivityEnded, BEGUN.plus_ms(-1), "x"), Reason::InvalidArgument);
    cluster.refused("recorder", set(Moment::ActivityEnded, START.plus_ms(DAY), "x"), Reason::InvalidArgument);
    cluster.done("recorder", set(Moment::ActivityEnded, later, "记录有误"));
    let row = activity(&cluster);
    let values: Vec<_> = row.moments_of(Moment::ActivityEnded).iter().map(|value| value.at).collect();
    assert_eq!(values, [BEGUN.plus_ms(HOUR), later], "R-000-19: both are shown");
    cluster.pass(23 * HOUR + 30 * MINUTE);
    record(&mut cluster, 1, 0, 120);
    let report = report(&cluster);
    let due = report.ingest_due.expect("it has ended");
    assert_eq!((due.first, due.current), (BEGUN.plus_ms(25 * HOUR), BEGUN.plus_ms(26 * HOUR)));
    assert_eq!(report.items[0].ingest, Standing::Late, "in time by the second value, late by the first");
    cluster.done("recorder", set(Moment::ActivityEnded, BEGUN.plus_ms(HOUR), "又记错"));
    assert!(self::report(&cluster).findings.contains(&"SPAN_NARROWED".to_owned()));
}

#[test]
fn a_reason_for_delay_goes_with_the_return() {
    let mut cluster = opened();
    let with = |moment, delay| {
        Command::SetMoment(SetMoment { activity: id("A-7"), moment, at: START, delay, reason: "x".to_owned() })
    };
    let remote = Some(DelayReason::Remote);
    cluster.refused("recorder", with(Moment::WorkDayEnded, remote), Reason::InvalidArgument);
    cluster.done("recorder", with(Moment::ReturnedToUnit, remote));
    assert_eq!(report(&cluster).ingest_due.expect("known").current, START.plus_ms(24 * HOUR), "R-000-19");
}

#[test]
fn instants_and_corrections_have_a_limit() {
    let mut cluster = opened();
    for _ in 1..limits::ACTIVITY_CORRECTIONS_MAX {
        cluster.done("recorder", set(Moment::ActivityEnded, START, "x"));
    }
    cluster.refused("recorder", set(Moment::ActivityEnded, START, "x"), Reason::InvalidArgument);
    for _ in 0..limits::ACTIVITY_CORRECTIONS_MAX {
        cluster.done("recorder", correct(Corrected::Place("x".to_owned()), "x"));
    }
    cluster.refused("recorder", correct(Corrected::Place("x".to_owned()), "x"), Reason::InvalidArgument);
}

fn correct(to: Corrected, reason: &str) -> Command {
    Command::CorrectActivity(CorrectActivity { activity: id("A-7"), to, reason: reason.to_owned() })
}

#[test]
fn a_correction_keeps_what_was_said_before() {
    let officer = Officer { name: "王五".to_owned(), certificate: "ZF003".to_owned() };
    let document = Document { name: "笔录".to_owned(), start: None, end: Some(START) };
    let cases = [
        (Corrected::Kind("送达".to_owned()), "现场检查", "送达"),
        (Corrected::Place("北门".to_owned()), "南门市场", "北门"),
        (Corrected::Matter(String::new()), "占道经营", ""),
        (Corrected::Party("某某商行".to_owned()), "无特定相对人", "某某商行"),
        (Corrected::StartedAt(START), "2026-03-01T07:30:00.000+08:00", "2026-03-01T09:30:00.000+08:00"),
        (Corrected::Officers(vec![officer]), "张三:ZF001, 李四:ZF002", "王五:ZF003"),
        (
            Corrected::Document(document),
            "现场检查笔录 2026-03-01T07:30:00.000+08:00 – 2026-03-01T08:30:00.000+08:00",
            "笔录 ? – 2026-03-01T09:30:00.000+08:00",
        ),
    ];
    for (to, before, after) in cases {
        let mut cluster = opened();
        cluster.refused("recorder", correct(to.clone(), " "), Reason::FieldMissing);
        cluster.done("recorder", correct(to.clone(), "核实"));
        let corrections = activity(&cluster).corrections;
        assert_eq!((corrections[0].before.as_str(), corrections[0].after.as_str()), (before, after), "{to:?}");
        assert_eq!(cluster.last_record().text(Fact::Before), Some(before));
    }
    for to in [
        Corrected::Kind(" ".to_owned()),
        Corrected::Place(String::new()),
        Corrected::Party(" ".to_owned()),
        Corrected::Officers(Vec::new()),
        Corrected::Document(Document { name: " ".to_owned(), start: None, end: None }),
    ] {
        opened().refused("recorder", correct(to, "x"), Reason::FieldMissing);
    }
    let mut cluster = opened();
    cluster.done("recorder", correct(Corrected::StartedAt(START), "x"));
    assert!(report(&cluster).findings.contains(&"SPAN_NARROWED".to_owned()), "a later start may hide a gap");
}

#[test]
fn r_000_20_an_item_is_labelled_once_it_has_every_label_that_it_needs() {
    let mut cluster = opened();
    record(&mut cluster, 1, 0, 60);
    let label = |name: &str, value: &str| {
        Command::LabelItem(LabelItem { item: item(1), name: name.to_owned(), value: value.to_owned() })
    };
    let labelled = |cluster: &Cluster| {
        activity::times(&cluster.rows, item(1)).expect("reads").labelled_at.map(|at| at.since_ms(START))
    };
    cluster.done("recorder", label("officer", "张三"));
    cluster.done("recorder", label("content", " "));
    assert_eq!(labelled(&cluster), None, "a blank is no value");
    cluster.pass(HOUR);
    cluster.done("recorder", label("content", "占道经营检查"));
    assert_eq!(labelled(&cluster), Some(HOUR));
    cluster.pass(HOUR);
    cluster.done("recorder", label("content", "改"));
    assert_eq!(labelled(&cluster), Some(HOUR), "the first time counts");
    let mut complete = small(2, "U1");
    complete.open.description.labels = crate::fixture::fields(&[("officer", "张三"), ("content", "身份不明")]);
    cluster.done("station", Command::SealOriginal(complete));
    let times = activity::times(&cluster.rows, item(2)).expect("reads");
    assert_eq!(times.labelled_at, Some(cluster.wall), "labels known at docking count");
}

#[test]
fn an_activity_with_more_items_than_are_looked_at_is_never_called_complete() {
    let mut cluster = opened();
    record(&mut cluster, 1, 0, 60);
    assert_eq!(report(&cluster).preservation, Preservation::Complete);
    let attached = ACTIVITY_ITEMS.read(&cluster.rows, &(id("A-7"), item(1))).expect("reads").expect("is there");
    for number in 1..=u16::try_from(limits::ACTIVITY_ITEMS_MAX).expect("few") {
        let mut bytes = [0xcc; 16];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        let key = (id::<ActivityId>("A-7"), strongroom_types::ItemId::new(bytes));
        ACTIVITY_ITEMS.write(&mut cluster.rows, &key, &attached);
    }
    assert_eq!(report(&cluster).preservation, Preservation::TooManyItems);
    record(&mut cluster, 2, 0, 60);
    let mut other = small(3, "U1");
    other.open.description.activity = None;
    cluster.done("station", Command::SealOriginal(other));
    cluster.refused("recorder", attach(3, None, None, None), Reason::InvalidArgument);
    cluster.done("recorder", attach(1, None, Some("left"), None));
}

#[test]
fn rows_of_activities_are_stored_as_they_always_were() {
    let said = |reason: &str| MomentValue {
        at: START,
        by: id("recorder"),
        entered_at: START,
        reason: reason.to_owned(),
        delay: Some(DelayReason::Remote),
        seq: RecordSeq(4),
    };
    let correction = Correction {
        field: "place".to_owned(),
        before: "南门".to_owned(),
        after: "北门".to_owned(),
        reason: "记错".to_owned(),
        by: id("recorder"),
        at: START,
        seq: RecordSeq(5),
    };
    let phase = Phase {
        name: "询问".to_owned(),
        place: "室内".to_owned(),
        started_at: START,
        ended_at: None,
        seq: RecordSeq(6),
    };
    let mut cluster = opened();
    let row = ActivityRow {
        phases: vec![phase],
        moments: Moment::ALL.into_iter().map(|moment| (moment, vec![said(""), said("记错")])).collect(),
        corrections: vec![correction],
        interruptions: vec![RecordSeq(7)],
        exemptions: vec![RecordSeq(8)],
        ..activity(&cluster)
    };
    record(&mut cluster, 1, 0, 60);
    let attached = ACTIVITY_ITEMS.read(&cluster.rows, &(id("A-7"), item(1))).expect("reads").expect("is there");
    let detached = Detached { reason: "另一起".to_owned(), by: id("recorder"), at: START, seq: RecordSeq(9) };
    let placed = AttachedRow {
        phase: Some(1),
        angle: Some("left".to_owned()),
        by: Some(id("recorder")),
        detached: Some(detached),
        ..attached.clone()
    };
    let clock = ClockOffset { offset_ms: -9, measured_at: START, against: "station".to_owned(), entry: 2 };
    let times = ItemTimesRow { clock: Some(clock), labelled_at: Some(START), labelled_seq: Some(RecordSeq(3)) };
    let lines = vec![
        golden::line("activities", &row),
        golden::line("activity_items", &attached),
        golden::line("activity_items placed", &placed),
        golden::line("item_times", &times),
    ];
    golden::check("activities", lines);
}

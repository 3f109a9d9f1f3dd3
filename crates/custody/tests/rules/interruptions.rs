//! Interruptions and exemptions: what must explain a gap, what is refused, and what is taken and marked.

use strongroom_custody::{
    Command, Fact,
    activity::Moment,
    exemption::{ConsentOffice, ExemptionRow, RecordExemption},
    interruption::{InterruptionRow, RecordInterruption, VoiceNote},
    profile::Profile,
    report::Preservation,
    statement::{FileStatement, Filed, StatementOf},
    tables::{EXEMPTIONS, INTERRUPTIONS, NOTICES},
};
use strongroom_types::{Reason, RecordSeq, UnixMillis, limits};

use crate::{
    activities::{activity, open, opened, record, report, set},
    fixture::{Cluster, HOUR, MINUTE, START, id, item, small, unit},
    golden,
    samples::opening,
};

const BEGUN: UnixMillis = UnixMillis(START.0 - 2 * HOUR);
/// The gap that takes no explanation where a text says so (R-000-12).
const ELSEWHERE: &str = "art12_same_phase_different_place_time";
/// A profile that says nothing of interruptions.
const SILENT: &str = "name = \"silent\"\nagency = \"某局\"\n[floor]\nunspecified = true\n";

/// Recorded from 0 to 20 and from 30 to 60, with a written statement as item 9.
fn interrupted() -> Cluster {
    let mut cluster = opened();
    record(&mut cluster, 1, 0, 20);
    record(&mut cluster, 2, 30, 60);
    statement(&mut cluster, 9, "U1");
    cluster
}

fn statement(cluster: &mut Cluster, number: u8, of: &str) {
    let mut seal = small(number, of);
    seal.open.description.activity = None;
    cluster.done("station", Command::SealOriginal(seal));
}

fn interruption(cause: &str, from: i64, to: i64) -> RecordInterruption {
    RecordInterruption {
        activity: id("A-7"),
        from: BEGUN.plus_ms(from * MINUTE),
        to: BEGUN.plus_ms(to * MINUTE),
        cause: cause.to_owned(),
        text: String::new(),
        voice_note: None,
        statement: None,
        reported_to: String::new(),
        kept_by: None,
    }
}

fn told(row: RecordInterruption) -> Command {
    Command::RecordInterruption(Box::new(row))
}

fn voice(number: u8, offset_ms: u64) -> Option<VoiceNote> {
    Some(VoiceNote { item: item(number), offset_ms })
}

fn exemption() -> RecordExemption {
    RecordExemption {
        activity: id("A-7"),
        cause: "evidence_need".to_owned(),
        text: "取证需要".to_owned(),
        legal_basis: "第十六条".to_owned(),
        consented_by: "王五".to_owned(),
        consent_office: ConsentOffice::CaseUnit,
        consented_at: BEGUN,
        work_record: None,
        reported_to: "head".to_owned(),
    }
}

fn exempted(row: RecordExemption) -> Command {
    Command::RecordExemption(Box::new(row))
}

#[test]
fn r_000_13_a_voice_note_on_the_resumed_recording_closes_a_gap() {
    let mut cluster = interrupted();
    let note = |number, offset_ms| {
        told(RecordInterruption { voice_note: voice(number, offset_ms), ..interruption("battery_low", 20, 30) })
    };
    let length = u64::try_from(30 * MINUTE).expect("positive");
    for (name, command) in [
        ("the recording before it", note(1, 5)),
        ("past its end", note(2, length + 1)),
        ("an item of something else", note(9, 5)),
    ] {
        let refusal = cluster.refused("recorder", command, Reason::InvalidArgument);
        assert_eq!(refusal.rule, "R-000-13", "{name}");
    }
    assert_eq!(report(&cluster).preservation, Preservation::Gaps(1));
    cluster.done("recorder", note(2, 5000));
    assert_eq!(cluster.last_record().number(Fact::VoiceNoteMs), Some(5000));
    let found = report(&cluster);
    assert_eq!((found.preservation, found.gaps.len()), (Preservation::Complete, 1), "closed, and still shown");
}

#[test]
fn r_000_13_without_a_voice_note_it_takes_a_report_and_a_written_statement() {
    let mut cluster = interrupted();
    statement(&mut cluster, 8, "U2");
    let base = || interruption("device_fault", 20, 30);
    let refusal = cluster.refused("recorder", told(base()), Reason::StatementMissing);
    assert!(refusal.remedy.contains("the gap stays open"), "{refusal:?}");
    let only = RecordInterruption { statement: Some(item(9)), ..base() };
    cluster.refused("recorder", told(only.clone()), Reason::StatementMissing);
    let only_told = RecordInterruption { reported_to: "队长".to_owned(), ..base() };
    cluster.refused("recorder", told(only_told), Reason::StatementMissing);
    let foreign = RecordInterruption { statement: Some(item(8)), reported_to: "队长".to_owned(), ..base() };
    cluster.refused("recorder", told(foreign), Reason::OutsideUnit);
    let missing = RecordInterruption { statement: Some(item(77)), reported_to: "队长".to_owned(), ..base() };
    cluster.refused("recorder", told(missing), Reason::NotFound);
    assert_eq!(report(&cluster).preservation, Preservation::Gaps(1), "what was refused closed nothing");
    cluster.done("recorder", told(RecordInterruption { reported_to: "队长".to_owned(), ..only }));
    assert_eq!(report(&cluster).preservation, Preservation::Complete);
}

#[test]
fn r_001_10_where_recording_never_resumed_the_custodian_keeps_the_report() {
    let mut cluster = opened();
    record(&mut cluster, 1, 0, 20);
    statement(&mut cluster, 9, "U1");
    let base = RecordInterruption {
        statement: Some(item(9)),
        reported_to: "队长".to_owned(),
        ..interruption("device_fault", 20, 60)
    };
    let refusal = cluster.refused("recorder", told(base.clone()), Reason::StatementMissing);
    assert_eq!(refusal.rule, "R-000-13");
    let kept = |who: &str| told(RecordInterruption { kept_by: Some(id(who)), ..base.clone() });
    cluster.refused("recorder", kept("recorder"), Reason::InvalidArgument);
    cluster.refused("recorder", kept("stranger"), Reason::InvalidArgument);
    cluster.done("recorder", kept("custodian"));
    assert_eq!(cluster.last_record().text(Fact::KeptBy), Some("custodian"));
    assert_eq!(report(&cluster).preservation, Preservation::Complete);
}

#[test]
fn r_000_12_the_same_phase_elsewhere_needs_no_report() {
    let mut cluster = interrupted();
    for cause in ["device_fault", "battery_low", "technical", "other", ELSEWHERE] {
        let mut cluster = cluster.clone();
        let row = RecordInterruption { text: "说明".to_owned(), ..interruption(cause, 20, 30) };
        if cause == ELSEWHERE {
            cluster.done("recorder", told(row));
            assert_eq!(report(&cluster).preservation, Preservation::Complete);
        } else {
            cluster.refused("recorder", told(row), Reason::StatementMissing);
        }
    }
    let unsaid = RecordInterruption { voice_note: voice(2, 5), ..interruption("other", 20, 30) };
    cluster.refused("recorder", told(unsaid.clone()), Reason::FieldMissing);
    cluster.done("recorder", told(RecordInterruption { text: "停电".to_owned(), ..unsaid }));
}

/// Under a regulation: an activity A-9 of U5 that was recorded from 0 to 20 and from 30 to 60, and a statement as item 9.
pub(crate) fn interrupted_under(toml: &str, kind: &str) -> Cluster {
    let mut cluster = Cluster::under(toml);
    let mut opening = opening("A-9", "U5");
    opening.kind = kind.to_owned();
    cluster.done("recorder", Command::OpenActivity(Box::new(opening)));
    for (number, from, to) in [(1, 0, 20), (2, 30, 60)] {
        let mut seal = small(number, "U5");
        seal.open.description.activity = Some(id("A-9"));
        seal.open.description.recorded_start = BEGUN.plus_ms(from * MINUTE);
        seal.open.description.recorded_end = BEGUN.plus_ms(to * MINUTE);
        cluster.done("station", Command::SealOriginal(seal));
    }
    statement(&mut cluster, 9, "U5");
    cluster
}

#[test]
fn each_text_names_its_causes_and_what_explains_them() {
    use Reason::{InvalidArgument, StatementMissing};
    const QIDONG: &str = include_str!("../../../../profiles/qidong-chengguan.toml");
    const RENFANG: &str = include_str!("../../../../profiles/renfang.toml");
    const SHIER: &str = include_str!("../../../../profiles/shier-shi-zhujian.toml");
    const XIAMEN: &str = include_str!("../../../../profiles/xiamen-chengguan.toml");
    const NEIQIU: &str = include_str!("../../../../profiles/neiqiu-weijian.toml");
    let note = |cause| RecordInterruption { voice_note: voice(2, 5), ..interruption(cause, 20, 30) };
    let written = |cause, to: &str| RecordInterruption {
        statement: Some(item(9)),
        reported_to: to.to_owned(),
        ..interruption(cause, 20, 30)
    };
    let bare = |cause| interruption(cause, 20, 30);
    let elsewhere = ELSEWHERE;
    for (toml, kind, row, expected, rule) in [
        (QIDONG, "site_inspection", note("battery_low"), None, "R-000-13"),
        (QIDONG, "site_inspection", bare(elsewhere), None, "R-000-13"),
        (QIDONG, "site_inspection", note("technical"), Some(InvalidArgument), "R-000-13"),
        (QIDONG, "site_inspection", written("battery_low", ""), Some(StatementMissing), "R-000-13"),
        (RENFANG, "巡查", note("technical"), None, "R-001-10"),
        (RENFANG, "巡查", written("technical", ""), None, "R-001-10"),
        (RENFANG, "巡查", bare("technical"), Some(StatementMissing), "R-001-10"),
        (RENFANG, "巡查", note("battery_low"), Some(InvalidArgument), "R-001-10"),
        (SHIER, "service", note("place_changed"), None, "R-002-11"),
        (SHIER, "service", bare("place_changed"), Some(StatementMissing), "R-002-11"),
        (SHIER, "service", bare(elsewhere), Some(InvalidArgument), "R-002-11"),
        (XIAMEN, "service", note("bad_weather"), Some(StatementMissing), "R-003-6b"),
        (XIAMEN, "service", written("bad_weather", ""), Some(StatementMissing), "R-003-6b"),
        (XIAMEN, "service", written("bad_weather", "上级领导"), None, "R-003-6b"),
        (XIAMEN, "service", written("storage_full", "上级领导"), Some(InvalidArgument), "R-003-6b"),
        (NEIQIU, "complaint", note("technical"), Some(StatementMissing), "R-004-6"),
        (NEIQIU, "complaint", written("technical", ""), None, "R-004-6"),
        (NEIQIU, "complaint", written("bad_weather", "局长"), Some(InvalidArgument), "R-004-6"),
    ] {
        let mut cluster = interrupted_under(toml, kind);
        let row = RecordInterruption { activity: id("A-9"), ..row };
        let told_row = format!("{row:?}");
        match expected {
            None => {
                let words = words_of(toml, &row.cause);
                cluster.done("recorder", told(row));
                assert_eq!(cluster.last_record().rule, rule, "{told_row}");
                let listed = INTERRUPTIONS.scan(&cluster.rows, &unit("U5"), None, 1).expect("reads");
                assert_eq!(listed[0].1.cause_words, words, "the register speaks as the text does");
            }
            Some(reason) => {
                let refusal = cluster.refused("recorder", told(row), reason);
                assert_eq!(refusal.rule, rule, "{told_row}");
                assert!(refusal.message.contains("the text says: "), "the article is quoted: {refusal:?}");
            }
        }
    }
}

/// What the profile calls a cause.
fn words_of(toml: &str, cause: &str) -> String {
    let stated = Profile::from_toml(toml).expect("a profile").interruption.expect("it speaks of interruptions");
    let code = stated.causes.into_iter().chain(stated.gaps).find(|code| code.code == cause);
    code.expect("a cause of the profile").words
}

/// A sixth agency names causes of its own in its profile, and one that names none takes any, explained and in words.
#[test]
fn causes_are_what_the_profile_says_and_no_list_of_ours_r_000_13() {
    let voiced = |cause: &str, text: &str| {
        told(RecordInterruption {
            activity: id("A-9"),
            voice_note: voice(2, 5),
            text: text.to_owned(),
            ..interruption(cause, 20, 30)
        })
    };
    let own = format!(
        "{SILENT}[interruption]\ncauses = [{{ code = \"flood\", words = \"洪水\" }}]\nvoice-note = true\n\
         statement = true\nrule = \"R-X-1\"\narticle = \"因洪水中断的\"\n"
    );
    let mut cluster = interrupted_under(&own, "patrol");
    let refusal = cluster.refused("recorder", voiced("battery_low", ""), Reason::InvalidArgument);
    assert_eq!((refusal.rule.as_str(), refusal.remedy.as_str()), ("R-X-1", "one of: flood 洪水"));
    cluster.done("recorder", voiced("flood", ""));

    let mut cluster = interrupted_under(SILENT, "patrol");
    cluster.refused("recorder", voiced("", "停电"), Reason::FieldMissing);
    cluster.refused("recorder", voiced("blackout", ""), Reason::FieldMissing);
    let bare = RecordInterruption { activity: id("A-9"), text: "x".to_owned(), ..interruption(ELSEWHERE, 20, 30) };
    cluster.refused("recorder", told(bare), Reason::StatementMissing);
    cluster.done("recorder", voiced("blackout", "停电"));
    assert_eq!(cluster.last_record().rule, "B10", "no text is cited that is not the agency's own");
}

#[test]
fn an_interruption_has_a_length_and_lies_in_the_past() {
    let mut cluster = interrupted();
    for (from, to) in [(30, 20), (20, 20), (20, 200)] {
        let row = RecordInterruption { voice_note: voice(2, 5), ..interruption("bad_weather", from, to) };
        cluster.refused("recorder", told(row), Reason::InvalidArgument);
    }
}

#[test]
fn r_000_13_a_gap_that_grows_is_open_again() {
    let mut cluster = interrupted();
    cluster.done("recorder", told(interruption(ELSEWHERE, 20, 30)));
    assert_eq!(report(&cluster).preservation, Preservation::Complete);
    let detach = strongroom_custody::activity::AttachItem {
        activity: id("A-7"),
        item: item(2),
        phase: None,
        angle: None,
        detach: Some("另一起".to_owned()),
    };
    cluster.done("recorder", Command::AttachItem(detach));
    assert_eq!(report(&cluster).preservation, Preservation::Gaps(1), "the record covers a part of it only");
}

#[test]
fn interruptions_of_an_activity_have_a_limit() {
    let mut cluster = opened();
    let row = || told(interruption(ELSEWHERE, 20, 30));
    for _ in 0..limits::ACTIVITY_INTERRUPTIONS_MAX {
        cluster.done("recorder", row());
    }
    cluster.refused("recorder", row(), Reason::InvalidArgument);
    let mut cluster = opened();
    for _ in 0..limits::ACTIVITY_EXEMPTIONS_MAX {
        cluster.done("recorder", exempted(exemption()));
    }
    cluster.refused("recorder", exempted(exemption()), Reason::InvalidArgument);
}

#[test]
fn r_002_7_an_exemption_without_a_basis_is_refused() {
    type Change = fn(&mut RecordExemption);
    let cases: [(Change, Reason, &str); 6] = [
        (|e| e.cause = "urgent".to_owned(), Reason::InvalidArgument, "R-000-16"),
        (|e| e.legal_basis = " ".to_owned(), Reason::FieldMissing, "R-000-16"),
        (|e| e.text.clear(), Reason::FieldMissing, "R-000-16"),
        (|e| e.consented_by.clear(), Reason::FieldMissing, "R-000-16"),
        (|e| e.consented_at = START.plus_ms(HOUR), Reason::InvalidArgument, ""),
        (|e| e.work_record = Some(item(77)), Reason::NotFound, ""),
    ];
    for (change, reason, rule) in cases {
        let mut row = exemption();
        change(&mut row);
        let refusal = opened().refused("recorder", exempted(row), reason);
        assert_eq!(refusal.rule, rule, "{refusal:?}");
    }
}

#[test]
fn r_000_16_late_and_self_consented_exemptions_are_taken_marked_and_told_to_the_head() {
    let mut open_still = Cluster::new();
    open_still.done("recorder", open("A-7", "U1"));
    open_still.done("recorder", exempted(exemption()));
    assert_eq!(open_still.last_record().text(Fact::Finding), None, "before the activity ended, by somebody else");
    assert_eq!(report(&open_still).preservation, Preservation::Exempt);
    let notices = |cluster: &Cluster| NOTICES.scan(&cluster.rows, &unit("U1"), None, 9).expect("reads").len();
    assert_eq!(notices(&open_still), 0);
    for consented_by in ["recorder", &opening("A-7", "U1").officers[0].name] {
        let mut cluster = opened();
        cluster.done("recorder", exempted(RecordExemption { consented_by: consented_by.to_owned(), ..exemption() }));
        let marks = Some("EXEMPTION_LATE EXEMPTION_SELF_CONSENTED");
        assert_eq!(cluster.last_record().text(Fact::Finding), marks, "R-004-8: {consented_by}");
        assert_eq!(notices(&cluster), 1);
        assert_eq!(report(&cluster).preservation, Preservation::Exempt);
    }
}

#[test]
fn r_002_7_the_work_record_is_asked_for_until_it_is_filed() {
    let mut cluster = opened();
    cluster.done("recorder", exempted(exemption()));
    let missing = |cluster: &Cluster| report(cluster).findings.contains(&"WORK_RECORD_MISSING".to_owned());
    assert!(missing(&cluster));
    statement(&mut cluster, 9, "U1");
    let number = activity(&cluster).exemptions[0];
    let file = |of, number, reported_to: &str| {
        let reported_to = reported_to.to_owned();
        Command::FileStatement(FileStatement { activity: id("A-7"), of, number, item: item(9), reported_to })
    };
    cluster.refused("recorder", file(StatementOf::Exemption, number, ""), Reason::FieldMissing);
    cluster.refused("recorder", file(StatementOf::Interruption, number, "head"), Reason::NotFound);
    cluster.refused("recorder", file(StatementOf::Exemption, RecordSeq(1), "head"), Reason::NotFound);
    cluster.done("recorder", file(StatementOf::Exemption, number, "head"));
    assert!(!missing(&cluster));
    for _ in 1..limits::STATEMENTS_MAX {
        cluster.done("recorder", file(StatementOf::Exemption, number, "head"));
    }
    cluster.refused("recorder", file(StatementOf::Exemption, number, "head"), Reason::InvalidArgument);
    let listed = EXEMPTIONS.scan(&cluster.rows, &unit("U1"), None, 9).expect("reads");
    assert_eq!(listed[0].1.filed[0].item, item(9));
}

#[test]
fn a_statement_is_filed_with_an_interruption_of_the_same_activity_only() {
    let mut cluster = interrupted();
    cluster.done("recorder", told(interruption(ELSEWHERE, 20, 30)));
    let number = activity(&cluster).interruptions[0];
    cluster.done("recorder", open("A-8", "U1"));
    let file = |activity: &str| {
        let (of, reported_to) = (StatementOf::Interruption, "队长".to_owned());
        Command::FileStatement(FileStatement { activity: id(activity), of, number, item: item(9), reported_to })
    };
    cluster.refused("recorder", file("A-8"), Reason::NotFound);
    cluster.done("recorder", file("A-7"));
    assert_eq!(report(&cluster).interruptions[0].filed.len(), 1);
}

#[test]
fn what_was_recorded_beside_an_exemption_is_judged_by_its_gaps() {
    let mut cluster = opened();
    cluster.done("recorder", exempted(exemption()));
    record(&mut cluster, 1, 0, 20);
    assert_eq!(report(&cluster).preservation, Preservation::Gaps(1));
    cluster.done("recorder", set(Moment::ActivityEnded, BEGUN.plus_ms(20 * MINUTE), "提前结束"));
    assert_eq!(report(&cluster).preservation, Preservation::Complete);
}

#[test]
fn rows_of_registers_are_stored_as_they_always_were() {
    let filed =
        Filed { item: item(9), reported_to: "head".to_owned(), by: id("recorder"), at: START, seq: RecordSeq(7) };
    let interrupted = InterruptionRow {
        activity: id("A-7"),
        from: BEGUN,
        to: START,
        cause: "other".to_owned(),
        cause_words: "等客观原因".to_owned(),
        text: "停电".to_owned(),
        voice_note: voice(2, 2500),
        statement: Some(item(9)),
        reported_to: "队长".to_owned(),
        kept_by: Some(id("custodian")),
        by: id("recorder"),
        at: START,
        seq: RecordSeq(6),
        filed: vec![filed.clone()],
    };
    let exempted = ExemptionRow {
        activity: id("A-7"),
        cause: "force_majeure".to_owned(),
        cause_words: "不可抗拒事由".to_owned(),
        text: "地震".to_owned(),
        legal_basis: "第十六条".to_owned(),
        consented_by: "王五".to_owned(),
        consent_office: ConsentOffice::OnScene,
        consented_at: BEGUN,
        work_record: Some(item(9)),
        reported_to: "head".to_owned(),
        by: id("recorder"),
        at: START,
        seq: RecordSeq(8),
        findings: vec!["EXEMPTION_LATE".to_owned()],
        filed: vec![filed],
    };
    let lines = vec![golden::line("interruptions", &interrupted), golden::line("exemptions", &exempted)];
    golden::check("registers", lines);
}

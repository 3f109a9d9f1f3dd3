//! Results of inspections: of what was drawn or named and of nothing else, under the heads of the agency's own text, appended
//! and never changed, and put right by a date.

use std::collections::BTreeMap;

use strongroom_custody::{
    Act, Answer, Command, Fact,
    draw::{self, TargetInspection, row::DrawRow},
    inspection::{self, AnswerRectification, DueRow, HeadResult, InspectionOf, RecordResult, Rectification, ResultRow},
    tables::NOTICES,
};
use strongroom_types::{Reason, RecordSeq, Role, UnixMillis, limits};

use crate::{
    draws::{a_draw, agencies, drawn},
    fixture::{Cluster, DAY, START, id, item, small},
    golden,
};

/// The five heads of R-000-27.
const HEADS: [&str; 5] = ["recorded", "conduct", "uninterrupted", "handling", "devices"];

fn heads(codes: &[&str], unmet: &str) -> BTreeMap<String, HeadResult> {
    let found = |code: &&str| ((*code).to_owned(), HeadResult { met: *code != unmet, note: String::new() });
    codes.iter().map(found).collect()
}

fn good(of: InspectionOf, number: strongroom_types::ItemId) -> RecordResult {
    RecordResult {
        of,
        item: number,
        heads: heads(&HEADS, ""),
        problem: String::new(),
        rectification: None,
        report_period: "2026年第一季度".to_owned(),
        corrects: None,
        reason: String::new(),
    }
}

/// As [`good`], with one head that is not met, and something to be put right within ten days.
fn bad(cluster: &Cluster, of: InspectionOf, number: strongroom_types::ItemId) -> RecordResult {
    let rectification = Some(Rectification {
        measure: "专题培训".to_owned(),
        responsible: id("recorder"),
        due: cluster.wall.plus_ms(10 * DAY),
    });
    let (heads, problem) = (heads(&HEADS, "conduct"), "未亮证".to_owned());
    RecordResult { heads, problem, rectification, ..good(of, number) }
}

fn entered(row: RecordResult) -> Command {
    Command::RecordResult(Box::new(row))
}

fn answered(of: InspectionOf, number: strongroom_types::ItemId, entry: RecordSeq, done: &str) -> Command {
    Command::AnswerRectification(AnswerRectification { of, item: number, entry, done: done.to_owned() })
}

fn seq(answer: &Answer) -> RecordSeq {
    match answer {
        Answer::Recorded(seq) => *seq,
        other => panic!("no record but {other:?}"),
    }
}

/// A completed draw of the agency of R-000-27, and what it selected.
fn sample() -> (Cluster, DrawRow, Vec<strongroom_types::ItemId>) {
    let mut cluster = agencies();
    let row = a_draw(&mut cluster);
    let row = drawn(&mut cluster, &row, 1);
    let items = draw::drawn(&cluster.rows, &row).expect("reads");
    (cluster, row, items)
}

#[test]
fn r_000_27_a_result_is_entered_under_the_five_heads_of_what_was_drawn_alone() {
    let (mut cluster, row, items) = sample();
    let of = InspectionOf::Draw(row.id);
    let first = items[0];
    let strange = (1..=30).map(item).find(|other| !items.contains(other)).expect("one that was not drawn");
    let refusal = cluster.refused("inspector", entered(good(of, strange)), Reason::NotFound);
    assert!(refusal.message.contains("neither drawn nor named"), "{refusal:?}");
    type Change = fn(&mut RecordResult);
    let cases: [(Change, Reason); 6] = [
        (|row| drop(row.heads.remove("devices")), Reason::FieldMissing),
        (
            |row| drop(row.heads.insert("weather".to_owned(), HeadResult { met: true, note: String::new() })),
            Reason::InvalidArgument,
        ),
        (|row| row.heads = heads(&HEADS, "conduct"), Reason::FieldMissing),
        (
            |row| {
                row.rectification = Some(Rectification {
                    measure: "x".to_owned(),
                    responsible: id("legal"),
                    due: UnixMillis(i64::MAX),
                });
            },
            Reason::InvalidArgument,
        ),
        (|row| row.corrects = Some(RecordSeq(1)), Reason::NotFound),
        (|row| row.of = InspectionOf::Draw(strongroom_types::DrawId(99)), Reason::NotFound),
    ];
    for (change, reason) in cases {
        let mut row = good(of, first);
        change(&mut row);
        cluster.refused("inspector", entered(row), reason);
    }
    let mut late = bad(&cluster, of, first);
    late.rectification.as_mut().expect("asked").due = START;
    cluster.refused("inspector", entered(late), Reason::InvalidArgument);
    let mut nobody = bad(&cluster, of, first);
    nobody.rectification.as_mut().expect("asked").responsible = id("nobody");
    cluster.refused("inspector", entered(nobody), Reason::NotFound);
    assert_eq!(cluster.refused("head", entered(good(of, first)), Reason::RoleNotAllowed).rule, "R-000-27");

    // Complete only when each item that was drawn has one.
    for (count, number) in items.iter().enumerate() {
        let sheet = inspection::sheet(&cluster.rows, of).expect("drawn");
        assert_eq!(sheet.missing(), items.len() - count);
        assert_eq!(sheet.lines.iter().map(|(item, _)| *item).collect::<Vec<_>>(), items, "none is left out");
        cluster.done("inspector", entered(good(of, *number)));
        let record = cluster.last_record();
        assert_eq!((record.act, record.rule.as_str()), (Act::InspectionResult, "R-000-27"));
    }
    assert_eq!(inspection::sheet(&cluster.rows, of).expect("drawn").missing(), 0);
}

#[test]
fn an_entry_is_corrected_by_a_further_one_and_both_stay() {
    let (mut cluster, row, items) = sample();
    let of = InspectionOf::Draw(row.id);
    let first = seq(&cluster.done("inspector", entered(good(of, items[0]))));
    cluster.refused("inspector", entered(good(of, items[0])), Reason::AlreadyExists);
    let corrected = |cluster: &Cluster, corrects, reason: &str| {
        entered(RecordResult { corrects: Some(corrects), reason: reason.to_owned(), ..bad(cluster, of, items[0]) })
    };
    let without = corrected(&cluster, first, " ");
    cluster.refused("inspector", without, Reason::FieldMissing);
    let with = corrected(&cluster, first, "复看录像");
    let second = seq(&cluster.done("inspector", with));
    assert_eq!(cluster.last_record().number(Fact::Corrects), Some(first.0));
    let stale = corrected(&cluster, first, "再改");
    cluster.refused("inspector", stale, Reason::AlreadyExists);
    let entries = inspection::entries(&cluster.rows, of, items[0]).expect("reads");
    assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [first, second]);
    assert!(entries[0].problem.is_empty() && entries[1].problem == "未亮证", "both are shown");
}

#[test]
fn what_is_to_be_put_right_is_answered_for_or_becomes_a_finding() {
    let (mut cluster, row, items) = sample();
    let of = InspectionOf::Draw(row.id);
    let asked = |cluster: &mut Cluster, number| {
        let row = bad(cluster, of, number);
        seq(&cluster.done("inspector", entered(row)))
    };
    let first = asked(&mut cluster, items[0]);
    let refusal = cluster.refused("custodian", answered(of, items[0], first, "已培训"), Reason::NotYourStep);
    assert!(refusal.message.contains("recorder does"), "{refusal:?}");
    cluster.refused("recorder", answered(of, items[0], first, " "), Reason::FieldMissing);
    cluster.refused("recorder", answered(of, items[0], RecordSeq(1), "x"), Reason::NotFound);
    cluster.done("recorder", answered(of, items[0], first, "已培训"));
    cluster.refused("recorder", answered(of, items[0], first, "又说一遍"), Reason::WrongState);
    let state = |cluster: &Cluster, number| {
        let entries = inspection::entries(&cluster.rows, of, number).expect("reads");
        entries.last().expect("an entry").state(cluster.wall)
    };
    assert_eq!(state(&cluster, items[0]), Some("answered"));

    let second = asked(&mut cluster, items[1]);
    assert_eq!(state(&cluster, items[1]), Some("open"));
    cluster.pass(9 * DAY);
    assert!(cluster.records.iter().all(|record| record.act != Act::InspectionOverdue), "its time has not come");
    cluster.pass(2 * DAY);
    let overdue: Vec<_> = cluster.records.iter().filter(|record| record.act == Act::InspectionOverdue).collect();
    let [record] = overdue.as_slice() else { panic!("one was put right, and one was not: {overdue:?}") };
    assert_eq!((record.items.as_slice(), record.text(Fact::Receiver)), (&[items[1]][..], Some("recorder")));
    assert_eq!(record.text(Fact::Finding), Some("RECTIFICATION_OVERDUE"));
    let notices = NOTICES.scan(&cluster.rows, &(), None, 10).expect("reads");
    assert!(notices.iter().any(|(_, notice)| notice.finding == "RECTIFICATION_OVERDUE"), "the head is told");
    assert_eq!(state(&cluster, items[1]), Some("overdue"));
    cluster.pass(DAY);
    let again = cluster.records.iter().filter(|record| record.act == Act::InspectionOverdue).count();
    assert_eq!(again, 1, "it is found once");
    cluster.done("unit-head", answered(of, items[1], second, "补训"));
    assert_eq!(cluster.last_record().text(Fact::Finding), Some("RECTIFIED_LATE"));
    assert_eq!(state(&cluster, items[1]), Some("answered-late"));
}

/// Heads of units look into their own unit without a complaint where the text says so, and under its article.
#[test]
fn r_004_20_the_head_of_a_unit_inspects_it_every_day_and_nobody_elses() {
    let mut create = crate::fixture::created();
    create.profiles.push(include_str!("../../../../profiles/neiqiu-weijian.toml").to_owned());
    for unit in ["N", "N2"] {
        let (full_name, profile) = (format!("{unit} 所"), id("neiqiu-weijian"));
        create.units.push(strongroom_custody::command::AddUnit { unit: id(unit), full_name, profile });
    }
    create.principals.push(strongroom_custody::command::RegisterPrincipal {
        principal: id("head-n"),
        key: crate::fixture::key("head-n"),
        roles: vec![Role::UnitHead],
        unit: Some(id("N")),
    });
    let mut cluster = Cluster::from(create);
    for (number, unit) in [(1, "N"), (2, "N2")] {
        cluster.done("station", Command::SealOriginal(small(number, unit)));
    }
    let look = |number, reason: &str| {
        let (items, complaint) = (vec![item(number)], String::new());
        Command::TargetInspection(TargetInspection { items, complaint, reason: reason.to_owned() })
    };
    cluster.refused("head-n", look(2, "日常检查"), Reason::OutsideUnit);
    cluster.refused("unit-head", look(1, "日常检查"), Reason::RoleNotAllowed);
    assert_eq!(cluster.refused("legal", look(1, "日常检查"), Reason::FieldMissing).rule, "C5", "legal has a complaint");
    let of = InspectionOf::Target(seq(&cluster.done("head-n", look(1, "日常检查"))));
    assert_eq!(cluster.last_record().rule, "R-004-20");
    let row = RecordResult { heads: heads(&["recorded_in_full", "conduct"], ""), ..good(of, item(1)) };
    cluster.done("head-n", entered(row));
    assert_eq!(cluster.last_record().rule, "R-004-20");
    assert_eq!(inspection::sheet(&cluster.rows, of).expect("there").missing(), 0);
}

#[test]
fn an_item_has_so_many_entries_and_no_more() {
    let (mut cluster, row, items) = sample();
    let of = InspectionOf::Draw(row.id);
    let mut newest = None;
    for _ in 0..limits::INSPECTION_ENTRIES_MAX {
        let row = RecordResult { corrects: newest, reason: "再看".to_owned(), ..good(of, items[0]) };
        newest = Some(seq(&cluster.done("inspector", entered(row))));
    }
    let row = RecordResult { corrects: newest, reason: "再看".to_owned(), ..good(of, items[0]) };
    cluster.refused("inspector", entered(row), Reason::InvalidArgument);
}

#[test]
fn rows_of_inspections_are_stored_as_they_always_were() {
    let row = ResultRow {
        heads: heads(&["recorded", "conduct"], "conduct"),
        problem: "未亮证".to_owned(),
        rectification: Some(Rectification { measure: "培训".to_owned(), responsible: id("li"), due: START }),
        report_period: "2026Q1".to_owned(),
        by: id("inspector"),
        role: Role::Inspector,
        at: START,
        seq: RecordSeq(7),
        corrects: Some((RecordSeq(6), "复看".to_owned())),
        answered: Some(inspection::Answered {
            done: "已培训".to_owned(), by: id("li"), at: START, seq: RecordSeq(8)
        }),
        overdue_since: Some(START),
        rule: "R-000-27".to_owned(),
    };
    let due = DueRow { of: InspectionOf::Target(RecordSeq(9)), item: item(1) };
    golden::check(
        "inspections",
        vec![golden::line("inspection_results", &row), golden::line("rectifications_due", &due)],
    );
}

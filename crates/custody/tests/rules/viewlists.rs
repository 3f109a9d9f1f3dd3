//! Standing views by what ties an item to a person: one's own activity, one's own case, and lists that were handed over.

use strongroom_custody::{
    Act, Answer, Command, Fact,
    activity::{AttachItem, CorrectActivity, Corrected, Officer, OpenActivity},
    case::{ArchiveCase, BindCase, OpenCase, Term},
    command::{AddUnit, RegisterPrincipal},
    viewlist::{CloseList, GiveList},
};
use strongroom_types::{Reason, RecordSeq, Role};

use crate::{
    chains::{NEIQIU, QIDONG, RENFANG, SHIER, XIAMEN, five, five_and, standing},
    fixture::{Cluster, DAY, START, created, id, item, key, small},
    samples::opening,
};

fn activity(officer: &str) -> OpenActivity {
    let officers = vec![Officer { name: officer.to_owned(), certificate: "ZF001".to_owned() }];
    // The fixture's items come from the station under this number.
    OpenActivity { officers, kind: "site_inspection".to_owned(), ..opening("A-7", "Q1") }
}

fn open(activity: OpenActivity) -> Command {
    Command::OpenActivity(Box::new(activity))
}

fn give(viewer: &str, items: &[u8], until_days: i64) -> Command {
    Command::GiveList(GiveList {
        viewer: id(viewer),
        items: items.iter().map(|number| item(*number)).collect(),
        document: "厦城案〔2026〕7号".to_owned(),
        until: START.plus_ms(until_days * DAY),
    })
}

fn given(answer: Answer) -> RecordSeq {
    match answer {
        Answer::Recorded(seq) => seq,
        other => panic!("{other:?}"),
    }
}

fn close(viewer: &str, list: RecordSeq) -> Command {
    Command::CloseList(CloseList { viewer: id(viewer), list, result: "完整、规范".to_owned() })
}

/// An empty cluster of the five agencies: item 6 comes when the test says so.
fn seal(cluster: &mut Cluster) {
    cluster.done("station", Command::SealOriginal(small(6, "Q1")));
}

#[test]
fn a_recorder_views_what_they_recorded_in_their_own_activity_r_000_20_r_003_5a_r_004_16() {
    // Another person says whose activity it is, or the recorder said so before the footage was there.
    for (opened_by, officer, before, sees) in [
        ("unit-head", "recorder", false, true),
        ("unit-head", "李四", true, false),
        ("recorder", "李四", true, true),
        ("recorder", "recorder", false, false),
    ] {
        let mut cluster = five();
        if !before {
            seal(&mut cluster);
        }
        cluster.done(opened_by, open(activity(officer)));
        if before {
            seal(&mut cluster);
        }
        if sees {
            cluster.done("recorder", standing(1, 6));
            let record = cluster.last_record();
            assert_eq!((record.act, record.rule.as_str()), (Act::ViewBegin, "R-000-20"));
            assert_eq!(record.text(Fact::Basis), Some("activity A-7"));
        } else {
            let refusal = cluster.refused("recorder", standing(1, 6), Reason::ApprovalMissing);
            assert_eq!(refusal.rule, "R-000-20", "{opened_by}, {officer}: {refusal:?}");
        }
    }
}

#[test]
fn nobody_makes_footage_their_own_afterwards() {
    // Officers corrected by the recorder, and an item that was taken out of the activity.
    let mut cluster = five();
    cluster.done("unit-head", open(activity("李四")));
    seal(&mut cluster);
    let officers = vec![Officer { name: "recorder".to_owned(), certificate: "ZF001".to_owned() }];
    let correct = |activity: &str| {
        Command::CorrectActivity(CorrectActivity {
            activity: id(activity),
            to: Corrected::Officers(officers.clone()),
            reason: "漏写".to_owned(),
        })
    };
    cluster.done("recorder", correct("A-7"));
    cluster.refused("recorder", standing(1, 6), Reason::ApprovalMissing);
    let mut cluster = five();
    cluster.done("recorder", open(activity("李四")));
    seal(&mut cluster);
    let detach =
        AttachItem {
            activity: id("A-7"), item: item(6), phase: None, angle: None, detach: Some("不属于".to_owned())
        };
    cluster.done("unit-head", Command::AttachItem(detach));
    cluster.refused("recorder", standing(1, 6), Reason::ApprovalMissing);
}

#[test]
fn a_case_handler_views_what_others_bound_to_their_open_case() {
    let text = include_str!("strict.toml").replace("name = \"strict\"", "name = \"handled\"");
    let text = format!("{text}\n[[standing-view]]\nroles = [\"recorder\"]\nover = \"own-case\"\nrule = \"C5\"\n");
    let mut create = created();
    create.profiles.push(text);
    create.units.push(AddUnit { unit: id("G1"), full_name: "G1".to_owned(), profile: id("handled") });
    let mut cluster = Cluster::from(create);
    for number in [6, 7] {
        cluster.done("station", Command::SealOriginal(small(number, "G1")));
    }
    let case = OpenCase { case: id("C-1"), unit: id("G1"), title: "占道经营".to_owned() };
    cluster.done("recorder", Command::OpenCase(case));
    let bind = |number: u8| Command::BindCase(BindCase { case: id("C-1"), items: vec![item(number)] });
    cluster.done("recorder", bind(6));
    cluster.refused("recorder", standing(1, 6), Reason::ApprovalMissing);
    cluster.done("unit-head", bind(7));
    cluster.done("recorder", standing(1, 7));
    assert_eq!(cluster.last_record().text(Fact::Basis), Some("case C-1"));
    let archive = ArchiveCase { case: id("C-1"), date: START, term: Some(Term::Months(120)) };
    cluster.done("legal", Command::ArchiveCase(archive));
    cluster.refused("recorder", standing(2, 7), Reason::ApprovalMissing);
}

#[test]
fn the_reviewer_views_the_list_of_a_case_that_was_handed_over_r_003_5d() {
    let mut cluster = five();
    cluster.refused("legal", standing(1, XIAMEN), Reason::ApprovalMissing);
    let list = given(cluster.done("unit-head", give("legal", &[XIAMEN], 30)));
    assert_eq!((cluster.last_record().act, cluster.last_record().rule.as_str()), (Act::ListGive, "R-003-5d"));
    cluster.done("legal", standing(1, XIAMEN));
    let basis = cluster.last_record().text(Fact::Basis).expect("a basis").to_owned();
    assert!(basis.contains("厦城案〔2026〕7号") && basis.contains(&list.to_string()), "{basis}");
    cluster.refused("legal-2", standing(2, XIAMEN), Reason::ApprovalMissing);
    cluster.refused("archivist", close("legal", list), Reason::RoleNotAllowed);
    let refusal = cluster.refused("recorder", close("legal", list), Reason::NotYourStep);
    assert!(refusal.remedy.contains("either of them"), "{refusal:?}");
    cluster.done("legal", close("legal", list));
    assert_eq!(cluster.last_record().text(Fact::Outcome), Some("完整、规范"));
    cluster.refused("legal", close("legal", list), Reason::WrongState);
    cluster.refused("legal", standing(3, XIAMEN), Reason::ApprovalMissing);
}

#[test]
fn a_list_ends_with_its_time() {
    let mut cluster = five();
    cluster.done("unit-head", give("legal", &[XIAMEN], 3));
    cluster.done("legal", standing(1, XIAMEN));
    cluster.pass(3 * DAY);
    cluster.refused("legal", standing(2, XIAMEN), Reason::ApprovalMissing);
}

#[test]
fn a_list_gives_only_what_the_profile_gives_and_nobody_makes_their_own() {
    let both = RegisterPrincipal {
        principal: id("both"),
        key: key("both"),
        roles: vec![Role::UnitHead, Role::Legal],
        unit: None,
    };
    let in_s1 = RegisterPrincipal {
        principal: id("legal S1"),
        key: key("legal S1"),
        roles: vec![Role::Legal],
        unit: Some(id("S1")),
    };
    let cluster = five_and(vec![both, in_s1]);
    for (who, command, reason) in [
        ("both", give("both", &[XIAMEN], 3), Reason::SamePerson),
        ("legal", give("legal-2", &[XIAMEN], 3), Reason::RoleNotAllowed),
        ("inspector", give("legal", &[XIAMEN], 3), Reason::RoleNotAllowed),
        // What a complaint names is no list: the inspector enters it.
        ("unit-head", give("inspector", &[XIAMEN], 3), Reason::RoleNotAllowed),
        // 001 and 002 give no standing view, and no list makes one.
        ("unit-head", give("legal", &[RENFANG], 3), Reason::RoleNotAllowed),
        ("unit-head", give("legal", &[SHIER], 3), Reason::RoleNotAllowed),
        ("unit-head", give("legal", &[QIDONG], 3), Reason::RoleNotAllowed),
        ("unit-head", give("legal", &[NEIQIU], 3), Reason::RoleNotAllowed),
        ("unit-head", give("recorder", &[XIAMEN], 3), Reason::RoleNotAllowed),
        ("unit-head", give("legal S1", &[XIAMEN], 3), Reason::OutsideUnit),
        ("unit-head", give("stranger", &[XIAMEN], 3), Reason::NotFound),
        ("unit-head", give("legal", &[99], 3), Reason::NotFound),
        ("unit-head", give("legal", &[], 3), Reason::InvalidArgument),
        ("unit-head", give("legal", &[XIAMEN], 0), Reason::InvalidArgument),
        ("unit-head", give("legal", &[XIAMEN], 400), Reason::InvalidArgument),
    ] {
        cluster.clone().refused(who, command, reason);
    }
}

#[test]
fn each_text_gives_the_standing_views_that_it_gives_and_001_and_002_none_r_001_15_r_002_16() {
    // Who sees one item of the agency with nothing that ties it to them.
    for (of, seen_by) in
        [(QIDONG, &["unit-head"][..]), (RENFANG, &[]), (SHIER, &[]), (XIAMEN, &[]), (NEIQIU, &["unit-head", "legal"])]
    {
        for who in ["recorder", "custodian", "unit-head", "legal", "archivist", "approver", "head", "inspector"] {
            let mut cluster = five();
            if seen_by.contains(&who) {
                cluster.done(who, standing(1, of));
            } else {
                cluster.refused(who, standing(1, of), Reason::ApprovalMissing);
            }
        }
        let mut cluster = five();
        for who in ["ops", "security", "auditor", "station"] {
            cluster.refused(who, standing(1, of), Reason::RoleNotAllowed);
        }
    }
}

//! Units are renamed, merged, divided and abolished: powers move, and what was made stays as it is.

use strongroom_custody::{
    Act, Answer, Command, Fact,
    access::{self, Stop},
    case::{CloseCase, Outcome},
    clock,
    command::{AddUnit, LabelItem, RegisterPrincipal, RevokePrincipal},
    device::{self, What},
    keeper::NameKeeper,
    profile::RequestAct,
    proposal::ProposalApproval,
    retention::{self, Keeper},
    tables::{CASES, DEVICE_ENTRIES, DEVICES, PRINCIPALS, UNITS, UnitRow},
    unit::{self, FormerName, UnitEnd},
    unit_change::{
        ApproveUnitChange, Counts, Moved, ProposeUnitChange, Subject, UnitChange, UnitChangeRow, WithdrawUnitChange,
        all_waiting, plan,
    },
};
use strongroom_types::{Reason, RecordSeq, Role, UnixMillis};

use crate::{
    cases::{bind, open},
    fixture::{Cluster, DAY, START, id, item, key, small, submit, unit},
    golden,
    samples::PROPOSED,
    transfers::{give, take},
};

fn propose(change: UnitChange, from: Option<UnixMillis>) -> Command {
    Command::ProposeUnitChange(Box::new(ProposeUnitChange { change, from, basis: "编办〔2026〕4号".to_owned() }))
}

fn approve(proposal: RecordSeq) -> Command {
    Command::ApproveUnitChange(ApproveUnitChange { proposal })
}

fn withdraw(proposal: RecordSeq) -> Command {
    Command::WithdrawUnitChange(WithdrawUnitChange { proposal, reason: "方案调整".to_owned() })
}

fn merge(units: &[&str], into: &str) -> UnitChange {
    UnitChange::Merge(units.iter().map(|name| unit(name)).collect(), unit(into))
}

fn abolish(name: &str, successor: &str) -> UnitChange {
    UnitChange::Abolish(unit(name), unit(successor))
}

fn rename(name: &str, full_name: &str) -> UnitChange {
    UnitChange::Rename(unit(name), full_name.to_owned())
}

fn split(name: &str, into: &[&str], moved: Vec<(Subject, &str)>) -> UnitChange {
    let moved = moved.into_iter().map(|(what, to)| Moved { what, to: unit(to) }).collect();
    UnitChange::Split(unit(name), into.iter().map(|name| unit(name)).collect(), moved)
}

fn label(number: u8) -> Command {
    Command::LabelItem(LabelItem { item: item(number), name: "place".to_owned(), value: "gate".to_owned() })
}

#[track_caller]
fn proposed(cluster: &mut Cluster, change: UnitChange) -> RecordSeq {
    match cluster.done("security", propose(change, None)) {
        Answer::Recorded(seq) => seq,
        other => panic!("{other:?}"),
    }
}

/// Proposes, approves and lets a day pass.
#[track_caller]
fn effect(cluster: &mut Cluster, change: UnitChange) {
    let seq = proposed(cluster, change);
    cluster.done("head", approve(seq));
    cluster.pass(DAY);
}

/// Items of every unit, somebody of U1 and of U4 in three roles each, and cases C-1 and C-2 of U1.
fn staffed() -> Cluster {
    let mut cluster = Cluster::with_items();
    cluster.done("station", Command::SealOriginal(small(6, "U4")));
    for (name, role, of) in [
        ("head-u1", Role::UnitHead, "U1"),
        ("rec-u1", Role::Recorder, "U1"),
        ("cust-u1", Role::Custodian, "U1"),
        ("sta-u1", Role::Station, "U1"),
        ("head-u4", Role::UnitHead, "U4"),
        ("cust-u4", Role::Custodian, "U4"),
        ("head-u3", Role::UnitHead, "U3"),
    ] {
        let register =
            RegisterPrincipal { principal: id(name), key: key(name), roles: vec![role], unit: Some(unit(of)) };
        cluster.done("security", Command::RegisterPrincipal(register));
    }
    for case in ["C-1", "C-2"] {
        cluster.done("head-u1", open(case, "U1"));
    }
    cluster.done("head-u1", bind("C-1", &[1]));
    cluster.done("head-u1", bind("C-2", &[2]));
    cluster
}

fn unit_of_person(cluster: &Cluster, name: &str) -> String {
    let row = PRINCIPALS.read(&cluster.rows, &id(name)).expect("reads").expect("is registered");
    row.unit.expect("a unit").to_string()
}

#[test]
fn b10_the_powers_of_a_merged_unit_are_the_successors_a_day_after_another_person_approved_it() {
    let mut cluster = staffed();
    let sealed = cluster.item(1);
    cluster.refused("head-u4", label(1), Reason::OutsideUnit);
    let gone = RegisterPrincipal {
        principal: id("gone"),
        key: key("gone"),
        roles: vec![Role::Recorder],
        unit: Some(unit("U1")),
    };
    cluster.done("security", Command::RegisterPrincipal(gone));
    let revoke = RevokePrincipal { principal: id("gone"), reason: "left".to_owned() };
    cluster.done("security", Command::RevokePrincipal(revoke));
    let seq = proposed(&mut cluster, merge(&["U1"], "U4"));
    let record = cluster.last_record();
    assert_eq!((record.act, record.text(Fact::Way)), (Act::UnitPropose, Some("merge")));
    assert_eq!((record.text(Fact::Unit), record.text(Fact::Successor)), (Some("U1"), Some("U4")));
    cluster.pass(30 * DAY);
    assert_eq!(unit_of_person(&cluster, "head-u1"), "U1", "nothing moves without an approval");
    cluster.done("legal", approve(seq));
    let due = cluster.wall.plus_ms(DAY);
    assert_eq!(cluster.last_record().time(Fact::EffectiveAt), Some(due));
    cluster.pass(DAY - 1);
    cluster.refused("head-u4", label(1), Reason::OutsideUnit);
    cluster.pass(1);

    let record = cluster.last_record();
    assert_eq!((record.act, record.number(Fact::Proposal)), (Act::UnitChange, Some(seq.0)));
    assert_eq!((record.number(Fact::Count), record.stamp.principal.as_ref()), (Some(4), None));
    for name in ["head-u1", "rec-u1", "cust-u1", "sta-u1"] {
        assert_eq!(unit_of_person(&cluster, name), "U4", "{name}");
    }
    assert_eq!(unit_of_person(&cluster, "gone"), "U1", "who has left has no powers that could move");
    for name in ["head-u1", "head-u4", "rec-u1"] {
        cluster.done(name, label(1));
        cluster.done(name, label(6));
    }
    cluster.refused("head-u3", label(1), Reason::OutsideUnit);
    cluster.done("head-u4", bind("C-1", &[6]));
    cluster.done(
        "head-u4",
        Command::CloseCase(CloseCase { case: id("C-1"), outcome: Outcome::Concluded, reason: "decision 5".to_owned() }),
    );
    let after = cluster.item(1);
    assert_eq!((after.description, after.retention), (sealed.description, sealed.retention), "no item is rewritten");
    assert_eq!(CASES.read(&cluster.rows, &id("C-1")).expect("reads").expect("a case").unit, unit("U1"));
    let row = UNITS.read(&cluster.rows, &unit("U1")).expect("reads").expect("stays");
    let end = row.ended.expect("it ended");
    assert_eq!((end.at, end.successors), (due, vec![unit("U4")]));
    assert!(all_waiting(&cluster.rows).expect("reads").is_empty());
    cluster.pass(DAY);
    let times = cluster.records.iter().filter(|record| record.act == Act::UnitChange).count();
    assert_eq!(times, 1, "it takes effect once");
}

#[test]
fn b10_powers_that_came_from_others_go_on_to_the_next_successor() {
    let mut cluster = staffed();
    effect(&mut cluster, merge(&["U1"], "U4"));
    effect(&mut cluster, abolish("U4", "U3"));
    assert_eq!(unit::current(&cluster.rows, &unit("U1")).expect("known").id, unit("U3"));
    let reach = unit::formers(&cluster.rows, &unit("U3")).expect("reads");
    assert_eq!(reach.into_iter().collect::<Vec<_>>(), [unit("U1"), unit("U4")]);
    assert!(unit::formers(&cluster.rows, &unit("U4")).expect("reads").is_empty(), "an ended unit has no powers");
    for number in [1, 5, 6] {
        cluster.done("head-u3", label(number));
        cluster.done("head-u1", label(number));
    }
    cluster.refused("head-u3", label(3), Reason::OutsideUnit);
    assert!(unit::same(&cluster.rows, &unit("U1"), &unit("U4")).expect("reads"));
    assert!(!unit::same(&cluster.rows, &unit("U1"), &unit("U2")).expect("reads"));
}

#[test]
fn b10_what_a_split_names_goes_where_it_says_and_the_rest_to_the_main_successor() {
    let mut cluster = staffed();
    let change = split(
        "U1",
        &["U4", "U3"],
        vec![
            (Subject::Case(id("C-2")), "U3"),
            (Subject::Device(id("D1")), "U3"),
            (Subject::Person(id("rec-u1")), "U3"),
        ],
    );
    let shares = plan(&cluster.rows, &change).expect("can be proposed");
    let told: Vec<_> = shares.iter().map(|share| (share.to.as_str(), share.counts)).collect();
    let rest = Counts { people: 3, cases: 1, ..Counts::default() };
    let named = Counts { people: 1, devices: 1, cases: 1, ..Counts::default() };
    assert_eq!(told, [("U3", named), ("U4", rest)]);
    effect(&mut cluster, change);

    assert_eq!(unit_of_person(&cluster, "rec-u1"), "U3");
    assert_eq!(unit_of_person(&cluster, "head-u1"), "U4");
    let close = |case: &str| {
        Command::CloseCase(CloseCase { case: id(case), outcome: Outcome::Concluded, reason: "x".to_owned() })
    };
    cluster.refused("head-u4", close("C-2"), Reason::OutsideUnit);
    cluster.done("head-u3", close("C-2"));
    cluster.refused("head-u3", close("C-1"), Reason::OutsideUnit);
    cluster.done("head-u4", close("C-1"));
    cluster.done("head-u4", label(2));
    cluster.refused("head-u3", label(1), Reason::OutsideUnit);
    let device = DEVICES.read(&cluster.rows, &id("D1")).expect("reads").expect("a device");
    assert_eq!(device.unit, unit("U3"));
    let entries = device::custody(&cluster.rows, &id("D1")).expect("reads").entries;
    let entry = DEVICE_ENTRIES.read(&cluster.rows, &(id("D1"), entries - 1)).expect("reads").expect("an entry");
    assert_eq!(entry.what, What::UnitMoved(unit("U1"), unit("U3")), "R-000-3: its register has no gap");
}

#[test]
fn b10_what_went_elsewhere_before_the_date_stays_there() {
    let mut cluster = staffed();
    let seq = proposed(&mut cluster, split("U1", &["U4", "U3"], vec![(Subject::Case(id("C-2")), "U3")]));
    let offer = give(&mut cluster, "head-u1", "C-2", "U2");
    cluster.done("legal-u2", take("C-2", offer));
    cluster.done("head", approve(seq));
    cluster.pass(DAY);
    assert_eq!(CASES.read(&cluster.rows, &id("C-2")).expect("reads").expect("a case").unit, unit("U2"));
}

#[test]
fn b10_a_change_waits_for_its_date() {
    let mut cluster = staffed();
    let date = START.plus_ms(40 * DAY);
    let Answer::Recorded(seq) = cluster.done("security", propose(abolish("U1", "U4"), Some(date))) else { panic!() };
    cluster.done("head", approve(seq));
    assert_eq!(cluster.last_record().time(Fact::EffectiveAt), Some(date));
    cluster.pass(40 * DAY - 1);
    assert!(UNITS.read(&cluster.rows, &unit("U1")).expect("reads").expect("there").ended.is_none());
    cluster.pass(1);
    assert!(UNITS.read(&cluster.rows, &unit("U1")).expect("reads").expect("there").ended.is_some());
    let past = cluster.wall.plus_ms(-1);
    let refusal = cluster.refused("security", propose(abolish("U3", "U4"), Some(past)), Reason::InvalidArgument);
    assert!(refusal.message.contains("has passed"), "{refusal:?}");
}

#[test]
fn b10_a_new_name_takes_one_person_and_the_old_one_stays() {
    let mut cluster = staffed();
    let before = unit::known(&cluster.rows, &unit("U1")).expect("known").full_name;
    let seq = proposed(&mut cluster, rename("U1", "综合执法一中队"));
    let refusal = cluster.refused("head", approve(seq), Reason::WrongState);
    assert!(refusal.message.contains("takes no approval"), "{refusal:?}");
    cluster.pass(1);
    assert_eq!(unit::known(&cluster.rows, &unit("U1")).expect("known").full_name, "综合执法一中队");
    let names = unit::former_names(&cluster.rows, &unit("U1")).expect("reads");
    assert_eq!(names.len(), 1);
    assert_eq!((names[0].name.as_str(), names[0].until), (before.as_str(), cluster.wall));
    let record = cluster.last_record();
    assert_eq!((record.text(Fact::Before), record.text(Fact::After)), (Some(before.as_str()), Some("综合执法一中队")));
    cluster.refused("security", propose(rename("U1", "综合执法一中队"), None), Reason::InvalidArgument);
    cluster.refused("security", propose(rename("U1", " "), None), Reason::FieldMissing);
    cluster.done("head-u1", label(1));
}

#[test]
fn b10_one_person_moves_no_powers_and_a_unit_moves_none_of_its_own() {
    let mut cluster = staffed();
    let both = RegisterPrincipal {
        principal: id("both"),
        key: key("both"),
        roles: vec![Role::Security, Role::Legal],
        unit: None,
    };
    cluster.done("security", Command::RegisterPrincipal(both));
    let Answer::Recorded(seq) = cluster.done("both", propose(abolish("U1", "U4"), None)) else { panic!() };
    let refusal = cluster.refused("both", approve(seq), Reason::SamePerson);
    assert_eq!(refusal.rule, "G8");
    cluster.refused("legal-u2", approve(seq), Reason::OutsideUnit);
    cluster.refused("security-u2", propose(abolish("U2", "U4"), None), Reason::OutsideUnit);
    cluster.refused("security-u2", withdraw(seq), Reason::OutsideUnit);
    cluster.done("legal", approve(seq));
    cluster.refused("head", approve(seq), Reason::WrongState);
    cluster.done("head", withdraw(seq));
    cluster.pass(2 * DAY);
    assert!(UNITS.read(&cluster.rows, &unit("U1")).expect("reads").expect("there").ended.is_none());
    cluster.refused("head", withdraw(seq), Reason::NotFound);
    let mut empty = propose(abolish("U1", "U4"), None);
    if let Command::ProposeUnitChange(change) = &mut empty {
        change.basis.clear();
    }
    cluster.refused("security", empty, Reason::FieldMissing);
}

#[test]
fn b10_what_cannot_be_is_refused_with_what_would_mend_it() {
    let mut cluster = staffed();
    effect(&mut cluster, abolish("U3", "U4"));
    for (change, reason, told) in [
        (abolish("U1", "U1"), Reason::InvalidArgument, "does not succeed itself"),
        (abolish("U1", "U7"), Reason::NotFound, "U7"),
        (abolish("U7", "U1"), Reason::NotFound, "U7"),
        (abolish("U1", "U3"), Reason::WrongState, "U3 ended"),
        (merge(&[], "U1"), Reason::InvalidArgument, "at least 1"),
        (merge(&["U1", "U2", "U1"], "U4"), Reason::InvalidArgument, "named twice"),
        (split("U1", &["U2"], Vec::new()), Reason::InvalidArgument, "at least 2"),
        (split("U1", &["U2", "U4"], vec![(Subject::Case(id("C-1")), "U3")]), Reason::InvalidArgument, "no successor"),
        (split("U1", &["U2", "U4"], vec![(Subject::Case(id("C-9")), "U2")]), Reason::NotFound, "C-9"),
        (split("U2", &["U1", "U4"], vec![(Subject::Case(id("C-1")), "U4")]), Reason::OutsideUnit, "unit U1"),
        (split("U2", &["U1", "U4"], vec![(Subject::Device(id("D1")), "U4")]), Reason::OutsideUnit, "unit U1"),
        (split("U2", &["U1", "U4"], vec![(Subject::Device(id("D9")), "U4")]), Reason::NotFound, "D9"),
        (split("U2", &["U1", "U4"], vec![(Subject::Person(id("legal")), "U4")]), Reason::OutsideUnit, "whole agency"),
        (
            split("U1", &["U2", "U4"], vec![(Subject::Case(id("C-1")), "U4"), (Subject::Case(id("C-1")), "U2")]),
            Reason::InvalidArgument,
            "named twice",
        ),
        (rename("U3", "新名"), Reason::WrongState, "U3 ended"),
    ] {
        let refusal = cluster.refused("security", propose(change.clone(), None), reason);
        assert!(refusal.message.contains(told), "{refusal:?}");
        assert!(matches!(plan(&cluster.rows, &change), Err(Stop::Refused(found)) if found == refusal));
    }
}

#[test]
fn b10_of_one_unit_one_change_waits_and_none_goes_to_a_unit_that_is_about_to_end() {
    let mut cluster = staffed();
    let seq = proposed(&mut cluster, abolish("U1", "U4"));
    for change in
        [abolish("U1", "U3"), abolish("U4", "U1"), abolish("U4", "U3"), merge(&["U3"], "U1"), rename("U1", "新名")]
    {
        let refusal = cluster.refused("security", propose(change, None), Reason::WrongState);
        assert!(refusal.remedy.contains(&format!("unit withdraw {}`", seq.0)), "{refusal:?}");
    }
    proposed(&mut cluster, abolish("U3", "U4"));
    cluster.done("head", withdraw(seq));
    proposed(&mut cluster, abolish("U1", "U4"));
}

#[test]
fn b10_a_unit_that_has_ended_is_given_nothing_new_but_its_footage_is_always_taken() {
    let mut cluster = staffed();
    effect(&mut cluster, abolish("U1", "U3"));
    let refusal = cluster.refused("legal", open("C-3", "U1"), Reason::WrongState);
    assert!(refusal.remedy.contains("U3"), "{refusal:?}");
    let register = RegisterPrincipal {
        principal: id("new"),
        key: key("new"),
        roles: vec![Role::Recorder],
        unit: Some(unit("U1")),
    };
    cluster.refused("security", Command::RegisterPrincipal(register), Reason::WrongState);
    cluster.done("sta-u1", Command::SealOriginal(small(7, "U1")));
    let item = cluster.item(7);
    assert_eq!((item.description.unit.as_str(), item.retention.profile.as_str()), ("U1", "unset"));
    cluster.done("head-u3", label(7));
    let again = AddUnit { unit: unit("U1"), full_name: "x".to_owned(), profile: id("dev") };
    cluster.refused("security", Command::AddUnit(again), Reason::AlreadyExists);
}

#[test]
fn g3_items_of_a_merged_unit_are_kept_by_the_longer_of_both_profiles() {
    // U1 is under `dev` (6 months), U2 under `strict`, U3 under `unset`.
    let mut cluster = staffed();
    let own = retention::effective_until(&cluster.kept(6)).expect("an end");
    effect(&mut cluster, abolish("U4", "U1"));
    assert_eq!(retention::effective_until(&cluster.kept(6)), Some(own), "the same profile changes nothing");
    effect(&mut cluster, abolish("U1", "U2"));
    let kept = cluster.kept(6);
    let taken = kept.iter().find(|kept| matches!(kept.by, Keeper::Taken(..))).expect("a further floor");
    let until = retention::effective_until(&kept).expect("an end");
    assert_eq!(Some(until), taken.until.map(|taken| taken.max(own)), "the longer one counts");
    assert!(until >= own);
    effect(&mut cluster, abolish("U2", "U3"));
    assert_eq!(retention::effective_until(&cluster.kept(6)), None, "no floor at all keeps without end");
    assert_eq!(cluster.refusal_to_dispose(6).expect("kept").reason, Reason::FloorUnspecified);
    let told = retention::explain(&cluster.rows, &cluster.item(6), cluster.kept(6)).expect("reads");
    assert!(told.iter().any(|reason| reason.text_zh.contains("unset") && reason.text_en.contains("unset")));
}

#[test]
fn b10_a_successor_asks_for_footage_and_keeps_devices_of_the_old_unit() {
    let mut cluster = staffed();
    effect(&mut cluster, abolish("U1", "U4"));
    let name =
        |person: &str| NameKeeper { unit: unit("U1"), device: None, principal: id(person), from: None, until: None };
    cluster.refused("head-u3", Command::NameKeeper(name("cust-u4")), Reason::OutsideUnit);
    cluster.done("head-u4", Command::NameKeeper(name("cust-u4")));
    let form = [("reason", "case 5")];
    cluster.request("head-u4", submit(RequestAct::Copy, &[1], &form));
    cluster.request("head-u1", submit(RequestAct::Copy, &[1, 6], &form));
    let found = access::principal(&cluster.rows, &id("head-u4")).expect("reads").expect("there");
    assert!(found.covers(&unit("U1")) && !found.covers(&unit("U2")));
}

#[test]
fn a_profile_still_takes_effect_beside_changes_of_units() {
    let mut cluster = staffed();
    let toml = PROPOSED.to_owned();
    let propose = Command::ProposeProfile(strongroom_custody::command::ProposeProfile { toml });
    let Answer::Recorded(profile) = cluster.done("security", propose) else { panic!() };
    let seq = proposed(&mut cluster, abolish("U1", "U4"));
    let approve_profile = strongroom_custody::command::ApproveProfile { profile: id("new"), proposal: profile };
    cluster.done("head", Command::ApproveProfile(approve_profile));
    cluster.done("head", approve(seq));
    cluster.pass(DAY);
    let acts: Vec<_> = cluster.records.iter().rev().take(2).map(|record| record.act).collect();
    assert_eq!(acts, [Act::UnitChange, Act::ProfileActivate]);
    assert!(clock::read(&cluster.rows).expect("reads").t >= START);
}

#[test]
fn rows_are_stored_as_they_always_were() {
    let end = UnitEnd { at: START, successors: vec![unit("U4")], seq: RecordSeq(9), profile: id("dev"), version: 2 };
    let row = |ended| UnitRow {
        id: unit("U1"),
        full_name: "一中队".to_owned(),
        profile: id("dev"),
        from: Some(START),
        ended,
    };
    let approval =
        ProposalApproval { approver: id("head"), role: Role::Head, at: START, seq: RecordSeq(8), effective_at: START };
    let waiting = |change, approval| UnitChangeRow {
        change,
        from: START,
        basis: "编办〔2026〕4号".to_owned(),
        proposed_by: id("security"),
        proposed_at: START,
        seq: RecordSeq(7),
        approval,
    };
    let named =
        vec![(Subject::Case(id("C-1")), "U3"), (Subject::Device(id("D1")), "U3"), (Subject::Person(id("li")), "U4")];
    let lines = vec![
        golden::line("units", &row(None)),
        golden::line("units ended", &row(Some(end))),
        golden::line("unit_names", &FormerName { name: "一中队".to_owned(), until: START, seq: RecordSeq(5) }),
        golden::line("unit_changes rename", &waiting(rename("U1", "新名"), None)),
        golden::line("unit_changes merge", &waiting(merge(&["U1", "U2"], "U4"), Some(approval))),
        golden::line("unit_changes split", &waiting(split("U1", &["U4", "U3"], named), None)),
        golden::line("unit_changes abolish", &waiting(abolish("U1", "U4"), None)),
    ];
    golden::check("units", lines);
}

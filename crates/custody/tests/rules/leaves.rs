//! People leave: their posts are another's from the date, their access ends, and their names stay.

use strongroom_custody::{
    Act, Answer, Command, Fact, access,
    command::{AddDevice, ApproveRequest, LabelItem, RegisterPrincipal, RevokePrincipal},
    correction::RoleStepRow,
    device::{self, AnswerOffer, OfferDevice, Way},
    keeper::NameKeeper,
    leave::{self, LeavePrincipal, LeaveRow, LeftRow, StayPrincipal, against, decidable},
    mandate::{ConfirmMandate, GiveMandate, MandateKind, MandateScope},
    profile::RequestAct,
    tables::{DeviceAsset, DeviceType, KEEPERS, LEAVES, LEAVES_DUE, MANDATES, NOTICES, PRINCIPALS},
};
use strongroom_types::{Reason, RecordSeq, Role, UnixMillis};

use crate::{
    fixture::{Cluster, DAY, START, id, item, key, submit, unit},
    golden,
};

fn leave(name: &str, to: &str, on: Option<UnixMillis>) -> Command {
    Command::LeavePrincipal(leaving(name, to, on))
}

fn leaving(name: &str, to: &str, on: Option<UnixMillis>) -> LeavePrincipal {
    LeavePrincipal { person: id(name), on, to: id(to), reason: "调离".to_owned() }
}

fn stay(name: &str) -> Command {
    Command::StayPrincipal(StayPrincipal { person: id(name), reason: "不调了".to_owned() })
}

fn keep(of: &str, name: &str, device: Option<&str>, times: [Option<UnixMillis>; 2]) -> Command {
    let [from, until] = times;
    Command::NameKeeper(NameKeeper { unit: unit(of), device: device.map(id), principal: id(name), from, until })
}

fn label(number: u8) -> Command {
    Command::LabelItem(LabelItem { item: item(number), name: "place".to_owned(), value: "gate".to_owned() })
}

/// U1 with two heads, two custodians and two recorders; wang keeps its devices.
fn staffed() -> Cluster {
    let mut cluster = Cluster::with_items();
    for (name, roles, of) in [
        ("zhao", vec![Role::UnitHead], "U1"),
        ("qian", vec![Role::UnitHead], "U1"),
        ("wang", vec![Role::Custodian], "U1"),
        ("li", vec![Role::Custodian, Role::Recorder], "U1"),
        ("sun", vec![Role::Recorder], "U1"),
        ("zhou", vec![Role::Custodian, Role::UnitHead], "U4"),
    ] {
        let register = RegisterPrincipal { principal: id(name), key: key(name), roles, unit: Some(unit(of)) };
        cluster.done("security", Command::RegisterPrincipal(register));
    }
    cluster.done("zhao", keep("U1", "wang", None, [None, None]));
    cluster
}

fn has_access(cluster: &Cluster, name: &str) -> bool {
    PRINCIPALS.read(&cluster.rows, &id(name)).expect("reads").expect("stays").revoked_at.is_none()
}

fn custodian(cluster: &Cluster, of: &str) -> String {
    let keepers = KEEPERS.read(&cluster.rows, &unit(of)).expect("reads").expect("named");
    keepers.custodian(cluster.wall).expect("one").principal.to_string()
}

#[test]
fn r_000_3_access_ends_at_the_date_and_posts_go_to_the_successor() {
    let mut cluster = staffed();
    let date = START.plus_ms(10 * DAY);
    let asset = DeviceAsset { custodian: Some(id("wang")), ..DeviceAsset::default() };
    cluster.done(
        "custodian",
        Command::AddDevice(AddDevice {
            device: id("D7"),
            unit: id("U1"),
            device_type: DeviceType::Bwc,
            brand_model: "X1".to_owned(),
            asset: Some(asset),
        }),
    );
    cluster.done("zhou", keep("U4", "zhou", None, [None, None]));
    let deputy = [Some(START.plus_ms(5 * DAY)), Some(START.plus_ms(20 * DAY))];
    cluster.done("zhao", keep("U1", "wang", None, deputy));
    cluster.done("security", leave("wang", "li", Some(date)));
    let record = cluster.last_record();
    assert_eq!((record.act, record.text(Fact::Principal)), (Act::PrincipalLeave, Some("wang")));
    assert_eq!((record.text(Fact::Receiver), record.time(Fact::EffectiveAt)), (Some("li"), Some(date)));
    cluster.pass(10 * DAY - 1);
    assert!(has_access(&cluster, "wang"));
    cluster.done("wang", label(1));
    assert_eq!(custodian(&cluster, "U1"), "wang");
    cluster.pass(1);

    assert!(!has_access(&cluster, "wang"));
    cluster.refused("wang", label(1), Reason::PrincipalRevoked);
    assert_eq!(custodian(&cluster, "U1"), "li");
    assert_eq!(custodian(&cluster, "U4"), "zhou", "who does not leave stays in office");
    let keepers = KEEPERS.read(&cluster.rows, &unit("U1")).expect("reads").expect("named");
    let stands_in: Vec<_> = keepers.deputies(cluster.wall).map(|term| (term.principal.as_str(), term.until)).collect();
    assert_eq!(stands_in, [("li", deputy[1])], "a deputy's term goes on until its end");
    assert_eq!(device::custody(&cluster.rows, &id("D7")).expect("reads").custodian, Some(id("li")));
    let record = cluster.records.iter().rev().find(|record| record.act == Act::PrincipalLeft).expect("a record");
    assert_eq!((record.number(Fact::Count), record.text(Fact::Finding)), (Some(3), None));
    assert_eq!(record.stamp.principal, None);
    let row = LEAVES.read(&cluster.rows, &id("wang")).expect("reads").expect("stays").left.expect("left");
    assert_eq!((row.at, row.posts, row.devices), (date, 2, 1));
    assert!(LEAVES_DUE.scan(&cluster.rows, &(), None, 9).expect("reads").is_empty());
    assert_eq!(cluster.item(1).labels["place"].last().expect("a value").by, id("wang"), "the name stays");
    cluster.pass(DAY);
    let times = cluster.records.iter().filter(|record| record.act == Act::PrincipalLeft).count();
    assert_eq!(times, 1, "it ends once");
}

#[test]
fn r_000_3_nobody_leaves_who_owes_a_device_or_recordings() {
    let mut cluster = staffed();
    let step = |cluster: &mut Cluster, giver: &str, way, to: Option<&str>, un_ingested, taker: &str| {
        let offer = OfferDevice {
            device: id("D1"),
            way,
            to: to.map(id),
            accessories: String::new(),
            content: String::new(),
            un_ingested,
        };
        cluster.done(giver, Command::OfferDevice(offer));
        cluster.done(taker, Command::AnswerOffer(AnswerOffer { device: id("D1"), declined: None }));
    };
    step(&mut cluster, "wang", Way::Issue, Some("sun"), None, "sun");
    let refusal = cluster.refused("security", leave("sun", "li", None), Reason::DevicesOutstanding);
    assert!(refusal.message.contains("sun cannot leave: D1 is not returned"), "{refusal:?}");
    let told = against(&cluster.rows, &id("security"), &leaving("sun", "li", None)).expect("reads");
    assert_eq!(told, Some(refusal));
    step(&mut cluster, "sun", Way::Return, None, Some(2), "wang");
    let refusal = cluster.refused("security", leave("sun", "li", None), Reason::DevicesOutstanding);
    assert!(refusal.message.contains("recordings on D1"), "{refusal:?}");
}

#[test]
fn r_000_3_what_is_owed_at_the_date_is_a_finding_and_access_ends_all_the_same() {
    let mut cluster = staffed();
    let date = START.plus_ms(2 * DAY);
    cluster.done("security", leave("sun", "li", Some(date)));
    let offer = |to: &str| {
        Command::OfferDevice(OfferDevice {
            device: id("D1"),
            way: Way::Issue,
            to: Some(id(to)),
            accessories: String::new(),
            content: String::new(),
            un_ingested: None,
        })
    };
    let refusal = cluster.refused("wang", offer("sun"), Reason::WrongState);
    assert!(refusal.message.contains("sun leaves on") && refusal.remedy.contains("li"), "{refusal:?}");
    cluster.done("security", stay("sun"));
    cluster.done("wang", offer("sun"));
    cluster.done("security", leave("sun", "li", Some(date)));
    cluster.done("sun", Command::AnswerOffer(AnswerOffer { device: id("D1"), declined: None }));
    cluster
        .done("security", Command::RevokePrincipal(RevokePrincipal { principal: id("li"), reason: "left".to_owned() }));
    cluster.pass(2 * DAY);
    assert!(!has_access(&cluster, "sun"));
    let record = cluster.last_record();
    assert_eq!(record.text(Fact::Finding), Some("DEVICES_OUTSTANDING SUCCESSOR_GONE"));
    let notices = NOTICES.scan(&cluster.rows, &unit("U1"), None, 9).expect("reads");
    assert_eq!(notices[0].1.finding, "DEVICES_OUTSTANDING SUCCESSOR_GONE", "the head is told");
}

#[test]
fn r_000_3_mandates_that_somebody_who_leaves_holds_or_lent_end_and_others_stand() {
    let mut cluster = staffed();
    let until = START.plus_ms(90 * DAY);
    let mut give = |by: &str, kind, holder: &str, role, acts: &[RequestAct]| {
        let scope = MandateScope { acts: acts.to_vec(), ..MandateScope::default() };
        let document = "任字7号".to_owned();
        let give = GiveMandate { kind, holder: id(holder), role, scope, from: None, until, document };
        match cluster.done(by, Command::GiveMandate(give)) {
            Answer::Recorded(seq) => seq,
            other => panic!("{other:?}"),
        }
    };
    let (delegation, appointment) = (MandateKind::Delegation, MandateKind::Appointment);
    let lent = give("approver", delegation, "unit-head", Role::Approver, &[RequestAct::View]);
    let of_other = give("approver-2", delegation, "unit-head", Role::Approver, &[RequestAct::View]);
    let held = give("head", delegation, "approver", Role::Head, &[RequestAct::Copy]);
    let entered = give("security", appointment, "legal", Role::Head, &[]);
    let waits = give("security-2", appointment, "approver", Role::Head, &[]);
    let person = |cluster: &Cluster, name: &str| {
        access::principal(&cluster.rows, &id(name)).expect("reads").expect("registered")
    };
    let told = leave::tasks(&cluster.rows, &person(&cluster, "approver")).expect("reads").mandates;
    let told: Vec<_> = told.iter().map(|(holder, mandate)| (holder.as_str(), mandate.seq)).collect();
    assert_eq!(told, [("approver", held), ("approver", waits), ("unit-head", lent)]);

    cluster.done("security-2", leave("security", "security-2", Some(START.plus_ms(2 * DAY))));
    cluster.done("security", leave("approver", "approver-2", Some(START.plus_ms(DAY))));
    cluster.pass(DAY - 1);
    let state = |cluster: &Cluster, holder: &str, seq: RecordSeq| {
        let row = MANDATES.read(&cluster.rows, &id(holder)).expect("reads").expect("some");
        let mandate = row.mandates.iter().find(|mandate| mandate.seq == seq).expect("stays").clone();
        (mandate.state_name(cluster.wall), mandate.revoked)
    };
    assert_eq!(state(&cluster, "unit-head", lent), ("in force", None));
    cluster.pass(1);
    let record = cluster.last_record().clone();
    assert_eq!(record.act, Act::PrincipalLeft);
    let ended = format!("approver {held}\napprover {waits}\nunit-head {lent}");
    assert_eq!(record.text(Fact::MandatesEnded), Some(&*ended));
    for (holder, seq) in [("unit-head", lent), ("approver", held), ("approver", waits)] {
        let (now, end) = state(&cluster, holder, seq);
        let end = end.expect("ended");
        assert_eq!((now, end.by, end.reason.as_str(), end.at), ("revoked", id("security"), "调离", cluster.wall));
    }
    assert_eq!(state(&cluster, "unit-head", of_other).0, "in force");
    let left = LEAVES.read(&cluster.rows, &id("approver")).expect("reads").expect("stays").left.expect("left");
    assert_eq!(left.mandates, 3);
    cluster.done("head", Command::ConfirmMandate(ConfirmMandate { holder: id("legal"), mandate: entered }));
    cluster.pass(DAY);
    assert!(!has_access(&cluster, "security"));
    assert_eq!(state(&cluster, "legal", entered).0, "in force", "the document appoints, not who typed it");
    assert_eq!(cluster.last_record().text(Fact::MandatesEnded), None);
}

#[test]
fn b10_what_cannot_be_is_refused_with_what_would_mend_it() {
    let mut cluster = staffed();
    for (by, command, reason, told) in [
        ("security", leave("wang", "wang", None), Reason::SamePerson, "own successor"),
        ("security", leave("security", "security-2", None), Reason::SamePerson, "themselves"),
        ("security", leave("nobody", "li", None), Reason::NotFound, "nobody"),
        ("security", leave("wang", "nobody", None), Reason::NotFound, "nobody"),
        ("security", leave("wang", "li", Some(START.plus_ms(-1))), Reason::InvalidArgument, "has passed"),
        ("security", leave("wang", "zhou", None), Reason::OutsideUnit, "U4"),
        ("security", leave("legal", "sun", None), Reason::OutsideUnit, "whole agency"),
        ("security", leave("wang", "sun", None), Reason::RoleNotAllowed, "keep what wang keeps"),
        ("security-u2", leave("wang", "li", None), Reason::OutsideUnit, "U1"),
        ("security", stay("wang"), Reason::NotFound, "wang"),
    ] {
        let refusal = cluster.refused(by, command, reason);
        assert!(refusal.message.contains(told), "{told}: {refusal:?}");
        assert!(reason == Reason::NotFound || !refusal.remedy.is_empty(), "{refusal:?}");
    }
    let empty = LeavePrincipal { reason: " ".to_owned(), ..leaving("wang", "li", None) };
    cluster.refused("security", Command::LeavePrincipal(empty), Reason::FieldMissing);
    cluster.done("security", leave("wang", "li", Some(START.plus_ms(DAY))));
    let refusal = cluster.refused("security", leave("wang", "li", None), Reason::WrongState);
    assert!(refusal.remedy.contains("principal stay wang"), "{refusal:?}");
    let refusal = cluster.refused("security", leave("li", "custodian", None), Reason::WrongState);
    assert!(refusal.message.contains("wang leaves too"), "a chain of successors has an end: {refusal:?}");
    cluster.refused("zhao", keep("U1", "wang", None, [None, None]), Reason::WrongState);
    cluster.done("security", stay("wang"));
    assert_eq!(cluster.last_record().text(Fact::State), Some("stays"));
    cluster.pass(2 * DAY);
    assert!(has_access(&cluster, "wang"));
}

#[test]
fn b10_an_office_that_decides_is_never_left_empty() {
    let mut cluster = staffed();
    cluster.done(
        "security",
        Command::RevokePrincipal(RevokePrincipal { principal: id("jack"), reason: "left".to_owned() }),
    );
    let refusal = cluster.refused("security", leave("head", "legal", None), Reason::WrongState);
    assert!(refusal.message.contains("nobody but head is head"), "{refusal:?}");
    cluster.done("security", leave("zhao", "li", Some(START.plus_ms(DAY))));
    // The cluster's own unit head reaches U1 too; without that one qian is the last.
    cluster.done(
        "security",
        Command::RevokePrincipal(RevokePrincipal { principal: id("unit-head"), reason: "left".to_owned() }),
    );
    let refusal = cluster.refused("security", leave("qian", "li", None), Reason::WrongState);
    assert!(refusal.message.contains("unit U1"), "{refusal:?}");
}

#[test]
fn b10_tasks_by_name_and_by_office_are_told() {
    let mut cluster = staffed();
    let request = cluster.request("sun", submit(RequestAct::View, &[1], &[("reason", "复核"), ("viewer", "李")]));
    let person = |cluster: &Cluster, name: &str| {
        access::principal(&cluster.rows, &id(name)).expect("reads").expect("registered")
    };
    let could: Vec<_> = ["zhao", "legal", "approver", "head", "zhou", "sun"]
        .into_iter()
        .filter(|name| decidable(&cluster.rows, &person(&cluster, name)).expect("reads").contains(&request))
        .collect();
    let able: Vec<_> = ["zhao", "legal", "approver", "head", "zhou", "sun"]
        .into_iter()
        .filter(|name| cluster.clone().by(name, Command::ApproveRequest(ApproveRequest { request })).is_ok())
        .collect();
    assert_eq!(could, able, "exactly those who can decide it");
    assert!(!able.is_empty());
    let tasks = leave::tasks(&cluster.rows, &person(&cluster, "wang")).expect("reads");
    assert_eq!(tasks.posts.len(), 1);
    assert!(tasks.devices.is_empty() && tasks.batches.is_empty() && tasks.successor_of.is_empty());
    cluster.done("security", leave("wang", "li", Some(START.plus_ms(DAY))));
    let tasks = leave::tasks(&cluster.rows, &person(&cluster, "li")).expect("reads");
    assert_eq!(tasks.successor_of, [id("wang")]);
}

#[test]
fn g8_one_person_of_several_roles_takes_one_step_of_a_request_only() {
    let mut cluster = Cluster::with_items();
    for name in ["one", "two"] {
        let register = RegisterPrincipal {
            principal: id(name),
            key: key(name),
            roles: vec![Role::Recorder, Role::UnitHead, Role::Legal, Role::Approver, Role::Archivist],
            unit: None,
        };
        cluster.done("security", Command::RegisterPrincipal(register));
    }
    // U2 is under `strict`: the legal office and an approver, both.
    let form = [("reason", "复核"), ("viewer", "李"), ("viewed-at", "x")];
    let request = cluster.request("one", submit(RequestAct::View, &[3], &form));
    let approve = || Command::ApproveRequest(ApproveRequest { request });
    assert_eq!(cluster.refused("one", approve(), Reason::SamePerson).rule, "G8");
    cluster.done("two", approve());
    assert_eq!(cluster.refused("two", approve(), Reason::SamePerson).rule, "G8");
    cluster.done("approver", approve());
}

#[test]
fn rows_are_stored_as_they_always_were() {
    let noted = RoleStepRow { by: id("security"), role: Role::Security, at: START, seq: RecordSeq(4) };
    let row = |left| LeaveRow {
        person: id("wang"),
        to: id("li"),
        on: START,
        reason: "调离".to_owned(),
        noted: noted.clone(),
        left,
    };
    let left = LeftRow {
        at: START,
        seq: RecordSeq(9),
        posts: 2,
        devices: 1,
        findings: vec!["DEVICES_OUTSTANDING".to_owned()],
        mandates: 3,
    };
    let lines = vec![golden::line("leaves", &row(None)), golden::line("leaves left", &row(Some(left)))];
    golden::check("leaves", lines);
}

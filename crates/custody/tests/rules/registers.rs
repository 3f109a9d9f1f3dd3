//! The registers of people, units and devices, the first command, and what the cluster itself notes.

use strongroom_custody::{
    Act, Actor, Answer, Command, Context, Fact, apply,
    clock::{self, Reading},
    command::{
        AddDevice, AddUnit, AdvanceClock, CreateCluster, NoteRefusal, RegisterPrincipal, RevokePrincipal,
        RotatePrincipal, Tick,
    },
    tables::{CLOCK, CLUSTER, DeviceType, PRINCIPALS, PROFILES, UNITS},
};
use strongroom_types::{NodeId, Reason, RecordSeq, Refusal, Role, limits, rows::MemoryRows};

use crate::{
    fixture::{Cluster, DAY, MINUTE, START, created, id, item, key, unit},
    samples,
};

fn register(name: &str, roles: &[Role], of: Option<&str>) -> Command {
    Command::RegisterPrincipal(RegisterPrincipal {
        principal: id(name),
        key: key(name),
        roles: roles.to_vec(),
        unit: of.map(id),
    })
}

fn rotate(name: &str, to: &str) -> Command {
    Command::RotatePrincipal(RotatePrincipal { principal: id(name), key: key(to) })
}

fn revoke(name: &str, reason: &str) -> Command {
    Command::RevokePrincipal(RevokePrincipal { principal: id(name), reason: reason.to_owned() })
}

fn add_unit(name: &str, profile: &str) -> Command {
    Command::AddUnit(AddUnit { unit: id(name), full_name: "新".to_owned(), profile: id(profile) })
}

fn add_device(name: &str, of: &str) -> Command {
    let brand_model = "C1".to_owned();
    Command::AddDevice(AddDevice {
        device: id(name),
        unit: id(of),
        device_type: DeviceType::Bwc,
        brand_model,
        asset: None,
    })
}

#[test]
fn a_registered_principal_acts_at_once() {
    let mut cluster = Cluster::with_items();
    cluster.done("security", register("new", &[Role::Station], Some("U1")));
    let record = cluster.last_record();
    assert_eq!((record.text(Fact::Role), record.text(Fact::Unit)), (Some("station"), Some("U1")));
    assert_eq!(record.bytes(Fact::Key), Some(key("new").as_bytes().as_slice()));
    cluster.done("new", Command::SealOriginal(crate::fixture::small(7, "U1")));
}

#[test]
fn what_cannot_be_registered_is_refused() {
    let same_key = Command::RegisterPrincipal(RegisterPrincipal {
        principal: id("other"),
        key: key("legal"),
        roles: vec![Role::Legal],
        unit: None,
    });
    let long = "x".repeat(limits::TEXT_BYTES_MAX + 1);
    let cases = [
        ("security", register("new", &[], None), Reason::InvalidArgument),
        ("security", register("new", &[Role::Legal, Role::Legal], None), Reason::InvalidArgument),
        ("security", register("legal", &[Role::Legal], None), Reason::AlreadyExists),
        ("security", register("new", &[Role::Legal], Some("U99")), Reason::NotFound),
        ("security", same_key, Reason::AlreadyExists),
        ("security", rotate("nobody", "x"), Reason::NotFound),
        ("security", rotate("legal", "legal"), Reason::InvalidArgument),
        ("security", rotate("legal", "head"), Reason::AlreadyExists),
        ("security", revoke("nobody", "left"), Reason::NotFound),
        ("security", revoke("legal", ""), Reason::FieldMissing),
        ("security", revoke("legal", &long), Reason::InvalidArgument),
        ("security", revoke("security", "left"), Reason::SamePerson),
        ("security", add_unit("U1", "dev"), Reason::AlreadyExists),
        ("security", add_unit("U9", "none"), Reason::NotFound),
        ("custodian", add_device("D1", "U1"), Reason::AlreadyExists),
        ("custodian", add_device("D9", "U99"), Reason::NotFound),
    ];
    for (who, command, reason) in cases {
        Cluster::new().refused(who, command, reason);
    }
}

#[test]
fn an_officer_of_one_unit_registers_for_that_unit_only() {
    for (command, allowed) in [
        (register("new", &[Role::Recorder], Some("U2")), true),
        (register("new", &[Role::Recorder], Some("U1")), false),
        (register("new", &[Role::Head], None), false),
        (rotate("station-u2", "x"), true),
        (rotate("legal", "x"), false),
        (revoke("legal-u2", "left"), true),
        (revoke("security", "left"), false),
        (add_unit("U9", "dev"), false),
    ] {
        let mut cluster = Cluster::new();
        if allowed {
            cluster.done("security-u2", command);
        } else {
            cluster.refused("security-u2", command, Reason::OutsideUnit);
        }
    }
}

#[test]
fn a_key_belongs_to_one_principal_for_ever() {
    let mut cluster = Cluster::new();
    cluster.done("security", rotate("legal", "second key"));
    cluster.refused("security", rotate("legal", "legal"), Reason::AlreadyExists);
    cluster.refused("security", rotate("head", "legal"), Reason::AlreadyExists);
    cluster.done("security", revoke("legal", "left"));
    cluster.refused("security", rotate("legal", "third key"), Reason::WrongState);
    cluster.refused("security", revoke("legal", "left again"), Reason::WrongState);
    let mut again = created().principals.remove(0);
    (again.principal, again.key) = (id("other"), key("second key"));
    cluster.refused("security", Command::RegisterPrincipal(again), Reason::AlreadyExists);
    let row = PRINCIPALS.read(&cluster.rows, &id("legal")).expect("reads").expect("stays");
    assert_eq!(row.revoked_at, Some(START), "who left stays in the register");
}

#[test]
fn a_cluster_is_created_once_with_a_record_of_everything_in_it() {
    let mut cluster = Cluster::empty();
    let create = || Command::CreateCluster(Box::new(created()));
    cluster.by_node(create()).expect("creates");
    assert_eq!(cluster.records[0].bytes(Fact::Digest), Some([0xaa; 32].as_slice()));
    for (act, count) in
        [(Act::ProfileActivate, 3), (Act::UnitAdd, 4), (Act::DeviceAdd, 1), (Act::PrincipalRegister, 22)]
    {
        assert_eq!(cluster.records.iter().filter(|record| record.act == act).count(), count, "{}", act.name());
    }
    let profile = PROFILES.read(&cluster.rows, &(id("strict"), 1)).expect("reads").expect("is there");
    assert_eq!(cluster.records[usize::try_from(profile.seq.0).expect("few")].text(Fact::Profile), Some("strict@1"));
    cluster.node_refused(create(), Reason::AlreadyExists);
}

#[test]
fn a_genesis_that_contradicts_itself_creates_nothing() {
    type Change = fn(&mut CreateCluster);
    let cases: [(&str, Change, Reason); 11] = [
        (
            "no security officer",
            |c| c.principals.retain(|p| !p.roles.contains(&Role::Security)),
            Reason::InvalidArgument,
        ),
        ("a profile that does not read", |c| c.profiles[0].push_str("x = 1"), Reason::InvalidArgument),
        ("a profile twice", |c| c.profiles.push(c.profiles[0].clone()), Reason::InvalidArgument),
        ("a unit under no profile", |c| c.units[0].profile = id("none"), Reason::NotFound),
        ("a unit twice", |c| c.units.push(c.units[0].clone()), Reason::AlreadyExists),
        ("a device of no unit", |c| c.devices[0].unit = id("U99"), Reason::NotFound),
        ("a device twice", |c| c.devices.push(c.devices[0].clone()), Reason::AlreadyExists),
        ("a principal of no unit", |c| c.principals[0].unit = Some(id("U99")), Reason::NotFound),
        ("a principal without a role", |c| c.principals[0].roles.clear(), Reason::InvalidArgument),
        ("a principal twice", |c| c.principals.push(c.principals[0].clone()), Reason::AlreadyExists),
        ("a key twice", |c| c.principals[0].key = c.principals[1].key, Reason::AlreadyExists),
    ];
    for (name, change, reason) in cases {
        let mut cluster = Cluster::empty();
        let mut create = created();
        change(&mut create);
        let refusal = cluster.by_node(Command::CreateCluster(Box::new(create))).expect_err(name);
        assert_eq!(refusal.reason, reason, "{name}: {refusal:?}");
        assert_eq!(cluster.rows, MemoryRows::default(), "{name}");
    }
}

#[test]
fn devices_are_added_within_the_keepers_unit() {
    let mut cluster = Cluster::new();
    cluster.done("security", register("keeper", &[Role::Custodian], Some("U2")));
    cluster.refused("keeper", add_device("D9", "U1"), Reason::OutsideUnit);
    cluster.done("keeper", add_device("D9", "U2"));
    assert_eq!(cluster.last_record().text(Fact::Device), Some("D9"));
    assert!(UNITS.read(&cluster.rows, &unit("U2")).expect("reads").is_some());
}

#[test]
fn a_refusal_at_the_edge_is_recorded_as_it_was_answered() {
    let mut cluster = Cluster::new();
    let [note] = samples::of_nodes()
        .into_iter()
        .filter_map(|command| if let Command::NoteRefusal(note) = command { Some(note) } else { None })
        .collect::<Vec<_>>()
        .try_into()
        .expect("one");
    cluster.by_node(Command::NoteRefusal(note.clone())).expect("notes");
    let record = cluster.last_record();
    assert_eq!((record.act, record.refused, record.rule.as_str()), (Act::NoSuchCall, Some(Reason::NoSuchAct), "G1"));
    assert_eq!((record.stamp.principal.as_ref(), record.stamp.key), (Some(&id("legal")), Some(key("legal"))));
    assert_eq!((record.text(Fact::Call), record.number(Fact::Count)), (Some("DeleteItem"), Some(3)));
    assert_eq!(record.items, [item(8)]);
    let stranger = NoteRefusal {
        key: None,
        refusal: Refusal::new(Reason::Unauthenticated, "R-001-15", "no certificate", ""),
        item: None,
        ..note
    };
    cluster.by_node(Command::NoteRefusal(stranger)).expect("notes");
    assert_eq!(cluster.last_record().stamp.principal, None);
}

#[test]
fn c2_time_passes_at_once_in_a_trial_cluster_and_in_no_other() {
    let advance = |by_ms| Command::AdvanceClock(AdvanceClock { by_ms, reason: "a trial".to_owned() });
    let mut cluster = Cluster::with_items();
    for by_ms in [0, -1, limits::CLOCK_ADVANCE_MS_MAX + 1] {
        cluster.refused("ops", advance(by_ms), Reason::InvalidArgument);
    }
    assert!(cluster.refusal_to_dispose(1).is_some());
    let before = clock::read(&cluster.rows).expect("reads");
    cluster.done("ops", advance(400 * DAY));
    let after = clock::read(&cluster.rows).expect("reads");
    assert_eq!((after.t.since_ms(before.t), after.wall.since_ms(before.wall)), (400 * DAY, 400 * DAY));
    assert_eq!(cluster.refusal_to_dispose(1), None, "a floor of six months is over");

    let mut row = CLUSTER.read(&cluster.rows, &()).expect("reads").expect("a cluster");
    row.trial = false;
    CLUSTER.write(&mut cluster.rows, &(), &row);
    let context =
        Context { actor: Actor::Client(key("ops")), wall: cluster.wall, next_seq: RecordSeq(0), signed: None };
    let applied = apply(&mut cluster.rows, &context, &advance(DAY)).expect("reads");
    assert_eq!(applied.outcome.expect_err("no trial").reason, Reason::NotATrial);
}

#[test]
fn an_outage_of_the_clock_is_one_record_with_its_length() {
    let mut cluster = Cluster::new();
    let mut tick = |boot: u8, boottime_ms: i64, wall: i64| {
        cluster.wall = START.plus_ms(wall);
        let (wall, tick) = (START.plus_ms(wall), clock::read(&cluster.rows).expect("reads").ticks);
        let reading = |node| Reading { node: NodeId(node), boot_id: [boot; 16], boottime_ms, wall, tick };
        let before = cluster.records.len();
        let answer = cluster.by_node(Command::Tick(Tick { readings: (1..=3).map(reading).collect(), voters: 3 }));
        (answer, cluster.records[before..].to_vec())
    };
    let ticked = |minutes: i64| Ok(Answer::Ticked(START.plus_ms(minutes * MINUTE)));
    assert_eq!(tick(1, MINUTE, MINUTE), (ticked(1), Vec::new()), "a tick is no event");
    let (answer, records) = tick(2, 5, 6 * MINUTE);
    assert_eq!(answer, ticked(1), "T stands while nobody measures it");
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((record.act, record.rule.as_str()), (Act::ClockOutage, "C2"));
    assert_eq!(record.number(Fact::OutageMs), Some(u64::try_from(5 * MINUTE).expect("positive")));
    assert_eq!(tick(2, 5 + MINUTE, 7 * MINUTE), (ticked(2), Vec::new()), "it is never repaid and told once");
}

#[test]
fn ticks_below_a_majority_change_nothing() {
    let mut cluster = Cluster::new();
    let before = cluster.rows.clone();
    let reading =
        Reading { node: NodeId(1), boot_id: [1; 16], boottime_ms: MINUTE, wall: START.plus_ms(MINUTE), tick: 1 };
    cluster.by_node(Command::Tick(Tick { readings: vec![reading; 3], voters: 3 })).expect("ticks");
    assert_eq!(cluster.rows, before);
    assert!(CLOCK.read(&cluster.rows, &()).expect("reads").is_some());
}

//! The life of a profile: proposed, approved by another, withdrawn or in force a day later; and what that does to items.

use strongroom_custody::{
    Act, Answer, Command, Fact, Record,
    command::{AddUnit, ApproveProfile, ProposeProfile, RegisterPrincipal, WithdrawProfile},
    profile::Profile,
    proposal::{Effects, Preview, waiting},
    retention,
    tables::{ITEMS, PROFILE_VERSIONS, PROFILES, PROPOSALS, PROPOSALS_DUE},
    upload::newest_profile,
};
use strongroom_types::{ProfileName, Reason, RecordSeq, Role, UnixMillis, limits};

use crate::{
    fixture::{Cluster, DAY, HOUR, START, id, item, key, small, unit},
    samples::PROPOSED,
};

const DEV: &str = include_str!("../../../../profiles/dev.toml");
const NEIQIU: &str = include_str!("../../../../profiles/neiqiu-weijian.toml");
const UNSET: &str = include_str!("unset.toml");

fn propose(toml: &str) -> Command {
    Command::ProposeProfile(ProposeProfile { toml: toml.to_owned() })
}

fn approve(profile: &str, proposal: RecordSeq) -> Command {
    Command::ApproveProfile(ApproveProfile { profile: id(profile), proposal })
}

fn withdraw(profile: &str, reason: &str) -> Command {
    Command::WithdrawProfile(WithdrawProfile { profile: id(profile), reason: reason.to_owned() })
}

/// The development profile with another floor.
fn dev(floor: &str) -> String {
    let changed = DEV.replace("months = 6", floor);
    assert!(changed != DEV || floor == "months = 6");
    changed
}

/// The development profile without a floor.
fn floorless() -> String {
    let (before, rest) = DEV.split_once("months = 6").expect("a floor");
    let (_, after) = rest.split_once("\n\n").expect("a section after it");
    format!("{before}unspecified = true\n\n{after}")
}

#[track_caller]
fn proposed(cluster: &mut Cluster, toml: &str) -> RecordSeq {
    match cluster.done("security", propose(toml)) {
        Answer::Recorded(seq) => seq,
        other => panic!("{other:?}"),
    }
}

/// Proposes, approves and lets a day pass.
#[track_caller]
fn enforce(cluster: &mut Cluster, name: &str, toml: &str) {
    let seq = proposed(cluster, toml);
    cluster.done("head", approve(name, seq));
    cluster.pass(DAY);
}

fn version(cluster: &Cluster, name: &str) -> u64 {
    newest_profile(&cluster.rows, &id::<ProfileName>(name)).expect("a version").0
}

fn kept_until(cluster: &Cluster, number: u8) -> Option<UnixMillis> {
    retention::effective_until(&cluster.kept(number))
}

fn preview(cluster: &Cluster, toml: &str) -> Vec<(String, Effects)> {
    let profile = Profile::from_toml(toml).expect("good");
    let mut preview = Preview::new(&cluster.rows, &profile).expect("reads");
    for (_, row) in ITEMS.scan(&cluster.rows, &(), None, 100).expect("reads") {
        preview.count(&row);
    }
    preview.units.into_iter().map(|(unit, effects)| (unit.to_string(), effects)).collect()
}

#[test]
fn a_version_takes_effect_a_day_after_another_person_approved_it() {
    let mut cluster = Cluster::with_items();
    let toml = dev("months = 12");
    let seq = proposed(&mut cluster, &toml);
    let record = cluster.last_record();
    assert_eq!((record.act, record.text(Fact::Profile)), (Act::ProfilePropose, Some("dev@2")));
    assert_eq!((record.text(Fact::ProfileText), record.number(Fact::Proposal)), (Some(toml.as_str()), Some(seq.0)));
    cluster.pass(30 * DAY);
    assert_eq!(version(&cluster, "dev"), 1, "nothing takes effect without an approval");
    cluster.done("legal", approve("dev", seq));
    let due = cluster.wall.plus_ms(DAY);
    let record = cluster.last_record();
    assert_eq!((record.text(Fact::Role), record.time(Fact::EffectiveAt)), (Some("legal"), Some(due)));
    cluster.pass(DAY - 1);
    assert_eq!(version(&cluster, "dev"), 1, "it can still be withdrawn");
    cluster.pass(1);
    assert_eq!(version(&cluster, "dev"), 2);
    let record = cluster.last_record();
    assert_eq!((record.act, record.text(Fact::Profile)), (Act::ProfileActivate, Some("dev@2")));
    assert_eq!((record.number(Fact::FloorMonths), record.stamp.principal.as_ref()), (Some(12), None));
    let row = PROFILES.read(&cluster.rows, &(id("dev"), 2)).expect("reads").expect("is there");
    assert_eq!((row.toml.as_str(), row.seq.0 + 1), (toml.as_str(), cluster.records.len() as u64));
    let versions = PROFILE_VERSIONS.read(&cluster.rows, &id("dev")).expect("reads").expect("versions");
    let newest = versions.newest().expect("a version");
    assert_eq!((newest.since, newest.seq, newest.floor_months), (due, row.seq, Some(12)));
    assert!(PROPOSALS.read(&cluster.rows, &id("dev")).expect("reads").is_none(), "it waits no longer");
    assert!(PROPOSALS_DUE.scan(&cluster.rows, &(), None, 9).expect("reads").is_empty());
    cluster.pass(DAY);
    let is_activation =
        |record: &&Record| record.act == Act::ProfileActivate && record.text(Fact::Profile) == Some("dev@2");
    let activated = cluster.records.iter().filter(is_activation).count();
    assert_eq!(activated, 1, "it takes effect once");
}

#[test]
fn wall_clocks_set_ahead_bring_nothing_forward() {
    use strongroom_custody::{
        clock::{self, Reading},
        command::Tick,
    };
    use strongroom_types::NodeId;
    let mut cluster = Cluster::new();
    let seq = proposed(&mut cluster, &dev("months = 12"));
    cluster.done("head", approve("dev", seq));
    cluster.wall = cluster.wall.plus_ms(365 * DAY);
    let (wall, tick) = (cluster.machine_wall(), clock::read(&cluster.rows).expect("reads").ticks);
    let reading = |node| Reading { node: NodeId(node), boot_id: [1; 16], boottime_ms: HOUR, wall, tick };
    let tick = Tick { readings: (1..=3).map(reading).collect(), voters: 3 };
    cluster.by_node(Command::Tick(tick)).expect("ticks");
    assert_eq!(version(&cluster, "dev"), 1);
}

#[test]
fn what_was_withdrawn_never_takes_effect() {
    for (who, approved) in
        [("security-2", false), ("legal", false), ("security", true), ("head", true), ("legal", true)]
    {
        let mut cluster = Cluster::new();
        let seq = proposed(&mut cluster, &dev("months = 12"));
        if approved {
            cluster.done("head", approve("dev", seq));
            cluster.pass(DAY - 1);
        }
        cluster.done(who, withdraw("dev", "报批未完成"));
        let record = cluster.last_record();
        assert_eq!((record.act, record.text(Fact::ReasonGiven)), (Act::ProfileWithdraw, Some("报批未完成")));
        cluster.pass(30 * DAY);
        assert_eq!(version(&cluster, "dev"), 1, "{who}");
        assert!(PROPOSALS_DUE.scan(&cluster.rows, &(), None, 9).expect("reads").is_empty());
        cluster.refused(who, withdraw("dev", "again"), Reason::NotFound);
        // Its place is free, and an approval of what was withdrawn is no approval of what follows.
        let next = proposed(&mut cluster, &dev("months = 24"));
        cluster.refused("head", approve("dev", seq), Reason::WrongState);
        cluster.done("head", approve("dev", next));
    }
}

#[test]
fn what_took_effect_cannot_be_withdrawn() {
    let mut cluster = Cluster::new();
    enforce(&mut cluster, "dev", &dev("months = 12"));
    cluster.refused("head", withdraw("dev", "too late"), Reason::NotFound);
}

#[test]
fn what_cannot_be_proposed_approved_or_withdrawn_is_refused() {
    let broken = DEV.replace("months = 6", "months = 0").replace("uses = 10", "uses = 0");
    let refusal = Cluster::new().refused("security", propose(&broken), Reason::InvalidArgument);
    assert_eq!(refusal.message.lines().count(), 3, "every mistake is told: {}", refusal.message);
    assert!(refusal.message.contains("line 6, column 10: floor.months"), "{}", refusal.message);
    let long = "x".repeat(limits::TEXT_BYTES_MAX + 1);
    let mut cluster = Cluster::new();
    let seq = proposed(&mut cluster, &dev("months = 12"));
    for (who, command, reason) in [
        ("security-2", propose(&dev("months = 24")), Reason::WrongState),
        ("security-u2", propose(PROPOSED), Reason::OutsideUnit),
        ("legal-u2", approve("dev", seq), Reason::OutsideUnit),
        ("legal-u2", withdraw("dev", "x"), Reason::OutsideUnit),
        ("head", approve("dev", RecordSeq(seq.0 + 1)), Reason::WrongState),
        ("head", approve("strict", seq), Reason::NotFound),
        ("head", withdraw("strict", "x"), Reason::NotFound),
        ("head", withdraw("dev", " "), Reason::FieldMissing),
        ("head", withdraw("dev", &long), Reason::InvalidArgument),
    ] {
        cluster.refused(who, command, reason);
    }
    cluster.done("head", approve("dev", seq));
    let refusal = cluster.refused("legal", approve("dev", seq), Reason::WrongState);
    assert!(refusal.message.contains("head approved it before"), "{refusal:?}");
}

#[test]
fn one_person_does_not_propose_and_approve() {
    let mut cluster = Cluster::new();
    let both = RegisterPrincipal {
        principal: id("anna"),
        key: key("anna"),
        roles: vec![Role::Security, Role::Head],
        unit: None,
    };
    cluster.done("security", Command::RegisterPrincipal(both));
    cluster.done("anna", propose(&dev("months = 12")));
    let seq = waiting(&cluster.rows, &id("dev")).expect("waits").seq;
    cluster.refused("anna", approve("dev", seq), Reason::SamePerson);
    cluster.done("legal", approve("dev", seq));
}

#[test]
fn a_higher_floor_lengthens_what_is_stored_and_touches_no_item() {
    let mut cluster = Cluster::with_items();
    let (before, rows) = (kept_until(&cluster, 1), cluster.item(1));
    enforce(
        &mut cluster,
        "dev",
        &dev("months = 24\narticle = \"第九条 保存两年\"\nnote = \"x\"")
            .replace("article = \"第二十一条 视音频记录保存期限不少于6个月。\"\n", ""),
    );
    assert_eq!(before, Some(START.plus_months_rounded_up(6)));
    assert_eq!(kept_until(&cluster, 1), Some(START.plus_months_rounded_up(24)));
    assert_eq!(cluster.item(1), rows, "no row of an item is rewritten");
    let reasons = retention::explain(&cluster.rows, &cluster.item(1), cluster.kept(1)).expect("reads");
    assert!(reasons[0].text_en.contains("dev@2") && reasons[0].text_zh.contains("第九条"), "{reasons:?}");
    let activation = PROFILES.read(&cluster.rows, &(id("dev"), 2)).expect("reads").expect("is there").seq;
    assert_eq!((reasons[0].seq, reasons[0].until), (activation, kept_until(&cluster, 1)));
    assert_eq!(kept_until(&cluster, 3), Some(START.plus_months_rounded_up(12)), "another profile is another matter");
}

/// Axon, Genetec: an edited policy deleted what was stored under the one before.
#[test]
fn a_lower_floor_is_for_later_items_and_says_so() {
    let mut cluster = Cluster::with_items();
    let refusal = cluster.refused("security", propose(&dev("months = 3")), Reason::PolicyLoosenRefused);
    assert!(refusal.rule == "G3" && refusal.remedy.contains("future-items-only"), "{refusal:?}");
    enforce(&mut cluster, "dev", &dev("months = 3\nfuture-items-only = true"));
    assert_eq!(kept_until(&cluster, 1), Some(START.plus_months_rounded_up(6)), "what is stored keeps its floor");
    cluster.done("station", Command::SealOriginal(small(7, "U1")));
    let sealed = cluster.item(7);
    assert_eq!((sealed.retention.version, kept_until(&cluster, 7)), (2, Some(cluster.wall.plus_months_rounded_up(3))));
    // What was once promised counts, not what was promised last.
    cluster.refused("security", propose(&dev("months = 4")), Reason::PolicyLoosenRefused);
    enforce(&mut cluster, "dev", &dev("months = 12"));
    for number in [1, 7] {
        let start = cluster.item(number).retention.start;
        assert_eq!(kept_until(&cluster, number), Some(start.plus_months_rounded_up(12)));
    }
}

#[test]
fn without_a_floor_everything_is_kept_until_a_version_names_one() {
    let mut cluster = Cluster::with_items();
    enforce(&mut cluster, "dev", &floorless());
    assert_eq!(kept_until(&cluster, 1), None);
    let reasons = retention::explain(&cluster.rows, &cluster.item(1), cluster.kept(1)).expect("reads");
    assert_eq!((reasons[0].rule.as_str(), reasons[0].until), ("G2", None));
    cluster.refused("security", propose(&dev("months = 3")), Reason::PolicyLoosenRefused);
    enforce(&mut cluster, "dev", &dev("months = 6"));
    assert_eq!(kept_until(&cluster, 1), Some(START.plus_months_rounded_up(6)));
    // R-004-RET: the floor that an agency sets at last holds for what was sealed before.
    assert_eq!(kept_until(&cluster, 5), None);
    let named = UNSET.replace("unspecified = true", "months = 36\nrule = \"省级规定第七条\"");
    enforce(&mut cluster, "unset", &named);
    assert_eq!(kept_until(&cluster, 5), Some(START.plus_months_rounded_up(36)));
}

#[test]
fn what_stored_items_may_rest_on_cannot_be_dropped() {
    let mut cluster = Cluster::new();
    enforce(&mut cluster, "neiqiu-weijian", NEIQIU);
    let trigger = NEIQIU.replace("code = \"major_complex\"", "code = \"complex\"");
    let class = NEIQIU.replace("code = \"trade_secret\"", "code = \"business\"");
    for (toml, rule, what) in [(trigger, "G7", "major_complex"), (class, "G11", "trade_secret")] {
        let refusal = cluster.refused("security", propose(&toml), Reason::PolicyLoosenRefused);
        assert!(refusal.rule == rule && refusal.message.contains(what), "{refusal:?}");
    }
    let evidence = NEIQIU.replace("[evidence]\nunspecified = true", "[evidence]\nterm = \"case-file\"");
    assert_ne!(evidence, NEIQIU);
    enforce(&mut cluster, "neiqiu-weijian", &evidence);
    assert_eq!(cluster.refused("security", propose(NEIQIU), Reason::PolicyLoosenRefused).rule, "G6");
}

#[test]
fn a_preview_counts_exactly_what_the_version_then_does() {
    for (toml, expected) in [
        (dev("months = 12"), Effects { lengthened: 2, ..Effects::default() }),
        (dev("months = 3\nfuture-items-only = true"), Effects { left: 2, ..Effects::default() }),
        (dev("months = 6"), Effects { left: 2, ..Effects::default() }),
        (floorless(), Effects { unending: 2, ..Effects::default() }),
    ] {
        let mut cluster = Cluster::with_items();
        cluster.done("station", Command::SealOriginal(small(8, "U4")));
        let rows = cluster.rows.clone();
        let counted = preview(&cluster, &toml);
        assert_eq!(cluster.rows, rows, "a preview writes nothing");
        let one = |count: u64| count.min(1);
        let halved = Effects {
            lengthened: one(expected.lengthened),
            left: one(expected.left),
            unending: one(expected.unending),
            ending: 0,
        };
        assert_eq!(counted, [("U1".to_owned(), expected), ("U4".to_owned(), halved)]);
        let before = [1, 2, 8].map(|number| kept_until(&cluster, number));
        enforce(&mut cluster, "dev", &toml);
        let after = [1, 2, 8].map(|number| kept_until(&cluster, number));
        let longer = before.iter().zip(after).filter(|(before, after)| after.is_some_and(|end| Some(end) > **before));
        assert_eq!(longer.count() as u64, counted.iter().map(|(_, effects)| effects.lengthened).sum::<u64>());
    }
    let named = UNSET.replace("unspecified = true", "months = 36\nrule = \"省级规定\"");
    let counted = preview(&Cluster::with_items(), &named);
    assert_eq!(counted, [("U3".to_owned(), Effects { ending: 1, ..Effects::default() })]);
    assert_eq!(preview(&Cluster::with_items(), PROPOSED), [], "a new agency has no items");
}

#[test]
fn a_new_agency_takes_no_code_and_stands_beside_the_others() {
    let mut cluster = Cluster::with_items();
    let add = || {
        Command::AddUnit(AddUnit {
            unit: id("N1"), full_name: "内丘一中队".to_owned(), profile: id("neiqiu-weijian")
        })
    };
    cluster.refused("security", add(), Reason::NotFound);
    let seq = proposed(&mut cluster, NEIQIU);
    cluster.done("legal", approve("neiqiu-weijian", seq));
    cluster.refused("security", add(), Reason::NotFound);
    cluster.pass(DAY);
    cluster.done("security", add());
    let register = RegisterPrincipal {
        principal: id("station-n"),
        key: key("station-n"),
        roles: vec![Role::Station],
        unit: Some(unit("N1")),
    };
    cluster.done("security", Command::RegisterPrincipal(register));
    cluster.done("station-n", Command::SealOriginal(small(9, "N1")));
    assert_eq!(cluster.item(9).retention.profile, id::<ProfileName>("neiqiu-weijian"));
    assert_eq!((kept_until(&cluster, 9), kept_until(&cluster, 1)), (None, Some(START.plus_months_rounded_up(6))));
    assert_eq!(item(9), item(9));
}

#[test]
fn one_tick_puts_so_many_in_force_and_the_next_goes_on() {
    let mut cluster = Cluster::new();
    for number in 0..20 {
        let name = format!("agency-{number:02}");
        let seq = proposed(&mut cluster, &PROPOSED.replace("\"new\"", &format!("\"{name}\"")));
        cluster.done("head", approve(&name, seq));
    }
    let active = |cluster: &Cluster| {
        (0..20).filter(|number| newest_profile(&cluster.rows, &id(&format!("agency-{number:02}"))).is_ok()).count()
    };
    cluster.pass(DAY);
    assert_eq!(active(&cluster), 16);
    cluster.pass(1);
    assert_eq!(active(&cluster), 20);
}

#[test]
fn a_profile_has_so_many_versions_at_most() {
    let mut cluster = Cluster::new();
    for number in 1..limits::PROFILE_VERSIONS_MAX {
        enforce(&mut cluster, "dev", &dev(&format!("months = {}", 6 + number)));
    }
    cluster.refused("security", propose(&dev("months = 600")), Reason::InvalidArgument);
    assert_eq!(version(&cluster, "dev"), limits::PROFILE_VERSIONS_MAX as u64);
}

//! Draws for spot checks (C7, R-000-27, R-003-6d, R-004-22): nobody can steer or quietly repeat one, and everybody
//! recomputes the same.

use strongroom_custody::{
    Act, Actor, Answer, Command, Fact,
    command::{BeginSession, Under},
    draw::{
        self, CommitDraw, RecordDraw, RevealDraw, TargetInspection,
        row::{DrawRow, DrawState, InspectedBy, SeedSource, TargetRow, VoterRow},
        sample,
    },
    hold::HoldQuery,
    keeping::{RestrictItem, RestrictionKind},
    tables::{ITEMS, ITEMS_BY_UNIT, TARGETS, newest_first},
};
use strongroom_types::{
    DrawCommitment, DrawDigest, DrawId, DrawSeed, DrawShare, ItemId, NodeId, PopulationDigest, Reason, RecordSeq,
    Refusal, Role, limits,
};

use crate::{
    fixture::{Cluster, DAY, HOUR, MINUTE, START, created, id, item, session, small},
    golden,
};

const VOTERS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
const QIDONG: &str = include_str!("../../../../profiles/qidong-chengguan.toml");
const XIAMEN: &str = include_str!("../../../../profiles/xiamen-chengguan.toml");
const NEIQIU: &str = include_str!("../../../../profiles/neiqiu-weijian.toml");

/// Units Q, X and N under the regulations that speak of inspection; ten sealed items of Q (1 to 10), two of X (11, 12),
/// one of N (13).
pub(crate) fn agencies() -> Cluster {
    with_profiles(&[QIDONG, XIAMEN, NEIQIU])
}

fn with_profiles(profiles: &[&str]) -> Cluster {
    let mut create = created();
    create.profiles.extend(profiles.iter().map(|toml| (*toml).to_owned()));
    for (unit, profile) in [("Q", "qidong-chengguan"), ("X", "xiamen-chengguan"), ("N", "neiqiu-weijian")] {
        let mut new = create.units[0].clone();
        (new.unit, new.profile) = (id(unit), id(profile));
        create.units.push(new);
    }
    let mut inspector = create.principals[0].clone();
    inspector.principal = id("inspector-q");
    inspector.key = crate::fixture::key("inspector-q");
    inspector.roles = vec![Role::Inspector];
    inspector.unit = Some(id("Q"));
    create.principals.push(inspector);
    let mut cluster = Cluster::from(create);
    for (unit, numbers) in [("Q", 1..=10), ("X", 11..=12), ("N", 13..=13)] {
        for number in numbers {
            cluster.done("station", Command::SealOriginal(small(number, unit)));
        }
    }
    cluster
}

fn over(unit: &str) -> HoldQuery {
    HoldQuery {
        unit: Some(id(unit)),
        from: Some(START.plus_ms(-DAY)),
        to: Some(START.plus_ms(DAY)),
        ..HoldQuery::default()
    }
}

fn asked(query: HoldQuery, ratio_percent: impl Into<Option<u32>>, reason: &str) -> Command {
    let (ratio_percent, reason) = (ratio_percent.into(), reason.to_owned());
    Command::RecordDraw(Box::new(RecordDraw { query, ratio_percent, reason, voters: VOTERS.to_vec() }))
}

#[track_caller]
fn recorded(cluster: &mut Cluster, name: &str, command: Command) -> DrawRow {
    row_of(cluster.done(name, command))
}

#[track_caller]
fn row_of(answer: Answer) -> DrawRow {
    match answer {
        Answer::Draw(row) => *row,
        other => panic!("no draw but {other:?}"),
    }
}

/// A draw of 30 % of the items of Q.
#[track_caller]
pub(crate) fn a_draw(cluster: &mut Cluster) -> DrawRow {
    recorded(cluster, "inspector", asked(over("Q"), 30, ""))
}

/// What a voter draws, in a run of this number.
fn share(voter: NodeId, run: u8) -> DrawShare {
    let mut bytes = [run; 32];
    bytes[0] = u8::try_from(voter.0).expect("small");
    DrawShare::new(bytes)
}

fn commit(row: &DrawRow, voter: NodeId, share: DrawShare) -> Command {
    Command::CommitDraw(Box::new(CommitDraw {
        draw: row.id,
        commitment: sample::commitment(row.digest, voter, share),
        signature: vec![7; 64].into(),
        vkey: format!("{voter}+key"),
    }))
}

fn reveal(row: &DrawRow, share: DrawShare) -> Command {
    Command::RevealDraw(RevealDraw { draw: row.id, share })
}

#[track_caller]
fn by(cluster: &mut Cluster, voter: NodeId, command: Command) -> DrawRow {
    row_of(cluster.apply(&Actor::Node(voter), &command).unwrap_or_else(|refusal| panic!("{voter}: {refusal:?}")))
}

#[track_caller]
fn refused(cluster: &mut Cluster, voter: NodeId, command: Command, reason: Reason) -> Refusal {
    let refusal = cluster.apply(&Actor::Node(voter), &command).expect_err("refused");
    assert_eq!((refusal.reason, refusal.rule.as_str()), (reason, "C7"), "{refusal:?}");
    assert!(!refusal.remedy.is_empty(), "{refusal:?}");
    assert_eq!(cluster.last_record().stamp.node, Some(voter), "the refusal is a record in the voter's name");
    refusal
}

/// Every voter commits and reveals.
#[track_caller]
pub(crate) fn drawn(cluster: &mut Cluster, row: &DrawRow, run: u8) -> DrawRow {
    for voter in VOTERS {
        by(cluster, voter, commit(row, voter, share(voter, run)));
    }
    VOTERS.map(|voter| by(cluster, voter, reveal(row, share(voter, run)))).into_iter().next_back().expect("three")
}

fn stands(cluster: &Cluster, row: &DrawRow) -> DrawRow {
    draw::read(&cluster.rows, row.id).expect("is there")
}

fn view(number: u8) -> Command {
    let under = Under::StandingView(item(number), "抽查".to_owned());
    Command::BeginSession(BeginSession { session: session(number), under })
}

#[test]
fn r_000_27_a_draw_is_recorded_before_its_seed_and_everybody_recomputes_the_same_sample() {
    let mut cluster = agencies();
    let row = a_draw(&mut cluster);
    assert!(matches!(row.state, DrawState::Committing(_)));
    assert_eq!((row.items, row.sample, row.ratio_percent), (10, 3, 30));
    assert_eq!((row.rule.as_str(), row.role, row.repeats), ("R-000-27", Role::Inspector, None));
    let record = cluster.last_record().clone();
    assert_eq!((record.act, record.rule.as_str()), (Act::DrawRecord, "R-000-27"));
    assert_eq!((record.number(Fact::Count), record.number(Fact::RatioPercent)), (Some(10), Some(30)));
    assert_eq!(record.text(Fact::Voters), Some("n1 n2 n3"));

    let row = drawn(&mut cluster, &row, 1);
    let DrawState::Completed(seed, seq) = row.state else { panic!("{:?}", row.state) };
    // From the records alone: what was selected from, what was revealed, and nothing else.
    let digest = sample::digest(&record.to_bytes());
    let items: Vec<ItemId> = (1..=10).map(item).collect();
    let population = sample::population(&items);
    assert_eq!(record.bytes(Fact::Population), Some(population.as_bytes().as_slice()));
    let revealed = cluster.records.iter().filter(|record| record.act == Act::DrawReveal);
    let shares: Vec<_> = revealed
        .map(|record| {
            let node: NodeId = record.text(Fact::Node).expect("a node").parse().expect("a node");
            (node, DrawShare::try_from(record.bytes(Fact::Share).expect("a share")).expect("32 bytes"))
        })
        .collect();
    assert_eq!(sample::seed(digest, &shares), seed);
    let selected = sample::select(seed, &items, 3);
    let end = &cluster.records[usize::try_from(seq.0).expect("few")];
    assert_eq!((end.act, end.text(Fact::State), &end.items), (Act::DrawAdvance, Some("completed"), &selected));
    assert_eq!(end.bytes(Fact::Seed), Some(seed.as_bytes().as_slice()));
    assert_eq!(draw::drawn(&cluster.rows, &row).expect("reads"), selected);
    assert_eq!(draw::population(&cluster.rows, row.id).expect("reads"), items);
    assert_eq!(row.records().len(), 1 + 3 + 1 + 3 + 1, "{:?}", row.records());
}

#[test]
fn r_000_27_whoever_drew_it_may_view_what_was_drawn_and_nothing_else() {
    let mut cluster = agencies();
    let row = a_draw(&mut cluster);
    cluster.refused("inspector", view(1), Reason::ApprovalMissing);
    let row = drawn(&mut cluster, &row, 1);
    let sample = draw::drawn(&cluster.rows, &row).expect("reads");
    for number in 1..=10 {
        // It is not another inspector's draw.
        cluster.refused("inspector-q", view(number), Reason::ApprovalMissing);
        if sample.contains(&item(number)) {
            cluster.done("inspector", view(number));
            assert_eq!(cluster.last_record().rule, "R-000-27");
        } else {
            assert_eq!(cluster.refused("inspector", view(number), Reason::ApprovalMissing).rule, "R-000-27");
        }
    }
}

#[test]
fn c7_the_items_are_those_of_the_moment_in_which_the_draw_was_recorded() {
    let mut cluster = agencies();
    // Whoever could take an item out by restricting it could steer.
    let restrict = RestrictItem { item: item(4), kind: Some(RestrictionKind::NonDuty), reason: "x".to_owned() };
    cluster.done("custodian", Command::RestrictItem(restrict));
    let mut unregistered = small(14, "Q");
    unregistered.open.description.device = id("D-unknown");
    cluster.done("station", Command::SealOriginal(unregistered));
    let row = a_draw(&mut cluster);
    assert_eq!(row.items, 11, "restricted items and those in quarantine are drawn like others");
    cluster.done("station", Command::SealOriginal(small(20, "Q")));
    let row = drawn(&mut cluster, &row, 1);
    assert_eq!(draw::population(&cluster.rows, row.id).expect("reads").len(), 11, "what came later is not in it");
}

#[test]
fn c7_the_same_query_twice_gives_another_sample_and_is_called_a_repetition() {
    let mut cluster = agencies();
    let first = a_draw(&mut cluster);
    let again = asked(over("Q"), 30, "");
    let refusal = cluster.refused("inspector", again.clone(), Reason::WrongState);
    assert!(refusal.message.contains("DRAW-1") && refusal.remedy.contains("draw show DRAW-1"), "{refusal:?}");
    let first = drawn(&mut cluster, &first, 1);

    let refusal = cluster.refused("inspector", again, Reason::FieldMissing);
    assert_eq!(refusal.rule, "C7");
    assert!(refusal.message.contains("DRAW-1 (completed)"), "{refusal:?}");
    let second = recorded(&mut cluster, "inspector", asked(over("Q"), 30, "第二轮"));
    assert_eq!(second.repeats, Some(first.id));
    let record = cluster.last_record();
    assert_eq!((record.text(Fact::Repeats), record.text(Fact::Before)), (Some("DRAW-1"), Some("completed")));
    // Even if every voter showed the same shares again, the seed would be of another record.
    let second = drawn(&mut cluster, &second, 1);
    assert_eq!(first.population, second.population);
    let sample = |row: &DrawRow| draw::drawn(&cluster.rows, row).expect("reads");
    assert_ne!(sample(&first), sample(&second));

    // Other words for the same items, by somebody else, are a repetition too.
    let other_words = HoldQuery { device: Some(id("D1")), ..over("Q") };
    cluster.refused("legal", asked(other_words.clone(), 30, ""), Reason::FieldMissing);
    let third = recorded(&mut cluster, "legal", asked(other_words, 50, "法制科复查"));
    assert_eq!((third.repeats, third.role), (Some(second.id), Role::Legal));
}

#[test]
fn c7_nothing_is_revealed_before_commitments_stand() {
    let mut cluster = agencies();
    let row = a_draw(&mut cluster);
    let [one, two, three] = VOTERS;
    by(&mut cluster, one, commit(&row, one, share(one, 1)));
    by(&mut cluster, two, commit(&row, two, share(two, 1)));
    let refusal = refused(&mut cluster, one, reveal(&row, share(one, 1)), Reason::WrongState);
    assert!(refusal.message.contains("commitments do not stand yet"), "{refusal:?}");
    let closed = by(&mut cluster, three, commit(&row, three, share(three, 1)));
    assert_eq!(closed.state.reveals_after(), Some(RecordSeq(cluster.records.len() as u64 - 1)));
    assert_eq!(cluster.last_record().text(Fact::State), Some("revealing"));
    by(&mut cluster, one, reveal(&row, share(one, 1)));
}

#[test]
fn c7_a_voter_commits_once() {
    let mut cluster = agencies();
    let row = a_draw(&mut cluster);
    let voter = VOTERS[0];
    by(&mut cluster, voter, commit(&row, voter, share(voter, 1)));
    let records = cluster.records.len();
    let again = by(&mut cluster, voter, commit(&row, voter, share(voter, 1)));
    assert_eq!((again.voters().len(), cluster.records.len()), (3, records), "said again, it is no event");
    let refusal = refused(&mut cluster, voter, commit(&row, voter, share(voter, 2)), Reason::AlreadyExists);
    assert!(refusal.message.contains("n1"), "{refusal:?}");
    assert_eq!(stands(&cluster, &row), again);
}

#[test]
fn c7_a_voter_that_reveals_something_else_is_refused_in_its_own_name() {
    let mut cluster = agencies();
    let row = a_draw(&mut cluster);
    for voter in VOTERS {
        by(&mut cluster, voter, commit(&row, voter, share(voter, 1)));
    }
    let [one, two, _] = VOTERS;
    let refusal = refused(&mut cluster, one, reveal(&row, share(one, 2)), Reason::DigestMismatch);
    assert!(refusal.message.contains("n1"), "{refusal:?}");
    // A share that another voter committed to is not its own.
    refused(&mut cluster, one, reveal(&row, share(two, 1)), Reason::DigestMismatch);
    by(&mut cluster, one, reveal(&row, share(one, 1)));
    let records = cluster.records.len();
    by(&mut cluster, one, reveal(&row, share(one, 1)));
    assert_eq!(cluster.records.len(), records, "said again, it is no event");
    let late = refused(&mut cluster, two, commit(&row, two, share(two, 2)), Reason::AlreadyExists);
    assert!(late.message.contains("n2"), "{late:?}");
}

#[test]
fn c7_only_the_voters_of_its_record_take_part() {
    let mut cluster = agencies();
    let row = a_draw(&mut cluster);
    let stranger = NodeId(4);
    let refusal = refused(&mut cluster, stranger, commit(&row, stranger, share(stranger, 1)), Reason::RoleNotAllowed);
    assert!(refusal.remedy.contains("n1 n2 n3"), "{refusal:?}");
    refused(&mut cluster, stranger, reveal(&row, share(stranger, 1)), Reason::RoleNotAllowed);
    // And people never do, whoever they are.
    for name in ["inspector", "head", "ops", "security"] {
        cluster.refused(name, commit(&row, VOTERS[0], share(VOTERS[0], 1)), Reason::RoleNotAllowed);
        cluster.refused(name, reveal(&row, share(VOTERS[0], 1)), Reason::RoleNotAllowed);
    }
}

#[test]
fn c7_a_voter_that_does_not_reveal_is_named_and_the_draw_is_void_and_its_repetition_says_so() {
    let mut cluster = agencies();
    let row = a_draw(&mut cluster);
    for voter in VOTERS {
        by(&mut cluster, voter, commit(&row, voter, share(voter, 1)));
    }
    let [one, two, three] = VOTERS;
    by(&mut cluster, one, reveal(&row, share(one, 1)));
    by(&mut cluster, three, reveal(&row, share(three, 1)));
    assert_eq!(stands(&cluster, &row).missing(), [two]);
    cluster.pass(limits::DRAW_REVEAL_MS);
    assert!(matches!(stands(&cluster, &row).state, DrawState::Overdue(..)));
    let told = cluster.records.iter().rfind(|record| record.act == Act::DrawAdvance).expect("a record");
    assert_eq!((told.text(Fact::State), told.text(Fact::Missing)), (Some("overdue"), Some("n2")));

    // It can still come back within a day.
    let mut mended = cluster.clone();
    let completed = by(&mut mended, two, reveal(&row, share(two, 1)));
    assert!(matches!(completed.state, DrawState::Completed(..)));

    cluster.pass(limits::DRAW_OVERDUE_MS - MINUTE);
    assert!(stands(&cluster, &row).state.is_open());
    cluster.pass(MINUTE);
    let void = stands(&cluster, &row);
    assert!(matches!(&void.state, DrawState::Void(missing, _) if *missing == [two]), "{:?}", void.state);
    let told = cluster.records.iter().rfind(|record| record.act == Act::DrawAdvance).expect("a record");
    assert_eq!((told.text(Fact::State), told.text(Fact::Missing)), (Some("void"), Some("n2")));
    assert!(draw::drawn(&cluster.rows, &void).expect("reads").is_empty());
    refused(&mut cluster, two, reveal(&row, share(two, 1)), Reason::WrongState);
    assert!(draw::open(&cluster.rows).expect("reads").is_empty());
    for number in 1..=10 {
        cluster.refused("inspector", view(number), Reason::ApprovalMissing);
    }

    cluster.refused("inspector", asked(over("Q"), 30, ""), Reason::FieldMissing);
    let again = recorded(&mut cluster, "inspector", asked(over("Q"), 30, "n2 未公开份额"));
    assert_eq!(again.repeats, Some(row.id));
    assert_eq!(cluster.last_record().text(Fact::Before), Some("void"));
}

#[test]
fn c7_a_majority_is_enough_when_the_time_to_commit_is_over_and_less_is_not() {
    let [one, two, three] = VOTERS;
    let mut cluster = agencies();
    let row = a_draw(&mut cluster);
    by(&mut cluster, one, commit(&row, one, share(one, 1)));
    let mut few = cluster.clone();
    by(&mut cluster, two, commit(&row, two, share(two, 1)));
    cluster.pass(limits::DRAW_COMMIT_MS - MINUTE);
    assert!(matches!(stands(&cluster, &row).state, DrawState::Committing(_)));
    cluster.pass(MINUTE);
    assert!(stands(&cluster, &row).state.reveals_after().is_some());
    let told = cluster.records.iter().rfind(|record| record.act == Act::DrawAdvance).expect("a record");
    assert_eq!((told.text(Fact::State), told.text(Fact::Missing)), (Some("revealing"), Some("n3")));
    // Too late, and what it never committed to it cannot reveal.
    refused(&mut cluster, three, commit(&row, three, share(three, 1)), Reason::WrongState);
    refused(&mut cluster, three, reveal(&row, share(three, 1)), Reason::WrongState);
    by(&mut cluster, two, reveal(&row, share(two, 1)));
    let row = by(&mut cluster, one, reveal(&row, share(one, 1)));
    let DrawState::Completed(seed, _) = row.state else { panic!("{:?}", row.state) };
    assert_eq!(seed, sample::seed(row.digest, &[(one, share(one, 1)), (two, share(two, 1))]), "by voter, not by time");

    few.pass(limits::DRAW_COMMIT_MS);
    let void = stands(&few, &row);
    assert!(matches!(&void.state, DrawState::Void(missing, _) if *missing == [two, three]), "{:?}", void.state);
}

#[test]
fn r_003_6d_who_draws_and_how_much_is_as_the_profile_says() {
    let mut cluster = agencies();
    let refusal = cluster.refused("legal", asked(over("X"), 50, ""), Reason::RoleNotAllowed);
    assert_eq!(refusal.rule, "R-003-6d");
    assert!(refusal.message.contains("督察部门") && refusal.remedy.contains("inspector"), "{refusal:?}");
    let refusal = cluster.refused("inspector", asked(over("X"), None, ""), Reason::FieldMissing);
    assert_eq!(refusal.rule, "R-003-6d");
    assert!(refusal.remedy.contains("--ratio"), "{refusal:?}");
    for ratio in [0, 101] {
        cluster.refused("inspector", asked(over("X"), ratio, ""), Reason::InvalidArgument);
    }
    let row = recorded(&mut cluster, "inspector", asked(over("X"), 1, ""));
    assert_eq!((row.items, row.sample), (2, 1), "at least one is drawn");

    let said = XIAMEN.replace("words = \"督察部门\"\nheads", "words = \"督察部门\"\nratio-percent = 60\nheads");
    assert_ne!(said, XIAMEN);
    let mut cluster = with_profiles(&[QIDONG, &said, NEIQIU]);
    let refusal = cluster.refused("inspector", asked(over("X"), 10, ""), Reason::InvalidArgument);
    assert_eq!(refusal.rule, "R-003-6d");
    assert!(refusal.message.contains("60 %, not 10 %"), "{refusal:?}");
    let row = recorded(&mut cluster, "inspector", asked(over("X"), None, ""));
    assert_eq!((row.ratio_percent, row.sample), (60, 2));
}

#[test]
fn r_004_22_the_legal_office_draws_where_the_text_names_it_and_nobody_where_no_text_does() {
    let mut cluster = agencies();
    let refusal = cluster.refused("inspector", asked(over("N"), 100, ""), Reason::RoleNotAllowed);
    assert_eq!(refusal.rule, "R-004-22");
    let row = recorded(&mut cluster, "legal", asked(over("N"), 100, ""));
    assert_eq!((row.rule.as_str(), row.role, row.sample), ("R-004-22", Role::Legal, 1));
    // The profile `strict` says nothing of inspection.
    cluster.done("station", Command::SealOriginal(small(30, "U2")));
    let refusal = cluster.refused("inspector", asked(over("U2"), 10, ""), Reason::ActUnspecified);
    assert!(refusal.remedy.contains("[inspection]"), "{refusal:?}");
}

#[test]
fn c7_a_draw_names_its_period_and_follows_one_regulation() {
    let mut cluster = agencies();
    let open_end = HoldQuery { to: None, ..over("Q") };
    assert_eq!(cluster.refused("inspector", asked(open_end, 10, ""), Reason::FieldMissing).rule, "C7");
    cluster.refused("inspector", asked(HoldQuery::default(), 10, ""), Reason::InvalidArgument);
    let agency = HoldQuery { unit: None, ..over("Q") };
    let refusal = cluster.refused("inspector", asked(agency.clone(), 10, ""), Reason::InvalidArgument);
    assert!(refusal.remedy.contains("--unit"), "{refusal:?}");
    // Rights are scoped by unit.
    cluster.refused("inspector-q", asked(agency, 10, ""), Reason::OutsideUnit);
    cluster.refused("inspector-q", asked(over("X"), 10, ""), Reason::OutsideUnit);
    recorded(&mut cluster, "inspector-q", asked(over("Q"), 10, ""));
    let before = HoldQuery { from: Some(START.plus_ms(-9 * DAY)), to: Some(START.plus_ms(-8 * DAY)), ..over("Q") };
    cluster.refused("inspector", asked(before, 10, ""), Reason::NotFound);
    let nowhere = HoldQuery { unit: Some(id("U99")), ..over("Q") };
    cluster.refused("inspector", asked(nowhere, 10, ""), Reason::NotFound);
}

#[test]
fn c7_what_was_sealed_before_the_period_is_not_of_it_whatever_its_device_says() {
    let mut cluster = agencies();
    cluster.pass(40 * DAY);
    let mut late = small(20, "Q");
    late.open.description.recorded_start = cluster.wall.plus_ms(-30 * DAY);
    late.open.description.recorded_end = cluster.wall.plus_ms(-30 * DAY + HOUR);
    cluster.done("station", Command::SealOriginal(late));
    let mut future = small(21, "Q");
    future.open.description.recorded_start = cluster.wall.plus_ms(90 * DAY);
    future.open.description.recorded_end = cluster.wall.plus_ms(91 * DAY);
    cluster.done("station", Command::SealOriginal(future));
    // Two seals may be out of order by minutes, so the look goes on a little further; what it finds there is no more of it.
    let just_after =
        HoldQuery { from: Some(cluster.wall.plus_ms(MINUTE)), to: Some(START.plus_ms(160 * DAY)), ..over("Q") };
    cluster.refused("inspector", asked(just_after, 10, ""), Reason::NotFound);
    cluster.pass(40 * DAY);
    let mut prompt = small(22, "Q");
    prompt.open.description.recorded_start = cluster.wall.plus_ms(-2 * HOUR);
    prompt.open.description.recorded_end = cluster.wall.plus_ms(-HOUR);
    cluster.done("station", Command::SealOriginal(prompt));
    let period = |from: i64, to: i64| HoldQuery {
        from: Some(START.plus_ms(from * DAY)),
        to: Some(START.plus_ms(to * DAY)),
        ..over("Q")
    };
    let items = |cluster: &mut Cluster, query| {
        let row = recorded(cluster, "inspector", asked(query, 10, ""));
        draw::population(&cluster.rows, row.id).expect("reads")
    };
    // Recorded in the period and sealed after it: it is of it. An item of a device of 2026-09 that was sealed before, not.
    assert_eq!(items(&mut cluster, period(5, 30)), [item(20)]);
    assert_eq!(items(&mut cluster, period(60, 160)), [item(22)]);
}

#[test]
fn c7_a_draw_that_is_too_large_is_told_how_to_be_smaller() {
    let mut cluster = agencies();
    let like = cluster.item(1);
    let many = u32::try_from(limits::DRAW_SAMPLE_MAX).expect("few");
    cluster.replay = None;
    for number in 0..many {
        let new = ItemId::new((0xffff_0000_u128 + u128::from(number)).to_be_bytes());
        ITEMS.write(&mut cluster.rows, &new, &like);
        ITEMS_BY_UNIT.write(&mut cluster.rows, &(id("Q"), newest_first(10_000 + u64::from(number))), &new);
    }
    let refusal = cluster.refused("inspector", asked(over("Q"), 100, ""), Reason::InvalidArgument);
    assert_eq!(refusal.rule, "C7");
    assert!(refusal.message.contains("1010") && refusal.remedy.contains("--from"), "{refusal:?}");
    let row = recorded(&mut cluster, "inspector", asked(over("Q"), 50, ""));
    assert_eq!((row.items, row.sample), (1010, 505));
    assert_eq!(draw::population(&cluster.rows, row.id).expect("reads").len(), 1010);
}

#[test]
fn c7_so_many_draws_are_under_way_and_no_more() {
    let mut cluster = agencies();
    let period = |number: usize| HoldQuery {
        to: Some(START.plus_ms(DAY + i64::try_from(number).expect("small"))),
        from: Some(START.plus_ms(-DAY)),
        unit: Some(id("Q")),
        ..HoldQuery::default()
    };
    // Each over other items, or it would wait for the one before.
    for number in 0..limits::DRAWS_OPEN_MAX {
        let count = u8::try_from(number).expect("small");
        cluster.done("station", Command::SealOriginal(small(100 + count, "Q")));
        recorded(&mut cluster, "inspector", asked(period(number), 10, ""));
    }
    cluster.done("station", Command::SealOriginal(small(200, "Q")));
    cluster.refused("inspector", asked(period(99), 10, ""), Reason::Overloaded);
    assert_eq!(draw::open(&cluster.rows).expect("reads").len(), limits::DRAWS_OPEN_MAX);
}

#[test]
fn c5_what_a_complaint_names_is_inspected_without_a_draw_and_so_marked() {
    let mut cluster = agencies();
    let target = |items: &[u8], complaint: &str| {
        Command::TargetInspection(TargetInspection {
            items: items.iter().map(|number| item(*number)).collect(),
            complaint: complaint.to_owned(),
            reason: "投诉执法态度".to_owned(),
        })
    };
    cluster.refused("inspector", target(&[1], " "), Reason::FieldMissing);
    cluster.refused("inspector", target(&[], "12345-7"), Reason::InvalidArgument);
    cluster.refused("inspector", target(&[1, 1], "12345-7"), Reason::InvalidArgument);
    cluster.refused("inspector", target(&[99], "12345-7"), Reason::NotFound);
    cluster.refused("inspector-q", target(&[1, 11], "12345-7"), Reason::OutsideUnit);
    assert_eq!(cluster.refused("legal", target(&[1, 11], "12345-7"), Reason::RoleNotAllowed).rule, "R-003-6d");
    cluster.refused("head", target(&[1], "12345-7"), Reason::RoleNotAllowed);
    cluster.refused("inspector", view(2), Reason::ApprovalMissing);

    cluster.done("inspector", target(&[2, 11], "12345-7"));
    let record = cluster.last_record();
    assert_eq!((record.act, record.rule.as_str()), (Act::InspectionTarget, "R-000-27 R-003-6d"));
    assert_eq!((record.text(Fact::Complaint), record.text(Fact::Way)), (Some("12345-7"), Some("targeted")));
    assert_eq!(record.items, [item(2), item(11)]);
    cluster.done("inspector", view(2));
    cluster.refused("inspector", view(1), Reason::ApprovalMissing);
    assert!(draw::covers(&cluster.rows, &id("inspector"), item(11)).expect("reads"));
    assert!(!draw::covers(&cluster.rows, &id("inspector-q"), item(2)).expect("reads"));
    let listed = TARGETS.scan(&cluster.rows, &(), None, 10).expect("reads");
    assert_eq!(listed.iter().map(|(_, row)| row.complaint.as_str()).collect::<Vec<_>>(), ["12345-7"]);
}

#[test]
fn rows_of_draws_are_stored_as_they_always_were() {
    let voter = VoterRow {
        node: NodeId(1),
        committed: Some((DrawCommitment::new([0xc0; 32]), RecordSeq(6))),
        revealed: Some((DrawShare::new([0x5a; 32]), RecordSeq(8))),
    };
    let silent = VoterRow { node: NodeId(2), committed: None, revealed: None };
    let row = |state| DrawRow {
        id: DrawId(2),
        inspector: id("inspector"),
        role: Role::Inspector,
        query: over("Q"),
        ratio_percent: 10,
        profile: id("qidong-chengguan"),
        rule: "R-000-27".to_owned(),
        items: 300,
        population: PopulationDigest::new([0xb0; 32]),
        sample: 30,
        repeats: Some(DrawId(1)),
        reason: "复查".to_owned(),
        recorded_at: START,
        seq: RecordSeq(5),
        digest: DrawDigest::new([0xd0; 32]),
        source: SeedSource::Voters(vec![voter.clone(), silent.clone()]),
        state,
        steps: vec![RecordSeq(7)],
    };
    let target = TargetRow {
        inspector: id("inspector"),
        items: vec![item(1)],
        complaint: "12345-7".to_owned(),
        reason: "投诉".to_owned(),
        recorded_at: START,
        seq: RecordSeq(9),
        unit: Some(id("Q")),
    };
    golden::check(
        "draws",
        vec![
            golden::line("draws committing", &row(DrawState::Committing(START))),
            golden::line("draws revealing", &row(DrawState::Revealing(RecordSeq(7), START))),
            golden::line("draws overdue", &row(DrawState::Overdue(RecordSeq(7), START))),
            golden::line("draws completed", &row(DrawState::Completed(DrawSeed::new([0x5e; 32]), RecordSeq(9)))),
            golden::line("draws void", &row(DrawState::Void(vec![NodeId(2)], RecordSeq(9)))),
            golden::line("inspected draw", &InspectedBy::Draw(DrawId(2))),
            golden::line("inspected target", &InspectedBy::Target(RecordSeq(9))),
            golden::line("inspection_targets", &target),
            golden::line("answer", &Answer::Draw(Box::new(row(DrawState::Committing(START))))),
        ],
    );
}

//! The retention digest and its recomputation: [`fixture`](crate::fixture) compares both after every command of every test;
//! here is that a difference is found, and named.

use std::collections::BTreeMap;

use strongroom_custody::{
    Act, Command, Fact, Record, Value,
    case::{ArchiveCase, BindCase, OpenCase, Term},
    clock,
    correction::{Mistake, ProposeCorrection},
    digest,
    hold::{HoldScope, PlaceHold},
    keeping::{self, ExtendItem},
    replay::Replay,
    retained, retention,
    tables::{
        CASE_ITEMS, CASES, CASES_BY_ITEM, CORRECTIONS, HOLDS, HOLDS_BY_ITEM, ITEMS, KEEPING, PROFILE_VERSIONS,
        PROFILES, RETENTION_DIGEST, UNITS,
    },
};
use strongroom_types::{
    CorrectionId, RecordSeq, UnixMillis,
    rows::{MemoryRows, Rows as _},
};

use crate::fixture::{Cluster, DAY, HOUR, MINUTE, START, fields, id, item, small};

/// Items under a hold, a case, an extension and a correction of it.
fn lived() -> Cluster {
    let mut cluster = Cluster::with_items();
    let until = START.plus_ms(4000 * DAY);
    cluster.done("legal", Command::ExtendItem(ExtendItem { item: item(1), until, reason: "复议".to_owned() }));
    let place = PlaceHold {
        hold: id("H-1"),
        authority: "市法院".to_owned(),
        document: String::new(),
        reason: "审理".to_owned(),
        scope: HoldScope { items: vec![item(2)], ..HoldScope::default() },
    };
    cluster.done("legal", Command::PlaceHold(Box::new(place)));
    cluster.done("legal", Command::OpenCase(OpenCase { case: id("C-1"), unit: id("U1"), title: "占道".to_owned() }));
    cluster.done("legal", Command::BindCase(BindCase { case: id("C-1"), items: vec![item(1)] }));
    let archive = ArchiveCase { case: id("C-1"), date: START, term: Some(Term::Months(36)) };
    cluster.done("legal", Command::ArchiveCase(archive));
    let seq = keeping::read(&cluster.rows, item(1)).expect("reads").extensions[0].seq;
    let mistake = Mistake::Extension(item(1), seq);
    cluster.done("legal", Command::ProposeCorrection(ProposeCorrection { mistake, reason: "笔误".to_owned() }));
    cluster
}

/// Records of a cluster followed from the first, with compliance times as their leaves had them.
fn follow(records: &[(UnixMillis, Record)]) -> Result<(Replay, Vec<bool>), String> {
    let (mut replay, mut agreed) = (Replay::default(), Vec::new());
    for (seq, (t, record)) in (0..).zip(records) {
        let compared = replay.follow(RecordSeq(seq), *t, record).map_err(|error| error.to_string())?;
        agreed.extend(compared.map(|compared| compared.agrees()));
    }
    Ok((replay, agreed))
}

/// The records of [`lived`] and of the next hour, whose leaves all have T as it was at the start.
fn recorded() -> Vec<(UnixMillis, Record)> {
    let mut cluster = lived();
    let before = cluster.records.len();
    let t = clock::read(&cluster.rows).expect("reads").t;
    cluster.pass(HOUR);
    let later = clock::read(&cluster.rows).expect("reads").t;
    let at = |position: usize| if position < before { t } else { later };
    cluster.records.iter().enumerate().map(|(position, record)| (at(position), record.clone())).collect()
}

fn digests(cluster: &Cluster) -> Vec<(usize, &Record)> {
    let is_digest = |(_, record): &(usize, &Record)| record.act == Act::LedgerDigest;
    cluster.records.iter().enumerate().filter(is_digest).collect()
}

/// C3.
#[test]
fn a_digest_is_recorded_once_an_hour_and_names_the_one_before() {
    let mut cluster = Cluster::with_items();
    assert_eq!(digests(&cluster).len(), 1, "the first tick records one");
    for _ in 0..10 {
        cluster.pass(MINUTE);
    }
    assert_eq!(digests(&cluster).len(), 1, "the hour has not passed");
    cluster.pass(HOUR);
    cluster.done("station", Command::SealOriginal(small(6, "U1")));
    cluster.pass(HOUR);
    let told = digests(&cluster);
    let [(first, none), (second, of_first), (_, of_second)] = told.as_slice() else { panic!("{told:?}") };
    let earlier = |record: &Record| record.number(Fact::EarlierDigest);
    assert_eq!((earlier(none), earlier(of_first)), (None, Some(*first as u64)));
    assert_eq!(earlier(of_second), Some(*second as u64));
    assert_ne!(of_first.bytes(Fact::Digest), of_second.bytes(Fact::Digest), "an item was sealed between them");
    // The sum of the row is that of the newest digest: nothing has changed since.
    let sum = digest::sum(&cluster.rows).expect("reads");
    assert_eq!(of_second.bytes(Fact::Digest), Some(sum.hash.digest().as_slice()));
    assert_eq!(of_second.number(Fact::Count), Some(sum.rows));
    assert_eq!(of_second.rule, "C3");
}

/// What does not decide retention leaves the digest as it is; whatever does changes it.
#[test]
fn only_what_decides_retention_counts() {
    let mut cluster = Cluster::with_items();
    let sum = |cluster: &Cluster| digest::sum(&cluster.rows).expect("reads");
    let before = sum(&cluster);
    let request = crate::fixture::submit(
        strongroom_custody::profile::RequestAct::Copy,
        &[1],
        &[("reason", "x"), ("produced-by", "w")],
    );
    cluster.request("legal", request);
    assert_eq!(sum(&cluster), before);
    let extend = ExtendItem { item: item(1), until: START.plus_ms(4000 * DAY), reason: "x".to_owned() };
    cluster.done("legal", Command::ExtendItem(extend));
    let after = sum(&cluster);
    assert_eq!(after.rows, before.rows + 1);
    assert_ne!(after.hash, before.hash);
}

/// A state from before there was a sum gets it once, from all rows.
#[test]
fn a_state_without_a_sum_gets_the_same_one() {
    let cluster = lived();
    let kept = digest::sum(&cluster.rows).expect("reads");
    let mut older = cluster.clone();
    older.replay = None;
    older.rows.remove(RETENTION_DIGEST.id, &strongroom_types::rows::Key::to_bytes(&()));
    assert_eq!(digest::read(&older.rows).expect("reads"), None);
    assert_eq!(digest::sum(&older.rows).expect("reads"), kept);
    older.done("station", Command::SealOriginal(small(7, "U2")));
    let grown = digest::read(&older.rows).expect("reads").expect("it was made");
    assert_eq!(digest::of(&grown).expect("a sum"), digest::recompute(&older.rows).expect("reads"));
    assert_eq!(grown.rows, kept.rows + 1);
}

/// Pages of any size give all rows, each once.
#[test]
fn rows_come_page_by_page_in_order() {
    let cluster = lived();
    let all = retained::page(&cluster.rows, &[], usize::MAX).expect("reads");
    assert_eq!(all.len() as u64, digest::sum(&cluster.rows).expect("reads").rows);
    assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0));
    for size in [1, 2, 7] {
        let (mut paged, mut after) = (Vec::new(), Vec::new());
        loop {
            let page = retained::page(&cluster.rows, &after, size).expect("reads");
            assert!(page.len() <= size);
            let Some((last, _)) = page.last() else { break };
            after.clone_from(last);
            paged.extend(page);
        }
        assert_eq!(paged, all, "{size}");
    }
}

#[test]
fn what_counts_of_a_row_is_as_it_always_was() {
    let cluster = lived();
    let rows = retained::page(&cluster.rows, &[], usize::MAX).expect("reads");
    let hex = |value: &[u8]| value.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    crate::golden::check("retained", rows.iter().map(|(key, value)| (retained::key_words(key), hex(value))).collect());
}

type Alter = fn(&mut MemoryRows);

/// One row is changed behind the rules: it is the one that is named, and no other.
#[test]
fn a_row_that_was_altered_is_named() {
    let alterations: &[(&str, Alter)] = &[
        ("items 01010101010101010101010101010101", |rows| {
            let mut row = ITEMS.read(rows, &item(1)).expect("reads").expect("sealed");
            row.retention.floor_until = Some(START);
            ITEMS.write(rows, &item(1), &row);
        }),
        ("items 01010101010101010101010101010101", |rows| {
            let mut row = ITEMS.read(rows, &item(1)).expect("reads").expect("sealed");
            row.labels.get_mut("place").expect("labelled")[0].value = "south gate".to_owned();
            ITEMS.write(rows, &item(1), &row);
        }),
        ("items 02020202020202020202020202020202", |rows| ITEMS.remove(rows, &item(2))),
        ("keeping 01010101010101010101010101010101", |rows| {
            let mut row = KEEPING.read(rows, &item(1)).expect("reads").expect("extended");
            row.extensions[0].until = START;
            KEEPING.write(rows, &item(1), &row);
        }),
        ("holds H-1", |rows| {
            let mut row = HOLDS.read(rows, &id("H-1")).expect("reads").expect("placed");
            let step = strongroom_custody::correction::RoleStepRow {
                by: id("legal"),
                role: strongroom_types::Role::Legal,
                at: START,
                seq: row.seq,
            };
            row.state = strongroom_custody::hold::HoldState::Released(step.clone(), step, String::new());
            HOLDS.write(rows, &id("H-1"), &row);
        }),
        ("holds_by_item 02020202020202020202020202020202 H-1", |rows| {
            HOLDS_BY_ITEM.remove(rows, &(item(2), id("H-1")));
        }),
        ("cases C-1", |rows| {
            let mut row = CASES.read(rows, &id("C-1")).expect("reads").expect("opened");
            row.archives[0].archive.term = Term::Months(1);
            CASES.write(rows, &id("C-1"), &row);
        }),
        ("case_items C-1 01010101010101010101010101010101", |rows| {
            let key = (id("C-1"), item(1));
            let mut row = CASE_ITEMS.read(rows, &key).expect("reads").expect("bound");
            row.corrected = Some(CorrectionId(1));
            CASE_ITEMS.write(rows, &key, &row);
        }),
        ("cases_by_item 01010101010101010101010101010101 C-1", |rows| {
            CASES_BY_ITEM.remove(rows, &(item(1), id("C-1")));
        }),
        ("corrections fffffffffffffffe", |rows| {
            let mut row = CORRECTIONS.read(rows, &(u64::MAX - 1)).expect("reads").expect("proposed");
            row.mistake = Mistake::Binding(id("C-1"), item(1));
            CORRECTIONS.write(rows, &(u64::MAX - 1), &row);
        }),
        ("profile_versions dev", |rows| {
            let mut row = PROFILE_VERSIONS.read(rows, &id("dev")).expect("reads").expect("in force");
            row.versions[0].floor_months = Some(1);
            PROFILE_VERSIONS.write(rows, &id("dev"), &row);
        }),
        ("profiles 646576000000000000000001", |rows| {
            let mut row = PROFILES.read(rows, &(id("dev"), 1)).expect("reads").expect("in force");
            row.toml.push('\n');
            PROFILES.write(rows, &(id("dev"), 1), &row);
        }),
        ("units U1", |rows| {
            let mut row = UNITS.read(rows, &id("U1")).expect("reads").expect("there");
            row.profile = id("unset");
            UNITS.write(rows, &id("U1"), &row);
        }),
    ];
    let cluster = lived();
    let replay = cluster.replay.clone().expect("the records can be followed");
    for (named, alter) in alterations {
        let mut rows = cluster.rows.clone();
        alter(&mut rows);
        let found = retained::page(&rows, &[], usize::MAX).expect("reads");
        let difference = replay.first_difference(&[], None, &found).unwrap_or_else(|| panic!("{named} is not missed"));
        assert_eq!(retained::key_words(&difference.key), *named);
        assert_ne!(digest::sum(&rows).expect("reads"), digest::recompute(&rows).expect("reads"), "{named}");
    }
    let untouched = retained::page(&cluster.rows, &[], usize::MAX).expect("reads");
    assert_eq!(replay.first_difference(&[], None, &untouched), None);
}

/// A row that was altered comes out in every digest after it is changed lawfully: no later command makes it good.
#[test]
fn a_digest_over_an_altered_row_is_not_what_the_records_come_to() {
    let mut cluster = lived();
    let mut row = KEEPING.read(&cluster.rows, &item(1)).expect("reads").expect("extended");
    row.extensions[0].until = START;
    KEEPING.write(&mut cluster.rows, &item(1), &row);
    let mut replay = cluster.replay.take().expect("the records can be followed");
    let from = cluster.records.len();
    let extend = ExtendItem { item: item(1), until: START.plus_ms(5000 * DAY), reason: "x".to_owned() };
    cluster.done("legal", Command::ExtendItem(extend));
    cluster.pass(HOUR);
    let t = clock::read(&cluster.rows).expect("reads").t;
    let mut compared = Vec::new();
    for (seq, record) in (from as u64..).zip(&cluster.records[from..]) {
        compared.extend(replay.follow(RecordSeq(seq), t, record).expect("follows"));
    }
    assert_eq!(compared.iter().map(|compared| compared.agrees()).collect::<Vec<_>>(), [false]);
}

type Found = Result<Vec<bool>, &'static str>;
type Change = fn(&mut Record);

/// A record that was changed is found by the next digest, or cannot be followed at all.
#[test]
fn a_record_that_was_changed_is_found() {
    let records = recorded();
    let (_, agreed) = follow(&records).expect("follows");
    assert_eq!(agreed, [true, true]);
    let changes: &[(Act, Change, Found)] = &[
        (
            Act::ItemSeal,
            |record| drop(record.facts.insert(Fact::FloorUntil, Value::Time(START))),
            Ok(vec![true, false]),
        ),
        (Act::ItemSeal, |record| record.refused = Some(strongroom_types::Reason::NotFound), Err("no record before it")),
        (Act::ItemExtend, |record| drop(record.facts.insert(Fact::Until, Value::Time(START))), Ok(vec![true, false])),
        (Act::ItemExtend, |record| drop(record.facts.remove(&Fact::Until)), Err("does not say `until`")),
        (Act::HoldPlace, |record| record.items = vec![item(3)], Ok(vec![true, false])),
        (Act::CaseBind, |record| record.items = vec![item(2)], Ok(vec![true, false])),
        (Act::CaseArchive, |record| drop(record.facts.insert(Fact::Term, "12 months".into())), Ok(vec![true, false])),
        (
            Act::CorrectionPropose,
            |record| drop(record.facts.insert(Fact::Corrects, 0.into())),
            Err("no record before it set"),
        ),
        (Act::ProfileActivate, |record| drop(record.facts.insert(Fact::FloorMonths, 1.into())), Ok(vec![false, false])),
    ];
    for (act, change, expected) in changes {
        let mut altered = records.clone();
        let (_, record) = altered.iter_mut().find(|(_, record)| record.act == *act).expect("it was recorded");
        change(record);
        match (follow(&altered), expected) {
            (Ok((_, agreed)), Ok(expected)) => assert_eq!(agreed, *expected, "{act:?}"),
            (Err(told), Err(expected)) => assert!(told.contains(expected), "{act:?}: {told}"),
            (Ok((_, agreed)), Err(expected)) => {
                // Sealing refused: what speaks of the item later has nothing to speak of, or the digest differs.
                assert!(agreed.contains(&false), "{act:?}: {expected}");
            }
            (Err(told), Ok(_)) => panic!("{act:?}: {told}"),
        }
    }
}

/// Time alone changes no row: what counts is what was said, and when it counts is judged by T.
#[test]
fn the_digest_of_the_same_rows_is_the_same_at_any_time() {
    let mut cluster = Cluster::with_items();
    let before = digest::sum(&cluster.rows).expect("reads");
    cluster.pass_months(8);
    assert_eq!(digest::sum(&cluster.rows).expect("reads"), before);
    let kept = cluster.kept(1);
    assert!(retention::effective_until(&kept).expect("it has an end") < clock::read(&cluster.rows).expect("reads").t);
}

/// Labels of the seal stand in its record as a digest, since receipts carry that record.
#[test]
fn the_record_of_a_seal_names_its_labels_by_their_digest() {
    let cluster = Cluster::with_items();
    let seal = cluster.records.iter().find(|record| record.act == Act::ItemSeal).expect("sealed");
    let expected = retained::labels_digest(&fields(&[("place", "north gate")]));
    assert_eq!(seal.bytes(Fact::LabelsDigest), Some(expected.as_slice()));
    assert_ne!(expected, retained::labels_digest(&BTreeMap::new()));
    let bytes = seal.to_bytes();
    assert!(!bytes.windows(10).any(|window| window == b"north gate"));
}

//! Holds: nothing they cover is disposed of, whatever else has ended, until two offices say so.

use strongroom_custody::{
    Answer, Command,
    command::LabelItem,
    hold::{self, HoldQuery, HoldRow, HoldScope, HoldState, PlaceHold, ReleaseHold},
    retention::Keeper,
};
use strongroom_types::{Reason, limits};

use crate::{
    cases::{archive, bind, open, with_case},
    fixture::{Cluster, DAY, START, fields, id, item, small},
};
use strongroom_custody::case::Term;

pub(crate) fn place(name: &str, scope: HoldScope) -> Command {
    Command::PlaceHold(Box::new(PlaceHold {
        hold: id(name),
        authority: "公安局".to_owned(),
        document: "公函 3 号".to_owned(),
        reason: "inquiry".to_owned(),
        scope,
    }))
}

pub(crate) fn on_items(name: &str, items: &[u8]) -> Command {
    let items = items.iter().map(|number| item(*number)).collect();
    place(name, HoldScope { items, ..HoldScope::default() })
}

pub(crate) fn on_case(name: &str, case: &str) -> Command {
    place(name, HoldScope { cases: vec![id(case)], ..HoldScope::default() })
}

pub(crate) fn on_query(name: &str, query: HoldQuery) -> Command {
    place(name, HoldScope { queries: vec![query], ..HoldScope::default() })
}

pub(crate) fn release(name: &str) -> Command {
    Command::ReleaseHold(ReleaseHold { hold: id(name), reason: "inquiry ended".to_owned() })
}

fn row(answer: Answer) -> HoldRow {
    match answer {
        Answer::Hold(row, _) => *row,
        other => panic!("no hold but {other:?}"),
    }
}

fn is_held(cluster: &Cluster, number: u8) -> bool {
    let held = cluster.kept(number).iter().any(|kept| matches!(kept.by, Keeper::Hold(..)));
    let refused = cluster.refusal_to_dispose(number).map(|refusal| refusal.reason) == Some(Reason::HoldActive);
    assert_eq!(held, refused, "a hold is what stands in the way before anything else");
    held
}

#[test]
fn a_hold_beats_everything_else() {
    let mut cluster = Cluster::with_items();
    cluster.done("legal", on_items("H-1", &[1, 5]));
    cluster.pass_months(1100);
    assert!(is_held(&cluster, 1) && is_held(&cluster, 5) && !is_held(&cluster, 2));
    assert!(cluster.refusal_to_dispose(1).expect("held").message.contains("公安局"));
}

#[test]
fn a_hold_on_a_case_covers_what_is_bound_later_and_needs_no_second_command() {
    let mut cluster = with_case();
    cluster.done("unit-head", on_case("H-1", "C-1"));
    cluster.done("custodian", bind("C-1", &[2]));
    assert!(is_held(&cluster, 1) && is_held(&cluster, 2));
    cluster.done("legal", archive("C-1", START, Some(Term::Months(1))));
    cluster.pass_months(24);
    assert!(is_held(&cluster, 1), "the archived case's term is over, the hold is not");
}

#[test]
fn a_hold_by_query_covers_what_is_sealed_later() {
    let mut cluster = Cluster::with_items();
    cluster.done("legal", on_query("H-1", HoldQuery { unit: Some(id("U1")), ..HoldQuery::default() }));
    cluster.done("station", Command::SealOriginal(small(6, "U1")));
    cluster.done("station", Command::SealOriginal(small(7, "U4")));
    assert!(is_held(&cluster, 1) && is_held(&cluster, 6));
    assert!(!is_held(&cluster, 3) && !is_held(&cluster, 7));
}

#[test]
fn conditions_of_a_query_must_all_be_met() {
    let all = HoldQuery {
        unit: Some(id("U1")),
        device: Some(id("D1")),
        activity: Some(id("A-7")),
        labels: fields(&[("place", "north gate")]),
        from: Some(START.plus_ms(-DAY)),
        to: Some(START.plus_ms(DAY)),
    };
    let cluster = Cluster::with_items();
    assert!(all.covers(&cluster.item(1)));
    for query in [
        HoldQuery { unit: Some(id("U2")), ..all.clone() },
        HoldQuery { device: Some(id("D2")), ..all.clone() },
        HoldQuery { activity: Some(id("A-8")), ..all.clone() },
        HoldQuery { labels: fields(&[("place", "south gate")]), ..all.clone() },
        HoldQuery { labels: fields(&[("officer", "north gate")]), ..all.clone() },
        HoldQuery { from: Some(START.plus_ms(1)), ..all.clone() },
        HoldQuery { to: Some(START.plus_ms(-DAY)), ..all },
    ] {
        assert!(!query.covers(&cluster.item(1)), "{query:?}");
    }
}

#[test]
fn no_later_label_takes_an_item_out_of_a_hold() {
    let mut cluster = Cluster::with_items();
    let query = HoldQuery { labels: fields(&[("place", "north gate")]), ..HoldQuery::default() };
    cluster.done("legal", on_query("H-1", query));
    let label = LabelItem { item: item(1), name: "place".to_owned(), value: "elsewhere".to_owned() };
    cluster.done("recorder", Command::LabelItem(label));
    assert!(is_held(&cluster, 1));
}

#[test]
fn a_wrong_device_clock_takes_nothing_out_of_a_hold_by_time() {
    let mut cluster = Cluster::new();
    let mut seal = small(1, "U1");
    // The device says 2099; it was sealed in 2026.
    seal.open.description.recorded_start = "2099-01-01T00:00:00".parse().expect("a time");
    seal.open.description.recorded_end = seal.open.description.recorded_start;
    cluster.done("station", Command::SealOriginal(seal));
    let (from, to) = (Some(START.plus_ms(-DAY)), Some(START.plus_ms(DAY)));
    cluster.done("legal", on_query("H-1", HoldQuery { from, to, ..HoldQuery::default() }));
    assert!(is_held(&cluster, 1));
}

#[test]
fn two_offices_release_a_hold_and_only_that_one() {
    let mut cluster = Cluster::with_items();
    cluster.done("legal", on_items("H-1", &[1]));
    cluster.done("legal", on_items("H-2", &[1]));
    cluster.refused("custodian", release("H-1"), Reason::RoleNotAllowed);
    let first = row(cluster.done("legal", release("H-1")));
    assert!(matches!(first.state, HoldState::Releasing(..)) && first.stands());
    assert_eq!(hold::still_missing(&first), ["release by head"]);
    cluster.refused("legal", release("H-1"), Reason::SamePerson);
    let refusal = cluster.refused("legal-2", release("H-1"), Reason::ApprovalMissing);
    assert!(refusal.remedy.contains("head"), "{refusal:?}");
    let second = row(cluster.done("head", release("H-1")));
    assert!(!second.stands());
    assert!(is_held(&cluster, 1), "H-2 goes on");
    cluster.refused("head", release("H-1"), Reason::WrongState);
    cluster.done("head", release("H-2"));
    cluster.done("legal-2", release("H-2"));
    assert!(!is_held(&cluster, 1));
}

#[test]
fn a_first_step_that_nobody_followed_for_a_month_counts_no_more() {
    let mut cluster = Cluster::with_items();
    cluster.done("legal", on_items("H-1", &[1]));
    cluster.done("legal", release("H-1"));
    cluster.pass(limits::SECOND_STEP_MS);
    cluster.done("head", release("H-1"));
    assert!(is_held(&cluster, 1), "the head's step is the first of two again");
    cluster.done("legal", release("H-1"));
    assert!(!is_held(&cluster, 1));
}

#[test]
fn a_released_hold_by_query_covers_nothing_and_frees_its_place() {
    let mut cluster = Cluster::with_items();
    let query = HoldQuery { device: Some(id("D1")), ..HoldQuery::default() };
    for count in 0..limits::QUERY_HOLDS_MAX {
        cluster.done("legal", on_query(&format!("H-{count}"), query.clone()));
    }
    cluster.by("legal", on_query("one more", query.clone())).expect_err("too many");
    cluster.done("legal", release("H-7"));
    cluster.done("head", release("H-7"));
    cluster.done("legal", on_query("one more", query));
}

#[test]
fn a_hold_is_widened_under_its_name_and_its_authority() {
    let mut cluster = Cluster::with_items();
    cluster.done("legal", on_items("H-1", &[1]));
    let wider = row(cluster.done("head", on_items("H-1", &[1, 2])));
    assert_eq!(wider.items, 2);
    assert!(is_held(&cluster, 2));
    let mut other = PlaceHold {
        hold: id("H-1"),
        authority: "检察院".to_owned(),
        document: String::new(),
        reason: "another".to_owned(),
        scope: HoldScope { items: vec![item(3)], ..HoldScope::default() },
    };
    cluster.refused("legal", Command::PlaceHold(Box::new(other.clone())), Reason::AlreadyExists);
    cluster.done("legal", release("H-1"));
    cluster.done("head", release("H-1"));
    other.authority = "公安局".to_owned();
    cluster.refused("legal", Command::PlaceHold(Box::new(other)), Reason::AlreadyExists);
}

#[test]
fn a_hold_that_cannot_be_is_refused() {
    let mut cluster = Cluster::with_items();
    let query = HoldQuery::default;
    for (by, command, reason) in [
        ("legal", place("H-1", HoldScope::default()), Reason::InvalidArgument),
        ("legal", on_items("H-1", &[1, 1]), Reason::InvalidArgument),
        ("legal", on_items("H-1", &[9]), Reason::NotFound),
        ("legal", on_case("H-1", "C-9"), Reason::NotFound),
        ("legal", on_query("H-1", query()), Reason::InvalidArgument),
        (
            "legal",
            on_query("H-1", HoldQuery { from: Some(START), to: Some(START), ..query() }),
            Reason::InvalidArgument,
        ),
        ("legal-u2", on_items("H-1", &[1]), Reason::OutsideUnit),
        ("legal-u2", on_query("H-1", HoldQuery { device: Some(id("D1")), ..query() }), Reason::OutsideUnit),
        ("ops", on_items("H-1", &[1]), Reason::RoleNotAllowed),
        ("legal", release("H-1"), Reason::NotFound),
    ] {
        cluster.refused(by, command, reason);
    }
    cluster.done("legal-u2", on_query("H-1", HoldQuery { unit: Some(id("U2")), ..query() }));
    cluster.done("head", on_items("H-2", &[1]));
    cluster.refused("legal-u2", on_items("H-2", &[3]), Reason::OutsideUnit);
    cluster.done("legal-u2", open("C-2", "U2"));
}

//! Cases: evidence is kept as long as the dossier (G6).

use strongroom_custody::{
    Command, Fact,
    case::{self, ArchiveCase, BindCase, CaseState, CloseCase, OpenCase, Outcome, ReopenCase, Term},
    retention::{self, Keeper},
};
use strongroom_types::{Reason, UnixMillis, limits};

use crate::fixture::{Cluster, DAY, START, id, item, small};

pub(crate) fn open(case: &str, unit: &str) -> Command {
    Command::OpenCase(OpenCase { case: id(case), unit: id(unit), title: "占道经营".to_owned() })
}

pub(crate) fn bind(case: &str, items: &[u8]) -> Command {
    Command::BindCase(BindCase { case: id(case), items: items.iter().map(|number| item(*number)).collect() })
}

pub(crate) fn archive(case: &str, date: UnixMillis, term: Option<Term>) -> Command {
    Command::ArchiveCase(ArchiveCase { case: id(case), date, term })
}

fn reopen(case: &str) -> Command {
    Command::ReopenCase(ReopenCase { case: id(case), reason: "appeal".to_owned() })
}

fn close(case: &str, outcome: Outcome) -> Command {
    Command::CloseCase(CloseCase { case: id(case), outcome, reason: "decision 5".to_owned() })
}

pub(crate) fn with_case() -> Cluster {
    let mut cluster = Cluster::with_items();
    cluster.done("recorder", open("C-1", "U1"));
    cluster.done("custodian", bind("C-1", &[1]));
    cluster
}

fn until(cluster: &Cluster, number: u8) -> Option<UnixMillis> {
    retention::effective_until(&cluster.kept(number))
}

#[test]
fn g6_an_open_case_keeps_its_items_without_end() {
    let mut cluster = with_case();
    cluster.pass_months(600);
    let refusal = cluster.refusal_to_dispose(1).expect("kept");
    assert_eq!((refusal.reason, refusal.rule.as_str()), (Reason::RetentionActive, "G6"));
    assert!(refusal.message.contains("C-1") && refusal.remedy.contains("case archive"), "{refusal:?}");
    assert_eq!(cluster.refusal_to_dispose(2), None, "an item of no case is kept by its floor alone");
}

#[test]
fn g6_closing_a_case_releases_nothing_until_its_file_is_archived() {
    for outcome in Outcome::ALL {
        let mut cluster = with_case();
        cluster.done("legal", close("C-1", outcome));
        assert_eq!(cluster.last_record().text(Fact::Outcome), Some(outcome.name()));
        cluster.refused("legal", close("C-1", outcome), Reason::WrongState);
        assert_eq!(until(&cluster, 1), None);
    }
}

#[test]
fn g6_the_term_starts_at_the_later_of_the_archive_date_and_its_entry() {
    for (date, start) in [(START.plus_ms(-900 * DAY), START), (START.plus_ms(90 * DAY), START.plus_ms(90 * DAY))] {
        let mut cluster = with_case();
        cluster.done("archivist", archive("C-1", date, Some(Term::Months(36))));
        assert_eq!(until(&cluster, 1), Some(start.plus_months_rounded_up(36)), "{date}");
        assert_eq!(cluster.last_record().time(Fact::Until), until(&cluster, 1));
    }
}

#[test]
fn g6_archiving_takes_a_term_that_can_be() {
    let mut cluster = with_case();
    let refusal = cluster.refused("legal", archive("C-1", START, None), Reason::TermMissing);
    assert_eq!(refusal.rule, "G6");
    for months in [0, 1201] {
        cluster.refused("legal", archive("C-1", START, Some(Term::Months(months))), Reason::InvalidArgument);
    }
    cluster.done("legal", archive("C-1", START, Some(Term::Permanent)));
    assert_eq!(until(&cluster, 1), None, "永久 has no end");
    cluster.refused("legal", archive("C-1", START, Some(Term::Months(1))), Reason::WrongState);
}

#[test]
fn g6_a_short_term_never_goes_below_the_floor() {
    let mut cluster = with_case();
    cluster.done("legal", archive("C-1", START, Some(Term::Months(1))));
    assert_eq!(until(&cluster, 1), Some(START.plus_months_rounded_up(6)));
}

#[test]
fn g6_a_reopened_case_keeps_again_and_archived_again_the_longest_term_counts() {
    let mut cluster = with_case();
    cluster.refused("legal", reopen("C-1"), Reason::WrongState);
    cluster.done("legal", archive("C-1", START, Some(Term::Months(120))));
    cluster.done("unit-head", reopen("C-1"));
    assert_eq!(until(&cluster, 1), None);
    cluster.pass(30 * DAY);
    cluster.done("legal", archive("C-1", START, Some(Term::Months(12))));
    assert_eq!(until(&cluster, 1), Some(START.plus_months_rounded_up(120)), "the earlier, longer term still counts");
    let row = case::read(&cluster.rows, &id("C-1")).expect("a case");
    assert_eq!((row.archives.len(), row.state), (2, CaseState::Archived));
}

#[test]
fn g6_of_several_cases_the_longest_counts_and_all_must_be_archived() {
    let mut cluster = with_case();
    cluster.done("legal", open("C-2", "U1"));
    cluster.done("legal", bind("C-2", &[1]));
    cluster.done("legal", archive("C-1", START, Some(Term::Months(12))));
    assert_eq!(until(&cluster, 1), None, "C-2 is open");
    cluster.done("legal", archive("C-2", START, Some(Term::Months(24))));
    assert_eq!(until(&cluster, 1), Some(START.plus_months_rounded_up(24)));
    let keepers = cluster.kept(1).into_iter().filter(|kept| matches!(kept.by, Keeper::ArchivedCase(_))).count();
    assert_eq!(keepers, 2);
}

#[test]
fn binding_is_said_once_and_can_be_said_again() {
    let mut cluster = with_case();
    cluster.done("custodian", bind("C-1", &[1, 2]));
    assert_eq!(cluster.last_record().number(Fact::Count), Some(1), "one was bound already");
    assert_eq!(case::read(&cluster.rows, &id("C-1")).expect("a case").items, 2);
}

#[test]
fn a_binding_that_cannot_be_is_refused_whole() {
    let mut cluster = with_case();
    let mut seal = small(7, "U1");
    seal.open.description.device = id("stranger");
    cluster.done("station", Command::SealOriginal(seal));
    cluster.refused("legal", bind("C-1", &[]), Reason::InvalidArgument);
    cluster.refused("legal", bind("C-1", &[2, 2]), Reason::InvalidArgument);
    cluster.refused("legal", bind("C-1", &[2, 9]), Reason::NotFound);
    cluster.refused("legal", bind("C-1", &[2, 7]), Reason::Quarantined);
    cluster.refused("legal", bind("C-7", &[2]), Reason::NotFound);
    cluster.refused("legal-u2", bind("C-1", &[3]), Reason::OutsideUnit);
    let many = vec![2; limits::BATCH_ITEMS_MAX + 1];
    cluster.refused("legal", bind("C-1", &many), Reason::InvalidArgument);
    assert!(cluster.kept(2).len() == 1, "item 2 was never bound");
}

#[test]
fn a_case_is_opened_once_in_a_unit_that_there_is() {
    let mut cluster = with_case();
    cluster.refused("legal", open("C-1", "U1"), Reason::AlreadyExists);
    cluster.refused("legal", open("C-3", "U9"), Reason::NotFound);
    cluster.refused("legal-u2", open("C-3", "U1"), Reason::OutsideUnit);
    let nameless = OpenCase { case: id("C-3"), unit: id("U1"), title: " ".to_owned() };
    cluster.refused("legal", Command::OpenCase(nameless), Reason::FieldMissing);
    cluster.refused("ops", open("C-3", "U1"), Reason::RoleNotAllowed);
}

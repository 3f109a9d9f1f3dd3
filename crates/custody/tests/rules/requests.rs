//! Requests and their chains: who asks, who approves, what is missing.

use strongroom_custody::{
    Act, Answer, Command, Fact,
    command::{ApproveRequest, RejectRequest, SubmitRequest},
    profile::RequestAct,
    request::{RequestState, rule_of_row, state_name, still_missing},
};
use strongroom_types::{Reason, RequestId, Role, limits};

use crate::fixture::{Cluster, DAY, id, item, small, submit};

const WHY: (&str, &str) = ("reason", "case 5");
const STRICT_COPY: &[(&str, &str)] = &[WHY, ("produced-by", "王五")];

fn approve(request: RequestId) -> Command {
    Command::ApproveRequest(ApproveRequest { request })
}

fn reject(request: RequestId, reason: &str) -> Command {
    Command::RejectRequest(RejectRequest { request, reason: reason.to_owned() })
}

fn asked(act: RequestAct, items: &[u8], pairs: &[(&str, &str)]) -> Command {
    Command::SubmitRequest(submit(act, items, pairs))
}

#[test]
fn a_request_is_numbered_and_recorded_with_its_form() {
    let mut cluster = Cluster::with_items();
    for number in 1..=3 {
        let request = cluster.request("legal", submit(RequestAct::Copy, &[1, 2], &[WHY, ("unit", "法制科")]));
        assert_eq!(request, RequestId(number));
    }
    let record = cluster.last_record();
    assert_eq!((record.act, record.rule.as_str()), (Act::RequestSubmit, "R-003-6c"));
    assert_eq!(record.items, [item(1), item(2)]);
    for (fact, text) in [
        (Fact::Request, "REQ-3"),
        (Fact::RequestAct, "copy"),
        (Fact::ReasonGiven, "case 5"),
        (Fact::Form, "unit=法制科"),
    ] {
        assert_eq!(record.text(fact), Some(text));
    }
}

#[test]
fn no_text_of_a_form_can_pass_for_another_field() {
    let mut cluster = Cluster::with_items();
    let forged = [WHY, ("a", "1\nviewer=李四"), ("b=c", r"d\n")];
    cluster.request("legal", submit(RequestAct::Copy, &[1], &forged));
    let form = cluster.last_record().text(Fact::Form).expect("a form").to_owned();
    assert_eq!(form.lines().collect::<Vec<_>>(), [r"a=1\nviewer=李四", r"b\=c=d\\n"]);
}

#[test]
fn what_cannot_be_asked_for_is_refused_with_what_is_missing() {
    let too_many: Vec<_> = (0..=limits::REQUEST_ITEMS_MAX).map(|_| item(1)).collect();
    let long = "x".repeat(limits::TEXT_BYTES_MAX + 1);
    let copy = |items: &[u8], pairs: &[(&str, &str)]| asked(RequestAct::Copy, items, pairs);
    let cases: &[(&str, &str, Command, Reason)] = &[
        ("no reason", "legal", copy(&[1], &[]), Reason::FieldMissing),
        ("a blank reason", "legal", copy(&[1], &[("reason", "  ")]), Reason::FieldMissing),
        ("no produced-by", "unit-head", copy(&[3], &[WHY]), Reason::FieldMissing),
        ("a field without a name", "legal", copy(&[1], &[WHY, ("", "x")]), Reason::InvalidArgument),
        ("a text too long", "legal", copy(&[1], &[("reason", &long)]), Reason::InvalidArgument),
        ("no item", "legal", copy(&[], &[WHY]), Reason::InvalidArgument),
        ("an item twice", "legal", copy(&[1, 1], &[WHY]), Reason::InvalidArgument),
        (
            "too many items",
            "legal",
            Command::SubmitRequest(SubmitRequest { items: too_many, ..submit(RequestAct::Copy, &[], &[WHY]) }),
            Reason::InvalidArgument,
        ),
        ("an unknown item", "legal", copy(&[1, 9], &[WHY]), Reason::NotFound),
        ("items of two profiles", "legal", copy(&[1, 3], &[WHY]), Reason::InvalidArgument),
        ("an act without a chain", "legal", asked(RequestAct::Transfer, &[1], &[WHY]), Reason::ActUnspecified),
        ("a profile without chains", "legal", copy(&[5], &[WHY]), Reason::ActUnspecified),
        ("an item of another unit", "legal-u2", copy(&[1], &[WHY]), Reason::OutsideUnit),
        ("a role that the profile leaves out", "recorder", copy(&[1], &[WHY]), Reason::RoleNotAllowed),
    ];
    for (name, who, command, reason) in cases {
        let mut cluster = Cluster::with_items();
        cluster.refused(who, command.clone(), *reason);
        let first = cluster.request("legal", submit(RequestAct::Copy, &[1], &[WHY]));
        assert_eq!(first, RequestId(1), "{name} used a number up");
    }
    let field = Cluster::with_items().refused("unit-head", copy(&[3], &[WHY]), Reason::FieldMissing);
    assert!(field.remedy.contains("--field produced-by="), "{field:?}");
}

#[test]
fn the_record_of_an_overlong_request_is_not_as_long() {
    let items =
        (0..5000).map(|n: u32| strongroom_types::ItemId::new([n.to_be_bytes(); 4].concat().try_into().expect("16")));
    let command =
        Command::SubmitRequest(SubmitRequest { items: items.collect(), ..submit(RequestAct::Copy, &[], &[WHY]) });
    let mut cluster = Cluster::with_items();
    cluster.refused("legal", command, Reason::InvalidArgument);
    assert_eq!(cluster.last_record().items.len(), limits::REQUEST_ITEMS_MAX);
}

#[test]
fn items_in_quarantine_are_not_asked_for() {
    let mut cluster = Cluster::with_items();
    let mut seal = small(6, "U1");
    seal.open.description.device = id("stranger");
    cluster.done("station", Command::SealOriginal(seal));
    cluster.refused("legal", asked(RequestAct::Copy, &[1, 6], &[WHY]), Reason::Quarantined);
}

#[test]
fn any_one_approval_grants_where_any_is_needed() {
    for who in ["approver", "head"] {
        let mut cluster = Cluster::with_items();
        let request = cluster.request("legal", submit(RequestAct::Copy, &[1], &[WHY]));
        let row = cluster.approve(who, request);
        let until = cluster.wall.plus_ms(30 * DAY);
        assert_eq!(row.state, RequestState::Approved(until));
        let record = cluster.last_record();
        assert_eq!((record.time(Fact::ValidUntil), record.text(Fact::State)), (Some(until), Some("approved")));
        assert_eq!(record.text(Fact::Role), Some(who));
        assert_eq!(row.approvals[0].seq.0 + 1, cluster.records.len() as u64, "the row names the record");
    }
}

#[test]
fn all_approvals_are_needed_where_all_are_in_either_order() {
    for order in [["legal", "approver"], ["approver", "legal"]] {
        let mut cluster = Cluster::with_items();
        let request = cluster.request("recorder", submit(RequestAct::Copy, &[3, 4], STRICT_COPY));
        let row = cluster.approve(order[0], request);
        assert_eq!(row.state, RequestState::Pending);
        assert_eq!(cluster.last_record().text(Fact::State), Some("pending"));
        let rule = rule_of_row(&cluster.rows, &row).expect("a rule");
        assert_eq!(still_missing(&row, &rule), [format!("approval by {}", order[1])]);
        // Another holder of the same role adds nothing.
        cluster.refused(&format!("{}-2", order[0]), approve(request), Reason::RoleNotAllowed);
        let row = cluster.approve(order[1], request);
        assert!(matches!(row.state, RequestState::Approved(_)));
        assert_eq!(
            row.approvals.iter().map(|a| a.role).filter(|r| [Role::Legal, Role::Approver].contains(r)).count(),
            2
        );
        assert_eq!(state_name(&row, &rule, cluster.wall), "approved");
        assert_eq!(state_name(&row, &rule, cluster.wall.plus_ms(DAY)), "expired");
    }
}

#[test]
fn nobody_takes_two_steps() {
    let mut cluster = Cluster::with_items();
    // Jack holds every role of the strict chain; he takes one step of it.
    let request = cluster.request("jack", submit(RequestAct::Copy, &[3], STRICT_COPY));
    for command in [approve(request), reject(request, "no")] {
        assert_eq!(cluster.refused("jack", command, Reason::SamePerson).rule, "G8");
    }
    let request = cluster.request("recorder", submit(RequestAct::Copy, &[3], STRICT_COPY));
    cluster.approve("jack", request);
    cluster.refused("jack", approve(request), Reason::SamePerson);
    assert_eq!(cluster.last_record().items, [item(3)], "the refusal names the request's items");
    assert_eq!(cluster.last_record().text(Fact::Request), Some("REQ-2"));
    cluster.approve("approver", request);
}

#[test]
fn only_a_role_of_the_chain_decides() {
    let mut cluster = Cluster::with_items();
    let request = cluster.request("legal", submit(RequestAct::Copy, &[1], &[WHY]));
    for who in ["unit-head", "legal-2"] {
        for command in [approve(request), reject(request, "no")] {
            let refusal = cluster.refused(who, command, Reason::RoleNotAllowed);
            assert!(refusal.remedy.contains("approver, head"), "{refusal:?}");
        }
    }
    let other =
        cluster.request("recorder", submit(RequestAct::View, &[3], &[WHY, ("viewer", "x"), ("viewed-at", "y")]));
    cluster.approve("legal-u2", other);
    cluster.refused("legal-u2", approve(request), Reason::OutsideUnit);
    cluster.refused("head", approve(RequestId(77)), Reason::NotFound);
    cluster.refused("head", reject(RequestId(77), "no"), Reason::NotFound);
}

#[test]
fn what_is_decided_stays_decided() {
    let mut cluster = Cluster::with_items();
    let rejected = cluster.request("legal", submit(RequestAct::Copy, &[1], &[WHY]));
    cluster.refused("head", reject(rejected, " "), Reason::FieldMissing);
    cluster.refused("head", reject(rejected, &"x".repeat(limits::TEXT_BYTES_MAX + 1)), Reason::InvalidArgument);
    let row = cluster.requested("head", reject(rejected, "no basis"));
    assert_eq!(row.state, RequestState::Rejected(id("head"), "no basis".to_owned()));
    assert_eq!(cluster.last_record().text(Fact::ReasonGiven), Some("no basis"));
    let approved = cluster.request("legal", submit(RequestAct::Copy, &[1], &[WHY]));
    cluster.approve("head", approved);
    for (request, state) in [(rejected, "rejected"), (approved, "approved")] {
        for command in [approve(request), reject(request, "again")] {
            let refusal = cluster.refused("approver", command, Reason::WrongState);
            assert!(refusal.message.contains(state), "{refusal:?}");
        }
    }
}

#[test]
fn a_request_answers_with_the_row_that_is_stored() {
    let mut cluster = Cluster::with_items();
    let answer = cluster.done("legal", asked(RequestAct::Copy, &[1], &[WHY]));
    let stored = strongroom_custody::request::read(&cluster.rows, RequestId(1)).expect("is there");
    assert_eq!(answer, Answer::Request(Box::new(stored)));
}

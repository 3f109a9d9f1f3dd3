//! How requests end, and approvals that do not come from the approver's own hand: on paper, and by word of mouth.

use strongroom_custody::{
    Act, Command, Fact,
    access::Stop,
    approval::{AttestPaper, ConfirmOral, EnterOral, FilePaper},
    command::{AddUnit, ApproveRequest, BeginSession, EndSession, RevokeRequest, Under, WithdrawRequest},
    keeping::{Class, ClassifyItem},
    notice::{AcknowledgeNotice, NoticeRow},
    profile::RequestAct,
    request::{self, RequestRow, RequestState, next_steps, rule_of_row, state_name},
    session::check_read,
    tables::NOTICES,
};
use strongroom_types::{Reason, RecordSeq, RequestId, limits};

use crate::{
    chains::{JUDICIAL, QIDONG, SHIER, five, view, without},
    fixture::{Cluster, DAY, HOUR, created, id, item, key, session, small, submit, unit},
};

const WHY: &[(&str, &str)] = &[("reason", "case 5")];
const STRICT_VIEW: &[(&str, &str)] = &[("reason", "case 5"), ("viewer", "李四"), ("viewed-at", "now")];

fn approve(request: RequestId) -> Command {
    Command::ApproveRequest(ApproveRequest { request })
}

fn withdraw(request: RequestId) -> Command {
    Command::WithdrawRequest(WithdrawRequest { request, reason: "no longer needed".to_owned() })
}

fn revoke(request: RequestId) -> Command {
    Command::RevokeRequest(RevokeRequest { request, reason: "mistaken".to_owned() })
}

fn copy_out(number: u8, request: RequestId) -> Command {
    Command::BeginSession(BeginSession { session: session(number), under: Under::CopyOut(request) })
}

fn file(request: RequestId, form: u8, approver: &str) -> Command {
    Command::FilePaper(FilePaper { request, form: item(form), approver: id(approver) })
}

fn attest(request: RequestId, paper: RecordSeq) -> Command {
    Command::AttestPaper(AttestPaper { request, paper })
}

fn confirm(request: RequestId) -> Command {
    Command::ConfirmOral(ConfirmOral { request })
}

fn stored(cluster: &Cluster, request: RequestId) -> RequestRow {
    request::read(&cluster.rows, request).expect("is there")
}

fn state(cluster: &Cluster, request: RequestId) -> &'static str {
    let row = stored(cluster, request);
    state_name(&row, &rule_of_row(&cluster.rows, &row).expect("a rule"), cluster.wall)
}

fn next(cluster: &Cluster, request: RequestId) -> String {
    let row = stored(cluster, request);
    next_steps(&row, &rule_of_row(&cluster.rows, &row).expect("a rule"), cluster.wall).join("; ")
}

fn acts(row: &RequestRow) -> Vec<&'static str> {
    row.steps.iter().map(|step| step.act.name()).collect()
}

fn notices(cluster: &Cluster, of: &str) -> Vec<NoticeRow> {
    NOTICES.scan(&cluster.rows, &unit(of), None, 9).expect("reads").into_iter().map(|(_, row)| row).collect()
}

fn reads(cluster: &Cluster, name: &str, number: u8, of: u8) -> Result<(), Reason> {
    match check_read(&cluster.rows, &key(name), session(number), item(of)) {
        Ok(_) => Ok(()),
        Err(Stop::Refused(refusal)) => Err(refusal.reason),
        Err(Stop::Rows(error)) => panic!("{error}"),
    }
}

#[test]
fn a_request_that_nobody_decides_lapses_with_a_record() {
    let mut cluster = Cluster::with_items();
    let request = cluster.request("recorder", submit(RequestAct::View, &[3], STRICT_VIEW));
    cluster.approve("legal", request);
    cluster.pass(3 * DAY - 1);
    assert_eq!(state(&cluster, request), "pending");
    assert!(next(&cluster, request).contains("recorder can withdraw it"), "{}", next(&cluster, request));
    cluster.pass(1);
    let record = cluster.last_record();
    assert_eq!((record.act, record.text(Fact::Request)), (Act::RequestLapse, Some("REQ-1")));
    assert_eq!(record.text(Fact::State), Some("lapsed"));
    assert!(matches!(stored(&cluster, request).state, RequestState::Lapsed(_)));
    for (who, command) in [("approver", approve(request)), ("recorder", withdraw(request)), ("legal", revoke(request))]
    {
        let refusal = cluster.refused(who, command, Reason::WrongState);
        assert!(refusal.message.contains("lapsed") && refusal.remedy.contains("submit another"), "{refusal:?}");
    }
    let refusal = cluster.refused("custodian", view(1, request, 3), Reason::GrantEnded);
    assert!(refusal.message.contains("lapsed"), "{refusal:?}");
    assert_eq!(acts(&stored(&cluster, request)), ["request.submit", "request.approve", "request.lapse"]);
}

#[test]
fn nobody_decides_late_even_before_the_clock_has_ticked() {
    let mut cluster = Cluster::with_items();
    let request = cluster.request("recorder", submit(RequestAct::View, &[3], STRICT_VIEW));
    cluster.pass(3 * DAY - 30 * 1000);
    cluster.wall = cluster.wall.plus_ms(30 * 1000);
    let refusal = cluster.refused("legal", approve(request), Reason::WrongState);
    assert!(refusal.message.contains("lapsed"), "{refusal:?}");
    cluster.refused("custodian", view(1, request, 3), Reason::GrantEnded);
}

#[test]
fn a_grant_that_runs_out_leaves_its_record_and_one_that_was_decided_does_not_lapse() {
    let mut cluster = Cluster::with_items();
    let request = cluster.request("recorder", submit(RequestAct::View, &[3], STRICT_VIEW));
    cluster.pass(2 * DAY);
    cluster.approve("legal", request);
    cluster.approve("approver", request);
    let before = cluster.records.len();
    cluster.pass(DAY);
    let acts: Vec<_> = cluster.records[before..].iter().map(|record| record.act).collect();
    let passed = [Act::ClockAdvance, Act::LedgerDigest];
    assert_eq!((state(&cluster, request), acts.as_slice()), ("approved", &passed[..]), "only the clock was moved");
    cluster.pass(2 * DAY);
    assert_eq!(state(&cluster, request), "expired");
    let record = cluster.last_record();
    assert_eq!((record.act, record.text(Fact::State)), (Act::RequestLapse, Some("expired")));
}

#[test]
fn whoever_asked_withdraws_while_it_waits_and_nobody_else_does() {
    let mut cluster = Cluster::with_items();
    let request = cluster.request("legal", submit(RequestAct::Copy, &[1], WHY));
    let refusal = cluster.refused("legal-2", withdraw(request), Reason::NotYourStep);
    assert!(refusal.remedy.contains("legal can withdraw it"), "{refusal:?}");
    let blank = Command::WithdrawRequest(WithdrawRequest { request, reason: " ".to_owned() });
    cluster.refused("legal", blank, Reason::FieldMissing);
    let row = cluster.requested("legal", withdraw(request));
    assert_eq!(row.state, RequestState::Withdrawn(id("legal"), "no longer needed".to_owned()));
    assert_eq!(cluster.last_record().text(Fact::State), Some("withdrawn"));
    cluster.refused("head", approve(request), Reason::WrongState);
    cluster.refused("legal", withdraw(request), Reason::WrongState);
    cluster.refused("archivist", copy_out(1, request), Reason::GrantEnded);
    let granted = cluster.request("legal", submit(RequestAct::Copy, &[1], WHY));
    cluster.approve("head", granted);
    let refusal = cluster.refused("legal", withdraw(granted), Reason::WrongState);
    assert!(refusal.remedy.contains("can revoke it"), "{refusal:?}");
}

#[test]
fn a_grant_that_is_taken_back_ends_what_is_read_under_it_at_once() {
    for who in ["head", "legal-2"] {
        let mut cluster = Cluster::with_items();
        let request = cluster.request("legal", submit(RequestAct::Copy, &[1, 2], WHY));
        cluster.approve("head", request);
        cluster.done("archivist", copy_out(1, request));
        assert_eq!(reads(&cluster, "archivist", 1, 1), Ok(()));
        let refusal = cluster.refused("approver", revoke(request), Reason::NotYourStep);
        assert!(refusal.remedy.contains("whoever approved, or legal, can revoke it"), "{refusal:?}");
        cluster.refused("legal-u2", revoke(request), Reason::OutsideUnit);
        let row = cluster.requested(who, revoke(request));
        assert_eq!(row.state, RequestState::Revoked(id(who), "mistaken".to_owned()));
        assert_eq!(reads(&cluster, "archivist", 1, 1), Err(Reason::GrantEnded));
        cluster.refused("archivist", copy_out(2, request), Reason::GrantEnded);
        cluster.refused(who, revoke(request), Reason::WrongState);
        let end = EndSession { session: session(1), complete: false };
        cluster.done("archivist", Command::EndSession(end));
        assert_eq!(acts(&row), ["request.submit", "request.approve", "request.revoke"]);
    }
}

#[test]
fn an_approval_is_taken_back_before_the_chain_is_complete_by_whoever_gave_it() {
    let mut cluster = Cluster::with_items();
    let request = cluster.request("recorder", submit(RequestAct::View, &[3], STRICT_VIEW));
    cluster.approve("legal", request);
    // Legal ends grants; of what is pending each takes back their own.
    cluster.refused("legal-2", revoke(request), Reason::NotYourStep);
    cluster.requested("legal", revoke(request));
    cluster.refused("approver", approve(request), Reason::WrongState);
}

#[test]
fn a_grant_that_is_spent_can_still_be_taken_back_from_whoever_reads() {
    let mut cluster = Cluster::with_items();
    let request = cluster.request("recorder", submit(RequestAct::View, &[3], STRICT_VIEW));
    cluster.approve("legal", request);
    cluster.approve("approver", request);
    cluster.done("custodian", view(1, request, 3));
    cluster.done("archivist", view(2, request, 3));
    assert_eq!(state(&cluster, request), "spent");
    cluster.requested("approver", revoke(request));
    assert_eq!(reads(&cluster, "custodian", 1, 3), Err(Reason::GrantEnded));
}

/// A judicial view in Qidong, asked by legal, and a signed form as item 8 of the same unit.
fn with_form() -> (Cluster, RequestId) {
    let mut cluster = five();
    cluster.done("station", Command::SealOriginal(small(8, "Q1")));
    let request = cluster.request("legal", submit(RequestAct::View, &[QIDONG], &JUDICIAL));
    (cluster, request)
}

#[test]
fn a_signed_form_that_a_second_person_attests_is_the_approval_of_whoever_signed_it_r_000_25a() {
    let (mut cluster, request) = with_form();
    let row = cluster.requested("legal-2", file(request, 8, "head"));
    let paper = row.paper.as_ref().expect("it waits").seq;
    assert_eq!(cluster.last_record().items, [item(QIDONG), item(8)]);
    assert_eq!(state(&cluster, request), "pending");
    assert!(next(&cluster, request).contains("attestation of paper"), "{}", next(&cluster, request));
    cluster.refused("keeper Q1", view(1, request, QIDONG), Reason::ApprovalMissing);
    let row = cluster.requested("archivist", attest(request, paper));
    let [approval] = row.approvals.as_slice() else { panic!("{row:?}") };
    let given = approval.paper.as_ref().expect("on paper");
    assert_eq!((&approval.approver, given.form), (&id("head"), item(8)));
    assert_eq!((&given.filed_by, &given.attested_by), (&id("legal-2"), &id("archivist")));
    assert_eq!((state(&cluster, request), row.paper), ("approved", None));
    let record = cluster.last_record();
    assert_eq!((record.act, record.text(Fact::Principal)), (Act::PaperAttest, Some("head")));
    assert!(record.items.contains(&item(8)));
    // The head is told, and answers for having seen it; nobody else does.
    let [notice] = &notices(&cluster, "Q1")[..] else { panic!("one notice") };
    assert_eq!((notice.finding.as_str(), notice.request), ("PAPER_APPROVAL", Some(request)));
    let seen = AcknowledgeNotice { unit: unit("Q1"), notice: notice.seq, opinion: "属实".to_owned() };
    cluster.refused("unit-head", Command::AcknowledgeNotice(seen.clone()), Reason::RoleNotAllowed);
    cluster.done("head", Command::AcknowledgeNotice(seen));
    cluster.done("keeper Q1", view(1, request, QIDONG));
    // Whoever is named takes it back if it is not theirs.
    cluster.requested("head", revoke(request));
    assert_eq!(reads(&cluster, "keeper Q1", 1, QIDONG), Err(Reason::GrantEnded));
}

#[test]
fn whoever_files_attests_signs_asks_and_carries_out_are_five_people_g8() {
    let (mut cluster, request) = with_form();
    cluster.refused("legal", file(request, 8, "head"), Reason::SamePerson);
    cluster.refused("legal-2", file(request, 8, "legal"), Reason::SamePerson);
    let paper = cluster.requested("legal-2", file(request, 8, "head")).paper.expect("it waits").seq;
    for (who, reason) in [("legal", Reason::SamePerson), ("legal-2", Reason::SamePerson), ("head", Reason::SamePerson)]
    {
        cluster.refused(who, attest(request, paper), reason);
    }
    cluster.refused("recorder", attest(request, paper), Reason::RoleNotAllowed);
    cluster.refused("keeper X1", attest(request, paper), Reason::OutsideUnit);
    cluster.requested("keeper Q1", attest(request, paper));
    let refusal = cluster.refused("keeper Q1", view(1, request, QIDONG), Reason::SamePerson);
    assert!(refusal.message.contains("executor"), "whoever attested does not hand out: {refusal:?}");
}

#[test]
fn a_form_is_an_item_of_its_own_and_speaks_for_one_request() {
    let (mut cluster, request) = with_form();
    cluster.refused("legal-2", file(request, QIDONG, "head"), Reason::InvalidArgument);
    cluster.refused("legal-2", file(request, 77, "head"), Reason::NotFound);
    cluster.refused("legal-2", file(request, 8, "stranger"), Reason::NotFound);
    cluster.refused("legal-2", file(request, 8, "approver"), Reason::RoleNotAllowed);
    cluster.refused("archivist", file(request, 8, "head"), Reason::RoleNotAllowed);
    let first = cluster.requested("legal-2", file(request, 8, "head")).paper.expect("it waits").seq;
    // Filed again, because the wrong page was scanned: nobody attests to the other unseen.
    cluster.done("station", Command::SealOriginal(small(9, "Q1")));
    let second = cluster.requested("legal-2", file(request, 9, "head")).paper.expect("it waits").seq;
    let refusal = cluster.refused("archivist", attest(request, first), Reason::WrongState);
    assert!(refusal.remedy.contains("request show"), "{refusal:?}");
    cluster.requested("archivist", attest(request, second));
    let other = cluster.request("legal", submit(RequestAct::View, &[QIDONG], &JUDICIAL));
    let refusal = cluster.refused("legal-2", file(other, 9, "head"), Reason::AlreadyExists);
    assert!(refusal.message.contains(&request.to_string()), "{refusal:?}");
    cluster.requested("legal-2", file(other, 8, "head"));
}

#[test]
fn paper_and_word_of_mouth_count_only_where_the_profile_allows_them() {
    let mut cluster = Cluster::with_items();
    let request = cluster.request("legal", submit(RequestAct::Copy, &[1], WHY));
    let refusal = cluster.refused("legal-2", file(request, 2, "head"), Reason::ApprovalMissing);
    assert!(refusal.rule == "R-003-6c" && refusal.message.contains("调用单"), "it quotes the article: {refusal:?}");
    assert!(refusal.remedy.contains("approver or head in person"), "{refusal:?}");
    // None of the five texts lets anybody approve by word of mouth.
    let (mut cluster, request) = with_form();
    let refusal =
        cluster.refused("legal-2", enter(&cluster.clone(), request, "head", "archivist"), Reason::ApprovalMissing);
    assert_eq!(refusal.rule, "R-000-25a");
}

#[test]
fn a_form_counts_for_one_of_two_approvals_and_the_other_is_another_persons_r_002_16() {
    let mut cluster = five();
    cluster.done("station", Command::SealOriginal(small(8, "S1")));
    let form = [("reason", "监督"), ("purpose", "supervision"), ("viewer", "李四")];
    let request = cluster.request("inspector", submit(RequestAct::View, &[SHIER], &form));
    let paper = cluster.requested("legal-2", file(request, 8, "approver")).paper.expect("it waits").seq;
    cluster.requested("archivist", attest(request, paper));
    assert_eq!(state(&cluster, request), "pending");
    // Who filed or attested has taken their step.
    cluster.refused("legal-2", approve(request), Reason::SamePerson);
    cluster.approve("legal", request);
    cluster.done("keeper S1", view(1, request, SHIER));
}

/// `strict` with oral approvals of views, as unit G1 with item 7.
fn urgent() -> (Cluster, RequestId) {
    let text = include_str!("strict.toml").replace("name = \"strict\"", "name = \"urgent\"");
    let text = text.replacen("uses = 2\n", "uses = 2\nurgent-oral = true\n", 1);
    let mut create = created();
    create.profiles.push(text);
    create.units.push(AddUnit { unit: id("G1"), full_name: "G1".to_owned(), profile: id("urgent") });
    let mut cluster = Cluster::from(create);
    cluster.done("station", Command::SealOriginal(small(7, "G1")));
    let request = cluster.request("recorder", submit(RequestAct::View, &[7], STRICT_VIEW));
    cluster.approve("legal", request);
    (cluster, request)
}

fn enter(cluster: &Cluster, request: RequestId, approver: &str, witness: &str) -> Command {
    Command::EnterOral(EnterOral {
        request,
        approver: id(approver),
        witness: id(witness),
        said_at: cluster.wall,
        reason: "现场等候".to_owned(),
    })
}

#[test]
fn what_was_said_counts_for_a_day_and_then_waits_for_its_confirmation() {
    let (mut cluster, request) = urgent();
    let row = cluster.requested("legal-2", enter(&cluster.clone(), request, "approver", "unit-head"));
    let oral = row.approvals[1].oral.clone().expect("said");
    assert_eq!((oral.confirm_by, state(&cluster, request)), (cluster.wall.plus_ms(DAY), "approved"));
    assert!(next(&cluster, request).contains("confirmation by approver"), "{}", next(&cluster, request));
    assert_eq!(cluster.last_record().text(Fact::Witness), Some("unit-head"));
    assert_eq!(notices(&cluster, "G1")[0].finding, "ORAL_APPROVAL", "the head is told");
    cluster.done("custodian", view(1, request, 7));
    cluster.pass(DAY);
    let record = cluster.last_record();
    assert_eq!((record.act, record.text(Fact::Finding)), (Act::OralOverdue, Some("ORAL_UNCONFIRMED")));
    assert_eq!(notices(&cluster, "G1")[0].finding, "ORAL_UNCONFIRMED");
    let refusal = cluster.refused("archivist", view(2, request, 7), Reason::ApprovalMissing);
    assert!(refusal.remedy.contains("confirm-oral"), "{refusal:?}");
    for (who, reason) in [
        ("legal", Reason::RoleNotAllowed),
        ("approver-2", Reason::RoleNotAllowed),
        ("recorder", Reason::RoleNotAllowed),
    ] {
        cluster.refused(who, confirm(request), reason);
    }
    cluster.requested("approver", confirm(request));
    assert_eq!(cluster.last_record().text(Fact::Finding), Some("ORAL_CONFIRMED_LATE"));
    cluster.refused("approver", confirm(request), Reason::WrongState);
    cluster.done("archivist", view(2, request, 7));
}

#[test]
fn what_was_said_is_confirmed_in_time_by_whoever_said_it_or_the_head() {
    for who in ["approver", "head"] {
        let (mut cluster, request) = urgent();
        cluster.requested("legal-2", enter(&cluster.clone(), request, "approver", "unit-head"));
        cluster.pass(DAY - 1);
        cluster.requested(who, confirm(request));
        assert_eq!(cluster.last_record().text(Fact::Finding), None);
        let before = cluster.records.len();
        cluster.pass(1);
        assert_eq!(cluster.records.len(), before, "nothing is overdue");
        cluster.done("custodian", view(1, request, 7));
    }
}

#[test]
fn nobody_speaks_for_two_in_what_was_said() {
    let (cluster, request) = urgent();
    let now = cluster.wall;
    let at = |said_at, command| match command {
        Command::EnterOral(enter) => Command::EnterOral(EnterOral { said_at, ..enter }),
        other => other,
    };
    let said = |approver, witness| enter(&cluster, request, approver, witness);
    for (who, command, reason) in [
        ("legal", said("approver", "unit-head"), Reason::SamePerson),
        ("legal-2", said("approver", "recorder"), Reason::SamePerson),
        ("legal-2", said("approver", "approver"), Reason::SamePerson),
        ("legal-2", said("approver", "legal-2"), Reason::SamePerson),
        ("legal-2", said("approver", "legal"), Reason::SamePerson),
        ("legal-2", said("approver", "stranger"), Reason::NotFound),
        ("legal-2", said("unit-head", "archivist"), Reason::RoleNotAllowed),
        ("approver-2", said("approver", "archivist"), Reason::RoleNotAllowed),
        ("legal-2", at(now.plus_ms(1), said("approver", "archivist")), Reason::InvalidArgument),
        ("legal-2", at(now.plus_ms(-HOUR), said("approver", "archivist")), Reason::InvalidArgument),
    ] {
        cluster.clone().refused(who, command, reason);
    }
    let mut cluster = cluster.clone();
    cluster.pass(limits::ORAL_CONFIRM_MS);
    cluster.refused("legal-2", at(now, said("approver", "archivist")), Reason::InvalidArgument);
    let (mut cluster, request) = urgent();
    cluster.requested("legal-2", enter(&cluster.clone(), request, "approver", "archivist"));
    let refusal = cluster.refused("archivist", view(1, request, 7), Reason::SamePerson);
    assert!(refusal.message.contains("executor"), "{refusal:?}");
}

#[test]
fn what_leaves_the_agency_says_to_whom_by_which_letter_and_by_whose_hand_g8_r_000_25b_r_000_24() {
    let common = [
        ("reason", "移送"),
        ("recipient_kind", "court"),
        ("letter_no", "法函7号"),
        ("agent_id", "证1"),
        ("receiving_org", "人民法院"),
        ("receiver", "李四"),
    ];
    for (act, kind) in [(RequestAct::Transfer, "court"), (RequestAct::Provide, "party")] {
        let form = common.map(|(name, text)| (name, if name == "recipient_kind" { kind } else { text }));
        for name in ["recipient_kind", "letter_no", "agent_id"] {
            let pairs = without(&form, name);
            let mut cluster = five();
            let asked = Command::SubmitRequest(submit(act, &[QIDONG], &pairs));
            let refusal = cluster.refused("legal", asked, Reason::FieldMissing);
            assert!(refusal.remedy.contains(name), "{refusal:?}");
        }
        // The register's own fields are asked for before the first byte.
        for name in ["receiving_org", "receiver"] {
            let mut cluster = five();
            let request = cluster.request("legal", submit(act, &[QIDONG], &without(&form, name)));
            cluster.approve("head", request);
            let refusal = cluster.refused("keeper Q1", copy_out(1, request), Reason::FieldMissing);
            assert!(refusal.message.contains(name), "{refusal:?}");
        }
        let mut cluster = five();
        let request = cluster.request("legal", submit(act, &[QIDONG], &form));
        cluster.approve("head", request);
        cluster.done("keeper Q1", copy_out(1, request));
    }
}

#[test]
fn a_profile_that_does_not_ask_to_whom_footage_goes_is_asked_by_g8_all_the_same() {
    let act = |name: &str| {
        format!(
            "\n[acts.{name}]\nrequesters = [\"legal\"]\napprovers = \"head\"\nexecutors = [\"archivist\"]\n\
             valid-days = 1\nuses = 1\nrule = \"R-002-18\"\n"
        )
    };
    let text = include_str!("strict.toml").replace("name = \"strict\"", "name = \"silent\"");
    let mut create = created();
    create.profiles.push(format!("{text}{}{}", act("transfer"), act("provide")));
    create.units.push(AddUnit { unit: id("G1"), full_name: "G1".to_owned(), profile: id("silent") });
    let mut cluster = Cluster::from(create);
    cluster.done("station", Command::SealOriginal(small(7, "G1")));
    let form = [("reason", "移送"), ("recipient_kind", "court"), ("letter_no", "法函7号"), ("agent_id", "证1")];
    for act in [RequestAct::Transfer, RequestAct::Provide] {
        for name in ["recipient_kind", "letter_no", "agent_id"] {
            let asked = Command::SubmitRequest(submit(act, &[7], &without(&form, name)));
            let refusal = cluster.refused("legal", asked, Reason::FieldMissing);
            assert!(refusal.rule == "G8" && refusal.remedy.contains(name), "{refusal:?}");
        }
        let nobody = form.map(|(name, text)| (name, if name == "recipient_kind" { "friend" } else { text }));
        let refusal =
            cluster.refused("legal", Command::SubmitRequest(submit(act, &[7], &nobody)), Reason::FieldMissing);
        assert!(refusal.rule == "G8" && refusal.remedy.contains("court"), "{refusal:?}");
        cluster.request("legal", submit(act, &[7], &form));
    }
}

#[test]
fn a_class_forbids_publishing_and_asks_for_the_head_besides_g11_r_004_17_r_004_19_r_000_24() {
    let classify =
        |of: u8, class| Command::ClassifyItem(ClassifyItem { item: item(of), class, basis: "配方".to_owned() });
    let publish = |of: u8| {
        let form = [
            ("reason", "宣传"),
            ("recipient_kind", "society"),
            ("content", "x"),
            ("channel", "网站"),
            ("clearance", "无"),
        ];
        Command::SubmitRequest(submit(RequestAct::Publish, &[of], &form))
    };
    for (of, class, rule, forbidden) in [
        (QIDONG, Class::StateSecret, "R-000-24", true),
        (QIDONG, Class::TradeSecret, "R-000-24", false),
        (crate::chains::NEIQIU, Class::StateSecret, "R-004-19", true),
        (crate::chains::NEIQIU, Class::TradeSecret, "R-004-19", true),
    ] {
        let mut cluster = five();
        cluster.done("legal", classify(of, class));
        if forbidden {
            let refusal = cluster.refused("legal", publish(of), Reason::Restricted);
            assert_eq!(refusal.rule, rule, "{refusal:?}");
        } else {
            cluster.requested("legal", publish(of));
        }
    }
    // A class that is set when everything is approved asks for what is missing all the same.
    let text = include_str!("strict.toml").replace("name = \"strict\"", "name = \"lifted\"");
    let text = format!(
        "{text}\n[[confidentiality]]\ncode = \"trade_secret\"\nwords = \"商业秘密\"\napprovers = \"head\"\nrule = \"R-002-19\"\n"
    );
    let mut create = created();
    create.profiles.push(text);
    create.units.push(AddUnit { unit: id("G1"), full_name: "G1".to_owned(), profile: id("lifted") });
    let mut cluster = Cluster::from(create);
    cluster.done("station", Command::SealOriginal(small(7, "G1")));
    let late = cluster.request("recorder", submit(RequestAct::View, &[7], STRICT_VIEW));
    cluster.approve("legal", late);
    cluster.approve("approver", late);
    cluster.done("legal", classify(7, Class::TradeSecret));
    let refusal = cluster.refused("custodian", view(1, late, 7), Reason::ApprovalMissing);
    assert!(refusal.remedy.contains("approval by head"), "{refusal:?}");
    let request = cluster.request("recorder", submit(RequestAct::View, &[7], STRICT_VIEW));
    for who in ["legal", "approver"] {
        cluster.approve(who, request);
        assert_eq!(state(&cluster, request), "pending");
    }
    cluster.approve("head", request);
    cluster.done("custodian", view(1, request, 7));
}

#[test]
fn only_a_masked_derived_item_is_published_g8_r_004_17() {
    let mut cluster = Cluster::with_items();
    let request = cluster.request("legal", submit(RequestAct::Publish, &[3], WHY));
    cluster.approve("head", request);
    let refusal = cluster.refused("archivist", copy_out(1, request), Reason::OutsideGrant);
    assert!(refusal.rule == "G8" && refusal.remedy.contains("masked"), "{refusal:?}");
    cluster.refused("archivist", view(1, request, 3), Reason::OutsideGrant);
}

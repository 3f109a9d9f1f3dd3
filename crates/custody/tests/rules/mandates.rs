//! Mandates: deputies who are appointed to preside, and rights that were lent.

use strongroom_custody::{
    Act, Answer, Command, Fact,
    command::{ApproveRequest, RegisterPrincipal, RejectRequest, RevokePrincipal},
    mandate::{ConfirmMandate, GiveMandate, MandateKind, MandateScope, RevokeMandate},
    profile::RequestAct,
    tables::MANDATES,
};
use strongroom_types::{Reason, RecordSeq, RequestId, Role, limits};

use crate::{
    chains::{JUDICIAL, QIDONG, five, five_and, view},
    fixture::{Cluster, DAY, id, key, submit, unit},
};

const INTERNAL: [(&str, &str); 4] =
    [("reason", "工作"), ("purpose", "internal_department"), ("viewer_dept", "监察室"), ("viewer", "王五")];

fn appointment(holder: &str, cluster: &Cluster) -> GiveMandate {
    GiveMandate {
        kind: MandateKind::Appointment,
        holder: id(holder),
        role: Role::Head,
        scope: MandateScope::default(),
        from: None,
        until: cluster.wall.plus_ms(30 * DAY),
        document: "任字〔2026〕7号".to_owned(),
    }
}

fn delegation(holder: &str, cluster: &Cluster) -> GiveMandate {
    GiveMandate {
        kind: MandateKind::Delegation,
        scope: MandateScope { acts: vec![RequestAct::View], ..MandateScope::default() },
        document: String::new(),
        ..appointment(holder, cluster)
    }
}

#[track_caller]
fn give(cluster: &mut Cluster, by: &str, give: GiveMandate) -> RecordSeq {
    match cluster.done(by, Command::GiveMandate(give)) {
        Answer::Recorded(seq) => seq,
        other => panic!("{other:?}"),
    }
}

fn confirm(holder: &str, mandate: RecordSeq) -> Command {
    Command::ConfirmMandate(ConfirmMandate { holder: id(holder), mandate })
}

fn revoke(holder: &str, mandate: RecordSeq) -> Command {
    Command::RevokeMandate(RevokeMandate { holder: id(holder), mandate, reason: "回任".to_owned() })
}

fn approve(request: RequestId) -> Command {
    Command::ApproveRequest(ApproveRequest { request })
}

fn judicial(cluster: &mut Cluster) -> RequestId {
    cluster.request("legal", submit(RequestAct::View, &[QIDONG], &JUDICIAL))
}

fn internal(cluster: &mut Cluster) -> RequestId {
    cluster.request("recorder", submit(RequestAct::View, &[QIDONG], &INTERNAL))
}

fn person(name: &str, roles: &[Role], unit: Option<&str>) -> RegisterPrincipal {
    RegisterPrincipal { principal: id(name), key: key(name), roles: roles.to_vec(), unit: unit.map(id) }
}

#[test]
fn a_deputy_who_is_appointed_counts_as_the_head_once_a_second_person_has_seen_the_document_r_000_25a() {
    let mut cluster = five();
    let deputy = appointment("approver", &cluster);
    let mandate = give(&mut cluster, "security", deputy);
    assert_eq!(cluster.last_record().text(Fact::Document), Some("任字〔2026〕7号"));
    let request = judicial(&mut cluster);
    let refusal = cluster.refused("approver", approve(request), Reason::RoleNotAllowed);
    assert!(refusal.message.contains("unconfirmed") && refusal.rule == "R-000-25a", "{refusal:?}");
    cluster.refused("security", confirm("approver", mandate), Reason::RoleNotAllowed);
    cluster.done("legal-2", confirm("approver", mandate));
    cluster.refused("head", confirm("approver", mandate), Reason::WrongState);
    let row = cluster.approve("approver", request);
    let [approval] = row.approvals.as_slice() else { panic!("{row:?}") };
    let under = approval.mandate.as_ref().expect("a mandate");
    assert_eq!((approval.role, under.mandate, under.kind), (Role::Head, mandate, MandateKind::Appointment));
    let record = cluster.last_record();
    assert_eq!((record.act, record.number(Fact::Mandate)), (Act::RequestApprove, Some(mandate.0)));
    assert_eq!(record.text(Fact::Basis), Some("appointment by security"));
    cluster.done("keeper Q1", view(1, request, QIDONG));
}

#[test]
fn a_lent_right_counts_where_the_text_says_so_and_nowhere_else_r_000_26_r_000_25a_r_004_18() {
    let mut cluster = five();
    let lent = delegation("unit-head", &cluster);
    let mandate = give(&mut cluster, "head", lent);
    let request = internal(&mut cluster);
    let row = cluster.approve("unit-head", request);
    let under = row.approvals[0].mandate.as_ref().expect("a mandate");
    assert_eq!((row.approvals[0].role, under.mandate, &under.given_by), (Role::Head, mandate, &id("head")));
    let request = judicial(&mut cluster);
    for command in [approve(request), Command::RejectRequest(RejectRequest { request, reason: "x".to_owned() })] {
        let refusal = cluster.refused("unit-head", command, Reason::RoleNotAllowed);
        assert_eq!(refusal.rule, "R-000-25a");
        assert!(refusal.message.contains("局主要领导批准"), "the refusal quotes the article: {refusal:?}");
        assert!(refusal.remedy.contains("head"), "{refusal:?}");
    }
    let neiqiu = cluster.request("legal", submit(RequestAct::View, &[crate::chains::NEIQIU], &JUDICIAL));
    assert_eq!(cluster.refused("unit-head", approve(neiqiu), Reason::RoleNotAllowed).rule, "R-004-18");
    cluster.approve("head", request);
}

#[test]
fn a_mandate_counts_from_its_date_to_its_date_and_within_its_scope_r_000_26() {
    let scope = |acts: &[RequestAct], unit: Option<&str>, profile: Option<&str>| MandateScope {
        acts: acts.to_vec(),
        unit: unit.map(id),
        profile: profile.map(id),
    };
    let view = [RequestAct::View];
    for (name, scope, from_days, wait_days, fits) in [
        ("now", scope(&view, Some("Q1"), Some("qidong-chengguan")), 0, 0, true),
        ("not yet", scope(&view, None, None), 2, 1, false),
        ("begun", scope(&view, None, None), 2, 2, true),
        ("over", scope(&view, None, None), 0, 30, false),
        ("another act", scope(&[RequestAct::Copy], None, None), 0, 0, false),
        ("another unit", scope(&view, Some("X1"), None), 0, 0, false),
        ("another agency", scope(&view, None, Some("xiamen-chengguan")), 0, 0, false),
    ] {
        let mut cluster = five();
        let from = Some(cluster.wall.plus_ms(from_days * DAY));
        let lent = GiveMandate { scope, from, ..delegation("unit-head", &cluster) };
        give(&mut cluster, "head", lent);
        cluster.pass(wait_days * DAY);
        let request = internal(&mut cluster);
        if fits {
            cluster.approve("unit-head", request);
        } else {
            let refusal = cluster.refused("unit-head", approve(request), Reason::RoleNotAllowed);
            assert!(refusal.rule == "R-000-26" && refusal.message.contains("delegation"), "{name}: {refusal:?}");
        }
    }
}

#[test]
fn nobody_lends_what_they_do_not_hold_and_nothing_lent_is_lent_on_r_000_26() {
    let mut cluster = five();
    let deputy = appointment("approver", &cluster);
    let mandate = give(&mut cluster, "security", deputy);
    cluster.done("legal", confirm("approver", mandate));
    let lent = delegation("unit-head", &cluster);
    // The approver is head by appointment, and may not lend that; nor may whoever was lent it.
    let refusal = cluster.refused("approver", Command::GiveMandate(lent.clone()), Reason::RoleNotAllowed);
    assert!(refusal.rule == "C5" && refusal.message.contains("do not hold"), "{refusal:?}");
    give(&mut cluster, "head", lent.clone());
    let on = delegation("jack", &cluster);
    cluster.refused("unit-head", Command::GiveMandate(on), Reason::RoleNotAllowed);
    let head_of_u1 = person("head-q1", &[Role::Head], Some("Q1"));
    cluster.done("security", Command::RegisterPrincipal(head_of_u1));
    cluster.refused("head-q1", Command::GiveMandate(lent.clone()), Reason::OutsideUnit);
    let elsewhere = MandateScope { unit: Some(unit("X1")), ..lent.scope.clone() };
    cluster.refused("head-q1", Command::GiveMandate(GiveMandate { scope: elsewhere, ..lent }), Reason::OutsideUnit);
}

#[test]
fn what_makes_no_mandate_is_refused() {
    let cluster = five();
    let lent = || delegation("unit-head", &cluster);
    let named = || appointment("approver", &cluster);
    let year = cluster.wall.plus_ms(limits::MANDATE_MS_MAX + 1);
    let past = Some(cluster.wall.plus_ms(-1));
    let unit = |unit: &str| MandateScope { unit: Some(id(unit)), ..lent().scope };
    for (by, give, reason) in [
        ("head", GiveMandate { holder: id("stranger"), ..lent() }, Reason::NotFound),
        ("head", GiveMandate { holder: id("head"), ..lent() }, Reason::SamePerson),
        ("head", GiveMandate { holder: id("ops"), ..lent() }, Reason::InvalidArgument),
        ("head", GiveMandate { holder: id("station"), ..lent() }, Reason::InvalidArgument),
        ("head", GiveMandate { holder: id("recorder"), ..lent() }, Reason::InvalidArgument),
        ("head", GiveMandate { scope: MandateScope::default(), ..lent() }, Reason::InvalidArgument),
        ("head", GiveMandate { scope: unit("Z9"), ..lent() }, Reason::NotFound),
        ("head", GiveMandate { from: past, ..lent() }, Reason::InvalidArgument),
        ("head", GiveMandate { until: cluster.wall, ..lent() }, Reason::InvalidArgument),
        ("head", GiveMandate { until: year, ..lent() }, Reason::InvalidArgument),
        ("head", GiveMandate { role: Role::Legal, ..lent() }, Reason::RoleNotAllowed),
        ("legal", lent(), Reason::RoleNotAllowed),
        ("head", named(), Reason::RoleNotAllowed),
        ("security", GiveMandate { document: " ".to_owned(), ..named() }, Reason::FieldMissing),
        ("security", GiveMandate { role: Role::Approver, holder: id("legal"), ..named() }, Reason::InvalidArgument),
        ("security", GiveMandate { scope: lent().scope, ..named() }, Reason::InvalidArgument),
        ("security", GiveMandate { holder: id("head"), ..named() }, Reason::InvalidArgument),
        ("security-u2", named(), Reason::OutsideUnit),
    ] {
        let mut cluster = cluster.clone();
        cluster.refused(by, Command::GiveMandate(give), reason);
    }
    let mut cluster = cluster.clone();
    for _ in 0..limits::MANDATES_MAX {
        let lent = lent();
        give(&mut cluster, "head", lent);
    }
    cluster.refused("head", Command::GiveMandate(lent()), Reason::InvalidArgument);
    cluster.pass(31 * DAY);
    let anew = delegation("unit-head", &cluster);
    give(&mut cluster, "head", anew);
    let row = MANDATES.read(&cluster.rows, &id("unit-head")).expect("reads").expect("a row");
    assert_eq!(row.mandates.len(), 1, "those that are over make room");
}

#[test]
fn a_mandate_ends_when_it_is_revoked_or_its_giver_has_gone() {
    for how in ["by its giver", "by legal", "by security", "its giver has gone"] {
        let mut cluster = five();
        let lent = delegation("unit-head", &cluster);
        let mandate = give(&mut cluster, "head", lent);
        let request = internal(&mut cluster);
        let refusal = cluster.refused("approver", revoke("unit-head", mandate), Reason::NotYourStep);
        assert!(refusal.remedy.contains("head can revoke it"), "{refusal:?}");
        cluster.refused("head", revoke("unit-head", RecordSeq(1)), Reason::NotFound);
        match how {
            "by its giver" => cluster.done("head", revoke("unit-head", mandate)),
            "by legal" => cluster.done("legal", revoke("unit-head", mandate)),
            "by security" => cluster.done("security", revoke("unit-head", mandate)),
            _ => {
                let gone = RevokePrincipal { principal: id("head"), reason: "left".to_owned() };
                cluster.done("security", Command::RevokePrincipal(gone))
            }
        };
        let refusal = cluster.refused("unit-head", approve(request), Reason::RoleNotAllowed);
        assert!(refusal.message.contains("delegation"), "{how}: {refusal:?}");
        if how != "its giver has gone" {
            cluster.refused("head", revoke("unit-head", mandate), Reason::WrongState);
        }
    }
}

#[test]
fn one_person_takes_one_step_under_a_mandate_too_g8() {
    let both = person("chief", &[Role::Head, Role::Legal], None);
    let keeper = person("chief-q1", &[Role::Head, Role::Custodian], Some("Q1"));
    let mut cluster = five_and(vec![both, keeper]);
    // Nobody's own right decides what they ask for, whoever holds it for them.
    let lent = delegation("unit-head", &cluster);
    give(&mut cluster, "chief", lent);
    let asked = cluster.request("chief", submit(RequestAct::View, &[QIDONG], &INTERNAL));
    cluster.refused("unit-head", approve(asked), Reason::SamePerson);
    cluster.approve("head", asked);
    // Nor does whoever lent it carry out what was decided by it.
    let scope = MandateScope { unit: Some(unit("Q1")), ..delegation("jack", &cluster).scope };
    let lent = GiveMandate { scope, ..delegation("jack", &cluster) };
    give(&mut cluster, "chief-q1", lent);
    let request = internal(&mut cluster);
    cluster.approve("jack", request);
    cluster.refused("chief-q1", view(1, request, QIDONG), Reason::SamePerson);
    cluster.done("keeper Q1", view(1, request, QIDONG));
}

#[test]
fn whoever_enters_an_appointment_does_not_confirm_it() {
    let both = person("clerk", &[Role::Security, Role::Legal], None);
    let legal_approver = person("deputy", &[Role::Approver, Role::Legal], None);
    let mut cluster = five_and(vec![both, legal_approver]);
    let named = appointment("deputy", &cluster);
    let mandate = give(&mut cluster, "clerk", named);
    cluster.refused("clerk", confirm("deputy", mandate), Reason::SamePerson);
    cluster.refused("deputy", confirm("deputy", mandate), Reason::SamePerson);
    cluster.refused("head", confirm("deputy", RecordSeq(1)), Reason::NotFound);
    cluster.done("head", confirm("deputy", mandate));
}

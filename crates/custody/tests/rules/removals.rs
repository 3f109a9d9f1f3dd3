//! Removals: what may be a state secret leaves for a classified carrier only when every step was taken by whom it takes, and
//! whatever kept it goes with it.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use strongroom_custody::{
    Act, Answer, Command, Fact, Record,
    clock::ClockRow,
    command::{BeginSession, EndSession, Under},
    device::{DockDevice, Place, RestoreDevice, SealDevice, Tie},
    disposal::{DiskOfNode, ExecuteDisposal, ProposeDisposal, ProposedItem, SignDisposal, WithdrawDisposal},
    erasure::{self, AttestKeys, Keeper, NoPermit, NoteErasure, PermitKind, RemovedItem, Tombstone, permitted},
    keeping::{Class, ClassifyItem, RestrictItem, RestrictionKind, TriggerItem},
    leave::LeavePrincipal,
    removal::{
        self, CopyAt, CopyRow, DestroyedRow, ExecuteRemoval, Obligation, ProposeRemoval, RemovalForm, RemovalItemRow,
        RemovalRow, RemovalState, RemovalStep, SignedRow, StepRemoval,
    },
    report::Preservation,
    session::check_read,
    tables::{CLOCK, COUNTERS, DISPOSAL_BY_ITEM, ITEM_KEYS, ITEMS, PARTS_PENDING},
};
use strongroom_types::{
    BatchId, ClusterId, DiskId, EraseList, EraseTarget, ItemId, NodeId, Reason, RecordSeq, RemovalId, limits,
};

use crate::{
    activities,
    cases::{bind, open as open_case},
    devices,
    fixture::{Cluster, DAY, START, end, id, item, key, session},
    golden,
    holds::on_items,
    samples::docking,
};

const REMOVAL: RemovalId = RemovalId(1);
const SUPERVISORS: [&str; 2] = ["inspector", "unit-head"];
const DISKS: [DiskOfNode; 2] = [on(1, 1), on(2, 2)];
const REPLICAS: [NodeId; 2] = [NodeId(1), NodeId(2)];

const fn on(disk: u8, node: u64) -> DiskOfNode {
    DiskOfNode { disk: DiskId::new([disk; 16]), node: NodeId(node) }
}

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key")
}

fn public(seed: u8) -> [u8; 32] {
    pair(seed).public_key().as_ref().try_into().expect("32 bytes")
}

fn form() -> RemovalForm {
    RemovalForm {
        organ: "市国家保密局".to_owned(),
        receiver: "李四".to_owned(),
        receiver_key: public(7),
        carrier: "JM-2026-014".to_owned(),
        basis: "保密审查意见〔2026〕3号".to_owned(),
    }
}

fn told() -> CopyAt {
    CopyAt { place: "备份磁带 B12".to_owned(), keeper: "信息中心".to_owned(), seq: None }
}

fn proposal(items: &[u8]) -> ProposeRemoval {
    ProposeRemoval {
        items: items.iter().map(|number| item(*number)).collect(),
        form: form(),
        executor: id("archivist"),
        copies: vec![told()],
    }
}

fn propose(items: &[u8]) -> Command {
    Command::ProposeRemoval(Box::new(proposal(items)))
}

fn step(step: RemovalStep) -> Command {
    Command::StepRemoval(StepRemoval { removal: REMOVAL, step })
}

fn approve() -> Command {
    step(RemovalStep::Approve)
}

fn begin(number: u8) -> Command {
    Command::BeginSession(BeginSession { session: session(number), under: Under::Removal(REMOVAL) })
}

fn ended(number: u8, complete: bool) -> Command {
    Command::EndSession(EndSession { session: session(number), complete })
}

fn row(cluster: &Cluster) -> RemovalRow {
    removal::read(&cluster.rows, REMOVAL).expect("is there")
}

fn statement(cluster: &Cluster) -> Vec<u8> {
    removal::statement_of(&cluster.rows, ClusterId::new([0xc1; 16]), &row(cluster)).expect("reads").to_bytes()
}

fn signature(bytes: &[u8]) -> Command {
    step(RemovalStep::FileSignature(bytes.to_vec().into()))
}

fn signed_by(cluster: &Cluster, seed: u8) -> Command {
    signature(pair(seed).sign(&statement(cluster)).as_ref())
}

fn execute_under(supervisors: &[&str]) -> Command {
    Command::ExecuteRemoval(Box::new(ExecuteRemoval {
        removal: REMOVAL,
        supervisors: supervisors.iter().map(|name| id(name)).collect(),
        disks: DISKS.to_vec(),
        replicas: REPLICAS.to_vec(),
        copies: vec![CopyAt {
            place: "spool of station station".to_owned(),
            keeper: "station".to_owned(),
            seq: Some(RecordSeq(40)),
        }],
    }))
}

fn execute() -> Command {
    execute_under(&SUPERVISORS)
}

fn destroyed(copy: u64) -> Command {
    step(RemovalStep::DestroyCopy(copy, START, "消磁".to_owned()))
}

fn close() -> Command {
    step(RemovalStep::Close)
}

fn restrict(number: u8, kind: RestrictionKind) -> Command {
    Command::RestrictItem(RestrictItem { item: item(number), kind: Some(kind), reason: "疑似".to_owned() })
}

/// Items 1 and 2 are restricted as suspected secrets, and nothing has run out.
fn suspected() -> Cluster {
    let mut cluster = Cluster::with_items();
    for number in 1..=2 {
        cluster.done("secrecy", restrict(number, RestrictionKind::SuspectedSecret));
    }
    cluster
}

fn approved(items: &[u8]) -> Cluster {
    let mut cluster = suspected();
    cluster.done("legal", propose(items));
    cluster.done("secrecy", approve());
    cluster.done("head", approve());
    cluster
}

fn handed(items: &[u8]) -> Cluster {
    let mut cluster = approved(items);
    cluster.done("archivist", begin(1));
    cluster.done("archivist", ended(1, true));
    cluster
}

fn signed(items: &[u8]) -> Cluster {
    let mut cluster = handed(items);
    let file = signed_by(&cluster, 7);
    cluster.done("archivist", file);
    cluster
}

fn executed(items: &[u8]) -> Cluster {
    let mut cluster = signed(items);
    cluster.done("archivist", execute());
    cluster
}

fn order(cluster: &Cluster) -> RecordSeq {
    row(cluster).execution.expect("is executed").step.seq
}

fn erased(disk: u8, order: RecordSeq) -> Command {
    Command::NoteErasure(Box::new(NoteErasure {
        disk: on(disk, 1).disk,
        order,
        shards: 6,
        payload_bytes: 6 << 20,
        signature: vec![7; 64].into(),
        vkey: "n1+key".to_owned(),
    }))
}

fn keys_gone() -> Command {
    let batch = removal::number(REMOVAL);
    let word = AttestKeys { batch, purged_to: 500, signature: vec![8; 64].into(), vkey: "n1+key".to_owned() };
    Command::AttestKeys(Box::new(word))
}

fn keeps(cluster: &Cluster, number: u8) -> bool {
    ITEMS.read(&cluster.rows, &item(number)).expect("reads").is_some()
        && ITEM_KEYS.read(&cluster.rows, &item(number)).expect("reads").is_some()
}

#[test]
fn b10_a_state_secret_leaves_by_every_step_and_nothing_that_kept_it_is_lost() {
    let mut cluster = suspected();
    cluster.done("legal", on_items("matter", &[1]));
    cluster.done("legal", open_case("C-1", "U1"));
    cluster.done("legal", bind("C-1", &[1]));
    let trigger = TriggerItem { item: item(1), code: "t1".to_owned(), basis: "投诉".to_owned() };
    cluster.done("legal", Command::TriggerItem(trigger));
    // It is kept by everything that there is, and a disposal is out of the question.
    let disposal = ProposeDisposal {
        items: vec![ProposedItem { item: item(1), basis: String::new() }],
        basis: "到期鉴定".to_owned(),
    };
    cluster.refused("archivist", Command::ProposeDisposal(disposal), Reason::HoldActive);

    cluster.done("legal", propose(&[1, 2]));
    assert_eq!((row(&cluster).state, row(&cluster).copies_open), (RemovalState::Proposed, 1));
    let record = cluster.last_record();
    assert_eq!((record.act, record.text(Fact::Carrier)), (Act::SecretPropose, Some("JM-2026-014")));
    assert_eq!(record.items, [item(1), item(2)]);
    cluster.done("secrecy", approve());
    cluster.done("head", approve());

    // No time is waited for, and nothing is handed over but to the executor.
    cluster.refused("archivist-2", begin(1), Reason::NotYourStep);
    cluster.done("archivist", begin(1));
    check_read(&cluster.rows, &key("archivist"), session(1), item(1)).expect("reads");
    cluster.done("archivist", ended(1, false));
    let early = signed_by(&cluster, 7);
    let refusal = cluster.refused("archivist", early, Reason::WrongState);
    assert!(refusal.message.contains("not handed over yet"), "{refusal:?}");
    cluster.done("archivist", begin(2));
    cluster.done("archivist", ended(2, true));
    let file = signed_by(&cluster, 7);
    cluster.done("archivist", file);

    let before = cluster.item(1);
    cluster.done("archivist", execute());
    assert!(!keeps(&cluster, 1) && !keeps(&cluster, 2));
    assert_eq!(COUNTERS.read(&cluster.rows, &()).expect("reads").expect("counts").items, 3);
    let Some(Tombstone::Removed(gone)) = erasure::tombstone(&cluster.rows, item(1)).expect("reads") else {
        panic!("no tombstone")
    };
    assert_eq!((gone.original, gone.sealed_by, gone.removal), (before.original, before.seq, REMOVAL));
    assert_eq!((gone.carrier.as_str(), gone.organ.as_str()), ("JM-2026-014", "市国家保密局"));

    // What kept it is written on the removal: hold, case, trigger, and the end of its floor.
    let listed = removal::items(&cluster.rows, REMOVAL).expect("reads");
    let by: Vec<_> = listed[0].1.obligations.iter().map(|one| (one.by.as_str(), one.until)).collect();
    let floor = before.retention.floor_until;
    assert_eq!(by, [("floor", floor), ("trigger t1", None), ("case C-1", None), ("hold matter", None)]);
    let by: Vec<_> = listed[1].1.obligations.iter().map(|one| one.by.as_str()).collect();
    assert_eq!(by, ["floor"]);
    let under = removal::removed_under(&cluster.rows, &id("matter")).expect("reads");
    assert_eq!(under, [(item(1), REMOVAL)], "its hold still lists it");

    // Whoever asks for it is told where it is.
    let hold = cluster.refused("legal", on_items("later", &[1]), Reason::Removed);
    assert!(hold.message.contains("transferred to carrier JM-2026-014 of 市国家保密局 in RMV-1"), "{hold:?}");
    cluster.refused("legal", bind("C-1", &[2]), Reason::Removed);
}

#[test]
fn b10_a_removal_is_complete_only_when_nothing_is_left_and_no_copy_is_open() {
    let mut cluster = executed(&[1]);
    let order = order(&cluster);
    assert_eq!(row(&cluster).copies_open, 2, "the proposer's and what the ledger tells of");
    let refusal = cluster.refused("inspector", close(), Reason::DisposalIncomplete);
    assert!(
        refusal.message.contains("2 disks have not erased, 2 replicas may hold keys, 2 copies are open"),
        "{refusal:?}"
    );
    for disk in 1..=2 {
        cluster.by_node(erased(disk, order)).expect("notes");
    }
    let receipt = cluster.last_record();
    assert_eq!((receipt.text(Fact::Removal), receipt.text(Fact::Batch)), (Some("RMV-1"), None));
    cluster.by_node(keys_gone()).expect("takes its word");
    assert!(PARTS_PENDING.read(&cluster.rows, &(Keeper::Replica(NodeId(2)), order)).expect("reads").is_some());
    let other = strongroom_custody::Actor::Node(NodeId(2));
    cluster.apply(&other, &keys_gone()).expect("takes its word");
    assert_eq!(cluster.last_record().text(Fact::Removal), Some("RMV-1"));

    // The bytes are gone here; that a copy is open elsewhere keeps it from being closed, and nothing else.
    cluster.refused("inspector", close(), Reason::DisposalIncomplete);
    cluster.refused("custodian", step(RemovalStep::DestroyCopy(9, START, "x".to_owned())), Reason::NotFound);
    cluster.refused("custodian", step(RemovalStep::DestroyCopy(0, START, " ".to_owned())), Reason::FieldMissing);
    let later = cluster.wall.plus_ms(DAY);
    cluster.refused("custodian", step(RemovalStep::DestroyCopy(0, later, "x".to_owned())), Reason::InvalidArgument);
    cluster.done("custodian", destroyed(0));
    cluster.refused("custodian", destroyed(0), Reason::WrongState);
    cluster.refused("inspector", close(), Reason::DisposalIncomplete);
    cluster.done("secrecy", destroyed(1));
    let ticked = cluster.last_record();
    assert_eq!((ticked.number(Fact::Entry), ticked.text(Fact::Holder)), (Some(1), Some("station")));
    assert_eq!(ticked.time(Fact::At), Some(START));

    cluster.refused("legal", close(), Reason::RoleNotAllowed);
    cluster.done("inspector", close());
    cluster.refused("inspector", close(), Reason::SamePerson);
    assert_eq!(row(&cluster).still_missing(), ["signature of supervisor unit-head"]);
    cluster.done("unit-head", close());
    assert_eq!(row(&cluster).state, RemovalState::Closed);
    assert_eq!(row(&cluster).still_missing(), Vec::<String>::new());
    cluster.refused("inspector", close(), Reason::WrongState);
}

#[test]
fn b10_what_is_no_restricted_state_secret_is_refused() {
    let mut cluster = Cluster::with_items();
    let open = cluster.refused("legal", propose(&[1]), Reason::WrongState);
    assert!(open.message.contains("is not restricted") && open.remedy.contains("item restrict"), "{open:?}");
    cluster.done("legal", restrict(1, RestrictionKind::PersonalInformation));
    let private = cluster.refused("legal", propose(&[1]), Reason::WrongState);
    assert!(private.message.contains("restricted as personal-information and classed open"), "{private:?}");
    let classify = |class| Command::ClassifyItem(ClassifyItem { item: item(1), class, basis: "鉴定".to_owned() });
    cluster.done("legal", classify(Class::TradeSecret));
    cluster.refused("legal", propose(&[1]), Reason::WrongState);
    cluster.done("legal", classify(Class::StateSecret));
    cluster.done("legal", propose(&[1]));
    cluster.refused("legal", propose(&[1]), Reason::InDisposal);

    // What stops being one on the way stops all of it, at each step.
    let lift = || Command::RestrictItem(RestrictItem { item: item(1), kind: None, reason: "已解密".to_owned() });
    let again = || restrict(1, RestrictionKind::SuspectedSecret);
    cluster.done("legal", lift());
    cluster.refused("secrecy", approve(), Reason::WrongState);
    cluster.done("legal", again());
    cluster.done("secrecy", approve());
    cluster.done("head", approve());
    cluster.done("legal", lift());
    cluster.refused("archivist", begin(1), Reason::WrongState);
    cluster.done("legal", again());
    cluster.done("archivist", begin(1));
    cluster.done("archivist", ended(1, true));
    let file = signed_by(&cluster, 7);
    cluster.done("archivist", file);
    cluster.done("legal", lift());
    cluster.refused("archivist", execute(), Reason::WrongState);
    assert!(keeps(&cluster, 1));
    cluster.done("legal", again());
    cluster.done("archivist", execute());
    cluster.refused("legal", propose(&[1]), Reason::Removed);
    cluster.refused("legal", propose(&[9]), Reason::NotFound);
}

#[test]
fn b10_a_form_that_is_not_complete_is_refused() {
    let with = |change: fn(&mut ProposeRemoval)| {
        let mut proposal = proposal(&[1]);
        change(&mut proposal);
        Command::ProposeRemoval(Box::new(proposal))
    };
    let cases: [(&str, Command, Reason); 13] = [
        ("no item", propose(&[]), Reason::InvalidArgument),
        ("an item twice", propose(&[1, 1]), Reason::InvalidArgument),
        ("no organ", with(|of| of.form.organ.clear()), Reason::FieldMissing),
        ("no receiver", with(|of| of.form.receiver.clear()), Reason::FieldMissing),
        ("no carrier", with(|of| of.form.carrier = " ".to_owned()), Reason::FieldMissing),
        ("two lines", with(|of| of.form.carrier = "a\norgan b".to_owned()), Reason::InvalidArgument),
        ("no basis", with(|of| of.form.basis.clear()), Reason::FieldMissing),
        ("a copy nowhere", with(|of| of.copies[0].place.clear()), Reason::FieldMissing),
        ("a copy of nobody", with(|of| of.copies[0].keeper.clear()), Reason::FieldMissing),
        ("an unknown executor", with(|of| of.executor = id("nobody")), Reason::NotFound),
        ("an executor without a role", with(|of| of.executor = id("ops")), Reason::RoleNotAllowed),
        ("the proposer executes", with(|of| of.executor = id("legal")), Reason::SamePerson),
        (
            "too many",
            with(|of| {
                let many = 0..=limits::REMOVAL_ITEMS_MAX;
                of.items = many.map(|n| ItemId::new(u128::try_from(n).expect("small").to_be_bytes())).collect();
            }),
            Reason::InvalidArgument,
        ),
    ];
    for (name, command, reason) in cases {
        let refusal = suspected().by("legal", command).expect_err(name);
        assert_eq!(refusal.reason, reason, "{name}: {refusal:?}");
    }
}

#[test]
fn b10_each_step_is_taken_by_the_right_person_in_the_right_order() {
    let mut cluster = suspected();
    cluster.refused("head", propose(&[1]), Reason::RoleNotAllowed);
    cluster.refused("legal-u2", propose(&[1]), Reason::OutsideUnit);
    cluster.done("legal", propose(&[1]));
    for command in [begin(1), execute(), signature(&[0; 64])] {
        let refusal = cluster.refused("archivist", command, Reason::ApprovalMissing);
        assert!(refusal.message.contains("missing: approval by secrecy, approval by head"), "{refusal:?}");
    }
    // The head never comes before the secrecy office.
    let early = cluster.refused("head", approve(), Reason::RoleNotAllowed);
    assert!(early.message.contains("secrecy is next"), "{early:?}");
    cluster.refused("legal", approve(), Reason::RoleNotAllowed);
    cluster.done("secrecy", approve());
    let record = cluster.last_record();
    assert_eq!((record.act, record.text(Fact::Role)), (Act::SecretApprove, Some("secrecy")));
    cluster.refused("secrecy", approve(), Reason::RoleNotAllowed);
    let refusal = cluster.refused("archivist", execute(), Reason::ApprovalMissing);
    assert!(refusal.message.contains("missing: approval by head"), "{refusal:?}");
    cluster.done("head", approve());
    cluster.refused("head", approve(), Reason::WrongState);
    // Before the receiver has signed, nothing is executed.
    let unsigned = cluster.refused("archivist", execute(), Reason::SignatureInvalid);
    assert!(unsigned.message.contains("missing: hand-over by archivist, signature of 李四"), "{unsigned:?}");
    cluster.done("archivist", begin(1));
    cluster.done("archivist", ended(1, true));
    cluster.refused("archivist", execute(), Reason::SignatureInvalid);
    let file = signed_by(&cluster, 7);
    cluster.refused("archivist-2", file.clone(), Reason::NotYourStep);
    cluster.done("archivist", file.clone());
    cluster.refused("archivist", file, Reason::WrongState);
    cluster.refused("archivist", begin(3), Reason::WrongState);
    cluster.refused("archivist-2", execute(), Reason::NotYourStep);
    cluster.refused("legal", execute(), Reason::NotYourStep);
    for (supervisors, reason) in [
        (&["inspector"][..], Reason::FieldMissing),
        (&["inspector", "inspector"], Reason::SamePerson),
        (&["inspector", "archivist"], Reason::SamePerson),
        (&["inspector", "legal"], Reason::SamePerson),
        (&["inspector", "ops"], Reason::RoleNotAllowed),
        (&["inspector", "nobody"], Reason::NotFound),
    ] {
        cluster.refused("archivist", execute_under(supervisors), reason);
    }
    cluster.done("archivist", execute());
    cluster.refused("archivist", execute(), Reason::WrongState);
    cluster.refused("legal", step(RemovalStep::Withdraw("too late".to_owned())), Reason::WrongState);
}

#[test]
fn b10_one_person_takes_one_step_of_a_removal() {
    use strongroom_custody::command::RegisterPrincipal;
    use strongroom_types::Role;
    let everybody = |name: &str| {
        Command::RegisterPrincipal(RegisterPrincipal {
            principal: id(name),
            key: key(name),
            roles: vec![Role::Secrecy, Role::Head, Role::Legal, Role::Archivist],
            unit: None,
        })
    };
    let mut cluster = suspected();
    for name in ["one", "two"] {
        cluster.done("security", everybody(name));
    }
    cluster.done("one", propose(&[1]));
    cluster.refused("one", approve(), Reason::SamePerson);
    cluster.done("two", approve());
    cluster.refused("two", approve(), Reason::SamePerson);
    cluster.refused("one", approve(), Reason::SamePerson);

    // Who executes it does not approve it either.
    let mut cluster = suspected();
    cluster.done("security", everybody("one"));
    let by_one = ProposeRemoval { executor: id("one"), ..proposal(&[1]) };
    cluster.done("legal", Command::ProposeRemoval(Box::new(by_one)));
    cluster.refused("one", approve(), Reason::SamePerson);
}

#[test]
fn b10_only_the_receivers_signature_over_these_digests_is_taken() {
    let mut cluster = handed(&[1, 2]);
    let text = statement(&cluster);
    let other = String::from_utf8(text.clone()).expect("text");
    let of = |text: &str| pair(7).sign(text.as_bytes()).as_ref().to_vec();
    let one_digest = other.replacen(&"05".repeat(32), &"04".repeat(32), 1);
    let fewer: String = other.lines().take(7).map(|line| format!("{line}\n")).collect();
    let good = pair(7).sign(&text).as_ref().to_vec();
    let mut bent = good.clone();
    bent[63] ^= 1;
    for (name, wrong) in [
        ("somebody else's", pair(8).sign(&text).as_ref().to_vec()),
        ("over other digests", of(&one_digest)),
        ("over fewer items", of(&fewer)),
        ("over another carrier", of(&other.replace("JM-2026-014", "JM-2026-015"))),
        ("over another removal", of(&other.replace("RMV-1", "RMV-2"))),
        ("over nothing", of("")),
        ("a bit off", bent),
        ("none", Vec::new()),
    ] {
        let refusal = cluster.refused("archivist", signature(&wrong), Reason::SignatureInvalid);
        assert!(refusal.message.contains("is not the signature of 李四"), "{name}: {refusal:?}");
    }
    assert_ne!(one_digest, other);
    assert_eq!(row(&cluster).state, RemovalState::Approved);
    cluster.done("archivist", signature(&good));
    assert_eq!(cluster.last_record().bytes(Fact::Statement), Some(&text[..]));
}

#[test]
fn b10_a_removal_can_be_withdrawn_until_it_is_executed() {
    let withdraw = |reason: &str| step(RemovalStep::Withdraw(reason.to_owned()));
    for (name, mut cluster) in [("approved", approved(&[1])), ("handed over", handed(&[1])), ("signed", signed(&[1]))] {
        cluster.refused("legal", withdraw(" "), Reason::FieldMissing);
        cluster.done("secrecy", withdraw("已解密"));
        for command in [begin(5), execute()] {
            let refusal = cluster.by("archivist", command).expect_err(name);
            assert_eq!(refusal.reason, Reason::WrongState, "{name}");
            assert!(refusal.message.contains("withdrawn by secrecy: 已解密"), "{name}: {refusal:?}");
        }
        assert!(keeps(&cluster, 1), "{name}");
        assert_eq!(DISPOSAL_BY_ITEM.read(&cluster.rows, &item(1)).expect("reads"), None, "{name}");
        cluster.done("legal", propose(&[1]));
        assert_eq!(removal::read(&cluster.rows, RemovalId(2)).expect("is there").state, RemovalState::Proposed);
    }
    // What is being read ends with it.
    let mut cluster = approved(&[1]);
    cluster.done("archivist", begin(1));
    cluster.done("legal", withdraw("已解密"));
    assert!(check_read(&cluster.rows, &key("archivist"), session(1), item(1)).is_err());
}

#[test]
fn b10_no_period_is_counted_and_a_clock_that_is_not_trusted_freezes_nothing() {
    let mut cluster = signed(&[1]);
    let clock = CLOCK.read(&cluster.rows, &()).expect("reads").expect("a clock");
    let apart = ClockRow { wall: clock.wall.plus_ms(3 * DAY), ..clock };
    CLOCK.write(&mut cluster.rows, &(), &apart);
    cluster.wall = apart.wall;
    assert!(strongroom_custody::disposal::now(&cluster.rows).is_err(), "a disposal would be frozen");
    cluster.done("archivist", execute());
}

/// A permit of one kind is read as none of the other, whoever asks.
#[test]
fn b10_a_permit_of_a_removal_is_none_of_a_disposal_and_the_other_way_round() {
    let cluster = executed(&[1, 2]);
    let record = cluster.records.iter().find(|record| record.act == Act::SecretExecute && record.refused.is_none());
    let record = record.expect("is recorded");
    let list = EraseList::new([EraseTarget::Item(item(1)), EraseTarget::Item(item(2))]).expect("a list");
    let permit = permitted(&record.to_bytes()).expect("permits");
    assert_eq!((permit.kind, permit.root, permit.count), (PermitKind::Removal, list.root(), 2));
    let stored = erasure::orders(&cluster.rows, None, 9).expect("reads");
    assert_eq!((stored[0].1.kind(), &stored[0].1.list), (PermitKind::Removal, &list));

    // The same facts under the act of a disposal permit nothing, and a disposal's under this act neither.
    let as_disposal = Record { act: Act::DisposalExecute, ..record.clone() };
    assert_eq!(permitted(&as_disposal.to_bytes()), Err(NoPermit::NoList));
    let mut facts = record.facts.clone();
    let root = facts.remove(&Fact::RemovalRoot).expect("a root");
    facts.insert(Fact::EraseRoot, root);
    let of_disposal = Record { facts, ..record.clone() };
    assert_eq!(permitted(&of_disposal.to_bytes()), Err(NoPermit::NoList));

    // Without what the receiver signed for exactly these, it permits nothing.
    for (name, fact) in [("statement", Fact::Statement), ("key", Fact::ReceiverKey), ("signature", Fact::Signature)] {
        let mut short = record.clone();
        short.facts.remove(&fact);
        assert_eq!(permitted(&short.to_bytes()), Err(NoPermit::NotSigned), "without its {name}");
        let mut bent = record.clone();
        let mut bytes = record.bytes(fact).expect("bytes").to_vec();
        bytes[20] ^= 1;
        bent.facts.insert(fact, bytes.as_slice().into());
        assert_eq!(permitted(&bent.to_bytes()), Err(NoPermit::NotSigned), "with another {name}");
    }
    let one = EraseList::new([EraseTarget::Item(item(1))]).expect("a list");
    let mut fewer = record.clone();
    fewer.facts.insert(Fact::RemovalRoot, one.root().as_bytes().as_slice().into());
    fewer.facts.insert(Fact::EraseCount, 1.into());
    assert_eq!(permitted(&fewer.to_bytes()), Err(NoPermit::NotSigned));
    for act in [Act::SecretPropose, Act::SecretApprove, Act::SecretSign, Act::SecretCopy] {
        let other = Record { act, ..record.clone() };
        assert_eq!(permitted(&other.to_bytes()), Err(NoPermit::OtherAct(act.name())));
    }
}

#[test]
fn b10_a_disposal_cannot_take_this_path_and_numbers_are_of_one_kind() {
    let mut cluster = signed(&[1]);
    let batch = BatchId(1);
    let execute_batch = ExecuteDisposal {
        batch,
        supervisors: SUPERVISORS.iter().map(|name| id(name)).collect(),
        disks: DISKS.to_vec(),
        replicas: REPLICAS.to_vec(),
    };
    for (who, command) in [
        ("custodian", Command::ExecuteDisposal(Box::new(execute_batch))),
        ("legal", Command::ApproveDisposal(strongroom_custody::disposal::ApproveDisposal { batch })),
        ("legal", Command::WithdrawDisposal(WithdrawDisposal { batch, reason: "x".to_owned() })),
        ("inspector", Command::SignDisposal(SignDisposal { batch })),
    ] {
        cluster.refused(who, command, Reason::NotFound);
    }
    assert!(keeps(&cluster, 1));
    // An item is in one of them only, and the next batch has the next number.
    cluster.pass(200 * DAY);
    let of = |number: u8| ProposedItem { item: item(number), basis: String::new() };
    let propose_batch = |number| {
        Command::ProposeDisposal(ProposeDisposal { items: vec![of(number)], basis: "到期鉴定".to_owned() })
    };
    let refusal = cluster.refused("archivist", propose_batch(1), Reason::InDisposal);
    assert!(refusal.message.contains("is in removal RMV-1 already"), "{refusal:?}");
    let Answer::Disposal(row) = cluster.done("archivist", propose_batch(2)) else { panic!("no batch") };
    assert_eq!(row.id, BatchId(2));
    cluster.refused(
        "legal",
        Command::StepRemoval(StepRemoval { removal: RemovalId(2), step: RemovalStep::Withdraw("x".to_owned()) }),
        Reason::NotFound,
    );
    let refusal = cluster.refused("legal", propose(&[2]), Reason::InDisposal);
    assert!(refusal.message.contains("is in batch DSP-2 already"), "{refusal:?}");
}

#[test]
fn b10_who_has_to_finish_a_removal_does_not_leave() {
    let leave = |person: &str, to: &str| {
        let leave = LeavePrincipal { person: id(person), on: None, to: id(to), reason: "调离".to_owned() };
        Command::LeavePrincipal(leave)
    };
    let mut cluster = signed(&[1]);
    let refusal = cluster.refused("security", leave("archivist", "archivist-2"), Reason::WrongState);
    assert!(refusal.message.contains("executes or supervises the removal RMV-1"), "{refusal:?}");
    cluster.done("archivist", execute());
    cluster.refused("security", leave("inspector", "legal"), Reason::WrongState);
    cluster.done("security", leave("archivist", "archivist-2"));
}

fn seal(envelope: &str, activity: Option<&str>) -> Command {
    Command::SealDevice(SealDevice {
        device: id("D1"),
        envelope: envelope.to_owned(),
        found_by: id("recorder"),
        reason: "疑似国家秘密，未上传".to_owned(),
        activity: activity.map(id),
    })
}

fn place(cluster: &Cluster) -> Place {
    strongroom_custody::device::custody(&cluster.rows, &id("D1")).expect("reads").place
}

#[test]
fn b10_a_device_with_a_suspected_secret_is_sealed_and_blocks_nobody_for_ever() {
    let mut cluster = devices::held();
    cluster.done("station", Command::DockDevice(DockDevice { device: id("D1"), docking: docking(0, 3) }));
    let clear = || Command::ClearPerson(strongroom_custody::clearance::ClearPerson { person: id("recorder") });
    cluster.refused("custodian", clear(), Reason::DevicesOutstanding);
    cluster.refused("station", seal(" ", None), Reason::FieldMissing);
    cluster.refused("approver", seal("MF-0031", None), Reason::RoleNotAllowed);
    cluster.refused("station-u2", seal("MF-0031", None), Reason::OutsideUnit);
    cluster.refused("station", seal("MF-0031", Some("A-none")), Reason::NotFound);

    cluster.done("station", seal("MF-0031", None));
    let record = cluster.last_record();
    assert_eq!((record.act, record.text(Fact::Envelope)), (Act::SecretSealDevice, Some("MF-0031")));
    assert_eq!((record.text(Fact::Principal), record.text(Fact::Device)), (Some("recorder"), Some("D1")));
    assert_eq!(record.text(Fact::Finding), Some("DEVICE_SEALED_SECRET"));
    assert!(record.items.is_empty(), "a record without content");
    assert_eq!(place(&cluster), Place::Sealed(Some(id("recorder")), "MF-0031".to_owned()));
    let ties = strongroom_custody::clearance::ties(&cluster.rows, &id("recorder")).expect("reads");
    assert_eq!(ties, [(id("D1"), Tie::Sealed)]);
    cluster.refused("station", seal("MF-0032", None), Reason::WrongState);

    // Nobody owes what is on it: whoever leaves is cleared, with a finding.
    cluster.done("custodian", clear());
    assert_eq!(cluster.last_record().text(Fact::Finding), Some("DEVICE_SEALED_SECRET"));
    // The secrecy office alone brings it back.
    let restore = || Command::RestoreDevice(RestoreDevice { device: id("D1"), note: "排除".to_owned() });
    cluster.refused("custodian", restore(), Reason::NotYourStep);
    cluster.done("secrecy", restore());
    assert_eq!(place(&cluster), Place::Store);
    // What is on it is theirs to ingest again, until somebody has looked and there is nothing.
    let ties = strongroom_custody::clearance::ties(&cluster.rows, &id("recorder")).expect("reads");
    assert_eq!(ties, [(id("D1"), Tie::OwesRecordings)]);
    cluster.done("station", Command::DockDevice(DockDevice { device: id("D1"), docking: docking(0, 0) }));
    assert!(strongroom_custody::clearance::ties(&cluster.rows, &id("recorder")).expect("reads").is_empty());
    cluster.refused("secrecy", restore(), Reason::NotYourStep);
}

#[test]
fn b10_what_a_sealed_device_recorded_is_a_finding_of_its_activity_and_no_open_gap() {
    let mut cluster = activities::opened();
    let before = activities::report(&cluster);
    assert_eq!(before.preservation, Preservation::NoFootage);
    assert!(before.gaps.iter().any(strongroom_custody::gaps::Gap::is_open));

    cluster.done("station", seal("MF-0031", Some("A-7")));
    let after = activities::report(&cluster);
    assert_eq!(after.preservation, Preservation::Sealed);
    assert!(after.gaps.iter().all(|gap| !gap.is_open()), "explained by the record");
    assert!(after.findings.contains(&"SUSPECTED_SECRET_NOT_UPLOADED".to_owned()), "{:?}", after.findings);
    assert!(!after.findings.contains(&"NO_FOOTAGE_NO_EXEMPTION".to_owned()), "{:?}", after.findings);
}

#[test]
fn rows_are_stored_as_they_always_were() {
    let taken =
        |by: &str, seq| strongroom_custody::disposal::DisposalStepRow { by: id(by), at: START, seq: RecordSeq(seq) };
    let row = |state, execution| RemovalRow {
        id: REMOVAL,
        proposer: id("legal"),
        proposed_at: START,
        seq: RecordSeq(3),
        form: RemovalForm { receiver_key: [7; 32], ..form() },
        executor: id("archivist"),
        units: vec![id("U1")],
        items: 2,
        state,
        approvals: vec![taken("secrecy", 4), taken("head", 5)],
        handed: Some(taken("archivist", 6)),
        signed: Some(SignedRow { signature: vec![9; 64].into(), step: taken("archivist", 7) }),
        execution,
        copies: 2,
        copies_open: 1,
    };
    let execution = strongroom_custody::disposal::ExecutionRow {
        step: taken("archivist", 8),
        supervisors: vec![id("inspector"), id("unit-head")],
        disposed: 2,
        dropped: 0,
        disks_pending: 1,
        replicas_pending: 2,
        signatures: Vec::new(),
    };
    let obligation = Obligation {
        by: "hold 专案一".to_owned(),
        rule: "B10".to_owned(),
        text_zh: "暂缓销毁".to_owned(),
        text_en: "held".to_owned(),
        until: None,
        seq: RecordSeq(2),
    };
    let gone = destroyed_row();
    let removed = RemovedItem {
        unit: id("U1"),
        device: id("D1"),
        original: end(9),
        sealed_at: START,
        sealed_by: RecordSeq(1),
        retention: Cluster::with_items().item(1).retention,
        removal: REMOVAL,
        carrier: form().carrier,
        organ: form().organ,
        receiver: form().receiver,
        removed_at: START,
        removed_by: RecordSeq(8),
    };
    let order = erasure::EraseOrderRow {
        batch: Some(BatchId(1)),
        list: EraseList::new([EraseTarget::Item(item(1))]).expect("a list"),
        removal: Some(REMOVAL),
    };
    golden::check(
        "removals",
        vec![
            golden::line("removals proposed", &row(RemovalState::Proposed, None)),
            golden::line("removals executed", &row(RemovalState::Executed, Some(Box::new(execution)))),
            golden::line("removals withdrawn", &row(RemovalState::Withdrawn(id("legal"), "已解密".to_owned()), None)),
            golden::line(
                "removal_items",
                &RemovalItemRow { unit: id("U1"), original: end(9), obligations: vec![obligation] },
            ),
            golden::line("secret_copies", &CopyRow { at: told(), destroyed: None }),
            golden::line("secret_copies destroyed", &CopyRow { at: told(), destroyed: Some(gone) }),
            golden::line("tombstones removed", &Tombstone::Removed(Box::new(removed))),
            golden::line("erase_orders removal", &order),
            golden::line("device place sealed", &Place::Sealed(Some(id("recorder")), "MF-0031".to_owned())),
            golden::line("answer", &Answer::Removal(Box::new(row(RemovalState::Closed, None)))),
        ],
    );
}

fn destroyed_row() -> DestroyedRow {
    let step = strongroom_custody::disposal::DisposalStepRow { by: id("custodian"), at: START, seq: RecordSeq(9) };
    DestroyedRow { on: START, note: "消磁".to_owned(), step }
}

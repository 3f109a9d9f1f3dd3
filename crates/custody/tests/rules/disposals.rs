//! Disposal: what may go, who takes which step, what is left afterwards, and what closes a batch.

use std::collections::BTreeSet;

use strongroom_custody::{
    Act, Answer, Command, Fact,
    clock::ClockRow,
    command::{BeginSession, ExpireUploads, LabelItem, OpenUpload, Seal, Under},
    disposal::{
        self, ApproveDisposal, BatchRow, BatchState, DiskOfNode, ExecuteDisposal, ItemFate, ProposeDisposal,
        ProposedItem, SignDisposal, WithdrawDisposal,
    },
    erasure::{
        self, AttestKeys, CloseLost, Keeper, NoPermit, NoteErasure, PartState, SweepDisposed, Tombstone, permitted,
    },
    hold::HoldQuery,
    profile::RequestAct,
    tables::{
        CLOCK, COUNTERS, DISPOSAL_BY_ITEM, ITEM_KEYS, ITEMS, ITEMS_BY_UNIT, MANIFEST, PARTS_PENDING, UNSWEPT,
        newest_first,
    },
};
use strongroom_types::{
    BatchId, ChunkIndex, DiskId, EraseList, EraseTarget, ItemId, NodeId, Reason, RecordSeq, UnixMillis, UploadEpoch,
    limits,
};

use crate::{
    cases::{bind, open as open_case},
    fixture::{Cluster, DAY, HOUR, START, fields, id, item, open, progress, session, small, submit},
    holds::{on_case, on_items, on_query},
};

const BATCH: BatchId = BatchId(1);
const SUPERVISORS: [&str; 2] = ["inspector", "unit-head"];
const DISKS: [DiskOfNode; 2] = [on(1, 1), on(2, 2)];
const REPLICAS: [NodeId; 2] = [NodeId(1), NodeId(2)];

const fn on(disk: u8, node: u64) -> DiskOfNode {
    DiskOfNode { disk: DiskId::new([disk; 16]), node: NodeId(node) }
}

pub(crate) fn propose(items: &[u8]) -> Command {
    let items = items.iter().map(|number| ProposedItem { item: item(*number), basis: String::new() });
    Command::ProposeDisposal(ProposeDisposal { items: items.collect(), basis: "到期鉴定".to_owned() })
}

fn approve() -> Command {
    Command::ApproveDisposal(ApproveDisposal { batch: BATCH })
}

fn withdraw(reason: &str) -> Command {
    Command::WithdrawDisposal(WithdrawDisposal { batch: BATCH, reason: reason.to_owned() })
}

fn execute_under(supervisors: &[&str]) -> Command {
    Command::ExecuteDisposal(Box::new(ExecuteDisposal {
        batch: BATCH,
        supervisors: supervisors.iter().map(|name| id(name)).collect(),
        disks: DISKS.to_vec(),
        replicas: REPLICAS.to_vec(),
    }))
}

fn execute() -> Command {
    execute_under(&SUPERVISORS)
}

fn sign() -> Command {
    Command::SignDisposal(SignDisposal { batch: BATCH })
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
    let word = AttestKeys { batch: BATCH, purged_to: 500, signature: vec![8; 64].into(), vkey: "n1+key".to_owned() };
    Command::AttestKeys(Box::new(word))
}

fn lost(keeper: Keeper) -> Command {
    Command::CloseLost(CloseLost { keeper, reason: "burnt".to_owned() })
}

/// Items 1 and 2 (six months) have run out, 3 and 4 (twelve months) and 5 (no floor) have not.
fn expired() -> Cluster {
    let mut cluster = Cluster::with_items();
    cluster.pass(200 * DAY);
    cluster
}

/// Everything is approved and the batch can be executed.
fn approved(items: &[u8]) -> Cluster {
    let mut cluster = expired();
    cluster.done("archivist", propose(items));
    cluster.pass(7 * DAY);
    cluster.done("legal", approve());
    cluster.done("head", approve());
    cluster
}

fn executed(items: &[u8]) -> Cluster {
    let mut cluster = approved(items);
    cluster.done("custodian", execute());
    cluster
}

fn batch(cluster: &Cluster) -> BatchRow {
    disposal::read(&cluster.rows, BATCH).expect("is there")
}

fn order(cluster: &Cluster) -> RecordSeq {
    batch(cluster).execution.expect("is executed").step.seq
}

fn keeps(cluster: &Cluster, number: u8) -> bool {
    ITEMS.read(&cluster.rows, &item(number)).expect("reads").is_some()
        && ITEM_KEYS.read(&cluster.rows, &item(number)).expect("reads").is_some()
}

#[test]
fn an_item_is_kept_for_each_reason_in_turn_and_goes_at_last() {
    let mut cluster = Cluster::with_items();
    let mut stranger = small(6, "U1");
    stranger.open.description.device = id("stranger");
    cluster.done("station", Command::SealOriginal(stranger));

    let active = cluster.refused("archivist", propose(&[1]), Reason::RetentionActive);
    assert_eq!(active.rule, "R-000-21a");
    let until = cluster.item(1).retention.floor_until.expect("a floor");
    assert!(active.message.contains(&until.to_string()), "{active:?}");
    assert!(active.message.contains(&format!("record {}", cluster.item(1).seq)), "{active:?}");

    // A millisecond before its end it is kept, at its end it goes.
    cluster.pass(until.since_ms(cluster.wall) - 1);
    cluster.refused("archivist", propose(&[1]), Reason::RetentionActive);
    cluster.pass(1);
    let unspecified = cluster.refused("archivist", propose(&[5]), Reason::FloorUnspecified);
    assert_eq!(unspecified.rule, "G2");
    cluster.refused("archivist", propose(&[6]), Reason::Quarantined);
    let twelve_months = cluster.refused("archivist", propose(&[1, 3]), Reason::RetentionActive);
    assert_eq!(twelve_months.rule, "R-002-14", "one that is kept keeps the others from being proposed");

    let row = match cluster.done("archivist", propose(&[1])) {
        Answer::Disposal(row) => *row,
        other => panic!("no batch but {other:?}"),
    };
    assert_eq!((row.id, row.state), (BATCH, BatchState::Proposed));
    assert_eq!(row.not_before, cluster.wall.plus_ms(7 * DAY));
    let record = cluster.last_record();
    assert_eq!((record.act, record.text(Fact::Unit)), (Act::DisposalPropose, Some("U1")), "its head is notified");
    assert_eq!(record.items, [item(1)]);
    assert!(record.bytes(Fact::BasisList).is_some());
}

#[test]
fn a_form_that_is_not_complete_is_refused() {
    let with = |items: Vec<ProposedItem>, basis: &str| {
        Command::ProposeDisposal(ProposeDisposal { items, basis: basis.to_owned() })
    };
    let of = |number: u8, basis: &str| ProposedItem { item: item(number), basis: basis.to_owned() };
    let long = "x".repeat(limits::BASIS_BYTES_MAX + 1);
    let many = (0..=limits::DISPOSAL_ITEMS_MAX).map(|n| ProposedItem {
        item: ItemId::new(u128::try_from(n).expect("small").to_be_bytes()),
        basis: String::new(),
    });
    let cases = [
        ("no item", with(Vec::new(), "due"), Reason::InvalidArgument),
        ("an item twice", with(vec![of(1, ""), of(1, "")], "due"), Reason::InvalidArgument),
        ("too many", with(many.collect(), "due"), Reason::InvalidArgument),
        ("no basis", with(vec![of(1, "")], " "), Reason::FieldMissing),
        ("a basis too long", with(vec![of(1, &long)], "due"), Reason::InvalidArgument),
        ("a batch's basis too long", with(vec![of(1, "")], &long), Reason::InvalidArgument),
        ("an unknown item", with(vec![of(9, "")], "due"), Reason::NotFound),
    ];
    for (name, command, reason) in cases {
        let mut cluster = expired();
        let refusal = cluster.by("archivist", command).expect_err(name);
        assert_eq!(refusal.reason, reason, "{name}");
        assert!(cluster.last_record().items.len() <= limits::DISPOSAL_ITEMS_MAX, "{name}");
    }
    let mut cluster = expired();
    cluster.done("archivist", with(vec![of(1, ""), of(2, "鉴定意见二")], "到期"));
    let listed = disposal::items(&cluster.rows, BATCH).expect("reads");
    assert_eq!(listed.iter().map(|(_, row)| row.basis.as_str()).collect::<Vec<_>>(), ["到期", "鉴定意见二"]);
    cluster.refused("legal", propose(&[1]), Reason::InDisposal);
}

/// Oakland: one check-box deleted a quarter of an archive.
#[test]
fn each_step_is_taken_by_the_right_person_at_the_right_time() {
    let mut cluster = expired();
    for name in ["custodian", "unit-head", "head", "ops", "security", "auditor", "station", "recorder"] {
        cluster.refused(name, propose(&[1]), Reason::RoleNotAllowed);
    }
    cluster.refused("archivist-u2", propose(&[1]), Reason::OutsideUnit);
    cluster.done("legal", propose(&[1, 2]));

    cluster.refused("legal-2", approve(), Reason::CoolingOff);
    cluster.refused("custodian", execute(), Reason::ApprovalMissing);
    cluster.pass(7 * DAY - 1);
    let cooling = cluster.refused("legal-2", approve(), Reason::CoolingOff);
    assert!(cooling.message.contains("waits for objections until"), "{cooling:?}");
    cluster.pass(1);
    cluster.refused("legal", approve(), Reason::SamePerson);
    cluster.refused("head", approve(), Reason::RoleNotAllowed);
    cluster.refused("legal-u2", approve(), Reason::OutsideUnit);
    cluster.done("legal-2", approve());
    assert_eq!(batch(&cluster).state, BatchState::LegalApproved);
    cluster.refused("custodian", execute(), Reason::ApprovalMissing);
    cluster.refused("legal", approve(), Reason::RoleNotAllowed);
    cluster.done("head", approve());
    assert_eq!(batch(&cluster).state, BatchState::Approved);
    cluster.refused("head", approve(), Reason::WrongState);

    for name in ["head", "legal", "ops", "security", "auditor", "inspector"] {
        cluster.refused(name, execute(), Reason::RoleNotAllowed);
    }
    cluster.refused("archivist-u2", execute(), Reason::OutsideUnit);
    let supervisors: &[(&[&str], Reason)] = &[
        (&[], Reason::FieldMissing),
        (&["inspector"], Reason::FieldMissing),
        (&["inspector", "unit-head", "head"], Reason::FieldMissing),
        (&["inspector", "inspector"], Reason::SamePerson),
        (&["inspector", "custodian"], Reason::SamePerson),
        (&["inspector", "legal"], Reason::SamePerson),
        (&["inspector", "nobody"], Reason::NotFound),
        (&["inspector", "ops"], Reason::RoleNotAllowed),
        (&["security", "inspector"], Reason::RoleNotAllowed),
        (&["inspector", "auditor"], Reason::RoleNotAllowed),
        (&["inspector", "legal-u2"], Reason::OutsideUnit),
    ];
    for (names, reason) in supervisors {
        cluster.refused("custodian", execute_under(names), *reason);
    }
    assert!(keeps(&cluster, 1) && keeps(&cluster, 2));
    cluster.done("custodian", execute());
    assert_eq!(batch(&cluster).state, BatchState::Executed);
    cluster.refused("archivist", execute(), Reason::WrongState);
    cluster.refused("legal", withdraw("too late"), Reason::WrongState);
}

#[test]
fn one_person_with_every_role_takes_one_step() {
    // Jack is unit head, legal and archivist.
    let mut cluster = expired();
    cluster.done("jack", propose(&[1]));
    cluster.pass(7 * DAY);
    cluster.refused("jack", approve(), Reason::SamePerson);
    cluster.done("legal", approve());
    cluster.done("head", approve());
    cluster.refused("jack", execute(), Reason::SamePerson);
    cluster.refused("custodian", execute_under(&["jack", "inspector"]), Reason::SamePerson);
    cluster.done("custodian", execute());
}

#[test]
fn a_batch_is_withdrawn_at_any_time_before_its_execution() {
    for steps in 0..=2 {
        let mut cluster = expired();
        cluster.done("archivist", propose(&[1]));
        cluster.pass(7 * DAY);
        for name in ["legal", "head"].into_iter().take(steps) {
            cluster.done(name, approve());
        }
        cluster.refused("head", withdraw(" "), Reason::FieldMissing);
        cluster.refused("custodian", withdraw("no"), Reason::RoleNotAllowed);
        cluster.refused("legal-u2", withdraw("no"), Reason::OutsideUnit);
        cluster.done("head", withdraw("objection"));
        assert!(matches!(batch(&cluster).state, BatchState::Withdrawn(..)));
        cluster.refused("legal", approve(), Reason::WrongState);
        cluster.refused("custodian", execute(), Reason::WrongState);
        cluster.done("archivist", propose(&[1]));
    }
}

#[test]
fn a_clock_that_cannot_be_trusted_freezes_every_step() {
    let apart = |cluster: &mut Cluster, ms: i64, outages_ms: i64| {
        let clock = CLOCK.read(&cluster.rows, &()).expect("reads").expect("a clock");
        let t = UnixMillis(clock.wall.0 - ms);
        CLOCK.write(&mut cluster.rows, &(), &ClockRow { t, outages_ms, ..clock });
    };
    for (ms, outages_ms, trusted) in
        [(DAY, 0, true), (DAY + 1, 0, false), (DAY + 1, 1, true), (0, DAY + 1, false), (-DAY - 1, 0, false)]
    {
        let mut cluster = expired();
        apart(&mut cluster, ms, outages_ms);
        let asked = cluster.by("archivist", propose(&[1]));
        assert_eq!(asked.is_ok(), trusted, "{ms} apart with {outages_ms} of outages: {asked:?}");
        if let Err(refusal) = asked {
            assert_eq!((refusal.reason, refusal.rule.as_str()), (Reason::ClockUntrusted, "C2"));
        }
    }
    let mut cluster = approved(&[1]);
    apart(&mut cluster, 2 * DAY, 0);
    cluster.refused("custodian", execute(), Reason::ClockUntrusted);
    assert!(keeps(&cluster, 1));
}

#[test]
fn the_earlier_of_t_and_the_wall_clocks_decides() {
    let mut cluster = Cluster::with_items();
    let until = cluster.item(1).retention.floor_until.expect("a floor");
    cluster.pass(until.since_ms(cluster.wall) + HOUR);
    let clock = CLOCK.read(&cluster.rows, &()).expect("reads").expect("a clock");
    let early = UnixMillis(until.0 - 1);
    for (t, wall) in [(early, clock.wall), (clock.t, early)] {
        CLOCK.write(&mut cluster.rows, &(), &ClockRow { t, wall, ..clock.clone() });
        let refusal = disposal::refuse_kept(
            &cluster.rows,
            item(1),
            &cluster.item(1),
            disposal::now(&cluster.rows).expect("is trusted"),
        );
        assert!(refusal.is_err(), "T {t}, wall {wall}");
    }
}

/// NooBaa #9420: a hold was stored in a form that the check before the delete never read.
#[test]
fn a_hold_in_every_form_in_which_it_is_placed_stops_a_batch_that_was_approved_before() {
    let query = HoldQuery::default;
    let forms: [(&str, Command); 6] = [
        ("items", on_items("H-1", &[1])),
        ("a case", on_case("H-1", "C-1")),
        ("a unit", on_query("H-1", HoldQuery { unit: Some(id("U1")), ..query() })),
        ("a device", on_query("H-1", HoldQuery { device: Some(id("D1")), ..query() })),
        ("a label", on_query("H-1", HoldQuery { labels: fields(&[("place", "north gate")]), ..query() })),
        (
            "a time",
            on_query("H-1", HoldQuery { from: Some(START.plus_ms(-DAY)), to: Some(START.plus_ms(DAY)), ..query() }),
        ),
    ];
    for (form, place) in forms {
        let mut cluster = approved(&[1]);
        if form == "a case" {
            cluster.done("recorder", open_case("C-1", "U1"));
            cluster.done("custodian", bind("C-1", &[1]));
        }
        cluster.done("legal", place);
        let refusal = cluster.by("custodian", execute()).expect_err(form);
        assert_eq!(refusal.reason, Reason::HoldActive, "{form}: {refusal}");
        assert!(keeps(&cluster, 1), "{form}");
    }
    // Without any it goes.
    assert!(!keeps(&executed(&[1]), 1));
}

/// RustFS #4293, #4297, #1509, #2473, NooBaa #9868, #9896: locks were checked at the API alone, and another path deleted.
#[test]
fn what_has_to_be_kept_by_the_execution_drops_out_and_the_batch_goes_on() {
    let mut cluster = approved(&[1, 2]);
    let mut kept = cluster.item(2);
    kept.quarantined = true;
    cluster.replay = None;
    ITEMS.write(&mut cluster.rows, &item(2), &kept);
    cluster.done("custodian", execute());
    assert!(!keeps(&cluster, 1) && keeps(&cluster, 2));
    let execution = batch(&cluster).execution.expect("is executed");
    assert_eq!((execution.disposed, execution.dropped), (1, 1));
    let [permit, dropped] = &cluster.records[usize::try_from(execution.step.seq.0).expect("few")..] else {
        panic!("the execution, and one that dropped out")
    };
    assert_eq!((permit.act, &permit.items[..]), (Act::DisposalExecute, &[item(1)][..]));
    assert_eq!((dropped.refused, &dropped.items[..]), (Some(Reason::Quarantined), &[item(2)][..]));
    let listed = disposal::items(&cluster.rows, BATCH).expect("reads");
    assert_eq!(listed[0].1.fate, ItemFate::Disposed);
    assert!(matches!(&listed[1].1.fate, ItemFate::Dropped(refusal) if refusal.reason == Reason::Quarantined));
    assert_eq!(DISPOSAL_BY_ITEM.scan(&cluster.rows, &(), None, 9).expect("reads").len(), 0);

    let mut cluster = approved(&[1]);
    let mut kept = cluster.item(1);
    kept.quarantined = true;
    cluster.replay = None;
    ITEMS.write(&mut cluster.rows, &item(1), &kept);
    cluster.refused("custodian", execute(), Reason::Quarantined);
    assert_eq!(batch(&cluster).state, BatchState::Approved, "nothing was left, and nothing was done");
}

#[test]
fn an_executed_item_is_gone_with_its_key_and_every_call_says_so() {
    let mut cluster = expired();
    let request = cluster.request("legal", submit(RequestAct::Copy, &[1], &[("reason", "case 5")]));
    cluster.approve("approver", request);
    let begin = |number, under| Command::BeginSession(BeginSession { session: session(number), under });
    cluster.done("archivist-2", begin(1, Under::CopyOut(request)));
    cluster.done("archivist", propose(&[1, 2]));
    cluster.pass(7 * DAY);
    cluster.done("legal", approve());
    cluster.done("head", approve());
    let was = cluster.item(1);
    let before = COUNTERS.read(&cluster.rows, &()).expect("reads").expect("counters").items;
    cluster.done("archivist-2", begin(2, Under::CopyOut(request)));
    cluster.done("custodian", execute());

    assert!(ITEMS.read(&cluster.rows, &item(1)).expect("reads").is_none());
    assert!(ITEM_KEYS.read(&cluster.rows, &item(1)).expect("reads").is_none());
    assert!(ITEMS_BY_UNIT.read(&cluster.rows, &(id("U1"), newest_first(was.seq.0))).expect("reads").is_none());
    assert_eq!(COUNTERS.read(&cluster.rows, &()).expect("reads").expect("counters").items, before - 2);
    let Some(Tombstone::Disposed(tombstone)) = erasure::tombstone(&cluster.rows, item(1)).expect("reads") else {
        panic!("no tombstone")
    };
    assert_eq!((tombstone.original, tombstone.sealed_by, tombstone.batch), (was.original, was.seq, BATCH));
    assert_eq!(tombstone.disposed_by, order(&cluster));

    let label = LabelItem { item: item(1), name: "place".to_owned(), value: "x".to_owned() };
    let seal = Seal { item: item(1), size_bytes: 1000, blake3: None, sha256: None };
    let gone = [
        ("recorder", Command::LabelItem(label)),
        ("legal", Command::SubmitRequest(submit(RequestAct::Copy, &[1], &[("reason", "case 6")]))),
        ("recorder", begin(3, Under::StandingView(item(1), "x".to_owned()))),
        ("archivist-2", begin(4, Under::CopyOut(request))),
        ("archivist", propose(&[1])),
        ("station", Command::Seal(seal)),
    ];
    for (name, command) in gone {
        let refusal = cluster.refused(name, command, Reason::Disposed);
        assert!(refusal.message.contains("is already disposed of: in DSP-1 at"), "{refusal:?}");
    }
    let running = strongroom_custody::session::check_session(&cluster.rows, session(2), item(1));
    assert!(running.is_err(), "a session that runs gets no key any more");
    cluster.refused(
        "station",
        Command::OpenUpload(OpenUpload { item: item(1), ..open(1, "U1") }),
        Reason::OriginalImmutable,
    );
}

#[test]
fn the_record_of_an_execution_is_the_permit_and_no_other_record_is() {
    let cluster = executed(&[1, 2]);
    let seq = order(&cluster);
    let record = &cluster.records[usize::try_from(seq.0).expect("few")];
    let list = EraseList::new([EraseTarget::Item(item(2)), EraseTarget::Item(item(1))]).expect("a list");
    let permit = permitted(&record.to_bytes()).expect("permits");
    assert_eq!((permit.root, permit.count), (list.root(), 2));
    assert_eq!(permit.cluster.as_bytes(), &[0xc1; 16]);
    let orders = erasure::orders(&cluster.rows, None, 9).expect("reads");
    assert_eq!(orders.len(), 1);
    assert_eq!((orders[0].0, &orders[0].1.list, orders[0].1.batch), (seq, &list, Some(BATCH)));

    let permits: Vec<_> = cluster.records.iter().filter(|record| permitted(&record.to_bytes()).is_ok()).collect();
    assert_eq!(permits, [record]);
    let mut refused = record.clone();
    refused.refused = Some(Reason::HoldActive);
    assert_eq!(permitted(&refused.to_bytes()), Err(NoPermit::Refused(Reason::HoldActive)));
    let mut other = record.clone();
    other.act = Act::DisposalPropose;
    assert_eq!(permitted(&other.to_bytes()), Err(NoPermit::OtherAct("disposal.propose")));
    for fact in [Fact::Cluster, Fact::EraseRoot, Fact::EraseCount] {
        let mut short = record.clone();
        short.facts.remove(&fact);
        assert_eq!(permitted(&short.to_bytes()), Err(NoPermit::NoList));
    }
    assert!(matches!(permitted(&record.to_bytes()[1..]), Err(NoPermit::Record(_))));
}

#[test]
fn debris_is_erased_by_permits_of_the_same_form() {
    let mut cluster = Cluster::new();
    cluster.done("station", Command::OpenUpload(open(1, "U1")));
    let resume = |cluster: &mut Cluster| {
        let resume = strongroom_custody::command::ResumeUpload { item: item(1), gateway: crate::fixture::GATEWAY };
        cluster.done("station", Command::ResumeUpload(resume));
    };
    resume(&mut cluster);
    assert!(permitted(&cluster.last_record().to_bytes()).is_err(), "no stream came before the first");
    cluster.by_node(Command::CommitProgress(progress(1, 1, 0, 3))).expect("commits");
    resume(&mut cluster);
    let superseded = EraseList::new([EraseTarget::Upload(item(1), UploadEpoch(1), ChunkIndex(3))]).expect("a list");
    assert_eq!(permitted(&cluster.last_record().to_bytes()).expect("permits").root, superseded.root());
    cluster.pass(7 * DAY);
    cluster.by_node(Command::ExpireUploads(ExpireUploads { limit: 9 })).expect("expires");
    let whole = EraseList::new([EraseTarget::Item(item(1))]).expect("a list");
    assert_eq!(permitted(&cluster.last_record().to_bytes()).expect("permits").root, whole.root());
    let orders: Vec<_> =
        erasure::orders(&cluster.rows, None, 9).expect("reads").into_iter().map(|(_, row)| row.list).collect();
    assert_eq!(orders, [superseded, whole]);

    assert!(ITEM_KEYS.read(&cluster.rows, &item(1)).expect("reads").is_none());
    assert!(matches!(erasure::tombstone(&cluster.rows, item(1)), Ok(Some(Tombstone::Expired(..)))));
    cluster.refused("station", Command::OpenUpload(open(1, "U1")), Reason::OriginalImmutable);
    let label = LabelItem { item: item(1), name: "place".to_owned(), value: "x".to_owned() };
    cluster.refused("recorder", Command::LabelItem(label), Reason::NotFound);
}

#[test]
fn a_batch_is_closed_by_two_supervisors_when_nothing_is_left() {
    let mut cluster = executed(&[1]);
    let order = order(&cluster);
    cluster.refused("legal", sign(), Reason::RoleNotAllowed);
    cluster.refused("inspector", sign(), Reason::DisposalIncomplete);
    cluster.by_node(erased(1, order)).expect("notes");
    let receipt = cluster.last_record().clone();
    assert_eq!((receipt.act, receipt.number(Fact::Shards)), (Act::DisposalErase, Some(6)));
    assert_eq!(receipt.bytes(Fact::Disk), Some(&[1; 16][..]));
    cluster.refused("inspector", sign(), Reason::DisposalIncomplete);
    cluster.by_node(erased(2, order)).expect("notes");
    let count = cluster.records.len();
    cluster.by_node(erased(2, order)).expect("said again");
    assert_eq!(cluster.records.len(), count, "said again, it is no second receipt");
    let incomplete = cluster.refused("inspector", sign(), Reason::DisposalIncomplete);
    assert!(incomplete.message.contains("0 disks have not erased, 2 replicas"), "{incomplete:?}");
    for node in REPLICAS {
        cluster.apply(&strongroom_custody::Actor::Node(node), &keys_gone()).expect("takes its word");
        cluster.apply(&strongroom_custody::Actor::Node(node), &keys_gone()).expect("takes it again");
    }
    cluster.done("inspector", sign());
    assert_eq!(batch(&cluster).state, BatchState::Executed);
    cluster.refused("inspector", sign(), Reason::SamePerson);
    cluster.done("unit-head", sign());
    assert_eq!(batch(&cluster).state, BatchState::Closed);
    let record = cluster.last_record();
    assert_eq!(
        (record.text(Fact::State), record.text(Fact::Supervisors)),
        (Some("closed"), Some("inspector / unit-head"))
    );
    cluster.refused("unit-head", sign(), Reason::WrongState);
    assert!(PARTS_PENDING.scan(&cluster.rows, &(), None, 9).expect("reads").is_empty());
}

#[test]
fn machines_speak_only_for_what_is_asked_of_them() {
    let mut cluster = executed(&[1]);
    let order = order(&cluster);
    cluster.node_refused(erased(1, RecordSeq(order.0 + 1)), Reason::NotFound);
    let stranger = strongroom_custody::Actor::Node(NodeId(9));
    assert_eq!(cluster.apply(&stranger, &keys_gone()).expect_err("no replica").reason, Reason::NotFound);
    for command in [erased(1, order), keys_gone(), Command::SweepDisposed(SweepDisposed { limit: 1 })] {
        cluster.refused("security", command, Reason::RoleNotAllowed);
    }
    // A disk that came later owes nothing, and is no part of the certificate.
    let records = cluster.records.len();
    cluster.by_node(erased(9, order)).expect("notes");
    assert_eq!(cluster.records.len(), records);
    assert_eq!(batch(&cluster).execution.expect("is executed").disks_pending, 2);
}

#[test]
fn a_disk_follows_its_orders_as_they_come() {
    let mut cluster = executed(&[1]);
    let first = order(&cluster);
    cluster.done("station", Command::OpenUpload(open(7, "U1")));
    cluster.pass(7 * DAY);
    cluster.by_node(Command::ExpireUploads(ExpireUploads { limit: 9 })).expect("expires");
    let second = erasure::orders(&cluster.rows, Some(first), 9).expect("reads")[0].0;
    cluster.node_refused(erased(1, second), Reason::OutOfOrder);
    cluster.by_node(erased(1, first)).expect("notes");
    let records = cluster.records.len();
    assert_eq!(cluster.by_node(erased(1, second)), Ok(Answer::Followed(second)));
    assert_eq!(cluster.records.len(), records, "debris is no event of its own");
    assert_eq!(erasure::followed(&cluster.rows, on(1, 1).disk).expect("reads"), Some(second));
}

#[test]
fn two_people_close_what_is_lost_and_it_still_erases_if_it_comes_back() {
    let mut cluster = executed(&[1]);
    let order = order(&cluster);
    let [disk, replica] = [Keeper::Disk(on(2, 2).disk), Keeper::Replica(NodeId(2))];
    for name in ["ops", "custodian", "security"] {
        cluster.refused(name, lost(disk), Reason::RoleNotAllowed);
    }
    cluster.refused("legal", lost(Keeper::Disk(on(9, 9).disk)), Reason::WrongState);
    for keeper in [disk, replica] {
        cluster.done("legal", lost(keeper));
        let waits = batch(&cluster).execution.expect("is executed");
        assert!(waits.disks_pending + waits.replicas_pending >= 3, "one person closes nothing");
        cluster.refused("legal", lost(keeper), Reason::SamePerson);
        cluster.done("archivist", lost(keeper));
    }
    let waits = batch(&cluster).execution.expect("is executed");
    assert_eq!((waits.disks_pending, waits.replicas_pending), (1, 1));
    let parts = erasure::parts(&cluster.rows, BATCH, None, 9).expect("reads");
    assert!(matches!(parts[1].1.state, PartState::Lost { .. }) && matches!(parts[3].1.state, PartState::Lost { .. }));

    cluster.by_node(erased(1, order)).expect("notes");
    cluster.apply(&strongroom_custody::Actor::Node(NodeId(1)), &keys_gone()).expect("takes its word");
    cluster.done("inspector", sign());
    cluster.done("unit-head", sign());
    // Found again years later, it erases before anything else, and the row says so.
    cluster.by_node(erased(2, order)).expect("notes");
    let parts = erasure::parts(&cluster.rows, BATCH, None, 9).expect("reads");
    assert!(matches!(parts[1].1.state, PartState::Erased { .. }), "{parts:?}");
    assert_eq!(batch(&cluster).execution.expect("is executed").disks_pending, 0);
}

#[test]
fn what_was_lost_before_is_not_waited_for_again() {
    let mut cluster = executed(&[1]);
    let disk = Keeper::Disk(on(2, 2).disk);
    cluster.done("legal", lost(disk));
    cluster.done("head", lost(disk));
    cluster.done("archivist", propose(&[2]));
    cluster.pass(7 * DAY);
    let next = BatchId(2);
    cluster.done("legal", Command::ApproveDisposal(ApproveDisposal { batch: next }));
    cluster.done("head", Command::ApproveDisposal(ApproveDisposal { batch: next }));
    let Command::ExecuteDisposal(execute) = execute() else { unreachable!("made so") };
    cluster.done("custodian", Command::ExecuteDisposal(Box::new(ExecuteDisposal { batch: next, ..*execute })));
    let row = disposal::read(&cluster.rows, next).expect("is there");
    assert_eq!(row.execution.expect("is executed").disks_pending, 1);
}

#[test]
fn manifests_are_swept_in_bounded_steps() {
    let mut cluster = Cluster::new();
    cluster.done("station", Command::OpenUpload(open(1, "U1")));
    for step in 0..5 {
        cluster.by_node(Command::CommitProgress(progress(1, 0, step, 1))).expect("commits");
    }
    cluster.done("station", Command::SealOriginal(small(2, "U1")));
    cluster.pass(7 * DAY);
    cluster.by_node(Command::ExpireUploads(ExpireUploads { limit: 9 })).expect("expires");
    let left = |cluster: &Cluster| MANIFEST.scan(&cluster.rows, &item(1), None, 99).expect("reads").len();
    let sweep = |limit| Command::SweepDisposed(SweepDisposed { limit });
    let mut seen = BTreeSet::from([left(&cluster)]);
    for (limit, swept) in [(0, 0), (2, 2), (2, 2), (9, 1), (9, 0)] {
        assert_eq!(cluster.by_node(sweep(limit)), Ok(Answer::Swept(swept)));
        seen.insert(left(&cluster));
    }
    assert_eq!(seen, BTreeSet::from([5, 3, 1, 0]));
    assert!(UNSWEPT.scan(&cluster.rows, &(), None, 9).expect("reads").is_empty());
    assert_eq!(MANIFEST.scan(&cluster.rows, &item(2), None, 9).expect("reads").len(), 1, "that of a sealed item stays");
}

//! Random lives of a cluster: two replicas that apply the same log hold the same bytes, and what must never be
//! never is.

use std::collections::BTreeSet;

use proptest::prelude::*;
use strongroom_custody::{
    Actor, Command, Context, apply,
    command::{
        AddDevice, ApproveRequest, BeginSession, CommitProgress, EndSession, ExpireUploads, LabelItem,
        RegisterPrincipal, RejectRequest, ResumeUpload, RevokePrincipal, RotatePrincipal, Seal, Under,
    },
    profile::RequestAct,
    request::{self, RequestState},
    tables::{COUNTERS, DeviceType, ITEM_KEYS, ITEMS, ITEMS_BY_UNIT, REQUESTS, SESSIONS, UPLOADS, UPLOADS_BY_PROGRESS},
};
use strongroom_types::{
    ChunkIndex, ItemId, NodeId, RecordSeq, RequestId, Role, UploadEpoch, limits,
    rows::{MemoryRows, encode},
};

use crate::fixture::{Cluster, GATEWAY, end, id, item, key, open, progress, session, signed, small, submit};

const NAMES: [&str; 12] = [
    "station",
    "station",
    "station-u2",
    "legal",
    "legal-2",
    "approver",
    "head",
    "archivist",
    "recorder",
    "security",
    "jack",
    "nobody",
];
const ACTS: [RequestAct; 3] = [RequestAct::Copy, RequestAct::View, RequestAct::Publish];
const FORM: &[(&str, &str)] = &[("reason", "x"), ("viewer", "y"), ("viewed-at", "z"), ("produced-by", "w")];

/// One step of a life, from four small numbers.
#[derive(Clone, Copy, Debug)]
struct Dice {
    who: u8,
    what: u8,
    which: u8,
    how: u8,
}

fn dice() -> impl Strategy<Value = Dice> {
    (0..12_u8, 0..24_u8, 0..6_u8, 0..4_u8).prop_map(|(who, what, which, how)| Dice { who, what, which, how })
}

fn command(dice: Dice) -> Command {
    let Dice { what, which, how, .. } = dice;
    let unit = ["U1", "U2", "U3", "U4"][usize::from(how)];
    let number = which + 1;
    let request = RequestId(u64::from(which) + 1);
    match what {
        0 | 1 => Command::OpenUpload(open(number, unit)),
        2 => Command::ResumeUpload(ResumeUpload { item: item(number), gateway: NodeId(1 + u64::from(how % 2)) }),
        3..=5 => Command::CommitProgress(commit(number, how)),
        6 => Command::Seal(Seal { item: item(number), size_bytes: u64::from(how), blake3: None, sha256: None }),
        7..=9 => Command::SealOriginal(small(number, unit)),
        10 => Command::ExpireUploads(ExpireUploads { limit: u32::from(how) }),
        11 => Command::LabelItem(LabelItem { item: item(number), name: unit.to_owned(), value: "x".to_owned() }),
        12..=14 => {
            let items = if how == 0 { vec![number, number % 6 + 1] } else { vec![number] };
            Command::SubmitRequest(submit(ACTS[usize::from(how % 3)], &items, FORM))
        }
        15 | 16 => Command::ApproveRequest(ApproveRequest { request }),
        17 => Command::RejectRequest(RejectRequest { request, reason: "no".to_owned() }),
        18 => begin(which, Under::CopyOut(RequestId(u64::from(how) + 1))),
        19 => begin(which, Under::View(RequestId(u64::from(how) + 1), item(number))),
        20 => begin(which, Under::StandingView(item(number), "x".to_owned())),
        21 => Command::EndSession(EndSession { session: session(which), complete: how == 0 }),
        22 => Command::AddDevice(AddDevice {
            device: id(unit),
            unit: id(unit),
            device_type: DeviceType::Bwc,
            brand_model: String::new(),
            asset: None,
        }),
        _ => principal(which, how),
    }
}

fn begin(number: u8, under: Under) -> Command {
    Command::BeginSession(BeginSession { session: session(number), under })
}

/// Whole chunks in the middle, `how` bytes and the end after them.
fn commit(number: u8, how: u8) -> CommitProgress {
    if how == 3 {
        return progress(number, 0, 0, 2);
    }
    let size = u64::from(how);
    let chunks = usize::from(how > 0);
    let commit = progress(number, 0, 0, chunks);
    CommitProgress { bytes: size, epoch: UploadEpoch(0), first: ChunkIndex(0), end: Some(end(size)), ..commit }
}

fn principal(which: u8, how: u8) -> Command {
    let name = NAMES[usize::from(which) + 5];
    match how {
        0 => Command::RevokePrincipal(RevokePrincipal { principal: id(name), reason: "left".to_owned() }),
        1 => Command::RotatePrincipal(RotatePrincipal { principal: id(name), key: key("second key") }),
        _ => Command::RegisterPrincipal(RegisterPrincipal {
            principal: id(&format!("new {which}")),
            key: key(NAMES[usize::from(which)]),
            roles: vec![Role::Legal],
            unit: None,
        }),
    }
}

/// Runs a life; every step is also applied to `replica` from its stored form.
fn live(life: &[Dice]) -> (Cluster, MemoryRows) {
    let mut cluster = Cluster::new();
    let mut replica = cluster.rows.clone();
    for dice in life {
        let command = command(*dice);
        let actor = match command {
            Command::CommitProgress(_) | Command::ExpireUploads(_) => Actor::Node(GATEWAY),
            _ => Actor::Client(key(NAMES[usize::from(dice.who)])),
        };
        let stored: Command = minicbor::decode(&encode(&command)).expect("decodes");
        let next_seq = RecordSeq(cluster.records.len() as u64);
        let context = Context {
            actor: actor.clone(),
            wall: cluster.wall,
            next_seq,
            signed: Some(signed(next_seq, cluster.wall)),
        };
        let theirs = apply(&mut replica, &context, &stored).expect("reads");
        assert_eq!(cluster.apply(&actor, &command), theirs.outcome);
        let position = usize::try_from(next_seq.0).expect("few");
        assert_eq!(cluster.records[position..], theirs.records);
    }
    (cluster, replica)
}

fn check_invariants(cluster: &Cluster) {
    let rows = &cluster.rows;
    let counters = COUNTERS.read(rows, &()).expect("reads").unwrap_or_default();
    let uploads = UPLOADS.scan(rows, &(), None, 100).expect("reads");
    let items = ITEMS.scan(rows, &(), None, 100).expect("reads");
    let requests = REQUESTS.scan(rows, &(), None, 100).expect("reads");
    assert_eq!(counters.uploads, uploads.len() as u64);
    assert_eq!(UPLOADS_BY_PROGRESS.scan(rows, &(), None, 100).expect("reads").len(), uploads.len());
    assert_eq!((counters.items, counters.requests), (items.len() as u64, requests.len() as u64));
    assert_eq!(ITEMS_BY_UNIT.scan(rows, &(), None, 100).expect("reads").len(), items.len());
    for (key, row) in &items {
        let item = ItemId::try_from(key.as_slice()).expect("an item");
        assert!(UPLOADS.read(rows, &item).expect("reads").is_none(), "{item} is sealed and open");
        assert!(ITEM_KEYS.read(rows, &item).expect("reads").is_some());
        let record = &cluster.records[usize::try_from(row.seq.0).expect("few")];
        assert_eq!(record.items, [item], "the row names the record of its seal");
        assert!(row.retention.start >= row.sealed_at);
    }
    for (_, row) in &requests {
        let rule = request::rule_of_row(rows, row).expect("a rule");
        let people: BTreeSet<_> =
            row.approvals.iter().map(|approval| &approval.approver).chain([&row.requester]).collect();
        assert_eq!(people.len(), row.approvals.len() + 1, "somebody took two steps: {row:?}");
        let complete = request::still_missing(row, &rule).is_empty();
        assert_eq!(complete, matches!(row.state, RequestState::Approved(_)), "{row:?}");
        assert!(row.uses <= rule.uses && (complete || row.uses == 0), "{row:?}");
    }
    for (_, row) in SESSIONS.scan(rows, &(), None, 100).expect("reads") {
        let Some(request) = row.request else { continue };
        let request = request::read(rows, request).expect("its request");
        assert!(row.items.iter().all(|item| request.items.contains(item)), "{row:?}");
        assert_ne!(row.principal, request.requester);
        assert!(request.approvals.iter().all(|approval| approval.approver != row.principal), "{row:?}");
    }
    assert!(uploads.iter().all(|(_, row)| row.committed_bytes <= limits::ORIGINAL_BYTES_MAX));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_replicas_of_one_log_hold_the_same_bytes(life in prop::collection::vec(dice(), 0..120)) {
        let (cluster, replica) = live(&life);
        prop_assert_eq!(&cluster.rows, &replica);
        check_invariants(&cluster);
    }
}

#[test]
fn random_lives_reach_what_they_are_meant_to_reach() {
    // A fixed walk through every number, so that a generator that only gets refusals does not pass for a test.
    let mut state = 7_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        u8::try_from((state >> 33) % below).expect("small")
    };
    let life: Vec<_> =
        (0..3000).map(|_| Dice { who: draw(11), what: draw(23), which: draw(6), how: draw(4) }).collect();
    let (cluster, replica) = live(&life);
    assert_eq!(cluster.rows, replica);
    check_invariants(&cluster);
    let requests = REQUESTS.scan(&cluster.rows, &(), None, 1000).expect("reads");
    assert!(requests.iter().any(|(_, row)| row.uses > 0), "no session under a grant was begun");
    assert!(requests.iter().any(|(_, row)| matches!(row.state, RequestState::Rejected(..))));
    assert!(!ITEMS.scan(&cluster.rows, &(), None, 10).expect("reads").is_empty());
}

//! Golden bytes: what is written here is on disks and between nodes of different versions. Changing one of these
//! lines is a new data version.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn log_id(term: u64, node: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term, node), index)
}

fn membership() -> RaftMembership {
    let members = BTreeMap::from([1, 2, 3].map(|node| (node, PeerNode { address: format!("h{node}") })));
    RaftMembership::new(vec![BTreeSet::from([1, 2]), BTreeSet::from([2])], members)
}

fn opaque(text: &str) -> Opaque {
    Opaque(Bytes::copy_from_slice(text.as_bytes()))
}

fn check<T: Encode<()> + for<'b> Decode<'b, ()> + std::fmt::Debug>(value: &T, golden: &str) {
    let form = to_bytes(value);
    assert_eq!(hex(&form), golden.replace(' ', ""));
    let read = from_bytes::<T>("a test", &form).unwrap();
    assert_eq!(format!("{read:?}"), format!("{value:?}"));
    let longer = [form.as_slice(), &[0]].concat();
    assert!(from_bytes::<T>("a test", &longer).is_err(), "bytes after the form were taken");
    assert!(from_bytes::<T>("a test", &form[..form.len() - 1]).is_err(), "a cut form was taken");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn golden_bytes_of_log_ids_and_votes() {
    check(&LogIdRow::from(log_id(4, 2, 300)), "83 04 02 19012c");
    check(&VoteRow::from(Vote::new(4, 2)), "83 04 02 f4");
    check(&VoteRow::from(Vote::new_committed(4, 2)), "83 04 02 f5");
}

#[test]
fn golden_bytes_of_memberships() {
    let members = "83 82 01 626831 82 02 626832 82 03 626833";
    check(&MembershipRow::from(&membership()), &format!("82 82 82 01 02 81 02 {members}"));
    let stored = StoredMembership::new(Some(log_id(1, 2, 3)), membership());
    check(&StoredMembershipRow::from(&stored), &format!("82 83 01 02 03 82 82 82 01 02 81 02 {members}"));
    check(&StoredMembershipRow::from(&StoredMembership::default()), "82 f6 82 80 80");
}

#[test]
fn golden_bytes_of_entries() {
    let entry = |payload| Entry { log_id: log_id(1, 2, 3), payload };
    check(&EntryRow::from(&entry(Payload::Blank)), "82 83 01 02 03 82 00 80");
    let batch = Payload::Normal(Batch::new(vec![opaque("a"), opaque("")]));
    check(&EntryRow::from(&entry(batch)), "82 83 01 02 03 82 01 81 82 4161 40");
    let members = "83 82 01 626831 82 02 626832 82 03 626833";
    check(
        &EntryRow::from(&entry(Payload::Membership(membership()))),
        &format!("82 83 01 02 03 82 02 81 82 82 82 01 02 81 02 {members}"),
    );
}

#[test]
fn golden_bytes_of_what_the_state_knows_of_itself() {
    let applied = AppliedRow {
        last: Some(log_id(1, 2, 3).into()),
        membership: (&StoredMembership::default()).into(),
        digest: [0xab; 64],
    };
    check(&applied, &format!("83 83 01 02 03 82 f6 82 80 80 5840 {}", "ab".repeat(64)));
}

#[test]
fn golden_bytes_of_raft_messages() {
    let append = AppendEntriesRequest::<TypeConfig> {
        vote: Vote::new_committed(4, 2),
        prev_log_id: None,
        entries: vec![Entry { log_id: log_id(4, 2, 0), payload: Payload::Blank }],
        leader_commit: Some(log_id(4, 2, 0)),
    };
    check(&AppendRow::from(&append), "84 83 04 02 f5 f6 81 82 83 04 02 00 82 00 80 83 04 02 00");
    check(&AppendAnswerRow::Success, "82 00 80");
    check(&AppendAnswerRow::PartialSuccess(Some(log_id(1, 2, 3).into())), "82 01 81 83 01 02 03");
    check(&AppendAnswerRow::Conflict, "82 02 80");
    check(&AppendAnswerRow::HigherVote(Vote::new(4, 2).into()), "82 03 81 83 04 02 f4");
    let ask = VoteRequest { vote: Vote::new(4, 2), last_log_id: Some(log_id(1, 2, 3)) };
    check(&VoteAskRow::from(&ask), "82 83 04 02 f4 83 01 02 03");
    let answer = VoteResponse { vote: Vote::new(4, 2), vote_granted: true, last_log_id: None };
    check(&VoteAnswerRow::from(answer), "82 83 04 02 f4 f5");
    let header = SnapshotHeaderRow { vote: Vote::new_committed(4, 2).into(), manifest: opaque("m") };
    check(&header, "82 83 04 02 f5 416d");
    check(&SnapshotAnswerRow { vote: Vote::new(4, 2).into() }, "81 83 04 02 f4");
    check(&OpaquesRow { items: vec![opaque("a"), opaque("bc")] }, "81 82 4161 426263");
}

#[test]
fn golden_bytes_of_a_snapshot_manifest() {
    let manifest = ManifestRow {
        snapshot_id: "s".to_owned(),
        last: Some(log_id(1, 2, 3).into()),
        membership: (&StoredMembership::default()).into(),
        digest: [0xab; 64],
        files: vec![FileRow { name: "CURRENT".to_owned(), size_bytes: 16, blake3: [0xcd; 32] }],
    };
    let file = format!("83 6743555252454e54 10 5820 {}", "cd".repeat(32));
    check(&manifest, &format!("85 6173 83 01 02 03 82 f6 82 80 80 5840 {} 81 {file}", "ab".repeat(64)));
}

#[test]
fn a_sealed_file_shows_every_change() {
    let sealed = seal(b"SRTEST01", &7_u64);
    assert_eq!(hex(&sealed[..9]), "535254455354303107");
    assert_eq!(unseal::<u64>("a test", b"SRTEST01", &sealed), Ok(7));
    assert!(unseal::<u64>("a test", b"SRTEST02", &sealed).is_err());
    for position in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[position] ^= 1;
        assert!(unseal::<u64>("a test", b"SRTEST01", &changed).is_err(), "byte {position}");
        assert!(unseal::<u64>("a test", b"SRTEST01", &sealed[..position]).is_err(), "cut at {position}");
    }
}

#[test]
fn memberships_and_entries_come_back_as_they_were() {
    let stored = StoredMembership::new(Some(log_id(1, 2, 3)), membership());
    assert_eq!(StoredMembership::from(StoredMembershipRow::from(&stored)), stored);
    let entry = Entry { log_id: log_id(1, 2, 3), payload: Payload::Normal(Batch::new(vec![opaque("x")])) };
    let read = Entry::from(EntryRow::from(&entry));
    assert_eq!(read.log_id, entry.log_id);
    assert!(matches!(read.payload, Payload::Normal(batch) if batch.commands == [opaque("x")]));
}

//! The log and the state without Raft: atomic entries, snapshots there and back, damaged files.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use openraft::{
    CommittedLeaderId, RaftLogReader, RaftSnapshotBuilder,
    storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine},
};
use strongroom_proto::peer::{InstallSnapshotRequest, install_snapshot_request::Part};
use strongroom_types::{
    NodeId,
    rows::{RowError, Rows},
};
use tonic::Status;

use super::harness::{Ledger, ROWS};
use crate::{
    Applier, EntryPosition, KEY_TABLE, Members, ReceiveError, StoreError,
    encoding::{self, SnapshotHeaderRow},
    guard::Guard,
    log_store::LogStore,
    raft::{Batch, Entry, LogId, Opaque, Payload, RaftMembership, SnapshotData, Vote},
    reception::Parts,
    snapshot::SnapshotFolder,
    state_machine::StateMachine,
};

fn log_id(index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(1, 1), index)
}

fn entry(index: u64, commands: &[&str]) -> Entry {
    let commands = commands.iter().map(|command| Opaque(Bytes::copy_from_slice(command.as_bytes()))).collect();
    Entry { log_id: log_id(index), payload: Payload::Normal(Batch::new(commands)) }
}

fn open_state(dir: &Path, applier: impl Applier) -> StateMachine {
    crate::durable::create_folder(&dir.join("state")).unwrap();
    StateMachine::open(&dir.join("state"), &dir.join("snapshots"), Arc::new(applier)).unwrap()
}

fn open_log(dir: &Path, snapshots: Option<&StateMachine>) -> LogStore {
    let guard = Guard::open(&dir.join("guard"), NodeId(1), !dir.join("log").exists()).unwrap();
    let durable = snapshots.map(|state| state.snapshots().durable());
    LogStore::open(&dir.join("log"), NodeId(1), Arc::new(guard), durable).unwrap()
}

fn read(state: &StateMachine, key: &[u8]) -> Option<Vec<u8>> {
    state.view().rows().read(ROWS, key).unwrap()
}

#[tokio::test]
async fn an_entry_is_applied_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = open_state(dir.path(), Ledger);
    state.apply([entry(1, &["put a 1", "put b 1"])]).await.unwrap();
    let before = state.digest();
    let failed = state.apply([entry(2, &["put a 2", "key k v", "break"])]).await.unwrap_err();
    assert!(failed.to_string().contains("told to break"), "{failed}");
    assert_eq!(read(&state, b"a"), Some(b"1".to_vec()));
    assert_eq!(state.view().rows().read(KEY_TABLE, b"k").unwrap(), None);
    assert_eq!(state.digest(), before);
    drop(state);
    let mut state = open_state(dir.path(), Ledger);
    assert_eq!(state.digest(), before);
    let outcomes = state.apply([entry(2, &["put a 2", "del b", "del b"])]).await.unwrap();
    let outcomes = outcomes[0].0.iter().map(|outcome| outcome.0.as_ref()).collect::<Vec<_>>();
    assert_eq!(outcomes, [b"1", b"1", b"-".as_slice()], "later commands of an entry see the earlier ones");
}

struct Short;

impl Applier for Short {
    fn apply(&self, _: &mut dyn Rows, _: EntryPosition, _: &[Bytes]) -> Result<Vec<Vec<u8>>, RowError> {
        Ok(vec![Vec::new()])
    }
}

#[tokio::test]
async fn rules_that_lose_an_outcome_stop_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = open_state(dir.path(), Short);
    let failed = state.apply([entry(1, &["a", "b"])]).await.unwrap_err();
    assert!(failed.to_string().contains("2 commands, but 1 outcomes"), "{failed}");
}

#[derive(Clone, Default)]
struct Witness(Arc<Mutex<Vec<(u64, Members)>>>);

impl Applier for Witness {
    fn apply(&self, _: &mut dyn Rows, _: EntryPosition, commands: &[Bytes]) -> Result<Vec<Vec<u8>>, RowError> {
        Ok(commands.iter().map(|command| command.to_vec()).collect())
    }

    fn members_changed(&self, _: &mut dyn Rows, at: EntryPosition, members: &Members) -> Result<(), RowError> {
        self.0.lock().unwrap().push((at.index, members.clone()));
        Ok(())
    }
}

#[tokio::test]
async fn the_rules_hear_of_each_change_of_members() {
    let dir = tempfile::tempdir().unwrap();
    let witness = Witness::default();
    let mut state = open_state(dir.path(), witness.clone());
    let membership = RaftMembership::new(vec![BTreeSet::from([1]), BTreeSet::from([2])], BTreeSet::from([1, 2, 3]));
    state.apply([Entry { log_id: log_id(4), payload: Payload::Membership(membership) }]).await.unwrap();
    let seen = witness.0.lock().unwrap().clone();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].0, 4);
    assert!(seen[0].1.changing);
    assert_eq!(seen[0].1.voters, BTreeSet::from([NodeId(1), NodeId(2)]));
    assert_eq!(seen[0].1.learners, BTreeSet::from([NodeId(3)]));
}

/// A state with some rows, and a snapshot of it.
async fn snapshot_of_some_rows(dir: &Path) -> (StateMachine, Arc<SnapshotFolder>) {
    let mut state = open_state(dir, Ledger);
    for index in 1..=5 {
        state.apply([entry(index, &[&format!("put k{index} {index}"), "key k wrapped"])]).await.unwrap();
    }
    let built = state.get_snapshot_builder().await.build_snapshot().await.unwrap();
    // What comes after the snapshot is not in it.
    state.apply([entry(6, &["put late 1"])]).await.unwrap();
    (state, built.snapshot.folder.unwrap())
}

/// The messages of a snapshot, `piece` bytes at a time.
fn messages(folder: &SnapshotFolder, piece: usize) -> Vec<Part> {
    let vote = Vote::new_committed(1, 1).into();
    let header = SnapshotHeaderRow { vote, manifest: Opaque(folder.sealed_manifest().into()) };
    let mut parts = vec![Part::HeaderCbor(encoding::to_bytes(&header).into())];
    for file in &folder.manifest().files {
        parts.push(Part::File(strongroom_proto::peer::SnapshotFile {
            name: file.name.clone(),
            size_bytes: file.size_bytes,
            blake3: Bytes::copy_from_slice(&file.blake3),
        }));
        let bytes = std::fs::read(folder.file(&file.name)).unwrap();
        parts.extend(bytes.chunks(piece).map(|data| Part::Data(Bytes::copy_from_slice(data))));
    }
    parts
}

async fn receive(state: &StateMachine, parts: Vec<Part>) -> Result<Arc<SnapshotFolder>, ReceiveError> {
    let stream = stream::iter(parts).map(|part| Ok::<_, Status>(InstallSnapshotRequest { part: Some(part) }));
    let mut parts = Parts::new(stream);
    let (_, header) = parts.header().await?;
    let reception = parts.files(state.snapshots(), &header).await?;
    Ok(state.snapshots().adopt(reception)?)
}

#[tokio::test]
async fn a_snapshot_travels_file_by_file_and_replaces_the_state() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (source, folder) = snapshot_of_some_rows(from.path()).await;
    let mut target = open_state(to.path(), Ledger);
    target.apply([entry(1, &["put other 1"])]).await.unwrap();
    let before = target.view();
    let received = receive(&target, messages(&folder, 1000)).await.unwrap();
    let meta = received.manifest().meta();
    assert_eq!(meta.last_log_id, Some(log_id(5)));
    target.install_snapshot(&meta, Box::new(SnapshotData { folder: Some(received) })).await.unwrap();
    assert_eq!(read(&target, b"k5"), Some(b"5".to_vec()));
    assert_eq!(read(&target, b"other"), None);
    assert_eq!(read(&target, b"late"), None);
    assert_eq!(before.rows().read(ROWS, b"other").unwrap(), Some(b"1".to_vec()), "the old view is still good");
    assert_eq!(target.digest().1, source.digest_at(5).unwrap());
    assert_eq!(target.digest_at(1), None, "digests of before the snapshot are forgotten");
    let (index, digest) = target.view().live.recompute_digest().unwrap();
    assert_eq!((index, digest.to_bytes()), target.digest());
    // Applied further, closed and opened, it is still the same, and no leftovers remain.
    target.apply([entry(6, &["put late 1"])]).await.unwrap();
    assert_eq!(target.digest(), source.digest());
    drop(before);
    drop(target);
    let target = open_state(to.path(), Ledger);
    assert_eq!(target.digest(), source.digest());
    let names = crate::durable::names_in(&to.path().join("state")).unwrap();
    assert_eq!(names, ["CURRENT", "live-00000002"]);
}

#[tokio::test]
async fn a_snapshot_that_was_tampered_with_is_refused_and_leaves_nothing() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_source, folder) = snapshot_of_some_rows(from.path()).await;
    let good = messages(&folder, 1000);
    let target = open_state(to.path(), Ledger);
    let first_data = good.iter().position(|part| matches!(part, Part::Data(_))).unwrap();
    let last_file = good.iter().rposition(|part| matches!(part, Part::File(_))).unwrap();
    let change = |work: &dyn Fn(&mut Vec<Part>)| {
        let mut parts = good.clone();
        work(&mut parts);
        parts
    };
    let cases = [
        (
            "a changed byte",
            change(&|parts| {
                let Part::Data(data) = &parts[first_data] else { unreachable!() };
                let mut data = data.to_vec();
                data[0] ^= 1;
                parts[first_data] = Part::Data(data.into());
            }),
        ),
        ("a missing piece", change(&|parts| drop(parts.remove(first_data)))),
        ("a missing file", change(&|parts| parts.truncate(last_file))),
        ("a piece too many", change(&|parts| parts.push(Part::Data(Bytes::from_static(b"x"))))),
        ("a file too many", change(&|parts| parts.push(good[last_file].clone()))),
        ("no header", change(&|parts| drop(parts.remove(0)))),
        ("two headers", change(&|parts| parts.insert(1, good[0].clone()))),
        ("another file's header", change(&|parts| parts[1] = good[last_file].clone())),
        (
            "a changed manifest",
            change(&|parts| {
                let mut sealed = folder.sealed_manifest();
                let last = sealed.len() - 40;
                sealed[last] ^= 1;
                let vote = Vote::new_committed(1, 1).into();
                let header = SnapshotHeaderRow { vote, manifest: Opaque(sealed.into()) };
                parts[0] = Part::HeaderCbor(encoding::to_bytes(&header).into());
            }),
        ),
    ];
    for (what, parts) in cases {
        assert!(receive(&target, parts).await.is_err(), "{what} was taken");
        assert!(target.snapshots().newest().is_none(), "{what} left a snapshot");
        assert_eq!(crate::durable::names_in(&to.path().join("snapshots")).unwrap(), Vec::<String>::new(), "{what}");
    }
    receive(&target, good).await.unwrap();
}

#[tokio::test]
async fn a_manifest_cannot_name_a_file_outside_its_folder() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_source, folder) = snapshot_of_some_rows(from.path()).await;
    let target = open_state(to.path(), Ledger);
    for name in ["../escaped", "/etc/passwd", "", "..", "a/b", "a\0b"] {
        let mut manifest = folder.manifest().clone();
        manifest.files[0].name = name.to_owned();
        let refused = target.snapshots().receive(&encoding::seal(b"SRSNAP01", &manifest)).unwrap_err();
        assert!(matches!(refused, StoreError::SnapshotFile { .. }), "{name:?}: {refused}");
    }
}

#[tokio::test]
async fn a_snapshot_that_rots_on_disk_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let (_state, folder) = snapshot_of_some_rows(dir.path()).await;
    folder.verify().unwrap();
    let table = folder.manifest().files.iter().find(|file| file.name.ends_with(".sst")).unwrap();
    let path = folder.file(&table.name);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    // Not over the hard link, which the live database shares.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(folder.verify(), Err(StoreError::SnapshotFile { .. })));
}

#[tokio::test]
async fn an_old_snapshot_stays_as_long_as_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (mut state, old) = snapshot_of_some_rows(dir.path()).await;
    let path = old.file("CURRENT");
    state.get_snapshot_builder().await.build_snapshot().await.unwrap();
    let new = state.get_current_snapshot().await.unwrap().unwrap();
    assert_eq!(new.meta.last_log_id, Some(log_id(6)));
    assert!(path.exists(), "removed under its reader");
    assert!(state.snapshots().has_older().unwrap());
    drop(old);
    assert!(!path.exists());
    assert!(!state.snapshots().has_older().unwrap());
    drop(state);
    let state = open_state(dir.path(), Ledger);
    assert_eq!(state.snapshots().newest().unwrap().manifest().meta(), new.meta);
}

#[tokio::test]
async fn leftovers_of_a_crash_are_removed_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    drop(open_state(dir.path(), Ledger));
    for leftover in ["state/live-00000009", "snapshots/r-00000003.tmp", "snapshots/s-00000004"] {
        std::fs::create_dir_all(dir.path().join(leftover)).unwrap();
    }
    let state = open_state(dir.path(), Ledger);
    assert!(state.snapshots().newest().is_none());
    assert_eq!(crate::durable::names_in(&dir.path().join("state")).unwrap(), ["CURRENT", "live-00000001"]);
    assert_eq!(crate::durable::names_in(&dir.path().join("snapshots")).unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn the_log_is_not_purged_past_the_durable_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let (state, _folder) = snapshot_of_some_rows(dir.path()).await;
    let mut log = open_log(dir.path(), Some(&state));
    log.blocking_append((1..=6).map(|index| entry(index, &["add"]))).await.unwrap();
    let refused = log.purge(log_id(6)).await.unwrap_err();
    assert!(refused.to_string().contains("the durable snapshot ends at"), "{refused}");
    assert_eq!(log.try_get_log_entries(..).await.unwrap().len(), 6);
    log.purge(log_id(5)).await.unwrap();
    assert_eq!(log.try_get_log_entries(..).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_snapshot_installed_at_open_cuts_only_what_conflicts_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open_log(dir.path(), None);
    log.blocking_append((1..=9).map(|index| entry(index, &["add"]))).await.unwrap();
    log.cut_conflict(log_id(5)).unwrap();
    log.cut_conflict(log_id(12)).unwrap();
    assert_eq!(log.last(), Some(log_id(9)));
    log.cut_conflict(LogId::new(CommittedLeaderId::new(2, 1), 5)).unwrap();
    assert_eq!(log.last(), Some(log_id(4)));
}

async fn indexes(log: &mut LogStore) -> Vec<u64> {
    log.try_get_log_entries(3..).await.unwrap().iter().map(|entry| entry.log_id.index).collect()
}

#[tokio::test]
async fn the_log_opens_as_it_was_left() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open_log(dir.path(), None);
    log.save_vote(&Vote::new_committed(3, 2)).await.unwrap();
    log.blocking_append((1..=9).map(|index| entry(index, &["add"]))).await.unwrap();
    log.save_committed(Some(log_id(4))).await.unwrap();
    log.purge(log_id(2)).await.unwrap();
    log.truncate(log_id(8)).await.unwrap();
    assert_eq!(indexes(&mut log).await, [3, 4, 5, 6, 7]);
    drop(log);
    let mut log = open_log(dir.path(), None);
    assert_eq!(log.vote().unwrap(), Some(Vote::new_committed(3, 2)));
    assert_eq!(log.read_committed().await.unwrap(), Some(log_id(4)));
    assert_eq!((log.purged(), log.last()), (Some(log_id(2)), Some(log_id(7))));
    assert_eq!(indexes(&mut log).await, [3, 4, 5, 6, 7]);
    drop(log);
    let guard = Arc::new(Guard::open(&dir.path().join("guard2"), NodeId(2), true).unwrap());
    let other = LogStore::open(&dir.path().join("log"), NodeId(2), guard, None);
    assert!(matches!(other, Err(StoreError::OtherNode { found: 1, expected: 2 })));
}

#[tokio::test]
async fn reads_for_replication_are_bounded_by_bytes_but_never_empty() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open_log(dir.path(), None);
    let large = format!("put k {}", "x".repeat(700_000));
    log.blocking_append((1..=4).map(|index| entry(index, &[&large]))).await.unwrap();
    let huge = format!("put k {}", "x".repeat(2_000_000));
    log.blocking_append([entry(5, &[&huge])]).await.unwrap();
    for (start, end, expected) in [(1, 6, 1), (5, 6, 1), (3, 3, 0)] {
        let entries = log.limited_get_log_entries(start, end).await.unwrap();
        assert_eq!(entries.len(), expected, "[{start}, {end})");
    }
    assert_eq!(log.try_get_log_entries(1..6).await.unwrap().len(), 5);
}

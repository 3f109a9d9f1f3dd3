//! Kills and what is found afterwards, and the rollback guard on a whole node.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use strongroom_types::NodeId;

use super::harness::{Cluster, DEADLINE, Ledger, all_rows, config, eventually, row};
use crate::{ChannelError, CosignError, GuardError, Metastore, MetastoreConfig, OpenError, PeerChannels, StoreError};

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);
const CHILD: &str = "STRONGROOM_TEST_KILLED_NODE";

async fn propose_numbered(cluster: &Cluster, range: std::ops::Range<u64>) {
    for number in range {
        cluster.store(N1).propose(format!("put k{number} {number}")).await.unwrap();
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target)
        } else {
            assert!(std::fs::copy(entry.path(), target).is_ok())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_opens_with_the_same_state() {
    let mut cluster = Cluster::of(1, |_| {}).await;
    propose_numbered(&cluster, 0..20).await;
    let (index, digest) = cluster.store(N1).state_digest();
    let rows = all_rows(cluster.store(N1));
    for _ in 0..2 {
        cluster.kill(N1).await;
        cluster.start(N1).await.unwrap();
        cluster.store(N1).wait_applied(index, DEADLINE).await.unwrap();
        assert_eq!(all_rows(cluster.store(N1)), rows);
        assert_eq!(cluster.store(N1).state_digest().1, digest);
        cluster.agree().await;
    }
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_behind_its_log_is_replayed_and_behind_the_purge_comes_from_the_snapshot() {
    let mut cluster = Cluster::of(1, |config| {
        config.snapshot_after = 1_000_000;
        config.log_entries_kept = 0;
    })
    .await;
    propose_numbered(&cluster, 0..10).await;
    // The whole state is gone, the log is not: replayed from the first entry.
    let expected = all_rows(cluster.store(N1));
    cluster.kill(N1).await;
    std::fs::remove_dir_all(cluster.folder(N1).join("state/live-00000001")).unwrap();
    cluster.start(N1).await.unwrap();
    cluster.leader().await;
    assert_eq!(all_rows(cluster.store(N1)), expected);
    // Now the log begins after the snapshot, and the state is gone again.
    let through = cluster.store(N1).state_digest().0;
    cluster.store(N1).forget_through(through, DEADLINE).await.unwrap();
    propose_numbered(&cluster, 10..15).await;
    let expected = all_rows(cluster.store(N1));
    cluster.kill(N1).await;
    std::fs::remove_dir_all(cluster.folder(N1).join("state/live-00000001")).unwrap();
    cluster.start(N1).await.unwrap();
    cluster.leader().await;
    assert_eq!(all_rows(cluster.store(N1)), expected);
    cluster.agree().await;
    // And without the snapshot it is lost: that is said, and nothing is invented.
    cluster.kill(N1).await;
    let state = cluster.folder(N1).join("state");
    let pointer = std::fs::read_to_string(state.join("CURRENT")).unwrap();
    std::fs::remove_dir_all(state.join(pointer.trim())).unwrap();
    std::fs::remove_dir_all(cluster.folder(N1).join("snapshots")).unwrap();
    let lost = cluster.start(N1).await.unwrap_err();
    assert!(matches!(lost, OpenError::Store(StoreError::StateLost { .. })), "{lost}");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_put_back_in_time_does_not_open() {
    let mut cluster = Cluster::of(1, |_| {}).await;
    propose_numbered(&cluster, 0..5).await;
    cluster.kill(N1).await;
    let old_image = cluster.folder(NodeId(99));
    copy_folder(&cluster.folder(N1), &old_image);
    cluster.start(N1).await.unwrap();
    cluster.leader().await;
    propose_numbered(&cluster, 5..8).await;
    cluster.store(N1).record_cosigned(8, [8; 32]).await.unwrap();
    assert!(matches!(cluster.store(N1).record_cosigned(7, [7; 32]).await, Err(CosignError::Smaller { .. })));
    assert!(matches!(cluster.store(N1).record_cosigned(8, [7; 32]).await, Err(CosignError::OtherRoot { size: 8 })));
    cluster.kill(N1).await;
    // Its own databases are fine.
    cluster.start(N1).await.unwrap();
    assert_eq!(cluster.store(N1).last_cosigned(), Some((8, [8; 32])));
    cluster.kill(N1).await;
    // An old image of them is not, nor are empty ones.
    std::fs::remove_dir_all(cluster.folder(N1)).unwrap();
    copy_folder(&old_image, &cluster.folder(N1));
    let refused = cluster.start(N1).await.unwrap_err();
    assert!(matches!(refused, OpenError::Guard(GuardError::RollbackSuspected { .. })), "{refused}");
    assert!(refused.to_string().contains("rejoin under a new id"), "{refused}");
    std::fs::remove_dir_all(cluster.folder(N1)).unwrap();
    let refused = cluster.start(N1).await.unwrap_err();
    assert!(matches!(refused, OpenError::Guard(GuardError::RollbackSuspected { .. })), "{refused}");
    // Nor databases without their guard.
    std::fs::remove_dir_all(cluster.folder(N1)).unwrap();
    copy_folder(&old_image, &cluster.folder(N1));
    std::fs::remove_file(cluster.guard(N1)).unwrap();
    let refused = cluster.start(N1).await.unwrap_err();
    assert!(matches!(refused, OpenError::Guard(GuardError::Missing { .. })), "{refused}");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_version_or_id_does_not_open() {
    let mut cluster = Cluster::of(1, |_| {}).await;
    cluster.kill(N1).await;
    let header = cluster.folder(N1).join("raft-log/FORMAT");
    std::fs::write(&header, "strongroom raft-log 9\n").unwrap();
    let refused = cluster.start(N1).await.unwrap_err();
    assert!(matches!(refused, OpenError::Format(_)), "{refused}");
    std::fs::write(&header, "strongroom raft-log 1\n").unwrap();
    let other = N2;
    std::fs::rename(cluster.folder(N1), cluster.folder(other)).unwrap();
    let refused = cluster.start(other).await.unwrap_err();
    assert!(matches!(refused, OpenError::Guard(GuardError::Missing { .. })), "{refused}");
    std::fs::copy(cluster.guard(N1), cluster.guard(other)).unwrap();
    let refused = cluster.start(other).await.unwrap_err();
    assert!(matches!(refused, OpenError::Guard(GuardError::OtherNode { .. })), "{refused}");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_is_refused_and_a_torn_end_is_not() {
    let mut cluster = Cluster::of(1, |_| {}).await;
    propose_numbered(&cluster, 0..20).await;
    cluster.kill(N1).await;
    let wal = std::fs::read_dir(cluster.folder(N1).join("raft-log/db")).unwrap();
    let wal = wal.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "log"));
    let wal = wal.max().unwrap();
    let good = std::fs::read(&wal).unwrap();
    let mut damaged = good.clone();
    damaged[good.len() / 2] ^= 1;
    std::fs::write(&wal, damaged).unwrap();
    let refused = cluster.start(N1).await.unwrap_err();
    assert!(matches!(refused, OpenError::Store(StoreError::LogDamaged { .. })), "{refused}");
    assert!(refused.to_string().contains("rejoin under a new id"), "{refused}");
    std::fs::write(&wal, [good.as_slice(), &[0x5a; 5]].concat()).unwrap();
    cluster.start(N1).await.unwrap();
    cluster.leader().await;
    assert_eq!(row(cluster.store(N1), "k19").as_deref(), Some("19"));
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_state_says_what_to_do_and_is_made_anew_without_its_folder() {
    let mut cluster = Cluster::of(1, |_| {}).await;
    propose_numbered(&cluster, 0..20).await;
    // What was replayed at a start is in tables.
    cluster.kill(N1).await;
    cluster.start(N1).await.unwrap();
    cluster.leader().await;
    let expected = all_rows(cluster.store(N1));
    cluster.kill(N1).await;
    let live = cluster.folder(N1).join("state/live-00000001");
    for name in ["manifest", "zeros", "absent"] {
        let kept = cluster.folder(NodeId(99)).join(name);
        copy_folder(&cluster.folder(N1), &kept);
        damage(&live, name);
        let refused = cluster.start(N1).await.unwrap_err();
        assert!(matches!(refused, OpenError::Store(StoreError::StateDamaged { .. })), "{name}: {refused}");
        assert!(refused.to_string().contains("start again without it"), "{name}: {refused}");
        std::fs::remove_dir_all(cluster.folder(N1)).unwrap();
        std::fs::rename(&kept, cluster.folder(N1)).unwrap();
    }
    damage(&live, "zeros");
    cluster.start(N1).await.unwrap_err();
    std::fs::rename(&live, cluster.folder(N1).join("damaged")).unwrap();
    cluster.start(N1).await.unwrap();
    cluster.leader().await;
    assert_eq!(all_rows(cluster.store(N1)), expected);
    cluster.agree().await;
    cluster.end().await;
}

/// Leaves every table of a database without its bytes or without itself, or its manifest with other bytes.
fn damage(live: &Path, how: &str) {
    let files = std::fs::read_dir(live).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let named = |path: &Path, text: &str| path.file_name().unwrap().to_string_lossy().contains(text);
    let found = files.iter().filter(|path| named(path, if how == "manifest" { "MANIFEST-" } else { ".sst" }));
    let found = found.collect::<Vec<_>>();
    assert!(!found.is_empty(), "{files:?}");
    for path in found {
        let bytes = std::fs::read(path).unwrap();
        match how {
            "manifest" => std::fs::write(path, bytes.iter().map(|byte| !byte).collect::<Vec<_>>()).unwrap(),
            "zeros" => std::fs::write(path, vec![0; bytes.len()]).unwrap(),
            _ => std::fs::remove_file(path).unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_came_just_before_a_crash_is_installed_at_the_next_start() {
    let config = |config: &mut MetastoreConfig| config.log_entries_kept = 0;
    let mut cluster = Cluster::of(1, config).await;
    cluster.start(N2).await.unwrap();
    let before = cluster.store(N1).add_learner(N2, &cluster.address(N2)).await.unwrap();
    cluster.store(N2).wait_applied(before, DEADLINE).await.unwrap();
    cluster.kill(N2).await;
    propose_numbered(&cluster, 0..10).await;
    cluster.store(N1).snapshot_now(DEADLINE).await.unwrap();
    // As if it had been received whole, and nothing more.
    copy_folder(&cluster.folder(N1).join("snapshots"), &cluster.folder(N2).join("snapshots"));
    cluster.start(N2).await.unwrap();
    assert_eq!(row(cluster.store(N2), "k9").as_deref(), Some("9"), "before a word from the leader");
    propose_numbered(&cluster, 10..12).await;
    eventually("it goes on from there", || row(cluster.store(N2), "k11").as_deref() == Some("11")).await;
    cluster.agree().await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forgotten_is_on_no_disk_any_more() {
    let cluster = Cluster::of(1, |_| {}).await;
    let secret = "wrappedkeyofadisposeditem";
    let store = cluster.store(N1);
    store.propose(format!("key k {secret}")).await.unwrap();
    store.snapshot_now(DEADLINE).await.unwrap();
    let removed = store.propose("delkey k").await.unwrap();
    assert!(on_disk(&cluster.folder(N1), secret.as_bytes()), "the test looks in the wrong place");
    let forgotten = store.forget_through(removed.log_index, DEADLINE).await.unwrap();
    assert_eq!(forgotten.through, removed.log_index);
    // RocksDB removes files that are no longer needed in the background.
    eventually("the key is on no disk", || !on_disk(&cluster.folder(N1), secret.as_bytes())).await;
    cluster.agree().await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forgetting_goes_on_however_often_it_is_asked_for() {
    let cluster = Cluster::of(3, |config| config.log_entries_kept = 0).await;
    for round in 0..40 {
        let removed = cluster.store(N1).propose(format!("delkey k{round}")).await.unwrap();
        for node in [N1, N2, N3] {
            // Raft may be asked to purge before it knows of the snapshot: that must not make it wait for the next one.
            let forgotten = cluster.store(node).forget_through(removed.log_index, DEADLINE).await.unwrap();
            assert_eq!(forgotten.through, removed.log_index, "{node}, round {round}");
        }
    }
    cluster.agree().await;
    cluster.end().await;
}

fn on_disk(folder: &Path, needle: &[u8]) -> bool {
    std::fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return on_disk(&path, needle);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}

struct Alone;

impl PeerChannels for Alone {
    fn channel(&self, node: NodeId, address: &str) -> Result<tonic::transport::Channel, ChannelError> {
        Err(ChannelError { node, address: address.to_owned(), detail: "alone".to_owned() })
    }
}

/// The child of the next test: proposes until it is killed, and says what was acknowledged.
#[test]
fn child_that_proposes_until_it_is_killed() {
    let Ok(folder) = std::env::var(CHILD) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let folder = Path::new(&folder);
        let config = config(&folder.join("meta"), N1, &folder.join("guard"));
        let store = Metastore::open(config, Arc::new(Ledger), Arc::new(Alone)).await.unwrap();
        // At the second start it belongs to a cluster already.
        let _ = store.initialize([(N1, "nowhere".to_owned())].into()).await;
        loop {
            let answer = store.propose("add").await.unwrap();
            println!("acknowledged {}", String::from_utf8_lossy(&answer.outcome));
        }
    });
}

/// openraft #2039, #387, #361: users acknowledged a log that was not synced.
#[test]
fn what_a_killed_process_acknowledged_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for _ in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::crash::child_that_proposes_until_it_is_killed", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let counts =
            lines.filter_map(|line| line.strip_prefix("acknowledged ").and_then(|count| count.parse::<u64>().ok()));
        let seen = counts.take(25).collect::<Vec<_>>();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(seen.len(), 25, "the child ended by itself");
        assert!(seen[0] > acknowledged, "{} was acknowledged before, now {}", acknowledged, seen[0]);
        acknowledged = seen[24];
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let config = config(&dir.path().join("meta"), N1, &dir.path().join("guard"));
        let store = Metastore::open(config, Arc::new(Ledger), Arc::new(Alone)).await.unwrap();
        let index = store.read_index().await.unwrap();
        store.wait_applied(index, Duration::from_secs(30)).await.unwrap();
        let count = row(&store, "count").unwrap().parse::<u64>().unwrap();
        assert!(count >= acknowledged, "{acknowledged} were acknowledged, {count} are there");
        assert_eq!(store.recompute_digest().await.unwrap(), store.state_digest());
        store.shutdown().await;
    });
}

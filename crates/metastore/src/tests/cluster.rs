//! Clusters on loopback: order, forwarding, reads, lost leaders, cut networks, new members.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use futures::future::join_all;
use openraft::raft::{AppendEntriesRequest, VoteRequest};
use strongroom_proto::peer;
use strongroom_types::{NodeId, limits};

use super::harness::{Cluster, DEADLINE, eventually, in_time, number, row};
use crate::{
    ChangeError, HandleError, ProposeError, RaftRole, ReadError,
    encoding::{self, AppendRow, OpaquesRow, VoteAskRow},
    raft::{Opaque, TypeConfig, Vote},
};

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);
const ALL: [NodeId; 3] = [N1, N2, N3];

fn others(node: NodeId) -> Vec<NodeId> {
    ALL.into_iter().filter(|other| *other != node).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_keep_their_order_and_share_entries() {
    let cluster = Cluster::of(1, |_| {}).await;
    let store = cluster.store(N1);
    let asked = (0..1000).map(|_| store.propose("add")).collect::<Vec<_>>();
    let answers = in_time("a thousand commands", join_all(asked)).await;
    let answers = answers.into_iter().map(Result::unwrap).collect::<Vec<_>>();
    let counts = answers.iter().map(|answer| number(&answer.outcome)).collect::<Vec<_>>();
    assert_eq!(counts, (1..=1000).collect::<Vec<_>>(), "commands overtook each other");
    let entries = answers.iter().map(|answer| answer.log_index).collect::<BTreeSet<_>>();
    assert!(entries.len() < 100, "{} entries for 1000 commands", entries.len());
    assert!(entries.len() >= 1000 / limits::BATCH_COMMANDS_MAX, "an entry holds too many");
    cluster.agree().await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_peers_send_at_once_shares_entries_and_a_follower_sends_nothing_on() {
    let cluster = Cluster::of(3, |_| {}).await;
    let leader = cluster.leader().await;
    let peer = others(leader)[0];
    let batch = |commands: usize| {
        let items = vec![Opaque(Bytes::from_static(b"add")); commands];
        peer::ProposeRequest { batch_cbor: encoding::to_bytes(&OpaquesRow { items }).into() }
    };
    let sent = (1..=20).map(|commands| cluster.store(leader).handle_propose(peer, batch(commands)));
    let answers = in_time("twenty batches", join_all(sent)).await;
    let (mut entries, mut counts) = (BTreeSet::new(), Vec::new());
    for (answer, commands) in answers.into_iter().zip(1..) {
        let answer = answer.unwrap();
        let row = encoding::from_bytes::<OpaquesRow>("outcomes", &answer.outcomes_cbor).unwrap();
        assert_eq!(row.items.len(), commands, "outcomes went to another batch");
        entries.insert(answer.log_index);
        counts.extend(row.items.iter().map(|outcome| number(&outcome.0)));
    }
    assert_eq!(counts, (1..=210).collect::<Vec<_>>(), "batches overtook each other");
    assert!(entries.len() <= 5, "{} entries for 20 batches that came at once", entries.len());
    let refused = cluster.store(peer).handle_propose(leader, batch(1)).await;
    assert!(matches!(refused, Err(HandleError::Propose(ProposeError::NoLeader { .. }))), "{refused:?}");
    cluster.agree().await;
    assert_eq!(row(cluster.store(leader), "count").as_deref(), Some("210"));
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_forward_commands_and_read_what_was_acknowledged() {
    let cluster = Cluster::of(3, |_| {}).await;
    for (count, node) in ALL.into_iter().cycle().take(9).enumerate() {
        let answer = cluster.store(node).propose("add").await.unwrap();
        assert_eq!(number(&answer.outcome), u64::try_from(count).unwrap() + 1);
        for reader in ALL {
            let view = cluster.store(reader).view_linearizable().await.unwrap();
            let rows = view.rows();
            assert!(rows.applied_index().unwrap() >= answer.log_index, "{reader} read an old state");
            assert_eq!(rows.read(super::harness::ROWS, b"count").unwrap(), Some(answer.outcome.to_vec()));
        }
    }
    let leader = cluster.leader().await;
    let follower = others(leader)[0];
    let asked = (0..200).map(|_| cluster.store(follower).propose("add"));
    for answer in in_time("forwarded commands", join_all(asked)).await {
        answer.unwrap();
    }
    cluster.agree().await;
    assert_eq!(row(cluster.store(leader), "count").as_deref(), Some("209"));
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_the_leader_and_the_leader_comes_back() {
    let mut cluster = Cluster::of(3, |_| {}).await;
    let old = cluster.leader().await;
    cluster.store(old).propose("put a 1").await.unwrap();
    cluster.store(others(old)[0]).propose("key k wrapped").await.unwrap();
    cluster.kill(old).await;
    let new = cluster.leader().await;
    assert_ne!(new, old);
    assert_eq!(row(cluster.store(new), "a").as_deref(), Some("1"));
    let answer = cluster.store(others(old)[1]).propose("put a 2").await.unwrap();
    assert_eq!(answer.outcome.as_ref(), b"1");
    cluster.start(old).await.unwrap();
    in_time("the old leader catches up", cluster.store(old).wait_applied(answer.log_index, DEADLINE)).await.unwrap();
    assert_eq!(row(cluster.store(old), "a").as_deref(), Some("2"));
    cluster.agree().await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_cut_from_the_log_is_unknown_and_never_proposed_again() {
    let cluster = Cluster::of(3, |_| {}).await;
    let old = cluster.leader().await;
    cluster.store(old).propose("put a 1").await.unwrap();
    cluster.cuts.isolate(old, &others(old));
    let store = cluster.store(old).clone();
    let lost = tokio::spawn(async move { store.propose("add").await });
    eventually("the others elect a leader", || {
        others(old).iter().any(|node| cluster.store(*node).metrics().leader == Some(*node))
    })
    .await;
    let new = others(old).into_iter().find(|node| cluster.store(*node).metrics().leader == Some(*node)).unwrap();
    let answer = cluster.store(new).propose("put a 2").await.unwrap();
    let read = tokio::time::timeout(Duration::from_millis(700), cluster.store(old).read_index()).await;
    assert!(!matches!(read, Ok(Ok(_))), "a leader without a majority answered a read: {read:?}");
    assert!(!lost.is_finished(), "a command was answered without a majority");
    cluster.cuts.heal();
    let lost = in_time("the lost command is answered", lost).await.unwrap();
    let Err(ProposeError::Unknown { detail }) = &lost else { panic!("{lost:?}") };
    assert!(detail.contains("forward"), "it was not cut but timed out: {detail}");
    in_time("the old leader follows", cluster.store(old).wait_applied(answer.log_index, DEADLINE)).await.unwrap();
    cluster.agree().await;
    assert_eq!(row(cluster.store(old), "count"), None, "the command was proposed again");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_no_majority_answers_refuses_before_its_callers_give_up() {
    let cluster = Cluster::of(3, |config| config.leader_patience = Duration::from_millis(400)).await;
    let old = cluster.leader().await;
    cluster.store(old).propose("put a 1").await.unwrap();
    cluster.cuts.isolate(old, &others(old));
    // Under way when the network was cut: it may yet be committed.
    let under_way = in_time("it is answered", cluster.store(old).propose("put a 2")).await;
    assert!(matches!(under_way, Err(ProposeError::Unknown { .. })), "{under_way:?}");
    let later = in_time("it takes nothing more", async {
        loop {
            match cluster.store(old).propose("put a 3").await {
                Err(ProposeError::Unknown { .. }) => {}
                answer => return answer,
            }
        }
    })
    .await;
    assert!(matches!(later, Err(ProposeError::NoLeader { .. })), "{later:?}");
    let read = in_time("it is refused", cluster.store(old).read_index()).await;
    assert!(matches!(read, Err(ReadError::NoLeader { .. })), "{read:?}");
    cluster.cuts.heal();
    cluster.agree().await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_leader_nothing_is_proposed_and_without_a_majority_the_fate_is_unknown() {
    let mut cluster = Cluster::new(|config| config.propose_timeout = Duration::from_millis(300));
    cluster.start(N1).await.unwrap();
    let refused = cluster.store(N1).propose("add").await;
    assert!(matches!(refused, Err(ProposeError::NoLeader { .. })), "{refused:?}");
    assert!(matches!(cluster.store(N1).read_index().await, Err(ReadError::NoLeader { .. })));
    let huge = vec![0; limits::BATCH_BYTES_MAX + 1];
    assert!(matches!(cluster.store(N1).propose(huge).await, Err(ProposeError::TooLarge { .. })));
    cluster.end().await;

    let mut cluster = Cluster::of(3, |config| config.propose_timeout = Duration::from_millis(800)).await;
    let leader = cluster.leader().await;
    for other in others(leader) {
        cluster.kill(other).await;
    }
    let unknown = cluster.store(leader).propose("add").await;
    assert!(matches!(unknown, Err(ProposeError::Unknown { .. })), "{unknown:?}");
    assert!(matches!(cluster.store(leader).read_index().await, Err(ReadError::NoLeader { .. })));
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_learner_catches_up_by_snapshot_and_voters_change() {
    let mut cluster = Cluster::of(1, |config| {
        config.snapshot_after = 20;
        config.log_entries_kept = 0;
    })
    .await;
    for number in 0..60 {
        cluster.store(N1).propose(format!("put k{number} {number}")).await.unwrap();
    }
    cluster.store(N1).propose("key k wrapped").await.unwrap();
    // Several messages of a mebibyte, which do not compress.
    for number in 0..3_u64 {
        let mut noise = vec![0; 700_000];
        blake3::Hasher::new().update(&number.to_be_bytes()).finalize_xof().fill(&mut noise);
        let text = noise.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        cluster.store(N1).propose(format!("put large{number} {text}")).await.unwrap();
    }
    cluster.store(N1).snapshot_now(DEADLINE).await.unwrap();
    eventually("the log is purged", || cluster.store(N1).metrics().purged_index > 20).await;
    for node in [N2, N3] {
        cluster.start(node).await.unwrap();
        let before = cluster.store(node).view();
        let index = cluster.store(N1).add_learner(node, &cluster.address(node)).await.unwrap();
        in_time("the learner catches up", cluster.store(node).wait_applied(index, DEADLINE)).await.unwrap();
        assert!(cluster.store(node).metrics().snapshot_index > 20, "it came by log, not by snapshot");
        assert_eq!(before.rows().applied_index().unwrap(), 0, "an old view changed under its reader");
        assert_eq!(cluster.store(node).metrics().role, RaftRole::Learner);
    }
    cluster.agree().await;

    let voters = BTreeSet::from(ALL);
    let refused = cluster.store(N2).change_voters(voters.clone()).await;
    assert_eq!(refused, Err(ChangeError::NotLeader { leader: Some(N1) }));
    cluster.store(N1).change_voters(voters.clone()).await.unwrap();
    eventually("all vote", || ALL.iter().all(|node| cluster.store(*node).members().voters == voters)).await;
    assert!(!cluster.store(N1).members().changing);

    // The leader votes itself out; the others elect one of theirs, and it goes on as a learner.
    cluster.store(N1).change_voters(BTreeSet::from([N2, N3])).await.unwrap();
    eventually("one of the others leads", || {
        let leader = cluster.store(N2).metrics().leader;
        leader == Some(N2) || leader == Some(N3)
    })
    .await;
    let answer = in_time("a command through the new leader", cluster.store(N1).propose("put after 1")).await.unwrap();
    in_time("the old leader learns", cluster.store(N1).wait_applied(answer.log_index, DEADLINE)).await.unwrap();
    assert_eq!(cluster.store(N1).members().learners, BTreeSet::from([N1]));
    cluster.agree().await;

    let leader = cluster.leader().await;
    let voter = cluster.store(leader).remove_learner(leader).await;
    assert!(matches!(voter, Err(ChangeError::Refused(_))), "a voter was removed: {voter:?}");
    cluster.store(leader).remove_learner(N1).await.unwrap();
    assert!(!cluster.store(leader).members().addresses.contains_key(&N1));
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_moves_to_another_address() {
    let cluster = Cluster::of(1, |_| {}).await;
    cluster.store(N1).add_learner(N2, "127.0.0.1:1").await.unwrap();
    cluster.store(N1).move_member(N2, "127.0.0.1:2").await.unwrap();
    assert_eq!(cluster.store(N1).members().addresses[&N2], "127.0.0.1:2");
    assert!(matches!(cluster.store(N1).move_member(N3, "127.0.0.1:3").await, Err(ChangeError::Refused(_))));
    let again = cluster.store(N1).initialize([(N1, cluster.address(N1))].into()).await;
    assert_eq!(again, Err(ChangeError::AlreadyInitialized));
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_speaks_for_itself_alone() {
    let cluster = Cluster::of(3, |_| {}).await;
    let leader = cluster.leader().await;
    let [victim, liar] = others(leader)[..] else { unreachable!("two others") };
    let before = cluster.store(victim).metrics();

    // In a later term, a word of the leader would be followed at once.
    let vote = Vote::new(before.term + 7, leader.0);
    let ask = VoteRequest { vote, last_log_id: None };
    let request_cbor = Bytes::from(encoding::to_bytes(&VoteAskRow::from(&ask)));
    let refused = cluster.store(victim).handle_vote(liar, peer::VoteRequest { request_cbor }).await.unwrap_err();
    assert!(matches!(refused, HandleError::NotTheSender { from, claimed } if (from, claimed) == (liar, leader)));

    let vote = Vote::new_committed(before.term + 7, leader.0);
    let append = AppendEntriesRequest::<TypeConfig> { vote, prev_log_id: None, entries: vec![], leader_commit: None };
    let request_cbor = Bytes::from(encoding::to_bytes(&AppendRow::from(&append)));
    let refused = cluster.store(victim).handle_append(liar, peer::AppendRequest { request_cbor }).await.unwrap_err();
    assert!(matches!(refused, HandleError::NotTheSender { .. }), "{refused}");
    assert_eq!(cluster.store(victim).metrics().term, before.term);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_stop_every_replica_is_not_taken_from_another_node() {
    let cluster = Cluster::of(3, |_| {}).await;
    let leader = cluster.leader().await;
    let liar = others(leader)[0];
    let items = vec![Opaque(Bytes::from_static(b"add")), Opaque(Bytes::from_static(b"break"))];
    let batch_cbor = Bytes::from(encoding::to_bytes(&OpaquesRow { items }));
    let before = cluster.store(leader).metrics().last_log_index;
    let refused = cluster.store(leader).handle_propose(liar, peer::ProposeRequest { batch_cbor }).await.unwrap_err();
    assert!(matches!(refused, HandleError::NotAdmitted { from, .. } if from == liar), "{refused}");
    assert_eq!(cluster.store(leader).metrics().last_log_index, before, "nothing of the batch is in the log");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_cannot_be_applied_stops_the_node_and_leaves_no_trace() {
    let mut cluster = Cluster::of(1, |_| {}).await;
    cluster.store(N1).propose("put a 1").await.unwrap();
    let before = cluster.store(N1).state_digest();
    let store = cluster.store(N1);
    let (first, broken) = tokio::join!(store.propose("put a 2"), store.propose("break"));
    assert!(broken.is_err(), "{broken:?}");
    eventually("the hook is called", || !cluster.nodes[&N1].fatal.lock().unwrap().is_empty()).await;
    let reason = cluster.nodes[&N1].fatal.lock().unwrap()[0].clone();
    assert!(reason.contains("told to break"), "{reason}");
    let shown = row(store, "a");
    assert_eq!(shown.as_deref() == Some("2"), first.is_ok(), "the entry was half written");
    if first.is_err() {
        assert_eq!(store.state_digest(), before);
    }
    assert!(matches!(store.propose("add").await, Err(ProposeError::Stopped { .. })));
    cluster.kill(N1).await;
    // The entry is committed: it is met again at the start, and the node stops again.
    let refused = cluster.start(N1).await.unwrap_err();
    assert!(refused.to_string().contains("told to break"), "{refused}");
    cluster.end().await;
}

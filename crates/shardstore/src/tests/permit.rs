//! Permits: what a disk erases against, and everything that it refuses.

use strongroom_custody::{
    Fact,
    erasure::{NoPermit, PermitKind},
};
use strongroom_ledger::{ConsistencyProof, TreeHead, VerifyError};
use strongroom_types::{EraseList, EraseTarget, RecordSeq, TreeHash};

use super::{voters::Ledger, *};
use crate::{PermitError, PermitProof, PutError, TrustError};

fn list(items: &[u8]) -> EraseList {
    EraseList::new(items.iter().map(|n| EraseTarget::Item(address(*n, 0).item))).expect("a list")
}

/// A disk that believes the ledger's voters and holds shards of items 1 to 3.
async fn pinned(lab: &Lab) -> Disk {
    let disk = lab.open();
    disk.pin(&voters::policy()).expect("pins");
    put_all(&disk, &[shard(1, 8000), shard(2, 8000), shard(3, 8000)]).await;
    disk
}

fn executed(ledger: &mut Ledger, items: &[u8]) -> (RecordSeq, EraseList) {
    let list = list(items);
    let record = ledger.executed(&list);
    (ledger.append(record.to_bytes()), list)
}

#[tokio::test]
async fn a_committed_disposal_is_erased_and_nothing_else() {
    let lab = Lab::new();
    let disk = pinned(&lab).await;
    let mut ledger = Ledger::new();
    let (seq, list) = executed(&mut ledger, &[1, 3]);
    let permit = disk.admit(&ledger.permit(seq, &list, TreeHead::EMPTY)).expect("verifies");
    assert_eq!(permit.disk(), Some(DISK));
    assert_eq!(disk.trusted(), Ok(ledger.head()));
    assert_eq!(disk.erase(&permit).await.expect("erases").shards, 2);
    for gone in [1, 3] {
        assert!(matches!(disk.get(&address(gone, 0)).await, Err(GetError::Erased { .. })));
        assert!(matches!(disk.put(shard(gone, 8000)).await, Err(PutError::Erased { .. })));
    }
    assert_holds(&disk, &[shard(2, 8000)]).await;

    // The same permit again does nothing, also after a restart and under a newer checkpoint.
    ledger.append(b"later".to_vec());
    let again = disk.admit(&ledger.permit(seq, &list, disk.trusted().expect("is pinned"))).expect("verifies");
    assert_eq!(disk.erase(&again).await.expect("erases").shards, 0);
    disk.shutdown().await;
    drop(disk);
    let disk = lab.open();
    assert_eq!(disk.trusted(), Ok(ledger.head()), "what it has verified outlives a restart");
    let again = disk.admit(&ledger.permit(seq, &list, ledger.head())).expect("verifies");
    assert_eq!(disk.erase(&again).await.expect("erases").shards, 0);
    assert_holds(&disk, &[shard(2, 8000)]).await;
}

/// Asks with a proof that somebody spoilt, and sees the disk as it was.
async fn refused(why: &str, spoil: impl FnOnce(&mut Ledger, PermitProof) -> PermitProof) -> PermitError {
    let lab = Lab::new();
    let disk = pinned(&lab).await;
    let mut ledger = Ledger::new();
    let (seq, list) = executed(&mut ledger, &[1]);
    let good = ledger.permit(seq, &list, TreeHead::EMPTY);
    let bad = spoil(&mut ledger, good.clone());
    let error = disk.admit(&bad).expect_err(why);
    assert_eq!(disk.trusted(), Ok(TreeHead::EMPTY), "{why}: nothing was verified");
    assert_holds(&disk, &[shard(1, 8000), shard(2, 8000), shard(3, 8000)]).await;
    disk.admit(&good).expect("the good one verifies");
    error
}

#[tokio::test]
async fn a_permit_for_other_items_is_refused() {
    for items in [&[2][..], &[1, 2], &[2, 3]] {
        let other = list(items);
        let error = refused("other items", |_, good| PermitProof { list: other, ..good }).await;
        assert!(matches!(error, PermitError::OtherList { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_record_that_permits_nothing_is_refused() {
    let error = refused("a refusal", |ledger, _| {
        let list = list(&[1]);
        let seq = ledger.append(ledger.refused(&list).to_bytes());
        ledger.permit(seq, &list, TreeHead::EMPTY)
    })
    .await;
    assert!(matches!(error, PermitError::Record(NoPermit::Refused(_))), "{error:?}");
    let error = refused("an approval", |ledger, _| {
        let list = list(&[1]);
        let record =
            strongroom_custody::Record { act: strongroom_custody::Act::DisposalApprove, ..ledger.executed(&list) };
        let seq = ledger.append(record.to_bytes());
        ledger.permit(seq, &list, TreeHead::EMPTY)
    })
    .await;
    assert!(matches!(error, PermitError::Record(NoPermit::OtherAct("disposal.approve"))), "{error:?}");
}

/// A disk takes a permit only for what it was ordered as, and a removal's only with what its receiver signed.
#[tokio::test]
async fn b10_a_permit_of_another_kind_than_the_order_is_refused() {
    for ordered in [PermitKind::Removal, PermitKind::Debris] {
        let error = refused("a disposal as another kind", |_, good| PermitProof { kind: ordered, ..good }).await;
        assert_eq!(error, PermitError::OtherKind { ordered, found: PermitKind::Disposal });
    }
    for ordered in [PermitKind::Disposal, PermitKind::Debris] {
        let error = refused("a removal as another kind", |ledger, _| {
            let list = list(&[1]);
            let seq = ledger.append(ledger.removed(&list).to_bytes());
            PermitProof { kind: ordered, ..ledger.permit(seq, &list, TreeHead::EMPTY) }
        })
        .await;
        assert_eq!(error, PermitError::OtherKind { ordered, found: PermitKind::Removal });
    }
}

#[tokio::test]
async fn b10_a_removal_is_erased_only_for_exactly_what_its_receiver_signed() {
    type Forge = fn(&Ledger) -> strongroom_custody::Record;
    let forgeries: [(&str, Forge); 4] = [
        ("no signature", |ledger| {
            let mut record = ledger.removed(&list(&[1]));
            record.facts.remove(&Fact::Signature);
            record
        }),
        ("a signature for other items", |ledger| {
            let mut record = ledger.removed(&list(&[1]));
            for fact in [Fact::Statement, Fact::Signature] {
                let other = ledger.removed(&list(&[2])).facts[&fact].clone();
                record.facts.insert(fact, other);
            }
            record
        }),
        ("somebody else's key", |ledger| {
            let mut record = ledger.removed(&list(&[1]));
            record.facts.insert(Fact::ReceiverKey, [9; 32].as_slice().into());
            record
        }),
        ("a statement of another cluster", |ledger| {
            let mut record = ledger.removed(&list(&[1]));
            let other = Ledger::with_seeds(ClusterId::new([7; 16]), 1).removed(&list(&[1]));
            for fact in [Fact::Statement, Fact::Signature] {
                record.facts.insert(fact, other.facts[&fact].clone());
            }
            record
        }),
    ];
    for (why, forge) in forgeries {
        let error = refused(why, |ledger, _| {
            let list = list(&[1]);
            let seq = ledger.append(forge(ledger).to_bytes());
            PermitProof { kind: PermitKind::Removal, ..ledger.permit(seq, &list, TreeHead::EMPTY) }
        })
        .await;
        assert!(matches!(error, PermitError::Record(NoPermit::NotSigned)), "{why}: {error:?}");
    }

    // The good one erases what it names, and shown again it does nothing.
    let lab = Lab::new();
    let disk = pinned(&lab).await;
    let mut ledger = Ledger::new();
    let gone = list(&[1, 2]);
    let seq = ledger.append(ledger.removed(&gone).to_bytes());
    let permit = disk.admit(&ledger.permit(seq, &gone, TreeHead::EMPTY)).expect("verifies");
    assert_eq!(disk.erase(&permit).await.expect("erases").shards, 2);
    let again = disk.admit(&ledger.permit(seq, &gone, ledger.head())).expect("verifies");
    assert_eq!(disk.erase(&again).await.expect("erases").shards, 0);
    assert!(matches!(disk.put(shard(1, 8000)).await, Err(PutError::Erased { .. })));
    assert_holds(&disk, &[shard(3, 8000)]).await;
}

#[tokio::test]
async fn a_record_that_is_not_the_committed_one_is_refused() {
    // A node's root user writes the record that it wishes for and has a real proof of another.
    let error = refused("a record of one's own", |ledger, good| {
        let wished = list(&[1, 2, 3]);
        PermitProof { record: ledger.executed(&wished).to_bytes(), list: wished, ..good }
    })
    .await;
    assert!(matches!(error, PermitError::OtherRecord { .. }), "{error:?}");
    let error =
        refused("another salt", |_, good| PermitProof { salt: strongroom_ledger::Salt::new([9; 32]), ..good }).await;
    assert!(matches!(error, PermitError::OtherRecord { .. }), "{error:?}");
}

#[tokio::test]
async fn a_checkpoint_without_a_majority_of_the_pinned_voters_is_refused() {
    for count in [0, 1] {
        let error = refused("too few voters", |ledger, good| {
            ledger.permit_of(good.leaf.seq, &good.list, TreeHead::EMPTY, count)
        })
        .await;
        let PermitError::NotProved(strongroom_ledger::ProofError::Policy(VerifyError::VotersMissing { found, needed })) =
            error
        else {
            panic!("{error:?}")
        };
        assert_eq!((found, needed), (count, 2));
    }
    // Whoever makes up voters makes up a ledger, too.
    let error = refused("voters of one's own", |ledger, good| {
        let mut forged = Ledger::with_seeds(ledger.cluster, 100);
        let seq = forged.append(good.record);
        forged.permit_of(seq, &good.list, TreeHead::EMPTY, 3)
    })
    .await;
    assert!(matches!(error, PermitError::NotProved(_)), "{error:?}");
}

#[tokio::test]
async fn a_permit_of_another_cluster_is_refused() {
    let error = refused("another cluster", |_, good| {
        let mut other = Ledger::with_seeds(ClusterId::new([7; 16]), 1);
        let seq = other.append(other.executed(&good.list).to_bytes());
        other.permit(seq, &good.list, TreeHead::EMPTY)
    })
    .await;
    assert!(matches!(error, PermitError::OtherCluster { .. }), "{error:?}");
    let error = refused("another cluster's record in our ledger", |ledger, good| {
        let other = Ledger::with_seeds(ClusterId::new([7; 16]), 1);
        let seq = ledger.append(other.executed(&good.list).to_bytes());
        ledger.permit(seq, &good.list, TreeHead::EMPTY)
    })
    .await;
    assert!(matches!(error, PermitError::OtherCluster { .. }), "{error:?}");
}

type Spoil = fn(PermitProof) -> PermitProof;

#[tokio::test]
async fn a_truncated_or_altered_proof_is_refused() {
    let spoils: [(&str, Spoil); 6] = [
        ("a hash less", |mut good| {
            good.proof.inclusion.hashes.pop();
            good
        }),
        ("a hash more", |mut good| {
            good.proof.inclusion.hashes.push(TreeHash::new([1; 32]));
            good
        }),
        ("another hash", |mut good| {
            good.proof.inclusion.hashes[0] = TreeHash::new([1; 32]);
            good
        }),
        ("another place", |mut good| {
            good.proof.inclusion.seq = RecordSeq(1);
            good
        }),
        ("another leaf", |mut good| {
            good.leaf.seq = RecordSeq(1);
            good
        }),
        ("a record cut short", |mut good| {
            good.record.pop();
            good
        }),
    ];
    for (why, spoil) in spoils {
        let error = refused(why, |_, good| spoil(good)).await;
        assert!(matches!(error, PermitError::NotProved(_) | PermitError::Record(_)), "{why}: {error:?}");
    }
}

#[tokio::test]
async fn a_checkpoint_that_does_not_continue_what_the_disk_verified_is_refused() {
    let lab = Lab::new();
    let disk = pinned(&lab).await;
    let mut ledger = Ledger::new();
    let (first, of_first) = executed(&mut ledger, &[1]);
    let old = ledger.permit(first, &of_first, TreeHead::EMPTY);
    ledger.append(b"more".to_vec());
    disk.admit(&ledger.permit(first, &of_first, TreeHead::EMPTY)).expect("verifies");
    let newest = ledger.head();

    // An older checkpoint, as a restored directory would show it.
    let error = disk.admit(&old).expect_err("is older");
    assert!(matches!(error, PermitError::NotContinued { newest, found, .. } if newest == found + 1), "{error:?}");
    // A fork that a majority of liars cosigned: longer, and of another past.
    let mut fork = Ledger::new();
    for _ in 0..5 {
        fork.append(b"another past".to_vec());
    }
    let (seq, of_fork) = executed(&mut fork, &[2]);
    let forged = fork.permit(seq, &of_fork, newest);
    let error = disk.admit(&forged).expect_err("is a fork");
    assert!(matches!(error, PermitError::NotContinued { .. }), "{error:?}");
    // And no proof at all.
    let (next, of_next) = executed(&mut ledger, &[3]);
    let good = ledger.permit(next, &of_next, newest);
    let none = ConsistencyProof { hashes: Vec::new(), ..good.consistency.clone() };
    assert!(disk.admit(&PermitProof { consistency: none, ..good.clone() }).is_err());
    assert_eq!(disk.trusted(), Ok(newest));
    disk.admit(&good).expect("continues");
}

#[tokio::test]
async fn a_disk_follows_the_ledger_without_a_permit_and_then_refuses_what_was_put_back() {
    let lab = Lab::new();
    let disk = pinned(&lab).await;
    let mut ledger = Ledger::new();
    // An execution that a hold would have stopped, in a copy of the metadata from before the hold.
    let (seq, list) = executed(&mut ledger, &[1]);
    let put_back = ledger.permit(seq, &list, TreeHead::EMPTY);
    ledger.append(b"a hold".to_vec());
    disk.follow(&ledger.shown(TreeHead::EMPTY, 2)).expect("continues");
    let newest = ledger.head();
    assert_eq!(disk.trusted(), Ok(newest));
    assert!(matches!(disk.admit(&put_back), Err(PermitError::NotContinued { .. })));
    assert_holds(&disk, &[shard(1, 8000)]).await;

    // Neither an older ledger nor a fork nor one that too few voters cosigned is followed.
    let old = Ledger::new();
    assert!(matches!(disk.follow(&old.shown(TreeHead::EMPTY, 3)), Err(PermitError::NotContinued { .. })));
    let mut fork = Ledger::new();
    for _ in 0..9 {
        fork.append(b"another past".to_vec());
    }
    assert!(matches!(disk.follow(&fork.shown(newest, 3)), Err(PermitError::NotContinued { .. })));
    ledger.append(b"later".to_vec());
    assert!(matches!(disk.follow(&ledger.shown(newest, 1)), Err(PermitError::NotProved(_))));
    assert_eq!(disk.trusted(), Ok(newest));
    disk.shutdown().await;
    drop(disk);
    assert_eq!(lab.open().trusted(), Ok(newest), "what it was shown outlives a restart");
}

#[tokio::test]
async fn a_disk_without_pinned_voters_erases_nothing_and_keeps_those_that_it_has() {
    let lab = Lab::new();
    let disk = lab.open();
    let mut ledger = Ledger::new();
    let (seq, list) = executed(&mut ledger, &[1]);
    let proof = ledger.permit(seq, &list, TreeHead::EMPTY);
    assert_eq!(disk.admit(&proof), Err(PermitError::Trust(TrustError::NotPinned { disk: DISK })));
    disk.pin(&ledger.policy()).expect("pins");
    disk.pin(&ledger.policy()).expect("pinned already");
    let other = Ledger::with_seeds(ledger.cluster, 100).policy();
    assert_eq!(disk.pin(&other), Err(TrustError::OtherPolicy { disk: DISK }));
    disk.admit(&proof).expect("verifies");
    disk.shutdown().await;
    drop(disk);

    // A damaged trust is believed no more, and not replaced by a new one either.
    patch(&lab.path().join("strongroom-trust.cbor"), |bytes| bytes[40] ^= 1);
    let disk = lab.open();
    assert!(matches!(disk.pin(&ledger.policy()), Err(TrustError::Damaged { .. })));
    assert!(matches!(disk.admit(&proof), Err(PermitError::Trust(TrustError::Damaged { .. }))));
    put_all(&disk, &[shard(2, 8000)]).await;
    assert_holds(&disk, &[shard(2, 8000)]).await;
}

#[tokio::test]
async fn the_debris_of_a_stream_is_erased_by_its_permit() {
    let lab = Lab::new();
    let disk = lab.open();
    disk.pin(&voters::policy()).expect("pins");
    let at = |index| PutShard { address: address(1, index), ..shard(1, 100) };
    put_all(&disk, &[at(1), at(3), at(5)]).await;
    let mut ledger = Ledger::new();
    let target = EraseTarget::Upload(address(1, 0).item, UploadEpoch(1), ChunkIndex(3));
    let list = EraseList::new([target]).expect("a list");
    let record = strongroom_custody::Record { act: strongroom_custody::Act::UploadResume, ..ledger.executed(&list) };
    let seq = ledger.append(record.to_bytes());
    let permit = disk.admit(&ledger.permit(seq, &list, TreeHead::EMPTY)).expect("verifies");
    assert_eq!(disk.erase(&permit).await.expect("erases").shards, 2);
    assert_holds(&disk, &[at(1)]).await;
}

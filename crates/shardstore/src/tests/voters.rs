//! A ledger with its voters, so that permits can be made well and badly.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use strongroom_custody::{
    Act, Fact, Record, Stamp,
    erasure::{PermitKind, permitted},
    removal::{StatedItem, Statement},
};
use strongroom_ledger::{
    CosignerKey, KeyName, LogKey, OutsideRule, Policy, SignedCheckpoint, TlogProof, TreeHead, tree,
};
use strongroom_types::{
    ClusterId, EraseList, EraseTarget, ItemDigest, NodeId, Reason, RecordSeq, Sha256Digest, UnixMillis,
    rows::MemoryRows,
};
use zeroize::Zeroizing;

use super::MARKER;
use crate::{CheckpointProof, PermitProof};

const AT: UnixMillis = UnixMillis(1_767_225_600_000);

/// A ledger and the keys of its three voters.
pub(crate) struct Ledger {
    log: LogKey,
    voters: Vec<CosignerKey>,
    pub(crate) cluster: ClusterId,
    rows: MemoryRows,
}

/// The policy of [`Ledger::new`].
pub(crate) fn policy() -> Policy {
    Ledger::new().policy()
}

impl Ledger {
    /// That of the cluster that the disks of these tests are of.
    pub(crate) fn new() -> Self {
        Self::with_seeds(MARKER.cluster, 1)
    }

    pub(crate) fn with_seeds(cluster: ClusterId, seed: u8) -> Self {
        let origin = KeyName::of_cluster("strongroom.example", cluster).expect("a name");
        let voter = |n: u8| {
            let name = origin.of_voter(NodeId(n.into())).expect("a name");
            CosignerKey::from_seed(name, Zeroizing::new([seed + n; 32])).expect("a key")
        };
        let voters = (1..=3).map(voter).collect();
        let log = LogKey::from_seed(origin, Zeroizing::new([seed; 32])).expect("a key");
        let mut ledger = Self { log, voters, cluster, rows: MemoryRows::default() };
        for n in 0..5 {
            ledger.append(vec![n]);
        }
        ledger
    }

    pub(crate) fn policy(&self) -> Policy {
        let voters = self.voters.iter().map(|voter| voter.verifier().clone()).collect();
        Policy::new(self.log.verifier().clone(), voters, Vec::new(), OutsideRule::Optional).expect("a policy")
    }

    pub(crate) fn append(&mut self, record: Vec<u8>) -> RecordSeq {
        tree::append_record(&mut self.rows, AT, &[3; 32], record).expect("appends").seq
    }

    /// The record of an executed disposal of a list.
    pub(crate) fn executed(&self, list: &EraseList) -> Record {
        Record {
            wall: AT,
            stamp: Stamp { principal: Some("custodian".parse().expect("a name")), key: None, node: None },
            act: Act::DisposalExecute,
            refused: None,
            rule: "C4".to_owned(),
            items: Vec::new(),
            facts: BTreeMap::from([
                (Fact::Cluster, self.cluster.as_bytes().as_slice().into()),
                (Fact::EraseRoot, list.root().as_bytes().as_slice().into()),
                (Fact::EraseCount, list.count().into()),
            ]),
        }
    }

    /// The record of an executed removal of these items, for which the receiver signed.
    pub(crate) fn removed(&self, list: &EraseList) -> Record {
        let stated = |target: &EraseTarget| match target {
            EraseTarget::Item(item) => {
                let (sha256, blake3) = (Sha256Digest::new([5; 32]), ItemDigest::new([6; 32]));
                StatedItem { item: *item, size_bytes: 9, sha256, blake3 }
            }
            EraseTarget::Upload(..) => panic!("a removal is of items"),
        };
        let statement = Statement {
            cluster: self.cluster,
            removal: "RMV-1".parse().expect("a removal"),
            carrier: "JM-1".to_owned(),
            organ: "保密局".to_owned(),
            receiver: "李四".to_owned(),
            items: list.targets().iter().map(stated).collect(),
        };
        let receiver = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
        let text = statement.to_bytes();
        let mut facts = self.executed(list).facts;
        let root = facts.remove(&Fact::EraseRoot).expect("a root");
        facts.insert(Fact::RemovalRoot, root);
        facts.insert(Fact::ReceiverKey, receiver.public_key().as_ref().into());
        facts.insert(Fact::Signature, receiver.sign(&text).as_ref().into());
        facts.insert(Fact::Statement, text.as_slice().into());
        Record { act: Act::SecretExecute, rule: "B10".to_owned(), facts, ..self.executed(list) }
    }

    pub(crate) fn refused(&self, list: &EraseList) -> Record {
        Record { refused: Some(Reason::HoldActive), ..self.executed(list) }
    }

    pub(crate) fn head(&self) -> TreeHead {
        tree::head(&self.rows).expect("reads")
    }

    /// Signed by the log and cosigned by the first `count` voters.
    pub(crate) fn checkpoint(&self, count: usize) -> SignedCheckpoint {
        let signed = self.log.sign(self.head()).expect("signs");
        self.voters.iter().take(count).fold(signed, |signed, voter| {
            let cosignature = voter.cosign(signed.checkpoint(), AT).expect("cosigns");
            signed.with_cosignature(cosignature).expect("joins")
        })
    }

    /// The newest checkpoint, cosigned by the first `count` voters, for a disk that has verified `newest`.
    pub(crate) fn shown(&self, newest: TreeHead, count: usize) -> CheckpointProof {
        let consistency = tree::consistency_proof(&self.rows, newest.size, self.head().size).expect("proves");
        CheckpointProof { note: self.checkpoint(count).to_bytes(), consistency }
    }

    /// What proves record `seq` under the newest checkpoint to a disk that has verified `newest`.
    pub(crate) fn permit(&self, seq: RecordSeq, list: &EraseList, newest: TreeHead) -> PermitProof {
        self.permit_of(seq, list, newest, 2)
    }

    pub(crate) fn permit_of(&self, seq: RecordSeq, list: &EraseList, newest: TreeHead, count: usize) -> PermitProof {
        let stored = tree::record(&self.rows, seq).expect("reads").expect("is there");
        let leaf = tree::leaf(&self.rows, seq).expect("reads").expect("is there");
        let size = self.head().size;
        let inclusion = tree::inclusion_proof(&self.rows, seq, size).expect("proves");
        PermitProof {
            kind: permitted(&stored.record).map_or(PermitKind::Disposal, |permitted| permitted.kind),
            list: list.clone(),
            record: stored.record,
            salt: stored.salt,
            leaf,
            proof: TlogProof { extra: None, inclusion, checkpoint: self.checkpoint(count) },
            consistency: tree::consistency_proof(&self.rows, newest.size, size).expect("proves"),
        }
    }
}

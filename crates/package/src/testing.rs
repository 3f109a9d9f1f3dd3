//! Small clusters that seal an item, with records of a form of their own: the real one is `custody`'s.

use strongroom_ledger::{
    CosignerKey, KeyName, LogKey, OutsideRule, Policy, PolicyFingerprint, SignedCheckpoint, TlogProof, tree,
};
use strongroom_types::{
    ClusterId, DeviceId, ItemDigest, ItemId, NodeId, RecordSeq, Sha256Digest, UnitId, UnixMillis, rows::MemoryRows,
};
use zeroize::Zeroizing;

use crate::{Evidence, FactsError, FileDigests, RecordFacts, SealFacts, VoterChangeFacts};

/// The original of the samples.
pub(crate) const FILE: &[u8] = b"footage of an enforcement activity";

#[derive(minicbor::Encode, minicbor::Decode)]
struct SealRecord {
    #[n(0)]
    cluster: ClusterId,
    #[n(1)]
    trial: bool,
    #[n(2)]
    item: ItemId,
    #[n(3)]
    file_name: String,
    #[n(4)]
    size_bytes: u64,
    #[n(5)]
    blake3: ItemDigest,
    #[n(6)]
    sha256: Sha256Digest,
    #[n(7)]
    sealed_at: UnixMillis,
    #[n(8)]
    device: DeviceId,
    #[n(9)]
    unit: UnitId,
    #[n(10)]
    policy: Sha256Digest,
}

#[derive(minicbor::Encode, minicbor::Decode)]
enum TestRecord {
    #[n(0)]
    Seal(#[n(0)] SealRecord),
    #[n(1)]
    VoterChange(#[n(0)] Sha256Digest),
}

/// Reads the records of these samples.
pub(crate) struct Reader;

impl RecordFacts for Reader {
    fn seal(&self, record: &[u8]) -> Result<SealFacts, FactsError> {
        match read(record)? {
            TestRecord::Seal(seal) => Ok(SealFacts {
                cluster: seal.cluster,
                trial: seal.trial,
                item: seal.item,
                file_name: seal.file_name,
                size_bytes: seal.size_bytes,
                blake3: seal.blake3,
                sha256: seal.sha256,
                sealed_at: seal.sealed_at,
                device: seal.device,
                unit: seal.unit,
                policy: PolicyFingerprint::new(*seal.policy.as_bytes()),
            }),
            TestRecord::VoterChange(_) => Err(FactsError("a voter change is no seal".to_owned())),
        }
    }

    fn voter_change(&self, record: &[u8]) -> Result<VoterChangeFacts, FactsError> {
        match read(record)? {
            TestRecord::VoterChange(next) => {
                Ok(VoterChangeFacts { next_policy: PolicyFingerprint::new(*next.as_bytes()) })
            }
            TestRecord::Seal(_) => Err(FactsError("a seal is no voter change".to_owned())),
        }
    }
}

fn read(record: &[u8]) -> Result<TestRecord, FactsError> {
    minicbor::decode(record).map_err(|error| FactsError(error.to_string()))
}

/// One log with its rows, under the voter set of a seed.
pub(crate) struct Cluster {
    pub(crate) id: ClusterId,
    log: LogKey,
    voters: Vec<CosignerKey>,
    rows: MemoryRows,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let id = ClusterId::new([0xc1; 16]);
        let origin = KeyName::of_cluster("strongroom.example", id).expect("a name");
        Self::of_origin(origin, id)
    }

    pub(crate) fn of_origin(origin: KeyName, id: ClusterId) -> Self {
        let log = LogKey::from_seed(origin, Zeroizing::new([1; 32])).expect("a key");
        let mut cluster = Self { id, log, voters: Vec::new(), rows: MemoryRows::default() };
        cluster.change_voters(10);
        cluster
    }

    /// Three voters with keys of seeds from `first_seed` on.
    pub(crate) fn change_voters(&mut self, first_seed: u8) {
        let voter = |n: u8| {
            let name = self.log.verifier().name().of_voter(NodeId(n.into())).expect("a name");
            CosignerKey::from_seed(name, Zeroizing::new([first_seed + n; 32])).expect("a key")
        };
        self.voters = (1..=3).map(voter).collect();
    }

    pub(crate) fn policy(&self) -> Policy {
        let voters = self.voters.iter().map(|voter| voter.verifier().clone()).collect();
        Policy::new(self.log.verifier().clone(), voters, Vec::new(), OutsideRule::Optional).expect("a policy")
    }

    /// What the record of a seal of [`FILE`] says.
    pub(crate) fn facts(&self) -> SealFacts {
        let FileDigests { size_bytes, blake3, sha256 } = FileDigests::of(&mut { FILE }).expect("reads");
        SealFacts {
            cluster: self.id,
            trial: false,
            item: ItemId::new([0x17; 16]),
            file_name: "执法 \"001\".mp4".to_owned(),
            size_bytes,
            blake3,
            sha256,
            sealed_at: UnixMillis(1_767_225_600_123),
            device: "BWC-0042".parse().expect("a name"),
            unit: "城管执法大队 一中队".parse().expect("a name"),
            policy: self.policy().fingerprint(),
        }
    }

    /// Appends the record of a seal.
    pub(crate) fn seal(&mut self, facts: &SealFacts) -> RecordSeq {
        self.append(&TestRecord::Seal(SealRecord {
            cluster: facts.cluster,
            trial: facts.trial,
            item: facts.item,
            file_name: facts.file_name.clone(),
            size_bytes: facts.size_bytes,
            blake3: facts.blake3,
            sha256: facts.sha256,
            sealed_at: facts.sealed_at,
            device: facts.device.clone(),
            unit: facts.unit.clone(),
            policy: Sha256Digest::new(*facts.policy.as_bytes()),
        }))
    }

    /// Appends the record of a change to `next`.
    pub(crate) fn record_voter_change(&mut self, next: &Policy) -> RecordSeq {
        self.append(&TestRecord::VoterChange(Sha256Digest::new(*next.fingerprint().as_bytes())))
    }

    /// Everything that proves record `seq` now, under the voters of now.
    pub(crate) fn evidence(&self, seq: RecordSeq) -> Evidence {
        let stored = tree::record(&self.rows, seq).expect("reads").expect("is there");
        let leaf = tree::leaf(&self.rows, seq).expect("reads").expect("is there");
        let size = tree::size(&self.rows).expect("reads");
        let inclusion = tree::inclusion_proof(&self.rows, seq, size).expect("proves");
        let proof = TlogProof { extra: None, inclusion, checkpoint: self.checkpoint() };
        Evidence { record: stored.record, salt: stored.salt, leaf, proof, policy: self.policy() }
    }

    fn checkpoint(&self) -> SignedCheckpoint {
        let signed = self.log.sign(tree::head(&self.rows).expect("reads")).expect("signs");
        self.voters.iter().take(2).fold(signed, |signed, voter| {
            let line = voter.cosign(signed.checkpoint(), UnixMillis(1_767_225_601_000)).expect("cosigns");
            signed.with_cosignature(line).expect("joins")
        })
    }

    fn append(&mut self, record: &TestRecord) -> RecordSeq {
        let bytes = minicbor::to_vec(record).expect("encodes");
        tree::append_record(&mut self.rows, UnixMillis(1_767_225_600_000), &[5; 32], bytes).expect("appends").seq
    }
}

/// A cluster that has sealed [`FILE`] among two other records, and the evidence.
pub(crate) fn sealed() -> (Cluster, Evidence) {
    let mut cluster = Cluster::new();
    let facts = cluster.facts();
    cluster.seal(&SealFacts { item: ItemId::new([1; 16]), ..facts.clone() });
    let seq = cluster.seal(&facts);
    cluster.seal(&SealFacts { item: ItemId::new([2; 16]), ..facts });
    let evidence = cluster.evidence(seq);
    (cluster, evidence)
}

/// A receipt issued after the voters changed twice, with the policies in order.
pub(crate) fn sealed_before_two_changes() -> (Evidence, Vec<Evidence>, [Policy; 3]) {
    let (mut cluster, _) = sealed();
    let first = cluster.policy();
    let (first_change, second) = change(&mut cluster, 20);
    let (second_change, third) = change(&mut cluster, 30);
    (cluster.evidence(RecordSeq(1)), vec![first_change, second_change], [first, second, third])
}

/// Records a change of the voters under the old ones, then changes them.
pub(crate) fn change(cluster: &mut Cluster, first_seed: u8) -> (Evidence, Policy) {
    let mut after = Cluster::of_origin(cluster.policy().origin().clone(), cluster.id);
    after.change_voters(first_seed);
    let next = after.policy();
    let seq = cluster.record_voter_change(&next);
    let evidence = cluster.evidence(seq);
    cluster.change_voters(first_seed);
    (evidence, next)
}

/// Hands `check` the bytes with each single bit flipped in turn, and fails where it does not answer true.
pub(crate) fn each_flip(bytes: &[u8], check: impl Fn(&[u8]) -> bool) {
    (0..8).for_each(|bit| flip_in_each_byte(bytes, |_| bit, &check));
}

/// The same with one bit of each byte, another in the next.
pub(crate) fn one_flip_a_byte(bytes: &[u8], check: impl Fn(&[u8]) -> bool) {
    flip_in_each_byte(bytes, |at| at % 8, &check);
}

fn flip_in_each_byte(bytes: &[u8], bit_of: impl Fn(usize) -> usize, check: &impl Fn(&[u8]) -> bool) {
    let mut damaged = bytes.to_vec();
    for at in 0..bytes.len() {
        let bit = bit_of(at);
        damaged[at] ^= 1 << bit;
        assert!(check(&damaged), "bit {bit} of byte {at} ({:?}) could be flipped", char::from(bytes[at]));
        damaged[at] ^= 1 << bit;
    }
}

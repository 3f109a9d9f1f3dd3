//! Receipts 入库回执: the record of a seal, its place in the tree, and a checkpoint that the voters cosigned.

use strongroom_custody::{self as custody, Fact, Record, Value};
use strongroom_ledger::{Policy, PolicyFingerprint, SignedCheckpoint, TlogProof, tree};
use strongroom_package::{Evidence, FactsError, Receipt, RecordFacts, SealFacts, VoterChangeFacts};
use strongroom_types::{ClusterId, ItemDigest, ItemId, Reason, RecordSeq, Refusal, Sha256Digest};

use crate::{
    catalog::{Snapshot, broken, refusal_of},
    machine::CHECKPOINT,
    policies,
    system::Engine,
};

/// How long a caller of seal waits for the checkpoint before it is told to come back.
const RECEIPT_WAIT_MS: u64 = 10_000;

/// Reads custody's records for receipts and their verifier.
#[derive(Clone, Copy, Debug, Default)]
pub struct CustodyRecords;

impl RecordFacts for CustodyRecords {
    fn seal(&self, record: &[u8]) -> Result<SealFacts, FactsError> {
        let record = done(record, custody::Act::ItemSeal)?;
        let [item] = record.items.as_slice() else { return Err(missing("one item")) };
        let digest = |fact| record.bytes(fact).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        Ok(SealFacts {
            cluster: record
                .bytes(Fact::Cluster)
                .and_then(|id| ClusterId::try_from(id).ok())
                .ok_or_else(|| missing("a cluster"))?,
            trial: record.facts.get(&Fact::Trial) == Some(&Value::Flag(true)),
            item: *item,
            file_name: record.text(Fact::FileName).ok_or_else(|| missing("a file name"))?.to_owned(),
            size_bytes: record.number(Fact::SizeBytes).ok_or_else(|| missing("a size"))?,
            blake3: digest(Fact::Blake3).map(ItemDigest::new).ok_or_else(|| missing("a BLAKE3"))?,
            sha256: digest(Fact::Sha256).map(Sha256Digest::new).ok_or_else(|| missing("a SHA-256"))?,
            sealed_at: record.time(Fact::SealedAt).ok_or_else(|| missing("a time of sealing"))?,
            device: record.text(Fact::Device).and_then(|id| id.parse().ok()).ok_or_else(|| missing("a device"))?,
            unit: record.text(Fact::Unit).and_then(|id| id.parse().ok()).ok_or_else(|| missing("a unit"))?,
            policy: digest(Fact::Policy).map(PolicyFingerprint::new).ok_or_else(|| missing("a policy"))?,
        })
    }

    fn voter_change(&self, record: &[u8]) -> Result<VoterChangeFacts, FactsError> {
        let next_policy = custody::voters::next_policy(record).map_err(FactsError)?;
        Ok(VoterChangeFacts { next_policy: PolicyFingerprint::new(next_policy) })
    }
}

impl Engine {
    /// The receipt of a sealed item. Waits a little for its checkpoint.
    ///
    /// # Errors
    /// `RECEIPT_PENDING` where the voters have not cosigned a checkpoint that covers the seal yet.
    pub async fn receipt(&self, item: ItemId, seq: RecordSeq) -> Result<Vec<u8>, Refusal> {
        if !self.catalog.checkpoint_covers(seq.0 + 1, RECEIPT_WAIT_MS).await {
            return Err(pending(item));
        }
        self.receipt_now(&self.catalog.read_here()?, item)
    }

    /// The receipt from these rows, without waiting.
    ///
    /// # Errors
    /// `RECEIPT_PENDING`, or a fault of ours.
    pub fn receipt_now(&self, rows: &Snapshot, item: ItemId) -> Result<Vec<u8>, Refusal> {
        let rows = &**rows;
        let seq = custody::item::sealed(rows, item).map_err(refusal_of)?.seq;
        let Some(checkpoint) =
            CHECKPOINT.read(rows, &()).map_err(|error| broken(&error))?.filter(|row| row.size > seq.0)
        else {
            return Err(pending(item));
        };
        let evidence = evidence(rows, seq, checkpoint.size, &checkpoint.note)?;
        let changes = policies::chain(rows, checkpoint.size)?;
        let receipt = Receipt::issue(evidence, changes, &CustodyRecords).map_err(|error| broken(&error))?;
        Ok(receipt.to_bytes())
    }
}

/// A record with everything that proves it under the checkpoint of `size` records.
///
/// # Errors
/// A fault of ours, or `NOT_FOUND` where the record was erased.
pub fn evidence(
    rows: &dyn strongroom_types::rows::Rows,
    seq: RecordSeq,
    size: u64,
    note: &[u8],
) -> Result<Evidence, Refusal> {
    let (_, policy) = policies::of_checkpoint(rows, size).map_err(|error| broken(&error))?;
    evidence_under(rows, seq, size, note, policy.ok_or_else(|| Refusal::not_found("cluster"))?)
}

/// As [`evidence`], where the policy that the checkpoint satisfies is known.
///
/// # Errors
/// As there.
pub(crate) fn evidence_under(
    rows: &dyn strongroom_types::rows::Rows,
    seq: RecordSeq,
    size: u64,
    note: &[u8],
    policy: Policy,
) -> Result<Evidence, Refusal> {
    let stored = tree::record(rows, seq)
        .map_err(|error| broken(&error))?
        .ok_or_else(|| Refusal::not_found(format!("record {seq}")))?;
    let leaf = tree::leaf(rows, seq)
        .map_err(|error| broken(&error))?
        .ok_or_else(|| Refusal::not_found(format!("leaf {seq}")))?;
    let inclusion = tree::inclusion_proof(rows, seq, size).map_err(|error| broken(&error))?;
    let signed = SignedCheckpoint::parse_canonical(note).map_err(|error| broken(&error))?;
    Ok(Evidence {
        record: stored.record,
        salt: stored.salt,
        proof: TlogProof::with_leaf(&leaf, inclusion, signed),
        leaf,
        policy,
    })
}

fn done(bytes: &[u8], act: custody::Act) -> Result<Record, FactsError> {
    let record = Record::from_bytes(bytes).map_err(|error| FactsError(error.to_string()))?;
    if record.act == act && record.refused.is_none() {
        Ok(record)
    } else {
        Err(FactsError(format!("the record is not of a done {}", act.name())))
    }
}

fn missing(what: &str) -> FactsError {
    FactsError(format!("the record does not name {what}"))
}

fn pending(item: ItemId) -> Refusal {
    Refusal::new(
        Reason::ReceiptPending,
        "C3",
        format!("item {item} is sealed; its checkpoint is not yet cosigned by a majority of the voters"),
        "ask again in a moment: the seal stands",
    )
}

//! Permits and certificates 销毁许可 / 销毁证明, from the rows of one replica.
//!
//! A permit is built here and believed nowhere: each disk verifies it against the voters that it has pinned and the
//! newest checkpoint that it has verified (`shardstore::ErasePermit`).

use strongroom_custody::{
    Act, Fact, Record,
    disposal::{self as batches, BatchState, ItemFate},
    erasure::{self, AttestKeys, EraseOrderRow, Keeper, NoteErasure, PartState},
};
use strongroom_ledger::{TreeHead, tree};
use strongroom_package::{
    Certificate, DisposalRecords, FactsError,
    certificate::{CertifiedItem, DisposalFacts, DisposalStep, SignedStatement},
};
use strongroom_shardstore::{CheckpointProof, PermitProof};
use strongroom_types::{
    BatchId, ClusterId, DiskId, ItemId, NodeId, Reason, RecordSeq, Refusal, TreeHash, limits, rows::Rows,
};

use crate::{
    catalog::{broken, refusal_of},
    machine::CHECKPOINT,
    receipt::{CustodyRecords, evidence},
};

/// What proves an order to a disk that has verified `newest`; none while no checkpoint that the voters cosigned covers
/// it, or this replica's newest one is older than the disk's.
///
/// # Errors
/// A fault of ours, or `NOT_FOUND` where the record is not there.
pub fn permit_proof(
    rows: &dyn Rows,
    seq: RecordSeq,
    order: &EraseOrderRow,
    newest: TreeHead,
) -> Result<Option<PermitProof>, Refusal> {
    let checkpoint = CHECKPOINT.read(rows, &()).map_err(|error| broken(&error))?;
    let Some(checkpoint) = checkpoint.filter(|row| row.size > seq.0 && row.size >= newest.size) else {
        return Ok(None);
    };
    let evidence = evidence(rows, seq, checkpoint.size, &checkpoint.note)?;
    let consistency = tree::consistency_proof(rows, newest.size, checkpoint.size).map_err(|error| broken(&error))?;
    Ok(Some(PermitProof {
        kind: order.kind(),
        list: order.list.clone(),
        record: evidence.record,
        salt: evidence.salt,
        leaf: evidence.leaf,
        proof: evidence.proof,
        consistency,
    }))
}

/// What shows a disk that has verified `newest` the newest checkpoint of this replica; none where it has none that is newer.
///
/// # Errors
/// A fault of ours.
pub fn checkpoint_proof(rows: &dyn Rows, newest: TreeHead) -> Result<Option<CheckpointProof>, Refusal> {
    let checkpoint = CHECKPOINT.read(rows, &()).map_err(|error| broken(&error))?;
    let Some(checkpoint) = checkpoint.filter(|row| row.size > newest.size) else { return Ok(None) };
    let consistency = tree::consistency_proof(rows, newest.size, checkpoint.size).map_err(|error| broken(&error))?;
    Ok(Some(CheckpointProof { note: checkpoint.note.to_vec(), consistency }))
}

/// The certificate of a closed batch. It is verified before it is given out.
///
/// # Errors
/// `DISPOSAL_INCOMPLETE` where the batch is not closed, `RECEIPT_PENDING` where its last record is not cosigned yet, or a
/// fault of ours.
pub fn certificate(rows: &dyn Rows, id: BatchId) -> Result<Vec<u8>, Refusal> {
    let row = batches::read(rows, id).map_err(refusal_of)?;
    let (BatchState::Closed, Some(execution)) = (&row.state, &row.execution) else {
        return Err(Refusal::new(
            Reason::DisposalIncomplete,
            "C4",
            format!("batch {id} is {}: its certificate comes when it is closed", row.state.name()),
            "both supervisors sign when every disk has erased: `strongroom disposal sign`",
        ));
    };
    let mut seqs = vec![row.seq, execution.step.seq];
    seqs.extend(row.approvals.iter().chain(&execution.signatures).map(|step| step.seq));
    seqs.extend(parts(rows, id)?);
    seqs.sort_unstable();
    seqs.dedup();
    let last = seqs.last().map_or(0, |seq| seq.0);
    let checkpoint = CHECKPOINT.read(rows, &()).map_err(|error| broken(&error))?;
    let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.size > last) else {
        return Err(Refusal::new(
            Reason::ReceiptPending,
            "C3",
            format!("batch {id} is closed; its last record is not yet cosigned by a majority of the voters"),
            "ask again in a moment",
        ));
    };
    let proved = |seq| evidence(rows, seq, checkpoint.size, &checkpoint.note);
    let records = seqs.into_iter().map(proved).collect::<Result<_, _>>()?;
    let items = batches::items(rows, id).map_err(|error| broken(&error))?;
    let certified = items.into_iter().map(|(item, row)| CertifiedItem {
        item,
        disposed: row.fate == ItemFate::Disposed,
        basis: row.basis,
    });
    let issued = Certificate::issue(id, certified.collect(), records, &CustodyRecords);
    Ok(issued.map_err(|error| broken(&error))?.to_bytes())
}

/// The records of what disks and replicas did.
pub(crate) fn parts(rows: &dyn Rows, id: BatchId) -> Result<Vec<RecordSeq>, Refusal> {
    let (mut seqs, mut after) = (Vec::new(), None::<Keeper>);
    loop {
        let page = erasure::parts(rows, id, after, limits::PAGE_ROWS_MAX).map_err(|error| broken(&error))?;
        let Some((last, _)) = page.last() else { return Ok(seqs) };
        after = Some(*last);
        seqs.extend(page.iter().filter_map(|(_, part)| match part.state {
            PartState::Pending => None,
            PartState::Erased { seq, .. } | PartState::KeysGone { seq, .. } | PartState::Lost { seq } => Some(seq),
        }));
    }
}

impl DisposalRecords for CustodyRecords {
    fn disposal(&self, record: &[u8]) -> Result<DisposalFacts, FactsError> {
        let record = Record::from_bytes(record).map_err(|error| FactsError(error.to_string()))?;
        if let Some(reason) = record.refused {
            return Err(FactsError(format!("the record is of a refusal: {reason}")));
        }
        let batch = record.text(Fact::Batch).and_then(|batch| batch.parse().ok());
        let step = step(&record, batch)?;
        Ok(DisposalFacts { batch, by: record.stamp.principal, at: record.wall, step })
    }

    fn basis_list(&self, items: &[(ItemId, String)]) -> [u8; 32] {
        batches::basis_digest(items.iter().map(|(item, basis)| (*item, basis.clone())))
    }
}

pub(crate) fn step(record: &Record, batch: Option<BatchId>) -> Result<DisposalStep, FactsError> {
    let missing = |what: &str| FactsError(format!("the record does not name {what}"));
    let text = |fact: Fact| record.text(fact).map(str::to_owned).ok_or_else(|| missing(fact.name()));
    let number = |fact: Fact| record.number(fact).ok_or_else(|| missing(fact.name()));
    let bytes = |fact: Fact| record.bytes(fact).ok_or_else(|| missing(fact.name()));
    let disk = || record.bytes(Fact::Disk).and_then(|disk| DiskId::try_from(disk).ok());
    let node = || record.text(Fact::Node).and_then(|node| node.parse::<NodeId>().ok());
    let is_closed = || Ok(text(Fact::State)? == "closed");
    // Every batch but what is lost has one, and every record of it says which.
    if batch.is_none() && record.act != Act::DisposalCloseLost {
        return Err(missing("a batch"));
    }
    Ok(match record.act {
        Act::DisposalPropose => {
            let list = bytes(Fact::BasisList)?;
            DisposalStep::Proposed { basis_list: list.try_into().map_err(|_| missing("a digest of its items"))? }
        }
        Act::DisposalApprove => DisposalStep::Approved { role: text(Fact::Role)? },
        Act::DisposalExecute => DisposalStep::Executed {
            cluster: ClusterId::try_from(bytes(Fact::Cluster)?).map_err(|_| missing("a cluster"))?,
            root: TreeHash::try_from(bytes(Fact::EraseRoot)?).map_err(|_| missing("a root"))?,
            count: number(Fact::EraseCount)?,
            supervisors: text(Fact::Supervisors)?,
            disks: number(Fact::DiskCount)?,
            replicas: number(Fact::ReplicaCount)?,
        },
        Act::DisposalErase => {
            let disk = disk().ok_or_else(|| missing("a disk"))?;
            let order = RecordSeq(number(Fact::Order)?);
            DisposalStep::Erased { disk, order, signed: signed_receipt(record, disk, order)? }
        }
        Act::DisposalAttest => {
            let node = node().ok_or_else(|| missing("a node"))?;
            DisposalStep::KeysGone { node, signed: signed_word(record, batch.unwrap_or_default(), node)? }
        }
        Act::DisposalCloseLost if is_closed()? => DisposalStep::Lost { disk: disk(), replica: node() },
        Act::DisposalSign => DisposalStep::Signed { closed: is_closed()? },
        other => return Err(FactsError(format!("the record is of {}, no step of a disposal", other.name()))),
    })
}

fn signed_receipt(record: &Record, disk: DiskId, order: RecordSeq) -> Result<SignedStatement, FactsError> {
    let note = NoteErasure {
        disk,
        order,
        shards: record.number(Fact::Shards).unwrap_or_default(),
        payload_bytes: record.number(Fact::PayloadBytes).unwrap_or_default(),
        signature: Vec::new().into(),
        vkey: String::new(),
    };
    signed(record, |cluster, node| erasure::receipt_message(cluster, node, &note))
}

fn signed_word(record: &Record, batch: BatchId, node: NodeId) -> Result<SignedStatement, FactsError> {
    let word = AttestKeys {
        batch,
        purged_to: record.number(Fact::LogIndex).unwrap_or_default(),
        signature: Vec::new().into(),
        vkey: String::new(),
    };
    signed(record, |cluster, _| erasure::keys_message(cluster, node, &word))
}

/// What a node signed, with the cluster and node that the record names.
pub(crate) fn signed(
    record: &Record,
    message: impl Fn(ClusterId, NodeId) -> Vec<u8>,
) -> Result<SignedStatement, FactsError> {
    let node = record.text(Fact::Node).and_then(|node| node.parse::<NodeId>().ok());
    let cluster = record.bytes(Fact::Cluster).and_then(|id| ClusterId::try_from(id).ok());
    let (Some(node), Some(cluster), Some(signature), Some(vkey)) =
        (node, cluster, record.bytes(Fact::Signature), record.text(Fact::SignerKey))
    else {
        return Err(FactsError("the record holds no statement that a node signed".to_owned()));
    };
    Ok(SignedStatement { message: message(cluster, node), signature: signature.to_vec(), vkey: vkey.to_owned() })
}

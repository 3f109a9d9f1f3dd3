//! The ledger for auditors and outsiders: what it returns verifies offline.

use bytes::Bytes;
use prost::Message;
use strongroom_custody::{Act, access::Stop};
use strongroom_engine::{
    machine::{CHECKPOINT, CheckpointRow},
    policies,
};
use strongroom_ledger::{
    Leaf, SignedCheckpoint, TlogProof,
    tree::{self, TreeError},
};
use strongroom_proto::ledger::{
    FetchCheckpointRequest, FetchCheckpointResponse, FetchPolicyRequest, FetchPolicyResponse, LedgerRecord,
    ListRecordsRequest, ListRecordsResponse, ProveConsistencyRequest, ProveConsistencyResponse, ProveInclusionRequest,
    ProveInclusionResponse, ledger_service_server::LedgerService,
};
use strongroom_types::{
    Reason, RecordSeq, Refusal, limits,
    rows::{RowError, Rows},
};
use tonic::{Request, Response, Status};

use super::record::Shown;
use crate::edge::{Edge, Reading, page_size};

/// Bytes of records in one answer.
const PAGE_BYTES_MAX: usize = limits::MESSAGE_BYTES_MAX / 2;

pub(super) struct Ledger(pub(super) Edge);

#[tonic::async_trait]
impl LedgerService for Ledger {
    async fn fetch_checkpoint(
        &self,
        request: Request<FetchCheckpointRequest>,
    ) -> Result<Response<FetchCheckpointResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let row = self.0.look(&caller, Reading::of(Act::LedgerProve), |look| newest(&**look.rows)).await?;
        Ok(Response::new(FetchCheckpointResponse { checkpoint: Vec::from(row.note).into() }))
    }

    async fn list_records(
        &self,
        request: Request<ListRecordsRequest>,
    ) -> Result<Response<ListRecordsResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = request.into_inner();
        let page = self.0.look(&caller, Reading::of(Act::LedgerRecords), |look| list(&**look.rows, &asked)).await?;
        Ok(Response::new(page))
    }

    async fn prove_inclusion(
        &self,
        request: Request<ProveInclusionRequest>,
    ) -> Result<Response<ProveInclusionResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let seq = RecordSeq(request.get_ref().seq);
        let proof = self.0.look(&caller, Reading::of(Act::LedgerProve), |look| prove(&**look.rows, seq)).await?;
        Ok(Response::new(ProveInclusionResponse { tlog_proof: proof.into() }))
    }

    async fn prove_consistency(
        &self,
        request: Request<ProveConsistencyRequest>,
    ) -> Result<Response<ProveConsistencyResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = *request.get_ref();
        let proof = self
            .0
            .look(&caller, Reading::of(Act::LedgerProve), |look| {
                let rows = &**look.rows;
                let new_size = if asked.new_size == 0 { newest(rows)?.size } else { asked.new_size };
                tree::consistency_proof(rows, asked.old_size, new_size).map_err(stop)
            })
            .await?;
        Ok(Response::new(ProveConsistencyResponse {
            new_size: proof.new_size,
            hashes: proof.hashes.iter().map(|hash| Bytes::copy_from_slice(hash.as_bytes())).collect(),
        }))
    }

    async fn fetch_policy(
        &self,
        request: Request<FetchPolicyRequest>,
    ) -> Result<Response<FetchPolicyResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let policy = self
            .0
            .look(&caller, Reading::of(Act::LedgerProve), |look| {
                Ok(policies::current(&**look.rows)?.ok_or_else(|| Refusal::not_found("cluster"))?)
            })
            .await?;
        Ok(Response::new(FetchPolicyResponse { policy: policy.into() }))
    }
}

fn newest(rows: &dyn Rows) -> Result<CheckpointRow, Stop> {
    let none =
        || Refusal::new(Reason::ReceiptPending, "C3", "there is no cosigned checkpoint yet", "ask again in a moment");
    Ok(CHECKPOINT.read(rows, &())?.ok_or_else(none)?)
}

fn list(rows: &dyn Rows, asked: &ListRecordsRequest) -> Result<ListRecordsResponse, Stop> {
    let ledger_size = tree::size(rows)?;
    let wanted = page_size(asked.page_size) as u64;
    let end = asked.from_seq.saturating_add(wanted).min(ledger_size);
    let (mut records, mut bytes) = (Vec::new(), 0);
    for seq in asked.from_seq..end {
        let record = record(rows, RecordSeq(seq))?;
        bytes += record.encoded_len();
        records.push(record);
        if bytes > PAGE_BYTES_MAX {
            break;
        }
    }
    Ok(ListRecordsResponse { records, ledger_size })
}

fn record(rows: &dyn Rows, seq: RecordSeq) -> Result<LedgerRecord, RowError> {
    Ok(Shown::read(rows, seq)?.of_ledger(leaf(rows, seq)?.to_bytes()))
}

/// A `.tlog-proof` file under the newest checkpoint.
fn prove(rows: &dyn Rows, seq: RecordSeq) -> Result<String, Stop> {
    let checkpoint = newest(rows)?;
    if seq.0 >= tree::size(rows)? {
        return Err(Refusal::not_found(format!("record {seq}")).into());
    }
    if seq.0 >= checkpoint.size {
        return Err(Refusal::new(
            Reason::ReceiptPending,
            "C3",
            format!("record {seq} is not yet covered by a cosigned checkpoint"),
            "ask again in a moment",
        )
        .into());
    }
    // The leaf alone: a proof holds although the record itself was erased.
    let leaf = leaf(rows, seq)?;
    let inclusion = tree::inclusion_proof(rows, seq, checkpoint.size).map_err(stop)?;
    let signed = SignedCheckpoint::parse_canonical(&checkpoint.note)
        .map_err(|error| RowError::Corrupt { table: CHECKPOINT.name, detail: error.to_string() })?;
    Ok(TlogProof::with_leaf(&leaf, inclusion, signed).to_string())
}

fn leaf(rows: &dyn Rows, seq: RecordSeq) -> Result<Leaf, RowError> {
    tree::leaf(rows, seq)?
        .ok_or_else(|| RowError::Corrupt { table: "leaves", detail: format!("leaf {seq} is missing") })
}

fn stop(error: TreeError) -> Stop {
    match error {
        TreeError::Rows(error) => Stop::Rows(error),
        other => Stop::Refused(Refusal::invalid(other.to_string())),
    }
}

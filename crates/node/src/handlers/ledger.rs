//! The ledger for auditors and outsiders: what it returns verifies offline.

use bytes::Bytes;
use prost::Message;
use strongroom_custody::{Act, Fact, Record, access::Stop, digest, retained};
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
    ListDigestsRequest, ListDigestsResponse, ListRecordsRequest, ListRecordsResponse, ListRetainedRequest,
    ListRetainedResponse, ProveConsistencyRequest, ProveConsistencyResponse, ProveInclusionRequest,
    ProveInclusionResponse, RetainedRow, RetentionDigest, ledger_service_server::LedgerService,
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

    async fn list_digests(
        &self,
        request: Request<ListDigestsRequest>,
    ) -> Result<Response<ListDigestsResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = *request.get_ref();
        let digests = self.0.look(&caller, Reading::of(Act::LedgerProve), |look| digests(&**look.rows, asked)).await?;
        Ok(Response::new(ListDigestsResponse { digests }))
    }

    async fn list_retained(
        &self,
        request: Request<ListRetainedRequest>,
    ) -> Result<Response<ListRetainedResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = request.into_inner();
        let page = self.0.look(&caller, Reading::of(Act::LedgerRecords), |look| rows(&**look.rows, &asked)).await?;
        Ok(Response::new(page))
    }
}

/// Follows the digests back, each of which names the one before it.
fn digests(rows: &dyn Rows, asked: ListDigestsRequest) -> Result<Vec<RetentionDigest>, Stop> {
    let mut next = match asked.before_seq {
        0 => digest::read(rows)?.and_then(|row| row.newest).map(|newest| newest.seq),
        before => earlier(&digest_record(rows, RecordSeq(before))?),
    };
    let mut found = Vec::new();
    while let Some(seq) = next.filter(|_| found.len() < page_size(asked.page_size)) {
        let record = digest_record(rows, seq)?;
        found.push(RetentionDigest {
            seq: seq.0,
            wall_unix_ms: record.wall.0,
            clock_unix_ms: leaf(rows, seq)?.clock.0,
            digest: Bytes::copy_from_slice(record.bytes(Fact::Digest).unwrap_or_default()),
            rows: record.number(Fact::Count).unwrap_or_default(),
        });
        next = earlier(&record);
    }
    Ok(found)
}

fn digest_record(rows: &dyn Rows, seq: RecordSeq) -> Result<Record, Stop> {
    let absent = || Refusal::not_found(format!("retention digest with record {seq}"));
    let stored = tree::record(rows, seq)?.ok_or_else(absent)?;
    let record = Record::from_bytes(&stored.record)
        .map_err(|error| RowError::Corrupt { table: "records", detail: format!("{seq}: {error}") })?;
    if record.act == Act::LedgerDigest && record.refused.is_none() { Ok(record) } else { Err(absent().into()) }
}

fn earlier(record: &Record) -> Option<RecordSeq> {
    record.number(Fact::EarlierDigest).map(RecordSeq)
}

fn rows(rows: &dyn Rows, asked: &ListRetainedRequest) -> Result<ListRetainedResponse, Stop> {
    let wanted = page_size(asked.page_size);
    let found = retained::page(rows, &asked.after, wanted)?;
    let (mut is_last, mut bytes, mut page) = (found.len() < wanted, 0, Vec::new());
    for (key, value) in found {
        if bytes > PAGE_BYTES_MAX {
            is_last = false;
            break;
        }
        bytes += key.len() + value.len();
        page.push(RetainedRow { key: key.into(), value: value.into() });
    }
    Ok(ListRetainedResponse { rows: page, ledger_size: tree::size(rows)?, is_last })
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

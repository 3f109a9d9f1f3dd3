//! Disposal: what may go and who takes which step is decided in `custody::disposal`.

use bytes::Bytes;
use strongroom_custody::{
    self as custody, Act,
    access::{Stop, within_unit},
    disposal::{
        self, ApproveDisposal, BatchItemRow, BatchRow, BatchState, DisposalStepRow, ExecuteDisposal, ExecutionRow,
        ItemFate, ProposeDisposal, ProposedItem, SignDisposal, WithdrawDisposal,
    },
    erasure::{self, CloseLost, Keeper, PartRow, PartState},
    tables::{DISPOSALS, PrincipalRow},
};
use strongroom_engine::disposal::certificate;
use strongroom_proto::{
    convert,
    disposal::{
        ApproveDisposalRequest, ApproveDisposalResponse, CloseLostRequest, CloseLostResponse, Disposal, DisposalItem,
        DisposalPart, DisposalState, ExecuteDisposalRequest, ExecuteDisposalResponse, Execution,
        FetchCertificateRequest, FetchCertificateResponse, ListDisposalsRequest, ListDisposalsResponse,
        PlanDisposalRequest, PlanDisposalResponse, PlannedItem, ProposeDisposalRequest, ProposeDisposalResponse,
        ShowDisposalRequest, ShowDisposalResponse, SignDisposalRequest, SignDisposalResponse, Step, Verdict,
        WithdrawDisposalRequest, WithdrawDisposalResponse, close_lost_request,
        disposal_service_server::DisposalService,
    },
};
use strongroom_types::{BatchId, ItemId, NodeId, Refusal, limits, rows::Rows};
use tonic::{Request, Response, Status};

use crate::edge::{Caller, Edge, Look, Reading, answer, digest, idempotency, page_size, unexpected};

/// Rows that one page looks through.
const SCAN_ROWS_MAX: usize = 10 * limits::PAGE_ROWS_MAX;

pub(super) struct Disposals(pub(super) Edge);

#[tonic::async_trait]
impl DisposalService for Disposals {
    async fn plan_disposal(
        &self,
        request: Request<PlanDisposalRequest>,
    ) -> Result<Response<PlanDisposalResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let items = item_ids(&request.get_ref().item_ids).map_err(|refusal| answer(&refusal))?;
        let planned = self.0.look(&caller, Reading::of(Act::DisposalPlan), |look| plan(look, &items)).await?;
        Ok(Response::new(PlanDisposalResponse { items: planned }))
    }

    async fn propose_disposal(
        &self,
        request: Request<ProposeDisposalRequest>,
    ) -> Result<Response<ProposeDisposalResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut propose = request.into_inner();
        let idempotency =
            idempotency(&std::mem::take(&mut propose.idempotency_key), digest("ProposeDisposal", &propose))?;
        let item = |proposed: strongroom_proto::disposal::ProposedItem| {
            Ok(ProposedItem { item: convert::fixed("items", &proposed.item_id)?, basis: proposed.basis })
        };
        let items: Result<_, Refusal> = propose.items.into_iter().map(item).collect();
        let command = ProposeDisposal { items: items.map_err(|refusal| answer(&refusal))?, basis: propose.basis };
        let disposal = self.decide(&caller, custody::Command::ProposeDisposal(command), idempotency).await?;
        Ok(Response::new(ProposeDisposalResponse { disposal: Some(disposal) }))
    }

    async fn approve_disposal(
        &self,
        request: Request<ApproveDisposalRequest>,
    ) -> Result<Response<ApproveDisposalResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut approve = request.into_inner();
        let idempotency =
            idempotency(&std::mem::take(&mut approve.idempotency_key), digest("ApproveDisposal", &approve))?;
        let command = ApproveDisposal { batch: batch_id(&approve.disposal_id)? };
        let disposal = self.decide(&caller, custody::Command::ApproveDisposal(command), idempotency).await?;
        Ok(Response::new(ApproveDisposalResponse { disposal: Some(disposal) }))
    }

    async fn withdraw_disposal(
        &self,
        request: Request<WithdrawDisposalRequest>,
    ) -> Result<Response<WithdrawDisposalResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut withdraw = request.into_inner();
        let idempotency =
            idempotency(&std::mem::take(&mut withdraw.idempotency_key), digest("WithdrawDisposal", &withdraw))?;
        let command = WithdrawDisposal { batch: batch_id(&withdraw.disposal_id)?, reason: withdraw.reason };
        let disposal = self.decide(&caller, custody::Command::WithdrawDisposal(command), idempotency).await?;
        Ok(Response::new(WithdrawDisposalResponse { disposal: Some(disposal) }))
    }

    async fn execute_disposal(
        &self,
        request: Request<ExecuteDisposalRequest>,
    ) -> Result<Response<ExecuteDisposalResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut execute = request.into_inner();
        let idempotency =
            idempotency(&std::mem::take(&mut execute.idempotency_key), digest("ExecuteDisposal", &execute))?;
        let names = execute.supervisors.iter().map(|name| convert::parsed("supervisors", name));
        let command = ExecuteDisposal {
            batch: batch_id(&execute.disposal_id)?,
            supervisors: names.collect::<Result<_, _>>().map_err(|refusal| answer(&refusal))?,
            // The machine fills these in from the rows that the command meets.
            disks: Vec::new(),
            replicas: Vec::new(),
        };
        let command = custody::Command::ExecuteDisposal(Box::new(command));
        let disposal = self.decide(&caller, command, idempotency).await?;
        Ok(Response::new(ExecuteDisposalResponse { disposal: Some(disposal) }))
    }

    async fn sign_disposal(
        &self,
        request: Request<SignDisposalRequest>,
    ) -> Result<Response<SignDisposalResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut sign = request.into_inner();
        let idempotency = idempotency(&std::mem::take(&mut sign.idempotency_key), digest("SignDisposal", &sign))?;
        let command = SignDisposal { batch: batch_id(&sign.disposal_id)? };
        let disposal = self.decide(&caller, custody::Command::SignDisposal(command), idempotency).await?;
        Ok(Response::new(SignDisposalResponse { disposal: Some(disposal) }))
    }

    async fn close_lost(&self, request: Request<CloseLostRequest>) -> Result<Response<CloseLostResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut close = request.into_inner();
        let idempotency = idempotency(&std::mem::take(&mut close.idempotency_key), digest("CloseLost", &close))?;
        let keeper = match &close.lost {
            Some(close_lost_request::Lost::DiskId(disk)) => convert::fixed("disk_id", disk).map(Keeper::Disk),
            Some(close_lost_request::Lost::ReplicaNodeId(node)) => Ok(Keeper::Replica(NodeId(*node))),
            None => Err(Refusal::invalid("a disk or a replica must be named")),
        };
        let keeper = keeper.map_err(|refusal| answer(&refusal))?;
        let command = custody::Command::CloseLost(CloseLost { keeper, reason: close.reason });
        match self.0.submit(&caller, command, idempotency).await? {
            custody::Answer::Recorded(seq) => Ok(Response::new(CloseLostResponse { record_seq: seq.0 })),
            other => Err(unexpected(&other)),
        }
    }

    async fn show_disposal(
        &self,
        request: Request<ShowDisposalRequest>,
    ) -> Result<Response<ShowDisposalResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let id = batch_id(&request.get_ref().disposal_id)?;
        let shown = self.0.look(&caller, Reading::of(Act::DisposalShow), |look| show(look, id)).await?;
        Ok(Response::new(shown))
    }

    async fn fetch_certificate(
        &self,
        request: Request<FetchCertificateRequest>,
    ) -> Result<Response<FetchCertificateResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let id = batch_id(&request.get_ref().disposal_id)?;
        let looked = |look: &Look<'_>| {
            visible(&look.principal, &disposal::read(&**look.rows, id)?)?;
            Ok(certificate(&**look.rows, id)?)
        };
        let certificate = self.0.look(&caller, Reading::of(Act::DisposalShow), looked).await?;
        Ok(Response::new(FetchCertificateResponse { certificate: certificate.into() }))
    }

    async fn list_disposals(
        &self,
        request: Request<ListDisposalsRequest>,
    ) -> Result<Response<ListDisposalsResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = request.into_inner();
        let listed = self
            .0
            .look(&caller, Reading::of(Act::DisposalList), |look| list(&**look.rows, &look.principal, &asked))
            .await?;
        Ok(Response::new(listed))
    }
}

impl Disposals {
    /// Commits one step and answers with the batch as that step left it.
    async fn decide(
        &self,
        caller: &Caller,
        command: custody::Command,
        idempotency: strongroom_engine::Idempotency,
    ) -> Result<Disposal, Status> {
        match self.0.submit(caller, command, idempotency).await? {
            custody::Answer::Disposal(row) => Ok(message(&row)),
            other => Err(unexpected(&other)),
        }
    }
}

fn batch_id(text: &str) -> Result<BatchId, Status> {
    convert::parsed("disposal_id", text).map_err(|refusal| answer(&refusal))
}

fn item_ids(ids: &[Bytes]) -> Result<Vec<ItemId>, Refusal> {
    if ids.len() > limits::DISPOSAL_ITEMS_MAX {
        let max = limits::DISPOSAL_ITEMS_MAX;
        return Err(Refusal::invalid(format!("a batch names at most {max} items, not {}", ids.len())));
    }
    ids.iter().map(|id| convert::fixed("item_ids", id)).collect()
}

fn plan(look: &Look<'_>, items: &[ItemId]) -> Result<Vec<PlannedItem>, Stop> {
    let rows = &**look.rows;
    let now = disposal::now(rows)?;
    let planned = |id: &ItemId| {
        let verdict = match disposal::check_proposed(rows, &look.principal, *id, now) {
            Ok(_) => Verdict::default(),
            Err(Stop::Refused(refusal)) => verdict(&refusal),
            Err(stop @ Stop::Rows(_)) => return Err(stop),
        };
        Ok(PlannedItem { item_id: Bytes::copy_from_slice(id.as_bytes()), verdict: Some(verdict) })
    };
    items.iter().map(planned).collect()
}

fn show(look: &Look<'_>, id: BatchId) -> Result<ShowDisposalResponse, Stop> {
    let rows = &**look.rows;
    let row = disposal::read(rows, id)?;
    visible(&look.principal, &row)?;
    let items = disposal::items(rows, id)?;
    let parts = erasure::parts(rows, id, None, limits::PAGE_ROWS_MAX)?;
    Ok(ShowDisposalResponse {
        disposal: Some(message(&row)),
        items: items.iter().map(|(id, row)| item_message(*id, row)).collect(),
        parts: parts.iter().map(|(keeper, row)| part_message(*keeper, row)).collect(),
    })
}

/// A batch is seen by those whose rights reach one of its units: the head of each is notified by it.
fn visible(principal: &PrincipalRow, row: &BatchRow) -> Result<(), Refusal> {
    let mut outside = Ok(());
    for unit in &row.units {
        outside = within_unit(principal, unit);
        if outside.is_ok() {
            break;
        }
    }
    outside
}

fn list(
    rows: &dyn Rows,
    principal: &PrincipalRow,
    asked: &ListDisposalsRequest,
) -> Result<ListDisposalsResponse, Stop> {
    let wanted = page_size(asked.page_size);
    let mut after = Some(asked.page_token.to_vec()).filter(|token| !token.is_empty());
    let (mut disposals, mut looked) = (Vec::new(), 0);
    loop {
        let page = DISPOSALS.scan(rows, &(), after.as_deref(), wanted)?;
        let last_page = page.len() < wanted;
        for (key, row) in page {
            if disposals.len() == wanted || looked == SCAN_ROWS_MAX {
                return Ok(ListDisposalsResponse { disposals, next_page_token: after.unwrap_or_default().into() });
            }
            looked += 1;
            let fits = !asked.open_only || row.is_open() || row.state == BatchState::Executed;
            if fits && visible(principal, &row).is_ok() {
                disposals.push(message(&row));
            }
            after = Some(key);
        }
        if last_page {
            return Ok(ListDisposalsResponse { disposals, next_page_token: Bytes::new() });
        }
    }
}

fn message(row: &BatchRow) -> Disposal {
    let (withdrawn_by, withdrawn_reason) = match &row.state {
        BatchState::Withdrawn(by, why) => (by.to_string(), why.clone()),
        BatchState::Proposed
        | BatchState::LegalApproved
        | BatchState::Approved
        | BatchState::Executed
        | BatchState::Closed => (String::new(), String::new()),
    };
    let proposal = DisposalStepRow { by: row.proposer.clone(), at: row.proposed_at, seq: row.seq };
    Disposal {
        disposal_id: row.id.to_string(),
        state: state(&row.state).into(),
        proposal: Some(step(&proposal)),
        basis: row.basis.clone(),
        not_before_unix_ms: row.not_before.0,
        units: row.units.iter().map(ToString::to_string).collect(),
        item_count: row.items,
        approvals: row.approvals.iter().map(step).collect(),
        execution: row.execution.as_deref().map(execution),
        withdrawn_by,
        withdrawn_reason,
    }
}

const fn state(state: &BatchState) -> DisposalState {
    match state {
        BatchState::Proposed => DisposalState::Proposed,
        BatchState::LegalApproved => DisposalState::LegalApproved,
        BatchState::Approved => DisposalState::Approved,
        BatchState::Executed => DisposalState::Executed,
        BatchState::Closed => DisposalState::Closed,
        BatchState::Withdrawn(..) => DisposalState::Withdrawn,
    }
}

fn step(row: &DisposalStepRow) -> Step {
    Step { principal: row.by.to_string(), at_unix_ms: row.at.0, record_seq: row.seq.0 }
}

fn execution(row: &ExecutionRow) -> Execution {
    Execution {
        step: Some(step(&row.step)),
        supervisors: row.supervisors.iter().map(ToString::to_string).collect(),
        disposed_count: row.disposed,
        dropped_count: row.dropped,
        disks_pending: row.disks_pending,
        replicas_pending: row.replicas_pending,
        signatures: row.signatures.iter().map(step).collect(),
    }
}

fn verdict(refusal: &Refusal) -> Verdict {
    Verdict {
        reason: refusal.reason.name().to_owned(),
        rule: refusal.rule.clone(),
        message: refusal.message.clone(),
        remedy: refusal.remedy.clone(),
    }
}

fn item_message(id: ItemId, row: &BatchItemRow) -> DisposalItem {
    let (fate, dropped) = match &row.fate {
        ItemFate::Listed => ("listed", None),
        ItemFate::Disposed => ("disposed", None),
        ItemFate::Dropped(refusal) => ("dropped", Some(verdict(refusal))),
    };
    DisposalItem {
        item_id: Bytes::copy_from_slice(id.as_bytes()),
        basis: row.basis.clone(),
        unit_id: row.unit.to_string(),
        fate: fate.to_owned(),
        dropped,
    }
}

fn part_message(keeper: Keeper, row: &PartRow) -> DisposalPart {
    let disk_id = match keeper {
        Keeper::Disk(disk) => Bytes::copy_from_slice(disk.as_bytes()),
        Keeper::Replica(_) => Bytes::new(),
    };
    let (record_seq, shards, purged_to) = match row.state {
        PartState::Pending => (0, 0, 0),
        PartState::Erased { seq, shards, .. } => (seq.0, shards, 0),
        PartState::KeysGone { seq, purged_to } => (seq.0, 0, purged_to),
        PartState::Lost { seq } => (seq.0, 0, 0),
    };
    DisposalPart { disk_id, node_id: row.node.0, state: row.state.name().to_owned(), record_seq, shards, purged_to }
}

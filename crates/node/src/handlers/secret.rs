//! State secrets: what may leave for a classified carrier, and who takes which step, is decided in `custody::removal`.

use bytes::Bytes;
use strongroom_custody::{
    self as custody, Act,
    access::{Stop, role_refused, within_unit},
    device::SealDevice,
    erasure::{self, Keeper, PartRow, PartState},
    keeping::sees_restricted,
    removal::{
        self, CopyAt, CopyRow, ExecuteRemoval, Obligation, ProposeRemoval, RemovalForm, RemovalItemRow, RemovalRow,
        RemovalState, RemovalStep, StepRemoval,
    },
    tables::{ITEMS, PrincipalRow, REMOVALS},
};
use strongroom_engine::{Idempotency, removal as copies_of};
use strongroom_proto::{
    convert,
    secret::{
        self as wire, ApproveRemovalRequest, ApproveRemovalResponse, CloseRemovalRequest, CloseRemovalResponse,
        DestroyCopyRequest, DestroyCopyResponse, ExecuteRemovalRequest, ExecuteRemovalResponse,
        FetchRemovalCertificateRequest, FetchRemovalCertificateResponse, FileSignatureRequest, FileSignatureResponse,
        ListRemovalsRequest, ListRemovalsResponse, PlanRemovalRequest, PlanRemovalResponse, PlannedRemoval,
        ProposeRemovalRequest, ProposeRemovalResponse, Removal, RemovalItem, RemovalPart, RemovalVerdict,
        SealDeviceRequest, SealDeviceResponse, SecretCopy, ShowRemovalRequest, ShowRemovalResponse,
        WithdrawRemovalRequest, WithdrawRemovalResponse, secret_service_server::SecretService,
    },
};
use strongroom_types::{ItemId, Refusal, RemovalId, Role, limits};
use tonic::{Request, Response, Status};

use crate::edge::{Caller, Edge, Look, Reading, answer, bound, page_size, page_token, parsed, unexpected};

/// Rows that one page looks through.
const SCAN_ROWS_MAX: usize = 10 * limits::PAGE_ROWS_MAX;
/// Roles that see a removal's form and its certificate: those of the lawful chains.
const SEE_FORM: [Role; 6] = [Role::Custodian, Role::Legal, Role::Archivist, Role::Approver, Role::Head, Role::Secrecy];

pub(super) struct Secrets(pub(super) Edge);

#[tonic::async_trait]
impl SecretService for Secrets {
    async fn seal_device(&self, request: Request<SealDeviceRequest>) -> Result<Response<SealDeviceResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("SealDevice", asked)?;
        let command = SealDevice {
            device: parsed(convert::parsed("device_id", &asked.device_id))?,
            envelope: asked.envelope,
            found_by: parsed(convert::parsed("found_by", &asked.found_by))?,
            reason: asked.reason,
            activity: parsed(convert::optional_parsed("activity_id", &asked.activity_id))?,
        };
        let record_seq = self.0.record(&caller, custody::Command::SealDevice(command), idempotency).await?;
        Ok(Response::new(SealDeviceResponse { record_seq }))
    }

    async fn plan_removal(
        &self,
        request: Request<PlanRemovalRequest>,
    ) -> Result<Response<PlanRemovalResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let items = item_ids(&request.get_ref().item_ids).map_err(|refusal| answer(&refusal))?;
        let planned = self.0.look(&caller, Reading::of(Act::SecretPropose), |look| plan(look, &items)).await?;
        Ok(Response::new(PlanRemovalResponse { items: planned }))
    }

    async fn propose_removal(
        &self,
        request: Request<ProposeRemovalRequest>,
    ) -> Result<Response<ProposeRemovalResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("ProposeRemoval", asked)?;
        let form = asked.form.unwrap_or_default();
        let key: Result<[u8; 32], _> = form.receiver_key[..].try_into();
        let told = |copy: wire::ToldCopy| CopyAt { place: copy.place, keeper: copy.keeper, seq: None };
        let command = ProposeRemoval {
            items: item_ids(&asked.item_ids).map_err(|refusal| answer(&refusal))?,
            form: RemovalForm {
                organ: form.organ,
                receiver: form.receiver,
                receiver_key: key.map_err(|_| answer(&Refusal::invalid("form.receiver_key: takes 32 bytes")))?,
                carrier: form.carrier,
                basis: form.basis,
            },
            executor: parsed(convert::parsed("executor", &asked.executor))?,
            copies: asked.copies.into_iter().map(told).collect(),
        };
        let command = custody::Command::ProposeRemoval(Box::new(command));
        let removal = self.decide(&caller, command, idempotency).await?;
        Ok(Response::new(ProposeRemovalResponse { removal: Some(removal) }))
    }

    async fn approve_removal(
        &self,
        request: Request<ApproveRemovalRequest>,
    ) -> Result<Response<ApproveRemovalResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("ApproveRemoval", asked)?;
        let removal = self.step(&caller, &asked.removal_id, RemovalStep::Approve, idempotency).await?;
        Ok(Response::new(ApproveRemovalResponse { removal: Some(removal) }))
    }

    async fn withdraw_removal(
        &self,
        request: Request<WithdrawRemovalRequest>,
    ) -> Result<Response<WithdrawRemovalResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("WithdrawRemoval", asked)?;
        let step = RemovalStep::Withdraw(asked.reason);
        let removal = self.step(&caller, &asked.removal_id, step, idempotency).await?;
        Ok(Response::new(WithdrawRemovalResponse { removal: Some(removal) }))
    }

    async fn file_signature(
        &self,
        request: Request<FileSignatureRequest>,
    ) -> Result<Response<FileSignatureResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("FileSignature", asked)?;
        if asked.signature.len() != 64 {
            return Err(answer(&Refusal::invalid("signature: takes 64 bytes")));
        }
        let step = RemovalStep::FileSignature(asked.signature.to_vec().into());
        let removal = self.step(&caller, &asked.removal_id, step, idempotency).await?;
        Ok(Response::new(FileSignatureResponse { removal: Some(removal) }))
    }

    async fn execute_removal(
        &self,
        request: Request<ExecuteRemovalRequest>,
    ) -> Result<Response<ExecuteRemovalResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("ExecuteRemoval", asked)?;
        let names = asked.supervisors.iter().map(|name| convert::parsed("supervisors", name));
        let command = ExecuteRemoval {
            removal: removal_id(&asked.removal_id)?,
            supervisors: names.collect::<Result<_, _>>().map_err(|refusal| answer(&refusal))?,
            // The machine fills these in from the rows that the command meets.
            disks: Vec::new(),
            replicas: Vec::new(),
            copies: Vec::new(),
        };
        let command = custody::Command::ExecuteRemoval(Box::new(command));
        let removal = self.decide(&caller, command, idempotency).await?;
        Ok(Response::new(ExecuteRemovalResponse { removal: Some(removal) }))
    }

    async fn destroy_copy(
        &self,
        request: Request<DestroyCopyRequest>,
    ) -> Result<Response<DestroyCopyResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("DestroyCopy", asked)?;
        let on = parsed(convert::instant("destroyed_unix_ms", asked.destroyed_unix_ms))?;
        let step = RemovalStep::DestroyCopy(asked.copy, on, asked.note);
        let removal = self.step(&caller, &asked.removal_id, step, idempotency).await?;
        Ok(Response::new(DestroyCopyResponse { removal: Some(removal) }))
    }

    async fn close_removal(
        &self,
        request: Request<CloseRemovalRequest>,
    ) -> Result<Response<CloseRemovalResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("CloseRemoval", asked)?;
        let removal = self.step(&caller, &asked.removal_id, RemovalStep::Close, idempotency).await?;
        Ok(Response::new(CloseRemovalResponse { removal: Some(removal) }))
    }

    async fn show_removal(
        &self,
        request: Request<ShowRemovalRequest>,
    ) -> Result<Response<ShowRemovalResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let id = removal_id(&request.get_ref().removal_id)?;
        let shown = self.0.look(&caller, Reading::of(Act::DisposalShow), |look| show(look, id)).await?;
        Ok(Response::new(shown))
    }

    async fn fetch_removal_certificate(
        &self,
        request: Request<FetchRemovalCertificateRequest>,
    ) -> Result<Response<FetchRemovalCertificateResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let id = removal_id(&request.get_ref().removal_id)?;
        let looked = |look: &Look<'_>| {
            visible(&look.principal, &removal::read(&**look.rows, id)?)?;
            if !sees_restricted(&look.principal) {
                return Err(role_refused(&look.principal, "see the certificate of a removal", &SEE_FORM, "B10").into());
            }
            Ok(copies_of::certificate(&**look.rows, id)?)
        };
        let certificate = self.0.look(&caller, Reading::of(Act::DisposalShow), looked).await?;
        Ok(Response::new(FetchRemovalCertificateResponse { certificate: certificate.into() }))
    }

    async fn list_removals(
        &self,
        request: Request<ListRemovalsRequest>,
    ) -> Result<Response<ListRemovalsResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = request.into_inner();
        let listed = self.0.look(&caller, Reading::of(Act::DisposalList), |look| list(look, &asked)).await?;
        Ok(Response::new(listed))
    }
}

impl Secrets {
    /// Commits a command and answers with the removal as it left it.
    async fn decide(
        &self,
        caller: &Caller,
        command: custody::Command,
        idempotency: Idempotency,
    ) -> Result<Removal, Status> {
        match self.0.submit(caller, command, idempotency).await? {
            custody::Answer::Removal(row) => Ok(message(&row, true)),
            other => Err(unexpected(&other)),
        }
    }

    async fn step(
        &self,
        caller: &Caller,
        removal: &str,
        step: RemovalStep,
        idempotency: Idempotency,
    ) -> Result<Removal, Status> {
        let command = StepRemoval { removal: removal_id(removal)?, step };
        self.decide(caller, custody::Command::StepRemoval(command), idempotency).await
    }
}

fn removal_id(text: &str) -> Result<RemovalId, Status> {
    parsed(convert::parsed("removal_id", text))
}

fn item_ids(ids: &[Bytes]) -> Result<Vec<ItemId>, Refusal> {
    if ids.len() > limits::REMOVAL_ITEMS_MAX {
        return Err(Refusal::invalid(format!("a removal names at most {} items", limits::REMOVAL_ITEMS_MAX)));
    }
    ids.iter().map(|id| convert::fixed("item_ids", id)).collect()
}

fn plan(look: &Look<'_>, items: &[ItemId]) -> Result<Vec<PlannedRemoval>, Stop> {
    let rows = &**look.rows;
    let planned = |id: &ItemId| {
        let (verdict, obligations) = match removal::check_proposed(rows, &look.principal, *id) {
            Ok(item) => (RemovalVerdict::default(), removal::obligations(rows, *id, &item)?),
            Err(Stop::Refused(refusal)) => (verdict(refusal), Vec::new()),
            Err(stop @ Stop::Rows(_)) => return Err(stop),
        };
        Ok(PlannedRemoval {
            item_id: Bytes::copy_from_slice(id.as_bytes()),
            verdict: Some(verdict),
            obligations: obligations.iter().map(obligation).collect(),
        })
    };
    items.iter().map(planned).collect()
}

fn verdict(refusal: Refusal) -> RemovalVerdict {
    RemovalVerdict {
        reason: refusal.reason.name().to_owned(),
        rule: refusal.rule,
        message: refusal.message,
        remedy: refusal.remedy,
    }
}

fn show(look: &Look<'_>, id: RemovalId) -> Result<ShowRemovalResponse, Stop> {
    let rows = &**look.rows;
    let row = removal::read(rows, id)?;
    visible(&look.principal, &row)?;
    let sees = sees_restricted(&look.principal);
    let mut items = removal::items(rows, id)?;
    for (item, of) in &mut items {
        if let Some(here) = ITEMS.read(rows, item)? {
            of.obligations = removal::obligations(rows, *item, &here)?;
        }
    }
    let listed = removal::copies(rows, id)?;
    let mut copies: Vec<_> = (0..).zip(&listed).map(|(position, copy)| copy_message(position, copy)).collect();
    if row.is_open() {
        copies.extend(copies_of::copies(rows, id)?.into_iter().map(|at| found(&at)));
    }
    let cluster = custody::tables::CLUSTER.read(rows, &())?.ok_or_else(|| Refusal::not_found("cluster"))?.cluster;
    let statement = removal::statement_of(rows, cluster, &row)?.to_bytes();
    let parts = erasure::parts(rows, removal::number(id), None, limits::PAGE_ROWS_MAX)?;
    Ok(ShowRemovalResponse {
        removal: Some(message(&row, sees)),
        items: items.iter().map(|(id, row)| item_message(*id, row, sees)).collect(),
        copies: if sees { copies } else { Vec::new() },
        statement: if sees { statement.into() } else { Bytes::new() },
        parts: parts.iter().map(|(keeper, row)| part_message(*keeper, row)).collect(),
    })
}

/// A removal is seen by those whose rights reach one of its units.
fn visible(principal: &PrincipalRow, row: &RemovalRow) -> Result<(), Refusal> {
    let mut outside = Ok(());
    for unit in &row.units {
        outside = within_unit(principal, unit);
        if outside.is_ok() {
            break;
        }
    }
    outside
}

fn list(look: &Look<'_>, asked: &ListRemovalsRequest) -> Result<ListRemovalsResponse, Stop> {
    let rows = &**look.rows;
    let (wanted, sees) = (page_size(asked.page_size), sees_restricted(&look.principal));
    let mut after = page_token(&asked.page_token);
    let (mut removals, mut looked) = (Vec::new(), 0);
    loop {
        let page = REMOVALS.scan(rows, &(), after.as_deref(), wanted)?;
        let last_page = page.len() < wanted;
        for (key, row) in page {
            if removals.len() == wanted || looked == SCAN_ROWS_MAX {
                return Ok(ListRemovalsResponse { removals, next_page_token: after.unwrap_or_default().into() });
            }
            looked += 1;
            let fits = !asked.open_only || row.is_open() || row.state == RemovalState::Executed;
            if fits && visible(&look.principal, &row).is_ok() {
                removals.push(message(&row, sees));
            }
            after = Some(key);
        }
        if last_page {
            return Ok(ListRemovalsResponse { removals, next_page_token: Bytes::new() });
        }
    }
}

fn message(row: &RemovalRow, sees: bool) -> Removal {
    let (withdrawn_by, withdrawn_reason) = match &row.state {
        RemovalState::Withdrawn(by, why) => (by.to_string(), why.clone()),
        RemovalState::Proposed
        | RemovalState::SecrecyApproved
        | RemovalState::Approved
        | RemovalState::Signed
        | RemovalState::Executed
        | RemovalState::Closed => (String::new(), String::new()),
    };
    let proposal =
        wire::RemovalStep { principal: row.proposer.to_string(), at_unix_ms: row.proposed_at.0, record_seq: row.seq.0 };
    let execution = row.execution.as_deref();
    let form = || wire::RemovalForm {
        organ: row.form.organ.clone(),
        receiver: row.form.receiver.clone(),
        receiver_key: Bytes::copy_from_slice(&row.form.receiver_key),
        carrier: row.form.carrier.clone(),
        basis: row.form.basis.clone(),
    };
    Removal {
        removal_id: row.id.to_string(),
        state: row.state.name().to_owned(),
        proposal: Some(proposal),
        form: sees.then(form),
        executor: row.executor.to_string(),
        units: row.units.iter().map(ToString::to_string).collect(),
        item_count: row.items,
        approvals: row.approvals.iter().map(step).collect(),
        handed_over: row.handed.as_ref().map(step),
        signed: row.signed.as_ref().map(|signed| step(&signed.step)),
        execution: execution.map(|execution| step(&execution.step)),
        supervisors: execution.map_or_else(Vec::new, |of| of.supervisors.iter().map(ToString::to_string).collect()),
        signatures: execution.map_or_else(Vec::new, |of| of.signatures.iter().map(step).collect()),
        disks_pending: execution.map_or(0, |of| of.disks_pending),
        replicas_pending: execution.map_or(0, |of| of.replicas_pending),
        copies: row.copies,
        copies_open: row.copies_open,
        missing: if sees { row.still_missing() } else { Vec::new() },
        withdrawn_by,
        withdrawn_reason: if sees { withdrawn_reason } else { String::new() },
    }
}

fn step(row: &custody::disposal::DisposalStepRow) -> wire::RemovalStep {
    wire::RemovalStep { principal: row.by.to_string(), at_unix_ms: row.at.0, record_seq: row.seq.0 }
}

fn item_message(id: ItemId, row: &RemovalItemRow, sees: bool) -> RemovalItem {
    RemovalItem {
        item_id: Bytes::copy_from_slice(id.as_bytes()),
        unit_id: row.unit.to_string(),
        size_bytes: row.original.size_bytes,
        blake3: Bytes::copy_from_slice(row.original.blake3.as_bytes()),
        sha256: Bytes::copy_from_slice(row.original.sha256.as_bytes()),
        obligations: row.obligations.iter().filter(|_| sees).map(obligation).collect(),
    }
}

fn obligation(one: &Obligation) -> wire::Obligation {
    wire::Obligation {
        by: one.by.clone(),
        rule: one.rule.clone(),
        text_zh: one.text_zh.clone(),
        text_en: one.text_en.clone(),
        until_unix_ms: one.until.map(|until| until.0),
        record_seq: one.seq.0,
    }
}

/// A copy that is not listed yet: it will be at the execution.
fn found(at: &CopyAt) -> SecretCopy {
    SecretCopy {
        place: at.place.clone(),
        keeper: at.keeper.clone(),
        told_by_record: at.seq.map(|seq| seq.0),
        ..SecretCopy::default()
    }
}

fn copy_message(position: u64, row: &CopyRow) -> SecretCopy {
    SecretCopy {
        copy: Some(position),
        destroyed_unix_ms: row.destroyed.as_ref().map(|destroyed| destroyed.on.0),
        note: row.destroyed.as_ref().map(|destroyed| destroyed.note.clone()).unwrap_or_default(),
        ticked: row.destroyed.as_ref().map(|destroyed| step(&destroyed.step)),
        ..found(&row.at)
    }
}

fn part_message(keeper: Keeper, row: &PartRow) -> RemovalPart {
    let disk_id = match keeper {
        Keeper::Disk(disk) => Bytes::copy_from_slice(disk.as_bytes()),
        Keeper::Replica(_) => Bytes::new(),
    };
    let (record_seq, shards) = match row.state {
        PartState::Pending => (0, 0),
        PartState::Erased { seq, shards, .. } => (seq.0, shards),
        PartState::KeysGone { seq, .. } | PartState::Lost { seq } => (seq.0, 0),
    };
    RemovalPart { disk_id, node_id: row.node.0, state: row.state.name().to_owned(), record_seq, shards }
}

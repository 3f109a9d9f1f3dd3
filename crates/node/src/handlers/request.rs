//! Requests and their approvals: the chain itself is decided in `custody::request`.

use bytes::Bytes;
use strongroom_custody::{
    self as custody, Act,
    access::Stop,
    approval::{ApprovalRow, AttestPaper, ConfirmOral, EnterOral, FilePaper},
    clock,
    command::{ApproveRequest, RejectRequest, RevokeRequest, SubmitRequest, WithdrawRequest},
    item,
    profile::RequestAct,
    request::{self, RequestRow, RequestState},
    tables::{PrincipalRow, REQUESTS, VIEW_LISTS},
    transfer::reaches_item,
    viewlist::{CloseList, GiveList, ViewListRow},
};
use strongroom_proto::{
    convert,
    request::{
        Act as WireAct, Approval, ApproveRequestRequest, ApproveRequestResponse, AttestPaperRequest,
        AttestPaperResponse, CloseViewListRequest, CloseViewListResponse, ConfirmOralApprovalRequest,
        ConfirmOralApprovalResponse, EnterOralApprovalRequest, EnterOralApprovalResponse, FilePaperRequest,
        FilePaperResponse, GiveViewListRequest, GiveViewListResponse, ListRequestsRequest, ListRequestsResponse,
        ListViewListsRequest, ListViewListsResponse, Paper, RejectRequestRequest, RejectRequestResponse,
        Request as WireRequest, RequestState as WireState, RevokeRequestRequest, RevokeRequestResponse,
        ShowRequestRequest, ShowRequestResponse, Step, SubmitRequestRequest, SubmitRequestResponse, ViewList,
        WithdrawRequestRequest, WithdrawRequestResponse, request_service_server::RequestService,
    },
};
use strongroom_types::{PrincipalId, RecordSeq, Refusal, RequestId, Role, UnixMillis, limits, rows::Rows};
use tonic::{Request, Response, Status};

use super::change::{change, commit};
use crate::edge::{
    Caller, Edge, Reading, answer, bound, digest, idempotency, page_size, page_token, parsed, unexpected,
};

/// Rows that one page looks through.
const SCAN_ROWS_MAX: usize = 10 * limits::PAGE_ROWS_MAX;
/// Items named in one page: a request may name a thousand, and a page must fit a message.
const PAGE_ITEMS_MAX: usize = 50_000;

pub(super) struct Requests(pub(super) Edge);

change!(GiveViewListRequest, "GiveViewList", asked => custody::Command::GiveList(GiveList {
    viewer: convert::parsed("viewer", &asked.viewer)?,
    items: asked.item_ids.iter().map(|id| convert::fixed("item_ids", id)).collect::<Result<_, _>>()?,
    document: asked.document,
    until: convert::instant("until_unix_ms", asked.until_unix_ms)?,
}));
change!(CloseViewListRequest, "CloseViewList", asked => custody::Command::CloseList(CloseList {
    viewer: convert::parsed("viewer", &asked.viewer)?,
    list: RecordSeq(asked.list_record_seq),
    result: asked.result,
}));

#[tonic::async_trait]
impl RequestService for Requests {
    async fn submit_request(
        &self,
        request: Request<SubmitRequestRequest>,
    ) -> Result<Response<SubmitRequestResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut submit = request.into_inner();
        let idempotency = idempotency(&std::mem::take(&mut submit.idempotency_key), digest("SubmitRequest", &submit))?;
        let ids = submit.item_ids.iter().map(|id| convert::fixed("item_ids", id));
        let command = SubmitRequest {
            act: act(submit.act()).map_err(|refusal| answer(&refusal))?,
            items: ids.collect::<Result<_, _>>().map_err(|refusal| answer(&refusal))?,
            fields: submit.fields,
        };
        let request = self.decide(&caller, custody::Command::SubmitRequest(command), idempotency).await?;
        Ok(Response::new(SubmitRequestResponse { request: Some(request) }))
    }

    async fn approve_request(
        &self,
        request: Request<ApproveRequestRequest>,
    ) -> Result<Response<ApproveRequestResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut approve = request.into_inner();
        let idempotency =
            idempotency(&std::mem::take(&mut approve.idempotency_key), digest("ApproveRequest", &approve))?;
        let command = ApproveRequest { request: request_id(&approve.request_id)? };
        let request = self.decide(&caller, custody::Command::ApproveRequest(command), idempotency).await?;
        Ok(Response::new(ApproveRequestResponse { request: Some(request) }))
    }

    async fn reject_request(
        &self,
        request: Request<RejectRequestRequest>,
    ) -> Result<Response<RejectRequestResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut reject = request.into_inner();
        let idempotency = idempotency(&std::mem::take(&mut reject.idempotency_key), digest("RejectRequest", &reject))?;
        let command = RejectRequest { request: request_id(&reject.request_id)?, reason: reject.reason };
        let request = self.decide(&caller, custody::Command::RejectRequest(command), idempotency).await?;
        Ok(Response::new(RejectRequestResponse { request: Some(request) }))
    }

    async fn withdraw_request(
        &self,
        request: Request<WithdrawRequestRequest>,
    ) -> Result<Response<WithdrawRequestResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("WithdrawRequest", asked)?;
        let command = WithdrawRequest { request: request_id(&asked.request_id)?, reason: asked.reason };
        let request = self.decide(&caller, custody::Command::WithdrawRequest(command), idempotency).await?;
        Ok(Response::new(WithdrawRequestResponse { request: Some(request) }))
    }

    async fn revoke_request(
        &self,
        request: Request<RevokeRequestRequest>,
    ) -> Result<Response<RevokeRequestResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("RevokeRequest", asked)?;
        let command = RevokeRequest { request: request_id(&asked.request_id)?, reason: asked.reason };
        let request = self.decide(&caller, custody::Command::RevokeRequest(command), idempotency).await?;
        Ok(Response::new(RevokeRequestResponse { request: Some(request) }))
    }

    async fn file_paper(&self, request: Request<FilePaperRequest>) -> Result<Response<FilePaperResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("FilePaper", asked)?;
        let command = FilePaper {
            request: request_id(&asked.request_id)?,
            form: parsed(convert::fixed("form_item_id", &asked.form_item_id))?,
            approver: parsed(convert::parsed("approver", &asked.approver))?,
        };
        let request = self.decide(&caller, custody::Command::FilePaper(command), idempotency).await?;
        Ok(Response::new(FilePaperResponse { request: Some(request) }))
    }

    async fn attest_paper(
        &self,
        request: Request<AttestPaperRequest>,
    ) -> Result<Response<AttestPaperResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("AttestPaper", asked)?;
        let paper = RecordSeq(asked.paper_record_seq);
        let command = AttestPaper { request: request_id(&asked.request_id)?, paper };
        let request = self.decide(&caller, custody::Command::AttestPaper(command), idempotency).await?;
        Ok(Response::new(AttestPaperResponse { request: Some(request) }))
    }

    async fn enter_oral_approval(
        &self,
        request: Request<EnterOralApprovalRequest>,
    ) -> Result<Response<EnterOralApprovalResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("EnterOralApproval", asked)?;
        let command = EnterOral {
            request: request_id(&asked.request_id)?,
            approver: parsed(convert::parsed("approver", &asked.approver))?,
            witness: parsed(convert::parsed("witness", &asked.witness))?,
            said_at: parsed(convert::instant("said_at_unix_ms", asked.said_at_unix_ms))?,
            reason: asked.reason,
        };
        let request = self.decide(&caller, custody::Command::EnterOral(command), idempotency).await?;
        Ok(Response::new(EnterOralApprovalResponse { request: Some(request) }))
    }

    async fn confirm_oral_approval(
        &self,
        request: Request<ConfirmOralApprovalRequest>,
    ) -> Result<Response<ConfirmOralApprovalResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("ConfirmOralApproval", asked)?;
        let command = ConfirmOral { request: request_id(&asked.request_id)? };
        let request = self.decide(&caller, custody::Command::ConfirmOral(command), idempotency).await?;
        Ok(Response::new(ConfirmOralApprovalResponse { request: Some(request) }))
    }

    async fn give_view_list(
        &self,
        request: Request<GiveViewListRequest>,
    ) -> Result<Response<GiveViewListResponse>, Status> {
        Ok(Response::new(GiveViewListResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn close_view_list(
        &self,
        request: Request<CloseViewListRequest>,
    ) -> Result<Response<CloseViewListResponse>, Status> {
        Ok(Response::new(CloseViewListResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn list_view_lists(
        &self,
        request: Request<ListViewListsRequest>,
    ) -> Result<Response<ListViewListsResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = request.into_inner();
        let viewer: Option<PrincipalId> = parsed(convert::optional_parsed("viewer", &asked.viewer))?;
        let (wanted, after) = (page_size(asked.page_size), page_token(&asked.page_token));
        let wall = self.0.system().clock.wall();
        let listed = self
            .0
            .look(&caller, Reading::of(Act::ListShow), |look| {
                let rows = &**look.rows;
                let now = clock::read(rows)?.bounded_wall(wall);
                let page = match &viewer {
                    Some(viewer) => VIEW_LISTS.scan(rows, viewer, after.as_deref(), wanted)?,
                    None => VIEW_LISTS.scan(rows, &(), after.as_deref(), wanted)?,
                };
                let next = page.last().filter(|_| page.len() == wanted);
                let next_page_token = next.map_or_else(Bytes::new, |(key, _)| key.clone().into());
                // Somebody of one unit sees the lists that they gave and were given.
                let who = &look.principal;
                let own = |row: &&ViewListRow| who.unit.is_none() || [&row.viewer, &row.given_by].contains(&&who.id);
                let lists = page.iter().map(|(_, row)| row).filter(own).map(|row| view_list(row, now)).collect();
                Ok(ListViewListsResponse { lists, next_page_token })
            })
            .await?;
        Ok(Response::new(listed))
    }

    async fn show_request(
        &self,
        request: Request<ShowRequestRequest>,
    ) -> Result<Response<ShowRequestResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let id = request_id(&request.get_ref().request_id)?;
        let wall = self.0.system().clock.wall();
        let shown = self
            .0
            .look(&caller, Reading::of(Act::RequestShow), |look| {
                let rows = &**look.rows;
                let row = request::read(rows, id)?;
                visible(rows, &look.principal, &row)?;
                message(rows, &row, wall)
            })
            .await?;
        Ok(Response::new(ShowRequestResponse { request: Some(shown) }))
    }

    async fn list_requests(
        &self,
        request: Request<ListRequestsRequest>,
    ) -> Result<Response<ListRequestsResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = request.into_inner();
        let wall = self.0.system().clock.wall();
        let listed = self
            .0
            .look(&caller, Reading::of(Act::RequestList), |look| list(&**look.rows, &look.principal, &asked, wall))
            .await?;
        Ok(Response::new(listed))
    }
}

impl Requests {
    /// Commits one step and answers with the request as that step left it.
    async fn decide(
        &self,
        caller: &Caller,
        command: custody::Command,
        idempotency: strongroom_engine::Idempotency,
    ) -> Result<WireRequest, Status> {
        let row = match self.0.submit(caller, command, idempotency).await? {
            custody::Answer::Request(row) => row,
            other => return Err(unexpected(&other)),
        };
        let rows = self.0.rows().await?;
        let shown = message(&*rows, &row, self.0.system().clock.wall());
        shown.map_err(|stop| answer(&strongroom_engine::catalog::refusal_of(stop)))
    }
}

fn list(
    rows: &dyn Rows,
    principal: &PrincipalRow,
    asked: &ListRequestsRequest,
    wall: UnixMillis,
) -> Result<ListRequestsResponse, Stop> {
    let wanted = page_size(asked.page_size);
    let mut after = Some(asked.page_token.to_vec()).filter(|token| !token.is_empty());
    let (mut requests, mut items, mut looked) = (Vec::new(), 0, 0);
    loop {
        let page = REQUESTS.scan(rows, &(), after.as_deref(), wanted)?;
        let last_page = page.len() < wanted;
        for (key, row) in page {
            if requests.len() == wanted || items > PAGE_ITEMS_MAX || looked == SCAN_ROWS_MAX {
                return Ok(ListRequestsResponse { requests, next_page_token: after.unwrap_or_default().into() });
            }
            looked += 1;
            let fits = !asked.pending_only || row.state == RequestState::Pending;
            if fits && is_visible(rows, principal, &row)? {
                items += row.items.len();
                requests.push(message(rows, &row, wall)?);
            }
            after = Some(key);
        }
        if last_page {
            return Ok(ListRequestsResponse { requests, next_page_token: Bytes::new() });
        }
    }
}

/// A request is seen by whoever made it and by those whose rights reach all its items.
fn visible(rows: &dyn Rows, principal: &PrincipalRow, row: &RequestRow) -> Result<(), Stop> {
    if principal.unit.is_none() || principal.id == row.requester {
        return Ok(());
    }
    for id in &row.items {
        if let Some(unit) = item::unit_of(rows, *id)? {
            reaches_item(rows, principal, *id, &unit)?;
        }
    }
    Ok(())
}

fn is_visible(rows: &dyn Rows, principal: &PrincipalRow, row: &RequestRow) -> Result<bool, Stop> {
    match visible(rows, principal, row) {
        Ok(()) => Ok(true),
        Err(Stop::Refused(_)) => Ok(false),
        Err(stop @ Stop::Rows(_)) => Err(stop),
    }
}

fn message(rows: &dyn Rows, row: &RequestRow, wall: UnixMillis) -> Result<WireRequest, Stop> {
    let rule = request::rule_of_row(rows, row)?;
    let now = clock::read(rows)?.bounded_wall(wall);
    let register = rule.register.as_deref().unwrap_or_default();
    let unregistered = request::unregistered(row, &rule).into_iter().map(|field| format!("{field} in {register}"));
    let (missing, valid_until, rejection) = match &row.state {
        RequestState::Pending => {
            (request::still_missing(row, &rule).into_iter().chain(unregistered).collect(), None, String::new())
        }
        RequestState::Approved(until) => (unregistered.collect(), Some(until.0), String::new()),
        RequestState::Rejected(by, why) | RequestState::Withdrawn(by, why) | RequestState::Revoked(by, why) => {
            (Vec::new(), None, format!("{by}: {why}"))
        }
        RequestState::Lapsed(_) => (Vec::new(), None, String::new()),
    };
    let approvals = row.approvals.iter().map(approval);
    let steps = row.steps.iter().map(|step| Step {
        act: step.act.name().to_owned(),
        by: step.by.as_ref().map_or_else(String::new, ToString::to_string),
        at_unix_ms: step.at.0,
        record_seq: step.seq.0,
    });
    let executors: Vec<_> = rule.executors.iter().copied().map(Role::name).collect();
    Ok(WireRequest {
        request_id: row.id.to_string(),
        act: wire_act(row.act).into(),
        item_ids: row.items.iter().map(|id| Bytes::copy_from_slice(id.as_bytes())).collect(),
        fields: row.fields.clone().into_iter().collect(),
        state: wire_state(request::state_name(row, &rule, now)).into(),
        requester: row.requester.to_string(),
        submitted_at_unix_ms: row.submitted_at.0,
        approvals: approvals.collect(),
        missing,
        valid_until_unix_ms: valid_until,
        uses: row.uses,
        uses_max: rule.uses,
        executor_role: executors.join(", "),
        rejection,
        decide_by_unix_ms: request::decide_by(row, &rule).0,
        next: request::next_steps(row, &rule, now),
        steps: steps.collect(),
        paper: row.paper.as_ref().map(|paper| Paper {
            form_item_id: Bytes::copy_from_slice(paper.form.as_bytes()),
            approver: paper.approver.to_string(),
            filed_by: paper.filed_by.to_string(),
            record_seq: paper.seq.0,
        }),
    })
}

fn approval(row: &ApprovalRow) -> Approval {
    let (paper, oral) = (row.paper.as_ref(), row.oral.as_ref());
    let entered = paper.map(|paper| &paper.filed_by).or_else(|| oral.map(|oral| &oral.entered_by));
    let witness = paper.map(|paper| &paper.attested_by).or_else(|| oral.map(|oral| &oral.witness));
    let confirmed = oral.and_then(|oral| oral.confirmed.as_ref());
    Approval {
        approver: row.approver.to_string(),
        role: row.role.to_string(),
        approved_at_unix_ms: row.at.0,
        record_seq: row.seq.0,
        mandate_record_seq: row.mandate.as_ref().map(|under| under.mandate.0),
        mandate_kind: row.mandate.as_ref().map_or_else(String::new, |under| under.kind.name().to_owned()),
        mandate_given_by: row.mandate.as_ref().map_or_else(String::new, |under| under.given_by.to_string()),
        form_item_id: paper.map_or_else(Bytes::new, |paper| Bytes::copy_from_slice(paper.form.as_bytes())),
        entered_by: entered.map_or_else(String::new, ToString::to_string),
        witness: witness.map_or_else(String::new, ToString::to_string),
        said_at_unix_ms: oral.map(|oral| oral.said_at.0),
        confirm_by_unix_ms: oral.map(|oral| oral.confirm_by.0),
        confirmed_by: confirmed.map_or_else(String::new, |step| step.by.to_string()),
    }
}

fn view_list(row: &ViewListRow, now: UnixMillis) -> ViewList {
    let closed = row.closed.as_ref();
    ViewList {
        viewer: row.viewer.to_string(),
        record_seq: row.seq.0,
        item_ids: row.items.iter().map(|id| Bytes::copy_from_slice(id.as_bytes())).collect(),
        document: row.document.clone(),
        given_by: row.given_by.to_string(),
        given_at_unix_ms: row.at.0,
        until_unix_ms: row.until.0,
        open: row.is_open(now),
        closed_by: closed.map_or_else(String::new, |closed| closed.by.to_string()),
        result: closed.map_or_else(String::new, |closed| closed.result.clone()),
    }
}

fn request_id(text: &str) -> Result<RequestId, Status> {
    convert::parsed("request_id", text).map_err(|refusal| answer(&refusal))
}

fn act(act: WireAct) -> Result<RequestAct, Refusal> {
    match act {
        WireAct::Unspecified => Err(Refusal::invalid("act: say view, copy, transfer, provide or publish")),
        WireAct::View => Ok(RequestAct::View),
        WireAct::Copy => Ok(RequestAct::Copy),
        WireAct::Transfer => Ok(RequestAct::Transfer),
        WireAct::Provide => Ok(RequestAct::Provide),
        WireAct::Publish => Ok(RequestAct::Publish),
    }
}

const fn wire_act(act: RequestAct) -> WireAct {
    match act {
        RequestAct::View => WireAct::View,
        RequestAct::Copy => WireAct::Copy,
        RequestAct::Transfer => WireAct::Transfer,
        RequestAct::Provide => WireAct::Provide,
        RequestAct::Publish => WireAct::Publish,
    }
}

/// From the one word of `custody::request::state_name`.
fn wire_state(name: &str) -> WireState {
    match name {
        "pending" => WireState::Pending,
        "approved" => WireState::Approved,
        "rejected" => WireState::Rejected,
        "expired" => WireState::Expired,
        "spent" => WireState::Spent,
        "withdrawn" => WireState::Withdrawn,
        "revoked" => WireState::Revoked,
        "lapsed" => WireState::Lapsed,
        other => unreachable!("custody has no state {other}"),
    }
}

//! Requests and their approvals: the chain itself is decided in `custody::request`.

use bytes::Bytes;
use strongroom_custody::{
    self as custody, Act,
    access::Stop,
    clock,
    command::{ApproveRequest, RejectRequest, SubmitRequest},
    item,
    profile::RequestAct,
    request::{self, RequestRow, RequestState},
    tables::{PrincipalRow, REQUESTS},
    transfer::reaches_item,
};
use strongroom_proto::{
    convert,
    request::{
        Act as WireAct, Approval, ApproveRequestRequest, ApproveRequestResponse, ListRequestsRequest,
        ListRequestsResponse, RejectRequestRequest, RejectRequestResponse, Request as WireRequest,
        RequestState as WireState, ShowRequestRequest, ShowRequestResponse, SubmitRequestRequest,
        SubmitRequestResponse, request_service_server::RequestService,
    },
};
use strongroom_types::{Refusal, RequestId, Role, UnixMillis, limits, rows::Rows};
use tonic::{Request, Response, Status};

use crate::edge::{Caller, Edge, Reading, answer, digest, idempotency, page_size, unexpected};

/// Rows that one page looks through.
const SCAN_ROWS_MAX: usize = 10 * limits::PAGE_ROWS_MAX;
/// Items named in one page: a request may name a thousand, and a page must fit a message.
const PAGE_ITEMS_MAX: usize = 50_000;

pub(super) struct Requests(pub(super) Edge);

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
        RequestState::Rejected(by, why) => (Vec::new(), None, format!("{by}: {why}")),
    };
    let approvals = row.approvals.iter().map(|approval| Approval {
        approver: approval.approver.to_string(),
        role: approval.role.to_string(),
        approved_at_unix_ms: approval.at.0,
        record_seq: approval.seq.0,
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
    })
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
        other => unreachable!("custody has no state {other}"),
    }
}

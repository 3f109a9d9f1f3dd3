//! Cases: what they keep and for how long is decided in `custody::case`.

use bytes::Bytes;
use strongroom_custody::{
    self as custody, Act,
    access::{Stop, within_unit},
    case::{
        self, ArchiveCase, ArchiveRow, BindCase, CaseRow, CaseState, CloseCase, OpenCase, Outcome, ReopenCase, Term,
    },
    clock,
    correction::RoleStepRow,
    erasure,
    tables::{CASE_ITEMS, CASE_OFFERS, CASES},
    transfer::{self, AnswerCase, OfferCase, Receipt, TransferRow, TransferState},
};
use strongroom_proto::{
    case::{
        AnswerCaseRequest, AnswerCaseResponse, Archive as WireArchive, ArchiveCaseRequest, ArchiveCaseResponse,
        BindCaseRequest, BindCaseResponse, Binding, Case, CaseState as WireState, CloseCaseRequest, CloseCaseResponse,
        ListCaseItemsRequest, ListCaseItemsResponse, ListCasesRequest, ListCasesResponse, ListTransfersRequest,
        ListTransfersResponse, OfferCaseRequest, OfferCaseResponse, OpenCaseRequest, OpenCaseResponse,
        Outcome as WireOutcome, ReopenCaseRequest, ReopenCaseResponse, ShowCaseRequest, ShowCaseResponse, Transfer,
        TransferStep, case_service_server::CaseService,
    },
    convert,
};
use strongroom_types::{CaseId, CorrectionId, ItemId, RecordSeq, Refusal, UnixMillis, limits, rows::Rows};
use tonic::{Request, Response, Status};

use super::{
    admin::all,
    change::{change, commit},
};
use crate::edge::{Edge, Look, Reading, bound, page_size, page_token, parsed};

pub(super) struct Cases(pub(super) Edge);

change!(OfferCaseRequest, "OfferCase", asked => custody::Command::OfferCase(OfferCase {
    case: convert::parsed("case_id", &asked.case_id)?,
    to: convert::parsed("to_unit_id", &asked.to_unit_id)?,
    reason: asked.reason,
    document: asked.document,
}));
change!(AnswerCaseRequest, "AnswerCase", asked => custody::Command::AnswerCase(AnswerCase {
    case: convert::parsed("case_id", &asked.case_id)?,
    offer: RecordSeq(asked.offer_record_seq),
    declined: asked.declined.then_some(asked.reason),
}));

#[tonic::async_trait]
impl CaseService for Cases {
    async fn open_case(&self, request: Request<OpenCaseRequest>) -> Result<Response<OpenCaseResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("OpenCase", asked)?;
        let unit = parsed(convert::parsed("unit_id", &asked.unit_id))?;
        let command = OpenCase { case: case_id(&asked.case_id)?, unit, title: asked.title };
        let record_seq = self.0.record(&caller, custody::Command::OpenCase(command), idempotency).await?;
        Ok(Response::new(OpenCaseResponse { record_seq }))
    }

    async fn bind_case(&self, request: Request<BindCaseRequest>) -> Result<Response<BindCaseResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("BindCase", asked)?;
        let items = asked.item_ids.iter().map(|id| convert::fixed("item_ids", id)).collect();
        let command = BindCase { case: case_id(&asked.case_id)?, items: parsed(items)? };
        let record_seq = self.0.record(&caller, custody::Command::BindCase(command), idempotency).await?;
        Ok(Response::new(BindCaseResponse { record_seq }))
    }

    async fn close_case(&self, request: Request<CloseCaseRequest>) -> Result<Response<CloseCaseResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("CloseCase", asked)?;
        let outcome = parsed(outcome(asked.outcome()))?;
        let command = CloseCase { case: case_id(&asked.case_id)?, outcome, reason: asked.reason };
        let record_seq = self.0.record(&caller, custody::Command::CloseCase(command), idempotency).await?;
        Ok(Response::new(CloseCaseResponse { record_seq }))
    }

    async fn archive_case(
        &self,
        request: Request<ArchiveCaseRequest>,
    ) -> Result<Response<ArchiveCaseResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("ArchiveCase", asked)?;
        let command = ArchiveCase {
            case: case_id(&asked.case_id)?,
            date: parsed(convert::instant("date_unix_ms", asked.date_unix_ms))?,
            term: parsed(term(asked.term_months, asked.permanent))?,
        };
        let record_seq = self.0.record(&caller, custody::Command::ArchiveCase(command), idempotency).await?;
        Ok(Response::new(ArchiveCaseResponse { record_seq }))
    }

    async fn reopen_case(&self, request: Request<ReopenCaseRequest>) -> Result<Response<ReopenCaseResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("ReopenCase", asked)?;
        let command = ReopenCase { case: case_id(&asked.case_id)?, reason: asked.reason };
        let record_seq = self.0.record(&caller, custody::Command::ReopenCase(command), idempotency).await?;
        Ok(Response::new(ReopenCaseResponse { record_seq }))
    }

    async fn show_case(&self, request: Request<ShowCaseRequest>) -> Result<Response<ShowCaseResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let id = case_id(&request.get_ref().case_id)?;
        let shown = self.0.look(&caller, Reading::of(Act::CaseShow), |look| message(look, &own(look, &id)?)).await?;
        Ok(Response::new(ShowCaseResponse { case: Some(shown) }))
    }

    async fn list_cases(&self, request: Request<ListCasesRequest>) -> Result<Response<ListCasesResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = request.into_inner();
        let listed = self.0.look(&caller, Reading::of(Act::CaseList), |look| list(look, &asked)).await?;
        Ok(Response::new(listed))
    }

    async fn list_case_items(
        &self,
        request: Request<ListCaseItemsRequest>,
    ) -> Result<Response<ListCaseItemsResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = request.into_inner();
        let id = case_id(&asked.case_id)?;
        let listed = self.0.look(&caller, Reading::of(Act::CaseShow), |look| items(look, &id, &asked)).await?;
        Ok(Response::new(listed))
    }

    async fn offer_case(&self, request: Request<OfferCaseRequest>) -> Result<Response<OfferCaseResponse>, Status> {
        Ok(Response::new(OfferCaseResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn answer_case(&self, request: Request<AnswerCaseRequest>) -> Result<Response<AnswerCaseResponse>, Status> {
        Ok(Response::new(AnswerCaseResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn list_transfers(
        &self,
        request: Request<ListTransfersRequest>,
    ) -> Result<Response<ListTransfersResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let case = parsed(convert::optional_parsed("case_id", &request.get_ref().case_id))?;
        let found = self.0.look(&caller, Reading::of(Act::CaseShow), |look| transfers(look, case.as_ref())).await?;
        Ok(Response::new(ListTransfersResponse { transfers: found.iter().map(transfer_message).collect() }))
    }
}

fn case_id(text: &str) -> Result<CaseId, Status> {
    parsed(convert::parsed("case_id", text))
}

/// The case, where the caller's unit covers it.
fn own(look: &Look<'_>, id: &CaseId) -> Result<CaseRow, Stop> {
    let row = case::read(&**look.rows, id)?;
    within_unit(&look.principal, &row.unit)?;
    Ok(row)
}

fn list(look: &Look<'_>, asked: &ListCasesRequest) -> Result<ListCasesResponse, Stop> {
    let wanted = page_size(asked.page_size);
    let page = CASES.scan(&**look.rows, &(), page_token(&asked.page_token).as_deref(), wanted)?;
    let next = page.last().filter(|_| page.len() == wanted).map_or_else(Bytes::new, |(key, _)| key.clone().into());
    let own = page.iter().map(|(_, row)| row).filter(|row| look.principal.covers(&row.unit));
    let cases = own.map(|row| message(look, row)).collect::<Result<_, _>>()?;
    Ok(ListCasesResponse { cases, next_page_token: next })
}

fn items(look: &Look<'_>, id: &CaseId, asked: &ListCaseItemsRequest) -> Result<ListCaseItemsResponse, Stop> {
    own(look, id)?;
    let wanted = page_size(asked.page_size);
    let page = CASE_ITEMS.scan(&**look.rows, id, page_token(&asked.page_token).as_deref(), wanted)?;
    let next = page.last().filter(|_| page.len() == wanted).map_or_else(Bytes::new, |(key, _)| key.clone().into());
    let mut bindings = Vec::with_capacity(page.len());
    for (key, row) in page {
        // A key ends with the item's id.
        let item = &key[key.len().saturating_sub(16)..];
        let tombstone = match ItemId::try_from(item) {
            Ok(id) => erasure::tombstone(&**look.rows, id)?,
            Err(_) => None,
        };
        bindings.push(Binding {
            item_id: Bytes::copy_from_slice(item),
            by: row.by.to_string(),
            record_seq: row.seq.0,
            correction_id: correction(row.corrected),
            gone: tombstone.map(|gone| gone.told()).unwrap_or_default(),
        });
    }
    Ok(ListCaseItemsResponse { bindings, next_page_token: next })
}

/// The transfers of a case that the caller's unit has or had to do with, or every offer that waits.
fn transfers(look: &Look<'_>, case: Option<&CaseId>) -> Result<Vec<TransferRow>, Stop> {
    let rows = &**look.rows;
    let concerned = |row: &TransferRow| look.principal.covers(&row.from) || look.principal.covers(&row.to);
    let Some(id) = case else {
        return Ok(all(&CASE_OFFERS, rows)?.into_iter().filter(concerned).collect());
    };
    let case = case::read(rows, id)?;
    let found = transfer::of_case(rows, id)?;
    if !found.iter().any(concerned) {
        within_unit(&look.principal, &case.unit)?;
    }
    Ok(found)
}

fn transfer_message(row: &TransferRow) -> Transfer {
    let step = |step: &RoleStepRow, item_count| TransferStep {
        by: step.by.to_string(),
        role: step.role.to_string(),
        at_unix_ms: step.at.0,
        record_seq: step.seq.0,
        item_count,
    };
    let (answered, declined_reason) = match &row.state {
        TransferState::Offered => (None, String::new()),
        TransferState::Taken(receipt) | TransferState::Divided(receipt) => {
            (Some(step(&receipt.taken, receipt.items)), String::new())
        }
        TransferState::Declined(declined, why) => (Some(step(declined, row.items)), why.clone()),
    };
    let profile = |receipt: &Receipt| format!("{}@{}", receipt.profile, receipt.version);
    Transfer {
        case_id: row.case.to_string(),
        from_unit_id: row.from.to_string(),
        to_unit_id: row.to.to_string(),
        reason: row.reason.clone(),
        document: row.document.clone(),
        state: row.state.name().to_owned(),
        offered: Some(step(&row.offered, row.items)),
        answered,
        declined_reason,
        profile: row.state.receipt().map_or_else(String::new, profile),
    }
}

fn message(look: &Look<'_>, row: &CaseRow) -> Result<Case, Stop> {
    let rows: &dyn Rows = &**look.rows;
    let until: Option<UnixMillis> = case::until(rows, row, clock::read(rows)?.t)?;
    let (state, outcome) = match row.state {
        CaseState::Open(_) => (WireState::Open, WireOutcome::Unspecified),
        CaseState::Closed(outcome, _) => (WireState::Closed, wire_outcome(outcome)),
        CaseState::Archived => (WireState::Archived, WireOutcome::Unspecified),
    };
    Ok(Case {
        case_id: row.id.to_string(),
        unit_id: row.unit.to_string(),
        title: row.title.clone(),
        opened_by: row.opened_by.to_string(),
        record_seq: row.seq.0,
        items: row.items,
        state: state.into(),
        outcome: outcome.into(),
        archives: row.archives.iter().map(archive).collect(),
        kept_until_unix_ms: until.map(|until| until.0),
    })
}

fn archive(row: &ArchiveRow) -> WireArchive {
    let (term_months, permanent) = wire_term(row.archive.term);
    WireArchive {
        date_unix_ms: row.archive.date.0,
        term_months,
        permanent,
        entered_unix_ms: row.entered.0,
        by: row.by.to_string(),
        record_seq: row.seq.0,
        correction_id: correction(row.corrected),
    }
}

fn correction(id: Option<CorrectionId>) -> String {
    id.map_or_else(String::new, |id| id.to_string())
}

/// A term as it is asked for: none at all is for the rules to refuse.
pub(super) fn term(months: u32, permanent: bool) -> Result<Option<Term>, Refusal> {
    match (months, permanent) {
        (0, false) => Ok(None),
        (0, true) => Ok(Some(Term::Permanent)),
        (months, false) => Ok(Some(Term::Months(months))),
        (_, true) => Err(Refusal::invalid("a term is either a number of months or permanent")),
    }
}

pub(super) const fn wire_term(term: Term) -> (u32, bool) {
    match term {
        Term::Months(months) => (months, false),
        Term::Permanent => (0, true),
    }
}

fn outcome(outcome: WireOutcome) -> Result<Outcome, Refusal> {
    match outcome {
        WireOutcome::Unspecified => {
            Err(Refusal::invalid(format!("outcome: say {}", Outcome::ALL.map(Outcome::name).join(", "))))
        }
        WireOutcome::NotFiled => Ok(Outcome::NotFiled),
        WireOutcome::Withdrawn => Ok(Outcome::Withdrawn),
        WireOutcome::NotPunished => Ok(Outcome::NotPunished),
        WireOutcome::Transferred => Ok(Outcome::Transferred),
        WireOutcome::Concluded => Ok(Outcome::Concluded),
    }
}

const fn wire_outcome(outcome: Outcome) -> WireOutcome {
    match outcome {
        Outcome::NotFiled => WireOutcome::NotFiled,
        Outcome::Withdrawn => WireOutcome::Withdrawn,
        Outcome::NotPunished => WireOutcome::NotPunished,
        Outcome::Transferred => WireOutcome::Transferred,
        Outcome::Concluded => WireOutcome::Concluded,
    }
}

const _: () = assert!(limits::BATCH_ITEMS_MAX * 18 < limits::MESSAGE_BYTES_MAX, "a batch of ids fits a message");

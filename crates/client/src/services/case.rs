//! Cases.

use strongroom_proto::case;
use strongroom_proto::case::case_service_client::CaseServiceClient;
use strongroom_types::{Assent, CaseId, ItemId, RecordSeq, UnitId, UnixMillis, limits};

use super::{Page, id, present};
use crate::call::{Client, new_key};
use crate::error::ClientError;

/// For how long a case's file is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DossierTerm {
    /// Calendar months.
    Months(u32),
    /// 永久.
    Permanent,
}

impl DossierTerm {
    pub(super) const fn wire(term: Option<Self>) -> (u32, bool) {
        match term {
            None => (0, false),
            Some(Self::Months(months)) => (months, false),
            Some(Self::Permanent) => (0, true),
        }
    }
}

changes! { CaseServiceClient,
    /// Offers a case to another unit; the record names the offer to whoever answers it.
    offer_case(case::OfferCaseRequest);
    /// Takes a case that is offered, or ends the offer.
    answer_case(case::AnswerCaseRequest);
}

/// Cases and what becomes of them.
impl Client {
    /// Opens a case.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn open_case(&self, case: &CaseId, unit: &UnitId, title: &str) -> Result<RecordSeq, ClientError> {
        let request = case::OpenCaseRequest {
            idempotency_key: new_key().to_string(),
            case_id: case.to_string(),
            unit_id: unit.to_string(),
            title: title.to_owned(),
        };
        Ok(RecordSeq(unary!(self, CaseServiceClient, open_case, request)?.record_seq))
    }

    /// Binds items to a case: 1 to [`limits::BATCH_ITEMS_MAX`] in one call.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn bind_case(&self, case: &CaseId, items: &[ItemId]) -> Result<RecordSeq, ClientError> {
        let request = case::BindCaseRequest {
            idempotency_key: new_key().to_string(),
            case_id: case.to_string(),
            item_ids: items.iter().map(|item| id(item.as_bytes())).collect(),
        };
        Ok(RecordSeq(unary!(self, CaseServiceClient, bind_case, request)?.record_seq))
    }

    /// Says how a case ended.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn close_case(
        &self,
        case: &CaseId,
        outcome: case::Outcome,
        reason: &str,
    ) -> Result<RecordSeq, ClientError> {
        let request = case::CloseCaseRequest {
            idempotency_key: new_key().to_string(),
            case_id: case.to_string(),
            outcome: outcome.into(),
            reason: reason.to_owned(),
        };
        Ok(RecordSeq(unary!(self, CaseServiceClient, close_case, request)?.record_seq))
    }

    /// Archives a case's file. Without a term the cluster refuses it, and records that it was asked.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn archive_case(
        &self,
        case: &CaseId,
        date: UnixMillis,
        term: Option<DossierTerm>,
    ) -> Result<RecordSeq, ClientError> {
        let (term_months, permanent) = DossierTerm::wire(term);
        let assent = Assent::archive_case(case, date, (!permanent).then_some(term_months));
        let request = case::ArchiveCaseRequest {
            idempotency_key: new_key().to_string(),
            case_id: case.to_string(),
            date_unix_ms: date.0,
            term_months,
            permanent,
        };
        Ok(RecordSeq(signed!(self, CaseServiceClient, archive_case, assent, request)?.record_seq))
    }

    /// Takes a closed or archived case up again.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn reopen_case(&self, case: &CaseId, reason: &str) -> Result<RecordSeq, ClientError> {
        let request = case::ReopenCaseRequest {
            idempotency_key: new_key().to_string(),
            case_id: case.to_string(),
            reason: reason.to_owned(),
        };
        Ok(RecordSeq(unary!(self, CaseServiceClient, reopen_case, request)?.record_seq))
    }

    /// One case.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn show_case(&self, case: &CaseId) -> Result<case::Case, ClientError> {
        let request = case::ShowCaseRequest { case_id: case.to_string() };
        present("case", unary!(self, CaseServiceClient, show_case, request)?.case)
    }

    /// A page of cases, by number.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_cases(&self, page: Page) -> Result<case::ListCasesResponse, ClientError> {
        let request = case::ListCasesRequest { page_size: page.size, page_token: page.token };
        unary!(self, CaseServiceClient, list_cases, request)
    }

    /// A page of a case's items.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_case_items(&self, case: &CaseId, page: Page) -> Result<case::ListCaseItemsResponse, ClientError> {
        let request =
            case::ListCaseItemsRequest { case_id: case.to_string(), page_size: page.size, page_token: page.token };
        unary!(self, CaseServiceClient, list_case_items, request)
    }

    /// What became of the offers of a case; without one, every offer that waits for an answer.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_transfers(&self, case: Option<&CaseId>) -> Result<Vec<case::Transfer>, ClientError> {
        let request = case::ListTransfersRequest { case_id: case.map_or_else(String::new, ToString::to_string) };
        Ok(unary!(self, CaseServiceClient, list_transfers, request)?.transfers)
    }
}

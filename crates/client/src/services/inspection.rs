//! Inspections.

use bytes::Bytes;
use strongroom_proto::inspection;
use strongroom_proto::inspection::inspection_service_client::InspectionServiceClient;
use strongroom_types::{DrawId, ItemId, RecordSeq, limits};

use super::{Page, present};
use crate::call::{Client, new_key};
use crate::error::ClientError;

impl Client {
    /// Counts what a draw would select from. A ratio of 0 is the profile's.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn preview_draw(
        &self,
        query: inspection::DrawQuery,
        ratio_percent: u32,
    ) -> Result<inspection::PreviewDrawResponse, ClientError> {
        let request = inspection::PreviewDrawRequest { query: Some(query), ratio_percent };
        unary!(self, InspectionServiceClient, preview_draw, request)
    }

    /// Records a draw. A ratio of 0 is the profile's.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn record_draw(
        &self,
        query: inspection::DrawQuery,
        ratio_percent: u32,
        reason: &str,
    ) -> Result<inspection::Draw, ClientError> {
        let request = inspection::RecordDrawRequest {
            idempotency_key: new_key().to_string(),
            query: Some(query),
            ratio_percent,
            reason: reason.to_owned(),
        };
        present("draw", unary!(self, InspectionServiceClient, record_draw, request)?.draw)
    }

    /// One draw with what it selected.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn show_draw(&self, draw: DrawId) -> Result<inspection::ShowDrawResponse, ClientError> {
        let request = inspection::ShowDrawRequest { draw_id: draw.to_string() };
        unary!(self, InspectionServiceClient, show_draw, request)
    }

    /// A page of draws, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_draws(&self, page: Page) -> Result<inspection::ListDrawsResponse, ClientError> {
        let request = inspection::ListDrawsRequest { page_size: page.size, page_token: page.token };
        unary!(self, InspectionServiceClient, list_draws, request)
    }

    /// The proof of a completed draw, byte for byte.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn fetch_draw_proof(&self, draw: DrawId) -> Result<Bytes, ClientError> {
        let request = inspection::FetchDrawProofRequest { draw_id: draw.to_string() };
        Ok(unary!(self, InspectionServiceClient, fetch_draw_proof, request)?.proof)
    }

    /// Records a targeted inspection.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn target_items(
        &self,
        items: &[ItemId],
        complaint: &str,
        reason: &str,
    ) -> Result<RecordSeq, ClientError> {
        let request = inspection::TargetItemsRequest {
            idempotency_key: new_key().to_string(),
            item_ids: items.iter().map(|item| Bytes::copy_from_slice(item.as_bytes())).collect(),
            complaint: complaint.to_owned(),
            reason: reason.to_owned(),
        };
        Ok(RecordSeq(unary!(self, InspectionServiceClient, target_items, request)?.record_seq))
    }

    /// A page of targeted inspections, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_targets(&self, page: Page) -> Result<inspection::ListTargetsResponse, ClientError> {
        let request = inspection::ListTargetsRequest { page_size: page.size, page_token: page.token };
        unary!(self, InspectionServiceClient, list_targets, request)
    }

    /// Enters what was found of one item of an inspection.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn record_result(&self, asked: inspection::RecordResultRequest) -> Result<RecordSeq, ClientError> {
        let request = inspection::RecordResultRequest { idempotency_key: new_key().to_string(), ..asked };
        Ok(RecordSeq(unary!(self, InspectionServiceClient, record_result, request)?.record_seq))
    }

    /// Says that what an inspection found wrong is put right.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn answer_rectification(
        &self,
        asked: inspection::AnswerRectificationRequest,
    ) -> Result<RecordSeq, ClientError> {
        let request = inspection::AnswerRectificationRequest { idempotency_key: new_key().to_string(), ..asked };
        Ok(RecordSeq(unary!(self, InspectionServiceClient, answer_rectification, request)?.record_seq))
    }

    /// The sheet of an inspection.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn show_sheet(
        &self,
        of: inspection::InspectionRef,
    ) -> Result<inspection::ShowSheetResponse, ClientError> {
        let request = inspection::ShowSheetRequest { inspection: Some(of) };
        unary!(self, InspectionServiceClient, show_sheet, request)
    }
}

//! Corrections.

use strongroom_proto::correction;
use strongroom_proto::correction::correction_service_client::CorrectionServiceClient;
use strongroom_types::{Assent, CorrectionId, limits};

use super::{Page, present};
use crate::call::{Client, new_key};
use crate::error::ClientError;

impl Client {
    /// Proposes a correction.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn propose_correction(
        &self,
        mistake: correction::mistake::Kind,
        reason: &str,
    ) -> Result<correction::Correction, ClientError> {
        let request = correction::ProposeCorrectionRequest {
            idempotency_key: new_key().to_string(),
            mistake: Some(correction::Mistake { kind: Some(mistake) }),
            reason: reason.to_owned(),
        };
        present("correction", unary!(self, CorrectionServiceClient, propose_correction, request)?.correction)
    }

    /// Approves a correction, as the other office.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn approve_correction(&self, id: CorrectionId) -> Result<correction::Correction, ClientError> {
        let assent = Assent::approve_correction(id);
        let request = correction::ApproveCorrectionRequest {
            idempotency_key: new_key().to_string(),
            correction_id: id.to_string(),
        };
        present("correction", signed!(self, CorrectionServiceClient, approve_correction, assent, request)?.correction)
    }

    /// Withdraws a correction that is not yet in force.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn withdraw_correction(
        &self,
        id: CorrectionId,
        reason: &str,
    ) -> Result<correction::Correction, ClientError> {
        let request = correction::WithdrawCorrectionRequest {
            idempotency_key: new_key().to_string(),
            correction_id: id.to_string(),
            reason: reason.to_owned(),
        };
        present("correction", unary!(self, CorrectionServiceClient, withdraw_correction, request)?.correction)
    }

    /// What a correction of outages would come to; writes nothing.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn plan_outages(
        &self,
        outages: correction::Outages,
    ) -> Result<correction::PlanOutagesResponse, ClientError> {
        let request = correction::PlanOutagesRequest { outages: Some(outages) };
        unary!(self, CorrectionServiceClient, plan_outages, request)
    }

    /// One correction.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn show_correction(&self, id: CorrectionId) -> Result<correction::Correction, ClientError> {
        let request = correction::ShowCorrectionRequest { correction_id: id.to_string() };
        present("correction", unary!(self, CorrectionServiceClient, show_correction, request)?.correction)
    }

    /// A page of corrections, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_corrections(&self, page: Page) -> Result<correction::ListCorrectionsResponse, ClientError> {
        let request = correction::ListCorrectionsRequest { page_size: page.size, page_token: page.token };
        unary!(self, CorrectionServiceClient, list_corrections, request)
    }
}

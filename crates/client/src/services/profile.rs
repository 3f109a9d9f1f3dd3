//! The life of a profile.

use strongroom_proto::profile::{self, profile_service_client::ProfileServiceClient};
use strongroom_types::{Assent, ProfileName, RecordSeq, limits};

use super::{signed, unary};
use crate::call::{Client, new_key};
use crate::error::ClientError;

impl Client {
    /// Proposes a profile or a new version of one.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn propose_profile(&self, toml: &str) -> Result<profile::Proposal, ClientError> {
        let request = profile::ProposeProfileRequest { idempotency_key: new_key().to_string(), toml: toml.to_owned() };
        super::present("proposal", unary!(self, ProfileServiceClient, propose_profile, request)?.proposal)
    }

    /// Approves the version of `name` that waits, as it was proposed with record `proposal`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn approve_profile(
        &self,
        name: &ProfileName,
        proposal: RecordSeq,
    ) -> Result<profile::Proposal, ClientError> {
        let assent = Assent::approve_profile(name, proposal);
        let request = profile::ApproveProfileRequest {
            idempotency_key: new_key().to_string(),
            name: name.to_string(),
            proposal_record_seq: proposal.0,
        };
        super::present("proposal", signed!(self, ProfileServiceClient, approve_profile, assent, request)?.proposal)
    }

    /// Withdraws the version of `name` that waits.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn withdraw_profile(&self, name: &ProfileName, reason: &str) -> Result<RecordSeq, ClientError> {
        let request = profile::WithdrawProfileRequest {
            idempotency_key: new_key().to_string(),
            name: name.to_string(),
            reason: reason.to_owned(),
        };
        Ok(RecordSeq(unary!(self, ProfileServiceClient, withdraw_profile, request)?.record_seq))
    }

    /// What a version would do to stored items.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn preview_profile(&self, toml: &str) -> Result<profile::PreviewProfileResponse, ClientError> {
        let request = profile::PreviewProfileRequest { toml: toml.to_owned() };
        unary!(self, ProfileServiceClient, preview_profile, request)
    }

    /// All versions that wait.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_proposals(&self) -> Result<Vec<profile::Proposal>, ClientError> {
        let request = profile::ListProposalsRequest {};
        Ok(unary!(self, ProfileServiceClient, list_proposals, request)?.proposals)
    }
}

//! Disposal: batches, their steps and their certificates.

use bytes::Bytes;
use strongroom_proto::convert::fixed;
use strongroom_proto::disposal::{self, disposal_service_client::DisposalServiceClient};
use strongroom_types::{Assent, BatchId, DiskId, ItemId, NodeId, PrincipalId, limits};

use super::{id, present};
use crate::call::{Client, new_key};
use crate::error::ClientError;
use crate::services::Page;

/// What is closed as lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostKeeper {
    /// A disk.
    Disk(DiskId),
    /// A node's replica of the metadata.
    Replica(NodeId),
}

/// Disposal.
impl Client {
    /// What a proposal would be told of each item.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn plan_disposal(&self, items: &[ItemId]) -> Result<Vec<disposal::PlannedItem>, ClientError> {
        let item_ids = items.iter().map(|item| id(item.as_bytes())).collect();
        let request = disposal::PlanDisposalRequest { item_ids };
        Ok(unary!(self, DisposalServiceClient, plan_disposal, request)?.items)
    }

    /// Proposes a batch: items, each with a basis of its own or an empty one, and the batch's.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn propose_disposal(
        &self,
        items: &[(ItemId, String)],
        basis: &str,
    ) -> Result<disposal::Disposal, ClientError> {
        let item = |(item, basis): &(ItemId, String)| disposal::ProposedItem {
            item_id: id(item.as_bytes()),
            basis: basis.clone(),
        };
        let request = disposal::ProposeDisposalRequest {
            idempotency_key: new_key().to_string(),
            items: items.iter().map(item).collect(),
            basis: basis.to_owned(),
        };
        present("batch", unary!(self, DisposalServiceClient, propose_disposal, request)?.disposal)
    }

    /// Approves a batch: the items that it shows now, each with its basis. Another list is not what was approved.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn approve_disposal(&self, batch: BatchId) -> Result<disposal::Disposal, ClientError> {
        let shown = self.show_disposal(batch).await?;
        let items: Vec<ItemId> = shown
            .items
            .iter()
            .map(|item| fixed("item_id", &item.item_id).map_err(ClientError::Refused))
            .collect::<Result<_, _>>()?;
        let listed = items.into_iter().zip(shown.items.iter().map(|item| item.basis.as_str()));
        let assent = Assent::approve_disposal(batch, listed);
        let request =
            disposal::ApproveDisposalRequest { idempotency_key: new_key().to_string(), disposal_id: batch.to_string() };
        present("batch", signed!(self, DisposalServiceClient, approve_disposal, assent, request)?.disposal)
    }

    /// Withdraws a batch that is not executed.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn withdraw_disposal(&self, batch: BatchId, reason: &str) -> Result<disposal::Disposal, ClientError> {
        let request = disposal::WithdrawDisposalRequest {
            idempotency_key: new_key().to_string(),
            disposal_id: batch.to_string(),
            reason: reason.to_owned(),
        };
        present("batch", unary!(self, DisposalServiceClient, withdraw_disposal, request)?.disposal)
    }

    /// Executes an approved batch: the point of no return.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn execute_disposal(
        &self,
        batch: BatchId,
        supervisors: &[PrincipalId],
    ) -> Result<disposal::Disposal, ClientError> {
        let assent = Assent::execute_disposal(batch, supervisors);
        let request = disposal::ExecuteDisposalRequest {
            idempotency_key: new_key().to_string(),
            disposal_id: batch.to_string(),
            supervisors: supervisors.iter().map(ToString::to_string).collect(),
        };
        present("batch", signed!(self, DisposalServiceClient, execute_disposal, assent, request)?.disposal)
    }

    /// Signs, as one of its supervisors, that a batch is gone.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn sign_disposal(&self, batch: BatchId) -> Result<disposal::Disposal, ClientError> {
        let assent = Assent::sign_disposal(batch);
        let request =
            disposal::SignDisposalRequest { idempotency_key: new_key().to_string(), disposal_id: batch.to_string() };
        present("batch", signed!(self, DisposalServiceClient, sign_disposal, assent, request)?.disposal)
    }

    /// Calls a disk or a replica lost, or closes it as the second person. Answers its record.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn close_lost(&self, lost: LostKeeper, reason: &str) -> Result<u64, ClientError> {
        let assent = match lost {
            LostKeeper::Disk(disk) => Assent::lose_disk(disk, reason),
            LostKeeper::Replica(node) => Assent::lose_replica(node, reason),
        };
        let lost = match lost {
            LostKeeper::Disk(disk) => disposal::close_lost_request::Lost::DiskId(id(disk.as_bytes())),
            LostKeeper::Replica(node) => disposal::close_lost_request::Lost::ReplicaNodeId(node.0),
        };
        let request = disposal::CloseLostRequest {
            idempotency_key: new_key().to_string(),
            lost: Some(lost),
            reason: reason.to_owned(),
        };
        Ok(signed!(self, DisposalServiceClient, close_lost, assent, request)?.record_seq)
    }

    /// One batch with its items and what each disk and replica did.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn show_disposal(&self, batch: BatchId) -> Result<disposal::ShowDisposalResponse, ClientError> {
        let request = disposal::ShowDisposalRequest { disposal_id: batch.to_string() };
        unary!(self, DisposalServiceClient, show_disposal, request)
    }

    /// The certificate of a closed batch, byte for byte.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn fetch_certificate(&self, batch: BatchId) -> Result<Bytes, ClientError> {
        let request = disposal::FetchCertificateRequest { disposal_id: batch.to_string() };
        Ok(unary!(self, DisposalServiceClient, fetch_certificate, request)?.certificate)
    }

    /// A page of batches, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_disposals(
        &self,
        open_only: bool,
        page: Page,
    ) -> Result<disposal::ListDisposalsResponse, ClientError> {
        let request = disposal::ListDisposalsRequest { open_only, page_size: page.size, page_token: page.token };
        unary!(self, DisposalServiceClient, list_disposals, request)
    }
}

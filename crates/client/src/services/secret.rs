//! State secrets: sealed devices, and removals to a classified carrier.

use bytes::Bytes;
use strongroom_proto::secret::{self, secret_service_client::SecretServiceClient};
use strongroom_types::{ActivityId, Assent, DeviceId, ItemId, PrincipalId, RecordSeq, RemovalId, UnixMillis, limits};

use super::{id, present, text};
use crate::call::{Client, new_key};
use crate::error::ClientError;
use crate::services::Page;

/// A device that was sealed instead of being uploaded.
#[derive(Clone, Debug)]
pub struct SealedDevice {
    /// The device.
    pub device: DeviceId,
    /// Number of the seal on its envelope.
    pub envelope: String,
    /// Who found it.
    pub found_by: PrincipalId,
    /// Why, without content.
    pub reason: String,
    /// The activity that was recorded, where it is known.
    pub activity: Option<ActivityId>,
}

/// A removal to be proposed.
#[derive(Clone, Debug)]
pub struct NewRemoval {
    /// The items.
    pub items: Vec<ItemId>,
    /// The receiving organ.
    pub organ: String,
    /// Who receives it.
    pub receiver: String,
    /// The receiver's Ed25519 key.
    pub receiver_key: [u8; 32],
    /// Number of the carrier.
    pub carrier: String,
    /// What it rests on.
    pub basis: String,
    /// Who alone hands over and executes.
    pub executor: PrincipalId,
    /// Copies that the ledger does not know of, each with who must destroy it.
    pub copies: Vec<(String, String)>,
}

/// State secrets.
impl Client {
    /// Records that a device was sealed.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn seal_device(&self, sealed: &SealedDevice) -> Result<RecordSeq, ClientError> {
        let request = secret::SealDeviceRequest {
            idempotency_key: new_key().to_string(),
            device_id: sealed.device.to_string(),
            envelope: sealed.envelope.clone(),
            found_by: sealed.found_by.to_string(),
            reason: sealed.reason.clone(),
            activity_id: text(sealed.activity.as_ref().map(ActivityId::as_str)),
        };
        Ok(RecordSeq(unary!(self, SecretServiceClient, seal_device, request)?.record_seq))
    }

    /// What a proposal would be told of each item, and what would follow it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn plan_removal(&self, items: &[ItemId]) -> Result<Vec<secret::PlannedRemoval>, ClientError> {
        let item_ids = items.iter().map(|item| id(item.as_bytes())).collect();
        let request = secret::PlanRemovalRequest { item_ids };
        Ok(unary!(self, SecretServiceClient, plan_removal, request)?.items)
    }

    /// Proposes a removal.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn propose_removal(&self, removal: &NewRemoval) -> Result<secret::Removal, ClientError> {
        let told =
            |(place, keeper): &(String, String)| secret::ToldCopy { place: place.clone(), keeper: keeper.clone() };
        let request = secret::ProposeRemovalRequest {
            idempotency_key: new_key().to_string(),
            item_ids: removal.items.iter().map(|item| id(item.as_bytes())).collect(),
            form: Some(secret::RemovalForm {
                organ: removal.organ.clone(),
                receiver: removal.receiver.clone(),
                receiver_key: Bytes::copy_from_slice(&removal.receiver_key),
                carrier: removal.carrier.clone(),
                basis: removal.basis.clone(),
            }),
            executor: removal.executor.to_string(),
            copies: removal.copies.iter().map(told).collect(),
        };
        present("removal", unary!(self, SecretServiceClient, propose_removal, request)?.removal)
    }

    /// Approves a removal.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn approve_removal(&self, removal: RemovalId) -> Result<secret::Removal, ClientError> {
        let (statement, receiver_key) = self.removal_of(removal).await?;
        let assent = Assent::approve_removal(removal, &statement, &receiver_key);
        let request =
            secret::ApproveRemovalRequest { idempotency_key: new_key().to_string(), removal_id: removal.to_string() };
        present("removal", signed!(self, SecretServiceClient, approve_removal, assent, request)?.removal)
    }

    /// Withdraws a removal that is not executed.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn withdraw_removal(&self, removal: RemovalId, reason: &str) -> Result<secret::Removal, ClientError> {
        let request = secret::WithdrawRemovalRequest {
            idempotency_key: new_key().to_string(),
            removal_id: removal.to_string(),
            reason: reason.to_owned(),
        };
        present("removal", unary!(self, SecretServiceClient, withdraw_removal, request)?.removal)
    }

    /// Files what the receiver signed.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn file_signature(&self, removal: RemovalId, signature: &[u8]) -> Result<secret::Removal, ClientError> {
        let request = secret::FileSignatureRequest {
            idempotency_key: new_key().to_string(),
            removal_id: removal.to_string(),
            signature: Bytes::copy_from_slice(signature),
        };
        present("removal", unary!(self, SecretServiceClient, file_signature, request)?.removal)
    }

    /// Executes a removal that is signed for: the point of no return.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn execute_removal(
        &self,
        removal: RemovalId,
        supervisors: &[PrincipalId],
    ) -> Result<secret::Removal, ClientError> {
        let (statement, receiver_key) = self.removal_of(removal).await?;
        let assent = Assent::execute_removal(removal, &statement, &receiver_key, supervisors);
        let request = secret::ExecuteRemovalRequest {
            idempotency_key: new_key().to_string(),
            removal_id: removal.to_string(),
            supervisors: supervisors.iter().map(ToString::to_string).collect(),
        };
        present("removal", signed!(self, SecretServiceClient, execute_removal, assent, request)?.removal)
    }

    /// Ticks a copy off as destroyed.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn destroy_copy(
        &self,
        removal: RemovalId,
        copy: u64,
        on: UnixMillis,
        note: &str,
    ) -> Result<secret::Removal, ClientError> {
        let request = secret::DestroyCopyRequest {
            idempotency_key: new_key().to_string(),
            removal_id: removal.to_string(),
            copy,
            destroyed_unix_ms: on.0,
            note: note.to_owned(),
        };
        present("removal", unary!(self, SecretServiceClient, destroy_copy, request)?.removal)
    }

    /// Signs, as one of its supervisors, that nothing is left.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn close_removal(&self, removal: RemovalId) -> Result<secret::Removal, ClientError> {
        let assent = Assent::close_removal(removal);
        let request =
            secret::CloseRemovalRequest { idempotency_key: new_key().to_string(), removal_id: removal.to_string() };
        present("removal", signed!(self, SecretServiceClient, close_removal, assent, request)?.removal)
    }

    /// One removal with its items, its copies, its statement and what each disk and replica did.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn show_removal(&self, removal: RemovalId) -> Result<secret::ShowRemovalResponse, ClientError> {
        let request = secret::ShowRemovalRequest { removal_id: removal.to_string() };
        unary!(self, SecretServiceClient, show_removal, request)
    }

    /// What the receiver of a removal signs, and their key.
    async fn removal_of(&self, removal: RemovalId) -> Result<(Bytes, Bytes), ClientError> {
        let shown = self.show_removal(removal).await?;
        let form = shown.removal.and_then(|removal| removal.form).unwrap_or_default();
        Ok((shown.statement, form.receiver_key))
    }

    /// The certificate of a closed removal, byte for byte.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn fetch_removal_certificate(&self, removal: RemovalId) -> Result<Bytes, ClientError> {
        let request = secret::FetchRemovalCertificateRequest { removal_id: removal.to_string() };
        Ok(unary!(self, SecretServiceClient, fetch_removal_certificate, request)?.certificate)
    }

    /// A page of removals, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_removals(
        &self,
        open_only: bool,
        page: Page,
    ) -> Result<secret::ListRemovalsResponse, ClientError> {
        let request = secret::ListRemovalsRequest { open_only, page_size: page.size, page_token: page.token };
        unary!(self, SecretServiceClient, list_removals, request)
    }
}

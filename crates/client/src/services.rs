//! Every call of every service, with our types going in and the messages of `proto` coming out.
//!
//! A method that changes something draws its idempotency key when it is called and keeps it while it tries again.

mod profile;

use std::collections::BTreeMap;

use bytes::Bytes;
use strongroom_net::pki::key_hash_of_certificate;
use strongroom_proto::access::access_service_client::AccessServiceClient;
use strongroom_proto::admin::admin_service_client::AdminServiceClient;
use strongroom_proto::catalog::catalog_service_client::CatalogServiceClient;
use strongroom_proto::cluster::cluster_service_client::ClusterServiceClient;
use strongroom_proto::convert::{self, fixed};
use strongroom_proto::ingest::ingest_service_client::IngestServiceClient;
use strongroom_proto::ledger::ledger_service_client::LedgerServiceClient;
use strongroom_proto::request::request_service_client::RequestServiceClient;
use strongroom_proto::{access, admin, catalog, cluster, ingest, ledger, request};
use strongroom_types::{
    ActivityId, Assent, DeviceId, IdempotencyKey, ItemId, KeyHash, NodeId, PrincipalId, ProfileName, RecordSeq,
    Refusal, RemovalId, RequestId, Role, SessionId, UnitId, UnixMillis, limits,
};
use tonic::Streaming;

use crate::call::{Client, new_key};
use crate::copy_out::act_name;
use crate::error::ClientError;

/// How one method of one generated client is called.
macro_rules! method {
    ($client:ident, $method:ident) => {
        |channel, request| async move {
            $client::new(channel)
                .max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
                .max_encoding_message_size(limits::MESSAGE_BYTES_MAX)
                .$method(request)
                .await
        }
    };
}
pub(crate) use method;

/// Calls one method of one generated client.
macro_rules! unary {
    ($self:ident, $client:ident, $method:ident, $request:expr) => {
        $self.call($request, $crate::services::method!($client, $method)).await
    };
}
pub(crate) use unary;

/// A call that decides something, with the caller's signature over what they decide. The request holds its idempotency key.
macro_rules! signed {
    ($self:ident, $client:ident, $method:ident, $assent:expr, $request:expr) => {{
        let (assent, request) = ($assent, $request);
        let key = request.idempotency_key.clone();
        $self.call_signed(&assent, &key, request, $crate::services::method!($client, $method)).await
    }};
}
pub(crate) use signed;

/// Calls that change something and are answered with the position of their record. The request comes whole but for
/// its idempotency key, which is drawn here.
macro_rules! changes {
    ($client:ident, $($(#[$doc:meta])* $method:ident($request:ty);)*) => {
        impl $crate::Client {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// [`ClientError`](crate::ClientError).
                pub async fn $method(&self, mut request: $request) -> Result<RecordSeq, $crate::ClientError> {
                    request.idempotency_key = $crate::call::new_key().to_string();
                    Ok(RecordSeq(unary!(self, $client, $method, request)?.record_seq))
                }
            )*
        }
    };
}

/// Like [`changes`], for what whoever decides it signs: the assent is made from the request.
macro_rules! decides {
    ($client:ident, $($(#[$doc:meta])* $method:ident($request:ty) |$asked:ident| $assent:expr;)*) => {
        impl $crate::Client {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// [`ClientError`](crate::ClientError).
                pub async fn $method(&self, mut request: $request) -> Result<RecordSeq, $crate::ClientError> {
                    request.idempotency_key = $crate::call::new_key().to_string();
                    let $asked = &request;
                    let assent = $assent;
                    Ok(RecordSeq($crate::services::signed!(self, $client, $method, assent, request)?.record_seq))
                }
            )*
        }
    };
}

mod activity;
mod case;
mod correction;
mod device;
mod disposal;
mod hold;
mod inspection;
mod keeping;
mod mandate;
mod organisation;
mod secret;

pub use activity::ActivityFilter;
pub use case::DossierTerm;
pub use disposal::LostKeeper;
pub use hold::NewHold;
pub use secret::{NewRemoval, SealedDevice};

/// Which items to list. Empty filters take everything of the caller's unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemFilter {
    /// Only this unit's; none means the caller's.
    pub unit: Option<UnitId>,
    /// Only this device's.
    pub device: Option<DeviceId>,
    /// Only this activity's.
    pub activity: Option<ActivityId>,
    /// Only those whose labels, file name or ids hold this text.
    pub text: String,
}

/// Which page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// At most this many; 0 leaves it to the node.
    pub size: u32,
    /// From the page before; empty for the first.
    pub token: Bytes,
}

/// A principal to register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPrincipal {
    /// Its name.
    pub principal: PrincipalId,
    /// Its certificate, PEM or DER; only its key is registered.
    pub certificate: Bytes,
    /// Its roles.
    pub roles: Vec<Role>,
    /// Its unit; none means the whole agency.
    pub unit: Option<UnitId>,
}

/// A device as a fixed asset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewAsset {
    /// Asset number; empty where it has none.
    pub asset_no: String,
    /// Accessories.
    pub accessories: String,
    /// Its own custodian; none where its unit's is.
    pub custodian: Option<PrincipalId>,
}

/// A value of a request, as its assent names it.
pub(crate) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(field: &str, text: &str) -> Result<T, ClientError> {
    convert::parsed(field, text).map_err(ClientError::Refused)
}

/// The hash of the key in a certificate.
fn key_of(certificate: &[u8]) -> Result<KeyHash, ClientError> {
    key_hash_of_certificate(certificate)
        .map_err(|error| ClientError::Refused(Refusal::invalid(format!("certificate: {error}"))))
}

/// The catalogue.
impl Client {
    /// One item.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn show_item(&self, item: ItemId) -> Result<catalog::Item, ClientError> {
        let request = catalog::ShowItemRequest { item_id: id(item.as_bytes()) };
        present("item", unary!(self, CatalogServiceClient, show_item, request)?.item)
    }

    /// A page of items, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_items(&self, filter: ItemFilter, page: Page) -> Result<catalog::ListItemsResponse, ClientError> {
        let request = catalog::ListItemsRequest {
            unit_id: text(filter.unit.as_ref().map(UnitId::as_str)),
            device_id: text(filter.device.as_ref().map(DeviceId::as_str)),
            activity_id: text(filter.activity.as_ref().map(ActivityId::as_str)),
            text: filter.text,
            page_size: page.size,
            page_token: page.token,
        };
        unary!(self, CatalogServiceClient, list_items, request)
    }

    /// Why an item is kept and until when.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn explain_item(&self, item: ItemId) -> Result<catalog::ExplainItemResponse, ClientError> {
        let request = catalog::ExplainItemRequest { item_id: id(item.as_bytes()) };
        unary!(self, CatalogServiceClient, explain_item, request)
    }

    /// Appends a label.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn label_item(&self, item: ItemId, name: &str, value: &str) -> Result<RecordSeq, ClientError> {
        let request = catalog::LabelItemRequest {
            idempotency_key: new_key().to_string(),
            item_id: id(item.as_bytes()),
            name: name.to_owned(),
            value: value.to_owned(),
        };
        Ok(RecordSeq(unary!(self, CatalogServiceClient, label_item, request)?.record_seq))
    }

    /// The records that speak of an item, in ledger order.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_item_records(&self, item: ItemId) -> Result<Vec<catalog::Record>, ClientError> {
        let request = catalog::ListItemRecordsRequest { item_id: id(item.as_bytes()) };
        Ok(unary!(self, CatalogServiceClient, list_item_records, request)?.records)
    }
}

/// Requests and approvals.
impl Client {
    /// Submits a request; the answer says what is missing and who can give it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn submit_request(
        &self,
        act: request::Act,
        items: &[ItemId],
        fields: BTreeMap<String, String>,
    ) -> Result<request::Request, ClientError> {
        let request = request::SubmitRequestRequest {
            idempotency_key: new_key().to_string(),
            act: act.into(),
            item_ids: items.iter().map(|item| id(item.as_bytes())).collect(),
            fields,
        };
        present("request", unary!(self, RequestServiceClient, submit_request, request)?.request)
    }

    /// Approves, as one of the roles that the chain still asks for.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn approve_request(&self, request: RequestId) -> Result<request::Request, ClientError> {
        let shown = self.show_request(request).await?;
        let items = shown.item_ids.iter().map(|item| fixed::<ItemId>("item_ids", item).map_err(ClientError::Refused));
        let (act, items) = (act_name(shown.act()), items.collect::<Result<Vec<_>, _>>()?);
        let assent = Assent::approve_request(request, &shown.requester, act, items, &shown.fields);
        let request =
            request::ApproveRequestRequest { idempotency_key: new_key().to_string(), request_id: request.to_string() };
        present("request", signed!(self, RequestServiceClient, approve_request, assent, request)?.request)
    }

    /// Rejects, with a reason.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn reject_request(&self, request: RequestId, reason: &str) -> Result<request::Request, ClientError> {
        let request = request::RejectRequestRequest {
            idempotency_key: new_key().to_string(),
            request_id: request.to_string(),
            reason: reason.to_owned(),
        };
        present("request", unary!(self, RequestServiceClient, reject_request, request)?.request)
    }

    /// Withdraws one's own request.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn withdraw_request(&self, request: RequestId, reason: &str) -> Result<request::Request, ClientError> {
        let request = request::WithdrawRequestRequest {
            idempotency_key: new_key().to_string(),
            request_id: request.to_string(),
            reason: reason.to_owned(),
        };
        present("request", unary!(self, RequestServiceClient, withdraw_request, request)?.request)
    }

    /// Takes an approval or a grant back.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn revoke_request(&self, request: RequestId, reason: &str) -> Result<request::Request, ClientError> {
        let request = request::RevokeRequestRequest {
            idempotency_key: new_key().to_string(),
            request_id: request.to_string(),
            reason: reason.to_owned(),
        };
        present("request", unary!(self, RequestServiceClient, revoke_request, request)?.request)
    }

    /// Files a form that `approver` signed.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn file_paper(
        &self,
        request: RequestId,
        form: ItemId,
        approver: &PrincipalId,
    ) -> Result<request::Request, ClientError> {
        let request = request::FilePaperRequest {
            idempotency_key: new_key().to_string(),
            request_id: request.to_string(),
            form_item_id: id(form.as_bytes()),
            approver: approver.to_string(),
        };
        present("request", unary!(self, RequestServiceClient, file_paper, request)?.request)
    }

    /// Attests to having seen the form that was filed with record `paper`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn attest_paper(&self, request: RequestId, paper: RecordSeq) -> Result<request::Request, ClientError> {
        let assent = Assent::attest_paper(request, paper);
        let request = request::AttestPaperRequest {
            idempotency_key: new_key().to_string(),
            request_id: request.to_string(),
            paper_record_seq: paper.0,
        };
        present("request", signed!(self, RequestServiceClient, attest_paper, assent, request)?.request)
    }

    /// Enters an oral approval; the idempotency key is drawn here.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn enter_oral_approval(
        &self,
        mut request: request::EnterOralApprovalRequest,
    ) -> Result<request::Request, ClientError> {
        request.idempotency_key = new_key().to_string();
        let assent = Assent::enter_oral(
            parsed("request_id", &request.request_id)?,
            &parsed("approver", &request.approver)?,
            &parsed("witness", &request.witness)?,
            UnixMillis(request.said_at_unix_ms),
            &request.reason,
        );
        present("request", signed!(self, RequestServiceClient, enter_oral_approval, assent, request)?.request)
    }

    /// Confirms an oral approval.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn confirm_oral_approval(&self, request: RequestId) -> Result<request::Request, ClientError> {
        let assent = Assent::confirm_oral(request);
        let request = request::ConfirmOralApprovalRequest {
            idempotency_key: new_key().to_string(),
            request_id: request.to_string(),
        };
        present("request", signed!(self, RequestServiceClient, confirm_oral_approval, assent, request)?.request)
    }

    /// One request.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn show_request(&self, request: RequestId) -> Result<request::Request, ClientError> {
        let request = request::ShowRequestRequest { request_id: request.to_string() };
        present("request", unary!(self, RequestServiceClient, show_request, request)?.request)
    }

    /// A page of requests, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_requests(
        &self,
        pending_only: bool,
        page: Page,
    ) -> Result<request::ListRequestsResponse, ClientError> {
        let request = request::ListRequestsRequest { pending_only, page_size: page.size, page_token: page.token };
        unary!(self, RequestServiceClient, list_requests, request)
    }
}

/// Footage, under a grant.
impl Client {
    /// Begins a copy-out, or resumes the one that the same key began. [`Client::copy_out`] is the whole of it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn begin_copy_out(
        &self,
        key: &IdempotencyKey,
        request: RequestId,
    ) -> Result<access::BeginCopyOutResponse, ClientError> {
        let request = access::BeginCopyOutRequest {
            idempotency_key: key.to_string(),
            request_id: request.to_string(),
            removal_id: String::new(),
        };
        unary!(self, AccessServiceClient, begin_copy_out, request)
    }

    /// Begins to hand the originals of an approved removal over; the same key resumes.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn begin_hand_over(
        &self,
        key: &IdempotencyKey,
        removal: RemovalId,
    ) -> Result<access::BeginCopyOutResponse, ClientError> {
        let request = access::BeginCopyOutRequest {
            idempotency_key: key.to_string(),
            request_id: String::new(),
            removal_id: removal.to_string(),
        };
        unary!(self, AccessServiceClient, begin_copy_out, request)
    }

    /// Begins a view under a request, or under a standing view for `reason`; the same key resumes.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn begin_view(
        &self,
        key: &IdempotencyKey,
        request: Option<RequestId>,
        item: ItemId,
        reason: &str,
    ) -> Result<access::BeginViewResponse, ClientError> {
        let request = access::BeginViewRequest {
            idempotency_key: key.to_string(),
            request_id: request.map(|request| request.to_string()).unwrap_or_default(),
            item_id: id(item.as_bytes()),
            reason: reason.to_owned(),
        };
        unary!(self, AccessServiceClient, begin_view, request)
    }

    /// A range of one item of a session; a length of 0 means to the end. The stream itself is not resumed: whoever
    /// reads it asks again from where it broke off.
    ///
    /// # Errors
    /// [`ClientError`] where it did not begin.
    pub async fn read(
        &self,
        session: SessionId,
        item: ItemId,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> Result<Streaming<access::ReadResponse>, ClientError> {
        let request = read_request(session, item, offset_bytes, length_bytes);
        // The deadline in the request would end the stream, not only its beginning.
        self.call(request, |channel, request| async move {
            AccessServiceClient::new(channel)
                .max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
                .read(tonic::Request::new(request.into_inner()))
                .await
        })
        .await
    }

    /// Ends a session, saying whether everything arrived and was verified.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn end_session(
        &self,
        key: &IdempotencyKey,
        session: SessionId,
        complete: bool,
    ) -> Result<RecordSeq, ClientError> {
        let request = access::EndSessionRequest {
            idempotency_key: key.to_string(),
            session_id: id(session.as_bytes()),
            complete,
        };
        Ok(RecordSeq(unary!(self, AccessServiceClient, end_session, request)?.record_seq))
    }
}

/// Principals, units, devices, profiles.
impl Client {
    /// Registers a principal for a certificate's key.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn register_principal(&self, new: NewPrincipal) -> Result<admin::Principal, ClientError> {
        let key = key_of(&new.certificate)?;
        let assent = Assent::register_principal(&new.principal, &key, &new.roles, new.unit.as_ref());
        let request = admin::RegisterPrincipalRequest {
            idempotency_key: new_key().to_string(),
            principal_id: new.principal.to_string(),
            certificate: new.certificate,
            roles: new.roles.iter().map(|role| role.name().to_owned()).collect(),
            unit_id: text(new.unit.as_ref().map(UnitId::as_str)),
        };
        present("principal", signed!(self, AdminServiceClient, register_principal, assent, request)?.principal)
    }

    /// Replaces a principal's key; the old one ends at once.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn rotate_principal(
        &self,
        principal: &PrincipalId,
        certificate: Bytes,
    ) -> Result<admin::Principal, ClientError> {
        let assent = Assent::rotate_principal(principal, &key_of(&certificate)?);
        let request = admin::RotatePrincipalRequest {
            idempotency_key: new_key().to_string(),
            principal_id: principal.to_string(),
            certificate,
        };
        present("principal", signed!(self, AdminServiceClient, rotate_principal, assent, request)?.principal)
    }

    /// Ends a principal's access at once and for good.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn revoke_principal(
        &self,
        principal: &PrincipalId,
        reason: &str,
    ) -> Result<admin::Principal, ClientError> {
        let request = admin::RevokePrincipalRequest {
            idempotency_key: new_key().to_string(),
            principal_id: principal.to_string(),
            reason: reason.to_owned(),
        };
        present("principal", unary!(self, AdminServiceClient, revoke_principal, request)?.principal)
    }

    /// All principals.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_principals(&self) -> Result<Vec<admin::Principal>, ClientError> {
        let request = admin::ListPrincipalsRequest {};
        Ok(unary!(self, AdminServiceClient, list_principals, request)?.principals)
    }

    /// Registers a unit under a profile.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn add_unit(
        &self,
        unit: &UnitId,
        full_name: &str,
        profile: &ProfileName,
    ) -> Result<RecordSeq, ClientError> {
        let request = admin::AddUnitRequest {
            idempotency_key: new_key().to_string(),
            unit: Some(admin::Unit {
                unit_id: unit.to_string(),
                full_name: full_name.to_owned(),
                profile: profile.to_string(),
                ..admin::Unit::default()
            }),
        };
        Ok(RecordSeq(unary!(self, AdminServiceClient, add_unit, request)?.record_seq))
    }

    /// All units, those that have ended too.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_units(&self) -> Result<Vec<admin::Unit>, ClientError> {
        let request = admin::ListUnitsRequest {};
        Ok(unary!(self, AdminServiceClient, list_units, request)?.units)
    }

    /// One unit with its history.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn show_unit(&self, unit: &UnitId) -> Result<admin::ShowUnitResponse, ClientError> {
        let request = admin::ShowUnitRequest { unit_id: unit.to_string() };
        unary!(self, AdminServiceClient, show_unit, request)
    }

    /// Registers a device.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn add_device(
        &self,
        device: &DeviceId,
        unit: &UnitId,
        device_type: &str,
        brand_model: &str,
        asset: NewAsset,
    ) -> Result<RecordSeq, ClientError> {
        let request = admin::AddDeviceRequest {
            idempotency_key: new_key().to_string(),
            device: Some(admin::Device {
                device_id: device.to_string(),
                unit_id: unit.to_string(),
                device_type: device_type.to_owned(),
                brand_model: brand_model.to_owned(),
                asset_no: asset.asset_no,
                accessories: asset.accessories,
                custodian: text(asset.custodian.as_ref().map(PrincipalId::as_str)),
            }),
        };
        Ok(RecordSeq(unary!(self, AdminServiceClient, add_device, request)?.record_seq))
    }

    /// All devices.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_devices(&self) -> Result<Vec<admin::Device>, ClientError> {
        let request = admin::ListDevicesRequest {};
        Ok(unary!(self, AdminServiceClient, list_devices, request)?.devices)
    }

    /// The newest version of a profile.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn show_profile(&self, name: &ProfileName) -> Result<admin::ShowProfileResponse, ClientError> {
        let request = admin::ShowProfileRequest { name: name.to_string() };
        unary!(self, AdminServiceClient, show_profile, request)
    }

    /// All profiles.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_profiles(&self) -> Result<Vec<admin::ProfileSummary>, ClientError> {
        let request = admin::ListProfilesRequest {};
        Ok(unary!(self, AdminServiceClient, list_profiles, request)?.profiles)
    }
}

/// The ledger. What it returns verifies offline.
impl Client {
    /// The newest cosigned checkpoint, a signed note.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn fetch_checkpoint(&self) -> Result<Bytes, ClientError> {
        let request = ledger::FetchCheckpointRequest {};
        Ok(unary!(self, LedgerServiceClient, fetch_checkpoint, request)?.checkpoint)
    }

    /// Records from a position on; a page size of 0 leaves it to the node.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_records(
        &self,
        from: RecordSeq,
        page_size: u32,
    ) -> Result<ledger::ListRecordsResponse, ClientError> {
        let request = ledger::ListRecordsRequest { from_seq: from.0, page_size };
        unary!(self, LedgerServiceClient, list_records, request)
    }

    /// Proof that a record is under the newest checkpoint: a tlog-proof file.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn prove_inclusion(&self, record: RecordSeq) -> Result<Bytes, ClientError> {
        let request = ledger::ProveInclusionRequest { seq: record.0 };
        Ok(unary!(self, LedgerServiceClient, prove_inclusion, request)?.tlog_proof)
    }

    /// Proof that the tree of `old_size` is the beginning of that of `new_size`; none means the newest checkpoint's.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn prove_consistency(
        &self,
        old_size: u64,
        new_size: Option<u64>,
    ) -> Result<ledger::ProveConsistencyResponse, ClientError> {
        let request = ledger::ProveConsistencyRequest { old_size, new_size: new_size.unwrap_or(0) };
        unary!(self, LedgerServiceClient, prove_consistency, request)
    }

    /// The policy file as the cluster tells it: only for comparing with one that came from somewhere else.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn fetch_policy(&self) -> Result<Bytes, ClientError> {
        let request = ledger::FetchPolicyRequest {};
        Ok(unary!(self, LedgerServiceClient, fetch_policy, request)?.policy)
    }

    /// Recorded digests of everything that decides retention, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_digests(
        &self,
        before: Option<RecordSeq>,
        page_size: u32,
    ) -> Result<Vec<ledger::RetentionDigest>, ClientError> {
        let request = ledger::ListDigestsRequest { before_seq: before.map_or(0, |seq| seq.0), page_size };
        Ok(unary!(self, LedgerServiceClient, list_digests, request)?.digests)
    }

    /// Rows that decide retention, as the node holds them, behind a key.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_retained(
        &self,
        after: Bytes,
        page_size: u32,
    ) -> Result<ledger::ListRetainedResponse, ClientError> {
        let request = ledger::ListRetainedRequest { after, page_size };
        unary!(self, LedgerServiceClient, list_retained, request)
    }
}

/// The machines.
impl Client {
    /// Nodes, disks, volumes, Raft and clock as one node sees them.
    ///
    /// # Errors
    /// [`ClientError`]; also where another cluster answers than the context names.
    pub async fn show_status(&self) -> Result<cluster::ShowStatusResponse, ClientError> {
        let status = unary!(self, ClusterServiceClient, show_status, cluster::ShowStatusRequest {})?;
        if status.cluster_id.as_ref() != self.cluster().as_bytes() {
            return Err(ClientError::protocol("it belongs to another cluster than the context names"));
        }
        Ok(status)
    }
}

/// Voters.
impl Client {
    /// What the replacement of a voter would come to; writes nothing.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn plan_voter(&self, old: NodeId, new: NodeId) -> Result<cluster::PlanVoterResponse, ClientError> {
        let request = cluster::PlanVoterRequest { old_node_id: old.0, new_node_id: new.0 };
        unary!(self, ClusterServiceClient, plan_voter, request)
    }

    /// Replacements of voters, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_voter_changes(&self) -> Result<Vec<cluster::VoterChange>, ClientError> {
        let request = cluster::ListVoterChangesRequest {};
        Ok(unary!(self, ClusterServiceClient, list_voter_changes, request)?.changes)
    }
}

changes! { ClusterServiceClient,
    /// Proposes to replace a voter.
    propose_voter(cluster::ProposeVoterRequest);
    /// Withdraws the replacement of a voter.
    withdraw_voter(cluster::WithdrawVoterRequest);
}

/// Voters, as somebody decides about them.
impl Client {
    /// Approves that a voter is replaced.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn approve_voter(&self, change: RecordSeq) -> Result<RecordSeq, ClientError> {
        let listed = self.list_voter_changes().await?;
        let row = listed.into_iter().find(|row| row.record_seq == change.0);
        let row = row.ok_or_else(|| ClientError::Refused(Refusal::not_found(format!("replacement {change}"))))?;
        let assent = Assent::approve_voter(change, NodeId(row.old_node_id), NodeId(row.new_node_id));
        let request =
            cluster::ApproveVoterRequest { idempotency_key: new_key().to_string(), proposal_record_seq: change.0 };
        Ok(RecordSeq(signed!(self, ClusterServiceClient, approve_voter, assent, request)?.record_seq))
    }
}

/// The compliance clock.
impl Client {
    /// The clock, its outages and what was corrected of them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn show_clock(&self) -> Result<cluster::ShowClockResponse, ClientError> {
        unary!(self, ClusterServiceClient, show_clock, cluster::ShowClockRequest {})
    }

    /// Lets time pass, where the cluster is a trial.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn advance_clock(&self, advance_ms: i64, reason: &str) -> Result<RecordSeq, ClientError> {
        let request = cluster::AdvanceClockRequest {
            idempotency_key: new_key().to_string(),
            advance_ms,
            reason: reason.to_owned(),
        };
        Ok(RecordSeq(unary!(self, ClusterServiceClient, advance_clock, request)?.record_seq))
    }
}

/// Writing originals. [`Client::ingest_file`] is the whole of it.
impl Client {
    pub(crate) async fn open_upload(
        &self,
        request: ingest::OpenUploadRequest,
    ) -> Result<ingest::OpenUploadResponse, ClientError> {
        unary!(self, IngestServiceClient, open_upload, request)
    }

    pub(crate) async fn seal(&self, request: ingest::SealRequest) -> Result<ingest::SealResponse, ClientError> {
        unary!(self, IngestServiceClient, seal, request)
    }

    pub(crate) async fn ingest_original(
        &self,
        request: ingest::IngestOriginalRequest,
    ) -> Result<ingest::IngestOriginalResponse, ClientError> {
        unary!(self, IngestServiceClient, ingest_original, request)
    }

    /// The receipt of a sealed item that this caller's unit sent; waits while its checkpoint is not yet cosigned.
    ///
    /// # Errors
    /// [`ClientError`]; `RECEIPT_PENDING` where it still is when patience ends.
    pub async fn fetch_receipt(&self, item: ItemId) -> Result<Bytes, ClientError> {
        let request = ingest::FetchReceiptRequest { item_id: id(item.as_bytes()) };
        Ok(unary!(self, IngestServiceClient, fetch_receipt, request)?.receipt)
    }
}

pub(crate) fn read_request(session: SessionId, item: ItemId, offset: u64, length: u64) -> access::ReadRequest {
    access::ReadRequest {
        session_id: id(session.as_bytes()),
        item_id: id(item.as_bytes()),
        offset_bytes: offset,
        length_bytes: length,
    }
}

pub(crate) fn id(bytes: &[u8; 16]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn text(optional: Option<&str>) -> String {
    optional.unwrap_or_default().to_owned()
}

fn present<T>(what: &str, value: Option<T>) -> Result<T, ClientError> {
    value.ok_or_else(|| ClientError::protocol(format!("the {what} is missing")))
}

//! Every call of the client port with the act that it asks for, and a request that is in order but for its subject.

use std::collections::BTreeMap;
use std::pin::Pin;

use bytes::Bytes;
use prost::Message;
use prost_types::FileDescriptorSet;
use strongroom_custody::Act;
use strongroom_proto::DESCRIPTORS;
use strongroom_proto::access::{BeginCopyOutRequest, BeginViewRequest, EndSessionRequest, ReadRequest};
use strongroom_proto::admin::{
    AddDeviceRequest, AddUnitRequest, Device, ListDevicesRequest, ListPrincipalsRequest, ListProfilesRequest,
    ListUnitsRequest, RegisterPrincipalRequest, RevokePrincipalRequest, RotatePrincipalRequest, ShowProfileRequest,
    Unit,
};
use strongroom_proto::catalog::{
    ExplainItemRequest, LabelItemRequest, ListItemRecordsRequest, ListItemsRequest, ShowItemRequest,
};
use strongroom_proto::cluster::{
    AdvanceClockRequest, ApproveVoterRequest, ListVoterChangesRequest, PlanVoterRequest, ProposeVoterRequest,
    ShowClockRequest, ShowStatusRequest, WithdrawVoterRequest,
};
use strongroom_proto::disposal::close_lost_request::Lost;
use strongroom_proto::disposal::{
    ApproveDisposalRequest, CloseLostRequest, ExecuteDisposalRequest, FetchCertificateRequest, ListDisposalsRequest,
    PlanDisposalRequest, ProposeDisposalRequest, ProposedItem, ShowDisposalRequest, SignDisposalRequest,
    WithdrawDisposalRequest,
};
use strongroom_proto::ingest::{
    FetchReceiptRequest, IngestOriginalRequest, OpenUploadRequest, OriginalDescription, SealRequest, UploadHeader,
    UploadRequest, upload_request,
};
use strongroom_proto::inspection::{
    AnswerRectificationRequest, DrawQuery, FetchDrawProofRequest, InspectionRef, ListDrawsRequest, ListTargetsRequest,
    PreviewDrawRequest, RecordDrawRequest, RecordResultRequest, ShowDrawRequest, ShowSheetRequest, TargetItemsRequest,
};
use strongroom_proto::ledger::{
    FetchCheckpointRequest, FetchPolicyRequest, ListDigestsRequest, ListRecordsRequest, ListRetainedRequest,
    ProveConsistencyRequest, ProveInclusionRequest,
};
use strongroom_proto::profile::{
    ApproveProfileRequest, ListProposalsRequest, PreviewProfileRequest, ProposeProfileRequest, WithdrawProfileRequest,
};
use strongroom_proto::request::{
    Act as RequestAct, ApproveRequestRequest, AttestPaperRequest, CloseViewListRequest, ConfirmOralApprovalRequest,
    EnterOralApprovalRequest, FilePaperRequest, GiveViewListRequest, ListRequestsRequest, ListViewListsRequest,
    RejectRequestRequest, RevokeRequestRequest, ShowRequestRequest, SubmitRequestRequest, WithdrawRequestRequest,
};
use strongroom_proto::{activity, device, mandate, secret};
use tonic::Status;
use tonic::transport::Channel;

use crate::{kept, wire::call};

type Make = Box<dyn Fn(Channel, &str) -> Answered + Send + Sync>;
type Answered = Pin<Box<dyn Future<Output = Result<(), Status>> + Send>>;

/// One call.
pub(crate) struct Call {
    pub(crate) path: &'static str,
    pub(crate) act: Act,
    make: Make,
}

impl Call {
    /// Makes it under an idempotency key of its own.
    pub(crate) fn by(&self, channel: &Channel, key: &str) -> Answered {
        (self.make)(channel.clone(), key)
    }
}

/// Paths of the calls of a port, as the descriptors for reflection have them.
pub(crate) fn described(of_peers: bool) -> Vec<String> {
    let files = FileDescriptorSet::decode(DESCRIPTORS).expect("descriptors");
    let mut paths = Vec::new();
    for file in files.file.iter().filter(|file| file.package().starts_with("strongroom.peer.") == of_peers) {
        for service in &file.service {
            let path = |method: &str| format!("/{}.{}/{method}", file.package(), service.name());
            paths.extend(service.method.iter().map(|method| path(method.name())));
        }
    }
    paths.sort();
    paths
}

/// An item, a session and a request that there are none of.
pub(crate) const NOTHING: Bytes = Bytes::from_static(&[0xee; 16]);
const NO_REQUEST: &str = "REQ-999999";
const NO_DEVICE: &str = "D-none";
const NO_ACTIVITY: &str = "A-none";
const NO_REMOVAL: &str = "RMV-999999";
const NO_BATCH: &str = "DSP-999999";
const NO_DRAW: &str = "DRAW-999999";

/// The table. `certificate` is that of somebody who is registered already.
pub(crate) fn table(certificate: Bytes) -> Vec<Call> {
    let again = certificate.clone();
    let rows = vec![
        row("/strongroom.ingest.v1.IngestService/OpenUpload", Act::UploadOpen, |key| OpenUploadRequest {
            idempotency_key: key,
            original: Some(original("U1")),
            size_bytes: None,
        }),
        row("/strongroom.ingest.v1.IngestService/Upload", Act::UploadResume, |_| UploadRequest {
            part: Some(upload_request::Part::Header(UploadHeader { item_id: NOTHING })),
        }),
        row("/strongroom.ingest.v1.IngestService/Seal", Act::ItemSeal, |key| SealRequest {
            idempotency_key: key,
            item_id: NOTHING,
            ..Default::default()
        }),
        row("/strongroom.ingest.v1.IngestService/IngestOriginal", Act::ItemSeal, |key| IngestOriginalRequest {
            idempotency_key: key,
            original: Some(original("U1")),
            data: Bytes::from_static(b"footage"),
            ..Default::default()
        }),
        row("/strongroom.ingest.v1.IngestService/FetchReceipt", Act::ReceiptFetch, |_| FetchReceiptRequest {
            item_id: NOTHING,
        }),
        row("/strongroom.catalog.v1.CatalogService/ShowItem", Act::ItemShow, |_| ShowItemRequest { item_id: NOTHING }),
        row("/strongroom.catalog.v1.CatalogService/ListItems", Act::ItemList, |_| ListItemsRequest::default()),
        row("/strongroom.catalog.v1.CatalogService/ExplainItem", Act::ItemExplain, |_| ExplainItemRequest {
            item_id: NOTHING,
        }),
        row("/strongroom.catalog.v1.CatalogService/LabelItem", Act::ItemLabel, |key| LabelItemRequest {
            idempotency_key: key,
            item_id: NOTHING,
            name: "place".to_owned(),
            value: "gate".to_owned(),
        }),
        row("/strongroom.catalog.v1.CatalogService/ListItemRecords", Act::ItemRecords, |_| ListItemRecordsRequest {
            item_id: NOTHING,
        }),
        row("/strongroom.request.v1.RequestService/SubmitRequest", Act::RequestSubmit, |key| SubmitRequestRequest {
            idempotency_key: key,
            act: RequestAct::Copy.into(),
            item_ids: vec![NOTHING],
            fields: BTreeMap::from([("reason".to_owned(), "a test".to_owned())]),
        }),
        row("/strongroom.request.v1.RequestService/ApproveRequest", Act::RequestApprove, |key| ApproveRequestRequest {
            idempotency_key: key,
            request_id: NO_REQUEST.to_owned(),
        }),
        row("/strongroom.request.v1.RequestService/RejectRequest", Act::RequestReject, |key| RejectRequestRequest {
            idempotency_key: key,
            request_id: NO_REQUEST.to_owned(),
            reason: "a test".to_owned(),
        }),
        row("/strongroom.request.v1.RequestService/ShowRequest", Act::RequestShow, |_| ShowRequestRequest {
            request_id: NO_REQUEST.to_owned(),
        }),
        row("/strongroom.request.v1.RequestService/ListRequests", Act::RequestList, |_| ListRequestsRequest::default()),
        row("/strongroom.request.v1.RequestService/WithdrawRequest", Act::RequestWithdraw, |key| {
            WithdrawRequestRequest {
                idempotency_key: key,
                request_id: NO_REQUEST.to_owned(),
                reason: "a test".to_owned(),
            }
        }),
        row("/strongroom.request.v1.RequestService/RevokeRequest", Act::RequestRevoke, |key| RevokeRequestRequest {
            idempotency_key: key,
            request_id: NO_REQUEST.to_owned(),
            reason: "a test".to_owned(),
        }),
        row("/strongroom.request.v1.RequestService/FilePaper", Act::PaperFile, |key| FilePaperRequest {
            idempotency_key: key,
            request_id: NO_REQUEST.to_owned(),
            form_item_id: NOTHING,
            approver: "head".to_owned(),
        }),
        row("/strongroom.request.v1.RequestService/AttestPaper", Act::PaperAttest, |key| AttestPaperRequest {
            idempotency_key: key,
            request_id: NO_REQUEST.to_owned(),
            paper_record_seq: 1,
        }),
        row("/strongroom.request.v1.RequestService/EnterOralApproval", Act::OralEnter, |key| {
            EnterOralApprovalRequest {
                idempotency_key: key,
                request_id: NO_REQUEST.to_owned(),
                approver: "head".to_owned(),
                witness: "custodian".to_owned(),
                said_at_unix_ms: 0,
                reason: "a test".to_owned(),
            }
        }),
        row("/strongroom.request.v1.RequestService/ConfirmOralApproval", Act::OralConfirm, |key| {
            ConfirmOralApprovalRequest { idempotency_key: key, request_id: NO_REQUEST.to_owned() }
        }),
        row("/strongroom.request.v1.RequestService/GiveViewList", Act::ListGive, |key| GiveViewListRequest {
            idempotency_key: key,
            viewer: "nobody".to_owned(),
            item_ids: vec![NOTHING],
            document: "a test".to_owned(),
            until_unix_ms: 0,
        }),
        row("/strongroom.request.v1.RequestService/CloseViewList", Act::ListClose, |key| CloseViewListRequest {
            idempotency_key: key,
            viewer: "nobody".to_owned(),
            list_record_seq: 1,
            result: "a test".to_owned(),
        }),
        row("/strongroom.request.v1.RequestService/ListViewLists", Act::ListShow, |_| ListViewListsRequest::default()),
        row("/strongroom.mandate.v1.MandateService/AppointDeputy", Act::MandateAppoint, |key| {
            mandate::AppointDeputyRequest {
                idempotency_key: key,
                holder: "nobody".to_owned(),
                document: "a test".to_owned(),
                ..Default::default()
            }
        }),
        row("/strongroom.mandate.v1.MandateService/ConfirmAppointment", Act::MandateConfirm, |key| {
            mandate::ConfirmAppointmentRequest {
                idempotency_key: key,
                holder: "nobody".to_owned(),
                mandate_record_seq: 1,
            }
        }),
        row("/strongroom.mandate.v1.MandateService/DelegateRight", Act::MandateDelegate, |key| {
            mandate::DelegateRightRequest {
                idempotency_key: key,
                holder: "nobody".to_owned(),
                role: "head".to_owned(),
                ..Default::default()
            }
        }),
        row("/strongroom.mandate.v1.MandateService/RevokeMandate", Act::MandateRevoke, |key| {
            mandate::RevokeMandateRequest {
                idempotency_key: key,
                holder: "nobody".to_owned(),
                mandate_record_seq: 1,
                reason: "a test".to_owned(),
            }
        }),
        row("/strongroom.mandate.v1.MandateService/ListMandates", Act::MandateList, |_| {
            mandate::ListMandatesRequest::default()
        }),
        row("/strongroom.disposal.v1.DisposalService/PlanDisposal", Act::DisposalPlan, |_| PlanDisposalRequest {
            item_ids: vec![NOTHING],
        }),
        row("/strongroom.disposal.v1.DisposalService/ProposeDisposal", Act::DisposalPropose, |key| {
            ProposeDisposalRequest {
                idempotency_key: key,
                items: vec![ProposedItem { item_id: NOTHING, basis: String::new() }],
                basis: "a test".to_owned(),
            }
        }),
        row("/strongroom.disposal.v1.DisposalService/ApproveDisposal", Act::DisposalApprove, |key| {
            ApproveDisposalRequest { idempotency_key: key, disposal_id: NO_BATCH.to_owned() }
        }),
        row("/strongroom.disposal.v1.DisposalService/WithdrawDisposal", Act::DisposalWithdraw, |key| {
            WithdrawDisposalRequest {
                idempotency_key: key,
                disposal_id: NO_BATCH.to_owned(),
                reason: "a test".to_owned(),
            }
        }),
        row("/strongroom.disposal.v1.DisposalService/ExecuteDisposal", Act::DisposalExecute, |key| {
            ExecuteDisposalRequest {
                idempotency_key: key,
                disposal_id: NO_BATCH.to_owned(),
                supervisors: vec!["inspector".to_owned(), "unit-head".to_owned()],
            }
        }),
        row("/strongroom.disposal.v1.DisposalService/SignDisposal", Act::DisposalSign, |key| SignDisposalRequest {
            idempotency_key: key,
            disposal_id: NO_BATCH.to_owned(),
        }),
        row("/strongroom.disposal.v1.DisposalService/CloseLost", Act::DisposalCloseLost, |key| CloseLostRequest {
            idempotency_key: key,
            lost: Some(Lost::DiskId(NOTHING)),
            reason: "a test".to_owned(),
        }),
        row("/strongroom.disposal.v1.DisposalService/ShowDisposal", Act::DisposalShow, |_| ShowDisposalRequest {
            disposal_id: NO_BATCH.to_owned(),
        }),
        row("/strongroom.disposal.v1.DisposalService/FetchCertificate", Act::DisposalShow, |_| {
            FetchCertificateRequest { disposal_id: NO_BATCH.to_owned() }
        }),
        row("/strongroom.disposal.v1.DisposalService/ListDisposals", Act::DisposalList, |_| {
            ListDisposalsRequest::default()
        }),
        row("/strongroom.secret.v1.SecretService/SealDevice", Act::SecretSealDevice, |key| secret::SealDeviceRequest {
            idempotency_key: key,
            device_id: NO_DEVICE.to_owned(),
            envelope: "MF-1".to_owned(),
            found_by: "recorder".to_owned(),
            reason: "a test".to_owned(),
            activity_id: String::new(),
        }),
        row("/strongroom.secret.v1.SecretService/PlanRemoval", Act::SecretPropose, |_| secret::PlanRemovalRequest {
            item_ids: vec![NOTHING],
        }),
        row("/strongroom.secret.v1.SecretService/ProposeRemoval", Act::SecretPropose, |key| {
            secret::ProposeRemovalRequest {
                idempotency_key: key,
                item_ids: vec![NOTHING],
                form: Some(secret::RemovalForm {
                    organ: "保密局".to_owned(),
                    receiver: "李四".to_owned(),
                    receiver_key: Bytes::from_static(&[7; 32]),
                    carrier: "JM-1".to_owned(),
                    basis: "a test".to_owned(),
                }),
                executor: "archivist".to_owned(),
                copies: Vec::new(),
            }
        }),
        row("/strongroom.secret.v1.SecretService/ApproveRemoval", Act::SecretApprove, |key| {
            secret::ApproveRemovalRequest { idempotency_key: key, removal_id: NO_REMOVAL.to_owned() }
        }),
        row("/strongroom.secret.v1.SecretService/WithdrawRemoval", Act::SecretWithdraw, |key| {
            secret::WithdrawRemovalRequest {
                idempotency_key: key,
                removal_id: NO_REMOVAL.to_owned(),
                reason: "a test".to_owned(),
            }
        }),
        row("/strongroom.secret.v1.SecretService/FileSignature", Act::SecretSign, |key| secret::FileSignatureRequest {
            idempotency_key: key,
            removal_id: NO_REMOVAL.to_owned(),
            signature: Bytes::from_static(&[9; 64]),
        }),
        row("/strongroom.secret.v1.SecretService/ExecuteRemoval", Act::SecretExecute, |key| {
            secret::ExecuteRemovalRequest {
                idempotency_key: key,
                removal_id: NO_REMOVAL.to_owned(),
                supervisors: vec!["inspector".to_owned(), "unit-head".to_owned()],
            }
        }),
        row("/strongroom.secret.v1.SecretService/DestroyCopy", Act::SecretCopy, |key| secret::DestroyCopyRequest {
            idempotency_key: key,
            removal_id: NO_REMOVAL.to_owned(),
            copy: 0,
            destroyed_unix_ms: 1,
            note: "a test".to_owned(),
        }),
        row("/strongroom.secret.v1.SecretService/CloseRemoval", Act::DisposalSign, |key| secret::CloseRemovalRequest {
            idempotency_key: key,
            removal_id: NO_REMOVAL.to_owned(),
        }),
        row("/strongroom.secret.v1.SecretService/ShowRemoval", Act::DisposalShow, |_| secret::ShowRemovalRequest {
            removal_id: NO_REMOVAL.to_owned(),
        }),
        row("/strongroom.secret.v1.SecretService/FetchRemovalCertificate", Act::DisposalShow, |_| {
            secret::FetchRemovalCertificateRequest { removal_id: NO_REMOVAL.to_owned() }
        }),
        row("/strongroom.secret.v1.SecretService/ListRemovals", Act::DisposalList, |_| {
            secret::ListRemovalsRequest::default()
        }),
        row("/strongroom.inspection.v1.InspectionService/PreviewDraw", Act::DrawRecord, |_| PreviewDrawRequest {
            query: Some(DrawQuery::default()),
            ratio_percent: 10,
        }),
        row("/strongroom.inspection.v1.InspectionService/RecordDraw", Act::DrawRecord, |key| RecordDrawRequest {
            idempotency_key: key,
            query: Some(DrawQuery::default()),
            ratio_percent: 10,
            reason: String::new(),
        }),
        row("/strongroom.inspection.v1.InspectionService/ShowDraw", Act::DrawShow, |_| ShowDrawRequest {
            draw_id: NO_DRAW.to_owned(),
        }),
        row("/strongroom.inspection.v1.InspectionService/ListDraws", Act::DrawList, |_| ListDrawsRequest::default()),
        row("/strongroom.inspection.v1.InspectionService/FetchDrawProof", Act::DrawShow, |_| FetchDrawProofRequest {
            draw_id: NO_DRAW.to_owned(),
        }),
        row("/strongroom.inspection.v1.InspectionService/TargetItems", Act::InspectionTarget, |key| {
            TargetItemsRequest {
                idempotency_key: key,
                item_ids: vec![NOTHING],
                complaint: "7".to_owned(),
                reason: "a test".to_owned(),
            }
        }),
        row("/strongroom.inspection.v1.InspectionService/RecordResult", Act::InspectionResult, |key| {
            RecordResultRequest {
                idempotency_key: key,
                inspection: Some(InspectionRef { draw_id: "DRAW-99".to_owned(), target_record_seq: 0 }),
                item_id: Bytes::copy_from_slice(&[9; 16]),
                ..Default::default()
            }
        }),
        row("/strongroom.inspection.v1.InspectionService/AnswerRectification", Act::InspectionRectify, |key| {
            AnswerRectificationRequest {
                idempotency_key: key,
                inspection: Some(InspectionRef { draw_id: "DRAW-99".to_owned(), target_record_seq: 0 }),
                item_id: Bytes::copy_from_slice(&[9; 16]),
                entry_record_seq: 1,
                done: "x".to_owned(),
            }
        }),
        row("/strongroom.inspection.v1.InspectionService/ShowSheet", Act::InspectionSheet, |_| ShowSheetRequest {
            inspection: Some(InspectionRef { draw_id: "DRAW-99".to_owned(), target_record_seq: 0 }),
        }),
        row("/strongroom.inspection.v1.InspectionService/ListTargets", Act::DrawList, |_| {
            ListTargetsRequest::default()
        }),
        row("/strongroom.access.v1.AccessService/BeginCopyOut", Act::CopyOutBegin, |key| BeginCopyOutRequest {
            idempotency_key: key,
            request_id: NO_REQUEST.to_owned(),
            removal_id: String::new(),
        }),
        row("/strongroom.access.v1.AccessService/BeginView", Act::ViewBegin, |key| BeginViewRequest {
            idempotency_key: key,
            request_id: String::new(),
            item_id: NOTHING,
            reason: "a test".to_owned(),
        }),
        row(crate::wire::READ, Act::SessionRead, |_| ReadRequest {
            session_id: NOTHING,
            item_id: NOTHING,
            ..Default::default()
        }),
        row("/strongroom.access.v1.AccessService/EndSession", Act::SessionEnd, |key| EndSessionRequest {
            idempotency_key: key,
            session_id: NOTHING,
            complete: true,
        }),
        row("/strongroom.admin.v1.AdminService/RegisterPrincipal", Act::PrincipalRegister, move |key| {
            RegisterPrincipalRequest {
                idempotency_key: key,
                principal_id: "legal".to_owned(),
                certificate: certificate.clone(),
                roles: vec!["legal".to_owned()],
                unit_id: String::new(),
            }
        }),
        row("/strongroom.admin.v1.AdminService/RotatePrincipal", Act::PrincipalRotate, move |key| {
            RotatePrincipalRequest {
                idempotency_key: key,
                principal_id: "nobody".to_owned(),
                certificate: again.clone(),
            }
        }),
        row("/strongroom.admin.v1.AdminService/RevokePrincipal", Act::PrincipalRevoke, |key| RevokePrincipalRequest {
            idempotency_key: key,
            principal_id: "nobody".to_owned(),
            reason: "a test".to_owned(),
        }),
        row("/strongroom.admin.v1.AdminService/ListPrincipals", Act::PrincipalList, |_| ListPrincipalsRequest {}),
        row("/strongroom.admin.v1.AdminService/AddUnit", Act::UnitAdd, |key| AddUnitRequest {
            idempotency_key: key,
            unit: Some(Unit {
                unit_id: "U1".to_owned(),
                full_name: "U1".to_owned(),
                profile: "dev".to_owned(),
                ..Default::default()
            }),
        }),
        row("/strongroom.admin.v1.AdminService/ListUnits", Act::UnitList, |_| ListUnitsRequest {}),
        row("/strongroom.admin.v1.AdminService/AddDevice", Act::DeviceAdd, |key| AddDeviceRequest {
            idempotency_key: key,
            device: Some(Device {
                device_id: "D1".to_owned(),
                unit_id: "U1".to_owned(),
                device_type: "bwc".to_owned(),
                ..Default::default()
            }),
        }),
        row("/strongroom.admin.v1.AdminService/ListDevices", Act::DeviceList, |_| ListDevicesRequest {}),
        row("/strongroom.admin.v1.AdminService/ShowProfile", Act::ProfileShow, |_| ShowProfileRequest {
            name: "dev".to_owned(),
        }),
        row("/strongroom.admin.v1.AdminService/ListProfiles", Act::ProfileShow, |_| ListProfilesRequest {}),
        row("/strongroom.device.v1.DeviceService/IssueDevice", Act::DeviceIssue, |key| device::IssueDeviceRequest {
            idempotency_key: key,
            device_id: NO_DEVICE.to_owned(),
            to: "legal".to_owned(),
            ..Default::default()
        }),
        row("/strongroom.device.v1.DeviceService/HandOverDevice", Act::DeviceHandOver, |key| {
            device::HandOverDeviceRequest {
                idempotency_key: key,
                device_id: NO_DEVICE.to_owned(),
                to: "legal".to_owned(),
                ..Default::default()
            }
        }),
        row("/strongroom.device.v1.DeviceService/ReturnDevice", Act::DeviceReturn, |key| device::ReturnDeviceRequest {
            idempotency_key: key,
            device_id: NO_DEVICE.to_owned(),
            ..Default::default()
        }),
        row("/strongroom.device.v1.DeviceService/AnswerOffer", Act::DeviceAccept, |key| device::AnswerOfferRequest {
            idempotency_key: key,
            device_id: NO_DEVICE.to_owned(),
            ..Default::default()
        }),
        row("/strongroom.device.v1.DeviceService/ReportLoss", Act::DeviceReportLoss, |key| device::ReportLossRequest {
            idempotency_key: key,
            device_id: NO_DEVICE.to_owned(),
            circumstances: "a test".to_owned(),
            ..Default::default()
        }),
        row("/strongroom.device.v1.DeviceService/ReportFault", Act::DeviceReportFault, |key| {
            device::ReportFaultRequest {
                idempotency_key: key,
                device_id: NO_DEVICE.to_owned(),
                fault: "a test".to_owned(),
                reported_to: "head".to_owned(),
                ..Default::default()
            }
        }),
        row("/strongroom.device.v1.DeviceService/ConfirmFault", Act::DeviceConfirmFault, |key| {
            device::ConfirmFaultRequest { idempotency_key: key, device_id: NO_DEVICE.to_owned() }
        }),
        row("/strongroom.device.v1.DeviceService/SendToRepair", Act::DeviceRepair, |key| device::SendToRepairRequest {
            idempotency_key: key,
            device_id: NO_DEVICE.to_owned(),
            repairer: "a test".to_owned(),
            ..Default::default()
        }),
        row("/strongroom.device.v1.DeviceService/RestoreDevice", Act::DeviceRestore, |key| {
            device::RestoreDeviceRequest {
                idempotency_key: key,
                device_id: NO_DEVICE.to_owned(),
                note: "a test".to_owned(),
            }
        }),
        row("/strongroom.device.v1.DeviceService/DockDevice", Act::DeviceDock, |key| device::DockDeviceRequest {
            idempotency_key: key,
            device_id: NO_DEVICE.to_owned(),
            against: "a test".to_owned(),
            ..Default::default()
        }),
        row("/strongroom.device.v1.DeviceService/CorrectEntry", Act::DeviceCorrect, |key| {
            device::CorrectEntryRequest {
                idempotency_key: key,
                device_id: NO_DEVICE.to_owned(),
                field: "content".to_owned(),
                value: "x".to_owned(),
                reason: "a test".to_owned(),
                ..Default::default()
            }
        }),
        row("/strongroom.device.v1.DeviceService/ClearPerson", Act::DeviceClearance, |key| {
            device::ClearPersonRequest { idempotency_key: key, principal_id: "nobody".to_owned() }
        }),
        row("/strongroom.device.v1.DeviceService/NameKeeper", Act::KeeperName, |key| device::NameKeeperRequest {
            idempotency_key: key,
            unit_id: "U-none".to_owned(),
            principal_id: "custodian".to_owned(),
            ..Default::default()
        }),
        row("/strongroom.device.v1.DeviceService/ShowDevice", Act::DeviceLedger, |_| device::ShowDeviceRequest {
            device_id: NO_DEVICE.to_owned(),
        }),
        row("/strongroom.device.v1.DeviceService/ListEntries", Act::DeviceLedger, |_| device::ListEntriesRequest {
            device_id: NO_DEVICE.to_owned(),
            ..Default::default()
        }),
        row("/strongroom.device.v1.DeviceService/ListUncollected", Act::DeviceLedger, |_| {
            device::ListUncollectedRequest::default()
        }),
        row("/strongroom.device.v1.DeviceService/ListTies", Act::DeviceLedger, |_| device::ListTiesRequest {
            principal_id: "nobody".to_owned(),
        }),
        row("/strongroom.device.v1.DeviceService/ListKeepers", Act::UnitList, |_| device::ListKeepersRequest {
            unit_id: "U1".to_owned(),
        }),
        row("/strongroom.activity.v1.ActivityService/OpenActivity", Act::ActivityOpen, |key| {
            activity::OpenActivityRequest {
                idempotency_key: key,
                activity: Some(activity::Activity {
                    activity_id: NO_ACTIVITY.to_owned(),
                    unit_id: "U-none".to_owned(),
                    ..Default::default()
                }),
            }
        }),
        row("/strongroom.activity.v1.ActivityService/AddPhase", Act::ActivityPhase, |key| activity::AddPhaseRequest {
            idempotency_key: key,
            activity_id: NO_ACTIVITY.to_owned(),
            phase: Some(activity::Phase::default()),
        }),
        row("/strongroom.activity.v1.ActivityService/SetMoment", Act::ActivityMoment, |key| {
            activity::SetMomentRequest {
                idempotency_key: key,
                activity_id: NO_ACTIVITY.to_owned(),
                moment: "activity_ended".to_owned(),
                ..Default::default()
            }
        }),
        row("/strongroom.activity.v1.ActivityService/CorrectActivity", Act::ActivityCorrect, |key| {
            activity::CorrectActivityRequest {
                idempotency_key: key,
                activity_id: NO_ACTIVITY.to_owned(),
                field: "place".to_owned(),
                ..Default::default()
            }
        }),
        row("/strongroom.activity.v1.ActivityService/AttachItem", Act::ActivityAttach, |key| {
            activity::AttachItemRequest {
                idempotency_key: key,
                activity_id: NO_ACTIVITY.to_owned(),
                item_id: NOTHING,
                ..Default::default()
            }
        }),
        row("/strongroom.activity.v1.ActivityService/RecordInterruption", Act::ActivityInterruption, |key| {
            activity::RecordInterruptionRequest {
                idempotency_key: key,
                interruption: Some(activity::Interruption {
                    activity_id: NO_ACTIVITY.to_owned(),
                    cause: "bad_weather".to_owned(),
                    ..Default::default()
                }),
            }
        }),
        row("/strongroom.activity.v1.ActivityService/RecordExemption", Act::ActivityExempt, |key| {
            activity::RecordExemptionRequest {
                idempotency_key: key,
                exemption: Some(activity::Exemption {
                    activity_id: NO_ACTIVITY.to_owned(),
                    cause: "urgent".to_owned(),
                    consent_office: "on_scene".to_owned(),
                    ..Default::default()
                }),
            }
        }),
        row("/strongroom.activity.v1.ActivityService/FileStatement", Act::ActivityFile, |key| {
            activity::FileStatementRequest {
                idempotency_key: key,
                activity_id: NO_ACTIVITY.to_owned(),
                item_id: NOTHING,
                ..Default::default()
            }
        }),
        row("/strongroom.activity.v1.ActivityService/AcknowledgeNotice", Act::NoticeAcknowledge, |key| {
            activity::AcknowledgeNoticeRequest {
                idempotency_key: key,
                unit_id: "U1".to_owned(),
                number: 999_999,
                ..Default::default()
            }
        }),
        row("/strongroom.activity.v1.ActivityService/ShowActivity", Act::ActivityShow, |_| {
            activity::ShowActivityRequest { activity_id: NO_ACTIVITY.to_owned() }
        }),
        row("/strongroom.activity.v1.ActivityService/ListActivities", Act::ActivityShow, |_| {
            activity::ListActivitiesRequest::default()
        }),
        row("/strongroom.activity.v1.ActivityService/ListInterruptions", Act::ActivityShow, |_| {
            activity::ListInterruptionsRequest::default()
        }),
        row("/strongroom.activity.v1.ActivityService/ListExemptions", Act::ActivityShow, |_| {
            activity::ListExemptionsRequest::default()
        }),
        row("/strongroom.activity.v1.ActivityService/ListNotices", Act::ActivityShow, |_| {
            activity::ListNoticesRequest::default()
        }),
        row("/strongroom.profile.v1.ProfileService/ProposeProfile", Act::ProfilePropose, |key| ProposeProfileRequest {
            idempotency_key: key,
            toml: "no profile".to_owned(),
        }),
        row("/strongroom.profile.v1.ProfileService/ApproveProfile", Act::ProfileApprove, |key| ApproveProfileRequest {
            idempotency_key: key,
            name: "dev".to_owned(),
            proposal_record_seq: 0,
        }),
        row("/strongroom.profile.v1.ProfileService/WithdrawProfile", Act::ProfileWithdraw, |key| {
            WithdrawProfileRequest { idempotency_key: key, name: "dev".to_owned(), reason: "none".to_owned() }
        }),
        row("/strongroom.profile.v1.ProfileService/PreviewProfile", Act::ProfilePreview, |_| PreviewProfileRequest {
            toml: "no profile".to_owned(),
        }),
        row("/strongroom.profile.v1.ProfileService/ListProposals", Act::ProfileShow, |_| ListProposalsRequest {}),
        row("/strongroom.ledger.v1.LedgerService/FetchCheckpoint", Act::LedgerProve, |_| FetchCheckpointRequest {}),
        row("/strongroom.ledger.v1.LedgerService/ListRecords", Act::LedgerRecords, |_| ListRecordsRequest::default()),
        row("/strongroom.ledger.v1.LedgerService/ProveInclusion", Act::LedgerProve, |_| ProveInclusionRequest {
            seq: 0,
        }),
        row("/strongroom.ledger.v1.LedgerService/ProveConsistency", Act::LedgerProve, |_| ProveConsistencyRequest {
            old_size: 1,
            new_size: 1,
        }),
        row("/strongroom.ledger.v1.LedgerService/FetchPolicy", Act::LedgerProve, |_| FetchPolicyRequest {}),
        row("/strongroom.ledger.v1.LedgerService/ListDigests", Act::LedgerProve, |_| ListDigestsRequest::default()),
        row("/strongroom.ledger.v1.LedgerService/ListRetained", Act::LedgerRecords, |_| ListRetainedRequest::default()),
        row("/strongroom.cluster.v1.ClusterService/ShowStatus", Act::ClusterStatus, |_| ShowStatusRequest {}),
        row("/strongroom.cluster.v1.ClusterService/PlanVoter", Act::ClusterStatus, |_| PlanVoterRequest::default()),
        row("/strongroom.cluster.v1.ClusterService/ListVoterChanges", Act::ClusterStatus, |_| {
            ListVoterChangesRequest {}
        }),
        row("/strongroom.cluster.v1.ClusterService/ProposeVoter", Act::VoterPropose, |key| ProposeVoterRequest {
            idempotency_key: key,
            old_node_id: 999,
            new_node_id: 1000,
            reason: "a test".to_owned(),
        }),
        row("/strongroom.cluster.v1.ClusterService/ApproveVoter", Act::VoterApprove, |key| ApproveVoterRequest {
            idempotency_key: key,
            proposal_record_seq: 0,
        }),
        row("/strongroom.cluster.v1.ClusterService/WithdrawVoter", Act::VoterWithdraw, |key| WithdrawVoterRequest {
            idempotency_key: key,
            proposal_record_seq: 0,
            reason: "a test".to_owned(),
        }),
        row("/strongroom.cluster.v1.ClusterService/ShowClock", Act::ClockShow, |_| ShowClockRequest {}),
        // Nobody lets time pass by 0: whoever may is told so.
        row("/strongroom.cluster.v1.ClusterService/AdvanceClock", Act::ClockAdvance, |key| AdvanceClockRequest {
            idempotency_key: key,
            advance_ms: 0,
            reason: "a test".to_owned(),
        }),
    ];
    rows.into_iter().chain(kept::rows()).collect()
}

/// An original of a unit as a station would announce it.
pub(crate) fn original(unit: &str) -> OriginalDescription {
    OriginalDescription {
        device_id: "D1".to_owned(),
        unit_id: unit.to_owned(),
        file_name: "MOV0001.mp4".to_owned(),
        recorded_start_unix_ms: 1_772_328_600_000,
        recorded_end_unix_ms: 1_772_328_660_000,
        ..Default::default()
    }
}

pub(crate) fn row<M>(path: &'static str, act: Act, message: impl Fn(String) -> M + Send + Sync + 'static) -> Call
where
    M: Message + 'static,
{
    let make = move |channel: Channel, key: &str| -> Answered {
        let message = message(key.to_owned());
        // Any answer decodes as the empty message: only whether there is one matters here.
        Box::pin(async move { call::<M, ()>(&channel, path, message).await.map(|_| ()) })
    };
    Call { path, act, make: Box::new(make) }
}

//! Calls about the keeping of items, and about the units that keep them.

use bytes::Bytes;
use strongroom_custody::Act;
use strongroom_proto::admin::ShowUnitRequest;
use strongroom_proto::case::{
    AnswerCaseRequest, ArchiveCaseRequest, BindCaseRequest, CloseCaseRequest, ListCaseItemsRequest, ListCasesRequest,
    ListTransfersRequest, OfferCaseRequest, OpenCaseRequest, Outcome, ReopenCaseRequest, ShowCaseRequest,
};
use strongroom_proto::catalog::{
    ClassifyItemRequest, ExtendItemRequest, ReleaseQuarantineRequest, RestrictItemRequest, TriggerItemRequest,
    UnrestrictItemRequest,
};
use strongroom_proto::correction::{
    ApproveCorrectionRequest, ListCorrectionsRequest, Mark, Mistake, PlanOutagesRequest, ProposeCorrectionRequest,
    ShowCorrectionRequest, WithdrawCorrectionRequest, mistake::Kind,
};
use strongroom_proto::hold::{
    ListHoldsRequest, PlaceHoldRequest, PreviewHoldRequest, ReleaseHoldRequest, Scope, ShowHoldRequest,
};
use strongroom_proto::organisation::unit_change::Change;
use strongroom_proto::organisation::{
    Abolish, ApproveUnitChangeRequest, LeavePrincipalRequest, ListTasksRequest, ListUnitChangesRequest,
    PlanUnitChangeRequest, ProposeUnitChangeRequest, StayPrincipalRequest, UnitChange, WithdrawUnitChangeRequest,
};

use crate::calls::{Call, NOTHING, row};

/// A case, a hold and a correction that there are none of.
const NO_CASE: &str = "no such case";
const NO_HOLD: &str = "no such hold";
const NO_CORRECTION: &str = "COR-999999";

/// Their rows of the table.
pub(crate) fn rows() -> Vec<Call> {
    [of_items(), of_cases(), of_holds(), of_corrections(), of_units()].into_iter().flatten().collect()
}

fn why() -> String {
    "a test".to_owned()
}

fn of_items() -> Vec<Call> {
    vec![
        row("/strongroom.catalog.v1.CatalogService/ExtendItem", Act::ItemExtend, |key| ExtendItemRequest {
            idempotency_key: key,
            item_id: NOTHING,
            until_unix_ms: 1_900_000_000_000,
            reason: why(),
        }),
        row("/strongroom.catalog.v1.CatalogService/TriggerItem", Act::ItemTrigger, |key| TriggerItemRequest {
            idempotency_key: key,
            item_id: NOTHING,
            code: "t2".to_owned(),
            basis: why(),
        }),
        row("/strongroom.catalog.v1.CatalogService/RestrictItem", Act::ItemRestrict, |key| RestrictItemRequest {
            idempotency_key: key,
            item_id: NOTHING,
            kind: "non-duty".to_owned(),
            reason: why(),
        }),
        row("/strongroom.catalog.v1.CatalogService/UnrestrictItem", Act::ItemUnrestrict, |key| UnrestrictItemRequest {
            idempotency_key: key,
            item_id: NOTHING,
            reason: why(),
        }),
        row("/strongroom.catalog.v1.CatalogService/ClassifyItem", Act::ItemClassify, |key| ClassifyItemRequest {
            idempotency_key: key,
            item_id: NOTHING,
            class: "trade-secret".to_owned(),
            basis: why(),
        }),
        row("/strongroom.catalog.v1.CatalogService/ReleaseQuarantine", Act::QuarantineRelease, |key| {
            ReleaseQuarantineRequest { idempotency_key: key, item_id: NOTHING, reason: why() }
        }),
    ]
}

fn of_cases() -> Vec<Call> {
    let case = || NO_CASE.to_owned();
    vec![
        // The first of each role opens it, the others find it there.
        row("/strongroom.case.v1.CaseService/OpenCase", Act::CaseOpen, |key| OpenCaseRequest {
            idempotency_key: key,
            case_id: "a case".to_owned(),
            unit_id: "U1".to_owned(),
            title: why(),
        }),
        row("/strongroom.case.v1.CaseService/BindCase", Act::CaseBind, move |key| BindCaseRequest {
            idempotency_key: key,
            case_id: case(),
            item_ids: vec![NOTHING],
        }),
        row("/strongroom.case.v1.CaseService/CloseCase", Act::CaseClose, move |key| CloseCaseRequest {
            idempotency_key: key,
            case_id: case(),
            outcome: Outcome::Concluded.into(),
            reason: why(),
        }),
        row("/strongroom.case.v1.CaseService/ArchiveCase", Act::CaseArchive, move |key| ArchiveCaseRequest {
            idempotency_key: key,
            case_id: case(),
            date_unix_ms: 1_772_328_600_000,
            term_months: 12,
            permanent: false,
        }),
        row("/strongroom.case.v1.CaseService/ReopenCase", Act::CaseReopen, move |key| ReopenCaseRequest {
            idempotency_key: key,
            case_id: case(),
            reason: why(),
        }),
        row("/strongroom.case.v1.CaseService/ShowCase", Act::CaseShow, move |_| ShowCaseRequest { case_id: case() }),
        row("/strongroom.case.v1.CaseService/ListCases", Act::CaseList, |_| ListCasesRequest::default()),
        row("/strongroom.case.v1.CaseService/ListCaseItems", Act::CaseShow, move |_| ListCaseItemsRequest {
            case_id: case(),
            page_size: 0,
            page_token: Bytes::new(),
        }),
        row("/strongroom.case.v1.CaseService/OfferCase", Act::CaseOffer, move |key| OfferCaseRequest {
            idempotency_key: key,
            case_id: case(),
            to_unit_id: "U1".to_owned(),
            reason: why(),
            document: String::new(),
        }),
        row("/strongroom.case.v1.CaseService/AnswerCase", Act::CaseAccept, move |key| AnswerCaseRequest {
            idempotency_key: key,
            case_id: case(),
            ..Default::default()
        }),
        row("/strongroom.case.v1.CaseService/ListTransfers", Act::CaseShow, move |_| ListTransfersRequest {
            case_id: case(),
        }),
    ]
}

fn of_holds() -> Vec<Call> {
    let scope = || Some(Scope { item_ids: vec![NOTHING], ..Scope::default() });
    vec![
        row("/strongroom.hold.v1.HoldService/PreviewHold", Act::HoldPlace, move |_| PreviewHoldRequest {
            scope: scope(),
        }),
        row("/strongroom.hold.v1.HoldService/PlaceHold", Act::HoldPlace, move |key| PlaceHoldRequest {
            idempotency_key: key,
            hold_id: NO_HOLD.to_owned(),
            authority: why(),
            document: String::new(),
            reason: why(),
            scope: scope(),
        }),
        row("/strongroom.hold.v1.HoldService/ReleaseHold", Act::HoldRelease, |key| ReleaseHoldRequest {
            idempotency_key: key,
            hold_id: NO_HOLD.to_owned(),
            reason: why(),
        }),
        row("/strongroom.hold.v1.HoldService/ShowHold", Act::HoldShow, |_| ShowHoldRequest {
            hold_id: NO_HOLD.to_owned(),
        }),
        row("/strongroom.hold.v1.HoldService/ListHolds", Act::HoldList, |_| ListHoldsRequest::default()),
    ]
}

fn of_corrections() -> Vec<Call> {
    let mistake = || Some(Mistake { kind: Some(Kind::Extension(Mark { item_id: NOTHING, record_seq: 1 })) });
    vec![
        row("/strongroom.correction.v1.CorrectionService/ProposeCorrection", Act::CorrectionPropose, move |key| {
            ProposeCorrectionRequest { idempotency_key: key, mistake: mistake(), reason: why() }
        }),
        row("/strongroom.correction.v1.CorrectionService/ApproveCorrection", Act::CorrectionApprove, |key| {
            ApproveCorrectionRequest { idempotency_key: key, correction_id: NO_CORRECTION.to_owned() }
        }),
        row("/strongroom.correction.v1.CorrectionService/PlanOutages", Act::ClockShow, |_| {
            PlanOutagesRequest::default()
        }),
        row("/strongroom.correction.v1.CorrectionService/WithdrawCorrection", Act::CorrectionWithdraw, |key| {
            WithdrawCorrectionRequest { idempotency_key: key, correction_id: NO_CORRECTION.to_owned(), reason: why() }
        }),
        row("/strongroom.correction.v1.CorrectionService/ShowCorrection", Act::CorrectionList, |_| {
            ShowCorrectionRequest { correction_id: NO_CORRECTION.to_owned() }
        }),
        row("/strongroom.correction.v1.CorrectionService/ListCorrections", Act::CorrectionList, |_| {
            ListCorrectionsRequest::default()
        }),
    ]
}

fn of_units() -> Vec<Call> {
    let change = || {
        let abolish = Abolish { unit_id: "U-none".to_owned(), successor_id: "U1".to_owned() };
        Some(UnitChange { change: Some(Change::Abolish(abolish)) })
    };
    vec![
        row("/strongroom.admin.v1.AdminService/ShowUnit", Act::UnitList, |_| ShowUnitRequest {
            unit_id: "U-none".to_owned(),
        }),
        row("/strongroom.organisation.v1.OrganisationService/ProposeUnitChange", Act::UnitPropose, move |key| {
            ProposeUnitChangeRequest { idempotency_key: key, change: change(), from_unix_ms: None, basis: why() }
        }),
        row("/strongroom.organisation.v1.OrganisationService/ApproveUnitChange", Act::UnitApprove, |key| {
            ApproveUnitChangeRequest { idempotency_key: key, proposal_record_seq: 0 }
        }),
        row("/strongroom.organisation.v1.OrganisationService/WithdrawUnitChange", Act::UnitWithdraw, |key| {
            WithdrawUnitChangeRequest { idempotency_key: key, proposal_record_seq: 0, reason: why() }
        }),
        row("/strongroom.organisation.v1.OrganisationService/PlanUnitChange", Act::UnitPlan, move |_| {
            PlanUnitChangeRequest { change: change() }
        }),
        row("/strongroom.organisation.v1.OrganisationService/ListUnitChanges", Act::UnitList, |_| {
            ListUnitChangesRequest {}
        }),
        row("/strongroom.organisation.v1.OrganisationService/LeavePrincipal", Act::PrincipalLeave, |key| {
            LeavePrincipalRequest {
                idempotency_key: key,
                principal_id: "nobody".to_owned(),
                on_unix_ms: None,
                to_principal_id: "legal".to_owned(),
                reason: why(),
            }
        }),
        row("/strongroom.organisation.v1.OrganisationService/StayPrincipal", Act::PrincipalLeave, |key| {
            StayPrincipalRequest { idempotency_key: key, principal_id: "nobody".to_owned(), reason: why() }
        }),
        row("/strongroom.organisation.v1.OrganisationService/ListTasks", Act::PrincipalTasks, |_| ListTasksRequest {
            principal_id: "nobody".to_owned(),
            ..Default::default()
        }),
    ]
}

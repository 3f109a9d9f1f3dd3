//! The one map between refusals and gRPC: code from the reason, `google.rpc.ErrorInfo` with rule, article and remedy.

use std::collections::HashMap;

use strongroom_types::{ErrorKind, Reason, Refusal};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

const DOMAIN: &str = "strongroom";

/// The status that tells a caller of a refusal.
#[must_use]
pub fn from_refusal(refusal: &Refusal) -> Status {
    let told = [("rule", &refusal.rule), ("remedy", &refusal.remedy), ("article", &refusal.article)];
    let told = told.into_iter().filter(|(_, text)| !text.is_empty());
    let metadata: HashMap<_, _> = told.map(|(name, text)| (name.to_owned(), text.clone())).collect();
    let details = ErrorDetails::with_error_info(refusal.reason.name(), DOMAIN, metadata);
    Status::with_error_details(code(refusal.reason), refusal.message.clone(), details)
}

/// The refusal that a status tells of. A status of somebody else's making becomes the nearest reason.
#[must_use]
pub fn to_refusal(status: &Status) -> Refusal {
    let info = status.get_details_error_info().filter(|info| info.domain == DOMAIN);
    let named = info.as_ref().and_then(|info| Reason::from_name(&info.reason));
    let text = |name: &str| info.as_ref().and_then(|info| info.metadata.get(name).cloned()).unwrap_or_default();
    Refusal {
        reason: named.unwrap_or_else(|| nearest(status.code())),
        rule: text("rule"),
        message: status.message().to_owned(),
        remedy: text("remedy"),
        article: text("article"),
    }
}

/// The gRPC code of a reason.
#[must_use]
pub const fn code(reason: Reason) -> Code {
    match reason {
        Reason::Unauthenticated | Reason::UnknownPrincipal => Code::Unauthenticated,
        Reason::PrincipalRevoked
        | Reason::RoleNotAllowed
        | Reason::OutsideUnit
        | Reason::SamePerson
        | Reason::OutsideGrant
        | Reason::NotYourStep
        | Reason::AssentMissing => Code::PermissionDenied,
        Reason::ApprovalMissing
        | Reason::ActUnspecified
        | Reason::GrantEnded
        | Reason::RetentionShortenRefused
        | Reason::Quarantined
        | Reason::WrongState
        | Reason::RetentionActive
        | Reason::HoldActive
        | Reason::FloorUnspecified
        | Reason::ClockUntrusted
        | Reason::Restricted
        | Reason::NotATrial
        | Reason::UploadExpired
        | Reason::RollbackSuspected
        | Reason::DevicesOutstanding
        | Reason::StatementMissing
        | Reason::Disposed
        | Reason::CoolingOff
        | Reason::DisposalIncomplete
        | Reason::PermitInvalid
        | Reason::InDisposal
        | Reason::PolicyLoosenRefused
        | Reason::Removed
        | Reason::SignatureInvalid => Code::FailedPrecondition,
        Reason::OriginalImmutable | Reason::AlreadyExists => Code::AlreadyExists,
        Reason::NoSuchAct => Code::Unimplemented,
        Reason::FieldMissing | Reason::TermMissing | Reason::InvalidArgument | Reason::IdempotencyKeyReused => {
            Code::InvalidArgument
        }
        Reason::NotFound => Code::NotFound,
        Reason::DigestMismatch | Reason::ShardsMissing | Reason::Corrupt => Code::DataLoss,
        Reason::UploadSuperseded | Reason::OutOfOrder => Code::Aborted,
        Reason::Overloaded | Reason::DiskUnavailable => Code::ResourceExhausted,
        Reason::PromiseUnmet | Reason::NoLeader | Reason::ReceiptPending => Code::Unavailable,
        Reason::Internal => Code::Internal,
    }
}

const fn nearest(code: Code) -> Reason {
    match code {
        Code::Unauthenticated => Reason::Unauthenticated,
        Code::PermissionDenied => Reason::RoleNotAllowed,
        Code::FailedPrecondition => Reason::WrongState,
        Code::AlreadyExists => Reason::AlreadyExists,
        Code::Unimplemented => Reason::NoSuchAct,
        Code::InvalidArgument | Code::OutOfRange => Reason::InvalidArgument,
        Code::NotFound => Reason::NotFound,
        Code::DataLoss => Reason::Corrupt,
        Code::ResourceExhausted => Reason::Overloaded,
        Code::Aborted | Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => Reason::NoLeader,
        Code::Ok | Code::Unknown | Code::Internal => Reason::Internal,
    }
}

/// Whether the same call may succeed later or at another node.
#[must_use]
pub fn may_retry(status: &Status) -> bool {
    to_refusal(status).reason.kind() == ErrorKind::TryAgain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_survives_the_wire() {
        for reason in Reason::ALL {
            let mut refusal = Refusal::new(*reason, "R-003-6c", "the request has no approval", "ask the approver");
            refusal.article = "六（三）须经主管领导同意".to_owned();
            assert_eq!(to_refusal(&from_refusal(&refusal)), refusal);
        }
    }
}

//! What a call can come to, and which exit code a tool should end with.

use std::time::Duration;

use strongroom_net::channel::AddressError;
use strongroom_net::tls::TlsError;
use strongroom_types::{ErrorKind, Reason, Refusal};

use crate::context::ContextError;

/// Why a call was not answered with what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The cluster refused: reason, rule and remedy are in the refusal.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No node could be reached until patience ended.
    #[error("could not reach any node for {waited:?}, last {endpoint}: {detail}")]
    Unreachable {
        /// The endpoint tried last.
        endpoint: String,
        /// How long was tried.
        waited: Duration,
        /// What went wrong last.
        detail: String,
    },
    /// One of the two certificates is not good: trying again does not help.
    #[error("could not trust, or was not trusted by, {endpoint}: {detail}")]
    NotTrusted {
        /// The endpoint.
        endpoint: String,
        /// What TLS said.
        detail: String,
    },
    /// The node answered something that it must not.
    #[error("the node answered wrongly: {detail}")]
    Protocol {
        /// What was wrong with the answer.
        detail: String,
    },
    /// The context cannot be used.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// A certificate, key or authority cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An endpoint is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// What a tool's exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitKind {
    /// 1: it failed.
    Failed,
    /// 2: it was asked for wrongly.
    Usage,
    /// 3: the rules refuse it.
    Refused,
}

impl ExitKind {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
        }
    }

    pub(crate) const fn of_reason(reason: Reason) -> Self {
        match reason.kind() {
            ErrorKind::RefusedByPolicy => Self::Refused,
            // Only what a better command line would have mended: a missing item is a failure like any other.
            ErrorKind::FixYourRequest if matches!(reason, Reason::InvalidArgument | Reason::FieldMissing) => {
                Self::Usage
            }
            ErrorKind::FixYourRequest => Self::Failed,
            ErrorKind::TryAgain | ErrorKind::WeAreBroken => Self::Failed,
        }
    }
}

impl ClientError {
    /// What a tool's exit code should say.
    #[must_use]
    pub const fn exit_kind(&self) -> ExitKind {
        match self {
            Self::Refused(refusal) => ExitKind::of_reason(refusal.reason),
            Self::Unreachable { .. } | Self::NotTrusted { .. } | Self::Protocol { .. } => ExitKind::Failed,
            Self::Context(_) | Self::Tls(_) | Self::Address(_) => ExitKind::Usage,
        }
    }

    /// The refusal, where it is one.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Unreachable { .. }
            | Self::NotTrusted { .. }
            | Self::Protocol { .. }
            | Self::Context(_)
            | Self::Tls(_)
            | Self::Address(_) => None,
        }
    }

    pub(crate) fn protocol(detail: impl Into<String>) -> Self {
        Self::Protocol { detail: detail.into() }
    }

    /// Whether the cluster refused for this reason.
    #[must_use]
    pub fn is(&self, reason: Reason) -> bool {
        self.refusal().is_some_and(|refusal| refusal.reason == reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_tell_policy_from_usage_from_failure() {
        for (reason, code) in [
            (Reason::ApprovalMissing, 3),
            (Reason::Unauthenticated, 3),
            (Reason::FieldMissing, 2),
            (Reason::NotFound, 1),
            (Reason::NoLeader, 1),
            (Reason::Corrupt, 1),
        ] {
            let error = ClientError::Refused(Refusal::new(reason, "", "x", ""));
            assert_eq!(error.exit_kind().code(), code, "{reason}");
        }
    }
}

//! Stable reasons for a refusal, and the four answers a caller needs.

use std::fmt;

/// What a caller should do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request itself is wrong: mend it.
    FixYourRequest,
    /// Nothing is wrong with the request: try it again later or elsewhere.
    TryAgain,
    /// The rules refuse it; the refusal names the rule and who can give what is missing.
    RefusedByPolicy,
    /// A fault of ours; a human must look.
    WeAreBroken,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $number:literal $variant:ident $text:literal $kind:ident;)*) => {
        /// Stable reason of a refusal or failure: the number is stored and goes on the wire, the text is for scripts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
        #[cbor(index_only)]
        pub enum Reason {
            $($(#[$doc])* #[n($number)] $variant,)*
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The upper-case name, such as `HOLD_ACTIVE`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// What the caller should do.
            #[must_use]
            pub const fn kind(self) -> ErrorKind {
                match self { $(Self::$variant => ErrorKind::$kind,)* }
            }

            /// The reason of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

reasons! {
    /// No principal is registered for this certificate's key.
    1 UnknownPrincipal "UNKNOWN_PRINCIPAL" RefusedByPolicy;
    /// The principal was revoked.
    2 PrincipalRevoked "PRINCIPAL_REVOKED" RefusedByPolicy;
    /// None of the principal's roles may do this.
    3 RoleNotAllowed "ROLE_NOT_ALLOWED" RefusedByPolicy;
    /// The principal's unit does not cover the subject.
    4 OutsideUnit "OUTSIDE_UNIT" RefusedByPolicy;
    /// One person would take two steps.
    5 SamePerson "SAME_PERSON" RefusedByPolicy;
    /// An approval is missing.
    6 ApprovalMissing "APPROVAL_MISSING" RefusedByPolicy;
    /// The profile names no approver for this act.
    7 ActUnspecified "ACT_UNSPECIFIED" RefusedByPolicy;
    /// The grant has run out of time or uses, or was rejected.
    8 GrantEnded "GRANT_ENDED" RefusedByPolicy;
    /// The item is outside what was asked for or granted.
    9 OutsideGrant "OUTSIDE_GRANT" RefusedByPolicy;
    /// The item is sealed and these are other bytes.
    10 OriginalImmutable "ORIGINAL_IMMUTABLE" RefusedByPolicy;
    /// A later date is allowed, an earlier one is not.
    11 RetentionShortenRefused "RETENTION_SHORTEN_REFUSED" RefusedByPolicy;
    /// The call does not exist, on purpose.
    12 NoSuchAct "NO_SUCH_ACT" RefusedByPolicy;
    /// The item is in quarantine.
    13 Quarantined "QUARANTINED" RefusedByPolicy;
    /// A field that the form requires is empty.
    14 FieldMissing "FIELD_MISSING" FixYourRequest;
    /// A value is out of bounds or does not parse.
    15 InvalidArgument "INVALID_ARGUMENT" FixYourRequest;
    /// What was named does not exist.
    16 NotFound "NOT_FOUND" FixYourRequest;
    /// It exists already, with other content.
    17 AlreadyExists "ALREADY_EXISTS" FixYourRequest;
    /// The idempotency key was used before for something else.
    18 IdempotencyKeyReused "IDEMPOTENCY_KEY_REUSED" FixYourRequest;
    /// The bytes received do not have the digest that was announced.
    19 DigestMismatch "DIGEST_MISMATCH" FixYourRequest;
    /// Another stream took the upload over.
    20 UploadSuperseded "UPLOAD_SUPERSEDED" TryAgain;
    /// The upload had no progress for too long.
    21 UploadExpired "UPLOAD_EXPIRED" FixYourRequest;
    /// Progress does not follow what is committed.
    22 OutOfOrder "OUT_OF_ORDER" TryAgain;
    /// No set of nodes can meet what the class promises.
    23 PromiseUnmet "PROMISE_UNMET" TryAgain;
    /// The disk is full or failing: reads go on, writes do not.
    24 DiskUnavailable "DISK_UNAVAILABLE" TryAgain;
    /// Too much at once.
    25 Overloaded "OVERLOADED" TryAgain;
    /// No leader, or the leader cannot be reached.
    26 NoLeader "NO_LEADER" TryAgain;
    /// Fewer good shards than the scheme needs.
    27 ShardsMissing "SHARDS_MISSING" WeAreBroken;
    /// Something stored is not what it was.
    28 Corrupt "CORRUPT" WeAreBroken;
    /// A fault without a better name.
    29 Internal "INTERNAL" WeAreBroken;
    /// The seal is committed; its checkpoint is not yet cosigned.
    30 ReceiptPending "RECEIPT_PENDING" TryAgain;
    /// The state is not one that this act starts from.
    31 WrongState "WRONG_STATE" RefusedByPolicy;
    /// The retention period runs.
    32 RetentionActive "RETENTION_ACTIVE" RefusedByPolicy;
    /// A legal hold stands.
    33 HoldActive "HOLD_ACTIVE" RefusedByPolicy;
    /// The profile names no floor: everything is kept.
    34 FloorUnspecified "FLOOR_UNSPECIFIED" RefusedByPolicy;
    /// The compliance clock and the wall clocks disagree.
    35 ClockUntrusted "CLOCK_UNTRUSTED" RefusedByPolicy;
    /// This replica is behind what it once signed.
    36 RollbackSuspected "ROLLBACK_SUSPECTED" WeAreBroken;
    /// A certificate is missing, expired or of the wrong authority.
    37 Unauthenticated "UNAUTHENTICATED" RefusedByPolicy;
    /// The item is restricted: only a lawful chain shows it or hands it out.
    38 Restricted "RESTRICTED" RefusedByPolicy;
    /// A case file is archived with a term.
    39 TermMissing "TERM_MISSING" FixYourRequest;
    /// Only a trial cluster can be asked for this.
    60 NotATrial "NOT_A_TRIAL" RefusedByPolicy;

    /// This step belongs to another person: a device's holder, its receiver, its custodian.
    50 NotYourStep "NOT_YOUR_STEP" RefusedByPolicy;
    /// Somebody still has a device, or recordings on one that are not ingested.
    51 DevicesOutstanding "DEVICES_OUTSTANDING" RefusedByPolicy;
    /// What explains an interruption is missing: a voice note, or a report with its written statement.
    52 StatementMissing "STATEMENT_MISSING" RefusedByPolicy;
    /// The item was disposed of.
    55 Disposed "DISPOSED" RefusedByPolicy;
    /// A proposed disposal still waits for objections.
    56 CoolingOff "COOLING_OFF" RefusedByPolicy;
    /// Disks or replicas have not yet done their part of a disposal.
    57 DisposalIncomplete "DISPOSAL_INCOMPLETE" RefusedByPolicy;
    /// A permit to erase that does not verify.
    58 PermitInvalid "PERMIT_INVALID" RefusedByPolicy;
    /// The item is in another batch that is not decided yet.
    59 InDisposal "IN_DISPOSAL" RefusedByPolicy;
    /// A profile's version would take something from items that are stored.
    45 PolicyLoosenRefused "POLICY_LOOSEN_REFUSED" RefusedByPolicy;
    /// The item was transferred to a classified carrier.
    170 Removed "REMOVED" RefusedByPolicy;
    /// What the receiver of a carrier has to sign is not signed, or the signature is not over it.
    171 SignatureInvalid "SIGNATURE_INVALID" RefusedByPolicy;
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A refusal as the caller sees it: what was wrong, by which rule, and who or what can mend it.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Stable reason.
    #[n(0)]
    pub reason: Reason,
    /// Rule id (`R-…`, `G…`, `C…`), or empty where no rule but plain sense decides.
    #[n(1)]
    pub rule: String,
    /// What was wrong, as a sentence fragment in English.
    #[n(2)]
    pub message: String,
    /// What or who can mend it; may be empty.
    #[n(3)]
    pub remedy: String,
}

impl Refusal {
    /// A refusal under `rule` with a message and a remedy.
    #[must_use]
    pub fn new(reason: Reason, rule: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason, rule: rule.to_owned(), message: message.into(), remedy: remedy.into() }
    }

    /// A mistake in the request that no article speaks of.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Reason::InvalidArgument, "", message, "")
    }

    /// Something named that does not exist.
    #[must_use]
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(Reason::NotFound, "", format!("there is no {what}"), "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        for (position, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(Reason::from_name(reason.name()), Some(*reason));
            assert!(Reason::ALL[..position].iter().all(|other| other.name() != reason.name()));
        }
    }
}

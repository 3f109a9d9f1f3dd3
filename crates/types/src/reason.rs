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
    ($($(#[$doc:meta])* $number:literal $variant:ident $text:literal $kind:ident $chinese:literal;)*) => {
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

            /// What it means, for people who read Chinese.
            #[must_use]
            pub const fn chinese(self) -> &'static str {
                match self { $(Self::$variant => $chinese,)* }
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
    1 UnknownPrincipal "UNKNOWN_PRINCIPAL" RefusedByPolicy "该证书的密钥未登记，请安全管理员登记";
    /// The principal was revoked.
    2 PrincipalRevoked "PRINCIPAL_REVOKED" RefusedByPolicy "该身份已被撤销";
    /// None of the principal's roles may do this.
    3 RoleNotAllowed "ROLE_NOT_ALLOWED" RefusedByPolicy "所任角色无权办理此事";
    /// The principal's unit does not cover the subject.
    4 OutsideUnit "OUTSIDE_UNIT" RefusedByPolicy "对象不在本人所属部门的范围内";
    /// One person would take two steps.
    5 SamePerson "SAME_PERSON" RefusedByPolicy "同一人不得办理两个环节，须由另一人办理";
    /// An approval is missing.
    6 ApprovalMissing "APPROVAL_MISSING" RefusedByPolicy "尚缺审批";
    /// The profile names no approver for this act.
    7 ActUnspecified "ACT_UNSPECIFIED" RefusedByPolicy "本机关的制度未规定此事由谁审批，须先在管理制度配置中写明";
    /// The grant has run out of time or uses, or was rejected.
    8 GrantEnded "GRANT_ENDED" RefusedByPolicy "批准已失效：到期、次数用完、被驳回或者撤销";
    /// The item is outside what was asked for or granted.
    9 OutsideGrant "OUTSIDE_GRANT" RefusedByPolicy "不在申请或者批准的范围内";
    /// The item is sealed and these are other bytes.
    10 OriginalImmutable "ORIGINAL_IMMUTABLE" RefusedByPolicy "原始音像记录已封存，任何人不得改动";
    /// A later date is allowed, an earlier one is not.
    11 RetentionShortenRefused "RETENTION_SHORTEN_REFUSED" RefusedByPolicy "保存期限只能延长，不能缩短";
    /// The call does not exist, on purpose.
    12 NoSuchAct "NO_SUCH_ACT" RefusedByPolicy "系统不提供此项操作";
    /// The item is in quarantine.
    13 Quarantined "QUARANTINED" RefusedByPolicy "该资料尚在隔离，须由管理员和部门负责人共同放行";
    /// A field that the form requires is empty.
    14 FieldMissing "FIELD_MISSING" FixYourRequest "必填项为空";
    /// A value is out of bounds or does not parse.
    15 InvalidArgument "INVALID_ARGUMENT" FixYourRequest "填写的内容有误";
    /// What was named does not exist.
    16 NotFound "NOT_FOUND" FixYourRequest "没有找到所指的对象";
    /// It exists already, with other content.
    17 AlreadyExists "ALREADY_EXISTS" FixYourRequest "已有同名的对象，内容不同";
    /// The idempotency key was used before for something else.
    18 IdempotencyKeyReused "IDEMPOTENCY_KEY_REUSED" FixYourRequest "该幂等键已用于另一项请求";
    /// The bytes received do not have the digest that was announced.
    19 DigestMismatch "DIGEST_MISMATCH" FixYourRequest "收到的数据与申报的校验值不符";
    /// Another stream took the upload over.
    20 UploadSuperseded "UPLOAD_SUPERSEDED" TryAgain "该上传已由另一连接接管";
    /// The upload had no progress for too long.
    21 UploadExpired "UPLOAD_EXPIRED" FixYourRequest "该上传长时间没有进展，已失效，请重新上传";
    /// Progress does not follow what is committed.
    22 OutOfOrder "OUT_OF_ORDER" TryAgain "数据与已提交的部分不衔接，请从已提交处继续";
    /// No set of nodes can meet what the class promises.
    23 PromiseUnmet "PROMISE_UNMET" TryAgain "可用的节点不足，暂不能按承诺保存，请稍后重试";
    /// The disk is full or failing: reads go on, writes do not.
    24 DiskUnavailable "DISK_UNAVAILABLE" TryAgain "磁盘已满或者故障，可读不可写";
    /// Too much at once.
    25 Overloaded "OVERLOADED" TryAgain "同时的请求过多，请稍后重试";
    /// No leader, or the leader cannot be reached.
    26 NoLeader "NO_LEADER" TryAgain "集群暂无主节点，请稍后重试";
    /// Fewer good shards than the scheme needs.
    27 ShardsMissing "SHARDS_MISSING" WeAreBroken "完好的分片不足，无法还原";
    /// Something stored is not what it was.
    28 Corrupt "CORRUPT" WeAreBroken "存储的内容已损坏，请系统管理员处理";
    /// A fault without a better name.
    29 Internal "INTERNAL" WeAreBroken "系统内部故障，请系统管理员处理";
    /// The seal is committed; its checkpoint is not yet cosigned.
    30 ReceiptPending "RECEIPT_PENDING" TryAgain "资料已封存，回执尚待会签，请稍后再取";
    /// The state is not one that this act starts from.
    31 WrongState "WRONG_STATE" RefusedByPolicy "当前状态下不能办理此事";
    /// The retention period runs.
    32 RetentionActive "RETENTION_ACTIVE" RefusedByPolicy "保存期限未满";
    /// A legal hold stands.
    33 HoldActive "HOLD_ACTIVE" RefusedByPolicy "已暂缓销毁，须由法制部门和主要领导共同解除";
    /// The profile names no floor: everything is kept.
    34 FloorUnspecified "FLOOR_UNSPECIFIED" RefusedByPolicy "制度未规定最低保存期限，一律保存";
    /// The compliance clock and the wall clocks disagree.
    35 ClockUntrusted "CLOCK_UNTRUSTED" RefusedByPolicy "合规时钟不可信，暂停销毁";
    /// This replica is behind what it once signed.
    36 RollbackSuspected "ROLLBACK_SUSPECTED" WeAreBroken "该副本疑似被回退，已停止参与";
    /// A certificate is missing, expired or of the wrong authority.
    37 Unauthenticated "UNAUTHENTICATED" RefusedByPolicy "证书缺失、过期或者不是本集群签发";
    /// The item is restricted: only a lawful chain shows it or hands it out.
    38 Restricted "RESTRICTED" RefusedByPolicy "该资料已限制使用，只能经法定程序查阅、调取";
    /// A case file is archived with a term.
    39 TermMissing "TERM_MISSING" FixYourRequest "案卷归档须注明保存期限";
    /// Only a trial cluster can be asked for this.
    60 NotATrial "NOT_A_TRIAL" RefusedByPolicy "只有试用集群可以这样做";

    /// This step belongs to another person: a device's holder, its receiver, its custodian.
    50 NotYourStep "NOT_YOUR_STEP" RefusedByPolicy "此环节须由另一人办理：设备的使用人、接收人或者管理员";
    /// Somebody still has a device, or recordings on one that are not ingested.
    51 DevicesOutstanding "DEVICES_OUTSTANDING" RefusedByPolicy "尚有设备未交还，或者设备中有未上传的资料";
    /// What explains an interruption is missing: a voice note, or a report with its written statement.
    52 StatementMissing "STATEMENT_MISSING" RefusedByPolicy "中断缺少说明：语音说明，或者报告和书面说明";
    /// The item was disposed of.
    55 Disposed "DISPOSED" RefusedByPolicy "该资料已销毁";
    /// A proposed disposal still waits for objections.
    56 CoolingOff "COOLING_OFF" RefusedByPolicy "销毁的异议期未满";
    /// Disks or replicas have not yet done their part of a disposal.
    57 DisposalIncomplete "DISPOSAL_INCOMPLETE" RefusedByPolicy "尚有磁盘或者副本未完成销毁";
    /// A permit to erase that does not verify.
    58 PermitInvalid "PERMIT_INVALID" RefusedByPolicy "销毁许可未通过核验";
    /// The item is in another batch that is not decided yet.
    59 InDisposal "IN_DISPOSAL" RefusedByPolicy "该资料已列入另一尚未决定的批次";
    /// A profile's version would take something from items that are stored.
    45 PolicyLoosenRefused "POLICY_LOOSEN_REFUSED" RefusedByPolicy "新版制度不得减损已存资料的保存期限";
    /// The item was transferred to a classified carrier.
    170 Removed "REMOVED" RefusedByPolicy "该资料已移至涉密载体";
    /// What the receiver of a carrier has to sign is not signed, or the signature is not over it.
    171 SignatureInvalid "SIGNATURE_INVALID" RefusedByPolicy "接收人尚未签名，或者签名与内容不符";
    /// Whoever decides did not sign it with the key of their certificate, or signed something else.
    172 AssentMissing "ASSENT_MISSING" RefusedByPolicy "此项决定须由本人以其证书密钥签署，缺少签署或者签署的不是此项决定";
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
    /// Words of the article that the rule stands for, where it is one: put beside it where the refusal is told, from the
    /// profiles of the cluster, and never stored.
    #[cbor(skip)]
    pub article: String,
}

impl Refusal {
    /// A refusal under `rule` with a message and a remedy.
    #[must_use]
    pub fn new(reason: Reason, rule: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason, rule: rule.to_owned(), message: message.into(), remedy: remedy.into(), article: String::new() }
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
            assert!(Reason::ALL[..position].iter().all(|other| other.chinese() != reason.chinese()));
        }
    }
}

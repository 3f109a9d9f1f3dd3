//! Who may be what. What each may do is one table in `custody`.

use std::{fmt, str::FromStr};

/// A role of a principal. One person may hold several, but takes only one step of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Role {
    /// Officer who records 执法人员.
    #[n(0)]
    Recorder,
    /// Ingest station: may only write.
    #[n(1)]
    Station,
    /// Keeper of devices and registers 保管人.
    #[n(2)]
    Custodian,
    /// Head of a unit 部门负责人.
    #[n(3)]
    UnitHead,
    /// Legal office 法制科.
    #[n(4)]
    Legal,
    /// Hands out copies 档案管理员.
    #[n(5)]
    Archivist,
    /// Approves requests 主管领导.
    #[n(6)]
    Approver,
    /// Head of the agency 局主要领导.
    #[n(7)]
    Head,
    /// Inspects by drawn samples 督察.
    #[n(8)]
    Inspector,
    /// Runs the machines; sees no footage 系统管理员.
    #[n(9)]
    Ops,
    /// Registers principals and profiles; sees no footage 安全管理员.
    #[n(10)]
    Security,
    /// Reads the ledger; sees no footage 审计员.
    #[n(11)]
    Auditor,
    /// Secrecy office 保密办: decides on what may be a state secret; sees no footage.
    #[n(12)]
    Secrecy,
}

impl Role {
    /// Every role, in stored order.
    pub const ALL: [Self; 13] = [
        Self::Recorder,
        Self::Station,
        Self::Custodian,
        Self::UnitHead,
        Self::Legal,
        Self::Archivist,
        Self::Approver,
        Self::Head,
        Self::Inspector,
        Self::Ops,
        Self::Security,
        Self::Auditor,
        Self::Secrecy,
    ];

    /// The name used in profiles, on the wire and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recorder => "recorder",
            Self::Station => "station",
            Self::Custodian => "custodian",
            Self::UnitHead => "unit-head",
            Self::Legal => "legal",
            Self::Archivist => "archivist",
            Self::Approver => "approver",
            Self::Head => "head",
            Self::Inspector => "inspector",
            Self::Ops => "ops",
            Self::Security => "security",
            Self::Auditor => "auditor",
            Self::Secrecy => "secrecy",
        }
    }
}

/// A word that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a role; roles are {all}", all = Role::ALL.map(Role::name).join(", "))]
pub struct RoleError(String);

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| RoleError(text.to_owned()))
    }
}

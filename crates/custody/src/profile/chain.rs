//! A chain of approval 审批链: `all` and `any` of roles, nested. A role stands in a chain at most once, so that an
//! approval always counts for one place.

use strongroom_types::Role;
use toml::de::DeValue;

use super::reader::{Section, Spelt};
use crate::Act;

/// Most steps that a chain is nested: `all` of (`any` of (`all` of roles)).
const DEPTH_MAX: usize = 3;

/// Who must approve.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Chain {
    /// One approval in this role.
    #[n(0)]
    Role(#[n(0)] Role),
    /// Everything of these.
    #[n(1)]
    All(#[n(0)] Vec<Chain>),
    /// Any one of these.
    #[n(2)]
    Any(#[n(0)] Vec<Chain>),
}

impl Chain {
    /// Every role that stands in it, in order.
    #[must_use]
    pub fn roles(&self) -> Vec<Role> {
        match self {
            Self::Role(role) => vec![*role],
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::roles).collect(),
        }
    }

    /// This and the other: what the other asks for is not asked twice.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match self {
            Self::All(parts) if parts.contains(&other) => Self::All(parts),
            Self::All(mut parts) => {
                parts.push(other);
                Self::All(parts)
            }
            own if own == other => own,
            own => Self::All(vec![own, other]),
        }
    }

    /// Whether approvals in these roles are enough.
    #[must_use]
    pub fn satisfied_by(&self, given: &[Role]) -> bool {
        match self {
            Self::Role(role) => given.contains(role),
            Self::All(parts) => parts.iter().all(|part| part.satisfied_by(given)),
            Self::Any(parts) => parts.iter().any(|part| part.satisfied_by(given)),
        }
    }

    /// Roles in which an approval would bring it nearer to its end.
    #[must_use]
    pub fn open_roles(&self, given: &[Role]) -> Vec<Role> {
        if self.satisfied_by(given) {
            return Vec::new();
        }
        match self {
            Self::Role(role) => vec![*role],
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(|part| part.open_roles(given)).collect(),
        }
    }

    /// What is still missing, one entry for each thing that must be had.
    #[must_use]
    pub fn missing(&self, given: &[Role]) -> Vec<String> {
        match self {
            _ if self.satisfied_by(given) => Vec::new(),
            Self::All(parts) => parts.iter().flat_map(|part| part.missing(given)).collect(),
            Self::Role(_) | Self::Any(_) => vec![format!("approval by {self}")],
        }
    }
}

impl std::fmt::Display for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (parts, word) = match self {
            Self::Role(role) => return role.fmt(f),
            Self::All(parts) => (parts, " and "),
            Self::Any(parts) => (parts, " or "),
        };
        for (position, part) in parts.iter().enumerate() {
            if position > 0 {
                f.write_str(word)?;
            }
            match part {
                Self::Role(_) => part.fmt(f)?,
                Self::All(_) | Self::Any(_) => write!(f, "({part})")?,
            }
        }
        Ok(())
    }
}

/// Reads `approvers = "head"`, `["legal", "approver"]` (all of them), `{ any = [...] }` or `{ all = [...] }`.
pub(super) fn read(section: &Section<'_>, key: &'static str) -> Chain {
    let Some(value) = section.value(key) else {
        section.wrong(key, "is missing: name the approvers, or leave the act open by unspecified = true");
        return Chain::All(Vec::new());
    };
    let chain = part(section, key, value, 0);
    let roles = chain.roles();
    if roles.is_empty() {
        section.wrong(key, "names no role; an act is left open by unspecified = true");
    }
    if let Some(role) = roles.iter().enumerate().find(|(at, role)| roles[..*at].contains(role)).map(|(_, role)| role) {
        section.wrong(key, format!("names {role} twice: one approval counts for one place"));
    }
    if let Some(role) = roles.iter().find(|role| !Act::RequestApprove.roles().contains(role)) {
        section.wrong(key, format!("{role} may never {}", Act::RequestApprove.name()));
    }
    chain
}

fn part(section: &Section<'_>, key: &str, value: &Spelt<'_>, depth: usize) -> Chain {
    let parts =
        |list: &[Spelt<'_>]| -> Vec<Chain> { list.iter().map(|value| part(section, key, value, depth + 1)).collect() };
    match value.get_ref() {
        DeValue::String(_) => section.role_of(key, value).map_or_else(|| Chain::All(Vec::new()), Chain::Role),
        DeValue::Array(list) if depth <= DEPTH_MAX => simplified(Chain::All(parts(list))),
        DeValue::Table(table) if depth <= DEPTH_MAX && table.len() == 1 => {
            let (name, list) = table.iter().next().expect("it has one");
            match (name.get_ref().as_ref(), list.get_ref()) {
                ("all", DeValue::Array(list)) => simplified(Chain::All(parts(list))),
                ("any", DeValue::Array(list)) => simplified(Chain::Any(parts(list))),
                _ => refused(section, key),
            }
        }
        _ => refused(section, key),
    }
}

/// A list of one is that one.
fn simplified(chain: Chain) -> Chain {
    match chain {
        Chain::All(mut parts) | Chain::Any(mut parts) if parts.len() == 1 => parts.remove(0),
        other => other,
    }
}

fn refused(section: &Section<'_>, key: &str) -> Chain {
    section.wrong(key, "takes a role, a list of roles, { all = [...] } or { any = [...] }, nested at most three deep");
    Chain::All(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEGAL: Chain = Chain::Role(Role::Legal);
    const HEAD: Chain = Chain::Role(Role::Head);
    const APPROVER: Chain = Chain::Role(Role::Approver);

    #[test]
    fn chains_are_satisfied_by_what_they_name_and_say_what_is_missing() {
        let either = || Chain::Any(vec![APPROVER, HEAD]);
        let nested = || Chain::All(vec![LEGAL, either()]);
        let other = || Chain::Any(vec![Chain::All(vec![LEGAL, APPROVER]), HEAD]);
        for (chain, given, missing) in [
            (HEAD, vec![], vec!["approval by head"]),
            (HEAD, vec![Role::Legal], vec!["approval by head"]),
            (either(), vec![], vec!["approval by approver or head"]),
            (either(), vec![Role::Head], vec![]),
            (nested(), vec![], vec!["approval by legal", "approval by approver or head"]),
            (nested(), vec![Role::Legal], vec!["approval by approver or head"]),
            (nested(), vec![Role::Head], vec!["approval by legal"]),
            (nested(), vec![Role::Head, Role::Legal], vec![]),
            (other(), vec![Role::Legal], vec!["approval by (legal and approver) or head"]),
            (other(), vec![Role::Legal, Role::Approver], vec![]),
        ] {
            assert_eq!(chain.missing(&given), missing, "{chain} given {given:?}");
            assert_eq!(chain.satisfied_by(&given), missing.is_empty(), "{chain} given {given:?}");
        }
        assert_eq!(nested().open_roles(&[Role::Head]), [Role::Legal]);
        assert_eq!(nested().open_roles(&[Role::Legal]), [Role::Approver, Role::Head]);
        assert_eq!(nested().open_roles(&[Role::Legal, Role::Head]), []);
    }
}

//! Who is asking, and whether the table lets them: the first check of every act.

use strongroom_types::{
    KeyHash, PrincipalId, Reason, Refusal, Role, UnitId,
    rows::{RowError, Rows},
};

use crate::{
    Act,
    tables::{PRINCIPALS, PRINCIPALS_BY_KEY, PrincipalRow},
    unit,
};

/// Why a decision stopped: refused, or the rows could not be read.
#[derive(Debug)]
pub enum Stop {
    /// The rules refuse it.
    Refused(Refusal),
    /// State cannot be read: the node stops.
    Rows(RowError),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<RowError> for Stop {
    fn from(error: RowError) -> Self {
        Self::Rows(error)
    }
}

/// The principal whose key this is, where it may do `act`.
///
/// # Errors
/// [`Stop`] with `UNKNOWN_PRINCIPAL`, `PRINCIPAL_REVOKED` or `ROLE_NOT_ALLOWED`.
pub fn authorize(rows: &(impl Rows + ?Sized), key: &KeyHash, act: Act) -> Result<PrincipalRow, Stop> {
    let principal = identify(rows, key)?;
    if principal.roles.iter().any(|role| act.roles().contains(role)) {
        Ok(principal)
    } else {
        Err(role_refused(&principal, act.name(), act.roles(), "C5").into())
    }
}

/// The principal whose key this is, revoked ones refused.
///
/// # Errors
/// [`Stop`] with `UNKNOWN_PRINCIPAL` or `PRINCIPAL_REVOKED`.
pub fn identify(rows: &(impl Rows + ?Sized), key: &KeyHash) -> Result<PrincipalRow, Stop> {
    let id = PRINCIPALS_BY_KEY.read(rows, key)?.ok_or_else(|| unknown(key))?;
    let principal = principal(rows, &id)?.ok_or_else(|| unknown(key))?;
    if principal.key != *key {
        return Err(replaced(&id, key).into());
    }
    match principal.revoked_at {
        None => Ok(principal),
        Some(at) => Err(Refusal::new(
            Reason::PrincipalRevoked,
            "C5",
            format!("access of {id} ended at {at}"),
            "the security officer can register a new principal",
        )
        .into()),
    }
}

/// The principal of this name with everything that its rights reach, revoked or not.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn principal(rows: &(impl Rows + ?Sized), id: &PrincipalId) -> Result<Option<PrincipalRow>, RowError> {
    let Some(mut row) = PRINCIPALS.read(rows, id)? else { return Ok(None) };
    if let Some(unit) = &row.unit {
        row.formers = unit::formers(rows, unit)?;
    }
    Ok(Some(row))
}

/// `UNKNOWN_PRINCIPAL`, for a key that was never registered.
#[must_use]
pub fn unknown(key: &KeyHash) -> Refusal {
    Refusal::new(
        Reason::UnknownPrincipal,
        "C5",
        format!("no principal is registered for key {}", key.short()),
        "the security officer can register this certificate: `strongroom principal register`",
    )
}

fn replaced(id: &PrincipalId, key: &KeyHash) -> Refusal {
    Refusal::new(
        Reason::UnknownPrincipal,
        "C5",
        format!("key {} of {id} was replaced by another", key.short()),
        "use the certificate that was issued last",
    )
}

/// Refuses a subject outside the principal's unit.
///
/// # Errors
/// `OUTSIDE_UNIT`.
pub fn within_unit(principal: &PrincipalRow, unit: &UnitId) -> Result<(), Refusal> {
    if principal.covers(unit) {
        return Ok(());
    }
    let own = principal.unit.as_ref().map_or("", UnitId::as_str);
    Err(Refusal::new(
        Reason::OutsideUnit,
        "C5",
        format!("{} belongs to unit {own}, this belongs to unit {unit}", principal.id),
        format!("ask somebody of unit {unit}"),
    ))
}

/// Refuses somebody of one unit where a whole agency is concerned.
///
/// # Errors
/// `OUTSIDE_UNIT`.
pub fn whole_agency(principal: &PrincipalRow) -> Result<(), Refusal> {
    let Some(own) = &principal.unit else { return Ok(()) };
    Err(Refusal::new(
        Reason::OutsideUnit,
        "C5",
        format!("{} belongs to unit {own}, this concerns the whole agency", principal.id),
        "ask somebody who is there for the whole agency",
    ))
}

/// Refuses a second step by one person.
///
/// # Errors
/// `SAME_PERSON`.
pub fn different_person(who: &PrincipalId, other: &PrincipalId, steps: &str) -> Result<(), Refusal> {
    if who != other {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::SamePerson,
        "G8",
        format!("{who} cannot take two steps of one request: {steps}"),
        "another person who holds the role can",
    ))
}

/// `ROLE_NOT_ALLOWED`, naming the roles that would do.
#[must_use]
pub fn role_refused(principal: &PrincipalRow, what: &str, roles: &[Role], rule: &str) -> Refusal {
    let names = |roles: &[Role]| roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ");
    let remedy = if roles.is_empty() {
        "only the cluster itself does this".to_owned()
    } else {
        format!("somebody with one of these roles can: {}", names(roles))
    };
    Refusal::new(
        Reason::RoleNotAllowed,
        rule,
        format!("{} ({}) may not {what}", principal.id, names(&principal.roles)),
        remedy,
    )
}

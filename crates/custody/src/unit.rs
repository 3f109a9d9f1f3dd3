//! Units 单位 and who has their powers (requirements B10).
//!
//! A unit's short name is for good: everything that it made keeps it, and no row is rewritten when a unit ends. What
//! moves is the powers. A unit that has ended names its successor, and the rights of the successor's people reach what
//! the old one had, also by way of a successor that has ended in its turn.

use std::collections::BTreeSet;

use strongroom_types::{
    ProfileName, Reason, RecordSeq, Refusal, UnitId, UnixMillis, limits,
    rows::{RowError, Rows},
};

use crate::{
    access::Stop,
    tables::{UNIT_FORMERS, UNIT_NAMES, UNITS, UnitRow},
};

/// The end of a unit.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct UnitEnd {
    /// Compliance time at which its powers went.
    #[n(0)]
    pub at: UnixMillis,
    /// To whom; the first one is the main successor, which has what was not given to another.
    #[n(1)]
    pub successors: Vec<UnitId>,
    /// Record of it.
    #[n(2)]
    pub seq: RecordSeq,
    /// Profile of the main successor at that time: its floor is one more that the items of the old unit have.
    #[n(3)]
    pub profile: ProfileName,
    /// Its version.
    #[n(4)]
    pub version: u64,
}

/// A name that a unit had.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct FormerName {
    /// The name.
    #[n(0)]
    pub name: String,
    /// Until when.
    #[n(1)]
    pub until: UnixMillis,
    /// Record that ended it.
    #[n(2)]
    pub seq: RecordSeq,
}

/// The unit of this short name, ended or not.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`.
pub fn known(rows: &(impl Rows + ?Sized), id: &UnitId) -> Result<UnitRow, Stop> {
    UNITS.read(rows, id)?.ok_or_else(|| Refusal::not_found(format!("unit {id}")).into())
}

/// The unit of this short name, where it has its powers: only such a unit is given anything new.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`, or `WRONG_STATE` where it has ended.
pub fn live(rows: &(impl Rows + ?Sized), id: &UnitId) -> Result<UnitRow, Stop> {
    let row = known(rows, id)?;
    let Some(end) = &row.ended else { return Ok(row) };
    let names: Vec<_> = end.successors.iter().map(UnitId::as_str).collect();
    Err(Refusal::new(
        Reason::WrongState,
        "B10",
        format!("unit {id} ended at {} (record {})", end.at, end.seq),
        format!("its powers went to {}: name that unit", names.join(", ")),
    )
    .into())
}

/// The unit that has the powers of this one now: itself, or the last of its main successors.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`.
pub fn current(rows: &(impl Rows + ?Sized), id: &UnitId) -> Result<UnitRow, Stop> {
    Ok(heir(rows, known(rows, id)?)?)
}

/// Whether two short names stand for the powers of one unit.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn same(rows: &(impl Rows + ?Sized), one: &UnitId, other: &UnitId) -> Result<bool, RowError> {
    if one == other {
        return Ok(true);
    }
    match (UNITS.read(rows, one)?, UNITS.read(rows, other)?) {
        (Some(one), Some(other)) => Ok(heir(rows, one)?.id == heir(rows, other)?.id),
        _ => Ok(false),
    }
}

/// Follows main successors. The way ends: a successor had its powers when it became one, and none comes back.
fn heir(rows: &(impl Rows + ?Sized), mut row: UnitRow) -> Result<UnitRow, RowError> {
    while let Some(end) = &row.ended {
        let next =
            end.successors.first().ok_or_else(|| corrupt(format!("unit {} ended without a successor", row.id)))?;
        row = UNITS.read(rows, next)?.ok_or_else(|| corrupt(format!("successor {next} of {} is not there", row.id)))?;
    }
    Ok(row)
}

/// Every unit whose powers this one has besides its own.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn formers(rows: &(impl Rows + ?Sized), id: &UnitId) -> Result<BTreeSet<UnitId>, RowError> {
    let found = UNIT_FORMERS.scan(rows, id, None, limits::UNITS_OF_CHANGE_MAX)?;
    Ok(found.into_iter().map(|(_, former)| former).collect())
}

/// Names that a unit had, oldest first.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn former_names(rows: &(impl Rows + ?Sized), id: &UnitId) -> Result<Vec<FormerName>, RowError> {
    let found = UNIT_NAMES.scan(rows, id, None, limits::PAGE_ROWS_MAX)?;
    Ok(found.into_iter().map(|(_, name)| name).collect())
}

/// The main successors of a unit one after the other, each with when and under which profile it took over.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn ends(rows: &(impl Rows + ?Sized), id: &UnitId) -> Result<Vec<UnitEnd>, RowError> {
    let (mut ends, mut next) = (Vec::new(), Some(id.clone()));
    while let Some(unit) = next {
        let end = UNITS.read(rows, &unit)?.and_then(|row| row.ended);
        next = end.as_ref().and_then(|end| end.successors.first().cloned());
        ends.extend(end);
    }
    Ok(ends)
}

fn corrupt(detail: String) -> RowError {
    RowError::Corrupt { table: UNITS.name, detail }
}

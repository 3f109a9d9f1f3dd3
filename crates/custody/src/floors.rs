//! The floors that a profile had, version by version, so that a higher one lengthens what is stored without touching a
//! single item (G3).
//!
//! An item's floor is the highest of the version that sealed it and of every later one; a lower one leaves it as it
//! is. Where the newest version names no floor, nothing of the profile has an end until one does (R-004-RET); once one
//! does, it holds for what was sealed before it too, because until then nobody had said for how long.

use strongroom_types::{
    ProfileName, RecordSeq, UnixMillis, limits,
    rows::{RowError, Rows},
};

use crate::tables::{PROFILE_VERSIONS, Retention};

/// The versions of a profile, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct VersionsRow {
    /// One entry for each version that took effect.
    #[n(0)]
    pub versions: Vec<VersionRow>,
}

/// What the rules need to know of a version without reading all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct VersionRow {
    /// Its number, from 1.
    #[n(0)]
    pub version: u64,
    /// Compliance time at which it took effect.
    #[n(1)]
    pub since: UnixMillis,
    /// Record that activated it.
    #[n(2)]
    pub seq: RecordSeq,
    /// Its floor in months; none where it names none.
    #[n(3)]
    pub floor_months: Option<u32>,
}

/// The version whose floor decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Governing {
    /// The version.
    pub version: VersionRow,
    /// End of the floor; none where there is none.
    pub until: Option<UnixMillis>,
}

impl VersionsRow {
    /// The version that is in force.
    #[must_use]
    pub fn newest(&self) -> Option<&VersionRow> {
        self.versions.last()
    }

    /// The highest floor that any version had.
    #[must_use]
    pub fn highest(&self) -> Option<u32> {
        self.versions.iter().filter_map(|version| version.floor_months).max()
    }

    /// The version whose floor decides how long an item is kept.
    #[must_use]
    pub fn governing(&self, retention: &Retention) -> Option<Governing> {
        let newest = *self.newest()?;
        if newest.floor_months.is_none() {
            return Some(Governing { version: newest, until: None });
        }
        // Among equals the oldest: that is the one that set it.
        let version = *self
            .versions
            .iter()
            .filter(|version| version.version >= retention.version)
            .rev()
            .max_by_key(|version| version.floor_months)?;
        let until = version.floor_months.map(|months| retention.start.plus_months_rounded_up(months));
        // What the item was sealed with is a floor too, whatever the versions say.
        Some(Governing { version, until: until.map(|until| retention.floor_until.map_or(until, |own| own.max(until))) })
    }
}

/// The versions of a profile.
///
/// # Errors
/// [`RowError`] where there are none: every profile that an item or a unit names has at least one.
pub fn versions(rows: &(impl Rows + ?Sized), profile: &ProfileName) -> Result<VersionsRow, RowError> {
    let found = PROFILE_VERSIONS.read(rows, profile)?.filter(|row| !row.versions.is_empty());
    found.ok_or_else(|| missing(profile))
}

/// End of the floor of an item; none where it has no end.
///
/// # Errors
/// [`RowError`] where the versions of its profile cannot be read.
pub fn until(rows: &(impl Rows + ?Sized), retention: &Retention) -> Result<Option<UnixMillis>, RowError> {
    Ok(governing(rows, retention)?.until)
}

/// The version whose floor decides how long an item is kept.
///
/// # Errors
/// [`RowError`] where the versions of its profile cannot be read.
pub fn governing(rows: &(impl Rows + ?Sized), retention: &Retention) -> Result<Governing, RowError> {
    versions(rows, &retention.profile)?.governing(retention).ok_or_else(|| missing(&retention.profile))
}

/// Appends a version that takes effect now.
///
/// # Errors
/// [`RowError`] where the row cannot be read.
pub(crate) fn append(rows: &mut dyn Rows, profile: &ProfileName, version: VersionRow) -> Result<(), RowError> {
    let mut row = PROFILE_VERSIONS.read(rows, profile)?.unwrap_or_default();
    assert!(row.versions.len() < limits::PROFILE_VERSIONS_MAX, "a proposal beyond the last version was refused");
    row.versions.push(version);
    PROFILE_VERSIONS.write(rows, profile, &row);
    Ok(())
}

fn missing(profile: &ProfileName) -> RowError {
    RowError::Corrupt { table: PROFILE_VERSIONS.name, detail: format!("profile {profile} has no version") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(floors: &[Option<u32>]) -> VersionsRow {
        let version = |(version, floor_months): (u64, &Option<u32>)| VersionRow {
            version,
            since: UnixMillis(0),
            seq: RecordSeq(version),
            floor_months: *floor_months,
        };
        VersionsRow { versions: (1..).zip(floors).map(version).collect() }
    }

    #[test]
    fn the_highest_floor_since_the_seal_decides() {
        let start: UnixMillis = "2026-03-01T09:30:00".parse().expect("a time");
        for (floors, sealed_by, months, set_by) in [
            (vec![Some(6)], 1, Some(6), 1),
            (vec![Some(6), Some(12)], 1, Some(12), 2),
            (vec![Some(12), Some(6)], 1, Some(12), 1),
            (vec![Some(12), Some(6)], 2, Some(6), 2),
            (vec![Some(6), Some(24), Some(12)], 1, Some(24), 2),
            (vec![Some(6), Some(24), Some(12)], 3, Some(12), 3),
            (vec![Some(6), Some(6)], 1, Some(6), 1),
            (vec![None], 1, None, 1),
            (vec![Some(6), None], 1, None, 2),
            (vec![None, Some(12)], 1, Some(12), 2),
            (vec![Some(24), None, Some(12)], 1, Some(24), 1),
            (vec![Some(24), None, Some(12)], 2, Some(12), 3),
        ] {
            let own = floors[usize::try_from(sealed_by - 1).expect("few")];
            let retention = Retention {
                start,
                profile: "p".parse().expect("a name"),
                version: sealed_by,
                floor_until: own.map(|months| start.plus_months_rounded_up(months)),
            };
            let governing = row(&floors).governing(&retention).expect("a version");
            let until = months.map(|months| start.plus_months_rounded_up(months));
            assert_eq!((governing.until, governing.version.version), (until, set_by), "{floors:?}, {sealed_by}");
        }
    }
}

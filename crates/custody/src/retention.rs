//! Why an item is kept and until when (semantics C1): the longest of everything that applies.

use strongroom_types::{
    RecordSeq, UnixMillis,
    rows::{RowError, Rows},
};

use crate::{
    floors,
    tables::{ItemRow, PROFILES, ProfileRow, Retention},
};

/// One reason to keep an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepReason {
    /// Rule or article id.
    pub rule: String,
    /// In Chinese.
    pub text_zh: String,
    /// In English.
    pub text_en: String,
    /// Until when; none where it has no end.
    pub until: Option<UnixMillis>,
    /// Record that set it.
    pub seq: RecordSeq,
}

/// Retention of an item sealed under `profile` at compliance time `t` and wall time `wall`.
#[must_use]
pub fn at_seal(profile: &ProfileRow, version: u64, t: UnixMillis, wall: UnixMillis) -> Retention {
    let start = t.max(wall);
    Retention {
        start,
        profile: profile.profile.name.clone(),
        version,
        floor_until: profile.profile.floor.as_ref().map(|floor| start.plus_months_rounded_up(floor.months)),
    }
}

/// The end of retention; none where it has no end.
///
/// # Errors
/// [`RowError`] where the versions of its profile cannot be read.
pub fn effective_until(rows: &(impl Rows + ?Sized), item: &ItemRow) -> Result<Option<UnixMillis>, RowError> {
    floors::until(rows, &item.retention)
}

/// Every reason that keeps the item.
///
/// # Errors
/// [`RowError`] where the profile that governs it cannot be read.
pub fn explain(rows: &(impl Rows + ?Sized), item: &ItemRow) -> Result<Vec<KeepReason>, RowError> {
    let retention = &item.retention;
    let governing = floors::governing(rows, retention)?;
    let version = governing.version.version;
    let profile = PROFILES.read(rows, &(retention.profile.clone(), version))?;
    let floor = profile.as_ref().and_then(|row| row.profile.floor.as_ref());
    let named = format!("{}@{version}", retention.profile);
    // What the sealing version says was recorded with the seal, what a later one says with its activation.
    let seq = if version == retention.version { item.seq } else { governing.version.seq };
    let reason = match (floor, governing.until) {
        (Some(floor), Some(until)) => KeepReason {
            rule: floor.source.rule.clone(),
            text_zh: format!(
                "管理制度 {named} 规定保存不少于{}个月，自 {} 起算。{}",
                floor.months, retention.start, floor.source.article
            ),
            text_en: format!(
                "profile {named} keeps it for at least {} months from {}; {}",
                floor.months, retention.start, floor.source.article
            ),
            until: Some(until),
            seq,
        },
        (Some(_) | None, _) => KeepReason {
            rule: "R-004-RET".to_owned(),
            text_zh: format!("管理制度 {named} 未规定保存期限：在规定之前一律保存。"),
            text_en: format!("profile {named} names no floor: everything is kept until one is set"),
            until: None,
            seq,
        },
    };
    Ok(vec![reason])
}

//! The words behind a rule id: a refusal cites an article by its id, and whoever is refused reads what it says.

use strongroom_types::rows::{RowError, Rows};

use crate::{profile, tables::PROFILES};

/// Rows read at once: each holds the whole text of a profile.
const PAGE: usize = 8;

/// What an article says, by its requirement id, as the newest profile that quotes it does; none where none does.
///
/// # Errors
/// [`RowError`] where a profile cannot be read.
pub fn article(rows: &(impl Rows + ?Sized), rule: &str) -> Result<Option<String>, RowError> {
    // Versions come in their order, and an id is of one agency: the last that quotes it is the newest.
    let (mut words, mut after) = (None, None);
    loop {
        let page = PROFILES.scan(rows, &(), after.as_deref(), PAGE)?;
        words = page.iter().filter_map(|(_, row)| profile::article(&row.profile, rule)).next_back().or(words);
        let Some((last, _)) = page.into_iter().next_back() else { return Ok(words) };
        after = Some(last);
    }
}

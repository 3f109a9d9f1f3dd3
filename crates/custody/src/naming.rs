//! Names and folders 统一命名: made from fields whenever they are shown, as the profile says. They are never typed, never
//! stored and never in the ledger, since they hold names of people; the key of an item stays its id.
//!
//! Two recordings of one inspection would bear the same name: the second is `-02`, the third `-03`, in the order in which
//! they were given it (R-003-5b). The number stays when the first is gone, and when a unit is renamed. It is for people;
//! nothing finds an item by it.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use strongroom_types::{
    ItemId, NameDigest, ProfileName, UnixMillis,
    rows::{RowError, Rows},
};

use crate::{
    access::Stop,
    activity, case, clock, correction, deadline,
    profile::Profile,
    tables::{ItemRow, NAME_COUNTS, NAME_NUMBERS, UNITS},
    upload::newest_profile,
};

/// Stands for `{case}` where an item is evidence of none.
const NO_CASE: &str = "未立案";

/// What an item is called and where it stands, as the profile that governs it says now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Its display name (R-003-5b); none where the profile makes none or a part of it is missing.
    pub display_name: Option<String>,
    /// Its folders in the virtual tree (R-004-14), one for each case.
    pub folders: Vec<String>,
    /// Labels that it must have and does not: until they are there it is not labelled.
    pub labels_missing: Vec<String>,
}

/// The number of an item among those of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct NameNumber {
    /// The name that it was given for.
    #[n(0)]
    pub name: NameDigest,
    /// From 1.
    #[n(1)]
    pub number: u64,
}

/// Gives an item its number among those of its name, where its labels make it another name than before.
pub(crate) fn number(rows: &mut dyn Rows, id: ItemId, item: &ItemRow, profile: &Profile) -> Result<(), RowError> {
    let Some(name) = made(&*rows, id, item, profile)? else { return Ok(()) };
    let name = NameDigest::new(Sha256::digest(name).into());
    if NAME_NUMBERS.read(rows, &id)?.is_some_and(|given| given.name == name) {
        return Ok(());
    }
    let number = NAME_COUNTS.read(rows, &name)?.unwrap_or(0) + 1;
    NAME_COUNTS.write(rows, &name, &number);
    NAME_NUMBERS.write(rows, &id, &NameNumber { name, number });
    Ok(())
}

/// The name that the labels make, without its number; none where the profile makes none or a part is missing.
fn made(
    rows: &(impl Rows + ?Sized),
    id: ItemId,
    item: &ItemRow,
    profile: &Profile,
) -> Result<Option<String>, RowError> {
    let Some(naming) = &profile.naming else { return Ok(None) };
    let recorded = activity::times(rows, id)?.corrected(item.description.recorded_start);
    Ok(filled(&naming.format, &parts_of_name(rows, item, recorded)?))
}

/// The name with its number: the first of a name has none.
fn numbered(rows: &(impl Rows + ?Sized), id: ItemId, name: String) -> Result<String, RowError> {
    Ok(match NAME_NUMBERS.read(rows, &id)? {
        Some(NameNumber { number: number @ 2.., .. }) => format!("{name}-{number:02}"),
        Some(_) | None => name,
    })
}

/// Names items of one state: each profile is read once.
#[derive(Debug, Default)]
pub struct Names {
    profiles: BTreeMap<ProfileName, Profile>,
}

impl Names {
    /// Names one item.
    ///
    /// # Errors
    /// [`Stop`] where a row cannot be read.
    pub fn of(&mut self, rows: &(impl Rows + ?Sized), id: ItemId, item: &ItemRow) -> Result<Named, Stop> {
        let name = &item.retention.profile;
        if !self.profiles.contains_key(name) {
            self.profiles.insert(name.clone(), newest_profile(rows, name)?.1.profile);
        }
        let Some(profile) = self.profiles.get(name) else { return Ok(Named::default()) };
        let rules = deadline::of_profile(profile);
        let recorded = activity::times(rows, id)?.corrected(item.description.recorded_start);
        Ok(Named {
            display_name: match made(rows, id, item, profile)? {
                Some(name) => Some(numbered(rows, id, name)?),
                None => None,
            },
            folders: match &profile.layout {
                Some(layout) => {
                    let cases = cases(rows, id)?;
                    cases
                        .into_iter()
                        .filter_map(|case| filled(&layout.path, &parts_of_folder(case, recorded)))
                        .collect()
                }
                None => Vec::new(),
            },
            labels_missing: activity::labels_missing(&rules, item),
        })
    }
}

fn parts_of_name(
    rows: &(impl Rows + ?Sized),
    item: &ItemRow,
    recorded: UnixMillis,
) -> Result<BTreeMap<String, String>, RowError> {
    let mut parts = BTreeMap::from([("inspect_date".to_owned(), date(recorded).concat())]);
    if let Some(unit) = UNITS.read(rows, &item.description.unit)? {
        parts.insert("unit".to_owned(), unit.full_name);
    }
    for (name, values) in &item.labels {
        let Some(label) = values.last().filter(|label| !label.value.trim().is_empty()) else { continue };
        // Dates are written without hyphens: 20260301.
        let is_date = name == "inspect_date";
        let value = if is_date { label.value.replace('-', "") } else { label.value.clone() };
        parts.insert(name.clone(), value);
    }
    Ok(parts)
}

fn parts_of_folder(case: String, recorded: UnixMillis) -> BTreeMap<String, String> {
    let [year, month, day] = date(recorded);
    let parts = [("year", year), ("month", month), ("day", day), ("case", case)];
    parts.map(|(name, text)| (name.to_owned(), text)).into()
}

/// Cases that the item is evidence of.
fn cases(rows: &(impl Rows + ?Sized), id: ItemId) -> Result<Vec<String>, RowError> {
    let t = clock::read(rows)?.t;
    let mut cases = Vec::new();
    for (case, binding) in case::ever_of_item(rows, id)? {
        if !correction::in_force(rows, binding.corrected, t)? {
            cases.push(case.id.to_string());
        }
    }
    if cases.is_empty() {
        cases.push(NO_CASE.to_owned());
    }
    Ok(cases)
}

/// Year, month and day in Beijing.
fn date(at: UnixMillis) -> [String; 3] {
    let text = at.to_string();
    let mut parts = text.split(['-', 'T']).map(str::to_owned);
    [(); 3].map(|()| parts.next().unwrap_or_default())
}

/// The text with every part in its braces; none where one is missing.
fn filled(format: &str, parts: &BTreeMap<String, String>) -> Option<String> {
    let (mut text, mut rest) = (String::new(), format);
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        text.push_str(before);
        text.push_str(&escaped(parts.get(name)?));
        rest = after;
    }
    text.push_str(rest);
    Some(text)
}

/// What would end a part or a path is written as its number, so that the part can be read back.
fn escaped(part: &str) -> String {
    let mut text = String::new();
    for (at, character) in part.char_indices() {
        let hidden = at == 0 && character == '.';
        if hidden || character.is_ascii_control() || r#"%+/\:*?"<>|"#.contains(character) {
            text.push_str(&format!("%{:02X}", u32::from(character)));
        } else {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_filled_in_and_cannot_be_mistaken_for_one_another() {
        let parts =
            |party: &str| BTreeMap::from([("a".to_owned(), "局".to_owned()), ("b".to_owned(), party.to_owned())]);
        for (party, expected) in [
            ("某某商行", "局+某某商行"),
            ("A+B/C", "局+A%2BB%2FC"),
            ("50%", "局+50%25"),
            ("..", "局+%2E."),
            ("两行\n", "局+两行%0A"),
            ("{a}", "局+{a}"),
        ] {
            assert_eq!(filled("{a}+{b}", &parts(party)).as_deref(), Some(expected));
        }
        assert_eq!(filled("{a}+{c}", &parts("x")), None, "a part is missing");
    }

    #[test]
    fn a_day_is_that_of_beijing() {
        let at: UnixMillis = "2026-02-28T16:30:00Z".parse().expect("a time");
        assert_eq!(date(at), ["2026", "03", "01"]);
    }
}

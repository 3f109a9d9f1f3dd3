//! Checked conversions: what does not fit becomes a refusal that names the field.

use bytes::Bytes;
use strongroom_types::{Refusal, UnixMillis};

/// Reads a fixed-length value (an id or a digest) from a `bytes` field.
///
/// # Errors
/// A refusal naming `field` where the length is wrong.
pub fn fixed<'a, T>(field: &str, bytes: &'a Bytes) -> Result<T, Refusal>
where
    T: TryFrom<&'a [u8]>,
    T::Error: std::fmt::Display,
{
    T::try_from(bytes.as_ref()).map_err(|error| Refusal::invalid(format!("{field}: {error}")))
}

/// Like [`fixed`], with empty meaning absent.
///
/// # Errors
/// A refusal naming `field` where the length is wrong.
pub fn optional_fixed<'a, T>(field: &str, bytes: &'a Bytes) -> Result<Option<T>, Refusal>
where
    T: TryFrom<&'a [u8]>,
    T::Error: std::fmt::Display,
{
    if bytes.is_empty() { Ok(None) } else { fixed(field, bytes).map(Some) }
}

/// Reads a name or a numbered id from a text field.
///
/// # Errors
/// A refusal naming `field` where the text is not one.
pub fn parsed<T>(field: &str, text: &str) -> Result<T, Refusal>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| Refusal::invalid(format!("{field}: {error}")))
}

/// Like [`parsed`], with empty meaning absent.
///
/// # Errors
/// A refusal naming `field` where the text is not one.
pub fn optional_parsed<T>(field: &str, text: &str) -> Result<Option<T>, Refusal>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    if text.is_empty() { Ok(None) } else { parsed(field, text).map(Some) }
}

/// Reads a required message field.
///
/// # Errors
/// A refusal naming `field` where it is absent.
pub fn required<T>(field: &str, value: Option<T>) -> Result<T, Refusal> {
    value.ok_or_else(|| Refusal::invalid(format!("{field} is missing")))
}

/// Reads one of a few names.
///
/// # Errors
/// A refusal naming `field` and the names.
pub fn one_of<T>(field: &str, text: &str, from_name: fn(&str) -> Option<T>, names: &[&str]) -> Result<T, Refusal> {
    from_name(text).ok_or_else(|| Refusal::invalid(format!("{field}: {text:?} is none of {}", names.join(", "))))
}

/// Like [`instant`], with absence staying absence.
///
/// # Errors
/// A refusal naming `field` where it is outside.
pub fn optional_instant(field: &str, unix_ms: Option<i64>) -> Result<Option<UnixMillis>, Refusal> {
    unix_ms.map(|unix_ms| instant(field, unix_ms)).transpose()
}

/// Reads an instant; years 1900 to 9999 are taken.
///
/// # Errors
/// A refusal naming `field` where it is outside.
pub fn instant(field: &str, unix_ms: i64) -> Result<UnixMillis, Refusal> {
    if (-2_208_988_800_000..=253_402_300_799_999).contains(&unix_ms) {
        Ok(UnixMillis(unix_ms))
    } else {
        Err(Refusal::invalid(format!("{field}: {unix_ms} ms is no date between 1900 and 9999")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_types::ItemId;

    #[test]
    fn a_wrong_length_names_its_field() {
        let refusal = fixed::<ItemId>("item_id", &Bytes::from_static(b"short")).expect_err("too short");
        assert_eq!(refusal.message, "item_id: ItemId takes 16 bytes, found 5");
        assert_eq!(optional_fixed::<ItemId>("item_id", &Bytes::new()), Ok(None));
    }

    #[test]
    fn times_outside_the_calendar_are_refused() {
        assert!(instant("t", i64::MAX).is_err());
        assert_eq!(instant("t", 0), Ok(UnixMillis(0)));
    }
}

//! Base64 and hash lines, shared by every text form here. Standard alphabet, padded, no stray bits.

use base64::{Engine, prelude::BASE64_STANDARD};
use strongroom_types::TreeHash;

pub(crate) fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// None where the text is not base64 in its one spelling.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok().filter(|bytes| BASE64_STANDARD.encode(bytes) == text)
}

pub(crate) fn hash_line(hash: &TreeHash) -> String {
    base64(hash.as_bytes())
}

pub(crate) fn from_hash_line(line: &str) -> Option<TreeHash> {
    TreeHash::try_from(from_base64(line)?.as_slice()).ok()
}

/// A decimal number without sign or leading zeros.
pub(crate) fn from_decimal(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|number| number.to_string() == text)
}

/// The first characters of foreign text, for an error message.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_a_hash_has_one_spelling() {
        assert_eq!(from_decimal("0"), Some(0));
        assert_eq!(from_decimal("18446744073709551615"), Some(u64::MAX));
        for bad in ["", "00", "01", "+1", "-1", " 1", "1 ", "18446744073709551616", "١"] {
            assert_eq!(from_decimal(bad), None, "{bad:?} was taken");
        }
        let hash = TreeHash::new([7; 32]);
        let line = hash_line(&hash);
        assert_eq!(from_hash_line(&line), Some(hash));
        for bad in [
            line.trim_end_matches('=').to_owned(),
            format!("{line}="),
            format!("{}9=", &line[..42]),
            format!(" {line}"),
            base64(&[7; 31]),
            base64(&[7; 33]),
        ] {
            assert_eq!(from_hash_line(&bad), None, "{bad:?} was taken");
        }
    }
}

//! Durations and sizes as people write them: a whole number and a unit, without a space.

use std::{str::FromStr, time::Duration};

/// A duration such as `250ms`, `2s`, `5m` or `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

/// A size such as `64MiB` or `200GiB`; always in powers of 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub u64);

/// Text that is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what}: write a whole number and a unit, such as {example}")]
pub struct QuantityError {
    text: String,
    what: &'static str,
    example: &'static str,
}

impl FromStr for Span {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let wrong = || QuantityError { text: text.to_owned(), what: "duration", example: "250ms, 2s, 5m or 1h" };
        let (number, unit) = split(text).ok_or_else(wrong)?;
        let ms_per_unit = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 3600 * 1000,
            _ => return Err(wrong()),
        };
        number.checked_mul(ms_per_unit).map(|ms| Self(Duration::from_millis(ms))).ok_or_else(wrong)
    }
}

impl FromStr for ByteSize {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let wrong = || QuantityError { text: text.to_owned(), what: "size", example: "64MiB, 200GiB or 4TiB" };
        let (number, unit) = split(text).ok_or_else(wrong)?;
        let bytes_per_unit = match unit {
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            _ => return Err(wrong()),
        };
        number.checked_mul(bytes_per_unit).map(Self).ok_or_else(wrong)
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_a_whole_number_and_a_known_unit() {
        assert_eq!("250ms".parse(), Ok(Span(Duration::from_millis(250))));
        assert_eq!("2h".parse(), Ok(Span(Duration::from_secs(7200))));
        assert_eq!("200GiB".parse(), Ok(ByteSize(200 << 30)));
        for bad in ["", "s", "5", "1.5s", "5 s", "-1s", "5d", "99999999999999999999s", "18446744073709551615h"] {
            assert!(bad.parse::<Span>().is_err(), "{bad:?} was taken");
        }
        for bad in ["64MB", "64", "GiB", "1e3MiB", "18446744073709551615TiB"] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad:?} was taken");
        }
    }
}

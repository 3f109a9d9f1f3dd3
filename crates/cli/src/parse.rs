//! Values of the command line that have a form of their own.

/// `name=value`, as labels and fields are given.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        Some(_) | None => Err("write NAME=VALUE".to_owned()),
    }
}

/// Units of a length of time, the longest first.
const UNITS_MS: [(char, i64); 4] = [('d', 24 * 3_600_000), ('h', 3_600_000), ('m', 60_000), ('s', 1000)];

/// A length of time in milliseconds, such as `3d4h`, `90m`, `0s` or `-2h`.
pub(crate) fn length(text: &str) -> Result<i64, String> {
    let told = || "write a length such as 3d, 4h30m or 0s".to_owned();
    let (sign, mut rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (mut sum_ms, mut units) = (0_i64, UNITS_MS.iter());
    if rest.is_empty() {
        return Err(told());
    }
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(told)?;
        let (number, unit) = rest.split_at(end);
        let letter = unit.chars().next().ok_or_else(told)?;
        // Each unit once, the longest first.
        let (_, unit_ms) = units.find(|(name, _)| *name == letter).ok_or_else(told)?;
        let part_ms = number.parse::<i64>().ok().and_then(|number| number.checked_mul(*unit_ms)).ok_or_else(told)?;
        sum_ms = sum_ms.checked_add(part_ms).ok_or_else(told)?;
        rest = &unit[letter.len_utf8()..];
    }
    Ok(sign * sum_ms)
}

/// A length of time as [`length`] reads it, in whole seconds.
pub(crate) fn length_text(ms: i64) -> String {
    let (mut left_ms, mut text) = (ms.unsigned_abs(), String::new());
    for (unit, unit_ms) in UNITS_MS {
        let count = left_ms / unit_ms.unsigned_abs();
        left_ms %= unit_ms.unsigned_abs();
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    match (text.is_empty(), ms < 0) {
        (true, _) => "0s".to_owned(),
        (false, true) => format!("-{text}"),
        (false, false) => text,
    }
}

/// `RECORD=LENGTH`, as the right length of an outage is given.
pub(crate) fn outage(text: &str) -> Result<(u64, i64), String> {
    let (record, right) = pair(text).map_err(|_| "write RECORD=LENGTH, such as 41=0s".to_owned())?;
    let record = record.parse().map_err(|_| format!("{record:?} is not the number of a record"))?;
    Ok((record, length(&right)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_read_and_written_in_one_form() {
        for (text, ms) in
            [("0s", 0), ("90m", 5_400_000), ("3652d", 3652 * 86_400_000), ("1d2h3m4s", 93_784_000), ("-2h", -7_200_000)]
        {
            assert_eq!(length(text), Ok(ms), "{text}");
            assert_eq!(length(&length_text(ms)), Ok(ms), "{text}");
        }
        assert_eq!(length_text(-93_784_999), "-1d2h3m4s");
        for bad in [
            "",
            "-",
            "3",
            "d",
            "3x",
            "3h2d",
            "3d3d",
            "--3d",
            "3 d",
            "99999999999999999999d",
            "9223372036854775807d",
            "3天",
        ] {
            assert!(length(bad).is_err(), "{bad:?} was taken");
        }
        assert_eq!(outage("41=0s"), Ok((41, 0)));
        assert!(outage("41").is_err() && outage("x=1d").is_err() && outage("41=x").is_err());
    }

    #[test]
    fn a_pair_is_cut_at_its_first_equals_sign() {
        assert_eq!(pair("place=gate=2"), Ok(("place".to_owned(), "gate=2".to_owned())));
        assert_eq!(pair("note="), Ok(("note".to_owned(), String::new())));
        assert!(pair("place").is_err() && pair("=x").is_err());
    }
}

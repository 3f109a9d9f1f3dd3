//! Values of the command line that have a form of their own.

/// `name=value`, as labels and fields are given.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        Some(_) | None => Err("write NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_cut_at_its_first_equals_sign() {
        assert_eq!(pair("place=gate=2"), Ok(("place".to_owned(), "gate=2".to_owned())));
        assert_eq!(pair("note="), Ok(("note".to_owned(), String::new())));
        assert!(pair("place").is_err() && pair("=x").is_err());
    }
}

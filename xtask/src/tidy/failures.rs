//! Every test that `docs/others-failures.md` names is there.

use std::collections::BTreeSet;

use super::Finding;
use crate::{SourceFile, requirements};

const PAGE: &str = "docs/others-failures.md";

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let Some(page) = files.iter().find(|file| file.path == PAGE) else {
        return vec![Finding::new(PAGE, 0, "the page of others' failures is missing")];
    };
    let tests: BTreeSet<&str> = files.iter().flat_map(requirements::tests_of).map(|test| test.name).collect();
    let absent = |name: &&str| !tests.contains(name);
    let finding = |line, name| Finding::new(PAGE, line, format!("there is no test {name}"));
    (1..)
        .zip(page.text.lines())
        .flat_map(|(line, text)| named(text).filter(absent).map(move |name| finding(line, name)))
        .collect()
}

/// The names of tests in a row of the table: whatever is set as code and looks like a name of several words.
fn named(row: &str) -> impl Iterator<Item = &str> {
    let is_row = row.starts_with('|');
    let code = row.split('`').skip(1).step_by(2).filter(move |_| is_row);
    code.filter(|code| code.contains('_') && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_is_not_there_is_found_and_other_code_is_none() {
        let source = SourceFile::new("crates/a/src/lib.rs", "#[test]\nfn it_holds() {\n}\n");
        let found = |page: &str| {
            let files = [source.clone(), SourceFile::new(PAGE, page)];
            check(&files).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(found("| `years * 365` | x | `it_holds` |\n`no_row`"), [""; 0]);
        assert_eq!(
            found("|\n| a | b | `it_holds`, `it_held` |"),
            ["docs/others-failures.md:2: there is no test it_held"]
        );
        assert_eq!(check(&[source]).len(), 1, "the page itself is missing");
    }
}

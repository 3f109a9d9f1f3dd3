//! Each module opens with `//!`: what it is for and what it promises.

use super::Finding;
use crate::SourceFile;

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    files.iter().filter(|file| is_module(file) && !opens_well(&file.text)).map(finding).collect()
}

fn is_module(file: &SourceFile) -> bool {
    let in_source =
        file.path.starts_with("xtask/src/") || (file.path.starts_with("crates/") && file.path.contains("/src/"));
    // Tests are told by the module that they test.
    let is_test = file.name() == "tests.rs" || file.path.contains("/tests/");
    in_source && file.path.ends_with(".rs") && !is_test
}

fn opens_well(text: &str) -> bool {
    text.lines().next().and_then(|line| line.strip_prefix("//! ")).is_some_and(|rest| !rest.trim().is_empty())
}

fn finding(file: &SourceFile) -> Finding {
    Finding::new(&file.path, 1, "a module opens with //! and says what it is for")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_without_an_opening_is_found() {
        for (path, text, expected) in [
            ("crates/types/src/id.rs", "//! Ids.\n", 0),
            ("crates/types/src/id.rs", "use std::fmt;\n", 1),
            ("crates/types/src/id.rs", "//!\nuse std::fmt;\n", 1),
            ("crates/types/src/id.rs", "", 1),
            ("crates/types/src/id/tests.rs", "use super::*;\n", 0),
            ("crates/types/src/tests/mod.rs", "use super::*;\n", 0),
            ("crates/types/build.rs", "fn main() {}\n", 0),
            ("xtask/src/main.rs", "fn main() {}\n", 1),
        ] {
            assert_eq!(check(&[SourceFile::new(path, text)]).len(), expected, "{path} {text:?}");
        }
    }
}

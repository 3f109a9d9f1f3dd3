//! The index of decisions lists every decision, and nothing that is not there.

use std::collections::BTreeSet;

use super::Finding;
use crate::SourceFile;

const FOLDER: &str = "docs/adr/";
const INDEX: &str = "docs/adr/0000-how-we-decide.md";

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let Some(index) = files.iter().find(|file| file.path == INDEX) else {
        return vec![Finding::new(INDEX, 0, "the index of decisions is missing")];
    };
    let listed: BTreeSet<&str> = linked(&index.text).collect();
    let written: BTreeSet<&str> = files
        .iter()
        .filter_map(|file| file.path.strip_prefix(FOLDER))
        .filter(|name| FOLDER.to_owned() + name != INDEX)
        .collect();
    let missing = written.difference(&listed).map(|name| Finding::new(INDEX, 0, format!("does not list {name}")));
    let stale =
        listed.difference(&written).map(|name| Finding::new(INDEX, 0, format!("lists {name}, which is not there")));
    let misnamed = written
        .iter()
        .filter(|name| !is_named_well(name))
        .map(|name| Finding::new(&format!("{FOLDER}{name}"), 0, "a decision is named NNNN-title.md"));
    missing.chain(stale).chain(misnamed).collect()
}

/// Targets of Markdown links to files beside the index.
fn linked(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains([':', '/', '#']))
}

fn is_named_well(name: &str) -> bool {
    let number = name.split('-').next().unwrap_or_default();
    number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit()) && name.ends_with(".md")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(index: &str, others: &[&str]) -> Vec<String> {
        let mut files = vec![SourceFile::new(INDEX, index)];
        files.extend(others.iter().map(|name| SourceFile::new(&format!("{FOLDER}{name}"), "")));
        check(&files).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn an_index_that_does_not_fit_the_folder_is_found() {
        let both = "[1](0001-a.md), [site](https://example.org/x.md), [2](0002-b.md)";
        assert_eq!(found(both, &["0001-a.md", "0002-b.md"]), [""; 0]);
        assert_eq!(found(both, &["0001-a.md"]), ["lists 0002-b.md, which is not there"]);
        assert_eq!(found("[1](0001-a.md)", &["0001-a.md", "0002-b.md"]), ["does not list 0002-b.md"]);
        assert_eq!(found("[x](x.md)", &["x.md"]), ["a decision is named NNNN-title.md"]);
    }

    #[test]
    fn a_missing_index_is_found() {
        assert_eq!(check(&[]).len(), 1);
    }
}

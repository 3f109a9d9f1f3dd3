//! Every library that we lean on has a line in `docs/dependencies.md`, and every line a library.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use super::Finding;
use crate::SourceFile;

const MANIFEST: &str = "Cargo.toml";
const LIST: &str = "docs/dependencies.md";

pub(super) fn check(files: &[SourceFile]) -> Result<Vec<Finding>> {
    let manifest = files.iter().find(|file| file.path == MANIFEST).context("the workspace has a manifest")?;
    let Some(list) = files.iter().find(|file| file.path == LIST) else {
        return Ok(vec![Finding::new(LIST, 0, "the list of dependencies is missing")]);
    };
    let used: BTreeSet<&str> = workspace_dependencies(&manifest.text).collect();
    let told: BTreeSet<&str> = told(&list.text).collect();
    let missing = used.difference(&told).map(|name| Finding::new(LIST, 0, format!("has no line for {name}")));
    let stale =
        told.difference(&used).map(|name| Finding::new(LIST, 0, format!("has a line for {name}, which is not used")));
    Ok(missing.chain(stale).collect())
}

/// Names in `[workspace.dependencies]` that are not crates of ours.
fn workspace_dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    manifest
        .lines()
        .skip_while(|line| line.trim() != "[workspace.dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.trim_start().starts_with('#') && !line.contains("path ="))
        .filter_map(|line| line.split_once('=').map(|(name, _)| name.trim()))
}

/// Names in the first column of the tables: `| name | … |`, in backticks.
fn told(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "[workspace.dependencies]\n# Ours.\nstrongroom-a = { path = \"a\" }\n# Others'.\n\
                          bytes = \"1\"\nhttp = { version = \"1\" }\n\n[profile.release]\nopt-level = 3\n";

    #[test]
    fn a_dependency_without_a_line_and_a_line_without_a_dependency_are_found() {
        for (list, expected) in [
            ("| library | for |\n|---|---|\n| `bytes` | x |\n| `http` | y |\n", 0),
            ("| `bytes` | x |\n", 1),
            ("| `bytes` | x |\n| `http` | y |\n| `gone` | z |\n", 1),
            ("bytes and http\n", 2),
        ] {
            let files = [SourceFile::new(MANIFEST, SAMPLE), SourceFile::new(LIST, list)];
            assert_eq!(check(&files).expect("reads").len(), expected, "{list:?}");
        }
        assert_eq!(check(&[SourceFile::new(MANIFEST, SAMPLE)]).expect("reads").len(), 1, "no list at all");
    }
}

//! What the compiler does not check: the floors, the module openings, the indexes, the leftovers, the wire style,
//! what can delete, which requirement no test names, and whether the tests are there that others' failures became.
//!
//! A *finding* fails the build; a *remark* is a signal for the reviewer. Each check is a pure function from text to
//! findings, and each has a test in which a bad sample is found.

mod adr;
mod deletes;
mod dependencies;
mod failures;
mod floors;
mod leftovers;
mod modules;
mod proto;
mod size;

use std::fmt;

use anyhow::Result;

use crate::{Repository, requirements};

/// Something to mend, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, or the crate.
    pub place: String,
    /// From 1; 0 for the whole file.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl Finding {
    pub(crate) fn new(place: &str, line: usize, what: impl Into<String>) -> Self {
        Self { place: place.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.place, self.what),
            line => write!(f, "{}:{line}: {}", self.place, self.what),
        }
    }
}

/// What all checks together say.
#[derive(Debug, Default)]
pub struct Report {
    /// Fail the build.
    pub findings: Vec<Finding>,
    /// Only shown.
    pub remarks: Vec<Finding>,
}

/// Runs every check.
///
/// # Errors
/// Where the repository's shape is not what a check can read.
pub fn run(repository: &Repository) -> Result<Report> {
    let files = &repository.files;
    let mut findings = floors::check(&repository.metadata)?;
    findings.extend(modules::check(files));
    findings.extend(adr::check(files));
    findings.extend(deletes::check(files));
    findings.extend(leftovers::check(files));
    findings.extend(proto::check(files));
    findings.extend(dependencies::check(files)?);
    findings.extend(requirements::check(files));
    findings.extend(failures::check(files));
    findings.sort();
    Ok(Report { findings, remarks: size::remarks(files) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_is_tidy() {
        let repository = Repository::here().expect("the repository reads");
        assert!(repository.files.iter().any(|file| file.path == "crates/types/src/lib.rs"), "found the wrong folder");
        let report = run(&repository).expect("the checks run");
        let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
    }
}

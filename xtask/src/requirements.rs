//! Which test covers which requirement: `docs/requirements.md`, made from the tests and from `docs/requirements.txt`.
//!
//! The list names every requirement, and says of one without a test why it waits or why nothing can be tested:
//!
//! ```text
//! ID | KIND | what it asks
//! ID | KIND | what it asks | later: why
//! ID | KIND | what it asks | never: why
//! ```
//!
//! A test covers a requirement that it names: in its own name (`r_000_21a_…`, `g6_…`), in its documentation, or in its
//! body, where the id of a refusal is compared. A script in `tests/` covers those that it names.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use crate::{SourceFile, tidy::Finding};

/// The list that people write.
pub const LIST: &str = "docs/requirements.txt";
/// The page that is made.
pub const PAGE: &str = "docs/requirements.md";

/// How many tests a row names before it only counts.
const NAMED: usize = 4;

#[derive(Debug)]
struct Requirement<'a> {
    line: usize,
    id: &'a str,
    kind: &'a str,
    asks: &'a str,
    untested: Option<&'a str>,
}

/// A test, and the words in which it may name a requirement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Test<'a> {
    place: String,
    pub(crate) name: &'a str,
    text: String,
}

/// The page, as it must be.
#[must_use]
pub fn page(files: &[SourceFile]) -> String {
    let (requirements, _) = read(files);
    let covered = covered(files, &requirements);
    let of = |requirement: &Requirement<'_>| covered.get(requirement.id).map_or(0, BTreeSet::len);
    let tested = requirements.iter().filter(|requirement| of(requirement) > 0).count();
    let mut page = format!(
        "# Requirements and their tests\n\nMade by `cargo run -p xtask -- requirements` from the tests and from \
         `{}`; do not edit. {tested} of {} requirements are named by at least one test. `G…` is what follows from the \
         five texts together, `R-<regulation>-<article>` one article. Kinds: S the storage enforces, F approval, D data \
         and forms, R reports, C checklists for people.\n",
        LIST.trim_start_matches("docs/"),
        requirements.len(),
    );
    let mut group = "";
    for requirement in &requirements {
        if group_of(requirement.id) != group {
            group = group_of(requirement.id);
            let _ = write!(page, "\n## {group}\n\n| Id | Kind | What it asks | Tests |\n| --- | --- | --- | --- |\n");
        }
        let tests = covered.get(requirement.id).map(named).unwrap_or_default();
        let cell = if tests.is_empty() { requirement.untested.unwrap_or_default() } else { tests.as_str() };
        let _ = writeln!(page, "| {} | {} | {} | {cell} |", requirement.id, requirement.kind, requirement.asks);
    }
    page
}

fn named(tests: &BTreeSet<String>) -> String {
    let mut cell = tests.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if tests.len() > NAMED {
        let _ = write!(cell, " and {} more", tests.len() - NAMED);
    }
    cell
}

fn group_of(id: &str) -> &'static str {
    match id.get(2..5) {
        _ if id.starts_with('G') => "What follows from the texts together",
        Some("000") => "000 Qidong 启东",
        Some("001") => "001 Civil air defence 市人防办",
        Some("002") => "002 12th Division 十二师",
        Some("003") => "003 Xiamen 厦门",
        Some("004") => "004 Neiqiu 内丘",
        _ => "Elsewhere",
    }
}

/// What is wrong with the list, and with the page.
pub(crate) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let (requirements, mut findings) = read(files);
    let covered = covered(files, &requirements);
    for requirement in &requirements {
        let what = match (covered.contains_key(requirement.id), requirement.untested) {
            (false, None) => "no test names it: write one, or say why it has none",
            (true, Some(_)) => "a test names it by now: say no more why it has none",
            _ => continue,
        };
        findings.push(Finding::new(LIST, requirement.line, format!("{}: {what}", requirement.id)));
    }
    if files.iter().find(|file| file.path == PAGE).is_none_or(|file| file.text != page(files)) {
        findings.push(Finding::new(PAGE, 0, "not what the tests say: cargo run -p xtask -- requirements"));
    }
    findings
}

fn read(files: &[SourceFile]) -> (Vec<Requirement<'_>>, Vec<Finding>) {
    let Some(list) = files.iter().find(|file| file.path == LIST) else {
        return (Vec::new(), vec![Finding::new(LIST, 0, "the list of requirements is missing")]);
    };
    let (mut requirements, mut findings, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (number, line) in (1..).zip(list.text.lines()).filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let Some(requirement) = parse(number, line) else {
            findings.push(Finding::new(
                LIST,
                number,
                "not of the form ID | KIND | what it asks | later: or never: why",
            ));
            continue;
        };
        if !seen.insert(requirement.id) {
            findings.push(Finding::new(LIST, number, format!("{} is listed twice", requirement.id)));
        }
        requirements.push(requirement);
    }
    (requirements, findings)
}

fn parse(number: usize, line: &str) -> Option<Requirement<'_>> {
    let parts: Vec<&str> = line.split(" | ").collect();
    let (id, kind, asks, untested) = match parts[..] {
        [id, kind, asks] => (id, kind, asks, None),
        [id, kind, asks, why] if why.starts_with("later: ") || why.starts_with("never: ") => {
            (id, kind, asks, Some(why))
        }
        _ => return None,
    };
    let kinds = !kind.is_empty() && kind.chars().all(|kind| "SFDRC".contains(kind));
    (kinds && !asks.is_empty() && is_id(id)).then_some(Requirement { line: number, id, kind, asks, untested })
}

fn is_id(id: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric());
    match id.split('-').collect::<Vec<_>>()[..] {
        [g] => g.strip_prefix('G').is_some_and(is_word),
        ["R", regulation, article] => regulation.len() == 3 && is_word(regulation) && is_word(article),
        _ => false,
    }
}

/// The tests that name each requirement.
fn covered<'a>(files: &[SourceFile], requirements: &[Requirement<'a>]) -> BTreeMap<&'a str, BTreeSet<String>> {
    let mut covered: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for test in files.iter().flat_map(tests_of) {
        let words: BTreeSet<&str> = test.text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').collect();
        for requirement in requirements {
            let snake = requirement.id.to_lowercase().replace('-', "_");
            let in_name = format!("_{}_", test.name).contains(&format!("_{snake}_"));
            if in_name || words.contains(requirement.id) {
                covered.entry(requirement.id).or_default().insert(format!("{} `{}`", test.place, test.name));
            }
        }
    }
    covered
}

/// The tests of a file: functions under a `#[test]` in Rust as `rustfmt` writes it, or a whole script.
pub(crate) fn tests_of(file: &SourceFile) -> Vec<Test<'_>> {
    if file.path.starts_with("tests/") && !file.path.ends_with(".md") {
        return vec![Test {
            place: "tests".to_owned(),
            name: file.path.trim_start_matches("tests/"),
            text: file.text.clone(),
        }];
    }
    let Some(package) = file.path.strip_prefix("crates/").and_then(|path| path.split('/').next()) else {
        return Vec::new();
    };
    if !file.path.ends_with(".rs") {
        return Vec::new();
    }
    let lines: Vec<&str> = file.text.lines().collect();
    let is_above = |line: &str| line.trim_start().starts_with("///") || line.trim_start().starts_with("#[");
    let mut tests = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| is_test_attribute(line)) {
        let start = lines[..at].iter().rposition(|line| !is_above(line)).map_or(0, |before| before + 1);
        let Some(name) = lines[at..].iter().take(5).find_map(|line| name_of(line)) else { continue };
        let close = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
        let end = lines[at..].iter().position(|line| *line == close).map_or(lines.len(), |length| at + length);
        tests.push(Test { place: package.to_owned(), name, text: lines[start..end].join("\n") });
    }
    tests
}

fn is_test_attribute(line: &str) -> bool {
    let attribute = line.trim_start().strip_prefix("#[").unwrap_or_default();
    ["test]", "tokio::test]", "tokio::test(", "test_case("].iter().any(|test| attribute.starts_with(test))
}

fn name_of(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("fn ").or_else(|| line.strip_prefix("async fn "))?.split('(').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "\
fn helper() {
    // R-000-7 in no test
}

/// What G6 asks.
#[test]
fn r_000_21a_keeps_six_months() {
    let id = \"R-000-2\";
}

mod tests {
    #[tokio::test]
    #[ignore = \"slow\"]
    async fn a_name_without_an_id() {
        assert_eq!(error.id, \"R-003-6c\");
    }
}
";

    fn files(list: &str) -> Vec<SourceFile> {
        vec![
            SourceFile::new("crates/a/src/lib.rs", CODE),
            SourceFile::new("tests/regulations/000.sh", "# R-000-19: the same day\n"),
            SourceFile::new(LIST, list),
        ]
    }

    #[test]
    fn a_test_covers_what_it_names() {
        let list = "G6 | S | case term\nR-000-2 | D | kinds\nR-000-7 | D | clock\nR-000-19 | F | same day\n\
                    R-000-20 | D | archive\nR-000-21a | S | six months\nR-003-6c | F | slip\n";
        let files = files(list);
        let (requirements, findings) = read(&files);
        assert!(findings.is_empty(), "{findings:?}");
        let covered: Vec<(&str, String)> =
            covered(&files, &requirements).iter().map(|(id, tests)| (*id, named(tests))).collect();
        let first = "a `r_000_21a_keeps_six_months`".to_owned();
        assert_eq!(
            covered,
            [
                ("G6", first.clone()),
                ("R-000-19", "tests `regulations/000.sh`".to_owned()),
                ("R-000-2", first.clone()),
                ("R-000-21a", first),
                ("R-003-6c", "a `a_name_without_an_id`".to_owned()),
            ],
            "R-000-7 is in no test, R-000-20 only begins like one that is"
        );
    }

    #[test]
    fn what_nothing_covers_and_nobody_explains_is_found() {
        for (list, expected) in [
            ("R-000-20 | D | archive\n", 2),
            ("R-000-20 | D | archive | later: with the forms\n", 1),
            ("R-000-20 | D | archive | some day\n", 2),
            ("G6 | S | case term | later: with the cases\n", 2),
            ("R-000-20 | X | archive | later: with the forms\n", 2),
            ("G6 | S | case term\nG6 | S | case term\n", 2),
            ("R-20 | D | archive | later: with the forms\n", 2),
        ] {
            // One of them is always that the page is missing.
            assert_eq!(check(&files(list)).len(), expected, "{list:?}");
        }
        let mut files = files("G6 | S | case term\n");
        files.push(SourceFile::new(PAGE, &page(&files)));
        assert!(check(&files).is_empty(), "the page that was made is the right one");
        files[0].text = CODE.replace("G6", "G7");
        assert_eq!(check(&files).len(), 2, "a test that is gone leaves the page wrong and a requirement bare");
    }
}

//! Every place that can unlink, cut, overwrite, punch or drop bytes, rows of items or keys is listed, with its reason.
//!
//! Disposal is the only delete (`docs/glossary.md`). What else removes anything removes what is no evidence: drafts,
//! copies, what a newer file replaces. The list is `docs/deletes.txt`, one line for each file and call:
//!
//! ```text
//! PATH | CALL | HOW OFTEN | why nothing is lost by it
//! ```
//!
//! A call that is not listed, or more of one than are listed, fails the build; so does a line that speaks of nothing.

use std::collections::BTreeMap;

use super::Finding;
use crate::SourceFile;

const LIST: &str = "docs/deletes.txt";

/// Calls that can make something disappear, as they stand in the code.
const CALLS: [&str; 28] = [
    "remove_file(",
    "remove_dir(",
    "remove_dir_all(",
    "remove_folder(",
    "unlink(",
    "unlinkat(",
    "rename(",
    "rename_folder(",
    "replace_file(",
    "set_len(",
    "write_all_at(",
    "ftruncate(",
    "file.truncate(",
    ".truncate(true)",
    "File::create(",
    "fs::write(",
    "fallocate(",
    "FALLOC_FL_PUNCH_HOLE",
    "punch(",
    "delete_cf(",
    "delete_range",
    "drop_cf(",
    "DB::destroy(",
    ".erase(",
    "ITEMS.remove(",
    "ITEM_KEYS.remove(",
    "remove(MANIFEST",
    "TOMBSTONES.remove(",
];

/// Crates that are only in tests and on developers' machines.
const NOT_SHIPPED: [&str; 2] = ["crates/testkit/", "crates/benches/"];

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let Some(list) = files.iter().find(|file| file.path == LIST) else {
        return vec![Finding::new(LIST, 0, "the list of what can delete is missing")];
    };
    let mut findings = Vec::new();
    let mut listed = BTreeMap::new();
    for (number, line) in (1..).zip(list.text.lines()).filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        match parse(line) {
            Some((path, call, count)) => {
                if listed.insert((path, call), (count, number)).is_some() {
                    findings.push(Finding::new(LIST, number, "listed twice"));
                }
            }
            None => findings.push(Finding::new(LIST, number, "not of the form PATH | CALL | HOW OFTEN | REASON")),
        }
    }
    for ((path, call), places) in found(files) {
        let (count, _) = listed.remove(&(path, call)).unwrap_or_default();
        // The first ones are taken for the listed ones: which of several is new, a reviewer sees.
        for line in places.into_iter().skip(count) {
            let what = format!("{call} can delete and is not in {LIST}: say there why nothing is lost by it");
            findings.push(Finding::new(path, line, what));
        }
    }
    findings.extend(stale(files, &list.text));
    findings
}

/// Lines that speak of more than there is.
fn stale(files: &[SourceFile], list: &str) -> Vec<Finding> {
    let found = found(files);
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(list.lines()) {
        let Some((path, call, count)) = parse(line).filter(|_| !line.starts_with('#')) else { continue };
        let is = found.get(&(path, call)).map_or(0, Vec::len);
        if is < count {
            findings.push(Finding::new(LIST, number, format!("there are {is} of {call} in {path}, not {count}")));
        }
    }
    findings
}

fn parse(line: &str) -> Option<(&str, &str, usize)> {
    let mut parts = line.splitn(4, " | ");
    let (path, call, count) = (parts.next()?, parts.next()?, parts.next()?.parse().ok()?);
    parts.next().filter(|reason| reason.len() > 10)?;
    Some((path, call, count))
}

/// Where each call stands in what is shipped.
fn found(files: &[SourceFile]) -> BTreeMap<(&str, &str), Vec<usize>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for file in files.iter().filter(|file| is_shipped(&file.path)) {
        for (number, line) in (1..).zip(shipped_part(&file.text).lines()) {
            let code = line.split("//").next().unwrap_or_default();
            if code.trim_start().starts_with("fn ") || code.contains(" fn ") {
                continue;
            }
            for call in CALLS.iter().filter(|call| holds(code, call)) {
                found.entry((file.path.as_str(), *call)).or_default().push(number);
            }
        }
    }
    found
}

/// Whether the code makes this call, and not one whose name only ends like it.
fn holds(code: &str, call: &str) -> bool {
    code.match_indices(call).any(|(start, _)| {
        let before = code[..start].chars().next_back();
        !call.starts_with(char::is_alphanumeric) || !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

fn is_shipped(path: &str) -> bool {
    let is_code = path.starts_with("crates/") && path.contains("/src/") && path.ends_with(".rs");
    let is_test = path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("/testing.rs");
    is_code && !is_test && NOT_SHIPPED.iter().all(|folder| !path.starts_with(folder))
}

/// Without the tests, which stand at the end.
fn shipped_part(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(code: &str, list: &str) -> usize {
        check(&[SourceFile::new("crates/a/src/lib.rs", code), SourceFile::new(LIST, list)]).len()
    }

    #[test]
    fn a_call_that_is_not_listed_is_found() {
        let listed = "crates/a/src/lib.rs | remove_file( | 1 | a draft that was never finished\n";
        for (code, list, expected) in [
            ("fs::remove_file(path)?;", "", 1),
            ("fs::remove_file(path)?;", listed, 0),
            ("fs::remove_file(path)?;\nfs::remove_file(other)?;", listed, 1),
            ("fs::remove_dir_all(path)?;", listed, 2),
            ("let x = 1;", listed, 1),
            ("db.delete_range_cf(a, b, c);", "", 1),
            ("libc::fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 1)", "", 2),
            ("tables::ITEM_KEYS.remove(rows, &item);", "", 1),
            ("db.drop_cf(name)", "", 1),
            ("disk.erase(&permit).await", "", 1),
            ("file.set_len(0)", "", 1),
            ("file.write_all_at(bytes, 0)", "", 1),
            ("std::fs::rename(a, b)", "", 1),
            // Not calls, or not shipped.
            ("// fs::remove_file(path)", "", 0),
            ("pub fn remove_file(path: &Path) {}", "", 0),
            ("let names = my_rename(a);", "", 0),
            ("#[cfg(test)]\nmod tests {\nfs::remove_file(path);\n}", "", 0),
        ] {
            assert_eq!(findings(code, list), expected, "{code:?} with {list:?}");
        }
    }

    #[test]
    fn the_list_itself_is_checked() {
        for list in [
            "crates/a/src/lib.rs | remove_file( | 1 | \n",
            "crates/a/src/lib.rs | remove_file( | one | a draft that was never finished\n",
            "crates/a/src/lib.rs remove_file(\n",
        ] {
            assert!(findings("", list) > 0, "{list:?}");
        }
        let twice = "crates/a/src/lib.rs | set_len( | 1 | cuts what was torn\n".repeat(2);
        assert_eq!(findings("f.set_len(1)", &twice), 1);
        assert_eq!(check(&[]).len(), 1, "without the list nothing is checked");
    }
}

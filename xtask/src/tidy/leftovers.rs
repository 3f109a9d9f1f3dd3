//! Nothing half done and nothing of one machine: no marks to come back to, no paths of somebody's home.

use super::Finding;
use crate::SourceFile;

/// Not in code or wire definitions.
const MARKS: [&str; 6] = ["todo!", "unimplemented!", "dbg!", "FIXME", "TODO", "XXX"];
/// Not anywhere. Written in two parts, so that this file does not find itself.
const LOCAL_PATHS: [&str; 3] = [concat!("/wo", "rk"), concat!("/ro", "ot"), concat!("/ho", "me")];

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        let is_code = file.path.starts_with("crates/") || file.path.starts_with("proto/");
        for (number, line) in (1..).zip(file.text.lines()) {
            let mark = MARKS.iter().filter(|_| is_code).find(|mark| holds_word(line, mark));
            findings.extend(mark.map(|mark| Finding::new(&file.path, number, format!("{mark} is left over"))));
            let path = LOCAL_PATHS.iter().find(|path| holds_path(line, path));
            findings.extend(path.map(|path| Finding::new(&file.path, number, format!("{path} is one machine's path"))));
        }
    }
    findings
}

fn holds_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        !before.is_some_and(is_part) && (word.ends_with('!') || !after.is_some_and(is_part))
    })
}

/// An absolute path that starts with `path`; a longer path or address with it in the middle is another thing.
fn holds_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + path.len()..].chars().next();
        let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let inside = |c: char| goes_on(c) || matches!(c, '/' | '}' | ')' | '*' | '~');
        !before.is_some_and(inside) && !after.is_some_and(goes_on)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_in_code_and_wire_definitions_only() {
        for (path, text, expected) in [
            ("crates/a/src/lib.rs", "let x = todo!(\"later\");", 1),
            ("crates/a/src/lib.rs", "dbg!(x); // TODO", 1),
            ("crates/a/src/lib.rs", "// FIXME: this", 1),
            ("crates/a/src/lib.rs", "\n// XXX\nunimplemented!()", 2),
            ("proto/a.proto", "// TODO describe", 1),
            ("crates/a/src/lib.rs", "let mastodon = METODOS; my_todo!(); XXXL", 0),
            ("docs/a.md", "TODO", 0),
        ] {
            assert_eq!(check(&[SourceFile::new(path, text)]).len(), expected, "{path} {text:?}");
        }
    }

    #[test]
    fn a_path_of_one_machine_is_found_anywhere() {
        let [work, root, home] = LOCAL_PATHS;
        for (text, expected) in [
            (format!("cd {work}/main"), 1),
            (format!("\"{root}\""), 1),
            (format!("see {home}/me/x"), 1),
            (format!("{work}shop"), 0),
            (format!("a{work}/b"), 0),
            (format!("https://example.org{root}/x"), 0),
            (format!("${{D}}{home}"), 0),
            ("frame/workspace and /var/lib/strongroom".to_owned(), 0),
        ] {
            assert_eq!(check(&[SourceFile::new("docs/a.md", &text)]).len(), expected, "{text:?}");
        }
    }
}

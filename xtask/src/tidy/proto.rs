//! The style of the wire definitions: package = folder, prefixed enums with an unspecified zero, a request and a
//! response of its own for each call, snake-case fields, and a comment on all of it.

mod parse;

use std::collections::BTreeSet;

use parse::Declaration;

use super::Finding;
use crate::SourceFile;

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut calls: BTreeSet<(String, String)> = BTreeSet::new();
    for file in files.iter().filter(|file| file.path.starts_with("proto/") && file.path.ends_with(".proto")) {
        let declarations = match parse::parse(&file.text) {
            Ok(declarations) => declarations,
            Err(error) => {
                findings.push(Finding::new(&file.path, error.line, error.what));
                continue;
            }
        };
        let mut checker = Checker { path: &file.path, findings: Vec::new(), calls: Vec::new() };
        let package = checker.check_package(&declarations);
        declarations.iter().for_each(|declaration| checker.check_declaration(declaration));
        for (name, line) in checker.calls {
            if !calls.insert((package.clone(), name.clone())) {
                let what = format!("call {name} shares its messages with another of package {package}");
                checker.findings.push(Finding::new(&file.path, line, what));
            }
        }
        findings.extend(checker.findings);
    }
    findings
}

struct Checker<'a> {
    path: &'a str,
    findings: Vec<Finding>,
    calls: Vec<(String, usize)>,
}

impl Checker<'_> {
    fn check_package(&mut self, declarations: &[Declaration]) -> String {
        let folder = self.path.trim_start_matches("proto/").rsplit_once('/').map_or("", |(folder, _)| folder);
        let expected = folder.replace('/', ".");
        let found = declarations.iter().find(|declaration| declaration.word(0) == "package");
        let package = found.map_or(String::new(), |declaration| declaration.word(1).to_owned());
        if package != expected || package.is_empty() {
            let line = found.map_or(0, |declaration| declaration.line);
            self.find(line, format!("package {package:?} is not the folder {expected:?}"));
        }
        package
    }

    fn check_declaration(&mut self, declaration: &Declaration) {
        match declaration.word(0) {
            "syntax" | "package" | "import" | "option" | "reserved" => {}
            "message" | "oneof" => {
                self.check_comment(declaration, declaration.word(0), declaration.word(1));
                declaration.body.iter().for_each(|inner| self.check_declaration(inner));
            }
            "service" => {
                self.check_comment(declaration, "service", declaration.word(1));
                declaration.body.iter().for_each(|call| self.check_declaration(call));
            }
            "enum" => self.check_enum(declaration),
            "rpc" => self.check_call(declaration),
            _ => self.check_field(declaration),
        }
    }

    fn check_enum(&mut self, declaration: &Declaration) {
        let name = declaration.word(1);
        self.check_comment(declaration, "enum", name);
        let prefix = upper_snake(name);
        let values = declaration.body.iter().filter(|value| !matches!(value.word(0), "option" | "reserved"));
        for (position, value) in values.enumerate() {
            let zero = format!("{prefix}_UNSPECIFIED");
            if position == 0 && (value.word(0) != zero || value.word(2) != "0") {
                self.find(value.line, format!("enum {name} starts with {zero} = 0"));
            } else if !value.word(0).starts_with(&format!("{prefix}_")) {
                self.find(value.line, format!("{} does not start with {prefix}_", value.word(0)));
            }
        }
    }

    fn check_call(&mut self, declaration: &Declaration) {
        let name = declaration.word(1);
        self.check_comment(declaration, "call", name);
        let types: Vec<&str> =
            declaration.words.windows(2).filter(|pair| pair[1] == ")").map(|pair| pair[0].as_str()).collect();
        if types != [format!("{name}Request"), format!("{name}Response")] {
            self.find(declaration.line, format!("call {name} takes {name}Request and returns {name}Response"));
        }
        self.calls.push((name.to_owned(), declaration.line));
    }

    fn check_field(&mut self, declaration: &Declaration) {
        let equals = declaration.words.iter().position(|word| word == "=");
        let Some(name) = equals.and_then(|equals| equals.checked_sub(1)).map(|name| declaration.word(name)) else {
            self.find(declaration.line, format!("{:?} is no field", declaration.words.join(" ")));
            return;
        };
        self.check_comment(declaration, "field", name);
        if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
            self.find(declaration.line, format!("field {name} is not lower_snake_case"));
        }
    }

    fn check_comment(&mut self, declaration: &Declaration, kind: &str, name: &str) {
        if !declaration.has_comment {
            self.find(declaration.line, format!("{kind} {name} has no comment above it"));
        }
    }

    fn find(&mut self, line: usize, what: String) {
        self.findings.push(Finding::new(self.path, line, what));
    }
}

/// `ErrorReason` → `ERROR_REASON`.
fn upper_snake(name: &str) -> String {
    let mut text = String::new();
    let mut previous_is_lower = false;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && previous_is_lower {
            text.push('_');
        }
        previous_is_lower = !letter.is_ascii_uppercase();
        text.push(letter.to_ascii_uppercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        syntax = "proto3";
        // Everything.
        package strongroom.item.v1;
        import "google/protobuf/any.proto";

        /* A service. */
        service ItemService {
          // One call.
          rpc Show(ShowRequest) returns (stream ShowResponse);
          // Another call; "rpc X(Y)" in a comment is no call.
          rpc Watch(stream WatchRequest) returns (WatchResponse) { option deprecated = true; }
        }
        // Asks.
        message ShowRequest {
          reserved 3, 4;
          // Its labels.
          map<string, string> labels = 1 [deprecated = true];
          // One of two.
          oneof part {
            // A number.
            uint64 size_bytes = 2;
          }
          // Inner.
          message Inner {}
        }
        // What it is.
        enum ItemState {
          ITEM_STATE_UNSPECIFIED = 0;
          // It is sealed.
          ITEM_STATE_SEALED = 1;
        }
    "#;

    fn found(text: &str) -> Vec<String> {
        let file = SourceFile::new("proto/strongroom/item/v1/item_service.proto", text);
        check(&[file]).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_good_file_has_no_findings() {
        assert_eq!(found(GOOD), [""; 0]);
    }

    #[test]
    fn each_departure_is_found() {
        for (from, to, expected) in [
            ("strongroom.item.v1;", "strongroom.items.v1;", "is not the folder"),
            ("// One call.", "", "call Show has no comment"),
            ("// Asks.", "", "message ShowRequest has no comment"),
            ("// Asks.", "// Asks.\n\n", "message ShowRequest has no comment"),
            ("// A number.", "", "field size_bytes has no comment"),
            ("// Its labels.", "//", "field labels has no comment"),
            ("// What it is.", "", "enum ItemState has no comment"),
            ("/* A service. */", "", "service ItemService has no comment"),
            ("// One of two.", "", "oneof part has no comment"),
            ("// Inner.", "", "message Inner has no comment"),
            ("size_bytes", "sizeBytes", "is not lower_snake_case"),
            ("(ShowRequest)", "(ItemRequest)", "takes ShowRequest"),
            ("stream ShowResponse", "google.protobuf.Empty", "takes ShowRequest"),
            (
                "rpc Watch(stream WatchRequest) returns (WatchResponse)",
                "rpc Show(ShowRequest) returns (ShowResponse)",
                "shares its messages",
            ),
            ("ITEM_STATE_UNSPECIFIED = 0", "ITEM_STATE_NONE = 0", "starts with ITEM_STATE_UNSPECIFIED = 0"),
            ("ITEM_STATE_UNSPECIFIED = 0", "ITEM_STATE_UNSPECIFIED = 5", "starts with ITEM_STATE_UNSPECIFIED = 0"),
            ("ITEM_STATE_SEALED", "SEALED", "does not start with ITEM_STATE_"),
            ("message Inner {}", "message Inner {", "is not closed"),
        ] {
            assert!(GOOD.contains(from), "{from:?} is not in the sample");
            let findings = found(&GOOD.replacen(from, to, 1));
            assert!(findings.iter().any(|what| what.contains(expected)), "{from:?} → {to:?}: {findings:?}");
        }
    }

    #[test]
    fn enum_prefixes_follow_the_words_of_the_name() {
        assert_eq!(upper_snake("ErrorReason"), "ERROR_REASON");
        assert_eq!(upper_snake("Act"), "ACT");
        assert_eq!(upper_snake("Sha256Kind"), "SHA256_KIND");
    }
}

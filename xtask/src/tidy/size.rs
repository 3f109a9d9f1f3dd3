//! Long files and long functions: no fault in themselves, but a reviewer should have looked for the missing noun.

use super::Finding;
use crate::SourceFile;

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 80;

pub(super) fn remarks(files: &[SourceFile]) -> Vec<Finding> {
    let mut remarks = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        let lines: Vec<&str> = file.text.lines().collect();
        if lines.len() > FILE_LINES {
            remarks.push(Finding::new(&file.path, 0, format!("{} lines", lines.len())));
        }
        for (start, length) in functions(&lines) {
            if length > FUNCTION_LINES {
                let name = lines[start].trim().trim_end_matches('{').trim_end();
                remarks.push(Finding::new(&file.path, start + 1, format!("{length} lines: {name}")));
            }
        }
    }
    remarks
}

/// Start and length of each function. rustfmt puts the closing brace under the first letter of its head.
fn functions<'a>(lines: &'a [&'a str]) -> impl Iterator<Item = (usize, usize)> + 'a {
    let indent = |line: &str| line.len() - line.trim_start().len();
    lines.iter().enumerate().filter(|(_, line)| is_function_head(line)).filter_map(move |(start, head)| {
        let closing = format!("{}}}", " ".repeat(indent(head)));
        let end = lines[start..].iter().position(|line| *line == closing)?;
        Some((start, end + 1))
    })
}

fn is_function_head(line: &str) -> bool {
    let mut words = line.trim_start().split(' ').skip_while(|word| {
        matches!(*word, "pub" | "const" | "async" | "unsafe") || word.starts_with("pub(") || word.starts_with("extern")
    });
    // A one-line function opens and closes on its own line and has no closing brace below.
    words.next() == Some("fn") && !line.trim_end().ends_with('}') && !line.trim_end().ends_with(';')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(lines: usize) -> String {
        format!(
            "impl A {{\n    pub(crate) async fn long(\n        a: u8,\n    ) {{\n{}    }}\n}}\n",
            "        b();\n".repeat(lines)
        )
    }

    #[test]
    fn long_functions_and_files_are_remarked_on() {
        for (text, expected) in [
            (sample(10), 0),
            (sample(76), 0),
            (sample(77), 1),
            (format!("    fn short() {{ a() }}\n{}", "b\n".repeat(100)), 0),
            ("a\n".repeat(600), 0),
            ("a\n".repeat(601), 1),
            (sample(700), 2),
        ] {
            let files = [SourceFile::new("crates/a/src/lib.rs", &text)];
            assert_eq!(remarks(&files).len(), expected, "{} lines", text.lines().count());
        }
    }
}

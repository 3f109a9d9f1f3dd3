//! Data goes to stdout, as text for people or as JSON for programs; talk goes to stderr. A reader that goes away is fine.

use std::io::{self, IsTerminal as _, Write as _};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use crate::failure::Failure;
use crate::lang::Lang;

/// The form of data on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people; may change.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For spreadsheets: lists only, UTF-8 with a byte-order mark.
    Csv,
}

/// How a command shows what it has to show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// The form of data.
    pub(crate) format: Format,
    /// The language of talk and heads.
    pub(crate) lang: Lang,
}

impl Output {
    /// Prints `json`, or what `text` makes, whichever was asked for.
    pub(crate) fn show(self, json: &Value, text: impl FnOnce(&mut Page)) -> Result<(), Failure> {
        match self.format {
            Format::Json => {
                self.print(&(serde_json::to_string_pretty(json).expect("a JSON value has a text form") + "\n"))
            }
            Format::Text => {
                let mut page = Page { lang: self.lang, text: String::new() };
                text(&mut page);
                self.print(&page.text)
            }
            Format::Csv => Err(Failure::usage("this is no list").hint("say --output text or --output json")),
        }
    }

    /// Prints a list: as JSON, as a table under heads, or as CSV under the same heads.
    pub(crate) fn list(self, json: &Value, heads: &[&'static str], rows: &[Vec<String>]) -> Result<(), Failure> {
        match self.format {
            Format::Json | Format::Text => self.show(json, |page| page.table(heads, rows)),
            Format::Csv => {
                let heads = heads.iter().map(|head| self.lang.word(head).to_owned()).collect();
                let lines = std::iter::once(&heads).chain(rows).map(|row| csv_line(row));
                self.print(&(BYTE_ORDER_MARK.to_owned() + &lines.collect::<String>()))
            }
        }
    }

    /// Prints data as it is.
    pub(crate) fn print(self, text: &str) -> Result<(), Failure> {
        self.print_bytes(text.as_bytes())
    }

    /// Prints bytes as they are.
    pub(crate) fn print_bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))
    }

    /// Says something to whoever watches. That nobody does is no failure.
    pub(crate) fn talk(self, text: impl AsRef<str>) {
        let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
    }

    /// The text of this command's language.
    pub(crate) const fn pick<'a>(self, en: &'a str, zh: &'a str) -> &'a str {
        self.lang.pick(en, zh)
    }

    /// A bar over bytes, on stderr; invisible where that is no terminal.
    pub(crate) fn bar(self, name: &str, total_bytes: u64) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(total_bytes), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{msg} {bar:24} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        bar.set_message(name.to_owned());
        bar
    }

    /// A bar over things that are counted, on stderr; invisible where that is no terminal.
    pub(crate) fn counter(self, name: &str, total: u64) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::with_template(COUNTER).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(name.to_owned());
        bar
    }
}

/// How a bar over things that are counted looks.
const COUNTER: &str = "{msg} {bar:24} {pos}/{len} {eta}";
/// By this a spreadsheet knows UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A line of CSV (RFC 4180). A cell that a spreadsheet would calculate is marked as text: people typed it, and nobody
/// who opens a list should run what they typed.
fn csv_line(row: &[String]) -> String {
    let cell = |cell: &String| {
        let calculated = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
        let text = if calculated { format!("'{cell}") } else { cell.clone() };
        if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
    };
    row.iter().map(cell).collect::<Vec<_>>().join(",") + "\r\n"
}

/// Whether stdout may be coloured.
pub(crate) fn may_colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Text for people, in the making.
pub(crate) struct Page {
    lang: Lang,
    text: String,
}

impl Page {
    /// A line.
    pub(crate) fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    /// Names with their values, aligned. What has no value is left out.
    pub(crate) fn facts(&mut self, facts: &[(&'static str, String)]) {
        let shown: Vec<_> = facts
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (self.lang.word(name), value))
            .collect();
        let width = shown.iter().map(|(name, _)| columns(name)).max().unwrap_or(0);
        for (name, value) in shown {
            self.line(format!("{name}{} {value}", " ".repeat(width - columns(name) + 1)));
        }
    }

    /// A table under heads; no rows is said in words.
    pub(crate) fn table(&mut self, heads: &[&'static str], rows: &[Vec<String>]) {
        if rows.is_empty() {
            self.line(self.lang.pick("(none)", "（无）"));
            return;
        }
        let heads: Vec<String> = heads.iter().map(|head| self.lang.word(head).to_owned()).collect();
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).chain(heads.get(column));
            cells.map(|cell| columns(cell)).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..heads.len()).map(width).collect();
        for row in [&heads].into_iter().chain(rows) {
            let line: String = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell}{}  ", " ".repeat(width.saturating_sub(columns(cell)))))
                .collect();
            self.line(line.trim_end());
        }
    }
}

/// Terminal columns of a text: wide characters (CJK and full-width forms) take two.
fn columns(text: &str) -> usize {
    text.chars()
        .map(|c| match u32::from(c) {
            0x1100..=0x115f
            | 0x2e80..=0xa4cf
            | 0xac00..=0xd7a3
            | 0xf900..=0xfaff
            | 0xfe30..=0xfe6f
            | 0xff00..=0xff60
            | 0xffe0..=0xffe6
            | 0x2_0000..=0x3_fffd => 2,
            _ => 1,
        })
        .sum()
}

/// A size as people read it, with the exact number of bytes.
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    format!("{} ({bytes} B)", indicatif::BinaryBytes(bytes))
}

/// A size as people read it.
pub(crate) fn short_size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(lang: Lang) -> Page {
        Page { lang, text: String::new() }
    }

    #[test]
    fn tables_align_in_both_languages() {
        let rows = vec![
            vec!["n1".to_owned(), "健康".to_owned(), "a".to_owned()],
            vec!["node-2".to_owned(), "ok".to_owned(), "b".to_owned()],
        ];
        let mut english = page(Lang::En);
        english.table(&["node", "state", "term"], &rows);
        assert_eq!(english.text, "node    state  term\nn1      健康   a\nnode-2  ok     b\n");
        let mut chinese = page(Lang::Zh);
        chinese.table(&["node", "state", "term"], &rows);
        assert_eq!(chinese.text, "节点    状态  任期\nn1      健康  a\nnode-2  ok    b\n");
    }

    #[test]
    fn facts_without_a_value_are_left_out() {
        let mut shown = page(Lang::En);
        shown.facts(&[("item", "ab".to_owned()), ("findings", String::new()), ("size", "1 B".to_owned())]);
        assert_eq!(shown.text, "item  ab\nsize  1 B\n");
    }

    #[test]
    fn a_table_without_rows_says_so() {
        let mut shown = page(Lang::En);
        shown.table(&["item"], &[]);
        assert_eq!(shown.text, "(none)\n");
    }

    #[test]
    fn a_line_of_csv_is_quoted_and_never_calculated() {
        let row = |cells: &[&str]| csv_line(&cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
        assert_eq!(row(&["a", "", "b c"]), "a,,b c\r\n");
        assert_eq!(row(&["a,b", "say \"x\"", "two\nlines"]), "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\"\r\n");
        assert_eq!(row(&["=1+1", "@x", "-cmd", "-1500", "+3.5"]), "'=1+1,'@x,'-cmd,-1500,+3.5\r\n");
    }

    #[test]
    fn sizes_name_their_bytes() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(4 << 20), "4.00 MiB (4194304 B)");
    }
}

//! A profile file as it is read: every value with its place in the text, and every mistake noted before the first is told.
//!
//! A reader that finds a mistake notes it and goes on with a value that stands for it. No such value leaves this
//! folder: one mistake is enough for there to be no profile.

use std::{cell::RefCell, fmt, ops::Range, ops::RangeInclusive};

use strongroom_types::{Role, limits};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Code, Day, Field, Source};
use crate::Act;

/// What is wrong with a profile file, where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Which value, such as `acts.copy.executors`; empty where the text is no TOML.
    pub place: String,
    /// What is wrong and what would be right.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.what)
    }
}

/// Every mistake of a file, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Mistakes(pub Vec<Mistake>);

/// Most mistakes that are told of one file: a refusal, and its record, must not be as long as the file.
const MISTAKES_MAX: usize = 50;
/// Longest place or message of a mistake in characters, for the same reason.
const TOLD_MAX: usize = 400;

/// Where something stands in the text, in bytes.
pub(super) type Span = Range<usize>;
/// A value with its place.
pub(super) type Spelt<'a> = Spanned<DeValue<'a>>;

/// The text with the mistakes found in it so far.
pub(super) struct Book<'a> {
    text: &'a str,
    mistakes: RefCell<Vec<(usize, Mistake)>>,
}

impl<'a> Book<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, mistakes: RefCell::new(Vec::new()) }
    }

    pub(super) fn note(&self, at: &Span, place: &str, what: impl Into<String>) {
        let before = &self.text[..at.start.min(self.text.len())];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let mistake = Mistake {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            place: cut(place),
            what: cut(&what.into()),
        };
        self.mistakes.borrow_mut().push((at.start, mistake));
    }

    /// What was read, or every mistake that was found on the way.
    pub(super) fn close<T>(self, read: T) -> Result<T, Mistakes> {
        let mut mistakes = self.mistakes.into_inner();
        if mistakes.is_empty() {
            return Ok(read);
        }
        mistakes.sort_by_key(|(start, _)| *start);
        let mut mistakes: Vec<_> = mistakes.into_iter().map(|(_, mistake)| mistake).collect();
        mistakes.dedup();
        mistakes.truncate(MISTAKES_MAX);
        Err(Mistakes(mistakes))
    }
}

/// A table of the file.
pub(super) struct Section<'a> {
    book: &'a Book<'a>,
    place: String,
    at: Span,
    table: &'a DeTable<'a>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    pub(super) fn root(book: &'a Book<'a>, table: &'a Spanned<DeTable<'a>>) -> Self {
        Self::new(book, String::new(), 0..0, table.get_ref())
    }

    const fn new(book: &'a Book<'a>, place: String, at: Span, table: &'a DeTable<'a>) -> Self {
        Self { book, place, at, table, asked: RefCell::new(Vec::new()) }
    }

    /// Its place in the file, such as `acts.copy`.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Place of one of its values.
    pub(super) fn place_of(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }

    /// Notes a mistake of one of its values, or of the section where the value is not there.
    pub(super) fn wrong(&self, key: &str, what: impl Into<String>) {
        let at = self.find(key).map_or_else(|| self.at.clone(), |value| value.span());
        self.book.note(&at, &self.place_of(key), what);
    }

    /// Notes a mistake of the section as a whole.
    pub(super) fn wrong_whole(&self, what: impl Into<String>) {
        self.book.note(&self.at, &self.place, what);
    }

    fn find(&self, key: &str) -> Option<&'a Spelt<'a>> {
        self.table.iter().find(|(name, _)| name.get_ref().as_ref() == key).map(|(_, value)| value)
    }

    /// A value as it is spelt.
    pub(super) fn value(&self, key: &'static str) -> Option<&'a Spelt<'a>> {
        self.asked.borrow_mut().push(key);
        self.find(key)
    }

    /// Whether the file has the value at all.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.value(key).is_some()
    }

    /// A text that must be there.
    pub(super) fn text(&self, key: &'static str) -> String {
        self.maybe_text(key).unwrap_or_else(|| {
            if !self.has(key) {
                self.wrong(key, "is missing: it takes text in quotation marks");
            }
            String::new()
        })
    }

    /// A text, where it is there.
    pub(super) fn maybe_text(&self, key: &'static str) -> Option<String> {
        let value = self.value(key)?;
        self.text_of(key, value)
    }

    fn text_of(&self, key: &str, value: &Spelt<'_>) -> Option<String> {
        let Some(text) = value.get_ref().as_str() else {
            self.book.note(
                &value.span(),
                &self.place_of(key),
                format!("takes text in quotation marks, not {}", kind(value.get_ref())),
            );
            return None;
        };
        if text.trim().is_empty() || text.len() > limits::TEXT_BYTES_MAX {
            let max = limits::TEXT_BYTES_MAX;
            self.book.note(&value.span(), &self.place_of(key), format!("takes 1 to {max} bytes of text"));
        }
        Some(text.to_owned())
    }

    /// A number that must be there.
    pub(super) fn number(&self, key: &'static str, within: &RangeInclusive<u32>, unit: &str) -> u32 {
        self.maybe_number(key, within, unit).unwrap_or_else(|| {
            if !self.has(key) {
                self.wrong(key, format!("is missing: it takes {} to {} {unit}", within.start(), within.end()));
            }
            *within.start()
        })
    }

    /// A number, where it is there.
    pub(super) fn maybe_number(&self, key: &'static str, within: &RangeInclusive<u32>, unit: &str) -> Option<u32> {
        let value = self.value(key)?;
        self.number_of(key, value, within, unit)
    }

    fn number_of(&self, key: &str, value: &Spelt<'_>, within: &RangeInclusive<u32>, unit: &str) -> Option<u32> {
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|integer| u32::from_str_radix(integer.as_str(), integer.radix()).ok())
            .filter(|number| within.contains(number));
        if number.is_none() {
            let what = format!("takes {} to {} {unit}", within.start(), within.end());
            self.book.note(&value.span(), &self.place_of(key), what);
        }
        number
    }

    /// Numbers in a list, ascending; none where there is no list.
    pub(super) fn numbers(&self, key: &'static str, within: &RangeInclusive<u32>, unit: &str) -> Vec<u32> {
        let numbers: Vec<_> =
            self.list(key).iter().filter_map(|value| self.number_of(key, value, within, unit)).collect();
        if !numbers.is_sorted_by(|a, b| a < b) {
            self.wrong(key, "takes numbers in ascending order");
        }
        numbers
    }

    /// Yes or no; no where it is not there.
    pub(super) fn flag(&self, key: &'static str) -> bool {
        let Some(value) = self.value(key) else { return false };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong(key, format!("takes true or false, not {}", kind(value.get_ref())));
            false
        })
    }

    /// A day of the calendar, where it is there.
    pub(super) fn day(&self, key: &'static str) -> Option<Day> {
        let value = self.value(key)?;
        let date = value.get_ref().as_datetime().filter(|time| time.time.is_none()).and_then(|time| time.date);
        let Some(date) = date else {
            self.wrong(key, "takes a date such as 2017-10-01, without quotation marks");
            return None;
        };
        Some(Day { year: date.year, month: date.month, day: date.day })
    }

    /// A time of day in minutes after midnight, where it is there.
    pub(super) fn minute(&self, key: &'static str) -> Option<u32> {
        let text = self.maybe_text(key)?;
        let minute = text.split_once(':').and_then(|(hour, minute)| {
            let (hour, minute) = (hour.parse::<u32>().ok()?, minute.parse::<u32>().ok()?);
            (hour < 24 && minute < 60).then_some(hour * 60 + minute)
        });
        if minute.is_none() {
            self.wrong(key, "takes a time of day such as \"22:00\"");
        }
        minute
    }

    /// The elements of a list; none where there is no list.
    pub(super) fn list(&self, key: &'static str) -> &'a [Spelt<'a>] {
        let Some(value) = self.value(key) else { return &[] };
        if let DeValue::Array(array) = value.get_ref() {
            return array;
        }
        self.wrong(key, format!("takes a list in brackets, not {}", kind(value.get_ref())));
        &[]
    }

    /// Texts of a list, each once.
    pub(super) fn texts(&self, key: &'static str) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        for value in self.list(key) {
            let Some(text) = self.text_of(key, value) else { continue };
            if texts.contains(&text) {
                self.book.note(&value.span(), &self.place_of(key), format!("names {text} twice"));
            } else {
                texts.push(text);
            }
        }
        texts
    }

    /// Names of fields in a list, each once.
    pub(super) fn field_names(&self, key: &'static str) -> Vec<String> {
        let names = self.texts(key);
        if names.iter().any(|name| !is_name(name)) {
            self.wrong(key, format!("takes names of 1 to {} bytes in one line", limits::NAME_BYTES_MAX));
        }
        if names.len() > limits::LABELS_MAX {
            self.wrong(key, format!("takes at most {} fields", limits::LABELS_MAX));
        }
        names
    }

    /// Fields with their words: `{ name = "viewer", words = "查阅人" }`.
    pub(super) fn fields(&self, key: &'static str) -> Vec<Field> {
        let mut fields: Vec<Field> = Vec::new();
        for section in self.sections(key) {
            let field = Field { name: section.text("name"), words: section.text("words") };
            if !is_name(&field.name) {
                section.wrong("name", format!("takes 1 to {} bytes in one line", limits::NAME_BYTES_MAX));
            } else if fields.iter().any(|other| other.name == field.name) {
                section.wrong("name", format!("names {} twice", field.name));
            }
            section.done();
            fields.push(field);
        }
        if fields.len() > limits::LABELS_MAX {
            self.wrong(key, format!("takes at most {} fields", limits::LABELS_MAX));
        }
        fields
    }

    /// Codes with their words: `{ code = "fault", words = "设备故障" }`.
    pub(super) fn codes(&self, key: &'static str) -> Vec<Code> {
        let mut codes: Vec<Code> = Vec::new();
        for section in self.sections(key) {
            let code = section.code();
            if codes.iter().any(|other| other.code == code.code) {
                section.wrong("code", format!("names {} twice", code.code));
            }
            section.done();
            codes.push(code);
        }
        codes
    }

    /// The section's own `code` and `words`.
    pub(super) fn code(&self) -> Code {
        let code = Code { code: self.text("code"), words: self.text("words") };
        if !is_code(&code.code) {
            self.wrong("code", "takes small letters, digits and underscores, beginning with a letter");
        }
        code
    }

    /// Roles that may take this step at all: a profile narrows the table of acts and never widens it.
    pub(super) fn roles_within(&self, key: &'static str, step: Act) -> Vec<Role> {
        let roles = self.roles(key);
        if let Some(role) = roles.iter().find(|role| !step.roles().contains(role)) {
            let able: Vec<_> = step.roles().iter().map(|role| role.name()).collect();
            self.wrong(key, format!("{role} may never {}; these may: {}", step.name(), able.join(", ")));
        }
        roles
    }

    /// At least one role, each once.
    pub(super) fn roles(&self, key: &'static str) -> Vec<Role> {
        let roles = self.maybe_roles(key);
        if roles.is_empty()
            && self.value(key).is_none_or(|value| value.get_ref().as_array().is_some_and(|list| list.is_empty()))
        {
            self.wrong(key, "names no role; a whole section is left open by unspecified = true");
        }
        roles
    }

    /// Roles, each once; none where there is no list.
    pub(super) fn maybe_roles(&self, key: &'static str) -> Vec<Role> {
        let mut roles = Vec::new();
        for value in self.list(key) {
            let Some(role) = self.role_of(key, value) else { continue };
            if roles.contains(&role) {
                self.book.note(&value.span(), &self.place_of(key), format!("names {role} twice"));
            } else {
                roles.push(role);
            }
        }
        roles
    }

    /// A role, where it is there.
    pub(super) fn maybe_role(&self, key: &'static str) -> Option<Role> {
        let value = self.value(key)?;
        self.role_of(key, value)
    }

    /// The role that a value spells.
    pub(super) fn role_of(&self, key: &str, value: &Spelt<'_>) -> Option<Role> {
        let name = self.text_of(key, value)?;
        match name.parse::<Role>() {
            Ok(role) => Some(role),
            Err(error) => {
                self.book.note(&value.span(), &self.place_of(key), error.to_string());
                None
            }
        }
    }

    /// One word out of a known few; none where it is not there.
    pub(super) fn one_of<T: Copy>(&self, key: &'static str, all: &[T], name: fn(T) -> &'static str) -> Option<T> {
        let value = self.value(key)?;
        self.word_of(key, value, all, name)
    }

    /// Words out of a known few.
    pub(super) fn some_of<T: Copy + PartialEq>(
        &self,
        key: &'static str,
        all: &[T],
        name: fn(T) -> &'static str,
    ) -> Vec<T> {
        let mut found = Vec::new();
        for value in self.list(key) {
            let Some(word) = self.word_of(key, value, all, name) else { continue };
            if found.contains(&word) {
                self.book.note(&value.span(), &self.place_of(key), format!("names {} twice", name(word)));
            } else {
                found.push(word);
            }
        }
        found
    }

    fn word_of<T: Copy>(&self, key: &str, value: &Spelt<'_>, all: &[T], name: fn(T) -> &'static str) -> Option<T> {
        let text = self.text_of(key, value)?;
        let found = all.iter().copied().find(|word| name(*word) == text);
        if found.is_none() {
            let known: Vec<_> = all.iter().map(|word| name(*word)).collect();
            let what = format!("{text:?} is none of {}", known.join(", "));
            self.book.note(&value.span(), &self.place_of(key), what);
        }
        found
    }

    /// A table within this one.
    pub(super) fn section(&self, key: &'static str) -> Option<Section<'a>> {
        let value = self.value(key)?;
        if let DeValue::Table(table) = value.get_ref() {
            return Some(Section::new(self.book, self.place_of(key), value.span(), table));
        }
        self.wrong(key, format!("takes a section [{}], not {}", self.place_of(key), kind(value.get_ref())));
        None
    }

    /// A list of tables within this one; a single table counts as a list of one.
    pub(super) fn sections(&self, key: &'static str) -> Vec<Section<'a>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let place = self.place_of(key);
        match value.get_ref() {
            DeValue::Table(table) => vec![Section::new(self.book, place, value.span(), table)],
            DeValue::Array(array) => {
                array.iter().enumerate().filter_map(|(at, value)| self.element(&place, at, value)).collect()
            }
            other => {
                self.wrong(key, format!("takes sections [[{place}]], not {}", kind(other)));
                Vec::new()
            }
        }
    }

    fn element(&self, place: &str, at: usize, value: &'a Spelt<'a>) -> Option<Section<'a>> {
        let place = format!("{place}[{}]", at + 1);
        if let DeValue::Table(table) = value.get_ref() {
            return Some(Section::new(self.book, place, value.span(), table));
        }
        self.book.note(&value.span(), &place, format!("takes values in braces, not {}", kind(value.get_ref())));
        None
    }

    /// Every table within this one with its name, in the order of the text.
    pub(super) fn named(&self) -> Vec<(&'a str, Section<'a>)> {
        let mut named: Vec<_> = self
            .table
            .iter()
            .filter_map(|(name, value)| {
                let name = name.get_ref().as_ref();
                let place = self.place_of(name);
                if let DeValue::Table(table) = value.get_ref() {
                    return Some((name, Section::new(self.book, place, value.span(), table)));
                }
                self.book.note(&value.span(), &place, format!("takes a section, not {}", kind(value.get_ref())));
                None
            })
            .collect();
        named.sort_by_key(|(_, section)| section.at.start);
        named
    }

    /// Where the section's rule stands.
    pub(super) fn source(&self) -> Source {
        let open = self.flag("unspecified");
        let rule = self.maybe_text("rule");
        if rule.is_none() && !open && !self.has("rule") {
            self.wrong_whole(
                "names no rule: say where it is written, such as rule = \"R-000-21a\" or rule = \"第二十一条\"",
            );
        }
        Source {
            rule: rule.unwrap_or_default(),
            article: self.maybe_text("article").unwrap_or_default(),
            interpreted: self.flag("interpreted"),
            note: self.maybe_text("note").unwrap_or_default(),
        }
    }

    /// The source of what the text leaves open, where the section says so.
    pub(super) fn left_open(&self) -> Option<Source> {
        self.flag("unspecified").then(|| self.source())
    }

    /// Notes every value that has none of these names.
    pub(super) fn unknown(&self, names: &[&str], what: &str) {
        for (name, _) in self.table.iter().filter(|(name, _)| !names.contains(&name.get_ref().as_ref())) {
            self.book.note(&name.span(), &self.place_of(name.get_ref()), what);
        }
    }

    /// Notes every value that nobody asked for.
    pub(super) fn done(&self) {
        let asked = self.asked.borrow();
        for (name, _) in self.table.iter() {
            let key = name.get_ref().as_ref();
            if asked.contains(&key) {
                continue;
            }
            let mut known: Vec<_> = asked.clone();
            known.sort_unstable();
            known.dedup();
            let what = if asked.contains(&"unspecified") && self.find("unspecified").is_some() {
                format!("unknown key `{key}`: a section that is unspecified states nothing else")
            } else {
                format!("unknown key `{key}`; known here are {}", known.join(", "))
            };
            self.book.note(&name.span(), &self.place_of(key), what);
        }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TOLD_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn is_name(name: &str) -> bool {
    crate::upload::check_label_name(name).is_ok()
}

fn is_code(code: &str) -> bool {
    let mut letters = code.chars();
    letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && code.len() <= limits::NAME_BYTES_MAX
        && letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

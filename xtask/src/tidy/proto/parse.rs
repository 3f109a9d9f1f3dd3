//! Just enough of the protobuf grammar for the style checks: nested declarations, their words and their comments.
//! Whether a file is right is for the compiler to say.

/// `words ;` or `words { body }`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Declaration {
    /// Where it starts, from 1.
    pub line: usize,
    /// Whether a comment with words in it ends on the line above.
    pub has_comment: bool,
    /// Names, numbers, quoted texts and signs, one each.
    pub words: Vec<String>,
    /// What stands between its braces.
    pub body: Vec<Declaration>,
}

impl Declaration {
    /// The word at this place, or nothing.
    pub(super) fn word(&self, position: usize) -> &str {
        self.words.get(position).map_or("", String::as_str)
    }
}

/// A file whose braces or quotes do not match.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ParseError {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

pub(super) fn parse(text: &str) -> Result<Vec<Declaration>, ParseError> {
    let tokens = tokens(text)?;
    let mut rest = tokens.as_slice();
    let declarations = declarations(&mut rest)?;
    match rest.first() {
        None => Ok(declarations),
        Some(token) => Err(ParseError { line: token.line, what: "a brace closes what was not opened".to_owned() }),
    }
}

#[derive(Debug)]
struct Token {
    line: usize,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// Ends on the token's line; true where it says something.
    Comment(bool),
    /// A name, number, quoted text or sign.
    Word(String),
}

impl Token {
    fn is(&self, sign: &str) -> bool {
        matches!(&self.kind, Kind::Word(word) if word == sign)
    }
}

/// Declarations up to a closing brace, which is left, or to the end.
fn declarations(rest: &mut &[Token]) -> Result<Vec<Declaration>, ParseError> {
    let mut found = Vec::new();
    let mut comment_line = None;
    while let Some(token) = rest.first() {
        match &token.kind {
            Kind::Comment(says_something) => {
                comment_line = says_something.then_some(token.line);
                *rest = &rest[1..];
            }
            Kind::Word(word) if word == "}" => return Ok(found),
            Kind::Word(word) if word == ";" => *rest = &rest[1..],
            Kind::Word(_) => {
                let has_comment = comment_line.is_some_and(|line| line + 1 == token.line || line == token.line);
                found.push(declaration(rest, has_comment)?);
                comment_line = None;
            }
        }
    }
    Ok(found)
}

fn declaration(rest: &mut &[Token], has_comment: bool) -> Result<Declaration, ParseError> {
    let line = rest[0].line;
    let not_closed = || ParseError { line, what: "what starts here is not closed".to_owned() };
    let mut words = Vec::new();
    let mut brackets = 0_usize;
    loop {
        let (token, after) = rest.split_first().ok_or_else(not_closed)?;
        *rest = after;
        match &token.kind {
            Kind::Comment(_) => {}
            Kind::Word(word) if word == ";" && brackets == 0 => {
                return Ok(Declaration { line, has_comment, words, body: Vec::new() });
            }
            Kind::Word(word) if word == "{" && brackets == 0 => {
                let body = declarations(rest)?;
                if !rest.first().is_some_and(|token| token.is("}")) {
                    return Err(not_closed());
                }
                *rest = &rest[1..];
                return Ok(Declaration { line, has_comment, words, body });
            }
            Kind::Word(word) => {
                match word.as_str() {
                    "[" => brackets += 1,
                    "]" => brackets = brackets.saturating_sub(1),
                    _ => {}
                }
                words.push(word.clone());
            }
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, ParseError> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let length = match letter {
            '\n' => {
                line += 1;
                1
            }
            _ if letter.is_whitespace() => letter.len_utf8(),
            _ if rest.starts_with("//") => {
                let length = rest.find('\n').unwrap_or(rest.len());
                // The second and later lines of a comment speak for the first.
                let goes_on =
                    matches!(found.last(), Some(Token { line: last, kind: Kind::Comment(true) }) if last + 1 == line);
                let says_something = goes_on || says_something(&rest[..length]);
                found.push(Token { line, kind: Kind::Comment(says_something) });
                length
            }
            _ if rest.starts_with("/*") => {
                let length = rest.find("*/").map(|end| end + 2);
                let length = length.ok_or_else(|| open(line, "comment"))?;
                line += rest[..length].matches('\n').count();
                found.push(Token { line, kind: Kind::Comment(says_something(&rest[..length])) });
                length
            }
            '"' | '\'' => {
                let length = quoted(rest, letter).ok_or_else(|| open(line, "text"))?;
                found.push(Token { line, kind: Kind::Word(rest[..length].to_owned()) });
                length
            }
            _ => {
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
                let length = rest.find(|c| !is_name(c)).unwrap_or(rest.len()).max(letter.len_utf8());
                found.push(Token { line, kind: Kind::Word(rest[..length].to_owned()) });
                length
            }
        };
        rest = &rest[length..];
    }
    Ok(found)
}

/// Bytes of the quoted text that `rest` starts with, both quotes included.
fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    rest.char_indices().skip(1).find_map(|(position, letter)| {
        let ends = letter == quote && !escaped;
        escaped = letter == '\\' && !escaped;
        ends.then_some(position + 1)
    })
}

fn says_something(comment: &str) -> bool {
    comment.chars().any(char::is_alphabetic)
}

fn open(line: usize, what: &str) -> ParseError {
    ParseError { line, what: format!("a {what} is not closed") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lines_and_comments_are_told_apart() {
        let text = "// one\n// two\nmessage A { // three\n  string a = 1 [x = \"};\"]; }\n\noption b = 'it\\'s';\n";
        let parsed = parse(text).expect("parses");
        assert_eq!(parsed.len(), 2);
        assert_eq!((parsed[0].line, parsed[0].has_comment, parsed[0].word(1)), (3, true, "A"));
        assert_eq!(parsed[0].body[0].words, ["string", "a", "=", "1", "[", "x", "=", "\"};\"", "]"]);
        assert_eq!((parsed[1].line, parsed[1].has_comment, parsed[1].word(3)), (6, false, "'it\\'s'"));
    }

    #[test]
    fn what_does_not_close_is_an_error_with_its_line() {
        for (text, line) in [
            ("message A {\n", 1),
            ("\n}", 2),
            ("\n/* x", 2),
            ("option a = \"x;", 1),
            ("message A", 1),
            ("\nmessage A { b", 2),
        ] {
            assert_eq!(parse(text).expect_err("does not close").line, line, "{text:?}");
        }
    }
}

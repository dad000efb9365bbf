//! Splits a template into text and the tokens of its actions.

use serde_json::{Number, Value};

use crate::error::Fault;

/// What opens an action.
pub(crate) const OPEN: &str = "{{";
const CLOSE: &str = "}}";
/// The white space that `{{-` and `-}}` remove.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// A stretch of a template.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Piece {
    /// Text that is passed on as it is.
    Text(String),
    /// What is between `{{` and `}}`.
    Action {
        /// Where the action's `{{` is.
        at: usize,
        /// What is in it; empty for `{{}}`.
        tokens: Vec<Token>,
    },
}

/// A word of an action and where it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub kind: Kind,
    /// The first byte.
    pub at: usize,
    /// The byte after the last.
    pub end: usize,
    /// Whether white space comes before it; it separates arguments.
    pub spaced: bool,
}

/// The kinds of words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// `.` by itself.
    Dot,
    /// `.Name`.
    Field(String),
    /// `$name`, or `$` as the empty name.
    Variable(String),
    /// A function, keyword or constant.
    Word(String),
    /// A string, number or character constant.
    Literal(Value),
    /// `|`.
    Pipe,
    /// `(`.
    Open,
    /// `)`.
    Close,
    /// `:=`.
    Declare,
    /// `=`.
    Assign,
    /// `,`.
    Comma,
}

/// Splits `template`.
pub(crate) fn lex(template: &str) -> Result<Vec<Piece>, Fault> {
    let mut pieces = Vec::new();
    let mut position = 0;
    let mut trim_next = false;
    loop {
        let rest = &template[position..];
        let opening = rest.find(OPEN);
        let mut text = &rest[..opening.unwrap_or(rest.len())];
        if trim_next {
            text = text.trim_start_matches(SPACE);
        }
        let Some(opening) = opening else {
            push_text(&mut pieces, text);
            return Ok(pieces);
        };
        let at = position + opening;
        let mut inner = at + OPEN.len();
        if trims_left(&template[inner..]) {
            text = text.trim_end_matches(SPACE);
            inner += 1;
        }
        push_text(&mut pieces, text);
        let comment = inner + leading_space(&template[inner..]);
        // As in Go, a comment stands alone and directly behind its delimiter.
        if template[inner..].starts_with("/*")
            || (template[..inner].ends_with('-') && template[comment..].starts_with("/*"))
        {
            (position, trim_next) = skip_comment(template, at, comment)?;
            continue;
        }
        let mut lexer = Lexer { template, position: inner, tokens: Vec::new(), depth: 0 };
        trim_next = lexer.action(at)?;
        position = lexer.position;
        pieces.push(Piece::Action { at, tokens: lexer.tokens });
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

fn leading_space(text: &str) -> usize {
    text.len() - text.trim_start_matches(SPACE).len()
}

/// Whether an action that goes on with `rest` began with a trim marker: `-` and white space.
fn trims_left(rest: &str) -> bool {
    rest.strip_prefix('-').is_some_and(|rest| rest.starts_with(SPACE))
}

/// Where the template goes on after the comment at `comment`, and whether white space is trimmed.
fn skip_comment(template: &str, at: usize, comment: usize) -> Result<(usize, bool), Fault> {
    let Some(length) = template[comment..].find("*/") else {
        return Err(Fault::new(at, "the comment is not closed; end it with */}}"));
    };
    let end = comment + length + 2;
    let rest = &template[end..];
    if rest.starts_with(CLOSE) {
        return Ok((end + CLOSE.len(), false));
    }
    let space = leading_space(rest);
    if space > 0 && rest[space..].starts_with("-}}") {
        return Ok((end + space + 3, true));
    }
    Err(Fault::new(end, "a comment must end with */}} and stand alone in its {{ }}"))
}

struct Lexer<'a> {
    template: &'a str,
    position: usize,
    tokens: Vec<Token>,
    depth: usize,
}

impl Lexer<'_> {
    /// Reads the tokens up to and including the closing delimiter; tells whether it trims.
    fn action(&mut self, opened_at: usize) -> Result<bool, Fault> {
        loop {
            let space = leading_space(self.rest());
            let spaced = space > 0;
            let after_space = &self.rest()[space..];
            let trims = spaced && after_space.starts_with("-}}");
            if trims || after_space.starts_with(CLOSE) {
                self.position += space + if trims { 3 } else { CLOSE.len() };
                if self.depth > 0 {
                    return Err(Fault::new(
                        opened_at,
                        "a parenthesis is not closed in this action",
                    ));
                }
                return Ok(trims);
            }
            let ended = after_space.is_empty();
            self.position += space;
            if ended {
                return Err(Fault::new(opened_at, "this {{ is never closed with }}"));
            }
            let at = self.position;
            let kind = self.token()?;
            self.tokens.push(Token { kind, at, end: self.position, spaced });
        }
    }

    fn rest(&self) -> &str {
        &self.template[self.position..]
    }

    fn token(&mut self) -> Result<Kind, Fault> {
        let rest = self.rest();
        // The caller made sure that there is more.
        let first = rest.chars().next().unwrap_or(' ');
        let second = rest[first.len_utf8()..].chars().next();
        let simple = |lexer: &mut Self, kind: Kind, length: usize| {
            lexer.position += length;
            Ok(kind)
        };
        match first {
            '|' => simple(self, Kind::Pipe, 1),
            ',' => simple(self, Kind::Comma, 1),
            '=' => simple(self, Kind::Assign, 1),
            ':' if second == Some('=') => simple(self, Kind::Declare, 2),
            '(' => {
                self.depth += 1;
                simple(self, Kind::Open, 1)
            }
            ')' if self.depth == 0 => Err(self.fault("this closing parenthesis opens nowhere")),
            ')' => {
                self.depth -= 1;
                simple(self, Kind::Close, 1)
            }
            '"' => self.quoted('"').map(|text| Kind::Literal(Value::String(text))),
            '\'' => self.character(),
            '`' => self.raw(),
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => self.number(),
            '.' => {
                self.position += 1;
                let name = self.word();
                Ok(if name.is_empty() { Kind::Dot } else { Kind::Field(name) })
            }
            '$' => {
                self.position += 1;
                Ok(Kind::Variable(self.word()))
            }
            '0'..='9' => self.number(),
            '+' | '-' if second.is_some_and(|c| c.is_ascii_digit() || c == '.') => self.number(),
            c if c.is_alphabetic() || c == '_' => Ok(Kind::Word(self.word())),
            c => Err(self.fault(format!("{c:?} has no meaning in an action"))),
        }
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::new(self.position, message)
    }

    fn word(&mut self) -> String {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let word = rest[..end].to_owned();
        self.position += end;
        word
    }

    fn raw(&mut self) -> Result<Kind, Fault> {
        let Some(length) = self.rest()[1..].find('`') else {
            return Err(self.fault("this ` is never closed"));
        };
        let text = self.rest()[1..=length].replace('\r', "");
        self.position += length + 2;
        Ok(Kind::Literal(Value::String(text)))
    }

    fn character(&mut self) -> Result<Kind, Fault> {
        let at = self.position;
        let text = self.quoted('\'')?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => Ok(Kind::Literal(Value::from(u32::from(c)))),
            _ => Err(Fault::new(
                at,
                "single quotes hold exactly one character; write strings with \" or `",
            )),
        }
    }

    /// Reads a quoted constant with Go's escapes.
    fn quoted(&mut self, quote: char) -> Result<String, Fault> {
        let start = self.position;
        let mut bytes: Vec<u8> = Vec::new();
        let mut chars = self.template[start + 1..].char_indices();
        let unclosed = || Fault::new(start, format!("this {quote} is never closed"));
        while let Some((offset, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.position = start + 1 + offset + 1;
                    return String::from_utf8(bytes)
                        .map_err(|_| Fault::new(start, "this constant is not valid UTF-8"));
                }
                '\n' => return Err(unclosed()),
                '\\' => {
                    let at = start + 1 + offset;
                    let (_, escape) = chars.next().ok_or_else(unclosed)?;
                    let mut digits = |first: Option<char>, count: usize, radix: u32| {
                        let more = count - usize::from(first.is_some());
                        let text: String = first
                            .into_iter()
                            .chain(chars.by_ref().take(more).map(|(_, digit)| digit))
                            .collect();
                        let all = text.chars().count() == count
                            && text.chars().all(|digit| digit.is_digit(radix));
                        all.then(|| u32::from_str_radix(&text, radix).ok())
                            .flatten()
                            .ok_or_else(|| Fault::new(at, "this escape needs more digits"))
                    };
                    match escape {
                        'a' => bytes.push(0x07),
                        'b' => bytes.push(0x08),
                        'f' => bytes.push(0x0c),
                        'n' => bytes.push(b'\n'),
                        'r' => bytes.push(b'\r'),
                        't' => bytes.push(b'\t'),
                        'v' => bytes.push(0x0b),
                        '\\' => bytes.push(b'\\'),
                        c if c == quote => bytes.push(quote as u8),
                        'x' => bytes.push(digits(None, 2, 16)? as u8),
                        '0'..='7' => {
                            let code = digits(Some(escape), 3, 8)?;
                            let byte = u8::try_from(code)
                                .map_err(|_| Fault::new(at, "this escape is beyond \\377"))?;
                            bytes.push(byte);
                        }
                        'u' | 'U' => {
                            let code = digits(None, if escape == 'u' { 4 } else { 8 }, 16)?;
                            let c = char::from_u32(code)
                                .ok_or_else(|| Fault::new(at, "there is no such character"))?;
                            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                        }
                        other => {
                            return Err(Fault::new(
                                at,
                                format!(
                                    "\\{other} is not an escape; write \\\\ for a backslash, or \
                                     put the text between `backquotes`"
                                ),
                            ));
                        }
                    }
                }
                c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Err(unclosed())
    }

    fn number(&mut self) -> Result<Kind, Fault> {
        let rest = self.rest();
        let mut end = 0;
        let mut previous = ' ';
        let hex = rest.trim_start_matches(['+', '-']).to_ascii_lowercase().starts_with("0x");
        for c in rest.chars() {
            let sign =
                (c == '+' || c == '-') && (end == 0 || (!hex && matches!(previous, 'e' | 'E')));
            if !(sign || c.is_ascii_alphanumeric() || c == '_' || c == '.') {
                break;
            }
            end += c.len_utf8();
            previous = c;
        }
        let text = &rest[..end];
        let value =
            read_number(text).ok_or_else(|| self.fault(format!("{text:?} is not a number")))?;
        self.position += end;
        Ok(Kind::Literal(Value::Number(value)))
    }
}

/// Reads a number as Go writes them.
fn read_number(text: &str) -> Option<Number> {
    let plain = text.replace('_', "");
    let negative = plain.starts_with('-');
    let digits = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    let lower = digits.to_ascii_lowercase();
    let (radix, body) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        // A leading zero alone means octal in Go.
        _ if lower.len() > 1 && lower.starts_with('0') && !lower.contains(['.', 'e']) => {
            (8, &lower[1..])
        }
        _ => (10, lower.as_str()),
    };
    if body.is_empty() || body.starts_with(['+', '-']) {
        return None;
    }
    if let Ok(magnitude) = u64::from_str_radix(body, radix) {
        if !negative {
            return Some(Number::from(magnitude));
        }
        return 0i64.checked_sub_unsigned(magnitude).map(Number::from);
    }
    if radix != 10 || !body.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let float: f64 = body.parse().ok()?;
    Number::from_f64(if negative { -float } else { float })
}

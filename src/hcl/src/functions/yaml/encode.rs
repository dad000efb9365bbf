//! Values as YAML, laid out as the writer of HCL's YAML functions lays it out: every text in
//! quotes or, with several lines, as a literal block.

use crate::{Kind, Value};

/// Where long texts in quotes are broken.
const WIDTH: usize = 80;
/// How much deeper each level stands.
const STEP: usize = 2;
/// Keys of more bytes than this, or of several lines, are written with a question mark.
const LONGEST_KEY: usize = 128;

/// A known value as a YAML document.
pub(super) fn encode(value: &Value) -> String {
    let mut writer = Writer::default();
    writer.node(value, 0, STEP);
    writer.end_line();
    // The end of a bare number or word is only sure with an end mark.
    if matches!(value.kind, Kind::Null(_) | Kind::Bool(_) | Kind::Number(_)) {
        writer.text.push_str("...\n");
    }
    writer.text
}

#[derive(Default)]
struct Writer {
    text: String,
}

impl Writer {
    fn end_line(&mut self) {
        if !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    fn new_line(&mut self, indent: usize) {
        self.end_line();
        self.text.push_str(&" ".repeat(indent));
    }

    fn column(&self) -> usize {
        self.text.chars().rev().take_while(|&c| c != '\n').count()
    }

    /// A value whose collections start here at `indent`, and whose text goes on at `inner`.
    fn node(&mut self, value: &Value, indent: usize, inner: usize) {
        match &value.kind {
            Kind::Null(_) | Kind::Unknown(_) => self.text.push_str("null"),
            Kind::Bool(truth) => self.text.push_str(&truth.to_string()),
            Kind::Number(number) => self.text.push_str(&number.to_string()),
            Kind::String(text) => self.string(text, inner),
            Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
                if items.is_empty() {
                    self.text.push_str("[]");
                }
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.new_line(indent);
                    }
                    self.text.push_str("- ");
                    self.node(item, indent + STEP, indent + STEP);
                }
            }
            Kind::Map(_, entries) | Kind::Object(entries) => {
                if entries.is_empty() {
                    self.text.push_str("{}");
                }
                for (index, (name, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        self.new_line(indent);
                    }
                    self.entry(name, value, indent);
                }
            }
        }
    }

    fn entry(&mut self, name: &str, value: &Value, indent: usize) {
        let inner = indent + STEP;
        if name.contains('\n') || name.len() > LONGEST_KEY {
            self.text.push_str("? ");
            self.string(name, inner);
            self.new_line(indent);
            self.text.push_str(": ");
            self.node(value, inner, inner);
            return;
        }
        self.quoted(name, None);
        self.text.push(':');
        let filled = value.children().next().is_some();
        match (filled, value.as_entries().is_some()) {
            (true, true) => {
                self.new_line(inner);
                self.node(value, inner, inner);
            }
            // The items of a list stand no deeper than its name.
            (true, false) => {
                self.new_line(indent);
                self.node(value, indent, inner);
            }
            (false, _) => {
                self.text.push(' ');
                self.node(value, indent, inner);
            }
        }
    }

    fn string(&mut self, text: &str, indent: usize) {
        if text.contains('\n') && fits_block(text) {
            self.literal(text, indent);
        } else {
            self.quoted(text, Some(indent));
        }
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.text.push('|');
        if text.starts_with([' ', '\n']) {
            self.text.push_str(&STEP.to_string());
        }
        if !text.ends_with('\n') {
            self.text.push('-');
        } else if text == "\n" || text.ends_with("\n\n") {
            self.text.push('+');
        }
        self.text.push('\n');
        for line in text.split_inclusive('\n') {
            if line != "\n" {
                self.text.push_str(&" ".repeat(indent));
            }
            self.text.push_str(line);
        }
    }

    /// In double quotes; long ones are broken at spaces if there is an indent to go on with.
    fn quoted(&mut self, text: &str, indent: Option<usize>) {
        self.text.push('"');
        let mut column = self.column();
        let start = self.text.len();
        let mut after_space = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c == ' ' {
                let middle = self.text.len() > start && chars.peek().is_some();
                match indent {
                    Some(indent) if middle && !after_space && column > WIDTH => {
                        self.new_line(indent);
                        column = indent;
                        if chars.peek() == Some(&' ') {
                            self.text.push('\\');
                            column += 1;
                        }
                    }
                    _ => {
                        self.text.push(' ');
                        column += 1;
                    }
                }
                after_space = true;
                continue;
            }
            after_space = false;
            let before = self.text.len();
            match c {
                // The writer takes all of a text for special that starts with this mark.
                _ if !text.starts_with('\u{feff}') && is_plain(c) && c != '"' && c != '\\' => {
                    self.text.push(c);
                    column += 1;
                    continue;
                }
                '"' | '\\' => self.text.extend(['\\', c]),
                '\0' => self.text.push_str("\\0"),
                '\x07' => self.text.push_str("\\a"),
                '\x08' => self.text.push_str("\\b"),
                '\t' => self.text.push_str("\\t"),
                '\n' => self.text.push_str("\\n"),
                '\x0b' => self.text.push_str("\\v"),
                '\x0c' => self.text.push_str("\\f"),
                '\r' => self.text.push_str("\\r"),
                '\x1b' => self.text.push_str("\\e"),
                '\u{85}' => self.text.push_str("\\N"),
                '\u{2028}' => self.text.push_str("\\L"),
                '\u{2029}' => self.text.push_str("\\P"),
                c => self.text.push_str(&match c as u32 {
                    code @ ..=0xff => format!("\\x{code:02X}"),
                    code @ ..=0xffff => format!("\\u{code:04X}"),
                    code => format!("\\U{code:08X}"),
                }),
            }
            column += self.text.len() - before;
        }
        self.text.push('"');
    }
}

/// Whether the writer shows a character as it is, outside of a line's end.
fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// Whether a literal block would keep a text as it is.
fn fits_block(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || is_plain(c)) && !text.contains(" \n") && !text.ends_with(' ')
}

//! YAML as values, with YAML 1.1's words and numbers as HCL's YAML functions know them. The
//! syntax is saphyr-parser's work.

use std::collections::BTreeMap;

use ingot_go_template::time::format_go;
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use time::OffsetDateTime;

use super::super::date::{self, Lenience};
use crate::{Number, Type, Value};

/// Reads a document.
///
/// # Errors
/// What is wrong, with its line.
pub(super) fn decode(source: &str) -> Result<Value, String> {
    let mut reader =
        Reader { parser: Parser::new_from_str(source), anchors: BTreeMap::new(), line: 1 };
    loop {
        match reader.next()? {
            Event::StreamStart | Event::DocumentStart(_) => {}
            Event::StreamEnd => return Err("there is no document in it".into()),
            event => {
                let value = reader.value(event)?;
                while let Some(event) = reader.parser.next_event() {
                    let (event, _) = event.map_err(|error| error.to_string())?;
                    if matches!(event, Event::DocumentStart(_)) {
                        return Err("only one document is allowed".into());
                    }
                }
                return Ok(value);
            }
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// Nothing for one that is still being read.
    anchors: BTreeMap<usize, Option<Value>>,
    line: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Event<'a>, String> {
        let event = self.parser.next_event().ok_or("it ends too early")?;
        let (event, span) = event.map_err(|error| error.to_string())?;
        self.line = span.start.line();
        Ok(event)
    }

    fn fail<T>(&self, message: impl std::fmt::Display) -> Result<T, String> {
        Err(format!("line {}: {message}", self.line))
    }

    fn value(&mut self, event: Event<'a>) -> Result<Value, String> {
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = matches!(style, ScalarStyle::Plain);
                let quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
                let tag = self.tag(tag.as_deref())?;
                // A block of several lines is a text, whatever it looks like.
                let value = match (tag, plain || quoted) {
                    (None, false) => Value::from(&*text),
                    (tag, _) => match scalar(&text, tag, quoted) {
                        Ok(value) => value,
                        Err(message) => return self.fail(message),
                    },
                };
                (anchor, value)
            }
            Event::SequenceStart(anchor, tag) => {
                self.only_tag(tag.as_deref(), "seq")?;
                self.open(anchor);
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        Event::SequenceEnd => break,
                        event => items.push(self.value(event)?),
                    }
                }
                (anchor, Value::tuple(items))
            }
            Event::MappingStart(anchor, tag) => {
                self.only_tag(tag.as_deref(), "map")?;
                self.open(anchor);
                (anchor, self.mapping()?)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(Some(value)) => return Ok(value.clone()),
                Some(None) => return self.fail("an alias stands inside what it stands for"),
                None => return self.fail("an alias stands for nothing"),
            },
            _ => return self.fail("a value is missing"),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, Some(value.clone()));
        }
        Ok(value)
    }

    fn open(&mut self, anchor: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, None);
        }
    }

    fn mapping(&mut self) -> Result<Value, String> {
        let mut entries = BTreeMap::new();
        loop {
            let event = self.next()?;
            let merge = match &event {
                Event::MappingEnd => return Ok(Value::object(entries)),
                Event::Scalar(text, ScalarStyle::Plain, _, None) => text == "<<",
                _ => false,
            };
            let key = self.value(event)?;
            let event = self.next()?;
            let value = self.value(event)?;
            if merge {
                match value.as_entries() {
                    Some(others) => entries.extend(others.clone()),
                    None => return self.fail("only a mapping can be merged with <<"),
                }
                continue;
            }
            let key = match key.is_null() {
                true => None,
                false => crate::convert::convert(&key, &Type::String).ok(),
            };
            match key.as_ref().and_then(Value::as_str) {
                Some(key) => drop(entries.insert(key.to_owned(), value)),
                None => return self.fail("a key must be a text, number or bool"),
            }
        }
    }

    /// The name of one of YAML's own tags.
    fn tag<'t>(&self, tag: Option<&'t Tag>) -> Result<Option<&'t str>, String> {
        match tag {
            None => Ok(None),
            Some(tag) if tag.is_yaml_core_schema() => Ok(Some(&tag.suffix)),
            Some(tag) => {
                self.fail(format!("the tag {}{} is not supported", tag.handle, tag.suffix))
            }
        }
    }

    fn only_tag(&self, tag: Option<&Tag>, allowed: &str) -> Result<(), String> {
        match self.tag(tag)? {
            Some(other) if other != allowed => {
                self.fail(format!("the tag !!{other} is not supported here"))
            }
            _ => Ok(()),
        }
    }
}

fn scalar(text: &str, tag: Option<&str>, quoted: bool) -> Result<Value, String> {
    let wrong = |what: &str| format!("{text:?} is no {what}");
    match tag {
        None if quoted => Ok(text.into()),
        None => match plain(text) {
            Some(value) => Ok(value),
            None if matches!(
                text,
                ".inf" | ".Inf" | ".INF" | "+.inf" | "-.inf" | ".nan" | ".NaN" | ".NAN"
            ) =>
            {
                Err(format!("{text} is not supported as a number"))
            }
            None => Ok(text.into()),
        },
        Some("str") => Ok(text.into()),
        Some("binary") => match super::super::encoding::bytes(&[text.into()], 0) {
            Ok(_) => Ok(text.into()),
            Err(_) => Err(wrong("base64")),
        },
        Some("null") => Ok(Value::null(Type::Dynamic)),
        Some("bool") => boolean(text).map(Value::from).ok_or_else(|| wrong("bool")),
        Some("int" | "float") => number(text).map(Value::from).ok_or_else(|| wrong("number")),
        Some("timestamp") => timestamp(text).map(Value::from).ok_or_else(|| wrong("time")),
        Some(other) => Err(format!("the tag !!{other} is not supported")),
    }
}

/// What a word without quotes and tag is, if it is not just a text.
fn plain(text: &str) -> Option<Value> {
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Some(Value::null(Type::Dynamic));
    }
    if let Some(truth) = boolean(text) {
        return Some(truth.into());
    }
    let first = text.chars().next()?;
    match first {
        '0'..='9' | '+' | '-' => match timestamp(text) {
            Some(time) => Some(time.into()),
            None if text.contains(['x', 'o']) => None,
            None => number(text).map(Value::from),
        },
        '.' => Number::parse(text).map(Value::from),
        _ => None,
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Some(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(false)
        }
        _ => None,
    }
}

fn number(text: &str) -> Option<Number> {
    let plain = text.replace('_', "");
    if let Some(number) = Number::parse(&plain) {
        return Some(number);
    }
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, plain.as_str()),
    };
    let (base, digits) = match digits.get(..2)? {
        "0b" | "0B" => (2, &digits[2..]),
        "0o" | "0O" => (8, &digits[2..]),
        "0x" | "0X" => (16, &digits[2..]),
        _ => return None,
    };
    let magnitude = u64::from_str_radix(digits, base).ok()?;
    Some(Number::from_integer(dashu_int::IBig::from(magnitude) * sign))
}

/// Times are texts in HCL, in one form.
fn timestamp(text: &str) -> Option<String> {
    let dashes = text.as_bytes().get(4) == Some(&b'-');
    let when: OffsetDateTime = dashes.then(|| date::parse(text, Lenience::Yaml)).flatten()?;
    Some(format_go(when, date::RFC3339))
}

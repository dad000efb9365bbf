//! YAML as values, with YAML 1.1's words and numbers as HCL's YAML functions know them. The
//! syntax is saphyr-parser's work.

use std::collections::{BTreeMap, BTreeSet};

use ingot_go_template::time::format_go;
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use time::OffsetDateTime;

use super::super::date::{self, Lenience};
use super::super::json::MAX_NESTING;
use crate::{Number, Type, Value};

/// What a key means that a mapping has twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeated {
    /// The last one counts, as in Packer.
    LastCounts,
    /// An error, as YAML has it.
    Refused,
}

/// Reads a document.
///
/// # Errors
/// What is wrong, with its line.
pub(super) fn decode(source: &str, repeated: Repeated) -> Result<Value, String> {
    let parser = Parser::new_from_str(source);
    let anchors = BTreeMap::new();
    let mut reader =
        Reader { parser, repeated, anchors, size: 0, aliased: 0, depth: 0, deepest: 0, line: 1 };
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

/// How much aliases may stand for in all, in bytes. A few lines of aliases of aliases can stand for
/// more than any memory holds.
const LARGEST_ALIASES: usize = 4 << 20;
/// What a value counts for besides its text, in bytes.
const VALUE_SIZE: usize = 16;

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    repeated: Repeated,
    /// With what each counts for, in bytes; nothing for one that is still being read.
    anchors: BTreeMap<usize, Option<(Value, usize, usize)>>,
    /// What was read so far counts for, in bytes.
    size: usize,
    /// How much of that aliases stand for.
    aliased: usize,
    /// How many sequences and mappings are open.
    depth: usize,
    /// The most that were open in the value that is being read.
    deepest: usize,
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
        let before = self.size;
        self.size += VALUE_SIZE;
        let outer = std::mem::replace(&mut self.deepest, self.depth);
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.size += text.len();
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
                self.open(anchor)?;
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        Event::SequenceEnd => break,
                        event => items.push(self.value(event)?),
                    }
                }
                self.depth -= 1;
                (anchor, Value::tuple(items))
            }
            Event::MappingStart(anchor, tag) => {
                self.only_tag(tag.as_deref(), "map")?;
                self.open(anchor)?;
                let value = self.mapping()?;
                self.depth -= 1;
                (anchor, value)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(Some((value, size, levels))) => {
                    let value = value.clone();
                    let deepest = self.depth + levels;
                    if deepest > MAX_NESTING {
                        return self.fail(format!("more than {MAX_NESTING} levels are nested"));
                    }
                    self.deepest = deepest.max(outer);
                    self.size += size;
                    self.aliased += size;
                    if self.aliased > LARGEST_ALIASES {
                        return self.fail("the aliases expand to more than 4 MiB");
                    }
                    return Ok(value);
                }
                Some(None) => return self.fail("an alias refers to itself"),
                None => return self.fail("an alias refers to no anchor"),
            },
            _ => return self.fail("a value is missing"),
        };
        if anchor > 0 {
            let levels = self.deepest - self.depth;
            self.anchors.insert(anchor, Some((value.clone(), self.size - before, levels)));
        }
        self.deepest = self.deepest.max(outer);
        Ok(value)
    }

    /// Begins a sequence or mapping.
    fn open(&mut self, anchor: usize) -> Result<(), String> {
        self.depth += 1;
        self.deepest = self.depth;
        if self.depth > MAX_NESTING {
            return self.fail(format!("more than {MAX_NESTING} levels are nested"));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, None);
        }
        Ok(())
    }

    fn mapping(&mut self) -> Result<Value, String> {
        let mut entries = BTreeMap::new();
        let mut written = BTreeSet::new();
        loop {
            let event = self.next()?;
            let line = self.line;
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
                    Some(others) if self.repeated == Repeated::Refused => {
                        let others = others.iter().filter(|(key, _)| !written.contains(*key));
                        entries.extend(others.map(|(key, value)| (key.clone(), value.clone())));
                    }
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
                Some(key) => {
                    if self.repeated == Repeated::Refused && !written.insert(key.to_owned()) {
                        return Err(format!("line {line}: the key {key:?} is there twice"));
                    }
                    entries.insert(key.to_owned(), value);
                }
                None => return self.fail("a key must be a string, number or bool"),
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
    let wrong = |what: &str| format!("{text:?} is not {what}");
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
        Some("bool") => boolean(text).map(Value::from).ok_or_else(|| wrong("a bool")),
        Some("int" | "float") => number(text).map(Value::from).ok_or_else(|| wrong("a number")),
        Some("timestamp") => timestamp(text).map(Value::from).ok_or_else(|| wrong("a time")),
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

#[cfg(test)]
mod tests {
    use super::{Repeated, decode};
    use crate::parse::STACK_SIZE;

    #[test]
    fn aliases_of_aliases_are_bounded() {
        let mut document = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let below = vec![format!("*a{}", level - 1); 10].join(", ");
            document.push_str(&format!("a{level}: &a{level} [{below}]\n"));
        }
        let error = decode(&document, Repeated::LastCounts).unwrap_err();
        assert_eq!(error, "line 6: the aliases expand to more than 4 MiB");
        let few = "base: &base {x: 1}\none: *base\nother: {<<: *base, y: 2}\n";
        let few = decode(few, Repeated::LastCounts).unwrap();
        assert_eq!(few.as_entries().map(|entries| entries.len()), Some(3));
    }

    fn nesting_is_bounded() {
        let sequences = |levels: usize| format!("{}x\n", "- ".repeat(levels));
        let error = decode(&sequences(100_000), Repeated::LastCounts).unwrap_err();
        assert_eq!(error, "line 1: more than 500 levels are nested");
        assert!(decode(&sequences(500), Repeated::LastCounts).is_ok());
        assert!(decode(&"- [{a: []}]\n".repeat(1000), Repeated::LastCounts).is_ok());
        // What aliases stand for counts where they are.
        let nested = |inner: &str| format!("{}{inner}{}", "[".repeat(200), "]".repeat(200));
        let (a, b) = (nested("x"), nested("*a"));
        let aliased = format!("- &a {a}\n- &b {b}\n- {}\n", nested("*b"));
        let error = decode(&aliased, Repeated::LastCounts).unwrap_err();
        assert_eq!(error, "line 3: more than 500 levels are nested");
        let beside = format!("- &a {a}\n- &b {b}\n- [[*b], *a]\n- {a}\n");
        assert!(decode(&beside, Repeated::LastCounts).is_ok());
    }

    #[test]
    fn nesting_fits_the_stack_and_is_an_error_above_the_limit() {
        let thread = std::thread::Builder::new().stack_size(STACK_SIZE).spawn(nesting_is_bounded);
        thread.unwrap().join().unwrap();
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused_where_it_would_be_lost() {
        let twice = "file:\n  /a: {exists: true}\n  /a:\n    exists: false\n";
        assert_eq!(
            decode(twice, Repeated::Refused).unwrap_err(),
            "line 3: the key \"/a\" is there twice"
        );
        assert!(decode(twice, Repeated::LastCounts).is_ok());
        assert!(decode("22: a\n\"22\": b\n", Repeated::Refused).is_err());
        // What is merged gives way to what is written, in either order.
        for other in ["{<<: *base, x: 2}", "{x: 2, <<: *base}"] {
            let merged = format!("base: &base {{x: 1, y: 1}}\nother: {other}\n");
            let merged = decode(&merged, Repeated::Refused).unwrap();
            let plain = "base: {x: 1, y: 1}\nother: {x: 2, y: 1}\n";
            assert_eq!(merged, decode(plain, Repeated::Refused).unwrap());
        }
    }
}

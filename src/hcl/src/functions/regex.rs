//! Functions of regular expressions, in the syntax of Go's `regexp`.
//!
//! The regex crate has the same roots, but takes more for special (nested classes, `&&`), knows
//! more letters (`\w` of all scripts) and less laxness (a lone `{`). [`translate`] rewrites a
//! pattern so that it means what it means in Go, and refuses what Go refuses.

use regex::{Captures, Regex};

use super::{Accepts, Failure, Function, Returns, function, param, text};
use crate::{Type, Value};

const STRING: Accepts = Accepts::String;

pub(super) static FUNCTIONS: &[Function] = &[
    function(
        "regex",
        &[param("pattern", STRING), param("string", STRING)],
        Returns::By(|args| result_type(&args[0])),
        |args, _| {
            let pattern = Pattern::new(text(&args[0]), 0)?;
            pattern.result_type()?;
            match pattern.regex.captures(text(&args[1])) {
                Some(found) => Ok(pattern.captured(&found)),
                None => Err(Failure::argument(1, "the pattern matches nowhere in this text")),
            }
        },
    ),
    function(
        "regexall",
        &[param("pattern", STRING), param("string", STRING)],
        Returns::By(|args| Type::list(result_type(&args[0]))),
        |args, _| {
            let pattern = Pattern::new(text(&args[0]), 0)?;
            let found = pattern.regex.captures_iter(text(&args[1]));
            let found = found.map(|found| pattern.captured(&found)).collect();
            Ok(Value::list(pattern.result_type()?, found))
        },
    ),
    function(
        "regex_replace",
        &[param("str", STRING), param("pattern", STRING), param("replace", STRING)],
        Returns::String,
        |args, _| {
            let pattern = Pattern::new(text(&args[1]), 1)?;
            let replace = |found: &Captures| pattern.expand(text(&args[2]), found);
            Ok(pattern.regex.replace_all(text(&args[0]), replace).into_owned().into())
        },
    ),
];

/// What is wrong with a pattern, in one line: the pattern itself, as it was translated, is left
/// out.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// A compiled pattern. Its groups have no names in `regex`, which refuses to have one twice.
struct Pattern {
    regex: Regex,
    /// The name of each group, in order.
    names: Vec<Option<String>>,
}

impl Pattern {
    /// `index` is the argument that the pattern came from.
    fn new(pattern: &str, index: usize) -> Result<Pattern, Failure> {
        let invalid =
            |why: String| Failure::argument(index, format!("the pattern is not valid: {why}"));
        let (translated, names) = translate(pattern).map_err(invalid)?;
        let regex = Regex::new(&translated).map_err(|error| invalid(reason(&error)))?;
        Ok(Pattern { regex, names })
    }

    /// What a match gives: the text without groups, an object with named groups, else a tuple.
    fn result_type(&self) -> Result<Type, Failure> {
        let named: Vec<&String> = self.names.iter().flatten().collect();
        if !named.is_empty() && named.len() < self.names.len() {
            return Err(Failure::argument(0, "some groups have names and others have none"));
        }
        Ok(match (self.names.is_empty(), named.is_empty()) {
            (true, _) => Type::String,
            (_, true) => Type::Tuple(vec![Type::String; self.names.len()]),
            _ => Type::object(named.into_iter().map(|name| (name.clone(), Type::String))),
        })
    }

    fn captured(&self, found: &Captures) -> Value {
        let value = |index: usize| match found.get(index) {
            Some(group) => Value::from(group.as_str()),
            None => Value::null(Type::String),
        };
        if self.names.is_empty() {
            return value(0);
        }
        let groups = (1..=self.names.len()).map(value);
        match self.names.iter().cloned().collect::<Option<Vec<String>>>() {
            Some(names) => Value::object(names.into_iter().zip(groups).collect()),
            None => Value::tuple(groups.collect()),
        }
    }

    /// `$name`, `${name}` and `$1` in a replacement stand for groups, `$$` for a dollar sign.
    fn expand(&self, template: &str, found: &Captures) -> String {
        let mut text = String::new();
        let mut rest = template;
        while let Some(at) = rest.find('$') {
            text.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let is_name = |c: char| c.is_alphanumeric() || c == '_';
            let (name, length) = match rest.strip_prefix('{') {
                Some(inner) => match inner.find('}') {
                    Some(end) => (&inner[..end], end + 2),
                    None => ("", 0),
                },
                None => {
                    let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
                    (&rest[..end], end)
                }
            };
            if name.is_empty() || !name.chars().all(is_name) {
                text.push('$');
                rest = rest.strip_prefix('$').unwrap_or(rest);
                continue;
            }
            rest = &rest[length..];
            let index = match name.parse::<usize>() {
                Ok(index) => Some(index),
                Err(_) => {
                    let named = |given: &Option<String>| given.as_deref() == Some(name);
                    self.names.iter().rposition(named).map(|index| index + 1)
                }
            };
            if let Some(group) = index.and_then(|index| found.get(index)) {
                text.push_str(group.as_str());
            }
        }
        text.push_str(rest);
        text
    }
}

fn result_type(pattern: &Value) -> Type {
    let pattern = pattern.as_str().and_then(|pattern| Pattern::new(pattern, 0).ok());
    pattern.and_then(|pattern| pattern.result_type().ok()).unwrap_or(Type::Dynamic)
}

/// The largest count that a repetition may have in Go.
const MOST_REPEATS: u32 = 1000;

/// A pattern of Go as one of the regex crate, and the names of its groups.
fn translate(pattern: &str) -> Result<(String, Vec<Option<String>>), String> {
    let mut out = String::new();
    let mut names = Vec::new();
    let mut rest = pattern;
    // Whether the last thing was a repetition, after which another one makes no sense.
    let mut repeated = false;
    while let Some(c) = rest.chars().next() {
        let was_repeated = std::mem::take(&mut repeated);
        let tail = &rest[c.len_utf8()..];
        rest = match c {
            '\\' if tail.starts_with('Q') => {
                let quoted = &tail[1..];
                let (literal, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
                out.push_str(&regex::escape(literal));
                after
            }
            '\\' => escape(tail, false, &mut out)?,
            '[' => class(tail, &mut out)?,
            '(' => match tail.strip_prefix('?') {
                Some(inner) => group(inner, &mut out, &mut names)?,
                None => {
                    out.push('(');
                    names.push(None);
                    tail
                }
            },
            '*' | '+' | '?' | '{' => {
                let Some((count, after)) = repetition(rest)? else {
                    out.push_str("\\{");
                    rest = tail;
                    continue;
                };
                if was_repeated {
                    return Err(format!("`{count}` repeats a repetition"));
                }
                out.push_str(count);
                repeated = true;
                match after.strip_prefix('?') {
                    Some(after) => {
                        out.push('?');
                        after
                    }
                    None => after,
                }
            }
            ']' | '}' => {
                out.extend(['\\', c]);
                tail
            }
            _ => {
                out.push(c);
                tail
            }
        };
    }
    Ok((out, names))
}

/// What repeats at the start of `rest`, and what follows; none if a brace there is just a brace.
fn repetition(rest: &str) -> Result<Option<(&str, &str)>, String> {
    if !rest.starts_with('{') {
        return Ok(Some(rest.split_at(1)));
    }
    let Some(end) = rest.find('}') else { return Ok(None) };
    let (least, most) = match rest[1..end].split_once(',') {
        Some((least, "")) => (least, least),
        Some(both) => both,
        None => (&rest[1..end], &rest[1..end]),
    };
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !plain(least) || !plain(most) {
        return Ok(None);
    }
    for count in [least, most] {
        if count.parse().map_or(true, |count: u32| count > MOST_REPEATS) {
            return Err(format!("{count} repetitions are too many; {MOST_REPEATS} are the most"));
        }
    }
    Ok(Some(rest.split_at(end + 1)))
}

/// What follows `(?`.
fn group<'a>(
    inner: &'a str,
    out: &mut String,
    names: &mut Vec<Option<String>>,
) -> Result<&'a str, String> {
    let name = inner
        .strip_prefix("P<")
        .or_else(|| inner.strip_prefix('<').filter(|after| !after.starts_with(['=', '!'])));
    if let Some(named) = name {
        let (name, after) = named.split_once('>').ok_or("the name of a group does not end")?;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(format!("{name:?} is not a group name"));
        }
        names.push(Some(name.to_owned()));
        out.push('(');
        return Ok(after);
    }
    let end = inner.find([':', ')']).ok_or("a group does not end")?;
    if !inner[..end].chars().all(|c| "imsU-".contains(c)) {
        return Err(format!("`(?{}` is not supported; flags are i, m, s and U", &inner[..end]));
    }
    out.push_str("(?");
    out.push_str(&inner[..=end]);
    Ok(&inner[end + 1..])
}

/// What follows a backslash.
fn escape<'a>(tail: &'a str, in_class: bool, out: &mut String) -> Result<&'a str, String> {
    let c = tail.chars().next().ok_or("a backslash ends the pattern")?;
    let after = &tail[c.len_utf8()..];
    let (inside, outside) = match c {
        'd' => ("0-9", "[0-9]"),
        'D' => ("[^0-9]", "[^0-9]"),
        'w' => ("0-9A-Za-z_", "[0-9A-Za-z_]"),
        'W' => ("[^0-9A-Za-z_]", "[^0-9A-Za-z_]"),
        's' => ("\\t\\n\\f\\r ", "[\\t\\n\\f\\r ]"),
        'S' => ("[^\\t\\n\\f\\r ]", "[^\\t\\n\\f\\r ]"),
        'b' if !in_class => ("", "(?-u:\\b)"),
        'B' if !in_class => ("", "(?-u:\\B)"),
        'A' | 'z' if !in_class => {
            out.extend(['\\', c]);
            return Ok(after);
        }
        'a' | 'f' | 't' | 'n' | 'r' | 'v' => {
            out.extend(['\\', c]);
            return Ok(after);
        }
        'p' | 'P' | 'x' => {
            let Some(braced) = after.strip_prefix('{') else {
                out.extend(['\\', c]);
                return Ok(after);
            };
            let (name, after) = braced.split_once('}').ok_or("a brace does not end")?;
            // Two ways to say "not" cancel each other out.
            let (c, name) = match (c, name.strip_prefix('^')) {
                ('p', Some(name)) => ('P', name),
                ('P', Some(name)) => ('p', name),
                _ => (c, name),
            };
            out.push_str(&format!("\\{c}{{{name}}}"));
            return Ok(after);
        }
        '0'..='7' if c == '0' || after.starts_with(|c: char| c.is_digit(8)) => {
            let digits = tail.bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
            let code = u32::from_str_radix(&tail[..digits], 8).unwrap_or(0);
            out.push_str(&format!("\\x{{{code:x}}}"));
            return Ok(&tail[digits..]);
        }
        c if c.is_ascii_punctuation() => {
            out.extend(['\\', c]);
            return Ok(after);
        }
        c => return Err(format!("`\\{c}` stands for nothing")),
    };
    out.push_str(if in_class { inside } else { outside });
    Ok(after)
}

/// What follows an opening bracket, to the closing one.
fn class<'a>(tail: &'a str, out: &mut String) -> Result<&'a str, String> {
    out.push('[');
    let mut rest = tail;
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    let mut first = true;
    loop {
        if let (Some(after), false) = (rest.strip_prefix(']'), first) {
            out.push(']');
            return Ok(after);
        }
        first = false;
        if let Some(after) = rest.strip_prefix("[:") {
            let end = after.find(":]").ok_or("the name of a class does not end")?;
            out.push_str("[:");
            out.push_str(&after[..end + 2]);
            rest = &after[end + 2..];
            continue;
        }
        let many = rest.starts_with('\\') && rest[1..].starts_with(|c| "dDwWsSpP".contains(c));
        rest = member(rest, out)?;
        // A minus makes a range between two members, and is itself everywhere else.
        match rest.strip_prefix('-') {
            Some(after) if !many && !after.starts_with(']') => {
                out.push('-');
                rest = member(after, out)?;
            }
            _ => {}
        }
    }
}

/// One member of a class, with a backslash where the regex crate would take it for more.
fn member<'a>(rest: &'a str, out: &mut String) -> Result<&'a str, String> {
    let c = rest.chars().next().ok_or("a bracket does not end")?;
    let after = &rest[c.len_utf8()..];
    match c {
        '\\' => return escape(after, true, out),
        '[' | ']' | '&' | '~' | '-' | '^' => out.extend(['\\', c]),
        _ => out.push(c),
    }
    Ok(after)
}

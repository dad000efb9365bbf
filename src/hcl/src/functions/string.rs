//! Functions of text.

use ingot_go_template::case;
use unicode_segmentation::UnicodeSegmentation;

use super::{
    Accepts, Failure, Function, Outcome, Returns, count, function, items, of_text, param, text,
    whole,
};
use crate::Value;

const STRING: Accepts = Accepts::String;
const NUMBER: Accepts = Accepts::Number;

pub(super) static FUNCTIONS: &[Function] = &[
    of_text("chomp", |args, _| Ok(text(&args[0]).trim_end_matches(['\n', '\r']).into())),
    of_text("lower", |args, _| Ok(case::lower(text(&args[0])).into())),
    of_text("strrev", |args, _| Ok(clusters(text(&args[0])).rev().collect::<String>().into())),
    of_text("title", |args, _| Ok(title(text(&args[0])).into())),
    of_text("trimspace", |args, _| Ok(text(&args[0]).trim().into())),
    of_text("upper", |args, _| Ok(case::upper(text(&args[0])).into())),
    function(
        "endswith",
        &[param("str", STRING), param("suffix", STRING)],
        Returns::Bool,
        |args, _| Ok(text(&args[0]).ends_with(text(&args[1])).into()),
    ),
    function(
        "indent",
        &[param("spaces", NUMBER), param("str", STRING)],
        Returns::String,
        |args, _| {
            let spaces = count(args, 0)?;
            if spaces > LONGEST_PAD {
                return Err(Failure::argument(0, format!("{LONGEST_PAD} spaces are the most")));
            }
            Ok(text(&args[1]).replace('\n', &format!("\n{}", " ".repeat(spaces))).into())
        },
    ),
    function("join", &[param("separator", STRING)], Returns::String, |args, _| {
        if args.len() < 2 {
            return Err(Failure::new("at least one list is needed"));
        }
        for (index, list) in args.iter().enumerate().skip(1) {
            if items(list).iter().any(Value::is_null) {
                return Err(Failure::argument(index, "null cannot be joined"));
            }
        }
        let words: Vec<&str> = args[1..].iter().flat_map(items).map(text).collect();
        Ok(words.join(text(&args[0])).into())
    })
    .rest(param("lists", Accepts::Strings)),
    function(
        "replace",
        &[param("str", STRING), param("substr", STRING), param("replace", STRING)],
        Returns::String,
        |args, _| Ok(text(&args[0]).replace(text(&args[1]), text(&args[2])).into()),
    ),
    function(
        "split",
        &[param("separator", STRING), param("str", STRING)],
        Returns::Strings,
        |args, _| {
            let (separator, whole) = (text(&args[0]), text(&args[1]));
            Ok(match separator.is_empty() {
                true => Value::strings(whole.chars().map(String::from)),
                false => Value::strings(whole.split(separator)),
            })
        },
    ),
    function(
        "startswith",
        &[param("str", STRING), param("prefix", STRING)],
        Returns::Bool,
        |args, _| Ok(text(&args[0]).starts_with(text(&args[1])).into()),
    ),
    function(
        "strcontains",
        &[param("str", STRING), param("substr", STRING)],
        Returns::Bool,
        |args, _| Ok(text(&args[0]).contains(text(&args[1])).into()),
    ),
    function(
        "substr",
        &[param("str", STRING), param("offset", NUMBER), param("length", NUMBER)],
        Returns::String,
        |args, _| substr(text(&args[0]), whole(args, 1)?, whole(args, 2)?),
    ),
    function(
        "trim",
        &[param("str", STRING), param("cutset", STRING)],
        Returns::String,
        |args, _| {
            let cutset = text(&args[1]);
            Ok(text(&args[0]).trim_matches(|c| cutset.contains(c)).into())
        },
    ),
    function(
        "trimprefix",
        &[param("str", STRING), param("prefix", STRING)],
        Returns::String,
        |args, _| {
            let whole = text(&args[0]);
            Ok(whole.strip_prefix(text(&args[1])).unwrap_or(whole).into())
        },
    ),
    function(
        "trimsuffix",
        &[param("str", STRING), param("suffix", STRING)],
        Returns::String,
        |args, _| {
            let whole = text(&args[0]);
            Ok(whole.strip_suffix(text(&args[1])).unwrap_or(whole).into())
        },
    ),
];

/// More padding than this comes from a slip.
pub(super) const LONGEST_PAD: usize = 4096;

/// What a reader takes for one character each.
pub(super) fn clusters(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.graphemes(true)
}

/// With a capital at the start of every word. A word ends at white space and at ASCII characters
/// that are no letters, digits or underscores.
fn title(text: &str) -> String {
    let mut start = true;
    text.chars()
        .map(|c| {
            let shown = if start { title_case(c) } else { c };
            start = match c.is_ascii() {
                true => !(c.is_ascii_alphanumeric() || c == '_'),
                false => c.is_whitespace(),
            };
            shown
        })
        .collect()
}

/// The capital for the start of a word, which differs from the capital for a few letters that
/// look like two.
fn title_case(c: char) -> char {
    match c {
        'Ǆ'..='ǆ' => 'ǅ',
        'Ǉ'..='ǉ' => 'ǈ',
        'Ǌ'..='ǌ' => 'ǋ',
        'Ǳ'..='ǳ' => 'ǲ',
        _ => case::to_upper(c),
    }
}

/// A negative offset counts from the end; a negative length means all that is left. Nothing is
/// left of a length of 0, unless the offset is negative, where it means all too, as in HCL.
fn substr(whole: &str, offset: i64, length: i64) -> Outcome {
    let letters: Vec<&str> = clusters(whole).collect();
    let total = letters.len() as i64;
    let start = if offset < 0 { (total + offset).max(0) } else { offset.min(total) };
    let end = match length {
        0 if offset >= 0 => start,
        ..=0 => total,
        _ => start.saturating_add(length).min(total),
    };
    Ok(letters[start as usize..end as usize].concat().into())
}

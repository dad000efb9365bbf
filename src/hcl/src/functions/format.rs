//! `format` and `formatlist`: texts from patterns with Go's verbs.

use super::json::to_text;
use super::string::{LONGEST_PAD, clusters};
use super::{Accepts, Failure, Function, FunctionContext, Outcome, Returns, function, param, text};
use crate::convert::convert;
use crate::number::Decimal;
use crate::{Kind, Number, Type, Value};

const ANY: Accepts = Accepts::Any;
const STRING: Accepts = Accepts::String;

pub(super) static FUNCTIONS: &[Function] = &[
    function("format", &[param("format", STRING)], Returns::String, |args, _| {
        format(text(&args[0]), &args[1..]).map(Value::from)
    })
    .rest(param("args", ANY).or_null()),
    function("formatlist", &[param("format", STRING)], Returns::Strings, format_list)
        .rest(param("args", ANY).or_null()),
];

/// What stands between the percent sign and the letter.
#[derive(Debug, Default)]
struct Verb<'a> {
    /// All of it, for messages.
    raw: &'a str,
    zero: bool,
    sharp: bool,
    plus: bool,
    minus: bool,
    space: bool,
    width: Option<usize>,
    precision: Option<usize>,
    /// Which value it takes, from 1, if it says so.
    argument: Option<usize>,
    letter: char,
}

impl<'a> Verb<'a> {
    /// Reads what follows a percent sign.
    fn parse(rest: &'a str) -> Result<Verb<'a>, Failure> {
        let mut verb = Verb::default();
        let mut at = 0;
        let bytes = rest.as_bytes();
        let number = |at: &mut usize| {
            let start = *at;
            while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
                *at += 1;
            }
            rest[start..*at].parse::<usize>().ok()
        };
        loop {
            match bytes.get(at) {
                Some(b'0') => verb.zero = true,
                Some(b'#') => verb.sharp = true,
                Some(b'+') => verb.plus = true,
                Some(b'-') => verb.minus = true,
                Some(b' ') => verb.space = true,
                _ => break,
            }
            at += 1;
        }
        verb.width = number(&mut at);
        if bytes.get(at) == Some(&b'.') {
            at += 1;
            verb.precision = Some(number(&mut at).unwrap_or(0));
        }
        if bytes.get(at) == Some(&b'[') {
            at += 1;
            verb.argument = number(&mut at).filter(|&argument| argument > 0);
            if verb.argument.is_none() || bytes.get(at) != Some(&b']') {
                return Err(Failure::argument(0, format!("`%{rest}` has no number in brackets")));
            }
            at += 1;
        }
        match bytes.get(at) {
            Some(letter) if letter.is_ascii_alphabetic() => verb.letter = *letter as char,
            Some(_) => {
                let wrong = rest[at..].chars().next().unwrap_or_default();
                return Err(Failure::argument(
                    0,
                    format!("`{wrong}` does not belong after a `%`; write %% for a percent sign"),
                ));
            }
            None => {
                return Err(Failure::argument(
                    0,
                    "a `%` at the end stands alone; write %% for a percent sign",
                ));
            }
        }
        verb.raw = &rest[..=at];
        let largest = verb.width.max(verb.precision).unwrap_or(0);
        if largest > LONGEST_PAD {
            return Err(Failure::argument(0, format!("{LONGEST_PAD} is the largest width")));
        }
        Ok(verb)
    }

    fn refuse(&self, what: &str) -> Failure {
        Failure::argument(0, format!("`%{}` {what}", self.raw))
    }

    /// `value` as this verb shows it.
    fn apply(&self, value: &Value) -> Result<String, Failure> {
        if value.is_null() && self.letter != 'v' {
            return Err(self.refuse("cannot show null"));
        }
        let wanted = |ty: Type| {
            convert(value, &ty).map_err(|_| {
                let given = value.ty().with_article();
                self.refuse(&format!("needs {}, this is {given}", ty.with_article()))
            })
        };
        match self.letter {
            'v' => Ok(self.pad_text(match &value.kind {
                Kind::String(text) if !self.sharp => text.to_string(),
                Kind::Number(number) if !self.sharp => Decimal::shortest(number).general(None),
                _ => to_text(value),
            })),
            't' => Ok((wanted(Type::Bool)?.as_bool() == Some(true)).to_string()),
            's' | 'q' => {
                let value = wanted(Type::String)?;
                let shown: String = match self.precision.filter(|&length| length > 0) {
                    Some(length) => clusters(text(&value)).take(length).collect(),
                    None => text(&value).to_owned(),
                };
                Ok(self.pad_text(match self.letter {
                    'q' => to_text(&shown.into()),
                    _ => shown,
                }))
            }
            'b' | 'd' | 'o' | 'x' | 'X' | 'e' | 'E' | 'f' | 'g' | 'G' => {
                let value = wanted(Type::Number)?;
                match value.as_number() {
                    Some(number) => self.number(number),
                    None => Err(self.refuse("needs a number")),
                }
            }
            _ => Err(self.refuse("is not a verb of `format`")),
        }
    }

    fn number(&self, number: &Number) -> Result<String, Failure> {
        let sign = match (number.is_negative(), self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        let number = number.abs();
        let (base, prefix) = match self.letter {
            'b' => (2, "0b"),
            'o' => (8, "0"),
            'd' => (10, ""),
            'x' => (16, "0x"),
            'X' => (16, "0X"),
            letter => {
                let exact = Decimal::exact(&number);
                let shown = match (letter.to_ascii_lowercase(), self.precision) {
                    ('f', places) => exact.fixed(Some(places.unwrap_or(6))),
                    ('e', places) => exact.scientific(Some(places.unwrap_or(6))),
                    (_, None) => Decimal::shortest(&number).general(None),
                    (_, digits) => exact.general(digits),
                };
                let shown = if letter.is_ascii_uppercase() { shown.to_uppercase() } else { shown };
                return Ok(self.pad_number(sign, &shown, self.zero, self.minus && !self.zero));
            }
        };
        if !number.is_integer() {
            return Err(self.refuse("needs a whole number"));
        }
        let digits = number.integer_part().in_radix(base).to_string();
        let digits = if self.letter == 'X' { digits.to_uppercase() } else { digits };
        let digits = match self.precision {
            Some(0) if digits == "0" => return Ok(String::new()),
            Some(least) => format!("{digits:0>least$}"),
            None => digits,
        };
        let start = if self.sharp { format!("{sign}{prefix}") } else { sign.to_owned() };
        let zeros = self.zero && !self.minus && self.precision.is_none();
        Ok(self.pad_number(&start, &digits, zeros, self.minus))
    }

    /// Zeros go between the sign and the digits. Where both are asked for, they win over spaces at
    /// the end for fractions, and lose for whole numbers.
    fn pad_number(&self, start: &str, digits: &str, zeros: bool, left: bool) -> String {
        let missing = self.width.unwrap_or(0).saturating_sub(start.len() + digits.len());
        match (left, zeros) {
            (true, _) => format!("{start}{digits}{}", " ".repeat(missing)),
            (false, true) => format!("{start}{}{digits}", "0".repeat(missing)),
            (false, false) => format!("{}{start}{digits}", " ".repeat(missing)),
        }
    }

    fn pad_text(&self, shown: String) -> String {
        let missing = self.width.unwrap_or(0).saturating_sub(clusters(&shown).count());
        let pad = if self.zero { "0" } else { " " }.repeat(missing);
        if self.minus { shown + &pad } else { pad + &shown }
    }
}

fn format(format: &str, args: &[Value]) -> Result<String, Failure> {
    let mut shown = String::new();
    let mut next = 1;
    let mut highest = 0;
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        shown.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            shown.push('%');
            rest = after;
            continue;
        }
        let verb = Verb::parse(rest)?;
        rest = &rest[verb.raw.len()..];
        let position = verb.argument.unwrap_or(next);
        let value = args.get(position - 1).ok_or_else(|| verb.refuse("has no value to show"))?;
        shown.push_str(&verb.apply(value)?);
        next = position + 1;
        highest = highest.max(position);
    }
    if highest < args.len() {
        return Err(Failure::argument(
            highest + 1,
            format!("the format shows {highest} values, and there are more"),
        ));
    }
    shown.push_str(rest);
    Ok(shown)
}

/// One text for every item of the lists among the arguments; what is no list goes with each.
fn format_list(args: &[Value], _: &FunctionContext) -> Outcome {
    let lengths: Vec<usize> =
        args[1..].iter().filter_map(|arg| arg.as_items().map(<[Value]>::len)).collect();
    let length = lengths.first().copied().unwrap_or(1);
    if lengths.iter().any(|&other| other != length) {
        return Err(Failure::new("the lists have different lengths"));
    }
    let texts = (0..length).map(|index| {
        let row: Vec<Value> = args[1..]
            .iter()
            .map(|arg| arg.as_items().map_or_else(|| arg.clone(), |items| items[index].clone()))
            .collect();
        format(text(&args[0]), &row)
    });
    Ok(Value::strings(texts.collect::<Result<Vec<_>, _>>()?))
}

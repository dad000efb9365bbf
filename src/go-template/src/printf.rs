//! Go's `printf` for the values a template can have.

use serde_json::Value;

use crate::value::{go_exponent, kind_of, text_of};

/// The widest a value may be padded to: more is a slip of the pen.
const MAX_WIDTH: usize = 10_000;

/// A `%` directive without its letter.
#[derive(Default)]
struct Directive {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

/// Formats `arguments` as `layout` says.
///
/// # Errors
/// A directive is unknown or does not fit its argument, or their numbers differ. Go would print
/// its complaint into the text; nobody wants that in an option.
pub(crate) fn format(layout: &str, arguments: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut arguments = arguments.iter();
    let mut rest = layout;
    while let Some(percent) = rest.find('%') {
        out.push_str(&rest[..percent]);
        rest = &rest[percent + 1..];
        let directive = read_directive(&mut rest)?;
        let mut chars = rest.chars();
        let verb = chars.next().ok_or("the layout ends in the middle of a % directive")?;
        rest = chars.as_str();
        if verb == '%' {
            out.push('%');
            continue;
        }
        let value =
            arguments.next().ok_or_else(|| format!("there is no argument left for %{verb}"))?;
        out.push_str(&directive.apply(verb, value)?);
    }
    out.push_str(rest);
    match arguments.next() {
        Some(extra) => Err(format!("the layout has no directive for {}", kind_of(extra))),
        None => Ok(out),
    }
}

fn read_directive(rest: &mut &str) -> Result<Directive, String> {
    let mut directive = Directive::default();
    loop {
        match rest.as_bytes().first() {
            Some(b'+') => directive.plus = true,
            Some(b'-') => directive.minus = true,
            Some(b'#') => directive.sharp = true,
            Some(b' ') => directive.space = true,
            Some(b'0') => directive.zero = true,
            _ => break,
        }
        *rest = &rest[1..];
    }
    directive.width = read_number(rest)?.unwrap_or(0);
    if let Some(after) = rest.strip_prefix('.') {
        *rest = after;
        directive.precision = Some(read_number(rest)?.unwrap_or(0));
    }
    Ok(directive)
}

fn read_number(rest: &mut &str) -> Result<Option<usize>, String> {
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    *rest = after;
    if digits.is_empty() {
        return Ok(None);
    }
    match digits.parse() {
        Ok(number) if number <= MAX_WIDTH => Ok(Some(number)),
        _ => Err(format!("{digits} is too wide; the most is {MAX_WIDTH}")),
    }
}

impl Directive {
    fn apply(&self, verb: char, value: &Value) -> Result<String, String> {
        let misfit = || format!("%{verb} does not fit {}", kind_of(value));
        match (verb, value) {
            // As Go's source code writes it.
            ('v', Value::String(text)) if self.sharp => {
                Ok(self.pad(quote(&self.cut(text), '"', false), false))
            }
            ('v', Value::String(_)) => self.apply('s', value),
            ('v', Value::Number(number)) if self.plus && !number.is_f64() => self.apply('d', value),
            ('v', _) => Ok(self.pad(text_of(value), false)),
            ('t', Value::Bool(flag)) => Ok(self.pad(flag.to_string(), false)),
            ('s', Value::String(text)) => Ok(self.pad(self.cut(text), false)),
            ('q', Value::String(text)) => Ok(self.pad(self.quoted(&self.cut(text)), false)),
            ('x' | 'X', Value::String(text)) => {
                let hex = self.hex(text);
                Ok(self.pad(if verb == 'X' { hex.to_uppercase() } else { hex }, false))
            }
            // Go formats a list item by item.
            ('s' | 'q' | 'd' | 'x' | 'X', Value::Array(items)) => {
                let items: Result<Vec<String>, String> =
                    items.iter().map(|item| self.apply(verb, item)).collect();
                Ok(format!("[{}]", items?.join(" ")))
            }
            ('d' | 'b' | 'o' | 'O' | 'x' | 'X' | 'c' | 'q' | 'U', Value::Number(number)) => {
                let whole = number
                    .as_i64()
                    .map(i128::from)
                    .or_else(|| number.as_u64().map(i128::from))
                    .ok_or_else(misfit)?;
                self.whole(verb, whole).ok_or_else(misfit)
            }
            ('e' | 'E' | 'f' | 'F' | 'g' | 'G', Value::Number(number)) if number.is_f64() => {
                Ok(self.float(verb, number.as_f64().unwrap_or(0.0)))
            }
            (
                'b' | 'c' | 'd' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'o' | 'O' | 'q' | 's' | 't'
                | 'x' | 'X' | 'U',
                _,
            ) => Err(misfit()),
            _ => Err(format!("%{verb} is not a directive of printf")),
        }
    }

    fn cut(&self, text: &str) -> String {
        match self.precision {
            Some(length) => text.chars().take(length).collect(),
            None => text.to_owned(),
        }
    }

    fn quoted(&self, text: &str) -> String {
        let raw = |c: char| c == '\t' || !c.is_control() && c != '`' && c != '\u{feff}';
        match self.sharp && text.chars().all(raw) {
            true => format!("`{text}`"),
            false => quote(text, '"', self.plus),
        }
    }

    /// The bytes of a text in hexadecimal digits. The precision is the most bytes.
    fn hex(&self, text: &str) -> String {
        let prefix = if self.sharp { "0x" } else { "" };
        let most = self.precision.unwrap_or(usize::MAX);
        let bytes: Vec<String> =
            text.bytes().take(most).map(|byte| format!("{byte:02x}")).collect();
        match self.space {
            _ if bytes.is_empty() => String::new(),
            true => format!("{prefix}{}", bytes.join(&format!(" {prefix}"))),
            false => format!("{prefix}{}", bytes.concat()),
        }
    }

    fn whole(&self, verb: char, number: i128) -> Option<String> {
        let magnitude = number.unsigned_abs();
        let character = || u32::try_from(number).ok().and_then(char::from_u32);
        let (prefix, mut digits) = match verb {
            'd' => ("", magnitude.to_string()),
            'b' => (if self.sharp { "0b" } else { "" }, format!("{magnitude:b}")),
            'o' => (if self.sharp { "0" } else { "" }, format!("{magnitude:o}")),
            'O' => ("0o", format!("{magnitude:o}")),
            'x' => (if self.sharp { "0x" } else { "" }, format!("{magnitude:x}")),
            'X' => (if self.sharp { "0X" } else { "" }, format!("{magnitude:X}")),
            'c' => return Some(self.pad(character()?.to_string(), false)),
            'q' => {
                let quoted = quote(&character()?.to_string(), '\'', self.plus);
                return Some(self.pad(quoted, false));
            }
            _ => {
                let shown = character().filter(|c| self.sharp && !c.is_control());
                let shown = shown.map(|c| format!(" '{c}'")).unwrap_or_default();
                return Some(self.pad(format!("U+{magnitude:04X}{shown}"), false));
            }
        };
        if let Some(least) = self.precision {
            digits = format!("{digits:0>least$}");
        }
        Some(
            self.pad(
                format!("{}{prefix}{digits}", self.sign(number < 0)),
                self.precision.is_none(),
            ),
        )
    }

    fn float(&self, verb: char, number: f64) -> String {
        let magnitude = number.abs();
        let digits = match verb {
            'f' | 'F' => format!("{magnitude:.*}", self.precision.unwrap_or(6)),
            'e' | 'E' => go_exponent(&format!("{magnitude:.*e}", self.precision.unwrap_or(6))),
            _ => match self.precision {
                None => text_of(&Value::from(magnitude)),
                Some(precision) => significant(magnitude, precision.max(1)),
            },
        };
        let digits = if verb.is_uppercase() { digits.to_uppercase() } else { digits };
        self.pad(format!("{}{digits}", self.sign(number.is_sign_negative())), true)
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        }
    }

    fn pad(&self, text: String, numeric: bool) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        if missing == 0 {
            return text;
        }
        if self.minus {
            return text + &" ".repeat(missing);
        }
        if self.zero && numeric {
            let sign = text.len() - text.trim_start_matches(['+', '-', ' ']).len();
            let (sign, digits) = text.split_at(sign);
            return format!("{sign}{}{digits}", "0".repeat(missing));
        }
        " ".repeat(missing) + &text
    }
}

/// `%.Ng`: N significant digits, in the shorter of the two notations.
fn significant(number: f64, digits: usize) -> String {
    let scientific = format!("{number:.*e}", digits - 1);
    let exponent: i32 =
        scientific.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    let strip = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    let limit = i32::try_from(digits).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= limit {
        let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        return go_exponent(&format!("{}e{exponent}", strip(mantissa)));
    }
    let decimals = usize::try_from(limit - 1 - exponent).unwrap_or(0);
    strip(&format!("{number:.decimals$}"))
}

/// A text between two of `mark`, with Go's escapes; if `ascii`, for all but ASCII.
fn quote(text: &str, mark: char, ascii: bool) -> String {
    let mut out = String::from(mark);
    for c in text.chars() {
        let code = u32::from(c);
        match c {
            c if c == mark => out.extend(['\\', c]),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{code:02x}")),
            c if !c.is_control() && (c.is_ascii() || !ascii) => out.push(c),
            _ if code <= 0xffff => out.push_str(&format!("\\u{code:04x}")),
            _ => out.push_str(&format!("\\U{code:08x}")),
        }
    }
    out.push(mark);
    out
}

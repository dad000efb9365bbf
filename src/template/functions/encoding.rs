//! Functions that write values in another form: encodings, checksums, `format`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::Digest;

use super::{Accepts, Failure, Function, FunctionContext, Outcome, param, text};
use crate::template::convert::convert;
use crate::template::{Number, Type, Value};

pub(super) static FUNCTIONS: &[Function] = &[
    one!("base64encode", |s| BASE64_STANDARD.encode(s)),
    one!("dirname", dirname),
    one!("md5", |s| hex(&md5::Md5::digest(s))),
    one!("sha1", |s| hex(&sha1::Sha1::digest(s))),
    one!("sha256", |s| hex(&sha2::Sha256::digest(s))),
    one!("sha512", |s| hex(&sha2::Sha512::digest(s))),
    Function {
        name: "base64decode",
        params: &[param("str", Accepts::String)],
        rest: None,
        returns: || Type::String,
        call: |args, _| {
            let bytes = BASE64_STANDARD
                .decode(text(&args[0]))
                .map_err(|error| Failure::argument(0, format!("this is not base64: {error}")))?;
            String::from_utf8(bytes)
                .map(Value::from)
                .map_err(|_| Failure::argument(0, "what it decodes to is not text"))
        },
    },
    Function {
        name: "format",
        params: &[param("format", Accepts::String)],
        rest: Some(param("args", Accepts::Any).or_null()),
        returns: || Type::String,
        call: |args, _| format(text(&args[0]), &args[1..]).map(Value::from),
    },
    Function {
        name: "formatlist",
        params: &[param("format", Accepts::String)],
        rest: Some(param("args", Accepts::Any)),
        returns: || Type::list(Type::String),
        call: format_list,
    },
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn dirname(path: &str) -> String {
    match path.rsplit_once('/') {
        None => ".".into(),
        Some(("", _)) => "/".into(),
        Some((folder, _)) => folder.trim_end_matches('/').to_owned(),
    }
}

/// Go's verbs, as far as templates use them: `%s %d %v %q %t %f %x %%` with flags and width.
fn format(format: &str, args: &[Value]) -> Result<String, Failure> {
    let mut shown = String::new();
    let mut next = args.iter();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        shown.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest
            .find(|c: char| c.is_ascii_alphabetic() || c == '%')
            .ok_or_else(|| Failure::argument(0, "a `%` at the end of the format stands alone"))?;
        let (flags, verb) = (&rest[..end], &rest[end..=end]);
        rest = &rest[end + 1..];
        if verb == "%" {
            shown.push('%');
            continue;
        }
        let value = next.next().ok_or_else(|| {
            Failure::argument(0, format!("there is no value for `%{flags}{verb}`"))
        })?;
        let (width, precision) = match flags.split_once('.') {
            Some((width, precision)) => (width, precision.parse::<usize>().ok()),
            None => (flags, None),
        };
        let piece = piece(verb, value, precision)?;
        let digits = width.trim_start_matches(['-', '+', ' ', '0', '#']);
        let count: usize = digits.parse().unwrap_or(0);
        let missing = count.min(1024).saturating_sub(piece.chars().count());
        let (zero, left) = (width.starts_with('0'), width.starts_with('-'));
        match (left, zero) {
            (true, _) => shown.push_str(&(piece + &" ".repeat(missing))),
            (_, true) => match piece.strip_prefix('-') {
                Some(digits) => shown.push_str(&format!("-{}{digits}", "0".repeat(missing))),
                None => shown.push_str(&("0".repeat(missing) + &piece)),
            },
            _ => shown.push_str(&(" ".repeat(missing) + &piece)),
        }
    }
    if next.next().is_some() {
        return Err(Failure::argument(0, "the format has fewer verbs than there are values"));
    }
    shown.push_str(rest);
    Ok(shown)
}

fn piece(verb: &str, value: &Value, precision: Option<usize>) -> Result<String, Failure> {
    let as_text = || {
        let text = convert(value, &Type::String).ok()?;
        text.as_str().map(str::to_owned)
    };
    let number = || {
        let number = convert(value, &Type::Number).ok();
        let number = number.as_ref().and_then(Value::as_number).cloned();
        number.ok_or_else(|| Failure::new(format!("`%{verb}` needs a number")))
    };
    let integer = || number().map(|number| number.integer_part());
    let json = || crate::template::options::to_json(value).to_string();
    Ok(match verb {
        "s" => as_text().ok_or_else(|| Failure::new("`%s` needs a text"))?,
        "v" => as_text().unwrap_or_else(json),
        "q" => format!("{:?}", as_text().ok_or_else(|| Failure::new("`%q` needs a text"))?),
        "t" => match convert(value, &Type::Bool).ok().and_then(|truth| truth.as_bool()) {
            Some(truth) => truth.to_string(),
            None => return Err(Failure::new("`%t` needs a bool")),
        },
        "d" => integer()?.to_string(),
        "x" => integer()?.in_radix(16).to_string(),
        "X" => integer()?.in_radix(16).to_string().to_uppercase(),
        "o" => integer()?.in_radix(8).to_string(),
        "b" => integer()?.in_radix(2).to_string(),
        "f" | "g" => {
            let float = Number::to_f64(&number()?);
            match (verb, precision) {
                ("f", precision) => format!("{float:.*}", precision.unwrap_or(6)),
                _ => float.to_string(),
            }
        }
        other => return Err(Failure::argument(0, format!("`%{other}` is no verb of `format`"))),
    })
}

/// One text for every item of the lists among the arguments.
fn format_list(args: &[Value], _: &FunctionContext) -> Outcome {
    let lengths: Vec<usize> =
        args[1..].iter().filter_map(|arg| arg.as_items().map(<[Value]>::len)).collect();
    let Some(&length) = lengths.first() else {
        return Ok(Value::strings([format(text(&args[0]), &args[1..])?]));
    };
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

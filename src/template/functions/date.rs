//! Functions of time.

use ingot_sdk::interpolate::time::{format_go, strftime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Accepts, Failure, Function, param, text};
use crate::template::{Type, Value};

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        name: "formatdate",
        params: &[param("format", Accepts::String), param("time", Accepts::String)],
        rest: None,
        returns: || Type::String,
        call: |args, _| {
            let when = OffsetDateTime::parse(text(&args[1]), &Rfc3339).map_err(|_| {
                Failure::argument(1, "a time like 2020-01-31T12:00:00Z is required")
            })?;
            format_date(text(&args[0]), when)
                .map(Value::from)
                .map_err(|message| Failure::argument(0, message))
        },
    },
    Function {
        name: "legacy_isotime",
        params: &[],
        rest: Some(param("format", Accepts::String)),
        returns: || Type::String,
        call: |args, ctx| match args {
            [] => Ok(format_go(ctx.start, "2006-01-02T15:04:05Z07:00").into()),
            [layout] => Ok(format_go(ctx.start, text(layout)).into()),
            _ => Err(Failure::argument(1, "there is one format at most")),
        },
    },
    Function {
        name: "legacy_strftime",
        params: &[],
        rest: Some(param("format", Accepts::String)),
        returns: || Type::String,
        call: |args, ctx| match args {
            [] => Ok("".into()),
            [layout] => Ok(strftime(ctx.start, text(layout)).into()),
            _ => Err(Failure::argument(1, "there is one format at most")),
        },
    },
];

/// Letters that repeat stand for a part of the time; text in single quotes stands for itself.
fn format_date(format: &str, when: OffsetDateTime) -> Result<String, String> {
    let mut shown = String::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let end = rest[1..].find('\'').ok_or("a quote in the format does not end")?;
            shown.push_str(if end == 0 { "'" } else { &rest[1..=end] });
            rest = &rest[end + 2..];
            continue;
        }
        if !first.is_ascii_alphabetic() {
            shown.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let length = rest.find(|c| c != first).unwrap_or(rest.len());
        let layout = match &rest[..length] {
            "YYYY" => "2006",
            "YY" => "06",
            "MMMM" => "January",
            "MMM" => "Jan",
            "MM" => "01",
            "M" => "1",
            "DD" => "02",
            "D" => "2",
            "EEEE" => "Monday",
            "EEE" => "Mon",
            "hh" => "15",
            "h" => "15",
            "HH" => "03",
            "H" => "3",
            "AA" => "PM",
            "aa" => "pm",
            "mm" => "04",
            "m" => "4",
            "ss" => "05",
            "s" => "5",
            "ZZZZZ" => "-07:00",
            "ZZZZ" => "-0700",
            "ZZZ" => "MST",
            "Z" => "Z07:00",
            unknown => {
                return Err(format!("`{unknown}` stands for nothing; text goes in 'quotes'"));
            }
        };
        let part = format_go(when, layout);
        shown.push_str(match &rest[..length] {
            "h" if part.len() > 1 => part.strip_prefix('0').unwrap_or(&part),
            "ZZZ" if when.offset().is_utc() => "UTC",
            _ => &part,
        });
        rest = &rest[length..];
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let when = OffsetDateTime::parse("2020-01-02T03:04:05Z", &Rfc3339).unwrap();
        let shown = |format| format_date(format, when).unwrap();
        assert_eq!(shown("YYYY-MM-DD'T'hh:mm:ssZ"), "2020-01-02T03:04:05Z");
        assert_eq!(shown("EEE, D MMM YY h:m:s ZZZ"), "Thu, 2 Jan 20 3:4:5 UTC");
        assert!(format_date("YYYYY", when).is_err());
    }
}

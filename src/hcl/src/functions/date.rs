//! Functions of time.

use ingot_go_template::duration::GoDuration;
use ingot_go_template::time::{format_go, strftime};
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

use super::{Accepts, Failure, Function, Returns, function, param, text, whole};
use crate::{Type, Value};

const STRING: Accepts = Accepts::String;
/// How Go writes the form that all these functions read and give.
pub(super) const RFC3339: &str = "2006-01-02T15:04:05Z07:00";

pub(super) static FUNCTIONS: &[Function] = &[
    function(
        "formatdate",
        &[param("format", STRING), param("time", STRING)],
        Returns::String,
        |args, _| {
            format_date(text(&args[0]), moment(args, 1, Lenience::None)?)
                .map(Value::from)
                .map_err(|message| Failure::argument(0, message))
        },
    ),
    function("legacy_isotime", &[], Returns::String, |args, ctx| match args {
        [] => Ok(format_go(ctx.start, RFC3339).into()),
        [layout] => Ok(format_go(ctx.start, text(layout)).into()),
        _ => Err(Failure::argument(1, "at most one format is allowed")),
    })
    .rest(param("format", STRING)),
    function("legacy_strftime", &[], Returns::String, |args, ctx| match args {
        [] => Ok(format_go(ctx.start, RFC3339).into()),
        [layout] => Ok(strftime(ctx.start, text(layout)).into()),
        _ => Err(Failure::argument(1, "at most one format is allowed")),
    })
    .rest(param("format", STRING)),
    function(
        "rfc3339_parse",
        &[param("timestamp", STRING)],
        Returns::By(|_| Type::object(fields(OffsetDateTime::UNIX_EPOCH, true).map(of_type))),
        |args, _| {
            let when = moment(args, 0, Lenience::Space)?;
            Ok(Value::object(fields(when, true).map(named).into()))
        },
    ),
    function(
        "timeadd",
        &[param("timestamp", STRING), param("duration", STRING)],
        Returns::String,
        |args, _| {
            let when = moment(args, 0, Lenience::None)?;
            let length = text(&args[1]);
            let unsigned = length.strip_prefix(['-', '+']).unwrap_or(length);
            if unsigned.starts_with(['-', '+', ' ']) || unsigned.ends_with(' ') {
                return Err(Failure::argument(1, "a duration like 1h30m is required"));
            }
            let duration =
                GoDuration::parse(unsigned).map_err(|message| Failure::argument(1, message))?.0;
            let moved = match length.starts_with('-') {
                true => time::Duration::try_from(duration).ok().and_then(|d| when.checked_sub(d)),
                false => time::Duration::try_from(duration).ok().and_then(|d| when.checked_add(d)),
            };
            moved
                .map(|moved| format_go(moved, RFC3339).into())
                .ok_or_else(|| Failure::argument(1, "the result is out of range"))
        },
    ),
    function("timestamp", &[], Returns::String, |_, ctx| Ok(format_go(ctx.start, RFC3339).into())),
    function(
        "unix_timestamp_parse",
        &[param("unix_timestamp", Accepts::Number)],
        Returns::By(|_| Type::object(fields(OffsetDateTime::UNIX_EPOCH, false).map(of_type))),
        |args, _| {
            let when = OffsetDateTime::from_unix_timestamp(whole(args, 0)?)
                .map_err(|_| Failure::argument(0, "a time before the year 10000 is required"))?;
            Ok(Value::object(fields(when, false).map(named).into()))
        },
    ),
];

/// What a time is made of. What a text was parsed from says the seconds since 1970, what came
/// from those seconds says the text.
fn fields(when: OffsetDateTime, from_text: bool) -> [(&'static str, Value); 13] {
    let (iso_year, iso_week, _) = when.to_iso_week_date();
    let number = |number: i64| Value::from(number);
    [
        ("year", number(when.year().into())),
        ("year_day", number(when.ordinal().into())),
        ("day", number(when.day().into())),
        ("month", number(u8::from(when.month()).into())),
        ("month_name", when.month().to_string().into()),
        ("weekday", number(when.weekday().number_days_from_sunday().into())),
        ("weekday_name", when.weekday().to_string().into()),
        ("hour", number(when.hour().into())),
        ("minute", number(when.minute().into())),
        ("second", number(when.second().into())),
        match from_text {
            true => ("unix", number(when.unix_timestamp())),
            false => ("rfc3339", format_go(when, RFC3339).into()),
        },
        ("iso_year", number(iso_year.into())),
        ("iso_week", number(iso_week.into())),
    ]
}

fn named((name, value): (&str, Value)) -> (String, Value) {
    (name.to_owned(), value)
}

fn of_type((name, value): (&str, Value)) -> (String, Type) {
    (name.to_owned(), value.ty())
}

/// How far a time may stray from RFC 3339.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lenience {
    /// Not at all.
    None,
    /// A space may stand for the `T`, and an hour may have one digit.
    Space,
    /// All parts but the year may have one digit, `t` and a space may stand for the `T`, a time
    /// after a space has no offset, and a date may stand alone.
    Yaml,
}

fn moment(args: &[Value], index: usize, lenience: Lenience) -> Result<OffsetDateTime, Failure> {
    parse(text(&args[index]), lenience)
        .ok_or_else(|| Failure::argument(index, "a time like 2020-01-31T12:00:00Z is required"))
}

/// Reads a time.
pub(super) fn parse(text: &str, lenience: Lenience) -> Option<OffsetDateTime> {
    let mut rest = text;
    let yaml = lenience == Lenience::Yaml;
    let one_digit_hour = lenience != Lenience::None;
    let year = digits(&mut rest, 4, false)?;
    skip(&mut rest, "-")?;
    let month = digits(&mut rest, 2, yaml)?;
    skip(&mut rest, "-")?;
    let day = digits(&mut rest, 2, yaml)?;
    let month = Month::try_from(month as u8).ok()?;
    let date = Date::from_calendar_date(year as i32, month, day as u8).ok()?;
    if rest.is_empty() && yaml {
        return Some(date.midnight().assume_utc());
    }
    let separator = rest.chars().next()?;
    match separator {
        'T' => {}
        't' if yaml => {}
        ' ' if one_digit_hour => {}
        _ => return None,
    }
    rest = &rest[1..];
    let hour = digits(&mut rest, 2, one_digit_hour)?;
    skip(&mut rest, ":")?;
    let minute = digits(&mut rest, 2, yaml)?;
    skip(&mut rest, ":")?;
    let second = digits(&mut rest, 2, yaml)?;
    let mut nanosecond = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if length == 0 {
            return None;
        }
        nanosecond = format!("{:0<9.9}", &fraction[..length]).parse().ok()?;
        rest = &fraction[length..];
    }
    let time = Time::from_hms_nano(hour as u8, minute as u8, second as u8, nanosecond).ok()?;
    let offset = match rest {
        "" if yaml && separator == ' ' => UtcOffset::UTC,
        _ if yaml && separator == ' ' => return None,
        "Z" => UtcOffset::UTC,
        _ => {
            let negative = rest.starts_with('-');
            rest = rest.strip_prefix(['+', '-'])?;
            let hours = digits(&mut rest, 2, false).filter(|&hours| hours < 24)? as i32;
            skip(&mut rest, ":")?;
            let minutes = digits(&mut rest, 2, false).filter(|&minutes| minutes < 60)? as i32;
            let seconds = (hours * 60 + minutes) * 60;
            let offset = UtcOffset::from_whole_seconds(if negative { -seconds } else { seconds });
            rest.is_empty().then_some(offset.ok()?)?
        }
    };
    Some(date.with_time(time).assume_offset(offset))
}

fn skip(rest: &mut &str, what: &str) -> Option<()> {
    *rest = rest.strip_prefix(what)?;
    Some(())
}

fn digits(rest: &mut &str, wanted: usize, fewer: bool) -> Option<u32> {
    let length = rest.bytes().take(wanted).take_while(u8::is_ascii_digit).count();
    if length == 0 || length < wanted && !fewer {
        return None;
    }
    let (number, after) = rest.split_at(length);
    *rest = after;
    number.parse().ok()
}

/// Letters that repeat stand for a part of the time; text in single quotes stands for itself,
/// with two of them for one.
fn format_date(format: &str, when: OffsetDateTime) -> Result<String, String> {
    let mut shown = String::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            rest = quoted(&rest[1..], &mut shown)?;
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
            "ZZZZ" | "ZZZ" => "-0700",
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

/// Appends the text after an opening quote, and gives what follows the closing one.
fn quoted<'a>(mut rest: &'a str, shown: &mut String) -> Result<&'a str, String> {
    if let Some(after) = rest.strip_prefix('\'') {
        shown.push('\'');
        return Ok(after);
    }
    loop {
        let end = rest.find('\'').ok_or("a quote in the format does not end")?;
        shown.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                shown.push('\'');
                rest = after;
            }
            None => return Ok(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let when = parse("2020-01-02T03:04:05Z", Lenience::None).unwrap();
        let shown = |format| format_date(format, when).unwrap();
        assert_eq!(shown("YYYY-MM-DD'T'hh:mm:ssZ"), "2020-01-02T03:04:05Z");
        assert_eq!(shown("EEE, D MMM YY h:m:s ZZZ"), "Thu, 2 Jan 20 3:4:5 UTC");
        assert!(format_date("YYYYY", when).is_err());
    }

    #[test]
    fn reads_times() {
        let reads = |text, lenience| parse(text, lenience).is_some();
        assert!(reads("2020-01-02T03:04:05.5+02:00", Lenience::None));
        assert!(!reads("2020-01-02 03:04:05Z", Lenience::None));
        assert!(reads("2020-01-02 3:04:05Z", Lenience::Space));
        assert!(reads("2020-1-2", Lenience::Yaml));
        assert!(!reads("2020-1-2", Lenience::Space));
        assert!(!reads("2020-01-02T03:04:05é", Lenience::Yaml));
    }
}

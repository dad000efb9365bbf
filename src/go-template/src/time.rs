//! Times in Go's layouts and in those of `strftime`.

use std::fmt::Write;

use ::time::OffsetDateTime;

/// Go's layout for RFC 3339, what `isotime` uses when none is given.
pub const RFC3339: &str = "2006-01-02T15:04:05Z07:00";

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// An element of a Go layout.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    LongMonth,
    ShortMonth,
    Month,
    ZeroMonth,
    LongWeekday,
    ShortWeekday,
    Day,
    SpaceDay,
    ZeroDay,
    SpaceYearDay,
    ZeroYearDay,
    Hour24,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    Year,
    ShortYear,
    UpperHalf,
    LowerHalf,
    ZoneName,
    Offset {
        z_for_utc: bool,
        colon: bool,
        minutes: bool,
        seconds: bool,
    },
    /// A fraction of a second: its separator, digits, and whether trailing zeros go.
    Fraction {
        separator: char,
        digits: usize,
        trimmed: bool,
    },
}

/// What layouts are made of, the longer before the shorter that begin alike. Fractions are
/// found by [`fraction`].
const ELEMENTS: &[(&str, Part)] = &[
    ("January", Part::LongMonth),
    ("Jan", Part::ShortMonth),
    ("Monday", Part::LongWeekday),
    ("Mon", Part::ShortWeekday),
    ("MST", Part::ZoneName),
    ("002", Part::ZeroYearDay),
    ("01", Part::ZeroMonth),
    ("02", Part::ZeroDay),
    ("03", Part::ZeroHour12),
    ("04", Part::ZeroMinute),
    ("05", Part::ZeroSecond),
    ("06", Part::ShortYear),
    ("15", Part::Hour24),
    ("1", Part::Month),
    ("2006", Part::Year),
    ("2", Part::Day),
    ("__2", Part::SpaceYearDay),
    ("_2", Part::SpaceDay),
    ("3", Part::Hour12),
    ("4", Part::Minute),
    ("5", Part::Second),
    ("PM", Part::UpperHalf),
    ("pm", Part::LowerHalf),
    ("Z07:00:00", offset(true, true, true, true)),
    ("Z070000", offset(true, false, true, true)),
    ("Z07:00", offset(true, true, true, false)),
    ("Z0700", offset(true, false, true, false)),
    ("Z07", offset(true, false, false, false)),
    ("-07:00:00", offset(false, true, true, true)),
    ("-070000", offset(false, false, true, true)),
    ("-07:00", offset(false, true, true, false)),
    ("-0700", offset(false, false, true, false)),
    ("-07", offset(false, false, false, false)),
];

const fn offset(z_for_utc: bool, colon: bool, minutes: bool, seconds: bool) -> Part {
    Part::Offset { z_for_utc, colon, minutes, seconds }
}

/// Formats `when` in a layout of Go: an example that shows how 15:04:05 on Monday, the second
/// of January 2006, would be written. What is not an element of a time is copied.
pub fn format_go(when: OffsetDateTime, layout: &str) -> String {
    let mut out = String::with_capacity(layout.len() + 8);
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        if let Some((part, length)) = element(rest) {
            write_part(&mut out, when, part);
            rest = &rest[length..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// The element that `rest` begins with, and its length.
fn element(rest: &str) -> Option<(Part, usize)> {
    // `_2006` is an underscore and a year, not a padded day and `006`.
    if rest.starts_with("_2006") {
        return None;
    }
    let listed = ELEMENTS.iter().find(|(text, part)| {
        let Some(after) = rest.strip_prefix(text) else { return false };
        // `Month` and `Janet` are words, not a short name and the rest.
        let short = matches!(part, Part::ShortMonth | Part::ShortWeekday);
        !(short && after.starts_with(|c: char| c.is_ascii_lowercase()))
    });
    listed.map(|(text, part)| (*part, text.len())).or_else(|| fraction(rest))
}

/// `.000` or `,999`: a separator and only noughts or only nines, not followed by a digit.
fn fraction(rest: &str) -> Option<(Part, usize)> {
    let separator = rest.chars().next().filter(|c| matches!(c, '.' | ','))?;
    let body = &rest[1..];
    let digit = body.chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let digits = body.len() - body.trim_start_matches(digit).len();
    if body[digits..].starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some((Part::Fraction { separator, digits, trimmed: digit == '9' }, digits + 1))
}

fn write_part(out: &mut String, when: OffsetDateTime, part: Part) {
    let month = MONTHS[usize::from(u8::from(when.month())) - 1];
    let weekday = DAYS[usize::from(when.weekday().number_days_from_monday())];
    let hour12 = match when.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    // Writing to a string cannot fail.
    let _ = match part {
        Part::LongMonth => write!(out, "{month}"),
        Part::ShortMonth => write!(out, "{}", &month[..3]),
        Part::Month => write!(out, "{}", u8::from(when.month())),
        Part::ZeroMonth => write!(out, "{:02}", u8::from(when.month())),
        Part::LongWeekday => write!(out, "{weekday}"),
        Part::ShortWeekday => write!(out, "{}", &weekday[..3]),
        Part::Day => write!(out, "{}", when.day()),
        Part::SpaceDay => write!(out, "{:2}", when.day()),
        Part::ZeroDay => write!(out, "{:02}", when.day()),
        Part::SpaceYearDay => write!(out, "{:3}", when.ordinal()),
        Part::ZeroYearDay => write!(out, "{:03}", when.ordinal()),
        Part::Hour24 => write!(out, "{:02}", when.hour()),
        Part::Hour12 => write!(out, "{hour12}"),
        Part::ZeroHour12 => write!(out, "{hour12:02}"),
        Part::Minute => write!(out, "{}", when.minute()),
        Part::ZeroMinute => write!(out, "{:02}", when.minute()),
        Part::Second => write!(out, "{}", when.second()),
        Part::ZeroSecond => write!(out, "{:02}", when.second()),
        Part::Year => write!(out, "{:04}", when.year()),
        Part::ShortYear => write!(out, "{:02}", when.year().rem_euclid(100)),
        Part::UpperHalf => write!(out, "{}", if when.hour() < 12 { "AM" } else { "PM" }),
        Part::LowerHalf => write!(out, "{}", if when.hour() < 12 { "am" } else { "pm" }),
        Part::ZoneName if when.offset().is_utc() => write!(out, "UTC"),
        // A zone known by its offset only is named by it.
        Part::ZoneName => return write_offset(out, when, false, true, false),
        Part::Offset { z_for_utc: true, .. } if when.offset().is_utc() => write!(out, "Z"),
        Part::Offset { colon, minutes, seconds, .. } => {
            return write_offset(out, when, colon, minutes, seconds);
        }
        Part::Fraction { separator, digits, trimmed } => {
            // More digits than a nanosecond has are noughts.
            let mut text = format!("{:09}{:0<1$}", when.nanosecond(), digits.saturating_sub(9));
            text.truncate(digits);
            let text = if trimmed { text.trim_end_matches('0') } else { &text };
            if text.is_empty() { Ok(()) } else { write!(out, "{separator}{text}") }
        }
    };
}

fn write_offset(out: &mut String, when: OffsetDateTime, colon: bool, minutes: bool, seconds: bool) {
    let total = when.offset().whole_seconds();
    let colon = if colon { ":" } else { "" };
    out.push(if total < 0 { '-' } else { '+' });
    let total = total.unsigned_abs();
    let _ = write!(out, "{:02}", total / 3600);
    if minutes {
        let _ = write!(out, "{colon}{:02}", total / 60 % 60);
    }
    if seconds {
        let _ = write!(out, "{colon}{:02}", total % 60);
    }
}

/// Formats `when` with the `%` letters that Packer's `strftime` knows; others are copied.
pub fn strftime(when: OffsetDateTime, format: &str) -> String {
    let mut out = String::with_capacity(format.len() + 8);
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let part = match chars.next() {
            None => {
                out.push('%');
                break;
            }
            Some('%') => {
                out.push('%');
                continue;
            }
            Some('A') => Part::LongWeekday,
            Some('a') => Part::ShortWeekday,
            Some('B') => Part::LongMonth,
            Some('b') => Part::ShortMonth,
            Some('d') => Part::ZeroDay,
            Some('H') => Part::Hour24,
            Some('I') => Part::ZeroHour12,
            // Packer's formatter gives the separator together with the milliseconds.
            Some('L') => Part::Fraction { separator: '.', digits: 3, trimmed: false },
            Some('M') => Part::ZeroMinute,
            Some('m') => Part::ZeroMonth,
            Some('p') => Part::UpperHalf,
            Some('S') => Part::ZeroSecond,
            Some('Y') => Part::Year,
            Some('y') => Part::ShortYear,
            Some('Z') => Part::ZoneName,
            Some('z') => offset(false, false, true, false),
            Some(other) => {
                out.push('%');
                out.push(other);
                continue;
            }
        };
        write_part(&mut out, when, part);
    }
    out
}

#[cfg(test)]
mod tests {
    use ::time::macros::datetime;

    use super::*;

    #[test]
    fn formats_go_layouts() {
        let when = datetime!(2024-03-05 17:08:09.012345 UTC);
        for (layout, expected) in [
            (RFC3339, "2024-03-05T17:08:09Z"),
            ("20060102150405", "20240305170809"),
            ("2006-01-02", "2024-03-05"),
            ("Mon Jan _2 15:04:05 2006", "Tue Mar  5 17:08:09 2024"),
            ("Monday, 02-Jan-06 15:04:05 MST", "Tuesday, 05-Mar-24 17:08:09 UTC"),
            ("Mon, 02 Jan 2006 15:04:05 -0700", "Tue, 05 Mar 2024 17:08:09 +0000"),
            ("3:04PM 3:4:5pm 03", "5:08PM 5:8:9pm 05"),
            ("January 2, 2006; 1/2/06", "March 5, 2024; 3/5/24"),
            ("2006-002 __2", "2024-065  65"),
            ("15:04:05.000 .999999 ,00", "17:08:09.012 .012345 ,01"),
            ("05.999999999", "09.012345"),
            ("v_2006", "v_2024"),
            ("Month Janet", "Month Janet"),
            ("05.0123", "09.0355"),
            ("é2006ü", "é2024ü"),
            ("", ""),
        ] {
            assert_eq!(format_go(when, layout), expected, "{layout}");
        }
    }

    #[test]
    fn formats_offsets() {
        let west = datetime!(2024-12-31 00:00:00 -03:30);
        assert_eq!(
            format_go(west, "-07 -0700 -07:00 -07:00:00 Z07:00 Z0700 MST 3PM"),
            "-03 -0330 -03:30 -03:30:00 -03:30 -0330 -0330 12AM"
        );
        assert_eq!(format_go(datetime!(2024-12-31 00:00:00 +2), "MST"), "+0200");
        assert_eq!(format_go(datetime!(2024-12-31 00:00:00 UTC), ".999|.000"), "|.000");
    }

    #[test]
    fn formats_strftime() {
        let when = datetime!(2024-03-05 17:08:09.012 UTC);
        assert_eq!(strftime(when, "%Y%m%d-%H%M%S%L"), "20240305-170809.012");
        assert_eq!(
            strftime(when, "%a %A %b %B %y %I %p %Z %z"),
            "Tue Tuesday Mar March 24 05 PM UTC +0000"
        );
        assert_eq!(strftime(when, "100%% %Q %"), "100% %Q %");
    }
}

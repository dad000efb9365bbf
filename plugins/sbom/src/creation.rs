//! When documents were made, and by what.

/// What the documents say made them.
pub(crate) const TOOL: (&str, &str) = ("ingot", env!("CARGO_PKG_VERSION"));

/// A time as both formats write it: in UTC, to the second.
pub(crate) fn timestamp(time: time::OffsetDateTime) -> String {
    let time = time.to_offset(time::UtcOffset::UTC);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
}

//! Moments as people read them.

use std::time::Duration;

use maud::{Markup, html};
use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use ingot_registry::api::Timestamp;

const SHOWN: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
const FIELD: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]");
const FIELD_WITH_SECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");

/// A moment to the minute, in UTC.
pub(super) fn moment(at: Timestamp) -> Markup {
    html! {
        @if let Some(text) = at.datetime().and_then(|at| at.format(SHOWN).ok()) {
            time datetime=(at) { (text) }
        } @else {
            "–"
        }
    }
}

/// How long ago a moment is; the moment itself is in the page, too.
pub(super) fn ago(at: Timestamp) -> Markup {
    let exact = at.datetime().and_then(|at| at.format(SHOWN).ok());
    html! {
        @if let (Some(text), Some(exact)) = (distance(at, Timestamp::now()), exact) {
            time datetime=(at) title=(exact) { (text) }
        } @else {
            "–"
        }
    }
}

fn distance(at: Timestamp, now: Timestamp) -> Option<String> {
    let seconds = (now.micros()? - at.micros()?) / 1_000_000;
    let units: [(i64, &str); 5] = [
        (365 * 86400, "year"),
        (30 * 86400, "month"),
        (86400, "day"),
        (3600, "hour"),
        (60, "minute"),
    ];
    let away = seconds.abs();
    let Some((size, unit)) = units.into_iter().find(|(size, _)| away >= *size) else {
        return Some("just now".into());
    };
    let count = away / size;
    let plural = if count == 1 { "" } else { "s" };
    match seconds < 0 {
        true => Some(format!("in {count} {unit}{plural}")),
        false => Some(format!("{count} {unit}{plural} ago")),
    }
}

/// How long after an action its notice is shown.
pub(super) const RECENT: Duration = Duration::from_secs(600);

/// Whether a moment is not long past, and not to come.
pub(super) fn is_recent(at: Timestamp) -> bool {
    let age = Timestamp::now().micros().zip(at.micros()).map(|(now, at)| now - at);
    age.is_some_and(|age| (0..RECENT.as_micros() as i64).contains(&age))
}

/// How long something took, in its two largest units.
pub(super) fn duration(from: Timestamp, to: Timestamp) -> String {
    let micros = to.micros().zip(from.micros()).map_or(0, |(to, from)| (to - from).max(0));
    let seconds = micros / 1_000_000;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// What a field for a moment holds, read as UTC.
pub(super) fn read_field(text: &str) -> Option<Timestamp> {
    let read = |format| PrimitiveDateTime::parse(text, format).ok();
    let at = read(FIELD).or_else(|| read(FIELD_WITH_SECONDS))?;
    Some(at.assume_utc().into())
}

/// A moment as such a field has it.
pub(super) fn field(at: Timestamp) -> String {
    at.datetime().and_then(|at| at.format(FIELD).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_reported_in_the_largest_unit() {
        let now = Timestamp::from_micros(Some(1_800_000_000_000_000));
        let message = |seconds: i64| {
            let at = Timestamp::from_micros(now.micros().map(|now| now - seconds * 1_000_000));
            distance(at, now).expect("a distance")
        };
        assert_eq!(message(5), "just now");
        assert_eq!(message(60), "1 minute ago");
        assert_eq!(message(7200), "2 hours ago");
        assert_eq!(message(-3 * 86400), "in 3 days");
        assert_eq!(message(800 * 86400), "2 years ago");
    }

    #[test]
    fn durations_have_two_units() {
        let at = |seconds: i64| Timestamp::from_micros(Some(seconds * 1_000_000));
        assert_eq!(duration(at(0), at(59)), "59 s");
        assert_eq!(duration(at(0), at(125)), "2 min 5 s");
        assert_eq!(duration(at(0), at(7260)), "2 h 1 min");
        assert_eq!(duration(at(5), at(0)), "0 s");
    }

    #[test]
    fn fields_are_read_as_utc() {
        let at = read_field("2026-02-03T04:05").expect("a moment");
        assert_eq!(at.to_string(), "2026-02-03T04:05:00.000000Z");
        assert_eq!(field(at), "2026-02-03T04:05");
        assert_eq!(read_field("2026-02-03T04:05:06"), read_field("2026-02-03T04:05:06"));
        assert!(read_field("tomorrow").is_none() && read_field("").is_none());
    }
}

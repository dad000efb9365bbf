//! How long until a revocation.

use std::time::Duration;

/// A duration as revocations have it: `30d`, `2h45m`, `-5s`. What has passed is zero; none if it is
/// no duration, or more than a hundred years.
pub fn revocation_delay(text: &str) -> Option<Duration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut seconds = 0.0_f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|char: char| !char.is_ascii_digit() && char != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let unit = match rest.as_bytes()[end] {
            b's' => 1.0,
            b'm' => 60.0,
            b'h' => 3600.0,
            b'd' => 86400.0,
            _ => return None,
        };
        seconds += number * unit;
        rest = &rest[end + 1..];
    }
    // A hundred years are enough for what is to happen at all.
    match negative {
        true => Some(Duration::ZERO),
        false if seconds > 100.0 * 366.0 * 86400.0 => None,
        false => Some(Duration::from_secs_f64(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let seconds = |text| revocation_delay(text).map(|it| it.as_secs_f64());
        assert_eq!(seconds("30d"), Some(2_592_000.0));
        assert_eq!(seconds("2h45m"), Some(9900.0));
        assert_eq!(seconds("1.5s"), Some(1.5));
        assert_eq!(seconds("-5m"), Some(0.0));
        for wrong in ["", "5", "5y", "d", "-", "1e9d", "99999999d", "h5", "5é"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}

//! Durations as Packer's templates write them: Go's syntax, `1h15m30.5s`.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration option. Written as Go writes durations (`300ms`, `1.5h`, `2h45m`); a bare number
/// is an error except `0`, as in Go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct GoDuration(pub Duration);

impl GoDuration {
    /// Reads Go's syntax. Negative durations become zero: nothing in a template can wait for
    /// less than no time.
    ///
    /// # Errors
    /// What is wrong with `text`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let complaint =
            || format!("cannot read {text:?} as a duration; write it like 30s, 5m or 1h30m");
        let mut rest = text.trim();
        let negative = rest.starts_with('-');
        rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
        if rest == "0" {
            return Ok(GoDuration(Duration::ZERO));
        }
        if rest.is_empty() {
            return Err(complaint());
        }
        let mut seconds = 0f64;
        while !rest.is_empty() {
            let digits = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .ok_or_else(|| format!("{text:?} has no unit; write it like 30s, 5m or 1h30m"))?;
            let number: f64 = rest[..digits].parse().map_err(|_| complaint())?;
            rest = &rest[digits..];
            let unit_end =
                rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
            let scale = match &rest[..unit_end] {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                unit => {
                    return Err(format!(
                        "{unit:?} in {text:?} is not a unit of time; use ns, us, ms, s, m or h"
                    ));
                }
            };
            seconds += number * scale;
            rest = &rest[unit_end..];
        }
        if negative {
            return Ok(GoDuration(Duration::ZERO));
        }
        Duration::try_from_secs_f64(seconds).map(GoDuration).map_err(|_| complaint())
    }
}

impl std::fmt::Display for GoDuration {
    /// Go's form: `1h2m3s`, `1.5s`, `20ms`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        if nanos < 1_000 {
            return write!(f, "{nanos}ns");
        }
        if nanos < 1_000_000 {
            return write!(f, "{}µs", nanos as f64 / 1e3);
        }
        if nanos < 1_000_000_000 {
            return write!(f, "{}ms", nanos as f64 / 1e6);
        }
        let whole = self.0.as_secs();
        let (hours, minutes) = (whole / 3600, whole / 60 % 60);
        let seconds = (whole % 60) as f64 + f64::from(self.0.subsec_nanos()) / 1e9;
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{seconds}s")
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        GoDuration::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for GoDuration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "duration" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, millis) in [
            ("0", 0),
            ("300ms", 300),
            ("1.5h", 5_400_000),
            ("2h45m", 9_900_000),
            ("5m", 300_000),
            ("-1s", 0),
        ] {
            assert_eq!(GoDuration::parse(text).unwrap().0.as_millis(), millis, "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(GoDuration::parse("30").unwrap_err().contains("no unit"));
        assert!(GoDuration::parse("3 days").unwrap_err().contains("not a unit"));
        assert!(GoDuration::parse("").is_err());
        assert!(GoDuration::parse("1e400h").is_err());
    }

    #[test]
    fn prints_as_go_prints() {
        for text in ["0s", "1m30s", "1h0m0s", "1.5s", "20ms"] {
            assert_eq!(GoDuration::parse(text).unwrap().to_string(), text);
        }
    }
}

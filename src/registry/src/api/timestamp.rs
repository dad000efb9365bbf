//! A moment on the wire.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// A moment to the microsecond, or none: RFC 3339 in the API, microseconds since 1970 in the
/// database. None is `null`; Go's clients send the year 1 for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(Option<i64>);

impl Timestamp {
    /// No moment.
    pub const NONE: Timestamp = Timestamp(None);

    /// Now.
    pub fn now() -> Self {
        OffsetDateTime::now_utc().into()
    }

    /// From microseconds since 1970.
    pub fn from_micros(micros: Option<i64>) -> Self {
        Timestamp(micros)
    }

    /// Microseconds since 1970.
    pub fn micros(self) -> Option<i64> {
        self.0
    }

    /// Whether there is a moment.
    pub fn is_set(self) -> bool {
        self.0.is_some()
    }

    /// The moment as a date and time in UTC.
    pub fn datetime(self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0?) * 1000).ok()
    }
}

impl From<OffsetDateTime> for Timestamp {
    fn from(at: OffsetDateTime) -> Self {
        // The year 1 is Go's zero time.
        let micros = i64::try_from(at.unix_timestamp_nanos().div_euclid(1000)).ok();
        Timestamp(micros.filter(|_| at.year() > 1))
    }
}

impl FromStr for Timestamp {
    type Err = time::error::Parse;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        OffsetDateTime::parse(text, &Rfc3339).map(Timestamp::from)
    }
}

/// RFC 3339 in UTC with microseconds; nothing for none.
impl Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z"
        );
        match self.datetime().and_then(|at| at.format(format).ok()) {
            Some(text) => f.write_str(&text),
            None => Ok(()),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(_) => serializer.collect_str(self),
            None => serializer.serialize_none(),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        match text.as_str() {
            "" => Ok(Timestamp::NONE),
            text => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

impl schemars::JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "null"], "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn reads_what_go_sends() {
        let read = |json| serde_json::from_str::<Timestamp>(json).expect("a moment or none");
        assert_eq!(read("\"0001-01-01T00:00:00.000Z\""), Timestamp::NONE);
        assert_eq!(read("null"), Timestamp::NONE);
        let at = read("\"2026-02-03T04:05:06.789+01:00\"");
        assert_eq!(at.to_string(), "2026-02-03T03:05:06.789000Z");
        assert_eq!(serde_json::to_string(&at).expect("JSON"), "\"2026-02-03T03:05:06.789000Z\"");
        assert!(serde_json::from_str::<Timestamp>("\"yesterday\"").is_err());
    }
}

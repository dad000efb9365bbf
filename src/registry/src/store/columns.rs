//! Values in columns and statements.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::api::{Labels, Result, Timestamp};

/// How many ids go into one statement; databases have a limit.
pub(super) const CHUNK: usize = 500;

/// `$1, $2, …`: as many as there are values, after the first `taken`.
pub(super) fn marks(taken: usize, count: usize) -> String {
    let marks: Vec<String> = (1..=count).map(|mark| format!("${}", taken + mark)).collect();
    marks.join(", ")
}

pub(super) fn labels_text(labels: &Labels) -> String {
    serde_json::to_string(labels).unwrap_or_else(|_| "{}".into())
}

/// Columns by name, without ceremony. A column that is not there or of another type is a mistake
/// in this module's SQL, which its tests find.
pub(super) trait Columns {
    fn text(&self, column: &str) -> Result<String>;
    fn maybe_text(&self, column: &str) -> Result<Option<String>>;
    fn int(&self, column: &str) -> Result<i64>;
    fn maybe_int(&self, column: &str) -> Result<Option<i64>>;

    fn flag(&self, column: &str) -> Result<bool> {
        Ok(self.int(column)? != 0)
    }

    fn time(&self, column: &str) -> Result<Timestamp> {
        Ok(Timestamp::from_micros(self.maybe_int(column)?))
    }

    fn value<T: std::str::FromStr + Default>(&self, column: &str) -> Result<T> {
        Ok(self.text(column)?.parse().unwrap_or_default())
    }

    fn labels(&self, column: &str) -> Result<Labels> {
        Ok(serde_json::from_str(&self.text(column)?).unwrap_or_default())
    }
}

impl Columns for AnyRow {
    fn text(&self, column: &str) -> Result<String> {
        Ok(self.try_get(column)?)
    }

    fn maybe_text(&self, column: &str) -> Result<Option<String>> {
        Ok(self.try_get(column)?)
    }

    fn int(&self, column: &str) -> Result<i64> {
        Ok(self.try_get(column)?)
    }

    fn maybe_int(&self, column: &str) -> Result<Option<i64>> {
        Ok(self.try_get(column)?)
    }
}

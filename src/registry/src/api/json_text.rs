//! JSON of clients that is passed on.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// Any JSON, kept as the text that it is: as a [`Value`] it takes up to 36 times as much memory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JsonText(Box<RawValue>);

impl JsonText {
    /// The value; null if it is nested deeper than the 127 levels that are read.
    pub fn value(&self) -> Value {
        serde_json::from_str(self.0.get()).unwrap_or_default()
    }

    /// Reads it: JSON that is skipped is not looked at as closely as JSON that is read.
    ///
    /// # Errors
    /// Why it cannot be read, as it is nested too deep or a number in it is too large.
    #[cfg(any(test, feature = "store"))]
    pub(crate) fn check(&self) -> serde_json::Result<()> {
        serde_json::from_str::<Value>(self.0.get()).map(drop)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl From<&Value> for JsonText {
    fn from(value: &Value) -> Self {
        JsonText(to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }
}

impl From<Value> for JsonText {
    fn from(value: Value) -> Self {
        JsonText::from(&value)
    }
}

impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl JsonSchema for JsonText {
    fn inline_schema() -> bool {
        Value::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        Value::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Value::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::BuildMetadata;

    #[test]
    fn metadata_is_passed_on_as_it_came() {
        let text = r#"{"cicd":null,"packer":{"a": [1, 1.50]},"vcs":null}"#;
        let metadata: BuildMetadata = serde_json::from_str(text).expect("metadata");
        assert_eq!(serde_json::to_string(&metadata).expect("JSON"), text);
        assert!(metadata.cicd.is_none());
        let packer = metadata.packer.as_ref().expect("a part of it");
        assert_eq!(packer.value()["a"][0], 1);
        // Also where it was read before.
        let value: Value = serde_json::from_str(text).expect("JSON");
        let read: BuildMetadata = serde_json::from_value(value).expect("metadata");
        assert_eq!(read.packer.map(|it| it.value()), Some(packer.value()));
        let deep = format!(r#"{{"packer":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        let deep: BuildMetadata = serde_json::from_str(&deep).expect("it is only skipped");
        assert!(deep.packer.expect("a part of it").check().is_err());
    }
}

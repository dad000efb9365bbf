//! `data "null"`: gives back what it is given.

use async_trait::async_trait;
use ingot_sdk::{
    Config, ConfigError, ConfigErrors, DataSource, PrepareContext, Prepared, Result, Schema, Ui,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Default, Deserialize, JsonSchema)]
struct Options {
    /// The text to give back.
    input: String,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Output {
    /// `input` as it was given.
    output: String,
}

/// Gives back what it is given.
#[derive(Default)]
pub struct NullData {
    options: Options,
}

#[async_trait]
impl DataSource for NullData {
    fn schema(&self) -> Schema {
        Schema::of::<Options>()
    }

    fn output(&self) -> Schema {
        Schema::of::<Output>()
    }

    fn prepare(&mut self, config: &Config, _: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        self.options = config.decode()?;
        let input = &self.options.input;
        if input.is_empty() {
            return Err(ConfigError::on("input", "`input` must not be empty").into());
        }
        Ok(Prepared::default())
    }

    async fn execute(&self, _: &Ui) -> Result<serde_json::Value> {
        Ok(json!({ "output": self.options.input }))
    }
}

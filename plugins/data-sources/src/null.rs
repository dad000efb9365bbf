//! `data "null"`: gives back what it is given.

use async_trait::async_trait;
use ingot_sdk::{
    Component, ConfigError, ConfigErrors, Decoded, Fetch, PrepareContext, Prepared, Result, Ui,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Options {
    /// The text to give back.
    input: String,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// `input` as it was given.
    output: String,
}

/// `data "null"`
pub struct NullData;

/// Gives back what it is given.
pub struct Echo {
    input: String,
}

impl Component for NullData {
    const NAME: &'static str = "null";
    type Options = Options;
    type Ready = Echo;

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<Echo>, ConfigErrors> {
        if options.input.is_empty() {
            return Err(ConfigError::on("input", "`input` must not be empty").into());
        }
        Ok(Prepared::new(Echo { input: options.input }))
    }
}

#[async_trait]
impl Fetch for Echo {
    type Output = Output;

    async fn fetch(&self, _: &Ui) -> Result<Output> {
        Ok(Output { output: self.input.clone() })
    }
}

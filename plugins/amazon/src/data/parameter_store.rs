//! `data "amazon-parameterstore"`: a parameter of AWS Systems Manager.

use ingot_sdk::{
    Config, ConfigErrors, DataSource, Error, PrepareContext, Prepared, Result, Schema, Ui,
    async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::check_name;
use crate::access::{Access, AccessOptions};
use crate::failure::Failure;
use crate::json_call::SYSTEMS_MANAGER;

#[derive(Debug, Default, Deserialize, JsonSchema)]
struct Options {
    #[serde(flatten)]
    access: AccessOptions,
    /// The parameter. `NAME:VERSION` and `NAME:LABEL` ask for an older value.
    name: String,
    /// Decrypts the value of a secure string. Other kinds are as they are.
    #[serde(default)]
    with_decryption: bool,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Output {
    /// Its value. That of a secure string is never shown.
    value: String,
    /// The number of this value's version.
    version: String,
    /// Its ARN.
    arn: String,
}

/// Reads a parameter.
#[derive(Default)]
pub struct ParameterStoreData {
    options: Options,
}

#[async_trait]
impl DataSource for ParameterStoreData {
    fn schema(&self) -> Schema {
        Schema::of::<Options>()
    }

    fn output(&self) -> Schema {
        Schema::of::<Output>()
    }

    fn prepare(&mut self, config: &Config, _: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        self.options = config.decode()?;
        let mut errors = ConfigErrors::default();
        self.options.access.check(&mut errors);
        check_name(&self.options.name, &mut errors);
        errors.into_result(Prepared::default())
    }

    async fn execute(&self, ui: &Ui) -> Result<serde_json::Value> {
        let Options { access, name, with_decryption } = &self.options;
        let access = Access::open(access, ui).await?;
        let region = access.region();
        let request = json!({ "Name": name, "WithDecryption": with_decryption });
        let answer = match access.call(&SYSTEMS_MANAGER, region, "GetParameter", &request).await {
            Ok(answer) => answer,
            Err(failure) => return Err(access.explain(told(failure, name, region)).await),
        };
        let parameter = &answer["Parameter"];
        let value = parameter["Value"].as_str().ok_or_else(|| {
            Error::new(format!("AWS answered without a value of the parameter {name}"))
        })?;
        if parameter["Type"] == "SecureString" {
            ui.mask(value);
        }
        Ok(json!({
            "value": value,
            "version": parameter["Version"].to_string(),
            "arn": parameter["ARN"].as_str().unwrap_or_default(),
        }))
    }
}

fn told(failure: Failure, name: &str, region: &str) -> Error {
    if failure.is("ParameterNotFound") {
        return Error::new(format!("there is no parameter {name} in {region}"))
            .hint("check the name, which begins with / if it has one inside, and the region");
    }
    if failure.is("ParameterVersionNotFound") {
        return Error::new(format!("the parameter of {name} in {region} has no such version"));
    }
    Error::from(failure).context(format_args!("reading the parameter {name}"))
}

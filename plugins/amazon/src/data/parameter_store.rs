//! `data "amazon-parameterstore"`: a parameter of AWS Systems Manager.

use ingot_sdk::{
    Component, ConfigErrors, Decoded, Error, Fetch, PrepareContext, Prepared, Result, Ui,
    async_trait,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::check_name;
use crate::access::{Access, AccessOptions};
use crate::failure::Failure;
use crate::json_call::SYSTEMS_MANAGER;

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Options {
    #[serde(flatten)]
    access: AccessOptions,
    /// The parameter. `NAME:VERSION` and `NAME:LABEL` ask for an older value.
    name: String,
    /// Decrypts the value of a secure string. Other kinds are as they are.
    #[serde(default)]
    with_decryption: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// Its value. That of a secure string is never shown.
    value: String,
    /// The number of this value's version.
    version: String,
    /// Its ARN.
    arn: String,
}

/// `data "amazon-parameterstore"`
pub struct ParameterStoreData;

/// Reads a parameter.
pub struct ReadParameter {
    options: Options,
}

impl Component for ParameterStoreData {
    const NAME: &'static str = "amazon-parameterstore";
    type Options = Options;
    type Ready = ReadParameter;

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<ReadParameter>, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        options.access.check(&mut errors);
        check_name(&options.name, &mut errors);
        errors.into_result(Prepared::new(ReadParameter { options }))
    }
}

#[async_trait]
impl Fetch for ReadParameter {
    type Output = Output;

    async fn fetch(&self, ui: &Ui) -> Result<Output> {
        let Options { access, name, with_decryption } = &self.options;
        let access = Access::open(access, ui).await?;
        let region = access.region();
        let request = json!({ "Name": name, "WithDecryption": with_decryption });
        let response = match access.call(&SYSTEMS_MANAGER, region, "GetParameter", &request).await {
            Ok(response) => response,
            Err(failure) => return Err(access.explain(lookup_error(failure, name, region)).await),
        };
        let parameter = &response["Parameter"];
        let value = parameter["Value"]
            .as_str()
            .ok_or_else(|| Error::new(format!("AWS returned no value of the parameter {name}")))?;
        if parameter["Type"] == "SecureString" {
            ui.mask(value);
        }
        Ok(Output {
            value: value.to_owned(),
            version: parameter["Version"].to_string(),
            arn: parameter["ARN"].as_str().unwrap_or_default().to_owned(),
        })
    }
}

fn lookup_error(failure: Failure, name: &str, region: &str) -> Error {
    if failure.is("ParameterNotFound") {
        return Error::new(format!("there is no parameter {name} in {region}"))
            .hint("check the name, which begins with / if it has one inside, and the region");
    }
    if failure.is("ParameterVersionNotFound") {
        return Error::new(format!("the parameter of {name} in {region} has no such version"));
    }
    Error::from(failure).context(format_args!("reading the parameter {name}"))
}

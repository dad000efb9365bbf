//! `data "amazon-secretsmanager"`: a secret of AWS Secrets Manager.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ingot_sdk::{
    AwsSecrets, Component, ConfigErrors, Decoded, Error, Fetch, PrepareContext, Prepared, Result,
    Ui, async_trait,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::check_name;
use crate::access::{Access, AccessOptions};
use crate::failure::{Failure, Kind, Subject};
use crate::json_call::JsonService;

const SECRETS_MANAGER: JsonService = JsonService {
    id: "Secrets Manager",
    host: "secretsmanager",
    signing_name: "secretsmanager",
    target: "secretsmanager",
};

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Options {
    #[serde(flatten)]
    access: AccessOptions,
    /// The secret's name or ARN.
    name: String,
    /// Which value to read, of a secret that is a JSON object of several.
    key: Option<String>,
    /// The id of the version to read. Goes before `version_stage`.
    version_id: Option<String>,
    /// The label of the version to read. Default `AWSCURRENT`.
    version_stage: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// The value of `key`; without `key`, the first value of a JSON object, or the whole secret
    /// where it is something else.
    #[schemars(extend("sensitive" = true))]
    value: String,
    /// The whole secret, if it was stored as text.
    #[schemars(extend("sensitive" = true))]
    secret_string: String,
    /// The whole secret, if it was stored as bytes: as text where it is text, else in base64.
    #[schemars(extend("sensitive" = true))]
    secret_binary: String,
    /// The id of the version that was read.
    version_id: String,
}

/// `data "amazon-secretsmanager"`
pub struct SecretsManagerData;

/// Reads a secret.
pub struct ReadSecret {
    options: Options,
}

fn set(option: &Option<String>) -> Option<&str> {
    option.as_deref().filter(|text| !text.is_empty())
}

impl Component for SecretsManagerData {
    const NAME: &'static str = "amazon-secretsmanager";
    type Options = Options;
    type Ready = ReadSecret;

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<ReadSecret>, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        options.access.check(&mut errors);
        check_name(&options.name, &mut errors);
        errors.into_result(Prepared::new(ReadSecret { options }))
    }
}

#[async_trait]
impl Fetch for ReadSecret {
    type Output = Output;

    async fn fetch(&self, ui: &Ui) -> Result<Output> {
        let Options { access, name, key, version_id, version_stage } = &self.options;
        let access = Access::open(access, ui).await?;
        let region = access.region();
        let stage = set(version_stage).unwrap_or("AWSCURRENT");
        let (request, version) = match set(version_id) {
            Some(id) => (json!({ "SecretId": name, "VersionId": id }), id),
            None => (json!({ "SecretId": name, "VersionStage": stage }), stage),
        };
        let response = match access.call(&SECRETS_MANAGER, region, "GetSecretValue", &request).await
        {
            Ok(response) => response,
            Err(failure) => {
                return Err(access.explain(lookup_error(failure, name, version, region)).await);
            }
        };
        let text = response["SecretString"].as_str().unwrap_or_default();
        let bytes = response["SecretBinary"].as_str().unwrap_or_default();
        let decoded = STANDARD.decode(bytes).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let binary = decoded.unwrap_or_else(|| bytes.to_owned());
        let value = value_of(text, set(key))
            .map_err(|why| Error::new(format!("the secret {name} {why}")))?;
        for secret in [text, &binary, &value] {
            ui.mask(secret);
        }
        Ok(Output {
            value,
            secret_string: text.to_owned(),
            secret_binary: binary,
            version_id: response["VersionId"].as_str().unwrap_or_default().to_owned(),
        })
    }
}

/// Reads secrets for the functions `aws_secretsmanager` and `aws_secretsmanager_raw`.
pub struct SecretsManager;

#[async_trait]
impl AwsSecrets for SecretsManager {
    async fn read(&self, name: &str, key: Option<&str>, raw: bool, ui: &Ui) -> Result<String> {
        read_secret(name, key, raw, ui).await
    }
}

async fn read_secret(name: &str, key: Option<&str>, raw: bool, ui: &Ui) -> Result<String> {
    let access = Access::open(&AccessOptions::default(), ui).await?;
    let region = access.region();
    let request = json!({ "SecretId": name, "VersionStage": "AWSCURRENT" });
    let response = access.call(&SECRETS_MANAGER, region, "GetSecretValue", &request).await;
    let response = response.map_err(|failure| lookup_error(failure, name, "AWSCURRENT", region))?;
    let of_secret = |why: &str| Error::new(format!("the secret {name} {why}"));
    let text = response["SecretString"].as_str().ok_or_else(|| {
        of_secret("was stored as bytes, not as text")
            .hint("read secret_binary of a data \"amazon-secretsmanager\" block instead")
    })?;
    ui.mask(text);
    let parsed = serde_json::from_str::<Value>(text);
    // As in Packer, a secret that is plain text is its own value, whatever the key.
    if raw || parsed.is_err() {
        return Ok(text.to_owned());
    }
    let several = matches!(parsed, Ok(Value::Object(all)) if all.len() > 1);
    if key.is_none() && several {
        return Err(of_secret("has several values, and no key says which")
            .hint("give the key, as in aws_secretsmanager(\"name\", \"key\")"));
    }
    let value = value_of(text, key).map_err(|why| of_secret(&why))?;
    ui.mask(&value);
    Ok(value)
}

fn lookup_error(failure: Failure, name: &str, version: &str, region: &str) -> Error {
    if failure.kind == Kind::NotFound || failure.is_about(Subject::Deleted) {
        return Error::new(format!("there is no secret {name} of version {version} in {region}"))
            .hint("check the name, the version, the region, and whether it was deleted");
    }
    Error::from(failure).context(format_args!("reading the secret {name}"))
}

/// The value of `key` in a secret. No error quotes the secret.
fn value_of(secret: &str, key: Option<&str>) -> Result<String, String> {
    let Ok(Value::Object(values)) = serde_json::from_str(secret) else {
        return match key {
            None => Ok(secret.to_owned()),
            Some(key) => Err(format!("is not a JSON object, and so has no key `{key}`")),
        };
    };
    let (name, value) = match key {
        Some(key) => values.get_key_value(key).ok_or_else(|| format!("has no key `{key}`"))?,
        None => match values.iter().next() {
            Some(first) => first,
            None => return Ok(String::new()),
        },
    };
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err(format!(
            "has something other than a text or a number under `{name}`; read secret_string \
             with jsondecode() instead"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::value_of;

    #[test]
    fn values_of_keys() {
        let secret = r#"{"user":"me","port":5432,"ratio":1.5,"more":{"a":1}}"#;
        assert_eq!(value_of(secret, None).unwrap(), "me");
        assert_eq!(value_of(secret, Some("port")).unwrap(), "5432");
        assert_eq!(value_of(secret, Some("ratio")).unwrap(), "1.5");
        assert_eq!(value_of("plain", None).unwrap(), "plain");
        assert_eq!(value_of("{}", None).unwrap(), "");
        assert!(value_of(secret, Some("nope")).unwrap_err().contains("no key `nope`"));
        assert!(value_of(secret, Some("more")).unwrap_err().contains("jsondecode"));
        assert!(value_of("plain", Some("a")).unwrap_err().contains("not a JSON object"));
    }
}

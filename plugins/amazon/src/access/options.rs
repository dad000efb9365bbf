//! The options for access. Names and defaults are Packer's.

use std::collections::BTreeMap;

use ingot_sdk::{ConfigError, ConfigErrors};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::polling::PollingOptions;

/// The options that every block which talks to AWS flattens into its own.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct AccessOptions {
    /// The access key. Without it, the environment, the profile and the services of AWS that
    /// lend credentials are asked, in that order.
    pub access_key: Option<String>,
    /// The secret key that goes with `access_key`.
    #[schemars(extend("sensitive" = true))]
    pub secret_key: Option<String>,
    /// The session token that goes with temporary keys.
    #[schemars(extend("sensitive" = true))]
    pub token: Option<String>,
    /// The profile in the AWS configuration files. Goes before the environment's keys.
    pub profile: Option<String>,
    /// The region, such as `us-east-1`. Default: `AWS_REGION`, `AWS_DEFAULT_REGION`, or the
    /// profile's.
    pub region: Option<String>,
    /// A role to work as.
    pub assume_role: Option<AssumeRoleOptions>,
    /// The code of a device for multi-factor authentication, for a profile with `role_arn` and
    /// `mfa_serial`.
    #[schemars(extend("sensitive" = true))]
    pub mfa_code: Option<String>,
    /// A file of credentials to read instead of `~/.aws/credentials`.
    pub shared_credentials_file: Option<String>,
    /// The address of another service that speaks as EC2 does.
    pub custom_endpoint_ec2: Option<String>,
    /// Asks AWS to decode the encoded part of a refusal. Needs the permission
    /// `sts:DecodeAuthorizationMessage`.
    #[serde(default)]
    pub decode_authorization_messages: bool,
    /// Does not check certificates of servers.
    #[serde(default)]
    pub insecure_skip_tls_verify: bool,
    /// How often a call is tried when AWS throttles it or the network fails. Default 10.
    pub max_retries: Option<u32>,
    /// Does not ask the metadata service of an EC2 instance for credentials.
    #[serde(default)]
    pub skip_metadata_api_check: bool,
    /// Packer's option not to ask AWS whether credentials are good before using them. Accepted;
    /// the first call tells as well.
    #[serde(default)]
    pub skip_credential_validation: bool,
    /// Credentials from HashiCorp Vault. Not supported.
    pub vault_aws_engine: Option<VaultOptions>,
    /// How long and how often to look whether something is done.
    pub aws_polling: Option<PollingOptions>,
}

/// A role to work as.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct AssumeRoleOptions {
    /// The ARN of the role.
    pub role_arn: Option<String>,
    /// How long a session lasts; it is renewed. Default: the role's.
    pub duration_seconds: Option<i32>,
    /// The id that the role's owner agreed on with you.
    pub external_id: Option<String>,
    /// A policy in JSON that narrows down what the session may do.
    pub policy: Option<String>,
    /// The ARNs of policies that narrow down what the session may do.
    #[serde(default)]
    pub policy_arns: Vec<String>,
    /// The name of the session in logs of AWS.
    pub session_name: Option<String>,
    /// Tags of the session.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Which of the tags sessions that follow from this one have too.
    #[serde(default)]
    pub transitive_tag_keys: Vec<String>,
}

/// Credentials from HashiCorp Vault, known so that the error can name them.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct VaultOptions {
    /// The role in Vault.
    pub name: Option<String>,
    /// The ARN of the role to assume.
    pub role_arn: Option<String>,
    /// How long the credentials are to last.
    pub ttl: Option<String>,
    /// The name of the secrets engine.
    pub engine_name: Option<String>,
}

/// `option` unless it is empty, which templates use for "not set".
pub(crate) fn set(option: &Option<String>) -> Option<&str> {
    option.as_deref().filter(|text| !text.is_empty())
}

impl AccessOptions {
    /// Adds to `errors` what is wrong with the options. Asks nobody.
    pub fn check(&self, errors: &mut ConfigErrors) {
        match (set(&self.access_key), set(&self.secret_key)) {
            (Some(_), None) => errors.push(
                ConfigError::on("access_key", "`access_key` needs `secret_key`")
                    .related(["secret_key"])
                    .hint("set both, or neither to use the environment or a profile"),
            ),
            (None, Some(_)) => errors.push(
                ConfigError::on("secret_key", "`secret_key` needs `access_key`")
                    .related(["access_key"])
                    .hint("set both, or neither to use the environment or a profile"),
            ),
            _ => {}
        }
        if let Some(VaultOptions { name, role_arn, ttl, engine_name }) = &self.vault_aws_engine
            && [name, role_arn, ttl, engine_name].into_iter().any(|option| set(option).is_some())
        {
            errors.push(
                ConfigError::on(
                    "vault_aws_engine",
                    "credentials from Vault's AWS engine are not supported yet",
                )
                .hint(
                    "read them before the build, with `vault read aws/creds/ROLE`, into \
                     AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN",
                ),
            );
        }
        if let Some(endpoint) = set(&self.custom_endpoint_ec2)
            && !reqwest::Url::parse(endpoint)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        {
            errors.push(
                ConfigError::on("custom_endpoint_ec2", "this is not the URL of a service")
                    .hint("write it with its scheme: https://ec2.example.com"),
            );
        }
        if let Some(role) = &self.assume_role
            && let Some(seconds) = role.duration_seconds
            && seconds != 0
            && !(900..=43200).contains(&seconds)
        {
            errors.push(ConfigError::on(
                "assume_role.duration_seconds",
                "a session lasts from 900 to 43200 seconds",
            ));
        }
        if let Some(polling) = &self.aws_polling {
            polling.check(errors);
        }
    }
}

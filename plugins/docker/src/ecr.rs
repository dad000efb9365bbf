//! The options for Amazon ECR, and who answers them.

use std::sync::Arc;

use ingot_sdk::ecr::{EcrAccount, EcrLogin};
use ingot_sdk::{ConfigError, Error, Result, Ui};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::credentials::Login;

/// The options for Amazon ECR, of the builder and of docker-push.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct EcrConfig {
    /// Logs in to the registry of Amazon ECR that `login_server` names.
    #[serde(default)]
    pub ecr_login: bool,
    /// The AWS access key for `ecr_login`. Without it, the profile and the environment are asked.
    aws_access_key: Option<String>,
    /// The AWS secret key for `ecr_login`.
    #[schemars(extend("sensitive" = true))]
    aws_secret_key: Option<String>,
    /// The AWS session token for `ecr_login`.
    #[schemars(extend("sensitive" = true))]
    aws_token: Option<String>,
    /// The AWS profile for `ecr_login`.
    aws_profile: Option<String>,
    /// Whether `ecr_login` is for ECR Public, whatever `login_server` is called.
    #[serde(default)]
    aws_force_use_public_ecr: bool,
}

impl EcrConfig {
    fn account(&self) -> EcrAccount {
        EcrAccount {
            access_key: self.aws_access_key.clone(),
            secret_key: self.aws_secret_key.clone(),
            token: self.aws_token.clone(),
            profile: self.aws_profile.clone(),
            public: self.aws_force_use_public_ecr,
        }
    }
}

/// Who gets passwords of ECR; nobody in a program without support for AWS.
#[derive(Clone, Default)]
pub(crate) struct Ecr(pub Option<Arc<dyn EcrLogin>>);

impl Ecr {
    /// Checks the options; returns a warning where they may not work.
    ///
    /// # Errors
    /// They cannot work.
    pub(crate) fn check(
        &self,
        config: &EcrConfig,
        server: Option<&str>,
    ) -> Result<Option<String>, ConfigError> {
        if !config.ecr_login {
            return Ok(None);
        }
        let Some(login) = &self.0 else {
            return Err(ConfigError::on(
                "ecr_login",
                "this program was built without Amazon's \
                 services",
            )
            .hint(
                "log in before the build with `aws ecr get-login-password | docker login \
                 --username AWS --password-stdin SERVER`; the stored login is used",
            ));
        };
        let Some(server) = server.filter(|server| !server.is_empty()) else {
            return Err(ConfigError::on("ecr_login", "`ecr_login` needs `login_server`")
                .related(["login_server"])
                .hint(
                    "for example: login_server = \"123456789012.dkr.ecr.us-east-1.amazonaws.com\"",
                ));
        };
        if set(&config.aws_access_key) != set(&config.aws_secret_key) {
            return Err(ConfigError::on(
                "aws_access_key",
                "`aws_access_key` and `aws_secret_key` go together: set both or neither",
            )
            .related(["aws_secret_key"]));
        }
        let known = login.knows(server, &config.account());
        Ok((!known).then(|| {
            format!(
                "login_server: {server} is not called like a registry of Amazon ECR \
                 (123456789012.dkr.ecr.us-east-1.amazonaws.com), which ecr_login needs"
            )
        }))
    }

    /// The login that ECR gives; none where the options do not ask for it.
    ///
    /// # Errors
    /// There are no AWS credentials, or AWS refused.
    pub(crate) async fn login(
        &self,
        config: &EcrConfig,
        server: Option<&str>,
        ui: &Ui,
    ) -> Result<Option<Login>> {
        let Some(login) = self.0.as_ref().filter(|_| config.ecr_login) else { return Ok(None) };
        let server = server.unwrap_or_default();
        ui.message("Fetching ECR credentials...");
        let found = login
            .login(server, &config.account(), ui)
            .await
            .map_err(|error: Error| error.context("ecr_login"))?;
        Ok(Some(Login {
            server: server.to_owned(),
            username: found.username,
            password: found.password,
        }))
    }
}

fn set(option: &Option<String>) -> bool {
    option.as_deref().is_some_and(|text| !text.is_empty())
}

//! Logging in to Amazon's container registry: asked for by plugins that pull and push images,
//! answered by the plugin that knows Amazon, neither of which knows the other.

use async_trait::async_trait;

use crate::{Result, Ui};

/// Who to be towards AWS. What is not set comes from the environment, as elsewhere.
#[derive(Debug, Clone, Default)]
pub struct EcrAccount {
    /// The access key.
    pub access_key: Option<String>,
    /// The secret key.
    pub secret_key: Option<String>,
    /// The session token.
    pub token: Option<String>,
    /// The profile in the AWS configuration files.
    pub profile: Option<String>,
    /// Whether ECR Public is meant, whatever the server is called.
    pub public: bool,
}

/// A user and a password that ECR takes for some hours.
pub struct EcrCredentials {
    /// The user; `AWS`.
    pub username: String,
    /// The password.
    pub password: String,
}

/// Gets passwords of ECR.
#[async_trait]
pub trait EcrLogin: Send + Sync {
    /// Whether `server` is called like one of ECR. Others get no password.
    fn knows(&self, server: &str, account: &EcrAccount) -> bool;

    /// Gets a password, which is masked from here on.
    ///
    /// # Errors
    /// There are no AWS credentials, or AWS refused.
    async fn login(&self, server: &str, account: &EcrAccount, ui: &Ui) -> Result<EcrCredentials>;
}

//! Secrets of AWS Secrets Manager: asked for by functions of expressions, read by the plugin that
//! knows Amazon.

use async_trait::async_trait;

use crate::{Result, Ui};

/// Reads secrets of AWS Secrets Manager.
#[async_trait]
pub trait AwsSecrets: Send + Sync {
    /// The value of `key` in the secret `name`; without a key, the only value of a JSON object, or the
    /// whole secret where it is something else. `raw` gives the whole secret always. Access comes from
    /// the environment alone. The secret is masked from here on.
    ///
    /// # Errors
    /// There are no credentials or no region, AWS refuses, or the secret has no such value.
    async fn read(&self, name: &str, key: Option<&str>, raw: bool, ui: &Ui) -> Result<String>;
}

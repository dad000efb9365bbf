//! The stores of secrets and settings that functions read from.

use std::sync::Arc;

/// A value that a function asks an outside store for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoredValue {
    /// A key of Consul's key/value store.
    ConsulKey(String),
    /// One value of a secret in Vault.
    Vault {
        /// Where the secret is, as in `secret/data/app`.
        path: String,
        /// Which of its values.
        key: String,
    },
    /// A value of a secret in AWS Secrets Manager.
    AwsSecret {
        /// The name or ARN of the secret.
        name: String,
        /// Which of its values, if it has several.
        key: Option<String>,
    },
    /// A secret in AWS Secrets Manager as it was stored.
    AwsSecretRaw(String),
}

/// Answers what functions ask of outside stores, or says why not.
type StoreReader = dyn Fn(&StoredValue) -> Result<String, String> + Send + Sync;

/// The outside stores that functions read from. The default asks none: what functions read from
/// stores is then unknown.
#[derive(Clone, Default)]
pub struct Stores(Option<Arc<StoreReader>>);

impl Stores {
    /// Stores that `read` asks.
    pub fn new(
        read: impl Fn(&StoredValue) -> Result<String, String> + Send + Sync + 'static,
    ) -> Self {
        Stores(Some(Arc::new(read)))
    }

    /// The value in its store; none where no store is asked.
    ///
    /// # Errors
    /// The store does not give it.
    pub fn read(&self, wanted: &StoredValue) -> Result<Option<String>, String> {
        self.0.as_ref().map(|read| read(wanted)).transpose()
    }
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stores")
    }
}

//! The data sources.

mod ami;
mod parameter_store;
mod secrets_manager;

pub use ami::AmiData;
pub use parameter_store::ParameterStoreData;
pub use secrets_manager::SecretsManagerData;

use ingot_sdk::{ConfigError, ConfigErrors};

/// Complains about a `name` that is empty.
fn check_name(name: &str, errors: &mut ConfigErrors) {
    if name.is_empty() {
        errors.push(ConfigError::on("name", "`name` must not be empty"));
    }
}

//! The names of secrets and parameters.

use ingot_sdk::{ConfigError, ConfigErrors};

/// Adds an error about a `name` that is empty.
pub(super) fn check_name(name: &str, errors: &mut ConfigErrors) {
    if name.is_empty() {
        errors.push(ConfigError::on("name", "`name` must not be empty"));
    }
}

//! Errors about options.

use ingot_sdk::{ConfigError, ConfigErrors};

/// Adds an error about `option`, with advice.
pub(super) fn wrong(
    errors: &mut ConfigErrors,
    option: &str,
    message: impl Into<String>,
    hint: &str,
) {
    errors.push(ConfigError::on(option, message).hint(hint));
}

/// Adds an error about `option` that depends on the options `related`, with advice.
pub(super) fn wrong_with(
    errors: &mut ConfigErrors,
    (option, related): (&str, &[&'static str]),
    message: impl Into<String>,
    hint: &str,
) {
    let error = ConfigError::on(option, message).hint(hint);
    errors.push(error.related(related.iter().copied()));
}

/// Adds an error about a value that is not one of `allowed`.
pub(crate) fn one_of(
    errors: &mut ConfigErrors,
    option: &str,
    value: Option<&str>,
    allowed: &[&str],
) {
    if let Some(value) = value
        && !allowed.contains(&value)
    {
        let choices: Vec<String> = allowed.iter().map(|choice| format!("\"{choice}\"")).collect();
        let hint = format!("write {}", choices.join(" or "));
        wrong(errors, option, format!("`{value}` is not possible here"), &hint);
    }
}

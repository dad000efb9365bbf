//! What can be wrong with the options, told all at once and offline. The rules are Packer's.

mod ami;
mod devices;
mod fast_launch;
mod instance;
mod login;
mod network;
mod spot;
mod surrogate;
mod templates;
mod volumes;

pub(super) use ami::{DEFAULT_KEY_HINT, ami, default_key_message, unshareable};
pub(super) use devices::devices;
pub(super) use instance::{instance, is_burstable, placement, source};
pub(super) use login::login;
pub(super) use network::network;
pub(super) use spot::{is_spot, spot};
pub(super) use surrogate::surrogate;
pub(super) use templates::templates;
pub(super) use volumes::volumes;

use ingot_sdk::{ConfigError, ConfigErrors};

/// Complains about `option`, with advice.
fn wrong(errors: &mut ConfigErrors, option: &str, message: impl Into<String>, hint: &str) {
    errors.push(ConfigError::on(option, message).hint(hint));
}

/// Complains about `option` because of what `related` say or do not say, with advice.
fn wrong_with(
    errors: &mut ConfigErrors,
    (option, related): (&str, &[&'static str]),
    message: impl Into<String>,
    hint: &str,
) {
    let error = ConfigError::on(option, message).hint(hint);
    errors.push(error.related(related.iter().copied()));
}

/// Complains about a value that is not one of `allowed`.
fn one_of(errors: &mut ConfigErrors, option: &str, value: Option<&str>, allowed: &[&str]) {
    if let Some(value) = value
        && !allowed.contains(&value)
    {
        let choices: Vec<String> = allowed.iter().map(|choice| format!("\"{choice}\"")).collect();
        let hint = format!("write {}", choices.join(" or "));
        wrong(errors, option, format!("`{value}` is not possible here"), &hint);
    }
}

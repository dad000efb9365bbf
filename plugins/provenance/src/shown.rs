//! Values as attestations may show them, which strangers read.

use ingot_sdk::RunContext;

use crate::source::without_user;

/// What stands for the value of a sensitive variable; Packer's words.
pub(crate) const REDACTED: &str = "[sensitive value redacted]";

/// A value as an attestation may show it, which is read by others: nothing in place of one that holds a
/// secret of the template, and an address without its user and password.
pub(crate) fn without_secrets(ctx: &RunContext, value: &str) -> String {
    match ctx.prepare.secrets.occur_in(value) {
        true => REDACTED.to_owned(),
        false if value.contains("://") => without_user(value),
        false => value.to_owned(),
    }
}

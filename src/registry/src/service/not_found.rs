//! Errors about what is not there.

use super::rules;
use crate::api::*;

pub(super) fn no_bucket(name: &str) -> Error {
    Error::not_found(format!("there is no bucket {}", rules::quoted(name)))
}

pub(super) fn no_version(bucket: &str, fingerprint: &str) -> Error {
    Error::not_found(format!(
        "bucket {} has no version with the fingerprint {}",
        rules::quoted(bucket),
        rules::quoted(fingerprint)
    ))
}

pub(super) fn no_channel(bucket: &str, channel: &str) -> Error {
    let (bucket, channel) = (rules::quoted(bucket), rules::quoted(channel));
    Error::not_found(format!("bucket {bucket} has no channel {channel}"))
}

//! The options, and what is wrong with those of signing.

use std::collections::BTreeMap;

use ingot_sdk::{ConfigError, ConfigErrors};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::signer::{is_kms, unsupported_kms};

/// The options of `provenance`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Options {
    /// Whether anything is done at all; true.
    pub(crate) provenance: Option<bool>,
    /// The kind of build, a URI; `https://packer.io/buildtypes/hcl2/v1`.
    pub(crate) build_type: String,
    /// Where the attestations go: the directory of the artifact's first file, or the current one.
    pub(crate) output_dir: String,
    /// The template that the artifact is of, to be named as a parameter.
    pub(crate) template: String,
    /// The builds that the artifact is of, to be named as a parameter.
    pub(crate) only_builds: Vec<String>,
    /// Values to be named as parameters, besides the input variables that the environment sets
    /// (`PKR_VAR_name`). Sensitive ones are named without their values.
    pub(crate) user_variables: BTreeMap<String, String>,
    /// The repository that the build is of; found out by the CI's variables or git.
    pub(crate) source_uri: String,
    /// Whether to write an SBOM of the artifact and attest that as well.
    pub(crate) sbom: bool,
    /// `cyclonedx` (the default) or `spdx`.
    pub(crate) sbom_format: String,
    /// The directory or file that the SBOM is of; the artifact's file, or the directory of its files.
    pub(crate) sbom_scan_path: String,
    /// `squashed` or `all-layers`: the same, as files have no layers.
    pub(crate) sbom_scope: String,
    /// Glob patterns of what the SBOM leaves out.
    pub(crate) sbom_exclude: Vec<String>,
    /// `none` (the default), `key`, `kms`, or `keyless` with a certificate of Sigstore.
    pub(crate) signing_mode: String,
    /// The private key: a PEM file, or the address of a key of AWS KMS, `awskms:///KEY`.
    pub(crate) signer: String,
    /// Another name for `signer`.
    pub(crate) key: String,
    /// A PEM file with the public key, with which the signature is checked; that of the signer. Not for
    /// `keyless`.
    pub(crate) verifier: String,
    /// Of `keyless`: the certificate authority; `https://fulcio.sigstore.dev`.
    pub(crate) fulcio_url: String,
    /// Of `keyless`: the log of signatures; `https://rekor.sigstore.dev`.
    pub(crate) rekor_url: String,
    /// Of `keyless`: whether the signature is put into the log, which shows when it was made. Without
    /// that it can be checked for as long as the certificate is valid only, ten minutes.
    pub(crate) upload_tlog: bool,
    /// Of `keyless`: the file of the trusted root that the signature is checked with; that of the public
    /// Sigstore.
    pub(crate) trusted_root_path: String,
    /// Of `keyless`, required: who signs, as the certificate has it, such as the address of a workflow.
    pub(crate) keyless_identity: String,
    /// Of `keyless`, required: the issuer of the OIDC token, such as
    /// `https://token.actions.githubusercontent.com`.
    pub(crate) keyless_oidc_issuer: String,
}

impl Options {
    /// `signing_mode`, or its default.
    pub(crate) fn mode(&self) -> &str {
        if self.signing_mode.is_empty() { "none" } else { &self.signing_mode }
    }

    /// `signer`, or its other name.
    pub(crate) fn signer(&self) -> &str {
        if self.signer.is_empty() { &self.key } else { &self.signer }
    }
}

/// Checks the options of the key.
pub(crate) fn check_signing(options: &Options, errors: &mut ConfigErrors) {
    const SIGNER: [&str; 3] = ["signing_mode", "signer", "key"];
    let Options { signer, key, .. } = options;
    if !signer.is_empty() && !key.is_empty() && signer != key {
        let error = ConfigError::on("key", "`signer` and `key` mean the same, and differ here");
        errors.push(error.related(["signer"]).hint("keep one of them"));
    }
    let signer = options.signer();
    let missing = || {
        let mode = options.mode();
        ConfigError::new(format!("signing_mode = {mode:?} needs a `signer`"))
            .related(SIGNER)
            .hint("set it to the private key: a PEM file, or awskms:///KEY for `kms`")
    };
    match options.mode() {
        "none" => {}
        "key" | "kms" if signer.is_empty() => errors.push(missing()),
        "key" => {}
        "kms" if !is_kms(signer) => {
            let error = ConfigError::on("signer", format!("{signer} is not the address of a key"));
            errors.push(
                error.related(SIGNER).hint("it looks like awskms:///alias/NAME or awskms:///ARN"),
            );
        }
        "kms" if !signer.starts_with("awskms://") => {
            let error = unsupported_kms(signer);
            let hint = error.advice().unwrap_or_default().to_owned();
            let error = ConfigError::on("signer", error.to_string()).hint(hint);
            errors.push(error.related(SIGNER));
        }
        "kms" => {}
        "keyless" => check_keyless(options, errors),
        other => errors.push(
            ConfigError::on("signing_mode", format!("`{other}` is not a way to sign"))
                .hint("use none, key, kms or keyless"),
        ),
    }
}

/// Checks the options of Sigstore.
fn check_keyless(options: &Options, errors: &mut ConfigErrors) {
    for (name, value) in [
        ("keyless_identity", &options.keyless_identity),
        ("keyless_oidc_issuer", &options.keyless_oidc_issuer),
    ] {
        if value.trim().is_empty() {
            let what = format!("signing_mode = \"keyless\" needs `{name}`");
            errors.push(
                ConfigError::new(what)
                    .related(["signing_mode", name])
                    .hint("it says who signs, and is checked when the attestation is signed"),
            );
        }
    }
    for (name, value) in [("fulcio_url", &options.fulcio_url), ("rekor_url", &options.rekor_url)] {
        let read = match name {
            "fulcio_url" => ingot_sigstore::secret_address(value),
            _ => ingot_sigstore::address(value),
        };
        if !value.trim().is_empty()
            && let Err(why) = read
        {
            errors.push(
                ConfigError::on(name, why.to_string())
                    .hint("it is the address of a service, such as https://fulcio.example.org"),
            );
        }
    }
    if !options.verifier.is_empty() {
        errors.push(
            ConfigError::on("verifier", "`verifier` is not for signing_mode = \"keyless\"").hint(
                "remove it: the signature is checked with `keyless_identity` and \
                 `keyless_oidc_issuer`",
            ),
        );
    }
}

//! `ingot verify-attestation`

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use ingot_provenance::KeyService;
use ingot_provenance::keyless::KeylessPolicy;
use ingot_provenance::verify::{Policy, verify};
use ingot_ui::Redactor;

use super::args::Unused;
use super::asynchronous::{Threads, to_end};

#[derive(Debug, Args)]
pub(super) struct VerifyAttestationArgs {
    /// The attestation: a file that `provenance` wrote
    pub attestation: String,
    /// How it was signed: key, kms or keyless; detected unless it is given
    #[arg(long, value_name = "MODE")]
    pub signing_mode: Option<String>,
    /// The key that signed it: a PEM file, or the address of a key such as awskms:///alias/NAME
    #[arg(long, value_name = "PATH_OR_URI")]
    pub key: Option<String>,
    /// The public key or certificate that verifies it, in PEM
    #[arg(long, value_name = "PATH")]
    pub verifier: Option<String>,
    /// The type that the predicate must have
    #[arg(long, value_name = "TYPE")]
    pub predicate_type: Option<String>,
    /// The builder that SLSA's provenance must name
    #[arg(long, value_name = "ID")]
    pub builder_id: Option<String>,
    /// A source that SLSA's provenance must name
    #[arg(long, value_name = "URI")]
    pub source_uri: Option<String>,
    /// A file that must be one of the subjects
    #[arg(long, value_name = "PATH")]
    pub artifact: Option<String>,
    /// For keyless attestations: Sigstore's trusted root that verifies them, in JSON; that of the
    /// public Sigstore unless it is given
    #[arg(long, value_name = "PATH")]
    pub trusted_root_path: Option<String>,
    /// For keyless attestations: who must have signed, such as an email address or a workflow's URI
    #[arg(long, value_name = "IDENTITY")]
    pub keyless_identity: Option<String>,
    /// For keyless attestations: the issuer of the signer's OIDC token
    #[arg(long, value_name = "ISSUER")]
    pub keyless_oidc_issuer: Option<String>,
    /// For keyless attestations: Sigstore's bundle; unless it is given, ATTESTATION with .sigstore.json
    /// for .json, if that file exists
    #[arg(long, value_name = "PATH")]
    pub bundle: Option<String>,
    /// For keyless attestations: whether Rekor must have the signature
    #[arg(long)]
    pub require_rekor: bool,
    /// For keyless attestations: whether Rekor or a timestamp must show when it was signed
    #[arg(long)]
    pub require_timestamp: bool,
    #[command(flatten)]
    pub unused: Unused,
}

/// Verifies a signed attestation: 0 if it is what the flags ask for, 1 if not.
pub(super) fn run(args: &VerifyAttestationArgs, kms: Option<&Arc<dyn KeyService>>) -> ExitCode {
    let redactor = Arc::new(Redactor::default());
    super::logging::start(Arc::clone(&redactor));
    match check(args, kms) {
        Ok(()) => {
            super::answer("Attestation verified.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            super::show_error(&error, &redactor);
            ExitCode::FAILURE
        }
    }
}

fn check(args: &VerifyAttestationArgs, kms: Option<&Arc<dyn KeyService>>) -> ingot_sdk::Result<()> {
    let policy = Policy {
        signing_mode: args.signing_mode.clone().filter(|mode| !mode.is_empty()),
        key: args.key.clone(),
        verifier: args.verifier.clone(),
        predicate_type: args.predicate_type.clone(),
        builder_id: args.builder_id.clone(),
        source_uri: args.source_uri.clone(),
        artifact: args.artifact.clone(),
        keyless: KeylessPolicy {
            identity: args.keyless_identity.clone(),
            issuer: args.keyless_oidc_issuer.clone(),
            trusted_root: args.trusted_root_path.clone().filter(|path| !path.is_empty()),
            bundle: args.bundle.clone().filter(|path| !path.is_empty()),
            require_log: args.require_rekor,
            require_time: args.require_timestamp,
        },
    };
    to_end(Threads::Current, verify(&args.attestation, &policy, kms))?;
    Ok(())
}

//! `ingot verify-attestation`

use std::process::ExitCode;

use ingot_provenance::keyless::KeylessPolicy;
use ingot_provenance::verify::{Policy, verify};

use super::args::VerifyAttestationArgs;
use crate::builtin::key_service;

/// Verifies a signed attestation: 0 if it is what the flags ask for, 1 if not.
pub(super) fn run(args: &VerifyAttestationArgs) -> ExitCode {
    match check(args) {
        Ok(()) => {
            super::answer("Attestation verified.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            if let Some(advice) = error.advice() {
                eprintln!("help: {advice}");
            }
            ExitCode::FAILURE
        }
    }
}

fn check(args: &VerifyAttestationArgs) -> ingot_sdk::Result<()> {
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ingot_sdk::Error::caused_by)?;
    let kms = key_service();
    runtime.block_on(verify(&args.attestation, &policy, kms.as_ref()))?;
    Ok(())
}

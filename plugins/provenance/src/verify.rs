//! Checking an attestation: its signature, and what it says.

use std::path::Path;
use std::sync::Arc;

use ingot_sdk::file_work::{Reader, read_small};
use ingot_sdk::{Context, Error, Result, hash};
use serde_json::Value;

use crate::envelope::{Envelope, IN_TOTO};
use crate::keyless::{self, KeylessPolicy};
use crate::keys::PublicKey;
use crate::signature::check_signature;
use crate::signer::{KeyService, is_kms, verifier_from_file, verifier_from_kms};
use crate::statement::{SLSA_PROVENANCE, STATEMENT, Statement, Subject};

/// The largest attestation that is read, in bytes: it may hold an SBOM.
const LARGEST: u64 = 64 << 20;

/// What must be true of an attestation. What is none is not checked.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// How it was signed: `key`, `kms` or `keyless`; found out where this is none.
    pub signing_mode: Option<String>,
    /// The key that signed it: a PEM file, or the address of a key that a service keeps.
    pub key: Option<String>,
    /// A PEM file with the public key or certificate; goes before `key`.
    pub verifier: Option<String>,
    /// The type of its predicate.
    pub predicate_type: Option<String>,
    /// Who built, of SLSA's provenance.
    pub builder_id: Option<String>,
    /// A source that went into the build, of SLSA's provenance.
    pub source_uri: Option<String>,
    /// A file that is one of its subjects.
    pub artifact: Option<String>,
    /// What keyless attestations have to meet besides.
    pub keyless: KeylessPolicy,
}

/// Verifies the attestation in a file, and gives what it states.
///
/// # Errors
/// It cannot be read, its signature is not of the key, or it does not say what the policy asks for.
pub async fn verify(
    path: &str,
    policy: &Policy,
    kms: Option<&Arc<dyn KeyService>>,
) -> Result<Statement> {
    check_mode(policy)?;
    let text = read_small(Path::new(path), "attestation", LARGEST)?;
    let envelope: Envelope = serde_json::from_slice(&text).map_err(|error| {
        let why = Error::new(format!("{path} is not a DSSE envelope: {error}"));
        match serde_json::from_slice::<Statement>(&text) {
            Ok(statement) if statement.kind == STATEMENT => why
                .hint("it is a statement that was not signed; set `signing_mode` in the template"),
            _ => why,
        }
    })?;
    if envelope.payload_type != IN_TOTO {
        let found = &envelope.payload_type;
        return Err(Error::new(format!(
            "the payload of {path} is of the type {found:?}, not {IN_TOTO:?}"
        )));
    }
    let payload = envelope.payload()?;
    let verifying = || format!("verifying {path}");
    if is_keyless(&envelope, policy)? {
        let checked = keyless::check(path, &envelope, &payload, &policy.keyless);
        checked.map_err(|error| error.context(verifying()))?;
    } else {
        let key = key_of(policy, kms).await?;
        check_signature(&envelope, &payload, &key).map_err(|error| error.context(verifying()))?;
    }
    let statement: Statement = serde_json::from_slice(&payload).map_err(|error| {
        Error::new(format!("the payload of {path} is not a statement: {error}"))
    })?;
    check_statement(&statement, policy)?;
    Ok(statement)
}

fn check_mode(policy: &Policy) -> Result<()> {
    match policy.signing_mode.as_deref() {
        None | Some("key" | "kms" | "keyless") => Ok(()),
        Some(other) => Err(Error::new(format!("-signing-mode={other} does not exist"))
            .hint("use key, kms or keyless")),
    }
}

/// Whether a certificate of Sigstore is what verifies the attestation.
fn is_keyless(envelope: &Envelope, policy: &Policy) -> Result<bool> {
    let keyless = match policy.signing_mode.as_deref() {
        Some(mode) => mode == "keyless",
        None => envelope.is_keyless(),
    };
    if let Some(flag) = policy.keyless.first_flag().filter(|_| !keyless) {
        return Err(Error::new(format!("{flag} is for keyless attestations, and this is not one"))
            .hint("remove it, and name the key with -verifier=PATH or -key=PATH_OR_URI"));
    }
    let key = [("-verifier", &policy.verifier), ("-key", &policy.key)];
    let key = key.into_iter().find(|(_, given)| given.is_some());
    if let Some((flag, _)) = key.filter(|_| keyless) {
        return Err(Error::new(format!("{flag} is not for keyless attestations"))
            .hint("say who must have signed it, with -keyless-identity and -keyless-oidc-issuer"));
    }
    Ok(keyless)
}

/// The key that the policy names.
async fn key_of(policy: &Policy, kms: Option<&Arc<dyn KeyService>>) -> Result<PublicKey> {
    if let Some(path) = &policy.verifier {
        return verifier_from_file(path);
    }
    let Some(key) = policy.key.as_deref() else {
        return Err(Error::new("no key is named that could verify the attestation")
            .hint("name it with -verifier=PATH or -key=PATH_OR_URI"));
    };
    match policy.signing_mode.as_deref() {
        Some("kms") => verifier_from_kms(key, kms).await,
        None if is_kms(key) => verifier_from_kms(key, kms).await,
        _ => verifier_from_file(key),
    }
}

fn check_statement(statement: &Statement, policy: &Policy) -> Result<()> {
    if statement.kind != STATEMENT {
        return Err(Error::new(format!("the statement is of the type {:?}", statement.kind)));
    }
    let found = statement.predicate_type.as_str();
    if let Some(wanted) = policy.predicate_type.as_deref().filter(|wanted| *wanted != found) {
        return Err(Error::new(format!("the predicate is of the type {found:?}, not {wanted:?}")));
    }
    if let Some(path) = &policy.artifact {
        check_artifact(&statement.subject, Path::new(path))?;
    }
    if policy.builder_id.is_none() && policy.source_uri.is_none() {
        return Ok(());
    }
    if found != SLSA_PROVENANCE {
        return Err(Error::new(format!(
            "builder and source are part of {SLSA_PROVENANCE:?} only, and this is {found:?}"
        )));
    }
    if let Some(wanted) = &policy.builder_id {
        let found = &statement.predicate["runDetails"]["builder"]["id"];
        if found.as_str() != Some(wanted) {
            return Err(Error::new(format!("the builder is {found}, not {wanted:?}")));
        }
    }
    if let Some(wanted) = &policy.source_uri {
        let all = &statement.predicate["buildDefinition"]["resolvedDependencies"];
        let all = all.as_array().into_iter().flatten();
        let uris: Vec<&str> = all.filter_map(|one| one["uri"].as_str()).collect();
        if !uris.contains(&wanted.as_str()) {
            let found = Value::from(uris);
            return Err(Error::new(format!("the source {wanted:?} is not among {found}")));
        }
    }
    Ok(())
}

/// Checks that a file is one of the subjects, by name and checksum.
fn check_artifact(subjects: &[Subject], path: &Path) -> Result<()> {
    let reading = || format!("reading the artifact {}", path.display());
    let mut sum = hash::Sha256::new();
    std::io::copy(&mut Reader::open(path)?, &mut sum).with_context(reading)?;
    let sum = sum.finish();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let named: Vec<&Subject> = subjects.iter().filter(|one| one.name == name).collect();
    let same = |one: &&Subject| {
        one.digest.get("sha256").is_some_and(|digest| digest.eq_ignore_ascii_case(&sum))
    };
    match (named.iter().any(same), named.is_empty()) {
        (true, _) => Ok(()),
        (false, true) => Err(Error::new(format!("the attestation is not about a file {name:?}"))),
        (false, false) => Err(Error::new(format!(
            "the attestation is about another {name:?}: the checksums differ"
        ))),
    }
}

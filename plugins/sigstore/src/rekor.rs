//! Rekor, the log of signatures: what is in it was signed at a time that everybody can check.
//! See <https://github.com/sigstore/rekor>, API version 1.

use std::collections::BTreeMap;

use ingot_sdk::{Context, Error, Result, http};
use reqwest::{StatusCode, Url};
use sigstore_verify::rekor::{DsseEntry, LogEntry};
use sigstore_verify::types::bundle::TransparencyLogEntry;
use sigstore_verify::types::{DerCertificate, DsseEnvelope, KindVersion};
use tokio_util::sync::CancellationToken;

use crate::addresses::below;
use crate::client::Client;
use crate::error::when;

/// The longest answer that is read, in bytes: an entry holds hashes of what was signed, and a proof.
const LARGEST_ANSWER: usize = 4 << 20;

/// Writes an envelope to the log, and gives its entry. That it is of a log that is trusted is not
/// checked here.
pub(crate) async fn log(
    client: &Client,
    rekor: &Url,
    envelope: &DsseEnvelope,
    certificate: &DerCertificate,
    cancel: &CancellationToken,
) -> Result<TransparencyLogEntry> {
    let url = below(rekor, "api/v1/log/entries");
    let writing = || format!("writing the signature to Rekor at {}", http::shown(url.as_str()));
    let entry = DsseEntry::new(envelope, certificate).map_err(when(writing()))?;
    let post = |http: &reqwest::Client| http.post(url.clone()).json(&entry);
    let mut response = client.send(cancel, LARGEST_ANSWER, post).await;
    // A try whose answer got lost has written it already; Rekor says where.
    if let Ok(found) = &response
        && found.status == StatusCode::CONFLICT
        && let Some(there) = found.location.as_deref().and_then(|at| url.join(at).ok())
        && there.origin() == url.origin()
    {
        let get = |http: &reqwest::Client| http.get(there.clone());
        response = client.send(cancel, LARGEST_ANSWER, get).await;
    }
    let response =
        response.and_then(|response| response.success()).map_err(|e| e.context(writing()))?;
    let entries: BTreeMap<String, LogEntry> =
        serde_json::from_slice(&response).with_context(writing)?;
    let entry = entries.into_values().next();
    let entry = entry.ok_or_else(|| Error::new("the response has no entry").context(writing()))?;
    entry.to_bundle_entry(KindVersion::DsseV001).map_err(when(writing()))
}

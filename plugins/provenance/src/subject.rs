//! What attestations are about, and what their files are called.

use std::collections::BTreeMap;

use ingot_sdk::file_work::{Reader, blocking};
use ingot_sdk::{Artifact, Result, RunContext, hash};
use serde_json::{Value, json};

use crate::shown::without_secrets;
use crate::statement::{Digests, Subject};

/// What is known of an artifact that is kept by a service.
pub(crate) fn identity(ctx: &RunContext, artifact: &dyn Artifact) -> Value {
    // By name, so that the same artifact has the same digest.
    let mut identity = BTreeMap::from([
        ("builderId", Value::from(artifact.builder_id())),
        ("id", Value::from(artifact.id())),
    ]);
    let images: Vec<Value> = artifact
        .images()
        .into_iter()
        .map(|image| {
            let labels = image.labels.iter();
            let labels: BTreeMap<&String, String> =
                labels.map(|(name, value)| (name, without_secrets(ctx, value))).collect();
            json!({
                "ImageID": image.id,
                "Labels": labels,
                "ProviderName": image.provider,
                "ProviderRegion": image.region,
                "SourceImageID": image.source_id.unwrap_or_default(),
            })
        })
        .collect();
    if !images.is_empty() {
        identity.insert("state", images.into());
    }
    json!(identity)
}

/// What the attestations are about: the artifact's files, or its identity.
pub(crate) async fn subjects(
    ctx: &RunContext,
    artifact: &dyn Artifact,
    identity: &Value,
) -> Result<Vec<Subject>> {
    let subject = |name: String, sum: String| Subject {
        name,
        digest: Digests::from([("sha256".to_owned(), sum)]),
    };
    let files = artifact.files();
    if files.is_empty() {
        let sum = hash::sha256(identity.to_string());
        return Ok(vec![subject(format!("{}:{}", artifact.builder_id(), artifact.id()), sum)]);
    }
    let mut reader = Reader::new(ctx, "Hashing", &files);
    blocking(ctx, move |stop| {
        let mut subjects = Vec::new();
        for file in &files {
            let sum = hash::sums_of(&mut reader, stop, file, &["sha256"])?.pop();
            let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
            subjects.push(subject(name.into_owned(), sum.unwrap_or_default()));
        }
        Ok(subjects)
    })
    .await
}

/// The start of the names of all files that are written: the build's name and the artifact's, so that
/// parallel builds do not write to the same.
pub(crate) fn stem(build: &str, artifact: &dyn Artifact) -> String {
    let plain = |text: &str| -> String {
        let keep = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        text.chars().map(|c| if keep(c) { c } else { '_' }).collect()
    };
    let first = artifact.files().into_iter().next();
    let first = first.and_then(|file| Some(file.file_name()?.to_string_lossy().into_owned()));
    let base =
        first.unwrap_or_else(|| plain(&format!("{}-{}", artifact.builder_id(), artifact.id())));
    let build = plain(build.trim());
    match build.is_empty() || base == build || base.starts_with(&format!("{build}.")) {
        true => base,
        false => format!("{build}.{base}"),
    }
}

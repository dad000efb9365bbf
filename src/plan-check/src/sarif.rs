//! Reports as SARIF 2.1.0, which code scanning reads.

use ingot_base::hash::sha256;
use serde_json::{Value, json};

use super::report::{Finding, Level, Report, Status};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What every status but fine means, as rules.
const RULES: [(Status, &str, &str, &str); 6] = [
    (
        Status::Revoked,
        "RevokedImage",
        "A revoked image is used",
        "The image's version was revoked in the registry and must not be deployed.",
    ),
    (
        Status::RevocationScheduled,
        "ImageToBeRevoked",
        "An image with a scheduled revocation is used",
        "The image's version is to be revoked at a time to come.",
    ),
    (
        Status::Incomplete,
        "IncompleteImage",
        "An image of an incomplete version is used",
        "The image's version is not complete: a build of it runs or has failed.",
    ),
    (
        Status::Outdated,
        "OutdatedImage",
        "An outdated image is used",
        "The channel that the image came from points at another version, or the image was built \
         from one that is out of date.",
    ),
    (
        Status::Untracked,
        "UntrackedImage",
        "An image is used that the registry does not know",
        "The image was not published to the registry, so nothing is known about it.",
    ),
    (
        Status::Unknown,
        "UnknownImage",
        "An image is used that is known only at apply",
        "Which image this is will be known only when the plan is applied, so it cannot be checked \
         before.",
    ),
];

/// The SARIF log of the reports of several files.
pub fn sarif<'a>(reports: impl IntoIterator<Item = (&'a str, &'a Report)>) -> Value {
    let rules: Vec<Value> = RULES
        .iter()
        .map(|(status, name, short, full)| {
            json!({
                "id": id(*status),
                "name": name,
                "shortDescription": { "text": format!("{short}.") },
                "fullDescription": { "text": full },
                "helpUri": "https://github.com/ingot-build/ingot/blob/main/docs/registry-terraform.md",
                "defaultConfiguration": {
                    "level": if *status == Status::Revoked { "error" } else { "warning" },
                },
            })
        })
        .collect();
    let mut results = Vec::new();
    for (file, report) in reports {
        let findings = report.images.iter().filter(|finding| finding.level != Level::Pass);
        results.extend(findings.filter_map(|finding| result(file, finding)));
    }
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {
                "driver": {
                    "name": "Ingot",
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "informationUri": "https://github.com/ingot-build/ingot",
                    "rules": rules,
                },
            },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn id(status: Status) -> String {
    format!("ingot/{}-image", status.name())
}

fn result(file: &str, finding: &Finding) -> Option<Value> {
    let index = RULES.iter().position(|(status, ..)| *status == finding.status)?;
    let place = finding.place();
    let advice = finding.advice().map(|advice| format!(" {}.", capital(&advice)));
    let text = format!("{place}: {}.{}", finding.message, advice.unwrap_or_default());
    let mut print = sha256(format!("{place}\0{}", id(finding.status)));
    // 16 bytes are enough to tell findings apart.
    print.truncate(32);
    Some(json!({
        "ruleId": id(finding.status),
        "ruleIndex": index,
        "level": if finding.level == Level::Fail { "error" } else { "warning" },
        "message": { "text": text },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(file) },
                "region": { "startLine": 1 },
            },
            "logicalLocations": [{
                "name": finding.attribute,
                "fullyQualifiedName": place,
                "kind": "resource",
            }],
        }],
        "partialFingerprints": { "ingotPlace/v1": print },
        "properties": {
            "image": finding.image,
            "region": finding.region,
            "bucket": finding.bucket,
            "version": finding.version,
            "channel": finding.channel,
        },
    }))
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// A path as a URI reference.
fn uri(path: &str) -> String {
    let path = path.replace('\\', "/");
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    match path.starts_with('/') {
        true => format!("file://{uri}"),
        false => uri,
    }
}

//! What is accepted in a request: forms and limits.

use std::time::Duration;

use crate::api::limits::{ENFORCED_CONTENT, LABEL_KEY, LABEL_VALUE, LABELS};
use crate::api::*;
use crate::revocation_delay::revocation_delay;

use super::credentials::is_client_id;

/// How long a bucket's or a channel's name may be.
const NAME: usize = 64;
/// How long a fingerprint may be, which HCP says.
const FINGERPRINT: usize = 40;
/// How long other short texts may be, as a build's component or an image's id.
const TEXT: usize = 1024;
/// How long a bucket's description may be, which Packer checks, too.
const DESCRIPTION: usize = 255;
/// Characters that make what is around them be shown in another order, so that a name looks like
/// another one: Unicode's embeddings, overrides and isolates.
const REORDERING: [char; 9] = [
    '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}',
    '\u{2069}',
];
/// How many artifacts a build may have.
const ARTIFACTS: usize = 500;
/// How long a build's metadata may be as JSON.
const METADATA: usize = 128 * 1024;

/// A text of the caller's in a message: without what would make the message hard to read.
pub(super) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(NAME).filter(|char| !char.is_control()).collect();
    format!("{short:?}")
}

fn alphanumeric_ends(text: &str) -> bool {
    let end = |char: Option<char>| char.is_some_and(|char| char.is_ascii_alphanumeric());
    end(text.chars().next()) && end(text.chars().next_back())
}

fn word(what: &str, text: &str, most: usize) -> Result<()> {
    let allowed = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    if text.len() <= most && alphanumeric_ends(text) && text.chars().all(allowed) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{what} must be 1 to {most} letters, digits, `-`, `_` and `.`, \
         the first and the last a letter or digit"
    )))
}

/// A bucket's name.
pub(super) fn bucket_name(name: &str) -> Result<()> {
    word("a bucket's name", name, NAME)
}

/// A channel's name.
pub(super) fn channel_name(name: &str) -> Result<()> {
    // The path of this name assigns a channel's version to another.
    if name == "assign" {
        return Err(Error::invalid("a channel cannot be called assign"));
    }
    word("a channel's name", name, NAME)
}

/// The name of an SBOM, which HCP says.
pub(super) fn sbom_name(name: &str) -> Result<()> {
    let allowed = |char: char| char.is_ascii_alphanumeric() || "-_".contains(char);
    match (3..=36).contains(&name.len()) && name.chars().all(allowed) {
        true => Ok(()),
        false => {
            Err(Error::invalid("the name of an SBOM must be 3 to 36 letters, digits, `-` and `_`"))
        }
    }
}

/// The name of an enforced block.
pub(super) fn enforced_name(name: &str) -> Result<()> {
    word("an enforced block's name", name, NAME)
}

/// What a version of an enforced block is called.
pub(super) fn enforced_version(version: &str) -> Result<()> {
    word("an enforced block's version", version, NAME)
}

/// The content of a version of an enforced block.
pub(super) fn enforced_content(content: &str) -> Result<()> {
    if content.trim().is_empty() {
        return Err(Error::invalid("block_content must hold a provisioner block"));
    }
    text("block_content", content, ENFORCED_CONTENT)
}

/// A fingerprint.
pub(super) fn fingerprint(fingerprint: &str) -> Result<()> {
    word("a fingerprint", fingerprint, FINGERPRINT)
}

/// A service principal's name, which pages and the audit log show.
pub(super) fn principal_name(name: &str) -> Result<()> {
    shown_name("a principal", name)?;
    match is_client_id(name) {
        true => Err(Error::invalid(
            "a principal must not be called as a client id is: another may have it",
        )),
        false => Ok(()),
    }
}

/// A project's name, which is in the paths of its pages.
pub(super) fn project_name(name: &str) -> Result<()> {
    shown_name("a project", name)?;
    if name.contains(['/', '\\']) || matches!(name, "." | "..") {
        return Err(Error::invalid(
            "a project's name is in the paths of its pages: it must not hold `/` or `\\`, or be `.` or \
             `..`",
        ));
    }
    match uuid::Uuid::parse_str(name) {
        Ok(_) => Err(Error::invalid(
            "a project must not be called as a project's id is: another may have it",
        )),
        Err(_) => Ok(()),
    }
}

/// A name that people read, in a line.
fn shown_name(of: &str, name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::invalid(format!("{of} must have a name")));
    }
    if name.trim() != name {
        return Err(Error::invalid(format!("{of}'s name must not begin or end with white space")));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::invalid(format!("{of}'s name must not hold control characters")));
    }
    text(&format!("{of}'s name"), name, NAME)
}

/// A text that has no form: no longer than `most`, without control characters.
pub(super) fn text(what: &str, text: &str, most: usize) -> Result<()> {
    if text.len() > most {
        return Err(Error::invalid(format!("{what} must not be longer than {most} bytes")));
    }
    let control = |char: char| char.is_control() && !matches!(char, '\n' | '\r' | '\t');
    if text.chars().any(control) {
        return Err(Error::invalid(format!("{what} must not hold control characters")));
    }
    if text.contains(REORDERING) {
        return Err(Error::invalid(format!(
            "{what} must not hold characters that reorder others (bidirectional controls)"
        )));
    }
    Ok(())
}

/// What a bucket says of itself.
pub(super) fn description(description: &str) -> Result<()> {
    text("a description", description, DESCRIPTION)
}

/// Why a version is revoked.
pub(super) fn message(message: &str) -> Result<()> {
    text("a revocation's message", message, TEXT)
}

/// The fields that an `update_mask` names of those that `what` has, each once: every one is work in
/// the database.
pub(super) fn update_mask<T: Copy + PartialEq>(
    mask: &str,
    what: &str,
    known: &[(&str, T)],
) -> Result<Vec<T>> {
    let mut fields = Vec::new();
    for name in mask.split(',').map(str::trim) {
        let Some((_, field)) = known.iter().find(|(it, _)| *it == name) else {
            let names: Vec<&str> = known.iter().map(|(it, _)| *it).collect();
            let names = names.join(", ");
            return Err(Error::invalid(match name {
                "" => format!("update_mask must name what to change: {names}"),
                other => {
                    let other = quoted(other);
                    format!("update_mask names {other}, which {what} does not have; it has {names}")
                }
            }));
        };
        if fields.contains(field) {
            let name = quoted(name);
            return Err(Error::invalid(format!("update_mask names {name} more than once")));
        }
        fields.push(*field);
    }
    Ok(fields)
}

/// Labels.
pub(super) fn labels(labels: &Labels) -> Result<()> {
    let (count, key_length, value_length) = (LABELS, LABEL_KEY, LABEL_VALUE);
    if labels.len() > count {
        return Err(Error::invalid(format!("there must not be more than {count} labels")));
    }
    for (key, value) in labels {
        if key.is_empty() {
            return Err(Error::invalid("a label must have a key"));
        }
        text("a label's key", key, key_length)?;
        text("a label's value", value, value_length)?;
    }
    Ok(())
}

/// The source that made a build.
pub(super) fn component(component: &str) -> Result<()> {
    if component.is_empty() {
        return Err(Error::invalid("a build must have a component_type"));
    }
    text("a component_type", component, TEXT)
}

/// What a new build says of itself.
pub(super) fn new_build(body: &CreateBuildBody) -> Result<()> {
    component(&body.component_type)?;
    let (run, platform) = (&body.packer_run_uuid, &body.platform);
    build_texts(run, platform, &body.source_external_identifier)?;
    labels(&body.labels)?;
    artifacts(&body.artifacts)
}

fn build_texts(run: &str, platform: &str, source: &str) -> Result<()> {
    text("a packer_run_uuid", run, NAME)?;
    text("a platform", platform, NAME)?;
    text("a source_external_identifier", source, TEXT)
}

/// What a build made.
fn artifacts(artifacts: &[ArtifactCreateBody]) -> Result<()> {
    if artifacts.len() > ARTIFACTS {
        return Err(Error::invalid(format!(
            "a build must not have more than {ARTIFACTS} artifacts"
        )));
    }
    for artifact in artifacts {
        if artifact.external_identifier.is_empty() {
            return Err(Error::invalid("an artifact must have an external_identifier"));
        }
        text("an external_identifier", &artifact.external_identifier, TEXT)?;
        text("a region", &artifact.region, TEXT)?;
    }
    Ok(())
}

/// What a build says of itself.
pub(super) fn build(body: &UpdateBuildBody) -> Result<()> {
    let (run, platform) = (&body.packer_run_uuid, &body.platform);
    build_texts(run, platform, &body.source_external_identifier)?;
    labels(&body.labels)?;
    artifacts(&body.artifacts)?;
    let metadata = serde_json::to_string(&body.metadata).unwrap_or_default();
    if metadata.len() > METADATA || metadata.contains("\\u0000") {
        return Err(Error::invalid(format!(
            "a build's metadata must not be longer than {METADATA} bytes or hold zero characters"
        )));
    }
    if let Some(metadata) = &body.metadata {
        let parts =
            [("cicd", &metadata.cicd), ("packer", &metadata.packer), ("vcs", &metadata.vcs)];
        for (name, part) in parts {
            part.as_ref().map_or(Ok(()), JsonText::check).map_err(|error| {
                Error::invalid(format!(
                    "a build's metadata, {name}, is not JSON that fits: {error}"
                ))
            })?;
        }
    }
    Ok(())
}

/// When a revocation is to be.
pub(super) fn revoke_in(text: &str) -> Result<Duration> {
    revocation_delay(text).ok_or_else(|| {
        Error::invalid("revoke_in must be a duration as `30d` or `2h45m`; its units are s, m, h, d")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_that_cannot_be_read_says_why() {
        let refused = |text: &str| {
            let metadata = serde_json::from_str(text).expect("it is only skipped");
            let body = UpdateBuildBody { metadata: Some(metadata), ..UpdateBuildBody::default() };
            build(&body).expect_err("it is refused").message
        };
        let error = refused(r#"{"packer": {"a": 1e999}}"#);
        assert!(error.contains("packer") && error.contains("number out of range"), "{error}");
        let deep = format!(r#"{{"vcs": {}{}}}"#, "[".repeat(200), "]".repeat(200));
        let error = refused(&deep);
        assert!(error.contains("vcs") && error.contains("recursion limit"), "{error}");
    }

    #[test]
    fn names_that_people_read() {
        for name in ["web", "Web & Mobile", "größer", "a.b"] {
            project_name(name).unwrap_or_else(|error| panic!("{name}: {error}"));
            principal_name(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let long = "a".repeat(65);
        for name in ["", " ", " a", "a\n", "a\tb", "a\u{202e}b", &long] {
            assert!(project_name(name).is_err(), "{name:?}");
            assert!(principal_name(name).is_err(), "{name:?}");
        }
        for name in ["a/b", "a\\b", ".", ".."] {
            assert!(project_name(name).is_err(), "{name:?}");
        }
        assert!(project_name("6f3d6a1e-0000-4000-8000-000000000000").is_err());
        let id = format!("ingot-{}", "0123456789abcdef".repeat(2));
        assert!(principal_name(&id).is_err());
        assert!(principal_name("ingot-ci").is_ok());
    }

    #[test]
    fn names() {
        for name in ["a", "my-image_2.0", "9"] {
            assert!(bucket_name(name).is_ok(), "{name}");
        }
        for name in ["", "-a", "a-", "a/b", "a b", "<b>", "a'; DROP TABLE buckets; --", "é"] {
            assert!(bucket_name(name).is_err(), "{name}");
        }
        assert!(bucket_name(&"a".repeat(65)).is_err());
    }
}

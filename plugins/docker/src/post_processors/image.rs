//! The images that post-processors are given.

use ingot_sdk::{Artifact, Error, GeneratedData, Result};

use crate::artifact::{IMPORTED, TAGGED};

/// The names docker-tag gave an artifact.
pub(super) fn tags_of(artifact: &dyn Artifact) -> Vec<String> {
    artifact
        .state("docker_tags")
        .and_then(|tags| serde_json::from_value(tags).ok())
        .unwrap_or_default()
}

/// What the build learnt about an artifact.
pub(super) fn data_of(artifact: &dyn Artifact) -> GeneratedData {
    artifact
        .state("generated_data")
        .and_then(|data| serde_json::from_value(data).ok())
        .unwrap_or_default()
}

/// Makes sure that `artifact` is an image on an Engine.
pub(super) fn check_image(artifact: &dyn Artifact, name: &str) -> Result<()> {
    let kind = artifact.builder_id();
    if kind == IMPORTED || kind == TAGGED {
        return Ok(());
    }
    let error = Error::new(format!("Unknown artifact type: {kind}. {name} takes Docker images"));
    Err(error.hint(
        "they come from a docker source with commit = true, or from docker-import or docker-tag \
         before it",
    ))
}

/// The repository and tag in an image's name; `latest` where it has no tag.
pub(super) fn split_name(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::split_name;

    #[test]
    fn a_port_is_not_a_tag() {
        assert_eq!(split_name("a/b:1"), ("a/b", "1"));
        assert_eq!(split_name("host:5000/b"), ("host:5000/b", "latest"));
        assert_eq!(split_name("host:5000/b:2"), ("host:5000/b", "2"));
    }
}

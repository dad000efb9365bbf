//! docker-tag: gives an image names.

use std::sync::Arc;

use bollard::query_parameters::TagImageOptionsBuilder;
use ingot_sdk::{
    Artifact, Component, ConfigError, ConfigErrors, ConfigWarning, Decoded, Error, GeneratedData,
    PostProcess, PrepareContext, Prepared, Processed, Result, RunContext, async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{check_image, data_of, split_name};
use crate::artifact::{ImageArtifact, TAGGED};
use crate::engine::{Engine, EngineContext, check_docker_path};

/// The options of docker-tag.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct TagConfig {
    /// The name without its tag, such as `registry.example/team/app`.
    repository: Option<String>,
    /// The tags to give. Without any, `latest`.
    #[serde(default)]
    tags: Vec<String>,
    /// The older name of `tags`.
    #[serde(default)]
    tag: Vec<String>,
    /// Takes the name from another image. Engines always do.
    #[serde(default)]
    #[allow(dead_code)]
    force: bool,
    /// See the docker builder's option.
    docker_path: Option<String>,
}

/// `post-processor "docker-tag"`
#[derive(Default)]
pub struct DockerTag;

/// Gives an image names.
pub struct Tag {
    config: TagConfig,
    podman: bool,
}

impl Component for DockerTag {
    const NAME: &'static str = "docker-tag";
    type Options = TagConfig;
    type Ready = Tag;

    fn prepare(
        &self,
        Decoded { options: config, .. }: Decoded<'_, TagConfig>,
        _: &PrepareContext,
    ) -> Result<Prepared<Tag>, ConfigErrors> {
        let podman = check_docker_path(config.docker_path.as_deref())?;
        if config.repository.as_deref().unwrap_or_default().is_empty() {
            let error = ConfigError::new("`repository`, the image's new name, is missing");
            return Err(error.related(["repository"]).into());
        }
        let mut prepared = Prepared::default();
        if !config.tag.is_empty() {
            let message = "`tag` is the old name of `tags`; use `tags`";
            prepared.warnings.push(ConfigWarning::on("tag", message));
        }
        Ok(prepared.with(Tag { config, podman }))
    }
}

/// Whether an image's tag may be called so.
fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    bytes.len() <= 128
        && bytes.first().is_some_and(|&first| is_word(first))
        && bytes.iter().all(|&byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

#[async_trait]
impl PostProcess for Tag {
    async fn process(
        &self,
        ctx: &RunContext,
        artifact: Arc<dyn Artifact>,
        _: &GeneratedData,
    ) -> Result<Processed> {
        check_image(&*artifact, "docker-tag")?;
        let engine = Engine::connect(self.podman).await?;
        let repository = self.config.repository.clone().unwrap_or_default();
        let tags = self.config.tags.iter().chain(&self.config.tag);
        // Before the first is given: an image with several names is not removed by its id. `validate`
        // takes such a tag, as Packer's does.
        if let Some(wrong) = tags.clone().find(|tag| !tag.is_empty() && !is_tag(tag)) {
            return Err(Error::new(format!("{wrong:?} cannot be a tag")).hint(
                "a tag has up to 128 letters, digits, `_`, `.` and `-`, and begins with none of the last \
                 two: replace(var.branch, \"/\", \"-\")",
            ));
        }
        let tags: Vec<String> = tags.map(|tag| format!("{repository}:{tag}")).collect();
        let names = if tags.is_empty() { vec![repository] } else { tags.clone() };
        for name in &names {
            ctx.ui.message(format!("Tagging image: {}", artifact.id()));
            ctx.ui.message(format!("Repository: {name}"));
            let (repository, tag) = split_name(name);
            let options = TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
            let id = artifact.id();
            let tagged = engine.ask(engine.api.tag_image(&id, Some(options))).await;
            tagged.doing(format_args!("tagging {id} as {name}"))?;
        }
        let tagged = ImageArtifact {
            engine,
            builder_id: TAGGED,
            id: names.last().cloned().unwrap_or_default(),
            tags,
            size: artifact.size(),
            data: data_of(&*artifact),
            shared: false,
        };
        // A name on a removed image would be no use.
        Ok(Processed { artifact: Some(Arc::new(tagged)), keep_input: true, force_keep_input: true })
    }
}

#[cfg(test)]
mod tests {
    use super::is_tag;

    #[test]
    fn tags_are_what_the_engine_takes() {
        for tag in ["latest", "1.2", "_", "V1-x.y_z", "1"] {
            assert!(is_tag(tag), "{tag}");
        }
        let long = "1".repeat(129);
        for wrong in ["", "feature/x", "-1", ".1", "a b", "a:b", "ä", long.as_str()] {
            assert!(!is_tag(wrong), "{wrong}");
        }
    }
}

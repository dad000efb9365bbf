//! docker-push: sends an image to a registry.

use std::sync::Arc;

use bollard::query_parameters::PushImageOptionsBuilder;
use futures_util::StreamExt;
use ingot_sdk::{
    Artifact, Component, ConfigError, ConfigErrors, ConfigWarning, Decoded, Error, GeneratedData,
    PostProcess, PrepareContext, Prepared, Processed, Result, RunContext, async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{check_image, data_of, split_name, tags_of};
use crate::artifact::{IMPORTED, ImageArtifact};
use crate::credentials::{self, Login};
use crate::ecr::{Ecr, EcrConfig};
use crate::engine::{Engine, check_docker_path, describe};
use crate::platform;
use crate::progress::LayerProgress;

/// The options of docker-push.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct PushConfig {
    /// Whether `login_username` and `login_password` are used.
    #[serde(default)]
    login: bool,
    /// The user to log in as.
    login_username: Option<String>,
    /// The password to log in with.
    #[schemars(extend("sensitive" = true))]
    login_password: Option<String>,
    /// The registry to log in to; Docker Hub when empty.
    login_server: Option<String>,
    /// The platform to push, of an image for several. Needs an Engine of version 28 or newer.
    platform: Option<String>,
    /// Amazon ECR.
    #[serde(flatten)]
    ecr: EcrConfig,
    /// See the docker builder's option.
    docker_path: Option<String>,
}

/// `post-processor "docker-push"`
#[derive(Default)]
pub struct DockerPush {
    /// Logs in to ECR.
    pub(crate) ecr: Ecr,
}

/// Sends an image to a registry.
pub struct Push {
    config: PushConfig,
    podman: bool,
    ecr: Ecr,
}

impl Push {
    fn login(&self) -> Option<Login> {
        let text = |option: &Option<String>| option.clone().unwrap_or_default();
        self.config.login.then(|| Login {
            server: text(&self.config.login_server),
            username: text(&self.config.login_username),
            password: text(&self.config.login_password),
        })
    }

    /// Pushes under `name`; returns the digest that the image has in the registry, if the Engine says
    /// it.
    async fn push(
        &self,
        ctx: &RunContext,
        engine: &Engine,
        name: &str,
        login: Option<&Login>,
    ) -> Result<Option<String>> {
        ctx.ui.message(format!("Pushing: {name}"));
        let credentials = credentials::for_image(name, login, &ctx.ui).await?;
        let (repository, tag) = split_name(name);
        let mut options = PushImageOptionsBuilder::new().tag(tag);
        if let Some(platform) = self.config.platform.as_deref().and_then(platform::object) {
            options = options.platform(&platform.to_string());
        }
        let mut progress = LayerProgress::new(&ctx.ui, format!("Pushing {name}"));
        let mut pushed = None;
        let mut lines = engine.api.push_image(repository, Some(options.build()), credentials);
        while let Some(line) = lines.next().await {
            let line = line.map_err(|error| {
                Error::new(describe(&error)).context(format_args!("pushing {name}")).hint(
                    "check the name and the credentials: `docker login`, or login, \
                     login_server, login_username and login_password",
                )
            })?;
            match line.status.as_deref() {
                Some("Pushing") => progress.update(None, line.progress_detail.as_ref()),
                Some(text) => {
                    if let Some(digest) = digest_in(text) {
                        pushed = Some(digest.to_owned());
                        ctx.ui.message(text);
                    }
                }
                None => {}
            }
        }
        Ok(pushed)
    }
}

/// The digest in the line that ends a push, which is `TAG: digest: DIGEST size: BYTES`.
fn digest_in(line: &str) -> Option<&str> {
    let digest = line.split_once(": digest: ")?.1.split(' ').next()?;
    digest.starts_with("sha256:").then_some(digest)
}

impl Component for DockerPush {
    const NAME: &'static str = "docker-push";
    type Options = PushConfig;
    type Ready = Push;

    fn prepare(
        &self,
        Decoded { options: config, .. }: Decoded<'_, PushConfig>,
        _: &PrepareContext,
    ) -> Result<Prepared<Push>, ConfigErrors> {
        let podman = check_docker_path(config.docker_path.as_deref())?;
        if let Some(text) = config.platform.as_deref().filter(|text| !text.is_empty())
            && platform::object(text).is_none()
        {
            let message = format!("{text:?} is not a platform; write it as linux/arm64");
            return Err(ConfigError::on("platform", message).into());
        }
        let warning = self.ecr.check(&config.ecr, config.login_server.as_deref())?;
        let mut prepared = Prepared::default();
        prepared.warnings.extend(warning.map(|message| ConfigWarning::on("login_server", message)));
        Ok(prepared.with(Push { config, podman, ecr: self.ecr.clone() }))
    }
}

#[async_trait]
impl PostProcess for Push {
    async fn process(
        &self,
        ctx: &RunContext,
        artifact: Arc<dyn Artifact>,
        _: &GeneratedData,
    ) -> Result<Processed> {
        check_image(&*artifact, "docker-push")?;
        let id = artifact.id();
        if id.starts_with("sha256:") {
            return Err(Error::new(format!("the image {id} has no name to push it to")).hint(
                "put docker-tag and, after it, docker-push into one `post-processors` block: those \
                     that stand alone each get the image as it was built",
            ));
        }
        let tags = tags_of(&*artifact);
        let mut names = vec![id.clone()];
        names.extend(tags.iter().filter(|&tag| *tag != id).cloned());
        let work = async {
            let engine = Engine::connect(self.podman).await?;
            let server = self.config.login_server.as_deref();
            let login = self.ecr.login(&self.config.ecr, server, &ctx.ui).await?;
            let login = login.or_else(|| self.login());
            let mut pushed = None;
            for name in &names {
                let pushing = self.push(ctx, &engine, name, login.as_ref());
                let digest = engine.while_alive(pushing).await??;
                pushed = pushed.or(digest);
            }
            // The registry's name for the image, which others can pull it by. Engines with the image
            // store of containerd have such names also of what is in no registry, and of an image for
            // several platforms may have pushed only one.
            let repository = split_name(&id).0;
            let digest = match pushed {
                Some(digest) => Some(format!("{repository}@{digest}")),
                None => match engine.ask(engine.api.inspect_image(&id)).await {
                    Ok(image) => {
                        let mut digests = image.repo_digests.unwrap_or_default().into_iter();
                        digests.find(|digest| digest.split('@').next() == Some(repository))
                    }
                    Err(_) => None,
                },
            };
            Ok::<_, Error>((engine, digest))
        };
        let (engine, digest) = tokio::select! {
            biased;
            () = ctx.cancel.cancelled() => return Err(Error::Cancelled),
            done = work => done?,
        };
        let mut data = data_of(&*artifact);
        data.insert("Digest".to_owned(), json!(digest.unwrap_or_default()));
        let size = artifact.size();
        let pushed =
            ImageArtifact { engine, builder_id: IMPORTED, id, tags, size, data, shared: false };
        Ok(Processed {
            artifact: Some(Arc::new(pushed)),
            keep_input: true,
            force_keep_input: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::digest_in;

    #[test]
    fn the_last_line_of_a_push_has_the_digest() {
        let line = "1.0: digest: sha256:0123abc size: 610";
        assert_eq!(digest_in(line), Some("sha256:0123abc"));
        assert_eq!(digest_in("The push refers to repository [digest/x]"), None);
        assert_eq!(digest_in("x: digest: unknown size: 1"), None);
    }
}

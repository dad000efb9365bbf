//! The step that finds the image that a container starts from.

use bollard::models::ImageInspect;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;
use ingot_sdk::{Error, Result, RunContext, Step, async_trait};
use serde_json::{Value, json};

use crate::credentials;
use crate::ecr::Ecr;
use crate::engine::{describe, status};
use crate::platform;
use crate::progress::LayerProgress;
use crate::run_command::Pull;
use crate::state::State;
use crate::states::{BaseImage, is_a_state};
use crate::unfinished_name::is_ours;

/// Pulls the image, unless it must be there already, and looks at it. Logs in to ECR for that.
pub(crate) struct FindImage(pub Ecr);

/// Whether `image` names its contents, so that a copy that is here cannot be out of date.
fn is_pinned(image: &str) -> bool {
    image.starts_with("sha256:") || image.contains("@sha256:")
}

/// Whether an image is for a platform, whatever the variant of its architecture.
fn is_for(found: &ImageInspect, platform: &str) -> bool {
    let is = |has: &Option<String>, wanted: &Value| {
        has.as_deref().is_none_or(|has| has.is_empty() || wanted == has)
    };
    platform::object(platform).is_none_or(|wanted| {
        is(&found.os, &wanted["os"]) && is(&found.architecture, &wanted["architecture"])
    })
}

#[async_trait]
impl Step<State> for FindImage {
    fn name(&self) -> &'static str {
        "pull image"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let image = state.image.clone();
        let engine = state.engine.clone();
        let policy = state.options.pull;
        // There is nothing to pull by an id.
        let is_id = image.starts_with("sha256:");
        // run_command may say it, too; the docker client then pulls for it as well.
        let platform = state.run_command(ctx)?.platform;
        let mut inspected = None;
        if policy == Pull::Missing || policy == Pull::Always && is_pinned(&image) {
            inspected = engine.ask(engine.api.inspect_image(&image)).await.ok();
            if let Some(platform) = platform.as_deref().filter(|_| !is_id) {
                let found = engine.inspect_image_of(&image, platform).await;
                let is_for_it = found.is_ok_and(|found| is_for(&found, platform));
                inspected = inspected.filter(|_| is_for_it);
            }
        }
        if policy != Pull::Never && !is_id && inspected.is_none() {
            let raw = &state.options.raw;
            let login = self.0.login(&raw.ecr, raw.login_server.as_deref(), &ctx.ui).await?;
            state.options.login = login.or(state.options.login.take());
            let pulling = pull(ctx, state, &image, platform.as_deref());
            engine.while_alive(pulling).await??;
        }
        let inspected = match inspected {
            Some(inspected) => inspected,
            None => match engine.ask(engine.api.inspect_image(&image)).await {
                Ok(inspected) => inspected,
                Err(error) if status(&error) == Some(404) => {
                    return Err(Error::new(format!(
                        "there is no image {image} on the Docker Engine at {}",
                        engine.endpoint.host
                    ))
                    .hint(match is_id {
                        true => "an image is not pulled by its id: load it, or name it",
                        false => {
                            "build or load it, or `docker pull` it: nothing is pulled for a test, nor \
                             with `--pull=never` in run_command"
                        }
                    }));
                }
                Err(error) => {
                    return Err(Error::new(describe(&error))
                        .context(format_args!("looking at the image {image}")));
                }
            },
        };
        // A name of ours may be taken off at any time, by a build or `cache prune`.
        let is_theirs = |name: &&String| !is_ours(name) && !is_a_state(name);
        let tags = inspected.repo_tags.iter().flatten();
        state.image_name = tags.into_iter().find(is_theirs).cloned();
        // With the image store of containerd, every name has a digest.
        let digests = inspected.repo_digests.iter().flatten();
        let digest = digests.into_iter().find(is_theirs).cloned();
        let id = inspected.id.clone().unwrap_or_default();
        state.data.insert("SourceImageSha256".into(), json!(id));
        state.data.insert("SourceImageDigest".into(), json!(digest.unwrap_or_default()));
        let inspected = match &platform {
            // A platform that the image lacks is reported when the container is created.
            Some(platform) => engine.inspect_image_of(&image, platform).await.unwrap_or(inspected),
            None => inspected,
        };
        state.base = BaseImage::from(&inspected);
        let config = inspected.config.unwrap_or_default();
        state.image_entrypoint = config.entrypoint.unwrap_or_default();
        state.image_command = config.cmd.unwrap_or_default();
        state.image_user = config.user.unwrap_or_default();
        Ok(())
    }
}

async fn pull(ctx: &RunContext, state: &State, image: &str, platform: Option<&str>) -> Result<()> {
    ctx.ui.say(format!("Pulling Docker image: {image}"));
    let login = state.options.login.as_ref();
    let credentials = credentials::for_image(image, login, &ctx.ui).await?;
    let mut options = CreateImageOptionsBuilder::new().from_image(image);
    // Without a tag, the Engine would take all there are.
    let name = image.rsplit('/').next().unwrap_or(image);
    if !name.contains([':', '@']) {
        options = options.tag("latest");
    }
    if let Some(platform) = platform {
        options = options.platform(platform);
    }
    let hint = match state.options.pull {
        Pull::Missing => {
            "it is not on the Engine, and what is missing is pulled also with `pull = false`, as \
             `docker run` does: load it before the build; for a private registry, use `docker login` \
             or the login options"
        }
        Pull::Always | Pull::Never => {
            "set `pull = false` to use an image that is on the Engine already; for a private \
             registry, use `docker login` or the login options"
        }
    };
    let mut progress = LayerProgress::new(&ctx.ui, format!("Pulling {image}"));
    let mut lines = state.engine.api.create_image(Some(options.build()), None, credentials);
    while let Some(line) = lines.next().await {
        let line = line.map_err(|error| {
            Error::new(describe(&error)).context(format_args!("pulling {image}")).hint(hint)
        })?;
        match line.status.as_deref() {
            Some("Downloading") => {
                progress.update(line.id.as_deref(), line.progress_detail.as_ref());
            }
            // Lines that end a pull: its digest and whether anything was new.
            Some(text) if text.starts_with("Digest:") || text.starts_with("Status:") => {
                ctx.ui.message(text);
            }
            _ => {}
        }
    }
    Ok(())
}

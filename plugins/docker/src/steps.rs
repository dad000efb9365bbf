//! The steps of a docker build.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, ContainerCreateResponse, ImageInspect, Mount, MountType,
    MountVolumeOptions,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, RenameContainerOptionsBuilder,
};
use futures_util::StreamExt;
use ingot_sdk::communicator::NoCommunicator;
use ingot_sdk::output_file::CreatedDirectories;
use ingot_sdk::steps::Outcome;
use ingot_sdk::{
    Communicator, Context, Error, GeneratedData, JournalEntry, Provisioned, Provisioning, Result,
    RunContext, Snapshots, Step, async_trait,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::commit::Commit;
use crate::communicator::DockerCommunicator;
use crate::config::{Goal, Options};
use crate::credentials;
use crate::engine::{Engine, EngineContext, describe, status};
use crate::exec::Runner;
use crate::kept;
use crate::mounts::Mounts;
use crate::platform;
use crate::progress::LayerProgress;
use crate::reclaim::{container_resource, remove_container};
use crate::run_command::{Pull, RunCommand};
use crate::save::save_stream;
use crate::states::{self, BaseImage, ContainerStates, FoundState, MadeImage, is_a_state};
use crate::unfinished::{UnfinishedImage, is_ours};

/// How long tidying up may wait for the Engine.
pub(crate) const CLEANUP_TIMEOUT: Duration = Duration::from_secs(60);

/// What the steps share.
pub(crate) struct State {
    /// The Engine.
    pub engine: Engine,
    /// The options.
    pub options: Options,
    /// The image to start from: a name or an id.
    pub image: String,
    /// Values for `build.*`.
    pub data: GeneratedData,
    /// The committed image.
    pub image_id: Option<String>,
    /// How many bytes it takes.
    pub image_size: Option<u64>,
    /// The same, as long as it is not finished.
    pub unfinished: Option<UnfinishedImage>,
    /// The image to start from, as long as it is not finished.
    pub unfinished_base: Option<UnfinishedImage>,
    /// The directories created for the exported file.
    pub created: CreatedDirectories,
    /// The call that commits, while it is under way.
    pub commit: Option<JoinHandle<Result<String, bollard::errors::Error>>>,
    /// A name of the image to start from, if it has one.
    pub image_name: Option<String>,
    /// Its entry point, command and user.
    pub image_entrypoint: Vec<String>,
    pub image_command: Vec<String>,
    image_user: String,
    /// The container, once it is about to be created.
    pub container: Option<Container>,
    /// The image to start from, as its states know it.
    pub base: BaseImage,
    /// The state that the container is brought to before its provisioners.
    pub found: Option<FoundState>,
    /// The image of an earlier build that is used in the place of making it again: there is no
    /// container then.
    pub made: Option<MadeImage>,
    /// How far the provisioners are on it, and how states are kept.
    pub provisioning: Provisioning,
    states: Option<Arc<ContainerStates>>,
    communicator: Arc<dyn Communicator>,
}

/// The build's container. It is noted before it is created.
pub(crate) struct Container {
    /// The name we chose.
    pub name: String,
    /// The call that creates it, while it is under way.
    pub creating: Option<JoinHandle<Result<ContainerCreateResponse, bollard::errors::Error>>>,
    /// The id, once it exists.
    pub id: Option<String>,
    /// The user it runs as.
    pub user: String,
    /// By what names and ids it is in the journal.
    pub recorded: Vec<String>,
    /// Those records.
    pub records: Vec<JournalEntry>,
}

impl Container {
    /// Waits for the call that creates it, if that is under way.
    async fn created(&mut self) {
        if let Some(task) = self.creating.take()
            && let Ok(Ok(Ok(created))) = tokio::time::timeout(CLEANUP_TIMEOUT, task).await
        {
            self.id = Some(created.id);
        }
    }
}

impl State {
    /// The state before the first step.
    pub(crate) fn new(engine: Engine, options: Options, ctx: &RunContext) -> State {
        let image = options.raw.image.clone().unwrap_or_default();
        // The names of generated data, and the texts that stand for what is not known (yet),
        // are Packer's.
        let data = [
            ("ImageSha256", json!("ERR_IMAGE_SHA256_NOT_FOUND")),
            ("SourceImageDigest", json!("ERR_SOURCE_IMAGE_DIGEST_NOT_FOUND")),
            ("SourceImageSha256", json!("ERR_SOURCE_IMAGE_SHA256_NOT_FOUND")),
            ("ID", json!("ERR_ID_NOT_IMPLEMENTED_BY_BUILDER")),
            ("PackerRunUUID", json!(ctx.prepare.run_uuid)),
            ("PackerHTTPIP", json!("ERR_HTTP_IP_NOT_IMPLEMENTED_BY_BUILDER")),
            ("PackerHTTPPort", json!("ERR_HTTP_PORT_NOT_IMPLEMENTED_BY_BUILDER")),
            ("PackerHTTPAddr", json!("ERR_HTTP_ADDR_NOT_IMPLEMENTED_BY_BUILDER")),
            ("Host", json!("")),
            ("Port", json!(0)),
            ("User", json!("")),
            ("Password", json!("")),
            ("ConnType", json!(if options.connects { "docker" } else { "none" })),
            ("SSHPublicKey", json!("")),
            ("SSHPrivateKey", json!("")),
            ("SSHPrivateKeyFile", json!("")),
            ("SSHAgentAuth", json!(false)),
            ("WinRMPassword", json!("")),
        ];
        State {
            engine,
            options,
            image,
            data: data.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            image_id: None,
            image_size: None,
            unfinished: None,
            unfinished_base: None,
            created: CreatedDirectories::default(),
            commit: None,
            image_name: None,
            image_entrypoint: Vec::new(),
            image_command: Vec::new(),
            image_user: String::new(),
            base: BaseImage::default(),
            found: None,
            made: None,
            provisioning: Provisioning::default(),
            states: None,
            container: None,
            communicator: Arc::new(NoCommunicator),
        }
    }

    /// What the container is created with.
    ///
    /// # Errors
    /// An argument cannot be understood; the error names it.
    pub(crate) fn run_command(&self, ctx: &RunContext) -> Result<RunCommand> {
        let command = self.options.run_command(&self.image, &ctx.prepare);
        let mut command =
            command.map_err(|error| Error::from(ingot_sdk::ConfigErrors::from(error)))?;
        command.platform = platform::wanted(command.platform.as_deref(), self.options.podman);
        if Commit::leaves_nothing(self) {
            join_command(&mut command.body, &self.image_entrypoint, &self.image_command);
        }
        Ok(command)
    }

    /// The id of the container.
    ///
    /// # Errors
    /// It was not started.
    pub(crate) fn container_id(&self) -> Result<String> {
        self.container
            .as_ref()
            .and_then(|container| container.id.clone())
            .ok_or_else(|| Error::new("the container was not started"))
    }
}

/// Pulls the image, unless it must be there already, and looks at it.
pub(crate) struct FindImage;

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
        let policy = state.options.pull;
        // run_command may say it, too; the docker client then pulls for it as well.
        let platform = state.run_command(ctx)?.platform;
        let mut inspected = None;
        if policy == Pull::Missing || policy == Pull::Always && is_pinned(&image) {
            inspected = state.engine.api.inspect_image(&image).await.ok();
            // There is nothing to pull by an id.
            if let Some(platform) = platform.as_deref().filter(|_| !image.starts_with("sha256:")) {
                let found = state.engine.inspect_image_of(&image, platform).await;
                let is_for_it = found.is_ok_and(|found| is_for(&found, platform));
                inspected = inspected.filter(|_| is_for_it);
            }
        }
        if policy != Pull::Never && inspected.is_none() {
            pull(ctx, state, &image, platform.as_deref()).await?;
        }
        let inspected = match inspected {
            Some(inspected) => inspected,
            None => match state.engine.api.inspect_image(&image).await {
                Ok(inspected) => inspected,
                Err(error) if status(&error) == Some(404) => {
                    return Err(Error::new(format!(
                        "there is no image {image} on the Docker Engine at {}",
                        state.engine.endpoint.host
                    ))
                    .hint("`pull = false` forbids pulling it: remove that, or load the image"));
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
            // One that it does not have is told when the container is created.
            Some(platform) => {
                state.engine.inspect_image_of(&image, platform).await.unwrap_or(inspected)
            }
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
    let credentials = credentials::for_image(image, login).await?;
    let mut options = CreateImageOptionsBuilder::new().from_image(image);
    // Without a tag, the Engine would take all there are.
    let name = image.rsplit('/').next().unwrap_or(image);
    if !name.contains([':', '@']) {
        options = options.tag("latest");
    }
    if let Some(platform) = platform {
        options = options.platform(platform);
    }
    let mut progress = LayerProgress::new(&ctx.ui, format!("Pulling {image}"));
    let mut lines = state.engine.api.create_image(Some(options.build()), None, credentials);
    while let Some(line) = lines.next().await {
        let line = line.map_err(|error| {
            Error::new(describe(&error)).context(format_args!("pulling {image}")).hint(
                "set `pull = false` to use an image that is on the Engine already; for a \
                 private registry, use `docker login` or the login options",
            )
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

/// Creates the container and starts it.
pub(crate) struct RunContainer;

#[async_trait]
impl Step<State> for RunContainer {
    fn name(&self) -> &'static str {
        "start container"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        if state.made.is_some() {
            return Ok(());
        }
        let mut command = state.run_command(ctx)?;
        check_version(&command.body, &state.engine)?;
        if let Some(path) = command.id_file.as_deref().filter(|path| Path::new(path).exists()) {
            return Err(Error::new(format!("--cidfile: the file {path} exists already"))
                .hint("remove it, or name another one"));
        }
        mount_scratch(&mut command.body, &state.options.container_dir);
        ctx.ui.say("Starting docker container...");
        ctx.ui.message(format!("Run command: docker run {}", command.arguments.join(" ")));

        let name = format!("ingot-{}", uuid::Uuid::new_v4());
        let record = JournalEntry::open(&ctx.journal, &container_resource(&state.engine, &name))?;
        let user = command.user.clone().unwrap_or_else(|| state.image_user.clone());
        let container = state.container.insert(Container {
            recorded: vec![name.clone()],
            name,
            creating: None,
            id: None,
            user,
            records: vec![record],
        });

        let api = &state.engine.api;
        let mut options = CreateContainerOptionsBuilder::new().name(&container.name);
        if let Some(platform) = command.platform.as_deref() {
            options = options.platform(platform);
        }
        // The Engine creates it even when nobody waits any more. A task of its own keeps waiting
        // when the build is cancelled, so that cleanup does not come before the container.
        let task = {
            let (api, options, body) = (api.clone(), options.build(), command.body);
            tokio::spawn(async move { api.create_container(Some(options), body).await })
        };
        let created = container.creating.insert(task).await.context("creating the container")?;
        container.creating = None;
        let created = created.doing("creating the container")?;
        for warning in &created.warnings {
            ctx.ui.message(format!("Docker warns: {warning}"));
        }
        let id = created.id;
        container.id = Some(id.clone());
        if let Some(path) = &command.id_file {
            tokio::fs::write(path, &id)
                .await
                .with_context(|| format!("--cidfile: writing {path}"))?;
        }
        if let Some(wanted) = &command.name {
            // It gets the user's name only now that it is known to be ours, and is then known
            // by its id: a container of that name that was there before must not be removed.
            let resource = container_resource(&state.engine, &id);
            container.records.push(JournalEntry::open(&ctx.journal, &resource)?);
            container.recorded.push(id.clone());
            let options = RenameContainerOptionsBuilder::new().name(wanted).build();
            let renamed = api.rename_container(&container.name, options).await;
            renamed.doing(format_args!("naming the container {wanted}"))?;
        }
        api.start_container(&id, None).await.map_err(|error| {
            Error::new(describe(&error))
                .context("starting the container")
                .hint("run_command decides what it runs; the default needs /bin/sh in the image")
        })?;
        match states::restore_found(ctx, state, &id).await {
            Ok(()) => {}
            Err(error) if error.is_cancelled() => return Err(error),
            Err(error) => {
                // Nobody knows what is in it now.
                remove_container(&state.engine, &id).await?;
                let container = state.container.take();
                container.into_iter().flat_map(|one| one.records).for_each(JournalEntry::done);
                if let Some(path) = &command.id_file {
                    tokio::fs::remove_file(path)
                        .await
                        .with_context(|| format!("removing {path}"))?;
                }
                states::give_up(ctx, state, &error);
                return self.run(ctx, state).await;
            }
        }
        state.data.insert("ID".into(), json!(id));
        ctx.ui.message(format!("Container ID: {id}"));
        Ok(())
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut State, _: Outcome) {
        if let Some(states) = state.states.take() {
            states.settle(ctx).await;
        }
        let Some(mut container) = state.container.take() else { return };
        container.created().await;
        let id = container.id.as_deref().unwrap_or(&container.name);
        if container.id.is_some() {
            ctx.ui.say(format!("Killing the container: {id}"));
        }
        let removed =
            tokio::time::timeout(CLEANUP_TIMEOUT, remove_container(&state.engine, id)).await;
        match removed {
            Ok(Ok(())) => container.records.into_iter().for_each(JournalEntry::done),
            // The records stay: the next run will try again.
            Ok(Err(error)) => ctx.ui.error(format!("The container may be left over: {error}")),
            Err(_) => ctx.ui.error(format!("The container {id} may be left over: no answer")),
        }
    }

    async fn leave(&self, ctx: &RunContext, state: &mut State) {
        // The container stays; a state of it that is not whole does not.
        if let Some(states) = state.states.take() {
            states.settle(ctx).await;
        }
        if let Some(container) = &mut state.container {
            container.created().await;
        }
        kept::keep(ctx, state);
    }
}

/// Makes what the container runs its entry point alone, which comes to the same while it runs.
fn join_command(body: &mut ContainerCreateBody, entrypoint: &[String], command: &[String]) {
    let given = body.entrypoint.take();
    let command = match (&mut body.cmd, &given) {
        (Some(command), _) => std::mem::take(command),
        (None, Some(_)) => Vec::new(),
        (None, None) => command.to_vec(),
    };
    let mut all = given.unwrap_or_else(|| entrypoint.to_vec());
    // An empty program stands for none.
    all.retain(|word| !word.is_empty());
    all.extend(command);
    body.entrypoint = Some(all);
    body.cmd = None;
}

/// Refuses what the Engine is too old for and would leave out in silence. The versions are those of
/// the Engine API's version history.
fn check_version(body: &ContainerCreateBody, engine: &Engine) -> Result<()> {
    let host = body.host_config.as_ref();
    let networking = body.networking_config.as_ref();
    let endpoints = networking.and_then(|networking| networking.endpoints_config.as_ref());
    let endpoints: Vec<_> = endpoints.into_iter().flatten().map(|(_, one)| one).collect();
    let mounts: Vec<_> = host.and_then(|host| host.mounts.as_ref()).into_iter().flatten().collect();
    let health = body.healthcheck.as_ref();
    let subpath = |mount: &&Mount| {
        mount.volume_options.as_ref().is_some_and(|options| options.subpath.is_some())
    };
    let needs = [
        ("--annotation", 43, host.is_some_and(|host| host.annotations.is_some())),
        ("--mac-address", 44, endpoints.iter().any(|one| one.mac_address.is_some())),
        ("more than one --network", 44, endpoints.len() > 1),
        ("--health-start-interval", 44, health.is_some_and(|one| one.start_interval.is_some())),
        ("--mount volume-subpath", 45, mounts.iter().any(subpath)),
        ("--mount type=image", 48, mounts.iter().any(|one| one.typ == Some(MountType::IMAGE))),
        ("--network gw-priority", 48, endpoints.iter().any(|one| one.gw_priority.is_some())),
    ];
    let has = engine.api.client_version();
    match needs.iter().find(|(_, minor, asked)| *asked && !engine.has_api(*minor)) {
        None => Ok(()),
        Some((what, minor, _)) => Err(Error::new(format!(
            "run_command: {what} needs an Engine with API 1.{minor}; the one at {} has {has}",
            engine.endpoint.host
        ))),
    }
}

/// Mounts an empty volume where Packer mounts a directory of the host. What is written there stays
/// out of the image, whose only trace of it is the empty mount point, as with Packer.
fn mount_scratch(body: &mut ContainerCreateBody, directory: &str) {
    let host = body.host_config.get_or_insert_default();
    let taken = host.binds.iter().flatten().any(|bind| bind.split(':').nth(1) == Some(directory))
        || host.tmpfs.iter().any(|mounts| mounts.contains_key(directory));
    if taken {
        return;
    }
    host.mounts.get_or_insert_default().push(Mount {
        target: Some(directory.to_owned()),
        typ: Some(MountType::VOLUME),
        volume_options: Some(MountVolumeOptions { no_copy: Some(true), ..Default::default() }),
        ..Default::default()
    });
}

/// Opens the way into the container.
pub(crate) struct Connect;

#[async_trait]
impl Step<State> for Connect {
    fn name(&self) -> &'static str {
        "connect"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        if !state.options.connects || state.made.is_some() {
            return Ok(());
        }
        let id = state.container_id()?;
        let user = state.container.as_ref().map(|container| container.user.clone());
        let user = user.filter(|user| !user.is_empty()).unwrap_or_else(|| "root".to_owned());
        ctx.ui.say(format!("Using docker communicator to connect: {}", &id[..id.len().min(12)]));
        let exec_user = state.options.raw.exec_user.clone().filter(|user| !user.is_empty());
        let runner = Runner::new(state.engine.clone(), id.clone());
        state.communicator = Arc::new(DockerCommunicator {
            mounts: Mounts::of(&runner).await?,
            runner: runner.clone(),
            exec_user,
            pty: state.options.raw.pty,
            user,
            gives: state.options.raw.fix_upload_owner,
            ui: ctx.ui.clone(),
        });
        if let Some(pause) = state.options.raw.pause_before_connecting
            && !pause.0.is_zero()
        {
            ctx.ui.say(format!("Pausing {pause} before connecting..."));
            tokio::time::sleep(pause.0).await;
        }
        if state.provisioning.keys.is_empty() {
            return Ok(());
        }
        let (engine, scratch) = (&state.engine, &state.options.container_dir);
        match ContainerStates::new(engine, &runner, &state.base, scratch).await {
            Ok(states) => {
                let states = state.states.insert(Arc::new(states));
                let snapshots = Arc::clone(states) as Arc<dyn Snapshots>;
                state.provisioning.snapshots = Some(snapshots);
            }
            Err(why) => ctx.ui.say(format!("No state of the container is kept: {why}")),
        }
        Ok(())
    }
}

#[async_trait]
impl Provisioned for State {
    fn communicator(&self) -> Option<Arc<dyn Communicator>> {
        Some(Arc::clone(&self.communicator))
    }

    fn data(&self) -> GeneratedData {
        self.data.clone()
    }

    fn provisioning(&self) -> Provisioning {
        self.provisioning.clone()
    }
}

/// Writes the container's file system to a tar file.
pub(crate) struct Export;

#[async_trait]
impl Step<State> for Export {
    fn name(&self) -> &'static str {
        "export container"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let id = state.container_id()?;
        let Goal::Export(path) = &state.options.goal else { return Ok(()) };
        ctx.ui.say("Exporting the container");
        let path = Path::new(path);
        let label = format!("Exporting to {}", path.display());
        let stream = state.engine.api.export_container(&id);
        state.created = save_stream(ctx, &label, stream, path).await?;
        Ok(())
    }
}

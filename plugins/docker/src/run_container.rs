//! The step that starts the container.

use std::path::Path;

use bollard::models::{ContainerCreateBody, Mount, MountType, MountVolumeOptions};
use bollard::query_parameters::{CreateContainerOptionsBuilder, RenameContainerOptionsBuilder};
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Context, Error, JournalEntry, Result, RunContext, Step, async_trait};
use serde_json::json;

use crate::engine::{Engine, EngineContext, describe};
use crate::reclaim::{container_resource, remove_container, still_coming};
use crate::resume;
use crate::state::{Container, State};
use crate::states;

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
        // Until the Engine has answered, that it is not there does not say that it never will be: this
        // process may end at once.
        let resource = still_coming(container_resource(&state.engine, &name));
        let record = JournalEntry::open(&ctx.journal, &resource)?;
        let user = command.user.clone().unwrap_or_else(|| state.image_user.clone());
        let container = state.container.insert(Container {
            recorded: vec![name.clone()],
            name,
            creating: None,
            id: None,
            user,
            records: vec![record],
            unanswered: true,
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
        let created = state.engine.while_alive(container.creating.insert(task)).await?;
        container.creating = None;
        let created = created.context("creating the container")?;
        container.note_response(&state.engine, &created);
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
            let renamed = api.rename_container(&container.name, options);
            let renamed = state.engine.ask(renamed).await;
            renamed.doing(format_args!("naming the container {wanted}"))?;
        }
        state.engine.while_alive(api.start_container(&id, None)).await?.map_err(|error| {
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
        container.created(&state.engine).await;
        let id = container.id.as_deref().unwrap_or(&container.name);
        if container.id.is_some() {
            ctx.ui.say(format!("Killing the container: {id}"));
        }
        let patience = state.engine.patience.cleanup;
        let removed = tokio::time::timeout(patience, remove_container(&state.engine, id)).await;
        match removed {
            Ok(Ok(false)) if container.unanswered => ctx.ui.error(format!(
                "The container {id} may be left over: the Engine may still be creating it. \
                 `ingot cleanup` removes it once it is there."
            )),
            Ok(Ok(_)) => container.records.into_iter().for_each(JournalEntry::done),
            // The records stay: `ingot cleanup` tries again, and on this machine the next run.
            Ok(Err(error)) => ctx.ui.error(format!("The container may be left over: {error}")),
            Err(_) => ctx.ui.error(format!("The container {id} may be left over: no response")),
        }
    }

    async fn leave(&self, ctx: &RunContext, state: &mut State) {
        // The container stays; a state of it that is not whole does not.
        if let Some(states) = state.states.take() {
            states.settle(ctx).await;
        }
        if let Some(container) = &mut state.container {
            container.created(&state.engine).await;
        }
        resume::keep(ctx, state);
    }
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use ingot_sdk::Reclaim;
    use ingot_test_support::{BASE, docker, require};

    use super::*;
    use crate::config::Options;
    use crate::reclaim::DockerReclaim;
    use crate::test_engine::{Hold, Records, TestEngine, recorded};

    /// A build that is about to start a container of the base image.
    async fn begin(test: &TestEngine, ctx: &RunContext) -> State {
        let mut engine = test.connect().await;
        engine.patience.cleanup = Duration::from_millis(100);
        let arguments = ["-d", "--entrypoint=/bin/sh", "--", BASE];
        let options = Options {
            run_arguments: arguments.map(str::to_owned).to_vec(),
            container_dir: "/packer-files".to_owned(),
            ..Options::default()
        };
        State::new(engine, options, ctx)
    }

    /// Runs the step until the call that creates the container is held up.
    async fn run_until_held(test: &TestEngine, ctx: &RunContext, state: &mut State) {
        test.hold(Hold::Calls("/containers/create?"));
        tokio::select! {
            ran = RunContainer.run(ctx, state) => panic!("it was not held up: {ran:?}"),
            () = test.held() => {}
        }
    }

    /// What is left stays on record until the container, with which the Engine goes on, is there.
    async fn comes_and_is_reclaimed(test: &TestEngine, records: &Records, engine: &Engine) {
        let [left] = &records.open()[..] else { panic!("{:?}", records.open()) };
        // That it is not there is not the end of it.
        let kept = DockerReclaim.reclaim(left).await.unwrap_err();
        assert_eq!(kept.to_string(), "the Engine may still be creating it");

        // The Engine goes on with it.
        test.hold(Hold::Nothing);
        let deadline = Instant::now() + Duration::from_secs(30);
        while engine.api.inspect_container(&left.id, None).await.is_err() {
            assert!(Instant::now() < deadline, "there is no {}", left.id);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        DockerReclaim.reclaim(left).await.unwrap();
        assert!(engine.api.inspect_container(&left.id, None).await.is_err());
    }

    #[tokio::test]
    async fn a_container_that_comes_after_its_build_is_left_to_the_next_run() {
        require!(docker());
        let test = require!(TestEngine::start().await);
        let (ctx, said, records) = recorded();
        let mut state = begin(&test, &ctx).await;
        run_until_held(&test, &ctx, &mut state).await;
        RunContainer.cleanup(&ctx, &mut state, Outcome::Failed).await;
        let lines = said.lines();
        assert!(lines.iter().any(|line| line.contains("may be left over")), "{lines:?}");
        comes_and_is_reclaimed(&test, &records, &state.engine).await;
    }

    /// As with a second Ctrl-C, or `kill -9`: nobody cleans up.
    #[tokio::test]
    async fn a_container_that_comes_after_its_process_is_left_to_the_next_run() {
        require!(docker());
        let test = require!(TestEngine::start().await);
        let (ctx, _, records) = recorded();
        let mut state = begin(&test, &ctx).await;
        run_until_held(&test, &ctx, &mut state).await;
        comes_and_is_reclaimed(&test, &records, &state.engine).await;
    }

    #[tokio::test]
    async fn a_container_that_was_created_and_is_gone_is_not_waited_for() {
        require!(docker());
        let test = require!(TestEngine::start().await);
        let (ctx, _, records) = recorded();
        let mut state = begin(&test, &ctx).await;
        RunContainer.run(&ctx, &mut state).await.unwrap();
        let [left] = &records.open()[..] else { panic!("{:?}", records.open()) };
        DockerReclaim.reclaim(left).await.unwrap();
        DockerReclaim.reclaim(left).await.unwrap();
        RunContainer.cleanup(&ctx, &mut state, Outcome::Failed).await;
        assert!(records.open().is_empty(), "{:?}", records.open());
    }
}

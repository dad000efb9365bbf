//! The steps of a docker build that connect and export.

use std::path::Path;
use std::sync::Arc;

use ingot_sdk::{Result, RunContext, Snapshots, Step, async_trait};

use crate::communicator::DockerCommunicator;
use crate::config::Goal;
use crate::exec::Runner;
use crate::mounts::Mounts;
use crate::save::save_stream;
use crate::state::State;
use crate::states::ContainerStates;

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
        state.created = state.engine.while_alive(save_stream(ctx, &label, stream, path)).await??;
        Ok(())
    }
}

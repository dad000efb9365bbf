//! What the container is created with.

use bollard::models::ContainerCreateBody;
use ingot_sdk::{Error, Result, RunContext};

use crate::commit::Commit;
use crate::platform;
use crate::proxy;
use crate::run_command::RunCommand;
use crate::state::State;

impl State {
    /// What the container is created with.
    ///
    /// # Errors
    /// An argument cannot be understood; the error names it. Or the docker client's configuration
    /// cannot be read.
    pub(crate) fn run_command(&self, ctx: &RunContext) -> Result<RunCommand> {
        let command = self.options.run_command(&self.image, &ctx.prepare);
        let mut command =
            command.map_err(|error| Error::from(ingot_sdk::ConfigErrors::from(error)))?;
        command.platform = platform::requested(command.platform.as_deref(), self.options.podman);
        let proxies = proxy::variables(&self.engine.endpoint.host, self.options.podman)?;
        proxy::add_to(&mut command.body.env, proxies);
        if Commit::leaves_nothing(self) {
            join_command(&mut command.body, &self.image_entrypoint, &self.image_command);
        }
        Ok(command)
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

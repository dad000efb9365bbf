//! The `null` builder: provisions a machine that is already there, or none at all.

use std::path::PathBuf;
use std::sync::Arc;

use ingot_sdk::communicator::NoCommunicator;
use ingot_sdk::{
    Artifact, Builder, Communicator, Config, ConfigError, ConfigErrors, GeneratedData, PluginSet,
    PrepareContext, Prepared, Result, RunContext, Schema, async_trait,
};
use ingot_ssh::{Communication, SshConfig, Target};
use schemars::JsonSchema;
use serde::Deserialize;

/// Adds this crate's plugins.
pub fn register(set: &mut PluginSet) {
    set.builder::<NullBuilder>("null");
}

/// The options of `source "null"`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
struct Options {
    #[serde(flatten)]
    ssh: SshConfig,
}

/// Provisions without building.
struct NullBuilder {
    communication: Communication,
}

impl Default for NullBuilder {
    fn default() -> Self {
        NullBuilder { communication: Communication::None }
    }
}

#[async_trait]
impl Builder for NullBuilder {
    fn schema(&self) -> Schema {
        Schema::of::<Options>()
    }

    fn prepare(&mut self, config: &Config, _: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        let ssh = config.decode::<Options>()?.ssh;
        let mut errors = ConfigErrors::default();
        match ssh.prepare() {
            Ok(communication) => self.communication = communication,
            Err(found) => errors = found,
        }
        if ssh.is_ssh() {
            check_login(config, &mut errors);
        }
        errors.into_result(Prepared::default())
    }

    async fn run(&self, ctx: &RunContext) -> Result<Option<Arc<dyn Artifact>>> {
        let (communicator, target): (Arc<dyn Communicator>, _) = match &self.communication {
            Communication::None => (Arc::new(NoCommunicator), None),
            Communication::Ssh(settings) => {
                let host = settings.host.clone().unwrap_or_default();
                let target = Target { host, port: None, key_pair: None };
                (settings.connect(ctx, &target).await?, Some(target))
            }
        };
        let mut data = self.communication.generated_data(target.as_ref());
        data.insert("ID".to_owned(), "Null".into());
        data.insert("PackerRunUUID".to_owned(), ctx.prepare.run_uuid.as_str().into());
        if let Err(error) = ctx.provision(communicator.clone(), data.clone()).await {
            ctx.hook.cleanup_provision(ctx, communicator, data).await?;
            return Err(error);
        }
        Ok(Some(Arc::new(NullArtifact { data })))
    }
}

/// What a machine that is already there needs beyond the communicator's own rules.
fn check_login(config: &Config, errors: &mut ConfigErrors) {
    let given = |option: &str| match config.get(option) {
        Some(value) => value.as_str().is_none_or(|text| !text.is_empty()),
        None => false,
    };
    if !given("ssh_host") {
        errors.push(
            ConfigError::new("`ssh_host` is missing: the machine to provision")
                .hint("set ssh_host, or communicator = \"none\" for shell-local alone"),
        );
    }
    let agent = config.get("ssh_agent_auth").and_then(|flag| flag.as_bool()) == Some(true);
    let ways = [("ssh_password", given("ssh_password")), ("ssh_agent_auth", agent)];
    let ways = ways.into_iter().chain([("ssh_private_key_file", given("ssh_private_key_file"))]);
    let ways: Vec<&str> = ways.filter(|(_, given)| *given).map(|(option, _)| option).collect();
    match ways.as_slice() {
        [] => errors.push(
            ConfigError::new("there is no way to log in")
                .hint("set ssh_password, ssh_private_key_file or ssh_agent_auth"),
        ),
        [_] => {}
        [.., last] => errors.push(
            ConfigError::on(*last, format!("only one of {} can be used", ways.join(" and ")))
                .hint("keep one of them"),
        ),
    }
}

/// What `null` makes: nothing, but post-processors may follow.
struct NullArtifact {
    data: GeneratedData,
}

#[async_trait]
impl Artifact for NullArtifact {
    fn builder_id(&self) -> &str {
        "fnoeding.null"
    }

    fn id(&self) -> String {
        "Null".into()
    }

    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    fn description(&self) -> String {
        "Did not export anything. This is the null builder".into()
    }

    fn state(&self, name: &str) -> Option<serde_json::Value> {
        (name == "generated_data").then(|| serde_json::json!(self.data))
    }

    async fn destroy(&self) -> Result<()> {
        Ok(())
    }
}

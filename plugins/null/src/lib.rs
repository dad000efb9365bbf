//! The `null` builder: provisions a machine that is already there, or none at all.
//!
//! Knows the SDK and the communicators; knows nothing of other builders.

use std::path::PathBuf;
use std::sync::Arc;

use ingot_communicator::{Communication, CommunicatorConfig, Target};
use ingot_sdk::{
    Artifact, Build, Communicator, Component, Config, ConfigError, ConfigErrors, Decoded, Facts,
    GeneratedData, PluginSet, PrepareContext, Prepared, ProvisionStep, Provisioned, RegistryImage,
    Result, RunContext, Step, async_trait, run_steps,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Adds this crate's plugins.
pub fn register(set: &mut PluginSet) {
    set.add_builder(NullBuilder);
}

/// The options of `source "null"`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
struct Options {
    #[serde(flatten)]
    communicator: CommunicatorConfig,
}

/// `source "null"`
struct NullBuilder;

/// Provisions without building.
struct Null {
    communication: Communication,
}

impl Component for NullBuilder {
    const NAME: &'static str = "null";
    type Options = Options;
    type Ready = Null;

    fn facts(&self) -> Facts {
        Facts { has_machine: false, ..Facts::default() }
    }

    fn prepare(
        &self,
        Decoded { options, config }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<Null>, ConfigErrors> {
        let options = options.communicator;
        let (mut prepared, mut errors) = (Prepared::default(), ConfigErrors::default());
        let communication = options.prepare_with(&mut prepared.warnings, &mut errors);
        match options.kind() {
            "ssh" => check_ssh(config, &mut errors),
            "winrm" => check_winrm(config, &mut errors),
            _ => {}
        }
        prepared.with(Null { communication }).or_errors(errors)
    }
}

#[async_trait]
impl Build for Null {
    async fn build(&self, ctx: &RunContext) -> Result<Option<Arc<dyn Artifact>>> {
        let connect = Connect(self.communication.clone());
        let steps: [Box<dyn Step<State>>; 2] = [Box::new(connect), Box::new(ProvisionStep)];
        let mut state = State::default();
        run_steps(ctx, &steps, &mut state).await?;
        Ok(Some(Arc::new(NullArtifact { data: state.data })))
    }
}

/// What the steps share.
#[derive(Default)]
struct State {
    /// The way to the machine, once there is one.
    communicator: Option<Arc<dyn Communicator>>,
    data: GeneratedData,
}

#[async_trait]
impl Provisioned for State {
    fn communicator(&self) -> Option<Arc<dyn Communicator>> {
        self.communicator.clone()
    }

    fn data(&self) -> GeneratedData {
        self.data.clone()
    }
}

/// Connects to the machine.
struct Connect(Communication);

#[async_trait]
impl Step<State> for Connect {
    fn name(&self) -> &'static str {
        "connect"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let host = self.0.host().unwrap_or_default().to_owned();
        let target = Target { host, ..Target::default() };
        state.communicator = Some(self.0.connect(ctx, &target).await?);
        state.data = self.0.generated_data(Some(&target));
        state.data.insert("ID".to_owned(), "Null".into());
        state.data.insert("PackerRunUUID".to_owned(), ctx.prepare.run_uuid.as_str().into());
        Ok(())
    }
}

/// Whether the template sets `option` to more than nothing.
fn given(config: &Config, option: &str) -> bool {
    match config.get(option) {
        Some(value) => value.as_str().is_none_or(|text| !text.is_empty()),
        None => false,
    }
}

/// A machine that is already there has a name.
fn check_host(config: &Config, option: &'static str, errors: &mut ConfigErrors) {
    if !given(config, option) {
        errors.push(
            ConfigError::new(format!("`{option}` is missing: the machine to provision"))
                .related([option, "communicator"])
                .hint(format!("set {option}, or communicator = \"none\" for shell-local alone")),
        );
    }
}

/// What WinRM needs beyond the communicator's own rules.
fn check_winrm(config: &Config, errors: &mut ConfigErrors) {
    check_host(config, "winrm_host", errors);
    if !given(config, "winrm_password") {
        errors.push(
            ConfigError::new("there is no way to log in")
                .related(["winrm_password", "communicator"])
                .hint("set winrm_password; a sensitive variable keeps it out of the template"),
        );
    }
}

/// The options that decide whether and how there is a way to log in by SSH.
const WAYS: [&str; 4] = ["ssh_password", "ssh_agent_auth", "ssh_private_key_file", "communicator"];

/// What SSH needs beyond the communicator's own rules.
fn check_ssh(config: &Config, errors: &mut ConfigErrors) {
    check_host(config, "ssh_host", errors);
    let given = |option| given(config, option);
    let agent = config.get("ssh_agent_auth").and_then(|flag| flag.as_bool()) == Some(true);
    let ways = [("ssh_password", given("ssh_password")), ("ssh_agent_auth", agent)];
    let ways = ways.into_iter().chain([("ssh_private_key_file", given("ssh_private_key_file"))]);
    let ways: Vec<&str> = ways.filter(|(_, given)| *given).map(|(option, _)| option).collect();
    match ways.as_slice() {
        [] => errors.push(
            ConfigError::new("there is no way to log in")
                .related(WAYS)
                .hint("set ssh_password, ssh_private_key_file or ssh_agent_auth"),
        ),
        [_] => {}
        [.., last] => errors.push(
            ConfigError::on(*last, format!("only one of {} can be used", ways.join(" and ")))
                .related(WAYS)
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

    /// Nothing, under a name: Packer's facts.
    fn images(&self) -> Vec<RegistryImage> {
        vec![RegistryImage {
            provider: "null".into(),
            region: "null".into(),
            id: self.id(),
            source_id: Some("null".into()),
            labels: Default::default(),
        }]
    }

    async fn destroy(&self) -> Result<()> {
        Ok(())
    }
}

//! The `null` builder: provisions a machine that is already there, or none at all.

use std::path::PathBuf;
use std::sync::Arc;

use ingot_sdk::{
    Artifact, Builder, Config, ConfigError, ConfigErrors, GeneratedData, PluginSet, PrepareContext,
    Prepared, Result, RunContext, Schema, async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;

mod communicator;

pub use communicator::NoCommunicator;

/// Adds this crate's plugins.
pub fn register(set: &mut PluginSet) {
    set.builder::<NullBuilder>("null");
}

/// The options of `source "null"`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "known to the schema until the ssh communicator reads them")]
struct Options {
    /// How to talk to the machine. Only `none` is supported so far.
    communicator: Option<String>,
    /// The machine to provision.
    ssh_host: Option<String>,
    /// The port of its SSH server.
    ssh_port: Option<u16>,
    /// Who to log in as.
    ssh_username: Option<String>,
    /// The password to log in with.
    #[schemars(extend("sensitive" = true))]
    ssh_password: Option<String>,
    /// The private key to log in with.
    ssh_private_key_file: Option<String>,
    /// How long to wait for SSH.
    ssh_timeout: Option<String>,
}

/// Provisions without building.
#[derive(Default)]
struct NullBuilder;

#[async_trait]
impl Builder for NullBuilder {
    fn schema(&self) -> Schema {
        Schema::of::<Options>()
    }

    fn prepare(&mut self, config: &Config, _: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        let options: Options = config.decode()?;
        let communicator = options.communicator.as_deref().unwrap_or("ssh");
        if communicator == "none" {
            return Ok(Prepared::default());
        }
        let error = match communicator {
            "ssh" | "winrm" => {
                ConfigError::on("communicator", format!("`{communicator}` is not supported yet"))
                    .hint("set communicator = \"none\"; shell-local then does the work")
            }
            other => ConfigError::on("communicator", format!("there is no communicator `{other}`"))
                .hint("communicators are none, ssh and winrm"),
        };
        Err(error.into())
    }

    async fn run(&self, ctx: &RunContext) -> Result<Option<Arc<dyn Artifact>>> {
        let data = GeneratedData::from([
            ("ID".to_owned(), "Null".into()),
            ("ConnType".to_owned(), "none".into()),
            ("PackerRunUUID".to_owned(), ctx.prepare.run_uuid.as_str().into()),
        ]);
        let communicator = Arc::new(NoCommunicator);
        if let Err(error) = ctx.provision(communicator.clone(), data.clone()).await {
            ctx.hook.cleanup_provision(ctx, communicator, data).await?;
            return Err(error);
        }
        Ok(Some(Arc::new(NullArtifact { data })))
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

//! `ingot registry run-task`: the settings with which Terraform has its plans checked by a registry
//! server.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use super::output;
use super::serve::DatabaseArgs;
use ingot_registry::api::{Result, RunTaskBehaviour, UpdateRunTaskConfigBody};
use ingot_registry::store::RunTaskKey;

/// Reads what the run task does about an image.
fn behaviour() -> impl TypedValueParser<Value = RunTaskBehaviour> {
    PossibleValuesParser::new(["fail", "warn"]).map(|text| match text.as_str() {
        "fail" => RunTaskBehaviour::Fail,
        _ => RunTaskBehaviour::Warn,
    })
}

#[derive(Debug, Subcommand)]
pub(super) enum RunTaskCommand {
    /// Print the path of the run task's URL and its HMAC key
    Show(RunTaskTarget),
    /// Replace the HMAC key of the run task and print the new one; the old one is refused from then on
    Rotate(RunTaskTarget),
    /// Set what the run task does about images that are not revoked
    Set {
        /// What to do about images that the registry does not know
        #[arg(long, value_parser = behaviour(), value_name = "WHAT")]
        untracked: Option<RunTaskBehaviour>,
        /// What to do about outdated images
        #[arg(long, value_parser = behaviour(), value_name = "WHAT")]
        outdated: Option<RunTaskBehaviour>,
        #[command(flatten)]
        which: RunTaskTarget,
    },
}

/// Whose run task.
#[derive(Debug, Args)]
pub(super) struct RunTaskTarget {
    /// The project; the first one unless it is given
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn run(command: &RunTaskCommand) -> Result<()> {
    match command {
        RunTaskCommand::Show(which) => show(&key(which, false, &Default::default()).await?),
        RunTaskCommand::Rotate(which) => show(&key(which, true, &Default::default()).await?),
        RunTaskCommand::Set { untracked, outdated, which } => {
            let change = UpdateRunTaskConfigBody {
                on_untracked_image: untracked.unwrap_or_default(),
                on_outdated_image: outdated.unwrap_or_default(),
            };
            let key = key(which, false, &change).await?;
            output::line(format!("untracked {}", key.config.on_untracked_image));
            output::line(format!("outdated {}", key.config.on_outdated_image));
        }
    }
    Ok(())
}

async fn key(
    which: &RunTaskTarget,
    rotate: bool,
    change: &UpdateRunTaskConfigBody,
) -> Result<RunTaskKey> {
    let administration = which.database.administration().await?;
    administration.run_task(which.project.as_deref(), rotate, change).await
}

fn show(key: &RunTaskKey) {
    output::line(format!("path /run-tasks/{}", key.api_id));
    output::line(format!("hmac_key {}", key.hmac_key));
}

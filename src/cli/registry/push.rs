//! `ingot registry push`: what could not be published when it was built.

use clap::Args;
use ingot_sdk::{Error, Result};

use super::Form;
use super::output::{json, line, moment, table};
use crate::cli::args::go_bool;
use crate::registry::Connected;
use crate::registry::publish::queue::{self, Pushed, Waiting};

#[derive(Debug, Args)]
pub(super) struct PushArgs {
    /// Only list what waits
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set, value_parser = go_bool)]
    list: bool,
    #[command(flatten)]
    form: Form,
}

pub(super) async fn run(
    args: &PushArgs,
    connected: impl Future<Output = Result<Connected>>,
) -> Result<()> {
    let Waiting { found: waiting, broken } = queue::list()?;
    for (path, why) in &broken {
        line(format!("Warning: {} is skipped: {why}", path.display()));
    }
    if args.list {
        if args.form.json {
            return json(&waiting.iter().map(|(_, queued)| queued).collect::<Vec<_>>());
        }
        let rows = waiting.iter().map(|(path, queued)| {
            [
                queued.bucket.name.clone(),
                queued.fingerprint.clone(),
                queued.component.clone(),
                queued.address.clone(),
                moment(queued.queued_at),
                path.display().to_string(),
            ]
        });
        table(["BUCKET", "FINGERPRINT", "BUILD", "REGISTRY", "SINCE", "FILE"], rows.collect());
        return Ok(());
    }
    if waiting.is_empty() {
        line("Nothing waits to be published.");
        return Ok(());
    }
    let connected = connected.await?;
    let mut failed = 0;
    for (path, queued) in waiting {
        let what = format!("{} of {}/{}", queued.component, queued.bucket.name, queued.fingerprint);
        match queued.push(&connected).await {
            Ok(Pushed::Done { version_id, unassigned }) => {
                let removed = std::fs::remove_file(&path);
                // It will be told again, which is no mistake.
                if let Err(error) = removed {
                    line(format!("Warning: {} could not be removed: {error}", path.display()));
                }
                let name = &connected.name;
                let bucket = &queued.bucket.name;
                line(format!(
                    "{}: Published metadata to {name} registry \
                     packer/{bucket}/versions/{version_id}",
                    queued.component
                ));
                for (channel, error) in unassigned {
                    failed += 1;
                    line(format!("{what}: not assigned to channel `{channel}`: {error}"));
                }
            }
            Ok(Pushed::OtherRegistry) => {
                line(format!("{what} waits for another registry: {}", queued.address));
            }
            Err(error) => {
                failed += 1;
                line(format!("{what}: {error} (it stays in {})", path.display()));
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(Error::new("not everything could be published")),
    }
}

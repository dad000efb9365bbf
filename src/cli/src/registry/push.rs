//! `ingot registry push`: what could not be published when it was built.

use std::path::{Path, PathBuf};

use clap::Args;
use ingot_publish::queue::{self, Pushed, Queued, Waiting};
use ingot_sdk::{Context, Error, Result};
use serde_json::json;

use super::form::Form;
use super::output::{self, line, moment, table};
use ingot_registry::Connected;

#[derive(Debug, Args)]
pub(super) struct PushArgs {
    /// Only list what is to be published
    #[arg(long)]
    list: bool,
    /// Do not publish this build: its id in the list, or the beginning of it; can be given again
    #[arg(long, value_name = "ID", conflicts_with = "list")]
    drop: Vec<String>,
    #[command(flatten)]
    form: Form,
}

pub(super) async fn run(
    args: &PushArgs,
    connected: impl Future<Output = Result<Connected>>,
) -> Result<()> {
    let Waiting { found: waiting, broken } = queue::list()?;
    if !args.drop.is_empty() {
        let broken = broken.iter().map(|(path, _)| (path, None));
        let all = waiting.iter().map(|(path, queued)| (path, Some(queued))).chain(broken);
        return give_up(&args.drop, &all.collect::<Vec<_>>());
    }
    for (path, why) in &broken {
        line(format!("Warning: {} is skipped: {why}", path.display()));
    }
    if args.list {
        return list(&waiting, args.form);
    }
    if waiting.is_empty() && broken.is_empty() {
        line("Nothing waits to be published.");
        return Ok(());
    }
    if waiting.is_empty() {
        return Err(Error::new("the queue of unpublished builds cannot be read")
            .hint("`ingot registry push -drop=ID` gives it up; its file's name is the id"));
    }
    let connected = connected.await?;
    let mut complete = broken.is_empty();
    for (path, queued) in waiting {
        complete &= push(&path, &queued, &connected).await;
    }
    queue::remove_orphans();
    match complete {
        true => Ok(()),
        false => Err(Error::new("not everything could be published")),
    }
}

fn what(queued: &Queued) -> String {
    format!("{} of {}/{}", queued.component, queued.bucket.name, queued.fingerprint)
}

fn list(waiting: &[(PathBuf, Queued)], form: Form) -> Result<()> {
    if form.json {
        let items = waiting.iter().map(|(path, queued)| {
            let mut item = json!(queued);
            item["id"] = queue::id(path).into();
            item["file"] = path.display().to_string().into();
            item
        });
        return output::json(&items.collect::<Vec<_>>());
    }
    let rows = waiting.iter().map(|(path, queued)| {
        [
            queue::id(path),
            queued.bucket.name.clone(),
            queued.fingerprint.clone(),
            queued.component.clone(),
            queued.address.clone(),
            moment(queued.queued_at),
            queued.reason.clone(),
        ]
    });
    table(["ID", "BUCKET", "FINGERPRINT", "BUILD", "REGISTRY", "SINCE", "REASON"], rows.collect());
    Ok(())
}

/// Removes entries, all or none.
fn give_up(ids: &[String], waiting: &[(&PathBuf, Option<&Queued>)]) -> Result<()> {
    let mut dropped = Vec::new();
    for id in ids {
        let mut of_id = waiting.iter().filter(|(path, _)| queue::id(path) == *id);
        let mut starting = waiting.iter().filter(|(path, _)| queue::id(path).starts_with(id));
        let found = match (of_id.next(), starting.next(), starting.next()) {
            (Some(found), _, _) | (None, Some(found), None) => found,
            (None, None, _) => {
                return Err(Error::new(format!("no unpublished build is called {id}"))
                    .hint("ingot registry push -list shows what waits"));
            }
            (None, Some(_), Some(_)) => {
                return Err(Error::new(format!("several unpublished builds begin with {id}"))
                    .hint("ingot registry push -list shows what waits"));
            }
        };
        dropped.push(found);
    }
    for (path, queued) in dropped {
        queue::remove(path).with_context(|| format!("removing {}", path.display()))?;
        let shown = queued.map_or_else(|| path.display().to_string(), what);
        line(format!("Gave up {shown}; what was built is still there."));
    }
    Ok(())
}

/// Publishes one; whether it all went well.
async fn push(path: &Path, queued: &Queued, connected: &Connected) -> bool {
    let shown = what(queued);
    match queued.push(connected).await {
        Ok(Pushed::Done { version_id, warnings, channels }) => {
            // It will be published again, which changes nothing.
            if let Err(error) = queue::remove(path) {
                line(format!("Warning: {} could not be removed: {error}", path.display()));
            }
            let (name, bucket) = (&connected.name, &queued.bucket.name);
            line(format!(
                "{}: Published metadata to {name} registry packer/{bucket}/versions/{version_id}",
                queued.component
            ));
            for warning in warnings {
                line(format!("Warning: {shown}: {warning}"));
            }
            for channel in channels.assigned {
                line(format!("{shown}: assigned to channel `{channel}`"));
            }
            for (channel, why) in channels.skipped {
                line(format!("{shown}: the channel `{channel}` is left as it is: {why}"));
            }
            for (channel, error) in &channels.failed {
                line(format!("{shown}: not assigned to channel `{channel}`: {error}"));
            }
            channels.failed.is_empty()
        }
        Ok(Pushed::OtherRegistry) => {
            let (address, project) = (&queued.address, &queued.location.project_id);
            let at = match project.is_empty() {
                true => String::new(),
                false => format!(", project {project}"),
            };
            line(format!(
                "{shown} waits for another registry: {address}{at} \
                 (`ingot registry push -drop={}` gives it up)",
                queue::id(path)
            ));
            false
        }
        Ok(Pushed::Refused(error)) => {
            line(format!(
                "{shown} cannot be published: {error} (`ingot registry push -drop={}` gives it up)",
                queue::id(path)
            ));
            false
        }
        Err(error) => {
            line(format!("{shown}: {error} (it stays in {})", path.display()));
            false
        }
    }
}

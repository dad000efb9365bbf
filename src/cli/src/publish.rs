//! What `ingot build` does to publish what it makes.

use std::sync::Arc;

use ingot_engine::Project;
use ingot_family::promoted_channel;
use ingot_publish::{CommandOptions, Plan, Publication};
use ingot_sdk::{Error, Result, Ui};
use ingot_template::variables::VariableFlag;
use tokio::runtime::Runtime;

use super::args::BuildArgs;
use super::interrupts::Listening;
use ingot_registry::connect;

pub(super) use ingot_publish::{check, check_artifacts, plan};

/// Opens the version that `plan` names, and says so; none if there was nothing left to build. Reports
/// errors itself, with the builds that the version lacks where it is open.
pub(super) fn open(
    plan: Plan,
    args: &BuildArgs,
    project: &Project,
    runtime: &Runtime,
    listening: &Listening,
    ui: &Ui,
) -> Result<Option<Publication>> {
    let options = command_options(args);
    let masking = ui.clone();
    let opening = async {
        let registry = connect(Arc::new(move |secret: &str| masking.mask(secret))).await?;
        // Packer's words.
        ui.say(format!(
            "Tracking build on {} with fingerprint {:?}",
            registry.name, plan.fingerprint
        ));
        if let Some(warning) = registry.warning() {
            ui.error(format!("Warning: {warning}"));
        }
        Publication::open(registry, plan, &options, project.plugins.clone(), ui).await
    };
    let cancel = &listening.interrupts.cancel;
    let opened = runtime.block_on(async {
        let mut opened = tokio::select! {
            // A version that is open by then is reported.
            biased;
            opened = opening => opened?,
            () = cancel.cancelled() => return Err(Error::Cancelled),
        };
        if let Some(publication) = &mut opened {
            let begun = tokio::select! {
                begun = publication.begin(args.skip_enforcement) => begun,
                () = cancel.cancelled() => Err(Error::Cancelled),
            };
            if let Err(error) = begun {
                listening.wait_until_reported();
                publication.report_known_missing(ui);
                return Err(error);
            }
        }
        Ok(opened)
    });
    if let Err(error) = &opened {
        listening.wait_until_reported();
        let text = format!("Nothing is built, since it could not be published: {error}");
        ui.failure(text, error);
    }
    opened
}

/// The options that are published; of variables, only the names.
fn command_options(args: &BuildArgs) -> CommandOptions {
    let list = |patterns: &[String]| {
        let parts = patterns.iter().flat_map(|list| list.split(','));
        parts.map(str::to_owned).collect()
    };
    let mut options = CommandOptions {
        debug: args.debug,
        force: args.force,
        only: list(&args.selection.only),
        except: list(&args.selection.except),
        path: args.template.display().to_string(),
        skip_enforcement: args.skip_enforcement,
        promote: promoted_channel(),
        ..CommandOptions::default()
    };
    for flag in &args.variables.0 {
        match flag {
            VariableFlag::Value(text) => {
                let name = text.split_once('=').map_or(text.as_str(), |(name, _)| name);
                options.vars.push(name.to_owned());
            }
            VariableFlag::File(path) => options.var_files.push(path.display().to_string()),
        }
    }
    options.vars.sort();
    options.vars.dedup();
    options
}

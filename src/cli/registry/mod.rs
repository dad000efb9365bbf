//! `ingot registry`: one file per noun.

mod admin;
mod serve;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use tracing_subscriber::filter::LevelFilter;

use crate::registry::api;
use crate::ui::Redactor;

#[derive(Debug, Args)]
pub(super) struct RegistryArgs {
    #[command(subcommand)]
    command: RegistryCommand,
}

#[derive(Debug, Subcommand)]
enum RegistryCommand {
    /// Serve a registry to other machines
    Serve(serve::ServeArgs),
    /// Who may use a registry that is served
    #[command(visible_alias = "principals", subcommand)]
    Principal(admin::PrincipalCommand),
    /// The projects of a registry that is served
    #[command(visible_alias = "projects", subcommand)]
    Project(admin::ProjectCommand),
    /// Who is told what happens in a registry that is served
    #[command(visible_alias = "webhooks", subcommand)]
    Webhook(admin::WebhookCommand),
    /// Show who changed what in a registry that is served
    Audit(admin::AuditArgs),
}

/// Runs a command: 0 if it did what it should, 1 if not.
pub(super) fn run(args: &RegistryArgs) -> ExitCode {
    let serves = matches!(args.command, RegistryCommand::Serve(_));
    let redactor = Arc::new(Redactor::default());
    super::logging::start_or(Arc::clone(&redactor), serves.then_some(LevelFilter::WARN));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(&args.command)),
        Err(error) => Err(api::Error::new(api::Code::Unknown, error.to_string())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(command: &RegistryCommand) -> api::Result<()> {
    match command {
        RegistryCommand::Serve(args) => serve::run(args).await,
        RegistryCommand::Principal(command) => admin::principal(command).await,
        RegistryCommand::Project(command) => admin::project(command).await,
        RegistryCommand::Webhook(command) => admin::webhook(command).await,
        RegistryCommand::Audit(args) => admin::audit(args).await,
    }
}

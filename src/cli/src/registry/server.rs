//! The commands of a registry that is served.

use clap::Subcommand;
use ingot_sdk::{Error, Result};

use super::{admin, backup, run_task, serve, sign_in_link};

/// Commands that work on the database of a registry that is served.
#[derive(Debug, Subcommand)]
pub(super) enum ServerCommand {
    /// Serve a registry to other machines
    Serve(serve::ServeArgs),
    /// Manage the principals of a registry server: who may use it
    #[command(visible_alias = "principals", subcommand)]
    Principal(admin::PrincipalCommand),
    /// Manage the projects of a registry server
    #[command(visible_alias = "projects", subcommand)]
    Project(admin::ProjectCommand),
    /// Manage the webhooks of a registry server
    #[command(visible_alias = "webhooks", subcommand)]
    Webhook(admin::WebhookCommand),
    /// Create a link that signs in to the web pages of a registry server, once
    SignInLink(sign_in_link::SignInLinkArgs),
    /// Manage the Terraform run task of a registry server
    #[command(visible_alias = "run-tasks", subcommand)]
    RunTask(run_task::RunTaskCommand),
    /// Show the audit log of a registry server: who changed what
    Audit(admin::AuditArgs),
    /// Back up the database of a registry server, while it runs
    Backup(backup::BackupArgs),
    /// Restore a backup into the empty database of a registry
    RestoreBackup(backup::BackupArgs),
}

impl ServerCommand {
    /// Whether it goes on until it is stopped.
    pub(super) fn serves(&self) -> bool {
        matches!(self, ServerCommand::Serve(_))
    }
}

/// The commands that work on the database of a registry that is served.
pub(super) async fn run(command: &ServerCommand) -> Result<()> {
    let done = match command {
        ServerCommand::Serve(args) => serve::run(args).await,
        ServerCommand::Principal(command) => admin::principal(command).await,
        ServerCommand::Project(command) => admin::project(command).await,
        ServerCommand::Webhook(command) => admin::webhook(command).await,
        ServerCommand::SignInLink(args) => sign_in_link::run(args).await,
        ServerCommand::RunTask(command) => run_task::run(command).await,
        ServerCommand::Audit(args) => admin::audit(args).await,
        ServerCommand::Backup(args) => backup::back_up(args).await,
        ServerCommand::RestoreBackup(args) => backup::restore(args).await,
    };
    done.map_err(Error::from)
}

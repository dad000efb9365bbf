//! The subcommands.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use ingot_hcl::{Diagnostic, Diagnostics, SourceMap};
use ingot_registry::connect;
use ingot_sdk::{Error, Result};
use tracing_subscriber::filter::LevelFilter;

use super::session::Session;
use super::{
    admin, ancestry, artifact, backup, bucket, channel, check, enforced_block, push, revoke,
    run_task, sbom, serve, sign_in_link, version,
};
use crate::engine::signals;
use crate::ui::Redactor;

#[derive(Debug, Args)]
pub(crate) struct RegistryArgs {
    #[command(subcommand)]
    command: RegistryCommand,
}

#[derive(Debug, Subcommand)]
enum RegistryCommand {
    #[command(flatten)]
    Use(UseCommand),
    /// Publish what could not be published when it was built
    Push(push::PushArgs),
    /// Check the images of Terraform plans: 0 if all may be applied, 2 if one must not be
    Check(check::CheckArgs),
    #[command(flatten)]
    Server(ServerCommand),
}

/// Commands that use the registry that the environment names.
#[derive(Debug, Subcommand)]
enum UseCommand {
    /// Images that are built again and again
    #[command(visible_alias = "bucket", subcommand)]
    Buckets(bucket::BucketCommand),
    /// What a run of a template built
    #[command(visible_alias = "version", subcommand)]
    Versions(version::VersionCommand),
    /// Names for the versions that are to be used
    #[command(visible_alias = "channel", subcommand)]
    Channels(channel::ChannelCommand),
    /// The images of a version
    #[command(visible_alias = "artifact", subcommand)]
    Artifacts(artifact::ArtifactCommand),
    /// What is in the images of a version: software bills of materials
    #[command(visible_alias = "sbom", subcommand)]
    Sboms(sbom::SbomCommand),
    /// Provisioners that are run in each build of the buckets they are linked to
    #[command(visible_alias = "enforced-block", subcommand)]
    EnforcedBlocks(enforced_block::EnforcedBlockCommand),
    /// Say that a version is not to be used any more
    Revoke(revoke::RevokeArgs),
    /// Make a revoked version valid again
    Restore(revoke::RestoreArgs),
    /// Show what was built from what
    Ancestry(ancestry::AncestryArgs),
}

/// Commands that work on the database of a registry that is served.
#[derive(Debug, Subcommand)]
enum ServerCommand {
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
    /// Make a link that signs in to the web pages of a registry that is served, once
    SignInLink(sign_in_link::SignInLinkArgs),
    /// The run task for Terraform of a registry that is served
    #[command(visible_alias = "run-tasks", subcommand)]
    RunTask(run_task::RunTaskCommand),
    /// Show who changed what in a registry that is served
    Audit(admin::AuditArgs),
    /// Back up the database of a registry that is served, while it is
    Backup(backup::BackupArgs),
    /// Fill the empty database of a registry from a backup
    RestoreBackup(backup::BackupArgs),
}

/// How to answer.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Form {
    /// Answer in JSON
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set, value_parser = crate::cli::args::go_bool)]
    pub(super) json: bool,
}

/// Runs a command: 0 if it did what it should, 1 if not; a check that fails says 2.
pub(crate) fn run(args: &RegistryArgs) -> ExitCode {
    let redactor = Arc::new(Redactor::default());
    let serves = matches!(args.command, RegistryCommand::Server(ServerCommand::Serve(_)));
    crate::cli::logging::start_or(Arc::clone(&redactor), serves.then_some(LevelFilter::WARN));
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if !serves {
        runtime.worker_threads(1);
    }
    let result = match runtime.enable_all().build() {
        Ok(runtime) => {
            let result = runtime.block_on(async {
                tokio::select! {
                    // A server ends in its own way.
                    _ = signals::requested(), if !serves => Err(Error::Cancelled),
                    result = dispatch(&args.command, &redactor) => result,
                }
            });
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(Error::new(format!("cannot start: {error}"))),
    };
    let error = match result {
        Ok(code) => return code,
        Err(error) => error,
    };
    let mut diagnostics = Diagnostics::default();
    let diagnostic = Diagnostic::error(error.to_string());
    diagnostics.push(match error.advice() {
        Some(advice) => diagnostic.help(advice),
        None => diagnostic,
    });
    let color = std::io::stderr().is_terminal();
    crate::cli::show(&diagnostics, &SourceMap::default(), &redactor, color);
    ExitCode::FAILURE
}

async fn dispatch(command: &RegistryCommand, redactor: &Arc<Redactor>) -> Result<ExitCode> {
    let redactor = Arc::clone(redactor);
    let connected = connect(Arc::new(move |secret: &str| redactor.add(secret)));
    match command {
        RegistryCommand::Server(command) => serve(command).await?,
        // What waits can be listed without a registry.
        RegistryCommand::Push(args) => push::run(args, connected).await?,
        RegistryCommand::Check(args) => {
            let plans = check::read(args)?;
            return check::run(args, plans, &Session { connected: connected.await? }).await;
        }
        RegistryCommand::Use(command) => {
            use_registry(command, &Session { connected: connected.await? }).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The commands that use the registry that the environment names.
async fn use_registry(command: &UseCommand, session: &Session) -> Result<()> {
    match command {
        UseCommand::Buckets(command) => bucket::run(command, session).await,
        UseCommand::Versions(command) => version::run(command, session).await,
        UseCommand::Channels(command) => channel::run(command, session).await,
        UseCommand::Artifacts(command) => artifact::run(command, session).await,
        UseCommand::Sboms(command) => sbom::run(command, session).await,
        UseCommand::EnforcedBlocks(command) => enforced_block::run(command, session).await,
        UseCommand::Revoke(args) => revoke::revoke(args, session).await,
        UseCommand::Restore(args) => revoke::restore(args, session).await,
        UseCommand::Ancestry(args) => ancestry::run(args, session).await,
    }
}

/// The commands that work on the database of a registry that is served.
pub(super) async fn serve(command: &ServerCommand) -> Result<()> {
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
    done.map_err(|error| Error::new(error.message))
}

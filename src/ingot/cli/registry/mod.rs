//! `ingot registry`: one file per noun.

mod admin;
mod ancestry;
mod artifact;
mod backup;
mod bucket;
mod channel;
mod check;
mod enforced_block;
mod output;
mod push;
mod revoke;
mod run_task;
mod sbom;
mod serve;
mod sign_in_link;
mod version;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use ingot_sdk::{Error, Result};
use tracing_subscriber::filter::LevelFilter;

use crate::engine::signals;
use crate::ui::Redactor;
use ingot_hcl::{Diagnostic, Diagnostics, SourceMap};
use ingot_registry::api::{self, Code, Labels, Version};
use ingot_registry::client::Registry;
use ingot_registry::{Connected, all_pages, connect};

#[derive(Debug, Args)]
pub(super) struct RegistryArgs {
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

/// Labels to set: `-label name=value`, any number of times.
#[derive(Debug, Clone, Args)]
struct SetLabels {
    /// Set a label: -label 'name=value'
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
}

/// Labels to change.
#[derive(Debug, Clone, Args)]
struct ChangeLabels {
    #[command(flatten)]
    set: SetLabels,
    /// Remove a label
    #[arg(long = "remove-label", value_name = "NAME")]
    remove: Vec<String>,
}

impl SetLabels {
    fn labels(&self) -> Labels {
        self.labels.iter().cloned().collect()
    }
}

impl ChangeLabels {
    /// `labels`, changed.
    fn apply(&self, mut labels: Labels) -> Labels {
        labels.retain(|name, _| !self.remove.contains(name));
        labels.extend(self.set.labels());
        labels
    }

    fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.labels.is_empty()
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".into()),
    }
}

/// How to answer.
#[derive(Debug, Clone, Copy, Args)]
struct Form {
    /// Answer in JSON
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set, value_parser = super::args::go_bool)]
    json: bool,
}

/// Runs a command: 0 if it did what it should, 1 if not; a check that fails says 2.
pub(super) fn run(args: &RegistryArgs) -> ExitCode {
    let redactor = Arc::new(Redactor::default());
    let serves = matches!(args.command, RegistryCommand::Server(ServerCommand::Serve(_)));
    super::logging::start_or(Arc::clone(&redactor), serves.then_some(LevelFilter::WARN));
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
    super::show(&diagnostics, &SourceMap::default(), &redactor, color);
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
async fn serve(command: &ServerCommand) -> Result<()> {
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

/// What commands work with.
struct Session {
    connected: Connected,
}

impl Session {
    fn registry(&self) -> &dyn Registry {
        &*self.connected.registry
    }

    /// The version that a user means: by its fingerprint, its name (`v3`) or its id.
    async fn version(&self, bucket: &str, text: &str) -> Result<Version> {
        let registry = self.registry();
        match registry.get_version(bucket, text).await {
            Err(error) if is_absent(&error) => {}
            result => return result.map_err(told),
        }
        let versions = self.versions(bucket).await?;
        let found = versions.iter().find(|version| version.name == text || version.id == text);
        let none = || {
            let known: Vec<&str> = versions.iter().map(|version| version.name.as_str()).collect();
            let error = Error::new(format!("the bucket {bucket} has no version {text}"));
            match known.is_empty() {
                true => error.hint("it has no versions"),
                false => error.hint(format!(
                    "a version is its name, fingerprint or id; there are {}",
                    known.join(", ")
                )),
            }
        };
        let fingerprint = &found.ok_or_else(none)?.fingerprint;
        registry.get_version(bucket, fingerprint).await.map_err(told)
    }

    /// All versions of a bucket, newest first.
    async fn versions(&self, bucket: &str) -> Result<Vec<Version>> {
        let registry = self.registry();
        let ask = |page| async move { registry.list_versions(bucket, &page).await };
        all_pages(ask).await.map_err(told)
    }

    /// All buckets, by name.
    async fn buckets(&self) -> Result<Vec<api::Bucket>> {
        let registry = self.registry();
        let ask = |page| async move { registry.list_buckets(&page).await };
        all_pages(ask).await.map_err(told)
    }
}

/// Whether a registry says that something is not there; HCP says so of versions in a way of its
/// own.
fn is_absent(error: &api::Error) -> bool {
    matches!(error.code, Code::NotFound | Code::Aborted)
}

/// A registry's error, for people.
fn told(error: api::Error) -> Error {
    let advice = match error.code {
        _ if error.advice.is_some() => error.advice.unwrap_or_default(),
        Code::Unauthenticated => "check HCP_CLIENT_ID and HCP_CLIENT_SECRET",
        Code::PermissionDenied => "the service principal's role does not allow it",
        _ => return Error::new(error.message),
    };
    Error::new(error.message).hint(advice)
}

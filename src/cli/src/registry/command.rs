//! The subcommands.

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use ingot_engine::signals::or_cancelled;
use ingot_registry::http::Mask;
use ingot_registry::{connect, connect_to_existing};
use ingot_sdk::Result;
use ingot_ui::Redactor;
use tracing_subscriber::filter::LevelFilter;

#[cfg(feature = "registry-server")]
use super::server;
use super::session::Session;
use super::{
    ancestry, artifact, bucket, channel, check, enforced_block, export, import, login, push,
    revoke, sbom, version,
};
use crate::asynchronous::{Threads, to_end};

#[derive(Debug, Args)]
pub(crate) struct RegistryArgs {
    #[command(subcommand)]
    command: RegistryCommand,
}

impl RegistryArgs {
    /// Whether the command goes on until it is stopped.
    pub(crate) fn serves(&self) -> bool {
        self.command.serves()
    }
}

#[derive(Debug, Subcommand)]
enum RegistryCommand {
    #[command(flatten)]
    Use(UseCommand),
    /// Publish what could not be published when it was built
    Push(push::PushArgs),
    /// Check the images of Terraform plans: 0 if all may be applied, 2 if one must not be
    Check(check::CheckArgs),
    /// Log in to HCP Packer as a user, with a browser; HCP's command line uses the same login
    Login(login::LoginArgs),
    /// Forget the login to HCP Packer
    Logout,
    #[cfg(feature = "registry-server")]
    #[command(flatten)]
    Server(server::ServerCommand),
}

impl RegistryCommand {
    /// Whether it goes on until it is stopped.
    fn serves(&self) -> bool {
        #[cfg(feature = "registry-server")]
        if let RegistryCommand::Server(command) = self {
            return command.serves();
        }
        false
    }

    /// Whether it may be the first one of a registry, whose file it creates.
    fn creates_registry(&self) -> bool {
        matches!(
            self,
            RegistryCommand::Push(_)
                | RegistryCommand::Use(
                    UseCommand::Import(_)
                        | UseCommand::Buckets(bucket::BucketCommand::Create { .. })
                        | UseCommand::EnforcedBlocks(
                            enforced_block::EnforcedBlockCommand::Create { .. }
                        )
                )
        )
    }
}

/// Commands that use the registry that the environment names.
#[derive(Debug, Subcommand)]
enum UseCommand {
    /// Manage buckets: images that are built again and again
    #[command(visible_alias = "bucket", subcommand)]
    Buckets(bucket::BucketCommand),
    /// Manage versions: what a run of a template built
    #[command(visible_alias = "version", subcommand)]
    Versions(version::VersionCommand),
    /// Manage channels: names for the versions to use
    #[command(visible_alias = "channel", subcommand)]
    Channels(channel::ChannelCommand),
    /// List the images of versions
    #[command(visible_alias = "artifact", subcommand)]
    Artifacts(artifact::ArtifactCommand),
    /// List and get the software bills of materials of a version
    #[command(visible_alias = "sbom", subcommand)]
    Sboms(sbom::SbomCommand),
    /// Manage enforced blocks: provisioners for every build of the buckets they are linked to
    #[command(visible_alias = "enforced-block", subcommand)]
    EnforcedBlocks(enforced_block::EnforcedBlockCommand),
    /// Revoke a version
    Revoke(revoke::RevokeArgs),
    /// Restore a revoked version
    Restore(revoke::RestoreArgs),
    /// Show which versions were built from which
    Ancestry(ancestry::AncestryArgs),
    /// Write buckets, with their versions, channels and enforced blocks, to a file
    Export(export::ExportArgs),
    /// Import a file that `export` wrote
    ///
    /// Versions keep their order, fingerprints, builds, artifacts, SBOMs, parents and revocations,
    /// channels what they point at, and buckets the enforced blocks that they are linked to. What is
    /// there already stays as it is. Numbers are given anew, from the bucket's last one on.
    Import(import::ImportArgs),
}

/// Runs a command: 0 if it did what it should, 1 if not; a check that fails says 2.
pub(crate) fn run(args: &RegistryArgs) -> ExitCode {
    let redactor = Arc::new(Redactor::default());
    let serves = args.serves();
    crate::logging::start_or(Arc::clone(&redactor), serves.then_some(LevelFilter::WARN));
    let work = dispatch(&args.command, &redactor);
    let result = match serves {
        // A server listens for signals itself.
        true => to_end(Threads::Processors, work),
        false => to_end(Threads::Workers(1), or_cancelled(work)),
    };
    let error = match result {
        Ok(code) => return code,
        Err(error) => error,
    };
    crate::show_error(&error, &redactor);
    ExitCode::FAILURE
}

async fn dispatch(command: &RegistryCommand, redactor: &Arc<Redactor>) -> Result<ExitCode> {
    let redactor = Arc::clone(redactor);
    let mask: Mask = Arc::new(move |secret: &str| redactor.add(secret));
    let (creates, masking) = (command.creates_registry(), Arc::clone(&mask));
    let connected = async move {
        match creates {
            true => connect(masking).await,
            false => connect_to_existing(masking).await,
        }
    };
    match command {
        #[cfg(feature = "registry-server")]
        RegistryCommand::Server(command) => server::run(command).await?,
        // What waits can be listed without a registry.
        RegistryCommand::Push(args) => push::run(args, connected).await?,
        RegistryCommand::Login(args) => login::log_in(args, mask).await?,
        RegistryCommand::Logout => login::log_out().await?,
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
        UseCommand::Export(args) => export::run(args, session).await,
        UseCommand::Import(args) => import::run(args, session).await,
    }
}

//! The commands of the program.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::args::{
    BuildArgs, ConsoleArgs, FixArgs, FmtArgs, InitArgs, InspectArgs, PlanArgs, TestArgs,
    UpgradeArgs, ValidateArgs, VersionArgs,
};
use super::cache::CacheArgs;
use super::cleanup::CleanupArgs;
use super::diff::DiffArgs;
use super::registry::RegistryArgs;
use super::sbom_generate::SbomGenerateArgs;
use super::verify_attestation::VerifyAttestationArgs;

/// Build machine and container images from Packer's HCL2 templates
#[derive(Debug, Parser)]
#[command(name = "ingot")]
pub(super) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Build images from a template
    Build(BuildArgs),
    /// Check that a template is valid, offline
    Validate(ValidateArgs),
    /// Show what `build` would do, without doing it
    Plan(PlanArgs),
    /// Test an image with the tests beside its template
    Test(TestArgs),
    /// Show what differs between two images: 0 if nothing does, 1 if something does, 2 on errors
    Diff(DiffArgs),
    /// Install the plugins that a template requires
    Init(InitArgs),
    /// Install, list and remove plugins
    #[cfg(feature = "plugin-host")]
    #[command(alias = "plugin")]
    Plugins(super::plugins::PluginsArgs),
    /// Show what a template is made of
    Inspect(InspectArgs),
    /// Format templates
    Fmt(FmtArgs),
    /// Replace outdated options of a JSON template
    Fix(FixArgs),
    /// Convert a JSON template to HCL2
    #[command(name = "hcl2_upgrade")]
    Hcl2Upgrade(UpgradeArgs),
    /// Evaluate expressions
    Console(ConsoleArgs),
    /// List and remove what killed runs left behind
    Cleanup(CleanupArgs),
    /// List and remove the states that the step cache keeps
    Cache(CacheArgs),
    /// Manage the image registry
    Registry(RegistryArgs),
    /// Write the SBOM of a directory of this machine
    SbomGenerate(SbomGenerateArgs),
    /// Verify a signed attestation
    VerifyAttestation(VerifyAttestationArgs),
    /// Print the version
    Version(VersionArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    ManPages {
        /// The directory to write them to; it is created if it does not exist
        directory: PathBuf,
    },
}

impl Command {
    /// Whether it is called for what it prints. The others print what they do: their work is done, and
    /// their exit code says how, also where nobody can read that.
    pub(super) fn answers(&self) -> bool {
        match self {
            Command::Build(args) => args.dry_run,
            Command::Validate(_)
            | Command::Test(_)
            | Command::Init(_)
            | Command::Hcl2Upgrade(_)
            | Command::ManPages { .. } => false,
            #[cfg(feature = "plugin-host")]
            Command::Plugins(args) => args.lists(),
            Command::Fmt(args) => args.answers(),
            Command::Cleanup(args) => args.dry_run || args.json,
            Command::Cache(args) => args.answers(),
            // A token that is lost cannot be shown again.
            Command::Registry(args) => !args.serves(),
            _ => true,
        }
    }

    /// Whether it may have changed something where its output is lost.
    pub(super) fn may_change(&self) -> bool {
        match self {
            Command::Cleanup(args) => !args.dry_run,
            Command::Fmt(_) | Command::Cache(_) | Command::Registry(_) => true,
            _ => false,
        }
    }
}

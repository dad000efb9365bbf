//! The flags of commands: Packer's names and meanings. Some commands have theirs in their own files.

mod shared;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ingot_report::ReportTarget;
use ingot_sdk::TestSubject;

#[cfg(feature = "plugin-host")]
pub(super) use shared::UnusedSelection;
pub(super) use shared::{
    ConfigType, IgnoredFlags, InstalledPluginsArgs, Selection, Unused, UnusedVariables, Variables,
    duration, go_bool, time,
};

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(super) enum OnErrorFlag {
    #[default]
    Cleanup,
    Abort,
    Keep,
    Ask,
    RunCleanupProvisioner,
}

/// What is shown while builds run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgressFlag {
    #[default]
    Auto,
    Live,
    Plain,
}

#[derive(Debug, Args)]
pub(super) struct BuildArgs {
    /// The template: a directory or a file
    pub template: PathBuf,
    /// With -stale: more templates of the family, or directories that contain some
    #[arg(value_name = "TEMPLATE")]
    pub family: Vec<PathBuf>,
    #[command(flatten)]
    pub variables: Variables,
    #[command(flatten)]
    pub ignored_flags: IgnoredFlags,
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub installed: InstalledPluginsArgs,
    /// Print without colours; with -color=true also with them where there is no terminal
    #[arg(long, default_value_t = true)]
    pub color: bool,
    /// Pause after every step
    #[arg(long)]
    pub debug: bool,
    /// Replace artifacts that exist
    #[arg(long)]
    pub force: bool,
    /// Print machine-readable output
    #[arg(long)]
    pub machine_readable: bool,
    /// Put the time before every line
    #[arg(long)]
    pub timestamp_ui: bool,
    /// Warn of values for variables that are not declared
    #[arg(long)]
    pub warn_on_undeclared_var: bool,
    /// What to show while builds run: each build's step in place (live), or lines only (plain)
    #[arg(long, value_enum, default_value = "auto", value_name = "VIEW")]
    pub progress: ProgressFlag,
    /// Write a report to this file: .html, .json, .xml for JUnit, or FORMAT:FILE. May be repeated
    #[arg(long, value_name = "FILE")]
    pub report: Vec<ReportTarget>,
    /// What to do with what was created when a build fails: cleanup if not given; keep for -resume
    #[arg(long, value_enum, value_name = "ACTION")]
    pub on_error: Option<OnErrorFlag>,
    /// Continue builds that failed and were kept, from where they failed
    #[arg(long)]
    pub resume: bool,
    /// With -resume: continue at this provisioner, by its name or type
    #[arg(long, value_name = "NAME")]
    pub start_at: Option<String>,
    /// Stop before this provisioner, by its name or type, and keep the machine
    #[arg(long, value_name = "NAME")]
    pub stop_before: Option<String>,
    /// Run only the post-processors, on the artifact of a build that was kept
    #[arg(long)]
    pub only_post_processors: bool,
    /// How many builds to run at once; 0 for all
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub parallel_builds: i64,
    /// Do not run the tests of the companion file
    #[arg(long)]
    pub skip_tests: bool,
    /// Build without the provisioners that the registry enforces in the bucket
    #[arg(long)]
    pub skip_enforcement: bool,
    /// Build only if something changed since the last version that was published
    #[arg(long)]
    pub changed_only: bool,
    /// Build the templates of a family that are out of date, parents before children
    #[arg(long)]
    pub stale: bool,
    /// With -stale: show what would be built, in which order and why
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub step_cache: StepCacheArgs,
    /// What `ingot test` tests, in place of what the builders make.
    #[arg(skip)]
    pub artifact: Option<TestSubject>,
}

/// How the step cache is used.
#[derive(Debug, Args)]
pub(super) struct StepCacheArgs {
    /// Keep the state of the machine after each step, and skip steps that are unchanged
    #[arg(long)]
    pub cache: Option<bool>,
    /// Run every step, and keep no states; overrides -cache, INGOT_CACHE and the companion file
    #[arg(long)]
    pub no_cache: bool,
    /// Share the cache with other machines through this directory, such as one on NFS
    #[arg(long, value_name = "DIRECTORY")]
    pub cache_dir: Option<PathBuf>,
    /// Show for every step whether it is run or taken from the cache, and why
    #[arg(long)]
    pub explain: bool,
}

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// The template: a directory or a file; with -goss the artifact
    pub template: PathBuf,
    /// The artifact: a Docker image, a disk, or an AMI's id
    #[arg(required_unless_present = "goss", conflicts_with = "goss")]
    pub artifact: Option<String>,
    /// Check this goss file instead of a template's tests, on docker:IMAGE
    #[arg(long, value_name = "FILE")]
    pub goss: Option<PathBuf>,
    #[command(flatten)]
    pub variables: Variables,
    #[command(flatten)]
    pub ignored_flags: IgnoredFlags,
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub installed: InstalledPluginsArgs,
    /// Print without colours; with -color=true also with them where there is no terminal
    #[arg(long, default_value_t = true)]
    pub color: bool,
    /// Print machine-readable output
    #[arg(long)]
    pub machine_readable: bool,
    /// Put the time before every line
    #[arg(long)]
    pub timestamp_ui: bool,
    /// Write a report to this file: .html, .json, .xml for JUnit, or FORMAT:FILE. May be repeated
    #[arg(long, value_name = "FILE")]
    pub report: Vec<ReportTarget>,
}

#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    /// The template: a directory or a file
    pub template: PathBuf,
    #[command(flatten)]
    pub variables: Variables,
    #[command(flatten)]
    pub ignored_flags: IgnoredFlags,
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub installed: InstalledPluginsArgs,
    /// Only check the syntax
    #[arg(long)]
    pub syntax_only: bool,
    /// Fetch data sources too
    #[arg(long)]
    pub evaluate_datasources: bool,
    /// Do not warn of values for variables that are not declared
    #[arg(long)]
    pub no_warn_undeclared_var: bool,
    /// Print machine-readable output
    #[arg(long)]
    pub machine_readable: bool,
}

/// How a plan is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum PlanFormat {
    #[default]
    Tree,
    Json,
    Dot,
}

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// The template: a directory or a file
    pub template: PathBuf,
    /// With -family: more templates of the family, or directories that contain some
    #[arg(value_name = "TEMPLATE")]
    pub more: Vec<PathBuf>,
    /// Show how the templates of a family build on each other, and which are out of date
    #[arg(long)]
    pub family: bool,
    #[command(flatten)]
    pub variables: Variables,
    #[command(flatten)]
    pub ignored_flags: IgnoredFlags,
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub installed: InstalledPluginsArgs,
    /// Output format: a tree, JSON, or a graph for Graphviz
    #[arg(long, value_enum, default_value = "tree", value_name = "FORMAT")]
    pub format: PlanFormat,
    /// Do not contact a registry: compare with no published version
    #[arg(long)]
    pub offline: bool,
    /// Fetch all data sources, not only those that read the registry
    #[arg(long)]
    pub evaluate_datasources: bool,
    /// Look for states of the step cache in this directory, which machines share
    #[arg(long, value_name = "DIRECTORY")]
    pub cache_dir: Option<PathBuf>,
    /// Plan without the provisioners that the registry enforces in the bucket
    #[arg(long)]
    pub skip_enforcement: bool,
    /// Print without colours; with -color=true also with them where there is no terminal
    #[arg(long, default_value_t = true)]
    pub color: bool,
}

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The template: a directory or a file
    pub template: PathBuf,
    #[command(flatten)]
    pub variables: Variables,
    /// This selects builds
    #[arg(long, hide = true, value_name = "PATTERNS")]
    only: Vec<String>,
    /// This selects builds
    #[arg(long, hide = true, value_name = "PATTERNS")]
    except: Vec<String>,
    /// Templates are HCL2
    #[arg(long, hide = true, value_enum)]
    config_type: Option<ConfigType>,
    /// Install newer versions of what is installed too
    #[arg(long)]
    pub upgrade: bool,
    /// Install again what is installed already
    #[arg(long)]
    pub force: bool,
    /// Install only what the lock file names, and do not change the file
    #[arg(long)]
    pub locked: bool,
    /// Install plugins from this URL or directory only
    #[arg(long, value_name = "URL|DIRECTORY")]
    pub plugin_mirror: Option<String>,
    /// Print machine-readable output
    #[arg(long)]
    pub machine_readable: bool,
}

#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// The template: a directory or a file
    pub template: PathBuf,
    #[command(flatten)]
    pub variables: Variables,
    #[command(flatten)]
    pub ignored_flags: IgnoredFlags,
    /// Packer takes them, and shows everything all the same
    #[arg(long, hide = true, value_name = "PATTERNS")]
    only: Vec<String>,
    /// Packer takes them, and shows everything all the same
    #[arg(long, hide = true, value_name = "PATTERNS")]
    except: Vec<String>,
    /// Print machine-readable output
    #[arg(long)]
    pub machine_readable: bool,
}

#[derive(Debug, Args)]
pub(super) struct ConsoleArgs {
    /// A template whose variables and locals the expressions may use
    pub template: Option<PathBuf>,
    #[command(flatten)]
    pub variables: Variables,
    #[command(flatten)]
    pub ignored_flags: IgnoredFlags,
    #[command(flatten)]
    unused: Unused,
}

#[derive(Debug, Args)]
pub(super) struct FmtArgs {
    /// Files, directories, or - for standard input
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Only check: exit with 3 if something is not formatted
    #[arg(long)]
    pub check: bool,
    /// Show what changes
    #[arg(long)]
    pub diff: bool,
    /// Do not change the files; implied by -check
    #[arg(long, default_value_t = true)]
    pub write: bool,
    /// Format subdirectories too
    #[arg(long)]
    pub recursive: bool,
    #[command(flatten)]
    unused: Unused,
    #[command(flatten)]
    variables: UnusedVariables,
}

impl FmtArgs {
    /// Whether it is called for what it prints, rather than for the files or the exit code.
    pub(super) fn answers(&self) -> bool {
        self.diff || self.paths.iter().any(|path| path.as_os_str() == "-")
    }
}

#[derive(Debug, Args)]
pub(super) struct FixArgs {
    /// The JSON template, or - for standard input
    pub template: PathBuf,
    /// Only print what is fixed, whether or not it is a valid template
    #[arg(long, default_value_t = true)]
    pub validate: bool,
    #[command(flatten)]
    unused: Unused,
    #[command(flatten)]
    variables: UnusedVariables,
}

#[derive(Debug, Args)]
pub(super) struct UpgradeArgs {
    /// The JSON template
    pub template: PathBuf,
    /// Where to write HCL2 to; TEMPLATE.pkr.hcl if not given
    #[arg(long, value_name = "PATH")]
    pub output_file: Option<PathBuf>,
    /// Explain the blocks in comments
    #[arg(long)]
    pub with_annotations: bool,
    #[command(flatten)]
    unused: Unused,
    #[command(flatten)]
    variables: UnusedVariables,
}

#[derive(Debug, Args)]
pub(super) struct VersionArgs {
    /// Packer takes anything here
    #[arg(hide = true)]
    ignored: Vec<String>,
    /// Print machine-readable output
    #[arg(long)]
    pub machine_readable: bool,
}

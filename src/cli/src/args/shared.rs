//! Flags that several commands take.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args, FromArgMatches, ValueEnum};
use ingot_registry::api::Timestamp;
use ingot_sdk::GoDuration;
use ingot_template::variables::VariableFlag;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// `-var` and `-var-file`, in the order they were given, which is the order they apply in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Variables(pub Vec<VariableFlag>);

#[derive(Debug, Args)]
struct RawVariables {
    /// Set a variable: -var 'name=value'
    #[arg(long = "var", value_name = "NAME=VALUE")]
    values: Vec<String>,
    /// Set variables from a file
    #[arg(long = "var-file", value_name = "PATH")]
    files: Vec<PathBuf>,
}

impl FromArgMatches for Variables {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut found: Vec<(usize, VariableFlag)> = Vec::new();
        let positions = |id| matches.indices_of(id).into_iter().flatten();
        let values = matches.get_many::<String>("values").into_iter().flatten();
        for (at, value) in positions("values").zip(values) {
            found.push((at, VariableFlag::Value(value.clone())));
        }
        let files = matches.get_many::<PathBuf>("files").into_iter().flatten();
        for (at, file) in positions("files").zip(files) {
            found.push((at, VariableFlag::File(file.clone())));
        }
        found.sort_by_key(|(at, _)| *at);
        Ok(Variables(found.into_iter().map(|(_, flag)| flag).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Variables {
    fn augment_args(command: clap::Command) -> clap::Command {
        RawVariables::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        RawVariables::augment_args_for_update(command)
    }
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Selection {
    /// Build only these: patterns, separated by commas
    #[arg(long, value_name = "PATTERNS")]
    pub only: Vec<String>,
    /// Leave these builds and post-processors out: patterns, separated by commas
    #[arg(long, value_name = "PATTERNS")]
    pub except: Vec<String>,
}

/// Flags that all of Packer's commands take, for those that they mean nothing to.
#[derive(Debug, Clone, Args)]
pub(crate) struct Unused {
    #[command(flatten)]
    selection: UnusedSelection,
    /// Only `build` and the like print events
    #[arg(long, hide = true)]
    machine_readable: bool,
}

/// `-only` and `-except` where they mean nothing.
#[derive(Debug, Clone, Args)]
pub(crate) struct UnusedSelection {
    /// This selects builds
    #[arg(long, hide = true, value_name = "PATTERNS")]
    only: Vec<String>,
    /// This selects builds
    #[arg(long, hide = true, value_name = "PATTERNS")]
    except: Vec<String>,
}

/// Flags of Packer that say how it does what Ingot does in another way: they are taken so that
/// scripts keep working, and change nothing.
#[derive(Debug, Args)]
pub(crate) struct IgnoredFlags {
    /// Locals and data sources are always evaluated in the order they need
    #[arg(long, hide = true)]
    use_sequential_evaluation: bool,
    /// Templates are HCL2, and so are expressions without one
    #[arg(long, hide = true, value_enum)]
    pub config_type: Option<ConfigType>,
}

/// Which plugins that are programs of their own are used.
#[derive(Debug, Args)]
pub(crate) struct InstalledPluginsArgs {
    /// Ignore pre-releases of plugins, such as 1.2.0-dev
    #[arg(long)]
    pub ignore_prerelease_plugins: bool,
}

/// Variables where they mean nothing.
#[derive(Debug, Clone, Args)]
pub(crate) struct UnusedVariables {
    /// This sets variables
    #[arg(long = "var", hide = true, value_name = "NAME=VALUE")]
    values: Vec<String>,
    /// This sets variables
    #[arg(long = "var-file", hide = true, value_name = "PATH")]
    files: Vec<PathBuf>,
    /// The template is JSON
    #[arg(long, hide = true, value_enum)]
    config_type: Option<ConfigType>,
}

/// The language of expressions without a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConfigType {
    Hcl2,
    Json,
}

/// Go's form of a duration. One below zero is refused: as the age of what is removed it would mean all.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    if text.trim_start().starts_with('-') {
        return Err("it is less than no time; write it like 30m or 24h".to_owned());
    }
    GoDuration::parse(text).map(|duration| duration.0)
}

/// A moment, or the beginning of a day (UTC).
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    let day = || OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339).map(Timestamp::from);
    text.parse().or_else(|_| day()).map_err(|_| {
        "write a time such as 2026-12-31T23:59:59Z, or a day such as 2026-12-31".to_owned()
    })
}

/// Go's forms of a bool.
pub(crate) fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("write true or false".into()),
    }
}

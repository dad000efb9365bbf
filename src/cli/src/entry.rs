//! From arguments to a command.

use std::ffi::OsString;
use std::process::ExitCode;
#[cfg(feature = "registry-server")]
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, FromArgMatches};
use ingot_hcl::{Diagnostics, SourceMap};
use ingot_ui::Redactor;

use super::output::{may_color, show, show_error, turn_color_off, turn_color_on, unless_lost};
#[cfg(feature = "plugin-host")]
use super::plugins;
use super::subcommands::{Cli, Command};
use super::{
    BuiltIn, argv, build, cache, cleanup, command, completions, console, diff, fix, fmt,
    hcl2_upgrade, init, inspect, logging, man_pages, packer_config, plan, registry, sbom_generate,
    test, usage, validate, verify_attestation, version,
};

/// How long a registry's file may take to be closed when a command has ended.
#[cfg(feature = "registry-server")]
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs a program that is made of `built_in` with this process's arguments.
pub fn run(built_in: &BuiltIn) -> ExitCode {
    let code = run_command(built_in);
    logging::finish();
    // What still runs, such as a task that nobody waited for, may hold a plugin.
    #[cfg(feature = "plugin-host")]
    ingot_plugin_host::end_all();
    // A process that ends before leaves SQLite's log beside the file.
    #[cfg(feature = "registry-server")]
    ingot_registry::store::wait_until_closed(CLOSE_TIMEOUT);
    code
}

fn run_command(built_in: &BuiltIn) -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let command = command::command();
    if let Some(code) = usage::of_packer(&command, &args) {
        return code;
    }
    let args = argv::normalize(&command, args.into_iter());
    let parsed = command.try_get_matches_from(&args);
    let parsed = parsed.and_then(|matches| {
        let cli = Cli::from_arg_matches(&matches)?;
        Ok((color(&cli.command, &matches), cli))
    });
    let (color, cli) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            return unless_lost(usage::report(&error, &args), usage::failure(&args), false);
        }
    };
    match color {
        Some(true) => turn_color_on(),
        Some(false) => turn_color_off(),
        None => {}
    }
    let failure = match &cli.command {
        Command::Diff(_) => ExitCode::from(diff::TROUBLE),
        _ => ExitCode::FAILURE,
    };
    let serves = matches!(&cli.command, Command::Registry(args) if args.serves());
    if let Err(error) = logging::open(serves) {
        show_error(&error, &Redactor::default());
        return failure;
    }
    if let Err(error) = packer_config::check() {
        let color = may_color(&std::io::stderr());
        show(&Diagnostics::from(error), &SourceMap::default(), &Redactor::default(), color);
        return failure;
    }
    let (answers, may_change) = (cli.command.answers(), cli.command.may_change());
    let code = dispatch(cli.command, built_in);
    if answers { unless_lost(code, failure, may_change) } else { code }
}

fn dispatch(command: Command, built_in: &BuiltIn) -> ExitCode {
    let plugins = built_in.plugins;
    match command {
        Command::Build(args) => build::run(&args, plugins()),
        Command::Test(args) => test::run(args, plugins()),
        Command::Diff(args) => diff::run(&args, built_in.docker_images),
        Command::Validate(args) => validate::run(&args, plugins()),
        Command::Plan(args) => plan::run(&args, plugins()),
        Command::Init(args) => init::run(&args, plugins()),
        #[cfg(feature = "plugin-host")]
        Command::Plugins(args) => plugins::run(&args, plugins()),
        Command::Inspect(args) => inspect::run(&args, plugins()),
        Command::Fmt(args) => fmt::run(&args),
        Command::Fix(args) => fix::run(&args),
        Command::Hcl2Upgrade(args) => hcl2_upgrade::run(&args, plugins()),
        Command::Console(args) => console::run(&args, plugins()),
        Command::Cleanup(args) => cleanup::run(&args, &plugins()),
        Command::Cache(args) => cache::run(&args, plugins()),
        Command::Registry(args) => registry::run(&args),
        Command::SbomGenerate(args) => sbom_generate::run(&args),
        Command::VerifyAttestation(args) => {
            verify_attestation::run(&args, (built_in.key_service)().as_ref())
        }
        Command::Version(args) => version::run(&args),
        Command::Completions { shell } => completions::run(shell),
        Command::ManPages { directory } => man_pages::run(&directory),
    }
}

/// What `-color` says, if it was given.
fn color(command: &Command, matches: &ArgMatches) -> Option<bool> {
    let color = match command {
        Command::Build(args) => args.color,
        Command::Test(args) => args.color,
        Command::Plan(args) => args.color,
        _ => return None,
    };
    let (_, flags) = matches.subcommand()?;
    (flags.value_source("color") == Some(ValueSource::CommandLine)).then_some(color)
}

//! `ingot plugins install`

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;
use ingot_hcl::{Diagnostic, SourceMap};
use ingot_plugin_host::discovery::core;
use ingot_plugin_host::install::{Installed, Installer, Origins, PluginAddress, Request};
use ingot_sdk::{Context, Error, Result, Ui};
use semver::Version;

use super::installed::{constraints, directory, programs};
use crate::asynchronous::{Threads, to_end};
use crate::output::report;

#[derive(Debug, Args)]
pub(super) struct InstallArgs {
    /// The plugin, such as github.com/hashicorp/ansible
    plugin: String,
    /// The version, as a constraint such as '~> 1.1'
    versions: Option<String>,
    /// Install this program, rather than download one
    #[arg(long, value_name = "PROGRAM")]
    path: Option<PathBuf>,
    /// Install it even if it is installed already
    #[arg(long)]
    force: bool,
    /// Install plugins from this URL or directory only
    #[arg(long, value_name = "URL|DIRECTORY")]
    plugin_mirror: Option<String>,
}

pub(super) fn run(args: &InstallArgs, ui: &Ui) -> Result<()> {
    let address = address(&args.plugin)?;
    if let Some(path) = &args.path {
        if let Some(version) = &args.versions {
            // As in Packer, which says nothing of it.
            let warning = Diagnostic::warning(format!("the version {version:?} has no effect"))
                .note("-path names one program, which says itself what version it is");
            report(ui, &warning.into(), &SourceMap::default(), std::io::stdout().is_terminal());
        }
        return install_program(path, &address, ui);
    }
    let constraints = args.versions.as_deref().map(constraints).transpose()?;
    if constraints.as_ref().is_some_and(|versions| versions.names_pre_release()) {
        return Err(Error::new(format!(
            "Unsupported prerelease for constraint {:?}",
            args.versions.as_deref().unwrap_or_default()
        ))
        .hint(
            "pre-releases are installed from a program: `ingot plugins install -path PROGRAM …`",
        ));
    }
    let allow = |version: &Version| {
        constraints.as_ref().is_none_or(|versions| versions.allow(&core(version)))
    };
    let request = Request {
        address: &address,
        allow: &allow,
        constraints: args.versions.as_deref().unwrap_or_default(),
        at_least: None,
        force: args.force,
        locked: None,
        known: None,
    };
    let installer = installer(args.plugin_mirror.as_deref(), ui)?;
    let installed = to_end(Threads::Current, installer.install(&request))?;
    say(&installed, ui);
    Ok(())
}

/// The plugin of a source as users write it.
fn address(source: &str) -> Result<PluginAddress> {
    let name = source.rsplit('/').next().unwrap_or_default();
    if let Some(short) = name.strip_prefix("packer-plugin-").or(name.strip_prefix("packer-")) {
        return Err(Error::new(format!("`{source}` is not the source of a plugin"))
            .hint(format!("did you mean {}{short}?", &source[..source.len() - name.len()])));
    }
    PluginAddress::parse(source)
}

fn install_program(path: &Path, address: &PluginAddress, ui: &Ui) -> Result<()> {
    let doing = || format!("installing {}", path.display());
    let path = path.canonicalize().with_context(doing)?;
    if path.is_dir() {
        return Err(Error::new("it is a directory, not a program").context(doing()));
    }
    let installer = installer(None, ui)?;
    let installed = to_end(Threads::Current, installer.install_program(&path, address));
    let installed = installed.with_context(doing)?;
    ui.say(format!(
        "Successfully installed plugin {} from {} to {}",
        address.source(),
        path.display(),
        installed.installation.path.display()
    ));
    Ok(())
}

/// An installer for the plugin directory.
pub(super) fn installer(mirror: Option<&str>, ui: &Ui) -> Result<Installer> {
    let directory = directory()?;
    let programs = programs(&directory);
    Installer::new(directory, Origins::from_environment(mirror)?, programs, ui.clone())
}

/// Says what was installed, as Packer does.
pub(super) fn say(installed: &Installed, ui: &Ui) {
    if installed.new {
        let one = &installed.installation;
        ui.say(format!("Installed plugin {} v{} in {:?}", one.source, one.version, one.path));
    }
}

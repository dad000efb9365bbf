//! What is installed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingot_engine::started_programs;
use ingot_plugin_host::discovery::{self, core};
use ingot_plugin_host::install::{PluginAddress, remove, remove_unfinished};
use ingot_plugin_host::{Host, Installation, Program, StartedPrograms, cache_directory};
use ingot_sdk::{Error, Result};
use ingot_template::version::VersionConstraints;

use super::lines::Lines;

/// The plugin directory.
pub(super) fn directory() -> Result<PathBuf> {
    discovery::plugin_directory().map_err(Error::new)?.ok_or_else(|| {
        Error::new("there is no plugin directory").hint("set PACKER_PLUGIN_PATH or HOME")
    })
}

/// The programs of a plugin directory that a command starts.
pub(super) fn programs(directory: &Path) -> Arc<StartedPrograms> {
    started_programs(&uuid::Uuid::new_v4().to_string(), directory)
}

/// Versions that users ask for.
pub(super) fn constraints(text: &str) -> Result<VersionConstraints> {
    VersionConstraints::parse(text).map_err(|part| {
        Error::new(format!("malformed constraint: {part}"))
            .hint("write something like \">= 1.2.0, < 2.0.0\" or \"~> 1.2\"")
    })
}

/// The installed programs that are what they seem, by name and version, as Packer lists them.
pub(super) fn usable(directory: &Path) -> Vec<(Installation, Program)> {
    let host = Arc::new(Host::new(programs(directory), Vec::new()));
    let cache = cache_directory();
    let mut found = discovery::installations(directory);
    found.sort_by(|a, b| (&a.name, &a.version, &a.source).cmp(&(&b.name, &b.version, &b.source)));
    let open = |one: Installation| match Program::open(&host, &one, cache.as_deref()) {
        Ok(program) => Some((one, program)),
        Err(problem) => {
            tracing::info!(path = %one.path.display(), %problem, "ignoring a plugin");
            None
        }
    };
    found.into_iter().filter_map(open).collect()
}

pub(super) fn installed(lines: Lines<'_>) -> Result<()> {
    for (one, _) in usable(&directory()?) {
        lines.line(&one.path.display().to_string());
    }
    Ok(())
}

pub(super) fn removed(plugin: &str, versions: Option<&str>, lines: Lines<'_>) -> Result<()> {
    let directory = directory()?;
    let failed = |path: &Path, error: std::io::Error| {
        Error::new(format!("the plugin {} cannot be removed: {error}", path.display()))
    };
    let path = Path::new(plugin);
    if path.is_absolute() {
        if versions.is_some() {
            return Err(Error::new(
                "a path names one program, so no versions can be given with it",
            ));
        }
        // `..` must not lead out of it.
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let parent = path.parent().map(real).unwrap_or_default();
        if !parent.starts_with(real(&directory)) {
            return Err(Error::new(format!(
                "{plugin} is not below the plugin directory {}",
                directory.display()
            )));
        }
        remove(path).map_err(|error| failed(path, error))?;
        lines.ui.say(plugin);
        return Ok(());
    }
    let address = PluginAddress::parse(plugin)?;
    let allowed = versions.map(constraints).transpose()?;
    let fits = |one: &Installation| {
        let version = core(&one.version);
        one.is_of(address.source())
            && allowed.as_ref().is_none_or(|allowed| allowed.allow(&version))
    };
    // Also those that are not what they seem: who removes a plugin wants none of it left.
    let found: Vec<_> = discovery::installations(&directory).into_iter().filter(fits).collect();
    // Nor what broken-off installations left.
    let unfinished = match allowed {
        None => remove_unfinished(&directory, &address)?,
        Some(_) => Vec::new(),
    };
    unfinished.iter().for_each(|path| lines.line(&path.display().to_string()));
    if found.is_empty() && unfinished.is_empty() {
        let wanted = versions.map(|versions| format!(" {versions}")).unwrap_or_default();
        return Err(Error::new(format!(
            "No installed plugin found matching the plugin constraints {plugin}{wanted}"
        )));
    }
    let mut left = None;
    for one in found {
        match remove(&one.path) {
            Ok(()) => lines.line(&one.path.display().to_string()),
            Err(error) => left = Some(failed(&one.path, error)),
        }
    }
    left.map_or(Ok(()), Err)
}

//! The plugins that a template requires: `ingot plugins required` lists them, `ingot init` installs
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use ingot_engine::{Project, is_for_other_builders};
use ingot_plugin_host::discovery::{self, core};
use ingot_plugin_host::install::{Installed, Installer, OnlyOlder, PluginAddress, Request};
use ingot_plugin_host::lock_file::{LockFile, LockedPlugin};
use ingot_plugin_host::{Host, Installation, Program, cache_directory};
use ingot_sdk::error::causes;
use ingot_sdk::{Error, Platform, PluginSet, Result, Ui};
use ingot_template::Template;
use ingot_template::packer_block::RequiredPlugin;
use semver::Version;
use tokio::runtime::Runtime;

use super::install;
use super::installed::{directory, programs, usable};
use super::lines::Lines;
use crate::args::InitArgs;
use crate::asynchronous::{Threads, runtime};
use crate::output::{diagnostic_of, report};
use crate::requirements;
use ingot_hcl::ast::Body;
use ingot_hcl::{Diagnostic, Diagnostics};

/// Lists what a template requires.
pub(super) fn run(template: &Path, built_in: PluginSet, lines: Lines<'_>) -> ExitCode {
    let mut diagnostics = Diagnostics::default();
    let project = requirements::read(template, built_in, &[], &mut diagnostics);
    if !diagnostics.has_errors() {
        match directory() {
            Ok(directory) => list(&project.template.required_plugins, &directory, lines),
            Err(error) => diagnostics.push(diagnostic_of(&error)),
        }
    }
    report(lines.ui, &diagnostics, &project.sources, std::io::stdout().is_terminal());
    match diagnostics.has_errors() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

fn list(required: &[RequiredPlugin], directory: &Path, lines: Lines<'_>) {
    let found = if required.is_empty() { Vec::new() } else { usable(directory) };
    for plugin in required {
        let mut line = format!("{} {} {:?}", plugin.name, plugin.source, plugin.constraints);
        for (one, _) in &found {
            if one.is_of(&plugin.source) && plugin.versions.allow(&core(&one.version)) {
                line.push_str(&format!(" {}", one.path.display()));
            }
        }
        lines.line(&line);
    }
    if required.is_empty() {
        lines.line(
            "This template requires no plugins: it has no `required_plugins` block in a `packer` \
             block.",
        );
    }
}

/// Installs the plugins that a template requires and that are neither built in nor installed.
pub(crate) fn install_required(
    args: &InitArgs,
    project: &Project,
    ui: &Ui,
    diagnostics: &mut Diagnostics,
) {
    let needed: Vec<&RequiredPlugin> = project
        .template
        .required_plugins
        .iter()
        .filter(|required| needs_program(required, &project.template, &project.plugins))
        .collect();
    if needed.is_empty() {
        return;
    }
    let whole_directory = project.file.is_none();
    match Run::new(args, &project.template.dir, ui) {
        Ok(run) => run.install(&needed, whole_directory, diagnostics),
        Err(error) => diagnostics.push(diagnostic_of(&error)),
    }
}

/// Whether the plugin must be a program: it is not built in, or the template uses what Ingot lacks
/// of it.
fn needs_program(required: &RequiredPlugin, template: &Template, set: &PluginSet) -> bool {
    if !set.provided.contains_key(&required.source) {
        return true;
    }
    // Of those whose names begin alike, it is of the one with the longest.
    let others =
        || template.required_plugins.iter().filter(|it| it.name.len() > required.name.len());
    let is_its =
        |component: &str| required.has(component) && !others().any(|other| other.has(component));
    let lacks = |component: &str, known: bool| is_its(component) && !known;
    let sources = template.sources.keys().map(|(ty, _)| (ty, set.builders.contains_key(ty)));
    let data = template.data.keys().map(|(ty, _)| (ty, set.data_sources.contains_key(ty)));
    if sources.chain(data).any(|(ty, known)| lacks(ty, known)) {
        return true;
    }
    fn steps(body: &Body, lacks: &dyn Fn(&str, &str) -> bool) -> bool {
        body.blocks
            .iter()
            .any(|block| lacks(&block.kind, block.label(0)) || steps(&block.body, lacks))
    }
    let lacks = |kind: &str, name: &str| match kind {
        "provisioner" | "error-cleanup-provisioner" => {
            lacks(name, set.provisioners.contains_key(name))
        }
        "post-processor" => {
            let for_others =
                template.sources.keys().any(|(ty, _)| is_for_other_builders(set, name, ty));
            lacks(name, set.post_processors.contains_key(name) && !for_others)
        }
        _ => false,
    };
    template.builds.iter().any(|build| steps(&build.body, &lacks))
}

/// What a lock file has of a required plugin.
fn locked_in<'f>(file: &'f LockFile, required: &RequiredPlugin) -> Option<&'f LockedPlugin> {
    let allows = |version: &Version| required.versions.allow(&core(version));
    file.get(&required.source, &required.constraints, allows)
}

/// Whether a program is what a lock file has of its version, if it has something.
fn is_as_known(known: Option<&LockedPlugin>, one: &Installation, hash: &str) -> bool {
    let known = known.filter(|known| known.version == one.version);
    let platform = Platform::current().to_string();
    known.is_none_or(|known| known.proves_program(&platform, hash, cache_directory().as_deref()))
}

/// One run of `ingot init`.
struct Run<'a> {
    args: &'a InitArgs,
    ui: &'a Ui,
    /// What was locked when it began.
    lock: LockFile,
    template: PathBuf,
    installer: Installer,
    runtime: Runtime,
    /// What is in the plugin directory.
    found: Vec<Installation>,
    /// Where it is asked what it is.
    host: Arc<Host>,
}

impl<'a> Run<'a> {
    fn new(args: &'a InitArgs, template: &Path, ui: &'a Ui) -> Result<Run<'a>> {
        if args.locked && args.upgrade {
            return Err(Error::new("-locked and -upgrade cannot be given together"));
        }
        let directory = directory()?;
        Ok(Run {
            args,
            ui,
            lock: LockFile::read(template)?,
            template: template.to_owned(),
            installer: install::installer(args.plugin_mirror.as_deref(), ui)?,
            runtime: runtime(Threads::Current)?,
            found: discovery::installations(&directory),
            host: Arc::new(Host::new(programs(&directory), Vec::new())),
        })
    }

    /// Installs `needed`. Without the others, what the lock file has of them stays.
    fn install(
        &self,
        needed: &[&RequiredPlugin],
        whole_directory: bool,
        diagnostics: &mut Diagnostics,
    ) {
        let mut locked = Vec::new();
        // Of which the lock file keeps all that it has.
        let mut kept = BTreeSet::new();
        for &required in needed {
            match self.install_one(required) {
                Ok(installed) => {
                    install::say(&installed, self.ui);
                    locked.push((required, to_lock(required, installed)));
                }
                Err(error) => {
                    kept.insert(required.source.as_str());
                    let mut diagnostic = Diagnostic::error(format!(
                        "Failed getting the {:?} plugin",
                        required.source
                    ))
                    .at(required.span)
                    .note(error.to_string());
                    if let Some(advice) = error.advice() {
                        diagnostic = diagnostic.help(advice);
                    }
                    diagnostics.push(diagnostic);
                }
            }
        }
        if self.args.locked {
            return;
        }
        let mut changed = Vec::new();
        let updated = LockFile::update(&self.template, |file| {
            let mut ours = Vec::new();
            for (required, plugin) in locked {
                let now = locked_in(file, required);
                // Somebody who knew more, or less: a merge, or another `ingot init`.
                if now != locked_in(&self.lock, required)
                    && let Some(now) = now.filter(|now| now.version != plugin.version)
                {
                    kept.insert(required.source.as_str());
                    changed.push((&required.source, now.version.clone(), plugin.version));
                } else {
                    ours.push((required, plugin));
                }
            }
            // Other templates of the directory may require what this one does not.
            let is_required = |source: &str, constraints: &str| {
                let is_it =
                    |one: &&RequiredPlugin| one.source == source && one.constraints == constraints;
                !whole_directory || kept.contains(source) || needed.iter().any(is_it)
            };
            for (required, plugin) in ours {
                let source = &required.source;
                file.set(source, plugin, |constraints| is_required(source, constraints));
            }
            file.retain(is_required);
        });
        for (source, theirs, ours) in changed {
            diagnostics.push(
                Diagnostic::warning(format!(
                    "the lock file names version {theirs} of {source}, as of a moment ago, and not \
                     {ours}, which was installed"
                ))
                .help("run `ingot init` again to install what it names"),
            );
        }
        if let Err(error) = updated {
            // The plugins are there all the same.
            diagnostics.push(
                Diagnostic::warning(format!("the lock file cannot be written: {error}"))
                    .help("to use one that is there and not write it, give -locked"),
            );
        }
    }

    fn install_one(&self, required: &RequiredPlugin) -> Result<Installed> {
        let address = PluginAddress::parse(&required.source)?;
        let fits = |version: &Version| required.versions.allow(&core(version));
        let locked = self.locked(required)?;
        let InitArgs { force, upgrade, .. } = *self.args;
        let newest_installed = self.newest(required, locked);
        let again = match &newest_installed {
            Some((installation, program)) if !force && !upgrade => {
                let (installation, program) = (installation.clone(), program.clone());
                let archives = BTreeMap::new();
                return Ok(Installed { installation, program, archives, new: false });
            }
            // As in Packer, the same version again.
            Some((installation, _)) if !upgrade => Some(installation.version.clone()),
            _ => None,
        };
        let allow = |version: &Version| match &again {
            Some(again) => version == again,
            None => fits(version),
        };
        let known = locked_in(&self.lock, required);
        // A mirror that is not up to date, or that somebody keeps from being so, is no upgrade.
        // Versions that the template does not allow any more do not count.
        let newest = newest_installed.as_ref().map(|(installation, _)| &installation.version);
        let locked_version = known.map(|known| &known.version).filter(|version| fits(version));
        let at_least = if upgrade { newest.max(locked_version) } else { None };
        let request = Request {
            address: &address,
            allow: &allow,
            constraints: &required.constraints,
            at_least,
            force,
            locked,
            known,
        };
        let installed = self.runtime.block_on(self.installer.install(&request));
        match installed {
            Err(error) if causes(&error).any(|cause| cause.is::<OnlyOlder>()) => {
                let kept = newest_installed.filter(|(one, hash)| is_as_known(known, one, hash));
                let Some((installation, program)) = kept else {
                    return Err(error.hint(
                        "to go back to an older version, name it in `version` of required_plugins",
                    ));
                };
                let version = &installation.version;
                self.ui.say(format!("Keeping plugin {} v{version}: {error}", required.source));
                let archives = BTreeMap::new();
                Ok(Installed { installation, program, archives, new: false })
            }
            installed => installed,
        }
    }

    /// What the lock file says of a plugin, if it counts.
    fn locked(&self, required: &RequiredPlugin) -> Result<Option<&LockedPlugin>> {
        let locked = locked_in(&self.lock, required);
        let fits = locked.is_some_and(|locked| required.versions.allow(&core(&locked.version)));
        if !self.args.locked {
            return Ok(locked.filter(|_| fits && !self.args.upgrade));
        }
        let file = self.lock.path().display();
        let problem = match locked {
            None if !self.lock.exists() => {
                return Err(Error::new(format!(
                    "-locked takes what the lock file {file} names, and there is no such file"
                ))
                .hint("run `ingot init` without -locked once, which writes it, and commit it"));
            }
            None => format!("the lock file {file} does not have it"),
            Some(locked) if !fits => format!(
                "the lock file {file} has version {}, which {:?} does not allow",
                locked.version, required.constraints
            ),
            Some(locked) if !locked.knows_this_platform() => {
                format!("the lock file {file} has no hash of it for {}", Platform::current())
            }
            Some(locked) => return Ok(Some(locked)),
        };
        Err(Error::new(problem)
            .hint("run `ingot init -upgrade` where the lock file may change, and commit it"))
    }

    /// The newest installed release that will do, and its hash. Of which only the archive is locked
    /// must have come from that.
    fn newest(
        &self,
        required: &RequiredPlugin,
        locked: Option<&LockedPlugin>,
    ) -> Option<(Installation, String)> {
        let cache = cache_directory();
        let platform = Platform::current().to_string();
        let fits = |one: &&Installation| {
            one.version.pre.is_empty()
                && required.versions.allow(&core(&one.version))
                && locked.is_none_or(|locked| locked.version == one.version)
        };
        discovery::of_source(&self.found, &required.source).into_iter().filter(fits).find_map(
            |one| {
                let hash = one.verified(cache.as_deref()).ok()?;
                if !locked
                    .is_none_or(|locked| locked.proves_program(&platform, &hash, cache.as_deref()))
                {
                    return None;
                }
                // What a run could not use is not installed.
                match Program::open(&self.host, one, cache.as_deref()) {
                    Ok(_) => Some((one.clone(), hash)),
                    Err(problem) => {
                        tracing::info!(path = %one.path.display(), %problem, "ignoring a plugin");
                        None
                    }
                }
            },
        )
    }
}

/// What a lock file says of what was installed.
fn to_lock(required: &RequiredPlugin, installed: Installed) -> LockedPlugin {
    LockedPlugin {
        version: installed.installation.version,
        constraints: required.constraints.clone(),
        archives: installed.archives,
        programs: [(Platform::current().to_string(), installed.program)].into(),
    }
}

//! Plugins that are programs of their own, as `packer init` installs them: found where a template
//! uses what is not built in, and only then.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use ingot_plugin_host::discovery::{self, core};
use ingot_plugin_host::lock_file::{LockFile, LockedPlugin};
use ingot_plugin_host::{
    Host, Installation, Program, StartedPrograms, cache_directory, call_timeout,
};
use ingot_sdk::plugin_set::{is_of, plugin_name};
use ingot_sdk::{Error, Platform, PluginSet};
use ingot_template::packer_block::RequiredPlugin;
use ingot_template::{Build, Template};

use super::journal::{FileJournal, RunInfo};
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};

/// Names plugins whose installed programs take the place of what is built in, with commas between
/// them.
const PREFER_INSTALLED: &str = "INGOT_PREFER_INSTALLED_PLUGINS";

/// Whether what is built in as post-processor `name` cannot take what the builder `ty` makes.
pub fn is_for_other_builders(set: &PluginSet, name: &str, ty: &str) -> bool {
    let only_for = set.post_processors.get(name).and_then(|plugin| plugin.facts().only_for);
    only_for.is_some_and(|builder| builder != ty)
}

/// The plugin programs that the run with the id `run` starts for `what`, a template or a plugin
/// directory. They are in a journal, also before the builds have one.
pub fn started_programs(run: &str, what: &Path) -> Arc<StartedPrograms> {
    let journal = FileJournal::new(RunInfo::new(run, what));
    StartedPrograms::new(run, journal.of_build("plugins"))
}

/// The programs of a run.
pub(super) struct InstalledPlugins {
    required: Vec<RequiredPlugin>,
    /// Which versions of them were locked.
    lock: Option<LockFile>,
    host: Arc<Host>,
    /// What is wrong with a setting; told when plugins are looked for.
    setting_error: Option<Diagnostic>,
    /// Whether pre-releases are skipped.
    releases_only: bool,
    /// Looked for when the first is needed.
    found: Option<Vec<Installation>>,
    /// The plugins that were looked at, by the names that templates call them.
    seen: BTreeSet<String>,
    /// Required plugins that cannot be had, which was reported.
    unavailable: BTreeSet<String>,
}

impl InstalledPlugins {
    /// For the run `run_uuid` of `template`, without pre-releases if `releases_only`.
    pub(super) fn new(
        template: &Template,
        run_uuid: &str,
        releases_only: bool,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let required = &template.required_plugins;
        let lock = match required.is_empty() {
            true => None,
            false => diagnostics.keep(lock_file(template)),
        };
        // Builders of plugins tell it as `build.PackerRunUUID`.
        let environment = vec![("PACKER_RUN_UUID".to_owned(), run_uuid.to_owned())];
        let host = Host::new(started_programs(run_uuid, &template.dir), environment);
        let (host, setting_error) = match call_timeout() {
            Ok(limit) => (host.with_call_timeout(limit), None),
            Err(error) => (host, Some(diagnostic(&error))),
        };
        InstalledPlugins {
            required: required.clone(),
            lock,
            host: Arc::new(host),
            setting_error,
            releases_only,
            found: None,
            seen: BTreeSet::new(),
            unavailable: BTreeSet::new(),
        }
    }

    /// Takes what users want from programs out of what is built in.
    pub(super) fn preferred(set: &mut PluginSet, diagnostics: &mut Diagnostics) {
        let names = set.provided.keys().map(|source| plugin_name(source).to_owned());
        let built_in: Vec<String> = names.collect();
        for name in &preferred_names() {
            let before = number_of_components(set);
            let known = set.clone();
            // What is of another built-in plugin, whose name begins as this one's, stays.
            let other = |component: &String| {
                let provider = known.provider_of(component).map(|(source, _)| plugin_name(source));
                !is_of(name, component) || provider.is_some_and(|its| its.len() > name.len())
            };
            set.builders.retain(|component, _| other(component));
            set.provisioners.retain(|component, _| other(component));
            set.post_processors.retain(|component, _| other(component));
            set.data_sources.retain(|component, _| other(component));
            set.provided.retain(|source, _| plugin_name(source) != name);
            if number_of_components(set) == before {
                let what = format!("{PREFER_INSTALLED} names `{name}`, which is not built in");
                let names = built_in.iter().map(String::as_str);
                diagnostics.push(
                    Diagnostic::warning(what)
                        .suggest_or_list(name, "plugins that are built in", names)
                        .note("what is not built in is always taken from installed programs"),
                );
            }
        }
    }

    /// Adds what data blocks use.
    pub(super) fn add_data_sources(
        &mut self,
        template: &Template,
        set: &mut PluginSet,
        diagnostics: &mut Diagnostics,
    ) {
        for (ty, _) in template.data.keys() {
            if !set.data_sources.contains_key(ty) {
                self.add(ty, |set, name| set.data_sources.contains_key(name), set, diagnostics);
            }
        }
    }

    /// Adds what builds use.
    pub(super) fn add_for_builds(
        &mut self,
        builds: &[Build],
        set: &mut PluginSet,
        diagnostics: &mut Diagnostics,
    ) {
        for build in builds {
            for used in &build.sources {
                if !set.builders.contains_key(&used.ty) {
                    self.add(&used.ty, has_builder, set, diagnostics);
                }
            }
            for (ty, steps) in build.sources.iter().map(|used| (&used.ty, &used.steps)) {
                for step in steps.provisioners.iter().chain(&steps.error_cleanup) {
                    let name = step.block.label(0);
                    if !set.provisioners.contains_key(name) {
                        let is_there: IsThere = |set, name| set.provisioners.contains_key(name);
                        self.add(name, is_there, set, diagnostics);
                    }
                }
                for step in steps.post_processors.iter().flatten() {
                    let name = step.block.label(0);
                    if !set.post_processors.contains_key(name) {
                        self.add(name, has_post_processor, set, diagnostics);
                    } else if is_for_other_builders(set, name, ty) {
                        self.replace_post_processor(name, set, diagnostics);
                    }
                }
            }
        }
    }

    /// Lets the post-processor of an installed plugin, if there is one, take the place of what is
    /// built in.
    fn replace_post_processor(
        &mut self,
        name: &str,
        set: &mut PluginSet,
        diagnostics: &mut Diagnostics,
    ) {
        let built_in = set.post_processors.remove(name);
        self.add(name, has_post_processor, set, diagnostics);
        if let (Some(built_in), false) = (built_in, set.post_processors.contains_key(name)) {
            set.post_processors.insert(name.to_owned(), built_in);
        }
    }

    /// Adds the builders of sources that no build uses, as far as they can be had: nobody needs
    /// them.
    pub(super) fn add_for_unused_sources(&mut self, template: &Template, set: &mut PluginSet) {
        let mut ignored = Diagnostics::default();
        for (ty, _) in template.sources.keys() {
            if !set.builders.contains_key(ty) {
                self.add(ty, has_builder, set, &mut ignored);
            }
        }
    }

    /// Notes which plugins need not be reported once more.
    pub(super) fn mark_unavailable(&self, required: &mut [RequiredPlugin]) {
        for plugin in required {
            plugin.unavailable = self.unavailable.contains(&plugin.name);
        }
    }

    /// Adds the plugins that the component `component`, of which `is_there` tells, may be of: first
    /// those that the template requires.
    fn add(
        &mut self,
        component: &str,
        is_there: IsThere,
        set: &mut PluginSet,
        diagnostics: &mut Diagnostics,
    ) {
        // Of those whose names begin alike, the one with the longest.
        let required = self.required.iter().filter(|plugin| plugin.has(component));
        let mut required: Vec<RequiredPlugin> = required.cloned().collect();
        required.sort_by_key(|plugin| std::cmp::Reverse(plugin.name.len()));
        for plugin in &required {
            self.add_required(plugin, set, diagnostics);
            // One that cannot be had, which was reported, may have it.
            if is_there(set, component) || self.unavailable.contains(&plugin.name) {
                return;
            }
        }
        // The last, and so the newest, of each plugin.
        let mut names: Vec<String> =
            self.found(diagnostics).iter().map(|one| one.name.clone()).collect();
        names.dedup();
        names.retain(|name| is_of(name, component));
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        let preferred = preferred_names().into_iter().find(|name| is_of(name, component));
        if let (Some(name), true) = (preferred, names.is_empty()) {
            let what = format!("{PREFER_INSTALLED} names `{name}`, which is not installed");
            diagnostics.push(Diagnostic::warning(what));
        }
        for name in names {
            if !self.seen.insert(name.clone()) {
                continue;
            }
            let installations = self.found(diagnostics).to_vec();
            let mut candidates: Vec<&Installation> =
                installations.iter().filter(|one| one.name == name).collect();
            candidates.sort_by(|a, b| a.version.cmp(&b.version));
            let open =
                |one: &Installation| Program::open(&self.host, one, cache_directory().as_deref());
            match newest_that_opens(candidates.into_iter().rev(), open) {
                Some(Ok(program)) => program.register(&name, set),
                Some(Err(problem)) => {
                    let what = format!("the plugin `{name}` cannot be used: {problem}");
                    diagnostics.push(Diagnostic::warning(what));
                }
                None => {}
            }
        }
    }

    fn add_required(
        &mut self,
        plugin: &RequiredPlugin,
        set: &mut PluginSet,
        diagnostics: &mut Diagnostics,
    ) {
        if !self.seen.insert(plugin.name.clone()) {
            return;
        }
        let found = self.found(diagnostics).to_vec();
        let installed = discovery::of_source(&found, &plugin.source);
        let locked = self.lock.as_ref().and_then(|lock| {
            let allow = |version: &_| plugin.versions.allow(&core(version));
            lock.get(&plugin.source, &plugin.constraints, allow)
        });
        let allowed = installed.iter().copied().filter(|one| {
            plugin.versions.allow(&core(&one.version))
                && locked.is_none_or(|locked| locked.version == one.version)
        });
        // Of a locked plugin only the locked version is allowed.
        let problem = match newest_that_opens(allowed, |one| self.open(one, locked)) {
            Some(Ok(program)) => return program.register(&plugin.name, set),
            Some(Err(problem)) => {
                Diagnostic::error(format!("the plugin `{}` cannot be used", plugin.source))
                    .at(plugin.span)
                    .note(problem)
            }
            // What is built in has another way to say that it lacks the component.
            None if set.provided.contains_key(&plugin.source) => return,
            None => {
                let versions: Vec<String> =
                    installed.iter().rev().map(|one| one.version.to_string()).collect();
                let mut missing =
                    Diagnostic::error(format!("the plugin `{}` is not installed", plugin.source))
                        .at(plugin.span);
                if !versions.is_empty() {
                    missing = missing
                        .label("in this version")
                        .note(format!("installed: {}", versions.join(", ")));
                }
                if let Some(locked) = locked {
                    missing = missing.note(format!("the lock file names {}", locked.version));
                }
                missing
            }
        };
        diagnostics.push(problem.help("run `ingot init` to install it"));
        self.unavailable.insert(plugin.name.clone());
    }

    /// Opens an installation that may be locked to a hash.
    fn open(&self, one: &Installation, locked: Option<&LockedPlugin>) -> Result<Program, String> {
        let cache = cache_directory();
        if let Some(locked) = locked {
            let hash = one.verified(cache.as_deref())?;
            let platform = Platform::current().to_string();
            if !locked.proves_program(&platform, &hash, cache.as_deref()) {
                if !locked.programs.contains_key(&platform) {
                    return Err(format!(
                        "the lock file names only the archive of it, and {} is not known to come \
                         from that",
                        one.path.display()
                    ));
                }
                return Err(format!(
                    "{} is not the program that the lock file names: its SHA-256 is {hash}",
                    one.path.display()
                ));
            }
        }
        Program::open(&self.host, one, cache.as_deref())
    }

    fn found(&mut self, diagnostics: &mut Diagnostics) -> &[Installation] {
        let releases_only = self.releases_only;
        diagnostics.extend(self.setting_error.take());
        self.found.get_or_insert_with(|| match discovery::plugin_directory() {
            Ok(Some(directory)) => {
                let mut found = discovery::installations(&directory);
                found.retain(|one| !releases_only || one.version.pre.is_empty());
                found
            }
            Ok(None) => Vec::new(),
            Err(problem) => {
                diagnostics.push(Diagnostic::error(problem));
                Vec::new()
            }
        })
    }
}

/// Whether a component is in a set, by its name.
type IsThere = fn(&PluginSet, &str) -> bool;

fn has_builder(set: &PluginSet, name: &str) -> bool {
    set.builders.contains_key(name)
}

fn has_post_processor(set: &PluginSet, name: &str) -> bool {
    set.post_processors.contains_key(name)
}

/// How many components there are.
fn number_of_components(set: &PluginSet) -> usize {
    let builders = set.builders.len() + set.provisioners.len();
    builders + set.post_processors.len() + set.data_sources.len()
}

/// The plugins whose installed programs users prefer.
fn preferred_names() -> Vec<String> {
    let names = std::env::var(PREFER_INSTALLED).unwrap_or_default();
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// The lock file of a template.
fn lock_file(template: &Template) -> Result<LockFile, Diagnostic> {
    LockFile::read(&template.dir).map_err(|error| diagnostic(&error))
}

fn diagnostic(error: &Error) -> Diagnostic {
    let diagnostic = Diagnostic::error(error.to_string());
    match error.advice() {
        Some(advice) => diagnostic.help(advice),
        None => diagnostic,
    }
}

/// The first of `candidates`, which go from new to old, that opens; if none does, what is wrong
/// with the newest. None where there are no candidates.
fn newest_that_opens<'a, T>(
    candidates: impl Iterator<Item = &'a Installation>,
    open: impl Fn(&Installation) -> Result<T, String>,
) -> Option<Result<T, String>> {
    let mut newest = None;
    for one in candidates {
        match open(one) {
            Ok(program) => return Some(Ok(program)),
            Err(problem) => {
                tracing::warn!(path = %one.path.display(), %problem, "passing over a plugin");
                newest.get_or_insert(problem);
            }
        }
    }
    newest.map(Err)
}

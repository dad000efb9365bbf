//! The lock file of a template: which versions of its plugins were installed, and their hashes.
//!
//! `.ingot.lock.hcl` beside the template has a block for each plugin:
//!
//! ```hcl
//! plugin "github.com/acme/thing" {
//!   version     = "1.2.3"
//!   constraints = ">= 1.2"
//!   archives = {
//!     darwin_arm64 = "sha256:…"
//!     linux_amd64  = "sha256:…"
//!   }
//!   programs = {
//!     linux_amd64 = "sha256:…"
//!   }
//! }
//! ```
//!
//! Archives are what is downloaded, for all platforms of the release; programs are what was in them,
//! as far as it was installed where the file was written. A plugin that is required under several names
//! has a block for each of the constraints.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hcl_edit::expr::{Expression, Object, ObjectKey, ObjectValue};
use hcl_edit::structure::{Attribute, Block, Body, Structure};
use hcl_edit::{Decorate as _, Ident};
use ingot_sdk::file_lock::wait_for;
use ingot_sdk::whole_file::{self, Mode, Options};
use ingot_sdk::{Context, Error, ErrorKind, Platform, Result};
use semver::Version;

use crate::install::proof;

/// The name of the file.
pub const NAME: &str = ".ingot.lock.hcl";
/// The largest file that is read, in bytes.
const MAX_SIZE: u64 = 4 << 20;
/// How long another process may take to change the file, which takes no time.
const PATIENCE: Duration = Duration::from_secs(30);
/// How hashes are written.
const ALGORITHM: &str = "sha256:";
/// What a new file begins with.
const HEADER: &str = "\
# Written by `ingot init`: the plugins of this template and what they hash to. Keep it under version
# control; `ingot init -upgrade` takes newer versions.

";

/// What was installed of one plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedPlugin {
    /// The version.
    pub version: Version,
    /// What the template allowed then.
    pub constraints: String,
    /// The SHA-256 of the archives, in hexadecimal, by platform (`linux_amd64`).
    pub archives: BTreeMap<String, String>,
    /// The SHA-256 of the programs, in hexadecimal, by platform.
    pub programs: BTreeMap<String, String>,
}

impl LockedPlugin {
    /// Whether a program with this hash may be used: one of another hash than the one that is
    /// locked for its platform may not.
    pub fn allows_program(&self, platform: &str, hash: &str) -> bool {
        self.programs.get(platform).is_none_or(|locked| locked.eq_ignore_ascii_case(hash))
    }

    /// Whether a program with this hash is the one that is locked: its hash is, or that of the
    /// archive is and the cache `cache` has it that the program was unpacked from that. Any is where
    /// nothing is known of its platform.
    pub fn proves_program(&self, platform: &str, hash: &str, cache: Option<&Path>) -> bool {
        match (self.programs.get(platform), self.archives.get(platform)) {
            (None, Some(archive)) => proof::is_from(cache, archive, hash),
            _ => self.allows_program(platform, hash),
        }
    }

    /// Whether it says what the program of this machine must be, or the archive it comes from.
    pub fn knows_this_platform(&self) -> bool {
        let platform = Platform::current().to_string();
        self.archives.contains_key(&platform) || self.programs.contains_key(&platform)
    }
}

/// A lock file.
#[derive(Debug)]
pub struct LockFile {
    path: PathBuf,
    /// The text as it was read or written.
    text: Option<String>,
    body: Body,
    plugins: Plugins,
}

/// What is locked, by the plugin's source and the constraints.
type Plugins = BTreeMap<(String, String), LockedPlugin>;

impl LockFile {
    /// Reads the lock file of the template in `directory`; an empty one where there is none.
    ///
    /// # Errors
    /// It cannot be read, or is not what a lock file is.
    pub fn read(directory: &Path) -> Result<LockFile> {
        let path = directory.join(NAME);
        let reading = || format!("the lock file {}", path.display());
        let text = match fs::File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            opened => {
                let mut text = String::new();
                let mut file = opened.with_context(reading)?.take(MAX_SIZE + 1);
                file.read_to_string(&mut text).with_context(reading)?;
                if text.len() as u64 > MAX_SIZE {
                    return Err(Error::new("it is too long").context(reading()));
                }
                Some(text)
            }
        };
        let parsed = parse(text.as_deref().unwrap_or_default());
        let (body, plugins) = parsed.map_err(|problem| {
            Error::new(problem)
                .context(reading())
                .hint("take it as it is under version control, or remove it and run `ingot init`")
        })?;
        Ok(LockFile { text, body, plugins, path })
    }

    /// Changes the lock file of the template in `directory` as it is now, while nobody else does:
    /// it may be another one than when the installation began. Whether it was changed.
    ///
    /// # Errors
    /// It cannot be read or written, or another process does not give it up.
    pub fn update(directory: &Path, change: impl FnOnce(&mut LockFile)) -> Result<bool> {
        let _alone = alone(directory)?;
        let mut file = LockFile::read(directory)?;
        change(&mut file);
        file.write()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is such a file.
    pub fn exists(&self) -> bool {
        self.text.is_some()
    }

    /// What is locked of the plugin `source` where it is required with `constraints`, which hold for
    /// what `allow` returns. Where these were others when it was locked, what was locked counts all the
    /// same: of several, the newest that is allowed.
    pub fn get(
        &self,
        source: &str,
        constraints: &str,
        allow: impl Fn(&Version) -> bool,
    ) -> Option<&LockedPlugin> {
        let exact = self.of_source(source).find(|plugin| plugin.constraints == constraints);
        exact.or_else(|| {
            self.of_source(source).max_by_key(|plugin| (allow(&plugin.version), &plugin.version))
        })
    }

    /// Locks a plugin. What is known stays where the version does, also of other platforms. If nothing
    /// was locked for its constraints, it takes the place of what was locked for others of which
    /// `is_required` says that nothing requires them any more.
    pub fn set(
        &mut self,
        source: &str,
        mut plugin: LockedPlugin,
        is_required: impl Fn(&str) -> bool,
    ) {
        let same = self.of_source(source).filter(|old| old.version == plugin.version);
        for LockedPlugin { archives, programs, .. } in same.cloned().collect::<Vec<_>>() {
            plugin.archives.extend(archives);
            plugin.programs.extend(programs);
        }
        let key = (source.to_owned(), plugin.constraints.clone());
        if self.plugins.get(&key) == Some(&plugin) {
            return;
        }
        let replaced = match self.plugins.contains_key(&key) {
            true => Some(key.clone()),
            false => {
                let mut others = self.of_source(source).map(|other| &other.constraints);
                let unused = others.find(|constraints| !is_required(constraints));
                unused.map(|constraints| (source.to_owned(), constraints.clone()))
            }
        };
        let position = replaced.as_ref().and_then(|replaced| self.position(replaced));
        let mut block = block(source, &plugin);
        match position.and_then(|position| self.body.get_mut(position)) {
            Some(place) => {
                if let Some(old) = place.as_block_mut() {
                    // Keeps the comment before it.
                    *block.decor_mut() = old.decor().clone();
                    old.body = block.body;
                }
            }
            None => {
                if !self.body.is_empty() {
                    block.decor_mut().set_prefix("\n");
                }
                self.body.push(block);
            }
        }
        if let Some(replaced) = replaced {
            self.plugins.remove(&replaced);
        }
        self.plugins.insert(key, plugin);
    }

    /// Removes what `required` says is not required, by source and constraints.
    pub fn retain(&mut self, required: impl Fn(&str, &str) -> bool) {
        let is_gone = |(source, constraints): &&(String, String)| !required(source, constraints);
        let gone: Vec<_> = self.plugins.keys().filter(is_gone).cloned().collect();
        for key in gone {
            if let Some(position) = self.position(&key) {
                self.body.remove(position);
            }
            self.plugins.remove(&key);
        }
    }

    fn of_source(&self, source: &str) -> impl Iterator<Item = &LockedPlugin> {
        self.plugins.iter().filter(move |((its, _), _)| its == source).map(|(_, plugin)| plugin)
    }

    fn position(&self, (source, constraints): &(String, String)) -> Option<usize> {
        self.body.iter().position(|structure| match structure {
            Structure::Block(block) => {
                block.has_ident("plugin")
                    && block.labels.first().is_some_and(|label| label.as_str() == source)
                    && text(block, "constraints").unwrap_or_default() == constraints
            }
            Structure::Attribute(_) => false,
        })
    }

    /// Writes the file, if it is another one now. Whether it was.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&mut self) -> Result<bool> {
        let mut text = self.body.to_string();
        if self.text.is_none() {
            if self.plugins.is_empty() {
                return Ok(false);
            }
            text.insert_str(0, HEADER);
        }
        if self.text.as_ref() == Some(&text) {
            return Ok(false);
        }
        let writing = || format!("writing {}", self.path.display());
        let options = Options { mode: Mode::Exact(0o644), ..Options::default() };
        whole_file::write(&self.path, text.as_bytes(), &options).with_context(writing)?;
        self.text = Some(text);
        Ok(true)
    }
}

/// Locks a directory for changes of its lock file, until what is yielded is closed. The directory
/// itself is locked, so that no other file comes to stand in it.
fn alone(directory: &Path) -> Result<Option<fs::File>> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let file =
        fs::File::open(directory).with_context(|| format!("opening {}", directory.display()))?;
    match wait_for(&file, PATIENCE) {
        Ok(true) => Ok(Some(file)),
        Ok(false) => {
            let message =
                format!("another process changes the lock file in {}", directory.display());
            Err(Error::new(message).of_kind(ErrorKind::Busy))
        }
        Err(error) => {
            // Some filesystems have no locks, or none for directories.
            tracing::debug!(%error, "the lock file is changed without a lock");
            Ok(None)
        }
    }
}

fn parse(text: &str) -> Result<(Body, Plugins), String> {
    let body = hcl_edit::parser::parse_body(text).map_err(|error| {
        let place = error.location();
        format!("line {}, column {}: {}", place.line(), place.column(), error.message())
    })?;
    let mut plugins = BTreeMap::new();
    for structure in &body {
        let Structure::Block(block) = structure else {
            return Err("there are only `plugin` blocks in a lock file".to_owned());
        };
        let (true, [label]) = (block.has_ident("plugin"), &block.labels[..]) else {
            return Err(format!(
                "there are only blocks like `plugin \"github.com/acme/thing\"` in a lock file, not \
                 `{}`",
                block.ident.as_str()
            ));
        };
        let source = label.as_str();
        let plugin = read_plugin(block).map_err(|problem| format!("{source}: {problem}"))?;
        let constraints = plugin.constraints.clone();
        if plugins.insert((source.to_owned(), constraints), plugin).is_some() {
            return Err(format!("there are two blocks for {source} with the same constraints"));
        }
    }
    Ok((body, plugins))
}

fn read_plugin(block: &Block) -> Result<LockedPlugin, String> {
    let version = text(block, "version").ok_or("it has no `version`")?;
    let version = Version::parse(version).map_err(|error| format!("`version`: {error}"))?;
    Ok(LockedPlugin {
        version,
        constraints: text(block, "constraints").unwrap_or_default().to_owned(),
        archives: hashes(block, "archives")?,
        programs: hashes(block, "programs")?,
    })
}

fn text<'b>(block: &'b Block, name: &str) -> Option<&'b str> {
    block.body.get_attribute(name)?.value.as_str()
}

fn hashes(block: &Block, name: &str) -> Result<BTreeMap<String, String>, String> {
    let Some(attribute) = block.body.get_attribute(name) else { return Ok(BTreeMap::new()) };
    let invalid = || format!("`{name}` is not hashes by platform: linux_amd64 = \"{ALGORITHM}…\"");
    let object = attribute.value.as_object().ok_or_else(invalid)?;
    let entry = |(key, value): (&ObjectKey, &ObjectValue)| {
        let key = match key {
            ObjectKey::Ident(ident) => ident.as_str(),
            ObjectKey::Expression(expression) => expression.as_str()?,
        };
        let hash = value.expr().as_str()?.strip_prefix(ALGORITHM)?;
        let whole = hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit());
        whole.then(|| (key.to_owned(), hash.to_ascii_lowercase()))
    };
    object.iter().map(|pair| entry(pair).ok_or_else(invalid)).collect()
}

fn block(source: &str, plugin: &LockedPlugin) -> Block {
    let attribute = |name: &str, value: Expression| {
        let mut attribute = Attribute::new(Ident::new(name), value);
        attribute.decor_mut().set_prefix("  ");
        attribute
    };
    let mut body = Body::new();
    body.push(attribute("version", plugin.version.to_string().into()));
    if !plugin.constraints.is_empty() {
        body.push(attribute("constraints", plugin.constraints.clone().into()));
    }
    for (name, hashes) in [("archives", &plugin.archives), ("programs", &plugin.programs)] {
        if !hashes.is_empty() {
            body.push(attribute(name, object(hashes).into()));
        }
    }
    let mut block = Block::builder(Ident::new("plugin")).label(source).build();
    block.body = body;
    block
}

fn object(hashes: &BTreeMap<String, String>) -> Object {
    let mut object = Object::new();
    for (key, hash) in hashes {
        let mut key = ObjectKey::Expression(Expression::from(key.as_str()));
        key.decor_mut().set_prefix("\n    ");
        key.decor_mut().set_suffix(" ");
        let mut value = ObjectValue::new(format!("{ALGORITHM}{hash}"));
        value.set_terminator(hcl_edit::expr::ObjectValueTerminator::None);
        object.insert(key, value);
    }
    object.set_trailing("\n  ");
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(version: &str) -> LockedPlugin {
        let hashes = |c: &str| {
            BTreeMap::from([
                ("darwin_arm64".to_owned(), c.repeat(64)),
                ("linux_amd64".to_owned(), c.repeat(64)),
            ])
        };
        LockedPlugin {
            version: Version::parse(version).unwrap(),
            constraints: ">= 1.0".to_owned(),
            archives: hashes("a"),
            programs: BTreeMap::new(),
        }
    }

    #[test]
    fn what_is_written_is_read_and_comments_stay() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = LockFile::read(directory.path()).unwrap();
        assert!(!file.write().unwrap(), "nothing to lock, no file");
        let set = |file: &mut LockFile, source: &str, plugin: LockedPlugin| {
            file.set(source, plugin, |_| false);
        };
        let get = |file: &LockFile, source: &str| file.get(source, ">= 1.0", |_| true).cloned();
        set(&mut file, "github.com/a/one", plugin("1.0.0"));
        set(&mut file, "github.com/a/two", plugin("1.1.0"));
        assert!(file.write().unwrap());
        let path = directory.path().join(NAME);
        let text = fs::read_to_string(&path).unwrap();
        let line = format!("    \"linux_amd64\" = \"sha256:{}\"\n", "a".repeat(64));
        assert!(text.contains(&line), "{text}");
        fs::write(
            &path,
            text.replace("plugin \"github.com/a/two\"", "# why\nplugin \"github.com/a/two\""),
        )
        .unwrap();
        let mut file = LockFile::read(directory.path()).unwrap();
        assert_eq!(get(&file, "github.com/a/two"), Some(plugin("1.1.0")));
        assert!(!file.write().unwrap(), "it is as it was");
        // Other platforms stay known for as long as the version is the same.
        let here = LockedPlugin {
            archives: BTreeMap::new(),
            programs: [("linux_amd64".to_owned(), "b".repeat(64))].into(),
            ..plugin("1.1.0")
        };
        set(&mut file, "github.com/a/two", here);
        assert_eq!(get(&file, "github.com/a/two").unwrap().archives.len(), 2);
        // Other constraints do not change whose block it is.
        let newer = LockedPlugin { constraints: ">= 1.2".to_owned(), ..plugin("1.2.0") };
        set(&mut file, "github.com/a/two", newer.clone());
        file.retain(|source, _| source.ends_with("two"));
        assert!(file.write().unwrap());
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("# why\nplugin") && !text.contains("a/one"), "{text}");
        let read = LockFile::read(directory.path()).unwrap();
        assert_eq!(get(&read, "github.com/a/two"), Some(newer));
    }

    #[test]
    fn a_plugin_may_be_locked_in_several_versions() {
        let source = "github.com/a/one";
        let of = |constraints: &str, version: &str| LockedPlugin {
            constraints: constraints.to_owned(),
            ..plugin(version)
        };
        let directory = tempfile::tempdir().unwrap();
        let mut file = LockFile::read(directory.path()).unwrap();
        file.set(source, of("1.0.0", "1.0.0"), |_| true);
        file.set(source, of("~> 1.1", "1.1.0"), |_| true);
        assert!(file.write().unwrap());
        let mut file = LockFile::read(directory.path()).unwrap();
        let version = |file: &LockFile, constraints: &str, newest: u64| {
            let locked = file.get(source, constraints, |version| version.minor <= newest);
            locked.map(|locked| locked.version.to_string())
        };
        assert_eq!(version(&file, "1.0.0", 0).as_deref(), Some("1.0.0"));
        assert_eq!(version(&file, "~> 1.1", 9).as_deref(), Some("1.1.0"));
        // It was required otherwise when it was locked.
        assert_eq!(version(&file, ">= 1.0", 9).as_deref(), Some("1.1.0"));
        assert_eq!(version(&file, "~> 1.0.0", 0).as_deref(), Some("1.0.0"));
        // What is required no more makes room.
        file.set(source, of("~> 1.2", "1.2.0"), |constraints| constraints == "1.0.0");
        assert_eq!(version(&file, "~> 1.2", 9).as_deref(), Some("1.2.0"));
        assert_eq!(version(&file, "1.0.0", 0).as_deref(), Some("1.0.0"));
        file.retain(|_, constraints| constraints == "~> 1.2");
        assert!(file.write().unwrap());
        let file = LockFile::read(directory.path()).unwrap();
        assert_eq!(version(&file, "1.0.0", 0).as_deref(), Some("1.2.0"));
    }

    #[test]
    fn what_is_no_lock_file_is_refused() {
        for (text, reported) in [
            ("plugin \"a/b/c\" {", "line"),
            ("x = 1", "only `plugin` blocks"),
            ("provider \"a/b/c\" {}", "not `provider`"),
            ("plugin \"a/b/c\" {}", "a/b/c: it has no `version`"),
            (
                "plugin \"a/b/c\" {\n version = \"1.0.0\"\n}\nplugin \"a/b/c\" {\n version = \"2.0.0\"\n}",
                "two blocks for a/b/c with the same constraints",
            ),
            ("plugin \"a/b/c\" {\n version = \"1\"\n}", "a/b/c: `version`"),
            (
                "plugin \"a/b/c\" {\n version = \"1.0.0\"\n archives = { x = \"y\" }\n}",
                "`archives`",
            ),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(reported), "{text}: {problem}");
        }
    }
}

//! Where plugins are installed, and which of them a run uses.
//!
//! The places, file names and rules are Packer's: a program is installed as
//! `HOST/OWNER/NAME/packer-plugin-NAME_vX.Y.Z_x5.0_OS_ARCH` below the plugin directory, with its
//! SHA-256 in a file beside it that ends in `_SHA256SUM`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use ingot_sdk::file_work::{read_small_text, with_suffix};
use ingot_sdk::home::home_dir;
use ingot_sdk::{Platform, environment};
use semver::Version;

use crate::cache;

/// How deep programs may be below the plugin directory.
const MAX_DEPTH: usize = 16;
/// The largest file with a checksum, in bytes.
const LARGEST_SUM: u64 = 4096;
/// The name of a program begins with this.
const PREFIX: &str = "packer-plugin-";
/// The version of the protocol, as names of programs have it.
pub(crate) const API: &str = "x5.0";

/// The plugin directory: `PACKER_PLUGIN_PATH`, else `plugins` in Packer's configuration directory.
/// None where nothing says where that is.
///
/// # Errors
/// `PACKER_PLUGIN_PATH` names several directories.
pub fn plugin_directory() -> Result<Option<PathBuf>, String> {
    directory_of(&environment::set, home_dir)
}

fn directory_of(
    set: &dyn Fn(&str) -> Option<OsString>,
    home: impl Fn() -> Option<PathBuf>,
) -> Result<Option<PathBuf>, String> {
    if let Some(path) = set("PACKER_PLUGIN_PATH") {
        return match path.to_string_lossy().contains(':') {
            true => Err("PACKER_PLUGIN_PATH must name one directory, not several".to_owned()),
            false => Ok(Some(path.into())),
        };
    }
    if let Some(directory) = set("PACKER_CONFIG_DIR") {
        return Ok(Some(PathBuf::from(directory).join(".packer.d").join("plugins")));
    }
    let Some(home) = home() else { return Ok(None) };
    let old = home.join(".packer.d");
    Ok(Some(match (old.exists(), set("XDG_CONFIG_HOME")) {
        (true, _) => old.join("plugins"),
        (false, Some(config)) => PathBuf::from(config).join("packer").join("plugins"),
        (false, None) => home.join(".config").join("packer").join("plugins"),
    }))
}

/// A program that is installed, as far as its file's name tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The file.
    pub path: PathBuf,
    /// The directory below the plugin directory: the plugin's source, such as
    /// `github.com/hashicorp/ansible`.
    pub source: String,
    /// The plugin's name, such as `ansible`.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// The version of the protocol, such as `x5.0`.
    pub api: String,
}

/// How the programs of this machine end.
fn suffix() -> String {
    format!("_{}", Platform::current().suffix())
}

/// Where the checksum of the program at `path` is.
pub(crate) fn sum_file(path: &Path) -> PathBuf {
    with_suffix(path, "_SHA256SUM")
}

/// The programs of this machine below `directory` that could be used, the oldest of each plugin
/// first. Whether they are what they seem is not known before [`Installation::verified`].
pub fn installations(directory: &Path) -> Vec<Installation> {
    let mut found = Vec::new();
    collect(directory, directory, 0, &suffix(), &mut found);
    found.sort_by(|a, b| {
        (&a.source, &a.version, &a.api, &a.path).cmp(&(&b.source, &b.version, &b.api, &b.path))
    });
    found
}

fn collect(
    root: &Path,
    directory: &Path,
    depth: usize,
    suffix: &str,
    found: &mut Vec<Installation>,
) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => {
                collect(root, &path, depth + 1, suffix, found);
            }
            // What lies in the plugin directory itself was not installed by Packer's rules.
            Ok(kind) if !kind.is_dir() && depth > 0 => {
                found.extend(named(root, &path, suffix));
            }
            _ => {}
        }
    }
}

/// The installation that a file's name stands for.
fn named(root: &Path, path: &Path, suffix: &str) -> Option<Installation> {
    let file = path.file_name()?.to_str()?;
    let middle = file.strip_prefix(PREFIX)?.strip_suffix(suffix)?;
    let ignored = |why: &str| {
        tracing::debug!(path = %path.display(), "ignoring a plugin: {why}");
        None
    };
    let (name, versions) = middle.split_once('_')?;
    let (version, api) = match versions.split_once('_') {
        Some((version, api)) => (version, api),
        None => return ignored("its name has no protocol version"),
    };
    let version = match version.strip_prefix('v').map(Version::parse) {
        Some(Ok(version)) if version.build.is_empty() => version,
        _ => return ignored("the version in its name is not like v1.2.3"),
    };
    if api != API {
        return ignored("it speaks another version of the protocol");
    }
    let source = path.parent()?.strip_prefix(root).ok()?.to_str()?.replace('\\', "/");
    let (name, api) = (name.to_owned(), api.to_owned());
    Some(Installation { path: path.to_owned(), source, name, version, api })
}

/// A version without its pre-release, which is how constraints look at what is installed.
pub fn core(version: &Version) -> String {
    format!("{}.{}.{}", version.major, version.minor, version.patch)
}

/// Those of `installations`, sorted as [`installations()`] does, that a template which requires
/// `source` may use, the best first: the newest, as for Packer; of one version, that in the plugin's own
/// directory.
pub fn of_source<'a>(installations: &'a [Installation], source: &str) -> Vec<&'a Installation> {
    let newest_first = installations.iter().rev();
    let mut found: Vec<&Installation> = newest_first.filter(|one| one.is_of(source)).collect();
    let is_elsewhere = |one: &Installation| one.source != source;
    found.sort_by(|a, b| {
        b.version.cmp(&a.version).then_with(|| is_elsewhere(a).cmp(&is_elsewhere(b)))
    });
    found
}

impl Installation {
    /// Whether a template that requires `source` may use it: it is called like that plugin, and lies
    /// anywhere in the directory of the plugin's owner, which is enough for Packer.
    pub fn is_of(&self, source: &str) -> bool {
        let (owner, name) = source.rsplit_once('/').unwrap_or(("", source));
        let below = self.source.strip_prefix(owner);
        self.name == name && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The SHA-256 of the program, in hexadecimal, once it was compared with the one that was
    /// written down when it was installed.
    ///
    /// # Errors
    /// There is none beside it, or it is another one; a program without must not be run.
    pub fn verified(&self, cache: Option<&Path>) -> Result<String, String> {
        let sum = sum_file(&self.path);
        let expected =
            read_sum(&sum).map_err(|error| format!("its checksum cannot be read: {error}"))?;
        let hash = cache::hash(cache, &self.path)
            .map_err(|error| format!("{} cannot be read: {error}", self.path.display()))?;
        match hash.eq_ignore_ascii_case(&expected) {
            true => Ok(hash),
            false => Err(format!(
                "{} is not the program that was installed: its checksum is another one than that \
                 in {}",
                self.path.display(),
                sum.display()
            )),
        }
    }
}

/// The first word of a checksum file: the name of the file may follow it.
fn read_sum(path: &Path) -> ingot_sdk::Result<String> {
    let text = read_small_text(path, "checksum", LARGEST_SUM)?;
    Ok(text.split_whitespace().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_where_packer_looks() {
        let home = tempfile::tempdir().unwrap();
        let directory = |variables: &[(&str, &str)]| {
            let set = |name: &str| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| (*value).into())
            };
            directory_of(&set, || Some(home.path().into()))
        };
        let under = |path: &str| Ok(Some(home.path().join(path)));
        assert_eq!(directory(&[("PACKER_PLUGIN_PATH", "/p")]), Ok(Some("/p".into())));
        assert!(directory(&[("PACKER_PLUGIN_PATH", "/p:/q")]).is_err());
        assert_eq!(
            directory(&[("PACKER_CONFIG_DIR", "/c")]),
            Ok(Some("/c/.packer.d/plugins".into()))
        );
        assert_eq!(directory(&[]), under(".config/packer/plugins"));
        assert_eq!(directory(&[("XDG_CONFIG_HOME", "/x")]), Ok(Some("/x/packer/plugins".into())));
        fs::create_dir(home.path().join(".packer.d")).unwrap();
        assert_eq!(directory(&[("XDG_CONFIG_HOME", "/x")]), under(".packer.d/plugins"));
    }

    #[test]
    fn only_what_follows_the_rules_is_found_the_newest_last() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("github.com/acme/thing");
        fs::create_dir_all(&directory).unwrap();
        let end = suffix();
        for name in [
            format!("packer-plugin-thing_v1.10.0_x5.0{end}"),
            format!("packer-plugin-thing_v1.9.0_x5.0{end}"),
            format!("packer-plugin-thing_v1.11.0-dev_x5.0{end}"),
            format!("packer-plugin-thing_v2.0.0_x6.0{end}"),
            format!("packer-plugin-thing_v1.2_x5.0{end}"),
            format!("packer-plugin-thing_v1.12.0+meta_x5.0{end}"),
            format!("packer-plugin-thing_v1.10.0_x5.0{end}_SHA256SUM"),
            "packer-plugin-thing_v1.10.0_x5.0_plan9_mips".to_owned(),
        ] {
            fs::write(directory.join(&name), name).unwrap();
        }
        fs::write(root.path().join(format!("packer-plugin-root_v1.0.0_x5.0{end}")), "").unwrap();
        let found = installations(root.path());
        let versions: Vec<String> = found.iter().map(|one| one.version.to_string()).collect();
        assert_eq!(versions, ["1.9.0", "1.10.0", "1.11.0-dev"]);
        assert!(found.iter().all(|one| one.source == "github.com/acme/thing"));
        assert!(found.iter().all(|one| one.name == "thing"));
        assert!(of_source(&found, "github.com/acme/other").is_empty());
        // Its checksum file does not hold its checksum.
        assert!(found[1].verified(None).unwrap_err().contains("another one"));
        assert!(found[0].verified(None).unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn a_plugin_may_lie_anywhere_in_its_owner_s_directory() {
        let root = tempfile::tempdir().unwrap();
        let end = suffix();
        for (directory, version) in [
            ("github.com/acme", "1.3.0"),
            ("github.com/acme/thing", "1.0.0"),
            ("github.com/acme/thing", "1.1.0"),
            ("github.com/acme/a", "1.1.0"),
            ("github.com/acme/a/thing", "1.2.0"),
            ("github.com/acmes/thing", "2.0.0"),
            ("github.com", "2.1.0"),
        ] {
            let directory = root.path().join(directory);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join(format!("packer-plugin-thing_v{version}_x5.0{end}")), "")
                .unwrap();
        }
        fs::write(
            root.path().join(format!("github.com/acme/thing/packer-plugin-odd_v3.0.0_x5.0{end}")),
            "",
        )
        .unwrap();
        let found = installations(root.path());
        let found = of_source(&found, "github.com/acme/thing");
        let versions: Vec<String> = found.iter().map(|one| one.version.to_string()).collect();
        assert_eq!(versions, ["1.3.0", "1.2.0", "1.1.0", "1.1.0", "1.0.0"]);
        let sources: Vec<&str> = found[2..4].iter().map(|one| one.source.as_str()).collect();
        assert_eq!(sources, ["github.com/acme/thing", "github.com/acme/a"]);
    }
}

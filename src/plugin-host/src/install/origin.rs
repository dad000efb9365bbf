//! Where releases of plugins are: GitHub, a releases server such as releases.hashicorp.com, or a
//! mirror, which is a server or a directory.
//!
//! GitHub is asked for the tags of `OWNER/packer-plugin-NAME`, and has the files of the release
//! `vX.Y.Z`. A releases server has `packer-plugin-NAME/index.json` and the files of a release in
//! `packer-plugin-NAME/X.Y.Z/`. In a mirror the files of all releases of a plugin are in
//! `HOST/OWNER/NAME/`; a server has `index.json` there, like that of a releases server. A directory
//! may also have the programs themselves, as a plugin directory has.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use ingot_sdk::environment::set_text;
use ingot_sdk::file_work::{read_small, read_small_text};
use ingot_sdk::{Context, Error, Platform, Result, http};
use semver::Version;
use serde::Deserialize;

use super::PluginAddress;
use super::candidate::{self, Asset};
use super::signature;
use super::transfer::{Request, Transfer};
use crate::discovery;

/// The largest list of versions that is read.
const MAX_INDEX: u64 = 16 << 20;
/// The largest list of checksums or manifest that is read.
const MAX_LIST: u64 = 1 << 20;
/// The owner whose plugins are on the releases server.
const RELEASES_OWNER: &str = "hashicorp";

/// Where to look for plugins.
#[derive(Debug, Clone)]
pub struct Origins {
    mirror: Option<Origin>,
    releases: String,
    github: String,
    github_api: String,
}

/// One place that has releases.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    GitHub { web: String, api: String },
    Releases(String),
    Mirror(String),
    Directory(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::GitHub { web: url, .. } | Origin::Releases(url) | Origin::Mirror(url) => {
                f.write_str(&http::shown(url))
            }
            Origin::Directory(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Origins {
    /// What the environment says, and `mirror` where it is given: a URL or a directory that takes
    /// the place of everything else.
    ///
    /// # Errors
    /// The mirror is neither.
    pub fn from_environment(mirror: Option<&str>) -> Result<Origins> {
        let url = |name, default: &str| {
            set_text(name).unwrap_or_else(|| default.to_owned()).trim_end_matches('/').to_owned()
        };
        let mirror = mirror.map(str::to_owned).or_else(|| set_text("INGOT_PLUGIN_MIRROR"));
        Ok(Origins {
            mirror: mirror.as_deref().map(mirror_at).transpose()?,
            releases: url("INGOT_PLUGIN_RELEASES_URL", "https://releases.hashicorp.com"),
            github: url("INGOT_PLUGIN_GITHUB_URL", "https://github.com"),
            github_api: url("INGOT_PLUGIN_GITHUB_API_URL", "https://api.github.com"),
        })
    }

    /// Adds a hint about mirrors where a server in the network could not be reached.
    pub(super) fn with_advice(&self, error: Error) -> Error {
        match self.mirror.is_none() && error.is_transient() && error.advice().is_none() {
            true => error.hint(
                "where the network cannot be reached, -plugin-mirror or INGOT_PLUGIN_MIRROR names a \
                 directory or a server that has the plugin",
            ),
            false => error,
        }
    }

    /// The places that may have a plugin, the first to ask first.
    pub(super) fn of(&self, address: &PluginAddress) -> Result<Vec<Origin>> {
        if let Some(mirror) = &self.mirror {
            return Ok(vec![mirror.clone()]);
        }
        let Some((owner, _)) = address.repository().filter(|_| address.host() == "github.com")
        else {
            return Err(Error::new(format!(
                "{} is not like github.com/OWNER/NAME, and only such plugins can be downloaded",
                address.source()
            ))
            .hint(
                "name a mirror that has it in INGOT_PLUGIN_MIRROR, or install its program with \
                 `ingot plugins install -path`",
            ));
        };
        let github = Origin::GitHub { web: self.github.clone(), api: self.github_api.clone() };
        Ok(match owner {
            RELEASES_OWNER => vec![Origin::Releases(self.releases.clone()), github],
            _ => vec![github],
        })
    }
}

fn mirror_at(text: &str) -> Result<Origin> {
    let text = text.trim_end_matches('/');
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    if matches!(scheme.as_deref(), Some("https" | "http")) {
        return Ok(Origin::Mirror(text.to_owned()));
    }
    let path = PathBuf::from(text.strip_prefix("file://").unwrap_or(text));
    match path.is_dir() {
        true => Ok(Origin::Directory(path)),
        false => {
            let problem = match scheme {
                None => format!("{text} is neither a URL nor a directory"),
                // There may be a password in it.
                Some(_) => {
                    format!(
                        "{} is neither a URL with https or http nor a directory",
                        http::shown(text)
                    )
                }
            };
            Err(Error::new(format!("the plugin mirror {problem}")))
        }
    }
}

/// `index.json` of a releases server.
#[derive(Deserialize)]
struct Index {
    versions: BTreeMap<String, serde::de::IgnoredAny>,
}

/// A tag, as GitHub's API lists them.
#[derive(Deserialize)]
struct Tag {
    #[serde(rename = "ref")]
    name: String,
}

/// What a releases server says of a plugin's release.
#[derive(Deserialize)]
struct Manifest {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    protocol_version: String,
}

fn version(text: &str) -> Option<Version> {
    let version = Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()?;
    version.build.is_empty().then_some(version)
}

impl Origin {
    /// The versions that are there, or why there are none.
    pub(super) async fn versions(
        &self,
        transfer: &Transfer,
        address: &PluginAddress,
    ) -> Result<Result<Vec<Version>, String>> {
        match self {
            Origin::GitHub { api, .. } => {
                let Some((owner, repository)) = address.repository() else {
                    return Ok(Err(format!("{self} has no {}", address.source())));
                };
                let url = format!("{api}/repos/{owner}/{repository}/git/matching-refs/tags");
                let request = Request { github: true, ..Request::new(&url, MAX_INDEX) };
                let Some(answer) = transfer.get(&request).await? else {
                    return Ok(Err(format!("{self} has no repository {owner}/{repository}")));
                };
                let tags: Vec<Tag> = invalid_unless(serde_json::from_slice(&answer), &url)?;
                let names = tags.iter().filter_map(|tag| tag.name.strip_prefix("refs/tags/"));
                Ok(Ok(names.filter_map(version).collect()))
            }
            Origin::Releases(base) => {
                let url = format!("{base}/packer-plugin-{}/index.json", address.name());
                // Whatever is the matter with it, GitHub has the same releases.
                match transfer.get(&Request::new(&url, MAX_INDEX)).await {
                    Ok(Some(answer)) => Ok(Ok(index(&answer, &url)?)),
                    Ok(None) => Ok(Err(format!("{self} does not have it"))),
                    Err(error) => Ok(Err(error.to_string())),
                }
            }
            Origin::Mirror(base) => {
                let url = format!("{base}/{}/index.json", address.source());
                match transfer.get(&Request::new(&url, MAX_INDEX)).await? {
                    Some(answer) => Ok(Ok(index(&answer, &url)?)),
                    None => Ok(Err(format!("there is no {}", http::shown(&url)))),
                }
            }
            Origin::Directory(root) => {
                let place = root.join(address.source());
                if !place.is_dir() {
                    return Ok(Err(format!("there is no {}", place.display())));
                }
                let mut versions: Vec<Version> =
                    lists(&place, address)?.into_iter().map(|(version, _)| version).collect();
                versions.extend(programs(root, address).into_iter().map(|one| one.version));
                versions.sort();
                versions.dedup();
                Ok(Ok(versions))
            }
        }
    }

    /// The files of a version, or why there are none.
    pub(super) async fn assets(
        &self,
        transfer: &Transfer,
        address: &PluginAddress,
        version: &Version,
    ) -> Result<Result<Vec<Asset>, String>> {
        let name = address.name();
        let list = match self {
            Origin::Directory(root) => {
                return self.assets_of_directory(transfer, root, address, version).await;
            }
            Origin::GitHub { .. } | Origin::Mirror(_) => {
                format!("packer-plugin-{name}_v{version}_SHA256SUMS")
            }
            Origin::Releases(_) => format!("packer-plugin-{name}_{version}_SHA256SUMS"),
        };
        let url = self.url(address, version, &list);
        let Some(answer) = transfer.get(&Request::new(&url, MAX_LIST)).await? else {
            return Ok(Err(format!("version {version} has no {list}")));
        };
        if let Some(keyring) = transfer.keyring() {
            let url = format!("{url}.sig");
            let Some(signed) = transfer.get(&Request::new(&url, MAX_LIST)).await? else {
                return Err(unsigned(&http::shown(&url)));
            };
            signature::check(keyring, &answer, &signed).await.with_context(|| list.clone())?;
        }
        let mut assets = candidate::assets(&String::from_utf8_lossy(&answer), address, version);
        if let Origin::Releases(_) = self {
            let manifest = format!("packer-plugin-{name}_{version}_manifest.json");
            let url = self.url(address, version, &manifest);
            if let Some(answer) = transfer.get(&Request::new(&url, MAX_LIST)).await? {
                let manifest: Manifest = invalid_unless(serde_json::from_slice(&answer), &url)?;
                let api = format!("x{}", manifest.metadata.protocol_version);
                assets.iter_mut().for_each(|asset| asset.api = Some(api.clone()));
            }
        }
        match assets.is_empty() {
            true => Ok(Err(format!("{} names no program of version {version}", http::shown(&url)))),
            false => Ok(Ok(assets)),
        }
    }

    async fn assets_of_directory(
        &self,
        transfer: &Transfer,
        root: &Path,
        address: &PluginAddress,
        version: &Version,
    ) -> Result<Result<Vec<Asset>, String>> {
        let place = root.join(address.source());
        for (listed, path) in lists(&place, address)? {
            if listed == *version {
                let text = read_small_text(&path, "list of checksums", MAX_LIST)?;
                if let Some(keyring) = transfer.keyring() {
                    let place = format!("{}.sig", path.display());
                    let signed = read_small(Path::new(&place), "signature", MAX_LIST);
                    let signed = signed.map_err(|_| unsigned(&place))?;
                    let checked = signature::check(keyring, text.as_bytes(), &signed).await;
                    checked.with_context(|| path.display().to_string())?;
                }
                let assets = candidate::assets(&text, address, version);
                return Ok(match assets.is_empty() {
                    true => Err(format!("{} names no program", path.display())),
                    false => Ok(assets),
                });
            }
        }
        for program in programs(root, address) {
            if program.version == *version {
                if transfer.keyring().is_some() {
                    return Err(unsigned(&program.path.display().to_string()));
                }
                let sha256 = program.verified(None).map_err(Error::new)?;
                let file = program.path.file_name().unwrap_or_default();
                return Ok(Ok(vec![Asset {
                    file: file.to_string_lossy().into_owned(),
                    sha256,
                    platform: Platform::current().to_string(),
                    api: Some(program.api),
                    archive: false,
                }]));
            }
        }
        Ok(Err(format!("{} has no version {version}", place.display())))
    }

    /// Gets a file: where it is in the end, which is `part` unless it is on this machine.
    pub(super) async fn get(
        &self,
        transfer: &Transfer,
        address: &PluginAddress,
        version: &Version,
        asset: &Asset,
        part: &Path,
    ) -> Result<PathBuf> {
        if let Origin::Directory(root) = self {
            return Ok(root.join(address.source()).join(&asset.file));
        }
        let url = self.url(address, version, &asset.file);
        transfer.download(&url, part, &asset.sha256).await?;
        Ok(part.to_owned())
    }

    /// The URL of a file of a release. A directory has none.
    fn url(&self, address: &PluginAddress, version: &Version, file: &str) -> String {
        match self {
            Origin::GitHub { web, .. } => {
                let (owner, repository) = address.repository().unwrap_or_default();
                format!("{web}/{owner}/{repository}/releases/download/v{version}/{file}")
            }
            Origin::Releases(base) => {
                format!("{base}/packer-plugin-{}/{version}/{file}", address.name())
            }
            Origin::Mirror(base) => format!("{base}/{}/{file}", address.source()),
            Origin::Directory(_) => String::new(),
        }
    }
}

/// The error where a signature is required and there is none.
fn unsigned(place: &str) -> Error {
    Error::new(format!("it is not signed: there is no signature {place}"))
        .hint(format!("{} is set, so that only what is signed is installed", signature::KEYRING))
}

fn index(answer: &[u8], url: &str) -> Result<Vec<Version>> {
    let index: Index = invalid_unless(serde_json::from_slice(answer), url)?;
    Ok(index.versions.keys().filter_map(|text| version(text)).collect())
}

fn invalid_unless<T>(parsed: serde_json::Result<T>, url: &str) -> Result<T> {
    parsed
        .map_err(|error| Error::new(format!("invalid response from {}: {error}", http::shown(url))))
}

/// The lists of checksums in a directory of a mirror, and the versions that they are of.
fn lists(place: &Path, address: &PluginAddress) -> Result<Vec<(Version, PathBuf)>> {
    let entries = fs::read_dir(place).with_context(|| format!("reading {}", place.display()))?;
    let prefix = format!("packer-plugin-{}_", address.name());
    let list = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let said = name.to_str()?.strip_prefix(&prefix)?.strip_suffix("_SHA256SUMS")?;
        Some((version(said)?, entry.path()))
    };
    Ok(entries.flatten().filter_map(list).collect())
}

/// The programs for this machine in a mirror that is a plugin directory.
fn programs(root: &Path, address: &PluginAddress) -> Vec<discovery::Installation> {
    let found = discovery::installations(root);
    found.into_iter().filter(|one| one.source == address.source()).collect()
}

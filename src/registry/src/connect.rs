//! Finding the registry that the environment names.

use std::path::Path;
#[cfg(feature = "store")]
use std::path::PathBuf;
use std::sync::Arc;

use ingot_base::{Error, Result};

use super::api;
use super::client::Registry;
use super::http::{HttpRegistry, Mask};
use super::network_file::network_file_warning;
use super::settings::{self, Settings};

/// What HCP's own registry is called.
const HCP: &str = "HCP Packer";
/// What a registry in a file is called.
const LOCAL: &str = "local";

/// A registry in use.
#[derive(Debug, Clone)]
pub struct Connected {
    /// The registry.
    pub registry: Arc<dyn Registry>,
    /// What to call it: `HCP Packer`, `local`, or a server's address.
    pub name: String,
}

impl Connected {
    /// Whether it is HashiCorp's own, whose limits are not known.
    pub fn is_hcp(&self) -> bool {
        self.name == HCP
    }

    /// Whether it is a file of this machine.
    pub fn is_file(&self) -> bool {
        self.name == LOCAL
    }

    /// What to warn of: that its file is on a network file system.
    pub fn warning(&self) -> Option<String> {
        let file = self.is_file().then(|| self.registry.address())?;
        network_file_warning(Path::new(&file))
    }
}

impl ingot_base::error::LibraryError for api::Error {}

tokio::task_local! {
    /// Set where a registry may only be read.
    static ONLY_READING: ();
}

/// Does `work`, in which [`connect`] opens a registry's file only to read it: nothing of it is changed,
/// not even to bring it up to date.
pub async fn only_reading<F: Future>(work: F) -> F::Output {
    ONLY_READING.scope((), work).await
}

/// As [`only_reading`], for work that waits for the registry on the thread that it runs on.
pub fn only_reading_here<T>(work: impl FnOnce() -> T) -> T {
    ONLY_READING.sync_scope((), work)
}

/// Uses the registry that the environment names. `mask` is given what must never be shown.
///
/// # Errors
/// None is named, or it cannot be reached; the text says what to set.
pub async fn connect(mask: Mask) -> Result<Connected> {
    match settings::from_environment()? {
        Settings::Local(path) => open_local(&path).await,
        Settings::Remote(remote) => {
            let name = match remote.api.host_str().unwrap_or_default() {
                host if host == "hashicorp.com" || host.ends_with(".hashicorp.com") => {
                    HCP.to_owned()
                }
                _ => super::http::host(&remote.api),
            };
            let registry = HttpRegistry::connect(&remote, mask).await;
            let registry = registry
                .map_err(|error| Error::from(error).context(format_args!("the {name} registry")))?;
            Ok(Connected { registry: Arc::new(registry), name })
        }
    }
}

/// As [`connect`], for what an empty registry is of no use to: a file that is named by its path must be
/// there.
///
/// # Errors
/// As of [`connect`], and that there is no such file, or an empty one.
pub async fn connect_to_existing(mask: Mask) -> Result<Connected> {
    #[cfg(feature = "store")]
    if let Settings::Local(path) = settings::from_environment()? {
        check_directory(&path)?;
        check_existence(&path)?;
    }
    connect(mask).await
}

/// The registry's file that the environment names; none if it names no registry, or a server.
///
/// # Errors
/// What is named is no registry, or a file in a directory that is not there.
#[cfg(feature = "store")]
pub fn local_file() -> Result<Option<PathBuf>> {
    let file = settings::named_file(&settings::variable)?;
    file.as_deref().map_or(Ok(()), check_directory)?;
    Ok(file)
}

/// A registry comes to be where there is none, and so one would wherever a mistake points.
#[cfg(feature = "store")]
fn check_directory(path: &Path) -> Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    if let Some(missing) = directory.filter(|directory| !directory.exists())
        && path != super::default_path()
    {
        return Err(Error::new(format!(
            "{}: there is no directory {}",
            settings::INGOT_REGISTRY,
            missing.display()
        ))
        .hint("create it first, or name another path; `local` is the registry of this user"));
    }
    Ok(())
}

/// Where a mistake points to another path, the registry would be empty, and nothing would say so.
#[cfg(feature = "store")]
fn check_existence(path: &Path) -> Result<()> {
    // An empty file is none yet.
    let is_there = std::fs::metadata(path).is_ok_and(|found| found.len() > 0);
    if is_there || path == super::default_path() {
        return Ok(());
    }
    let shown = path.display();
    let variable = settings::INGOT_REGISTRY;
    Err(Error::new(format!("{variable} names {shown}, where there is no registry")).hint(
        "name another path; or publish a build, or use `ingot registry buckets create` or `serve`, to \
         create one there; `local` is the registry of this user",
    ))
}

#[cfg(feature = "store")]
async fn open_local(path: &Path) -> Result<Connected> {
    check_directory(path)?;
    let registry = match ONLY_READING.try_with(|()| ()).is_ok() {
        true => super::local::LocalRegistry::open_to_read(path).await,
        false => super::local::LocalRegistry::open(path).await,
    };
    let registry = registry.map_err(|error| {
        Error::from(error).context(format_args!("the local registry {}", path.display()))
    })?;
    Ok(Connected { registry: Arc::new(registry), name: LOCAL.into() })
}

#[cfg(not(feature = "store"))]
async fn open_local(path: &Path) -> Result<Connected> {
    Err(Error::new(format!("this Ingot cannot open the local registry {}", path.display()))
        .hint("use an Ingot that was built with the feature `registry-server`, or a server"))
}

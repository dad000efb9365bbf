//! Brings a version of a plugin into the plugin directory.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingot_sdk::file_lock::FileLock;
use ingot_sdk::{Context, Error, Platform, Result, Ui};
use semver::Version;
use tempfile::TempPath;
use tokio_util::sync::CancellationToken;

use super::address::PluginAddress;
use super::candidate::Asset;
use super::checks::{
    archives_of, check_lock, check_sum, described_version, is_release, speaks, unfit_platforms,
};
use super::origin::{Origin, Origins};
use super::search::{IncompatibleVersion, OnlyOlder, Search};
use super::transfer::Transfer;
use super::unfinished::{self, UNDER_WAY};
use super::{archive, proof};
use crate::cache;
use crate::description::Description;
use crate::discovery::{self, Installation};
use crate::error::HostError;
use crate::lock_file::LockedPlugin;
use crate::started::StartedPrograms;

/// What to install.
pub struct Request<'a> {
    /// The plugin.
    pub address: &'a PluginAddress,
    /// Which versions will do.
    pub allow: &'a (dyn Fn(&Version) -> bool + Sync),
    /// The same as people write it, for messages.
    pub constraints: &'a str,
    /// The oldest version that will do, as it is installed or locked: where only older ones can be
    /// had, the error is caused by [`OnlyOlder`].
    pub at_least: Option<&'a Version>,
    /// Install what is there already once more.
    pub force: bool,
    /// The only version that will do, and the hashes that it must have.
    pub locked: Option<&'a LockedPlugin>,
    /// What a lock file has of the plugin where another version will do too: that version must have
    /// the hashes there.
    pub known: Option<&'a LockedPlugin>,
}

/// What came of a request.
#[derive(Debug)]
pub struct Installed {
    /// The program.
    pub installation: Installation,
    /// The SHA-256 of the program, in hexadecimal.
    pub program: String,
    /// The SHA-256 of the archives of all platforms, in hexadecimal; empty where the source has
    /// no archives.
    pub archives: BTreeMap<String, String>,
    /// Whether it was not there before.
    pub new: bool,
}

/// Installs plugins in a plugin directory.
pub struct Installer {
    directory: PathBuf,
    origins: Origins,
    transfer: Transfer,
    programs: Arc<StartedPrograms>,
    pub(super) platform: Platform,
}

/// An installation that failed for good, or a version that will not do.
enum Failed {
    Version(IncompatibleVersion),
    For(Error),
}

impl Failed {
    /// A version whose list of files says that it will not do.
    fn listed(reason: String) -> Failed {
        Failed::Version(IncompatibleVersion { reason, downloaded: false })
    }

    /// A version that was downloaded and will not do.
    fn downloaded(reason: String) -> Failed {
        Failed::Version(IncompatibleVersion { reason, downloaded: true })
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed::For(error)
    }
}

impl Installer {
    /// An installer into the plugin directory `directory`, which shows its progress on `ui` and
    /// starts what it asks what it is as one of `programs`.
    ///
    /// # Errors
    /// A setting in the environment is wrong.
    pub fn new(
        directory: PathBuf,
        origins: Origins,
        programs: Arc<StartedPrograms>,
        ui: Ui,
    ) -> Result<Installer> {
        let (transfer, platform) = (Transfer::new(ui)?, Platform::current());
        Ok(Installer { directory, origins, transfer, programs, platform })
    }

    /// Installs the newest version that will do.
    ///
    /// # Errors
    /// There is none, it could not be had, or is not what it should be.
    pub async fn install(&self, request: &Request<'_>) -> Result<Installed> {
        let place = self.place(request.address)?;
        let _lock = self.lock(&place, request.address).await?;
        let mut search = Search::new(self.transfer.deadline());
        for origin in self.origins.of(request.address)? {
            match self.install_from(&origin, &place, request, &mut search).await {
                Ok(Some(installed)) => {
                    unfinished::remove_old(&place);
                    return Ok(installed);
                }
                Ok(None) => {}
                Err(error) => return Err(self.origins.with_advice(error)),
            }
        }
        if let Some(older) = search.only_older.take() {
            return Err(Error::caused_by(older));
        }
        let reasons = search.reasons();
        Err(match request.locked {
            Some(locked) => Error::new(format!(
                "version {}, which the lock file names, cannot be installed: {reasons}",
                locked.version
            ))
            .hint("`ingot init -upgrade` installs a version that is available, and locks it"),
            None if request.constraints.is_empty() => {
                Error::new(format!("no version of it can be installed: {reasons}"))
            }
            None => Error::new(format!(
                "no version that {:?} allows can be installed: {reasons}",
                request.constraints
            )),
        })
    }

    async fn install_from(
        &self,
        origin: &Origin,
        place: &Path,
        request: &Request<'_>,
        search: &mut Search,
    ) -> Result<Option<Installed>> {
        let listed = match origin.versions(&self.transfer, request.address).await? {
            Ok(versions) => versions,
            Err(reason) => {
                search.note(reason);
                return Ok(None);
            }
        };
        let fits = |version: &&Version| match request.locked {
            Some(locked) => **version == locked.version,
            None => (request.allow)(version),
        };
        // Packer does not install pre-releases from the network either.
        let (mut fit, early): (Vec<&Version>, Vec<&Version>) =
            listed.iter().filter(fits).partition(|version| version.pre.is_empty());
        fit.sort();
        if let Some(at_least) = request.at_least
            && let Some(newest) = fit.last().copied().filter(|newest| *newest < at_least)
        {
            let (newest, at_least) = (newest.clone(), at_least.clone());
            search.only_older = Some(OnlyOlder { origin: origin.to_string(), newest, at_least });
            return Ok(None);
        }
        fit.retain(|version| request.at_least.is_none_or(|at_least| *version >= at_least));
        if fit.is_empty() {
            search.note(match (early.is_empty(), listed.iter().max()) {
                (false, _) => format!(
                    "{origin} has it only as the pre-release {}; install that with `ingot plugins \
                     install -path PROGRAM {}`",
                    early.into_iter().max().map(Version::to_string).unwrap_or_default(),
                    request.address.source()
                ),
                (true, Some(newest)) => {
                    format!(
                        "the newest of the {} versions that {origin} has is {newest}",
                        listed.len()
                    )
                }
                (true, None) => format!("{origin} has no releases of it"),
            });
        }
        for version in fit.into_iter().rev() {
            if search.ends() {
                break;
            }
            match self.install_version(origin, place, request, version).await {
                Ok(installed) => return Ok(Some(installed)),
                Err(Failed::Version(incompatible)) => search.add(incompatible),
                Err(Failed::For(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn install_version(
        &self,
        origin: &Origin,
        place: &Path,
        request: &Request<'_>,
        version: &Version,
    ) -> Result<Installed, Failed> {
        let address = request.address;
        let assets = match origin.assets(&self.transfer, address, version).await? {
            Ok(assets) => assets,
            Err(reason) => return Err(Failed::listed(reason)),
        };
        let key = self.platform.to_string();
        let Some(asset) = assets.iter().find(|asset| asset.platform == key && asset.usable())
        else {
            return Err(Failed::listed(unfit_platforms(version, &key, &assets)));
        };
        let archives = archives_of(&assets);
        let known = request.known.filter(|known| known.version == *version);
        let locked = request.locked.or(known);
        let cache = cache::directory();
        if let Some(locked) = locked {
            check_lock(locked, asset, cache.as_deref())?;
        }
        let target = place.join(self.file_name(address, version));
        let installation = Installation {
            path: target.clone(),
            source: address.source().to_owned(),
            name: address.name().to_owned(),
            version: version.clone(),
            api: discovery::API.to_owned(),
        };
        if !request.force
            && let Ok(program) = installation.verified(None)
            && locked.is_none_or(|locked| locked.proves_program(&key, &program, cache.as_deref()))
            // It runs only now that it was compared.
            && self.describe(&target).await.is_ok_and(|said| is_release(&said, version).is_ok())
        {
            return Ok(Installed { installation, program, archives, new: false });
        }
        let unpacked = self.unpacked(origin, place, address, version, asset).await?;
        // Before it runs for the first time.
        let program = cache::hash(None, &unpacked)
            .with_context(|| format!("reading {}", unpacked.display()))?;
        if let Some(locked) = locked
            && !locked.allows_program(&key, &program)
        {
            return Err(Error::new(format!(
                "the program has the SHA-256 {program}, which is not the one in the lock file"
            ))
            .into());
        }
        let described = self.describe(&unpacked).await;
        let described = match described {
            Ok(described) => described,
            Err(error) => {
                return Err(Failed::downloaded(format!("version {version}: {error}")));
            }
        };
        if let Err(why) = is_release(&described, version) {
            return Err(Failed::downloaded(format!("version {version}: {why}")));
        }
        put(&unpacked, &target, &program)?;
        if asset.archive {
            proof::keep(cache.as_deref(), &asset.sha256, &program);
        }
        Ok(Installed { installation, program, archives, new: true })
    }

    /// Gets the program of `asset` and checks its checksum, under a name of its own. It is removed
    /// unless it gets another.
    async fn unpacked(
        &self,
        origin: &Origin,
        place: &Path,
        address: &PluginAddress,
        version: &Version,
        asset: &Asset,
    ) -> Result<TempPath> {
        let program = self.file_name(address, version);
        let unpacked = place.join(format!("{UNDER_WAY}{program}"));
        let part = place.join(format!("{UNDER_WAY}{}.part", asset.file));
        let limit = self.transfer.max_size();
        if !asset.archive {
            let source = origin.get(&self.transfer, address, version, asset, &part).await?;
            archive::copy(&source, &unpacked, limit)?;
            let unpacked = TempPath::try_from_path(unpacked)?;
            check_sum(&unpacked, &asset.sha256, origin)?;
            return Ok(unpacked);
        }
        let archive = origin.get(&self.transfer, address, version, asset, &part).await?;
        if archive != part {
            // What is compared is what is unpacked, whoever writes to a mirror meanwhile.
            archive::copy(&archive, &part, limit)?;
        }
        if let Err(error) = check_sum(&part, &asset.sha256, origin) {
            let _ = fs::remove_file(&part);
            return Err(error);
        }
        let unpacking = {
            let (part, unpacked) = (part.clone(), unpacked.clone());
            tokio::task::spawn_blocking(move || archive::unpack(&part, &program, &unpacked, limit))
        };
        let done = match unpacking.await {
            Ok(done) => done,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        let _ = fs::remove_file(&part);
        done.and_then(|()| Ok(TempPath::try_from_path(unpacked)?))
            .with_context(|| format!("unpacking {}", asset.file))
    }

    /// Installs the program at `path` as the plugin `address`, in the version that it says it is.
    ///
    /// # Errors
    /// It is no plugin, or a pre-release other than `-dev`, or cannot be copied.
    pub async fn install_program(&self, path: &Path, address: &PluginAddress) -> Result<Installed> {
        let described = self.describe(path).await;
        let described = described.map_err(|error| Error::new(error.to_string()))?;
        let mut version = described_version(&described).map_err(Error::new)?;
        if !matches!(version.pre.as_str(), "" | "dev") {
            return Err(Error::new(format!(
                "it says that it is version {:?}; only releases (1.0.0) and development versions \
                 (1.0.0-dev) can be installed",
                described.version
            )));
        }
        speaks(&described).map_err(Error::new)?;
        version.build = semver::BuildMetadata::EMPTY;
        let place = self.place(address)?;
        let _lock = self.lock(&place, address).await?;
        let name = self.file_name(address, &version);
        let unpacked = place.join(format!("{UNDER_WAY}{name}"));
        archive::copy(path, &unpacked, self.transfer.max_size())?;
        let unpacked = TempPath::try_from_path(unpacked)?;
        let program = cache::hash(None, &unpacked)
            .with_context(|| format!("reading {}", unpacked.display()))?;
        let target = place.join(name);
        put(&unpacked, &target, &program)?;
        unfinished::remove_old(&place);
        let installation = Installation {
            path: target,
            source: address.source().to_owned(),
            name: address.name().to_owned(),
            version,
            api: discovery::API.to_owned(),
        };
        Ok(Installed { installation, program, archives: BTreeMap::new(), new: true })
    }

    async fn describe(&self, path: &Path) -> Result<Description, HostError> {
        crate::process::describe(&self.programs, path).await
    }

    /// What the program of a version is called.
    pub(super) fn file_name(&self, address: &PluginAddress, version: &Version) -> String {
        let (name, api) = (address.name(), discovery::API);
        format!("packer-plugin-{name}_v{version}_{api}_{}", self.platform.suffix())
    }

    /// The directory of a plugin, which is there then.
    fn place(&self, address: &PluginAddress) -> Result<PathBuf> {
        let place = self.directory.join(address.source());
        fs::create_dir_all(&place).with_context(|| format!("creating {}", place.display()))?;
        Ok(place)
    }

    async fn lock(&self, place: &Path, address: &PluginAddress) -> Result<FileLock> {
        let path = place.join(unfinished::LOCK);
        // Never cancelled: an interrupt ends the program.
        let never = CancellationToken::new();
        let on_wait = || {
            let waiting = format!("Waiting for another program that installs {}", address.source());
            self.transfer.ui().say(waiting);
        };
        let lock = FileLock::take_within(self.transfer.deadline(), &never, &path, on_wait).await;
        let lock = lock.with_context(|| {
            format!("another program seems to be installing {}", address.source())
        })?;
        Ok(lock.remove_on_drop())
    }
}

/// Gives the program at `unpacked` its name, and writes its checksum beside it.
fn put(unpacked: &Path, target: &Path, program: &str) -> Result<()> {
    let writing = || format!("writing {}", target.display());
    fs::set_permissions(unpacked, fs::Permissions::from_mode(0o755)).with_context(writing)?;
    let directory = target.parent().unwrap_or(Path::new("."));
    let mut sum =
        tempfile::Builder::new().prefix(UNDER_WAY).tempfile_in(directory).with_context(writing)?;
    sum.write_all(program.as_bytes()).with_context(writing)?;
    sum.as_file().set_permissions(fs::Permissions::from_mode(0o644)).with_context(writing)?;
    sum.as_file().sync_all().with_context(writing)?;
    // A checksum without its program is nothing, and one of another program is not used: whatever
    // happens between the two, no program is used that was not installed whole.
    sum.persist(discovery::sum_file(target)).map_err(|error| error.error).with_context(writing)?;
    fs::rename(unpacked, target).with_context(writing)
}

/// Removes an installed program and its checksum.
///
/// # Errors
/// The program could not be removed.
pub fn remove(path: &Path) -> std::io::Result<()> {
    fs::remove_file(path)?;
    match fs::remove_file(discovery::sum_file(path)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::candidate;

    #[test]
    fn sources_stay_below_the_plugin_directory() {
        for source in ["github.com/hashicorp/ansible", "git.example.com/a/b/c"] {
            assert_eq!(PluginAddress::parse(source).unwrap().source(), source);
        }
        for source in ["github.com/x", "github.com/../x", "a//b", "a/b/c%2f", "/a/b/c", "a/b/c/"] {
            assert!(PluginAddress::parse(source).is_err(), "{source}");
        }
        assert!(PluginAddress::parse("github.com/a_b/thing").is_ok());
        let message = PluginAddress::parse("github.com/acme/my_thing").unwrap_err().to_string();
        assert!(message.contains("cannot have a `_`"), "{message}");
    }

    #[test]
    fn of_two_archives_for_a_platform_the_one_that_is_installed_is_locked() {
        let address = PluginAddress::parse("github.com/acme/thing").unwrap();
        let line = |hash: &str, rest: &str| {
            format!("{}  packer-plugin-thing_v1.0.0_{rest}.zip\n", hash.repeat(64))
        };
        let list = [
            line("a", "x6.0_linux_amd64"),
            line("b", "x5.0_linux_amd64"),
            line("c", "x6.0_linux_amd64"),
            line("d", "x5.0_linux_amd64"),
        ];
        let assets = candidate::assets(&list.concat(), &address, &Version::new(1, 0, 0));
        let expected = BTreeMap::from([("linux_amd64".to_owned(), "b".repeat(64))]);
        assert_eq!(archives_of(&assets), expected);
    }
}

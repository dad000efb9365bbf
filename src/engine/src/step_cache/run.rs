//! The step cache of a run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ingot_sdk::{CachedStates, Result, environment};
use ingot_template::Companion;

use super::index::CacheDirectory;
use super::secret::Secret;

/// How a run uses the step cache.
#[derive(Debug, Clone, Default)]
pub struct StepCacheOptions {
    /// Whether states are kept and used.
    pub enabled: bool,
    /// Whether to say of each step what becomes of it and why.
    pub explain: bool,
    /// How old what a state is made of may be.
    pub max_age: Option<Duration>,
    /// The steps that are never cached, by name or type.
    pub uncached: BTreeSet<String>,
    /// The template, as [`shown_path`](ingot_sdk::recorded_path::shown_path) has it.
    pub template: String,
    /// The directory by which machines share the cache, if it is not this user's own.
    pub directory: Option<PathBuf>,
    /// Whether states of `amazon-ebs`, which cost money, are kept and used too.
    pub amazon: bool,
}

impl StepCacheOptions {
    /// Why no states of a builder are kept or used although the cache is on, if they are not. `states`
    /// is how it keeps them.
    pub(super) fn unasked(&self, states: Option<CachedStates>) -> Option<&'static str> {
        unasked(states?, self.amazon)
    }
}

/// Why no states of a builder are kept or used unless they are asked for by themselves. `asked` is what the
/// companion file says of those that cost money.
pub(super) fn unasked(states: CachedStates, asked: bool) -> Option<&'static str> {
    states.cost.filter(|_| !asked)
}

/// The environment variable with the directory by which machines share the cache.
const DIRECTORY: &str = "INGOT_CACHE_DIR";

/// The directory by which machines share the cache of a template in `template_directory`, if they do:
/// what the command line says, else the environment, else the companion file.
pub fn shared_directory(
    flag: Option<&Path>,
    companion: &Companion,
    template_directory: &Path,
) -> Option<PathBuf> {
    let variable = || environment::set(DIRECTORY);
    let block = || Some(template_directory.join(companion.cache.as_ref()?.directory.as_ref()?));
    let given =
        flag.map(Path::to_owned).or_else(|| variable().map(PathBuf::from)).or_else(block)?;
    Some(std::path::absolute(&given).unwrap_or(given))
}

/// The step cache of a run.
pub struct StepCache {
    pub(super) options: StepCacheOptions,
    /// None where nothing is cached.
    pub(super) open: Option<(CacheDirectory, Secret)>,
    /// Where it is written down what builders made of states: on this machine, where that is.
    pub(super) results: Option<CacheDirectory>,
}

impl StepCache {
    /// The cache of this user, used as `options` say.
    ///
    /// # Errors
    /// What belongs to it cannot be read or written.
    pub async fn open(options: StepCacheOptions) -> Result<StepCache> {
        if !options.enabled {
            return Ok(StepCache { options, open: None, results: None });
        }
        let directory = CacheDirectory::open(options.directory.as_deref())?;
        let secret = directory.secret().await?;
        // Where it cannot be, a shared directory is as good as before.
        let results = CacheDirectory::open(None).ok();
        Ok(StepCache { options, open: Some((directory, secret)), results })
    }

    /// Why nothing can be written to the directory by which machines share it, if that is so.
    pub fn read_only(&self) -> Option<ingot_sdk::Error> {
        self.options.directory.as_ref()?;
        let (directory, _) = self.open.as_ref()?;
        directory.try_writing().err()
    }

    /// One that caches nothing.
    pub fn off() -> StepCache {
        StepCache { options: StepCacheOptions::default(), open: None, results: None }
    }
}

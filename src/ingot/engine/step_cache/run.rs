//! The step cache of a run.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use ingot_sdk::Result;

use super::index::{CacheDirectory, Secret};

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
    /// The template, as an absolute path.
    pub template: PathBuf,
}

/// The step cache of a run.
pub struct StepCache {
    pub(super) options: StepCacheOptions,
    /// None where nothing is cached.
    pub(super) open: Option<(CacheDirectory, Secret)>,
}

impl StepCache {
    /// The cache of this user, used as `options` say.
    ///
    /// # Errors
    /// What belongs to it cannot be read or written.
    pub async fn open(options: StepCacheOptions) -> Result<StepCache> {
        let open = match options.enabled {
            true => {
                let directory = CacheDirectory::open()?;
                let secret = directory.secret().await?;
                Some((directory, secret))
            }
            false => None,
        };
        Ok(StepCache { options, open })
    }

    /// One that caches nothing.
    pub fn off() -> StepCache {
        StepCache { options: StepCacheOptions::default(), open: None }
    }
}

//! What the step cache writes down: a secret that keys are made with, and which state is of which
//! step. States themselves are where their builder keeps them.
//!
//! All of it is in the directory `step-cache` beside the journals, or in one that machines share. Where
//! it is lost or damaged, it starts anew: states that nobody knows any more are not used.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ingot_sdk::file_lock::FileLock;
use ingot_sdk::file_work::read_small;
use ingot_sdk::{Context, Result, StateKey};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::inputs::Inputs;
use super::secret::Secret;
use crate::{journal, state_file};

/// The largest index that is read, in bytes.
const LARGEST: u64 = 64 << 20;
/// How many states are remembered; those that were used last stay.
const MOST: usize = 10_000;
/// How long another process may hold the lock.
const PATIENCE: Duration = Duration::from_secs(30);

const INDEX: &str = "index.json";
const SECRET: &str = "secret";

/// A state that the cache has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedState {
    /// The type of the builder that keeps it.
    pub builder: String,
    /// The template, as an absolute path, for people and to compare.
    pub template: String,
    /// The build.
    pub build: String,
    /// The step after which it was kept.
    pub step: String,
    /// Which of the build's provisioners that is, from 1; 0 for the machine before the first.
    pub number: usize,
    /// When it was kept.
    #[serde(with = "time::serde::timestamp")]
    pub created: OffsetDateTime,
    /// When it was last used or found to be there.
    #[serde(with = "time::serde::timestamp")]
    pub used: OffsetDateTime,
    /// What the step depended on.
    pub(super) inputs: Inputs,
}

impl CachedState {
    /// What the step depended on, by name.
    pub fn input_names(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().map(|(name, _)| name.as_str())
    }
}

/// What a builder made of a machine after its last provisioner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CachedResult {
    /// The key of the machine's state.
    state: String,
    /// When it was made or last used.
    #[serde(with = "time::serde::timestamp")]
    used: OffsetDateTime,
    /// What the builder wrote down of it.
    pub(super) result: serde_json::Value,
}

/// All that is known of kept states.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Index {
    /// By their keys.
    pub states: BTreeMap<String, CachedState>,
    /// By their keys, which are made of those of states.
    #[serde(default)]
    results: BTreeMap<String, CachedResult>,
}

impl Index {
    fn read(directory: &Path) -> Index {
        let path = directory.join(INDEX);
        let read = match read_small(&path, "index", LARGEST) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
            Err(error) if error.is_io(std::io::ErrorKind::NotFound) => return Index::default(),
            Err(error) => Err(error.to_string()),
        };
        read.unwrap_or_else(|error: String| {
            tracing::warn!(%error, path = %path.display(), "the index of the step cache is damaged");
            Index::default()
        })
    }

    /// Forgets a state, and what was made of it.
    pub fn remove(&mut self, key: &str) {
        self.states.remove(key);
        self.results.retain(|_, result| result.state != key);
    }

    /// What was made of the machine with the state of `state`, `made_with` the options of this key.
    pub(super) fn result(&self, state: &StateKey, made_with: &StateKey) -> Option<&CachedResult> {
        self.results.get(result_key(state, made_with).as_str())
    }

    /// Writes down what was made of a machine, or that this was used.
    pub(super) fn cache_result(
        &mut self,
        state: &StateKey,
        made_with: &StateKey,
        result: serde_json::Value,
    ) {
        let kept =
            CachedResult { state: state.to_string(), used: OffsetDateTime::now_utc(), result };
        self.results.insert(result_key(state, made_with).to_string(), kept);
    }

    /// Forgets what was not used for the longest time where there is too much.
    fn trim(&mut self) {
        while self.states.len() > MOST {
            let oldest = self.states.iter().min_by_key(|(_, state)| state.used);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { break };
            self.remove(&key);
        }
        while self.results.len() > MOST {
            let oldest = self.results.iter().min_by_key(|(_, result)| result.used);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { break };
            self.results.remove(&key);
        }
    }

    /// The state that a step made when it was last kept.
    pub(super) fn last(&self, like: &CachedState) -> Option<&CachedState> {
        let same = |one: &&CachedState| {
            (&one.template, &one.build, &one.step) == (&like.template, &like.build, &like.step)
        };
        self.states.values().filter(same).max_by_key(|one| (one.used, one.created))
    }
}

fn result_key(state: &StateKey, made_with: &StateKey) -> StateKey {
    state.then([made_with.as_str()])
}

fn place(shared: Option<&Path>) -> PathBuf {
    shared.map_or_else(|| journal::directory().join("step-cache"), Path::to_owned)
}

/// Where the step cache writes things down.
#[derive(Debug, Clone)]
pub struct CacheDirectory(PathBuf);

impl CacheDirectory {
    /// The one that machines share at `shared`, else the one of this user; it is created if need be.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn open(shared: Option<&Path>) -> Result<CacheDirectory> {
        let path = place(shared);
        let created = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        created.with_context(|| format!("creating the directory {}", path.display()))?;
        Ok(CacheDirectory(path))
    }

    /// Whether files can be written.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn try_writing(&self) -> Result<()> {
        let writing = || format!("writing to {}", self.0.display());
        tempfile::tempfile_in(&self.0).map(drop).with_context(writing)
    }

    #[cfg(test)]
    pub(super) fn at(path: &Path) -> CacheDirectory {
        CacheDirectory(path.to_owned())
    }

    /// The one that machines share at `shared`, else the one of this user, if it is there.
    pub(super) fn existing(shared: Option<&Path>) -> Option<CacheDirectory> {
        let path = place(shared);
        path.is_dir().then_some(CacheDirectory(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    async fn lock(&self) -> Result<FileLock> {
        // Whoever holds it does so for an instant, and a process that ends gives it up. One that is
        // stopped does not, nor does a machine that shares the directory and is gone.
        let (never, path) = (CancellationToken::new(), self.0.join("lock"));
        FileLock::take_within(PATIENCE, &never, &path, || {}).await
    }

    /// The secret of this cache, which is made the first time.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub(super) async fn secret(&self) -> Result<Secret> {
        let path = self.0.join(SECRET);
        let read = || {
            let bytes = read_small(&path, "secret", 1024).ok()?;
            let text = String::from_utf8(bytes).ok()?;
            let whole = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            whole.then_some(Secret(text))
        };
        if let Some(secret) = read() {
            return Ok(secret);
        }
        let _lock = self.lock().await?;
        if let Some(secret) = read() {
            return Ok(secret);
        }
        // 244 bits of chance.
        let text: String = (0..2).map(|_| uuid::Uuid::new_v4().simple().to_string()).collect();
        state_file::write(&self.0, SECRET, text.as_bytes())?;
        Ok(Secret(text))
    }

    /// The digits that the keys of this cache begin with.
    ///
    /// # Errors
    /// Its secret cannot be read or written.
    pub async fn owner(&self) -> Result<String> {
        Ok(self.secret().await?.owner())
    }

    /// What is known of kept states.
    pub fn index(&self) -> Index {
        Index::read(&self.0)
    }

    /// Changes what is known of kept states.
    ///
    /// # Errors
    /// It cannot be written.
    pub async fn change(&self, change: impl FnOnce(&mut Index)) -> Result<()> {
        let _lock = self.lock().await?;
        let mut index = Index::read(&self.0);
        change(&mut index);
        index.trim();
        let text = serde_json::to_vec(&index).context("writing the index of the step cache")?;
        state_file::write_replaceable(&self.0, INDEX, &text).map(drop)
    }
}

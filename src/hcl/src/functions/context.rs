//! What functions learn about the run.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Pipes, Stores, VolatileCalls};

/// A secret text that expressions make.
#[derive(Debug, Clone, Copy)]
pub enum FoundSecret<'a> {
    /// A value. Each of its lines is a secret too, unless it is a text that was composed.
    Value(&'a str),
    /// A value of which each line is a secret, however it was made.
    Lines(&'a str),
    /// A text of several lines that a template makes of literal text and secrets. Its literal lines
    /// are none.
    Composed {
        /// The text.
        text: &'a str,
        /// Those of its lines that secrets are part of.
        lines: &'a [&'a str],
    },
}

/// A callback for each secret text.
type SecretObserver = dyn Fn(FoundSecret<'_>) + Send + Sync;

/// Takes the secrets that expressions make; the default one drops them.
#[derive(Clone, Default)]
pub struct SecretSink(Option<Arc<SecretObserver>>);

impl SecretSink {
    /// A sink that hands every secret to `take`.
    pub fn new(take: impl Fn(FoundSecret<'_>) + Send + Sync + 'static) -> Self {
        SecretSink(Some(Arc::new(take)))
    }

    /// Takes a secret.
    pub fn add(&self, secret: FoundSecret<'_>) {
        if let Some(take) = &self.0 {
            take(secret);
        }
    }
}

impl std::fmt::Debug for SecretSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretSink")
    }
}

/// What functions know about the run.
#[derive(Debug, Clone)]
pub struct FunctionContext {
    /// The directory that relative paths start from: the template's, but for conditions of variables.
    pub base_dir: PathBuf,
    /// When the run started, so that all timestamps of a run agree.
    pub start: time::OffsetDateTime,
    /// Whether what is random is to be the same in every run: UUIDs and salts. With a fixed `start`,
    /// expressions then come to the same as long as what they are made of is.
    pub reproducible: bool,
    /// Whether the secrets that functions give come out as texts that stand for them.
    pub conceals: bool,
    /// Whether `env` may be called: only in the defaults of variables.
    pub env_allowed: bool,
    /// What must never be shown: what expressions make of sensitive values is added to it.
    pub secrets: SecretSink,
    /// What functions read secrets and settings from.
    pub stores: Stores,
    /// Which functions were called whose results differ from run to run.
    pub volatile: VolatileCalls,
    /// What pipes gave to functions that read files.
    pub pipes: Pipes,
}

impl FunctionContext {
    /// One in which nothing is secret, stored or random, and `env` cannot be called.
    pub fn new(base_dir: impl Into<PathBuf>, start: time::OffsetDateTime) -> FunctionContext {
        FunctionContext {
            base_dir: base_dir.into(),
            start,
            reproducible: false,
            conceals: false,
            env_allowed: false,
            secrets: SecretSink::default(),
            stores: Stores::default(),
            volatile: VolatileCalls::default(),
            pipes: Pipes::default(),
        }
    }
}

//! Running what a builder made once more, to be tested: a build of the same builder that starts from
//! the artifact, has checks for provisioners and leaves nothing.

use std::path::{Path, PathBuf};

use crate::{Config, ConfigErrors, Result};

/// What is to be tested.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestSubject {
    /// What names it where it lives: an image, an AMI.
    pub id: String,
    /// The files that it consists of.
    pub files: Vec<PathBuf>,
    /// What a container runs while it is tested, if not what the builder runs.
    pub run: Option<TestRun>,
}

/// What a container runs while it is tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestRun {
    /// A command line for the container's shell. Should it succeed at once, as a daemon does, the
    /// container lives on.
    Shell(String),
    /// The image itself, with these arguments after its entry point: as `docker run IMAGE …`.
    Image(Vec<String>),
}

/// Makes of a source's options those that run what it made. A builder's plugin adds it to the
/// [`crate::PluginSet`] beside the builder.
pub trait TestMachine: Send + Sync {
    /// Judges whether what a source makes can be tested. Options can be unknown.
    ///
    /// # Errors
    /// Which options do not allow for it. An error that names no option is about the source or
    /// about `run`, as [`crate::ConfigError::option`] is for the source's.
    fn check(&self, config: &Config, run: Option<&TestRun>) -> Result<(), ConfigErrors>;

    /// The options of a build that runs `subject` and leaves nothing but what its artifact's
    /// `destroy` removes. `scratch` is an empty directory for files of it.
    ///
    /// # Errors
    /// The subject is nothing that this can run.
    fn options(&self, config: &Config, subject: &TestSubject, scratch: &Path) -> Result<Config>;
}

//! `-resume`, `-start-at`, `-stop-before` and `-only-post-processors`.

use super::record::{KeptBuild, Stage};

/// What the command line says about it.
#[derive(Debug, Clone, Default)]
pub struct ResumeFlags {
    /// `-resume`
    pub resume: bool,
    /// `-start-at`
    pub start_at: Option<String>,
    /// `-stop-before`
    pub stop_before: Option<String>,
    /// `-only-post-processors`
    pub only_post_processors: bool,
}

impl ResumeFlags {
    /// Whether the run goes on with what an earlier one kept.
    pub fn resumes(&self) -> bool {
        self.resume || self.only_post_processors
    }

    /// Whether the run can go on with `build`, as far as its stage tells.
    pub fn can_use(&self, build: &KeptBuild) -> bool {
        match self.only_post_processors {
            true => build.artifact.is_some(),
            false => build.stage != Stage::Built,
        }
    }
}

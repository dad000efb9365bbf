//! What the companion files of a template say.

use std::collections::BTreeMap;
use std::time::Duration;

use ingot_hcl::source::Span;

use super::test_block::TestBlock;
use crate::steps::Step;

/// What the companion files of a template say, evaluated.
#[derive(Debug, Default)]
pub struct Companion {
    /// `cache`
    pub cache: Option<CacheBlock>,
    /// `step` blocks, by the provisioner that they are about: its `name`, else its type.
    pub steps: BTreeMap<String, StepBlock>,
    /// `family`
    pub family: Option<FamilyBlock>,
    /// `test` blocks, in order.
    pub tests: Vec<TestBlock>,
}

/// `cache`: the step cache.
#[derive(Debug, Clone, Default)]
pub struct CacheBlock {
    /// `enabled`: whether to use it, where the command line does not say.
    pub enabled: Option<bool>,
    /// `max_age`: states older than this are not used.
    pub max_age: Option<Duration>,
    /// `directory`: by which machines share it, from the template's directory.
    pub directory: Option<String>,
    /// `amazon`: whether AWS keeps states of `amazon-ebs`, for which it takes money.
    pub amazon: Option<bool>,
    /// Where the block starts; none for one that is not written.
    pub header: Option<Span>,
}

/// `step "NAME"`: what is special about a provisioner.
#[derive(Debug, Clone)]
pub struct StepBlock {
    /// `cache`: whether the state after it may be kept and used.
    pub cache: Option<bool>,
    /// Where the block starts.
    pub header: Span,
}

/// `family`: the templates whose images build on each other.
#[derive(Debug, Clone)]
pub struct FamilyBlock {
    /// `promote`: the channel that a version is assigned to once its tests passed.
    pub promote: Option<String>,
    /// Where `promote` is set.
    pub promote_place: Option<Span>,
    /// Where the block starts.
    pub header: Span,
}

impl Companion {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        let Companion { cache, steps, family, tests } = self;
        cache.is_none() && steps.is_empty() && family.is_none() && tests.is_empty()
    }

    /// What it says of a provisioner.
    pub fn step(&self, step: &Step) -> Option<&StepBlock> {
        self.steps.get(step.shown_name())
    }

    /// Whether the state after a provisioner may be kept and used; it may by default.
    pub fn may_cache(&self, step: &Step) -> bool {
        self.step(step).and_then(|block| block.cache).unwrap_or(true)
    }

    /// The tests of a source, which is called `TYPE.NAME`.
    pub fn tests_of<'a>(&'a self, source: &'a str) -> impl Iterator<Item = &'a TestBlock> {
        self.tests.iter().filter(move |test| test.applies.to(source))
    }
}

//! Whether and how a build uses the step cache.

use std::path::Path;

use ingot_engine::step_cache::shared_directory;
use ingot_engine::{StepCache, StepCacheOptions};
use ingot_sdk::recorded_path::shown_path;
use ingot_sdk::{Ui, environment};
use ingot_template::Companion;

use super::args::{StepCacheArgs, go_bool};

/// The environment variable that turns the cache on.
const VARIABLE: &str = "INGOT_CACHE";

/// What the command line, the environment and the companion file say about the cache of the builds of
/// `template`; who comes first in this list is heard.
///
/// # Errors
/// A variable of the environment cannot be understood; the text says which and why.
pub(super) fn options(
    args: &StepCacheArgs,
    template: &Path,
    companion: &Companion,
    template_directory: &Path,
) -> Result<StepCacheOptions, String> {
    let asked = match environment::switch(VARIABLE) {
        Ok(asked) => asked,
        Err(value) => match go_bool(&value) {
            Ok(asked) => Some(asked),
            Err(error) => return Err(format!("{VARIABLE} is {value:?}: {error}")),
        },
    };
    let block = companion.cache.as_ref();
    let asked = args.cache.or(asked).or(block.and_then(|block| block.enabled));
    let never = companion.steps.iter().filter(|(_, step)| step.cache == Some(false));
    Ok(StepCacheOptions {
        enabled: !args.no_cache && asked.unwrap_or(false),
        explain: args.explain,
        max_age: block.and_then(|block| block.max_age),
        uncached: never.map(|(name, _)| name.clone()).collect(),
        template: shown_path(template),
        amazon: block.and_then(|block| block.amazon).unwrap_or(false),
        directory: shared_directory(args.cache_dir.as_deref(), companion, template_directory),
    })
}

/// Opens the cache; where that fails, it reports the error and nothing is cached.
pub(super) async fn open(options: StepCacheOptions, ui: &Ui) -> StepCache {
    match StepCache::open(options).await {
        Ok(cache) => {
            if let Some(error) = cache.read_only() {
                ui.error(format!(
                    "Warning: the states of the shared step cache are used, and none are kept in it: \
                     {error}"
                ));
            }
            cache
        }
        Err(error) => {
            ui.error(format!("The step cache is not used: {error}"));
            StepCache::off()
        }
    }
}

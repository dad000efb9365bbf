//! What companion files name of their template.

use std::collections::BTreeSet;

use crate::builds::{Build, SourceUse};

/// What the template has that a companion file refers to.
pub(super) struct Names {
    /// Its sources, as `TYPE.NAME`.
    pub sources: Vec<String>,
    /// Its provisioners, by `name`, else by type.
    pub steps: BTreeSet<String>,
    /// Whether something of the template could not be read, so that names may be missing here.
    pub incomplete: bool,
}

impl Names {
    /// Those of the template with these builds.
    pub(super) fn of(builds: &[Build]) -> Names {
        let sources = builds.iter().flat_map(|build| &build.sources);
        let mut names = Names {
            sources: Vec::new(),
            steps: BTreeSet::new(),
            incomplete: builds.iter().any(|build| build.broken),
        };
        for used in sources {
            let name = SourceUse::selector(used);
            if !names.sources.contains(&name) {
                names.sources.push(name);
            }
            names
                .steps
                .extend(used.steps.provisioners.iter().map(|step| step.shown_name().to_owned()));
        }
        names
    }
}

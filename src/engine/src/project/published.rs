//! What is known of a project only when it is published: the version, and the blocks that its registry
//! enforces.

use std::collections::BTreeMap;

use ingot_hcl::diagnostic::Diagnostics;
use ingot_hcl::{Scope, Unknowns, Value};
use ingot_sdk::interpolate::COMPATIBLE_PACKER_VERSION;
use ingot_template::builds::SourceUse;
use ingot_template::{EnforcedBlock, companion, enforced, locals_and_data};

use super::Project;
#[cfg(feature = "plugin-host")]
use crate::installed::InstalledPlugins;

/// What was found in enforced blocks.
#[derive(Debug, Default)]
pub struct Enforced {
    /// The messages about those that hold provisioners, in Packer's words.
    pub loaded: Vec<String>,
    /// The names of those that hold none. Packer skips them silently.
    pub without: Vec<String>,
}

impl Project {
    /// Says as what the builds are published: `packer.iterationID` and
    /// `packer.versionFingerprint`, which are unknown before. What builds on them is evaluated
    /// again.
    pub fn published_as(
        &mut self,
        version_id: &str,
        fingerprint: &str,
        diagnostics: &mut Diagnostics,
    ) {
        self.evaluate_again(packer(version_id.into(), fingerprint.into()), diagnostics);
    }

    /// Adds the provisioners of enforced blocks after those of each build, in order.
    pub fn enforce(&mut self, blocks: &[EnforcedBlock], diagnostics: &mut Diagnostics) -> Enforced {
        let (mut loaded, mut without) = (Vec::new(), Vec::new());
        for block in blocks {
            // The engine's own options are constants in them; a plugin's see what the template's do.
            let scope = Scope::new(BTreeMap::new(), &self.functions);
            let sources = self.builds.iter().flat_map(|build| &build.sources);
            let ids: Vec<String> = sources.map(SourceUse::id).collect();
            let mut found = Diagnostics::default();
            let steps = enforced::read(&mut self.sources, block, (&scope, &ids), &mut found);
            if steps.is_empty() && !found.has_errors() {
                without.push(block.name.clone());
            }
            diagnostics.extend(found);
            if !steps.is_empty() {
                loaded.push(format!(
                    "Loaded {} enforced provisioner(s) from HCP block {:?} and template type {:?}",
                    steps.len(),
                    block.name,
                    block.template_type
                ));
            }
            for used in self.builds.iter_mut().flat_map(|build| &mut build.sources) {
                used.steps.provisioners.extend(steps.iter().cloned());
            }
        }
        #[cfg(feature = "plugin-host")]
        if !loaded.is_empty() {
            let mut installed = InstalledPlugins::new(
                &self.template,
                &self.run_uuid,
                self.releases_only,
                diagnostics,
            );
            installed.add_for_builds(&self.builds, &mut self.plugins, diagnostics);
        }
        Enforced { loaded, without }
    }

    /// Says that the builds are not published, so that there is neither `packer.iterationID` nor
    /// `packer.versionFingerprint`. What builds on them is wrong.
    pub fn unpublished(&mut self, diagnostics: &mut Diagnostics) {
        let version = ("version".to_owned(), COMPATIBLE_PACKER_VERSION.into());
        self.evaluate_again(Value::object([version].into()), diagnostics);
    }

    fn evaluate_again(&mut self, packer: Value, diagnostics: &mut Diagnostics) {
        self.names.insert("packer".into(), packer);
        let scope = Scope::new(self.names.clone(), &self.functions);
        let template = &self.template;
        let blocks = template.builds.iter().chain(template.sources.values());
        let bodies = blocks.map(|block| &block.body).chain(&self.companions);
        // What is wrong with a local is reported when it is known which builds run, and use it.
        let ignored = &mut Diagnostics::default();
        let values =
            locals_and_data::evaluate_again(template, &scope, &self.names, bodies, ignored);
        self.add_secrets(values.values());
        self.names.extend(values);
        let scope = Scope::new(self.names.clone(), &self.functions);
        let unknowns = [Unknowns::Refuse; 2];
        self.builds = self.evaluated_builds(&scope, unknowns, diagnostics);
        let (bodies, builds) = (&self.companions, &self.builds);
        let unknowns = Unknowns::Refuse;
        self.companion = companion::read(bodies, builds, &scope, unknowns, diagnostics);
    }
}

/// `packer` as all blocks see it.
pub(super) fn packer(version_id: Value, fingerprint: Value) -> Value {
    let names = [
        ("version", COMPATIBLE_PACKER_VERSION.into()),
        ("iterationID", version_id),
        ("versionFingerprint", fingerprint),
    ];
    Value::object(names.map(|(name, value)| (name.to_owned(), value)).into())
}

//! A plugin program, and what it adds to the plugins of a run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingot_sdk::PluginSet;

use crate::cache::SpecCache;
use crate::component::{
    Component, HostedBuilder, HostedDataSource, HostedPostProcessor, HostedProvisioner,
};
use crate::description::{ComponentKind, Description, template_name};
use crate::discovery::Installation;
use crate::host::{ComponentId, Host};

/// A program whose components can be used.
pub struct Program {
    host: Arc<Host>,
    path: PathBuf,
    specs: Arc<SpecCache>,
    description: Description,
}

impl Program {
    /// Looks at an installation. Runs it only if the directory `cache` has nothing from an earlier
    /// time.
    ///
    /// # Errors
    /// It is not what was installed, or no plugin, or says another version than its name.
    pub fn open(
        host: &Arc<Host>,
        installation: &Installation,
        cache: Option<&Path>,
    ) -> Result<Program, String> {
        let hash = installation.verified(cache)?;
        let specs = Arc::new(SpecCache::open(cache, &hash));
        let description = match specs.description() {
            Some(description) => description,
            None => {
                let description =
                    host.describe(&installation.path).map_err(|error| error.to_string())?;
                specs.put_description(&description);
                description
            }
        };
        let said = description.version.trim_start_matches('v');
        let mut version = semver::Version::parse(said).ok();
        if let Some(version) = &mut version {
            // Names of files have none, and it does not make another version.
            version.build = semver::BuildMetadata::EMPTY;
        }
        if version.as_ref() != Some(&installation.version) {
            return Err(format!(
                "{} says that it is version {said:?}, not {}",
                installation.path.display(),
                installation.version
            ));
        }
        if description.api_version != installation.api {
            return Err(format!(
                "{} says that it speaks version {:?} of the protocol, not {}",
                installation.path.display(),
                description.api_version,
                installation.api
            ));
        }
        Ok(Program { host: Arc::clone(host), path: installation.path.clone(), specs, description })
    }

    /// What the program says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// A component of the program, by its name within it.
    pub fn component(&self, kind: ComponentKind, name: &str) -> Component {
        // As in Packer, for plugins whose protobuf is broken.
        let force_gob = std::env::var("PACKER_FORCE_GOB").unwrap_or_default();
        let id = ComponentId {
            path: self.path.clone(),
            kind,
            name: name.to_owned(),
            protobuf: self.description.protobuf() && matches!(force_gob.as_str(), "" | "0"),
        };
        Component::new(Arc::clone(&self.host), id, Arc::clone(&self.specs))
    }

    /// Adds the components to `set`, under the names that templates use for the plugin `name`.
    /// What is there already stays.
    pub fn register(&self, name: &str, set: &mut PluginSet) {
        for kind in ComponentKind::ALL {
            for component in self.description.components(kind) {
                let called = template_name(name, component);
                let component = self.component(kind, component);
                match kind {
                    ComponentKind::Builder => {
                        let plugin = || Arc::new(HostedBuilder::new(component)) as _;
                        set.builders.entry(called).or_insert_with(plugin);
                    }
                    ComponentKind::Provisioner => {
                        let plugin = || Arc::new(HostedProvisioner::new(component)) as _;
                        set.provisioners.entry(called).or_insert_with(plugin);
                    }
                    ComponentKind::PostProcessor => {
                        let plugin = || Arc::new(HostedPostProcessor::new(component)) as _;
                        set.post_processors.entry(called).or_insert_with(plugin);
                    }
                    ComponentKind::DataSource => {
                        let plugin = || Arc::new(HostedDataSource::new(component)) as _;
                        set.data_sources.entry(called).or_insert_with(plugin);
                    }
                }
            }
        }
    }
}

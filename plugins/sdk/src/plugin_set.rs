//! The plugins that a run can use, by the names templates give them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{
    AwsSecrets, Build, Builder, Component, DataSource, Fetch, PostProcess, PostProcessor,
    Provision, Provisioner, Reclaim, Resource, Result, StateStore, TestMachine,
};

/// All plugins known to a run. Each plugin crate adds its own with a `register` function.
#[derive(Default, Clone)]
pub struct PluginSet {
    /// `source "NAME"`.
    pub builders: BTreeMap<String, Arc<Builder>>,
    /// What runs the artifacts of a builder, by the builder's name. Those of others cannot be tested.
    pub test_machines: BTreeMap<String, Arc<dyn TestMachine>>,
    /// `provisioner "NAME"`.
    pub provisioners: BTreeMap<String, Arc<Provisioner>>,
    /// `post-processor "NAME"`.
    pub post_processors: BTreeMap<String, Arc<PostProcessor>>,
    /// `data "NAME"`.
    pub data_sources: BTreeMap<String, Arc<dyn DataSource>>,
    /// Packer plugins that these stand for, by source: the version whose options they know.
    pub provided: BTreeMap<String, String>,
    /// What can remove the leftovers of a killed run.
    pub reclaimers: Vec<Arc<dyn Reclaim>>,
    /// Where builders keep states for the step cache, for those who list and remove them.
    pub state_stores: Vec<Arc<dyn StateStore>>,
    /// What reads the secrets of AWS that functions of expressions name, if anything can.
    pub aws_secrets: Option<Arc<dyn AwsSecrets>>,
}

impl PluginSet {
    /// Adds a builder.
    pub fn add_builder<C: Component<Ready: Build>>(&mut self, builder: C) {
        self.builders.insert(C::NAME.to_owned(), Arc::new(builder));
    }

    /// Adds what runs the artifacts of the builder `builder`.
    pub fn add_test_machine(&mut self, builder: &str, machine: impl TestMachine + 'static) {
        self.test_machines.insert(builder.to_owned(), Arc::new(machine));
    }

    /// Adds a provisioner.
    pub fn add_provisioner<C: Component<Ready: Provision>>(&mut self, provisioner: C) {
        self.provisioners.insert(C::NAME.to_owned(), Arc::new(provisioner));
    }

    /// Adds a post-processor.
    pub fn add_post_processor<C: Component<Ready: PostProcess>>(&mut self, post_processor: C) {
        self.post_processors.insert(C::NAME.to_owned(), Arc::new(post_processor));
    }

    /// Adds a data source.
    pub fn add_data_source<C: Component<Ready: Fetch>>(&mut self, data_source: C) {
        self.data_sources.insert(C::NAME.to_owned(), Arc::new(data_source));
    }

    /// Says that what was added stands for a Packer plugin (`github.com/hashicorp/docker`) of
    /// that version.
    pub fn provides(&mut self, source: &str, version: &str) {
        self.provided.insert(source.to_owned(), version.to_owned());
    }

    /// The Packer plugin that a component of this name is of, and its version. Components are called
    /// as their plugin is, or begin with its name and a dash; where several plugins could have one of
    /// the name (`amazon` and `amazon-ami-management`), it is of the one with the longest name.
    pub fn provider_of(&self, component: &str) -> Option<(&str, &str)> {
        let of = |source: &str| is_of(plugin_name(source), component);
        let providers = self.provided.iter().filter(|(source, _)| of(source));
        let provider = providers.max_by_key(|(source, _)| plugin_name(source).len());
        provider.map(|(source, version)| (source.as_str(), version.as_str()))
    }

    /// Calls what stands for the Packer plugin `source` by `name` too: a template may give a
    /// plugin it requires a name of its own, and what the plugin has starts with that name then
    /// (`docker2`, `docker2-tag`). What is there under such a name already stays.
    pub fn also_as(&mut self, source: &str, name: &str) {
        let own = plugin_name(source);
        if own == name || !self.provided.contains_key(source) {
            return;
        }
        let before = self.clone();
        let is_its = |known: &str| before.provider_of(known).is_some_and(|(its, _)| its == source);
        let renamed = |known: &str| {
            let rest = known.strip_prefix(own).filter(|_| is_its(known))?;
            Some(format!("{name}{rest}"))
        };
        also(&mut self.builders, renamed);
        also(&mut self.test_machines, renamed);
        also(&mut self.provisioners, renamed);
        also(&mut self.post_processors, renamed);
        also(&mut self.data_sources, renamed);
    }

    /// Adds a remover of leftovers.
    pub fn reclaimer(&mut self, reclaimer: impl Reclaim + 'static) {
        self.reclaimers.push(Arc::new(reclaimer));
    }

    /// Adds where a builder keeps states.
    pub fn add_state_store(&mut self, store: impl StateStore + 'static) {
        self.state_stores.push(Arc::new(store));
    }

    /// Says what reads secrets of AWS.
    pub fn reads_aws_secrets(&mut self, secrets: impl AwsSecrets + 'static) {
        self.aws_secrets = Some(Arc::new(secrets));
    }

    /// Whether `resource`, which a builder made, is there; what no plugin can look for counts as there.
    ///
    /// # Errors
    /// It cannot be found out.
    pub async fn is_there(&self, resource: &Resource) -> Result<bool> {
        for reclaimer in &self.reclaimers {
            if let Some(there) = reclaimer.is_there(resource).await? {
                return Ok(there);
            }
        }
        Ok(true)
    }
}

/// Adds what `renamed` has another name for once more, under that name.
fn also<T: Clone>(plugins: &mut BTreeMap<String, T>, renamed: impl Fn(&str) -> Option<String>) {
    let found: Vec<(String, T)> = plugins
        .iter()
        .filter_map(|(known, plugin)| Some((renamed(known)?, plugin.clone())))
        .collect();
    for (known, plugin) in found {
        plugins.entry(known).or_insert(plugin);
    }
}

/// What a Packer plugin is called that comes from `source`: its last part.
pub fn plugin_name(source: &str) -> &str {
    source.rsplit('/').next().unwrap_or(source)
}

/// Whether a component of this name can be one of the plugin `plugin`.
pub fn is_of(plugin: &str, component: &str) -> bool {
    component.strip_prefix(plugin).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_of_the_plugin_with_the_longest_name() {
        let mut set = PluginSet::default();
        set.provides("github.com/hashicorp/amazon", "1.8.2");
        set.provides("github.com/wata727/amazon-ami-management", "1.7.0");
        for (component, version) in [
            ("amazon", Some("1.8.2")),
            ("amazon-ebs", Some("1.8.2")),
            ("amazon-ami", Some("1.8.2")),
            ("amazon-ami-management", Some("1.7.0")),
            ("amazonia", None),
        ] {
            let found = set.provider_of(component).map(|(_, version)| version);
            assert_eq!(found, version, "{component}");
        }
    }
}

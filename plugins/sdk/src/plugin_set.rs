//! The plugins that a run can use, by the names templates give them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{
    Build, Builder, Component, DataSource, Fetch, PostProcess, PostProcessor, Provision,
    Provisioner, Reclaim, TestMachine,
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

    /// Calls what stands for the Packer plugin `source` by `name` too: a template may give a
    /// plugin it requires a name of its own, and what the plugin has starts with that name then
    /// (`docker2`, `docker2-tag`). What is there under such a name already stays.
    pub fn also_as(&mut self, source: &str, name: &str) {
        let own = source.rsplit('/').next().unwrap_or(source);
        if own == name || !self.provided.contains_key(source) {
            return;
        }
        also(&mut self.builders, own, name);
        also(&mut self.test_machines, own, name);
        also(&mut self.provisioners, own, name);
        also(&mut self.post_processors, own, name);
        also(&mut self.data_sources, own, name);
    }

    /// Adds a remover of leftovers.
    pub fn reclaimer(&mut self, reclaimer: impl Reclaim + 'static) {
        self.reclaimers.push(Arc::new(reclaimer));
    }
}

/// Adds what is called `own` or `own-…` once more, as `name` or `name-…`.
fn also<T: Clone>(plugins: &mut BTreeMap<String, T>, own: &str, name: &str) {
    let renamed = |known: &String| {
        let rest = known.strip_prefix(own)?;
        (rest.is_empty() || rest.starts_with('-')).then(|| format!("{name}{rest}"))
    };
    let found: Vec<(String, T)> = plugins
        .iter()
        .filter_map(|(known, plugin)| Some((renamed(known)?, plugin.clone())))
        .collect();
    for (known, plugin) in found {
        plugins.entry(known).or_insert(plugin);
    }
}

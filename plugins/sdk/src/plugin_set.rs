//! The plugins that a run can use, by the names templates give them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Builder, DataSource, PostProcessor, Provisioner, Reclaim};

/// Makes a fresh, unprepared plugin.
pub type Constructor<T> = Arc<dyn Fn() -> Box<T> + Send + Sync>;

/// All plugins known to a run. Each plugin crate adds its own with a `register` function.
#[derive(Default, Clone)]
pub struct PluginSet {
    /// `source "NAME"`.
    pub builders: BTreeMap<String, Constructor<dyn Builder>>,
    /// `provisioner "NAME"`.
    pub provisioners: BTreeMap<String, Constructor<dyn Provisioner>>,
    /// `post-processor "NAME"`.
    pub post_processors: BTreeMap<String, Constructor<dyn PostProcessor>>,
    /// `data "NAME"`.
    pub data_sources: BTreeMap<String, Constructor<dyn DataSource>>,
    /// Packer plugins that these stand for, by source: the version whose options they know.
    pub provided: BTreeMap<String, String>,
    /// What can remove the leftovers of a killed run.
    pub reclaimers: Vec<Arc<dyn Reclaim>>,
}

impl PluginSet {
    /// Adds a builder.
    pub fn builder<T: Builder + Default + 'static>(&mut self, name: &str) {
        self.builders.insert(name.to_owned(), Arc::new(|| Box::new(T::default())));
    }

    /// Adds a provisioner.
    pub fn provisioner<T: Provisioner + Default + 'static>(&mut self, name: &str) {
        self.provisioners.insert(name.to_owned(), Arc::new(|| Box::new(T::default())));
    }

    /// Adds a post-processor.
    pub fn post_processor<T: PostProcessor + Default + 'static>(&mut self, name: &str) {
        self.post_processors.insert(name.to_owned(), Arc::new(|| Box::new(T::default())));
    }

    /// Adds a data source.
    pub fn data_source<T: DataSource + Default + 'static>(&mut self, name: &str) {
        self.data_sources.insert(name.to_owned(), Arc::new(|| Box::new(T::default())));
    }

    /// Says that what was added stands for a Packer plugin (`github.com/hashicorp/docker`) of
    /// that version.
    pub fn provides(&mut self, source: &str, version: &str) {
        self.provided.insert(source.to_owned(), version.to_owned());
    }

    /// Adds a remover of leftovers.
    pub fn reclaimer(&mut self, reclaimer: impl Reclaim + 'static) {
        self.reclaimers.push(Arc::new(reclaimer));
    }
}

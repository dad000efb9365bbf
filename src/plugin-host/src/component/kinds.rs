//! The kinds of components in the form that the engine knows.

use std::marker::PhantomData;

use ingot_sdk::{Config, ConfigErrors, Prepare, PrepareContext, Prepared, Schema};

use super::Component;
use crate::spec::SpecKind;

/// A component that has no options yet. `K` is what it becomes with them.
pub struct Hosted<K> {
    pub(super) component: Component,
    becomes: PhantomData<fn() -> K>,
}

/// What a component becomes with its options.
pub trait Configure: Sized {
    /// The same without its type.
    type Ready: ?Sized;

    /// Hands the options to the plugin.
    ///
    /// # Errors
    /// What the plugin says is wrong with them, or that it failed.
    fn configure(
        component: &Component,
        config: &Config,
        ctx: &PrepareContext,
    ) -> Result<Prepared<Self>, ConfigErrors>;

    /// Forgets the type.
    fn erase(self) -> Box<Self::Ready>;
}

impl<K> Hosted<K> {
    /// A component that has no options yet.
    pub fn new(component: Component) -> Self {
        Hosted { component, becomes: PhantomData }
    }
}

impl<K: Configure> Prepare<K::Ready> for Hosted<K> {
    fn schema(&self) -> Schema {
        self.component.schema(SpecKind::Config)
    }

    fn check(&self, config: &Config, ctx: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        Ok(K::configure(&self.component, config, ctx)?.with(()))
    }

    fn prepare(
        &self,
        config: &Config,
        ctx: &PrepareContext,
    ) -> Result<Prepared<Box<K::Ready>>, ConfigErrors> {
        Ok(K::configure(&self.component, config, ctx)?.map(K::erase))
    }
}

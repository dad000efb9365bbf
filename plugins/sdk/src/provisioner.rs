//! Provisioners change the machine that a builder brought up.

use std::sync::Arc;

use async_trait::async_trait;

use crate::component::{Erase, Prepare};
use crate::{Communicator, GeneratedData, Result, RunContext};

/// A provisioner without its options: `provisioner "NAME"`. The engine's own options (`only`,
/// `except`, `override`, `pause_before`, `max_retries`, `timeout`) are not in its schema.
pub type Provisioner = dyn Prepare<dyn Provision>;

/// A provisioner that has its options.
#[async_trait]
pub trait Provision: Send + Sync {
    /// Changes the machine. `data` is what the builder generated (`build.*`). Can be called again
    /// after it failed (`max_retries`).
    ///
    /// # Errors
    /// What failed. The engine runs it [unless it is cancelled](RunContext::unless_cancelled), which
    /// a `timeout` does too.
    async fn provision(
        &self,
        ctx: &RunContext,
        communicator: Arc<dyn Communicator>,
        data: &GeneratedData,
    ) -> Result<()>;

    /// Removes what a [`Provision::provision`] that failed, or was dropped, left on the machine. Called
    /// where the build goes on all the same (`continue_on_error`): what is left would be in the image.
    ///
    /// # Errors
    /// Something may be left, which is reported and ends nothing.
    async fn clean_up(&self, _ctx: &RunContext, _communicator: &dyn Communicator) -> Result<()> {
        Ok(())
    }
}

impl<P: Provision + 'static> Erase<P> for dyn Provision {
    fn erase(ready: P) -> Box<Self> {
        Box::new(ready)
    }
}

//! Looking for the state that a build can start from.

use std::path::Path;

use ingot_sdk::{Error, Result, RunContext, StateKey};

use super::set::Fault;
use super::shared::{self, SharedMachine};
use super::sizes::virtual_sizes;
use super::store::{self, KeptSet};
use super::tags::remove_others;
use crate::disk_format::Qcow2;
use crate::settings::Settings;

/// A state to start from.
#[derive(Debug, Clone)]
pub(crate) struct FoundState {
    /// Its key.
    pub key: StateKey,
    /// How many provisioners have run on it.
    pub done: usize,
    /// The states in its disks, without those that were removed since.
    pub states: Vec<StateKey>,
    source: StateSource,
}

/// Where a state is.
#[derive(Debug, Clone)]
enum StateSource {
    /// In the cache of this machine.
    Own(KeptSet),
    /// In the directory that machines share.
    Shared(SharedMachine),
}

/// The last of `keys` whose state is there, in the cache of this machine or in the directory that
/// machines share; `done` counts from 0 for the first of them. `machine` is the key of what it is made
/// of. Reports what keeps states from being used, and removes damaged ones.
pub(crate) async fn find(
    ctx: &RunContext,
    machine: &StateKey,
    keys: &[StateKey],
) -> Option<FoundState> {
    let root = store::root().ok();
    root.iter().for_each(|root| store::tidy(root));
    for (done, key) in keys.iter().enumerate().rev() {
        if let Some(root) = &root {
            match store::look_up(ctx, root, key).await {
                Ok(Some(kept)) => {
                    let (states, key) = (kept.set.states.clone(), key.clone());
                    return Some(FoundState { key, done, states, source: StateSource::Own(kept) });
                }
                Ok(None) => {}
                Err(error) => ctx.ui.say(format!("A cached state cannot be used: {error}")),
            }
        }
        if let Some(shared) = shared::look_up(ctx, machine, key).await {
            let (states, key) = (vec![key.clone()], key.clone());
            return Some(FoundState { key, done, states, source: StateSource::Shared(shared) });
        }
    }
    None
}

impl FoundState {
    /// Where it is, for people.
    pub(crate) fn location(&self) -> String {
        match &self.source {
            StateSource::Own(_) => "the cache of this machine".to_owned(),
            StateSource::Shared(shared) => shared.states.root().display().to_string(),
        }
    }

    /// Those of its states that are in the cache of this machine.
    pub(crate) fn kept_here(&self) -> &[StateKey] {
        match &self.source {
            StateSource::Own(_) => &self.states,
            StateSource::Shared(_) => &[],
        }
    }

    /// See [`super::Set::private_key`].
    pub(crate) fn private_key(&self) -> Option<&str> {
        match &self.source {
            StateSource::Own(kept) => kept.set.private_key.as_deref(),
            StateSource::Shared(shared) => shared.description.private_key.as_deref(),
        }
    }

    /// See [`super::Set::http_port`].
    pub(crate) fn http_port(&self) -> u16 {
        match &self.source {
            StateSource::Own(kept) => kept.set.http_port,
            StateSource::Shared(shared) => shared.description.http_port,
        }
    }

    /// Copies the disks to where the build's are, and compares them with their checksums. States that
    /// were removed from the cache are then removed from them; whether there were some. `medium` is the
    /// base image.
    ///
    /// # Errors
    /// They are damaged or gone, cannot be used, or cannot be written.
    pub(crate) async fn copy_disks(
        &self,
        ctx: &RunContext,
        settings: &Settings,
        medium: &Path,
    ) -> Result<bool, Fault> {
        let disks = settings.disks();
        match &self.source {
            StateSource::Own(kept) => kept.set.copy_disks(ctx, &disks).await?,
            StateSource::Shared(shared) => shared.copy_disks(ctx, settings, medium).await?,
        }
        // Before QEMU opens them.
        let sizes = virtual_sizes(ctx, settings, medium).await.map_err(Fault::Failed)?;
        for (disk, size) in disks.iter().zip(sizes) {
            let header = Qcow2::read(disk).map_err(Fault::Failed)?;
            let header = header.ok_or_else(|| Fault::damaged("its disk is not a qcow2 image"))?;
            if let Some(why) = header.unfit() {
                return Err(Fault::damaged(why));
            }
            if size.is_some_and(|size| size != header.virtual_size) {
                return Err(Fault::damaged("its disk has another size"));
            }
        }
        let mut some = false;
        for disk in &disks {
            some |= remove_others(ctx, disk, &self.states).await.map_err(Fault::Failed)?;
        }
        Ok(some)
    }

    /// Copies the disc that was made for the machine, if it had one.
    ///
    /// # Errors
    /// As for [`FoundState::copy_disks`].
    pub(crate) async fn copy_cd(&self, ctx: &RunContext, to: &Path) -> Result<bool, Fault> {
        match &self.source {
            StateSource::Own(kept) => kept.set.copy_cd(ctx, to).await,
            StateSource::Shared(shared) => shared.copy_cd(ctx, to).await,
        }
    }

    /// Forgets the state and all that is kept with it.
    pub(crate) async fn forget(&self) {
        let removed = match &self.source {
            StateSource::Own(kept) => kept.remove().await,
            StateSource::Shared(shared) => shared.states.remove(&self.key),
        };
        if let Err(error) = removed {
            let error: Error = error;
            tracing::warn!(%error, key = %self.key, "a state cannot be removed from the cache");
        }
    }
}

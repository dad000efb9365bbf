//! What a build knows of the states of its machine, and what keeps them while it runs.

use std::path::PathBuf;
use std::sync::Arc;

use ingot_sdk::{Result, RunContext, Snapshots, StateKey, async_trait};
use parking_lot::Mutex;

use super::base::Sources;
use super::find::FoundState;
use super::tags::tag;
use super::{shared, snapshot};

/// What is known of the states of one build's machine.
#[derive(Debug, Default)]
pub(crate) struct States {
    /// What the machine is made of, as the key of states of other machines begins.
    pub machine: Option<StateKey>,
    /// The key of the machine before the first provisioner.
    pub base: Option<StateKey>,
    /// The keys after the provisioners.
    pub keys: Vec<StateKey>,
    /// What the machine is made of.
    pub sources: Sources,
    /// The state that the build starts from.
    pub found: Option<FoundState>,
    /// The states that are in the disks, those of the set that they come from included.
    pub saved: Arc<Mutex<Vec<StateKey>>>,
    /// Whether some of them are new, or some that were in the disks are gone, so that there is a set to
    /// keep.
    pub new: Arc<Mutex<bool>>,
}

impl States {
    /// Whether states are kept at all.
    pub(crate) fn is_on(&self) -> bool {
        self.base.is_some()
    }

    /// How many provisioners have run on the state that the build starts from.
    pub(crate) fn done(&self) -> usize {
        self.found.as_ref().map_or(0, |found| found.done)
    }

    /// Where the state was that the build starts from, for people.
    pub(crate) fn found_in(&self) -> Option<String> {
        self.found.as_ref().map(FoundState::location)
    }

    /// The states on the way to the last provisioner that are in the disks, from the first on.
    pub(crate) fn on_the_way(&self) -> Vec<StateKey> {
        let saved = self.saved.lock();
        let keys = self.base.iter().chain(&self.keys);
        keys.filter(|key| saved.contains(key)).cloned().collect()
    }

    /// Those of them that are not in the directory that machines share, if there is one.
    pub(crate) fn missing(&self, ctx: &RunContext) -> Vec<StateKey> {
        let Some(directory) = ctx.hook.shared_states() else { return Vec::new() };
        let shared = shared::states(&directory);
        self.on_the_way().into_iter().filter(|key| !shared.has(key)).collect()
    }

    /// What keeps the states of the machine that QEMU at `socket` runs from `disks`.
    pub(crate) fn keeper(&self, socket: PathBuf, disks: Vec<PathBuf>) -> MachineStates {
        MachineStates { socket, disks, saved: Arc::clone(&self.saved), new: Arc::clone(&self.new) }
    }
}

/// Keeps states of a running machine in its disks.
pub(crate) struct MachineStates {
    socket: PathBuf,
    disks: Vec<PathBuf>,
    saved: Arc<Mutex<Vec<StateKey>>>,
    new: Arc<Mutex<bool>>,
}

#[async_trait]
impl Snapshots for MachineStates {
    async fn save(&self, ctx: &RunContext, key: &StateKey) -> Result<()> {
        let known = self.saved.lock().contains(key);
        ctx.unless_cancelled(snapshot::save(&self.socket, &self.disks, &tag(key), known)).await?;
        *self.new.lock() = true;
        if !known {
            self.saved.lock().push(key.clone());
        }
        Ok(())
    }
}

//! The step cache of machines: the state before the first provisioner and after each one, with
//! memory and disks.
//!
//! QEMU writes a state into the qcow2 disks of the build itself, as an internal snapshot, while the
//! machine stands still for a moment. When the machine is off, the disks go to the cache as one
//! [`set`] with the states in them; the finished disk is without them. A build that starts from
//! a state copies the disks of its set, and QEMU loads the state in the place of booting.

mod base;
mod set;
mod snapshot;
mod store;

use std::path::PathBuf;
use std::sync::Arc;

use ingot_sdk::{Result, RunContext, Snapshots, StateKey, async_trait};
use parking_lot::Mutex;

pub(crate) use base::{Sources, base_key, cannot_be_held};
pub(crate) use set::{Fault, Set};
pub(crate) use store::{FoundState, find, store};
pub use store::{KeptMachineState, kept_states, remove_kept_state};

/// What is known of the states of one build's machine.
#[derive(Debug, Default)]
pub(crate) struct States {
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
    /// Whether some of them are new.
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

/// What the snapshot of a state is called in a disk.
pub(crate) fn tag(key: &StateKey) -> String {
    // A name of digits alone could be the number of another one.
    format!("ingot-{key}")
}

//! The step cache of machines: the state before the first provisioner and after each one, with
//! memory and disks.
//!
//! QEMU writes a state into the qcow2 disks of the build itself, as an internal snapshot, while the
//! machine stands still for a moment. When the machine is off, the disks go to the cache as one
//! [`set`] with the states in them; the finished disk is without them. A build that starts from
//! a state copies the disks of its set, without the states that were removed since, and QEMU loads
//! the state in the place of booting. It keeps the set that it has come to in the place of that one.
//!
//! Machines share states by files with one state each ([`shared`], [`archive`]).

mod archive;
mod base;
mod build;
mod cached;
mod find;
mod set;
mod shared;
mod sizes;
mod snapshot;
mod store;
mod tags;

pub(crate) use base::{base_key, cannot_be_held};
pub(crate) use build::{MachineStates, States};
pub(crate) use cached::CachedDisks;
pub(crate) use find::{FoundState, find};
pub(crate) use set::{Fault, Set};
pub(crate) use shared::export;
pub(crate) use snapshot::MEMORY_TIMEOUT;
pub(crate) use store::store;
pub(crate) use tags::{remove_others, tag};

//! The step cache: keys of the states of a machine after each of its provisioners, made of all that
//! these depend on.
//!
//! The key of a state is made of the key before it and of the inputs of the step between; the first
//! is the builder's, for the machine before any provisioner. It has to depend on all that scripts get
//! from the builder, such as the files that its HTTP server gives away. A builder asks for the keys
//! ([`ingot_sdk::Hook::state_keys`]), starts from the last state that it finds, and keeps new ones.
//!
//! Nothing is cached from the first step on whose inputs are not known or not the same each time: in
//! doubt a step is run. What a key says was so when it was made is compared again once the step has
//! run, so that nothing is kept of files that change meanwhile.

mod build;
mod files;
mod index;
mod inputs;
mod outlook;
mod run;
mod secret;
#[cfg(test)]
mod tests;
mod volatile;

pub(super) use build::{NodeCache, ProvisionerStatus};
pub use index::{CacheDirectory, CachedState, Index};
pub use outlook::{Outlook, outlook};
pub use run::{StepCache, StepCacheOptions, shared_directory};
pub use secret::OWNER_DIGITS;

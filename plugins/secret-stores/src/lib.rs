//! Reads values that templates ask for from the stores that keep them: [`consul_key`] from the
//! key/value store of Consul, [`vault()`] from the secrets engines of Vault and OpenBao.
//!
//! Knows nothing of templates or of what is done with a value.
//!
//! Where a store is and who asks comes from the environment, by the variables that the stores' own
//! programs read.

mod client;
mod consul;
mod environment;
mod vault;

pub use consul::consul_key;
pub use environment::Environment;
pub use vault::vault;

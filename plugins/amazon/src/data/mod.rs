//! The data sources.

mod ami;
mod name;
mod parameter_store;
mod secrets_manager;

pub use ami::AmiData;
pub use parameter_store::ParameterStoreData;
pub use secrets_manager::{SecretsManager, SecretsManagerData};

use name::check_name;

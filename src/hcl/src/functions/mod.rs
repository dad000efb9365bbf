//! The functions that expressions can call, one file per family.
//!
//! [`call()`] does what all functions have in common: counting and converting arguments, refusing
//! null, standing aside for unknown values, and keeping results of secrets secret. A function
//! itself sees plain, known values of the types it declares, unless its parameters say otherwise.

mod call;
mod collection;
mod context;
mod csv;
mod date;
mod encoding;
mod files;
mod format;
mod glob;
mod hash;
mod json;
mod list;
mod map;
mod network;
mod numeric;
mod pipes;
mod regex;
mod secrets;
mod set;
mod signature;
mod stores;
mod string;
mod table;
#[cfg(test)]
mod tests;
mod uuid;
mod volatile;
mod yaml;

pub use ingot_go_template::clean_path;

pub use call::call;
pub use context::{FoundSecret, FunctionContext, SecretSink};
pub use json::to_text as json_text;
pub use pipes::Pipes;
pub use signature::{Accepts, Failure, Function, Outcome, Param, Returns, param, signature};
pub use stores::{StoredValue, Stores};
pub use table::{get, names};
pub use volatile::VolatileCalls;
pub use yaml::yaml_value;

use call::{count, items, text, whole};
use signature::{function, of_text};

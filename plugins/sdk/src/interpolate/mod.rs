//! The `{{ }}` templates in options: [Go's language](ingot_go_template) with Packer's functions,
//! and what is done with all options of a plugin before it reads them.

mod error;
mod functions;
mod interpolation;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use functions::ADDED_BY_PLUGINS;
pub use interpolation::{COMPATIBLE_PACKER_VERSION, Interpolation, PluginFunction, literal};

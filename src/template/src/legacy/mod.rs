//! Legacy JSON templates, converted to the form that the rest of the program takes: source blocks,
//! and one build of all of them.

pub mod conversion;
mod template;
pub mod variables;

pub(super) use template::sources;
pub use template::{build, check, point_to_fixes};

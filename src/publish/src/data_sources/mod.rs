//! Data sources that read a registry: versions and artifacts, and both by the names they had
//! before.

mod artifact;
mod image;
mod iteration;
mod lookup;
mod parents;
mod register;
mod version;

pub use parents::{FoundBy, ParentReference, parent_references};
pub use register::register;

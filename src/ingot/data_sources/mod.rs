//! Data sources that read a registry: versions and artifacts, and both by the names they had
//! before.

mod artifact;
mod image;
mod iteration;
mod lookup;
mod register;
mod version;

pub use register::register;

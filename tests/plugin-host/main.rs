//! Templates with plugins that are programs of their own, through the binary.

mod builds;
#[path = "../e2e/harness.rs"]
#[allow(dead_code)]
mod harness;
mod installed;
mod trial;
mod validate;

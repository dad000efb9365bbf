//! The plugin `trial`, hosted by this crate alone.

mod components;
mod failures;
mod harness;

//! Ingot: a Packer-compatible image builder.
//!
//! Data flows one way: template text → [`ingot_hcl`] → [`ingot_template`] → [`ingot_engine`] → plugins →
//! [`ingot_publish`] → [`ui`]. No module knows one that stands after it in that list. [`builtin`] names the
//! plugins that are part of the program, [`build_plan`] is what a run would do, [`build_logs`] keeps
//! what a build says while it runs, [`image_lookup`] finds what is known of an image, [`cli`] puts all of
//! it together.

#[cfg(feature = "amazon")]
mod aws_keys;
pub mod build_logs;
pub mod build_plan;
pub mod builtin;
pub mod cli;
pub mod image_lookup;
pub use ingot_ui as ui;

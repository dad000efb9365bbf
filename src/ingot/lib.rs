//! Ingot: a Packer-compatible image builder.
//!
//! Data flows one way: template text → `ingot_hcl` → `ingot_template` → `ingot_engine` → plugins →
//! `ingot_publish` → `ingot_ui`. No crate knows one that stands after it in that list, and [`ingot_cli`]
//! puts them together. What is left for the program is here: [`builtin`] names the plugins that are part of
//! it, other modules join those that need each other and do not know each other.

#[cfg(feature = "amazon")]
mod aws_keys;
pub mod builtin;
mod docker_images;

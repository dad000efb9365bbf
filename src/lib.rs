//! Ingot: a Packer-compatible image builder.
//!
//! Data flows one way: template text → [`syntax`] → [`template`] → graph → engine → plugins → ui.
//! No module knows one that stands after it in that list.

pub mod cli;
pub mod engine;
pub mod graph;
pub mod registry;
pub mod syntax;
pub mod template;
pub mod ui;

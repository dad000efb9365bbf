//! Packer's legacy JSON templates, those of before HCL2: `builders`, `provisioners`,
//! `post-processors` and `variables`, with Go templates in their strings.
//!
//! - [`read()`] reads one into a [`Template`], every part with its place, and [`Template::check`]
//!   finds what Packer refuses before it looks at any plugin;
//! - [`actions`] makes expressions of what strings ask of the engine: `{{ user "name" }}`;
//! - [`fix`] brings options of old versions up to date;
//! - [`upgrade`] writes a template as HCL2.
//!
//! Knows no plugin, no command line and nothing of running a build.

pub mod actions;
mod check;
pub mod fix;
mod read;
mod template;
pub mod upgrade;

pub use read::read;
pub use template::{Component, Template, Text, Variable};

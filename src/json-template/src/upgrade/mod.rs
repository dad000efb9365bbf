//! A JSON template as HCL2.
//!
//! What `{{ }}` ask of Packer become expressions: `{{ user "name" }}` is `var.name`. What they ask of
//! a plugin, such as `{{ .Vars }}`, stays as it is, as plugins render it in HCL2 too. What has no
//! counterpart stays with a comment that says so. Options keep their order.

mod actions;
mod annotations;
mod components;
mod layout;
mod markers;
mod names;
mod plugins;
#[cfg(test)]
mod tests;
mod upgraded;
mod values;
mod variables;
mod writer;

pub use components::{Form, Kind, Plugins};
pub use upgraded::{Upgraded, upgrade};

//! The packages of a machine, as its package managers have written them down.

mod apk;
mod cargo;
mod dpkg;
mod fields;
mod file_packages;
mod go;
mod go_program;
mod inventory;
mod npm;
mod os_release;
mod package;
mod python;
mod rpm;
mod rust_program;
mod text;

pub use inventory::Inventory;
pub use os_release::OperatingSystem;
pub use package::{Ecosystem, Package};

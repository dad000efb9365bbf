//! What builders of virtual machines share.
//!
//! Knows media and keyboards; knows nothing of a hypervisor or of the engine.
//!
//! Each module holds one group of Packer's options as a struct that a builder flattens into its
//! own options (`#[serde(flatten)]`), an offline `prepare` that judges them, and what is done
//! with them at run time:
//!
//! | module | options | at run time |
//! | --- | --- | --- |
//! | [`iso`] | `iso_url`, `iso_checksum`, … | [`iso::IsoOptions::retrieve`] gives the file |
//! | [`http_server`] | `http_directory`, … | [`http_server::HttpServer::start`] serves until dropped |
//! | [`floppy`] | `floppy_files`, … | [`floppy::FloppyOptions::create`] gives an image until dropped |
//! | [`cd`] | `cd_files`, … | [`cd::CdOptions::create`] gives an image until dropped |
//! | [`boot_command`] | `boot_command`, … | [`boot_command::BootOptions::type_commands`] presses keys |
//! | [`shutdown`] | `shutdown_command`, … | [`shutdown::ShutdownOptions::shut_down`] |
//! | [`ports`] | | [`ports::PortRange::reserve`] finds a free port |

pub mod boot_command;
pub mod cache;
pub mod cd;
pub mod floppy;
pub mod http_server;
pub mod iso;
pub mod ports;
pub mod scratch;
pub mod shutdown;
mod tree;

//! The crate against real parts: nginx, mtools, isoinfo, other processes.

mod boot_command;
mod harness;
mod http_server;
mod iso;
mod media;
mod options;
mod ports;
mod shutdown;

//! Templates with plugins that are programs of their own, through the binary.

mod builds;
mod commands;
mod init;
mod installed;
mod release_server;
mod validate;

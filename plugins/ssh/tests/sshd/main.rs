//! Against real SSH servers.

mod commands;
mod failures;
mod files;
mod harness;
mod login;
mod options;
mod provisioning;
mod routes;

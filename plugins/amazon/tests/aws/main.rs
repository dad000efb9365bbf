//! What this crate does against a real moto server.

#[path = "../server/mod.rs"]
mod server;

//! `amazon-ebs` against a real moto server, with a real sshd as the instance.

mod account;
mod build;
mod harness;
mod images;
mod interrupted;
mod options;
mod spot;

#[path = "../server/mod.rs"]
mod server;
#[path = "../../../ssh/tests/server/mod.rs"]
#[allow(dead_code, reason = "the ssh communicator's tests use more of it")]
mod sshd;

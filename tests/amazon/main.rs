//! `amazon-ebs` end to end through the binary, against moto's server and with a real sshd as the
//! instance; and the harness itself.

mod bench;
mod cleanup;
mod cloud;
mod fast_launch;
mod harness;
mod http;
mod matrix;
#[path = "../../plugins/amazon/tests/server/mod.rs"]
mod moto;
mod options;
mod proxy;
mod session_manager;
#[expect(dead_code, reason = "the tests of the ssh communicator itself use more of it")]
#[path = "../../plugins/ssh/tests/server/mod.rs"]
mod sshd;

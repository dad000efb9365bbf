//! What a plugin calls back: the user interface, the machine, the build's provisioners and the
//! artifact it works on. Each call of a component offers a server with some of these on a stream
//! of its own.

pub(crate) mod artifact;
pub(crate) mod communicator;
pub(crate) mod hook;
mod server;
pub(crate) mod ui;

pub(crate) use server::{Callbacks, offer};

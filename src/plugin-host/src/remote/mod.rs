//! What a plugin offers: the machine that its builder brought up, and artifacts.

pub(crate) mod artifact;
pub(crate) mod communicator;

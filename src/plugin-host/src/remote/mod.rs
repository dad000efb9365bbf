//! What a plugin offers: the machine that its builder brought up, and artifacts.

pub mod artifact;
pub mod communicator;

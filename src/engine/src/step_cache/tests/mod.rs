//! The cache against a model of a machine.

mod cached;
mod random;
mod world;

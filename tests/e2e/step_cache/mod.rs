//! The step cache with the real Engine: what is run again and what is not, and that what comes out is
//! the same.

mod cached;
mod concurrent;
mod image;
mod random;
mod rerun;
mod shared;
mod states;

//! Runs the tests of a node: what its builder made is run once more by the same builder, whose hook
//! has checks in place of provisioners.

mod hook;
mod run;

pub(super) use run::{NodeTests, check, dispose, subject_of};

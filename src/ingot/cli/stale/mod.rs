//! `ingot build -stale`: builds what is out of date of a family, parents before children.
//!
//! Each template is built by a process of its own, so that nothing of one run gets into another: its
//! values, its journal, the directory that plugins of it work in. What these processes say is shown
//! here, where the secrets of all are hidden in what any of them says.

mod command;
mod fate;
mod order;
mod process;
mod run;

pub(super) use command::run;
pub(super) use order::{ask, foreseen};

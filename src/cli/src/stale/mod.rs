//! `ingot build -stale`: builds what is out of date of a family, parents before children. How that is
//! done is in [`ingot_family`]; here are the flags, and what is shown. The secrets of all members are
//! hidden in what any of them writes.

mod arguments;
mod command;
mod dry_run;
mod lines;

pub(super) use command::run;

//! The documentation is true: its links lead somewhere, its commands do what it shows, and it can be
//! built as a site.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

mod architecture;
mod commands;
mod links;
mod man_pages;
mod page;
mod session;
mod site;

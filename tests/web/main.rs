//! The registry's web pages: by HTTP, and in a real browser.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

mod accessible;
mod both_databases;
mod browser;
mod build_report;
mod content;
mod details;
mod first_run;
mod flow;
mod lists;
mod plain;
mod revoking;
mod safe;
mod settings;
mod shelf;
mod visitor;
mod ways;

//! The registry's web pages: by HTTP, and in a real browser.

#[path = "../e2e/harness.rs"]
#[expect(dead_code, reason = "shared with the end-to-end tests")]
mod harness;
#[path = "../registry/server.rs"]
#[expect(dead_code, reason = "shared with the tests of the registry")]
mod server;

#[path = "../registry/postgres.rs"]
#[expect(dead_code, reason = "shared with the tests of the registry")]
mod postgres;

mod accessible;
mod browser;
mod content;
mod details;
mod first_run;
mod flow;
mod lists;
mod revoking;
mod safe;
mod settings;
mod shelf;
mod visitor;
mod ways;

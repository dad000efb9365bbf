//! The registry's web pages: by HTTP, and in a real browser.

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

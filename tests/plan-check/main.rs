//! The plan check: plans of Terraform against registries, by command and as a run task.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

mod bounds;
mod brings;
mod check;
mod docker;
mod hcp_terraform;
mod names;
mod plans;
mod run_task;
mod stock;
mod terraform;

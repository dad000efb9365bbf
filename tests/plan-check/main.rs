//! The plan check: plans of Terraform against registries, by command and as a run task.

mod bounds;
mod brings;
mod check;
mod names;
mod plans;
mod run_task;
mod stock;
mod terraform;

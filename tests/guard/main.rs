//! The guard: plans of Terraform against registries, by command and as a run task.

#[path = "../e2e/harness.rs"]
#[expect(dead_code, reason = "shared with the other end-to-end tests")]
mod harness;
#[path = "../registry/postgres.rs"]
#[expect(dead_code, reason = "shared with the other tests of the registry")]
mod postgres;
#[path = "../registry/server.rs"]
#[expect(dead_code, reason = "shared with the other tests of the registry")]
mod server;

mod bounds;
mod brings;
mod check;
mod names;
mod plans;
mod run_task;
mod stock;
mod terraform;

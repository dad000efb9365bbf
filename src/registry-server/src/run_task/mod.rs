//! The run task: Terraform sends a call for each run, which is remembered and answered at once; the
//! plan is fetched and checked afterwards, and the result sent to where the call says. The format
//! is that of HCP Terraform's run task integration, `payload_version` 1.

pub(super) mod api;
mod call;
mod endpoint;
mod options;
mod outcome;
mod remote;
mod work;

pub use options::{HOSTS, RunTaskOptions};

pub(super) use endpoint::{RunTasks, router};
pub(super) use work::run;

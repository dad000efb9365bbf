//! The run task, with Terraform's side played by a listener: the bodies are those that HCP Terraform
//! documents for run task integrations.

mod calls;
mod runs;
mod world;

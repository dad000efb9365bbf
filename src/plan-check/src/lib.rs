//! Which images a Terraform plan or state uses, and what the registry says of each.
//!
//! [`Plan`] reads the plan, an [`Inventory`] has the images in it, [`check`] asks the registry, and a
//! [`Report`] is what came of it: `ingot registry check` shows it, the server's run task sends it to
//! Terraform.
//!
//! Knows the [`Registry`](ingot_registry::client::Registry) trait only: nothing of stores, servers,
//! templates or Terraform's own program. What a plan says is bounded in size, depth and time.

mod configuration;
mod evaluator;
mod evidence;
mod google;
mod image_version;
mod introduced_uses;
mod kinds;
mod leaves;
mod plan;
mod region;
mod report;
mod sarif;
mod uses;

pub use evaluator::check;
pub use plan::{Plan, PlanError};
pub use report::{Finding, Level, Replacement, Report, Status, text};
pub use sarif::sarif;
pub use uses::{Inventory, Origin, Use};

/// What to do about a finding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// Nothing.
    Ignore,
    /// Say so.
    #[default]
    Warn,
    /// Stop.
    Fail,
}

impl std::str::FromStr for Behaviour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "ignore" => Ok(Behaviour::Ignore),
            "warn" => Ok(Behaviour::Warn),
            "fail" => Ok(Behaviour::Fail),
            _ => Err(format!("`{text}` is not ignore, warn or fail")),
        }
    }
}

/// What to do about what is found. A revoked image that a plan is about to deploy always fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// Revoked images that a resource has already and keeps.
    pub existing: Behaviour,
    /// Images that are to be revoked at a time to come.
    pub scheduled: Behaviour,
    /// Images that a newer one has taken the place of, or that were built from such a one; those of
    /// incomplete versions.
    pub outdated: Behaviour,
    /// Images that the registry does not know.
    pub untracked: Behaviour,
    /// Images that are known only when the plan is applied.
    pub unknown: Behaviour,
}

//! Which components a fixer is for.

use Types::{Named, Prefix};

/// Types of builders, provisioners and post-processors.
#[derive(Debug, Clone, Copy)]
pub enum Types {
    /// All builders.
    Builders,
    /// Those whose names start so.
    Prefix(&'static str),
    /// These.
    Named(&'static [&'static str]),
}

impl Types {
    pub(super) fn has(self, ty: &str) -> bool {
        match self {
            Types::Builders => true,
            Types::Prefix(prefix) => ty.starts_with(prefix),
            Types::Named(names) => names.contains(&ty),
        }
    }
}

pub(super) const AMAZON: Types = Prefix("amazon-");
pub(super) const PARALLELS: Types = Named(&["parallels-iso", "parallels-pvm"]);
pub(super) const HYPERV: Types = Named(&["hyperv-iso", "hyperv-vmcx"]);
pub(super) const SPOT: Types =
    Named(&["amazon-ebs", "amazon-ebssurrogate", "amazon-ebsvolume", "amazon-instance"]);

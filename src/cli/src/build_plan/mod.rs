//! What `ingot build` would do, without doing it: which builds, from which inputs, as what they would
//! be published, and what is unchanged since that was done last.

mod block;
mod dot;
mod gather;
mod model;
mod tree;

pub(crate) use dot::Graph;
pub use dot::dot;
pub use gather::gather;
pub use model::{
    BuildPlan, PlannedBlock, PlannedBuild, PlannedCache, PlannedData, PlannedFile, PlannedParent,
    PlannedVariable, PlannedVersion, PublishPlan, State,
};
pub use tree::{Branch, Style, tree};

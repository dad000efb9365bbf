//! The build graph: one node for every source of every build, with the provisioners and
//! post-processor pipelines that apply to it.

mod filter;
mod node;

pub use filter::Filter;
pub use node::{Node, build};

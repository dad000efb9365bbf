//! What a template says: its blocks as typed structures, and the values they stand for.

mod attribute;
pub mod blocks;
pub mod builds;
pub mod constant;
pub mod convert;
pub mod dynamic;
pub mod eval;
pub mod functions;
pub mod load;
pub mod named;
pub mod number;
mod operators;
pub mod options;
pub mod packer_block;
pub mod print;
pub mod registry_block;
pub mod scope;
pub mod steps;
pub mod type_expr;
pub mod types;
mod unify;
mod validation;
pub mod value;
pub mod variables;
pub mod version;

pub use blocks::Template;
pub use builds::Build;
pub use eval::eval;
pub use number::Number;
pub use registry_block::RegistryBlock;
pub use scope::Scope;
pub use types::Type;
pub use value::{Kind, Value};

//! What a template says: its blocks as typed structures, and the values they stand for.

pub mod convert;
pub mod number;
pub mod types;
pub mod value;

pub use number::Number;
pub use types::Type;
pub use value::{Kind, Value};

//! Values that are not known, and secrets, in every position of generated templates.

mod expressions;
mod opened;
mod options;

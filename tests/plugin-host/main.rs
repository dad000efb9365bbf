//! Templates with plugins that are programs of their own, through the binary.

mod builds;
mod installed;
mod validate;

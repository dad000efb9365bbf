//! Go's encoding/gob, as far as the protocol needs it: the options of plugins that do not know
//! protobuf, the values of their data sources, and the end of a command in the communicator.
//!
//! A gob describes its types before their first value, so that one can be read without knowing
//! them. See the documentation of Go's package encoding/gob for the format.

mod cty;
mod decode;
mod exit_status;
mod spec;

pub(crate) use cty::value as cty_value;
pub(crate) use decode::{Gob, invalid};
pub(crate) use exit_status::{decode_exit_status, encode_exit_status};
pub(crate) use spec::object_spec;

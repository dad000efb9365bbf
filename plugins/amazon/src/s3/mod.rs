//! Objects of S3: as much as an upload of a disk needs.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`client`] | signed requests, one for each operation |
//! | [`failure`] | what S3 answered when one failed, and what to do about it |
//! | [`place`] | where buckets and their objects are |
//! | [`upload`] | a file, in parts where it is large |

mod client;
mod failure;
mod place;
mod upload;

pub(crate) use client::S3;
pub(crate) use place::is_bucket_name;
pub(crate) use upload::{Others, Upload, Uploaded, comes_in_parts, give_up};

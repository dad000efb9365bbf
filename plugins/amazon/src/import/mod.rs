//! `post-processor "amazon-import"`: makes an AMI of a disk. Options, defaults and results are those of
//! Packer's plugin.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`options`] | the options, and what can be wrong with them |
//! | [`post_processor`] | what is done, in order, and how it is undone |
//! | [`object`] | the disk in S3 |
//! | [`task`] | the import that EC2 does |
//! | [`image`] | the AMI under its name |
//! | [`marks`] | what both are recognized by, so that nothing else is removed |
//! | [`records`] | what the journal holds of all this |

mod image;
mod marks;
mod object;
mod options;
mod post_processor;
mod records;
mod task;

pub(crate) use object::remove_object;
pub use post_processor::AmazonImport;
pub(crate) use records::{OBJECT, TASK};
pub(crate) use task::remove_task;

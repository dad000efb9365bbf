//! The step cache of `amazon-ebs`: AMIs of the instance between its provisioners.
//!
//! The instance is stopped, an AMI is made of it, and it is started again for what runs next: the
//! build that keeps a state goes on from what a build that starts from it has, a machine that has
//! just booted from its disks. What only a running machine holds, such as processes, memory and
//! instance store volumes, is lost to both. A reboot by EC2 would leave the instance store to one of
//! them, and an image of the running machine all of these; and when EC2 has rebooted an instance,
//! nothing but the instance can tell.
//!
//! AMIs become whole while the build goes on. They are in the journal until they are, which the build
//! waits for at its end, when the instance is gone.

mod build_states;
mod find;
mod image;
mod keep;
mod limits;
mod line;
mod login;

pub(super) use build_states::States;
pub(super) use find::FindState;
pub(super) use keep::keep_from_here;

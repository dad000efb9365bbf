//! `vagrant`: makes a Vagrant box of a machine that qemu built.

mod libvirt;
mod packing;
mod post_processor;

pub use post_processor::Vagrant;

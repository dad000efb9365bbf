//! `amazon-ebs` against a real moto server, with a real sshd as the instance.

mod account;
mod build;
mod harness;
mod images;
mod interrupted;
mod options;
mod spot;

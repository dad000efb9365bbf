//! Amazon Web Services.
//!
//! Knows AWS and the SDK; knows nothing of templates, of the engine or of other builders.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`ami_management`] | the post-processor `amazon-ami-management` |
//! | [`access`] | the options for access that all blocks share, and the clients made of them |
//! | [`auto_scaling`] | launch configurations |
//! | [`data`] | the data sources |
//! | [`ecr`] | passwords of the container registry |
//! | [`ebs`] | the builders `amazon-ebs`, `amazon-ebssurrogate` and `amazon-ebsvolume` |
//! | [`failure`] | what AWS answered when a call failed, and what kind of failure that is |
//! | [`filter`] | finding an AMI by what is known about it |
//! | [`import`] | the post-processor `amazon-import` |
//! | [`kms`] | signing with the keys of KMS |
//! | [`json_call`] | calls of services whose crate in the SDK is not built |
//! | [`polling`] | how long and how often to look whether something is done |
//! | [`s3`] | objects of S3: signed requests, and uploads |
//!
//! No client is made before something asks AWS: `validate` needs neither network nor credentials.

pub mod access;
mod ami_management;
mod auto_scaling;
mod data;
mod ebs;
mod ecr;
pub mod failure;
pub mod filter;
mod http_client;
mod import;
pub mod json_call;
pub mod kms;
pub mod polling;
mod s3;
mod xml;

use ingot_sdk::{Component as _, PluginSet};

pub use ami_management::AmiManagement;
pub use data::{AmiData, ParameterStoreData, SecretsManager, SecretsManagerData};
pub use ebs::{EbsBuilder, EbsReclaim, EbsSurrogateBuilder, EbsVolumeBuilder, RUN_TAG};
pub use ecr::AmazonEcr;
pub use import::AmazonImport;

/// Adds the plugins of this crate to `set`.
pub fn register(set: &mut PluginSet) {
    set.add_data_source(AmiData);
    set.add_data_source(ParameterStoreData);
    set.add_data_source(SecretsManagerData);
    set.add_builder(EbsBuilder);
    set.add_test_machine(EbsBuilder::NAME, ebs::AmiTest);
    set.add_builder(EbsSurrogateBuilder);
    set.add_builder(EbsVolumeBuilder);
    set.reclaimer(EbsReclaim::default());
    set.add_state_store(ebs::CachedImages);
    set.reads_aws_secrets(SecretsManager);
    set.add_post_processor(AmiManagement);
    set.add_post_processor(AmazonImport);
    set.provides("github.com/hashicorp/amazon", "1.8.2");
    set.provides("github.com/wata727/amazon-ami-management", "1.7.0");
}

//! The API of 2021-04-30, which Packer 1.7 to 1.9 and older versions of Terraform's provider
//! speak: the same registry in older words. Buckets were images with a slug, versions iterations
//! that were named by their id, artifacts images.

mod form;
mod operations;
mod routes;

pub(super) use routes::add;

//! What differs between two images.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`changes`] | what was added, removed and changed between two maps |
//! | [`packages`] | the packages that an SBOM lists, CycloneDX or SPDX |
//! | [`attributes`] | extended attributes of files, as people read them |
//! | [`image`] | all that can be known of an image, and what differs between two |
//! | [`text`] | the differences for people |
//!
//! Knows no registry, no Docker and no command line: who has an image says what is in it.

pub mod attributes;
pub mod changes;
pub mod image;
pub mod packages;
pub mod text;

pub use attributes::attribute_text;
pub use changes::{Change, Changes};
pub use image::{Device, Difference, FileEntry, FileType, Image, Part, compare};
pub use packages::{PackageList, Packages, packages_of};

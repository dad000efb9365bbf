//! What a registry does: the rules, over the [`store`](super::store). A [`Session`] is one caller's
//! view of one project, and a [`Registry`](crate::client::Registry) like any other: the server puts
//! HTTP around it, and the embedded registry uses it as it is.

mod administration;
mod ancestry;
mod buckets;
mod builds;
mod channels;
mod credentials;
mod enforced_blocks;
mod enforced_links;
mod events;
mod lineage;
#[cfg(test)]
mod lineage_tests;
mod not_found;
mod operations;
mod overview;
mod page;
mod projects;
mod relations;
mod revocation;
#[cfg(test)]
mod revocation_tests;
mod rules;
mod run_tasks;
mod sboms;
mod session;
#[cfg(test)]
mod turn_tests;
mod version_list;
mod versions;
mod view;
mod work;

pub use administration::{ADMIN, Administration, NewWebhook};
pub use channels::CREATE_CHANNEL;
pub use credentials::{Credentials, hash_secret, is_secret_of, random_hex};
pub use enforced_blocks::EnforcedSummary;
pub use events::EVENTS;
pub use lineage::{AncestryEdge, Lineage, LineageQuery, Member};
pub use overview::{BucketSummary, Overview, Relatives, Rollback, VersionName, words};
pub use relations::{Relation, Relations};
pub use sboms::{sbom_document, sbom_document_in_turn};
pub use session::{Caller, Session};
pub use version_list::VersionList;
pub use versions::{CANCEL_REVOCATION, RESTORE, REVOKE};
pub use work::{cancel_silent_builds, carry_out_revocations, forget_audit, forget_run_tasks};

use not_found::{no_bucket, no_channel, no_version};

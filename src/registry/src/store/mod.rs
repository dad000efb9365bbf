//! The registry's database: SQLite or PostgreSQL, by one text of SQL.
//!
//! Both understand `$1`, `RETURNING` and `ON CONFLICT`, so there is no trait with an implementation
//! for each: the two differ in how a connection is set up (`connection`) and how a transaction begins
//! (`transaction`). Constraints and transactions decide what happens when several servers or
//! processes want the same; nothing is kept in memory.

mod backup;
mod buckets;
mod builds;
mod channels;
mod closing;
mod columns;
mod connection;
mod database;
mod enforced_blocks;
mod error;
mod location;
mod migrate;
mod open_connections;
mod outbox;
mod overview;
mod projects;
mod revocations;
mod run_tasks;
mod sboms;
mod sessions;
mod transaction;
mod turn;
mod version_list;
mod versions;

pub use crate::id::new_id;
pub use backup::CopyReport;
pub use buckets::{BucketRow, Keyset};
pub use builds::{ArtifactRow, BuildRow, FoundArtifact};
pub use channels::{AssignmentRow, ChannelRow};
pub use closing::wait_until_closed;
pub use database::Store;
pub use enforced_blocks::{EnforcedBlockRow, EnforcedLinkRow, EnforcedVersionRow};
pub use futures_util::future::BoxFuture;
pub use location::Location;
pub use outbox::{AuditRow, Delivery, WaitingDeliveries, Webhook};
pub use overview::{BucketFilter, BucketLine, BucketOrder, BucketStatus, BuildLine, RelativesLine};
pub use projects::{Principal, Project, Role};
pub use revocations::{Claim, Relative, RevocationRow};
pub use run_tasks::{RunTaskCall, RunTaskJob, RunTaskKey};
pub use sboms::SbomRow;
pub use transaction::{Retries, Tx, transaction};
pub use turn::turn_within;
pub use version_list::{VersionFilter, VersionOrder};
pub use versions::{RelationRow, VersionRow};

use columns::{CHUNK, Columns, labels_text, marks};

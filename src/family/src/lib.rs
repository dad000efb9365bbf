//! Families: templates whose images are built from each other's, by way of the registry. A template's
//! parents are the buckets that its data sources name.
//!
//! Each template of a family is built by a process of its own, so that nothing of one run gets into
//! another: its values, its journal, the directory that plugins of it work in. What these processes
//! write is reported line by line to whoever started the run of the family.
//!
//! - [`find_templates`] and [`read_member`] read the templates, [`arrange()`] puts parents before children;
//! - [`standings`] says which are out of date and why, [`build_outdated`] builds these;
//! - [`attach`] is for the processes that build the members.
//!
//! Knows templates, what is published of them, and a program that builds one; knows no plugin, no
//! flag and nothing of how any of this is shown.

mod arrange;
mod event;
mod find;
mod member;
mod membership;
mod outcome;
mod prediction;
mod process;
mod promote;
mod run;
mod standing;

pub use arrange::{Family, arrange};
pub use event::{FamilyEvent, OutputStream, Report};
pub use find::find_templates;
pub use member::{Member, ParentLink, read_member};
pub use membership::{MEMBER_VARIABLE, attach, member_bucket, promoted_channel};
pub use outcome::MemberOutcome;
pub use prediction::predicted_reasons;
pub use process::{Arguments, MemberBuild};
pub use promote::promote;
pub use run::{FamilyRunOptions, build_outdated};
pub use standing::{ParentStanding, Standing, of_one_run, standings};

//! The registry's web pages: made on the server, and of use without JavaScript, of which they have
//! none. A page is a file or a directory here; what they show and do goes through the same
//! [`Session`](ingot_registry::service::Session) as the API, so roles and the audit log are the
//! API's.
//!
//! Names, labels and messages come from strangers. `maud` escapes all that is put into a page, and
//! the content security policy allows neither scripts nor styles but the registry's own sheet.

mod ancestry;
mod assets;
mod assign;
mod assign_form;
mod bucket;
mod buckets;
mod build_origin;
mod channels;
mod compare;
mod compress;
mod enforced_blocks;
mod error_page;
mod graph;
mod notice;
mod page;
mod parts;
mod problem;
mod projects;
mod relations;
mod removal;
mod restore;
mod revoke;
mod router;
mod settings;
mod sibling_groups;
mod sign_in;
mod usage;
mod version;
mod versions;
mod web_session;
mod when;

pub use sign_in::new_link;

pub(super) use router::{nothing_here, refused, router, wrong_method};
pub(super) use web_session::is_secure;

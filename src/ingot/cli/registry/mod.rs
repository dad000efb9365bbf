//! `ingot registry`: one file per noun.

mod admin;
mod ancestry;
mod artifact;
mod backup;
mod bucket;
mod channel;
mod check;
mod command;
mod enforced_block;
mod labels;
mod output;
mod push;
mod revoke;
mod run_task;
mod sbom;
mod serve;
mod session;
mod sign_in_link;
mod version;

pub(super) use command::{RegistryArgs, run};

use command::{Form, serve};
use labels::{ChangeLabels, SetLabels};
use session::{Session, is_absent, told};

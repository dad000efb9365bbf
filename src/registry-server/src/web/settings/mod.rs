//! The settings of a project: Terraform's run task, members, webhooks, the audit log.

mod changes;
mod form;
mod members;
mod page;
mod webhooks;

pub(super) use changes::{
    add_member, add_webhook, configure, remove_member, remove_webhook, replace_key,
};
pub(super) use page::show;

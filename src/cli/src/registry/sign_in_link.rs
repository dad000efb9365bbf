//! `ingot registry sign-in-link`: a link that signs somebody in to the web pages, once.

use clap::Args;

use super::output;
use super::serve::{DatabaseArgs, PAGES_AT};
use ingot_registry::api::{Error, Result};
use ingot_registry::service::ADMIN;
use ingot_registry::store::transaction;
use ingot_registry_server::web;

#[derive(Debug, Args)]
pub(super) struct SignInLinkArgs {
    /// The principal to sign in as: its name or client id
    #[arg(default_value = ADMIN)]
    principal: String,
    /// The URL of the registry's pages; where it was served last unless it is given
    #[arg(long, value_name = "URL")]
    address: Option<String>,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn run(args: &SignInLinkArgs) -> Result<()> {
    let store = args.database.open_existing().await?;
    let principals = store.read().await?.principals().await?;
    let wanted = &args.principal;
    // An id is only one's; a name may be another's in another organization.
    let found = principals
        .iter()
        .find(|principal| principal.id == *wanted)
        .or_else(|| principals.iter().find(|principal| principal.name == *wanted));
    let principal = found.ok_or_else(|| {
        Error::not_found(format!(
            "there is no principal {wanted:?}; see `ingot registry principal list`"
        ))
    })?;
    let path = web::new_link(&store, principal).await?;
    let address = match &args.address {
        Some(address) => address.trim_end_matches('/').to_owned(),
        None => transaction!(store, |tx| tx.setting(PAGES_AT, "https://127.0.0.1:7420"))?,
    };
    output::line(format!("{address}{path}"));
    Ok(())
}

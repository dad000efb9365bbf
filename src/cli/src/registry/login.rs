//! `ingot registry login` and `logout`: somebody's own login to HCP Packer, by browser.

use clap::Args;
use ingot_registry::http::Mask;
use ingot_registry::login::{LOGIN_TIMEOUT, LogIn, before_login, for_login, kept_login};
use ingot_sdk::Result;

use super::output::line;

#[derive(Debug, Args)]
pub(super) struct LoginArgs {
    /// Only print the URL of the login page, for a browser that you open yourself
    #[arg(long)]
    no_browser: bool,
}

pub(super) async fn log_in(args: &LoginArgs, mask: Mask) -> Result<()> {
    let login = LogIn::begin(for_login()?).await?;
    let page = login.page();
    // What opens browsers says nothing of what becomes of it.
    match !args.no_browser && open::that_detached(page.as_str()).is_ok() {
        true => line("Log in to HCP in the browser that opens. If none does, open this address:"),
        false => line("Log in to HCP in a browser on this machine, at this address:"),
    }
    line("");
    line(page);
    line("");
    line(format!("Waiting for {} minutes; Ctrl-C gives up.", LOGIN_TIMEOUT.as_secs() / 60));
    let login = login.finish(mask).await?;
    line(format!("Logged in. The login is saved in {}.", login.path.display()));
    if let Some(name) = before_login() {
        line(format!("Warning: {name} is set and takes precedence over the login."));
    }
    Ok(())
}

pub(super) async fn log_out() -> Result<()> {
    let login = kept_login()?;
    match login.remove().await? {
        true => line(format!("Logged out: the login was removed from {}.", login.path.display())),
        false => line("You were not logged in."),
    }
    Ok(())
}

//! What the machine boots from and reads at first: medium, HTTP server, CD, floppy.

use std::collections::BTreeMap;
use std::time::Duration;

use ingot_sdk::interpolate::Interpolation;
use ingot_sdk::netrc::{self, Login};
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Context, Error, Result, RunContext, Step, async_trait, http};
use ingot_vm::http_server::HttpServer;
use ingot_vm::iso::Source;
use ingot_vm::scratch::ScratchFile;
use serde_json::Value;

use super::State;
use super::states::give_up_if_damaged;
use crate::network::host_address;
use crate::options::given;

/// How long a server may take to describe a file.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Finds the installation disc or disk image.
pub(super) struct FindMedium;

#[async_trait]
impl Step<State> for FindMedium {
    fn name(&self) -> &'static str {
        "retrieve ISO"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let raw = &state.settings.raw;
        let secrets = raw.iso.urls().into_iter().flat_map(http::password);
        secrets.for_each(|secret| ctx.ui.mask(&secret));
        if raw.iso_skip_cache {
            let (url, login) = remote_medium(ctx, &raw.iso.urls()).await?;
            state.runtime.iso = Some(url);
            if let Some(login) = login {
                state.runtime.iso_user = Some(login.user);
                state.iso_password = Some(login.password);
            }
            return Ok(());
        }
        let found = raw.iso.retrieve(ctx, "ISO").await?;
        if !raw.disk_image {
            state.runtime.iso = Some(found.path.display().to_string());
        }
        state.medium = found.path;
        Ok(())
    }
}

/// The first URL whose server hands out parts of files, which QEMU needs, and the login for it, if one is
/// known that is not in the URL.
async fn remote_medium(ctx: &RunContext, urls: &[&str]) -> Result<(String, Option<Login>)> {
    let client = http::client()?;
    let mut reasons = Vec::new();
    for &url in urls {
        let mut request = client.head(url);
        let login = match Source::parse(url) {
            Ok(Source::Http(url)) => netrc::login(&ctx.ui, &url)?,
            _ => None,
        };
        if let Some(Login { user, password }) = &login {
            request = request.basic_auth(user, Some(password));
        }
        let answer = tokio::select! {
            () = ctx.cancel.cancelled() => return Err(Error::Cancelled),
            answer = tokio::time::timeout(HEAD_TIMEOUT, request.send()) => answer,
        };
        let Ok(answer) = answer else {
            let seconds = HEAD_TIMEOUT.as_secs();
            reasons.push(format!("the server has not responded for {seconds} seconds"));
            continue;
        };
        match answer {
            Ok(answer) if !answer.status().is_success() => {
                reasons.push(format!("the server returns {}", answer.status()));
            }
            Ok(answer) if answer.headers().get("accept-ranges").is_none_or(|v| v != "bytes") => {
                reasons.push("the server does not hand out parts of the file".to_owned());
            }
            Ok(_) => return Ok((url.to_owned(), login)),
            Err(error) => reasons.push(error.without_url().to_string()),
        }
    }
    Err(Error::new(format!("iso_skip_cache: no URL can be used: {}", reasons.join("; ")))
        .hint("remove iso_skip_cache to download the file"))
}

/// Starts the HTTP server, if the options ask for one.
pub(super) struct StartHttp;

#[async_trait]
impl Step<State> for StartHttp {
    fn name(&self) -> &'static str {
        "start HTTP server"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        state.host_address = host_address(given(&state.settings.raw.net_bridge))?;
        let mut options = state.settings.raw.http.clone();
        // The server's own port is not known yet.
        let data = state.template_data();
        render(ctx, "http_content", &mut options.http_content, &data)?;
        if let Some(port) = state.http_port_before {
            options = options.at(port);
        }
        state.http = HttpServer::start(ctx, &options).await?;
        let now = state.http.as_ref().map(HttpServer::port);
        if let (Some(before), Some(now)) = (state.http_port_before, now)
            && before != now
        {
            ctx.ui.error(format!(
                "Warning: the HTTP server was on port {before} before, which is taken now: what the \
                 machine knows of it leads nowhere"
            ));
        }
        Ok(())
    }

    async fn cleanup(&self, _: &RunContext, state: &mut State, _: Outcome) {
        state.http = None;
    }
}

/// Makes the CD and the floppy, if the options ask for them.
pub(super) struct MakeDiscs;

#[async_trait]
impl Step<State> for MakeDiscs {
    fn name(&self) -> &'static str {
        "create CD and floppy"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        if let Some(found) = state.states.found.clone() {
            let file = ScratchFile::create(ctx, "cd.iso")?;
            match found.copy_cd(ctx, file.path()).await {
                Ok(has_one) => {
                    state.cd = has_one.then_some(file);
                    state.runtime.cd = state.cd.as_ref().map(|file| file.path().to_owned());
                    return Ok(());
                }
                Err(fault) => give_up_if_damaged(ctx, state, fault).await?,
            }
        }
        make_discs(ctx, state).await
    }

    async fn cleanup(&self, _: &RunContext, state: &mut State, _: Outcome) {
        (state.floppy, state.cd) = (None, None);
    }
}

/// Makes the CD and the floppy anew, if the options ask for them.
///
/// # Errors
/// They cannot be made.
pub(super) async fn make_discs(ctx: &RunContext, state: &mut State) -> Result<()> {
    let data = state.template_data();
    let mut floppy = state.settings.raw.floppy.clone();
    render(ctx, "floppy_content", &mut floppy.floppy_content, &data)?;
    state.floppy = floppy.create(ctx).await?;
    let mut cd = state.settings.raw.cd.clone();
    render(ctx, "cd_content", &mut cd.cd_content, &data)?;
    state.cd = cd.create(ctx).await?;
    state.runtime.floppy = state.floppy.as_ref().map(|file| file.path().to_owned());
    state.runtime.cd = state.cd.as_ref().map(|file| file.path().to_owned());
    Ok(())
}

/// Renders the texts that go into files for the machine.
fn render(
    ctx: &RunContext,
    option: &str,
    files: &mut BTreeMap<String, String>,
    data: &Value,
) -> Result<()> {
    let interpolation = Interpolation::new(&ctx.prepare);
    for (path, text) in files {
        *text =
            interpolation.render_once(text, data).with_context(|| format!("{option}: {path}"))?;
    }
    Ok(())
}

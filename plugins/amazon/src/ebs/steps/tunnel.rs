//! The way to the instance through Systems Manager.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use ingot_communicator::{CommunicatorKind, KeyPair};
use ingot_sdk::retry::Retry;
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Context, Error, ExitStatus, GoDuration, Result, RunContext, Step, async_trait};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::State;
use crate::ebs::choices::KeyChoice;
use crate::ebs::options::given;
use crate::ebs::session_manager::{Forwarding, LastLine, PROGRAM, Plugin, PublicKey, Session};
use crate::ebs::wait::{WaitStatus, until};
use crate::ebs::wait_times::Polling;

/// How long the agent on the instance may take to get in touch, where SSH has no limit.
const AGENT: Duration = Duration::from_secs(10 * 60);
/// How long the tunnel may take to end.
const CLOSING: Duration = Duration::from_secs(30);
/// The pause after a session that ended by itself; each is twice the one before.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// A session that ends earlier is one that failed.
const SHORT: Duration = Duration::from_secs(10);
/// How many sessions in a row may fail.
const FAILURES: u32 = 4;

/// What helps where no session can be opened.
const NO_AGENT: &str = "give it more time with ssh_timeout; the instance needs the SSM agent, an \
                        instance profile with AmazonSSMManagedInstanceCore, and a way to \
                        Systems Manager (the internet or VPC endpoints)";

/// Looks whether the plugin is there, before anything is made.
pub(super) struct FindPlugin;

#[async_trait]
impl Step<State> for FindPlugin {
    fn name(&self) -> &'static str {
        "find session manager plugin"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        state.plugin = Some(Plugin::find(ctx).await?);
        if let Some(port) =
            state.settings.raw.network.session_manager_port.filter(|&port| port != 0)
        {
            free_port(port)?;
        }
        Ok(())
    }
}

/// A port of this machine that is free: this one, or any for 0.
fn free_port(port: u16) -> Result<u16> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|one| one.local_addr());
    let free = free.with_context(|| match port {
        0 => "looking for a free port".to_owned(),
        port => format!("session_manager_port: {port} cannot be used on this machine"),
    })?;
    Ok(free.port())
}

/// A tunnel, which is kept open.
pub(super) struct Tunnel {
    /// Its end on this machine.
    pub port: u16,
    stop: CancellationToken,
    failed: watch::Receiver<Option<String>>,
    keeper: JoinHandle<()>,
    /// Closes it also where nobody cleans up.
    _guard: DropGuard,
}

impl Tunnel {
    /// Waits until the tunnel has failed for good.
    pub(super) async fn failure(&self) -> Error {
        let mut failed = self.failed.clone();
        let why = failed.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        let why = why.unwrap_or_else(|| "the tunnel has ended".to_owned());
        Error::new(format!("the tunnel through Systems Manager fails: {why}"))
            .hint("see what the agent logs on the instance, in /var/log/amazon/ssm")
    }
}

/// Opens the tunnel.
pub(super) struct OpenTunnel;

#[async_trait]
impl Step<State> for OpenTunnel {
    fn name(&self) -> &'static str {
        "session manager tunnel"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let network = &state.settings.raw.network;
        let plugin = state.plugin.ok_or_else(|| Error::new(format!("{PROGRAM} was not found")))?;
        let pause = network.pause_before_ssm.map_or(Duration::ZERO, |pause| pause.0);
        if !pause.is_zero() {
            ctx.ui.say(format!(
                "Waiting {} before establishing the SSM session...",
                GoDuration(pause)
            ));
            sleep(pause).await;
        }
        let access = &state.settings.raw.access;
        let forwarding = Forwarding {
            access: state.access.clone(),
            profile: given(&access.profile).unwrap_or_default().to_owned(),
            credentials_file: given(&access.shared_credentials_file).map(str::to_owned),
            instance: state.instance_id()?.to_owned(),
            remote: state.settings.communication.port().unwrap_or(22),
            local: free_port(network.session_manager_port.unwrap_or(0))?,
            key: key(state)?,
        };
        let session = first(ctx, state, &forwarding).await?;
        let stop = CancellationToken::new();
        let (fail, failed) = watch::channel(None);
        let port = forwarding.local;
        let work = keep(ctx.clone(), forwarding, plugin, session, stop.clone(), fail);
        state.tunnel = Some(Tunnel {
            port,
            failed,
            keeper: tokio::spawn(work),
            _guard: stop.clone().drop_guard(),
            stop,
        });
        Ok(())
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut State, _: Outcome) {
        close(ctx, state).await;
    }
}

/// Closes the tunnel, if there is one.
pub(super) async fn close(ctx: &RunContext, state: &mut State) {
    let Some(mut tunnel) = state.tunnel.take() else { return };
    tunnel.stop.cancel();
    if timeout(CLOSING, &mut tunnel.keeper).await.is_err() {
        tunnel.keeper.abort();
        ctx.ui.error("The tunnel through Systems Manager does not end; AWS ends its session.");
    }
}

/// The key of a file that the instance does not have: there is neither a key pair of its name nor
/// one of the build. As in Packer, it is taken into the instance for each session.
fn key(state: &State) -> Result<Option<PublicKey>> {
    let (KeyChoice::File(path), None, CommunicatorKind::Ssh(ssh)) =
        (&state.settings.key, &state.key_name, &state.settings.communication.kind)
    else {
        return Ok(None);
    };
    let zone = state.instance()?.placement().and_then(|placement| placement.availability_zone());
    Ok(Some(PublicKey {
        user: ssh.login.user.clone(),
        key: KeyPair::read(path)?.public,
        zone: zone.unwrap_or_default().to_owned(),
    }))
}

/// The first session: the agent takes a while to get in touch.
async fn first(ctx: &RunContext, state: &State, forwarding: &Forwarding) -> Result<Session> {
    let limit = state.settings.communication.timeout().unwrap_or(AGENT);
    let initial = Duration::from_secs(1);
    let retry = Retry { initial, max: initial * 10, tries: None, timeout: Some(limit) };
    let polling = Polling { retry, hint: NO_AGENT };
    let look = || async {
        Ok(match forwarding.open(ctx).await? {
            Some(session) => WaitStatus::Ready(session),
            None => {
                WaitStatus::Pending("the agent on the instance is not in touch with AWS".to_owned())
            }
        })
    };
    until(&ctx.ui, "a session of Systems Manager", polling, look).await
}

/// Keeps the tunnel open until `stop` fires: a session ends when the instance restarts, or AWS's
/// time for it is over.
async fn keep(
    ctx: RunContext,
    forwarding: Forwarding,
    plugin: Plugin,
    first: Session,
    stop: CancellationToken,
    fail: watch::Sender<Option<String>>,
) {
    let mut next = Some(first);
    let (mut pause, mut failures) = (PAUSE, 0);
    loop {
        let begun = Instant::now();
        let ended = match next.take() {
            Some(session) => Some(one(&ctx, &forwarding, plugin, &session, &stop).await),
            None => match stop.run_until_cancelled(forwarding.open(&ctx)).await {
                None => return,
                Some(Ok(Some(session))) => {
                    Some(one(&ctx, &forwarding, plugin, &session, &stop).await)
                }
                // The instance restarts.
                Some(Ok(None)) => None,
                Some(Err(failure)) => Some(failure.to_string()),
            },
        };
        if stop.is_cancelled() {
            return;
        }
        if let Some(why) = ended {
            if begun.elapsed() < SHORT {
                failures += 1;
            } else {
                (pause, failures) = (PAUSE, 0);
            }
            if failures >= FAILURES {
                let _ = fail.send(Some(why));
                return;
            }
            ctx.ui.say(format!("{why}. Another session is opened."));
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn in_words(status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("exit code {code}"),
        other => format!("{other:?}"),
    }
}

/// Runs the plugin for one session. Says how that ended.
async fn one(
    ctx: &RunContext,
    forwarding: &Forwarding,
    plugin: Plugin,
    session: &Session,
    stop: &CancellationToken,
) -> String {
    if forwarding.key.is_some() {
        ctx.ui.say("Uploading SSH public key to instance");
        if let Err(failure) = forwarding.send_key().await {
            ctx.ui.error(failure.to_string());
        }
    }
    ctx.ui.say(format!("Starting portForwarding session {:?}.", session.id));
    let last = LastLine::default();
    let ran = forwarding.run(ctx, plugin, session, stop, &last).await;
    forwarding.close(session).await;
    let said = match last.text() {
        text if text.is_empty() => String::new(),
        text => format!(": {}", text.trim_end_matches('.')),
    };
    match ran {
        Ok(status) if status.success() => format!("{PROGRAM} has ended{said}"),
        Ok(status) => format!("{PROGRAM} has failed ({}){said}", in_words(status)),
        Err(error) => error.to_string(),
    }
}

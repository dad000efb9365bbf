//! The step cache: starting from a state, and keeping new ones.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ingot_communicator::{CommunicatorKind, KeyPair};
use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::steps::Outcome;
use ingot_sdk::{
    Error, RemoteCommand, Result, RunContext, Snapshots as _, StateKey, Step, async_trait,
};

use super::State;
use super::key::make_key;
use crate::qemu_img;
use crate::states::{
    Fault, FoundState, Set, base_key, cannot_be_held, export, find, remove_others, store,
};

/// How long setting the machine's clock may take.
const CLOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// Looks for the last state that is kept.
pub(super) struct FindState;

#[async_trait]
impl Step<State> for FindState {
    fn name(&self) -> &'static str {
        "look for a cached state"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        // Reading all that a machine is made of takes time.
        let any = StateKey::of("qemu", [""]);
        if ctx.hook.base_state_key(ctx, &any).await.is_none() {
            return Ok(());
        }
        if let Some(why) = cannot_be_held(&state.settings) {
            ctx.ui.say(format!("No state of the machine is kept: {why}"));
            return Ok(());
        }
        let own_key = has_own_key(state).then(|| state.public_key().to_owned());
        let base = base_key(ctx, &state.settings, &state.medium(), own_key.as_deref()).await;
        let base = match base {
            Ok((base, sources)) => {
                state.states.sources = sources;
                base
            }
            Err(error) if error.is_cancelled() => return Err(error),
            Err(error) => {
                ctx.ui.say(format!("No state of the machine is kept: {error}"));
                return Ok(());
            }
        };
        let keys = ctx.hook.state_keys(ctx, &base).await;
        let before = ctx.hook.base_state_key(ctx, &base).await;
        let all: Vec<StateKey> = before.iter().chain(&keys).cloned().collect();
        state.states.found = find(ctx, &base, &all).await;
        (state.states.base, state.states.keys) = (before, keys);
        state.states.machine = Some(base);
        let Some(found) = &state.states.found else { return Ok(()) };
        if let Some(private) = found.private_key() {
            let pair = KeyPair::from_private(private.to_owned(), "the key of a cached state");
            match pair {
                Ok(pair) => {
                    pair.mask(&ctx.ui);
                    state.key = Some(pair);
                }
                Err(error) => return give_up(ctx, state, &error).await,
            }
        }
        if found.done == 0 {
            ctx.ui.say("Using the cached state of the machine before its provisioners");
        }
        state.http_port_before = Some(found.http_port()).filter(|&port| port != 0);
        *state.states.saved.lock() = found.states.clone();
        Ok(())
    }
}

/// Whether the machine is logged in to with a key of the user's.
fn has_own_key(state: &State) -> bool {
    match &state.settings.communication.kind {
        CommunicatorKind::Ssh(ssh) => ssh.login.key.is_some(),
        CommunicatorKind::Winrm(_) | CommunicatorKind::None => false,
    }
}

/// Tells that the state cannot be started from, and forgets it, with the key that was made for it.
///
/// # Errors
/// There is no new key.
async fn give_up(ctx: &RunContext, state: &mut State, error: &Error) -> Result<()> {
    ctx.ui.say(format!("The cached state cannot be used, so that all is done again: {error}"));
    state.states.saved.lock().clear();
    let Some(found) = state.states.found.take() else { return Ok(()) };
    found.forget().await;
    // Somebody who wrote the state may know it.
    match found.private_key() {
        Some(_) => make_key(ctx, state).await,
        None => Ok(()),
    }
}

/// Gives up a state of which something cannot be used. Discs have to be made again then.
///
/// # Errors
/// It is as good as ever, and something else went wrong, such as that a disk is full.
pub(super) async fn give_up_if_damaged(
    ctx: &RunContext,
    state: &mut State,
    fault: Fault,
) -> Result<()> {
    match fault {
        Fault::Failed(error) => Err(error.context("going on from a cached state")),
        Fault::Absent => give_up(ctx, state, &Error::new("a part of it is gone")).await,
        Fault::Damaged(error) => give_up(ctx, state, &error).await,
    }
}

/// Sets the clock of a machine that goes on with an old state.
pub(super) async fn set_clock(ctx: &RunContext, state: &State) {
    let (Some(_), Some(communicator)) = (&state.states.found, &state.communicator) else { return };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let unix = format!("date -u -s @{now} || sudo -n date -u -s @{now}");
    let windows = format!(
        "powershell -NoProfile -Command \"Set-Date \
         ([DateTimeOffset]::FromUnixTimeSeconds({now}).LocalDateTime)\""
    );
    let command = match &state.settings.communication.kind {
        CommunicatorKind::Winrm(_) => windows,
        CommunicatorKind::Ssh(_) | CommunicatorKind::None => unix,
    };
    let (command, output) = (RemoteCommand::new(command), CapturedOutput::default());
    let set = tokio::time::timeout(CLOCK_TIMEOUT, communicator.exec(&command, &output)).await;
    if !matches!(set, Ok(Ok(status)) if status.success()) {
        ctx.ui.error(
            "Warning: the machine's clock could not be set: it goes on from when its cached state \
             was kept",
        );
    }
}

/// Keeps the machine as it is before its first provisioner.
pub(super) struct KeepInstalled;

#[async_trait]
impl Step<State> for KeepInstalled {
    fn name(&self) -> &'static str {
        "keep the state"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let (Some(key), None) = (state.states.base.clone(), &state.states.found) else {
            return Ok(());
        };
        let Some(keeper) = state.keeper() else { return Ok(()) };
        if !state.states.sources.are_unchanged() {
            ctx.ui.say("No state of the machine is kept: its inputs changed while it was created");
            (state.states.base, state.states.keys) = (None, Vec::new());
            return Ok(());
        }
        match keeper.save(ctx, &key).await {
            Err(error) if error.is_cancelled() => return Err(error),
            Err(error) => ctx.ui.say(format!(
                "The state of the machine before its provisioners is not kept: {error}"
            )),
            Ok(()) => {}
        }
        Ok(())
    }
}

/// Takes the states out of the disks, once the machine is off, and keeps them in the cache.
pub(super) struct StoreStates;

#[async_trait]
impl Step<State> for StoreStates {
    fn name(&self) -> &'static str {
        "store states"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        keep(ctx, state).await?;
        // What is converted leaves them behind.
        let converted = usize::from(state.settings.converts);
        for disk in state.settings.disks().iter().skip(converted) {
            remove_others(ctx, disk, &[]).await?;
        }
        Ok(())
    }
}

/// Keeps new states when the build fails, before its disks are removed.
pub(super) struct StoreStatesOfFailure;

#[async_trait]
impl Step<State> for StoreStatesOfFailure {
    fn name(&self) -> &'static str {
        "prepare states"
    }

    async fn run(&self, _: &RunContext, _: &mut State) -> Result<()> {
        Ok(())
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut State, outcome: Outcome) {
        // Who interrupts a build wants to be gone.
        if outcome == Outcome::Failed && !ctx.cancel.is_cancelled() && state.machine.is_none() {
            // The error was already reported.
            let _ = keep(ctx, state).await;
        }
    }
}

/// Keeps new states in the cache, and those of the build for other machines. Nothing but cancellation
/// fails a build here.
async fn keep(ctx: &RunContext, state: &State) -> Result<()> {
    let is_new = std::mem::take(&mut *state.states.new.lock());
    let states = state.states.saved.lock().clone();
    let missing = state.states.missing(ctx);
    if states.is_empty() || (!is_new && missing.is_empty()) {
        return Ok(());
    }
    state.check_output()?;
    let disks = state.settings.disks();
    let key = state.key.as_ref().filter(|_| !has_own_key(state));
    let found = state.states.found.as_ref().map(FoundState::kept_here).unwrap_or_default();
    let set = Set {
        disks: disks.clone(),
        cd: state.runtime.cd.clone(),
        private_key: key.map(|key| key.private.clone()),
        http_port: state.http_port(),
        states,
        found: found.to_vec(),
    };
    let kept = async {
        for disk in &disks {
            let arguments = ["check", "-q", &disk.display().to_string()].map(str::to_owned);
            qemu_img::run(ctx, arguments.to_vec()).await?;
        }
        if let (false, Some(machine)) = (missing.is_empty(), &state.states.machine) {
            let states = (machine, missing, &set);
            export(ctx, &state.settings, &state.medium, states).await;
        }
        match is_new {
            true => store(ctx, set).await,
            false => Ok(()),
        }
    };
    match kept.await {
        Err(error) if error.is_cancelled() => Err(error),
        Err(error) => {
            ctx.ui.say(format!("The states of the machine are not kept: {error}"));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

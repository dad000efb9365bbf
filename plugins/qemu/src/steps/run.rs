//! The machine, from its start to its end.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use ingot_communicator::{CommunicatorKind, SshSettings, Target};
use ingot_sdk::steps::Outcome;
use ingot_sdk::{
    Communicator, Error, GeneratedData, GoDuration, Provisioned, Provisioning, Result, RunContext,
    Snapshots, Step, async_trait,
};
use ingot_vm::boot_command::BootData;
use ingot_vm::shutdown::PowerState;

use super::State;
use crate::arguments::{self, ISO_PASSWORD};
use crate::machine::{Keyboard, Machine, NotStarted, START_TIMEOUT};
use crate::options::given;
use crate::states::{FoundState, MEMORY_TIMEOUT, tag};
use crate::{accelerator, network};

impl State {
    fn machine(&self) -> Result<&Machine> {
        self.machine.as_ref().ok_or_else(|| Error::new("the machine was not started"))
    }

    fn ssh(&self) -> Option<&SshSettings> {
        match &self.settings.communication.kind {
            CommunicatorKind::Ssh(ssh) => Some(ssh),
            CommunicatorKind::Winrm(_) | CommunicatorKind::None => None,
        }
    }
}

/// Finds the ports of this host that the machine needs.
pub(super) struct ReservePorts;

#[async_trait]
impl Step<State> for ReservePorts {
    fn name(&self) -> &'static str {
        "reserve ports"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let settings = &state.settings;
        let raw = &settings.raw;
        match (settings.communication.port(), given(&raw.net_bridge)) {
            (None, _) => {
                ctx.ui.message("No communicator is set; skipping port forwarding setup.");
            }
            (_, Some(_)) => {
                ctx.ui.message("net_bridge is set; skipping port forwarding setup.");
            }
            (Some(port), None) if raw.skip_nat_mapping => {
                state.runtime.forwarded_port = Some(port);
            }
            (Some(_), None) => {
                // QEMU listens on all addresses.
                let all = IpAddr::from(Ipv4Addr::UNSPECIFIED);
                let mut port = settings.host_ports.reserve(ctx, all).await?;
                port.vacate();
                let number = port.port();
                ctx.ui.say(format!("Found port for communicator (SSH, WinRM, etc): {number}."));
                state.runtime.forwarded_port = Some(number);
                state.ports.push(port);
            }
        }
        let (range, address) = (settings.vnc_ports, settings.vnc_address);
        ctx.ui.say(format!(
            "Looking for available port between {} and {} on {address}",
            range.min, range.max
        ));
        let mut port = range.reserve(ctx, address).await?;
        port.vacate();
        state.runtime.vnc_port = port.port();
        state.ports.push(port);
        if raw.vnc_use_password {
            let password = given(&raw.vnc_password).map_or_else(made_up_password, str::to_owned);
            state.vnc_password = Some(password);
        }
        Ok(())
    }

    async fn cleanup(&self, _: &RunContext, state: &mut State, _: Outcome) {
        state.ports.clear();
    }
}

/// A VNC password of 8 characters, the most there can be.
fn made_up_password() -> String {
    uuid::Uuid::new_v4().simple().to_string()[..8].to_owned()
}

/// Starts QEMU.
pub(super) struct StartMachine;

#[async_trait]
impl Step<State> for StartMachine {
    fn name(&self) -> &'static str {
        "run"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let settings = &state.settings;
        let raw = &settings.raw;
        state.runtime.accelerator =
            accelerator::choose(given(&raw.accelerator), raw.qemu_binary(), &ctx.ui)?;
        ctx.ui.say(if state.states.found.is_some() {
            "Starting VM from the cached state"
        } else if raw.disk_image {
            "Starting VM, booting disk image"
        } else {
            "Starting VM, booting from CD-ROM"
        });
        if raw.headless {
            ctx.ui.message(format!(
                "The VM will be run headless, without a GUI. If you want to\nview the screen of \
                 the VM, connect via VNC {} to\nvnc://{}:{}",
                vnc_password_in_words(state),
                settings.vnc_address,
                state.runtime.vnc_port
            ));
        }
        if !raw.qemuargs.is_empty() {
            ctx.ui.say("Overriding default Qemu arguments with qemuargs template option...");
        }
        let data = state.template_data();
        let mut arguments = arguments::arguments(settings, &state.runtime, &ctx.prepare, &data)?;
        if let Some(found) = &state.states.found {
            arguments.extend(["-loadvm".to_owned(), tag(&found.key)]);
        }
        let password = state.iso_password.as_deref();
        let secrets: Vec<_> = password.iter().map(|&password| (ISO_PASSWORD, password)).collect();
        let machine = Machine::start(ctx, raw.qemu_binary(), arguments, &secrets)?;
        let machine = state.machine.insert(machine);
        let limit = if state.states.found.is_some() { MEMORY_TIMEOUT } else { START_TIMEOUT };
        if let Err(failed) = machine.started(limit).await {
            return Err(match (&state.states.found, failed) {
                (None, NotStarted::StateRefused(error) | NotStarted::Failed(error)) => error,
                (Some(found), failed) => {
                    // What was copied of it must not be kept again.
                    state.states.saved.lock().clear();
                    not_loaded(found, failed).await
                }
            });
        }
        if let Some(socket) = &state.settings.qmp_socket {
            ctx.ui.say(format!("QMP socket at: {}", socket.display()));
        }
        if let Some(password) = &state.vnc_password {
            network::set_vnc_password(machine, password).await?;
        }
        Ok(())
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut State, _: Outcome) {
        if let Some(mut machine) = state.machine.take()
            && let Err(error) = machine.stop().await
        {
            ctx.ui.error(error.to_string());
        }
        remove_socket(state);
    }

    async fn leave(&self, ctx: &RunContext, state: &mut State) {
        super::resume::keep(ctx, state);
    }
}

/// Why a machine does not go on from a state. One that QEMU cannot load is forgotten.
async fn not_loaded(found: &FoundState, failed: NotStarted) -> Error {
    match failed {
        NotStarted::StateRefused(error) => {
            found.forget().await;
            error
                .context("going on from a cached state, which is forgotten")
                .hint("build again: all is done from the beginning then")
        }
        NotStarted::Failed(error) => error
            .context("going on from a cached state, which stays in the cache")
            .further_hint(
                "build again, or with -no-cache from the beginning; `ingot cache prune` removes the state",
            ),
    }
}

/// The user's QMP socket, which QEMU leaves behind when it is killed.
fn remove_socket(state: &State) {
    if let Some(socket) = &state.settings.qmp_socket {
        // Usually gone already.
        let _ = std::fs::remove_file(socket);
    }
}

fn vnc_password_in_words(state: &State) -> String {
    match (&state.vnc_password, given(&state.settings.raw.vnc_password)) {
        (None, _) => "without a password".to_owned(),
        (Some(_), Some(_)) => "with the password in vnc_password".to_owned(),
        // Of no use to anybody who does not see it.
        (Some(password), None) => format!("with the password {password}"),
    }
}

/// Types the boot command.
pub(super) struct TypeBootCommand;

#[async_trait]
impl Step<State> for TypeBootCommand {
    fn name(&self) -> &'static str {
        "type boot command"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        if state.states.found.is_some() {
            return Ok(());
        }
        let machine = state.machine()?;
        let boot = &state.settings.raw.boot;
        let typing = async {
            boot.wait_for_boot(ctx).await?;
            ctx.ui.say("Typing the boot command over QMP...");
            let data = BootData {
                http_ip: state.host_address.clone(),
                http_port: state.http_port(),
                name: state.settings.vm_name.clone(),
                ssh_public_key: state.public_key().to_owned(),
            };
            let mut keyboard = Keyboard(machine.qmp().await?);
            boot.type_commands(ctx, &data, &mut keyboard).await
        };
        tokio::select! {
            biased;
            typed = typing => typed,
            error = machine.ended() => Err(error.context("typing the boot command")),
        }
    }
}

/// Waits for the machine and connects to it.
pub(super) struct Connect;

#[async_trait]
impl Step<State> for Connect {
    fn name(&self) -> &'static str {
        "connect"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        if state.settings.communication.port().is_some() {
            let machine = state.machine()?;
            let target = tokio::select! {
                target = target(ctx, state) => target?,
                error = machine.lost() => return Err(error.context("waiting for the machine")),
            };
            let connected = tokio::select! {
                connected = state.settings.communication.connect(ctx, &target) => connected,
                error = machine.lost() => Err(error.context("waiting for the connection")),
            };
            let communicator = match connected {
                Ok(communicator) => communicator,
                Err(error) if error.is_cancelled() => return Err(error),
                Err(error) => return Err(with_screenshot(ctx, state, machine, error).await),
            };
            (state.communicator, state.target) = (Some(communicator), Some(target));
            super::states::set_clock(ctx, state).await;
        }
        state.data = state.generated_data(ctx);
        Ok(())
    }

    async fn cleanup(&self, _: &RunContext, state: &mut State, _: Outcome) {
        state.communicator = None;
    }
}

/// Where the machine takes connections.
async fn target(ctx: &RunContext, state: &State) -> Result<Target> {
    let raw = &state.settings.raw;
    let communication = &state.settings.communication;
    let host = match (communication.host(), given(&raw.net_bridge)) {
        (Some(host), _) => host.to_owned(),
        (None, None) => "127.0.0.1".to_owned(),
        (None, Some(bridge)) => {
            ctx.ui.say(format!(
                "Waiting for the guest address to become available in the {bridge} network \
                 bridge..."
            ));
            let address = network::machine_address(state.machine()?, bridge);
            match communication.timeout() {
                None => address.await?,
                Some(limit) => tokio::time::timeout(limit, address).await.map_err(|_| {
                    Error::new(format!(
                        "the machine got no address on the bridge {bridge} within {}",
                        GoDuration(limit)
                    ))
                })??,
            }
        }
    };
    let port = state.runtime.forwarded_port;
    Ok(Target { host, port, key_pair: state.key.clone(), password: None })
}

/// Adds to `error` where to see what the machine showed, next to the log.
async fn with_screenshot(
    ctx: &RunContext,
    state: &State,
    machine: &Machine,
    error: Error,
) -> Error {
    if !machine.runs() {
        return error;
    }
    let log = std::env::var_os("PACKER_LOG_PATH").map(PathBuf::from).unwrap_or_default();
    let directory = log.parent().map(PathBuf::from).unwrap_or_default();
    let name = format!("{}-{}-screen.png", ctx.prepare.build_type, state.settings.vm_name);
    match machine.screenshot(ctx, &directory.join(name)).await {
        Ok(path) => error.further_hint(format!("what the machine showed is in {}", path.display())),
        Err(why) => {
            tracing::warn!(%why, "no screenshot");
            error
        }
    }
}

#[async_trait]
impl Provisioned for State {
    fn communicator(&self) -> Option<Arc<dyn Communicator>> {
        self.communicator.clone()
    }

    fn data(&self) -> GeneratedData {
        self.data.clone()
    }

    fn provisioning(&self) -> Provisioning {
        Provisioning {
            done: self.states.done(),
            keys: self.states.keys.clone(),
            snapshots: self.keeper().map(|keeper| Arc::new(keeper) as Arc<dyn Snapshots>),
            found_in: self.states.found_in(),
        }
    }

    async fn fault(&mut self) -> Error {
        match &self.machine {
            Some(machine) => machine.fault().await,
            None => std::future::pending().await,
        }
    }

    async fn provisioned(&mut self, ctx: &RunContext) -> Result<()> {
        if let (Some(ssh), Some(communicator), Some(key)) =
            (self.ssh(), &self.communicator, &self.key)
        {
            ssh.clear_authorized_keys(ctx, &**communicator, key).await;
        }
        Ok(())
    }
}

/// Turns the machine off.
pub(super) struct ShutDown;

#[async_trait]
impl Step<State> for ShutDown {
    fn name(&self) -> &'static str {
        "shut down"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let machine = state.machine()?;
        let shutdown = &state.settings.raw.shutdown;
        let power = shutdown.shut_down(ctx, state.communicator.as_deref(), machine.off()).await?;
        if power == PowerState::On {
            ctx.ui.say("Halting the virtual machine...");
        }
        state.communicator = None;
        if let Some(mut machine) = state.machine.take() {
            machine.stop().await?;
        }
        remove_socket(state);
        state.check_output()
    }
}

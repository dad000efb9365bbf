//! The options, checked and with their defaults.

use std::net::IpAddr;
use std::path::PathBuf;

use ingot_communicator::Communication;
use ingot_vm::ports::PortRange;
use serde_json::{Value, json};

use crate::options::{Options, given};

/// The checked options.
#[derive(Clone)]
pub(crate) struct Settings {
    /// The options as written, for all that needs no more than its default.
    pub raw: Options,
    /// The machine's name.
    pub vm_name: String,
    /// The directory for what is built.
    pub output: PathBuf,
    /// The disk's size as `qemu-img` takes it.
    pub disk_size: String,
    /// The value of `-smp`.
    pub smp: String,
    /// In megabytes.
    pub memory: u32,
    /// UEFI.
    pub efi: Efi,
    /// Where the VNC server listens.
    pub vnc_address: IpAddr,
    /// Where to look for a port for the VNC server.
    pub vnc_ports: PortRange,
    /// Where to look for a port that leads to the machine.
    pub host_ports: PortRange,
    /// The QMP socket for others.
    pub qmp_socket: Option<PathBuf>,
    /// Whether the finished disk is copied to compact it, or to compress it.
    pub converts: bool,
    /// Whether that copy is compressed.
    pub compresses: bool,
    /// How to reach the machine.
    pub communication: Communication,
}

/// UEFI, if the machine has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Efi {
    /// Whether it has.
    pub enabled: bool,
    /// The firmware.
    pub code: PathBuf,
    /// The variables to start with.
    pub variables: PathBuf,
}

impl Settings {
    /// The value of `-display`, if it is given.
    pub(crate) fn display(&self) -> Option<String> {
        // In Packer, `none` is not QEMU's "no window" but "QEMU's default".
        match given(&self.raw.display) {
            _ if self.raw.headless => None,
            Some(display) if display != "none" => Some(display.to_owned()),
            _ => (!self.raw.use_default_display).then(|| "gtk".to_owned()),
        }
    }

    /// The port of the machine's SSH server, in the machine.
    pub(crate) fn guest_port(&self) -> u16 {
        self.communication.port().unwrap_or(0)
    }

    /// The disks, the one to boot from first.
    pub(crate) fn disks(&self) -> Vec<PathBuf> {
        let more = 1..=self.raw.disk_additional_size.len();
        let names = more.map(|number| format!("{}-{number}", self.vm_name));
        [self.vm_name.clone()].into_iter().chain(names).map(|name| self.output.join(name)).collect()
    }
}

/// What `{{ }}` templates in options may name, with values that serve for checking.
pub(crate) fn sample_data() -> Value {
    json!({
        "HTTPIP": "10.0.2.2", "HTTPPort": 8000, "HTTPDir": "", "HTTPContent": {}, "Name": "name",
        "OutputDir": "output", "SSHHostPort": 2222, "SSHPublicKey": "ssh-ed25519 AAAA",
    })
}

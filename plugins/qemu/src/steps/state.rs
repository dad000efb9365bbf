//! What the steps of a build hand on.

use std::path::PathBuf;
use std::sync::Arc;

use ingot_communicator::{KeyPair, Target};
use ingot_sdk::output_file::CreatedDirectories;
use ingot_sdk::{Communicator, GeneratedData, JournalEntry, RunContext};
use ingot_vm::http_server::HttpServer;
use ingot_vm::ports::ReservedPort;
use ingot_vm::scratch::ScratchFile;
use serde_json::{Value, json};

use super::tpm::Tpm;
use crate::arguments::RuntimeSettings;
use crate::machine::Machine;
use crate::output_directory::OutputDirectory;
use crate::settings::Settings;
use crate::states::{MachineStates, States};

/// What the steps share.
pub(crate) struct State {
    /// The options.
    pub settings: Settings,
    /// What QEMU's command line depends on.
    pub runtime: RuntimeSettings,
    /// Values for `build.*`.
    pub data: GeneratedData,
    /// The way to the machine, once there is one.
    pub communicator: Option<Arc<dyn Communicator>>,
    /// The file to boot from: an installation disc or a disk image.
    pub(super) medium: PathBuf,
    pub(super) key: Option<KeyPair>,
    pub(super) http: Option<HttpServer>,
    /// The port that an earlier run had it on.
    pub(super) http_port_before: Option<u16>,
    pub(super) host_address: String,
    pub(super) floppy: Option<ScratchFile>,
    pub(super) cd: Option<ScratchFile>,
    pub(super) ports: Vec<ReservedPort>,
    pub(super) output: Option<JournalEntry>,
    /// The output directory, once it is there.
    pub directory: Option<OutputDirectory>,
    /// The directories created for the output directory.
    pub created: CreatedDirectories,
    pub(super) tpm: Option<Tpm>,
    pub(super) vnc_password: Option<String>,
    /// The password of the server that QEMU reads the installation disc from.
    pub(super) iso_password: Option<String>,
    pub(super) machine: Option<Machine>,
    pub(super) target: Option<Target>,
    /// The states of the machine that are kept, or started from.
    pub(super) states: States,
}

impl State {
    /// The state before the first step.
    pub(crate) fn new(settings: Settings) -> State {
        State {
            settings,
            runtime: RuntimeSettings::default(),
            data: GeneratedData::new(),
            communicator: None,
            medium: PathBuf::new(),
            key: None,
            http: None,
            http_port_before: None,
            host_address: String::new(),
            floppy: None,
            cd: None,
            ports: Vec::new(),
            output: None,
            directory: None,
            created: CreatedDirectories::default(),
            tpm: None,
            vnc_password: None,
            iso_password: None,
            machine: None,
            target: None,
            states: States::default(),
        }
    }

    /// Whether the steps were not cleaned up, as `-on-error` can ask for.
    pub(crate) fn is_left(&self) -> bool {
        self.output.is_some()
    }

    /// What keeps states of the machine, if they are to be kept.
    pub(super) fn keeper(&self) -> Option<MachineStates> {
        let machine = self.machine.as_ref().filter(|_| self.states.is_on())?;
        Some(self.states.keeper(machine.socket().to_owned(), self.runtime.disks.clone()))
    }

    /// The file that the machine starts from.
    pub(super) fn medium(&self) -> PathBuf {
        self.medium.clone()
    }

    pub(super) fn http_port(&self) -> u16 {
        self.http.as_ref().map_or(0, HttpServer::port)
    }

    pub(super) fn public_key(&self) -> &str {
        self.key.as_ref().map_or("", |key| &key.public)
    }

    /// What `{{ }}` templates may name.
    pub(super) fn template_data(&self) -> Value {
        let raw = &self.settings.raw;
        json!({
            "HTTPIP": self.host_address,
            "HTTPPort": self.http_port(),
            "HTTPDir": raw.http.http_directory.as_deref().unwrap_or_default(),
            "HTTPContent": raw.http.http_content,
            "OutputDir": self.settings.output,
            "Name": self.settings.vm_name,
            "SSHHostPort": self.runtime.forwarded_port.unwrap_or(0),
            "SSHPublicKey": self.public_key(),
        })
    }

    /// The values that provisioners get, under Packer's names.
    pub(super) fn generated_data(&self, ctx: &RunContext) -> GeneratedData {
        let mut data = self.settings.communication.generated_data(self.target.as_ref());
        // Packer has no id for machines of QEMU either.
        data.insert("ID".to_owned(), json!("ERR_ID_NOT_IMPLEMENTED_BY_BUILDER"));
        data.insert("PackerRunUUID".to_owned(), json!(ctx.prepare.run_uuid));
        let (host, port) = (&self.host_address, self.http_port());
        data.insert("PackerHTTPIP".to_owned(), json!(host));
        data.insert("PackerHTTPPort".to_owned(), json!(port.to_string()));
        data.insert("PackerHTTPAddr".to_owned(), json!(format!("{host}:{port}")));
        data
    }
}

//! The steps of a build, in Packer's order but for this: the key pair is made and the HTTP server
//! started first, so that discs made for the machine can hold the one's public key and the
//! other's address.

mod disks;
mod media;
mod output;
mod run;
mod tpm;

use std::path::PathBuf;
use std::sync::Arc;

use ingot_communicator::{KeyPair, Target};
use ingot_sdk::output_file::MadeDirectories;
use ingot_sdk::{Communicator, GeneratedData, JournalEntry, ProvisionStep, RunContext, Step};
use ingot_vm::http_server::HttpServer;
use ingot_vm::ports::ReservedPort;
use ingot_vm::scratch::ScratchFile;
use serde_json::{Value, json};

use crate::arguments::Situation;
use crate::machine::Machine;
use crate::settings::Settings;
use tpm::Tpm;

pub(crate) use output::{EFI_VARIABLES, remove};

/// What the steps share.
pub(crate) struct State {
    /// The options.
    pub settings: Settings,
    /// What QEMU's command line depends on.
    pub situation: Situation,
    /// Values for `build.*`.
    pub data: GeneratedData,
    /// The way to the machine, once there is one.
    pub communicator: Option<Arc<dyn Communicator>>,
    /// The file to boot from: an installation disc or a disk image.
    medium: PathBuf,
    key: Option<KeyPair>,
    http: Option<HttpServer>,
    host_address: String,
    floppy: Option<ScratchFile>,
    cd: Option<ScratchFile>,
    ports: Vec<ReservedPort>,
    output: Option<JournalEntry>,
    /// The directories created for the output directory.
    pub made: MadeDirectories,
    tpm: Option<Tpm>,
    vnc_password: Option<String>,
    machine: Option<Machine>,
    target: Option<Target>,
}

impl State {
    /// The state before the first step.
    pub(crate) fn new(settings: Settings) -> State {
        State {
            settings,
            situation: Situation::default(),
            data: GeneratedData::new(),
            communicator: None,
            medium: PathBuf::new(),
            key: None,
            http: None,
            host_address: String::new(),
            floppy: None,
            cd: None,
            ports: Vec::new(),
            output: None,
            made: MadeDirectories::default(),
            tpm: None,
            vnc_password: None,
            machine: None,
            target: None,
        }
    }

    /// Whether the steps were not cleaned up, as `-on-error` can ask for.
    pub(crate) fn is_left(&self) -> bool {
        self.output.is_some()
    }

    fn http_port(&self) -> u16 {
        self.http.as_ref().map_or(0, HttpServer::port)
    }

    fn public_key(&self) -> &str {
        self.key.as_ref().map_or("", |key| &key.public)
    }

    /// What `{{ }}` templates may name.
    fn template_data(&self) -> Value {
        let raw = &self.settings.raw;
        json!({
            "HTTPIP": self.host_address,
            "HTTPPort": self.http_port(),
            "HTTPDir": raw.http.http_directory.as_deref().unwrap_or_default(),
            "HTTPContent": raw.http.http_content,
            "OutputDir": self.settings.output,
            "Name": self.settings.vm_name,
            "SSHHostPort": self.situation.forwarded_port.unwrap_or(0),
            "SSHPublicKey": self.public_key(),
        })
    }

    /// What provisioners are told, under Packer's names.
    fn generated_data(&self, ctx: &RunContext) -> GeneratedData {
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

/// The steps of a build with these options.
pub(crate) fn steps(settings: &Settings) -> Vec<Box<dyn Step<State>>> {
    let raw = &settings.raw;
    let mut steps: Vec<Box<dyn Step<State>>> = vec![
        Box::new(media::MakeKey),
        Box::new(media::FindMedium),
        Box::new(output::PrepareOutput),
        Box::new(media::StartHttp),
    ];
    if raw.vtpm {
        steps.push(Box::new(tpm::StartTpm));
    }
    steps.push(Box::new(media::MakeDiscs));
    steps.push(Box::new(disks::CreateDisks));
    steps.push(Box::new(run::ReservePorts));
    if settings.efi.enabled {
        steps.push(Box::new(output::CopyEfiVariables));
    }
    steps.push(Box::new(run::StartMachine));
    if !raw.disable_vnc && raw.boot.is_set() {
        steps.push(Box::new(run::TypeBootCommand));
    }
    steps.push(Box::new(run::Connect));
    steps.push(Box::new(ProvisionStep));
    steps.push(Box::new(run::ShutDown));
    if settings.converts {
        steps.push(Box::new(disks::ConvertDisk));
    }
    steps
}

//! What a builder, provisioner, post-processor or data source of Ingot is made of.
//!
//! Plugins know this crate and nothing above it: no HCL, no build graph, no terminal.
//!
//! A plugin implements [`Component`]: it names its options as a type, and makes of them what can
//! run, a [`Build`], [`Provision`], [`PostProcess`] or [`Fetch`]. What runs gets a [`RunContext`]
//! to work in, with a [`Ui`] to speak through. [`Component`] has a whole example; [`testing`] has
//! what a plugin's tests need to prepare and run it without an engine.

pub mod artifact;
pub mod aws_secrets;
pub mod builder;
pub mod checkpoint;
pub mod command;
mod command_output;
pub mod communicator;
pub mod component;
pub mod config;
pub mod context;
pub mod data_source;
pub mod ecr;
mod facts;
pub mod file_work;
pub mod glob;
pub mod hash;
pub mod interpolate;
pub mod journal;
pub mod netrc;
pub mod output_file;
pub mod partial_file;
pub mod plugin_set;
pub mod post_processor;
pub mod powershell;
pub mod process;
pub mod process_group;
pub mod process_table;
pub mod provisioner;
pub mod recorded_path;
pub mod sbom;
pub mod schema;
pub mod script;
pub mod secrets;
pub mod shell_local;
pub mod shown;
pub mod signals;
pub mod state_store;
pub mod steps;
pub mod temporary;
pub mod test_machine;
pub mod testing;
pub mod ui;
pub mod walk;

pub use artifact::{Artifact, FileArtifact, RegistryImage};
pub use async_trait::async_trait;
pub use aws_secrets::AwsSecrets;
pub use builder::{Build, Builder};
pub use checkpoint::{Provisioning, Snapshots, StateKey};
pub use communicator::{Communicator, ExitStatus, FileMeta, OutputSink, RemoteCommand};
pub use component::{Component, Decoded, Erase, Prepare, Prepared};
pub use config::{Config, ConfigError, ConfigErrors, ConfigWarning, OptionValue};
pub use context::{GeneratedData, Hook, OnError, PrepareContext, RunContext, UserVariable};
pub use data_source::{DataSource, Fetch, FetchValue};
pub use facts::{CachedStates, Effect, Facts};
// What other crates need as well. `byte_size` is a module and its function.
pub use ingot_base::{
    Context, Error, ErrorKind, Result, byte_size, download, environment, error, file_lock, home,
    http, retry, tls, whole_file,
};
pub use ingot_go_template::{GoDuration, Platform, clean_path};
pub use journal::{Discovered, DiscoveryScope, Journal, JournalEntry, Reclaim, Resource};
pub use output_file::OutputFile;
pub use plugin_set::PluginSet;
pub use post_processor::{PostProcess, PostProcessor, Processed};
pub use provisioner::{Provision, Provisioner};
pub use recorded_path::RecordedPath;
pub use sbom::{Sbom, SbomFormat};
pub use schema::{OptionSpec, OptionType, Reads, Schema, TemplateFunction};
pub use secrets::Secrets;
pub use state_store::{StateDirectories, StateStore, StoredState, StoredStates};
pub use steps::{DoneBefore, ProvisionStep, Provisioned, Step, run_steps};
pub use test_machine::{TestMachine, TestRun, TestSubject};
pub use ui::{
    ArtifactSummary, DocumentKind, Event, EventSink, Progress, REGISTRY_VERSION, RegistryVersion,
    RunningStep, StepInfo, StepKind, StepOutcome, TemplatePlace, Ui,
};

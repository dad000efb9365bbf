//! What a run did, step by step, and the forms in which it is reported.
//!
//! A [`Recorder`] is given the events of a run and makes a [`Report`] of them at any time, also in
//! the middle. [`Format`] writes one as JSON, as an HTML page or as JUnit's XML; [`markdown`] is for
//! the job summary of a CI system. Knows the SDK's events; knows nothing of templates, of the engine
//! or of a terminal.

mod build_record;
mod format;
mod html;
mod junit;
pub mod markdown;
mod model;
mod recorder;
mod shown;

/// The JSON schema of reports in JSON.
pub fn schema() -> String {
    let schema = schemars::schema_for!(Report);
    serde_json::to_string_pretty(&schema).map(|text| text + "\n").unwrap_or_default()
}

pub use format::{Format, ReportTarget};
pub use model::{
    Artifact, ArtifactFile, Build, Diagnostic, Document, Failure, Log, LogLine, Position,
    RegistryVersion, Report, Run, Severity, Status, Step, Stream, VERSION,
};
pub use recorder::{Recorder, RunFacts};
pub use shown::{describe, duration};

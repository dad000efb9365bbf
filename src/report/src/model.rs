//! The report as data. Its JSON form is a public format: what is added gets a default, what is
//! changed or removed raises [`VERSION`].

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

/// The version of the format.
pub const VERSION: u32 = 1;

/// What a run did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The version of this format: 1.
    pub version: u32,
    /// The version of Ingot that wrote it.
    pub ingot: String,
    /// The run as a whole.
    pub run: Run,
    /// What was found in the template before anything ran.
    pub diagnostics: Vec<Diagnostic>,
    /// The builds, in the template's order.
    pub builds: Vec<Build>,
}

/// A run as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Its id, which builds see as `build.PackerRunUUID`.
    pub id: String,
    /// The template: a file or a directory, as an absolute path.
    pub template: String,
    /// When it started, by RFC 3339.
    pub started: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// How it went.
    pub status: Status,
}

/// How something went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It did what it should.
    Succeeded,
    /// It failed.
    Failed,
    /// It failed, and what it belongs to went on: a provisioner with `continue_on_error`, or a
    /// build that is kept to be published later.
    Tolerated,
    /// It was stopped.
    Cancelled,
    /// Another run had done it before.
    Skipped,
    /// It never began.
    NotRun,
}

impl Status {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Status::Succeeded => "succeeded",
            Status::Failed => "failed",
            Status::Tolerated => "failed, tolerated",
            Status::Cancelled => "cancelled",
            Status::Skipped => "skipped",
            Status::NotRun => "not run",
        }
    }
}

/// A position in a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Place")]
pub struct Position {
    /// The file, as the run was given it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

/// How bad a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing was built.
    Error,
    /// The run went on.
    Warning,
}

/// Something that is wrong with the template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub place: Option<Position>,
    /// What to do about it, and other facts.
    pub notes: Vec<String>,
}

/// A build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    /// Its name, such as `docker.example`.
    pub name: String,
    /// Its source block.
    pub place: Option<Position>,
    /// How it went.
    pub status: Status,
    /// When it started, in milliseconds after the run.
    pub offset_ms: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Its steps, in the order they began.
    pub steps: Vec<Step>,
    /// What it said.
    pub log: Log,
    /// Where its debug log was kept.
    pub log_file: Option<String>,
    /// What it made.
    pub artifacts: Vec<Artifact>,
    /// Where it was published.
    pub registry_version: Option<RegistryVersion>,
    /// Software bills of materials and attestations that it wrote.
    pub documents: Vec<Document>,
}

/// Why a build failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The step that failed, for people: "provisioner `shell` (2 of 3)".
    pub step: Option<String>,
    /// The `id` of that step.
    pub step_id: Option<u64>,
    /// The step's block, or that of its builder.
    pub place: Option<Position>,
    /// The last lines that the step put out.
    pub output: Vec<String>,
}

/// A step of a build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Tells it from others in this run.
    pub id: u64,
    /// The `id` of the step that it is part of.
    pub parent: Option<u64>,
    /// `builder`, `builder_step`, `provisioner`, `error_cleanup_provisioner`, `cleanup`, `test`,
    /// `check`, `post_processor` or `publish`.
    pub kind: String,
    /// The type of its plugin, or what a builder calls its step.
    pub name: String,
    /// What the template calls it.
    pub label: Option<String>,
    /// Which of its kind it is, from 1.
    pub number: Option<usize>,
    /// How many there are of its kind.
    pub of: Option<usize>,
    /// Its block.
    pub place: Option<Position>,
    /// How it went.
    pub status: Status,
    /// When it started, in milliseconds after the run.
    pub offset_ms: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Why it failed.
    pub error: Option<String>,
}

/// What a build said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Log {
    /// How many lines before these are left out.
    pub omitted: u64,
    /// The last lines.
    pub lines: Vec<LogLine>,
}

/// A line that a build said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// When, in milliseconds after the start of the run.
    pub offset_ms: u64,
    /// Where it came from.
    pub stream: Stream,
    /// The line.
    pub text: String,
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Ingot, or a program's standard output.
    Output,
    /// A problem, or a program's standard error.
    Error,
}

/// Something that a build made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Artifact {
    /// The kind of thing it is, such as `packer.docker`.
    pub builder_id: String,
    /// What names it where it lives.
    pub id: String,
    /// For people.
    pub description: String,
    /// How many bytes it takes, where that is known.
    pub size: Option<u64>,
    /// The files it consists of.
    pub files: Vec<ArtifactFile>,
}

/// A file of an artifact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArtifactFile {
    /// Where it is.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "PathBuf")]
    pub path: PathBuf,
    /// How many bytes it has, if it can be read.
    pub size: Option<u64>,
}

/// A version of a bucket of an image registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegistryVersion {
    /// What the registry is called.
    pub registry: String,
    /// The bucket's name.
    pub bucket: String,
    /// The version's id.
    pub version_id: String,
    /// The version's fingerprint.
    pub fingerprint: String,
}

/// A document about what a build made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    /// `sbom` or `provenance`.
    pub kind: String,
    /// The file.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "PathBuf")]
    pub path: PathBuf,
}

/// A path as text, whose bytes may be none: JSON holds nothing else.
fn as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

impl Report {
    /// Changes every text that a run or its programs gave, as to hide secrets in it. What the files
    /// and blocks of the template are called stays: it is looked up by others.
    // No pattern leaves a field out, so that a new one is not forgotten here.
    pub fn map_texts(&mut self, change: &dyn Fn(&str) -> String) {
        let Report { version: _, ingot: _, run, diagnostics, builds } = self;
        let Run { id: _, template: _, started: _, duration_ms: _, status: _ } = run;
        let apply = |text: &mut String| *text = change(text);
        for Diagnostic { severity: _, message, place: _, notes } in diagnostics {
            apply(message);
            notes.iter_mut().for_each(apply);
        }
        builds.iter_mut().for_each(|build| build.map_texts(change));
    }
}

impl Build {
    fn map_texts(&mut self, change: &dyn Fn(&str) -> String) {
        let Build {
            name: _,
            place: _,
            status: _,
            offset_ms: _,
            duration_ms: _,
            failure,
            steps,
            log: Log { omitted: _, lines },
            log_file: _,
            artifacts,
            registry_version,
            documents,
        } = self;
        let apply = |text: &mut String| *text = change(text);
        let apply_path = |path: &mut PathBuf| {
            let text = path.to_string_lossy();
            let changed = change(&text);
            if changed != text {
                *path = changed.into();
            }
        };
        if let Some(Failure { message, hint, step, step_id: _, place: _, output }) = failure {
            [message].into_iter().chain(hint).chain(step).chain(output).for_each(apply);
        }
        for step in steps {
            let Step {
                id: _,
                parent: _,
                kind: _,
                name,
                label,
                number: _,
                of: _,
                place: _,
                status: _,
                offset_ms: _,
                duration_ms: _,
                error,
            } = step;
            [name].into_iter().chain(label).chain(error).for_each(apply);
        }
        for LogLine { offset_ms: _, stream: _, text } in lines {
            apply(text);
        }
        for Artifact { builder_id, id, description, size: _, files } in artifacts {
            [builder_id, id, description].into_iter().for_each(apply);
            for ArtifactFile { path, size: _ } in files {
                apply_path(path);
            }
        }
        if let Some(RegistryVersion { registry, bucket, version_id, fingerprint }) =
            registry_version
        {
            [registry, bucket, version_id, fingerprint].into_iter().for_each(apply);
        }
        for Document { kind: _, path } in documents {
            apply_path(path);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A report of a build whose provisioner failed, and of one that never ran.
    pub(crate) fn report() -> Report {
        let place = |line| Some(Position { file: "t.pkr.hcl".into(), line, column: 3 });
        let step = |id, parent, kind: &str, name: &str, line| Step {
            id,
            parent,
            kind: kind.to_owned(),
            name: name.to_owned(),
            label: None,
            number: Some(1),
            of: Some(1),
            place: place(line),
            status: Status::Failed,
            offset_ms: 0,
            duration_ms: 1500,
            error: Some("exit <3> & \"more\"".into()),
        };
        let build = Build {
            name: "null.<a>".into(),
            place: place(1),
            status: Status::Failed,
            offset_ms: 10,
            duration_ms: 2000,
            failure: Some(Failure {
                message: "exit <3> & \"more\"".into(),
                hint: Some("try *this*".into()),
                step: Some("provisioner `shell` (1 of 1)".into()),
                step_id: Some(2),
                place: place(7),
                output: vec!["</pre><script>alert(1)</script>".into(), "| last |".into()],
            }),
            steps: vec![
                step(1, None, "builder", "null", 1),
                step(2, Some(1), "provisioner", "shell", 7),
            ],
            log: Log {
                omitted: 2,
                lines: vec![LogLine { offset_ms: 20, stream: Stream::Error, text: "<b>".into() }],
            },
            log_file: None,
            artifacts: Vec::new(),
            registry_version: None,
            documents: vec![Document { kind: "sbom".into(), path: "javascript:alert(1)".into() }],
        };
        let other = Build {
            name: "null.b".into(),
            status: Status::NotRun,
            failure: None,
            steps: Vec::new(),
            log: Log::default(),
            documents: Vec::new(),
            ..build.clone()
        };
        Report {
            version: VERSION,
            ingot: "0".into(),
            run: Run {
                id: "r".into(),
                template: "t".into(),
                started: "2026-01-02T03:04:05.6Z".into(),
                duration_ms: 3000,
                status: Status::Failed,
            },
            diagnostics: Vec::new(),
            builds: vec![build, other],
        }
    }

    #[test]
    fn texts_of_programs_are_escaped_in_pages_and_summaries() {
        let page = crate::Format::Html.write(&report(), "out/r".as_ref()).unwrap();
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;/pre&gt;&lt;script&gt;") && page.contains("null.&lt;a&gt;"));
        assert!(page.contains("href=\"../javascript%3Aalert%281%29\""), "{page}");
        let summary = crate::markdown::summary(&report());
        assert!(
            !summary.contains("<script") && summary.contains("&#124; last &#124;"),
            "{summary}"
        );
    }

    #[test]
    fn json_is_read_back_as_it_was() {
        let text = crate::Format::Json.write(&report(), "out/r".as_ref()).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report());
    }

    #[cfg(unix)]
    #[test]
    fn paths_that_are_no_text_are_reported_as_far_as_they_are() {
        use std::os::unix::ffi::OsStrExt as _;
        let mut report = report();
        let path = Path::new(std::ffi::OsStr::from_bytes(b"b\xff.txt"));
        report.builds[0].documents[0].path = path.to_owned();
        let text = crate::Format::Json.write(&report, "out/r".as_ref()).unwrap();
        assert!(text.contains("\"b\u{fffd}.txt\""), "{text}");
    }

    #[test]
    fn all_texts_can_be_changed() {
        let mut report = report();
        report.map_texts(&|text| text.replace("exit", "<sensitive>").replace("alert", "x"));
        let text = crate::Format::Json.write(&report, "out/r".as_ref()).unwrap();
        assert!(!text.contains("exit <3>") && !text.contains("script>alert"), "{text}");
    }
}

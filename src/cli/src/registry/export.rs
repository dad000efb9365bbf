//! `ingot registry export`

use std::path::{Path, PathBuf};

use clap::Args;
use ingot_registry::transfer::{self, ExportError, ExportOptions};
use ingot_sdk::{Context, Error, OutputFile, Result};

use super::output::{line, sentence_list};
use super::session::Session;

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The file to write
    file: PathBuf,
    /// A bucket; all unless it is given; can be given again
    #[arg(long, value_name = "BUCKET")]
    bucket: Vec<String>,
    /// Include the SBOMs of builds, which may be large
    #[arg(long, default_value_t = true)]
    sboms: bool,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

/// Writes the buckets of the registry in use to a file. It fails if that lacks an SBOM, and writes all
/// else.
pub(super) async fn run(args: &ExportArgs, session: &Session) -> Result<()> {
    let file = args.file.display();
    if !args.force && holds_something(&args.file) {
        return Err(Error::new(format!("{file} exists already"))
            .hint("name a new file, or replace this one with -force"));
    }
    let options = ExportOptions { buckets: args.bucket.clone(), sboms: args.sboms };
    let name = &session.connected.name;
    let exported = transfer::export(session.registry(), name, &options).await;
    let exported = exported.map_err(with_hint)?;
    let text = exported.export.to_json().map_err(with_hint)?;
    OutputFile::save(&args.file, text.as_bytes())
        .with_context(|| format!("{file} cannot be written"))?;
    line(format!("Exported {} versions of {name} to {file}.", exported.versions));
    if exported.incomplete > 0 {
        line(format!("{} incomplete versions were left out.", exported.incomplete));
    }
    if let Some(why) = exported.enforced_blocks_denied {
        line(format!("Enforced blocks were left out: {why}."));
    }
    if !args.sboms {
        line(
            "SBOMs were left out; a version that was imported without them cannot get them later.",
        );
    }
    if let Some(why) = exported.unlisted_sboms {
        line(format!(
            "SBOMs were left out, if there are any: the registry does not list them: {why}."
        ));
    }
    let outside = exported.parents_outside;
    if !outside.is_empty() {
        line(format!(
            "Some were built from versions of {}, which this file lacks. Where an import does not find \
             them, it cannot keep that ancestry; to export them, too: {}",
            sentence_list(&outside),
            outside.iter().map(|bucket| format!("-bucket={bucket}")).collect::<Vec<_>>().join(" ")
        ));
    }
    let unusable = exported.unusable_sboms;
    if unusable.is_empty() {
        return Ok(());
    }
    line(format!("{} SBOMs were left out, as they cannot be read:", unusable.len()));
    unusable.iter().for_each(|sbom| line(format!("  {sbom}")));
    Err(Error::new(format!("{file} lacks {} SBOMs", unusable.len())).hint(
        "it has all else; a version that is imported without an SBOM cannot get it later. To leave all \
         SBOMs out: -sboms=false",
    ))
}

/// Whether writing to a path loses what is in a file. One that is empty may have been created for this, and
/// one that a shell has opened, as `/dev/stdout`, is written as it said.
fn holds_something(path: &Path) -> bool {
    let is_open = ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc"];
    !is_open.iter().any(|opened| path.starts_with(opened))
        && std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() > 0)
}

/// The error with the flags that help.
fn with_hint(error: ExportError) -> Error {
    match error {
        ExportError::UnknownBucket(_) => Error::caused_by(error),
        ExportError::TooLarge { .. } => Error::caused_by(error)
            .hint("export fewer at once: -bucket=NAME; or without the SBOMs: -sboms=false"),
        ExportError::Failed(error) => error,
    }
}

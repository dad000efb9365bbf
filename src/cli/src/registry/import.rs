//! `ingot registry import`

use std::path::{Path, PathBuf};

use clap::Args;
use ingot_registry::api::LATEST_CHANNEL;
use ingot_registry::transfer::{
    self, DifferingVersion, Export, ImportError, ImportSummary, ImportedVersion, ReadError,
    ReadProblem,
};
use ingot_sdk::{Context as _, Error, Result};

use super::output::{line, sentence_list};
use super::session::Session;

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// A file that `ingot registry export` wrote
    file: PathBuf,
    /// A bucket of the file; all unless it is given; can be given again
    #[arg(long, value_name = "BUCKET")]
    bucket: Vec<String>,
}

/// Reads a file of buckets into the registry in use.
pub(super) async fn run(args: &ImportArgs, session: &Session) -> Result<()> {
    // On another thread: what is to be read may be a pipe, and a signal is to be heard meanwhile.
    let file = args.file.clone();
    let read = tokio::task::spawn_blocking(move || Export::read(&file)).await.context("reading")?;
    let export = read.map_err(read_error)?;
    let mut report = |imported: ImportedVersion<'_>| show_version(&imported);
    let imported = transfer::import(session.registry(), export, &args.bucket, &mut report).await;
    let summary = imported.map_err(|error| import_error(error, &args.file))?;
    show_summary(&summary, &session.connected.name);
    Ok(())
}

fn read_error(error: ReadError) -> Error {
    let hint = match &error.problem {
        ReadProblem::TooLarge => Some("export and import it bucket by bucket: -bucket=NAME"),
        ReadProblem::Malformed(_) => Some("`ingot registry export FILE` writes one"),
        ReadProblem::UnknownFormat { .. } => Some("use the Ingot that wrote it, or a newer one"),
        ReadProblem::Io(_) | ReadProblem::Damaged { .. } => None,
    };
    let error = Error::caused_by(error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn import_error(error: ImportError, file: &Path) -> Error {
    match error {
        ImportError::UnknownBucket(name) => {
            Error::new(format!("{} has no bucket {name}", file.display()))
        }
        ImportError::Failed(error) => error,
    }
}

fn show_version(imported: &ImportedVersion<'_>) {
    let ImportedVersion { version, new_name } = imported;
    let renamed = match *new_name == version.name {
        true => String::new(),
        false => format!(", which is {new_name} here"),
    };
    line(format!("{} {} ({}){renamed}", version.bucket_name, version.name, version.fingerprint));
}

fn show_summary(summary: &ImportSummary, registry: &str) {
    line(format!(
        "Imported {} versions of {} into {registry}; {} were there already.",
        summary.imported, summary.exported_from, summary.already_present
    ));
    if summary.renamed > 0 {
        let count = summary.renamed;
        line(format!("{count} of them have other numbers here; their fingerprints are the same."));
    }
    if let Some(why) = &summary.skipped_blocks.denied {
        line(format!("Enforced blocks were left behind, so that builds do not run them: {why}."));
    }
    if !summary.skipped_blocks.differing.is_empty() {
        line(
            "Enforced blocks that are others here stay as they are, and no bucket was linked to them:",
        );
        for block in &summary.skipped_blocks.differing {
            line(format!("  {block}"));
        }
    }
    if summary.unsupported_sboms > 0 {
        let count = summary.unsupported_sboms;
        line(format!("{count} SBOMs were left behind: this registry does not take them."));
    }
    if !summary.refused_sboms.is_empty() {
        let count = summary.refused_sboms.len();
        line(format!("{count} SBOMs were left behind, as this registry refuses them:"));
        for refused in &summary.refused_sboms {
            line(format!("  {refused}"));
        }
    }
    if !summary.open_latest_channels.is_empty() {
        line(format!(
            "The channel {LATEST_CHANNEL} is restricted in the file and not here. To restrict it, too:"
        ));
        for bucket in &summary.open_latest_channels {
            line(format!("  ingot registry channels update {bucket} {LATEST_CHANNEL} -restricted"));
        }
    }
    if !summary.missing_parents.is_empty() {
        let buckets = sentence_list(&summary.missing_parents);
        line(format!(
            "Some were built from versions of {buckets} that are not here: that ancestry is lost. To keep \
             it, remove the buckets that were imported (`ingot registry buckets delete`), and import the \
             parents before."
        ));
    }
    if !summary.unrevoked.is_empty() {
        line(format!(
            "Of those that were there, {} are revoked in the file and not here. To revoke them, too:",
            summary.unrevoked.len()
        ));
        for DifferingVersion { bucket, fingerprint } in &summary.unrevoked {
            line(format!("  ingot registry revoke {bucket} {fingerprint}"));
        }
    }
    if !summary.still_revoked.is_empty() {
        line(format!(
            "{} are revoked here with what they were built from, and valid in the file. To restore them:",
            summary.still_revoked.len()
        ));
        for DifferingVersion { bucket, fingerprint } in &summary.still_revoked {
            line(format!("  ingot registry restore {bucket} {fingerprint}"));
        }
    }
    if !summary.unassigned_channels.is_empty() {
        line("Channels that were not assigned, as this registry refuses it:");
        for channel in &summary.unassigned_channels {
            line(format!("  {channel}"));
        }
    }
}

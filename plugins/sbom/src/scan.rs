//! The packages below a directory of this machine.

use std::path::{Path, PathBuf};

use globset::GlobSet;
use ingot_sdk::file_work::{Reader, blocking};
use ingot_sdk::process::LocalCommand;
use ingot_sdk::{Context, Error, ExitStatus, OutputSink, Result, RunContext, hash};
use parking_lot::Mutex;

use crate::collector::SCRIPT;
use crate::packages::Inventory;

/// The most that package databases may come to, in bytes.
pub(crate) const LARGEST_DATABASES: usize = 256 << 20;

/// What is at `path`: the packages below a directory, or a file by its checksum.
///
/// # Errors
/// It cannot be read.
pub async fn scan(ctx: &RunContext, path: &Path, exclude: &GlobSet) -> Result<Inventory> {
    let looking = || format!("looking at {}", path.display());
    if !tokio::fs::metadata(path).await.with_context(looking)?.is_dir() {
        return file(ctx, path.to_owned()).await;
    }
    let root = path.to_string_lossy().into_owned();
    let argv = ["sh", "-c", SCRIPT, "collector", "sbom-generate", &root];
    let command =
        LocalCommand { argv: argv.map(str::to_owned).to_vec(), ..LocalCommand::default() };
    let output = Output::default();
    let status = command.run(ctx, &output).await?;
    let bytes = output.into_bytes().with_context(|| format!("reading the packages in {root}"))?;
    match (status, crate::read(bytes, exclude.clone()).await?) {
        (ExitStatus::Code(0), Ok(inventory)) => Ok(inventory),
        _ => Err(Error::new(format!("the packages in {root} cannot be read"))),
    }
}

async fn file(ctx: &RunContext, path: PathBuf) -> Result<Inventory> {
    let mut reader = Reader::new(ctx, "Hashing", std::slice::from_ref(&path));
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let sums = blocking(ctx, move |stop| hash::sums_of(&mut reader, stop, &path, &["sha256"]));
    let sum = sums.await?.pop().unwrap_or_default();
    Ok(Inventory { files: vec![(name, sum)], ..Inventory::default() })
}

/// Keeps standard output, up to a bound.
#[derive(Default)]
struct Output {
    stdout: Mutex<Vec<u8>>,
}

impl Output {
    fn into_bytes(self) -> Result<Vec<u8>> {
        let bytes = self.stdout.into_inner();
        match bytes.len() > LARGEST_DATABASES {
            true => Err(Error::new(format!("they are more than {LARGEST_DATABASES} bytes"))),
            false => Ok(bytes),
        }
    }
}

impl OutputSink for Output {
    fn stdout(&self, bytes: &[u8]) {
        let mut kept = self.stdout.lock();
        // One byte more than may be says that there was more.
        let room = (LARGEST_DATABASES + 1).saturating_sub(kept.len());
        kept.extend_from_slice(&bytes[..room.min(bytes.len())]);
    }

    /// What could not be read is among the notes.
    fn stderr(&self, _: &[u8]) {}
}

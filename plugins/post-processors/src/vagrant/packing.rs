//! The box itself: a tar, compressed by gzip or not.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use ingot_sdk::file_work::{Reader, is_same_file};
use ingot_sdk::{Context, Error, OutputFile, Result, RunContext};
use tokio_util::sync::CancellationToken;

use crate::compress::format::{Algorithm, Compressor};
use crate::work::{append_file, buffered};

/// What a file in a box holds.
pub(super) enum Content {
    /// What this file holds.
    File(PathBuf),
    /// This.
    Text(String),
}

/// The files of a box by their names, in whose order they are packed.
#[derive(Default)]
pub(super) struct BoxFiles(BTreeMap<String, Content>);

impl BoxFiles {
    /// Adds a file by the last part of its name.
    ///
    /// # Errors
    /// The path has no such part.
    pub(super) fn add(&mut self, path: &Path) -> Result<()> {
        let name = path.file_name().ok_or_else(|| {
            Error::new(format!("include: {} is not the name of a file", path.display()))
        })?;
        self.set(name.to_string_lossy().into_owned(), Content::File(path.to_owned()));
        Ok(())
    }

    /// Sets what a file holds, whatever was to be there.
    pub(super) fn set(&mut self, name: String, content: Content) {
        self.0.insert(name, content);
    }

    /// Whether there is a file of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// The packing of a box.
pub(super) struct Packing {
    /// The run.
    pub(super) ctx: RunContext,
    /// What is packed.
    pub(super) files: BoxFiles,
    /// What is deleted afterwards.
    pub(super) inputs: Vec<PathBuf>,
    /// The box.
    pub(super) target: PathBuf,
    /// Whether the box is compressed.
    pub(super) compresses: bool,
    /// How hard, from 1 to 9.
    pub(super) level: Option<u32>,
}

impl Packing {
    /// Writes the box.
    pub(super) fn run(self, stop: &CancellationToken) -> Result<()> {
        let sources: Vec<PathBuf> = self
            .files
            .0
            .values()
            .filter_map(|content| match content {
                Content::File(path) => Some(path.clone()),
                Content::Text(_) => None,
            })
            .collect();
        if let Some(file) =
            sources.iter().chain(&self.inputs).find(|f| is_same_file(f, &self.target))
        {
            return Err(Error::new(format!(
                "{} goes into the box and cannot be the box too",
                file.display()
            ))
            .hint("set output to another name"));
        }
        let output = OutputFile::create(&self.ctx.journal, &self.target, 0o666)?;
        let label = format!("Writing {}", self.target.display());
        let mut reader = Reader::new(&self.ctx, &label, &sources);
        output.fill(|file| {
            let written = self.write(stop, &mut reader, file);
            // A library that was interrupted reports a failure of reading.
            if stop.is_cancelled() {
                return Err(Error::Cancelled);
            }
            written.with_context(|| format!("packing {}", self.target.display()))
        })
    }

    fn write(&self, stop: &CancellationToken, reader: &mut Reader, output: File) -> Result<()> {
        let algorithm = self.compresses.then_some(Algorithm::Gzip);
        let compressor = Compressor::new(algorithm, self.level, buffered(output))?;
        let mut archive = tar::Builder::new(compressor);
        for (name, content) in &self.files.0 {
            self.ctx.ui.message(format!("Compressing: {name}"));
            match content {
                Content::File(path) => {
                    append_file(&mut archive, stop, reader, path, Path::new(name))?;
                }
                Content::Text(text) => {
                    let mut header = tar::Header::new_gnu();
                    header.set_size(text.len() as u64);
                    header.set_mode(0o644);
                    header.set_mtime(0);
                    archive
                        .append_data(&mut header, name, text.as_bytes())
                        .with_context(|| format!("adding {name}"))?;
                }
            }
        }
        archive.into_inner()?.finish()?;
        Ok(())
    }
}

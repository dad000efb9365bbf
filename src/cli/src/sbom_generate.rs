//! `ingot sbom-generate`

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use ingot_engine::signals::or_cancelled;
use ingot_sbom::scanner_args::ScannerArgs;
use ingot_sdk::{Error, Result, RunContext, Ui};
use ingot_ui::{Renderer, UiOptions};

use super::args::Unused;
use super::asynchronous::{Threads, to_end};

#[derive(Debug, Args)]
pub(super) struct SbomGenerateArgs {
    /// The format: cyclonedx-json or spdx-json
    #[arg(long = "output", alias = "o", default_value = "cyclonedx-json", value_name = "FORMAT")]
    pub output: String,
    /// Leave out the files that this glob pattern matches
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Means nothing for directories: squashed or all-layers
    #[arg(long, hide = true, default_value = "squashed", value_name = "SCOPE")]
    pub scope: String,
    /// The directory, or a file
    #[arg(default_value = "/")]
    pub path: String,
    #[command(flatten)]
    pub unused: Unused,
}

/// The largest document that is written, in bytes. Registries take less, other tools may not.
const LARGEST: usize = 256 << 20;

/// Writes the SBOM of a directory of this machine to standard output.
pub(super) fn run(args: &SbomGenerateArgs) -> ExitCode {
    let renderer = Renderer::new(UiOptions { to_stderr: true, ..UiOptions::default() });
    let redactor = renderer.redactor();
    super::logging::start_with(&renderer);
    match generate(args, Ui::new(renderer)) {
        Ok(document) => {
            super::write_answer(&document);
            super::write_answer(b"\n");
            ExitCode::SUCCESS
        }
        Err(error) => {
            super::show_error(&error, &redactor);
            ExitCode::FAILURE
        }
    }
}

fn generate(args: &SbomGenerateArgs, ui: Ui) -> Result<Vec<u8>> {
    let SbomGenerateArgs { output, exclude, scope, path, .. } = args;
    let mut flags = vec!["-o".to_owned(), output.clone(), format!("--scope={scope}")];
    flags.extend(exclude.iter().map(|pattern| format!("--exclude={pattern}")));
    let flags = ScannerArgs::parse(&flags).map_err(Error::new)?;
    let ctx = RunContext::detached(ui);
    let generate = async {
        let inventory = ingot_sbom::scan::scan(&ctx, Path::new(path), &flags.exclude).await?;
        for note in &inventory.notes {
            eprintln!("note: {note}");
        }
        ingot_sbom::write(inventory, flags.format, path, LARGEST).await
    };
    to_end(Threads::Current, or_cancelled(generate))
}

//! `ingot version`

use std::process::ExitCode;

use ingot_sdk::Ui;

use super::args::VersionArgs;
use crate::ui::{Renderer, UiOptions};

/// Prints the version. Asks nobody whether there is a newer one.
pub(super) fn run(args: &VersionArgs) -> ExitCode {
    let options = UiOptions { machine_readable: args.machine_readable, ..Default::default() };
    let ui = Ui::new(Renderer::new(options));
    let version = env!("CARGO_PKG_VERSION");
    ui.machine("version", &[version]);
    // The spelling is Packer's.
    ui.machine("version-prelease", &[""]);
    ui.machine("version-commit", &[""]);
    ui.say(format!("Ingot v{version}"));
    ExitCode::SUCCESS
}

//! `ingot version`: where the program is installed as `packer`, what scripts expect of Packer's.

use std::process::ExitCode;

use ingot_sdk::Ui;
use ingot_sdk::interpolate::COMPATIBLE_PACKER_VERSION;
use ingot_ui::{Renderer, UiOptions};

use super::args::VersionArgs;
use super::program;

/// Prints the version. Asks nobody whether there is a newer one.
pub(super) fn run(args: &VersionArgs) -> ExitCode {
    let options = UiOptions { machine_readable: args.machine_readable, ..Default::default() };
    let ui = Ui::new(Renderer::new(options));
    let (name, version) = match program::is_packer() {
        true => ("Packer", COMPATIBLE_PACKER_VERSION),
        false => ("Ingot", env!("CARGO_PKG_VERSION")),
    };
    ui.machine("version", &[version]);
    // The spelling is Packer's.
    ui.machine("version-prelease", &[""]);
    ui.machine("version-commit", &[""]);
    ui.say(format!("{name} v{version}"));
    ExitCode::SUCCESS
}

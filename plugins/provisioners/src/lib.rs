//! The provisioners that need no plugin: shell, shell-local, file, breakpoint,
//! sleep.

use ingot_sdk::PluginSet;

mod breakpoint;
mod file;
mod shell;
mod shell_local;
mod sleep;

/// Adds this crate's plugins.
pub fn register(set: &mut PluginSet) {
    set.provisioner::<breakpoint::BreakpointProvisioner>("breakpoint");
    set.provisioner::<file::FileProvisioner>("file");
    set.provisioner::<shell::ShellProvisioner>("shell");
    set.provisioner::<shell_local::ShellLocalProvisioner>("shell-local");
    set.provisioner::<sleep::SleepProvisioner>("sleep");
}

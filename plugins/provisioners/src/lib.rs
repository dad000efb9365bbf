//! The provisioners that need no plugin: shell, shell-local, file, breakpoint, sleep; powershell,
//! windows-shell and windows-restart for Windows.

use ingot_sdk::PluginSet;

mod breakpoint;
mod elevated;
mod file;
mod powershell;
mod remote_script;
mod shell;
mod shell_local;
mod sleep;
mod windows_restart;
mod windows_script;
mod windows_shell;

/// Adds this crate's plugins.
pub fn register(set: &mut PluginSet) {
    set.provisioner::<breakpoint::BreakpointProvisioner>("breakpoint");
    set.provisioner::<file::FileProvisioner>("file");
    set.provisioner::<powershell::PowershellProvisioner>("powershell");
    set.provisioner::<shell::ShellProvisioner>("shell");
    set.provisioner::<shell_local::ShellLocalProvisioner>("shell-local");
    set.provisioner::<sleep::SleepProvisioner>("sleep");
    set.provisioner::<windows_restart::WindowsRestartProvisioner>("windows-restart");
    set.provisioner::<windows_shell::WindowsShellProvisioner>("windows-shell");
}

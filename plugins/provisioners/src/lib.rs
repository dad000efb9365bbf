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
    set.add_provisioner(breakpoint::BreakpointProvisioner);
    set.add_provisioner(file::FileProvisioner);
    set.add_provisioner(powershell::PowershellProvisioner);
    set.add_provisioner(shell::ShellProvisioner);
    set.add_provisioner(shell_local::ShellLocalProvisioner);
    set.add_provisioner(sleep::SleepProvisioner);
    set.add_provisioner(windows_restart::WindowsRestartProvisioner);
    set.add_provisioner(windows_shell::WindowsShellProvisioner);
}

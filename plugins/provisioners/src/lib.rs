//! The provisioners that need no plugin: shell, shell-local, file, breakpoint, sleep; powershell,
//! windows-shell and windows-restart for Windows.
//!
//! They know the machine by its communicator only, and nothing of the builder that started it.

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

#[cfg(test)]
mod tests {
    use ingot_sdk::testing::options_that_cannot_be_empty;
    use serde_json::json;

    use super::*;

    /// As in Packer: templates pass variables on whose default is an empty text.
    #[test]
    fn an_empty_text_is_none() {
        let mut set = PluginSet::default();
        register(&mut set);
        for (name, plugin) in &set.provisioners {
            let options = match name.as_str() {
                "shell" | "shell-local" | "powershell" | "windows-shell" => {
                    json!({ "inline": ["exit 7"] })
                }
                "file" => json!({ "content": "text", "destination": "/there" }),
                _ => json!({}),
            };
            let minds = options_that_cannot_be_empty(&**plugin, &options, &Default::default());
            assert_eq!(minds, [""; 0], "{name}");
        }
    }
}

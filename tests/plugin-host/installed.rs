//! `ingot` with the plugin installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::release_server::{program_name, sha256};
use ingot_test_support::Run;
use ingot_test_support::trial_plugin::plugin_directory;

/// The plugin in a plugin directory of its own, and a cache of its own.
pub(crate) struct Installed {
    plugins: tempfile::TempDir,
    state: tempfile::TempDir,
}

/// Installs the plugin; none where it cannot be built.
pub(crate) fn installed() -> Option<Installed> {
    let plugins = plugin_directory()?;
    let state = tempfile::tempdir().expect("a directory for the cache");
    Some(Installed { plugins, state })
}

impl Installed {
    /// The plugin directory.
    pub(crate) fn directory(&self) -> &Path {
        self.plugins.path()
    }

    /// `ingot` in a directory.
    pub(crate) fn command(&self, dir: &Path, args: &[&str]) -> Command {
        let mut command = ingot_test_support::ingot_command();
        command
            .args(args)
            .current_dir(dir)
            .env("PACKER_PLUGIN_PATH", self.plugins.path())
            .env("XDG_CACHE_HOME", self.state.path().join("cache"))
            .env("INGOT_STATE_DIR", self.state.path().join("state"))
            .env("TRIAL_RECORD", self.record_file());
        command
    }

    /// Runs `ingot` in a directory.
    pub(crate) fn ingot(&self, dir: &Path, args: &[&str]) -> Run {
        self.ingot_with(dir, args, &[])
    }

    /// Runs `ingot` in a directory, with variables in its environment.
    pub(crate) fn ingot_with(&self, dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Run {
        let output = self.command(dir, args).envs(env.iter().copied()).output();
        let output = output.expect("ingot can be run");
        Run {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn record_file(&self) -> PathBuf {
        self.state.path().join("record")
    }

    /// Where `ingot` keeps what outlives a run.
    pub(crate) fn state(&self) -> PathBuf {
        self.state.path().join("state")
    }

    /// Forgets what the program was run with so far.
    pub(crate) fn forget_record(&self) {
        let _ = std::fs::remove_file(self.record_file());
    }

    /// Forgets the descriptions of programs.
    pub(crate) fn forget_cache(&self) {
        let _ = std::fs::remove_dir_all(self.state.path().join("cache"));
    }

    /// With what arguments the program was run.
    pub(crate) fn record(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.record_file()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Installs the program `bytes` as the version `version` of the plugin.
    pub(crate) fn put(&self, version: &str, bytes: &[u8]) {
        let place = self.plugins.path().join("github.com/acme/trial");
        put_program(&place.join(program_name(version)), bytes);
    }

    /// Writes another checksum beside the program.
    pub(crate) fn set_checksum(&self, sum: &str) {
        let place = self.plugins.path().join("github.com/acme/trial");
        let files = std::fs::read_dir(place).expect("the plugin's directory").flatten();
        let mut sums = files.filter(|file| file.file_name().to_string_lossy().ends_with("SUM"));
        let file = sums.next().expect("a checksum");
        std::fs::write(file.path(), sum).expect("the checksum can be written");
    }
}

/// Installs the program `bytes` at `path`, as Packer does.
pub(crate) fn put_program(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _ = std::fs::remove_file(path);
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(format!("{}_SHA256SUM", path.display()), sha256(bytes)).unwrap();
}

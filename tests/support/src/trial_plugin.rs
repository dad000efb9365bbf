//! The plugin `trial`, built by Go's tool and installed as Packer installs plugins.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use ingot_go_template::Platform;

/// Builds the plugin; none where Go is missing, which under CI is a failure.
pub fn program() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let source = crate::repository("tests/plugin-host/plugin");
        let target = crate::target_directory();
        // Test programs may build it at the same time.
        let built = target.join(format!("packer-plugin-trial-{}", std::process::id()));
        let go = Command::new("go")
            .args(["build", "-trimpath", "-ldflags=-s -w", "-o"])
            .arg(&built)
            .arg(".")
            .current_dir(source)
            .env("CGO_ENABLED", "0")
            .output();
        let output = match go {
            Ok(output) => output,
            Err(error) => {
                crate::missing(format_args!("Go is missing: {error}"));
                return None;
            }
        };
        assert!(output.status.success(), "go build: {}", String::from_utf8_lossy(&output.stderr));
        let program = target.join("packer-plugin-trial");
        std::fs::rename(&built, &program).expect("the plugin can be renamed");
        Some(program)
    });
    built.as_deref()
}

/// A plugin directory with the plugin in it, or none where it cannot be built.
pub fn plugin_directory() -> Option<tempfile::TempDir> {
    let program = program()?;
    let directory = tempfile::tempdir().expect("a directory for the plugin");
    install(program, directory.path(), "1.0.0");
    Some(directory)
}

/// Installs `program` as the version `version` of the plugin in a plugin directory.
fn install(program: &Path, directory: &Path, version: &str) -> PathBuf {
    let place = directory.join("github.com/acme/trial");
    std::fs::create_dir_all(&place).expect("a directory for the plugin");
    let name = format!("packer-plugin-trial_v{version}_x5.0_{}", Platform::current());
    let path = place.join(name);
    if std::fs::hard_link(program, &path).is_err() {
        std::fs::copy(program, &path).expect("the plugin can be copied");
    }
    let sum = Command::new("sha256sum").arg(&path).output().expect("sha256sum can be run");
    let sum = String::from_utf8_lossy(&sum.stdout).split_whitespace().next().map(str::to_owned);
    let mut beside = path.clone().into_os_string();
    beside.push("_SHA256SUM");
    std::fs::write(beside, sum.expect("a checksum")).expect("the checksum can be written");
    path
}

//! The machine that builds.

use serde_json::{Value, json};

/// Its operating system, with Go's names.
pub(super) fn about() -> Value {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        other => other,
    };
    let uname = rustix::system::uname();
    let version = uname.release().to_string_lossy();
    json!({ "type": system, "details": { "arch": arch, "version": version } })
}

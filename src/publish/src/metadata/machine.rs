//! The machine that builds.

use ingot_sdk::Platform;
use serde_json::{Value, json};

/// Its operating system, with Go's names.
pub(super) fn about() -> Value {
    let Platform { os, arch } = Platform::current();
    let uname = rustix::system::uname();
    let version = uname.release().to_string_lossy();
    json!({ "type": os, "details": { "arch": arch, "version": version } })
}

//! Signatures of the lists of checksums, checked by GnuPG's `gpgv` against a keyring of the user's.
//!
//! No key is built in: keys of publishers expire and change while a program stays in use, and which
//! publishers to trust is for the site to say.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ingot_sdk::{Context, Error, Result, environment};
use tokio::process::Command;

/// The variable with the keyring, as `gpg --export` writes it.
pub(super) const KEYRING: &str = "INGOT_PLUGIN_KEYRING";
/// How long a check may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The keyring that signatures are checked against, where there is one.
///
/// # Errors
/// It cannot be read.
pub(super) fn keyring() -> Result<Option<PathBuf>> {
    let Some(path) = environment::set(KEYRING) else { return Ok(None) };
    // gpgv looks for names without a directory elsewhere.
    let path = PathBuf::from(path);
    let real = path.canonicalize();
    real.map(Some).with_context(|| format!("{KEYRING}={}", path.display()))
}

/// Checks that `signature` is one of `data` by a key of the keyring.
///
/// # Errors
/// It is not, or `gpgv` cannot be run.
pub(super) async fn check(keyring: &Path, data: &[u8], signature: &[u8]) -> Result<()> {
    let directory = tempfile::tempdir().context("a directory for a signature")?;
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        let mut file = std::fs::File::create(&path)?;
        file.write_all(bytes)?;
        std::io::Result::Ok(path)
    };
    let signed = write("list", data).context("writing what is signed")?;
    let signature = write("list.sig", signature).context("writing a signature")?;
    let mut gpgv = Command::new("gpgv");
    gpgv.arg("--keyring").arg(keyring).arg(signature).arg(signed);
    gpgv.env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(TIMEOUT, gpgv.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            return Err(Error::new(format!("gpgv cannot be run: {error}")).hint(format!(
                "{KEYRING} is set, and GnuPG's gpgv checks signatures against it; install it"
            )));
        }
        Err(_) => {
            return Err(Error::new(format!("gpgv took longer than {} seconds", TIMEOUT.as_secs())));
        }
    };
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            let lines: Vec<&str> = said.lines().map(str::trim).collect();
            Err(Error::new(format!(
                "no valid signature by a key of {KEYRING}: {}",
                lines.join("; ")
            ))
            .hint("nothing was installed; add the key only if its owner is who you expect"))
        }
    }
}

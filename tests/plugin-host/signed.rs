//! Releases with signatures.

use std::process::{Command, Stdio};

use crate::machine::{ACME, assert_whole, machine};
use crate::release_server::Response;
use ingot_test_support::{missing, require};

/// Signs with a key of its own.
struct Signer {
    home: tempfile::TempDir,
}

impl Signer {
    /// None without GnuPG, which under CI is a failure.
    fn new() -> Option<Signer> {
        let signer = Signer { home: tempfile::tempdir().unwrap() };
        if Command::new("gpg").arg("--version").stdout(Stdio::null()).status().is_err() {
            missing("there is no gpg");
            return None;
        }
        let key = ["--passphrase", "", "--quick-generate-key", "a@example.com", "ed25519", "sign"];
        signer.gpg(&key, &[]);
        Some(signer)
    }

    fn gpg(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = Command::new("gpg")
            .args(["--batch", "--quiet", "--pinentry-mode", "loopback"])
            .args(args)
            .env("GNUPGHOME", self.home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "gpg {args:?}");
        output.stdout
    }

    /// The signature of `data`.
    fn sign(&self, data: &[u8]) -> Vec<u8> {
        self.gpg(&["--detach-sign"], data)
    }

    /// A file with the public key.
    fn keyring(&self) -> String {
        let path = self.home.path().join("keyring.gpg");
        std::fs::write(&path, self.gpg(&["--export"], b"")).unwrap();
        path.display().to_string()
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        let mut agent = Command::new("gpgconf");
        let _ = agent.args(["--kill", "all"]).env("GNUPGHOME", self.home.path()).status();
    }
}

#[test]
fn with_a_keyring_only_signed_releases_are_installed() {
    let machine = require!(machine(ACME, ">= 1.0"));
    let signer = require!(Signer::new());
    machine.server.github(&["1.0.0"]);
    let keyring = signer.keyring();
    let env = [("INGOT_PLUGIN_KEYRING", keyring.as_str())];
    let message = machine.init_fails(&[], &env);
    assert!(
        message.contains("it is not signed") && message.contains("_SHA256SUMS.sig"),
        "{message}"
    );
    let signature = format!("{}.sig", machine.sums("1.0.0"));
    machine.server.put(&signature, Response::ok(signer.sign(b"something else")));
    let message = machine.init_fails(&[], &env);
    assert!(message.contains("no valid signature by a key of INGOT_PLUGIN_KEYRING"), "{message}");
    let sums = machine.server.body(&machine.sums("1.0.0"));
    let other = require!(Signer::new());
    machine.server.put(&signature, Response::ok(other.sign(&sums)));
    let message = machine.init_fails(&[], &env);
    assert!(message.contains("no valid signature"), "{message}");
    machine.server.put(&signature, Response::ok(signer.sign(&sums)));
    let run = machine.run_with(&["init", "."], &env);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert_whole(&machine.installed(ACME, "1.0.0"), "1.0.0");
}

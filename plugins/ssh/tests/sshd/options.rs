//! What `prepare` says, offline.

use ingot_test_support::require;
use serde_json::{Value, json};

use crate::harness::prepare;
use ingot_test_support::output_of;
use ingot_test_support::sshd::keygen;

/// All errors about `options`, as the user reads them.
fn complaints(options: Value) -> String {
    let errors = prepare(options).err().expect("something is wrong");
    let lines = errors.0.iter().map(|error| {
        let option = error.option.as_deref().unwrap_or("-");
        format!("{option}: {} ({})", error.message, error.hint.as_deref().unwrap_or(""))
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let said = complaints(json!({
        "ssh_certificate_file": "/nope-cert.pub",
        "ssh_bastion_host": "b", "ssh_proxy_host": "p",
        "ssh_file_transfer_method": "ftp",
        "ssh_local_tunnels": ["80"], "ssh_remote_tunnels": ["a:b:c"],
        "temporary_key_pair_type": "dsa",
        "ssh_ciphers": ["aes128-ctr", "rot13"],
        "ssh_key_exchange_algorithms": ["shouting"],
        "ssh_bastion_interactive": true,
        "ssh_keep_alive_interval": "often",
    }));
    for expected in [
        "-: `ssh_username` is missing",
        "ssh_certificate_file: a certificate needs `ssh_private_key_file`",
        "ssh_proxy_host: a bastion and a proxy exclude each other",
        "ssh_bastion_host: there is no way to log in",
        "`ssh_bastion_username` is missing",
        "ssh_file_transfer_method: `ftp`",
        "ssh_local_tunnels: \"80\" is not of the form PORT:HOST:HOSTPORT",
        "ssh_remote_tunnels: \"a\" in",
        "temporary_key_pair_type: `dsa` is not supported",
        "ssh_ciphers: not supported: rot13 (known are ",
        "ssh_key_exchange_algorithms: not supported: shouting",
        "ssh_bastion_interactive: this is not supported",
        "ssh_keep_alive_interval: cannot read \"often\"",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in\n{said}");
    }
}

#[test]
fn a_bastions_options_count_only_with_a_bastion() {
    let with = |host: &str| {
        json!({
            "ssh_username": "u", "ssh_bastion_host": host, "ssh_bastion_username": "b",
            "ssh_bastion_private_key_file": "/nope", "ssh_bastion_interactive": true,
        })
    };
    assert!(prepare(with("")).is_ok(), "{}", complaints(with("")));
    let said = complaints(with("bastion.example.com"));
    assert!(
        said.contains("ssh_bastion_private_key_file: cannot read /nope: No such file"),
        "{said}"
    );
    assert!(said.contains("ssh_bastion_interactive: this is not supported"), "{said}");
}

#[test]
fn key_files_are_checked() {
    require!(keygen());
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let with = |key: &str| json!({ "ssh_username": "u", "ssh_private_key_file": key });
    let said = complaints(with(&at("nope")));
    assert!(said.contains("cannot read") && said.contains("No such file"), "{said}");
    for (name, form) in [("new", "RFC4716"), ("pem", "PEM"), ("p8", "PKCS8")] {
        let path = at(name);
        let args = ["-q", "-t", "rsa", "-b", "2048", "-m", form, "-N", "secret", "-f", &path];
        output_of("ssh-keygen", &args);
        let said = complaints(with(&path));
        let expected = "is protected by a passphrase (load it into an agent";
        assert!(said.contains(expected), "{name}: {said}");
    }
    assert!(complaints(with(&at("new.pub"))).contains("this is a public key"));
    std::fs::write(at("broken"), "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n").unwrap();
    assert!(complaints(with(&at("broken"))).contains("cannot read the key"));

    let key = |name: &str| {
        let path = at(name);
        output_of("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &path]);
        path
    };
    let (ca, mine, other) = (key("ca"), key("mine"), key("other"));
    let certify = |key: &str, validity: &str| {
        output_of(
            "ssh-keygen",
            &["-q", "-s", &ca, "-I", "t", "-n", "u", "-V", validity, &format!("{key}.pub")],
        );
        format!("{key}-cert.pub")
    };
    let both = |certificate: &str| {
        let mut options = with(&mine);
        options["ssh_certificate_file"] = certificate.into();
        options
    };
    let said = complaints(both(&certify(&other, "-1h:+1h")));
    assert!(said.contains("ssh_certificate_file: ") && said.contains("is for another key"));
    assert!(complaints(both(&certify(&mine, "-2h:-1h"))).contains("has expired"));
    assert!(complaints(both(&certify(&mine, "+1h:+2h"))).contains("is not valid yet"));
    assert!(complaints(both(&mine)).contains("cannot read the certificate"));
    assert!(prepare(both(&certify(&mine, "-1h:+1h"))).is_ok());
}

//! Ways to log in.

use ingot_test_support::require;
use std::process::Command;
use std::sync::Arc;

use ingot_sdk::testing::RecordedOutput;
use ingot_ssh::{KeyPair, KeyPairType, Target};
use serde_json::json;

use crate::harness::{connect, connect_in, connected, context, failure, options, output, prepare};
use ingot_test_support::output_of;
use ingot_test_support::sshd::{PASSWORD, Server, USER, available};

#[tokio::test]
async fn with_a_password() {
    require!(available());
    let server = Server::start("");
    let shown = Arc::<RecordedOutput>::default();
    let options = options(&server, json!({ "ssh_password": PASSWORD }));
    let link = connect_in(&context(&shown), options).await.unwrap();
    assert_eq!(output(&*link, "whoami").await, format!("{USER}\n"));
    // Whether the options of a template are secrets is the template's to say.
    assert!(!shown.secrets().contains(&PASSWORD.to_owned()));
    let lines = shown.text();
    assert!(lines.contains("Connected to SSH!") && !lines.contains(PASSWORD), "{lines}");
}

#[tokio::test]
async fn with_keys_of_every_kind_and_form() {
    require!(available());
    let server = Server::start("");
    for (name, args) in [
        ("ed25519", &["-t", "ed25519"][..]),
        ("ecdsa256", &["-t", "ecdsa", "-b", "256"]),
        ("ecdsa521", &["-t", "ecdsa", "-b", "521"]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
        ("rsa.pem", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
        ("rsa.p8", &["-t", "rsa", "-b", "2048", "-m", "PKCS8"]),
        ("ecdsa.pem", &["-t", "ecdsa", "-b", "384", "-m", "PEM"]),
        ("ecdsa.p8", &["-t", "ecdsa", "-b", "384", "-m", "PKCS8"]),
    ] {
        let key = server.key(name, args);
        let link = connect(&server, json!({ "ssh_private_key_file": key })).await;
        let link = link.unwrap_or_else(|error| panic!("{name}: {error}\n{}", server.log()));
        assert_eq!(output(&*link, "echo in").await, "in\n", "{name}");
    }
    // OpenSSH's lines have 70 letters, those of other programs 64 or 76.
    let (begin, end) = ("-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----");
    for name in ["ed25519", "rsa"] {
        let text = std::fs::read_to_string(server.path(name)).unwrap();
        let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        for width in [64, 76, body.len()] {
            let lines = body.as_bytes().chunks(width).map(String::from_utf8_lossy);
            let lines: Vec<_> = lines.collect();
            let key = server.path("wrapped");
            std::fs::write(&key, format!("{begin}\n{}\n{end}\n", lines.join("\n"))).unwrap();
            let link = connect(&server, json!({ "ssh_private_key_file": key })).await;
            let link = link.unwrap_or_else(|error| panic!("{name} {width}: {error}"));
            assert_eq!(output(&*link, "echo in").await, "in\n", "{name} {width}");
        }
    }
    // ssh-keygen does not write this form, but others do.
    let path = server.text("ed25519.p8");
    output_of("openssl", &["genpkey", "-algorithm", "ed25519", "-out", &path]);
    let der = Command::new("openssl")
        .args(["pkey", "-in", &path, "-pubout", "-outform", "DER"])
        .output()
        .unwrap()
        .stdout;
    // The last 32 bytes are the key; in front of them stands what SSH puts there.
    let blob = [b"\0\0\0\x0bssh-ed25519\0\0\0 ", &der[der.len() - 32..]].concat();
    std::fs::write(server.path("blob"), blob).unwrap();
    let public = output_of("base64", &["-w0", &server.text("blob")]);
    std::fs::write(server.path("authorized_keys"), format!("ssh-ed25519 {public}\n")).unwrap();
    let link = connect(&server, json!({ "ssh_private_key_file": path })).await.unwrap();
    assert_eq!(output(&*link, "echo in").await, "in\n");
}

#[tokio::test]
async fn with_a_key_and_a_password() {
    require!(available());
    for methods in ["publickey,password", "password,publickey"] {
        let server = Server::start(&format!("AuthenticationMethods {methods}"));
        let key = server.key("key", &["-t", "ed25519"]);
        let with =
            |password: &str| json!({ "ssh_private_key_file": key, "ssh_password": password });
        let link = connect(&server, with(PASSWORD)).await;
        let link = link.unwrap_or_else(|error| panic!("{methods}: {error}\n{}", server.log()));
        assert_eq!(output(&*link, "echo in").await, "in\n", "{methods}");
        let error = failure(options(&server, with("wrong-5d1c"))).await.to_string();
        assert!(error.ends_with("it takes password"), "{methods}: {error}");
        assert!(error.contains("the password") && !error.contains("wrong-5d1c"), "{error}");
    }
}

/// After the key that the server takes no other is tried, which it would count.
#[tokio::test]
async fn with_one_of_two_keys_and_a_password() {
    require!(available());
    let server = Server::start("AuthenticationMethods publickey,password\nMaxAuthTries 2");
    let key = server.key("key", &["-t", "ed25519"]);
    let with = options(&server, json!({ "ssh_private_key_file": key, "ssh_password": PASSWORD }));
    let pair = KeyPair::generate(KeyPairType::Ed25519, "packer_test").await.unwrap();
    let target = Target { host: "127.0.0.1".to_owned(), port: None, key_pair: Some(pair) };
    let ctx = context(&Arc::default());
    let link = prepare(with).unwrap().connect(&ctx, &target).await;
    let link = link.unwrap_or_else(|error| panic!("{error}\n{}", server.log()));
    assert_eq!(output(&*link, "echo in").await, "in\n");
}

/// One of four keys on this curve has a private number with zeros in front, which its file leaves
/// out; 20 keys are all without, and prove nothing, in one run of 300.
#[tokio::test]
async fn with_ecdsa_keys_of_every_length() {
    require!(available());
    let server = Server::start("");
    for number in 0..20 {
        let key = server.key(&format!("key{number}"), &["-t", "ecdsa", "-b", "521"]);
        let link = connect(&server, json!({ "ssh_private_key_file": key })).await.unwrap();
        assert_eq!(output(&*link, "echo in").await, "in\n");
    }
}

#[tokio::test]
async fn with_a_certificate() {
    require!(available());
    for kind in [&["-t", "ed25519"][..], &["-t", "rsa", "-b", "2048"], &["-t", "ecdsa"]] {
        let ca = tempfile::tempdir().unwrap();
        let ca_key = ca.path().join("ca").display().to_string();
        output_of("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &ca_key]);
        let server = Server::start(&format!("TrustedUserCAKeys {ca_key}.pub"));
        let key = server.stranger("key", kind);
        let public = format!("{key}.pub");
        let sign = ["-q", "-s", &ca_key, "-I", "test", "-n", USER, "-V", "-1h:+1h", &public];
        output_of("ssh-keygen", &sign);
        let certificate = format!("{key}-cert.pub");
        let with = json!({ "ssh_private_key_file": key, "ssh_certificate_file": certificate });
        let link = connect(&server, with).await;
        let link = link.unwrap_or_else(|error| panic!("{kind:?}: {error}\n{}", server.log()));
        assert_eq!(output(&*link, "echo in").await, "in\n");
    }
}

#[tokio::test]
async fn with_the_builds_own_key_which_is_removed_at_the_end() {
    require!(available());
    let server = Server::start("");
    let link = connected(&server, json!({})).await;
    for (kind, prefix) in [
        (KeyPairType::Ed25519, "ssh-ed25519 "),
        (KeyPairType::Ecdsa(256), "ecdsa-sha2-nistp256 "),
        (KeyPairType::Ecdsa(521), "ecdsa-sha2-nistp521 "),
        (KeyPairType::Rsa(2048), "ssh-rsa "),
    ] {
        let pair = KeyPair::generate(kind, "packer_test").await.unwrap();
        assert!(pair.public.starts_with(prefix) && pair.public.ends_with(" packer_test"));
        let add = format!(
            "mkdir -p .ssh && printf '%s\\n' '# kept' '{}' 'ssh-rsa AAAA other' > .ssh/authorized_keys",
            pair.public
        );
        output(&*link, &add).await;
        let with = options(&server, json!({ "ssh_clear_authorized_keys": true }));
        let settings = prepare(with).unwrap();
        let shown = Arc::<RecordedOutput>::default();
        let ctx = context(&shown);
        let host = "127.0.0.1".to_owned();
        let target = Target { host, port: None, key_pair: Some(pair.clone()) };
        let own = settings.connect(&ctx, &target).await.unwrap();
        settings.clear_authorized_keys(&ctx, &*own, &pair).await;
        let left = std::fs::read_to_string(server.path("home/.ssh/authorized_keys")).unwrap();
        assert_eq!(left, "# kept\nssh-rsa AAAA other\n");
        // What OpenSSH makes of the private key.
        let file = server.path("own");
        std::fs::write(&file, &pair.private).unwrap();
        output_of("chmod", &["600", file.to_str().unwrap()]);
        let derived = output_of("ssh-keygen", &["-y", "-f", file.to_str().unwrap()]);
        assert_eq!(derived.split(' ').nth(1), pair.public.split(' ').nth(1));
    }
}

//! Every way not to get in has its own message.

use ingot_test_support::require;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use ingot_sdk::Error;
use ingot_sdk::testing::RecordedOutput;
use serde_json::json;

use crate::harness::{connect_in, context, failure, options, prepare};
use ingot_test_support::sshd::{PASSWORD, Server, USER, available, free_port};

/// The message and the advice.
fn said(error: &Error) -> String {
    format!("{error} ({})", error.advice().unwrap_or(""))
}

#[tokio::test]
async fn nobody_is_there() {
    let options = |host: &str, port: u16| {
        json!({
            "ssh_host": host, "ssh_port": port, "ssh_username": USER,
            "ssh_password": PASSWORD, "ssh_timeout": "1s",
        })
    };
    let port = free_port();
    let refused = said(&failure(options("127.0.0.1", port)).await);
    let expected = format!(
        "no SSH connection within 1s: cannot connect to builder@127.0.0.1:{port}: the connection \
         was refused (check the port"
    );
    assert!(refused.starts_with(&expected), "{refused}");

    let unknown = said(&failure(options("nowhere.invalid", 22)).await);
    assert!(
        unknown.contains("builder@nowhere.invalid:22: there is no host of that name"),
        "{unknown}"
    );
    assert!(unknown.contains("check the name"), "{unknown}");

    // It takes connections and says nothing, like a machine that is still booting.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let begun = Instant::now();
    let timeout = said(&failure(options("127.0.0.1", port)).await);
    assert!(begun.elapsed() < Duration::from_secs(30));
    let expected =
        format!("no SSH connection within 1s: no response from builder@127.0.0.1:{port}");
    assert!(timeout.starts_with(&expected), "{timeout}");

    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut peer, _)) = other.accept() {
            let _ = std::io::Write::write_all(&mut peer, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let strange = said(&failure(options("127.0.0.1", port)).await);
    assert!(strange.contains("is not an SSH server"), "{strange}");
}

#[tokio::test]
async fn the_login_is_refused() {
    require!(available());
    let server = Server::start("");
    let port = server.port;
    let with = options(&server, json!({ "ssh_password": "wrong-5d1c" }));
    let wrong = said(&failure(with).await);
    let expected = format!("builder@127.0.0.1:{port} refused the login: tried the password");
    assert!(wrong.starts_with(&expected), "{wrong}");
    assert!(wrong.contains("check ssh_username and ssh_password"), "{wrong}");
    assert!(!wrong.contains("wrong-5d1c"));

    let key = server.stranger("stranger", &["-t", "ed25519"]);
    let wrong = said(&failure(options(&server, json!({ "ssh_private_key_file": key }))).await);
    let expected = format!("refused the login: tried {key}; it takes publickey,password");
    assert!(wrong.contains(&expected), "{wrong}");

    let keys_only = Server::start("PasswordAuthentication no\nKbdInteractiveAuthentication no");
    let with = options(&keys_only, json!({ "ssh_password": PASSWORD }));
    let wrong = said(&failure(with).await);
    assert!(wrong.contains("we have nothing it takes; it takes publickey"), "{wrong}");
}

#[tokio::test]
async fn a_refused_login_is_tried_again_as_often_as_allowed() {
    require!(available());
    let server = Server::start("");
    let more =
        json!({ "ssh_password": "wrong", "ssh_handshake_attempts": 2, "ssh_timeout": "60s" });
    let shown = std::sync::Arc::<RecordedOutput>::default();
    let connected = connect_in(&context(&shown), options(&server, more)).await;
    let error = connected.err().unwrap().to_string();
    assert!(error.starts_with("gave up after 2 attempts to log in: builder@127.0.0.1"), "{error}");
    let lines = shown.text();
    assert!(lines.contains("refused the login") && lines.contains("; trying again"), "{lines}");
}

#[tokio::test]
async fn algorithms_do_not_match() {
    require!(available());
    let server = Server::start("Ciphers aes256-ctr");
    let more = json!({
        "ssh_password": PASSWORD, "ssh_ciphers": ["aes128-ctr"], "ssh_timeout": "1s",
    });
    let error = said(&failure(options(&server, more)).await);
    assert!(
        error.contains("no algorithms in common") && error.contains("see ssh_ciphers"),
        "{error}"
    );
    let more = json!({ "ssh_password": PASSWORD, "ssh_ciphers": ["aes256-ctr"] });
    connect_in(&context(&Default::default()), options(&server, more)).await.unwrap();
}

#[tokio::test]
async fn a_bastion_that_refuses_is_an_error() {
    require!(available());
    let server = Server::start("");
    let bastion = Server::start("");
    let closed = Server::start("AllowTcpForwarding no");
    let with = |port: u16, password: &str| {
        json!({
            "ssh_password": PASSWORD, "ssh_timeout": "1s", "ssh_bastion_host": "127.0.0.1",
            "ssh_bastion_port": port, "ssh_bastion_username": USER, "ssh_bastion_password": password,
        })
    };
    let error = said(&failure(options(&server, with(bastion.port, "wrong-5d1c"))).await);
    let expected = format!("the bastion builder@127.0.0.1:{} refused the login", bastion.port);
    assert!(error.starts_with(&expected), "{error}");
    assert!(error.contains("check ssh_bastion_username and"), "{error}");
    let nobody = free_port();
    let error = said(&failure(options(&server, with(nobody, PASSWORD))).await);
    let expected = format!("cannot connect to the bastion builder@127.0.0.1:{nobody}");
    assert!(error.contains(&expected), "{error}");
    let error = said(&failure(options(&server, with(closed.port, PASSWORD))).await);
    let expected = format!(
        "the bastion builder@127.0.0.1:{} cannot connect to 127.0.0.1:{}",
        closed.port, server.port
    );
    assert!(error.contains(&expected) && error.contains("AllowTcpForwarding"), "{error}");

    let with = |port: u16| {
        json!({
            "ssh_password": PASSWORD, "ssh_timeout": "1s", "ssh_proxy_host": "127.0.0.1",
            "ssh_proxy_port": port,
        })
    };
    let error = said(&failure(options(&server, with(nobody))).await);
    let expected = format!("cannot connect to the proxy 127.0.0.1:{nobody} (ssh_proxy_host)");
    assert!(error.contains(&expected) && error.contains("refused"), "{error}");
    let error = said(&failure(options(&server, with(server.port))).await);
    assert!(error.contains("does not speak SOCKS5"), "{error}");

    let with = json!({ "ssh_password": PASSWORD, "ssh_remote_tunnels": ["8765:localhost:80"] });
    let error = said(&failure(options(&closed, with)).await);
    let expected =
        "refused to listen on port 8765 for the tunnel 8765:localhost:80 (ssh_remote_tunnels)";
    assert!(error.contains(expected) && error.contains("AllowTcpForwarding"), "{error}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let tunnel = format!("{}:localhost:80", taken.local_addr().unwrap().port());
    let with = json!({ "ssh_password": PASSWORD, "ssh_local_tunnels": [tunnel] });
    let error = said(&failure(options(&server, with)).await);
    assert!(error.contains("(ssh_local_tunnels)") && error.contains("in use"), "{error}");
}

#[tokio::test]
async fn waiting_ends_when_the_build_is_cancelled() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let options = json!({
        "ssh_host": "127.0.0.1", "ssh_port": port, "ssh_username": USER, "ssh_password": "x",
    });
    let ctx = context(&Default::default());
    let cancel = ctx.cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel();
    });
    let begun = Instant::now();
    let error = connect_in(&ctx, options).await.err().unwrap();
    assert!(error.is_cancelled() && begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn limits_of_waiting_are_packers() {
    let of = |options: serde_json::Value| {
        let mut all = json!({ "ssh_username": "u" });
        all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        let settings = prepare(all).unwrap();
        (settings.timeout.map(|timeout| timeout.as_secs()), settings.handshake_attempts)
    };
    assert_eq!(of(json!({})), (Some(300), Some(10)));
    assert_eq!(of(json!({ "ssh_timeout": "1m" })), (Some(60), None));
    assert_eq!(of(json!({ "ssh_handshake_attempts": 3 })), (None, Some(3)));
    assert_eq!(of(json!({ "ssh_timeout": "1m", "ssh_wait_timeout": "2m" })), (Some(120), None));
}

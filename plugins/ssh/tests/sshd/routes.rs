//! Ways to the machine, and ways through it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::{connect, connected, failure, options, output};
use ingot_test_support::sshd::{PASSWORD, Running, Server, USER, available, free_port, wait_for};
use ingot_test_support::{eventually_async, require};

#[tokio::test]
async fn through_a_bastion() {
    require!(available());
    let (server, mut bastion) = (Server::start(""), Server::start(""));
    let key = bastion.key("bastion", &["-t", "ed25519"]);
    let through = json!({
        "ssh_bastion_host": "localhost", "ssh_bastion_port": bastion.port,
        "ssh_bastion_username": USER, "ssh_bastion_private_key_file": key,
    });
    let link = connected(&server, through).await;
    let client = output(&*link, "echo $SSH_CONNECTION").await;
    assert!(client.contains(&format!(" {}\n", server.port)), "{client}");
    assert!(bastion.log().contains("Accepted publickey for builder"));
    let big: Vec<u8> = (0..8_000_000u32).map(|n| (n % 249) as u8).collect();
    let meta = ingot_sdk::FileMeta::new(big.len() as u64, 0o644);
    link.upload("big", &mut &*big, meta).await.unwrap();
    let mut back = Vec::new();
    link.download("big", &mut back).await.unwrap();
    assert!(back == big);
    // The bastion goes down and comes back.
    bastion.stop();
    bastion.restart();
    assert_eq!(output(&*link, "echo again").await, "again\n");

    // With the machine's own key, as nothing else is given.
    let both = server.key("both", &["-t", "ed25519"]);
    let public = std::fs::read_to_string(format!("{both}.pub")).unwrap();
    std::fs::write(bastion.path("authorized_keys"), public).unwrap();
    let through = json!({
        "ssh_private_key_file": both, "ssh_bastion_host": "localhost",
        "ssh_bastion_port": bastion.port, "ssh_bastion_username": USER,
    });
    connect(&server, through).await.unwrap();
}

#[tokio::test]
async fn through_a_proxy() {
    require!(available());
    if !std::path::Path::new("/usr/bin/microsocks").exists() {
        ingot_test_support::missing("microsocks is not installed");
        return;
    }
    let server = Server::start("");
    let proxy = |more: &[&str]| {
        let port = free_port();
        let mut command = Command::new("microsocks");
        let command = command.args(["-i", "127.0.0.1", "-p", &port.to_string()]).args(more);
        let running = Running(command.stderr(Stdio::null()).spawn().unwrap());
        wait_for(port);
        (port, running)
    };
    let (open, _open) = proxy(&[]);
    let (locked, _locked) = proxy(&["-u", "me", "-P", "proxy-secret-77"]);
    for (port, more) in [
        (open, json!({})),
        (locked, json!({ "ssh_proxy_username": "me", "ssh_proxy_password": "proxy-secret-77" })),
    ] {
        let mut with = json!({ "ssh_proxy_host": "localhost", "ssh_proxy_port": port });
        with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let link = connected(&server, with).await;
        assert_eq!(output(&*link, "echo in").await, "in\n");
    }
    let with = json!({
        "ssh_password": PASSWORD, "ssh_proxy_host": "localhost", "ssh_proxy_port": locked,
        "ssh_proxy_username": "me", "ssh_proxy_password": "wrong",
    });
    let error = failure(options(&server, with)).await;
    assert!(error.to_string().contains("does not let us in"), "{error}");
    assert!(error.advice().unwrap().contains("ssh_proxy_password"));
    let with = json!({
        "ssh_password": PASSWORD, "ssh_proxy_host": "localhost", "ssh_proxy_port": open,
        "ssh_port": free_port(), "ssh_timeout": "1s",
    });
    let error = failure(options(&server, with)).await.to_string();
    assert!(error.contains("(ssh_proxy_host) cannot connect to builder@127.0.0.1"), "{error}");
}

/// A service that answers what it reads, in capitals.
fn shouting() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut peer, _)) = listener.accept() {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                let _ = peer.read_to_end(&mut text);
                let _ = peer.write_all(&text.to_ascii_uppercase());
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn tunnels_both_ways() {
    require!(available());
    let mut server = Server::start("");
    let (service, there, here, nowhere) = (shouting(), free_port(), free_port(), free_port());
    let link = connected(
        &server,
        json!({
            "ssh_remote_tunnels": [format!("{there}:127.0.0.1:{service}")],
            "ssh_local_tunnels": [
                format!("{here}:127.0.0.1:{service}"), format!("{nowhere}:127.0.0.1:1"),
            ],
        }),
    )
    .await;
    let from_there = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{there}; echo hello there >&3; \
         python3 -c 'import socket; socket.socket(fileno=3).shutdown(1)'; cat <&3"
    );
    let ask_here = move || {
        let mut peer = TcpStream::connect(("127.0.0.1", here)).unwrap();
        let text = "hello here ".repeat(200_000);
        let mut writer = peer.try_clone().unwrap();
        let sent = text.clone();
        let writing = std::thread::spawn(move || {
            writer.write_all(sent.as_bytes()).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut answer = String::new();
        peer.read_to_string(&mut answer).unwrap();
        writing.join().unwrap();
        assert!(answer == text.to_uppercase());
    };
    for _ in 0..2 {
        assert_eq!(output(&*link, &from_there).await, "HELLO THERE\n");
        // While a command runs, too.
        let running = output(&*link, "sleep 1; echo done");
        let (done, asked) = tokio::join!(running, tokio::task::spawn_blocking(ask_here));
        assert_eq!(done, "done\n");
        asked.unwrap();
    }
    let mut peer = TcpStream::connect(("localhost", nowhere)).unwrap();
    assert_eq!(
        peer.read(&mut [0]).unwrap_or(0),
        0,
        "a target that is not there ends the connection"
    );
    // They come back with the connection.
    server.stop();
    server.restart();
    assert_eq!(output(&*link, "echo again").await, "again\n");
    assert_eq!(output(&*link, &from_there).await, "HELLO THERE\n");
    tokio::task::spawn_blocking(ask_here).await.unwrap();
    drop(link);
    eventually_async("a tunnel ends with its connection", async || {
        TcpStream::connect(("localhost", here)).is_err()
    })
    .await;
}

//! Connections to the database that stay open and fall silent, as behind a firewall that has forgotten
//! them, or where an address has moved to another machine.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::webhooks::{Ear, listen};
use ingot_test_support::postgres::Postgres;
use ingot_test_support::registry_server::Server;
use ingot_test_support::{eventually_async, ingot_with, require};

/// A way to a server of PostgreSQL.
struct Way {
    port: u16,
    silenced: watch::Sender<u32>,
}

impl Way {
    async fn to(port: u16) -> Way {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let way = Way {
            port: listener.local_addr().expect("an address").port(),
            silenced: watch::Sender::new(0),
        };
        let silenced = way.silenced.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, port, silenced.subscribe()));
            }
        });
        way
    }

    /// Makes the connections that there are silent. New ones are not.
    fn silence(&self) {
        self.silenced.send_modify(|times| *times += 1);
    }
}

/// Passes on what comes, until nothing passes any more.
async fn pass_on(mut client: TcpStream, port: u16, mut silenced: watch::Receiver<u32>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let is_silenced = tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => false,
        changed = silenced.changed() => changed.is_ok(),
    };
    if is_silenced {
        // Both stay open.
        std::future::pending::<()>().await;
    }
    drop((client, server));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_does_by_itself_goes_on() {
    let postgres = require!(Postgres::start());
    let way = Way::to(postgres.port()).await;
    let dir = tempfile::tempdir().expect("a directory");
    let url = format!("postgres://ingot@127.0.0.1:{}/postgres", way.port);
    let server = Server::start(dir.path(), &["-rate-limit=0", "-database-url", &url]);
    let admin = server.admin().await;
    let ear = Ear::default();
    let hook = listen(Arc::clone(&ear)).await;
    let (create, events) = (["registry", "webhook", "create"], ["-events", "version.revoked"]);
    let database = postgres.url();
    let args = [&create[..], &[hook.as_str()], &events, &["-database-url", &database]].concat();
    let env = [("INGOT_DATA_DIR", dir.path().to_str().expect("a plain name"))];
    let run = ingot_with(dir.path(), &args, &env);
    assert_eq!(run.code, Some(0), "{}", run.stderr);

    admin.put("/buckets", json!({ "name": "b" })).await;
    for print in ["one", "two"] {
        admin.publish("b", print, None).await;
    }
    let body = json!({ "name": "production", "version_fingerprint": "one" });
    admin.post("/buckets/b/channels", body).await;
    let channel = "/buckets/b/channels/production";
    let body = json!({ "version_fingerprint": "two", "update_mask": "versionFingerprint" });
    admin.patch(channel, body).await;
    admin.patch("/buckets/b/versions/two", json!({ "revoke_in": "2s" })).await;

    way.silence();
    eventually_async("the version is revoked, and that is delivered", async || {
        // Requests may find that the database does not respond, but not for long.
        let (status, answer) = admin.call(Method::GET, channel, Value::Null).await;
        assert!(status == 200 || status == 503, "{status} {answer}");
        let is_back = answer["channel"]["version"]["fingerprint"] == "one";
        let is_delivered = !ear.lock().expect("it").taken.is_empty();
        if is_back && is_delivered { Ok(()) } else { Err(answer) }
    })
    .await;
    let response = server.client().get(format!("{}/readyz", server.url())).send().await;
    assert_eq!(response.expect("the server answers").status(), 200);
}

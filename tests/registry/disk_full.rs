//! A SQLite server whose disk is full, again and again: what it acknowledges holds, and nobody
//! reads what was true before.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::soak;
use ingot_test_support::disk::Disk;
use ingot_test_support::registry_server::{Caller, Server};
use ingot_test_support::{eventually_async, ingot_with, require};

/// How often everything is read after a change was acknowledged.
const READS: usize = 500;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_holds_after_a_full_disk() {
    let disk = require!(Disk::mount(6));
    let data = disk.path().join("data");
    let server = Server::start(&data, &["-rate-limit=0"]);
    let admin = server.admin().await;
    admin.put("/buckets", json!({ "name": "b" })).await;
    admin.post("/buckets/b/versions", json!({ "fingerprint": "open" })).await;
    let cycles = soak::rounds(3);
    let mut refused = 0;
    for cycle in 0..cycles {
        let print = format!("f{cycle}");
        admin.publish("b", &print, None).await;
        let (id, secret) = server.principal(&[&format!("p{cycle}"), "-role", "viewer"]);
        let leaver = server.sign_in(&id, &secret).await;
        assert_eq!(leaver.call(Method::GET, "/buckets/b", Value::Null).await.0, 200);

        disk.fill();
        refused += write_until_full(&admin, cycle).await;
        let full = health(&server, "/readyz", 503).await;
        assert!(full.contains("disk is full"), "{full}");
        // A restart would not help it.
        health(&server, "/healthz", 200).await;
        disk.free();
        health(&server, "/readyz", 200).await;

        let body = json!({ "revoke_in": "0s", "revocation_message": "now" });
        admin.patch(&format!("/buckets/b/versions/{print}"), body).await;
        let path = format!("/buckets/b/versions/{print}");
        let stale = many(&admin, &path, |status, answer| {
            status == 200 && answer["version"]["status"] == "VERSION_REVOKED"
        });
        assert_eq!(stale.await, 0, "cycle {cycle}: of {READS} reads saw it before its revocation");

        let args = ["registry", "principal", "delete", &id];
        let env = [("INGOT_DATA_DIR", data.to_str().expect("a plain name"))];
        let run = ingot_with(&data, &args, &env);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        let let_in = many(&leaver, "/buckets/b", |status, _| status == 401).await;
        assert_eq!(
            let_in, 0,
            "cycle {cycle}: of {READS} requests of a removed principal went well"
        );
    }
    assert!(refused >= cycles, "the disk was never full: {refused} writes were refused");
}

/// What a path of the server's health says once it answers with a status.
async fn health(server: &Server, path: &str, status: u16) -> String {
    let client = server.client();
    eventually_async(format!("{path} is {status}"), async || {
        let response = client.get(format!("{}{path}", server.url())).send().await;
        let response = response.expect("the server answers");
        let found = response.status().as_u16();
        let reported = response.text().await.expect("an answer");
        if found == status { Ok(reported) } else { Err(format!("{found}: {reported}")) }
    })
    .await
}

/// Writes more than there is room for, from many sides at once; how many were refused. Every one is
/// done or refused with a message that says why.
async fn write_until_full(admin: &Caller, cycle: usize) -> usize {
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let admin = admin.clone();
        writers.spawn(async move {
            let mut refused = 0;
            for round in 0..4 {
                let labels: Value =
                    (0..90).map(|label| (format!("l{label}"), json!("x".repeat(1000)))).collect();
                let body = json!({
                    "component_type": format!("docker.{cycle}-{writer}-{round}"),
                    "labels": labels,
                });
                let path = "/buckets/b/versions/open/builds";
                let (status, answer) = admin.call(Method::POST, path, body).await;
                match status {
                    200 => {}
                    503 => {
                        let message = answer["message"].as_str().unwrap_or_default();
                        assert!(message.contains("disk is full"), "{answer}");
                        refused += 1;
                    }
                    _ => panic!("{status} {answer}"),
                }
                // Reads go on.
                assert_eq!(admin.call(Method::GET, "/buckets/b", Value::Null).await.0, 200);
            }
            refused
        });
    }
    writers.join_all().await.into_iter().sum()
}

/// Reads a path many times, from many sides at once; how often what came was not right.
async fn many(caller: &Caller, path: &str, right: fn(u16, &Value) -> bool) -> usize {
    let mut readers = JoinSet::new();
    for _ in 0..20 {
        let (caller, path) = (caller.clone(), path.to_owned());
        readers.spawn(async move {
            let mut wrong = 0;
            for _ in 0..READS / 20 {
                let (status, answer) = caller.call(Method::GET, &path, Value::Null).await;
                wrong += usize::from(!right(status, &answer));
            }
            wrong
        });
    }
    readers.join_all().await.into_iter().sum()
}

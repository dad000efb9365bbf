//! What happens to a server happens in the middle of its work: it is killed, stopped, its database
//! restarts or hangs. What it acknowledged is there afterwards, and what it could not do it says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::soak;
use ingot_test_support::postgres::Postgres;
use ingot_test_support::registry_server::{Caller, Server};
use ingot_test_support::{eventually_async, ingot_with, require};

/// How many write at the same time.
const WRITERS: usize = 8;

/// Creates buckets until told to stop or the server is gone; the names of those acknowledged.
pub(crate) fn write(admin: &Caller, name: &str, stop: &Arc<AtomicBool>) -> JoinSet<Vec<String>> {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (admin, stop, name) = (admin.clone(), Arc::clone(stop), name.to_owned());
        writers.spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0.. {
                let bucket = format!("{name}-{writer}-{number}");
                let request = admin
                    .client
                    .put(format!("{}{}/buckets", admin.url, admin.root))
                    .bearer_auth(&admin.token)
                    .body(json!({ "name": bucket }).to_string());
                match request.send().await {
                    Ok(response) if response.status() == 200 => acknowledged.push(bucket),
                    Ok(response) => assert_eq!(response.status(), 503, "{bucket}"),
                    Err(_) => break,
                }
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            acknowledged
        });
    }
    writers
}

/// The names of all buckets.
pub(crate) async fn names(admin: &Caller) -> Vec<String> {
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("/buckets?pagination.next_page_token={token}")).await;
        let buckets = page["buckets"].as_array().expect("a list");
        names.extend(buckets.iter().map(|it| it["name"].as_str().expect("a name").to_owned()));
        token = page["pagination"]["next_page_token"].as_str().expect("a string").to_owned();
        if token.is_empty() {
            return names;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_kill_and_after_a_stop() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut acknowledged = Vec::new();
    let first = Server::start(dir.path(), &["-rate-limit=0"]);
    let (id, secret) = (first.env["HCP_CLIENT_ID"].clone(), first.env["HCP_CLIENT_SECRET"].clone());
    drop(first);
    for round in 0..soak::rounds(2) {
        for stop in ["kill", "stop"] {
            let mut server = Server::start(dir.path(), &["-rate-limit=0"]);
            let admin = server.sign_in(&id, &secret).await;
            let name = format!("{stop}{round}");
            let writers = write(&admin, &name, &Arc::default());
            // Who writes a second one was told of the first.
            eventually_async("buckets are written", async || {
                let names = names(&admin).await;
                names.iter().filter(|bucket| bucket.starts_with(&name)).count() > WRITERS
            })
            .await;
            match stop {
                "kill" => server.kill(),
                _ => {
                    let start = Instant::now();
                    let code = tokio::task::block_in_place(|| server.stop());
                    assert_eq!(code, Some(0), "after SIGTERM");
                    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
                }
            }
            let created: Vec<String> = writers.join_all().await.into_iter().flatten().collect();
            assert!(!created.is_empty(), "nothing was written before the {stop}");
            acknowledged.extend(created);
        }
    }
    let server = Server::start(dir.path(), &["-rate-limit=0"]);
    let there = names(&server.sign_in(&id, &secret).await).await;
    for name in &acknowledged {
        assert!(there.contains(name), "{name} was acknowledged and is not there");
    }
}

/// Sends a request without a token: the status, how long it took, and the `Retry-After` header.
async fn look(server: &Server, path: &str) -> (u16, Duration, Option<String>) {
    let start = Instant::now();
    let response = server.client().get(format!("{}{path}", server.url())).send().await;
    let response = response.expect("the server answers");
    let retry = response.headers().get("retry-after").map(|it| it.to_str().expect("ASCII").into());
    (response.status().as_u16(), start.elapsed(), retry)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_restarts_or_hangs() {
    let mut postgres = require!(Postgres::start());
    let dir = tempfile::tempdir().expect("a directory");
    let args = ["-rate-limit=0", "-database-url", &postgres.url()];
    let mut server = Server::start(dir.path(), &args);
    let admin = server.admin().await;
    admin.put("/buckets", json!({ "name": "b" })).await;
    for _ in 0..soak::rounds(2) {
        // Many connections to the database are there, and gone with its restart. Nobody notices.
        assert_eq!(many(&admin).await, [200; 60]);
        tokio::task::block_in_place(|| {
            postgres.stop();
            postgres.start_again();
        });
        assert_eq!(many(&admin).await, [200; 60]);
    }
    tokio::task::block_in_place(|| postgres.stop());
    // None waits as long as a request may wait for the database.
    let at_once = Duration::from_secs(4);
    let (status, took, _) = look(&server, "/healthz").await;
    assert!(status == 200 && took < at_once, "{status} {took:?}");
    let (status, took, retry) = look(&server, "/readyz").await;
    assert!(status == 503 && took < at_once, "{status} {took:?}");
    assert!(retry.is_some());
    // What alerts are made of is there when they are needed.
    let (status, took, _) = look(&server, "/metrics").await;
    assert!(status == 200 && took < at_once, "{status} {took:?}");
    let (status, answer) = admin.call(Method::GET, "/buckets/b", Value::Null).await;
    assert_eq!((status, &answer["code"]), (503, &json!(14)), "{answer}");
    tokio::task::block_in_place(|| postgres.start_again());
    assert_eq!(many(&admin).await, [200; 60]);
    assert_eq!(look(&server, "/readyz").await.0, 200);

    // A database that can only be read is of no use to who publishes.
    postgres.query("ALTER SYSTEM SET default_transaction_read_only = on");
    postgres.query("SELECT pg_reload_conf()");
    eventually_async("it is not ready", async || look(&server, "/readyz").await.0 == 503).await;
    let (status, answer) = admin.call(Method::PUT, "/buckets", json!({ "name": "no" })).await;
    assert_eq!(status, 503, "{answer}");
    assert!(answer["message"].as_str().expect("why").contains("only be read"), "{answer}");
    assert_eq!(admin.call(Method::GET, "/buckets/b", Value::Null).await.0, 200);

    // One that hangs does not keep the server from stopping.
    postgres.signal_all("STOP");
    let hanging = tokio::spawn(async move { many(&admin).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    ingot_test_support::signal("TERM", server.pid());
    let start = Instant::now();
    eventually_async("SIGTERM ends the server", async || server.has_ended()).await;
    assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
    hanging.abort();
    postgres.signal_all("CONT");
}

/// Sixty requests at once: their statuses.
async fn many(admin: &Caller) -> Vec<u16> {
    let mut requests = JoinSet::new();
    for _ in 0..60 {
        let admin = admin.clone();
        requests.spawn(async move { admin.call(Method::GET, "/buckets/b", Value::Null).await.0 });
    }
    requests.join_all().await
}

/// A database whose disk or standby hangs does so at the end of a change.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_given_up_may_have_been_carried_out() {
    let postgres = require!(Postgres::start());
    let dir = tempfile::tempdir().expect("a directory");
    let args = ["-rate-limit=0", "-request-timeout=1", "-database-url", &postgres.url()];
    let server = Server::start(dir.path(), &args);
    let admin = server.admin().await;
    postgres.query(
        "CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql \
         AS 'BEGIN PERFORM pg_sleep(3); RETURN NULL; END'",
    );
    postgres.query(
        "CREATE CONSTRAINT TRIGGER hang AFTER INSERT ON buckets DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION hang()",
    );
    let (status, answer) = admin.call(Method::PUT, "/buckets", json!({ "name": "slow" })).await;
    assert_eq!(status, 503, "{answer}");
    assert_eq!(answer["details"][0]["reason"], "PERHAPS_DONE", "{answer}");
    assert!(!answer["message"].as_str().expect("why").contains("nothing"), "{answer}");
    // Who repeats it finds what it has created itself.
    let env: Vec<_> = server.env.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect();
    let run = tokio::task::block_in_place(|| {
        ingot_with(dir.path(), &["registry", "buckets", "create", "slow2"], &env)
    });
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert_eq!(admin.call(Method::GET, "/buckets/slow2", Value::Null).await.0, 200);
}

/// What a server leaves running in the database, or a lock that it holds when it is gone, ends there.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_has_limits_in_the_database() {
    let postgres = require!(Postgres::start());
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["-rate-limit=0", "-database-url", &postgres.url()]);
    let admin = server.admin().await;
    postgres.query("CREATE TABLE limits (name TEXT, value TEXT)");
    postgres.query(
        "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN \
         INSERT INTO limits SELECT name, current_setting(name) FROM pg_settings WHERE name IN \
         (''statement_timeout'', ''lock_timeout'', ''idle_in_transaction_session_timeout''); \
         RETURN NULL; END'",
    );
    postgres
        .query("CREATE TRIGGER look AFTER INSERT ON buckets FOR EACH ROW EXECUTE FUNCTION look()");
    admin.put("/buckets", json!({ "name": "b" })).await;
    let limits = postgres.query("SELECT name || ' ' || value FROM limits ORDER BY name");
    let wanted = ["idle_in_transaction_session_timeout 1min", "lock_timeout 20s"];
    assert_eq!(limits, format!("{}\nstatement_timeout 30s", wanted.join("\n")));
}

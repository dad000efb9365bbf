//! Several servers on one database under concurrent publishers, one of them killed in the middle:
//! nothing is lost and nothing is there twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::soak;
use ingot_test_support::postgres::Postgres;
use ingot_test_support::registry_server::{Caller, Server};
use ingot_test_support::{eventually_async, require};

const BUCKETS: usize = 3;
const PUBLISHERS: usize = 8;

/// How many versions of a bucket each publisher makes. A page of a channel's history holds 1,000.
fn each() -> usize {
    soak::rounds(6).min(120)
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let postgres = require!(Postgres::start());
    let url = postgres.url();
    let args = ["-rate-limit=0", "-database-url", &url];
    let (one, two) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("one"));
    let first = Server::start(one.path(), &args);
    let second = Server::start(two.path(), &args);
    storm(first, second).await;
    // Asked of the database itself.
    let doubled = "SELECT count(*) FROM (SELECT bucket_id, number FROM versions \
                   GROUP BY 1, 2 HAVING count(*) > 1) x";
    assert_eq!(postgres.query(doubled), "0");
    let total = BUCKETS * PUBLISHERS * each();
    let complete = "SELECT count(*) FROM versions WHERE number IS NOT NULL";
    assert_eq!(postgres.query(complete), total.to_string());
    assert_eq!(postgres.query("SELECT count(*) FROM builds"), (2 * total).to_string());
    assert_eq!(postgres.query("SELECT count(*) FROM artifacts"), (2 * total).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn on_one_sqlite_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = Server::start(dir.path(), &["-rate-limit=0"]);
    let second = Server::start(dir.path(), &["-rate-limit=0"]);
    storm(first, second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_revocation_happens_once() {
    let postgres = require!(Postgres::start());
    let url = postgres.url();
    let args = ["-rate-limit=0", "-database-url", &url];
    let dir = tempfile::tempdir().expect("a directory");
    let first = Server::start(dir.path(), &args);
    let mut second = Server::start(dir.path(), &args);
    let third = Server::start(dir.path(), &args);
    let admin = first.admin().await;
    let names: Vec<String> = (0..20).map(|number| format!("s{number}")).collect();
    for name in &names {
        admin.put("/buckets", json!({ "name": name })).await;
        for print in ["one", "two"] {
            admin.publish(name, print, None).await;
        }
    }
    for name in &names {
        let body = json!({ "revoke_in": "4s" });
        admin.patch(&format!("/buckets/{name}/versions/two"), body).await;
    }
    // Whoever scheduled it may be gone when its time comes.
    second.kill();
    let revoked = "SELECT count(*) FROM versions WHERE revoked = 1";
    eventually_async("all are revoked", async || match postgres.query(revoked) {
        count if count == "20" => Ok(()),
        count => Err(count),
    })
    .await;
    // The other server has looked for what is due once more.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    for name in &names {
        let history = admin.get(&format!("/buckets/{name}/channels/latest/history")).await;
        // one, two, and back to one: each once.
        assert_eq!(history["count"], 3, "{history}");
        assert_eq!(history["history"][0]["version"]["fingerprint"], "one");
    }
    drop((first, third));
    assert_eq!(postgres.query(revoked), "20");
}

/// Many publish through both servers; the second one is killed when a third of it is done.
async fn storm(first: Server, mut second: Server) {
    let here = first.admin().await;
    let mut there = here.clone();
    // The token of one server is good at the other.
    (there.url, there.client) = (second.url(), second.client());
    for bucket in 0..BUCKETS {
        here.put("/buckets", json!({ "name": format!("b{bucket}") })).await;
        let body = json!({ "name": "moving" });
        here.post(&format!("/buckets/b{bucket}/channels"), body).await;
    }
    let done = Arc::new(AtomicUsize::new(0));
    let mut publishers = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        // Each publisher's two machines build for the same versions at the same time.
        for machine in 0..2 {
            let callers = match (publisher + machine) % 2 {
                0 => [here.clone(), there.clone()],
                _ => [there.clone(), here.clone()],
            };
            let done = Arc::clone(&done);
            publishers.spawn(async move {
                for number in 0..each() {
                    for bucket in 0..BUCKETS {
                        let print = format!("p{publisher}-{number}");
                        publish(&callers, &format!("b{bucket}"), &print, machine).await;
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    }
    let total = 2 * BUCKETS * PUBLISHERS * each();
    while done.load(Ordering::Relaxed) < total / 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    second.kill();
    while let Some(result) = publishers.join_next().await {
        result.expect("a publisher ends well");
    }

    for bucket in 0..BUCKETS {
        let path = format!("/buckets/b{bucket}");
        let (mut versions, mut token) = (Vec::new(), String::new());
        loop {
            let query = format!("pagination.page_size=100&pagination.next_page_token={token}");
            let page = here.get(&format!("{path}/versions?{query}")).await;
            versions.extend(page["versions"].as_array().expect("a list").clone());
            token = page["pagination"]["next_page_token"].as_str().expect("text").to_owned();
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(versions.len(), PUBLISHERS * each());
        let mut numbers: Vec<usize> = versions
            .iter()
            .map(|version| {
                let builds = version["builds"].as_array().expect("builds");
                assert_eq!(builds.len(), 2, "{version}");
                for build in builds {
                    assert_eq!(build["status"], "BUILD_DONE", "{version}");
                    assert_eq!(build["artifacts"].as_array().map(Vec::len), Some(1), "{version}");
                }
                let name = version["name"].as_str().expect("a name");
                name.trim_start_matches('v').parse().expect("a number")
            })
            .collect();
        numbers.sort_unstable();
        let wanted: Vec<usize> = (1..=PUBLISHERS * each()).collect();
        assert_eq!(numbers, wanted, "every number once, without a gap");
        let latest = here.get(&format!("{path}/channels/latest")).await;
        let newest = format!("v{}", PUBLISHERS * each());
        assert_eq!(latest["channel"]["version"]["name"], json!(newest));
        // The managed channel was moved once for each version, up and never back.
        let query = "pagination.page_size=1000";
        let history = here.get(&format!("{path}/channels/latest/history?{query}")).await;
        let names: Vec<&str> = history["history"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|it| it["version"]["name"].as_str().expect("a name"))
            .collect();
        let wanted: Vec<String> =
            (1..=PUBLISHERS * each()).rev().map(|it| format!("v{it}")).collect();
        assert_eq!(names, wanted);
        let moving = here.get(&format!("{path}/channels/moving/history?{query}")).await;
        let count = moving["history"].as_array().expect("a list").len();
        assert_eq!(json!(count), moving["count"]);
        assert!(count > 0);
    }
}

/// What a machine of CI does: it opens or finds the version, makes its build known, and ends it.
/// Whatever was not answered is asked again, at the other server.
async fn publish(callers: &[Caller; 2], bucket: &str, print: &str, machine: usize) {
    let path = format!("/buckets/{bucket}/versions");
    let body = json!({ "fingerprint": print, "template_type": "HCL2" });
    insist(callers, Method::POST, &path, body, &[200, 409]).await;
    // Both builds are made known before either ends, as Packer does.
    for component in 0..2 {
        let body = json!({ "component_type": format!("docker.m{component}") });
        insist(callers, Method::POST, &format!("{path}/{print}/builds"), body, &[200, 409, 400])
            .await;
    }
    let list =
        insist(callers, Method::GET, &format!("{path}/{print}/builds"), Value::Null, &[200]).await;
    let component = format!("docker.m{machine}");
    let builds = list["builds"].as_array().expect("builds");
    let build = builds.iter().find(|build| build["component_type"] == json!(component));
    let id = build.expect("the build is known")["id"].as_str().expect("an id").to_owned();
    let path = format!("{path}/{print}/builds/{id}");
    insist(callers, Method::PATCH, &path, json!({ "status": "BUILD_RUNNING" }), &[200]).await;
    let image = format!("sha256:{bucket}-{print}-{machine}");
    let body = json!({
        "status": "BUILD_DONE",
        "platform": "docker",
        "artifacts": [{ "external_identifier": image, "region": "docker" }],
    });
    let build = insist(callers, Method::PATCH, &path, body, &[200]).await;
    assert_eq!(build["build"]["status"], "BUILD_DONE");
    let body = json!({ "version_fingerprint": print, "update_mask": "versionFingerprint" });
    let path = format!("/buckets/{bucket}/channels/moving");
    // The last of the two finds it complete.
    insist(callers, Method::PATCH, &path, body, &[200, 400]).await;
}

async fn insist(
    callers: &[Caller; 2],
    method: Method,
    path: &str,
    body: Value,
    fine: &[u16],
) -> Value {
    for attempt in 0..20 {
        let caller = &callers[attempt % 2];
        let mut request = caller
            .client
            .request(method.clone(), format!("{}{}{path}", caller.url, caller.root))
            .bearer_auth(&caller.token);
        if method != Method::GET {
            request = request.json_body(&body);
        }
        if let Ok(response) = request.send().await {
            let status = response.status().as_u16();
            let Ok(text) = response.text().await else { continue };
            let text: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
            if fine.contains(&status) {
                return text;
            }
            assert!(status >= 500, "{method} {path}: {status} {text}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{method} {path}: no server answers");
}

/// reqwest's own needs a feature that nothing else here does.
trait JsonBody {
    fn json_body(self, body: &Value) -> Self;
}

impl JsonBody for reqwest::RequestBuilder {
    fn json_body(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }
}

//! The registry's rules, the same on both databases.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use ingot_test_support::postgres::Postgres;
use ingot_test_support::registry_server::{Caller, Server};
use ingot_test_support::{eventually_async, require};

async fn all(server: &Server, database: &[&str]) {
    let admin = server.admin().await;
    versions_are_numbered_when_they_are_complete(&admin).await;
    channels_and_their_history(&admin).await;
    ancestry_and_revocation(&admin).await;
    a_scheduled_revocation_is_carried_out(&admin).await;
    lists_go_on(&admin).await;
    older_and_odd_requests(&admin).await;
    who_reads_a_managed_channel_is_set(server, &admin, database).await;
    a_version_without_builds_says_so(&admin).await;
    a_version_is_removed_from_its_channels(&admin).await;
    operations_are_done(&admin).await;
}

async fn a_version_is_removed_from_its_channels(admin: &Caller) {
    admin.put("/buckets", json!({ "name": "gone" })).await;
    let channels = "/buckets/gone/channels";
    for channel in ["stable", "new"] {
        admin.post(channels, json!({ "name": channel })).await;
    }
    for (print, assigned) in [("f1", &["stable"][..]), ("f2", &["stable", "new"])] {
        admin.publish("gone", print, None).await;
        for channel in assigned {
            let body = json!({ "update_mask": "versionFingerprint", "version_fingerprint": print });
            admin.patch(&format!("{channels}/{channel}"), body).await;
        }
    }
    let version = "/buckets/gone/versions/f2";
    assert_eq!(admin.call(Method::DELETE, version, Value::Null).await.0, 400);
    for (query, status) in [("rollback_channels=false", 400), ("rollback_channels=true", 200)] {
        let path = format!("{version}?{query}");
        assert_eq!(admin.call(Method::DELETE, &path, Value::Null).await.0, status, "{query}");
    }
    let at = async |channel: &str| {
        let channel = admin.get(&format!("{channels}/{channel}")).await["channel"].clone();
        channel["version"]["fingerprint"].clone()
    };
    assert_eq!((at("stable").await, at("latest").await), (json!("f1"), json!("f1")));
    assert_eq!(at("new").await, Value::Null);
    assert_eq!(admin.call(Method::GET, version, Value::Null).await.0, 409);
}

/// As the provider's tests do, which wait for a revocation.
async fn operations_are_done(admin: &Caller) {
    admin.put("/buckets", json!({ "name": "done" })).await;
    admin.publish("done", "f1", None).await;
    let answer = admin.patch("/buckets/done/versions/f1", json!({ "revoke_in": "0s" })).await;
    let operation = &answer["operation"];
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let place = |location: &Value| {
        let (organization, project) = (&location["organization_id"], &location["project_id"]);
        format!("organizations/{}/projects/{}", text(organization), text(project))
    };
    let path = format!(
        "/operation/2020-05-05/{}/operations/{}",
        place(&operation["location"]),
        text(&operation["id"])
    );
    for path in [path.clone(), format!("{path}/wait?timeout=5s")] {
        let (status, answer) = admin.send(Method::GET, &path, Vec::new()).await;
        assert_eq!((status, &answer["operation"]["state"]), (200, &json!("DONE")), "{answer}");
        assert_eq!(answer["operation"]["id"], operation["id"]);
        let elsewhere = path.replace("/projects/", "/projects/0");
        assert_eq!(admin.send(Method::GET, &elsewhere, Vec::new()).await.0, 403);
    }
    let none = path.replace(&text(&operation["id"]), "none");
    assert_eq!(admin.send(Method::GET, &none, Vec::new()).await.0, 404);
}

/// As Terraform's provider does, which adopts `latest`.
async fn who_reads_a_managed_channel_is_set(server: &Server, admin: &Caller, database: &[&str]) {
    admin.put("/buckets", json!({ "name": "managed" })).await;
    admin.publish("managed", "f1", None).await;
    let path = "/buckets/managed/channels";
    let (status, answer) = admin.call(Method::POST, path, json!({ "name": "latest" })).await;
    assert_eq!((status, &answer["code"]), (409, &json!(6)), "{answer}");
    let latest = format!("{path}/latest");
    for restricted in [true, false, true] {
        let body = json!({ "update_mask": "restricted", "restricted": restricted });
        let channel = admin.patch(&latest, body).await["channel"].clone();
        assert_eq!(
            (&channel["managed"], &channel["restricted"]),
            (&json!(true), &restricted.into())
        );
        assert_eq!(channel["version"]["fingerprint"], "f1", "it points where it pointed");
    }
    let (id, secret) = server.principal(&[&["reader", "-role=viewer"], database].concat());
    let viewer = server.sign_in(&id, &secret).await;
    assert_eq!(viewer.call(Method::GET, &latest, Value::Null).await.0, 403);
    // What it points at is the registry's, and so is that it is there.
    for mask in ["versionFingerprint", "restricted,versionFingerprint"] {
        let body = json!({ "update_mask": mask, "version_fingerprint": "", "restricted": false });
        let (status, answer) = admin.call(Method::PATCH, &latest, body).await;
        assert_eq!((status, &answer["code"]), (400, &json!(9)), "{answer}");
    }
    assert_eq!(admin.call(Method::DELETE, &latest, Value::Null).await.0, 400);
    admin.publish("managed", "f2", None).await;
    let channel = admin.get(&latest).await["channel"].clone();
    assert_eq!(
        (&channel["version"]["fingerprint"], &channel["restricted"]),
        (&json!("f2"), &json!(true))
    );
}

async fn a_version_without_builds_says_so(admin: &Caller) {
    admin.put("/buckets", json!({ "name": "bare" })).await;
    admin.post("/buckets/bare/versions", json!({ "fingerprint": "f" })).await;
    let complete = json!({ "complete": true });
    let path = "/buckets/bare/versions/f";
    let (status, answer) = admin.call(Method::PATCH, path, complete.clone()).await;
    let message = answer["message"].as_str().expect("a message");
    assert!(status == 400 && message.contains("it has no builds"), "{answer}");
    admin.post(&format!("{path}/builds"), json!({ "component_type": "docker.a" })).await;
    let (_, answer) = admin.call(Method::PATCH, path, complete).await;
    let message = answer["message"].as_str().expect("a message");
    assert!(message.contains("not all of its builds are done"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite() {
    let dir = tempfile::tempdir().expect("a directory");
    all(&Server::start(dir.path(), &["-rate-limit=0"]), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let postgres = require!(Postgres::start());
    let dir = tempfile::tempdir().expect("a directory");
    let url = postgres.url();
    let args = ["-rate-limit=0", "-database-url", &url];
    all(&Server::start(dir.path(), &args), &args[1..]).await;
}

fn id(value: &Value) -> &str {
    value["id"].as_str().expect("an id")
}

async fn versions_are_numbered_when_they_are_complete(admin: &Caller) {
    let created = admin.put("/buckets", json!({ "name": "num", "labels": { "a": "b" } })).await;
    assert_eq!(created["bucket"]["labels"], json!({ "a": "b" }));
    let (status, answer) = admin.call(Method::PUT, "/buckets", json!({ "name": "num" })).await;
    assert_eq!((status, &answer["code"]), (409, &json!(6)), "{answer}");
    let path = "/buckets/num/versions";
    // Packer opens a version when it hears this code, and no other.
    let (status, answer) = admin.call(Method::GET, &format!("{path}/f1"), Value::Null).await;
    assert_eq!((status, &answer["code"]), (409, &json!(10)), "{answer}");
    let (status, _) = admin.call(Method::GET, "/buckets/none/versions/f1", Value::Null).await;
    assert_eq!(status, 404);

    let body = json!({ "fingerprint": "f1", "template_type": "HCL2" });
    let version = admin.post(path, body.clone()).await;
    assert_eq!(version["version"]["name"], "v0");
    assert_eq!(version["version"]["status"], "VERSION_INCOMPLETE");
    assert_eq!(admin.call(Method::POST, path, body).await.0, 409);
    let builds = format!("{path}/f1/builds");
    let mut ids = Vec::new();
    for component in ["docker.a", "docker.b"] {
        let body =
            json!({ "component_type": component, "status": "BUILD_UNSET", "artifacts": null });
        ids.push(id(&admin.post(&builds, body).await["build"]).to_owned());
    }
    let (status, answer) =
        admin.call(Method::POST, &builds, json!({ "component_type": "docker.a" })).await;
    assert_eq!((status, &answer["code"]), (409, &json!(6)), "{answer}");
    let first = format!("{builds}/{}", ids[0]);
    let running = admin.patch(&first, json!({ "status": "BUILD_RUNNING" })).await;
    assert_eq!(running["build"]["status"], "BUILD_RUNNING");
    let version = admin.get(&format!("{path}/f1")).await;
    assert_eq!(version["version"]["status"], "VERSION_RUNNING");
    // Nothing to publish is no end.
    let (status, answer) =
        admin.call(Method::PATCH, &first, json!({ "status": "BUILD_DONE" })).await;
    assert_eq!(status, 400, "{answer}");
    let done = |image: &str| {
        json!({
            "status": "BUILD_DONE", "platform": "aws",
            "artifacts": [
                { "external_identifier": image, "region": "eu" },
                { "external_identifier": image, "region": "us" },
            ],
        })
    };
    admin.patch(&first, done("ami-1")).await;
    assert_eq!(admin.get(&format!("{path}/f1")).await["version"]["name"], "v0");
    let (status, _) =
        admin.call(Method::PATCH, &format!("{path}/f1"), json!({ "complete": true })).await;
    assert_eq!(status, 400);
    admin.publish("num", "f2", None).await;
    admin.patch(&format!("{builds}/{}", ids[1]), done("ami-2")).await;
    let version = admin.get(&format!("{path}/f1")).await["version"].clone();
    // The other was complete before.
    assert_eq!(version["name"], "v2");
    assert_eq!(version["status"], "VERSION_ACTIVE");
    assert_eq!(version["builds"][0]["artifacts"][1]["region"], "us");
    // The same again is heard as the same; something else is refused.
    admin.patch(&first, done("ami-1")).await;
    assert_eq!(admin.call(Method::PATCH, &first, done("ami-9")).await.0, 400);
    assert_eq!(admin.call(Method::POST, &builds, json!({ "component_type": "z" })).await.0, 400);
    let bucket = admin.get("/buckets/num").await["bucket"].clone();
    assert_eq!(bucket["version_count"], "2");
    assert_eq!(bucket["platforms"], json!(["aws"]));
    assert_eq!(bucket["latest_version"]["fingerprint"], "f1");
    let search = json!({ "external_identifier": "ami-2", "region": "us" });
    let found = admin.post("/_search/external_artifact", search).await;
    assert_eq!(found["artifacts"].as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!(found["artifacts"][0]["bucket"]["name"], "num");
}

async fn channels_and_their_history(admin: &Caller) {
    admin.put("/buckets", json!({ "name": "chan" })).await;
    for print in ["a", "b", "c"] {
        admin.publish("chan", print, None).await;
    }
    let path = "/buckets/chan/channels";
    admin.post(path, json!({ "name": "prod", "version_fingerprint": "a" })).await;
    let prod = format!("{path}/prod");
    let assign =
        |print: &str| json!({ "version_fingerprint": print, "update_mask": "versionFingerprint" });
    admin.patch(&prod, assign("b")).await;
    admin.patch(&prod, assign("b")).await;
    admin.patch(&prod, assign("c")).await;
    let history = admin.get(&format!("{prod}/history")).await;
    let prints: Vec<&Value> = history["history"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| &entry["version"]["fingerprint"])
        .collect();
    assert_eq!(prints, ["c", "b", "a"]);
    assert_eq!(history["count"], 3);
    for (body, what) in [
        (assign("nope"), "an unknown version"),
        (json!({ "version_fingerprint": "a" }), "no mask"),
        (json!({ "update_mask": "versionFingerprint,bogus" }), "an unknown field"),
    ] {
        let (status, answer) = admin.call(Method::PATCH, &prod, body).await;
        assert!(matches!(status, 400 | 404), "{what}: {status} {answer}");
    }
    assert_eq!(admin.get(&prod).await["channel"]["version"]["fingerprint"], "c");
    let latest = format!("{path}/latest");
    assert_eq!(admin.call(Method::PATCH, &latest, assign("a")).await.0, 400);
    assert_eq!(admin.call(Method::DELETE, &latest, Value::Null).await.0, 400);
    admin.post(path, json!({ "name": "test" })).await;
    let body = json!({ "source_channel": "prod", "target_channel": "test" });
    let assigned = admin.post(&format!("{path}/assign"), body).await;
    assert_eq!(assigned["target_channel"]["version"]["fingerprint"], "c");
    // In use, it stays; else it goes, and the managed channel moves.
    let version = "/buckets/chan/versions/c";
    assert_eq!(admin.call(Method::DELETE, version, Value::Null).await.0, 400);
    admin.patch(&prod, assign("b")).await;
    admin.ok(Method::DELETE, &format!("{path}/test"), Value::Null).await;
    admin.ok(Method::DELETE, version, Value::Null).await;
    assert_eq!(admin.get(&latest).await["channel"]["version"]["fingerprint"], "b");
}

async fn ancestry_and_revocation(admin: &Caller) {
    for bucket in ["base", "app", "top"] {
        admin.put("/buckets", json!({ "name": bucket })).await;
    }
    let b1 = admin.publish("base", "b1", None).await;
    let channel = admin
        .post("/buckets/base/channels", json!({ "name": "prod", "version_fingerprint": "b1" }))
        .await["channel"]
        .clone();
    let a1 = admin.publish("app", "a1", Some((id(&b1), id(&channel)))).await;
    admin.publish("top", "t1", Some((id(&a1), ""))).await;
    let body = json!({ "name": "prod", "version_fingerprint": "a1" });
    admin.post("/buckets/app/channels", body).await;
    assert_eq!(admin.get("/buckets/base/versions/b1").await["version"]["has_descendants"], true);
    let children = "/buckets/base/ancestry?type=ANCESTRY_TYPE_CHILDREN";
    let relation = admin.get(children).await["relations"][0].clone();
    assert_eq!(relation["child"]["bucket_name"], "app");
    assert_eq!(relation["parent"]["channel_name"], "prod");
    assert_eq!(relation["status"], "UP_TO_DATE");

    let b2 = admin.publish("base", "b2", None).await;
    let mask = "versionFingerprint";
    let assign = json!({ "version_fingerprint": "b2", "update_mask": mask });
    admin.patch("/buckets/base/channels/prod", assign).await;
    assert_eq!(admin.get(children).await["relations"][0]["status"], "OUT_OF_DATE");
    let app = admin.get("/buckets/app").await["bucket"].clone();
    assert_eq!(app["parents"]["status"], "OUT_OF_DATE");
    assert_eq!(admin.get("/buckets/base").await["bucket"]["children"]["status"], "OUT_OF_DATE");
    admin.publish("app", "a2", Some((id(&b2), id(&channel)))).await;
    assert_eq!(admin.get(children).await["relations"][0]["status"], "UP_TO_DATE");
    let assign = json!({ "version_fingerprint": "a2", "update_mask": mask });
    admin.patch("/buckets/app/channels/prod", assign).await;

    // With all that came of it, and channels back.
    let body = json!({ "revoke_in": "0s", "revocation_message": "a hole" });
    let revoked = admin.patch("/buckets/base/versions/b2", body.clone()).await;
    assert_eq!(revoked["version"]["status"], "VERSION_REVOKED");
    assert_eq!(revoked["version"]["revocation_type"], "MANUAL");
    let a2 = admin.get("/buckets/app/versions/a2").await["version"].clone();
    assert_eq!(a2["status"], "VERSION_REVOKED");
    assert_eq!(a2["revocation_type"], "INHERITED");
    assert_eq!(a2["revocation_inherited_from"]["version_fingerprint"], "b2");
    for (bucket, print) in [("base", "b1"), ("app", "a1")] {
        for channel in ["prod", "latest"] {
            let channel = admin.get(&format!("/buckets/{bucket}/channels/{channel}")).await;
            assert_eq!(channel["channel"]["version"]["fingerprint"], print, "{channel}");
        }
    }
    assert_eq!(admin.call(Method::PATCH, "/buckets/base/versions/b2", body).await.0, 400);
    let assign = json!({ "version_fingerprint": "b2", "update_mask": mask });
    assert_eq!(admin.call(Method::PATCH, "/buckets/base/channels/prod", assign).await.0, 400);
    admin.patch("/buckets/base/versions/b2", json!({ "restore": true })).await;
    for path in ["/buckets/base/versions/b2", "/buckets/app/versions/a2"] {
        let version = admin.get(path).await["version"].clone();
        assert_eq!(version["status"], "VERSION_ACTIVE");
        assert_eq!(version["revoke_at"], Value::Null);
    }
    let latest = admin.get("/buckets/app/channels/latest").await;
    assert_eq!(latest["channel"]["version"]["fingerprint"], "a2");

    // Without either.
    let body = json!({
        "revoke_at": "2020-01-01T00:00:00Z",
        "disable_rollback_channels": true,
        "skip_descendants_revocation": true,
    });
    admin.patch("/buckets/app/versions/a1", body).await;
    let top = admin.get("/buckets/top/versions/t1").await["version"].clone();
    assert_eq!(top["status"], "VERSION_ACTIVE");
    let prod = admin.get("/buckets/app/channels/prod").await["channel"].clone();
    assert_eq!(prod["version"]["fingerprint"], "a1");
    assert_eq!(prod["version"]["status"], "VERSION_REVOKED");
}

async fn a_scheduled_revocation_is_carried_out(admin: &Caller) {
    admin.put("/buckets", json!({ "name": "sched" })).await;
    admin.publish("sched", "s1", None).await;
    admin.publish("sched", "s2", None).await;
    let path = "/buckets/sched/channels";
    admin.post(path, json!({ "name": "prod", "version_fingerprint": "s1" })).await;
    let assign = json!({ "version_fingerprint": "s2", "update_mask": "versionFingerprint" });
    admin.patch(&format!("{path}/prod"), assign).await;
    let start = Instant::now();
    let revoked = admin.patch("/buckets/sched/versions/s2", json!({ "revoke_in": "3s" })).await;
    assert_eq!(revoked["version"]["status"], "VERSION_REVOCATION_SCHEDULED");
    let print = async || {
        let channel = admin.get(&format!("{path}/prod")).await;
        channel["channel"]["version"]["fingerprint"].clone()
    };
    eventually_async("it is revoked", async || print().await != "s2").await;
    let took = start.elapsed();
    let in_time = Duration::from_millis(2900)..Duration::from_secs(30);
    assert!(in_time.contains(&took), "it was revoked after {took:?}");
    assert_eq!(print().await, "s1");
    let history = admin.get(&format!("{path}/prod/history")).await;
    assert_eq!(history["count"], 3, "{history}");
    // Called off in time, it does not happen.
    admin.patch("/buckets/sched/versions/s1", json!({ "revoke_in": "30d" })).await;
    let body = json!({ "restore": true });
    let version = admin.patch("/buckets/sched/versions/s1", body).await["version"].clone();
    assert_eq!(version["status"], "VERSION_ACTIVE");
}

async fn lists_go_on(admin: &Caller) {
    let mut names = Vec::new();
    for number in 0..5 {
        let name = format!("zz-list-{number}");
        admin.put("/buckets", json!({ "name": name })).await;
        names.push(name);
    }
    let (mut token, mut seen) = (String::new(), Vec::new());
    loop {
        let query = format!("pagination.page_size=2&pagination.next_page_token={token}");
        let page = admin.get(&format!("/buckets?{query}")).await;
        let buckets = page["buckets"].as_array().expect("a list");
        assert!(buckets.len() <= 2);
        seen.extend(buckets.iter().map(|it| it["name"].as_str().expect("a name").to_owned()));
        token = page["pagination"]["next_page_token"].as_str().expect("a token").to_owned();
        if token.is_empty() {
            break;
        }
    }
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(seen.len(), sorted.len(), "{seen:?}");
    assert!(names.iter().all(|name| seen.contains(name)), "{seen:?}");
}

/// What Go's client sends for what is not set.
async fn older_and_odd_requests(admin: &Caller) {
    let body = json!({ "name": "odd", "labels": null, "future_field": [1] });
    admin.put("/buckets", body).await;
    admin.publish("odd", "o1", None).await;
    let body = json!({ "complete": true, "revoke_at": "0001-01-01T00:00:00.000Z" });
    let version = admin.patch("/buckets/odd/versions/o1", body).await;
    assert_eq!(version["version"]["status"], "VERSION_ACTIVE");
    let description = json!({ "description": "<b>\"it's\"</b> -- é" });
    let bucket = admin.patch("/buckets/odd", description.clone()).await;
    assert_eq!(bucket["bucket"]["description"], description["description"]);
    let blocks = admin.get("/enforced_blocks/bucket/odd").await;
    assert_eq!(blocks["enforced_block_detail"], json!([]));
    let (status, answer) = admin.call(Method::GET, "/buckets/odd/packages", Value::Null).await;
    assert_eq!((status, &answer["code"]), (501, &json!(12)));
}

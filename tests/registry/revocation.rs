//! Versions that are revoked in more than one way, on both databases.

use reqwest::Method;
use serde_json::{Value, json};

use ingot_test_support::postgres::Postgres;
use ingot_test_support::registry_server::{Caller, Server};
use ingot_test_support::{eventually_async, require};

async fn all(server: &Server, database: &[&str]) {
    let admin = server.admin().await;
    what_is_taken_back_brings_the_rest_to_light(&admin).await;
    a_schedule_of_its_own_outlives_an_ancestors(&admin).await;
    what_is_being_built_does_not_escape(&admin).await;
    removing_the_ancestor_lets_nobody_off(&admin).await;
    numbers_are_given_once(&admin).await;
    restricted_channels_are_not_reported(server, database, &admin).await;
    ids_of_azure_are_the_same_in_any_case(&admin).await;
    channels_do_not_go_forward(&admin).await;
    channels_go_to_what_was_tried_in_between(&admin).await;
    many_children_at_once(&admin).await;
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
    let args = ["-rate-limit=0", "-database-url", &postgres.url()];
    all(&Server::start(dir.path(), &args), &args[1..]).await;
}

fn id(value: &Value) -> String {
    value["id"].as_str().expect("an id").to_owned()
}

async fn version(admin: &Caller, bucket: &str, print: &str) -> Value {
    admin.get(&format!("/buckets/{bucket}/versions/{print}")).await["version"].clone()
}

async fn state(admin: &Caller, bucket: &str, print: &str) -> (String, String) {
    let version = version(admin, bucket, print).await;
    let from = &version["revocation_inherited_from"]["version_fingerprint"];
    let status = version["status"].as_str().expect("a status");
    (status.to_owned(), from.as_str().unwrap_or_default().to_owned())
}

async fn is(admin: &Caller, bucket: &str, print: &str, status: &str, from: &str) {
    let wanted = (format!("VERSION_{status}"), from.to_owned());
    assert_eq!(state(admin, bucket, print).await, wanted, "{bucket}/{print}");
}

async fn revoke(admin: &Caller, bucket: &str, print: &str) {
    let body = json!({ "revoke_in": "0s", "revocation_message": format!("{print} leaks") });
    admin.patch(&format!("/buckets/{bucket}/versions/{print}"), body).await;
}

async fn restore(admin: &Caller, bucket: &str, print: &str) {
    let path = format!("/buckets/{bucket}/versions/{print}");
    admin.patch(&path, json!({ "restore": true })).await;
}

/// A chain of buckets, each with a version built from that of the one before it.
async fn chain(admin: &Caller, prefix: &str, length: usize) -> Vec<String> {
    let mut parent = None;
    let mut names = Vec::new();
    for number in 0..length {
        let name = format!("{prefix}{number}");
        admin.put("/buckets", json!({ "name": name })).await;
        let parents = parent.as_deref().map(|parent| (parent, ""));
        parent = Some(id(&admin.publish(&name, &name, parents).await));
        names.push(name);
    }
    names
}

async fn what_is_taken_back_brings_the_rest_to_light(admin: &Caller) {
    let names = chain(admin, "chain", 3).await;
    let [a, b, c] = [&names[0], &names[1], &names[2]].map(String::as_str);
    revoke(admin, b, b).await;
    is(admin, c, c, "REVOKED", b).await;
    revoke(admin, a, a).await;
    is(admin, b, b, "REVOKED", "").await;
    // Its own revocation is taken back, that of what it was built from still holds.
    restore(admin, b, b).await;
    is(admin, b, b, "REVOKED", a).await;
    is(admin, c, c, "REVOKED", a).await;
    assert_eq!(version(admin, c, c).await["revocation_message"], "chain0 leaks");
    let latest = admin.get("/buckets/chain2/channels/latest").await;
    assert_eq!(latest["channel"]["version"], Value::Null);
    // Somebody knows better of this one. What was built from it is another matter.
    restore(admin, b, b).await;
    is(admin, b, b, "ACTIVE", "").await;
    is(admin, c, c, "REVOKED", a).await;
    // What is revoked from now on is inherited again.
    restore(admin, a, a).await;
    is(admin, c, c, "ACTIVE", "").await;
    let latest = admin.get("/buckets/chain2/channels/latest").await;
    assert_eq!(latest["channel"]["version"]["fingerprint"], *c);
    revoke(admin, a, a).await;
    is(admin, b, b, "REVOKED", a).await;
    let again = json!({ "revoke_in": "0s" });
    let (status, answer) =
        admin.call(Method::PATCH, &format!("/buckets/{a}/versions/{a}"), again).await;
    assert_eq!(status, 400);
    assert!(answer["message"].as_str().is_some_and(|it| it.contains("revoked already")));
}

async fn a_schedule_of_its_own_outlives_an_ancestors(admin: &Caller) {
    let names = chain(admin, "plan", 2).await;
    let [a, b] = [&names[0], &names[1]].map(String::as_str);
    let body = json!({ "revoke_at": "2999-12-31T00:00:00Z", "revocation_message": "old then" });
    admin.patch(&format!("/buckets/{b}/versions/{b}"), body).await;
    revoke(admin, a, a).await;
    is(admin, b, b, "REVOKED", a).await;
    restore(admin, a, a).await;
    let version = version(admin, b, b).await;
    assert_eq!(version["status"], "VERSION_REVOCATION_SCHEDULED");
    assert_eq!(version["revocation_message"], "old then");
    assert_eq!(version["revocation_type"], "MANUAL");
    // Both scheduled, and the earlier one happens.
    let schedule = async |name: &str, wait: &str| {
        let path = format!("/buckets/{name}/versions/{name}");
        admin.patch(&path, json!({ "revoke_in": wait })).await;
    };
    schedule(a, "1h").await;
    schedule(b, "2h").await;
    is(admin, b, b, "REVOCATION_SCHEDULED", a).await;
    // Far enough apart for a loaded machine to ask for the second one in between.
    schedule(b, "5s").await;
    schedule(a, "1s").await;
    let latest = format!("/buckets/{b}/channels/latest");
    eventually_async("it is revoked", async || {
        admin.get(&latest).await["channel"]["version"] == Value::Null
    })
    .await;
    is(admin, b, b, "REVOKED", a).await;
}

async fn what_is_being_built_does_not_escape(admin: &Caller) {
    for name in ["under", "child"] {
        admin.put("/buckets", json!({ "name": name })).await;
    }
    let under = id(&admin.publish("under", "u1", None).await);
    // The child's build begins, then what it is built from is revoked, then it is done.
    let versions = "/buckets/child/versions";
    admin.post(versions, json!({ "fingerprint": "c1" })).await;
    let body = json!({ "component_type": "docker.a", "status": "BUILD_RUNNING" });
    let build = id(&admin.post(&format!("{versions}/c1/builds"), body).await["build"]);
    revoke(admin, "under", "u1").await;
    let body = json!({
        "status": "BUILD_DONE", "platform": "docker", "parent_version_id": under,
        "artifacts": [{ "external_identifier": "sha256:c1", "region": "docker" }],
    });
    admin.patch(&format!("{versions}/c1/builds/{build}"), body).await;
    is(admin, "child", "c1", "REVOKED", "u1").await;
    assert_eq!(version(admin, "child", "c1").await["name"], "v1");
    let latest = admin.get("/buckets/child/channels/latest").await;
    assert_eq!(latest["channel"]["version"], Value::Null);
}

async fn removing_the_ancestor_lets_nobody_off(admin: &Caller) {
    let names = chain(admin, "gone", 3).await;
    let [a, b, c] = [&names[0], &names[1], &names[2]].map(String::as_str);
    revoke(admin, a, a).await;
    admin.ok(Method::DELETE, &format!("/buckets/{b}/versions/{b}"), Value::Null).await;
    admin.ok(Method::DELETE, &format!("/buckets/{a}"), Value::Null).await;
    let version = version(admin, c, c).await;
    assert_eq!(version["status"], "VERSION_REVOKED", "{version}");
    assert_eq!(version["revocation_message"], "gone0 leaks");
    restore(admin, c, c).await;
    is(admin, c, c, "ACTIVE", "").await;
}

async fn channels_do_not_go_forward(admin: &Caller) {
    admin.put("/buckets", json!({ "name": "back" })).await;
    for print in ["r1", "r2", "r3"] {
        admin.publish("back", print, None).await;
    }
    let prod = "/buckets/back/channels/prod";
    let body = json!({ "name": "prod", "version_fingerprint": "r1" });
    admin.post("/buckets/back/channels", body).await;
    // From the third somebody went back to the second, and now that is revoked as well.
    for print in ["r2", "r3", "r2"] {
        let assign = json!({ "version_fingerprint": print, "update_mask": "versionFingerprint" });
        admin.patch(prod, assign).await;
    }
    revoke(admin, "back", "r2").await;
    assert_eq!(admin.get(prod).await["channel"]["version"]["fingerprint"], "r1");
    restore(admin, "back", "r2").await;
    // Somebody went back to what it had never pointed at: the third is bad, though nobody revoked it.
    for (channel, prints, left) in
        [("first", &["r3", "r1"][..], None), ("last", &["r1", "r3", "r2"], Some("r1"))]
    {
        let path = format!("/buckets/back/channels/{channel}");
        admin.post("/buckets/back/channels", json!({ "name": channel })).await;
        for print in prints {
            let assign =
                json!({ "version_fingerprint": print, "update_mask": "versionFingerprint" });
            admin.patch(&path, assign).await;
        }
        let revoked = prints.last().expect("there is one");
        revoke(admin, "back", revoked).await;
        let now = admin.get(&path).await["channel"]["version"]["fingerprint"].clone();
        assert_eq!(now.as_str(), left, "{channel}");
        restore(admin, "back", revoked).await;
    }
}

/// A channel that went back to an older version and was then assigned the newer one again.
async fn channels_go_to_what_was_tried_in_between(admin: &Caller) {
    admin.put("/buckets", json!({ "name": "between" })).await;
    for print in ["t1", "t2", "t3"] {
        admin.publish("between", print, None).await;
    }
    for (channel, prints, left) in [
        ("down", &["t2", "t1", "t2"][..], Some("t1")),
        ("up", &["t2", "t3", "t2"], None),
        ("both", &["t2", "t1", "t3", "t2"], Some("t1")),
    ] {
        let path = format!("/buckets/between/channels/{channel}");
        admin.post("/buckets/between/channels", json!({ "name": channel })).await;
        for print in prints {
            let assign =
                json!({ "version_fingerprint": print, "update_mask": "versionFingerprint" });
            admin.patch(&path, assign).await;
        }
        revoke(admin, "between", "t2").await;
        let now = admin.get(&path).await["channel"]["version"]["fingerprint"].clone();
        assert_eq!(now.as_str(), left, "{channel}");
        restore(admin, "between", "t2").await;
    }
}

async fn ids_of_azure_are_the_same_in_any_case(admin: &Caller) {
    let versions = "/buckets/azure/versions";
    admin.put("/buckets", json!({ "name": "azure" })).await;
    admin.post(versions, json!({ "fingerprint": "z1" })).await;
    let image = "/subscriptions/1/resourceGroups/Golden/providers/Microsoft.Compute/images/Base";
    let body = json!({
        "component_type": "azure-arm.a", "status": "BUILD_DONE", "platform": "azure",
        "artifacts": [{ "external_identifier": image, "region": "westeurope" }],
    });
    admin.post(&format!("{versions}/z1/builds"), body).await;
    for (name, count) in [(image.to_lowercase(), 1), (image.to_uppercase(), 1), ("AMI".into(), 0)] {
        let search = json!({ "external_identifier": name });
        let found = admin.post("/_search/external_artifact", search).await;
        assert_eq!(found["artifacts"].as_array().map(Vec::len), Some(count), "{name}: {found}");
    }
}

async fn numbers_are_given_once(admin: &Caller) {
    admin.put("/buckets", json!({ "name": "once" })).await;
    admin.publish("once", "o1", None).await;
    admin.publish("once", "o2", None).await;
    admin.ok(Method::DELETE, "/buckets/once/versions/o2", Value::Null).await;
    assert_eq!(admin.publish("once", "o3", None).await["name"], "v3");
}

async fn restricted_channels_are_not_reported(server: &Server, database: &[&str], admin: &Caller) {
    for name in ["hidden", "open"] {
        admin.put("/buckets", json!({ "name": name })).await;
    }
    let parent = id(&admin.publish("hidden", "h1", None).await);
    let body = json!({ "name": "private", "restricted": true, "version_fingerprint": "h1" });
    let channel = id(&admin.post("/buckets/hidden/channels", body).await["channel"]);
    admin.publish("open", "p1", Some((&parent, &channel))).await;
    let path = "/buckets/open/ancestry?type=ANCESTRY_TYPE_PARENTS";
    let relation = admin.get(path).await["relations"][0]["parent"].clone();
    assert_eq!(relation["channel_name"], "private");
    let (id, secret) = server.principal(&[&["onlooker", "-role=viewer"], database].concat());
    let viewer = server.sign_in(&id, &secret).await;
    let seen = viewer.get(path).await;
    assert_eq!(seen["relations"][0]["parent"]["version_fingerprint"], "h1");
    assert!(!seen.to_string().contains("private"), "{seen}");
    // Not even whether the channel has moved on.
    admin.publish("hidden", "h2", None).await;
    let assign = json!({ "version_fingerprint": "h2", "update_mask": "versionFingerprint" });
    admin.patch("/buckets/hidden/channels/private", assign).await;
    assert_eq!(admin.get(path).await["relations"][0]["status"], "OUT_OF_DATE");
    assert_eq!(viewer.get(path).await["relations"][0]["status"], "UNDETERMINED");
    let open = viewer.get("/buckets/open").await["bucket"].clone();
    assert_eq!(open["parents"]["status"], "UNDETERMINED");
    assert_eq!(seen["relations"][0]["parent"]["channel_version"], Value::Null);
    let named = viewer.get(&format!("{path}&channel_name=private")).await;
    assert_eq!(named["relations"], json!([]));
}

/// More than the 500 that fit into one statement.
async fn many_children_at_once(admin: &Caller) {
    admin.put("/buckets", json!({ "name": "broad" })).await;
    let parent = id(&admin.publish("broad", "base", None).await);
    admin.put("/buckets", json!({ "name": "brood" })).await;
    for number in 0..510 {
        let print = format!("n{number}");
        let versions = "/buckets/brood/versions";
        admin.post(versions, json!({ "fingerprint": print })).await;
        let body = json!({ "component_type": "a", "parent_version_id": parent });
        admin.post(&format!("{versions}/{print}/builds"), body).await;
    }
    revoke(admin, "broad", "base").await;
    for print in ["n0", "n509"] {
        is(admin, "brood", print, "REVOKED", "base").await;
    }
    restore(admin, "broad", "base").await;
    for print in ["n0", "n509"] {
        is(admin, "brood", print, "INCOMPLETE", "").await;
    }
}

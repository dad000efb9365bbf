//! The API of 2021-04-30, as Packer 1.7 to 1.9 use it.

use reqwest::Method;
use serde_json::{Value, json};

use ingot_test_support::registry_server::Server;

#[tokio::test]
async fn an_older_client_publishes_and_reads() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let newer = server.admin().await;
    let mut older = newer.clone();
    older.root = newer.root.replace("2023-01-01", "2021-04-30");
    older.get("/registry").await;
    let body = json!({ "bucket_slug": "old", "location": { "project_id": "x" } });
    older.put("/images", body).await;
    let (status, answer) =
        older.call(Method::GET, "/images/old/iteration?fingerprint=f1", Value::Null).await;
    assert_eq!((status, &answer["code"]), (409, &json!(10)), "{answer}");
    let created = older.post("/images/old/iterations", json!({ "fingerprint": "f1" })).await;
    let iteration = created["iteration"]["id"].as_str().expect("an id").to_owned();
    assert_eq!(created["iteration"]["incremental_version"], 0);
    let body = json!({ "build": { "component_type": "docker.a", "status": "UNSET" } });
    let build = older.post(&format!("/images/old/iterations/{iteration}"), body).await;
    let path = format!("/builds/{}", build["build"]["id"].as_str().expect("an id"));
    older.patch(&path, json!({ "updates": { "status": "RUNNING" } })).await;
    let (status, _) =
        older.call(Method::PATCH, &path, json!({ "updates": { "status": "BOGUS" } })).await;
    assert_eq!(status, 400);
    let updates = json!({
        "status": "DONE", "cloud_provider": "docker",
        "images": [{ "image_id": "sha256:1", "region": "docker" }],
    });
    older.patch(&path, json!({ "updates": updates })).await;
    let builds = older.get(&format!("/images/old/iterations/{iteration}/builds")).await;
    assert_eq!(builds["builds"][0]["status"], "DONE");
    older.patch(&format!("/iterations/{iteration}"), json!({ "complete": true })).await;
    let found = older.get("/images/old/iteration?incremental_version=1").await;
    assert_eq!(found["iteration"]["fingerprint"], "f1");
    assert_eq!(found["iteration"]["complete"], true);
    let body = json!({ "slug": "prod", "iteration_id": iteration });
    older.post("/images/old/channels", body).await;
    let channel = older.get("/images/old/channels/prod").await["channel"].clone();
    let image = &channel["iteration"]["builds"][0]["images"][0];
    assert_eq!(image["image_id"], "sha256:1");
    // The newer API sees the same.
    let channel = newer.get("/buckets/old/channels/prod").await["channel"].clone();
    assert_eq!(channel["version"]["name"], "v1");
}

//! Large versions: a list of them comes in parts of a few megabytes, and all of it comes.

use ingot_test_support::require;
use reqwest::Method;
use serde_json::{Value, json};

use ingot_test_support::postgres::Postgres;
use ingot_test_support::registry_server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite() {
    let dir = tempfile::tempdir().expect("a directory");
    all(&Server::start(dir.path(), &["-rate-limit=0"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let postgres = require!(Postgres::start());
    let dir = tempfile::tempdir().expect("a directory");
    all(&Server::start(dir.path(), &["-rate-limit=0", "-database-url", &postgres.url()])).await;
}

async fn all(server: &Server) {
    let admin = server.admin().await;
    admin.put("/buckets", json!({ "name": "b" })).await;
    let labels: Value =
        (0..90).map(|label| (format!("l{label}"), json!("x".repeat(1000)))).collect();
    // Ten of a megabyte each, completed in another order than they were created.
    let prints: Vec<String> = (0..10).map(|number| format!("p{number}")).collect();
    let path = "/buckets/b/versions";
    for print in &prints {
        admin.post(path, json!({ "fingerprint": print })).await;
    }
    for print in prints.iter().rev() {
        let builds = format!("{path}/{print}/builds");
        let mut ids = Vec::new();
        for build in 0..12 {
            let body = json!({ "component_type": format!("docker.b{build}"), "labels": labels });
            let build = admin.post(&builds, body).await;
            ids.push(build["build"]["id"].as_str().expect("an id").to_owned());
        }
        for id in ids {
            let image = json!([{ "external_identifier": format!("sha256:{id}"), "region": "r" }]);
            let body = json!({ "status": "BUILD_DONE", "platform": "docker", "artifacts": image });
            admin.patch(&format!("{builds}/{id}"), body).await;
        }
    }
    let (mut names, mut token, mut parts) = (Vec::new(), String::new(), 0);
    loop {
        let query = format!("{path}?pagination.next_page_token={token}");
        let (status, page) = admin.call(Method::GET, &query, Value::Null).await;
        assert_eq!(status, 200);
        let size = page.to_string().len();
        assert!(size < 6 << 20, "a part has {size} bytes");
        let versions = page["versions"].as_array().expect("a list");
        names.extend(versions.iter().map(|it| it["name"].as_str().expect("a name").to_owned()));
        parts += 1;
        token = page["pagination"]["next_page_token"].as_str().expect("a string").to_owned();
        if token.is_empty() {
            break;
        }
    }
    let numbers: Vec<String> = (1..=10).rev().map(|number| format!("v{number}")).collect();
    assert_eq!(names, numbers, "all of them, by number");
    assert!(parts > 2, "{parts} parts");
}

//! Large versions: a list of them comes in parts of a few megabytes, and all of it comes.

use ingot_test_support::require;
use reqwest::Method;
use serde_json::{Value, json};

use ingot_test_support::postgres::Postgres;
use ingot_test_support::registry_server::{Caller, Server};

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

    // Channels have no pages: those for whose versions there is no room come without builds.
    for (at, print) in prints.iter().enumerate() {
        let body = json!({ "name": format!("c{at}"), "version_fingerprint": print });
        admin.post("/buckets/b/channels", body).await;
    }
    let channels = admin.get("/buckets/b/channels").await;
    assert!(channels.to_string().len() < 6 << 20, "{}", channels.to_string().len());
    let channels = channels["channels"].as_array().expect("a list");
    let builds = |channel: &Value| {
        assert!(channel["version"]["fingerprint"].is_string(), "{channel}");
        assert_eq!(channel["version"]["status"], "VERSION_ACTIVE");
        channel["version"]["builds"].as_array().map_or(0, Vec::len)
    };
    let whole = channels.iter().filter(|it| builds(it) == 12).count();
    let short = channels.iter().filter(|it| builds(it) == 0).count();
    assert!(whole >= 2 && short >= 5 && whole + short == 11, "{whole} and {short}");
    let one = admin.get("/buckets/b/channels/c9").await;
    assert_eq!(builds(&one["channel"]), 12);

    many_values_take_little(server, &admin).await;

    // A version is no larger than one response may be.
    admin.post(path, json!({ "fingerprint": "huge" })).await;
    let mut refused = None;
    for build in 0..150 {
        let body = json!({ "component_type": format!("docker.h{build}"), "labels": labels });
        let (status, answer) = admin.call(Method::POST, &format!("{path}/huge/builds"), body).await;
        if status != 200 {
            assert_eq!(status, 400, "{answer}");
            refused = answer["message"].as_str().map(str::to_owned);
            break;
        }
    }
    let refused = refused.expect("it is refused before it is 13 MB large");
    assert!(refused.contains("larger than 8 MiB"), "{refused}");
    let huge = admin.get(&format!("{path}/huge")).await;
    assert!(huge.to_string().len() < 9 << 20);
}

/// Metadata is passed on as text: as values, 7 MiB of short ones would be some 250 MB for each
/// request that is under way.
async fn many_values_take_little(server: &Server, admin: &Caller) {
    let path = "/buckets/b/versions/values";
    admin.post("/buckets/b/versions", json!({ "fingerprint": "values" })).await;
    let values = vec![0; 60 << 10];
    for build in 0..56 {
        let body = json!({ "component_type": format!("docker.v{build}") });
        let created = admin.post(&format!("{path}/builds"), body).await;
        let id = created["build"]["id"].as_str().expect("an id");
        let body = json!({ "metadata": { "packer": { "values": values } } });
        admin.patch(&format!("{path}/builds/{id}"), body).await;
    }
    // Deeper than readers of JSON go, it could not be read by anybody.
    let builds = admin.get(&format!("{path}/builds")).await;
    let id = builds["builds"][0]["id"].as_str().expect("an id");
    let deep = format!(r#"{{"metadata":{{"packer":{}1{}}}}}"#, "[".repeat(500), "]".repeat(500));
    let deep_path = format!("{}{path}/builds/{id}", admin.root);
    let (status, answer) = admin.send(Method::PATCH, &deep_path, deep.into_bytes()).await;
    assert_eq!(status, 400, "{answer}");

    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let reader = admin.clone();
        readers.spawn(async move {
            let request = reader.client.get(format!("{}{}{path}", reader.url, reader.root));
            let answer = request.bearer_auth(&reader.token).send().await.expect("an answer");
            (answer.status().as_u16(), answer.bytes().await.expect("it comes whole").len())
        });
    }
    for (status, size) in readers.join_all().await {
        // Some may be refused, as there are too many.
        assert!(status == 503 || status == 200 && size > 6 << 20, "{status} {size}");
    }
    let peak = peak_memory(server.pid());
    assert!(peak < 700 << 20, "the server took {} MiB", peak >> 20);
}

/// The most memory that a process had, in bytes.
pub(crate) fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
    kib << 10
}

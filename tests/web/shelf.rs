//! A registry with something in it: a base image, what was built from it, and so on.

use serde_json::{Value, json};

use ingot_test_support::registry_server::{Caller, Server};

/// The one-time link that a server printed at its first run.
pub(crate) fn first_link(server: &Server) -> String {
    let found = server.greeting.lines().map(str::trim).find(|line| line.contains("/sign-in/"));
    found.unwrap_or_else(|| panic!("no link in {}", server.greeting)).to_owned()
}

/// An image: platform, region and id.
pub(crate) type Image<'a> = (&'a str, &'a str, &'a str);

/// Publishes a version whose builds have these images, from a parent if there is one.
pub(crate) async fn publish(
    admin: &Caller,
    bucket: &str,
    print: &str,
    images: &[(&str, &[Image<'_>])],
    parent: Option<(&str, &str)>,
) -> Value {
    let path = format!("/buckets/{bucket}/versions");
    admin.post(&path, json!({ "fingerprint": print, "template_type": "HCL2" })).await;
    let (version, channel) = parent.unwrap_or_default();
    let mut builds = Vec::new();
    for (component, _) in images {
        let body = json!({ "component_type": component, "status": "BUILD_RUNNING",
            "packer_run_uuid": "6f1c2f1e-3f0a-4f38-9d3c-0c2a4d3f5b11" });
        let build = admin.post(&format!("{path}/{print}/builds"), body).await;
        builds.push(build["build"]["id"].as_str().expect("an id").to_owned());
    }
    for ((component, images), id) in images.iter().zip(builds) {
        let artifacts: Vec<Value> = images
            .iter()
            .map(|(_, region, id)| json!({ "external_identifier": id, "region": region }))
            .collect();
        let body = json!({
            "status": "BUILD_DONE",
            "platform": images[0].0,
            "artifacts": artifacts,
            "labels": { "os": "debian-12", "kernel": "6.1.0-28", "commit": print },
            "source_external_identifier": format!("{component}-source"),
            "parent_version_id": version,
            "parent_channel_id": channel,
            "metadata": {
                "packer": { "version": "1.16.0", "plugins": [{ "name": "amazon", "version": "1.8.0" }] },
                "cicd": { "type": "github", "details": {
                    "GITHUB_WORKFLOW_URL": "https://git.example/images/actions/runs/1234567",
                    "GITHUB_SHA": "9f2b7c1d", "GITHUB_REPOSITORY": "images/base",
                } },
            },
        });
        admin.patch(&format!("{path}/{print}/builds/{id}"), body).await;
    }
    admin.get(&format!("{path}/{print}")).await["version"].clone()
}

/// Points a channel, made if it is not there, at a version; the channel's id.
pub(crate) async fn assign(admin: &Caller, bucket: &str, channel: &str, print: &str) -> String {
    let path = format!("/buckets/{bucket}/channels");
    let (status, _) = admin.call(reqwest::Method::POST, &path, json!({ "name": channel })).await;
    assert!(status == 200 || status == 409, "{status}");
    let body = json!({ "update_mask": "versionFingerprint", "version_fingerprint": print });
    let answer = admin.patch(&format!("{path}/{channel}"), body).await;
    answer["channel"]["id"].as_str().expect("an id").to_owned()
}

/// Makes a bucket.
pub(crate) async fn bucket(admin: &Caller, name: &str, description: &str, labels: Value) {
    admin
        .put("/buckets", json!({ "name": name, "description": description, "labels": labels }))
        .await;
}

/// Fills a registry: `base` with three versions, `production` at the second and `latest` at the
/// third; `web`, `database` and `worker` built from it, `shop` from `web` and `database`; and one
/// bucket with nothing in it, one with a failed build.
pub(crate) async fn fill(admin: &Caller) {
    let team = json!({ "team": "platform", "tier": "base" });
    bucket(admin, "base", "Debian 12 with our hardening and agents", team).await;
    let aws = |id: &str| format!("ami-0{id}4c1b2a9f8e7d6");
    for (number, print) in ["4f1c09ab", "a94d7e21", "c3b85f60"].iter().enumerate() {
        let ids = [aws(&format!("1{number}")), aws(&format!("2{number}"))];
        let images: &[(&str, &[Image])] = &[
            ("amazon-ebs.base", &[("aws", "eu-central-1", &ids[0]), ("aws", "us-east-1", &ids[1])]),
            ("docker.base", &[("docker", "docker", "sha256:6b4e1c7f2a9d")]),
        ];
        publish(admin, "base", print, images, None).await;
        assign(admin, "base", "staging", print).await;
        if number < 2 {
            assign(admin, "base", "production", print).await;
        }
    }
    let base = admin.get("/buckets/base/channels/production").await["channel"].clone();
    let staging = admin.get("/buckets/base/channels/staging").await["channel"].clone();
    let of = |channel: &Value| {
        let text = |value: &Value| value.as_str().expect("an id").to_owned();
        (text(&channel["version"]["id"]), text(&channel["id"]))
    };
    let (version, channel) = of(&base);
    let parent = Some((version.as_str(), channel.as_str()));
    let (newer, newer_channel) = of(&staging);
    let old = admin.get("/buckets/base/versions/4f1c09ab").await["version"]["id"].clone();
    let old = old.as_str().expect("an id").to_owned();

    let docker = |id: &'static str| -> Vec<(&'static str, Vec<Image<'static>>)> {
        vec![("docker.app", vec![("docker", "docker", id)])]
    };
    let web = json!({ "team": "web" });
    bucket(admin, "web", "nginx and the shop's frontend", web.clone()).await;
    let images = docker("sha256:1f0e9d8c7b6a");
    publish(admin, "web", "8d2e6f10", &borrow(&images), parent).await;
    let web_channel = assign(admin, "web", "production", "8d2e6f10").await;
    bucket(admin, "database", "PostgreSQL 15", json!({ "team": "data" })).await;
    let images = docker("sha256:2a3b4c5d6e7f");
    publish(admin, "database", "51c7aa39", &borrow(&images), Some((&old, &channel))).await;
    bucket(admin, "worker", "Runs the queue", web).await;
    let images = docker("sha256:9c8b7a6f5e4d");
    let newest = Some((newer.as_str(), newer_channel.as_str()));
    publish(admin, "worker", "e07b4d95", &borrow(&images), newest).await;
    bucket(admin, "shop", "All of the shop in one image", json!({})).await;
    let id = admin.get("/buckets/web/versions/8d2e6f10").await["version"]["id"].clone();
    let images = docker("sha256:0f1e2d3c4b5a");
    let from_web = Some((id.as_str().expect("an id"), web_channel.as_str()));
    publish(admin, "shop", "7ab3c0d4", &borrow(&images), from_web).await;

    bucket(admin, "empty", "", json!({})).await;
    bucket(admin, "gpu", "With CUDA, for training", json!({ "team": "ml" })).await;
    let path = "/buckets/gpu/versions";
    admin.post(path, json!({ "fingerprint": "failed-1" })).await;
    let body = json!({ "component_type": "amazon-ebs.gpu", "status": "BUILD_RUNNING" });
    let build = admin.post(&format!("{path}/failed-1/builds"), body).await;
    let id = build["build"]["id"].as_str().expect("an id");
    let why = "no g5.xlarge is free in eu-central-1\n<b>a</b>";
    let metadata = json!({ "packer": { "version": "1.16.0", "error": why } });
    let body = json!({ "status": "BUILD_FAILED", "platform": "aws", "metadata": metadata });
    admin.patch(&format!("{path}/failed-1/builds/{id}"), body).await;
}

fn borrow<'a>(images: &'a [(&'a str, Vec<Image<'a>>)]) -> Vec<(&'a str, &'a [Image<'a>])> {
    images.iter().map(|(name, images)| (*name, images.as_slice())).collect()
}

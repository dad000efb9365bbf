//! Images of docker: a registry has their ids, and configurations name them by their digests.

use ingot_registry::api::*;
use ingot_registry::client::Registry;
use serde_json::{Value, json};

use crate::check::World;
use crate::plans::{self, configured, created, data};
use crate::stock;

const ID: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const DIGEST: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const BASE_DIGEST: &str = "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";

/// Publishes `app`, which was pushed, and revokes it.
async fn fill(registry: &dyn Registry) {
    stock::bucket(registry, "app").await;
    let body = CreateVersionBody { fingerprint: "app1".into(), ..Default::default() };
    registry.create_version("app", &body).await.expect("a version");
    let body = CreateBuildBody { component_type: "docker.app".into(), ..Default::default() };
    let build = registry.create_build("app", "app1", &body).await.expect("a build");
    let labels = [
        ("ImageDigest".to_owned(), format!("r.example.com/app@{DIGEST}")),
        ("SourceImageDigest".to_owned(), format!("r.example.com/base@{BASE_DIGEST}")),
    ];
    let body = UpdateBuildBody {
        status: BuildStatus::Done,
        platform: "docker".into(),
        artifacts: vec![ArtifactCreateBody {
            external_identifier: ID.into(),
            region: "docker".into(),
        }],
        labels: labels.into(),
        packer_run_uuid: "11111111-2222-4333-8444-555555555555".into(),
        ..Default::default()
    };
    registry.update_build("app", "app1", &build.id, &body).await.expect("it is done");
    stock::revoke(registry, "app", "app1", "0s", "CVE-2026-1").await;
}

async fn found(registry: &dyn Registry, name: &str) -> Vec<String> {
    let body = SearchExternalArtifactRequestBody {
        external_identifier: name.into(),
        ..Default::default()
    };
    let found = registry.search_artifact(&body, &Page::default()).await.expect("an answer");
    let builds = found.artifacts.into_iter().filter_map(|found| found.build);
    builds.flat_map(|build| build.artifacts).map(|one| one.external_identifier).collect()
}

async fn images_are_found_by_their_digests(world: &World) {
    let registry = world.registry().await;
    fill(&*registry).await;
    for (name, wanted) in [(ID, vec![ID]), (DIGEST, vec![ID]), (BASE_DIGEST, vec![])] {
        assert_eq!(found(&*registry, name).await, wanted, "{name}");
    }
    for (kind, attribute) in [("docker_container", "image"), ("docker_image", "name")] {
        for number in [ID, DIGEST] {
            let after = json!({ attribute: format!("r.example.com/app@{number}") });
            let resource = created(&format!("{kind}.x"), kind, after);
            world.write("plan.json", &plans::plan(vec![resource]));
            let run = world.check(&["plan.json"]);
            assert_eq!(run.code, Some(2), "{kind}: {}{}", run.stdout, run.stderr);
            assert!(run.stdout.contains("is app v1, which was revoked"), "{}", run.stdout);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_found_by_their_digests_in_a_file() {
    images_are_found_by_their_digests(&World::local().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_found_by_their_digests_by_a_server() {
    images_are_found_by_their_digests(&World::served().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_of_a_data_source_is_of_its_image() {
    let world = World::local().await;
    fill(&*world.registry().await).await;
    // A digest that the registry does not know, as HCP Packer knows none.
    let other = DIGEST.replace('b', "d");
    let artifact = json!({
        "bucket_name": "app", "version_fingerprint": "app1", "platform": "docker",
        "region": "docker", "external_identifier": ID,
        "labels": { "ImageDigest": format!("r.example.com/app@{other}") },
    });
    let after = json!({ "image": format!("r.example.com/app@{other}") });
    let mut plan = plans::plan(vec![created("docker_container.x", "docker_container", after)]);
    let source = data("data.hcp_packer_artifact.app", "hcp_packer_artifact", artifact);
    plan["prior_state"] = json!({
        "format_version": "1.0", "values": { "root_module": { "resources": [source] } },
    });
    let labels = "data.hcp_packer_artifact.app.labels";
    let image = json!({ "image": { "references": [labels, "data.hcp_packer_artifact.app"] } });
    let resources: Vec<Value> = vec![configured("docker_container.x", image)];
    plan["configuration"] = json!({ "root_module": { "resources": resources } });
    world.write("plan.json", &plan);
    let run = world.check(&["plan.json"]);
    assert_eq!(run.code, Some(2), "{}{}", run.stdout, run.stderr);
    for place in ["docker_container.x.image", "data.hcp_packer_artifact.app.external_identifier"] {
        assert!(run.stdout.contains(&format!("  FAIL  {place}")), "{}", run.stdout);
    }
}

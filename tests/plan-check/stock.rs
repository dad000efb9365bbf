//! What is in the registry that plans are checked against.

use std::path::Path;
use std::sync::Arc;

use ingot_registry::api::*;
use ingot_registry::client::Registry;
use ingot_registry::http::HttpRegistry;
use ingot_registry::local::LocalRegistry;
use ingot_registry::settings::{Credentials, Remote};

use ingot_test_support::registry_server::Server;

/// The images of `golden`'s versions on AWS.
pub(crate) const REVOKED: &str = "ami-0000000000000001a";
pub(crate) const REVOKED_EAST: &str = "ami-0000000000000001b";
pub(crate) const OLD: &str = "ami-0000000000000002a";
pub(crate) const CURRENT: &str = "ami-0000000000000003a";
pub(crate) const SCHEDULED: &str = "ami-0000000000000004a";
/// An image that looks like one and is nobody's.
pub(crate) const STRANGE: &str = "ami-0fffffffffffffff0";
/// The image of `web`, which was built from `golden` v2 when `production` was there.
pub(crate) const CHILD: &str =
    "sha256:2222222222222222222222222222222222222222222222222222222222222222";
/// The image of `golden` v3 on Azure and on Google.
pub(crate) const AZURE: &str =
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/golden-3";
pub(crate) const GOOGLE: &str = "golden-3";

/// Images of `odd`, which is revoked, on Azure, on Google and of a file.
pub(crate) const ODD_AZURE: &str =
    "/subscriptions/S1/resourceGroups/Images/providers/Microsoft.Compute/images/Odd";
pub(crate) const ODD_GOOGLE: &str = "web-server";
pub(crate) const ODD_FILE: &str = "base.txt";

/// Fills a registry with `odd`.
pub(crate) async fn fill_odd(registry: &dyn Registry) {
    bucket(registry, "odd").await;
    let images = [
        ("azure", "westeurope", ODD_AZURE),
        ("gce", "europe-west1-b", ODD_GOOGLE),
        ("file", "file", ODD_FILE),
    ];
    publish(registry, "odd", "odd1", &images, None).await;
    revoke(registry, "odd", "odd1", "0s", "odd").await;
}

/// A registry in a file.
pub(crate) async fn local(path: &Path) -> LocalRegistry {
    LocalRegistry::open(path).await.expect("the registry opens")
}

/// A server's registry, as its administrator sees it.
pub(crate) async fn remote(server: &Server) -> HttpRegistry {
    let env = |name: &str| server.env[name].clone();
    let url: reqwest::Url = server.url().parse().expect("a URL");
    let remote = Remote {
        api: url.clone(),
        token: url.join("/oauth2/token").expect("a URL"),
        api_insecure: true,
        auth_insecure: true,
        credentials: Credentials::Key {
            id: env("HCP_CLIENT_ID"),
            secret: env("HCP_CLIENT_SECRET"),
        },
        organization: Some(env("HCP_ORGANIZATION_ID")),
        project: Some(env("HCP_PROJECT_ID")),
    };
    HttpRegistry::connect(&remote, Arc::new(|_| ())).await.expect("the server answers")
}

/// An image on a platform, in a region.
type Image<'a> = (&'a str, &'a str, &'a str);

/// Publishes a version of a bucket that is there.
pub(crate) async fn publish(
    registry: &dyn Registry,
    bucket: &str,
    print: &str,
    images: &[Image<'_>],
    parent: Option<(&str, &str)>,
) -> Version {
    let body = CreateVersionBody { fingerprint: print.into(), template_type: TemplateType::Hcl2 };
    registry.create_version(bucket, &body).await.expect("a version");
    let mut platforms: Vec<&str> = images.iter().map(|image| image.0).collect();
    platforms.dedup();
    let mut builds = Vec::new();
    for platform in &platforms {
        let body =
            CreateBuildBody { component_type: format!("{platform}.golden"), ..Default::default() };
        builds.push(registry.create_build(bucket, print, &body).await.expect("a build"));
    }
    let (version, channel) = parent.unwrap_or_default();
    for (platform, build) in platforms.iter().zip(builds) {
        let own = images.iter().filter(|image| image.0 == *platform);
        let artifacts = own.map(|(_, region, id)| ArtifactCreateBody {
            external_identifier: (*id).into(),
            region: (*region).into(),
        });
        let body = UpdateBuildBody {
            status: BuildStatus::Done,
            platform: (*platform).into(),
            artifacts: artifacts.collect(),
            labels: [("os".to_owned(), "debian".to_owned())].into(),
            packer_run_uuid: "11111111-2222-4333-8444-555555555555".into(),
            parent_version_id: version.into(),
            parent_channel_id: channel.into(),
            ..Default::default()
        };
        registry.update_build(bucket, print, &build.id, &body).await.expect("it is done");
    }
    registry.get_version(bucket, print).await.expect("the version")
}

/// Makes a bucket.
pub(crate) async fn bucket(registry: &dyn Registry, name: &str) {
    let body = CreateBucketBody { name: name.into(), ..Default::default() };
    registry.create_bucket(&body).await.expect("a bucket");
}

/// Points a channel at a version.
pub(crate) async fn assign(
    registry: &dyn Registry,
    bucket: &str,
    channel: &str,
    print: &str,
) -> Channel {
    let body = UpdateChannelBody {
        update_mask: "versionFingerprint".into(),
        version_fingerprint: print.into(),
        ..Default::default()
    };
    registry.update_channel(bucket, channel, &body).await.expect("it is assigned")
}

/// Revokes a version: now, or in so long.
pub(crate) async fn revoke(
    registry: &dyn Registry,
    bucket: &str,
    print: &str,
    after: &str,
    why: &str,
) {
    let body = UpdateVersionBody {
        revoke_in: after.into(),
        revocation_message: why.into(),
        ..Default::default()
    };
    registry.update_version(bucket, print, &body).await.expect("it is revoked");
}

/// Fills a registry: `golden` with v1, which is revoked, v2, which `production` was at, v3, where
/// it is, and v4, which is in `staging` and to be revoked; and `web`, built from v2.
pub(crate) async fn fill(registry: &dyn Registry) {
    bucket(registry, "golden").await;
    let body = CreateChannelBody { name: "production".into(), ..Default::default() };
    let production = registry.create_channel("golden", &body).await.expect("a channel");
    let body = CreateChannelBody { name: "staging".into(), ..Default::default() };
    registry.create_channel("golden", &body).await.expect("a channel");
    let (eu, us) = ("eu-west-1", "us-east-1");
    let images = [("aws", eu, REVOKED), ("aws", us, REVOKED_EAST)];
    publish(registry, "golden", "one", &images, None).await;
    assign(registry, "golden", "production", "one").await;
    let images = [("aws", eu, OLD), ("azure", "westeurope", "/subscriptions/s/golden-2")];
    let second = publish(registry, "golden", "two", &images, None).await;
    assign(registry, "golden", "production", "two").await;
    bucket(registry, "web").await;
    let parent = Some((second.id.as_str(), production.id.as_str()));
    publish(registry, "web", "web1", &[("docker", "docker", CHILD)], parent).await;
    let images =
        [("aws", eu, CURRENT), ("azure", "westeurope", AZURE), ("gce", "europe-west1-b", GOOGLE)];
    publish(registry, "golden", "three", &images, None).await;
    assign(registry, "golden", "production", "three").await;
    publish(registry, "golden", "four", &[("aws", eu, SCHEDULED)], None).await;
    assign(registry, "golden", "staging", "four").await;
    revoke(registry, "golden", "four", "30d", "end of life").await;
    revoke(registry, "golden", "one", "0s", "CVE-2026-1234 in openssl").await;
}

//! Packer itself publishes to the server and reads back what it published.
//!
//! Packer is what `INGOT_PEER` names, else `packer` in `PATH`; it must be 1.10 or newer, which
//! speaks the API of 2023-01-01, and have its docker plugin.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use ingot_test_support::registry_server::Server;
use ingot_test_support::{BASE, Run, docker, program, require};

/// Packer, if there is one that can do it.
fn peer() -> Option<PathBuf> {
    peer_since((1, 10))
}

/// Packer, if there is one of this version or a newer one.
fn peer_since(least: (u32, u32)) -> Option<PathBuf> {
    let path = std::env::var_os("INGOT_PEER").unwrap_or_else(|| "packer".into());
    let output = Command::new(&path).arg("version").env("CHECKPOINT_DISABLE", "1").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    let version = text.lines().next().and_then(|line| line.strip_prefix("Packer v"));
    let mut numbers = version.unwrap_or("0.0").split('.').map(|it| it.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < least {
        // Debian's is 1.6.6, so CI has no such Packer either.
        eprintln!("skipped: there is no Packer {}.{} or newer (set INGOT_PEER)", least.0, least.1);
        return None;
    }
    Some(path.into())
}

/// Runs Packer on a template, with what the server told its user to set.
fn packer(packer: &Path, server: &Server, home: &Path, template: &str, fingerprint: &str) -> Run {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("t.pkr.hcl"), template).expect("the template is written");
    let config = std::env::var("PACKER_CONFIG_DIR").or_else(|_| std::env::var("HOME"));
    let config = config.unwrap_or_default();
    let mut env: Vec<(&str, &str)> =
        server.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // Go's library keeps tokens in the home.
    let home = home.to_str().expect("a plain name");
    env.extend([("HOME", home), ("PACKER_CONFIG_DIR", &config), ("CHECKPOINT_DISABLE", "1")]);
    env.push(("HCP_PACKER_BUILD_FINGERPRINT", fingerprint));
    let packer = packer.to_str().expect("a plain name");
    program(packer, dir.path(), &["build", "-color=false", "."], &env)
}

#[tokio::test(flavor = "multi_thread")]
async fn packer_publishes_and_reads_back() {
    let peer = require!(peer());
    require!(docker());
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(&dir.path().join("data"), &[]);
    let admin = server.admin().await;
    let home = dir.path().join("home");
    std::fs::create_dir(&home).expect("a home");

    let base = r#"
source "docker" "one" {
  image  = "@BASE@"
  pull   = false
  commit = true
}
source "docker" "two" {
  image  = "@BASE@"
  pull   = false
  commit = true
}
build {
  hcp_packer_registry {
    bucket_name   = "base"
    description   = "A base of two"
    bucket_labels = { team = "images" }
    build_labels  = { os = "debian" }
  }
  sources = ["source.docker.one", "source.docker.two"]
  provisioner "shell" {
    inline = ["echo one > /one"]
  }
}
"#
    .replace("@BASE@", BASE);
    let run = packer(&peer, &server, &home, &base, "print-1");
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("packer/base/versions/"), "{}", run.stdout);
    let bucket = admin.get("/buckets/base").await["bucket"].clone();
    assert_eq!(bucket["description"], "A base of two");
    assert_eq!(bucket["labels"]["team"], "images");
    assert_eq!(bucket["platforms"], json!(["docker"]));
    let version = admin.get("/buckets/base/versions/print-1").await["version"].clone();
    assert_eq!(version["name"], "v1");
    assert_eq!(version["status"], "VERSION_ACTIVE");
    assert_eq!(version["builds"].as_array().map(Vec::len), Some(2), "{version}");
    for build in version["builds"].as_array().expect("builds") {
        assert_eq!(build["status"], "BUILD_DONE");
        assert_eq!(build["labels"]["os"], "debian");
        let image = build["artifacts"][0]["external_identifier"].as_str().expect("an image");
        assert!(image.starts_with("sha256:"), "{image}");
        assert!(build["metadata"]["packer"]["version"].is_string(), "{build}");
    }
    // The same again is refused by Packer, as the version is complete.
    let run = packer(&peer, &server, &home, &base, "print-1");
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("is complete"), "{}{}", run.stdout, run.stderr);

    // A build that fails leaves its version open, and the next run builds only what is missing.
    let broken = base.replace("echo one > /one", "test -e /go || exit 3");
    let broken = broken.replace("inline = [", "only   = [\"docker.two\"]\n    inline = [");
    let run = packer(&peer, &server, &home, &broken, "print-2");
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    let version = admin.get("/buckets/base/versions/print-2").await["version"].clone();
    assert_eq!(version["status"], "VERSION_FAILED", "{version}");
    let run = packer(&peer, &server, &home, &base, "print-2");
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let version = admin.get("/buckets/base/versions/print-2").await["version"].clone();
    assert_eq!(version["name"], "v2", "{version}");

    // Read back, and built upon.
    admin
        .post("/buckets/base/channels", json!({ "name": "prod", "version_fingerprint": "print-1" }))
        .await;
    let child = r#"
data "hcp-packer-version" "base" {
  bucket_name  = "base"
  channel_name = "prod"
}
data "hcp-packer-artifact" "base" {
  bucket_name    = "base"
  channel_name   = "prod"
  platform       = "docker"
  region         = "@REGION@"
  component_type = "docker.one"
}
data "hcp-packer-iteration" "older" {
  bucket_name = "base"
  channel     = "prod"
}
data "hcp-packer-image" "older" {
  bucket_name    = "base"
  iteration_id   = data.hcp-packer-iteration.older.id
  cloud_provider = "docker"
  region         = "@REGION@"
  component_type = "docker.one"
}
source "docker" "app" {
  image  = data.hcp-packer-artifact.base.external_identifier
  pull   = false
  commit = true
}
build {
  hcp_packer_registry {
    bucket_name = "app"
  }
  sources = ["source.docker.app"]
  provisioner "shell-local" {
    inline = [
      "echo the base is ${data.hcp-packer-version.base.name}",
      "echo its image is ${data.hcp-packer-image.older.id}",
    ]
  }
}
"#;
    let region = version["builds"][0]["artifacts"][0]["region"].as_str().expect("a region");
    let child = child.replace("@REGION@", region);
    let run = packer(&peer, &server, &home, &child, "app-1");
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("the base is v1"), "{}", run.stdout);
    assert!(run.stdout.contains("its image is sha256:"), "{}", run.stdout);
    let ancestry = admin.get("/buckets/app/ancestry?type=ANCESTRY_TYPE_PARENTS").await;
    let relation = &ancestry["relations"][0];
    assert_eq!(relation["parent"]["version_fingerprint"], "print-1", "{ancestry}");
    assert_eq!(relation["parent"]["channel_name"], "prod", "{ancestry}");
    assert_eq!(relation["status"], "UP_TO_DATE");

    // What is revoked must not be built upon.
    let body = json!({ "revoke_in": "0s", "disable_rollback_channels": true });
    admin.patch("/buckets/base/versions/print-1", body).await;
    let run = packer(&peer, &server, &home, &child, "app-2");
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("revoked"), "{}{}", run.stdout, run.stderr);
}

/// What a registry enforces is run by Packer, and an SBOM that Packer uploads is kept.
#[tokio::test(flavor = "multi_thread")]
async fn packer_runs_enforced_blocks_and_uploads_sboms() {
    let peer = require!(peer_since((1, 16)));
    require!(docker());
    let installed = Command::new(&peer).args(["plugins", "installed"]).output();
    let installed = installed.expect("Packer can be run").stdout;
    if !String::from_utf8_lossy(&installed).contains("packer-plugin-docker") {
        eprintln!("skipped: Packer has no docker plugin");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(&dir.path().join("data"), &[]);
    let admin = server.admin().await;
    let home = dir.path().join("home");
    std::fs::create_dir(&home).expect("a home");
    admin.put("/buckets", json!({ "name": "base" })).await;
    let content = "provisioner \"shell\" {\n  inline = [\"echo ran > /enforced\"]\n}\n";
    let body = json!({ "name": "harden", "block_content": content, "template_type": "HCL2" });
    let block = admin.put("/enforced_blocks", body).await["enforced_block"].clone();
    let id = |value: &serde_json::Value| value.as_str().expect("an id").to_owned();
    let (block, version) = (id(&block["id"]), id(&block["latest_version"]["id"]));
    let links = format!("/enforced_blocks/{block}/versions/{version}/buckets");
    admin.post(&links, json!({ "bucket_names": ["base"] })).await;

    let sbom = r#"{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"components":[]}"#;
    let template = r#"
source "docker" "one" {
  image  = "@BASE@"
  pull   = false
  commit = true
}
hcp_packer_registry {
  bucket_name = "base"
}
build {
  sources = ["source.docker.one"]
  provisioner "shell" {
    inline = ["test ! -e /enforced", "printf '%s' '@SBOM@' > /bom.json"]
  }
  provisioner "hcp-sbom" {
    source    = "/bom.json"
    sbom_name = "packages"
  }
}
"#;
    let template = template.replace("@BASE@", BASE).replace("@SBOM@", &sbom.replace('"', "\\\""));
    let run = packer(&peer, &server, &home, &template, "print");
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let loaded = "Loaded 1 enforced provisioner(s) from HCP block \"harden\"";
    assert!(run.stdout.contains(loaded), "{}", run.stdout);
    let version = admin.get("/buckets/base/versions/print").await["version"].clone();
    let (image, build) = (&version["builds"][0]["artifacts"][0], id(&version["builds"][0]["id"]));
    let image = image["external_identifier"].as_str().expect("an image");
    let ran = program("docker", dir.path(), &["run", "--rm", image, "cat", "/enforced"], &[]);
    assert_eq!(ran.stdout, "ran\n", "{}", ran.stderr);
    let path = format!("/buckets/base/versions/print/builds/{build}/sboms/packages");
    let url = admin.get(&path).await["download_url"].as_str().expect("a URL").to_owned();
    let got = server.client().get(url).send().await.expect("it answers");
    assert_eq!(got.text().await.expect("a document"), sbom);
}

//! Terraform's provider `hcp` reads what was published and sets channels, through OpenTofu or
//! Terraform.
//!
//! `INGOT_TOFU` names the program, `INGOT_TERRAFORM_PROVIDER_HCP` the provider's.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::{Value, json};

use ingot_test_support::program;
use ingot_test_support::registry_server::Server;

const CONFIGURATION: &str = r#"
terraform {
  required_providers {
    hcp = { source = "hashicorp/hcp" }
  }
}
provider "hcp" {}
data "hcp_packer_version" "latest" {
  bucket_name  = "base"
  channel_name = "latest"
}
data "hcp_packer_artifact" "latest" {
  bucket_name  = "base"
  channel_name = "latest"
  platform     = "docker"
  region       = "docker"
}
data "hcp_packer_bucket_names" "all" {}
resource "hcp_packer_channel" "prod" {
  bucket_name = "base"
  name        = "prod"
}
# The registry's own, which is adopted.
resource "hcp_packer_channel" "latest" {
  bucket_name = "base"
  name        = "latest"
  restricted  = true
}
resource "hcp_packer_channel_assignment" "prod" {
  bucket_name         = "base"
  channel_name        = hcp_packer_channel.prod.name
  version_fingerprint = data.hcp_packer_version.latest.fingerprint
}
output "version" { value = data.hcp_packer_version.latest.name }
output "image" { value = data.hcp_packer_artifact.latest.external_identifier }
output "names" { value = join(",", data.hcp_packer_bucket_names.all.names) }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_reads_and_promotes() {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let tofu = variable("INGOT_TOFU");
    let Some((tofu, provider)) = tofu.zip(variable("INGOT_TERRAFORM_PROVIDER_HCP")) else {
        // Neither is in Debian.
        eprintln!("skipped: INGOT_TOFU and INGOT_TERRAFORM_PROVIDER_HCP are not set");
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(&dir.path().join("data"), &[]);
    let admin = server.admin().await;
    admin.put("/buckets", json!({ "name": "base" })).await;
    admin.publish("base", "f1", None).await;

    let path = dir.path();
    std::fs::write(path.join("main.tf"), CONFIGURATION).expect("it is written");
    let directory = provider.parent().expect("a directory").display();
    let cli = format!(
        "provider_installation {{\n  dev_overrides {{ \"hashicorp/hcp\" = \"{directory}\" }}\n  \
         direct {{}}\n}}\n"
    );
    std::fs::write(path.join("cli.tfrc"), cli).expect("it is written");
    let cli = path.join("cli.tfrc");
    let mut env: Vec<(&str, &str)> =
        server.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    env.extend([
        ("TF_CLI_CONFIG_FILE", cli.to_str().expect("a plain name")),
        ("HOME", path.to_str().expect("a plain name")),
        ("CHECKPOINT_DISABLE", "1"),
    ]);
    let tofu = tofu.to_str().expect("a plain name");
    let run = |args: &[&str]| program(tofu, path, args, &env);
    let apply = run(&["apply", "-auto-approve", "-no-color"]);
    assert_eq!(apply.code, Some(0), "{}{}", apply.stdout, apply.stderr);
    for output in ["version = \"v1\"", "image = \"sha256:f1\"", "names = \"base\""] {
        assert!(apply.stdout.contains(output), "{}", apply.stdout);
    }
    let prod = admin.get("/buckets/base/channels/prod").await;
    assert_eq!(prod["channel"]["version"]["name"], "v1");
    let latest = admin.get("/buckets/base/channels/latest").await;
    assert_eq!(latest["channel"]["restricted"], true);
    let plan = run(&["plan", "-no-color", "-detailed-exitcode"]);
    assert_eq!(plan.code, Some(0), "something differs: {}{}", plan.stdout, plan.stderr);
    let destroy = run(&["destroy", "-auto-approve", "-no-color"]);
    assert_eq!(destroy.code, Some(0), "{}{}", destroy.stdout, destroy.stderr);
    let gone = admin.call(Method::GET, "/buckets/base/channels/prod", Value::Null).await;
    assert_eq!(gone.0, 404);
}

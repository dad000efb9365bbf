//! Plans made by Terraform and OpenTofu themselves, and their provider for HCP against the server.
//!
//! Terraform is what `INGOT_TERRAFORM` names, else `terraform` in `PATH`; OpenTofu is what
//! `INGOT_TOFU` names, else `tofu`; the provider is the binary that `INGOT_TERRAFORM_PROVIDER_HCP` names. What
//! is not there is skipped: none of them is Debian's.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::plans::SECRET;
use crate::stock::{self, CURRENT, OLD, REVOKED, STRANGE};
use ingot_test_support::registry_server::Server;
use ingot_test_support::{Run, ingot_with, program};

/// The programs that are there, with the registry that each gets its providers from.
fn programs() -> Vec<(PathBuf, &'static str)> {
    let mut found = Vec::new();
    for (variable, name, registry) in [
        ("INGOT_TERRAFORM", "terraform", "registry.terraform.io"),
        ("INGOT_TOFU", "tofu", "registry.opentofu.org"),
    ] {
        let path = std::env::var_os(variable).unwrap_or_else(|| name.into());
        let run = std::process::Command::new(&path)
            .arg("version")
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_CLI_CONFIG_FILE", "/dev/null")
            .output();
        match run {
            Ok(output) if output.status.success() => found.push((path.into(), registry)),
            _ => eprintln!("skipped: there is no {name} (set {variable})"),
        }
    }
    found
}

/// The provider for HCP.
fn provider() -> Option<PathBuf> {
    let path = std::env::var_os("INGOT_TERRAFORM_PROVIDER_HCP")
        .map(PathBuf::from)
        .filter(|it| it.exists());
    if path.is_none() {
        eprintln!("skipped: there is no provider for HCP (set INGOT_TERRAFORM_PROVIDER_HCP)");
    }
    path
}

/// A configuration, and a program to use it with.
struct Workspace {
    dir: tempfile::TempDir,
    program: String,
    env: Vec<(String, String)>,
}

impl Workspace {
    fn new(program: &Path, registry: &str, provider: Option<&Path>) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mirror = dir.path().join("mirror");
        let place = mirror.join(registry).join("hashicorp/hcp/0.0.1/linux_amd64");
        std::fs::create_dir_all(&place).expect("a mirror");
        if let Some(provider) = provider {
            let to = place.join("terraform-provider-hcp_v0.0.1");
            std::os::unix::fs::symlink(provider, to).expect("a link");
        }
        let config = format!(
            "provider_installation {{\n  filesystem_mirror {{\n    path = {:?}\n  }}\n}}\n",
            mirror.display().to_string()
        );
        std::fs::write(dir.path().join("terraformrc"), config).expect("it is written");
        let path = |name: &str| dir.path().join(name).display().to_string();
        let env = vec![
            ("TF_CLI_CONFIG_FILE".into(), path("terraformrc")),
            ("HOME".into(), path("")),
            ("CHECKPOINT_DISABLE".into(), "1".into()),
            ("TF_IN_AUTOMATION".into(), "1".into()),
        ];
        Workspace { program: program.display().to_string(), dir, env }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        std::fs::write(path, text).expect("it is written");
    }

    fn run(&self, args: &[&str]) -> Run {
        let env: Vec<(&str, &str)> =
            self.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        program(&self.program, self.dir.path(), args, &env)
    }

    fn ok(&self, args: &[&str]) -> String {
        let run = self.run(args);
        assert_eq!(run.code, Some(0), "{} {args:?}: {}{}", self.program, run.stdout, run.stderr);
        run.stdout
    }

    /// Makes a plan, saved as `tfplan` and as JSON.
    fn plan(&self) {
        self.ok(&["plan", "-input=false", "-no-color", "-out=tfplan"]);
        let json = self.ok(&["show", "-json", "tfplan"]);
        self.write("plan.json", &json);
    }

    fn outputs(&self) -> Value {
        serde_json::from_str(&self.ok(&["output", "-json"])).expect("JSON")
    }

    /// Checks a plan with the registry that the environment, or more of it, names.
    fn check(&self, args: &[&str], more: &[(&str, &str)]) -> Run {
        let mut env: Vec<(&str, &str)> =
            self.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        env.extend(more);
        ingot_with(self.dir.path(), &[&["registry", "check"], args].concat(), &env)
    }
}

/// What can be planned without any provider.
const BUILTIN: &str = r#"
variable "secret" {
  sensitive = true
}

module "fleet" {
  source   = "./fleet"
  for_each = { "eu.1" = "REVOKED", us = "CURRENT" }
  image    = each.value
}

resource "terraform_data" "hidden" {
  input = [var.secret, sensitive("STRANGE")]
}

resource "terraform_data" "late" {
  input = { image = module.fleet["us"].image, more = [{ image = "OLD" }] }
}

resource "terraform_data" "moved" {
  input            = "CURRENT"
  triggers_replace = ["STRANGE"]
}
"#;

const FLEET: &str = r#"
variable "image" {}

resource "terraform_data" "vm" {
  count = 2
  input = "${var.image}"
}

output "image" {
  value = terraform_data.vm[0].output
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn real_plans_are_read() {
    for (path, registry) in programs() {
        let work = Workspace::new(&path, registry, None);
        let text = [("REVOKED", REVOKED), ("CURRENT", CURRENT), ("STRANGE", STRANGE), ("OLD", OLD)]
            .iter()
            .fold(BUILTIN.to_owned(), |text, (name, image)| text.replace(name, image));
        work.write("main.tf", &text);
        work.write("fleet/main.tf", FLEET);
        work.write("terraform.tfvars", &format!("secret = \"{SECRET}\"\n"));
        let file = work.dir.path().join("registry.db");
        stock::fill(&stock::local(&file).await).await;
        let file = file.to_str().expect("a plain name");
        let local = [("INGOT_REGISTRY", file)];
        work.ok(&["init", "-input=false", "-no-color"]);
        work.plan();

        let run = work.check(&["-json", "plan.json"], &local);
        assert_eq!(run.code, Some(2), "{}{}", run.stdout, run.stderr);
        let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
        let images = report["plans"][0]["images"].as_array().expect("images");
        let mut found: Vec<(String, String)> = images
            .iter()
            .map(|image| {
                let text = |name: &str| image[name].as_str().expect("text").to_owned();
                (format!("{}.{}", text("address"), text("attribute")), text("status"))
            })
            .collect();
        found.sort();
        let vm = |key: &str, index: usize| {
            format!("module.fleet[\"{key}\"].terraform_data.vm[{index}].input")
        };
        let mut expected = vec![
            (vm("eu.1", 0), "revoked"),
            (vm("eu.1", 1), "revoked"),
            (vm("us", 0), "fine"),
            (vm("us", 1), "fine"),
            ("terraform_data.late.input.more[0].image".into(), "outdated"),
            ("terraform_data.moved.input".into(), "fine"),
            ("terraform_data.moved.triggers_replace[0]".into(), "untracked"),
        ];
        expected.sort();
        let found: Vec<(String, &str)> =
            found.iter().map(|(place, status)| (place.clone(), status.as_str())).collect();
        assert_eq!(found, expected, "{}", work.program);
        assert!(!run.stdout.contains(SECRET) && !run.stderr.contains(SECRET));

        // The saved plan itself, its log, and the state have errors of their own.
        let run = work.check(&["tfplan"], &local);
        assert!(
            run.code == Some(1) && run.stderr.contains("terraform show -json"),
            "{}",
            run.stderr
        );
        let log = work.ok(&["plan", "-json", "-input=false"]);
        work.write("log.json", &log);
        let run = work.check(&["log.json"], &local);
        assert!(run.code == Some(1) && run.stderr.contains("-out=tfplan"), "{}", run.stderr);
        work.ok(&["apply", "-input=false", "-no-color", "tfplan"]);
        let state = work.ok(&["show", "-json"]);
        work.write("state.json", &state);
        let run = work.check(&["state.json"], &local);
        assert!(run.code == Some(1) && run.stderr.contains("a state"), "{}", run.stderr);

        // What has the image already does not block other changes.
        work.plan();
        let run = work.check(&["plan.json"], &local);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains("has it already"), "{}", run.stdout);
    }
}

/// All that the provider has of a registry.
const HCP: &str = r#"
terraform {
  required_providers {
    hcp = { source = "hashicorp/hcp" }
  }
}

provider "hcp" {
  skip_status_check = true
}

data "hcp_packer_version" "base" {
  bucket_name  = "golden"
  channel_name = "production"
}

data "hcp_packer_artifact" "by_version" {
  bucket_name         = "golden"
  version_fingerprint = data.hcp_packer_version.base.fingerprint
  platform            = "aws"
  region              = "eu-west-1"
}

data "hcp_packer_artifact" "by_channel" {
  bucket_name  = "golden"
  channel_name = "production"
  platform     = "azure"
  region       = "westeurope"
}

data "hcp_packer_artifact" "by_labels" {
  bucket_name  = "golden"
  channel_name = "production"
  platform     = "aws"
  region       = "eu-west-1"
  labels       = { os = "debian" }
}

data "hcp_packer_bucket_names" "all" {}

data "hcp_packer_run_task" "task" {}

resource "terraform_data" "vm" {
  input = data.hcp_packer_artifact.by_version.external_identifier
}

output "image" {
  value = data.hcp_packer_artifact.by_version.external_identifier
}

output "version" {
  value = data.hcp_packer_version.base
}

output "azure" {
  value = data.hcp_packer_artifact.by_channel.external_identifier
}

output "labels" {
  value = data.hcp_packer_artifact.by_labels
}

output "buckets" {
  value = data.hcp_packer_bucket_names.all.names
}

output "task" {
  value     = data.hcp_packer_run_task.task
  sensitive = true
}
"#;

const RESOURCES: &str = r#"
resource "hcp_packer_bucket" "made" {
  name = "made-by-terraform"
}

resource "hcp_packer_channel" "own" {
  bucket_name = hcp_packer_bucket.made.name
  name        = "own"
}

resource "hcp_packer_channel" "release" {
  bucket_name = "golden"
  name        = "release"
  restricted  = true
}

resource "hcp_packer_channel_assignment" "release" {
  bucket_name         = hcp_packer_channel.release.bucket_name
  channel_name        = hcp_packer_channel.release.name
  version_fingerprint = "FINGERPRINT"
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_for_hcp_reads_and_changes_the_registry() {
    let Some(provider) = provider() else { return };
    for (path, registry) in programs() {
        with_provider(&path, registry, &provider).await;
    }
}

async fn with_provider(path: &Path, registry: &str, provider: &Path) {
    let mut work = Workspace::new(path, registry, Some(provider));
    let server = Server::start(&work.dir.path().join("data"), &[]);
    let stock = stock::remote(&server).await;
    stock::fill(&stock).await;
    let admin = server.admin().await;
    work.env.extend(server.env.clone());
    work.write("main.tf", HCP);
    work.write("resources.tf", &RESOURCES.replace("FINGERPRINT", "two"));
    work.ok(&["init", "-input=false", "-no-color"]);
    work.plan();

    // A plan with the provider's data sources: the image came from the channel.
    let run = work.check(&["-json", "plan.json"], &[]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let images = report["plans"][0]["images"].as_array().expect("images").clone();
    let of = |address: &str| {
        let found = images.iter().find(|image| image["address"] == address);
        found.unwrap_or_else(|| panic!("{address}: {}", run.stdout)).clone()
    };
    let vm = of("terraform_data.vm");
    assert_eq!(
        (&vm["status"], &vm["image"], &vm["channel"]),
        (&"fine".into(), &CURRENT.into(), &"production".into())
    );
    assert_eq!(of("data.hcp_packer_version.base")["version"], "v3");
    let key =
        admin.get("/runtasks/validation").await["hmac_key"].as_str().expect("a key").to_owned();
    assert!(!run.stdout.contains(&key), "the plan's HMAC key is shown");

    work.ok(&["apply", "-input=false", "-no-color", "tfplan"]);
    let outputs = work.outputs();
    let value = |name: &str| outputs[name]["value"].clone();
    assert_eq!(value("image"), CURRENT);
    assert_eq!(value("azure"), stock::AZURE);
    assert_eq!(
        (&value("version")["name"], &value("version")["fingerprint"]),
        (&"v3".into(), &"three".into())
    );
    assert_eq!(value("labels")["external_identifier"], CURRENT);
    assert_eq!(value("labels")["labels"]["os"], "debian");
    assert_eq!(value("buckets"), json!(["golden", "web"]));
    assert_eq!(value("task")["hmac_key"], key.as_str());
    assert!(value("task")["endpoint_url"].as_str().expect("a URL").contains("/run-tasks/"));
    let bucket = admin.get("/buckets/made-by-terraform").await;
    assert_eq!(bucket["bucket"]["name"], "made-by-terraform");
    let release = admin.get("/buckets/golden/channels/release").await;
    let release = &release["channel"];
    assert_eq!((&release["version"]["name"], &release["restricted"]), (&"v2".into(), &true.into()));
    // Only the names of the buckets have changed since.
    work.ok(&["apply", "-input=false", "-no-color", "-auto-approve", "-refresh-only"]);
    work.ok(&["plan", "-input=false", "-no-color", "-detailed-exitcode"]);

    // A channel is moved and cleared.
    work.write("resources.tf", &RESOURCES.replace("FINGERPRINT", "three"));
    work.ok(&["apply", "-input=false", "-no-color", "-auto-approve"]);
    let release = admin.get("/buckets/golden/channels/release").await;
    assert_eq!(release["channel"]["version"]["name"], "v3");
    work.write("resources.tf", &RESOURCES.replace("FINGERPRINT", "none"));
    work.ok(&["apply", "-input=false", "-no-color", "-auto-approve"]);
    let release = admin.get("/buckets/golden/channels/release").await;
    assert_eq!(release["channel"]["version"], Value::Null);

    // The key is changed by Terraform.
    work.write(
        "task.tf",
        "resource \"hcp_packer_run_task\" \"task\" {\n  regenerate_hmac = true\n}\n",
    );
    work.ok(&["apply", "-input=false", "-no-color", "-auto-approve"]);
    assert_ne!(admin.get("/runtasks/validation").await["hmac_key"], key.as_str());
    work.write("task.tf", "");

    // A plan made before its image was revoked is stopped.
    work.write("more.tf", "resource \"terraform_data\" \"new\" {\n  input = data.hcp_packer_artifact.by_version.external_identifier\n}\n");
    work.plan();
    assert_eq!(work.check(&["plan.json"], &[]).code, Some(0));
    work.ok(&["plan", "-destroy", "-input=false", "-no-color", "-out=gone"]);
    let gone = work.ok(&["show", "-json", "gone"]);
    work.write("gone.json", &gone);
    stock::revoke(&stock, "golden", "three", "0s", "CVE-2026-9").await;
    let run = work.check(&["plan.json"], &[]);
    assert_eq!(run.code, Some(2), "{}{}", run.stdout, run.stderr);
    let line = "FAIL  terraform_data.new.input";
    assert!(run.stdout.contains(line), "{}", run.stdout);
    let line = "FAIL  data.hcp_packer_artifact.by_version";
    assert!(run.stdout.contains(line), "{}", run.stdout);
    // What takes all of it away is not, though it has what the data sources read.
    let run = work.check(&["gone.json"], &[]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let line = "WARN  data.hcp_packer_artifact.by_version";
    assert!(run.stdout.contains(line), "{}", run.stdout);
    // The channel was rolled back: a new plan has the version before.
    work.plan();
    let run = work.check(&["plan.json"], &[]);
    assert!(!run.stdout.contains("FAIL  terraform_data.new"), "{}", run.stdout);

    work.ok(&["destroy", "-input=false", "-no-color", "-auto-approve"]);
    let gone = admin.call(reqwest::Method::GET, "/buckets/made-by-terraform", Value::Null).await;
    assert_eq!(gone.0, 404, "{}", gone.1);
}

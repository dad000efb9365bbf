//! `ingot registry check`, with the registry in a file and behind a server.

use std::collections::BTreeMap;
use std::path::Path;

use ingot_registry::client::Registry;
use serde_json::Value;

use crate::plans::{self, SECRET, SENSITIVE};
use crate::stock::{self, CURRENT, OLD, REVOKED, SCHEDULED, STRANGE};
use ingot_test_support::registry_server::Server;
use ingot_test_support::{Run, ingot_with};

/// A registry to check against, and the environment that names it.
pub(crate) struct World {
    pub dir: tempfile::TempDir,
    env: Vec<(String, String)>,
    server: Option<Server>,
}

impl World {
    pub(crate) async fn local() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("registry.db");
        stock::fill(&stock::local(&file).await).await;
        let env = vec![("INGOT_REGISTRY".into(), file.display().to_string())];
        World { dir, env, server: None }
    }

    pub(crate) async fn served() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let server = Server::start(&dir.path().join("data"), &[]);
        stock::fill(&stock::remote(&server).await).await;
        let env = server.env.clone().into_iter().collect();
        World { dir, env, server: Some(server) }
    }

    /// The registry that is checked against.
    pub(crate) async fn registry(&self) -> Box<dyn Registry> {
        match &self.server {
            Some(server) => Box::new(stock::remote(server).await),
            None => Box::new(stock::local(&self.dir.path().join("registry.db")).await),
        }
    }

    pub(crate) fn write(&self, name: &str, plan: &Value) {
        let text = serde_json::to_string(plan).expect("JSON");
        std::fs::write(self.dir.path().join(name), text).expect("the plan is written");
    }

    pub(crate) fn check(&self, args: &[&str]) -> Run {
        let home = self.dir.path().to_str().expect("a plain name");
        let mut env: Vec<(&str, &str)> =
            self.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        env.push(("HOME", home));
        ingot_with(self.dir.path(), &[&["registry", "check"], args].concat(), &env)
    }
}

/// The findings of one plan by where they are.
pub(crate) fn by_place(report: &Value) -> BTreeMap<String, Value> {
    let images = report["plans"][0]["images"].as_array().expect("images");
    let place = |image: &Value| {
        let part = |name: &str| image[name].as_str().expect("text").to_owned();
        format!("{}.{}", part("address"), part("attribute"))
    };
    images.iter().map(|image| (place(image), image.clone())).collect()
}

pub(crate) fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}{}", run.stdout, run.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_checked_against_a_file() {
    images_are_told_apart(&World::local().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_checked_against_a_server() {
    images_are_told_apart(&World::served().await);
}

fn images_are_told_apart(world: &World) {
    world.write("plan.json", &plans::simple());
    let run = world.check(&["plan.json"]);
    assert_eq!(run.code, Some(2), "{}{}", run.stdout, run.stderr);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines[0], "plan.json: 4 images: 1 revoked, 1 outdated, 1 untracked, 1 fine");
    assert_eq!(lines[1], "  FAIL  aws_instance.bad.ami (eu-west-1)");
    assert!(
        lines[2].contains(&format!("{REVOKED} is golden v1, which was revoked at 20")),
        "{lines:?}"
    );
    assert!(lines[2].ends_with(": CVE-2026-1234 in openssl"), "{lines:?}");
    assert_eq!(lines[3].trim(), format!("channel production is at v3: use {CURRENT}"));
    assert_eq!(lines[4], "  WARN  aws_instance.old.ami (eu-west-1)");
    assert_eq!(lines[5].trim(), format!("{OLD} is golden v2, and channel production is at v3"));
    assert_eq!(lines[7], "  WARN  aws_instance.strange.ami");
    assert!(lines[8].contains(&format!("{STRANGE} is not in the registry")), "{lines:?}");
    assert_eq!(lines[9], "  ok    aws_instance.good.ami");

    let report = json(&world.check(&["-json", "plan.json"]));
    assert_eq!(report["result"], "fail");
    assert_eq!(report["plans"][0]["counts"]["revoked"], 1);
    let bad = &by_place(&report)["aws_instance.bad.ami"];
    assert_eq!(bad["status"], "revoked");
    assert_eq!((&bad["bucket"], &bad["version"]), (&"golden".into(), &"v1".into()));
    assert_eq!((&bad["fingerprint"], &bad["platform"]), (&"one".into(), &"aws".into()));
    assert_eq!(bad["replacement"]["image"], CURRENT);

    // Without the revoked one it is advice, unless it is asked for more.
    let mut plan = plans::simple();
    plan["resource_changes"].as_array_mut().expect("changes").remove(1);
    world.write("better.json", &plan);
    assert_eq!(world.check(&["better.json"]).code, Some(0));
    assert_eq!(world.check(&["-outdated=fail", "better.json"]).code, Some(2));
    assert_eq!(world.check(&["-untracked", "fail", "better.json"]).code, Some(2));
    let run = world.check(&["-untracked=ignore", "-outdated=ignore", "better.json"]);
    assert_eq!((run.code, run.stdout.matches("  ok  ").count()), (Some(0), 3), "{}", run.stdout);
    // One of several is enough.
    assert_eq!(world.check(&["better.json", "plan.json"]).code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_counts_and_unknown_values() {
    let world = World::local().await;
    world.write("plan.json", &plans::large());
    let run = world.check(&["-json", "plan.json"]);
    assert_eq!(run.code, Some(2), "{}{}", run.stdout, run.stderr);
    let report = json(&run);
    let found = by_place(&report);
    let is = |place: &str, status: &str, level: &str| {
        let image = found.get(place).unwrap_or_else(|| panic!("{place} in {:#?}", found.keys()));
        assert_eq!(
            (&image["status"], &image["level"]),
            (&status.into(), &level.into()),
            "{image:#}"
        );
        image.clone()
    };
    is("module.app[\"eu.1\"].module.tier.aws_instance.fleet[1].ami", "revoked", "fail");
    let late = is("module.late.aws_instance.fleet[0].ami", "fine", "pass");
    assert_eq!((&late["image"], &late["version"]), (&Value::Null, &"v3".into()));
    // By the provider's configuration, through a variable.
    assert_eq!(late["region"], "eu-west-1");
    is("data.hcp_packer_artifact.late.external_identifier", "fine", "pass");
    let changed = is("aws_launch_template.changed.image_id", "revoked", "fail");
    assert_eq!(changed["region"], "us-east-1");
    // There is no image of v3 in us-east-1.
    assert_eq!(changed["replacement"]["image"], Value::Null);
    let kept = is("aws_launch_template.kept.image_id", "revoked", "warn");
    assert!(kept["message"].as_str().expect("text").ends_with("has it already"), "{kept}");
    let google = "google_compute_instance.vm[\"a\"].boot_disk[0].initialize_params[0].image";
    assert_eq!(is(google, "fine", "pass")["region"], "europe-west1-b");
    let child = is("helm_release.web.set[0].value", "outdated", "warn");
    let message = child["message"].as_str().expect("text");
    assert!(
        message.contains("is web v1, built from golden v2, whose channel production is at v3"),
        "{message}"
    );
    let scheduled = is("aws_instance.by_channel.ami", "revocation_scheduled", "warn");
    assert_eq!(scheduled["image"], SCHEDULED);
    is("module.only_planned.azurerm_linux_virtual_machine.v.source_image_id", "fine", "pass");
    is("data.hcp_packer_version.base.fingerprint", "outdated", "warn");
    let base = is("data.hcp_packer_artifact.base.external_identifier", "outdated", "warn");
    assert_eq!(base["channel"], "production");
    let hidden = is("aws_instance.hidden.ami", "untracked", "warn");
    assert_eq!((&hidden["image"], &hidden["sensitive"]), (&Value::Null, &true.into()));
    assert_eq!(found.len(), 12, "{:#?}", found.keys());

    // What is sensitive is nowhere, in whatever form.
    for form in [&["plan.json"][..], &["-json", "plan.json"], &["-sarif", "plan.json"]] {
        let run = world.check(form);
        for hidden in [SECRET, SENSITIVE] {
            assert!(!run.stdout.contains(hidden) && !run.stderr.contains(hidden), "{form:?}");
        }
    }
    assert_eq!(world.check(&["-existing=fail", "plan.json"]).code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_use_does_not_block_other_changes() {
    let world = World::local().await;
    let kept = serde_json::json!({ "ami": REVOKED });
    let no_op =
        plans::change("aws_instance.x", "aws_instance", &["no-op"], kept.clone(), kept.clone());
    world.write("plan.json", &plans::plan(vec![no_op]));
    let run = world.check(&["plan.json"]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(run.stdout.contains("WARN") && run.stdout.contains("has it already"), "{}", run.stdout);
    assert_eq!(world.check(&["-existing=fail", "plan.json"]).code, Some(2));
    // One more resource with it is stopped.
    let new = plans::created("aws_instance.y", "aws_instance", kept);
    world.write("plan.json", &plans::plan(vec![new]));
    assert_eq!(world.check(&["plan.json"]).code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn sarif_is_what_code_scanning_reads() {
    let world = World::local().await;
    world.write("a plan.json", &plans::simple());
    let run = world.check(&["-sarif", "a plan.json"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    let log = json(&run);
    // By the schema of SARIF 2.1.0: the parts that must be there, and their values.
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().is_some_and(|it| it.ends_with("sarif-schema-2.1.0.json")));
    let sarif = &log["runs"][0];
    let driver = &sarif["tool"]["driver"];
    assert_eq!(driver["name"], "Ingot");
    let rules = driver["rules"].as_array().expect("rules");
    let results = sarif["results"].as_array().expect("results");
    assert_eq!(results.len(), 3, "{results:#?}");
    for result in results {
        let index =
            usize::try_from(result["ruleIndex"].as_u64().expect("a number")).expect("small");
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(
            ["error", "warning", "note", "none"].contains(&result["level"].as_str().expect("text"))
        );
        assert!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()));
        let location = &result["locations"][0];
        let physical = &location["physicalLocation"];
        assert_eq!(physical["artifactLocation"]["uri"], "a%20plan.json");
        assert!(physical["region"]["startLine"].as_u64().is_some_and(|line| line >= 1));
        let logical = &location["logicalLocations"][0]["fullyQualifiedName"];
        assert!(
            logical.as_str().is_some_and(|name| name.starts_with("aws_instance.")),
            "{logical}"
        );
        let print = result["partialFingerprints"]["ingotPlace/v1"].as_str();
        assert_eq!(print.map(str::len), Some(32));
    }
    assert_eq!(
        (&results[0]["ruleId"], &results[0]["level"]),
        (&"ingot/revoked-image".into(), &"error".into())
    );
    for rule in rules {
        for part in ["shortDescription", "fullDescription"] {
            assert!(rule[part]["text"].as_str().is_some_and(|text| text.ends_with('.')), "{rule}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_plan_is_an_error_that_says_what_to_do() {
    let world = World::local().await;
    let text = serde_json::to_string(&plans::simple()).expect("JSON");
    let newer = text.replace("\"format_version\":\"1.2\"", "\"format_version\":\"2.0\"");
    for (content, says) in [
        ("PK\u{3}\u{4}whatever", "terraform show -json"),
        (&text[..text.len() / 2], "cut off"),
        ("", "empty"),
        ("Terraform will perform the following actions:", "not JSON"),
        (&newer, "format_version is 2.0"),
        ("{\"format_version\":\"1.0\",\"values\":{}}", "a state, not a plan"),
        ("{\"@level\":\"info\"}\n{\"@level\":\"info\"}\n", "terraform plan -out"),
        ("{}", "no format_version"),
    ] {
        std::fs::write(world.dir.path().join("x"), content).expect("it is written");
        let run = world.check(&["x"]);
        assert_eq!(run.code, Some(1), "{says}: {}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains(says), "{says}: {}", run.stderr);
    }
    let run = world.check(&["absent.json"]);
    assert!(run.code == Some(1) && run.stderr.contains("absent.json"), "{}", run.stderr);
    let run = world.check(&["-json", "-sarif", "absent.json"]);
    assert!(run.code == Some(1) && run.stderr.contains("together"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_read_from_standard_input() {
    let world = World::local().await;
    let mut command = ingot_test_support::ingot_command();
    let mut child = command
        .args(["registry", "check", "-"])
        .envs(world.env.iter().map(|(name, value)| (name, value)))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("ingot can be run");
    let plan = serde_json::to_vec(&plans::simple()).expect("JSON");
    let mut stdin = child.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut stdin, &plan).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("stdin: 4 images"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_may_take_its_time() {
    let world = World::local().await;
    let mut command = ingot_test_support::ingot_command();
    let mut child = command
        .args(["registry", "check", "/dev/stdin"])
        .envs(world.env.iter().map(|(name, value)| (name, value)))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("ingot can be run");
    // Longer than keys and other small files are waited for.
    tokio::time::sleep(std::time::Duration::from_millis(10_500)).await;
    let plan = serde_json::to_vec(&plans::simple()).expect("JSON");
    let mut stdin = child.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut stdin, &plan).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("/dev/stdin: 4 images"));
}

#[test]
fn without_a_registry_it_says_what_to_set() {
    let dir = tempfile::tempdir().expect("a directory");
    let plan = serde_json::to_vec(&plans::simple()).expect("JSON");
    std::fs::write(dir.path().join("plan.json"), plan).expect("the plan is written");
    let run = run_without_registry(dir.path());
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stderr.contains("INGOT_REGISTRY"), "{}", run.stderr);
}

fn run_without_registry(dir: &Path) -> Run {
    let home = dir.to_str().expect("a plain name");
    let none = [("HOME", home), ("INGOT_REGISTRY", ""), ("HCP_CLIENT_ID", "")];
    ingot_with(dir, &["registry", "check", "plan.json"], &none)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_somebody_elses_with_the_same_name_is_not_ours() {
    let world = World::local().await;
    let docker = |image: String| {
        plans::created(
            "docker_container.x",
            "docker_container",
            serde_json::json!({ "image": image }),
        )
    };
    let google = |image: String| {
        plans::created(
            "google_compute_disk.x",
            "google_compute_disk",
            serde_json::json!({ "image": image }),
        )
    };
    for (resource, status) in [
        (docker(format!("evil/{}", stock::GOOGLE)), "untracked"),
        (docker(format!("mine/web@{}", stock::CHILD)), "outdated"),
        (google(format!("project/{}", stock::GOOGLE)), "fine"),
    ] {
        world.write("plan.json", &plans::plan(vec![resource]));
        let report = json(&world.check(&["-json", "plan.json"]));
        assert_eq!(report["plans"][0]["images"][0]["status"], status, "{report:#}");
    }
}

//! What a plan brings, and what it only reads or has.

use serde_json::{Value, json};

use crate::check::World;
use crate::plans::{self, change, configured, created, data};
use crate::stock::{CURRENT, REVOKED};

/// A plan of these changes with the data sources of a revoked image, and the configuration of the
/// changes.
fn with_data(changes: Vec<Value>, resources: Vec<Value>) -> Value {
    let version = json!({ "bucket_name": "golden", "fingerprint": "one", "id": "01" });
    let artifact = json!({
        "bucket_name": "golden", "version_fingerprint": "one", "platform": "aws",
        "region": "eu-west-1", "external_identifier": REVOKED,
    });
    let mut plan = plans::plan(changes);
    plan["prior_state"] = json!({ "format_version": "1.0", "values": { "root_module": { "resources": [
        data("data.hcp_packer_version.base", "hcp_packer_version", version),
        data("data.hcp_packer_artifact.base", "hcp_packer_artifact", artifact),
    ] } } });
    plan["configuration"] = json!({ "root_module": { "resources": resources } });
    plan
}

fn image() -> Value {
    json!({ "references": [
        "data.hcp_packer_artifact.base.external_identifier", "data.hcp_packer_artifact.base",
    ] })
}

#[tokio::test(flavor = "multi_thread")]
async fn data_sources_of_revoked_images_block_only_what_gets_these() {
    let world = World::local().await;
    let has = || json!({ "ami": REVOKED });
    let gone = || change("aws_instance.a", "aws_instance", &["delete"], has(), Value::Null);
    let web = |expressions| vec![configured("aws_instance.a", expressions)];
    let ami = || web(json!({ "ami": image() }));

    // `terraform destroy`, and that the last one goes.
    for plan in [with_data(vec![gone()], ami()), with_data(vec![gone()], vec![])] {
        world.write("plan.json", &plan);
        let run = world.check(&["-existing=fail", "plan.json"]);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        for source in ["hcp_packer_version.base.fingerprint", "hcp_packer_artifact.base.external"] {
            assert!(run.stdout.contains(&format!("WARN  data.{source}")), "{}", run.stdout);
        }
        assert!(run.stdout.contains("; nothing in the plan starts to use it"), "{}", run.stdout);
    }
    // Another instance goes to a fresh image while this one keeps its own.
    let kept = change("aws_instance.a", "aws_instance", &["no-op"], has(), has());
    let new = created("aws_instance.b", "aws_instance", json!({ "ami": CURRENT }));
    world.write("plan.json", &with_data(vec![kept.clone(), new], ami()));
    assert_eq!(world.check(&["plan.json"]).code, Some(0));
    assert_eq!(world.check(&["-existing=fail", "plan.json"]).code, Some(2));

    let not_known = |actions: &[&str], before: Value| {
        let mut change = change("aws_instance.a", "aws_instance", actions, before, json!({}));
        change["change"]["after_unknown"] = json!({ "ami": true });
        change
    };
    let script = format!("#!/bin/sh\nbase={REVOKED}\n");
    let script = created("aws_instance.a", "aws_instance", json!({ "user_data": script }));
    for (what, plan) in [
        ("made", with_data(vec![created("aws_instance.a", "aws_instance", has())], ami())),
        ("made, and it is not seen from what", {
            with_data(vec![created("aws_instance.a", "aws_instance", has())], vec![])
        }),
        ("changed", {
            let before = json!({ "ami": CURRENT });
            with_data(
                vec![change("aws_instance.a", "aws_instance", &["update"], before, has())],
                ami(),
            )
        }),
        ("made, and not known yet", with_data(vec![not_known(&["create"], Value::Null)], ami())),
        ("changed, and not known yet", with_data(vec![not_known(&["update"], has())], ami())),
        ("in a script", with_data(vec![script], web(json!({ "user_data": image() })))),
    ] {
        world.write("plan.json", &plan);
        let run = world.check(&["plan.json"]);
        assert_eq!(run.code, Some(2), "{what}: {}{}", run.stdout, run.stderr);
        for source in ["hcp_packer_version.base.fingerprint", "hcp_packer_artifact.base.external"] {
            let line = format!("FAIL  data.{source}");
            assert!(run.stdout.contains(&line), "{what}: {}", run.stdout);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_from_a_template_that_is_there_are_new_machines() {
    let world = World::local().await;
    let template = || {
        let has = || json!({ "image_id": REVOKED, "id": "lt-1", "name": "web" });
        change("aws_launch_template.t[0]", "aws_launch_template", &["no-op"], has(), has())
    };
    let check = |other: Value, expressions: Value| {
        let address = other["address"].as_str().expect("text").to_owned();
        let mut plan = plans::plan(vec![template(), other]);
        plan["configuration"]["root_module"] = json!({ "resources": [
            configured("aws_launch_template.t", json!({ "image_id": { "constant_value": REVOKED } })),
            configured(&address, expressions),
        ] });
        world.write("plan.json", &plan);
        world.check(&["plan.json"])
    };
    let refers = || {
        json!({ "launch_template": [{
            "id": { "references": ["aws_launch_template.t[0].id", "aws_launch_template.t[0]"] },
        }] })
    };
    let group = |actions: &[&str], before: Value| {
        let after = json!({ "name": "web", "launch_template": [{ "id": "lt-1" }] });
        change("aws_autoscaling_group.g", "aws_autoscaling_group", actions, before, after)
    };
    for (what, actions, expressions) in [
        ("made", &["create"][..], refers()),
        ("replaced", &["delete", "create"], refers()),
        ("by its id", &["create"], json!({})),
    ] {
        let run = check(group(actions, Value::Null), expressions);
        assert_eq!(run.code, Some(2), "{what}: {}{}", run.stdout, run.stderr);
        let line = "FAIL  aws_launch_template.t[0].image_id";
        assert!(run.stdout.contains(line), "{what}: {}", run.stdout);
        let why = "; aws_autoscaling_group.g is to be created from it";
        assert!(run.stdout.contains(why), "{what}: {}", run.stdout);
    }
    // What is there already, and what is made and is no machine.
    let before = json!({ "name": "web", "launch_template": [{ "id": "lt-1" }] });
    let security = created("aws_security_group.s", "aws_security_group", json!({ "name": "lt-1" }));
    let role = created("aws_iam_policy.p", "aws_iam_policy", json!({ "name": "x" }));
    for (other, expressions) in
        [(group(&["no-op"], before), refers()), (security, json!({})), (role, refers())]
    {
        let run = check(other, expressions);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        let line = "WARN  aws_launch_template.t[0].image_id";
        assert!(run.stdout.contains(line), "{}", run.stdout);
        assert!(run.stdout.contains("has it already"), "{}", run.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_for_a_new_key_is_not_made_from_the_template_of_another() {
    let world = World::local().await;
    let has = || json!({ "image_id": REVOKED, "id": "lt-1" });
    let old =
        change("aws_launch_template.t[\"a\"]", "aws_launch_template", &["no-op"], has(), has());
    let new = created(
        "aws_launch_template.t[\"b\"]",
        "aws_launch_template",
        json!({ "image_id": CURRENT }),
    );
    for (key, code) in [("b", 0), ("a", 2)] {
        let address = format!("aws_autoscaling_group.g[\"{key}\"]");
        let mut group =
            created(&address, "aws_autoscaling_group", json!({ "launch_template": [{}] }));
        group["change"]["after_unknown"] = json!({ "launch_template": [{ "id": true }] });
        let mut plan = plans::plan(vec![old.clone(), new.clone(), group]);
        let refers = json!({ "launch_template": [{
            "id": { "references": ["aws_launch_template.t", "each.key"] },
        }] });
        plan["configuration"]["root_module"] =
            json!({ "resources": [configured("aws_autoscaling_group.g", refers)] });
        world.write("plan.json", &plan);
        let run = world.check(&["plan.json"]);
        assert_eq!(run.code, Some(code), "{key}: {}{}", run.stdout, run.stderr);
        let level = if code == 0 { "WARN" } else { "FAIL" };
        let line = format!("{level}  aws_launch_template.t[\"a\"].image_id");
        assert!(run.stdout.contains(&line), "{key}: {}", run.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_in_a_dynamic_block_is_reported() {
    let world = World::local().await;
    let kind = "google_compute_instance_template";
    let check = |expressions: Value| {
        let mut template = created("google_compute_instance_template.t", kind, json!({}));
        template["change"]["after_unknown"] = json!({ "disk": [{ "source_image": true }] });
        let mut plan = plans::plan(vec![template]);
        let address = "google_compute_instance_template.t";
        plan["configuration"]["root_module"] =
            json!({ "resources": [configured(address, expressions)] });
        world.write("plan.json", &plan);
        world.check(&["-unknown=fail", "plan.json"])
    };
    // Plans do not hold dynamic blocks.
    let run = check(json!({}));
    assert_eq!(run.code, Some(2), "{}{}", run.stdout, run.stderr);
    let line = "FAIL  google_compute_instance_template.t.disk[0].source_image\n";
    assert!(run.stdout.contains(line), "{}", run.stdout);
    assert!(run.stdout.contains("will be known only when the plan is applied"), "{}", run.stdout);
    // A block that is written and has no image has none.
    let run = check(json!({ "disk": [{ "auto_delete": { "constant_value": true } }] }));
    assert_eq!((run.code, run.stdout.trim()), (Some(0), "plan.json: no images"));
}

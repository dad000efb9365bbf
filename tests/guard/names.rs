//! The same image under different names, and different things under the same name.

use serde_json::{Value, json};

use crate::check::{World, by_place, json as report};
use crate::plans::{self, made};
use crate::stock::{self, ODD_AZURE, ODD_FILE, ODD_GOOGLE};

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_azure_are_found_in_a_file() {
    ids_of_azure_are_found(&World::local().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_azure_are_found_by_a_server() {
    ids_of_azure_are_found(&World::served().await).await;
}

async fn ids_of_azure_are_found(world: &World) {
    stock::fill_odd(&*world.registry().await).await;
    let kind = "azurerm_linux_virtual_machine";
    for id in [
        ODD_AZURE.to_owned(),
        ODD_AZURE.replace("resourceGroups", "resourcegroups").replace("Microsoft", "microsoft"),
        ODD_AZURE.to_lowercase(),
        ODD_AZURE.to_uppercase(),
    ] {
        let address = "azurerm_linux_virtual_machine.v";
        let after = json!({ "source_image_id": id });
        world.write("plan.json", &plans::plan(vec![made(address, kind, after.clone())]));
        let run = world.check(&["plan.json"]);
        assert_eq!(run.code, Some(2), "{id}: {}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains("is odd v1, which was revoked"), "{id}: {}", run.stdout);

        // That it is written otherwise now brings nothing.
        let before = json!({ "source_image_id": ODD_AZURE });
        let same = plans::change(address, kind, &["update"], before, after);
        world.write("plan.json", &plans::plan(vec![same]));
        let run = world.check(&["plan.json"]);
        assert_eq!(run.code, Some(0), "{id}: {}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains("has it already"), "{id}: {}", run.stdout);
    }
    // A data source that read it in one form, and a machine that gets it in another.
    let machine = made("azurerm_linux_virtual_machine.v", kind, {
        json!({ "source_image_id": ODD_AZURE.to_lowercase() })
    });
    let mut plan = plans::plan(vec![machine]);
    plan["prior_state"]["values"]["root_module"]["resources"] = json!([plans::data(
        "data.hcp_packer_artifact.odd",
        "hcp_packer_artifact",
        json!({ "bucket_name": "odd", "external_identifier": ODD_AZURE }),
    )]);
    world.write("plan.json", &plan);
    let run = world.check(&["plan.json"]);
    assert_eq!(run.stdout.matches("  FAIL  ").count(), 2, "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn things_that_happen_to_be_called_like_images_do_not_fail() {
    let world = World::local().await;
    stock::fill_odd(&*world.registry().await).await;
    let check = |kind: &str, after: Value| {
        world.write("plan.json", &plans::plan(vec![made(&format!("{kind}.x"), kind, after)]));
        world.check(&["plan.json"])
    };
    // What may be it, and is told.
    for (kind, after) in [
        ("local_file", json!({ "filename": ODD_FILE })),
        ("google_project_service", json!({ "service": ODD_GOOGLE })),
        ("helm_release", json!({ "set": [{ "value": ODD_GOOGLE }] })),
    ] {
        let run = check(kind, after);
        assert_eq!(run.code, Some(0), "{kind}: {}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains(&format!("WARN  {kind}.x")), "{kind}: {}", run.stdout);
        let why = "odd v1, which was revoked";
        assert!(run.stdout.contains(why), "{kind}: {}", run.stdout);
        assert!(
            run.stdout.contains("; that it is this image only its name says"),
            "{}",
            run.stdout
        );
    }
    // What cannot be it.
    for (kind, after) in [
        ("aws_security_group", json!({ "name": ODD_GOOGLE })),
        ("aws_security_group", json!({ "name_prefix": ODD_GOOGLE })),
        ("google_compute_firewall", json!({ "name": ODD_GOOGLE })),
    ] {
        let run = check(kind, after);
        assert_eq!((run.code, run.stdout.trim()), (Some(0), "plan.json: no images"), "{kind}");
    }
    // What is it.
    for (kind, after) in [
        ("google_compute_disk", json!({ "image": ODD_GOOGLE })),
        ("google_other", json!({ "from": format!("projects/p/global/images/{ODD_GOOGLE}") })),
        ("terraform_data", json!({ "input": stock::REVOKED })),
        ("azapi_resource", json!({ "body": ODD_AZURE.to_lowercase() })),
    ] {
        let run = check(kind, after);
        assert_eq!(run.code, Some(2), "{kind}: {}{}", run.stdout, run.stderr);
    }
    let run = world.check(&["-json", "plan.json"]);
    let found = by_place(&report(&run));
    assert_eq!(found["azapi_resource.x.body"]["status"], "revoked");
}

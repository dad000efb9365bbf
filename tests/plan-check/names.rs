//! The same image under different names, and different things under the same name.

use serde_json::{Value, json};

use crate::check::{World, by_place, json as report};
use crate::plans::{self, created};
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
        world.write("plan.json", &plans::plan(vec![created(address, kind, after.clone())]));
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
    let machine = created("azurerm_linux_virtual_machine.v", kind, {
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
        world.write("plan.json", &plans::plan(vec![created(&format!("{kind}.x"), kind, after)]));
        world.check(&["plan.json"])
    };
    // Values that may be this image, which is reported.
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
            run.stdout.contains("; only its name suggests that it is this image"),
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

/// The forms in which the image `name` of the project `golden` is written.
fn google_forms(name: &str) -> Vec<String> {
    let path = format!("projects/golden/global/images/{name}");
    let mut forms = vec![
        path.clone(),
        format!("//compute.googleapis.com/{path}"),
        format!("https://www.googleapis.com/compute/v1/{path}"),
        format!("https://www.googleapis.com/compute/beta/{path}"),
        format!("https://www.googleapis.com/compute/alpha/{path}"),
        format!("https://compute.googleapis.com/compute/v1/{path}"),
        format!("golden/{name}"),
        format!("global/images/{name}"),
        name.to_owned(),
    ];
    // A host and a version that no registry has it by.
    forms.push(format!("https://compute.europe-west3.rep.googleapis.com/compute/v2/{path}"));
    forms
}

#[tokio::test(flavor = "multi_thread")]
async fn images_of_google_are_one_in_all_their_forms() {
    for world in [World::local().await, World::served().await] {
        let registry = world.registry().await;
        let stored = [
            ("as-path", "projects/golden/global/images/as-path".to_owned()),
            ("as-name", "as-name".to_owned()),
            ("as-global", "global/images/as-global".to_owned()),
            ("as-short", "golden/as-short".to_owned()),
            (
                "as-link",
                "https://www.googleapis.com/compute/v1/projects/golden/global/images/as-link"
                    .to_owned(),
            ),
            (
                "as-beta-link",
                "https://compute.googleapis.com/compute/beta/projects/golden/global/images/\
                 as-beta-link"
                    .to_owned(),
            ),
        ];
        stock::bucket(&*registry, "google").await;
        for (name, id) in &stored {
            let images = [("gce", "europe-west1-b", id.as_str())];
            stock::publish(&*registry, "google", name, &images, None).await;
            stock::revoke(&*registry, "google", name, "0s", "leaks").await;
        }
        let mut resources = Vec::new();
        for (name, _) in &stored {
            for (index, form) in google_forms(name).into_iter().enumerate() {
                let address = format!("google_compute_disk.{name}[{index}]");
                // Short forms are of the resource's project.
                let after = json!({ "image": form, "project": "golden" });
                resources.push(created(&address, "google_compute_disk", after));
            }
        }
        let count = resources.len();
        world.write("plan.json", &plans::plan(resources));
        let run = world.check(&["plan.json"]);
        assert_eq!(run.code, Some(2), "{}{}", run.stdout, run.stderr);
        assert_eq!(run.stdout.matches("  FAIL  ").count(), count, "{}", run.stdout);

        // Those that have the image in another form and keep it are not made anew.
        let link = "https://www.googleapis.com/compute/v1/projects/golden/global/images/as-path";
        let same = plans::change(
            "google_compute_disk.x",
            "google_compute_disk",
            &["update"],
            json!({ "image": stored[0].1 }),
            json!({ "image": link }),
        );
        // Another project's image of that name is another one.
        let other = json!({ "image": "projects/other/global/images/as-path" });
        let other = created("google_compute_disk.y", "google_compute_disk", other);
        world.write("plan.json", &plans::plan(vec![same, other]));
        let run = world.check(&["plan.json"]);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains("has it already"), "{}", run.stdout);
        let text = "projects/other/global/images/as-path is not in the registry";
        assert!(run.stdout.contains(text), "{}", run.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn arns_and_urls_are_the_images_that_they_name() {
    let world = World::local().await;
    stock::fill_odd(&*world.registry().await).await;
    let arn = format!("arn:aws:ec2:eu-west-1::image/{}", stock::REVOKED);
    let url = format!("https://management.azure.com{ODD_AZURE}?api-version=2024-07-01");
    for (kind, after) in [
        ("aws_launch_template", json!({ "image_id": arn.clone() })),
        ("aws_something_new", json!({ "image_arn": arn })),
        ("azurerm_linux_virtual_machine", json!({ "source_image_id": url })),
        ("azurerm_linux_virtual_machine", json!({ "source_image_id": format!("{ODD_AZURE}/") })),
    ] {
        world.write("plan.json", &plans::plan(vec![created(&format!("{kind}.x"), kind, after)]));
        let run = world.check(&["plan.json"]);
        assert_eq!(run.code, Some(2), "{kind}: {}{}", run.stdout, run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_chosen_when_it_is_used_is_unknown_and_not_untracked() {
    let world = World::local().await;
    let gallery = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/a/images\
                   /b";
    for (kind, after, why) in [
        (
            "aws_launch_template",
            json!({ "image_id": "resolve:ssm:/golden/ami" }),
            "a parameter of Systems Manager",
        ),
        (
            "google_compute_disk",
            json!({ "image": "projects/debian-cloud/global/images/family/debian-12" }),
            "a family, of which Google takes the newest image",
        ),
        ("google_compute_disk", json!({ "image": "family/debian-12" }), "a family"),
        (
            "azurerm_linux_virtual_machine",
            json!({ "source_image_id": gallery }),
            "an image of a gallery without a version",
        ),
    ] {
        world.write("plan.json", &plans::plan(vec![created(&format!("{kind}.x"), kind, after)]));
        let run = world.check(&["plan.json"]);
        assert_eq!(run.code, Some(0), "{kind}: {}{}", run.stdout, run.stderr);
        assert!(run.stdout.starts_with("plan.json: 1 image: 1 unknown"), "{}", run.stdout);
        assert!(run.stdout.contains(why), "{}", run.stdout);
        assert_eq!(world.check(&["-unknown=fail", "plan.json"]).code, Some(2));
        assert_eq!(world.check(&["-untracked=fail", "plan.json"]).code, Some(0));
    }
}

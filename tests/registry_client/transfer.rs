//! `ingot registry export` and `import`: what a registry knows, in another one.

use serde_json::Value;

use crate::ancestry::{publish, publish_as};
use crate::world::World;

/// What is compared: nothing that the new registry gives itself, as ids and times.
fn known(world: &World) -> Vec<String> {
    let mut known = vec![world.ok(&["registry", "ancestry"])];
    for bucket in ["left", "right", "top", "under"] {
        let shown = world.json(&["buckets", "show", bucket]);
        known.push(format!("{} {} {}", shown["name"], shown["description"], shown["labels"]));
        for version in world.json(&["versions", "list", bucket]).as_array().expect("a list") {
            let fields = ["name", "fingerprint", "status", "template_type"];
            // A time to come is kept; what is past is revoked when it is imported.
            let scheduled = version["status"] == "VERSION_REVOCATION_SCHEDULED";
            known.extend(scheduled.then(|| version["revoke_at"].to_string()));
            let more = ["revocation_message", "revocation_type"];
            let inherited = &version["revocation_inherited_from"]["version_fingerprint"];
            let fields = fields.iter().chain(&more).map(|field| version[field].to_string());
            known.push(format!("{} {inherited}", fields.collect::<Vec<_>>().join(" ")));
            let fingerprint = version["fingerprint"].as_str().expect("a fingerprint");
            let full = world.json(&["versions", "show", bucket, fingerprint]);
            for build in full["builds"].as_array().expect("builds") {
                let fields = ["component_type", "status", "platform", "labels", "metadata"];
                let more = ["packer_run_uuid", "source_external_identifier"];
                let fields = fields.iter().chain(&more).map(|field| build[field].to_string());
                known.push(fields.collect::<Vec<_>>().join(" "));
                for artifact in build["artifacts"].as_array().expect("artifacts") {
                    known.push(format!(
                        "{} {}",
                        artifact["region"], artifact["external_identifier"]
                    ));
                }
            }
        }
        for channel in world.json(&["channels", "list", bucket]).as_array().expect("a list") {
            let at = &channel["version"]["fingerprint"];
            known.push(format!("{} {} {at}", channel["name"], channel["restricted"]));
        }
    }
    known
}

/// A registry with ancestry over three levels, revocations of every kind, and channels.
fn filled() -> World {
    let world = World::local();
    publish(&world, "top", &[]);
    publish(&world, "left", &[("top", "new")]);
    publish(&world, "right", &[("top", "new")]);
    publish(&world, "under", &[("left", "from-top"), ("right", "from-top")]);
    std::fs::remove_file(world.path().join("top.txt")).expect("the file is there");
    publish_as(&world, "top", "top-2", &[]);
    world.ok(&["registry", "channels", "create", "top", "production", "-assign=v2"]);
    world.ok(&["registry", "channels", "create", "left", "secret", "-restricted"]);
    world.ok(&["registry", "buckets", "update", "top", "-label", "team=shop"]);
    world.ok(&["registry", "revoke", "left", "v1", "-reason=CVE-2026-1234"]);
    world.ok(&["registry", "revoke", "top", "v1", "-at=2099-01-01", "-descendants=false"]);
    world
}

#[test]
fn a_registry_is_the_same_after_it_was_moved() {
    let old = filled();
    let file = old.path().join("export.json");
    let file = file.to_str().expect("a plain name");
    let said = old.ok(&["registry", "export", file]);
    assert_eq!(said, format!("Exported 5 versions of local to {file}.\n"));
    let new = World::served();
    // First a part of it, as if it had been interrupted.
    new.ok(&["registry", "import", file, "-bucket=top", "-bucket=right"]);
    let said = new.ok(&["registry", "import", file]);
    let end = format!("Imported 2 versions of local into {}; 3 were there already.\n", new.name);
    assert!(said.ends_with(&end), "{said}");
    assert_eq!(known(&new), known(&old));
    // What was changed since is not undone.
    new.ok(&["registry", "channels", "assign", "top", "production", "v1"]);
    new.ok(&["registry", "import", file]);
    let channel: Value = new.json(&["channels", "show", "top", "production"]);
    assert_eq!(channel["version"]["fingerprint"], "top-1");
}

#[test]
fn a_part_of_a_registry_says_which_ancestry_it_lacks() {
    let old = filled();
    let file = old.path().join("export.json");
    let file = file.to_str().expect("a plain name");
    let said = old.ok(&["registry", "export", file, "-bucket=under", "-bucket=top"]);
    let wanted = "Some were built from versions of left and right, which this file lacks.";
    assert!(said.contains(wanted) && said.contains(": -bucket=left -bucket=right\n"), "{said}");
    let said = old.ok(&["registry", "export", file]);
    assert_eq!(said.lines().count(), 1, "{said}");
    let new = World::local();
    let said = new.ok(&["registry", "import", file, "-bucket=left"]);
    let wanted = "Some were built from versions of top that are not here: that ancestry is lost.";
    assert!(said.contains(wanted), "{said}");
    // As it says.
    new.ok(&["registry", "buckets", "delete", "left"]);
    let said = new.ok(&["registry", "import", file]);
    assert!(!said.contains("is lost"), "{said}");
    assert_eq!(known(&new), known(&old));
}

#[test]
fn what_cannot_be_moved_says_why() {
    let world = World::local();
    let missing = world.fails(&["registry", "export", "e.json", "-bucket=nosuch"]);
    assert!(missing.contains("there is no bucket nosuch"), "{missing}");
    publish(&world, "top", &[]);
    world.ok(&["registry", "export", "e.json"]);
    let missing = world.fails(&["registry", "import", "e.json", "-bucket=nosuch"]);
    assert!(missing.contains("e.json has no bucket nosuch"), "{missing}");
    let unwritable = world.fails(&["registry", "export", "top.txt/e.json"]);
    assert!(unwritable.contains("top.txt/e.json cannot be written: "), "{unwritable}");
    world.write("other.json", "{\"a\": 1}");
    let other = world.fails(&["registry", "import", "other.json"]);
    assert!(other.contains("other.json is not an export of a registry: "), "{other}");
    assert!(other.contains("`ingot registry export FILE` writes one"), "{other}");
    world.write("newer.json", r#"{"ingot_registry_export": 2, "registry": "x", "buckets": []}"#);
    let newer = world.fails(&["registry", "import", "newer.json"]);
    assert!(newer.contains("newer.json has form 2; this Ingot reads form 1"), "{newer}");
    let absent = world.fails(&["registry", "import", "absent.json"]);
    assert!(absent.contains("absent.json cannot be read: "), "{absent}");
}

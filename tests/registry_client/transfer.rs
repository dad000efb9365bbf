//! `ingot registry export` and `import`: what a registry knows, in another one.

use ingot_registry::api::SbomFormat;
use ingot_registry::client::{EnforcedBlocks as _, Registry as _};
use ingot_registry::local::LocalRegistry;
use serde_json::Value;
use sqlx::{Connection, SqliteConnection};

use crate::ancestry::{publish, publish_as};
use crate::world::World;

/// What is compared: nothing that the new registry gives itself, as ids and times.
pub(crate) fn known(world: &World) -> Vec<String> {
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
    // One that is there may be of all buckets.
    let refused = old.fails(&["registry", "export", file]);
    assert!(refused.contains(&format!("{file} exists already")), "{refused}");
    assert!(refused.contains("replace this one with -force"), "{refused}");
    let said = old.ok(&["registry", "export", file, "-force"]);
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
    world.write("newer.json", r#"{"ingot_registry_export": 3, "registry": "x", "buckets": []}"#);
    let newer = world.fails(&["registry", "import", "newer.json"]);
    assert!(newer.contains("newer.json has format 3; this Ingot reads formats 1 and 2"), "{newer}");
    let absent = world.fails(&["registry", "import", "absent.json"]);
    assert!(absent.contains("absent.json cannot be read: "), "{absent}");
}

/// Opens a version with a build, and completes it.
fn open(world: &World, bucket: &str, print: &str) {
    world.ok(&["registry", "versions", "create", bucket, print, "-build=file.a"]);
}

fn complete(world: &World, bucket: &str, print: &str) {
    let id = format!("-id={bucket}-{print}");
    let args = ["registry", "artifacts", "create", bucket, print, "file.a", "-platform=p", &id];
    world.ok(&args);
}

#[test]
fn versions_keep_their_numbers_whenever_they_were_opened() {
    let old = World::local();
    for bucket in ["a", "b"] {
        old.ok(&["registry", "buckets", "create", bucket]);
        open(&old, bucket, "first");
        open(&old, bucket, "second");
        // The one that is opened last is done first.
        complete(&old, bucket, "second");
        complete(&old, bucket, "first");
    }
    old.ok(&["registry", "export", "e.json"]);
    let file = old.path().join("e.json");
    // Of form 1, which programs read that know of nothing else.
    let text = std::fs::read_to_string(&file).expect("the file");
    let exported: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(exported["ingot_registry_export"], 1);
    let new = World::served();
    let said = new.ok(&["registry", "import", file.to_str().expect("a plain name")]);
    assert!(!said.contains(", which is"), "{said}");
    for bucket in ["a", "b"] {
        for (print, name) in [("second", "v1"), ("first", "v2")] {
            assert_eq!(new.json(&["versions", "show", bucket, print])["name"], name);
        }
        let latest = new.json(&["channels", "show", bucket, "latest"]);
        assert_eq!(latest["version"]["fingerprint"], "first");
    }
}

const SBOM: &str = r#"{"bomFormat":"CycloneDX","components":[{"name":"curl"}]}"#;

/// Opens the version `one` of the bucket `a`, whose build has SBOMs of these names.
fn open_with_sboms(world: &World, names: &[&str]) {
    open(world, "a", "one");
    let version = world.json(&["versions", "show", "a", "one"]);
    let id = version["builds"][0]["id"].as_str().expect("an id").to_owned();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let path = world.path().join("registry.db");
        let registry = LocalRegistry::open(&path).await.expect("the registry");
        for name in names {
            let format = SbomFormat::CycloneDx;
            let uploaded = registry.upload_sbom("a", "one", &id, name, format, SBOM.as_bytes());
            uploaded.await.expect("it is taken");
        }
    });
}

#[test]
fn sboms_and_enforced_blocks_move_too() {
    let old = World::local();
    for bucket in ["a", "b", "c"] {
        old.ok(&["registry", "buckets", "create", bucket]);
    }
    open_with_sboms(&old, &["", "packages"]);
    complete(&old, "a", "one");
    old.write("one.hcl", "provisioner \"shell-local\" {\n  inline = [\"echo 1\"]\n}\n");
    old.write("two.hcl", "provisioner \"shell-local\" {\n  inline = [\"echo 2\"]\n}\n");
    let blocks =
        |world: &World, args: &[&str]| world.ok(&[&["registry", "enforced-blocks"], args].concat());
    blocks(&old, &["create", "scan", "one.hcl", "-version=1.0", "-label=a=b"]);
    blocks(&old, &["link", "scan", "a", "c"]);
    blocks(&old, &["add-version", "scan", "two.hcl", "-version=2.0", "-description=two"]);
    blocks(&old, &["link", "scan", "b"]);
    blocks(&old, &["create", "idle", "one.hcl"]);
    old.ok(&["registry", "channels", "update", "a", "latest", "-restricted"]);
    let said = old.ok(&["registry", "export", "e.json"]);
    assert_eq!(said.lines().count(), 1, "nothing was left out: {said}");
    let file = old.path().join("e.json");
    let file = file.to_str().expect("a plain name");

    let new = World::served();
    // A part first: only what concerns it.
    new.ok(&["registry", "import", file, "-bucket=b"]);
    assert_eq!(new.json(&["enforced-blocks", "list"]).as_array().map(Vec::len), Some(1));
    for _ in 0..2 {
        let said = new.ok(&["registry", "import", file]);
        assert!(!said.contains("left"), "{said}");
        let shown = new.json(&["enforced-blocks", "show", "scan"]);
        let versions: Vec<String> = shown["versions"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|it| {
                let (version, more) = (&it["version"], &it["additional_description"]);
                format!("{version} {more} {}", it["linked_buckets"])
            })
            .collect();
        assert_eq!(versions, [r#""2.0" "two" ["b"]"#, r#""1.0" "" ["a","c"]"#], "{shown:#}");
        assert_eq!(shown["labels"]["a"], "b");
        let content = ["registry", "enforced-blocks", "content", "scan", "-version=1.0"];
        assert!(new.ok(&content).contains("echo 1"));
        assert_eq!(new.json(&["enforced-blocks", "list"]).as_array().map(Vec::len), Some(2));
        let sboms = new.json(&["sboms", "list", "a", "v1"]);
        let names: Vec<&Value> =
            sboms.as_array().expect("a list").iter().map(|it| &it["name"]).collect();
        assert_eq!(names, ["one", "packages"]);
        let got = new.ok(&["registry", "sboms", "get", "a", "v1", "-name=packages"]);
        assert_eq!(got, SBOM);
        assert_eq!(new.json(&["channels", "show", "a", "latest"])["restricted"], true);
    }
    // Without them it says so.
    let said = old.ok(&["registry", "export", "e.json", "-sboms=false", "-force"]);
    assert!(said.contains("SBOMs were left out"), "{said}");
}

/// The enforced blocks of a bucket, in the order in which builds run them.
fn enforced_in(world: &World, bucket: &str) -> Vec<String> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let details = runtime.block_on(async {
        let path = world.path().join("registry.db");
        let registry = LocalRegistry::open(&path).await.expect("the registry");
        registry.enforced_blocks(bucket).await.expect("its blocks")
    });
    details.enforced_block_detail.into_iter().map(|detail| detail.name).collect()
}

#[test]
fn enforced_blocks_run_in_the_same_order_after_they_were_moved() {
    let old = World::local();
    old.write("one.hcl", "provisioner \"shell-local\" {\n  inline = [\"echo 1\"]\n}\n");
    for block in ["agent", "scan", "seal"] {
        old.ok(&["registry", "enforced-blocks", "create", block, "one.hcl"]);
    }
    let orders =
        [("a", vec!["seal", "agent", "scan"]), ("b", vec!["scan", "seal"]), ("c", vec!["seal"])];
    for (bucket, blocks) in &orders {
        old.ok(&["registry", "buckets", "create", bucket]);
        for block in blocks {
            old.ok(&["registry", "enforced-blocks", "link", block, bucket]);
        }
    }
    old.ok(&["registry", "export", "e.json"]);
    let file = old.path().join("e.json");
    let import = ["registry", "import", file.to_str().expect("a plain name")];
    let new = World::local();
    new.ok(&import);
    for (bucket, blocks) in &orders {
        assert_eq!(&enforced_in(&old, bucket), blocks);
        assert_eq!(&enforced_in(&new, bucket), blocks);
    }

    // As programs wrote it that did not know of the order.
    let text = std::fs::read_to_string(&file).expect("the file");
    let mut export: Value = serde_json::from_str(&text).expect("JSON");
    for bucket in export["buckets"].as_array_mut().expect("buckets") {
        bucket.as_object_mut().expect("a bucket").remove("enforced_blocks");
    }
    std::fs::write(&file, export.to_string()).expect("it is written");
    let new = World::local();
    new.ok(&import);
    assert_eq!(enforced_in(&new, "a"), ["agent", "scan", "seal"]);
}

#[test]
fn an_sbom_that_cannot_be_read_is_left_out_and_named() {
    let old = World::local();
    old.ok(&["registry", "buckets", "create", "a"]);
    open_with_sboms(&old, &["damaged", "whole"]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let url = old.path().join("registry.db").display().to_string();
        let mut database = SqliteConnection::connect(&url).await.expect("the database");
        let damage = "UPDATE sboms SET document = 'bm90IHpzdGQ=' WHERE name = 'damaged'";
        sqlx::raw_sql(damage).execute(&mut database).await.expect("it can be changed");
        database.close().await.expect("it is written");
    });
    complete(&old, "a", "one");
    let run = old.ingot(&["registry", "export", "e.json"]);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    for line in [
        "Exported 1 versions of local to e.json.\n",
        "1 SBOMs were left out, as they cannot be read:\n  a v1 (one), file.a, the SBOM damaged: ",
    ] {
        assert!(run.stdout.contains(line), "{line:?} is not in {}", run.stdout);
    }
    assert!(run.stderr.contains("e.json lacks 1 SBOMs"), "{}", run.stderr);

    let new = World::local();
    let file = old.path().join("e.json");
    new.ok(&["registry", "import", file.to_str().expect("a plain name")]);
    let sboms = new.json(&["sboms", "list", "a", "v1"]);
    let sboms = sboms.as_array().expect("a list");
    let names: Vec<&Value> = sboms.iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["whole"]);
}

#[test]
fn an_interrupted_import_still_restricts_latest() {
    let old = World::local();
    old.ok(&["registry", "buckets", "create", "a"]);
    open(&old, "a", "one");
    complete(&old, "a", "one");
    old.ok(&["registry", "channels", "update", "a", "latest", "-restricted"]);
    old.ok(&["registry", "export", "e.json"]);
    let file = old.path().join("e.json");
    let import = ["registry", "import", file.to_str().expect("a plain name")];

    let new = World::served();
    // An import that ended before it came to the channel.
    new.ok(&["registry", "buckets", "create", "a"]);
    let said = new.ok(&import);
    assert!(!said.contains("restrict"), "{said}");
    let restricted = || new.json(&["channels", "show", "a", "latest"])["restricted"].clone();
    assert_eq!(restricted(), true);
    // What was changed since is not undone, and told.
    new.ok(&["registry", "channels", "update", "a", "latest", "-restricted=false"]);
    let said = new.ok(&import);
    let command = ["registry", "channels", "update", "a", "latest", "-restricted"];
    assert!(said.contains(&command.join(" ")), "{said}");
    assert_eq!(restricted(), false);
    new.ok(&command);
    assert_eq!(restricted(), true);
}

#[test]
fn what_differs_in_the_target_is_reported() {
    let old = World::local();
    old.ok(&["registry", "buckets", "create", "a"]);
    for print in ["one", "two", "three"] {
        open(&old, "a", print);
        complete(&old, "a", print);
    }
    old.ok(&["registry", "versions", "delete", "a", "two"]);
    let block = |world: &World, content: &str| {
        world.write(
            "b.hcl",
            &format!("provisioner \"shell-local\" {{\n  inline = [\"{content}\"]\n}}\n"),
        );
        world.ok(&["registry", "enforced-blocks", "create", "scan", "b.hcl"]);
    };
    block(&old, "echo old");
    old.ok(&["registry", "enforced-blocks", "link", "scan", "a"]);
    old.ok(&["registry", "export", "e.json"]);
    // Its SBOM is none.
    let file = old.path().join("e.json");
    let text = std::fs::read_to_string(&file).expect("the file");
    let mut export: Value = serde_json::from_str(&text).expect("JSON");
    let version = &mut export["buckets"][0]["versions"][0];
    let document = "KLUv/SACEQAAe30=";
    version["sboms"] = serde_json::json!([{
        "component_type": "file.a", "name": "packages", "format": "CYCLONEDX", "document": document,
    }]);
    std::fs::write(&file, export.to_string()).expect("it is written");

    let new = World::served();
    block(&new, "echo new");
    let said = new.ok(&["registry", "import", file.to_str().expect("a plain name")]);
    assert!(said.contains("1 of them have other numbers here"), "{said}");
    assert!(said.contains("a v3 (three), which is v2 here"), "{said}");
    let other = "and no bucket was linked to them:\n  scan 1 (not linked: a)\n";
    assert!(said.contains(other), "{said}");
    let shown = new.json(&["enforced-blocks", "show", "scan"]);
    assert_eq!(shown["versions"][0]["linked_buckets"], serde_json::json!([]), "{shown:#}");
    assert!(said.contains("1 SBOMs were left behind, as this registry refuses them:"), "{said}");
    assert!(said.contains("  a v1 (one), file.a, the SBOM packages: "), "{said}");
}

//! Revocations that are moved by `ingot registry export` and `import`.

use serde_json::Value;

use crate::ancestry::publish;
use crate::transfer::known;
use crate::world::World;

#[test]
fn restored_versions_stay_valid_after_they_were_moved() {
    let old = World::local();
    publish(&old, "top", &[]);
    publish(&old, "left", &[("top", "new")]);
    publish(&old, "right", &[("top", "new")]);
    publish(&old, "under", &[("left", "from-top"), ("right", "from-top")]);
    old.ok(&["registry", "revoke", "top", "v1", "-reason=CVE-2026-1234"]);
    old.ok(&["registry", "restore", "right", "v1"]);
    old.ok(&["registry", "channels", "create", "right", "production", "-assign=v1"]);
    let file = old.path().join("export.json");
    let file = file.to_str().expect("a plain name");
    old.ok(&["registry", "export", file]);

    let new = World::local();
    let said = new.ok(&["registry", "import", file]);
    assert!(!said.contains("revoked"), "{said}");
    assert_eq!(known(&new), known(&old));

    // What it was built from is there before it, and revoked.
    let new = World::served();
    for part in ["-bucket=top", "-bucket=right", "-bucket=left", "-bucket=under"] {
        let said = new.ok(&["registry", "import", file, part]);
        assert!(!said.contains("revoked"), "{said}");
    }
    assert_eq!(known(&new), known(&old));
}

#[test]
fn what_was_revoked_in_the_target_is_not_restored() {
    let old = World::local();
    publish(&old, "top", &[]);
    publish(&old, "left", &[("top", "new")]);
    old.ok(&["registry", "channels", "create", "left", "production", "-assign=v1"]);
    let file = old.path().join("export.json");
    let file = file.to_str().expect("a plain name");
    old.ok(&["registry", "export", file]);

    let new = World::local();
    new.ok(&["registry", "import", file, "-bucket=top"]);
    new.ok(&["registry", "revoke", "top", "v1"]);
    let said = new.ok(&["registry", "import", file]);
    for wanted in [
        "1 are revoked here with what they were built from, and valid in the file. To restore them:\n  \
         ingot registry restore left left-1\n",
        "Channels that were not assigned, as this registry refuses it:\n  production of left: ",
    ] {
        assert!(said.contains(wanted), "{wanted:?} is not in {said}");
    }
    // As it says; then the channel follows.
    new.ok(&["registry", "restore", "left", "left-1"]);
    let said = new.ok(&["registry", "import", file]);
    assert!(!said.contains("restore") && !said.contains("Channels"), "{said}");
    let channel: Value = new.json(&["channels", "show", "left", "production"]);
    assert_eq!(channel["version"]["fingerprint"], "left-1");
}

#[test]
fn a_revocation_to_come_does_not_replace_one_that_holds() {
    let old = World::local();
    publish(&old, "top", &[]);
    publish(&old, "left", &[("top", "new")]);
    publish(&old, "right", &[("top", "new")]);
    old.ok(&["registry", "revoke", "left", "v1", "-reason=CVE-2026-1234"]);
    old.ok(&["registry", "revoke", "top", "v1", "-at=2099-01-01"]);
    old.ok(&["registry", "export", "e.json"]);
    let file = old.path().join("e.json");
    let new = World::local();
    new.ok(&["registry", "import", file.to_str().expect("a plain name")]);
    for (bucket, status, kind) in [
        ("left", "VERSION_REVOKED", "MANUAL"),
        ("right", "VERSION_REVOCATION_SCHEDULED", "INHERITED"),
    ] {
        let version = new.json(&["versions", "show", bucket, "v1"]);
        assert_eq!(version["status"], status, "{version:#}");
        assert_eq!(version["revocation_type"], kind, "{version:#}");
    }
}

/// A revocation that did not reach what was built from its version does not do so when it is moved.
#[test]
fn a_version_keeps_its_own_revocation_below_a_revoked_parent() {
    for how in ["-at=2099-01-01", "-reason=CVE-2026-1234"] {
        let old = World::local();
        publish(&old, "top", &[]);
        publish(&old, "left", &[("top", "new")]);
        old.ok(&["registry", "revoke", "top", "v1", "-descendants=false"]);
        old.ok(&["registry", "revoke", "left", "v1", how]);
        old.ok(&["registry", "export", "e.json"]);
        let file = old.path().join("e.json");
        let new = World::local();
        new.ok(&["registry", "import", file.to_str().expect("a plain name")]);
        let shown = |world: &World| {
            let version = world.json(&["versions", "show", "left", "v1"]);
            let fields = ["status", "revocation_type", "revocation_message"];
            fields.map(|field| version[field].clone())
        };
        assert_eq!(shown(&new), shown(&old), "{how}");
        assert_eq!(shown(&new)[1], "MANUAL", "{how}");
    }
}

#[test]
fn a_revocation_of_the_target_is_not_taken_for_another_one_of_the_file() {
    for more in ["-at=2099-01-01", "-reason=outdated"] {
        let old = World::local();
        publish(&old, "top", &[]);
        old.ok(&["registry", "export", "e.json"]);
        let file = old.path().join("e.json");
        let import = ["registry", "import", file.to_str().expect("a plain name")];
        let new = World::local();
        new.ok(&import);
        new.ok(&["registry", "revoke", "top", "v1", "-reason=CVE-2026-1234"]);

        publish(&old, "left", &[("top", "new")]);
        old.ok(&["registry", "revoke", "top", "v1", "-descendants=false", more]);
        old.ok(&["registry", "export", "e.json", "-force"]);
        let said = new.ok(&import);
        let wanted = "To restore them:\n  ingot registry restore left left-1\n";
        assert!(said.contains(wanted), "{more}: {wanted:?} is not in {said}");
        let version = new.json(&["versions", "show", "left", "v1"]);
        assert_eq!(version["status"], "VERSION_REVOKED", "{version:#}");
    }
}

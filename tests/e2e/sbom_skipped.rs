//! What SBOMs leave out, and the notes that say so.

use std::path::Path;

use serde_json::{Value, json};

use crate::sbom::{packages, read, said};
use ingot_test_support::{docker, docker_template, ingot, require, template};

/// A directory with a database of dpkg that lists one package, at `path` below `dir`.
fn dpkg(dir: &Path, path: &str, package: &str) {
    std::fs::create_dir_all(dir.join(path)).unwrap();
    let status = format!("Package: {package}\nStatus: install ok installed\nVersion: 1\n");
    std::fs::write(dir.join(path).join("status"), status).unwrap();
}

/// Makes a link, and the directory it is in.
fn link(target: impl AsRef<Path>, at: &Path) {
    std::fs::create_dir_all(at.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(target, at).unwrap();
}

#[test]
fn links_that_lead_out_of_the_directory_are_not_followed() {
    let dir = template("");
    let path = |name: &str| dir.path().join(name);
    dpkg(dir.path(), "host", "secret-of-the-host");
    std::fs::write(path("host/os-release"), "ID=host\n").unwrap();
    // A directory and files that lead out, by relative and by absolute links.
    link("../../../host", &path("root/var/lib/dpkg"));
    link(path("host/os-release"), &path("root/etc/os-release"));
    link("../../../../host/status", &path("root/lib/apk/db/installed"));
    link(path("host/status"), &path("root/var/lib/rpm/rpmdb.sqlite"));
    link(path("host"), &path("root/srv/linked"));
    std::fs::write(path("host/Cargo.lock"), "[[package]]\nname = \"h\"\nversion = \"1\"\n")
        .unwrap();
    // What leads to another place inside of it is read.
    std::fs::create_dir_all(path("root/usr/lib")).unwrap();
    std::fs::write(path("root/usr/lib/real"), "ID=guest\n").unwrap();
    link("real", &path("root/usr/lib/os-release"));
    for root in ["root", "./root/", "root/usr/.."] {
        let run = ingot(dir.path(), &["sbom-generate", root]);
        assert_eq!(run.code, Some(0), "{}", said(&run));
        let document: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(packages(&document), [].into(), "{root}: {}", run.stdout);
        assert_eq!(document["metadata"]["component"]["name"], "guest", "{}", run.stderr);
        for name in [
            "etc/os-release",
            "var/lib/dpkg/status",
            "lib/apk/db/installed",
            "var/lib/rpm/rpmdb.sqlite",
        ] {
            let wanted = format!("root/{name} leads out of ");
            assert!(run.stderr.contains(&wanted), "{wanted}: {}", run.stderr);
        }
    }
    // The directory itself may be a link.
    dpkg(dir.path(), "other/var/lib/dpkg", "bash");
    link("other", &path("linked"));
    let run = ingot(dir.path(), &["sbom-generate", "linked"]);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(packages(&document), ["bash 1".to_owned()].into());
    assert_eq!(document["components"][0]["properties"][0]["value"], "/var/lib/dpkg/status");
}

#[test]
fn what_is_too_large_or_broken_is_skipped_and_named() {
    let dir = template("");
    dpkg(dir.path(), "root/var/lib/dpkg", "bash");
    let app = dir.path().join("root/srv");
    for name in ["large", "broken", "good"] {
        std::fs::create_dir_all(app.join(name)).unwrap();
    }
    let large = std::fs::File::create(app.join("large/package-lock.json")).unwrap();
    large.set_len(100 << 20).unwrap();
    std::fs::write(app.join("broken/package-lock.json"), "{\"packages\": [").unwrap();
    let lock = r#"{"packages": {"node_modules/a": {"version": "2.0.0"}}}"#;
    std::fs::write(app.join("good/package-lock.json"), lock).unwrap();
    let run = ingot(dir.path(), &["sbom-generate", "root"]);
    assert_eq!(run.code, Some(0), "{}", said(&run));
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(packages(&document), ["bash 1".to_owned(), "a 2.0.0".to_owned()].into());
    for wanted in [
        "root/srv/large/package-lock.json has more than 64 MiB and is skipped",
        "note: /srv/broken/package-lock.json is skipped: it is not valid JSON: EOF",
    ] {
        assert!(run.stderr.contains(wanted), "{wanted}: {}", run.stderr);
    }
}

#[test]
fn what_the_user_may_not_read_is_noted() {
    require!(docker());
    // The owner of these may not read them either, unless it is root.
    let steps = r#"
  provisioner "shell" {
    inline = [
      "cd /tmp && mkdir -p open closed files",
      "printf '[[package]]\nname = \"serde\"\nversion = \"1.0.0\"\n' > open/Cargo.lock",
      "cp open/Cargo.lock closed/ && cp open/Cargo.lock files/ && cp open/Cargo.lock files/go.mod",
      "chmod 0 closed files/Cargo.lock files/go.mod",
    ]
  }
  provisioner "hcp-sbom" {
    auto_generate = true
    scan_path     = "/tmp"
    destination   = "cdx.json"
  }"#;
    let dir = template(&docker_template("discard = true\n  exec_user = \"65534\"", steps));
    let run = ingot(dir.path(), &["build", "."]);
    let said = said(&run);
    assert_eq!(run.code, Some(0), "{said}");
    let document = read(&dir.path().join("cdx.json"));
    assert_eq!(packages(&document), ["serde 1.0.0".to_owned()].into());
    assert!(said.contains("Note: /tmp/closed cannot be read by "), "{said}");
    let files =
        said.lines().find(|line| line.contains(" and other files (2 in all) cannot be read"));
    assert!(files.is_some_and(|line| line.contains("Note: /tmp/files/")), "{said}");
}

#[test]
fn packages_of_other_kinds_are_noted() {
    let dir = template("");
    dpkg(dir.path(), "root/var/lib/dpkg", "bash");
    for path in [
        "opt/tomcat/lib/catalina.jar",
        "opt/tomcat/lib/jasper.jar",
        "usr/lib/ruby/specifications/rake-13.gemspec",
        "srv/vendor/composer/installed.json",
        "srv/app.deps.json",
        "var/lib/pacman/local/bash-5.2-1/desc",
    ] {
        let path = dir.path().join("root").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    let run = ingot(dir.path(), &["sbom-generate", "root"]);
    assert_eq!(run.code, Some(0), "{}", said(&run));
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(packages(&document), ["bash 1".to_owned()].into());
    // Each kind once.
    assert_eq!(run.stderr.lines().count(), 5, "{}", run.stderr);
    for (kind, path) in [
        ("Java", "/root/opt/tomcat/lib/"),
        ("Ruby", "/root/usr/lib/ruby/specifications/rake-13.gemspec, are not listed"),
        ("PHP", "/root/srv/vendor/composer/installed.json, are not listed"),
        (".NET", "/root/srv/app.deps.json, are not listed"),
        ("pacman", "/root/var/lib/pacman/local, are not listed"),
    ] {
        let start = format!("note: {kind} packages, such as ");
        let noted = run.stderr.lines().any(|line| line.starts_with(&start) && line.contains(path));
        assert!(noted, "{kind}: {}", run.stderr);
    }
}

#[test]
fn a_package_in_many_places_is_listed_with_the_first_of_them() {
    let dir = template("");
    for index in 0..25 {
        let app = dir.path().join(format!("root/{index}"));
        std::fs::create_dir_all(&app).unwrap();
        let lock = "[[package]]\nname = \"serde\"\nversion = \"1.0.0\"\n";
        std::fs::write(app.join("Cargo.lock"), lock).unwrap();
    }
    let document = |format: &str| -> Value {
        let run = ingot(dir.path(), &["sbom-generate", "-o", format, "root"]);
        assert_eq!(run.code, Some(0), "{}", said(&run));
        let document = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(packages(&document), ["serde 1.0.0".to_owned()].into());
        document
    };
    let cyclonedx = document("cyclonedx-json");
    let properties = cyclonedx["components"][0]["properties"].as_array().unwrap();
    assert_eq!(properties.len(), 21, "{properties:?}");
    assert!(properties[..20].iter().all(|one| one["name"] == "ingot:location"), "{properties:?}");
    let omitted = json!({"name": "ingot:locations-omitted", "value": "5"});
    assert_eq!(properties[20], omitted);
    let spdx = document("spdx-json");
    let source = spdx["packages"][1]["sourceInfo"].as_str().unwrap();
    assert_eq!(source.matches("/Cargo.lock").count(), 20, "{source}");
    assert!(source.ends_with(" and 5 more files"), "{source}");
}

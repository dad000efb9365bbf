//! `ingot diff`: Docker images, SBOMs and versions of a registry.

use std::path::Path;

use ingot_test_support::{BASE, docker, ingot, ingot_with, output_of, require};
use serde_json::{Value, json};

/// An image made of the base image and what a Dockerfile says. `FROM` and `RUN` need no network.
fn image(name: &str, lines: &str) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("Dockerfile"), format!("FROM {BASE}\n{lines}")).unwrap();
    let path = dir.path().to_str().unwrap();
    output_of("docker", &["build", "-q", "-t", name, path]);
}

fn sbom(dir: &Path, name: &str, packages: &[(&str, &str)]) -> String {
    let component = |(name, version): &(&str, &str)| {
        json!({ "type": "library", "name": name, "version": version,
            "purl": format!("pkg:deb/debian/{name}@{version}") })
    };
    let components: Vec<Value> = packages.iter().map(component).collect();
    let document =
        json!({ "bomFormat": "CycloneDX", "specVersion": "1.6", "components": components });
    std::fs::write(dir.join(name), document.to_string()).unwrap();
    name.to_owned()
}

#[test]
fn images_differ_in_files_packages_and_configuration() {
    require!(docker());
    let status = |version: &str| {
        format!(
            "RUN mkdir -p /var/lib/dpkg /srv && printf 'Package: curl\\nStatus: install ok \
             installed\\nArchitecture: amd64\\nVersion: {version}\\n' > /var/lib/dpkg/status && \
             printf 'ID=debian\\nVERSION_ID=12\\n' > /etc/os-release\n"
        )
    };
    image(
        "ingot-e2e-diff:1",
        &format!(
            "{}RUN echo old > /srv/page && echo x > /srv/gone\nENV MODE=a\nCMD [\"a\"]\n",
            status("7.1")
        ),
    );
    image(
        "ingot-e2e-diff:2",
        &format!(
            "{}RUN echo new page > /srv/page && chmod 600 /srv/page && ln -s /srv/page /srv/link\n\
             ENV MODE=b\nCMD [\"b\"]\nLABEL team=web\nEXPOSE 80\nUSER 1000\n",
            status("7.2")
        ),
    );
    let dir = tempfile::tempdir().unwrap();
    let before = output_of("docker", &["ps", "-aq"]);
    let run = ingot(dir.path(), &["diff", "ingot-e2e-diff:1", "docker:ingot-e2e-diff:2"]);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    for line in [
        "--- ingot-e2e-diff:1",
        "+++ docker:ingot-e2e-diff:2",
        "Size: ",
        "  ~ cmd = [\"a\"] → [\"b\"]",
        "  ~ env MODE = \"a\" → \"b\"",
        "  + label team = \"web\"",
        "  + port 80/tcp = exposed",
        "  + user = 1000",
        "Packages: 1 changed",
        "  ~ deb curl 7.1 → 7.2",
        "  - /srv/gone (2 B, 0644, 0:0)",
        "  + /srv/link (link to /srv/page, 0777, 0:0)",
        "  ~ /srv/page (content, 4 B → 9 B; mode 0644 → 0600)",
    ] {
        assert!(run.stdout.contains(line), "{line:?} is not in {}", run.stdout);
    }
    // The database of packages itself, and nothing of what Docker puts into containers.
    assert!(run.stdout.contains("Files: 1 added, 1 removed, 2 changed"), "{}", run.stdout);
    let ours = |list: &str| -> Vec<String> {
        list.lines().map(str::to_owned).filter(|id| !before.contains(id.as_str())).collect()
    };
    let left = ours(&output_of("docker", &["ps", "-aq", "--filter", "ancestor=ingot-e2e-diff:1"]));
    assert!(left.is_empty(), "{left:?} are left");

    let args = ["diff", "-json", "-parts=packages,config", "ingot-e2e-diff:1", "ingot-e2e-diff:2"];
    let run = ingot(dir.path(), &args);
    let found: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, &found["same"], &found["files"]), (Some(1), &json!(false), &json!(null)));
    let curl = &found["packages"]["changed"]["deb curl"];
    assert_eq!(*curl, json!({ "before": "7.1", "after": "7.2" }));

    let run = ingot(dir.path(), &["diff", "ingot-e2e-diff:1", "ingot-e2e-diff:1"]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("Files: the same"), "{}", run.stdout);
    output_of("docker", &["rmi", "ingot-e2e-diff:1", "ingot-e2e-diff:2"]);
}

/// What could not be read of an image may differ without anybody's seeing it.
#[test]
fn what_cannot_be_read_of_an_image_is_said() {
    require!(docker());
    let name = "ingot-e2e-diff-notes:1";
    image(
        name,
        "RUN mkdir -p /srv /var/lib/rpm && echo '{' > /srv/package-lock.json && echo x > \
         /var/lib/rpm/Packages\n",
    );
    let dir = tempfile::tempdir().unwrap();
    let run = ingot(dir.path(), &["diff", "-parts=packages", name, name]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let note = format!("\nnote: {name}: /srv/package-lock.json is skipped: ");
    assert_eq!(run.stdout.matches(&note).count(), 1, "{}", run.stdout);
    // With the paths that it has in the image.
    assert!(!run.stdout.contains("ingot-diff-"), "{}", run.stdout);
    let run = ingot(dir.path(), &["diff", "-parts=packages", "-json", name, name]);
    let found: Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(found["notes"].to_string().contains("/srv/package-lock.json"), "{found:#}");
    // There, packages are not looked at.
    let run = ingot(dir.path(), &["diff", "-parts=config", name, name]);
    assert!(!run.stdout.contains("note:"), "{}", run.stdout);
    output_of("docker", &["rmi", name]);
}

/// An image of a program with these capabilities and a device of this minor number.
fn image_with_attributes(name: &str, capabilities: u32, minor: u32) {
    let mut archive = tar::Builder::new(Vec::new());
    let words = [0x0200_0001, capabilities, 0, 0, 0].map(u32::to_le_bytes);
    archive
        .append_pax_extensions([("SCHILY.xattr.security.capability", &*words.concat())])
        .unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(2);
    archive.append_data(&mut header, "tool", &b"x\n"[..]).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Char);
    header.set_mode(0o666);
    header.set_size(0);
    header.set_device_major(1).unwrap();
    header.set_device_minor(minor).unwrap();
    archive.append_data(&mut header, "device", std::io::empty()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("root.tar");
    std::fs::write(&file, archive.into_inner().unwrap()).unwrap();
    output_of("docker", &["import", file.to_str().unwrap(), name]);
}

#[test]
fn capabilities_and_devices_are_compared() {
    require!(docker());
    let names = ["ingot-e2e-attributes:1", "ingot-e2e-attributes:2"];
    // The first has a line break in its bytes.
    image_with_attributes(names[0], 0x0a, 3);
    image_with_attributes(names[1], 1 << 13, 5);
    let dir = tempfile::tempdir().unwrap();
    let run = ingot(dir.path(), &["diff", "-parts=files", names[0], names[1]]);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    for line in [
        "Files: 2 changed",
        "  ~ /device (device 1:3 → 1:5)",
        "  ~ /tool (security.capability cap_dac_override,cap_fowner=ep → cap_net_raw=ep)",
    ] {
        assert!(run.stdout.contains(line), "{line:?} is not in {}", run.stdout);
    }
    let run = ingot(dir.path(), &["diff", "-parts=files", "-json", names[0], names[1]]);
    let found: Value = serde_json::from_str(&run.stdout).unwrap();
    let changed = &found["files"]["changed"];
    let device = json!({ "major": 1, "minor": 3 });
    assert_eq!(changed["/device"]["before"]["device"], device, "{changed:#}");
    let xattrs = json!({ "security.capability": "cap_net_raw=ep" });
    assert_eq!(changed["/tool"]["after"]["xattrs"], xattrs, "{changed:#}");
    let run = ingot(dir.path(), &["diff", names[0], names[0]]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    // One that loses them all.
    image(names[1], "RUN true\n");
    let run = ingot(dir.path(), &["diff", "-parts=files", names[1], names[0]]);
    for line in [
        "  + /device (character device 1:3, 0666, 0:0)",
        "  + /tool (2 B, 0755, 0:0, security.capability cap_dac_override,cap_fowner=ep)",
    ] {
        assert!(run.stdout.contains(line), "{line:?} is not in {}", run.stdout);
    }
    output_of("docker", &["rmi", names[0], names[1]]);
}

#[test]
fn sboms_and_what_cannot_be_compared() {
    let dir = tempfile::tempdir().unwrap();
    let one = sbom(dir.path(), "one.json", &[("curl", "7.1"), ("vim", "9")]);
    let two = sbom(dir.path(), "two.json", &[("curl", "7.2"), ("jq", "1.6")]);
    let run = ingot(dir.path(), &["diff", &one, &two]);
    let expected = "--- one.json\n+++ two.json\n\nPackages: 1 added, 1 removed, 1 changed\n  ~ deb curl \
                    7.1 → 7.2\n  + deb jq 1.6\n  - deb vim 9\n";
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), expected), "{}", run.stderr);
    assert_eq!(ingot(dir.path(), &["diff", &one, &one]).code, Some(0));

    std::fs::write(dir.path().join("other.json"), "{}").unwrap();
    std::fs::write(dir.path().join("disk.qcow2"), b"QFI\xfb").unwrap();
    for (args, said) in [
        (&["diff", "one.json", "other.json"][..], "other.json: it is neither CycloneDX nor SPDX"),
        (&["diff", "one.json", "disk.qcow2"], "disks are compared by their SBOMs"),
        (&["diff", "-parts=file", "one.json", "two.json"], "did you mean `files`?"),
        (&["diff", "-parts=files", "one.json", "two.json"], "nothing is known of both"),
        (&["diff", "registry:web", "one.json"], "registry:BUCKET@FINGERPRINT"),
        (&["diff", "one.json"], "<AFTER>"),
        (&["diff", "one.json", "two.json", "other.json"], "one argument too many"),
        (&["diff", "-part=files", "one.json", "two.json"], "did you mean -parts?"),
    ] {
        let run = ingot(dir.path(), args);
        assert_eq!(run.code, Some(2), "{args:?} {}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains(said), "{said:?} is not said: {}", run.stderr);
    }
}

#[cfg(feature = "registry-server")]
#[test]
fn versions_of_a_registry_differ_by_what_they_were_published_with() {
    require!(docker());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("registry.db");
    let publish = |fingerprint: &str, stage: &str, version: &str| {
        let template = format!(
            r#"
hcp_packer_registry {{
  bucket_name  = "web"
  build_labels = {{ stage = "{stage}" }}
}}
source "docker" "d" {{
  image  = "{BASE}"
  pull   = false
  commit = true
}}
build {{
  sources = ["source.docker.d"]
  provisioner "shell" {{
    inline = ["mkdir -p /srv && printf '[[package]]\nname = \"serde\"\nversion = \"{version}\"\n' > /srv/Cargo.lock"]
  }}
  provisioner "hcp-sbom" {{
    auto_generate = true
    sbom_name     = "packages"
  }}
}}
"#
        );
        std::fs::write(dir.path().join("t.pkr.hcl"), template).unwrap();
        let env = [
            ("INGOT_REGISTRY", file.to_str().unwrap()),
            ("HCP_PACKER_BUILD_FINGERPRINT", fingerprint),
        ];
        let run = ingot_with(dir.path(), &["build", "."], &env);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        let id = run.stdout.lines().find_map(|line| line.split_once("Image ID: "));
        id.unwrap().1.trim().to_owned()
    };
    let images = [publish("first", "test", "1.0.0"), publish("second", "production", "1.0.1")];
    let env = [("INGOT_REGISTRY", file.to_str().unwrap())];
    let args = ["registry", "channels", "create", "web", "production", "-assign=first"];
    let channel = ingot_with(dir.path(), &args, &env);
    assert_eq!(channel.code, Some(0), "{}{}", channel.stdout, channel.stderr);
    for (before, after) in [("web@first", "web@second"), ("registry:web:production", "web@v2")] {
        let run = ingot_with(dir.path(), &["diff", before, after], &env);
        assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
        for line in [
            "~ docker.d label stage = \"test\" → \"production\"",
            "Packages: 1 changed",
            "~ cargo serde 1.0.0 → 1.0.1",
        ] {
            assert!(run.stdout.contains(line), "{line:?} is not in {}", run.stdout);
        }
    }
    let run = ingot_with(dir.path(), &["diff", "web@first", "web@none"], &env);
    assert!(run.code == Some(2) && run.stderr.contains("web@none: "), "{}", run.stderr);
    output_of("docker", &["rmi", &images[0], &images[1]]);
}

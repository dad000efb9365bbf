//! Alpine's own package manager beside Ingot: what the SBOM lists, and what checks of packages say.
//!
//! No package of Debian or of a language's registry has `apk` or Alpine's files, so CI has neither: these
//! tests run where `INGOT_TEST_ALPINE` names archives of Alpine's root (`alpine-minirootfs-*.tar.gz`),
//! separated by colons.

use std::collections::BTreeSet;
use std::process::Command;

use ingot_test_support::{BASE, docker, docker_template, ingot, output_of, require, template};
use serde_json::Value;

/// An image of one of the archives.
struct Alpine(String);

impl Alpine {
    /// All that the environment names, as images of one test.
    fn all(test: &str) -> Vec<Alpine> {
        let Ok(archives) = std::env::var("INGOT_TEST_ALPINE") else {
            eprintln!("skipped: INGOT_TEST_ALPINE names no archive of Alpine's root");
            return Vec::new();
        };
        let numbered = archives.split(':').enumerate();
        let images = numbered.map(|(number, archive)| {
            let name = format!("ingot-e2e-alpine-{test}:{number}");
            output_of("docker", &["import", "-c", "CMD [\"/bin/sh\"]", archive, &name]);
            Alpine(name)
        });
        images.collect()
    }

    /// What `apk` itself lists in it: names with versions.
    fn packages(&self) -> BTreeSet<String> {
        // apk warns of repositories of which it has no index.
        let list = "apk info -v 2>/dev/null";
        let listed = output_of("docker", &["run", "--rm", &self.0, "/bin/sh", "-c", list]);
        listed.lines().map(|line| line.trim().to_owned()).collect()
    }
}

impl Drop for Alpine {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rmi", "-f", &self.0]).output();
    }
}

/// Names with versions of all packages in an SBOM of either format.
fn listed(document: &Value) -> BTreeSet<String> {
    let (list, version) = match document.get("components") {
        Some(components) => (components, "version"),
        None => (&document["packages"], "versionInfo"),
    };
    let packages = list.as_array().unwrap().iter().filter(|package| {
        let reference = package["externalRefs"][0]["referenceLocator"].as_str();
        package["purl"].as_str().or(reference).is_some_and(|purl| purl.starts_with("pkg:apk/"))
    });
    packages
        .map(|package| {
            let text = |name: &str| package[name].as_str().unwrap().to_owned();
            format!("{}-{}", text("name"), text(version))
        })
        .collect()
}

#[test]
fn the_sbom_of_alpine_lists_what_apk_lists() {
    require!(docker());
    for image in Alpine::all("sbom") {
        let steps: String = ["cyclonedx-json", "spdx-json"]
            .map(|format| {
                format!(
                    "  provisioner \"hcp-sbom\" {{\n    auto_generate = true\n    scanner_args = \
                     [\"-o\", \"{format}\"]\n    destination = \"{format}\"\n  }}\n"
                )
            })
            .concat();
        let text = docker_template("discard = true", &steps).replace(BASE, &image.0);
        let dir = template(&text);
        let run = ingot(dir.path(), &["build", "."]);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        let apk = image.packages();
        assert!(apk.len() > 10, "{apk:?}");
        for format in ["cyclonedx-json", "spdx-json"] {
            let file = std::fs::read(dir.path().join(format)).unwrap();
            let document: Value = serde_json::from_slice(&file).unwrap();
            assert_eq!(listed(&document), apk, "{format} of {}", image.0);
        }
    }
}

#[test]
fn packages_of_apk_are_checked() {
    require!(docker());
    for image in Alpine::all("checks") {
        let apk = image.packages();
        let musl = apk.iter().find_map(|package| package.strip_prefix("musl-1")).unwrap();
        let dir = template(&docker_template("commit = true", ""));
        let companion = format!(
            "test \"packages\" {{\n  package \"musl\" {{\n    version = [\"1{musl}\"]\n  }}\n  \
             package \"mus\" {{\n    installed = false\n  }}\n  package \"zlib\" {{\n    version = \
             [\"!0.\"]\n  }}\n  package \"bash\" {{}}\n}}\n"
        );
        std::fs::write(dir.path().join("t.ingot.hcl"), companion).unwrap();
        let run = ingot(dir.path(), &["test", ".", &image.0]);
        let verdicts = run.stdout.lines().filter_map(|line| line.strip_prefix("==> docker.d: "));
        let verdicts: Vec<&str> = verdicts
            .filter(|line| line.starts_with("passed: ") || line.starts_with("failed: "))
            .collect();
        let wanted = [
            "passed: package \"musl\"",
            "passed: package \"mus\"",
            "passed: package \"zlib\"",
            "failed: package \"bash\": it is not installed",
        ];
        assert_eq!(verdicts, wanted, "{}{}", run.stdout, run.stderr);
    }
}

//! `provisioner "hcp-sbom"` in real containers.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use ingot_test_support::{
    Run, docker, docker_template, ingot, missing, null_template, require, template, tool,
};

/// A build in a container that is thrown away, with `steps`.
fn build(steps: &str) -> (tempfile::TempDir, Run) {
    let dir = template(&docker_template("discard = true", steps));
    let run = ingot(dir.path(), &["build", "."]);
    (dir, run)
}

pub(crate) fn said(run: &Run) -> String {
    format!("{}{}", run.stdout, run.stderr)
}

pub(crate) fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// `name version` of the packages that a document lists.
pub(crate) fn packages(document: &Value) -> BTreeSet<String> {
    let (list, version) = match document.get("components") {
        Some(list) => (list, "version"),
        None => (&document["packages"], "versionInfo"),
    };
    let list = list.as_array().unwrap().iter();
    // The first package of SPDX is the machine itself.
    let list = list.filter(|one| one["SPDXID"] != "SPDXRef-root");
    list.map(|one| format!("{} {}", one["name"].as_str().unwrap(), one[version].as_str().unwrap()))
        .collect()
}

/// Steps that put this machine's own package database into the container.
const DEBIAN: &str = r#"
  provisioner "shell" {
    inline = ["mkdir -p /var/lib/dpkg /etc /usr/lib"]
  }
  provisioner "file" {
    source      = "/var/lib/dpkg/status"
    destination = "/var/lib/dpkg/status"
  }
  provisioner "file" {
    source      = "/etc/os-release"
    destination = "/etc/os-release"
  }
"#;

#[test]
fn an_sbom_of_debian_lists_what_dpkg_does() {
    require!(docker());
    let format = "${db:Status-Abbrev}\t${Package} ${Version}\n";
    let listed = require!(tool(Path::new("/"), &["dpkg-query", "-W", "-f", format]));
    let listed = listed.lines().filter_map(|line| line.split_once('\t'));
    let installed: BTreeSet<String> = listed
        .filter(|(state, _)| state.as_bytes().get(1).is_some_and(|state| !b"nc".contains(state)))
        .map(|(_, package)| package.to_owned())
        .collect();
    assert!(installed.len() > 50, "{installed:?}");
    let steps = format!(
        "{DEBIAN}
  provisioner \"hcp-sbom\" {{
    auto_generate = true
    destination   = \"cdx.json\"
  }}
  provisioner \"hcp-sbom\" {{
    auto_generate = true
    scanner_args  = [\"-o\", \"spdx-json\"]
    destination   = \"made/here/spdx.json\"
    sbom_name     = \"spdx\"
  }}
  provisioner \"shell\" {{
    inline = [\"echo left: $(ls -A /tmp)\"]
  }}"
    );
    let (dir, run) = build(&steps);
    let said = said(&run);
    assert_eq!(run.code, Some(0), "{said}");
    assert!(said.contains("Found "), "{said}");
    // The script of the shell provisioner is the only one there.
    let left = said.lines().find_map(|line| line.split_once("left: ")).unwrap().1;
    assert!(!left.contains("ingot-sbom"), "{left}");
    let cyclonedx = read(&dir.path().join("cdx.json"));
    let spdx = read(&dir.path().join("made/here/spdx.json"));
    for document in [&cyclonedx, &spdx] {
        assert_eq!(packages(document), installed);
    }
    let bash = cyclonedx["components"].as_array().unwrap();
    let bash = bash.iter().find(|one| one["name"] == "bash").unwrap();
    let purl = bash["purl"].as_str().unwrap();
    assert!(purl.starts_with("pkg:deb/debian/bash@") && purl.contains("distro=debian-"), "{purl}");
    assert_eq!(cyclonedx["metadata"]["component"]["name"], "debian");
    assert_eq!(spdx["packages"][0]["name"], "debian");
    // As SPDX's JSON schema has it, which its Python library does not insist on.
    assert_eq!(spdx["packages"][0]["primaryPackagePurpose"], "OPERATING_SYSTEM");
    valid(&dir.path().join("cdx.json"), &dir.path().join("made/here/spdx.json"));
}

/// Checks documents by what their formats' makers publish for that.
fn valid(cyclonedx: &Path, spdx: &Path) {
    const SCRIPT: &str = r#"
import sys
try:
    from cyclonedx.validation.json import JsonStrictValidator
    from cyclonedx.schema import SchemaVersion
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
except ImportError as error:
    print(error)
    sys.exit(77)
problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
assert problem is None, problem
problems = validate_full_spdx_document(parse_file(sys.argv[2]))
assert not problems, [p.validation_message for p in problems[:5]]
"#;
    let output = Command::new("python3").args(["-c", SCRIPT]).arg(cyclonedx).arg(spdx).output();
    let output = output.expect("python3 is there");
    if output.status.code() == Some(77) {
        missing("pip install 'cyclonedx-python-lib[json-validation]' spdx-tools");
        return;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A machine whose databases are written by hand, as there is no Alpine to be had.
const OTHERS: &str = r#"
  provisioner "shell" {
    inline = [
      "mkdir -p /lib/apk/db /etc /srv/app/node_modules/@s/b /opt/py/requests-2.31.0.dist-info",
      "printf 'ID=alpine\nVERSION_ID=3.20.1\nPRETTY_NAME=\"Alpine Linux v3.20\"\n' > /etc/os-release",
      "printf 'C:Q1x=\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\no:musl\nF:lib\nR:ld.so\n\nP:busybox-binsh\nV:1.36.1-r29\nA:x86_64\nL:GPL-2.0-only\no:busybox\n\n' > /lib/apk/db/installed",
      "echo '{\"name\": \"@s/b\", \"version\": \"2.0.0\", \"license\": \"ISC\"}' > /srv/app/node_modules/@s/b/package.json",
      "printf 'Metadata-Version: 2.1\nName: requests\nVersion: 2.31.0\n\nVersion: 9\n' > /opt/py/requests-2.31.0.dist-info/METADATA",
      "printf 'module m\n\nrequire golang.org/x/net v0.1.0\n' > /srv/app/go.mod",
      "printf 'version = 4\n\n[[package]]\nname = \"serde\"\nversion = \"1.0.0\"\n' > /srv/app/Cargo.lock",
      "mkdir -p /skipped && cp /srv/app/Cargo.lock /skipped/ && sed -i s/serde/skipped/ /skipped/Cargo.lock",
    ]
  }
"#;

#[test]
fn an_sbom_lists_the_packages_of_alpine_and_of_languages() {
    require!(docker());
    // In Packer's own form of the command, without the sudo that this machine does not have.
    let steps = format!(
        "{OTHERS}
  provisioner \"hcp-sbom\" {{
    auto_generate   = true
    scanner_args    = [\"-o\", \"cyclonedx-json\", \"--exclude\", \"./skipped\"]
    execute_command = \"chmod +x {{{{.Path}}}} && {{{{.Path}}}} sbom-generate {{{{.Args}}}} {{{{.ScanPath}}}} > {{{{.Output}}}}\"
    destination     = \"out/\"
  }}"
    );
    let (dir, run) = build(&steps);
    assert_eq!(run.code, Some(0), "{}", said(&run));
    let mut written = std::fs::read_dir(dir.path().join("out")).unwrap();
    let document = read(&written.next().unwrap().unwrap().path());
    let wanted = [
        "@s/b 2.0.0",
        "busybox-binsh 1.36.1-r29",
        "golang.org/x/net v0.1.0",
        "musl 1.2.5-r0",
        "requests 2.31.0",
        "serde 1.0.0",
    ];
    assert_eq!(packages(&document), wanted.map(str::to_owned).into());
    let purls: Vec<&str> = document["components"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["purl"].as_str())
        .collect();
    for purl in [
        "pkg:apk/alpine/busybox-binsh@1.36.1-r29?arch=x86_64&distro=alpine-3.20.1&upstream=busybox",
        "pkg:npm/%40s/b@2.0.0",
        "pkg:golang/golang.org/x/net@v0.1.0",
    ] {
        assert!(purls.contains(&purl), "{purl}: {purls:?}");
    }
}

#[test]
fn an_sbom_that_is_there_is_taken() {
    require!(docker());
    let steps = r#"
  provisioner "shell" {
    inline = ["echo '{\"bomFormat\": \"CycloneDX\", \"specVersion\": \"1.5\"}' > /tmp/sbom.json"]
  }
  provisioner "hcp-sbom" {
    source      = "/tmp/sbom.json"
    destination = "taken.json"
  }
  provisioner "hcp-sbom" {
    auto_generate   = true
    execute_command = "cp /tmp/sbom.json {{ .Output }}"
    destination     = "scanned.json"
  }"#;
    let (dir, run) = build(steps);
    assert_eq!(run.code, Some(0), "{}", said(&run));
    for name in ["taken.json", "scanned.json"] {
        assert_eq!(read(&dir.path().join(name))["specVersion"], "1.5");
    }
}

#[test]
fn what_is_no_sbom_fails_the_build() {
    require!(docker());
    for (steps, wanted) in [
        ("source = \"/nope.json\"", "Failed to download SBOM file"),
        ("source = \"/tmp/text\"", "SBOM validation failed: it is not JSON"),
        ("source = \"/tmp/other\"", "neither `spdxVersion` nor `bomFormat`"),
        ("auto_generate = true\n    scan_path = \"/nope\"", "/nope is not a directory"),
        (
            "auto_generate = true\n    execute_command = \"echo a table > {{ .Output }}\"",
            "it is not JSON",
        ),
        ("auto_generate = true\n    execute_command = \"exit 7\"", "scanner exited with status 7"),
    ] {
        let (_dir, run) = build(&format!(
            "  provisioner \"shell\" {{\n    inline = [\"echo text > /tmp/text; echo '{{}}' > \
             /tmp/other\"]\n  }}\n  provisioner \"hcp-sbom\" {{\n    {steps}\n  }}\n"
        ));
        let said = said(&run);
        assert_eq!(run.code, Some(1), "{steps}: {said}");
        assert!(said.contains(wanted), "{steps}: {said}");
    }
}

#[test]
fn invalid_options_are_found_before_anything_runs() {
    for (options, wanted) in [
        ("", "`source` is missing"),
        ("source = \"a\"\n  auto_generate = true", "exclude each other"),
        ("source = \"a\"\n  sbom_name = \"no blanks\"", "3 to 36 letters"),
        ("auto_generate = true\n  scanner_args = [\"-o\", \"table\"]", "`table` is not a format"),
        ("auto_generate = true\n  elevated_password = \"abc\"", "it needs `elevated_user`"),
        ("auto_generate = true\n  scanner_checksum = \"abc\"", "it needs `scanner_url`"),
        ("auto_generate = true\n  execute_command = \"{{ .Path\"", "execute_command"),
    ] {
        let dir =
            template(&null_template(&format!("provisioner \"hcp-sbom\" {{\n  {options}\n}}")));
        let run = ingot(dir.path(), &["validate", "."]);
        let said = said(&run);
        assert_eq!(run.code, Some(1), "{options}: {said}");
        assert!(said.contains(wanted) && said.contains("t.pkr.hcl:"), "{options}: {said}");
    }
}

#[test]
fn the_sbom_of_a_directory_is_written_to_standard_output() {
    let dir = template("");
    std::fs::create_dir_all(dir.path().join("root/var/lib/dpkg")).unwrap();
    let status = "Package: bash\nStatus: install ok installed\nVersion: 5.2\n";
    std::fs::write(dir.path().join("root/var/lib/dpkg/status"), status).unwrap();
    for (format, list) in [("cyclonedx-json", "components"), ("spdx-json", "packages")] {
        let run = ingot(dir.path(), &["sbom-generate", "-o", format, "root"]);
        assert_eq!(run.code, Some(0), "{}", said(&run));
        let document: Value = serde_json::from_str(&run.stdout).unwrap();
        assert!(document[list].is_array());
        assert_eq!(packages(&document), ["bash 5.2".to_owned()].into());
    }
    for (args, wanted) in [
        (&["sbom-generate", "nope"][..], "looking at nope"),
        (&["sbom-generate", "-o", "table", "."], "`table` is not a format"),
    ] {
        let run = ingot(dir.path(), args);
        assert_eq!(run.code, Some(1));
        assert!(run.stderr.contains(wanted), "{}", run.stderr);
    }
}

/// Its progress is no part of it.
#[test]
fn the_sbom_of_a_large_file_is_json_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::File::create(dir.path().join("big")).unwrap().set_len(16 << 20).unwrap();
    let run = ingot(dir.path(), &["sbom-generate", "-o", "cyclonedx-json", "big"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let document: Value = serde_json::from_str(&run.stdout).expect(&run.stdout);
    assert_eq!(document["bomFormat"], "CycloneDX");
    assert!(run.stderr.contains("Hashing: 100%"), "{}", run.stderr);
}

/// Runs rpm on this machine.
fn rpm(dir: &Path, program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(dir).output().expect(program);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_sbom_lists_what_rpm_does() {
    require!(tool(Path::new("/"), &["rpmbuild", "--version"]));
    let dir = template("");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (root, top) = (path("root"), format!("_topdir {}", path("top")));
    std::fs::create_dir_all(&root).unwrap();
    rpm(dir.path(), "rpm", &["--root", &root, "--dbpath", "/var/lib/rpm", "--initdb"]);
    for (name, more) in [("hello", "Epoch: 3\nVendor: Example\n"), ("lib hello", ""), ("tools", "")]
    {
        let name = name.replace(' ', "-");
        let spec = format!(
            "Name: {name}\nVersion: 1.2\nRelease: 3\nSummary: {name}\nLicense: MIT AND ISC\n\
             BuildArch: noarch\n{more}\n%description\nA test.\n\n%files\n"
        );
        std::fs::write(dir.path().join(format!("{name}.spec")), spec).unwrap();
        let spec = format!("{name}.spec");
        rpm(dir.path(), "rpmbuild", &["-bb", "--quiet", "--define", &top, &spec]);
        let package = path(&format!("top/RPMS/noarch/{name}-1.2-3.noarch.rpm"));
        let flags = ["--nodeps", "--noscripts", "--justdb", "--ignoreos", "--ignorearch"];
        let install = ["--root", &root, "--dbpath", "/var/lib/rpm", "-i"];
        rpm(dir.path(), "rpm", &[&install[..], &flags, &[&package]].concat());
    }
    let query = ["--root", &root, "--dbpath", "/var/lib/rpm", "-qa", "--qf"];
    let listed =
        rpm(dir.path(), "rpm", &[&query[..], &["%{NAME} %{VERSION}-%{RELEASE}\n"]].concat());
    let listed: BTreeSet<String> = listed.lines().map(str::to_owned).collect();
    assert_eq!(listed.len(), 3, "{listed:?}");
    // A relative path, which rpm itself does not take.
    let run = ingot(dir.path(), &["sbom-generate", "root"]);
    assert_eq!(run.code, Some(0), "{}", said(&run));
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(packages(&document), listed, "{}", run.stderr);
    let hello = &document["components"][0];
    let wanted = "pkg:rpm/hello@1.2-3?arch=noarch&epoch=3&upstream=hello-1.2-3.src.rpm";
    assert_eq!(hello["purl"], wanted);
    assert_eq!(hello["supplier"]["name"], "Example");
    assert_eq!(hello["licenses"][0]["license"]["name"], "MIT AND ISC");
}

/// A module proxy in a directory with the module `example.org/dep` in the version 1.2.3.
const MODULE_PROXY: &str = r#"
import json, os, sys, zipfile
place = os.path.join(sys.argv[1], "example.org/dep/@v")
os.makedirs(place)
module = "module example.org/dep\n\ngo 1.18\n"
for name, text in [("list", "v1.2.3\n"), ("v1.2.3.mod", module),
                   ("v1.2.3.info", json.dumps({"Version": "v1.2.3"}))]:
    open(os.path.join(place, name), "w").write(text)
with zipfile.ZipFile(os.path.join(place, "v1.2.3.zip"), "w") as archive:
    for name, text in [("go.mod", module), ("dep.go", "package dep\n\nconst Word = 7\n")]:
        archive.writestr("example.org/dep@v1.2.3/" + name, text)
"#;

/// Adds the section of cargo-auditable to a program, as its linker does.
const AUDITABLE: &str = r#"
import json, subprocess, sys, zlib
packages = [{"name": "serde", "version": "1.0.2", "source": "crates.io"},
            {"name": "cc", "version": "1.0.0", "source": "crates.io", "kind": "build"},
            {"name": "me", "version": "0.1.0", "source": "local", "root": True}]
open("dep-v0", "wb").write(zlib.compress(json.dumps({"packages": packages}).encode()))
subprocess.check_call(["objcopy", "--add-section", ".dep-v0=dep-v0", sys.argv[1], sys.argv[2]])
"#;

#[test]
fn an_sbom_lists_what_programs_of_go_and_rust_were_built_of() {
    require!(docker());
    require!(tool(Path::new("/"), &["go", "version"]));
    require!(tool(Path::new("/"), &["objcopy", "--version"]));
    let dir = template("");
    let path = |name: &str| dir.path().join(name);
    let run_in = |directory: &str, argv: &[&str]| {
        let output = Command::new(argv[0])
            .args(&argv[1..])
            .current_dir(path(directory))
            .env("CGO_ENABLED", "0")
            .env("GOPROXY", format!("file://{}", path("proxy").display()))
            .env("GOMODCACHE", path("cache"))
            .env("GOFLAGS", "-mod=mod -modcacherw")
            .env("GONOSUMDB", "*")
            .output()
            .expect(argv[0]);
        assert!(output.status.success(), "{argv:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    run_in("", &["python3", "-c", MODULE_PROXY, path("proxy").to_str().unwrap()]);
    std::fs::create_dir_all(path("me")).unwrap();
    let module = "module example.org/me\n\ngo 1.18\n\nrequire example.org/dep v1.2.3\n";
    std::fs::write(path("me/go.mod"), module).unwrap();
    let main = "package main\n\nimport \"example.org/dep\"\n\nfunc main() { println(dep.Word) }\n";
    std::fs::write(path("me/main.go"), main).unwrap();
    std::fs::create_dir_all(path("root/opt/it's here")).unwrap();
    let program = path("root/opt/it's here/hello");
    // Stripped, as programs in images are. Without paths Go's library is the one that it has compiled
    // for the plugin of tests.
    let flags = ["go", "build", "-trimpath", "-ldflags=-s -w", "-o"];
    run_in("me", &[&flags[..], &[program.to_str().unwrap(), "."]].concat());
    let shell = std::fs::canonicalize("/bin/bash").unwrap();
    let rust = path("root/opt/rusty");
    run_in("", &["python3", "-c", AUDITABLE, shell.to_str().unwrap(), rust.to_str().unwrap()]);
    // What Go itself reads in it.
    let told = run_in("", &["go", "version", "-m", program.to_str().unwrap()]);
    let version = told.lines().next().unwrap().rsplit(": go").next().unwrap();
    assert!(told.contains("\tdep\texample.org/dep\tv1.2.3"), "{told}");
    let wanted: BTreeSet<String> = [
        format!("stdlib {version}"),
        "example.org/dep v1.2.3".to_owned(),
        "serde 1.0.2".to_owned(),
        "me 0.1.0".to_owned(),
    ]
    .into();
    let names = |document: &Value| {
        let components = document["components"].as_array().unwrap().iter();
        // Of the program itself Go knows no version here.
        let versions = components.filter(|one| one["name"] != "example.org/me");
        let shown = |one: &Value| {
            format!("{} {}", one["name"].as_str().unwrap(), one["version"].as_str().unwrap())
        };
        versions.map(shown).collect::<BTreeSet<String>>()
    };
    let run = ingot(dir.path(), &["sbom-generate", "root"]);
    assert_eq!(run.code, Some(0), "{}", said(&run));
    let here: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(names(&here), wanted, "{}", said(&run));
    // The same in a container, which has busybox and nothing else.
    let root = path("root/opt").display().to_string();
    let steps = format!(
        "provisioner \"file\" {{\n    source = \"{root}\"\n    destination = \"/\"\n  }}\n  provisioner \
         \"hcp-sbom\" {{\n    auto_generate = true\n    scan_path = \"/opt\"\n    destination = \
         \"cdx.json\"\n  }}\n"
    );
    let (built, run) = build(&steps);
    assert_eq!(run.code, Some(0), "{}", said(&run));
    assert_eq!(names(&read(&built.path().join("cdx.json"))), wanted, "{}", said(&run));
}

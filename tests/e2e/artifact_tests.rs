//! `test` blocks: what a build made is run and checked before anything is done with it, and
//! `ingot test`.

use std::path::Path;
use std::process::Command;

use crate::running::{Running, states};
use ingot_test_support::{
    BASE, NULL, Run, docker, docker_template, ingot, ingot_with, output_of, require, template,
};

/// A template of docker whose image has what the tests below look for.
fn web(steps: &str) -> String {
    docker_template(
        "commit = true\n  changes = [\"USER root\"]",
        &format!(
            r#"
  provisioner "shell" {{
    inline = [
      "mkdir -p /srv && echo golden > /srv/index.html && chmod 640 /srv/index.html",
      "echo app:x:1000:1001:app:/srv:/bin/sh >> /etc/passwd",
      "printf 'root:x:0:\napp:x:1001:\nweb:x:1002:app\n' > /etc/group",
      "ln -s /srv/index.html /page",
    ]
  }}
{steps}"#
        ),
    )
}

fn with_tests(template_text: &str, companion: &str) -> tempfile::TempDir {
    let dir = template(template_text);
    std::fs::write(dir.path().join("t.ingot.hcl"), companion).unwrap();
    dir
}

/// What follows `before` on its line, each time it is printed.
fn after<'a>(said: &'a str, before: &str) -> Vec<&'a str> {
    said.lines().filter_map(|line| line.split_once(before)).map(|(_, rest)| rest.trim()).collect()
}

fn exists(id: &str) -> bool {
    Command::new("docker").args(["inspect", id]).output().unwrap().status.success()
}

/// Checks that the containers of a run are gone; there were `count`.
fn containers_are_gone(run: &Run, count: usize) {
    let containers = after(&run.stdout, "Container ID: ");
    assert_eq!(containers.len(), count, "{}", run.stdout);
    for container in containers {
        assert!(!exists(container), "{container} is left: {}", run.stdout);
    }
}

fn image(run: &Run) -> String {
    after(&run.stdout, "Image ID: ")[0].to_owned()
}

/// A check of each kind that is as it should be.
const PASSING: &str = r#"
test "the image" {
  command "cat /srv/index.html" {
    stdout = ["gold", "/^g.*n$/", "!lead"]
    stderr = ["!/./"]
  }
  command "a failure that is wanted" {
    exec        = "echo no >&2; exit 3"
    exit_status = 3
    stderr      = ["no"]
  }
  file "/srv/index.html" {
    type     = "file"
    mode     = "0640"
    owner    = "root"
    size     = 7
    contains = ["golden"]
    sha256   = sha256("golden\n")
  }
  file "/srv" {
    type = "directory"
  }
  file "/page" {
    linked_to = "/srv/index.html"
    contains  = ["golden"]
  }
  file "/none" {
    exists = false
  }
  user "app" {
    uid    = 1000
    gid    = 1001
    groups = ["app", "web"]
    home   = "/srv"
    shell  = "/bin/sh"
  }
  user "nobody" {
    exists = false
  }
  group "web" {
    gid = 1002
  }
  port "tcp:8080" {
    listening = false
  }
  service "ssh" {
    running = false
  }
}
test "the web server answers" {
  run = "httpd -p 127.0.0.1:8080 -h /srv"
  port "tcp:8080" {
    ip = ["127.0.0.1"]
  }
  process "httpd" {}
  command "wget -q -O - http://127.0.0.1:8080/" {
    stdout = ["golden"]
  }
}
"#;

#[test]
fn a_finished_image_is_tested_before_its_post_processors() {
    require!(docker());
    let tag = "  post-processor \"docker-tag\" {\n    repository = \"ingot-e2e-tested\"\n  }\n";
    let dir = with_tests(&web(tag), PASSING);
    let run = ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let at = |text: &str| run.stdout.find(text).unwrap_or_else(|| panic!("{text}: {}", run.stdout));
    let order = [
        "Image ID: sha256:",
        "==> docker.d: Running test: the image",
        "==> docker.d: passed: command \"cat /srv/index.html\"",
        "==> docker.d: passed: service \"ssh\"",
        "==> docker.d: Running test: the web server answers",
        "==> docker.d: passed: command \"wget -q -O - http://127.0.0.1:8080/\"",
        "==> docker.d: Running post-processor:  (type docker-tag)",
    ];
    assert!(order.map(at).is_sorted(), "{}", run.stdout);
    assert_eq!(run.stdout.matches(": passed: ").count(), 14, "{}", run.stdout);
    // That of the build, and one for each way that the image is run in.
    containers_are_gone(&run, 3);
    output_of("docker", &["rmi", "ingot-e2e-tested"]);
}

/// Five checks that fail, one with output that has a secret in it, and two that pass.
const FAILING: &str = r#"
test "one" {
  command "echo hunter2-${"secret"}" {
    exec   = "echo the token is ${var.token}; exit 2"
    stdout = ["other"]
  }
  file "/srv/index.html" {
    mode   = "0644"
    sha256 = sha256("silver\n")
  }
  file "/srv" {}
  file "/nowhere" {}
}
test "two" {
  package "curl" {}
  command "sleep 60" {
    timeout = "1s"
  }
  command "true" {}
}
"#;

fn failing() -> tempfile::TempDir {
    let variable = "variable \"token\" {\n  default = \"s3cr3t-value\"\n  sensitive = true\n}\n";
    let tag = "  post-processor \"docker-tag\" {\n    repository = \"ingot-e2e-failed\"\n  }\n";
    with_tests(&(variable.to_owned() + &web(tag)), &FAILING.replace("hunter2-${\"secret\"}", "x"))
}

#[test]
fn all_failing_checks_are_reported_and_the_image_goes_no_further() {
    require!(docker());
    let dir = failing();
    let run = ingot(
        dir.path(),
        &["build", "-report=junit:r.xml", "-report=json:r.json", "-report=html:r.html", "."],
    );
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    for said in [
        "==> docker.d: failed: command \"echo x\": the exit status is 2, not 0; stdout has no line \
         with \"other\"",
        "==> docker.d:   stdout: the token is <sensitive>",
        "==> docker.d: failed: file \"/srv/index.html\": the mode is 0640, not 0644; the sha256 sum \
         is ",
        "==> docker.d: passed: file \"/srv\"",
        "==> docker.d: failed: file \"/nowhere\": it does not exist",
        "==> docker.d: failed: package \"curl\": it is not installed",
        "==> docker.d: failed: command \"sleep 60\": there was no result within 1s",
        "==> docker.d: passed: command \"true\"",
        "==> docker.d: Removing what the builder created: its tests failed",
        "--> docker.d: test \"one\": 3 of 4 checks failed, the first command \"echo x\": ",
        "test \"two\": 2 of 3 checks failed, the first package \"curl\": ",
    ] {
        assert!(run.stdout.contains(said), "{said:?} is not said: {}", run.stdout);
    }
    assert!(!run.stdout.contains("Running post-processor"), "{}", run.stdout);
    assert!(!exists(&image(&run)), "{}", run.stdout);
    containers_are_gone(&run, 2);
    // The place is that of the check.
    assert!(run.stderr.contains("t.ingot.hcl:3:3"), "{}", run.stderr);

    let text = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    for report in ["r.xml", "r.json", "r.html"] {
        assert!(!text(report).contains("s3cr3t"), "{report}");
    }
    let xml = text("r.xml");
    let document = roxmltree::Document::parse(&xml).unwrap();
    let cases: Vec<_> =
        document.descendants().filter(|node| node.has_tag_name("testcase")).collect();
    let checks: Vec<_> = cases
        .iter()
        .filter(|case| case.attribute("name").unwrap().starts_with("check `"))
        .collect();
    assert_eq!(checks.len(), 7, "{xml}");
    let failures = |nodes: &[&roxmltree::Node]| {
        let failed =
            |node: &&&roxmltree::Node| node.children().any(|one| one.has_tag_name("failure"));
        nodes.iter().filter(failed).count()
    };
    assert_eq!(failures(&checks), 5, "{xml}");
    // What is around them fails with them, and is not counted again.
    assert_eq!(failures(&cases.iter().collect::<Vec<_>>()), 5, "{xml}");
    let case = checks.iter().find(|case| case.attribute("name").unwrap().contains("/nowhere"));
    let case = case.unwrap();
    assert_eq!(
        (case.attribute("file"), case.attribute("line")),
        (Some("./t.ingot.hcl"), Some("12"))
    );
    let report: serde_json::Value = serde_json::from_str(&text("r.json")).unwrap();
    let steps = report["builds"][0]["steps"].as_array().unwrap();
    let kinds: Vec<&str> = steps.iter().map(|step| step["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"test") && kinds.contains(&"check"), "{kinds:?}");
}

#[test]
fn a_failed_image_can_be_kept_and_tests_left_out() {
    require!(docker());
    let dir = failing();
    let run = ingot(dir.path(), &["build", "-on-error=abort", "."]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    let kept = image(&run);
    let said =
        format!("Leaving what failed its tests, as -on-error asks: Imported Docker image: {kept}");
    assert!(run.stdout.contains(&said) && exists(&kept), "{}", run.stdout);
    containers_are_gone(&run, 2);

    // The same tests alone, on the image that is kept.
    let run = ingot(dir.path(), &["test", "-report=r.xml", ".", &kept]);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("failed: file \"/nowhere\": it does not exist"), "{}", run.stdout);
    assert!(run.stdout.contains("==> Tests failed."), "{}", run.stdout);
    assert!(!run.stdout.contains("s3cr3t") && !run.stderr.contains("s3cr3t"), "{}", run.stdout);
    assert!(dir.path().join("r.xml").exists());
    assert!(exists(&kept), "`ingot test` leaves what it tests: {}", run.stdout);
    containers_are_gone(&run, 1);

    let run = ingot(dir.path(), &["build", "-skip-tests", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(!run.stdout.contains("Running test"), "{}", run.stdout);
    output_of("docker", &["rmi", "ingot-e2e-failed", &kept]);
}

#[test]
fn an_image_that_is_there_is_tested_alone() {
    require!(docker());
    let companion = "test \"base\" {\n  run = []\n  retry_timeout = \"2s\"\n  file \"/bin/busybox\" {}\n}\n\
                     test \"shell\" {\n  file \"/bin/sh\" {}\n}\n";
    let dir = with_tests(&docker_template("commit = true", ""), companion);
    // The base image runs a shell, which ends at once without input.
    let run = ingot(dir.path(), &["test", ".", BASE]);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("its main process ended with code 0"), "{}", run.stdout);
    assert!(run.stdout.contains("passed: file \"/bin/sh\""), "{}", run.stdout);

    let arguments = companion.replace("run = []", "run = [\"sleep\", \"60\"]");
    std::fs::write(dir.path().join("t.ingot.hcl"), arguments).unwrap();
    let run = ingot(dir.path(), &["test", ".", &format!("docker:{BASE}")]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("Tests of 'docker.d' passed after "), "{}", run.stdout);
    assert!(run.stdout.ends_with("==> Tests passed.\n"), "{}", run.stdout);

    let run = ingot(dir.path(), &["test", ".", "ingot-e2e-none:1"]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("there is no image ingot-e2e-none:1"), "{}", run.stdout);
    assert!(run.stderr.contains("nothing is pulled for a test"), "{}", run.stderr);
    let run = ingot(dir.path(), &["test", ".", "docker:/no/disk.qcow2"]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    let nothing = "looking at the image /no/disk.qcow2: \n";
    assert!(!format!("{}\n", run.stdout.trim_end()).contains(nothing), "{}", run.stdout);

    let goss = "file:\n  /bin/busybox:\n    exists: true\ncommand:\n  busybox true:\n    \
                exit-status: 0\nuser:\n  root:\n    exists: true\n    uid: 0\n    skip: true\n";
    std::fs::write(dir.path().join("goss.yaml"), goss).unwrap();
    let base = format!("docker:{BASE}");
    let run = ingot(dir.path(), &["test", "-goss=goss.yaml", &base]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    for said in ["passed: file", "passed: command \"busybox true\"", "skipped: user \"root\""] {
        assert!(run.stdout.contains(said), "{said}: {}", run.stdout);
    }
    std::fs::write(dir.path().join("goss.yaml"), "http:\n  https://a.example:\n    status: 200\n")
        .unwrap();
    let run = ingot(dir.path(), &["test", "-goss", "goss.yaml", &base]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("`http`: Ingot does not check this kind"), "{}", run.stdout);
}

#[test]
fn a_version_with_a_failing_test_is_not_completed() {
    require!(docker());
    let registry = "hcp_packer_registry {\n  bucket_name = \"tested\"\n}\n";
    let publish = |companion: &str, state: &Path, fingerprint: &str| {
        let dir =
            with_tests(&(registry.to_owned() + &docker_template("commit = true", "")), companion);
        let state = state.join("registry.db");
        let env = [
            ("INGOT_REGISTRY", state.to_str().unwrap()),
            ("HCP_PACKER_BUILD_FINGERPRINT", fingerprint),
        ];
        let run = ingot_with(dir.path(), &["build", "."], &env);
        let args = ["registry", "versions", "show", "tested", fingerprint, "-json"];
        let version = ingot_with(dir.path(), &args, &env);
        assert_eq!(version.code, Some(0), "{}{}", version.stderr, run.stdout);
        let version: serde_json::Value = serde_json::from_str(&version.stdout).unwrap();
        (run, version)
    };
    let state = tempfile::tempdir().unwrap();
    let bad = "test \"bad\" {\n  file \"/nowhere\" {}\n}\n";
    let (run, version) = publish(bad, state.path(), "bad");
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert_eq!(version["builds"][0]["status"], "BUILD_FAILED", "{version:#}");
    assert_eq!(version["status"], "VERSION_FAILED", "{version:#}");
    let good = "test \"good\" {\n  file \"/bin/sh\" {}\n}\n";
    let (run, version) = publish(good, state.path(), "good");
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert_eq!(version["status"], "VERSION_ACTIVE", "{version:#}");
    output_of("docker", &["rmi", &image(&run)]);
}

#[test]
fn what_cannot_be_tested_is_reported_before_the_build() {
    let said = |template_text: &str, companion: &str| {
        let dir = with_tests(template_text, companion);
        let run = ingot(dir.path(), &["validate", "."]);
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        run.stdout
    };
    let test = "test \"a\" {\n  file \"/a\" {}\n}\n";
    let null = said(NULL, test);
    assert!(
        null.contains("`null.n` cannot be tested") && null.contains("t.ingot.hcl:1:1"),
        "{null}"
    );
    assert!(null.contains("docker (with commit = true), qemu and amazon-ebs"), "{null}");
    let export = said(&docker_template("export_path = \"a.tar\"", ""), test);
    assert!(export.contains("an exported file system cannot be tested"), "{export}");
    assert!(export.contains("t.pkr.hcl:4:17") && export.contains("t.ingot.hcl:1:1"), "{export}");
    let discard = said(&docker_template("discard = true", ""), test);
    assert!(discard.contains("leaves nothing to be tested"), "{discard}");
    let none = said(&docker_template("commit = true\n  communicator = \"none\"", ""), test);
    assert!(none.contains("nothing can look into the container"), "{none}");

    let dir = template(NULL);
    let run = ingot(dir.path(), &["test", ".", "web"]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("there is no test for what is selected"), "{}", run.stdout);
    let run = ingot(dir.path(), &["test", "-goss=g.yaml", "ami-1"]);
    assert!(run.code == Some(1) && run.stderr.contains("docker:IMAGE"), "{}", run.stderr);
}

#[test]
fn an_interrupted_test_leaves_nothing() {
    require!(docker());
    let dir = with_tests(
        &docker_template("commit = true", ""),
        "test \"long\" {\n  command \"sleep 300\" {\n    timeout = \"10m\"\n  }\n}\n",
    );
    let child = Running::spawn(dir.path(), &["-color=false"]);
    let mut run = Running { child, dir };
    run.wait_for("Running test: long");
    run.signal("INT");
    assert_eq!(run.end(), Some(1), "{}", run.said());
    let said = run.said();
    let whole = Run { code: Some(1), stdout: said.clone(), stderr: String::new() };
    containers_are_gone(&whole, 2);
    assert!(!exists(&image(&whole)), "{said}");
    assert!(said.ends_with("Cleanly cancelled builds after being interrupted.\n"), "{said}");
    assert_eq!(states(run.dir.path()), 0);
}

#[test]
fn an_image_that_failed_its_tests_is_kept_for_resume() {
    require!(docker());
    let tag = "  provisioner \"shell\" {\n    inline = [\"echo provisioned\"]\n  }\n  post-processor \
               \"docker-tag\" {\n    repository = \"ingot-e2e-resumed\"\n  }\n";
    let wrong = "test \"a\" {\n  file \"/nowhere\" {}\n}\n";
    let dir = with_tests(&docker_template("commit = true", tag), wrong);
    let run = ingot(dir.path(), &["build", "-on-error=keep", "."]);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    let kept = image(&run);
    assert!(exists(&kept), "{}", run.stdout);
    let advice = "`ingot build -resume .` runs the tests and post-processors again.";
    assert!(run.stdout.contains(advice), "{}", run.stdout);
    // A test is no provisioner.
    assert!(!run.stdout.contains("Provisioning step had errors"), "{}", run.stdout);
    // The tests are mended, and the build goes on with them.
    std::fs::write(dir.path().join("t.ingot.hcl"), wrong.replace("nowhere", "bin/sh")).unwrap();
    let run = ingot(dir.path(), &["build", "-resume", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("passed: file \"/bin/sh\""), "{}", run.stdout);
    assert!(!run.stdout.contains("provisioned"), "{}", run.stdout);
    let tagged = output_of("docker", &["inspect", "-f", "{{.Id}}", "ingot-e2e-resumed"]);
    assert_eq!(tagged, kept, "{}", run.stdout);
    output_of("docker", &["rmi", "ingot-e2e-resumed"]);
}

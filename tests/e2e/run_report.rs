//! `-report`: what a run did, as a page, as data and as JUnit's XML.

use std::path::Path;

use ingot_test_support::{BASE, docker, ingot, ingot_with, require, template};
use serde_json::Value;

use crate::running::Running;

const TEMPLATE: &str = r#"
variable "token" {
  default   = "s3cr3t-value"
  sensitive = true
}
source "file" "good" {
  content = "abc"
  target  = "good.txt"
}
source "null" "bad" {
  communicator = "none"
}
build {
  sources = ["file.good", "null.bad"]
  provisioner "shell-local" {
    only   = ["null.bad"]
    name   = "the <last> one"
    inline = ["echo '<script>alert(1)</script>' ${var.token}", "sleep 0.3", "exit 3"]
  }
  post-processor "checksum" {
    only           = ["file.good"]
    checksum_types = ["sha256"]
    output         = "sum.txt"
  }
  post-processor "provenance" {
    only       = ["file.good"]
    output_dir = "attested"
  }
}
"#;

fn json(dir: &Path, name: &str) -> Value {
    let text = std::fs::read_to_string(dir.join(name)).unwrap();
    assert!(!text.contains("s3cr3t"), "{text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn one_run_is_reported_in_all_forms() {
    let dir = template(TEMPLATE);
    let run = ingot(
        dir.path(),
        &["build", "-report=out/r.html", "-report", "r.json", "-report=junit:r.txt", "."],
    );
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);

    let report = json(dir.path(), "r.json");
    assert_eq!((&report["version"], &report["run"]["status"]), (&1.into(), &"failed".into()));
    let [good, bad] = &report["builds"].as_array().unwrap()[..] else { panic!("{report}") };
    assert_eq!((&good["name"], &good["status"]), (&"file.good".into(), &"succeeded".into()));
    let artifact = &good["artifacts"][0];
    assert_eq!((&artifact["id"], &artifact["size"]), (&"File".into(), &3.into()), "{good}");
    assert_eq!(artifact["files"][0]["path"], "good.txt");
    let documents: Vec<&str> = good["documents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["kind"].as_str().unwrap())
        .collect();
    assert!(documents.contains(&"provenance"), "{good}");
    let path = good["documents"][0]["path"].as_str().unwrap();
    assert!(dir.path().join(path).exists(), "{path}");
    let steps: Vec<String> = good["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            format!("{} {} {}", step["kind"], step["name"], step["status"]).replace('"', "")
        })
        .collect();
    assert_eq!(
        steps,
        [
            "builder file succeeded",
            "post_processor checksum succeeded",
            "post_processor provenance succeeded"
        ]
    );
    let failure = &bad["failure"];
    assert_eq!(
        failure["place"],
        serde_json::json!({"file": "./t.pkr.hcl", "line": 15, "column": 3})
    );
    assert_eq!(failure["step"], "provisioner `shell-local` \"the <last> one\"");
    let output = failure["output"].as_array().unwrap();
    assert_eq!(output.last().unwrap(), "<script>alert(1)</script> <sensitive>", "{failure}");
    assert!(bad["duration_ms"].as_u64().unwrap() >= 300, "{bad}");
    assert!(Path::new(bad["log_file"].as_str().unwrap()).exists(), "{bad}");

    let page = std::fs::read_to_string(dir.path().join("out/r.html")).unwrap();
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt; &lt;sensitive&gt;"), "{page}");
    assert!(!page.contains("<script") && !page.contains("s3cr3t") && !page.contains("http"));
    assert!(page.contains("./t.pkr.hcl:15:3"), "{page}");

    let xml = std::fs::read_to_string(dir.path().join("r.txt")).unwrap();
    let document = roxmltree::Document::parse(&xml).unwrap();
    let suites = document.root_element();
    assert_eq!((suites.attribute("failures"), suites.attribute("errors")), (Some("1"), Some("0")));
    let failed = document.descendants().find(|node| node.has_tag_name("failure")).unwrap();
    let case = failed.parent().unwrap();
    assert_eq!(case.attribute("classname"), Some("null.bad"));
    assert_eq!((case.attribute("file"), case.attribute("line")), (Some("./t.pkr.hcl"), Some("15")));
}

#[test]
fn what_cannot_be_written_is_found_before_anything_runs() {
    let dir = template(TEMPLATE);
    std::fs::create_dir(dir.path().join("directory.json")).unwrap();
    for (report, error) in [
        (
            "directory.json",
            "the report directory.json cannot be written: directory.json is a directory",
        ),
        ("/proc/none/r.html", "the report /proc/none/r.html cannot be written"),
        ("r.txt", "the extension of `r.txt` is none of .html, .json and .xml"),
    ] {
        let run = ingot(dir.path(), &["build", "-report", report, "."]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{report}");
        assert!(run.stderr.contains(error), "{}", run.stderr);
        assert!(!dir.path().join("good.txt").exists());
    }
    // Nobody will ever read it.
    let made = std::process::Command::new("mkfifo").arg(dir.path().join("pipe.json")).status();
    assert!(made.unwrap().success());
    let run = ingot(dir.path(), &["build", "-report=pipe.json", "."]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(run.stderr.contains("pipe.json is not a regular file"), "{}", run.stderr);
    let run = ingot(dir.path(), &["build", "-only=file.good", "-report=json:/dev/stdout", "."]);
    assert!(run.code == Some(0) && run.stdout.ends_with("\n}\n"), "{}{}", run.stdout, run.stderr);
    let run = ingot(dir.path(), &["build", "-report=r.json", "-report=r.json", "."]);
    assert!(run.stderr.contains("two reports would be written to r.json"), "{}", run.stderr);
}

#[test]
fn no_text_of_a_report_holds_a_secret() {
    let text = r#"
variable "token" {
  default   = "s3cr3t-value"
  sensitive = true
}
source "file" "f" {
  content = "abc"
  target  = "out-${var.token}.txt"
}
build {
  sources = ["file.f"]
  post-processor "provenance" {
    output_dir = "attested-${var.token}"
  }
}
"#;
    let dir = template(text);
    let run = ingot(dir.path(), &["build", "-report=r.json", "-report=r.html", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let report = json(dir.path(), "r.json");
    let build = &report["builds"][0];
    assert_eq!(build["artifacts"][0]["files"][0]["size"], 3, "{report}");
    for path in [&build["artifacts"][0]["files"][0]["path"], &build["documents"][0]["path"]] {
        assert!(path.as_str().unwrap().contains("<sensitive>"), "{report}");
    }
    let page = std::fs::read_to_string(dir.path().join("r.html")).unwrap();
    assert!(!page.contains("s3cr3t"), "{page}");
}

#[test]
fn a_template_with_mistakes_is_reported_with_their_places() {
    let dir = template(
        "source \"null\" \"n\" {\n  comunicator = \"none\"\n}\nbuild {\n  sources = [\"null.n\"]\n}\n",
    );
    let run = ingot(dir.path(), &["build", "-report=r.json", "-report=r.xml", "."]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    let report = json(dir.path(), "r.json");
    assert_eq!(report["run"]["status"], "failed");
    let errors = report["diagnostics"].as_array().unwrap();
    let error = errors.iter().find(|one| one["severity"] == "error").unwrap();
    assert_eq!(
        (&error["place"]["line"], &error["place"]["column"]),
        (&2.into(), &3.into()),
        "{error}"
    );
    let xml = std::fs::read_to_string(dir.path().join("r.xml")).unwrap();
    let document = roxmltree::Document::parse(&xml).unwrap();
    assert_ne!(document.root_element().attribute("errors"), Some("0"), "{xml}");
}

#[test]
fn a_run_that_is_interrupted_once_or_twice_is_reported() {
    let text = "source \"null\" \"n\" {\n  communicator = \"none\"\n}\nbuild {\n  sources = \
                [\"null.n\"]\n  provisioner \"shell-local\" {\n    inline = [\"trap '' INT TERM; echo \
                asleep; sleep 30\"]\n  }\n}\n";
    for times in [1, 2] {
        let mut run = Running::start(text, &["-color=false", "-report=r.json"]);
        run.wait_for("asleep");
        run.signal("INT");
        if times == 2 {
            run.wait_for("Interrupt again");
            run.signal("INT");
        }
        assert_eq!(run.end(), Some(1), "{}", run.said());
        let report = json(run.dir.path(), "r.json");
        assert_eq!(report["run"]["status"], "cancelled", "{report}");
        assert_eq!(report["builds"][0]["status"], "cancelled", "{report}");
        let log = report["builds"][0]["log_file"].as_str().unwrap();
        assert!(run.said().contains(&format!("its log is {log}")) || times == 1, "{}", run.said());
        assert!(Path::new(log).exists());
        let left: Vec<_> = std::fs::read_dir(run.dir.path()).unwrap().flatten().collect();
        assert!(left.iter().all(|one| !one.file_name().to_string_lossy().contains("unfinished")));
    }
}

#[test]
fn a_docker_image_and_its_registry_version_are_in_the_report() {
    require!(docker());
    let dir = template(&format!(
        "source \"docker\" \"d\" {{\n  image = \"{BASE}\"\n  pull = false\n  commit = true\n}}\nbuild \
         {{\n  hcp_packer_registry {{\n    bucket_name = \"reported\"\n  }}\n  sources = \
         [\"docker.d\"]\n  provisioner \"shell\" {{\n    inline = [\"echo hello\"]\n  }}\n}}\n"
    ));
    let data = dir.path().join("data");
    let env = [
        ("INGOT_REGISTRY", "local"),
        ("INGOT_DATA_DIR", data.to_str().unwrap()),
        ("HCP_PACKER_BUILD_FINGERPRINT", "f1"),
    ];
    let run = ingot_with(dir.path(), &["build", "-report=r.json", "."], &env);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let report = json(dir.path(), "r.json");
    let build = &report["builds"][0];
    let image = &build["artifacts"][0];
    assert!(image["id"].as_str().unwrap().starts_with("sha256:"), "{image}");
    assert!(image["size"].as_u64().unwrap() > 100_000, "{image}");
    let version = &build["registry_version"];
    assert_eq!((&version["bucket"], &version["fingerprint"]), (&"reported".into(), &"f1".into()));
    let names: Vec<&str> = build["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert!(names.starts_with(&["docker"]) && names.contains(&"commit container"), "{names:?}");
    assert_eq!(names.last(), Some(&"publish"));
    ingot_test_support::output_of("docker", &["rmi", image["id"].as_str().unwrap()]);
}

//! `ingot build`

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use ingot_test_support::{
    BASE, docker, docker_template, ingot, ingot_command, ingot_with, null_template, output_of,
    require, template,
};

#[test]
fn file_builds_are_written_and_post_processed() {
    let dir = template(
        r#"
source "file" "f" {
  content = "abc"
  target  = "out/f.txt"
}
build {
  sources = ["source.file.f"]
  post-processor "checksum" {
    checksum_types = ["sha256"]
    output         = "sum"
  }
}
"#,
    );
    let run = ingot(dir.path(), &["build", "-color=false", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("--> file.f: Stored file: out/f.txt"), "{}", run.stdout);
    let read = |path: &str| std::fs::read_to_string(dir.path().join(path)).unwrap();
    assert_eq!(read("out/f.txt"), "abc");
    assert!(
        read("sum").starts_with("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    );
}

#[test]
fn a_directory_whose_name_is_not_utf_8_is_built_in() {
    let all = tempfile::tempdir().unwrap();
    let [dir, other] = [b"t\xe9", b"t\xe8"].map(|name| all.path().join(OsStr::from_bytes(name)));
    let build_in = |dir: &Path, flag: &str, text: &str| {
        std::fs::create_dir_all(dir).unwrap();
        std::fs::write(dir.join("t.pkr.hcl"), text).unwrap();
        let mut ingot = ingot_command();
        ingot.args(["build", "-color=false", flag, "."]).current_dir(dir);
        let output = ingot.env("INGOT_STATE_DIR", all.path().join("state")).output().unwrap();
        let said =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        (output.status.code(), said.concat())
    };
    let build = |flag: &str, text: &str| build_in(&dir, flag, text);
    let file = |command: &str| {
        format!(
            "source \"file\" \"f\" {{\n  content = \"abc\"\n  target = \"f.txt\"\n}}\nbuild {{\n  \
             sources = [\"file.f\"]\n  post-processor \"shell-local\" {{\n    inline = \
             [\"{command}\"]\n  }}\n}}\n"
        )
    };
    let (code, said) = build("-on-error=keep", &file("exit 3"));
    assert!(code == Some(1) && said.contains("`ingot build -resume"), "{said}");
    let (code, said) = build("-resume", &file("true"));
    assert_eq!((code, dir.join("f.txt").exists()), (Some(0), true), "{said}");
    let null = |command: &str| {
        null_template(&format!(
            "  provisioner \"shell-local\" {{\n    inline = [\"{command}\"]\n  }}\n"
        ))
    };
    let (code, said) = build("-on-error=keep", &null("exit 3"));
    assert!(code == Some(1) && said.contains("`ingot build -resume"), "{said}");
    let nothing = "nothing is kept of a build of this template";
    let (code, said) = build_in(&other, "-resume", &null("true"));
    assert!(code == Some(1) && said.contains(nothing), "{said}");
    let (code, said) = build("-resume", &null("true"));
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = build("-resume", &null("true"));
    assert!(code == Some(1) && said.contains(nothing), "{said}");
}

#[test]
fn a_file_that_cannot_be_copied_whole_is_not_there_in_part() {
    let dir = template(
        "source \"file\" \"f\" {\n  source = \".\"\n  target = \"out/f.txt\"\n}\nbuild {\n  \
         sources = [\"file.f\"]\n}\n",
    );
    let target = dir.path().join("out/f.txt");
    let run = ingot(dir.path(), &["build", "-color=false", "."]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("copying . to out/f.txt: Is a directory"), "{}", run.stdout);
    assert!(!dir.path().join("out").exists());
    std::fs::create_dir(dir.path().join("out")).unwrap();
    std::fs::write(&target, "before").unwrap();
    let run = ingot(dir.path(), &["build", "-color=false", "."]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "before");
    assert_eq!(std::fs::read_dir(dir.path().join("out")).unwrap().count(), 1);
}

#[test]
fn two_hundred_builds_run_and_each_line_names_its_build() {
    let mut text = String::new();
    let mut names = Vec::new();
    for number in 0..200 {
        text += &format!("source \"null\" \"n{number}\" {{\n  communicator = \"none\"\n}}\n");
        names.push(format!("\"source.null.n{number}\""));
    }
    // Scripts that are written while others are started must be fit to run all the same.
    let step = "  provisioner \"shell-local\" {\n    inline = [\"true\"]\n  }\n";
    text += &format!("build {{\n  sources = [{}]\n{step}}}\n", names.join(", "));
    let dir = template(&text);
    let run = ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert_eq!(run.stdout.matches(" finished after ").count(), 200);
    let run = ingot(dir.path(), &["build", "-only=null.n1*", "-except=null.n11", "."]);
    assert_eq!(run.stdout.matches(" finished after ").count(), 110);
}

#[test]
fn a_failing_provisioner_fails_the_build_and_hides_secrets() {
    let dir = template(
        r#"
variable "pw" {
  default   = "hunter2222"
  sensitive = true
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["source.null.n"]
  provisioner "shell-local" {
    inline = ["echo pw=${var.pw}", "exit 3"]
  }
}
"#,
    );
    let run = ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("pw=<sensitive>"), "{}", run.stdout);
    assert!(run.stdout.contains("non-zero exit status: 3"), "{}", run.stdout);
    assert!(!run.stdout.contains("hunter2222") && !run.stderr.contains("hunter2222"));
    let run = ingot(dir.path(), &["build", "-machine-readable", "."]);
    assert!(run.stdout.contains(",null.n,error,"), "{}", run.stdout);
    assert!(!run.stdout.contains("hunter2222"));
}

#[test]
fn steps_are_created_by_dynamic_blocks_and_overridden_by_source() {
    let dir = template(
        r#"
variable "words" {
  default = { a = "one", b = "two" }
}
source "null" "n" {
  communicator = "none"
}
source "null" "m" {
  communicator = "none"
}
build {
  sources = ["null.n", "null.m"]
  dynamic "provisioner" {
    for_each = var.words
    iterator = word
    labels   = ["shell-local"]
    content {
      inline = ["echo ${word.key}=${word.value} ${source.name} ${build.ID}"]
      override = {
        m = { inline = ["echo m got ${word.value}"] }
      }
    }
  }
  provisioner "shell-local" {
    only              = ["null.n"]
    continue_on_error = true
    inline            = ["exit 5"]
  }
}
"#,
    );
    let run = ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    for line in ["n: a=one n Null", "n: b=two n Null", "m: m got one", "m: m got two"] {
        assert!(run.stdout.contains(line), "{line}: {}", run.stdout);
    }
    assert!(run.stdout.contains("continue_on_error is set; continuing"), "{}", run.stdout);
}

#[test]
fn a_docker_image_holds_what_was_provisioned() {
    require!(docker());
    let dir = template(&format!(
        r#"
source "docker" "d" {{
  image   = "{BASE}"
  pull    = false
  commit  = true
  changes = ["ENV MADE=here", "WORKDIR /srv"]
}}
build {{
  name    = "demo"
  sources = ["source.docker.d"]
  provisioner "shell" {{
    inline = ["echo $WORD > /word"]
    env    = {{ WORD = "it's" }}
  }}
  provisioner "file" {{
    source      = "up"
    destination = "/root"
  }}
  provisioner "file" {{
    direction   = "download"
    source      = "/word"
    destination = "./down//"
  }}
  post-processor "docker-tag" {{
    repository = "ingot-e2e-made"
    tags       = ["t"]
  }}
}}
"#
    ));
    std::fs::create_dir(dir.path().join("up")).unwrap();
    std::fs::write(dir.path().join("up/file"), "uploaded").unwrap();
    let run = ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("--> demo.docker.d: Imported Docker image: sha256:"));
    // Packer's own lines.
    for line in ["Downloading /word => down/word", "Running post-processor:  (type docker-tag)"] {
        let line = format!("==> demo.docker.d: {line}\n");
        assert!(run.stdout.contains(&line), "{line:?}: {}", run.stdout);
    }
    let image = "ingot-e2e-made:t";
    let inside = output_of("docker", &["run", "--rm", image, "cat", "/word", "/root/up/file"]);
    assert_eq!(inside, "it's\nuploaded");
    assert_eq!(std::fs::read_to_string(dir.path().join("down/word")).unwrap(), "it's\n");
    let dir_of = output_of("docker", &["inspect", "-f", "{{.Config.WorkingDir}}", image]);
    assert_eq!(dir_of, "/srv");
    output_of("docker", &["rmi", image]);
    no_journal_left(dir.path());
}

/// The commonest mistake: docker-tag stands beside it, not in one sequence with it.
#[test]
fn docker_push_on_its_own_says_how_the_image_gets_its_name() {
    require!(docker());
    let push = "  post-processor \"docker-push\" {}\n";
    let dir = template(&docker_template("commit = true", push));
    let run = ingot(dir.path(), &["build", "-color=false", "."]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stderr.contains("has no name to push it to"), "{}", run.stderr);
    assert!(run.stderr.contains("docker-push into one `post-processors` block"), "{}", run.stderr);
}

#[test]
fn the_platform_of_the_environment_is_taken_where_the_template_has_none() {
    require!(docker());
    let options = "discard = true\n  run_command = [\"-d\", \"--pull=never\", \"{{.Image}}\"]";
    let env = [("DOCKER_DEFAULT_PLATFORM", "linux/s390x")];
    let dir = template(&docker_template(options, ""));
    let run = ingot_with(dir.path(), &["build", "-color=false", "."], &env);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    // The Engine says so, as the base image is for the machine's platform.
    assert!(run.stdout.contains("linux/s390x"), "{}", run.stdout);
    let machine = output_of("docker", &["version", "-f", "{{.Server.Os}}/{{.Server.Arch}}"]);
    let platform = format!("discard = true\n  platform = \"{machine}\"");
    let dir = template(&docker_template(&platform, ""));
    let run = ingot_with(dir.path(), &["build", "-color=false", "."], &env);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

#[test]
fn the_docker_client_s_configuration_counts() {
    require!(docker());
    let dir = template(&format!(
        r#"
source "docker" "built" {{
  build {{
    path      = "base.docker"
    build_dir = "context"
    pull      = false
  }}
  discard = true
}}
source "docker" "given" {{
  image       = "{BASE}"
  pull        = false
  discard     = true
  run_command = ["-dit", "-e", "HTTP_PROXY=mine", "--entrypoint=/bin/sh", "--", "{{{{.Image}}}}"]
}}
build {{
  sources = ["docker.built", "docker.given"]
  provisioner "shell" {{
    inline = ["echo sees $HTTP_PROXY $http_proxy", "cat /built 2>/dev/null || true"]
  }}
}}
"#
    ));
    let at = |name: &str| dir.path().join(name);
    let dockerfile = format!("FROM {BASE}\nRUN echo built with $https_proxy > /built\n");
    std::fs::write(at("base.docker"), dockerfile).unwrap();
    std::fs::create_dir(at("context")).unwrap();
    std::fs::create_dir(at("client")).unwrap();
    // The helper is not there, and nothing needs it.
    let config = r#"{
        "auths": null,
        "proxies": {"default": {
            "httpProxy": "http://p.example:1", "httpsProxy": "http://p.example:2", "noProxy": null
        }},
        "credHelpers": {"unrelated.example": "ingot-none"}
    }"#;
    std::fs::write(at("client/config.json"), config).unwrap();
    let client = at("client").display().to_string();
    let env = [("DOCKER_CONFIG", client.as_str())];
    let run = ingot_with(dir.path(), &["build", "-color=false", "."], &env);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    for line in [
        "docker.built: sees http://p.example:1 http://p.example:1\n",
        "docker.built: built with http://p.example:2\n",
        "docker.given: sees mine http://p.example:1\n",
        "docker.built: No credentials for unrelated.example: the credential helper \
         docker-credential-ingot-none failed",
    ] {
        assert!(run.stdout.contains(line), "{line}: {}", run.stdout);
    }
    let env = [("DOCKER_CONFIG", client.as_str()), ("DOCKER_AUTH_CONFIG", r#"{"auths":"s3cret"}"#)];
    let run = ingot_with(dir.path(), &["build", "-color=false", "-only=docker.built", "."], &env);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let told =
        "docker.built: Warning: cannot read the variable DOCKER_AUTH_CONFIG: line 1, column ";
    assert!(run.stdout.contains(told), "{}", run.stdout);
    assert!(!(run.stdout + &run.stderr).contains("s3cret"));
}

fn no_journal_left(dir: &Path) {
    let left = std::fs::read_dir(dir.join("state")).map_or(0, |entries| entries.count());
    assert_eq!(left, 0, "the journal of a finished run is gone");
}

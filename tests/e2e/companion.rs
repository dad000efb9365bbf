//! The companion file `*.ingot.hcl`: where it is found, what stands in it, and its errors.

use std::path::Path;

use ingot_test_support::{NULL, ingot, template};

/// Two sources that can be tested, a variable, a local, and named and unnamed provisioners.
const TEMPLATE: &str = r#"
variable "channel" {
  default = "production"
}
locals {
  packages = ["curl", "jq"]
}
source "docker" "web" {
  image  = "base"
  pull   = false
  commit = true
}
source "docker" "db" {
  image  = "base"
  pull   = false
  commit = true
}
build {
  sources = ["docker.web", "docker.db"]
  provisioner "shell" {
    name   = "update"
    inline = ["true"]
  }
  provisioner "file" {
    content     = "x"
    destination = "/x"
  }
}
"#;

fn with_companion(template_text: &str, companion: &str) -> tempfile::TempDir {
    let dir = template(template_text);
    std::fs::write(dir.path().join("t.ingot.hcl"), companion).unwrap();
    dir
}

/// Everything that can stand in one.
const WHOLE: &str = r#"
cache {
  enabled = true
  max_age = "168h"
  directory = "../cache"
}
step "update" {
  cache = false
}
step "file" {}
family {
  promote = var.channel
}
test "web answers" {
  only          = ["docker.web"]
  run           = "nginx"
  sudo          = false
  timeout       = "5m"
  check_timeout = "30s"
  retry_timeout = "2s"
  command "nginx -v" {
    exit_status = 0
    stderr      = ["nginx/1.", "!/error/"]
    timeout     = "10s"
  }
  file "/etc/motd" {
    mode     = "0644"
    owner    = "root"
    contains = ["golden"]
    sha256   = sha256("golden\n")
  }
  service "ssh" {
    running = true
    enabled = true
  }
  port "tcp:22" {}
  user "app" {
    uid    = 1000
    groups = ["app"]
  }
  group "app" {}
  process "nginx" {}
  goss {
    file = "goss.yaml"
  }
}
test "packages" {
  except = ["docker.web"]
  dynamic "package" {
    for_each = local.packages
    labels   = [package.value]
    content {
      version = ["7."]
    }
  }
}
"#;

const GOSS: &str = "file:\n  /etc/os-release:\n    exists: true\n    mode: \"0644\"\n";

#[test]
fn all_that_stands_in_it_is_read_and_shown() {
    let dir = with_companion(TEMPLATE, WHOLE);
    std::fs::write(dir.path().join("goss.yaml"), GOSS).unwrap();
    for path in [".", "t.pkr.hcl"] {
        let run = ingot(dir.path(), &["validate", path]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), "The configuration is valid.\n"));
    }
    let run = ingot(dir.path(), &["inspect", "-var", "channel=staging", "."]);
    assert_eq!(run.code, Some(0));
    let (_, shown) = run.stdout.split_once("> cache:").unwrap();
    let expected = "

  enabled: true
  max_age: 168h0m0s
  directory: ../cache

> steps:

  file
  update: cache = false

> family:

  promote: staging

> tests:

  > web answers:

    only: docker.web

    command \"nginx -v\"
    file \"/etc/motd\"
    service \"ssh\"
    port \"tcp:22\"
    user \"app\"
    group \"app\"
    process \"nginx\"
    file \"/etc/os-release\"

  > packages:

    except: docker.web

    package \"curl\"
    package \"jq\"
";
    assert_eq!(shown.trim_end(), expected.trim_end(), "{}", run.stdout);
}

#[test]
fn it_belongs_to_a_directory_or_to_the_file_of_its_name() {
    let broken = "buidl {}\n";
    let said = |dir: &Path, path: &str| {
        let run = ingot(dir, &["validate", path]);
        (run.code, run.stdout)
    };
    let dir = template(NULL);
    std::fs::write(dir.path().join("other.ingot.hcl"), broken).unwrap();
    assert_eq!(said(dir.path(), ".").0, Some(1));
    // Beside a single file, only that of its name is read.
    assert_eq!(said(dir.path(), "t.pkr.hcl").0, Some(0));
    std::fs::write(dir.path().join("t.ingot.hcl"), broken).unwrap();
    let (code, text) = said(dir.path(), "t.pkr.hcl");
    assert!(code == Some(1) && text.contains("t.ingot.hcl:1:1"), "{text}");

    let dir = tempfile::tempdir().unwrap();
    let old = r#"{"builders": [{"type": "null", "communicator": "none"}]}"#;
    std::fs::write(dir.path().join("old.json"), old).unwrap();
    std::fs::write(dir.path().join("old.ingot.hcl"), broken).unwrap();
    let (code, text) = said(dir.path(), "old.json");
    assert!(code == Some(1) && text.contains("old.ingot.hcl:1:1"), "{text}");
    // Packer does not read it, nor does what only looks at the template's syntax judge it.
    let run = ingot(dir.path(), &["validate", "-syntax-only", "old.json"]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    std::fs::write(dir.path().join("old.ingot.hcl"), "cache {\n").unwrap();
    let run = ingot(dir.path(), &["validate", "-syntax-only", "old.json"]);
    assert!(run.code == Some(1) && run.stdout.contains("old.ingot.hcl:"), "{}", run.stdout);
}

#[test]
fn it_is_formatted() {
    let dir = template(NULL);
    let path = dir.path().join("t.ingot.hcl");
    std::fs::write(&path, "cache {\nenabled=true\n}\n").unwrap();
    let run = ingot(dir.path(), &["fmt", "."]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "t.ingot.hcl\n"), "{}", run.stderr);
    assert_eq!(std::fs::read_to_string(path).unwrap(), "cache {\n  enabled = true\n}\n");
}

/// Companion files with an error: the text, the place of the error, and parts of its message.
const MISTAKES: &[(&str, &str, &[&str])] = &[
    ("a = 1", "1:1", &["`a` cannot stand outside a block"]),
    ("cach {}", "1:1", &["there is no block of type `cach` here", "did you mean `cache`?"]),
    ("source \"docker\" \"x\" {}", "1:1", &["`source` is a block of the template", "*.pkr.hcl"]),
    ("provisioner \"shell\" {}", "1:1", &["`provisioner` is a block of the template"]),
    ("package \"curl\" {}", "1:1", &["`package` stands outside of a test"]),
    ("cache \"x\" {}", "1:1", &["`cache` takes no labels"]),
    ("cache {\n  enable = true\n}", "2:3", &["no argument called `enable`", "`enabled`?"]),
    ("cache {\n  enabled = \"maybe\"\n}", "2:13", &["invalid value for `enabled`"]),
    ("cache {\n  max_age = \"7 days\"\n}", "2:13", &["`max_age`:", "is not a unit of time"]),
    ("cache {\n  directory = \"\"\n}", "2:15", &["this cannot be the name of a directory"]),
    ("cache {}\ncache {}", "2:1", &["a template has one `cache` block", "first here"]),
    ("step {}", "1:1", &["`step` takes one label"]),
    ("step \"updte\" {}", "1:6", &["no provisioner is called `updte`", "did you mean `update`?"]),
    // One with a name does not go by its type.
    ("step \"shell\" {}", "1:6", &["no provisioner is called `shell`", "by its `name`"]),
    ("step \"update\" {}\nstep \"update\" {}", "2:1", &["step \"update\" is declared twice"]),
    ("step \"update\" {\n  cache = []\n}", "2:11", &["invalid value for `cache`"]),
    ("step \"update\" {\n  max_age = \"1h\"\n}", "2:3", &["no argument called `max_age`"]),
    ("family {}\nfamily {}", "2:1", &["a template has one `family` block"]),
    ("family {\n  promote = \"\"\n}", "2:13", &["this cannot be the name of a channel"]),
    ("family {\n  promote = var.chanel\n}", "2:17", &["no variable is called", "`channel`?"]),
    ("test \"a\" {}", "1:1", &["this test checks nothing"]),
    ("test {\n  file \"/a\" {}\n}", "1:1", &["`test` takes one label"]),
    ("test \" \" {\n  file \"/a\" {}\n}", "1:6", &["a test has a name"]),
    (
        "test \"a\" {\n  file \"/a\" {}\n}\ntest \"a\" {\n  file \"/a\" {}\n}",
        "4:1",
        &["test \"a\" is declared twice"],
    ),
    (
        "test \"a\" {\n  only = [\"docker.wep\"]\n  file \"/a\" {}\n}",
        "2:11",
        &["`docker.wep` is not a source of this template", "did you mean `docker.web`?"],
    ),
    (
        "test \"a\" {\n  except = [\"source.docker.web\"]\n  file \"/a\" {}\n}",
        "2:13",
        &["leave out `source.`"],
    ),
    (
        "test \"a\" {\n  only = [\"docker.*\"]\n  file \"/a\" {}\n}",
        "2:11",
        &["patterns work in the flags"],
    ),
    ("test \"a\" {\n  only = []\n  file \"/a\" {}\n}", "2:10", &["nothing would be tested"]),
    (
        "test \"a\" {\n  only = [\"docker.web\"]\n  except = [\"docker.db\"]\n  file \"/a\" {}\n}",
        "3:3",
        &["`only` and `except` exclude each other"],
    ),
    ("test \"a\" {\n  run = 1\n  file \"/a\" {}\n}", "2:9", &["`run` is a command line"]),
    (
        "test \"a\" {\n  timeout = \"soon\"\n  file \"/a\" {}\n}",
        "2:13",
        &["`timeout`: cannot read \"soon\" as a duration"],
    ),
    ("test \"a\" {\n  fiel \"/a\" {}\n}", "2:3", &["no block of type `fiel`", "`file`?"]),
    ("test \"a\" {\n  file {}\n}", "2:3", &["`file` takes one label"]),
    ("test \"a\" {\n  file = \"/a\"\n}", "2:3", &["`file` is a block, not an argument"]),
    (
        "test \"a\" {\n  file \"/a\" {\n    ownr = \"root\"\n  }\n}",
        "3:5",
        &["no option called `ownr`", "did you mean `owner`?"],
    ),
    (
        "test \"a\" {\n  file \"/a\" {\n    mode = \"rw\"\n  }\n}",
        "3:12",
        &["\"rw\" is not a file mode", "write it in octal"],
    ),
    (
        "test \"a\" {\n  file \"/a\" {\n    type = \"dirctory\"\n  }\n}",
        "3:12",
        &["no type of files", "did you mean `directory`?"],
    ),
    (
        "test \"a\" {\n  file \"/a\" {\n    sha256 = \"abc\"\n  }\n}",
        "3:14",
        &["it must have 64 hexadecimal digits"],
    ),
    (
        "test \"a\" {\n  file \"/a\" {\n    exists = false\n    mode = \"0644\"\n  }\n}",
        "4:12",
        &["`exists = false` and `mode` exclude each other"],
    ),
    (
        "test \"a\" {\n  file \"/a\" {\n    contains = [\"/(/\"]\n  }\n}",
        "3:17",
        &["this is not a regular expression", "unclosed group"],
    ),
    ("test \"a\" {\n  file \"/a\" {}\n  file \"/a\" {}\n}", "3:3", &["is checked twice"]),
    (
        "test \"a\" {\n  command \"x\" {\n    exit_status = \"ok\"\n  }\n}",
        "3:19",
        &["invalid value for `exit_status`"],
    ),
    ("test \"a\" {\n  command \"x\" {\n    exit_status = 1.5\n  }\n}", "3:19", &["expected i32"]),
    ("test \"a\" {\n  service \"ssh\" {}\n}", "2:3", &["nothing is checked of this service"]),
    ("test \"a\" {\n  port \"ssh\" {}\n}", "2:3", &["\"ssh\" is not a port", "tcp:22"]),
    (
        "test \"a\" {\n  port \"22\" {\n    ip = [\"here\"]\n  }\n}",
        "3:11",
        &["\"here\" is not an IP address"],
    ),
    ("test \"a\" {\n  dynamic \"fiel\" {}\n}", "2:11", &["no block of type `fiel`"]),
    ("test \"a\" {\n  goss {}\n}", "2:3", &["this `goss` block names no file"]),
    (
        "test \"a\" {\n  goss {\n    file = \"none.yaml\"\n  }\n}",
        "3:12",
        &["cannot read the goss file none.yaml"],
    ),
    (
        "test \"a\" {\n  goss {\n    file = \"http.yaml\"\n  }\n}",
        "3:12",
        &[
            "http.yaml: `http`: Ingot does not check this kind",
            "http.yaml: `file./a.selinux`: Ingot does not know this attribute",
        ],
    ),
];

#[test]
fn mistakes_are_reported_with_their_place() {
    let dir = template(TEMPLATE);
    let http = "http:\n  https://example.org:\n    status: 200\nfile:\n  /a:\n    selinux: x\n";
    std::fs::write(dir.path().join("http.yaml"), http).unwrap();
    for (companion, place, texts) in MISTAKES {
        std::fs::write(dir.path().join("t.ingot.hcl"), companion).unwrap();
        let run = ingot(dir.path(), &["validate", "."]);
        let said = run.stdout;
        assert_eq!(run.code, Some(1), "{companion}\n{said}{}", run.stderr);
        let place = format!("t.ingot.hcl:{place}\n");
        assert!(said.contains(&place), "{companion}\nnot at {place}{said}");
        for text in *texts {
            assert!(said.contains(text), "{companion}\n{text:?} is not said\n{said}");
        }
        assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    }
}

//! What goes wrong in one goes wrong in the other, with the same exit code and the same leftovers.

use super::peer::{Case, Since, write};
use ingot_test_support::null_template;

/// What the first versions that read HCL do with some mistakes.
const CRASHES: Option<Since> = Some(((1, 7, 0), "crashes"));
const FINE: Option<Since> = Some(((1, 7, 0), "builds nothing and ends with 0"));

/// A build of `null` with `inside` in its build block, preceded by `before`.
fn fails(before: &str, inside: &str) {
    fails_since(None, before, inside);
}

fn fails_since(since: Option<Since>, before: &str, inside: &str) {
    let template = format!("{before}\n{}", null_template(inside));
    let setup = |dir: &std::path::Path| write(dir, &[("x.sh", "true")]);
    Case { template: &template, setup: &setup, since, code: 1, ..Case::default() }.check();
}

#[test]
fn a_failing_script() {
    fails(
        "",
        r#"
  provisioner "shell-local" {
    inline = ["touch before", "exit 3", "touch after"]
  }
  provisioner "shell-local" {
    inline = ["touch next"]
  }
  post-processor "shell-local" {
    inline = ["touch post"]
  }
"#,
    );
}

#[test]
fn an_error_cleanup_provisioner_runs() {
    let since = Some(((1, 7, 0), "has no error-cleanup-provisioner"));
    for code in [0, 6] {
        let template = null_template(&format!(
            r#"
  provisioner "shell-local" {{
    inline = ["touch before", "exit 3"]
  }}
  error-cleanup-provisioner "shell-local" {{
    inline = ["touch cleaned", "exit {code}"]
  }}
"#
        ));
        Case { template: &template, since, code: 1, ..Case::default() }.check();
    }
}

#[test]
fn options_that_are_wrong() {
    fails("", "  provisioner \"shell-local\" {\n    inlin = [\"true\"]\n  }");
    fails(
        "",
        "  provisioner \"shell-local\" {\n    inline = [\"true\"]\n    script = \"x.sh\"\n  }",
    );
    fails("", "  provisioner \"shell-local\" {\n    script = \"not-there.sh\"\n  }");
    fails("", "  provisioner \"shell-local\" {\n    inline = [\"{{ user `x` }}\"]\n  }");
    fails("", "  provisioner \"shell-local\" {\n    inline = [\"{{ env `HOME` }}\"]\n  }");
    fails("", "  provisioner \"shell-local\" {\n    inline = [\"{{ build `ID` }}\"]\n  }");
    fails("", "  provisioner \"shell-local\" {\n    inline = [\"{{ nope }}\"]\n  }");
    fails("", "  provisioner \"nope\" {\n  }");
    fails("", "  post-processor \"checksum\" {\n    checksum_types = [\"crc\"]\n  }");
    fails("", "  post-processor \"nope\" {\n  }");
    let timeout =
        "  provisioner \"shell-local\" {\n    inline = [\"true\"]\n    timeout = \"soon\"\n  }";
    fails_since(CRASHES, "", timeout);
}

#[test]
fn values_that_are_missing() {
    fails("variable \"v\" {\n  type = string\n}", "");
    fails("", "  provisioner \"shell-local\" {\n    inline = [var.nope]\n  }");
    fails("", "  provisioner \"shell-local\" {\n    inline = [build.Nope]\n  }");
    fails("locals {\n  a = local.b\n}", "");
}

#[test]
fn templates_that_are_wrong() {
    for template in [
        "source \"null\" \"n\" {",
        "build {\n  sources = [\"source.null.missing\"]\n}",
        "source \"nope\" \"n\" {}\nbuild {\n  sources = [\"source.nope.n\"]\n}",
        "source \"file\" \"f\" {\n  content = \"x\"\n}\nbuild {\n  sources = [\"source.file.f\"]\n}",
    ] {
        Case { template, code: 1, ..Case::default() }.check();
    }
    Case { template: "", since: FINE, code: 1, ..Case::default() }.check();
    let nothing = null_template("");
    let args = &["-only=nope"];
    Case { template: &nothing, args, since: FINE, code: 1, ..Case::default() }.check();
}

#[test]
fn a_post_processor_that_fails() {
    fails(
        "",
        r#"
  post-processors {
    post-processor "shell-local" {
      inline = ["touch one", "exit 1"]
    }
    post-processor "shell-local" {
      inline = ["touch two"]
    }
  }
  post-processor "shell-local" {
    inline = ["touch other-pipeline"]
  }
"#,
    );
}

#[test]
fn docker_builds_that_fail_leave_nothing() {
    let template = |options: &str, script: &str| {
        format!(
            "source \"docker\" \"d\" {{\n  pull = false\n  {options}\n}}\nbuild {{\n  sources = \
             [\"source.docker.d\"]\n  provisioner \"shell\" {{\n    inline = [\"{script}\"]\n  \
             }}\n  post-processor \"docker-tag\" {{\n    repository = \"parity-@TOOL@/none\"\n  \
             }}\n}}\n"
        )
    };
    let base = "image = \"@BASE@\"";
    for (options, script) in [
        (format!("{base}\n  commit = true"), "exit 5"),
        ("image = \"ingot-parity-no-such-image\"\n  commit = true".to_owned(), "true"),
        (format!("{base}\n  commit = true\n  changes = [\"NONSENSE\"]"), "true"),
        (format!("{base}\n  commit = true\n  discard = true"), "true"),
        (base.to_owned(), "true"),
        ("commit = true".to_owned(), "true"),
        (format!("{base}\n  commit = true\n  run_command = [\"--nonsense\"]"), "true"),
        (format!("{base}\n  export_path = \"t.pkr.hcl/out.tar\""), "true"),
        (format!("{base}\n  export_path = \"out.tar\""), "true"),
    ] {
        let template = template(&options, script);
        Case { template: &template, code: 1, docker: true, ..Case::default() }.check();
    }
}

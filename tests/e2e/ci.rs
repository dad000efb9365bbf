//! What CI systems read in the output.

use ingot_test_support::{Run, ingot_with, template};

const TWO: &str = r#"
variable "token" {
  default   = "s3cr3t-value"
  sensitive = true
}
source "null" "a" {
  communicator = "none"
}
source "null" "b" {
  communicator = "none"
}
build {
  sources = ["null.a", "null.b"]
  provisioner "shell-local" {
    inline = ["echo \"::warning::not ours, 100% ${var.token}\""]
  }
  provisioner "shell-local" {
    only   = ["null.b"]
    inline = ["exit 3"]
  }
}
"#;

fn github(dir: &std::path::Path, args: &[&str]) -> Run {
    let summary = dir.join("summary.md");
    let env = [
        ("INGOT_CI", ""),
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_WORKSPACE", dir.to_str().unwrap()),
        ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
    ];
    ingot_with(dir, args, &env)
}

/// The lines that GitHub takes for commands.
fn commands(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.trim_start().starts_with("::")).collect()
}

#[test]
fn builds_in_a_row_have_a_group_each_on_github() {
    let dir = template(TWO);
    let run = github(dir.path(), &["build", "-parallel-builds=1", "."]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert_eq!(
        commands(&run.stdout),
        ["::group::Build 'null.a'", "::endgroup::", "::group::Build 'null.b'", "::endgroup::"]
    );
    let (inside, after) = run.stdout.rsplit_once("::endgroup::\n").unwrap();
    assert!(inside.contains("Build 'null.b' errored after"), "{inside}");
    // Packer's summary is what it is elsewhere.
    assert!(after.starts_with("\n==> Wait completed after"), "{after}");
    assert!(after.ends_with("--> null.a: Did not export anything. This is the null builder\n"));
    let plain = ingot_with(
        dir.path(),
        &["build", "-parallel-builds=1", "."],
        &[("GITHUB_ACTIONS", "true")],
    );
    assert!(commands(&plain.stdout).is_empty() && commands(&plain.stderr).is_empty());
    let env = [("GITHUB_ACTIONS", "true"), ("INGOT_CI", "0")];
    let off = ingot_with(dir.path(), &["build", "-parallel-builds=1", "."], &env);
    assert!(commands(&off.stdout).is_empty() && commands(&off.stderr).is_empty());
}

#[test]
fn builds_at_once_keep_their_lines_and_what_failed_is_folded_at_the_end() {
    let dir = template(TWO);
    let run = github(dir.path(), &["build", "."]);
    assert_eq!(commands(&run.stdout), ["::group::Log of build 'null.b'", "::endgroup::"]);
    assert!(run.stdout.contains("==> null.b: ::warning::not ours, 100% <sensitive>\n"));
    assert!(run.stdout.contains("\n| ::warning::not ours, 100% <sensitive>\n"), "{}", run.stdout);
    assert_eq!(
        commands(&run.stderr),
        ["::error file=t.pkr.hcl,line=17,col=3,title=Build 'null.b' failed::provisioner \
          `shell-local` (2 of 2): Script exited with non-zero exit status: 3. Allowed exit codes \
          are: [0]"]
    );
    let summary = std::fs::read_to_string(dir.path().join("summary.md")).unwrap();
    assert!(summary.contains("| <code>null.b</code> | failed |"), "{summary}");
    assert!(summary.contains("100% &lt;sensitive&gt;") || !summary.contains("s3cr3t"), "{summary}");
    assert!(!summary.contains("s3cr3t"), "{summary}");
}

#[test]
fn nothing_that_programs_print_is_a_command() {
    let said =
        ["::set-output name=a::b", " ::add-mask::x", "::stop-commands::y", "##[set-output a]b"];
    let prints: Vec<String> = said.iter().map(|line| format!("\"echo '{line}'\"")).collect();
    let print = format!("\"printf 'over\\\\r::set-env name=a::b\\\\n'\", {}", prints.join(", "));
    let dir = template(&TWO.replace("\"exit 3\"", &format!("{print}, \"exit 3\"")));
    for args in [&["build", "."][..], &["build", "-parallel-builds=1", "."]] {
        let run = github(dir.path(), args);
        assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("     | ::stop-commands::y\n"), "{}", run.stderr);
        let all = format!("{}\n{}", run.stdout, run.stderr).replace('\r', "\n");
        assert!(!all.contains("##["), "{all}");
        let own = ["::group::", "::endgroup::", "::error "];
        for command in commands(&all) {
            assert!(own.iter().any(|own| command.starts_with(own)), "{command}");
        }
    }
}

#[test]
fn no_error_of_a_command_is_one_of_github() {
    let dir = template(TWO);
    let path = "no\n::add-mask::x";
    for args in [&["sbom-generate", path][..], &["verify-attestation", "-key=k", path]] {
        let run = github(dir.path(), args);
        assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("| ::add-mask::x"), "{}", run.stderr);
        assert!(commands(&run.stderr).is_empty(), "{}", run.stderr);
    }
}

#[test]
fn mistakes_of_a_template_are_annotated() {
    let dir = template(
        "source \"null\" \"n\" {\n  comunicator = \"none\"\n}\nbuild {\n  sources = [\"null.n\"]\n}\n",
    );
    for command in ["validate", "build"] {
        let run = github(dir.path(), &[command, "."]);
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        let [annotation, ..] = &commands(&run.stderr)[..] else { panic!("{}", run.stderr) };
        assert!(
            annotation.starts_with("::error file=t.pkr.hcl,line=2,col=3,title=Invalid template::"),
            "{annotation}"
        );
        assert!(annotation.contains("comunicator") && annotation.contains("%0A"), "{annotation}");
        assert!(commands(&run.stdout).is_empty(), "{}", run.stdout);
    }
}

#[test]
fn gitlab_gets_sections() {
    let dir = template(TWO);
    let env = [("INGOT_CI", ""), ("GITLAB_CI", "true"), ("GITHUB_ACTIONS", "")];
    let run = ingot_with(dir.path(), &["build", "-parallel-builds=1", "."], &env);
    let starts = run.stdout.matches("\u{1b}[0Ksection_start:").count();
    let ends = run.stdout.matches("\u{1b}[0Ksection_end:").count();
    assert_eq!((starts, ends), (2, 2), "{}", run.stdout);
    assert!(run.stdout.contains(":Build__null_a_\r\u{1b}[0KBuild 'null.a'\n"), "{}", run.stdout);
    assert!(!run.stdout.contains("::group"), "{}", run.stdout);
    let run = ingot_with(dir.path(), &["build", "."], &env);
    assert!(
        run.stdout.contains("[collapsed=true]\r\u{1b}[0KLog of build 'null.b'\n"),
        "{}",
        run.stdout
    );
}

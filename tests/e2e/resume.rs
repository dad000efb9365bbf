//! Builds that fail, are kept, and go on.

use std::path::Path;
use std::process::Command;

use crate::running::{Running, container_in, exists};
use ingot_test_support::{
    Run, docker, docker_template, ingot, ingot_with, null_template, output_of, require, template,
};

pub(crate) const KEEP: &[&str] = &["build", "-color=false", "-on-error=keep", "."];
pub(crate) const RESUME: &[&str] = &["build", "-color=false", "-resume", "."];

/// A `shell-local` provisioner that appends its name to `log`, after `before`.
pub(crate) fn step(name: &str, before: &str) -> String {
    format!(
        "  provisioner \"shell-local\" {{\n    name = \"{name}\"\n    inline = [\"{before}echo \
         {name} >> log\"]\n  }}\n"
    )
}

pub(crate) fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("log")).unwrap_or_default().replace('\n', " ")
}

/// How many records of kept builds there are.
fn records(dir: &Path) -> usize {
    std::fs::read_dir(dir.join("state/kept")).map_or(0, Iterator::count)
}

pub(crate) fn write(dir: &Path, text: &str) {
    std::fs::write(dir.join("t.pkr.hcl"), text).unwrap();
}

#[track_caller]
pub(crate) fn succeeds(run: &Run) {
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

#[track_caller]
pub(crate) fn fails(run: &Run, with: &[&str]) {
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    for text in with {
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(said.contains(text), "no {text:?}: {said}");
    }
}

/// A docker build whose steps append to a file in the container.
fn container_template(two: &str) -> String {
    let step = |name: &str, before: &str| {
        format!(
            "  provisioner \"shell\" {{\n    name = \"{name}\"\n    inline = [\"{before}echo {name} \
             >> /log\"]\n  }}\n"
        )
    };
    let script = "  provisioner \"shell\" {\n    name = \"script\"\n    script = \"s.sh\"\n  }\n";
    let steps = format!("{}{}{script}", step("one", ""), step("two", two));
    docker_template("commit = true", &steps)
}

/// The file that [`container_template`]'s steps write, in the image that a run made.
fn log_of_image(run: &Run) -> String {
    let id = run.stdout.lines().find_map(|line| Some(line.split_once("Image ID: ")?.1.trim()));
    let id = id.unwrap_or_else(|| panic!("no image: {}", run.stdout));
    let text = output_of("docker", &["run", "--rm", id, "cat", "/log"]);
    output_of("docker", &["rmi", "-f", id]);
    text.replace('\n', " ")
}

#[test]
fn a_container_that_was_kept_goes_on_at_the_failed_provisioner() {
    require!(docker());
    let dir = template(&container_template("exit 3; "));
    let dir = dir.path();
    std::fs::write(dir.join("s.sh"), "echo script >> /log\n").unwrap();
    let kept = ingot(dir, KEEP);
    fails(
        &kept,
        &[
            "The machine is kept: `ingot build -resume .` goes on at provisioner 2 of 3, shell \"two\".",
            "`ingot cleanup -kept` removes what is kept instead.",
        ],
    );
    let container = container_in(&kept.stdout);
    assert!(exists(&container));

    // Neither the next build nor a cleanup takes it for left behind.
    std::fs::write(dir.join("n.pkr.hcl"), null_template("")).unwrap();
    succeeds(&ingot(dir, &["build", "n.pkr.hcl"]));
    std::fs::remove_file(dir.join("n.pkr.hcl")).unwrap();
    let cleaned = ingot(dir, &["cleanup"]);
    succeeds(&cleaned);
    assert!(cleaned.stdout.contains("What is kept goes with -kept."), "{}", cleaned.stdout);
    let listed = ingot(dir, &["cleanup", "-list", "-kept", "-json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(listed["kept"][0]["build"], "docker.d", "{listed}");
    assert_eq!(listed["kept"][0]["things"][0]["kind"], "docker-container", "{listed}");
    assert!(exists(&container));

    // What made the machine must not change; the machine stays as it is.
    write(dir, &container_template("").replace("pull = false", "pull = false\n  pty = true"));
    fails(
        &ingot(dir, RESUME),
        &["`docker.d` cannot go on: its machine was made with other values of `pty`"],
    );
    // Nor what has run on it.
    write(dir, &container_template("").replace("echo one", "echo other"));
    fails(
        &ingot(dir, RESUME),
        &[
            "provisioner 1 has run on its machine, and is not what it was",
            "provisioner 1, shell \"one\" (./t.pkr.hcl:8:3): `inline`",
            "-start-at=one runs it and all after it on the machine as it is",
        ],
    );

    // A failed resume keeps again; the container may have been stopped meanwhile.
    write(dir, &container_template(""));
    std::fs::write(dir.join("s.sh"), "echo script >> /log; exit 4\n").unwrap();
    output_of("docker", &["stop", "-t", "0", &container]);
    let again = ingot(dir, RESUME);
    fails(
        &again,
        &[
            "goes on at provisioner 2 of 3, shell \"two\" (./t.pkr.hcl:12:3).",
            "  provisioner 2, shell \"two\" (./t.pkr.hcl:12:3): `inline`",
            "  provisioner 3, shell \"script\" (./t.pkr.hcl:16:3): the file s.sh",
            "The container has stopped: starting it again...",
            "goes on at provisioner 3 of 3, shell \"script\".",
        ],
    );
    std::fs::write(dir.join("s.sh"), "echo mended >> /log\n").unwrap();
    let done = ingot(dir, &["build", "-color=false", "-resume", "-cache", "-explain", "."]);
    succeeds(&done);
    let uncached = "No step is cached: the build goes on with a machine that was kept";
    assert!(done.stdout.contains(uncached), "{}", done.stdout);
    assert!(!exists(&container));
    assert_eq!(log_of_image(&done), "one two script mended");
    // Nothing is kept any more.
    fails(&ingot(dir, RESUME), &["nothing is kept"]);
    let left = ingot(dir, &["cleanup", "-list"]);
    assert_eq!(left.stdout.trim(), "Nothing is left of interrupted runs.");
}

#[test]
fn a_resumed_build_that_is_killed_can_go_on_and_two_cannot_at_once() {
    require!(docker());
    let dir = template(&container_template("exit 3; "));
    std::fs::write(dir.path().join("s.sh"), "echo script >> /log\n").unwrap();
    let kept = ingot(dir.path(), KEEP);
    fails(&kept, &[]);
    let container = container_in(&kept.stdout);
    let slow = container_template("")
        .replace("script = \"s.sh\"", "inline = [\"echo asleep; sleep 300\"]");
    write(dir.path(), &slow);
    let child = Running::spawn(dir.path(), &["-color=false", "-resume"]);
    let mut resumed = Running { child, dir };
    resumed.wait_for("docker.d: asleep");
    let path = resumed.dir.path().to_owned();
    fails(&ingot(&path, RESUME), &["`docker.d` cannot go on: another run is going on with it"]);
    resumed.signal("KILL");
    assert_eq!(resumed.end(), None);

    // Another build leaves the machine alone; the next resume knows that the second provisioner ran.
    let cleaned = ingot(&path, &["cleanup"]);
    succeeds(&cleaned);
    assert!(exists(&container), "{}", cleaned.stdout);
    write(&path, &container_template(""));
    let done = ingot(&path, RESUME);
    succeeds(&done);
    assert!(done.stdout.contains("goes on at provisioner 3 of 3"), "{}", done.stdout);
    assert_eq!(log_of_image(&done), "one two script");
    assert!(!exists(&container));
}

#[test]
fn a_machine_that_is_gone_is_reported_and_one_that_is_kept_is_removed_on_demand() {
    require!(docker());
    let dir = template(&docker_template(
        "discard = true",
        "  provisioner \"shell\" {\n    inline = [\"exit 3\"]\n  }",
    ));
    let dir = dir.path();
    let run = ingot(dir, KEEP);
    let first = container_in(&run.stdout);
    output_of("docker", &["rm", "-f", &first]);
    let gone = ingot(dir, RESUME);
    fails(
        &gone,
        &[
            &format!("the container {first}, which was kept, is gone"),
            "`ingot cleanup -kept` forgets it; then build without -resume",
            "It did not come to its provisioners. The record of what was kept before is still there",
        ],
    );
    assert!(!gone.stdout.contains("The machine is kept"), "{}", gone.stdout);
    let run = ingot(dir, KEEP);
    let second = container_in(&run.stdout);
    assert!(exists(&second));
    let cleaned = ingot(dir, &["cleanup", "-kept"]);
    succeeds(&cleaned);
    assert!(cleaned.stdout.contains("  removed docker-container ingot-"), "{}", cleaned.stdout);
    assert!(!exists(&second));
    assert_eq!(records(dir), 0);
}

#[test]
fn steps_are_chosen_by_name_and_doubt_is_an_error() {
    let text = |two: &str| {
        let unnamed = step("x", "").replace("    name = \"x\"\n", "").repeat(2);
        null_template(&format!("{}{}{unnamed}", step("one", ""), step("two", two)))
    };
    let dir = template(&text("exit 3; "));
    let dir = dir.path();
    let with = |flags: &[&str]| ingot(dir, &[&["build", "-color=false"], flags, &["."]].concat());
    fails(&with(&["-start-at=two"]), &["-start-at is for resuming a build", "add -resume"]);
    fails(&with(&["-resume"]), &["nothing is kept of a build of this template", "-on-error=keep"]);
    fails(
        &with(&["-on-error=keep"]),
        &[
            "The progress of this build is kept: `ingot build -resume .` goes on at provisioner 2 of 4",
        ],
    );
    assert_eq!(log(dir), "one ");
    fails(
        &with(&["-resume", "-start-at=on"]),
        &["has no provisioner called `on`", "-start-at=one?"],
    );
    fails(
        &with(&["-resume", "-start-at=shell-local"]),
        &[
            "`shell-local` can be 4 provisioners",
            "3: shell-local (./t.pkr.hcl:",
            "give the one that",
        ],
    );
    fails(
        &with(&["-resume", "-stop-before=one"]),
        &["-stop-before: `one` of `null.n` has run on the kept machine already"],
    );
    write(dir, &text(""));
    let stopped = with(&["-resume", "-start-at=one", "-stop-before=two"]);
    succeeds(&stopped);
    let said = "Build 'null.n' stopped before the provisioner \"two\".\nThe progress of this build \
                is kept";
    assert!(stopped.stdout.contains(said), "{}", stopped.stdout);
    assert_eq!(log(dir), "one one ");
    succeeds(&with(&["-resume"]));
    assert_eq!(log(dir), "one one two x x ");

    // Of a null build nothing has to be kept to begin anywhere.
    succeeds(&with(&["-resume", "-start-at=two"]));
    assert_eq!(log(dir), "one one two x x two x x ");
    let stopped = with(&["-stop-before=one"]);
    succeeds(&stopped);
    assert_eq!(log(dir), "one one two x x two x x ");
    fails(&with(&["-stop-before=nowhere"]), &["has no provisioner called `nowhere`"]);
    fails(&with(&["-stop-before=one", "-on-error=abort"]), &["-stop-before keeps the machine"]);
    fails(&with(&["-only-post-processors", "-stop-before=one"]), &["exclude each other"]);
}

#[test]
fn post_processors_run_again_over_what_was_made() {
    let text = |script: &str| {
        format!(
            "source \"file\" \"f\" {{\n  content = \"abc\"\n  target  = \"out/f.txt\"\n}}\nbuild \
             {{\n  sources = [\"file.f\"]\n  provisioner \"shell-local\" {{\n    inline = [\"echo \
             made >> log\"]\n  }}\n  post-processor \"checksum\" {{\n    checksum_types = \
             [\"md5\"]\n    output = \"sum\"\n  }}\n  post-processor \"shell-local\" {{\n    inline = \
             [\"{script}\"]\n  }}\n}}\n"
        )
    };
    let dir = template(&text("exit 5"));
    let dir = dir.path();
    fails(
        &ingot(dir, KEEP),
        &["What the builder made is kept: `ingot build -resume .` runs the post-processors again."],
    );
    assert!(dir.join("out/f.txt").exists());
    write(dir, &text("echo processed >> log"));
    let done = ingot(dir, RESUME);
    succeeds(&done);
    let said = "runs its post-processors over what was made before: Stored file: out/f.txt";
    assert!(done.stdout.contains(said), "{}", done.stdout);
    assert!(done.stdout.contains("--> file.f: Stored file: out/f.txt"), "{}", done.stdout);
    // The first post-processor has written this.
    assert!(dir.join("sum").exists());
    assert!(!done.stdout.contains("the file sum"), "{}", done.stdout);
    assert_eq!(log(dir), "made processed ");
    // And once more, as often as one likes, also after a cleanup, of what it does not list.
    let cleaned = ingot(dir, &["cleanup", "-kept"]);
    succeeds(&cleaned);
    assert!(cleaned.stdout.contains("Nothing is left of interrupted runs."), "{}", cleaned.stdout);
    let only = &["build", "-color=false", "-only-post-processors", "."];
    succeeds(&ingot(dir, only));
    assert_eq!(log(dir), "made processed processed ");
    assert_eq!(std::fs::read_to_string(dir.join("out/f.txt")).unwrap(), "abc");
    std::fs::remove_file(dir.join("out/f.txt")).unwrap();
    fails(&ingot(dir, only), &["f.txt is gone, which the builder created"]);
    // Nothing else forgets it.
    let forget = ["cleanup", "-forget", "-kept", "-older-than=0s"];
    let listed = ingot(dir, &[&forget[..], &["-list"]].concat());
    assert!(listed.stdout.contains("\n  Stored file: out/f.txt"), "{}", listed.stdout);
    let forgot = ingot(dir, &forget);
    succeeds(&forgot);
    let told =
        "remembered for `ingot build -only-post-processors`:\n  forgot Stored file: out/f.txt";
    assert!(forgot.stdout.contains(told), "{}", forgot.stdout);
    assert!(!forgot.stdout.contains("has to be removed"), "{}", forgot.stdout);
    fails(&ingot(dir, only), &["no artifact is kept"]);
}

#[test]
fn what_is_kept_by_another_name_is_named() {
    let text = null_template(&step("one", "exit 3; "));
    let dir = template(&text);
    let dir = dir.path();
    fails(&ingot(dir, KEEP), &["The progress of this build is kept"]);
    let path = dir.canonicalize().unwrap();
    let told = format!("what is kept is of 'null.n' of {}", path.display());
    let removed = "`ingot cleanup -kept` removes what is kept";
    // The source has another name, or is not selected.
    write(dir, &text.replace("\"n\"", "\"renamed\"").replace("null.n", "null.renamed"));
    let nothing = "nothing is kept of the builds that are selected";
    fails(&ingot(dir, RESUME), &[nothing, &told, removed]);
    // The template is named by its file, and the directory has been.
    write(dir, &text);
    let by_file = ["build", "-color=false", "-resume", "t.pkr.hcl"];
    fails(&ingot(dir, &by_file), &[nothing, &told, removed]);
    fails(&ingot(dir, RESUME), &["goes on at provisioner 1 of 1"]);
    succeeds(&ingot(dir, &["cleanup", "-kept"]));
    // And the other way round.
    let by_file = ["build", "-color=false", "-on-error=keep", "t.pkr.hcl"];
    fails(&ingot(dir, &by_file), &["The progress of this build is kept"]);
    fails(&ingot(dir, RESUME), &[nothing, &format!("{told}/t.pkr.hcl"), removed]);
}

#[test]
fn post_processors_run_on_what_the_last_build_made() {
    let text = |step: &str| {
        format!(
            "variable \"day\" {{}}\nsource \"file\" \"f\" {{\n  content = var.day\n  target  = \
             \"out/${{var.day}}.txt\"\n}}\nbuild {{\n  sources = [\"file.f\"]\n  post-processor \
             {step}\n}}\n"
        )
    };
    let script = |script: &str| format!("\"shell-local\" {{\n    inline = [\"{script}\"]\n  }}");
    let dropping = "\"compress\" {\n    output = \"${var.day}.tar.gz\"\n    \
                    keep_input_artifact = false\n  }";
    let dir = template(&text(&script("true")));
    let dir = dir.path();
    let build = |day: &str, flags: &[&str]| {
        let day = format!("-var=day={day}");
        ingot(dir, &[&["build", "-color=false", day.as_str()], flags, &["."]].concat())
    };
    let (keep, only) = (&["-on-error=keep"], &["-only-post-processors"]);
    succeeds(&build("monday", keep));
    // Nothing has it remembered but that an older one is.
    succeeds(&build("tuesday", &[]));
    assert_eq!(records(dir), 1);
    let again = build("tuesday", only);
    succeeds(&again);
    let said = "runs its post-processors over what was made before: Stored file: out/tuesday.txt";
    assert!(again.stdout.contains(said), "{}", again.stdout);

    let nothing = "no artifact is kept for post-processors to run on";
    write(dir, &text(dropping));
    succeeds(&build("wednesday", &[]));
    fails(&build("wednesday", only), &[nothing]);

    write(dir, &text(&script("exit 5")));
    fails(&build("thursday", keep), &["What the builder made is kept"]);
    write(dir, &text(dropping));
    succeeds(&build("friday", &[]));
    let told = "is not post-processed: a build of it has finished since";
    fails(&build("friday", only), &[told, nothing]);
    assert!(dir.join("out/thursday.txt").exists());
}

#[test]
fn an_image_is_post_processed_again_and_goes_with_the_record() {
    require!(docker());
    let text = |repository: &str| {
        let step = "  post-processor \"docker-tag\" {\n    repository = \"REPOSITORY\"\n    \
                    tag = [\"right\"]\n    keep_input_artifact = false\n  }";
        docker_template("commit = true", &step.replace("REPOSITORY", repository))
    };
    // Docker takes no capitals.
    let dir = template(&text("INGOT-e2e-resume"));
    let dir = dir.path();
    let there = |id: &str| {
        Command::new("docker").args(["image", "inspect", id]).output().unwrap().status.success()
    };
    let image = |run: &Run| {
        let id = run.stdout.lines().find_map(|line| line.split_once("Image ID: "));
        id.unwrap_or_else(|| panic!("no image: {}", run.stdout)).1.trim().to_owned()
    };
    let failed = ingot(dir, KEEP);
    fails(&failed, &["What the builder made is kept"]);
    let first = image(&failed);
    assert!(there(&first));
    succeeds(&ingot(dir, &["cleanup", "-kept"]));
    assert!(!there(&first));

    let failed = ingot(dir, KEEP);
    let second = image(&failed);
    write(dir, &text("ingot-e2e-resume"));
    let done = ingot(dir, RESUME);
    succeeds(&done);
    assert!(!done.stdout.contains("Starting docker container"), "{}", done.stdout);
    let tagged = output_of("docker", &["images", "-q", "--no-trunc", "ingot-e2e-resume:right"]);
    assert_eq!(tagged, second);
    output_of("docker", &["rmi", "-f", &second]);
}

#[test]
fn a_build_with_a_large_sbom_goes_on() {
    require!(docker());
    // Registries take up to 32 MiB.
    let text = r#"
  provisioner "shell" {
    inline = [
      "printf '{\"bomFormat\": \"CycloneDX\", \"specVersion\": \"1.6\", \"x\": \"' > /tmp/sbom.json",
      "head -c 20000000 /dev/zero | tr '\\0' x >> /tmp/sbom.json",
      "printf '\"}' >> /tmp/sbom.json",
    ]
  }
  provisioner "hcp-sbom" {
    source = "/tmp/sbom.json"
  }
  provisioner "shell" {
    inline = ["exit 3"]
  }"#;
    let dir = template(&docker_template("discard = true", text));
    fails(&ingot(dir.path(), KEEP), &["goes on at provisioner 3 of 3"]);
    write(dir.path(), &docker_template("discard = true", &text.replace("exit 3", "exit 0")));
    succeeds(&ingot(dir.path(), RESUME));
}

#[test]
fn times_stay_and_secrets_are_not_written_down() {
    let text = |script: &str| {
        format!(
            "variable \"pw\" {{\n  default = \"hunter2222\"\n  sensitive = true\n}}\nlocals {{\n  \
             name = \"at-${{formatdate(\"hhmmss\", timestamp())}}\"\n}}\n{}",
            null_template(&format!(
                "  provisioner \"shell-local\" {{\n    inline = [\"echo ${{local.name}} >> log\", \
                 \"echo ${{var.pw}} > /dev/null\"]\n  }}\n  provisioner \"shell-local\" {{\n    inline \
                 = [\"{script}echo ${{local.name}} >> log\"]\n  }}\n"
            ))
        )
    };
    let dir = template(&text("echo ${var.pw} >&2; exit 3; "));
    let dir = dir.path();
    fails(&ingot(dir, KEEP), &["The progress of this build is kept"]);
    let found =
        output_of("sh", &["-c", &format!("grep -rl hunter2222 {}/state || true", dir.display())]);
    assert_eq!(found, "");
    let kept = std::fs::read_dir(dir.join("state/kept")).unwrap().next().unwrap().unwrap().path();
    let mode = |path: &Path| {
        use std::os::unix::fs::PermissionsExt;
        path.metadata().unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode(&kept), mode(&kept.join("record.json"))), (0o700, 0o600));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    write(dir, &text(""));
    succeeds(&ingot_with(dir, RESUME, &[]));
    let names: Vec<String> = log(dir).split_whitespace().map(str::to_owned).collect();
    assert!(names.len() == 2 && names[0] == names[1], "{names:?}");
}

#[test]
fn a_full_disk_leaves_the_machine_to_cleanup() {
    require!(docker());
    let Some(disk) = ingot_test_support::disk::Disk::mount(1) else { return };
    let dir = template(&docker_template(
        "discard = true",
        "  provisioner \"shell\" {\n    inline = [\"echo asleep; sleep 3; exit 3\"]\n  }",
    ));
    let state = disk.path().display().to_string();
    let env = [("INGOT_STATE_DIR", state.as_str()), ("INGOT_BUILD_LOG", "off")];
    let mut run = Running::command(dir.path(), &["-color=false", "-on-error=keep"]);
    let child = run.env("INGOT_STATE_DIR", &state).env("INGOT_BUILD_LOG", "off").spawn().unwrap();
    let mut run = Running { child, dir };
    run.wait_for("docker.d: asleep");
    let container = run.container();
    disk.fill();
    assert_eq!(run.end(), Some(1));
    let said = run.said();
    assert!(said.contains("What is left could not be written down for -resume: "), "{said}");
    assert!(said.contains("`ingot cleanup` removes it."), "{said}");
    assert!(exists(&container));
    disk.free();
    let cleaned = ingot_with(run.dir.path(), &["cleanup"], &env);
    succeeds(&cleaned);
    assert!(!exists(&container), "{}", cleaned.stdout);
}

//! What keeps a build that was kept from going on, and what is left alone.

use std::path::{Path, PathBuf};

use crate::resume::{KEEP, RESUME, fails, log, step, succeeds, write};
use crate::running::{Running, container_in, exists};
use ingot_sdk::file_lock::FileLock;
use ingot_test_support::{
    Pipe, Run, docker, docker_template, ingot, null_template, output_of, require, template,
};

/// A build of a file with one post-processor, a script.
fn file_template(source: &str, script: &str) -> String {
    format!(
        "source \"file\" \"f\" {{\n  {source}\n  target = \"out/f.txt\"\n}}\nbuild {{\n  sources = \
         [\"file.f\"]\n  post-processor \"shell-local\" {{\n    inline = [\"{script}\"]\n  }}\n}}\n"
    )
}

/// The directories of what is kept.
fn kept(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join("state/kept")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Gives the only record the form in which an earlier version wrote it.
fn make_old(dir: &Path) {
    let record = kept(dir)[0].join("record.json");
    let text = std::fs::read_to_string(&record).unwrap();
    let old = text.replacen("\"format\":3", "\"format\":1", 1);
    assert_ne!(text, old);
    std::fs::write(&record, old).unwrap();
}

fn said(run: &Run) -> String {
    format!("{}{}", run.stdout, run.stderr)
}

#[test]
fn a_variable_beside_what_only_the_run_knows_counts() {
    let text = |two: &str| {
        let one = "  provisioner \"shell-local\" {\n    inline = [\"echo \
                   ${build.PackerRunUUID != \"\" ? var.x : \"\"} >> log\"]\n  }\n";
        let variable = "variable \"x\" {\n  default = \"one\"\n}\n";
        format!("{variable}{}", null_template(&format!("{one}{}", step("two", two))))
    };
    let dir = template(&text("exit 3; "));
    let dir = dir.path();
    fails(&ingot(dir, KEEP), &["goes on at provisioner 2 of 2"]);
    write(dir, &text(""));
    let changed = ingot(dir, &["build", "-color=false", "-resume", "-var", "x=two", "."]);
    fails(&changed, &["provisioner 1 has run on its machine, and is not what it was", "`inline`"]);
    succeeds(&ingot(dir, RESUME));
    assert_eq!(log(dir), "one two ");
}

#[test]
fn a_value_that_came_through_a_pipe_counts() {
    let text = |two: &str| {
        let one = "  provisioner \"shell-local\" {\n    inline = [\"echo ${var.x} >> log\"]\n  }\n";
        let variable = "variable \"x\" {\n  default = \"zero\"\n}\n";
        format!("{variable}{}", null_template(&format!("{one}{}", step("two", two))))
    };
    let dir = template(&text("exit 3; "));
    let dir = dir.path();
    let build = |flag: &str, x: &str| {
        let pipe = Pipe::feed(&dir.join("x.pkrvars.hcl"), format!("x = \"{x}\"\n"));
        let run = ingot(dir, &["build", "-color=false", flag, "-var-file=x.pkrvars.hcl", "."]);
        pipe.end();
        run
    };
    fails(&build("-on-error=keep", "one"), &["goes on at provisioner 2 of 2"]);
    write(dir, &text(""));
    let changed = build("-resume", "two");
    fails(&changed, &["provisioner 1 has run on its machine, and is not what it was", "`inline`"]);
    succeeds(&build("-resume", "one"));
    assert_eq!(log(dir), "one two ");
}

#[test]
fn two_builds_of_one_name_are_not_kept() {
    let build = |name: &str| format!("build {{\n  sources = [\"null.n\"]\n{}}}\n", step(name, ""));
    let source = "source \"null\" \"n\" {\n  communicator = \"none\"\n}\n";
    let dir = template(&format!("{source}{}{}", build("safe"), build("danger")));
    let dir = dir.path();
    for (flag, named) in
        [("-stop-before=danger", "-stop-before"), ("-on-error=keep", "-on-error=keep")]
    {
        let told = format!("{named} cannot tell two builds called `null.n` apart");
        let run = ingot(dir, &["build", "-color=false", flag, "."]);
        fails(&run, &[&told, "give the build block or an inline source a name of its own"]);
        assert_eq!(log(dir), "");
    }
    succeeds(&ingot(dir, &["build", "-color=false", "."]));
}

#[test]
fn a_script_that_a_command_runs_counts() {
    let text = |two: &str| {
        let one = "  provisioner \"shell-local\" {\n    command = \"./x.sh\"\n  }\n";
        null_template(&format!("{one}{}", step("two", two)))
    };
    let dir = template(&text("exit 3; "));
    let dir = dir.path();
    let script = dir.join("x.sh");
    let put = |text: &str| std::fs::write(&script, format!("#!/bin/sh\n{text} >> log\n")).unwrap();
    put("echo one");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    fails(&ingot(dir, KEEP), &["goes on at provisioner 2 of 2"]);
    write(dir, &text(""));
    put("echo other");
    let told = "provisioner 1 has run on its machine, and is not what it was";
    fails(&ingot(dir, RESUME), &[told, "the file ./x.sh"]);
    put("echo one");
    succeeds(&ingot(dir, RESUME));
    assert_eq!(log(dir), "one two ");
}

#[test]
fn times_and_random_values_are_no_change() {
    let source = "content = \"${timestamp()} ${uuidv4()} ${local.t}\"";
    let text = |script: &str| {
        format!("locals {{\n  t = timestamp()\n}}\n{}", file_template(source, script))
    };
    let dir = template(&text("exit 5"));
    let dir = dir.path();
    fails(&ingot(dir, KEEP), &["What the builder made is kept"]);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    write(dir, &text("echo processed >> log"));
    let done = ingot(dir, RESUME);
    succeeds(&done);
    assert_eq!(log(dir), "processed ");
    let told = said(&done);
    assert!(!told.contains("the source: "), "{told}");
}

#[test]
fn files_of_the_source_and_of_steps_count() {
    require!(docker());
    let text = |last: &str| {
        let file = |source: &str, to: &str| {
            format!(
                "  provisioner \"file\" {{\n    source = \"{source}\"\n    destination = \
                 \"/{to}\"\n  }}\n"
            )
        };
        let steps = format!(
            "{}{}  provisioner \"shell\" {{\n    inline = [\"{last}\"]\n  }}\n",
            file("{{ template_dir }}/f", "f"),
            file("d/", "d"),
        );
        let base = docker_template("discard = true", &steps);
        let image = base.lines().find(|line| line.contains("image = ")).unwrap().to_owned();
        let from = image.replace("image = ", "").replace(['"', ' '], "");
        let build = "  build {\n    path = \"Dockerfile\"\n    pull = false\n  }";
        (base.replace(&image, build), format!("FROM {from}\n"))
    };
    let (first, dockerfile) = text("exit 3");
    let dir = template(&first);
    let dir = dir.path();
    let put = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    std::fs::create_dir(dir.join("d")).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", dir.join("d/dangling")).unwrap();
    put("Dockerfile", &dockerfile);
    put("f", "one");
    put("d/x", "one");
    fails(&ingot(dir, KEEP), &["goes on at provisioner 3 of 3"]);
    write(dir, &text("true").0);
    put("f", "two");
    fails(&ingot(dir, RESUME), &["provisioner 1 has run on its machine", "): the file /"]);
    put("f", "one");
    put("d/x", "two");
    fails(&ingot(dir, RESUME), &["provisioner 2 has run on its machine", "the file d/x"]);
    put("d/x", "one");
    put("Dockerfile", &format!("{dockerfile}# changed\n"));
    fails(
        &ingot(dir, RESUME),
        &["its machine was made with other contents of Dockerfile", "the source: the file"],
    );
    put("Dockerfile", &dockerfile);
    succeeds(&ingot(dir, RESUME));
}

#[test]
fn an_image_that_is_gone_is_not_published_as_made() {
    require!(docker());
    let text = |script: &str| {
        let step =
            format!("  post-processor \"shell-local\" {{\n    inline = [\"{script}\"]\n  }}");
        docker_template("commit = true", &step)
    };
    let dir = template(&text("exit 5"));
    let dir = dir.path();
    let failed = ingot(dir, KEEP);
    fails(&failed, &["What the builder made is kept"]);
    let image =
        failed.stdout.lines().find_map(|line| Some(line.split_once("Image ID: ")?.1.trim()));
    let image = image.unwrap_or_else(|| panic!("no image: {}", failed.stdout));
    output_of("docker", &["rmi", "-f", image]);
    write(dir, &text("true"));
    fails(
        &ingot(dir, RESUME),
        &[&format!("docker-image {image} is gone, which the builder created")],
    );
    succeeds(&ingot(dir, &["cleanup", "-kept"]));
}

#[test]
fn what_an_earlier_build_gave_the_user_stays() {
    let content = "content = \"abc\"";
    let dir = template(&file_template(content, "true"));
    let dir = dir.path();
    succeeds(&ingot(dir, KEEP));
    let there = || dir.join("out/f.txt").exists();
    let again = |text: &str| {
        write(dir, text);
        let flags = ["build", "-color=false", "-only-post-processors", "-on-error=cleanup", "."];
        ingot(dir, &flags)
    };
    let failed = again(&file_template(content, "exit 5"));
    fails(&failed, &["Post-processor failed"]);
    assert!(there() && !said(&failed).contains("Removing what"), "{}", said(&failed));
    let options = "output = \"f.tar.gz\"\n    keep_input_artifact = false";
    let dropping = file_template(content, "true").replace("\"shell-local\"", "\"compress\"");
    let dropping = dropping.replace("inline = [\"true\"]", options);
    let done = again(&dropping);
    succeeds(&done);
    assert!(
        there() && done.stdout.contains("Leaving what an earlier build made"),
        "{}",
        done.stdout
    );
    succeeds(&ingot(dir, &["cleanup", "-kept"]));
    assert!(there());
}

#[test]
fn records_that_cannot_be_read_are_reported() {
    let dir = template(&null_template(&step("one", "exit 3; ")));
    let dir = dir.path();
    fails(&ingot(dir, KEEP), &["The progress of this build is kept"]);
    let record = kept(dir)[0].join("record.json");
    let whole = std::fs::read_to_string(&record).unwrap();
    let other = whole.replacen("\"format\":3", "\"format\":99", 1);
    assert_ne!(whole, other);
    let all = &["cleanup", "-list"];
    let shown = record.parent().unwrap().display().to_string();
    for text in [&whole[..whole.len() / 2], &other, ""] {
        std::fs::write(&record, text).unwrap();
        let listed = format!("What is kept in {shown} cannot be read");
        fails(&ingot(dir, all), &[&listed, "help: what it keeps may still be there"]);
        fails(&ingot(dir, RESUME), &["what is kept cannot be read, and may be of this", &shown]);
    }
    std::fs::remove_file(&record).unwrap();
    std::fs::create_dir(&record).unwrap();
    let listed = ingot(dir, &["cleanup", "-list", "-json"]);
    fails(&listed, &[]);
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(listed["unreadable"][0]["path"], shown, "{listed}");
}

#[test]
fn what_an_earlier_version_kept_is_protected_and_removed() {
    require!(docker());
    let step = "  provisioner \"shell\" {\n    inline = [\"exit 3\"]\n  }\n";
    let dir = template(&docker_template("discard = true", step));
    let dir = dir.path();
    let failed = ingot(dir, KEEP);
    fails(&failed, &["The machine is kept"]);
    let container = container_in(&failed.stdout);
    make_old(dir);
    let cleaned = ingot(dir, &["cleanup"]);
    succeeds(&cleaned);
    assert!(cleaned.stdout.contains("What is kept goes with -kept."), "{}", said(&cleaned));
    let help = "`ingot cleanup -kept` removes what is kept; then build without -resume";
    fails(
        &ingot(dir, RESUME),
        &["`docker.d` cannot go on: another version of Ingot kept it", help],
    );
    assert!(exists(&container));
    succeeds(&ingot(dir, &["cleanup", "-kept"]));
    assert!(!exists(&container));
    assert_eq!(kept(dir).len(), 0);
}

#[test]
fn post_processors_run_on_what_an_earlier_version_kept() {
    let content = "content = \"abc\"";
    let dir = template(&file_template(content, "exit 5"));
    let dir = dir.path();
    fails(&ingot(dir, KEEP), &["What the builder made is kept"]);
    make_old(dir);
    write(dir, &file_template(content, "echo processed >> log"));
    let help = "-only-post-processors runs the post-processors on the artifact";
    fails(&ingot(dir, RESUME), &["`file.f` cannot go on: another version of Ingot kept it", help]);
    succeeds(&ingot(dir, &["build", "-color=false", "-only-post-processors", "."]));
    assert_eq!(log(dir), "processed ");
}

#[test]
fn an_artifact_that_cannot_be_removed_is_an_error_in_the_document() {
    let dir = template(&file_template("content = \"abc\"", "exit 5"));
    let dir = dir.path();
    fails(&ingot(dir, KEEP), &["What the builder made is kept"]);
    let record = kept(dir)[0].join("record.json");
    let text = std::fs::read_to_string(&record).unwrap();
    // As if a plugin's program had made it.
    std::fs::write(&record, text.replace("\"foreign\":false", "\"foreign\":true")).unwrap();
    let removed = ingot(dir, &["cleanup", "-kept", "-json"]);
    fails(&removed, &["\"error\": \"only the plugin that made it could delete this: "]);
    assert!(removed.stdout.starts_with('{'), "{}", removed.stdout);
}

#[test]
fn records_of_others_are_not_trusted() {
    let dir = template(&file_template("content = \"abc\"", "exit 5"));
    let dir = dir.path();
    fails(&ingot(dir, KEEP), &["What the builder made is kept"]);
    let made = dir.join("out/f.txt");
    let mode = |mode| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(dir.join("state/kept"), permissions).unwrap();
    };
    mode(0o777);
    let removing = &["cleanup", "-kept"];
    fails(&ingot(dir, removing), &["can be written by other users"]);
    fails(&ingot(dir, RESUME), &["can be written by other users"]);
    assert!(made.exists());
    mode(0o700);
    let elsewhere = dir.join("elsewhere");
    let record = kept(dir).remove(0);
    std::fs::rename(&record, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &record).unwrap();
    fails(&ingot(dir, removing), &["is a link"]);
    assert!(made.exists() && elsewhere.join("record.json").exists());
    assert!(!elsewhere.join("lock").exists());
    std::fs::remove_file(&record).unwrap();
    std::fs::rename(&elsewhere, &record).unwrap();
    succeeds(&ingot(dir, removing));
    assert!(!made.exists());
}

#[test]
fn what_a_run_has_is_not_removed_and_that_is_a_failure() {
    let dir = template(&null_template(&step("one", "exit 3; ")));
    let dir = dir.path();
    fails(&ingot(dir, KEEP), &[]);
    let lock = FileLock::try_take(&kept(dir)[0].join("lock")).unwrap().unwrap();
    fails(
        &ingot(dir, &["cleanup", "-kept"]),
        &["Could not remove what is kept of 'null.n'", "a run goes on with it"],
    );
    succeeds(&ingot(dir, &["cleanup", "-list", "-kept"]));
    drop(lock);
    succeeds(&ingot(dir, &["cleanup", "-kept"]));
    assert_eq!(kept(dir).len(), 0);
}

#[test]
fn builds_that_were_never_made_are_made_and_finished_ones_are_not() {
    let text = |wait: &str| {
        let source =
            |name: &str| format!("source \"null\" \"{name}\" {{\n  communicator = \"none\"\n}}\n");
        format!(
            "{}{}{}build {{\n  sources = [\"null.a\", \"null.b\", \"null.c\"]\n  provisioner \
             \"shell-local\" {{\n    only = [\"null.b\"]\n    inline = [\"{wait}\"]\n  }}\n  \
             provisioner \"shell-local\" {{\n    inline = [\"echo ${{source.name}} >> log\"]\n  \
             }}\n}}\n",
            source("a"),
            source("b"),
            source("c"),
        )
    };
    let args = ["-color=false", "-parallel-builds=1", "-on-error=keep"];
    let mut run = Running::start(&text("echo asleep; sleep 300"), &args);
    run.wait_for("null.b: asleep");
    run.signal("INT");
    assert_eq!(run.end(), Some(1));
    let dir = run.dir.path();
    assert_eq!(log(dir), "a ");
    write(dir, &text("true"));
    let done = ingot(dir, RESUME);
    succeeds(&done);
    assert_eq!(log(dir).split_whitespace().collect::<Vec<_>>().len(), 3, "{}", said(&done));
    assert!(
        done.stdout.contains("Nothing is kept of 'null.a': it is not built."),
        "{}",
        done.stdout
    );
    fails(&ingot(dir, RESUME), &["nothing is kept of a build of this template"]);
}

#[test]
fn a_build_that_was_killed_beside_one_that_is_kept_is_made() {
    let text = |a: &str, b: &str| {
        format!(
            "source \"null\" \"a\" {{\n  communicator = \"none\"\n}}\nsource \"null\" \"b\" {{\n  \
             communicator = \"none\"\n}}\nbuild {{\n  sources = [\"null.a\", \"null.b\"]\n  \
             provisioner \"shell-local\" {{\n    only = [\"null.a\"]\n    inline = \
             [\"{a}\"]\n  }}\n  provisioner \"shell-local\" {{\n    only = [\"null.b\"]\n    inline = \
             [\"{b}\"]\n  }}\n}}\n"
        )
    };
    let args = ["-color=false", "-on-error=keep"];
    let mut run = Running::start(&text("exit 3", "echo asleep; sleep 300"), &args);
    run.wait_for("null.b: asleep");
    run.wait_for("goes on at provisioner 1 of 1");
    run.signal("KILL");
    assert_eq!(run.end(), None);
    let dir = run.dir.path();
    write(dir, &text("echo a >> log", "echo b >> log"));
    let done = ingot(dir, RESUME);
    succeeds(&done);
    assert!(done.stdout.contains("'null.b' was not finished by the run"), "{}", done.stdout);
    assert_eq!(log(dir).len(), 4, "{}", log(dir));
}

#[test]
fn what_is_older_than_a_finished_build_is_not_resumed() {
    let content = "content = \"abc\"";
    for finishing in [RESUME, &["build", "-color=false", "."]] {
        let dir = template(&file_template(content, "exit 5"));
        let dir = dir.path();
        fails(&ingot(dir, KEEP), &[]);
        fails(&ingot(dir, KEEP), &[]);
        assert_eq!(kept(dir).len(), 2);
        write(dir, &file_template(content, "true"));
        succeeds(&ingot(dir, finishing));
        let stale = ingot(dir, RESUME);
        let told = "is not resumed: a build of it has finished since";
        fails(&stale, &[told, "nothing is kept of a build"]);
        // What the finished build made is at the same place.
        succeeds(&ingot(dir, &["cleanup", "-kept"]));
        assert!(dir.join("out/f.txt").exists());
    }
}

#[test]
fn provisioners_that_are_skipped_are_reported() {
    let steps = |two: &str| {
        null_template(&format!("{}{}{}", step("one", ""), step("two", two), step("three", "")))
    };
    let dir = template(&steps("exit 3; "));
    let dir = dir.path();
    fails(&ingot(dir, KEEP), &[]);
    let skipping = ingot(dir, &["build", "-color=false", "-resume", "-start-at=three", "."]);
    succeeds(&skipping);
    let told = "-start-at skips what has not succeeded on its machine:\n  provisioner 2, shell-local \
                \"two\"\n";
    assert!(said(&skipping).contains(told), "{}", said(&skipping));
    assert_eq!(log(dir), "one three ");
}

#[test]
fn what_was_made_is_named_if_no_record_can_be_written() {
    let dir = template(&file_template("content = \"abc\"", "exit 5"));
    let dir = dir.path();
    // No directory takes the place of a file.
    std::fs::create_dir(dir.join("state")).unwrap();
    std::fs::write(dir.join("state/kept"), "").unwrap();
    let run = ingot(dir, KEEP);
    fails(&run, &["What is left could not be written down for -resume: ", "by hand", "out/f.txt"]);
    assert!(dir.join("out/f.txt").exists(), "{}", said(&run));
    assert!(!said(&run).contains("`ingot cleanup` removes"), "{}", said(&run));
    // Nothing is left of this one.
    write(dir, &null_template(&step("one", "exit 3; ")));
    let run = ingot(dir, KEEP);
    fails(&run, &["Nothing could be written down for -resume: "]);
    assert!(!said(&run).contains("`ingot cleanup` removes"), "{}", said(&run));
}

#[test]
fn a_record_that_cannot_be_written_again_is_reported_as_still_there() {
    let dir = template(&null_template(&step("one", "exit 3; ")));
    fails(&ingot(dir.path(), KEEP), &[]);
    write(dir.path(), &null_template(&step("one", "echo asleep; sleep 2; exit 3; ")));
    let child = Running::spawn(dir.path(), &["-color=false", "-resume"]);
    let mut run = Running { child, dir };
    run.wait_for("null.n: asleep");
    let dir = run.dir.path().to_owned();
    // No file takes the place of a directory.
    let (record, aside) = (kept(&dir)[0].join("record.json"), dir.join("aside.json"));
    std::fs::rename(&record, &aside).unwrap();
    std::fs::create_dir(&record).unwrap();
    assert_eq!(run.end(), Some(1));
    let said = run.said();
    assert!(said.contains("What is new could not be written down for -resume: "), "{said}");
    assert!(said.contains("`ingot cleanup -kept` removes it and what is left."), "{said}");
    std::fs::remove_dir(&record).unwrap();
    std::fs::rename(&aside, &record).unwrap();
    succeeds(&ingot(&dir, &["cleanup", "-kept"]));
    assert_eq!(kept(&dir).len(), 0);
}

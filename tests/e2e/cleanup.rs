//! `ingot cleanup`, and what builds do about what others left.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::running::{DISCARD, Running, SLEEP, container_in, exists, states};
use ingot_test_support::{
    BASE, Run, docker, docker_template, eventually, ingot, ingot_command, left_in_state,
    null_template, output_of, require, template,
};

pub(crate) fn cleanup(dir: &Path, args: &[&str]) -> Run {
    ingot(dir, &[&["cleanup"], args].concat())
}

/// What `-json` lists, one line each: status, kind, build.
pub(crate) fn listed(run: &Run) -> Vec<String> {
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let runs = report["runs"].as_array().unwrap().iter();
    let things = runs.flat_map(|run| run["things"].as_array().unwrap());
    let text = |thing: &Value, name: &str| thing[name].as_str().unwrap_or("-").to_owned();
    things
        .map(|thing| ["status", "kind", "build"].map(|name| text(thing, name)).join(" "))
        .collect()
}

#[test]
fn what_killed_runs_left_is_listed_and_removed_and_living_runs_are_left_alone() {
    require!(docker());
    let mut dead = Running::start(&docker_template(DISCARD, SLEEP), &["-color=false"]);
    let dir = dead.dir.path().to_owned();
    dead.wait_for("==> docker.d: asleep");
    let left = dead.container();
    dead.signal("KILL");
    assert_eq!(dead.end(), None);
    // In the same directory, so that its journal is where the dead run's is.
    let child = Running::spawn(&dir, &["-color=false"]);
    let mut living = Running { child, dir: dead.dir };
    living.wait_for("==> docker.d: asleep");
    // The new build has removed it, as it is on this machine.
    assert!(!exists(&left), "{}", living.said());
    let kept = living.container();
    let run = cleanup(&dir, &[]);
    assert_eq!((run.code, run.stdout.trim()), (Some(0), "Nothing is left of interrupted runs."));
    assert!(exists(&kept), "the container of a run that lives is gone");

    living.signal("KILL");
    assert_eq!(living.end(), None);
    let list = cleanup(&dir, &["-list"]);
    assert_eq!(list.code, Some(0), "{}", list.stdout);
    assert!(list.stdout.starts_with(&dir.display().to_string()), "{}", list.stdout);
    assert!(list.stdout.contains("  docker-container ingot-"), "{}", list.stdout);
    assert!(list.stdout.contains(", docker.d\n"), "{}", list.stdout);
    assert!(exists(&kept), "-list has removed something");
    let json = cleanup(&dir, &["-dry-run", "-json"]);
    assert_eq!(listed(&json), ["left docker-container docker.d"]);
    let lines = cleanup(&dir, &["-dry-run", "-machine-readable"]);
    assert!(lines.stdout.contains(",docker.d,leftover,left,docker-container,ingot-"));

    // Not the one that is asked for.
    let other = cleanup(&dir, &["-run", "00000000-0000-0000-0000-000000000000"]);
    assert_eq!((other.code, exists(&kept)), (Some(0), true), "{}", other.stdout);
    let newer = cleanup(&dir, &["-older-than=1h"]);
    assert_eq!((newer.code, exists(&kept)), (Some(0), true), "{}", newer.stdout);

    let run = cleanup(&dir, &[]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(run.stdout.contains("  removed docker-container ingot-"), "{}", run.stdout);
    assert!(run.stdout.ends_with("Removed 1 thing.\n"), "{}", run.stdout);
    assert!(!exists(&kept));
    assert_eq!(states(&dir), 0);
}

#[test]
fn one_build_left_on_purpose_leaves_the_others_in_the_journal() {
    require!(docker());
    let text = docker_template(
        DISCARD,
        "  provisioner \"shell\" {\n    only = [\"docker.failing\"]\n    inline = [\"exit 4\"]\n  \
         }\n  provisioner \"shell\" {\n    inline = [\"echo asleep; sleep 300\"]\n  }",
    );
    let text = text.replace(
        "sources = [\"source.docker.d\"]",
        "sources = [\"source.docker.d\"]\n  source \"source.docker.d\" {\n    name = \"failing\"\n  }",
    );
    let mut run = Running::start(&text, &["-color=false", "-on-error=abort"]);
    run.wait_for("Build 'docker.failing' errored");
    run.wait_for("==> docker.d: asleep");
    let said = run.said();
    let container = |name: &str| {
        let prefix = format!("==> {name}: ");
        let lines: Vec<_> = said.lines().filter(|line| line.starts_with(&prefix)).collect();
        container_in(&lines.join("\n"))
    };
    let (on_purpose, left) = (container("docker.failing"), container("docker.d"));
    run.signal("KILL");
    assert_eq!(run.end(), None);
    let cleaned = cleanup(run.dir.path(), &["-json"]);
    assert_eq!(listed(&cleaned), ["removed docker-container docker.d"], "{}", cleaned.stdout);
    assert!(!exists(&left));
    assert!(exists(&on_purpose), "it was the user's");
    output_of("docker", &["rm", "-f", &on_purpose]);
}

#[test]
fn an_image_that_was_being_committed_is_removed() {
    const IMAGE: &str = "docker-image";
    require!(docker());
    // Enough that the commit takes a while.
    let steps = "  provisioner \"shell\" {\n    inline = [\"dd if=/dev/urandom of=/big bs=1M \
                 count=150 2>&1\"]\n  }";
    let mut run = Running::start(&docker_template("commit = true", steps), &["-color=false"]);
    run.wait_for("==> docker.d: Committing the container");
    let container = run.container();
    // The image is recorded after that message and before the commit is requested.
    let journals = run.dir.path().join("state");
    let recorded = || {
        let files = std::fs::read_dir(&journals).into_iter().flatten().flatten();
        files.flat_map(|file| std::fs::read_to_string(file.path())).any(|text| text.contains(IMAGE))
    };
    eventually("the image is recorded", recorded);
    run.signal("KILL");
    assert_eq!(run.end(), None);
    let dir = run.dir.path();
    let report: Value = serde_json::from_str(&cleanup(dir, &["-list", "-json"]).stdout).unwrap();
    let image = &report["runs"][0]["things"][0];
    assert_eq!(image["kind"], "docker-image", "{report}");
    let image = image["id"].as_str().unwrap().to_owned();
    assert!(image.starts_with("ingot-unfinished:"), "{image}");
    // The Engine goes on with the commit, which cleanup waits for.
    let cleaned = cleanup(dir, &[]);
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.stdout);
    assert!(cleaned.stdout.contains(&format!("  removed docker-image {image}")));
    assert!(!exists(&container));
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(output_of("docker", &["images", "-q", &image]), "");
}

#[test]
fn a_finished_image_has_no_name_of_ours() {
    require!(docker());
    let base = || output_of("docker", &["images", "-q", "--no-trunc", BASE]);
    let before = base();
    let of_a_name = format!("image = \"{BASE}\"\n  pull = false");
    let of_a_dockerfile = "build {\n    path = \"D\"\n    pull = false\n  }";
    for origin in [of_a_name.as_str(), of_a_dockerfile] {
        let dir = template(&format!(
            "source \"docker\" \"d\" {{\n  commit = true\n  {origin}\n}}\n\
             build {{\n  sources = [\"source.docker.d\"]\n}}\n"
        ));
        // Another one in each run of the test.
        let dockerfile = format!("FROM {BASE}\nENV AT={}\n", dir.path().display());
        std::fs::write(dir.path().join("D"), dockerfile).unwrap();
        let run = ingot(dir.path(), &["build", "-color=false", "."]);
        assert_eq!(run.code, Some(0), "{}", run.stdout);
        let id = run.stdout.lines().find_map(|line| line.split_once("Image ID: ")).unwrap().1;
        let tags = output_of("docker", &["inspect", "-f", "{{.RepoTags}}", id]);
        assert_eq!(tags, "[]", "{}", run.stdout);
        assert!(!run.stdout.contains("ingot-unfinished"), "{}", run.stdout);
        assert_eq!((base(), states(dir.path())), (before.clone(), 0));
        output_of("docker", &["rmi", id]);
    }
}

#[test]
fn an_image_is_finished_though_its_base_lost_its_name_meanwhile() {
    require!(docker());
    // Of its names the Engine shows the first; another build or person may take that off.
    let name = format!("a-name-of-its-base:{}", std::process::id());
    output_of("docker", &["tag", BASE, &name]);
    let step =
        format!("  provisioner \"shell-local\" {{\n    inline = [\"docker rmi {name}\"]\n  }}\n");
    let dir = template(&docker_template("commit = true", &step).replace(BASE, &name));
    let run = ingot(dir.path(), &["build", "-color=false", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let id = run.stdout.lines().find_map(|line| line.split_once("Image ID: ")).unwrap().1;
    let tags = output_of("docker", &["inspect", "-f", "{{.RepoTags}}", id]);
    assert_eq!((tags.as_str(), states(dir.path())), ("[]", 0), "{}", run.stdout);
    assert_eq!(output_of("docker", &["images", "-q", &name]), "");
    output_of("docker", &["rmi", id]);
}

/// A run that compresses more into `out` than it can before it is stopped, and has begun.
fn compressing() -> Running {
    let steps = "  post-processor \"artifice\" {\n    files = [\"big\"]\n  }\n  \
                 post-processor \"compress\" {\n    output = \"out/big.tar.gz\"\n  \
                 compression_level = 9\n  }";
    let steps = format!("  post-processors {{\n{steps}\n  }}");
    let dir = template(&null_template(&steps));
    let big = std::fs::File::create(dir.path().join("big")).unwrap();
    big.set_len(4 << 30).unwrap();
    let child = Running::spawn(dir.path(), &["-color=false"]);
    let run = Running { child, dir };
    eventually("it compresses", || if files_in_out(&run) > 0 { Ok(()) } else { Err(run.said()) });
    run
}

fn files_in_out(run: &Running) -> usize {
    std::fs::read_dir(run.dir.path().join("out")).map_or(0, Iterator::count)
}

#[test]
fn an_archive_that_was_being_written_is_removed() {
    let mut run = compressing();
    run.signal("KILL");
    assert_eq!(run.end(), None, "{}", run.said());
    assert_eq!(files_in_out(&run), 1);
    let cleaned = cleanup(run.dir.path(), &["-json"]);
    assert_eq!(listed(&cleaned), ["removed unfinished-file null.n"], "{}", cleaned.stdout);
    assert_eq!(files_in_out(&run), 0);
}

#[test]
fn a_cancelled_build_removes_the_archive_that_it_was_writing() {
    let mut run = compressing();
    run.signal("INT");
    assert_eq!(run.end(), Some(1), "{}", run.said());
    let said = run.said();
    assert!(said.ends_with("Cleanly cancelled builds after being interrupted.\n"), "{said}");
    // The directory was created for the archive.
    assert!(!run.dir.path().join("out").exists(), "{said}");
    // What was to be packed is kept for -resume; the journal is gone.
    let left = left_in_state(&run.dir.path().join("state"), &["logs", "kept"]);
    assert_eq!(left, [""; 0], "{said}");
}

/// A directory with the journal of a run that is dead, which left a container on an Engine.
pub(crate) fn left_on(endpoint: &str) -> tempfile::TempDir {
    let dir = template(&null_template(""));
    let resource = json!({
        "kind": "docker-container",
        "id": "ingot-of-a-test",
        "attributes": { "endpoint": endpoint },
    });
    let lines = [
        json!({ "run": "7d1f", "template": "/far/t.pkr.hcl", "started": 1_700_000_000 }),
        json!({ "record": 1, "resource": resource, "build": "docker.d", "at": 1_700_000_001 }),
    ];
    std::fs::create_dir(dir.path().join("state")).unwrap();
    let text = lines.map(|line| format!("{line}\n")).concat();
    // Nobody has this process number.
    std::fs::write(dir.path().join("state/0-1-a.journal"), text).unwrap();
    dir
}

#[test]
fn what_cannot_be_removed_is_an_error_and_stays() {
    let dir = left_on("unix:///nowhere/docker.sock");
    let run = cleanup(dir.path(), &[]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    for part in [
        "/far/t.pkr.hcl (run 7d1f, started 2023-11-14T22:13:20Z):",
        "could not remove docker-container ingot-of-a-test (unix:///nowhere/docker.sock), since \
         2023-11-14T22:13:21Z, docker.d: cannot reach the Docker Engine",
        "could not remove 1 thing",
    ] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    let json = cleanup(dir.path(), &["-json"]);
    assert_eq!(
        (json.code, listed(&json)),
        (Some(1), vec!["failed docker-container docker.d".to_owned()])
    );
    // It does not fail a build.
    let build = ingot(dir.path(), &["build", "."]);
    assert_eq!(build.code, Some(0), "{}", build.stdout);
    assert!(build.stdout.contains("`ingot cleanup` tries again.\n"), "{}", build.stdout);
    assert_eq!(states(dir.path()), 1);
}

#[test]
fn what_nothing_can_remove_can_be_forgotten() {
    let dir = left_on("unix:///nowhere/docker.sock");
    let journal = dir.path().join("state/0-1-a.journal");
    let text = std::fs::read_to_string(&journal).unwrap().replace("docker-container", "new-thing");
    std::fs::write(&journal, &text).unwrap();
    let hint = "a newer Ingot, or one with its builder, can remove it; `ingot cleanup -forget \
                -run=7d1f` gives it up";
    let build = ingot(dir.path(), &["build", "."]).stdout.replace("A newer", "a newer");
    assert!(build.contains(&format!("nothing here can remove things of this kind\n{hint}.\n")));
    let run = cleanup(dir.path(), &[]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains(&format!("this kind\n    help: {hint}\n")), "{}", run.stdout);
    let unnamed = cleanup(dir.path(), &["-forget"]);
    assert_eq!(unnamed.code, Some(1), "{}", unnamed.stdout);
    let list = cleanup(dir.path(), &["-forget", "-run=7d1f", "-list"]);
    assert_eq!((list.code, journal.exists()), (Some(0), true), "{}", list.stdout);
    let summary = "Left: 1 thing. Without -list what is recorded of it is forgotten.\n";
    assert!(list.stdout.contains(summary), "{}", list.stdout);
    let other = cleanup(dir.path(), &["-forget", "-run=7d1e"]);
    assert_eq!((other.code, journal.exists()), (Some(0), true), "{}", other.stdout);
    let forgot = cleanup(dir.path(), &["-forget", "-run=7d1f"]);
    assert_eq!((forgot.code, journal.exists()), (Some(0), false), "{}", forgot.stdout);
    assert!(forgot.stdout.contains("  forgot new-thing ingot-of-a-test, "), "{}", forgot.stdout);
    assert!(forgot.stdout.contains("Forgot 1 thing."), "{}", forgot.stdout);
    for (age, stays) in [("-older-than=999999h", true), ("-older-than=24h", false)] {
        std::fs::write(&journal, &text).unwrap();
        let forgot = cleanup(dir.path(), &["-forget", age]);
        assert_eq!((forgot.code, journal.exists()), (Some(0), stays), "{}", forgot.stdout);
    }
}

#[test]
fn what_was_kept_meanwhile_goes_if_it_is_chosen() {
    let step = "  provisioner \"shell-local\" {\n    inline = [\"exit 3\"]\n  }";
    let dir = template(&null_template(step));
    let dir = dir.path();
    assert_eq!(ingot(dir, &["build", "-on-error=keep", "."]).code, Some(1));
    let all = dir.join("state/kept");
    let first = std::fs::read_dir(&all).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read(first.join("record.json")).unwrap();
    std::fs::remove_dir_all(&first).unwrap();
    let mut build: Value = serde_json::from_slice(&text).unwrap();
    let mut write = |name: &str, kept_at: u64, left: Value| {
        build["kept_at"] = kept_at.into();
        build["left"] = left;
        std::fs::create_dir_all(all.join(name)).unwrap();
        std::fs::write(all.join(name).join("record.json"), build.to_string()).unwrap();
    };
    let sockets = tempfile::tempdir().unwrap();
    let socket = sockets.path().join("docker.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    let endpoint = json!({ "endpoint": format!("unix://{}", socket.display()) });
    write("one", 1, json!([{ "kind": "docker-container", "id": "c", "attributes": endpoint }]));
    write("two", 2, json!([]));
    write("three", 3, json!([]));
    let mut cleanup = ingot_command();
    cleanup
        .args(["cleanup", "-kept", "-older-than=24h"])
        .current_dir(dir)
        .env("INGOT_STATE_DIR", dir.join("state"));
    let cleanup = cleanup.stdout(Stdio::piped()).spawn().unwrap();
    let (connection, _) = eventually("it asks the Engine", || listener.accept());
    // While it is at work on the first one, runs go on with the others and keep something.
    let (file, new) = (dir.join("left"), dir.join("new"));
    for path in [&file, &new] {
        std::fs::write(path, "").unwrap();
    }
    write("two", 2, json!([{ "kind": "unfinished-file", "id": file }]));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let now = u64::try_from(now.as_millis()).unwrap();
    write("three", now, json!([{ "kind": "unfinished-file", "id": new }]));
    std::fs::remove_file(&socket).unwrap();
    drop((listener, connection));
    let output = cleanup.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!file.exists() && new.exists(), "{output:?}");
    let there = ["one", "two", "three"].map(|name| all.join(name).exists());
    assert_eq!(there, [true, false, true], "{output:?}");
}

#[test]
fn what_cannot_be_read_of_journals_is_named() {
    let dir = left_on("unix:///nowhere/docker.sock");
    let state = dir.path().join("state");
    let journal = state.join("0-1-a.journal");
    let whole = std::fs::read(&journal).unwrap();
    let listed_as = |text: &[u8]| {
        std::fs::write(&journal, [&whole[..], text].concat()).unwrap();
        let run = cleanup(dir.path(), &["-list"]);
        assert!(run.stdout.contains("  docker-container ingot-of-a-test "), "{}", run.stdout);
        (run.code, run.stdout)
    };
    // Of the last line, the end may be missing.
    assert_eq!(listed_as(b"{\"record\":2,\"resou\xff").0, Some(0));
    let (code, said) =
        listed_as(b"{\"record\":2,\"resource\":{\"kind\":\"image\",\"id\":\"\xff\"}}\n");
    let told = "0-1-a.journal cannot be read: line 3 is not what Ingot writes\nhelp: what its run \
                created may still be there";
    assert!(code == Some(1) && said.contains(told), "{said}");
    // What else cannot be read has a name, too.
    std::fs::remove_file(&journal).unwrap();
    std::fs::create_dir(state.join("0-2-b.journal")).unwrap();
    let run = cleanup(dir.path(), &[]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("0-2-b.journal cannot be read: it is not a regular file"));
    assert!(!run.stdout.contains("Nothing is left"), "{}", run.stdout);
    let json: Value = serde_json::from_str(&cleanup(dir.path(), &["-json"]).stdout).unwrap();
    assert_eq!(json["unreadable"].as_array().unwrap().len(), 1, "{json}");
    let build = ingot(dir.path(), &["build", "."]);
    assert_eq!(build.code, Some(0), "{}", build.stdout);
    assert!(build.stdout.contains("what interrupted runs left is not all known: "));
}

#[test]
fn a_build_that_waits_for_an_engine_can_be_interrupted() {
    let sockets = tempfile::tempdir().unwrap();
    let socket = sockets.path().join("docker.sock");
    // It takes connections and never answers.
    let _hanging = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let dir = left_on(&format!("unix://{}", socket.display()));
    let child = Running::spawn(dir.path(), &["-color=false"]);
    let mut run = Running { child, dir };
    run.wait_for("Removing what interrupted runs left...");
    let interrupted = Instant::now();
    run.signal("TERM");
    assert_eq!(run.end(), Some(1), "{}", run.said());
    // It would wait for twenty seconds.
    assert!(interrupted.elapsed() < Duration::from_secs(18), "{}", run.said());
    assert!(run.said().contains("Cancelling build after receiving terminated"), "{}", run.said());
    assert_eq!(states(run.dir.path()), 1);
}

#[test]
fn a_build_mentions_what_is_elsewhere_and_does_not_touch_it() {
    // Nobody answers there, and nobody is asked.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let dir = left_on(&format!("tcp://{}", listener.local_addr().unwrap()));
    let build = ingot(dir.path(), &["build", "."]);
    assert_eq!(build.code, Some(0), "{}", build.stdout);
    let warning = "Warning: a run of /far/t.pkr.hcl that started 2023-11-14T22:13:20Z was \
                   interrupted and left docker-container ingot-of-a-test (tcp://127.0.0.1:";
    assert!(build.stdout.contains(warning), "{}", build.stdout);
    assert!(build.stdout.contains("`ingot cleanup` removes that."), "{}", build.stdout);
    assert!(listener.accept().is_err(), "the build has asked the Engine");
    assert_eq!(states(dir.path()), 1);
}

#[test]
fn tags_alone_are_no_reason_to_remove_something() {
    let dir = template("");
    let run = cleanup(dir.path(), &["-aws-region", "eu-west-1"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("-older-than=24h"), "{}", run.stdout);
}

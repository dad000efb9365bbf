//! What is run again, and what is not.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::Value;

use super::cached::{Cached, UPLOAD, image_in, shell, steps, three_steps};
use super::image::{config, files};
use ingot_test_support::{BASE, docker, docker_template, output_of, require};

#[test]
fn an_unchanged_build_runs_nothing() {
    require!(docker());
    let mut cached = three_steps();
    let first = cached.build(&["-cache"]);
    assert_eq!(steps(&first), (3, 0), "{first}");
    let log = cached.inside("cat /log");
    let again = cached.build(&["-cache", "-report=report.json"]);
    assert_eq!(steps(&again), (0, 3), "{again}");
    for line in ["shell (1 of 3)", "file (2 of 3)", "shell (3 of 3)"] {
        let line = format!("==> docker.d: Using cached state for {line}\n");
        assert!(again.contains(&line), "{again}");
    }
    assert!(!again.contains("Starting docker container"), "{again}");
    assert_eq!(cached.inside("cat /log"), log);
    // It is the image of the first build, which no container was needed for.
    assert_eq!(cached.images[0], cached.images[1]);
    // Where somebody removed that, it is made again of the states.
    cached.forget_image();
    cached.images.clear();
    let again = cached.build(&["-cache", "-report=report.json"]);
    assert_eq!(steps(&again), (0, 3), "{again}");
    assert_eq!(cached.inside("cat /log"), log);
    let new = cached.image().to_owned();
    let report: Value =
        serde_json::from_slice(&std::fs::read(cached.path("report.json")).unwrap()).unwrap();
    assert!(report.to_string().contains("\"skipped\""), "{report}");
    // The image is what a build without the cache makes.
    let uncached = cached.build(&["-no-cache", "-cache"]);
    assert_eq!(steps(&uncached), (3, 0), "{uncached}");
    assert_eq!(config(&new), config(cached.image()));
    let about =
        |image: &str| output_of("docker", &["inspect", "-f", "{{.Author}}/{{.Comment}}", image]);
    assert_eq!(about(&new), about(cached.image()));
    let without_log = |image: &str| {
        files(image).lines().filter(|line| !line.ends_with(" /log")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(without_log(&new), without_log(cached.image()));
    // For programs, and what the environment says.
    let lines = ingot_test_support::ingot_with(
        cached.dir.path(),
        &["build", "-machine-readable", "."],
        &[("INGOT_CACHE", "1")],
    );
    assert_eq!(lines.code, Some(0), "{}", lines.stdout);
    cached.images.extend(image_in(&lines.stdout.replace("%!(PACKER_COMMA)", ",")));
    assert!(lines.stdout.contains(",docker.d,step-cache,1,shell,cached,"), "{}", lines.stdout);
    let wrong = ingot_test_support::ingot_with(
        cached.dir.path(),
        &["build", "."],
        &[("INGOT_CACHE", "maybe")],
    );
    assert_eq!(wrong.code, Some(1));
    assert!(
        wrong.stdout.contains("INGOT_CACHE is \"maybe\": write true or false"),
        "{}",
        wrong.stdout
    );
}

#[test]
fn an_image_is_configured_as_without_the_cache() {
    require!(docker());
    let container = output_of("docker", &["create", BASE]);
    let mut commit = vec!["commit"];
    for change in [
        "ENV A=1 PATH=/bin",
        "LABEL from=base",
        "EXPOSE 80",
        "USER 1000",
        "WORKDIR /tmp",
        "ENTRYPOINT [\"/bin/id\"]",
        "CMD [\"-u\"]",
        "HEALTHCHECK CMD true",
    ] {
        commit.extend(["--change", change]);
    }
    commit.push(&container);
    let base = output_of("docker", &commit);
    output_of("docker", &["rm", &container]);
    let log = "  provisioner \"shell\" {\n    inline = [\"id >>/tmp/log\"]\n  }\n";
    let name = format!("ingot-test-configured:{}", std::process::id());
    output_of("docker", &["tag", &base, &name]);
    let run_command = "run_command = [\"-d\", \"-e\", \"C=3\", \"-l\", \"who=me\", \"-h\", \"box\", \
         \"--entrypoint=sleep\", \"--\", \"{{.Image}}\", \"600\"]";
    for (image, options) in [
        (name.as_str(), ""),
        (&name, "changes = [\"ENV B=2\", \"USER 0\", \"CMD []\"]"),
        (&name, run_command),
        (BASE, "changes = [\"ENTRYPOINT []\", \"CMD []\"]"),
    ] {
        let text = docker_template(&format!("commit = true\n  {options}"), log);
        let mut cached = Cached::new(&text.replace(BASE, image));
        cached.build(&["-cache"]);
        cached.forget_image();
        assert_eq!(steps(&cached.build(&["-cache"])), (0, 1), "{options}");
        let with = cached.image().to_owned();
        cached.build(&[]);
        assert_eq!(config(&with), config(cached.image()), "{image} {options}");
    }
    output_of("docker", &["rmi", &name]);
}

#[test]
fn what_changed_and_what_comes_after_it_is_run_again() {
    require!(docker());
    let mut cached = three_steps();
    let explain = ["-cache", "-explain"];
    cached.build(&["-cache"]);
    cached.write("last.sh", "echo changed >>/log");
    let said = cached.build(&explain);
    assert_eq!(steps(&said), (1, 2), "{said}");
    assert!(said.contains("shell (3 of 3) was run and kept: changed: last.sh"), "{said}");
    assert!(cached.inside("cat /log").ends_with("changed"));
    cached.write("up/file", "two");
    let said = cached.build(&explain);
    assert_eq!(steps(&said), (2, 1), "{said}");
    assert!(said.contains("file (2 of 3) was run and kept: changed: up"), "{said}");
    assert_eq!(cached.inside("cat /root/up/up/file || cat /root/up/file"), "two");
    std::fs::set_permissions(cached.path("up/file"), PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(steps(&cached.build(&["-cache"])), (2, 1));
    let said = cached.build(&["-cache", "-explain", "-var", "word=second"]);
    assert_eq!(steps(&said), (3, 0), "{said}");
    assert!(said.contains("shell (1 of 3) was run and kept: changed: option inline"), "{said}");
    assert!(cached.inside("cat /log").starts_with("second "));
    // All earlier states are there still.
    assert_eq!(steps(&cached.build(&["-cache"])), (0, 3));
    // Other options of the builder are another machine.
    let text = std::fs::read_to_string(cached.path("t.pkr.hcl")).unwrap();
    cached.write("t.pkr.hcl", &text.replace("commit = true", "commit = true\n  exec_user = \"0\""));
    assert_eq!(steps(&cached.build(&["-cache"])), (3, 0));
    // Without -cache, nothing is kept, and nothing taken.
    let before = cached.states().len();
    let said = cached.build(&["-explain"]);
    assert_eq!(steps(&said), (3, 0));
    assert!(said.contains("The step cache is off: -cache turns it on"), "{said}");
    assert_eq!(cached.states().len(), before);
}

#[test]
fn what_an_image_does_not_hold_is_not_cached() {
    require!(docker());
    let leaves = |command: &str| {
        let step = format!("  provisioner \"shell\" {{\n    inline = [{command:?}]\n  }}\n");
        Cached::of(&(step + &shell("after")))
    };
    for (command, why) in [
        ("sleep 300 >/dev/null 2>&1 &", "the process `sleep` is still running"),
        ("echo 10.0.0.1 db >>/etc/hosts", "/etc/hosts"),
        ("echo x >/dev/shm/x", "an image does not hold /dev/shm/x"),
        ("echo x >/packer-files/.x", "an image does not hold /packer-files/.x"),
    ] {
        let mut cached = leaves(command);
        let said = cached.build(&["-cache", "-explain"]);
        let line =
            said.lines().find(|line| line.contains("The state after shell (1 of 2) is not kept: "));
        assert!(line.is_some_and(|line| line.contains(why)), "{command}: {said}");
        assert!(said.contains("shell (2 of 2) was run, not cached: a step before it"), "{said}");
        assert_eq!(cached.states().len(), 0, "{command}");
        assert_eq!(steps(&cached.build(&["-cache"])), (2, 0), "{command}");
    }
    // A process that is about to end is waited for.
    let mut cached = leaves("sleep 0.3 >/dev/null 2>&1 &");
    cached.build(&["-cache"]);
    assert_eq!(steps(&cached.build(&["-cache"])), (0, 2));
    for (options, why) in [
        ("volumes = { \"/tmp\" = \"/data\" }", "what is mounted at /data"),
        ("tmpfs = [\"/run\"]", "what is mounted at /run"),
        (
            "run_command = [\"-d\", \"--entrypoint=/bin/sh\", \"--\", \"{{.Image}}\", \"-c\", \"sleep 600\"]",
            "its main program `sh`",
        ),
    ] {
        let options = format!("commit = true\n  {options}");
        let mut cached = Cached::new(&docker_template(&options, &shell("one")));
        let said = cached.build(&["-cache"]);
        let line = said.lines().find(|line| line.contains("No state of the container is kept: "));
        assert!(line.is_some_and(|line| line.contains(why)), "{said}");
        assert_eq!(cached.states().len(), 0);
    }
}

#[test]
fn a_step_after_one_that_is_not_cached_is_run_on_a_cached_state() {
    require!(docker());
    let volatile =
        "  provisioner \"shell\" {\n    inline = [\"echo ${timestamp()} >>/log\"]\n  }\n";
    let mut cached = Cached::of(&(shell("one") + volatile + &shell("two")));
    let said = cached.build(&["-cache", "-explain"]);
    assert!(said.contains("shell (2 of 3) was run, not cached: timestamp() gives"), "{said}");
    let first = cached.inside("head -n 1 /log");
    let said = cached.build(&["-cache"]);
    assert_eq!(steps(&said), (2, 1), "{said}");
    // The container runs after all, and what it is called is right to the end.
    assert!(said.contains("Starting docker container"), "{said}");
    assert_eq!(cached.inside("head -n 1 /log"), first);
    assert_eq!(cached.inside("wc -l </log"), "3");
}

#[test]
fn the_companion_file_says_what_is_cached_and_packer_does_not_read_it() {
    require!(docker());
    let mut cached = Cached::of(&(shell("one") + UPLOAD + &shell("two")));
    cached.write("up", "up");
    cached.write(
        "t.ingot.hcl",
        "cache {\n  enabled = true\n}\nstep \"file\" {\n  cache = false\n}\n",
    );
    let said = cached.build(&["-explain"]);
    assert!(said.contains("file (2 of 3) was run, not cached: its `cache` is false"), "{said}");
    assert_eq!(steps(&cached.build(&[])), (2, 1));
    assert_eq!(steps(&cached.build(&["-no-cache"])), (3, 0));
    assert_eq!(steps(&cached.build(&["-cache=false"])), (3, 0));
    cached.write("t.ingot.hcl", "cache {\n  enabled = true\n  max_age = \"1s\"\n}\n");
    cached.build(&[]);
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(steps(&cached.build(&[])), (3, 0));
}

#[test]
fn states_that_are_gone_or_not_what_they_seem_are_made_again() {
    require!(docker());
    let mut cached = Cached::of(&(shell("one") + &shell("two")));
    cached.build(&["-cache"]);
    let states = cached.states();
    assert_eq!(states.len(), 2, "{states:?}");
    let last = states.iter().find(|state| state["number"] == 2).unwrap();
    let name = format!("ingot-cache:{}", last["key"].as_str().unwrap());
    // Somebody gives the name to another image.
    cached.forget_image();
    output_of("docker", &["tag", BASE, &name]);
    let said = cached.build(&["-cache"]);
    assert_eq!(steps(&said), (1, 1), "{said}");
    assert_eq!(cached.inside("wc -l </log"), "2");
    assert_eq!(steps(&cached.build(&["-cache"])), (0, 2));
    // Somebody removes it.
    cached.forget_image();
    cached.images.clear();
    output_of("docker", &["rmi", &name]);
    assert_eq!(steps(&cached.build(&["-cache"])), (1, 1));
    // The index is damaged; what is there is used all the same, and can be removed.
    cached.write("state/step-cache/index.json", "{\"states\": {");
    assert_eq!(steps(&cached.build(&["-cache"])), (0, 2));
    let list = cached.cache(&["list"]);
    assert!(list.stdout.contains("unknown") && list.stdout.contains("2 states"), "{}", list.stdout);
    let pruned = cached.cache(&["prune", "-all"]);
    assert!(pruned.stdout.starts_with("Removed 2 states"), "{}", pruned.stdout);
    assert_eq!(steps(&cached.build(&["-cache"])), (2, 0));
}

//! What states are, and what comes of those that cannot be used.

use super::cached::{Cached, LEAVES, forget_on_engine, image_in, other_machine, shell, steps};
use super::image::{archives, files, last_layer, layers};
use ingot_test_support::{BASE, docker, docker_template, output_of, require};

#[test]
fn an_image_that_is_built_from_a_state_is_one_layer_on_its_base() {
    require!(docker());
    let script = "  provisioner \"shell\" {\n    script = \"first.sh\"\n  }\n  provisioner \
                  \"shell\" {\n    script = \"last.sh\"\n  }\n";
    let mut cached = Cached::of(script);
    cached.write("first.sh", &format!("{LEAVES}echo TOKEN-$((6*7)) >/d/token\n"));
    cached.write("last.sh", "rm /d/token\n");
    cached.build(&["-cache"]);
    let change = "rm /d/token; echo more >>/d/one; rm -r /d/gone; ln /d/one /three\n";
    cached.write("last.sh", change);
    let said = cached.build(&["-cache"]);
    assert_eq!(steps(&said), (1, 1), "{said}");
    let with = cached.image().to_owned();
    assert_eq!(layers(&with).len(), layers(BASE).len() + 1);
    // What the state held and the last step deleted is nowhere in it.
    let layer = archives(&with).concat();
    let holds = |text: &[u8]| layer.windows(text.len()).any(|window| window == text);
    assert!(!holds(b"TOKEN-42") && holds(b"d/device"));
    // All names of a file are changed by one of them.
    assert_eq!(cached.inside("cat /d/sub/two; stat -c %h /three"), "one\nmore\n3");
    cached.build(&["-no-cache"]);
    assert_eq!(files(&with), files(cached.image()));
    // The state after the last step, in a container of its own, is that state to the last bit.
    let states = cached.states();
    let state = states.iter().filter(|state| state["number"] == 2);
    let state = state.max_by_key(|state| state["used"].as_str().unwrap().to_owned()).unwrap();
    let state = format!("ingot-cache:{}", state["key"].as_str().unwrap());
    let text = std::fs::read_to_string(cached.path("t.pkr.hcl")).unwrap();
    cached.write("t.pkr.hcl", &text.replace("commit = true", "commit = true\n  message = \"m\""));
    let said = cached.build(&["-cache"]);
    assert_eq!(steps(&said), (0, 2), "{said}");
    assert!(said.contains("Restoring the cached state"), "{said}");
    assert_ne!(cached.image(), with);
    assert_eq!(last_layer(cached.image()), last_layer(&state));
}

#[test]
fn steps_that_change_nothing_are_cached() {
    require!(docker());
    // The mount point of the scratch volume, which a container has beside its image, is there.
    let made = output_of("docker", &["create", BASE, "mkdir", "/packer-files"]);
    output_of("docker", &["start", "-a", &made]);
    let name = format!("ingot-test-mount-point:{}", std::process::id());
    output_of("docker", &["commit", &made, &name]);
    output_of("docker", &["rm", &made]);
    let nothing = "  provisioner \"shell\" {\n    inline = [\"true\"]\n  }\n";
    let text = docker_template("commit = true", &(nothing.to_owned() + &shell("one")));
    let mut cached = Cached::new(&text.replace(BASE, &name));
    let shared = cached.path("shared");
    let flag = format!("-cache-dir={}", shared.display());
    assert_eq!(steps(&cached.build(&["-cache", &flag])), (2, 0));
    cached.write("t.pkr.hcl", &text.replace(BASE, &name).replace("echo one", "echo other"));
    assert_eq!(steps(&cached.build(&["-cache", &flag])), (1, 1));
    assert_eq!(cached.inside("cut -d ' ' -f 1 /log"), "other");
    // A machine that has the directory alone.
    assert_eq!(forget_on_engine(&shared), 3);
    cached.forget_image();
    let said = other_machine(&mut cached, &shared, "other");
    assert_eq!(steps(&said), (0, 2), "{said}");
    assert_eq!(cached.inside("cut -d ' ' -f 1 /log"), "other");
    output_of("docker", &["rmi", "-f", &name]);
}

#[test]
fn a_state_that_cannot_be_unpacked_is_made_again() {
    require!(docker());
    let mut cached = Cached::of(&(shell("one") + &shell("two")));
    cached.build(&["-cache"]);
    cached.forget_image();
    let run = ingot_test_support::ingot_with(
        cached.dir.path(),
        &["build", "-color=false", "-cache", "."],
        &[("TMPDIR", "/nowhere")],
    );
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    cached.images.extend(image_in(&run.stdout));
    assert!(run.stdout.contains("writing a temporary file in /nowhere"), "{}", run.stdout);
    assert_eq!(steps(&run.stdout), (2, 0), "{}", run.stdout);
    assert_eq!(cached.inside("wc -l </log"), "2");
    let left = output_of("docker", &["ps", "-aq", "--filter", "ancestor=ingot-e2e-base:1"]);
    assert!(!left.lines().any(|id| run.stdout.contains(id)), "{}", run.stdout);
}

#[test]
fn an_artifact_that_an_earlier_build_has_too_is_not_removed() {
    require!(docker());
    let save = "  post-processor \"docker-save\" {\n    path = \"image.tar\"\n    \
                keep_input_artifact = false\n  }\n";
    let mut cached = Cached::of(&shell("one"));
    cached.build(&["-cache"]);
    let text = std::fs::read_to_string(cached.path("t.pkr.hcl")).unwrap();
    let end = text.rfind('}').unwrap();
    cached.write("t.pkr.hcl", &format!("{}{save}}}\n", &text[..end]));
    let said = cached.build(&["-cache"]);
    assert_eq!(cached.images[0], cached.images[1], "{said}");
    assert_eq!(cached.inside("wc -l </log"), "1");
    // Other changes, author or message make another image of the same states.
    let text = text.replace("commit = true", "commit = true\n  author = \"somebody\"");
    cached.write("t.pkr.hcl", &text);
    let said = cached.build(&["-cache"]);
    assert_eq!(steps(&said), (0, 1), "{said}");
    assert_ne!(cached.images[0], cached.images[2]);
    assert_eq!(output_of("docker", &["inspect", "-f", "{{.Author}}", cached.image()]), "somebody");
    // Who prunes the cache keeps the image, and forgets that it was made.
    cached.cache(&["prune", "-all"]);
    assert_eq!(steps(&cached.build(&["-cache"])), (1, 0));
    assert_eq!(cached.inside("wc -l </log"), "1");
}

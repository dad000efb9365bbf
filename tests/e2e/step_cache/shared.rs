//! States that machines share, and what is shown of states.

use std::path::Path;

use serde_json::Value;

use super::cached::{Cached, LEAVES, forget_on_engine, other_machine, shell, steps};
use super::image::{files, last_layer};
use ingot_test_support::{docker, ingot, ingot_with, require};

#[test]
fn machines_share_states_by_a_directory() {
    require!(docker());
    let script = "  provisioner \"shell\" {\n    script = \"last.sh\"\n  }\n";
    let mut cached = Cached::of(&(shell("one") + &shell("two") + script));
    cached.write("last.sh", &format!("{LEAVES}echo three >>/log\n"));
    let shared = cached.path("shared");
    let said = other_machine(&mut cached, &shared, "first");
    assert_eq!(steps(&said), (3, 0), "{said}");
    assert!(said.contains("Keeping 3 states for other machines"), "{said}");
    assert_eq!(forget_on_engine(&shared), 3);
    let (log, all) = (cached.inside("cat /log"), files(cached.image()));
    // The next one has all of it.
    let said = other_machine(&mut cached, &shared, "second");
    assert_eq!(steps(&said), (0, 3), "{said}");
    let from = format!("after shell (3 of 3) comes from {}", shared.display());
    assert!(said.contains(&from), "no {from:?}: {said}");
    assert_eq!(files(cached.image()), all);
    assert_eq!(last_layer(cached.image()), last_layer(&cached.images[0]));
    assert_ne!(cached.image(), cached.images[0]);
    // What changed is run, and kept for the others.
    cached.write("last.sh", "echo changed >>/log\n");
    let said = other_machine(&mut cached, &shared, "third");
    assert_eq!(steps(&said), (1, 2), "{said}");
    assert!(said.contains("Keeping 1 state for other machines"), "{said}");
    assert_eq!(cached.inside("head -n 2 /log"), log.lines().take(2).collect::<Vec<_>>().join("\n"));
    assert_eq!(forget_on_engine(&shared), 4);
    // What is damaged is not used, nor is what is not whole.
    let mut states: Vec<_> = std::fs::read_dir(shared.join("docker")).unwrap().collect();
    states.sort_by_key(|entry| entry.as_ref().unwrap().metadata().unwrap().len());
    for (number, entry) in states.iter().enumerate() {
        let path = entry.as_ref().unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        match number % 2 {
            0 => *bytes.last_mut().unwrap() ^= 1,
            _ => bytes.truncate(bytes.len() / 2),
        }
        std::fs::write(&path, bytes).unwrap();
    }
    let said = other_machine(&mut cached, &shared, "fourth");
    assert_eq!(steps(&said), (3, 0), "{said}");
    assert!(said.contains(".layer is not used: it is damaged"), "{said}");
    // They are made good.
    forget_on_engine(&shared);
    let block = "cache {\n  directory = \"shared\"\n}\n";
    cached.write("t.ingot.hcl", block);
    let said = other_machine(&mut cached, Path::new(""), "fifth");
    assert_eq!(steps(&said), (0, 3), "{said}");
    let flag = format!("-cache-dir={}", shared.display());
    let list = cached.cache(&["list", "-json", &flag]);
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!(list["states"].as_array().unwrap().len(), 4, "{list}");
    std::fs::remove_file(cached.path("t.ingot.hcl")).unwrap();
    let planned = |args: &[&str]| {
        let plan = ingot(cached.dir.path(), &[&["plan", "-offline"], args, &["."]].concat());
        assert_eq!(plan.code, Some(0), "{}", plan.stderr);
        plan.stdout.matches("step cache: last kept 20").count()
    };
    assert_eq!((planned(&[&flag]), planned(&[])), (3, 0));
    let pruned = cached.cache(&["prune", "-all", &flag]);
    assert!(pruned.stdout.starts_with("Removed 4 states"), "{}", pruned.stdout);
    assert_eq!(std::fs::read_dir(shared.join("docker")).unwrap().count(), 0);
}

#[test]
fn a_shared_cache_that_is_not_there_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let named = [("INGOT_CACHE_DIR", "typo")];
    for command in [&["list"][..], &["list", "-json"], &["prune", "-all"]] {
        let by_flag = [&["cache"], command, &["-cache-dir=typo"]].concat();
        let by_variable = [&["cache"], command].concat();
        for run in [ingot(dir.path(), &by_flag), ingot_with(dir.path(), &by_variable, &named)] {
            assert_eq!(run.code, Some(1), "{command:?}: {}{}", run.stdout, run.stderr);
            let told = "typo: No such file or directory";
            assert!(run.stderr.contains(told), "{command:?}: {}", run.stderr);
            assert!(run.stderr.contains("-cache-dir, or INGOT_CACHE_DIR"), "{}", run.stderr);
        }
    }
    assert!(!dir.path().join("typo").exists());
}

#[test]
fn states_are_listed_shown_and_removed() {
    require!(docker());
    let fill = |name: &str, count: u32| {
        format!(
            "  provisioner \"shell\" {{\n    name = \"{name}\"\n    inline = [\"dd if=/dev/zero \
             of=/{name} bs=1000 count={count}\"]\n  }}\n"
        )
    };
    let mut cached = Cached::of(&(fill("small", 100) + &fill("large", 900)));
    let empty = cached.cache(&["list"]);
    assert!(empty.stdout.contains("keeps no states"), "{}", empty.stdout);
    cached.build(&["-cache"]);
    let list = cached.cache(&["list"]).stdout;
    for part in ["docker.d", "small (1 of 2)", "large (2 of 2)", "2 states, "] {
        assert!(list.contains(part), "no {part} in {list}");
    }
    let states = cached.states();
    let bytes = |number: u64| {
        states.iter().find(|state| state["number"] == number).unwrap()["bytes"].as_u64().unwrap()
    };
    assert!(bytes(1) >= 100_000 && bytes(1) < 150_000, "{states:?}");
    assert!(bytes(2) >= 1_000_000, "{states:?}");
    let key = states[0]["key"].as_str().unwrap();
    let shown = cached.cache(&["show", &key[..20]]).stdout;
    for part in [key, "docker.d", "option inline", "t.pkr.hcl"].iter().take(3) {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    let none = cached.cache(&["show", "ffff"]);
    assert_eq!(none.code, Some(1));
    let unsaid = cached.cache(&["prune"]);
    assert_eq!(unsaid.code, Some(1));
    let said = format!("{}{}", unsaid.stdout, unsaid.stderr);
    assert!(said.contains("-older-than=168h, -keep-bytes=10GB or -all"), "{said}");
    assert!(cached.cache(&["prune", "-older-than=1h"]).stdout.starts_with("Removed 0 states"));
    let dry = cached.cache(&["prune", "-keep-bytes=500kB", "-dry-run"]).stdout;
    assert!(dry.starts_with("Would remove 1 state,"), "{dry}");
    assert_eq!(cached.states().len(), 2);
    let json = cached.cache(&["prune", "-keep-bytes=500kB", "-json"]);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["removed"][0]["step"], "large (2 of 2)", "{json}");
    assert_eq!(cached.states().len(), 1);
    // The image that was built from them is the user's.
    assert_eq!(cached.inside("ls /small /large | wc -l"), "2");
    assert_eq!(cached.cache(&["prune", "-older-than=1ms"]).code, Some(0));
    assert_eq!(cached.states().len(), 0);
}

//! What is cached and used, what is not, and why.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use super::world::World;
use crate::step_cache::StepCacheOptions;

/// A template of `steps` (`shell` and `file` blocks), beside a script `a` and a file `b`.
fn world(steps: &str) -> World {
    let world = World::new();
    rewrite(&world, steps);
    std::fs::write(world.dir.path().join("a"), "echo a").unwrap();
    std::fs::write(world.dir.path().join("b"), "b").unwrap();
    world
}

fn rewrite(world: &World, steps: &str) {
    let dir = world.dir.path().display().to_string();
    let text = format!(
        "data \"null\" \"d\" {{\n  input = \"x\"\n}}\nlocals {{\n  d = data.null.d.output\n}}\n\
         source \"null\" \"n\" {{\n  communicator = \"none\"\n}}\nbuild {{\n  sources = \
         [\"source.null.n\"]\n{}}}\n",
        steps.replace("DIR", &dir)
    );
    std::fs::write(world.dir.path().join("t.pkr.hcl"), text).unwrap();
}

const SHELL: &str = "  provisioner \"shell\" {\n    inline = [\"x\"]\n  }\n";

#[tokio::test]
async fn a_step_that_is_not_cached_says_why() {
    let shell = |options: &str| format!("  provisioner \"shell\" {{\n    {options}\n  }}\n");
    let file = |options: &str| {
        format!("  provisioner \"file\" {{\n    destination = \"/x\"\n    {options}\n  }}\n")
    };
    for (step, why) in [
        (shell("inline = [timestamp()]"), "timestamp() gives the time of the run"),
        (shell("inline = [uuidv4()]"), "uuidv4() gives another value each time"),
        (shell("inline = [local.d]"), "local.d: data.null.d is fetched by each run"),
        (shell("inline = [build.Host]"), "build.Host is known only while the build runs"),
        (shell("inline = [\"{{ timestamp }}\"]"), "inline: {{ timestamp }} gives another value"),
        (shell("inline = [\"x\"]\n    execute_command = \"{{.ID}}\""), "{{ .ID }} is known only"),
        (file("source = \"DIR/b\"\n    generated = true"), "is created while the build runs"),
        (
            "  provisioner \"shell-local\" {\n    inline = [\"true\"]\n  }\n".into(),
            "on this machine",
        ),
        (shell("name = \"never\"\n    inline = [\"x\"]"), "its `cache` is false"),
    ] {
        let world = world(&format!("{SHELL}{step}{SHELL}"));
        let options = || StepCacheOptions {
            enabled: true,
            explain: true,
            uncached: ["never".to_owned()].into(),
            ..StepCacheOptions::default()
        };
        let first = world.build(true, "base", options()).await;
        let said = first.said.join("\n");
        let second = format!("(2 of 3) was run, not cached: {why}");
        let second = second.replace(&format!("not cached: {why}"), "not cached: ");
        let line = first.said.iter().find(|line| line.contains(&second));
        assert!(line.is_some_and(|line| line.contains(why)), "{why}: {said}");
        assert!(said.contains("(1 of 3) was run and kept: there was no state of it"), "{said}");
        assert!(said.contains("(3 of 3) was run, not cached: a step before it is not"), "{said}");
        assert_eq!(world.build(true, "base", options()).await.cached, 1, "{why}");
    }
}

#[tokio::test]
async fn what_changed_is_named() {
    let script = "  provisioner \"shell\" {\n    script = \"DIR/a\"\n  }\n";
    let world = world(&format!("{SHELL}{script}"));
    let options = || StepCacheOptions { enabled: true, explain: true, ..Default::default() };
    world.build(true, "base", options()).await;
    let again = world.build(true, "base", options()).await;
    assert_eq!((again.cached, again.done.len()), (2, 6));
    assert!(again.said.contains(&"Using cached state for shell (2 of 2)".to_owned()));
    std::fs::write(world.dir.path().join("a"), "echo more").unwrap();
    let changed = world.build(true, "base", options()).await;
    let said = changed.said.join("\n");
    assert_eq!(changed.cached, 1);
    assert!(said.contains("(2 of 2) was run and kept: changed: ") && said.contains("/a"), "{said}");
    rewrite(&world, &format!("{}{script}", SHELL.replace("\"x\"", "\"y\"")));
    let said = world.build(true, "base", options()).await.said.join("\n");
    assert!(said.contains("(1 of 2) was run and kept: changed: option inline"), "{said}");
    assert!(said.contains("(2 of 2) was run and kept: changed: a step before it"), "{said}");
    let said = world.build(true, "other base", options()).await.said.join("\n");
    assert!(said.contains("changed: the machine before the first step"), "{said}");
}

/// Each job of a CI system may have its checkout in another place.
#[tokio::test]
async fn where_files_are_does_not_count() {
    let steps = |dir: &str, copied: &str| {
        format!(
            "  provisioner \"shell\" {{\n    script = \"{dir}/a\"\n  }}\n  provisioner \"file\" {{\n    \
             source = \"{dir}/{copied}\"\n    destination = \"/x\"\n  }}\n"
        )
    };
    let world = world(&steps("DIR", "b"));
    let dir = world.dir.path();
    std::fs::create_dir(dir.join("sub")).unwrap();
    for (from, to) in [("a", "sub/a"), ("b", "sub/b"), ("b", "sub/c")] {
        std::fs::copy(dir.join(from), dir.join(to)).unwrap();
    }
    let options = || StepCacheOptions { enabled: true, explain: true, ..Default::default() };
    assert_eq!(world.build(true, "base", options()).await.cached, 0);
    rewrite(&world, &steps("DIR/sub", "b"));
    assert_eq!(world.build(true, "base", options()).await.cached, 2);
    // The machine sees the name of what is copied.
    rewrite(&world, &steps("DIR/sub", "c"));
    let renamed = world.build(true, "base", options()).await;
    assert_eq!(renamed.cached, 1);
    let changed = "(2 of 2) was run and kept: changed: ";
    let line = renamed.said.iter().find(|line| line.contains(changed));
    assert!(line.is_some_and(|line| line.contains("/sub/c")), "{:?}", renamed.said);
    assert!(line.is_some_and(|line| !line.contains("a step before it")), "{:?}", renamed.said);
}

#[tokio::test]
async fn names_of_scripts_count_where_the_machine_sees_them() {
    let step = |kind: &str, path: &str, script: &str| {
        format!(
            "  provisioner \"{kind}\" {{\n    remote_path = \"{path}\"\n    script = \
             \"DIR/{script}\"\n  }}\n"
        )
    };
    let world = world("");
    let dir = world.dir.path();
    std::fs::copy(dir.join("a"), dir.join("c")).unwrap();
    let options = || StepCacheOptions { enabled: true, ..Default::default() };
    for (kind, path, renamed) in [
        ("powershell", "C:/x.ps1", 1),
        ("powershell", "C:/Scripts/", 0),
        ("powershell", "C:\\\\Scripts\\\\", 0),
        // Another provisioner's option of this name is the script itself.
        ("windows-shell", "C:/Scripts/", 1),
    ] {
        rewrite(&world, &step(kind, path, "a"));
        assert_eq!(world.build(true, "base", options()).await.cached, 0, "{kind} {path}");
        rewrite(&world, &step(kind, path, "c"));
        assert_eq!(world.build(true, "base", options()).await.cached, renamed, "{kind} {path}");
    }
}

#[tokio::test]
async fn nothing_is_kept_of_files_that_change_meanwhile() {
    let steps = "  provisioner \"file\" {\n    source = \"DIR/b\"\n    destination = \"/x\"\n  }\n";
    let mut world = world(steps);
    world.rewrites = Some((world.dir.path().join("b"), "two"));
    let options = StepCacheOptions { enabled: true, ..Default::default() };
    let built = world.build(true, "base", options).await;
    assert!(built.done[0].ends_with("two"), "{:?}", built.done);
    let said = built.said.join("\n");
    assert!(said.contains("is not kept: what it reads changed while it ran"), "{said}");
    assert!(world.kept.lock().is_empty());
}

#[tokio::test]
async fn nothing_is_kept_of_a_machine_that_is_tried_again() {
    let mut world = world(SHELL);
    world.tried_again = true;
    let options = StepCacheOptions { enabled: true, explain: true, ..Default::default() };
    let built = world.build(true, "base", options).await;
    assert!(world.kept.lock().is_empty(), "{:?}", built.said);
}

#[tokio::test]
async fn states_older_than_the_limit_are_not_used() {
    let world = world(SHELL);
    let options = |age| StepCacheOptions {
        enabled: true,
        max_age: Some(std::time::Duration::from_secs(age)),
        ..StepCacheOptions::default()
    };
    world.build(true, "base", options(1)).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(world.build(true, "base", options(1)).await.cached, 0);
    let year = 365 * 24 * 3600;
    world.build(true, "base", options(year)).await;
    assert_eq!(world.build(true, "base", options(year)).await.cached, 1);
}

#[tokio::test]
async fn a_cache_that_is_lost_or_damaged_starts_anew() {
    let world = world(SHELL);
    let options = || StepCacheOptions { enabled: true, ..Default::default() };
    world.build(true, "base", options()).await;
    assert_eq!(world.build(true, "base", options()).await.cached, 1);
    for (name, text) in [("index.json", "{ half"), ("secret", "half")] {
        let path = world.dir.path().join(name);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        std::fs::write(&path, text).unwrap();
    }
    // With another secret, all keys are others.
    assert_eq!(world.build(true, "base", options()).await.cached, 0);
    assert_eq!(world.build(true, "base", options()).await.cached, 1);
    // Without an index, nothing is known of states, which are used all the same.
    std::fs::remove_file(world.dir.path().join("index.json")).unwrap();
    assert_eq!(world.build(true, "base", options()).await.cached, 1);
}

#[tokio::test]
async fn keys_reveal_no_secrets() {
    let secret =
        "  provisioner \"shell\" {\n    inline = [\"x\"]\n    env = { PIN = \"1234\" }\n  }\n";
    let options = || StepCacheOptions { enabled: true, ..Default::default() };
    let keys = async |world: &World| {
        world.build(true, "base", options()).await;
        let kept = world.kept.lock();
        kept.keys().map(ToString::to_string).collect::<Vec<_>>()
    };
    // The same template elsewhere, by somebody with another secret.
    let (one, other) = (world(secret), world(secret));
    assert_ne!(keys(&one).await, keys(&other).await);
    let index = std::fs::read_to_string(one.dir.path().join("index.json")).unwrap();
    assert!(!index.contains("1234"), "{index}");
    let hashes: BTreeMap<String, serde_json::Value> = serde_json::from_value(
        serde_json::from_str::<serde_json::Value>(&index).unwrap()["states"].clone(),
    )
    .unwrap();
    assert_eq!(hashes.len(), 1);
}

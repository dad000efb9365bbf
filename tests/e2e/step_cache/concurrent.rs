//! Builds at the same time, and builds that are killed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use super::cached::{Cached, image_in, shell, steps};
use crate::running::Running;
use ingot_test_support::{PATIENCE, docker, output_of, require};

#[test]
fn builds_share_a_cache_at_the_same_time() {
    require!(docker());
    let mut cached = Cached::of(&(shell("one") + &shell("two")));
    let spawn = || Running::spawn(cached.dir.path(), &["-cache", "-color=false"]);
    let mut builds = [spawn(), spawn()];
    for build in &mut builds {
        assert!(build.wait().unwrap().success());
    }
    let said = cached.build(&["-cache"]);
    assert_eq!(steps(&said), (0, 2), "{said}");
    assert_eq!(cached.inside("wc -l </log"), "2");
    assert_eq!(cached.states().len(), 2);
    let made = format!("{}{said}", std::fs::read_to_string(cached.path("stdout")).unwrap());
    cached.images.extend(made.lines().filter_map(image_in));
}

/// Waits until the Engine begins to commit a container that a build made after `since`: it pauses the
/// container for that. The Engine also reports events of before the request.
fn wait_for_commit(container: &str, since: SystemTime, said: impl Fn() -> String) {
    let since = since.duration_since(UNIX_EPOCH).unwrap().as_secs().to_string();
    let container = format!("container={container}");
    let mut events = Command::new("docker")
        .args(["events", "--since", &since, "--filter", "event=pause", "--filter", &container])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(events.stdout.take().unwrap()).lines();
    let (found, first) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || found.send(lines.next().is_some()));
    let first = first.recv_timeout(PATIENCE);
    let _ = events.kill();
    let _ = events.wait();
    let _ = reading.join();
    assert_eq!(first, Ok(true), "it is never committed: {}", said());
}

#[test]
fn a_build_that_is_killed_while_it_keeps_a_state_leaves_none_that_is_not_whole() {
    require!(docker());
    let fill = "  provisioner \"shell\" {\n    inline = [\"dd if=/dev/urandom of=/big bs=1M \
                count=50\"]\n  }\n";
    let two = "  provisioner \"shell\" {\n    script = \"two.sh\"\n  }\n";
    let mut cached = Cached::of(&(fill.to_owned() + two));
    // However late the signal comes, the build has not ended by then.
    cached.write("two.sh", "sleep 300");
    let begun = SystemTime::now();
    let child = Running::spawn(cached.dir.path(), &["-cache", "-color=false"]);
    let dir = std::mem::replace(&mut cached.dir, tempfile::tempdir().unwrap());
    let mut running = Running { child, dir };
    running.wait_for("Container ID: ");
    wait_for_commit(&running.container(), begun, || running.said());
    running.signal("KILL");
    running.end();
    cached.dir = running.dir;
    cached.write("two.sh", "echo two >>/log");
    let said = cached.build(&["-cache"]);
    // Either the Engine had all of it, or it is made again; never a part.
    assert_eq!(cached.inside("wc -c </big"), "52428800", "{said}");
    assert!(said.contains("Removed docker-container"), "{said}");
    let again = cached.build(&["-cache"]);
    assert_eq!(steps(&again), (0, 2), "{said}{again}");
    let unfinished = output_of("docker", &["images", "-q", "ingot-unfinished"]);
    let journals = |dir: &Path| {
        let entries = std::fs::read_dir(dir.join("state")).into_iter().flatten().flatten();
        entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "journal")).count()
    };
    // Others may be at work; what this one wrote down is gone.
    assert_eq!(journals(cached.dir.path()), 0, "{unfinished}");
}

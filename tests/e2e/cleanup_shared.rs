//! `ingot cleanup` where users or machines share the directory for state.

use serde_json::{Value, json};

use crate::cleanup::{cleanup, left_on, listed};
use ingot_test_support::{ingot, ingot_without_privileges, null_template, template};

/// That of another user.
#[test]
fn a_journal_that_cannot_be_written_is_read() {
    let dir = left_on("unix:///nowhere/docker.sock");
    let journal = dir.path().join("state/0-1-a.journal");
    let before = std::fs::read(&journal).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o444);
    std::fs::set_permissions(&journal, mode).unwrap();
    let run = |args: &[&str]| ingot_without_privileges(dir.path(), args);
    let list = run(&["cleanup", "-list"]);
    assert_eq!(list.code, Some(0), "{}", list.stdout);
    assert!(list.stdout.contains("docker-container ingot-of-a-test"), "{}", list.stdout);
    let why = "0-1-a.journal cannot be written: Permission denied";
    let hint = "run `ingot cleanup` as the user to whom that file belongs";
    let cleaned = run(&["cleanup"]);
    assert_eq!(cleaned.code, Some(1), "{}", cleaned.stdout);
    for part in ["could not remove docker-container ingot-of-a-test", why, hint] {
        assert!(cleaned.stdout.contains(part), "{part}: {}", cleaned.stdout);
    }
    // A build says so, too, and goes on.
    let build = run(&["build", "."]);
    assert_eq!(build.code, Some(0), "{}", build.stdout);
    assert!(build.stdout.contains(why) && build.stdout.contains(hint), "{}", build.stdout);
    assert_eq!(std::fs::read(&journal).unwrap(), before);
}

/// Machines may share the home directory.
#[test]
fn what_is_on_another_machine_is_left_to_it() {
    let step = "  provisioner \"shell-local\" {\n    inline = [\"exit 3\"]\n  }";
    let dir = template(&null_template(step));
    let dir = dir.path();
    assert_eq!(ingot(dir, &["build", "-on-error=keep", "."]).code, Some(1));
    let mut records = std::fs::read_dir(dir.join("state/kept")).unwrap();
    let record = records.next().unwrap().unwrap().path().join("record.json");
    let mut build: Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    if build.get("host").is_none() {
        eprintln!("skipped: this is a container, whose machine is not known");
        return;
    }
    let host = json!({ "id": "of another", "name": "far" });
    let file = |name: &str| {
        std::fs::write(dir.join(name), "").unwrap();
        json!({ "kind": "unfinished-file", "id": dir.join(name) })
    };
    build["host"] = host.clone();
    build["left"] = json!([file("kept")]);
    std::fs::write(&record, build.to_string()).unwrap();
    let lines = [
        json!({ "run": "7d1f", "template": "/t", "started": 1_700_000_000, "host": host }),
        json!({ "record": 1, "resource": file("left"), "build": "null.n" }),
    ];
    let journal = dir.join("state/0-1-a.journal");
    std::fs::write(&journal, lines.map(|line| format!("{line}\n")).concat()).unwrap();

    let cleaned = cleanup(dir, &["-kept"]);
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.stdout);
    assert_eq!(cleaned.stdout.matches(", on the machine far\n").count(), 2, "{}", cleaned.stdout);
    let json = cleanup(dir, &["-json"]);
    assert_eq!(
        (json.code, listed(&json)),
        (Some(0), vec!["left unfinished-file null.n".to_owned()])
    );
    let resumed = ingot(dir, &["build", "-resume", "."]);
    assert_eq!(resumed.code, Some(1), "{}", resumed.stdout);
    let told = "`null.n` cannot go on: what is kept of it is on the machine far";
    let said = format!("{}{}", resumed.stdout, resumed.stderr);
    assert!(said.contains(told), "{said}");
    // What nothing here knows may be anywhere.
    let text = std::fs::read_to_string(&journal).unwrap();
    let unknown = json!({ "record": 2, "resource": { "kind": "new-thing", "id": "n" } });
    std::fs::write(&journal, format!("{text}{unknown}\n")).unwrap();
    let unknown = cleanup(dir, &[]);
    let told = "could not remove new-thing n: nothing here can remove things of this kind";
    assert!(unknown.code == Some(1) && unknown.stdout.contains(told), "{}", unknown.stdout);
    for path in [dir.join("kept"), dir.join("left"), record, journal] {
        assert!(path.exists(), "{} is gone", path.display());
    }
}

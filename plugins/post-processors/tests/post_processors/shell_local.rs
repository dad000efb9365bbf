//! `shell-local` as a post-processor: what the scripts see, and what becomes of the artifact.

use std::sync::Arc;

use crate::build::{Build, artifact, created, names};
use ingot_test_support::eventually_async;
use serde_json::json;

#[tokio::test]
async fn runs_scripts_and_passes_the_artifact_on() {
    let mut build = Build::new("web");
    build.data.insert("ID".to_owned(), "i-1".into());
    let input = artifact(&[&build.file("one.txt", "")]);
    let out = build.path("out");
    let options = json!({
        "inline": [
            format!("echo \"$PACKER_BUILD_NAME $PACKER_BUILDER_TYPE $A $B\" > {}", out.display()),
            "echo {{ build_name }} {{ \"{{\" }}.Id}}",
        ],
        "environment_vars": ["A=it's"],
        "env": {"B": "two  words"},
    });
    let processed = build.run("shell-local", options, &input).await.unwrap();
    assert!(processed.keep_input && processed.force_keep_input);
    assert!(Arc::ptr_eq(&created(processed), &input));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "web file it's two  words\n");
    let said = build.said.lines();
    assert!(said[0].starts_with("Running local shell script: "), "{said:?}");
    assert_eq!(said[1..], ["web {{.Id}}"]);
    let script = said[0].rsplit(' ').next().unwrap();
    assert!(!std::path::Path::new(script).exists(), "{script} is left behind");
}

#[tokio::test]
async fn variables_are_not_in_the_list_of_processes() {
    let build = Build::new("web");
    let inline =
        ["echo $PW", "tr '\\0' ' ' < /proc/$PPID/cmdline", "tr '\\0' ' ' < /proc/$$/cmdline"];
    let mut options = json!({ "inline": inline, "environment_vars": ["PW=hunter22"] });
    build.run("shell-local", options.clone(), &artifact(&[])).await.unwrap();
    let said = build.said.lines()[1..].join("\n");
    assert_eq!(said.matches("hunter22").count(), 1, "{said}");
    // What the template asks for is done.
    options["env_var_format"] = "%s='<%s>' ".into();
    build.run("shell-local", options, &artifact(&[])).await.unwrap();
    let said = build.said.lines().join("\n");
    assert!(said.contains("<hunter22>"), "{said}");
}

#[tokio::test]
async fn a_lone_execute_command_is_for_the_shell() {
    let mut build = Build::new("web");
    build.data.insert("ID".to_owned(), "i-1".into());
    let script = build.file("script.sh", "echo \"arg $1 var $A\"\n");
    let options = json!({
        "script": script,
        "environment_vars": ["A=x"],
        "execute_command": ["{{.Vars}} sh {{.Script}} {{ build `ID` }} && echo done"],
    });
    build.run("shell-local", options, &artifact(&[])).await.unwrap();
    assert_eq!(build.said.lines()[1..], ["arg i-1 var x", "done"]);
}

#[tokio::test]
async fn mistakes_are_reported() {
    let build = Build::new("web");
    let ran = build.run("shell-local", json!({"inline": ["exit 7"]}), &artifact(&[])).await;
    let error = ran.map(drop).unwrap_err().to_string();
    assert!(error.contains("exit status: 7"), "{error}");
    let options = json!({"inline": ["exit 7"], "valid_exit_codes": [7]});
    build.run("shell-local", options, &artifact(&[])).await.unwrap();
    for (options, part) in [
        (json!({}), "nothing to run"),
        (json!({"inline": ["a"], "script": "/dev/null"}), "one way only"),
        (json!({"script": build.path("gone")}), "gone"),
    ] {
        let prepared = build.checked("shell-local", options);
        let errors = prepared.unwrap_err();
        assert!(errors.0.iter().any(|error| error.message.contains(part)), "{errors:?}");
    }
    assert_eq!(names(build.directory.path()), [""; 0]);
}

#[tokio::test]
async fn a_dropped_build_ends_its_script() {
    let build = Build::new("web");
    let written = build.path("pid");
    let options = json!({"inline": [format!("echo $$ >{}; sleep 300", written.display())]});
    let input = artifact(&[]);
    let has_begun = async || {
        let pid = std::fs::read_to_string(&written).unwrap_or_default();
        pid.ends_with('\n').then(|| pid.trim().to_owned())
    };
    let pid = tokio::select! {
        _ = build.run("shell-local", options, &input) => panic!("it ends by itself"),
        pid = eventually_async("it has begun", has_begun) => pid,
    };
    // One that has ended, and that nobody has asked for its code, has no command line.
    let line = format!("/proc/{pid}/cmdline");
    let has_ended = async || std::fs::read(&line).unwrap_or_default().is_empty();
    eventually_async("it ends", has_ended).await;
}

//! `manifest`: what it writes, and that it survives company.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::build::{Build, artifact, created, names};
use serde_json::{Value, json};

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn lists_builds() {
    let mut build = Build::new("web");
    build.data.insert("ID".to_owned(), "i-1".into());
    let one = build.file("out/one.txt", "hello one\n");
    let output = build.path("new/manifest.json");
    let options = json!({
        "output": output, "strip_path": true, "strip_time": true,
        "custom_data": {"b": "{{ build_name }} {{ `{{ .ID }}` }} {{ .ID }}", "a": "<&>"},
    });
    let input = artifact(&[&one]);
    let processed = build.run("manifest", options, &input).await.unwrap();
    assert!(processed.keep_input && processed.force_keep_input);
    // The artifact is passed on as it is.
    assert!(Arc::ptr_eq(&created(processed), &input));
    let expected = r#"{
  "builds": [
    {
      "name": "web",
      "builder_type": "file",
      "files": [
        {
          "name": "one.txt",
          "size": 10
        }
      ],
      "artifact_id": "File",
      "packer_run_uuid": "run-1",
      "custom_data": {
        "a": "<&>",
        "b": "web i-1 <no value>"
      }
    }
  ],
  "last_run_uuid": "run-1"
}"#;
    assert_eq!(std::fs::read_to_string(&output).unwrap(), expected);

    // Another run adds to it.
    build.prepare.run_uuid = "run-2".to_owned();
    let gone = build.path("gone");
    build.run("manifest", json!({"output": output}), &artifact(&[&gone])).await.unwrap();
    build.run("manifest", json!({"output": output}), &artifact(&[])).await.unwrap();
    let manifest = read(&output);
    assert_eq!(manifest["last_run_uuid"], "run-2");
    assert_eq!(manifest["builds"].as_array().unwrap().len(), 3);
    assert_eq!(manifest["builds"][0]["custom_data"]["a"], "<&>");
    let second = &manifest["builds"][1];
    assert_eq!(second["files"], json!([{"name": gone, "size": 0}]));
    assert_eq!(second["custom_data"], Value::Null);
    assert!(second["build_time"].as_u64().unwrap() > 1_700_000_000);
    assert_eq!(manifest["builds"][2]["files"], Value::Null);

    // With -force, only what is of the same run stays.
    build.prepare.force = true;
    build.run("manifest", json!({"output": output}), &artifact(&[])).await.unwrap();
    assert_eq!(read(&output)["builds"].as_array().unwrap().len(), 4);
    build.prepare.run_uuid = "run-3".to_owned();
    build.run("manifest", json!({"output": output}), &artifact(&[])).await.unwrap();
    assert_eq!(read(&output)["builds"].as_array().unwrap().len(), 1);
    assert_eq!(names(&build.path("new")), ["manifest.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_builds_lose_nothing() {
    let build = Build::new("web");
    let output = build.path("manifest.json");
    let mut runs = Vec::new();
    for number in 0..50 {
        let mut plugin_build = Build::new(&format!("build-{number}"));
        plugin_build.prepare.run_uuid = "same".to_owned();
        let plugin = plugin_build.prepared("manifest", json!({"output": output})).unwrap().ready;
        let ctx = plugin_build.context();
        runs.push(tokio::spawn(async move {
            plugin.process(&ctx, artifact(&[]), &Default::default()).await.map(drop)
        }));
    }
    for run in runs {
        run.await.unwrap().unwrap();
    }
    let manifest = read(&output);
    let mut listed: Vec<&str> = manifest["builds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| b["name"].as_str().unwrap())
        .collect();
    listed.sort_unstable();
    listed.dedup();
    assert_eq!(listed.len(), 50);
    assert_eq!(names(build.directory.path()), ["manifest.json"]);
}

#[tokio::test]
async fn waits_for_the_lock_of_others() {
    let build = Build::new("web");
    let output = build.path("manifest.json");
    let lock = build.file("manifest.json.lock", "");
    let artifact = artifact(&[]);
    let run = build.run("manifest", json!({"output": output}), &artifact);
    let release = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!output.exists());
        std::fs::remove_file(&lock).unwrap();
    };
    let (outcome, ()) = tokio::join!(run, release);
    outcome.unwrap();
    assert!(output.exists() && !lock.exists());

    // A lock that was left behind long ago is no obstacle.
    let file = std::fs::File::create(&lock).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(60)).unwrap();
    build.run("manifest", json!({"output": output}), &artifact).await.unwrap();
    assert!(!lock.exists());
}

#[tokio::test]
async fn never_overwrites_what_it_cannot_read() {
    let build = Build::new("web");
    for text in ["not json", "[]", r#"{"builds": 3}"#] {
        let output = build.file("manifest.json", text);
        let ran = build.run("manifest", json!({"output": output}), &artifact(&[])).await;
        let error = ran.map(drop).unwrap_err().to_string();
        assert!(error.contains("manifest.json"), "{error}");
        assert_eq!(std::fs::read_to_string(&output).unwrap(), text);
    }
    assert_eq!(names(build.directory.path()), ["manifest.json"]);
}

#[tokio::test]
async fn mistakes_are_reported() {
    let build = Build::new("web");
    let prepared = build.checked("manifest", json!({"custom_data": {"a": "{{ nope }}"}}));
    let error = &prepared.unwrap_err().0[0];
    assert_eq!(error.option.as_deref(), Some("custom_data"));
    let output = build.path("manifest.json");
    let options = json!({"output": output, "custom_data": {"a": "{{ `{{ .Nope }}` }}"}});
    let error = build.run("manifest", options, &artifact(&[])).await.map(drop).unwrap_err();
    assert!(error.to_string().starts_with("custom_data.a: `.Nope` has no value"), "{error}");
}

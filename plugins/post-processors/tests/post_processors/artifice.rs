//! `artifice`: what the artifact is afterwards.

use std::path::PathBuf;

use crate::build::{Build, artifact, created, names};
use serde_json::json;

#[tokio::test]
async fn replaces_the_artifact() {
    let build = Build::new("web");
    let old = build.file("old.img", "");
    let (a, b) = (build.file("out/a.txt", ""), build.file("out/b.txt", ""));
    build.file("out/c.log", "");
    let directory = build.directory.path().display();
    let files = [
        format!("{directory}/out/*.txt"),
        format!("{directory}/nothing/*"),
        format!("{directory}/out/c.log"),
    ];
    let processed =
        build.run("artifice", json!({"files": files}), &artifact(&[&old])).await.unwrap();
    // Kept unless the template says otherwise.
    assert!(processed.keep_input && !processed.force_keep_input);
    let created = created(processed);
    assert_eq!(created.builder_id(), "packer.post-processor.artifice");
    assert_eq!(created.id(), "");
    assert_eq!(created.files(), [a.clone(), b.clone(), build.path("out/c.log")]);
    let list = format!("{}, {}, {directory}/out/c.log", a.display(), b.display());
    assert_eq!(created.description(), format!("Created artifact from files: {list}"));
    assert_eq!(
        build.said.lines(),
        [
            format!("Discarding files from artifact: {}", old.display()),
            format!("No file matches {:?}.", files[1]),
            format!("Using these artifact files: {list}"),
        ]
    );
    created.destroy().await.unwrap();
    assert_eq!(names(build.directory.path()), ["old.img"]);
}

#[tokio::test]
async fn mistakes_are_reported() {
    let build = Build::new("web");
    let prepared = build.checked("artifice", json!({"files": []}));
    assert_eq!(prepared.unwrap_err().0[0].option.as_deref(), Some("files"));
    let prepared = build.checked("artifice", json!({"files": ["out/[a"]}));
    assert!(prepared.unwrap_err().0[0].message.contains("not closed"));
}

#[tokio::test]
async fn an_artifact_may_be_without_files() {
    let build = Build::new("web");
    let old = build.file("old.img", "");
    let files = [build.path("nothing*"), "no-such-directory/*".into()];
    let processed =
        build.run("artifice", json!({"files": files}), &artifact(&[&old])).await.unwrap();
    assert!(processed.keep_input);
    assert_eq!(created(processed).files(), [] as [PathBuf; 0]);
    let here = std::env::current_dir().unwrap();
    assert_eq!(
        build.said.lines()[1..],
        [
            format!("No file matches {:?}.", files[0]),
            format!("No file matches {:?} in {}.", files[1], here.display()),
            "Using these artifact files: ".to_owned(),
        ]
    );
    assert!(old.exists());
}

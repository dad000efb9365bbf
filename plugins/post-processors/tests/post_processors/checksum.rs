//! `checksum`, checked with the tools people check with.

use crate::build::{Build, artifact, created, names, tool};
use serde_json::json;

#[tokio::test]
async fn the_tools_agree() {
    let build = Build::new("web");
    let one = build.file("out/one.txt", "hello one\n");
    let two = build.file("out/two.bin", vec![7u8; 3_000_000]);
    let types = ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"];
    let output = format!(
        "{}/out/{{{{.BuildName}}}}.{{{{.ChecksumType}}}}",
        build.directory.path().display()
    );
    let processed = build
        .run(
            "checksum",
            json!({"checksum_types": types, "output": output}),
            &artifact(&[&one, &two]),
        )
        .await
        .unwrap();
    assert!(processed.keep_input && processed.force_keep_input);
    let artifact = created(processed);
    assert_eq!(artifact.builder_id(), "packer.post-processor.checksum");
    assert_eq!(artifact.id(), "");
    assert_eq!(artifact.files().len(), 2 + types.len());
    assert!(artifact.description().starts_with("Created artifact from files: "));
    for kind in types {
        let sums = build.path(&format!("out/web.{kind}"));
        let text = std::fs::read_to_string(&sums).unwrap();
        let files: Vec<&str> = text.lines().map(|line| line.split_once('\t').unwrap().1).collect();
        assert_eq!(files, ["one.txt", "two.bin"]);
        // The tools want two spaces where Packer writes a tab.
        std::fs::write(&sums, text.replace('\t', "  ")).unwrap();
        let checker = format!("{kind}sum");
        if let Some(said) = tool(&build.path("out"), &[&checker, "-c", &format!("web.{kind}")]) {
            assert_eq!(said, "one.txt: OK\ntwo.bin: OK\n", "{kind}");
        }
    }
}

#[tokio::test]
async fn adds_to_what_is_there() {
    let build = Build::new("web");
    let one = build.file("one.txt", "hello one\n");
    let output = build.path("new/sums");
    let options = json!({"output": output});
    let first = created(build.run("checksum", options.clone(), &artifact(&[&one])).await.unwrap());
    assert_eq!(first.files(), [one.clone(), output.clone()]);
    let second = created(build.run("checksum", options, &artifact(&[&one])).await.unwrap());
    // A file that was there before is not part of the artifact.
    assert_eq!(second.files(), [one]);
    let line = "7f3d153acc6786644c2eba0554adfe06\tone.txt\n";
    assert_eq!(std::fs::read_to_string(&output).unwrap(), line.repeat(2));
}

#[tokio::test]
async fn parallel_builds_share_a_file() {
    let build = Build::new("web");
    let output = build.path("sums");
    let files: Vec<_> =
        (0..20).map(|number| build.file(&format!("f{number}"), number.to_string())).collect();
    let artifacts: Vec<_> = files.iter().map(|file| artifact(&[file])).collect();
    let (build, options) = (&build, &json!({"output": output}));
    let mut runs = Vec::new();
    for artifact in &artifacts {
        let plugin = build.prepared("checksum", options.clone()).unwrap().ready;
        let (ctx, artifact) = (build.context(), artifact.clone());
        runs.push(tokio::spawn(async move {
            plugin.process(&ctx, artifact, &Default::default()).await.map(drop)
        }));
    }
    for run in runs {
        run.await.unwrap().unwrap();
    }
    assert_eq!(std::fs::read_to_string(&output).unwrap().lines().count(), 20);
}

#[tokio::test]
async fn what_another_process_adds_is_kept() {
    let build = Build::new("web");
    let one = build.file("one.txt", "hello one\n");
    let output = build.file("sums", "before\n");
    // The other process has the lock.
    let lock = build.file("sums.lock", "");
    let plugin = build.prepared("checksum", json!({"output": output})).unwrap().ready;
    let (ctx, artifact) = (build.context(), artifact(&[&one]));
    let run =
        tokio::spawn(
            async move { plugin.process(&ctx, artifact, &Default::default()).await.map(drop) },
        );
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    std::fs::write(&output, "before\nmeanwhile\n").unwrap();
    std::fs::remove_file(&lock).unwrap();
    run.await.unwrap().unwrap();
    let text = std::fs::read_to_string(&output).unwrap();
    assert_eq!(text, "before\nmeanwhile\n7f3d153acc6786644c2eba0554adfe06\tone.txt\n");
    assert!(!lock.exists());
}

#[tokio::test]
async fn mistakes_are_reported() {
    let build = Build::new("web");
    let prepared = build.checked("checksum", json!({"checksum_types": ["md5", "crc"]}));
    let error = &prepared.unwrap_err().0[0];
    assert_eq!(error.option.as_deref(), Some("checksum_types"));
    assert!(error.message.contains("\"crc\""), "{}", error.message);
    let prepared = build.checked("checksum", json!({"output": "{{ .BuildName"}));
    assert_eq!(prepared.unwrap_err().0[0].option.as_deref(), Some("output"));

    let missing = build.path("missing");
    let output = build.path("sums");
    let ran = build.run("checksum", json!({"output": output}), &artifact(&[&missing])).await;
    let error = ran.map(drop).unwrap_err().to_string();
    assert!(error.contains("missing: No such file"), "{error}");
    assert_eq!(names(build.directory.path()), [""; 0]);
}

//! `compress`, checked with the tools people unpack with.

use std::time::Duration;

use crate::build::{Build, artifact, created, names, tool};
use ingot_sdk::{Artifact, Event};
use ingot_test_support::eventually_async;
use serde_json::json;

#[tokio::test]
async fn packs_archives_that_the_tools_read() {
    for (ending, lists) in [
        (".tar", "tar tf"),
        (".tar.gz", "tar tzf"),
        ("", "tar tzf"),
        (".tar.xz", "tar tJf"),
        (".tar.bzip2", "tar tjf"),
        (".tar.bgzf", "tar tzf"),
        (".tar.lz4", "tar --use-compress-program=lz4 -tf"),
    ] {
        let build = Build::new("web");
        let one = build.file("in/one.txt", "hello one\n");
        let long = build.file(&format!("in/{}", "n".repeat(150)), vec![3u8; 700_000]);
        let output = format!("{}/new/{{{{.BuildName}}}}{ending}", build.directory.path().display());
        let options = json!({"output": output});
        let processed = build.run("compress", options, &artifact(&[&one, &long])).await.unwrap();
        assert!(!processed.keep_input && !processed.force_keep_input);
        let created = created(processed);
        let target = build.path(&format!("new/web{ending}"));
        assert_eq!(created.files(), std::slice::from_ref(&target));
        assert_eq!(created.builder_id(), "packer.post-processor.compress");
        assert_eq!(created.description(), format!("compressed artifacts in: {}", target.display()));
        // Nothing unfinished is left beside it.
        assert_eq!(names(&build.path("new")), [format!("web{ending}")]);
        let mut argv: Vec<&str> = lists.split(' ').collect();
        let target = target.to_str().unwrap();
        argv.push(target);
        if ending == ".tar.lz4" && tool(build.directory.path(), &["lz4", "--version"]).is_none() {
            continue;
        }
        if let Some(listed) = tool(build.directory.path(), &argv) {
            assert_eq!(listed, format!("one.txt\n{}\n", "n".repeat(150)), "{ending}");
        }
    }
}

#[tokio::test]
async fn compresses_single_files() {
    for (ending, decompress) in [
        (".gz", "gzip -dc"),
        (".bgzf", "gzip -dc"),
        (".xz", "xz -dc"),
        (".bzip2", "bzip2 -dc"),
        (".lz4", "lz4 -dc"),
    ] {
        let build = Build::new("web");
        let text: String = (0..200_000).map(|number| format!("{number}\n")).collect();
        let file = build.file("disk.raw", &text);
        let target = build.path(&format!("disk{ending}"));
        let options = json!({"output": target});
        build.run("compress", options, &artifact(&[&file])).await.unwrap();
        let packed = std::fs::metadata(&target).unwrap().len();
        assert!(packed < text.len() as u64 * 3 / 4, "{ending}: {packed}");
        let command = format!("{decompress} < disk{ending}");
        let argv: Vec<&str> = decompress.split(' ').collect();
        if tool(build.directory.path(), &[argv[0], "--version"]).is_some() {
            let unpacked = tool(build.directory.path(), &["sh", "-c", &command]);
            assert!(unpacked.as_deref() == Some(&text), "{ending} does not unpack to its input");
        }
    }
}

#[tokio::test]
async fn packs_zips() {
    let build = Build::new("web");
    let one = build.file("in/one.txt", "hello one\n".repeat(1000));
    let two = build.file("in/two.txt", "");
    let target = build.path("web.zip");
    let options = json!({"output": target});
    // A file that is listed twice is packed once.
    build.run("compress", options, &artifact(&[&one, &two, &one])).await.unwrap();
    let script = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; \
                  print(*(f'/{i.filename.lstrip(\"/\")} {i.file_size} {i.compress_type}' for i in z.infolist()), sep='\\n')";
    let listed = tool(build.directory.path(), &["python3", "-c", script, "web.zip"]);
    if let Some(listed) = listed {
        assert_eq!(listed, format!("{} 10000 8\n{} 0 8\n", one.display(), two.display()));
    }
    tool(build.directory.path(), &["unzip", "-tq", "web.zip"]);
}

#[tokio::test]
async fn says_what_packer_says() {
    let build = Build::new("web");
    let one = build.file("one.txt", "hello one\n");
    let target = build.path("web.tar.gz");
    let options = json!({"output": target});
    build.run("compress", options, &artifact(&[&one])).await.unwrap();
    let target = target.display();
    let cores = match std::thread::available_parallelism().unwrap().get() {
        1 => "1 core".to_owned(),
        cores => format!("{} cores", cores.min(32)),
    };
    assert_eq!(
        build.said.lines(),
        [
            format!("Using pgzip compression with {cores} for {target}"),
            format!("Tarring {target} with pgzip"),
            format!("Archive {target} completed"),
        ]
    );
    // Ten bytes need no progress bar.
    assert_eq!(build.said.events().len(), 3);

    const SIZE: u64 = 20 << 20;
    let big = build.path("big.raw");
    std::fs::File::create(&big).unwrap().set_len(SIZE).unwrap();
    let options = json!({"output": build.path("big.tar")});
    build.run("compress", options, &artifact(&[&big])).await.unwrap();
    let events = build.said.events();
    let has = |wanted: &dyn Fn(&Event) -> bool| events.iter().any(wanted);
    assert!(has(&|event| matches!(event, Event::ProgressStart { total: Some(SIZE), .. })));
    assert!(has(&|event| matches!(event, Event::ProgressAt { position: SIZE, .. })));
    assert!(has(&|event| matches!(event, Event::ProgressEnd { .. })));
}

#[tokio::test]
async fn heeds_the_level_and_the_format() {
    let build = Build::new("web");
    let text: String =
        (0..100_000).map(|number| format!("{}\n", number * 7919 % 100_003)).collect();
    let file = build.file("disk.raw", text);
    let size = async |format: &str, level: i64| {
        let output = build.path("packed");
        let options = json!({"output": output, "format": format, "compression_level": level});
        build.run("compress", options, &artifact(&[&file])).await.unwrap();
        std::fs::metadata(&output).unwrap().len()
    };
    assert!(size("gz", 1).await > size("gz", 9).await);
    assert_eq!(size("gz", 99).await, size("gz", 9).await);
    assert_eq!(size("gz", 0).await, size("gz", 6).await);
    assert!(size("bzip2", 1).await > size("bzip2", 9).await);
    assert!(size("bgzf", 1).await > size("bgzf", 9).await);
    assert!(size("tar", 0).await > file.metadata().unwrap().len());

    let prepared = build.checked("compress", json!({"compression_level": -2}));
    assert_eq!(prepared.unwrap_err().0[0].option.as_deref(), Some("compression_level"));
    let prepared = build.checked("compress", json!({"format": "rar"}));
    assert!(prepared.unwrap().warnings[0].message.contains("\"rar\""));
    let prepared = build.checked("compress", json!({"format": "lz4", "compression_level": 9}));
    assert!(prepared.unwrap().warnings[0].message.contains("no effect"));
}

#[tokio::test]
async fn mistakes_are_reported() {
    let build = Build::new("web");
    let (one, two) = (build.file("one", "1"), build.file("two", "2"));
    let before = names(build.directory.path());
    let fails = async |output: &str, artifact| {
        let options = json!({"output": build.path(output)});
        build.run("compress", options, &artifact).await.map(drop).unwrap_err().to_string()
    };
    let error = fails("x.gz", artifact(&[&one, &two])).await;
    assert!(error.contains("holds one file, but the artifact has 2"), "{error}");
    let error = fails("one", artifact(&[&one, &two])).await;
    assert!(error.contains("cannot be the output"), "{error}");
    let error = fails("x.zip", artifact(&[&build.path("gone")])).await;
    assert!(error.contains("gone: No such file"), "{error}");
    let error = fails("x.tar", artifact(&[build.directory.path()])).await;
    assert!(error.contains("is a directory"), "{error}");
    assert_eq!(names(build.directory.path()), before);
}

#[tokio::test]
async fn a_dropped_build_leaves_nothing() {
    let build = Build::new("web");
    // Sparse, so that it costs nothing to make but long to pack.
    let big = build.path("big.raw");
    std::fs::File::create(&big).unwrap().set_len(8 << 30).unwrap();
    for output in ["big.tar.xz", "big.zip", "big.gz", "big.bgzf"] {
        let options = json!({"output": build.path(output)});
        let (big, build) = (artifact(&[&big]), &build);
        let run = build.run("compress", options, &big);
        let outcome = tokio::time::timeout(Duration::from_millis(200), run).await;
        assert!(outcome.is_err(), "{output}: packed 8 GiB in no time");
    }
    eventually_async("nothing is left", async || {
        let left = names(build.directory.path());
        if left == ["big.raw"] { Ok(()) } else { Err(left.join(" ")) }
    })
    .await;
}

#[tokio::test]
async fn the_packed_file_can_be_destroyed() {
    let build = Build::new("web");
    let one = build.file("one", "1");
    let options = json!({"output": build.path("x.zip")});
    let packed = created(build.run("compress", options, &artifact(&[&one])).await.unwrap());
    Artifact::destroy(&*packed).await.unwrap();
    assert_eq!(names(build.directory.path()), ["one"]);
}

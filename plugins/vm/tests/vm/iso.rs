//! Downloads from a real server that is slow, dies, and changes its mind.

mod packed;

use std::path::{Path, PathBuf};

use ingot_sdk::testing::names;
use ingot_sdk::{ConfigErrors, Error, Prepared};
use ingot_test_support::{Pipe, eventually};
use ingot_vm::iso::{IsoOptions, Retrieved};
use serde_json::{Value, json};

use crate::harness::{Build, Nginx, noise, output, sha256, spawn};

const SIZE: usize = 3 << 20;

fn options(value: Value) -> IsoOptions {
    serde_json::from_value(value).unwrap()
}

async fn retrieve(build: &Build, value: Value) -> Result<Retrieved, Error> {
    options(value).retrieve(&build.ctx, "ISO").await
}

/// A retrieval for another process.
fn job(url: &str, checksum: &str, target: &Path) -> Value {
    json!({"do": "retrieve", "options": {
        "iso_url": url,
        "iso_checksum": checksum,
        "iso_target_path": target,
    }})
}

/// A retrieval without a checksum.
fn unchecked(build: &Build, server: &Nginx) -> Value {
    job(&server.url("a.iso"), "none", &build.path("a.iso"))["options"].take()
}

/// What has arrived of `target` so far.
fn part(target: &Path) -> PathBuf {
    PathBuf::from(format!("{}.part", target.display()))
}

#[tokio::test]
async fn a_download_is_checked_against_a_list_and_kept() {
    let Some(server) = Nginx::start("0") else { return };
    let build = Build::new();
    let bytes = noise(SIZE, 1);
    server.put("pub/my disk.iso", &bytes);
    server.put("pub/SHA256SUMS", format!("{}  my disk.iso\n", sha256(&bytes)).as_bytes());
    let wanted = json!({
        "iso_url": server.url("pub/my%20disk.iso?token=secret"),
        "iso_checksum": format!("file:{}", server.url("pub/SHA256SUMS")),
        "iso_target_path": build.text("isos"),
    });
    let found = retrieve(&build, wanted.clone()).await.unwrap();
    assert_eq!(std::fs::read(&found.path).unwrap(), bytes);
    // Packer's name for it: the SHA-1 of `sha256:…`.
    let mut hasher = ingot_sdk::hash::hasher("sha1").unwrap();
    hasher.update(format!("sha256:{}", sha256(&bytes)).as_bytes());
    let name = format!("{}.iso", ingot_sdk::hash::hex(&hasher.finalize()));
    assert_eq!(found.path, build.path("isos").join(&name));
    assert_eq!(names(&build.path("isos")), [name.clone(), format!("{name}.lock")]);
    assert!(!build.said.lines().concat().contains("secret"));

    // Again: nothing is fetched. Damaged: it is noticed and fetched.
    retrieve(&build, wanted.clone()).await.unwrap();
    assert_eq!(server.requests("pub/my disk.iso").len(), 1);
    std::fs::write(&found.path, noise(SIZE, 2)).unwrap();
    retrieve(&build, wanted).await.unwrap();
    assert_eq!(std::fs::read(&found.path).unwrap(), bytes);
    assert_eq!(server.requests("pub/my disk.iso").len(), 2);
}

#[tokio::test]
async fn mirrors_are_tried_in_order_and_all_reasons_are_reported() {
    let Some(server) = Nginx::start("0") else { return };
    let build = Build::new();
    let (good, bad) = (noise(SIZE, 3), noise(SIZE, 4));
    server.put("good.iso", &good);
    server.put("bad.iso", &bad);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut urls = vec![
        format!("http://127.0.0.1:{closed}/x.iso"),
        server.url("missing.iso"),
        build.text("missing.iso"),
        server.url("bad.iso"),
        server.url("good.iso"),
    ];
    let wanted = |urls: &[String]| {
        json!({
            "iso_urls": urls,
            "iso_checksum": sha256(&good),
            "iso_target_path": build.text("target.iso"),
        })
    };
    let found = retrieve(&build, wanted(&urls)).await.unwrap();
    assert_eq!((found.url, found.path), (server.url("good.iso"), build.path("target.iso")));
    assert_eq!(std::fs::read(build.path("target.iso")).unwrap(), good);

    urls.pop();
    std::fs::remove_file(build.path("target.iso")).unwrap();
    let error = retrieve(&build, wanted(&urls)).await.unwrap_err().to_string();
    for reason in ["Connection refused", "404", "missing.iso: No such file", &sha256(&bad)] {
        assert!(error.contains(reason), "{reason}: {error}");
    }
    assert!(!build.path("target.iso").exists() && !build.path("target.iso.part").exists());
}

/// Starts a download in another process, waits until some of it has arrived, and kills it.
fn killed_midway(job: &Value, part: &Path) {
    let mut child = spawn(job, &[]);
    eventually("a part", || std::fs::metadata(part).ok().filter(|found| found.len() > 500_000));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_killed_download_is_resumed() {
    let Some(mut server) = Nginx::start("1m") else { return };
    let build = Build::new();
    let bytes = noise(SIZE, 5);
    server.put("a.iso", &bytes);
    for checksum in [sha256(&bytes), "none".to_owned()] {
        let target = build.path(&format!("{checksum}.iso"));
        let job = job(&server.url("a.iso"), &checksum, &target);
        let part = part(&target);
        killed_midway(&job, &part);
        assert!(!target.exists(), "a part must not be taken for the whole");
        server.kill();
        server.restart("0");
        let said = output(spawn(&job, &[]));
        assert!(said.contains("Resuming at ") && said.contains("job: "), "{said}");
        assert_eq!(std::fs::read(&target).unwrap(), bytes);
        assert!(!part.exists());
        let last = server.requests("a.iso").pop().unwrap();
        assert!(last.starts_with("206 ") && !last.contains("range=-"), "{last}");
        server.kill();
        server.restart("1m");
    }
}

#[test]
fn a_part_of_a_file_that_has_changed_is_thrown_away() {
    let Some(mut server) = Nginx::start("1m") else { return };
    let build = Build::new();
    let (old, new) = (noise(SIZE, 6), noise(SIZE, 7));
    for checksum in ["none".to_owned(), sha256(&new)] {
        server.put("a.iso", &old);
        let target = build.path(&format!("{checksum}.iso"));
        let job = job(&server.url("a.iso"), &checksum, &target);
        killed_midway(&job, &part(&target));
        // nginx's tags are made of time and length; the time has seconds.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        server.kill();
        server.put("a.iso", &new);
        server.restart("0");
        let said = output(spawn(&job, &[]));
        assert_eq!(std::fs::read(&target).unwrap(), new, "{said}");
        let last = server.requests("a.iso").pop().unwrap();
        assert!(last.starts_with("200 ") && !last.contains("range=-"), "{last}");
        server.kill();
        server.restart("1m");
    }
}

#[test]
fn pieces_from_mirrors_with_different_files_are_noticed() {
    let Some(mut server) = Nginx::start("1m") else { return };
    let build = Build::new();
    let (good, bad) = (noise(SIZE, 8), noise(SIZE, 9));
    server.put("bad.iso", &bad);
    server.put("good.iso", &good);
    let target = build.path("a.iso");
    let job = |name: &str| job(&server.url(name), &sha256(&good), &target);
    let (bad_job, good_job) = (job("bad.iso"), job("good.iso"));
    killed_midway(&bad_job, &part(&target));
    server.kill();
    server.restart("0");
    let said = output(spawn(&good_job, &[]));
    assert!(said.contains("Resuming at ") && said.contains("Starting over"), "{said}");
    assert_eq!(std::fs::read(&target).unwrap(), good);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_midway_is_asked_again() {
    let Some(mut server) = Nginx::start("1m") else { return };
    let build = Build::new();
    let bytes = noise(SIZE, 10);
    server.put("a.iso", &bytes);
    let wanted = options(unchecked(&build, &server));
    let ctx = build.ctx.clone();
    let running = tokio::spawn(async move { wanted.retrieve(&ctx, "ISO").await });
    let part = build.path("a.iso.part");
    tokio::task::block_in_place(|| {
        eventually("a part", || {
            std::fs::metadata(&part).ok().filter(|found| found.len() > 500_000)
        });
        server.kill();
        // While nobody listens there, it is asked again as well.
        let refused = |line: &String| line.contains("asking the server: ");
        eventually("a try in vain", || build.said.lines().into_iter().find(refused));
        server.restart("0");
    });
    running.await.unwrap().unwrap();
    assert_eq!(std::fs::read(build.path("a.iso")).unwrap(), bytes);
    assert!(build.said.lines().iter().any(|line| line.contains("trying again")));
}

#[test]
fn processes_that_want_the_same_file_download_it_once() {
    let Some(server) = Nginx::start("2m") else { return };
    let build = Build::new();
    let bytes = noise(SIZE, 11);
    server.put("a.iso", &bytes);
    let job = json!({"do": "retrieve", "options": {
        "iso_url": server.url("a.iso"),
        "iso_checksum": format!("sha256:{}", sha256(&bytes)),
        "iso_target_extension": "IMG",
    }});
    let cache = build.text("cache");
    let children: Vec<_> = (0..4).map(|_| spawn(&job, &[("PACKER_CACHE_DIR", &cache)])).collect();
    let said: Vec<String> = children.into_iter().map(output).collect();
    let paths: Vec<&str> = said
        .iter()
        .map(|said| said.lines().find_map(|line| line.strip_prefix("job: ")).expect(said))
        .collect();
    assert!(
        paths.iter().all(|path| path.starts_with(&cache) && path.ends_with(".img")),
        "{paths:?}"
    );
    assert_eq!(std::fs::read(paths[0]).unwrap(), bytes);
    assert_eq!(server.requests("a.iso").len(), 1);
    let waited = said.iter().filter(|said| said.contains("Waiting for another build")).count();
    assert_eq!(waited, 3, "{said:?}");
}

#[tokio::test]
async fn without_a_checksum_the_server_is_asked_whether_the_file_has_changed() {
    let Some(server) = Nginx::start("0") else { return };
    let build = Build::new();
    let (old, new) = (noise(SIZE, 12), noise(SIZE, 13));
    server.put("a.iso", &old);
    let wanted = unchecked(&build, &server);
    let found = retrieve(&build, wanted.clone()).await.unwrap();
    assert_eq!(found.checksum, None);
    retrieve(&build, wanted.clone()).await.unwrap();
    assert!(server.requests("a.iso")[1].starts_with("304 "));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    server.put("a.iso", &new);
    retrieve(&build, wanted.clone()).await.unwrap();
    assert_eq!(std::fs::read(build.path("a.iso")).unwrap(), new);
    // One that Packer left, of which nothing else is known: by its length.
    std::fs::remove_file(build.path("a.iso.state")).unwrap();
    std::fs::write(build.path("a.iso"), &old).unwrap();
    retrieve(&build, wanted).await.unwrap();
    assert_eq!(std::fs::read(build.path("a.iso")).unwrap(), old);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_stops_a_download_at_once() {
    let Some(server) = Nginx::start("100k") else { return };
    let build = Build::new();
    server.put("a.iso", &noise(SIZE, 14));
    let wanted = options(unchecked(&build, &server));
    let ctx = build.ctx.clone();
    let running = tokio::spawn(async move { wanted.retrieve(&ctx, "ISO").await });
    let part = build.path("a.iso.part");
    tokio::task::block_in_place(|| eventually("a part", || std::fs::metadata(&part).ok()));
    let start = std::time::Instant::now();
    build.ctx.cancel.cancel();
    assert!(running.await.unwrap().unwrap_err().is_cancelled());
    assert!(start.elapsed() < std::time::Duration::from_secs(5));
    assert!(!build.path("a.iso").exists());
}

#[test]
fn logins_come_from_netrc() {
    let Some(server) = Nginx::start("0") else { return };
    let build = Build::new();
    let bytes = noise(SIZE, 17);
    server.put("private/a.iso", &bytes);
    server.put("private/SHA256SUMS", format!("{}  a.iso\n", sha256(&bytes)).as_bytes());
    let target = build.path("a.iso");
    let list = format!("file:{}", server.url("private/SHA256SUMS"));
    let job = job(&server.url("private/a.iso"), &list, &target);
    let retrieve_with = |netrc: &str| output(spawn(&job, &[("NETRC", netrc)]));
    let written = |text: &str| build.file("netrc", text).display().to_string();
    let other = written("machine example.com login me password letmein");
    let directory = build.directory.path().display().to_string();
    for none in [other.as_str(), directory.as_str(), "/nowhere", "/dev/null", "/dev/null/.netrc"] {
        let said = retrieve_with(none);
        assert!(said.contains("failed: ") && said.contains("401"), "{none}: {said}");
        assert!(!target.exists());
    }
    // A login that may be there and cannot be read is named in the error.
    let said = retrieve_with("/dev/zero");
    assert!(said.contains("looking for a login: /dev/zero"), "{said}");
    assert!(said.contains("NETRC=/dev/null"), "{said}");
    let said = retrieve_with(&written("machine 127.0.0.1\n  login me\n  password letmein\n"));
    assert!(said.contains("job: ") && !said.contains("letmein"), "{said}");
    assert_eq!(std::fs::read(&target).unwrap(), bytes);
    // A pipe gives it once: for the list, and for the image.
    std::fs::remove_file(&target).unwrap();
    let pipe = build.path("netrc.pipe");
    let writer = Pipe::feed(&pipe, "machine 127.0.0.1 login me password letmein");
    let said = retrieve_with(&pipe.display().to_string());
    writer.end();
    assert!(said.contains("job: "), "{said}");
    assert_eq!(std::fs::read(&target).unwrap(), bytes);
}

#[tokio::test]
async fn a_checksum_in_the_url_is_heeded_and_not_sent() {
    let Some(server) = Nginx::start("0") else { return };
    let build = Build::new();
    let bytes = noise(SIZE, 16);
    server.put("a.iso", &bytes);
    let url = |sum: &str| server.url(&format!("a.iso?checksum=sha256:{sum}&x=1"));
    let with = |sum: &str| job(&url(sum), "none", &build.path("a.iso"))["options"].take();
    let found = retrieve(&build, with(&sha256(&bytes))).await.unwrap();
    assert_eq!(found.checksum.unwrap().value(), sha256(&bytes));
    let error = retrieve(&build, with(&sha256(b"other"))).await.unwrap_err().to_string();
    assert!(error.contains(&sha256(&bytes)) && error.contains(&sha256(b"other")), "{error}");
    let log = server.log();
    assert!(log.contains("/a.iso?x=1 ") && !log.contains("checksum"), "{log}");
}

#[tokio::test]
async fn files_here_are_used_where_they_are() {
    let build = Build::new();
    let bytes = noise(SIZE, 15);
    let path = build.file("my disk.iso", &bytes);
    build.file("sums", format!("SHA256 (my disk.iso) = {}\n", sha256(&bytes)));
    for url in [build.text("my disk.iso"), format!("file://{}", build.text("my%20disk.iso"))] {
        let found = retrieve(
            &build,
            json!({"iso_url": url, "iso_checksum": format!("file:{}", build.text("sums"))}),
        )
        .await
        .unwrap();
        assert_eq!(found.path, path);
        assert_eq!(found.checksum.unwrap().value(), sha256(&bytes));
    }
    std::fs::write(&path, "changed").unwrap();
    let wanted = json!({"iso_url": build.text("my disk.iso"), "iso_checksum": sha256(&bytes)});
    let error = retrieve(&build, wanted).await.unwrap_err().to_string();
    assert!(error.contains(&sha256(b"changed")) && error.contains(&sha256(&bytes)), "{error}");
    assert!(path.exists(), "a file of the user must not be removed");
}

fn prepared(value: Value) -> (Vec<String>, Vec<String>) {
    let (mut prepared, mut errors) = (Prepared::default(), ConfigErrors::default());
    options(value).prepare(&mut prepared, &mut errors);
    let errors = errors
        .0
        .into_iter()
        .map(|error| format!("{}: {}", error.option.as_deref().unwrap_or("block"), error.message));
    let warnings = prepared.warnings.into_iter().map(|warning| warning.message);
    (warnings.collect(), errors.collect())
}

#[test]
fn options_are_checked_offline() {
    let build = Build::new();
    let md5 = "d41d8cd98f00b204e9800998ecf8427e";
    let errors = |value| prepared(value).1;
    assert_eq!(errors(json!({"iso_url": "http://192.0.2.1/a.iso", "iso_checksum": md5})), [""; 0]);
    assert_eq!(
        errors(json!({"iso_url": "a", "iso_urls": ["b"], "iso_checksum": "none"})),
        ["iso_urls: `iso_url` and `iso_urls` cannot be used together"]
    );
    assert_eq!(errors(json!({})), ["block: one of `iso_url` and `iso_urls` must be set"]);
    assert_eq!(errors(json!({"iso_url": "a.iso"})), ["block: `iso_checksum` must be set"]);
    assert!(errors(json!({"iso_url": "s3://b/a.iso", "iso_checksum": md5}))[0].contains("`s3`"));
    let list = build.file("sums", format!("{md5}  other.iso\n"));
    let listed =
        json!({"iso_url": "http://h/a.iso", "iso_checksum": format!("file:{}", list.display())});
    assert!(errors(listed)[0].ends_with("sums has no checksum for a.iso"));
    let missing = json!({"iso_url": "http://h/a.iso", "iso_checksum": "file:/no/such/list"});
    assert!(errors(missing)[0].contains("No such file"));
    let (warnings, errors) = prepared(json!({"iso_url": "http://h/a.iso", "iso_checksum": "none"}));
    assert!(errors.is_empty() && warnings[0].contains("not noticed"));
}

//! Moving files.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ingot_sdk::testing::RecordedOutput;
use ingot_sdk::{Communicator, FileMeta, Result};
use serde_json::json;

use crate::harness::{connect_in, connected, context, options, output};
use ingot_test_support::sshd::{PASSWORD, Server, available};
use ingot_test_support::{PATIENCE, eventually_async, require};

/// The options for each way to copy, and configuration of the server that forces it.
const WAYS: [(&str, &str); 3] = [("scp", "tar"), ("scp", "scp"), ("sftp", "sftp")];

/// A server and a connection that copies directories in the given way.
async fn by(way: (&str, &str)) -> (Server, std::sync::Arc<dyn Communicator>) {
    // Without tar in its PATH the machine has none.
    let bin = tempfile::tempdir().unwrap();
    let mut more = String::new();
    let directory = bin.keep();
    if way.1 == "scp" {
        for program in ["scp", "sh", "bash", "cat", "mkdir", "stat", "find", "id", "df"] {
            let path =
                ingot_test_support::output_of("sh", &["-c", &format!("command -v {program}")]);
            std::os::unix::fs::symlink(path, directory.join(program)).unwrap();
        }
        std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o755)).unwrap();
        more = format!("SetEnv PATH={}", directory.display());
    }
    let server = Server::start(&more);
    let link = connected(&server, json!({ "ssh_file_transfer_method": way.0 })).await;
    (server, link)
}

async fn upload(link: &dyn Communicator, path: &str, bytes: &[u8], mode: u32) -> Result<()> {
    link.upload(path, &mut &*bytes, FileMeta::new(bytes.len() as u64, mode)).await
}

async fn download(link: &dyn Communicator, path: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    link.download(path, &mut bytes).await.map(|()| bytes)
}

/// Paths, modes and contents below `directory`, one a line.
fn listing(directory: &Path) -> String {
    let script = "find . -mindepth 1 \\( -type d -printf '%P %m\\n' \\) -o -printf '%P %m ' \
                  -exec cat {} \\; | sort";
    let script = format!("cd '{}' && {script}", directory.display());
    ingot_test_support::output_of("sh", &["-c", &script])
}

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn single_files() {
    require!(available());
    for way in WAYS {
        let (server, link) = by(way).await;
        let big: Vec<u8> = (0..20_000_000u32).map(|n| (n * 7 % 253) as u8).collect();
        for (path, bytes, mode) in [
            ("/with space & 'quotes'", &b"text"[..], 0o750),
            ("/empty", b"", 0o600),
            ("/big", &big, 0o644),
            ("/big", b"smaller now", 0o640),
        ] {
            let path = server.text("home") + path;
            upload(&*link, &path, bytes, mode).await.unwrap_or_else(|e| panic!("{way:?}: {e}"));
            let meta = std::fs::metadata(&path).unwrap();
            // A file that is there keeps its mode with scp, as with OpenSSH's own.
            if bytes != b"smaller now" {
                assert_eq!(meta.permissions().mode() & 0o7777, mode, "{way:?} {path}");
            }
            assert!(std::fs::read(&path).unwrap() == bytes, "{way:?} {path}");
            assert!(download(&*link, &path).await.unwrap() == bytes, "{way:?} {path}");
        }
        upload(&*link, "relative", b"r", 0o644).await.unwrap();
        assert_eq!(std::fs::read(server.path("home/relative")).unwrap(), b"r");
    }
}

#[tokio::test]
async fn files_that_cannot_be_written_or_read_are_errors() {
    require!(available());
    for way in WAYS {
        let (server, link) = by(way).await;
        let said = |result: Result<()>| result.unwrap_err().to_string().to_lowercase();
        for path in ["/nowhere/x", "/etc/x", "/root/x"] {
            let error = said(upload(&*link, path, b"x", 0o644).await);
            assert!(error.starts_with(&format!("uploading to {path}: ")), "{way:?}: {error}");
            let reason = if path.starts_with("/no") { "no such file" } else { "permission denied" };
            assert!(error.contains(reason), "{way:?}: {error}");
        }
        let error = said(download(&*link, "/nowhere").await.map(|_| ()));
        assert!(
            error.contains("downloading /nowhere") && error.contains("no such file"),
            "{error}"
        );
        let result = upload(&*link, "/tmp", b"x", 0o644).await;
        let advice = result.unwrap_err().advice().unwrap_or_default().to_owned();
        assert!(advice.contains("end the destination with a slash: /tmp/"), "{way:?}: {advice}");
        let meta = FileMeta::new(5, 0o644);
        let path = server.text("home/short");
        let error = said(link.upload(&path, &mut &b"abc"[..], meta).await);
        assert!(error.contains("changed while it was being read"), "{way:?}: {error}");
        let error = said(link.upload(&path, &mut &b"abcdefgh"[..], meta).await);
        assert!(error.contains("changed while it was being read"), "{way:?}: {error}");
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("f"), "x", 0o644);
        let error = said(link.upload_dir(dir.path(), "/etc/new", false).await);
        assert!(
            error.contains("/etc/new") && error.contains("permission denied"),
            "{way:?}: {error}"
        );
        let error = said(link.download_dir("/nowhere", dir.path(), false).await);
        assert!(error.contains("no such file"), "{way:?}: {error}");
        // And none of it has hurt the connection.
        assert_eq!(output(&*link, "echo well").await, "well\n");
    }
}

#[tokio::test]
async fn a_full_disk_is_an_error() {
    require!(available());
    for way in WAYS {
        let (_server, link) = by(way).await;
        let bytes = vec![1; 3_000_000];
        let error = upload(&*link, "small/big", &bytes, 0o644).await.unwrap_err().to_string();
        // SFTP has no word for it.
        assert!(error.contains("No space left") || error.contains("ailure"), "{way:?}: {error}");
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("big"), &bytes).unwrap();
        let error = link.upload_dir(dir.path(), "small", true).await.unwrap_err().to_string();
        assert!(error.contains("No space left") || error.contains("ailure"), "{way:?}: {error}");
    }
}

#[tokio::test]
async fn directories() {
    require!(available());
    for way in WAYS {
        let (server, link) = by(way).await;
        let local = tempfile::tempdir().unwrap();
        let up = local.path().join("up");
        write(&up.join("a"), "1", 0o640);
        write(&up.join("sub dir/b"), "2", 0o755);
        write(&up.join("sub dir/deep/c"), "3", 0o600);
        std::fs::create_dir(up.join("empty")).unwrap();
        std::fs::set_permissions(up.join("sub dir/deep"), PermissionsExt::from_mode(0o750))
            .unwrap();
        std::os::unix::fs::symlink("a", up.join("link")).unwrap();
        let expected = listing(&up).replace("link 777 ", "link 640 ");
        let home = |name: &str| {
            (server.path(&format!("home/{name}")), server.text(&format!("home/{name}")))
        };
        let check = |path: &Path| assert_eq!(listing(path), expected, "{way:?} {}", path.display());

        // A destination that does not exist becomes the copy.
        link.upload_dir(&up, &home("new").1, false)
            .await
            .unwrap_or_else(|e| panic!("{way:?}: {e}"));
        check(&home("new").0);
        // Into one that does, it goes with its name, also a second time.
        output(&*link, "mkdir there").await;
        for _ in 0..2 {
            link.upload_dir(&up, &home("there").1, false).await.unwrap();
            check(&home("there/up").0);
        }
        // A path that ends with a dot stands for what is in it, and a link goes by its own name.
        output(&*link, "mkdir dotted linked").await;
        link.upload_dir(&up.join("."), &home("dotted").1, false).await.unwrap();
        check(&home("dotted").0);
        let named = local.path().join("named");
        std::os::unix::fs::symlink("up", &named).unwrap();
        link.upload_dir(&named, &home("linked").1, false).await.unwrap();
        check(&home("linked/named").0);
        // Its contents only.
        output(&*link, "mkdir -m 711 inside").await;
        link.upload_dir(&up, &home("inside").1, true).await.unwrap();
        check(&home("inside").0);
        let mode = std::fs::metadata(home("inside").0).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o711, "a directory that was there is left as it was");

        for source in [home("new").1, home("new").1 + "/"] {
            let down = local.path().join("down");
            for _ in 0..2 {
                link.download_dir(&source, &down, source.ends_with('/')).await.unwrap();
            }
            check(&down.join("new"));
            std::fs::remove_dir_all(&down).unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_there_stays_as_it_is_where_a_directory_is_uploaded() {
    require!(available());
    let local = tempfile::tempdir().unwrap();
    let root = local.path().join("root");
    for name in ["lib/f", "tmp/g", "etc/key", "new/h"] {
        write(&root.join(name), "new", 0o644);
    }
    for (way, contents_only) in WAYS.into_iter().flat_map(|way| [(way, true), (way, false)]) {
        let (server, link) = by(way).await;
        let there = "mkdir -p root/usr/lib root/etc && /bin/ln -s usr/lib root/lib && \
                     mkdir -m 1777 root/tmp && (umask 77; echo old > root/etc/key)";
        output(&*link, there).await;
        let destination = server.text(if contents_only { "home/root" } else { "home" });
        let uploaded = link.upload_dir(&root, &destination, contents_only).await;
        uploaded.unwrap_or_else(|error| panic!("{way:?} {contents_only}: {error}"));
        let at = |name: &str| server.path("home/root").join(name);
        assert!(at("lib").is_symlink(), "{way:?} {contents_only}");
        for name in ["usr/lib/f", "tmp/g", "etc/key", "new/h"] {
            let text = std::fs::read_to_string(at(name)).unwrap();
            assert_eq!(text, "new", "{way:?} {contents_only} {name}");
        }
        // SFTP sets modes, as in Packer.
        if way.0 != "sftp" {
            let mode =
                |name: &str| std::fs::metadata(at(name)).unwrap().permissions().mode() & 0o7777;
            let modes = [mode("tmp"), mode("etc/key"), mode("new/h")];
            assert_eq!(modes, [0o1777, 0o600, 0o644], "{way:?} {contents_only}");
        }
    }
}

#[tokio::test]
async fn a_directory_in_which_something_is_written_is_downloaded() {
    require!(available());
    let server = Server::start("");
    let shown = Arc::<RecordedOutput>::default();
    let with = options(&server, json!({ "ssh_password": PASSWORD }));
    let link = connect_in(&context(&shown), with).await.unwrap();
    let log = server.path("home/logs/log");
    write(&log, "", 0o644);
    // Long enough to change while it is read.
    let file = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
    file.set_len(200 << 20).unwrap();
    let ends = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let ends = Arc::clone(&ends);
        move || {
            while !ends.load(Ordering::Relaxed) {
                (&file).write_all(b"line\n").unwrap();
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
    });
    let here = tempfile::tempdir().unwrap();
    let downloaded = link.download_dir("logs", here.path(), false).await;
    ends.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    downloaded.unwrap();
    assert!(std::fs::metadata(here.path().join("logs/log")).unwrap().len() >= 200 << 20);
    let lines = shown.text();
    assert!(lines.contains("log: file changed as we read it"), "{lines}");
}

#[tokio::test]
async fn a_server_that_prints_for_ever_is_given_up() {
    require!(available());
    let server = Server::start("ForceCommand cat /dev/zero");
    let link = connected(&server, json!({})).await;
    let here = tempfile::tempdir().unwrap();
    write(&here.path().join("a"), "A", 0o644);
    let error = link.upload_dir(here.path(), "there", false).await.unwrap_err();
    assert!(error.to_string().contains("prints too much"), "{error}");
}

#[tokio::test]
async fn a_server_with_nothing_but_sftp() {
    require!(available());
    let server = Server::start("Subsystem sftp internal-sftp\nForceCommand internal-sftp");
    let link = connected(&server, json!({ "ssh_file_transfer_method": "sftp" })).await;
    upload(&*link, "f", b"x", 0o644).await.unwrap();
    assert_eq!(download(&*link, "f").await.unwrap(), b"x");
    let none = Server::start("Subsystem other /bin/true");
    let link = connected(&none, json!({ "ssh_file_transfer_method": "sftp" })).await;
    let error = upload(&*link, "f", b"x", 0o644).await.unwrap_err();
    assert!(error.to_string().contains("has no SFTP"), "{error}");
    assert!(error.advice().unwrap().contains("ssh_file_transfer_method = \"scp\""));
}

#[tokio::test]
async fn a_connection_lost_half_way_is_an_error() {
    require!(available());
    for way in WAYS {
        let (server, link) = by(way).await;
        // An endless source.
        let meta = FileMeta::new(1 << 40, 0o644);
        let mut source = tokio::io::repeat(7);
        let uploading = link.upload("never", &mut source, meta);
        let begun = server.path("home/never");
        let cutting = async {
            let is_written = async || std::fs::metadata(&begun).is_ok_and(|file| file.len() > 0);
            eventually_async("it is written", is_written).await;
            server.kill_sessions();
        };
        let (uploaded, ()) = tokio::join!(uploading, cutting);
        let error = uploaded.unwrap_err().to_string();
        assert!(error.contains("lost") && error.contains("uploading to never"), "{way:?}: {error}");
        assert_eq!(output(&*link, "echo again").await, "again\n");
    }
}

#[tokio::test]
async fn a_copy_that_is_given_up_holds_nothing_up() {
    require!(available());
    for way in WAYS {
        let (_server, link) = by(way).await;
        for _ in 0..5 {
            let meta = FileMeta::new(1 << 40, 0o644);
            let mut source = tokio::io::repeat(7);
            let uploading = link.upload("given-up", &mut source, meta);
            let limit = std::time::Duration::from_millis(300);
            assert!(tokio::time::timeout(limit, uploading).await.is_err());
            let next = tokio::time::timeout(PATIENCE, output(&*link, "echo next")).await;
            assert_eq!(next.unwrap_or_else(|_| panic!("{way:?} is stuck")), "next\n");
        }
    }
}

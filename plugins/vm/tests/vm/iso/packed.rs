//! Files that are packed.

use std::path::Path;

use ingot_sdk::testing::names;
use ingot_test_support::output_of;
use serde_json::json;

use super::{SIZE, retrieve};
use crate::harness::{Build, Nginx, noise, sha256};

#[tokio::test]
async fn packed_files_are_unpacked_once() {
    let Some(server) = Nginx::start("0") else { return };
    let build = Build::new();
    let bytes = noise(SIZE, 7);
    let zip = "import sys, zipfile; zipfile.ZipFile(sys.argv[2], 'w', 8).write(sys.argv[1], 'd')";
    for (ending, program) in [("gz", "gzip"), ("bz2", "bzip2"), ("xz", "xz"), ("zip", "python3")] {
        let (plain, packed) = (build.path("plain"), build.path(&format!("disk.iso.{ending}")));
        std::fs::write(&plain, &bytes).unwrap();
        let paths = [plain.to_str().unwrap(), packed.to_str().unwrap()];
        let created = match program {
            "python3" => output_of(program, &["-c", zip, paths[0], paths[1]]),
            // Two pieces in one file, as what is packed in parallel has.
            _ => output_of(
                "sh",
                &[
                    "-c",
                    &format!(
                        "(head -c 1000000 \"$0\" | {program} -c; tail -c +1000001 \"$0\" | {program} -c) >\"$1\""
                    ),
                    paths[0],
                    paths[1],
                ],
            ),
        };
        assert_eq!(created, "", "{program}");
        let archive = std::fs::read(&packed).unwrap();
        server.put(&format!("disk.iso.{ending}"), &archive);
        let urls = [packed.display().to_string(), server.url(&format!("disk.iso.{ending}"))];
        for (index, url) in urls.iter().enumerate() {
            let directory = format!("isos-{ending}-{index}");
            let wanted = json!({
                "iso_url": url,
                "iso_checksum": format!("sha256:{}", sha256(&archive)),
                "iso_target_path": build.text(&directory),
            });
            let before = build.said.lines().len();
            let found = retrieve(&build, wanted.clone()).await.unwrap();
            assert!(std::fs::read(&found.path).unwrap() == bytes, "{url}");
            assert!(found.path.extension().is_some_and(|ending| ending == "iso"), "{found:?}");
            let again = retrieve(&build, wanted.clone()).await.unwrap();
            assert_eq!(again.path, found.path);
            let said = build.said.lines()[before..].join("\n");
            assert_eq!(said.matches("Unpacking ").count(), 1, "{said}");
            // What was unpacked is damaged, and as long and old as before: it is unpacked again.
            if index == 0 {
                damage(&found.path);
                let mended = retrieve(&build, wanted.clone()).await.unwrap();
                assert!(std::fs::read(&mended.path).unwrap() == bytes, "{url}");
            }
            // What was packed has changed: another file comes of it.
            if index == 0 && ending == "gz" {
                std::fs::write(&plain, "new").unwrap();
                output_of("sh", &["-c", "gzip -c \"$0\" >\"$1\"", paths[0], paths[1]]);
                let mut changed = wanted;
                changed["iso_checksum"] = "none".into();
                changed["iso_target_path"] = found.path.to_str().unwrap().into();
                let changed = retrieve(&build, changed).await.unwrap();
                assert_eq!(std::fs::read(&changed.path).unwrap(), b"new");
            }
        }
    }
}

/// Changes one byte of a file, and leaves its size and its time of modification as they are.
fn damage(path: &Path) {
    let before = std::fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(path, bytes).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(before).unwrap();
}

#[tokio::test]
async fn builds_that_want_the_same_packed_file_unpack_it_once() {
    let Some(server) = Nginx::start("0") else { return };
    let build = Build::new();
    let bytes = noise(SIZE, 5);
    std::fs::write(build.path("plain"), &bytes).unwrap();
    output_of("gzip", &["-k", &build.text("plain")]);
    let archive = std::fs::read(build.path("plain.gz")).unwrap();
    server.put("disk.iso.gz", &archive);
    let wanted = json!({
        "iso_url": server.url("disk.iso.gz"),
        "iso_checksum": format!("sha256:{}", sha256(&archive)),
        "iso_target_path": build.text("isos"),
    });
    let (one, other) =
        tokio::join!(retrieve(&build, wanted.clone()), retrieve(&build, wanted.clone()));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert!(one.path == other.path && std::fs::read(&one.path).unwrap() == bytes);
    let said = build.said.lines().join("\n");
    assert_eq!(said.matches("Unpacking ").count(), 1, "{said}");
    assert!(said.contains("Waiting for another build"), "{said}");
}

#[tokio::test]
async fn a_packed_file_is_not_unpacked_over_itself() {
    let build = Build::new();
    std::fs::write(build.path("plain"), "hello").unwrap();
    let packed = build.text("disk.iso.gz");
    output_of("sh", &["-c", "gzip -c \"$0\" >\"$1\"", &build.text("plain"), &packed]);
    let before = std::fs::read(&packed).unwrap();
    std::os::unix::fs::symlink(&packed, build.path("link.iso")).unwrap();
    for target in [packed.clone(), build.text("link.iso")] {
        let wanted = json!({"iso_url": packed, "iso_checksum": "none", "iso_target_path": target});
        let error = retrieve(&build, wanted).await.unwrap_err().to_string();
        assert!(error.contains("cannot be unpacked in its own place"), "{error}");
        assert_eq!(std::fs::read(&packed).unwrap(), before);
    }
}

/// Writes an xz file that says it needs a window of 4 GiB: its header is changed, and the checksum of
/// that made right again.
const XZ_BOMB: &str = "
import lzma, struct, sys, zlib
xz = bytearray(lzma.compress(bytes(100000)))
size = (xz[12] + 1) * 4
at = xz.index(b'\\x21\\x01', 12) + 2
xz[at] = 40
xz[12 + size - 4:12 + size] = struct.pack('<I', zlib.crc32(xz[12:12 + size - 4]))
open(sys.argv[1], 'wb').write(xz)
";

#[tokio::test]
async fn what_cannot_be_unpacked_is_reported_and_leaves_nothing() {
    let build = Build::new();
    let bytes = noise(100_000, 9);
    std::fs::write(build.path("plain"), &bytes).unwrap();
    let (plain, cut) = (build.text("plain"), build.text("cut.iso.gz"));
    output_of("sh", &["-c", "gzip -c \"$0\" | head -c 50000 >\"$1\"", &plain, &cut]);
    std::fs::write(build.path("none.iso.xz"), "no archive").unwrap();
    let two = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1], 'w')\n\
               z.writestr('a', 'a'); z.writestr('b', 'b')";
    output_of("python3", &["-c", two, &build.text("two.zip")]);
    output_of("python3", &["-c", XZ_BOMB, &build.text("bomb.iso.xz")]);
    for (file, problem) in [
        ("cut.iso.gz", "unpacking"),
        ("none.iso.xz", "unpacking"),
        ("two.zip", "it has to hold one file, and holds 2"),
        ("bomb.iso.xz", "it takes more than 512 MiB"),
    ] {
        let wanted = json!({
            "iso_url": build.text(file),
            "iso_checksum": "none",
            "iso_target_path": build.text("isos"),
        });
        let error = retrieve(&build, wanted).await.unwrap_err().to_string();
        assert!(error.contains(problem) && error.contains(file), "{error}");
        let left = names(&build.path("isos"));
        assert!(left.iter().all(|name| name.ends_with(".lock")), "{left:?}");
    }
}

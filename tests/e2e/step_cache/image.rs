//! What is in an image.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use flate2::read::GzDecoder;
use ingot_sdk::hash::sha256;
use serde_json::Value;

use ingot_test_support::output_of;

/// What an image is configured to be. The host's name is that of the container it comes from.
pub(super) fn config(image: &str) -> Value {
    let text = output_of("docker", &["inspect", "-f", "{{json .Config}}", image]);
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["Hostname"] = Value::Null;
    config
}

/// The checksums of the layers of an image.
pub(super) fn layers(image: &str) -> Vec<String> {
    let text = output_of("docker", &["inspect", "-f", "{{json .RootFS.Layers}}", image]);
    serde_json::from_str(&text).unwrap()
}

/// The layers of an image, as tar archives, which Engines with the image store of containerd compress.
pub(super) fn archives(image: &str) -> Vec<Vec<u8>> {
    let saved = Command::new("docker").args(["save", image]).output().unwrap().stdout;
    let file = |wanted: &str| {
        let mut archive = tar::Archive::new(&saved[..]);
        let entries = archive.entries().unwrap().map(Result::unwrap);
        let mut found = entries.filter(|entry| entry.path().unwrap() == Path::new(wanted));
        let mut bytes = Vec::new();
        found.next().unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    let manifest: Value = serde_json::from_slice(&file("manifest.json")).unwrap();
    let layers = manifest[0]["Layers"].as_array().unwrap().iter();
    let unpacked = |packed: Vec<u8>| {
        let mut bytes = Vec::new();
        match packed.starts_with(&[0x1f, 0x8b]) {
            true => drop(GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap()),
            false => bytes = packed,
        }
        bytes
    };
    layers.map(|layer| unpacked(file(layer.as_str().unwrap()))).collect()
}

pub(super) const MOUNT_POINTS: [&str; 5] =
    ["packer-files/", "etc/", "etc/hosts", "etc/hostname", "etc/resolv.conf"];

/// The last layer of an image, entry for entry with its header; but for the mount point of the scratch
/// volume, which is made when a container starts, and those of files that the Engine mounts, which some
/// Engines make when something is uploaded.
pub(super) fn last_layer(image: &str) -> Vec<String> {
    let layer = archives(image).pop().unwrap();
    let mut archive = tar::Archive::new(&layer[..]);
    let mut entries = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut data = Vec::new();
        entry.read_to_end(&mut data).unwrap();
        let path = entry.path().unwrap().display().to_string();
        let (header, data) = (entry.header(), String::from_utf8_lossy(&data));
        // What marks that a file was deleted is of the time when it was deleted.
        if path.contains("/.wh.") {
            entries.push(path);
        } else if !MOUNT_POINTS.contains(&path.as_str()) {
            entries.push(format!("{path} {header:?} {data}"));
        }
    }
    entries
}

/// Whether a path of an image is of the Engine, which mounts something there.
pub(super) fn is_mounted(path: &str) -> bool {
    let first = path.split('/').next().unwrap_or_default();
    ["proc", "sys", "dev"].contains(&first)
        || ["etc/hosts", "etc/hostname", "etc/resolv.conf"].contains(&path)
}

/// All files of an image: kind, mode, owner, and contents of those that are no programs; but for what the
/// Engine mounts.
pub(super) fn files(image: &str) -> String {
    // Nothing runs in it.
    let container = output_of("docker", &["create", "--entrypoint", "/none", image]);
    let export = Command::new("docker").args(["export", &container]).output();
    output_of("docker", &["rm", "-v", &container]);
    let export = export.unwrap();
    assert!(export.status.success(), "{}", String::from_utf8_lossy(&export.stderr));
    let plain = |path: &Path| {
        let path = path.display().to_string();
        path.trim_start_matches("./").trim_end_matches('/').to_owned()
    };
    let mut sums: HashMap<String, String> = HashMap::new();
    let mut lines = Vec::new();
    for entry in tar::Archive::new(&export.stdout[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = plain(&entry.path().unwrap());
        if is_mounted(&path) {
            continue;
        }
        let header = entry.header();
        let (mut kind, mode) = (header.entry_type(), header.mode().unwrap() & 0o7777);
        let (uid, gid) = (header.uid().unwrap(), header.gid().unwrap());
        let sum = match kind {
            // Another name of a file that came before.
            tar::EntryType::Link => {
                kind = tar::EntryType::Regular;
                let file = plain(&entry.link_name().unwrap().unwrap());
                sums[&file].clone()
            }
            _ => {
                let mut data = Vec::new();
                entry.read_to_end(&mut data).unwrap();
                sha256(data)
            }
        };
        let mut line = format!("/{path} {kind:?} {mode:o} {uid} {gid}\n");
        if kind.is_file() && mode & 0o111 == 0 {
            line += &format!("{sum} /{path}\n");
        }
        lines.push((path.clone(), line));
        sums.insert(path, sum);
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

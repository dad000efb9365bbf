//! What builds leave, as text that is the same for the same result.

use std::fmt::Write as _;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use ingot_test_support::output_of;

/// Fails naming the lines that differ.
pub(super) fn same(theirs: &str, ours: &str, what: &str) {
    if theirs == ours {
        return;
    }
    let (theirs, ours): (Vec<&str>, Vec<&str>) = (theirs.lines().collect(), ours.lines().collect());
    let mut text = String::new();
    for line in theirs.iter().filter(|line| !ours.contains(line)) {
        let _ = writeln!(text, "Packer: {line}");
    }
    for line in ours.iter().filter(|line| !theirs.contains(line)) {
        let _ = writeln!(text, "Ingot:  {line}");
    }
    panic!("different {what}\n--- what differs ---\n{text}");
}

/// `text` without what differs from run to run: ids, times, random names.
pub(super) fn steady(text: &str) -> String {
    static VOLATILE: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        [
            (r"\b[0-9a-f]{64}\b", "ID64"),
            (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "UUID"),
            (r"\b[0-9a-f]{12}\b", "ID12"),
            (r#""build_time": \d+"#, r#""build_time": TIME"#),
            (r"\bparity-[pi]\b", "parity-TOOL"),
            (r"/tmp/\.tmp\w+", "/tmp/DIR"),
            // The two escape `<` and `>` in JSON differently.
            (r"\\u003c", "<"),
            (r"\\u003e", ">"),
        ]
        .map(|(pattern, with)| (Regex::new(pattern).expect("a pattern"), with))
        .into()
    });
    let mut text = text.to_owned();
    for (pattern, with) in VOLATILE.iter() {
        text = pattern.replace_all(&text, *with).into_owned();
    }
    text
}

/// All that is in a directory: modes, sizes, contents.
pub(super) fn directory(path: &Path) -> String {
    let mut text = String::new();
    walk(path, "", &mut text);
    text
}

fn walk(directory: &Path, prefix: &str, text: &mut String) {
    let mut names: Vec<_> = std::fs::read_dir(directory)
        .expect("the directory can be read")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    for name in names {
        let path = directory.join(&name);
        let found = std::fs::symlink_metadata(&path).expect("the file is there");
        let mode = found.permissions().mode() & 0o7777;
        let owner = format!("{}:{}", found.uid(), found.gid());
        let name = format!("{prefix}{name}");
        if found.is_dir() {
            let _ = writeln!(text, "{name}/ {mode:o} {owner}");
            walk(&path, &format!("{name}/"), text);
        } else if found.is_symlink() {
            let target = std::fs::read_link(&path).expect("a link");
            let _ = writeln!(text, "{name} -> {}", target.display());
        } else {
            let bytes = std::fs::read(&path).expect("the file can be read");
            let _ = writeln!(text, "{name} {mode:o} {owner} {}", contents(&name, &bytes));
        }
    }
}

/// Short texts as they are; archives by their entries; everything else by its checksum.
fn contents(name: &str, bytes: &[u8]) -> String {
    if name.ends_with(".tar") {
        return format!("tar:\n{}", archive(name, bytes));
    }
    // Compressors differ; what was compressed must not.
    for (ending, program) in [(".gz", "gzip"), (".bz2", "bzip2"), (".xz", "xz"), (".lz4", "lz4")] {
        if let Some(inner) = name.strip_suffix(ending) {
            return format!("{program}: {}", contents(inner, &unpack(program, bytes)));
        }
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() < 64 * 1024 => format!("{:?}", steady(text)),
        _ => format!("{} bytes {}", bytes.len(), &ingot_sdk::hash::sha256(bytes)[..16]),
    }
}

fn unpack(program: &str, bytes: &[u8]) -> Vec<u8> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    std::io::Write::write_all(&mut file, bytes).expect("it is written");
    let input = std::fs::File::open(file.path()).expect("it can be read");
    let output = Command::new(program).arg("-dc").stdin(input).output().expect("it can be run");
    assert!(output.status.success(), "{program}: {output:?}");
    output.stdout
}

/// The entries of a tar file, sorted. In an image that docker saved, names are checksums.
fn archive(name: &str, bytes: &[u8]) -> String {
    let mut lines = Vec::new();
    let mut archive = tar::Archive::new(bytes);
    for entry in archive.entries().expect("a tar file") {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a name").display().to_string();
        let header = entry.header();
        let mode = header.mode().expect("a mode");
        let (uid, gid) = (header.uid().expect("an owner"), header.gid().expect("a group"));
        let kind = header.entry_type();
        let link = entry.link_name().expect("a target");
        let link = link.map_or(String::new(), |target| format!(" -> {}", target.display()));
        let mut inner = Vec::new();
        entry.read_to_end(&mut inner).expect("the contents");
        // The journals of a saved image name the image.
        let inner = match name.contains("saved") {
            true => String::new(),
            false => contents(&path, &inner),
        };
        lines.push(steady(&format!("  {path} {kind:?} {mode:o} {uid}:{gid}{link} {inner}")));
    }
    lines.sort();
    lines.join("\n")
}

/// An image.
pub(super) struct Image {
    /// Its configuration.
    pub config: String,
    /// Its file system.
    pub files: String,
}

impl Image {
    /// Looks at the image called `name` and removes it. None if there is none.
    pub(super) fn take(name: &str) -> Option<Image> {
        let found = Command::new("docker").args(["image", "inspect", name]).output().ok()?;
        if !found.status.success() {
            return None;
        }
        let found: Value = serde_json::from_slice(&found.stdout).expect("JSON");
        let mut config = found[0]["Config"].clone();
        // The client's age, not Packer, decides whether a container started with no output
        // attached notes so.
        config["Hostname"] = Value::Null;
        // Where the base has no entry point or command, Packer leaves one of an empty word, which
        // Docker takes for none and other runtimes do not. Ingot leaves none.
        for name in ["Entrypoint", "Cmd"] {
            let none = [serde_json::json!([""]), serde_json::json!([])];
            if none.contains(&config[name]) {
                config[name] = Value::Null;
            }
        }
        let mut about = serde_json::to_string_pretty(&config).expect("JSON");
        for key in ["Author", "Comment", "Architecture", "Os"] {
            let _ = write!(about, "\n{key}: {}", found[0][key]);
        }
        let layers = found[0]["RootFS"]["Layers"].as_array().map_or(0, Vec::len);
        let _ = write!(about, "\nlayers: {layers}");
        let container = output_of("docker", &["create", "--entrypoint", "/none", name]);
        let export = Command::new("docker").args(["export", &container]).output();
        output_of("docker", &["rm", "-v", &container]);
        output_of("docker", &["rmi", name]);
        let files = archive("", &export.expect("the export can be run").stdout);
        Some(Image { config: steady(&about), files })
    }
}

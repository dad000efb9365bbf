//! What the machine before the first provisioner depends on.

use std::path::{Path, PathBuf};

use ingot_communicator::Way;
use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::file_work::{Reader, blocking};
use ingot_sdk::hash::hex;
use ingot_sdk::process::LocalCommand;
use ingot_sdk::walk::{self, What};
use ingot_sdk::{Context, Error, Result, RunContext, StateKey};
use ring::digest::{self, SHA256};

use crate::accelerator;
use crate::arguments::{Situation, arguments};
use crate::options::given;
use crate::settings::{Settings, sample_data};

/// Switches in `qemuargs` with which a state would not hold all there is, or could not be loaded.
const UNHELD: &[&str] = &[
    "-drive",
    "-hda",
    "-hdb",
    "-hdc",
    "-hdd",
    "-sd",
    "-pflash",
    "-mtdblock",
    "-blockdev",
    "-snapshot",
    "-incoming",
    "-loadvm",
    "-S",
    "-daemonize",
    "-virtfs",
    "-fsdev",
    "-tpmdev",
    "-preconfig",
    "-object",
    "-readconfig",
];

/// Why the states of a machine with these options are not kept.
pub(crate) fn cannot_be_held(settings: &Settings) -> Option<String> {
    let raw = &settings.raw;
    let option = |set: bool, option: &str| set.then(|| format!("`{option}` is set"));
    let reason = [
        (raw.format() != "qcow2").then(|| "only disks of the format qcow2 can hold one".to_owned()),
        matches!(settings.communication.way, Way::None)
            .then(|| "without a communicator there is nothing to go on with".to_owned()),
        settings.efi.enabled.then(|| "UEFI variables cannot be part of one".to_owned()),
        option(raw.vtpm, "vtpm"),
        option(raw.use_backing_file, "use_backing_file"),
        option(raw.iso_skip_cache, "iso_skip_cache"),
        option(given(&raw.net_bridge).is_some(), "net_bridge"),
        option(raw.floppy.is_set(), "floppy_files"),
        option(raw.vnc_use_password, "vnc_use_password"),
    ];
    let switch = raw.qemuargs.iter().filter_map(|row| row.first());
    let switch = switch.into_iter().find(|switch| UNHELD.contains(&switch.as_str()));
    let switch = switch.map(|switch| format!("qemuargs has {switch}"));
    reason.into_iter().flatten().next().or(switch)
}

/// The key of the machine once it is reached the first time.
///
/// # Errors
/// A file that the machine is made of cannot be read.
pub(crate) async fn base_key(
    ctx: &RunContext,
    settings: &Settings,
    medium: &Path,
    public_key: Option<&str>,
) -> Result<StateKey> {
    let raw = &settings.raw;
    let accelerator = accelerator::name(given(&raw.accelerator), raw.qemu_binary()).to_owned();
    // Ports and paths are other ones each time, which is nothing that the machine sees.
    let situation = Situation {
        accelerator: accelerator.clone(),
        forwarded_port: settings.communication.port(),
        vnc_port: 5900,
        disks: settings.disks(),
        iso: (!raw.disk_image).then(|| "iso".to_owned()),
        cd: raw.cd.is_set().then(|| "cd".into()),
        ..Situation::default()
    };
    let line = arguments(settings, &situation, &ctx.prepare, &sample_data())?;
    let version = version(ctx, raw.qemu_binary()).await?;
    let processor = match accelerator.as_str() {
        "tcg" => String::new(),
        // What a guest sees of it may be all of it.
        _ => processor(),
    };
    // All options: those that come into play later change rarely while others are tried out.
    let mut parts =
        vec![version, processor, line.join("\0"), format!("{raw:?}"), format!("{:?}", public_key)];
    if raw.disk_image && has_backing_file(medium).await {
        return Err(Error::new("the disk image has a backing file, which may change"));
    }
    let mut files = vec![medium.to_owned()];
    files.extend(raw.http.http_directory.iter().filter(|one| !one.is_empty()).map(PathBuf::from));
    files.extend(raw.cd.cd_files.iter().map(PathBuf::from));
    // What is named there may be a file, such as a kernel.
    let words = raw.qemuargs.iter().flatten().flat_map(|text| text.split([',', '=']));
    let paths = words.filter(|word| word.contains('/') || Path::new(word).is_file());
    for path in paths.map(Path::new) {
        match path.is_dir() {
            // Such as what is given away over TFTP, at any time.
            true => {
                let shown = path.display();
                return Err(Error::new(format!("qemuargs names the directory {shown}")));
            }
            false if path.is_file() => files.push(path.to_owned()),
            false => {}
        }
    }
    files.extend(given(&raw.firmware).map(PathBuf::from));
    parts.extend(contents(ctx, files).await?);
    Ok(StateKey::of("qemu 1", parts))
}

/// Whether a disk image is a qcow2 that holds only what differs from another file (see the header in
/// QEMU's docs/interop/qcow2.txt).
async fn has_backing_file(image: &Path) -> bool {
    let mut header = [0; 16];
    let read = async {
        let mut file = tokio::fs::File::open(image).await?;
        tokio::io::AsyncReadExt::read_exact(&mut file, &mut header).await
    };
    read.await.is_ok() && header.starts_with(b"QFI\xfb") && header[8..] != [0; 8]
}

/// The names and digests of files, and of all that is in directories.
async fn contents(ctx: &RunContext, paths: Vec<PathBuf>) -> Result<Vec<String>> {
    let reading = ctx.clone();
    blocking(ctx, move |stop| {
        let mut files = Vec::new();
        for path in paths {
            let shown = path.display().to_string();
            // Patterns are resolved when the disc is made.
            let found = ingot_sdk::glob::find(&shown).unwrap_or_default();
            let found = if found.is_empty() { vec![path] } else { found };
            for path in found {
                if path.is_dir() {
                    let below = walk::tree(&path)?;
                    files.extend(below.into_iter().map(|entry| (entry.path, entry.what)));
                } else {
                    files.push((path, What::File));
                }
            }
        }
        let read: Vec<PathBuf> = files
            .iter()
            .filter(|(_, what)| *what == What::File)
            .map(|(path, _)| path.clone())
            .collect();
        let mut reader = Reader::new(&reading, "Reading what the machine is made of", &read);
        let mut digests = Vec::new();
        for (path, what) in files {
            digests.push(path.display().to_string());
            if what == What::File {
                let mut hash = digest::Context::new(&SHA256);
                let mut file = Reader::open(&path)?;
                let copied = reader.copy(stop, &mut file, |bytes| {
                    hash.update(bytes);
                    Ok(())
                });
                copied.with_context(|| format!("reading {}", path.display()))?;
                digests.push(hex(hash.finish().as_ref()));
            }
        }
        Ok(digests)
    })
    .await
}

async fn version(ctx: &RunContext, qemu: &str) -> Result<String> {
    let output = CapturedOutput::default();
    let argv = vec![qemu.to_owned(), "--version".to_owned()];
    let status = LocalCommand { argv, ..LocalCommand::default() }.run(ctx, &output).await?;
    let text = output.stdout_text();
    match text.lines().next().filter(|_| status.success()) {
        Some(line) => Ok(line.to_owned()),
        None => Err(Error::new(format!("{qemu} does not tell its version"))),
    }
}

/// What processor this machine has.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let lines = text.lines().take_while(|line| !line.is_empty());
    let named = lines.filter(|line| line.starts_with("model") || line.starts_with("flags"));
    named.collect::<Vec<_>>().join("\n")
}

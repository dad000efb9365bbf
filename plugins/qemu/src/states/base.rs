//! What the machine before the first provisioner depends on.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ingot_communicator::CommunicatorKind;
use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::file_work::{Reader, blocking};
use ingot_sdk::hash::Sha256;
use ingot_sdk::process::LocalCommand;
use ingot_sdk::walk::{self, EntryKind};
use ingot_sdk::{Context, Error, Result, RunContext, StateKey};
use ingot_vm::iso::IsoOptions;

use crate::accelerator;
use crate::arguments::{RuntimeSettings, arguments};
use crate::disk_format::Qcow2;
use crate::options::{Options, given};
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
        matches!(settings.communication.kind, CommunicatorKind::None)
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

/// The files that a machine is made of, as they were when its key was made.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// Files and directories, as they are named.
    paths: Vec<PathBuf>,
    /// All files, with what changes when they do.
    stamps: Vec<(PathBuf, Option<Stamp>)>,
}

/// The number of a file and of its file system, its size, and when it was changed.
type Stamp = (u64, u64, u64, i64, i64);

impl Sources {
    fn look(paths: Vec<PathBuf>) -> Result<Sources> {
        let stamp = |(path, _): (PathBuf, EntryKind)| {
            let found = std::fs::metadata(&path).ok();
            let stamp = found.map(|it| (it.dev(), it.ino(), it.len(), it.ctime(), it.ctime_nsec()));
            (path, stamp)
        };
        let stamps = files_of(&paths)?.into_iter().map(stamp).collect();
        Ok(Sources { paths, stamps })
    }

    /// Whether they are what they were.
    pub(crate) fn are_unchanged(&self) -> bool {
        Sources::look(self.paths.clone()).is_ok_and(|now| now.stamps == self.stamps)
    }
}

/// The key of the machine once it is reached the first time, and the files that it is made of.
///
/// # Errors
/// A file that the machine is made of cannot be read.
pub(crate) async fn base_key(
    ctx: &RunContext,
    settings: &Settings,
    medium: &Path,
    public_key: Option<&str>,
) -> Result<(StateKey, Sources)> {
    let raw = &settings.raw;
    let accelerator = accelerator::name(given(&raw.accelerator), raw.qemu_binary()).to_owned();
    // Ports and paths are other ones each time, which is nothing that the machine sees.
    let runtime = RuntimeSettings {
        accelerator: accelerator.clone(),
        forwarded_port: settings.communication.port(),
        vnc_port: 5900,
        disks: settings
            .disks()
            .iter()
            .filter_map(|disk| disk.file_name())
            .map(Into::into)
            .collect(),
        iso: (!raw.disk_image).then(|| "iso".to_owned()),
        cd: raw.cd.is_set().then(|| "cd".into()),
        ..RuntimeSettings::default()
    };
    let line = arguments(settings, &runtime, &ctx.prepare, &sample_data())?;
    let version = version(ctx, raw.qemu_binary()).await?;
    let processor = match accelerator.as_str() {
        // `qemuargs` may ask for another one.
        "tcg" if !line.iter().any(|argument| argument.contains("kvm")) => String::new(),
        // What a guest sees of it may be all of it.
        _ => processor(),
    };
    // All options: those that come into play later change rarely while others are tried out. But for
    // where the medium is, and where what is built goes: on another machine that may be elsewhere.
    let options = Options { iso: IsoOptions::default(), output_directory: None, ..raw.clone() };
    let mut parts = vec![
        version,
        processor,
        line.join("\0"),
        format!("{options:?}"),
        format!("{public_key:?}"),
    ];
    if raw.disk_image && Qcow2::read(medium)?.is_some_and(|image| image.leads_elsewhere()) {
        return Err(Error::new("the disk image leads to another file, which may change"));
    }
    let mut files = Vec::new();
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
    // Before they are read: what changes meanwhile is seen later.
    let all = std::iter::once(medium.to_owned()).chain(files.iter().cloned()).collect();
    let sources = Sources::look(all)?;
    parts.extend(contents(ctx, medium.to_owned(), files).await?);
    Ok((StateKey::of("qemu 2", parts), sources))
}

/// Files, and all that is in directories.
fn files_of(paths: &[PathBuf]) -> Result<Vec<(PathBuf, EntryKind)>> {
    let mut files = Vec::new();
    for path in paths {
        let shown = path.display().to_string();
        // Patterns are resolved when the disc is made.
        let found = ingot_sdk::glob::find(&shown).unwrap_or_default();
        let found = if found.is_empty() { vec![path.clone()] } else { found };
        for path in found {
            if path.is_dir() {
                let below = walk::tree(&path)?;
                files.extend(below.into_iter().map(|entry| (entry.path, entry.kind)));
            } else {
                files.push((path, EntryKind::File));
            }
        }
    }
    Ok(files)
}

/// The digest of `medium`; the names and digests of files, and of all that is in directories.
async fn contents(ctx: &RunContext, medium: PathBuf, paths: Vec<PathBuf>) -> Result<Vec<String>> {
    let reading = ctx.clone();
    blocking(ctx, move |stop| {
        let mut files = vec![(medium.clone(), EntryKind::File)];
        files.extend(files_of(&paths)?);
        let read: Vec<PathBuf> = files
            .iter()
            .filter(|(_, what)| *what == EntryKind::File)
            .map(|(path, _)| path.clone())
            .collect();
        let mut reader = Reader::new(&reading, "Reading what the machine is made of", &read);
        let mut digests = Vec::new();
        for (path, what) in files {
            if path != medium {
                digests.push(path.display().to_string());
            }
            if what == EntryKind::File {
                let mut hash = Sha256::new();
                let mut file = Reader::open(&path)?;
                let copied = reader.copy(stop, &mut file, |bytes| {
                    hash.update(bytes);
                    Ok(())
                });
                copied.with_context(|| format!("reading {}", path.display()))?;
                digests.push(hash.finish());
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
        None => Err(Error::new(format!("{qemu} does not report its version"))),
    }
}

/// What processor this machine has.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let lines = text.lines().take_while(|line| !line.is_empty());
    // The last two are those of ARM.
    let names = ["model", "flags", "Features", "CPU "];
    let named = lines.filter(|line| names.iter().any(|name| line.starts_with(name)));
    named.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_after_it_was_read_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let (image, served) = (dir.path().join("disk.img"), dir.path().join("http"));
        std::fs::create_dir(&served).unwrap();
        std::fs::write(&image, "one").unwrap();
        std::fs::write(served.join("preseed"), "one").unwrap();
        let look = || Sources::look(vec![image.clone(), served.clone()]).unwrap();
        let before = look();
        assert!(before.are_unchanged());
        // As large as before, by another file of the same name.
        let new = dir.path().join("new");
        std::fs::write(&new, "two").unwrap();
        std::fs::rename(&new, &image).unwrap();
        assert!(!before.are_unchanged());
        let before = look();
        std::fs::write(served.join("another"), "").unwrap();
        assert!(!before.are_unchanged());
        let before = look();
        std::fs::remove_file(&image).unwrap();
        assert!(!before.are_unchanged());
    }
}

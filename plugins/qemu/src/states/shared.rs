//! States in a directory that machines share: for each, the machine as an [archive](super::archive).

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingot_sdk::file_work::blocking;
use ingot_sdk::{Context, Error, Result, RunContext, StateKey};
use ingot_shared_states::SharedStates;
use ingot_shared_states::spool::Cancellable;
use tokio_util::sync::CancellationToken;

use super::archive::{Base, Description, KnownBlocks, Reader, Writer};
use super::set::{Fault, Set};
use super::sizes::virtual_sizes;
use super::tags::{remove_others, tag};
use crate::settings::Settings;
use crate::{copy, qemu_img};

/// How large the disc may be that was made for a machine, in bytes.
const LARGEST_CD: u64 = 16 << 30;
/// How large the file of a disk may be, in bytes, holes and all.
const LARGEST_DISK: u64 = 64 << 40;
/// How many bytes a disk may have besides those of the disk that the machine sees and its memory: the
/// tables of qcow2, and what devices remember.
const MARGIN: u64 = 1 << 30;

/// The states of QEMU below `directory`.
pub(super) fn states(directory: &Path) -> SharedStates {
    SharedStates::new(directory, "qemu", "machine")
}

/// A state in the directory that machines share.
#[derive(Debug, Clone)]
pub(super) struct SharedMachine {
    /// Where it is.
    pub(super) states: SharedStates,
    /// What it says of itself.
    pub(super) description: Description,
    contents: Arc<File>,
}

/// The state of `key` in the directory that machines share, if there is one that is whole. `machine` is
/// the key of what the machine is made of.
pub(super) async fn look_up(
    ctx: &RunContext,
    machine: &StateKey,
    key: &StateKey,
) -> Option<SharedMachine> {
    let states = states(&ctx.hook.shared_states()?);
    let contents = Arc::new(states.look_up(ctx, machine.as_str(), key).await?);
    match open(&contents, 0, &ctx.cancel) {
        Ok((_, description)) => Some(SharedMachine { states, description, contents }),
        Err(_) if ctx.cancel.is_cancelled() => None,
        Err(_) => {
            ctx.ui.say(format!("The state {key} in {} is damaged", states.root().display()));
            // It is written again, unless somebody may not.
            let _ = states.remove(key);
            None
        }
    }
}

/// Reads a file without a name from its beginning.
struct FromStart {
    contents: Arc<File>,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.contents.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// Begins to read. See [`Reader::new`].
fn open(
    contents: &Arc<File>,
    room: u64,
    stop: &CancellationToken,
) -> Result<(Reader<Cancellable<FromStart>>, Description), Fault> {
    let inner = FromStart { contents: Arc::clone(contents), at: 0 };
    Reader::new(Cancellable { inner, stop: stop.clone() }, room)
}

/// Runs `job` on a thread that may block.
async fn on_files(
    ctx: &RunContext,
    job: impl FnOnce(&CancellationToken) -> Result<(), Fault> + Send + 'static,
) -> Result<(), Fault> {
    let (cancel, done) = (ctx.cancel.clone(), blocking(ctx, move |stop| Ok(job(stop))).await);
    match done.map_err(Fault::Failed)? {
        // What is read then looks damaged.
        Err(Fault::Damaged(_)) if cancel.is_cancelled() => Err(Fault::Failed(Error::Cancelled)),
        done => done,
    }
}

impl SharedMachine {
    /// Writes the disc that was made for the machine to the new file `to`, if there is one.
    ///
    /// # Errors
    /// It is damaged, or cannot be written.
    pub(super) async fn copy_cd(&self, ctx: &RunContext, to: &Path) -> Result<bool, Fault> {
        if self.description.cd {
            let (contents, to) = (Arc::clone(&self.contents), to.to_owned());
            on_files(ctx, move |stop| {
                let (mut reader, _) = open(&contents, LARGEST_CD, stop)?;
                reader.next(&to, LARGEST_CD, None, stop)
            })
            .await?;
        }
        Ok(self.description.cd)
    }

    /// Writes the disks to where those of the build are.
    ///
    /// # Errors
    /// They are damaged, or cannot be written.
    pub(super) async fn copy_disks(
        &self,
        ctx: &RunContext,
        settings: &Settings,
        medium: &Path,
    ) -> Result<(), Fault> {
        let disks = settings.disks();
        if self.description.disks != disks.len() {
            return Err(Fault::damaged("it has another number of disks"));
        }
        let sizes = virtual_sizes(ctx, settings, medium).await.map_err(Fault::Failed)?;
        // What is in the disks and no hole: what the machine sees, as it was and as it is, and its memory.
        let sizes = sizes.into_iter().try_fold(0, |sum: u64, size| sum.checked_add(size?));
        let memory = u64::from(settings.memory) << 20;
        let room = sizes.and_then(|sum| sum.checked_add(memory)?.checked_mul(2));
        let room = room.and_then(|room| room.checked_add(MARGIN)).unwrap_or(u64::MAX);
        // Of holes there are many: the states are gone that were in it besides this one.
        let most = room.saturating_mul(64).min(LARGEST_DISK);
        let base = open_base(ctx, settings, medium, self.description.base).await;
        let base = base.map_err(Fault::Failed)?;
        let (contents, has_cd) = (Arc::clone(&self.contents), self.description.cd);
        let beside = Removed(settings.output.join(".cd-of-state"));
        on_files(ctx, move |stop| {
            let (mut reader, _) = open(&contents, room, stop)?;
            if has_cd {
                // It was taken before.
                reader.next(&beside.0, LARGEST_CD, None, stop)?;
            }
            disks.iter().try_for_each(|disk| reader.next(disk, most, base.as_ref(), stop))
        })
        .await
    }
}

/// A file that is removed when this is dropped.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What parts of the disks of such a machine may be in.
async fn base_of(ctx: &RunContext, settings: &Settings, medium: &Path) -> Result<Base> {
    if !settings.raw.disk_image {
        return Ok(Base::None);
    }
    let format = qemu_img::format(ctx, medium).await?;
    match format == "raw" || copy::is_enough(&settings.raw, medium, &format) {
        true => Ok(Base::File),
        false => Ok(Base::Contents),
    }
}

/// Opens what parts of the disks are in.
async fn open_base(
    ctx: &RunContext,
    settings: &Settings,
    medium: &Path,
    base: Base,
) -> Result<Option<File>> {
    let path = match base {
        Base::None => return Ok(None),
        Base::File => medium.to_owned(),
        Base::Contents => settings.output.join(".base-of-state"),
    };
    let _removed = (base == Base::Contents).then(|| Removed(path.clone()));
    if base == Base::Contents {
        let (from, to) = (medium.display().to_string(), path.display().to_string());
        let arguments = ["-O", "raw", &from, &to].map(str::to_owned).to_vec();
        qemu_img::convert(ctx, "Reading the disk image", medium, arguments).await?;
    }
    File::open(&path).with_context(|| format!("opening {}", path.display())).map(Some)
}

/// Writes the states of `keys` to the directory that machines share. `set` is what they are in, `machine`
/// the key of what the machine is made of. Errors are reported.
pub(crate) async fn export(
    ctx: &RunContext,
    settings: &Settings,
    medium: &Path,
    (machine, keys, set): (&StateKey, Vec<StateKey>, &Set),
) {
    let Some(directory) = ctx.hook.shared_states() else { return };
    let shared = states(&directory);
    let exported = async {
        shared.prepare_writing()?;
        shared.announce(ctx, keys.len());
        let base = base_of(ctx, settings, medium).await?;
        let file = open_base(ctx, settings, medium, base).await?;
        let known = blocking(ctx, move |stop| match file {
            Some(file) => KnownBlocks::of(&file, stop),
            None => Ok(KnownBlocks::default()),
        });
        let known = Arc::new(known.await?);
        for key in keys {
            let description = Description {
                base,
                disks: set.disks.len(),
                cd: set.cd.is_some(),
                http_port: set.http_port,
                private_key: set.private_key.clone(),
            };
            let disks = only(ctx, settings, set, &key).await?;
            let (shared, machine, known) = (shared.clone(), machine.clone(), Arc::clone(&known));
            let cd = set.cd.clone();
            blocking(ctx, move |stop| {
                let files = cd.iter().chain(disks.iter().map(|disk| &disk.0));
                shared.write(&key, machine.as_str(), stop, |sink| {
                    write(sink, &description, files, &known, stop)
                })
            })
            .await?;
        }
        Ok::<_, Error>(())
    };
    if let Err(error) = exported.await {
        shared.report(ctx, &error);
    }
}

fn write<'a>(
    sink: &mut dyn Write,
    description: &Description,
    files: impl Iterator<Item = &'a PathBuf>,
    known: &KnownBlocks,
    stop: &CancellationToken,
) -> Result<()> {
    let mut writer = Writer::new(sink, description)?;
    for path in files {
        let reading = || format!("reading {}", path.display());
        let file = File::open(path).with_context(reading)?;
        writer.add(&file, known, stop)?;
    }
    writer.finish()
}

/// Copies of the disks, beside them, that are at the state of `key` and have no other one.
async fn only(
    ctx: &RunContext,
    settings: &Settings,
    set: &Set,
    key: &StateKey,
) -> Result<Vec<Removed>> {
    let wanted = tag(key);
    let mut copies = Vec::new();
    for (number, disk) in set.disks.iter().enumerate() {
        let copy = settings.output.join(format!(".state-{number}"));
        copies.push(Removed(copy.clone()));
        copy::copy(ctx, None, disk, &copy).await?;
        // What the machine did later is no part of it.
        let shown = copy.display().to_string();
        let arguments = ["snapshot", "-a", &wanted, &shown].map(str::to_owned);
        qemu_img::run(ctx, arguments.to_vec()).await?;
        remove_others(ctx, &copy, std::slice::from_ref(key)).await?;
    }
    Ok(copies)
}

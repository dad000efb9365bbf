//! Unpacking what Packer's downloader unpacks: a file that is compressed, or alone in a zip.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use ingot_sdk::file_lock::FileLock;
use ingot_sdk::file_work::{CHUNK, Reader, blocking, is_same_file, read_small, with_suffix};
use ingot_sdk::{Context, Error, OutputFile, Result, RunContext};
use lzma_rust2::XzReader;
use tokio_util::sync::CancellationToken;

use super::sha1;

/// The most memory that unpacking xz may take, in KiB. `xz -9` needs 65 MiB; what needs more was made
/// by hand, or to do harm: the file itself may ask for 4 GiB.
const XZ_MEMORY_KIB: u32 = 512 << 10;

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Bzip2,
    Gzip,
    Xz,
    Zip,
}

impl Packing {
    /// The one that an ending stands for.
    pub(super) fn of_ending(ending: &str) -> Option<Packing> {
        Some(match ending {
            "bz2" => Packing::Bzip2,
            "gz" => Packing::Gzip,
            "xz" => Packing::Xz,
            "zip" => Packing::Zip,
            _ => return None,
        })
    }

    /// The ending that stands for it.
    pub(super) fn ending(self) -> &'static str {
        match self {
            Packing::Bzip2 => "bz2",
            Packing::Gzip => "gz",
            Packing::Xz => "xz",
            Packing::Zip => "zip",
        }
    }

    /// Unpacks `from` to `to`, unless that was done before. Builds that want the same do it once.
    ///
    /// # Errors
    /// `from` is not packed so, or holds several files; `to` cannot be written; cancelled.
    pub(super) async fn unpack(self, ctx: &RunContext, from: &Path, to: &Path) -> Result<()> {
        if is_same_file(from, to) {
            return Err(Error::new(format!(
                "{} cannot be unpacked in its own place, which `iso_target_path` names",
                from.display()
            ))
            .hint("name another file there, or leave `iso_target_path` out"));
        }
        let lock_path = with_suffix(to, ".lock");
        let waiting = || ctx.ui.say(format!("Waiting for another build that unpacks {to:?}"));
        let _lock = FileLock::take(&ctx.cancel, &lock_path, waiting).await?;
        let (packed, file) = (state(from)?, with_suffix(to, ".unpacked"));
        let mark = |unpacked: &str| format!("{packed}\n{unpacked}\n");
        let known = read_small(&file, "mark of an unpacked file", 1024).unwrap_or_default();
        if state(to).is_ok_and(|unpacked| mark(&unpacked).as_bytes() == known) {
            return Ok(());
        }
        ctx.ui.say(format!("Unpacking {}", from.display()));
        let (job, source, target) = (ctx.clone(), from.to_owned(), to.to_owned());
        blocking(ctx, move |stop| {
            let unpacked = self.run(&job, stop, &source, &target);
            // A library that was interrupted reports a failure of reading.
            if stop.is_cancelled() {
                return Err(Error::Cancelled);
            }
            unpacked.with_context(|| format!("unpacking {}", source.display()))
        })
        .await?;
        let writing = || format!("writing {}", file.display());
        std::fs::write(&file, mark(&state(to)?)).with_context(writing)
    }

    fn run(self, ctx: &RunContext, stop: &CancellationToken, from: &Path, to: &Path) -> Result<()> {
        let file = Reader::open(from)?;
        let files = [from.to_owned()];
        let mut reader = Reader::new(ctx, &format!("Unpacking {}", from.display()), &files);
        // What stood for an older file is not true any more.
        let _ = std::fs::remove_file(with_suffix(to, ".unpacked"));
        let output = OutputFile::create(&ctx.journal, to, 0o644)?;
        output.fill(|output| self.decompress(stop, file, &mut reader, output))
    }

    fn decompress(
        self,
        stop: &CancellationToken,
        file: File,
        reader: &mut Reader,
        output: File,
    ) -> Result<()> {
        let mut writer = BufWriter::with_capacity(CHUNK, output);
        if self == Packing::Zip {
            single(file, |packed| copy(stop, packed, &mut writer))?;
        } else {
            let packed = BufReader::with_capacity(CHUNK, reader.watch(stop, file));
            match self {
                Packing::Bzip2 => {
                    copy(stop, &mut bzip2::read::MultiBzDecoder::new(packed), &mut writer)
                }
                Packing::Gzip => {
                    copy(stop, &mut flate2::read::MultiGzDecoder::new(packed), &mut writer)
                }
                Packing::Xz | Packing::Zip => {
                    let mut unpacked = XzReader::new_mem_limit(packed, true, XZ_MEMORY_KIB);
                    copy(stop, &mut unpacked, &mut writer).map_err(|error| match error.kind() {
                        io::ErrorKind::OutOfMemory => io::Error::other(format!(
                            "it takes more than {} MiB",
                            XZ_MEMORY_KIB >> 10
                        )),
                        _ => error,
                    })
                }
            }?;
        }
        writer.flush()?;
        match stop.is_cancelled() {
            true => Err(Error::Cancelled),
            false => Ok(()),
        }
    }
}

/// Hands on the only file of a zip.
fn single(file: File, take: impl FnOnce(&mut dyn Read) -> io::Result<()>) -> Result<()> {
    let wrong = |error: zip::result::ZipError| Error::new(error.to_string());
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(wrong)?;
    if archive.len() != 1 {
        let many = archive.len();
        return Err(Error::new(format!("it has to hold one file, and holds {many}"))
            .hint("unpack it first, and name the file that is meant"));
    }
    let mut packed = archive.by_index(0).map_err(wrong)?;
    if packed.is_dir() {
        return Err(Error::new("it holds a directory, not a file"));
    }
    take(&mut packed)?;
    Ok(())
}

fn copy(
    stop: &CancellationToken,
    from: &mut (impl Read + ?Sized),
    to: &mut impl Write,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    while !stop.is_cancelled() {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => to.write_all(&buffer[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What changes when a file is written to or replaced: its size in bytes and when it was last changed,
/// by whichever program.
fn state(path: &Path) -> Result<String> {
    let found =
        std::fs::metadata(path).with_context(|| format!("looking at {}", path.display()))?;
    let modified = format!("{}.{}", found.mtime(), found.mtime_nsec());
    let changed = format!("{}.{}", found.ctime(), found.ctime_nsec());
    Ok(sha1(&format!("{}\n{}\n{modified}\n{changed}", path.display(), found.len())))
}

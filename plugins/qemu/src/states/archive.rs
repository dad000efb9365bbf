//! A state of a machine as one stream, for other machines: its disks with the memory in them, the disc
//! that was made for it, and the key to log in with.
//!
//! `qemu-img convert` would compress a disk, and leave the states in it behind. The files are therefore
//! streamed as they are, block by block: of zeroes only their number; of what is in the base image, which
//! the other machine has as well, only where it is; the rest compressed as an LZ4 frame, which is fast
//! enough for the memory of machines. What comes out has no backing file, wherever the base image lies.
//!
//! Whoever wrote a stream may have been anybody: all in it is bounded.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use ingot_sdk::hash::{Sha256, sha256_bytes};
use ingot_sdk::{Context, Error, Result};
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::set::{Fault, create_new};

/// How much is compared with the base image at once, in bytes: the clusters of qcow2 are as large, unless
/// somebody wants others.
const BLOCK: usize = 64 << 10;
/// The largest description that is read, in bytes.
const LARGEST: u32 = 1 << 20;
/// How often is looked whether all is to stop, in blocks.
const STOP_EVERY: usize = 16;

/// What the pieces of a file begin with.
const END: u8 = 0;
const ZEROES: u8 = 1;
const KNOWN: u8 = 2;
const NEW: u8 = 3;

/// What the blocks of the base image are looked up in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Base {
    /// There is none: the machine was installed from a disc.
    None,
    /// The file of the image, which the disk of the machine is a copy of.
    File,
    /// The contents of the image, which the disk was made of in another format.
    Contents,
}

/// What stands at the beginning.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Description {
    /// What parts of the disks are in.
    pub base: Base,
    /// How many disks there are.
    pub disks: usize,
    /// Whether there is a disc that was made for the machine. It comes before the disks.
    pub cd: bool,
    /// The port of the build's HTTP server; 0 for none.
    pub http_port: u16,
    /// The key to log in with, if it was made for the build.
    pub private_key: Option<String>,
}

/// The blocks of the base image, by their checksums.
#[derive(Debug, Default)]
pub(super) struct KnownBlocks(HashMap<[u8; 32], u64>);

impl KnownBlocks {
    /// Reads the base image.
    ///
    /// # Errors
    /// It cannot be read, or `stop` fired.
    pub(super) fn of(file: &File, stop: &CancellationToken) -> Result<KnownBlocks> {
        let mut known = HashMap::new();
        each_block(file, stop, |at, block| {
            if block.len() == BLOCK && !is_zero(block) {
                known.entry(digest(block)).or_insert(at);
            }
            Ok(())
        })
        .context("reading the base image")?;
        Ok(KnownBlocks(known))
    }

    fn find(&self, block: &[u8]) -> Option<u64> {
        match self.0.is_empty() || block.len() != BLOCK {
            true => None,
            false => self.0.get(&digest(block)).copied(),
        }
    }
}

fn digest(block: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(sha256_bytes(block).as_ref());
    digest
}

fn is_zero(block: &[u8]) -> bool {
    static ZERO: [u8; BLOCK] = [0; BLOCK];
    ZERO.get(..block.len()) == Some(block)
}

/// Hands each block of a file to `take`, with where it is. Only the last may be short.
fn each_block(
    file: &File,
    stop: &CancellationToken,
    mut take: impl FnMut(u64, &[u8]) -> Result<()>,
) -> Result<()> {
    let (mut block, mut at) = (vec![0; BLOCK], 0);
    for number in 0.. {
        if number % STOP_EVERY == 0 && stop.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let mut length = 0;
        while length < BLOCK {
            match file.read_at(&mut block[length..], at + length as u64) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        if length == 0 {
            break;
        }
        take(at, &block[..length])?;
        at += length as u64;
    }
    Ok(())
}

/// Writes a stream.
pub(super) struct Writer<'a> {
    sink: FrameEncoder<&'a mut dyn Write>,
}

impl<'a> Writer<'a> {
    /// Begins with the description.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn new(sink: &'a mut dyn Write, description: &Description) -> Result<Writer<'a>> {
        // Blocks of their own: what is read of one needs no memory of those before it.
        let info =
            FrameInfo::new().block_size(BlockSize::Max1MB).block_mode(BlockMode::Independent);
        let mut sink = FrameEncoder::with_frame_info(info, sink);
        let text = serde_json::to_vec(description).context("describing a state")?;
        let length = u32::try_from(text.len()).ok().filter(|&length| length <= LARGEST);
        let length = length.ok_or_else(|| Error::new("the description of a state is too long"))?;
        sink.write_all(&length.to_le_bytes())?;
        sink.write_all(&text)?;
        Ok(Writer { sink })
    }

    /// Adds a file.
    ///
    /// # Errors
    /// It cannot be read, the stream cannot be written, or `stop` fired.
    pub(super) fn add(
        &mut self,
        file: &File,
        known: &KnownBlocks,
        stop: &CancellationToken,
    ) -> Result<()> {
        let (sink, mut sum, mut zeroes) = (&mut self.sink, FileChecksum::default(), 0_u64);
        each_block(file, stop, |_, block| {
            if is_zero(block) {
                zeroes += block.len() as u64;
                return Ok(());
            }
            write_zeroes(sink, &mut sum, &mut zeroes)?;
            sum.block(block);
            match known.find(block) {
                Some(at) => {
                    sink.write_all(&[KNOWN])?;
                    sink.write_all(&at.to_le_bytes())?;
                }
                None => {
                    let length = u32::try_from(block.len()).unwrap_or_default();
                    sink.write_all(&[NEW])?;
                    sink.write_all(&length.to_le_bytes())?;
                    sink.write_all(block)?;
                }
            }
            Ok(())
        })?;
        write_zeroes(sink, &mut sum, &mut zeroes)?;
        sink.write_all(&[END])?;
        sink.write_all(sum.0.finish().as_bytes())?;
        Ok(())
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn finish(self) -> Result<()> {
        self.sink.finish().map(drop).map_err(|error| Error::from(io::Error::from(error)))
    }
}

/// The checksum of a file by its pieces, so that holes take no time.
#[derive(Default)]
struct FileChecksum(Sha256);

impl FileChecksum {
    fn zeroes(&mut self, count: u64) {
        self.0.update([ZEROES]);
        self.0.update(count.to_le_bytes());
    }

    fn block(&mut self, block: &[u8]) {
        self.0.update([NEW]);
        self.0.update(block);
    }
}

fn write_zeroes(sink: &mut impl Write, sum: &mut FileChecksum, zeroes: &mut u64) -> io::Result<()> {
    match std::mem::take(zeroes) {
        0 => Ok(()),
        count => {
            sum.zeroes(count);
            sink.write_all(&[ZEROES])?;
            sink.write_all(&count.to_le_bytes())
        }
    }
}

/// Reads a stream.
pub(super) struct Reader<R: Read> {
    source: FrameDecoder<BufReader<R>>,
    /// How many bytes may still be written.
    room: u64,
}

impl<R: Read> Reader<R> {
    /// Reads the description. The files after it may have `room` bytes, not counting zeroes.
    ///
    /// # Errors
    /// It is damaged.
    pub(super) fn new(source: R, room: u64) -> Result<(Reader<R>, Description), Fault> {
        let source = FrameDecoder::new(BufReader::new(source));
        let mut reader = Reader { source, room };
        let length = u32::from_le_bytes(reader.bytes()?);
        if length > LARGEST {
            return Err(damaged());
        }
        let mut text = vec![0; usize::try_from(length).unwrap_or_default()];
        reader.fill(&mut text)?;
        let description = serde_json::from_slice(&text).map_err(|_| damaged())?;
        Ok((reader, description))
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        self.source.read_exact(buffer).map_err(|_| damaged())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes the next file to the new file `to`, with holes for zeroes. It is no larger than `most`
    /// bytes. `base` is what its parts are in that are not in the stream.
    ///
    /// # Errors
    /// It is damaged, `to` cannot be written, or `stop` fired.
    pub(super) fn next(
        &mut self,
        to: &Path,
        most: u64,
        base: Option<&File>,
        stop: &CancellationToken,
    ) -> Result<(), Fault> {
        let writing = || format!("writing {}", to.display());
        let failed = |error: io::Error| Fault::Failed(Error::from(error).context(writing()));
        let mut target = create_new(to, 0o666).map_err(Fault::Failed)?;
        let (mut sum, mut size, mut block) = (FileChecksum::default(), 0_u64, vec![0; BLOCK]);
        for number in 0.. {
            if number % STOP_EVERY == 0 && stop.is_cancelled() {
                return Err(Fault::Failed(Error::Cancelled));
            }
            let length = match self.bytes::<1>()? {
                [END] => break,
                [ZEROES] => {
                    let count = u64::from_le_bytes(self.bytes()?);
                    size =
                        size.checked_add(count).filter(|&size| size <= most).ok_or_else(damaged)?;
                    sum.zeroes(count);
                    target.seek(SeekFrom::Start(size)).map_err(failed)?;
                    continue;
                }
                [KNOWN] => {
                    let at = u64::from_le_bytes(self.bytes()?);
                    // No file is as large.
                    let base = base.filter(|_| i64::try_from(at).is_ok()).ok_or_else(damaged)?;
                    match base.read_exact_at(&mut block, at) {
                        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                            return Err(damaged());
                        }
                        read => read.context("reading the base image").map_err(Fault::Failed)?,
                    }
                    BLOCK
                }
                [NEW] => {
                    let length = u32::from_le_bytes(self.bytes()?);
                    let length = usize::try_from(length).unwrap_or(usize::MAX);
                    let part = block.get_mut(..length).ok_or_else(damaged)?;
                    self.source.read_exact(part).map_err(|_| damaged())?;
                    length
                }
                _ => return Err(damaged()),
            };
            self.room = self.room.checked_sub(length as u64).ok_or_else(damaged)?;
            size =
                size.checked_add(length as u64).filter(|&size| size <= most).ok_or_else(damaged)?;
            sum.block(&block[..length]);
            target.write_all(&block[..length]).map_err(failed)?;
        }
        target.set_len(size).map_err(failed)?;
        match self.bytes::<64>()? == *sum.0.finish().as_bytes() {
            true => Ok(()),
            false => Err(damaged()),
        }
    }
}

fn damaged() -> Fault {
    Fault::Damaged(Error::new("it is not what it was"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    struct Bench {
        directory: tempfile::TempDir,
        stop: CancellationToken,
    }

    impl Bench {
        fn new() -> Bench {
            let directory = tempfile::tempdir().unwrap();
            Bench { directory, stop: CancellationToken::new() }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.directory.path().join(name)
        }

        fn file(&self, name: &str, bytes: &[u8]) -> File {
            std::fs::write(self.path(name), bytes).unwrap();
            File::open(self.path(name)).unwrap()
        }

        fn description(&self, cd: bool) -> Description {
            Description { base: Base::File, disks: 1, cd, http_port: 8000, private_key: None }
        }

        /// A stream of the files.
        fn stream(&self, files: &[&File], base: Option<&File>) -> Vec<u8> {
            let known = base.map(|base| KnownBlocks::of(base, &self.stop).unwrap());
            let mut stream = Vec::new();
            let mut writer = Writer::new(&mut stream, &self.description(files.len() > 1)).unwrap();
            for file in files {
                writer
                    .add(file, known.as_ref().unwrap_or(&Default::default()), &self.stop)
                    .unwrap();
            }
            writer.finish().unwrap();
            stream
        }

        /// The first file of a stream.
        fn first(&self, stream: &[u8], most: u64, base: Option<&File>) -> Result<Vec<u8>, Fault> {
            let to = self.path("out");
            let _ = std::fs::remove_file(&to);
            let (mut reader, description) = Reader::new(stream, 1 << 30)?;
            assert_eq!(description.http_port, 8000);
            reader.next(&to, most, base, &self.stop)?;
            Ok(std::fs::read(&to).unwrap())
        }
    }

    /// Blocks of other bytes each.
    fn noise(blocks: usize, seed: u64) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        (0..blocks * BLOCK / 8).flat_map(|_| next()).collect()
    }

    const MOST: u64 = 1 << 30;

    #[test]
    fn what_the_base_image_has_is_not_in_the_stream_and_all_comes_out_again() {
        let bench = Bench::new();
        let base = noise(5, 1);
        // Moved by a block, as by a header; with zeroes, something new, and a rest.
        let disk = [&noise(1, 2)[..], &base, &vec![0; 3 * BLOCK], b"rest"].concat();
        let (base, disk_file) = (bench.file("base", &base), bench.file("disk", &disk));
        let stream = bench.stream(&[&disk_file], Some(&base));
        assert!(stream.len() < 2 * BLOCK, "{}", stream.len());
        assert_eq!(bench.first(&stream, MOST, Some(&base)).unwrap(), disk);
        let without = bench.stream(&[&disk_file], None);
        assert!(without.len() > 6 * BLOCK && without.len() < 7 * BLOCK, "{}", without.len());
        assert_eq!(bench.first(&without, MOST, None).unwrap(), disk);
        for (length, base) in [(0, vec![]), (7, vec![1; 7]), (BLOCK, vec![0; BLOCK])] {
            let file = bench.file("small", &base);
            let stream = bench.stream(&[&file, &disk_file], None);
            assert_eq!(bench.first(&stream, MOST, None).unwrap(), base, "{length}");
        }
    }

    #[test]
    fn a_stream_that_is_damaged_or_hostile_is_refused() {
        let bench = Bench::new();
        let (base, other) = (bench.file("base", &noise(2, 1)), bench.file("other", &noise(2, 3)));
        let disk = [noise(1, 2), noise(2, 1), vec![0; BLOCK]].concat();
        let disk_file = bench.file("disk", &disk);
        let stream = bench.stream(&[&disk_file], Some(&base));
        assert_eq!(bench.first(&stream, MOST, Some(&base)).unwrap(), disk);
        let short = bench.file("short", &[1; 10]);
        let refused = |stream: &[u8], most, base| {
            let result = bench.first(stream, most, base);
            assert!(matches!(result, Err(Fault::Damaged(_))), "{result:?}");
        };
        for length in (0..stream.len()).step_by(997) {
            refused(&stream[..length], MOST, Some(&base));
        }
        // Of another base image, a short one, or none.
        refused(&stream, MOST, Some(&other));
        refused(&stream, MOST, Some(&short));
        refused(&stream, MOST, None);
        // Larger than it may be: with its zeroes, and without.
        refused(&stream, disk.len() as u64 - 1, Some(&base));
        let (mut reader, _) = Reader::new(&stream[..], 2 * BLOCK as u64).unwrap();
        let out = bench.path("large");
        let result = reader.next(&out, MOST, Some(&base), &bench.stop);
        assert!(matches!(result, Err(Fault::Damaged(_))), "{result:?}");
        // Zeroes without end.
        let mut stream = Vec::new();
        let mut writer = Writer::new(&mut stream, &bench.description(false)).unwrap();
        for _ in 0..2 {
            write_zeroes(&mut writer.sink, &mut FileChecksum::default(), &mut { u64::MAX - 5 })
                .unwrap();
        }
        writer.finish().unwrap();
        refused(&stream, MOST, None);
        // Blocks that are nowhere, and larger ones than there are.
        for (kind, number) in [(KNOWN, u64::MAX), (KNOWN, 1 << 40), (NEW, u64::MAX), (9, 0)] {
            let mut stream = Vec::new();
            let mut writer = Writer::new(&mut stream, &bench.description(false)).unwrap();
            writer.sink.write_all(&[kind]).unwrap();
            writer.sink.write_all(&number.to_le_bytes()).unwrap();
            writer.finish().unwrap();
            refused(&stream, MOST, Some(&base));
        }
        // A description without end, and bytes that are no stream at all.
        let mut stream = Vec::new();
        let mut frame = FrameEncoder::new(&mut stream);
        frame.write_all(&u32::MAX.to_le_bytes()).unwrap();
        frame.finish().unwrap();
        refused(&stream, MOST, None);
        refused(&noise(1, 5), MOST, None);
        // What is there already is not written over, which is no damage.
        let stream = bench.stream(&[&disk_file], None);
        let (mut reader, _) = Reader::new(&stream[..], MOST).unwrap();
        std::fs::write(&out, "taken").unwrap();
        let result = reader.next(&out, MOST, None, &bench.stop);
        assert!(matches!(result, Err(Fault::Failed(_))), "{result:?}");
    }
}

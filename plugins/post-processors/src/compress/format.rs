//! The formats that `compress` can make.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use noodles_bgzf::io::writer::CompressionLevel;

use super::parallel::{ParallelBgzf, ParallelGzip, threads};

/// How files are put together and compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    /// None for a single compressed file.
    pub archive: Option<Archive>,
    pub algorithm: Option<Algorithm>,
}

/// How several files become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Archive {
    Tar,
    Zip,
}

/// How a stream of bytes becomes shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Gzip,
    Bzip2,
    Lz4,
    Xz,
    /// Gzip in blocks that can be found again, made for genomes.
    Bgzf,
}

impl Algorithm {
    /// The name Packer shows.
    pub(super) fn name(self) -> &'static str {
        match self {
            Algorithm::Gzip => "pgzip",
            Algorithm::Bzip2 => "bzip2",
            Algorithm::Lz4 => "lz4",
            Algorithm::Xz => "xz",
            Algorithm::Bgzf => "bgzf",
        }
    }

    /// How many threads compress.
    pub(super) fn threads(self) -> usize {
        match self {
            Algorithm::Gzip | Algorithm::Bgzf => threads(),
            Algorithm::Bzip2 | Algorithm::Lz4 | Algorithm::Xz => 1,
        }
    }

    fn of_ending(ending: &str) -> Option<Self> {
        Some(match ending {
            "gz" => Algorithm::Gzip,
            "bzip2" => Algorithm::Bzip2,
            "lz4" => Algorithm::Lz4,
            "xz" => Algorithm::Xz,
            "bgzf" => Algorithm::Bgzf,
            _ => return None,
        })
    }
}

impl Default for Format {
    fn default() -> Self {
        Format { archive: Some(Archive::Tar), algorithm: Some(Algorithm::Gzip) }
    }
}

impl Format {
    /// The format that a file called `name` should have. As in Packer, the last two endings in
    /// lower case letters and digits decide, wherever they are, and anything unknown is a
    /// gzipped tar.
    pub(super) fn of_name(name: &str) -> Self {
        let endings: Vec<&str> = name
            .split('.')
            .skip(1)
            .map(|part| {
                let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
                &part[..part.find(|c| !plain(c)).unwrap_or(part.len())]
            })
            .filter(|ending| !ending.is_empty())
            .collect();
        let tar_inside = endings.len() > 1 && endings[endings.len() - 2] == "tar";
        match endings.last().copied() {
            Some("tar") => Format { archive: Some(Archive::Tar), algorithm: None },
            Some("zip") => Format { archive: Some(Archive::Zip), algorithm: None },
            Some(ending) => match Algorithm::of_ending(ending) {
                Some(algorithm) => Format {
                    archive: tar_inside.then_some(Archive::Tar),
                    algorithm: Some(algorithm),
                },
                None => Format::default(),
            },
            None => Format::default(),
        }
    }

    /// Whether `format`, as the option gives it, names a format.
    pub(super) fn is_known(format: &str) -> bool {
        let last = format.rsplit('.').next().unwrap_or(format);
        matches!(last, "tar" | "zip") || Algorithm::of_ending(last).is_some()
    }

    /// Its name for people.
    pub(super) fn name(self) -> String {
        match (self.archive, self.algorithm) {
            (Some(Archive::Zip), _) => "zip".to_owned(),
            (Some(Archive::Tar), None) => "tar".to_owned(),
            (Some(Archive::Tar), Some(algorithm)) => format!("tar with {}", algorithm.name()),
            (None, Some(algorithm)) => algorithm.name().to_owned(),
            (None, None) => "a copy".to_owned(),
        }
    }
}

type Output = BufWriter<File>;

/// Compresses what is written to it.
pub(crate) enum Compressor {
    None(Output),
    Gzip(ParallelGzip<Output>),
    Bzip2(bzip2::write::BzEncoder<Output>),
    Lz4(Box<lz4_flex::frame::FrameEncoder<Output>>),
    Xz(Box<lzma_rust2::XzWriter<Output>>),
    Bgzf(ParallelBgzf<Output>),
}

impl Compressor {
    /// Writes to `output` with `level`, from 1 to 9, where the algorithm has levels.
    pub(crate) fn new(
        algorithm: Option<Algorithm>,
        level: Option<u32>,
        output: Output,
    ) -> io::Result<Self> {
        Ok(match algorithm {
            None => Compressor::None(output),
            Some(Algorithm::Gzip) => {
                let level =
                    level.map_or_else(flate2::Compression::default, flate2::Compression::new);
                Compressor::Gzip(ParallelGzip::new(output, level)?)
            }
            Some(Algorithm::Bzip2) => {
                let level = bzip2::Compression::new(level.unwrap_or(9));
                Compressor::Bzip2(bzip2::write::BzEncoder::new(output, level))
            }
            Some(Algorithm::Lz4) => {
                Compressor::Lz4(Box::new(lz4_flex::frame::FrameEncoder::new(output)))
            }
            Some(Algorithm::Xz) => {
                let options = lzma_rust2::XzOptions::with_preset(6);
                Compressor::Xz(Box::new(lzma_rust2::XzWriter::new(output, options)?))
            }
            Some(Algorithm::Bgzf) => {
                let level = level
                    .and_then(|level| u8::try_from(level).ok())
                    .and_then(CompressionLevel::new)
                    .unwrap_or_default();
                Compressor::Bgzf(ParallelBgzf::new(output, level)?)
            }
        })
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Compressor::None(writer) => writer,
            Compressor::Gzip(writer) => writer,
            Compressor::Bzip2(writer) => writer,
            Compressor::Lz4(writer) => writer,
            Compressor::Xz(writer) => writer,
            Compressor::Bgzf(writer) => writer,
        }
    }

    /// Writes what is still held back and the format's trailer.
    pub(crate) fn finish(self) -> io::Result<()> {
        let mut output = match self {
            Compressor::None(output) => output,
            Compressor::Gzip(writer) => writer.finish()?,
            Compressor::Bzip2(writer) => writer.finish()?,
            Compressor::Lz4(writer) => writer.finish().map_err(io::Error::other)?,
            Compressor::Xz(writer) => writer.finish()?,
            Compressor::Bgzf(writer) => writer.finish()?,
        };
        output.flush()
    }
}

impl Write for Compressor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide_the_format() {
        let format = |archive, algorithm| Format { archive, algorithm };
        let tar = Some(Archive::Tar);
        for (name, expected) in [
            ("packer_{{.BuildName}}_{{.BuilderType}}", Format::default()),
            ("x.tar", format(tar, None)),
            ("x.zip", format(Some(Archive::Zip), None)),
            ("x.tar.zip", format(Some(Archive::Zip), None)),
            ("x.gz", format(None, Some(Algorithm::Gzip))),
            ("x.tar.gz", format(tar, Some(Algorithm::Gzip))),
            ("v1.2/x.tar.xz", format(tar, Some(Algorithm::Xz))),
            ("x.lz4", format(None, Some(Algorithm::Lz4))),
            ("x.tar.bzip2", format(tar, Some(Algorithm::Bzip2))),
            ("x.bgzf", format(None, Some(Algorithm::Bgzf))),
            ("{{.BuildName}}.box", Format::default()),
            ("x.GZ", Format::default()),
            ("x.gz/y", format(None, Some(Algorithm::Gzip))),
        ] {
            assert_eq!(Format::of_name(name), expected, "{name}");
        }
        assert!(Format::is_known("tar.gz") && Format::is_known("zip") && !Format::is_known("rar"));
    }
}

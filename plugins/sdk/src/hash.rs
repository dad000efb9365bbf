//! Checksums: SHA-256, and others by name.

use std::io;
use std::path::Path;

use ring::digest;
pub use sha2::digest::DynDigest;
use tokio_util::sync::CancellationToken;

use crate::file_work::Reader;
use crate::{Context, Result};

/// The hash function called `name`: `md5`, `sha1`, `sha224`, `sha256`, `sha384` or `sha512`.
pub fn hasher(name: &str) -> Option<Box<dyn DynDigest + Send>> {
    Some(match name {
        "md5" => Box::new(md5::Md5::default()),
        "sha1" => Box::new(sha1::Sha1::default()),
        "sha224" => Box::new(sha2::Sha224::default()),
        "sha256" => Box::new(sha2::Sha256::default()),
        "sha384" => Box::new(sha2::Sha384::default()),
        "sha512" => Box::new(sha2::Sha512::default()),
        _ => return None,
    })
}

/// The SHA-256 of `bytes`, in hexadecimal.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(sha256_bytes(bytes).as_ref())
}

/// The SHA-256 of `bytes`, as 32 bytes.
pub fn sha256_bytes(bytes: impl AsRef<[u8]>) -> impl AsRef<[u8]> {
    digest::digest(&digest::SHA256, bytes.as_ref())
}

/// The SHA-256 of what comes in pieces. It is ring's, whose assembly is fast without optimization, too:
/// whole disks are summed up.
#[derive(Clone)]
pub struct Sha256(digest::Context);

impl Sha256 {
    /// That of nothing so far.
    pub fn new() -> Sha256 {
        Sha256(digest::Context::new(&digest::SHA256))
    }

    /// Takes the next piece.
    pub fn update(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.update(bytes.as_ref());
    }

    /// The checksum of all pieces, in hexadecimal.
    pub fn finish(self) -> String {
        hex(self.0.finish().as_ref())
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Sha256::new()
    }
}

/// Takes what is written, for [`io::copy`].
impl io::Write for Sha256 {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `bytes` in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The checksums of the file `input` in hexadecimal, from one pass over it. `names` are names
/// that [`hasher`] knows. Blocks.
///
/// # Errors
/// The file cannot be read, or `stop` fired.
pub fn sums_of(
    reader: &mut Reader,
    stop: &CancellationToken,
    input: &Path,
    names: &[&str],
) -> Result<Vec<String>> {
    let mut hashers: Vec<_> = names.iter().filter_map(|name| hasher(name)).collect();
    let mut file = Reader::open(input)?;
    let copied = reader.copy(stop, &mut file, |bytes| {
        hashers.iter_mut().for_each(|hasher| hasher.update(bytes));
        Ok(())
    });
    copied.with_context(|| format!("reading {}", input.display()))?;
    Ok(hashers.into_iter().map(|hasher| hex(&hasher.finalize())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_a_sha256_agree() {
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256("abc"), abc);
        let mut pieces = Sha256::new();
        pieces.update("a");
        io::copy(&mut &b"bc"[..], &mut pieces).unwrap();
        assert_eq!(pieces.finish(), abc);
        let mut named = hasher("sha256").unwrap();
        named.update(b"abc");
        assert_eq!(hex(&named.finalize()), abc);
    }
}

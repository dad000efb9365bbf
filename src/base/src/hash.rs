//! Checksums: SHA-256.

use std::io;

use ring::digest;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_the_sha256_of_the_whole() {
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256("abc"), abc);
        let mut pieces = Sha256::new();
        pieces.update("a");
        io::copy(&mut &b"bc"[..], &mut pieces).unwrap();
        assert_eq!(pieces.finish(), abc);
    }
}

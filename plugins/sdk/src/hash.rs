//! Checksums: SHA-256, and others by name.

use std::path::Path;

pub use ingot_base::hash::{Sha256, hex, sha256, sha256_bytes};
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
        let mut named = hasher("sha256").unwrap();
        named.update(b"abc");
        assert_eq!(hex(&named.finalize()), sha256("abc"));
    }
}

//! The hashes and the cipher that NTLM uses.

use hmac::{Hmac, KeyInit, Mac};
use md4::Md4;
use md5::{Digest, Md5};

/// 128 bits: a key, or what a hash or MAC yields.
pub(super) type Block = [u8; 16];

pub(super) fn md4(bytes: &[u8]) -> Block {
    Md4::digest(bytes).into()
}

pub(super) fn md5(parts: &[&[u8]]) -> Block {
    let mut hash = Md5::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// HMAC-MD5 over `parts`.
pub(super) fn mac(key: &Block, parts: &[&[u8]]) -> Block {
    // Any length is a valid key for HMAC; a block of MD5 has room for these 16 bytes.
    let mut padded = [0; 64];
    padded[..key.len()].copy_from_slice(key);
    let mut mac = <Hmac<Md5> as KeyInit>::new(&padded.into());
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// RC4 with `key`.
pub(super) fn rc4(key: &Block) -> rc4::Rc4 {
    // The crate repeats a key until it has 256 bytes, as RC4 does, so twice the key is the key.
    let mut doubled = [0; 32];
    doubled[..16].copy_from_slice(key);
    doubled[16..].copy_from_slice(key);
    <rc4::Rc4 as rc4::KeyInit>::new(&doubled.into())
}

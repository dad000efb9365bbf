//! Which ciphers and key exchanges libssh2 can do.

use ssh2::{MethodType, Session};

/// What is offered for encryption unless `ssh_ciphers` says otherwise: everything libssh2 can do
/// that is not broken. The first is the fastest one here, though not on paper: libssh2 takes whole
/// packets through it, and 16 bytes at a time through each of the others.
pub(crate) const DEFAULT_CIPHERS: &str = "chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,\
                                   aes256-gcm@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr";

/// The names among `wanted` that libssh2 does not know, and all that it does.
pub(crate) fn unsupported(kind: MethodType, wanted: &[String]) -> Option<(Vec<String>, String)> {
    let known = Session::new().and_then(|session| session.supported_algs(kind)).ok()?;
    let unknown: Vec<String> =
        wanted.iter().filter(|name| !known.contains(&name.as_str())).cloned().collect();
    (!unknown.is_empty()).then(|| (unknown, known.join(", ")))
}

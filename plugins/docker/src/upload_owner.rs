//! Who a container's user is, in numbers: tar entries are sent with their final owner, which
//! saves a `chown` in the container per upload.

use ingot_sdk::{Error, Result};

use crate::archive::{self, Owner};
use crate::engine::Engine;

/// The largest `/etc/passwd` or `/etc/group` that is read.
const MAX_DATABASE: usize = 16 * 1024 * 1024;

/// The numbers for `user`, in the form `--user` has: a name or number, optionally with a group.
/// Without a group, the group is root's, as the Engine has it for what it unpacks.
///
/// # Errors
/// A name is not in the container's user database.
pub async fn resolve(engine: &Engine, container: &str, user: &str) -> Result<Owner> {
    let (user, group) = user.split_once(':').unwrap_or((user, ""));
    let uid = match user {
        "" | "root" => 0,
        user => number(engine, container, user, "/etc/passwd").await?,
    };
    let gid = match group {
        "" | "root" => 0,
        group => number(engine, container, group, "/etc/group").await?,
    };
    Ok(Owner { uid, gid })
}

/// The number of `name`, which may be a number already. Both databases have the name first and
/// the number third on a line.
async fn number(engine: &Engine, container: &str, name: &str, database: &str) -> Result<u64> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let mut bytes = LimitedBuffer(Vec::new());
    archive::download_file(engine, container, database, &mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes.0);
    text.lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&name))
        .and_then(|fields| fields.get(2)?.parse().ok())
        .ok_or_else(|| {
            Error::new(format!("{name} is not in the container's {database}")).hint(
                "name the user by its number, or set fix_upload_owner = false to let uploads \
                 keep the owner they have here",
            )
        })
}

/// A buffer that refuses to grow without end, because a container decides what it is sent.
struct LimitedBuffer(Vec<u8>);

impl tokio::io::AsyncWrite for LimitedBuffer {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        if self.0.len() + bytes.len() > MAX_DATABASE {
            return std::task::Poll::Ready(Err(std::io::Error::other("the file is too long")));
        }
        self.0.extend_from_slice(bytes);
        std::task::Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

/// The user this process runs as, for uploads whose owner is not to be changed.
pub fn of_this_process() -> Owner {
    use std::os::unix::fs::MetadataExt;
    // A process's folder in /proc belongs to it; elsewhere than on Linux root will do.
    std::fs::metadata("/proc/self").map_or(Owner { uid: 0, gid: 0 }, |meta| Owner {
        uid: u64::from(meta.uid()),
        gid: u64::from(meta.gid()),
    })
}

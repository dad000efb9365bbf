//! Free TCP ports, handed out so that builds that run at the same time, in this process or in
//! others, do not get in each other's way.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ingot_sdk::file_lock::FileLock;
use ingot_sdk::{Error, Result, RunContext};
use tokio::net::TcpListener;

use crate::cache;

/// How long to wait before a range that was fully taken is looked through again.
const POLL: Duration = Duration::from_millis(500);

/// A range of ports, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The lowest port.
    pub min: u16,
    /// The highest port; not below `min`.
    pub max: u16,
}

/// A port that no other build will be given until this is dropped.
#[derive(Debug)]
pub struct ReservedPort {
    port: u16,
    listener: Option<TcpListener>,
    _lock: FileLock,
}

impl ReservedPort {
    /// Its number.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The socket that listens on it, to serve on. None after [`ReservedPort::vacate`] and when
    /// it was taken before.
    pub fn take_listener(&mut self) -> Option<TcpListener> {
        self.listener.take()
    }

    /// Closes the socket, so that another program can listen on the port. No other build takes
    /// the port as long as `self` lives.
    pub fn vacate(&mut self) {
        self.listener = None;
    }
}

impl PortRange {
    /// Reserves a free port on `address`. Where all are taken, says so and waits for one.
    ///
    /// # Errors
    /// No port of the range can be used at all (`address` is not of this machine, ports below
    /// 1024 without the right to them), the cache cannot be written, or the build was cancelled.
    pub async fn reserve(&self, ctx: &RunContext, address: IpAddr) -> Result<ReservedPort> {
        let mut said = false;
        loop {
            if let Some(reserved) = self.try_reserve(address).await? {
                tracing::debug!(port = reserved.port, %address, "reserved a port");
                return Ok(reserved);
            }
            if !said {
                said = true;
                ctx.ui.say(format!(
                    "All ports from {} to {} on {address} are in use; waiting for one",
                    self.min, self.max
                ));
            }
            tokio::select! {
                () = ctx.cancel.cancelled() => return Err(Error::Cancelled),
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    async fn try_reserve(&self, address: IpAddr) -> Result<Option<ReservedPort>> {
        let count = u32::from(self.max.saturating_sub(self.min)) + 1;
        // Builds that start together begin at different ports.
        let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
        for step in 0..count {
            let offset = (start / 1000 % count + step) % count;
            // Below `max`, so it fits.
            let port = self.min + u16::try_from(offset).unwrap_or(0);
            let path = cache::path(&["port", &port.to_string()])?;
            let Some(lock) = FileLock::try_take(&path)? else { continue };
            match TcpListener::bind(SocketAddr::new(address, port)).await {
                Ok(listener) => {
                    return Ok(Some(ReservedPort {
                        port,
                        listener: Some(listener),
                        _lock: lock.remove_on_drop(),
                    }));
                }
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
                Err(error) => {
                    return Err(Error::new(format!("cannot listen on {address}:{port}: {error}")));
                }
            }
        }
        Ok(None)
    }
}

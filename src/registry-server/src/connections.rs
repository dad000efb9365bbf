//! Connections: how many there may be, and how long one may be open for nothing.
//!
//! A connection on which no request is under way is idle, whatever it sends: nothing, a header byte
//! by byte, or HTTP/2's pings; so is one whose client does not take its response. What has been idle
//! for too long is closed, and what has been idle for longest makes room when there are too many.

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum_server::accept::Accept;
use futures_util::task::AtomicWaker;
use parking_lot::{Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::proxy::TrustedProxies;

/// How many open files are kept back for the database, its connections and everything else.
const RESERVED_FILES: u64 = 160;
/// How many connections there may be at most, however many files may be open.
const MOST: u64 = 20_000;
/// How many connections one address may have at most.
const MOST_PER_ADDRESS: usize = 1000;

/// The connections of a server.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    per_address: usize,
    idle: Duration,
    proxies: TrustedProxies,
    open: Mutex<HashMap<SocketAddr, Entry>>,
}

/// An open connection.
#[derive(Debug)]
struct Entry {
    /// How many requests are under way.
    requests: usize,
    /// When the last one ended.
    since: Instant,
    close: Arc<Close>,
}

/// Tells a connection to close.
#[derive(Debug, Default)]
struct Close {
    requested: AtomicBool,
    waker: AtomicWaker,
}

impl Close {
    fn request(&self) {
        self.requested.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether to go on; if it is to close later, the task is woken then.
    fn go_on(&self, context: &Context<'_>) -> io::Result<()> {
        self.waker.register(context.waker());
        match self.requested.load(Ordering::Acquire) {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(()),
        }
    }
}

impl Connections {
    /// Limits by how many files the process may have open, which is raised as far as it may be.
    pub(crate) fn new(idle: Duration, proxies: TrustedProxies) -> Arc<Self> {
        let most = open_files().saturating_sub(RESERVED_FILES).clamp(16, MOST);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let per_address = (most / 2).min(MOST_PER_ADDRESS);
        Arc::new(Connections { most, per_address, idle, proxies, open: Mutex::default() })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<SocketAddr, Entry>> {
        self.open.lock()
    }

    /// Lets a connection in, if need be in place of an idle one.
    fn admit(self: &Arc<Self>, peer: SocketAddr, stream: TcpStream) -> io::Result<Connection> {
        let mut open = self.open();
        let network = network(peer.ip());
        let of_network =
            |(address, _): &(&SocketAddr, &Entry)| self::network(address.ip()) == network;
        // Behind a proxy there are many, who share its address.
        let crowded = !self.proxies.trust(peer.ip())
            && open.iter().filter(of_network).count() >= self.per_address;
        if crowded || open.len() >= self.most {
            let idle = open.iter().filter(|(_, entry)| entry.requests == 0);
            let idle = idle.filter(|entry| !crowded || of_network(entry));
            let oldest = idle.min_by_key(|(_, entry)| entry.since).map(|(peer, _)| *peer);
            let oldest = oldest.and_then(|peer| open.remove(&peer));
            let oldest =
                oldest.ok_or_else(|| io::Error::other("there are too many connections"))?;
            oldest.close.request();
        }
        let close = Arc::new(Close::default());
        let entry = Entry { requests: 0, since: Instant::now(), close: close.clone() };
        open.insert(peer, entry);
        Ok(Connection { stream, peer, close, connections: self.clone() })
    }

    /// Says that a request is under way on a connection for as long as what is returned exists.
    pub(crate) fn request(self: &Arc<Self>, peer: SocketAddr) -> UnderWay {
        if let Some(entry) = self.open().get_mut(&peer) {
            entry.requests += 1;
        }
        UnderWay { peer, connections: self.clone() }
    }

    /// Closes what has been idle for too long, now and again, until the server ends.
    pub(crate) async fn sweep(self: Arc<Self>) {
        loop {
            tokio::time::sleep((self.idle / 4).min(Duration::from_secs(5))).await;
            let idle = |entry: &Entry| entry.requests == 0 && entry.since.elapsed() >= self.idle;
            for entry in self.open().values().filter(|entry| idle(entry)) {
                entry.close.request();
            }
        }
    }
}

/// What may have many addresses by itself: an IPv6 network of 64 bits is one customer's. Where
/// the server listens at `[::]`, clients of IPv4 have addresses such as `::ffff:10.0.0.1`, all of which
/// would be in one such network.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        address => address,
    }
}

/// How many files the process may have open.
fn open_files() -> u64 {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        let wanted = (MOST + RESERVED_FILES).max(limit.current.unwrap_or(0));
        limit.current = Some(limit.maximum.map_or(wanted, |most| most.min(wanted)));
        let _ = setrlimit(Resource::Nofile, limit);
        getrlimit(Resource::Nofile).current.unwrap_or(MOST)
    }
    #[cfg(not(unix))]
    MOST
}

/// A request that is under way on a connection.
#[derive(Debug)]
pub(super) struct UnderWay {
    peer: SocketAddr,
    connections: Arc<Connections>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(entry) = self.connections.open().get_mut(&self.peer) {
            entry.requests = entry.requests.saturating_sub(1);
            entry.since = Instant::now();
        }
    }
}

/// Logs that a connection was not let in. Without a peer it is the server that cannot, as when it
/// has too many files open.
pub(super) fn log_error(peer: Option<&SocketAddr>, error: &io::Error) {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    let Some(peer) = peer else {
        let mut last = LAST.lock();
        if last.is_none_or(|last| last.elapsed() > Duration::from_secs(10)) {
            *last = Some(Instant::now());
            tracing::error!(%error, "connections cannot be accepted");
        }
        return;
    };
    tracing::debug!(%peer, %error, "a connection was not let in");
}

/// Lets connections in.
#[derive(Debug, Clone)]
pub(super) struct Acceptor(pub Arc<Connections>);

impl<S> Accept<TcpStream, S> for Acceptor {
    type Stream = Connection;
    type Service = S;
    type Future = Ready<io::Result<(Connection, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let accepted = stream.set_nodelay(true).and_then(|()| stream.peer_addr());
        ready(accepted.and_then(|peer| Ok((self.0.admit(peer, stream)?, service))))
    }
}

/// A connection that can be closed from outside.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    close: Arc<Close>,
    connections: Arc<Connections>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        // Another one may have this address by now, if this one had to make room.
        if open.get(&self.peer).is_some_and(|entry| Arc::ptr_eq(&entry.close, &self.close)) {
            open.remove(&self.peer);
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.close.go_on(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.close.go_on(context)?;
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.close.go_on(context)?;
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_of_ipv4_is_a_network() {
        let network = |address: &str| network(address.parse().expect("an address"));
        assert_ne!(network("10.0.0.1"), network("10.0.0.2"));
        assert_ne!(network("::ffff:10.0.0.1"), network("::ffff:10.0.0.2"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
        assert_eq!(network("2001:db8::1"), network("2001:db8::2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
    }
}

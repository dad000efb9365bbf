//! Bodies of requests whose sender has not authenticated. Anybody can send them, and they take memory
//! until the request is answered: few are there at once, and one network cannot have all of these.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request};
use ingot_registry::api::Result;
use ingot_registry::store::turn_within;
use parking_lot::Mutex;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::api_response::{body_error, late};
use crate::connections::network;

/// How large a request for a token or to sign in may be, in bytes.
pub(super) const BODY: usize = 16 << 10;
/// How many bodies there may be at once: a place is taken before its body arrives, so there are enough
/// for many that never do, and bodies that do are small.
const MOST: usize = 4096;
/// How many of these may be one network's.
const SHARE: usize = 1024;
/// How long to wait for a place among them.
const QUEUE: Duration = Duration::from_secs(5);
/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(5);

/// A body, which counts until it is dropped.
pub(super) struct UnauthenticatedBody {
    pub bytes: Bytes,
    _places: [OwnedSemaphorePermit; 2],
}

/// The bodies that there are.
#[derive(Debug)]
pub(super) struct UnauthenticatedBodies {
    all: Arc<Semaphore>,
    /// The places of each network that has or waits for one.
    shares: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
}

impl Default for UnauthenticatedBodies {
    fn default() -> Self {
        UnauthenticatedBodies { all: Arc::new(Semaphore::new(MOST)), shares: Mutex::default() }
    }
}

impl UnauthenticatedBodies {
    /// Reads the body of a request from an address.
    ///
    /// # Errors
    /// There are too many others, or the body is too large or does not arrive in time.
    pub(crate) async fn read(
        &self,
        request: Request,
        address: IpAddr,
    ) -> Result<UnauthenticatedBody> {
        let share = self.share(address);
        let places = async {
            // That of the network first: who waits for it keeps no other network waiting.
            let own = share.acquire_owned().await?;
            Ok::<_, AcquireError>([own, self.all.clone().acquire_owned().await?])
        };
        let places = turn_within(QUEUE, places).await?;
        let bytes = arrive(request, ARRIVAL).await?;
        Ok(UnauthenticatedBody { bytes, _places: places })
    }

    /// The places of the network of an address.
    fn share(&self, address: IpAddr) -> Arc<Semaphore> {
        let network = network(address);
        let mut shares = self.shares.lock();
        if let Some(share) = shares.get(&network).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(SHARE));
        shares.insert(network, Arc::downgrade(&share));
        share
    }
}

/// Reads a body that must arrive within some time.
async fn arrive(request: Request, within: Duration) -> Result<Bytes> {
    match timeout(within, Bytes::from_request(request, &())).await {
        Ok(read) => read.map_err(|rejection| body_error(&rejection)),
        Err(_) => Err(late()),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures_util::{FutureExt as _, stream};
    use ingot_registry::api::Code;

    use super::*;

    #[tokio::test]
    async fn one_network_cannot_have_all_places() {
        let bodies = UnauthenticatedBodies::default();
        // None if it has to wait.
        let read = |address: &str| {
            let request = Request::new(Body::from("grant_type=client_credentials"));
            let address = address.parse().expect("an address");
            let read = tokio::task::unconstrained(bodies.read(request, address));
            read.now_or_never().map(|read| read.expect("it is read"))
        };
        let hosts = 1..=SHARE;
        let mut held: Vec<_> = hosts.map(|host| read(&format!("2001:db8::{host:x}"))).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(read("2001:db8::ffff").is_none(), "its network has its share");
        let other = read("10.0.0.1").expect("another network has a place");
        assert_eq!(&other.bytes[..], b"grant_type=client_credentials");
        held.pop();
        assert!(read("2001:db8::ffff").is_some(), "a place is free again");
        // All networks together are bounded, too, and forgotten when they have none any more.
        drop(other);
        let networks = (0_u8..3).map(|number| format!("10.0.1.{number}"));
        held.extend(networks.flat_map(|address| vec![address; SHARE]).map(|it| read(&it)));
        held.push(read("2001:db8::ffff"));
        assert!(held.iter().all(Option::is_some) && held.len() == MOST);
        assert!(read("10.0.0.1").is_none(), "there are too many");
        held.clear();
        assert!(read("10.0.0.1").is_some());
        assert_eq!(bodies.shares.lock().len(), 1);
    }

    /// Whoever sent it may send it again: the network may have been slow.
    #[tokio::test]
    async fn a_body_that_does_not_arrive_is_given_up() {
        let never = stream::pending::<std::io::Result<Bytes>>();
        let request = Request::new(Body::from_stream(never));
        let error = arrive(request, Duration::from_millis(10)).await.expect_err("it is late");
        assert_eq!(error.code, Code::Unavailable);
        assert_eq!(error.message, "the request did not arrive in time");
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_not_kept() {
        let bodies = UnauthenticatedBodies::default();
        let request = Request::new(Body::from(vec![b'x'; 3 << 20]));
        let address = "10.0.0.1".parse().expect("an address");
        let error = bodies.read(request, address).await.err().expect("it is too large");
        assert_eq!(error.message, "the request is too large");
    }
}

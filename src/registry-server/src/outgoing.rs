//! Responses on their way: how many bytes of large ones may wait for clients to take them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use http_body::{Frame, SizeHint};

use ingot_registry::api::{Code, Error, Result};
use parking_lot::Mutex;

/// What is larger counts, in bytes.
const LARGE: u64 = 64 << 10;
/// How much there may be of it in all, in bytes.
const MOST: u64 = 128 << 20;
/// How much of that may wait for one address, in bytes: nobody can have all of it.
const SHARE: u64 = MOST / 2;

/// Marks a response whose bytes all responses of its kind share: it does not count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Uncounted;

/// The large responses that are being sent.
#[derive(Debug, Default)]
pub(super) struct Outgoing(Arc<Mutex<HashMap<IpAddr, u64>>>);

impl Outgoing {
    /// Counts a response to `address` until all of it is sent or its client is gone.
    ///
    /// # Errors
    /// Unavailable: clients have yet to take too much.
    pub(crate) fn admit(&self, response: Response, address: IpAddr) -> Result<Response> {
        let size = response.body().size_hint().exact().filter(|size| *size > LARGE);
        let Some(size) = size.filter(|_| response.extensions().get::<Uncounted>().is_none()) else {
            return Ok(response);
        };
        let mut waiting = self.0.lock();
        let all: u64 = waiting.values().sum();
        let own = waiting.get(&address).copied().unwrap_or_default();
        // One that is larger than that by itself goes out alone.
        if all > 0 && all + size > MOST || own > 0 && own + size > SHARE {
            return Err(Error::new(
                Code::Unavailable,
                "too many large responses are being sent; try again",
            )
            .perhaps_done());
        }
        waiting.insert(address, own + size);
        let reservation = Reservation { all: self.0.clone(), address, size };
        drop(waiting);
        Ok(response.map(|body| Body::new(Counted { body, _reservation: reservation })))
    }
}

/// The bytes that one response takes, given back when it is dropped.
struct Reservation {
    all: Arc<Mutex<HashMap<IpAddr, u64>>>,
    address: IpAddr,
    size: u64,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut waiting = self.all.lock();
        let left = waiting.get(&self.address).copied().unwrap_or_default();
        match left.saturating_sub(self.size) {
            0 => waiting.remove(&self.address),
            left => waiting.insert(self.address, left),
        };
    }
}

/// A body that counts as long as it exists.
struct Counted {
    body: Body,
    _reservation: Reservation,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_do_not_take_is_bounded() {
        let outgoing = Outgoing::default();
        let large = || Response::new(Body::from(vec![b'x'; 4 << 20]));
        let address = |number: u8| IpAddr::from([10, 0, 0, number]);
        let mut waiting: Vec<Response> = (0..32)
            .map(|number| outgoing.admit(large(), address(number / 16)).expect("there is room"))
            .collect();
        assert_eq!(waiting[0].body().size_hint().exact(), Some(4 << 20));
        assert!(outgoing.admit(large(), address(9)).is_err());
        assert!(outgoing.admit(Response::new(Body::from("small")), address(9)).is_ok());
        waiting.pop();
        assert!(outgoing.admit(large(), address(0)).is_err(), "it has its share");
        assert!(outgoing.admit(large(), address(9)).is_ok());
        waiting.clear();
        assert!(outgoing.0.lock().is_empty());
    }

    #[test]
    fn what_all_responses_share_does_not_count() {
        let outgoing = Outgoing::default();
        let address = IpAddr::from([10, 0, 0, 1]);
        let waiting: Vec<Response> = (0..1000)
            .map(|_| {
                let mut response = Response::new(Body::from(vec![b'x'; 65 << 10]));
                response.extensions_mut().insert(Uncounted);
                outgoing.admit(response, address).expect("it is not counted")
            })
            .collect();
        assert!(waiting.len() == 1000 && outgoing.0.lock().is_empty());
    }
}

//! Responses on their way: how many bytes of large ones may wait for clients to take them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use http_body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use ingot_registry::api::{Code, Error, Result};

/// What is larger counts, in bytes.
const LARGE: u64 = 64 << 10;
/// How much there may be of it in all, in KiB.
const MOST: u32 = 128 << 10;

/// The large responses that are being sent.
#[derive(Debug)]
pub(super) struct Outgoing(Arc<Semaphore>);

impl Default for Outgoing {
    fn default() -> Self {
        Outgoing(Arc::new(Semaphore::new(MOST as usize)))
    }
}

impl Outgoing {
    /// Counts a response until all of it is sent or its client is gone.
    ///
    /// # Errors
    /// Unavailable: clients have yet to take too much.
    pub(crate) fn admit(&self, response: Response) -> Result<Response> {
        let Some(size) = response.body().size_hint().exact().filter(|size| *size > LARGE) else {
            return Ok(response);
        };
        let kib = u32::try_from(size >> 10).unwrap_or(MOST).min(MOST);
        let permit = self.0.clone().try_acquire_many_owned(kib).map_err(|_| {
            Error::new(Code::Unavailable, "too many large responses are being sent; try again")
        })?;
        Ok(response.map(|body| Body::new(Counted { body, _permit: permit })))
    }
}

/// A body that counts as long as it exists.
struct Counted {
    body: Body,
    _permit: OwnedSemaphorePermit,
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
        let mut waiting: Vec<Response> =
            (0..32).map(|_| outgoing.admit(large()).expect("there is room")).collect();
        assert_eq!(waiting[0].body().size_hint().exact(), Some(4 << 20));
        assert!(outgoing.admit(large()).is_err());
        assert!(outgoing.admit(Response::new(Body::from("small"))).is_ok());
        waiting.pop();
        assert!(outgoing.admit(large()).is_ok());
    }
}

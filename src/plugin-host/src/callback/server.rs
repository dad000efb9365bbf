//! The server that a call of a component offers to its plugin.

use std::sync::Arc;

use async_trait::async_trait;
use rmpv::Value;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{artifact, communicator, hook, ui};
use crate::mux::Mux;
use crate::rpc::{self, Service, unknown_method};

/// What a component is offered.
#[derive(Default)]
pub(crate) struct Callbacks {
    /// `Ui.*`
    pub ui: Option<ui::UiService>,
    /// `Communicator.*`
    pub communicator: Option<communicator::CommunicatorService>,
    /// `Hook.*`
    pub hook: Option<hook::HookService>,
    /// `Artifact.*`
    pub artifact: Option<artifact::ArtifactService>,
}

#[async_trait]
impl Service for Callbacks {
    async fn call(&self, method: &str, argument: Value) -> Result<Value, String> {
        let (endpoint, name) = method.split_once('.').unwrap_or((method, ""));
        match endpoint {
            "Communicator" => match &self.communicator {
                Some(service) => service.call(name, &argument).await,
                None => unknown_method(method),
            },
            "Hook" => match &self.hook {
                Some(service) => service.call(name, &argument).await,
                None => unknown_method(method),
            },
            "Artifact" => match &self.artifact {
                Some(service) => service.call(name, &argument).await,
                None => unknown_method(method),
            },
            // Progress bars have endpoints of their own, which begin with `Ui`.
            endpoint => match (&self.ui, endpoint.strip_prefix("Ui")) {
                // A progress bar is named by the file it is about, which may have dots.
                (Some(service), Some(_)) => service.call(method, &argument).await,
                _ => unknown_method(method),
            },
        }
    }
}

/// Offers `callbacks` on a new stream until the guard is dropped. Returns the stream's number.
pub(crate) fn offer(mux: &Mux, callbacks: Callbacks) -> (u32, DropGuard) {
    let id = mux.next_id();
    let stop = CancellationToken::new();
    let guard = stop.clone().drop_guard();
    let mux = mux.clone();
    tokio::spawn(async move {
        let stream = tokio::select! {
            stream = mux.accept(id) => stream,
            () = stop.cancelled() => return,
        };
        match stream {
            Ok(stream) => rpc::serve(stream, Arc::new(callbacks), stop).await,
            Err(error) => tracing::debug!(%error, "a plugin did not take what it was offered"),
        }
    });
    (id, guard)
}

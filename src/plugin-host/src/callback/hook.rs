//! The build's provisioners, as a plugin's builder sees them.

use std::sync::{Arc, Weak};

use ingot_sdk::{Communicator, GeneratedData, RunContext};
use rmpv::Value;
use tokio_util::sync::CancellationToken;

use crate::host::Instance;
use crate::message::{field, stream_id, string, to_json};
use crate::remote::communicator::RemoteCommunicator;
use crate::rpc::{RpcClient, done, unknown_method};

/// Serves `Hook.*`.
pub(crate) struct HookService {
    ctx: RunContext,
    /// Fires when the plugin wants the provisioners to stop.
    stop: CancellationToken,
    builder: Weak<Instance>,
}

impl HookService {
    /// Runs the provisioners of the build of `ctx` over the machine of `builder`.
    pub(crate) fn new(ctx: RunContext, builder: &Arc<Instance>) -> Self {
        let stop = ctx.cancel.child_token();
        HookService { ctx, stop, builder: Arc::downgrade(builder) }
    }

    /// Runs `method`.
    ///
    /// # Errors
    /// A provisioner failed, or there is no such method.
    pub(crate) async fn call(&self, method: &str, argument: &Value) -> Result<Value, String> {
        match method {
            "Run" => self.run(argument).await,
            "Cancel" => {
                self.stop.cancel();
                done()
            }
            method => unknown_method(&format!("Hook.{method}")),
        }
    }

    async fn run(&self, argument: &Value) -> Result<Value, String> {
        let Some(builder) = self.builder.upgrade() else { return Err("cancelled".to_owned()) };
        let mux = builder.process().mux().clone();
        let stream = mux.dial(stream_id(argument, "StreamId")).await;
        let stream = stream.map_err(|error| format!("the builder's machine: {error}"))?;
        let client = RpcClient::new(stream);
        let data: GeneratedData = match to_json(field(argument, "Data")) {
            serde_json::Value::Object(entries) => entries.into_iter().collect(),
            _ => GeneratedData::new(),
        };
        let winrm = data.get("ConnType").and_then(serde_json::Value::as_str) == Some("winrm");
        let machine: Arc<dyn Communicator> =
            Arc::new(RemoteCommunicator::new(client, builder, winrm));
        let ctx = RunContext { cancel: self.stop.clone(), ..self.ctx.clone() };
        let result = match string(argument, "Name").as_str() {
            "packer_provision" => ctx.provision(machine, data).await,
            "packer_cleanup_provision" => ctx.hook.cleanup_provision(&ctx, machine, data).await,
            // There are no other hooks.
            _ => Ok(()),
        };
        result.map_err(|error| match error.advice() {
            Some(advice) => format!("{error} ({advice})"),
            None => error.to_string(),
        })?;
        done()
    }
}

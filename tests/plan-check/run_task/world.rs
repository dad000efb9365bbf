//! A registry's server and Terraform's side, and how calls are signed.

use std::path::{Path, PathBuf};

use axum::http::Method;
use ring::hmac;
use serde_json::Value;

use crate::hcp_terraform::Terraform;
use crate::stock;
use ingot_test_support::eventually_async;
use ingot_test_support::registry_server::{Caller, Server};

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn sign(key: &str, body: &[u8]) -> String {
    hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, key.as_bytes()), body).as_ref())
}

/// A server with images, Terraform's side, and the results that Terraform got.
pub(super) struct World {
    _dir: tempfile::TempDir,
    pub(super) data: PathBuf,
    pub(super) log: PathBuf,
    pub(super) server: Server,
    pub(super) admin: Caller,
    pub(super) terraform: Terraform,
    pub(super) url: String,
    pub(super) key: String,
}

/// Flags that let the run task connect to Terraform's side here.
pub(super) const OPEN: [&str; 3] = ["-run-task-host", "127.0.0.1", "-run-task-http"];

impl World {
    pub(super) async fn start(args: &[&str]) -> World {
        let dir = tempfile::tempdir().expect("a directory");
        let (data, log) = (dir.path().join("data"), dir.path().join("log"));
        let server = World::serve(&data, &log, args);
        stock::fill(&stock::remote(&server).await).await;
        let admin = server.admin().await;
        let reported = admin.get("/runtasks/validation").await;
        let part = |name: &str| reported[name].as_str().expect("text").to_owned();
        let terraform = Terraform::start().await;
        let (url, key) = (part("api_url"), part("hmac_key"));
        World { _dir: dir, data, log, server, admin, terraform, url, key }
    }

    pub(super) fn serve(data: &Path, log: &Path, args: &[&str]) -> Server {
        let log = log.to_str().expect("a plain name");
        Server::start_with(data, args, &[("PACKER_LOG", "TRACE"), ("PACKER_LOG_PATH", log)])
    }

    pub(super) async fn send(&self, body: &Value) -> (u16, String) {
        let body = serde_json::to_vec(body).expect("JSON");
        let signature = sign(&self.key, &body);
        self.send_signed(&self.url, body, Some(&signature)).await
    }

    pub(super) async fn send_signed(
        &self,
        url: &str,
        body: Vec<u8>,
        signature: Option<&str>,
    ) -> (u16, String) {
        let mut request = self.server.client().post(url).header("content-type", "application/json");
        if let Some(signature) = signature {
            request = request.header("X-TFC-Task-Signature", signature);
        }
        let response = request.body(body).send().await.expect("the server answers");
        (response.status().as_u16(), response.text().await.expect("text"))
    }
}

/// Waits until a plan was asked for.
pub(super) async fn is_asked(terraform: &Terraform, plan: &str) {
    eventually_async(format!("{plan} is asked for"), async || {
        !terraform.seen(plan, &Method::GET).is_empty()
    })
    .await;
}

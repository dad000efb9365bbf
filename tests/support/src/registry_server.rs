//! A running server and what talks to it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ingot_base::tls::{self, Tls, Trust};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::ingot_with;

/// A server with its data directory. It is killed when it is dropped.
pub struct Server {
    child: Child,
    /// What it told its user to set.
    pub env: BTreeMap<String, String>,
    /// All that it printed at its start.
    pub greeting: String,
    /// Its data directory.
    pub data: PathBuf,
}

impl Server {
    /// Starts one at a free port, with its data in `data`.
    pub fn start(data: &Path, args: &[&str]) -> Server {
        Server::start_with(data, args, &[])
    }

    /// As [`Server::start`], with more in its environment.
    pub fn start_with(data: &Path, args: &[&str], env: &[(&str, &str)]) -> Server {
        Server::spawn(crate::ingot_command(), data, args, env)
    }

    /// As [`Server::start`], with so many open files at most.
    pub fn start_with_files(data: &Path, args: &[&str], files: u32) -> Server {
        let mut shell = Command::new("sh");
        let script = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
        shell.args(["-c", &script]).arg(crate::ingot_program());
        Server::spawn(shell, data, args, &[])
    }

    fn spawn(mut command: Command, data: &Path, args: &[&str], env: &[(&str, &str)]) -> Server {
        let mut child = command
            .args(["registry", "serve", "-listen", "127.0.0.1:0"])
            .args(args)
            .env("INGOT_DATA_DIR", data)
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("ingot can be run");
        let output = child.stdout.take().expect("its output is piped");
        let mut greeting = String::new();
        let mut env = BTreeMap::new();
        for line in BufReader::new(output).lines() {
            let line = line.expect("it prints text");
            let set = line.trim().strip_prefix("export ").and_then(|set| set.split_once('='));
            if let Some((name, value)) = set {
                env.insert(name.to_owned(), value.trim_matches('\'').to_owned());
            }
            greeting.push_str(&line);
            greeting.push('\n');
            if line.contains("registry principal create") {
                break;
            }
        }
        assert!(greeting.contains("The registry is at"), "the server did not start: {greeting}");
        Server { child, env, greeting, data: data.to_owned() }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it, as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Asks it to stop; its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        crate::signal("TERM", self.pid());
        self.child.wait().expect("it ends").code()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it can be asked").is_some()
    }

    /// Where it is, as `https://ADDRESS:PORT`, or with `http`.
    pub fn url(&self) -> String {
        let named = ["HCP_AUTH_URL", "INGOT_REGISTRY"].map(|name| self.env.get(name));
        named.into_iter().flatten().next().expect("it says where it is").clone()
    }

    /// Its port.
    pub fn port(&self) -> String {
        self.url().rsplit(':').next().expect("a port").to_owned()
    }

    /// The path of its first project.
    pub fn root(&self) -> String {
        let (org, project) = (&self.env["HCP_ORGANIZATION_ID"], &self.env["HCP_PROJECT_ID"]);
        format!("/packer/2023-01-01/organizations/{org}/projects/{project}")
    }

    /// Makes a principal with `ingot registry principal create`: its id and its secret.
    pub fn principal(&self, args: &[&str]) -> (String, String) {
        let data = self.data.to_str().expect("a plain name");
        let args = [&["registry", "principal", "create"], args].concat();
        let run = ingot_with(&self.data, &args, &[("INGOT_DATA_DIR", data)]);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        let find = |name: &str| {
            run.stdout.lines().find_map(|line| line.strip_prefix(name)).expect(name).to_owned()
        };
        (find("HCP_CLIENT_ID="), find("HCP_CLIENT_SECRET="))
    }

    /// A client that trusts its certificate, and nobody.
    pub fn client(&self) -> Client {
        ingot_base::http::client_with_tls(self.tls(), |builder| builder).expect("a client")
    }

    /// TLS that trusts its certificate, and nobody.
    pub fn tls(&self) -> Tls {
        let Some(path) = self.env.get("SSL_CERT_FILE") else { return Tls::default() };
        let pem = std::fs::read(path).expect("the certificate is there");
        let trust = Trust::Only(tls::certificates(&pem).expect("a certificate"));
        Tls { trust, ..Tls::default() }
    }

    /// The administrator of its first run.
    pub async fn admin(&self) -> Caller {
        self.sign_in(&self.env["HCP_CLIENT_ID"], &self.env["HCP_CLIENT_SECRET"]).await
    }

    /// Signs in.
    pub async fn sign_in(&self, id: &str, secret: &str) -> Caller {
        let (status, answer) = self.token(id, secret).await;
        assert_eq!(status, 200, "{answer}");
        let token = answer["access_token"].as_str().expect("a token").to_owned();
        Caller { client: self.client(), url: self.url(), root: self.root(), token }
    }

    /// Asks for a token as Go's library does.
    pub async fn token(&self, id: &str, secret: &str) -> (u16, Value) {
        let body = "grant_type=client_credentials&audience=https%3A%2F%2Fapi.hashicorp.cloud";
        let request = self
            .client()
            .post(format!("{}/oauth2/token", self.url()))
            .header("content-type", "application/x-www-form-urlencoded")
            .basic_auth(id, Some(secret))
            .body(body);
        answer(request).await
    }

    /// Somebody with a token of their own making.
    pub fn stranger(&self, token: &str) -> Caller {
        Caller {
            client: self.client(),
            url: self.url(),
            root: self.root(),
            token: token.to_owned(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Somebody who talks to a server.
#[derive(Clone)]
pub struct Caller {
    /// A client that trusts the server.
    pub client: Client,
    /// Where the server is.
    pub url: String,
    /// The path of its first project.
    pub root: String,
    /// The access token; none is sent where this is empty.
    pub token: String,
}

impl Caller {
    /// Sends a request to a path below the project: the status and the answer.
    pub async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        self.send(method, &format!("{}{path}", self.root), serde_json::to_vec(&body).expect("JSON"))
            .await
    }

    /// Sends a request with any body to any path.
    pub async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> (u16, Value) {
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.url))
            .header("content-type", "application/json");
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        answer(if method == Method::GET { request } else { request.body(body) }).await
    }

    /// A request that must go well.
    pub async fn ok(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method.clone(), path, body).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    /// A GET that must go well.
    pub async fn get(&self, path: &str) -> Value {
        self.ok(Method::GET, path, Value::Null).await
    }

    /// A PUT that must go well.
    pub async fn put(&self, path: &str, body: Value) -> Value {
        self.ok(Method::PUT, path, body).await
    }

    /// A POST that must go well.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.ok(Method::POST, path, body).await
    }

    /// A PATCH that must go well.
    pub async fn patch(&self, path: &str, body: Value) -> Value {
        self.ok(Method::PATCH, path, body).await
    }

    /// Publishes a complete version with one image, made from `parent`: a version's and a
    /// channel's id. The version.
    pub async fn publish(&self, bucket: &str, print: &str, parent: Option<(&str, &str)>) -> Value {
        let path = format!("/buckets/{bucket}/versions");
        self.post(&path, json!({ "fingerprint": print, "template_type": "HCL2" })).await;
        let body = json!({ "component_type": "docker.a", "status": "BUILD_UNSET" });
        let build = self.post(&format!("{path}/{print}/builds"), body).await;
        let id = build["build"]["id"].as_str().expect("an id");
        let (version, channel) = parent.unwrap_or_default();
        let body = json!({
            "status": "BUILD_DONE",
            "platform": "docker",
            "artifacts": [{ "external_identifier": format!("sha256:{print}"), "region": "docker" }],
            "packer_run_uuid": "7f9f7b4c-5a0e-4b0e-9d53-0a5d2f4b7c11",
            "labels": { "os": "debian" },
            "parent_version_id": version,
            "parent_channel_id": channel,
            "metadata": { "packer": { "version": "1.16.0" } },
        });
        self.patch(&format!("{path}/{print}/builds/{id}"), body).await;
        self.get(&format!("{path}/{print}")).await["version"].clone()
    }
}

/// Sends a request: the status and the JSON it is answered with.
async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.expect("the server answers");
    let status = response.status().as_u16();
    let text = response.text().await.expect("an answer");
    let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    (status, value)
}

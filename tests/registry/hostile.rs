//! Hundreds of requests that nobody means well with: each is refused, in time, without a failure of
//! the server, and nothing is changed by any.

use ingot_test_support::require;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::large::peak_memory;
use crate::soak;
use ingot_test_support::postgres::Postgres;
use ingot_test_support::registry_server::{Caller, Server};

/// How long an answer may take: less than a connection may be idle, and more than those that wait for
/// their turn, and for what does not come, take on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite() {
    let dir = tempfile::tempdir().expect("a directory");
    all(&Server::start(dir.path(), &["-rate-limit=0", "-plain-http"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let postgres = require!(Postgres::start());
    let dir = tempfile::tempdir().expect("a directory");
    let args = ["-rate-limit=0", "-plain-http", "-database-url", &postgres.url()];
    all(&Server::start(dir.path(), &args)).await;
}

async fn all(server: &Server) {
    let admin = server.admin().await;
    admin.put("/buckets", json!({ "name": "good" })).await;
    admin.publish("good", "g1", None).await;
    let (_, document) = admin.send(Method::GET, "/openapi.json", Vec::new()).await;
    let before = (admin.get("/buckets").await, admin.get("/buckets/good/versions").await);
    let mut sent = 0;
    for _ in 0..soak::rounds(1) {
        sent += operations(&admin, &document).await;
        sent += not_http(server);
    }
    assert!(sent >= 300, "{sent} requests were sent");
    let after = (admin.get("/buckets").await, admin.get("/buckets/good/versions").await);
    assert_eq!(after, before, "something was changed");
    let ready = admin.client.get(format!("{}/readyz", server.url())).send().await;
    assert_eq!(ready.expect("it answers").status(), 200);
}

/// Bodies that are no operation's.
fn bodies() -> Vec<Vec<u8>> {
    let deep = |open: &str, close: &str| open.repeat(20_000) + close.repeat(20_000).as_str();
    let many = (0..20_000).map(|number| format!("\"k{number}\":\"v\"")).collect::<Vec<_>>();
    vec![
        b"[]".to_vec(),
        b"{\"name\":{\"$ne\":null},\"fingerprint\":[],\"update_mask\":7,\"status\":[]}".to_vec(),
        b"{\"name\":\"\\u0000\",\"fingerprint\":\"\\u0000\",\"updateMask\":\"\\u0000\"}".to_vec(),
        b"\xff\xfe\x00".to_vec(),
        deep("[", "]").into_bytes(),
        deep("{\"a\":", "}").into_bytes(),
        format!("{{\"labels\":{{{}}},\"name\":\"-\",\"status\":\"x\"}}", many.join(","))
            .into_bytes(),
        format!("{{\"update_mask\":\"{}\",\"name\":\"-\"}}", "restricted,".repeat(100_000))
            .into_bytes(),
    ]
}

/// Every operation of the API with every body, at paths that name nothing.
async fn operations(admin: &Caller, document: &Value) -> usize {
    let paths = document["paths"].as_object().expect("paths");
    let names = ["%00", "%2e%2e%2f", "'%20OR%201=1--", "%F0%9F%92%A9", "x"];
    let (mut sent, mut refused) = (0, 0);
    for (at, (path, methods)) in paths.iter().enumerate() {
        for method in methods.as_object().expect("methods").keys() {
            let method: Method = method.to_uppercase().parse().expect("a method");
            for (number, body) in bodies().into_iter().enumerate() {
                let name = names[(at + number) % names.len()];
                let path = fill(path, admin, name);
                let large = body.len() > 30_000;
                let query = if number % 4 == 3 { "?pagination.page_size=-1" } else { "" };
                let request = admin
                    .client
                    .request(method.clone(), format!("{}{path}{query}", admin.url))
                    .bearer_auth(&admin.token)
                    .header("connection", "close")
                    .timeout(PATIENCE)
                    .body(body);
                sent += 1;
                let response = match request.send().await {
                    Ok(response) => response,
                    // It may answer and hang up before all of a large body has come.
                    Err(error) if large && !error.is_timeout() => {
                        refused += 1;
                        continue;
                    }
                    Err(error) => panic!("{method} {path} #{number}: {error}"),
                };
                let status = response.status().as_u16();
                assert!(status < 500 || status == 501, "{method} {path} #{number}: {status}");
                refused += usize::from(status >= 400);
            }
        }
    }
    // What asks for the registry itself needs no name and no body.
    assert!(refused * 4 >= sent * 3, "of {sent} requests only {refused} were refused");
    sent
}

/// A path of the API, in the administrator's project, with a name for everything else.
fn fill(path: &str, admin: &Caller, name: &str) -> String {
    let mut segments = admin.root.split('/');
    let org = segments.nth(4).expect("an organization");
    let project = segments.nth(1).expect("a project");
    let path = path.replace("{org}", org).replace("{project}", project);
    path.split('/')
        .map(|segment| if segment.starts_with('{') { name } else { segment })
        .collect::<Vec<_>>()
        .join("/")
}

/// What is hardly HTTP: refused or hung up on.
fn not_http(server: &Server) -> usize {
    let long = "x".repeat(200_000);
    let lines = [
        "GET".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".into(),
        "\r\n\r\n\r\n\r\n".into(),
        format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(2000)),
        "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".into(),
        "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"
            .into(),
        "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".into(),
        "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\
         \r\n0\r\n\r\n"
            .into(),
        "GET /\u{1}\u{2} HTTP/1.1\r\nHost: x\r\n\r\n".into(),
        "GET http://[::1/ HTTP/1.1\r\nHost: x\r\n\r\n".into(),
        "CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n".into(),
        "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n".into(),
        "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n".into(),
        "GET /healthz HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \u{1}\r\n\r\n".into(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage garbage garbage".into(),
        "\u{16}\u{3}\u{1}\u{2}".into(),
    ];
    for line in &lines {
        let shown = &line[..line.len().min(60)];
        let mut stream =
            TcpStream::connect(format!("127.0.0.1:{}", server.port())).expect("a port");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        // It may be hung up on before all of it is sent.
        let _ = stream.write_all(line.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let (start, mut answer) = (Instant::now(), Vec::new());
        let _ = stream.read_to_end(&mut answer);
        assert!(start.elapsed() < PATIENCE, "{shown:?} is not answered");
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            !answer.starts_with("HTTP/1.1 5") || answer.starts_with("HTTP/1.1 501"),
            "{shown:?}: {answer}"
        );
    }
    lines.len()
}

/// What is sent before anybody knows who sends it takes little memory, however many do.
#[test]
fn bodies_of_strangers_take_little() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["-plain-http"]);
    // Each lacks its last byte, and holds as many fields as there can be.
    let body = "a&".repeat(1 << 20);
    let body = &body.as_bytes()[1..];
    let mut streams = Vec::new();
    for number in 0..200 {
        let path = ["/oauth2/token", "/sign-in", "/sign-in/x"][number % 3];
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nCookie: ingot-visitor=x\r\nContent-Length: {}\r\n\r\n",
            2 << 20
        );
        let mut stream =
            TcpStream::connect(format!("127.0.0.1:{}", server.port())).expect("a port");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        // It may be hung up on before all of it is sent.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        streams.push((path, stream));
    }
    for (path, stream) in &mut streams {
        let (start, mut answer) = (Instant::now(), Vec::new());
        let _ = stream.read_to_end(&mut answer);
        assert!(start.elapsed() < PATIENCE, "{path} is not answered");
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 429"), "{path}: {answer}");
    }
    let peak = peak_memory(server.pid());
    assert!(peak < 200 << 20, "the server took {} MiB", peak >> 20);
    // One that is as it should be is answered.
    let mut stream = TcpStream::connect(format!("127.0.0.1:{}", server.port())).expect("a port");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 29\r\n\r\n\
                   grant_type=client_credentials";
    stream.write_all(request.as_bytes()).expect("it can be sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

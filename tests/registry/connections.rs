//! Connections that want nothing, or take their time: they are closed, and lock nobody out.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ingot_test_support::registry_server::Server;

/// How long it takes at most until what has to be closed is closed.
const SOON: Duration = Duration::from_secs(8);

/// A request that is complete.
const PING: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(format!("127.0.0.1:{}", server.port())).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    stream
}

/// Sends a complete request and reads its response.
fn ask(stream: &mut TcpStream) {
    stream.write_all(PING).expect("it can be sent");
    let mut response = [0; 4096];
    let length = stream.read(&mut response).expect("a response");
    assert!(response[..length].starts_with(b"HTTP/1.1 200"), "{:?}", &response[..length]);
}

/// How long it takes until the server closes a connection on which `drip` is sent again and again;
/// what it answered before.
fn closed_after(stream: &mut TcpStream, drip: &[u8]) -> (Duration, String) {
    let start = Instant::now();
    stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let mut answer = Vec::new();
    loop {
        assert!(start.elapsed() < Duration::from_secs(15), "the connection stays open: {answer:?}");
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&buffer[..length]),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => {}
            Err(_) => break,
        }
        if stream.write_all(drip).is_err() {
            break;
        }
    }
    (start.elapsed(), String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn idle_connections_lock_nobody_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let args = ["-plain-http", "-connections=4"];
    let server = Server::start_with_files(dir.path(), &args, 256);
    // More than there may be, each with a request behind it, as of a client that keeps them.
    let mut idle = Vec::new();
    for _ in 0..400 {
        let mut stream = connect(&server);
        ask(&mut stream);
        idle.push(stream);
    }
    for _ in 0..20 {
        ask(&mut connect(&server));
    }
    // What made room was the oldest.
    let mut oldest = idle.remove(0);
    let mut newest = idle.pop().expect("there are many");
    let (took, _) = closed_after(&mut oldest, b"");
    assert!(took < SOON, "closed after {took:?}");
    ask(&mut newest);
}

#[test]
fn what_takes_its_time_is_closed() {
    let dir = tempfile::tempdir().expect("a directory");
    let args = ["-plain-http", "-idle-timeout=2", "-request-timeout=2"];
    let server = Server::start(dir.path(), &args);
    let root = server.root();
    let token = "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\ngrant_type=";
    let unknown =
        format!("PUT {root}/buckets HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{{");
    // An HTTP/2 client: its preface, SETTINGS, and a complete GET of /healthz (RFC 9113, RFC 7541).
    let mut http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    let preface = http2.clone();
    let headers = b"\x82\x86\x44\x08/healthz\x41\x01x";
    http2.extend([0, 0, headers.len() as u8, 1, 5, 0, 0, 0, 1]);
    http2.extend(headers);
    let ping = b"\0\0\x08\x06\0\0\0\0\0\0\0\0\0\0\0\0\0";
    // What is sent first, what again and again, and what is answered.
    let cases: [(&str, &[u8], &[u8], &str); 9] = [
        ("nothing", b"", b"", ""),
        ("a header, slowly", b"GET / HTTP/1.1\r\nX: ", b"x", ""),
        ("a request and nothing", PING, b"", "200 OK"),
        ("a header of a second request, slowly", PING, b"GET", "200 OK"),
        ("a body, slowly", token.as_bytes(), b"x", "HTTP/1.1 503"),
        ("a body that is not read, slowly", unknown.as_bytes(), b"x", "401"),
        ("half of HTTP/2's preface", b"PRI * HTTP/2.0", b"", ""),
        ("HTTP/2's preface and pings", &preface, ping, ""),
        ("an HTTP/2 request and pings", &http2, ping, ""),
    ];
    std::thread::scope(|scope| {
        for (what, first, drip, answer) in cases {
            let server = &server;
            scope.spawn(move || {
                let mut stream = connect(server);
                stream.write_all(first).expect("it can be sent");
                let (took, answered) = closed_after(&mut stream, drip);
                assert!(took < SOON, "{what}: closed after {took:?}");
                assert!(answered.contains(answer), "{what}: {answered}");
            });
        }
    });
    ask(&mut connect(&server));
}

#[test]
fn silent_requests_for_a_token_lock_nobody_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["-plain-http"]);
    let head = b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Length: 29\r\n\r\n";
    let begin = || {
        let mut stream = connect(&server);
        stream.write_all(head).expect("it can be sent");
        stream
    };
    let silent: Vec<TcpStream> = (0..100).map(|_| begin()).collect();
    let mut stream = begin();
    stream.write_all(b"grant_type=client_credentials").expect("it can be sent");
    let mut response = [0; 4096];
    let length = stream.read(&mut response).expect("a response");
    let response = String::from_utf8_lossy(&response[..length]);
    assert!(response.starts_with("HTTP/1.1 401"), "{response}");
    drop(silent);
}

//! The web server, asked by a real client and by hand.

use std::io::{Read, Write};
use std::net::TcpStream;

use ingot_sdk::http;
use ingot_test_support::eventually;
use ingot_vm::http_server::{HttpOptions, HttpServer};
use serde_json::{Value, json};

use crate::harness::{Build, noise};

async fn start(build: &Build, value: Value) -> HttpServer {
    let options: HttpOptions = serde_json::from_value(value).unwrap();
    HttpServer::start(&build.ctx, &options).await.unwrap().expect("a server")
}

async fn get(server: &HttpServer, path: &str) -> (u16, Vec<u8>) {
    let url = format!("http://127.0.0.1:{}{path}", server.port());
    let answer = http::client().unwrap().get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
}

/// A request that no client would make of a URL.
async fn raw(server: &HttpServer, request: &str) -> String {
    let (port, request) = (server.port(), request.to_owned());
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        write!(stream, "{request}\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_served_and_nothing_else() {
    let build = Build::new();
    build.file("secret", "secret");
    build.file("www/preseed.cfg", "d-i");
    build.file("www/a b/ü.txt", "umlaut");
    build.file("www/site/index.html", "home");
    let big = noise(300_000, 20);
    build.file("www/big", &big);
    build.file("shared/common.cfg", "common");
    std::os::unix::fs::symlink("../shared", build.path("www/shared")).unwrap();
    std::os::unix::fs::symlink("preseed.cfg", build.path("www/alias")).unwrap();
    let server = start(&build, json!({"http_directory": build.text("www")})).await;

    assert_eq!(get(&server, "/preseed.cfg").await, (200, b"d-i".to_vec()));
    assert_eq!(get(&server, "/alias").await, (200, b"d-i".to_vec()));
    assert_eq!(get(&server, "/shared/common.cfg").await, (200, b"common".to_vec()));
    assert_eq!(get(&server, "/a%20b/%C3%BC.txt").await, (200, "umlaut".into()));
    assert_eq!(get(&server, "/site").await, (200, b"home".to_vec()));
    assert_eq!(get(&server, "/big").await, (200, big.clone()));
    assert_eq!(get(&server, "/missing").await.0, 404);
    let (status, list) = get(&server, "/a%20b/").await;
    let list = String::from_utf8(list).unwrap();
    assert!(status == 200 && list.contains("<a href=\"%C3%BC.txt\">ü.txt</a>"), "{list}");

    for path in
        ["/../secret", "/..%2fsecret", "/%2e%2e/secret", "/site/../../secret", "//etc/passwd"]
    {
        let answer = raw(&server, &format!("GET {path} HTTP/1.1")).await;
        let status = answer.split(' ').nth(1).unwrap();
        assert!(matches!(status, "400" | "403" | "404"), "{path}: {answer}");
        assert!(!answer.contains("root:"), "{path}: {answer}");
    }
    assert!(raw(&server, "POST /preseed.cfg HTTP/1.1").await.starts_with("HTTP/1.1 405"));
    let answer = raw(&server, "GET /preseed.cfg HTTP/1.1\r\nRange: bytes=1-").await;
    assert!(answer.starts_with("HTTP/1.1 206") && answer.ends_with("\r\n-i"), "{answer}");
    let answer = raw(&server, "HEAD /big HTTP/1.1").await;
    assert!(answer.contains("content-length: 300000") && answer.ends_with("\r\n\r\n"), "{answer}");

    let port = server.port();
    drop(server);
    tokio::task::block_in_place(|| {
        eventually("the end of the server", || {
            TcpStream::connect(("127.0.0.1", port)).is_err().then_some(())
        })
    });
}

#[tokio::test]
async fn texts_are_served_and_provisioners_get_the_address() {
    let build = Build::new();
    let content = json!({"/user-data": "#cloud-config", "/a/b": "c"});
    let server =
        start(&build, json!({"http_content": content, "http_bind_address": "127.0.0.1"})).await;
    assert_eq!(get(&server, "/user-data").await, (200, b"#cloud-config".to_vec()));
    assert_eq!(get(&server, "/x/../a//b").await, (200, b"c".to_vec()));
    let (status, text) = get(&server, "/user-dta").await;
    assert_eq!(status, 404);
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "/user-dta not found. Did you mean \"/user-data\"?"
    );
    let mut data = Default::default();
    server.generated("10.0.2.2", &mut data);
    assert_eq!(data["PackerHTTPAddr"], format!("10.0.2.2:{}", server.port()));
    let none = HttpServer::start(&build.ctx, &HttpOptions::default()).await.unwrap();
    assert!(none.is_none());
}

#[test]
fn options_are_checked() {
    let judge = |value: Value| {
        let options: HttpOptions = serde_json::from_value(value).unwrap();
        let mut errors = ingot_sdk::ConfigErrors::default();
        let mut prepared = ingot_sdk::Prepared::default();
        options.prepare(&mut prepared, &mut errors);
        errors.0.into_iter().map(|error| error.option.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(judge(json!({})), [""; 0]);
    let both = json!({"http_directory": "/", "http_content": {"/a": ""}});
    assert_eq!(judge(both), ["http_content"]);
    assert_eq!(judge(json!({"http_content": {"a": ""}})), ["http_content"]);
    assert_eq!(judge(json!({"http_port_min": 9001})), ["http_port_min"]);
    assert_eq!(judge(json!({"http_bind_address": "eth0"})), ["http_bind_address"]);
    assert_eq!(judge(json!({"http_network_protocol": "unix"})), ["http_network_protocol"]);
    let six = json!({"http_network_protocol": "tcp6", "http_bind_address": "0.0.0.0"});
    assert_eq!(judge(six), ["http_bind_address"]);
}

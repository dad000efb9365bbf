//! SBOMs: uploaded as Packer does, bounded, listed and downloaded; the same on SQLite, PostgreSQL and
//! in a file without a server.

use axum::body::Bytes;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ingot_registry::api::{CreateBucketBody, CreateBuildBody, CreateVersionBody, SbomFormat};
use ingot_registry::client::Registry;
use ingot_registry::local::LocalRegistry;
use ingot_test_support::postgres::Postgres;
use ingot_test_support::registry_server::{Caller, Server};
use ingot_test_support::{ingot_with, require};
use reqwest::Method;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::{Value, json};

const CYCLONE_DX: &str = r#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[]}"#;
const SPDX: &str = r#"{"spdxVersion":"SPDX-2.3","packages":[]}"#;

/// As Packer packs it.
fn packed(document: &str) -> String {
    STANDARD.encode(compress_to_vec(document.as_bytes(), CompressionLevel::Fastest))
}

/// An SBOM with more blanks than an SBOM may have bytes, put together by hand: to compress them takes
/// seconds. RFC 8878 says how.
fn too_large() -> String {
    const START: &[u8] = br#"{"bomFormat":"CycloneDX""#;
    // The magic number, a header with nothing special, a window of 128 KiB.
    let mut frame = b"\x28\xb5\x2f\xfd\x00\x38".to_vec();
    let mut block = |kind: u32, size: u32, last: u32, content: &[u8]| {
        let header = last | (kind << 1) | (size << 3);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.extend_from_slice(content);
    };
    let (as_it_is, repeated) = (0, 1);
    block(as_it_is, START.len() as u32, 0, START);
    (0..33 * 8).for_each(|_| block(repeated, 128 << 10, 0, b" "));
    block(as_it_is, 1, 1, b"}");
    STANDARD.encode(frame)
}

/// A version with a build that runs: where its SBOMs are.
async fn running_build(admin: &Caller, print: &str) -> (String, String) {
    admin.call(Method::PUT, "/buckets", json!({ "name": "web" })).await;
    let path = "/buckets/web/versions";
    admin.post(path, json!({ "fingerprint": print, "template_type": "HCL2" })).await;
    let body = json!({ "component_type": "docker.a", "status": "BUILD_RUNNING" });
    let build = admin.post(&format!("{path}/{print}/builds"), body).await;
    let build = format!("{path}/{print}/builds/{}", build["build"]["id"].as_str().expect("an id"));
    (format!("{build}/sboms"), build)
}

async fn refused(admin: &Caller, path: &str, body: Value) -> String {
    let (status, answer) = admin.call(Method::PUT, path, body).await;
    assert!((400..500).contains(&status), "{status} {answer}");
    answer["message"].as_str().expect("a message").to_owned()
}

async fn sboms_come_and_go(server: &Server, database: &[&str]) {
    let admin = server.admin().await;
    let (sboms, build) = running_build(&admin, "one").await;
    let upload = |name: &str, format: &str, document: &str| json!({ "name": name, "format": format, "compressed_sbom": packed(document) });

    // A document that is not an SBOM is refused.
    for (body, why) in [
        (upload("bom", "CYCLONEDX", "<bom/>"), "not JSON"),
        (upload("bom", "CYCLONEDX", SPDX), "declared as CYCLONEDX, but is SPDX"),
        (upload("bom", "", CYCLONE_DX), "not the JSON"),
        (upload("b", "SPDX", SPDX), "3 to 36"),
        (upload("a/b", "SPDX", SPDX), "3 to 36"),
        (json!({ "name": "bom", "format": "SPDX", "compressed_sbom": "e30=" }), "zstd"),
        (json!({ "name": "bom", "format": "SPDX" }), "must hold an SBOM"),
    ] {
        let reported = refused(&admin, &sboms, body).await;
        assert!(reported.contains(why), "{why}: {reported}");
    }
    let large = json!({ "name": "bom", "format": "CYCLONEDX", "compressed_sbom": too_large() });
    let reported = refused(&admin, &sboms, large).await;
    assert!(reported.contains("larger than 32 MiB"), "{reported}");
    // Not even read to its end.
    let longest = 8 * 1024 * 1024 / 3 * 4 + 64 * 1024;
    let body = json!({ "name": "bom", "format": "SPDX", "compressed_sbom": "A".repeat(longest) });
    let (status, _) = admin.call(Method::PUT, &sboms, body).await;
    assert_eq!(status, 429);

    // One without a name is called as the version, and one of the same name takes the other's place.
    let first = admin.put(&sboms, upload("", "CYCLONEDX", CYCLONE_DX)).await;
    assert_eq!(first["sbom"]["name"], "one");
    admin.put(&sboms, upload("packages", "CYCLONEDX", CYCLONE_DX)).await;
    admin.put(&sboms, upload("packages", "SPDX", SPDX)).await;
    let listed = admin.get(&sboms).await;
    let listed: Vec<(&str, &str)> = listed["sboms"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| (it["name"].as_str().expect("it"), it["format"].as_str().expect("it")))
        .collect();
    assert_eq!(listed, [("one", "CYCLONEDX"), ("packages", "SPDX")]);

    // A download needs no token but its URL, which is good for nothing else.
    let url = admin.get(&format!("{sboms}/packages")).await["download_url"].clone();
    let url = url.as_str().expect("a URL");
    assert!(url.starts_with(&server.url()), "{url}");
    let response = server.client().get(url).send().await.expect("it answers");
    assert_eq!(response.headers()["content-type"], "application/spdx+json");
    let saved = response.headers()["content-disposition"].to_str().expect("text").to_owned();
    assert_eq!(saved, "attachment; filename=\"packages.json\"");
    assert_eq!(response.text().await.expect("a document"), SPDX);
    let forged = format!("{}x", &url[..url.len() - 1]);
    let response = server.client().get(forged).send().await.expect("it answers");
    assert_eq!(response.status(), 403);
    let token = url.rsplit('/').next().expect("a token");
    let response = server
        .client()
        .get(format!("{}{}/buckets", server.url(), server.root()))
        .bearer_auth(token)
        .send()
        .await
        .expect("it answers");
    assert_eq!(response.status(), 401);

    // A build has so many and no more.
    for number in 0..14 {
        admin.put(&sboms, upload(&format!("more-{number}"), "SPDX", SPDX)).await;
    }
    let reported = refused(&admin, &sboms, upload("too-many", "SPDX", SPDX)).await;
    assert!(reported.contains("more than 16 SBOMs"), "{reported}");

    // What is done does not change, but a client that did not hear the answer asks again.
    let done = json!({ "status": "BUILD_DONE", "platform": "docker",
        "artifacts": [{ "external_identifier": "sha256:1", "region": "here" }] });
    admin.patch(&build, done).await;
    admin.put(&sboms, upload("packages", "SPDX", SPDX)).await;
    let reported = refused(&admin, &sboms, upload("packages", "CYCLONEDX", CYCLONE_DX)).await;
    assert!(reported.contains("the build is done"), "{reported}");

    // Viewers read and do not write.
    let (id, secret) = server.principal(&[&["reader", "-role", "viewer"], database].concat());
    let viewer = server.sign_in(&id, &secret).await;
    assert_eq!(viewer.get(&sboms).await["sboms"].as_array().map(Vec::len), Some(16));
    let (status, _) = viewer.call(Method::PUT, &sboms, upload("bom", "SPDX", SPDX)).await;
    assert_eq!(status, 403);

    // By the command line, as whoever set the environment.
    let env: Vec<(&str, &str)> =
        server.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let args = ["registry", "sboms", "get", "web", "v1", "docker.a", "-name", "packages"];
    let run = ingot_with(&server.data, &args, &env);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), SPDX), "{}", run.stderr);
    let run = ingot_with(&server.data, &["registry", "sbom", "list", "web", "v1"], &env);
    assert!(run.stdout.contains("docker.a  packages  SPDX"), "{}", run.stdout);
    let run = ingot_with(&server.data, &["registry", "sbom", "get", "web", "v1"], &env);
    assert!(run.stderr.contains("there are 16 such SBOMs"), "{}", run.stderr);
    assert!(run.stderr.contains("docker.a -name packages"), "{}", run.stderr);

    // With the version they go, too.
    admin.ok(Method::DELETE, "/buckets/web", Value::Null).await;
    let response = server.client().get(url).send().await.expect("it answers");
    assert_eq!(response.status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn sboms_on_sqlite() {
    let dir = tempfile::tempdir().expect("a directory");
    sboms_come_and_go(&Server::start(dir.path(), &[]), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sboms_on_postgresql() {
    let postgres = require!(Postgres::start());
    let dir = tempfile::tempdir().expect("a directory");
    let url = postgres.url();
    let database = ["-database-url", &url];
    sboms_come_and_go(&Server::start(dir.path(), &database), &database).await;
}

/// Packer sends all that it uploads on one connection, and four uploads are read at once. What the
/// fifth has sent must not use up what the connection may send before it is read.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_waits_does_not_hold_up_the_others() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["-plain-http", "-request-timeout=10"]);
    let admin = server.admin().await;
    let (sboms, _) = running_build(&admin, "one").await;
    let stream = tokio::net::TcpStream::connect(format!("127.0.0.1:{}", server.port())).await;
    let handshake = h2::client::handshake(stream.expect("it listens")).await;
    let (mut client, connection) = handshake.expect("it speaks HTTP/2");
    tokio::spawn(connection);
    let request = |method: &str, path: &str| {
        Request::builder()
            .method(method)
            .uri(format!("{}{}{path}", admin.url, admin.root))
            .header("authorization", format!("Bearer {}", admin.token))
            .body(())
            .expect("a request")
    };
    let body = |number: usize| {
        let name = format!("bom-{number}");
        let packed = packed(CYCLONE_DX);
        let upload = json!({ "name": name, "format": "CYCLONEDX", "compressed_sbom": packed });
        // JSON may have blanks before it.
        Bytes::from(format!("{}{upload}", " ".repeat(400 << 10)))
    };
    let mut answers = Vec::new();
    let mut bodies = Vec::new();
    for number in 0..5 {
        client = client.ready().await.expect("it takes requests");
        let sent = client.send_request(request("PUT", &sboms), false);
        let (answer, mut stream) = sent.expect("it is sent");
        answers.push(answer);
        // The first four have begun when the fifth does, and it has sent what it may before they
        // send the rest.
        match number {
            4 => stream.send_data(body(number), true).expect("it is sent"),
            _ => stream.send_data(Bytes::from_static(b" "), false).expect("it is sent"),
        }
        bodies.push(stream);
        if number >= 3 {
            client = client.ready().await.expect("it takes requests");
            let sent = client.send_request(request("GET", "/buckets"), true);
            let (answer, _) = sent.expect("it is sent");
            assert_eq!(answer.await.expect("an answer").status(), 200);
        }
    }
    for (number, stream) in bodies.iter_mut().enumerate().take(4) {
        stream.send_data(body(number), true).expect("it is sent");
    }
    for (number, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.await.expect("an answer").status(), 200, "{number}");
    }
    let listed = admin.get(&sboms).await;
    assert_eq!(listed["sboms"].as_array().map(Vec::len), Some(5), "{listed}");
}

#[tokio::test]
async fn the_embedded_registry_keeps_sboms() {
    let dir = tempfile::tempdir().expect("a directory");
    let registry = LocalRegistry::open(&dir.path().join("r.db")).await.expect("a registry");
    let bucket = CreateBucketBody { name: "web".into(), ..CreateBucketBody::default() };
    registry.create_bucket(&bucket).await.expect("a bucket");
    let version = CreateVersionBody { fingerprint: "one".into(), ..CreateVersionBody::default() };
    registry.create_version("web", &version).await.expect("a version");
    let build = CreateBuildBody { component_type: "docker.a".into(), ..CreateBuildBody::default() };
    let build = registry.create_build("web", "one", &build).await.expect("a build");
    let document = CYCLONE_DX.as_bytes();
    let format = SbomFormat::CycloneDx;
    let sbom = registry.upload_sbom("web", "one", &build.id, "packages", format, document).await;
    assert_eq!(sbom.expect("an SBOM").name, "packages");
    let listed = registry.list_sboms("web", "one", &build.id).await.expect("a list").sboms;
    assert_eq!(listed.len(), 1);
    let got = registry.get_sbom("web", "one", &build.id, "packages").await;
    assert_eq!(got.as_deref(), Ok(document));
    let none = registry.get_sbom("web", "one", &build.id, "none").await.expect_err("there is none");
    assert!(none.message.contains("no SBOM called \"none\""), "{none}");
}

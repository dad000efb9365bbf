//! Answers that do not arrive: what was asked has been done, and is asked again.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ingot_test_support::{Run, eventually};
use serde_json::{Value, json};

use crate::world::{World, finish, interrupt};

/// How an answer is lost: the connection is closed without it, or another status comes in its place.
#[derive(Debug, Clone, Copy)]
enum Loss {
    HangUp,
    Status(&'static str),
    /// What is asked does not even arrive: this status and this body come in its place.
    Before(&'static str, &'static str),
    /// What is asked is done, and this one request is never answered.
    NoAnswer,
    /// Nothing is answered from then on, and no connection is closed.
    Silence,
}

const BAD_GATEWAY: Loss = Loss::Status("502 Bad Gateway");
/// As a server says that lost its database at the end of a change.
const UNAVAILABLE: Loss = Loss::Status("503 Service Unavailable");

/// Passes requests on to a server, and loses the first answer to each of some, which are a method and
/// the end of a path. Gives its address, and what it has lost.
fn lossy(
    upstream: &str,
    lose: &[(&'static str, &'static str, Loss)],
) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let upstream = upstream.to_owned();
    let left = Arc::new(Mutex::new(lose.to_vec()));
    let lost = Arc::new(Mutex::new(Vec::new()));
    let message = Arc::clone(&lost);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (upstream, left, lost) = (upstream.clone(), Arc::clone(&left), Arc::clone(&lost));
            std::thread::spawn(move || pass_on(client, &upstream, &left, &lost));
        }
    });
    (address, message)
}

fn pass_on(
    mut client: TcpStream,
    upstream: &str,
    left: &Mutex<Vec<(&'static str, &'static str, Loss)>>,
    lost: &Mutex<Vec<String>>,
) {
    let Some(request) = read_request(&mut client) else { return };
    let line = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
    let wanted = {
        let mut left = left.lock().expect("nobody panics");
        let found = left.iter().position(|(method, end, _)| {
            (method.is_empty() || line.starts_with(&format!("{method} ")))
                && line.trim_end_matches(" HTTP/1.1").ends_with(end)
        });
        let wanted = found.map(|index| left.remove(index).2);
        if let Some(Loss::Silence) = wanted {
            left.insert(0, ("", "", Loss::Silence));
        }
        wanted
    };
    let mut answer = Vec::new();
    if !matches!(wanted, Some(Loss::Before(..) | Loss::Silence)) {
        let mut server = TcpStream::connect(upstream).expect("the server is there");
        server.write_all(&request).expect("the server reads");
        server.read_to_end(&mut answer).expect("the server answers");
    }
    let (status, body) = match wanted {
        None => return client.write_all(&answer).unwrap_or_default(),
        Some(Loss::NoAnswer | Loss::Silence) => {
            lost.lock().expect("nobody panics").push(line);
            // Until whoever asks gives up.
            let _ = client.read_to_end(&mut Vec::new());
            return;
        }
        Some(Loss::HangUp) => ("", ""),
        Some(Loss::Status(status)) => (status, ""),
        Some(Loss::Before(status, body)) => (status, body),
    };
    lost.lock().expect("nobody panics").push(line);
    if !status.is_empty() {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n");
        client.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap_or_default();
    }
}

/// One request, changed so that the server ends the connection behind its answer.
pub(crate) fn read_request(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        if client.read(&mut byte).ok()? == 0 {
            return None;
        }
        request.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&request).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.map_or(0, |text| text.trim().parse().expect("a length"));
    let mut body = vec![0; length];
    client.read_exact(&mut body).ok()?;
    request.truncate(request.len() - 2);
    request.extend(b"Connection: close\r\n\r\n");
    request.extend(body);
    Some(request)
}

const TEMPLATE: &str = r#"
hcp_packer_registry {
  bucket_name = "lossy"
}
source "file" "a" {
  content = "a"
  target  = "a.txt"
}
build {
  sources = ["source.file.a"]
}
"#;

#[test]
fn what_was_made_is_not_made_twice() {
    for loss in [Loss::HangUp, BAD_GATEWAY, UNAVAILABLE] {
        let lost = Mutex::new(Arc::default());
        let world = World::served_through(|server| {
            let lose =
                ["/versions", "/builds", "/external_artifact"].map(|end| ("POST", end, loss));
            let (address, lossy) = lossy(server, &lose);
            *lost.lock().expect("nobody panics") = lossy;
            address
        });
        world.write("t.pkr.hcl", TEMPLATE);
        let run = world.build("t.pkr.hcl", "lossy-1");
        assert!(run.stdout.contains("Published metadata"), "{}", run.stdout);
        let version = world.json(&["versions", "show", "lossy", "lossy-1"]);
        assert_eq!(version["name"], "v1");
        assert_eq!(version["builds"].as_array().map(Vec::len), Some(1), "{version:#}");
        let found = world.json(&["artifacts", "find", "a.txt"]);
        assert_eq!(found.as_array().map(Vec::len), Some(1), "{found:#}");
        let lost = lost.into_inner().expect("nobody panicked");
        let lost = lost.lock().expect("nobody panics");
        assert_eq!(lost.len(), 3, "each kind of answer was lost once: {lost:?}");
    }
}

#[test]
fn commands_do_not_take_their_own_work_for_anothers() {
    let lose = ["/versions", "/builds"].map(|end| ("POST", end, Loss::HangUp));
    let world = World::served_through(|server| lossy(server, &lose).0);
    world.ok(&["registry", "buckets", "create", "lossy"]);
    let create = ["registry", "versions", "create", "lossy", "one"];
    let said = world.ok(&create);
    assert!(said.contains("Opened the version one"), "{said}");
    let record =
        ["registry", "artifacts", "create", "lossy", "one", "file.a", "-platform=p", "-id=i"];
    let said = world.ok(&record);
    assert!(said.contains("Recorded file.a of one, which is v1 now"), "{said}");
    // What another client created is still an error.
    assert!(world.fails(&create).contains("already"));
    assert!(world.fails(&record).contains("already"));
}

#[test]
fn whatever_was_done_is_done() {
    for loss in [Loss::HangUp, BAD_GATEWAY, UNAVAILABLE] {
        let lose = [
            ("PUT", "/buckets", loss),
            ("POST", "/channels", loss),
            ("POST", "/versions", loss),
            ("PUT", "/enforced_blocks", loss),
            ("PATCH", "/versions/one", loss),
            ("PATCH", "/versions/one", loss),
            ("DELETE", "/channels/stable", loss),
            ("DELETE", "/buckets/lossy", loss),
        ];
        let lost = Mutex::new(Arc::default());
        let world = World::served_through(|server| {
            let (address, lossy) = lossy(server, &lose);
            *lost.lock().expect("nobody panics") = lossy;
            address
        });
        world.ok(&["registry", "buckets", "create", "lossy", "-label=a=b"]);
        world.ok(&["registry", "channels", "create", "lossy", "stable", "-restricted"]);
        world.ok(&["registry", "versions", "create", "lossy", "one"]);
        let record =
            ["registry", "artifacts", "create", "lossy", "one", "file.a", "-platform=p", "-id=i"];
        world.ok(&record);
        world.write("block.hcl", "provisioner \"shell-local\" {\n  inline = [\"true\"]\n}\n");
        world.ok(&["registry", "enforced-blocks", "create", "scan", "block.hcl"]);
        world.ok(&["registry", "revoke", "lossy", "v1", "-reason=why"]);
        world.ok(&["registry", "restore", "lossy", "v1"]);
        // What another client created is still an error.
        let other = world.fails(&["registry", "buckets", "create", "lossy", "-label=a=c"]);
        assert!(other.contains("already"), "{other}");
        world.ok(&["registry", "channels", "delete", "lossy", "stable"]);
        let gone = world.fails(&["registry", "channels", "delete", "lossy", "stable"]);
        assert!(gone.contains("no channel"), "{gone}");
        world.ok(&["registry", "buckets", "delete", "lossy"]);
        let gone = world.fails(&["registry", "buckets", "delete", "lossy"]);
        assert!(gone.contains("no bucket"), "{gone}");
        let lost = lost.into_inner().expect("nobody panicked");
        let lost = lost.lock().expect("nobody panics");
        assert_eq!(lost.len(), lose.len(), "each answer was lost once: {lost:?}");
    }
}

#[test]
fn what_was_not_done_is_not_reported_as_done() {
    const BUSY: &str = r#"{"code": 14, "message": "the registry is too busy", "details": []}"#;
    let unavailable = |body| Loss::Before("503 Service Unavailable", body);
    let lose = [
        // A load balancer while the registry is started again.
        ("DELETE", "/buckets/b", unavailable("")),
        ("DELETE", "/buckets/b", Loss::Before("404 Not Found", "<html>default backend</html>")),
        // A registry that did nothing says so.
        ("DELETE", "/buckets/nosuch", unavailable(BUSY)),
        ("POST", "/versions", unavailable(BUSY)),
    ];
    let world = World::served_through(|server| lossy(server, &lose).0);
    world.ok(&["registry", "buckets", "create", "b"]);
    let kept = world.fails(&["registry", "buckets", "delete", "b"]);
    assert!(kept.contains("404"), "{kept}");
    world.ok(&["registry", "buckets", "show", "b"]);
    let absent = world.fails(&["registry", "buckets", "delete", "nosuch"]);
    assert!(absent.contains("no bucket"), "{absent}");
    world.ok(&["registry", "versions", "create", "b", "one"]);
    world.ok(&["registry", "buckets", "delete", "b"]);
}

#[test]
fn a_version_that_gets_its_number_by_itself_is_not_made_twice() {
    let lose = [("PUT", "/versions", UNAVAILABLE)];
    let world = World::served_through(|server| lossy(server, &lose).0);
    world.write("block.hcl", "provisioner \"shell-local\" {\n  inline = [\"true\"]\n}\n");
    world.ok(&["registry", "enforced-blocks", "create", "scan", "block.hcl"]);
    let failed = world.fails(&["registry", "enforced-blocks", "add-version", "scan", "block.hcl"]);
    assert!(failed.contains("503"), "{failed}");
    let shown = world.json(&["enforced-blocks", "show", "scan"]);
    assert_eq!(shown["versions"].as_array().map(Vec::len), Some(2), "{shown:#}");
}

#[test]
fn what_something_before_the_registry_refuses_is_kept() {
    const PAGE: &str = "<html><body>The proxy does not take this.</body></html>";
    for (status, advice) in [
        ("413 Request Entity Too Large", "limits the size of requests"),
        ("400 Bad Request", "`ingot registry push` publishes it"),
        ("501 Not Implemented", "`ingot registry push` publishes it"),
    ] {
        // That the build runs, and what it made.
        let lose = [("PATCH", "", Loss::Before(status, PAGE)); 2];
        let world = World::served_through(|server| lossy(server, &lose).0);
        world.write("t.pkr.hcl", TEMPLATE);
        let env = [("HCP_PACKER_BUILD_FINGERPRINT", "lossy-1")];
        let run = world.ingot_with(&["build", "t.pkr.hcl"], &env);
        assert_eq!(run.code, Some(75), "{}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains(advice), "{}", run.stdout);
        let said = world.ok(&["registry", "push"]);
        assert!(said.contains("file.a: Published metadata to"), "{said}");
    }
}

#[test]
fn an_import_leaves_sboms_behind_that_something_before_the_registry_refuses() {
    let old = World::local();
    old.ok(&["registry", "buckets", "create", "lossy"]);
    old.ok(&["registry", "versions", "create", "lossy", "one"]);
    let record =
        ["registry", "artifacts", "create", "lossy", "one", "file.a", "-platform=p", "-id=i"];
    old.ok(&record);
    old.ok(&["registry", "export", "e.json"]);
    let file = old.path().join("e.json");
    let text = std::fs::read_to_string(&file).expect("the file");
    let mut export: Value = serde_json::from_str(&text).expect("JSON");
    let statuses = ["413 Payload Too Large", "400 Bad Request", "501 Not Implemented"];
    let sboms = statuses.map(|status| {
        // `{}`, compressed.
        let document = "KLUv/SACEQAAe30=";
        let name = &status[..3];
        json!({
            "component_type": "file.a", "name": name, "format": "CYCLONEDX", "document": document,
        })
    });
    export["buckets"][0]["versions"][0]["sboms"] = json!(sboms);
    std::fs::write(&file, export.to_string()).expect("it is written");

    let lose = statuses.map(|status| ("PUT", "/sboms", Loss::Before(status, "<html></html>")));
    let new = World::served_through(|server| lossy(server, &lose).0);
    let said = new.ok(&["registry", "import", file.to_str().expect("a plain name")]);
    assert!(said.contains("3 SBOMs were left behind, as this registry refuses them:"), "{said}");
    for status in statuses {
        let name = &status[..3];
        let left = format!("file.a, the SBOM {name}: {} returned {status}", new.name);
        assert!(said.contains(&left), "{said}");
    }
    assert!(said.contains("limits the size of requests"), "{said}");
    assert_eq!(new.json(&["versions", "show", "lossy", "one"])["name"], "v1");
}

/// What a build says that is interrupted once this answer is lost.
fn interrupted_at(lose: (&'static str, &'static str, Loss)) -> (World, Run) {
    let lost = Mutex::new(Arc::default());
    let world = World::served_through(|server| {
        let (address, lossy) = lossy(server, &[lose]);
        *lost.lock().expect("nobody panics") = lossy;
        address
    });
    world.write("t.pkr.hcl", TEMPLATE);
    let env = [("HCP_PACKER_BUILD_FINGERPRINT", "lossy-1")];
    let build = world.spawn_build("t.pkr.hcl", &env);
    let lost = lost.into_inner().expect("nobody panicked");
    eventually(format_args!("{lose:?} comes"), || !lost.lock().expect("nobody panics").is_empty());
    interrupt(&build);
    let interrupted = Instant::now();
    let run = finish(build);
    assert!(interrupted.elapsed() < Duration::from_secs(30), "{:?}", interrupted.elapsed());
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("Version \"lossy-1\" is incomplete"), "{}", run.stdout);
    (world, run)
}

#[test]
fn an_interrupted_build_does_not_wait_for_a_registry_that_fell_silent() {
    // The notification that the build begins.
    interrupted_at(("PATCH", "", Loss::Silence));
}

#[test]
fn a_build_that_is_interrupted_while_its_start_is_notified_does_not_stay_running() {
    let (world, run) = interrupted_at(("PATCH", "", Loss::NoAnswer));
    assert!(run.stdout.contains("* \"file.a\": BUILD_CANCELLED"), "{}", run.stdout);
    let version = world.json(&["versions", "show", "lossy", "lossy-1"]);
    assert_eq!(version["builds"][0]["status"], "BUILD_CANCELLED", "{version:#}");
}

#[test]
fn a_build_that_ends_while_its_version_is_opened_says_what_that_lacks() {
    // The builds are made known, and then what is enforced is asked for.
    for (method, end) in [("POST", "/builds"), ("GET", "/bucket/lossy")] {
        let (_, run) = interrupted_at((method, end, Loss::Silence));
        assert!(
            run.stdout.contains("Cancelling build after receiving interrupt"),
            "{}",
            run.stdout
        );
        assert!(run.stdout.contains("* \"file.a\": BUILD_UNSET"), "{}", run.stdout);
    }
    let refuse = [("POST", "/builds", Loss::Before("400 Bad Request", ""))];
    let world = World::served_through(|server| lossy(server, &refuse).0);
    world.write("t.pkr.hcl", TEMPLATE);
    let env = [("HCP_PACKER_BUILD_FINGERPRINT", "lossy-1")];
    let run = world.ingot_with(&["build", "t.pkr.hcl"], &env);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("Version \"lossy-1\" is incomplete"), "{}", run.stdout);
}

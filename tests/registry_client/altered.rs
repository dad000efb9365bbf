//! Where HCP Packer does something else than an Ingot server: what stands before one alters requests
//! and answers, so that it does the same.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::ancestry::{publish, publish_as};
use crate::lost_answers::read_request;
use crate::world::World;

/// An answer: its status, as `200 OK`, and its body.
struct Response {
    status: String,
    body: Value,
}

impl Response {
    fn ok(body: Value) -> Response {
        Response { status: "200 OK".into(), body }
    }

    /// An error as the API has it.
    fn error(status: &str, code: i32, message: &str) -> Response {
        let body = json!({ "code": code, "message": message, "details": [] });
        Response { status: status.into(), body }
    }
}

/// Asks the server; the text is a method and a path with its query, as those of the request or others.
type Ask<'a> = &'a dyn Fn(&str) -> Response;

/// A registry whose answers `alter` gives: it has a request's method and path, and asks the server.
fn altered(alter: impl Fn(&str, Ask<'_>) -> Response + Send + Sync + 'static) -> World {
    let alter = Arc::new(alter);
    World::served_through(|server| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (upstream, alter) = (server.to_owned(), Arc::clone(&alter));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (upstream, alter) = (upstream.clone(), Arc::clone(&alter));
                std::thread::spawn(move || answer(client, &upstream, &*alter));
            }
        });
        address
    })
}

fn answer(mut client: TcpStream, upstream: &str, alter: &impl Fn(&str, Ask<'_>) -> Response) {
    let Some(request) = read_request(&mut client) else { return };
    let end = request.iter().position(|byte| *byte == b'\r').unwrap_or(request.len());
    let line = String::from_utf8_lossy(&request[..end]).into_owned();
    let ask = |line: &str| {
        // Of this version, so that the answer comes in one piece.
        let mut asked = format!("{line} HTTP/1.0").into_bytes();
        asked.extend(&request[end..]);
        let mut server = TcpStream::connect(upstream).expect("the server is there");
        server.write_all(&asked).expect("the server reads");
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).expect("the server answers");
        let text = String::from_utf8_lossy(&answer);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.lines().next().and_then(|line| line.split_once(' '));
        let status = status.expect("a status").1.to_owned();
        Response { status, body: serde_json::from_str(body).unwrap_or_default() }
    };
    let Response { status, body } = alter(line.trim_end_matches(" HTTP/1.1"), &ask);
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    client.write_all(format!("{head}{body}").as_bytes()).unwrap_or_default();
}

/// The ends of paths of requests, with their queries.
#[derive(Clone, Default)]
pub(crate) struct RecordedRequests(Arc<Mutex<Vec<String>>>);

impl RecordedRequests {
    fn note(&self, line: &str) {
        self.0.lock().expect("nobody panics").push(line.to_owned());
    }

    /// Those that hold a text, since this was asked last.
    pub(crate) fn with(&self, text: &str) -> Vec<String> {
        let all = std::mem::take(&mut *self.0.lock().expect("nobody panics"));
        all.into_iter().filter(|line| line.contains(text)).collect()
    }
}

/// A registry, and what it is asked.
pub(crate) fn recorded() -> (World, RecordedRequests) {
    let asked = RecordedRequests::default();
    let noted = asked.clone();
    let world = altered(move |line, ask| {
        noted.note(line);
        ask(line)
    });
    (world, asked)
}

#[test]
fn what_was_built_from_another_version_is_not_named_as_revoked() {
    // HCP Packer looks at the fingerprint for parents only.
    let world = altered(|line, ask| match line.contains("type=ANCESTRY_TYPE_CHILDREN") {
        true => ask(line.split("&version_fingerprint=").next().unwrap_or_default()),
        false => ask(line),
    });
    publish(&world, "base", &[]);
    publish(&world, "one", &[("base", "new")]);
    std::fs::remove_file(world.path().join("base.txt")).expect("the file is there");
    publish_as(&world, "base", "base-2", &[]);
    publish(&world, "other", &[("base", "new")]);
    let said = world.ok(&["registry", "revoke", "base", "v1", "-descendants=false"]);
    assert!(said.contains("one v1 was built from it, and stays as it is."), "{said}");
    assert!(!said.contains("other"), "{said}");
    let tree = world.json(&["ancestry", "base"]);
    let built = tree["revoked"][0]["built_from_it"].as_array().cloned().unwrap_or_default();
    let names: Vec<&Value> = built.iter().map(|one| &one["bucket_name"]).collect();
    assert_eq!(names, ["one"], "{tree:#}");
}

/// A registry that answers that it has begun to revoke, with the version as it was before, and says
/// `end` of the operation when it is asked for the second time.
fn revoking_later(end: Value) -> World {
    let looks = AtomicUsize::new(0);
    altered(move |line, ask| {
        let running = json!({ "id": "0c9a2f4e-0000-4000-8000-000000000000", "state": "RUNNING" });
        if line.contains("/operation/2020-05-05/organizations/") {
            assert!(line.contains("/operations/0c9a2f4e-") && line.contains("/wait?timeout="));
            return Response::ok(match looks.fetch_add(1, Ordering::Relaxed) {
                0 => json!({ "operation": running }),
                _ => json!({ "operation": end }),
            });
        }
        if !line.starts_with("PATCH ")
            || !line.contains("/versions/base")
            || line.contains("/builds")
        {
            return ask(line);
        }
        let mut answer = ask(line);
        answer.body["operation"] = running;
        answer.body["version"]["status"] = json!("VERSION_ACTIVE");
        answer.body["version"]["revoke_at"] = Value::Null;
        answer
    })
}

#[test]
fn a_revocation_that_takes_a_while_is_waited_for() {
    let world = revoking_later(json!({ "state": "DONE" }));
    publish(&world, "base", &[]);
    let said = world.ok(&["registry", "revoke", "base", "v1", "-in=30d"]);
    assert!(said.contains("v1 (base-1) will be revoked at "), "{said}");
}

#[test]
fn a_revocation_that_fails_later_is_an_error() {
    let error = json!({ "code": 13, "message": "a descendant is busy", "details": [] });
    let world = revoking_later(json!({ "state": "DONE", "error": error }));
    publish(&world, "base", &[]);
    let said = world.fails(&["registry", "revoke", "base", "v1"]);
    assert!(said.contains("could not do all of it: a descendant is busy"), "{said}");
}

const CHANNELS: &str = r#"
hcp_packer_registry {
  bucket_name = "slow"
  channels    = ["stable"]
}
source "file" "a" {
  content = "a"
  target  = "a.txt"
}
build {
  sources = ["source.file.a"]
}
"#;

/// A registry that completes a version a moment after its last build is done: it is without a name for
/// two more looks.
fn completing_later() -> World {
    let looks = AtomicUsize::new(usize::MAX);
    altered(move |line, ask| {
        let mut answer = ask(line);
        if !line.starts_with("GET ") && line.contains("/builds") {
            let done = answer.body["build"]["status"] == "BUILD_DONE";
            looks.store(if done { 0 } else { usize::MAX }, Ordering::Relaxed);
        }
        let is_version = line.contains("/versions/") && !line.contains("/builds");
        if line.starts_with("GET ")
            && is_version
            && looks.load(Ordering::Relaxed) != usize::MAX
            && looks.fetch_add(1, Ordering::Relaxed) < 2
        {
            answer.body["version"]["name"] = json!("v0");
            answer.body["version"]["status"] = json!("VERSION_RUNNING");
        }
        answer
    })
}

#[test]
fn channels_are_assigned_a_version_that_is_completed_later() {
    let world = completing_later();
    world.ok(&["registry", "buckets", "create", "slow"]);
    world.ok(&["registry", "channels", "create", "slow", "stable"]);
    world.write("t.pkr.hcl", CHANNELS);
    let run = world.build("t.pkr.hcl", "slow-1");
    assert!(run.stdout.contains("Assigning version `slow-1` to channel `stable`"));
    let channel = world.json(&["channels", "show", "slow", "stable"]);
    assert_eq!(channel["version"]["fingerprint"], "slow-1", "{channel:#}");

    // A build of another tool, and an import.
    world.ok(&["registry", "versions", "create", "slow", "two"]);
    let record = ["registry", "artifacts", "create", "slow", "two", "file.a", "-platform=p"];
    let said = world.ok(&[&record[..], &["-id=i"]].concat());
    assert!(said.contains("Recorded file.a of two, which is v2 now"), "{said}");
    world.ok(&["registry", "export", "e.json"]);
    let file = world.path().join("e.json");
    let new = completing_later();
    let said = new.ok(&["registry", "import", file.to_str().expect("a plain name")]);
    assert!(said.contains("slow v1 (slow-1)\n") && said.contains("slow v2 (two)\n"), "{said}");
}

#[test]
fn lists_are_asked_for_as_they_are_needed() {
    let (world, asked) = recorded();
    world.ok(&["registry", "buckets", "create", "one"]);
    world.json(&["buckets", "list"]);
    let lists = asked.with("/buckets?");
    assert!(lists[0].ends_with("/buckets?sorting.order_by=name"), "{lists:?}");
    world.json(&["versions", "list", "one"]);
    let lists = asked.with("/versions?");
    assert!(lists[0].ends_with("/versions?sorting.order_by=created_at+desc"), "{lists:?}");
    world.json(&["enforced-blocks", "list"]);
    let lists = asked.with("/enforced_blocks?");
    assert!(lists[0].ends_with("/enforced_blocks?pagination.page_size=1000"), "{lists:?}");
}

#[test]
fn a_registry_that_refuses_an_order_is_listed_without_one() {
    let world = altered(|line, ask| match line.contains("sorting.order_by") {
        true => Response::error("400 Bad Request", 3, "it cannot be sorted by this"),
        false => ask(line),
    });
    world.ok(&["registry", "buckets", "create", "one"]);
    assert_eq!(world.json(&["buckets", "list"])[0]["name"], "one");
    assert_eq!(world.json(&["versions", "list", "one"]), json!([]));
}

#[test]
fn channels_of_a_template_are_asked_for_by_one_request() {
    let (world, asked) = recorded();
    world.ok(&["registry", "buckets", "create", "slow"]);
    world.ok(&["registry", "channels", "create", "slow", "stable"]);
    world.write("t.pkr.hcl", CHANNELS);
    drop(asked.with(""));
    world.build("t.pkr.hcl", "slow-1");
    let reads = asked.with("/channels");
    let reads: Vec<&String> = reads.iter().filter(|line| line.starts_with("GET ")).collect();
    assert_eq!(reads.len(), 1, "{reads:?}");
    assert!(reads[0].ends_with("/channels"), "{reads:?}");
}

/// A proxy answers 404 by itself while the registry is started again.
#[test]
fn an_export_takes_no_sbom_for_gone_that_the_registry_does_not_call_so() {
    /// An SBOM, compressed.
    const DOCUMENT: &str =
        "KLUv/QBYwQEAeyJib21Gb3JtYXQiOiJDeWNsb25lRFgiLCJjb21wb25lbnRzIjpbeyJuYW1lIjoiY3VybCJ9XX0=";
    let cut = Arc::new(Mutex::new(None::<&str>));
    let now = Arc::clone(&cut);
    let world = altered(move |line, ask| {
        let cut = *now.lock().expect("nobody panics");
        match cut.is_some_and(|path| line.starts_with("GET ") && line.contains(path)) {
            true => Response { status: "404 Not Found".into(), body: Value::Null },
            false => ask(line),
        }
    });
    let old = World::local();
    old.ok(&["registry", "buckets", "create", "a"]);
    old.ok(&["registry", "versions", "create", "a", "one", "-build=file.a"]);
    let artifact = ["a", "one", "file.a", "-platform=p", "-id=a-one"];
    old.ok(&[&["registry", "artifacts", "create"], &artifact[..]].concat());
    old.ok(&["registry", "export", "old.json"]);
    let file = old.path().join("old.json");
    let text = std::fs::read_to_string(&file).expect("the file");
    let mut export: Value = serde_json::from_str(&text).expect("JSON");
    export["buckets"][0]["versions"][0]["sboms"] = json!([{
        "component_type": "file.a", "name": "packages", "format": "CYCLONEDX", "document": DOCUMENT,
    }]);
    world.write("old.json", &export.to_string());
    world.ok(&["registry", "import", "old.json"]);
    world.write("e.json", "earlier");
    // The request for the SBOM, and that for its document.
    for path in ["/sboms/packages", "GET /sboms/"] {
        *cut.lock().expect("nobody panics") = Some(path);
        let said = world.fails(&["registry", "export", "e.json", "-force"]);
        assert!(said.contains("a v1 (one), file.a, the SBOM packages: "), "{path}: {said}");
        assert!(said.contains("404") && said.contains("no registry said that"), "{path}: {said}");
        let kept = std::fs::read_to_string(world.path().join("e.json")).expect("the file");
        assert_eq!(kept, "earlier", "{path}");
    }
    // A registry may have no SBOMs at all.
    *cut.lock().expect("nobody panics") = Some("/sboms");
    let said = world.ok(&["registry", "export", "e.json", "-force"]);
    assert!(said.contains("SBOMs were left out, if there are any: "), "{said}");
    *cut.lock().expect("nobody panics") = None;
    let said = world.ok(&["registry", "export", "e.json", "-force"]);
    assert!(!said.contains("left out"), "{said}");
    let text = std::fs::read_to_string(world.path().join("e.json")).expect("the file");
    let export: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(export["buckets"][0]["versions"][0]["sboms"][0]["name"], "packages", "{text}");
}

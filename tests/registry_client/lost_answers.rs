//! Answers that do not arrive: what was asked has been done, and is asked again.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::world::World;

/// Passes requests on to a server, and loses the first answer to each of some: hangs up without
/// it, or says that the gateway is bad. Gives its address, and what it has lost.
fn lossy(upstream: &str, lose: &[(&'static str, bool)]) -> (String, Arc<Mutex<Vec<String>>>) {
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
    left: &Mutex<Vec<(&'static str, bool)>>,
    lost: &Mutex<Vec<String>>,
) {
    let Some(request) = read_request(&mut client) else { return };
    let line = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
    let mut server = TcpStream::connect(upstream).expect("the server is there");
    server.write_all(&request).expect("the server reads");
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).expect("the server answers");
    let wanted = {
        let mut left = left.lock().expect("nobody panics");
        let found = left.iter().position(|(end, _)| {
            line.starts_with("POST ") && line.trim_end_matches(" HTTP/1.1").ends_with(end)
        });
        found.map(|index| left.remove(index).1)
    };
    match wanted {
        None => client.write_all(&answer).unwrap_or_default(),
        Some(hangs_up) => {
            lost.lock().expect("nobody panics").push(line);
            if !hangs_up {
                let bad = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\
                            Connection: close\r\n\r\n";
                client.write_all(bad).unwrap_or_default();
            }
        }
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
    for hangs_up in [true, false] {
        let lost = Mutex::new(Arc::default());
        let world = World::served_through(|server| {
            let lose =
                [("/versions", hangs_up), ("/builds", hangs_up), ("/external_artifact", hangs_up)];
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
    let world =
        World::served_through(|server| lossy(server, &[("/versions", true), ("/builds", true)]).0);
    world.ok(&["registry", "buckets", "create", "lossy"]);
    let create = ["registry", "versions", "create", "lossy", "one"];
    let said = world.ok(&create);
    assert!(said.contains("Opened the version one"), "{said}");
    let record =
        ["registry", "artifacts", "create", "lossy", "one", "file.a", "-platform=p", "-id=i"];
    let said = world.ok(&record);
    assert!(said.contains("Recorded file.a of one, which is v1 now"), "{said}");
    // What is another's is still told of.
    assert!(world.fails(&create).contains("already"));
    assert!(world.fails(&record).contains("already"));
}

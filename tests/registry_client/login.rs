//! The ways to name a server and to log in to it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::lost_answers::read_request;
use crate::world::{World, run};
use ingot_test_support::{Pipe, Run};

/// Lists the buckets with an environment that `change` makes of the server's own.
fn list(world: &World, change: impl FnOnce(&mut Command)) -> Run {
    let mut command = world.command(&["registry", "buckets", "list", "-json"]);
    change(&mut command);
    run(command.output().expect("the program can be run"))
}

fn setting<'a>(world: &'a World, name: &str) -> &'a str {
    let found = world.env().iter().find(|(key, _)| key == name);
    &found.unwrap_or_else(|| panic!("the server does not say {name}")).1
}

fn works(run: Run, what: &str) {
    assert_eq!(run.code, Some(0), "{what}: {}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("\"here\""), "{what}: {}", run.stdout);
}

#[test]
fn each_way_leads_to_the_same_registry() {
    let world = World::served();
    world.ok(&["registry", "buckets", "create", "here"]);
    works(list(&world, |_| {}), "as the server says");
    // The registry is asked which organization and project the credentials are for.
    let alone = list(&world, |command| {
        command.env_remove("HCP_ORGANIZATION_ID").env_remove("HCP_PROJECT_ID");
    });
    works(alone, "without organization and project");
    works(
        list(&world, |command| {
            command.env_remove("HCP_ORGANIZATION_ID");
        }),
        "with a project",
    );
    works(
        list(&world, |command| {
            command.env_remove("HCP_PROJECT_ID");
        }),
        "with an organization",
    );

    let address = setting(&world, "HCP_API_ADDRESS");
    let by_url = list(&world, |command| {
        command.env_remove("HCP_API_ADDRESS").env_remove("HCP_AUTH_URL");
        command.env("INGOT_REGISTRY", format!("https://{address}"));
    });
    works(by_url, "with a URL");
    let by_host = list(&world, |command| {
        command.env_remove("HCP_API_ADDRESS").env("HCP_API_HOST", format!("https://{address}"));
    });
    works(by_host, "with the older name");

    let (id, secret) = (setting(&world, "HCP_CLIENT_ID"), setting(&world, "HCP_CLIENT_SECRET"));
    let file = serde_json::json!({
        "scheme": "service_principal_creds",
        "oauth": { "client_id": id, "client_secret": secret },
    });
    world.write("key.json", &file.to_string());
    let by_file = list(&world, |command| {
        command.env_remove("HCP_CLIENT_ID").env_remove("HCP_CLIENT_SECRET");
        command.env("HCP_CRED_FILE", "key.json");
    });
    works(by_file, "with a file of credentials");
    // A pipe gives them once.
    let pipe = world.path().join("key.pipe");
    let pipe = Pipe::feed(&pipe, file.to_string());
    let by_pipe = list(&world, |command| {
        command.env_remove("HCP_CLIENT_ID").env_remove("HCP_CLIENT_SECRET");
        command.env("HCP_CRED_FILE", "key.pipe");
    });
    works(by_pipe, "with a pipe of credentials");
    pipe.end();
    std::fs::create_dir_all(world.path().join(".config/hcp")).expect("a directory");
    world.write(".config/hcp/cred_file.json", &file.to_string());
    let by_default = list(&world, |command| {
        command.env_remove("HCP_CLIENT_ID").env_remove("HCP_CLIENT_SECRET");
    });
    works(by_default, "with the default file");
}

#[test]
fn certificates_are_checked_by_default() {
    let world = World::served();
    world.ok(&["registry", "buckets", "create", "here"]);
    let unknown = list(&world, |command| {
        command.env_remove("SSL_CERT_FILE");
    });
    assert_eq!(unknown.code, Some(1), "{}", unknown.stdout);
    assert!(unknown.stderr.contains("certificate"), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("set SSL_CERT_FILE to the file"), "{}", unknown.stderr);
    let half = list(&world, |command| {
        command.env_remove("SSL_CERT_FILE").env("HCP_AUTH_TLS", "insecure");
    });
    assert_eq!(half.code, Some(1), "{}", half.stdout);
    let insecure = list(&world, |command| {
        command.env_remove("SSL_CERT_FILE");
        command.env("HCP_AUTH_TLS", "insecure").env("HCP_API_TLS", "insecure");
    });
    works(insecure, "without checking");
}

#[test]
fn a_refused_login_says_what_to_check() {
    let world = World::served();
    let wrong = list(&world, |command| {
        command.env("HCP_CLIENT_SECRET", "wrong-secret");
    });
    assert_eq!(wrong.code, Some(1), "{}", wrong.stdout);
    assert!(!wrong.stderr.contains("wrong-secret"), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("HCP_CLIENT_SECRET"), "{}", wrong.stderr);
    let elsewhere = list(&world, |command| {
        command.env("HCP_PROJECT_ID", "no-such-project");
    });
    assert_eq!(elsewhere.code, Some(1), "{}", elsewhere.stdout);
    assert!(elsewhere.stdout.is_empty(), "{}", elsewhere.stdout);
    // Nobody there, and somebody who does not speak TLS.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let plain = World::served_through(str::to_owned);
    let plain = setting(&plain, "INGOT_REGISTRY").trim_start_matches("http://").to_owned();
    for (address, advice) in [
        (nobody, "check that the registry is running, and its address"),
        (plain, "set INGOT_REGISTRY=http://HOST:PORT"),
    ] {
        let run = list(&world, |command| {
            command.env("HCP_API_ADDRESS", &address);
            command.env("HCP_AUTH_URL", format!("https://{address}"));
        });
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        assert!(run.stderr.contains(advice), "{address}: {}", run.stderr);
    }
}

#[test]
fn an_invalid_duration_names_its_flag() {
    let world = World::local();
    for text in ["30", "1y", "soon"] {
        let run = world.ingot(&["registry", "revoke", "web", "v1", &format!("-in={text}")]);
        assert_ne!(run.code, Some(0), "{}", run.stdout);
        let message = format!("{}{}", run.stdout, run.stderr);
        assert!(message.contains("30d or 2h45m") && !message.contains("revoke_in"), "{message}");
    }
}

/// What was given in exchange for tokens, with the paths.
type RecordedRequests = Arc<Mutex<Vec<(String, Value)>>>;

/// A registry whose address also exchanges tokens of workloads, as HCP does, for one of the
/// service principal's.
fn exchanging() -> (World, RecordedRequests) {
    let given = Arc::new(Mutex::new(Vec::new()));
    let login = Arc::new(OnceLock::new());
    let world = World::served_through(|server| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (upstream, given, login) = (server.to_owned(), Arc::clone(&given), Arc::clone(&login));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (upstream, given) = (upstream.clone(), Arc::clone(&given));
                let login = Arc::clone(&login);
                std::thread::spawn(move || exchange(client, &upstream, &given, &login));
            }
        });
        address
    });
    let key =
        format!("{}:{}", setting(&world, "HCP_CLIENT_ID"), setting(&world, "HCP_CLIENT_SECRET"));
    login.set(STANDARD.encode(key)).expect("it is set once");
    (world, given)
}

fn exchange(
    mut client: TcpStream,
    upstream: &str,
    given: &Mutex<Vec<(String, Value)>>,
    login: &OnceLock<String>,
) {
    let Some(mut request) = read_request(&mut client) else { return };
    let text = String::from_utf8_lossy(&request).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default();
    if let Some(path) = path.strip_suffix("/exchange-token") {
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let body = serde_json::from_str(body).expect("it is JSON");
        given.lock().expect("nobody panics").push((path.to_owned(), body));
        // Its answer has the same form.
        let form = "grant_type=client_credentials";
        request = format!(
            "POST /oauth2/token HTTP/1.1\r\nHost: {upstream}\r\nAuthorization: Basic {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{form}",
            login.get().expect("the test has begun"),
            form.len()
        )
        .into_bytes();
    }
    let mut server = TcpStream::connect(upstream).expect("the server is there");
    server.write_all(&request).expect("the server reads");
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).expect("the server answers");
    client.write_all(&answer).unwrap_or_default();
}

#[test]
fn a_workload_identity_is_exchanged_for_a_token() {
    let (world, given) = exchanging();
    world.ok(&["registry", "buckets", "create", "here"]);
    let resource = "iam/project/p/service-principal/ci/workload-identity-provider/ci";
    let with = |source: Value, env: &[(&str, &str)]| {
        let mut workload = json!({ "provider_resource_name": resource });
        let all = workload.as_object_mut().expect("an object");
        all.extend(source.as_object().expect("an object").clone());
        let file = json!({ "scheme": "workload", "workload": workload });
        world.write("workload.json", &file.to_string());
        given.lock().expect("nobody panics").clear();
        list(&world, |command| {
            command.env_remove("HCP_CLIENT_ID").env_remove("HCP_CLIENT_SECRET");
            command.env("HCP_CRED_FILE", "workload.json").envs(env.iter().copied());
        })
    };
    let last = || given.lock().expect("nobody panics").last().cloned().expect("an exchange");

    works(with(json!({ "token": { "token": "jwt-1" } }), &[]), "with a token");
    let path = format!("/2019-12-10/{resource}");
    assert_eq!(last(), (path.clone(), json!({ "jwt_token": "jwt-1" })));
    world.write("token.txt", "jwt-2\n");
    works(with(json!({ "file": { "path": "token.txt" } }), &[]), "with a file");
    assert_eq!(last().1, json!({ "jwt_token": "jwt-2" }));
    let env = json!({ "env": {
        "var": "CI_JWT", "format_type": "json", "subject_cred_pointer": "/value"
    } });
    works(with(env.clone(), &[("CI_JWT", "{\"value\": \"jwt-3\"}")]), "with a variable");
    assert_eq!(last().1, json!({ "jwt_token": "jwt-3" }));
    let keys = [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "aws-secret"),
    ];
    works(with(json!({ "aws": {} }), &keys), "with AWS");
    let proof = last().1["aws_get_caller_id_token"].clone();
    assert_eq!(proof["headers"]["X-Hcp-Workload-Identity-Provider"], resource);
    assert!(!proof.to_string().contains("aws-secret"), "{proof}");

    // Errors do not quote secrets.
    let said = with(env, &[("CI_JWT", "{\"other\": \"jwt-4\"}")]);
    assert_eq!(said.code, Some(1), "{}", said.stdout);
    assert!(said.stderr.contains("CI_JWT: there is nothing at /value"), "{}", said.stderr);
    assert!(!said.stderr.contains("jwt-4"), "{}", said.stderr);
    let said = with(json!({ "file": { "path": "token.txt" }, "aws": {} }), &[]);
    assert!(said.stderr.contains("workload.json: `workload` can have only one"), "{}", said.stderr);
}

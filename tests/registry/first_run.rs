//! One command, and who gets in.

use reqwest::Method;
use serde_json::{Value, json};

use ingot_sdk::tls::{self, Tls, Trust};
use ingot_test_support::disk::Disk;
use ingot_test_support::registry_server::Server;
use ingot_test_support::{ingot_with, output_of, require};

#[tokio::test]
async fn one_command_starts_a_registry() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let mut server = Server::start(&data, &[]);
    assert!(data.join("registry-server.db").exists());
    assert!(server.greeting.contains("The secret is shown this once"), "{}", server.greeting);
    let secret = server.env["HCP_CLIENT_SECRET"].clone();
    let id = server.env["HCP_CLIENT_ID"].clone();
    let admin = server.admin().await;
    admin.put("/buckets", json!({ "name": "web" })).await;
    assert_eq!(server.stop(), Some(0));

    let server = Server::start(&data, &[]);
    assert!(!server.greeting.contains(&secret));
    assert!(!server.env.contains_key("HCP_CLIENT_SECRET"), "{}", server.greeting);
    let admin = server.sign_in(&id, &secret).await;
    assert_eq!(admin.get("/buckets/web").await["bucket"]["name"], "web");
    let database = std::fs::read(data.join("registry-server.db")).expect("the database");
    let leaked = database.windows(secret.len()).any(|window| window == secret.as_bytes());
    assert!(!leaked, "the secret is in the database");
}

/// What is printed fits the server and its database, and can be given to a shell as it is.
#[tokio::test]
async fn what_is_printed_can_be_used_as_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("its data");
    let database = dir.path().join("my registry.db");
    let database = database.to_str().expect("a plain name");
    let flags = ["-database-url", database];
    let mut server = Server::start(&data, &flags);
    let quoted = format!("-role contributor -database-url '{database}'");
    assert!(server.greeting.contains(&quoted), "{}", server.greeting);
    let exported = server.greeting.lines().filter(|line| line.starts_with("  export "));
    let script: String = exported.map(|line| format!("{line}\n")).collect();
    let shell = std::process::Command::new("sh")
        .args(["-ec", &format!("{script} exec \"$0\" registry buckets list -json")])
        .arg(ingot_test_support::ingot_program())
        .env("HOME", dir.path())
        .output()
        .expect("a shell");
    let reported = String::from_utf8_lossy(&shell.stderr);
    assert_eq!(String::from_utf8_lossy(&shell.stdout), "[]\n", "{reported}");

    // A link is to where the server was last, wherever it listens.
    let env = [("INGOT_DATA_DIR", data.to_str().expect("a plain name"))];
    let with = |args: &[&str]| {
        let run = ingot_with(dir.path(), &[&["registry"], args, &flags].concat(), &env);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.stdout
    };
    let link = with(&["sign-in-link"]);
    assert!(link.starts_with(&format!("{}/sign-in/", server.url())), "{link}");
    with(&["webhook", "create", "https://ci.example.com/hook"]);
    with(&["principal", "create", "one", "-project", "default"]);
    for (noun, head, row) in [
        ("principal", ["CLIENT ID", "ROLE", "PROJECT", "NAME"].as_slice(), "one"),
        ("project", &["PROJECT ID", "NAME"], "default"),
        ("webhook", &["ID", "PROJECT", "URL", "EVENTS"], "https://ci.example.com/hook"),
    ] {
        let listed = with(&[noun, "list"]);
        let first = listed.lines().next().expect("a head");
        assert!(head.iter().all(|column| first.contains(column)), "{listed}");
        assert!(listed.lines().skip(1).any(|line| line.contains(row)), "{listed}");
    }
    assert_eq!(server.stop(), Some(0));
    let again = Server::start(&data, &flags);
    let link = format!("`ingot registry sign-in-link -database-url '{database}'`");
    assert!(again.greeting.contains(&link), "{}", again.greeting);
}

/// As in the tutorial: what builds on this machine have published is served to others.
#[tokio::test]
async fn the_registry_of_builds_is_served_if_the_environment_names_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().to_str().expect("a plain name");
    let local = [("INGOT_DATA_DIR", data), ("INGOT_REGISTRY", "local")];
    let with = |args: &[&str]| {
        let run = ingot_with(dir.path(), &[&["registry"], args].concat(), &local);
        assert_eq!(run.code, Some(0), "{args:?}: {}{}", run.stdout, run.stderr);
        run.stdout
    };
    with(&["buckets", "create", "golden"]);
    let reported = with(&["backup", "backup.db"]);
    let file = format!("{data}/registry.db");
    assert!(reported.contains(&format!(" rows of {file} to backup.db")), "{reported}");
    // Nobody is told that there is no registry at all.
    let run = ingot_with(dir.path(), &["registry", "audit"], &local[..1]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    let reported = format!("there is no registry at {data}/registry-server.db, but one at {file}");
    assert!(run.stderr.contains(&reported), "{}", run.stderr);

    let mut server = Server::start_with(dir.path(), &[], &local[1..]);
    for line in [
        format!("Its database is {file}\n"),
        "  unset INGOT_REGISTRY\n".to_owned(),
        format!("principal create NAME -role contributor -database-url {file}\n"),
    ] {
        assert!(server.greeting.contains(&line), "{line} {}", server.greeting);
    }
    let buckets = server.admin().await.get("/buckets").await;
    assert_eq!(buckets["buckets"][0]["name"], "golden", "{buckets}");
    with(&["run-task", "show"]);
    assert_eq!(server.stop(), Some(0));

    // Without the variable, no empty registry takes its place.
    let run = ingot_with(dir.path(), &["registry", "serve", "-listen=127.0.0.1:0"], &local[..1]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    let own = format!("{data}/registry-server.db");
    let reported =
        format!("there is no registry at {own}, but one at {file} that was served before");
    assert!(run.stderr.contains(&reported), "{}", run.stderr);
    assert!(run.stderr.contains("-database-url says which is meant"), "{}", run.stderr);
    assert!(!dir.path().join("registry-server.db").exists());
}

/// Of two registries none is guessed: what was served so far may be either.
#[tokio::test]
async fn of_two_registries_the_flag_says_which_is_meant() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().to_str().expect("a plain name");
    let local = [("INGOT_DATA_DIR", data), ("INGOT_REGISTRY", "local")];
    let (file, own) = (format!("{data}/registry.db"), format!("{data}/registry-server.db"));
    let run = ingot_with(dir.path(), &["registry", "buckets", "create", "golden"], &local);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let mut server = Server::start(dir.path(), &[]);
    for line in [
        format!("Its database is {own}\n"),
        format!("which `ingot registry serve -database-url {file}` serves\n"),
    ] {
        assert!(server.greeting.contains(&line), "{line} {}", server.greeting);
    }
    assert_eq!(server.stop(), Some(0));

    let backup = format!("{data}/backup.db");
    let backup = backup.as_str();
    for args in [
        &["serve", "-listen=127.0.0.1:0"][..],
        &["backup", backup],
        &["restore-backup", backup],
        &["principal", "create", "ci"],
        &["audit"],
    ] {
        let run = ingot_with(dir.path(), &[&["registry"], args].concat(), &local);
        assert_eq!(run.code, Some(1), "{args:?}: {}", run.stdout);
        let reported =
            format!("there are two registries: {file}, which INGOT_REGISTRY names, and {own}");
        assert!(run.stderr.contains(&reported), "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains("-database-url says which is meant"), "{}", run.stderr);
    }
    for database in [file.as_str(), own.as_str()] {
        let args = ["registry", "backup", backup, "-database-url", database];
        let run = ingot_with(dir.path(), &args, &local);
        assert_eq!(run.code, Some(0), "{database}: {}{}", run.stdout, run.stderr);
        std::fs::remove_file(backup).expect("it was made");
    }
    // One that is not there yet is not made in the place of the one that is.
    let other = [local[0], ("INGOT_REGISTRY", "./other.db")];
    let run = ingot_with(dir.path(), &["registry", "serve", "-listen=127.0.0.1:0"], &other);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    let reported = format!("where there is no registry, but there is one at {own}");
    assert!(run.stderr.contains(&reported), "{}", run.stderr);
    assert!(!dir.path().join("other.db").exists());
}

/// A link to the registry is no other registry.
#[tokio::test]
async fn a_link_to_the_registry_is_the_same_registry() {
    let dir = tempfile::tempdir().expect("a directory");
    let link = dir.path().join("link.db");
    std::os::unix::fs::symlink("registry-server.db", &link).expect("a link");
    let link = link.to_str().expect("a plain name");
    let database = format!("Its database is {link}\n");
    // The file that it leads to is not there yet, and then it is.
    for _ in 0..2 {
        let mut server = Server::start_with(dir.path(), &[], &[("INGOT_REGISTRY", link)]);
        assert!(server.greeting.contains(&database), "{}", server.greeting);
        assert!(!server.greeting.contains("another registry"), "{}", server.greeting);
        assert_eq!(server.stop(), Some(0));
        assert!(dir.path().join("registry-server.db").exists());
    }
}

#[tokio::test]
async fn what_clients_ask_first() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let admin = server.admin().await;
    let get = async |path: &str| {
        let (status, answer) = admin.send(Method::GET, path, Vec::new()).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    };
    let org = &server.env["HCP_ORGANIZATION_ID"];
    let project = &server.env["HCP_PROJECT_ID"];
    let root = "/resource-manager/2019-12-10";
    let organizations = get(&format!("{root}/organizations")).await;
    assert_eq!(organizations["organizations"][0]["id"], json!(org));
    let query = format!("scope.id={org}&scope.type=ORGANIZATION");
    let projects = get(&format!("{root}/projects?{query}")).await;
    assert_eq!(projects["projects"][0]["id"], json!(project));
    let one = get(&format!("{root}/projects/{project}")).await;
    assert_eq!(one["project"]["parent"]["id"], json!(org));
    let who = get("/iam/2019-12-10/caller-identity").await;
    assert_eq!(who["principal"]["service"]["name"], "admin");
    let registry = admin.get("/registry").await;
    assert_eq!(registry["registry"]["config"]["activated"], true);
    assert_eq!(get("/healthz").await, "ok\n");
    let metrics = get("/metrics").await;
    let text = metrics.as_str().expect("text");
    assert!(text.contains("ingot_registry_requests_total{method=\"GET\""), "{text}");
    let openapi = get("/openapi.json").await;
    let path = "/packer/2023-01-01/organizations/{org}/projects/{project}/buckets/{bucket}";
    assert_eq!(openapi["paths"][path]["get"]["operationId"], "GetBucket");
    let schema = &openapi["components"]["schemas"]["Bucket"]["properties"];
    assert!(schema["version_count"].is_object(), "{schema}");
}

#[tokio::test]
async fn roles_and_projects_are_kept_apart() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let admin = server.admin().await;
    let (id, secret) = server.principal(&["ci", "-role", "contributor"]);
    let contributor = server.sign_in(&id, &secret).await;
    let (viewer_id, secret) = server.principal(&["dev", "-role=viewer"]);
    let viewer = server.sign_in(&viewer_id, &secret).await;

    contributor.put("/buckets", json!({ "name": "web" })).await;
    contributor.publish("web", "f1", None).await;
    let body = json!({ "name": "secret", "restricted": true, "version_fingerprint": "f1" });
    contributor.post("/buckets/web/channels", body).await;
    let denied =
        async |caller: &ingot_test_support::registry_server::Caller, method: Method, path: &str| {
            let (status, answer) = caller.call(method, path, json!({})).await;
            assert_eq!((status, &answer["code"]), (403, &json!(7)), "{path}: {answer}");
        };
    viewer.get("/buckets/web/versions/f1").await;
    viewer.get("/buckets/web/channels/latest").await;
    denied(&viewer, Method::PUT, "/buckets").await;
    denied(&viewer, Method::PATCH, "/buckets/web/versions/f1").await;
    denied(&viewer, Method::GET, "/buckets/web/channels/secret").await;
    let channels = viewer.get("/buckets/web/channels").await;
    assert_eq!(channels["channels"].as_array().map(Vec::len), Some(1), "{channels}");
    denied(&contributor, Method::DELETE, "/buckets/web").await;

    // Another project, and a principal that may use only that.
    let env = [("INGOT_DATA_DIR", dir.path().to_str().expect("a plain name"))];
    let run = ingot_with(dir.path(), &["registry", "project", "create", "other"], &env);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let other = run.stdout.lines().find_map(|line| line.strip_prefix("HCP_PROJECT_ID="));
    let other = other.expect("the project's id");
    let (id, secret) = server.principal(&["theirs", "-project", "other"]);
    let theirs = server.sign_in(&id, &secret).await;
    denied(&theirs, Method::GET, "/buckets/web").await;
    denied(&theirs, Method::GET, "/buckets").await;
    let mut there = theirs.clone();
    there.root = admin.root.replace(&server.env["HCP_PROJECT_ID"], other);
    there.put("/buckets", json!({ "name": "web" })).await;
    // Ids of one project mean nothing in another.
    let version = admin.get("/buckets/web/versions/f1").await["version"]["id"].clone();
    there.post("/buckets/web/versions", json!({ "fingerprint": "g1" })).await;
    let body = json!({ "component_type": "x", "parent_version_id": version });
    let (status, answer) = there.call(Method::POST, "/buckets/web/versions/g1/builds", body).await;
    assert_eq!(status, 400, "{answer}");
    let builds = there.get("/buckets/web/versions/g1/builds").await;
    assert_eq!(builds["builds"], json!([]));

    // Removed, it is locked out at once.
    let run = ingot_with(dir.path(), &["registry", "principal", "delete", "dev"], &env);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let (status, _) = viewer.call(Method::GET, "/buckets", Value::Null).await;
    assert_eq!(status, 401);
    let run = ingot_with(dir.path(), &["registry", "audit"], &env);
    assert!(run.stdout.contains("create bucket  web"), "{}", run.stdout);
    assert!(run.stdout.contains("refused  GET"), "{}", run.stdout);
}

#[tokio::test]
async fn with_a_certificate_of_ones_own_or_without() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    drop(Server::start(&data, &[]));
    let (own, plain) = (dir.path().join("own"), dir.path().join("plain"));
    let file = |name: &str| data.join(name).to_str().expect("a plain name").to_owned();
    let (certificate, key) = (file("registry.crt"), file("registry.key"));
    let mut server = Server::start(&own, &["-tls-cert", &certificate, "-tls-key", &key]);
    assert!(!server.env.contains_key("SSL_CERT_FILE"), "{}", server.greeting);
    server.env.insert("SSL_CERT_FILE".into(), certificate.clone());
    server.admin().await.get("/registry").await;
    assert!(!own.join("registry.key").exists());

    // Started again for another name, its own certificate is made anew, and only then.
    let before = std::fs::read_to_string(&certificate).expect("the certificate");
    drop(Server::start(&data, &[]));
    assert_eq!(std::fs::read_to_string(&certificate).expect("it"), before);
    let named = Server::start(&data, &["-tls-name=images.example.com"]);
    assert_ne!(std::fs::read_to_string(&certificate).expect("it"), before);
    let pem = std::fs::read(&certificate).expect("the certificate");
    let trust = Trust::Only(tls::certificates(&pem).expect("a certificate"));
    let tls = Tls { trust, ..Tls::default() };
    let client = ingot_sdk::http::client_with_tls(tls, |builder| {
        let at = named.url().parse::<reqwest::Url>().expect("a URL").socket_addrs(|| None);
        builder.resolve("images.example.com", at.expect("an address")[0])
    });
    let url = format!("https://images.example.com:{}/healthz", named.port());
    let answer = client.expect("a client").get(url).send().await.expect("it is trusted");
    assert_eq!(answer.status(), 200);

    // A port that is taken: the secret of the first run waits for a start that goes well.
    let late = dir.path().join("late");
    let taken = format!("-listen=127.0.0.1:{}", named.port());
    let env = [("INGOT_DATA_DIR", late.to_str().expect("a plain name"))];
    let run = ingot_with(dir.path(), &["registry", "serve", &taken], &env);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stderr.contains("cannot listen at"), "{}", run.stderr);
    Server::start(&late, &[]).admin().await.get("/registry").await;

    let server = Server::start(&plain, &["-plain-http"]);
    assert!(server.url().starts_with("http://"), "{}", server.greeting);
    server.admin().await.get("/registry").await;
    let args = ["registry", "serve", "-tls-cert", &certificate];
    let run = ingot_with(dir.path(), &args, &[]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let args = ["registry", "serve", "-listen=127.0.0.1:0", "-tls-cert", &key, "-tls-key", &key];
    let run = ingot_with(dir.path(), &args, &[("INGOT_DATA_DIR", &file("."))]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("the certificate"), "{}", run.stderr);
}

#[tokio::test]
async fn databases_that_cannot_be_used() {
    let dir = tempfile::tempdir().expect("a directory");
    for (url, message) in [
        ("mysql://u:hunter2@h/d", "must be a postgres:// URL"),
        ("postgres://u:hunter2@127.0.0.1:1/d", "cannot be opened"),
        ("/proc/nothing/registry.db", "cannot be created"),
    ] {
        let args = ["registry", "serve", "-listen=127.0.0.1:0", "-database-url", url];
        let env = [("INGOT_DATA_DIR", dir.path().to_str().expect("a plain name"))];
        let run = ingot_with(dir.path(), &args, &env);
        assert_eq!(run.code, Some(1), "{url}");
        assert!(run.stderr.contains(message), "{url}: {}", run.stderr);
        assert!(!run.stderr.contains("hunter2"), "{}", run.stderr);
    }
}

#[test]
fn a_database_that_can_only_be_read_is_not_said_to_be_missing() {
    let disk = require!(Disk::mount(4));
    let database = disk.path().join("r.db");
    let (mounted, database) = (disk.path().to_str(), database.to_str());
    let dir = tempfile::tempdir().expect("a directory");
    let env = [("INGOT_REGISTRY", database.expect("a plain name"))];
    let run = ingot_with(dir.path(), &["registry", "buckets", "create", "web"], &env);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    output_of("mount", &["-o", "remount,ro", mounted.expect("a plain name")]);
    let run = ingot_with(dir.path(), &["registry", "versions", "list", "web"], &env);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("r.db cannot be opened for writing"), "{}", run.stderr);
    assert!(run.stderr.contains("Read-only file system"), "{}", run.stderr);
}

#[test]
fn a_directory_in_place_of_a_database_is_called_that() {
    let dir = tempfile::tempdir().expect("a directory");
    let env = [("INGOT_REGISTRY", dir.path().to_str().expect("a plain name"))];
    let run = ingot_with(dir.path(), &["registry", "buckets", "list"], &env);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains(" cannot be opened: Is a directory"), "{}", run.stderr);
    assert!(!run.stderr.contains("use a copy"), "{}", run.stderr);
}

//! Enforced blocks: created, versioned and linked by the command line, and run in the builds of the
//! buckets they are linked to; the same on SQLite, PostgreSQL and without a server.

use std::path::Path;

use ingot_test_support::postgres::Postgres;
use ingot_test_support::registry_server::Server;
use ingot_test_support::{Run, ingot_with, require};
use reqwest::Method;
use serde_json::{Value, json};

type Env<'a> = [(&'a str, &'a str)];

const TEMPLATE: &str = r#"
variable "word" {
  default = "variable"
}
source "file" "a" {
  content = "made"
  target  = "out.txt"
}
build {
  hcp_packer_registry {
    bucket_name = "web"
  }
  sources = ["source.file.a"]
  provisioner "shell-local" {
    inline = ["echo own >> log.txt"]
  }
}
"#;

fn ingot(dir: &Path, args: &[&str], env: &Env<'_>) -> Run {
    let run = ingot_with(dir, args, env);
    assert_eq!(run.code, Some(0), "{args:?}: {}{}", run.stdout, run.stderr);
    run
}

fn refused(dir: &Path, args: &[&str], env: &Env<'_>) -> String {
    let run = ingot_with(dir, args, env);
    assert_eq!(run.code, Some(1), "{args:?}: {}{}", run.stdout, run.stderr);
    format!("{}{}", run.stdout, run.stderr)
}

/// What builds wrote, in order; it is forgotten then.
fn logged(dir: &Path) -> Vec<String> {
    let log = std::fs::read_to_string(dir.join("log.txt")).unwrap_or_default();
    let _ = std::fs::remove_file(dir.join("log.txt"));
    log.lines().map(str::to_owned).collect()
}

/// The whole way, as an administrator whose environment is `env` goes it.
fn blocks_are_enforced(dir: &Path, env: &Env<'_>) {
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).expect("a file");
    write("t.pkr.hcl", TEMPLATE);
    let shell = |word: &str, more: &str| {
        format!(
            "provisioner \"shell-local\" {{\n  inline = [\"echo {word} >> log.txt\"]\n{more}}}\n"
        )
    };
    let other = "  only = [\"file.other\"]\n";
    write("scan.hcl", &[shell("scan-1 ${var.word}", ""), shell("never", other)].concat());
    write("scan2.hcl", &shell("scan-2", ""));
    let harden =
        r#"{"provisioners": [{"type": "shell-local", "inline": ["echo harden >> log.txt"]}]}"#;
    write("harden.json", harden);
    let blocks =
        |args: &[&str]| ingot(dir, &[&["registry", "enforced-blocks"], args].concat(), env);
    let wrong =
        |args: &[&str]| refused(dir, &[&["registry", "enforced-blocks"], args].concat(), env);
    let build = |print: &str, args: &[&str]| {
        let env = [env, &[("HCP_PACKER_BUILD_FINGERPRINT", print)]].concat();
        ingot_with(dir, &[&["build"], args, &["t.pkr.hcl"]].concat(), &env)
    };
    let built = |print: &str, args: &[&str]| {
        let run = build(print, args);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        run.stdout
    };

    // Nothing is enforced in a bucket that is not linked, or not even there.
    built("zero", &[]);
    assert_eq!(logged(dir), ["own"]);

    // What cannot be run is refused before it can stop anybody's builds.
    write("wrong.hcl", "source \"file\" \"a\" {}\n");
    assert!(wrong(&["create", "scan", "wrong.hcl"]).contains("no block of type `source`"));
    write("empty.hcl", "\n");
    assert!(wrong(&["create", "scan", "empty.hcl"]).contains("has no provisioner block"));

    let created =
        blocks(&["create", "scan", "scan.hcl", "-version", "1.0", "-description", "Scans"]);
    assert_eq!(created.stdout, "Created the enforced block scan, version 1.0.\n");
    assert!(wrong(&["create", "scan", "scan.hcl"]).contains("an enforced block \"scan\" already"));
    blocks(&["create", "harden", "harden.json"]);
    blocks(&["link", "scan", "web"]);
    blocks(&["link", "harden", "web"]);

    // After the template's own, in the order in which they were linked; with its variables.
    let said = built("one", &[]);
    assert_eq!(logged(dir), ["own", "scan-1 variable", "harden"]);
    let loaded =
        "Loaded 2 enforced provisioner(s) from HCP block \"scan\" and template type \"HCL2\"";
    assert!(said.contains(loaded), "{said}");
    assert!(said.contains("block \"harden\" and template type \"JSON\""), "{said}");
    let said = built("skipped", &["-skip-enforcement"]);
    assert_eq!(logged(dir), ["own"]);
    assert!(said.contains("Skipping HCP Packer enforced provisioners"), "{said}");

    // A new version is enforced when the bucket is linked to it, in the old one's place.
    blocks(&["add-version", "scan", "scan2.hcl", "-version", "2.0"]);
    assert!(wrong(&["add-version", "scan", "scan2.hcl", "-version", "2.0"]).contains("2.0"));
    built("two", &[]);
    assert_eq!(logged(dir), ["own", "scan-1 variable", "harden"]);
    blocks(&["link", "scan", "web"]);
    built("three", &[]);
    assert_eq!(logged(dir), ["own", "scan-2", "harden"]);
    let shown = blocks(&["show", "scan"]).stdout;
    let row = |version: &str| shown.lines().find(|line| line.starts_with(version)).expect(version);
    assert!(row("2.0").contains("web") && !row("1.0").contains("web"), "{shown}");
    let content = blocks(&["content", "scan", "-version", "1.0"]).stdout;
    assert!(content.contains("echo scan-1 ${var.word}"), "{content}");
    blocks(&["link", "scan", "web", "-version", "1.0"]);
    built("four", &[]);
    assert_eq!(logged(dir), ["own", "scan-1 variable", "harden"]);

    // What is linked stays; what is not can be removed.
    assert!(wrong(&["delete", "scan"]).contains("it is linked to the bucket \"web\""));
    blocks(&["delete", "scan", "-version", "2.0"]);
    assert!(wrong(&["delete", "scan", "-version", "1.0"]).contains("linked to the bucket"));
    blocks(&["unlink", "scan", "web"]);
    built("five", &[]);
    assert_eq!(logged(dir), ["own", "harden"]);
    blocks(&["delete", "scan"]);
    let listed = blocks(&["list"]).stdout;
    assert!(listed.contains("harden") && !listed.contains("scan"), "{listed}");
    assert!(wrong(&["show", "scan"]).contains("there are: harden"));
    assert!(wrong(&["link", "harden", "nowhere"]).contains("no bucket \"nowhere\""));

    // One that fails fails the build, and one that nobody has a plugin for stops it before it begins.
    write("fails.hcl", "provisioner \"shell-local\" {\n  inline = [\"exit 3\"]\n}\n");
    blocks(&["create", "fails", "fails.hcl"]);
    blocks(&["link", "fails", "web"]);
    assert_eq!(build("six", &[]).code, Some(1));
    assert_eq!(logged(dir), ["own", "harden"]);
    blocks(&["unlink", "fails", "web"]);
    write("unknown.hcl", "provisioner \"nobody\" {}\n");
    blocks(&["create", "unknown", "unknown.hcl"]);
    blocks(&["link", "unknown", "web"]);
    let run = build("seven", &[]);
    let message = format!("{}{}", run.stdout, run.stderr);
    assert_eq!(run.code, Some(1), "{message}");
    assert!(
        message.contains("nobody") && message.contains("enforced block \"unknown\""),
        "{message}"
    );
    // The version was opened before.
    assert!(message.contains("Version \"seven\" is incomplete"), "{message}");
    assert!(message.contains("HCP_PACKER_BUILD_FINGERPRINT=\"seven\""), "{message}");
    assert!(logged(dir).is_empty());
}

fn environment(server: &Server) -> Vec<(&str, &str)> {
    server.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_enforced_without_a_server() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("registry.db");
    let env = [("INGOT_REGISTRY", file.to_str().expect("a plain name"))];
    blocks_are_enforced(dir.path(), &env);
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_enforced_on_sqlite() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    blocks_are_enforced(dir.path(), &environment(&server));

    // The API as HCP's client calls it, and who may do what.
    let admin = server.admin().await;
    let root = "/enforced_blocks";
    let body = json!({ "name": "api", "version": "1", "block_content": "provisioner \"file\" {}",
        "template_type": "HCL2", "labels": { "team": "security" } });
    let created = admin.put(root, body).await["enforced_block"].clone();
    let id = created["id"].as_str().expect("an id");
    assert_eq!(created["latest_version"]["version"], "1");
    let body = json!({ "block_content": "provisioner \"file\" {}", "template_type": "HCL2" });
    let next = admin.put(&format!("{root}/{id}/versions"), body).await;
    let version = next["enforced_block_version"].clone();
    assert_eq!(version["version"], "2");
    let of_version = format!("{root}/{id}/versions/{}", version["id"].as_str().expect("an id"));
    let buckets = format!("{of_version}/buckets");
    let linked = admin.post(&buckets, json!({ "bucket_names": ["web"] })).await;
    assert_eq!(linked["enforced_block_buckets"].as_array().map(Vec::len), Some(1));
    assert_eq!(admin.get(&buckets).await["linked_buckets"][0]["bucket"]["name"], "web");
    let of_bucket = admin.get(&format!("{root}/bucket/web")).await;
    let names: Vec<&Value> = of_bucket["enforced_block_detail"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| &it["name"])
        .collect();
    assert_eq!(names, ["harden", "unknown", "api"]);
    // What has nothing to run stops no build, as with Packer, and is not passed over in silence.
    let body = json!({ "name": "blank", "version": "1", "block_content": "# later\n",
        "template_type": "HCL2" });
    let blank = admin.put(root, body).await["enforced_block"].clone();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let (block, version) = (text(&blank["id"]), text(&blank["latest_version"]["id"]));
    admin.put("/buckets", json!({ "name": "other" })).await;
    let linked = format!("{root}/{block}/versions/{version}/buckets");
    admin.post(&linked, json!({ "bucket_names": ["other"] })).await;
    let environment = environment(&server);
    let more = [("HCP_PACKER_BUCKET_NAME", "other"), ("HCP_PACKER_BUILD_FINGERPRINT", "blank")];
    let env = [environment.as_slice(), &more].concat();
    let run = ingot_with(dir.path(), &["build", "t.pkr.hcl"], &env);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let warning = "Warning: the enforced block \"blank\" holds no provisioner";
    assert!(run.stdout.contains(warning), "{}", run.stdout);
    assert_eq!(logged(dir.path()), ["own"]);

    let rename = json!({ "name": "renamed", "update_mask": "name" });
    let renamed = admin.patch(&format!("{root}/{id}"), rename).await;
    assert_eq!(renamed["enforced_block"]["labels"]["team"], "security");
    let describe =
        json!({ "additional_description": "New", "update_mask": "additional_description" });
    admin.patch(&of_version, describe).await;
    let all = admin.get(&format!("{root}/{id}/versions")).await;
    let newest = &all["enforced_block_detail"][0];
    assert_eq!(newest["version"]["additional_description"], "New");
    assert_eq!(newest["name"], "renamed");

    for (method, path, body, why) in [
        (
            Method::PATCH,
            format!("{root}/{id}"),
            json!({ "update_mask": "name,name" }),
            "more than once",
        ),
        (
            Method::PATCH,
            format!("{root}/{id}"),
            json!({ "update_mask": "content" }),
            "does not have",
        ),
        (Method::PUT, root.to_owned(), json!({ "name": "a b", "block_content": "x" }), "letters"),
        (Method::PUT, root.to_owned(), json!({ "name": "ok" }), "must hold a provisioner"),
        (
            Method::PUT,
            root.to_owned(),
            json!({ "name": "ok", "block_content": "x".repeat((64 << 10) + 1) }),
            "not be longer than 65536",
        ),
        (
            Method::POST,
            buckets.clone(),
            json!({ "bucket_names": ["web", "web"] }),
            "more than once",
        ),
        (Method::GET, format!("{root}/none"), Value::Null, "no enforced block"),
        (Method::DELETE, format!("{root}/{id}"), Value::Null, "unlink it first"),
    ] {
        let (status, answer) = admin.call(method, &path, body).await;
        let message = answer["message"].as_str().unwrap_or_default();
        assert!((400..500).contains(&status) && message.contains(why), "{why}: {status} {answer}");
    }
    let (name, secret) = server.principal(&["builder", "-role", "contributor"]);
    let builder = server.sign_in(&name, &secret).await;
    builder.get(&format!("{root}/bucket/web")).await;
    for (method, path) in
        [(Method::PUT, root.to_owned()), (Method::POST, buckets), (Method::DELETE, of_version)]
    {
        let (status, _) = builder.call(method, &path, json!({})).await;
        assert_eq!(status, 403, "{path}");
    }
    // Whoever is in another project sees none of it.
    let data = server.data.to_str().expect("a plain name");
    let project = ["registry", "project", "create", "other"];
    let run = ingot(dir.path(), &project, &[("INGOT_DATA_DIR", data)]);
    let other = run.stdout.lines().find_map(|line| line.strip_prefix("HCP_PROJECT_ID="));
    let path = server.root().replace(&server.env["HCP_PROJECT_ID"], other.expect("a project"));
    let (status, listed) =
        admin.send(Method::GET, &format!("{path}/enforced_blocks"), Vec::new()).await;
    assert_eq!((status, &listed["enforced_blocks"]), (200, &json!([])));
    let (status, _) = admin.send(Method::GET, &format!("{path}{root}/{id}"), Vec::new()).await;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_enforced_on_postgresql() {
    let postgres = require!(Postgres::start());
    let dir = tempfile::tempdir().expect("a directory");
    let url = postgres.url();
    let server = Server::start(dir.path(), &["-database-url", &url]);
    blocks_are_enforced(dir.path(), &environment(&server));
}

/// Everybody reads what is linked, adds a bucket and writes all of it; what others linked meanwhile
/// stays.
async fn links_of_several_are_kept(server: &Server) {
    let admin = server.admin().await;
    let created = admin
        .put("/enforced_blocks", json!({ "name": "busy", "block_content": "provisioner \"x\" {}" }))
        .await;
    let block = &created["enforced_block"];
    let id = block["id"].as_str().expect("an id");
    let version = block["latest_version"]["id"].as_str().expect("an id");
    let path = format!("/enforced_blocks/{id}/versions/{version}/buckets");
    let names: Vec<String> = (0..12).map(|number| format!("busy-{number}")).collect();
    for name in &names {
        admin.put("/buckets", json!({ "name": name })).await;
    }
    let mut writers = tokio::task::JoinSet::new();
    for name in names.clone() {
        let (admin, path) = (admin.clone(), path.clone());
        writers.spawn(async move {
            let body = json!({ "bucket_names": [name], "add_bucket_names": [name] });
            admin.post(&path, body).await;
        });
    }
    writers.join_all().await;
    let linked = async || {
        let linked = admin.get(&path).await["linked_buckets"].clone();
        let linked = linked.as_array().expect("a list").iter();
        let mut linked: Vec<String> =
            linked.map(|it| it["bucket"]["name"].as_str().expect("a name").to_owned()).collect();
        linked.sort();
        linked
    };
    let mut all = names.clone();
    all.sort();
    assert_eq!(linked().await, all);
    let remove = json!({ "remove_bucket_names": names[1..] });
    admin.post(&path, remove).await;
    assert_eq!(linked().await, names[..1]);
    // As HCP Packer's clients do: these and no others.
    admin.post(&path, json!({ "bucket_names": [names[3]] })).await;
    assert_eq!(linked().await, names[3..4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_kept_on_sqlite() {
    let dir = tempfile::tempdir().expect("a directory");
    links_of_several_are_kept(&Server::start(dir.path(), &["-rate-limit=0"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_kept_on_postgres() {
    let postgres = require!(Postgres::start());
    let dir = tempfile::tempdir().expect("a directory");
    let args = ["-rate-limit=0", "-database-url", &postgres.url()];
    links_of_several_are_kept(&Server::start(dir.path(), &args)).await;
}

#[test]
fn an_unlink_checks_all_names_first() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path();
    let file = path.join("registry.db");
    let env = [("INGOT_REGISTRY", file.to_str().expect("a plain name"))];
    std::fs::write(path.join("b.hcl"), "provisioner \"shell-local\" {\n  inline = [\"true\"]\n}\n")
        .expect("a file");
    for bucket in ["a", "b"] {
        ingot(path, &["registry", "buckets", "create", bucket], &env);
    }
    let blocks =
        |args: &[&str]| ingot(path, &[&["registry", "enforced-blocks"], args].concat(), &env);
    blocks(&["create", "scan", "b.hcl"]);
    blocks(&["link", "scan", "a"]);
    let unlink = ["registry", "enforced-blocks", "unlink", "scan", "a", "b"];
    assert!(refused(path, &unlink, &env).contains("the bucket b is not linked to scan"));
    let shown = blocks(&["show", "scan", "-json"]).stdout;
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["versions"][0]["linked_buckets"], json!(["a"]), "nothing was changed");
    blocks(&["link", "scan", "b"]);
    blocks(&["unlink", "scan", "a", "b"]);
}

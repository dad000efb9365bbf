//! What pages show and do, the same on SQLite and PostgreSQL.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ingot_test_support::postgres::Postgres;
use ingot_test_support::registry_server::{Caller, Server};
use ingot_test_support::{ingot_with, require};
use reqwest::Method;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::visitor::Visitor;

const ROOT: &str = "/projects/default/buckets";

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite() {
    all(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let postgres = require!(Postgres::start());
    all(&["-database-url", &postgres.url()]).await;
}

async fn all(flags: &[&str]) {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[&["-rate-limit=0"], flags].concat());
    let admin = server.admin().await;
    labels_are_exact_and_words_are_not(&server, &admin).await;
    a_project_has_its_own_audit_log(&server, &admin, flags).await;
    a_revocation_keeps_its_choices(&server, &admin).await;
    channels_say_where_they_go_back_to(&server, &admin).await;
    who_reads_the_managed_channel_is_set(&server, &admin).await;
    unfinished_versions_hide_no_others(&server, &admin).await;
    all_that_was_built_from_a_version_is_shown(&server, &admin).await;
    sboms_that_are_too_much_are_not_compared(&server, &admin).await;
}

async fn labels_are_exact_and_words_are_not(server: &Server, admin: &Caller) {
    let body = json!({ "name": "labelled", "description": "Überall", "labels": { "team": "web" } });
    admin.put("/buckets", body).await;
    let mut visitor = Visitor::admin(server).await;
    for (query, found) in [
        ("label=team=web", true),
        ("label=team=Web", false),
        ("label=Team=web", false),
        ("label=team", true),
        ("label=team=we", false),
        ("q=TEAM", true),
        ("q=LABELLED", true),
        ("q=%C3%9CberALL", true),
        // Only the case of ASCII is ignored.
        ("q=%C3%BCberall", false),
    ] {
        let page = visitor.get(&format!("{ROOT}?{query}")).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let listed = page.text.contains(&format!("href=\"{ROOT}/labelled\""));
        assert_eq!(listed, found, "{query}");
    }
}

async fn a_project_has_its_own_audit_log(server: &Server, admin: &Caller, flags: &[&str]) {
    let data = server.data.to_str().expect("a plain name");
    let args = [&["registry", "project", "create", "other"], flags].concat();
    let run = ingot_with(&server.data, &args, &[("INGOT_DATA_DIR", data)]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let id = run.stdout.lines().find_map(|line| line.strip_prefix("HCP_PROJECT_ID="));
    let (root, _) = admin.root.rsplit_once('/').expect("a path");
    let other = Caller { root: format!("{root}/{}", id.expect("an id")), ..admin.clone() };
    other.put("/buckets", json!({ "name": "hidden-deed" })).await;
    // More than a page has, and more than any page ever read.
    admin.put("/buckets", json!({ "name": "busy" })).await;
    admin.patch("/buckets/busy", json!({ "description": "changed" })).await;
    let database = match flags {
        [_, url] => (*url).to_owned(),
        _ => format!("sqlite:{}", server.data.join("registry-server.db").display()),
    };
    sqlx::any::install_default_drivers();
    let mut database = sqlx::AnyConnection::connect(&database).await.expect("the database");
    let more = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
                INSERT INTO audit (id, at, principal, project_id, action, target, outcome, address) \
                SELECT id || '-' || i, at, principal, project_id, action, target, outcome, address \
                FROM audit, n WHERE action = 'update bucket' AND target = 'busy'";
    let more = sqlx::query(more).execute(&mut database).await.expect("they are added");
    assert_eq!(more.rows_affected(), 1000);
    let mut visitor = Visitor::admin(server).await;
    let page = visitor.get("/projects/other/settings").await;
    assert!(page.text.contains("hidden-deed"), "{}", page.text);
    assert!(!page.text.contains("busy"), "it is another project's");
    let page = visitor.get("/projects/default/settings").await;
    assert!(page.text.contains("update bucket") && !page.text.contains("hidden-deed"));
}

/// Whether a checkbox of a page is ticked.
fn ticked(page: &str, name: &str) -> bool {
    let (_, rest) = page.split_once(&format!("name=\"{name}\"")).expect("a field");
    let (field, _) = rest.split_once('>').expect("its end");
    field.contains("checked")
}

async fn a_revocation_keeps_its_choices(server: &Server, admin: &Caller) {
    admin.put("/buckets", json!({ "name": "base" })).await;
    admin.publish("base", "one", None).await;
    let mut visitor = Visitor::admin(server).await;
    let path = format!("{ROOT}/base/versions/one/revoke");
    let page = visitor.get(&path).await;
    assert!(ticked(&page.text, "rollback") && ticked(&page.text, "descendants"));
    for (rollback, descendants) in [(false, false), (true, false), (false, true)] {
        let body = json!({
            "revoke_at": "2099-01-01T00:00:00Z",
            "disable_rollback_channels": !rollback,
            "skip_descendants_revocation": !descendants,
        });
        admin.patch("/buckets/base/versions/one", body).await;
        let page = visitor.get(&path).await;
        assert_eq!(ticked(&page.text, "rollback"), rollback);
        assert_eq!(ticked(&page.text, "descendants"), descendants);
    }
    admin.patch("/buckets/base/versions/one", json!({ "restore": true })).await;
}

async fn channels_say_where_they_go_back_to(server: &Server, admin: &Caller) {
    admin.publish("base", "two", None).await;
    admin.publish("base", "three", None).await;
    for (channel, prints) in [
        ("back", &["one", "two"][..]),
        ("far", &["two", "one", "three"]),
        ("new", &["one"]),
        ("again", &["two", "one", "two"]),
        ("mistaken", &["one", "three", "two", "one"]),
        ("past", &["one", "three", "two"]),
        ("nowhere", &["three", "two"]),
    ] {
        admin.post("/buckets/base/channels", json!({ "name": channel })).await;
        for print in prints {
            let path = format!("/buckets/base/channels/{channel}");
            let body = json!({ "update_mask": "versionFingerprint", "version_fingerprint": print });
            admin.patch(&path, body).await;
        }
    }
    let mut visitor = Visitor::admin(server).await;
    let page = visitor.get(&format!("{ROOT}/base/channels")).await;
    for (button, there) in [
        ("Roll back back to v1", true),
        ("Roll far back to v1", true),
        ("Roll new back to", false),
        ("Roll again back to", false),
        ("Roll mistaken back to v2", true),
        ("Promote v3 to new", true),
        ("Roll latest back", false),
    ] {
        assert_eq!(page.text.contains(button), there, "{button}: {}", page.text);
    }
    // As the page of each says.
    let page = visitor.get(&format!("{ROOT}/base/channels/far")).await;
    assert!(page.text.contains("Roll far back to v1"), "{}", page.text);
    // As revoking does.
    let page = visitor.get(&format!("{ROOT}/base/versions/two/revoke")).await;
    for channel in ["back", "again", "past"] {
        let path = format!("{ROOT}/base/versions/one");
        let goes = format!("<strong>{channel}</strong> goes to <a href=\"{path}\">v1</a>");
        assert!(page.text.contains(&goes), "{channel}: {}", page.text);
    }
    // Not forward.
    let nowhere = "<strong>nowhere</strong> has no valid version to go to and will be unassigned";
    assert!(page.text.contains(nowhere), "{}", page.text);
}

async fn who_reads_the_managed_channel_is_set(server: &Server, admin: &Caller) {
    let mut visitor = Visitor::admin(server).await;
    let path = format!("{ROOT}/base/channels/latest");
    let page = visitor.get(&path).await;
    assert!(!ticked(&page.text, "restricted") && !page.text.contains("Delete channel"));
    let answer = visitor.submit(&page, &format!("{path}/access"), &[("restricted", "yes")]).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let latest = admin.get("/buckets/base/channels/latest").await["channel"].clone();
    assert_eq!((&latest["managed"], &latest["restricted"]), (&json!(true), &json!(true)));
    assert_eq!(latest["version"]["fingerprint"], "three");
}

/// Versions that were never completed, as those of failed runs.
async fn unfinished_versions_hide_no_others(server: &Server, admin: &Caller) {
    admin.put("/buckets", json!({ "name": "nightly" })).await;
    for print in ["done-1", "done-2"] {
        admin.publish("nightly", print, None).await;
    }
    admin.post("/buckets/nightly/channels", json!({ "name": "production" })).await;
    for number in 0..101 {
        let body = json!({ "fingerprint": format!("begun-{number}") });
        admin.post("/buckets/nightly/versions", body).await;
    }
    admin.publish("nightly", "done-3", None).await;
    admin.patch("/buckets/nightly/versions/done-2", json!({ "revoke_in": "0s" })).await;
    let mut visitor = Visitor::admin(server).await;
    let options = |page: &str, list: &str| -> Vec<String> {
        let (_, rest) = page.split_once(&format!("<select id=\"{list}\"")).expect("a list");
        let (list, _) = rest.split_once("</select>").expect("its end");
        let options = list.split("<option value=\"").skip(1);
        options.map(|it| it.split_once('"').expect("a value").0.to_owned()).collect()
    };
    let page = visitor.get(&format!("{ROOT}/nightly/channels/production")).await;
    assert_eq!(options(&page.text, "version"), ["done-3", "done-1"]);
    let page = visitor.get(&format!("{ROOT}/nightly/versions/done-3/compare")).await;
    assert_eq!(options(&page.text, "with"), ["done-2", "done-1"]);
    // Another one than those that can be chosen is among them once it is.
    let path = format!("{ROOT}/nightly/versions/done-3/compare?with=begun-7");
    let page = visitor.get(&path).await;
    assert_eq!(options(&page.text, "with"), ["done-2", "done-1", "begun-7"]);
    assert!(page.text.contains("value=\"begun-7\" selected"), "{}", page.text);
    // The list is by when they were created.
    for (query, print, there) in [
        ("", "done-3", true),
        ("", "done-1", false),
        ("?sort=oldest", "done-1", true),
        ("?sort=oldest", "done-3", false),
    ] {
        let page = visitor.get(&format!("{ROOT}/nightly/versions{query}")).await;
        let listed = page.text.contains(&format!("/versions/{print}\""));
        assert_eq!(listed, there, "{query} {print}: {}", page.text);
    }
}

/// More than a page has: the newest, and a way to the rest.
async fn all_that_was_built_from_a_version_is_shown(server: &Server, admin: &Caller) {
    for name in ["gold", "copies"] {
        admin.put("/buckets", json!({ "name": name })).await;
    }
    let parent = admin.publish("gold", "g1", None).await["id"].clone();
    for number in 0..102 {
        let path = "/buckets/copies/versions";
        admin.post(path, json!({ "fingerprint": format!("copy-{number}") })).await;
        let body = json!({ "component_type": "a", "parent_version_id": parent });
        admin.post(&format!("{path}/copy-{number}/builds"), body).await;
    }
    let mut visitor = Visitor::admin(server).await;
    let path = format!("{ROOT}/gold/versions/g1");
    let newest = visitor.get(&path).await.text;
    let said = "102 versions were built from it; these are the newest.";
    assert!(newest.contains(said), "{newest}");
    let lists = |page: &str, number: u32| page.contains(&format!("/versions/copy-{number}\""));
    assert!(lists(&newest, 101) && !lists(&newest, 0), "{newest}");
    let (_, rest) = newest.split_once("?children=").expect("a way on");
    let (key, _) = rest.split_once('#').expect("its end");
    let older = visitor.get(&format!("{path}?children={key}")).await.text;
    assert!(older.contains("Show the newest") && !older.contains("Show older ones"), "{older}");
    for number in 0..102 {
        assert!(lists(&newest, number) != lists(&older, number), "{number}");
    }
}

/// SBOMs of one package, of more than are compared, and of entries of which nothing is kept, however many
/// there are. To compress them takes seconds.
static PACKED: LazyLock<[String; 3]> = LazyLock::new(|| {
    let component = |at: usize| format!(r#"{{"name":"p{at}","version":"1"}}"#);
    let many: Vec<String> = (0..100_001).map(component).collect();
    let nothing = vec!["{}"; 2_000_001].join(",");
    [component(1), many.join(","), nothing].map(|components| {
        let document = format!(r#"{{"bomFormat":"CycloneDX","components":[{components}]}}"#);
        STANDARD.encode(compress_to_vec(document.as_bytes(), CompressionLevel::Fastest))
    })
});

async fn sboms_that_are_too_much_are_not_compared(server: &Server, admin: &Caller) {
    admin.put("/buckets", json!({ "name": "bom" })).await;
    let path = "/buckets/bom/versions";
    for (print, packed) in ["one", "two", "three"].into_iter().zip(PACKED.iter()) {
        admin.post(path, json!({ "fingerprint": print, "template_type": "HCL2" })).await;
        let body = json!({ "component_type": "docker.a", "status": "BUILD_RUNNING" });
        let build = admin.post(&format!("{path}/{print}/builds"), body).await;
        let id = build["build"]["id"].as_str().expect("an id").to_owned();
        let body = json!({ "name": "packages", "format": "CYCLONEDX", "compressed_sbom": packed });
        admin.put(&format!("{path}/{print}/builds/{id}/sboms"), body).await;
    }
    let mut visitor = Visitor::admin(server).await;
    let page = visitor.get(&format!("{ROOT}/bom/versions/two/compare?with=one")).await;
    let said = "is not compared: it lists more than 100000 packages.";
    assert!(page.text.contains(said), "{}", page.text);
    let page = visitor.get(&format!("{ROOT}/bom/versions/three/compare?with=one")).await;
    assert!(page.text.contains("Packages that differ: 1 removed"), "{}", page.text);
    let peak = peak_memory(server.pid());
    assert!(peak < 300 << 20, "the server took {} MiB", peak >> 20);
    let (status, _) = admin.call(Method::DELETE, "/buckets/bom", Value::Null).await;
    assert_eq!(status, 200);
}

/// The most memory that a process had, in bytes.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    let kib = line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number");
    kib << 10
}

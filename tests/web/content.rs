//! What pages show: lists that can be walked and searched, and text that stays text.

use ingot_test_support::require;
use serde_json::json;

use crate::shelf::{bucket, fill};
use crate::visitor::{Response, Visitor};
use ingot_test_support::postgres::Postgres;
use ingot_test_support::registry_server::Server;

const ROOT: &str = "/projects/default/buckets";

/// The names of the buckets of a page, in order.
fn names(page: &Response) -> Vec<String> {
    let cells = page.text.split("<th scope=\"row\" role=\"rowheader\"><a href=\"").skip(1);
    cells
        .map(|cell| {
            let (_, rest) = cell.split_once('>').expect("a link");
            rest.split_once('<').expect("its text").0.to_owned()
        })
        .collect()
}

/// Where the link of this text leads.
fn link(page: &Response, text: &str) -> Option<String> {
    let end = page.text.find(&format!(">{text}</a>"))?;
    let start = page.text[..end].rfind("href=\"")? + 6;
    let path = page.text[start..].split_once('"')?.0;
    Some(path.replace("&amp;", "&"))
}

#[tokio::test]
async fn buckets_are_walked_and_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["-rate-limit=0"]);
    let admin = server.admin().await;
    for number in 0..120 {
        let name = format!("image-{number:03}");
        bucket(&admin, &name, if number == 7 { "100% Weird_Stuff" } else { "" }, json!({})).await;
    }
    let mut visitor = Visitor::admin(&server).await;
    let all: Vec<String> = (0..120).map(|number| format!("image-{number:03}")).collect();
    let first = visitor.get(ROOT).await;
    assert!(first.text.contains("120 buckets"), "{}", first.text);
    assert_eq!(names(&first), all[..50]);
    assert_eq!(link(&first, "Previous page"), None);
    let second = visitor.get(&link(&first, "Next page").expect("a link")).await;
    assert_eq!(names(&second), all[50..100]);
    let third = visitor.get(&link(&second, "Next page").expect("a link")).await;
    assert_eq!(names(&third), all[100..]);
    assert_eq!(link(&third, "Next page"), None);
    let back = visitor.get(&link(&third, "Previous page").expect("a link")).await;
    assert_eq!(names(&back), all[50..100]);
    let start = visitor.get(&link(&third, "First page").expect("a link")).await;
    assert_eq!(names(&start), all[..50]);

    for (word, found) in [
        ("IMAGE-01", &all[10..20]),
        ("weird_stuff", &all[7..8]),
        ("100%25 w", &all[7..8]),
        ("%25", &all[7..8]),
        ("e_0", &[]),
        ("'; DROP TABLE buckets; --", &[]),
    ] {
        let page = visitor.get(&format!("{ROOT}?q={word}")).await;
        assert_eq!(page.status, 200, "{word}");
        assert_eq!(names(&page), found, "{word}");
    }
    // A search is walked, too.
    let page = visitor.get(&format!("{ROOT}?q=image")).await;
    let next = link(&page, "Next page").expect("a link");
    assert!(next.contains("q=image"), "{next}");
    assert_eq!(names(&visitor.get(&next).await), all[50..100]);
    for wrong in ["?after=%00", "?after='--", "?before=zzz"] {
        assert_eq!(visitor.get(&format!("{ROOT}{wrong}")).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn pages_show_what_is_in_the_registry() {
    see_all(&[]).await;
}

#[tokio::test]
async fn pages_show_what_is_in_the_registry_with_postgresql() {
    let postgres = require!(Postgres::start());
    see_all(&["-database-url", &postgres.url()]).await;
}

async fn see_all(args: &[&str]) {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), args);
    let admin = server.admin().await;
    fill(&admin).await;
    let mut visitor = Visitor::admin(&server).await;
    let shows = |page: &Response, parts: &[&str]| {
        assert_eq!(page.status, 200);
        for part in parts {
            assert!(page.text.contains(part), "{part:?} is not in {}", page.text);
        }
    };
    let buckets = visitor.get(ROOT).await;
    shows(&buckets, &["7 buckets", "Debian 12 with our hardening", "1 out of date", ">Failed<"]);
    let base = visitor.get(&format!("{ROOT}/base")).await;
    shows(&base, &["production", "staging", "latest", "c3b85f60", ">platform<", "Active"]);
    let version = visitor.get(&format!("{ROOT}/base/versions/c3b85f60")).await;
    shows(
        &version,
        &[
            "ami-0124c1b2a9f8e7d6",
            "eu-central-1",
            "us-east-1",
            "sha256:6b4e1c7f2a9d",
            "6.1.0-28",
            "amazon-ebs.base-source",
            "production: v2 → v3",
            "1.16.0",
        ],
    );
    assert!(!version.text.contains("staging: "), "it points there already");
    let web = visitor.get(&format!("{ROOT}/web/versions/8d2e6f10")).await;
    shows(&web, &["Built from", "base v2", "Up to date"]);
    let database = visitor.get(&format!("{ROOT}/database/versions/51c7aa39")).await;
    shows(&database, &["base v1", "Out of date"]);
    let channel = visitor.get(&format!("{ROOT}/base/channels/production")).await;
    shows(&channel, &["2 assignments", "Roll production back to v1", "Promote v3 to production"]);
    let family = visitor.get(&format!("{ROOT}/base/ancestry?depth=all")).await;
    shows(&family, &["<svg", ">base <", "v3 · Active", ">shop <", "v1 · production"]);
    let image = visitor.get(&format!("{ROOT}?q=ami-0104c1b2a9f8e7d6")).await;
    shows(&image, &["Images with this id", "base", ">v1<", "eu-central-1"]);
    for (word, found) in [("DEBIAN", &["base"][..]), ("shop", &["shop", "web"]), ("%25", &[])] {
        assert_eq!(names(&visitor.get(&format!("{ROOT}?q={word}")).await), found, "{word}");
    }
    let later = visitor.get(&format!("{ROOT}?after=ZGF0YWJhc2U")).await;
    assert_eq!(names(&later), ["empty", "gpu", "shop", "web", "worker"]);
    for missing in ["/nothing", "/base/versions/nothing", "/base/channels/nothing"] {
        assert_eq!(visitor.get(&format!("{ROOT}{missing}")).await.status, 404, "{missing}");
    }
}

#[tokio::test]
async fn text_of_strangers_stays_text() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let admin = server.admin().await;
    let evil = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>";
    bucket(&admin, "base", evil, json!({ evil: evil })).await;
    let path = "/buckets/base/versions";
    admin.post(path, json!({ "fingerprint": "one" })).await;
    let build = admin.post(&format!("{path}/one/builds"), json!({ "component_type": evil })).await;
    let id = build["build"]["id"].as_str().expect("an id");
    let body = json!({
        "status": "BUILD_DONE",
        "platform": evil,
        "artifacts": [{ "external_identifier": evil, "region": evil }],
        "labels": { evil: evil },
        "source_external_identifier": evil,
        "metadata": { "packer": { evil: evil }, "cicd": { "x": evil }, "vcs": evil },
    });
    let short: String = evil.chars().take(64).collect();
    let mut body = body;
    body["platform"] = json!(short);
    admin.patch(&format!("{path}/one/builds/{id}"), body).await;
    admin.post("/buckets/base/channels", json!({ "name": "production" })).await;
    let revoke = json!({ "revoke_in": "30d", "revocation_message": evil });
    admin.patch(&format!("{path}/one"), revoke).await;
    let data = server.data.to_str().expect("a plain name");
    let run = ingot_test_support::ingot_with(
        dir.path(),
        &["registry", "project", "create", &evil.replace('/', "")],
        &[("INGOT_DATA_DIR", data)],
    );
    assert_eq!(run.code, Some(0), "{}", run.stderr);

    let mut visitor = Visitor::admin(&server).await;
    let word: String = form_urlencoded::byte_serialize(evil.as_bytes()).collect();
    for path in [
        "".to_owned(),
        format!("?q={word}"),
        format!("?done={word}"),
        "/base".into(),
        "/base/versions".into(),
        "/base/versions/one".into(),
        "/base/versions/one/restore".into(),
        "/base/versions/one/revoke".into(),
        "/base/channels".into(),
        "/base/channels/latest".into(),
        "/base/ancestry".into(),
        "/../../../projects".into(),
        format!("/{word}"),
    ] {
        let path = match path.strip_prefix("/../../..") {
            Some(path) => path.to_owned(),
            None => format!("{ROOT}{path}"),
        };
        let page = visitor.get(&path).await;
        let text = page.text.to_lowercase();
        assert!(text.contains("<!doctype html>"), "{path}: {text}");
        assert!(!text.contains("<script") && !text.contains("<img"), "{path}: {text}");
    }
    let page = visitor.get(&format!("{ROOT}/base")).await;
    assert!(page.text.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{}", page.text);
    // What was typed comes back as text, too.
    let form = visitor.get(&format!("{ROOT}/base/channels")).await;
    let answer = visitor.submit(&form, &format!("{ROOT}/base/channels"), &[("name", evil)]).await;
    assert_eq!(answer.status, 422);
    assert!(!answer.text.contains("<script"), "{}", answer.text);
}
